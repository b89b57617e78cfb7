"""How much of a trained model's score is left when clean clips are degraded: noise, rooms, phone lines, another voice.

A few hundred clips stand for a corpus, the same under every condition and for every model. Predictions are kept in files, one per model
and condition, so that a stopped measurement resumes. cli/robustness.py and the Compare page call it.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ser_core.audio import degradations
from ser_core.corpora import catalogue
from ser_core.dataset import build, degraded
from ser_core.dataset import voices as others_around
from ser_core.errors import ConfigError, CorpusError, Stopped
from ser_core.experiments import comparison
from ser_core.experiments.measure import sounds_of
from ser_core.experiments.outcome import AS_TRAINED, Outcome, part, table_from_dict, table_to_dict
from ser_core.experiments.workspace import Workspace, keep, key, note_reading, recall
from ser_core.metrics import evaluation
from ser_core.recognition import recognizer, store
from ser_core.recognition.card import ModelCard
from ser_core.system import pool
from ser_core.training import contamination, fit

N_CLIPS, MOST_CLIPS = 120, 2000
N_BOOTSTRAP = 500

FLATTERED = (
    "A line is too high where the model was trained on the voices, and part of its fall is lost memorisation. Which conditions "
    "cost it most, and from which level on, is still informative."
)
"""What goes with the figures of a model that was trained on the speakers."""

COLUMNS = ("model", "condition", "level", "n_clips", "accuracy", "uar", "low", "high", "lost", "lost_low", "lost_high")
"""Of Robustness.rows. level: NaN for CLEAN; low, high: the 95 % interval of the UAR; lost: of the UAR on the same clips when clean, with
the 95 % interval of a paired bootstrap. Shares lie in 0..1, a gain is a negative loss."""


@dataclass(frozen=True, kw_only=True)
class Robustness:
    """What models reached under conditions. rows: a table with COLUMNS, one row per model, condition and level; clips: the tested ones;
    heard: model -> its training overlap with them; problems: (path, reason) of clips that could not be used."""

    rows: pd.DataFrame
    clips: pd.DataFrame
    heard: Mapping[str, contamination.TrainingOverlap]
    problems: tuple[tuple[str, str], ...] = ()


_Answers = list["list[list[float]] | str"]
"""For each clip the probabilities at each level, or why it could not be used."""


def choose(clips: pd.DataFrame, n: int, *, rng: np.random.Generator) -> pd.DataFrame:
    """Return at most n clips, the labels in turn, each from the least drawn speaker so far; renumbered from 0, in the old order.

    Raises
    ------
    ConfigError : for fewer than 1 or more than MOST_CLIPS clips.
    """
    if not 1 <= n <= MOST_CLIPS:
        raise ConfigError(f"A measurement under conditions takes 1 to {MOST_CLIPS} clips. Got {n}.")
    shuffled = clips.iloc[rng.permutation(len(clips))]
    left = {
        label: {speaker: list(rows.index) for speaker, rows in group.groupby(catalogue.SPEAKER, sort=False)}
        for label, group in shuffled.groupby(catalogue.EMOTION)
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


def possible(clips: pd.DataFrame) -> list[str]:
    """Return the conditions that are possible with some clips: babble needs a second speaker."""
    several = clips[catalogue.SPEAKER].nunique() > 1
    return [name for name, row in degradations.CONDITIONS.items() if several or not row.others]


def measure(
    cards: Sequence[ModelCard],
    clips: pd.DataFrame,
    names: Sequence[str],
    workspace: Workspace,
    *,
    n_clips: int = N_CLIPS,
    seed: int = 0,
    on_part: Callable[[Robustness], None] | None = None,
) -> Robustness:
    """Return the figures of trained models on clips as they are, and under each of some conditions.

    clips : clips table of which n_clips are tested, drawn by `seed` among those whose label every model knows; babble is mixed from all of
        it. names : of degradations.CONDITIONS. on_part(result so far) is called after each condition.

    Raises
    ------
    ConfigError, CorpusError : if nothing can be measured. ModelError : if a model cannot be loaded.
    Stopped : if workspace.should_stop returned True; finished conditions are kept.
    """
    degradations.check(names)
    if not cards:
        raise ConfigError("Choose a model to measure.")
    known = set.intersection(*(set(card.labels) for card in cards))
    usable = clips[clips[catalogue.EMOTION].isin(known)].reset_index(drop=True)
    if usable.empty:
        raise CorpusError("No clip has a label that all of these models know. Choose fewer models, or another corpus.")
    chosen = choose(usable, n_clips, rng=np.random.default_rng(seed))
    models = {card.slug: store.load(card.slug, workspace.models) for card in cards}
    digest = contamination.digests(chosen)
    sounds = sounds_of(chosen, workspace, share=0.1)
    heard = {card.slug: contamination.heard_by(card, chosen, workspace.models, sounds) for card in cards}
    order = [degradations.CLEAN, *(name for name in degradations.CONDITIONS if name in names)]
    voices = (
        others_around.of_others(chosen, clips, seed=seed)
        if any(degradations.CONDITIONS[name].others for name in order[1:])
        else [()] * len(chosen)
    )
    for card in cards:
        note_reading(
            workspace,
            {
                "model": card.slug,
                "protocol": AS_TRAINED,
                "conditions": order,
                "corpora": sorted(set(chosen[catalogue.CORPUS])),
                "n_clips": len(chosen),
            },
        )
    work = [len(_levels(name)) for name in order]
    clean: dict[str, Outcome] = {}
    rows: list[dict[str, Any]] = []
    problems: dict[str, str] = {}
    for place, name in enumerate(order):

        def report_progress(share: float, text: str, place: int = place) -> None:
            workspace.on_progress(0.1 + 0.9 * (sum(work[:place]) + share * work[place]) / sum(work), text)

        others = voices if name != degradations.CLEAN and degradations.CONDITIONS[name].others else [()] * len(chosen)
        found = _answered(name, list(models.values()), cards, chosen, digest, others, seed, workspace, report_progress)
        for card in cards:
            problems |= {
                path: each
                for path, each in zip(chosen[catalogue.PATH], found[card.slug], strict=True)
                if isinstance(each, str)
            }
            for level, outcome in zip(
                _levels(name), _outcomes(card, chosen, found[card.slug], len(_levels(name))), strict=True
            ):
                first = clean.setdefault(card.slug, outcome)
                rows.append({"model": card.slug, "condition": name, "level": level, **_figures(first, outcome)})
        result = Robustness(
            rows=pd.DataFrame(rows, columns=list(COLUMNS)), clips=chosen, heard=heard, problems=tuple(problems.items())
        )
        if on_part:
            on_part(result)
    return result


def worst(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the level at which each model lost most of its UAR: those rows of `rows`, one per model and condition."""
    under = rows[rows["condition"] != degradations.CLEAN].reset_index(drop=True)
    return under.loc[under.groupby(["condition", "model"], sort=False)["lost"].idxmax()].reset_index(drop=True)


