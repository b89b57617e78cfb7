"""What groups of measures contribute to an answer, and which measures of a clip are unusual for a label, in words.

For the models that answer by the summary of a clip (features/vectors.summary). GROUPS is the one place that says which measure is of what
group. ranges.json has what is usual, of the corpora that the shipped models learned from; tools/ranges.py builds it.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ser_core.corpora import catalogue
from ser_core.errors import ConfigError, ModelError
from ser_core.features import functionals, spectral, vectors
from ser_core.features.config import FeatureConfig
from ser_core.metrics import calibration
from ser_core.recognition.recognizer import Recognizer

if TYPE_CHECKING:
    import pandas as pd

    from ser_core.dataset.build import Dataset

PITCH, LOUDNESS, TIMBRE, RHYTHM, VOICE_QUALITY = "pitch", "loudness", "timbre", "rhythm", "voice quality"

GROUPS: dict[str, tuple[str, ...]] = {
    PITCH: (
        "f0",
        "f0_change",
        "f0_step",
        *(name for name in functionals.RHYTHM if name.startswith("f0_")),
    ),
    LOUDNESS: ("rms_db", "rms_db_delta", "loudness", "loudness_delta", "level_step"),
    TIMBRE: (
        "mel_pair",
        "mfcc",
        "contrast",
        "zcr",
        "centroid_hz",
        "flatness_db",
        "roll_50_delta",
        "mel_centre_delta",
        *(name for name in spectral.SPECTRAL if name not in ("loudness", "harmonic_db")),
        *(name for name in spectral.VOICE if name.startswith("peak")),
    ),
    RHYTHM: tuple(name for name in functionals.RHYTHM if not name.startswith("f0_")),
    VOICE_QUALITY: (
        "voicing",
        "voicing_delta",
        "harmonic_db",
        *(name for name in spectral.VOICE if not name.startswith("peak")),
    ),
}
"""Group -> tracks of the summary, without the numbers of bands and coefficients, and measures of the whole clip."""

QUANTILES = tuple(range(0, 101, 5))
"""Percentiles in ranges.json."""

N_UNUSUAL = 5
UNUSUAL = 0.2
"""A measure is unusual for a label where fewer than this share of its clips lie beyond it."""

RANGES = Path(__file__).with_name("ranges.json")


@dataclass(frozen=True)
class Named:
    """A measure that has a plain name: its column, and what a clip is that has more or less of it than others."""

    column: str
    title: str
    more: str
    less: str


NAMED: tuple[Named, ...] = (
    Named("f0_p50", "Pitch", "higher", "lower"),
    Named("f0_std", "Pitch range", "wider", "narrower"),
    Named("f0_slope_abs", "Pitch movement", "quicker", "slower"),
    Named("rms_db_std", "Level range", "wider", "narrower"),
    Named("level_step_mean", "Level changes", "stronger", "weaker"),
    Named("peaks_per_s", "Loudness peaks per second", "more", "fewer"),
    Named("voiced_run_mean_s", "Voiced stretches", "longer", "shorter"),
    Named("unvoiced_run_mean_s", "Pauses and consonants", "longer", "shorter"),
    Named("duration_s", "Length", "longer", "shorter"),
    Named("centroid_hz_mean", "Brightness", "brighter", "darker"),
    Named("alpha_db_mean", "Vocal effort (energy above 1 kHz)", "stronger", "weaker"),
    Named("harmonic_db_mean", "Clearness of the voice (harmonics to noise)", "clearer", "noisier"),
    Named("h1_h2_mean", "Breathiness (first to second harmonic)", "breathier", "tenser"),
)


@dataclass(frozen=True)
class Unusual:
    """A measure of a clip that is unusual for a label. share: of the label's clips that lie on the other side of it, 0.5..1."""

    title: str
    value: float
    share: float
    words: str


@dataclass(frozen=True)
class Contributions:
    """What each group of measures contributes to a label's probability.

    fall: group -> how much the probability falls where the group's measures are those of the average training clip; negative where it
    rises. unusual: measures of the clip that are unusual for the label, the most unusual first, none where nothing is known.
    """

    label: str
    probability: float
    fall: dict[str, float]
    unusual: tuple[Unusual, ...]

    @property
    def sentence(self) -> str:
        """Which group counts most, in words."""
        group = max(self.fall, key=lambda name: self.fall[name])
        if self.fall[group] <= 0.005:
            return f"No group of measures alone makes {self.label} more probable than the average clip's would."
        return (
            f"{group.capitalize()} counts most for {self.label}: with that of the average training clip, its probability would be "
            f"{100 * (self.probability - self.fall[group]):.0f} % in place of {100 * self.probability:.0f} %."
        )


