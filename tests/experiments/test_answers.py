"""The clips behind a cell: those of an outcome, and stored ones where they give the matrix that was published."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ser_core import paths
from ser_core.corpora import catalogue
from ser_core.experiments import answers, outcome
from ser_core.metrics import evaluation
from ser_core.metrics.evaluation import OVERALL, Evaluation
from ser_core.recognition import store
from ser_core.training import held_out
from ser_core.training.held_out import HeldOut

LABELS = ("neutral", "happy", "sad")
ACTED = ("neutral", "neutral", "happy", "happy", "sad", "sad")
SHARES = np.array(
    [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.1, 0.6, 0.3], [0.05, 0.9, 0.05], [0.3, 0.3, 0.4], [0.5, 0.3, 0.2]]
)


def clips(corpora: tuple[str, ...] = ("ravdess",) * 6) -> pd.DataFrame:
    return pd.DataFrame(
        {
            catalogue.PATH: [f"/somewhere/{k}.wav" for k in range(6)],
            catalogue.CORPUS: corpora,
            catalogue.SPEAKER: [f"ravdess:{k % 2}" for k in range(6)],
            catalogue.EMOTION: ACTED,
            catalogue.SENTENCE: "a",
            catalogue.SEX: "",
            catalogue.INTENSITY: "",
            catalogue.NAME: [f"{k}.wav" for k in range(6)],
        }
    )


def figures(shares: np.ndarray = SHARES, *, corpus: str = "ravdess", rows: slice = slice(None)) -> Evaluation:
    return evaluation.evaluate(
        np.array([LABELS.index(label) for label in ACTED])[rows],
        shares[rows],
        labels=LABELS,
        speakers=np.arange(6)[rows] % 2,
        protocol="speaker",
        corpus=corpus,
        rng=np.random.default_rng(0),
        n_bootstrap=10,
    )


def part(shares: np.ndarray = SHARES, table: pd.DataFrame | None = None) -> HeldOut:
    return held_out.of(
        clips() if table is None else table,
        np.zeros(6),
        shares,
        "knn",
        labels=LABELS,
        protocol="speaker",
        scope=held_out.ALL,
    )


def matrix(found: answers.Answers) -> list[list[int]]:
    return [[len(found.cell(acted, answered)) for answered in found.labels] for acted in found.labels]


def test_the_cells_of_an_outcome_hold_as_many_clips_as_its_matrix_counts():
    y = np.array([LABELS.index(label) for label in ACTED])
    found = answers.of_outcome(
        outcome.Outcome(model="knn", protocol="speaker", labels=LABELS, clips=clips(), y=y, probabilities=SHARES)
    )
    assert matrix(found) == [list(row) for row in figures().confusion]
    assert found.cell("happy", "happy").tolist() == [3, 2]  # the surest first
    assert found.cell("happy", "boredom").size == 0


def test_a_row_says_which_clip_the_answer_and_the_next_label_and_no_path():
    table = answers.Answers(clips(), LABELS, SHARES.argmax(axis=1), SHARES).table(np.array([5]))
    (row,) = table.to_dict("records")
    assert row == {
        "corpus": "ravdess",
        "name": "5.wav",
        "speaker": "ravdess:1",
        "acted": "sad",
        "answered": "neutral",
        "probability": 0.5,
        "next": "happy",
        "next_probability": 0.3,
        "p_neutral": 0.5,
        "p_happy": 0.3,
        "p_sad": 0.2,
    }


def test_stored_answers_are_found_for_the_figures_that_they_give():
    parts = [replace(part(SHARES[::-1]), protocol="random"), replace(part(), condition="babble 10"), part()]
    found = answers.stored(parts, "knn", figures())
    assert found is not None and matrix(found) == [list(row) for row in figures().confusion]
    assert answers.stored(parts, "mlp", figures()) is None
    assert answers.stored(parts[:2], "knn", figures()) is None
    changed = replace(figures(), confusion=((2, 0, 0), (0, 2, 0), (0, 1, 1)))
    assert answers.stored(parts, "knn", changed) is None
    assert answers.stored([replace(part(), labels=(*LABELS, "angry"))], "knn", figures()) is None


def test_figures_of_one_corpus_and_those_over_all_have_their_own_clips():
    table = clips(("tess",) * 2 + ("ravdess",) * 4)
    one = answers.stored([part(table=table)], "knn", figures(corpus="ravdess", rows=slice(2, None)))
    every = answers.stored([part(table=table)], "knn", figures(corpus=OVERALL))
    assert one is not None and one.clips[catalogue.NAME].tolist() == ["2.wav", "3.wav", "4.wav", "5.wav"]
    assert every is not None and len(every.clips) == 6


def test_labels_that_a_file_leaves_equal_are_placed_as_the_matrix_counts_them():
    tied = SHARES.copy()
    tied[4], tied[5] = [0.45, 0.1, 0.45], [0.45, 0.1, 0.45]
    wanted = replace(figures(), confusion=((1, 1, 0), (0, 2, 0), (1, 0, 1)))
    found = answers.stored([part(tied)], "knn", wanted)
    assert found is not None and matrix(found) == [list(row) for row in wanted.confusion]
    impossible = replace(wanted, confusion=((1, 1, 0), (0, 2, 0), (0, 1, 1)))  # happy leads in neither
    assert answers.stored([part(tied)], "knn", impossible) is None


def test_so_many_ties_that_placing_them_would_take_long_are_not_placed(monkeypatch):
    monkeypatch.setattr(answers, "MAX_TIES", 1)
    tied = np.tile([0.45, 0.45, 0.1], (6, 1))
    assert answers.stored([part(tied)], "knn", replace(figures(), confusion=((2, 0, 0), (1, 1, 0), (1, 1, 0)))) is None


@pytest.mark.skipif(not held_out.RESULTS.exists(), reason="the held-out answers are not here")
def test_every_figure_of_the_shipped_cards_has_its_clips():
    """Where the shipped models are there, so are the answers behind each matrix on their cards."""
    parts = held_out.read()
    cards, _ = store.list_models(paths.models_folder())
    for card in cards:
        for _, each in card.measured if card.slug in store.SHIPPED else ():
            found = answers.stored(parts, card.slug, each)
            assert found is not None, (card.slug, each.corpus, each.protocol)
            assert matrix(found) == [list(row) for row in each.confusion]
