"""Features against librosa's own functions and against signals whose answer is known."""

import json
from dataclasses import replace

import numpy as np
import pytest

from ser_core import features
from ser_core.audio import Waveform
from ser_core.errors import ConfigError
from ser_core.features import FeatureConfig

librosa = pytest.importorskip("librosa")
CONFIG = FeatureConfig()
RATE = CONFIG.sample_rate
STFT = {"n_fft": CONFIG.n_fft, "hop_length": CONFIG.hop_length, "win_length": CONFIG.win_length}


def sine(frequency_hz: float, seconds: float = 1.0, amplitude: float = 0.3) -> np.ndarray:
    time = np.arange(int(seconds * RATE)) / RATE
    return (amplitude * np.sin(2 * np.pi * frequency_hz * time)).astype(np.float32)


def harmonic(f0_hz: np.ndarray | float, seconds: float = 1.0, n_harmonics: int = 12) -> np.ndarray:
    """Return a voice-like sum of harmonics whose amplitudes fall with their number."""
    n = int(seconds * RATE)
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(f0_hz, n)) / RATE
    return (0.1 * sum(np.sin(k * phase) / k for k in range(1, n_harmonics + 1))).astype(np.float32)


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    """A gliding voice between pauses, in noise: something of everything."""
    rng = np.random.default_rng(0)
    voice = harmonic(np.linspace(120, 260, 2 * RATE), 2.0) * np.hanning(2 * RATE)
    padded = np.pad(voice, (RATE // 2, RATE // 3))
    return (padded + 0.0005 * rng.standard_normal(len(padded))).astype(np.float32)


@pytest.fixture(scope="module")
def measured(samples):
    return features.extract(Waveform(samples, RATE), CONFIG)


@pytest.fixture(scope="module")
def reference(samples):
    """The same features, one librosa call each, on the samples as `condition` prepares them."""
    y, _, _, _ = features.condition(samples, CONFIG)
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


def test_f0_follows_a_glide(samples, measured):
    voiced = np.isfinite(measured.f0_hz)
    inside = (measured.times_s > 0.7) & (measured.times_s < 2.2)
    truth = 120 + 140 * (measured.times_s - 0.5) / 2
    assert voiced[inside].mean() > 0.98
    assert np.nanmedian(np.abs(measured.f0_hz - truth)[inside] / truth[inside]) < 0.01


@pytest.mark.parametrize("f0_hz", [75.0, 110.0, 180.0, 260.0, 400.0])
def test_f0_agrees_with_librosa_yin(f0_hz):
    voice = harmonic(f0_hz)
    ours = features.extract(Waveform(voice, RATE)).f0_hz[5:-5]
    theirs = librosa.yin(voice, fmin=60, fmax=500, sr=RATE, frame_length=1024, hop_length=CONFIG.hop_length)[5:-5]
    np.testing.assert_allclose(ours, f0_hz, rtol=0.01)
    np.testing.assert_allclose(ours, theirs, rtol=0.02)


def test_a_sine_peaks_in_its_mel_band():
    centres = features.mel_frequencies(CONFIG)
    for band in (5, 20, 40, 60):
        log_mel = features.extract(Waveform(sine(centres[band]), RATE)).log_mel
        assert log_mel[20].argmax() == band


def test_noise_is_unvoiced():
    noise = np.random.default_rng(1).standard_normal(3 * RATE).astype(np.float32) * 0.1
    assert np.isfinite(features.extract(Waveform(noise, RATE)).f0_hz).mean() < 0.05


def test_digital_silence_gives_finite_features():
    measured = features.extract(Waveform(np.zeros(RATE, np.float32), RATE))
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
    assert np.isfinite(features.summary(measured)).all()
    assert np.isfinite(features.windows(measured)).all()


@pytest.mark.parametrize("n", [1600, 1601, 5000])
def test_the_shortest_clips_work(n):
    measured = features.extract(Waveform(sine(300)[:n], RATE))
    assert len(measured.times_s) == 1 + n // CONFIG.hop_length
    assert np.isfinite(features.summary(measured)).all()
    assert features.windows(measured).shape == (1, CONFIG.window_frames, len(features.frame_columns(CONFIG)))


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
    again = features.extract(Waveform(changed, RATE))
    seen, before = features.windows(again), features.windows(measured)
    np.testing.assert_allclose(seen[..., : CONFIG.n_mels], before[..., : CONFIG.n_mels], atol=0.02)
    np.testing.assert_allclose(seen / (before.std(axis=1) + 1e-3), before / (before.std(axis=1) + 1e-3), atol=0.05)
    ours, theirs = features.summary(again), features.summary(measured)
    np.testing.assert_allclose(ours, theirs, atol=0.02 * np.abs(theirs).max(), rtol=0.02)


def test_windows_of_a_long_clip_overlap_and_reach_both_ends():
    voice = harmonic(150.0, 9.0)
    measured = features.extract(Waveform(voice, RATE))
    windows = features.windows(measured)
    start, stop = measured.trim
    frames = measured.log_mel[start:stop]
    standardised = (frames - frames.mean()) / (frames.std() + 1e-3)
    assert len(windows) == 1 + int(np.ceil((stop - start - 160) / 80))
    np.testing.assert_allclose(windows[0, :, : CONFIG.n_mels], standardised[:160], atol=1e-4)
    np.testing.assert_allclose(windows[-1, :, : CONFIG.n_mels], standardised[-160:], atol=1e-4)


def column(measured, name):
    """Return one column of what a network sees of a clip shorter than a window, of the frames of the clip."""
    n = measured.trim[1] - measured.trim[0]
    before = (measured.config.window_frames - n) // 2
    return features.windows(measured)[0, before : before + n, features.frame_columns(measured.config).index(name)]


def test_a_network_sees_pitch_and_loudness_of_each_moment():
    """A steady 200 Hz is 12 semitones above 100 Hz, and at its own median; what is quieter by half lies 6 dB lower."""
    voice = harmonic(200.0, 1.0)
    measured = features.extract(Waveform(np.concatenate([voice, voice / 2]), RATE))
    heard = column(measured, "voiced") == 1
    assert heard.sum() > 80
    np.testing.assert_allclose(column(measured, "f0")[heard], 12.0, atol=0.2)
    np.testing.assert_allclose(column(measured, "f0_above_median")[heard], 0.0, atol=0.2)
    loud = column(measured, "rms_db")[heard]
    assert np.median(loud[:30]) - np.median(loud[-30:]) == pytest.approx(6.02, abs=0.2)


def test_a_short_clip_lies_between_frames_of_its_own_mean():
    measured = features.extract(Waveform(harmonic(200.0, 1.0), RATE))
    window, n = features.windows(measured)[0], measured.trim[1] - measured.trim[0]
    before = (CONFIG.window_frames - n) // 2
    assert (window[:before, : CONFIG.n_mels] == 0).all() and (window[before + n :, : CONFIG.n_mels] == 0).all()
    inside = window[before : before + n, CONFIG.n_mels :]
    np.testing.assert_allclose(window[0, CONFIG.n_mels :], inside.mean(axis=0), rtol=1e-3, atol=1e-3)


def test_a_network_may_see_the_mel_spectrogram_alone():
    voice = Waveform(harmonic(200.0, 1.0), RATE)
    inputs = features.MEL_AND_VOICE, features.MEL
    all_of_it, mel = (features.windows(features.extract(voice, FeatureConfig(network_input=each))) for each in inputs)
    np.testing.assert_array_equal(mel, all_of_it[:, :, : CONFIG.n_mels])


def test_a_colour_that_stays_is_gone_from_a_levelled_spectrogram_and_from_no_other():
    noise = Waveform(np.random.default_rng(2).standard_normal(RATE).astype(np.float32) * 0.1, RATE)
    for network_input in features.INPUTS:
        measured = features.extract(noise, FeatureConfig(network_input=network_input))
        coloured = replace(measured, log_mel=measured.log_mel + np.linspace(-20, 20, CONFIG.n_mels, dtype=np.float32))
        seen, through = (features.windows(each)[0, :, : CONFIG.n_mels] for each in (measured, coloured))
        assert np.allclose(seen, through, atol=1e-3) == (network_input == features.LEVELLED)


def test_settings_from_before_there_was_a_choice_mean_the_mel_spectrogram():
    before = {name: value for name, value in CONFIG.to_dict().items() if name != "network_input"}
    assert FeatureConfig.from_dict(before) == FeatureConfig(network_input=features.MEL)


def test_summary_has_a_name_for_every_column(measured):
    names = features.summary_columns(CONFIG)
    assert len(set(names)) == len(names) == len(features.summary(measured))
    values = dict(zip(names, features.summary(measured), strict=True))
    start, stop = measured.trim
    assert values["mfcc_03_mean"] == pytest.approx(measured.mfcc[start:stop, 3].mean(), abs=1e-3)
    assert values["centroid_hz_std"] == pytest.approx(measured.centroid_hz[start:stop].std(), rel=1e-4)
    assert values["duration_s"] == pytest.approx((stop - start) * CONFIG.hop_length / RATE, rel=1e-5)


def test_the_table_has_one_row_a_frame(measured):
    table = features.to_frame(measured)
    assert len(table) == len(measured.times_s)
    assert table["time_s"].is_monotonic_increasing
    np.testing.assert_array_equal(table["log_mel_10"], measured.log_mel[:, 10])
    assert {"f0_hz", "zcr", "rms", "contrast_05", "chroma_11", "mfcc_delta2_19"} <= set(table.columns)


def test_the_settings_survive_json():
    config = FeatureConfig(n_mels=80, hop_length=160)
    assert FeatureConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"hop_length": 700}, "hop_length <= win_length"),
        ({"fmax": 9000.0}, "8000 Hz"),
        ({"n_mfcc": 65}, "n_mfcc <= n_mels"),
        ({"hop_length": 32, "n_fft": 8192}, "2,048,500. Choose a longer hop_length"),
        ({"window_frames": 3}, "from 16 to 1000"),
        ({"n_fft": 10**9}, "from 64 to 8192"),
        ({"n_mels": "64"}, "whole number"),
        ({"sample_rate": 4000, "fmax": 2000.0}, "from 8000"),
        ({"sample_rate": 44_000}, "win_length of 736 or more"),
    ],
)
def test_impossible_settings_are_refused(values, sentence):
    with pytest.raises(ConfigError, match=sentence):
        FeatureConfig(**values)


def test_unknown_settings_are_named():
    with pytest.raises(ConfigError, match="Unknown: colour"):
        FeatureConfig.from_dict({**CONFIG.to_dict(), "colour": 1})


@pytest.mark.parametrize("rate", [8000, 11_025, 16_000, 22_050, 48_000])
def test_every_rate_that_is_let_through_can_be_measured(rate):
    config = FeatureConfig(
        sample_rate=rate, fmax=rate / 2 if rate < 48_000 else 8000.0, win_length=max(640, rate // 50), hop_length=320
    )
    noise = np.random.default_rng(0).normal(scale=0.1, size=rate).astype(np.float32)
    vector = features.summary(features.extract(Waveform(noise, rate), config))
    assert vector.shape == (len(features.summary_columns(config)),) and np.isfinite(vector).all()
