"""Clips analysed and models asked, behind Streamlit's caches: by worker processes, never in the server, and in one task a clip.

On Recognize a clip's pretrained models answer in tasks of their own, which wait until nobody's first task does: the encoder takes longer
than all else.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import streamlit as st

from pages.ui import cached, clip_input, runtime
from pages.ui.task import Task
from ser_core import paths
from ser_core.audio import decoding
from ser_core.audio.waveform import SAMPLE_RATE, Waveform, encode_wav
from ser_core.dataset import exploration
from ser_core.errors import AudioError, SerError
from ser_core.explanation import what_if
from ser_core.features import encoder, vectors
from ser_core.features.extraction import Features
from ser_core.recognition import service, store, timeline, together
from ser_core.recognition.analysis import Analysis
from ser_core.recognition.card import ModelCard
from ser_core.recognition.personal import Reference, Voice
from ser_core.recognition.recognizer import Prediction
from ser_core.system import workers
from ser_core.system.spool import Spool

SHORT = 3 * 2**20
"""Bytes that a short clip has at most: eight seconds of 48 kHz stereo in 32 bits have as many."""

LISTENING = "Listening to the clip …"

LEFT_OUT = "Left out while many are waiting here: this model takes longest."
"""Why a pretrained model has not answered."""

CLIPS = 8
"""Clips with their answers that a visit keeps at hand: the page's two, a part that was asked about, and those that were heard since."""

_READING = workers.Line()
"""Long recordings are read through in the server, one at a time: two at once would hold up its pages."""

PLAYABLE = {"MP3": "audio/mpeg", "FLAC": "audio/flac", "MP4": "audio/mp4"}
"""Containers that Chrome, Firefox and Safari all play; a WAV of unknown origin may hold codecs that they do not."""


@dataclass(frozen=True)
class _Clip:
    """What is known of a visitor's clip: its analysis, the answers so far, and what works on later ones, by the models' keys."""

    analysis: Analysis
    answers: dict[str, Prediction | str]
    tasks: dict[str, Task] = field(default_factory=dict)


