"""`profile` as a shell meets it: made of a tiny corpus, and what comes with the project."""

from __future__ import annotations

import json

import pytest

from ser_core.cli import main
from ser_core.explanation import profile
from ser_core.system import priority
from tests.support import ruled_corpus


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    """Return (exit status, stdout, stderr) of one command."""
    monkeypatch.setattr(priority, "settle", lambda: None)

    def one(*given: object) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main.main(["profile", *map(str, given), "--cache", str(tmp_path / "cache"), "--jobs", "1"])
        return status, *capsys.readouterr()

    return one


def test_quantiles_of_corpora_are_written_and_printed(command, tmp_path, monkeypatch):
    monkeypatch.setattr(profile, "MIN_CLIPS", 2)  # the corpus is tiny
    ruled_corpus.write_as_ravdess(tmp_path / "ravdess")
    out = tmp_path / "profile.json"
    status, text, err = command("--corpus", f"ravdess={tmp_path / 'ravdess'}", "--out", out, "--json")
    assert status == 0 and "profile.json: 3 rows" in err and "features: " in err
    found = profile.read(out)
    assert json.loads(text)["licence"] == found.licence and found.corpora == ("ravdess",)
    assert found.command == "python -m ser_core profile --corpus ravdess=DIR --out profile.json"


def test_without_corpora_what_comes_with_the_project_is_printed(command):
    status, text, _ = command()
    assert status == 0 and text.startswith("Quantiles of figures of recordings of RAVDESS")
    assert "ravdess angry: 192 clips" in text and "semitones" in text


def test_what_cannot_be_measured_is_said(command, tmp_path):
    status, _, err = command("--corpus", "ravdess")
    assert status == 2 and "NAME=DIR" in err
    status, _, err = command("--corpus", f"ravdess={tmp_path}", "--out", tmp_path / "gone" / "profile.json")
    assert status == 2 and "folder" in err
