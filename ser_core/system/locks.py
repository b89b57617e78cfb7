"""A lock on a file, which the system frees when the process that holds it dies. What is done under it is its caller's.

`alone` is for one at a time; `take` keeps a lock for as long as a process lives, so that `is_taken` tells others whether it does: a
process number, once used again, does not.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_LOOK_AGAIN_S = 0.02


class Busy(Exception):
    """Another process or thread holds the lock."""


@contextmanager
def alone(file: str | os.PathLike[str], *, wait_s: float = 0.0) -> Iterator[None]:
    """Hold the lock of a file while the block runs; the file is created if missing, with its folder, and stays.

    Raises
    ------
    Busy : if another process, or another thread of this one, holds it for longer than wait_s seconds.
    OSError : if the file cannot be made.
    """
    path = Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    held = take(path, wait_s=wait_s)
    if held is None:
        raise Busy(str(path))
    with held:
        yield


def take(file: str | os.PathLike[str], *, wait_s: float = 0.0) -> IO[bytes] | None:
    """Return the open file that holds its lock, until it is closed; None where another holds it for longer than wait_s seconds.

    Raises OSError where the file cannot be opened or made.
    """
    held = Path(file).open("ab")
    deadline = time.monotonic() + wait_s
    while True:
        try:
            _lock(held)
            return held
        except OSError:
            if time.monotonic() >= deadline:
                held.close()
                return None
        except BaseException:
            held.close()
            raise
        time.sleep(_LOOK_AGAIN_S)


def is_taken(file: str | os.PathLike[str]) -> bool:
    """Return whether some process holds the lock of a file; False where there is no such file."""
    try:
        looked = Path(file).open("r+b")
    except FileNotFoundError:
        return False
    with looked:
        try:
            _lock(looked)
        except OSError:
            return True
    return False


if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[bytes]) -> None:
        # A second lock lies at the place where the file is written next, so every holder must stand at its start.
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
