"""Starts a training from the page and opens its run: the one place where a visitor's settings become a process."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from pages.ui import frame, runtime, state
from ser_core.classifiers import CLASSIFIERS
from ser_core.errors import SerError
from ser_core.training import jobs
from ser_core.training.config import RunConfig


def begin(root: Path, config: RunConfig) -> None:
    """Put a training into the line and open its run; where that fails, say why."""
    try:
        title = config.name or CLASSIFIERS[config.classifier].title
        started = jobs.start(root, config.to_dict(), title=title, browser=runtime.browser(), address=runtime.who()[0])
    except SerError as error:
        st.error(frame.plain(str(error)), icon=":material/error:")
        return
    st.session_state.setdefault(state.STOP_KEYS, {})[started.id] = started.key
    st.query_params["run"] = started.id
    st.rerun()
