"""The cross-corpus matrix: a recipe trained on each corpus and tested on each. The diagonal holds out speakers within the corpus.

Each cell is a measurement of measure.py, which keeps finished folds. Results come with the project (RESULTS);
`python -m ser_core matrix` computes them, cli/matrix.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import pandas as pd

from ser_core.corpora import catalogue
from ser_core.dataset import labels as dataset_labels
from ser_core.dataset import protocols, splits
from ser_core.errors import ConfigError, CorpusError
from ser_core.experiments.measure import held_out
from ser_core.experiments.outcome import figures
from ser_core.experiments.recipe import Recipe
from ser_core.experiments.workspace import Workspace
from ser_core.system import untrusted_json

RESULTS = Path(__file__).with_name("results") / "cross_corpus.json"
WORKED_OUT = ("knn", "mlp")
"""The models whose recipes' results come with the project."""
MIN_LABELS = 2


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One training corpus and one test corpus; shares lie in 0..1.

    labels: those that it was measured on. low, high: the 95 % interval of the UAR. problem: why it is not possible, "" where it was
    measured; the figures are 0 then. doubles: as an Outcome has them.
    """

    train: str
    test: str
    labels: tuple[str, ...] = ()
    n_clips: int = 0
    n_test_speakers: int = 0
    uar: float = 0.0
    low: float = 0.0
    high: float = 0.0
    accuracy: float = 0.0
    chance: float = 0.0
    problem: str = ""
    doubles: str = ""

    @property
    def protocol(self) -> str:
        """The protocol of evaluation: speakers held out within a corpus, or a whole corpus."""
        return splits.SPEAKER_PROTOCOL if self.train == self.test else protocols.ACROSS


@dataclass(frozen=True, kw_only=True)
class Ready:
    """The results that come with the project. command: what computed them; corpora: name -> clips; models: slug -> its cells."""

    command: str
    corpora: dict[str, int]
    models: dict[str, tuple[Cell, ...]]


def common_labels(tables: Mapping[str, pd.DataFrame], known: Sequence[str]) -> tuple[str, ...]:
    """Return the labels, of those that a recipe knows, that every corpus has; () where these are too few to measure.

    With them every cell has the same chance level. Without, each pair is measured on what it shares.
    """
    shared = [
        label for label in dataset_labels.shared(pd.concat(list(tables.values()), ignore_index=True)) if label in known
    ]
    return tuple(shared) if len(shared) >= MIN_LABELS else ()


def measure(
    recipe: Recipe,
    tables: Mapping[str, pd.DataFrame],
    workspace: Workspace,
    *,
    on_cell: Callable[[Sequence[Cell]], None] | None = None,
) -> list[Cell]:
    """Train and test a recipe on every pair of corpora; cells come row by row, the training corpus being the row.

    tables : name -> clips table. on_cell(cells so far) is called after each cell.

    Raises
    ------
    ConfigError : for fewer than two corpora. Stopped : if workspace.should_stop returned True; finished folds are kept.
    """
    if len(tables) < 2:
        raise ConfigError(f"A cross-corpus matrix needs two corpora or more. Got {', '.join(tables) or 'none'}.")
    labels = common_labels(tables, recipe.config.labels)
    if labels:
        recipe = replace(recipe, config=replace(recipe.config, labels=labels))
    pairs = [(train, test) for train in tables for test in tables]
    made: list[Cell] = []
    for number, (train, test) in enumerate(pairs):

        def report_progress(fraction: float, text: str, number: int = number, pair: str = f"{train} to {test}") -> None:
            workspace.on_progress((number + fraction) / len(pairs), f"{pair}: {text}")

        made.append(_cell(recipe, tables, train, test, replace(workspace, on_progress=report_progress)))
        if on_cell:
            on_cell(made)
    return made


def _cell(recipe: Recipe, tables: Mapping[str, pd.DataFrame], train: str, test: str, workspace: Workspace) -> Cell:
    clips, protocol, tested = tables[test], splits.SPEAKER_PROTOCOL, None
    if train != test:
        clips, protocol = pd.concat([tables[train], tables[test]], ignore_index=True), protocols.ACROSS
        tested = (clips[catalogue.CORPUS] == test).to_numpy()
    shared = [label for label in dataset_labels.shared(clips) if label in recipe.config.labels]
    if len(shared) < MIN_LABELS:
        return Cell(
            train=train,
            test=test,
            labels=tuple(shared),
            problem=f"{len(shared)} shared label{'s' * (len(shared) != 1)}",
        )
    try:
        outcome = held_out(recipe, clips, protocol, workspace, tested=tested)
    except CorpusError as error:
        return Cell(train=train, test=test, labels=tuple(shared), problem=str(error))
    found = figures(outcome)[test]
    low, high = found.interval["uar"]
    return Cell(
        train=train,
        test=test,
        labels=found.labels,
        n_clips=found.n_clips,
        n_test_speakers=found.n_test_speakers,
        uar=found.uar,
        low=low,
        high=high,
        accuracy=found.accuracy,
        chance=found.chance,
        doubles=outcome.doubles,
    )


def means(cells: Sequence[Cell]) -> tuple[float, float] | None:
    """Return the mean UAR within a corpus and across corpora, 0..1, over the test corpora that have both; None where none has."""
    table = pd.DataFrame(
        [{"test": each.test, "own": each.train == each.test, "uar": each.uar} for each in cells if not each.problem]
    )
    if table.empty:
        return None
    both = table.pivot_table(index="test", columns="own", values="uar").dropna()
    return (float(both[True].mean()), float(both[False].mean())) if len(both) and both.shape[1] == 2 else None


def to_dict(cell: Cell) -> dict[str, Any]:
    """Return a cell as JSON values."""
    rounded = {name: round(value, 5) for name, value in asdict(cell).items() if isinstance(value, float)}
    return asdict(cell) | rounded | {"labels": list(cell.labels), "protocol": cell.protocol}


def from_dict(values: Mapping[str, Any]) -> Cell:
    """Build a cell from JSON values; raises KeyError or TypeError for others."""
    known = {"doubles": "", **values}
    return Cell(**{each.name: known[each.name] for each in fields(Cell)} | {"labels": tuple(values["labels"])})


def read_results(path: Path = RESULTS) -> Ready:
    """Return the results that come with the project; raises ConfigError where the file is missing or damaged."""
    try:
        stored = untrusted_json.loads(path.read_text(encoding="utf-8"))
        models = {slug: tuple(map(from_dict, rows)) for slug, rows in stored["models"].items()}
        return Ready(
            command=str(stored["command"]),
            corpora={name: int(n) for name, n in stored["corpora"].items()},
            models=models,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ConfigError(
            f"The results in '{path.name}' cannot be read ({error}). Restore the file from the project."
        ) from error


def write_results(
    path: Path, tables: Mapping[str, pd.DataFrame], models: Mapping[str, Sequence[Cell]], *, command: str
) -> None:
    """Write results as `read_results` reads them, one line per cell, with the command that computes them."""
    head = json.dumps({"command": command, "corpora": {name: len(table) for name, table in tables.items()}}, indent=1)
    between = ",\n  "
    parts = [
        f'"{slug}": [\n  {between.join(json.dumps(to_dict(cell)) for cell in cells)}\n ]'
        for slug, cells in models.items()
    ]
    path.write_text(f'{head[:-2]},\n "models": {{{", ".join(parts)}}}\n}}\n', encoding="utf-8")
