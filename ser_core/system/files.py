"""Files that processes share: written as a whole, or a line at a time."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from ser_core.system import units, untrusted_json

PART_PREFIX = "ser-"
"""How the name of a temporary file begins; it ends in .part."""

_ATTEMPTS = 25


def write_atomically(path: Path, content: str | bytes | Callable[[IO[bytes]], object]) -> None:
    """Write a temporary file and rename it: a reader sees the old one or the new one, never a part.

    content: text (as UTF-8), bytes, or a function that writes them to an open file.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=PART_PREFIX, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            if callable(content):
                content(file)
            else:
                file.write(content.encode() if isinstance(content, str) else content)
        for attempt in range(_ATTEMPTS):
            try:
                os.replace(temporary, path)
                break
            except PermissionError:  # on Windows, while somebody reads the old one
                if attempt == _ATTEMPTS - 1:
                    raise
                time.sleep(0.02)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_limited(path: Path, max_bytes: int) -> bytes:
    """Return what is in a file of at most so many bytes; raises OSError where it cannot be read, ValueError where it has more."""
    with path.open("rb") as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise ValueError(f"it has more than {units.size(max_bytes, binary=True)}")
    return content


def append_json_line(path: Path, values: Mapping[str, Any]) -> None:
    """Append one line of JSON."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(values, allow_nan=False) + "\n")


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines of JSON of a file that may still be written to: a half line at the end, or a damaged one, is left out."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    rows = []
    for line in text.splitlines():
        try:
            row = untrusted_json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows


def utc_now() -> str:
    """Return the time in UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")
