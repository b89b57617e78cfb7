"""`serve` as a shell meets it: which server is started; the servers: serving/test_server.py."""

from __future__ import annotations

from ser_core import paths
from ser_core.serving import server


def test_without_class_the_app_is_for_this_machine(run, monkeypatch):
    ports = []
    monkeypatch.setattr(server, "alone", lambda port: ports.append(port) or 0)
    assert run("serve") == (0, "", []) and run("serve", "--port", "9000") == (0, "", [])
    assert ports == [8501, 9000]


def test_with_class_it_is_for_the_network(run, monkeypatch):
    started = []

    def for_class(port, address):
        started.append((port, address))
        raise KeyboardInterrupt

    monkeypatch.setattr(server, "for_class", for_class)
    assert run("serve", "--class", "--address", "10.0.0.1") == (2, "", ["Stopped."])
    assert started == [(8501, "10.0.0.1")]


def test_an_address_needs_class(run):
    status, _, (line,) = run("serve", "--address", "10.0.0.1")
    assert status == 2 and "--address goes with --class" in line


def test_an_installed_package_says_that_the_app_is_elsewhere(run, monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "PROJECT", tmp_path)
    status, out, (line,) = run("serve")
    assert (status, out) == (2, "") and "Run it from the project's folder" in line
