"""The checks that take too long for every day, one after the other: `python -m tools.check_long [--only PART …] [--short]`.

Each part is a command that prints JSON; its figures are set against what they should be at most. A part that fails stops no other; the
table at the end says what was measured, and the exit status is 1 where anything is above its limit. --short: a few seconds of each, to see
that they run; figures of that say nothing.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "build" / "check-long"


@dataclass(frozen=True)
class Part:
    """One row. command, short: arguments of this Python; most: figure -> the most that it may be; least: the least.

    A figure inside of another is named with a dot, such as wav.peak_mb.
    """

    title: str
    command: tuple[str, ...]
    short: tuple[str, ...]
    most: Mapping[str, float]
    least: Mapping[str, float]
    limit_s: float


LOAD = "benchmarks/load.py"

PARTS: dict[str, Part] = {
    "fuzz": Part(
        "100,000 damaged and hostile files",
        ("-m", "tools.fuzz", "--inputs", "100000"),
        ("-m", "tools.fuzz", "--inputs", "300"),
        {"faults": 0, "worst_s": 30, "peak_mb": 600},
        {"inputs": 100_000},
        4 * 3600,
    ),
    "class": Part(
        "30 visitors, 2 s to think, beside a training",
        (LOAD, "--visitors", "30", "--think", "2", "--seconds", "60", "--train"),
        (LOAD, "--visitors", "3", "--think", "2", "--seconds", "10"),
        {"p95_ms": 400, "errors": 0},
        {"uploads": 300},
        900,
    ),
    "hundred": Part(
        "100 visitors, 5 s to think",
        (LOAD, "--visitors", "100", "--think", "5", "--seconds", "60"),
        (LOAD, "--visitors", "6", "--think", "5", "--seconds", "10"),
        {"errors": 0},
        {"uploads": 300},
        900,
    ),
    "soak": Part(
        "30 visitors for half an hour",
        (LOAD, "--visitors", "30", "--think", "2", "--seconds", "1800"),
        (LOAD, "--visitors", "2", "--think", "2", "--seconds", "12"),
        {"errors": 0, "growth_pct": 5},
        {"uploads": 9000},
        3600,
    ),
    "flood": Part(
        "500 idle websockets, 200 trickling uploads, 100 pages of other origins",
        ("benchmarks/flood.py",),
        ("benchmarks/flood.py", "--websockets", "20", "--uploads", "10", "--origins", "5", "--seconds", "3"),
        {"worst_ms": 100, "errors": 0, "outside": 0},
        {"open": 500, "refused": 100},
        900,
    ),
    "hour": Part(
        "an hour of speech as one file",
        ("benchmarks/memory.py",),
        ("benchmarks/memory.py", "--minutes", "2", "--formats", "ogg"),
        {"wav.peak_mb": 600, "ogg.peak_mb": 600},
        {},
        3600,
    ),
    "live": Part(
        "ten minutes of the Live page",
        ("benchmarks/live.py", "--seconds", "600"),
        ("benchmarks/live.py", "--seconds", "20"),
        {"p95_ms": 800, "lost_ms": 50},
        {"pulses": 100},
        1800,
    ),
    "recorders": Part(
        "8 browsers that record at once",
        ("benchmarks/recorders.py",),
        ("benchmarks/recorders.py", "--contexts", "2", "--rounds", "1"),
        {"errors": 0},
        {"recordings": 24},
        900,
    ),
}


@dataclass(frozen=True)
class Row:
    """A figure against its limit. value: None where it was not measured."""

    part: str
    figure: str
    value: float | None
    limit: str
    good: bool


def judge(name: str, part: Part, figures: Mapping[str, Any]) -> list[Row]:
    """Return a row for each figure that has a limit; what is missing is not good."""
    rows = []
    for limits, sign in ((part.most, "at most"), (part.least, "at least")):
        for figure, limit in limits.items():
            value: Any = figures
            for step in figure.split("."):
                value = value.get(step) if isinstance(value, Mapping) else None
            good = isinstance(value, int | float) and (value <= limit if sign == "at most" else value >= limit)
            rows.append(
                Row(name, figure, value, f"{sign} {limit:g}" if limit < 10_000 else f"{sign} {limit:,.0f}", good)
            )
    return rows


def run(name: str, part: Part, *, short: bool = False) -> tuple[dict[str, Any], str]:
    """Return the figures of a part, and what went wrong, "" for nothing; what it printed is kept under build/check-long/."""
    KEPT.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, *(part.short if short else part.command), "--json"]
    try:
        with (KEPT / f"{name}.log").open("wb") as log:
            done = subprocess.run(
                command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, timeout=part.limit_s, check=False
            )
    except subprocess.TimeoutExpired:
        return {}, f"it was not done after {part.limit_s:.0f} s"
    lines = done.stdout.decode(errors="replace").strip().splitlines()
    (KEPT / f"{name}.json").write_text("\n".join(lines) + "\n", encoding="utf-8")
    try:
        figures = dict(json.loads(lines[-1]))
    except (ValueError, TypeError, IndexError):
        return {}, f"it ended with {done.returncode} and no figures; see build/check-long/{name}.log"
    return figures, f"it ended with {done.returncode}" if done.returncode else ""


def table(rows: Sequence[Row]) -> str:
    """Return rows as lines of text."""
    lines = []
    for row in rows:
        value = "-" if row.value is None else f"{row.value:,}"
        lines.append(f"{row.part:11}{row.figure:14}{value:>10}   {row.limit:18}{'good' if row.good else 'NOT GOOD'}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts, print the table, and return 1 where anything is above its limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], metavar="PART", help=f"one of {', '.join(PARTS)}")
    parser.add_argument("--short", action="store_true")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.only if name not in PARTS]
    if unknown:
        parser.error(f"there is no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    rows, failed = [], []
    for name in options.only or PARTS:
        part, begun = PARTS[name], time.monotonic()
        print(f"{name}: {part.title} ...", flush=True)
        figures, problem = run(name, part, short=options.short)
        rows += [] if options.short else judge(name, part, figures)
        told = json.dumps({figure: value for figure, value in figures.items() if figure != "targets"})
        print(f"  {time.monotonic() - begun:.0f} s {told}", flush=True)
        if problem:
            failed.append(name)
            print(f"  {problem}", flush=True)
    if rows:
        print(f"\n{table(rows)}")
    if failed:
        print(f"\nFailed: {', '.join(failed)}. What they printed is in build/check-long/.")
    return 1 if failed or not all(row.good for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
