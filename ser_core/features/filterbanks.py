"""Filterbanks of mel bands and pitch classes: weight matrices that extraction.py multiplies spectra by.

The definitions are librosa's, and tests/test_filterbanks.py holds them against it to the last bit. They are written out here
because librosa loads a compiler: a server that only listens would carry 140 MB of it, and start a second later.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ser_core.features.config import FeatureConfig

_HZ_A_MEL = 200 / 3
_LINEAR_TO_HZ = 1000.0
_LINEAR_TO_MEL = _LINEAR_TO_HZ / _HZ_A_MEL
_LOG_STEP = np.log(6.4) / 27
"""Slaney's mel scale: 15 mels up to 1000 Hz, each as wide; above, 27 mels for each factor of 6.4."""

_A0_HZ = 27.5
_CENTRE_OCTAVE, _OCTAVES_WIDE = 5.0, 2.0
"""Weights of the octaves: a Gaussian around this octave above A0, with this standard deviation."""

_C_ABOVE_A = 3


def mel_frequencies(n_mels: int, *, fmin: float, fmax: float) -> np.ndarray:
    """Return frequencies in Hz, float64 (n_mels,), that are equally far apart in mels, from fmin to fmax."""
    mels = np.linspace(_to_mel(fmin), _to_mel(fmax), n_mels)
    above = _LINEAR_TO_HZ * np.exp(_LOG_STEP * (mels - _LINEAR_TO_MEL))
    return np.where(mels >= _LINEAR_TO_MEL, above, _HZ_A_MEL * mels)


def _to_mel(hz: float) -> float:
    return float(_LINEAR_TO_MEL + np.log(hz / _LINEAR_TO_HZ) / _LOG_STEP) if hz >= _LINEAR_TO_HZ else hz / _HZ_A_MEL


def mel(sample_rate: int, n_fft: int, *, n_mels: int, fmin: float, fmax: float) -> np.ndarray:
    """Return the weight of each bin in each mel band, float32 (n_mels, 1 + n_fft // 2).

    A band is a triangle from the centre of the one below it to that of the one above, of area 1 (in Hz).
    """
    bins = np.fft.rfftfreq(n_fft, 1 / sample_rate)
    edges = mel_frequencies(n_mels + 2, fmin=fmin, fmax=fmax)
    from_edge = edges[:, np.newaxis] - bins
    widths = np.diff(edges)[:, np.newaxis]
    rising, falling = -from_edge[:-2] / widths[:-1], from_edge[2:] / widths[1:]
    triangles = np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
    bank: np.ndarray = (triangles * (2 / (edges[2:] - edges[:-2]))[:, np.newaxis]).astype(np.float32)
    return bank


def chroma(sample_rate: int, n_fft: int, *, n_chroma: int) -> np.ndarray:
    """Return the weight of each bin in each pitch class, float32 (n_chroma, 1 + n_fft // 2); the first is C, with A at 440 Hz.

    A bin belongs to the classes around its pitch by a Gaussian as wide as the bin, normed to length 1 over the classes (Ellis 2007).
    """
    bins = np.arange(1, n_fft) * (sample_rate / n_fft)
    pitches = n_chroma * np.log2(bins / _A0_HZ)
    pitches = np.concatenate(
        [[pitches[0] - 1.5 * n_chroma], pitches]
    )  # 0 Hz has no pitch: it counts as far below the first bin
    widths = np.concatenate([np.maximum(np.diff(pitches), 1.0), [1.0]])
    half = round(n_chroma / 2)
    away = np.subtract.outer(np.arange(n_chroma), pitches)
    away = np.remainder(-away + half + 10 * n_chroma, n_chroma) - half
    weights = np.exp(-0.5 * (2 * away / widths) ** 2)
    weights = weights / np.sqrt(np.sum(weights**2, axis=0))
    weights = weights * np.exp(-0.5 * ((pitches / n_chroma - _CENTRE_OCTAVE) / _OCTAVES_WIDE) ** 2)
    weights = np.roll(weights, -_C_ABOVE_A * (n_chroma // 12), axis=0)
    return np.ascontiguousarray(weights[:, : 1 + n_fft // 2], dtype=np.float32)


@lru_cache(maxsize=8)
def _window(win_length: int) -> np.ndarray:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(win_length) / win_length)).astype(np.float32)


@lru_cache(maxsize=8)
def _bin_frequencies(config: FeatureConfig) -> np.ndarray:
    return (np.arange(1 + config.n_fft // 2) * (config.sample_rate / config.n_fft)).astype(np.float32)
