"""The command `python -m ser_core evaluate`: recipes retrained under protocols, or trained models as they are, with all figures."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ser_core.errors import ConfigError, SerError

if TYPE_CHECKING:
    import pandas as pd

    from ser_core.assessment import Desk, Outcome, Recipe

RED, PLAIN = "\x1b[31m", "\x1b[0m"


def add(commands: Any) -> None:
    """Add the command to the parser."""
    evaluate = commands.add_parser(
        "evaluate",
        help="measure models on corpora, by protocol",
        description="With --protocol the model's recipe is trained again, once a fold, without what the protocol holds out. Without, "
        "the trained model is scored as it is, and what of the clips it has heard before is said.",
    )
    evaluate.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="NAME",
        help="a trained model, or mean: the mean of the shipped four; repeatable",
    )
    add_recipe(evaluate)
    evaluate.add_argument(
        "--corpus",
        action="append",
        required=True,
        metavar="NAME[=DIR]",
        help="tested: an installed corpus, or one that lies in DIR; repeatable",
    )
    evaluate.add_argument(
        "--train-corpus", action="append", default=[], metavar="NAME[=DIR]", help="only trained on; repeatable"
    )
    evaluate.add_argument(
        "--protocol",
        action="append",
        default=[],
        metavar="NAME",
        help="leaky, random, sentence, speaker or cross-corpus; repeatable",
    )
    evaluate.add_argument("--separately", action="store_true", help="each --corpus by itself, in its own folds")
    add_places(evaluate, results="finished folds and the log of readings")
    evaluate.add_argument(
        "--json", action="store_true", help="print one JSON object a model, corpus choice and protocol"
    )
    evaluate.set_defaults(run=_evaluate)


def add_recipe(command: argparse.ArgumentParser) -> None:
    """Add what describes a recipe of its own, for `recipe_of`."""
    command.add_argument("--classifier", metavar="NAME", help="a recipe of its own, such as svm, in place of a model's")
    command.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a hyperparameter of it; repeatable"
    )
    command.add_argument(
        "--copies", type=int, metavar="N", help="augmented copies of each training clip of it (default: none)"
    )


def add_places(command: argparse.ArgumentParser, *, results: str, models: bool = True) -> None:
    """Add what says where a measurement reads and keeps things, and on how many processes.

    results: what is kept; models: whether it reads trained models.
    """
    command.add_argument("--results", type=Path, metavar="DIR", help=f"{results} (default: cache/evaluations)")
    command.add_argument("--cache", type=Path, metavar="DIR", help="where measured features are kept")
    command.add_argument("--corpora-dir", type=Path, metavar="DIR", help="folder of the installed corpora")
    command.add_argument("--jobs", type=int, default=1, metavar="N", help="processes that measure clips (default: 1)")
    if models:
        command.add_argument("--models-dir", type=Path, metavar="DIR", help="another models folder")
    else:
        command.set_defaults(models_dir=None)


def check_target(path: Path | None) -> None:
    """Raise ConfigError where a file that results are to be written to has no folder: before anything is measured."""
    if path and not path.parent.is_dir():
        raise ConfigError(f"'{path}' cannot be written: its folder is not there. Name a file in a folder that is.")


def desk_of(options: argparse.Namespace) -> Desk:
    """Return the desk that `add_places`' options describe; raises ConfigError for fewer than 1 process."""
    from ser_core import assessment, dataset, store

    if options.jobs < 1:
        raise ConfigError(f"--jobs must be 1 or more. Got {options.jobs}.")
    return assessment.Desk(
        cache=options.cache or dataset.cache_folder(),
        results=options.results or assessment.results_folder(),
        models=options.models_dir or store.MODELS,
        n_jobs=options.jobs,
        on_progress=Teller(),
    )


