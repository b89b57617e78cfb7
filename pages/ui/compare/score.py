"""Trained models scored on corpora of this machine: the choice, and what came out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import streamlit as st

from pages.ui import cached, frame, state
from pages.ui.compare import measurement, retrain
from pages.ui.compare import outcomes as compare_outcomes
from pages.ui.compare.outcomes import with_mean
from ser_core.experiments import outcome, runs
from ser_core.recognition.card import ModelCard
from ser_core.training import contamination

AS_THEY_ARE, ANEW = "as they are", "anew"
HOW = {AS_THEY_ARE: "Models as they are", ANEW: "Retrain by protocol"}
HINT = (
    "The models answer as they are. Measuring a thousand clips takes about half a minute the first time; after that their features are "
    "cached. What a model was trained on is marked in red."
)


def show_scores(cards: Sequence[ModelCard]) -> None:
    """Draw the choice of models and corpora, the work, and the result."""
    corpora = cached.corpus_folders(cached.corpora_root())
    if not corpora:
        st.info("No corpus is installed here to score the models on.", icon=":material/library_music:")
        st.page_link("pages/corpora.py", label="Get a corpus", icon=":material/arrow_forward:", icon_position="right")
        return
    how = st.segmented_control(
        "What is scored",
        list(HOW),
        format_func=HOW.get,
        default=AS_THEY_ARE,
        required=True,
        key="compare.score.how",
        label_visibility="collapsed",
    )
    if how == ANEW:
        retrain.show_retraining(cards, corpora)
        return
    by_slug, titles = {card.slug: card for card in cards}, cached.model_titles(cards)
    last_slugs, last_names = st.session_state.get(state.COMPARE_SCORED, ((), ()))
    slugs, names = measurement.choose(titles, corpora, last=(last_slugs, last_names), key="compare.score")
    st.page_link("pages/corpora.py", label="Score recordings of your own: add them as a corpus", icon=":material/add:")
    if not slugs or not names:
        st.info("Choose a model and a corpus.", icon=":material/info:")
        return
    st.session_state[state.COMPARE_SCORED] = (tuple(slugs), tuple(names))
    chosen, folders = [by_slug[slug] for slug in slugs], {name: corpora[name] for name in names}
    config = runs.settings(runs.SCORE, models=chosen, corpora=measurement.corpora(folders))
    clips = cached.clips_of_all(folders)
    scores = measurement.measured(
        config,
        title=f"Score {measurement.listed(titles[slug] for slug in slugs)} on {measurement.listed(map(cached.corpus_title, names))}",
        button=f"Score on {len(clips):,} clips",
        again="Score again",
        icon=":material/speed:",
        hint=HINT,
        key="compare.score",
    )
    if scores is not None:
        show_result(scores, config, cards)


@st.fragment
def show_result(scores: runs.Scores, config: dict[str, Any], cards: Sequence[ModelCard]) -> None:
    """Draw what the models answered. config: the settings of the run; cards: the models there are."""
    titles = cached.model_titles(cards)
    outcomes = [replace(each, model=titles.get(each.model, each.model)) for each in scores.outcomes]
    touched = np.any([each.heard.any for each in outcomes if each.heard], axis=0)
    with st.container(horizontal=True, key="compare_score_options"):
        outcomes = with_mean(outcomes, key="compare.score")
        clean = 0 < touched.sum() < len(touched) and st.toggle(
            f"Only the {(~touched).sum():,} clips that none of them was trained on", key="compare.score.clean"
        )
    if clean:
        outcomes = [outcome.part(each, ~touched) for each in outcomes]
    else:
        show_marks({each.model: contamination.warning(each.heard) for each in outcomes if each.heard})
    if scores.left_out:
        st.markdown(f":small[{scores.left_out:,} clips are left out: not all of these models know their label.]")
    compare_outcomes.show_outcomes(outcomes, key="compare.score")


def show_marks(marks: dict[str, str]) -> None:
    """Draw in red what each model has heard before: one line for models that have heard the same."""
    for text in dict.fromkeys(filter(None, marks.values())):
        of = [model for model, mark in marks.items() if mark == text]
        st.error(
            f"**{frame.plain(', '.join(of))}.** {frame.plain(text)} Its true score on new voices is lower: see its held-out figures.",
            icon=":material/hearing:",
        )
