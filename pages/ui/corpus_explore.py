"""What is in the installed corpora, in sections of which the open one is drawn: labels, clips, recordings, voices, a map, and what
augmentation and export make of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import streamlit as st

from pages.ui import (
    cached,
    corpus_charts,
    corpus_export,
    corpus_facts,
    corpus_hear,
    corpus_map,
    corpus_preview,
    corpus_trends,
    exports,
    frame,
)
from ser_core import corpora
from ser_core.errors import SerError

CLIPS, SHARES = "Clips", "Shares"


@st.fragment
def show(found: dict[str, Path]) -> None:
    """Draw the choice of corpora and of a section, and that section."""
    names = st.pills(
        "Corpora",
        list(found),
        selection_mode="multi",
        default=list(found),
        format_func=frame.corpus,
        key="corpora.explore.corpora",
    )
    if not names:
        st.info("Choose a corpus to see what is in it.", icon=":material/info:")
        return
    section = st.segmented_control(
        "Show", list(SECTIONS), default="Labels", required=True, key="corpora.explore.section", persist_state="session"
    )
    try:
        SECTIONS[section](cached.clips_of_all({name: found[name] for name in names}))
    except SerError as error:
        st.error(frame.plain(str(error)), icon=":material/error:")


def _labels(clips: pd.DataFrame) -> None:
    st.header("Labels", anchor=False)
    overall, split = st.columns([4, 6], gap="large")
    with overall:
        n_speakers = len(set(clips[corpora.SPEAKER]) - {corpora.UNKNOWN_SPEAKER})
        st.markdown(f"**All {len(clips):,} clips** by {n_speakers or 'unknown'} speakers")
        st.plotly_chart(
            corpus_charts.labels(clips),
            key="corpora.explore.labels",
            config=corpus_charts.CONFIG,
            alt=f"{len(clips):,} clips by label.",
        )
    with split:
        _distribution(clips)


def _distribution(clips: pd.DataFrame) -> None:
    with st.container(key="corpora_split", horizontal=True, vertical_alignment="bottom"):
        by = st.segmented_control(
            "Split by",
            list(corpus_charts.GROUPS),
            format_func=corpus_charts.GROUPS.get,
            default=corpora.CORPUS,
            required=True,
            key="corpora.explore.by",
        )
        unit = st.segmented_control("Count", [CLIPS, SHARES], default=CLIPS, required=True, key="corpora.explore.unit")
    table = corpus_charts.counts(clips, by)
    st.plotly_chart(
        corpus_charts.groups(table, as_shares=unit == SHARES),
        key=f"corpora.explore.groups.{by}",
        config=corpus_charts.CONFIG,
        alt=corpus_charts.describe(table),
    )
    if len(table) > corpus_charts.MAX_GROUPS:
        st.markdown(f"The first {corpus_charts.MAX_GROUPS} of {len(table)} are drawn; the table has all.")
    with st.expander("The same as a table" + (" (in %)" if unit == SHARES else ""), key="corpora.explore.table"):
        st.dataframe(
            exports.cells(corpus_charts.readable(table, as_shares=unit == SHARES)), key="corpora.explore.figures"
        )


def _clips(clips: pd.DataFrame) -> None:
    st.header("Clips", anchor=False)
    left, right = st.columns(2)
    labels = left.multiselect(
        "Labels",
        [label for label in corpora.ALL_LABELS if label in set(clips[corpora.EMOTION])],
        placeholder="All labels",
        key="corpora.explore.label",
    )
    speakers = right.multiselect(
        "Speakers",
        sorted(set(clips[corpora.SPEAKER])),
        placeholder="All speakers",
        format_func=lambda code: corpus_charts.title(corpora.SPEAKER, code),
        key="corpora.explore.speaker",
    )
    shown = corpus_charts.chosen(clips, labels=labels, speakers=speakers)
    st.markdown(f"{len(shown):,} of {len(clips):,} clips. Tick one to hear it.")
    # A key of the filters: a tick must not move to another clip when the rows change.
    key = " ".join(["corpora.explore.clips", *sorted(set(shown[corpora.CORPUS])), *labels, *speakers])
    picked = st.dataframe(
        exports.cells(corpus_charts.listing(shown)),
        hide_index=True,
        height=320,
        on_select="rerun",
        selection_mode="single-row",
        key=key,
    )
    rows = picked["selection"]["rows"]
    if rows and rows[0] < len(shown):
        corpus_hear.show(cached.corpus_clip(shown, rows[0]))


SECTIONS: dict[str, Callable[[pd.DataFrame], None]] = {
    "Labels": _labels,
    "Clips": _clips,
    "Recordings": corpus_facts.show,
    "Voices": corpus_trends.show,
    "Map": corpus_map.show,
    "Augment": corpus_preview.show,
    "Export": corpus_export.show,
}
"""What people call a section -> what draws it from a clips table."""
