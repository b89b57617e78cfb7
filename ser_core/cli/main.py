"""The command line: its parser and its entry point, for `ser` and `python -m ser_core`. Each command is a file beside this one.

Results go to stdout, progress and errors to stderr, one line each. Exit status 0: everything worked; 2: something could not be used,
and a line says what and what to do.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ser_core.system import priority

priority.limit_threads()  # before numpy loads

from ser_core.cli import (  # noqa: E402
    build_models,
    card,
    corpora,
    evaluate,
    explain,
    lab,
    matrix,
    measure,
    models,
    personal,
    predict,
    profile,
    robustness,
    serve,
    table,
    terminal,
    train,
    what_if,
)
from ser_core.cli.options import Parser  # noqa: E402
from ser_core.errors import SerError  # noqa: E402

COMMANDS = (
    predict,
    explain,
    what_if,
    models,
    card,
    corpora,
    train,
    evaluate,
    table,
    robustness,
    matrix,
    lab,
    personal,
    profile,
    measure,
    serve,
    build_models,
)
"""In the order of --help; each adds itself to the parser."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; without arguments, those of the process."""
    if arguments is None:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # a file's name need not be text, nor in the terminal's encoding
                stream.reconfigure(errors="backslashreplace")
    with terminal.visible_streams():
        return _run(parser().parse_args(arguments))


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    started_as = Path(sys.argv[0]).stem
    top = Parser(
        prog="ser" if started_as == "ser" else "python -m ser_core",
        description="Speech emotion recognition from the command line.",
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return top


def _run(options: argparse.Namespace) -> int:
    try:
        status: int = options.run(options)
        sys.stdout.flush()
        return status
    except SerError as error:
        return terminal.fail(str(error))
    except BrokenPipeError:  # the reader, such as head, has seen enough; what is left in the buffer goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return terminal.fail("Stopped.")
