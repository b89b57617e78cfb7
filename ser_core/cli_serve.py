"""The command serve: the app for this machine or, with --class, for a class."""

from __future__ import annotations

import argparse
from typing import Any

from ser_core.errors import ConfigError


def add(commands: Any) -> None:
    """Add the command to the parser."""
    serve = commands.add_parser("serve", help="the app for this machine, or for a class")
    serve.add_argument(
        "--class",
        dest="for_class",
        action="store_true",
        help="for everyone in this network, with https and an admin word",
    )
    serve.add_argument(
        "--port", type=int, default=8501, metavar="N", help="if it is taken, the next free one is (default: 8501)"
    )
    serve.add_argument(
        "--address",
        default="",
        metavar="IP",
        help="with --class: this machine's address to others, where it has several",
    )
    serve.set_defaults(run=_serve)


def _serve(options: argparse.Namespace) -> int:
    from ser_core import serving

    if options.for_class:
        serving.for_class(options.port, options.address)
    if options.address:
        raise ConfigError("--address goes with --class: without it, the app serves this machine only.")
    return serving.alone(options.port)
