"""The classifiers on one row a clip, summary vector or embedding: each a function that fits a scikit-learn pipeline, scaling first.

SklearnClassifier calls them. It also checks that a pipeline from a file is safe to use.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
from sklearn import discriminant_analysis
from sklearn.base import BaseEstimator
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from ser_core.classifiers import gated
from ser_core.classifiers.contract import Discriminant, Neighbourhood, Progress, validation_figures
from ser_core.classifiers.gated import GatedDiscriminant

PER_CORPUS = 1000
"""A class that is learned for one corpus has the number label + PER_CORPUS * corpus."""

TREES_A_ROUND = 5
"""Boosting rounds between two reports of gradient boosting: one 'epoch', after which it may stop."""

GATED_SHARE = 0.8
"""How much of what an adapted gated discriminant answers rests on its classes: nearly as much as is best on each of four corpora."""

MIN_LABELS = 3
"""Labels from which on there is a discriminant: of two, scikit-learn keeps their difference alone."""

_TINY = 1e-4
"""Axes along which the means differ less than this, relative to the first, are rounding errors."""

MAX_BINS = 32
"""Histogram bins per feature of gradient boosting. More do not help with a few hundred clips, and take longer."""


@dataclass(frozen=True)
class Training:
    """The arguments of a fit function: scaled or raw items (n, n_columns), labels, weights, settings and callbacks."""

    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    validation: tuple[np.ndarray, np.ndarray] | None
    settings: Mapping[str, Any]
    on_epoch: Progress | None
    should_stop: Callable[[], bool]
    domain: np.ndarray | None = None

    @property
    def classes(self) -> np.ndarray:
        """The class of each item: its label, separately per corpus where the corpus is known."""
        return self.y if self.domain is None else self.y + PER_CORPUS * self.domain


def fit_knn(given: Training) -> Pipeline:
    """k nearest neighbours in the space of a linear discriminant projection.

    The projection separates the labels of each corpus, whose recordings sound alike, and with them the corpora.
    """
    kept = _kept(given)
    X, y = given.X[kept], given.y[kept]
    scale = StandardScaler().fit(X)
    project = _discriminant(
        scale.transform(X), given.classes[kept], solver="eigen", shrinkage=given.settings["shrinkage"]
    )
    classify = KNeighborsClassifier(
        min(given.settings["n_neighbors"], len(y)), weights=given.settings["weights"], algorithm="brute"
    )
    classify.fit(project.transform(scale.transform(X)), y)
    return Pipeline([("scale", scale), ("project", project), ("classify", classify)])


def fit_mlp(given: Training) -> Pipeline:
    """A perceptron, epoch by epoch; the best on the validation items is kept.

    Each epoch draws items with a chance of their weight, and sets a share of the columns of each to 0 (input dropout).
    """
    settings = given.settings
    rng = np.random.default_rng(settings["seed"])
    chance = given.weight / given.weight.max()
    shown = np.float32(1 - settings["dropout"])
    scale = StandardScaler().fit(given.X)
    X = scale.transform(given.X)
    network = MLPClassifier(
        (settings["hidden"],),
        alpha=settings["alpha"],
        learning_rate_init=settings["learning_rate"],
        batch_size=min(settings["batch_size"], len(given.y)),
        random_state=settings["seed"],
    )
    classes = np.unique(given.classes)
    follow = _Follower(given, scale)
    for epoch in range(1, settings["epochs"] + 1):
        drawn = np.flatnonzero(rng.random(len(given.y)) < chance)
        noisy = X[drawn] * ((rng.random((len(drawn), X.shape[1]), dtype=np.float32) < shown) / shown)
        network.batch_size = min(settings["batch_size"], len(drawn))
        network.partial_fit(noisy, given.classes[drawn], classes=classes)
        if follow(epoch, network, X, {"loss": float(network.loss_)}):
            break
    network = follow.best or network
    del network._optimizer  # the moments of Adam: two thirds of the file, and of no use once trained
    return Pipeline([("scale", scale), ("classify", network)])


def fit_boosting(given: Training) -> Pipeline:
    """Histogram gradient boosting, TREES_A_ROUND rounds an epoch; the best epoch on the validation items is kept."""
    settings = given.settings
    scale = StandardScaler().fit(given.X)
    X = scale.transform(given.X)
    trees = _BinnedOnce(
        learning_rate=settings["learning_rate"],
        max_leaf_nodes=settings["max_leaves"],
        l2_regularization=settings["l2"],
        early_stopping=False,
        warm_start=True,
        max_bins=MAX_BINS,
        random_state=settings["seed"],
    )
    follow = _Follower(given, scale)
    for epoch in range(1, settings["epochs"] + 1):
        trees.set_params(max_iter=epoch * TREES_A_ROUND)
        trees.fit(X, given.y, sample_weight=given.weight)
        loss = log_loss(given.y, trees.predict_proba(X), labels=trees.classes_, sample_weight=given.weight)
        if follow(epoch, trees.plain(), X, {"loss": float(loss)}):
            break
    return Pipeline([("scale", scale), ("classify", follow.best or trees.plain())])


class _BinnedOnce(HistGradientBoostingClassifier):  # type: ignore[misc]  # scikit-learn has no types
    """Gradient boosting whose features are cut into steps once, by what the training items have, whatever they weigh.

    scikit-learn does that anew at each call of `fit`, and with weights, since 1.9, a step at a time: 35 times the time of all trees.
    """

    _bin_mapper: Any

    def _bin_data(self, X: np.ndarray, sample_weight: np.ndarray | None, is_training_data: bool) -> Any:
        if not hasattr(self, "_binned"):
            self._binned = super()._bin_data(X, None, is_training_data), self._bin_mapper
        binned, self._bin_mapper = self._binned
        return binned

    def plain(self) -> HistGradientBoostingClassifier:
        """Return the trees so far as scikit-learn's own class, without the training items."""
        trees = copy.copy(self)
        trees.__class__ = HistGradientBoostingClassifier
        del trees._binned
        return trees


