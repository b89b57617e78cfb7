"""Clips analysed and models asked, behind Streamlit's caches: by worker processes, never in the server, and in one task a clip."""

from __future__ import annotations

import contextlib
import functools
import gc
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st

from pages.ui import cached, clip_input, runtime
from ser_core import paths
from ser_core.audio import decoding
from ser_core.audio.waveform import SAMPLE_RATE, Waveform, encode_wav
from ser_core.dataset import exploration
from ser_core.errors import AudioError, SerError
from ser_core.features import encoder, vectors
from ser_core.features.extraction import Features
from ser_core.recognition import service, timeline, together
from ser_core.recognition.analysis import Analysis
from ser_core.recognition.card import ModelCard
from ser_core.recognition.personal import Reference, Voice
from ser_core.recognition.recognizer import Prediction
from ser_core.system import workers
from ser_core.system.spool import Spool

SHORT = 3 * 2**20
"""Bytes that a short clip has at most: eight seconds of 48 kHz stereo in 32 bits have as many."""

LISTENING = "Listening to the clip …"

_READING = workers.Line()
"""Long recordings are read through in the server, one at a time: two at once would hold up its pages."""

PLAYABLE = {"MP3": "audio/mpeg", "FLAC": "audio/flac", "MP4": "audio/mp4"}
"""Containers that Chrome, Firefox and Safari all play; a WAV of unknown origin may hold codecs that they do not."""


@dataclass(frozen=True)
class _Clip:
    """What is known of a visitor's clip: its analysis, and the answers so far, by the models' keys."""

    analysis: Analysis
    answers: dict[str, Prediction | str]


def analyse(given: clip_input.ClipInput, cards: Sequence[ModelCard] = ()) -> Analysis:
    """Return a clip decoded, measured with the default settings and judged; raises a SerError where that cannot be.

    cards: the models that `answers` will be asked for; theirs come with it, so that the clip goes to a worker once.
    """
    return _clip(given, cards).analysis


def analyse_short(given: clip_input.ClipInput, cards: Sequence[ModelCard] = ()) -> Analysis | None:
    """Return what `analyse` does of a short clip (see `is_short`); None of one that says, or shows, that it is longer."""
    runtime.announce()
    clip = _short_clip(given.digest, given, cards)
    return clip.analysis if clip else None


def _clip(given: clip_input.ClipInput, cards: Sequence[ModelCard]) -> _Clip:
    runtime.announce()
    return _short_clip(given.digest, given, cards) or _long_clip(given.digest, given, cards)


@st.cache_resource(scope="session", max_entries=4, show_spinner=False)
def _short_clip(digest: str, _given: clip_input.ClipInput, _cards: Sequence[ModelCard]) -> _Clip | None:
    own = _by_origin(_cards)[0]
    try:
        found = _run_short(_given.data, _given.name, own, _given.channel, _given.track)
    except AudioError:
        raise
    except SerError:
        if not own:
            raise
        found, own = (
            _run_short(_given.data, _given.name, (), _given.channel, _given.track),
            [],
        )  # a model, perhaps: the sound is shown without
    return _Clip(found[0], _by_key(own, found[1])) if found else None


@st.cache_resource(scope="session", max_entries=4, show_spinner=LISTENING)
def _long_clip(digest: str, _given: clip_input.ClipInput, _cards: Sequence[ModelCard]) -> _Clip:
    own = _by_origin(_cards)[0]
    found, answers = _run_long(_given.data, _given.name, own, _given.channel, _given.track)
    return _Clip(found, _by_key(own, answers))


def _by_key(cards: Sequence[ModelCard], answers: service.Answers) -> dict[str, Prediction | str]:
    """Return answers by the keys of their models; of a clip without speech there are none."""
    return dict(zip(map(cached._model_key, cards), answers, strict=True)) if answers else {}


def predict(data: bytes | Spool, name: str, cards: Sequence[ModelCard]) -> tuple[Analysis, service.Answers]:
    """Return the analysis and the models' answers for a recording that no page keeps, of up to ten minutes; without speech none."""
    return predict_short(data, name, cards) or predict_long(data, name, cards)


