"""Who goes first where many visitors ask at once: what the models say before anybody's pictures."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE_S = 0.4
"""How long pictures wait at most, so that a crowd cannot keep them away."""


class Precedence:
    """Counts the runs that still owe their visitor the predictions."""

    def __init__(self) -> None:
        self._owing = 0
        self._changed = threading.Condition()

    @contextmanager
    def first(self) -> Iterator[None]:
        """Go before those who wait, while the block lasts."""
        with self._changed:
            self._owing += 1
        try:
            yield
        finally:
            with self._changed:
                self._owing -= 1
                self._changed.notify_all()

    def wait(self, patience_s: float = PATIENCE_S) -> bool:
        """Let the others have their predictions; return whether all had them before the patience was over."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._owing, patience_s)


predictions = Precedence()
"""Those of this server: Streamlit runs the pages of all visitors in threads of one process."""
