"""Compare the seconds that a plan promises with those that the training takes, for every classifier of the table.

python benchmarks/plan.py [--classifier NAME ...] [--json]: on synthetic voices under RAVDESS' names (1440 clips), whose features were
measured before, with the usual settings but short networks, as on a machine where nothing was trained yet. For each classifier
"planned_s", "taken_s" (from the click to the saved model) and "ratio", taken through planned; "load", the machine's load average. Takes
about five minutes.
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
import tempfile
from typing import Any

from benchmarks.training import Bench, voices
from ser_core.classifiers import CLASSIFIERS
from ser_core.corpora import scan
from ser_core.dataset import build, duplicates
from ser_core.features import vectors
from ser_core.training import plan, run_folder
from ser_core.training.config import RunConfig

SHORT: dict[str, dict[str, Any]] = {name: {"epochs": 5} for name in ("cnn", "cnn_lstm")}
"""Fewer epochs, where thirty would take a quarter of an hour; the plan counts them too."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classifier", action="append", choices=CLASSIFIERS, help="one of the table (default: all)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        voices(folder / "ravdess")
        clips = scan.scan("ravdess", folder / "ravdess")
        build.build(clips, kinds=vectors.KINDS, cache=folder / "cache", n_jobs=-1)
        sounds = duplicates.sounds(clips, cache=folder / "cache", n_jobs=-1)
        bench = Bench(folder, folder / "ravdess")
        for name in options.classifier or CLASSIFIERS:
            config = RunConfig(corpora=("ravdess",), classifier=name, n_copies=0, hyperparameters=SHORT.get(name, {}))
            promised = plan.plan(clips, config, sounds=sounds).seconds or {}
            planned = sum(value for stage, value in promised.items() if stage != run_folder.FEATURES)
            _, taken, _ = bench.follow(config)
            figures[name] = {
                "planned_s": round(planned, 1),
                "taken_s": round(taken, 1),
                "ratio": round(taken / planned, 2),
            }
            if not options.json:
                print(
                    f"{name:<10} planned {planned:6.1f} s, taken {taken:6.1f} s, ratio {taken / planned:.2f}",
                    flush=True,
                )
    figures["load"] = round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None
    if options.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
