"""A table that somebody wrote, as CSV -> text in columns. It may be a stranger's: its size, rows and columns have limits.

Not pandas.read_csv, which needs minutes for a line of 100,000 commas.
"""

from __future__ import annotations

import csv
import io

import pandas as pd

MAX_BYTES = 20 * 2**20
MAX_ROWS = 200_000
MAX_COLUMNS = 500
DELIMITERS = ",;\t|"


def read(data: bytes) -> pd.DataFrame:
    """Return a table of str: a column a name in the first row, in lower case and without blanks around it; "" where a row has less.

    The delimiter is the one that the first line has most of. Of columns of one name, the first is taken; empty lines are passed over.

    Raises
    ------
    ValueError : if it is no text, has no row, has a row with more cells than columns, or is larger than the limits.
    """
    if len(data) > MAX_BYTES:
        raise ValueError(f"it has {len(data) / 2**20:.0f} MB; {MAX_BYTES // 2**20} MB is the most")
    text = data.decode("utf-8-sig")
    first = text.lstrip("\r\n").split("\n", 1)[0][:10_000]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(DELIMITERS, key=first.count))
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
                raise ValueError(f"line {reader.line_num} has {len(row):,} cells, and the first row names {len(names)} columns")
            if len(rows) == MAX_ROWS:
                raise ValueError(f"it has more than {MAX_ROWS:,} rows, which is the most")
            rows.append(row + [""] * (len(names) - len(row)))
    except csv.Error as error:
        raise ValueError(str(error)) from None
    if not names:
        raise ValueError("it is empty")
    table = pd.DataFrame(rows, columns=names, dtype=object)
    return table.loc[:, ~table.columns.duplicated()]
