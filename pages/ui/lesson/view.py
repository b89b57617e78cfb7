"""What the Lesson page shows: the way in for phones, what the start found, and the end, which asks once more and tells what goes."""

from __future__ import annotations

from html import escape
from pathlib import Path

import streamlit as st

from pages.ui import frame
from ser_core.errors import SerError
from ser_core.serving import lesson, preflight

HOW = """
This server serves no class. `make class` in the project's folder (or `python -m ser_core serve --class`) starts one that phones can
open: with https, a QR code, an admin word for the teacher, and an end of the lesson that deletes what was made in it.
"""

WHAT = """
**Permanently deletes** what was made since the lesson began ({began} UTC): all recordings, in memory and on the disk, user-recorded
corpora, trained models, and what was measured of them. The corpora and models that were here before stay. The server restarts; every
tab comes back empty.
"""

ENDING = "The lesson is ending: the server deletes what was made in it and restarts. This page comes back by itself within a minute."


def show_removed(here: lesson.Lesson) -> None:
    """Draw what the end of the lesson before took away."""
    if here.told:
        st.success(
            "The previous lesson has ended.  \n" + "  \n".join(map(frame.plain, here.told)), icon=":material/done_all:"
        )


def codes(here: lesson.Lesson) -> None:
    """Draw the QR codes and the addresses."""
    first = _figure(
        here.url,
        "",
        "Open on your phone",
        "The browser warns once, because only your teacher vouches for this address: choose Advanced, then Proceed.",
    )
    second = _figure(
        here.install_url,
        "ser-second",
        "iPhone or iPad, if that does not open",
        f"How to trust this classroom for the lesson. The fingerprint to compare:<br><code>{escape(here.fingerprint)}</code>",
    )
    st.html(f'<div class="ser-codes">{first}{second}</div>')


def _figure(url: str, kind: str, above: str, below: str) -> str:
    return (
        f'<figure class="{kind}"><img src="{_qr(url)}" alt="QR code of {escape(url)}"><figcaption>{above}<b>{escape(url)}</b>{below}'
        "</figcaption></figure>"
    )


@st.cache_data(max_entries=8, show_spinner=False)
def _qr(text: str) -> str:
    return preflight.qr(text)


def checks(here: lesson.Lesson) -> None:
    """Draw what the start looked at, a line each."""
    rows = "".join(
        f"<li><span>{'✓' if good else '⚠'} <b>{escape(title)}</b></span><span>{escape(text)}</span></li>"
        for title, good, text in here.checks
    )
    st.html(f'<ul class="ser-checks">{rows}</ul>')


def end(folder: Path, here: lesson.Lesson) -> None:
    """Draw the end of the lesson: what goes, and the button, which works once somebody has said that it is meant."""
    st.header("End of the lesson", anchor=False)
    st.markdown(WHAT.format(began=here.began[:16].replace("T", " ")))
    lines = lesson.made(here).lines()
    st.markdown("So far that is: " + ("; ".join(map(frame.plain, lines)) if lines else "nothing on the disk") + ".")
    sure = st.checkbox("Delete all of it", key="lesson.sure")
    st.button(
        "End of lesson",
        key="lesson.end",
        type="primary",
        icon=":material/delete_forever:",
        disabled=not sure,
        on_click=_end,
        args=(folder,),
    )


def _end(folder: Path) -> None:
    try:
        lesson.ask_end(folder)
    except SerError as error:
        st.error(frame.plain(str(error)), icon=":material/error:")


@st.fragment(run_every=1.0)
def ending() -> None:
    """Draw that the lesson ends, until it has."""
    st.info(ENDING, icon=":material/hourglass_top:")
    folder = lesson.folder()
    if folder is None or not lesson.end_asked(folder):
        st.rerun()
