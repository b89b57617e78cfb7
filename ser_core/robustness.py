"""How much of a trained model's score is left when clean clips are heard under worse conditions: noise, rooms, lines, another voice.

A few hundred clips stand for a corpus, the same under every condition and for every model. What was answered is kept in files, a model
and condition each, so that a stopped measurement goes on where it was. cli_robustness.py and the Compare page call it.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ser_core import (
    assessment,
    audio,
    augment,
    comparison,
    conditions,
    corpora,
    dataset,
    evaluation,
    exposure,
    features,
    lossy,
    plain_json,
    recognizer,
    store,
    training,
)
from ser_core.assessment import Desk, Outcome
from ser_core.dataset import Dataset
from ser_core.errors import AudioError, ConfigError, CorpusError
from ser_core.features import FeatureConfig
from ser_core.store import ModelCard

N_CLIPS, MOST_CLIPS = 120, 2000
CLEAN = "clean"
N_BOOTSTRAP = 500

FLATTERED = (
    "How high a line stands is flattered where a model knows the voices, and part of its fall is memory that is lost. Which conditions "
    "cost it most, and from which level on, still tells."
)
"""What goes with the figures of a model that was trained on the speakers."""

COLUMNS = ("model", "condition", "level", "n_clips", "accuracy", "uar", "low", "high", "lost", "lost_low", "lost_high")
"""Of Robustness.rows. level: NaN for CLEAN; low, high: the 95 % interval of the UAR; lost: of the UAR on the same clips when clean, with
the 95 % interval of a paired bootstrap. Shares lie in 0..1, a gain is a negative loss."""


@dataclass(frozen=True, kw_only=True)
class Robustness:
    """What models reached under conditions. rows: a table with COLUMNS, a row a model, condition and level; clips: those that were heard;
    heard: model -> what its card tells of them; problems: (path, reason) of clips that could not be used."""

    rows: pd.DataFrame
    clips: pd.DataFrame
    heard: Mapping[str, exposure.Heard]
    problems: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class _Task:
    """One clip under one condition, as a process takes it. kinds: the input kinds that are wanted; seed: of what is left to chance."""

    path: str
    voices: tuple[str, ...]
    condition: str
    levels: tuple[float, ...]
    kinds: tuple[str, ...]
    seed: int


_Answers = list["list[list[float]] | str"]
"""For each clip the probabilities at each level, or why it could not be used."""


def choose(clips: pd.DataFrame, n: int, *, rng: np.random.Generator) -> pd.DataFrame:
    """Return at most n clips, the labels in turn, each from the speaker who was drawn least so far; renumbered from 0, in the old order.

    Raises
    ------
    ConfigError : for fewer than 1 or more than MOST_CLIPS clips.
    """
    if not 1 <= n <= MOST_CLIPS:
        raise ConfigError(f"A measurement under conditions takes 1 to {MOST_CLIPS} clips. Got {n}.")
    shuffled = clips.iloc[rng.permutation(len(clips))]
    left = {
        label: {speaker: list(rows.index) for speaker, rows in group.groupby(corpora.SPEAKER, sort=False)}
        for label, group in shuffled.groupby(corpora.EMOTION)
    }
    drawn: list[int] = []
    of_speaker: Counter[str] = Counter()
    of_label: Counter[tuple[str, str]] = Counter()
    while len(drawn) < min(n, len(clips)):
        for label, speakers in left.items():
            if speakers and len(drawn) < n:
                who = min(speakers, key=lambda name: (of_label[label, name], of_speaker[name]))
                drawn.append(speakers[who].pop())
                of_speaker[who] += 1
                of_label[label, who] += 1
                if not speakers[who]:
                    del speakers[who]
    return clips.loc[sorted(drawn)].reset_index(drop=True)


def features_under(
    condition: str, level: float, clips: pd.DataFrame, wanted: np.ndarray, config: FeatureConfig, *, n_jobs: int = 1
) -> Dataset:
    """Return the features of some clips, bool (n_clips,), under a condition at a level; babble is of other speakers among the wanted ones.

    Clips that cannot be read are left out, and no facts are measured.
    """
    chosen = clips[wanted]
    voices = _voices(chosen, chosen, seed=0) if conditions.CONDITIONS[condition].others else [()] * len(chosen)
    tasks = [
        _Task(path, around, condition, (level,), ("vector", "frames"), seed)
        for seed, (path, around) in enumerate(zip(chosen[corpora.PATH], voices, strict=True))
    ]
    heard = list(
        dataset.in_processes(functools.partial(_hear, config=config), [(task,) for task in tasks], n_jobs, niced=False)
    )
    entries = [
        (clip, each[0]) for clip, each in zip(np.flatnonzero(wanted), heard, strict=True) if not isinstance(each, str)
    ]
    return Dataset(
        vectors=np.concatenate([each["vector"] for _, each in entries]),
        windows=np.concatenate([each["frames"] for _, each in entries]).astype(np.float16),
        window_row=np.repeat(np.arange(len(entries)), [len(each["frames"]) for _, each in entries]),
        clip=np.array([clip for clip, _ in entries], int),
        copy=np.zeros(len(entries), int),
        problems=(),
        facts=pd.DataFrame(),
    )


def possible(clips: pd.DataFrame) -> list[str]:
    """Return the conditions that can be made from some clips: babble needs a second speaker."""
    several = clips[corpora.SPEAKER].nunique() > 1
    return [name for name, row in conditions.CONDITIONS.items() if several or not row.others]


def measure(
    cards: Sequence[ModelCard],
    clips: pd.DataFrame,
    names: Sequence[str],
    desk: Desk,
    *,
    n_clips: int = N_CLIPS,
    seed: int = 0,
    on_part: Callable[[Robustness], None] | None = None,
) -> Robustness:
    """Return what trained models reach on clips as they are, and under each of some conditions.

    clips : clips table of which n_clips are heard, drawn by `seed` among those whose label every model knows; babble is mixed from all of
        it. names : of conditions.CONDITIONS. on_part(what there is so far) is called after each condition.

    Raises
    ------
    ConfigError, CorpusError : if nothing can be measured so. ModelError : if a model cannot be loaded.
    Stopped : if desk.should_stop said yes; finished conditions are kept.
    """
    conditions.check(names)
    if not cards:
        raise ConfigError("Choose a model to measure.")
    known = set.intersection(*(set(card.labels) for card in cards))
    usable = clips[clips[corpora.EMOTION].isin(known)].reset_index(drop=True)
    if usable.empty:
        raise CorpusError("No clip has a label that all of these models know. Choose fewer models, or another corpus.")
    chosen = choose(usable, n_clips, rng=np.random.default_rng(seed))
    models = {card.slug: store.load(card.slug, desk.models) for card in cards}
    digest = exposure.digests(chosen)
    heard = {card.slug: assessment.heard_by(card, chosen, desk.models) for card in cards}
    order = [CLEAN, *(name for name in conditions.CONDITIONS if name in names)]
    voices = (
        _voices(chosen, clips, seed)
        if any(conditions.CONDITIONS[name].others for name in order[1:])
        else [()] * len(chosen)
    )
    for card in cards:
        assessment.note_reading(
            desk,
            {
                "model": card.slug,
                "protocol": assessment.AS_TRAINED,
                "conditions": order,
                "corpora": sorted(set(chosen[corpora.CORPUS])),
                "n_clips": len(chosen),
            },
        )
    work = [len(_levels(name)) for name in order]
    clean: dict[str, Outcome] = {}
    rows: list[dict[str, Any]] = []
    problems: dict[str, str] = {}
    for place, name in enumerate(order):

        def tell(share: float, text: str, place: int = place) -> None:
            desk.on_progress((sum(work[:place]) + share * work[place]) / sum(work), text)

        others = voices if name != CLEAN and conditions.CONDITIONS[name].others else [()] * len(chosen)
        found = _answered(name, list(models.values()), cards, chosen, digest, others, seed, desk, tell)
        for card in cards:
            problems |= {
                path: each
                for path, each in zip(chosen[corpora.PATH], found[card.slug], strict=True)
                if isinstance(each, str)
            }
            for level, outcome in zip(
                _levels(name), _outcomes(card, chosen, found[card.slug], len(_levels(name))), strict=True
            ):
                first = clean.setdefault(card.slug, outcome)
                rows.append({"model": card.slug, "condition": name, "level": level, **_figures(first, outcome)})
        made = Robustness(
            rows=pd.DataFrame(rows, columns=list(COLUMNS)), clips=chosen, heard=heard, problems=tuple(problems.items())
        )
        if on_part:
            on_part(made)
    return made


def worst(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the level at which each model lost most of its UAR: the rows of `rows` that are so, a row a model and condition."""
    under = rows[rows["condition"] != CLEAN].reset_index(drop=True)
    return under.loc[under.groupby(["condition", "model"], sort=False)["lost"].idxmax()].reset_index(drop=True)