def fit_svm(given: Training) -> Pipeline:
    """A support vector machine; its votes become probabilities in SklearnClassifier."""
    settings = given.settings
    machine = SVC(
        kernel=settings["kernel"],
        C=settings["C"],
        gamma=settings["gamma"],
        cache_size=200,
        random_state=settings["seed"],
    )
    return _at_once(given, machine)


def fit_forest(given: Training) -> Pipeline:
    """A random forest."""
    settings = given.settings
    return _at_once(
        given,
        RandomForestClassifier(
            settings["n_trees"],
            max_depth=settings["max_depth"],
            min_samples_leaf=settings["min_leaf"],
            random_state=settings["seed"],
        ),
    )


def fit_logistic(given: Training) -> Pipeline:
    """Multinomial logistic regression."""
    return _at_once(given, LogisticRegression(C=given.settings["C"], max_iter=1000))


class _QuickDiscriminant(LinearDiscriminantAnalysis):  # type: ignore[misc]  # scikit-learn has no types
    """Linear discriminant analysis with thousands of columns, in a fraction of the time; the results are scikit-learn's.

    Its least squares take ten times as long as Cholesky's decomposition of the same matrix, and all eigenvectors twice as long as the few
    that are used.
    """

    def _solve_lstsq(self, X: np.ndarray, y: np.ndarray, shrinkage: Any, covariance_estimator: Any) -> None:
        if shrinkage == 0:  # fewer clips than columns leave the covariance without an inverse
            super()._solve_lstsq(X, y, shrinkage, covariance_estimator)
            return
        means = discriminant_analysis._class_means(X, y)
        covariance = discriminant_analysis._class_cov(X, y, self.priors_, shrinkage, covariance_estimator)
        self.means_ = means.astype(np.float32)
        self.coef_ = scipy.linalg.solve(covariance, means.T, assume_a="pos").T
        self.intercept_ = np.log(self.priors_) - (means * self.coef_).sum(axis=1) / 2

    def _solve_eigen(self, X: np.ndarray, y: np.ndarray, shrinkage: Any, covariance_estimator: Any) -> None:
        within = discriminant_analysis._class_cov(X, y, self.priors_, shrinkage, covariance_estimator)
        between = discriminant_analysis._cov(X, shrinkage, covariance_estimator) - within
        n_columns = len(within)
        most = [n_columns - self._max_components, n_columns - 1]
        axes = scipy.linalg.eigh(between, within, subset_by_index=most)[1]
        self.scalings_ = np.ascontiguousarray(axes[:, ::-1])
        # Of a projection only the axes are used: what `fit` reads besides is empty.
        self.coef_, self.intercept_ = np.zeros((len(self.classes_), 0)), np.zeros(len(self.classes_))


