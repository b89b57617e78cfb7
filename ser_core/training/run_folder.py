"""The folder of a run, a training or a measurement: its settings, status, epochs, log and result, and a request to stop.

They are files that processes share.
Its process writes (`Reporter`), a page or a shell reads; neither needs the other to be alive. Knows nothing of audio.
"""

from __future__ import annotations

import json
import math
import os
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ser_core.errors import ConfigError
from ser_core.system import files, untrusted_json

CONFIG, STATUS, EPOCHS, LOG, RESULT, STOP = (
    "config.json",
    "status.json",
    "epochs.jsonl",
    "log.txt",
    "result.json",
    "stop",
)
SEARCH = "search.jsonl"
"""Finished fits of a search or a cross-validation: a stopped run that is started again resumes after them."""

ANSWERS, MODEL = "answers.npz", "model"
"""What the model of a training answered to the clips that were held out from it, as held_out.py writes it; its name in that file."""

QUEUED, COMPARING, FEATURES, TRAINING, SEARCHING, EVALUATING, SAVING, MEASURING = (
    "queued",
    "comparing",
    "features",
    "training",
    "searching",
    "evaluating",
    "saving",
    "measuring",
)
DONE, FAILED, STOPPED = "done", "failed", "stopped"
STAGES = (QUEUED, COMPARING, FEATURES, TRAINING, SEARCHING, EVALUATING, SAVING, MEASURING, DONE, FAILED, STOPPED)
ENDED = (DONE, FAILED, STOPPED)

KEEP, DISCARD = "keep", "discard"
"""What a stop file may ask for: end, and make a model of the best epoch so far; or end, and leave nothing."""

_RATES = "rates.json"
_SPARE = ".spare"
_SPARE_BYTES = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class Status:
    """How far a run is. fraction: 0..1 of the whole run; left_s: estimated seconds to its end, None where nothing is known.

    clips_per_s: of what runs now. epoch, epochs: 0 outside of a training. started, updated: UTC, ISO 8601. model: the slug of what
    was saved. problem: why it failed or what became of it, a sentence, or "".
    """

    stage: str = QUEUED
    fraction: float = 0.0
    text: str = ""
    left_s: float | None = None
    clips_per_s: float | None = None
    epoch: int = 0
    epochs: int = 0
    pid: int | None = None
    started: str = ""
    updated: str = ""
    model: str | None = None
    problem: str = ""

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.stage in ENDED


_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("stage", "text", "started", "updated", "problem"), (str,)),
    "model": (str, type(None)),
    **dict.fromkeys(("epoch", "epochs"), (int,)),
    "pid": (int, type(None)),
    "fraction": (float, int),
    **dict.fromkeys(("left_s", "clips_per_s"), (float, int, type(None))),
}
"""What each entry of a status is."""


def create(folder: Path, config: Mapping[str, Any]) -> Path:
    """Make the folder of a new run below `folder`, its settings written and its status queued, and return it.

    Its name is the time in UTC and four random bytes: it sorts by age, and cannot be guessed.

    Raises
    ------
    ConfigError : if it cannot be written.
    """
    path = folder / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"
    try:
        path.mkdir(parents=True)
        (path / _SPARE).write_bytes(b"\0" * _SPARE_BYTES)
        files.write_atomically(path / CONFIG, json.dumps(config, indent=1))
        write_status(path, Status(text="Waiting.", started=files.utc_now()))
    except OSError as error:
        raise ConfigError(
            f"The run could not be written to '{folder}' ({error.strerror}). Make room there, or set SER_RUNS."
        ) from None
    return path


def named(folder: Path, name: str) -> Path | None:
    """Return the folder of a run below `folder`, whether it is there or not; None for a name (any text) that `create` never gives.

    Such a name leads nowhere else.
    """
    return folder / name if re.fullmatch(r"[0-9a-f-]{1,60}", name) else None


def read_config(folder: Path) -> Any:
    """Return the settings of a run as JSON values; raises ConfigError."""
    try:
        return untrusted_json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"There is no {CONFIG} in '{folder}'. Name the folder of a run.") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"'{folder / CONFIG}' cannot be read: {error}. Start the training again.") from None


def read_status(folder: Path) -> Status | None:
    """Return the status of a run; None where there is none, or it is damaged."""
    try:
        values = untrusted_json.loads((folder / STATUS).read_text(encoding="utf-8"))
        known = {each.name for each in fields(Status)}
        status = Status(**{name: value for name, value in values.items() if name in known})
        fits = all(isinstance(getattr(status, name), kinds) for name, kinds in _KINDS.items())
        return status if fits and status.stage in STAGES else None
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def write_status(folder: Path, status: Status) -> None:
    """Replace the status of a run as a whole, stamped with the time."""
    files.write_atomically(
        folder / STATUS, json.dumps(asdict(replace(status, updated=files.utc_now())), allow_nan=False)
    )


def read_epochs(folder: Path) -> list[dict[str, Any]]:
    """Return the figures of each epoch so far: fold or None, epoch, epochs, and figures such as loss and validation_uar."""
    return files.read_json_lines(folder / EPOCHS)


