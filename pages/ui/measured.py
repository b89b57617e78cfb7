"""What was measured on the clips that Explore is about: from memory, from the cache on disk, or measured now with progress."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from pages.ui import task as ui_task
from pages.ui.task import Task, show_problem, watch
from ser_core import paths
from ser_core.dataset import clip_map, duplicates, exploration
from ser_core.dataset.duplicates import Sounds
from ser_core.system import workers

HOW = "Each clip is measured once; after that its features are cached. The app stays usable meanwhile."

_ONE_AT_A_TIME = threading.Lock()
"""Two who measure at once would take twice as long each."""

WAITS_FOR = "other clips have been measured"

_BLINK_S = 0.6
"""A few clips are measured in less: no progress is drawn for them."""


def of(clips: pd.DataFrame) -> exploration.Measured | None:
    """Return what was measured on these clips; where it is not there yet, start, draw how far that is, and return None."""
    key = exploration.key(clips)
    task = ui_task.task("measure", key)
    found = _recall(key, clips) or task.result
    if found is not None:
        return found
    _start(task, f"Measure {len(clips):,} clips", key="corpora.measure", work=lambda task: _measure(task, clips))
    if not task.running and task.result is not None:
        return task.result
    return None


def recall(clips: pd.DataFrame) -> exploration.Measured | None:
    """Return what was measured on these clips before, None where they never were; nothing is measured."""
    return _recall(exploration.key(clips), clips)


def sounds_of(clips: pd.DataFrame) -> Sounds | None:
    """Return what these clips share by sound; where they were never compared, start, draw how far that is, and return None."""
    key = exploration.key(clips)
    place = _sounds_place(key)
    if "sounds" not in place:
        task = ui_task.task("sounds", key)
        found = duplicates.remembered(clips, cache=paths.feature_cache()) or task.result
        if found is None:
            _start(task, "Compare the clips by sound", key="corpora.sounds", work=lambda task: _compare(task, clips))
            found = None if task.running else task.result
        if found is None:
            return None
        place["sounds"] = found
    return place["sounds"]


def map_of(
    clips: exploration.Measured, speakers: np.ndarray | None, *, method: str, labels: np.ndarray
) -> clip_map.Map | None:
    """Return the map of these clips; where it takes long and was never drawn, start, draw that it is coming, and return None.

    labels: of the clips, for clip_map.LDA.
    """
    key = f"{clips.key} {method} {speakers is not None}"
    if method == clip_map.LDA:
        key += f" {hashlib.sha256(json.dumps(list(map(str, labels))).encode()).hexdigest()}"
    found = _recall_map(key, clips, speakers, method, labels)
    if found is None and method != clip_map.TSNE:
        found = _draw_quick(key, clips, speakers, method, labels)
    if found is not None:
        return found
    task = ui_task.task("map", key)
    if task.result is None:
        _start(task, "Draw the map", key="corpora.draw", work=lambda task: _draw(task, clips, speakers, method))
    return None if task.running else task.result


def _start(task: Task, title: str, *, key: str, work: Callable[[Task], Any]) -> None:
    """Start a task that was never started; draw it while it runs, and why and how to go on where it ended without a result."""
    if not task.running and not task.problem:
        task.start(work)
        deadline = time.monotonic() + _BLINK_S
        while task.running and time.monotonic() < deadline:
            time.sleep(0.02)
    if task.running:
        st.markdown(HOW)
        watch(task, key=key)
    elif task.problem:
        show_problem(task)
        st.button(
            title, key=f"{key}.start", icon=":material/graphic_eq:", type="primary", on_click=task.start, args=(work,)
        )


@st.cache_resource(max_entries=6, show_spinner=False)
def _place(key: str) -> dict[str, exploration.Measured]:
    """Return the place in memory of what was measured under a key; empty until something is put in."""
    return {}


def _recall(key: str, clips: pd.DataFrame) -> exploration.Measured | None:
    place = _place(key)
    if "measured" not in place:
        found = exploration.recall(clips, cache=paths.feature_cache())
        if found is None or found.key != key:
            return None
        place["measured"] = found
    return place["measured"]


def _measure(task: Task, clips: pd.DataFrame) -> exploration.Measured:
    with task.turn(_ONE_AT_A_TIME, WAITS_FOR):
        start = time.monotonic()

        def tell(done: int, total: int) -> None:
            left_s = (time.monotonic() - start) * (total - done) / max(done, 1)
            left = f", about {left_s:.0f} s left" if done < total and time.monotonic() - start > 4 else ""
            task.tell(done / total, f"Measuring the clips: {done:,} of {total:,}{left}")

        return exploration.measure(
            clips, cache=paths.feature_cache(), niced=True, on_progress=tell, should_stop=lambda: task.stopping
        )


@st.cache_resource(max_entries=6, show_spinner=False)
def _sounds_place(key: str) -> dict[str, Sounds]:
    """Return the place in memory of what clips share by sound; empty until it is put in."""
    return {}


def _compare(task: Task, clips: pd.DataFrame) -> Sounds:
    with task.turn(_ONE_AT_A_TIME, WAITS_FOR):
        return duplicates.sounds(
            clips,
            cache=paths.feature_cache(),
            n_jobs=-1,
            niced=True,
            on_progress=lambda done, total: task.tell(done / total, duplicates.progress_text(done, total)),
            should_stop=lambda: task.stopping,
        )


def _draw(task: Task, clips: exploration.Measured, speakers: np.ndarray | None, method: str) -> clip_map.Map:
    with task.turn(_ONE_AT_A_TIME, WAITS_FOR):
        task.tell(
            0.5,
            f"Laying out {min(len(clips.facts), clip_map.MAX_CLIPS):,} clips by t-SNE; thousands take half a minute, once",
        )
        return clip_map.draw(
            clips, speakers, method=method, cache=paths.feature_cache(), should_stop=lambda: task.stopping
        )


@st.cache_resource(max_entries=12, show_spinner=False)
def _draw_quick(
    key: str, _clips: exploration.Measured, _speakers: np.ndarray | None, method: str, _labels: np.ndarray
) -> clip_map.Map:
    return clip_map.draw(
        _clips, _speakers, method=method, labels=_labels, cache=paths.feature_cache(), reduce_by=_in_a_worker
    )


def _in_a_worker(standard: np.ndarray, method: str, seed: int, labels: np.ndarray | None) -> clip_map.Reduced:
    """Return what clip_map.reduce does, computed by a worker process: the server fits nothing."""
    with workers.long_work():
        return workers.run(clip_map.reduce, standard, method, seed, labels)


@st.cache_resource(max_entries=12, show_spinner=False)
def _map_place(key: str) -> dict[str, clip_map.Map]:
    """Return the place in memory of a map; empty until one is put in."""
    return {}


def _recall_map(
    key: str, clips: exploration.Measured, speakers: np.ndarray | None, method: str, labels: np.ndarray
) -> clip_map.Map | None:
    place = _map_place(key)
    if "map" not in place:
        found = clip_map.recall(clips, speakers, method=method, labels=labels, cache=paths.feature_cache())
        if found is None:
            return None
        place["map"] = found
    return place["map"]