def to_dict(found: Robustness) -> dict[str, Any]:
    """Return the result as JSON values: "n_clips", "n_speakers", "heard" (model -> shares, see contamination.shares) and "rows"."""
    rows = [
        {name: None if isinstance(value, float) and np.isnan(value) else value for name, value in row.items()}
        for row in found.rows.to_dict("records")
    ]
    return {
        "n_clips": len(found.clips),
        "n_speakers": int(found.clips[catalogue.SPEAKER].nunique()),
        "heard": {model: contamination.shares(each) for model, each in found.heard.items()},
        "rows": rows,
        "unreadable": [list(problem) for problem in found.problems],
    }


def dump(found: Robustness) -> dict[str, Any]:
    """Return all of the result as JSON values, for `load`."""
    rows = found.rows.astype(object).where(found.rows.notna(), None)
    columns = table_to_dict(found.clips)
    return {
        "rows": rows.to_dict("list"),
        "clips": {name: [_whole(value) for value in values] for name, values in columns.items()},
        "heard": {
            model: [each.astype(int).tolist() for each in astuple(heard)] for model, heard in found.heard.items()
        },
        "problems": [[_whole(path), reason] for path, reason in found.problems],
    }


def load(values: Mapping[str, Any]) -> Robustness:
    """Return the result of which these are `dump`'s values; raises KeyError, TypeError, ValueError or AttributeError for others."""
    rows = pd.DataFrame({name: values["rows"][name] for name in COLUMNS})
    kinds = {name: float for name in COLUMNS if name not in ("model", "condition", "n_clips")}
    return Robustness(
        rows=rows.astype(kinds),
        clips=table_from_dict(values["clips"]),
        heard={
            model: contamination.TrainingOverlap(*np.array(heard, bool)) for model, heard in values["heard"].items()
        },
        problems=tuple((str(path), str(reason)) for path, reason in values["problems"]),
    )


def _whole(text: str) -> str:
    """Return a text whose bytes need not be a text, as some names of files, as JSON may hold it."""
    return text.encode("utf-8", "replace").decode()


def _levels(name: str) -> tuple[float, ...]:
    """Return the levels that are measured, without the one that changes nothing, which is CLEAN."""
    return (
        (float("nan"),)
        if name == degradations.CLEAN
        else tuple(
            level for level in degradations.CONDITIONS[name].levels if level != degradations.CONDITIONS[name].middle
        )
    )


