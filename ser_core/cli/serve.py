"""The command serve: start the app for this machine or, with --class, for a class."""

from __future__ import annotations

import argparse
from typing import Any

from ser_core import paths
from ser_core.errors import ConfigError


def add(commands: Any) -> None:
    """Add the command to the parser."""
    serve = commands.add_parser("serve", help="start the app for this machine, or for a class")
    serve.add_argument(
        "--class",
        dest="for_class",
        action="store_true",
        help="serve everyone in this network, with https and an admin word",
    )
    serve.add_argument("--port", type=int, default=8501, metavar="N", help="port, or the next free one (default: 8501)")
    serve.add_argument(
        "--address",
        default="",
        metavar="IP",
        help="with --class: this machine's address in the network, if it has several",
    )
    serve.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if not (paths.PROJECT / "app.py").is_file():
        raise ConfigError("The app is not part of the installed package. Run it from the project's folder: make run.")
    from ser_core.serving import server

    if options.for_class:
        server.for_class(options.port, options.address)
    if options.address:
        raise ConfigError("--address goes with --class: without it, the app serves this machine only.")
    return server.alone(options.port)