def to_dict(found: Robustness) -> dict[str, Any]:
    """Return what was found as JSON values: "n_clips", "n_speakers", "heard" (model -> shares, see assessment.shares) and "rows"."""
    rows = [
        {name: None if isinstance(value, float) and np.isnan(value) else value for name, value in row.items()}
        for row in found.rows.to_dict("records")
    ]
    return {
        "n_clips": len(found.clips),
        "n_speakers": int(found.clips[corpora.SPEAKER].nunique()),
        "heard": {model: assessment.shares(each) for model, each in found.heard.items()},
        "rows": rows,
        "unreadable": [list(problem) for problem in found.problems],
    }


def _levels(name: str) -> tuple[float, ...]:
    """Return the levels that are measured: not the one at which nothing changes, which is CLEAN."""
    return (
        (float("nan"),)
        if name == CLEAN
        else tuple(level for level in conditions.CONDITIONS[name].levels if level != conditions.CONDITIONS[name].middle)
    )


def _voices(chosen: pd.DataFrame, clips: pd.DataFrame, seed: int) -> list[tuple[str, ...]]:
    """Return the paths of the clips that are mixed to babble around each chosen clip: of other speakers, as many of them as there are."""
    rng = np.random.default_rng([seed, 1])
    made = []
    for speaker in chosen[corpora.SPEAKER]:
        others = clips[clips[corpora.SPEAKER] != speaker]
        if others.empty:
            raise CorpusError(
                "Babble is mixed from clips of other speakers, and there are none here. Add a corpus, or leave babble out."
            )
        shuffled = others.iloc[rng.permutation(len(others))]
        turn = shuffled.groupby(corpora.SPEAKER).cumcount().to_numpy()
        made.append(tuple(shuffled[corpora.PATH].iloc[np.argsort(turn, kind="stable")[: conditions.N_VOICES]]))
    return made


