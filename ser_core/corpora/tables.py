"""What a table of recordings means: which column is which, and which files its rows name.

Tables come from spreadsheets, other machines and other folders: their paths may have backslashes, another root, other capitals, letters
composed differently, or be a bare name. scan.py reads the table of a corpus by it, uploads.py one next to uploaded recordings.
"""

from __future__ import annotations

import itertools
import os
import re
import unicodedata
from collections.abc import Iterable, Sequence

FILE_COLUMNS = ("path", "file", "filename", "filepath")
LABEL_COLUMNS = ("emotion", "label", "emotions", "labels")
"""Names of columns, without blanks, - and _, the most telling first."""

_MAX_PARTS = 12
"""Number of last parts of a path that are compared where its root differs."""

_MAX_RESPELT = 1000
"""Longest path that is compared in other spellings, in characters: the time that takes may grow with its square."""


def column(names: Iterable[str], wanted: Sequence[str]) -> str | None:
    """Return the one of a table's columns that is meant by the first of `wanted` that it has; None where it has none of them."""
    there: dict[str, str] = {}
    for name in names:
        there.setdefault(re.sub(r"[\s_-]+", "", name).casefold(), name)
    return next((there[each] for each in wanted if each in there), None)


def locate(given: Sequence[str], files: Sequence[str], *, whole: bool = False) -> list[list[int]]:
    """Return, for each path of a table, which of `files` it may mean: none, one, or several.

    Parameters
    ----------
    given : as the rows have them: relative to the folder of the table, to a folder below it, or to another root that all rows share; or a
        bare name, with or without its ending.
    files : the files in the folder of the table, with "/", relative to it.
    whole : rows are paths relative to that folder, and nothing else.
    """
    index = _Index(files)
    rows = [_parts(path) for path in given]
    found = [index.find(row, whole=whole) for row in rows]
    if whole or all(found):
        return found
    shared = sum(
        1
        for _ in itertools.takewhile(lambda parts: len(set(parts)) == 1, zip(*(row[:-1] for row in rows), strict=False))
    )
    for skipped in range(1, min(shared, _MAX_PARTS) + 1):
        # From the table's folder only: of anna/1.wav the end alone may be somebody else's 1.wav.
        shifted = list(itertools.takewhile(bool, (index.find(row[skipped:], whole=True) for row in rows)))
        if len(shifted) == len(rows):
            return shifted
    return found


class _Index:
    """Files by their paths and by what these end with; each with and without its ending, and in three spellings."""

    def __init__(self, files: Sequence[str]) -> None:
        self.whole: list[dict[str, list[int]]] = [{} for _ in _SPELLINGS]
        self.ends: list[dict[str, list[int]]] = [{} for _ in _SPELLINGS]
        for number, file in enumerate(files):
            parts = _parts(file)
            for at, (bare, spelling) in enumerate(_SPELLINGS):
                *folders, name = parts
                spelt = [_spelt(part, spelling) for part in (*folders, os.path.splitext(name)[0] if bare else name)]
                length = sum(map(len, spelt))
                if spelling == 0 or length <= _MAX_RESPELT:
                    self.whole[at].setdefault("/".join(spelt), []).append(number)
                if length <= _MAX_RESPELT:
                    for n in range(1, min(len(spelt), _MAX_PARTS + 1)):
                        self.ends[at].setdefault("/".join(spelt[-n:]), []).append(number)

    def find(self, row: Sequence[str], *, whole: bool = False) -> list[int]:
        """Return the files that a path means, by the closest way in which it means any."""
        for bare in (False, True):
            for kind in (self.whole,) if whole else (self.whole, self.ends):
                for (is_bare, spelling), paths in zip(_SPELLINGS, kind, strict=True):
                    found = paths.get("/".join(_spelt(part, spelling) for part in row)) if is_bare == bare else None
                    if found:
                        return found
        return []


_SPELLINGS = [(bare, spelling) for bare in (False, True) for spelling in range(3)]
"""Without its ending or with it; as it is, composed, or in small letters."""


def _parts(path: str) -> list[str]:
    parts = [part for part in re.split(r"[/\\]", path.strip()) if part not in ("", ".")]
    return parts or [""]


def _spelt(part: str, spelling: int) -> str:
    if spelling == 0 or len(part) > _MAX_RESPELT:
        return part
    composed = part if part.isascii() else unicodedata.normalize("NFC", part)
    return composed if spelling == 1 else unicodedata.normalize("NFC", composed.casefold())