def read_log(folder: Path, *, last: int = 200) -> str:
    """Return the last lines of the log."""
    try:
        with (folder / LOG).open("rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - 300 * last, 0))
            return "\n".join(file.read().decode("utf-8", errors="replace").splitlines()[-last:])
    except OSError:
        return ""


def read_result(folder: Path) -> dict[str, Any] | None:
    """Return the result of a run, of a measurement what there is of it so far; None where there is none."""
    try:
        values = untrusted_json.loads((folder / RESULT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return values if isinstance(values, dict) else None


def write_result(folder: Path, values: Mapping[str, Any]) -> None:
    """Replace the result of a run as a whole."""
    files.write_atomically(folder / RESULT, json.dumps(values))


def ask_stop(folder: Path, *, keep: bool) -> None:
    """Ask the process of a run to end, keeping the best epoch so far or nothing."""
    files.write_atomically(folder / STOP, KEEP if keep else DISCARD)


def stop_request(folder: Path) -> str:
    """Return KEEP or DISCARD where a stop was requested, else ""; DISCARD for an unreadable request."""
    try:
        return KEEP if (folder / STOP).read_text(encoding="utf-8", errors="replace").strip() == KEEP else DISCARD
    except FileNotFoundError:
        return ""
    except OSError:
        return DISCARD


def read_rates(folder: Path) -> dict[str, float]:
    """Return what the last runs below `folder` managed on this machine, clips/s by kind of work."""
    try:
        values = untrusted_json.loads((folder / _RATES).read_text(encoding="utf-8"))
        return {str(name): float(value) for name, value in values.items() if 0 < float(value) < 1e9}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def note_rate(folder: Path, name: str, clips_per_s: float) -> None:
    """Remember how fast a kind of work went; what cannot be written is not remembered."""
    try:
        files.write_atomically(folder / _RATES, json.dumps(read_rates(folder) | {name: round(clips_per_s, 2)}))
    except OSError:
        pass


class Reporter:
    """The writing side: the process of a run reports its progress, and learns whether to stop.

    expected: stage -> seconds it is expected to take, from which the fraction and the time left follow until something is measured;
    without any, the fraction is that of the stage.
    on_line, on_status: called with each line of the log and each status that is written.
    """

    def __init__(
        self,
        folder: Path,
        *,
        expected: Mapping[str, float] | None = None,
        on_line: Callable[[str], None] | None = None,
        on_status: Callable[[Status], None] | None = None,
    ) -> None:
        self.folder = folder
        before = read_status(folder)
        self.status = Status(pid=os.getpid(), started=before.started if before and before.started else files.utc_now())
        self._expected = dict(expected or {})
        self._on_line, self._on_status = on_line, on_status
        self._begun = self._stage_begun = time.monotonic()
        self._written = -math.inf

    def expect(self, expected: Mapping[str, float]) -> None:
        """Set how long each stage is expected to take."""
        self._expected = dict(expected)

    def stage(self, stage: str, text: str) -> None:
        """Enter a stage, and say in the log what it is."""
        self._stage_begun = time.monotonic()
        self.status = replace(self.status, stage=stage, text=text, clips_per_s=None, epoch=0, epochs=0)
        self.line(text)
        self.progress(0.0)

    def progress(
        self, done: float, text: str = "", *, clips_per_s: float | None = None, epoch: int = 0, epochs: int = 0
    ) -> None:
        """Say how far the stage is, 0..1. Written at most five times a second."""
        left = self._left_s(done)
        elapsed = time.monotonic() - self._begun
        fraction = elapsed / (elapsed + left) if left is not None and elapsed + left > 0 else self.status.fraction
        if not self._expected:
            fraction = done
        self.status = replace(
            self.status,
            fraction=round(min(max(fraction, self.status.fraction), 0.999), 4),
            left_s=None if left is None else round(left, 1),
            text=text or self.status.text,
            clips_per_s=self.status.clips_per_s if clips_per_s is None else round(clips_per_s, 1),
            epoch=epoch or self.status.epoch,
            epochs=epochs or self.status.epochs,
        )
        if done in (0.0, 1.0) or time.monotonic() - self._written >= 0.2:
            self._write()

    def epoch(self, values: Mapping[str, Any]) -> None:
        """Add an epoch's figures; non-finite numbers become null."""
        files.append_json_line(self.folder / EPOCHS, {name: _finite(value) for name, value in values.items()})

    def line(self, text: str) -> None:
        """Add a line to the log, with the time, and tell who listens."""
        with (self.folder / LOG).open("a", encoding="utf-8", errors="replace") as file:
            file.write(f"{datetime.now(UTC):%H:%M:%S} {text}\n")
        if self._on_line:
            self._on_line(text)

    def stop_request(self) -> str:
        """Return KEEP or DISCARD once a stop was requested, else ""."""
        return stop_request(self.folder)

    def end(self, stage: str, text: str, *, model: str | None = None, problem: str = "") -> None:
        """Write the last status. Where the disk is full, the room kept for this is used."""
        fraction = 1.0 if stage == DONE else self.status.fraction
        self.status = replace(
            self.status,
            stage=stage,
            text=text,
            fraction=fraction,
            left_s=0.0,
            clips_per_s=None,
            model=model,
            problem=problem,
        )
        (self.folder / _SPARE).unlink(missing_ok=True)
        self._write()
        self.line(problem or text)

    def _left_s(self, done: float) -> float | None:
        """Seconds to the end: measured for the stage that runs, expected for those that follow."""
        order = list(self._expected)
        if self.status.stage not in order:
            return None
        elapsed = time.monotonic() - self._stage_begun
        expected = self._expected[self.status.stage]
        measured = elapsed * (1 - done) / done if done > 0 else expected
        trust = min(done / 0.2, 1.0)
        later = sum(self._expected[stage] for stage in order[order.index(self.status.stage) + 1 :])
        return trust * measured + (1 - trust) * max(expected * (1 - done), 0.0) + later

    def _write(self) -> None:
        write_status(self.folder, self.status)
        self._written = time.monotonic()
        if self._on_status:
            self._on_status(self.status)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
