"""The recordings of some corpora: who speaks, how long, how loud, at which sample rate, and what is odd about them."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from pages.ui import downloads, frame, measured
from pages.ui.charts import corpus, groups
from ser_core.corpora import catalogue
from ser_core.system import untrusted_text

BY = {catalogue.CORPUS: "Corpus", catalogue.EMOTION: "Label", catalogue.SPEAKER: "Speaker", catalogue.SEX: "Sex"}


def show_facts(clips: pd.DataFrame) -> None:
    """Draw a table of the corpora, one fact of all their clips, and what is worth a look."""
    st.header("Recordings", anchor=False)
    found = measured.of(clips)
    if found is None:
        return
    st.dataframe(downloads.cells(corpus.summary(clips, found.facts)), key="corpora.facts.table")
    with st.container(key="corpora_facts", horizontal=True, vertical_alignment="bottom"):
        name = st.segmented_control(
            "Fact",
            list(corpus.VIEWS),
            format_func=lambda name: corpus.VIEWS[name].title,
            default="duration_s",
            required=True,
            key="corpora.facts.view",
            wrap=True,
        )
        by = st.segmented_control(
            "By", list(BY), format_func=BY.get, default=catalogue.CORPUS, required=True, key="corpora.facts.by"
        )
    view, values = corpus.VIEWS[name], found.facts[name].to_numpy(float)
    if clips[by].nunique() > groups.MAX_GROUPS:
        st.info("There are too many to draw them all. Choose fewer corpora.", icon=":material/info:")
    else:
        st.plotly_chart(
            corpus.boxes(values, clips, by, title=view.title, unit=view.unit),
            key=f"corpora.facts.boxes.{by}",
            config=corpus.CONFIG,
            alt=corpus.describe(values, clips, by, title=view.title, unit=view.unit),
        )
    st.markdown(f"{view.how} {corpus.BOXES}")
    odd = corpus.worth_a_look(found.facts)
    if odd:
        st.markdown(f":material/search: **Worth a look**: {frame.plain('; '.join(odd))}. The Check tab tells more.")
    problems(found.problems)


def problems(found: tuple[tuple[str, str], ...]) -> None:
    """Draw which clips could not be read, and why."""
    if found:
        n = len(found)
        with st.expander(
            f"{n:,} clip{'s' * (n != 1)} could not be read", key="corpora.facts.problems", icon=":material/warning:"
        ):
            rows = pd.DataFrame(
                [(untrusted_text.file_name(path), reason) for path, reason in found], columns=["File", "Why"]
            )
            st.dataframe(downloads.cells(rows), hide_index=True, key="corpora.facts.unread")
