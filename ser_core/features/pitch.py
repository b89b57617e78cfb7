"""The fundamental frequency of each frame, from the normalised autocorrelation of its window (after Boersma 1993)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import scipy.fft
import scipy.ndimage

from ser_core.features import filterbanks
from ser_core.features.config import F0_MIN, FeatureConfig

F0_MAX = 500.0
"""Search range of the fundamental frequency in Hz: low male to high female and excited speech."""

VOICING_THRESHOLD = 0.5
"""Normalised autocorrelation from which a frame counts as voiced (Boersma 1993 takes 0.45 on clean speech)."""

OCTAVE_COST = 0.04
"""Taken from the autocorrelation per octave below F0_MAX, so that the shortest of several equal periods wins (Boersma 1993)."""

_TINY = 1e-10

PERIODICITY_MAX_HZ = 2500.0
PERIODICITY_S = 0.1
"""Up to where `periodicity` looks for harmonics, and over how much time their autocorrelation is averaged."""


def periodicity(power: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Return how periodic each 100 ms are once their formants are taken out, about 0.1 (noise) to 1 (harmonics), (n_frames,).

    power : (n_frames, n_bins). Noise in a narrow formant, as in a whisper, passes for a pitch in `voicing`. Here each spectrum is divided
    by its cepstral envelope, of quefrencies below a period of F0_MAX, before the autocorrelation: a voice leaves its harmonics, and a
    whisper white noise, which the average over time takes out.
    """
    first_lag = int(config.sample_rate / F0_MAX)
    lags = np.arange(first_lag, int(np.ceil(config.sample_rate / F0_MIN)) + 1)
    cepstrum = scipy.fft.dct(np.log(np.maximum(power, _TINY)), type=1, axis=1)
    cepstrum[:, first_lag:] = 0.0
    frequencies = filterbanks._bin_frequencies(config)
    bins = np.flatnonzero((frequencies >= F0_MIN) & (frequencies <= PERIODICITY_MAX_HZ))
    white = power[:, bins] / np.exp(scipy.fft.idct(cepstrum, type=1, axis=1)[:, bins])
    cosines = np.cos(2 * np.pi * np.outer(bins, lags) / config.n_fft).astype(np.float32)
    correlation = (white @ cosines) / np.maximum(white.sum(axis=1, keepdims=True), _TINY)
    n_averaged = max(round(PERIODICITY_S * config.sample_rate / config.hop_length), 1)
    averaged = scipy.ndimage.uniform_filter1d(correlation, n_averaged, axis=0)
    strongest: np.ndarray = (averaged / _window_autocorrelation(config)[lags]).max(axis=1)
    return strongest


def _fundamental(power: np.ndarray, config: FeatureConfig) -> tuple[np.ndarray, np.ndarray]:
    """Return f0 in Hz (NaN where unvoiced) and voicing in [0, 1], both float32 (n_frames,).

    The autocorrelation of each frame comes from its power spectrum and is divided by that of the window (Boersma 1993,
    "Accurate short-term analysis of the fundamental frequency ..."). Its highest peak in the search range gives the
    period. A second pass searches near the speaker's own range, found in the first (De Looze and Hirst 2008), which
    removes most octave errors.
    """
    first_lag = int(config.sample_rate / F0_MAX)
    last_lag = int(np.ceil(config.sample_rate / F0_MIN)) + 1
    basis = _autocorrelation_basis(config, last_lag)
    correlation = power[:, : len(basis)] @ basis
    energy = correlation[:, :1]
    loud = energy[:, 0] > max(float(energy.max()) * 1e-5, 1e-9)
    correlation = correlation / np.where(energy > 0, energy, 1.0) / _window_autocorrelation(config)[: last_lag + 1]
    inner = correlation[:, first_lag:last_lag]
    is_peak = (inner >= correlation[:, first_lag - 1 : last_lag - 1]) & (
        inner > correlation[:, first_lag + 1 : last_lag + 1]
    )
    lags = np.arange(first_lag, last_lag)
    scores = np.where(is_peak, inner - _octave_cost(first_lag, last_lag), -1.0)

    best = scores.argmax(axis=1)
    strength = np.take_along_axis(inner, best[:, np.newaxis], axis=1)[:, 0]
    voiced = loud & (strength > VOICING_THRESHOLD) & (scores.max(axis=1) > 0)
    if voiced.sum() >= 5:
        low, high = np.percentile(lags[best[voiced]], (25, 75))
        in_range = (lags >= low / 1.9) & (lags <= high * 1.6)
        scores = np.where(in_range, scores, -1.0)
        best = scores.argmax(axis=1)
        strength = np.take_along_axis(inner, best[:, np.newaxis], axis=1)[:, 0]
        voiced = loud & (strength > VOICING_THRESHOLD) & (scores.max(axis=1) > 0)

    rows = np.arange(len(inner))
    lag = lags[best]
    left, middle, right = correlation[rows, lag - 1], correlation[rows, lag], correlation[rows, lag + 1]
    curvature = left - 2 * middle + right
    shift = np.where(np.abs(curvature) > 1e-9, 0.5 * (left - right) / np.where(curvature == 0, 1.0, curvature), 0.0)
    f0 = config.sample_rate / (lag + np.clip(shift, -0.5, 0.5))
    return (
        np.where(voiced, f0, np.nan).astype(np.float32),
        np.where(loud, np.clip(strength, 0.0, 1.0), 0.0).astype(np.float32),
    )


@lru_cache(maxsize=8)
def _window_autocorrelation(config: FeatureConfig) -> np.ndarray:
    window = filterbanks._window(config.win_length).astype(np.float64)
    correlation = np.correlate(window, window, mode="full")[config.win_length - 1 :]
    own: np.ndarray = np.maximum(correlation / correlation[0], 1e-3).astype(np.float32)
    return own


@lru_cache(maxsize=8)
def _autocorrelation_basis(config: FeatureConfig, last_lag: int) -> np.ndarray:
    """Return the cosines that turn a power spectrum into its autocorrelation, float32 (n_bins up to 2 kHz, last_lag + 1).

    Each bin is weighted by its frequency, and those below F0_MIN not at all: rumble (wind, ventilation) falls with the
    square of frequency or faster and would pass for periodicity. Above 2 kHz hiss would hide it, and one sample of error in
    the period weighs too much.
    """
    frequencies = filterbanks._bin_frequencies(config)
    bins = np.flatnonzero(frequencies <= 2000)
    weights = np.where(frequencies[bins] >= F0_MIN, frequencies[bins] / 1000, 0)
    cosines = np.cos(2 * np.pi * np.outer(bins, np.arange(last_lag + 1)) / config.n_fft)
    return (weights[:, np.newaxis] * cosines * (2 / config.n_fft)).astype(np.float32)


@lru_cache(maxsize=8)
def _octave_cost(first_lag: int, last_lag: int) -> np.ndarray:
    return (OCTAVE_COST * np.log2(np.arange(first_lag, last_lag) / first_lag)).astype(np.float32)
