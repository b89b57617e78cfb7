"""What worker processes run: why models answer as they do about a clip that was measured before, each by what suits its kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ser_core.audio.waveform import Waveform
from ser_core.errors import SerError
from ser_core.explanation import occlusion
from ser_core.explanation.occlusion import Occlusion
from ser_core.features import extraction
from ser_core.recognition import service
from ser_core.recognition.recognizer import Recognizer
from ser_core.recognition.service import Models

UNKNOWN = "There is no explanation of models of this kind yet."


@dataclass(frozen=True)
class Explanation:
    """Why a model answers as it does: a map of where it looks."""

    model: str
    label: str
    probability: float
    occlusion: Occlusion | None = None


def explain(
    waveform: Waveform, models: Models, folder: Path, *, labels: Mapping[str, str] | None = None
) -> list[Explanation | str]:
    """Return an explanation of each model of a models folder, or the sentence why there is none, in their order.

    labels: the label that is explained, by slug; for the others it is the model's answer.
    """
    found: dict[str, Explanation | str] = {}
    loaded: list[Recognizer] = []
    for slug, key in models:
        try:
            loaded.append(service.loaded(slug, key, folder))
        except SerError as error:
            found[slug] = str(error)
    measured = extraction.extract(waveform)
    pictures = [each for each in loaded if occlusion.explains(each)]
    found |= _maps(pictures, waveform, measured, labels or {})
    return [found.get(slug, UNKNOWN) for slug, _ in models]


def _maps(
    recognizers: Sequence[Recognizer], waveform: Waveform, measured: extraction.Features, labels: Mapping[str, str]
) -> dict[str, Explanation | str]:
    """Return the maps by slug: of all models at once, or, where that fails, of one after another."""
    if not recognizers:
        return {}
    chosen = [labels.get(each.slug) for each in recognizers]
    try:
        maps = occlusion.explain(recognizers, waveform, measured, labels=chosen)
    except SerError as error:
        if len(recognizers) == 1:
            return {recognizers[0].slug: str(error)}
        parts = [_maps([each], waveform, measured, labels) for each in recognizers]
        return {slug: each for part in parts for slug, each in part.items()}
    return {
        recognizer.slug: Explanation(recognizer.slug, each.label, each.probability, occlusion=each)
        for recognizer, each in zip(recognizers, maps, strict=True)
    }
