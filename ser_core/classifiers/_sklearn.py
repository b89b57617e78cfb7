"""The classifiers on one row a clip behind the common contract; saved with skops, which runs no code from a file."""

from __future__ import annotations

import functools
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.pipeline import Pipeline

from ser_core.classifiers import _estimators
from ser_core.classifiers.contract import Discriminant, Neighbourhood, Progress
from ser_core.classifiers.table import CLASSIFIERS
from ser_core.errors import ModelError
from ser_core.system import imports

FILE = "model.skops"
KNN_PRIOR = 0.01
"""Least probability of a label: no neighbour among k does not mean never (chosen by log loss on validation speakers)."""


def _skops() -> ModuleType:
    """Return skops.io. It loads all of scikit-learn, of which one module loads Dask and one pytest where they are installed: 16 MB."""
    with imports.without("dask", "pytest"):
        import skops.io
    return skops.io  # type: ignore[no-any-return]


class SklearnClassifier:
    """A scikit-learn pipeline behind the Classifier contract."""

    def __init__(self, name: str, labels: tuple[str, ...], hyperparameters: Mapping[str, Any]) -> None:
        self.name = name
        self.labels = labels
        self.hyperparameters = dict(hyperparameters)
        self.pipeline_: Pipeline | None = None

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
    ) -> SklearnClassifier:
        """Fit the pipeline. Where the classifier takes no weights, items are kept with a chance of their sample_weight over the largest."""
        weight = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, float)
        self.pipeline_ = _estimators.KINDS[self.name].fit(
            _estimators.Training(
                X, y, weight, validation, self.hyperparameters, on_epoch, should_stop or (lambda: False), domain
            )
        )
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return probabilities (n, n_labels), those of the same label in several corpora added up; a label without training data gets 0.

        An SVM's are the softmax of its distances to the decision boundaries; training fits a temperature to them.
        """
        assert self.pipeline_ is not None, "fit or load comes first"
        if self.name == "svm":
            known = self.pipeline_.decision_function(X)
            known = softmax(np.stack([-known, known], axis=1) / 2 if known.ndim == 1 else known, axis=1)
        else:
            known = self.pipeline_.predict_proba(X)
        if self.name == "knn":
            known = (1 - KNN_PRIOR * known.shape[1]) * known + KNN_PRIOR
        return _estimators.by_label(known, self.pipeline_.classes_, len(self.labels))

    @functools.cached_property
    def discriminant(self) -> Discriminant | None:
        """Where the classifier tells labels apart; None for one that is not by distances, and for a file of an earlier version."""
        assert self.pipeline_ is not None, "fit or load comes first"
        return _estimators.discriminant(self.pipeline_)

    @property
    def neighbourhood(self) -> Neighbourhood | None:
        """Where KNN compares clips; None for a classifier of another kind."""
        assert self.pipeline_ is not None, "fit or load comes first"
        return _estimators.neighbourhood(self.pipeline_)

    @property
    def average(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each column over what it was fitted on, each (n_columns,)."""
        assert self.pipeline_ is not None, "fit or load comes first"
        return self.pipeline_["scale"].mean_, self.pipeline_["scale"].scale_

    @property
    def n_parameters(self) -> int:
        """Number of parameters of the trained model."""
        assert self.pipeline_ is not None, "fit or load comes first"
        return _estimators.n_parameters(self.pipeline_)

    @property
    def n_inputs(self) -> int:
        """Number of columns that it was fitted on."""
        assert self.pipeline_ is not None, "fit or load comes first"
        return int(self.pipeline_.n_features_in_)

    def architecture(self) -> list[dict[str, Any]]:
        """Return one row per step of the pipeline."""
        assert self.pipeline_ is not None, "fit or load comes first"
        return _estimators.architecture(
            self.pipeline_, len(self.labels), pretrained=bool(CLASSIFIERS[self.name].pretrained)
        )

    def save(self, folder: Path) -> list[str]:
        """Write model.skops into the folder."""
        _skops().dump(self.pipeline_, folder / FILE, compression=zipfile.ZIP_DEFLATED)
        return [FILE]

    @classmethod
    def load(cls, name: str, folder: Path, labels: tuple[str, ...]) -> SklearnClassifier:
        """Read what `save` wrote; raises ModelError where the file is damaged or holds types that ours does not have."""
        path = folder / FILE
        return cls.read(name, path.read_bytes(), labels, str(path))

    @classmethod
    def read(cls, name: str, content: bytes, labels: tuple[str, ...], path: str = FILE) -> SklearnClassifier:
        """Return the classifier that bytes hold; `path` is used in error sentences."""
        try:
            pipeline = _skops().loads(content, trusted=list(_estimators.KINDS[name].trusted))
        except Exception as error:  # skops raises many kinds for a damaged or foreign file
            raise ModelError(
                f"{path} cannot be read as a model: {error}. Restore the folder or train the model again."
            ) from error
        try:
            fits = _estimators.sound(pipeline, name, len(labels))
        except (
            AttributeError,
            TypeError,
            ValueError,
            IndexError,
            KeyError,
            OverflowError,
        ):  # an estimator that lacks what fitting gives it
            fits = False
        if not fits:
            raise ModelError(
                f"{path} does not hold a classifier of {len(labels)} labels. Restore the folder or train it again."
            )
        classifier = cls(name, labels, {})
        classifier.pipeline_ = pipeline
        return classifier
