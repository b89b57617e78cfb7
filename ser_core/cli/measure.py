"""The command measure: a measurement that a page has put into the line of runs, done in this process."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from ser_core.cli import options as shared
from ser_core.cli.terminal import FAILED, message


def add(commands: Any) -> None:
    """Add the command to the parser."""
    measure = commands.add_parser(
        "measure",
        help="do a measurement of the Compare page",
        description="Do the measurement whose settings lie in a run's folder, as the Compare page does, or resume it after a stop. "
        "`evaluate`, `robustness`, `matrix` and `lab` measure with options in place of a folder, and print what they find.",
    )
    measure.add_argument("--run", dest="run_folder", type=Path, required=True, metavar="DIR", help="folder of the run")
    shared.add_folders(measure, results="finished folds and of the log of readings")
    measure.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ser_core.system import priority

    priority.settle()  # before anything heavy is loaded
    from ser_core import paths
    from ser_core.experiments import runs
    from ser_core.training import run_folder, stopping

    folder, workspace = options.run_folder, shared.workspace_from(options)
    kind = runs.KINDS[runs.read_config(folder)["measurement"]]
    before = run_folder.read_status(folder)
    if before and before.ended:  # a run that resumes: its stop is over
        (folder / run_folder.STOP).unlink(missing_ok=True)
    reporter = run_folder.Reporter(folder, on_line=message)
    with stopping.stopping(reporter, workspace.models, text=kind.stopped):
        status = runs.work(reporter, workspace, options.corpora_dir or paths.corpora_folder())
    sys.stdout.flush()
    return 0 if status.stage == run_folder.DONE else FAILED
