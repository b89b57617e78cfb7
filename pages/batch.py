"""Batch: many recordings at once, a table that fills as the models answer, and the table to take home."""

from __future__ import annotations

import streamlit as st

from pages.ui import batch_run, batch_table, cached, frame, inputs

models, problems = cached.models()
frame.page(
    "Batch",
    lead="Give many recordings, or a zip of them; get a table of what each trained model makes of each.",
    problems=problems,
)

if not models:
    st.info("There is no trained model to ask. `make models` trains the four from the corpora.", icon=":material/info:")
    st.stop()

run = batch_run.current()
if run is None:
    batch_run.choose(inputs.models(models))
    st.stop()

batch_run.head(run)
if run.task.running:
    batch_table.fill(run)
    st.stop()
batch_table.show(run)
batch_table.scores(run)
batch_table.downloads(run)
