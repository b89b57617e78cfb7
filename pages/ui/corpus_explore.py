"""What is in the installed corpora: labels by corpus, speaker, sex and intensity, and the clips themselves, to hear and to pass on."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import streamlit as st

from pages.ui import cached, corpus_charts, frame, inputs, sound, state
from ser_core import corpora
from ser_core.errors import SerError

CLIPS, SHARES = "Clips", "Shares"


@st.fragment
def show(found: dict[str, Path]) -> None:
    """Draw the distribution of labels over some corpora, and their clips."""
    names = st.pills("Corpora", list(found), selection_mode="multi", default=list(found), format_func=cached.corpus_title,
                     key="corpora.explore.corpora")
    if not names:
        st.info("Choose a corpus to see what is in it.", icon=":material/info:")
        return
    clips = cached.clips_of_all({name: found[name] for name in names})
    st.header("Labels", anchor=False)
    overall, split = st.columns([4, 6], gap="large")
    with overall:
        st.markdown(f"**All {len(clips):,} clips** by {clips[corpora.SPEAKER].nunique()} speakers")
        st.plotly_chart(corpus_charts.labels(clips), key="corpora.explore.labels", config=corpus_charts.CONFIG,
                        alt=f"{len(clips):,} clips by label.")
    with split:
        _distribution(clips)
    st.header("Clips", anchor=False)
    _clips(clips)


def _distribution(clips: pd.DataFrame) -> None:
    with st.container(key="corpora_split", horizontal=True, vertical_alignment="bottom"):
        by = st.segmented_control("Split by", list(corpus_charts.GROUPS), format_func=corpus_charts.GROUPS.get, default=corpora.CORPUS,
                                  required=True, key="corpora.explore.by")
        unit = st.segmented_control("Show", [CLIPS, SHARES], default=CLIPS, required=True, key="corpora.explore.unit")
    table = corpus_charts.counts(clips, by)
    st.plotly_chart(corpus_charts.groups(table, as_shares=unit == SHARES), key=f"corpora.explore.groups.{by}", config=corpus_charts.CONFIG,
                    alt=corpus_charts.describe(table))
    if len(table) > corpus_charts.MAX_GROUPS:
        st.markdown(f"The first {corpus_charts.MAX_GROUPS} of {len(table)} are drawn; the table has all.")
    with st.expander("The same as a table" + (" (in %)" if unit == SHARES else ""), key="corpora.explore.table"):
        st.dataframe(corpus_charts.readable(table, as_shares=unit == SHARES), key="corpora.explore.figures")


def _clips(clips: pd.DataFrame) -> None:
    left, right = st.columns(2)
    labels = left.multiselect("Labels", [label for label in corpora.ALL_LABELS if label in set(clips[corpora.EMOTION])],
                              placeholder="All labels", key="corpora.explore.label")
    speakers = right.multiselect("Speakers", sorted(set(clips[corpora.SPEAKER])), placeholder="All speakers",
                                 format_func=lambda code: corpus_charts.title(corpora.SPEAKER, code), key="corpora.explore.speaker")
    shown = corpus_charts.chosen(clips, labels=labels, speakers=speakers)
    st.markdown(f"{len(shown):,} of {len(clips):,} clips. Tick one to hear it.")
    # A key of the filters: a tick must not move to another clip when the rows change.
    key = " ".join(["corpora.explore.clips", *sorted(set(shown[corpora.CORPUS])), *labels, *speakers])
    picked = st.dataframe(corpus_charts.listing(shown), hide_index=True, height=320, on_select="rerun", selection_mode="single-row",
                          key=key)
    rows = picked["selection"]["rows"]
    if rows and rows[0] < len(shown):
        _hear(cached.corpus_clip(shown, rows[0]))


def _hear(clip: cached.CorpusClip) -> None:
    try:
        given = inputs.read(clip)
        heard = cached.hear(given)
    except OSError:
        st.error(f"{frame.plain(clip.path.name)} cannot be read any more. Check the corpus again.", icon=":material/error:")
        return
    except SerError as error:
        st.error(frame.plain(str(error)), icon=":material/error:")
        return
    with st.container(border=True, key="corpora_clip"):
        sound.show(given, heard, title="Clip")
        if st.button("Open in Recognize", key="corpora.explore.open", type="primary", icon=":material/graphic_eq:"):
            state.take(given)
            st.switch_page("app.py")