def _answered(
    name: str,
    models: Sequence[recognizer.Recognizer],
    cards: Sequence[ModelCard],
    clips: pd.DataFrame,
    digest: np.ndarray,
    voices: Sequence[tuple[str, ...]],
    seed: int,
    desk: Desk,
    tell: Callable[[float, str], None],
) -> dict[str, _Answers]:
    """Return what each model answers under a condition: read back where it was answered before, else heard once for all who lack it."""
    paths = {card.slug: _place(desk, card, name, clips, digest, voices, seed) for card in cards}
    found = {slug: _recall(path, len(clips)) for slug, path in paths.items()}
    missing = [model for model in models if found[model.slug] is None]
    title = "Clean" if name == CLEAN else conditions.CONDITIONS[name].title
    n_heard, n_to_hear = 0, len(clips) * len({model.config for model in missing})
    for config in dict.fromkeys(model.config for model in missing):
        alike = [model for model in missing if model.config == config]
        kinds = tuple(dict.fromkeys(model.input_kind for model in alike))
        tasks = [
            _Task(
                path,
                around,
                name,
                _levels(name),
                kinds,
                int(hashlib.sha256(f"{seed} {name} {told}".encode()).hexdigest()[:12], 16),
            )
            for path, around, told in zip(clips[corpora.PATH], voices, digest, strict=True)
        ]
        hear = functools.partial(_hear, config=config)
        n_jobs = desk.n_jobs if len(tasks) * len(_levels(name)) >= dataset.WORTH_WORKERS else 1
        run = functools.partial(dataset.in_processes, hear, n_jobs=n_jobs, niced=desk.niced)
        answers: dict[str, _Answers] = {model.slug: [] for model in alike}
        # The first clip goes alone: what numba compiles must not be compiled by two processes at once, nor loaded by a server.
        for heard in itertools.chain(run([(tasks[0],)]), run([(task,) for task in tasks[1:]])):
            if desk.should_stop():
                raise training.Stopped("Stopped. Finished conditions are kept and need not be measured again.")
            for model in alike:
                answers[model.slug].append(
                    heard if isinstance(heard, str) else [_answer(model, each[model.input_kind]) for each in heard]
                )
            n_heard += 1
            tell(n_heard / n_to_hear, f"{title}: clip {n_heard} of {n_to_hear}")
        for slug, made in answers.items():
            found[slug] = made
            if path := paths[slug]:
                assessment.keep(path, {"answers": made})
    return {slug: made for slug, made in found.items() if made is not None}


