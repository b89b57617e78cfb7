"""The sample clips: short, small, listed, and free of any claim of an emotion."""

import json

import pytest
import soundfile

from ser_core.corpora import catalogue
from tools import make_samples

ROWS = json.loads((make_samples.FOLDER / "samples.json").read_text(encoding="utf-8"))


def test_every_clip_is_listed_and_every_row_has_a_clip():
    assert sorted(row["file"] for row in ROWS) == sorted(path.name for path in make_samples.FOLDER.glob("*.flac"))
    assert [row["file"] for row in ROWS] == [
        f"{slug}.flac" for slug in (*(v.slug for v in make_samples.VOICES), make_samples.NO_SPEECH)
    ]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["file"])
def test_a_sample_is_short_small_and_says_how_it_was_made(row):
    path = make_samples.FOLDER / row["file"]
    facts = soundfile.info(path)
    assert facts.format == "FLAC" and facts.channels == 1
    assert 2 <= facts.duration <= 4
    assert path.stat().st_size < 120_000
    assert row["title"] and row["text"] and row["made_with"]["program"]
    assert row["synthetic"] is True and "free to redistribute" in row["licence"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["file"])
def test_a_sample_claims_no_emotion(row):
    words = row["title"].lower().replace(",", " ").split()
    assert not set(words) & set(catalogue.ALL_LABELS)
