"""Time what Break it does: every variant of a 3 s clip, changed, measured and answered by the models; one process, one thread.

python benchmarks/what_if.py [--json] [--runs N]: "variants", and "four_s" and "all_s", the median seconds for all of them, of the four
models that answer at once and of all five; "four_ms" and "all_ms" are the same per variant, "four_cpu_s" and "all_cpu_s" in seconds of
the processor.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ser_core.system import priority

priority.limit_threads()

import argparse
import json
import statistics
import time

import numpy as np

from ser_core import paths
from ser_core.audio import decoding, degradations
from ser_core.audio.waveform import Waveform
from ser_core.explanation import what_if
from ser_core.recognition import store

SAMPLES = ROOT / "pages" / "samples"


def clip() -> Waveform:
    """Return 3 s of a sample."""
    whole = decoding.decode(sorted(SAMPLES.glob("*.flac"))[0]).waveform
    return Waveform(np.resize(whole.samples, 3 * whole.sample_rate), whole.sample_rate)


def try_all(waveform: Waveform, slugs: tuple[str, ...]) -> int:
    """Ask models about every variant, as a worker does; return how many there were."""
    models = [(slug, "benchmark") for slug in slugs]
    return sum(
        len(what_if.ask(waveform, condition, models, paths.models_folder(), SAMPLES))
        for condition in degradations.CONDITIONS
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    waveform = clip()
    figures: dict[str, float] = {}
    for name, slugs in (("four", store.FOUR), ("all", store.SHIPPED)):
        n = try_all(waveform, slugs)  # what is loaded at first does not count
        times = []
        for _ in range(options.runs):
            start, cpu_start = time.perf_counter(), time.process_time()
            try_all(waveform, slugs)
            times.append((time.perf_counter() - start, time.process_time() - cpu_start))
        wall_s, cpu_s = (statistics.median(column) for column in zip(*times, strict=True))
        figures |= {"variants": n, f"{name}_s": round(wall_s, 3), f"{name}_ms": round(1000 * wall_s / n, 1)}
        figures[f"{name}_cpu_s"] = round(cpu_s, 3)
    print(json.dumps(figures) if options.json else figures)


if __name__ == "__main__":
    main()
