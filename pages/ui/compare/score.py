"""Trained models scored on corpora of this machine: the work in the background, and what came out of it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from pages.ui import cached, frame, state
from pages.ui import task as ui_task
from pages.ui.compare import outcomes as compare_outcomes
from pages.ui.compare import retrain
from pages.ui.compare.outcomes import with_mean
from pages.ui.task import Task, show_problem, watch
from ser_core import paths
from ser_core.corpora import catalogue
from ser_core.errors import CorpusError
from ser_core.experiments import contamination, measure, outcome, workspace
from ser_core.experiments.outcome import Outcome
from ser_core.recognition.card import ModelCard

AS_THEY_ARE, ANEW = "as they are", "anew"
HOW = {AS_THEY_ARE: "Models as they are", ANEW: "Retrain by protocol"}

_ONE_AT_A_TIME = threading.Lock()
"""Two at once would take twice as long each, and leave the pages less to run on."""


@dataclass(frozen=True)
class Scored:
    """What came out: an outcome a model, all on the same clips, called by their titles; left_out: clips with a label that not all know."""

    outcomes: tuple[Outcome, ...]
    left_out: int


def show_scores(cards: Sequence[ModelCard]) -> None:
    """Draw the choice of models and corpora, the work, and the result."""
    found = cached.installed(cached.corpora_root())
    if not found:
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
        retrain.show_retraining(cards, found)
        return
    by_slug, titles = {card.slug: card for card in cards}, cached.model_titles(cards)
    last_slugs, last_names = st.session_state.get(state.COMPARE_SCORED, ((), ()))
    slugs = st.pills(
        "Models",
        list(by_slug),
        selection_mode="multi",
        format_func=lambda slug: frame.plain(titles[slug]),
        default=[slug for slug in last_slugs or list(by_slug)[:4] if slug in by_slug],
        key="compare.score.models",
    )
    names = st.pills(
        "Corpora",
        list(found),
        selection_mode="multi",
        format_func=frame.corpus,
        default=[name for name in last_names or list(found)[:1] if name in found],
        key="compare.score.corpora",
    )
    st.page_link("pages/corpora.py", label="Score recordings of your own: add them as a corpus", icon=":material/add:")
    if not slugs or not names:
        st.info("Choose a model and a corpus.", icon=":material/info:")
        return
    st.session_state[state.COMPARE_SCORED] = (tuple(slugs), tuple(names))
    chosen, folders = [by_slug[slug] for slug in slugs], {name: found[name] for name in names}
    subject = f"{cached.model_keys(chosen)} {[(name, str(folder), cached.fingerprint(folder)) for name, folder in folders.items()]}"
    task = ui_task.task("score", subject)
    if task.running:
        watch(task, key="compare.score")
        return
    clips = cached.clips_of_all(folders)
    st.button(
        f"Score on {len(clips):,} clips" if task.result is None else "Score again",
        key="compare.score.start",
        icon=":material/speed:",
        type="primary" if task.result is None else "secondary",
        on_click=_start,
        args=(task, chosen, titles, clips),
    )
    show_problem(task)
    if task.result is None:
        st.markdown(
            "The models answer as they are. Measuring a thousand clips takes about half a minute the first time; "
            "after that their features are cached. What a model was trained on is marked in red."
        )
        return
    _result(task.result)


def _start(task: Task, cards: list[ModelCard], titles: dict[str, str], clips: pd.DataFrame) -> None:
    task.start(lambda task: score(task, cards, titles, clips, paths.models_folder()))


def score(task: Task, cards: list[ModelCard], titles: dict[str, str], clips: pd.DataFrame, models: Path) -> Scored:
    """Return what the models said of the clips whose label all of them know; tells the task how far it is."""
    known = set.intersection(*(set(card.labels) for card in cards))
    kept = clips[clips[catalogue.EMOTION].isin(known)].reset_index(drop=True)
    if kept.empty:
        raise CorpusError(
            "No clip of these corpora has a label that all chosen models know. Choose fewer models, or other corpora."
        )
    with task.turn(_ONE_AT_A_TIME, "another scoring has ended"):
        outcomes = []
        for number, card in enumerate(cards):

            def tell(fraction: float, text: str, number: int = number, title: str = titles[card.slug]) -> None:
                task.check_stop()
                task.tell((number + fraction) / len(cards), f"{title}: {text[:1].lower()}{text[1:]}")

            tell(0, "starting")
            desk = workspace.Workspace(
                cache=paths.feature_cache(),
                results=paths.results_folder(),
                models=models,
                on_progress=tell,
                should_stop=lambda: task.stopping,
            )
            outcomes.append(replace(measure.as_trained(card, kept, desk), model=titles[card.slug]))
        return Scored(tuple(outcomes), len(clips) - len(kept))


@st.fragment
def _result(scored: Scored) -> None:
    outcomes = list(scored.outcomes)
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
    if scored.left_out:
        st.markdown(f":small[{scored.left_out:,} clips are left out: not all of these models know their label.]")
    compare_outcomes.show_outcomes(outcomes, key="compare.score")


def show_marks(marks: dict[str, str]) -> None:
    """Draw in red what each model has heard before: one line for models that have heard the same."""
    for text in dict.fromkeys(filter(None, marks.values())):
        of = [model for model, mark in marks.items() if mark == text]
        st.error(
            f"**{frame.plain(', '.join(of))}.** {frame.plain(text)} Its true score on new voices is lower: see its held-out figures.",
            icon=":material/hearing:",
        )
