"""All runs: the one that works, those that wait in line, those that have ended; and what the teacher may do with them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import streamlit as st

from pages.ui import admin, frame
from pages.ui.train import run
from ser_core.training import jobs

SHOWN = 30


def show_runs(root: Path) -> None:
    """Draw the runs; those that work or wait are redrawn every two seconds."""
    found = jobs.jobs(root)
    if not found:
        st.info("No training and no measurement has been started yet.", icon=":material/info:")
    elif any(not job.ended for job in found):
        _watch(root)
    _show_ended(root, [job for job in found if job.ended])
    with st.expander("For the teacher", key="train.teacher", icon=":material/school:"):
        admin.show_admin_word()
        if admin.is_here():
            st.button(
                "Empty the queue",
                key="train.clear_line",
                icon=":material/clear_all:",
                on_click=jobs.stop_waiting,
                args=(root,),
                help="Stops all waiting runs. The current one continues.",
            )


@st.fragment(run_every=2.0)
def _watch(root: Path) -> None:
    going = [job for job in jobs.jobs(root) if not job.ended]
    if not going:
        st.rerun()
    for job in sorted(going, key=lambda job: job.position):
        with st.container(border=True, key=f"train_going_{job.id}", horizontal=True, vertical_alignment="center"):
            if job.position:
                st.markdown(f"**{job.position}.**", width="content")
            link(job)
            st.markdown(run.headline(job), width="content")
            if run.may_stop(job) and not job.stopping:
                st.button(
                    "Leave the queue" if job.position else "Stop",
                    key=f"train.stop.{job.id}",
                    icon=":material/close:",
                    on_click=jobs.stop,
                    args=(job,),
                )


def _show_ended(root: Path, ended: list[jobs.Job]) -> None:
    if not ended:
        return
    st.header("Ended", anchor=False)
    for job in ended[:SHOWN]:
        with st.container(key=f"train_ended_{job.id}", horizontal=True, vertical_alignment="center"):
            link(job)
            st.markdown(f"{run.headline(job)} · {when(job.created)}", width="content")
    if len(ended) > SHOWN:
        st.caption(f"The last {SHOWN} of {len(ended)}.")
    mine = [job for job in ended if run.may_stop(job)]
    if mine:
        st.button(
            f"Delete {'mine' if len(mine) < len(ended) else 'all'}",
            key="train.clear",
            icon=":material/delete_sweep:",
            help="Deletes what these runs wrote: curves, log, what was measured. Their models stay.",
            on_click=_clear,
            args=(mine,),
        )


def _clear(ended: list[jobs.Job]) -> None:
    for job in ended:
        jobs.clear(job)


def link(job: jobs.Job) -> None:
    """Draw the title of a run; a click opens it."""
    if st.button(
        frame.plain(job.title),
        key=f"train.open.{job.id}",
        type="tertiary",
        icon=":material/chevron_right:",
        icon_position="right",
    ):
        st.query_params["run"] = job.id
        st.rerun()


def when(created: str) -> str:
    """Return a time in UTC as "24 Nov, 08:15 UTC"."""
    return f"{datetime.fromisoformat(created):%d %b, %H:%M} UTC"
