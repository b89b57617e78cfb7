"""Uploaded recordings, as files or in a zip, with their true labels where those are given.

Names and contents are untrusted: nothing is unpacked to the disk, and each recording is read from the zip when its turn comes.
Predicting them is recognition/batch.py's work.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import BinaryIO

import pandas as pd

from ser_core.audio import decoding
from ser_core.corpora import catalogue, download, scan, tables
from ser_core.errors import AudioError, CorpusError
from ser_core.system import untrusted_csv, untrusted_text

MAX_FILES = 500
MAX_TABLE_BYTES = 5 * 2**20

TABLE, NAME, FOLDER = "table", "name", "folder"
"""Where a true label comes from: a table next to the recordings, a name as in a corpus, a folder named after a label."""


@dataclass(frozen=True)
class Recording:
    """One recording: its name as one printable line, what reads its bytes (and raises AudioError), and its true label where one is given.

    told_by: TABLE, NAME or FOLDER, "" without a label. corpus: the key of the corpus whose clips have such names, "" where none does.
    size: in bytes, before they are read.
    """

    name: str
    read: Callable[[], bytes]
    label: str | None = None
    told_by: str = ""
    corpus: str = ""
    size: int = 0


@dataclass(frozen=True)
class Uploads:
    """What was uploaded: the recordings by name, and sentences on what was skipped."""

    recordings: tuple[Recording, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _File:
    """A file of an upload. place: the number of its zip, -1 for one chosen itself; path: in there, with "/"; given: as spelt."""

    place: int
    path: str
    given: str
    size: int
    read: Callable[[], bytes]


def collect(files: Sequence[tuple[str, BinaryIO]]) -> Uploads:
    """Return the recordings among some files and in the zips among them.

    Parameters
    ----------
    files : name and open file of each. A CSV table with a column "file" and a column "label" gives the true labels: one in a zip those of
        its own folder, one next to the zips those of all. Else names as in a known corpus do, else folders named after labels. Where two
        rows give one file different labels, or a row may mean several files, these have no label.

    Raises
    ------
    CorpusError : for a zip that is damaged or unsafe, a table that cannot be read, no recording at all, or too many.
    """
    found: list[_File] = []
    for place, (name, file) in enumerate(files):
        if name.lower().endswith(".zip"):
            found += [_File(place, _slashes(inner), inner, size, read) for inner, size, read in _members(name, file)]
        else:
            found.append(_File(-1, _slashes(name), name, file.seek(0, io.SEEK_END), partial(_whole, file)))
    kinds: dict[str, list[_File]] = {"table": [], "sound": [], "other": []}
    for each in found:
        is_table = each.path.lower().endswith(".csv") and each.size <= MAX_TABLE_BYTES
        kinds["table" if is_table else "sound" if scan.is_sound(each.path) else "other"].append(each)
    given, others = kinds["table"], kinds["other"]
    sounds = sorted(kinds["sound"], key=lambda each: each.given)
    archives = [each.given for each in others if download.is_archive(each.path)]
    inside = f" {_packed(archives)}" if archives else ""
    if not sounds:
        raise CorpusError(
            f"There is no recording among these files.{inside} Choose sound files, or a zip that holds some."
        )
    if len(sounds) > MAX_FILES:
        raise CorpusError(
            f"These are {len(sounds):,} recordings; {MAX_FILES} are the most here. Choose fewer, or use the command line: it has no limit."
        )
    told, notes = _labels(given, sounds)
    if inside:
        notes.append(inside.strip())
    if n_other := len(others) - len(archives):
        notes.append(
            f"{n_other} file{'s' * (n_other > 1)} that {'are' if n_other > 1 else 'is'} neither sound nor table: skipped."
        )
    by_folder: dict[int, str] = {}
    unclear: set[int] = set()
    for place in {each.place for each in sounds}:
        here = {number: each.path for number, each in enumerate(sounds) if each.place == place}
        labels, two_labels = scan.folder_labels(here.values())
        by_folder |= {number: labels[path] for number, path in here.items() if path in labels}
        unclear |= {number for number, path in here.items() if path in two_labels and path not in labels}
    recordings = [_labelled(each, told.get(number), by_folder.get(number)) for number, each in enumerate(sounds)]
    if silent := [sounds[number].given for number in sorted(unclear) if not recordings[number].label]:
        notes.append(
            f"{_files(silent)} in folders whose names contradict each other, so {_it_has(silent)} no true label."
        )
    return Uploads(tuple(recordings), tuple(notes))


def _files(names: Sequence[str]) -> str:
    shown = ", ".join(untrusted_text.one_line(name, 60) for name in names[:3])
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{len(names)} recording{'s' * (len(names) > 1)} ({shown}{rest}) {'are' if len(names) > 1 else 'is'}"


def _it_has(names: Sequence[str]) -> str:
    return "they have" if len(names) > 1 else "it has"


def _packed(archives: Sequence[str]) -> str:
    shown = untrusted_text.file_name(archives[0])
    if len(archives) == 1:
        return f"An archive within a zip, or of another kind, is not unpacked: {shown}. Unpack it, and choose what is in it."
    return (
        f"{len(archives)} archives within a zip, or of another kind, are not unpacked, such as {shown}. Unpack them, and choose what is in "
        "them."
    )


def _whole(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read()


def _members(name: str, file: BinaryIO) -> list[tuple[str, int, Callable[[], bytes]]]:
    """Return name, size and reader of each file in a zip that may be of use."""
    try:
        packed = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, OSError) as error:
        shown = untrusted_text.one_line(name)
        raise CorpusError(f"{shown} is not a complete zip archive ({error}). Pack the recordings again.") from None
    members = packed.infolist()
    download.check_members(members)
    useful = [member for member in members if not member.is_dir() and download.is_wanted(member.filename)]
    return [(member.filename, member.file_size, partial(_unpack, packed, member)) for member in useful]


def _unpack(packed: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    name = untrusted_text.one_line(member.filename)
    if member.file_size > decoding.MAX_BYTES:
        size, limit = member.file_size / 2**20, decoding.MAX_BYTES / 2**20
        raise AudioError(f"{name} has {size:.0f} MB; the limit is {limit:.0f} MB. Cut it or save it as FLAC.")
    try:
        return packed.read(member)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        raise AudioError(f"{name} cannot be unpacked: the zip is damaged there ({error}). Pack it again.") from None


def _labels(given: Sequence[_File], sounds: Sequence[_File]) -> tuple[dict[int, frozenset[str | None]], list[str]]:
    """Return what the tables say of each recording, number -> labels (None for a word that is none), and what in them cannot be used."""
    told: dict[int, set[str | None]] = {}
    several: list[str] = []
    unsure: set[int] = set()
    notes = []
    n_lost = 0
    for table in given:
        name = untrusted_text.one_line(table.given)
        rows = _read(name, table.read())
        if rows is None:
            notes.append(f"{name} has no column 'file' and 'label', so it gives no true labels.")
            continue
        rows = rows[rows.iloc[:, 1].str.strip() != ""].drop_duplicates()
        unknown: Counter[str] = Counter()
        names = list(rows.iloc[:, 0])
        for numbers, file, word in zip(_meant(table, names, sounds), names, rows.iloc[:, 1], strict=True):
            label = scan.label_of(word)
            if label is None:
                unknown[word.strip()] += 1
            elif not numbers:
                n_lost += 1
            for number in numbers:
                told.setdefault(number, set()).add(label)
            if len(numbers) > 1:
                several.append(file)
                unsure.update(numbers)
        if unknown:
            words = ", ".join(repr(untrusted_text.one_line(word, 40)) for word, _ in unknown.most_common(3))
            known = ", ".join(catalogue.ALL_LABELS)
            notes.append(
                f"{name}: {unknown.total()} rows have labels that are not known, such as {words}. Use {known}."
            )
    if several:
        shown = ", ".join(untrusted_text.one_line(file, 60) for file in list(dict.fromkeys(several))[:3])
        notes.append(
            f"{len(several)} row{'s' * (len(several) > 1)} of a table may mean several recordings ({shown}), so those have no true label. "
            "Write their folders too."
        )
    twice = sorted(sounds[number].given for number, labels in told.items() if len(labels) > 1 and number not in unsure)
    if twice:
        notes.append(
            f"{_files(twice)} in rows with different labels, so {_it_has(twice)} no true label. Keep one row a recording."
        )
    if n_lost:
        notes.append(
            f"{n_lost} row{'s' * (n_lost > 1)} of the table name{'s' * (n_lost == 1)} no recording that is here."
        )
    return {number: frozenset([None] if number in unsure else labels) for number, labels in told.items()}, notes


def _meant(table: _File, rows: Sequence[str], sounds: Sequence[_File]) -> list[list[int]]:
    """Return the numbers of the recordings that each row of a table may mean."""
    folder = _folder(table.path)
    if table.place < 0:
        # One next to the zips: what was chosen itself comes before what is in a zip.
        chosen = [number for number, each in enumerate(sounds) if each.place < 0]
        packed = [number for number, each in enumerate(sounds) if each.place >= 0]
        near, far = (_numbers(rows, some, [sounds[number].path for number in some]) for some in (chosen, packed))
        return [one or other for one, other in zip(near, far, strict=True)]
    there = [number for number, each in enumerate(sounds) if each.place == table.place]
    inside = [number for number in there if sounds[number].path.startswith(folder)]
    found = _numbers(rows, inside, [sounds[number].path[len(folder) :] for number in inside])
    while folder and not all(found):
        folder = _folder(folder.rstrip("/"))
        above = [number for number in there if sounds[number].path.startswith(folder)]
        paths = [sounds[number].path[len(folder) :] for number in above]
        shifted = tables.locate(rows, paths, whole=True)
        if all(shifted):
            return [[above[at] for at in each] for each in shifted]
    return found


def _numbers(rows: Sequence[str], numbers: Sequence[int], paths: Sequence[str]) -> list[list[int]]:
    return [[numbers[at] for at in each] for each in tables.locate(rows, paths)]


def _folder(path: str) -> str:
    """Return the folder of a path, with "/" at its end; "" for the top."""
    return path[: path.rfind("/") + 1]


def _read(name: str, data: bytes) -> pd.DataFrame | None:
    """Return the columns of a table that name the file and its label, in this order; None where it has no such columns."""
    try:
        table = untrusted_csv.read(data)
    except ValueError as error:
        raise CorpusError(
            f"The table {name} cannot be read ({error}). Save it as CSV in UTF-8, with the columns file and label."
        ) from None
    pair = [tables.column(table.columns, words) for words in ((*tables.FILE_COLUMNS, "name"), tables.LABEL_COLUMNS)]
    return None if None in pair else table[pair]


def _labelled(file: _File, told: frozenset[str | None] | None, by_folder: str | None) -> Recording:
    name = untrusted_text.one_line(file.given)
    named = scan.label_in_name(file.given)
    corpus = named[0] if named else ""
    recording = Recording(name, file.read, corpus=corpus, size=file.size)
    if told:
        label = next(iter(told)) if len(told) == 1 else None
        return replace(recording, label=label, told_by=TABLE if label else "")
    if named:
        return replace(recording, label=named[1], told_by=NAME)
    return replace(recording, label=by_folder, told_by=FOLDER) if by_folder else recording


def _slashes(name: str) -> str:
    return name.replace("\\", "/").removeprefix("./")
