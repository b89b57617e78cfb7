"""Temperature scaling (Guo et al. 2017): probabilities calibrated by one number, fitted on validation clips."""

from __future__ import annotations

import numpy as np

_FLOOR = 1e-4
"""Probabilities below this count as this, so that a neighbour vote of 0 stays finite in the logarithm."""


def calibrate(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return probabilities (..., n_labels) sharpened or flattened: p ** (1 / temperature), normalised (Guo et al. 2017)."""
    logits = np.log(np.maximum(probabilities, _FLOOR)) / temperature
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    softened: np.ndarray = powers / powers.sum(axis=-1, keepdims=True)
    return softened


def fit_temperature(probabilities: np.ndarray, y: np.ndarray) -> float:
    """Return the temperature in [0.25, 8] with the least log loss on validation clips (n, n_labels), labels y (n,)."""

    from scipy.optimize import minimize_scalar  # training only: 0.1 s that a server need not wait for

    def loss(log_temperature: float) -> float:
        calibrated = calibrate(probabilities, float(np.exp(log_temperature)))
        return -float(np.mean(np.log(calibrated[np.arange(len(y)), y])))

    best = minimize_scalar(loss, bounds=(np.log(0.25), np.log(8.0)), method="bounded")
    return round(float(np.exp(best.x)), 4)
