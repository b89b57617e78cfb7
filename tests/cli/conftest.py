"""What the tests of commands share: tiny models in a folder of their own, and commands run in this process."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ser_core.cli import main
from ser_core.system import priority
from tests.support.models import build


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("built"))


@pytest.fixture
def models(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Tiny models in a folder that a test may damage, and that the command line reads."""
    folder = shutil.copytree(built, tmp_path / "models")
    monkeypatch.setenv("SER_MODELS", str(folder))
    return folder


@pytest.fixture
def run(models, capsys):
    """Return (exit status, stdout, lines of stderr) of one command."""

    def one(*arguments: object) -> tuple[int, str, list[str]]:
        capsys.readouterr()
        status = main.main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return status, out, err.splitlines()

    return one


@pytest.fixture
def measure(base, tmp_path, monkeypatch):
    """Return a function that runs a command that measures, on the corpora and models of `base`, and returns its exit status."""
    monkeypatch.setattr(priority, "settle", lambda: None)
    monkeypatch.setenv("SER_CORPORA", str(base / "corpora"))
    places = ["--results", tmp_path / "results", "--cache", base / "cache", "--models-dir", base / "models"]
    return lambda command, *given: main.main([command, *map(str, [*given, *places])])