def _hear(task: _Task, *, config: FeatureConfig) -> list[dict[str, np.ndarray]] | str:
    """Return what a model of each kind sees of a clip at each level, or why the clip cannot be used; runs in a process of its own."""
    try:
        clip = audio.decode(task.path, sample_rate=config.sample_rate, name=Path(task.path).name).waveform
        voices = [
            audio.decode(path, sample_rate=config.sample_rate, name=Path(path).name).waveform for path in task.voices
        ]
        seen = []
        for level in task.levels:
            changed = clip
            if task.condition != CLEAN:
                changed = conditions.apply(
                    task.condition, level, clip, rng=np.random.default_rng(task.seed), voices=voices
                )
            measured = features.extract(changed, config)
            seen.append({kind: recognizer.inputs(measured, kind) for kind in task.kinds})
        return seen
    except AudioError as error:
        return str(error)


def _answer(model: recognizer.Recognizer, items: np.ndarray) -> list[float]:
    return [round(p, 6) for p in model.answer(items).probabilities.values()]


def _outcomes(card: ModelCard, clips: pd.DataFrame, answers: _Answers, n_levels: int) -> list[Outcome]:
    good = np.array([not isinstance(each, str) for each in answers])
    if not good.any():
        raise CorpusError(f"None of the {len(clips)} clips can be read: {answers[0]}")
    tested = clips[good].reset_index(drop=True)
    y = training.targets(tested, card.labels)
    probabilities = np.array([each for each in answers if not isinstance(each, str)])
    probabilities /= probabilities.sum(axis=-1, keepdims=True)
    whole = Outcome(
        model=card.slug,
        protocol=assessment.AS_TRAINED,
        labels=card.labels,
        clips=tested,
        y=y,
        probabilities=probabilities,
    )
    return [replace(whole, probabilities=probabilities[:, level]) for level in range(n_levels)]


def _figures(clean: Outcome, outcome: Outcome) -> dict[str, Any]:
    made = evaluation.evaluate(
        outcome.y,
        outcome.probabilities,
        labels=outcome.labels,
        speakers=outcome.clips[corpora.SPEAKER].to_numpy(),
        protocol=outcome.protocol,
        corpus="",
        rng=np.random.default_rng(0),
        n_bootstrap=N_BOOTSTRAP,
        with_curves=False,
    )
    both = clean.clips[corpora.PATH].isin(set(outcome.clips[corpora.PATH])).to_numpy()
    apart = comparison.difference(
        assessment.part(clean, both), outcome, rng=np.random.default_rng(0), n_bootstrap=N_BOOTSTRAP
    )
    low, high = made.interval["uar"]
    return {
        "n_clips": made.n_clips,
        "accuracy": made.accuracy,
        "uar": made.uar,
        "low": low,
        "high": high,
        "lost": apart.value,
        "lost_low": apart.low,
        "lost_high": apart.high,
    }


def _place(
    desk: Desk,
    card: ModelCard,
    name: str,
    clips: pd.DataFrame,
    digest: np.ndarray,
    voices: Sequence[tuple[str, ...]],
    seed: int,
) -> Path | None:
    """Return the file of a model's answers under a condition, named after all that they depend on."""
    if desk.results is None:
        return None
    told = {
        "files": card.files,
        "temperature": card.temperature,
        "labels": card.labels,
        "features": card.features.to_dict(),
        "levels": [] if name == CLEAN else conditions.CONDITIONS[name].levels,
        "seed": seed,
    }
    text = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    text.update("\n".join(clips[corpora.CORPUS] + "/" + clips[corpora.NAME] + " " + digest).encode())
    text.update("\n".join(" ".join(Path(path).name for path in around) for around in voices).encode())
    text.update(dataset.code_digest() + dataset.code_digest((augment, lossy, conditions, recognizer)))
    return desk.results / f"robust-{card.slug}-{name}-{text.hexdigest()[:12]}.json"


def _recall(path: Path | None, n_clips: int) -> _Answers | None:
    if path is None:
        return None
    try:
        answers: _Answers = plain_json.loads(path.read_text())["answers"]
        return answers if len(answers) == n_clips else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
