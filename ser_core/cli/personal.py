"""The command personal: what a newcomer's own takes are worth, on speakers that the models have not learned from."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ser_core.cli import options as shared
from ser_core.cli.terminal import message

if TYPE_CHECKING:
    from ser_core.recognition.personal import Strengths
    from ser_core.training.personal import Answers, Row, Table


def add(commands: Any) -> None:
    """Add the command to the parser."""
    personal = commands.add_parser(
        "personal",
        help="what it is worth to adapt the models to one's own voice",
        description="Each speaker in turn is a newcomer who gives 0, 1 or 2 takes per label, and is tested on other sentences. With all of "
        "the shipped models, all together are measured as well. Without --corpus, the results that come with the project are printed.",
    )
    shared.add_corpus(
        personal, "a corpus that is trained on and, but TESS, tested, such as ravdess=DIR", metavar="NAME=DIR"
    )
    shared.add_model(personal, "a shipped model whose recipe is retrained (default: transfer)")
    personal.add_argument(
        "--work", type=Path, default=Path("build"), metavar="DIR", help="folder of finished folds (default: build)"
    )
    personal.add_argument(
        "--answers",
        type=Path,
        metavar="FILE",
        help="held-out answers of the models that are not retrained, all but transfer (default: those of the project)",
    )
    shared.add_cache(personal)
    shared.add_out(personal, "file to write the rows to, as JSON, besides printing them; other models' rows in it stay")
    shared.add_json(personal)
    shared.add_jobs(personal, spare=1)
    personal.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ser_core.system import priority

    priority.settle()  # before anything heavy is loaded
    from ser_core.training import personal

    shared.check_out(options.out)
    table = _measured(options) if options.corpus else personal.read()
    if options.out:
        old = personal.read(options.out) if options.out.exists() else None
        personal.write(options.out, personal.merged(old, table))
        message(f"{options.out}: {len(table.rows)} rows")
    if options.json:
        print(json.dumps(personal.to_dict(table), indent=1))
    else:
        _print(table)
    return 0


def _measured(options: argparse.Namespace) -> Table:
    from ser_core import paths
    from ser_core.dataset import protocols, splits
    from ser_core.training import held_out, personal, shipped

    folders = shared.parse_folders(options.corpus)
    slugs = shipped.chosen(options.model or ["transfer"])
    clips = personal.read_clips(folders, shipped.RECIPES[slugs[0]].labels)
    strengths: dict[str, Strengths] = {}
    rows: list[Row] = []
    measured: dict[str, Answers] = {}
    pool = shipped.POOLS[0] if set(shipped.POOLS[0]) <= set(slugs) else ()
    stored = [slug for slug in slugs if shipped.RECIPES[slug].classifier not in personal.DISCRIMINANTS]
    parts = held_out.read(options.answers or held_out.RESULTS) if pool or stored else ()
    joint = held_out.find(parts, splits.SPEAKER_PROTOCOL, held_out.ALL)
    for slug in slugs:
        config = shipped.RECIPES[slug]
        if slug in stored:
            measured[slug] = personal.from_held_out(slug, joint, clips)
        else:
            measured[slug] = personal.answers(
                slug,
                clips,
                config,
                work=options.work,
                cache=options.cache or paths.feature_cache(),
                n_jobs=shared.worker_count(options),
                say=message,
            )
        strengths[slug], found = personal.enrolled(measured[slug], say=message)
        rows += found
    if pool:
        across = held_out.find(parts, protocols.ACROSS, held_out.OTHERS)
        rows += personal.enrolled_together([measured[slug] for slug in pool], joint, across, say=message)
    names = [f"--corpus {name}=DIR" for name in folders] + [f"--model {slug}" for slug in slugs]
    command = " ".join(["python -m ser_core personal", *names, *(["--out", options.out.name] if options.out else [])])
    return personal.Table(command=command, protocol=personal.WORDS, strengths=strengths, rows=tuple(rows))


def _print(table: Table) -> None:
    """Print a line per model, corpus and number of takes: accuracy, what the takes gain, and what another speaker's gain."""
    print(table.protocol)
    for model in dict.fromkeys(row.model for row in table.rows):
        print(f"{model}: accuracy (95 % over speakers), gain in points over no takes, and with another speaker's takes")
        for row in table.rows:
            if row.model == model:
                print(f"  {row.corpus:<8} {_words(row)}")


def _words(row: Row) -> str:
    text = f"{row.takes} takes per label ({row.n_takes:4.1f})  {row.accuracy:.1%} ({row.low:.1%} to {row.high:.1%})"
    if row.takes:
        text += f"  {_points(row.gain, row.gain_low, row.gain_high)}  {_points(row.control, row.control_low, row.control_high)}"
    return text


def _points(value: float, low: float, high: float) -> str:
    return f"{100 * value:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
