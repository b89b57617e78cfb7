"""Whether the maps of explanation/occlusion.py mark what matters: their deletion curves on many clips that a model has not learned from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ser_core import classifiers
from ser_core.corpora import catalogue
from ser_core.dataset import splits
from ser_core.errors import AudioError, CorpusError
from ser_core.explanation import occlusion
from ser_core.features import vectors
from ser_core.recognition import analysis, store
from ser_core.recognition.card import ModelCard
from ser_core.system import untrusted_text

WORDS = (
    "Clips of speakers that the models did not learn from. Of each, the probability of the label that the model answers, while more and "
    "more of the patches are covered, in the order of the map and in random orders. Intervals: 95 % of {n_bootstrap} resamples of clips."
)
N_BOOTSTRAP = 2000


@dataclass(frozen=True)
class Curve:
    """The deletion curves of a model, means over clips.

    shares, by_map, by_chance: as in occlusion.Deletion. area: mean distance of the two, in probability, low and high its interval; holds:
    share of the clips whose map is better than chance; lower: share of those where the map's order lies below the random ones' mean.
    """

    model: str
    n_clips: int
    n_speakers: int
    shares: tuple[float, ...]
    by_map: tuple[float, ...]
    by_chance: tuple[float, ...]
    area: float
    low: float
    high: float
    holds: float
    lower: float


def study(
    models: Sequence[ModelCard],
    clips: pd.DataFrame,
    folder: Path,
    *,
    n_clips: int = 200,
    seed: int = 0,
    on_progress: Callable[[float, str], None] | None = None,
) -> list[Curve]:
    """Return the curves of models of a models folder on clips drawn from those of speakers that none of them learned from.

    Clips that cannot be read, and those without speech, are left out. Raises CorpusError where no clip is left, ModelError.
    """
    recognizers = [store.load(card.slug, folder) for card in models]
    drawn = held_out(models, clips, n_clips=n_clips, rng=np.random.default_rng(seed))
    found: list[list[occlusion.Occlusion]] = []
    speakers = []
    for number, (path, speaker) in enumerate(zip(drawn[catalogue.PATH], drawn[catalogue.SPEAKER], strict=True)):
        if on_progress:
            on_progress(number / len(drawn), "clips")
        try:
            heard = analysis.analyse(path, name=Path(path).name)
        except AudioError:
            continue
        if heard.quality.has_speech:
            rng = np.random.default_rng([seed, number])
            found.append(occlusion.explain(recognizers, heard.clip.waveform, heard.features, rng=rng))
            speakers.append(speaker)
    if not found:
        raise CorpusError("None of the clips can be read and holds speech. Name another corpus with --corpus.")
    return [
        _curve(card.slug, [each[number].deletion for each in found], len(set(speakers)), seed)
        for number, card in enumerate(models)
    ]


def has_map(card: ModelCard) -> bool:
    """Return whether a model is one that occlusion.py explains."""
    spec = classifiers.CLASSIFIERS.get(card.classifier)
    return spec is not None and spec.input_kind != vectors.VECTOR


def held_out(
    models: Sequence[ModelCard], clips: pd.DataFrame, *, n_clips: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Return up to n_clips clips, drawn at random, of speakers that none of the models learned from; raises CorpusError."""
    known: set[str] = set()
    for card in models:
        speakers = card.split.get(splits.TRAIN, {}).get("speakers", [])
        if not speakers:
            raise CorpusError(
                f"The card of model '{card.slug}' does not say whom it learned from, so no clip is new to it for sure."
            )
        known.update(speakers)
    new = clips[~clips[catalogue.SPEAKER].isin(known)]
    if new.empty:
        raise CorpusError(
            f"The models learned from all {clips[catalogue.SPEAKER].nunique()} speakers of these clips. Name another corpus with --corpus."
        )
    chosen = np.sort(rng.permutation(len(new))[:n_clips])
    return new.iloc[chosen].reset_index(drop=True)


def _curve(model: str, curves: Sequence[occlusion.Deletion], n_speakers: int, seed: int) -> Curve:
    areas = np.array([each.area for each in curves])
    draws = np.random.default_rng(seed).integers(0, len(areas), (N_BOOTSTRAP, len(areas)))
    low, high = np.percentile(areas[draws].mean(axis=1), (2.5, 97.5))
    return Curve(
        model=model,
        n_clips=len(curves),
        n_speakers=n_speakers,
        shares=curves[0].shares,
        by_map=_mean([each.by_map for each in curves]),
        by_chance=_mean([each.by_chance for each in curves]),
        area=round(float(areas.mean()), 4),
        low=round(float(low), 4),
        high=round(float(high), 4),
        holds=round(float(np.mean([each.better_than_chance for each in curves])), 4),
        lower=round(float((areas > 0).mean()), 4),
    )


def _mean(rows: Sequence[Sequence[float]]) -> tuple[float, ...]:
    return tuple(round(float(each), 4) for each in np.mean(rows, axis=0))


def to_dict(curves: Sequence[Curve]) -> dict[str, Any]:
    """Return the curves as JSON values."""
    return {"protocol": WORDS.format(n_bootstrap=f"{N_BOOTSTRAP:,}"), "models": [asdict(each) for each in curves]}


def lines(curves: Sequence[Curve]) -> list[str]:
    """Return the curves as lines of text."""
    found = [WORDS.format(n_bootstrap=f"{N_BOOTSTRAP:,}")]
    for each in curves:
        steps = ", ".join(
            f"{share:.0%} covered: {by_map:.0%} by the map, {by_chance:.0%} at random"
            for share, by_map, by_chance in zip(each.shares[1:], each.by_map[1:], each.by_chance[1:], strict=True)
        )
        found += [
            f"{untrusted_text.one_line(each.model)}: {each.n_clips} clips of {each.n_speakers} speakers; {each.by_map[0]:.0%} with nothing "
            f"covered; {steps}",
            f"  distance {100 * each.area:.1f} points ({100 * each.low:.1f} to {100 * each.high:.1f}); better than chance on "
            f"{each.holds:.0%} of the clips, lower on {each.lower:.0%}",
        ]
    return found
