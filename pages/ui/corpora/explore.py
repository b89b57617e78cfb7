"""What is in the installed corpora, in sections of which the open one is drawn: labels, clips, recordings, voices, a map, and what
augmentation and export make of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import streamlit as st

from pages.ui import cached, corpus_player, downloads, frame
from pages.ui.charts import groups
from pages.ui.corpora import augmentation, export, facts, map, trends
from ser_core.corpora import catalogue
from ser_core.errors import SerError

CLIPS, SHARES = "Clips", "Shares"


@st.fragment
def show_explorer(corpora: dict[str, Path]) -> None:
    """Draw the choice of corpora and of a section, and that section."""
    names = st.pills(
        "Corpora",
        list(corpora),
        selection_mode="multi",
        default=list(corpora),
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
        SECTIONS[section](cached.clips_of_all({name: corpora[name] for name in names}))
    except SerError as error:
        st.error(frame.plain(str(error)), icon=":material/error:")


def _labels(clips: pd.DataFrame) -> None:
    st.header("Labels", anchor=False)
    overall, split = st.columns([4, 6], gap="large")
    with overall:
        n_speakers = len(set(clips[catalogue.SPEAKER]) - {catalogue.UNKNOWN_SPEAKER})
        st.markdown(f"**All {len(clips):,} clips** by {n_speakers or 'unknown'} speakers")
        st.plotly_chart(
            groups.labels(clips),
            key="corpora.explore.labels",
            config=groups.CONFIG,
            alt=f"{len(clips):,} clips by label.",
        )
    with split:
        _distribution(clips)


def _distribution(clips: pd.DataFrame) -> None:
    with st.container(key="corpora_split", horizontal=True, vertical_alignment="bottom"):
        by = st.segmented_control(
            "Split by",
            list(groups.GROUPS),
            format_func=groups.GROUPS.get,
            default=catalogue.CORPUS,
            required=True,
            key="corpora.explore.by",
        )
        unit = st.segmented_control("Count", [CLIPS, SHARES], default=CLIPS, required=True, key="corpora.explore.unit")
    table = groups.counts(clips, by)
    st.plotly_chart(
        groups.groups(table, as_shares=unit == SHARES),
        key=f"corpora.explore.groups.{by}",
        config=groups.CONFIG,
        alt=groups.describe(table),
    )
    if len(table) > groups.MAX_GROUPS:
        st.markdown(f"The first {groups.MAX_GROUPS} of {len(table)} are drawn; the table has all.")
    with st.expander("The same as a table" + (" (in %)" if unit == SHARES else ""), key="corpora.explore.table"):
        st.dataframe(downloads.cells(groups.readable(table, as_shares=unit == SHARES)), key="corpora.explore.figures")


def _clips(clips: pd.DataFrame) -> None:
    st.header("Clips", anchor=False)
    left, right = st.columns(2)
    labels = left.multiselect(
        "Labels",
        [label for label in catalogue.ALL_LABELS if label in set(clips[catalogue.EMOTION])],
        placeholder="All labels",
        key="corpora.explore.label",
    )
    speakers = right.multiselect(
        "Speakers",
        sorted(set(clips[catalogue.SPEAKER])),
        placeholder="All speakers",
        format_func=lambda code: groups.title(catalogue.SPEAKER, code),
        key="corpora.explore.speaker",
    )
    shown = groups.select(clips, labels=labels, speakers=speakers)
    st.markdown(f"{len(shown):,} of {len(clips):,} clips. Tick one to hear it.")
    # A key of the filters: a tick must not move to another clip when the rows change.
    key = " ".join(["corpora.explore.clips", *sorted(set(shown[catalogue.CORPUS])), *labels, *speakers])
    event = st.dataframe(
        downloads.cells(groups.listing(shown)),
        hide_index=True,
        height=320,
        on_select="rerun",
        selection_mode="single-row",
        key=key,
    )
    rows = event["selection"]["rows"]
    if rows and rows[0] < len(shown):
        corpus_player.show_player(cached.corpus_clip(shown, rows[0]))


SECTIONS: dict[str, Callable[[pd.DataFrame], None]] = {
    "Labels": _labels,
    "Clips": _clips,
    "Recordings": facts.show_facts,
    "Voices": trends.show_trends,
    "Map": map.show_map,
    "Augment": augmentation.show_preview,
    "Export": export.show_export,
}
"""What people call a section -> what draws it from a clips table."""