def predict_short(
    data: bytes | Spool, name: str, cards: Sequence[ModelCard]
) -> tuple[Analysis, service.Answers] | None:
    """Return what `predict` does of a short clip (see `is_short`); None of one that says, or shows, that it is longer."""
    found = _run_short(data, name, _by_origin(cards)[0])
    return _with_imported(*found, cards) if found else None


def predict_long(data: bytes | Spool, name: str, cards: Sequence[ModelCard]) -> tuple[Analysis, service.Answers]:
    """Return what `predict` does, where nobody's short clip waits for it."""
    return _with_imported(*_run_long(data, name, _by_origin(cards)[0]), cards)


def _run_short(
    data: bytes | Spool, name: str, own: Sequence[ModelCard], channel: str | None = None, track: int | None = None
) -> tuple[Analysis, service.Answers] | None:
    if not isinstance(data, Spool) and is_short(data):
        with contextlib.suppress(decoding.TooLongError):  # it says less than it holds
            return _run(data, name, own, timeline.LONG_S, channel, track)
    return None


def _run_long(
    data: bytes | Spool, name: str, own: Sequence[ModelCard], channel: str | None = None, track: int | None = None
) -> tuple[Analysis, service.Answers]:
    with workers.long_work():
        data = data.read() if isinstance(data, Spool) else data
        return _run(data, name, own, decoding.MAX_DURATION_S, channel, track)


def _run(
    data: bytes, name: str, own: Sequence[ModelCard], max_duration_s: float, channel: str | None, track: int | None
) -> tuple[Analysis, service.Answers]:
    """Return a clip's analysis and the answers of this machine's models: one task of a worker."""
    models = _slugs_and_keys(own)
    asked = {"name": name, "max_duration_s": max_duration_s, "channel": channel, "track": track}
    return workers.run(service.analyse, data, models, paths.models_folder(), **asked)


def _with_imported(
    clip: Analysis, answers: service.Answers, cards: Sequence[ModelCard]
) -> tuple[Analysis, service.Answers]:
    """Return a clip's analysis and the answers of all models, in the order of the cards, from those of this machine's."""
    if not clip.quality.has_speech:
        return clip, []
    own, imported = _by_origin(cards)
    answers = [*answers, *_ask_imported(clip, imported)]
    by_slug = dict(zip([card.slug for card in (*own, *imported)], answers, strict=True))
    return clip, [by_slug[card.slug] for card in cards]


def stream(given: clip_input.ClipInput) -> decoding.Stream:
    """Return a clip of up to an hour, ready to be read in pieces; raises a SerError where that cannot be."""
    runtime.announce()
    return _stream(given.digest, given)


@st.cache_resource(scope="session", max_entries=4, show_spinner=LISTENING)
def _stream(digest: str, _given: clip_input.ClipInput) -> decoding.Stream:
    with _READING.turn():
        return decoding.stream(
            _given.data,
            max_duration_s=timeline.MAX_DURATION_S,
            name=_given.name,
            channel=_given.channel,
            track=_given.track,
        )


def is_short(data: bytes | Spool) -> bool:
    """Whether a clip is one utterance (timeline.LONG_S) by what it says of itself, or does not say, and has no more bytes than that may.

    It is measured whole by a worker, where everybody's clips take turns; of one that is longer after all, no more is read there, and
    nothing is measured.
    """
    if isinstance(data, Spool) or len(data) > SHORT:
        return False
    try:
        duration_s = decoding.declared_duration(data)
    except SerError:  # the worker says why
        return True
    return duration_s is None or duration_s <= timeline.LONG_S


@dataclass(frozen=True)
class Answer:
    """What one model says of a clip, or the sentence why it cannot."""

    card: ModelCard
    prediction: Prediction | None
    problem: str = ""


