"""What every classifier does: the contract between training, serving and the libraries behind them. They take arrays, not audio."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

Progress = Callable[[int, int, dict[str, float]], None]
"""Called after each epoch with (epoch from 1, epochs, figures such as 'loss' and 'validation_uar')."""


@dataclass(frozen=True)
class Start:
    """A trained network to start from: its file, the labels of its outputs in order, and its hyperparameters."""

    file: Path
    labels: tuple[str, ...]
    hyperparameters: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Discriminant:
    """The space in which a classifier tells classes apart: around the mean of each, items spread by about 1 in all directions.

    centre: (n_columns,), of the items; axes: (n_columns, n_axes); means: (n_classes, n_axes). labels, groups: int (n_classes,), the label
    of each class, and the corpus where there is a class per label and corpus, else 0. exponent: to which power the probabilities of the
    classes are taken. share: how much of an answer rests on this space, 0..1.
    """

    centre: np.ndarray
    axes: np.ndarray
    means: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    exponent: float = 1.0
    share: float = 1.0

    def project(self, X: np.ndarray) -> np.ndarray:
        """Return the positions of items (n, n_columns), (n, n_axes)."""
        return np.asarray((X - self.centre) @ self.axes)


@dataclass(frozen=True, eq=False)
class Neighbourhood:
    """The space in which a classifier by neighbours compares clips, and the training clips there.

    points: (n_points, n_axes); labels: int (n_points,), positions of labels; n_voters: how many of the nearest vote. project: items (n,
    n_columns) -> positions (n, n_axes).
    """

    points: np.ndarray
    labels: np.ndarray
    n_voters: int
    project: Callable[[np.ndarray], np.ndarray]


class Classifier(Protocol):
    """What every classifier does. X has one row per item: float32 vectors (n, n_columns), or windows (n, frames, n_columns)."""

    labels: tuple[str, ...]

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return probabilities, float64 (n, n_labels), in the order of `labels`; rows sum to 1."""
        ...


class TrainableClassifier(Classifier, Protocol):
    """A classifier that can be fitted and saved; n_parameters counts the numbers it holds once fitted."""

    hyperparameters: dict[str, Any]

    @property
    def n_parameters(self) -> int: ...

    def fit(
        self,
        X: np.ndarray,
        y: np.ndarray,
        *,
        validation: tuple[np.ndarray, np.ndarray] | None = None,
        sample_weight: np.ndarray | None = None,
        domain: np.ndarray | None = None,
        on_epoch: Progress | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> TrainableClassifier:
        """Learn from X and y, (n,) positions in `labels`, and return itself.

        sample_weight, (n,): how much an item counts; domain, int (n,): which corpus it comes from: actors and microphones of
        one corpus have more in common than "angry" has across corpora, so KNN, MLP and `transfer` learn each label separately per
        corpus. With `validation` the best epoch on it is kept. should_stop is called often; it ends the training with the weights
        learned so far.
        """
        ...

    def architecture(self) -> list[dict[str, Any]]:
        """Return one row per layer or step, once fitted: name, shape (of what it gives), parameters and detail."""
        ...

    def save(self, folder: Path) -> list[str]:
        """Write the weights into a folder and return the names of the files."""
        ...


def validation_figures(y: np.ndarray, predicted: np.ndarray, of_truth: np.ndarray) -> dict[str, float]:
    """Return the figures of an epoch: y, predicted (n,) positions of labels; of_truth (n,), the probability of the true label."""
    recalls = [float((predicted[y == label] == label).mean()) for label in np.unique(y)]
    return {
        "validation_loss": -float(np.log(np.maximum(of_truth, 1e-7)).mean()),
        "validation_accuracy": float((predicted == y).mean()),
        "validation_uar": float(np.mean(recalls)),
    }
