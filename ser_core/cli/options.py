"""Options that commands share, and what their values mean: corpora, models, recipes, folders, worker processes, files to write."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ser_core.cli.terminal import ProgressPrinter
from ser_core.errors import ConfigError
from ser_core.system import priority, untrusted_json

if TYPE_CHECKING:
    import pandas as pd

    from ser_core.experiments.recipe import Recipe
    from ser_core.experiments.workspace import Workspace


class Parser(argparse.ArgumentParser):
    """A parser whose options have one spelling each: `--mod` is not `--model`."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**({"allow_abbrev": False} | settings))


def add_model(command: argparse.ArgumentParser, text: str) -> None:
    """Add --model."""
    command.add_argument("--model", action="append", default=[], metavar="NAME", help=f"{text}; repeatable")


def add_corpus(
    command: Any, text: str, *, option: str = "--corpus", metavar: str = "NAME[=DIR]", required: bool = False
) -> None:
    """Add --corpus or its like, for `read_clips` or, with a folder for each, for `parse_folders`."""
    command.add_argument(
        option, action="append", default=[], required=required, metavar=metavar, help=f"{text}; repeatable"
    )


def add_labels(command: Any) -> None:
    """Add which labels are used, for `parse_mapping`."""
    command.add_argument(
        "--labels", metavar="LABELS", help="labels to use, comma-separated, such as happy,sad (default: all)"
    )
    command.add_argument(
        "--calm",
        choices=["keep", "neutral", "leave-out"],
        help="keep calm clips, label them neutral, or leave them out (default: keep)",
    )
    command.add_argument("--boredom", action="store_true", help="keep boredom, which only EmoDB has")


def add_recipe(command: argparse.ArgumentParser) -> None:
    """Add what describes a recipe of its own, for `recipe_from`."""
    command.add_argument(
        "--classifier", metavar="NAME", help="a recipe without a trained model, such as svm, to train and test"
    )
    add_set(command)
    command.add_argument(
        "--copies", type=int, metavar="N", help="augmented copies of each training clip, for --classifier (default: 0)"
    )


def add_set(command: Any) -> None:
    """Add --set."""
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a hyperparameter of the classifier, such as hidden=128; repeatable",
    )


def add_folders(command: argparse.ArgumentParser, *, results: str, models: bool = True) -> None:
    """Add what says where a measurement reads and stores things, and its worker processes, for `workspace_from`.

    results: what is stored; models: whether it reads trained models.
    """
    command.add_argument(
        "--results", type=Path, metavar="DIR", help=f"folder of {results} (default: cache/evaluations)"
    )
    add_cache(command)
    add_corpora_dir(command)
    if models:
        add_models_dir(command)
    else:
        command.set_defaults(models_dir=None)
    add_jobs(command, spare=1)


def add_cache(command: Any) -> None:
    """Add --cache."""
    command.add_argument(
        "--cache", type=Path, metavar="DIR", help="folder of the feature cache (default: SER_CACHE, or cache)"
    )


def add_corpora_dir(command: Any) -> None:
    """Add --corpora-dir."""
    command.add_argument(
        "--corpora-dir",
        type=Path,
        metavar="DIR",
        help="folder of the installed corpora (default: SER_CORPORA, or corpora)",
    )


def add_models_dir(command: Any) -> None:
    """Add --models-dir."""
    command.add_argument(
        "--models-dir", type=Path, metavar="DIR", help="folder of the models (default: SER_MODELS, or models)"
    )


def add_out(command: Any, text: str) -> None:
    """Add --out."""
    command.add_argument("--out", type=Path, metavar="FILE", help=text)


def add_json(command: Any, text: str = "print JSON") -> None:
    """Add --json."""
    command.add_argument("--json", action="store_true", help=text)


def add_channel(command: Any) -> None:
    """Add --channel, for `channel_name`."""
    command.add_argument(
        "--channel",
        metavar="NAME",
        help="left, right, mean, difference, or a number from 1 on (default: the channel in which speech is best)",
    )


def channel_name(options: argparse.Namespace) -> str | None:
    """Return the channel that --channel names, None without it; raises ConfigError."""
    from ser_core.audio import channels

    if options.channel is not None and not channels.is_name(options.channel):
        raise ConfigError(
            f"--channel takes left, right, mean, difference, or a number from 1 to 8. Got {options.channel!r}."
        )
    channel: str | None = options.channel
    return channel


def add_track(command: Any) -> None:
    """Add --track, for `track_number`."""
    command.add_argument(
        "--track",
        type=int,
        metavar="N",
        help="sound track of a file with several, such as a film, from 1 on (default: the first with speech)",
    )


def track_number(options: argparse.Namespace) -> int | None:
    """Return the sound track that --track names, None without it; raises ConfigError."""
    track: int | None = options.track
    if track is not None and track < 1:
        raise ConfigError(f"--track takes a number from 1 on. Got {track}.")
    return track


def add_jobs(command: Any, *, spare: int = 0) -> None:
    """Add --jobs, for `worker_count`; spare: cores left free unless a number is given (long work leaves one)."""
    default = "one per core" if not spare else "all cores but one"
    command.add_argument("--jobs", type=int, metavar="N", help=f"worker processes (default: {default})")
    command.set_defaults(spare_cores=spare)