def _evaluate(options: argparse.Namespace) -> int:
    from ser_core import background

    background.settle()  # before anything heavy is loaded
    from ser_core import assessment, protocols

    desk = desk_of(options)
    if not options.model and not options.classifier:
        raise ConfigError("Say what to measure: --model cnn for a trained model, or --classifier svm for a recipe.")
    if options.classifier and not options.protocol:
        raise ConfigError("A classifier without a protocol has nothing to be tested on. Add --protocol speaker.")
    unknown = [name for name in options.protocol if name not in protocols.PROTOCOLS]
    if unknown:
        raise ConfigError(f"There is no protocol '{unknown[0]}'. Choose from {', '.join(protocols.PROTOCOLS)}.")
    extra = [read_clips(given, options.corpora_dir) for given in options.train_corpus]
    tables = [read_clips(given, options.corpora_dir) for given in options.corpus]
    groups = [[table] for table in tables] if options.separately else [tables]
    several = len(groups) * max(len(options.protocol), 1) > 1
    outcomes, status = [], 0
    for group in groups:
        for protocol in options.protocol or [assessment.AS_TRAINED]:
            try:
                outcomes += _outcomes(options, group, extra, protocol, desk)
            except SerError as error:
                if not several:
                    raise
                status = 2  # the others can still be measured
                say(f"{' and '.join(str(table['corpus'].iloc[0]) for table in group)}, {protocol}: {error}")
    told = [assessment.to_dict(outcome) for outcome in outcomes]
    if options.json:
        print(json.dumps(told[0] if len(told) == 1 and not several else told, indent=1))
    else:
        _print(outcomes, told)
    return status


def _outcomes(
    options: argparse.Namespace,
    tested: Sequence[pd.DataFrame],
    extra: Sequence[pd.DataFrame],
    protocol: str,
    desk: Desk,
) -> list[Outcome]:
    import numpy as np
    import pandas as pd

    from ser_core import assessment, store

    clips = pd.concat([*tested, *extra], ignore_index=True)
    among = np.arange(len(clips)) < sum(map(len, tested))
    found: dict[str, Outcome] = {}

    def outcome(slug: str) -> Outcome:
        if slug not in found:
            card = store.read_card(slug, desk.models)
            if protocol == assessment.AS_TRAINED:
                found[slug] = assessment.as_trained(card, clips[among].reset_index(drop=True), desk)
            else:
                found[slug] = assessment.held_out(assessment.recipe_of(card), clips, protocol, desk, tested=among)
        return found[slug]

    made = [
        assessment.mean([outcome(slug) for slug in store.SHIPPED]) if slug == assessment.MEAN else outcome(slug)
        for slug in dict.fromkeys(options.model)
    ]
    if options.classifier:
        made.append(assessment.held_out(recipe_of(options), clips, protocol, desk, tested=among))
    return made


def recipe_of(options: argparse.Namespace) -> Recipe:
    """Return the recipe that `add_recipe`'s options describe; raises ConfigError for what it cannot be made of."""
    from ser_core import assessment, classifiers
    from ser_core.cli_train import parse_pair, parse_value
    from ser_core.training import TrainingConfig

    settings = {name: parse_value(text) for name, text in (parse_pair(given, "--set") for given in options.set)}
    copies = 0 if options.copies is None else options.copies
    if not 0 <= copies <= 10:
        raise ConfigError(f"--copies must be 0 to 10. Got {copies}.")
    checked = classifiers.check(options.classifier, settings)
    config = TrainingConfig(
        classifier=options.classifier, hyperparameters={name: checked[name] for name in settings}, n_copies=copies
    )
    return assessment.Recipe(name=options.classifier, config=config)


def read_clips(given: str, root: Path | None) -> pd.DataFrame:
    """Return the clips of NAME, installed, or NAME=DIR: a known corpus, a table of one's own, or folders named after labels."""
    from ser_core import corpora, library

    name, separator, place = given.partition("=")
    if not separator:
        return library.clips(root or library.root(), [name])
    if not place:
        raise ConfigError(f"--corpus takes NAME or NAME=DIR, such as ravdess=/data/RAVDESS. Got {given!r}.")
    if name in corpora.CORPORA:
        return corpora.scan(name, place)
    path = Path(place)
    tables = [path] if path.is_file() else [path / table for table in library.TABLES if (path / table).is_file()]
    return corpora.read_table(tables[0], corpus=name) if tables else corpora.read_folders(path, corpus=name)


