"""Time trainings as the Train page starts them: processes of their own, niced, in line, with features that were measured before.

python benchmarks/training.py [--corpus ravdess=DIR] [--json]: on synthetic voices under RAVDESS' names (24 actors, 1440 clips), or on the
corpus that you name. For each of knn, mlp, cnn and cnn_lstm "one_minute_s" (from the click to the saved model, preset one-minute),
"one_minute_uar" and "first_epoch_s" (from the click to the first epoch's figures); "epoch_clips_per_s" of a CNN of "parameters" weights on
64 x 128 frames; "alone_ms" and "beside_ms", the median time of a clip to all predictions in this process without and with a training
beside it, in turn, and "ratio"; "load", the machine's load average at the start and at the end. Takes about five minutes.
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
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import soundfile

from benchmarks.latency import default_clip
from ser_core.corpora import scan
from ser_core.dataset import build, splits
from ser_core.errors import SerError
from ser_core.features.config import FeatureConfig
from ser_core.recognition import analysis, store
from ser_core.training import jobs, plan, run_folder
from ser_core.training.config import RunConfig, with_preset

NAMES = ("knn", "mlp", "cnn", "cnn_lstm")
POLL_S = 0.02
FRAMES = FeatureConfig(n_mels=64, window_frames=128)
LONG = {"epochs": 400, "clips_per_epoch": 900, "patience": 0}
SMALL_CNN = {"filters": [96, 96, 96, 96], "epochs": 9, "clips_per_epoch": 900, "patience": 0}
"""Layers of about 110,000 parameters; the first epoch, which compiles, does not count."""


@dataclass
class Bench:
    """What all trainings here share: a folder for runs, models and features, and where the corpus is."""

    folder: Path
    corpus: Path
    command: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.command = (
            sys.executable,
            "-m",
            "ser_core",
            "train",
            "--corpus",
            f"ravdess={self.corpus}",
            "--models-dir",
            str(self.folder / "models"),
            "--cache",
            str(self.folder / "cache"),
            "--run",
        )

    def start(self, config: RunConfig) -> jobs.Job:
        """Start a training as the page does."""
        started = jobs.start(self.folder / "runs", config.to_dict(), title="benchmark", command=self.command)
        return jobs.find(self.folder / "runs", started.id)

    def follow(self, config: RunConfig) -> tuple[jobs.Job, float, list[float]]:
        """Train, and return the run, its seconds, and after how many seconds each epoch's figures came."""
        begun = time.monotonic()
        job = self.start(config)
        epochs: list[float] = []
        while not job.ended:
            time.sleep(POLL_S)
            now = time.monotonic() - begun
            epochs += [now] * (len(run_folder.read_epochs(job.folder)) - len(epochs))
            job = jobs.find(self.folder / "runs", job.id)
        seconds = time.monotonic() - begun
        if job.status.stage != run_folder.DONE:
            sys.exit(f"The training ended without a model: {job.status.problem}\n{jobs.printed(job)}")
        return job, seconds, epochs


def voices(folder: Path) -> None:
    """Write 24 actors, 8 labels and 1440 clips of 2 s: harmonics whose pitch, level and rate follow the label, and noise."""
    rng = np.random.default_rng(0)
    times = np.arange(2 * 16_000) / 16_000
    folder.mkdir(parents=True)
    for actor in range(1, 25):
        for label in range(1, 9):
            for take in range(4 if label == 1 else 8):
                f0 = (100 + 4 * actor) * 2 ** ((label - 4 + rng.normal(0, 1.5)) / 12)
                glide = f0 * (1 + 0.05 * np.sin(2 * np.pi * label / 3 * times))
                sound = sum(np.sin(2 * np.pi * k * np.cumsum(glide) / 16_000) / k for k in range(1, 12))
                sound = (
                    sound
                    * (0.1 + np.sin(np.pi * (2 + label / 3) * times) ** 2)
                    * 10 ** (rng.normal(-30 + label, 3) / 20)
                )
                sound = np.clip(sound + rng.normal(0, 2e-3, len(times)), -1, 1)
                intensity, sentence, repetition = take // 4 % 2 + 1, take // 2 % 2 + 1, take % 2 + 1
                name = f"03-01-{label:02d}-{intensity:02d}-{sentence:02d}-{repetition:02d}-{actor:02d}.wav"
                soundfile.write(folder / name, sound.astype(np.float32), 16_000)


