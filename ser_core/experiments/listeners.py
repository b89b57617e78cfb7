"""How well people do: the votes of listeners of a corpus summed up by acted label, to be drawn beside the models' figures.

The sums come with the project (RESULTS), not the votes; `python -m ser_core corpora listeners` prints and computes them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ser_core.corpora import catalogue, votes
from ser_core.errors import ConfigError
from ser_core.system import files, untrusted_json

RESULTS = Path(__file__).with_name("results") / "listeners.json"


@dataclass(frozen=True, kw_only=True)
class Listeners:
    """What people heard in the clips of a corpus, by voice alone.

    labels: in canonical order. heard: for each acted label (row) how many answers named each label (column). n_clips, named: for each
    acted label the clips, and those in which it has more votes than any other; a tie is not enough. source: where the votes are from.
    """

    corpus: str
    labels: tuple[str, ...]
    heard: tuple[tuple[int, ...], ...]
    n_clips: tuple[int, ...]
    named: tuple[int, ...]
    source: str

    @property
    def accuracy(self) -> float:
        """Share of the clips in which most listeners name the acted label, 0..1: the human line beside an accuracy."""
        return sum(self.named) / sum(self.n_clips)

    @property
    def uar(self) -> float:
        """The same, as the mean over the labels, 0..1."""
        return float(np.mean(np.array(self.named) / np.array(self.n_clips)))

    @property
    def n_answers(self) -> int:
        """Number of answers of single listeners."""
        return sum(map(sum, self.heard))

    @property
    def single_accuracy(self) -> float:
        """Share of all answers that name the acted label, 0..1: one listener by themselves."""
        return float(np.trace(self.heard)) / self.n_answers


def count(corpus: str, table: pd.DataFrame) -> Listeners:
    """Return the sums over a table of votes.read."""
    labels = tuple(table.columns)
    acted = np.array([votes.acted_label(corpus, name) for name in table.index])
    counts = table.to_numpy(int)
    most = counts == counts.max(axis=1, keepdims=True)
    named = np.where(most.sum(axis=1) == 1, np.array(labels)[most.argmax(axis=1)], "")
    return Listeners(
        corpus=corpus,
        labels=labels,
        heard=tuple(tuple(int(n) for n in counts[acted == label].sum(axis=0)) for label in labels),
        n_clips=tuple(int((acted == label).sum()) for label in labels),
        named=tuple(int(((acted == label) & (named == label)).sum()) for label in labels),
        source=f"{catalogue.CORPORA[corpus].citation}; {catalogue.CORPORA[corpus].page}, {votes.VOTES[corpus].place}",
    )


def read_results(path: Path = RESULTS) -> dict[str, Listeners]:
    """Return the sums of a file, by corpus; raises ConfigError where it is missing or damaged."""
    try:
        rows = untrusted_json.loads(path.read_text(encoding="utf-8"))["corpora"]
        return {str(each["corpus"]): _from_dict(each) for each in rows}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"The listeners' answers in '{path.name}' cannot be read ({error}). Restore the file from the project."
        ) from error


def _from_dict(values: Mapping[str, Any]) -> Listeners:
    found = Listeners(
        corpus=str(values["corpus"]),
        labels=tuple(map(str, values["labels"])),
        heard=tuple(tuple(map(int, row)) for row in values["heard"]),
        n_clips=tuple(map(int, values["n_clips"])),
        named=tuple(map(int, values["named"])),
        source=str(values["source"]),
    )
    n = len(found.labels)
    if np.shape(found.heard) != (n, n) or not len(found.n_clips) == len(found.named) == n or min(found.n_clips) < 1:
        raise ValueError("its rows do not fit its labels")
    return found


def write_results(path: Path, found: Mapping[str, Listeners]) -> None:
    """Write sums as `read_results` reads them, with the command that computes them."""
    command = (
        f"python -m ser_core corpora listeners {' '.join(f'{name}=DIR' for name in found)} "
        f"--out ser_core/experiments/results/{RESULTS.name}"
    )
    rows = ",\n  ".join(json.dumps(asdict(each)) for each in found.values())
    files.write_atomically(path, f'{{\n "command": {json.dumps(command)},\n "corpora": [\n  {rows}\n ]\n}}\n')


def describe(found: Listeners) -> str:
    """Return in words how well people do."""
    return (
        f"Of {sum(found.n_clips):,} clips of {catalogue.CORPORA[found.corpus].title}, most people who only heard them name the acted label "
        f"in {found.accuracy:.1%} (a tie counts as wrong; mean over the labels {found.uar:.1%}). A single answer of the "
        f"{found.n_answers:,} is right in {found.single_accuracy:.1%}."
    )
