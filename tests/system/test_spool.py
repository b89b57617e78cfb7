"""Bytes on the disk: read from several places, nowhere by name, gone with their last reference."""

from __future__ import annotations

import gc
import io
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from ser_core.audio import decoding, waveform
from ser_core.errors import AudioError
from ser_core.system.spool import Spool

DATA = bytes(range(256)) * 40


def test_readers_have_places_of_their_own() -> None:
    spool = Spool(DATA)
    first, second = io.BufferedReader(spool.open()), io.BufferedReader(spool.open())
    assert (first.read(10), second.read(3), first.read(2)) == (DATA[:10], DATA[:3], DATA[10:12])
    assert second.seek(-4, io.SEEK_END) == len(DATA) - 4 and second.read() == DATA[-4:] and second.read() == b""
    assert spool.size == len(DATA) and spool.read() == DATA and spool.part(len(DATA) - 1, 9) == DATA[-1:]
    with pytest.raises(ValueError, match="0 or more"):
        first.seek(-1)


@pytest.mark.skipif(sys.platform == "win32", reason="files have names there")
def test_it_has_no_name_and_goes_with_its_last_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    spool = Spool(DATA)
    # A file without a name is found by its number alone.
    reader, number = spool.open(), spool._file.fileno()
    assert list(tmp_path.iterdir()) == [] and os.fstat(number).st_size == len(DATA)
    del spool
    gc.collect()
    assert reader.read(4) == DATA[:4], "who still reads keeps it"
    del reader
    gc.collect()
    with pytest.raises(OSError):
        os.fstat(number)


@pytest.mark.parametrize("container", ["WAV", "FLAC"])
def test_sound_from_a_spool_is_that_of_its_bytes(container: str, rng: np.random.Generator) -> None:
    data = waveform.encode_pcm((8000 * rng.standard_normal(50_000)).astype(np.int16), 22_050, container=container)
    expected = decoding.decode(data)
    for twice in (decoding.decode(Spool(data)), decoding.decode(Spool(data))):
        np.testing.assert_array_equal(twice.waveform.samples, expected.waveform.samples)
    stream = decoding.stream(Spool(data))
    assert stream.duration_s == pytest.approx(50_000 / 22_050)
    for _ in range(2):
        np.testing.assert_array_equal(np.concatenate(list(stream.blocks())), expected.waveform.samples)


def test_what_is_no_sound_is_told_as_ever() -> None:
    with pytest.raises(AudioError, match="is text"):
        decoding.stream(Spool(b"Dear diary, " * 100), name="a.wav")
    with pytest.raises(AudioError, match="empty"):
        decoding.decode(Spool(b""), name="a.wav")
