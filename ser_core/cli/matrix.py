"""The command matrix: recipes trained on each corpus and tested on each."""

from __future__ import annotations

import argparse
import functools
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ser_core.cli import options as shared
from ser_core.cli.terminal import message

if TYPE_CHECKING:
    from ser_core.experiments.cross_corpus import Cell


def add(commands: Any) -> None:
    """Add the command to the parser."""
    matrix = commands.add_parser(
        "matrix",
        help="trained on one corpus, tested on another: every pair",
        description="A recipe is trained on each corpus and tested on each, on the labels they share; within one corpus, speakers are held "
        "out.",
    )
    shared.add_model(matrix, "a trained model whose recipe is retrained (default: knn and mlp)")
    shared.add_recipe(matrix)
    shared.add_corpus(matrix, "a corpus, installed or in DIR; two or more", required=True)
    shared.add_out(matrix, "file to write the cells of all recipes to, as JSON, besides printing them")
    shared.add_folders(matrix, results="finished trainings and of the log of readings")
    shared.add_json(matrix, "print one JSON object per recipe")
    matrix.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ser_core.system import priority

    priority.settle()  # before anything heavy is loaded
    from ser_core.experiments import cross_corpus
    from ser_core.experiments.recipe import recipe_of
    from ser_core.recognition import store

    workspace = shared.workspace_from(options)
    recipes = [shared.recipe_from(options)] if options.classifier else []
    slugs = options.model or ([] if recipes else cross_corpus.WORKED_OUT)
    recipes += [recipe_of(store.read_card(slug, workspace.models)) for slug in dict.fromkeys(slugs)]
    tables = shared.read_clips(options.corpus, options.corpora_dir)
    shared.check_out(options.out)
    found: dict[str, list[Cell]] = {}
    for recipe in recipes:
        found[recipe.name] = cross_corpus.measure(
            recipe, tables, workspace, on_cell=functools.partial(_print_cell, recipe.name)
        )
    if options.out:
        cross_corpus.write_results(options.out, tables, found, command=_command(options, list(tables)))
        message(f"{options.out}: {sum(map(len, found.values()))} cells")
    if options.json:
        print(
            json.dumps(
                [
                    {"model": name, "cells": [cross_corpus.to_dict(cell) for cell in cells]}
                    for name, cells in found.items()
                ],
                indent=1,
            )
        )
    else:
        for name, cells in found.items():
            _print(name, list(tables), cells)
    return 0


def _command(options: argparse.Namespace, names: Sequence[str]) -> str:
    """Return the command, without the folders of this machine."""
    given = [("--model", name) for name in options.model] + [("--set", pair) for pair in options.set]
    single = (("--classifier", options.classifier), ("--copies", options.copies))
    given += [(option, value) for option, value in single if value is not None]
    given += [("--corpus", f"{name}=DIR") for name in names] + [("--out", options.out.name)]
    return " ".join(["python -m ser_core matrix", *(f"{option} {value}" for option, value in given)])


def _print_cell(name: str, cells: Sequence[Cell]) -> None:
    cell = cells[-1]
    message(
        f"{name}, {cell.train} to {cell.test}: {cell.problem or f'UAR {cell.uar:.1%} on {cell.n_clips} clips, {len(cell.labels)} labels'}"
    )


def _print(name: str, names: Sequence[str], cells: Sequence[Cell]) -> None:
    """Print the UAR in %, trained on the row and tested on the column, and what leaving the corpus costs."""
    from ser_core.experiments import cross_corpus

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
    both = cross_corpus.means(cells)
    if both:
        print(f"  on new speakers of the same corpus {both[0]:.1%}, of another corpus {both[1]:.1%}")
    for cell in cells:
        if cell.problem:
            print(f"  {cell.train} to {cell.test}: {cell.problem}")
    for cell in cells:
        if cell.doubles:
            print(f"  {cell.train} to {cell.test}: {cell.doubles}")
    print()
