"""Measure models on corpora: a recipe retrained under a protocol, round by round, or a trained model as it is.

`held_out` and `as_trained` give an Outcome, the probabilities of every tested clip; figures are made from it. A finished round is kept in
a file, so that a stopped measurement goes on where it was. cli_evaluate.py and the Compare page call it.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ser_core import (
    classifiers,
    corpora,
    dataset,
    evaluation,
    exposure,
    plain_json,
    protocols,
    recognizer,
    runs,
    store,
    training,
)
from ser_core.dataset import Dataset
from ser_core.errors import ConfigError, CorpusError, ModelError, SerError
from ser_core.evaluation import Evaluation
from ser_core.protocols import Round
from ser_core.training import TrainingConfig

OVERALL = "all corpora"
AS_TRAINED = "as trained"
"""The protocol of a trained model that is scored as it is: what it may have heard before, its card tells."""

MEAN = "mean"
"""What several models' mean is called, where a model's name is asked for."""

READINGS = "readings.jsonl"
"""The log of every reading of a test part, beside the results."""

Progress = Callable[[float, str], None]


class NothingKept(SerError):
    """No round of a measurement has been finished yet, and none was to be trained."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a model is trained. effects: of augment.EFFECTS, None for the shipped mix at the config's strength."""

    name: str
    config: TrainingConfig
    effects: dict[str, float] | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a model said of clips that it was tested on.

    clips: the tested clips, a row each; y: int (n_clips,), positions in `labels`; probabilities: (n_clips, n_labels), calibrated. seen:
    each of evaluation.SEEN -> bool (n_clips,), None for a trained model; rounds: how many of the protocol's trainings are in it, and of how
    many. heard: for a trained model, what its card tells, and threshold, from which top probability on it is sure.
    """

    model: str
    protocol: str
    labels: tuple[str, ...]
    clips: pd.DataFrame
    y: np.ndarray
    probabilities: np.ndarray
    seen: dict[str, np.ndarray] | None = None
    rounds: tuple[int, int] | None = None
    heard: exposure.Heard | None = None
    problems: tuple[tuple[str, str], ...] = ()
    threshold: float | None = None

    @property
    def answer(self) -> np.ndarray:
        """The position of the label that was answered, int (n_clips,)."""
        leading: np.ndarray = self.probabilities.argmax(axis=1)
        return leading


@dataclass(frozen=True, kw_only=True)
class Desk:
    """Where a measurement finds and keeps things. cache: of the features; results: of the finished rounds, and the log.

    n_jobs: processes that measure clips (-1: one a core); niced: whether they let the others of this machine go first.
    """

    cache: Path | None = None
    results: Path | None = None
    models: Path = field(default_factory=lambda: store.MODELS)
    n_jobs: int = 1
    niced: bool = False
    on_progress: Progress = field(default=lambda fraction, text: None)
    should_stop: Callable[[], bool] = field(default=lambda: False)


def results_folder() -> Path:
    """Return the folder of finished rounds on this machine: SER_RESULTS, else cache/evaluations in the project's own folder."""
    return Path(os.environ.get("SER_RESULTS") or Path(__file__).resolve().parent.parent / "cache" / "evaluations")


def recipe_of(card: store.ModelCard) -> Recipe:
    """Return how a model was trained, to train it again on other clips.

    Raises
    ------
    ModelError : for a model that went on from another's weights: these have heard speakers of their own.
    """
    if card.training.get("start_from"):
        raise ModelError(
            f"'{card.slug}' went on from the weights of '{card.training['start_from']}', which have heard speakers of their own. "
            "No protocol can hold these out: choose the model that it started from, or score it as it is, without a protocol."
        )
    known = {
        name: value
        for name, value in card.hyperparameters.items()
        if name in classifiers.CLASSIFIERS[card.classifier].defaults
    }
    settings = {name: card.training[name] for name in _SETTINGS if name in card.training}
    config = TrainingConfig(
        classifier=card.classifier,
        hyperparameters={name: value for name, value in known.items() if name != "seed"},
        features=card.features,
        labels=card.labels,
        **settings,
    )
    return Recipe(name=card.slug, config=config, effects=card.training.get("effects"))