def worker_count(options: argparse.Namespace) -> int:
    """Return how many worker processes --jobs means; raises ConfigError for fewer than 1."""
    if options.jobs is not None and options.jobs < 1:
        raise ConfigError(f"--jobs must be 1 or more. Got {options.jobs}.")
    if options.jobs:
        return int(options.jobs)
    if options.spare_cores:
        return priority.free_cores()
    import joblib

    return int(joblib.cpu_count())


def parse_pair(given: str, option: str) -> tuple[str, str]:
    """Return name and value of NAME=VALUE; raises ConfigError."""
    name, separator, value = given.partition("=")
    if not name or not separator or not value:
        raise ConfigError(f"{option} takes NAME=VALUE. Got {given!r}.")
    return name.strip(), value.strip()


def parse_value(text: str) -> Any:
    """Return a number or a list where the text is one, else the text: 0.5, 64, [8,16], auto."""
    try:
        return untrusted_json.loads(text)
    except ValueError:
        return text


def parse_settings(given: Sequence[str]) -> dict[str, Any]:
    """Return the hyperparameters of --set; raises ConfigError."""
    return {name: parse_value(text) for name, text in (parse_pair(each, "--set") for each in given)}


def parse_names(given: str | None) -> list[str]:
    """Return comma-separated names, each once."""
    return list(dict.fromkeys(name.strip() for name in (given or "").split(",") if name.strip()))


def parse_corpora(
    given: Sequence[str], option: str = "--corpus", *, needs_folder: bool = False
) -> dict[str, Path | None]:
    """Return the corpora given as NAME=DIR or, unless each needs a folder, as NAME (None: an installed one); raises ConfigError."""
    corpora: dict[str, Path | None] = {}
    for each in given:
        name, separator, folder = each.partition("=")
        if not name or (not folder and (separator or needs_folder)):
            forms = "NAME=DIR" if needs_folder else "NAME or NAME=DIR"
            raise ConfigError(f"{option} takes {forms}, such as ravdess=/data/RAVDESS. Got {each!r}.")
        if name in corpora:
            raise ConfigError(f"{option} names '{name}' twice. Give each corpus once.")
        corpora[name] = Path(folder) if separator else None
    return corpora


def parse_folders(given: Sequence[str], option: str = "--corpus") -> dict[str, Path]:
    """Return the folders of corpora given as NAME=DIR; raises ConfigError."""
    return {name: folder for name, folder in parse_corpora(given, option, needs_folder=True).items() if folder}


def parse_mapping(options: argparse.Namespace) -> dict[str, Any]:
    """Return the fields of dataset.labels.LabelMapping that `add_labels`' options give; without an option, no field."""
    from ser_core.dataset import labels

    fields: dict[str, Any] = {}
    if options.calm:
        fields["calm"] = {"leave-out": labels.LEAVE_OUT}.get(options.calm, options.calm)
    if options.boredom:
        fields["boredom"] = True
    if options.labels:
        fields["labels"] = parse_names(options.labels)
    return fields


def check_out(path: Path | None) -> None:
    """Raise ConfigError where the file of --out has no folder: before anything is measured."""
    if path and not path.parent.is_dir():
        raise ConfigError(
            f"'{path}' cannot be written: its folder does not exist. Name a file in a folder that exists with --out."
        )


def write_out(path: Path, content: bytes) -> None:
    """Write the file of --out; raises ConfigError."""
    try:
        path.write_bytes(content)
    except OSError as error:
        raise ConfigError(f"'{path}' cannot be written: {error.strerror}. Choose another file with --out.") from None


def workspace_from(options: argparse.Namespace) -> Workspace:
    """Return the workspace that `add_folders`' options describe; raises ConfigError for fewer than 1 process."""
    from ser_core import paths
    from ser_core.experiments import workspace

    return workspace.Workspace(
        cache=options.cache or paths.feature_cache(),
        results=options.results or paths.results_folder(),
        models=options.models_dir or paths.models_folder(),
        n_jobs=worker_count(options),
        on_progress=ProgressPrinter(),
    )


def recipe_from(options: argparse.Namespace) -> Recipe:
    """Return the recipe that `add_recipe`'s options describe; raises ConfigError where they cannot be used."""
    from ser_core import classifiers
    from ser_core.experiments import recipe
    from ser_core.training.fit import FitConfig

    settings = parse_settings(options.set)
    copies = 0 if options.copies is None else options.copies
    if not 0 <= copies <= 10:
        raise ConfigError(f"--copies must be 0 to 10. Got {copies}.")
    checked = classifiers.check(options.classifier, settings)
    config = FitConfig(
        classifier=options.classifier, hyperparameters={name: checked[name] for name in settings}, n_copies=copies
    )
    return recipe.Recipe(name=options.classifier, config=config)


def read_clips(given: Sequence[str], root: Path | None, *, option: str = "--corpus") -> dict[str, pd.DataFrame]:
    """Return the clips of each corpus: NAME, installed, or NAME=DIR, a known corpus, a table or folders named after labels."""
    from ser_core import paths
    from ser_core.corpora import catalogue, library, scan

    tables = {}
    for name, folder in parse_corpora(given, option).items():
        if folder is None:
            tables[name] = library.clips(root or paths.corpora_folder(), [name])
        elif folder.is_file() and name not in catalogue.CORPORA:
            tables[name] = scan.read_table(folder, corpus=name)
        else:
            tables[name] = library.read(name, folder)
    return tables
