"""One clip from bytes to predictions: the path that the pages, the command line and the benchmarks share."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from ser_core.audio import decoding
from ser_core.audio.waveform import Waveform
from ser_core.features import extraction, quality, vectors
from ser_core.features.config import FeatureConfig
from ser_core.features.extraction import Features
from ser_core.features.quality import Quality
from ser_core.recognition import together
from ser_core.recognition.personal import Voice
from ser_core.recognition.recognizer import Prediction, Recognizer
from ser_core.system.spool import Spool

if TYPE_CHECKING:
    from ser_core.recognition.timeline import Timeline


@dataclass(frozen=True)
class Analysis:
    """A decoded clip with its features and its quality report."""

    clip: decoding.Clip
    features: Features
    quality: Quality


def analyse(
    source: bytes | str | os.PathLike[str] | BinaryIO | Spool,
    *,
    name: str = "the file",
    config: FeatureConfig = FeatureConfig(),
    max_duration_s: float = decoding.MAX_DURATION_S,
    channel: str | None = None,
    track: int | None = None,
) -> Analysis:
    """Decode and measure a recording of up to ten minutes, or less where that is said; `name` is used in error sentences.

    channel, track: which of it, as `decoding.decode` takes them.

    Raises AudioError where the bytes are not usable audio, of which TooLongError where there are more seconds.
    """
    return measure(
        decoding.decode(
            source,
            sample_rate=config.sample_rate,
            max_duration_s=max_duration_s,
            name=name,
            channel=channel,
            track=track,
        ),
        config,
    )


def measure(clip: decoding.Clip, config: FeatureConfig = FeatureConfig()) -> Analysis:
    """Return a decoded clip, or a stretch of one, with its features and its quality report."""
    measured = extraction.extract(clip.waveform, config)
    return Analysis(clip, measured, quality.report(clip.waveform, measured))


def measure_samples(waveform: Waveform) -> Analysis:
    """Return what `measure` returns, for sound that is not from a file, such as a window of a stream."""
    return measure(decoding.Clip(waveform, "", waveform.sample_rate, 1))


def recognize(
    recognizers: Sequence[Recognizer], analysis: Analysis, *, folder: Path | None = None, voice: Voice | None = None
) -> list[Prediction]:
    """Return one prediction per recognizer, in their order; an empty list where there is no speech.

    folder: the models folder that they are from; that of all together comes first, where it has one (together.py). voice: whom they are
    adapted to.

    Features are extracted again only for a recognizer whose settings differ from those of the analysis, and the input of models of one
    kind and the same settings is computed once.
    """
    if not analysis.quality.has_speech:
        return []
    input_of = inputs(analysis)
    answers = [each.answer(input_of(each.config, each.input_kind)) for each in recognizers]
    digests = {each.slug: each.digest for each in recognizers}
    if voice:
        return voice.lead(answers, digests, folder)
    return together.lead(answers, digests, folder) if folder else answers


InputsOf = Callable[[Waveform, Features, str], np.ndarray]
"""What vectors.inputs does, perhaps elsewhere."""


def inputs(analysis: Analysis, inputs_of: InputsOf = vectors.inputs) -> Callable[[FeatureConfig, str], np.ndarray]:
    """Return a cached function (feature settings, input_kind) -> the input that inputs_of computes of a clip."""

    @functools.cache
    def measured(config: FeatureConfig) -> Features:
        return (
            analysis.features
            if config == analysis.features.config
            else extraction.extract(analysis.clip.waveform, config)
        )

    @functools.cache
    def seen(config: FeatureConfig, input_kind: str) -> np.ndarray:
        return inputs_of(analysis.clip.waveform, measured(config), input_kind)

    return seen


def reading(clip: decoding.Clip | Timeline) -> dict[str, Any]:
    """Return what was read of a file as JSON values: truncated, channel, track, remarks."""
    return {
        "truncated": clip.truncated,
        "channel": clip.channel,
        "track": clip.track,
        "remarks": list(clip.remarks),
    }


def to_dict(file: str, analysis: Analysis, predictions: Sequence[Prediction]) -> dict[str, Any]:
    """Return the result of one file as JSON values: file, duration_s, what was read, quality, speech, and `answers`."""
    return {
        "file": file,
        "duration_s": round(analysis.clip.waveform.duration_s, 4),
        **reading(analysis.clip),
        "quality": analysis.quality.to_dict(),
        "speech": analysis.quality.has_speech,
        **answers(predictions),
    }


def answers(predictions: Sequence[Prediction]) -> dict[str, Any]:
    """Return predictions as JSON values (fractions 0..1): together, where there is that answer, and predictions, one a model."""
    whole, models = together.apart(predictions)
    found: dict[str, Any] = {together.NAME: whole.to_dict()} if whole else {}
    return found | {"predictions": [each.to_dict() for each in models]}
