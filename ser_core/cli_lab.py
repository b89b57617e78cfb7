"""The command `python -m ser_core lab`: studies of the leakage lab from a shell, and the results that come with the project."""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ser_core.cli_evaluate import add_places, desk_of, read_clips, say
from ser_core.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

    from ser_core.assessment import Desk
    from ser_core.lab import Switches


def add(commands: Any) -> None:
    """Add the command to the parser."""
    lab = commands.add_parser("lab", help="what each leak between training and test does to a score")
    lab.add_argument(
        "--corpus",
        action="append",
        default=[],
        metavar="NAME[=DIR]",
        help="an installed corpus, or one in DIR; repeatable",
    )
    lab.add_argument(
        "--preset", metavar="NAME", help="a published recipe: copies, 'two voices', 'test picks' or 'not stated'"
    )
    lab.add_argument("--classifier", choices=["knn", "mlp"], default="mlp")
    lab.add_argument("--split", choices=["random", "sentence", "speaker"], default="speaker")
    lab.add_argument(
        "--augment", choices=["none", "before", "after"], default="none", help="copies before the split, or after it"
    )
    lab.add_argument("--scaler", choices=["train", "all"], default="train", help="what the scaler is fitted on")
    lab.add_argument(
        "--early-stopping", choices=["validation", "test"], default="validation", help="what chooses the epoch"
    )
    lab.add_argument("--twins", action="store_true", help="every recording is there twice")
    lab.add_argument(
        "--every", type=Path, metavar="FILE", help="work through all settings of the switches, and write them to FILE"
    )
    add_places(lab, results="where finished studies are kept", models=False)
    lab.add_argument("--json", action="store_true", help="print JSON")
    lab.set_defaults(run=_lab)


def _lab(options: argparse.Namespace) -> int:
    from ser_core import background

    background.settle()  # before anything heavy is loaded
    from ser_core import lab, library

    desk = desk_of(options)
    tables = {given.partition("=")[0]: read_clips(given, options.corpora_dir) for given in options.corpus}
    if options.preset:
        if options.preset not in lab.PRESETS:
            raise ConfigError(f"There is no preset '{options.preset}'. Choose from {', '.join(lab.PRESETS)}.")
        preset = lab.PRESETS[options.preset]
        if not tables:
            root = options.corpora_dir or library.root()
            tables = {name: library.clips(root, [name]) for name in library.installed(root) if name in preset.corpora}
        clips = lab.preset_clips(preset, tables)
        if clips is None:
            raise ConfigError(f"None of {', '.join(preset.corpora)} is installed. Name one with --corpus ravdess=DIR.")
        missing = [name for name in preset.corpora if name not in tables]
        say(preset.claim + (f" Not here: {', '.join(missing)}." if missing else ""))
        return _print(
            dataclasses.replace(preset.switches, classifier=options.classifier), clips, desk, as_json=options.json
        )
    if not tables:
        raise ConfigError("Say on what: --corpus ravdess, or --corpus ravdess=DIR.")
    import pandas as pd

    clips = pd.concat(list(tables.values()), ignore_index=True)
    if options.every:
        return _every(options.every, clips, desk)
    switches = lab.Switches(
        classifier=options.classifier,
        split=options.split,
        augment=options.augment,
        scaler=options.scaler,
        early_stopping=options.early_stopping,
        twins=options.twins,
    )
    return _print(switches, clips, desk, as_json=options.json)


def _print(switches: Switches, clips: pd.DataFrame, desk: Desk, *, as_json: bool) -> int:
    """Print the score with the leaks that were chosen, then with one after the other closed."""
    from ser_core import lab

    rows = []
    for title, each in lab.ladder(switches):
        rows.append({"step": title, **lab.to_row(each, lab.study(each, clips, desk))})
        if not as_json:
            row = rows[-1]
            low, high = row["interval"]["accuracy"]
            print(
                f"{title:<28} accuracy {row['accuracy']:.1%} ({low:.1%} to {high:.1%}), UAR {row['uar']:.1%}, {row['n_clips']} clips; "
                f"trained on: speaker {row['seen']['speaker']:.0%}, recording {row['seen']['twin']:.0%}",
                flush=True,
            )
    if as_json:
        print(json.dumps(rows, indent=1))
    return 0


def _every(file: Path, clips: pd.DataFrame, desk: Desk) -> int:
    from ser_core import corpora, lab

    begun = time.monotonic()
    todo = lab.combinations()
    rows = []
    for number, switches in enumerate(todo):
        rows.append(lab.to_row(switches, lab.study(switches, clips, desk)))
        say(
            f"{number + 1} of {len(todo)}: {' '.join(map(str, dataclasses.astuple(switches)))}: accuracy {rows[-1]['accuracy']:.1%}"
        )
    names = list(dict.fromkeys(clips[corpora.CORPUS]))
    command = f"python -m ser_core lab {' '.join(f'--corpus {name}=DIR' for name in names)} --every {file.name}"
    made = {
        "corpora": names,
        "n_clips": len(clips),
        "command": command,
        "n_copies": lab.N_COPIES,
        "settings": lab.CLASSIFIERS,
    }
    text = ",\n ".join(json.dumps(row) for row in rows)
    file.write_text(f'{json.dumps(made, indent=1)[:-2]},\n "studies": [\n {text}\n ]\n}}\n', encoding="utf-8")
    print(f"{file}: {len(rows)} studies after {(time.monotonic() - begun) / 60:.1f} minutes")
    return 0
