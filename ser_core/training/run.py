"""What a training process does, from the settings in a run's folder to a saved model: the command line calls `run`.

Stages, as the status tells them: features, searching, training, evaluating, saving. Whatever goes wrong ends in a sentence and leaves
no broken model.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ser_core import classifiers
from ser_core.corpora import catalogue, library
from ser_core.dataset import build, cache, duplicates, splits, voices
from ser_core.dataset.build import Dataset
from ser_core.dataset.duplicates import Sounds
from ser_core.errors import ConfigError, CorpusError, SerError, Stopped
from ser_core.explanation import neighbours
from ser_core.metrics import calibration, evaluation
from ser_core.metrics.evaluation import Evaluation
from ser_core.recognition import store
from ser_core.recognition.card import ModelCard
from ser_core.system.cluster import Cluster, connected, program_digest
from ser_core.system.files import write_atomically
from ser_core.training import card as training_card
from ser_core.training import fit, held_out, run_folder, search, stopping
from ser_core.training import plan as training_plan
from ser_core.training.card import Made, to_json
from ser_core.training.config import RunConfig
from ser_core.training.fit import FitConfig, TrainingResult
from ser_core.training.plan import Prepared, prepare
from ser_core.training.run_folder import Reporter, Status

NOTHING_TO_KEEP = "Stopped before an epoch had ended: there was nothing to keep."
STOPPED = stopping.NOTHING_KEPT

GONE_SHARE = 0.1
"""A run continues without a clip that is deleted meanwhile; with more than this share of them gone, a drive was unplugged."""


@dataclass(frozen=True)
class RunPaths:
    """Where a run finds and puts things, and the number of processes for features and fits.

    corpora: the folder of installed ones; folders: name -> folder of a corpus that lies elsewhere. cache: of the features. scheduler: of a
    cluster, in place of the one that the settings name.
    """

    corpora: Path
    models: Path
    cache: Path | None
    n_jobs: int = 1
    folders: Mapping[str, Path] = field(default_factory=dict)
    scheduler: str = ""


@dataclass(frozen=True)
class TrainingData:
    """What was made of the settings: clips and parts, features, and the settings of one fit."""

    config: RunConfig
    prepared: Prepared
    data: Dataset
    base: FitConfig
    start_card: ModelCard | None
    start: classifiers.Start | None


def run(reporter: Reporter, places: RunPaths) -> Status:
    """Work through the run that `reporter` tells of and return its last status.

    Does not raise for what a user or a machine can cause: that is the status.
    """
    folder = reporter.folder
    try:
        card, result = _work(folder, places, reporter)
        write_atomically(folder / run_folder.RESULT, to_json(result))
        early = (
            "Stopped as asked; the best epoch so far is saved"
            if reporter.stop_request() == run_folder.KEEP
            else "Saved"
        )
        reporter.end(run_folder.DONE, f"{early} as '{card.slug}'.", model=card.slug)
    except Stopped:
        reporter.end(run_folder.STOPPED, NOTHING_TO_KEEP if reporter.stop_request() == run_folder.KEEP else STOPPED)
    except KeyboardInterrupt:
        reporter.end(run_folder.STOPPED, STOPPED)
    except SerError as error:
        reporter.end(run_folder.FAILED, "It could not be finished.", problem=str(error))
    except Exception as error:  # the edge of the process: the page must not wait for ever
        note_traceback(reporter)
        reporter.end(run_folder.FAILED, "It could not be finished.", problem=explain(error))
    return reporter.status


def explain(error: BaseException) -> str:
    """Return what happened and what to do, in a sentence, for an error that is not a SerError."""
    name = type(error).__name__
    if isinstance(error, MemoryError) or name in (
        "ResourceExhaustedError",
        "TerminatedWorkerError",
        "BrokenProcessPool",
    ):
        return "The machine ran out of memory. Choose fewer corpora or copies, or a smaller batch, close other programs, and start again."
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "The disk is full. Free some space and start again; the features that were measured are kept."
    if isinstance(error, OSError):
        return f"A file could not be used: {error.strerror or error} ({error.filename or 'no name'}). Fix that and start again."
    return f"It broke off because of a fault in the program ({name}: {str(error)[:200]}). The log has the whole of it."


def note_traceback(reporter: Reporter) -> None:
    """Add the error that is being handled to the log of a run."""
    try:
        reporter.line(traceback.format_exc().rstrip())
    except OSError:
        pass  # a full disk: the status still says it


def _work(folder: Path, places: RunPaths, reporter: Reporter) -> tuple[ModelCard, dict[str, Any]]:
    begun = time.monotonic()
    config = RunConfig.from_dict(run_folder.read_config(folder))
    clips = read_clips(config, places)
    sounds = duplicates.remembered(clips, cache=places.cache) or _compare(clips, config, places, reporter)
    plan = training_plan.plan(
        clips, config, rates=run_folder.read_rates(folder.parent), models=places.models, sounds=sounds
    )
    if plan.problems:
        raise ConfigError(plan.problems[0])
    prepared = prepare(clips, config, sounds)
    if told := training_plan.sound_warning(prepared, clips, config, sounds):
        reporter.line(told)
    reporter.expect(plan.seconds or {})
    with _cluster(config, prepared, places, reporter) as workers:
        material = _gather(config, prepared, places, reporter, workers)
        trials, cross = _cross(folder, material, places, reporter, workers)
    if trials:
        best = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in trials[0]["hyperparameters"].items()
        }
        material = replace(
            material, base=replace(material.base, hyperparameters={**material.base.hyperparameters, **best})
        )
        reporter.line(f"The best of {len(trials)}: " + ", ".join(f"{name} {value}" for name, value in best.items()))
    result = _train(material, reporter)
    for note in result.notes:
        reporter.line(note)
    reporter.stage(run_folder.EVALUATING, "Testing it on held-out clips.")
    if cross is None:
        rows = material.data.rows(prepared.part == splits.TEST, augmented=False)
        cross = np.zeros((len(prepared.clips), len(prepared.labels)))
        raw = fit.predict_rows(result.classifier, material.data, rows, config.classifier)
        cross[material.data.clip[rows]] = calibration.calibrate(raw, result.temperature)
        apart: float | np.ndarray | None = result.threshold
    else:
        assert prepared.folds is not None, "it was cross-validated"
        threshold, apart = fit.threshold_of_folds(prepared.clips, cross, prepared.labels, prepared.folds)
        result = replace(result, threshold=threshold)
    figures = evaluate(prepared, cross, config.protocol, threshold=apart)
    before = _before(material, places)
    reporter.stage(run_folder.SAVING, "Saving the model.")
    _keep_answers(folder, prepared, cross, config.protocol)
    made = Made(config, prepared, material.data, result, figures, before, trials, reporter.folder.name, sounds)
    card = store.save_new(
        lambda files: _unless_discarded(training_card.card(made, files), reporter), result.classifier, places.models
    )
    neighbours.keep(card, result.classifier, prepared.clips, material.data, places.models)
    main = figures[next(iter(figures))]
    whom = f"{main.n_test_speakers} speaker{'s' * (main.n_test_speakers != 1)}"
    reporter.line(f"UAR {main.uar:.1%}, accuracy {main.accuracy:.1%} on {main.n_clips} clips of {whom}.")
    return card, {
        "model": card.slug,
        "figures": {name: each.to_dict() for name, each in figures.items()},
        "before": {name: each.to_dict() for name, each in before.items()},
        "trials": trials,
        "seconds": round(time.monotonic() - begun, 1),
        "unreadable": [list(problem) for problem in material.data.problems],
        "notes": list(result.notes),
    }


def _keep_answers(folder: Path, prepared: Prepared, probabilities: np.ndarray, protocol: str) -> None:
    """Keep what was answered to each tested clip with the run: a byte a label."""
    folds = np.zeros(len(prepared.clips), int) if prepared.folds is None else prepared.folds
    found = held_out.of(
        prepared.clips,
        folds,
        probabilities,
        run_folder.MODEL,
        labels=prepared.labels,
        protocol=protocol,
        scope=held_out.ALL,
    )
    held_out.write(folder / run_folder.ANSWERS, [found])


def _compare(clips: pd.DataFrame, config: RunConfig, places: RunPaths, reporter: Reporter) -> Sounds:
    """Return what the clips share by sound, and say how far that is; raises ConfigError where the run cannot be, compared or not."""
    plan = training_plan.plan(clips, config, rates=run_folder.read_rates(reporter.folder.parent), models=places.models)
    if plan.problems:
        raise ConfigError(plan.problems[0])
    reporter.expect(plan.seconds or {})
    reporter.stage(run_folder.COMPARING, "Comparing the clips by sound.")
    begun, rate = time.monotonic(), 0.0

    def on_progress(done: int, total: int) -> None:
        nonlocal rate
        rate = done / max(time.monotonic() - begun, 1e-3)
        reporter.progress(done / total, duplicates.progress_text(done, total), clips_per_s=rate)

    sounds = duplicates.sounds(
        clips,
        cache=places.cache,
        n_jobs=places.n_jobs,
        on_progress=on_progress,
        should_stop=lambda: bool(reporter.stop_request()),
    )
    if rate:
        run_folder.note_rate(reporter.folder.parent, "sounds", rate)
    return sounds


def read_clips(config: RunConfig, places: RunPaths) -> pd.DataFrame:
    """Return the clips table of the corpora that the settings name, in their order; raises CorpusError."""
    return pd.concat(
        [
            library.read(name, places.folders[name])
            if name in places.folders
            else library.clips(places.corpora, [name])
            for name in config.corpora
        ],
        ignore_index=True,
    )


def _unless_discarded(card: ModelCard, reporter: Reporter) -> ModelCard:
    """Return the card, unless a stop without a model was requested meanwhile."""
    if reporter.stop_request() == run_folder.DISCARD:
        raise Stopped(STOPPED)
    return card


@contextlib.contextmanager
def _cluster(config: RunConfig, prepared: Prepared, places: RunPaths, reporter: Reporter) -> Iterator[Cluster | None]:
    """Inside this, the workers of the scheduler that was named are there and fit for the work; without one, None."""
    address = places.scheduler or config.scheduler
    if not address:
        yield None
        return
    with connected(address) as workers:
        firsts = prepared.clips.groupby(catalogue.CORPUS)[catalogue.PATH].first()
        files = [os.path.abspath(path) for path in firsts]
        if config.start_from:
            files.append(str(places.models / config.start_from / store.KERAS_FILE))
        workers.ask(_unfit, files, program_digest())
        reporter.line(
            f"Measuring and comparing on {workers.n_workers} worker{'s' * (workers.n_workers != 1)} of {address}."
        )
        yield workers


def _unfit(files: Sequence[str], digest: bytes) -> str:
    """Return why the process that this is called in could not do the work, or ""."""
    if program_digest() != digest:
        return (
            "has another version of this program, whose features differ. Start it in a copy of this project's folder."
        )
    missing = [file for file in files if not os.access(file, os.R_OK)]
    if missing:
        return f"cannot read '{missing[0]}'. Corpora and models must lie in a folder that all machines share, under the same path."
    return ""


def _gather(
    config: RunConfig, prepared: Prepared, places: RunPaths, reporter: Reporter, workers: Cluster | None
) -> TrainingData:
    """Measure the clips and their copies; which of them are learned from is decided by the parts alone."""
    n_copies = config.n_copies * int(prepared.learnable.sum())
    total = len(prepared.clips) + n_copies
    reporter.stage(
        run_folder.FEATURES,
        f"Measuring {len(prepared.clips)} clips{f' and {n_copies} augmented copies' if n_copies else ''}.",
    )
    begun, n_cached = time.monotonic(), _n_cached(places)

    def on_progress(done: int, total: int) -> None:
        rate = done / max(time.monotonic() - begun, 1e-3)
        reporter.progress(done / total, f"Measured {done} of {total} clips and copies.", clips_per_s=rate)

    data = build.build(
        prepared.clips,
        config.features,
        n_copies=config.n_copies,
        augmented=prepared.learnable,
        strength=config.strength,
        effects=config.effects,
        voices=voices.of_their_own(prepared.clips, _tested_in(prepared)),
        kinds=[classifiers.CLASSIFIERS[config.classifier].input_kind],
        seed=config.seed,
        cache=places.cache,
        n_jobs=places.n_jobs,
        cluster=workers,
        on_progress=on_progress,
        should_stop=lambda: bool(reporter.stop_request()),
    )
    for path, reason in data.problems:
        reporter.line(f"Left out: {Path(path).name}: {reason}")
    gone = [path for path, _ in data.problems if not os.path.exists(path)]
    if len(gone) > GONE_SHARE * len(prepared.clips):
        raise CorpusError(
            f"{len(gone)} of the {len(prepared.clips)} clips have gone since this run began, '{gone[0]}' among them. Put the corpus back, "
            "or plug its drive in, and start again: what has been measured is kept."
        )
    if len(data.problems) == len(prepared.clips):
        raise ConfigError(f"None of the {len(prepared.clips)} clips can be read: {data.problems[0][1]}")
    seconds = max(time.monotonic() - begun, 1e-3)
    if not workers and _n_cached(places) - n_cached >= 0.9 * total:  # nearly all was measured here, not read back
        run_folder.note_rate(reporter.folder.parent, "features", total / seconds)
    start_card = training_plan.start_card(config, places.models)
    start = None
    if start_card:
        start = classifiers.Start(
            places.models / start_card.slug / store.KERAS_FILE, start_card.labels, start_card.hyperparameters
        )
    base = FitConfig(
        classifier=config.classifier,
        hyperparameters={name: value for name, value in config.settings.items() if name != "seed"},
        labels=prepared.labels,
        features=config.features,
        n_copies=config.n_copies,
        strength=config.strength,
        speaker_cap=config.speaker_cap,
        corpus_cap=config.corpus_cap,
        validation_share=config.validation_share,
        protocol=config.protocol,
        balance=config.balance,
        seed=config.seed,
    )
    return TrainingData(config, prepared, data, base, start_card, start)


def _tested_in(prepared: Prepared) -> np.ndarray:
    """Return which clips are tested, or held out, together: int (n_clips,)."""
    learnable: np.ndarray = prepared.learnable.astype(int)
    return learnable if prepared.folds is None else np.where(prepared.folds < 0, -learnable - 1, prepared.folds)


def _n_cached(places: RunPaths) -> int:
    return cache.usage(places.cache)[0] if places.cache else 0


def _cross(
    folder: Path, material: TrainingData, places: RunPaths, reporter: Reporter, workers: Cluster | None
) -> tuple[list[dict[str, Any]], np.ndarray | None]:
    """Search or cross-validate, where the settings say so: return one row per combination, and the probabilities of tested clips."""
    prepared, config = material.prepared, material.config
    if prepared.folds is None:
        return [], None
    combinations = config.combinations
    searching = bool(config.grid)
    n_folds = len(set(prepared.folds[prepared.folds >= 0]))
    if searching:
        reporter.stage(run_folder.SEARCHING, f"Comparing {len(combinations)} combinations, each in {n_folds} folds.")
    else:
        reporter.stage(run_folder.TRAINING, f"Testing every clip in {n_folds} folds.")
    n_fits = n_folds * len(combinations) + (0 if searching else 1)
    done = 0

    def on_fit(fits_done: int, fits: int, row: dict[str, Any]) -> None:
        nonlocal done
        done = fits_done
        told = ", ".join(f"{name} {value}" for name, value in row["hyperparameters"].items())
        reporter.line(
            f"Fold {row['fold'] + 1}{f', {told}' if told else ''}: UAR {row['uar']:.1%}, {row['seconds']:.1f} s"
        )
        reporter.progress(done / n_fits, f"{done} of {fits} trainings done.")

    def on_epoch(fold: int, epoch: int, epochs: int, values: dict[str, float]) -> None:
        reporter.epoch({"fold": fold, "epoch": epoch, "epochs": epochs, **values})
        reporter.progress(
            (done + epoch / epochs) / n_fits,
            f"Training {done + 1} of {n_fits}: epoch {epoch} of {epochs}.",
            epoch=epoch,
            epochs=epochs,
        )

    rows = search.run(
        search.Work(
            prepared.clips,
            material.data,
            material.base,
            prepared.folds,
            prepared.folds >= 0,
            material.start,
            prepared.sounds,
        ),
        combinations,
        file=folder / run_folder.SEARCH,
        n_jobs=places.n_jobs,
        cluster=workers,
        keep_probabilities=not searching,
        on_fit=on_fit,
        on_epoch=on_epoch,
        should_stop=lambda: bool(reporter.stop_request()),
    )
    if searching:
        return search.table(rows), None
    return [], search.probabilities(rows, len(prepared.clips), len(prepared.labels))


def _train(material: TrainingData, reporter: Reporter) -> TrainingResult:
    """Fit the model that is saved. Asked to stop and keep, or once its budget of time is spent, it is the best epoch so far."""
    prepared, name = material.prepared, material.config.classifier
    spec = classifiers.CLASSIFIERS[name]
    part = prepared.part
    n = int((part == splits.TRAIN).sum())
    first = 0.0
    if reporter.status.stage == run_folder.TRAINING:
        first = material.config.folds / (material.config.folds + 1)
        reporter.line(f"Training the {spec.title} on all speakers.")
    else:
        reporter.stage(run_folder.TRAINING, f"Training a {spec.title} on {n} clips.")
    clock = time.monotonic
    begun = last = clock()
    epochs_done = all_epochs = 0
    budget_s = material.config.budget_s
    n_items = len(material.data.rows(part == splits.TRAIN, augmented=True))
    drawn = min(n_items, int(material.base.hyperparameters.get("clips_per_epoch", n_items)))

    def on_epoch(epoch: int, epochs: int, values: dict[str, float]) -> None:
        nonlocal last, epochs_done, all_epochs
        now = clock()
        rate = drawn / max(now - last, 1e-3)
        last, epochs_done, all_epochs = now, epoch, epochs
        reporter.epoch({"fold": None, "epoch": epoch, "epochs": epochs, **values})
        reporter.progress(
            first + (1 - first) * epoch / epochs,
            f"Epoch {epoch} of {epochs}.",
            clips_per_s=rate,
            epoch=epoch,
            epochs=epochs,
        )
        if reporter.status.epoch % 5 == 0 or epoch in (1, epochs):
            reporter.line(
                f"Epoch {epoch} of {epochs}: " + ", ".join(f"{key} {value:.3f}" for key, value in values.items())
            )

    def is_spent() -> bool:
        return bool(budget_s and epochs_done and clock() - begun >= budget_s)

    result = fit.train(
        prepared.clips,
        material.data,
        material.base,
        train_mask=part != splits.TEST,
        validation_mask=part == splits.VALIDATION,
        start=material.start,
        on_epoch=on_epoch,
        should_stop=lambda: bool(reporter.stop_request()) or is_spent(),
    )
    wish = reporter.stop_request()
    if wish == run_folder.DISCARD or (wish == run_folder.KEEP and spec.iterative and not epochs_done):
        raise Stopped(STOPPED)
    seconds = max(clock() - begun, 1e-3)
    if is_spent() and epochs_done < all_epochs and not wish:
        how_far = f"The {budget_s} s of training were over after epoch {epochs_done} of {all_epochs}; the best of them is kept."
        result = replace(result, notes=(*result.notes, how_far))
    run_folder.note_rate(reporter.folder.parent, name, drawn * max(epochs_done, 1) / seconds)
    return result


def evaluate(
    prepared: Prepared, probabilities: np.ndarray, protocol: str, *, threshold: float | np.ndarray | None = None
) -> dict[str, Evaluation]:
    """Return figures from calibrated probabilities (n_clips, n_labels) of the tested clips: over all, where several, then by corpus.

    threshold: from which top probability on the model is sure, one for all or (n_clips,).
    """
    tested = probabilities.sum(axis=1) > 0
    y = fit.targets(prepared.clips, prepared.labels)
    names = prepared.clips[catalogue.CORPUS].to_numpy()
    speakers = prepared.clips[catalogue.SPEAKER].to_numpy()
    if not tested.any():
        raise ConfigError(
            "None of the clips that were to be tested can be read. Check the corpus, or choose another seed."
        )
    return evaluation.by_corpus(
        y[tested],
        probabilities[tested],
        names[tested],
        labels=prepared.labels,
        speakers=speakers[tested],
        protocol=protocol,
        threshold=threshold[tested] if isinstance(threshold, np.ndarray) else threshold,
    )


def _before(material: TrainingData, places: RunPaths) -> dict[str, Evaluation]:
    """Return what the model that was started from reaches on the same tested clips; a label that it does not know it never answers."""
    card, prepared = material.start_card, material.prepared
    if card is None or material.config.folds:
        return {}
    model = store.load(card.slug, places.models)
    rows = material.data.rows(prepared.part == splits.TEST, augmented=False)
    theirs = fit.predict_rows(model.classifier, material.data, rows, card.classifier)
    theirs = calibration.calibrate(theirs, model.temperature)
    ours = np.full((len(rows), len(prepared.labels)), 1e-9)
    for position, label in enumerate(prepared.labels):
        if label in card.labels:
            ours[:, position] += theirs[:, card.labels.index(label)]
    probabilities = np.zeros((len(prepared.clips), len(prepared.labels)))
    probabilities[material.data.clip[rows]] = ours / ours.sum(axis=1, keepdims=True)
    return evaluate(prepared, probabilities, material.config.protocol)
