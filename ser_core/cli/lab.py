"""The command lab: what each leak between training and test data does to a score."""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ser_core.cli import options as shared
from ser_core.cli.terminal import message
from ser_core.errors import ConfigError
from ser_core.system import units

if TYPE_CHECKING:
    import pandas as pd

    from ser_core.experiments.leakage_lab import LeakageSettings
    from ser_core.experiments.workspace import Workspace


def add(commands: Any) -> None:
    """Add the command to the parser."""
    lab = commands.add_parser("lab", help="what each leak between training and test data does to a score")
    shared.add_corpus(lab, "a corpus to study, installed or in DIR")
    lab.add_argument(
        "--preset", metavar="NAME", help="a published recipe: copies, two-voices, test-picks or not-stated"
    )
    lab.add_argument("--classifier", choices=["knn", "mlp"], default="mlp", help="what is trained (default: mlp)")
    lab.add_argument(
        "--split",
        choices=["random", "sentence", "speaker", "speaker and sentence"],
        default="speaker",
        help="what training and test do not share: nothing, a sentence, a speaker, or both; with --split speaker, sentences that give the "
        "emotion away still leak, where a corpus has such (default: speaker)",
    )
    lab.add_argument(
        "--augment",
        choices=["none", "before", "after"],
        default="none",
        help="augmented copies before the split, or after it (default: none)",
    )
    lab.add_argument(
        "--scaler",
        choices=["train", "all"],
        default="train",
        help="the data that the scaler is fitted on (default: train)",
    )
    lab.add_argument(
        "--early-stopping",
        choices=["validation", "test"],
        default="validation",
        help="the data that choose the epoch (default: validation)",
    )
    lab.add_argument("--duplicates", action="store_true", help="every recording is in the corpus twice")
    lab.add_argument("--every", action="store_true", help="measure all combinations of these settings; needs --out")
    shared.add_out(lab, "with --every: file to write the results to, as JSON")
    shared.add_folders(lab, results="finished studies", models=False)
    shared.add_json(lab)
    lab.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ser_core.system import priority

    priority.settle()  # before anything heavy is loaded
    from ser_core import paths
    from ser_core.corpora import library
    from ser_core.experiments import leakage_lab

    if options.every != (options.out is not None) or (options.every and options.preset):
        raise ConfigError(
            "--every and --out go together, without --preset: lab --corpus ravdess --every --out lab.json."
        )
    shared.check_out(options.out)
    workspace = shared.workspace_from(options)
    tables = shared.read_clips(options.corpus, options.corpora_dir)
    if options.preset:
        presets = {name.replace(" ", "-"): preset for name, preset in leakage_lab.PRESETS.items()}
        if options.preset not in presets:
            raise ConfigError(f"There is no preset '{options.preset}'. Choose from {', '.join(presets)}.")
        preset = presets[options.preset]
        if not tables:
            root = options.corpora_dir or paths.corpora_folder()
            tables = {name: library.clips(root, [name]) for name in library.installed(root) if name in preset.corpora}
        clips = leakage_lab.preset_clips(preset, tables)
        if clips is None:
            raise ConfigError(f"None of {', '.join(preset.corpora)} is installed. Name one with --corpus ravdess=DIR.")
        missing = [name for name in preset.corpora if name not in tables]
        message(preset.claim + (f" Not installed: {', '.join(missing)}." if missing else ""))
        return _print(
            dataclasses.replace(preset.settings, classifier=options.classifier), clips, workspace, as_json=options.json
        )
    if not tables:
        raise ConfigError("Name a corpus to study: --corpus ravdess, or --corpus ravdess=DIR.")
    import pandas as pd

    clips = pd.concat(list(tables.values()), ignore_index=True)
    if options.every:
        return _every(options.out, clips, workspace)
    settings = leakage_lab.LeakageSettings(
        classifier=options.classifier,
        split=options.split,
        augment=options.augment,
        scaler=options.scaler,
        early_stopping=options.early_stopping,
        twins=options.duplicates,
    )
    return _print(settings, clips, workspace, as_json=options.json)


def _print(settings: LeakageSettings, clips: pd.DataFrame, workspace: Workspace, *, as_json: bool) -> int:
    """Print the score with the chosen leaks, then with one leak after the other closed."""
    from ser_core.dataset import protocols
    from ser_core.experiments import leakage_lab

    telling = protocols.telling(clips)
    if telling:
        message(protocols.tells(telling))
    rows = []
    for title, each in leakage_lab.ladder(settings, telling=bool(telling)):
        rows.append({"step": title, **leakage_lab.to_row(each, leakage_lab.study(each, clips, workspace))})
        if not as_json:
            row = rows[-1]
            low, high = row["interval"]["accuracy"]
            print(
                f"{title:<28} accuracy {row['accuracy']:.1%} ({low:.1%} to {high:.1%}), UAR {row['uar']:.1%}, {row['n_clips']} clips; "
                f"trained on: speaker {row['seen']['speaker']:.0%}, sentence {row['seen']['sentence']:.0%}, "
                f"recording {row['seen']['twin']:.0%}",
                flush=True,
            )
    if as_json:
        print(json.dumps(rows, indent=1))
    return 0


def _every(file: Path, clips: pd.DataFrame, workspace: Workspace) -> int:
    from ser_core.corpora import catalogue
    from ser_core.experiments import leakage_lab

    start_s = time.monotonic()
    todo = leakage_lab.combinations()
    rows = []
    for number, settings in enumerate(todo):
        rows.append(leakage_lab.to_row(settings, leakage_lab.study(settings, clips, workspace)))
        message(
            f"{number + 1} of {len(todo)}: {' '.join(map(str, dataclasses.astuple(settings)))}: accuracy {rows[-1]['accuracy']:.1%}"
        )
    names = list(dict.fromkeys(clips[catalogue.CORPUS]))
    command = f"python -m ser_core lab {' '.join(f'--corpus {name}=DIR' for name in names)} --every --out {file.name}"
    facts = {
        "corpora": names,
        "n_clips": len(clips),
        "command": command,
        "n_copies": leakage_lab.N_COPIES,
        "settings": leakage_lab.CLASSIFIERS,
    }
    text = ",\n ".join(json.dumps(row) for row in rows)
    file.write_text(f'{json.dumps(facts, indent=1)[:-2]},\n "studies": [\n {text}\n ]\n}}\n', encoding="utf-8")
    print(f"{file}: {len(rows)} studies after {units.duration(time.monotonic() - start_s)}")
    return 0
