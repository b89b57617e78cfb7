"""The command `python -m ser_core train`: settings from flags, a file or a run's folder; progress to stderr, the result to stdout."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ser_core import plain_json
from ser_core.errors import ConfigError, CorpusError

if TYPE_CHECKING:
    from ser_core.pipeline import Places
    from ser_core.plans import Plan
    from ser_core.run_config import RunConfig
    from ser_core.runs import Status

BAR = 24
WIPE = "\r\x1b[K"
NOT_SAVED = 3
"""Exit status of a training that somebody stopped, and that left nothing."""


def add(commands: Any) -> None:
    """Add the command to the parser."""
    train = commands.add_parser(
        "train",
        help="train a model on corpora that you choose",
        description="Train a model. --config FILE takes all settings from a file, and --run DIR those of a run; else the others count.",
    )
    where = train.add_argument_group("what to train on")
    where.add_argument(
        "--corpora", default="", metavar="NAMES", help="installed corpora, comma-separated, such as ravdess,savee"
    )
    where.add_argument(
        "--corpus",
        action="append",
        default=[],
        metavar="NAME=DIR",
        help="a corpus that lies elsewhere: ravdess=DIR, or ours=DIR with folders named after labels, or a table; repeatable",
    )
    where.add_argument(
        "--corpora-dir",
        type=Path,
        metavar="DIR",
        help="folder of the installed ones (default: SER_CORPORA, or corpora)",
    )
    where.add_argument("--labels", default="", metavar="NAMES", help="labels to keep, comma-separated (default: all)")
    where.add_argument(
        "--calm", default=None, choices=["keep", "neutral", "leave out"], help="what becomes of calm (default: keep)"
    )
    where.add_argument("--boredom", action="store_true", help="keep boredom")

    how = train.add_argument_group("how to train")
    how.add_argument(
        "--classifier",
        metavar="NAME",
        help="knn, mlp, cnn, cnn_lstm, svm, forest, boosting, logistic or lda (default: cnn)",
    )
    how.add_argument("--preset", metavar="NAME", help="one-minute, good or thorough")
    how.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a hyperparameter, such as hidden=128; repeatable",
    )
    how.add_argument("--epochs", type=int, metavar="N")
    how.add_argument("--batch-size", type=int, metavar="N")
    how.add_argument(
        "--patience", type=int, metavar="N", help="epochs without a better validation part before it stops"
    )
    how.add_argument(
        "--augment", metavar="EFFECTS", help="none, shipped, or effects with strengths, such as noise=0.5,pitch"
    )
    how.add_argument("--copies", type=int, metavar="N", help="augmented copies of each training clip")
    how.add_argument("--balance", metavar="METHOD", help="none, weights, upsample, smote or adasyn")
    how.add_argument("--start-from", metavar="MODEL", help="a CNN or CNN-LSTM whose weights to start from")
    how.add_argument("--seed", type=int, metavar="N")

    test = train.add_argument_group("how to test")
    test.add_argument("--protocol", metavar="NAME", help="speaker (default), sentence or random")
    test.add_argument(
        "--test-share", type=float, metavar="X", help="share of the speakers that are held out (default: 0.2)"
    )
    test.add_argument(
        "--folds", type=int, metavar="N", help="cross-validation in so many folds (default: one held-out part)"
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
        help="values to compare; repeatable; implies --search",
    )

    run = train.add_argument_group("the run")
    run.add_argument("--name", help="what to call the model")
    run.add_argument("--description", help="what it is for")
    run.add_argument(
        "--config", type=Path, metavar="FILE", help="settings as JSON, as a model's card or a run's folder holds them"
    )
    run.add_argument(
        "--run",
        dest="run_folder",
        type=Path,
        metavar="DIR",
        help="work on this run, or go on with it where it was stopped",
    )
    run.add_argument(
        "--models-dir", type=Path, metavar="DIR", help="where the model goes (default: SER_MODELS, or models)"
    )
    run.add_argument("--cache", type=Path, metavar="DIR", help="where measured features are kept")
    run.add_argument(
        "--jobs", type=int, metavar="N", help="processes for features and searches (default: all cores but one)"
    )
    run.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="a Dask cluster that measures, searches and cross-validates, as tcp://HOST:PORT",
    )
    run.add_argument("--plan", action="store_true", help="say what it would be, and train nothing")
    run.add_argument("--json", action="store_true", help="print the result as JSON")
    train.set_defaults(run=_train)


def _train(options: argparse.Namespace) -> int:
    from ser_core import background

    background.settle()  # before anything heavy is loaded
    from ser_core import cluster, dataset, library, pipeline, plans, runs, store

    if options.jobs is not None and options.jobs < 1:
        raise ConfigError(f"--jobs must be 1 or more. Got {options.jobs}.")
    places = pipeline.Places(
        corpora=options.corpora_dir or library.root(),
        models=options.models_dir or store.MODELS,
        cache=options.cache or dataset.cache_folder(),
        n_jobs=options.jobs or background.free_cores(),
        folders=_folders(options.corpus),
        scheduler=options.scheduler or "",
    )
    if places.scheduler:
        cluster.check_address(places.scheduler)
    if options.run_folder:
        folder = options.run_folder
        config = None
    else:
        config = _config(options, places)
        plan = plans.plan(
            pipeline.read_clips(config, places), config, rates=runs.read_rates(runs.root()), models=places.models
        )
        _tell(plan)
        if options.plan:
            if options.json:
                print(json.dumps(dataclasses.asdict(plan), indent=1))
            return 2 if plan.problems else 0
        if plan.problems:
            return 2
        folder = runs.create(runs.root(), config.to_dict())
    before = runs.read_status(folder)
    if before and before.ended:  # a run that goes on: its stop was for the time before
        (folder / runs.STOP).unlink(missing_ok=True)
    teller = _Teller(bar=sys.stderr.isatty())
    runs.read_config(folder)
    reporter = runs.Reporter(folder, on_line=teller.line, on_status=teller.status)
    with background.stopping(reporter, places.models):
        status = pipeline.run(reporter, places)
    code = _result(folder, status, as_json=options.json)
    if "tensorflow" in sys.modules:  # it takes seconds to take itself down, and all that matters is written
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def _result(folder: Path, status: Status, *, as_json: bool) -> int:
    from ser_core import runs

    result = runs.read_result(folder) if status.stage == runs.DONE else None
    if as_json:
        print(json.dumps({"run": str(folder), "status": dataclasses.asdict(status), "result": result}, indent=1))
    elif result:
        for row in result["trials"]:
            told = ", ".join(f"{name} {value}" for name, value in row["hyperparameters"].items())
            print(
                f"{told}: UAR {row['uar']:.1%} (sd {row['spread']:.1%}), accuracy {row['accuracy']:.1%}, {row['seconds']:.0f} s"
            )
        for title, figures in (("before, ", result["before"]), ("", result["figures"])):
            for name, each in figures.items():
                low, high = each["interval"]["uar"]
                whom = f"{each['n_test_speakers']} speaker{'s' * (each['n_test_speakers'] != 1)}"
                print(
                    f"{title}{name}: UAR {each['uar']:.1%} ({low:.1%} to {high:.1%}), accuracy {each['accuracy']:.1%}, "
                    f"{each['n_clips']} clips, {whom}, protocol {each['protocol']}"
                )
        print(f"{result['model']}: saved after {result['seconds']:.0f} s")
    if status.stage == runs.DONE:
        return 0
    return NOT_SAVED if status.stage == runs.STOPPED else 2


def _config(options: argparse.Namespace, places: Places) -> RunConfig:
    """Return the settings: those of the file, if one is given, with those of the flags in their place."""
    from ser_core import classifiers, plans, run_config
    from ser_core.run_config import RunConfig

    values: dict[str, Any] = {}
    if options.config:
        try:
            values = plain_json.loads(options.config.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"'{options.config}' cannot be read as settings: {error}.") from None
        if not isinstance(values, dict):
            raise ConfigError(
                f"'{options.config}' holds no settings. They are names with values, such as corpora and classifier."
            )
    names = [*_names(options.corpora), *places.folders]
    if names:
        values["corpora"] = names
    values["scheduler"] = places.scheduler  # never a file's own: whoever answers there may run code here
    if "corpora" not in values:
        raise ConfigError("Say what to train on: --corpora ravdess,savee for installed ones, or --corpus ravdess=DIR.")
    named = ("classifier", "name", "description", "balance", "protocol", "test_share", "folds", "seed", "start_from")
    values |= {name: getattr(options, name) for name in named if getattr(options, name) is not None}
    mapped = values.get("mapping") or {"calm": "keep", "boredom": False, "labels": []}
    if not isinstance(mapped, dict):
        raise ConfigError(f"The mapping of a run must be names with values. Got {mapped!r:.200}.")
    mapped |= {"calm": options.calm} if options.calm else {}
    mapped |= {"boredom": True} if options.boredom else {}
    mapped |= {"labels": _names(options.labels)} if options.labels else {}
    values["mapping"] = mapped
    config = RunConfig.from_dict(values)
    if options.preset:
        config = run_config.with_preset(config, options.preset)
    hyperparameters = dict(config.hyperparameters)
    for given in options.set:
        name, value = parse_pair(given, "--set")
        hyperparameters[name] = parse_value(value)
    for name in ("epochs", "batch_size", "patience"):
        if getattr(options, name) is not None:
            hyperparameters[name] = getattr(options, name)
    changes: dict[str, Any] = {"hyperparameters": hyperparameters}
    if options.augment:
        changes |= _augmentation(options.augment)
    if options.copies is not None:
        changes["n_copies"] = options.copies
    if options.folds is not None:
        changes["folds"] = options.folds  # a preset has its own, which gives way
    if options.search or options.grid:
        pairs = [parse_pair(given, "--grid") for given in options.grid]
        grid: dict[str, Any] = {name: [parse_value(each) for each in values.split(",")] for name, values in pairs}
        changes["grid"] = grid or config.grid or classifiers.CLASSIFIERS[config.classifier].grid
    config = dataclasses.replace(config, **changes)
    if config.start_from and not (options.config and "features" in values):
        card = plans.start_card(config, places.models, check_features=False)
        assert card is not None
        config = dataclasses.replace(config, features=card.features)
    return config


def _augmentation(given: str) -> dict[str, Any]:
    """Return the fields of RunConfig for --augment: none, shipped, or noise=0.5,pitch."""
    from ser_core import augment

    if given == "none":
        return {"n_copies": 0}
    if given == "shipped":
        return {"effects": None}
    effects: dict[str, Any] = {}
    for each in _names(given):
        name, separator, strength = each.partition("=")
        default = augment.EFFECTS[name].strength if name in augment.EFFECTS else 0.5
        effects[name] = parse_value(strength) if separator else default
    return {"effects": effects}


def _folders(given: Sequence[str]) -> dict[str, Path]:
    from ser_core import corpora

    folders = {}
    for each in given:
        name, folder = parse_pair(each, "--corpus")
        if name not in corpora.CORPORA and not corpora.is_own_name(name):
            raise CorpusError(
                f"A corpus cannot be called '{name}'. Take one of {', '.join(corpora.CORPORA)}, or letters, digits, - and _."
            )
        if name in folders:
            raise CorpusError(f"--corpus names '{name}' twice. Give each folder a name of its own.")
        folders[name] = Path(folder)
    return folders


def parse_pair(given: str, flag: str) -> tuple[str, str]:
    """Return name and value of NAME=VALUE; raises ConfigError."""
    name, separator, value = given.partition("=")
    if not name or not separator or not value:
        raise ConfigError(f"{flag} takes NAME=VALUE. Got {given!r}.")
    return name.strip(), value.strip()


def parse_value(text: str) -> Any:
    """Return a number or a list where the text is one, else the text: 0.5, 64, [8,16], auto."""
    try:
        return plain_json.loads(text)
    except ValueError:
        return text


def _names(given: str) -> list[str]:
    return list(dict.fromkeys(name.strip() for name in given.split(",") if name.strip()))


def _tell(plan: Plan) -> None:
    """Say on stderr what a run will be."""
    for part in plan.parts:
        _say(
            f"{part.name}: {part.n_clips} clips, {part.n_speakers} speakers; "
            + ", ".join(f"{k} {n}" for k, n in part.labels.items())
        )
    if plan.left_out:
        _say("left out: " + ", ".join(f"{n} {label}" for label, n in plan.left_out.items()))
    if plan.seconds:
        n = f"{plan.n_fits} training{'s' * (plan.n_fits != 1)}"
        _say(f"about {plan.total_s:.0f} s of work in {n} (an estimate; features that are there already take no time)")
    for warning in plan.warnings:
        _say(f"note: {warning}")
    for problem in plan.problems:
        _say(" ".join(problem.split()))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class _Teller:
    """Shows a run on stderr: its lines and, on a terminal, a bar below them."""

    def __init__(self, *, bar: bool) -> None:
        self._bar = bar
        self._drawn = False

    def line(self, text: str) -> None:
        self._wipe()
        _say(text)

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
