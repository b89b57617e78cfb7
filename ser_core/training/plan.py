"""What a choice of settings means for certain clips, before anything is computed: parts, labels, time, doubts, and why it cannot work.

`prepare` is what a run itself starts from, so that what is said beforehand is what happens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ser_core import classifiers, paths
from ser_core.corpora import catalogue
from ser_core.dataset import duplicates, splits
from ser_core.dataset.duplicates import Sounds
from ser_core.dataset.labels import apply, present
from ser_core.errors import ConfigError, CorpusError, SerError
from ser_core.metrics import evaluation
from ser_core.recognition import store
from ser_core.recognition.card import ModelCard
from ser_core.training import balance, contamination, run_folder
from ser_core.training.config import RunConfig

SEARCH_FOLDS = 3
FEW_VALIDATION = 10
"""Below so many validation clips, the best epoch is a matter of chance."""

FEW_CLIPS = 20
"""Training clips of a label below which a warning is due."""

UNEVEN = 3.0
"""How many times as many clips the largest label may have as the smallest before a warning is due."""

LONG_S = 3600.0

RATES: dict[str, float] = {
    "sounds": 100.0,
    "features": 60.0,
    "knn": 3700.0,
    "mlp": 25_000.0,
    "cnn": 1000.0,
    "cnn_lstm": 700.0,
    "svm": 3500.0,
    "forest": 280.0,
    "boosting": 2500.0,
    "logistic": 1500.0,
    "lda": 2000.0,
    "transfer": 1500.0,
}
"""Clips per second, measured on two cores: sounds per clip that is compared, features per clip and copy, the others per
training clip (and epoch, where there are epochs). What the last runs on this machine managed takes their place."""

START_UP_S = {"vector": 3.0, "embedding": 3.0, "frames": 12.0}
"""Loading libraries and, for networks, building and compiling."""


@dataclass(frozen=True)
class Prepared:
    """The clips of a run with their labels mapped, and who is in which part.

    labels: what the model will answer, in order. left_out: label -> clips without one. part: str (n_clips,), one of splits.PARTS,
    for the model that is saved. folds: int (n_clips,), the fold in which each clip is tested or, in a search, compared; -1 for clips
    that take no part in it; None where there is neither. sounds: a key of each clip's recording, str (n_clips,), None where unknown.
    n_doubles: second copies of recordings that were left out, because speakers who share recordings could not be kept apart.
    """

    clips: pd.DataFrame
    labels: tuple[str, ...]
    left_out: dict[str, int]
    part: np.ndarray
    folds: np.ndarray | None
    sounds: np.ndarray | None = None
    n_doubles: int = 0

    @property
    def learnable(self) -> np.ndarray:
        """bool (n_clips,): the clips that some fit of the run may learn from, and that are worth augmenting."""
        is_train: np.ndarray = self.part == splits.TRAIN if self.folds is None else self.part != splits.TEST
        return is_train


@dataclass(frozen=True)
class Part:
    """One part of a split: counts of clips by label and by corpus."""

    name: str
    n_clips: int
    n_speakers: int
    labels: dict[str, int]
    corpora: dict[str, int]


@dataclass(frozen=True)
class Plan:
    """What a run will be.

    seconds: stage -> estimated seconds. warnings and problems: sentences; with a problem it cannot start. compared: whether it is known
    which recordings occur more than once; if not, the run finds out first, and the warnings say nothing of it.
    """

    labels: tuple[str, ...] = ()
    left_out: dict[str, int] | None = None
    n_clips: int = 0
    n_speakers: int = 0
    parts: tuple[Part, ...] = ()
    n_fits: int = 0
    seconds: dict[str, float] | None = None
    warnings: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    compared: bool = True

    @property
    def total_s(self) -> float:
        """Estimated seconds of the whole run."""
        return sum((self.seconds or {}).values())


def prepare(clips: pd.DataFrame, config: RunConfig, sounds: Sounds | None = None) -> Prepared:
    """Return mapped clips and their parts; raises CorpusError or ConfigError where the choice cannot work.

    sounds : what is known of the clips by sound: clips with one recording are then in one part and one fold, and so are their speakers.
        Where too few speakers are left by that, one clip of each recording takes part.
    """
    mapped = apply(clips, config.mapping)
    labels = present(mapped)
    if len(labels) < 2:
        raise CorpusError(
            f"All clips are {labels[0]}; a model needs two labels or more. Choose more labels or other corpora."
        )
    counts = clips[catalogue.EMOTION].map(config.mapping.of)
    left_out = {str(label): int(n) for label, n in clips[catalogue.EMOTION][counts.isna()].value_counts().items()}
    keys = sounds.keys(mapped) if sounds else None
    try:
        return Prepared(mapped, labels, left_out, *_split(mapped, config, keys), keys)
    except CorpusError:
        if keys is None or not duplicates.several(keys, len(keys)).any():
            raise
    first = ~pd.Series(keys).duplicated().to_numpy()
    once = mapped[first].reset_index(drop=True)
    return Prepared(once, present(once), left_out, *_split(once, config, keys[first]), keys[first], int((~first).sum()))


def _split(clips: pd.DataFrame, config: RunConfig, sounds: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Return part and folds, as Prepared has them."""
    cross = config.folds > 0 and not config.grid
    part = splits.parts(
        clips,
        config.protocol,
        test=0.0 if cross else config.test_share,
        validation=config.validation_share,
        rng=np.random.default_rng(config.seed),
        sounds=sounds,
    )
    folds = None
    if cross:
        folds = splits.cross_folds(
            clips, config.protocol, config.folds, rng=np.random.default_rng(config.seed), sounds=sounds
        )
    elif config.grid:
        inside = part != splits.TEST
        folds = np.full(len(clips), -1)
        folds[inside] = splits.cross_folds(
            clips[inside].reset_index(drop=True),
            config.protocol,
            config.folds or SEARCH_FOLDS,
            rng=np.random.default_rng(config.seed),
            sounds=None if sounds is None else sounds[inside],
        )
    return part, folds


