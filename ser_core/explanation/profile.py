"""The voice of a clip against those of the training corpora: of each figure, what share of the clips of each label lies below it.

Quantiles per corpus and label come with the project, so that no corpus need be here; `python -m ser_core profile` makes them. What the
figures are is dataset/exploration.py's business.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from msgspec import Meta

from ser_core.corpora import catalogue
from ser_core.dataset import exploration
from ser_core.dataset.exploration import Measured
from ser_core.errors import ConfigError, CorpusError
from ser_core.system import files, untrusted_json

RESULTS = Path(__file__).parents[1] / "experiments" / "results" / "profile.json"
MAX_BYTES = 2**20

MEASURES = ("f0", "f0_range", "level", "rate", "brightness", "jitter")
"""Figures of exploration.TRENDS, in the order that they are shown in."""

N_STEPS = 40
"""Of the quantiles: every 2.5 %, with the least and the greatest value."""

MIN_CLIPS = 10
"""Of fewer clips no quantiles are kept: they would be those of single clips."""

Number = Annotated[float, Meta(ge=-1e6, le=1e6)]
Quantiles = Annotated[tuple[Number, ...], Meta(min_length=N_STEPS + 1, max_length=N_STEPS + 1)]
Name = Annotated[str, Meta(max_length=100)]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """The clips of one corpus with one label.

    values: figure -> its quantiles at 0, 1 / N_STEPS, … 1; a figure that fewer than MIN_CLIPS of them have is missing.
    """

    corpus: Name
    label: Name
    n_clips: Annotated[int, Meta(ge=1)]
    values: dict[Name, Quantiles]


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Quantiles of figures of voices. licence: of the corpora that they were measured on."""

    command: Annotated[str, Meta(max_length=1000)]
    licence: Annotated[str, Meta(max_length=2000)]
    cells: Annotated[tuple[Cell, ...], Meta(max_length=1000)] = field(default_factory=tuple)

    @property
    def corpora(self) -> tuple[str, ...]:
        """The corpora that it knows."""
        return tuple(dict.fromkeys(each.corpus for each in self.cells))

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that it knows, in the catalogue's order."""
        there = {each.label for each in self.cells}
        return tuple(label for label in catalogue.ALL_LABELS if label in there)

    def share_below(
        self, name: str, value: float, *, label: str | None = None, corpora: Collection[str] | None = None
    ) -> float:
        """Return the share of clips, 0..1, whose figure is below a value; NaN where no clip has the figure, or the value is NaN.

        label: of clips with it alone, else of all. corpora: of these alone. In a corpus every clip counts the same, and every corpus counts
        the same, so that the largest does not say how all of them sound.
        """
        by_corpus: dict[str, list[tuple[int, float]]] = {}
        for cell in self.cells:
            if name in cell.values and label in (None, cell.label) and (corpora is None or cell.corpus in corpora):
                by_corpus.setdefault(cell.corpus, []).append((cell.n_clips, _share(cell.values[name], value)))
        if not by_corpus or not np.isfinite(value):
            return float("nan")
        shares = [sum(n * share for n, share in each) / sum(n for n, _ in each) for each in by_corpus.values()]
        return float(np.mean(shares))


def _share(quantiles: tuple[float, ...], value: float) -> float:
    """Return the share below a value; between quantiles it grows evenly, and where several are equal to it, it is the middle of theirs."""
    shares = np.linspace(0, 1, len(quantiles))
    known = np.asarray(quantiles)
    equal = np.flatnonzero(known == value)
    if len(equal):
        return float(shares[equal].mean())
    return float(np.interp(value, known, shares))


def percentiles(
    values: Mapping[str, float], profile: Profile, *, corpora: Collection[str] | None = None
) -> dict[str, dict[str, float]]:
    """Return of each label what share of its clips lies below each figure: label -> figure -> 0..1, NaN where that is not known."""
    return {
        label: {name: profile.share_below(name, value, label=label, corpora=corpora) for name, value in values.items()}
        for label in profile.labels
    }


