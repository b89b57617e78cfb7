"""The command robustness: what trained models lose under noise, rooms, phone lines, codecs and changed voices."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ser_core.cli import options as shared
from ser_core.cli.terminal import message, red
from ser_core.errors import ConfigError

if TYPE_CHECKING:
    from ser_core.experiments.robustness import Robustness


def add(commands: Any) -> None:
    """Add the command to the parser."""
    robustness = commands.add_parser(
        "robustness", help="what trained models lose under noise, rooms, phone lines, codecs …"
    )
    shared.add_model(robustness, "a trained model to measure")
    shared.add_corpus(robustness, "a corpus to test on, installed or in DIR", required=True)
    robustness.add_argument(
        "--clips", type=int, default=120, metavar="N", help="clips to test on, of all labels (default: 120)"
    )
    robustness.add_argument(
        "--condition",
        action="append",
        default=[],
        metavar="NAME",
        help="such as white, babble, telephone or mp3; repeatable (default: all)",
    )
    shared.add_folders(robustness, results="finished conditions and of the log of readings")
    shared.add_json(robustness)
    robustness.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ser_core.system import priority

    priority.settle()  # before anything heavy is loaded
    import pandas as pd

    from ser_core.experiments.robustness import measure, possible, to_dict
    from ser_core.recognition import store

    if not options.model:
        raise ConfigError("Say what to measure: --model cnn, or several.")
    workspace = shared.workspace_from(options)
    cards = [store.read_card(slug, workspace.models) for slug in dict.fromkeys(options.model)]
    clips = pd.concat(shared.read_clips(options.corpus, options.corpora_dir).values(), ignore_index=True)
    names = options.condition or possible(clips)
    found = measure(cards, clips, names, workspace, n_clips=options.clips)
    if options.json:
        print(json.dumps(to_dict(found), indent=1))
    else:
        _print(found)
    for path, reason in found.problems:
        message(f"left out: {Path(path).name}: {reason}")
    return 0


def _print(found: Robustness) -> None:
    """Print one table per condition: the UAR of each model at each level, and what the worst level costs."""
    from ser_core.audio import degradations
    from ser_core.audio.degradations import CONDITIONS
    from ser_core.corpora import catalogue
    from ser_core.experiments import robustness as experiments_robustness
    from ser_core.experiments.robustness import FLATTERED
    from ser_core.training import contamination

    rows, models = found.rows, list(found.heard)
    clean = rows[rows["condition"] == degradations.CLEAN].set_index("model")
    print(f"{len(found.clips)} clips of {found.clips[catalogue.SPEAKER].nunique()} speakers, UAR (95 %)")
    for model in models:
        warning = contamination.warning(found.heard[model])
        print(f"  {model:<12} clean {_share(clean.loc[model])}", *(["  ", *red(warning)] if warning else []), sep="")
    if any(contamination.warning(each) for each in found.heard.values()):
        print(FLATTERED)
    worst = experiments_robustness.worst(rows).set_index(["condition", "model"])
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
