"""The corpora folder of this machine: which corpora lie in it, their clips, and which of those somebody chose to leave out.

A sub-folder is a corpus of CORPORA under its key (ravdess/), a table (clips.csv or clips.parquet beside its recordings), or
sub-folders named after labels. What the names of files mean is corpora.py's business, what is wrong with them doctor.py's.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ser_core import corpora
from ser_core.errors import CorpusError

TABLES = ("clips.csv", "clips.parquet")
KNOWN, TABLE, FOLDERS = "known", "table", "folders"
_LEFT_OUT = ".left-out"


@dataclass(frozen=True)
class Installed:
    """A corpus that lies in the corpora folder. kind: KNOWN (a row of CORPORA), TABLE or FOLDERS; title: how people call it."""

    name: str
    title: str
    folder: Path
    kind: str


def root() -> Path:
    """Return the folder that holds the installed corpora: SER_CORPORA, else corpora/ below the current folder."""
    return Path(os.environ.get("SER_CORPORA", "corpora"))


def installed(folder: str | os.PathLike[str]) -> dict[str, Installed]:
    """Return the corpora under a corpora folder by name: those of CORPORA in their order, then the others by name.

    A known corpus counts as installed with one clip, a folder of labels or a table by its look alone: `clips` reads it.
    """
    top = Path(folder)
    known = corpora.installed(top)
    found = {name: Installed(name, corpora.CORPORA[name].title, path, KNOWN) for name, path in known.items()}
    if not top.is_dir():
        return found
    for path in sorted(top.iterdir()):
        if path.name in corpora.CORPORA or not path.is_dir() or not corpora.is_own_name(path.name):
            continue
        kind = _kind(path)
        if kind:
            found[path.name] = Installed(path.name, path.name, path, kind)
    return found


def clips(folder: str | os.PathLike[str], names: Sequence[str]) -> pd.DataFrame:
    """Return the clips table of some installed corpora, as corpora.scan gives it, without the clips that were left out.

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


def leave_out(folder: str | os.PathLike[str], name: str, files: Iterable[str]) -> None:
    """Remember which clips of an installed corpus are not to be used, in place of what was remembered before; () uses all again.

    files : paths below the corpus' folder, with "/". The recordings themselves are not touched.

    Raises
    ------
    CorpusError : if it cannot be written.
    """
    path = _left_out_file(Path(folder), name)
    listed = sorted(set(files))
    temporary = None
    try:
        if not listed:
            path.unlink(missing_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
        with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape") as file:
            json.dump(listed, file, indent=0)
        os.replace(temporary, path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise CorpusError(f"What to leave out could not be written to '{path}' ({error.strerror}). Make room and try again.") from None


def left_out(folder: str | os.PathLike[str], name: str) -> tuple[str, ...]:
    """Return the clips of an installed corpus that are not to be used: paths below its folder, sorted; () where none was left out.

    Raises
    ------
    CorpusError : if the list is damaged: to use what somebody left out would be worse than to stop.
    """
    path = _left_out_file(Path(folder), name)
    try:
        listed = json.loads(path.read_text(encoding="utf-8", errors="surrogateescape"))
    except FileNotFoundError:
        return ()
    except (OSError, ValueError) as error:
        listed = error
    if not isinstance(listed, list) or not all(isinstance(file, str) for file in listed):
        raise CorpusError(f"'{path}', which lists the clips to leave out, cannot be read. Delete it and choose them again.")
    return tuple(listed)


def _clips(corpus: Installed, top: Path) -> pd.DataFrame:
    if corpus.kind == KNOWN:
        table = corpora.scan(corpus.name, corpus.folder)
    elif corpus.kind == TABLE:
        file = next(corpus.folder / name for name in TABLES if (corpus.folder / name).is_file())
        table = corpora.read_table(file, corpus=corpus.name)
    else:
        table = corpora.read_folders(corpus.folder, corpus=corpus.name)
    unused = set(left_out(top, corpus.name))
    if not unused:
        return table
    base = os.path.abspath(corpus.folder)
    stays = [Path(os.path.relpath(path, base)).as_posix() not in unused for path in table[corpora.PATH]]
    return table[stays].reset_index(drop=True)


def _kind(folder: Path) -> str:
    """Return how a folder of no known corpus is read, "" if it does not look like a corpus."""
    if any((folder / name).is_file() for name in TABLES):
        return TABLE
    return FOLDERS if any(path.is_dir() and corpora.label_of(path.name) for path in folder.iterdir()) else ""


def _left_out_file(top: Path, name: str) -> Path:
    return top / _LEFT_OUT / f"{name}.json"
