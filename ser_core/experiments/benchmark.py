"""The table of models over corpora and protocols: a recipe retrained for each cell, each corpus by itself.

Each cell is a measurement of measure.py, which keeps finished folds, so a table may be measured in pieces. Results come
with the project (RESULTS); `python -m ser_core table` prints and computes them, cli/table.py.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ser_core import classifiers
from ser_core.corpora import catalogue
from ser_core.dataset import protocols
from ser_core.errors import ConfigError, CorpusError, ModelError
from ser_core.experiments import outcome as experiments_outcome
from ser_core.experiments.measure import held_out
from ser_core.experiments.outcome import MEAN, Outcome
from ser_core.experiments.recipe import Recipe, recipe_key, recipe_of
from ser_core.experiments.workspace import NothingKept, Workspace
from ser_core.metrics import pooling
from ser_core.metrics.evaluation import Evaluation
from ser_core.recognition import store
from ser_core.recognition import together as recognition_together
from ser_core.recognition.card import ModelCard
from ser_core.system import files
from ser_core.training import held_out as training_held_out
from ser_core.training import together as training_together
from ser_core.training.held_out import HeldOut

RESULTS = Path(__file__).with_name("results") / "benchmark.json"
ACROSS = "cross-corpus"
ORDER = ("speaker", protocols.SPEAKER_AND_SENTENCE, "random", "sentence", ACROSS, "leaky")
"""The protocols in the order in which they are measured: the most informative first."""

WORDS = (
    "Each model's recipe was retrained for every fold of a protocol, on this corpus alone (cross-corpus: on the others). Each column "
    "holds out something else: compare down a column, never across."
)
"""The caveat shown with the table."""

TOGETHER = recognition_together.NAME
"""The row of the models' pool (recognition/together.py), whose weights are learned for each fold from the others."""

MODELS = (*store.SHIPPED, MEAN, TOGETHER)
"""The models that are listed first, in their order."""

METRICS = {"uar": "UAR", "accuracy": "Accuracy"}
DIGITS = 5
"""Decimals of a stored share."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One model on one corpus under one protocol.

    recipe: recipe.recipe_key of what was trained; trained_on: the training corpora. done, rounds: how many of the protocol's folds
    are in the figures, of how many. figures: without curves; None with a problem: why the protocol is not possible.
    """

    model: str
    corpus: str
    protocol: str
    recipe: str = ""
    trained_on: tuple[str, ...] = ()
    done: int = 0
    rounds: int = 0
    figures: Evaluation | None = None
    problem: str = ""

    @property
    def place(self) -> tuple[str, str, str]:
        """Its position: model, corpus and protocol."""
        return self.model, self.corpus, self.protocol

    @property
    def whole(self) -> bool:
        """Whether all folds are in it."""
        return self.figures is not None and self.done == self.rounds


def usual(names: Iterable[str]) -> list[str]:
    """Return corpora in a fixed order, known ones first, so that the folds of a table do not depend on the order of arguments."""
    known = list(catalogue.CORPORA)
    return sorted(set(names), key=lambda name: (known.index(name) if name in known else len(known), name))


def plan(recipes: Mapping[str, Recipe], tested: Sequence[str], asked: Sequence[str]) -> list[tuple[str, str, str]]:
    """Return the places (model, corpus, protocol) to measure, in order: fast models first, then by protocol, corpus and model."""
    kinds = {
        name: classifiers.CLASSIFIERS[recipe.config.classifier].input_kind == "frames"
        for name, recipe in recipes.items()
    }
    return [
        (name, corpus, protocol)
        for network in (False, True)
        for protocol in ORDER
        if protocol in asked
        for corpus in usual(tested)
        for name in recipes
        if kinds[name] == network
    ]


def measure(
    place: tuple[str, str, str],
    recipe: Recipe,
    tables: Mapping[str, pd.DataFrame],
    workspace: Workspace,
    *,
    train: bool = True,
) -> tuple[Cell, Outcome | None]:
    """Return a cell and the model's predictions; no outcome where the protocol is not possible, which is the cell's problem then.

    tables : name -> clips table of every corpus that may be trained on. train: as in measure.held_out.

    Raises
    ------
    ConfigError : for an unknown protocol, or "cross-corpus" with nothing to train on. NothingKept : without `train`, if no fold is kept.
    Stopped : if workspace.should_stop returned True; finished folds are kept.
    """
    model, corpus, protocol = place
    names = usual(tables) if protocol == ACROSS else [corpus]
    if protocol == ACROSS and len(names) < 2:
        raise ConfigError(
            f"To be tested across corpora, '{corpus}' needs others to train on. Add one with --train-corpus NAME=DIR."
        )
    clips = pd.concat([tables[name] for name in names], ignore_index=True)
    cell = Cell(
        model=model,
        corpus=corpus,
        protocol=protocol,
        recipe=recipe_key(recipe),
        trained_on=tuple(name for name in names if name != corpus or protocol != ACROSS),
    )
    try:
        tested = (clips[catalogue.CORPUS] == corpus).to_numpy()
        outcome = held_out(replace(recipe, name=model), clips, protocol, workspace, tested=tested, train=train)
    except CorpusError as error:
        return replace(cell, problem=str(error)), None
    return filled(cell, outcome), outcome