_SETTINGS = ("n_copies", "strength", "speaker_cap", "validation_share", "balance", "seed")


def held_out(
    recipe: Recipe,
    clips: pd.DataFrame,
    protocol: str,
    desk: Desk,
    *,
    tested: np.ndarray | None = None,
    train: bool = True,
) -> Outcome:
    """Train a recipe once a round of a protocol and return what it said of the clips held out.

    clips : clips tables of all corpora that take part. tested : bool (n_clips,), the clips that may be tested, all by default; the others
        are only trained on. train: whether rounds that are not kept in desk.results yet are trained; without, they are missing in the
        outcome, nothing is measured, and every clip counts as readable.

    Raises
    ------
    ConfigError, CorpusError : if the protocol cannot be had of these clips.
    NothingKept : without `train`, if no round is kept.
    Stopped, Cancelled : if desk.should_stop said yes; finished rounds are kept.
    """
    usable = clips[corpora.EMOTION].isin(recipe.config.labels).to_numpy()
    among = np.ones(len(clips), bool) if tested is None else tested
    clips, among = clips[usable].reset_index(drop=True), among[usable]
    _check(clips)
    row = protocols.PROTOCOLS.get(protocol)
    copied = row is not None and row.copies
    if not copied:
        protocols.rounds(clips, protocol, tested=among)  # what cannot be had is said before anything is measured
    config = replace(
        recipe.config, protocol=row.validation if row else "", n_copies=max(recipe.config.n_copies, int(copied))
    )
    data = _measure(clips, config, desk, effects=recipe.effects, share=0.3) if train else None
    problems = data.problems if data else ()
    if copied and data:
        among = among[data.clip]
        data, clips = dataset.apart(data, clips)
    elif copied:
        row_of, copy = (
            np.repeat(np.arange(len(clips)), 1 + config.n_copies),
            np.tile(np.arange(1 + config.n_copies), len(clips)),
        )
        among, clips = among[row_of], dataset.row_table(clips, row_of, copy)
    todo = protocols.rounds(clips, protocol, tested=among)
    digest = exposure.digests(clips)
    key = _key(recipe, clips, digest)
    parts: list[Outcome] = []
    for number, each in enumerate(todo):
        if desk.should_stop():
            raise training.Stopped("Stopped. Finished rounds are kept and need not be trained again.")

        def tell(fraction: float, text: str, number: int = number, title: str = each.title) -> None:
            desk.on_progress(0.3 + 0.7 * (number + fraction) / len(todo), f"{recipe.name}, {protocol}, {title}: {text}")

        tell(0.0, "training" if data else "reading back")
        found = _round(
            recipe, replace(config, labels=each.labels), clips, data, each, protocol, key, digest, desk, tell
        )
        parts += [found] if found else []
    if not parts:
        raise NothingKept(
            f"No round of '{recipe.name}' under the protocol '{protocol}' is kept in '{desk.results}'. Measure it first."
        )
    return replace(_joined(parts, problems), rounds=(len(parts), len(todo)))


def as_trained(card: store.ModelCard, clips: pd.DataFrame, desk: Desk) -> Outcome:
    """Return what a trained model says of clips, with what its card tells of those that it has heard before.

    Raises
    ------
    CorpusError : if no clip has one of the model's labels. ModelError : if the model cannot be loaded.
    """
    clips = training.usable(clips, card.labels)
    model = store.load(card.slug, desk.models)
    config = TrainingConfig(classifier=card.classifier, labels=card.labels, features=card.features, n_copies=0)
    data = _measure(clips, config, desk, share=0.9)
    rows = np.arange(len(data.clip))
    note_reading(
        desk,
        {
            "model": card.slug,
            "protocol": AS_TRAINED,
            "corpora": sorted(set(clips[corpora.CORPUS])),
            "n_clips": len(rows),
        },
    )
    raw = training.predict_rows(model.classifier, data, rows, card.classifier)
    tested = clips.iloc[data.clip].reset_index(drop=True)
    return Outcome(
        model=card.slug,
        protocol=AS_TRAINED,
        labels=card.labels,
        clips=tested,
        y=training.targets(tested, card.labels),
        probabilities=recognizer.calibrate(raw, model.temperature),
        heard=heard_by(card, tested, desk.models),
        problems=data.problems,
        threshold=card.threshold,
    )


