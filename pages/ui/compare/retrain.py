"""Recipes retrained on a corpus of this machine, once per fold of a protocol: the choice, and what came out of it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from pages.ui import cached, frame, state
from pages.ui.charts import models
from pages.ui.compare import measurement
from pages.ui.compare import outcomes as compare_outcomes
from pages.ui.compare.figures import UAR, show_held_out
from pages.ui.compare.outcomes import with_mean
from pages.ui.compare.recipes import offered, with_copies_or_not
from ser_core.dataset import protocols, splits
from ser_core.experiments import benchmark, runs
from ser_core.experiments.recipe import to_dict as recipe_values
from ser_core.recognition.card import ModelCard

HOW = (
    "Each recipe is retrained for every fold of a protocol, without the clips that are held out. The trained "
    "models themselves are not used."
)
KEPT = (
    ":small[Seconds to a minute per fold; clips without cached features are measured first. Finished folds are "
    "kept, and a stopped measurement resumes. The app stays usable meanwhile.]"
)


def show_retraining(cards: Sequence[ModelCard], corpora: dict[str, Path]) -> None:
    """Draw the choice of recipes, corpus and protocol, and the result. corpora: the installed corpora, name -> folder."""
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
        list(corpora),
        format_func=cached.corpus_title,
        key="compare.retrain.corpus",
        width=420,
        index=list(corpora).index(last_name) if last_name in corpora else 0,
    )
    protocol = st.segmented_control(
        "Protocol", list(protocols.PROTOCOLS), default=last_protocol, required=True, key="compare.retrain.protocol"
    )
    show_held_out(protocol)
    others = [other for other in corpora if other != name]
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
    folders = {each: corpora[each] for each in benchmark.usual([name, *more])}
    chosen = [[can[key][0], recipe_values(each)] for key, each in zip(keys, recipes, strict=True)]
    config = runs.settings(
        runs.RETRAIN, corpora=measurement.corpora(folders), recipes=chosen, tested=name, protocol=protocol
    )
    result = measurement.measured(
        config,
        title=f"Retrain {measurement.listed(can[key][0] for key in keys)}, tested on {cached.corpus_title(name)} ({protocol})",
        button="Train and test",
        icon=":material/model_training:",
        hint=KEPT,
        key="compare.retrain",
        draw=lambda so_far: show_so_far(so_far, config, cards),
    )
    if result is not None:
        show_result(result, config, cards)


def _networks(name: str, more: Sequence[str], protocol: str) -> None:
    with st.expander("Networks, from a shell", key="compare.retrain.networks"):
        st.markdown("Networks take minutes per fold, and the runs of everyone else would wait for them. From a shell:")
        extra = "".join(f" --train-corpus {other}" for other in more)
        st.code(
            f"python -m ser_core evaluate --model cnn --corpus {name}{extra} --protocol {shlex.quote(protocol)}",
            language="bash",
            wrap_lines=True,
        )


def show_so_far(scores: runs.Scores, config: dict[str, Any], cards: Sequence[ModelCard]) -> None:
    """Draw the figures of the recipes that are finished."""
    figures = compare_outcomes.figures(scores.outcomes)
    st.plotly_chart(
        models.bars(figures, UAR),
        key="compare.retrain.live",
        config=models.CONFIG,
        alt="; ".join(f"{title}: UAR {each.uar:.0%}" for title, each in figures.items()),
    )


@st.fragment
def show_result(scores: runs.Scores, config: dict[str, Any], cards: Sequence[ModelCard]) -> None:
    """Draw what the retrained recipes answered."""
    outcomes = with_mean(scores.outcomes, key="compare.retrain")
    if scores.left_out:
        st.markdown(f":small[{scores.left_out:,} clips are left out: not all of these recipes know their label.]")
    if protocols.PROTOCOLS[outcomes[0].protocol].copies:
        st.markdown(
            ":small[Every copy counts as a clip, as it does where recordings are copied first. A name with # "
            "marks a copy; the player plays the recording.]"
        )
    compare_outcomes.show_outcomes(outcomes, key="compare.retrain")
