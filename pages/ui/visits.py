"""A visit: when somebody was here last, and how everything that they gave is forgotten: at a click, once they have left, or after an hour.

Streamlit keeps a visit for two minutes after its tab is gone, so that a lost connection loses nothing, but lets go of it only when
somebody else comes; and what is given in a tab that stays open it keeps for ever. A thread of the server looks after both.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections import Counter
from dataclasses import dataclass

import streamlit as st
from streamlit import runtime
from streamlit.runtime.caching import clear_session_data_cache, clear_session_resource_cache
from streamlit.runtime.scriptrunner import get_script_run_ctx

from pages.ui import state
from pages.ui.runtime import Server, announce, tidy

LEFT_S = 90.0
"""How long a visit whose connection is gone may come back; Streamlit itself forgets after 120 s."""

IDLE_MINUTES = 60
LOOK_S = 10.0

MOST_HELD = 2**30
"""Bytes of files that all visits together may have sent up at a time; the uploader has no such limit of its own."""

QUIET_S = 120.0
"""A visit without a click for so long gives up its files where there is no room for another's."""

IDLE = "Nothing happened here for {minutes:.0f} minutes, so what you had recorded or uploaded was forgotten."
TOO_MUCH = (
    "You sent more than 1 GB at once. It was forgotten, so that this server has room for everyone: send less at a time, or use "
    "`python -m ser_core predict` on your own machine."
)
MADE_ROOM = (
    "This server ran out of room for recordings, so what you had uploaded was forgotten to let others upload theirs. Upload it "
    "again when you need it."
)


def idle_s() -> float:
    """Return after how many seconds without a click a visit's recordings are forgotten: SER_FORGET_MINUTES, else an hour."""
    minutes = os.environ.get("SER_FORGET_MINUTES", "")
    return 60.0 * (int(minutes) if minutes.isdigit() and int(minutes) else IDLE_MINUTES)


@dataclass
class Visit:
    """When a visitor did something last, since when the connection is gone, and why what they gave is to be forgotten, if it is.

    address: from where files were sent up last.
    """

    seen_s: float
    left_s: float | None = None
    due: str = ""
    address: str = ""


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
        """End the visits that have left; forget what was given to those that do nothing, or gave too much, and redraw their pages."""
        for name, size in server.held().items():
            if size > MOST_HELD:
                self._give_up(name, TOO_MUCH, now_s, server)
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

    def make_room(self, size: int, name: str, address: str, now_s: float, server: Server) -> bool:
        """Return whether `size` more bytes fit beside all files here, once others' are given up where that helps.

        Those of visits without a click for QUIET_S go first, the oldest of them; then, where one other address holds more than half of
        all, its largest.

        Parameters
        ----------
        size : of what is on its way, all together.
        name, address : of the visit that sends.
        """
        held = server.held()
        missing = sum(held.values()) + size - MOST_HELD
        with self._lock:
            self._visits.setdefault(name, Visit(now_s)).address = address
            visits = {each: self._visits.get(each, Visit(-math.inf)) for each in held if each != name}
        if missing <= 0:
            return True
        by_address: Counter[str] = Counter()
        for each, visit in visits.items():
            by_address[visit.address] += held[each]
        greedy = {each for each, total in by_address.items() if each != address and total > MOST_HELD / 2}
        quiet = sorted(
            (each for each, visit in visits.items() if now_s - visit.seen_s >= QUIET_S),
            key=lambda each: visits[each].seen_s,
        )
        others = [each for each, visit in visits.items() if visit.address in greedy and each not in quiet]
        given_up = [*quiet, *sorted(others, key=lambda each: -held[each])]
        if sum(held[each] for each in given_up) < missing:
            return False
        for each in given_up:
            if missing > 0:
                missing -= held[each]
                self._give_up(each, MADE_ROOM, now_s, server)
        return True

    def _give_up(self, name: str, why: str, now_s: float, server: Server) -> None:
        """Drop a visit's files, and have its page say why."""
        server.drop(name)
        with self._lock:
            self._visits.setdefault(name, Visit(now_s)).due = why
        server.draw(name)

    def __len__(self) -> int:
        return len(self._visits)


_visits = Visits()
_starting = threading.Lock()
_looking: threading.Thread | None = None


def visits() -> Visits:
    """Return the visits of this server, looked after as long as it runs. They lie in no cache: a visitor can have those cleared."""
    global _looking
    with _starting:
        if runtime.exists() and (_looking is None or not _looking.is_alive()):
            _looking = threading.Thread(target=_look_after, args=(_visits,), daemon=True)
            _looking.start()
    return _visits


def make_room(size: int, name: str, address: str) -> bool:
    """Return whether `size` bytes on their way, some of them for the visit `name`, fit (see Visits.make_room)."""
    return visits().make_room(size, name, address, time.monotonic(), Server())


def _look_after(found: Visits) -> None:
    while runtime.exists():
        time.sleep(LOOK_S)
        if not runtime.exists():
            return
        before = len(found)
        try:
            found.look(time.monotonic(), Server())
        except Exception:  # the thread has no other edge, and the visits to come need it
            logging.getLogger(__name__).exception("Looking after the visits failed")
        if len(found) < before:
            time.sleep(1)  # the visits end on the server's own thread
            tidy()


def here() -> None:
    """Note that this visitor is here, and forget what they gave where that is due: the first call of every page."""
    announce()
    context = get_script_run_ctx()
    due = visits().seen(context.session_id) if context else ""
    if due:
        st.session_state[state.FORGOTTEN] = due if holds() or due in (TOO_MUCH, MADE_ROOM) else ""
        forget()


def holds() -> bool:
    """Return whether this visit gave anything that can be forgotten."""
    live = st.session_state.get(state.LIVE)
    given = [st.session_state.get(key) for key in state.GIVEN]
    return any(each is not None and not getattr(each, "is_empty", False) for each in given) or bool(
        live and live.listener
    )


def forget() -> None:
    """Forget everything that this visit gave, whatever works on it; what was added to a user-recorded corpus stays."""
    state.release_inputs(st.session_state)
    for key in (state.ROUND, state.BATCH_ROUND, state.OWN_ROUND, state.VOICE_ROUND):
        st.session_state[key] = st.session_state.get(key, 0) + 1
    context = get_script_run_ctx()
    if context:
        context.uploaded_file_mgr.remove_session_files(context.session_id)
    clear_caches()


def clear_caches() -> None:
    """Forget what is cached for this visit alone: its clips decoded, and the answers to them."""
    context = get_script_run_ctx()
    if context:
        clear_session_data_cache(context.session_id)
        clear_session_resource_cache(context.session_id)
