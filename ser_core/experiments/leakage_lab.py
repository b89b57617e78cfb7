"""The leakage lab: one classifier, settings that let the test part leak into training, and what each does to the score.

Only classifiers on the summary vector take part: they train in seconds. Results for RAVDESS come
with the project (RESULTS); `python -m ser_core lab` computes them, cli/lab.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ser_core import classifiers
from ser_core.corpora import catalogue
from ser_core.dataset import build, labels, protocols
from ser_core.dataset.build import Dataset
from ser_core.dataset.labels import LabelMapping
from ser_core.errors import ConfigError, Stopped
from ser_core.experiments.measure import sounds_of
from ser_core.experiments.workspace import Workspace, keep, key, recall
from ser_core.metrics import calibration, evaluation
from ser_core.metrics.evaluation import Evaluation
from ser_core.system import untrusted_json
from ser_core.training import contamination, fit
from ser_core.training.fit import FitConfig

RESULTS = Path(__file__).with_name("results") / "leakage_lab.json"
CLASSIFIERS: dict[str, dict[str, Any]] = {
    "knn": {"n_neighbors": 15},
    "mlp": {"epochs": 10, "hidden": 32, "batch_size": 128, "learning_rate": 1e-3},
}
"""What the lab trains, with the hyperparameters that differ from the defaults. Both memorise well, as networks do."""

WORKED_OUT = "mlp"
"""The classifier whose results come with the project."""

N_COPIES = 1
"""Augmented copies per recording. The study that the first preset follows has three; one shows the leak in a third of the time."""

NONE, BEFORE, AFTER = "none", "before", "after"
TRAIN, ALL = "train", "all"
SPLITS = ("random", "sentence", "speaker")
VALIDATION, TEST = "validation", "test"

CHOICES: dict[str, tuple[Any, ...]] = {
    "split": (*SPLITS, protocols.SPEAKER_AND_SENTENCE),
    "augment": (NONE, BEFORE, AFTER),
    "scaler": (TRAIN, ALL),
    "early_stopping": (VALIDATION, TEST),
    "twins": (False, True),
    "classifier": tuple(CLASSIFIERS),
}


@dataclass(frozen=True, kw_only=True)
class LeakageSettings:
    """How one model is trained and tested. The defaults leak nothing, unless the sentences give the emotion away (protocols.telling).

    split: what is held out, one of CHOICES, each a protocol. augment: whether recordings are copied with changes before the split, so
    that copies fall on both sides, or after it, for training only. scaler: fitted on the training part or on all. early_stopping: the
    part that chooses the epoch. twins: every recording occurs twice, as in an archive with a nested copy of itself; without, no
    recording that is tested is trained on under another name, if a corpus has some twice.
    """

    classifier: str = "mlp"
    split: str = "speaker"
    augment: str = NONE
    scaler: str = TRAIN
    early_stopping: str = VALIDATION
    twins: bool = False

    def __post_init__(self) -> None:
        for name, among in CHOICES.items():
            if getattr(self, name) not in among:
                raise ConfigError(f"{name} must be one of {', '.join(map(str, among))}. Got {getattr(self, name)!r}.")

    @property
    def usual(self) -> LeakageSettings:
        """The same study in its canonical form: a classifier without epochs has none to choose."""
        return self if classifiers.CLASSIFIERS[self.classifier].iterative else replace(self, early_stopping=VALIDATION)


EVERY_LEAK = LeakageSettings(split="random", augment=BEFORE, scaler=ALL, early_stopping=TEST, twins=True)
"""Every leak at once: the lab's starting point, so that a class sees the score fall."""


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A published recipe, as far as the lab can follow it. claim: the published figure and its corpora; corpora: those used here."""

    title: str
    claim: str
    corpora: tuple[str, ...]
    settings: LeakageSettings
    mapping: LabelMapping = field(default_factory=LabelMapping)


PRESETS: dict[str, Preset] = {
    "copies": Preset(
        title="Copies on both sides",
        claim="92.08 % accuracy, CNN on RAVDESS, TESS and CREMA-D, calm as neutral: four rows per file, then a random split; the test "
        "part also picked the epoch.",
        corpora=("ravdess", "tess", "cremad"),
        mapping=LabelMapping(calm=labels.MERGE),
        settings=LeakageSettings(split="random", augment=BEFORE, early_stopping=TEST),
    ),
    "two voices": Preset(
        title="Two voices, random split",
        claim="96.90 % accuracy, CNN-LSTM on TESS: both speakers on both sides of a random split, the scaler fitted on everything.",
        corpora=("tess",),
        settings=LeakageSettings(split="random", scaler=ALL),
    ),
    "test picks": Preset(
        title="The test picks the epoch",
        claim="58 % to 72 % accuracy, CNN and CNN-LSTM on RAVDESS, TESS, SAVEE and CREMA-D: a random split, the test part inside the "
        "validation part.",
        corpora=("ravdess", "tess", "savee", "cremad"),
        settings=LeakageSettings(split="random", early_stopping=TEST),
    ),
    "not stated": Preset(
        title="Split not stated",
        claim="68.4 % accuracy, CNN-LSTM on RAVDESS and TESS: how it was split is not stated.",
        corpora=("ravdess", "tess"),
        settings=LeakageSettings(split="random"),
    ),
}

_LEAKS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("twins", "Second copies out", {"twins": False}),
    ("augment", "Augmented after the split", {"augment": AFTER}),
    ("scaler", "Scaler on the training part", {"scaler": TRAIN}),
    ("early_stopping", "Epoch chosen on other clips", {"early_stopping": VALIDATION}),
    ("split", "Speakers held out", {"split": "speaker"}),
)


_CLOSED: dict[str, tuple[Any, ...]] = {"augment": (AFTER,), "split": (protocols.SPEAKER_AND_SENTENCE,)}
"""What leaks no more than the default."""

_SENTENCES_OUT = {"random": "sentence", "speaker": protocols.SPEAKER_AND_SENTENCE}


def without_sentences(split: str) -> str:
    """Return the split that holds the tested sentences out, besides what this one holds out."""
    return _SENTENCES_OUT.get(split, split)


def ladder(settings: LeakageSettings, *, telling: bool = False) -> list[tuple[str, LeakageSettings]]:
    """Return steps (title, settings) from these settings to leak-free ones, one leak closed at a time; the first are as given.

    telling: whether sentences of the clips give the emotion away; they are then held out last.
    """
    steps = [("As chosen", settings.usual)]
    for name, title, change in _LEAKS:
        now = steps[-1][1]
        if telling and name == "split" and now.split == "sentence":
            change = {"split": protocols.SPEAKER_AND_SENTENCE}
        if getattr(now, name) not in (getattr(LeakageSettings(), name), *_CLOSED.get(name, ())):
            steps.append((title, replace(now, **change)))
    now = steps[-1][1]
    if telling and now.split == "speaker":
        steps.append(("Telling sentences held out", replace(now, split=without_sentences(now.split))))
    return steps


def combinations() -> list[LeakageSettings]:
    """Return all settings of the classifier whose results are precomputed: what RESULTS holds. RAVDESS' sentences tell nothing."""
    rows: list[dict[str, Any]] = [{}]
    for name, values in {**CHOICES, "split": SPLITS, "classifier": (WORKED_OUT,)}.items():
        rows = [{**row, name: value} for row in rows for value in values]
    return [LeakageSettings(**row) for row in rows]


