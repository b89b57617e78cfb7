"""How a voice changes with the emotion: pitch, level, rate and timbre of all clips by their label, with the speaker in it or out."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from pages.ui import measured
from pages.ui.charts import corpus
from pages.ui.corpora import facts
from ser_core.corpora import catalogue
from ser_core.dataset import exploration

MFCC = "mfcc"
MFCC_HOW = (
    "The mean MFCCs of each label as distances from the mean of all clips, in standard deviations: the shape of the spectrum, coarse "
    "(1) to fine. Orange is more, blue is less."
)
SPEAKER_HELP = "Subtracts from each clip the mean of all clips of its speaker: what is left is how somebody differs from themselves."


def show_trends(clips: pd.DataFrame) -> None:
    """Draw one figure of all clips as one box per label, and how much of it follows the label and the speaker."""
    st.header("Voices by emotion", anchor=False)
    found = measured.of(clips)
    if found is None:
        return
    titles = {name: row.title for name, row in exploration.TRENDS.items()} | {MFCC: "MFCC"}
    name = st.segmented_control(
        "Feature", list(titles), format_func=titles.get, default="f0", required=True, key="corpora.trends.feature"
    )
    with st.container(key="corpora_trends", horizontal=True, gap="medium"):
        apart = st.toggle("Remove the speaker", key="corpora.trends.apart", help=SPEAKER_HELP)
        split = (
            name != MFCC
            and clips[catalogue.CORPUS].nunique() > 1
            and st.toggle("Separate chart per corpus", key="corpora.trends.split")
        )
    speakers = clips[catalogue.SPEAKER].to_numpy() if apart else None
    if name == MFCC:
        table = exploration.mfcc_profile(found, clips[catalogue.EMOTION].to_numpy(), speakers=speakers)
        st.plotly_chart(
            corpus.profile(table),
            key="corpora.trends.mfcc",
            config=corpus.CONFIG,
            alt="Mean MFCCs by label, as distances from the mean of all clips.",
        )
        st.markdown(MFCC_HOW)
    else:
        _boxes(clips, found, name, split=split, apart=apart)
    facts.problems(found.problems)


def _boxes(clips: pd.DataFrame, found: exploration.Measured, name: str, *, split: bool, apart: bool) -> None:
    row = exploration.TRENDS[name]
    values = exploration.trend(found, name, speakers=clips[catalogue.SPEAKER].to_numpy() if apart else None)
    title, unit = (f"{row.title}, from the speaker's own mean", row.apart) if apart else (row.title, row.unit)
    st.plotly_chart(
        corpus.boxes(values, clips, catalogue.EMOTION, title=title, unit=unit, apart=split),
        key=f"corpora.trends.boxes.{split}",
        config=corpus.CONFIG,
        alt=corpus.describe(values, clips, catalogue.EMOTION, title=title, unit=unit),
    )
    st.markdown(
        f"**{corpus.shares(values, clips, title=row.title, apart_from_speaker=apart)}** {row.how} {corpus.BOXES}"
    )
