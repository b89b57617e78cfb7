"""Endings of recordings: whatever the decoder reads has one, and everything that takes files takes them all."""

from __future__ import annotations

import pytest

from pages.ui import inputs
from ser_core.audio import formats
from ser_core.corpora import scan


@pytest.mark.parametrize("ending", "oga weba mov qta 3ga mka mkv m4b aifc wave wav flac mp3 amr".split())
def test_what_people_call_recordings_is_taken_by_the_uploader_and_by_folders(ending):
    assert ending in inputs.FORMATS
    assert scan.is_sound(f"happy/a.{ending.upper()}")


def test_every_container_that_is_read_has_an_ending_and_every_ending_a_container():
    read = {*formats.SNDFILE.values(), *(title for _, _, title in formats.FFMPEG)}
    assert set().union(*formats.CONTAINERS.values()) == read


def test_an_ending_is_lower_case_and_lossless_copies_come_first():
    assert all(ending == ending.lower() and ending[0] == "." for ending in formats.ENDINGS)
    assert formats.ENDINGS.index(".wav") < formats.ENDINGS.index(".flac") < formats.ENDINGS.index(".mp3")
