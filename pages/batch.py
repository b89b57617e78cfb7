"""Batch: many recordings at once, a table that fills as the models answer, and the table to take home."""

from __future__ import annotations

import streamlit as st

from pages.ui import cached, frame, inputs
from pages.ui.batch import table
from pages.ui.batch.run import choose, current, head

models, problems = cached.models()
frame.page(
    "Batch",
    lead="Upload many recordings, or a zip of them; get a table of what each model predicts for each.",
    problems=problems,
)

if not models:
    st.info(
        "There is no trained model here. `make models` trains the shipped ones from the corpora.",
        icon=":material/info:",
    )
    st.stop()

run = current()
if run is None:
    choose(inputs.models(models))
    st.stop()

head(run)
if run.task.running:
    table.fill(run)
    st.stop()
table.show_table(run)
table.scores(run)
table.downloads(run)
