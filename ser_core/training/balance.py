"""Class imbalance: nothing, weights, or more items of the rare labels.

Only the training part comes here. Items are arrays; a row is a summary vector or a window of frames.
"""

from __future__ import annotations

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
    X: np.ndarray, y: np.ndarray, weight: np.ndarray, method: str, *, n_labels: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return items, labels and weights of the training part, balanced by one of METHODS.

    Parameters
    ----------
    X : (n, ...) items; y : int (n,) positions of labels; weight : float (n,), how much an item counts already.

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
    return _interpolate(X, y, weight, method, seed)


def _interpolate(
    X: np.ndarray, y: np.ndarray, weight: np.ndarray, method: str, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Neighbours are looked for among standardised columns: otherwise those in hertz alone would decide."""
    from imblearn import over_sampling
    from sklearn.preprocessing import StandardScaler

    n_neighbours = min(NEIGHBOURS, int(np.bincount(y)[np.unique(y)].min()) - 1)
    scale = StandardScaler()
    flat = scale.fit_transform(X.reshape(len(X), -1).astype(np.float32))
    if method == SMOTE:
        sampler = over_sampling.SMOTE(random_state=seed, k_neighbors=n_neighbours)
    else:
        sampler = over_sampling.ADASYN(random_state=seed, n_neighbors=n_neighbours)
    try:
        items, labels = sampler.fit_resample(flat, y)
    except (ValueError, RuntimeError) as error:
        if method == ADASYN and "ADASYN" in str(error):
            return X, y, weight  # no item has a neighbour of another label: there is no border to thicken
        raise
    if len(labels) == len(y):
        return X, y, weight  # every label has as many as the largest already
    made = scale.inverse_transform(items[len(y) :]).reshape(-1, *X.shape[1:]).astype(X.dtype)
    mean_weight = np.bincount(y, weights=weight) / np.maximum(np.bincount(y), 1)
    new = labels[len(y) :]
    return np.concatenate([X, made]), np.concatenate([y, new]), np.concatenate([weight, mean_weight[new]])
