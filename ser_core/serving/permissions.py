"""Who may read what a server writes: the user that runs it, and no one else on the machine.

Applies to this process and all that it starts: workers, supervisors, trainings. Models are meant to be shared (recognition/store.py).
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from pathlib import Path

from ser_core import paths
from ser_core.corpora import recorded
from ser_core.errors import ConfigError

UMASK = 0o077


def restrict() -> None:
    """Restrict new files, and the existing folders of runs, caches and recordings, to their owner."""
    os.umask(UMASK)
    root = paths.corpora_folder()
    results = paths.results_folder()
    for folder in (
        paths.runs_folder(),
        paths.feature_cache(),
        results,
        *(root / name for name in recorded.listing(root)),
    ):
        close(folder)


def close(folder: Path) -> None:
    """Remove other users' rights from a folder, if it exists, is this user's, and is not a shared place such as /tmp or a disk."""
    if sys.platform == "win32":  # Windows has other rights, and a home's folders belong to their owner there
        return
    with contextlib.suppress(OSError):  # missing, or another user's
        found = folder.stat()
        is_for_all = found.st_mode & stat.S_ISVTX or os.path.ismount(folder)
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not is_for_all:
            folder.chmod(stat.S_IMODE(found.st_mode) & ~UMASK)


def create_private(folder: Path) -> None:
    """Create a folder that only its owner may read; raises ConfigError where that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise unwritable(folder, error) from None


def unwritable(folder: Path, error: OSError) -> ConfigError:
    """Return the error that says why the folder of a class cannot be written to."""
    return ConfigError(
        f"'{folder}' could not be written to ({error.strerror}). Make room there, or name another folder with SER_CLASS."
    )
