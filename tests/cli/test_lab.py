"""`lab` as a shell meets it: one study, a published recipe, all settings in a file, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ser_core.cli import main
from ser_core.experiments import leakage_lab
from ser_core.experiments.leakage_lab import LeakageSettings
from ser_core.system import priority
from tests.support import corpora


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return corpora.build(tmp_path_factory.mktemp("corpora"))


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Few epochs: what is learned does not matter here."""
    monkeypatch.setattr(leakage_lab, "CLASSIFIERS", {"knn": {"n_neighbors": 3}, "mlp": {"epochs": 2, "hidden": 8}})


@pytest.fixture
def shell(base, tmp_path, tmp_path_factory, monkeypatch):
    monkeypatch.setattr(priority, "settle", lambda: None)
    monkeypatch.setenv("SER_CORPORA", str(base))
    places = ["--results", str(tmp_path), "--cache", str(tmp_path_factory.getbasetemp() / "lab-cache")]
    return lambda *given: main.main(["lab", *given, *places])


def test_a_shell_prints_the_ladder(shell, capsys):
    assert shell("--corpus", "tess", "--split", "random", "--duplicates", "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["step"] for row in rows] == ["As chosen", "Second copies out", "Speakers held out"]
    assert shell("--preset", "two-voices") == 0
    said = capsys.readouterr()
    assert "96.90 % accuracy" in said.err and said.out.count("accuracy") == 3


def test_every_setting_can_be_written_to_a_file(shell, tmp_path, monkeypatch, capsys):
    few = [LeakageSettings(), LeakageSettings(split="random")]
    monkeypatch.setattr(leakage_lab, "combinations", lambda: few)
    assert shell("--corpus", "tess", "--every", "--out", str(tmp_path / "all.json")) == 0
    assert list(leakage_lab.read_results(tmp_path / "all.json")) == few
    assert leakage_lab.command(tmp_path / "none.json") == ""
    assert (
        leakage_lab.command(tmp_path / "all.json") == "python -m ser_core lab --corpus tess=DIR --every --out all.json"
    )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "Name a corpus to study"),
        (["--preset", "hope"], "no preset 'hope'. Choose from copies, two-voices,"),
        (["--corpus", "tess", "--every"], "--every and --out go together"),
        (["--corpus", "tess", "--out", "lab.json"], "--every and --out go together"),
        (["--corpus", "tess", "--every", "--out", "/nowhere/lab.json"], "its folder does not exist"),
        (["--corpus", "tess", "--jobs", "0"], "--jobs"),
    ],
)
def test_what_cannot_be_had_is_said(shell, capsys, given, words):
    assert shell(*given) == 2
    assert words in capsys.readouterr().err