@functools.lru_cache(maxsize=16)
def columns(config: FeatureConfig) -> Mapping[str, np.ndarray]:
    """Return the columns of each group in the summary of a clip: group -> int (n_columns_of_group,)."""
    group_of = {name: group for group, names in GROUPS.items() for name in names}
    found: dict[str, list[int]] = {group: [] for group in GROUPS}
    for number, column in enumerate(vectors.summary_columns(config)):
        found[group_of[_track(column)]].append(number)
    return {group: np.array(numbers) for group, numbers in found.items()}


def _track(column: str) -> str:
    """Return what a column measures: mfcc_03_mean -> mfcc, f0_step_p50 -> f0_step, voiced_share -> voiced_share."""
    if column in functionals.RHYTHM:
        return column
    (ending,) = (each for each in functionals.STATISTICS if column.endswith(f"_{each}"))
    track = column.removesuffix(f"_{ending}")
    head, _, number = track.rpartition("_")
    return head if head in ("mel_pair", "mfcc", "contrast") and number.isdigit() else track


def explain(recognizer: Recognizer, items: np.ndarray, *, label: str | None = None) -> Contributions:
    """Return what the groups of measures contribute. items: the summary of a clip, (1, n_columns); label: its answer where none is named.

    Raises ModelError for a model that answers by something else, or was imported, and ConfigError for a label that it does not have.
    """
    average: tuple[np.ndarray, np.ndarray] | None = getattr(recognizer.classifier, "average", None)
    if recognizer.input_kind != vectors.VECTOR or average is None:
        raise ModelError(f"Of model '{recognizer.slug}' nobody knows here what its average training clip is like.")
    if label is not None and label not in recognizer.labels:
        raise ConfigError(
            f"Model '{recognizer.slug}' has no label {label!r}. Choose from {', '.join(recognizer.labels)}."
        )
    groups = columns(recognizer.config)
    variants = np.repeat(items, 1 + len(groups), axis=0)
    for number, of_group in enumerate(groups.values(), start=1):
        variants[number, of_group] = average[0][of_group]
    answers = calibration.calibrate(recognizer.classifier.predict_proba(variants), recognizer.temperature)
    position = recognizer.labels.index(label) if label else int(answers[0].argmax())
    probability = float(answers[0, position])
    return Contributions(
        label=recognizer.labels[position],
        probability=round(probability, 6),
        fall={
            group: round(probability - float(answers[number, position]), 6)
            for number, group in enumerate(groups, start=1)
        },
        unusual=unusual(items[0], recognizer.config, recognizer.labels[position]),
    )


def unusual(summary: np.ndarray, config: FeatureConfig, label: str) -> tuple[Unusual, ...]:
    """Return the measures of a clip that are most unusual for a label, of NAMED; none with settings or a label that have no ranges."""
    known = _ranges()
    if config != FeatureConfig() or label not in known:
        return ()
    names = vectors.summary_columns(config)
    found = []
    for each in NAMED:
        value = float(summary[names.index(each.column)])
        below = float(np.interp(value, known[label][each.column], QUANTILES)) / 100
        share, word = (below, each.more) if below >= 0.5 else (1 - below, each.less)
        if share > 1 - UNUSUAL:
            words = f"{each.title}: {word} than {min(100 * share, 99):.0f} % of {label} clips"
            found.append(Unusual(each.title, round(value, 4), round(share, 4), words))
    return tuple(sorted(found, key=lambda each: -each.share)[:N_UNUSUAL])


@functools.lru_cache(maxsize=1)
def _ranges() -> dict[str, dict[str, list[float]]]:
    values: dict[str, dict[str, list[float]]] = json.loads(RANGES.read_text(encoding="utf-8"))["percentiles"]
    return values


def ranges(clips: pd.DataFrame, data: Dataset) -> dict[str, Any]:
    """Return what ranges.json holds: percentiles of the NAMED measures by label; all corpora that have a label count the same for it."""
    rows = np.flatnonzero(data.copy == 0)
    labels = clips[catalogue.EMOTION].to_numpy()[data.clip[rows]]
    corpora = clips[catalogue.CORPUS].to_numpy()[data.clip[rows]]
    names = vectors.summary_columns(FeatureConfig())
    found: dict[str, dict[str, list[float]]] = {}
    for label in catalogue.LABELS:
        inside = labels == label
        if not inside.any():
            continue
        _, of_corpus, counts = np.unique(corpora[inside].astype(str), return_inverse=True, return_counts=True)
        weight = 1 / counts[of_corpus]
        found[label] = {
            each.column: _percentiles(data.vectors[rows[inside], names.index(each.column)], weight) for each in NAMED
        }
    return {"corpora": sorted(set(map(str, corpora))), "n_clips": len(rows), "percentiles": found}


def _percentiles(values: np.ndarray, weight: np.ndarray) -> list[float]:
    order = np.argsort(values)
    until = np.cumsum(weight[order])
    places = 100 * (until - weight[order] / 2) / until[-1]
    return [round(float(each), 4) for each in np.interp(QUANTILES, places, values[order].astype(float))]