def filled(cell: Cell, outcome: Outcome) -> Cell:
    """Return a cell with the figures of an outcome."""
    done, rounds = outcome.rounds or (1, 1)
    figures = replace(experiments_outcome.figures(outcome)[cell.corpus], curves=None)
    return replace(cell, done=done, rounds=rounds, figures=figures)


def work(
    recipes: Mapping[str, Recipe],
    tables: Mapping[str, pd.DataFrame],
    tested: Sequence[str],
    asked: Sequence[str],
    workspace: Workspace,
    *,
    known: Sequence[Cell] = (),
    train: bool = True,
    keep: Callable[[HeldOut], object] = lambda answers: None,
) -> Iterator[Cell]:
    """Yield each cell as it is finished; the mean's and the pool's as soon as their models are measured, some of them perhaps in `known`.

    The pool's across corpora come last, since each needs the answers to the other corpora.

    recipes : model -> recipe. tables : as in `measure`. tested : which of their corpora are measured. train : without, cells of which no
        fold is kept are left out. keep: called with the answers of each whole cell, but of augmented copies.

    Raises
    ------
    ConfigError : as `measure`. Stopped : if workspace.should_stop returned True; finished folds are kept.
    """
    cells, outcomes = tuple(known), dict[tuple[str, str, str], Outcome | None]()
    places = plan(recipes, tested, asked)
    for number, place in enumerate(places):

        def report_progress(fraction: float, text: str, number: int = number, corpus: str = place[1]) -> None:
            workspace.on_progress((number + fraction) / len(places), f"{corpus}: {text}")

        try:
            cell, outcomes[place] = measure(
                place, recipes[place[0]], tables, replace(workspace, on_progress=report_progress), train=train
            )
        except NothingKept:
            continue
        cells = merged(cells, [cell])
        yield cell
        outcome = outcomes[place]
        if outcome and cell.whole and not protocols.PROTOCOLS[cell.protocol].copies:
            keep(answers_of(cell, outcome))
        for combine in (mean, together):
            both = combine(cells, place[1], place[2], tables, workspace, outcomes)
            if both:
                cells = merged(cells, [both])
                yield both
    for corpus in tested if ACROSS in asked else ():
        both = across(cells, corpus, tables, workspace, outcomes)
        if both:
            cells = merged(cells, [both])
            yield both


def mean(
    cells: Sequence[Cell],
    corpus: str,
    protocol: str,
    tables: Mapping[str, pd.DataFrame],
    workspace: Workspace,
    known: Mapping[tuple[str, str, str], Outcome | None],
) -> Cell | None:
    """Return the cell of the mean of the shipped four's probabilities; None where they differ in folds or training, or are not all kept.

    known : outcomes that are in memory; the rest is read back from workspace.results.
    """
    found = _all_of(store.FOUR, cells, corpus, protocol, tables, workspace, known)
    if found is None:
        return None
    both, outcomes = found
    both = replace(both, model=MEAN, recipe=mean_key(_recipes(cells, corpus, protocol)))
    return filled(both, experiments_outcome.mean(outcomes)) if outcomes else both


def together(
    cells: Sequence[Cell],
    corpus: str,
    protocol: str,
    tables: Mapping[str, pd.DataFrame],
    workspace: Workspace,
    known: Mapping[tuple[str, str, str], Outcome | None],
) -> Cell | None:
    """Return the cell of the shipped models' pool: each fold is answered by the weights that the other folds choose. Else as `mean`.

    None too where a protocol has a single fold; across corpora, see `across`.
    """
    found = _all_of(store.SHIPPED, cells, corpus, protocol, tables, workspace, known)
    if found is None or protocol == ACROSS:
        return None
    both, outcomes = found
    both = replace(both, model=TOGETHER, recipe=together_key(_recipes(cells, corpus, protocol)))
    if not outcomes:
        return both
    pooled = training_together.of_folds(store.SHIPPED, _joined(both, outcomes))
    return (
        filled(both, replace(outcomes[0], model=TOGETHER, probabilities=pooled)) if pooled.any(axis=1).all() else None
    )


