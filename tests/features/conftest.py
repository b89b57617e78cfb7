"""A voice that several tests of features measure."""

from __future__ import annotations

import numpy as np
import pytest

from ser_core.audio.waveform import Waveform
from ser_core.features import extraction
from tests.support.signals import RATE, harmonics


@pytest.fixture(scope="session")
def samples() -> np.ndarray:
    """A gliding voice between pauses, in noise: something of everything."""
    rng = np.random.default_rng(0)
    voice = harmonics(np.linspace(120, 260, 2 * RATE), 2.0) * np.hanning(2 * RATE)
    padded = np.pad(voice, (RATE // 2, RATE // 3))
    return (padded + 0.0005 * rng.standard_normal(len(padded))).astype(np.float32)


@pytest.fixture(scope="session")
def measured(samples: np.ndarray) -> extraction.Features:
    return extraction.extract(Waveform(samples, RATE))
