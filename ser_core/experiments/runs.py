"""Measurements as runs: their settings, how they are started and found again, what their process does, and what it found.

A run's settings (config.json) name the measurement, one of KINDS, and the models and corpora with what tells each from any other. The
same settings give the same figures, so they are what a run is found by, by every visitor. cli/measure.py calls `work`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from ser_core.audio import degradations
from ser_core.corpora import catalogue, library
from ser_core.dataset import cache
from ser_core.errors import ConfigError, CorpusError, SerError, Stopped
from ser_core.experiments import cross_corpus, leakage_lab, measure, outcome, recipe, robustness
from ser_core.experiments.cross_corpus import Cell
from ser_core.experiments.leakage_lab import LeakageSettings
from ser_core.experiments.outcome import Outcome
from ser_core.experiments.recipe import Recipe
from ser_core.experiments.robustness import Robustness
from ser_core.experiments.workspace import Workspace
from ser_core.recognition import store
from ser_core.recognition.card import ModelCard
from ser_core.training import jobs, run_folder
from ser_core.training.run_folder import Reporter, Status

SCORE, RETRAIN, ROBUSTNESS, CROSS, LAB = "score", "retrain", "robustness", "cross-corpus", "lab"

COMMAND = (sys.executable, "-m", "ser_core", "measure", "--run")
"""What works on a measurement's run: this, and then its folder."""

KEPT = 50
"""Measurements whose results are kept, the newest; of older ones, finished folds and conditions are still kept elsewhere."""

_OUTCOME = "outcome-{}.npz"


@dataclass(frozen=True)
class Scores:
    """What models answered, an outcome each on the same clips; left_out: clips with a label that not all of them know."""

    outcomes: tuple[Outcome, ...]
    left_out: int


@dataclass(frozen=True)
class Step:
    """A step of the leakage lab: what was closed last, and leakage_lab.to_row's figures."""

    title: str
    row: dict[str, Any]


# --- settings


def settings(kind: str, *, models: Iterable[ModelCard] = (), corpora: Mapping[str, str], **more: Any) -> dict[str, Any]:
    """Return the settings of a run: a measurement with its models, its corpora (name -> `corpus_state`) and what else it needs."""
    return {
        "measurement": kind,
        "version": f"{cache.version().decode()} {degradations.VERSION}",
        "models": {card.slug: model_state(card) for card in models},
        "corpora": dict(corpora),
        **more,
    }


def model_state(card: ModelCard) -> str:
    """Return what tells a model, as trained, from any other."""
    return _digest([card.slug, card.created, card.threshold, card.temperature, sorted(card.files.items())])


def corpus_state(fingerprint: str, left_out: Mapping[str, Sequence[str]]) -> str:
    """Return what tells the clips of a corpus that are used from any others, from library.fingerprint and library.left_out."""
    return _digest([fingerprint, {name: list(paths) for name, paths in left_out.items()}])


def subject(config: Mapping[str, Any]) -> str:
    """Return what a run with these settings is found by."""
    return _digest(config)


def _digest(values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:32]


# --- runs


def start(
    root: Path, config: Mapping[str, Any], *, title: str, browser: str = "", address: str | None = None
) -> jobs.Started:
    """Put a measurement into the line of runs (see jobs.start), unless it is there already, and clear old results away.

    Raises
    ------
    ConfigError : as jobs.start.
    """
    started = jobs.start(
        root,
        config,
        title=title,
        browser=browser,
        address=address,
        command=COMMAND,
        kind=config["measurement"],
        subject=subject(config),
    )
    jobs.clear_old(root, keep=KEPT)
    return started


def find(root: Path, config: Mapping[str, Any]) -> list[jobs.Job]:
    """Return the runs with these settings, the newest first."""
    return jobs.of_subject(root, subject(config))


def read(folder: Path) -> Any:
    """Return what a measurement's run found, or has found so far: what its kind of KINDS says; None where that is nothing yet.

    A damaged result is none: it can be measured again.
    """
    try:
        kind = KINDS[run_folder.read_config(folder)["measurement"]]
        values = run_folder.read_result(folder)
        return None if values is None else kind.read(folder, values)
    except (SerError, KeyError, TypeError, ValueError, AttributeError):
        return None


