"""Train: choose corpora and settings, watch the training, and see what the new model is worth."""

from __future__ import annotations

import streamlit as st

from pages.ui import cached, frame, state
from pages.ui.train import models, new, runs
from pages.ui.train.run import show_run
from ser_core import paths
from ser_core.errors import SerError

cards, problems = cached.models()
frame.page(
    "Train",
    lead="Train a small model on the corpora you choose, watch how it learns, and see how well it works.",
    problems=problems,
)

root = paths.runs_folder()
run = st.query_params.get("run")
if run is not None:
    show_run(root, run)
    st.stop()

making, watching, having = frame.tabs(["New model", "Runs", "Models"], key="train.tab", state_key=state.TRAIN_TAB)
try:
    if making.open:
        with making:
            new.show_new_model(root, cards)
    if watching.open:
        with watching:
            runs.show_runs(root)
    if having.open:
        with having:
            models.show_models(root, cards)
except SerError as error:
    st.error(frame.plain(str(error)), icon=":material/error:")
