"""KNN and MLP on the summary vector, as scikit-learn pipelines; saved with skops, which runs no code from a file."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import recall_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from ser_core.classifiers import Progress
from ser_core.errors import ModelError

FILE = "model.skops"
KNN_PRIOR = 0.01
"""Least probability of a label: no neighbour among k does not mean never (chosen by log loss on validation speakers)."""


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
        on_epoch: Progress | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> SklearnClassifier:
        """Fit the pipeline. For KNN a sample_weight is the chance, relative to the largest, that a row is kept."""
        fit = {"knn": self._fit_knn, "mlp": self._fit_mlp}[self.name]
        self.pipeline_ = fit(X, y, validation, sample_weight, on_epoch, should_stop or (lambda: False))
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return probabilities (n, n_labels); a label that was not in the training data gets 0."""
        assert self.pipeline_ is not None, "fit or load comes first"
        known = self.pipeline_.predict_proba(X)
        if self.name == "knn":
            known = (1 - KNN_PRIOR * known.shape[1]) * known + KNN_PRIOR
        probabilities = np.zeros((len(X), len(self.labels)))
        probabilities[:, self.pipeline_.classes_] = known
        return probabilities

    @property
    def n_parameters(self) -> int:
        """Numbers that the trained model holds."""
        assert self.pipeline_ is not None, "fit or load comes first"
        last = self.pipeline_[-1]
        if isinstance(last, MLPClassifier):
            return sum(weights.size for weights in [*last.coefs_, *last.intercepts_])
        return self.pipeline_["project"].scalings_.size + last._fit_X.size

    def save(self, folder: Path) -> list[str]:
        """Write model.skops into the folder."""
        import skops.io

        skops.io.dump(self.pipeline_, folder / FILE)
        return [FILE]

    @classmethod
    def load(cls, name: str, folder: Path, labels: tuple[str, ...]) -> SklearnClassifier:
        """Read what `save` wrote; raises ModelError where the file is damaged or holds types that are not ours."""
        import skops.io

        path = folder / FILE
        try:
            pipeline = skops.io.load(path, trusted=[])
        except Exception as error:  # skops raises many kinds for a damaged or foreign file
            raise ModelError(f"{path} cannot be read as a model: {error}. Restore the folder or train the model again.") from error
        if not isinstance(pipeline, Pipeline) or max(getattr(pipeline, "classes_", [len(labels)])) >= len(labels):
            raise ModelError(f"{path} does not hold a classifier of {len(labels)} labels. Restore the folder or train it again.")
        classifier = cls(name, labels, {})
        classifier.pipeline_ = pipeline
        return classifier

    def _fit_knn(self, X, y, validation, sample_weight, on_epoch, should_stop) -> Pipeline:  # type: ignore[no-untyped-def]
        settings = self.hyperparameters
        if sample_weight is not None:
            rng = np.random.default_rng(settings["seed"])
            kept = rng.random(len(y)) < sample_weight / sample_weight.max()
            X, y = X[kept], y[kept]
        scale = StandardScaler().fit(X)
        project = LinearDiscriminantAnalysis(solver="eigen", shrinkage=settings["shrinkage"]).fit(scale.transform(X), y)
        # Only the projection is used: without the rest the file is a hundred times smaller.
        project.scalings_ = project.scalings_[:, : project._max_components]
        del project.covariance_
        classify = KNeighborsClassifier(min(settings["n_neighbors"], len(y)), weights=settings["weights"], algorithm="brute")
        classify.fit(project.transform(scale.transform(X)), y)
        return Pipeline([("scale", scale), ("project", project), ("classify", classify)])

    def _fit_mlp(self, X, y, validation, sample_weight, on_epoch, should_stop) -> Pipeline:  # type: ignore[no-untyped-def]
        settings = self.hyperparameters
        scale = StandardScaler().fit(X)
        X = scale.transform(X)
        network = MLPClassifier(
            (settings["hidden"],),
            alpha=settings["alpha"],
            learning_rate_init=settings["learning_rate"],
            batch_size=min(settings["batch_size"], len(y)),
            random_state=settings["seed"],
        )
        classes = np.unique(y)
        best, best_uar = network, -1.0
        for epoch in range(1, settings["epochs"] + 1):
            network.partial_fit(X, y, classes=classes, sample_weight=sample_weight)
            figures = {"loss": float(network.loss_)}
            if validation is not None:
                guessed = network.predict(scale.transform(validation[0]))
                figures["validation_uar"] = float(recall_score(validation[1], guessed, average="macro", zero_division=0))
                if figures["validation_uar"] > best_uar:
                    best, best_uar = copy.deepcopy(network), figures["validation_uar"]
            if on_epoch:
                on_epoch(epoch, settings["epochs"], figures)
            if should_stop():
                break
        network = best if validation is not None else network
        del network._optimizer  # the moments of Adam: two thirds of the file, and of no use once trained
        return Pipeline([("scale", scale), ("classify", network)])
