"""Models against each other on the same clips: whether a difference is significant, where they disagree, and for whom they do worse.

Input is outcomes of measure.py. Figures of one model alone are metrics/evaluation.py's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ser_core.corpora import catalogue
from ser_core.errors import ConfigError
from ser_core.experiments.outcome import Outcome
from ser_core.metrics.evaluation import INTERVAL_SHARE, MIN_SPEAKERS

AGE = "age"
SLICES = (
    catalogue.CORPUS,
    catalogue.SPEAKER,
    catalogue.SEX,
    AGE,
    catalogue.INTENSITY,
    catalogue.SENTENCE,
    catalogue.EMOTION,
)
"""What clips can be grouped by: columns of the clips table, and the age that a corpus publishes."""

UNKNOWN = "not stated"


@dataclass(frozen=True)
class Difference:
    """By how much one model is better than another on the same clips, in UAR; low and high bound 95 %. over: "speakers" or "clips"."""

    one: str
    other: str
    value: float
    low: float
    high: float
    over: str

    @property
    def means_nothing(self) -> bool:
        """Whether 0 lies within the interval: other speakers might have reversed the order."""
        return self.low <= 0 <= self.high


def difference(one: Outcome, other: Outcome, *, rng: np.random.Generator, n_bootstrap: int = 2000) -> Difference:
    """Return the difference in UAR of two models, with a paired bootstrap: each sample draws the same speakers for both.

    Below MIN_SPEAKERS speakers the clips are drawn, each with what both models answered.

    Raises
    ------
    ConfigError : if the two were not tested on the same clips with the same truth.
    """
    truth = check_same([one, other])
    right = np.stack([one.answer == one.y, other.answer == other.y])
    labels, label = np.unique(truth, return_inverse=True)
    names, speaker = np.unique(one.clips[catalogue.SPEAKER].to_numpy(), return_inverse=True)
    if len(names) >= MIN_SPEAKERS:
        over, unit, n_units = "speakers", speaker, len(names)
    else:
        over, unit, n_units = "clips", np.arange(len(truth)), len(truth)
    cell = unit * len(labels) + label
    n = np.bincount(cell, minlength=n_units * len(labels)).reshape(n_units, -1)
    hits = [np.bincount(cell, weights=each, minlength=n_units * len(labels)).reshape(n_units, -1) for each in right]
    draws = rng.multinomial(n_units, np.full(n_units, 1 / n_units), size=n_bootstrap)
    there = draws @ n
    first, second = (_uar(draws @ each, there) for each in hits)
    tail = (1 - INTERVAL_SHARE) / 2
    low, high = np.quantile(first - second, [tail, 1 - tail])
    all_clips = n.sum(axis=0, keepdims=True)
    value = float(
        _uar(hits[0].sum(axis=0, keepdims=True), all_clips)[0] - _uar(hits[1].sum(axis=0, keepdims=True), all_clips)[0]
    )
    return Difference(one.model, other.model, value, float(low), float(high), over)


def slices(outcome: Outcome, by: str) -> pd.DataFrame:
    """Return one row per value of `by`, one of SLICES: its name, clips, accuracy and UAR, both 0..1; the most clips first.

    UAR is the mean recall over the labels that occur in the slice.
    """
    table = pd.DataFrame({"group": groups(outcome.clips, by), "label": outcome.y, "right": outcome.answer == outcome.y})
    recall = table.groupby(["group", "label"])["right"].mean().groupby(level=0).mean()
    made = table.groupby("group")["right"].agg(["size", "mean"])
    return pd.DataFrame(
        {
            "group": made.index,
            "n_clips": made["size"].to_numpy(),
            "accuracy": made["mean"].to_numpy(),
            "uar": recall[made.index].to_numpy(),
        }
    ).sort_values(["n_clips", "group"], ascending=[False, True], ignore_index=True)


def groups(clips: pd.DataFrame, by: str) -> np.ndarray:
    """Return each clip's value of one of SLICES, str (n_clips,): codes, sentences as text, ages in tens; UNKNOWN without."""
    if by not in SLICES:
        raise ConfigError(f"Clips cannot be grouped by '{by}'. Choose one of {', '.join(SLICES)}.")
    if by == AGE:
        ages = {f"{name}:{code}": age for name, spec in catalogue.CORPORA.items() for code, age in spec.ages.items()}
        values = clips[catalogue.SPEAKER].map(lambda speaker: f"{ages[speaker] // 10 * 10}s" if speaker in ages else "")
    elif by == catalogue.SENTENCE:
        texts = {
            (name, code): text for name, spec in catalogue.CORPORA.items() for code, text in spec.sentences.items()
        }
        pairs = zip(clips[catalogue.CORPUS], clips[catalogue.SENTENCE], strict=True)
        values = pd.Series(
            [texts.get(pair, f"{pair[0]} {pair[1]}" if pair[1] else "") for pair in pairs], index=clips.index
        )
    else:
        values = clips[by]
    return np.where(values == "", UNKNOWN, values).astype(str)


def disagreements(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """Return the clips on which the models do not all answer the same, those with the most different answers first.

    One row per clip: place (its row in the outcomes' clips), truth, one column a model with its answer, and n_right.

    Raises
    ------
    ConfigError : if they were not tested on the same clips.
    """
    check_same(outcomes)
    first = outcomes[0]
    names = np.array(first.labels, object)
    table = pd.DataFrame({"place": np.arange(len(first.y)), "truth": names[first.y]})
    answers = pd.DataFrame({each.model: np.array(each.labels, object)[each.answer] for each in outcomes})
    n_right = answers.eq(table["truth"], axis=0).sum(axis=1)
    table = pd.concat([table, answers], axis=1).assign(n_right=n_right, n_answers=answers.nunique(axis=1))
    apart = table[table["n_answers"] > 1].sort_values(["n_answers", "n_right", "place"], ascending=[False, True, True])
    return apart.drop(columns="n_answers").reset_index(drop=True)


def check_same(outcomes: Sequence[Outcome]) -> np.ndarray:
    """Return the truth of each clip, str (n_clips,); raises ConfigError unless all were tested on the same clips."""
    columns = [catalogue.CORPUS, catalogue.NAME, catalogue.EMOTION]
    first = outcomes[0].clips[columns].to_numpy()
    if any(
        each.clips.shape[0] != len(first) or (each.clips[columns].to_numpy() != first).any() for each in outcomes[1:]
    ):
        raise ConfigError(
            "These models were not tested on the same clips, because not all know the same labels. Compare others."
        )
    truth: np.ndarray = first[:, 2].astype(str)
    return truth


def _uar(hits: np.ndarray, n: np.ndarray) -> np.ndarray:
    recall = np.divide(hits, n, out=np.zeros(hits.shape), where=n > 0)
    uar: np.ndarray = recall.sum(axis=1) / (n > 0).sum(axis=1)
    return uar
