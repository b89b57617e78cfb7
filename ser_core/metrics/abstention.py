"""Abstention (selective classification): the threshold of the top probability below which a model says "not sure".

Pure arrays in, one number out; the curve that it is read from is curves.risk_coverage. The training room chooses
the threshold, always on clips that the weights were not trained on, and the model's card keeps it.
"""

from __future__ import annotations

import numpy as np

from ser_core.metrics import curves

MAX_WRONG = 0.25
"""Largest share of wrong answers."""

MIN_ANSWERED = 0.5
"""Least share of answered clips: a poor model must show in its figures, not in its abstentions."""

MIN_CLIPS = 40
"""Fewer clips than this are too few to choose on."""

NOT_SURE = "not sure"

ABSTENTION_RULE = (
    "The threshold is the lowest at which at most one answer in four is wrong, every speaker counting the same; if that would leave more "
    "than half of the clips unanswered, it is the one that answers half. It is chosen on clips that the weights had not learned from."
)


def choose(sure: np.ndarray, right: np.ndarray, speakers: np.ndarray) -> float | None:
    """Return the lowest threshold at which at most MAX_WRONG of the answers are wrong and MIN_ANSWERED of the clips are answered.

    Where no threshold keeps both, the one that answers MIN_ANSWERED. It is rounded down to 1e-4; None where there are fewer than
    MIN_CLIPS clips.

    Parameters
    ----------
    sure : float (n_clips,), 0..1, the calibrated probability of the answer.
    right : bool (n_clips,), whether the answer was right.
    speakers : (n_clips,), the speaker of each clip: all speakers count the same, regardless of their number of clips.

    Notes
    -----
    Geifman & El-Yaniv (2017), "Selective classification for deep neural networks", choose by risk alone and with a bound that holds for
    clips drawn at random. Clips of one speaker are alike, so no such bound is claimed here.
    """
    if len(sure) < MIN_CLIPS:
        return None
    _, speaker, counts = np.unique(speakers, return_inverse=True, return_counts=True)
    thresholds, answered, wrong = curves.risk_coverage(sure, right, weight=1 / counts[speaker])
    enough = int(np.argmax(answered >= MIN_ANSWERED - 1e-9))
    good = np.flatnonzero(wrong <= MAX_WRONG + 1e-9)
    place = max(enough, int(good[-1]) if len(good) else 0)
    return float(np.floor(thresholds[place] * 1e4) / 1e4)


def choose_apart(sure: np.ndarray, right: np.ndarray, speakers: np.ndarray, folds: np.ndarray) -> np.ndarray | None:
    """Return for each clip, float (n_clips,), the threshold that is chosen on the clips of the other folds; None where they are too few.

    A threshold must be evaluated on other clips than those that chose it.
    """
    found = np.zeros(len(sure))
    for fold in np.unique(folds):
        inside = folds == fold
        threshold = choose(sure[~inside], right[~inside], speakers[~inside])
        if threshold is None:
            return None
        found[inside] = threshold
    return found


def of_folds(
    probabilities: np.ndarray, y: np.ndarray, speakers: np.ndarray, folds: np.ndarray
) -> tuple[float | None, np.ndarray | None]:
    """Return the threshold that all clips of a cross-validation choose, and for each clip the one that the other folds choose.

    Both are None where a fold leaves too few.

    Parameters
    ----------
    probabilities : (n_clips, n_labels), calibrated, of each clip by the model that was not trained on its fold.
    y : int (n_clips,), positions of the true labels.
    speakers, folds : (n_clips,), who speaks, and the fold of each clip.
    """
    sure, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == y
    apart = choose_apart(sure, right, speakers, folds)
    return (None, None) if apart is None else (choose(sure, right, speakers), apart)


def is_sure(probability: float, threshold: float | None) -> bool | None:
    """Return whether a top probability is enough to answer; None for a model without a threshold, which always answers."""
    return None if threshold is None else probability >= threshold
