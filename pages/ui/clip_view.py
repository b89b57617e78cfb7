"""A clip on the page: to hear, to judge, to see."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from pages.ui import clip_input, frame, recognition
from pages.ui.charts import clip as charts_clip
from pages.ui.charts.clip import CONFIG, EXTRA_ROWS, ROWS, STANDARD_ROWS, Scale, describe, scale
from ser_core.features.quality import Quality
from ser_core.recognition import analysis
from ser_core.system import units


def show_clip(given: clip_input.ClipInput, heard: analysis.Analysis, *, title: str, autoplay: bool = False) -> None:
    """Draw the player of a clip, whether the recording is good enough, and the facts of its file; autoplay where a click asked for it."""
    st.markdown(f"**{title}** · {frame.plain(given.name)}")
    if given.label:
        st.markdown(f"Acted as **{frame.plain(given.label)}**. {frame.plain(given.note)}")
    elif given.note:
        st.markdown(frame.plain(given.note))
    data, mime = recognition.playable(given, heard)
    st.audio(data, format=mime, autoplay=autoplay, alt=f"{title}: {heard.quality.duration_s:.1f} seconds of sound")
    clip = heard.clip
    show_quality(
        heard.quality,
        facts(clip.container, clip.source_rate, clip.source_channels, heard.quality.duration_s),
        remarks=clip.remarks,
    )


def show_quality(quality: Quality, facts: str, *, remarks: Sequence[str]) -> None:
    """Draw whether a recording is good enough, the facts of its file, what was done to read it, and what would make it better."""
    icon = ":material/check_circle:" if quality.has_speech else ":material/hearing_disabled:"
    st.markdown(f"{icon} **{frame.plain(quality.summary)}**  \n:small[{frame.plain(facts)}]")
    for sentence in remarks:
        st.markdown(f":material/info: {frame.plain(sentence)}")
    for sentence in quality.advice:
        st.markdown(f":material/lightbulb: {frame.plain(sentence)}")


def facts(container: str, rate: int, channels: int, duration_s: float) -> str:
    """Return 'WAV, 48 kHz, stereo, 3.20 s', or '…, 12.5 min' from a minute on."""
    words = {1: "mono", 2: "stereo"}.get(channels, f"{channels} channels")
    return f"{container}, {rate / 1000:g} kHz, {words}, {units.length(duration_s, digits=2)}"


@st.fragment
def pictures(given: clip_input.ClipInput, kept: clip_input.ClipInput | None) -> None:
    """Draw the pictures of the clip, beside those of the kept one on the same scales where there is one."""
    extra = st.pills(
        "Show more pictures",
        EXTRA_ROWS,
        selection_mode="multi",
        key="recognize.rows",
        persist_state="session",
        format_func=lambda name: ROWS[name].title,
    )
    rows = (*STANDARD_ROWS, *(name for name in EXTRA_ROWS if name in extra))
    if kept is None:
        _picture(given, rows, "now", shared=None)
        return
    shared = scale(recognition.hear(kept), recognition.hear(given))
    before, now = st.columns(2, gap="medium")
    with before:
        st.markdown("**Before**")
        _picture(kept, rows, "before", shared=shared)
    with now:
        st.markdown("**Now**")
        _picture(given, rows, "now", shared=shared)


def _picture(given: clip_input.ClipInput, rows: tuple[str, ...], place: str, *, shared: Scale | None) -> None:
    heard = recognition.hear(given)
    st.plotly_chart(
        charts_clip.pictures(heard, rows=rows, shared=shared),
        key=f"recognize.picture.{place}",
        config=CONFIG,
        alt=describe(heard, rows),
    )
