"""Measures of each frame's spectrum that follow voice quality and effort: where the energy lies, how steeply it falls, how it changes.

Arrays in, arrays out: extraction.py calls it with the one spectrum it has. Definitions follow the Geneva minimalistic parameter
set (Eyben et al. 2016, "The Geneva Minimalistic Acoustic Parameter Set (GeMAPS) ...") where it has them.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

SPECTRAL = (
    "loudness",
    "roll_25",
    "roll_50",
    "roll_75",
    "roll_90",
    "mel_centre",
    "mel_spread",
    "mel_skew",
    "mel_kurt",
    "mel_entropy",
    "flux",
    "change_db",
    "rise_db",
    "slope_low",
    "slope_middle",
    "slope_high",
    "alpha_db",
    "hammarberg_db",
    "first_formant_db",
    "middle_db",
    "high_db",
    "harmonic_db",
)
"""Columns of `describe`.

loudness: sum over the mel bands of the cube root of their power; roll_NN: mel band (0 = lowest) below which NN % of the power
lies; mel_centre to mel_entropy: moments of the power over the mel bands, and its entropy in nats; flux: change of the normalised
spectrum from the frame before; change_db, rise_db: mean over the bands of the change in dB, and of what rises; slope_*: dB per kHz
in 0-500, 500-1500 and 1500-5000 Hz; alpha_db: 1-5 kHz against 50-1000 Hz; hammarberg_db: highest peak below 2 kHz against that in
2-5 kHz; first_formant_db, middle_db, high_db: 250-650, 1000-4000 and 5000-8000 Hz against the whole; harmonic_db: harmonics to noise.
"""

VOICE = ("h1_h2", "h1_h3", "h1_a1", "h1_a2", "h1_a3", "a1_a3", "peak1_hz", "peak2_hz", "peak3_hz")
"""Columns of `voice`.

