"""The command build-models: retrain the shipped models."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ser_core.cli import options as shared
from ser_core.cli.terminal import message
from ser_core.errors import ConfigError


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
    shared.add_jobs(build, spare=1)
    build.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ser_core.training import shipped

    folders = shared.parse_folders(options.corpus)
    slugs = list(dict.fromkeys(options.model)) or list(shipped.RECIPES)
    unknown = [slug for slug in slugs if slug not in shipped.RECIPES]
    if unknown:
        raise ConfigError(f"There is no recipe for {', '.join(unknown)}. Choose from {', '.join(shipped.RECIPES)}.")
    material = shipped.gather(folders, work=options.work, slugs=slugs, n_jobs=shared.worker_count(options), say=message)
    shipped.build(slugs, material, work=options.work, say=message)
    return 0
