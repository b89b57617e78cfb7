"""Augmentation on signals with known answers: what each change does to level, frequency, length and decay."""

from __future__ import annotations

import numpy as np
import pytest

from ser_core.audio import augment
from ser_core.audio.augment import EFFECTS
from ser_core.audio.waveform import Waveform
from ser_core.errors import ConfigError
from tests.support.signals import RATE, power_db, tone


def sine(frequency_hz: float, seconds: float = 1.0, amplitude: float = 0.3) -> Waveform:
    return Waveform(tone(seconds, frequency_hz=frequency_hz, amplitude=amplitude), RATE)


def noise(seconds: float = 1.0, seed: int = 0) -> Waveform:
    return Waveform((0.1 * np.random.default_rng(seed).standard_normal(int(seconds * RATE))).astype(np.float32), RATE)


def peak_hz(waveform: Waveform) -> float:
    spectrum = np.abs(np.fft.rfft(waveform.samples * np.hanning(len(waveform.samples))))
    return float(spectrum.argmax()) * waveform.sample_rate / len(waveform.samples)


CHANGES = {
    "add_noise": lambda waveform, rng: augment.add_noise(waveform, snr_db=20, rng=rng),
    "change_speed": lambda waveform, rng: augment.change_speed(waveform, factor=1.1),
    "limit_band": lambda waveform, rng: augment.limit_band(waveform),
    "add_reverb": lambda waveform, rng: augment.add_reverb(waveform, rt60_s=0.3, wet=0.3, rng=rng),
    "tilt": lambda waveform, rng: augment.tilt(waveform, db_per_octave=3),
    "chain": lambda waveform, rng: augment.chain(waveform, rng=rng),
    "stretch_time": lambda waveform, rng: augment.stretch_time(waveform, factor=1.2),
    "shift_pitch": lambda waveform, rng: augment.shift_pitch(waveform, semitones=-3),
    "change_level": lambda waveform, rng: augment.change_level(waveform, gain_db=6),
    **{name: lambda waveform, rng, effect=effect: effect.apply(waveform, 1.0, rng) for name, effect in EFFECTS.items()},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
@pytest.mark.parametrize("seconds", [0.1, 1.0, 1.00006])
def test_a_change_gives_a_new_finite_float32_waveform(change, seconds):
    before = noise(seconds)
    kept = before.samples.copy()
    after = change(before, np.random.default_rng(0))
    assert after.samples.dtype == np.float32 and after.samples.ndim == 1
    assert np.isfinite(after.samples).all()
    assert after.sample_rate == RATE
    assert not np.shares_memory(after.samples, before.samples)
    np.testing.assert_array_equal(before.samples, kept)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_digital_silence_stays_silent(change):
    after = change(Waveform(np.zeros(RATE, np.float32), RATE), np.random.default_rng(0))
    assert np.abs(after.samples).max() < 1e-9


@pytest.mark.parametrize("change", sorted(set(CHANGES) - {"change_speed", "speed", "stretch_time", "stretch", "chain"}))
def test_only_speed_and_stretch_change_the_length(change):
    assert len(CHANGES[change](noise(0.7), np.random.default_rng(0)).samples) == len(noise(0.7).samples)


@pytest.mark.parametrize("snr_db", [0, 10, 35])
def test_noise_has_the_ratio_asked_for(snr_db):
    clean = sine(440)
    noisy = augment.add_noise(clean, snr_db=snr_db, rng=np.random.default_rng(3))
    assert power_db(clean.samples) - power_db(noisy.samples - clean.samples) == pytest.approx(snr_db, abs=0.05)


def test_noise_differs_in_colour_and_falls_no_faster_than_pink():
    slopes = []
    frequencies = np.fft.rfftfreq(2 * RATE, 1 / RATE)
    inside = (frequencies > 100) & (frequencies < 7000)
    for seed in range(8):
        clean = sine(440, 2.0)
        added = augment.add_noise(clean, snr_db=0, rng=np.random.default_rng(seed)).samples - clean.samples
        power = np.abs(np.fft.rfft(added)[inside]) ** 2
        slopes.append(np.polyfit(np.log2(frequencies[inside]), 10 * np.log10(power), 1)[0])
    assert min(slopes) > -3.4 and max(slopes) < 0.4  # dB per octave: pink -3, white 0
    assert np.std(slopes) > 0.3


@pytest.mark.parametrize("factor", [0.9, 1.0, 1.2])
def test_speed_moves_frequency_and_length(factor):
    after = augment.change_speed(sine(500, 2.0), factor=factor)
    assert peak_hz(after) == pytest.approx(500 * factor, abs=1.5)
    assert after.duration_s == pytest.approx(2.0 / factor, abs=2 / RATE)


@pytest.mark.parametrize(("frequency_hz", "low_db", "high_db"), [(60, -300, -40), (1000, -0.5, 0.5), (6800, -300, -30)])
def test_a_narrow_band_passes_the_middle_only(frequency_hz, low_db, high_db):
    clean = sine(frequency_hz)
    after = augment.limit_band(clean)
    settled = slice(RATE // 4, None)
    assert low_db < power_db(after.samples[settled]) - power_db(clean.samples[settled]) < high_db


@pytest.mark.parametrize("rt60_s", [0.2, 0.5])
def test_reverb_decays_by_60_db_in_its_time(rt60_s):
    click = np.zeros(RATE, np.float32)
    click[100] = 1.0
    after = augment.add_reverb(Waveform(click, RATE), rt60_s=rt60_s, wet=1.0, rng=np.random.default_rng(0)).samples
    assert np.abs(after[:100]).max() < 1e-6
    step = int(rt60_s * RATE / 10)
    levels = [power_db(after[100 + k * step : 100 + (k + 1) * step]) for k in range(10)]
    assert np.polyfit(np.arange(10) / 10, levels, 1)[0] == pytest.approx(-60, abs=5)


def test_reverb_lengthens_the_decay_and_dry_means_unchanged():
    burst = np.concatenate([noise(0.3).samples, np.zeros(RATE // 2, np.float32)])
    reverb = augment.add_reverb(Waveform(burst, RATE), rt60_s=0.4, wet=0.3, rng=np.random.default_rng(0))
    after_end = slice(int(0.35 * RATE), int(0.5 * RATE))
    assert power_db(reverb.samples[after_end]) > power_db(burst[: int(0.3 * RATE)]) - 40
    dry = augment.add_reverb(Waveform(burst, RATE), rt60_s=0.4, wet=0.0, rng=np.random.default_rng(0))
    np.testing.assert_allclose(dry.samples, burst, atol=1e-7)


@pytest.mark.parametrize("db_per_octave", [-3.0, 2.0])
def test_tilt_turns_around_1_khz(db_per_octave):
    for octave in (-2, -1, 0, 1, 2):
        clean = sine(1000 * 2.0**octave)
        gain_db = power_db(augment.tilt(clean, db_per_octave=db_per_octave).samples) - power_db(clean.samples)
        assert gain_db == pytest.approx(db_per_octave * octave, abs=0.05)


def test_a_chain_repeats_with_its_rng_and_differs_with_another():
    voice = noise(1.0)
    first, again, other = (augment.chain(voice, rng=np.random.default_rng(seed)).samples for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert len(first) != len(other) or not np.allclose(first, other)


def test_a_chain_of_no_strength_changes_nothing_to_speak_of():
    voice = sine(440)
    after = augment.chain(voice, strength=0.0, rng=np.random.default_rng(0))
    np.testing.assert_allclose(after.samples, voice.samples, atol=1e-4)


def test_a_chain_keeps_speed_within_its_bounds():
    lengths = [len(augment.chain(noise(1.0), rng=np.random.default_rng(seed)).samples) / RATE for seed in range(30)]
    assert np.exp(-0.125) < min(lengths) < 0.95 and 1.05 < max(lengths) < np.exp(0.125)


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_stretching_changes_the_length_and_not_the_pitch(factor):
    after = augment.stretch_time(sine(440, 2.0), factor=factor)
    assert len(after.samples) == pytest.approx(2.0 * RATE / factor, abs=1)
    assert peak_hz(after) == pytest.approx(440, abs=3)


@pytest.mark.parametrize("semitones", [-3, 4])
def test_shifting_changes_the_pitch_and_not_the_length(semitones):
    after = augment.shift_pitch(sine(440, 2.0), semitones=semitones)
    assert len(after.samples) == 2 * RATE
    assert peak_hz(after) == pytest.approx(440 * 2 ** (semitones / 12), rel=0.01)


def test_gain_is_in_decibel_and_clips_at_full_scale():
    assert power_db(augment.change_level(sine(440), gain_db=6).samples) - power_db(sine(440).samples) == pytest.approx(
        6, abs=0.01
    )
    assert augment.change_level(sine(440), gain_db=40).samples.max() == 1.0


@pytest.mark.parametrize("effect", EFFECTS.values(), ids=EFFECTS)
def test_no_strength_changes_nothing_and_full_strength_does(effect):
    before = noise()
    np.testing.assert_array_equal(effect.apply(before, 0.0, np.random.default_rng(0)).samples, before.samples)
    after = effect.apply(before, 1.0, np.random.default_rng(0)).samples
    assert len(after) != len(before.samples) or np.abs(after - before.samples).max() > 0.01


@pytest.mark.parametrize("name", ["stretch", "pitch", "speed", "tilt", "gain"])
def test_an_effect_with_two_ways_goes_both(name):
    ways = {
        (len(after.samples), round(peak_hz(after)), round(power_db(after.samples)))
        for after in (EFFECTS[name].apply(sine(300), 1.0, np.random.default_rng(seed)) for seed in range(12))
    }
    assert len(ways) == 2


@pytest.mark.parametrize("rate", [8_000, 44_100])
def test_the_telephone_works_at_other_sample_rates(rate):
    after = EFFECTS["telephone"].apply(Waveform(noise().samples, rate), 0.1, np.random.default_rng(0))
    assert np.isfinite(after.samples).all() and after.sample_rate == rate


def test_the_noise_of_a_strength_is_as_loud_as_the_table_says():
    before = sine(440)
    after = EFFECTS["noise"].apply(before, 0.5, np.random.default_rng(0))
    assert EFFECTS["noise"].amount(0.5) == 22.5
    assert power_db(before.samples) - power_db(after.samples - before.samples) == pytest.approx(22.5, abs=0.1)


def test_a_chain_of_chosen_effects_uses_these_alone():
    before = sine(440, amplitude=0.1)
    for seed in range(20):
        after = augment.chain(before, effects={"gain": 1.0, "noise": 0.0}, rng=np.random.default_rng(seed)).samples
        factor = after[np.abs(before.samples) > 0.01] / before.samples[np.abs(before.samples) > 0.01]
        assert np.ptp(factor) < 1e-4 and abs(factor[0] - 1) > 1e-3
    np.testing.assert_array_equal(
        augment.chain(before, effects={}, rng=np.random.default_rng(0)).samples, before.samples
    )


@pytest.mark.parametrize(
    ("seed", "n_samples", "loudness"),
    [(0, 15483, 724.3086), (1, 15955, 1802.4288), (3, 17673, 838.9938), (5, 14871, 887.6976)],
)
def test_the_shipped_mix_draws_what_it_always_drew(seed, n_samples, loudness):
    """What the cards of the shipped models describe: a seed gives the same copies as when they were trained."""
    after = augment.chain(noise(), rng=np.random.default_rng(seed)).samples
    assert len(after) == n_samples
    assert np.abs(after).sum() == pytest.approx(loudness, rel=1e-4)


def test_unknown_effects_and_strengths_are_named():
    with pytest.raises(ConfigError, match=r"no effect 'echo'\. Choose from stretch, pitch"):
        augment.check_effects({"echo": 0.5})
    for wrong in (1.5, -0.1, True, "much"):
        with pytest.raises(ConfigError, match="strength of 'noise' must be a number from 0 to 1"):
            augment.check_effects({"noise": wrong})
    augment.check_effects(dict.fromkeys(EFFECTS, 1))


def test_chatter_has_the_ratio_asked_for_and_the_spectrum_of_the_voice():
    voice = sine(440, 2.0)
    after = augment.add_chatter(voice, snr_db=10, rng=np.random.default_rng(0))
    chatter = after.samples - voice.samples
    assert power_db(voice.samples) - power_db(chatter) == pytest.approx(10, abs=0.05)
    spectrum = np.abs(np.fft.rfft(chatter)) ** 2
    near = np.abs(np.fft.rfftfreq(len(chatter), 1 / RATE) - 440) < 150  # speeds of 0.78 to 1.28
    assert spectrum[near].sum() > 0.95 * spectrum.sum()


def test_the_shipped_mix_takes_its_babble_from_the_voices_it_is_given():
    """A clip of 300 Hz and voices of 1200 Hz: in about a quarter of the copies there are their frequencies, at 5 to 20 dB."""
    clip, other = sine(300, 1.0), sine(1200, 1.0)
    asked = []

    def voices():
        asked.append(1)
        return [other] * 5

    heard = 0
    for seed in range(60):
        before = len(asked)
        after = augment.chain(clip, voices=voices, rng=np.random.default_rng(seed)).samples
        spectrum = np.abs(np.fft.rfft(after)) ** 2
        hz = np.fft.rfftfreq(len(after), 1 / RATE)
        share = spectrum[(hz > 700) & (hz < 2000)].sum() / spectrum[hz < 700].sum()
        if len(asked) > before:
            heard += 1
            assert -27 < 10 * np.log10(share) < 2  # a microphone's tilt adds up to 6 dB
    assert 6 <= heard <= 24
    nobody = augment.chain(clip, voices=list, rng=np.random.default_rng(3)).samples
    alone = augment.chain(clip, rng=np.random.default_rng(3)).samples
    np.testing.assert_array_equal(nobody, alone)
