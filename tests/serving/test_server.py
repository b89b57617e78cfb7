"""Serving: to whom, under which names, and what it keeps to itself. That a class is served, and how its lesson ends, browser tests show."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest

from ser_core.cli import main
from ser_core.errors import ConfigError
from ser_core.serving import admin, guard, permissions, preflight
from ser_core.serving import server as serving_server
from ser_core.serving.server import alone, for_class
from ser_core.system import locks
from tests.support import servers

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep this process's folder, signals and rights as they are."""
    # It changes the folder, the signals and the umask of the whole process.
    monkeypatch.setattr(serving_server, "_settle", lambda: None)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Mapping[str, str], Mapping[str, str]]]:
    """The settings and the environment of each server that would be started; none is."""
    started = []

    @contextlib.contextmanager
    def streamlit(settings: Mapping[str, str], environment: Mapping[str, str]) -> Iterator[SimpleNamespace]:
        started.append((settings, environment))
        yield SimpleNamespace(wait=lambda: 0, poll=lambda: 1, returncode=1)

    # Where the server would be started, and waited for until it answers.
    monkeypatch.setattr(serving_server, "_streamlit", streamlit)
    # Nothing answers here.
    monkeypatch.setattr(serving_server, "_wait_for", lambda *_: None)
    return started


def test_alone_it_serves_this_machine_whatever_the_environment_says(
    settled, served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMLIT_SERVER_ADDRESS", "0.0.0.0")
    monkeypatch.delenv(admin.VARIABLE, raising=False)
    assert alone(23_000) == 0
    ((settings, _),) = served
    assert settings["server.address"] == "localhost"


def test_a_short_admin_word_is_refused(settled, served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(admin.VARIABLE, "chalk")
    monkeypatch.setenv("SER_CLASS", str(tmp_path))
    for start in (alone, for_class):
        with pytest.raises(ConfigError, match="has 5 characters, and 8 is the least"):
            start(23_000)
    assert served == []


def test_a_class_may_ask_for_the_server_by_its_addresses_and_names_alone(
    settled, served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, place in {"SER_CLASS": "class", "SER_RUNS": "runs", "SER_CORPORA": "corpora"}.items():
        monkeypatch.setenv(name, str(tmp_path / place))
    monkeypatch.setenv("SER_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv(guard.VARIABLE, "ser.example.org, 192.168.7.9,")
    monkeypatch.setenv(admin.VARIABLE, "open sesame")
    monkeypatch.setattr(preflight, "addresses", lambda: ["127.0.0.1", "192.168.7.9"])
    monkeypatch.setattr(socket, "gethostname", lambda: "Dev")
    with pytest.raises(ConfigError, match="exit status 1"):
        for_class(23_000)
    ((settings, environment),) = served
    assert environment[guard.VARIABLE] == "ser.example.org,192.168.7.9,127.0.0.1,dev,dev.local"
    assert environment[admin.VARIABLE] == "open sesame"
    assert settings["server.sslCertFile"] == str(tmp_path / "class" / "server.pem")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other rights")
def test_what_it_starts_inherits_that_files_are_its_users_alone(tmp_path: Path) -> None:
    code = (
        "import os, subprocess, sys; from ser_core.serving import server; os.umask(0o022); server._settle(); "
        "subprocess.run([sys.executable, '-c', 'import os; print(os.umask(0))'], check=True)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env=os.environ | {name: str(tmp_path) for name in ("SER_RUNS", "SER_CACHE", "SER_RESULTS", "SER_CORPORA")},
    )
    assert int(done.stdout) == permissions.UMASK


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have one loopback address")
def test_the_log_of_a_server_names_no_visitors_address(tmp_path: Path) -> None:
    """With the settings of a class: a page, a websocket that says nothing, a damaged one, nonsense, and one who leaves in the middle."""
    port = servers.free_port()
    command = servers.streamlit(port, logger_hideWelcomeMessage="true", logger_level="warning")
    upgrade = (
        "GET /_stcore/stream HTTP/1.1\r\nHost: localhost:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    )
    asked = ["GET / HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n", upgrade, "NONSENSE\r\n\r\n", "GET / HTTP/1.1\r\nHo"]
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log) as server:
        try:
            servers.wait_until_served(server, port, shown=(tmp_path / "log").read_text)
            for text in asked:
                for key in ("dGhlIHNhbXBsZSBub25jZQ==", "x"):
                    with socket.create_connection(
                        ("127.0.0.1", port), timeout=10, source_address=("127.0.0.55", 0)
                    ) as visitor:
                        visitor.sendall(text.format(port=port, key=key).encode())
                        with contextlib.suppress(TimeoutError):
                            visitor.settimeout(0.5)
                            visitor.recv(65_536)
                        visitor.sendall(b"\xff" * 10)  # no frame of a websocket, no request
        finally:
            server.terminate()
    shown = (tmp_path / "log").read_text(encoding="utf-8")
    assert "127.0.0.55" not in shown, shown


def test_one_folder_serves_one_class_at_a_time(settled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SER_CLASS", str(tmp_path))
    with locks.alone(tmp_path / "serving.lock"), pytest.raises(ConfigError, match=r"already\. Stop that server"):
        for_class(8501)
    assert [path.name for path in tmp_path.iterdir()] == ["serving.lock"]


def test_an_address_that_is_not_of_this_machine_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["serve", "--address", "10.0.0.1"]) == 2
    assert "--address goes with --class" in capsys.readouterr().err
    with pytest.raises(ConfigError, match=r"'203.0.113.77' is not an address of this machine"):
        for_class(8501, "203.0.113.77")
