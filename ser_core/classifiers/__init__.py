"""The classifiers one can train: a table of rows, and the contract they share. They see arrays, not audio.

`build` makes an untrained one, `load` reads a trained one for serving. Neither this module nor `load` imports TensorFlow:
networks are trained by _keras.py and served by _onnx.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ser_core.errors import ConfigError

Progress = Callable[[int, int, dict[str, float]], None]
"""Called after each epoch with (epoch from 1, epochs, figures such as 'loss' and 'validation_uar')."""


class Classifier(Protocol):
    """What every classifier does. X holds one row an item: float32 vectors (n, n_columns), or windows (n, frames, n_mels)."""

    labels: tuple[str, ...]

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return probabilities, float64 (n, n_labels), in the order of `labels`; rows sum to 1."""
        ...


class TrainableClassifier(Classifier, Protocol):
    """A classifier that can be fitted and saved; n_parameters counts the numbers it holds once fitted."""

    @property
    def n_parameters(self) -> int: ...

    def fit(
        self,
        X: np.ndarray,
        y: np.ndarray,
        *,
        validation: tuple[np.ndarray, np.ndarray] | None = None,
        sample_weight: np.ndarray | None = None,
        on_epoch: Progress | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> TrainableClassifier:
        """Learn from X and y, (n,) positions in `labels`, and return itself.

        sample_weight, (n,), says how much an item counts; with `validation` the best epoch on it is kept. should_stop is
        asked often, and ends the training with what was learned so far.
        """
        ...

    def save(self, folder: Path) -> list[str]:
        """Write the weights into a folder and return the names of the files."""
        ...


@dataclass(frozen=True)
class ClassifierSpec:
    """One row: how a classifier is called, what it sees, and the hyperparameters it starts from."""

    title: str
    description: str
    input_kind: str
    defaults: Mapping[str, Any] = field(default_factory=dict)


CLASSIFIERS: dict[str, ClassifierSpec] = {
    "knn": ClassifierSpec(
        title="KNN",
        description="k nearest neighbours, after a linear discriminant projection that pulls the emotions apart",
        input_kind="vector",
        defaults={"n_neighbors": 60, "weights": "distance", "shrinkage": "auto", "seed": 0},
    ),
    "mlp": ClassifierSpec(
        title="MLP",
        description="a perceptron with one hidden layer on the summary of the clip",
        input_kind="vector",
        defaults={"hidden": 256, "alpha": 1e-2, "learning_rate": 5e-4, "batch_size": 64, "epochs": 20, "seed": 0},
    ),
    "cnn": ClassifierSpec(
        title="CNN",
        description="convolutions over time and frequency of the log-mel spectrogram, averaged over time",
        input_kind="frames",
        defaults={"filters": (32, 64, 96, 128), "dropout": 0.2, "learning_rate": 2e-3, "batch_size": 32, "epochs": 30,
                  "clips_per_epoch": 2400, "mask_frames": 12, "mask_mels": 6, "label_smoothing": 0.1, "seed": 0},
    ),
    "cnn_lstm": ClassifierSpec(
        title="CNN-LSTM",
        description="convolutions over time and frequency, then a long short-term memory over time, with attention",
        input_kind="frames",
        defaults={"filters": (32, 64, 64), "units": 64, "dropout": 0.2, "learning_rate": 2e-3, "batch_size": 32, "epochs": 30,
                  "clips_per_epoch": 2400, "mask_frames": 12, "mask_mels": 6, "label_smoothing": 0.1, "seed": 0},
    ),
}  # fmt: skip


def build(name: str, labels: tuple[str, ...], hyperparameters: Mapping[str, Any] | None = None) -> TrainableClassifier:
    """Return an untrained classifier of the table; hyperparameters not named keep their defaults."""
    spec = _spec(name)
    given = dict(hyperparameters or {})
    unknown = sorted(set(given) - set(spec.defaults))
    if unknown:
        raise ConfigError(f"{spec.title} has no hyperparameter {', '.join(unknown)}. It has {', '.join(spec.defaults)}.")
    settings = {**spec.defaults, **given}
    if spec.input_kind == "frames":
        from ser_core.classifiers._keras import KerasClassifier

        return KerasClassifier(name, labels, settings)
    from ser_core.classifiers._sklearn import SklearnClassifier

    return SklearnClassifier(name, labels, settings)


def load(name: str, folder: Path, labels: tuple[str, ...]) -> Classifier:
    """Return a trained classifier for serving, from the files that `save` wrote; raises ModelError where they do not fit."""
    if _spec(name).input_kind == "frames":
        from ser_core.classifiers._onnx import OnnxClassifier

        return OnnxClassifier.load(folder, labels)
    from ser_core.classifiers._sklearn import SklearnClassifier

    return SklearnClassifier.load(name, folder, labels)


def _spec(name: str) -> ClassifierSpec:
    if name not in CLASSIFIERS:
        raise ConfigError(f"There is no classifier '{name}'. Choose one of {', '.join(CLASSIFIERS)}.")
    return CLASSIFIERS[name]
