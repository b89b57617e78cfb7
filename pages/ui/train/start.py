"""Starts a training from the page and opens its run: the one place where a visitor's settings become a process."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import streamlit as st

from pages.ui import cached, frame, runtime, state
from ser_core.errors import SerError
from ser_core.training import jobs
from ser_core.training.config import MAX_NAME, RunConfig, default_name


def begin(root: Path, config: RunConfig) -> None:
    """Put a training into the line and open its run; where that fails, say why. Run, result and model have one name."""
    try:
        config = replace(config, name=_free_name(root, config))
        started = jobs.start(
            root, config.to_dict(), title=config.name, browser=runtime.browser(), address=runtime.who()[0]
        )
    except SerError as error:
        st.error(frame.plain(str(error)), icon=":material/error:")
        return
    st.session_state.setdefault(state.STOP_KEYS, {})[started.id] = started.key
    st.query_params["run"] = started.id
    st.rerun()


def _free_name(root: Path, config: RunConfig) -> str:
    """Return the name that was given, or one that says what is learned from what; with a number where a run or a model has it already."""
    name = config.name.strip() or default_name(config, [cached.corpus_title(each) for each in config.corpora])
    taken = {job.title for job in jobs.jobs(root)} | {card.title for card in cached.models()[0]}
    names = itertools.chain([name], (f"{name[: MAX_NAME - 5]} {number}" for number in itertools.count(2)))
    return next(each for each in names if each not in taken)
