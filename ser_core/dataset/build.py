"""From a clips table to arrays: features and facts of every clip, and of augmented copies of it, with a cache on disk.

Which clips are for training is splits.py's business: here every clip and every copy is computed once, and `Dataset.rows`
picks originals for testing, originals and copies for training. Training, exploration.py and the export share the cache.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ser_core.audio import augment, decoding, warm_up
from ser_core.audio.waveform import Waveform
from ser_core.corpora import catalogue
from ser_core.dataset.cache import FACTS, _place, read_arrays, version, write_arrays
from ser_core.errors import AudioError, Stopped
from ser_core.features import encoder, extraction, quality, speech_rate, vectors
from ser_core.features.config import FeatureConfig
from ser_core.system import pool
from ser_core.system.cluster import Cluster

WORTH_WORKERS = 64
"""Fewer clips than this are measured before the first worker has started."""


@dataclass(frozen=True)
class Dataset:
    """Features of clips; a row is a clip as recorded (copy 0) or one of its augmented copies (1, 2, ...).

    vectors: float32 (n_rows, n_columns); embeddings: float32 (n_rows, n_columns); windows: float16 (n_windows, window_frames,
    n_columns); window_row: the row of each window; clip: position in the clips table; copy: 0 for the recording. problems: (path,
    reason) of unreadable clips. facts: a table with one row each and the columns FACTS.
    """

    vectors: np.ndarray
    embeddings: np.ndarray
    windows: np.ndarray
    window_row: np.ndarray
    clip: np.ndarray
    copy: np.ndarray
    problems: tuple[tuple[str, str], ...]
    facts: pd.DataFrame

    def rows(self, wanted: np.ndarray, *, augmented: bool) -> np.ndarray:
        """Return the rows of some clips, (n_clips,) bool; with their augmented copies only on request."""
        return np.flatnonzero(wanted[self.clip] & (augmented | (self.copy == 0)))


@dataclass(frozen=True)
class _Task:
    """A clip as recorded (copy 0) or one of its copies. voices: paths of the clips that the copy's babble is mixed from."""

    path: str
    copy: int
    voices: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Entry:
    """What is kept of a clip or a copy: its vector, windows and facts, float64 (len(FACTS),); its embedding, None where not wanted."""

    vector: np.ndarray
    windows: np.ndarray
    facts: np.ndarray
    embedding: np.ndarray | None


def subset(data: Dataset, wanted: np.ndarray) -> Dataset:
    """Return the rows of some clips, (n_clips,) bool, for a clips table that holds these clips alone."""
    rows = np.flatnonzero(wanted[data.clip])
    place = np.full(len(data.clip), -1)
    place[rows] = np.arange(len(rows))
    of_window = place[data.window_row]
    return replace(
        data,
        vectors=data.vectors[rows],
        embeddings=data.embeddings[rows],
        windows=data.windows[of_window >= 0],
        window_row=of_window[of_window >= 0],
        clip=(np.cumsum(wanted) - 1)[data.clip[rows]],
        copy=data.copy[rows],
        facts=data.facts.iloc[rows].reset_index(drop=True),
    )


def split_copies(data: Dataset, clips: pd.DataFrame) -> tuple[Dataset, pd.DataFrame]:
    """Return the same rows as if each, a recording or a copy, were a separate clip, and the table of those clips."""
    table = row_table(clips, data.clip, data.copy)
    return replace(data, clip=np.arange(len(data.clip)), copy=np.zeros(len(data.clip), int)), table


def row_table(clips: pd.DataFrame, clip: np.ndarray, copy: np.ndarray) -> pd.DataFrame:
    """Return a clips table with one row per row of a Dataset; a copy's number is in its name. clip, copy: as in Dataset."""
    names = [
        f"{name}#{number}" if number else name
        for name, number in zip(clips[catalogue.NAME].iloc[clip], copy, strict=True)
    ]
    return clips.iloc[clip].reset_index(drop=True).assign(**{catalogue.NAME: names})


