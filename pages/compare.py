"""Compare: models side by side on clips they had not heard, on a corpus here, and where high scores come from."""

from __future__ import annotations

import streamlit as st

from pages.ui import cached, compare_cards, compare_cross, compare_lab, compare_robust, compare_score, frame, state
from ser_core.errors import SerError

models, problems = cached.models()
frame.page(
    "Compare",
    problems=problems,
    lead="Models side by side, by protocol: how good they are on voices they had never heard, and where high scores come from.",
)
if not models:
    st.info(
        "There is no trained model to compare. `make models` trains the four from the corpora.", icon=":material/info:"
    )
    st.stop()

held_out, scoring, worse, across, leaking = frame.tabs(
    ["Held-out figures", "Score on a corpus", "Robustness", "Cross-corpus", "Leakage Lab"],
    key="compare.tab",
    kept=state.COMPARE_TAB,
)
try:
    if held_out.open:
        with held_out:
            compare_cards.show(models)
    if scoring.open:
        with scoring:
            compare_score.show(models)
    if worse.open:
        with worse:
            compare_robust.show(models)
    if across.open:
        with across:
            compare_cross.show(models)
    if leaking.open:
        with leaking:
            compare_lab.show()
except SerError as error:
    st.error(frame.plain(str(error)), icon=":material/error:")