def study(
    settings: LeakageSettings,
    clips: pd.DataFrame,
    workspace: Workspace,
    *,
    on_round: Callable[[int, int, Evaluation], None] | None = None,
) -> Evaluation:
    """Train and test once per fold of the split and return the figures over all folds.

    clips : the clips of all corpora that take part. on_round(done, folds, figures so far) is called after each. A finished study is kept
        in workspace.results and read back.

    Raises
    ------
    CorpusError : if the clips cannot be split so. Stopped : if workspace.should_stop returned True.
    """
    settings = settings.usual
    clips = labels.apply(clips, LabelMapping())
    digest = contamination.digests(clips, sounds_of(clips, workspace, share=0.1))
    name = f"lab-{_key(settings, clips, digest)}"
    stored = recall(workspace, name, Evaluation.from_dict)
    if stored:
        return stored
    data = build.build(
        clips,
        n_copies=0 if settings.augment == NONE else N_COPIES,
        kinds=[classifiers.CLASSIFIERS[settings.classifier].input_kind],
        cache=workspace.cache,
        n_jobs=workspace.n_jobs,
        should_stop=workspace.should_stop,
        on_progress=lambda done, total: workspace.on_progress(
            0.1 + 0.4 * done / total, f"Measuring clips and copies: {done:,} of {total:,}"
        ),
    )
    copies = data.copy
    clips, digest, data = _prepared(settings, clips, digest, data)
    rounds = protocols.rounds(clips, settings.split, sounds=_recordings(settings, digest, copies))
    found = _run(settings, clips, digest, data, rounds, workspace, on_round)
    keep(workspace, name, found.to_dict())
    return found


def _recordings(settings: LeakageSettings, digest: np.ndarray, copies: np.ndarray) -> np.ndarray | None:
    """Return what is not trained on where it is tested: the recording, its augmented copies aside; None where second copies are kept."""
    if settings.twins:
        return None
    return np.char.add(digest, copies.astype(str)) if settings.augment == BEFORE else digest


def _prepared(
    settings: LeakageSettings, clips: pd.DataFrame, digest: np.ndarray, data: Dataset
) -> tuple[pd.DataFrame, np.ndarray, Dataset]:
    """Return clips, digests and features after everything that happens before the split, right or wrong."""
    if settings.twins:
        again = clips.assign(**{catalogue.NAME: clips[catalogue.NAME] + "#twin"})
        data = replace(
            data,
            vectors=np.concatenate([data.vectors] * 2),
            embeddings=np.concatenate([data.embeddings] * 2),
            clip=np.concatenate([data.clip, data.clip + len(clips)]),
            copy=np.concatenate([data.copy] * 2),
            facts=pd.concat([data.facts] * 2, ignore_index=True),
        )
        clips, digest = pd.concat([clips, again], ignore_index=True), np.concatenate([digest] * 2)
    if settings.augment == BEFORE:
        digest = digest[data.clip]
        data, clips = build.split_copies(data, clips)
    if settings.scaler == ALL:
        from sklearn.preprocessing import StandardScaler  # what draws stored studies can do without its 50 MB

        scaled = {
            name: StandardScaler().fit_transform(items).astype(np.float32)
            for name, items in (("vectors", data.vectors), ("embeddings", data.embeddings))
            if items.size
        }
        data = replace(data, **scaled)
    return clips, digest, data


