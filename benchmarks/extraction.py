"""Time the measuring of many clips into a fresh cache: how many a second, with one process and with two.

python benchmarks/extraction.py [--json] [--clips N]: synthetic voices of 2 to 4 s, written to a temporary folder ("one_per_s",
"two_per_s", "ratio": how many times as fast two are), and the same read back from the cache ("cached_per_s"). The processes are
started before the clock runs; how long that takes, once a run, is "start_s". Medians of five rounds in turn. Only a machine with two
cores and nothing else to do says something.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ser_core.system import priority

priority.limit_threads()

import argparse
import json
import os
import statistics
import tempfile
import time

import numpy as np
import pandas as pd

from ser_core.audio import waveform
from ser_core.corpora import catalogue
from ser_core.dataset import build

N_CLIPS = 1500
ROUNDS = 5


def write_clips(folder: Path, n: int) -> pd.DataFrame:
    """Write n synthetic voices, each its own, and return their clips table."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(n):
        time_s = np.arange(int(rng.uniform(2, 4) * waveform.SAMPLE_RATE)) / waveform.SAMPLE_RATE
        phase = 2 * np.pi * rng.uniform(90, 250) * time_s
        sound = sum(np.sin(k * phase) / k for k in range(1, 16)) * (0.2 + np.sin(2 * np.pi * 2 * time_s) ** 2)
        sound = 0.1 * sound + 1e-3 * rng.standard_normal(len(time_s))
        path = folder / f"{number:05d}.wav"
        path.write_bytes(waveform.encode_wav(waveform.Waveform(sound.astype(np.float32), waveform.SAMPLE_RATE)))
        rows.append({catalogue.PATH: str(path)})
    return pd.DataFrame(rows)


def per_second(clips: pd.DataFrame, cache: Path, n_jobs: int) -> float:
    """Return how many clips a second are measured, or read back where the cache has them."""
    start = time.perf_counter()
    built = build.build(clips, cache=cache, n_jobs=n_jobs)
    seconds = time.perf_counter() - start
    assert len(built.vectors) == len(clips) and not built.problems
    return len(clips) / seconds


def main() -> None:
    """Measure one process and two in turn, each with a cache that is empty before."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--clips", type=int, default=N_CLIPS, metavar="N")
    options = parser.parse_args()
    rates: dict[str, list[float]] = {"one": [], "two": [], "cached": []}
    with tempfile.TemporaryDirectory() as folder:
        clips = write_clips(Path(folder), options.clips)
        build.build(clips.head(20))  # librosa and numba load once, before the clock runs
        start = time.perf_counter()
        build.build(clips.head(build.WORTH_WORKERS), n_jobs=2)
        start_s = time.perf_counter() - start
        for number in range(ROUNDS):
            for name, n_jobs in (("one", 1), ("two", 2)):
                rates[name].append(per_second(clips, Path(folder) / f"{name}{number}", n_jobs))
            rates["cached"].append(per_second(clips, Path(folder) / f"two{number}", 2))
    figures = {f"{name}_per_s": round(statistics.median(values), 1) for name, values in rates.items()}
    figures |= {
        "start_s": round(start_s, 1),
        "ratio": round(figures["two_per_s"] / figures["one_per_s"], 2),
        "n_clips": options.clips,
        "cores": os.cpu_count() or 1,
    }
    if options.json:
        print(json.dumps(figures))
    else:
        print(
            f"{options.clips} clips: {figures['one_per_s']} a second with one process, {figures['two_per_s']} with two "
            f"({figures['ratio']} times as fast, {figures['cores']} cores), {figures['cached_per_s']} from the cache"
        )


if __name__ == "__main__":
    main()