def _discriminant(X: np.ndarray, y: np.ndarray, **settings: Any) -> LinearDiscriminantAnalysis:
    """Return a fitted discriminant of scikit-learn's own class, without what neither projection nor prediction needs.

    A class of one clip has no spread, which is no fault: scikit-learn would ask for an array of another shape.
    """
    analysis = _QuickDiscriminant(**settings)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Only one sample available", UserWarning)
        analysis.fit(X, y)
    analysis.__class__ = LinearDiscriminantAnalysis
    return analysis


def fit_lda(given: Training) -> Pipeline:
    """Linear discriminant analysis, with equal priors."""
    kept = _kept(given)
    X, y = given.X[kept], given.y[kept]
    n = len(np.unique(y))
    scale = StandardScaler().fit(X)
    analysis = _discriminant(
        scale.transform(X), y, solver="lsqr", shrinkage=given.settings["shrinkage"], priors=np.full(n, 1 / n)
    )
    vars(analysis).pop("covariance_", None)  # there without shrinkage; of no use once trained
    return Pipeline([("scale", scale), ("classify", analysis)])


def fit_transfer(given: Training) -> Pipeline:
    """Linear discriminant analysis; of several corpora also separately per corpus, with a gate between the two answers."""
    if given.domain is None or len(np.unique(given.domain)) < 2:
        return fit_lda(given)
    scale = StandardScaler().fit(given.X, sample_weight=given.weight)
    analysis = GatedDiscriminant(given.settings["shrinkage"]).fit(
        scale.transform(given.X),
        given.y,
        corpus=given.domain,
        weight=given.weight,
        validation=(scale.transform(given.validation[0]), given.validation[1]) if given.validation else None,
    )
    return Pipeline([("scale", scale), ("classify", analysis)])


@dataclass(frozen=True)
class Kind:
    """How a classifier of the table is fitted, and the steps of its pipeline."""

    fit: Callable[[Training], Pipeline]
    last: type[BaseEstimator]
    between: tuple[type[BaseEstimator], ...] = ()
    trusted: tuple[str, ...] = ()
    """Types beyond skops' own list that its file may hold; their arrays are checked by `sound`."""

    of_corpora: type[BaseEstimator] | None = None
    """The last step in place of `last` where it was fitted to several corpora."""

    def has(self, steps: list[type]) -> bool:
        """Return whether its pipeline may be made of these steps."""
        first = [StandardScaler, *self.between]
        return steps[:-1] == first and steps[-1] in (self.last, self.of_corpora or self.last)


KINDS: dict[str, Kind] = {
    "knn": Kind(fit_knn, KNeighborsClassifier, between=(LinearDiscriminantAnalysis,)),
    "mlp": Kind(fit_mlp, MLPClassifier),
    "svm": Kind(fit_svm, SVC),
    "forest": Kind(fit_forest, RandomForestClassifier, trusted=("sklearn.tree._tree.Tree",)),
    "boosting": Kind(
        fit_boosting,
        HistGradientBoostingClassifier,
        trusted=("sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",),
    ),
    "logistic": Kind(fit_logistic, LogisticRegression),
    "lda": Kind(fit_lda, LinearDiscriminantAnalysis),
    "transfer": Kind(
        fit_transfer,
        LinearDiscriminantAnalysis,
        trusted=(f"{gated.__name__}.{GatedDiscriminant.__name__}",),
        of_corpora=GatedDiscriminant,
    ),
}


def discriminant(pipeline: Pipeline) -> Discriminant | None:
    """Return where a pipeline of LDA tells classes apart; None for other pipelines, and for fewer than three labels."""
    scale, last = pipeline["scale"], pipeline[-1]
    if isinstance(last, GatedDiscriminant):
        axes, means, labels, groups = last.axes_, last.centres_, last.labels_, last.corpora_
        exponent, share = float(np.mean(last.exponents_)), GATED_SHARE
    elif (
        isinstance(last, LinearDiscriminantAnalysis)
        and hasattr(last, "means_")
        and MIN_LABELS <= len(last.coef_) == len(last.means_)
    ):
        directions = last.coef_.T
        values, vectors = scipy.linalg.eigh(last.means_ @ directions)  # between the classes, in units of the covariance
        there = values > _TINY * values.max()
        axes = directions @ (vectors[:, there] / np.sqrt(values[there]))
        means, labels, groups, exponent, share = last.means_ @ axes, last.classes_, np.zeros(len(values), int), 1.0, 1.0
    else:
        return None
    return Discriminant(scale.mean_, axes / scale.scale_[:, np.newaxis], means, labels, groups, exponent, share)


