"""The process that fuzzing tries inputs in: it calls what is tested, and tells of each input before and after. fuzz.py watches it."""

from __future__ import annotations

import faulthandler
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ser_core.errors import SerError
from tools import fuzz_targets, mutate
from tools.fuzz_targets import TARGETS, Target

MAX_MB = 600
ADDRESS_SPACE = 8 * 2**30
"""A guard for the machine: what asks for more gets a MemoryError."""

Tell = Callable[[dict[str, Any]], None]


def work(spans: Sequence[tuple[str, int, int]], given: Path, seed: int, tell: Tell) -> None:
    """Try the inputs of targets, each from one number to another, and tell of each before and after.

    given : the folder that `write_seeds` wrote.
    """
    _guard()
    fuzz_targets.keep_processes()
    with tempfile.TemporaryDirectory(dir=given.parent) as around:
        yard = Yard(Path(around))
        tell({"ready": True})
        for name, start, stop in spans:
            inputs = Inputs(TARGETS[name], given / name, seed)
            for number in range(start, stop):
                tell({"at": [name, number]})
                tell(try_one(TARGETS[name].call, inputs.make(number), yard))


class Inputs:
    """The inputs of a target by number, the same for the same seed: what it starts from as it is, the largest there are, changed ones."""

    def __init__(self, target: Target, given: Path, seed: int) -> None:
        self._target, self._seed = target, seed
        self._seeds = [path.read_bytes() for path in sorted(given.glob("seed-*"))]
        self._worst = sorted(given.glob("worst-*"))

    def __len__(self) -> int:
        return len(self._seeds) + len(self._worst)

    def make(self, number: int) -> bytes:
        """Return one of them."""
        if number < len(self._seeds):
            return self._seeds[number]
        if number < len(self):
            return self._worst[number - len(self._seeds)].read_bytes()
        rng = np.random.default_rng([self._seed, number, *self._target.title.encode()])
        return self._target.mutate(mutate.pick(rng, self._seeds), self._seeds, rng)


def try_one(call: Callable[[bytes, Path], None], data: bytes, yard: Yard) -> dict[str, Any]:
    """Call what is tested with an input, in an empty folder, and say what came of it."""
    place = yard.empty()
    forget_peak()
    before, begun = peak_mb(), time.perf_counter()
    found: dict[str, Any] = {"kind": "accepted"}
    try:
        call(data, place)
    except SerError as error:
        found = {"kind": "refused", "text": str(error)[:200]}
        if not str(error).strip():
            found = {"kind": "error", "text": f"a {type(error).__name__} without a word"}
    except BaseException as error:
        last = traceback.extract_tb(error.__traceback__)
        ours = next((each for each in reversed(last) if "ser_core" in each.filename), last[-1])
        found = {
            "kind": "error",
            "text": f"{type(error).__name__}: {str(error)[:200]!r} at {Path(ours.filename).name}:{ours.lineno}",
        }
    seconds, peak = time.perf_counter() - begun, peak_mb()
    if peak == before:  # what made the input needed more than what was tested
        peak = 0
    if peak > MAX_MB:
        found = {"kind": "memory", "text": f"{peak} MB, after {before} MB before it"}
    if mutate.CANARY.exists():
        mutate.CANARY.unlink()
        found = {"kind": "code", "text": "it ran code from the input"}
    if strange := yard.strange():
        found = {"kind": "outside", "text": strange}
    return found | {"seconds": seconds, "peak": peak}


class Yard:
    """A folder in a folder, and files around it that must stay as they are; temporary files go there, and must be gone afterwards."""

    def __init__(self, around: Path) -> None:
        self._around = around
        self._place = around / "a" / "b" / "c"
        for name in ("x.wav", "a/x.wav", "a/b/x.wav", "home/.bashrc", "tmp/x.wav"):
            (around / name).parent.mkdir(parents=True, exist_ok=True)
            (around / name).write_bytes(b"as it was")
        os.environ |= {"HOME": str(around / "home")}
        tempfile.tempdir = str(around / "tmp")
        self._place.mkdir()
        os.chdir(self._around / "a" / "b")
        self._before = self._look()

    def empty(self) -> Path:
        """Return the folder in the middle, empty."""
        if any(self._place.iterdir()):
            shutil.rmtree(self._place)
            self._place.mkdir()
        return self._place

    def strange(self) -> str:
        """Return what is not as it was outside of that folder, "" where all is."""
        found = self._look()
        if found != self._before:
            changed = sorted(set(found.items()) ^ set(self._before.items()))
            self._before = found
            return f"outside its folder: {changed[:3]}"
        if mutate.ESCAPED.exists():
            mutate.ESCAPED.unlink()
            return f"it wrote {mutate.ESCAPED}"
        return ""

    def _look(self) -> dict[str, tuple[int, int, int]]:
        found, waiting = {}, [str(self._around)]
        while waiting:
            for entry in os.scandir(waiting.pop()):
                if entry.path == str(self._place):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                    found[entry.path] = (0, 0, 0)
                else:
                    stat = entry.stat(follow_symlinks=False)
                    found[entry.path] = (stat.st_size, stat.st_mtime_ns, stat.st_ino)
        return found


def forget_peak() -> None:
    """Let the largest memory be that of now, where the system can: to make an input takes some, too."""
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
    except OSError:
        pass


def peak_mb() -> int:
    """Return the largest memory that this process has had, in MB."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        import psutil

        memory = psutil.Process().memory_info()
        return getattr(memory, "peak_wset", memory.rss) // 2**20


def _guard() -> None:
    faulthandler.enable()
    if hasattr(signal, "SIGUSR1"):
        faulthandler.register(signal.SIGUSR1)
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, ValueError, OSError):  # Windows, or a system that allows less
        pass


def write_seeds(folder: Path, names: Sequence[str], *, quick: bool) -> None:
    """Write the files that targets start from, once for all processes. quick: those that are soon made, and none of the largest."""
    made: dict[Callable[[Path], list[bytes]], list[bytes]] = {}
    for name in names:
        target = TARGETS[name]
        source = (target.few if quick else None) or target.seeds
        if source not in made:
            with tempfile.TemporaryDirectory() as place:
                made[source] = source(Path(place))
        (folder / name).mkdir(parents=True)
        for kind, files in (("seed", made[source]), ("worst", [] if quick else target.worst())):
            for number, data in enumerate(files):
                (folder / name / f"{kind}-{number:03}").write_bytes(data)


def main() -> None:
    """Do what the plan on the command line says. What libraries print must not come between what is told, so it goes elsewhere."""
    out = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    plan = json.loads(sys.argv[1])
    work(plan["spans"], Path(plan["given"]), plan["seed"], lambda values: print(json.dumps(values), file=out))


if __name__ == "__main__":
    main()
