"""The command evaluate: recipes retrained under protocols, or trained models as they are, with all figures."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ser_core.cli import options as shared
from ser_core.cli.terminal import FAILED, message, red
from ser_core.errors import ConfigError, SerError

if TYPE_CHECKING:
    import pandas as pd

    from ser_core.experiments.outcome import Outcome
    from ser_core.experiments.workspace import Workspace


def add(commands: Any) -> None:
    """Add the command to the parser."""
    evaluate = commands.add_parser(
        "evaluate",
        help="measure models on corpora, by protocol",
        description="With --protocol, the model's recipe is retrained for each fold, without what the protocol holds out. Without it, the "
        "trained model is scored as it is, and the output says how many of the clips it was trained on.",
    )
    shared.add_model(evaluate, "a trained model, or mean: the average of knn, mlp, cnn and cnn_lstm")
    shared.add_recipe(evaluate)
    shared.add_corpus(evaluate, "a corpus to test on, installed or in DIR", required=True)
    shared.add_corpus(evaluate, "a corpus to train on only, installed or in DIR", option="--train-corpus")
    evaluate.add_argument(
        "--protocol",
        action="append",
        default=[],
        metavar="NAME",
        help="leaky, random, sentence, speaker, 'speaker and sentence' or cross-corpus; repeatable",
    )
    evaluate.add_argument(
        "--separately", action="store_true", help="measure each --corpus on its own, in its own folds"
    )
    shared.add_folders(evaluate, results="finished folds and of the log of readings")
    shared.add_json(evaluate, "print one JSON object per model, set of corpora and protocol")
    evaluate.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ser_core.system import priority

    priority.settle()  # before anything heavy is loaded
    from ser_core.dataset import protocols
    from ser_core.experiments.outcome import AS_TRAINED, to_dict

    workspace = shared.workspace_from(options)
    if not options.model and not options.classifier:
        raise ConfigError("Say what to measure: --model cnn for a trained model, or --classifier svm for a recipe.")
    if options.classifier and not options.protocol:
        raise ConfigError("A classifier without a protocol has nothing to be tested on. Add --protocol speaker.")
    unknown = [name for name in options.protocol if name not in protocols.PROTOCOLS]
    if unknown:
        raise ConfigError(f"There is no protocol '{unknown[0]}'. Choose from {', '.join(protocols.PROTOCOLS)}.")
    extra = list(shared.read_clips(options.train_corpus, options.corpora_dir, option="--train-corpus").values())
    tables = list(shared.read_clips(options.corpus, options.corpora_dir).values())
    groups = [[table] for table in tables] if options.separately else [tables]
    several = len(groups) * max(len(options.protocol), 1) > 1
    outcomes, status = [], 0
    for group in groups:
        for protocol in options.protocol or [AS_TRAINED]:
            try:
                outcomes += _outcomes(options, group, extra, protocol, workspace)
            except SerError as error:
                if not several:
                    raise
                status = FAILED  # the others can still be measured
                message(f"{' and '.join(str(table['corpus'].iloc[0]) for table in group)}, {protocol}: {error}")
    rows = [to_dict(outcome) for outcome in outcomes]
    if options.json:
        print(json.dumps(rows[0] if len(rows) == 1 and not several else rows, indent=1))
    else:
        _print(outcomes, rows)
    return status


def _outcomes(
    options: argparse.Namespace,
    tested: Sequence[pd.DataFrame],
    extra: Sequence[pd.DataFrame],
    protocol: str,
    workspace: Workspace,
) -> list[Outcome]:
    import numpy as np
    import pandas as pd

    from ser_core.experiments import measure, recipe
    from ser_core.experiments.outcome import AS_TRAINED, MEAN, mean
    from ser_core.recognition import store

    clips = pd.concat([*tested, *extra], ignore_index=True)
    among = np.arange(len(clips)) < sum(map(len, tested))
    found: dict[str, Outcome] = {}

    def outcome(slug: str) -> Outcome:
        if slug not in found:
            card = store.read_card(slug, workspace.models)
            if protocol == AS_TRAINED:
                found[slug] = measure.as_trained(card, clips[among].reset_index(drop=True), workspace)
            else:
                found[slug] = measure.held_out(recipe.recipe_of(card), clips, protocol, workspace, tested=among)
        return found[slug]

    outcomes = [
        mean([outcome(slug) for slug in store.FOUR]) if slug == MEAN else outcome(slug)
        for slug in dict.fromkeys(options.model)
    ]
    if options.classifier:
        outcomes.append(measure.held_out(shared.recipe_from(options), clips, protocol, workspace, tested=among))
    return outcomes


def _print(outcomes: Sequence[Outcome], rows: Sequence[dict[str, Any]]) -> None:
    """Print one table per protocol, then each model's figures by label."""
    from ser_core.dataset import protocols
    from ser_core.training import contamination

    for protocol in dict.fromkeys(each["protocol"] for each in rows):
        row = protocols.PROTOCOLS.get(protocol)
        worth = (
            f"{row.worth} Held out: {row.held_out}."
            if row
            else "The trained models as they are, whatever they were trained on."
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
        for outcome, each in zip(outcomes, rows, strict=True):
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
            warning = contamination.warning(outcome.heard) if outcome.heard else ""
            if warning:
                print("  ", *red(warning), sep="")
        told = [
            protocols.tells(telling)
            for outcome, each in zip(outcomes, rows, strict=True)
            if each["protocol"] == protocol and row and row.shares_sentences
            if (telling := protocols.telling(outcome.clips))
        ]
        for text in dict.fromkeys(told):
            print(f"  {text}")
        print()
    for doubles in dict.fromkeys(outcome.doubles for outcome in outcomes if outcome.doubles):
        message(doubles)
    for each in rows:
        _print_labels(each)
    for path, reason in dict.fromkeys(problem for outcome in outcomes for problem in outcome.problems):
        message(f"left out: {Path(path).name}: {reason}")


def _print_labels(each: dict[str, Any]) -> None:
    """Print each label's figures, and the confusion matrix as counts."""
    labels = each["labels"]
    print(f"{each['model']}, {each['corpus']}, {each['protocol']}: rows: acted label, columns: predicted label")
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
