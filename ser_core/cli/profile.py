"""The command profile: how the clips of each label sound in the corpora, as quantiles that come with the project."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from ser_core.cli import options as shared
from ser_core.cli.terminal import ProgressPrinter, message

if TYPE_CHECKING:
    from ser_core.explanation.profile import Profile


def add(commands: Any) -> None:
    """Add the command to the parser."""
    profile = commands.add_parser(
        "profile",
        help="how the clips of each label sound: pitch, level, rate and more",
        description="Measures pitch, pitch range, level, rate, brightness and jitter of the clips of some corpora, as quantiles per corpus "
        "and label. Without --corpus, those that come with the project are printed.",
    )
    shared.add_corpus(profile, "a corpus that is measured, such as ravdess=DIR", metavar="NAME=DIR")
    shared.add_cache(profile)
    shared.add_out(profile, "file to write the quantiles to, as JSON, besides printing them")
    shared.add_json(profile)
    shared.add_jobs(profile, spare=1)
    profile.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ser_core.system import priority

    priority.settle()  # before anything heavy is loaded
    from ser_core.explanation import profile

    shared.check_out(options.out)
    found = _measured(options) if options.corpus else profile.read()
    if options.out:
        profile.write(options.out, found)
        message(f"{options.out}: {len(found.cells)} rows")
    if options.json:
        print(json.dumps(profile.to_dict(found), indent=1))
    else:
        _print(found)
    return 0


def _measured(options: argparse.Namespace) -> Profile:
    import pandas as pd

    from ser_core import paths
    from ser_core.corpora import scan
    from ser_core.dataset import exploration
    from ser_core.explanation import profile

    folders = shared.parse_folders(options.corpus)
    clips = pd.concat([scan.scan(name, folder) for name, folder in folders.items()], ignore_index=True)
    printer = ProgressPrinter()
    measured = exploration.measure(
        clips,
        cache=options.cache or paths.feature_cache(),
        n_jobs=shared.worker_count(options),
        on_progress=lambda done, total: printer(done / total, f"features: {done:,} of {total:,}"),
    )
    names = [f"--corpus {name}=DIR" for name in folders]
    command = " ".join(["python -m ser_core profile", *names, *(["--out", options.out.name] if options.out else [])])
    return profile.make(clips, measured, command=command)


def _print(found: Profile) -> None:
    """Print a line per label and figure: where a tenth, a half and nine tenths of the clips of all corpora lie."""
    from ser_core.dataset.exploration import TRENDS
    from ser_core.explanation.profile import MEASURES

    print(found.licence)
    for cell in found.cells:
        print(f"{cell.corpus} {cell.label}: {cell.n_clips} clips; a tenth, half and nine tenths of them lie below")
        for name in MEASURES:
            if name in cell.values:
                low, middle, high = (cell.values[name][place] for place in (4, 20, 36))
                print(f"  {TRENDS[name].title:<18} {low:10.4g} {middle:10.4g} {high:10.4g}  {TRENDS[name].unit}")
