"""Each condition on signals with known answers: how far below the voice noise lies, what a line passes, what a recorder keeps."""

from __future__ import annotations

import numpy as np
import pytest

from ser_core.audio import degradations, waveform
from ser_core.audio.degradations import CONDITIONS
from ser_core.audio.waveform import Waveform
from ser_core.errors import ConfigError
from tests.support.signals import RATE, power_db, tone


def sine(frequency_hz: float = 440.0, amplitude: float = 0.3) -> Waveform:
    return Waveform(tone(frequency_hz=frequency_hz, amplitude=amplitude), RATE)


VOICES = [sine(frequency_hz, amplitude) for frequency_hz, amplitude in ((200, 0.4), (300, 0.01))]


ENDS = [(name, level) for name, row in CONDITIONS.items() for level in (row.levels[0], row.levels[-1])]


@pytest.mark.parametrize(("name", "level"), ENDS)
def test_a_condition_gives_a_new_finite_waveform_and_the_same_twice(name, level):
    before = sine()
    kept = before.samples.copy()
    after, again = (
        degradations.apply(name, level, before, rng=np.random.default_rng(1), voices=VOICES) for _ in range(2)
    )
    assert after.samples.dtype == np.float32 and after.sample_rate == RATE and np.isfinite(after.samples).all()
    assert len(after.samples) != RATE or not np.array_equal(after.samples, before.samples)
    np.testing.assert_array_equal(after.samples, again.samples)
    np.testing.assert_array_equal(before.samples, kept)


@pytest.mark.parametrize("row", CONDITIONS.values(), ids=CONDITIONS.keys())
def test_a_row_says_what_it_is_and_its_levels_lead_away_from_the_clean_end_or_through_it(row):
    assert row.title and row.imitates and row.unit
    assert sorted(row.levels) in (list(row.levels), list(row.levels)[::-1])
    assert row.middle is None or row.levels[len(row.levels) // 2] == row.middle


@pytest.mark.parametrize("name", ["white", "pink", "babble"])
@pytest.mark.parametrize("snr_db", [20, 0])
def test_noise_lies_below_the_voice_by_the_level(name, snr_db):
    clip = sine()
    noisy = degradations.apply(name, snr_db, clip, rng=np.random.default_rng(0), voices=VOICES)
    assert power_db(clip.samples) - power_db(noisy.samples - clip.samples) == pytest.approx(snr_db, abs=0.01)


def test_white_noise_is_flat_and_pink_falls_by_three_decibels_an_octave():
    for slope, per_octave in ((degradations.WHITE, 0.0), (degradations.PINK, -3.01)):
        made = degradations.noise(RATE * 8, slope=slope, rng=np.random.default_rng(0))
        spectrum = np.abs(np.fft.rfft(made)) ** 2
        low, high = (10 * np.log10(spectrum[8 * start : 8 * start * 2].mean()) for start in (250, 2000))
        assert (high - low) / 3 == pytest.approx(per_octave, abs=0.2)


def test_voices_of_babble_are_as_loud_as_each_other():
    mixed = degradations.babble(RATE, VOICES, rng=np.random.default_rng(0))
    spectrum = np.abs(np.fft.rfft(mixed))
    assert spectrum[200] == pytest.approx(spectrum[300], rel=0.05)
    with pytest.raises(ConfigError, match="there are none here"):
        degradations.apply("babble", 0, sine(), rng=np.random.default_rng(0))


def test_the_telephone_passes_the_voice_and_stops_what_lies_above():
    passed, stopped = (
        power_db(degradations.apply("telephone", 3400, sine(hz), rng=np.random.default_rng(0)).samples)
        for hz in (1000, 6000)
    )
    assert passed == pytest.approx(power_db(sine().samples), abs=0.5) and stopped < passed - 25


def test_a_recorder_clips_what_is_too_loud_and_loses_what_is_too_soft():
    assert np.abs(degradations.apply("gain", 40, sine(), rng=np.random.default_rng(0)).samples).max() == pytest.approx(
        1, abs=1e-4
    )
    soft = degradations.apply("gain", -40, sine(amplitude=0.001), rng=np.random.default_rng(0))
    assert not soft.samples.any()
    kept = degradations.apply("gain", -20, sine(), rng=np.random.default_rng(0)).samples
    np.testing.assert_array_equal(kept, waveform.from_pcm(waveform.to_pcm(kept)))


def test_speed_moves_pitch_and_length_pace_the_length_alone_and_pitch_the_pitch_alone():
    def heard(name: str, level: float) -> tuple[float, float]:
        after = degradations.apply(name, level, sine(), rng=np.random.default_rng(0))
        return after.duration_s, float(np.abs(np.fft.rfft(after.samples)).argmax()) / after.duration_s

    assert heard("speed", 15) == (pytest.approx(1 / 1.15, abs=0.01), pytest.approx(440 * 1.15, rel=0.01))
    assert heard("stretch", 15) == (pytest.approx(1 / 1.15, abs=0.01), pytest.approx(440, rel=0.01))
    assert heard("pitch", 3) == (pytest.approx(1), pytest.approx(440 * 2 ** (3 / 12), rel=0.01))


def test_the_level_at_which_nothing_changes_gives_the_clip_itself():
    clip = sine()
    assert degradations.apply("pitch", 0, clip, rng=np.random.default_rng(0)) is clip


def test_an_unknown_condition_is_refused():
    with pytest.raises(ConfigError, match=r"no condition 'rain'\. Choose from white, pink"):
        degradations.check(["white", "rain"])
