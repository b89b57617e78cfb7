"""How a model is trained, as a value: classifier, settings, features; and its key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ser_core import classifiers
from ser_core.errors import ModelError
from ser_core.features.config import FeatureConfig
from ser_core.recognition.card import ModelCard
from ser_core.training.fit import FitConfig


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a model is trained. effects: of augment.EFFECTS, None for the shipped mix at the config's strength."""

    name: str
    config: FitConfig
    effects: dict[str, float] | None = None


def recipe_of(card: ModelCard) -> Recipe:
    """Return how a model was trained, to retrain it on other clips.

    Raises
    ------
    ModelError : for a model that was fine-tuned from another: that one was trained on other speakers.
    """
    if card.training.get("start_from"):
        raise ModelError(
            f"'{card.slug}' was fine-tuned from '{card.training['start_from']}', which was trained on speakers of its own. "
            "No protocol can hold these out: choose the model that it started from, or score it as it is, without a protocol."
        )
    known = {
        name: value
        for name, value in card.hyperparameters.items()
        if name in classifiers.CLASSIFIERS[card.classifier].defaults
    }
    settings = {name: card.training[name] for name in _SETTINGS if name in card.training}
    config = FitConfig(
        classifier=card.classifier,
        hyperparameters={name: value for name, value in known.items() if name != "seed"},
        features=card.features,
        labels=card.labels,
        **settings,
    )
    return Recipe(name=card.slug, config=config, effects=card.training.get("effects"))


def to_dict(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe as JSON values."""
    return {"name": recipe.name, "config": recipe.config.to_dict(), "effects": recipe.effects}


def from_dict(values: Mapping[str, Any]) -> Recipe:
    """Build a recipe from `to_dict`'s values, read back from JSON; raises KeyError, TypeError or ConfigError for others."""
    config = dict(values["config"])
    settings = {
        name: tuple(each) if isinstance(each, list) else each for name, each in config["hyperparameters"].items()
    }
    config |= {
        "hyperparameters": settings,
        "labels": tuple(config["labels"]),
        "features": FeatureConfig.from_dict(config["features"]),
    }
    return Recipe(name=str(values["name"]), config=FitConfig(**config), effects=values["effects"])


_SETTINGS = ("n_copies", "strength", "speaker_cap", "corpus_cap", "validation_share", "balance", "seed")


def recipe_key(recipe: Recipe) -> str:
    """Return a key of a recipe's settings: it changes with each of them, and with nothing else."""
    return hashlib.sha256(_settings(recipe)).hexdigest()[:12]


def _settings(recipe: Recipe) -> bytes:
    config = recipe.config
    own = json.dumps(config.to_dict() | {"effects": recipe.effects}, sort_keys=True)
    usual = json.dumps(classifiers.CLASSIFIERS[config.classifier].defaults, sort_keys=True, default=list)
    return (own + usual).encode()
