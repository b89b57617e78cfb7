"""Imports that leave out what a library loads only because it is installed, so that a process holds no more than it needs."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def without(*libraries: str) -> Iterator[None]:
    """Have the imports in this block find none of these libraries, as if they were not installed; what is loaded already stays."""
    hidden = [each for each in libraries if each not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: it cannot be found
    try:
        yield
    finally:
        for each in hidden:
            sys.modules.pop(each, None)
