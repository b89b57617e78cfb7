"""The log-linear pool: one distribution from those of several models, and its weights fitted on held-out answers.

Pure arrays. recognition/together.py applies the weights, training/together.py chooses them; the pool of one model is calibration.py's
temperature scaling.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FLOOR = 1e-3
"""Probabilities below this count as this: in a product, a model that excludes a label would overrule all others."""

MAX_WEIGHT = 10.0


@dataclass(frozen=True)
class Answers:
    """Held-out answers to learn weights from.

    probabilities: (n_models, n_clips, n_labels), calibrated; y: int (n_clips,), positions of the true labels; weight: float (n_clips,), how
    much each clip counts.
    """

    probabilities: np.ndarray
    y: np.ndarray
    weight: np.ndarray


def pool(probabilities: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted product of distributions (n_models, ..., n_labels), normalised: (..., n_labels).

    weights : float (n_models,), not negative. Their sum acts as an inverse temperature: above 1 the pool is surer than its models.

    Notes
    -----
    Genest & Zidek (1986), "Combining probability distributions: a critique and an annotated bibliography", Statistical Science 1(1):
    the logarithmic opinion pool, here with weights whose sum is free.
    """
    return _normalised(np.tensordot(weights, _logarithms(probabilities), axes=1))


def fit(parts: Sequence[Answers]) -> np.ndarray:
    """Return the weights, float (n_models,) in 0..MAX_WEIGHT, with the least log loss of the pool over all parts together.

    Each part counts by the sum of its clips' weights; parts may have different labels. The loss is convex, so there is one minimum.
    """
    from scipy.optimize import minimize  # training only

    logarithms = [_logarithms(each.probabilities) for each in parts]
    n_models = len(logarithms[0])
    total = sum(float(each.weight.sum()) for each in parts)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = 0.0, np.zeros(n_models)
        for each, logs in zip(parts, logarithms, strict=True):
            pooled = _normalised(np.tensordot(weights, logs, axes=1))
            clips = np.arange(len(each.y))
            value -= float(each.weight @ np.log(np.maximum(pooled[clips, each.y], np.finfo(float).tiny)))
            slope -= (logs[:, clips, each.y] - np.einsum("mnk,nk->mn", logs, pooled)) @ each.weight
        return value / total, slope / total

    start = np.full(n_models, 1 / n_models)
    best = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0.0, MAX_WEIGHT)] * n_models)
    weights: np.ndarray = best.x.clip(0.0, MAX_WEIGHT).round(4)
    return weights


def _logarithms(probabilities: np.ndarray) -> np.ndarray:
    logs: np.ndarray = np.log(np.maximum(probabilities, FLOOR))
    return logs


def _normalised(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: np.ndarray = powers / powers.sum(axis=-1, keepdims=True)
    return shares
