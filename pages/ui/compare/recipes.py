"""Recipes that can be retrained within a page: which there are. Networks are trained from a shell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from pages.ui import cached
from ser_core import classifiers
from ser_core.experiments.recipe import Recipe, recipe_of
from ser_core.recognition.card import ModelCard
from ser_core.training.fit import FitConfig


def offered(cards: Sequence[ModelCard]) -> dict[str, tuple[str, Recipe]]:
    """Return what can be trained within a page: key -> title and recipe; of the models here, then of the other classifiers.

    Networks are not among them, and of models that went on from others no recipe tells what they have heard.
    """
    quick = [name for name, row in classifiers.CLASSIFIERS.items() if row.input_kind != "frames"]
    titles = cached.model_titles(cards)
    made = {
        f"model {card.slug}": (titles[card.slug], recipe_of(card))
        for card in cards
        if card.classifier in quick and not card.training.get("start_from")
    }
    used = {recipe.config.classifier for _, recipe in made.values()}
    others = {
        name: Recipe(name=name, config=FitConfig(classifier=name, n_copies=0)) for name in quick if name not in used
    }
    return made | {
        name: (f"{classifiers.CLASSIFIERS[name].title}, usual settings", recipe) for name, recipe in others.items()
    }


def with_copies_or_not(recipes: Sequence[Recipe], *, key: str) -> list[Recipe]:
    """Draw whether recipes that learn from augmented copies do so here, and return them so."""
    if any(recipe.config.n_copies for recipe in recipes) and not st.toggle(
        "With the augmented copies of its training (takes longer)", key=f"{key}.copies"
    ):
        return [replace(recipe, config=replace(recipe.config, n_copies=0)) for recipe in recipes]
    return list(recipes)
