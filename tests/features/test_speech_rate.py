"""Syllable nuclei of buzzes whose swellings are counted beforehand."""

from __future__ import annotations

import numpy as np
import pytest

from ser_core.audio.waveform import Waveform
from ser_core.features import extraction, speech_rate

RATE = 16_000


def buzz(n_syllables: int, *, seconds: float = 2.0, dip_db: float = 20.0) -> np.ndarray:
    """Return harmonics of 130 Hz whose level swells n times, dip_db deep in between."""
    time = np.arange(int(seconds * RATE)) / RATE
    harmonics = sum(np.sin(2 * np.pi * 130 * k * time) / k for k in range(1, 30))
    swell = 0.5 - 0.5 * np.cos(2 * np.pi * n_syllables * time / seconds)
    return 0.1 * harmonics * 10 ** (dip_db * (swell - 1) / 20)


def extract(samples: np.ndarray) -> extraction.Features:
    return extraction.extract(Waveform(samples.astype(np.float32), RATE))


@pytest.mark.parametrize("n", [1, 2, 5, 8, 12])
def test_every_swelling_is_a_syllable(n):
    heard = extract(buzz(n))
    found = speech_rate.nuclei(heard)
    centres_s = (np.arange(n) + 0.5) * 2.0 / n
    assert heard.times_s[found] == pytest.approx(centres_s, abs=0.03)
    spoken_s = (heard.trim[1] - heard.trim[0]) * 0.02
    assert speech_rate.rate(heard) == pytest.approx(n / spoken_s)


def test_a_shallow_dip_parts_no_syllables():
    fading = np.linspace(1.0, 0.8, 2 * RATE)
    assert len(speech_rate.nuclei(extract(fading * buzz(6, dip_db=1.0)))) == 1
    assert len(speech_rate.nuclei(extract(fading * buzz(6, dip_db=6.0)))) == 6


def test_a_peak_without_a_voice_is_no_syllable():
    noise = np.random.default_rng(0).standard_normal(2 * RATE)
    assert len(speech_rate.nuclei(extract(0.1 * noise * np.sin(np.linspace(0, 4 * np.pi, 2 * RATE))))) == 0
    both = np.concatenate([buzz(3), np.zeros(RATE // 4), 0.05 * noise * np.hanning(2 * RATE)])
    assert len(speech_rate.nuclei(extract(both))) == 3


def test_a_murmur_far_below_the_loudest_is_no_syllable():
    assert len(speech_rate.nuclei(extract(np.concatenate([buzz(3), 10 ** (-30 / 20) * buzz(2), buzz(3)])))) == 6


@pytest.mark.parametrize(
    "samples", [np.zeros(RATE), np.zeros(1700), 0.1 * np.ones(RATE)], ids=["silence", "short", "constant"]
)
def test_without_a_voice_the_rate_is_zero(samples):
    assert speech_rate.rate(extract(samples)) == 0
