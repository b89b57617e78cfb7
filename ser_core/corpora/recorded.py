"""User-recorded corpora, clip by clip: a folder with a table, which library.py lists like any other corpus.

    <name>/clips.csv             path, label, speaker, sentence, name: one row per clip, replaced as a whole
    <name>/recordings/<id>.wav   16-bit mono; the id is a digest of the sound, so that one recording cannot be in a corpus twice
    <name>/title.txt             its title

A recording is written before its row and removed after it, under a lock: a killed process leaves a complete table, and
at most a recording that no row lists, which the next change removes. No file name is chosen by a visitor.
"""

from __future__ import annotations

import csv
import errno
import hashlib
import io
import os
import re
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ser_core.audio import decoding, waveform
from ser_core.corpora import catalogue, library, scan, speakers
from ser_core.errors import AudioError, CorpusError
from ser_core.features import extraction, quality
from ser_core.system import locks, units, untrusted_csv, untrusted_text

SENTENCES = (
    "The bus stops at the corner by the library.",
    "My umbrella is still standing next to the window.",
    "We meet on the second floor after lunch.",
    "She put the blue folder on the kitchen table.",
    "There are seven chairs in the other room.",
    "The market opens an hour later tomorrow.",
    "He left his bicycle behind the house.",
    "The lamp in the hall is on again.",
)
"""Sentences to say, written for this project: their content fits every label."""

MAX_CORPORA = 20
MAX_CLIPS = 2000
MAX_CLIP_S = 30.0
MAX_BYTES = 300 * 2**20
"""Limits of the disk space that visitors may use: corpora per server, clips and bytes per corpus, and the length of a clip."""

MAX_SPEAKER = 40
MAX_SENTENCE = 200
SPARE_BYTES = 50 * 2**20
"""Bytes that must stay free on the disk."""

COLUMNS = (catalogue.PATH, "label", catalogue.SPEAKER, catalogue.SENTENCE, catalogue.NAME)

_MARK = "recorded-here.txt"
_MARK_TEXT = "The clips in this folder were added on the Corpora page of the app, under 'Your own'. They are changed there, too.\n"
_RECORDINGS = "recordings"
_ID = re.compile(r"[0-9a-f]{16}")
_WAIT_S = 20.0
_FORMULA = f"{untrusted_csv.SIGNS} "
_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


@dataclass(frozen=True)
class Clip:
    """A row of the table. id: unique in its corpus; path: of its recording."""

    id: str
    path: Path
    label: str
    speaker: str
    sentence: str


@dataclass(frozen=True)
class Added:
    """What was added: the clip, and advice for the next recording (sentences, maybe none)."""

    clip: Clip
    advice: tuple[str, ...]


def listing(root: str | os.PathLike[str]) -> dict[str, str]:
    """Return the corpora that were recorded here, empty ones too: name -> title, by name."""
    top = Path(root)
    found = sorted(path.parent for path in top.glob(f"*/{_MARK}") if scan.is_own_name(path.parent.name))
    return {folder.name: library.title(folder) for folder in found}


def create(root: str | os.PathLike[str], title: str) -> str:
    """Create an empty corpus and return its name, which is derived from the title.

    Raises
    ------
    CorpusError : for a title that is empty or taken, too many corpora, or a disk that cannot be written to.
    """
    top, title = Path(root), untrusted_text.one_line(title, library.MAX_TITLE)
    if not title:
        raise CorpusError("The corpus has no name yet. Enter one, such as 'Class 9b'.")
    with _clear_errors(top), _alone(top, "listing"):
        there = listing(top)
        if title.casefold() in (each.casefold() for each in there.values()):
            raise CorpusError(f"There is a corpus called '{title}' already. Choose it, or take another name.")
        if len(there) >= MAX_CORPORA:
            raise CorpusError(
                f"There are {len(there)} user-recorded corpora here, and {MAX_CORPORA} is the most. Delete one first."
            )
        name = library.new_name(top, title)
        (top / name / _RECORDINGS).mkdir(parents=True)
        (top / name / library.TITLE).write_text(title, encoding="utf-8")
        (top / name / _MARK).write_text(_MARK_TEXT, encoding="utf-8")
    return name


def clips(root: str | os.PathLike[str], name: str) -> tuple[Clip, ...]:
    """Return the clips of a corpus in the order in which they were added.

    Raises
    ------
    CorpusError : if there is no such corpus, or its table is damaged.
    """
    return tuple(_read(_folder(root, name)))