def closest(shares: Mapping[str, Mapping[str, float]]) -> tuple[str, float] | None:
    """Return the label in the middle of whose clips the figures lie, and how far from it on average, 0..0.5; None where nothing is known.

    shares: as `percentiles` returns them.
    """
    far = {
        label: float(np.mean([abs(share - 0.5) for share in row.values() if np.isfinite(share)]))
        for label, row in shares.items()
        if np.isfinite(list(row.values())).any()
    }
    return min(far.items(), key=lambda item: item[1]) if far else None


def make(clips: pd.DataFrame, measured: Measured, *, command: str) -> Profile:
    """Return the quantiles of some clips. measured: of the rows of the clips table.

    Raises
    ------
    CorpusError : if no corpus has MIN_CLIPS clips of a label.
    """
    figures = {name: exploration.TRENDS[name].of(measured) for name in MEASURES}
    cells = []
    for (corpus, label), rows in clips.groupby([catalogue.CORPUS, catalogue.EMOTION], sort=False).indices.items():
        values = {name: each[rows][np.isfinite(each[rows])] for name, each in figures.items()}
        known = {name: _quantiles(each) for name, each in values.items() if len(each) >= MIN_CLIPS}
        if known and label in catalogue.ALL_LABELS:
            cells.append(Cell(corpus=str(corpus), label=str(label), n_clips=len(rows), values=known))
    if not cells:
        raise CorpusError(
            f"No corpus here has {MIN_CLIPS} clips of one label whose voice can be measured. Add a corpus that has."
        )
    order = {label: place for place, label in enumerate(catalogue.ALL_LABELS)}
    names = list(dict.fromkeys(each.corpus for each in cells))
    cells.sort(key=lambda each: (names.index(each.corpus), order[each.label]))
    return Profile(command=command, licence=licence(names), cells=tuple(cells))


def _quantiles(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(f"{each:.5g}") for each in np.quantile(values, np.linspace(0, 1, N_STEPS + 1)))


def licence(names: Collection[str]) -> str:
    """Return what quantiles of these corpora are, and the licences of the recordings that they were measured on."""
    rows = [catalogue.CORPORA[name] for name in names if name in catalogue.CORPORA]
    listed = ", ".join(f"{row.title} ({row.licence or 'no licence stated'})" for row in rows) or "user-recorded corpora"
    return f"Quantiles of figures of recordings of {listed}, for research and teaching. No recording and no speaker can be told from them."


def to_dict(profile: Profile) -> dict[str, Any]:
    """Return a profile as JSON values."""
    return asdict(profile)


def write(path: Path, profile: Profile) -> None:
    """Write a profile as `read` reads it, one line per corpus and label."""
    values = to_dict(profile)
    cells = ",\n  ".join(json.dumps(each) for each in values.pop("cells"))
    head = json.dumps(values, indent=1)[:-2]
    files.write_atomically(path, f'{head},\n "cells": [\n  {cells}\n ]\n}}\n')


def read(path: Path = RESULTS) -> Profile:
    """Return the stored profile; raises ConfigError where it is missing, damaged or too large."""
    try:
        content = files.read_limited(path, MAX_BYTES)
        found = untrusted_json.convert(untrusted_json.loads(content.decode()), Profile)
        for cell in found.cells:
            if not set(cell.values) <= set(MEASURES) or cell.label not in catalogue.ALL_LABELS:
                raise ValueError("it has a figure or a label that is not known")
            if any((np.diff(each) < 0).any() for each in cell.values.values()):
                raise ValueError("its quantiles are not in order")
        return found
    except (OSError, ValueError, TypeError, KeyError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigError(
            f"The figures in '{path.name}' cannot be read ({reason[:300]}). Restore the file, or measure into a new one."
        ) from None
