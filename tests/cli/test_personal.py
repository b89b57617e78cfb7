"""`personal` as a shell meets it: measured on a tiny corpus, added to a file, and the results that come with the project."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ser_core.cli import main
from ser_core.corpora import catalogue
from ser_core.dataset import splits
from ser_core.recognition.personal import Strengths
from ser_core.system import priority
from ser_core.training import held_out, personal, shipped
from ser_core.training.held_out import HeldOut
from tests.support import ruled_corpus


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    """Return (exit status, stdout, stderr) of one command; quick recipes are retrained."""
    monkeypatch.setattr(priority, "settle", lambda: None)
    quick = replace(shipped.RECIPES["knn"], classifier="lda", n_copies=0, hyperparameters={"shrinkage": 0.9})
    monkeypatch.setitem(shipped.RECIPES, "knn", quick)
    places = ["--work", tmp_path / "work", "--cache", tmp_path / "cache", "--jobs", "1"]

    def one(*given: object) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main.main(["personal", *map(str, [*given, *places])])
        return status, *capsys.readouterr()

    return one


@pytest.fixture
def corpus(tmp_path: Path) -> str:
    ruled_corpus.write_as_ravdess(tmp_path / "ravdess")
    for path in list((tmp_path / "ravdess").rglob("*.wav")):  # said again, so that two takes are of one sentence
        path.with_stem(f"{path.stem[:-5]}02-{path.stem[-2:]}").write_bytes(path.read_bytes()[:-2000])
    return f"ravdess={tmp_path / 'ravdess'}"


def test_models_are_measured_one_after_another_and_added_to_a_file(command, corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(personal.personal, "MIN_TAKES", 3)  # the tiny corpus has three labels
    out = tmp_path / "enrolled.json"
    status, text, err = command("--corpus", corpus, "--model", "knn", "--out", out)
    assert status == 0, err
    assert "knn: strengths" in err and "enrolled.json: 3 rows" in err
    assert "knn: accuracy" in text and "ravdess  0 takes per label" in text
    clips = personal.read_clips({"ravdess": Path(corpus.partition("=")[2])}, catalogue.LABELS)
    rows = clips[list(held_out.COLUMNS)].assign(**{held_out.FOLD: splits.joint_folds(clips)})
    shares = np.random.default_rng(0).dirichlet(np.ones(8), len(rows))
    part = HeldOut(
        protocol="speaker", scope=held_out.ALL, labels=catalogue.LABELS, clips=rows, probabilities={"mlp": shares}
    )
    held_out.write(tmp_path / "answers.npz", [part])
    asked = ("--corpus", corpus, "--model", "mlp", "--answers", tmp_path / "answers.npz", "--out", out, "--json")
    status, text, _ = command(*asked)
    printed = json.loads(text)
    assert status == 0 and [row["model"] for row in printed["rows"]] == ["mlp"] * 3
    assert printed["command"].startswith("python -m ser_core personal --corpus ravdess=DIR --model mlp")
    table = personal.read(out)
    assert [row.model for row in table.rows] == ["knn"] * 3 + ["mlp"] * 3 and set(table.strengths) == {"knn", "mlp"}
    assert isinstance(table.strengths["mlp"], Strengths) and isinstance(clips, pd.DataFrame)


def test_with_all_of_the_shipped_models_all_together_are_measured(command, corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(personal.personal, "MIN_TAKES", 3)  # the tiny corpus has three labels
    monkeypatch.setattr(shipped, "POOLS", (("knn", "mlp"),))
    clips = personal.read_clips({"ravdess": Path(corpus.partition("=")[2])}, catalogue.LABELS)
    rows = clips[list(held_out.COLUMNS)].assign(**{held_out.FOLD: splits.joint_folds(clips)})
    shares = np.random.default_rng(0).dirichlet(np.ones(8), len(rows))
    part = HeldOut(
        protocol="speaker",
        scope=held_out.ALL,
        labels=catalogue.LABELS,
        clips=rows,
        probabilities={"mlp": shares, "knn": shares},
    )
    held_out.write(tmp_path / "answers.npz", [part])
    asked = ("--corpus", corpus, "--answers", tmp_path / "answers.npz", "--out", tmp_path / "enrolled.json")
    status, text, err = command(*asked, "--model", "knn", "--model", "mlp")
    assert status == 0 and "together: 2 models" in err and "together: accuracy" in text
    table = personal.read(tmp_path / "enrolled.json")
    assert [row.model for row in table.rows] == ["knn"] * 3 + ["mlp"] * 3 + ["together"] * 3
    assert set(table.strengths) == {"knn", "mlp"}
    assert len({(row.n_speakers, row.n_clips, row.n_takes) for row in table.rows if row.takes == 2}) == 1


def test_what_cannot_be_measured_is_said(command, corpus, tmp_path):
    status, _, err = command("--corpus", corpus, "--model", "svm")
    assert status == 2 and "There is no recipe for svm" in err
    status, _, err = command("--corpus", "ravdess")
    assert status == 2 and "NAME=DIR" in err
    status, _, err = command("--corpus", corpus, "--model", "mlp", "--answers", tmp_path / "gone.npz")
    assert status == 2 and "cannot be read" in err


def test_without_corpora_the_stored_results_are_printed(command, tmp_path, monkeypatch):
    row = personal.Row(
        model="knn",
        corpus="savee",
        takes=1,
        n_speakers=4,
        n_clips=400,
        n_takes=7.0,
        accuracy=0.7,
        low=0.6,
        high=0.8,
        uar=0.7,
        gain=0.05,
        gain_low=0.01,
        gain_high=0.09,
    )
    personal.write(
        tmp_path / "enrolled.json",
        personal.Table(command="c", protocol="Who speaks.", strengths={"knn": Strengths()}, rows=(row,)),
    )
    monkeypatch.setattr(personal, "read", lambda path=tmp_path / "enrolled.json", read=personal.read: read(path))
    status, text, _ = command()
    assert status == 0 and text.startswith("Who speaks.")
    assert "70.0% (60.0% to 80.0%)  +5.0 (+1.0 to +9.0)  +0.0 (+0.0 to +0.0)" in text
