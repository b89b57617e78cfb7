"""Waiting for what another thread or process does: as short as it can be, and never for ever."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import psutil


def until(
    condition: Callable[[], object],
    *,
    patience_s: float = 60.0,
    pause_s: float = 0.02,
    saying: Callable[[], object] = lambda: "",
) -> None:
    """Return as soon as the condition is true; fail after patience_s with what there is to say. Patience is no measure of speed."""
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {patience_s:g} s {saying()}"
        time.sleep(pause_s)


def for_file(path: Path) -> None:
    """Return as soon as there is a file of this name."""
    until(path.exists, pause_s=0.01)


def gone(pid: int, *, patience_s: float = 30.0) -> bool:
    """Return whether a process ends within a while; one that ended and is not yet collected by its parent has ended."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False
