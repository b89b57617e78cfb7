"""Features to take away: what the table holds, and what a spreadsheet and a reader of Parquet make of it."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ser_core.corpora import catalogue
from ser_core.dataset import cache, exploration, export, splits
from ser_core.dataset.duplicates import Sounds
from ser_core.errors import ConfigError
from ser_core.system import untrusted_csv
from tests.support import ruled_corpus

TEXTS = ["clip", "corpus", "label", "speaker", "sex", "sentence", "intensity", "split"]

NOTHING = Sounds({}, {})
"""No recording occurs twice."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("export")


@pytest.fixture(scope="module")
def clips(folder: Path) -> pd.DataFrame:
    return ruled_corpus.write(folder / "own")


@pytest.fixture(scope="module")
def measured(clips: pd.DataFrame, folder: Path) -> exploration.Measured:
    return exploration.measure(clips, cache=folder / "cache")


@pytest.fixture(scope="module")
def rows(clips: pd.DataFrame, measured: exploration.Measured) -> pd.DataFrame:
    return export.table(clips, measured, export.split(clips, NOTHING)[0])


def test_a_row_a_clip_with_label_speaker_split_facts_and_features(clips, measured, rows):
    assert list(rows.columns[:8]) == TEXTS and list(rows.columns[8:21]) == list(cache.FACTS)
    assert len(rows) == len(clips) and rows.columns.is_unique
    assert list(rows["label"]) == list(clips[catalogue.EMOTION]) and list(rows["speaker"]) == list(
        clips[catalogue.SPEAKER]
    )
    np.testing.assert_array_equal(rows.iloc[:, 21:].to_numpy(np.float32), measured.vectors)
    assert list(rows["duration_s"]) == list(measured.facts["duration_s"])
    assert list(rows["trimmed_duration_s"]) == list(measured.column("duration_s").astype(np.float32))


def test_no_path_of_this_machine_is_told(rows, folder):
    for kind in export.FORMATS:
        assert str(folder).encode() not in export.encode(rows, kind)


def test_the_split_is_a_holdout_by_speakers(clips, rows):
    assert set(rows["split"]) == {"train", "test"}  # of three speakers one is tested; two are too few to validate
    assert rows.groupby("speaker")["split"].nunique().max() == 1
    assert list(rows["split"]) == list(splits.holdout(clips, rng=np.random.default_rng(0)))
    assert "speaker-independent (holdout, seed 0)" in export.split(clips, NOTHING)[1]


def test_a_recording_under_another_name_is_in_no_other_part(clips):
    other = clips.assign(
        **{
            catalogue.CORPUS: "copy",
            catalogue.PATH: "copy/" + clips[catalogue.PATH],
            # in the copy, the speakers who are last in the order of names are called as if they were first
            catalogue.SPEAKER: clips[catalogue.SPEAKER]
            .map({"own:low": "copy:z", "own:mid": "copy:y"})
            .fillna("copy:a"),
        }
    )
    both = pd.concat([clips, other], ignore_index=True)
    paths = list(clips[catalogue.PATH])
    sounds = Sounds({f"copy/{path}": path for path in paths} | {path: path for path in paths}, {})
    parts, _ = export.split(both, sounds)
    assert (parts[: len(clips)] == parts[len(clips) :]).all() and set(parts) == {"train", "test"}
    apart, _ = export.split(both, NOTHING)
    assert (apart[: len(clips)] != apart[len(clips) :]).any(), "what is not known to be one recording may be parted"


def test_clips_of_unknown_speakers_are_in_no_part(clips):
    some = clips.copy()
    some.loc[[0, 4], catalogue.SPEAKER] = catalogue.UNKNOWN_SPEAKER
    parts, meaning = export.split(some, NOTHING)
    assert parts[0] == parts[4] == "" and set(parts) == {"", "train", "test"} and "empty for 2 clips" in meaning
    parts, meaning = export.split(clips.assign(**{catalogue.SPEAKER: catalogue.UNKNOWN_SPEAKER}), NOTHING)
    assert set(parts) == {""} and "of no clip is the speaker known" in meaning
    parts, meaning = export.split(clips.assign(**{catalogue.SPEAKER: "own:one"}), NOTHING)
    assert set(parts) == {""} and "There is 1 speaker" in meaning


def test_parquet_gives_back_the_table(rows):
    again = pd.read_parquet(io.BytesIO(export.encode(rows, "parquet")))
    assert list(again.columns) == list(rows.columns)
    assert (again[TEXTS].to_numpy() == rows[TEXTS].to_numpy()).all()
    pd.testing.assert_frame_equal(again[again.columns[8:]], rows[rows.columns[8:]])


def test_csv_gives_back_every_figure(rows):
    data = io.BytesIO(export.encode(rows, "csv"))
    again = pd.read_csv(data, dtype=dict.fromkeys(TEXTS, str), keep_default_na=False, na_values={"snr_db": ""})
    assert list(again.columns) == list(rows.columns)
    assert (again[TEXTS].to_numpy() == rows[TEXTS].to_numpy()).all()
    np.testing.assert_array_equal(again.iloc[:, 21:].to_numpy(np.float32), rows.iloc[:, 21:].to_numpy(np.float32))
    np.testing.assert_allclose(again[list(cache.FACTS)], rows[list(cache.FACTS)])


def test_what_was_not_measured_is_an_empty_cell(rows):
    some = rows.head(2).assign(snr_db=[np.nan, 20.0])
    first, second = csv.DictReader(io.StringIO(export.encode(some, "csv").decode()))
    assert first["snr_db"] == "" and second["snr_db"] == "20"


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1+1", '=HYPERLINK("http://x")'])
def test_a_formula_in_a_name_is_text_to_a_spreadsheet(clips, measured, name):
    marked = clips.assign(**{catalogue.NAME: name, catalogue.SENTENCE: name, catalogue.SPEAKER: name})
    data = export.encode(export.table(marked, measured, np.full(len(clips), "train")), "csv")
    (first, *_) = csv.DictReader(io.StringIO(data.decode(), newline=""))
    assert first["clip"] == first["sentence"] == first["speaker"] == untrusted_csv.cell(name)
    assert first["clip"].startswith("'") and untrusted_csv.unmarked(first["clip"]) == name
    parquet = pd.read_parquet(
        io.BytesIO(export.encode(export.table(marked, measured, np.full(len(clips), "train")), "parquet"))
    )
    assert parquet["clip"][0] == name


def test_names_with_quotes_commas_and_lines_survive(clips, measured):
    names = ['say "no", please', "two\nlines", "Grüße 日本", "😀"]
    marked = clips.assign(**{catalogue.NAME: [*names, *clips[catalogue.NAME][4:]]})
    rows = export.table(marked, measured, np.full(len(clips), ""))
    told = [row["clip"] for row in csv.DictReader(io.StringIO(export.encode(rows, "csv").decode(), newline=""))]
    assert told[:4] == names
    assert list(pd.read_parquet(io.BytesIO(export.encode(rows, "parquet")))["clip"][:4]) == told[:4]


def test_clips_that_cannot_be_read_are_left_out(clips, measured):
    holed = exploration.Measured(measured.facts, measured.vectors.copy(), measured.columns, (), "")
    holed.vectors[1] = np.nan
    rows = export.table(clips, holed, np.full(len(clips), ""))
    assert list(rows["clip"]) == [name for row, name in enumerate(clips[catalogue.NAME]) if row != 1]


def test_another_format_is_refused(rows):
    with pytest.raises(ConfigError, match="as csv or parquet"):
        export.encode(rows, "xls")