def mean(outcomes: Sequence[Outcome], name: str = MEAN) -> Outcome:
    """Return the mean of several models' probabilities on the same clips, as one more model's.

    Raises
    ------
    ConfigError : if they did not answer on the same clips with the same labels.
    """
    first = outcomes[0]
    if any(
        each.labels != first.labels or not _same_clips(each, first) or each.protocol != first.protocol
        for each in outcomes
    ):
        raise ConfigError("A mean needs models with the same labels, tested on the same clips. Choose others.")
    heard = [each.heard for each in outcomes if each.heard]
    return replace(
        first,
        model=name,
        threshold=None,
        probabilities=np.mean([each.probabilities for each in outcomes], axis=0),
        heard=exposure.together(heard) if heard else None,
    )


def figures(outcome: Outcome) -> dict[str, Evaluation]:
    """Return the figures by corpus; where there are several, those over all come first, as OVERALL."""
    names = outcome.clips[corpora.CORPUS].to_numpy()
    there = [str(name) for name in dict.fromkeys(names)]
    masks = ({OVERALL: np.ones(len(names), bool)} if len(there) > 1 else {}) | {name: names == name for name in there}
    return {
        name: evaluation.evaluate(
            outcome.y[mask],
            outcome.probabilities[mask],
            labels=outcome.labels,
            protocol=outcome.protocol,
            corpus=name,
            speakers=outcome.clips[corpora.SPEAKER].to_numpy()[mask],
            rng=np.random.default_rng(0),
            seen={kind: each[mask] for kind, each in outcome.seen.items()} if outcome.seen else None,
            human=corpora.CORPORA[name].human_accuracy if name in corpora.CORPORA else None,
            threshold=outcome.threshold,
        )
        for name, mask in masks.items()
    }


def to_dict(outcome: Outcome) -> dict[str, Any]:
    """Return the figures as JSON values: model, those over all clips, "per_corpus" where there are several, "heard" of a trained one."""
    made = figures(outcome)
    first, *others = made
    told: dict[str, Any] = {"model": outcome.model, **made[first].to_dict()}
    if others:
        told["per_corpus"] = {name: made[name].to_dict() for name in others}
    if outcome.heard:
        told["heard"] = shares(outcome.heard)
    if outcome.problems:
        told["unreadable"] = [list(problem) for problem in outcome.problems]
    return told


def shares(heard: exposure.Heard) -> dict[str, float]:
    """Return which share of the tested clips, 0..1, a trained model has heard before, and in what way."""
    return {name: float(getattr(heard, name).mean()) for name in ("clip", "speaker", "chosen", "untold")}


def warning(heard: exposure.Heard) -> str:
    """Return in words what of the tested clips a model has heard before; "" where it has heard nothing."""
    told = shares(heard) | {"speaker": float((heard.speaker & ~heard.clip).mean())}
    parts = [f"{told[name]:.0%} of {text}" for name, text in _WARNINGS.items() if told[name] > 0]
    return f"NOT A HELD-OUT FIGURE: {'; '.join(parts)}." if parts else ""


_WARNINGS = {
    "clip": "these clips it was trained on",
    "speaker": "these clips are others by speakers it was trained on",
    "chosen": "these clips are by speakers or are clips that chose its epoch and temperature",
    "untold": "these clips are of a corpus it was trained on, and its card does not say which of them",
}


def _check(clips: pd.DataFrame) -> None:
    if clips.empty:
        raise CorpusError("None of the clips has a label that the model knows. Choose another corpus.")


