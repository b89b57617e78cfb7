"""Statistics of tracks whose answer is known in closed form."""

import numpy as np
import pytest

from ser_core.features import functionals

FRAME_S = 0.02
TIME = (np.arange(150) + 0.5) * FRAME_S


def describe(track: np.ndarray) -> dict[str, float]:
    values = functionals.describe(np.asarray(track, np.float32)[np.newaxis])
    assert values.shape == (1, len(functionals.STATISTICS)) and values.dtype == np.float32
    return dict(zip(functionals.STATISTICS, values[0].tolist(), strict=True))


def rhythm(voiced: np.ndarray, loudness: np.ndarray | None = None, pitch: np.ndarray | None = None) -> dict[str, float]:
    loudness = np.zeros(len(voiced)) if loudness is None else loudness
    pitch = np.zeros(int(voiced.sum())) if pitch is None else pitch
    values = functionals.rhythm(voiced, loudness, pitch, FRAME_S)
    assert values.dtype == np.float32
    return dict(zip(functionals.RHYTHM, values.tolist(), strict=True))


def test_names_are_unique():
    names = (*functionals.STATISTICS, *functionals.RHYTHM)
    assert len(set(names)) == len(names)


def test_a_straight_line():
    values = describe(np.linspace(0, 100, 101))
    assert values["mean"] == pytest.approx(50)
    assert values["std"] == pytest.approx(np.sqrt((101**2 - 1) / 12), rel=1e-4)
    assert values["skew"] == pytest.approx(0, abs=1e-5)
    assert values["kurt"] == pytest.approx(1.8, abs=1e-3)
    assert [values[f"p{q}"] for q in (10, 25, 50, 75, 90)] == pytest.approx([10, 25, 50, 75, 90])
    assert values["step"] == pytest.approx(1)
    assert values["step_rel"] == pytest.approx(1 / values["std"], rel=1e-4)


def test_a_skewed_track_says_to_which_side():
    values = describe(np.array([0.0] * 90 + [1.0] * 10))  # a coin that falls on 1 with p = 0.1
    assert values["skew"] == pytest.approx((1 - 2 * 0.1) / np.sqrt(0.1 * 0.9), rel=1e-4)
    assert values["kurt"] == pytest.approx(3 + (1 - 6 * 0.1 * 0.9) / (0.1 * 0.9), rel=1e-4)


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_shape_is_the_amplitude_of_its_half_cosine(k):
    values = describe(5 + 3 * np.cos(np.pi * k * TIME / TIME[-1]))
    clean = describe(5 + 3 * np.cos(np.pi * k * (np.arange(150) + 0.5) / 150))
    assert clean[f"shape_{k}"] == pytest.approx(3, rel=1e-3)
    assert all(abs(clean[f"shape_{other}"]) < 1e-3 for other in range(1, 5) if other != k)
    assert values[f"shape_{k}"] == pytest.approx(3, rel=0.02)


def test_size_and_offset_change_no_relative_statistic():
    track = np.random.default_rng(1).standard_normal(120).cumsum()
    one, other = describe(track), describe(1000 + 4 * track)
    for name in ("skew", "kurt", "step_rel"):
        assert other[name] == pytest.approx(one[name], abs=5e-3)
    assert other["shape_1"] == pytest.approx(4 * one["shape_1"], rel=1e-3)


@pytest.mark.parametrize("n_frames", [1, 2, 3, 7, 400])
def test_a_track_that_does_not_move_has_finite_statistics(n_frames):
    values = describe(np.full(n_frames, -37.3))
    assert np.isfinite(list(values.values())).all()
    assert values["mean"] == pytest.approx(-37.3)
    assert values["skew"] == values["kurt"] == values["step_rel"] == 0
    assert values["std"] == pytest.approx(0, abs=1e-4)


def test_tracks_do_not_touch_each_other():
    tracks = np.random.default_rng(2).standard_normal((5, 80)).astype(np.float32)
    together = functionals.describe(tracks)
    for track, values in zip(tracks, together, strict=True):
        np.testing.assert_allclose(functionals.describe(track[np.newaxis])[0], values, rtol=1e-4, atol=1e-5)


def test_voiced_stretches_are_counted_and_measured():
    voiced = np.zeros(100, bool)
    voiced[10:30] = voiced[50:60] = True
    values = rhythm(voiced)
    assert values["duration_s"] == pytest.approx(2.0)
    assert values["voiced_s"] == pytest.approx(0.6)
    assert values["voiced_share"] == pytest.approx(0.3)
    assert values["voiced_runs_per_s"] == pytest.approx(1.0)
    assert values["voiced_run_mean_s"] == pytest.approx(0.3)
    assert values["voiced_run_std_s"] == pytest.approx(0.1)
    assert values["voiced_run_max_s"] == pytest.approx(0.4)
    assert values["unvoiced_run_mean_s"] == pytest.approx((0.2 + 0.4 + 0.8) / 3)
    assert values["unvoiced_run_max_s"] == pytest.approx(0.8)


def test_pitch_slopes_are_those_of_each_stretch():
    voiced = np.zeros(100, bool)
    voiced[0:20] = voiced[40:60] = voiced[80:83] = True
    rising, falling = 10 * FRAME_S * np.arange(20), 5 - 4 * FRAME_S * np.arange(20)
    values = rhythm(
        voiced, pitch=np.concatenate([rising, falling, [40.0, 0.0, 40.0]])
    )  # the last is too short to count
    assert values["f0_slope_max"] == pytest.approx(10, rel=1e-4)
    assert values["f0_slope_min"] == pytest.approx(-4, rel=1e-4)
    assert values["f0_slope_mean"] == pytest.approx(3, rel=1e-4)
    assert values["f0_slope_abs"] == pytest.approx(7, rel=1e-4)


def test_peaks_of_loudness_are_counted():
    time = np.arange(200) * FRAME_S
    assert rhythm(np.ones(200, bool), loudness=np.sin(2 * np.pi * 5 * time + 0.1))["peaks_per_s"] == pytest.approx(5)


def test_pitch_at_both_ends_is_told_against_the_median():
    pitch = np.concatenate([np.full(20, 3.0), np.zeros(60), np.full(20, -5.0)])
    values = rhythm(np.ones(100, bool), pitch=pitch)
    assert values["f0_begin"] == pytest.approx(3)
    assert values["f0_end"] == pytest.approx(-5)


@pytest.mark.parametrize("voiced", [np.zeros(60, bool), np.ones(1, bool), np.zeros(1, bool)])
def test_clips_without_voice_or_length_have_finite_rhythm(voiced):
    assert np.isfinite(list(rhythm(voiced).values())).all()
