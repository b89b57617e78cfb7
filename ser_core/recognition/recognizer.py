"""A ready-to-use model: feature settings, classifier, labels and calibration in one value, so that they stay consistent."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ser_core import classifiers
from ser_core.classifiers.contract import Discriminant
from ser_core.errors import ModelError
from ser_core.features.config import FeatureConfig
from ser_core.metrics import abstention, calibration


@dataclass(frozen=True)
class Prediction:
    """One model's prediction for one clip: probabilities in label order, summing to 1; milliseconds is the classifier's time.

    threshold: below this top probability the model abstains, and `label` is only its leading label; None where it has none.
    seen: where the clip lies in the model's discriminant (classifiers/contract.py), () where it has none: what personal.py adapts to.
    adapted: how many takes of a voice it is adapted to, 0 where it is as for everybody.
    """

    model: str
    label: str
    probabilities: dict[str, float]
    milliseconds: float
    threshold: float | None = None
    seen: tuple[float, ...] = ()
    adapted: int = 0

    @property
    def sure(self) -> bool | None:
        """Whether the model accepts its answer; None for one that never abstains."""
        return abstention.is_sure(self.probabilities[self.label], self.threshold)

    def to_dict(self) -> dict[str, Any]:
        """Return the prediction as JSON values; adapted_to_takes is there where it is adapted."""
        return {
            "model": self.model,
            "label": self.label,
            "probabilities": self.probabilities,
            "milliseconds": self.milliseconds,
            "sure": self.sure,
            **({"adapted_to_takes": self.adapted} if self.adapted else {}),
        }


def n_takes(predictions: Iterable[Prediction]) -> int:
    """Return how many takes of a voice some predictions are adapted to, 0 where none of them is."""
    return max((each.adapted for each in predictions), default=0)


def adapted_to(n: int) -> str:
    """Return what is said of predictions that are adapted to n takes of a voice: 'adapted to 8 takes'."""
    return f"adapted to {n} take{'s' * (n != 1)}"


@dataclass(frozen=True)
class Recognizer:
    """A trained classifier with everything that its input and output need. digest: what tells it from others, as together.py has it."""

    slug: str
    config: FeatureConfig
    labels: tuple[str, ...]
    classifier: classifiers.Classifier
    input_kind: str
    temperature: float = 1.0
    threshold: float | None = None
    digest: str = ""

    @property
    def discriminant(self) -> Discriminant | None:
        """Where the classifier tells labels apart; None for a network, and for an imported model."""
        return getattr(self.classifier, "discriminant", None)

    def answer(self, items: np.ndarray) -> Prediction:
        """Return the model's prediction for what vectors.inputs gave of a clip, by its own config and input_kind."""
        start = time.perf_counter()
        mean = pool(self.classifier.predict_proba(items))
        if not np.isfinite(mean).all():
            raise ModelError(
                f"Model '{self.slug}' answers with values that are not probabilities. Choose another, or retrain it."
            )
        probabilities = calibration.calibrate(mean, self.temperature)
        space = self.discriminant
        milliseconds = (time.perf_counter() - start) * 1000
        return Prediction(
            model=self.slug,
            label=self.labels[int(probabilities.argmax())],
            probabilities={label: float(p) for label, p in zip(self.labels, probabilities, strict=True)},
            milliseconds=round(milliseconds, 3),
            threshold=self.threshold,
            seen=() if space is None else tuple(space.project(items).mean(axis=0).astype(float).tolist()),
        )


def pool(probabilities: np.ndarray) -> np.ndarray:
    """Return one distribution (n_labels,) for the windows of a clip (n_windows, n_labels): their mean."""
    mean: np.ndarray = probabilities.mean(axis=0)
    return mean
