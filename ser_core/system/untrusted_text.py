"""Untrusted text, made fit to show: one line of printable characters, and sentences without this machine's paths.

Names of files, corpora, speakers and models go through here where they come in, or where they are shown at the latest. What Markdown and
HTML take for their own is escaped by the pages; what a spreadsheet takes for a formula, untrusted_csv.py marks.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import unicodedata
from pathlib import Path
from typing import Any

MAX_NAME = 120
MAX_SENTENCE = 1000

UNPRINTABLE = "\N{REPLACEMENT CHARACTER}"
"""Stands for each character that cannot be seen and might do something: a control, a change of direction, half a character."""

_ZERO_WIDTH = frozenset("\u00ad\u034f\u180e\u200b\u200c\u200d\u2060\ufeff")
_BLANK_LETTERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters to Unicode, and nothing to see."""

_MAYBE_PATH = re.compile(r"(?<![\w.~])/|\\")
_QUOTED_PATH = re.compile(r"""(?<=['"`“])(?:file:)?(?:[A-Za-z]:[\\/]|/|\\\\)[\\/]*[^'"`“”\n\\/][^'"`“”\n]*(?=['"`”])""")
_PATH = re.compile(
    r"""
    (?: (?<![\w.~/\\:}]) (?:file:)? /+ (?=[^\s/]+/)  # not the slash of and/or, 1/8, a URL, ./x or ~/x
      | (?<=:) / (?=[^\s/]+/)
      | (?<!\w) [A-Za-z]: [\\/]+
      | (?<![\w\\]) \\\\+ (?=\w) )
    [^\s'"`<>|:,;()\[\]{}*?\\/]+ (?: [\\/]+ [^\s'"`<>|:,;()\[\]{}*?\\/]+ )* [\\/]*
    """,
    re.VERBOSE,
)


def printable(text: str) -> str:
    """Return text with a blank for each kind of white space, without zero-width characters, and with UNPRINTABLE for all others unseen."""
    return text if text.isascii() and text.isprintable() else "".join(map(_printable, text))


def _printable(letter: str) -> str:
    if letter.isspace() or letter in _BLANK_LETTERS:
        return " "
    if letter.isprintable():
        return letter
    return "" if letter in _ZERO_WIDTH else UNPRINTABLE


def lines(text: str) -> str:
    """Return text of several lines, such as a log, with each of them printable."""
    return "\n".join(map(printable, text.split("\n")))


def one_line(text: str, longest: int = MAX_NAME) -> str:
    """Return text as one printable line in NFC, of at most so many characters: a longer one loses its middle, and keeps its ending."""
    if len(text) <= longest and text.isascii() and text.isprintable() and "  " not in text:
        return text.strip()
    whole = unicodedata.normalize(
        "NFC", _cut(text, 4 * longest)
    )  # the time that takes may grow with the square of the length
    return _cut(" ".join(printable(whole).split()), longest)


def _cut(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    tail = longest // 3
    return f"{text[: longest - tail - 1]}…{text[len(text) - tail :]}"


def slug(text: str, longest: int) -> str:
    """Return text as a folder's name of at most so many characters, plain lower-case letters, digits and hyphens; "" where none is left."""
    plain = unicodedata.normalize("NFKD", text.replace("ß", "ss")).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:longest].strip("-")


def file_name(path: str) -> str:
    """Return the last part of a path, with "/" or "\\", as one line."""
    return one_line(_last(path))


def sentence(text: str) -> str:
    """Return what went wrong, or another sentence, as a page shows it: one line that names no folder of this machine."""
    return one_line(without_paths(text), MAX_SENTENCE)


def without_paths(text: str) -> str:
    """Return text in which absolute paths, of POSIX and Windows, are their last part alone; relative ones and URLs stay."""
    if not _MAYBE_PATH.search(text):
        return text
    text = _QUOTED_PATH.sub(lambda found: _last(found[0]), text)
    for place in _places():  # known as a whole: they may hold blanks, at which a path without quotes would seem to end
        text = re.sub(rf"(?<![\w.~/\\}}-]){re.escape(place)}", lambda _: f"{os.sep}-{os.sep}", text)
    return _PATH.sub(lambda found: _last(found[0]), text)


def _last(path: str) -> str:
    return re.split(r"[\\/]", path.rstrip("\\/"))[-1]


def _places() -> list[str]:
    """Return what the paths of this program's folders begin with, the longest first."""
    named = [value for name, value in os.environ.items() if name.startswith("SER_") and os.path.isabs(value)]
    here = Path(__file__).resolve().parents[1]
    parents = {
        str(Path(place).parent)
        for place in [*named, os.getcwd(), str(here), os.path.expanduser("~"), tempfile.gettempdir()]
    }
    return sorted((f"{parent}{os.sep}" for parent in parents if len(Path(parent).parts) > 1), key=len, reverse=True)


def json_text(value: Any) -> str:
    """Return a value as indented JSON in UTF-8 whose text is readable, but for characters that cannot be seen: they are escaped."""
    written = json.dumps(value, indent=1, ensure_ascii=False)
    return re.sub(
        r"[^\n -~]", lambda found: found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1], written
    )
