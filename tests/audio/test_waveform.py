"""Waveforms: another sample rate, and 16-bit files written and read back."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from ser_core.audio import decoding
from ser_core.audio.waveform import Resampler, Waveform, encode_pcm, encode_wav, from_pcm, resample, to_pcm
from ser_core.errors import AudioError
from tests.support.signals import RATE, as_file, level_and_frequency, tone


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_resampling_keeps_pitch_level_and_length(rate):
    resampled = resample(Waveform(tone(), RATE), rate)
    level, frequency = level_and_frequency(resampled)
    assert resampled.sample_rate == rate
    assert resampled.samples.dtype == np.float32
    assert resampled.duration_s == pytest.approx(1.0, abs=2 / rate)
    assert level == pytest.approx(0.5 / np.sqrt(2), rel=1e-3)
    assert frequency == pytest.approx(440, abs=0.5)


def test_resampling_to_the_same_rate_changes_nothing():
    waveform = Waveform(tone(), RATE)
    assert resample(waveform, RATE) is waveform


@pytest.mark.parametrize(("source", "target"), [(RATE, 1), (RATE, 10**9), (1, RATE)])
def test_resampling_refuses_rates_that_would_fill_the_memory(source, target):
    with pytest.raises(AudioError, match="A sample rate must lie between 4000 and 384000 Hz"):
        resample(Waveform(tone(), source), target)
    with pytest.raises(AudioError, match=r"must lie between 4000 and 384000 Hz\. Got 1"):
        decoding.decode(as_file(tone()), sample_rate=1)


def test_what_is_written_as_wav_is_decoded_again(voice):
    waveform = Waveform(voice(0.5), RATE)
    data = encode_wav(waveform)
    assert soundfile.info(io.BytesIO(data)).subtype == "PCM_16"
    np.testing.assert_allclose(decoding.decode(data).waveform.samples, waveform.samples, atol=1 / 32768)


def test_writing_wav_clips_instead_of_wrapping_around():
    loud = Waveform(2 * tone(), RATE)
    assert np.abs(decoding.decode(encode_wav(loud)).waveform.samples - np.clip(loud.samples, -1, 1)).max() < 1e-4


def test_samples_of_16_bits_survive_all_ways_there_and_back(rng):
    samples = rng.integers(-(2**15), 2**15, 5000).astype(np.int16)
    np.testing.assert_array_equal(to_pcm(from_pcm(samples)), samples)
    for container in ("WAV", "FLAC"):
        data = encode_pcm(samples, RATE, container=container)
        np.testing.assert_array_equal(to_pcm(decoding.decode(data).waveform.samples), samples)
        assert decoding.decode(data).container == container


def test_a_resampler_of_pieces_gives_what_resampling_the_whole_gives():
    whole = resample(Waveform(tone(1.0, 48_000), 48_000), RATE).samples
    resampler = Resampler(48_000, RATE)
    pieces = [resampler.push(piece) for piece in np.array_split(tone(1.0, 48_000), 25)]
    pieces.append(resampler.push(np.zeros(0, np.float32), last=True))
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-4)
