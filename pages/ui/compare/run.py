"""One measurement at its address, whatever is chosen on the page: where Train's list of runs leads to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from pages.ui import frame
from pages.ui.compare import cross_corpus, leakage_lab, measurement, retrain, robustness, score
from ser_core import paths
from ser_core.experiments import runs
from ser_core.recognition.card import ModelCard
from ser_core.training import jobs, run_folder

Draw = Callable[[Any, dict[str, Any], Sequence[ModelCard]], None]
"""Draws a result, from what was found, the settings of the run, and the models there are."""

SHOWN: dict[str, tuple[Draw, Draw | None]] = {
    runs.SCORE: (score.show_result, None),
    runs.RETRAIN: (retrain.show_result, retrain.show_so_far),
    runs.ROBUSTNESS: (robustness.show_result, robustness.show_so_far),
    runs.CROSS: (cross_corpus.show_result, cross_corpus.show_so_far),
    runs.LAB: (leakage_lab.show_result, leakage_lab.show_so_far),
}
"""Kind -> what draws its result, and what there is of it while it works."""


def show_run(id: str, cards: Sequence[ModelCard]) -> None:
    """Draw a run: how far it is, how it ended, and what it found."""
    st.button(
        "All comparisons",
        key="compare.back",
        type="tertiary",
        icon=":material/arrow_back:",
        on_click=st.query_params.clear,
    )
    job = jobs.find(paths.runs_folder(), id)
    st.header(frame.plain(job.title), anchor=False)
    if job.kind not in SHOWN:
        st.page_link("pages/train.py", label="This run is a training", query_params={"run": job.id})
        return
    config = runs.read_config(job.folder)
    draw, draw_so_far = SHOWN[job.kind]
    if not job.ended:
        so_far = draw_so_far
        measurement.watch(
            job.id, "compare.run", (lambda result: so_far(result, config, cards)) if so_far is not None else None
        )
        return
    result = runs.read(job.folder) if job.status.stage == run_folder.DONE else None
    if result is None:
        measurement.show_problem(job)
    else:
        draw(result, config, cards)