def answers(given: clip_input.ClipInput, cards: list[ModelCard]) -> list[Answer]:
    """Return one answer a card, in the order of the cards; none where there is no speech."""
    clip = _clip(given, cards)
    if not cards or not clip.analysis.quality.has_speech:
        return []
    # Chosen since the first look; or one could not answer, and is mended meanwhile, perhaps.
    missing = [card for card in cards if not isinstance(clip.answers.get(cached._model_key(card)), Prediction)]
    own, imported = _by_origin(missing)
    more = _ask_imported(clip.analysis, imported)
    if own:
        try:
            asked = given.data, given.name, own, given.channel, given.track
            found = _run_short(*asked) or _run_long(*asked)
            more = [*found[1], *more]
        except SerError as error:
            more = [*[str(error)] * len(own), *more]
    clip.answers.update(zip(map(cached._model_key, [*own, *imported]), more, strict=True))
    return [
        Answer(card, None, each) if isinstance(each, str) else Answer(card, each)
        for card, each in ((card, clip.answers[cached._model_key(card)]) for card in cards)
    ]


def predict_window(
    cards: Sequence[ModelCard], *, only_speech: bool = True, voice: Voice | None = None
) -> timeline.WindowPredictor:
    """Return what analyses the windows of a long sound and asks these models about them, without speech too if not only_speech.

    voice: whose voice the answers are adapted to, None for everybody's.
    """
    return functools.partial(_predict_window, tuple(cards), only_speech, voice)


def _predict_window(
    cards: Sequence[ModelCard], only_speech: bool, voice: Voice | None, waveform: Waveform
) -> tuple[Analysis, list[Prediction]]:
    own, imported = _by_origin(cards)
    folder = paths.models_folder()
    measured, found = workers.run(
        service.predict_window, _slugs_and_keys(own), folder, waveform, only_speech=only_speech
    )
    if imported and (measured.quality.has_speech or not only_speech):
        more = _ask_imported(measured, imported)
        found += [each for each in more if isinstance(each, Prediction)]
    order = [card.slug for card in cards]
    return measured, with_together(sorted(found, key=lambda each: order.index(each.model)), cards, voice)


def _ask_imported(clip: Analysis, imported: Sequence[ModelCard]) -> service.Answers:
    """Return the answers of imported models, each from a process of its own."""
    return service.predict(clip, _slugs_and_keys(imported), paths.models_folder(), inputs_of=_inputs)


def _inputs(waveform: Waveform, features: Features, kind: str) -> np.ndarray:
    """Return what vectors.inputs does; the pretrained encoder runs in a worker."""
    if kind == vectors.EMBEDDING:
        embedding: np.ndarray = workers.run(encoder.embedding, waveform, features.config)[np.newaxis]
        return embedding
    return vectors.inputs(waveform, features, kind)


def _by_origin(cards: Sequence[ModelCard]) -> tuple[list[ModelCard], list[ModelCard]]:
    """Return the models of this machine, and the imported ones: each of these answers from a process of its own (sandbox.py).

    They are not asked through the workers: whoever did not choose them must not wait for them.
    """
    return [card for card in cards if not card.imported], [card for card in cards if card.imported]


def predictions(answers: list[Answer]) -> list[Prediction]:
    """Return the predictions among the answers."""
    return [answer.prediction for answer in answers if answer.prediction]


@dataclass(frozen=True)
class Together:
    """What the models say as one: their pool, and its prediction, or the sentence why there is none."""

    pool: together.Pool
    prediction: Prediction | None
    problem: str = ""


def as_one(answers: Sequence[Answer], said: Prediction | None = None) -> Together | None:
    """Return what the models of some answers say together; None where they have no pool.

    said: that, where it is known: the mean over some windows.
    """
    answered = [each for each in answers if each.prediction] or answers
    pool = together.choose(paths.models_folder(), digests([each.card for each in answered]))
    if pool is None:
        return None
    found = [each.prediction for each in answered if each.prediction]
    if not found:
        return Together(pool, None, answers[0].problem)
    said = said or together.apart(with_together(found, [each.card for each in answered]))[0]
    return Together(pool, said) if said else None


