"""The map of all clips, those that sound alike side by side: click a point to hear it."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from pages.ui import cached, clip_map, corpus_player, measured
from pages.ui.charts import corpus
from ser_core.corpora import catalogue

SPEAKER_HELP = (
    "Subtracts from each clip the mean of all clips of its speaker, so that the map shows less of who speaks."
)


def show_map(clips: pd.DataFrame) -> None:
    """Draw the map, what it is coloured by, and the clip that was clicked."""
    st.header("Map of the clips", anchor=False)
    found = measured.of(clips)
    if found is None:
        return
    with st.container(key="corpora_map", horizontal=True, vertical_alignment="bottom", gap="medium"):
        method, by = clip_map.choose("corpora.map")
        apart = st.toggle("Remove the speaker", key="corpora.map.apart", help=SPEAKER_HELP)
    drawn = measured.map_of(
        found,
        clips[catalogue.SPEAKER].to_numpy() if apart else None,
        method=method,
        labels=clips[catalogue.EMOTION].to_numpy(),
    )
    if drawn is None:
        return
    picture, player = st.columns([7, 3], gap="medium")
    with picture:
        event = st.plotly_chart(
            corpus.scatter(drawn, clips, by),
            key=f"corpora.map.points {found.key[:12]} {method} {by} {apart}",
            on_select="rerun",
            selection_mode="points",
            config=corpus.MAP_CONFIG,
            alt=f"A map of {len(drawn.rows):,} clips by {clip_map.BY[by].lower()}.",
        )
    with player:
        points = event["selection"]["points"]
        if points:
            corpus_player.show_player(cached.corpus_clip(clips, int(points[-1]["customdata"])), autoplay=True)
        else:
            st.info("Click a point to hear its clip.", icon=":material/touch_app:")
    how = clip_map.HOW[method].format(shares=f"{sum(drawn.shares):.0%}")
    st.markdown(
        f"**{corpus.likeness(drawn, clips)}** {how} Each clip is {len(found.columns)} figures (the summary vector), "
        "standardised."
    )
    if by == catalogue.SPEAKER and clips[by].nunique() > corpus.MAX_LEGEND:
        st.markdown(
            f"{clips[by].nunique()} speakers cannot all be told apart by colour: point at one to read who it is."
        )
    if len(drawn.rows) < int(found.readable.sum()):
        st.markdown(f"{len(drawn.rows):,} of {len(clips):,} clips are on the map, chosen at random.")
