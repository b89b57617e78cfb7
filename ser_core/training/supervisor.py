"""The process that supervises a run: it waits for the run's turn, starts it, ends it on request, and records how it ended.

`python -m ser_core.training.supervisor RUN COMMAND …` runs COMMAND … RUN, niced. It loads next to nothing, so that twenty may wait. jobs.py
starts it; no server is needed after that: each supervisor takes its turn by a lock in the folder of all runs.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO

from ser_core.system import locks, priority, process_tree
from ser_core.training import run_folder

LOCK = "lock"
"""Held while a run waits or works, and empty until then; on POSIX the work holds it too: it lives as long as one of the two does."""

QUEUED_AT = "came"
"""The run's place in the line: when it came, in nanoseconds, and later than all before it even where the clock was set back."""

OUTPUT = "output.txt"
"""What the work and its libraries print; its own log is run_folder.LOG."""

TURN = ".turn"
"""In the folder of all runs: held by the one that works."""

POLL_S = 0.3
GRACE_S = 1.5
"""How long the work may take to end by itself once it is asked to, before it is ended."""

KEEP_S = 120.0
"""The same where the best so far is to be kept: it is still tested and saved."""

STARTING_S = 60.0
"""A run whose supervisor has not shown itself for so long will not start any more."""

TAIL = 4000
LITTLE_SPACE = 20 * 2**20

_MEMORY = (
    "MemoryError",
    "bad_alloc",
    "Cannot allocate memory",
    "ResourceExhausted",
    "OOM when allocating",
    "TerminatedWorkerError",
)
_DISK = ("No space left on device", "not enough space on the disk", "Disk quota exceeded")

OUT_OF_MEMORY = (
    "The memory of this machine ran out, so the system ended it. Choose less to learn from, or a smaller model."
)
OUT_OF_SPACE = "The disk is full. Free some space, for example by deleting models or finished runs, and start it again."
NO_WORD = "It ended without a word: its process was ended from outside, or the machine was restarted. Start it again."
FAULT = "It ended because of a fault in the program. Its log tells more."


def main(arguments: Sequence[str]) -> int:
    """Supervise one run until it has ended; returns 1 where another process already does."""
    folder, command = Path(arguments[0]).resolve(), list(arguments[1:])
    priority.step_back(priority.TRAINING)  # not its session: it must still answer a stop in time
    held = locks.take(folder / LOCK, wait_s=5)
    if held is None:
        return 1
    with held:
        held.write(b"%d\n" % os.getpid())
        held.flush()
        turn = _wait(folder)
        if turn is None:
            _end(folder, run_folder.STOPPED)
            return 0
        with turn:
            _work(folder, command, (held, turn))
    return 0


def _wait(folder: Path) -> IO[bytes] | None:
    """Return the lock of the one that works, once it is this run's turn; None where it is asked to stop before that."""
    while not run_folder.stop_request(folder):
        turn = locks.take(folder.parent / TURN)
        if turn and _is_first(folder):
            return turn
        if turn:
            turn.close()
        time.sleep(POLL_S)
    return None


def _is_first(folder: Path) -> bool:
    """Return whether no run that came earlier waits and lives."""
    own = queued_at(folder)
    earlier = [path for path in folder.parent.iterdir() if (path / QUEUED_AT).is_file() and queued_at(path) < own]
    return not any(status(path).stage == run_folder.QUEUED and lives(path) for path in earlier)


def lives(folder: Path) -> bool:
    """Return whether a process waits or works for this run, or is about to."""
    try:
        shown = (folder / LOCK).stat().st_size > 0
    except OSError:
        shown = False
    try:
        # From the file's own time: what it says is an order, and a clock that was set back may have put it into the future.
        starting = not shown and abs(time.time() - (folder / QUEUED_AT).stat().st_mtime) < STARTING_S
    except OSError:
        starting = False
    return starting or locks.is_taken(folder / LOCK)


def queued_at(folder: Path) -> int:
    """Return a run's place in the line: of two, the one with the smaller number came first."""
    try:
        return int((folder / QUEUED_AT).read_text(encoding="ascii"))
    except (OSError, ValueError):  # cleared away meanwhile
        return sys.maxsize


def status(folder: Path) -> run_folder.Status:
    """Return the status of a run; one that cannot be read waits."""
    return run_folder.read_status(folder) or run_folder.Status()


def _work(folder: Path, command: Sequence[str], held: Sequence[IO[bytes]]) -> None:
    """Run the command, and leave a status that says how it ended."""
    run_folder.write_status(
        folder, replace(status(folder), stage=run_folder.FEATURES, text="Starting …")
    )  # no longer in line
    process = subprocess.Popen(
        [*command, str(folder)],
        stdin=subprocess.DEVNULL,
        env=os.environ | priority.training_threads() | {"PYTHONUNBUFFERED": "1"},
        **_detached([file.fileno() for file in held]),
    )  # type: ignore[call-overload]
    asked_s, killed = 0.0, False
    while process.poll() is None:
        how = run_folder.stop_request(folder)
        if how and not asked_s:
            asked_s = time.monotonic()
        if how and time.monotonic() - asked_s > _grace(folder, how):
            process_tree.end(process)
            killed = True
            break
        time.sleep(0.1)
    process_tree.end(process)  # and what it may have started
    if status(folder).ended:
        return
    if killed or run_folder.stop_request(folder):
        _end(folder, run_folder.STOPPED)
    else:
        _end(folder, run_folder.FAILED, explain(process.returncode, folder))


def _grace(folder: Path, how: str) -> float:
    early = status(folder).stage in (run_folder.QUEUED, run_folder.COMPARING, run_folder.FEATURES)
    return KEEP_S if how == run_folder.KEEP and not early else GRACE_S


def explain(code: int | None, folder: Path) -> str:
    """Return what probably happened, in a sentence, from the exit status (None: not known) and the last that it said."""
    log = tail(folder / OUTPUT) + tail(folder / run_folder.LOG)
    if any(sign in log for sign in _DISK) or shutil.disk_usage(folder).free < LITTLE_SPACE:
        return OUT_OF_SPACE
    if code in (-9, 137) or any(sign in log for sign in _MEMORY):
        return OUT_OF_MEMORY
    if code is not None and code < 0:
        return f"It ended by the signal {signal.strsignal(-code) or -code}. Its log tells more; start it again."
    return NO_WORD if code is None or code == 0 else FAULT


def tail(path: Path) -> str:
    """Return the last TAIL bytes of a file as text; "" where it cannot be read."""
    try:
        with path.open("rb") as file:
            file.seek(max(path.stat().st_size - TAIL, 0))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def _end(folder: Path, stage: str, problem: str = "") -> None:
    """Write the last status; where even that has no room, jobs.py tells the same from the lock that is let go of."""
    with contextlib.suppress(OSError):
        run_folder.write_status(folder, replace(status(folder), stage=stage, problem=problem, left_s=None))


def _detached(handles: Sequence[int]) -> dict[str, object]:
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True, "pass_fds": tuple(handles)}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
