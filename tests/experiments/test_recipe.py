"""How a model was trained, read from its card, and the name of those settings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ser_core import classifiers
from ser_core.corpora import catalogue
from ser_core.errors import ModelError
from ser_core.experiments import recipe
from ser_core.experiments.recipe import Recipe, recipe_of
from ser_core.features.config import FeatureConfig
from ser_core.recognition import store
from ser_core.training.fit import FitConfig

SMALL = FeatureConfig(n_mels=16, n_mfcc=6)
QUICK = {"hidden": 16, "epochs": 12, "learning_rate": 3e-3}
MLP = Recipe(name="mlp", config=FitConfig(classifier="mlp", hyperparameters=QUICK, n_copies=0, features=SMALL))


def test_a_recipe_is_what_the_card_says(desk):
    card = store.read_card("knn", desk.models)
    known = replace(
        card,
        hyperparameters={"hidden": 8, "seed": 4, "old": 1},
        training={"n_copies": 1, "seed": 4, "effects": {"gain": 1.0}},
    )
    found = recipe_of(known)
    assert found.config == FitConfig(classifier="mlp", hyperparameters={"hidden": 8}, n_copies=1, seed=4)
    assert found.effects == {"gain": 1.0}
    with pytest.raises(ModelError, match="was fine-tuned from 'cnn'"):
        recipe_of(replace(card, training={"start_from": "cnn"}))
    for slug in store.SHIPPED:
        shipped = recipe_of(store.read_card(slug))
        assert (
            classifiers.check(shipped.config.classifier, shipped.config.hyperparameters)
            and shipped.config.labels == catalogue.LABELS
        )


def test_other_settings_are_another_recipe_and_another_name_is_not():
    key = recipe.recipe_key(MLP)
    assert recipe.recipe_key(replace(MLP, name="other")) == key
    changed = [replace(MLP, effects={"gain": 1.0}), replace(MLP, config=replace(MLP.config, seed=1))]
    assert len({key, *map(recipe.recipe_key, changed)}) == 3