def build(
    clips: pd.DataFrame,
    config: FeatureConfig = FeatureConfig(),
    *,
    n_copies: int = 0,
    augmented: np.ndarray | None = None,
    strength: float = 1.0,
    effects: Mapping[str, float] | None = None,
    voices: Sequence[Sequence[str]] | None = None,
    seed: int = 0,
    kinds: Collection[str] = (vectors.VECTOR, vectors.FRAMES),
    cache: Path | None = None,
    n_jobs: int = 1,
    niced: bool = False,
    cluster: Cluster | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Dataset:
    """Return the features of all clips and of n_copies augmented copies of each (strength, effects: see augment.chain).

    augmented: bool (n_clips,), the clips of which there are copies, all by default: clips that are only tested need none. voices: for each
    clip the paths of the clips that its copies' babble is mixed from (voices.of_their_own); without, they have chatter of the clip itself.
    A clip that cannot be read is left out and reported in `problems`. With a cache folder, what was computed for the same
    bytes, settings and code is read back; only the rest is measured, by n_jobs processes (-1: one per core). on_progress(done,
    total) is called as clips finish. kinds: of vectors.KINDS, the inputs that are wanted; there are vectors in any case, and windows and
    embeddings without being asked for are empty. niced: the processes let the others of this machine go first, such as one that serves
    pages. cluster: what measures in place of processes of this machine; it reads the clips under the paths of the table, and what it
    answers is kept in the cache here.

    Raises
    ------
    Stopped : if should_stop returned True.
    """
    copied = np.ones(len(clips), bool) if augmented is None else augmented
    around = voices or [()] * len(clips)
    tasks = [
        _Task(path, copy, tuple(others) if copy else ())
        for path, more, others in zip(clips[catalogue.PATH], copied, around, strict=True)
        for copy in range(1 + n_copies * int(more))
    ]
    drawn = {"strength": strength, "seed": seed} if effects is None else {"effects": dict(effects), "seed": seed}
    measure = functools.partial(_measure, config=config, drawn=drawn, cache=cache, kinds=tuple(kinds))
    results: list[_Entry | str | None] = [None] * len(tasks)
    done = 0

    def note(number: int, result: _Entry | str) -> None:
        nonlocal done
        results[number] = result
        done += 1
        if on_progress and (done % 50 == 0 or done == len(tasks)):
            on_progress(done, len(tasks))

    def check_stop() -> None:
        if should_stop and should_stop():
            raise Stopped("Stopped. What has been measured so far is kept and need not be measured again.")

    for number, task in enumerate(tasks if cache else ()):
        check_stop()
        stored = _recall(task, config, drawn, cache, kinds) if cache else None
        if stored:
            note(number, stored)
    missing = [number for number, result in enumerate(results) if result is None]
    if len(missing) < WORTH_WORKERS:
        n_jobs, cluster = 1, None
    compiles = bool(augment.COMPILED & set(effects or ()))
    if cluster:
        if compiles:
            cluster.once_a_machine(warm_up.run)
        whole = (*kinds, vectors.FRAMES)
        there = functools.partial(_measure, config=config, drawn=drawn, cache=None, kinds=whole)
        run = cluster.in_order(there, [(tasks[number],) for number in missing])
    else:
        if compiles and missing and n_jobs != 1:
            warm_up.run()
        check_stop()
        run = pool.in_processes(measure, [(tasks[number],) for number in missing], n_jobs, niced=niced)
    for number, result in zip(missing, run, strict=True):
        if cluster and isinstance(result, _Entry):
            result = _keep(result, tasks[number], config, drawn, cache, kinds)
        note(number, result)
        check_stop()
    return _assemble(tasks, results, config, kinds)


def _assemble(tasks: Sequence[_Task], results: Sequence[Any], config: FeatureConfig, kinds: Collection[str]) -> Dataset:
    clip = np.cumsum([task.copy == 0 for task in tasks]) - 1  # a clip's own row comes before its copies
    good = [number for number, result in enumerate(results) if isinstance(result, _Entry)]
    entries: list[_Entry] = [results[number] for number in good]
    counts = [len(entry.windows) for entry in entries]
    empty = np.zeros((0, config.window_frames, len(vectors.frame_columns(config))), np.float16)
    columns = vectors.summary_columns(config)
    n_embedding = len(encoder.columns()) if vectors.EMBEDDING in kinds else 0
    return Dataset(
        vectors=np.array([entry.vector for entry in entries], np.float32).reshape(len(good), len(columns)),
        embeddings=np.array([entry.embedding for entry in entries if n_embedding], np.float32).reshape(
            len(good), n_embedding
        ),
        windows=np.concatenate([empty, *(entry.windows for entry in entries)]),
        window_row=np.repeat(np.arange(len(good)), counts),
        clip=np.array([clip[number] for number in good], int),
        copy=np.array([tasks[number].copy for number in good], int),
        problems=tuple(
            {task.path: result for task, result in zip(tasks, results, strict=True) if isinstance(result, str)}.items()
        ),
        facts=pd.DataFrame(
            np.array([entry.facts for entry in entries], float).reshape(len(good), len(FACTS)), columns=list(FACTS)
        ),
    )


def _measure(
    task: _Task,
    *,
    config: FeatureConfig,
    drawn: Mapping[str, Any],
    cache: Path | None,
    kinds: Collection[str],
) -> _Entry | str:
    """Return what a clip or an augmented copy measures, and keep it; or the reason why it cannot be read.

    Vector, windows and facts are measured and kept together, an embedding where it is wanted.
    """
    try:
        data = Path(task.path).read_bytes()
        clip = decoding.decode(data, name=Path(task.path).name, sample_rate=config.sample_rate)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except AudioError as error:
        return str(error)
    waveform = clip.waveform
    if task.copy:
        waveform = augment.chain(
            waveform,
            strength=drawn.get("strength", 1.0),
            effects=drawn.get("effects"),
            voices=functools.partial(_voices, task.voices, config.sample_rate) if task.voices else None,
            rng=np.random.default_rng(_seed(data, task.copy, drawn)),
        )
    key = ""
    if cache:
        with contextlib.suppress(OSError):
            key = _key(data, task, config, drawn)
    features = _read_features(cache, key, config) if cache and key else None
    if features is None:
        measured = extraction.extract(waveform, config)
        windows = vectors.windows(measured).astype(np.float16)
        features = {"vector": vectors.summary(measured), "windows": windows, "facts": facts(clip, waveform, measured)}
    embedding = encoder.embedding(waveform, config) if vectors.EMBEDDING in kinds else None
    entry = _Entry(**features, embedding=embedding)
    if cache and key:
        _write(cache, key, entry)
    return _wanted(entry, kinds)


def _voices(paths: Sequence[str], sample_rate: int) -> list[Waveform]:
    """Return the clips that babble is mixed from; those that cannot be read are missing from it."""
    voices = []
    for path in paths:
        with contextlib.suppress(AudioError, OSError):
            voices.append(decoding.decode(path, name=Path(path).name, sample_rate=sample_rate).waveform)
    return voices


def _keep(
    entry: _Entry,
    task: _Task,
    config: FeatureConfig,
    drawn: Mapping[str, Any],
    cache: Path | None,
    kinds: Collection[str],
) -> _Entry:
    """Return what another machine measured, once it is in the cache of this one."""
    with contextlib.suppress(OSError):  # the clip went away meanwhile
        if cache:
            _write(cache, _key(Path(task.path).read_bytes(), task, config, drawn), entry)
    return _wanted(entry, kinds)


def _wanted(entry: _Entry, kinds: Collection[str]) -> _Entry:
    """Return an entry without the windows where they are not wanted: they are what takes memory."""
    return entry if vectors.FRAMES in kinds else replace(entry, windows=entry.windows[:0])


def _write(cache: Path, key: str, entry: _Entry) -> None:
    write_arrays(_place(cache, key), vector=entry.vector, windows=entry.windows, facts=entry.facts)
    if entry.embedding is not None:
        write_arrays(_embedding_place(cache, key), embedding=entry.embedding)


def facts(clip: decoding.Clip, waveform: Waveform, measured: extraction.Features) -> np.ndarray:
    """Return what cache.FACTS names of a clip, float64 (len(FACTS),); waveform, measured: its sound, perhaps changed, and its features."""
    of_file = {"source_rate": clip.source_rate, "source_channels": clip.source_channels, "truncated": clip.truncated}
    known = (
        quality.report(waveform, measured, listen=False).to_dict()
        | of_file
        | {"syllables_per_s": speech_rate.rate(measured)}
    )
    return np.array([np.nan if known[name] is None else known[name] for name in FACTS], float)


def _recall(
    task: _Task, config: FeatureConfig, drawn: Mapping[str, Any], cache: Path, kinds: Collection[str]
) -> _Entry | None:
    """Return what the cache holds of a clip or a copy; None where a part of it is missing or damaged, or the clip cannot be read."""
    try:
        key = _key(Path(task.path).read_bytes(), task, config, drawn)
    except OSError:
        return None
    features = _read_features(cache, key, config, frames=vectors.FRAMES in kinds)
    if features is None or vectors.EMBEDDING not in kinds:
        return _Entry(**features, embedding=None) if features else None
    stored = read_arrays(_embedding_place(cache, key), "embedding")
    if not stored or stored["embedding"].shape != (len(encoder.columns()),):
        return None
    return _Entry(**features, embedding=stored["embedding"])


def _read_features(
    cache: Path, key: str, config: FeatureConfig, *, frames: bool = True
) -> dict[str, np.ndarray] | None:
    """Return vector, windows (empty without `frames`) and facts of an entry of the cache; None where they are missing or damaged."""
    stored = read_arrays(_place(cache, key), "vector", "facts", *(("windows",) if frames else ()))
    n_columns = len(vectors.summary_columns(config))
    if not stored or stored["vector"].shape != (n_columns,) or stored["facts"].shape != (len(FACTS),):
        return None
    nothing = np.zeros((0, config.window_frames, len(vectors.frame_columns(config))), np.float16)
    return {"windows": nothing, **stored}


def _embedding_place(cache: Path, key: str) -> Path:
    """Return the file of an entry's embedding: apart, since only one classifier wants it, and with the encoder in its name."""
    of_encoder = f"{key} {encoder.VERSION} {encoder.digest()} {' '.join(encoder.columns())}"
    return _place(cache, hashlib.sha256(of_encoder.encode()).hexdigest())


@functools.lru_cache(maxsize=2**16)
def _digest(path: str, changed_ns: int) -> str:
    """Return what tells the bytes of a file from others. changed_ns: when it was written, so that a file that changes is read again."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _seed(data: bytes, copy: int, drawn: Mapping[str, Any]) -> int:
    """Return the seed of a copy: a clip's copies sound the same in every version of the code and for all features."""
    asked = json.dumps({"copy": copy} | dict(drawn), sort_keys=True).encode()
    return int.from_bytes(hashlib.sha256(hashlib.sha256(data).digest() + asked).digest()[:8], "big")


def _key(data: bytes, task: _Task, config: FeatureConfig, drawn: Mapping[str, Any]) -> str:
    """Return the name of a cache entry: the clip's bytes, every setting, the bytes of the clips around it, and how it is measured.

    Raises OSError where one of those cannot be read: what is measured then is not to be kept.
    """
    settings = {"copy": task.copy, "config": config.to_dict()} | (dict(drawn) if task.copy else {})
    if task.voices:
        settings["voices"] = [_digest(path, os.stat(path).st_mtime_ns) for path in task.voices]
    digest = hashlib.sha256(hashlib.sha256(data).digest())
    digest.update(json.dumps(settings, sort_keys=True).encode())
    digest.update(version())
    return digest.hexdigest()
