"""Class imbalance: nothing, weights, or more items of the rare labels.

Only the training part comes here. Items are arrays; a row is a summary vector or a window of frames.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

NONE, WEIGHTS, UPSAMPLE, SMOTE, ADASYN = "none", "weights", "upsample", "smote", "adasyn"
KEEPS_ITEMS = (NONE, WEIGHTS)
"""Methods that leave the items as they are, one for one."""

NEIGHBOURS = 5
"""Nearest items of the same label between which SMOTE and ADASYN interpolate; fewer where a label has fewer."""


@dataclass(frozen=True)
class Method:
    """One row of METHODS. interpolates: whether it makes items between two clips."""

    title: str
    description: str
    interpolates: bool = False


METHODS: dict[str, Method] = {
    NONE: Method("None", "Every training clip counts the same: rare labels are recognised less often."),
    WEIGHTS: Method(
        "Class weights", "Clips of rare labels count more, in proportion. Nothing is invented, nothing repeated."
    ),
    UPSAMPLE: Method("Upsampling", "Clips of rare labels are repeated until every label has as many as the largest."),
    SMOTE: Method(
        "SMOTE",
        "New items of rare labels, each between a clip and one of its nearest of the same label.",
        interpolates=True,
    ),
    ADASYN: Method(
        "ADASYN", "As SMOTE, with more new items where a clip has neighbours of other labels.", interpolates=True
    ),
}


def class_weights(y: np.ndarray, n_labels: int) -> np.ndarray:
    """Return one weight per label, float (n_labels,), so that each label that occurs counts the same in sum; their mean over y is 1."""
    counts = np.bincount(y, minlength=n_labels)
    weights: np.ndarray = np.divide(len(y), counts * (counts > 0).sum(), out=np.zeros(n_labels), where=counts > 0)
    return weights


def apply(
    X: np.ndarray,
    y: np.ndarray,
    weight: np.ndarray,
    method: str,
    *,
    n_labels: int,
    seed: int,
    on_nothing: Callable[[tuple[int, ...]], None] = lambda positions: None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return items, labels and weights of the training part, balanced by one of METHODS.

    Parameters
    ----------
    X : (n, ...) items; y : int (n,) positions of labels; weight : float (n,), how much an item counts already.
    on_nothing : called with the rarer labels of which SMOTE or ADASYN could make no items: they stay as they are.

    An item that SMOTE or ADASYN makes counts as much as the items of its label do on the average.
    """
    if method == NONE:
        return X, y, weight
    if method == WEIGHTS:
        return X, y, weight * class_weights(y, n_labels)[y]
    if method == UPSAMPLE:
        from imblearn.over_sampling import RandomOverSampler

        taken, _ = RandomOverSampler(random_state=seed).fit_resample(np.arange(len(y))[:, np.newaxis], y)
        return X[taken[:, 0]], y[taken[:, 0]], weight[taken[:, 0]]
    return _interpolate(X, y, weight, method, seed, on_nothing)


def _interpolate(
    X: np.ndarray,
    y: np.ndarray,
    weight: np.ndarray,
    method: str,
    seed: int,
    on_nothing: Callable[[tuple[int, ...]], None],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Neighbours are looked for among standardised columns: otherwise those in hertz alone would decide."""
    from sklearn.preprocessing import StandardScaler

    counts = np.bincount(y)
    rarer = [int(label) for label in np.flatnonzero((counts > 0) & (counts < counts.max()))]
    scale = StandardScaler()
    flat = scale.fit_transform(X.reshape(len(X), -1).astype(np.float32))
    made = {label: _made(flat, y, label, int(counts.max()), method, seed) for label in rarer}
    if lacking := tuple(label for label in rarer if not len(made[label])):
        on_nothing(lacking)
    new = np.repeat(rarer, [len(made[label]) for label in rarer]).astype(int)
    if not len(new):
        return X, y, weight
    between = np.concatenate([made[label] for label in rarer])
    items = scale.inverse_transform(between).reshape(-1, *X.shape[1:]).astype(X.dtype)
    mean_weight = np.bincount(y, weights=weight) / np.maximum(counts, 1)
    return np.concatenate([X, items]), np.concatenate([y, new]), np.concatenate([weight, mean_weight[new]])


def _made(flat: np.ndarray, y: np.ndarray, label: int, n: int, method: str, seed: int) -> np.ndarray:
    """Return new items of a label, about as many as it lacks to n, (n_new, n_columns); none where nothing can be interpolated.

    That is so where it has one item only and, for ADASYN, where it has nearly n already or no neighbour of another label: there is no
    border to thicken.
    """
    from imblearn import over_sampling

    n_items = int((y == label).sum())
    nothing: np.ndarray = flat[:0]
    if n_items < 2:
        return nothing
    wanted, n_neighbours = {label: n}, min(NEIGHBOURS, n_items - 1)
    if method == SMOTE:
        sampler = over_sampling.SMOTE(sampling_strategy=wanted, random_state=seed, k_neighbors=n_neighbours)
    else:
        sampler = over_sampling.ADASYN(sampling_strategy=wanted, random_state=seed, n_neighbors=n_neighbours)
    try:
        items, _ = sampler.fit_resample(flat, y)
    except (ValueError, RuntimeError):
        if method == ADASYN:  # it has no other way of saying that there is nothing to do
            return nothing
        raise
    made: np.ndarray = items[len(y) :]
    return made
