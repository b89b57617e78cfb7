"""Where measurements keep finished folds and a log of every reading of a test part."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ser_core import paths
from ser_core.errors import SerError
from ser_core.system import files

READINGS = "readings.jsonl"
"""The log of every reading of a test part, in the folder of the results."""

Progress = Callable[[float, str], None]


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


def keep_result(path: Path, values: dict[str, Any]) -> None:
    """Write a finished result as JSON, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_atomically(path, json.dumps(values))


def note_reading(workspace: Workspace, what: dict[str, Any]) -> None:
    """Append to the log that a test part was read: repeated looks at a test part make its figures optimistic."""
    if workspace.results is None:
        return
    workspace.results.mkdir(parents=True, exist_ok=True)
    files.append_json_line(workspace.results / READINGS, {"when": files.utc_now(), **what})
