"""The fundamental frequency and the voicing of each frame."""

import numpy as np
import pytest

from ser_core.audio.waveform import Waveform
from ser_core.features import extraction
from ser_core.features.config import FeatureConfig
from tests.support.signals import RATE, harmonics

librosa = pytest.importorskip("librosa")


def test_f0_follows_a_glide(samples, measured):
    voiced = np.isfinite(measured.f0_hz)
    inside = (measured.times_s > 0.7) & (measured.times_s < 2.2)
    truth = 120 + 140 * (measured.times_s - 0.5) / 2
    assert voiced[inside].mean() > 0.98
    assert np.nanmedian(np.abs(measured.f0_hz - truth)[inside] / truth[inside]) < 0.01


@pytest.mark.parametrize("f0_hz", [75.0, 110.0, 180.0, 260.0, 400.0])
def test_f0_agrees_with_librosa_yin(f0_hz):
    voice = harmonics(f0_hz)
    ours = extraction.extract(Waveform(voice, RATE)).f0_hz[5:-5]
    theirs = librosa.yin(voice, fmin=60, fmax=500, sr=RATE, frame_length=1024, hop_length=FeatureConfig().hop_length)[
        5:-5
    ]
    np.testing.assert_allclose(ours, f0_hz, rtol=0.01)
    np.testing.assert_allclose(ours, theirs, rtol=0.02)


def test_noise_is_unvoiced():
    noise = np.random.default_rng(1).standard_normal(3 * RATE).astype(np.float32) * 0.1
    assert np.isfinite(extraction.extract(Waveform(noise, RATE)).f0_hz).mean() < 0.05
