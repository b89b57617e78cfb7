"""The curves behind the figures of an Evaluation: ROC, reliability, risk and coverage, top probabilities of right and wrong answers.

Pure arrays in, values that survive JSON out. evaluation.py keeps them with the figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import numpy as np

from ser_core.system import untrusted_json

N_BINS = 15
"""Bins of the reliability diagram and of the ECE; each holds as many clips as the others."""

N_STEPS = 10
"""Steps of the top probability, of 0.1 each."""

MAX_POINTS = 40
"""Points kept of a curve; its area is taken from all."""

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Point = tuple[Share, Share]
Steps = Annotated[tuple[Count, ...], msgspec.Meta(min_length=N_STEPS, max_length=N_STEPS)]

_OPTIONAL = ("risk", "aurc")
"""Entries that older cards lack."""


@dataclass(frozen=True, kw_only=True)
class Curves:
    """Curves of one model on held-out clips; all shares and probabilities lie in 0..1.

    auc: label -> area under its one-against-the-rest ROC curve, for labels that occur beside others. roc: label -> its points (false
    positive rate, true positive rate), rising, thinned to MAX_POINTS. reliability: N_BINS bins of equally many clips, the least sure
    first, as (clips, mean top probability, share right). top: answered label -> two rows of N_STEPS counts, over the top probability in
    steps of 0.1: answers that were right, and that were wrong. risk: points (share of the clips that are answered, share of these answers
    that are wrong), the surest clips first, thinned to MAX_POINTS; aurc: the area under them, lower is better. Older cards lack both.
    """

    auc: Mapping[str, Share]
    roc: Mapping[str, tuple[Point, ...]]
    reliability: tuple[tuple[Count, Share, Share], ...]
    top: Mapping[str, tuple[Steps, Steps]]
    risk: tuple[Point, ...] = ()
    aurc: Share | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the curves as JSON values; Curves.from_dict(that) equals self."""
        values = untrusted_json.plain(self)
        return {name: value for name, value in values.items() if name not in _OPTIONAL or self.aurc is not None}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Curves:
        """Build curves from JSON values.

        Raises
        ------
        ValueError : if they are none.
        """
        return untrusted_json.convert(values, cls)


def curves(y_true: np.ndarray, probabilities: np.ndarray, labels: Sequence[str]) -> Curves:
    """Return the curves of a model; y_true (n_clips,) positions in `labels`, probabilities (n_clips, n_labels)."""
    from sklearn import metrics  # as in evaluation.py: what reads stored curves can do without

    answer, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
    right = answer == y_true
    auc, roc = {}, {}
    for position, label in enumerate(labels):
        truth = y_true == position
        if 0 < truth.sum() < len(truth):
            auc[label] = round(float(metrics.roc_auc_score(truth, probabilities[:, position])), 6)
            roc[label] = _thinned(*metrics.roc_curve(truth, probabilities[:, position])[:2])
    step = np.minimum((sure * N_STEPS).astype(int), N_STEPS - 1)
    _, answered, wrong = risk_coverage(sure, right)
    return Curves(
        auc=auc,
        roc=roc,
        reliability=tuple((n, round(mean, 6), round(share, 6)) for n, mean, share in reliability(sure, right)),
        top={
            label: (_histogram(step[(answer == position) & right]), _histogram(step[(answer == position) & ~right]))
            for position, label in enumerate(labels)
            if (answer == position).any()
        },
        risk=_thinned(answered, wrong),
        aurc=round(float(np.diff(answered, prepend=0.0) @ wrong), 6),
    )


def risk_coverage(
    sure: np.ndarray, right: np.ndarray, weight: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what each threshold would cost: thresholds, falling; share of the clips answered; share of these answers that is wrong.

    All three are float (n_thresholds,): a threshold is each top probability that occurs, and clips at or above it are answered.

    Parameters
    ----------
    sure : float (n_clips,), 0..1, the probability of the answer.
    right : bool (n_clips,), whether the answer was right.
    weight : float (n_clips,), above 0: how much each clip counts, all the same by default.

    Notes
    -----
    The risk-coverage curve of Geifman & El-Yaniv (2017), "Selective classification for deep neural networks".
    """
    counts = np.ones(len(sure)) if weight is None else weight
    falling, group = np.unique(-np.asarray(sure, float), return_inverse=True)
    answered = np.cumsum(np.bincount(group, weights=counts))
    wrong = np.cumsum(np.bincount(group, weights=counts * ~np.asarray(right, bool)))
    return -falling, answered / answered[-1], wrong / answered


def reliability(sure: np.ndarray, right: np.ndarray, n_bins: int = N_BINS) -> list[tuple[int, float, float]]:
    """Return (clips, mean top probability, share right) of bins of equally many clips, up to one; the least sure come first.

    Clips of one and the same probability count as equally often right, so that the order of the clips does not matter.

    Parameters
    ----------
    sure : float (n_clips,), 0..1, the probability of the answer.
    right : bool (n_clips,), whether the answer was right.

    Notes
    -----
    Nguyen & O'Connor (2015), "Posterior calibration and exploratory analysis", with adaptive bins.
    """
    values, group = np.unique(np.asarray(sure, float), return_inverse=True)
    share_right = np.bincount(group, weights=np.asarray(right, float)) / np.bincount(group)
    ordered = np.sort(group)
    return [
        (len(part), float(values[part].mean()), float(share_right[part].mean()))
        for part in np.array_split(ordered, n_bins)
        if len(part)
    ]


def _thinned(x: np.ndarray, y: np.ndarray) -> tuple[tuple[float, float], ...]:
    kept = np.unique(np.linspace(0, len(x) - 1, min(len(x), MAX_POINTS)).round().astype(int))
    return tuple((round(float(x[each]), 4), round(float(y[each]), 4)) for each in kept)


def _histogram(step: np.ndarray) -> tuple[int, ...]:
    return tuple(np.bincount(step, minlength=N_STEPS).tolist())