def _measure(
    clips: pd.DataFrame, config: TrainingConfig, desk: Desk, *, effects: dict[str, float] | None = None, share: float
) -> Dataset:
    data = dataset.build(
        clips,
        config.features,
        n_copies=config.n_copies,
        strength=config.strength,
        effects=effects,
        with_windows=classifiers.CLASSIFIERS[config.classifier].input_kind == "frames",
        seed=config.seed,
        cache=desk.cache,
        n_jobs=desk.n_jobs,
        niced=desk.niced,
        should_stop=desk.should_stop,
        on_progress=lambda done, total: desk.on_progress(
            share * done / total, f"Measuring the clips: {done:,} of {total:,}"
        ),
    )
    if not len(data.clip):
        raise CorpusError(f"None of the {len(clips)} clips can be read: {data.problems[0][1]}")
    return data


def _round(
    recipe: Recipe,
    config: TrainingConfig,
    clips: pd.DataFrame,
    data: Dataset | None,
    each: Round,
    protocol: str,
    key: str,
    digest: np.ndarray,
    desk: Desk,
    tell: Progress,
) -> Outcome | None:
    """Return what the round's test clips were answered: read back where the same round has been trained before.

    data: what it is trained on otherwise; None: it is not trained, and there is no outcome.
    """
    told = hashlib.sha256(
        each.train.tobytes() + each.test.tobytes() + json.dumps([protocol, each.labels]).encode()
    ).hexdigest()
    path = desk.results / f"{config.classifier}-{protocol}-{key}-{told[:10]}.json" if desk.results else None
    stored = _recall(path, each.test)
    if stored is None and data is None:
        return None
    note_reading(
        desk,
        {
            "model": recipe.name,
            "protocol": protocol,
            "corpora": sorted(set(clips.loc[each.test, corpora.CORPUS])),
            "round": each.title,
            "n_clips": int(each.test.sum()),
            "read_back": stored is not None,
        },
    )
    if stored is None:
        assert data is not None, "without, the round has been left out above"
        stored = _train(config, clips, data, each, desk, tell)
        if path:
            keep(path, stored)
    answered = np.array(stored["clips"], int)
    tested = clips.iloc[answered].reset_index(drop=True)
    is_answered = np.zeros(len(clips), bool)
    is_answered[answered] = True
    return Outcome(
        model=recipe.name,
        protocol=protocol,
        labels=each.labels,
        clips=tested,
        y=training.targets(tested, each.labels),
        probabilities=np.array(stored["probabilities"]),
        seen=exposure.seen(clips, digest, each.train, is_answered),
    )


def _train(
    config: TrainingConfig, clips: pd.DataFrame, data: Dataset, each: Round, desk: Desk, tell: Progress
) -> dict[str, Any]:
    keep = each.train | each.test
    inside = clips[keep].reset_index(drop=True)
    part = data if keep.all() else dataset.select(data, keep)
    folds = np.where(each.test[keep], 0, -1)

    def on_epoch(epoch: int, epochs: int, values: dict[str, float]) -> None:
        tell(epoch / (epochs + 1), f"epoch {epoch} of {epochs}")

    result = training.train_fold(inside, part, config, folds, 0, on_epoch=on_epoch, should_stop=desk.should_stop)
    places = np.flatnonzero(keep)
    order = np.argsort(result["clips"])
    return {
        "clips": [int(places[result["clips"][each]]) for each in order],
        "probabilities": [result["probabilities"][each] for each in order],
        "temperature": result["temperature"],
    }


def _recall(path: Path | None, test: np.ndarray) -> dict[str, Any] | None:
    if path is None:
        return None
    try:
        stored: dict[str, Any] = plain_json.loads(path.read_text())
        fits = test[np.array(stored["clips"], int)].all() and len(stored["clips"]) == len(stored["probabilities"]) > 0
    except (OSError, ValueError, KeyError, TypeError, IndexError, OverflowError):
        return None
    return stored if fits else None


