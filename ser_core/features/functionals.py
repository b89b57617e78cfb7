"""Functionals: statistics over a clip of measures taken frame by frame (location, spread, dynamics, contour).

Arrays in, arrays out; all tracks of a clip at once. extraction.py knows what the tracks are, and joins these numbers into a
clip's summary vector.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

QUANTILES = (0.10, 0.25, 0.50, 0.75, 0.90)
N_SHAPE = 4

STATISTICS = (
    "mean",
    "std",
    "skew",
    "kurt",
    *(f"p{round(100 * q):02d}" for q in QUANTILES),
    "step",
    "step_rel",
    *(f"shape_{i + 1}" for i in range(N_SHAPE)),
)
"""Names of what `describe` returns for each track.

mean, std, skew, kurt: moments; pNN: percentiles; step: mean absolute difference of neighbouring frames, and step_rel the same
in units of std; shape_k: amplitude of the k-th half-cosine over the clip (1: falls from beginning to end, 2: lower in the middle).
"""

RHYTHM = (
    "duration_s",
    "log_duration",
    "voiced_s",
    "voiced_share",
    "voiced_runs_per_s",
    "voiced_run_mean_s",
    "voiced_run_std_s",
    "voiced_run_max_s",
    "unvoiced_run_mean_s",
    "unvoiced_run_std_s",
    "unvoiced_run_max_s",
    "peaks_per_s",
    "f0_slope_mean",
    "f0_slope_std",
    "f0_slope_max",
    "f0_slope_min",
    "f0_slope_abs",
    "f0_begin",
    "f0_end",
)
"""Names of what `rhythm` returns: durations and shares of voiced and unvoiced stretches, peaks of loudness per second, the slope
of pitch within voiced stretches of 0.1 s or more (semitones a second), and its first and last 0.2 s of voice against
its median (semitones).
"""

_LEAST_RUN_S = 0.1
_ENDS_S = 0.2
_LEAST_STD = 1e-6


def describe(tracks: np.ndarray) -> np.ndarray:
    """Return the STATISTICS of each track: float32 (n_tracks, n_statistics), from float32 (n_tracks, n_frames).

    A track that does not move has std 0, and 0 for all that is relative to it.
    """
    n_frames = tracks.shape[1]
    mean = tracks.mean(axis=1, keepdims=True)
    centred = tracks - mean
    squared = centred * centred
    variance = squared.mean(axis=1)
    std = np.sqrt(variance)
    still = std < _LEAST_STD + 1e-6 * np.abs(mean[:, 0])
    unit = np.where(still, np.float32(np.inf), std)
    skew = np.einsum("ij,ij->i", squared, centred) / n_frames / unit**3
    kurt = np.einsum("ij,ij->i", squared, squared) / n_frames / unit**4
    ordered = np.sort(tracks, axis=1)
    quantiles = ordered[:, [round(q * (n_frames - 1)) for q in QUANTILES]]
    step = np.abs(np.diff(tracks, axis=1)).mean(axis=1) if n_frames > 1 else np.zeros_like(std)
    shape = centred @ _cosines(n_frames)
    columns = [
        mean[:, 0],
        std,
        skew,
        kurt,
        *quantiles.T,
        step,
        step / unit,
        *shape.T,
    ]
    return np.stack(columns, axis=1).astype(np.float32, copy=False)


@lru_cache(maxsize=256)
def _cosines(n_frames: int) -> np.ndarray:
    """Return the half-cosines of a clip, float32 (n_frames, N_SHAPE), scaled so that a track's product with them is its amplitude."""
    time = (np.arange(n_frames)[:, np.newaxis] + 0.5) / n_frames
    return (np.cos(np.pi * time * np.arange(1, N_SHAPE + 1)) * (2 / n_frames)).astype(np.float32)


def rhythm(voiced: np.ndarray, loudness: np.ndarray, pitch: np.ndarray, frame_s: float) -> np.ndarray:
    """Return the RHYTHM of a clip: float32 (n_columns,).

    voiced: (n_frames,) bool; loudness: (n_frames,); pitch: semitones of the voiced frames, (n_voiced,).
    """
    duration = len(voiced) * frame_s
    starts, stops = _runs(voiced)
    voiced_s = (stops - starts) * frame_s
    silent_starts, silent_stops = _runs(~voiced)
    silent_s = (silent_stops - silent_starts) * frame_s
    middle = loudness[1:-1]
    is_peak = (middle > loudness[:-2]) & (middle >= loudness[2:]) & (middle > loudness.mean())
    slopes = _slopes(pitch, stops - starts, frame_s)
    begin = end = 0.0
    n_ends = round(_ENDS_S / frame_s)
    if len(pitch) >= n_ends and len(starts):
        median = np.median(pitch)
        begin, end = pitch[:n_ends].mean() - median, pitch[-n_ends:].mean() - median
    return np.array(
        [
            duration,
            np.log(duration),
            voiced.sum() * frame_s,
            voiced.mean(),
            len(starts) / duration,
            *_spread(voiced_s),
            *_spread(silent_s),
            is_peak.sum() / duration,
            *_spread(slopes),
            slopes.min() if len(slopes) else 0.0,
            np.abs(slopes).mean() if len(slopes) else 0.0,
            begin,
            end,
        ],
        np.float32,
    )


def _runs(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where the stretches of True start and where they stop."""
    edges = np.diff(mask.astype(np.int8), prepend=0, append=0)
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)


def _spread(values: np.ndarray) -> tuple[float, float, float]:
    """Return mean, deviation and maximum; zeros of nothing."""
    return (float(values.mean()), float(values.std()), float(values.max())) if len(values) else (0.0, 0.0, 0.0)


def _slopes(pitch: np.ndarray, lengths: np.ndarray, frame_s: float) -> np.ndarray:
    """Return the slope of a straight line through each stretch that is long enough; lengths sum to len(pitch)."""
    if not len(lengths):
        return np.zeros(0)
    firsts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    time = (np.arange(len(pitch)) - np.repeat(firsts + (lengths - 1) / 2, lengths)) * frame_s
    slopes = np.add.reduceat(time * pitch, firsts) / np.maximum(np.add.reduceat(time * time, firsts), 1e-9)
    return np.asarray(slopes[lengths >= round(_LEAST_RUN_S / frame_s)])
