"""A clip on the page: to hear, to judge, to see."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from pages.ui import clip_input, frame, player, recognition
from pages.ui.charts import clip as charts_clip
from pages.ui.charts.clip import CONFIG, MORE_ROWS, PLAYER_ROWS, ROWS, STANDARD_ROWS, Scale, describe, scale
from ser_core.features.quality import Quality
from ser_core.recognition.analysis import Analysis
from ser_core.system import units


def show_clip(
    clip: clip_input.ClipInput,
    analysis: Analysis,
    *,
    title: str,
    key: str,
    can_ask: bool = False,
    autoplay: bool = False,
) -> player.Selection | None:
    """Draw the player of a clip, whether the recording is good enough, and the facts of its file; return the part that was asked about.

    key: of the player. can_ask: whether models answer for a part. autoplay: where a click asked for it.
    """
    st.markdown(f"**{title}** · {frame.plain(clip.name)}")
    if clip.label:
        st.markdown(f"Acted as **{frame.plain(clip.label)}**. {frame.plain(clip.note)}")
    elif clip.note:
        st.markdown(frame.plain(clip.note))
    data, mime = recognition.playable(clip, analysis)
    selection = player.show(
        data,
        mime,
        key=key,
        label=f"{title}, {clip.name}",
        duration_s=analysis.clip.waveform.duration_s,
        analysis=analysis,
        can_ask=can_ask,
        autoplay=autoplay,
    )
    sound = analysis.clip
    show_quality(
        analysis.quality,
        facts(sound.container, sound.source_rate, sound.source_channels, analysis.quality.duration_s),
        remarks=sound.remarks,
    )
    return selection


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
def pictures(clip: clip_input.ClipInput, comparison: clip_input.ClipInput | None) -> None:
    """Draw what the player does not show of the clip, or all of it beside the kept one, on the same scales, where there is one."""
    chosen = st.pills(
        "Show more pictures",
        MORE_ROWS,
        selection_mode="multi",
        key="recognize.rows",
        persist_state="session",
        format_func=lambda name: ROWS[name].title,
    )
    always = STANDARD_ROWS if comparison else (name for name in STANDARD_ROWS if name not in PLAYER_ROWS)
    shown = {*always, *chosen}
    rows = tuple(name for name in ROWS if name in shown)
    if comparison is None:
        _picture(clip, rows, "now", shared=None)
        return
    shared = scale(recognition.analyse(comparison), recognition.analyse(clip))
    before, now = st.columns(2, gap="medium")
    with before:
        st.markdown("**Before**")
        _picture(comparison, rows, "before", shared=shared)
    with now:
        st.markdown("**Now**")
        _picture(clip, rows, "now", shared=shared)


def _picture(clip: clip_input.ClipInput, rows: tuple[str, ...], place: str, *, shared: Scale | None) -> None:
    analysis = recognition.analyse(clip)
    st.plotly_chart(
        charts_clip.pictures(analysis, rows=rows, shared=shared),
        key=f"recognize.picture.{place}",
        config=CONFIG,
        alt=describe(analysis, rows),
    )
