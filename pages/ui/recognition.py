"""Clips analysed and models asked, behind Streamlit's caches: by worker processes, never in the server."""

from __future__ import annotations

import contextlib
import functools
import gc
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st

from pages.ui import cached, clip_input, runtime
from ser_core import paths
from ser_core.audio import decoding
from ser_core.audio.waveform import SAMPLE_RATE, Waveform, encode_wav
from ser_core.errors import SerError
from ser_core.recognition import analysis, recognizer, service, timeline
from ser_core.recognition.card import ModelCard
from ser_core.system import workers
from ser_core.system.spool import Spool

SHORT = 3 * 2**20
"""Bytes that a short clip has at most: eight seconds of 48 kHz stereo in 32 bits have as many."""

LISTENING = "Listening to the clip …"

_READING = workers.Line()
"""Long recordings are read through in the server, one at a time: two at once would hold up its pages."""

PLAYABLE = {"MP3": "audio/mpeg", "FLAC": "audio/flac", "MP4": "audio/mp4"}
"""Containers that Chrome, Firefox and Safari all play; a WAV of unknown origin may hold codecs that they do not."""


def hear(given: clip_input.ClipInput) -> analysis.Analysis:
    """Return a clip decoded, measured with the default settings and judged; raises a SerError where that cannot be."""
    return hear_short(given) or _hear_long(given.digest, given)


def hear_short(given: clip_input.ClipInput) -> analysis.Analysis | None:
    """Return what `hear` does of a short clip (see `is_short`); None of one that says, or shows, that it is longer."""
    runtime.announce()
    return _hear_short(given.digest, given)


@st.cache_resource(scope="session", max_entries=4, show_spinner=False)
def _hear_short(digest: str, _given: clip_input.ClipInput) -> analysis.Analysis | None:
    return analyse_short(_given.data, _given.name, _given.channel)


@st.cache_resource(scope="session", max_entries=4, show_spinner=LISTENING)
def _hear_long(digest: str, _given: clip_input.ClipInput) -> analysis.Analysis:
    return analyse_long(_given.data, _given.name, _given.channel)


def analyse(data: bytes | Spool, name: str) -> analysis.Analysis:
    """Return what `hear` does of a clip that no page keeps."""
    return analyse_short(data, name) or analyse_long(data, name)


def analyse_short(data: bytes | Spool, name: str, channel: str | None = None) -> analysis.Analysis | None:
    """Return what `hear_short` does of a clip that no page keeps."""
    if is_short(data):
        with contextlib.suppress(decoding.TooLongError):  # it says less than it holds
            return workers.run(analysis.analyse, data, name=name, max_duration_s=timeline.LONG_S, channel=channel)
    return None


def analyse_long(data: bytes | Spool, name: str, channel: str | None = None) -> analysis.Analysis:
    """Return what `analyse` does, where nobody's short clip waits for it: of a recording of up to ten minutes."""
    with workers.long_work():
        sound = data.read() if isinstance(data, Spool) else data
        return workers.run(analysis.analyse, sound, name=name, channel=channel)


def stream(given: clip_input.ClipInput) -> decoding.Stream:
    """Return a clip of up to an hour, ready to be read in pieces; raises a SerError where that cannot be."""
    runtime.announce()
    return _stream(given.digest, given)


@st.cache_resource(scope="session", max_entries=4, show_spinner=LISTENING)
def _stream(digest: str, _given: clip_input.ClipInput) -> decoding.Stream:
    with _READING.turn():
        return decoding.stream(
            _given.data, max_duration_s=timeline.MAX_DURATION_S, name=_given.name, channel=_given.channel
        )


def is_short(data: bytes | Spool) -> bool:
    """Whether a clip is one utterance (timeline.LONG_S) by what it says of itself, or does not say, and has no more bytes than that may.

    It is measured whole in the process beside, where everybody's clips take turns; of one that is longer after all, no more is read there.
    """
    if isinstance(data, Spool) or len(data) > SHORT:
        return False
    try:
        duration_s = decoding.declared_duration(data)
    except SerError:  # the process beside says why
        return True
    return duration_s is None or duration_s <= timeline.LONG_S


@dataclass(frozen=True)
class Answer:
    """What one model says of a clip, or the sentence why it cannot."""

    card: ModelCard
    prediction: recognizer.Prediction | None
    problem: str = ""


