"""The command card: a model's result card as a page."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ser_core.cli import options as shared


def add(commands: Any) -> None:
    """Add the command to the parser."""
    card = commands.add_parser("card", help="write a model's result card: one page to read and print, with its figures")
    card.add_argument("slug", metavar="NAME", help="the model, such as cnn")
    shared.add_out(card, "file to write (default: NAME-card.html in the current folder)")
    shared.add_models_dir(card)
    card.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ser_core import paths
    from ser_core.recognition import report, store

    card = store.read_card(options.slug, options.models_dir or paths.models_folder())
    target = options.out or Path(report.file_name(card))
    shared.write_out(target, report.html(card).encode())
    print(target)
    return 0
