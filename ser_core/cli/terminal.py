"""What commands write for people: lines on stderr, progress, red text; and streams on which a file's name does nothing but show."""

from __future__ import annotations

import contextlib
import re
import sys
import time
from collections.abc import Iterator
from typing import Any, TextIO, cast

from ser_core.system import untrusted_text

FAILED = 2
"""Exit status when something could not be used; a line on stderr says what and what to do."""

RED, PLAIN = "\x1b[31m", "\x1b[0m"
WIPE = "\r\x1b[K"

_CODES = "|".join(map(re.escape, (RED, PLAIN, WIPE)))
_OWN_CODES = re.compile(rf"(?:{_CODES}|\n|\x1b\[97;40m[ ▀▄█\xa0]*)+")
"""What this program writes to a terminal besides text, each by itself: red, a line wiped, and the rows of a QR code."""


def message(text: str) -> None:
    """Write one line to stderr."""
    print(" ".join(text.split()), file=sys.stderr, flush=True)


def fail(sentence: str) -> int:
    """Write one line to stderr and return the exit status of a command that failed."""
    message(sentence)
    return FAILED


def red(text: str) -> tuple[str, ...]:
    """Return text to print in red where a terminal shows it; in pieces, because a terminal's code among other text is made visible."""
    return (RED, text, PLAIN) if text and sys.stdout.isatty() else (text,)


class ProgressPrinter:
    """Writes lines about progress to stderr, one every two seconds at most, and the last one always."""

    def __init__(self) -> None:
        self._printed_s, self._previous = 0.0, ""

    def __call__(self, fraction: float, text: str) -> None:
        """Write a fraction and what is being done, as measurements report it."""
        if text != self._previous:
            self.line(f"{fraction:4.0%} {text}")
            self._previous = text

    def line(self, text: str, *, last: bool = False) -> None:
        """Write a line, unless one was written less than two seconds ago."""
        now_s = time.monotonic()
        if last or now_s - self._printed_s >= 2:
            self._printed_s = now_s
            message(text)


@contextlib.contextmanager
def visible_streams() -> Iterator[None]:
    """Inside this, only visible characters reach stdout and stderr."""
    with (
        contextlib.redirect_stdout(cast(TextIO, _Visible(sys.stdout))),
        contextlib.redirect_stderr(cast(TextIO, _Visible(sys.stderr))),
    ):
        yield


class _Visible:
    """A stream of text to which only lines of visible characters are written: a file's name moves no cursor and colours nothing."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(text if _OWN_CODES.fullmatch(text) else untrusted_text.lines(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
