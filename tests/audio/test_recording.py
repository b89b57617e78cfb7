"""A tape: sound kept on the disk, and any stretch of it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest

from ser_core.audio import decoding, recording
from ser_core.audio.waveform import cut, from_pcm
from ser_core.errors import AudioError
from tests.support.signals import RATE, tone


def test_a_tape_gives_back_any_stretch_of_what_it_was_given(rng):
    samples = from_pcm(rng.integers(-3000, 3000, 5 * RATE).astype(np.int16))
    tape = recording.Tape(RATE)
    for piece in np.array_split(samples, 7):
        tape.push(piece)
    data = tape.close()
    np.testing.assert_array_equal(decoding.decode(data).waveform.samples, samples)
    np.testing.assert_array_equal(cut(data, 1.5, 2.25).samples, samples[24_000:36_000])
    assert cut(data, 4.5, 99).duration_s == 0.5
    assert len(cut(data, -1, 0.5).samples) == 8000 and len(cut(data, 7, 9).samples) == 0


def test_a_tape_for_listening_is_small_and_as_long(rng):
    sound = tone(20.0) + 1e-3 * rng.standard_normal(20 * RATE).astype(np.float32)
    exact, small = recording.Tape(RATE), recording.Tape(RATE, "MP3")
    for tape in (exact, small):
        for piece in np.array_split(sound, 9):
            tape.push(piece)
    exact, small = exact.close(), small.close()
    assert small.size < exact.size / 2
    heard = decoding.decode(small)
    assert heard.container == "MP3" and heard.waveform.duration_s == pytest.approx(20.0, abs=0.2)
    assert np.sqrt(np.mean(heard.waveform.samples**2)) == pytest.approx(np.sqrt(np.mean(sound**2)), rel=0.05)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full")
@pytest.mark.parametrize("container", ["FLAC", "MP3"])
def test_a_tape_on_a_full_disk_says_so(container, monkeypatch, rng):
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **options: open("/dev/full", "r+b", **options))
    tape = recording.Tape(RATE, container)
    with pytest.raises(AudioError, match="disk is full"):
        for _ in range(20):
            tape.push(rng.standard_normal(RATE).astype(np.float32))
        tape.close()
