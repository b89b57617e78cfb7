"""A ready-to-use model: feature settings, classifier, labels and calibration in one value, so that they cannot come apart."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from ser_core import certainty, classifiers, features
from ser_core.errors import ModelError
from ser_core.features import FeatureConfig, Features

_FLOOR = 1e-4
"""Probabilities below this count as this, so that a neighbour vote of 0 stays finite in the logarithm."""


@dataclass(frozen=True)
class Prediction:
    """What one model says of one clip: probabilities in label order, summing to 1; milliseconds is the classifier's own time.

    threshold: below this top probability the model is not sure, and `label` is no more than its leading guess; None where it has none.
    """

    model: str
    label: str
    probabilities: dict[str, float]
    milliseconds: float
    threshold: float | None = None

    @property
    def sure(self) -> bool | None:
        """Whether the model is sure of its label; None for one that never says that it is not."""
        return certainty.is_sure(self.probabilities[self.label], self.threshold)

    def to_dict(self) -> dict[str, Any]:
        """Return the prediction as JSON values."""
        return {
            "model": self.model,
            "label": self.label,
            "probabilities": self.probabilities,
            "milliseconds": self.milliseconds,
            "sure": self.sure,
        }


@dataclass(frozen=True)
class Recognizer:
    """A trained classifier with everything that its input and output need."""

    slug: str
    config: FeatureConfig
    labels: tuple[str, ...]
    classifier: classifiers.Classifier
    input_kind: str
    temperature: float = 1.0
    threshold: float | None = None

    def predict(self, measured: Features) -> Prediction:
        """Return the model's prediction for features that were extracted with this recognizer's own config."""
        return self.answer(inputs(measured, self.input_kind))

    def answer(self, items: np.ndarray) -> Prediction:
        """Return the model's prediction for what `inputs` gave of its own config and input_kind."""
        start = time.perf_counter()
        probabilities = calibrate(pool(self.classifier.predict_proba(items)), self.temperature)
        milliseconds = (time.perf_counter() - start) * 1000
        if not np.isfinite(probabilities).all():
            raise ModelError(
                f"Model '{self.slug}' answers with something that is no probability. Choose another, or train it again."
            )
        return Prediction(
            model=self.slug,
            label=self.labels[int(probabilities.argmax())],
            probabilities={label: float(p) for label, p in zip(self.labels, probabilities, strict=True)},
            milliseconds=round(milliseconds, 3),
            threshold=self.threshold,
        )


def inputs(measured: Features, input_kind: str) -> np.ndarray:
    """Return what a classifier of this kind sees of a clip: its summary as one row, or its windows (features.windows)."""
    return features.summary(measured)[np.newaxis] if input_kind == "vector" else features.windows(measured)


def pool(probabilities: np.ndarray) -> np.ndarray:
    """Return one distribution (n_labels,) for the windows of a clip (n_windows, n_labels): their mean."""
    mean: np.ndarray = probabilities.mean(axis=0)
    return mean


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
