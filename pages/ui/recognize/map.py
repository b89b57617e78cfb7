"""Where am I? On Recognize: the clip as a star on the map of the clips that are installed here, and its nearest ones, to hear.

Nothing is computed before it is asked for; the map is everybody's, where the clip lies on it is known to its visit alone.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from pages.ui import cached, clip_input, corpus_player, downloads, frame, measured, runtime
from pages.ui import clip_map as ui_clip_map
from pages.ui.charts import corpus, groups
from ser_core import paths
from ser_core.corpora import catalogue
from ser_core.dataset import clip_map, exploration
from ser_core.errors import SerError
from ser_core.features import vectors
from ser_core.recognition.analysis import Analysis
from ser_core.system import workers

TITLE = "Where am I?"

ASK = "Show this clip among the clips that are installed here"

ABOUT = """
Each point is a clip of an installed corpus, **the star is yours**: clips that sound alike lie close together. Click a point to hear it.
Another microphone or room alone may move a clip, and a place among clips of one label is no answer.
"""

STAR_TSNE = "t-SNE has no place for a new clip: the star is in the middle of the places of its nearest clips."

NOTHING = """
There is no map yet: no corpus is installed and measured on this server. Install one on the Corpora page, and open its tab Explore, section
Map, once.
"""

Installed = tuple[pd.DataFrame, exploration.Measured]
"""Clips, and what was measured on them."""


@st.fragment
def show_map(clip: clip_input.ClipInput, analysis: Analysis) -> None:
    """Draw a switch, and where it is on, where a clip lies among those that are installed."""
    if not analysis.quality.has_speech:
        return
    runtime.announce()
    st.header(TITLE, anchor=False)
    if not st.toggle(ASK, key="recognize.map.on"):
        return
    try:
        found = _installed(_state_of_corpora())
        if found is None:
            _installed.clear()  # a corpus may be measured in a moment
            st.info(NOTHING, icon=":material/map:")
            st.page_link("pages/corpora.py", label="Corpora", icon=":material/arrow_forward:", icon_position="right")
            return
        _show(clip, analysis, *found)
    except SerError as error:
        st.error(frame.plain(str(error)), icon=":material/error:")


def _show(clip: clip_input.ClipInput, analysis: Analysis, clips: pd.DataFrame, found: exploration.Measured) -> None:
    st.markdown(ABOUT)
    with st.container(key="recognize_map", horizontal=True, vertical_alignment="bottom", gap="medium"):
        method, by = ui_clip_map.choose("recognize.map")
    with st.spinner("Drawing the map …"):
        drawn = measured.map_of(found, None, method=method, labels=clips[catalogue.EMOTION].to_numpy())
    if drawn is None:
        return
    place = clip_map.place(drawn, _vector(clip.digest, analysis))
    nearest = clips.iloc[drawn.rows[place.nearest]].reset_index(drop=True)
    said = nearest_text(nearest)
    picture, beside = st.columns([7, 3], gap="medium")
    with picture:
        event = st.plotly_chart(
            corpus.with_star(corpus.scatter(drawn, clips, by), place.point, title="This clip"),
            key=f"recognize.map.points {found.key[:12]} {clip.digest[:12]} {method} {by}",
            on_select="rerun",
            selection_mode="points",
            config=corpus.MAP_CONFIG,
            alt=f"A map of {len(drawn.rows):,} clips by {ui_clip_map.BY[by].lower()}, and this clip on it. {said}",
        )
    with beside:
        st.markdown(f"**{said}** Tick one to hear it.")
        table = st.dataframe(
            downloads.cells(_listing(nearest)),
            hide_index=True,
            on_select="rerun",
            selection_mode="single-row",
            key=f"recognize.map.nearest {found.key[:12]} {clip.digest[:12]}",
        )
        points = [int(each["customdata"]) for each in event["selection"]["points"] if int(each["customdata"]) >= 0]
        ticked = table["selection"]["rows"]
        if points:
            corpus_player.show_player(cached.corpus_clip(clips, points[-1]), autoplay=True)
        elif ticked and ticked[0] < len(nearest):
            corpus_player.show_player(cached.corpus_clip(nearest, ticked[0]), autoplay=True)
    how = ui_clip_map.HOW[method].format(shares=f"{sum(drawn.shares):.0%}")
    st.markdown(f"{how} {STAR_TSNE if method == clip_map.TSNE else ''}")


def nearest_text(nearest: pd.DataFrame) -> str:
    """Return of which labels the nearest clips are, as a sentence; nearest in all that is measured, not in the picture."""
    counts = Counter(nearest[catalogue.EMOTION])
    return f"Its {len(nearest)} nearest clips: {', '.join(f'{n} {label}' for label, n in counts.most_common())}."


def _listing(nearest: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Acted": nearest[catalogue.EMOTION],
            "Speaker": [groups.title(catalogue.SPEAKER, name) for name in nearest[catalogue.SPEAKER]],
            "Clip": nearest[catalogue.NAME],
        }
    )


def _state_of_corpora() -> tuple[tuple[str, Path, str], ...]:
    folders = cached.corpus_folders(cached.corpora_root())
    return tuple((name, folder, cached.fingerprint(folder)) for name, folder in folders.items())


@st.cache_resource(ttl=60, max_entries=4, show_spinner=False)
def _installed(corpora: tuple[tuple[str, Path, str], ...]) -> Installed | None:
    """Return the clips of all corpora that were measured before, None where none was; nothing is measured here."""
    folders = {}
    for name, folder, _ in corpora:
        try:
            if exploration.recall(cached.clips(name, folder), cache=paths.feature_cache()) is not None:
                folders[name] = folder
        except SerError:  # the Corpora page says what is wrong with it
            continue
    if not folders:
        return None
    clips = cached.clips_of_all(folders)
    found = measured.recall(clips)
    return (clips, found) if found else None


@st.cache_resource(scope="session", max_entries=4, show_spinner=False)
def _vector(digest: str, _analysis: Analysis) -> np.ndarray:
    """Return the summary vector of a clip, as it is measured on corpora, computed by a worker."""
    with workers.later_work():
        vector: np.ndarray = workers.run(vectors.summary, _analysis.features)
    return vector
