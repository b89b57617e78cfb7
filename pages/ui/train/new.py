"""A new training: the choices, what they mean beside them, and the button that starts it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from pages.ui import cached
from pages.ui.train import form, start
from pages.ui.train import plan as train_plan
from ser_core.errors import SerError
from ser_core.recognition import card
from ser_core.training import jobs, run_folder
from ser_core.training.config import RunConfig
from ser_core.training.plan import Plan


def show_new_model(root: Path, cards: Sequence[card.ModelCard]) -> None:
    """Draw the form, or where corpora are to be had while there is none."""
    corpora = cached.corpus_folders(cached.corpora_root())
    if not corpora:
        st.info("There is nothing to learn from yet: no corpus is installed.", icon=":material/library_music:")
        st.page_link("pages/corpora.py", label="Get a corpus", icon=":material/arrow_forward:")
        return
    _form(root, corpora, cards)


@st.fragment
def _form(root: Path, corpora: dict[str, Path], cards: Sequence[card.ModelCard]) -> None:
    choices, meaning = st.columns([6, 5], gap="large")
    config, problem = None, ""
    with choices:
        try:
            config = form.show_form(corpora, cards)
        except SerError as error:
            problem = str(error)
    with meaning, st.container(key="train_plan"):
        plan = Plan(problems=(problem,)) if problem else _plan(root, corpora, config)
        st.header("What this means", anchor=False)
        train_plan.show_plan(plan)
        _start(root, config, plan)


def _plan(root: Path, corpora: dict[str, Path], config: RunConfig | None) -> Plan:
    if config is None:
        return Plan(problems=("No corpus is chosen. Choose one or more to learn from.",))
    try:
        return cached.plan({name: corpora[name] for name in config.corpora}, config, run_folder.read_rates(root))
    except SerError as error:
        return Plan(problems=(str(error),))


def _start(root: Path, config: RunConfig | None, plan: Plan) -> None:
    blocked = config is None or bool(plan.problems)
    clicked = st.button(
        "Start training",
        key="train.start",
        type="primary",
        icon=":material/play_arrow:",
        disabled=blocked,
        help="The reason is above." if blocked else None,
    )
    before = sum(not job.ended for job in jobs.jobs(root))
    if before:
        st.caption(f"{before} {'run comes' if before == 1 else 'runs come'} before it: one works at a time.")
    if clicked and config is not None:
        start.begin(root, config)
