"""Every pair of corpora on small synthetic ones: which labels, who is held out, what is grey, and the results that are shipped."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from ser_core import assessment, background, cli, corpora, matrix, training
from ser_core.assessment import Desk, Recipe
from ser_core.errors import ConfigError
from ser_core.matrix import Cell
from ser_core.training import TrainingConfig
from tests import tiny_corpora, tiny_models

QUICK = TrainingConfig(classifier="mlp", hyperparameters={"hidden": 8, "epochs": 2}, n_copies=0)
RECIPE = Recipe(name="mlp", config=QUICK)


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    tiny_corpora.build(folder / "corpora")
    tiny_models.build(folder / "models")
    return folder


@pytest.fixture(scope="module")
def tables(base) -> dict[str, pd.DataFrame]:
    return {name: corpora.scan(name, base / "corpora" / name) for name in ("ravdess", "tess")}


@pytest.fixture
def desk(base, tmp_path) -> Desk:
    return Desk(cache=base / "cache", results=tmp_path / "results")


def relabelled(table: pd.DataFrame, **became: str) -> pd.DataFrame:
    return table.assign(**{corpora.EMOTION: table[corpora.EMOTION].replace(became)})


def test_every_pair_is_a_cell_on_the_labels_that_all_share(tables, desk):
    told: list[int] = []
    cells = matrix.measure(RECIPE, tables, desk, on_cell=lambda so_far: told.append(len(so_far)))
    assert [(cell.train, cell.test) for cell in cells] == [(a, b) for a in tables for b in tables] and told == [
        1,
        2,
        3,
        4,
    ]
    assert {cell.labels for cell in cells} == {("neutral", "happy", "sad")} and not any(cell.problem for cell in cells)
    assert [(cell.n_clips, cell.n_test_speakers) for cell in cells] == [(48, 8), (24, 2), (48, 8), (24, 2)]
    assert [cell.protocol for cell in cells] == ["speaker", "cross-corpus", "cross-corpus", "speaker"]
    for cell in cells:
        assert 0 <= cell.low <= cell.uar <= cell.high <= 1 and cell.chance == pytest.approx(1 / 3)


def test_the_diagonal_is_the_speaker_protocol_within_the_corpus(tables, desk):
    recipe = replace(RECIPE, config=replace(QUICK, labels=("neutral", "happy", "sad")))
    alone = assessment.figures(assessment.held_out(recipe, tables["ravdess"], "speaker", desk))["ravdess"]
    cell = matrix.measure(RECIPE, tables, desk)[0]
    assert (cell.uar, cell.accuracy) == (alone.uar, alone.accuracy)


def test_finished_trainings_are_read_back_and_a_stopped_matrix_goes_on(tables, desk, monkeypatch):
    trained: list[int] = []
    original = training.train_fold
    monkeypatch.setattr(training, "train_fold", lambda *given, **more: trained.append(1) or original(*given, **more))
    with pytest.raises(training.Stopped):
        matrix.measure(RECIPE, tables, replace(desk, should_stop=lambda: len(trained) > 6))
    assert len(trained) == 7
    first = matrix.measure(RECIPE, tables, desk)
    assert len(trained) == 7 + 4, "of six folds, one and one pair, and two folds, six were finished"
    assert matrix.measure(RECIPE, tables, desk) == first and len(trained) == 7 + 4


def test_without_labels_that_all_share_each_pair_has_its_own_and_poor_ones_are_grey(tables, desk):
    some = {"ravdess": tables["ravdess"], "tess": relabelled(tables["tess"], neutral="fear", sad="disgust")}
    assert matrix.common_labels(some, corpora.LABELS) == ()
    own, across, back, other = matrix.measure(RECIPE, some, desk)
    assert across.problem == back.problem == "1 shared label" and across.labels == ("happy",) and across.uar == 0
    assert own.labels == ("neutral", "happy", "sad", "angry") and other.labels == ("happy", "fear", "disgust")


def test_a_corpus_of_one_speaker_has_no_diagonal(tables, desk):
    one = tables["tess"][tables["tess"][corpora.SPEAKER] == "tess:OAF"].reset_index(drop=True)
    cells = matrix.measure(RECIPE, {"ravdess": tables["ravdess"], "tess": one}, desk)
    assert "1 speaker here" in cells[3].problem and not cells[1].problem


def test_one_corpus_is_no_matrix(tables, desk):
    with pytest.raises(ConfigError, match=r"needs two corpora or more\. Got tess"):
        matrix.measure(RECIPE, {"tess": tables["tess"]}, desk)


def test_means_are_over_the_test_corpora_that_have_both():
    def cell(train: str, test: str, uar: float, problem: str = "") -> Cell:
        return Cell(train=train, test=test, uar=uar, problem=problem)

    cells = [
        cell("a", "a", 0.6),
        cell("b", "a", 0.2),
        cell("c", "a", 0.4),
        cell("a", "b", 0.9),
        cell("b", "b", 0, "one speaker"),
    ]
    assert matrix.means(cells) == (pytest.approx(0.6), pytest.approx(0.3))
    assert matrix.means(cells[3:]) is None and matrix.means([]) is None


def test_the_shipped_results_have_every_cell_and_leaving_the_corpus_costs():
    ready = matrix.read_results()
    assert set(ready.models) == set(matrix.WORKED_OUT) and list(ready.corpora) == ["ravdess", "tess", "savee", "emodb"]
    for cells in ready.models.values():
        assert [(cell.train, cell.test) for cell in cells] == [(a, b) for a in ready.corpora for b in ready.corpora]
        assert {len(cell.labels) for cell in cells} == {6} and not any(cell.problem for cell in cells)
        assert all(cell.low <= cell.uar <= cell.high for cell in cells)
        own, other = matrix.means(cells)
        assert own > other
    assert ready.command.startswith("python -m ser_core matrix --corpus ravdess=DIR")


@pytest.mark.parametrize("text", ['{"models": 3}', '{"models": {}, "command": "", "corpora": {"tess": Infinity}}'])
def test_damaged_results_are_said(tmp_path, text):
    (tmp_path / "matrix.json").write_text(text)
    with pytest.raises(ConfigError, match=r"The results in 'matrix\.json' cannot be read"):
        matrix.read_results(tmp_path / "matrix.json")


@pytest.fixture
def shell(base, tmp_path, monkeypatch):
    monkeypatch.setattr(background, "settle", lambda: None)
    monkeypatch.setenv("SER_CORPORA", str(base / "corpora"))
    places = ["--results", str(tmp_path), "--cache", str(base / "cache"), "--models-dir", str(base / "models")]
    return lambda *given: cli.main(["matrix", *given, *places])


def test_a_shell_prints_writes_and_reads_back(shell, tmp_path, capsys):
    given = ["--classifier", "mlp", "--set", "hidden=8", "--set", "epochs=2", "--corpus", "ravdess", "--corpus", "tess"]
    assert shell(*given, "--write", str(tmp_path / "all.json"), "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert [each["model"] for each in said] == ["mlp"] and len(said[0]["cells"]) == 4
    ready = matrix.read_results(tmp_path / "all.json")
    settings = "--set hidden=8 --set epochs=2 --classifier mlp"
    assert (
        ready.command == f"python -m ser_core matrix {settings} --corpus ravdess=DIR --corpus tess=DIR --write all.json"
    )
    assert [matrix.to_dict(cell) for cell in ready.models["mlp"]] == said[0]["cells"] and ready.corpora == {
        "ravdess": 64,
        "tess": 24,
    }
    assert shell(*given) == 0
    assert "on 3 labels (neutral, happy, sad), chance 33.3%" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--corpus", "tess"], "needs two corpora or more"),
        (["--corpus", "tess", "--corpus", "ravdess", "--model", "gone"], "no model 'gone'"),
        (["--corpus", "tess", "--corpus", "ravdess", "--write", "/nowhere/x.json"], "its folder is not there"),
    ],
)
def test_what_cannot_be_had_is_a_line_and_status_two(shell, capsys, given, words):
    assert shell(*given) == 2
    assert words in capsys.readouterr().err
