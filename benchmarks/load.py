"""A class at once: visitors who each upload a clip, get pictures and predictions, think, and upload the next.

python benchmarks/load.py [--visitors N] [--think S] [--seconds T] [--train] [--linger S] [--json]: "p50_ms" and "p95_ms" from choosing a
file to the predictions of the models from scratch, "drawn_p95_ms" until all of the page is there, "last_p95_ms" until the pretrained
model, which follows, has answered too, and "left_out" of how many clips it had no time for; "errors" and the first of them, "uploads";
"cpu_ms", what an upload costs in processor time, the workers included; "stolen_pct", how much of its processors' time a virtual machine did
not get from its host: above a few %, the times say little; "open_p95_ms" from an address to its page, all visitors coming within one
think time; "growth_pct", by how much the server's memory in the last tenth of the time is above that in the second tenth: in half an
hour, of the last three minutes above that of minutes 3 to 6; "rss_mb", the memory of the server and of its processes before them, each
10 s, and --linger S seconds after they left; "load", the machine's load average before and after. Each visitor is a websocket of its own
that speaks Streamlit's protocol (tools/visitor.py), and takes some of the machine's time for it; each clip is another one, 3 s of 48 kHz
WAV. With --train, a CNN trains on 1,440 clips meanwhile, started as the Train page starts it.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ser_core.system import priority

priority.limit_threads()

import argparse
import asyncio
import json
import os
import random
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import psutil

from benchmarks.batch import write_clips
from benchmarks.training import LONG, Bench, voices
from pages.ui.recognition import LEFT_OUT
from ser_core.corpora import scan
from ser_core.dataset import build
from ser_core.recognition import analysis, store
from ser_core.training import jobs, run_folder
from ser_core.training.config import RunConfig
from tools.servers import each_of, rss_mb, serve
from tools.visitor import Visitor, cards_in

N_CLIPS = 48
N_CARDS = len(store.usual())
"""How many models have a card at least, one that has still to answer too; all together may have one besides."""

UPLOADER = "recognize.upload"


@dataclass
class Tally:
    """What the visitors saw: seconds to the page, to the first predictions, to everything and to the last one, and what went wrong."""

    opened: list[float] = field(default_factory=list)
    predicted: list[float] = field(default_factory=list)
    drawn: list[float] = field(default_factory=list)
    last: list[float] = field(default_factory=list)
    left_out: int = 0
    errors: list[str] = field(default_factory=list)


def other(clip: bytes, rng: random.Random) -> bytes:
    """Return the clip with one sample changed, for a server that knows clips by their bytes."""
    place = 44 + 2 * rng.randrange((len(clip) - 44) // 2)
    return clip[:place] + rng.randrange(2**15).to_bytes(2, "little") + clip[place + 2 :]


async def give(visitor: Visitor, clip: bytes, tally: Tally) -> None:
    """Upload a clip and note how long it took."""
    began = time.perf_counter()
    await visitor.upload("clip.wav", clip, key=UPLOADER)
    done = time.perf_counter()
    cards = [at for at, html in cards_in(visitor.arrived) if html.count("<section>") >= N_CARDS]
    problems = visitor.problems()
    if problems or not cards or not any(visitor.all("plotly_chart")):
        tally.errors.append("; ".join(problems) or f"no predictions or no pictures: {visitor.text()[:300]}")
        return
    tally.predicted.append(cards[0] - began)
    tally.drawn.append(done - began)
    if visitor.fragments:
        await visitor.follow()
        done = time.perf_counter()
    if LEFT_OUT in visitor.text():
        tally.left_out += 1
    else:
        tally.last.append(done - began)
    await asyncio.to_thread(visitor.fetch, visitor.sounds()[0])


async def attend(url: str, clips: list[bytes], *, number: int, think_s: float, until: float, tally: Tally) -> None:
    """Be one visitor, until the time is over."""
    rng = random.Random(number)
    await asyncio.sleep(rng.uniform(0, think_s))
    try:
        began = time.perf_counter()
        async with Visitor(url) as visitor:
            tally.opened.append(time.perf_counter() - began)
            while True:
                await asyncio.sleep(rng.uniform(0.5, 1.5) * think_s)
                if time.perf_counter() > until:
                    return
                await give(visitor, other(rng.choice(clips), rng), tally)
    except Exception as error:  # whatever ends a visit is what is counted here
        tally.errors.append(f"{type(error).__name__}: {error}")


async def watch(process: psutil.Process, found: list[int]) -> None:
    """Note the memory of the server in MB, each ten seconds."""
    while True:
        await asyncio.sleep(10)
        found.append(rss_mb(process))


def growth_pct(found: list[int]) -> float | None:
    """Return by how much the median of the last tenth is above that of the second tenth, in %; None of fewer than 20 readings."""
    tenth = len(found) // 10
    if tenth < 2:
        return None
    first, last = float(np.median(found[tenth : 2 * tenth])), float(np.median(found[-tenth:]))
    return round(100 * (last / first - 1), 1)


async def a_class(url: str, pid: int, clips: list[bytes], options: argparse.Namespace) -> dict[str, Any]:
    """Have all visitors come, and return the figures."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(64))
    process = psutil.Process(pid)
    first = Tally()
    async with Visitor(url) as visitor:  # who opens the door: the models are loaded, numbers begin after
        await give(visitor, other(clips[0], random.Random(-1)), first)
    before, during, tally = rss_mb(process), list[int](), Tally(errors=first.errors)
    cpu_s, stolen_s = cpu(process), stolen()
    watching = asyncio.create_task(watch(process, during))
    until = time.perf_counter() + options.seconds
    await asyncio.gather(
        *(
            attend(url, clips, number=number, think_s=options.think, until=until, tally=tally)
            for number in range(options.visitors)
        )
    )
    watching.cancel()
    cpu_s, stolen_s = cpu(process) - cpu_s, (stolen()[0] - stolen_s[0], stolen()[1] - stolen_s[1])
    await asyncio.sleep(options.linger)
    if options.linger:
        async with Visitor(url):  # Streamlit looks for visits that are over when somebody comes
            pass
    return {
        "p50_ms": percentile(tally.predicted, 50),
        "p95_ms": percentile(tally.predicted, 95),
        "drawn_p95_ms": percentile(tally.drawn, 95),
        "last_p95_ms": percentile(tally.last, 95),
        "left_out": tally.left_out,
        "errors": len(tally.errors),
        "first_error": tally.errors[0] if tally.errors else "",
        "uploads": len(tally.predicted),
        "cpu_ms": round(1000 * cpu_s / max(len(tally.predicted), 1)),
        "stolen_pct": round(100 * stolen_s[0] / stolen_s[1], 1),
        "open_p95_ms": percentile(tally.opened, 95),
        "growth_pct": growth_pct(during),
        "rss_mb": {"before": before, "during": during, "left": rss_mb(process)},
    }


