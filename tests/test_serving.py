"""Serving: the admin word. That a class is served, and that its lesson ends, the browser tests show."""

from __future__ import annotations

from pathlib import Path

import pytest

from ser_core import cli, locks, serving
from ser_core.errors import ConfigError


def test_the_admin_word_is_the_one_that_is_set_else_a_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "_SECRETS", tmp_path / "secrets.toml")
    assert serving.admin_word({serving.ADMIN_WORD: "given"}) == ("given", False)
    first, second = serving.admin_word({}), serving.admin_word({})
    assert first[1] and first != second and len(first[0]) == 9
    (tmp_path / "secrets.toml").write_text('SER_ADMIN_WORD = "kept"\n', encoding="utf-8")
    assert serving.admin_word({}) == ("kept", False)
    (tmp_path / "secrets.toml").write_text("SER_ADMIN_WORD = kept\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"secrets.toml' cannot be read"):
        serving.admin_word({})


def test_one_folder_serves_one_class_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SER_CLASS", str(tmp_path))
    monkeypatch.setattr(serving, "_settle", lambda: None)
    with locks.alone(tmp_path / "serving.lock"), pytest.raises(ConfigError, match=r"already\. Stop that server"):
        serving.for_class(8501)
    assert [path.name for path in tmp_path.iterdir()] == ["serving.lock"]


def test_an_address_that_is_not_of_this_machine_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["serve", "--address", "10.0.0.1"]) == 2
    assert "--address goes with --class" in capsys.readouterr().err
    with pytest.raises(ConfigError, match=r"'203.0.113.77' is no address of this machine"):
        serving.for_class(8501, "203.0.113.77")