def analyse(given: clip_input.ClipInput, cards: Sequence[ModelCard] = ()) -> Analysis:
    """Return a clip decoded, measured with the default settings and judged; raises a SerError where that cannot be.

    cards: the models that `ask` will be called with; the answers of those that are not pretrained come with it, so that the clip goes to
    a worker once.
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


@st.cache_resource(scope="session", max_entries=CLIPS, show_spinner=False)
def _short_clip(digest: str, _given: clip_input.ClipInput, _cards: Sequence[ModelCard]) -> _Clip | None:
    own = _by_origin(_first(_cards))[0]
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
    own = _by_origin(_first(_cards))[0]
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
    """What one model says of a clip, or the sentence why it cannot; neither where it has still to answer.

    may_follow: whether it will, or may be asked again: it was left out because much else waits.
    """

    card: ModelCard
    prediction: Prediction | None
    problem: str = ""
    may_follow: bool = False


@dataclass(frozen=True)
class Asked:
    """Some models that were asked about a clip. Unlike `ask`, it may be used in any thread. voice: whom their answers are adapted to."""

    clip: _Clip
    cards: Sequence[ModelCard]
    voice: Voice | None = None

    @property
    def waits(self) -> bool:
        """Whether an answer is on its way."""
        return any(each.running for each in self._tasks())

    def answers(self) -> list[Answer]:
        """Return one answer a card as it is now, in the order of the cards; none where there is no speech."""
        return [self._answer(card) for card in self.cards] if self.clip.analysis.quality.has_speech else []

    def predictions(self) -> list[Prediction]:
        """Return the predictions so far, after that of all together, where those models have a pool."""
        return with_together([each.prediction for each in self.answers() if each.prediction], self.cards)

    def _answer(self, card: ModelCard) -> Answer:
        task = self.clip.tasks.get(cached._model_key(card))
        is_on_its_way = task is not None and task.running  # looked at before its answer, which comes first
        found = self.clip.answers.get(cached._model_key(card))
        if isinstance(found, Prediction):
            return Answer(card, adapted([found], [card], self.voice)[0])
        if found is not None:
            return Answer(card, None, found)
        problem = "" if is_on_its_way else (task.problem if task else "") or LEFT_OUT
        return Answer(card, None, problem, may_follow=True)

    def _tasks(self) -> list[Task]:
        return [self.clip.tasks[key] for key in map(cached._model_key, self.cards) if key in self.clip.tasks]


def ask(
    given: clip_input.ClipInput, cards: list[ModelCard], *, with_pretrained: bool = True, voice: Voice | None = None
) -> Asked:
    """Ask models about a clip, where there is speech in it and they have not answered yet; all but the pretrained ones answer at once.

    Those follow, each when there is time for it, if with_pretrained; else they are left out, unless they have answered before. voice:
    whose voice the answers are adapted to, None for everybody's.
    """
    clip = _clip(given, cards)
    if clip.analysis.quality.has_speech:
        # Chosen since the first look; or one could not answer, and is mended meanwhile, perhaps.
        missing = [card for card in cards if not isinstance(clip.answers.get(cached._model_key(card)), Prediction)]
        first = _first(missing)
        _ask_first(given, clip, first)
        for card in missing:
            if with_pretrained and card not in first:
                clip.tasks.setdefault(cached._model_key(card), Task()).start(functools.partial(_ask_later, clip, card))
    return Asked(clip, cards, voice)


def _ask_first(given: clip_input.ClipInput, clip: _Clip, cards: Sequence[ModelCard]) -> None:
    own, imported = _by_origin(cards)
    more = _ask_imported(clip.analysis, imported)
    if own:
        try:
            asked = given.data, given.name, own, given.channel, given.track
            found = _run_short(*asked) or _run_long(*asked)
            more = [*found[1], *more]
        except SerError as error:
            more = [*[str(error)] * len(own), *more]
    clip.answers.update(zip(map(cached._model_key, [*own, *imported]), more, strict=True))


def _ask_later(clip: _Clip, card: ModelCard, task: Task) -> None:
    """Have one model answer when there is time for it; an imported one needs a worker for the encoder alone."""
    try:
        with workers.later_work():
            if card.imported:
                (found,) = _ask_imported(clip.analysis, [card])
            else:
                asked = clip.analysis.clip.waveform, _slugs_and_keys([card]), paths.models_folder()
                (found,) = workers.run(service.predict_waveform, *asked)
    except workers.NoRoomError as error:
        raise SerError(LEFT_OUT) from error
    clip.answers[cached._model_key(card)] = found


def _first(cards: Sequence[ModelCard]) -> list[ModelCard]:
    """Return the models that answer at once: those that are not pretrained."""
    return [card for card in cards if not store.is_pretrained(card)]


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


@dataclass(frozen=True)
class Together:
    """What the models say as one: their pool, and its prediction, or the sentence why there is none; neither before one of them answers."""

    pool: together.Pool
    prediction: Prediction | None
    problem: str = ""


def as_one(answers: Sequence[Answer], said: Prediction | None = None) -> Together | None:
    """Return what the models of some answers say together; None where they have no pool.

    Before one of them answers, it is what the others say, where those have a pool. said: the prediction, where it is known: the mean over
    some windows.
    """
    answered = [each for each in answers if each.prediction] or answers
    pool = together.choose(paths.models_folder(), digests([each.card for each in answered]))
    if pool is None:
        return _awaited(answers)
    found = [each.prediction for each in answered if each.prediction]
    if not found:
        return Together(pool, None, answers[0].problem)
    said = said or together.apart(with_together(found, [each.card for each in answered]))[0]
    return Together(pool, said) if said else None


def _awaited(answers: Sequence[Answer]) -> Together | None:
    """Return the pool that needs an answer that may follow, None where there is none."""
    there = [each for each in answers if each.prediction or each.may_follow]
    pool = together.choose(paths.models_folder(), digests([each.card for each in there]))
    if pool is None:
        return None
    missing = [each.card.title for each in there if each.problem and each.card.slug in pool.weights]
    return Together(pool, None, f"It needs the answer of {' and '.join(missing)}." if missing else "")


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
    models, folder = _slugs_and_keys(_by_origin(cards)[0]), paths.models_folder()
    found = _references(models, folder)
    if len(found) < len(models):
        _references.clear(models, folder)  # the one that could not be loaded may be mended meanwhile
    return list(found)


@st.cache_resource(max_entries=8, show_spinner=False)
def _references(models: tuple[tuple[str, str], ...], folder: Path) -> tuple[Reference, ...]:
    return tuple(workers.run(service.references, models, folder).values())


def change(
    waveform: Waveform, condition: str, level: float, cards: Sequence[ModelCard]
) -> tuple[Waveform, list[Prediction]]:
    """Return a clip under a condition (what_if.change) and what this machine's models among these say of it; raises a SerError."""
    models = _slugs_and_keys(_by_origin(cards)[0])
    changed, found = workers.run(
        what_if.hear, waveform, condition, level, models, paths.models_folder(), cached.SAMPLES
    )
    return changed, [each for each in found if isinstance(each, Prediction)]


def ask_changed(
    waveform: Waveform, condition: str, cards: Sequence[ModelCard]
) -> dict[what_if.Variant, list[Prediction]]:
    """Return what this machine's models among these say of a clip at every level of a condition, when nobody's first answer waits.

    Raises a NoRoomError where too much waits.
    """
    models = _slugs_and_keys(_by_origin(cards)[0])
    with workers.later_work():
        found = workers.run(what_if.ask, waveform, condition, models, paths.models_folder(), cached.SAMPLES)
    return {
        (condition, level): [each for each in answers if isinstance(each, Prediction)]
        for level, answers in zip(what_if.levels(condition), found, strict=True)
    }


def voice_traits(analysis: Analysis, names: Sequence[str] = exploration.VOICE) -> dict[str, float]:
    """Return figures of a clip's voice (exploration.of_voice), measured by a worker."""
    found: dict[str, float] = workers.run(exploration.of_voice, analysis.clip, analysis.features, names)
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
