"""Train: choose corpora and settings, watch the training, and see what the new model is worth."""

from __future__ import annotations

import streamlit as st

from pages.ui import cached, frame, state, train_models, train_new, train_run, train_runs
from ser_core import runs
from ser_core.errors import SerError

cards, problems = cached.models()
frame.page(
    "Train",
    lead="Train a small model on the corpora you choose, watch how it learns, and see what it is worth.",
    problems=problems,
)

root = runs.root()
run = st.query_params.get("run")
if run is not None:
    train_run.show(root, run)
    st.stop()

making, watching, having = frame.tabs(["New model", "Runs", "Models"], key="train.tab", kept=state.TRAIN_TAB)
try:
    if making.open:
        with making:
            train_new.show(root, cards)
    if watching.open:
        with watching:
            train_runs.show(root)
    if having.open:
        with having:
            train_models.show(root, cards)
except SerError as error:
    st.error(frame.plain(str(error)), icon=":material/error:")
