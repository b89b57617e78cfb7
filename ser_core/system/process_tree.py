"""Ending a process together with those that it started, from outside and from within. Called where a run is stopped."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterable

import psutil

GRACE_S = 0.2
"""How long a process may take to end by itself."""


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process and those it started: politely, and a moment later by force. It may have ended already.

    What it started and left behind is found on POSIX alone, where it leads a session of its own (start_new_session).
    """
    tree = _tree(process)
    if process.poll() is None:
        _terminate(tree)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
    process.kill()
    process.wait()
    for each in tree | _tree(process):  # once more: it may have started others meanwhile
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()


def end_children() -> None:
    """Ask all that this process started to end, without waiting for it."""
    _terminate(psutil.Process().children(recursive=True))


def _terminate(processes: Iterable[psutil.Process]) -> None:
    for each in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.terminate()


def _tree(process: subprocess.Popen[bytes]) -> set[psutil.Process]:
    """Return a process with those below it while it lives, and those of its session, which may live longer."""
    own = {pid for pid in psutil.pids() if _session(pid) == process.pid}
    found = set()
    for pid in own | ({process.pid} if process.poll() is None else set()):
        with contextlib.suppress(psutil.NoSuchProcess):
            each = psutil.Process(pid)
            found |= {each, *each.children(recursive=True)}
    return found


def _session(pid: int) -> int | None:
    """Return the session of a process; None where it has ended, and on Windows, which has no sessions of this kind."""
    with contextlib.suppress(OSError, AttributeError):
        return os.getsid(pid)
    return None
