"""Work that takes longer than a page may: a thread of the server, its progress, and how it ended.

A task is known by what it works on, not by who started it: every visitor sees the same one, a refresh loses nothing, and
no two of one kind work on one thing at a time. Why it failed is told to the one who started it: that may name a file of theirs.
What trains, or scores models on a corpus, is a run in place of that: compare/measurement.py.
"""

from __future__ import annotations

import contextlib
import contextvars
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import streamlit as st

from pages.ui import frame, runtime, visits
from ser_core.errors import SerError, Stopped

BUG = "This ended because of a fault in the program. The server's terminal has the details."
STOPPED = "Stopped. Nothing was changed."
FOR_OTHERS = "This ended with an error, which only the visitor who started it can read. You may start it yourself."
STOPPED_FOR_OTHERS = "Stopped."

KEPT = 128
"""Tasks that are kept of those that do not run, with their results: those that were looked at last."""


class Task:
    """One piece of work. running, progress (fraction 0..1, line of text), partial (what there is of a result so
    far, if the work says), result (None until it is done), problem (a sentence for the one who started it, or "")."""

    def __init__(self, place: tuple[str, str] | None = None) -> None:
        self.place = place
        self.running = False
        self.progress: tuple[float, str] = (0.0, "")
        self.partial: Any = None
        self.result: Any = None
        self.problem = ""
        self._owner = ""
        self._asked = threading.Event()
        self._ended = threading.Event()
        self._starting = threading.Lock()

    def start(self, work: Callable[[Task], Any]) -> None:
        """Run work(task) in a thread of its own; does nothing while an earlier one runs. What it returns becomes the result."""
        if (
            self.place and (current := _current_task(self)) is not self
        ):  # a page that was drawn long ago holds one that is listed no more
            current.start(work)
            return
        owner = runtime.browser()
        with self._starting:
            if self.running:
                return
            self._asked.clear()
            self._ended.clear()
            self.running, self.progress, self.problem = True, (0.0, "Starting …"), ""
            self.partial = self.result = None
            self._owner = owner
        threading.Thread(
            target=contextvars.copy_context().run, args=(self._run, work), daemon=True
        ).start()  # works for the same visitor

    def _run(self, work: Callable[[Task], Any]) -> None:
        try:
            self.result = work(self)
        except SerError as error:
            self.problem = str(error)
        except Exception:  # the thread has no other edge: the page must not wait for ever
            logging.getLogger(__name__).exception("A task in the background failed")
            self.problem = BUG
        finally:
            self.running = False
            self._ended.set()

    def tell(self, fraction: float, text: str) -> None:
        """Say how far the work is; the work calls it."""
        self.progress = (min(max(fraction, 0.0), 1.0), text)

    def wait(self, seconds: float) -> None:
        """Give the work a moment to end: what is done at once needs no bar on the page."""
        if self.running:
            self._ended.wait(seconds)

    @contextlib.contextmanager
    def turn(self, lock: threading.Lock, waits_for: str) -> Iterator[None]:
        """Hold a lock that lets one work at a time, once it is free; meanwhile the page says what is waited for, and a stop ends it."""
        while not lock.acquire(timeout=0.5):
            self.tell(0, f"Waiting until {waits_for} …")
            self.check_stop()
        try:
            yield
        finally:
            lock.release()

    def problem_for(self, browser: str) -> str:
        """Return why the work ended without a result as this visitor may read it: whole for the one who started it; "" where it did not."""
        if not self.problem or browser == self._owner:
            return self.problem
        return STOPPED_FOR_OTHERS if self.stopping else FOR_OTHERS

    def take(self) -> Any:
        """Return the result, if there is one, and forget it: for work whose result shows elsewhere."""
        result, self.result = self.result, None
        return result

    def stop(self) -> None:
        """Ask the work to end soon."""
        self._asked.set()

    @property
    def stopping(self) -> bool:
        """Whether somebody asked the work to end."""
        return self._asked.is_set()

    def check_stop(self) -> None:
        """Raise Stopped if somebody asked the work to end; the work calls it where it can end."""
        if self.stopping:
            raise Stopped(STOPPED)


TASKS: dict[tuple[str, str], Task] = {}
"""Kind and subject -> task, for the whole server. In no cache of Streamlit's: a visitor can clear those, and what runs stays known."""

_LISTING = threading.Lock()


def task(kind: str, subject: str) -> Task:
    """Return the task of this kind that works on this subject, one for the whole server."""
    with _LISTING:
        found = TASKS.pop((kind, subject), None) or Task((kind, subject))
        TASKS[kind, subject] = found
        idle = [place for place, each in TASKS.items() if not each.running]
        for place in idle[:-KEPT]:
            del TASKS[place]
    return found


def _current_task(current: Task) -> Task:
    """Return the task that is listed in the place of this one; list this one where none is."""
    assert current.place is not None
    with _LISTING:
        return TASKS.setdefault(current.place, current)


@st.fragment(run_every=0.5)
def watch(current: Task, *, key: str, draw: Callable[[Any], None] | None = None) -> None:
    """Draw the progress of a running task and a button that stops it; redraws the whole page when it has ended.

    draw : draws what there is of the result so far.
    """
    visits.here()
    if not current.running:
        st.rerun()
    fraction, text = current.progress
    st.progress(fraction, text=frame.plain("Stopping …" if current.stopping else text))
    st.button("Cancel", key=f"{key}.cancel", icon=":material/close:", disabled=current.stopping, on_click=current.stop)
    if draw and current.partial is not None:
        draw(current.partial)


def show_problem(current: Task) -> None:
    """Draw why a task ended without a result, if it did."""
    problem = current.problem_for(runtime.browser())
    if problem and current.stopping:
        st.info(frame.plain(problem), icon=":material/info:")
    elif problem:
        st.error(frame.plain(problem), icon=":material/error:")
