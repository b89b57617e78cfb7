"""What worker processes run: a clip or a window from its sound to its analysis and the models' answers, in one task."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ser_core.audio import decoding
from ser_core.audio.waveform import Waveform
from ser_core.errors import SerError
from ser_core.features import encoder, extraction, vectors
from ser_core.features.config import FeatureConfig
from ser_core.recognition import analysis, personal, store
from ser_core.recognition.analysis import Analysis, InputsOf
from ser_core.recognition.personal import PersonalError, Reference, Take
from ser_core.recognition.recognizer import Prediction, Recognizer

Models = Sequence[tuple[str, str]]
"""Slug and key of each model that is asked: it is read again where its key has changed."""

Answers = list[Prediction | str]
"""Of each model, in their order, a prediction, or a sentence on why there is none."""


def analyse(
    data: bytes,
    models: Models,
    folder: Path,
    *,
    name: str,
    max_duration_s: float = decoding.MAX_DURATION_S,
    channel: str | None = None,
    track: int | None = None,
) -> tuple[Analysis, Answers]:
    """Return a recording's analysis and, where there is speech in it, the answers of some models of a models folder.

    channel, track: which of it, as `decoding.decode` takes them.

    Raises AudioError where the bytes are not usable audio; a TooLongError, before anything is measured, where there are more seconds.
    """
    clip = decoding.decode(data, max_duration_s=max_duration_s, name=name, channel=channel, track=track)
    if clip.waveform.duration_s > max_duration_s:  # the decoder forgives some padding
        raise decoding.TooLongError(f"{name} is longer than {max_duration_s:g} s. Cut it into shorter pieces.")
    measured = analysis.measure(clip)
    return measured, predict(measured, models, folder) if measured.quality.has_speech else []


def predict(clip: Analysis, models: Models, folder: Path, *, inputs_of: InputsOf = vectors.inputs) -> Answers:
    """Return the answers of some models of a models folder for a clip, speech or not. inputs_of: what computes their input.

    The input of models of one kind and the same settings is computed once. Runs in the calling process; imported models run in separate
    processes (sandbox.py).
    """
    return _ask(models, folder, analysis.inputs(clip, inputs_of))


def predict_waveform(waveform: Waveform, models: Models, folder: Path) -> Answers:
    """Return the answers of some models for sound that was decoded before, as `predict` does; no features for the pretrained ones."""

    @functools.cache
    def input_of(config: FeatureConfig, input_kind: str) -> np.ndarray:
        if input_kind == vectors.EMBEDDING:
            return encoder.embedding(waveform, config)[np.newaxis]
        return vectors.inputs(waveform, extraction.extract(waveform, config), input_kind)

    return _ask(models, folder, input_of)


def _ask(models: Models, folder: Path, input_of: Callable[[FeatureConfig, str], np.ndarray]) -> Answers:
    answers: Answers = []
    for slug, key in models:
        try:
            model = loaded(slug, key, folder)
            answers.append(model.answer(input_of(model.config, model.input_kind)))
        except SerError as error:
            answers.append(str(error))
    return answers


def enrol(
    data: bytes,
    label: str,
    models: Models,
    folder: Path,
    *,
    name: str,
    max_duration_s: float = decoding.MAX_DURATION_S,
) -> Take:
    """Return a recording whose label is known as a take of some models of a models folder, for personal.adapt.

    Raises AudioError as `analyse`, and PersonalError where there is no speech in it or no model answers.
    """
    measured, answers = analyse(data, models, folder, name=name, max_duration_s=max_duration_s)
    if not measured.quality.has_speech:
        raise PersonalError(f"There is no speech in {name}. Record it again, closer to the microphone.")
    found = [each for each in answers if isinstance(each, Prediction)]
    if not found:
        raise PersonalError(str(answers[0]) if answers else "No model was asked. Choose one or more.")
    return personal.take_of(label, found)


def references(models: Models, folder: Path) -> dict[str, Reference]:
    """Return what personal.adapt needs of some models of a models folder, by slug; those that cannot be loaded are left out."""
    found = {}
    for slug, key in models:
        with contextlib.suppress(SerError):
            found[slug] = personal.reference(loaded(slug, key, folder))
    return found


def predict_window(
    models: Models, folder: Path, waveform: Waveform, *, only_speech: bool = True
) -> tuple[Analysis, list[Prediction]]:
    """Return the analysis of a window and the predictions of those models that succeed; without speech none, if only_speech."""
    measured = analysis.measure_samples(waveform)
    answers = predict(measured, models, folder) if measured.quality.has_speech or not only_speech else []
    return measured, [each for each in answers if isinstance(each, Prediction)]


def warm_up(waveform: Waveform, models: Models, folder: Path) -> None:
    """Load what the first clip will need: the libraries and these models."""
    predict_window(models, folder, waveform, only_speech=False)


@functools.lru_cache(maxsize=16)
def loaded(slug: str, key: str, folder: Path) -> Recognizer:
    """Return a model of a models folder, read once for each key; raises ModelError."""
    return store.load(slug, folder)
