"""The quality report on signals whose level, noise, clipping and bandwidth are known because they were put in."""

from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.signal

from ser_core.audio import decoding
from ser_core.audio.waveform import Waveform
from ser_core.features import extraction, quality
from tests.support import sounds
from tests.support.signals import RATE, noise, tone
from tests.support.sounds import voice
from tools import make_samples

WHOLE = "whole sentence"


def report(samples: np.ndarray) -> quality.Quality:
    waveform = Waveform(samples.astype(np.float32), RATE)
    return quality.report(waveform, extraction.extract(waveform))


NO_SPEECH = {
    "digital silence": (np.zeros(2 * RATE), "The recording is silent"),
    "one bit of noise": (noise(2, rms=10 ** (-90 / 20)), "The recording is silent"),
    "constant offset": (np.full(2 * RATE, 0.5), "The recording is silent"),
    "white noise": (noise(3, rms=0.1), "no voice in it"),
    "pink noise": (noise(3, rms=0.1, exponent=1), "no voice in it"),
    "rumble": (noise(3, rms=0.1, exponent=2), "no voice in it"),
    "low tone": (tone(2.0, frequency_hz=120, amplitude=0.2), "steady tone"),
    "tone": (tone(2.0, frequency_hz=440, amplitude=0.2), "steady tone"),
    "hum": (sum(tone(3.0, frequency_hz=50 * k, amplitude=0.1 / k) for k in range(1, 8)), "no voice in it|steady tone"),
    "click": (np.eye(1, 2 * RATE, RATE)[0], "no voice in it"),
}


@pytest.mark.parametrize(("samples", "sentence"), NO_SPEECH.values(), ids=NO_SPEECH.keys())
def test_what_is_no_speech_is_called_so(samples, sentence):
    result = report(samples)
    assert not result.has_speech
    assert result.summary == "No speech found"
    (advice,) = result.advice
    assert any(part in advice for part in sentence.split("|"))


@pytest.mark.parametrize("name", sounds.NOT_SPEECH)
def test_music_alarms_machines_and_animals_are_no_speech(name):
    result = report(sounds.not_speech(name))
    assert not result.has_speech and result.summary == "No speech found"


@pytest.mark.parametrize("name", ["strummed chords", "piano melody", "siren, low wail", "game tune of squares"])
def test_tones_that_are_no_speech_are_told_as_such(name):
    (advice,) = report(sounds.not_speech(name)).advice
    assert "tones but no speech" in advice


def test_a_voice_over_music_is_speech():
    music = sounds.not_speech("plucked strings, slow")
    spoken = voice(12, rms=0.1)
    assert report(spoken + 0.2 * music[: len(spoken)]).has_speech


@pytest.mark.parametrize("seed", range(8))
def test_a_whisper_is_told_as_a_whisper(seed):
    result = report(sounds.whisper(seed))
    assert result.has_speech and result.whispered
    assert "of whispered speech" in result.summary
    assert "a whisper" in result.advice[0]
    frames = quality.speech(extraction.extract(Waveform(sounds.whisper(seed).astype(np.float32), RATE)), result)
    assert frames.any() and not frames.all()


def test_a_voice_whose_pitch_noise_hides_is_no_whisper():
    spoken = voice(12, rms=0.05)
    result = report(spoken + noise(len(spoken) / RATE, rms=0.05))
    assert result.has_speech and not result.whispered and "noisy background" in result.summary


@pytest.mark.parametrize("name", ["bright", "flat", "slow_low", "fast_loud"])
def test_a_sentence_is_told_as_whispered_once_its_voice_is_taken_out(name):
    spoken = decoding.decode(make_samples.FOLDER / f"{name}.flac", sample_rate=RATE).waveform.samples
    assert report(spoken).has_speech and not report(spoken).whispered
    assert report(make_samples.whisper(spoken, sample_rate=RATE, rng=np.random.default_rng(0))).whispered


def test_the_whispering_sample_is_told_as_a_whisper():
    spoken = decoding.decode(make_samples.FOLDER / "whisper.flac", sample_rate=RATE).waveform.samples
    assert "of whispered speech" in report(spoken).summary


@pytest.mark.parametrize("f0_hz", [(90, 70), (180, 120), (320, 420)])
@pytest.mark.parametrize("rms", [0.05, 0.003])
def test_a_quiet_voice_in_a_little_noise_is_no_whisper(f0_hz, rms):
    spoken = voice(12, f0_hz=f0_hz, rms=rms)
    result = report(spoken + noise(len(spoken) / RATE, rms=rms / 5))
    assert result.has_speech and not result.whispered


