"""A visitor's live session: the settings, the listener that the sound goes to, and the place that it takes on this server.

The sound's thread and the page's meet here: the thread calls receive() and end(), the page looks. Streamlit is not called from the
sound's thread.
"""

from __future__ import annotations

import functools
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import streamlit as st

from pages.ui import recognition, state, voice
from ser_core.recognition import store
from ser_core.recognition.card import ModelCard
from ser_core.recognition.live import Listener
from ser_core.recognition.timeline import WindowPredictor
from ser_core.system import workers

FORGOTTEN_S = 10.0
"""A place whose visitor sends no sound for so long is free again, whatever became of the visitor."""

ANSWERS_S = 3.0
"""How long a page waits for the last answers of a session that has ended."""


class Places:
    """How many visitors may be live at once: a place is taken by who sends sound, and kept by sending more."""

    def __init__(self, n: int) -> None:
        self.n = n
        self._seen: dict[int, float] = {}
        self._lock = threading.Lock()

    def take(self, who: int) -> bool:
        """Return whether a visitor has a place, now that sound comes from there."""
        now_s = time.monotonic()
        with self._lock:
            self._seen = {each: seen_s for each, seen_s in self._seen.items() if now_s - seen_s < FORGOTTEN_S}
            if who not in self._seen and len(self._seen) >= self.n:
                return False
            self._seen[who] = now_s
            return True

    def leave(self, who: int) -> None:
        """Free a visitor's place."""
        with self._lock:
            self._seen.pop(who, None)

    def crowded_for(self, who: int) -> bool:
        """Return whether others take half of the places or more."""
        return self.n > 1 and 2 * self._n_others(who) >= self.n

    @property
    def full(self) -> bool:
        """Whether none is free."""
        return self._n_others(None) >= self.n

    def full_for(self, who: int) -> bool:
        """Return whether a visitor who has no place yet would get none."""
        return self._n_others(who) >= self.n

    def _n_others(self, who: int | None) -> int:
        now_s = time.monotonic()
        with self._lock:
            return sum(each != who and now_s - seen_s < FORGOTTEN_S for each, seen_s in self._seen.items())


@functools.cache
def places() -> Places:
    """Return the places of this server: SER_LIVE_VISITORS, else four a core. They lie in no cache that a visitor can have cleared."""
    given = os.environ.get("SER_LIVE_VISITORS", "")
    return Places(int(given) if given.isdigit() else 4 * (os.cpu_count() or 1))


@dataclass
class Visitor:
    """What the page and the sound's thread share.

    predict_window, window_s and hop_s are those of the next session, which does not begin where the first is None, until the page sets
    one; light_window predicts without the models that hear through the pretrained encoder, for a session that begins while many are
    live, None where there is no such model. listener: of the session that runs or ran last. is_light: whether it began so. refused:
    there was no place for it. asked_s: when the microphone was switched on (time.monotonic), None while it is off. drawn: the pictures
    that the page shows. who: whose turn it is when a window is predicted.
    """

    places: Places
    predict_window: WindowPredictor | None
    light_window: WindowPredictor | None = None
    is_light: bool = False
    window_s: float = 3.0
    hop_s: float = 0.5
    listener: Listener | None = None
    refused: bool = False
    asked_s: float | None = None
    problem: str = ""
    drawn: Any = None
    who: workers.Who = field(default_factory=workers.WHO.get)
    _starting: threading.Lock = field(default_factory=threading.Lock)
    _following: threading.Thread | None = None

    def receive(self, frames: Sequence[Any]) -> None:
        """Take the frames that arrived (16-bit, interleaved): a session begins with the first ones."""
        predict_window = self.predict_window
        if predict_window is None:  # what was given here is forgotten, and the page not drawn since
            return
        if not self.places.take(id(self)):
            self.refused = True
            return
        with self._starting:
            if self.listener is None or self.listener.closed:
                light = self.light_window if self.places.crowded_for(id(self)) else None
                self.is_light = light is not None
                self.listener = Listener(light or predict_window, window_s=self.window_s, hop_s=self.hop_s)
                self.refused = False
                self._following = None  # the last session's may still be at its last window
            listener = self.listener
            if self._following is None or not self._following.is_alive():
                self._following = threading.Thread(target=self._follow, args=(listener,), daemon=True)
                self._following.start()
        rate, channels = frames[0].sample_rate, len(frames[0].layout.channels)
        listener.take(np.concatenate([frame.to_ndarray().reshape(-1, channels) for frame in frames]), rate)

    def _follow(self, listener: Listener) -> None:
        workers.WHO.set(self.who)
        listener.follow()

    def end(self) -> None:
        """End the session and free the place; what was heard stays."""
        if self.listener:
            self.listener.close()
        self.places.leave(id(self))

    def forget_voice(self) -> None:
        """End the session, and let go of what predicts, which holds a voice, perhaps; what was heard stays."""
        self.end()
        self.predict_window = self.light_window = None
        if self.listener:
            self.listener.forget_predictor()

    def await_answers(self) -> None:
        """Wait until what was heard before the end is answered, not for long where the server is busy."""
        if self._following:
            self._following.join(ANSWERS_S)

    @property
    def is_on(self) -> bool:
        """Whether a session runs."""
        return self.listener is not None and not self.listener.closed


def visitor(models: list[ModelCard]) -> Visitor:
    """Return this visitor's session, with the models that it asks the next time it starts."""
    asked = recognition.predict_window(models, voice=voice.current())
    found: Visitor = st.session_state.setdefault(state.LIVE, Visitor(places(), asked))
    found.predict_window = asked
    light = [card for card in models if not store.is_pretrained(card)]
    found.light_window = (
        recognition.predict_window(light, voice=voice.current()) if 0 < len(light) < len(models) else None
    )
    return found