def cpu(process: psutil.Process) -> float:
    """Return the seconds of processor time that a process, and those that it started, took so far."""
    return sum(times.user + times.system for times in each_of(process, "cpu_times"))


def stolen() -> tuple[float, float]:
    """Return the seconds that a host took from this machine's processors so far, 0 where it does not say, and all that passed."""
    times = psutil.cpu_times()
    return getattr(times, "steal", 0.0), sum(times[: 8 if hasattr(times, "steal") else None])


def percentile(seconds: list[float], share: float) -> int | None:
    """Return a percentile in ms; None of nothing."""
    return round(1000 * float(np.percentile(seconds, share))) if seconds else None


@contextmanager
def training(folder: Path) -> Iterator[None]:
    """Keep a training going meanwhile: its first epoch is over when the block begins."""
    voices(folder / "ravdess")
    build.build(scan.scan("ravdess", folder / "ravdess"), cache=folder / "cache", n_jobs=-1)
    bench = Bench(folder, folder / "ravdess")
    job = bench.start(RunConfig(corpora=("ravdess",), classifier="cnn", n_copies=0, hyperparameters=LONG))
    while not run_folder.read_epochs(job.folder):
        time.sleep(0.1)
        job = jobs.find(folder / "runs", job.id)
        if job.ended:
            sys.exit(f"The training ended too early: {job.status.problem}")
    yield
    job = jobs.find(folder / "runs", job.id)
    if job.ended:
        sys.exit(f"The training ended before the visitors left: {job.status.problem}")
    jobs.stop(job)
    while not jobs.find(folder / "runs", job.id).ended:
        time.sleep(0.1)


@contextmanager
def nothing() -> Iterator[None]:
    """Do nothing meanwhile."""
    yield


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visitors", type=int, default=30)
    parser.add_argument("--think", type=float, default=2.0, metavar="S")
    parser.add_argument("--seconds", type=float, default=60.0, metavar="T")
    parser.add_argument("--linger", type=float, default=0.0, metavar="S")
    parser.add_argument("--train", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    load = [round(os.getloadavg()[0], 1)] if hasattr(os, "getloadavg") else []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        clips = [Path(file).read_bytes() for file in write_clips(folder, N_CLIPS)]
        clips = [clip for clip in clips if analysis.analyse(clip).quality.has_speech]
        own = {"SER_CORPORA": "corpora", "SER_RUNS": "own_runs", "SER_CACHE": "own_cache", "SER_RESULTS": "results"}
        with (
            training(folder) if options.train else nothing(),
            serve(**{name: str(folder / part) for name, part in own.items()}) as server,
        ):
            figures = asyncio.run(a_class(server.url, server.process.pid, clips, options))
    if hasattr(os, "getloadavg"):
        load.append(round(os.getloadavg()[0], 1))
    figures |= {"visitors": options.visitors, "think_s": options.think, "training": options.train, "load": load}
    print(json.dumps(figures) if options.json else json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
