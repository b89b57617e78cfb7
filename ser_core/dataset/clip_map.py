"""A map of clips: many columns of features reduced to two dimensions, so that clips which sound alike lie close together.

By PCA, by the discriminant axes of the labels (LDA; Fisher 1936), or by t-SNE (van der Maaten & Hinton 2008), with each speaker's own
mean left in or taken out first. Another clip can be placed on it. What was measured comes from exploration.py; a map that was drawn
once is kept in the feature cache.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ser_core.dataset import exploration
from ser_core.dataset.cache import MAPS, read_arrays, write_arrays
from ser_core.errors import CorpusError, Stopped

PCA, LDA, TSNE = "pca", "lda", "tsne"
VERSION = 2
"""Rises whenever the same features give another map: cached maps are then recomputed."""

N_NEIGHBOURS = 10
MAX_CLIPS = 6000
"""Clips on a map, at most: t-SNE takes a minute for more."""

_LEAST_CLIPS = 12
_INNER = 30
_REACH_SD = 6.0

_SAME = 1e-4
"""A vector nearer to a clip than this share of its own length is that clip: what is measured twice differs in its last digits."""


@dataclass(frozen=True)
class Reduced:
    """What `reduce` makes of standardised vectors, (n, n_columns).

    points: float32 (n, 2). neighbours: int (n, k). shares: how much of the variance the two axes show, (2,), PCA alone; else (0,).
    inner: the vectors in the space of the neighbours, float32 (n, n_inner), standard @ axes.T - offset. plane: (n_inner, 2), what makes
    points of these; (n_inner, 0) where nothing linear does (t-SNE).
    """

    points: np.ndarray
    neighbours: np.ndarray
    shares: np.ndarray
    inner: np.ndarray
    axes: np.ndarray
    offset: np.ndarray
    plane: np.ndarray


@dataclass(frozen=True)
class Map:
    """Clips in two dimensions. rows: which clips of the table, int (n,); points: float32 (n, 2).

    neighbours: of each of these clips the N_NEIGHBOURS nearest ones in the full feature space, as positions in `rows`,
    int (n, N_NEIGHBOURS). shares: how much of the variance the two axes show (PCA), else (). mean, deviation: of the columns, what they
    were standardised by, (n_columns,); a column that is always the same has the deviation inf. inner, axes, offset, plane: as in Reduced.
    """

    rows: np.ndarray
    points: np.ndarray
    neighbours: np.ndarray
    shares: tuple[float, ...]
    mean: np.ndarray
    deviation: np.ndarray
    inner: np.ndarray
    axes: np.ndarray
    offset: np.ndarray
    plane: np.ndarray

    def alike(self, groups: np.ndarray) -> float:
        """Return how many of a clip's nearest clips are in the same group (one group per clip of the table), as a share 0..1."""
        own = np.asarray(groups)[self.rows]
        return float((own[self.neighbours] == own[:, None]).mean())


@dataclass(frozen=True)
class Place:
    """Where another clip lies on a map. point: float (2,); nearest: positions in `rows` of the nearest clips, int (k,), nearest first."""

    point: np.ndarray
    nearest: np.ndarray


def place(drawn: Map, vector: np.ndarray) -> Place:
    """Return where a clip with a summary vector, (n_columns,), lies on a map of which the speakers were left in.

    Linear axes (PCA, LDA) have a place for any clip; t-SNE has none, so it is the mean of those of its nearest clips, and that of the
    clip itself where it is on the map.
    """
    inner = _standard(vector[np.newaxis], drawn.mean, drawn.deviation)[0] @ drawn.axes.T - drawn.offset
    distance = np.linalg.norm(drawn.inner - inner, axis=1)
    nearest = np.argsort(distance, kind="stable")[: drawn.neighbours.shape[1]]
    if drawn.plane.shape[1]:
        return Place(inner @ drawn.plane, nearest)
    is_there = distance[nearest[0]] <= _SAME * np.linalg.norm(inner)
    among = nearest[:1] if is_there else nearest
    return Place(drawn.points[among].mean(axis=0, dtype=float), nearest)


def recall(
    measured: exploration.Measured,
    speakers: np.ndarray | None,
    *,
    method: str,
    cache: Path,
    labels: np.ndarray | None = None,
    seed: int = 0,
) -> Map | None:
    """Return a map that `draw` kept; None where it never drew it."""
    stored = read_arrays(_map_place(cache, measured, speakers, labels, method, seed), *_KEPT)
    return None if stored is None else _map(stored)


def _map(arrays: Mapping[str, np.ndarray]) -> Map:
    others = {name: array for name, array in arrays.items() if name != "shares"}
    return Map(shares=tuple(arrays["shares"].tolist()), **others)


_KEPT = ("rows", "points", "neighbours", "shares", "mean", "deviation", "inner", "axes", "offset", "plane")
"""The arrays of a map, as they are kept."""