def _print(outcomes: Sequence[Outcome], told: Sequence[dict[str, Any]]) -> None:
    """Print a table a protocol, one below the other, then what each model did with each label."""
    from ser_core import assessment, protocols

    for protocol in dict.fromkeys(each["protocol"] for each in told):
        row = protocols.PROTOCOLS.get(protocol)
        worth = (
            f"{row.worth} Held out: {row.held_out}."
            if row
            else "The models as they are, whatever they were trained on."
        )
        print(f"protocol {protocol}: {worth}")
        line = "  {:<14} {:<12} {:<24} {:>8} {:>9} {:>7} {:>6} {:>6} {:>7} {:>6} {:>6} {:>8}  {}"
        print(
            line.format(
                "model",
                "corpus",
                "UAR (95 %)",
                "accuracy",
                "precision",
                "F1",
                "ECE",
                "AUC",
                "chance",
                "human",
                "clips",
                "speakers",
                "test clips whose speaker / sentence / recording was trained on" if row else "",
            )
        )
        for outcome, each in zip(outcomes, told, strict=True):
            if each["protocol"] != protocol:
                continue
            for figures in [each, *each.get("per_corpus", {}).values()]:
                low, high = figures["interval"]["uar"]
                areas = figures["curves"]["auc"].values()
                seen = figures.get("seen")
                print(
                    line.format(
                        outcome.model,
                        figures["corpus"],
                        f"{figures['uar']:.1%} ({low:.1%} to {high:.1%})",
                        f"{figures['accuracy']:.1%}",
                        f"{figures['macro_precision']:.1%}",
                        f"{figures['macro_f1']:.1%}",
                        f"{figures['ece']:.3f}",
                        f"{sum(areas) / len(areas):.3f}" if areas else "",
                        f"{figures['chance']:.1%}",
                        f"{figures['human']:.1%}" if "human" in figures else "",
                        figures["n_clips"],
                        figures["n_test_speakers"],
                        " / ".join(f"{seen[name]:.0%}" for name in seen) if seen else "",
                    ).rstrip()
                )
            warning = assessment.warning(outcome.heard) if outcome.heard else ""
            if warning:
                print("  ", *red(warning), sep="")
        print()
    for each in told:
        _print_labels(each)
    for path, reason in dict.fromkeys(problem for outcome in outcomes for problem in outcome.problems):
        say(f"left out: {Path(path).name}: {reason}")


def _print_labels(each: dict[str, Any]) -> None:
    """Print each label's figures, and the confusion matrix as counts: rows acted, columns answered."""
    labels = each["labels"]
    print(f"{each['model']}, {each['corpus']}, {each['protocol']}: rows acted, columns answered")
    print(
        f"  {'':<9} {'precision':>9} {'recall':>7} {'F1':>7} {'AUC':>6}  "
        + " ".join(f"{label[:8]:>8}" for label in labels)
    )
    for label, counts in zip(labels, each["confusion"], strict=True):
        if label not in each["per_label"]:
            continue
        row = each["per_label"][label]
        area = each["curves"]["auc"].get(label)
        print(
            f"  {label:<9} {row['precision']:>9.1%} {row['recall']:>7.1%} {row['f1']:>7.1%} {'' if area is None else f'{area:.3f}':>6}  "
            + " ".join(f"{n:>8}" for n in counts)
        )
    print()


class Teller:
    """Says on stderr how far it is, every other second at most."""

    def __init__(self) -> None:
        self._said_s, self._last = 0.0, ""

    def __call__(self, fraction: float, text: str) -> None:
        now_s = time.monotonic()
        if text != self._last and now_s - self._said_s >= 2:
            self._said_s, self._last = now_s, text
            say(f"{fraction:4.0%} {text}")


def say(text: str) -> None:
    """Write one line to stderr."""
    print(" ".join(text.split()), file=sys.stderr, flush=True)


def red(text: str) -> tuple[str, ...]:
    """Return text to print in red where a terminal shows it; in pieces, because a terminal's code among other text is made visible."""
    return (RED, text, PLAIN) if text and sys.stdout.isatty() else (text,)
