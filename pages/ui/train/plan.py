"""What the choices mean before anything is computed: clips, speakers, time, doubts, and why it cannot start."""

from __future__ import annotations

from html import escape

import streamlit as st

from pages.ui import frame
from ser_core.dataset import splits
from ser_core.system import units
from ser_core.training.plan import Plan

NOT_COMPARED = (
    "These clips have not been compared by sound yet. The run does so first: recordings that occur more than once, under other names too, "
    "then stay on one side of every split."
)

PART_TITLES = {splits.TRAIN: "training", splits.VALIDATION: "validation", splits.TEST: "test"}


def show_plan(plan: Plan) -> None:
    """Draw a plan."""
    if plan.n_clips:
        st.html(figures(plan))
        st.html(parts(plan))
        st.markdown(labels(plan))
        if not plan.compared:
            st.markdown(f":small[{NOT_COMPARED}]")
    for problem in plan.problems:
        st.error(frame.plain(problem), icon=":material/block:")
    if plan.warnings:
        st.markdown("\n".join(f"- {frame.plain(warning)}" for warning in plan.warnings))


def figures(plan: Plan) -> str:
    """Return clips, speakers and time as HTML."""
    shown = (
        (f"{plan.n_clips:,}", "clips"),
        (f"{plan.n_speakers:,}", f"speaker{'s' * (plan.n_speakers != 1)}"),
        (f"about {units.duration(plan.total_s)}", "of work"),
    )
    cells = "".join(f"<div><b>{escape(value)}</b><span>{escape(name)}</span></div>" for value, name in shown)
    return f'<div class="ser-figures">{cells}</div>'


def parts(plan: Plan) -> str:
    """Return who is learned from and who is tested, as an HTML table."""
    rows = "".join(
        f"<tr><th>{escape(PART_TITLES.get(part.name, part.name))}</th><td>{part.n_clips:,} clips</td>"
        f"<td>{part.n_speakers} speaker{'s' * (part.n_speakers != 1)}</td></tr>"
        for part in plan.parts
    )
    return f'<table class="ser-table">{rows}</table>'


def labels(plan: Plan) -> str:
    """Return the labels, what is left out, and how many trainings it takes, as Markdown."""
    lines = [f"**{len(plan.labels)} labels**: {frame.plain(', '.join(plan.labels))}."]
    if plan.left_out:
        lines.append(f"Left out: {frame.plain(', '.join(f'{n:,} {label}' for label, n in plan.left_out.items()))}.")
    if plan.n_fits > 1:
        lines.append(f"{plan.n_fits} trainings in a row.")
    return " ".join(lines)
