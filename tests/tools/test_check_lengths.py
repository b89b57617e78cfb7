"""The check of lengths: it finds what is read shorter without a word, and finds nothing of that kind in the decoder."""

from __future__ import annotations

import json
import struct
import sys

import numpy as np
import pytest

from ser_core.audio import decoding
from tests.support.signals import RATE, as_file, tone
from tools import check_lengths

WAV = as_file(tone(1.0))


def test_a_header_is_changed_by_its_seed_alone_and_keeps_its_length():
    changed = [check_lengths.mutate_lengths(WAV, np.random.default_rng(3)) for _ in range(2)]
    assert changed[0] == changed[1] != WAV
    assert len(changed[0]) == len(WAV)


@pytest.mark.parametrize(
    ("data", "outcome"),
    [
        (WAV, "same"),
        (WAV[:40] + bytes(4) + WAV[44:], "same"),
        (WAV[:20], "error"),
        (WAV[: len(WAV) // 2], "same"),
        (WAV + WAV, "same"),
    ],
)
def test_a_file_is_as_long_as_ffmpeg_says_or_told(data, outcome):
    assert check_lengths.judge(data, "wav", whole_s=1.0) == outcome


def test_a_file_that_is_read_shorter_without_a_word_is_different(monkeypatch):
    decode = decoding.decode
    monkeypatch.setattr(decoding, "decode", lambda data, name: decode(as_file(tone(0.5)), name=name))
    assert check_lengths.judge(WAV, "wav", whole_s=1.0) == "different"


def test_the_check_counts_every_file_and_finds_nothing(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["check_lengths", "--inputs", "20", "--only", "WAV", "--json"])
    assert check_lengths.main() == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["different"] == 0
    assert len(figures["files"]) > 5
    assert all(sum(counts.values()) == 20 for counts in figures["files"].values())


@pytest.mark.parametrize("size", [0, 1, 100, 2**31, 2**32 - 1])
@pytest.mark.parametrize("at", [4, 16, 40])
def test_every_length_field_of_a_wav_may_be_wrong(at, size):
    data = WAV[:at] + struct.pack("<I", size) + WAV[at + 4 :]
    assert check_lengths.judge(data, "wav", whole_s=1.0) != "different"


def test_ogg_pages_get_checksums_that_fit():
    whole = as_file(tone(), kind="OGG", subtype="VORBIS")
    assert check_lengths.with_checksums(whole) == whole
    cleared = bytearray(whole)
    cleared[22:26] = bytes(4)
    assert check_lengths.with_checksums(bytes(cleared)) == whole
    cut = whole[:-10]
    assert check_lengths.with_checksums(cut) == cut


def test_all_samples_at_the_rate_of_the_header_are_the_whole(monkeypatch):
    slower = WAV[:24] + struct.pack("<II", RATE // 2, RATE) + WAV[32:]
    monkeypatch.setattr(check_lengths, "ffmpeg_duration", lambda data, kind: 0.3)
    assert check_lengths.judge(slower, "wav", whole_s=1.0, whole_rate=RATE) == "whole"
    assert check_lengths.judge(slower, "wav", whole_s=1.0) == "different"
