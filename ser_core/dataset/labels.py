"""What the labels of several corpora become when they are used together: kept, merged or left out, always stated.

A LabelMapping is stored with what was trained or exported under it. Which labels there are is corpora/catalogue.py's business.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import pandas as pd

from ser_core.corpora import catalogue
from ser_core.errors import ConfigError, CorpusError

KEEP, MERGE, LEAVE_OUT = "keep", "neutral", "leave out"
CALM = (KEEP, MERGE, LEAVE_OUT)
"""What may become of calm, which RAVDESS alone has: a label of its own, neutral, or nothing."""


@dataclass(frozen=True, kw_only=True)
class LabelMapping:
    """What becomes of each label. calm: one of CALM. boredom: whether it stays in. labels: those that stay after that; () for all."""

    calm: str = KEEP
    boredom: bool = False
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.calm not in CALM:
            raise ConfigError(f"What becomes of calm must be one of {', '.join(map(repr, CALM))}. Got {self.calm!r}.")
        unknown = [label for label in self.labels if label not in catalogue.ALL_LABELS]
        if unknown:
            raise ConfigError(
                f"There is no label {', '.join(map(repr, unknown))}. Choose from {', '.join(catalogue.ALL_LABELS)}."
            )

    def of(self, label: str) -> str | None:
        """Return what a canonical label becomes; None where it is left out."""
        if label == "calm" and self.calm != KEEP:
            label = "neutral" if self.calm == MERGE else ""
        if not label or (label == "boredom" and not self.boredom) or (self.labels and label not in self.labels):
            return None
        return label

    def to_dict(self) -> dict[str, Any]:
        """Return the mapping as JSON values."""
        return asdict(self) | {"labels": list(self.labels)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> LabelMapping:
        """Build a mapping from `to_dict`'s values; unknown or missing names raise ConfigError."""
        names = {each.name for each in fields(cls)}
        if set(values) != names:
            raise ConfigError(
                f"A label mapping has the entries {', '.join(sorted(names))}. Got {', '.join(sorted(values)) or 'none'}."
            )
        if not isinstance(values["boredom"], bool) or not isinstance(values["labels"], list | tuple):
            raise ConfigError("In a label mapping boredom is true or false, and labels is a list.")
        return cls(calm=values["calm"], boredom=values["boredom"], labels=tuple(values["labels"]))


def apply(clips: pd.DataFrame, mapping: LabelMapping) -> pd.DataFrame:
    """Return a clips table with its labels mapped and the clips without one left out, renumbered from 0.

    Raises
    ------
    CorpusError : if no clip is left.
    """
    became = clips[catalogue.EMOTION].map({label: mapping.of(label) for label in catalogue.ALL_LABELS})
    kept = clips.assign(**{catalogue.EMOTION: became})[became.notna()].reset_index(drop=True)
    if kept.empty:
        raise CorpusError(
            f"None of the {len(clips)} clips has one of the labels chosen. Choose other corpora or labels."
        )
    return kept


def present(clips: pd.DataFrame) -> tuple[str, ...]:
    """Return the labels of a clips table, in the order of catalogue.ALL_LABELS."""
    found = set(clips[catalogue.EMOTION])
    return tuple(label for label in catalogue.ALL_LABELS if label in found)


def check_learnable(labels: np.ndarray) -> None:
    """Raise CorpusError where nothing can be learned from clips with these labels, str (n_clips,)."""
    there = sorted(set(labels))
    if len(there) < 2:
        raise CorpusError(
            f"A training has {f'clips of {there[0]} alone' if there else 'no clips'} to learn from; a model needs two labels or more. "
            "Add clips of other labels, or another speaker who says them, or choose fewer folds."
        )
    if len(labels) <= len(there):
        raise CorpusError(
            f"A training has {len(labels)} clips of {len(there)} labels to learn from; a model needs more clips than labels. Add clips."
        )


def shared(clips: pd.DataFrame) -> tuple[str, ...]:
    """Return the labels that every corpus of a clips table has, in the order of catalogue.ALL_LABELS."""
    sets = [set(group) for _, group in clips.groupby(catalogue.CORPUS)[catalogue.EMOTION]]
    return tuple(label for label in catalogue.ALL_LABELS if sets and all(label in each for each in sets))
