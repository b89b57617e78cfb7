"""What worker processes run: predictions of models for a clip or a window."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

from ser_core.audio.waveform import Waveform
from ser_core.errors import SerError
from ser_core.recognition import analysis, store
from ser_core.recognition.analysis import Analysis
from ser_core.recognition.recognizer import Prediction, Recognizer


def ask(heard: Analysis, models: Sequence[tuple[str, str]], folder: Path) -> list[Prediction | str]:
    """Return the results of some models of a models folder for a clip, in their order: a prediction, or a sentence on why there is none.

    models: slug and key of each; a model is read again where its key has changed. The input of models of one kind and the same settings
    is computed once. Runs in the calling process; imported models run in separate processes (sandbox.py).
    """
    seen = analysis.inputs(heard)
    answers: list[Prediction | str] = []
    for slug, key in models:
        try:
            model = _load(slug, key, folder)
            answers.append(model.answer(seen(model.config, model.input_kind)))
        except SerError as error:
            answers.append(str(error))
    return answers


def judge(models: Sequence[tuple[str, str]], folder: Path, waveform: Waveform) -> tuple[Analysis, list[Prediction]]:
    """Return the analysis of a window and, where there is speech in it, the predictions of those models that succeed (see `ask`)."""
    measured = analysis.measure_samples(waveform)
    answers = ask(measured, models, folder) if measured.quality.has_speech else []
    return measured, [each for each in answers if isinstance(each, Prediction)]


@functools.lru_cache(maxsize=16)
def _load(slug: str, key: str, folder: Path) -> Recognizer:
    return store.load(slug, folder)