def neighbourhood(pipeline: Pipeline) -> Neighbourhood | None:
    """Return where a pipeline of nearest neighbours compares items; None for other pipelines."""
    last = pipeline[-1]
    if not isinstance(last, KNeighborsClassifier):
        return None
    labels = last.classes_[last._y] % PER_CORPUS
    return Neighbourhood(last._fit_X, labels, int(last.n_neighbors), pipeline[:-1].transform)


def by_label(probabilities: np.ndarray, classes: np.ndarray, n_labels: int) -> np.ndarray:
    """Return probabilities (n, n_labels) from those of `classes`, (n, n_classes): the classes of a label are added up."""
    added: np.ndarray = probabilities @ np.eye(n_labels)[classes % PER_CORPUS]
    return added


def n_parameters(pipeline: Pipeline) -> int:
    """Return the number of parameters of a fitted pipeline without the scaler's."""
    last = pipeline[-1]
    if isinstance(last, MLPClassifier):
        return sum(weights.size for weights in [*last.coefs_, *last.intercepts_])
    if isinstance(last, KNeighborsClassifier):
        return int(pipeline["project"].scalings_.size + last._fit_X.size)
    if isinstance(last, SVC):
        return int(last.support_vectors_.size + last.dual_coef_.size + last.intercept_.size)
    if isinstance(last, RandomForestClassifier):
        return sum(
            _numbers(tree.tree_.node_count, tree.tree_.n_leaves, tree.tree_.value.shape[2]) for tree in last.estimators_
        )
    if isinstance(last, HistGradientBoostingClassifier):
        return sum(
            _numbers(len(tree.nodes), int(tree.nodes["is_leaf"].sum()), 1)
            for trees in last._predictors
            for tree in trees
        )
    shared = int(last.coef_.size + last.intercept_.size)
    return shared + int(last.axes_.size + last.centres_.size) if isinstance(last, GatedDiscriminant) else shared


def architecture(pipeline: Pipeline, n_labels: int, *, pretrained: bool = False) -> list[dict[str, Any]]:
    """Return one row per step of a fitted pipeline, the pretrained encoder before it included: name, shape of its output, number of
    parameters that learn, detail.
    """
    scale, last = pipeline["scale"], pipeline[-1]
    n_columns = int(scale.n_features_in_)
    rows = (
        [_row("Whisper encoder", n_columns, 0, "mean and deviation of three layers; nothing of it learns here")]
        if pretrained
        else []
    )
    rows += [_row("StandardScaler", n_columns, 2 * n_columns, "each feature scaled to mean 0 and standard deviation 1")]
    if "project" in pipeline.named_steps:
        n = int(pipeline["project"].scalings_.shape[1])
        rows.append(
            _row("LinearDiscriminantAnalysis", n, int(pipeline["project"].scalings_.size), "separates the labels")
        )
    rest = n_parameters(pipeline) - sum(row["parameters"] for row in rows if row["name"] != "StandardScaler")
    if isinstance(last, MLPClassifier):
        rows += [
            _row("Dense", int(weights.shape[1]), int(weights.size + bias.size), f"{weights.shape[1]} units")
            for weights, bias in zip(last.coefs_, last.intercepts_, strict=True)
        ]
        return rows
    return [*rows, _row(type(last).__name__, n_labels, rest, _DETAILS[type(last)](last))]


_DETAILS: dict[type, Callable[[Any], str]] = {
    KNeighborsClassifier: lambda last: f"the nearest {last.n_neighbors} of {last._fit_X.shape[0]} clips vote",
    SVC: lambda last: f"{len(last.support_vectors_)} support vectors, kernel {last.kernel}",
    RandomForestClassifier: lambda last: f"{len(last.estimators_)} trees",
    HistGradientBoostingClassifier: lambda last: f"{last.n_iter_} rounds of trees",
    LogisticRegression: lambda last: "one weight per feature and label",
    LinearDiscriminantAnalysis: lambda last: "one weight per feature and label",
    GatedDiscriminant: lambda last: (
        f"one weight per feature and label, and per feature and each of {last.axes_.shape[1]} axes on which the corpora's labels differ"
    ),
}


def _row(layer: str, size: int, parameters: int, detail: str) -> dict[str, Any]:
    return {"name": layer, "shape": [size], "parameters": parameters, "detail": detail}


