"""A discriminant of several corpora, with a gate: a clip that sounds like one of them is answered as that corpus would, any other by all.

_estimators.py fits it for `transfer`, and checks with `is_sound` what comes from a file.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg
from scipy.special import expit, logsumexp, softmax
from sklearn.base import BaseEstimator, ClassifierMixin

LIMIT = 2.5
"""Distance at which both answers count the same, where there is no validation to choose it."""

REACH = 1.7
"""That distance over the usual one of validation speakers, the mean over corpora of their median. Clips of unknown corpora lie at two to
three times the usual distance."""

STEEPNESS = 4.0
"""How fast the gate closes around the limit: it stands at 0.73 a quarter of the limit below it, at 0.27 a quarter above."""

EXPONENT = 0.2
"""To which power probabilities are taken where no validation chooses it: Gaussians of thousands of columns are far too sure."""

CAUTION = 0.75
"""The share of its exponent that the shared answer keeps: known corpora choose it, and in unknown ones it is right less often."""

ENOUGH = 20
"""Validation clips of a corpus from which on they choose something for it alone."""


class GatedDiscriminant(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Two linear discriminant analyses of scaled columns, and a gate between them.

    The shared one has a class a label. The other has a class a label and corpus, and half of the shrinkage; it works in the space that its
    class means span, where every class is a sphere. A clip's distance is the square of that to the nearest class, per dimension. Where it
    is short, the classes of that class's corpus answer; where it is long, the shared analysis.

    Once fitted: classes_ (n_labels,), coef_ (n_labels, n_columns), intercept_ (n_labels,) and exponent_ of the shared one; axes_
    (n_columns, n_axes), centres_ (n_classes, n_axes), labels_ and corpora_ (n_classes,), exponents_ (n_corpora,) of the other; limit_.
    """

    def __init__(self, shrinkage: float = 0.4) -> None:
        self.shrinkage = shrinkage

    def fit(
        self,
        X: np.ndarray,
        y: np.ndarray,
        *,
        corpus: np.ndarray,
        weight: np.ndarray,
        validation: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> GatedDiscriminant:
        """Learn from X (n, n_columns), labels y, the corpus of each item and its weight, (n,).

        validation: items and labels of speakers who are not in X; they choose the limit and the exponents.
        """
        names, corpus = np.unique(corpus, return_inverse=True)
        self.classes_, label = np.unique(y, return_inverse=True)
        # A corpus, and a class of it, counts by the root of its clips: one vote a clip would let the largest decide, one a corpus the
        # smallest as much.
        by_root = weight / np.sqrt(np.bincount(corpus, weight))[corpus]
        means, covariance = _moments(X, label, by_root, np.ones(len(self.classes_)))
        self.coef_ = scipy.linalg.solve(_shrunk(covariance, self.shrinkage), means.T, assume_a="pos").T
        self.intercept_ = -(means * self.coef_).sum(axis=1) / 2

        codes, item = np.unique(corpus * len(self.classes_) + label, return_inverse=True)
        self.corpora_, self.labels_ = codes // len(self.classes_), self.classes_[codes % len(self.classes_)]
        means, covariance = _moments(X, item, weight, np.sqrt(np.bincount(item, weight)))
        root = scipy.linalg.cholesky(_shrunk(covariance, self.shrinkage / 2), lower=True)
        between = scipy.linalg.solve_triangular(root, (means - means.mean(axis=0)).T, lower=True)
        directions, lengths, _ = np.linalg.svd(between, full_matrices=False)
        n_axes = max(1, int((lengths > 1e-3 * lengths[0]).sum()))
        self.axes_ = scipy.linalg.solve_triangular(root.T, directions[:, :n_axes])
        self.centres_ = means @ self.axes_

        self.limit_, self.exponent_, self.exponents_ = LIMIT, EXPONENT, np.full(len(names), EXPONENT)
        if validation is not None:
            self._calibrate(*validation)
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return probabilities (n, n_labels) of classes_."""
        of_all = softmax(self.exponent_ * self._shared(X), axis=1)
        distance, nearest, logits = self._known(X)
        of_class = softmax(self.exponents_[nearest][:, np.newaxis] * logits, axis=1)
        of_corpus = of_class @ (self.labels_[:, np.newaxis] == self.classes_)
        gate = expit(STEEPNESS * (1 - distance / self.limit_))[:, np.newaxis]
        mixed: np.ndarray = gate * of_corpus + (1 - gate) * of_all
        return mixed

    def _shared(self, X: np.ndarray) -> np.ndarray:
        logits: np.ndarray = X @ self.coef_.T + self.intercept_
        return logits

    def _known(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the distance of each item, (n,), the corpus of the nearest class, (n,), and the logits of all classes, (n, n_classes);
        those of other corpora are -inf."""
        places = X @ self.axes_
        squares = np.stack([((places - centre) ** 2).sum(axis=1) for centre in self.centres_], axis=1)
        nearest = self.corpora_[squares.argmin(axis=1)]
        inside = self.corpora_ == nearest[:, np.newaxis]
        return squares.min(axis=1) / places.shape[1], nearest, np.where(inside, -squares / 2, -np.inf)

    def _calibrate(self, X: np.ndarray, y: np.ndarray) -> None:
        distance, nearest, logits = self._known(X)
        truth = (y[:, np.newaxis] == self.labels_) & np.isfinite(logits)
        self.exponent_ = CAUTION * _exponent(self._shared(X), y[:, np.newaxis] == self.classes_)
        self.exponents_[:] = common = _exponent(logits, truth)
        usual = []
        for corpus in range(len(self.exponents_)):
            heard = nearest == corpus
            if heard.sum() >= ENOUGH:
                # Half of the way to its own: a corpus may have one speaker here, who may be an exception.
                self.exponents_[corpus] = np.sqrt(common * _exponent(logits[heard], truth[heard]))
                usual.append(np.median(distance[heard]))
        if usual:
            self.limit_ = float(REACH * np.mean(usual))


def _moments(
    X: np.ndarray, of_class: np.ndarray, weight: np.ndarray, class_weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the weighted mean of each class, and the weighted mean of the classes' covariances."""
    total = np.bincount(of_class, weight)
    share = (weight / total[of_class]).astype(X.dtype)
    means = np.stack([share[of_class == each] @ X[of_class == each] for each in range(len(total))])
    share *= (class_weight / class_weight.sum()).astype(X.dtype)[of_class]
    spread = (X - means[of_class]) * np.sqrt(share)[:, np.newaxis]
    return means, spread.T @ spread


def _shrunk(covariance: np.ndarray, shrinkage: float) -> np.ndarray:
    shrunk: np.ndarray = (1 - shrinkage) * covariance
    shrunk[np.diag_indices_from(shrunk)] += shrinkage * np.trace(covariance) / len(covariance)
    return shrunk


def _exponent(logits: np.ndarray, truth: np.ndarray) -> float:
    """Return the exponent in [0.02, 1] with the least log loss; truth: bool as logits, items without a true class do not count."""
    from scipy.optimize import minimize_scalar  # training only: 0.1 s that a server need not wait for

    known = truth.any(axis=1)
    if not known.any():
        return EXPONENT
    logits, of_truth = logits[known].astype(float), logits[truth].astype(float)
    best = minimize_scalar(
        lambda exponent: float((logsumexp(exponent * logits, axis=1) - exponent * of_truth).mean()),
        bounds=(0.02, 1.0),
        method="bounded",
    )
    return round(float(best.x), 4)


def is_sound(found: Any, n_labels: int, n_columns: int) -> bool:
    """Return whether a discriminant from a file has arrays that fit each other, and labels that exist."""
    (n_classes, n_axes), n_known = np.shape(found.centres_), len(found.classes_)
    shapes: dict[str, tuple[int, ...]] = {
        "classes_": (n_known,),
        "coef_": (n_known, n_columns),
        "intercept_": (n_known,),
        "exponent_": (),
        "axes_": (n_columns, n_axes),
        "centres_": (n_classes, n_axes),
        "labels_": (n_classes,),
        "corpora_": (n_classes,),
        "exponents_": (1 + int(max(found.corpora_)),),
        "limit_": (),
    }
    if set(vars(found)) != {*shapes, "shrinkage"}:
        return False
    arrays = {name: np.asarray(getattr(found, name)) for name in shapes}
    whole = [arrays.pop(name) for name in ("classes_", "labels_", "corpora_")]
    return bool(
        all(each.ndim == 1 and each.dtype.kind == "i" and (each >= 0).all() for each in whole)
        and all(each.shape == shapes[name] and each.dtype.kind == "f" for name, each in arrays.items())
        and all(np.isfinite(each).all() for each in arrays.values())
        and len(whole[1]) == len(whole[2]) == n_classes
        and set(whole[1]) <= set(whole[0])
        and max(whole[0]) < n_labels
        and found.limit_ > 0
    )
