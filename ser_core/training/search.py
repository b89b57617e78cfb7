"""Cross-validation and grid search: the same fits, each without some speakers, over one or many combinations of hyperparameters.

Fits are handed out through joblib to processes of this machine, or to the workers of a cluster. Each finished one is a line of a file:
a stopped run resumes after them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ser_core import classifiers
from ser_core.dataset.build import Dataset
from ser_core.errors import Stopped
from ser_core.system import files, priority
from ser_core.system.cluster import Cluster
from ser_core.training import fit
from ser_core.training.fit import FitConfig

OnFit = Callable[[int, int, dict[str, Any]], None]
"""Called with (fits done, fits in all, the fit that ended) after each fit."""

OnEpoch = Callable[[int, int, int, dict[str, float]], None]
"""Called with (fold, epoch, epochs, figures); only where fits run in this process."""


@dataclass(frozen=True)
class Work:
    """What all fits share: clips, features, settings, the fold of each clip, which clips take part, and what a network starts from.

    sounds: a key of each clip's recording, str (n_clips,), None where unknown.
    """

    clips: pd.DataFrame
    data: Dataset
    config: FitConfig
    folds: np.ndarray
    among: np.ndarray
    start: classifiers.Start | None = None
    sounds: np.ndarray | None = None


def run(
    work: Work,
    combinations: Sequence[Mapping[str, Any]],
    *,
    file: Path,
    n_jobs: int = 1,
    cluster: Cluster | None = None,
    keep_probabilities: bool = False,
    on_fit: OnFit | None = None,
    on_epoch: OnEpoch | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> list[dict[str, Any]]:
    """Return one row per fit, in the order of combinations and folds: combination, fold, clips, accuracy, uar, seconds.

    file : where finished fits are kept, as lines of JSON; those of other settings or clips are not looked at. keep_probabilities :
        whether a row holds the calibrated probabilities of its clips too. cluster : what fits in place of n_jobs processes of this
        machine.

    Raises
    ------
    Stopped : if should_stop returned True; finished fits are in the file.
    """
    key = fit.run_key(work.clips, work.config, np.where(work.among, work.folds, -1))
    tasks = [(number, int(fold)) for number in range(len(combinations)) for fold in sorted(set(work.folds[work.among]))]
    rows = {
        (int(row["combination"]), int(row["fold"])): row
        for row in files.read_json_lines(file)
        if row.get("key") == key and row.get("hyperparameters") == _plain(combinations[int(row["combination"])])
    }
    missing = [task for task in tasks if task not in rows]
    for row in _fits(work, combinations, missing, key, n_jobs, cluster, keep_probabilities, on_epoch, should_stop):
        files.append_json_line(file, row)
        rows[row["combination"], row["fold"]] = row
        if on_fit:
            on_fit(len(rows), len(tasks), row)
        if should_stop():
            raise Stopped("Stopped.")
    return [rows[task] for task in tasks]


def table(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one row per combination, the best first: hyperparameters, mean and spread (sd over folds) of UAR and accuracy, seconds."""
    trials = []
    for number in dict.fromkeys(row["combination"] for row in rows):
        fits = [row for row in rows if row["combination"] == number]
        uar, accuracy = ([float(row[name]) for row in fits] for name in ("uar", "accuracy"))
        trials.append(
            {
                "hyperparameters": fits[0]["hyperparameters"],
                "uar": float(np.mean(uar)),
                "spread": float(np.std(uar)),
                "folds": uar,
                "accuracy": float(np.mean(accuracy)),
                "accuracy_spread": float(np.std(accuracy)),
                "seconds": round(sum(float(row["seconds"]) for row in fits), 2),
            }
        )
    return sorted(trials, key=lambda trial: -trial["uar"])


def probabilities(rows: Sequence[Mapping[str, Any]], n_clips: int, n_labels: int) -> np.ndarray:
    """Return calibrated probabilities (n_clips, n_labels) from rows that kept them; 0 for clips that were not tested."""
    combined = np.zeros((n_clips, n_labels))
    for row in rows:
        combined[row["clips"]] = row["probabilities"]
    return combined


def _fits(
    work: Work,
    combinations: Sequence[Mapping[str, Any]],
    tasks: Sequence[tuple[int, int]],
    key: str,
    n_jobs: int,
    cluster: Cluster | None,
    keep: bool,
    on_epoch: OnEpoch | None,
    should_stop: Callable[[], bool],
) -> Iterator[dict[str, Any]]:
    """Yield the row of each fit as it ends. Without a cluster a network trains in this process, where its epochs can be followed."""
    if cluster and tasks:
        yield from cluster.as_they_end(
            _fit_there, work, [(combinations[number], number, fold, key, keep) for number, fold in tasks]
        )
        return
    if n_jobs == 1 or classifiers.CLASSIFIERS[work.config.classifier].input_kind == "frames":
        for number, fold in tasks:
            yield _fit(work, combinations[number], number, fold, key, keep, on_epoch, should_stop)
        return
    import joblib

    jobs = (joblib.delayed(_fit)(work, combinations[number], number, fold, key, keep) for number, fold in tasks)
    yield from joblib.Parallel(n_jobs=n_jobs, return_as="generator_unordered")(jobs)


def _fit_there(
    work: Work, combination: Mapping[str, Any], number: int, fold: int, key: str, keep: bool
) -> dict[str, Any]:
    """Fit in a worker of a cluster, which is one of several processes on its machine: TensorFlow takes one thread."""
    priority.limit_threads(priority.shared_threads())
    return _fit(work, combination, number, fold, key, keep)


def _fit(
    work: Work,
    combination: Mapping[str, Any],
    number: int,
    fold: int,
    key: str,
    keep: bool,
    on_epoch: OnEpoch | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> dict[str, Any]:
    begun = time.monotonic()
    config = replace(work.config, hyperparameters={**work.config.hyperparameters, **combination})
    told = on_epoch or (lambda *_: None)
    fitted = fit.train_fold(
        work.clips,
        work.data,
        config,
        work.folds,
        fold,
        among=work.among,
        sounds=work.sounds,
        start=work.start,
        should_stop=should_stop,
        on_epoch=lambda epoch, epochs, figures: told(fold, epoch, epochs, figures),
    )
    y = fit.targets(work.clips, config.labels)[fitted["clips"]]
    guessed = np.array(fitted["probabilities"]).argmax(axis=1)
    row = {
        "key": key,
        "combination": number,
        "fold": fold,
        "hyperparameters": _plain(combination),
        "n_clips": len(y),
        "accuracy": float((guessed == y).mean()),
        "uar": float(np.mean([(guessed[y == label] == label).mean() for label in np.unique(y)])),
        "seconds": round(time.monotonic() - begun, 2),
    }
    return row | ({"clips": fitted["clips"], "probabilities": fitted["probabilities"]} if keep else {})


def _plain(combination: Mapping[str, Any]) -> dict[str, Any]:
    """Return the combination as JSON gives it back: tuples as lists."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in combination.items()}
