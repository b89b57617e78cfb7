"""A clip of a corpus to hear, with its true label, and to pass on to the Recognize page."""

from __future__ import annotations

import streamlit as st

from pages.ui import cached, clip_input, clip_view, frame, inputs, recognition
from ser_core.errors import SerError
from ser_core.recognition.analysis import Analysis


def read(clip: cached.CorpusClip) -> tuple[clip_input.ClipInput, Analysis] | None:
    """Return a clip and what was heard in it; where it cannot be used, draw why and return None."""
    try:
        given = inputs.read(clip)
        return given, recognition.analyse(given)
    except OSError:
        st.error(
            f"{frame.plain(clip.path.name)} cannot be read any more. Check the corpus again.", icon=":material/error:"
        )
    except SerError as error:
        st.error(frame.plain(str(error)), icon=":material/error:")
    return None


def show_player(clip: cached.CorpusClip, *, autoplay: bool = False) -> None:
    """Draw a clip's player, its true label and its quality."""
    found = read(clip)
    if found is None:
        return
    given, analysis = found
    with st.container(border=True, key="corpora_clip"):
        clip_view.show_clip(given, analysis, title="Clip", key="corpora.player", autoplay=autoplay)
        if st.button("Open in Recognize", key="corpora.explore.open", type="primary", icon=":material/graphic_eq:"):
            clip_input.take(given)
            st.switch_page("app.py")