def with_together(
    predictions: Sequence[Prediction], cards: Sequence[ModelCard], voice: Voice | None = None
) -> list[Prediction]:
    """Return predictions of some models after that of all together, where these have a pool; adapted to a voice, where one is given."""
    return together.lead(adapted(predictions, cards, voice), digests(cards), paths.models_folder())


def adapted(predictions: Sequence[Prediction], cards: Sequence[ModelCard], voice: Voice | None) -> list[Prediction]:
    """Return predictions of some models as adapted to a voice; as they are where there is none."""
    if voice is None:
        return list(predictions)
    return together.apart(voice.lead(predictions, digests(cards), paths.models_folder()))[1]


def references(cards: Sequence[ModelCard]) -> list[Reference]:
    """Return what adaptation to a voice needs of this machine's models among these."""
    own = _by_origin(cards)[0]
    return list(_references(_slugs_and_keys(own), paths.models_folder()))


@st.cache_resource(max_entries=8, show_spinner=False)
def _references(models: tuple[tuple[str, str], ...], folder: Path) -> tuple[Reference, ...]:
    return tuple(workers.run(service.references, models, folder).values())


def voice_traits(analysis: Analysis) -> dict[str, float]:
    """Return pitch, range, level and rate of a clip (exploration.of_voice), measured by a worker."""
    found: dict[str, float] = workers.run(exploration.of_voice, analysis.clip, analysis.features)
    return found


def titles(cards: Sequence[ModelCard]) -> dict[str, str]:
    """Return what to call each model, by slug, after all together, where these have a pool."""
    pool = together.choose(paths.models_folder(), digests(cards))
    return ({together.NAME: together.TITLE} if pool else {}) | {card.slug: card.title for card in cards}


def labels(cards: Sequence[ModelCard]) -> dict[str, tuple[str, ...]]:
    """Return what each model may answer, by slug, after all together, as `titles`."""
    pool = together.choose(paths.models_folder(), digests(cards))
    return ({together.NAME: pool.labels} if pool else {}) | {card.slug: card.labels for card in cards}


def digests(cards: Sequence[ModelCard]) -> dict[str, str]:
    """Return of each model, by slug, what tells it from others (together.digest)."""
    return {card.slug: together.digest(card) for card in cards}


@functools.cache
def warm_up() -> threading.Thread:
    """Load in the background what the first clip will need, while its visitor still reads; once a server. Who cannot wait then, joins."""
    thread = threading.Thread(target=_warm_up, daemon=True)
    thread.start()
    return thread


def _warm_up() -> None:
    quiet = Waveform(np.zeros(SAMPLE_RATE, dtype=np.float32), SAMPLE_RATE)
    with contextlib.suppress(SerError, OSError):  # the page tells at the first clip
        models = _slugs_and_keys(_by_origin(cached.models()[0])[0])
        workers.prepare(service.warm_up, quiet, models, paths.models_folder())
    # What is loaded now stays: later collections need not look at it, which takes them a tenth of the time.
    gc.collect()
    gc.freeze()


def _slugs_and_keys(cards: Sequence[ModelCard]) -> tuple[tuple[str, str], ...]:
    return tuple((card.slug, cached._model_key(card)) for card in cards)


def playable(given: clip_input.ClipInput, analysis: Analysis) -> tuple[bytes, str]:
    """Return bytes that every browser plays, and their type: the original where it is such a file, else what the models hear.

    Of several sound tracks a browser plays the first.
    """
    if isinstance(given.data, bytes) and given.source == clip_input.RECORDING:
        return given.data, "audio/wav"
    if isinstance(given.data, bytes) and analysis.clip.container in PLAYABLE and analysis.clip.tracks == 1:
        return given.data, PLAYABLE[analysis.clip.container]
    return _wav(given.digest, analysis), "audio/wav"


@st.cache_data(scope="session", max_entries=4, show_spinner=False)
def _wav(digest: str, _analysis: Analysis) -> bytes:
    return encode_wav(_analysis.clip.waveform)