def _joined(parts: Sequence[Outcome], problems: tuple[tuple[str, str], ...]) -> Outcome:
    """Return the rounds as one: each tested other clips. A label that a round lacks was never answered in it."""
    used = {label for part in parts for label in part.labels}
    labels = tuple(label for label in corpora.ALL_LABELS if label in used)
    probabilities = np.zeros((sum(len(part.y) for part in parts), len(labels)))
    start = 0
    for part in parts:
        probabilities[start : start + len(part.y), [labels.index(label) for label in part.labels]] = part.probabilities
        start += len(part.y)
    clips = pd.concat([part.clips for part in parts], ignore_index=True)
    order = clips.sort_values([corpora.CORPUS, corpora.NAME], kind="stable").index.to_numpy()
    clips = clips.iloc[order].reset_index(drop=True)
    seen = [part.seen for part in parts if part.seen]
    return replace(
        parts[0],
        labels=labels,
        clips=clips,
        y=training.targets(clips, labels),
        probabilities=probabilities[order],
        problems=problems,
        seen={name: np.concatenate([each[name] for each in seen])[order] for name in evaluation.SEEN},
    )


def heard_by(card: store.ModelCard, clips: pd.DataFrame, models: Path) -> exposure.Heard:
    """Return what a model and those that it went on from have heard."""
    found, seen_slugs = [exposure.heard(card, clips)], {card.slug}
    while base := card.training.get("start_from"):
        if base in seen_slugs:
            break
        seen_slugs.add(base)
        try:
            card = store.read_card(base, models)
        except ModelError:
            nothing, everything = np.zeros(len(clips), bool), np.ones(len(clips), bool)
            found.append(exposure.Heard(nothing, nothing, nothing, everything))
            break
        found.append(exposure.heard(card, clips))
    return exposure.together(found)


def _key(recipe: Recipe, clips: pd.DataFrame, digest: np.ndarray) -> str:
    """Return a name for settings, clips, their bytes and the code that measures them: what a stored round belongs to."""
    text = hashlib.sha256(_settings(recipe))
    text.update(
        "\n".join(
            clips[corpora.CORPUS] + "/" + clips[corpora.NAME] + " " + clips[corpora.EMOTION] + " " + digest
        ).encode()
    )
    text.update(dataset.code_digest())
    return text.hexdigest()[:12]


def recipe_key(recipe: Recipe) -> str:
    """Return a name for a recipe's settings, whatever it is called: it changes with each of them, and with nothing else."""
    return hashlib.sha256(_settings(recipe)).hexdigest()[:12]


def _settings(recipe: Recipe) -> bytes:
    config = recipe.config
    own = json.dumps(config.to_dict() | {"effects": recipe.effects}, sort_keys=True)
    usual = json.dumps(classifiers.CLASSIFIERS[config.classifier].defaults, sort_keys=True, default=list)
    return (own + usual).encode()


def keep(path: Path, values: dict[str, Any]) -> None:
    """Write a finished result as JSON, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    runs.replace_text(path, json.dumps(values))


def note_reading(desk: Desk, what: dict[str, Any]) -> None:
    """Append to the log that a test part was read: how often one looks is part of what a figure is worth."""
    if desk.results is None:
        return
    desk.results.mkdir(parents=True, exist_ok=True)
    with (desk.results / READINGS).open("a", encoding="utf-8") as log:
        log.write(
            json.dumps({"when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **what}, ensure_ascii=False) + "\n"
        )


def _same_clips(one: Outcome, other: Outcome) -> bool:
    columns = [corpora.CORPUS, corpora.NAME]
    return len(one.y) == len(other.y) and bool((one.clips[columns].to_numpy() == other.clips[columns].to_numpy()).all())


def part(outcome: Outcome, wanted: np.ndarray) -> Outcome:
    """Return what a model said of some of the clips, bool (n_clips,)."""
    heard = outcome.heard
    return replace(
        outcome,
        clips=outcome.clips[wanted].reset_index(drop=True),
        y=outcome.y[wanted],
        probabilities=outcome.probabilities[wanted],
        seen={name: each[wanted] for name, each in outcome.seen.items()} if outcome.seen else None,
        heard=exposure.Heard(heard.clip[wanted], heard.speaker[wanted], heard.chosen[wanted], heard.untold[wanted])
        if heard
        else None,
    )
