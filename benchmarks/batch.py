"""Time many files through the shipped models on several cores, as `python -m ser_core predict` shares them.

python benchmarks/batch.py [--files N] [--jobs N] [--json]: "clips_per_s" from the first file to the last result, "start_s" before it:
the libraries and the models loaded by each process. Files are 3 s WAVs of 48 kHz, cut from the samples at different places.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ser_core.system import priority

priority.limit_threads()

import argparse
import json
import tempfile
import time

import numpy as np

from ser_core.audio import decoding, waveform
from ser_core.recognition import batch, store

RATE = 48_000


def write_clips(folder: Path, n: int) -> list[str]:
    """Write n different clips of 3 s and return their paths."""
    voices = [
        waveform.resample(decoding.decode(file).waveform, RATE).samples
        for file in sorted((ROOT / "pages" / "samples").glob("*.flac"))
    ]
    files = []
    for number in range(n):
        voice = voices[number % len(voices)]
        samples = np.resize(np.roll(voice, 997 * number), 3 * RATE)
        files.append(str(folder / f"{number:05d}.wav"))
        Path(files[-1]).write_bytes(waveform.encode_wav(waveform.Waveform(samples, RATE)))
    return files


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = write_clips(Path(folder), options.files)
        began = time.perf_counter()
        warm = list(batch.predict(files[: batch.MIN_PARALLEL], store.SHIPPED, n_jobs=options.jobs))
        started = time.perf_counter()
        results = list(batch.predict(files, store.SHIPPED, n_jobs=options.jobs))
        ended = time.perf_counter()
    failed = [each["error"] for each in [*warm, *results] if "error" in each]
    if failed:
        sys.exit(f"{len(failed)} files failed, the first: {failed[0]}")
    figures = {
        "clips_per_s": round(len(files) / (ended - started), 1),
        "with_start_clips_per_s": round((len(warm) + len(files)) / (ended - began), 1),
        "start_s": round(started - began, 2),
        "files": len(files),
        "with_speech": sum(each["speech"] for each in results),
        "jobs": options.jobs,
    }
    print(json.dumps(figures) if options.json else figures)


if __name__ == "__main__":
    main()