def across(
    cells: Sequence[Cell],
    corpus: str,
    tables: Mapping[str, pd.DataFrame],
    workspace: Workspace,
    known: Mapping[tuple[str, str, str], Outcome | None],
) -> Cell | None:
    """Return the pool's cell for a corpus that no model has learned from, by the weights that the answers to the others choose; or None."""
    own, parts = None, []
    for name in usual(cell.corpus for cell in cells):
        found = _all_of(store.SHIPPED, cells, name, ACROSS, tables, workspace, known)
        if found and found[1] and name == corpus:
            own = found
        elif found and found[1]:
            part = _joined(*found)
            parts.append((part, np.ones(len(part.clips), bool), 1.0))
    if own is None or not parts:
        return None
    both, outcomes = own
    weights = training_together.weights(store.SHIPPED, parts)
    pooled = pooling.pool(np.array([each.probabilities for each in outcomes]), weights)
    both = replace(both, model=TOGETHER, recipe=together_key(_recipes(cells, corpus, ACROSS)))
    return filled(both, replace(outcomes[0], model=TOGETHER, probabilities=pooled))


def answers_of(cell: Cell, outcome: Outcome) -> HeldOut:
    """Return the answers of a cell, to be kept beside those of others (training/held_out.py)."""
    assert outcome.folds is not None, "it was measured by a protocol"
    return training_held_out.of(
        outcome.clips,
        outcome.folds,
        outcome.probabilities,
        cell.model,
        labels=outcome.labels,
        protocol=cell.protocol,
        scope=training_held_out.OTHERS if cell.protocol == ACROSS else training_held_out.ALONE,
        corpus=cell.corpus,
        key=cell.recipe,
    )


def _joined(cell: Cell, outcomes: Sequence[Outcome]) -> HeldOut:
    """Return the shipped models' answers to the same clips as one."""
    parts = [answers_of(replace(cell, model=slug), each) for slug, each in zip(store.SHIPPED, outcomes, strict=True)]
    probabilities = {slug: part.probabilities[slug] for slug, part in zip(store.SHIPPED, parts, strict=True)}
    return replace(parts[0], probabilities=probabilities)


def _recipes(cells: Sequence[Cell], corpus: str, protocol: str) -> dict[str, str]:
    return {cell.model: cell.recipe for cell in cells if (cell.corpus, cell.protocol) == (corpus, protocol)}


def _all_of(
    slugs: Sequence[str],
    cells: Sequence[Cell],
    corpus: str,
    protocol: str,
    tables: Mapping[str, pd.DataFrame],
    workspace: Workspace,
    known: Mapping[tuple[str, str, str], Outcome | None],
) -> tuple[Cell, list[Outcome]] | None:
    """Return the first of some models' cells of a place and the outcomes of all, none where they have a problem; else as `mean`."""
    by_model = {cell.model: cell for cell in cells if (cell.corpus, cell.protocol) == (corpus, protocol)}
    present = [by_model[slug] for slug in slugs if slug in by_model]
    if (
        len(present) < len(slugs)
        or len({(cell.done, cell.rounds, cell.trained_on, cell.problem) for cell in present}) > 1
    ):
        return None
    if present[0].problem:
        return present[0], []
    outcomes = []
    for cell in present:
        outcome = known.get(cell.place)
        if outcome is None:
            recipe = recipe_of(store.read_card(cell.model, workspace.models))
            try:
                outcome = measure(cell.place, recipe, tables, workspace, train=False)[1]
            except NothingKept:
                return None
        if outcome is None or outcome.rounds != (cell.done, cell.rounds):
            return None
        outcomes.append(outcome)
    try:
        experiments_outcome.mean(outcomes)
    except ConfigError:  # as many folds of each, but not the same ones, or other labels
        return None
    return present[0], outcomes


def mean_key(keys: Mapping[str, str]) -> str:
    """Return a key for the mean's recipe, which changes with that of each of the four. keys: model -> recipe."""
    return hashlib.sha256(" ".join(keys[slug] for slug in store.FOUR).encode()).hexdigest()[:12]


