"""The last clips of a visit, with the answers to them, as Recognize and Live leave them: in memory, until they are forgotten with the rest.

Each is kept as what the models hear of it, as FLAC: twelve clips of eight seconds have 3 MB at the most, whatever was sent up. Samples and
clips of corpora are not kept: they can be picked again, and are nobody's own.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import streamlit as st

from pages.ui import clip_input, state
from ser_core.audio import waveform
from ser_core.metrics import abstention
from ser_core.recognition import recognizer, timeline
from ser_core.recognition.analysis import Analysis
from ser_core.recognition.live import Listener
from ser_core.recognition.recognizer import Prediction
from ser_core.recognition.timeline import Timeline
from ser_core.system import untrusted_text

MOST = 12
"""Clips that a visit keeps; the oldest goes where another one comes."""

LIVE_NAME = "live.flac"
PAUSE_S = 1.0
"""A longer pause ends what is kept of a live session: its last words, up to timeline.LONG_S."""


@dataclass(frozen=True)
class Clip:
    """A clip on the shelf. key: of what it came from; name: untrusted text; data: FLAC, one channel; meant: the label that was meant.

    predictions: the answers to it, that of all together first where there is one.
    """

    key: str
    name: str
    data: bytes
    duration_s: float
    predictions: tuple[Prediction, ...] = ()
    meant: str | None = None

    @property
    def adapted(self) -> int:
        """How many takes of a voice its answers are adapted to, 0 where they are as for everybody."""
        return recognizer.n_takes(self.predictions)


@dataclass
class Shelf:
    """The clips of a visit, the oldest first. removed: keys of clips that are not to come back while their source is still there.

    note: what became of the last click, kind and sentence, until the page has said it.
    """

    clips: list[Clip] = field(default_factory=list)
    removed: deque[str] = field(default_factory=lambda: deque(maxlen=MOST))
    note: tuple[str, str] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to forget."""
        return not self.clips

    @property
    def held_bytes(self) -> int:
        """Bytes of sound that it keeps."""
        return sum(len(clip.data) for clip in self.clips)


def clips() -> list[Clip]:
    """Return the clips of this visit, the newest first."""
    shelf = st.session_state.get(state.SHELF)
    return shelf.clips[::-1] if shelf else []


def find(key: str) -> Clip | None:
    """Return the clip with this key; None where it has gone."""
    return next((clip for clip in clips() if clip.key == key), None)


def put(given: clip_input.ClipInput, analysis: Analysis, predictions: Sequence[Prediction]) -> bool:
    """Keep a clip that was recorded or sent up, or, where it is kept, its answers as they are now; return whether it is on the shelf."""
    if given.source in (clip_input.RECORDING, clip_input.UPLOAD) and analysis.quality.has_speech:
        _keep(given.digest, given.name, predictions, lambda: analysis.clip.waveform)
    return find(given.digest) is not None


def put_session(listener: Listener, heard: Timeline) -> None:
    """Keep the last words of a live session that has ended."""
    stretch = last_words(heard.activity)
    if stretch is None:
        return
    start_s, end_s = stretch
    within = [each for each in heard.segments if start_s <= (each.start_s + each.end_s) / 2 <= end_s]
    said = timeline.average(each.predictions for each in within)
    _keep(session_key(listener), LIVE_NAME, said, lambda: waveform.cut(listener.sound(), start_s, end_s))


def session_key(listener: Listener) -> str:
    """Return the key of what is kept of a live session."""
    return f"live {id(listener)} {listener.duration_s:g}"


def last_words(activity: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    """Return from where to where the last words go, in s: stretches of speech without a long pause, up to timeline.LONG_S; None without."""
    if not activity:
        return None
    start_s, end_s = activity[-1]
    for earlier, ends_s in reversed(activity[:-1]):
        if start_s - ends_s > PAUSE_S or end_s - earlier > timeline.LONG_S:
            break
        start_s = earlier
    return max(start_s, end_s - timeline.LONG_S), end_s


def _keep(key: str, name: str, predictions: Sequence[Prediction], sound_of: Callable[[], waveform.Waveform]) -> None:
    shelf: Shelf = st.session_state.setdefault(state.SHELF, Shelf())
    place = next((place for place, clip in enumerate(shelf.clips) if clip.key == key), None)
    if place is not None:
        shelf.clips[place] = replace(shelf.clips[place], predictions=tuple(predictions))
    elif key not in shelf.removed:
        sound = sound_of()
        samples = sound.samples[: round(timeline.LONG_S * sound.sample_rate)]
        data = waveform.encode_pcm(waveform.to_pcm(samples), sound.sample_rate, container="FLAC")
        clip = Clip(key, untrusted_text.one_line(name), data, len(samples) / sound.sample_rate, tuple(predictions))
        shelf.clips = [*shelf.clips, clip][-MOST:]


def set_meant(key: str, label: str | None) -> None:
    """Note which label was meant in a clip; None where that is not known."""
    shelf = st.session_state.get(state.SHELF)
    if shelf:
        shelf.clips = [replace(clip, meant=label) if clip.key == key else clip for clip in shelf.clips]


def remove(key: str) -> None:
    """Take a clip off the shelf; it does not come back while the page that it came from still shows it."""
    shelf = st.session_state.get(state.SHELF)
    if shelf:
        shelf.clips = [clip for clip in shelf.clips if clip.key != key]
        shelf.removed.append(key)


def title(clip: Clip) -> str:
    """Return a clip in words: its untrusted name, its length, the first answer to it, and what the answers are adapted to, if anything."""
    answer = [answer_text(each) for each in clip.predictions[:1]]
    adapted = [recognizer.adapted_to(clip.adapted)] if clip.adapted else []
    return " · ".join([clip.name, f"{clip.duration_s:.1f} s", *answer, *adapted])


def answer_text(said: Prediction) -> str:
    """Return 'angry 63 %', or that a model is not sure."""
    return abstention.NOT_SURE if said.sure is False else f"{said.label} {100 * said.probabilities[said.label]:.0f} %"


def short_key(key: str) -> str:
    """Return a clip's key as part of the key of a widget."""
    return hashlib.sha256(key.encode()).hexdigest()[:12]