def plan(
    clips: pd.DataFrame,
    config: RunConfig,
    *,
    rates: Mapping[str, float] | None = None,
    models: Path | None = None,
    sounds: Sounds | None = None,
) -> Plan:
    """Return what a run with these settings on these clips will be; never raises for what a user can cause.

    sounds : what is known of the clips by sound, see `prepare`; None: it is not known yet.
    rates : what this machine managed before (run_folder.read_rates), in place of RATES.
    """
    models = models or paths.models_folder()
    problems = _start_problems(config, models)
    try:
        prepared = prepare(clips, config, sounds)
    except SerError as error:
        return Plan(problems=(*problems, _with_way_out(str(error), clips, config)))
    parts = _parts(prepared)
    by_name = {part.name: part for part in parts}
    problems += _part_problems(by_name, config)
    rates = {**RATES, **(rates or {})}
    seconds, n_fits = estimate(prepared, config, rates)
    if sounds is None:
        seconds = {run_folder.COMPARING: round(len(clips) / rates["sounds"], 1)} | seconds
    warnings = (
        _part_warnings(prepared, by_name, config)
        + _choice_warnings(config)
        + _start_warnings(prepared, config, models, sounds)
    )
    if doubles := sound_warning(prepared, clips, config, sounds):
        warnings.insert(0, doubles)
    if sum(seconds.values()) > LONG_S:
        hours = sum(seconds.values()) / 3600
        warnings.append(f"This will take about {hours:.1f} hours. A preset, fewer folds or a smaller grid take less.")
    speakers = prepared.clips[catalogue.SPEAKER].nunique()
    return Plan(
        prepared.labels,
        prepared.left_out,
        len(prepared.clips),
        speakers,
        parts,
        n_fits,
        seconds,
        tuple(warnings),
        tuple(problems),
        compared=sounds is not None,
    )


def sound_warning(prepared: Prepared, clips: pd.DataFrame, config: RunConfig, sounds: Sounds | None) -> str:
    """Return in words which recordings occur more than once among the clips of a run, and what is done about it; "" where none does."""
    mapped = apply(clips, config.mapping)
    told = duplicates.told(mapped, sounds.keys(mapped) if sounds else None)
    if not told:
        return ""
    n = prepared.n_doubles
    if n:
        return f"{told} One clip of each takes part; {n} {'is' if n == 1 else 'are'} left out."
    return f"{told} Clips of one recording stay on one side of every split, and so do their speakers."


