"""What MP3 and Opus leave of a tone: its pitch, about its level and length, and less the fewer bits there are."""

from __future__ import annotations

import numpy as np
import pytest

from ser_core.audio import codecs
from ser_core.audio.codecs import CODECS
from ser_core.audio.waveform import Waveform
from ser_core.errors import ConfigError
from tests.support.signals import tone


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("sample_rate", [8000, 16_000, 44_100])
def test_a_tone_comes_back_at_its_rate_and_pitch(codec, sample_rate):
    before = Waveform(tone(sample_rate=sample_rate, amplitude=0.3), sample_rate)
    after = codecs.round_trip(before, codec, kbps=32)
    spectrum = np.abs(np.fft.rfft(after.samples))
    assert after.sample_rate == sample_rate and abs(spectrum.argmax() / after.duration_s - 440) < 2
    assert 0 <= after.duration_s - 1 < 0.3  # MP3 frames at low rates are long
    middle = slice(sample_rate // 4, 3 * sample_rate // 4)
    assert np.std(after.samples[middle]) == pytest.approx(np.std(before.samples), rel=0.1)


@pytest.mark.parametrize("codec", CODECS)
def test_fewer_bits_make_a_smaller_file(codec):
    noise = Waveform((0.1 * np.random.default_rng(0).standard_normal(32_000)).astype(np.float32), 16_000)
    # private: the size of what is encoded is seen nowhere else
    sizes = [len(codecs._encode(noise, CODECS[codec], kbps)) for kbps in (64, 32, 16, 8)]
    assert sizes == sorted(sizes, reverse=True) and sizes[3] < sizes[0] / 4
    assert sizes[1] * 8 / 2 == pytest.approx(32_000, rel=0.25)


def test_what_cannot_be_had_is_said():
    with pytest.raises(ConfigError, match=r"no codec 'wax'\. Choose from mp3, opus"):
        codecs.round_trip(Waveform(tone(sample_rate=16_000, amplitude=0.3), 16_000), "wax", kbps=32)
    with pytest.raises(ConfigError, match=r"Opus takes 6 to 256 kbit/s\. Got 1"):
        codecs.round_trip(Waveform(tone(sample_rate=16_000, amplitude=0.3), 16_000), "opus", kbps=1)