def together_key(keys: Mapping[str, str]) -> str:
    """Return a key for the pool's recipe, which changes with that of each shipped model. keys: model -> recipe."""
    return hashlib.sha256(" ".join([TOGETHER, *(keys[slug] for slug in store.SHIPPED)]).encode()).hexdigest()[:12]


def keys(cards: Iterable[ModelCard]) -> dict[str, str]:
    """Return the current recipe keys of some models, of the mean and of the pool where the shipped are among them."""
    found = {}
    for card in cards:
        with contextlib.suppress(ModelError):  # fine-tuned from another model: no recipe covers all its training data
            found[card.slug] = recipe_key(recipe_of(card))
    if not set(store.FOUR) <= set(found):
        return found
    found |= {MEAN: mean_key(found)}
    return found | ({TOGETHER: together_key(found)} if set(store.SHIPPED) <= set(found) else {})


def is_stale(cell: Cell, current: Mapping[str, str]) -> bool:
    """Return whether a model's recipe has changed since the cell was measured. current: model -> recipe, of `keys`."""
    return current.get(cell.model, cell.recipe) != cell.recipe


def merged(cells: Iterable[Cell], more: Iterable[Cell]) -> tuple[Cell, ...]:
    """Return a table with more cells, in order; a cell of the same recipe and training is not replaced by one of fewer folds."""
    by_place = {cell.place: cell for cell in cells}
    for cell in more:
        old = by_place.get(cell.place)
        fuller = old and (old.recipe, old.trained_on) == (cell.recipe, cell.trained_on) and old.done > cell.done
        if not fuller:
            by_place[cell.place] = cell
    names, models = usual(cell.corpus for cell in by_place.values()), models_of(by_place.values())
    columns = list(protocols.PROTOCOLS)
    return tuple(
        sorted(
            by_place.values(),
            key=lambda cell: (names.index(cell.corpus), models.index(cell.model), columns.index(cell.protocol)),
        )
    )


def models_of(cells: Iterable[Cell]) -> list[str]:
    """Return the models of a table in order: the shipped, others, the mean, the pool."""
    there = {cell.model for cell in cells}
    others = sorted(there - set(MODELS))
    return [name for name in (*store.SHIPPED, *others, MEAN, TOGETHER) if name in there]


def command(cells: Sequence[Cell]) -> str:
    """Return the command that computes a table."""
    names = usual(cell.corpus for cell in cells)
    return " ".join(
        [
            "python -m ser_core table",
            *(f"--corpus {name}=DIR" for name in names),
            f"--out ser_core/experiments/results/{RESULTS.name}",
            f"--answers ser_core/experiments/results/{training_held_out.RESULTS.name}",
        ]
    )


def to_dict(cell: Cell) -> dict[str, Any]:
    """Return a cell as JSON values."""
    plain = {each.name: getattr(cell, each.name) for each in fields(cell) if each.name != "figures"}
    figures = _rounded(cell.figures.to_dict()) if cell.figures else None
    return plain | {"trained_on": list(cell.trained_on), "figures": figures}


def from_dict(values: Mapping[str, Any]) -> Cell:
    """Build a cell from JSON values; raises KeyError, TypeError, ValueError or ConfigError for others."""
    figures = values["figures"]
    model, corpus, protocol, recipe, problem = (
        str(values[name]) for name in ("model", "corpus", "protocol", "recipe", "problem")
    )
    return Cell(
        model=model,
        corpus=corpus,
        protocol=protocol,
        recipe=recipe,
        problem=problem,
        done=int(values["done"]),
        rounds=int(values["rounds"]),
        trained_on=tuple(str(name) for name in values["trained_on"]),
        figures=None if figures is None else Evaluation.from_dict(figures),
    )


def read(path: Path = RESULTS) -> tuple[Cell, ...]:
    """Return the cells of a file; raises ConfigError where it is missing or damaged."""
    try:
        return merged((), [from_dict(row) for row in json.loads(path.read_text(encoding="utf-8"))["cells"]])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ConfigError) as error:
        raise ConfigError(
            f"The results in '{path.name}' cannot be read ({error}). Restore the file, or measure into a new one."
        ) from error


def write(path: Path, cells: Sequence[Cell]) -> None:
    """Write a table as `read` reads it, one line per cell, with the command that computes it."""
    rows = ",\n  ".join(json.dumps(to_dict(cell)) for cell in cells)
    files.write_atomically(path, f'{{\n "command": {json.dumps(command(cells))},\n "cells": [\n  {rows}\n ]\n}}\n')


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _rounded(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return round(value, DIGITS) if isinstance(value, float | np.floating) else value
