"""A clip on the page: to hear, to judge, to see."""

from __future__ import annotations

import streamlit as st

from pages.ui import cached, charts, frame, state
from ser_core import analysis
from ser_core.quality import Quality


def show(given: state.Given, heard: analysis.Analysis, *, title: str, autoplay: bool = False) -> None:
    """Draw the player of a clip, whether the recording is good enough, and the facts of its file; autoplay where a click asked for it."""
    st.markdown(f"**{title}** · {frame.plain(given.name)}")
    if given.label:
        st.markdown(f"Acted as **{frame.plain(given.label)}**. {frame.plain(given.note)}")
    elif given.note:
        st.markdown(frame.plain(given.note))
    data, mime = cached.playable(given, heard)
    st.audio(data, format=mime, autoplay=autoplay, alt=f"{title}: {heard.quality.duration_s:.1f} seconds of sound")
    clip = heard.clip
    judge(
        heard.quality,
        facts(clip.container, clip.source_rate, clip.source_channels, heard.quality.duration_s),
        truncated=clip.truncated,
    )


def judge(quality: Quality, facts: str, *, truncated: bool) -> None:
    """Draw whether a recording is good enough, the facts of its file, and what would make it better."""
    icon = ":material/check_circle:" if quality.has_speech else ":material/hearing_disabled:"
    st.markdown(f"{icon} **{frame.plain(quality.summary)}**  \n:small[{frame.plain(facts)}]")
    if truncated:
        st.markdown(":material/content_cut: The file ends before it says it does: only what is there was used.")
    for sentence in quality.advice:
        st.markdown(f":material/lightbulb: {frame.plain(sentence)}")


def facts(container: str, rate: int, channels: int, duration_s: float) -> str:
    """Return 'WAV, 48 kHz, stereo, 3.20 s', or '…, 12.5 min' from a minute on."""
    length = f"{duration_s:.2f} s" if duration_s < 60 else f"{duration_s / 60:.1f} min"
    words = {1: "mono", 2: "stereo"}.get(channels, f"{channels} channels")
    return f"{container}, {rate / 1000:g} kHz, {words}, {length}"


@st.fragment
def pictures(given: state.Given, kept: state.Given | None) -> None:
    """Draw the pictures of the clip, beside those of the kept one on the same scales where there is one."""
    extra = st.pills(
        "More rows",
        charts.EXTRA_ROWS,
        selection_mode="multi",
        key="recognize.rows",
        persist_state="session",
        format_func=lambda name: charts.ROWS[name].title,
    )
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
    st.plotly_chart(
        charts.pictures(heard, rows=rows, shared=shared),
        key=f"recognize.picture.{place}",
        config=charts.CONFIG,
        alt=charts.describe(heard, rows),
    )
