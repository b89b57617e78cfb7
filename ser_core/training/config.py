"""The settings of a training run: one value that a page's form fills, a file holds and a card keeps. It round-trips through JSON.

What a choice means for certain clips, and whether it can work, is plan.py's business.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from ser_core import classifiers
from ser_core.audio import augment
from ser_core.dataset import splits
from ser_core.dataset.labels import LabelMapping
from ser_core.errors import ConfigError
from ser_core.features.config import FeatureConfig
from ser_core.system import cluster
from ser_core.training import balance

MAX_NAME, MAX_DESCRIPTION = 80, 2000
MAX_COMBINATIONS = 200


FINE_TUNING: dict[str, Any] = {"learning_rate": 1e-3, "epochs": 20, "patience": 8}
"""Hyperparameters of a network that starts from a trained one, unless others are named: smaller steps, so that less is forgotten."""


def default_name(config: RunConfig, titles: Sequence[str]) -> str:
    """Return what to call the model of a run without a name: by its classifier and the titles of its corpora."""
    return f"{classifiers.CLASSIFIERS[config.classifier].title} on {', '.join(titles)}"[:MAX_NAME]


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything that decides what a run does.

    name, description: of the model it makes; "" for the classifier's title. corpora: names of installed ones. mapping: what their
    labels become. hyperparameters: those of the classifier that differ from its defaults, among them epochs, patience and batch size.
    n_copies: augmented copies of each training clip; effects: name of augment.EFFECTS -> largest strength, None for the shipped mix at
    `strength`. balance: one of balance.METHODS. protocol: one of splits.PROTOCOLS. test_share, validation_share: of the speakers.
    folds: 0 for one held-out part; else a cross-validation in this many folds. grid: hyperparameter -> values to try, {} for no search;
    a search compares by `folds` folds (3 where that is 0) of the training part, and the best is tested once on the held-out part.
    speaker_cap, corpus_cap: how many clips of one speaker, and of one corpus, count fully. start_from: a model whose weights a network
    starts from, "" for none. budget_s: seconds after which the training of the model that is saved ends with the best epoch so far, 0
    for no end; a classifier without epochs has none. scheduler: address of a Dask cluster that measures and compares in place of this
    machine, "" for none; no result depends on it.
    """

    corpora: tuple[str, ...]
    classifier: str = "cnn"
    name: str = ""
    description: str = ""
    mapping: LabelMapping = field(default_factory=LabelMapping)
    features: FeatureConfig = FeatureConfig()
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    n_copies: int = 1
    strength: float = 1.0
    effects: dict[str, float] | None = None
    balance: str = balance.NONE
    protocol: str = splits.SPEAKER_PROTOCOL
    test_share: float = 0.2
    validation_share: float = 0.15
    folds: int = 0
    grid: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    speaker_cap: int = 150
    corpus_cap: int = 1_000_000
    start_from: str = ""
    seed: int = 0
    budget_s: int = 0
    scheduler: str = ""

    def __post_init__(self) -> None:
        _text("The name", self.name, MAX_NAME)
        _text("The description", self.description, MAX_DESCRIPTION)
        if not (self.corpora and all(isinstance(name, str) for name in self.corpora)):
            raise ConfigError(
                f"A training needs at least one corpus, by its name, such as ravdess. Got {self.corpora!r}."
            )
        for name in ("classifier", "balance", "protocol", "start_from"):
            if not isinstance(getattr(self, name), str):
                what = "a model" if name == "start_from" else f"a {name}"
                raise ConfigError(f"{name} must be the name of {what}. Got {getattr(self, name)!r}.")
        if not isinstance(self.hyperparameters, dict):
            raise ConfigError(f"The hyperparameters must be names with values. Got {self.hyperparameters!r}.")
        checked = classifiers.check(self.classifier, self.hyperparameters)
        object.__setattr__(
            self, "hyperparameters", {name: checked[name] for name in self.hyperparameters if name != "seed"}
        )
        object.__setattr__(self, "grid", _grid(self.classifier, self.grid))
        if self.effects is not None:
            if not isinstance(self.effects, Mapping):
                raise ConfigError(f"The effects must be names with strengths. Got {self.effects!r}.")
            augment.check_effects(self.effects)
        for name, value, among in (
            ("balance", self.balance, balance.METHODS),
            ("protocol", self.protocol, splits.PROTOCOLS),
        ):
            if value not in among:
                raise ConfigError(f"The {name} must be one of {', '.join(among)}. Got {value!r}.")
        for name, low, high in _RANGES:
            _number(name, getattr(self, name), low, high)
        if self.folds == 1:
            raise ConfigError("One fold is no cross-validation. Choose 2 folds or more, or 0 for one held-out part.")
        if self.scheduler != "":
            cluster.check_address(self.scheduler)

    @property
    def settings(self) -> dict[str, Any]:
        """Every hyperparameter of the classifier, with the seed of the run."""
        usual = FINE_TUNING if self.start_from and classifiers.CLASSIFIERS[self.classifier].continues else {}
        return classifiers.check(self.classifier, {**usual, **self.hyperparameters, "seed": self.seed})

    @property
    def combinations(self) -> list[dict[str, Any]]:
        """What a search tries: each value of the grid with each of the others; one empty row where there is no search."""
        rows: list[dict[str, Any]] = [{}]
        for name, values in self.grid.items():
            rows = [{**row, name: value} for row in rows for value in values]
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON values; RunConfig.from_dict(that) equals self."""
        return asdict(self) | {
            "corpora": list(self.corpora),
            "mapping": self.mapping.to_dict(),
            "features": self.features.to_dict(),
            "hyperparameters": _plain(self.hyperparameters),
            "grid": {name: [_plain(value) for value in values] for name, values in self.grid.items()},
        }

    @classmethod
    def from_dict(cls, values: Any) -> RunConfig:
        """Build the settings from JSON values; what is not named keeps its default. Raises ConfigError."""
        if not isinstance(values, dict):
            raise ConfigError(f"The settings of a run must be names with values. Got {type(values).__name__}.")
        names = {each.name for each in fields(cls)}
        unknown = sorted(set(values) - names)
        if unknown:
            raise ConfigError(
                f"A run has no setting {', '.join(map(str, unknown))}. It has {', '.join(sorted(names))}."
            )
        if not isinstance(values.get("corpora"), list):
            raise ConfigError('The settings of a run must name its corpora, such as ["ravdess"].')
        given: dict[str, Any] = dict(values) | {"corpora": tuple(values["corpora"])}
        for name, build in (("mapping", LabelMapping.from_dict), ("features", FeatureConfig.from_dict)):
            if name in given:
                if not isinstance(given[name], dict):
                    raise ConfigError(f"The {name} of a run must be names with values. Got {given[name]!r}.")
                given[name] = build(given[name])
        return cls(**given)


_RANGES = (
    ("n_copies", 0, 10),
    ("folds", 0, 20),
    ("speaker_cap", 1, 1_000_000),
    ("corpus_cap", 1, 1_000_000),
    ("seed", 0, 2**32 - 1),
    ("budget_s", 0, 1_000_000),
    ("strength", 0.0, 1.0),
    ("test_share", 0.05, 0.5),
    ("validation_share", 0.0, 0.5),
)


@dataclass(frozen=True)
class Preset:
    """A set of choices that go together. changes: fields of RunConfig; hyperparameters: classifier -> those it changes."""

    title: str
    description: str
    changes: Mapping[str, Any]
    hyperparameters: Mapping[str, Mapping[str, Any]]


PRESETS: dict[str, Preset] = {
    "one-minute": Preset(
        title="One minute",
        description="A first model of one corpus after at most about a minute of training, once its features are there.",
        changes={"n_copies": 0, "folds": 0, "budget_s": 60},
        hyperparameters={
            "mlp": {"epochs": 20, "patience": 5},
            "cnn": {"epochs": 48, "clips_per_epoch": 600, "patience": 0},
            "cnn_lstm": {"epochs": 40, "clips_per_epoch": 600, "patience": 0},
            "boosting": {"epochs": 6},
            "forest": {"n_trees": 100},
        },
    ),
    "good": Preset(
        title="Good",
        description="Augmented copies and time to learn from them: some minutes for the networks.",
        changes={"n_copies": 1, "folds": 0, "budget_s": 0},
        hyperparameters={
            "mlp": {"epochs": 40, "patience": 10},
            "cnn": {"epochs": 40, "clips_per_epoch": 3600, "patience": 15},
            "cnn_lstm": {"epochs": 40, "clips_per_epoch": 3600, "patience": 15},
        },
    ),
    "thorough": Preset(
        title="Thorough",
        description="As the shipped models are made: two copies of each clip, and every clip tested once, in six folds. Up to an hour.",
        changes={"n_copies": 2, "folds": 6, "budget_s": 0},
        hyperparameters={
            "cnn": {"epochs": 30, "clips_per_epoch": 4800},
            "cnn_lstm": {"epochs": 30, "clips_per_epoch": 4800},
        },
    ),
}


def with_preset(config: RunConfig, name: str) -> RunConfig:
    """Return the settings with the values of a preset applied; raises ConfigError for an unknown one."""
    if name not in PRESETS:
        raise ConfigError(f"There is no preset '{name}'. Choose one of {', '.join(PRESETS)}.")
    preset = PRESETS[name]
    chosen = {**config.hyperparameters, **preset.hyperparameters.get(config.classifier, {})}
    return replace(config, **preset.changes, hyperparameters=chosen)


def _grid(classifier: str, grid: Any) -> dict[str, tuple[Any, ...]]:
    if not isinstance(grid, Mapping) or not all(
        isinstance(values, list | tuple) and values for values in grid.values()
    ):
        raise ConfigError(f"A search needs a list of values for each hyperparameter. Got {grid!r}.")
    checked = {
        name: tuple(classifiers.check(classifier, {name: value})[name] for value in values)
        for name, values in grid.items()
    }
    n = math.prod(len(values) for values in checked.values())
    if n > MAX_COMBINATIONS:
        raise ConfigError(
            f"The search would try {n} combinations; {MAX_COMBINATIONS} is the most. Give it fewer values."
        )
    return checked


def _text(name: str, value: Any, longest: int) -> None:
    if (
        not isinstance(value, str)
        or len(value) > longest
        or any(ord(letter) < 32 and letter != "\n" for letter in value)
    ):
        raise ConfigError(f"{name} must be text of at most {longest} characters. Got {str(value)[:40]!r}.")


def _number(name: str, value: Any, low: float, high: float) -> None:
    kinds = int | float if isinstance(low, float) else int
    if not isinstance(value, kinds) or isinstance(value, bool) or not low <= value <= high:
        raise ConfigError(
            f"{name} must be a {'' if isinstance(low, float) else 'whole '}number from {low} to {high}. Got {value!r}."
        )


def _plain(value: Any) -> Any:
    """Return JSON values: tuples become lists."""
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, tuple) else value
