"""Speaking rate, from sound alone: syllable nuclei found as peaks of the level in voiced frames.

After de Jong & Wempe (2009), "Praat script to detect syllable nuclei and measure speech rate automatically", Behavior Research
Methods 41(2), 385-390. An estimate: syllables that run together count as one, and no text is known.
"""

from __future__ import annotations

import numpy as np

from ser_core.features.extraction import Features

DIP_DB = 2.0
"""A nucleus rises this far above the neighbouring dips."""

FLOOR_DB = 25.0
"""A nucleus lies no further than this below the loud frames (the 99th percentile)."""

_SMOOTH = np.array([0.25, 0.5, 0.25])


def nuclei(features: Features) -> np.ndarray:
    """Return the frames of the syllable nuclei, int (n,), within the trimmed clip."""
    import scipy.signal  # 40 MB that a server, which measures nothing itself, need not hold

    start, stop = features.trim
    level_db = 20 * np.log10(np.maximum(features.rms[start:stop].astype(np.float64), 1e-6))
    if len(level_db) < 3 or not np.isfinite(features.f0_hz[start:stop]).any():
        return np.zeros(0, int)
    smooth = np.convolve(np.pad(level_db, 1, mode="edge"), _SMOOTH, mode="valid")
    # A frame of silence on either side: a nucleus at an edge is a peak too.
    framed = np.pad(smooth, 1, constant_values=smooth.min() - 2 * DIP_DB)
    peaks, _ = scipy.signal.find_peaks(framed, height=np.percentile(smooth, 99) - FLOOR_DB, prominence=DIP_DB)
    peaks = peaks - 1
    nuclei: np.ndarray = start + peaks[np.isfinite(features.f0_hz[start:stop])[peaks]]
    return nuclei


def rate(features: Features) -> float:
    """Return syllable nuclei per second, pauses inside the utterance included; 0 where nothing is voiced."""
    start, stop = features.trim
    return len(nuclei(features)) / ((stop - start) * features.config.hop_length / features.config.sample_rate)