def sound(pipeline: Pipeline, name: str, n_labels: int) -> bool:
    """Return whether a pipeline from a file is what the classifier `name` saves, and can be used without reading beyond its arrays.

    scikit-learn does not check the nodes of its trees: a child or column out of range would read memory beyond the array.
    """
    if not isinstance(pipeline, Pipeline) or not KINDS[name].has([type(step) for _, step in pipeline.steps]):
        return False
    last = pipeline[-1]
    if len(last.classes_) == 0 or max(last.classes_ % PER_CORPUS) >= n_labels or min(last.classes_) < 0:
        return False
    if isinstance(last, GatedDiscriminant):
        return gated.is_sound(last, n_labels, int(pipeline["scale"].n_features_in_))
    if isinstance(last, RandomForestClassifier):
        trees = [tree.tree_ for tree in last.estimators_]
        return all(
            tree.value.shape == (tree.node_count, 1, len(last.classes_))
            and _walkable(
                tree.children_left, tree.children_right, tree.feature, tree.children_left < 0, last.n_features_in_
            )
            for tree in trees
        )
    if isinstance(last, HistGradientBoostingClassifier):
        nodes = [tree.nodes for trees in last._predictors for tree in trees]
        return all(
            not each["is_categorical"].any()
            and _walkable(each["left"], each["right"], each["feature_idx"], each["is_leaf"] != 0, last.n_features_in_)
            for each in nodes
        )
    if isinstance(last, SVC):
        n = len(last.support_vectors_)
        return (
            last.dual_coef_.shape == (len(last.classes_) - 1, n)
            and int(last._n_support.sum()) == n
            and not last._sparse
        )
    return True


def _walkable(left: np.ndarray, right: np.ndarray, column: np.ndarray, leaf: np.ndarray, n_columns: int) -> bool:
    """Return whether each node that is no leaf has two later nodes as children, and splits on an existing column."""
    own = np.arange(len(left))[~leaf]
    children = np.stack([left[~leaf], right[~leaf]]).astype(np.int64)
    asked = column[~leaf]
    inside = (children > own).all() and (children < len(left)).all()
    return len(left) > 0 and bool(inside and (asked >= 0).all() and (asked < n_columns).all())


def _numbers(n_nodes: int, n_leaves: int, n_values: int) -> int:
    """Two numbers per split (column and threshold), and the values of each leaf."""
    return int(2 * (n_nodes - n_leaves) + n_values * n_leaves)


def _at_once(given: Training, estimator: BaseEstimator) -> Pipeline:
    scale = StandardScaler().fit(given.X)
    estimator.fit(scale.transform(given.X), given.y, sample_weight=given.weight)
    return Pipeline([("scale", scale), ("classify", estimator)])


def _kept(given: Training) -> np.ndarray:
    """Return which items to keep, (n,) bool, each with a chance of its weight over the largest.

    For estimators without sample weights. At least two items of each class are kept.
    """
    if (given.weight == given.weight[0]).all():
        return np.ones(len(given.y), bool)
    rng = np.random.default_rng(given.settings["seed"])
    kept: np.ndarray = rng.random(len(given.y)) < given.weight / given.weight.max()
    for label in np.unique(given.classes):
        of_label = np.flatnonzero(given.classes == label)
        if kept[of_label].sum() < 2:
            kept[of_label[np.argsort(-given.weight[of_label], kind="stable")[:2]]] = True
    return kept


class _Follower:
    """Reports each epoch, remembers the best on the validation items, and says when to stop."""

    def __init__(self, given: Training, scale: StandardScaler) -> None:
        self.given = given
        self.best: Any = None
        self._best_uar, self._best_epoch = -1.0, 0
        self._validation = (scale.transform(given.validation[0]), given.validation[1]) if given.validation else None

    def __call__(self, epoch: int, network: Any, X: np.ndarray, figures: dict[str, float]) -> bool:
        given = self.given
        figures["accuracy"] = float((network.predict(X) % PER_CORPUS == given.y).mean())
        if self._validation:
            items, y = self._validation
            n_labels = 1 + int(max((network.classes_ % PER_CORPUS).max(), y.max()))
            probabilities = by_label(network.predict_proba(items), network.classes_, n_labels)
            figures |= validation_figures(y, probabilities.argmax(axis=1), probabilities[np.arange(len(y)), y])
            if figures["validation_uar"] > self._best_uar:
                self.best, self._best_uar, self._best_epoch = copy.deepcopy(network), figures["validation_uar"], epoch
        if given.on_epoch:
            given.on_epoch(epoch, given.settings["epochs"], figures)
        patience = given.settings["patience"]
        tired = bool(patience and self._validation and epoch - self._best_epoch >= patience)
        return tired or given.should_stop()
