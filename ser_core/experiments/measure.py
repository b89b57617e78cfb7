"""Measure models on corpora: a recipe retrained under a protocol, fold by fold, or a trained model as it is.

`held_out` and `as_trained` give an Outcome, the probabilities of every tested clip; figures are computed from it. A finished fold is kept
in a file, so that a stopped measurement resumes. cli/evaluate.py and the Compare page call it.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ser_core import classifiers
from ser_core.corpora import catalogue
from ser_core.dataset import build, duplicates, protocols, voices
from ser_core.dataset.build import Dataset
from ser_core.dataset.duplicates import Sounds
from ser_core.dataset.protocols import Fold
from ser_core.errors import CorpusError, Stopped
from ser_core.experiments.outcome import AS_TRAINED, Outcome
from ser_core.experiments.recipe import Recipe, recipe_key
from ser_core.experiments.workspace import NothingKept, Progress, Workspace, keep, note_reading, recall
from ser_core.experiments.workspace import key as result_key
from ser_core.metrics import calibration, evaluation
from ser_core.recognition import store
from ser_core.recognition.card import ModelCard
from ser_core.training import contamination, fit
from ser_core.training.fit import FitConfig


def held_out(
    recipe: Recipe,
    clips: pd.DataFrame,
    protocol: str,
    workspace: Workspace,
    *,
    tested: np.ndarray | None = None,
    train: bool = True,
) -> Outcome:
    """Train a recipe once per fold of a protocol and return its predictions for the held-out clips.

    clips : clips tables of all corpora that take part. tested : bool (n_clips,), the clips that may be tested, all by default; the others
        are only trained on. train: whether folds that are not kept in workspace.results yet are trained; without, they are missing in the
        outcome, nothing is measured, and every clip counts as readable.

    Raises
    ------
    ConfigError, CorpusError : if the protocol is not possible with these clips.
    NothingKept : without `train`, if no fold is kept.
    Stopped : if workspace.should_stop returned True; finished folds are kept.
    """
    usable = clips[catalogue.EMOTION].isin(recipe.config.labels).to_numpy()
    among = np.ones(len(clips), bool) if tested is None else tested
    clips, among = clips[usable].reset_index(drop=True), among[usable]
    _check(clips)
    row = protocols.PROTOCOLS.get(protocol)
    copied = row is not None and row.copies
    sounds = sounds_of(clips, workspace, share=0.05) if train else duplicates.remembered(clips, cache=workspace.cache)
    doubles = _doubles(clips, sounds, _COPIED if copied else _APART)
    around = None
    if not copied:  # an impossible protocol fails before anything is measured
        keys = _keys(sounds, clips)
        around = _around(clips, protocols.rounds(clips, protocol, tested=among, sounds=keys), keys)
    config = replace(
        recipe.config, protocol=row.validation if row else "", n_copies=max(recipe.config.n_copies, int(copied))
    )
    data = (
        _measure(clips, config, workspace, effects=recipe.effects, around=around, start=0.05, share=0.25)
        if train
        else None
    )
    problems = data.problems if data else ()
    if copied and data:
        among = among[data.clip]
        data, clips = build.split_copies(data, clips)
    elif copied:
        row_of, copy = (
            np.repeat(np.arange(len(clips)), 1 + config.n_copies),
            np.tile(np.arange(1 + config.n_copies), len(clips)),
        )
        among, clips = among[row_of], build.row_table(clips, row_of, copy)
    todo = protocols.rounds(clips, protocol, tested=among, sounds=_keys(sounds, clips))
    digest = contamination.digests(clips, sounds)
    key = _key(recipe, clips, digest)
    parts: list[Outcome] = []
    for number, each in enumerate(todo):
        if workspace.should_stop():
            raise Stopped("Stopped. Finished folds are kept and need not be retrained.")

        def report_progress(fraction: float, text: str, number: int = number, title: str = each.title) -> None:
            workspace.on_progress(
                0.3 + 0.7 * (number + fraction) / len(todo), f"{recipe.name}, {protocol}, {title}: {text}"
            )

        report_progress(0.0, "training" if data else "reading back")
        found = _round(
            recipe,
            replace(config, labels=each.labels),
            clips,
            data,
            each,
            protocol,
            key,
            digest,
            None if copied else _keys(sounds, clips),
            workspace,
            report_progress,
        )
        parts += [found] if found else []
    if not parts:
        raise NothingKept(
            f"No fold of '{recipe.name}' under the protocol '{protocol}' is kept in '{workspace.results}'. Measure it first."
        )
    return replace(_joined(parts, problems), rounds=(len(parts), len(todo)), doubles=doubles)


def sounds_of(clips: pd.DataFrame, workspace: Workspace, *, start: float = 0.0, share: float) -> Sounds:
    """Return what clips share by sound; what is not remembered is decoded. start, share: of the progress, 0..1."""
    return duplicates.sounds(
        clips,
        cache=workspace.cache,
        n_jobs=workspace.n_jobs,
        niced=workspace.niced,
        should_stop=workspace.should_stop,
        on_progress=lambda done, total: workspace.on_progress(
            start + share * done / total, duplicates.progress_text(done, total)
        ),
    )


_APART = "What is tested is not trained on under another name."
_COPIED = "As in such studies, they fall on both sides."


def _doubles(clips: pd.DataFrame, sounds: Sounds | None, done: str) -> str:
    """Return which recordings occur more than once, and what was done about it; "" where none does, or it is not known."""
    told = duplicates.told(clips, sounds.keys(clips)) if sounds else ""
    return f"{told} {done}" if told else ""


def _keys(sounds: Sounds | None, clips: pd.DataFrame) -> np.ndarray | None:
    return sounds.keys(clips) if sounds else None


def as_trained(card: ModelCard, clips: pd.DataFrame, workspace: Workspace) -> Outcome:
    """Return a trained model's predictions for clips, and which of them were in its training according to its card.

    Raises
    ------
    CorpusError : if the clips have fewer than two of the model's labels. ModelError : if the model cannot be loaded.
    """
    clips = fit.usable(clips, card.labels)
    there = clips[catalogue.EMOTION].unique()
    if len(there) < 2:
        raise CorpusError(
            f"All {len(clips)} clips are {there[0]}: a model that always says so would reach 100 %. Add clips of other labels."
        )
    model = store.load(card.slug, workspace.models)
    config = FitConfig(classifier=card.classifier, labels=card.labels, features=card.features, n_copies=0)
    data = _measure(clips, config, workspace, share=0.7)
    rows = np.arange(len(data.clip))
    note_reading(
        workspace,
        {
            "model": card.slug,
            "protocol": AS_TRAINED,
            "corpora": sorted(set(clips[catalogue.CORPUS])),
            "n_clips": len(rows),
        },
    )
    raw = fit.predict_rows(model.classifier, data, rows, card.classifier)
    tested = clips.iloc[data.clip].reset_index(drop=True)
    sounds = sounds_of(tested, workspace, start=0.7, share=0.3)
    return Outcome(
        model=card.slug,
        protocol=AS_TRAINED,
        labels=card.labels,
        clips=tested,
        y=fit.targets(tested, card.labels),
        probabilities=calibration.calibrate(raw, model.temperature),
        heard=contamination.heard_by(card, tested, workspace.models, sounds),
        problems=data.problems,
        threshold=card.threshold,
        doubles=_doubles(tested, sounds, "Each of these clips counts."),
    )


def _check(clips: pd.DataFrame) -> None:
    if clips.empty:
        raise CorpusError("None of the clips has a label that the model knows. Choose another corpus.")


def _measure(
    clips: pd.DataFrame,
    config: FitConfig,
    workspace: Workspace,
    *,
    effects: dict[str, float] | None = None,
    around: list[tuple[str, ...]] | None = None,
    start: float = 0.0,
    share: float,
) -> Dataset:
    """Return the features of clips and, where the config asks for them, of copies with the babble of the clips around each."""
    data = build.build(
        clips,
        config.features,
        n_copies=config.n_copies,
        strength=config.strength,
        effects=effects,
        voices=around,
        kinds=[classifiers.CLASSIFIERS[config.classifier].input_kind],
        seed=config.seed,
        cache=workspace.cache,
        n_jobs=workspace.n_jobs,
        niced=workspace.niced,
        should_stop=workspace.should_stop,
        on_progress=lambda done, total: workspace.on_progress(
            start + share * done / total, f"Measuring the clips: {done:,} of {total:,}"
        ),
    )
    if not len(data.clip):
        raise CorpusError(f"None of the {len(clips)} clips can be read: {data.problems[0][1]}")
    return data


def _around(clips: pd.DataFrame, rounds: Sequence[Fold], sounds: np.ndarray | None) -> list[tuple[str, ...]]:
    """Return the clips around each as babble: of the same speaker and tested with it, so that no training hears what tests it.

    sounds: a key of each clip's recording; one that occurs more than once is in no babble, since it may be tested under another name.
    """
    tested_in = np.full(len(clips), -1)
    for number, each in enumerate(rounds):
        tested_in[each.test & (tested_in < 0)] = number
    around = voices.of_their_own(clips, tested_in)
    if sounds is None:
        return around
    twice = set(clips[catalogue.PATH][pd.Series(sounds).duplicated(keep=False).to_numpy()])
    return [tuple(path for path in each if path not in twice) for each in around]


def _round(
    recipe: Recipe,
    config: FitConfig,
    clips: pd.DataFrame,
    data: Dataset | None,
    each: Fold,
    protocol: str,
    key: str,
    digest: np.ndarray,
    sounds: np.ndarray | None,
    workspace: Workspace,
    report_progress: Progress,
) -> Outcome | None:
    """Return the predictions for the fold's test clips: read back where the same fold has been trained before.

    data: the training data otherwise; None: it is not trained, and there is no outcome.
    """
    fold_digest = hashlib.sha256(
        each.train.tobytes() + each.test.tobytes() + json.dumps([protocol, each.labels]).encode()
    ).hexdigest()
    name = f"{config.classifier}-{protocol}-{key}-{fold_digest[:10]}"
    stored = recall(workspace, name, functools.partial(_kept, test=each.test))
    if stored is None and data is None:
        return None
    note_reading(
        workspace,
        {
            "model": recipe.name,
            "protocol": protocol,
            "corpora": sorted(set(clips.loc[each.test, catalogue.CORPUS])),
            "round": each.title,
            "n_clips": int(each.test.sum()),
            "read_back": stored is not None,
        },
    )
    if stored is None:
        assert data is not None, "without data, the fold has been left out above"
        stored = _train(config, clips, data, each, sounds, workspace, report_progress)
        keep(workspace, name, stored)
    answered = np.array(stored["clips"], int)
    tested = clips.iloc[answered].reset_index(drop=True)
    is_answered = np.zeros(len(clips), bool)
    is_answered[answered] = True
    return Outcome(
        model=recipe.name,
        protocol=protocol,
        labels=each.labels,
        clips=tested,
        y=fit.targets(tested, each.labels),
        probabilities=np.array(stored["probabilities"]),
        seen=contamination.seen(clips, digest, each.train, is_answered),
    )


def _train(
    config: FitConfig,
    clips: pd.DataFrame,
    data: Dataset,
    each: Fold,
    sounds: np.ndarray | None,
    workspace: Workspace,
    report_progress: Progress,
) -> dict[str, Any]:
    keep = each.train | each.test
    inside = clips[keep].reset_index(drop=True)
    part = data if keep.all() else build.subset(data, keep)
    folds = np.where(each.test[keep], 0, -1)

    def on_epoch(epoch: int, epochs: int, values: dict[str, float]) -> None:
        report_progress(epoch / (epochs + 1), f"epoch {epoch} of {epochs}")

    result = fit.train_fold(
        inside,
        part,
        config,
        folds,
        0,
        sounds=None if sounds is None else sounds[keep],
        on_epoch=on_epoch,
        should_stop=workspace.should_stop,
    )
    places = np.flatnonzero(keep)
    order = np.argsort(result["clips"])
    return {
        "clips": [int(places[result["clips"][each]]) for each in order],
        "probabilities": [result["probabilities"][each] for each in order],
        "temperature": result["temperature"],
    }


def _kept(stored: dict[str, Any], *, test: np.ndarray) -> dict[str, Any]:
    if not test[np.array(stored["clips"], int)].all() or not len(stored["clips"]) == len(stored["probabilities"]) > 0:
        raise ValueError("it is of other clips")
    return stored


def _joined(parts: Sequence[Outcome], problems: tuple[tuple[str, str], ...]) -> Outcome:
    """Return the folds as one outcome: each tested other clips. A label that a fold lacks has probability 0 in it."""
    used = {label for part in parts for label in part.labels}
    labels = tuple(label for label in catalogue.ALL_LABELS if label in used)
    probabilities = np.zeros((sum(len(part.y) for part in parts), len(labels)))
    start = 0
    for part in parts:
        probabilities[start : start + len(part.y), [labels.index(label) for label in part.labels]] = part.probabilities
        start += len(part.y)
    clips = pd.concat([part.clips for part in parts], ignore_index=True)
    order = clips.sort_values([catalogue.CORPUS, catalogue.NAME], kind="stable").index.to_numpy()
    clips = clips.iloc[order].reset_index(drop=True)
    seen = [part.seen for part in parts if part.seen]
    folds = np.repeat(np.arange(len(parts)), [len(part.y) for part in parts])
    return replace(
        parts[0],
        labels=labels,
        clips=clips,
        y=fit.targets(clips, labels),
        probabilities=probabilities[order],
        problems=problems,
        folds=folds[order],
        seen={name: np.concatenate([each[name] for each in seen])[order] for name in evaluation.SEEN},
    )


def _key(recipe: Recipe, clips: pd.DataFrame, digest: np.ndarray) -> str:
    """Return a key of the settings, the clips, their bytes and the version of the features: what a stored fold depends on."""
    of_clips = clips[catalogue.CORPUS] + "/" + clips[catalogue.NAME] + " " + clips[catalogue.EMOTION] + " " + digest
    return result_key(recipe_key(recipe), of_clips)
