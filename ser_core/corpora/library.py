"""The corpora folder of this machine: which corpora lie in it, their clips, and which of those are excluded.

A sub-folder is a corpus of CORPORA under its key (ravdess/), a table (clips.csv or clips.parquet beside its recordings), or
sub-folders named after labels. What the names of files mean is scan.py's business, checking them is doctor.py's.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from ser_core.corpora import catalogue, scan
from ser_core.errors import CorpusError
from ser_core.system import untrusted_text
from ser_core.system.files import write_atomically

TABLES = ("clips.csv", "clips.parquet")
KNOWN, TABLE, FOLDERS = "known", "table", "folders"
TITLE = "title.txt"
"""A file next to the recordings of a corpus without a row in CORPORA: its title, on the first line."""

MAX_DEPTH = 6
MAX_FOLDERS = 1000
"""How deep folders named after labels are looked for, and among how many: a page lists the corpora again every few seconds."""

MAX_TITLE = 60
MAX_NAME = 40
BY_HAND = "by_hand"
"""The reason for clips that were left out without one."""

_LEFT_OUT = ".left-out"


@dataclass(frozen=True)
class Installed:
    """A corpus that lies in the corpora folder. kind: KNOWN (a row of CORPORA), TABLE or FOLDERS; title: its name for people."""

    name: str
    title: str
    folder: Path
    kind: str


def installed(folder: str | os.PathLike[str]) -> dict[str, Installed]:
    """Return the corpora under a corpora folder by name: those of CORPORA in their order, then the others by name.

    A known corpus counts as installed with one clip, a folder of labels or a table without being read: `clips` reads it.
    """
    top = Path(folder)
    known = scan.installed(top)
    found = {name: Installed(name, catalogue.CORPORA[name].title, path, KNOWN) for name, path in known.items()}
    if not top.is_dir():
        return found
    for path in sorted(top.iterdir()):
        if path.name in catalogue.CORPORA or not path.is_dir() or not scan.is_own_name(path.name):
            continue
        kind = kind_of(path)
        if kind:
            found[path.name] = Installed(path.name, title(path), path, kind)
    return found


def kind_of(folder: Path) -> str:
    """Return how a folder of no known corpus is read: TABLE, FOLDERS, or "" if it does not look like a corpus.

    Folders named after labels may lie some folders deep, such as anna/happy or data/wav/train/happy.
    """
    if any((folder / name).is_file() for name in TABLES):
        return TABLE
    level, seen = [folder], 0
    for _ in range(MAX_DEPTH):
        below = []
        for each in level:
            inside = _folders(each)
            if any(scan.label_of(path.name) for path in inside):
                return FOLDERS
            below += inside
            seen += len(inside)
            if seen > MAX_FOLDERS:
                return ""
        level = below
    return ""


def fingerprint(folder: Path) -> str:
    """Return a digest of the names, sizes and times of a folder's files: it changes as soon as one of them does."""
    digest = hashlib.sha256()
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(parent, name)
            with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                facts = os.lstat(path)
                digest.update(f"{path}\0{facts.st_size} {facts.st_mtime_ns}\0".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _folders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as inside:
            return sorted(Path(each.path) for each in inside if not each.name.startswith(".") and each.is_dir())
    except OSError:  # not readable, or deleted meanwhile
        return []


def title(folder: Path) -> str:
    """Return the title of a corpus without a row in CORPORA: that in its TITLE file, else the name of its folder."""
    try:
        with (folder / TITLE).open(encoding="utf-8", errors="replace") as file:
            return untrusted_text.one_line(file.read(10 * MAX_TITLE), MAX_TITLE) or folder.name
    except OSError:
        return folder.name


def read(name: str, folder: str | os.PathLike[str]) -> pd.DataFrame:
    """Return the clips table of any corpus: of a row of CORPORA, of a table, or of folders named after labels. Nothing is left out.

    Raises
    ------
    CorpusError : for a folder that is missing, holds no clip, or is none of these; for a name or a table that cannot be used.
    """
    return scan.scan(name, folder) if name in catalogue.CORPORA else inspect(name, folder).clips


def inspect(name: str, folder: str | os.PathLike[str]) -> scan.Reading:
    """Return the clips of a corpus without a row in CORPORA, and what had to be decided about them; raises as `read` does."""
    top = Path(folder)
    kind = kind_of(top)
    if top.is_dir() and not kind:
        raise CorpusError(
            f"Corpus '{name}' is not known, and '{folder}' has neither a table ({' or '.join(TABLES)}) nor sub-folders named after labels. "
            f"Choose one of {', '.join(catalogue.CORPORA)}, or add the table or the folders."
        )
    if kind != TABLE:
        return scan.inspect_folders(top, corpus=name)
    table = next((top / file for file in TABLES if (top / file).is_file()), top / TABLES[0])
    try:
        return scan.inspect_table(table, corpus=name)
    except CorpusError:  # a clip may have been deleted after its row was read
        return scan.inspect_table(table, corpus=name)


def clips(folder: str | os.PathLike[str], names: Sequence[str]) -> pd.DataFrame:
    """Return the clips table of some installed corpora, as scan.scan gives it, without the clips that were left out.

    Raises
    ------
    CorpusError : if a corpus is not installed, has no clip, or its table cannot be read.
    """
    there = installed(folder)
    missing = [name for name in names if name not in there]
    if missing or not names:
        raise CorpusError(
            f"{'No corpus was chosen' if not names else f'Corpus {missing[0]!r} is not installed'} in '{folder}'. "
            f"Installed there: {', '.join(there) or 'none'}."
        )
    return pd.concat([_clips(there[name], Path(folder)) for name in names], ignore_index=True)


@dataclass(frozen=True)
class Found:
    """A folder that could be an installed corpus. known: the corpora of CORPORA it has clips of; kind: as in Installed."""

    folder: Path
    known: tuple[str, ...]
    kind: str


def unrecognised(folder: str | os.PathLike[str]) -> tuple[Found, ...]:
    """Return the folders under a corpora folder that hold a corpus under a different name; of one that holds several, each by itself."""
    top = Path(folder)
    there = installed(top)
    found = []
    for path in _folders(top):
        # A folder that is still being unpacked ends in .part.
        if path.name in there or path.name in catalogue.CORPORA or path.is_symlink() or path.suffix == ".part":
            continue
        corpora = [
            Found(each, tuple(name for name in known if not (top / name).exists()), "")
            for each, known in _apart(path, scan.looks_like(path))
        ]
        known = [each for each in corpora if each.known]
        kind = "" if known else kind_of(path)
        found += known or ([Found(path, (), kind)] if kind else [])
    return tuple(found)


def _apart(folder: Path, known: tuple[str, ...], depth: int = 3) -> list[tuple[Path, tuple[str, ...]]]:
    """Return the folders in which the known corpora of a folder lie each by itself, with what each holds; the folder where they do not."""
    if len(known) > 1 and depth:
        inside = [(path, scan.looks_like(path)) for path in _folders(folder) if not path.is_symlink()]
        parts = [part for path, names in inside if names for part in _apart(path, names, depth - 1)]
        single = [name for _, names in parts for name in names if len(names) == 1]
        if len(single) == len(parts) and set(single) == set(known):
            return parts
    return [(folder, known)]


def rename_to_corpus(folder: str | os.PathLike[str], found: Found, name: str = "") -> Path:
    """Give an unrecognised folder the name under which it is installed, and return it. Nothing is copied.

    name : one of found.known; "" for a table or folders of labels, whose name is derived from the folder's.

    Raises
    ------
    CorpusError : if the folder has changed, or cannot be renamed.
    """
    top = Path(folder)
    listed = unrecognised(top)
    # The last of several corpora of one folder is listed as that folder.
    within = [replace(each, folder=found.folder) for each in listed if each.folder in found.folder.parents]
    is_there = found in listed or (
        found in within and bool(found.known) and scan.looks_like(found.folder) == found.known
    )
    if not is_there or name not in (found.known or ("",)):
        raise CorpusError(f"'{found.folder.name}' has changed since it was listed. Reload the list.")
    target = top / (name or new_name(top, found.folder.name))
    try:
        if not name and not (found.folder / TITLE).exists():
            (found.folder / TITLE).write_text(untrusted_text.one_line(found.folder.name, MAX_TITLE), encoding="utf-8")
        os.rename(found.folder, target)
    except OSError as error:
        raise CorpusError(
            f"'{found.folder.name}' could not be renamed to '{target.name}' ({error.strerror}). The app must be allowed to write to "
            "the corpora folder; rename it there yourself."
        ) from None
    return target


def new_name(folder: str | os.PathLike[str], title: str) -> str:
    """Return an unused folder name for a new corpus: the title in lower-case letters, digits and -, with a number if needed."""
    slug = untrusted_text.slug(title, MAX_NAME) or "corpus"
    candidates = itertools.chain([slug], (f"{slug}-{number}" for number in itertools.count(2)))
    return next(name for name in candidates if scan.is_own_name(name) and not (Path(folder) / name).exists())


def leave_out(folder: str | os.PathLike[str], name: str, files: Iterable[str], *, reason: str = BY_HAND) -> None:
    """Save which clips of an installed corpus are excluded, for everyone who uses this folder; () includes them again.

    files : paths below the corpus' folder, with "/"; they replace those saved for this reason before. The recordings themselves
        are not changed.
    reason : why, such as the kind of a doctor's finding: letters, digits and _.

    Raises
    ------
    CorpusError : if it cannot be written.
    """
    # One file per reason: two users who exclude clips for different reasons at the same time do not undo each other.
    path = _left_out_folder(Path(folder), name) / f"{_checked(reason)}.json"
    listed = sorted(set(files))
    try:
        if not listed:
            path.unlink(missing_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        listing = json.dumps(listed, indent=0, ensure_ascii=False)
        write_atomically(path, listing.encode(errors="surrogateescape"))
    except OSError as error:
        raise CorpusError(
            f"What to leave out could not be written to '{path}' ({error.strerror}). The corpora folder must be one that the app may "
            "write to, with room on its disk. Nothing was changed."
        ) from None


def leave_out_all(folder: str | os.PathLike[str], name: str, reasons: Mapping[str, Iterable[str]]) -> None:
    """Save reason -> excluded clips of a corpus, replacing all that were saved before; raises like `leave_out`."""
    for reason in {**left_out(folder, name), **reasons}:
        leave_out(folder, name, reasons.get(reason, ()), reason=reason)


def left_out(folder: str | os.PathLike[str], name: str) -> dict[str, tuple[str, ...]]:
    """Return the excluded clips of an installed corpus: reason -> paths below its folder, sorted.

    Raises
    ------
    CorpusError : if a list is damaged: using excluded clips would be worse than stopping.
    """
    kept = _left_out_folder(Path(folder), name)
    return {path.stem: _read_list(path) for path in sorted(kept.glob("*.json"))} if kept.is_dir() else {}


def _read_list(path: Path) -> tuple[str, ...]:
    try:
        listed = json.loads(path.read_text(encoding="utf-8", errors="surrogateescape"))
    except FileNotFoundError:  # deleted meanwhile
        return ()
    except (OSError, ValueError, RecursionError) as error:
        listed = error
    if not isinstance(listed, list) or not all(isinstance(file, str) for file in listed):
        raise CorpusError(
            f"'{path}', which lists the clips to leave out, cannot be read. Delete it and choose them again."
        )
    return tuple(listed)


def _clips(corpus: Installed, top: Path) -> pd.DataFrame:
    table = read(corpus.name, corpus.folder)
    unused = {file for files in left_out(top, corpus.name).values() for file in files}
    if not unused:
        return table
    base = os.path.abspath(corpus.folder)
    stays = [Path(os.path.relpath(path, base)).as_posix() not in unused for path in table[catalogue.PATH]]
    if not any(stays):
        raise CorpusError(
            f"All {len(table)} clips of {corpus.title} are left out. Include some of them again: the Check tab lists them."
        )
    return table[stays].reset_index(drop=True)


def _left_out_folder(top: Path, name: str) -> Path:
    return top / _LEFT_OUT / name


def _checked(reason: str) -> str:
    if not re.fullmatch(r"[a-z0-9_]+", reason):
        raise CorpusError(f"A reason to leave clips out is made of small letters, digits and _. Got {reason!r}.")
    return reason
