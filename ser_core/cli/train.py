"""The command train: settings from options, a file or a run's folder; progress to stderr, the result to stdout."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ser_core.cli import options as shared
from ser_core.cli.terminal import FAILED, WIPE, ProgressPrinter, message
from ser_core.errors import ConfigError, CorpusError
from ser_core.system import untrusted_json

if TYPE_CHECKING:
    from ser_core.training.config import RunConfig
    from ser_core.training.plan import Plan
    from ser_core.training.run import RunPaths
    from ser_core.training.run_folder import Status

BAR = 24
NOT_SAVED = 3
"""Exit status of a training that was stopped, and that saved nothing."""


def add(commands: Any) -> None:
    """Add the command to the parser."""
    train = commands.add_parser(
        "train",
        help="train a model on corpora of your choice",
        description="Train a model. --run DIR takes all settings from a run. --config FILE takes them from a file, and other options "
        "override it.",
    )
    data = train.add_argument_group("data")
    shared.add_corpus(
        data,
        "a corpus to train on: an installed one, or one in DIR, a known corpus, a table or folders named after labels",
    )
    shared.add_corpora_dir(data)
    shared.add_labels(data)

    fit = train.add_argument_group("training")
    fit.add_argument(
        "--classifier",
        metavar="NAME",
        help="knn, mlp, cnn, cnn_lstm, svm, forest, boosting, logistic, lda or transfer (default: cnn)",
    )
    fit.add_argument("--preset", metavar="NAME", help="one-minute, good or thorough")
    shared.add_set(fit)
    fit.add_argument("--epochs", type=int, metavar="N", help="epochs at most (default: the classifier's)")
    fit.add_argument("--batch-size", type=int, metavar="N", help="clips per step (default: the classifier's)")
    fit.add_argument(
        "--patience", type=int, metavar="N", help="epochs without a better validation score before training stops"
    )
    fit.add_argument(
        "--augment", metavar="EFFECTS", help="none, shipped, or effects with strengths, such as noise=0.5,pitch"
    )
    fit.add_argument("--copies", type=int, metavar="N", help="augmented copies of each training clip")
    fit.add_argument("--balance", metavar="METHOD", help="none, weights, upsample, smote or adasyn")
    fit.add_argument("--start-from", metavar="MODEL", help="a CNN or CNN-LSTM whose weights to start from")
    fit.add_argument("--seed", type=int, metavar="N", help="seed of all random numbers")

    test = train.add_argument_group("test")
    test.add_argument("--protocol", metavar="NAME", help="speaker (default), sentence or random")
    test.add_argument(
        "--test-share", type=float, metavar="X", help="share of the speakers that are held out (default: 0.2)"
    )
    test.add_argument(
        "--folds", type=int, metavar="N", help="number of folds for cross-validation (default: one held-out part)"
    )
    test.add_argument(
        "--search",
        action="store_true",
        help="compare hyperparameters first: those of --grid, or the classifier's own grid",
    )
    test.add_argument(
        "--grid",
        action="append",
        default=[],
        metavar="NAME=A,B",
        help="values of a hyperparameter to compare; repeatable; implies --search",
    )

    run = train.add_argument_group("run")
    run.add_argument("--name", metavar="TITLE", help="the model's title")
    run.add_argument("--description", metavar="TEXT", help="what the model is for")
    run.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="settings as JSON, as in a model's card or a run's folder",
    )
    run.add_argument(
        "--run",
        dest="run_folder",
        type=Path,
        metavar="DIR",
        help="do this run, or resume it after a stop",
    )
    shared.add_models_dir(run)
    shared.add_cache(run)
    shared.add_jobs(run, spare=1)
    run.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="a Dask cluster for features, searches and cross-validation, such as tcp://HOST:PORT",
    )
    run.add_argument("--plan", action="store_true", help="print the plan and train nothing")
    shared.add_json(run, "print the result as JSON")
    train.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ser_core.system import priority
    from ser_core.training import stopping

    priority.settle()  # before anything heavy is loaded
    from ser_core import paths
    from ser_core.dataset import duplicates
    from ser_core.system import cluster
    from ser_core.training import plan as training_plan
    from ser_core.training import run as training_run
    from ser_core.training import run_folder
    from ser_core.training.run import RunPaths, read_clips

    corpora = _corpora(options.corpus)
    run_paths = RunPaths(
        corpora=options.corpora_dir or paths.corpora_folder(),
        models=options.models_dir or paths.models_folder(),
        cache=options.cache or paths.feature_cache(),
        n_jobs=shared.worker_count(options),
        folders={name: folder for name, folder in corpora.items() if folder},
        scheduler=options.scheduler or "",
    )
    if run_paths.scheduler:
        cluster.check_address(run_paths.scheduler)
    if options.run_folder:
        folder = options.run_folder
        config = None
    else:
        config = _config(options, list(corpora), run_paths)
        clips = read_clips(config, run_paths)
        progress = ProgressPrinter()
        plan = training_plan.plan(
            clips,
            config,
            rates=run_folder.read_rates(paths.runs_folder()),
            models=run_paths.models,
            sounds=duplicates.sounds(
                clips,
                cache=run_paths.cache,
                n_jobs=run_paths.n_jobs,
                on_progress=lambda done, total: progress.line(
                    duplicates.progress_text(done, total), last=done == total
                ),
            ),
        )
        _print_plan(plan)
        if options.plan:
            if options.json:
                print(json.dumps(dataclasses.asdict(plan), indent=1))
            return FAILED if plan.problems else 0
        if plan.problems:
            return FAILED
        folder = run_folder.create(paths.runs_folder(), config.to_dict())
    before = run_folder.read_status(folder)
    if before and before.ended:  # a run that resumes: its stop is over
        (folder / run_folder.STOP).unlink(missing_ok=True)
    printer = _RunPrinter(bar=sys.stderr.isatty())
    run_folder.read_config(folder)
    reporter = run_folder.Reporter(folder, on_line=printer.line, on_status=printer.status)
    with stopping.stopping(reporter, run_paths.models):
        status = training_run.run(reporter, run_paths)
    code = _result(folder, status, as_json=options.json)
    if "tensorflow" in sys.modules:  # it takes seconds to shut down, and all that matters is written
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def _result(folder: Path, status: Status, *, as_json: bool) -> int:
    from ser_core.training import run_folder

    result = run_folder.read_result(folder) if status.stage == run_folder.DONE else None
    if as_json:
        print(json.dumps({"run": str(folder), "status": dataclasses.asdict(status), "result": result}, indent=1))
    elif result:
        for row in result["trials"]:
            settings = ", ".join(f"{name} {value}" for name, value in row["hyperparameters"].items())
            print(
                f"{settings}: UAR {row['uar']:.1%} (sd {row['spread']:.1%}), accuracy {row['accuracy']:.1%}, {row['seconds']:.0f} s"
            )
        for title, figures in (("before, ", result["before"]), ("", result["figures"])):
            for name, each in figures.items():
                low, high = each["interval"]["uar"]
                speakers = f"{each['n_test_speakers']} speaker{'s' * (each['n_test_speakers'] != 1)}"
                print(
                    f"{title}{name}: UAR {each['uar']:.1%} ({low:.1%} to {high:.1%}), accuracy {each['accuracy']:.1%}, "
                    f"{each['n_clips']} clips, {speakers}, protocol {each['protocol']}"
                )
        print(f"{result['model']}: saved after {result['seconds']:.0f} s")
    if status.stage == run_folder.DONE:
        return 0
    return NOT_SAVED if status.stage == run_folder.STOPPED else FAILED


def _config(options: argparse.Namespace, corpora: Sequence[str], run_paths: RunPaths) -> RunConfig:
    """Return the settings: those of the file, if one is given, overridden by those of the options."""
    from ser_core import classifiers
    from ser_core.training.config import RunConfig, with_preset
    from ser_core.training.plan import start_card

    values: dict[str, Any] = {}
    if options.config:
        try:
            values = untrusted_json.loads(options.config.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"'{options.config}' cannot be read as settings: {error}.") from None
        if not isinstance(values, dict):
            raise ConfigError(
                f"'{options.config}' holds no settings. They are names with values, such as corpora and classifier."
            )
    if corpora:
        values["corpora"] = list(corpora)
    values["scheduler"] = run_paths.scheduler  # never the file's: who answers there may run code here
    if "corpora" not in values:
        raise ConfigError("Say what to train on: --corpus ravdess for an installed corpus, or --corpus ravdess=DIR.")
    named = ("classifier", "name", "description", "balance", "protocol", "test_share", "folds", "seed", "start_from")
    values |= {name: getattr(options, name) for name in named if getattr(options, name) is not None}
    mapped = values.get("mapping") or {"calm": "keep", "boredom": False, "labels": []}
    if not isinstance(mapped, dict):
        raise ConfigError(f"The mapping of a run must be names with values. Got {mapped!r:.200}.")
    values["mapping"] = mapped | shared.parse_mapping(options)
    config = RunConfig.from_dict(values)
    if options.preset:
        config = with_preset(config, options.preset)
    hyperparameters = dict(config.hyperparameters) | shared.parse_settings(options.set)
    for name in ("epochs", "batch_size", "patience"):
        if getattr(options, name) is not None:
            hyperparameters[name] = getattr(options, name)
    changes: dict[str, Any] = {"hyperparameters": hyperparameters}
    if options.augment:
        changes |= _augmentation(options.augment)
    if options.copies is not None:
        changes["n_copies"] = options.copies
    if options.folds is not None:
        changes["folds"] = options.folds  # a preset's folds give way
    if options.search or options.grid:
        pairs = [shared.parse_pair(given, "--grid") for given in options.grid]
        grid: dict[str, Any] = {
            name: [shared.parse_value(each) for each in values.split(",")] for name, values in pairs
        }
        changes["grid"] = grid or config.grid or classifiers.CLASSIFIERS[config.classifier].grid
    config = dataclasses.replace(config, **changes)
    if config.start_from and not (options.config and "features" in values):
        card = start_card(config, run_paths.models, check_features=False)
        assert card is not None
        config = dataclasses.replace(config, features=card.features)
    return config


def _augmentation(given: str) -> dict[str, Any]:
    """Return the fields of RunConfig for --augment: none, shipped, or noise=0.5,pitch."""
    from ser_core.audio import augment

    if given == "none":
        return {"n_copies": 0}
    if given == "shipped":
        return {"effects": None}
    effects: dict[str, Any] = {}
    for each in shared.parse_names(given):
        name, separator, strength = each.partition("=")
        default = augment.EFFECTS[name].strength if name in augment.EFFECTS else 0.5
        effects[name] = shared.parse_value(strength) if separator else default
    return {"effects": effects}


def _corpora(given: Sequence[str]) -> dict[str, Path | None]:
    """Return the corpora of --corpus; raises CorpusError for a folder whose corpus cannot have that name."""
    from ser_core.corpora import catalogue, scan

    corpora = shared.parse_corpora(given)
    for name, folder in corpora.items():
        if folder and name not in catalogue.CORPORA and not scan.is_own_name(name):
            raise CorpusError(
                f"A corpus cannot be called '{name}'. Take one of {', '.join(catalogue.CORPORA)}, or letters, digits, - and _."
            )
    return corpora


def _print_plan(plan: Plan) -> None:
    """Print the plan of a run to stderr."""
    for part in plan.parts:
        message(
            f"{part.name}: {part.n_clips} clips, {part.n_speakers} speakers; "
            + ", ".join(f"{k} {n}" for k, n in part.labels.items())
        )
    if plan.left_out:
        message("left out: " + ", ".join(f"{n} {label}" for label, n in plan.left_out.items()))
    if plan.seconds:
        n = f"{plan.n_fits} training{'s' * (plan.n_fits != 1)}"
        message(f"about {plan.total_s:.0f} s of work in {n} (an estimate; stored features take no time)")
    for warning in plan.warnings:
        message(f"note: {warning}")
    for problem in plan.problems:
        message(problem)


class _RunPrinter:
    """Shows a run on stderr: its lines and, on a terminal, a bar below them."""

    def __init__(self, *, bar: bool) -> None:
        self._bar = bar
        self._drawn = False

    def line(self, text: str) -> None:
        self._wipe()
        message(text)

    def status(self, status: Status) -> None:
        if not self._bar or status.ended:
            return
        filled = round(BAR * status.fraction)
        left = "" if status.left_s is None else f", about {status.left_s:.0f} s left"
        self._wipe()
        line = f"[{'#' * filled}{'.' * (BAR - filled)}] {status.fraction:4.0%} {status.text}{left}"
        print(line[:110], end="", file=sys.stderr, flush=True)
        self._drawn = True

    def _wipe(self) -> None:
        if self._drawn:
            print(WIPE, end="", file=sys.stderr)
            self._drawn = False