def estimate(prepared: Prepared, config: RunConfig, rates: Mapping[str, float]) -> tuple[dict[str, float], int]:
    """Return the seconds that each stage is expected to take, in their order, and the number of fits."""
    spec, settings = classifiers.CLASSIFIERS[config.classifier], config.settings
    copies = 1 + config.n_copies
    learned = int((prepared.part == splits.TRAIN).sum())
    seconds = {
        run_folder.FEATURES: (len(prepared.clips) + config.n_copies * int(prepared.learnable.sum())) / rates["features"]
    }
    start_up = START_UP_S[spec.input_kind]

    def fit_s(n_clips: float, row: Mapping[str, object]) -> float:
        values = {**settings, **row}
        epochs = int(values.get("epochs", 1))
        n_items = min(n_clips * copies, int(values.get("clips_per_epoch", 10**9)))
        return n_items * epochs / rates[config.classifier]

    n_fits = 1
    if config.grid:
        n_folds = config.folds or SEARCH_FOLDS
        inside = float((prepared.part != splits.TEST).sum()) * (n_folds - 1) / n_folds * (1 - config.validation_share)
        seconds[run_folder.SEARCHING] = start_up + n_folds * sum(fit_s(inside, row) for row in config.combinations)
        n_fits += n_folds * len(config.combinations)
    if config.folds and not config.grid:
        seconds[run_folder.TRAINING] = start_up + (config.folds + 1) * fit_s(
            learned * (config.folds - 1) / config.folds, {}
        )
        n_fits += config.folds
    else:
        at_most = config.budget_s if config.budget_s and spec.iterative else np.inf
        seconds[run_folder.TRAINING] = start_up + min(fit_s(learned, {}), at_most)
    seconds[run_folder.EVALUATING] = 1.0
    seconds[run_folder.SAVING] = 6.0 if spec.input_kind == "frames" else 1.0
    return {stage: round(value, 1) for stage, value in seconds.items()}, n_fits


def start_card(config: RunConfig, models: Path | None = None, *, check_features: bool = True) -> ModelCard | None:
    """Return the card of the model that a network starts from, None where it starts from nothing.

    check_features : whether the run's features have to be those of the model already.

    Raises
    ------
    ConfigError : if such a classifier cannot start from a model, or not from this one.
    ModelError : if the model cannot be read.
    """
    models = models or paths.models_folder()
    if not config.start_from:
        return None
    spec = classifiers.CLASSIFIERS[config.classifier]
    if not spec.continues:
        able = ", ".join(each.title for each in classifiers.CLASSIFIERS.values() if each.continues)
        raise ConfigError(
            f"A {spec.title} cannot start from another model. Choose one of {able}, or start from nothing."
        )
    card = store.read_card(config.start_from, models)
    if card.classifier != config.classifier:
        known = classifiers.CLASSIFIERS.get(card.classifier)
        raise ConfigError(
            f"Model '{card.slug}' is a {known.title if known else card.classifier}, and a {spec.title} can only start from a {spec.title}."
        )
    if store.KERAS_FILE not in card.files:
        raise ConfigError(f"Model '{card.slug}' has no {store.KERAS_FILE} to start from. Choose another one.")
    if check_features and card.features != config.features:
        raise ConfigError(
            f"Model '{card.slug}' was trained on other features. Leave the features as that model has them."
        )
    return card


def _start_problems(config: RunConfig, models: Path) -> list[str]:
    try:
        start_card(config, models)
    except SerError as error:
        return [str(error)]
    return []


def _start_warnings(prepared: Prepared, config: RunConfig, models: Path, sounds: Sounds | None) -> list[str]:
    try:
        card = start_card(config, models)
    except SerError:
        return []
    if card is None:
        return []
    warnings = []
    tested = prepared.clips[_is_tested(prepared)].reset_index(drop=True)
    n = int(contamination.heard_by(card, tested, models, sounds).any.sum())
    if n:
        warnings.append(
            f"{n:,} of the {len(tested):,} clips that are tested here were in the training of '{card.slug}', or their speakers were: the "
            "figures will be too high. Use clips that it was not trained on."
        )
    new = [label for label in prepared.labels if label not in card.labels]
    if set(prepared.labels) != set(card.labels):
        kept = [label for label in prepared.labels if label in card.labels]
        warnings.append(
            f"The labels are not those of '{card.slug}': the last layer is re-initialised"
            + (f", with what was learned of {', '.join(kept)}" if kept else "")
            + (f"; {', '.join(new)} {'is' if len(new) == 1 else 'are'} learned from nothing." if new else ".")
        )
    return warnings


def _is_tested(prepared: Prepared) -> np.ndarray:
    """Return which clips are tested, bool (n_clips,): in a cross-validation every one, by a model that was trained without it."""
    is_test: np.ndarray = prepared.part == splits.TEST
    return is_test if prepared.folds is None or is_test.any() else prepared.folds >= 0


def _parts(prepared: Prepared) -> tuple[Part, ...]:
    rows = []
    for name in splits.PARTS:
        mask = _is_tested(prepared) if name == splits.TEST else prepared.part == name
        inside = prepared.clips[mask]
        counts = inside[catalogue.EMOTION].value_counts()
        rows.append(
            Part(
                name,
                len(inside),
                int(inside[catalogue.SPEAKER].nunique()),
                {label: int(counts.get(label, 0)) for label in prepared.labels},
                {str(corpus): int(n) for corpus, n in inside[catalogue.CORPUS].value_counts(sort=False).items()},
            )
        )
    return tuple(rows)


