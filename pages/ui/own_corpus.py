"""A visit's clips as a corpus of one's own: who speaks, and a clip added to it. My voice and Your clips on Recognize use both."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from pages.ui import state, voice
from ser_core.corpora import recorded
from ser_core.system import workers


def ask_speaker(key: str) -> None:
    """Draw the field for the speaker's name, with the one that was given last."""
    st.text_input(
        "Speaker",
        value=st.session_state.get(state.OWN_SPEAKER, ""),
        key=key,
        max_chars=recorded.MAX_SPEAKER,
        placeholder="A first name, or a code; empty stays anonymous",
    )


def add(root: Path, name: str, data: bytes, *, label: str, speaker: str, source: str, sentence: str = "") -> None:
    """Add a clip to the corpus `name`, by a worker: it measures the sound, which the server does not. Raises SerError, as recorded.add."""
    workers.run(
        recorded.add, root, name, data, label=label, speaker=speaker or voice.code(), sentence=sentence, source=source
    )
