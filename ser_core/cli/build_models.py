"""The command build-models: retrain the shipped models."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ser_core.cli import options as shared
from ser_core.cli.terminal import message


def add(commands: Any) -> None:
    """Add the command to the parser."""
    build = commands.add_parser("build-models", help="retrain the shipped models from the corpora")
    shared.add_corpus(
        build, "a corpus to train on and its folder, such as ravdess=DIR", metavar="NAME=DIR", required=True
    )
    shared.add_model(build, "a shipped model to retrain, such as knn (default: all)")
    build.add_argument(
        "--work",
        type=Path,
        default=Path("build"),
        metavar="DIR",
        help="folder of features and finished folds (default: build)",
    )
    build.add_argument(
        "--answers",
        type=Path,
        metavar="FILE",
        help="file to add the answers to held-out clips to (default: held_out.npz in --work)",
    )
    shared.add_jobs(build, spare=1)
    build.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ser_core import paths
    from ser_core.training import shipped, together

    folders = shared.parse_folders(options.corpus)
    slugs = shipped.chosen(options.model)
    answers = options.answers or options.work / "held_out.npz"
    for n_copies in dict.fromkeys(shipped.RECIPES[slug].n_copies for slug in slugs):
        alike = [slug for slug in slugs if shipped.RECIPES[slug].n_copies == n_copies]
        material = shipped.gather(
            folders, work=options.work, slugs=alike, n_jobs=shared.worker_count(options), say=message
        )
        shipped.build(alike, material, work=options.work, held_out_answers=answers, say=message)
    together.build(shipped.POOLS, answers, paths.models_folder(), say=message)
    return 0
