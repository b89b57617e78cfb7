"""Recipes retrained on a corpus of this machine, once per fold of a protocol: the choice, the work, and what came out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import streamlit as st

from pages.ui import cached, frame, state
from pages.ui import task as ui_task
from pages.ui.charts import models
from pages.ui.compare import outcomes as compare_outcomes
from pages.ui.compare import recipes as compare_recipes
from pages.ui.compare.figures import UAR, show_held_out
from pages.ui.compare.outcomes import with_mean
from pages.ui.compare.recipes import ONE_AT_A_TIME, WAITS_FOR, offered, with_copies_or_not
from pages.ui.task import Task, show_problem, watch
from ser_core.corpora import catalogue
from ser_core.dataset import protocols, splits
from ser_core.errors import CorpusError
from ser_core.experiments import benchmark
from ser_core.experiments.measure import held_out
from ser_core.experiments.outcome import Outcome
from ser_core.experiments.recipe import Recipe
from ser_core.recognition.card import ModelCard

HOW = (
    "Each recipe is retrained for every fold of a protocol, without the clips that are held out. The trained "
    "models themselves are not used."
)
KEPT = (
    ":small[Seconds to a minute per fold; clips without cached features are measured first. Finished folds are "
    "kept, and a stopped measurement resumes. The app stays usable meanwhile.]"
)


@dataclass(frozen=True)
class Retrained:
    """What came out: an outcome a recipe, called by its title; left_out: clips with a label that not all recipes know."""

    outcomes: tuple[Outcome, ...]
    left_out: int


def show_retraining(cards: Sequence[ModelCard], found: dict[str, Path]) -> None:
    """Draw the choice of recipes, corpus and protocol, the work, and the result. found: the installed corpora, name -> folder."""
    st.markdown(HOW)
    can = offered(cards)
    last_keys, last_name, last_protocol = st.session_state.get(
        state.COMPARE_RETRAINED, ((), "", splits.SPEAKER_PROTOCOL)
    )
    keys = st.pills(
        "Recipes",
        list(can),
        selection_mode="multi",
        format_func=lambda key: frame.plain(can[key][0]),
        default=[key for key in last_keys or list(can)[:2] if key in can],
        key="compare.retrain.recipes",
    )
    name = st.selectbox(
        "Tested on",
        list(found),
        format_func=cached.corpus_title,
        key="compare.retrain.corpus",
        width=420,
        index=list(found).index(last_name) if last_name in found else 0,
    )
    protocol = st.segmented_control(
        "Protocol", list(protocols.PROTOCOLS), default=last_protocol, required=True, key="compare.retrain.protocol"
    )
    show_held_out(protocol)
    others = [other for other in found if other != name]
    across = protocol == benchmark.ACROSS
    more = (
        st.pills(
            "Trained on" if across else "Also trained on",
            others,
            selection_mode="multi",
            format_func=frame.corpus,
            default=others if across else [],
            key=f"compare.retrain.more.{across}.{name}",
        )
        if others
        else []
    )
    st.session_state[state.COMPARE_RETRAINED] = (tuple(keys), name, protocol)
    recipes = with_copies_or_not([can[key][1] for key in keys], key="compare.retrain")
    _networks(name, more, protocol)
    if not keys or (across and not more):
        st.info(
            "Choose a recipe."
            if not keys
            else "Choose another corpus to train on."
            if others
            else "Testing across corpora needs a second installed corpus.",
            icon=":material/info:",
        )
        return
    folders = {each: found[each] for each in benchmark.usual([name, *more])}
    prints = [(each, str(folder), cached.fingerprint(folder)) for each, folder in folders.items()]
    titles = [can[key][0] for key in keys]
    task = ui_task.task("retrain", f"{prints} {name} {protocol} {titles} {recipes}")
    if task.running:
        watch(task, key="compare.retrain", draw=_so_far)
        return
    if task.result is None:
        st.button(
            "Train and test",
            key="compare.retrain.start",
            type="primary",
            icon=":material/model_training:",
            on_click=_start,
            args=(task, dict(zip(titles, recipes, strict=True)), folders, name, protocol),
        )
        st.markdown(KEPT)
    show_problem(task)
    if task.result:
        _result(task.result)


def _networks(name: str, more: Sequence[str], protocol: str) -> None:
    with st.expander("Networks, from a shell", key="compare.retrain.networks"):
        st.markdown(
            "Networks take minutes per fold, and TensorFlow would slow the pages down for everyone. From a shell:"
        )
        extra = "".join(f" --train-corpus {other}" for other in more)
        st.code(
            f"python -m ser_core evaluate --model cnn --corpus {name}{extra} --protocol {protocol}",
            language="bash",
            wrap_lines=True,
        )


def _start(task: Task, recipes: dict[str, Recipe], folders: dict[str, Path], name: str, protocol: str) -> None:
    tables = {each: cached.clips(each, folder) for each, folder in folders.items()}
    task.start(lambda task: measure(task, recipes, tables, name, protocol))


def measure(
    task: Task, recipes: Mapping[str, Recipe], tables: Mapping[str, pd.DataFrame], name: str, protocol: str
) -> Retrained:
    """Return what each recipe (title -> recipe) said of the clips of a corpus that it had not learned from; those so far are partial."""
    known = set.intersection(*(set(recipe.config.labels) for recipe in recipes.values()))
    clips = pd.concat(list(tables.values()), ignore_index=True)
    kept = clips[clips[catalogue.EMOTION].isin(known)].reset_index(drop=True)
    tested = (kept[catalogue.CORPUS] == name).to_numpy()
    if not tested.any():
        raise CorpusError(
            "No clip of this corpus has a label that all chosen recipes know. Choose fewer recipes, or another corpus."
        )
    with task.turn(ONE_AT_A_TIME, WAITS_FOR):
        desk = compare_recipes.desk(task)
        made: list[Outcome] = []
        for number, (title, recipe) in enumerate(recipes.items()):

            def tell(
                fraction: float, text: str, number: int = number, title: str = title, name: str = recipe.name
            ) -> None:
                task.tell((number + fraction) / len(recipes), f"{title}: {text.removeprefix(f'{name}, ')}")

            outcome = held_out(recipe, kept, protocol, replace(desk, on_progress=tell), tested=tested)
            made.append(replace(outcome, model=title))
            task.partial = list(made)
        return Retrained(tuple(made), int((clips[catalogue.CORPUS] == name).sum() - tested.sum()))


def _so_far(outcomes: Sequence[Outcome]) -> None:
    figures = compare_outcomes.figures(outcomes)
    st.plotly_chart(
        models.bars(figures, UAR),
        key="compare.retrain.live",
        config=models.CONFIG,
        alt="; ".join(f"{title}: UAR {each.uar:.0%}" for title, each in figures.items()),
    )


@st.fragment
def _result(found: Retrained) -> None:
    outcomes = with_mean(found.outcomes, key="compare.retrain")
    if found.left_out:
        st.markdown(f":small[{found.left_out:,} clips are left out: not all of these recipes know their label.]")
    if protocols.PROTOCOLS[outcomes[0].protocol].copies:
        st.markdown(
            ":small[Every copy counts as a clip, as it does where recordings are copied first. A name with # "
            "marks a copy; the player plays the recording.]"
        )
    compare_outcomes.show_outcomes(outcomes, key="compare.retrain")