def test_without_listening_a_pitch_is_enough():
    waveform = Waveform(sounds.not_speech("strummed chords"), RATE)
    measured = extraction.extract(waveform)
    unheard = quality.report(waveform, measured, listen=False)
    assert unheard.heard_s is None and unheard.has_speech
    assert quality.merge([unheard, unheard]).has_speech
    assert unheard.speech_s == quality.report(waveform, measured).speech_s


@pytest.mark.parametrize("exponent", [0, 1, 2])
@pytest.mark.parametrize("seed", range(5))
def test_no_noise_passes_for_a_voice(exponent, seed):
    assert not report(noise(4, rms=0.05, exponent=exponent, seed=seed)).has_speech


@pytest.mark.parametrize("f0_hz", [(110, 80), (180, 120), (260, 190), (320, 420)])
def test_syllables_are_speech(f0_hz):
    result = report(voice(f0_hz=f0_hz) + noise(3.0, rms=1e-4))
    assert result.has_speech and not result.steady
    assert result.duration_s == 3.0
    assert result.speech_s == pytest.approx(2.0, abs=0.25)
    assert result.summary.startswith(f"{result.speech_s:.1f} s of speech, good level, quiet background")
    assert result.advice == ()


@pytest.mark.parametrize("n_syllables", [2, 4, 8, 16])
def test_seconds_of_speech_follow_what_was_spoken(n_syllables):
    clip = voice(n_syllables)
    result = report(clip + noise(len(clip) / RATE, rms=1e-4))
    assert result.speech_s == pytest.approx(0.25 * n_syllables, abs=0.25)
    assert result.silence == pytest.approx(1.0 / (1.0 + 0.25 * n_syllables), abs=0.1)


@pytest.mark.parametrize("level_dbfs", [-45.0, -30.0, -20.0, -12.0])
def test_the_level_of_steady_sound_is_its_root_mean_square(level_dbfs):
    result = report(noise(2.0, rms=10 ** (level_dbfs / 20)))
    assert result.level_dbfs == pytest.approx(level_dbfs, abs=0.3)


def test_the_level_leaves_pauses_and_offsets_out():
    clip = np.pad(noise(2.0, rms=0.1), RATE)
    assert report(clip).level_dbfs == pytest.approx(-20.0, abs=0.5)
    assert report(clip + 0.2).level_dbfs == pytest.approx(-20.0, abs=0.5)
    assert report(clip).silence == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("peak", [1.0, 0.5, 0.01])
def test_the_peak_is_that_of_the_samples(peak):
    assert report(tone(2.0, amplitude=peak)).peak_dbfs == pytest.approx(20 * np.log10(peak), abs=0.02)


def test_clipping_is_the_share_of_samples_at_full_scale():
    clean = tone(2.0, frequency_hz=200, amplitude=0.2)
    assert report(clean).clipped == 0
    clipped = np.clip(tone(2.0, frequency_hz=200, amplitude=2.0), -1, 1)
    expected = 1 - 2 / np.pi * np.arcsin(0.985 / 2)  # how long 2 sin(x) stays beyond 0.985
    assert report(clipped).clipped == pytest.approx(expected, abs=0.005)


def test_an_overdriven_voice_is_too_loud():
    result = report(np.clip(voice(rms=0.6), -1, 1))
    assert "too loud" in result.summary
    assert any("cut off at full scale" in sentence for sentence in result.advice)


@pytest.mark.parametrize("snr_db", [10, 20, 30, 40])
@pytest.mark.parametrize("exponent", [0, 1])
def test_the_ratio_of_speech_to_noise_is_the_one_mixed_in(snr_db, exponent):
    clip = voice(rms=0.1)
    added = noise(len(clip) / RATE, rms=0.1 * 10 ** (-snr_db / 20), exponent=exponent)
    result = report(clip + added)
    assert result.snr_db == pytest.approx(snr_db, abs=3)
    noisy = snr_db < quality.NOISY_SNR_DB
    assert ("noisy background" if noisy else "quiet background") in result.summary
    assert any("background is loud" in sentence for sentence in result.advice) == noisy


def test_without_a_pause_there_is_no_ratio():
    result = report(voice(pause_s=0.0))
    assert result.has_speech and result.snr_db is None
    assert "no pause to measure the background" in result.summary


