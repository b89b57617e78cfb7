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
from pathlib import PurePosixPath
from typing import BinaryIO

import pandas as pd

from ser_core.audio import decoding
from ser_core.corpora import catalogue, download, scan
from ser_core.errors import AudioError, CorpusError
from ser_core.system import untrusted_csv, untrusted_text

MAX_FILES = 500
MAX_TABLE_BYTES = 5 * 2**20

FILE_COLUMNS = ("file", "path", "filename", "name")
LABEL_COLUMNS = ("label", "emotion")

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


def collect(files: Sequence[tuple[str, BinaryIO]]) -> Uploads:
    """Return the recordings among some files and in the zips among them.

    Parameters
    ----------
    files : name and open file of each. A CSV table, in a zip or next to it, with a column "file" and a column "label" gives the true
        labels; else names as in a known corpus do, else folders named after labels.

    Raises
    ------
    CorpusError : for a zip that is damaged or unsafe, a table that cannot be read, no recording at all, or too many.
    """
    found: list[tuple[str, int, Callable[[], bytes]]] = []
    tables: list[tuple[str, bytes]] = []
    n_other = 0
    for name, file in files:
        inside = (
            _members(name, file)
            if name.lower().endswith(".zip")
            else [(name, file.seek(0, io.SEEK_END), partial(_whole, file))]
        )
        for inner, size, read in inside:
            if inner.lower().endswith(".csv") and size <= MAX_TABLE_BYTES:
                tables.append((inner, read()))
            elif scan.is_sound(inner):
                found.append((inner, size, read))
            else:
                n_other += 1
    if not found:
        raise CorpusError("There is no recording among these files. Choose sound files, or a zip that holds some.")
    if len(found) > MAX_FILES:
        raise CorpusError(
            f"These are {len(found):,} recordings; {MAX_FILES} are the most here. Choose fewer, or use the command line: it has no limit."
        )
    labels, notes = _labels(tables)
    if n_other:
        notes.append(
            f"{n_other} file{'s' * (n_other > 1)} that {'are' if n_other > 1 else 'is'} neither sound nor table: skipped."
        )
    recordings = [
        replace(_labelled(name, read, labels), size=size)
        for name, size, read in sorted(found, key=lambda each: each[0])
    ]
    unmatched = len(labels) - sum(each.told_by == TABLE for each in recordings)
    if unmatched > 0:
        notes.append(
            f"{unmatched} row{'s' * (unmatched > 1)} of the table name{'s' * (unmatched == 1)} no recording that is here."
        )
    return Uploads(tuple(recordings), tuple(notes))


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


def _labels(tables: Sequence[tuple[str, bytes]]) -> tuple[dict[str, str], list[str]]:
    """Return the labels in the tables, file -> label, and sentences on what in them cannot be used."""
    labels: dict[str, str] = {}
    notes = []
    for given, data in tables:
        name = untrusted_text.one_line(given)
        table = _read(name, data)
        if table is None:
            notes.append(f"{name} has no column 'file' and 'label', so it gives no true labels.")
            continue
        unknown: Counter[str] = Counter()
        for file, label in zip(table.iloc[:, 0], table.iloc[:, 1], strict=True):
            if canonical := scan.label_of(label):
                labels[_normal(file)] = canonical
            elif label.strip():
                unknown[label.strip()] += 1
        if unknown:
            words = ", ".join(repr(untrusted_text.one_line(word, 40)) for word, _ in unknown.most_common(3))
            known = ", ".join(catalogue.ALL_LABELS)
            notes.append(
                f"{name}: {unknown.total()} rows have labels that are not known, such as {words}. Use {known}."
            )
    return labels, notes


def _read(name: str, data: bytes) -> pd.DataFrame | None:
    """Return the columns of a table that name the file and its label, in this order; None where it has no such columns."""
    try:
        table = untrusted_csv.read(data)
    except ValueError as error:
        raise CorpusError(
            f"The table {name} cannot be read ({error}). Save it as CSV in UTF-8, with the columns file and label."
        ) from None
    pair = [next((word for word in words if word in table.columns), None) for words in (FILE_COLUMNS, LABEL_COLUMNS)]
    return None if None in pair else table[pair]


def _labelled(given: str, read: Callable[[], bytes], labels: dict[str, str]) -> Recording:
    path, name = PurePosixPath(_normal(given)), untrusted_text.one_line(given)
    named = scan.label_in_name(given)
    corpus = named[0] if named else ""
    for key in (str(path), path.name, path.stem):
        if key in labels:
            return Recording(name, read, labels[key], TABLE, corpus)
    if named:
        return Recording(name, read, named[1], NAME, corpus)
    label = next(filter(None, map(scan.label_of, reversed(path.parts[:-1]))), None)
    return Recording(name, read, label, FOLDER if label else "")


def _normal(name: str) -> str:
    return name.strip().replace("\\", "/").removeprefix("./").casefold()