def _answered(
    name: str,
    models: Sequence[recognizer.Recognizer],
    cards: Sequence[ModelCard],
    clips: pd.DataFrame,
    digest: np.ndarray,
    voices: Sequence[tuple[str, ...]],
    seed: int,
    workspace: Workspace,
    report_progress: Callable[[float, str], None],
) -> dict[str, _Answers]:
    """Return each model's predictions under a condition: read back where they are kept, else computed once for all models without."""
    names = {card.slug: _name(card, name, clips, digest, voices, seed) for card in cards}
    found = {
        slug: recall(workspace, each, functools.partial(_kept, n_clips=len(clips))) for slug, each in names.items()
    }
    missing = [model for model in models if found[model.slug] is None]
    title = "Clean" if name == degradations.CLEAN else degradations.CONDITIONS[name].title
    n_done, n_total = 0, len(clips) * len({model.config for model in missing})
    for config in dict.fromkeys(model.config for model in missing):
        alike = [model for model in missing if model.config == config]
        kinds = tuple(dict.fromkeys(model.input_kind for model in alike))
        tasks = [
            degraded._Task(
                path,
                around,
                name,
                _levels(name),
                kinds,
                int(hashlib.sha256(f"{seed} {name} {clip_digest}".encode()).hexdigest()[:12], 16),
            )
            for path, around, clip_digest in zip(clips[catalogue.PATH], voices, digest, strict=True)
        ]
        analyse = functools.partial(degraded._hear, config=config)
        n_jobs = workspace.n_jobs if len(tasks) * len(_levels(name)) >= build.WORTH_WORKERS else 1
        run = functools.partial(pool.in_processes, analyse, n_jobs=n_jobs, niced=workspace.niced)
        answers: dict[str, _Answers] = {model.slug: [] for model in alike}
        # The first clip goes alone: what numba compiles must not be compiled by two processes at once, nor loaded by a server.
        for items in itertools.chain(run([(tasks[0],)]), run([(task,) for task in tasks[1:]])):
            if workspace.should_stop():
                raise Stopped("Stopped. Finished conditions are kept and need not be measured again.")
            for model in alike:
                answers[model.slug].append(
                    items if isinstance(items, str) else [_answer(model, each[model.input_kind]) for each in items]
                )
            n_done += 1
            report_progress(n_done / n_total, f"{title}: clip {n_done} of {n_total}")
        for slug, given in answers.items():
            found[slug] = given
            keep(workspace, names[slug], {"answers": given})
    return {slug: given for slug, given in found.items() if given is not None}


def _answer(model: recognizer.Recognizer, items: np.ndarray) -> list[float]:
    return [round(p, 6) for p in model.answer(items).probabilities.values()]


def _outcomes(card: ModelCard, clips: pd.DataFrame, answers: _Answers, n_levels: int) -> list[Outcome]:
    good = np.array([not isinstance(each, str) for each in answers])
    if not good.any():
        raise CorpusError(f"None of the {len(clips)} clips can be read: {answers[0]}")
    tested = clips[good].reset_index(drop=True)
    y = fit.targets(tested, card.labels)
    probabilities = np.array([each for each in answers if not isinstance(each, str)])
    probabilities /= probabilities.sum(axis=-1, keepdims=True)
    whole = Outcome(
        model=card.slug,
        protocol=AS_TRAINED,
        labels=card.labels,
        clips=tested,
        y=y,
        probabilities=probabilities,
    )
    return [replace(whole, probabilities=probabilities[:, level]) for level in range(n_levels)]


def _figures(clean: Outcome, outcome: Outcome) -> dict[str, Any]:
    figures = evaluation.evaluate(
        outcome.y,
        outcome.probabilities,
        labels=outcome.labels,
        speakers=outcome.clips[catalogue.SPEAKER].to_numpy(),
        protocol=outcome.protocol,
        corpus="",
        rng=np.random.default_rng(0),
        n_bootstrap=N_BOOTSTRAP,
        with_curves=False,
    )
    both = clean.clips[catalogue.PATH].isin(set(outcome.clips[catalogue.PATH])).to_numpy()
    apart = comparison.difference(part(clean, both), outcome, rng=np.random.default_rng(0), n_bootstrap=N_BOOTSTRAP)
    low, high = figures.interval["uar"]
    return {
        "n_clips": figures.n_clips,
        "accuracy": figures.accuracy,
        "uar": figures.uar,
        "low": low,
        "high": high,
        "lost": apart.value,
        "lost_low": apart.low,
        "lost_high": apart.high,
    }


def _name(
    card: ModelCard,
    name: str,
    clips: pd.DataFrame,
    digest: np.ndarray,
    voices: Sequence[tuple[str, ...]],
    seed: int,
) -> str:
    """Return what a model's predictions under a condition are kept as, named after all that they depend on."""
    inputs = {
        "files": card.files,
        "temperature": card.temperature,
        "labels": card.labels,
        "features": card.features.to_dict(),
        "levels": [] if name == degradations.CLEAN else degradations.CONDITIONS[name].levels,
        "seed": seed,
        "version": degradations.VERSION,
    }
    of_clips = clips[catalogue.CORPUS] + "/" + clips[catalogue.NAME] + " " + digest
    return f"robust-{card.slug}-{name}-{key(inputs, of_clips, (' '.join(Path(path).name for path in around) for around in voices))}"


def _kept(values: Any, *, n_clips: int) -> _Answers:
    answers: _Answers = values["answers"]
    if len(answers) != n_clips:
        raise ValueError("it is of other clips")
    return answers
