"""The command `python -m ser_core table`: the models over all protocols and corpora, as they were measured or measured now."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ser_core.cli_evaluate import add_places, check_target, desk_of, read_clips, say
from ser_core.errors import ConfigError

if TYPE_CHECKING:
    from ser_core.protocol_table import Cell

NOT_MEASURED, STALE, NOT_TO_BE_HAD = "not measured", "of an earlier recipe", "not to be had"


def add(commands: Any) -> None:
    """Add the command to the parser."""
    table = commands.add_parser(
        "table",
        help="the models over all protocols and corpora",
        description="Without --corpus the results that come with the project are printed. With it, recipes are trained anew, corpus by "
        "corpus and protocol by protocol; finished rounds are kept, so that it may be stopped, and measured in pieces.",
    )
    table.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="NAME",
        help="a model whose recipe is measured, or mean; repeatable (default: the shipped four and their mean)",
    )
    table.add_argument(
        "--protocol",
        action="append",
        default=[],
        metavar="NAME",
        help="leaky, random, sentence, speaker or cross-corpus; repeatable (default: all)",
    )
    table.add_argument(
        "--corpus",
        action="append",
        default=[],
        metavar="NAME[=DIR]",
        help="measured, by itself: an installed corpus, or one that lies in DIR; repeatable",
    )
    table.add_argument(
        "--train-corpus",
        action="append",
        default=[],
        metavar="NAME[=DIR]",
        help="for cross-corpus only trained on, as every other --corpus is; repeatable",
    )
    table.add_argument(
        "--write", type=Path, metavar="FILE", help="add each cell to the results in FILE as soon as it is finished"
    )
    table.add_argument(
        "--read",
        type=Path,
        metavar="FILE",
        help="print the results in FILE (default: those that come with the project)",
    )
    table.add_argument("--stored", action="store_true", help="train nothing: take the rounds that are finished already")
    table.add_argument("--metric", choices=["uar", "accuracy"], default="uar", help="what is printed (default: uar)")
    add_places(table, results="finished rounds and the log of readings")
    table.add_argument("--json", action="store_true", help="print all figures as JSON")
    table.set_defaults(run=_table)


def _table(options: argparse.Namespace) -> int:
    from ser_core import assessment, protocol_table, protocols, store

    unknown = [name for name in options.protocol if name not in protocols.PROTOCOLS]
    if unknown:
        raise ConfigError(f"There is no protocol '{unknown[0]}'. Choose from {', '.join(protocols.PROTOCOLS)}.")
    if not options.corpus and (options.write or options.stored or options.train_corpus):
        raise ConfigError("Say what to measure: --corpus ravdess, or --corpus ravdess=DIR.")
    if options.corpus and options.read:
        raise ConfigError(
            "--read prints results that are there. To measure and keep what a file holds, name it with --write."
        )
    cells = _measured(options) if options.corpus else protocol_table.read(options.read or protocol_table.RESULTS)
    cells = [
        cell
        for cell in cells
        if (not options.model or cell.model in options.model)
        and (not options.protocol or cell.protocol in options.protocol)
    ]
    current = protocol_table.keys(store.list_models(options.models_dir or store.MODELS)[0])
    if options.json:
        print(json.dumps(_told(cells, current), indent=1))
    else:
        others = dict.fromkeys(cell.model for cell in cells if cell.model not in protocol_table.MODELS)
        models = [
            name for name in (*store.SHIPPED, *others, assessment.MEAN) if not options.model or name in options.model
        ]
        columns = [name for name in protocols.PROTOCOLS if not options.protocol or name in options.protocol]
        _print(cells, models, columns, options.metric, current)
    return 0


def _measured(options: argparse.Namespace) -> Sequence[Cell]:
    """Return what is there after measuring: in the file, or without one what was measured now."""
    from ser_core import background

    background.settle()  # before anything heavy is loaded
    from ser_core import assessment, protocol_table, protocols, store

    desk = desk_of(options)
    check_target(options.write)
    slugs = [name for name in options.model if name != assessment.MEAN] or list(store.SHIPPED)
    recipes = {slug: assessment.recipe_of(store.read_card(slug, desk.models)) for slug in dict.fromkeys(slugs)}
    tested = [given.partition("=")[0] for given in options.corpus]
    tables = {
        given.partition("=")[0]: read_clips(given, options.corpora_dir)
        for given in [*options.corpus, *options.train_corpus]
    }
    asked = options.protocol or list(protocols.PROTOCOLS)
    if protocol_table.ACROSS in asked and len(tables) < 2:
        asked = [name for name in asked if name != protocol_table.ACROSS]
        say(
            "cross-corpus: left out, because it needs another corpus to train on. Add one with --train-corpus NAME=DIR."
        )
    kept, stale = _kept(options.write, desk.models)  # what cannot be read is said before anything is measured
    for cell in stale:
        say(f"{cell.model}, {cell.corpus}, {cell.protocol}: {STALE}, taken out of {options.write.name}")
    cells: Sequence[Cell] = ()
    for cell in protocol_table.work(recipes, tables, tested, asked, desk, known=kept, train=not options.stored):
        say(f"{cell.model}, {cell.corpus}, {cell.protocol}: {_said(cell)}")
        before = _kept(options.write, desk.models)[0] if options.write else cells  # read anew: others may write as well
        cells = protocol_table.merged(before, [cell])
        if options.write:
            protocol_table.write(options.write, cells)
    return cells or kept


def _kept(path: Path | None, models: Path) -> tuple[Sequence[Cell], Sequence[Cell]]:
    """Return the cells of a file, if it is there: those that still hold, and those of recipes that have changed since."""
    from ser_core import protocol_table, store

    cells = protocol_table.read(path) if path and path.exists() else ()
    current = protocol_table.keys(store.list_models(models)[0])
    stale = [cell for cell in cells if protocol_table.is_stale(cell, current)]
    return [cell for cell in cells if cell not in stale], stale


def _said(cell: Cell) -> str:
    if cell.figures is None:
        return cell.problem
    low, high = cell.figures.interval["uar"]
    return f"UAR {cell.figures.uar:.1%} ({low:.1%} to {high:.1%}), {cell.done} of {cell.rounds} rounds, {cell.figures.n_clips} clips"


def _told(cells: Sequence[Cell], current: dict[str, str]) -> dict[str, Any]:
    """Return all figures as JSON values."""
    from ser_core import protocol_table, protocols

    rows = []
    for cell in cells:
        own = protocol_table.to_dict(cell)
        figures = own.pop("figures") or {}
        held_out = protocols.PROTOCOLS[cell.protocol].held_out
        n_labels = {"n_labels": len(figures["per_label"])} if figures else {}
        rows.append(own | {"held_out": held_out, "stale": protocol_table.is_stale(cell, current)} | n_labels | figures)
    return {"read": protocol_table.WORDS, "command": protocol_table.command(cells), "cells": rows}


def _print(
    cells: Sequence[Cell], models: Sequence[str], columns: Sequence[str], metric: str, current: dict[str, str]
) -> None:
    """Print a row a model and corpus and a column a protocol, what each holds out, and why a cell cannot be had."""
    from ser_core import protocol_table, protocols

    if not cells:
        print("Nothing of this is measured yet.")
        return
    print(f"{protocol_table.METRICS[metric]} (95 % interval). {protocol_table.WORDS}")
    for name in columns:
        print(f"  {name:<13} held out: {protocols.PROTOCOLS[name].held_out}. {protocols.PROTOCOLS[name].worth}")
    print()
    by_place = {cell.place: cell for cell in cells}
    barred = {(cell.corpus, cell.protocol) for cell in cells if cell.problem}
    rows: list[list[str]] = [["corpus", "model", *columns]]
    for corpus in dict.fromkeys(cell.corpus for cell in cells):
        empty = {name: NOT_TO_BE_HAD if (corpus, name) in barred else NOT_MEASURED for name in columns}
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
    if any(protocol_table.is_stale(cell, current) for cell in cells):
        print(
            f"{STALE}: the model has been made anew with other settings since. Measure it again: {protocol_table.command(cells)}"
        )


_FACTS = {
    "rounds": lambda cell: str(cell.rounds),
    "chance": lambda cell: f"{cell.figures.chance:.1%}",
    "labels": lambda cell: str(len(cell.figures.per_label)),
    "clips": lambda cell: str(cell.figures.n_clips) if cell.whole else "",
    "speakers": lambda cell: str(cell.figures.n_test_speakers) if cell.whole else "",
}
"""Lines below the models of a corpus: title -> what a measured cell says of it."""


def _text(cell: Cell | None, metric: str, current: dict[str, str]) -> str:
    from ser_core import protocol_table

    if cell is None or cell.figures is None:
        return ""
    low, high = cell.figures.interval[metric]
    parts = [f"{getattr(cell.figures, metric):.1%} ({low:.1%} to {high:.1%})"]
    parts += [] if cell.whole else [f"{cell.done} of {cell.rounds} rounds"]
    parts += [STALE] if protocol_table.is_stale(cell, current) else []
    return ", ".join(parts)


def _all_of(cells: Sequence[Cell], fact: Any) -> str:
    return " or ".join(dict.fromkeys(text for cell in cells if cell.figures and (text := fact(cell))))
