"""What a measurement gives: probabilities per clip, and the figures over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ser_core.corpora import catalogue
from ser_core.errors import ConfigError
from ser_core.experiments import contamination
from ser_core.metrics import evaluation
from ser_core.metrics.evaluation import Evaluation

OVERALL = "all corpora"
AS_TRAINED = "as trained"
"""The protocol of a trained model that is scored as it is: its card lists its training data."""

MEAN = "mean"
"""The name of several models' mean, in place of a model's."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A model's predictions for the clips that it was tested on.

    clips: the tested clips, one row each; y: int (n_clips,), positions in `labels`; probabilities: (n_clips, n_labels), calibrated. seen:
    each of evaluation.SEEN -> bool (n_clips,), None for a trained model; rounds: how many of the protocol's folds are in it, and of how
    many. heard: for a trained model, its training overlap with the clips, and threshold, from which top probability on it answers.
    doubles: a sentence on the recordings that occur more than once among the clips; "" where none does.
    """

    model: str
    protocol: str
    labels: tuple[str, ...]
    clips: pd.DataFrame
    y: np.ndarray
    probabilities: np.ndarray
    seen: dict[str, np.ndarray] | None = None
    rounds: tuple[int, int] | None = None
    heard: contamination.TrainingOverlap | None = None
    problems: tuple[tuple[str, str], ...] = ()
    threshold: float | None = None
    doubles: str = ""

    @property
    def answer(self) -> np.ndarray:
        """The position of the label that was answered, int (n_clips,)."""
        leading: np.ndarray = self.probabilities.argmax(axis=1)
        return leading


def mean(outcomes: Sequence[Outcome], name: str = MEAN) -> Outcome:
    """Return the mean of several models' probabilities on the same clips, as the outcome of one more model.

    Raises
    ------
    ConfigError : if they did not answer on the same clips with the same labels.
    """
    first = outcomes[0]
    if any(
        each.labels != first.labels or not _same_clips(each, first) or each.protocol != first.protocol
        for each in outcomes
    ):
        raise ConfigError("A mean needs models with the same labels, tested on the same clips. Choose others.")
    heard = [each.heard for each in outcomes if each.heard]
    return replace(
        first,
        model=name,
        threshold=None,
        probabilities=np.mean([each.probabilities for each in outcomes], axis=0),
        heard=contamination.together(heard) if heard else None,
    )


def figures(outcome: Outcome) -> dict[str, Evaluation]:
    """Return the figures by corpus; where there are several, those over all come first, as OVERALL."""
    names = outcome.clips[catalogue.CORPUS].to_numpy()
    there = [str(name) for name in dict.fromkeys(names)]
    masks = ({OVERALL: np.ones(len(names), bool)} if len(there) > 1 else {}) | {name: names == name for name in there}
    return {
        name: evaluation.evaluate(
            outcome.y[mask],
            outcome.probabilities[mask],
            labels=outcome.labels,
            protocol=outcome.protocol,
            corpus=name,
            speakers=outcome.clips[catalogue.SPEAKER].to_numpy()[mask],
            rng=np.random.default_rng(0),
            seen={kind: each[mask] for kind, each in outcome.seen.items()} if outcome.seen else None,
            human=catalogue.CORPORA[name].human_accuracy if name in catalogue.CORPORA else None,
            threshold=outcome.threshold,
        )
        for name, mask in masks.items()
    }


def to_dict(outcome: Outcome) -> dict[str, Any]:
    """Return the figures as JSON values: model, those over all clips, "per_corpus" where there are several, "heard" of a trained one."""
    by_corpus = figures(outcome)
    first, *others = by_corpus
    values: dict[str, Any] = {"model": outcome.model, **by_corpus[first].to_dict()}
    if others:
        values["per_corpus"] = {name: by_corpus[name].to_dict() for name in others}
    if outcome.heard:
        values["heard"] = contamination.shares(outcome.heard)
    if outcome.doubles:
        values["doubles"] = outcome.doubles
    if outcome.problems:
        values["unreadable"] = [list(problem) for problem in outcome.problems]
    return values


def _same_clips(one: Outcome, other: Outcome) -> bool:
    columns = [catalogue.CORPUS, catalogue.NAME]
    return len(one.y) == len(other.y) and bool((one.clips[columns].to_numpy() == other.clips[columns].to_numpy()).all())


def part(outcome: Outcome, mask: np.ndarray) -> Outcome:
    """Return the outcome on some of the clips: those where `mask`, bool (n_clips,), is true."""
    heard = outcome.heard
    return replace(
        outcome,
        clips=outcome.clips[mask].reset_index(drop=True),
        y=outcome.y[mask],
        probabilities=outcome.probabilities[mask],
        seen={name: each[mask] for name, each in outcome.seen.items()} if outcome.seen else None,
        heard=contamination.TrainingOverlap(
            heard.clip[mask], heard.speaker[mask], heard.chosen[mask], heard.untold[mask]
        )
        if heard
        else None,
    )
