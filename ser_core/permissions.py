"""Who may read what a server writes: the user that runs it, and nobody else on the machine.

Holds for this process and all that it starts: workers, supervisors, trainings. Models are meant to be shared; store.py sees to them.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from pathlib import Path

from ser_core import dataset, library, own, runs

UMASK = 0o077


def restrict() -> None:
    """Keep what is written from now on, and the folders of runs, caches and recordings that are here already, to their owner."""
    os.umask(UMASK)
    root = library.root()
    results = Path(os.environ.get("SER_RESULTS") or dataset.cache_folder().parent / "evaluations")
    for folder in (runs.root(), dataset.cache_folder(), results, *(root / name for name in own.listing(root))):
        close(folder)


def close(folder: Path) -> None:
    """Take everybody else's rights from a folder, if it is there, is this user's, and is no place for all such as /tmp or a disk."""
    if sys.platform == "win32":  # it has other rights, and gives a home's folders to their owner
        return
    with contextlib.suppress(OSError):  # not there, or another's
        found = folder.stat()
        is_for_all = found.st_mode & stat.S_ISVTX or os.path.ismount(folder)
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not is_for_all:
            folder.chmod(stat.S_IMODE(found.st_mode) & ~UMASK)
