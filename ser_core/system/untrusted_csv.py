"""CSV in and out: an untrusted table -> text in columns, and rows -> CSV in which no text is a formula.

Input is untrusted: its size, rows and columns have limits (pandas.read_csv needs minutes for a line of 100,000 commas).
All CSV of this project is written by this module.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from ser_core.system import units

MAX_BYTES = 20 * 2**20
MAX_ROWS = 200_000
MAX_COLUMNS = 500
DELIMITERS = ",;\t|"

SIGNS = "=+-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b"
"""What a cell begins with that a spreadsheet computes instead of showing it (OWASP, CSV injection), and its wide and small forms."""

_STATED = re.compile(rf'[\r\n]*"?sep=([{re.escape(DELIMITERS)}])"?[ \t,;|]*(?:\r\n|\r|\n)', re.IGNORECASE)
# UTF-32's mark begins as that of UTF-16 does.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f]")
_UNSEEN = r"\s\x00-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff"
# Many spreadsheets part cells at a semicolon, and do not mind quotes that begin within a line.
_START = r"(?:\A|(?<=[;\t\r\n]))"
_FORMULA = re.compile(rf"{_START}(?=[{_UNSEEN}']*[{re.escape(SIGNS)}])")
_MARKED = re.compile(rf"{_START}'(?=[{_UNSEEN}']*[{re.escape(SIGNS)}])")


def read(data: bytes) -> pd.DataFrame:
    """Return a table of str: one column per name in the first row, in lower case and stripped; "" where a row has fewer cells.

    An apostrophe that `cell` wrote is taken away. The delimiter is the one that the first line states as Excel does ("sep=;"), else the
    one that it has most of. Of columns of one name, the first is taken; empty lines are passed over. The text is in UTF-8, in UTF-16 or
    UTF-32 with a byte order mark, in UTF-16 without one, or in cp1252, as Excel on Windows saves CSV in western Europe.

    Raises
    ------
    ValueError : if it is no text, has no row, has a row with more cells than columns, or is larger than the limits.
    """
    if len(data) > MAX_BYTES:
        raise ValueError(
            f"it has {units.size(len(data), binary=True)}; {units.size(MAX_BYTES, binary=True)} is the most"
        )
    text = _decode(data)
    stated = _STATED.match(text)
    if stated:
        text = text[stated.end() :]
    first = text.lstrip("\r\n").split("\n", 1)[0][:10_000]
    delimiter = stated[1] if stated else max(DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    names: list[str] = []
    rows: list[list[str]] = []
    try:
        for row in reader:
            if not any(row):
                continue
            if not names:
                names = [name.strip().casefold() for name in row]
                if len(names) > MAX_COLUMNS:
                    raise ValueError(f"it has {len(names):,} columns; {MAX_COLUMNS} is the most")
                continue
            while len(row) > len(names) and not row[-1]:
                row.pop()
            if len(row) > len(names):
                raise ValueError(
                    f"line {reader.line_num} has {len(row):,} cells, and the first row names {len(names)} columns"
                )
            if len(rows) == MAX_ROWS:
                raise ValueError(f"it has more than {MAX_ROWS:,} rows, which is the most")
            rows.append([*map(unmarked, row), *[""] * (len(names) - len(row))])
    except csv.Error as error:
        raise ValueError(str(error)) from None
    if not names:
        raise ValueError("it is empty")
    table = pd.DataFrame(rows, columns=names, dtype=object)
    return table.loc[:, ~table.columns.duplicated()]


def _decode(data: bytes) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding)
    # In UTF-16 every other byte of Latin text is 0; in UTF-8 none is.
    if len(data) % 2 == 0 and not any(data[1:200:2]):
        return data.decode("utf-16-le")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        try:
            text = data.decode("cp1252")
        except UnicodeDecodeError:
            raise error from None
        if _CONTROL.search(text):
            raise
        return text


def cell(value: Any) -> Any:
    """Return a cell as it is written: text that a spreadsheet would compute gets an apostrophe in front; all else stays, as numbers do."""
    return _FORMULA.sub("'", value) if isinstance(value, str) else value


def unmarked(text: str) -> str:
    """Return the text that `cell` made this cell of."""
    return _MARKED.sub("", text)


def lines(rows: Iterable[Sequence[Any]]) -> str:
    """Return rows as lines of CSV."""
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(map(cell, row) for row in rows)
    return file.getvalue()


def safe(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with `cell` of each text in it, the names of its columns too."""
    texts = table.columns.difference(table.select_dtypes(["number", "bool", "boolean"]).columns)
    return table.assign(**{name: table[name].map(cell, na_action="ignore") for name in texts}).rename(columns=cell)


def encode(table: pd.DataFrame, *, float_format: str | None = None) -> str:
    """Return a table as CSV, without its index. float_format: of numbers with a fraction, such as "%.6g"."""
    return str(safe(table).to_csv(index=False, float_format=float_format))
