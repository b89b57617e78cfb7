"""Train a classifier on features, and test it on unseen speakers: plain blocking functions.

`train` fits one classifier and its temperature; `cross_validate` does that fold by fold and keeps each fold's result in a
file, so that a stopped run resumes. search.py, run.py and shipped.py call them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ser_core import classifiers
from ser_core.corpora import catalogue
from ser_core.dataset import cache, splits
from ser_core.dataset.build import Dataset
from ser_core.dataset.labels import check_learnable
from ser_core.errors import CorpusError, Stopped
from ser_core.features import vectors
from ser_core.features.config import FeatureConfig
from ser_core.metrics import abstention, calibration
from ser_core.system import files, untrusted_json
from ser_core.training import balance


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """Everything that decides what a training yields, apart from the clips.

    n_copies: augmented copies of each training clip; strength: how far they go, 0..1; speaker_cap: how many clips of one
    speaker count fully, so that TESS (1400 per speaker) does not dominate; corpus_cap: how many of one corpus do, so that CREMA-D
    (7442) does not; validation_share: share of the training
    speakers set aside for choosing the epoch and the temperature; protocol: one of splits.PROTOCOLS, by which it is set aside;
    balance: one of balance.METHODS, for the training part alone.
    """

    classifier: str
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    labels: tuple[str, ...] = catalogue.LABELS
    features: FeatureConfig = FeatureConfig()
    n_copies: int = 2
    strength: float = 1.0
    speaker_cap: int = 150
    corpus_cap: int = 1_000_000
    validation_share: float = 0.15
    protocol: str = splits.SPEAKER_PROTOCOL
    balance: str = balance.NONE
    seed: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return asdict(self) | {"labels": list(self.labels)}


@dataclass(frozen=True)
class TrainingResult:
    """A fitted classifier, its temperature, the validation speakers, the figures of each epoch.

    threshold: from which top probability on it answers, chosen on the validation clips; None where they are too few. notes: sentences
    on what was not done as the settings say.
    """

    classifier: classifiers.TrainableClassifier
    temperature: float
    validation_speakers: tuple[str, ...]
    history: tuple[dict[str, float], ...]
    threshold: float | None = None
    notes: tuple[str, ...] = ()


Message = Callable[[str], None]

AS_RECORDED = "as recorded"
"""The condition under which nothing is done to a clip."""


def usable(clips: pd.DataFrame, labels: tuple[str, ...]) -> pd.DataFrame:
    """Return the clips whose label is among `labels`, renumbered from 0; raises CorpusError where none is."""
    kept = clips[clips[catalogue.EMOTION].isin(labels)].reset_index(drop=True)
    if kept.empty:
        raise CorpusError(
            f"None of the {len(clips)} clips has one of the labels {', '.join(labels)}. Choose other corpora or labels."
        )
    return kept


def targets(clips: pd.DataFrame, labels: tuple[str, ...]) -> np.ndarray:
    """Return the position of each clip's label in `labels`, int (n_clips,)."""
    y: np.ndarray = (
        clips[catalogue.EMOTION].map({label: position for position, label in enumerate(labels)}).to_numpy(int)
    )
    return y