Levels in dB of the first harmonic against the second, the third, and the highest peaks of three formant ranges (FORMANT_RANGES);
of the first such peak against the third; and the frequencies of the three. A breathy voice has a strong first harmonic.
"""

FORMANT_RANGES_HZ = ((300, 1000), (1000, 2400), (2400, 3600))
ROLL_SHARES = (0.25, 0.50, 0.75, 0.90)
_SLOPES_HZ = ((1, 500), (500, 1500), (1500, 5000))
_LEVELS_HZ = ((50, 1000), (1000, 5000), (250, 650), (1000, 4000), (5000, 8001), (0, 24_000))
_DB = 10 / np.log(10)
_TINY = 1e-9


def describe(
    power: np.ndarray,
    log_power: np.ndarray,
    mel_power: np.ndarray,
    log_mel: np.ndarray,
    voicing: np.ndarray,
    bin_hz: float,
) -> np.ndarray:
    """Return the SPECTRAL measures of each frame, float32 (n_frames, n_measures).

    Parameters
    ----------
    power, log_power : (n_frames, n_bins), log_power its natural logarithm; bins are bin_hz apart.
    mel_power, log_mel : (n_frames, n_mels), log_mel in dB.
    voicing : (n_frames,), normalised autocorrelation in 0..1.
    """
    n_bins = power.shape[1]
    total = mel_power.sum(axis=1, keepdims=True) + _TINY
    share = mel_power / total
    below = np.cumsum(share, axis=1)
    rolls = [_crossing(below, share, q) for q in ROLL_SHARES]
    centre, spread, skew, kurt = _moments(share)
    entropy = -(share * np.log(share + _TINY)).sum(axis=1)
    root = np.sqrt(share)
    flux = np.sqrt(np.square(np.diff(root, axis=0, prepend=root[:1])).sum(axis=1))
    change = np.diff(log_mel, axis=0, prepend=log_mel[:1])
    absolute = np.abs(change).mean(axis=1)
    slopes = log_power @ _slopes(n_bins, bin_hz) * _DB
    low, high, formant, middle, top, whole = (np.log(power @ _levels(n_bins, bin_hz) + _TINY) * _DB).T
    two, five = _bins(2000, bin_hz, n_bins), _bins(5000, bin_hz, n_bins)
    hammarberg = (log_power[:, :two].max(axis=1) - log_power[:, two : max(five, two + 1)].max(axis=1)) * _DB
    periodic = np.clip(voicing, 0.01, 0.995)
    return np.stack(
        [
            np.exp(log_mel * np.float32(1 / (3 * _DB))).sum(axis=1),
            *rolls,
            centre,
            spread,
            skew,
            kurt,
            entropy,
            flux,
            absolute,
            (absolute + change.mean(axis=1)) / 2,
            *slopes.T,
            high - low,
            hammarberg,
            formant - whole,
            middle - whole,
            top - whole,
            np.log(periodic / (1 - periodic)) * _DB,
        ],
        axis=1,
        dtype=np.float32,
    )


def voice(log_power: np.ndarray, f0_hz: np.ndarray, bin_hz: float) -> np.ndarray:
    """Return the VOICE measures of voiced frames, float32 (n_voiced, n_measures).

    log_power: natural logarithm of the power, (n_voiced, n_bins); f0_hz: (n_voiced,).
    """
    n_bins = log_power.shape[1]
    rows = np.arange(len(log_power))
    levels = []
    for harmonic in (1, 2, 3):
        bins = np.clip(np.rint(f0_hz * harmonic / bin_hz).astype(int), 1, n_bins - 2)
        levels.append(
            np.maximum(np.maximum(log_power[rows, bins - 1], log_power[rows, bins]), log_power[rows, bins + 1]) * _DB
        )
    peaks, places = [], []
    for low, high in FORMANT_RANGES_HZ:
        start = min(_bins(low, bin_hz, n_bins), n_bins - 1)
        part = log_power[:, start : max(_bins(high, bin_hz, n_bins), start + 1)]
        highest = part.argmax(axis=1)
        peaks.append(part[rows, highest] * _DB)
        places.append((start + highest) * bin_hz)
    first, second, third = levels
    against = [first - second, first - third, *(first - peak for peak in peaks), peaks[0] - peaks[2]]
    return np.stack([*against, *places], axis=1).astype(np.float32)


def _crossing(below: np.ndarray, share: np.ndarray, q: float) -> np.ndarray:
    """Return where the cumulated share of a frame reaches q, in bands, interpolated within the band; (n_frames,)."""
    band = np.minimum(np.count_nonzero(below < q, axis=1), below.shape[1] - 1)
    rows = np.arange(len(below))
    inside = share[rows, band]
    place: np.ndarray = band + np.clip((q - below[rows, band] + inside) / (inside + _TINY), 0, 1)
    return place


def _moments(share: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return mean, deviation, skewness and kurtosis of the band under the weights of each frame, each (n_frames,)."""
    middle = share.shape[1] / 2
    bands = np.arange(share.shape[1], dtype=np.float32) - middle
    m1, m2, m3, m4 = (share @ np.stack([bands, bands**2, bands**3, bands**4], axis=1)).T
    variance = np.maximum(m2 - m1**2, 1e-3)
    third = m3 - 3 * m1 * m2 + 2 * m1**3
    fourth = m4 - 4 * m1 * m3 + 6 * m1**2 * m2 - 3 * m1**4
    return m1 + middle, np.sqrt(variance), third / variance**1.5, fourth / variance**2


def _bins(frequency_hz: float, bin_hz: float, n_bins: int) -> int:
    return min(int(np.ceil(frequency_hz / bin_hz)), n_bins)


@lru_cache(maxsize=8)
def _slopes(n_bins: int, bin_hz: float) -> np.ndarray:
    """Return weights (n_bins, n_slopes) that give the slope of a straight line through the bins of each range, per kHz."""
    frequencies = np.arange(n_bins) * bin_hz
    columns = []
    for low, high in _SLOPES_HZ:
        inside = (frequencies >= low) & (frequencies <= high)
        offset = np.where(inside, frequencies - frequencies[inside].mean() if inside.any() else 0.0, 0.0) / 1000
        columns.append(offset / max(float(offset @ offset), _TINY))
    return np.stack(columns, axis=1).astype(np.float32)


@lru_cache(maxsize=8)
def _levels(n_bins: int, bin_hz: float) -> np.ndarray:
    frequencies = np.arange(n_bins) * bin_hz
    return np.stack([(frequencies >= low) & (frequencies < high) for low, high in _LEVELS_HZ], axis=1).astype(
        np.float32
    )