def add(
    root: str | os.PathLike[str],
    name: str,
    data: bytes,
    *,
    label: str,
    speaker: str,
    sentence: str = "",
    source: str = "The recording",
) -> Added:
    """Add a recording to a corpus.

    Parameters
    ----------
    data : an audio file of any kind that decoding.decode reads, up to MAX_CLIP_S long; it is untrusted. What is kept is its sound as
        one channel, at its own sample rate (8 to 48 kHz).
    label : one of catalogue.ALL_LABELS. speaker, sentence : free text; of the speaker, MAX_SPEAKER characters are kept.
    source : what error sentences call it.

    Raises
    ------
    AudioError : if it cannot be read, is too long, or holds no speech.
    CorpusError : for an unknown label, a missing speaker, a recording that is in the corpus already, a corpus that is full or deleted,
        or a full disk.
    """
    _check_label(label)
    speaker = speaker_name(speaker)
    heard = decoding.decode(data, max_duration_s=MAX_CLIP_S, name=source)
    judged = quality.report(heard.waveform, extraction.extract(heard.waveform))
    if not judged.has_speech:
        raise AudioError(f"{source} was not added. {' '.join(judged.advice)}")
    rate = min(max(heard.source_rate, 8000), 48_000)
    content = waveform.encode_wav(
        decoding.decode(data, sample_rate=rate, max_duration_s=MAX_CLIP_S, name=source).waveform
    )
    with _changing(root, name) as (folder, rows):
        id = hashlib.sha256(content).hexdigest()[:16]
        speaker = speakers.joined([*(row.speaker for row in rows), speaker], longest=MAX_SPEAKER)[-1]
        clip = _clip(folder, id, label, speaker, untrusted_text.one_line(sentence, MAX_SENTENCE).lstrip(_FORMULA))
        _check_new(folder, rows, clip, len(content))
        clip.path.parent.mkdir(exist_ok=True)
        _write(clip.path, content)
        _write_table(folder, [*rows, clip])
    return Added(clip, judged.advice)


def relabel(root: str | os.PathLike[str], name: str, id: str, label: str) -> None:
    """Change a clip's label; raises CorpusError for an unknown label or clip, or a disk that cannot be written to."""
    _check_label(label)
    with _changing(root, name) as (folder, rows):
        _check_there(rows, [id])
        _write_table(
            folder,
            [_clip(folder, row.id, label if row.id == id else row.label, row.speaker, row.sentence) for row in rows],
        )


def delete(root: str | os.PathLike[str], name: str, ids: Sequence[str]) -> None:
    """Delete clips with their recordings; raises CorpusError for an unknown clip, or a disk that cannot be written to."""
    with _changing(root, name) as (folder, rows):
        _check_there(rows, ids)
        _write_table(folder, [row for row in rows if row.id not in ids])
        for row in rows:
            if row.id in ids:
                row.path.unlink(missing_ok=True)


def delete_all(root: str | os.PathLike[str], name: str) -> None:
    """Delete a corpus with all its recordings, and its list of excluded clips."""
    with _changing(root, name) as (folder, _):
        _write_table(folder, [])
        if (folder / _RECORDINGS).exists():
            shutil.rmtree(folder / _RECORDINGS)
        # The mark is deleted last: until then a killed deletion shows as an empty corpus, which can be deleted again.
        (folder / library.TITLE).unlink(missing_ok=True)
        (folder / _MARK).unlink()
        shutil.rmtree(folder)
    library.leave_out_all(root, name, {})


def pack(root: str | os.PathLike[str], name: str) -> bytes:
    """Return a corpus as a zip: its table, title and recordings in a folder with its name."""
    buffer = io.BytesIO()
    with _changing(root, name) as (folder, rows), zipfile.ZipFile(buffer, "w") as packed:
        texts = [path for path in (folder / library.TABLES[0], folder / library.TITLE, folder / _MARK) if path.exists()]
        for path in [*texts, *(row.path for row in rows)]:
            packed.write(path, f"{name}/{path.relative_to(folder).as_posix()}")
    return buffer.getvalue()


def speaker_name(text: str) -> str:
    """Return a speaker's name as it is saved: one line of at most MAX_SPEAKER characters that no spreadsheet takes for a formula.

    Raises
    ------
    CorpusError : if nothing is left: the speaker must be known, or speakers cannot be held out.
    """
    name = untrusted_text.one_line(text, MAX_SPEAKER).lstrip(_FORMULA)
    if not speakers.key(name):
        raise CorpusError("The speaker has no name. Enter one, or turn on 'Stay anonymous'.")
    return name


def _folder(root: str | os.PathLike[str], name: str) -> Path:
    folder = Path(root) / name
    if not scan.is_own_name(name) or not (folder / _MARK).is_file():
        raise CorpusError(f"There is no user-recorded corpus '{name}' any more. Choose another, or create it again.")
    return folder


