"""The gate on coverage: `python -m tools.branches` after `python -m coverage run -m pytest`.

coverage.py's own gate adds lines and branches up, and lines are covered sooner: it would let through a branch in five.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import coverage

LEAST = 90.0
"""Percent of the branches of ser_core that the tests must take."""


def main() -> int:
    """Print what is not covered, module by module, and return 1 where it is too much."""
    measured = coverage.Coverage()
    measured.combine()
    measured.save()
    measured.report()
    with tempfile.TemporaryDirectory() as folder:
        measured.json_report(outfile=str(Path(folder) / "coverage.json"))
        totals = json.loads((Path(folder) / "coverage.json").read_text(encoding="utf-8"))["totals"]
    taken, there = totals["covered_branches"], totals["num_branches"]
    print(
        f"{taken:,} of {there:,} branches of ser_core are tested: {100 * taken / there:.1f} %; {LEAST:g} % is the least."
    )
    return int(100 * taken < LEAST * there)


if __name__ == "__main__":
    sys.exit(main())
