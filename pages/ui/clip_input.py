"""The clip of a page: how it comes in, how often, how it is kept for comparison and let go."""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections import deque
from dataclasses import dataclass, replace

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from pages.ui import runtime, state
from ser_core.system import untrusted_text, workers
from ser_core.system.spool import Spool

INPUTS = RECORD, UPLOADED = "recognize.record", "recognize.upload"
"""What the keys of the recorder and the uploader begin with; the number of their round follows."""

MOST_A_MINUTE = 60
"""Clips that one browser may give within a minute: more than anybody listens to, and a script's would slow the page for the others."""

MOST_OF_AN_ADDRESS = 30 * MOST_A_MINUTE
"""The same of all browsers at one address: as many as thirty may. A class may sit behind one, and a hundred visitors who think for three
seconds between two clips; who makes up cookies gets no further, and meanwhile the others have their turns (workers.Line)."""

RECORDING, UPLOAD, SAMPLE = "recording", "upload", "sample"

LARGE = 16 * 2**20
"""Files with more bytes than this wait on the disk, in a file without a name, and not in memory."""


@dataclass(frozen=True)
class ClipInput:
    """A clip as it came in: its bytes, where it came from, and what is known of it. `name` is untrusted text.

    channel, track: those that were chosen, None where they are left to decoding.decode. digest: of the bytes and that choice.
    """

    name: str
    data: bytes | Spool
    source: str
    digest: str
    label: str | None = None
    note: str = ""
    channel: str | None = None
    track: int | None = None

    @property
    def bytes_digest(self) -> str:
        """The digest of the bytes alone."""
        return self.digest.partition(" ")[0]


def clip() -> ClipInput | None:
    """Return the clip the page is about."""
    return st.session_state.get(state.CLIP)


def comparison_clip() -> ClipInput | None:
    """Return the clip put aside for comparison."""
    return st.session_state.get(state.COMPARISON)


def set_clip(name: str, data: bytes, source: str, *, label: str | None = None, note: str = "") -> None:
    """Make these bytes the clip of the page. `label` is its true emotion where that is known."""
    take(new_clip(name, data, source, label=label, note=note))


def new_clip(name: str, data: bytes, source: str, *, label: str | None = None, note: str = "") -> ClipInput:
    """Return a clip that no page holds yet."""
    digest = hashlib.sha256(data).hexdigest()
    kept = Spool(data) if len(data) > LARGE else data
    return ClipInput(
        name=untrusted_text.one_line(name), data=kept, source=source, digest=digest, label=label, note=note
    )


def take(clip: ClipInput) -> None:
    """Make this the clip of the page."""
    st.session_state[state.CLIP] = clip


def channel_key(clip: ClipInput) -> str:
    """Return the key of the widget that chooses a channel of a clip."""
    return f"recognize.channel.{clip.bytes_digest[:16]}.{clip.track or ''}"


def track_key(clip: ClipInput) -> str:
    """Return the key of the widget that chooses a sound track of a clip."""
    return f"recognize.track.{clip.bytes_digest[:16]}"


def choose_channel() -> None:
    """Callback of that widget: make the channel chosen that of the clip of the page."""
    current = clip()
    channel = st.session_state.get(channel_key(current)) if current else None
    if current and channel:
        take(_with_choice(current, channel=channel, track=current.track))


def choose_track() -> None:
    """Callback of the widget of `track_key`: make the sound track chosen that of the clip of the page; its channels are others."""
    current = clip()
    track = st.session_state.get(track_key(current)) if current else None
    if current and track:
        take(_with_choice(current, channel=None, track=track))


def _with_choice(clip: ClipInput, *, channel: str | None, track: int | None) -> ClipInput:
    return replace(clip, channel=channel, track=track, digest=f"{clip.bytes_digest} {channel or ''} {track or ''}")


def keep() -> None:
    """Put the clip aside for comparison, and make room for another."""
    st.session_state[state.COMPARISON] = clip()
    clear()


def drop_comparison() -> None:
    """Forget the clip put aside."""
    st.session_state[state.COMPARISON] = None


def clear() -> None:
    """Forget the clip, and empty the widgets it came from, so that it cannot return by itself."""
    st.session_state[state.CLIP] = None
    for key in (state.TIMELINE, state.BREAK_IT):
        run = st.session_state.pop(key, None)
        if run:
            run.task.stop()
    reset_inputs()


def reset_inputs() -> None:
    """Empty the recorder and the uploader, and have Streamlit let go of what they held."""
    for key in (f"{each}.{round_number()}" for each in INPUTS):
        runtime.release_upload(st.session_state.get(key))
    st.session_state[state.ROUND] = round_number() + 1


class Pace:
    """Who gave clips within the last minute: one list for the whole server, which no new tab and no cleared cache empties.

    It holds MOST notes at the most, the latest ones, however many browsers somebody makes up.
    """

    MOST = 20_000

    def __init__(self) -> None:
        self._given: deque[tuple[float, workers.Who]] = deque(maxlen=self.MOST)
        self._lock = threading.Lock()

    def take(self, who: workers.Who) -> str:
        """Note that a clip was given, and return ""; where it is one too many for this minute, why and until when."""
        now_s = time.monotonic()
        with self._lock:
            while self._given and now_s - self._given[0][0] >= 60:
                self._given.popleft()
            there = [(at_s, each) for at_s, each in self._given if each[0] == who[0]]
            times = [at_s for at_s, each in there if each == who]
            if len(times) >= MOST_A_MINUTE:
                whose, most, first_s = "You gave", MOST_A_MINUTE, times[-MOST_A_MINUTE]
            elif len(there) >= MOST_OF_AN_ADDRESS:
                whose, most, first_s = "Your network gave", MOST_OF_AN_ADDRESS, there[-MOST_OF_AN_ADDRESS][0]
            else:
                self._given.append((now_s, who))
                return ""
        wait_s = max(math.ceil(60 - now_s + first_s), 1)
        return (
            f"{whose} {most:,} clips within a minute, the most that it may be, so that the page stays quick for everyone. "
            f"Wait {wait_s} s, or use the Batch page for many at once."
        )

    def __len__(self) -> int:
        return len(self._given)


PACE = Pace()


def is_too_fast() -> bool:
    """Note that a clip was given; return whether it is one too many for this minute, and leave a sentence on the page if so."""
    st.session_state[state.TOO_FAST] = PACE.take(runtime.who())
    return bool(st.session_state[state.TOO_FAST])


def round_number() -> int:
    """Return the number that the input widgets carry in their keys."""
    return st.session_state.get(state.ROUND, 0)


def receive(widget_key: str, source: str) -> None:
    """Callback of the recorder and the uploader: take what the widget now holds, or forget what it gave before.

    Streamlit holds the bytes as long as the widget does; a large file is ours alone from here on, and the widget is empty again.
    """
    file = st.session_state[widget_key]
    current = clip()
    if isinstance(file, UploadedFile):  # not so where Streamlit has dropped it meanwhile
        if is_too_fast():
            reset_inputs()
            return
        name = "recording.wav" if source == RECORDING else file.name
        set_clip(name, file.getvalue(), source)
        if file.size > LARGE:
            reset_inputs()
            file.close()  # its bytes: Streamlit keeps the object while a page is not drawn to its end
    elif current is not None and current.source == source:
        st.session_state[state.CLIP] = None
