"""What the start of a class looks at, and what it says."""

from __future__ import annotations

import json
import shutil
import socket
from collections import namedtuple
from pathlib import Path

import pytest

from ser_core import paths
from ser_core.errors import ConfigError
from ser_core.features import encoder
from ser_core.recognition import store
from ser_core.serving import certificates, preflight
from tests.support import models


def test_a_taken_port_gives_the_next_one() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        port, check = preflight.free_port(taken, "127.0.0.1")
    assert taken < port <= taken + preflight.TRIES and check.good
    assert f"{taken} is taken" in check.text and str(port) in check.text


@pytest.mark.parametrize("wanted", [0, 70_000, -1])
def test_a_number_that_is_no_port_is_refused(wanted: int) -> None:
    with pytest.raises(ConfigError, match=f"from 1 to 65535. Got {wanted}"):
        preflight.free_port(wanted)


def test_the_address_of_the_real_network_comes_first() -> None:
    found = [
        ("127.0.0.1", "lo"),
        ("172.17.0.1", "docker0"),
        ("169.254.3.4", "eth1"),
        ("10.8.0.2", "tun0"),
        ("192.168.7.9", "wlan0"),
        ("192.168.7.9", "wlan0"),
        ("10.1.2.3", "eth0"),
    ]
    assert preflight.rank(found, "10.1.2.3") == ["10.1.2.3", "192.168.7.9", "172.17.0.1", "10.8.0.2"]
    assert preflight.rank(found, "10.8.0.2")[0] == "192.168.7.9"  # a tunnel leads to the world, not to the class
    assert preflight.rank(found[:1], "") == []


@pytest.mark.parametrize(
    ("own", "names"),
    [
        ("Laptop", ["laptop", "laptop.local"]),
        ("mac.local", ["mac.local"]),
        ("a-b.school.example", ["a-b.school.example", "a-b.local"]),
        ("localhost", []),
        ("10.0.0.1", []),
        ("my_pc", []),
        ("", []),
        ("a,b", []),
        ("x" * 64, []),
    ],
)
def test_a_machine_is_found_by_its_name_if_that_is_a_name(
    own: str, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: own)
    assert preflight.names() == names


def test_a_machine_without_a_network_is_told_about_the_hotspot() -> None:
    check = preflight.network([], "localhost")
    assert not check.good and "hotspot" in check.text
    assert "--address" in preflight.network(["10.1.2.3", "192.168.7.9"], "10.1.2.3").text


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert preflight.disk(tmp_path).good == (shutil.disk_usage(tmp_path).free >= preflight.SPARE_BYTES)
    usage = namedtuple("usage", "total used free")(10 * 2**30, 9 * 2**30, 2**30)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    check = preflight.disk(tmp_path)
    assert not check.good and "1 GB are free" in check.text and "Make room" in check.text


def test_missing_and_damaged_models_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SER_MODELS", str(models.build(tmp_path)))
    assert preflight.models() == ("Models", True, f"{', '.join(models.TITLES.values())}.")
    shutil.rmtree(tmp_path / "mlp")
    weights = next(iter(json.loads((tmp_path / "cnn" / "card.json").read_text(encoding="utf-8"))["files"]))
    (tmp_path / "cnn" / weights).write_bytes(b"half")
    check = preflight.models()
    assert not check.good and "mlp missing" in check.text and "'cnn'" in check.text


def test_a_damaged_encoder_is_told_before_the_lesson(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SER_MODELS", str(models.build(tmp_path / "models")))
    monkeypatch.setattr(store, "is_pretrained", lambda card: card.slug == "transfer")
    monkeypatch.setattr(store, "load", lambda *_: None)
    assert preflight.models().good
    shutil.copytree(paths.encoders_folder(), tmp_path / "encoders")
    (tmp_path / "encoders" / encoder.FILE).write_bytes(b"half")
    monkeypatch.setattr(paths, "encoders_folder", lambda: tmp_path / "encoders")
    check = preflight.models()
    assert not check.good and "make encoder" in check.text


def test_missing_corpora_are_no_reason_to_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SER_CORPORA", str(tmp_path))
    assert not preflight.corpora().good
    (tmp_path / "ours" / "happy").mkdir(parents=True)
    (tmp_path / "ours" / "happy" / "a.wav").write_bytes(b"")
    assert preflight.corpora() == ("Corpora", True, f"ours, in '{tmp_path}'.")


def test_a_server_that_does_not_answer_is_told_with_what_to_do(tmp_path: Path) -> None:
    port, _ = preflight.free_port(20_000, "127.0.0.1")
    der = certificates.issue(tmp_path, ["127.0.0.1"]).authority_der
    check = preflight.reach(f"https://127.0.0.1:{port}", der)
    assert (
        not check.good
        and "does not answer" in check.text
        and "hotspot" in check.text
        and "firewall" in check.text.lower()
    )


def test_qr_codes_are_black_on_white() -> None:
    drawn = preflight.qr("https://192.168.7.9:8501")
    assert (
        drawn.startswith("data:image/svg+xml") and "fff" in drawn and drawn != preflight.qr("https://192.168.7.9:8502")
    )
    lines = preflight.terminal_qr("https://192.168.7.9:8501").splitlines()
    assert len(lines) > 12 and all(line.startswith("\x1b[97;40m") and line.endswith("\x1b[0m") for line in lines)
