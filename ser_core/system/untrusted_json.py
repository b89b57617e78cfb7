"""JSON as text -> values, where the text may be damaged or untrusted: every fault is a ValueError."""

from __future__ import annotations

import json
import re
from typing import Any

MAX_DEPTH = 50
MAX_DIGITS = 40
"""No whole number of ours has more: a float could not hold one of 400."""

_HALF = re.compile("[\ud800-\udfff]")


def loads(text: str | bytes) -> Any:
    """Return what a JSON text holds.

    Raises
    ------
    ValueError : if it is no JSON, is nested deeper than MAX_DEPTH, has a whole number of more than MAX_DIGITS digits, or holds halves
        of characters, which no file and no page could hold again.
    """
    try:
        values = json.loads(text, parse_int=_whole)
        _check_depth(values)
        half = b"\\ud" if isinstance(text, bytes) else "\\ud"
        if half in text.lower() and _HALF.search(json.dumps(values, ensure_ascii=False)):  # type: ignore[operator]
            raise ValueError("it holds half a character (a surrogate)")
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return values


def _whole(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"it holds a number of {len(text)} digits")
    return int(text)


def _check_depth(values: Any) -> None:
    level = [values]
    for _ in range(MAX_DEPTH):
        parts = (each.values() if isinstance(each, dict) else each if isinstance(each, list) else () for each in level)
        level = [inner for part in parts for inner in part if isinstance(inner, dict | list)]
        if not level:
            return
    raise ValueError("it is nested too deeply")
