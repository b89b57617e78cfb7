"""The command `python -m ser_core robustness`: what trained models lose under noise, rooms, lines, codecs and another voice."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ser_core.cli_evaluate import add_places, desk_of, read_clips, red, say
from ser_core.errors import ConfigError

if TYPE_CHECKING:
    from ser_core.robustness import Robustness


def add(commands: Any) -> None:
    """Add the command to the parser."""
    robustness = commands.add_parser(
        "robustness", help="what trained models lose under noise, rooms, telephones, codecs …"
    )
    robustness.add_argument("--model", action="append", default=[], metavar="NAME", help="a trained model; repeatable")
    robustness.add_argument(
        "--corpus",
        action="append",
        required=True,
        metavar="NAME[=DIR]",
        help="an installed corpus, or one that lies in DIR; repeatable",
    )
    robustness.add_argument(
        "--clips", type=int, default=120, metavar="N", help="clips that are heard, of all labels (default: 120)"
    )
    robustness.add_argument(
        "--condition",
        action="append",
        default=[],
        metavar="NAME",
        help="such as white, babble, telephone, mp3; repeatable (default: all)",
    )
    add_places(robustness, results="finished conditions and the log of readings")
    robustness.add_argument("--json", action="store_true", help="print JSON")
    robustness.set_defaults(run=_robustness)


def _robustness(options: argparse.Namespace) -> int:
    from ser_core import background

    background.settle()  # before anything heavy is loaded
    import pandas as pd

    from ser_core import robustness, store

    if not options.model:
        raise ConfigError("Say what to measure: --model cnn, or several.")
    desk = desk_of(options)
    cards = [store.read_card(slug, desk.models) for slug in dict.fromkeys(options.model)]
    clips = pd.concat([read_clips(given, options.corpora_dir) for given in options.corpus], ignore_index=True)
    names = options.condition or robustness.possible(clips)
    found = robustness.measure(cards, clips, names, desk, n_clips=options.clips)
    if options.json:
        print(json.dumps(robustness.to_dict(found), indent=1))
    else:
        _print(found)
    for path, reason in found.problems:
        say(f"left out: {Path(path).name}: {reason}")
    return 0


def _print(found: Robustness) -> None:
    """Print a table a condition: the UAR of each model at each level, and what the worst one costs."""
    from ser_core import assessment, corpora, robustness
    from ser_core.conditions import CONDITIONS

    rows, models = found.rows, list(found.heard)
    clean = rows[rows["condition"] == robustness.CLEAN].set_index("model")
    print(f"{len(found.clips)} clips of {found.clips[corpora.SPEAKER].nunique()} speakers, UAR (95 %)")
    for model in models:
        warning = assessment.warning(found.heard[model])
        print(f"  {model:<12} clean {_share(clean.loc[model])}", *(["  ", *red(warning)] if warning else []), sep="")
    if any(assessment.warning(each) for each in found.heard.values()):
        print(robustness.FLATTERED)
    worst = robustness.worst(rows).set_index(["condition", "model"])
    for name in dict.fromkeys(worst.index.get_level_values(0)):
        row = CONDITIONS[name]
        print(f"{row.title}, {row.unit}: {row.imitates}")
        for model in models:
            of = rows[(rows["condition"] == name) & (rows["model"] == model)]
            levels = "  ".join(f"{each.level:g}: {each.uar:.1%}" for each in of.itertuples())
            lost = worst.loc[(name, model)]
            print(
                f"  {model:<12} {levels}  most lost at {lost['level']:g}: {100 * lost['lost']:.1f} points "
                f"({100 * lost['lost_low']:+.1f} to {100 * lost['lost_high']:+.1f})"
            )


def _share(row: Any) -> str:
    return f"{row['uar']:.1%} ({row['low']:.1%} to {row['high']:.1%})"
