"""How a training process behaves beside everything else on the machine: it steps back, and it ends when it is told to.

The command line calls `settle` before anything heavy is loaded, and works inside `stopping`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ser_core import runs, store
from ser_core.runs import Reporter

NICENESS = 19
PATIENCE_S = 0.9
"""How long the work may take to end by itself once it is told; then the process ends at once. Together under two seconds."""

POLL_S = 0.1

AUTOGROUP = Path("/proc/self/autogroup")
"""On Linux, the group of this process's session: its name and its niceness."""


def settle() -> None:
    """Let everybody else go first, and leave a core free: for TensorFlow's threads and, at one, for those of the numeric libraries.

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


@contextlib.contextmanager
def stopping(reporter: Reporter, models: Path | None = None) -> Iterator[None]:
    """Inside this, a stop that was asked for takes effect, whatever runs: a library that cannot be interrupted ends with the process.

    A SIGTERM counts as an interrupt.
    """
    models = models or store.MODELS
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(reporter, models, over), daemon=True)
    with contextlib.suppress(ValueError):  # only the main thread of a process may listen to signals
        signal.signal(signal.SIGTERM, _interrupt)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join(1)


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


def _watch(reporter: Reporter, models: Path, over: threading.Event) -> None:
    asked_s = None
    while not over.wait(POLL_S):
        wish = reporter.wish()
        if not wish:
            continue
        now_s = time.monotonic()
        asked_s = asked_s or now_s
        if now_s - asked_s >= PATIENCE_S and not (wish == runs.KEEP and _something_to_keep(reporter)):
            _end_at_once(reporter, models)


def _something_to_keep(reporter: Reporter) -> bool:
    """Whether an epoch of the model that would be saved has ended, or there is a whole model already."""
    if reporter.status.stage in (runs.EVALUATING, runs.SAVING):
        return True
    return any(epoch.get("fold") is None for epoch in runs.read_epochs(reporter.folder))


def _end_at_once(reporter: Reporter, models: Path) -> None:
    try:
        store.sweep(models)
        reporter.end(runs.STOPPED, "Stopped. Nothing was kept.")
        _kill_workers()
    finally:
        os._exit(0)


def _kill_workers() -> None:
    """End the processes that measure features or fit; joblib's own way to do so waits for what they are at."""
    from joblib.externals.loky import reusable_executor

    executor = reusable_executor._executor
    for pid in list(executor._processes or ()) if executor else ():
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGTERM)
