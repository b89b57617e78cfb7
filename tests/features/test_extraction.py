"""Features against librosa's own functions and against signals whose answer is known."""

import numpy as np
import pytest

from ser_core.audio.waveform import Waveform
from ser_core.features import extraction, vectors
from ser_core.features.config import FeatureConfig
from tests.support.signals import RATE, tone

librosa = pytest.importorskip("librosa")
CONFIG = FeatureConfig()
STFT = {"n_fft": CONFIG.n_fft, "hop_length": CONFIG.hop_length, "win_length": CONFIG.win_length}


@pytest.fixture(scope="module")
def reference(samples):
    """The same features, one librosa call each, on the samples as `condition` prepares them."""
    y, _, _, _ = extraction.condition(samples, CONFIG)
    magnitude = np.abs(librosa.stft(y, **STFT))
    mel = librosa.feature.melspectrogram(y=y, sr=RATE, n_mels=CONFIG.n_mels, fmin=CONFIG.fmin, fmax=CONFIG.fmax, **STFT)
    log_mel = librosa.power_to_db(mel)
    mfcc = librosa.feature.mfcc(S=log_mel, n_mfcc=CONFIG.n_mfcc)
    frames = {"frame_length": CONFIG.win_length, "hop_length": CONFIG.hop_length}
    return {
        "log_mel": log_mel.T,
        "mfcc": mfcc.T,
        "mfcc_delta": librosa.feature.delta(mfcc, mode="nearest").T,
        "mfcc_delta2": librosa.feature.delta(mfcc, order=2, mode="nearest").T,
        "chroma": librosa.feature.chroma_stft(S=magnitude**2, sr=RATE, n_fft=CONFIG.n_fft, tuning=0).T,
        "zcr": librosa.feature.zero_crossing_rate(y, **frames)[0],
        "rms": librosa.feature.rms(y=y, **frames)[0],
        "centroid_hz": librosa.feature.spectral_centroid(S=magnitude, sr=RATE)[0],
        "rolloff_hz": librosa.feature.spectral_rolloff(S=magnitude, sr=RATE)[0],
        "flatness": librosa.feature.spectral_flatness(S=magnitude)[0],
        "contrast": librosa.feature.spectral_contrast(S=magnitude, sr=RATE, n_bands=5).T,
    }


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [
        ("log_mel", 0.01),
        ("mfcc", 0.02),
        ("mfcc_delta", 1e-3),
        ("mfcc_delta2", 1e-3),
        ("chroma", 1e-4),
        ("zcr", 1e-6),
        ("rms", 1e-6),
        ("centroid_hz", 0.1),
        ("rolloff_hz", 0.0),
        ("flatness", 1e-4),
        ("contrast", 0.1),
    ],
)
def test_features_equal_librosas(measured, reference, name, tolerance):
    ours, theirs = getattr(measured, name), reference[name]
    assert ours.shape == theirs.shape
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, atol=tolerance, rtol=0)


def test_a_sine_peaks_in_its_mel_band():
    centres = extraction.mel_frequencies(CONFIG)
    for band in (5, 20, 40, 60):
        log_mel = extraction.extract(Waveform(tone(frequency_hz=centres[band], amplitude=0.3), RATE)).log_mel
        assert log_mel[20].argmax() == band


def test_digital_silence_gives_finite_features():
    measured = extraction.extract(Waveform(np.zeros(RATE, np.float32), RATE))
    for name in (
        "log_mel",
        "mfcc",
        "chroma",
        "zcr",
        "rms",
        "centroid_hz",
        "rolloff_hz",
        "flatness",
        "contrast",
        "voicing",
    ):
        assert np.isfinite(getattr(measured, name)).all(), name
    assert np.isnan(measured.f0_hz).all()
    assert np.isfinite(vectors.summary(measured)).all()
    assert np.isfinite(vectors.windows(measured)).all()


@pytest.mark.parametrize("n", [1600, 1601, 5000])
def test_the_shortest_clips_work(n):
    measured = extraction.extract(Waveform(tone(frequency_hz=300, amplitude=0.3)[:n], RATE))
    assert len(measured.times_s) == 1 + n // CONFIG.hop_length
    assert np.isfinite(vectors.summary(measured)).all()
    assert vectors.windows(measured).shape == (1, CONFIG.window_frames, len(vectors.frame_columns(CONFIG)))


def test_silence_is_trimmed_from_both_ends(measured):
    start, stop = (measured.times_s[0] + frame * CONFIG.hop_length / RATE for frame in measured.trim)
    assert 0.45 < start < 0.75
    assert 2.2 < stop < 2.6


@pytest.mark.parametrize("change", ["level", "offset", "leading silence"])
def test_level_offset_and_leading_silence_change_nothing(samples, measured, change):
    changed = {
        "level": samples * np.float32(0.02),
        "offset": samples + np.float32(0.05),
        "leading silence": np.concatenate([np.zeros(10 * CONFIG.hop_length, np.float32), samples]),
    }[change]
    again = extraction.extract(Waveform(changed, RATE))
    seen, before = vectors.windows(again), vectors.windows(measured)
    np.testing.assert_allclose(seen[..., : CONFIG.n_mels], before[..., : CONFIG.n_mels], atol=0.02)
    np.testing.assert_allclose(seen / (before.std(axis=1) + 1e-3), before / (before.std(axis=1) + 1e-3), atol=0.05)
    ours, theirs = vectors.summary(again), vectors.summary(measured)
    np.testing.assert_allclose(ours, theirs, atol=0.02 * np.abs(theirs).max(), rtol=0.02)


@pytest.mark.parametrize("rate", [8000, 11_025, 16_000, 22_050, 48_000])
def test_every_rate_that_is_let_through_can_be_measured(rate):
    config = FeatureConfig(
        sample_rate=rate, fmax=rate / 2 if rate < 48_000 else 8000.0, win_length=max(640, rate // 50), hop_length=320
    )
    noise = np.random.default_rng(0).normal(scale=0.1, size=rate).astype(np.float32)
    vector = vectors.summary(extraction.extract(Waveform(noise, rate), config))
    assert vector.shape == (len(vectors.summary_columns(config)),) and np.isfinite(vector).all()
