"""The command table: the models over all protocols and corpora, from stored results or measured now."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ser_core.cli import options as shared
from ser_core.cli.terminal import message
from ser_core.errors import ConfigError

if TYPE_CHECKING:
    from ser_core.experiments.benchmark import Cell

NOT_MEASURED, STALE, NOT_AVAILABLE = "not measured", "of an earlier recipe", "not available"


def add(commands: Any) -> None:
    """Add the command to the parser."""
    table = commands.add_parser(
        "table",
        help="the models over all protocols and corpora",
        description="Without --corpus, the results that come with the project are printed. With it, recipes are retrained, by corpus "
        "and protocol; finished rounds are stored, so that it can be stopped and resumed, or measured in parts.",
    )
    shared.add_model(
        table,
        "a model whose recipe is measured, or mean, or together (default: the shipped, their mean and their pool)",
    )
    table.add_argument(
        "--protocol",
        action="append",
        default=[],
        metavar="NAME",
        help="leaky, random, sentence, speaker, 'speaker and sentence' or cross-corpus; repeatable (default: all)",
    )
    shared.add_corpus(table, "a corpus to measure on its own, installed or in DIR")
    shared.add_corpus(
        table,
        "for cross-corpus: a corpus to train on only, besides every other --corpus, installed or in DIR",
        option="--train-corpus",
    )
    shared.add_out(table, "file to add each cell to as soon as it is finished, as JSON, besides printing the table")
    table.add_argument(
        "--answers",
        type=Path,
        metavar="FILE",
        help="file to add the answers to held-out clips to, of all protocols but leaky",
    )
    table.add_argument(
        "--read",
        type=Path,
        metavar="FILE",
        help="print the results in FILE (default: those that come with the project)",
    )
    table.add_argument("--stored", action="store_true", help="train nothing: use the rounds that are finished already")
    table.add_argument("--metric", choices=["uar", "accuracy"], default="uar", help="figure to print (default: uar)")
    shared.add_folders(table, results="finished rounds and of the log of readings")
    shared.add_json(table, "print all figures as JSON")
    table.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ser_core import paths
    from ser_core.dataset import protocols
    from ser_core.experiments import benchmark, outcome
    from ser_core.recognition import store

    unknown = [name for name in options.protocol if name not in protocols.PROTOCOLS]
    if unknown:
        raise ConfigError(f"There is no protocol '{unknown[0]}'. Choose from {', '.join(protocols.PROTOCOLS)}.")
    if not options.corpus and (options.out or options.stored or options.train_corpus):
        raise ConfigError("Say what to measure: --corpus ravdess, or --corpus ravdess=DIR.")
    if options.corpus and options.read:
        raise ConfigError(
            "--read prints stored results. To measure and add to the results in a file, name it with --out."
        )
    cells = _measured(options) if options.corpus else benchmark.read(options.read or benchmark.RESULTS)
    cells = [
        cell
        for cell in cells
        if (not options.model or cell.model in options.model)
        and (not options.protocol or cell.protocol in options.protocol)
    ]
    current = benchmark.keys(store.list_models(options.models_dir or paths.models_folder())[0])
    if options.json:
        print(json.dumps(_to_dict(cells, current), indent=1))
    else:
        others = dict.fromkeys(cell.model for cell in cells if cell.model not in benchmark.MODELS)
        whole = [benchmark.TOGETHER] if any(cell.model == benchmark.TOGETHER for cell in cells) else []
        models = [
            name
            for name in (*store.SHIPPED, *others, outcome.MEAN, *whole)
            if not options.model or name in options.model
        ]
        columns = [name for name in protocols.PROTOCOLS if not options.protocol or name in options.protocol]
        _print(cells, models, columns, options.metric, current)
    return 0


def _measured(options: argparse.Namespace) -> Sequence[Cell]:
    """Return the cells after measuring: those in the file, or without one those measured now."""
    from ser_core.system import priority

    priority.settle()  # before anything heavy is loaded
    from ser_core.dataset import protocols
    from ser_core.experiments import benchmark, outcome, recipe
    from ser_core.recognition import store
    from ser_core.training import held_out

    workspace = shared.workspace_from(options)
    shared.check_out(options.out)
    slugs = [name for name in options.model if name not in (outcome.MEAN, benchmark.TOGETHER)] or list(store.SHIPPED)
    recipes = {slug: recipe.recipe_of(store.read_card(slug, workspace.models)) for slug in dict.fromkeys(slugs)}
    measured = shared.read_clips(options.corpus, options.corpora_dir)
    tables = measured | shared.read_clips(options.train_corpus, options.corpora_dir, option="--train-corpus")
    chosen = options.protocol or list(protocols.PROTOCOLS)
    if benchmark.ACROSS in chosen and len(tables) < 2:
        chosen = [name for name in chosen if name != benchmark.ACROSS]
        message(
            "cross-corpus: skipped, because it needs another corpus to train on. Add one with --train-corpus NAME=DIR."
        )
    stored, stale = _stored(
        options.out, workspace.models
    )  # a file that cannot be read is an error before anything is measured
    for cell in stale:
        message(f"{cell.model}, {cell.corpus}, {cell.protocol}: {STALE}, removed from {options.out.name}")
    cells: Sequence[Cell] = ()
    for cell in benchmark.work(
        recipes,
        tables,
        list(measured),
        chosen,
        workspace,
        known=stored,
        train=not options.stored,
        keep=partial(held_out.add, options.answers) if options.answers else lambda answers: None,
    ):
        message(f"{cell.model}, {cell.corpus}, {cell.protocol}: {_describe(cell)}")
        before = (
            _stored(options.out, workspace.models)[0] if options.out else cells
        )  # read again: others may write as well
        cells = benchmark.merged(before, [cell])
        if options.out:
            benchmark.write(options.out, cells)
    return cells or stored


def _stored(path: Path | None, models: Path) -> tuple[Sequence[Cell], Sequence[Cell]]:
    """Return the cells of a file, if it exists: those that still hold, and those of recipes that have changed since."""
    from ser_core.experiments import benchmark
    from ser_core.recognition import store

    cells = benchmark.read(path) if path and path.exists() else ()
    current = benchmark.keys(store.list_models(models)[0])
    stale = [cell for cell in cells if benchmark.is_stale(cell, current)]
    return [cell for cell in cells if cell not in stale], stale


def _describe(cell: Cell) -> str:
    if cell.figures is None:
        return cell.problem
    low, high = cell.figures.interval["uar"]
    return f"UAR {cell.figures.uar:.1%} ({low:.1%} to {high:.1%}), {cell.done} of {cell.rounds} rounds, {cell.figures.n_clips} clips"


def _to_dict(cells: Sequence[Cell], current: dict[str, str]) -> dict[str, Any]:
    """Return all figures as JSON values."""
    from ser_core.dataset import protocols
    from ser_core.experiments import benchmark

    rows = []
    for cell in cells:
        own = benchmark.to_dict(cell)
        figures = own.pop("figures") or {}
        held_out = protocols.PROTOCOLS[cell.protocol].held_out
        n_labels = {"n_labels": len(figures["per_label"])} if figures else {}
        facts = {
            "held_out": held_out,
            "stale": benchmark.is_stale(cell, current),
            "caveat": protocols.caveat(cell.corpus, cell.protocol),
        }
        rows.append(own | facts | n_labels | figures)
    return {"read": benchmark.WORDS, "command": benchmark.command(cells), "cells": rows}


def _print(
    cells: Sequence[Cell], models: Sequence[str], columns: Sequence[str], metric: str, current: dict[str, str]
) -> None:
    """Print one row per model and corpus and one column per protocol, what each holds out, and why a cell is not available."""
    from ser_core.dataset import protocols
    from ser_core.experiments import benchmark

    if not cells:
        print("None of this is measured yet.")
        return
    print(f"{benchmark.METRICS[metric]} (95 % interval). {benchmark.WORDS}")
    width = max(map(len, columns), default=0)
    for name in columns:
        print(f"  {name:<{width}} held out: {protocols.PROTOCOLS[name].held_out}. {protocols.PROTOCOLS[name].worth}")
    print()
    by_place = {cell.place: cell for cell in cells}
    barred = {(cell.corpus, cell.protocol) for cell in cells if cell.problem}
    rows: list[list[str]] = [["corpus", "model", *columns]]
    for corpus in dict.fromkeys(cell.corpus for cell in cells):
        empty = {name: NOT_AVAILABLE if (corpus, name) in barred else NOT_MEASURED for name in columns}
        block = [
            [model, *(_text(by_place.get((model, corpus, name)), metric, current) or empty[name] for name in columns)]
            for model in models
        ]
        of_corpus = {
            name: [cell for cell in cells if (cell.corpus, cell.protocol) == (corpus, name)] for name in columns
        }
        block += [[title, *(_all_of(of_corpus[name], fact) for name in columns)] for title, fact in _FACTS.items()]
        rows += [
            [corpus if number == 0 else "", *row]
            for number, row in enumerate(block)
            if row[0] in models or any(row[1:])
        ]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    for row in rows:
        print("  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip())
    print()
    for corpus, protocol, problem in dict.fromkeys(
        (cell.corpus, cell.protocol, cell.problem) for cell in cells if cell.problem
    ):
        print(f"{corpus}, {protocol}: {problem}")
    for text in dict.fromkeys(text for cell in cells if cell.figures and (text := protocols.caveat(*cell.place[1:]))):
        print(text)
    if any(benchmark.is_stale(cell, current) for cell in cells):
        print(
            f"{STALE}: the model has been retrained with other settings since. Measure it again: {benchmark.command(cells)}"
        )


_FACTS = {
    "rounds": lambda cell: str(cell.rounds),
    "chance": lambda cell: f"{cell.figures.chance:.1%}",
    "people, accuracy": lambda cell: f"{cell.figures.human:.1%}" if cell.figures.human else "",
    "labels": lambda cell: str(len(cell.figures.per_label)),
    "clips": lambda cell: str(cell.figures.n_clips) if cell.whole else "",
    "speakers": lambda cell: str(cell.figures.n_test_speakers) if cell.whole else "",
}
"""Lines below the models of a corpus: title -> the text of a measured cell."""


def _text(cell: Cell | None, metric: str, current: dict[str, str]) -> str:
    from ser_core.experiments import benchmark

    if cell is None or cell.figures is None:
        return ""
    low, high = cell.figures.interval[metric]
    parts = [f"{getattr(cell.figures, metric):.1%} ({low:.1%} to {high:.1%})"]
    parts += [] if cell.whole else [f"{cell.done} of {cell.rounds} rounds"]
    parts += [STALE] if benchmark.is_stale(cell, current) else []
    return ", ".join(parts)


def _all_of(cells: Sequence[Cell], fact: Any) -> str:
    return " or ".join(dict.fromkeys(text for cell in cells if cell.figures and (text := fact(cell))))