def median_ms(predict: Callable[[], Any], *, n: int = 60) -> float:
    """Return the median time of a call in milliseconds."""
    times = []
    for _ in range(n):
        begun = time.perf_counter()
        predict()
        times.append((time.perf_counter() - begun) * 1000)
    return statistics.median(times)


def one_minute(bench: Bench) -> dict[str, dict[str, float]]:
    """Train each of the four with the preset."""
    figures: dict[str, dict[str, float]] = {"one_minute_s": {}, "one_minute_uar": {}, "first_epoch_s": {}}
    for name in NAMES:
        job, seconds, epochs = bench.follow(with_preset(RunConfig(corpora=("ravdess",), classifier=name), "one-minute"))
        result = run_folder.read_result(job.folder) or {}
        figures["one_minute_s"][name] = round(seconds, 1)
        figures["one_minute_uar"][name] = round(result["figures"]["ravdess"]["uar"], 3)
        if epochs:
            figures["first_epoch_s"][name] = round(epochs[0], 1)
    return figures


def epoch_rate(bench: Bench, clips: pd.DataFrame) -> dict[str, float]:
    """Train the small CNN, and return the clips of an epoch through its median time."""
    build.build(clips, FRAMES, cache=bench.folder / "cache", n_jobs=-1)
    config = RunConfig(corpora=("ravdess",), classifier="cnn", features=FRAMES, n_copies=0, hyperparameters=SMALL_CNN)
    job, _, epochs = bench.follow(config)
    n_drawn = min(SMALL_CNN["clips_per_epoch"], int((plan.prepare(clips, config).part == splits.TRAIN).sum()))
    card = store.read_card(job.status.model or "", bench.folder / "models")
    return {
        "epoch_clips_per_s": round(n_drawn / statistics.median(np.diff(epochs)), 1),
        "parameters": card.n_parameters,
    }


def beside(bench: Bench, *, turns: int = 3) -> dict[str, float]:
    """Predict alone and beside a training, in turn."""
    data = default_clip()
    recognizers = [store.load(slug) for slug in store.SHIPPED]

    def predict() -> None:
        analysis.recognize(recognizers, analysis.analyse(data))

    median_ms(predict, n=10)
    times: dict[str, list[float]] = {"alone_ms": [], "beside_ms": []}
    for _ in range(turns):
        times["alone_ms"].append(median_ms(predict))
        job = bench.start(RunConfig(corpora=("ravdess",), classifier="cnn", n_copies=0, hyperparameters=LONG))
        while not run_folder.read_epochs(job.folder):
            time.sleep(POLL_S)
            job = jobs.find(bench.folder / "runs", job.id)
            if job.ended:
                sys.exit(f"The training ended too early: {job.status.problem}")
        times["beside_ms"].append(median_ms(predict))
        jobs.stop(job)
        while not jobs.find(bench.folder / "runs", job.id).ended:
            time.sleep(POLL_S)
    figures = {name: round(statistics.median(values), 2) for name, values in times.items()}
    ratios = [with_it / without for without, with_it in zip(times["alone_ms"], times["beside_ms"], strict=True)]
    return figures | {"ratio": round(statistics.median(ratios), 2)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", metavar="ravdess=DIR", help="measure on RAVDESS' own clips")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    load = [round(each, 1) for each in os.getloadavg()[:1]] if hasattr(os, "getloadavg") else []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        name, _, given = (options.corpus or f"ravdess={folder / 'ravdess'}").partition("=")
        if name != "ravdess" or not given:
            parser.error(f"--corpus takes ravdess=DIR. Got {options.corpus!r}.")
        if not options.corpus:
            voices(folder / "ravdess")
        try:
            clips = scan.scan("ravdess", given)
        except SerError as error:
            sys.exit(str(error))
        build.build(clips, cache=folder / "cache", n_jobs=-1)  # so that no run measures any
        bench = Bench(folder, Path(given).resolve())
        figures: dict[str, Any] = {"corpus": "ravdess" if options.corpus else "synthetic", "n_clips": len(clips)}
        figures |= one_minute(bench) | epoch_rate(bench, clips) | beside(bench)
    if hasattr(os, "getloadavg"):
        load.append(round(os.getloadavg()[0], 1))
    figures["load"] = load
    print(json.dumps(figures) if options.json else json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