def work(reporter: Reporter, workspace: Workspace, corpora: Path) -> Status:
    """Do the measurement of a run and return its last status; corpora: the folder of the installed ones.

    Does not raise for what a user or a machine can cause: that is the status.
    """
    from ser_core.training import run  # no page needs it

    stopped = ""
    try:
        config = read_config(reporter.folder)
        kind = KINDS[config["measurement"]]
        stopped = kind.stopped
        reporter.stage(run_folder.MEASURING, "Starting …")
        workspace = replace(workspace, on_progress=reporter.progress, should_stop=lambda: bool(reporter.stop_request()))
        kind.work(_Work(reporter.folder, config, workspace, corpora))
        reporter.end(run_folder.DONE, "Measured.")
    except (Stopped, KeyboardInterrupt):
        reporter.end(run_folder.STOPPED, stopped)
    except SerError as error:
        reporter.end(run_folder.FAILED, "It could not be finished.", problem=str(error))
    except Exception as error:  # the edge of the process: the page must not wait for ever
        run.note_traceback(reporter)
        reporter.end(run_folder.FAILED, "It could not be finished.", problem=run.explain(error))
    return reporter.status


def read_config(folder: Path) -> dict[str, Any]:
    """Return the settings of a measurement's run; raises ConfigError where it has none."""
    config = run_folder.read_config(folder)
    if not isinstance(config, dict) or config.get("measurement") not in list(KINDS):
        raise ConfigError(f"'{folder}' is no run of a measurement. Trainings are done with `train --run`.")
    return config


