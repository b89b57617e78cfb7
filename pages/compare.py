"""Compare: models side by side on clips they had not heard, on a corpus here, and where high scores come from."""

from __future__ import annotations

import streamlit as st

from pages.ui import cached, frame, state
from pages.ui.compare import cross_corpus, leakage_lab, robustness, score
from pages.ui.compare.held_out import show_held_out_figures
from pages.ui.compare.run import show_run
from ser_core.errors import SerError

models, problems = cached.models()
frame.page(
    "Compare",
    problems=problems,
    lead="Models side by side, by protocol: how good they are on unseen speakers, and where high scores come from.",
)
if not models:
    st.info(
        "There is no trained model to compare. `make models` trains the shipped ones from the corpora.",
        icon=":material/info:",
    )
    st.stop()

run = st.query_params.get("run")
if run is not None:
    try:
        show_run(run, models)
    except SerError as error:
        st.error(frame.plain(str(error)), icon=":material/search_off:")
    st.stop()

held_out, scoring, worse, across, leaking = frame.tabs(
    ["Held-out figures", "Score on a corpus", "Robustness", "Cross-corpus", "Leakage Lab"],
    key="compare.tab",
    state_key=state.COMPARE_TAB,
)
try:
    if held_out.open:
        with held_out:
            show_held_out_figures(models)
    if scoring.open:
        with scoring:
            score.show_scores(models)
    if worse.open:
        with worse:
            robustness.show_robustness(models)
    if across.open:
        with across:
            cross_corpus.show_cross_corpus(models)
    if leaking.open:
        with leaking:
            leakage_lab.show_lab()
except SerError as error:
    st.error(frame.plain(str(error)), icon=":material/error:")
