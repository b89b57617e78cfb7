"""How the process of a run ends on request: the command line works inside `stopping`."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ser_core import paths
from ser_core.recognition import store
from ser_core.system import process_tree
from ser_core.training import run_folder
from ser_core.training.run_folder import Reporter

PATIENCE_S = 0.9
"""How long the work may take to end by itself once asked; then the process ends at once. Together under two seconds."""

POLL_S = 0.1

NOTHING_KEPT = "Stopped. Nothing was kept."


@contextlib.contextmanager
def stopping(reporter: Reporter, models: Path | None = None, *, text: str = NOTHING_KEPT) -> Iterator[None]:
    """Inside this, a requested stop takes effect even when busy: a library that cannot be interrupted ends with the process.

    A SIGTERM counts as an interrupt. text : what the status then says.
    """
    models = models or paths.models_folder()
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(reporter, models, text, over), daemon=True)
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


def _watch(reporter: Reporter, models: Path, text: str, over: threading.Event) -> None:
    asked_s = None
    while not over.wait(POLL_S):
        wish = reporter.stop_request()
        if not wish:
            continue
        now_s = time.monotonic()
        asked_s = asked_s or now_s
        if now_s - asked_s >= PATIENCE_S and not (wish == run_folder.KEEP and _something_to_keep(reporter)):
            _end_at_once(reporter, models, text)


def _something_to_keep(reporter: Reporter) -> bool:
    """Whether an epoch of the model that would be saved has ended, or there is a whole model already."""
    if reporter.status.stage in (run_folder.EVALUATING, run_folder.SAVING):
        return True
    return any(epoch.get("fold") is None for epoch in run_folder.read_epochs(reporter.folder))


def _end_at_once(reporter: Reporter, models: Path, text: str) -> None:
    try:
        store.sweep(models)
        reporter.end(run_folder.STOPPED, text)
        process_tree.end_children()  # joblib's own way waits for their current task
    finally:
        os._exit(0)