def _part_problems(parts: Mapping[str, Part], config: RunConfig) -> list[str]:
    problems = []
    train = parts[splits.TRAIN]
    rare = [label for label, n in train.labels.items() if n < 2]
    if rare:
        problems.append(
            f"The training part has fewer than 2 clips of {', '.join(rare)}, so this cannot be learned. Leave "
            f"{'it' if len(rare) == 1 else 'them'} out, add a corpus, or choose another seed or split."
        )
    return problems


def _part_warnings(prepared: Prepared, parts: Mapping[str, Part], config: RunConfig) -> list[str]:
    train, validation, test = (parts[name] for name in splits.PARTS)
    warnings = []
    for name, group in prepared.clips.groupby(catalogue.CORPUS):
        n = group[catalogue.SPEAKER].nunique()
        if config.protocol == splits.SPEAKER_PROTOCOL and n < evaluation.MIN_SPEAKERS:
            warnings.append(
                f"{_title(str(name))} has {n} speaker{'s' * (n != 1)}: its figure will say little about new voices."
            )
    if config.protocol == splits.SPEAKER_PROTOCOL and set(
        prepared.clips.loc[prepared.part == splits.VALIDATION, catalogue.SPEAKER]
    ) & set(prepared.clips.loc[prepared.part == splits.TRAIN, catalogue.SPEAKER]):
        warnings.append(
            "No speaker can be spared for validation: the best epoch is chosen on other clips of the training speakers."
        )
    few = [f"{label} ({n})" for label, n in train.labels.items() if 2 <= n < FEW_CLIPS]
    if few:
        warnings.append(f"There are few training clips of {', '.join(few)}.")
    missing = [label for label, n in test.labels.items() if n == 0]
    if missing:
        warnings.append(f"Nobody who is tested says anything {' or '.join(missing)}: the figures will not cover it.")
    if 0 < validation.n_clips < FEW_VALIDATION and classifiers.CLASSIFIERS[config.classifier].iterative:
        warnings.append(
            f"Only {validation.n_clips} clip{'s' * (validation.n_clips != 1)} choose the best epoch, which is little better than chance. "
            "Add clips, or set fewer epochs."
        )
    if not validation.n_clips and classifiers.CLASSIFIERS[config.classifier].iterative:
        warnings.append("Without a validation part the last epoch is kept, whether or not it is the best.")
    counts = [n for n in train.labels.values() if n]
    if config.balance == balance.NONE and counts and max(counts) > UNEVEN * min(counts):
        most, least = max(train.labels, key=train.labels.__getitem__), min(train.labels, key=train.labels.__getitem__)
        warnings.append(
            f"There are {max(counts) / min(counts):.0f} times as many training clips of {most} as of {least}. "
            "Class weights or upsampling make up for it."
        )
    if prepared.clips[catalogue.CORPUS].nunique() > 1:
        where = prepared.clips.groupby(catalogue.EMOTION)[catalogue.CORPUS].unique()
        alone = [f"{label} ({_title(where[label][0])})" for label in prepared.labels if len(where[label]) == 1]
        if alone:
            warnings.append(
                f"One corpus alone has {', '.join(alone)}: the model may learn how that corpus sounds in place of the emotion."
            )
    return warnings


def _choice_warnings(config: RunConfig) -> list[str]:
    warnings = []
    method = balance.METHODS[config.balance]
    if method.interpolates:
        kind = classifiers.CLASSIFIERS[config.classifier].input_kind
        warnings.append(
            f"{method.title} draws items between two clips. Between the spectrograms of two clips, often of two speakers, lies nothing "
            "that anybody could say. Class weights or upsampling invent nothing."
            if kind == "frames"
            else f"{method.title} draws items between the summaries of two clips, often of two speakers: plausible, but no real voice."
        )
    if config.protocol != splits.SPEAKER_PROTOCOL:
        warnings.append(splits.PROTOCOLS[config.protocol])
    if config.effects is not None and config.n_copies and not any(config.effects.values()):
        warnings.append("No effect is chosen: the copies will be the clips again, and only cost time.")
    return warnings


def _with_way_out(problem: str, clips: pd.DataFrame, config: RunConfig) -> str:
    if config.protocol != splits.SPEAKER_PROTOCOL or "speaker" not in problem or clips.empty:
        return problem
    return f"{problem} Or choose the protocol 'random', whose figures say less: they hold for the speakers it was trained on."


def _title(corpus: str) -> str:
    return catalogue.CORPORA[corpus].title if corpus in catalogue.CORPORA else corpus
