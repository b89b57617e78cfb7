"""A visit: when somebody was here last, and how everything that they gave is forgotten: at a click, once they have left, or after an hour.

Streamlit keeps a visit for two minutes after its tab is gone, so that a lost connection loses nothing, but lets go of it only when
somebody else comes; and what is given in a tab that stays open it keeps for ever. A thread of the server looks after both.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import os
import threading
import time
import weakref
from dataclasses import dataclass
from typing import Any

import streamlit as st
from streamlit import runtime
from streamlit.runtime.caching import clear_session_data_cache, clear_session_resource_cache
from streamlit.runtime.scriptrunner import get_script_run_ctx

from pages.ui import state

LEFT_S = 90.0
"""How long a visit whose connection is gone may come back; Streamlit itself forgets after 120 s."""

IDLE_MINUTES = 60
LOOK_S = 10.0

MOST_HELD = 2**30
"""Bytes of files that one visit may have sent up at a time; the uploader has no such limit of its own."""

IDLE = "Nothing happened here for {minutes:.0f} minutes, so what you had recorded or uploaded was forgotten."
TOO_MUCH = ("You sent more than 1 GB at once. It was forgotten, so that this server has room for everyone: send less at a time, or use "
            "`python -m ser_core predict` on your own machine.")  # fmt: skip

GIVEN = (state.CLIP, state.KEPT, state.TIMELINE, state.BATCH, state.OWN_SPEAKER, state.OWN_NOTES)
"""What a visitor gave, and what was made of it; of a live session only what was heard."""


def idle_s() -> float:
    """Return after how many seconds without a click a visit's recordings are forgotten: SER_FORGET_MINUTES, else an hour."""
    told = os.environ.get("SER_FORGET_MINUTES", "")
    return 60.0 * (int(told) if told.isdigit() and int(told) else IDLE_MINUTES)


@dataclass
class Visit:
    """When a visitor did something last, since when the connection is gone, and why what they gave is to be forgotten, if it is."""

    seen_s: float
    left_s: float | None = None
    due: str = ""


class Visits:
    """The visits of this server, by Streamlit's secret name for each."""

    def __init__(self) -> None:
        self._visits: dict[str, Visit] = {}
        self._lock = threading.Lock()

    def seen(self, name: str) -> str:
        """Note that a visitor is here; return why what they gave before is to be forgotten first, "" where it is not."""
        now_s = time.monotonic()
        with self._lock:
            visit = self._visits.setdefault(name, Visit(now_s))
            due, visit.seen_s, visit.due = visit.due, now_s, ""
            return due

    def look(self, now_s: float, server: Server) -> None:
        """End the visits that have left; forget what was given to those that do nothing, or gave too much, and draw their pages anew."""
        for name, size in server.held().items():
            if size > MOST_HELD:
                server.drop(name)
                with self._lock:
                    self._visits.setdefault(name, Visit(now_s)).due = TOO_MUCH
                server.draw(name)
        with self._lock:
            visits = list(self._visits.items())
        for name, visit in visits:
            visit.left_s = None if server.is_here(name) else visit.left_s if visit.left_s is not None else now_s
            if visit.left_s is not None and now_s - visit.left_s >= LEFT_S:
                with self._lock:
                    del self._visits[name]
                server.end(name)
            elif visit.left_s is None and not visit.due and now_s - visit.seen_s >= idle_s():
                visit.due = IDLE.format(minutes=idle_s() / 60)
                server.draw(name)

    def __len__(self) -> int:
        return len(self._visits)


class Server:
    """The little of Streamlit's runtime that this needs. It has no public way to a visit's end."""

    def is_here(self, name: str) -> bool:
        """Return whether a visit has a connection."""
        return runtime.get_instance().is_active_session(name)

    def held(self) -> dict[str, int]:
        """Return how many bytes of files each visit has sent up and not yet let go of."""
        files = runtime.get_instance().uploaded_file_mgr.file_storage
        return {name: sum(len(each.data) for each in list(held.values())) for name, held in list(files.items())}

    def drop(self, name: str) -> None:
        """Drop the files that a visit has sent up."""
        runtime.get_instance().uploaded_file_mgr.remove_session_files(name)

    def end(self, name: str) -> None:
        """End a visit: nothing of it stays."""
        server = runtime.get_instance()
        info = server._session_mgr.get_session_info(name)
        if info is None:
            return
        session = info.session

        def close() -> None:
            if self.is_here(name):  # came back meanwhile
                return
            let_go(session.session_state)
            server.close_session(name)
            session.session_state.clear()
            session._fragment_storage.clear()

        session._event_loop.call_soon_threadsafe(close)

    def draw(self, name: str) -> None:
        """Draw the page of a visit anew."""
        info = runtime.get_instance()._session_mgr.get_session_info(name)
        if info is not None:
            info.session._event_loop.call_soon_threadsafe(info.session.request_rerun, None)


@st.cache_resource(show_spinner=False)
def visits() -> Visits:
    """Return the visits of this server, looked after as long as it runs."""
    found = Visits()
    threading.Thread(target=_look_after, args=(weakref.ref(found),), daemon=True).start()
    return found


def _look_after(found: weakref.ref[Visits]) -> None:
    while runtime.exists():
        time.sleep(LOOK_S)
        there = found()
        if there is None or not runtime.exists():
            return
        before = len(there)
        try:
            there.look(time.monotonic(), Server())
        except Exception:  # the thread has no other edge, and the visits to come need it
            logging.getLogger(__name__).exception("Looking after the visits failed")
        if len(there) < before:
            time.sleep(1)  # the visits end on the server's own thread
            tidy()
        del there


def tidy() -> None:
    """Give memory that nobody uses back to the system: visits are rings of objects, and glibc keeps what was freed."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError, TypeError):  # other systems have no such function
        ctypes.CDLL(None).malloc_trim(0)


def here() -> None:
    """Note that this visitor is here, and forget what they gave where that is due: the first call of every page."""
    state.announce()
    context = get_script_run_ctx()
    due = visits().seen(context.session_id) if context else ""
    if due:
        st.session_state[state.FORGOTTEN] = due if holds() or due == TOO_MUCH else ""
        forget()


def holds() -> bool:
    """Return whether this visit gave anything that can be forgotten."""
    live = st.session_state.get(state.LIVE)
    return any(st.session_state.get(key) is not None for key in GIVEN) or bool(live and live.listener)


def forget() -> None:
    """Forget everything that this visit gave, whatever works on it; what was added to a corpus of people's own stays."""
    let_go(st.session_state)
    for key in (state.ROUND, state.BATCH_ROUND, state.OWN_ROUND):
        st.session_state[key] = st.session_state.get(key, 0) + 1
    context = get_script_run_ctx()
    if context:
        context.uploaded_file_mgr.remove_session_files(context.session_id)
        clear_session_data_cache(context.session_id)
        clear_session_resource_cache(context.session_id)


def let_go(held: Any) -> None:
    """Take what a visitor gave out of a session's state, and stop what works on it."""
    for key in GIVEN:
        value = held[key] if key in held else None
        if key in held:
            del held[key]
        if hasattr(value, "task"):
            value.task.stop()
    live = held[state.LIVE] if state.LIVE in held else None
    if live:
        live.end()
        live.listener = live.drawn = None