def test_a_ratio_has_an_upper_end():
    assert report(voice()).snr_db == quality.MAX_SNR_DB


def test_bandwidth_ends_where_a_telephone_ends():
    clip = voice() + noise(3.0, rms=1e-4)
    wide = report(clip)
    assert wide.bandwidth_hz > 6000
    low_pass = scipy.signal.butter(12, 3400, fs=RATE, output="sos")
    narrow = report(scipy.signal.sosfilt(low_pass, clip))
    assert narrow.bandwidth_hz < quality.NARROW_HZ + 1200
    assert narrow.bandwidth_hz < 0.8 * wide.bandwidth_hz


def test_a_sharp_telephone_band_is_advised_about():
    clip = scipy.signal.resample_poly(scipy.signal.resample_poly(voice(), 6800, RATE), RATE, 6800)
    result = report(clip)
    assert 2800 < result.bandwidth_hz < quality.NARROW_HZ
    assert any("as on a telephone" in sentence for sentence in result.advice)


def test_a_quiet_voice_is_advised_to_come_closer():
    result = report(voice(rms=10 ** (-50 / 20)))
    assert result.has_speech and "low level" in result.summary
    assert any("move closer to the microphone" in sentence for sentence in result.advice)


def test_one_word_is_advised_to_become_a_sentence():
    result = report(voice(2))
    assert result.has_speech
    assert any(WHOLE in sentence for sentence in result.advice)


def test_level_changes_nothing_but_the_level():
    loud, soft = report(voice(rms=0.1)), report(voice(rms=0.01))
    assert loud.level_dbfs - soft.level_dbfs == pytest.approx(20, abs=0.02)
    assert (loud.speech_s, loud.silence, loud.bandwidth_hz) == (soft.speech_s, soft.silence, soft.bandwidth_hz)


@pytest.mark.parametrize("samples", [np.zeros(RATE), voice(), voice(pause_s=0.0)], ids=["silence", "voice", "no pause"])
def test_a_report_is_json(samples):
    result = report(samples)
    values = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert values["summary"] == result.summary and values["advice"] == list(result.advice)
    shares = (values["clipped"], values["silence"])
    assert all(0 <= share <= 1 for share in shares)
    assert isinstance(values["steady"], bool)


@pytest.mark.parametrize("n", [1600, 1601, 3000])
def test_the_shortest_clips_get_a_report(n):
    result = report(voice(pause_s=0.0)[:n])
    assert result.duration_s == round(n / RATE, 4)
    assert result.speech_s <= result.duration_s


# Pieces


def test_pieces_add_up_to_their_recording():
    spoken, quiet = voice(pause_s=0.5, rms=0.05), np.zeros(int(4 * RATE))
    whole = report(np.concatenate([spoken, quiet]))
    merged = quality.merge([report(spoken), report(quiet)])
    assert merged.duration_s == whole.duration_s and merged.peak_dbfs == whole.peak_dbfs
    assert merged.speech_s == pytest.approx(whole.speech_s, abs=0.05)
    assert merged.silence == pytest.approx(whole.silence, abs=0.02)
    assert merged.level_dbfs == pytest.approx(whole.level_dbfs, abs=0.5)
    assert merged.has_speech and merged.summary.startswith(
        "2.0 s of speech"
    )  # eight syllables of 0.25 s that swell and fade


def test_pieces_without_speech_have_none_together():
    hum = quality.Quality(3.0, -30.0, -20.0, 0.0, 0.5, 0.15, None, 4000.0, False)
    assert not hum.has_speech and not quality.merge([hum] * 10).has_speech


def test_one_piece_is_its_recording():
    alone = report(voice())
    assert quality.merge([alone]) == alone


def test_frames_of_speech_are_where_the_voice_is():
    samples = voice(pause_s=1.0)
    waveform = Waveform(samples.astype(np.float32), RATE)
    measured = extraction.extract(waveform)
    frames = quality.speech(measured, quality.report(waveform, measured))
    assert not frames[:44].any() and not frames[-44:].any() and frames[60:140].mean() > 0.7


def test_much_speech_is_told_in_minutes():
    much = quality.Quality(3600.0, -20.0, -3.0, 0.0, 0.5, 1500.0, 30.0, 7000.0, False)
    assert much.summary == "25.0 min of speech, good level, quiet background"
