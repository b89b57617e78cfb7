"""Measures of a frame's spectrum on spectra whose answer is known."""

import numpy as np
import pytest

from ser_core.audio.waveform import Waveform
from ser_core.features import extraction, spectral, vectors
from ser_core.features.config import FeatureConfig

CONFIG = FeatureConfig()
BIN_HZ = CONFIG.sample_rate / CONFIG.n_fft
FREQUENCIES_HZ = np.arange(1 + CONFIG.n_fft // 2) * BIN_HZ


def describe(power: np.ndarray, mel_power: np.ndarray | None = None) -> list[dict[str, float]]:
    """Return a dict of measures for each frame of (n_frames, n_bins)."""
    power = np.asarray(power, np.float32)
    mel_power = np.ones((len(power), 64), np.float32) if mel_power is None else np.asarray(mel_power, np.float32)
    values = spectral.describe(
        power, np.log(power), mel_power, 10 * np.log10(mel_power), np.full(len(power), 0.5, np.float32), BIN_HZ
    )
    assert values.shape == (len(power), len(spectral.SPECTRAL)) and values.dtype == np.float32
    return [dict(zip(spectral.SPECTRAL, row.tolist(), strict=True)) for row in values]


def white(n_frames: int = 1) -> np.ndarray:
    return np.ones((n_frames, len(FREQUENCIES_HZ)))


def harmonics(f0_hz: float, levels_db: list[float], seconds: float = 0.5) -> np.ndarray:
    time = np.arange(int(seconds * CONFIG.sample_rate)) / CONFIG.sample_rate
    waves = [10 ** (db / 20) * np.sin(2 * np.pi * f0_hz * k * time) for k, db in enumerate(levels_db, start=1)]
    return (0.1 * np.sum(waves, axis=0)).astype(np.float32)


def test_names_are_unique():
    assert len(set(spectral.SPECTRAL + spectral.VOICE)) == len(spectral.SPECTRAL) + len(spectral.VOICE)


def test_a_flat_spectrum_has_known_moments():
    values = describe(white())[0]
    assert values["mel_centre"] == pytest.approx(31.5, abs=1e-3)
    assert values["mel_spread"] == pytest.approx(np.sqrt((64**2 - 1) / 12), rel=1e-3)
    assert values["mel_skew"] == pytest.approx(0, abs=1e-3)
    assert values["mel_kurt"] == pytest.approx(1.8, abs=0.01)
    assert values["mel_entropy"] == pytest.approx(np.log(64), rel=1e-4)
    assert [values[f"roll_{q}"] for q in (25, 50, 75, 90)] == pytest.approx([16, 32, 48, 57.6], abs=1e-2)
    assert values["loudness"] == pytest.approx(64, rel=1e-4)
    assert values["slope_low"] == pytest.approx(0, abs=1e-3)
    assert values["harmonic_db"] == pytest.approx(0, abs=1e-4)


def test_one_band_alone_is_where_everything_lies():
    mel_power = np.full((1, 64), 1e-12)
    mel_power[0, 20] = 1.0
    values = describe(white(), mel_power)[0]
    assert values["mel_centre"] == pytest.approx(20, abs=1e-3)
    assert values["mel_entropy"] == pytest.approx(0, abs=1e-3)
    assert 20 <= values["roll_25"] < values["roll_50"] < values["roll_90"] <= 21


@pytest.mark.parametrize(
    ("name", "low", "high"), [("slope_low", 1, 500), ("slope_middle", 500, 1500), ("slope_high", 1500, 5000)]
)
def test_slopes_are_in_db_per_khz(name, low, high):
    falling = 10 ** (-12 * FREQUENCIES_HZ / 1000 / 10)
    assert describe(falling[np.newaxis])[0][name] == pytest.approx(-12, rel=1e-3)
    elsewhere = np.where((FREQUENCIES_HZ >= low) & (FREQUENCIES_HZ <= high), 1.0, falling)
    assert describe(elsewhere[np.newaxis])[0][name] == pytest.approx(0, abs=1e-3)


def test_band_levels_are_told_in_db():
    power = white()
    power[:, (FREQUENCIES_HZ >= 1000) & (FREQUENCIES_HZ < 5000)] *= 100
    flat, raised = describe(white())[0], describe(power)[0]
    assert raised["alpha_db"] - flat["alpha_db"] == pytest.approx(20, abs=0.01)
    assert raised["hammarberg_db"] - flat["hammarberg_db"] == pytest.approx(0, abs=0.01)  # both ranges hold raised bins
    power[:, FREQUENCIES_HZ < 2000] *= 1000
    assert describe(power)[0]["hammarberg_db"] == pytest.approx(30, abs=0.01)


def test_change_is_counted_in_both_directions_and_rise_in_one():
    mel_power = np.ones((3, 64))
    mel_power[1, :32] = 10.0
    first, second, third = describe(white(3), mel_power)
    assert first["change_db"] == first["rise_db"] == first["flux"] == 0
    assert second["change_db"] == pytest.approx(5) and second["rise_db"] == pytest.approx(5)
    assert third["change_db"] == pytest.approx(5) and third["rise_db"] == pytest.approx(0, abs=1e-5)


def test_level_changes_nothing_but_loudness():
    rng = np.random.default_rng(0)
    power, mel_power = rng.random((4, len(FREQUENCIES_HZ))) + 0.1, rng.random((4, 64)) + 0.1
    for one, other in zip(describe(power, mel_power), describe(8 * power, 8 * mel_power), strict=True):
        assert other.pop("loudness") == pytest.approx(2 * one.pop("loudness"), rel=1e-4)
        assert other == pytest.approx(one, abs=2e-3, rel=1e-3)


@pytest.mark.parametrize("f0_hz", [120.0, 210.0, 330.0])
def test_harmonics_are_told_apart(f0_hz):
    measured = extraction.extract(Waveform(harmonics(f0_hz, [0.0, -9.0, -4.0]), CONFIG.sample_rate))
    inside = dict(zip(spectral.VOICE, measured.voice[5:-5].T, strict=True))
    np.testing.assert_allclose(inside["h1_h2"], 9.0, atol=1.0)
    np.testing.assert_allclose(inside["h1_h3"], 4.0, atol=1.0)


def test_formant_peaks_lie_where_the_sound_has_them():
    levels = [-20.0] * 34
    for harmonic in (6, 15, 30):  # of 100 Hz
        levels[harmonic - 1] = 0.0
    power_like = extraction.extract(Waveform(harmonics(100.0, levels), CONFIG.sample_rate)).voice[5:-5]
    inside = dict(zip(spectral.VOICE, power_like.T, strict=True))
    for name, expected in (("peak1_hz", 600), ("peak2_hz", 1500), ("peak3_hz", 3000)):
        np.testing.assert_allclose(inside[name], expected, atol=BIN_HZ)
    np.testing.assert_allclose(inside["h1_a1"], -20, atol=1.5)
    np.testing.assert_allclose(inside["a1_a3"], 0, atol=1.5)


def test_unvoiced_frames_have_no_voice():
    noise = np.random.default_rng(1).standard_normal(CONFIG.sample_rate).astype(np.float32) * 0.1
    measured = extraction.extract(Waveform(noise, CONFIG.sample_rate))
    np.testing.assert_array_equal(np.isnan(measured.voice).all(axis=1), np.isnan(measured.f0_hz))
    assert np.isfinite(measured.spectral).all()


@pytest.mark.parametrize("rate", [8000, 11_000])
def test_low_sample_rates_have_finite_measures(rate):
    config = FeatureConfig(sample_rate=rate, fmax=rate / 2, n_fft=512, win_length=rate // 25, hop_length=rate // 50)
    time = np.arange(rate) / rate
    voice = (0.1 * sum(np.sin(2 * np.pi * 150 * k * time) / k for k in range(1, 9))).astype(np.float32)
    measured = extraction.extract(Waveform(voice, rate), config)
    assert np.isfinite(measured.spectral).all()
    assert np.isfinite(vectors.summary(measured)).all()
