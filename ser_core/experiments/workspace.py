"""Where measurements keep finished folds and a log of every reading of a test part."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ser_core import paths
from ser_core.dataset import cache
from ser_core.errors import ConfigError, SerError
from ser_core.system import files, untrusted_json

READINGS = "readings.jsonl"
"""The log of every reading of a test part, in the folder of the results."""

Progress = Callable[[float, str], None]
T = TypeVar("T")


class NothingKept(SerError):
    """No fold of a measurement has been finished yet, and training was not allowed."""


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """The folders and limits of a measurement. cache: of the features; results: of the finished folds, and the log.

    n_jobs: processes that measure clips (-1: one per core); niced: whether they run at low priority.
    """

    cache: Path | None = None
    results: Path | None = None
    models: Path = field(default_factory=lambda: paths.models_folder())
    n_jobs: int = 1
    niced: bool = False
    on_progress: Progress = field(default=lambda fraction, text: None)
    should_stop: Callable[[], bool] = field(default=lambda: False)


def key(inputs: Any, *parts: Iterable[str], length: int = 12) -> str:
    """Return a name that changes with all that a result depends on, and with the way clips are measured.

    inputs : settings, as JSON values (tuples count as lists). parts : lines of text, such as what tells each clip.
    """
    digest = hashlib.sha256(json.dumps(inputs, sort_keys=True, default=list).encode())
    for lines in parts:
        digest.update(b"\0" + "\n".join(lines).encode(errors="surrogateescape"))
    digest.update(cache.version())
    return digest.hexdigest()[:length]


def keep(workspace: Workspace, name: str, values: Mapping[str, Any]) -> None:
    """Write a finished result as JSON, atomically; without a folder of results it is not kept."""
    if workspace.results is None:
        return
    workspace.results.mkdir(parents=True, exist_ok=True)
    files.write_atomically(workspace.results / f"{name}.json", json.dumps(values))


def recall(workspace: Workspace, name: str, read: Callable[[Any], T]) -> T | None:
    """Return what `read` makes of a kept result; None where it is not kept, or `read` raises: it is then measured again."""
    if workspace.results is None:
        return None
    try:
        return read(untrusted_json.loads((workspace.results / f"{name}.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, IndexError, OverflowError, AttributeError, ConfigError):
        return None


def note_reading(workspace: Workspace, what: dict[str, Any]) -> None:
    """Append to the log that a test part was read: repeated looks at a test part make its figures optimistic."""
    if workspace.results is None:
        return
    workspace.results.mkdir(parents=True, exist_ok=True)
    files.append_json_line(workspace.results / READINGS, {"when": files.utc_now(), **what})
