"""Throws damaged and hostile files at everything that reads untrusted ones: `python -m tools.fuzz --inputs 100000 --seed 0 [--json]`.

Each row of fuzz_targets.TARGETS has a process of its own that is watched from outside: it may not crash, take longer than 30 s or more
than 600 MB for an input, raise anything but a SerError, leave or change a file outside the folder that it was given, or run code
from an input. An input that does is kept under build/fuzz/ and tried again by `python -m tools.fuzz --again FILE`. The same seed gives
the same inputs. Ends with 1 where something was found.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ser_core.system import priority
from tools import fuzz_work
from tools.fuzz_targets import TARGETS

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "build" / "fuzz"
LIMIT_S = 30.0
START_S = 300.0
MOST_FAULTS = 25
"""A target with so many faults is left."""


@dataclass(frozen=True)
class Fault:
    """Something that must not be. kind: error, crash, hang, memory, outside or code; file: the input that makes it again."""

    target: str
    number: int
    kind: str
    text: str
    file: str

    def sentence(self) -> str:
        """Return what was found, and how to see it again."""
        return f"{self.target} {self.number}: {self.kind}: {self.text}\n    again: python -m tools.fuzz --again {self.file}"


@dataclass
class Tally:
    """What became of the inputs of a target."""

    target: str
    inputs: int = 0
    accepted: int = 0
    refused: int = 0
    seconds: float = 0.0
    worst_s: float = 0.0
    peak_mb: int = 0
    faults: list[Fault] = field(default_factory=list)

    def line(self) -> str:
        """Return it in a line."""
        return (
            f"{self.target:14}{self.inputs:8,} inputs{self.accepted:8,} accepted{self.refused:8,} refused{self.seconds:7.0f} s, "
            f"worst {self.worst_s:5.2f} s{self.peak_mb:5} MB{len(self.faults):4} faults"
        )


class Watched:
    """A process that tries inputs, and what it says."""

    def __init__(self, folder: Path, plan: dict[str, Any]) -> None:
        self.log = folder / "log.txt"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tools.fuzz_work", json.dumps(plan)],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=os.environ | priority.ONE_THREAD,
            )
        self._lines: queue.Queue[bytes] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(b"")

    def next(self, patience_s: float) -> dict[str, Any] | None:
        """Return what it says next, None where it has ended; raises queue.Empty where it says nothing for so long."""
        line = self._lines.get(timeout=patience_s)
        return json.loads(line) if line else None

    def traces(self) -> str:
        """Return where it is, as far as it can tell."""
        if hasattr(signal, "SIGUSR1"):
            self.process.send_signal(signal.SIGUSR1)
            time.sleep(1)
        return self.tail()

    def tail(self) -> str:
        """Return the most telling lines of what it printed."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return " < ".join(line.strip() for line in lines if line.lstrip().startswith(("File", "Fatal")))[:600]

    def ended(self) -> int:
        """Return how it ended, once it has."""
        return self.process.wait()

    def end(self) -> None:
        """End it, whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def run(names: Sequence[str], inputs: int, seed: int, *, quick: bool = False, kept: Path = KEPT) -> Iterator[Tally]:
    """Yield what became of the inputs of each target, as it is known. quick: one process for all targets, and seeds that are soon made."""
    total = sum(TARGETS[name].share for name in names)
    wanted = {name: max(round(inputs * TARGETS[name].share / total), 1) for name in names}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        fuzz_work.write_seeds(folder / "given", names, quick=quick)
        for group in [list(names)] if quick else [[name] for name in names]:
            yield from _watch(folder, group, wanted, seed, kept)


def _watch(folder: Path, names: Sequence[str], wanted: dict[str, int], seed: int, kept: Path) -> Iterator[Tally]:
    """Have processes try the inputs of some targets, another one where one is lost, and yield the tallies."""
    tallies = {name: Tally(name) for name in names}
    first = dict.fromkeys(names, 0)
    while spans := [(name, first[name], wanted[name]) for name in names if first[name] < wanted[name]]:
        watched = Watched(folder, {"spans": spans, "given": str(folder / "given"), "seed": seed})
        try:
            while told := _next(watched):
                name, number = told["at"]
                first[name] = number + 1
                tally = tallies[name]
                _count(tally, told)
                if told["kind"] not in ("accepted", "refused"):
                    tally.faults.append(_keep(kept, folder, told, seed))
                    if len(tally.faults) >= MOST_FAULTS:
                        first[name] = wanted[name]
                        break
                    if told["kind"] in (
                        "memory",
                        "crash",
                        "hang",
                    ):  # a process that was large once cannot tell of the next time
                        break
        finally:
            watched.end()
    yield from tallies.values()


def _next(watched: Watched) -> dict[str, Any] | None:
    """Return what became of the next input, None where the process has tried all of its own."""
    begun: dict[str, Any] | None = None
    try:
        begun = watched.next(START_S)
        if begun and "ready" in begun:
            begun = watched.next(START_S)
        if begun is None and watched.ended() == 0:
            return None
        told = watched.next(LIMIT_S) if begun else None
    except queue.Empty:
        told = {"kind": "hang", "text": f"no answer for {LIMIT_S:.0f} s: {watched.traces()}"}
    if begun is None:
        raise SystemExit(
            f"The process that tries inputs came to no start:\n{watched.log.read_text(errors='replace')[-3000:]}"
        )
    if told is None:
        told = {"kind": "crash", "text": f"it ended with {watched.ended()}: {watched.tail()}"}
    return {"seconds": 0.0, "peak": 0} | told | begun


def _count(tally: Tally, told: dict[str, Any]) -> None:
    tally.inputs += 1
    tally.accepted += told["kind"] == "accepted"
    tally.refused += told["kind"] == "refused"
    tally.seconds += told["seconds"]
    tally.worst_s = max(tally.worst_s, told["seconds"])
    tally.peak_mb = max(tally.peak_mb, told["peak"])


def _keep(kept: Path, folder: Path, told: dict[str, Any], seed: int) -> Fault:
    """Write the input of a fault where it stays."""
    name, number = told["at"]
    kept.mkdir(parents=True, exist_ok=True)
    path = kept / f"{name}.{seed}.{number}"
    path.write_bytes(fuzz_work.Inputs(TARGETS[name], folder / "given" / name, seed).make(number))
    return Fault(
        name, number, told["kind"], told["text"], str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)
    )


def again(path: Path) -> int:
    """Try one input that was kept, in a process of its own, and say what becomes of it."""
    name = path.name.split(".")[0]
    with tempfile.TemporaryDirectory() as place:
        given = Path(place) / "given" / name
        given.mkdir(parents=True)
        (given / "seed-000").write_bytes(path.read_bytes())
        (tally,) = _watch(Path(place), [name], {name: 1}, 0, Path(place) / "kept")
    for fault in tally.faults:
        print(f"{fault.kind}: {fault.text}")
    print(
        f"{'found' if tally.faults else 'accepted' if tally.accepted else 'refused'} in {tally.worst_s:.2f} s, {tally.peak_mb} MB"
    )
    return 1 if tally.faults else 0


def main() -> int:
    """Fuzz and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=100_000, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="S")
    parser.add_argument(
        "--target", action="append", default=[], metavar="NAME", help="only this one; may be given more than once"
    )
    parser.add_argument("--again", type=Path, metavar="FILE", help="an input that was kept")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.again:
        return again(options.again)
    unknown = set(options.target) - set(TARGETS)
    if unknown:
        parser.error(f"there is no target {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    begun, tallies = time.perf_counter(), []
    for tally in run(options.target or list(TARGETS), options.inputs, options.seed):
        tallies.append(tally)
        if not options.json:
            print(tally.line(), *(fault.sentence() for fault in tally.faults), sep="\n", flush=True)
    faults = Counter(fault.kind for tally in tallies for fault in tally.faults)
    figures = {
        "inputs": sum(each.inputs for each in tallies),
        "seed": options.seed,
        "seconds": round(time.perf_counter() - begun),
        "worst_s": round(max(each.worst_s for each in tallies), 2),
        "peak_mb": max(each.peak_mb for each in tallies),
        "faults": faults.total(),
        "kinds": dict(faults),
    }
    print(json.dumps(figures | {"targets": [asdict(each) for each in tallies]} if options.json else figures))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