def _read(folder: Path) -> list[Clip]:
    """Return the rows of a table, each speaker in one spelling."""
    rows = list(_rows(folder))
    names = speakers.joined([row.speaker for row in rows], longest=untrusted_text.MAX_NAME)
    return [replace(row, speaker=name) for row, name in zip(rows, names, strict=True)]


def _rows(folder: Path) -> Iterator[Clip]:
    table = folder / library.TABLES[0]
    try:
        with table.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError:
        return
    except (OSError, ValueError, csv.Error) as error:
        raise _damaged(table) from error
    for row in rows:
        id, label = row.get(catalogue.NAME) or "", row.get("label") or ""
        # The file's name comes from the id alone: an edited path in the table has no effect.
        if not _ID.fullmatch(id) or label not in catalogue.ALL_LABELS:
            raise _damaged(table)
        speaker, sentence = (
            untrusted_csv.unmarked(row.get(column) or "") for column in (catalogue.SPEAKER, catalogue.SENTENCE)
        )
        yield _clip(
            folder, id, label, untrusted_text.one_line(speaker), untrusted_text.one_line(sentence, MAX_SENTENCE)
        )


def _damaged(table: Path) -> CorpusError:
    return CorpusError(f"The table '{table}' is damaged or was edited. Fix it, or move its folder away.")


def _clip(folder: Path, id: str, label: str, speaker: str, sentence: str) -> Clip:
    return Clip(id, folder / _RECORDINGS / f"{id}.wav", label, speaker, sentence)


def _check_label(label: str) -> None:
    if label not in catalogue.ALL_LABELS:
        raise CorpusError(f"There is no label '{label}'. Choose from {', '.join(catalogue.ALL_LABELS)}.")


def _check_there(rows: Sequence[Clip], ids: Sequence[str]) -> None:
    if set(ids) - {row.id for row in rows}:
        raise CorpusError("This clip was deleted meanwhile. Reload the page and choose another.")


def _check_new(folder: Path, rows: Sequence[Clip], clip: Clip, n_bytes: int) -> None:
    same = next((row for row in rows if row.id == clip.id), None)
    if same:
        raise CorpusError(
            f"This recording is already in the corpus, labelled {same.label} and spoken by {same.speaker}. Record a new one, or "
            "change the label of that clip."
        )
    if len(rows) >= MAX_CLIPS:
        raise CorpusError(
            f"The corpus has {len(rows):,} clips, and {MAX_CLIPS:,} is the most. Create another corpus, or delete some."
        )
    if sum(row.path.stat().st_size for row in rows if row.path.exists()) + n_bytes > MAX_BYTES:
        raise CorpusError(
            f"The corpus would take more than {units.size(MAX_BYTES, binary=True)}. Create another corpus, or delete some clips."
        )
    if shutil.disk_usage(folder).free < n_bytes + SPARE_BYTES:
        raise CorpusError("The disk is nearly full, so the recording was not added. Make room, and add it again.")


@contextmanager
def _changing(root: str | os.PathLike[str], name: str) -> Iterator[tuple[Path, list[Clip]]]:
    """Yield the folder and the clips of a corpus under its lock; first remove what a killed change left."""
    top = Path(root)
    folder = _folder(top, name)
    with _clear_errors(top), _alone(top, name):
        rows = _read(_folder(top, name))
        listed = {row.path for row in rows}
        for path in [*(folder / _RECORDINGS).glob("*"), *folder.glob("*.part")]:
            if path not in listed:
                path.unlink()
        yield folder, rows


@contextmanager
def _alone(top: Path, name: str) -> Iterator[None]:
    try:
        with locks.alone(top / ".own" / f"{name}.lock", wait_s=_WAIT_S):
            yield
    except locks.Busy:
        raise CorpusError(
            "Someone else is changing this corpus for longer than usual. Try again in a moment."
        ) from None


@contextmanager
def _clear_errors(top: Path) -> Iterator[None]:
    """Turn errors of the disk into sentences."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise CorpusError("The disk is full, so nothing was changed. Make room, and try again.") from None
        raise CorpusError(
            f"'{error.filename or top}' cannot be changed ({error.strerror or error}). The corpora folder must be one that the app may "
            "write to."
        ) from None


def _write_table(folder: Path, rows: Sequence[Clip]) -> None:
    """Replace the table; without clips there is none, so that an empty corpus is not offered for training."""
    table = folder / library.TABLES[0]
    if not rows:
        table.unlink(missing_ok=True)
        return
    cells = [(row.path.relative_to(folder).as_posix(), row.label, row.speaker, row.sentence, row.id) for row in rows]
    part = table.with_name(f"{table.name}.part")
    _write(part, untrusted_csv.lines([COLUMNS, *cells]).encode())
    os.replace(part, table)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