def draw(
    measured: exploration.Measured,
    speakers: np.ndarray | None = None,
    *,
    method: str = PCA,
    labels: np.ndarray | None = None,
    cache: Path | None = None,
    seed: int = 0,
    should_stop: Callable[[], bool] | None = None,
    reduce_by: Callable[[np.ndarray, str, int, np.ndarray | None], Reduced] | None = None,
) -> Map:
    """Return the clips in two dimensions, by PCA, LDA or t-SNE of their standardised summary vectors, and keep it in the cache.

    speakers : the speaker of each clip, to subtract each speaker's own mean first; None to leave it in.
    labels : the label of each clip, for LDA, which needs them.
    seed : of t-SNE, and of the draw of MAX_CLIPS clips where there are more.
    should_stop : called periodically; t-SNE then runs in a separate process, which can be ended. reduce_by : what reduces the vectors in
        place of `reduce`, such as a worker process that calls it.

    Raises
    ------
    CorpusError : for fewer than a dozen readable clips; for LDA, of fewer than two labels.
    Stopped : if should_stop said yes.
    """
    rows = np.flatnonzero(measured.readable)
    if len(rows) < _LEAST_CLIPS:
        raise CorpusError(
            f"A map needs {_LEAST_CLIPS} clips that can be read or more; there are {len(rows)}. Choose more corpora."
        )
    if len(rows) > MAX_CLIPS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MAX_CLIPS, replace=False))
    vectors = measured.vectors[rows].astype(float)
    if speakers is not None:
        vectors = exploration.without_speaker(vectors, np.asarray(speakers)[rows])
    mean, deviation = vectors.mean(axis=0), vectors.std(axis=0)
    deviation = np.where(deviation > 1e-9, deviation, np.inf)
    standard = _standard(vectors, mean, deviation)
    groups = None if method != LDA or labels is None else np.asarray(labels, str)[rows]
    if method == LDA and len(set(groups if groups is not None else ())) < 2:
        raise CorpusError("A map by discriminant axes needs clips of two labels or more. Choose more corpora.")
    if should_stop and method == TSNE:
        reduced = _in_a_process(standard, method, seed, should_stop)
    else:
        reduced = (reduce_by or reduce)(standard, method, seed, groups)
    arrays = {"rows": rows, "mean": mean, "deviation": deviation, **vars(reduced)}
    if cache:
        write_arrays(_map_place(cache, measured, speakers, labels, method, seed), **arrays)
    return _map(arrays)


def _standard(vectors: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    standard: np.ndarray = ((vectors.astype(float) - mean) / deviation).clip(-_REACH_SD, _REACH_SD)
    return standard


def _map_place(
    cache: Path,
    measured: exploration.Measured,
    speakers: np.ndarray | None,
    labels: np.ndarray | None,
    method: str,
    seed: int,
) -> Path:
    groups = [None if each is None else list(map(str, each)) for each in (speakers, labels if method == LDA else None)]
    settings = json.dumps([measured.key, method, seed, MAX_CLIPS, N_NEIGHBOURS, *groups])
    return cache / MAPS / f"{hashlib.sha256(settings.encode() + bytes([VERSION])).hexdigest()}.npz"


def reduce(standard: np.ndarray, method: str, seed: int, labels: np.ndarray | None = None) -> Reduced:
    """Return standardised vectors, (n, n_columns), in two dimensions. labels: str (n,), for LDA."""
    import threadpoolctl
    from sklearn import decomposition, manifold, neighbors

    n = len(standard)
    pca = decomposition.PCA(min(_INNER, n - 1, standard.shape[1]), svd_solver="covariance_eigh")
    near = neighbors.NearestNeighbors(n_neighbors=min(N_NEIGHBOURS, n - 1), algorithm="brute")
    tsne = manifold.TSNE(perplexity=min(30.0, (n - 1) / 3), init="pca", random_state=seed, max_iter=500)
    with threadpoolctl.threadpool_limits(
        1
    ):  # on busy cores, threads that wait for each other cost many times what they save
        inner = pca.fit_transform(standard).astype(np.float32)
        neighbours = near.fit(inner).kneighbors(return_distance=False)
        plane = np.zeros((inner.shape[1], 0))
        shares = np.zeros(0)
        if method == TSNE:
            points = tsne.fit_transform(inner).astype(np.float32)
        elif labels is not None and method == LDA:
            plane = _discriminants(inner, labels)
            points = inner @ plane
        else:
            plane = np.eye(inner.shape[1], 2)
            points = inner @ plane
            shares = np.nan_to_num(pca.explained_variance_ratio_[:2])  # 0 of nothing where all clips are the same
    axes, offset = pca.components_, pca.mean_ @ pca.components_.T
    return Reduced(points.astype(np.float32), neighbours, shares, inner, axes, offset, plane)


def _discriminants(inner: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the two directions, (n_inner, 2), that part the labels best beside the spread within them.

    Two labels have one; the other is then the widest one at a right angle to it.
    """
    from sklearn import discriminant_analysis

    if np.abs(inner).max() < 1e-6:  # all clips are the same
        return np.eye(inner.shape[1], 2)
    lda = discriminant_analysis.LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto")
    found = lda.fit(inner, labels).scalings_[:, : min(2, len(lda.classes_) - 1)]
    if found.shape[1] < 2:
        way = found[:, 0] / np.linalg.norm(found[:, 0])
        rest = inner - np.outer(inner @ way, way)
        found = np.column_stack([found[:, 0], np.linalg.svd(rest - rest.mean(axis=0), full_matrices=False)[2][0]])
    return np.asarray(found, float)


def _in_a_process(standard: np.ndarray, method: str, seed: int, should_stop: Callable[[], bool]) -> Reduced:
    """Return what `reduce` does, computed by a process that is ended where should_stop says yes."""
    from joblib.externals import loky

    executor = loky.ProcessPoolExecutor(max_workers=1)
    future = executor.submit(reduce, standard, method, seed)
    try:
        while True:
            try:
                return future.result(timeout=0.3)  # type: ignore[no-any-return]
            except TimeoutError:
                if should_stop():
                    raise Stopped("Stopped.") from None
    finally:
        executor.shutdown(wait=False, kill_workers=True)
