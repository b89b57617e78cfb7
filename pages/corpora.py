"""Corpora: which recordings there are to have, whether those here are sound, and what is in them."""

from __future__ import annotations

import streamlit as st

from pages.ui import cached, corpus_check, corpus_explore, corpus_list, corpus_own, frame, state
from ser_core.errors import SerError

frame.page(
    "Corpora",
    lead="Recordings of acted speech with their true labels: get them, check them, see and hear what is in them.",
)

root = cached.corpora_root()
found = cached.installed(root)
listing, checking, exploring, recording = frame.tabs(
    ["Corpora", "Check", "Explore", "Your own"], key="corpora.tab", kept=state.CORPORA_TAB
)
try:
    if listing.open:
        with listing:
            if not found:
                st.info(
                    "No corpus is installed yet. These can be had; the models here work without them.",
                    icon=":material/library_music:",
                )
            corpus_list.show(root, found)
    if (checking.open or exploring.open) and not found:
        with checking if checking.open else exploring:
            st.info(
                "No corpus is installed yet. The tab Corpora has some to get, and Your own makes one.",
                icon=":material/info:",
            )
    elif checking.open:
        with checking:
            corpus_check.show(found)
    elif exploring.open:
        with exploring:
            corpus_explore.show(found)
    if recording.open:
        with recording:
            corpus_own.show(root)
except SerError as error:
    st.error(frame.plain(str(error)), icon=":material/error:")
