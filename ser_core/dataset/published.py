"""Recordings of published corpora, known by their prints: whatever a copy of one is called, and in whatever format it is.

The file of prints (PRINTS) comes with the project and holds numbers and official names, no sound; `python -m ser_core corpora prints`
computes it. What is done with a clip that is recognised is contamination.py's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from ser_core.corpora import catalogue, scan
from ser_core.dataset import duplicates
from ser_core.dataset.duplicates import Sounds
from ser_core.errors import ConfigError
from ser_core.system import files

PRINTS = Path(__file__).with_name("prints.npz")
"""Prints of the corpora that the shipped models were trained on: 50 bytes per clip."""

OFFICIAL = (catalogue.CORPUS, catalogue.NAME, catalogue.SPEAKER)
"""The columns of a clips table that say which published recording a clip is."""


@dataclass(frozen=True)
class Published:
    """Recordings: corpus and name, str (n,), and prints, uint8 (n, duplicates.PRINT_BYTES)."""

    corpus: np.ndarray
    name: np.ndarray
    prints: np.ndarray


def read(path: Path = PRINTS) -> Published:
    """Return the recordings of a file that `write` wrote; raises ConfigError where it is missing or damaged."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            found = Published(stored["corpus"], stored["name"], stored["prints"])
        if not len(found.corpus) == len(found.name) == len(found.prints) or found.prints.dtype != np.uint8:
            raise ValueError("its arrays do not fit each other")
        if found.prints.ndim != 2 or found.prints.shape[1] != duplicates.PRINT_BYTES:
            raise ValueError("its prints are of another size")
    except Exception as error:  # NumPy and zipfile have many ways of failing on a damaged file
        raise ConfigError(
            f"The prints in '{path.name}' cannot be read ({error}). Restore the file from the project."
        ) from None
    return found


def write(path: Path, tables: Mapping[str, pd.DataFrame], sounds: Sounds) -> int:
    """Write the prints of published corpora (name -> clips table) as `read` reads them, and return how many they are.

    sounds : what is known of all these clips. A clip without a print is left out.

    Raises
    ------
    ConfigError : for a corpus that is not a published one, or where the file cannot be written.
    """
    own = [name for name in tables if name not in catalogue.CORPORA]
    if own:
        raise ConfigError(
            f"Only recordings of published corpora are recognised; '{own[0]}' is none of {', '.join(catalogue.CORPORA)}."
        )
    clips = pd.concat(list(tables.values()), ignore_index=True)
    clips = clips[clips[catalogue.PATH].isin(list(sounds.prints))].sort_values([catalogue.CORPUS, catalogue.NAME])
    arrays = {
        "corpus": clips[catalogue.CORPUS].to_numpy(str),
        "name": clips[catalogue.NAME].to_numpy(str),
        "prints": np.stack([sounds.prints[each][0] for each in clips[catalogue.PATH]]),
    }
    try:
        files.write_atomically(path, lambda file: np.savez_compressed(file, **arrays))
    except OSError as error:
        raise ConfigError(f"'{path}' cannot be written: {error.strerror}. Choose another file with --out.") from None
    return len(clips)


def recognise(clips: pd.DataFrame, sounds: Sounds) -> pd.DataFrame:
    """Return the OFFICIAL columns of those clips that are published recordings by their sound, under the index of `clips`."""
    known = _read(PRINTS, PRINTS.stat().st_mtime_ns if PRINTS.exists() else 0)
    found = duplicates.match(clips, sounds, known.prints)
    rows = found[found >= 0]
    speakers = [
        scan.speaker_of(corpus, name) for corpus, name in zip(known.corpus[rows], known.name[rows], strict=True)
    ]
    columns = zip(OFFICIAL, (known.corpus[rows], known.name[rows], speakers), strict=True)
    return pd.DataFrame(dict(columns), index=clips.index[found >= 0], dtype=object)


@lru_cache(maxsize=2)
def _read(path: Path, _: int) -> Published:
    return read(path)
