"""Measure what is usual for each label: `python -m tools.ranges ravdess=DIR tess=DIR …` writes ser_core/explanation/ranges.json."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import pandas as pd

from ser_core import paths
from ser_core.cli import options
from ser_core.corpora import catalogue, library
from ser_core.dataset import build
from ser_core.explanation import measures
from ser_core.features import vectors
from ser_core.training import fit


def main(arguments: list[str] | None = None) -> int:
    """Measure the corpora's clips, and write the file."""
    parser = argparse.ArgumentParser(prog="tools.ranges", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("corpora", nargs="+", metavar="NAME=DIR")
    parser.add_argument("--cache", type=Path, default=paths.feature_cache())
    parser.add_argument("--out", type=Path, default=measures.RANGES)
    asked = parser.parse_args(arguments)
    tables = [library.read(name, folder) for name, folder in options.parse_folders(asked.corpora).items()]
    clips = fit.usable(pd.concat(tables, ignore_index=True), catalogue.LABELS)
    data = build.build(clips, kinds=(vectors.VECTOR,), cache=asked.cache, n_jobs=-1)
    asked.out.write_text(json.dumps(measures.ranges(clips, data), indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
