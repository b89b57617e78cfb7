"""The fundamental frequency and the voicing of each frame."""

import numpy as np
import pytest
import scipy.signal

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


@pytest.mark.parametrize("f0_hz", [90.0, 120.0, 220.0, 400.0])
def test_harmonics_are_periodic_and_noise_is_not(f0_hz):
    voiced = Waveform(harmonics(f0_hz), RATE)
    assert np.median(extraction.periodicity(voiced)) > 0.7
    noise = Waveform(np.random.default_rng(0).standard_normal(RATE).astype(np.float32) * 0.1, RATE)
    assert np.median(extraction.periodicity(noise)) < 0.2


@pytest.mark.parametrize("formant_hz", [120, 270, 450, 530])
def test_noise_in_a_formant_is_not_periodic_though_it_has_a_pitch(formant_hz):
    radius = np.exp(-np.pi * 60 / RATE)
    poles = [1, -2 * radius * np.cos(2 * np.pi * formant_hz / RATE), radius**2]
    breath = np.random.default_rng(0).standard_normal(2 * RATE)
    whispered = Waveform((0.01 * scipy.signal.lfilter([1.0], poles, breath)).astype(np.float32), RATE)
    assert np.isfinite(extraction.extract(whispered).f0_hz).mean() > 0.2
    assert np.mean(extraction.periodicity(whispered)) < 0.2


@pytest.mark.parametrize(
    "settings", [{}, {"sample_rate": 48_000, "win_length": 1920, "hop_length": 960, "n_fft": 2048}]
)
def test_periodicity_has_the_frames_of_the_features(settings):
    config = FeatureConfig(**settings)
    waveform = Waveform(harmonics(200, 0.73), RATE)
    periodic = extraction.periodicity(waveform, config)
    assert periodic.shape == extraction.extract(waveform, config).f0_hz.shape and np.isfinite(periodic).all()
