"""Corpora: which recordings there are to have, whether those here are sound, and what is in them."""

from __future__ import annotations

import streamlit as st

from pages.ui import cached, frame, state
from pages.ui.corpora import catalogue, check, explore, record
from ser_core.errors import SerError

frame.page(
    "Corpora",
    lead="Recordings of acted speech with their true labels: download, check and explore them, or record your own.",
)

root = cached.corpora_root()
corpora = cached.corpus_folders(root)
listing, checking, exploring, recording = frame.tabs(
    ["Corpora", "Check", "Explore", "Your own"], key="corpora.tab", state_key=state.CORPORA_TAB
)
try:
    if listing.open:
        with listing:
            if not corpora:
                st.info(
                    "No corpus is installed yet. These can be downloaded; the models here work without them.",
                    icon=":material/library_music:",
                )
            catalogue.show_catalogue(root, corpora)
    if (checking.open or exploring.open) and not corpora:
        with checking if checking.open else exploring:
            st.info(
                "No corpus is installed yet. Download one on the tab Corpora, or record one on the tab Your own.",
                icon=":material/info:",
            )
    elif checking.open:
        with checking:
            check.show_check(corpora)
    elif exploring.open:
        with exploring:
            explore.show_explorer(corpora)
    if recording.open:
        with recording:
            record.show_recorder(root)
except SerError as error:
    st.error(frame.plain(str(error)), icon=":material/error:")
