"""A setting as a row: how a form shows it, and which values may be given.

The rows of the classifiers' hyperparameters stand in classifiers.CLASSIFIERS, those of the features in config.SETTINGS.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ser_core.errors import ConfigError

WHOLE, NUMBER, MAGNITUDE, CHOICE, SIZES = "whole", "number", "magnitude", "choice", "sizes"
"""Kinds: a whole number; a number; a number of which the magnitude matters (steps are factors); one of some; several whole numbers."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One hyperparameter, or one setting of the features.

    low, high: the bounds, both allowed. step: what a form adds, for MAGNITUDE multiplies by. choices: for CHOICE. A value of SIZES
    has as many numbers as its default. early: among the few that a form shows first. grid: what a search tries.
    """

    name: str
    title: str
    kind: str
    default: Any
    help: str
    low: float = 0
    high: float = 0
    step: float = 1
    choices: tuple[Any, ...] = ()
    early: bool = False
    grid: tuple[Any, ...] = ()

    def check(self, value: Any, *, of: str) -> Any:
        """Return a value as this setting keeps it; raises ConfigError, which names what it is a setting `of`, where it may not be given."""
        if self.kind == CHOICE:
            if any(value == choice and type(value) is type(choice) for choice in self.choices):
                return value
            raise ConfigError(f"{of}: {self.name} must be one of {', '.join(map(repr, self.choices))}. Got {value!r}.")
        if self.kind == SIZES:
            sizes = tuple(value) if isinstance(value, list | tuple) else ()
            if len(sizes) == len(self.default) and all(self._fits(size, whole=True) for size in sizes):
                return sizes
            raise ConfigError(
                f"{of}: {self.name} must be {len(self.default)} whole numbers {self._range()}. Got {value!r}."
            )
        if self._fits(value, whole=self.kind == WHOLE):
            return value
        kind = "a whole number" if self.kind == WHOLE else "a number"
        raise ConfigError(f"{of}: {self.name} must be {kind} {self._range()}. Got {value!r}.")

    def _fits(self, value: Any, *, whole: bool) -> bool:
        right = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
        return right and math.isfinite(value) and self.low <= value <= self.high

    def _range(self) -> str:
        return f"from {self.low:g} to {self.high:g}"
