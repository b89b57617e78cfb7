"""Signals that several tests share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ser_core.audio import SAMPLE_RATE


@pytest.fixture
def rng() -> np.random.Generator:
    """The same random numbers in every run."""
    return np.random.default_rng(20260101)


@pytest.fixture
def voice() -> Callable[..., np.ndarray]:
    """A maker of voice-like sound: harmonics of f0_hz that fall by 1/k, below 0.45 of the sample rate, peak 0.5."""

    def make(duration_s: float = 1.0, f0_hz: float = 150.0, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
        t = np.arange(round(duration_s * sample_rate)) / sample_rate
        sound = np.zeros(len(t))
        for k in range(1, int(min(0.45 * sample_rate, 5000) / f0_hz) + 1):
            sound += np.sin(2 * np.pi * k * f0_hz * t) / k
        return (0.5 * sound / np.abs(sound).max()).astype(np.float32)

    return make
