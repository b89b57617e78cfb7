"""Every pair of corpora on small synthetic ones: which labels, who is held out, what is grey, and the results that are shipped."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from ser_core.corpora import catalogue
from ser_core.errors import ConfigError, Stopped
from ser_core.experiments import cross_corpus, measure, outcome
from ser_core.experiments.cross_corpus import Cell
from ser_core.experiments.recipe import Recipe
from ser_core.training import fit
from ser_core.training.fit import FitConfig

QUICK = FitConfig(classifier="mlp", hyperparameters={"hidden": 8, "epochs": 2}, n_copies=0)
RECIPE = Recipe(name="mlp", config=QUICK)


def relabelled(table: pd.DataFrame, **became: str) -> pd.DataFrame:
    return table.assign(**{catalogue.EMOTION: table[catalogue.EMOTION].replace(became)})


def test_every_pair_is_a_cell_on_the_labels_that_all_share(tables, desk):
    told: list[int] = []
    cells = cross_corpus.measure(RECIPE, tables, desk, on_cell=lambda so_far: told.append(len(so_far)))
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
    alone = outcome.figures(measure.held_out(recipe, tables["ravdess"], "speaker", desk))["ravdess"]
    cell = cross_corpus.measure(RECIPE, tables, desk)[0]
    assert (cell.uar, cell.accuracy) == (alone.uar, alone.accuracy)


def test_finished_trainings_are_read_back_and_a_stopped_matrix_goes_on(tables, desk, monkeypatch):
    trained: list[int] = []
    original = fit.train_fold
    monkeypatch.setattr(fit, "train_fold", lambda *given, **more: trained.append(1) or original(*given, **more))
    with pytest.raises(Stopped):
        cross_corpus.measure(RECIPE, tables, replace(desk, should_stop=lambda: len(trained) > 6))
    assert len(trained) == 7
    first = cross_corpus.measure(RECIPE, tables, desk)
    assert len(trained) == 7 + 4, "of six folds, one and one pair, and two folds, six were finished"
    assert cross_corpus.measure(RECIPE, tables, desk) == first and len(trained) == 7 + 4


def test_without_labels_that_all_share_each_pair_has_its_own_and_poor_ones_are_grey(tables, desk):
    some = {"ravdess": tables["ravdess"], "tess": relabelled(tables["tess"], neutral="fear", sad="disgust")}
    assert cross_corpus.common_labels(some, catalogue.LABELS) == ()
    own, across, back, other = cross_corpus.measure(RECIPE, some, desk)
    assert across.problem == back.problem == "1 shared label" and across.labels == ("happy",) and across.uar == 0
    assert own.labels == ("neutral", "happy", "sad", "angry") and other.labels == ("happy", "fear", "disgust")


def test_a_cell_says_which_recordings_occur_more_than_once(tables, desk, monkeypatch):
    original = cross_corpus.held_out
    monkeypatch.setattr(
        cross_corpus, "held_out", lambda *given, **more: replace(original(*given, **more), doubles="As said.")
    )
    some = {name: table[table[catalogue.EMOTION] != "angry"].reset_index(drop=True) for name, table in tables.items()}
    cells = cross_corpus.measure(RECIPE, {"tess": some["tess"], "ravdess": some["ravdess"]}, desk)
    assert {cell.doubles for cell in cells} == {"As said."}
    values = cross_corpus.to_dict(cells[0])
    assert cross_corpus.from_dict(values).doubles == "As said."
    del values["doubles"]
    assert cross_corpus.from_dict(values).doubles == "", "results of an earlier version have none"


def test_a_corpus_of_one_speaker_has_no_diagonal(tables, desk):
    one = tables["tess"][tables["tess"][catalogue.SPEAKER] == "tess:OAF"].reset_index(drop=True)
    cells = cross_corpus.measure(RECIPE, {"ravdess": tables["ravdess"], "tess": one}, desk)
    assert "1 speaker here" in cells[3].problem and not cells[1].problem


def test_one_corpus_is_no_matrix(tables, desk):
    with pytest.raises(ConfigError, match=r"needs two corpora or more\. Got tess"):
        cross_corpus.measure(RECIPE, {"tess": tables["tess"]}, desk)


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
    assert cross_corpus.means(cells) == (pytest.approx(0.6), pytest.approx(0.3))
    assert cross_corpus.means(cells[3:]) is None and cross_corpus.means([]) is None


def test_the_shipped_results_have_every_cell_and_leaving_the_corpus_costs():
    ready = cross_corpus.read_results()
    assert set(ready.models) == set(cross_corpus.WORKED_OUT) and list(ready.corpora) == [
        "ravdess",
        "tess",
        "savee",
        "emodb",
    ]
    for cells in ready.models.values():
        assert [(cell.train, cell.test) for cell in cells] == [(a, b) for a in ready.corpora for b in ready.corpora]
        assert {len(cell.labels) for cell in cells} == {6} and not any(cell.problem for cell in cells)
        assert all(cell.low <= cell.uar <= cell.high for cell in cells)
        own, other = cross_corpus.means(cells)
        assert own > other
    assert ready.command.startswith("python -m ser_core matrix --corpus ravdess=DIR")


@pytest.mark.parametrize("text", ['{"models": 3}', '{"models": {}, "command": "", "corpora": {"tess": Infinity}}'])
def test_damaged_results_are_said(tmp_path, text):
    (tmp_path / "matrix.json").write_text(text)
    with pytest.raises(ConfigError, match=r"The results in 'matrix\.json' cannot be read"):
        cross_corpus.read_results(tmp_path / "matrix.json")