@dataclass(frozen=True)
class _Work:
    """A measurement at work."""

    folder: Path
    config: dict[str, Any]
    workspace: Workspace
    corpora: Path

    def cards(self) -> list[ModelCard]:
        """Return the cards of its models; raises ModelError, or ConfigError where one is not as it was."""
        cards = [store.read_card(slug, self.workspace.models) for slug in self.config["models"]]
        for card in cards:
            if model_state(card) != self.config["models"][card.slug]:
                raise ConfigError(f"The model '{card.title}' has changed since this was started. Start it again.")
        return cards

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return name -> clips table of its corpora; raises CorpusError where one is not as it was."""
        there = library.installed(self.corpora)
        for name, state in self.config["corpora"].items():
            excluded = library.left_out(self.corpora, name)
            if name not in there or corpus_state(library.fingerprint(there[name].folder), excluded) != state:
                raise CorpusError(f"The corpus '{name}' has changed since this was started. Start it again.")
        return {name: library.clips(self.corpora, [name]) for name in self.config["corpora"]}

    def part(self, number: int, total: int, title: str) -> Workspace:
        """Return the workspace for one of several parts, whose progress is a share of the whole."""

        def report_progress(fraction: float, text: str) -> None:
            self.workspace.on_progress((number + fraction) / total, f"{title}: {text[:1].lower()}{text[1:]}")

        report_progress(0.0, "starting")
        return replace(self.workspace, on_progress=report_progress)

    def check_stop(self) -> None:
        """Raise Stopped where somebody asked the work to end."""
        if self.workspace.should_stop():
            raise Stopped(KINDS[self.config["measurement"]].stopped)

    def keep(self, values: Mapping[str, Any]) -> None:
        """Write what there is of the result."""
        run_folder.write_result(self.folder, values)


# --- kinds


def _score(task: _Work) -> None:
    cards = task.cards()
    clips = pd.concat(list(task.tables().values()), ignore_index=True)
    known = set.intersection(*(set(card.labels) for card in cards))
    usable = clips[clips[catalogue.EMOTION].isin(known)].reset_index(drop=True)
    if usable.empty:
        raise CorpusError(
            "No clip of these corpora has a label that all chosen models know. Choose fewer models, or other corpora."
        )
    for number, card in enumerate(cards):
        task.check_stop()
        found = measure.as_trained(card, usable, task.part(number, len(cards), card.title))
        outcome.write(task.folder / _OUTCOME.format(number), found)
        task.keep({"n_outcomes": number + 1, "left_out": len(clips) - len(usable)})


def _retrain(task: _Work) -> None:
    recipes = _recipes(task.config)
    clips = pd.concat(list(task.tables().values()), ignore_index=True)
    known = set.intersection(*(set(each.config.labels) for each in recipes.values()))
    usable = clips[clips[catalogue.EMOTION].isin(known)].reset_index(drop=True)
    name = task.config["tested"]
    tested = (usable[catalogue.CORPUS] == name).to_numpy()
    if not tested.any():
        raise CorpusError(
            "No clip of this corpus has a label that all chosen recipes know. Choose fewer recipes, or another corpus."
        )
    left_out = int((clips[catalogue.CORPUS] == name).sum() - tested.sum())
    for number, (title, each) in enumerate(recipes.items()):
        desk = task.part(number, len(recipes), title)
        found = measure.held_out(each, usable, task.config["protocol"], desk, tested=tested)
        outcome.write(task.folder / _OUTCOME.format(number), replace(found, model=title))
        task.keep({"n_outcomes": number + 1, "left_out": left_out})


def _recipes(config: Mapping[str, Any]) -> dict[str, Recipe]:
    return {str(title): recipe.from_dict(values) for title, values in config["recipes"]}


def _read_scores(folder: Path, values: Mapping[str, Any]) -> Scores:
    outcomes = [outcome.read(folder / _OUTCOME.format(number)) for number in range(values["n_outcomes"])]
    return Scores(tuple(outcomes), int(values["left_out"]))


def _degrade(task: _Work) -> None:
    clips = pd.concat(list(task.tables().values()), ignore_index=True)
    robustness.measure(
        task.cards(),
        clips,
        task.config["conditions"],
        task.workspace,
        n_clips=task.config["n_clips"],
        on_part=lambda found: task.keep(robustness.dump(found)),
    )


def _read_robustness(folder: Path, values: Mapping[str, Any]) -> Robustness:
    return robustness.load(values)


def _cross(task: _Work) -> None:
    def on_cell(cells: Sequence[Cell]) -> None:
        task.keep({"cells": [cross_corpus.to_dict(cell) for cell in cells]})

    cross_corpus.measure(recipe.from_dict(task.config["recipe"]), task.tables(), task.workspace, on_cell=on_cell)


def _read_cells(folder: Path, values: Mapping[str, Any]) -> list[Cell]:
    return [cross_corpus.from_dict(each) for each in values["cells"]]


def _leak(task: _Work) -> None:
    tables, preset = task.tables(), leakage_lab.PRESETS.get(task.config["preset"])
    clips = leakage_lab.preset_clips(preset, tables) if preset else pd.concat(list(tables.values()), ignore_index=True)
    if clips is None:
        raise CorpusError("None of the corpora of this recipe is installed. Choose another one.")
    steps = [(str(title), LeakageSettings(**values)) for title, values in task.config["steps"]]
    made: list[dict[str, Any]] = []

    def keep(step: dict[str, Any]) -> None:
        task.keep({"steps": [*made, step]})

    for number, (title, each) in enumerate(steps):

        def on_round(done: int, rounds: int, figures: Any, title: str = title, each: LeakageSettings = each) -> None:
            keep({"title": title, "row": leakage_lab.to_row(each, figures)})

        figures = leakage_lab.study(each, clips, task.part(number, len(steps), title), on_round=on_round)
        keep({"title": title, "row": leakage_lab.to_row(each, figures)})
        made.append({"title": title, "row": leakage_lab.to_row(each, figures)})


def lab_settings(
    preset: str, steps: Sequence[tuple[str, LeakageSettings]], corpora: Mapping[str, str]
) -> dict[str, Any]:
    """Return the settings of a run of the leakage lab. preset: of leakage_lab.PRESETS, or ""; steps: as leakage_lab.ladder gives them."""
    plain = [[title, dataclasses.asdict(each)] for title, each in steps]
    return settings(LAB, corpora=corpora, preset=preset, steps=plain)


def _read_steps(folder: Path, values: Mapping[str, Any]) -> list[Step]:
    return [Step(str(each["title"]), dict(each["row"])) for each in values["steps"]]


@dataclass(frozen=True)
class Kind:
    """A measurement. stopped: what is left of one that was stopped, a sentence; work: does it; read: what it found, or has so far."""

    stopped: str
    work: Callable[[_Work], None]
    read: Callable[[Path, Mapping[str, Any]], Any]


KINDS: dict[str, Kind] = {
    SCORE: Kind("Stopped. Nothing was changed.", _score, _read_scores),
    RETRAIN: Kind("Stopped. Finished folds are kept and need not be retrained.", _retrain, _read_scores),
    ROBUSTNESS: Kind(
        "Stopped. Finished conditions are kept and need not be measured again.", _degrade, _read_robustness
    ),
    CROSS: Kind("Stopped. Finished folds are kept and need not be retrained.", _cross, _read_cells),
    LAB: Kind("Stopped. Finished studies are kept.", _leak, _read_steps),
}
"""Measurement -> what it does. What `read` gives of it: Scores, Scores, Robustness, cells, steps."""
