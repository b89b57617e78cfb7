"""The feature cache of this machine: arrays and tables in files, read, written, counted and cleared."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import numpy as np

from ser_core.system import files

FACTS = (
    "duration_s",
    "source_rate",
    "source_channels",
    "truncated",
    "level_dbfs",
    "peak_dbfs",
    "clipped",
    "silence",
    "speech_s",
    "snr_db",
    "bandwidth_hz",
    "steady",
    "syllables_per_s",
)
"""Facts of each clip besides its features: of its file, quality.Quality's facts, speech_rate.rate. NaN: not measurable."""

FEATURES_VERSION = 2
"""Rises whenever what is measured of a clip changes, be it by its decoding, augmentation, features or facts: what was kept under another
number is not found again. tests/dataset/test_cache.py holds what is measured of fixed sounds, and fails where the number should rise."""

TABLES, MAPS = "tables", "maps"
"""Further folders of a cache, in which exploration.py keeps results over many clips."""

_OURS = re.compile(rf"([0-9a-f]{{2}}|{TABLES}|{MAPS})/([0-9a-f]{{64}}\.npz|{files.PART_PREFIX}\w+\.part)")
"""The files of a cache, below its folder; other files there are not touched."""


def version() -> bytes:
    """Return what stands for the way clips are measured, as a part of a key: FEATURES_VERSION and FACTS."""
    return f"{FEATURES_VERSION} {' '.join(FACTS)}".encode()


def _place(cache: Path, key: str) -> Path:
    return cache / key[:2] / f"{key}.npz"


def read_arrays(path: Path, *names: str) -> dict[str, np.ndarray] | None:
    """Return arrays of a file of the cache; None where it is missing, damaged or lacks one (it is then computed again)."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in names}
    except Exception:  # NumPy and zipfile have many ways of failing on a damaged file
        return None


def write_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write a temporary file and rename it, so that another process sees all of it or nothing.

    Where the disk is full the file is left out: it is computed again next time.
    """
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_atomically(path, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]


def usage(folder: Path) -> tuple[int, int]:
    """Return how many files a cache holds, and how many bytes; what else lies in its folder does not count."""
    sizes = []
    for path in _files(folder):
        with contextlib.suppress(OSError):  # removed or renamed meanwhile
            sizes.append(path.stat().st_size)
    return len(sizes), sum(sizes)


def clear(folder: Path, *, since_ns: int = 0) -> tuple[int, int]:
    """Remove what a cache holds, unfinished files of killed processes included; return how many files and bytes went.

    since_ns : only what was written then or later, as the time of files (st_mtime_ns). What else lies in the folder stays. Whoever
        writes meanwhile loses an entry, which is computed again.
    """
    n, freed = 0, 0
    files = _files(folder)
    for path in files:
        try:
            stat = path.stat()
            if stat.st_mtime_ns < since_ns:
                continue
            path.unlink()
        except OSError:
            continue
        n, freed = n + 1, freed + stat.st_size
    for parent in {path.parent for path in files}:
        with contextlib.suppress(OSError):  # not empty: another process writes, or it has other files
            parent.rmdir()
    return n, freed


def _files(folder: Path) -> list[Path]:
    return [
        path
        for path in folder.glob("*/*")
        if _OURS.fullmatch(path.relative_to(folder).as_posix()) and not path.is_symlink()
    ]