def train(
    clips: pd.DataFrame,
    data: Dataset,
    config: FitConfig,
    *,
    train_mask: np.ndarray | None = None,
    validation_mask: np.ndarray | None = None,
    sounds: np.ndarray | None = None,
    start: classifiers.Start | None = None,
    on_epoch: classifiers.Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> TrainingResult:
    """Fit one classifier on the clips of train_mask, (n_clips,) bool (all by default).

    Some of these speakers are set aside: they choose the epoch, the temperature and the threshold, and are not trained on;
    validation_mask names clips that are set aside in place of them. Only clips of the others are taken with their augmented copies, and
    balanced. sounds: a key of each clip's recording, str (n_clips,): what is set aside is not trained on under another name. start: a
    trained network to start from.

    Raises
    ------
    CorpusError : if there are fewer than two labels to learn from, or no more clips than labels.
    """
    allowed = np.ones(len(clips), bool) if train_mask is None else train_mask
    if validation_mask is None:
        part = splits.parts(
            clips[allowed].reset_index(drop=True),
            config.protocol,
            test=0.0,
            validation=config.validation_share,
            rng=np.random.default_rng(config.seed),
            sounds=None if sounds is None else sounds[allowed],
        )
        for_validation = np.zeros(len(clips), bool)
        for_validation[allowed] = part == splits.VALIDATION
    else:
        for_validation = validation_mask
    speakers = clips[catalogue.SPEAKER].to_numpy()
    y = targets(clips, config.labels)
    rows = data.rows(allowed & ~for_validation, augmented=True)
    validation_rows = data.rows(for_validation, augmented=False)
    weight = _weights(clips, allowed, config)

    X, clip_of_item, _ = _items(data, rows, config.classifier)
    validation_X, clip_of_validation, _ = _items(data, validation_rows, config.classifier)
    check_learnable(clips[catalogue.EMOTION].to_numpy()[np.unique(clip_of_item)])
    notes: list[str] = []
    X, learned, item_weight = balance.apply(
        X,
        y[clip_of_item],
        weight[clip_of_item],
        config.balance,
        n_labels=len(config.labels),
        seed=config.seed,
        on_nothing=lambda positions: notes.append(
            f"{balance.METHODS[config.balance].title} made no clips of {', '.join(config.labels[each] for each in positions)}: "
            "there is nothing to interpolate. The training goes on with the clips that there are."
        ),
    )
    history: list[dict[str, float]] = []

    def note(epoch: int, epochs: int, figures: dict[str, float]) -> None:
        history.append({"epoch": epoch, **figures})
        if on_epoch:
            on_epoch(epoch, epochs, figures)

    classifier = classifiers.build(
        config.classifier, config.labels, {**config.hyperparameters, "seed": config.seed}, start=start
    )
    classifier.fit(
        X,
        learned,
        validation=(validation_X, y[clip_of_validation]) if len(validation_X) else None,
        sample_weight=item_weight,
        domain=pd.factorize(clips[catalogue.CORPUS])[0][clip_of_item]
        if config.balance in balance.KEEPS_ITEMS
        else None,
        on_epoch=note,
        should_stop=should_stop,
    )
    temperature, threshold = 1.0, None
    if len(validation_rows):
        clip = data.clip[validation_rows]
        probabilities = predict_rows(classifier, data, validation_rows, config.classifier)
        temperature = calibration.fit_temperature(probabilities, y[clip])
        calibrated = calibration.calibrate(probabilities, temperature)
        threshold = abstention.choose(calibrated.max(axis=1), calibrated.argmax(axis=1) == y[clip], speakers[clip])
    held = sorted(set(speakers[for_validation]))
    return TrainingResult(classifier, temperature, tuple(held), tuple(history), threshold, tuple(notes))


def predict_rows(classifier: classifiers.Classifier, data: Dataset, rows: np.ndarray, name: str) -> np.ndarray:
    """Return uncalibrated probabilities (n_rows, n_labels): the mean over the windows of each row, as Recognizer does."""
    X, _, row_of_item = _items(data, rows, name)
    probabilities = classifier.predict_proba(X)
    starts = np.searchsorted(row_of_item, np.arange(len(rows)))
    counts = np.diff([*starts, len(row_of_item)])
    return np.add.reduceat(probabilities, starts, axis=0) / counts[:, np.newaxis]


def cross_validate(
    clips: pd.DataFrame,
    data: Dataset,
    config: FitConfig,
    folds: np.ndarray,
    *,
    folder: Path,
    under: Mapping[str, Dataset] | None = None,
    say: Message = lambda text: None,
) -> dict[str, np.ndarray]:
    """Return calibrated probabilities (n_clips, n_labels) of every clip by the model whose training left out its fold, as AS_RECORDED.

    folds: int (n_clips,), or -1 for clips that are only trained on (their rows stay 0). under: condition -> features of some of the same
    clips under it; the answers to these are returned by the name of the condition, rows of other clips stay 0. Each fold's result is
    kept in `folder` under a name made from the settings and the clips, and read back when the same run starts again.
    """
    heard = {AS_RECORDED: data, **(under or {})}
    key = run_key(clips, config, folds)
    combined = {name: np.zeros((len(clips), len(config.labels))) for name in heard}
    for fold in sorted(set(folds[folds >= 0])):
        path = folder / f"{config.classifier}-{key}-fold{fold}.json"
        tested = np.flatnonzero(folds == fold)
        stored = _read_fold(path, tested, heard)
        if stored is None:
            say(f"{config.classifier}: fold {fold + 1} of {folds.max() + 1}")
            stored = train_fold(clips, data, config, folds, fold, under=under, on_epoch=_teller(say))
            folder.mkdir(parents=True, exist_ok=True)
            files.write_atomically(path, json.dumps(stored))
        for name, answers in {AS_RECORDED: stored, **stored["under"]}.items():
            combined[name][answers["clips"]] = np.reshape(answers["probabilities"], (-1, len(config.labels)))
        y = targets(clips, config.labels)[stored["clips"]]
        right = (combined[AS_RECORDED][stored["clips"]].argmax(axis=1) == y).mean()
        say(f"{config.classifier}: fold {fold + 1}, {right:.1%} of {len(y)} held-out clips right")
    return combined


def threshold_of_folds(
    clips: pd.DataFrame, probabilities: np.ndarray, labels: tuple[str, ...], folds: np.ndarray
) -> tuple[float | None, np.ndarray | None]:
    """Return the threshold that a cross-validation's clips choose, and for each clip, (n_clips,), the one that the other folds choose.

    probabilities: (n_clips, n_labels) as `cross_validate` returns them; clips whose row is 0 take no part. None where they are too few.
    """
    tested = probabilities.sum(axis=1) > 0
    y, speakers = targets(clips, labels), clips[catalogue.SPEAKER].to_numpy()
    threshold, apart = abstention.of_folds(probabilities[tested], y[tested], speakers[tested], folds[tested])
    if apart is None:
        return None, None
    of_each = np.ones(len(tested))
    of_each[tested] = apart
    return threshold, of_each


def train_fold(
    clips: pd.DataFrame,
    data: Dataset,
    config: FitConfig,
    folds: np.ndarray,
    fold: int,
    *,
    among: np.ndarray | None = None,
    under: Mapping[str, Dataset] | None = None,
    sounds: np.ndarray | None = None,
    start: classifiers.Start | None = None,
    on_epoch: classifiers.Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> dict[str, Any]:
    """Train without one fold and return what that model says of it, as JSON values.

    among: bool (n_clips,), the clips that take part, all by default. sounds: as `train` has them. Returned are clips: positions in the
    table; probabilities: calibrated, a row each; temperature; history; and under: clips and probabilities for each of `under`, condition
    -> features of some of the clips under it.

    Raises
    ------
    Stopped : if should_stop returned True.
    """
    mask = folds != fold if among is None else (folds != fold) & among
    result = train(
        clips, data, config, train_mask=mask, sounds=sounds, start=start, on_epoch=on_epoch, should_stop=should_stop
    )
    if should_stop and should_stop():
        raise Stopped("Stopped.")

    def answers(heard: Dataset) -> dict[str, Any]:
        rows = heard.rows(folds == fold, augmented=False)
        if not len(rows):
            return {"clips": [], "probabilities": []}
        probabilities = calibration.calibrate(
            predict_rows(result.classifier, heard, rows, config.classifier), result.temperature
        )
        return {"clips": heard.clip[rows].tolist(), "probabilities": probabilities.round(6).tolist()}

    return answers(data) | {
        "temperature": result.temperature,
        "history": list(result.history),
        "under": {name: answers(each) for name, each in (under or {}).items()},
    }


def _items(data: Dataset, rows: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what the classifier sees of these rows: items, the clip of each, and the position in `rows` of each."""
    kind = classifiers.CLASSIFIERS[name].input_kind
    if kind != vectors.FRAMES:
        items = data.vectors if kind == vectors.VECTOR else data.embeddings
        return items[rows], data.clip[rows], np.arange(len(rows))
    position = np.full(len(data.clip), -1)
    position[rows] = np.arange(len(rows))
    of_window = position[data.window_row]
    chosen = np.flatnonzero(of_window >= 0)
    chosen = chosen[np.argsort(of_window[chosen], kind="stable")]
    return data.windows[chosen], data.clip[data.window_row[chosen]], of_window[chosen]


def _weights(clips: pd.DataFrame, allowed: np.ndarray, config: FitConfig) -> np.ndarray:
    """Return what each clip counts, (n_clips,): at most 1, less where its speaker or its corpus has more allowed clips than the caps."""
    weights = np.ones(len(clips))
    for column, cap in ((catalogue.SPEAKER, config.speaker_cap), (catalogue.CORPUS, config.corpus_cap)):
        groups = clips[column].to_numpy()
        sums = pd.Series(np.where(allowed, weights, 0.0)).groupby(groups).sum()
        weights = weights * np.minimum(1.0, cap / np.maximum(sums[groups].to_numpy(), 1e-9))
    return weights


def _teller(say: Message) -> classifiers.Progress:
    def tell(epoch: int, epochs: int, figures: dict[str, float]) -> None:
        if epoch == epochs or epoch % 5 == 0:
            say(f"  epoch {epoch}/{epochs}: " + ", ".join(f"{name} {value:.3f}" for name, value in figures.items()))

    return tell


def run_key(clips: pd.DataFrame, config: FitConfig, folds: np.ndarray) -> str:
    """Return a short name that changes with the settings, the clips, how they are measured, and the folds: what a result belongs to."""
    digest = hashlib.sha256(json.dumps(config.to_dict(), sort_keys=True).encode() + cache.version())
    digest.update(
        json.dumps(classifiers.CLASSIFIERS[config.classifier].defaults, sort_keys=True, default=list).encode()
    )
    digest.update("\n".join(clips[catalogue.CORPUS] + "/" + clips[catalogue.NAME]).encode())
    digest.update(folds.astype(np.int64).tobytes())
    return digest.hexdigest()[:10]


def _read_fold(path: Path, tested: np.ndarray, heard: Iterable[str]) -> dict[str, Any] | None:
    try:
        stored = untrusted_json.loads(path.read_text())
        fits = set(stored["clips"]) <= set(tested.tolist()) and {AS_RECORDED, *stored["under"]} == set(heard)
        fits = fits and all(set(each) == {"clips", "probabilities"} for each in stored["under"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return stored if fits else None
