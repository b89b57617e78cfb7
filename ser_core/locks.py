"""One at a time: a lock on a file, which the system frees when the process that holds it dies. What is done under it is its caller's."""

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
    """Hold the lock of a file while the block runs; the file is made if missing, with its folder, and stays.

    Raises
    ------
    Busy : if another process, or another thread of this one, holds it for longer than wait_s seconds.
    OSError : if the file cannot be made.
    """
    path = Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as held:
        deadline = time.monotonic() + wait_s
        while True:
            try:
                _lock(held)
                break
            except OSError:
                if time.monotonic() >= deadline:
                    raise Busy(str(path)) from None
            time.sleep(_LOOK_AGAIN_S)
        yield


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
