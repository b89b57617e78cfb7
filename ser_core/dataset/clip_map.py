"""A map of clips: many columns of features reduced to two dimensions, so that clips which sound alike lie close together.

By PCA, or by t-SNE (van der Maaten & Hinton 2008), with each speaker's own mean left in or taken out first. What was measured comes
from exploration.py; a map that was drawn once is kept in the feature cache.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ser_core.dataset import exploration
from ser_core.dataset.cache import MAPS, read_arrays, write_arrays
from ser_core.errors import CorpusError, Stopped

PCA, TSNE = "pca", "tsne"
VERSION = 1
"""Rises whenever the same features give another map: cached maps are then recomputed."""

N_NEIGHBOURS = 10
MAX_CLIPS = 6000
"""Clips on a map, at most: t-SNE takes a minute for more."""

_LEAST_CLIPS = 12
_INNER = 30
_REACH_SD = 6.0

Reduced = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Map:
    """Clips in two dimensions. rows: which clips of the table, int (n,); points: float32 (n, 2).

    neighbours: of each of these clips the N_NEIGHBOURS nearest ones in the full feature space, as positions in `rows`,
    int (n, N_NEIGHBOURS). shares: how much of the variance the two axes show (PCA), else ().
    """

    rows: np.ndarray
    points: np.ndarray
    neighbours: np.ndarray
    shares: tuple[float, ...]

    def alike(self, groups: np.ndarray) -> float:
        """Return how many of a clip's nearest clips are in the same group (one group per clip of the table), as a share 0..1."""
        own = np.asarray(groups)[self.rows]
        return float((own[self.neighbours] == own[:, None]).mean())


def recall(
    measured: exploration.Measured, speakers: np.ndarray | None, *, method: str, cache: Path, seed: int = 0
) -> Map | None:
    """Return a map that `draw` kept; None where it never drew it."""
    stored = read_arrays(_map_place(cache, measured, speakers, method, seed), "rows", "points", "neighbours", "shares")
    if stored is None:
        return None
    return Map(stored["rows"], stored["points"], stored["neighbours"], tuple(stored["shares"].tolist()))


def draw(
    measured: exploration.Measured,
    speakers: np.ndarray | None = None,
    *,
    method: str = PCA,
    cache: Path | None = None,
    seed: int = 0,
    should_stop: Callable[[], bool] | None = None,
    reduce_by: Callable[[np.ndarray, str, int], Reduced] | None = None,
) -> Map:
    """Return the clips in two dimensions, by PCA or t-SNE of their standardised summary vectors, and keep it in the cache.

    speakers : the speaker of each clip, to subtract each speaker's own mean first; None to leave it in.
    seed : of t-SNE, and of the draw of MAX_CLIPS clips where there are more.
    should_stop : called periodically; t-SNE then runs in a separate process, which can be ended. reduce_by : what reduces the vectors in
        place of `reduce`, such as a worker process that calls it.

    Raises
    ------
    CorpusError : for fewer than a dozen readable clips.
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
    deviation = vectors.std(axis=0)
    standard = ((vectors - vectors.mean(axis=0)) / np.where(deviation > 1e-9, deviation, np.inf)).clip(
        -_REACH_SD, _REACH_SD
    )
    if should_stop and method == TSNE:
        points, neighbours, shares = _in_a_process(standard, method, seed, should_stop)
    else:
        points, neighbours, shares = (reduce_by or reduce)(standard, method, seed)
    if cache:
        place = _map_place(cache, measured, speakers, method, seed)
        write_arrays(place, rows=rows, points=points, neighbours=neighbours, shares=shares)
    return Map(rows, points, neighbours, tuple(shares.tolist()))


def _map_place(
    cache: Path, measured: exploration.Measured, speakers: np.ndarray | None, method: str, seed: int
) -> Path:
    settings = json.dumps(
        [measured.key, method, seed, MAX_CLIPS, N_NEIGHBOURS, None if speakers is None else list(map(str, speakers))]
    )
    return cache / MAPS / f"{hashlib.sha256(settings.encode() + bytes([VERSION])).hexdigest()}.npz"


def reduce(standard: np.ndarray, method: str, seed: int) -> Reduced:
    """Return standardised vectors, (n, n_columns), in two dimensions: points float32 (n, 2), neighbours int (n, k), and how much of the
    variance the two axes show, (2,), or (0,) for t-SNE.
    """
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
        if method == TSNE:
            return tsne.fit_transform(inner).astype(np.float32), neighbours, np.zeros(0)
    return (
        inner[:, :2],
        neighbours,
        np.nan_to_num(pca.explained_variance_ratio_[:2]),
    )  # 0 of nothing where all clips are the same


def _in_a_process(standard: np.ndarray, method: str, seed: int, should_stop: Callable[[], bool]) -> Reduced:
    """Return what `reduce` does, computed by a process that is ended where should_stop says yes."""
    from joblib.externals import loky

    executor = loky.ProcessPoolExecutor(max_workers=1)
    future = executor.submit(reduce, standard, method, seed)
    try:
        while True:
            try:
                reduced: Reduced = future.result(timeout=0.3)
                return reduced
            except TimeoutError:
                if should_stop():
                    raise Stopped("Stopped.") from None
    finally:
        executor.shutdown(wait=False, kill_workers=True)