def answers(given: clip_input.ClipInput, cards: list[ModelCard]) -> list[Answer]:
    """Return one answer a card, in the order of the cards; none where there is no speech."""
    heard = hear(given)
    if not cards or not heard.quality.has_speech:
        return []
    try:
        said = _asked(given.digest, _slugs_and_keys(cards), heard, cards)
        if silent := [
            card for card, answer in zip(cards, said, strict=True) if isinstance(answer, str)
        ]:  # mended meanwhile, perhaps
            again = dict(zip([card.slug for card in silent], _ask(heard, silent), strict=True))
            said = [again.get(card.slug, answer) for card, answer in zip(cards, said, strict=True)]
    except SerError as error:
        return [Answer(card, None, str(error)) for card in cards]
    return [
        Answer(card, None, each) if isinstance(each, str) else Answer(card, each)
        for card, each in zip(cards, said, strict=True)
    ]


@st.cache_data(scope="session", max_entries=16, show_spinner=False)
def _asked(
    digest: str, asked: tuple[tuple[str, str], ...], _heard: analysis.Analysis, _cards: Sequence[ModelCard]
) -> list[recognizer.Prediction | str]:
    return _ask(_heard, _cards)


def ask(heard: analysis.Analysis, cards: Sequence[ModelCard]) -> list[recognizer.Prediction | str]:
    """Return what models say of a clip that no page keeps, speech or not: of each a prediction, or the sentence why it has none."""
    return _ask(heard, cards)


def _ask(heard: analysis.Analysis, cards: Sequence[ModelCard]) -> list[recognizer.Prediction | str]:
    ours, foreign = _by_origin(cards)
    said = workers.run(service.ask, heard, _slugs_and_keys(ours), paths.models_folder()) if ours else []
    said += service.ask(heard, _slugs_and_keys(foreign), paths.models_folder())
    answers = dict(zip([card.slug for card in (*ours, *foreign)], said, strict=True))
    return [answers[card.slug] for card in cards]


def judge(cards: Sequence[ModelCard]) -> timeline.Judge:
    """Return what looks at the windows of a long sound, and asks these models about them."""
    return functools.partial(_judge, tuple(cards))


def _judge(cards: Sequence[ModelCard], waveform: Waveform) -> tuple[analysis.Analysis, list[recognizer.Prediction]]:
    ours, foreign = _by_origin(cards)
    measured, said = workers.run(service.judge, _slugs_and_keys(ours), paths.models_folder(), waveform)
    if foreign and measured.quality.has_speech:
        more = service.ask(measured, _slugs_and_keys(foreign), paths.models_folder())
        said += [each for each in more if isinstance(each, recognizer.Prediction)]
    order = [card.slug for card in cards]
    return measured, sorted(said, key=lambda each: order.index(each.model))


def _by_origin(cards: Sequence[ModelCard]) -> tuple[list[ModelCard], list[ModelCard]]:
    """Return the models of this machine, and those from elsewhere: each of these answers from a process of its own (ser_core/sandbox.py).

    They are not asked through the process beside: whoever did not choose them must not wait for them.
    """
    return [card for card in cards if not card.imported], [card for card in cards if card.imported]


def predictions(answers: list[Answer]) -> list[recognizer.Prediction]:
    """Return the predictions among the answers."""
    return [answer.prediction for answer in answers if answer.prediction]


@functools.cache
def warm_up() -> threading.Thread:
    """Load in the background what the first clip will need, while its visitor still reads; once a server. Who cannot wait then, joins."""
    thread = threading.Thread(target=_warm_up, daemon=True)
    thread.start()
    return thread


def _warm_up() -> None:
    quiet = Waveform(np.zeros(SAMPLE_RATE, dtype=np.float32), SAMPLE_RATE)
    with contextlib.suppress(SerError, OSError):  # the page tells at the first clip
        ask(analyse(encode_wav(quiet), "silence"), _by_origin(cached.models()[0])[0])
    # What is loaded now stays: later collections need not look at it, which takes them a tenth of the time.
    gc.collect()
    gc.freeze()


def _slugs_and_keys(cards: Sequence[ModelCard]) -> tuple[tuple[str, str], ...]:
    return tuple((card.slug, cached._model_key(card)) for card in cards)


def playable(given: clip_input.ClipInput, heard: analysis.Analysis) -> tuple[bytes, str]:
    """Return bytes that every browser plays, and their type: the original where it is such a file, else what the models hear."""
    if isinstance(given.data, bytes) and given.source == clip_input.RECORDING:
        return given.data, "audio/wav"
    if isinstance(given.data, bytes) and heard.clip.container in PLAYABLE:
        return given.data, PLAYABLE[heard.clip.container]
    return _wav(given.digest, heard), "audio/wav"


@st.cache_data(scope="session", max_entries=4, show_spinner=False)
def _wav(digest: str, _heard: analysis.Analysis) -> bytes:
    return encode_wav(_heard.clip.waveform)
