"""A clip on the page: to hear, to judge, to see."""

from __future__ import annotations

import streamlit as st

from pages.ui import cached, charts, frame, state
from ser_core import analysis


def show(given: state.Given, heard: analysis.Analysis, *, title: str, autoplay: bool = False) -> None:
    """Draw the player of a clip, whether the recording is good enough, and the facts of its file; autoplay where a click asked for it."""
    st.markdown(f"**{title}** · {frame.plain(given.name)}")
    if given.label:
        st.markdown(f"Acted as **{frame.plain(given.label)}**. {frame.plain(given.note)}")
    elif given.note:
        st.markdown(frame.plain(given.note))
    data, mime = cached.playable(given, heard)
    st.audio(data, format=mime, autoplay=autoplay, alt=f"{title}: {heard.quality.duration_s:.1f} seconds of sound")
    icon = ":material/check_circle:" if heard.quality.has_speech else ":material/hearing_disabled:"
    st.markdown(f"{icon} **{frame.plain(heard.quality.summary)}**  \n:small[{frame.plain(file_facts(heard))}]")
    if heard.clip.truncated:
        st.markdown(":material/content_cut: The file ends before it says it does: only what is there was used.")
    for sentence in heard.quality.advice:
        st.markdown(f":material/lightbulb: {frame.plain(sentence)}")


def file_facts(heard: analysis.Analysis) -> str:
    """Return 'WAV, 48.0 kHz, stereo, 3.20 s'."""
    channels = {1: "mono", 2: "stereo"}.get(heard.clip.source_channels, f"{heard.clip.source_channels} channels")
    return f"{heard.clip.container}, {heard.clip.source_rate / 1000:g} kHz, {channels}, {heard.quality.duration_s:.2f} s"


@st.fragment
def pictures(given: state.Given, kept: state.Given | None) -> None:
    """Draw the pictures of the clip, beside those of the kept one on the same scales where there is one."""
    extra = st.pills("More rows", charts.EXTRA_ROWS, selection_mode="multi", key="recognize.rows", persist_state="session",
                     format_func=lambda name: charts.ROWS[name].title)
    rows = (*charts.STANDARD_ROWS, *(name for name in charts.EXTRA_ROWS if name in extra))
    if kept is None:
        _picture(given, rows, "now", shared=None)
        return
    shared = charts.scale(cached.hear(kept), cached.hear(given))
    before, now = st.columns(2, gap="medium")
    with before:
        st.markdown("**Before**")
        _picture(kept, rows, "before", shared=shared)
    with now:
        st.markdown("**Now**")
        _picture(given, rows, "now", shared=shared)


def _picture(given: state.Given, rows: tuple[str, ...], place: str, *, shared: charts.Scale | None) -> None:
    heard = cached.hear(given)
    st.plotly_chart(charts.pictures(heard, rows=rows, shared=shared), key=f"recognize.picture.{place}", config=charts.CONFIG,
                    alt=charts.describe(heard, rows))
