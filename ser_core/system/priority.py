"""The priority of a long-running process: its niceness, and how many cores it takes."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

NICENESS = 19

AUTOGROUP = Path("/proc/self/autogroup")
"""On Linux, the group of this process's session: its name and its niceness."""


def settle() -> None:
    """Run at the lowest priority, and leave a core free: for TensorFlow's threads and, at one, for those of the numeric libraries.

    Linux may share the processor among sessions first, and heed niceness within each alone (sched(7), the autogroup feature): in a session
    of its own, a process of any niceness would take half of the machine. Such a session steps back as a whole.
    """
    if hasattr(os, "nice"):
        os.nice(max(NICENESS - os.nice(0), 0))
        if AUTOGROUP.exists() and os.getsid(0) == os.getpid():
            with contextlib.suppress(OSError):  # not everybody may
                AUTOGROUP.write_text(str(NICENESS))
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(free_cores()))
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def free_cores() -> int:
    """Return all cores but one, at least one."""
    return max((os.cpu_count() or 1) - 1, 1)
