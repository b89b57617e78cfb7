"""What a measurement gives: probabilities per clip, and the figures over them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ser_core.corpora import catalogue
from ser_core.errors import ConfigError
from ser_core.metrics import evaluation
from ser_core.metrics.evaluation import Evaluation
from ser_core.system import files
from ser_core.training import contamination
from ser_core.training.contamination import TrainingOverlap

AS_TRAINED = "as trained"
"""The protocol of a trained model that is scored as it is: its card lists its training data."""

MEAN = "mean"
"""The name of several models' mean, in place of a model's."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A model's predictions for the clips that it was tested on.

    clips: the tested clips, one row each; y: int (n_clips,), positions in `labels`; probabilities: (n_clips, n_labels), calibrated. seen:
    each of evaluation.SEEN -> bool (n_clips,), and folds: int (n_clips,), the training that left a clip out, None for a trained model;
    rounds: how many of the protocol's folds are in it, and of how many. heard: for a trained model, its training overlap with the clips,
    and threshold, from which top probability on it answers. doubles: sentences on the recordings that occur more than once among the
    clips, and on what was done; "" where none does.
    """

    model: str
    protocol: str
    labels: tuple[str, ...]
    clips: pd.DataFrame
    y: np.ndarray
    probabilities: np.ndarray
    seen: dict[str, np.ndarray] | None = None
    rounds: tuple[int, int] | None = None
    heard: contamination.TrainingOverlap | None = None
    problems: tuple[tuple[str, str], ...] = ()
    threshold: float | None = None
    doubles: str = ""
    folds: np.ndarray | None = None

    @property
    def answer(self) -> np.ndarray:
        """The position of the label that was answered, int (n_clips,)."""
        leading: np.ndarray = self.probabilities.argmax(axis=1)
        return leading


def mean(outcomes: Sequence[Outcome], name: str = MEAN) -> Outcome:
    """Return the mean of several models' probabilities on the same clips, as the outcome of one more model.

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
        heard=contamination.together(heard) if heard else None,
    )


def figures(outcome: Outcome) -> dict[str, Evaluation]:
    """Return the figures by corpus; where there are several, those over all come first, as evaluation.OVERALL."""
    return evaluation.by_corpus(
        outcome.y,
        outcome.probabilities,
        outcome.clips[catalogue.CORPUS].to_numpy(),
        labels=outcome.labels,
        speakers=outcome.clips[catalogue.SPEAKER].to_numpy(),
        protocol=outcome.protocol,
        seen=outcome.seen,
        human={name: spec.human_accuracy for name, spec in catalogue.CORPORA.items()},
        threshold=outcome.threshold,
    )


def to_dict(outcome: Outcome) -> dict[str, Any]:
    """Return the figures as JSON values: model, those over all clips, "per_corpus" where there are several, "heard" of a trained one."""
    by_corpus = figures(outcome)
    first, *others = by_corpus
    values: dict[str, Any] = {"model": outcome.model, **by_corpus[first].to_dict()}
    if others:
        values["per_corpus"] = {name: by_corpus[name].to_dict() for name in others}
    if outcome.heard:
        values["heard"] = contamination.shares(outcome.heard)
    if outcome.doubles:
        values["doubles"] = outcome.doubles
    if outcome.problems:
        values["unreadable"] = [list(problem) for problem in outcome.problems]
    return values


def _same_clips(one: Outcome, other: Outcome) -> bool:
    columns = [catalogue.CORPUS, catalogue.NAME]
    return len(one.y) == len(other.y) and bool((one.clips[columns].to_numpy() == other.clips[columns].to_numpy()).all())


def part(outcome: Outcome, mask: np.ndarray) -> Outcome:
    """Return the outcome on some of the clips: those where `mask`, bool (n_clips,), is true."""
    heard = outcome.heard
    return replace(
        outcome,
        clips=outcome.clips[mask].reset_index(drop=True),
        y=outcome.y[mask],
        probabilities=outcome.probabilities[mask],
        seen={name: each[mask] for name, each in outcome.seen.items()} if outcome.seen else None,
        heard=TrainingOverlap(*(each[mask] for each in astuple(heard))) if heard else None,
        folds=None if outcome.folds is None else outcome.folds[mask],
    )


def write(path: Path, outcome: Outcome) -> None:
    """Write an outcome as `read` reads it: arrays in NumPy's format, everything else as JSON in one of them."""
    facts = {
        "model": outcome.model,
        "protocol": outcome.protocol,
        "labels": outcome.labels,
        "clips": table_to_dict(outcome.clips),
        "rounds": outcome.rounds,
        "problems": outcome.problems,
        "threshold": outcome.threshold,
        "doubles": outcome.doubles,
    }
    arrays = {
        "facts": np.frombuffer(json.dumps(facts).encode(), np.uint8),
        "y": outcome.y,
        "probabilities": outcome.probabilities,
        **{f"seen_{name}": each for name, each in (outcome.seen or {}).items()},
    }
    if outcome.folds is not None:
        arrays["folds"] = outcome.folds
    if outcome.heard:
        arrays["heard"] = np.array(astuple(outcome.heard))
    files.write_atomically(path, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]


def read(path: Path) -> Outcome:
    """Return an outcome that `write` wrote.

    Raises
    ------
    ConfigError : if the file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = dict(stored)
        facts = json.loads(arrays["facts"].tobytes())  # a file's name may hold what untrusted_json refuses
        clips = table_from_dict(facts["clips"])
        y, probabilities = arrays["y"], arrays["probabilities"]
        if probabilities.shape != (len(clips), len(facts["labels"])) or y.shape != (len(clips),):
            raise ValueError("its arrays do not fit each other")
        seen = {name: arrays[f"seen_{name}"] for name in evaluation.SEEN} if "seen_speaker" in arrays else None
        return Outcome(
            model=str(facts["model"]),
            protocol=str(facts["protocol"]),
            labels=tuple(facts["labels"]),
            clips=clips,
            y=y,
            probabilities=probabilities,
            seen=seen,
            rounds=tuple(facts["rounds"]) if facts["rounds"] else None,
            heard=TrainingOverlap(*arrays["heard"]) if "heard" in arrays else None,
            problems=tuple((str(path), str(reason)) for path, reason in facts["problems"]),
            threshold=facts["threshold"],
            doubles=str(facts.get("doubles", "")),
            folds=arrays.get("folds"),
        )
    except Exception as error:  # NumPy and zipfile have many ways of failing on a damaged file
        raise ConfigError(f"The predictions in '{path.name}' cannot be read ({error}). Measure them again.") from None


def table_to_dict(clips: pd.DataFrame) -> dict[str, list[str]]:
    """Return a clips table as JSON values, column by column."""
    return {name: clips[name].astype(str).to_list() for name in catalogue.COLUMNS}


def table_from_dict(values: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Return the clips table of which these are the columns; raises KeyError or ValueError for others."""
    return pd.DataFrame({name: list(values[name]) for name in catalogue.COLUMNS})
