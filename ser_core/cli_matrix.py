"""The command `python -m ser_core matrix`: recipes trained on each corpus and tested on each."""

from __future__ import annotations

import argparse
import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ser_core.cli_evaluate import add_places, add_recipe, check_target, desk_of, read_clips, recipe_of, say

if TYPE_CHECKING:
    from ser_core.matrix import Cell


def add(commands: Any) -> None:
    """Add the command to the parser."""
    matrix = commands.add_parser(
        "matrix",
        help="trained on one corpus, tested on another: every pair",
        description="A recipe is trained on each corpus and tested on each, on the labels shared; within one corpus, speakers are held "
        "out.",
    )
    matrix.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="NAME",
        help="a trained model, whose recipe is trained anew; repeatable (default: knn and mlp)",
    )
    add_recipe(matrix)
    matrix.add_argument(
        "--corpus",
        action="append",
        required=True,
        metavar="NAME[=DIR]",
        help="an installed corpus, or one that lies in DIR; two or more",
    )
    matrix.add_argument("--write", type=Path, metavar="FILE", help="write the cells of all recipes to FILE")
    add_places(matrix, results="finished trainings and the log of readings")
    matrix.add_argument("--json", action="store_true", help="print one JSON object a recipe")
    matrix.set_defaults(run=_matrix)


def _matrix(options: argparse.Namespace) -> int:
    from ser_core import background

    background.settle()  # before anything heavy is loaded
    from ser_core import assessment, matrix, store

    desk = desk_of(options)
    recipes = [recipe_of(options)] if options.classifier else []
    slugs = options.model or ([] if recipes else matrix.WORKED_OUT)
    recipes += [assessment.recipe_of(store.read_card(slug, desk.models)) for slug in dict.fromkeys(slugs)]
    tables = {given.partition("=")[0]: read_clips(given, options.corpora_dir) for given in options.corpus}
    check_target(options.write)
    found: dict[str, list[Cell]] = {}
    for recipe in recipes:
        found[recipe.name] = matrix.measure(recipe, tables, desk, on_cell=functools.partial(_said, recipe.name))
    if options.write:
        matrix.write_results(options.write, tables, found, command=_command(options, list(tables)))
        say(f"{options.write}: {sum(map(len, found.values()))} cells")
    if options.json:
        print(
            json.dumps(
                [{"model": name, "cells": [matrix.to_dict(cell) for cell in cells]} for name, cells in found.items()],
                indent=1,
            )
        )
    else:
        for name, cells in found.items():
            _print(name, list(tables), cells)
    return 0


def _command(options: argparse.Namespace, names: Sequence[str]) -> str:
    """Return the command that was given, without the places of this machine."""
    given = [("--model", name) for name in options.model] + [("--set", pair) for pair in options.set]
    single = (("--classifier", options.classifier), ("--copies", options.copies))
    given += [(option, value) for option, value in single if value is not None]
    given += [("--corpus", f"{name}=DIR") for name in names] + [("--write", options.write.name)]
    return " ".join(["python -m ser_core matrix", *(f"{option} {value}" for option, value in given)])


def _said(name: str, cells: Sequence[Cell]) -> None:
    cell = cells[-1]
    say(
        f"{name}, {cell.train} to {cell.test}: {cell.problem or f'UAR {cell.uar:.1%} on {cell.n_clips} clips, {len(cell.labels)} labels'}"
    )


def _print(name: str, names: Sequence[str], cells: Sequence[Cell]) -> None:
    """Print the UAR in %, trained on the row and tested on the column, and what leaving the corpus costs."""
    from ser_core import matrix

    by_pair = {(cell.train, cell.test): cell for cell in cells}
    sets = {cell.labels for cell in cells if not cell.problem}
    on = (
        f"on {len(labels := next(iter(sets)))} labels ({', '.join(labels)}), chance {1 / len(labels):.1%}"
        if len(sets) == 1
        else ""
    )
    print(f"{name}: UAR in %, trained on the row, tested on the column {on or 'on the labels that each pair shares'}")
    wide = max(10, *(len(each) + 2 for each in names))
    print("  " + " " * wide + "".join(f"{each:>{wide}}" for each in names))
    for train in names:
        row = [by_pair[train, test] for test in names]
        print(
            "  "
            + f"{train:<{wide}}"
            + "".join(f"{'-' if cell.problem else f'{100 * cell.uar:.1f}':>{wide}}" for cell in row)
        )
    both = matrix.means(cells)
    if both:
        print(f"  on new speakers of the same corpus {both[0]:.1%}, of another corpus {both[1]:.1%}")
    for cell in cells:
        if cell.problem:
            print(f"  {cell.train} to {cell.test}: {cell.problem}")
    print()
