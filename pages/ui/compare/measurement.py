"""A measurement of the Compare page as a run: the button that starts it, how far it is, how it ended, and what it found.

It is known by what is measured, not by who started it: every visitor sees the same one, and a closed tab or a server that was restarted
loses nothing. It works in a process of its own, in the one line with all trainings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from pages.ui import cached, frame, runtime, state, visits
from pages.ui.train import run as train_run
from ser_core import paths
from ser_core.errors import SerError
from ser_core.experiments import runs
from ser_core.system import units
from ser_core.training import jobs, run_folder

BLINK_S = 0.5
"""How often what works is drawn anew."""

Draw = Callable[[Any], None]


def corpora(folders: dict[str, Path]) -> dict[str, str]:
    """Return what tells the clips of corpora (name -> folder) from any others, for runs.settings."""
    return {
        name: runs.corpus_state(cached.fingerprint(folder), cached.exclusions(name, folder))
        for name, folder in folders.items()
    }


def choose(
    titles: Mapping[str, str], folders: Mapping[str, Path], *, last: tuple[Sequence[str], Sequence[str]], key: str
) -> tuple[list[str], list[str]]:
    """Draw the choice of models (slug -> title) and of installed corpora (name -> folder), and return the slugs and names chosen.

    last : those chosen last; where there are none, the first four models and the first corpus are.
    """
    last_slugs, last_names = last
    slugs = st.pills(
        "Models",
        list(titles),
        selection_mode="multi",
        format_func=lambda slug: frame.plain(titles[slug]),
        default=[slug for slug in last_slugs or list(titles)[:4] if slug in titles],
        key=f"{key}.models",
    )
    names = st.pills(
        "Corpora",
        list(folders),
        selection_mode="multi",
        format_func=frame.corpus,
        default=[name for name in last_names or list(folders)[:1] if name in folders],
        key=f"{key}.corpora",
    )
    return slugs, names


def listed(names: Iterable[str]) -> str:
    """Return names as "A, B and C"."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def measured(
    config: dict[str, Any],
    *,
    title: str,
    button: str,
    icon: str,
    hint: str,
    key: str,
    again: str = "",
    draw: Draw | None = None,
) -> Any:
    """Return what a measurement with these settings found; where it was not done yet, draw how to start it or how far it is: None.

    title : what lists call the run. again : of the button beside a result, if there is one. draw : draws what there is so far.
    """
    measurements = runs.find(paths.runs_folder(), config)
    going = next((job for job in measurements if not job.ended), None)
    if going:
        watch(going.id, key, draw)
        return None
    done = next((job for job in measurements if job.status.stage == run_folder.DONE), None)
    result = runs.read(done.folder) if done else None
    if result is None or again:
        st.button(
            button if result is None else again,
            key=f"{key}.start",
            type="primary" if result is None else "secondary",
            icon=icon,
            on_click=_start,
            args=(config, title),
        )
    if result is None:
        st.markdown(hint)
    refusal = st.session_state.pop(state.COMPARE_REFUSAL, "")
    if refusal:
        st.error(frame.plain(refusal), icon=":material/error:")
    elif measurements and measurements[0] is not done:
        show_problem(measurements[0])
    return result


def _start(config: dict[str, Any], title: str) -> None:
    try:
        started = runs.start(
            paths.runs_folder(), config, title=title, browser=runtime.browser(), address=runtime.who()[0]
        )
    except SerError as error:
        st.session_state[state.COMPARE_REFUSAL] = str(error)
        return
    if started.key:
        st.session_state.setdefault(state.STOP_KEYS, {})[started.id] = started.key


@st.fragment(run_every=BLINK_S)
def watch(id: str, key: str, draw: Draw | None) -> None:
    """Draw how far a run is, and what there is of its result so far; redraws the whole page when it has ended."""
    visits.here()
    try:
        job = jobs.find(paths.runs_folder(), id)
    except SerError:  # cleared away meanwhile
        st.rerun()
    if job.ended:
        st.rerun()
    st.progress(min(job.status.fraction, 1.0), text=frame.plain(_text(job)))
    with st.container(key=f"{key.replace('.', '_')}_going", horizontal=True, vertical_alignment="center"):
        if train_run.may_stop(job):
            st.button(
                "Leave the queue" if job.position else "Stop",
                key=f"{key}.stop",
                icon=":material/close:",
                disabled=bool(job.stopping),
                on_click=jobs.stop,
                args=(job,),
            )
        st.page_link(
            "pages/train.py",
            label="Among the runs: its log, and its stop key",
            icon=":material/list:",
            query_params={"run": job.id},
        )
    so_far = runs.read(job.folder) if draw and not job.position else None
    if draw and so_far is not None:
        draw(so_far)


def _text(job: jobs.Job) -> str:
    """Return how far a run is, in words."""
    if job.stopping:
        return "Stopping …"
    if job.position:
        before = job.position - 1
        return f"Waiting: {before} before it in the queue." if before else "Waiting: next in the queue."
    left = f" · about {units.duration(job.status.left_s)} left" if job.status.left_s else ""
    return (job.status.text or "Starting …") + left


def show_problem(job: jobs.Job) -> None:
    """Draw why a run ended without a result."""
    if job.status.stage == run_folder.STOPPED:
        st.info(frame.plain(runs.KINDS[job.kind].stopped), icon=":material/info:")
    elif job.status.problem:
        st.error(frame.plain(job.status.problem), icon=":material/error:")
