"""What worker processes run: why models answer as they do about a clip that was measured before, each by what suits its kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ser_core.audio import waveform as audio_waveform
from ser_core.audio.waveform import Waveform
from ser_core.errors import SerError
from ser_core.explanation import measures, neighbours, occlusion
from ser_core.explanation.measures import Contributions
from ser_core.explanation.neighbours import Neighbours
from ser_core.explanation.occlusion import Occlusion
from ser_core.features import extraction, vectors
from ser_core.recognition import service, store
from ser_core.recognition.recognizer import Recognizer
from ser_core.recognition.service import Models


@dataclass(frozen=True)
class Explanation:
    """Why a model answers as it does, by what suits its kind: a map of where it looks, what groups of measures contribute, and, for KNN,
    the training recordings that are most alike; None for what does not suit. parts: with a map that marks something, the part of the clip
    that counts and the rest of it, to hear, as FLAC files.
    """

    model: str
    label: str
    probability: float
    occlusion: Occlusion | None = None
    measures: Contributions | None = None
    neighbours: Neighbours | None = None
    parts: tuple[bytes, bytes] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the explanation as JSON values, without its sound."""
        return asdict(replace(self, parts=None)) | {
            "sentences": self.sentences,
            "better_than_chance": self.occlusion.deletion.better_than_chance if self.occlusion else None,
        }

    @property
    def sentences(self) -> list[str]:
        """The explanation in words, for a student: what counts, and whether the map holds."""
        found = []
        if self.occlusion:
            found.append(self.occlusion.sentence)
            if self.occlusion.deletion.better_than_chance:
                found.append(self.occlusion.summary)
        found += [each.sentence for each in (self.measures, self.neighbours) if each]
        return found


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
    for each in loaded:
        if each not in pictures:
            found[each.slug] = _by_measures(each, waveform, measured, folder, (labels or {}).get(each.slug))
    return [found[slug] for slug, _ in models]


def _by_measures(
    recognizer: Recognizer, waveform: Waveform, measured: extraction.Features, folder: Path, label: str | None
) -> Explanation | str:
    """Return the explanation of a model that answers by the summary of a clip."""
    if measured.config != recognizer.config:
        measured = extraction.extract(waveform, recognizer.config)
    try:
        items = vectors.inputs(waveform, measured, recognizer.input_kind)
        by_group = measures.explain(recognizer, items, label=label)
        near = None
        if getattr(recognizer.classifier, "neighbourhood", None):
            recordings = neighbours.read(store.read_card(recognizer.slug, folder), folder)
            near = neighbours.nearest(recognizer, items, recordings)
    except SerError as error:
        return str(error)
    return Explanation(recognizer.slug, by_group.label, by_group.probability, measures=by_group, neighbours=near)


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
        recognizer.slug: Explanation(
            recognizer.slug, each.label, each.probability, occlusion=each, parts=_parts(waveform, each)
        )
        for recognizer, each in zip(recognizers, maps, strict=True)
    }


def _parts(waveform: Waveform, found: Occlusion) -> tuple[bytes, bytes] | None:
    """Return the part of a clip that counts and the rest of it as FLAC files; None where nothing counts."""
    if not occlusion.kept(found).any():
        return None
    kept, removed = (
        audio_waveform.encode_pcm(audio_waveform.to_pcm(each.samples), each.sample_rate, container="FLAC")
        for each in occlusion.split(waveform, found)
    )
    return kept, removed
