"""How the processes of the app share a machine: the niceness, the threads and the number of each kind.

Processes call this before anything heavy is loaded: the numeric libraries read their variables only once. Nothing is started here.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from pathlib import Path

from ser_core.errors import ConfigError

TRAINING = 19
"""Niceness of a training, of what waits for one and of the commands that train or measure for long."""

LONG_WORK = 10
"""Niceness of long recordings and of maps over many clips that a page starts: behind the pages and short clips, before a training."""

AUTOGROUP = Path("/proc/self/autogroup")
"""On Linux, the group of this process's session: its name and its niceness."""

WORKERS = "SER_WORKERS"
"""The environment variable with the number of workers for short clips."""

MOST = "SER_NICE"
"""The environment variable with the highest niceness that a process may take: 0 where none shall step back."""

ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""Variables of every process: with their own threads, the numeric libraries take 5 to 10 times longer on busy cores."""


def highest_niceness() -> int:
    """Return the highest niceness that a process may take: SER_NICE, else that of a training.

    Raises
    ------
    ConfigError : where SER_NICE is not a whole number from 0 to 19.
    """
    return _whole_number(MOST, "1?[0-9]", "from 0 to 19", f"{TRAINING}, the highest", TRAINING)


def step_back(niceness: int) -> None:
    """Run at this niceness, but not above the highest that is allowed, or at the higher one that this process already has.

    On Windows it is the class below the usual one, unless the highest allowed is 0.
    """
    niceness = min(niceness, highest_niceness())
    if sys.platform == "win32":
        import psutil

        if niceness:
            psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
    else:
        os.nice(max(niceness - os.nice(0), 0))


def limit_threads(variables: dict[str, str] = ONE_THREAD) -> None:
    """Set variables of this process, such as those of `training_threads`, unless they are set."""
    for name, value in variables.items():
        os.environ.setdefault(name, value)


def training_threads() -> dict[str, str]:
    """Return the variables of a training: all cores but one for TensorFlow and joblib, so that pages stay quick."""
    return ONE_THREAD | {
        "TF_NUM_INTRAOP_THREADS": str(free_cores()),
        "TF_NUM_INTEROP_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "LOKY_MAX_CPU_COUNT": str(free_cores()),
    }


def shared_threads() -> dict[str, str]:
    """Return the variables of a training that is one of several processes on its machine: one thread everywhere."""
    return ONE_THREAD | {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}


def settle() -> None:
    """Make this process a training: at the lowest priority, with a core left free.

    Linux may share the processor among sessions first, and heed niceness within each alone (sched(7), the autogroup feature): in a session
    of its own, a process of any niceness would take half of the machine. Such a session steps back as a whole.
    """
    step_back(TRAINING)
    if AUTOGROUP.exists() and os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError):  # not everybody may
            AUTOGROUP.write_text(str(min(TRAINING, highest_niceness())))
    limit_threads(training_threads())


def free_cores() -> int:
    """Return all cores but one, at least one: as many processes as a training starts."""
    return max((os.cpu_count() or 1) - 1, 1)


def worker_count() -> int:
    """Return how many workers may analyse short clips at once: SER_WORKERS, else all cores but one.

    Raises
    ------
    ConfigError : where SER_WORKERS is not a whole number of at least 1.
    """
    return _whole_number(
        WORKERS, "[1-9][0-9]{0,2}", "of workers from 1 to 999", "one worker per core but one", free_cores()
    )


def _whole_number(variable: str, pattern: str, kind: str, otherwise: str, default: int) -> int:
    """Return the number that a variable holds, the default where it is unset; otherwise: what the default means, in words."""
    given = os.environ.get(variable, "").strip()
    if not given:
        return default
    if not re.fullmatch(pattern, given):
        raise ConfigError(
            f"{variable} must be a whole number {kind}. Got '{given[:40]}'. Correct it, or unset it for {otherwise}."
        )
    return int(given)
