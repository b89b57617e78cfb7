"""A run on the page: how far it is, its curves as they grow, its log, and the buttons that stop it; redrawn every second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from pages.ui import admin, frame, glossary, runtime, state
from pages.ui.charts import training
from pages.ui.train import result
from ser_core.errors import SerError
from ser_core.system import files, units, untrusted_text
from ser_core.training import jobs, run_folder

STAGES = {
    run_folder.QUEUED: (":material/hourglass:", "Waiting"),
    run_folder.COMPARING: (":material/compare:", "Comparing the clips by sound"),
    run_folder.FEATURES: (":material/graphic_eq:", "Measuring the clips"),
    run_folder.TRAINING: (":material/model_training:", "Training"),
    run_folder.SEARCHING: (":material/grid_on:", "Searching"),
    run_folder.EVALUATING: (":material/fact_check:", "Testing"),
    run_folder.SAVING: (":material/save:", "Saving"),
    run_folder.MEASURING: (":material/analytics:", "Measuring"),
    run_folder.DONE: (":material/check_circle:", "Done"),
    run_folder.FAILED: (":material/error:", "Failed"),
    run_folder.STOPPED: (":material/stop_circle:", "Stopped"),
}
"""Stage -> icon and word."""

KEY = """
**Stop key** `{key}`

This browser may stop the run. To stop it from another device, use this key. Save it now.
"""


def show_run(root: Path, id: str) -> None:
    """Draw one run: live while it works, its result once it has ended."""
    st.button(
        "All runs and models",
        key="train.back",
        type="tertiary",
        icon=":material/arrow_back:",
        on_click=st.query_params.clear,
    )
    try:
        job = jobs.find(root, id)
    except SerError as error:
        st.error(frame.plain(str(error)), icon=":material/search_off:")
        return
    st.header(frame.plain(job.title), anchor=False)
    if not job.ended:
        _key(id)
        _live(root, id)
        return
    st.markdown(headline(job))
    if job.status.problem:
        st.error(frame.plain(job.status.problem), icon=":material/error:")
    elif job.status.text:
        st.markdown(frame.plain(job.status.text))
    if job.kind:
        _compare(job)
    else:
        result.show_result(job)
        _curves(job)
    _log(job)


def _compare(job: jobs.Job) -> None:
    """Draw the way to a measurement on Compare, which shows what there is of it."""
    st.page_link(
        "pages/compare.py",
        label="See it on Compare",
        icon=":material/arrow_forward:",
        icon_position="right",
        query_params={"run": job.id},
    )


def headline(job: jobs.Job) -> str:
    """Return the stage of a run as Markdown, with what is known of its speed and its place in line."""
    icon, word = STAGES[job.status.stage]
    parts = [f"{icon} **{word}**"]
    if job.position:
        parts.append("next in the queue" if job.position == 1 else f"{job.position - 1} before it in the queue")
    if job.status.epoch and not job.ended:
        parts.append(f"epoch {job.status.epoch} of {job.status.epochs}")
    if job.status.clips_per_s:
        parts.append(f"{job.status.clips_per_s:,.0f} clips/s")
    if job.status.left_s and not job.ended:
        parts.append(f"about {units.duration(job.status.left_s)} left")
    return " · ".join(parts)


def may_stop(job: jobs.Job) -> bool:
    """Return whether this visit may stop a run without its key."""
    return jobs.may_stop(job, browser=runtime.browser()) or admin.is_here()


def _key(id: str) -> None:
    """Draw the stop key, in the visit that started the run, until it is put away."""
    keys = st.session_state.get(state.STOP_KEYS, {})
    if id in keys:
        with st.container(border=True, key="train_key"):
            st.markdown(KEY.format(key=keys[id]))
            st.button(
                "I've saved it", key="train.key.done", icon=":material/check:", on_click=keys.pop, args=(id, None)
            )


@st.fragment(run_every=1.0)
def _live(root: Path, id: str) -> None:
    try:
        job = jobs.find(root, id)
    except SerError:  # cleared away meanwhile
        st.rerun()
    if job.ended:
        st.rerun()
    st.progress(min(job.status.fraction, 1.0), text=headline(job))
    if job.stopping:
        kept = job.stopping == run_folder.KEEP
        st.markdown("Stopping. The best epoch so far is tested and saved …" if kept else "Stopping …")
    else:
        st.caption(frame.plain(job.status.text))
        _stop(job)
    if job.kind:
        _compare(job)
    else:
        _curves(job)
    _log(job)


def _stop(job: jobs.Job) -> None:
    allowed = may_stop(job)
    if not allowed:
        with st.popover("Stop with its key", key="train.stop.other", icon=":material/key:"):
            given = st.text_input("Stop key", key="train.stop.key", max_chars=40, placeholder="XXXX-XXXX-XXXX")
            allowed = jobs.may_stop(job, key=given or "")
            if given and not allowed:
                st.error("That is not the key of this run.", icon=":material/block:")
            if allowed:
                _stop_buttons(job)
        return
    _stop_buttons(job)


def _stop_buttons(job: jobs.Job) -> None:
    with st.container(key="train_stop", horizontal=True):
        if job.status.epoch and job.status.stage == run_folder.TRAINING:
            st.button(
                "Stop, keep the best so far",
                key="train.stop.keep",
                icon=":material/stop_circle:",
                on_click=jobs.stop,
                args=(job,),
                kwargs={"keep": True},
            )
        st.button(
            "Leave the queue" if job.position else "Stop, keep nothing",
            key="train.stop",
            icon=":material/close:",
            on_click=jobs.stop,
            args=(job,),
        )


WITHHELD = (
    "The test score by epoch is withheld on purpose: whoever sees it can take the epoch that tests best, and the test then says little of "
    f"new voices ({glossary.link('leakage')}). The test clips are used once, when the epoch has been chosen on others."
)


def _curves(job: jobs.Job) -> None:
    """Draw the learning curves, if the classifier learns in epochs."""
    pictures = figures(job.folder / run_folder.EPOCHS)
    if not pictures:
        return
    if job.ended:
        st.header("Learning curves", anchor=False)
    for place, (name, figure) in zip(st.columns(2), pictures.items(), strict=False):
        place.plotly_chart(figure, key=f"train.curve.{name}", config=training.CONFIG, alt=f"{name} by epoch.")
    st.markdown(f":small[{WITHHELD}]")


def figures(path: Path) -> dict[str, go.Figure]:
    """Return the learning curves by what they show, made again only when the file of epochs has changed."""
    try:
        facts = path.stat()
    except OSError:
        return {}
    return _figures(str(path), facts.st_mtime_ns, facts.st_size)


@st.cache_resource(max_entries=64, show_spinner=False)
def _figures(path: str, changed: int, size: int) -> dict[str, Any]:
    epochs = files.read_json_lines(Path(path))
    drawn = {
        "Loss": training.curves(epochs, training.LOSS, shares=False),
        "Accuracy and UAR": training.curves(epochs, training.SCORES, shares=True),
    }
    return {name: figure for name, figure in drawn.items() if figure is not None}


def _log(job: jobs.Job) -> None:
    with st.expander("Log", key="train.log", icon=":material/terminal:"):
        st.code(
            _log_text(run_folder.read_log(job.folder)) or "Nothing yet.", language=None, height=260, wrap_lines=True
        )
        if job.status.stage == run_folder.FAILED and jobs.printed(job):
            st.markdown("The last lines it printed:")
            st.code(_log_text(jobs.printed(job)), language=None, height=260, wrap_lines=True)


def _log_text(log: str) -> str:
    return untrusted_text.lines(untrusted_text.without_paths(log))
