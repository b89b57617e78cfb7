"""Differences, slices and disagreements on outcomes whose answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from ser_core.corpora import catalogue
from ser_core.errors import ConfigError
from ser_core.experiments import comparison
from ser_core.experiments.outcome import Outcome

LABELS = ("neutral", "happy", "sad")


def outcome(right: np.ndarray, *, model: str = "one", n_speakers: int = 8, seed: int = 0) -> Outcome:
    """An outcome whose clips are answered right where `right` says so, else with the next label."""
    rng = np.random.default_rng(seed)
    y = np.arange(len(right)) % 3
    speaker = rng.permutation(len(right)) % n_speakers + 1
    numbers = range(len(right))
    clips = pd.DataFrame(
        {
            "path": [f"/{number}.wav" for number in numbers],
            "corpus": "ravdess",
            "speaker": [f"ravdess:{each:02d}" for each in speaker],
            "emotion": [LABELS[each] for each in y],
            "sentence": ["01", "02"] * (len(right) // 2),
            "intensity": "",
            "sex": ["male" if each % 2 else "female" for each in speaker],
            "name": [str(number) for number in numbers],
        }
    )
    answer = np.where(right, y, (y + 1) % 3)
    return Outcome(model=model, protocol="as trained", labels=LABELS, clips=clips, y=y, probabilities=np.eye(3)[answer])


def test_a_large_difference_means_something_and_is_the_difference_of_the_figures():
    rng = np.random.default_rng(1)
    one, other = outcome(rng.random(240) < 0.9), outcome(rng.random(240) < 0.4, model="other")
    found = comparison.difference(one, other, rng=rng)
    uar = [metrics.balanced_accuracy_score(each.y, each.answer) for each in (one, other)]
    assert (
        found.value == pytest.approx(uar[0] - uar[1])
        and found.low < found.value < found.high
        and found.over == "speakers"
    )
    assert not found.means_nothing
    turned = comparison.difference(other, one, rng=np.random.default_rng(1))
    assert turned.value == pytest.approx(-found.value)


def test_a_model_does_not_differ_from_itself():
    one = outcome(np.random.default_rng(1).random(240) < 0.6)
    found = comparison.difference(one, replace(one, model="twin"), rng=np.random.default_rng(0))
    assert (found.value, found.low, found.high) == (0, 0, 0) and found.means_nothing


def test_a_difference_that_one_speaker_makes_means_nothing():
    right = np.random.default_rng(1).random(240) < 0.6
    one = outcome(right)
    better = right | (one.clips["speaker"] == "ravdess:01").to_numpy()
    found = comparison.difference(outcome(better), one, rng=np.random.default_rng(0))
    assert found.value > 0 and found.means_nothing


def test_the_pairing_counts():
    """Equal scores of the same clips leave no doubt; equal scores of unrelated clips do."""
    rng = np.random.default_rng(2)
    right = rng.random(240) < 0.6
    worse = right.copy()
    worse[np.flatnonzero(right)[::8]] = False
    paired = comparison.difference(outcome(right), outcome(worse), rng=np.random.default_rng(0))
    unrelated = comparison.difference(outcome(right), outcome(rng.permutation(worse)), rng=np.random.default_rng(0))
    assert paired.high - paired.low < unrelated.high - unrelated.low


def test_few_speakers_are_drawn_by_clip():
    right = np.arange(60) % 2 == 0
    assert (
        comparison.difference(
            outcome(right, n_speakers=2), outcome(~right, n_speakers=2), rng=np.random.default_rng(0)
        ).over
        == "clips"
    )


def test_slices_are_the_figures_of_their_clips():
    one = outcome(np.random.default_rng(3).random(240) < 0.6)
    for by in (catalogue.SEX, catalogue.SPEAKER, catalogue.SENTENCE, comparison.AGE, catalogue.EMOTION):
        table = comparison.slices(one, by)
        assert table["n_clips"].sum() == 240
        for row in table.to_dict("records"):
            inside = comparison.groups(one.clips, by) == row["group"]
            assert row["accuracy"] == pytest.approx((one.answer == one.y)[inside].mean())
            present = np.unique(one.y[inside])
            assert row["uar"] == pytest.approx(
                metrics.recall_score(one.y[inside], one.answer[inside], average="macro", labels=present)
            )
    assert comparison.slices(one, catalogue.INTENSITY)["group"].tolist() == ["not stated"]
    assert "Kids are talking by the door" in set(comparison.groups(one.clips, catalogue.SENTENCE))


def test_ages_are_told_in_tens_where_a_corpus_publishes_them():
    clips = outcome(np.ones(6, bool)).clips.assign(corpus="emodb", speaker=["emodb:03", "emodb:08"] * 3)
    assert set(comparison.groups(clips, comparison.AGE)) == {"30s"}
    with pytest.raises(ConfigError, match="cannot be grouped by 'mood'"):
        comparison.groups(clips, "mood")


def test_disagreements_come_with_the_truth_and_every_answer():
    right = np.ones(12, bool)
    one, other = outcome(right), outcome(np.arange(12) != 4, model="other")
    found = comparison.disagreements([one, other])
    assert found.to_dict("records") == [{"place": 4, "truth": "happy", "one": "happy", "other": "sad", "n_right": 1}]
    assert comparison.disagreements([one, one]).empty


def test_other_clips_cannot_be_compared():
    one, fewer = outcome(np.ones(12, bool)), outcome(np.ones(6, bool))
    with pytest.raises(ConfigError, match="not tested on the same clips"):
        comparison.difference(one, fewer, rng=np.random.default_rng(0))
