"""JSON as text -> values -> dataclasses, where the text may be damaged or untrusted: every fault is a ValueError."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import MISSING, fields
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

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


def check_names(values: Any, kind: type, *, optional: Collection[str] = ()) -> None:
    """Raise ValueError where values are not exactly the entries of a dataclass; optional ones may be missing."""
    found = set(values) if isinstance(values, Mapping) else {type(values).__name__}
    wrong = (found | set(optional)) ^ {each.name for each in fields(kind)}
    if wrong:
        raise ValueError(f"missing or unknown entries: {', '.join(sorted(map(str, wrong)))[:200]}")


def convert(values: Any, kind: type[T]) -> T:
    """Return JSON values as a dataclass, each entry of the type and within the bounds of its annotation.

    Raises
    ------
    ValueError : if an entry without a default is missing, or one is unknown or does not fit. It names the entry.
    """
    defaults = [each.name for each in fields(kind) if (each.default, each.default_factory) != (MISSING, MISSING)]  # type: ignore[arg-type]
    check_names(values, kind, optional=defaults)
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        reason, _, place = str(error).replace("`", "").partition(" - at $.")
        got = f", got {str(values[place])[:60]}" if place in values and ", got " not in reason else ""
        raise ValueError(f"{place or 'it'}: {reason[:1].lower()}{reason[1:]}{got}") from None


def plain(values: Any) -> Any:
    """Return a dataclass as JSON values: dicts, lists, numbers and text."""
    return msgspec.json.decode(msgspec.json.encode(values))
