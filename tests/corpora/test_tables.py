"""Which columns are meant, and which files the rows of a table mean."""

from __future__ import annotations

import time
import unicodedata

import pytest

from ser_core.corpora import tables


@pytest.mark.parametrize("name", ["path", "File", "filename", "File Name", "file_name", "FilePath", "file-path"])
def test_the_column_of_files_has_many_names(name: str) -> None:
    assert tables.column(["speaker", name], tables.FILE_COLUMNS) == name


def test_the_most_telling_column_is_taken() -> None:
    assert tables.column(["label", "file", "Emotion", "path"], tables.FILE_COLUMNS) == "path"
    assert tables.column(["label", "file", "Emotion"], tables.LABEL_COLUMNS) == "Emotion"
    assert tables.column(["labels"], tables.LABEL_COLUMNS) == "labels"
    assert tables.column(["price"], tables.LABEL_COLUMNS) is None


def located(given: list[str], files: list[str]) -> list[list[str]]:
    return [[files[number] for number in each] for each in tables.locate(given, files)]


@pytest.mark.parametrize(
    ("given", "files"),
    [
        (["w/1.wav", "w/2.wav"], ["w/1.wav", "w/2.wav"]),
        (["w\\1.wav", ".\\w\\2.wav"], ["w/1.wav", "w/2.wav"]),
        (["W/1.WAV"], ["w/1.wav"]),
        (["corpus/w/1.wav", "corpus/w/2.wav"], ["w/1.wav", "w/2.wav"]),
        (["C:\\Users\\ann\\corpus\\w\\1.wav"], ["w/1.wav"]),
        (["/home/ann/corpus/1.wav", "/home/ann/corpus/2.wav"], ["1.wav", "2.wav"]),
        (["w/1.wav", "w/2.wav"], ["data/w/1.wav", "data/w/2.wav"]),
        (["1.wav", "2"], ["anna/1.wav", "ben/2.flac"]),
        ([unicodedata.normalize("NFC", "wä/é.wav")], [unicodedata.normalize("NFD", "wä/é.wav")]),
        ([unicodedata.normalize("NFD", "wä/é.wav")], [unicodedata.normalize("NFC", "wä/é.wav")]),
        (["A1.wav", "a1.wav"], ["A1.wav", "a1.wav"]),
        (["1.wav"], ["1.wav"]),
    ],
)
def test_rows_mean_files_whatever_wrote_the_table(given: list[str], files: list[str]) -> None:
    assert located(given, files) == [[file] for file in files]


@pytest.mark.parametrize(
    ("row", "files", "meant"),
    [
        ("1.wav", ["anna/1.wav", "ben/1.wav"], ["anna/1.wav", "ben/1.wav"]),
        ("1.wav", ["1.wav", "ben/1.wav"], ["1.wav"]),
        ("A1.WAV", ["A1.wav", "a1.wav"], ["A1.wav", "a1.wav"]),
        ("1", ["1.wav", "1.flac"], ["1.wav", "1.flac"]),
        ("anna/1.wav", ["ben/1.wav"], []),
        ("anna/a/1.wav", ["ben/a/1.wav"], []),
        ("../secret.wav", ["anna.wav"], []),
        ("", ["1.wav"], []),
        ("1.wav", [], []),
    ],
)
def test_a_row_that_means_several_files_or_none_says_so(row: str, files: list[str], meant: list[str]) -> None:
    assert located([row], files) == [meant]


def test_one_row_that_is_lost_moves_no_other() -> None:
    assert located(["x/anna/1.wav", "x/ben/9.wav"], ["anna/1.wav", "ben/1.wav"]) == [[], []]


def test_deep_and_long_paths_take_no_long_time() -> None:
    deep, long = "a/" * 5000 + "1.wav", "e\u0301" * 5000 + ".wav"
    begun = time.process_time()
    assert located([deep, long] * 20, [deep, long]) == [[deep], [long]] * 20
    assert time.process_time() - begun < 5