def _run(
    settings: LeakageSettings,
    clips: pd.DataFrame,
    digest: np.ndarray,
    data: Dataset,
    rounds: Sequence[protocols.Fold],
    workspace: Workspace,
    on_round: Callable[[int, int, Evaluation], None] | None,
) -> Evaluation:
    config = FitConfig(
        classifier=settings.classifier,
        hyperparameters=CLASSIFIERS[settings.classifier],
        labels=rounds[0].labels,
        n_copies=N_COPIES,
        speaker_cap=10**6,
        protocol=protocols.PROTOCOLS[settings.split].validation,
    )
    y = fit.targets(clips, config.labels)
    probabilities = np.zeros((len(clips), len(config.labels)))
    seen = {name: np.zeros(len(clips), bool) for name in evaluation.SEEN}
    figures: Evaluation | None = None
    for number, each in enumerate(rounds):
        if workspace.should_stop():
            raise Stopped("Stopped. Finished studies are kept.")
        workspace.on_progress(0.5 + 0.5 * number / len(rounds), f"Training {number + 1} of {len(rounds)}")
        on_test = settings.early_stopping == TEST
        result = fit.train(
            clips,
            data,
            config,
            train_mask=each.train | each.test if on_test else each.train,
            validation_mask=each.test if on_test else None,
            should_stop=workspace.should_stop,
        )
        if workspace.should_stop():
            raise Stopped("Stopped. Finished studies are kept.")
        rows = data.rows(each.test, augmented=False)
        raw = fit.predict_rows(result.classifier, data, rows, config.classifier)
        probabilities[data.clip[rows]] = calibration.calibrate(raw, result.temperature)
        for name, found in contamination.seen(clips, digest, each.train, each.test).items():
            seen[name][each.test] = found
        tested = probabilities.sum(axis=1) > 0
        figures = evaluation.evaluate(
            y[tested],
            probabilities[tested],
            labels=config.labels,
            speakers=clips[catalogue.SPEAKER].to_numpy()[tested],
            protocol=settings.split,
            corpus=" + ".join(dict.fromkeys(clips[catalogue.CORPUS])),
            rng=np.random.default_rng(0),
            seen={name: values[tested] for name, values in seen.items()},
        )
        if on_round:
            on_round(number + 1, len(rounds), figures)
    assert figures is not None, "every split has a fold"
    return replace(figures, curves=None)


def to_row(settings: LeakageSettings, figures: Evaluation) -> dict[str, Any]:
    """Return a study as JSON values: the settings, and the figures that a bar shows."""
    return {
        **asdict(settings),
        "accuracy": round(figures.accuracy, 5),
        "uar": round(figures.uar, 5),
        "chance": round(figures.chance, 5),
        "interval": {name: [round(bound, 5) for bound in bounds] for name, bounds in figures.interval.items()},
        "n_clips": figures.n_clips,
        "n_test_speakers": figures.n_test_speakers,
        "seen": {name: round(share, 5) for name, share in (figures.seen or {}).items()},
    }


def read_results(path: Path = RESULTS) -> dict[LeakageSettings, dict[str, Any]]:
    """Return the studies that come with the project, by their settings; raises ConfigError where the file is missing or damaged."""
    names = {each.name for each in fields(LeakageSettings)}
    try:
        rows = untrusted_json.loads(path.read_text(encoding="utf-8"))["studies"]
        return {LeakageSettings(**{name: row[name] for name in names}): row for row in rows}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"The lab's results in '{path.name}' cannot be read ({error}). Restore the file from the project."
        ) from error


def command(path: Path = RESULTS) -> str:
    """Return the command that computed the studies which come with the project; "" where their file is missing or damaged."""
    try:
        return str(untrusted_json.loads(path.read_text(encoding="utf-8"))["command"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def preset_clips(preset: Preset, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame | None:
    """Return the clips of a preset's installed corpora (name -> clips table), with its labels; None where none is installed."""
    there = [tables[name] for name in preset.corpora if name in tables]
    return labels.apply(pd.concat(there, ignore_index=True), preset.mapping) if there else None


def _key(settings: LeakageSettings, clips: pd.DataFrame, digest: np.ndarray) -> str:
    named = {
        "switches": asdict(settings),
        "settings": CLASSIFIERS[settings.classifier],
        "copies": N_COPIES,
        "recordings": "by sound",
    }
    defaults = classifiers.CLASSIFIERS[settings.classifier].defaults
    return key([named, defaults], clips[catalogue.NAME] + " " + clips[catalogue.EMOTION] + " " + digest, length=16)
