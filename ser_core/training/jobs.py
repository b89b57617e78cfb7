"""Runs as separate processes: start one, find it again, stop it, and who may. It knows nothing of what a run does.

Everything is a file of the run's folder (run_folder.py), so a page, a shell and a server that was restarted see the same. One run works
at a time, the others wait in line: supervisor.py, a small process per run, ensures that.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ser_core import paths
from ser_core.errors import ConfigError
from ser_core.system import files, locks, untrusted_json
from ser_core.training import run_folder, supervisor

MAX_WAITING = 20
MAX_OF_A_BROWSER = 3
MAX_OF_AN_ADDRESS = 6
"""How many runs may wait: in all, started from one browser, and from one address over all its browsers."""

STOP_ONE = "Stop one of those that wait (Train, Runs), or start this one when one of them has begun."

COMMAND = (sys.executable, "-m", "ser_core", "train", "--run")
"""What works on a run: this, and then its folder."""

JOB = "job.json"
KEY = ".key"
"""In the folder of all runs: the key without which the hash of an address reveals nothing."""

_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"


@dataclass(frozen=True)
class Job:
    """A run as it stands. position: 1 for the next in line and so on, 0 where it does not wait. created: UTC, ISO 8601.

    kind: what it does, "" for a training.
    """

    id: str
    folder: Path
    title: str
    created: str
    status: run_folder.Status
    position: int = 0
    kind: str = ""

    @property
    def ended(self) -> bool:
        """Whether nothing happens any more."""
        return self.status.ended

    @property
    def stopping(self) -> str:
        """The requested stop (run_folder.KEEP or run_folder.DISCARD), until it takes effect; else ''."""
        return "" if self.ended else run_folder.stop_request(self.folder)


@dataclass(frozen=True)
class Started:
    """A started run: its id, and the key that stops it, which is stored nowhere else; "" of one that another visitor had started."""

    id: str
    key: str


def start(
    root: Path,
    config: Mapping[str, Any],
    *,
    title: str,
    browser: str = "",
    address: str | None = None,
    command: Sequence[str] = (),
    kind: str = "",
    subject: str = "",
) -> Started:
    """Put a run into the line, which starts it at once where nobody waits, and return how to find and how to stop it.

    title : what lists call it. browser : a secret of the browser that may stop it; only its hash is kept, as of the key.
    address : where a visitor asks from, "" on this machine; only a hash of it is kept too. Without one (None), as many may wait as there
    is room for; without a browser, as many as of an address.
    command : what works on it, in place of COMMAND. kind : what it does, "" for a training.
    subject : what it works on, for `of_subject`: a run of this subject that has not ended is returned in place of a second one.

    Raises
    ------
    ConfigError : if the line is full, too many runs of that browser or address wait, or there is no room for the run's files.
    """
    key = "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(3))
    try:
        root.mkdir(parents=True, exist_ok=True)
        starting = locks.take(root / ".starting", wait_s=5)
        if starting is None:
            raise ConfigError("Many runs are being started right now. Start this one again in a moment.")
        with starting:
            before = jobs(root)
            going = [job for job in of_subject(root, subject) if not job.ended] if subject else []
            if going:
                return Started(going[0].id, "")
            facts = {"title": title, "created": files.utc_now(), "key": _hash(key), "browser": _hash(browser)}
            facts |= {name: value for name, value in (("kind", kind), ("subject", subject)) if value}
            limits = {"browser": MAX_OF_A_BROWSER} if browser and address is not None else {}
            if address is not None:
                facts["address"] = _hash_of_address(root, address)
                limits["address"] = MAX_OF_AN_ADDRESS
            _check_line([job for job in before if job.position], facts, limits)
            folder = run_folder.create(root, config)
            places = (supervisor.queued_at(job.folder) for job in before)
            came = max([time.time_ns(), *(place + 1 for place in places if place < sys.maxsize)])
            (folder / supervisor.QUEUED_AT).write_text(str(came), encoding="ascii")
            files.write_atomically(folder / JOB, json.dumps(facts))
            _launch(folder, command or COMMAND)
    except OSError as error:
        raise ConfigError(
            f"The run could not be started in '{root}' ({error.strerror}). Free some space and start it again."
        ) from None
    return Started(folder.name, key)


def _check_line(waiting: Sequence[Job], facts: Mapping[str, str], limits: Mapping[str, int]) -> None:
    """Raise ConfigError where a run with these facts may not join those that wait; limits: fact -> how many may share it."""
    if len(waiting) >= MAX_WAITING:
        raise ConfigError(f"{len(waiting)} runs wait already, and no more may. Start this one when some have ended.")
    theirs = [_facts(job.folder) for job in waiting]
    for fact, most in limits.items():
        n = sum(each.get(fact) == facts[fact] for each in theirs)
        if n >= most:
            raise ConfigError(
                f"{n} runs from this {fact} wait already, and no more may, so that others get a turn. {STOP_ONE}"
            )


def _launch(folder: Path, command: Sequence[str]) -> None:
    """Start the supervisor so that it outlives this process, its terminal and its caller."""
    with (folder / supervisor.OUTPUT).open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "ser_core.training.supervisor", str(folder.resolve()), *command],
            cwd=paths.PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            **_apart(),
        )
    threading.Thread(target=process.wait, daemon=True).start()  # takes note of its end: it leaves no zombie


def _apart() -> dict[str, Any]:
    if sys.platform == "win32":
        flags = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.IDLE_PRIORITY_CLASS
        return {"creationflags": flags}
    return {"start_new_session": True}


def jobs(root: Path) -> list[Job]:
    """Return all runs in a folder, the newest first."""
    folders = [path for path in root.iterdir() if (path / JOB).is_file()] if root.is_dir() else []
    found = [_read(path) for path in sorted(folders, key=supervisor.queued_at)]
    waiting = [job.id for job in found if job and job.status.stage == run_folder.QUEUED]
    return [
        replace(job, position=waiting.index(job.id) + 1 if job.id in waiting else 0) for job in reversed(found) if job
    ]


def find(root: Path, id: str) -> Job:
    """Return one run.

    Raises
    ------
    ConfigError : if there is none of that id (any text: it may come from an address).
    """
    # Many pages ask each second: the other runs are read for the line alone.
    folder = run_folder.named(root, id)
    job = _read(folder) if folder else None
    if job and job.status.stage == run_folder.QUEUED:
        job = next((each for each in jobs(root) if each.id == id), None)
    if job:
        return job
    raise ConfigError(
        f"There is no run '{id[:40]}'. It may have been cleared away; its model, if it made one, is among the models."
    )


def of_subject(root: Path, subject: str) -> list[Job]:
    """Return the runs of one subject (see `start`), the newest first."""
    folders = root.iterdir() if root.is_dir() else ()
    found = [job for path in folders if _facts(path).get("subject") == subject and (job := _read(path))]
    return sorted(found, key=lambda job: supervisor.queued_at(job.folder), reverse=True)


def _facts(folder: Path) -> dict[str, Any]:
    """Return what a run's JOB says, nothing where it cannot be read: cleared away meanwhile, or cut short by a full disk."""
    try:
        facts = untrusted_json.loads((folder / JOB).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _read(folder: Path) -> Job | None:
    facts = {"kind": "", **_facts(folder)}
    try:
        title, created, kind = (str(facts[name]) for name in ("title", "created", "kind"))
        return Job(folder.name, folder, title, created, _status(folder), kind=kind)
    except (OSError, KeyError):
        return None


def _status(folder: Path) -> run_folder.Status:
    """Return the status of a run, which has failed where no process of it lives any more."""
    status = supervisor.status(folder)
    if status.ended or supervisor.lives(folder):
        return status
    held = locks.take(folder / supervisor.LOCK)
    if held is None:
        return status
    with held:
        status = supervisor.status(folder)  # it may have ended, in order, since we looked
        if status.ended:
            return status
        asked = run_folder.stop_request(folder)
        status = replace(
            status,
            stage=run_folder.STOPPED if asked else run_folder.FAILED,
            left_s=None,
            problem="" if asked else supervisor.explain(None, folder),
        )
        with contextlib.suppress(OSError):
            run_folder.write_status(folder, status)
    return status


def may_stop(job: Job, *, browser: str = "", key: str = "") -> bool:
    """Return whether this browser's secret or this key is the run's own."""
    facts = _facts(job.folder)
    told = "-".join(filter(None, key.upper().replace("-", " ").split()))
    by_browser = hmac.compare_digest(_hash(browser), str(facts.get("browser")))
    by_key = hmac.compare_digest(_hash(told), str(facts.get("key")))
    return (bool(browser) and by_browser) or (bool(key) and by_key)


def stop(job: Job, *, keep: bool = False) -> None:
    """Ask a run to end, with what it has learned so far or without; within 2 s it learns no more. Does nothing where it has ended."""
    if not job.ended:
        run_folder.ask_stop(job.folder, keep=keep)


def printed(job: Job) -> str:
    """Return the end of the output of a run and its libraries, where a crash shows."""
    return supervisor.tail(job.folder / supervisor.OUTPUT)


def stop_waiting(root: Path) -> int:
    """Ask every run that waits in line to end, and return how many there were."""
    waiting = [job for job in jobs(root) if job.position]
    for job in waiting:
        stop(job)
    return len(waiting)


def clear(job: Job) -> None:
    """Delete the files of a run that has ended; its model stays.

    Raises
    ------
    ConfigError : if it has not ended.
    """
    if not job.ended:
        raise ConfigError(f"The run '{job.title}' has not ended. Stop it first.")
    shutil.rmtree(job.folder, ignore_errors=True)


def clear_old(root: Path, *, keep: int) -> None:
    """Delete the files of all but the newest runs that have ended and are no trainings: what those found is measured again on demand."""
    ended = [job for job in jobs(root) if job.kind and job.ended]
    for job in ended[keep:]:
        clear(job)


def _hash(secret: str) -> str:
    """Return the hash of a secret of 60 random bits or more, which cannot be guessed."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _hash_of_address(root: Path, address: str) -> str:
    """Return what stands for an address among the runs of a folder. Addresses are few enough to try all: the folder's own key goes in."""
    return hmac.new(_key(root), address.encode(), "sha256").hexdigest()


def _key(root: Path) -> bytes:
    """Return the key of a folder of runs, which is created if missing; the caller holds the lock."""
    path = root / KEY
    with contextlib.suppress(FileNotFoundError):
        if len(key := path.read_bytes()) == 32:
            return key
        path.unlink()
    key = secrets.token_bytes(32)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(key)
    return key
