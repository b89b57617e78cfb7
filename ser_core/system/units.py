"""Sizes, durations and lengths in words, the same on every page and in every sentence."""

from __future__ import annotations

import math
from datetime import timedelta

import humanize


def size(n_bytes: float, *, binary: bool = False) -> str:
    """Return 208_400_000 as '208.4 MB', 1_200_000_000 as '1.2 GB'; binary: in steps of 1024, in which limits are set."""
    words = humanize.naturalsize(n_bytes, binary=binary, format="%.1f")
    return words.replace(".0 ", " ").replace("iB", "B")


def duration(seconds: float) -> str:
    """Return how long something takes: 42 as '42 seconds', 150 as '3 minutes', 5400 as '1 hour and 30 minutes'; at least a second."""
    if seconds < 90:
        return humanize.precisedelta(timedelta(seconds=max(math.floor(seconds + 0.5), 1)))
    minutes = timedelta(minutes=math.floor(seconds / 60 + 0.5))
    return humanize.precisedelta(minutes, minimum_unit="minutes", format="%.0f")


def length(seconds: float, *, digits: int = 1) -> str:
    """Return the length of sound, as players show it: 3.2 as '3.2 s' with so many digits, 750 as '12.5 min'."""
    return f"{seconds:.{digits}f} s" if seconds < 60 else f"{seconds / 60:.1f} min"
