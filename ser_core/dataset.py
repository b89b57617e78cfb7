"""From a clips table to arrays: features and facts of every clip, and of augmented copies of it, with a cache on disk.

Which clips are for training is splits.py's business: here every clip and every copy is computed once, and `Dataset.rows`
picks originals for testing, originals and copies for training. Training, exploration.py and the export share the cache.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import inspect
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from ser_core import audio, augment, corpora, features, functionals, quality, spectral, syllables
from ser_core.cluster import Cluster
from ser_core.errors import AudioError, SerError
from ser_core.features import FeatureConfig

FACTS = (
    "duration_s",
    "source_rate",
    "source_channels",
    "truncated",
    "level_dbfs",
    "peak_dbfs",
    "clipped",
    "silence",
    "speech_s",
    "snr_db",
    "bandwidth_hz",
    "steady",
    "syllables_per_s",
)
"""What is known of each clip besides its features: of its file, quality.Quality's facts, syllables.rate. NaN: nothing to measure."""

_READERS = (audio, spectral, functionals, features, quality, syllables)
WORTH_WORKERS = 64
"""Fewer clips than this are measured before the first worker has started."""

TABLES, MAPS = "tables", "maps"
"""Folders of a cache, beside those of the clips, in which exploration.py keeps what it made of many clips."""

_OURS = re.compile(rf"([0-9a-f]{{2}}|{TABLES}|{MAPS})/([0-9a-f]{{64}}\.npz|ser-\w+\.part)")
"""The files of a cache, below its folder; what else lies there is somebody else's."""


class Cancelled(SerError):
    """The caller's should_stop said yes; what has been measured is in the cache."""


@dataclass(frozen=True)
class Dataset:
    """Features of clips; a row is a clip as recorded (copy 0) or one of its augmented copies (1, 2, ...).

    vectors: float32 (n_rows, n_columns); windows: float16 (n_windows, window_frames, n_columns); window_row: the row of each
    window; clip: position in the clips table; copy: 0 for the recording. problems: (path, reason) of unreadable clips.
    facts: a table with a row each and the columns FACTS.
    """

    vectors: np.ndarray
    windows: np.ndarray
    window_row: np.ndarray
    clip: np.ndarray
    copy: np.ndarray
    problems: tuple[tuple[str, str], ...]
    facts: pd.DataFrame

    def rows(self, wanted: np.ndarray, *, augmented: bool) -> np.ndarray:
        """Return the rows of the wanted clips, (n_clips,) bool; with their augmented copies only where asked for."""
        return np.flatnonzero(wanted[self.clip] & (augmented | (self.copy == 0)))


@dataclass(frozen=True)
class _Entry:
    """What is kept of a clip or a copy: its vector, windows and facts, float64 (len(FACTS),)."""

    vector: np.ndarray
    windows: np.ndarray
    facts: np.ndarray


def select(data: Dataset, wanted: np.ndarray) -> Dataset:
    """Return the rows of some clips, (n_clips,) bool, for a clips table that holds these clips alone."""
    rows = np.flatnonzero(wanted[data.clip])
    place = np.full(len(data.clip), -1)
    place[rows] = np.arange(len(rows))
    of_window = place[data.window_row]
    return replace(
        data,
        vectors=data.vectors[rows],
        windows=data.windows[of_window >= 0],
        window_row=of_window[of_window >= 0],
        clip=(np.cumsum(wanted) - 1)[data.clip[rows]],
        copy=data.copy[rows],
        facts=data.facts.iloc[rows].reset_index(drop=True),
    )


def apart(data: Dataset, clips: pd.DataFrame) -> tuple[Dataset, pd.DataFrame]:
    """Return the same rows as if each, a recording or a copy, were a clip of its own, and the table of those clips."""
    table = row_table(clips, data.clip, data.copy)
    return replace(data, clip=np.arange(len(data.clip)), copy=np.zeros(len(data.clip), int)), table


def row_table(clips: pd.DataFrame, clip: np.ndarray, copy: np.ndarray) -> pd.DataFrame:
    """Return a clips table with a row for each row of a Dataset; a copy's name tells which. clip, copy: as in Dataset."""
    names = [
        f"{name}#{number}" if number else name
        for name, number in zip(clips[corpora.NAME].iloc[clip], copy, strict=True)
    ]
    return clips.iloc[clip].reset_index(drop=True).assign(**{corpora.NAME: names})


def cache_folder() -> Path:
    """Return the folder of the feature cache of this machine: SER_CACHE, else cache/features in the project's own folder."""
    return Path(os.environ.get("SER_CACHE") or Path(__file__).resolve().parent.parent / "cache" / "features")


def build(
    clips: pd.DataFrame,
    config: FeatureConfig = FeatureConfig(),
    *,
    n_copies: int = 0,
    augmented: np.ndarray | None = None,
    strength: float = 1.0,
    effects: Mapping[str, float] | None = None,
    seed: int = 0,
    with_windows: bool = True,
    cache: Path | None = None,
    n_jobs: int = 1,
    niced: bool = False,
    cluster: Cluster | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Dataset:
    """Return the features of all clips and of n_copies augmented copies of each (strength, effects: see augment.chain).

    augmented: bool (n_clips,), the clips of which there are copies, all by default: nobody needs those of clips that are only tested.
    A clip that cannot be read is left out and reported in `problems`. With a cache folder, what was computed for the same
    bytes, settings and code is read back; only the rest is measured, by n_jobs processes (-1: one a core). on_progress(done,
    total) is called as clips finish. Without windows less is read and held, and `windows` is empty. niced: the processes let the others
    of this machine go first, such as one that serves pages. cluster: what measures in place of processes of this machine; it reads the
    clips under the paths of the table, and what it answers is kept in the cache here.

    Raises
    ------
    Cancelled : if should_stop said yes.
    """
    copied = np.ones(len(clips), bool) if augmented is None else augmented
    tasks = [
        (path, copy)
        for path, more in zip(clips[corpora.PATH], copied, strict=True)
        for copy in range(1 + n_copies * int(more))
    ]
    drawn = {"strength": strength, "seed": seed} if effects is None else {"effects": dict(effects), "seed": seed}
    measure = functools.partial(_measure, config=config, drawn=drawn, cache=cache, with_windows=with_windows)
    results: list[_Entry | str | None] = [None] * len(tasks)
    done = 0

    def note(task: int, result: _Entry | str) -> None:
        nonlocal done
        results[task] = result
        done += 1
        if on_progress and (done % 50 == 0 or done == len(tasks)):
            on_progress(done, len(tasks))

    def check_stop() -> None:
        if should_stop and should_stop():
            raise Cancelled("Stopped. What has been measured so far is kept and need not be measured again.")

    for task, (path, copy) in enumerate(tasks if cache else ()):
        check_stop()
        stored = _recall(path, copy, config, drawn, cache, with_windows)
        if stored:
            note(task, stored)
    missing = [task for task, result in enumerate(results) if result is None]
    if len(missing) < WORTH_WORKERS:
        n_jobs, cluster = 1, None
    if cluster:
        cluster.once_a_machine(_compile, config, effects)
        there = functools.partial(_measure, config=config, drawn=drawn, cache=None)
        run = cluster.in_order(there, [tasks[task] for task in missing])
    else:
        if missing and n_jobs != 1:
            _compile(config, effects)
        check_stop()
        run = in_processes(measure, [tasks[task] for task in missing], n_jobs, niced=niced)
    for task, result in zip(missing, run, strict=True):
        if cluster and isinstance(result, _Entry):
            result = _keep(result, *tasks[task], config, drawn, cache, with_windows)
        note(task, result)
        check_stop()
    return _assemble(tasks, results, config)


def in_processes(
    measure: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], n_jobs: int, *, niced: bool
) -> Iterator[Any]:
    """Yield measure(*task) of each task in their order, from processes with one thread of the numeric libraries each; 1: from this one.

    What numba compiles must have been called once before: two workers that fill its cache at the same time leave it corrupt.
    """
    import joblib

    with joblib.parallel_config("loky", inner_max_num_threads=1, initializer=_step_back if niced else None):
        run = joblib.Parallel(n_jobs=n_jobs, return_as="generator", batch_size=16)
        yield from run(joblib.delayed(measure)(*task) for task in tasks)


def _step_back() -> None:
    """Let the other processes of this machine go first; called once in each worker."""
    if hasattr(os, "nice"):
        os.nice(10)


def _compile(config: FeatureConfig, effects: Mapping[str, float] | None) -> None:
    """Call once what numba compiles: two workers that fill its cache at the same time leave it corrupt."""
    rng = np.random.default_rng(0)
    sound = audio.Waveform(rng.normal(scale=0.1, size=config.sample_rate // 2).astype(np.float32), config.sample_rate)
    features.extract(sound, config)
    for name in effects or ():
        augment.EFFECTS[name].apply(sound, 1.0, rng)


def _assemble(tasks: Sequence[tuple[str, int]], results: Sequence[Any], config: FeatureConfig) -> Dataset:
    clip = np.cumsum([copy == 0 for _, copy in tasks]) - 1  # a clip's own row comes before its copies
    good = [task for task, result in enumerate(results) if isinstance(result, _Entry)]
    entries: list[_Entry] = [results[task] for task in good]
    counts = [len(entry.windows) for entry in entries]
    empty = np.zeros((0, config.window_frames, len(features.frame_columns(config))), np.float16)
    columns = features.summary_columns(config)
    return Dataset(
        vectors=np.array([entry.vector for entry in entries], np.float32).reshape(len(good), len(columns)),
        windows=np.concatenate([empty, *(entry.windows for entry in entries)]),
        window_row=np.repeat(np.arange(len(good)), counts),
        clip=np.array([clip[task] for task in good], int),
        copy=np.array([tasks[task][1] for task in good], int),
        problems=tuple(
            {path: result for (path, _), result in zip(tasks, results, strict=True) if isinstance(result, str)}.items()
        ),
        facts=pd.DataFrame(
            np.array([entry.facts for entry in entries], float).reshape(len(good), len(FACTS)), columns=list(FACTS)
        ),
    )


def _measure(
    path: str,
    copy: int,
    *,
    config: FeatureConfig,
    drawn: Mapping[str, Any],
    cache: Path | None,
    with_windows: bool = True,
) -> _Entry | str:
    """Return what a clip or an augmented copy measures, and keep it; or the reason why it cannot be read."""
    try:
        data = Path(path).read_bytes()
        clip = audio.decode(data, name=Path(path).name, sample_rate=config.sample_rate)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except AudioError as error:
        return str(error)
    waveform = clip.waveform
    if copy:
        rng = np.random.default_rng(_seed(data, copy, drawn))
        waveform = augment.chain(waveform, strength=drawn.get("strength", 1.0), effects=drawn.get("effects"), rng=rng)
    measured = features.extract(waveform, config)
    windows = features.windows(measured).astype(np.float16)
    entry = _Entry(features.summary(measured), windows, _facts(clip, waveform, measured))
    if cache:
        _write(cache, _key(data, copy, config, drawn), entry)
    return entry if with_windows else _Entry(entry.vector, windows[:0], entry.facts)


def _keep(
    entry: _Entry,
    path: str,
    copy: int,
    config: FeatureConfig,
    drawn: Mapping[str, Any],
    cache: Path | None,
    with_windows: bool,
) -> _Entry:
    """Return what another machine measured, once it is in the cache of this one."""
    with contextlib.suppress(OSError):  # the clip went away meanwhile
        if cache:
            _write(cache, _key(Path(path).read_bytes(), copy, config, drawn), entry)
    return entry if with_windows else _Entry(entry.vector, entry.windows[:0], entry.facts)


def _write(cache: Path, key: str, entry: _Entry) -> None:
    write_arrays(_place(cache, key), vector=entry.vector, windows=entry.windows, facts=entry.facts)


def _facts(clip: audio.Clip, waveform: audio.Waveform, measured: features.Features) -> np.ndarray:
    of_file = {"source_rate": clip.source_rate, "source_channels": clip.source_channels, "truncated": clip.truncated}
    known = quality.report(waveform, measured).to_dict() | of_file | {"syllables_per_s": syllables.rate(measured)}
    return np.array([np.nan if known[name] is None else known[name] for name in FACTS], float)


def _recall(
    path: str, copy: int, config: FeatureConfig, drawn: Mapping[str, Any], cache: Path | None, with_windows: bool
) -> _Entry | None:
    """Return what the cache holds of a clip or a copy; None where it has nothing whole, or the clip cannot be read."""
    try:
        data = Path(path).read_bytes()
    except OSError:
        return None
    names = ("vector", "facts", *(("windows",) if with_windows else ()))
    stored = read_arrays(_place(cache, _key(data, copy, config, drawn)), *names) if cache else None
    n_columns = len(features.summary_columns(config))
    if not stored or stored["vector"].shape != (n_columns,) or stored["facts"].shape != (len(FACTS),):
        return None
    nothing = np.zeros((0, config.window_frames, len(features.frame_columns(config))), np.float16)
    return _Entry(stored["vector"], stored.get("windows", nothing), stored["facts"])


def _seed(data: bytes, copy: int, drawn: Mapping[str, Any]) -> int:
    """Return what a copy is drawn from: a clip's copies sound the same in every version of the code, and whatever is measured of them."""
    asked = json.dumps({"copy": copy} | dict(drawn), sort_keys=True).encode()
    return int.from_bytes(hashlib.sha256(hashlib.sha256(data).digest() + asked).digest()[:8], "big")


def _key(data: bytes, copy: int, config: FeatureConfig, drawn: Mapping[str, Any]) -> str:
    """Return the name of a cache entry: the clip's bytes, every setting, and the code that computes the features."""
    settings = {"copy": copy, "config": config.to_dict()} | (dict(drawn) if copy else {})
    readers = (*_READERS, augment) if copy else _READERS
    digest = hashlib.sha256(hashlib.sha256(data).digest())
    digest.update(json.dumps(settings, sort_keys=True).encode())
    digest.update(code_digest(readers))
    return digest.hexdigest()


@functools.lru_cache(maxsize=32)
def code_digest(modules: tuple[ModuleType, ...] = _READERS) -> bytes:
    """Return a digest of the source of these modules and of FACTS: what was computed by other code is not found again."""
    code = "".join(inspect.getsource(module) for module in modules)
    return hashlib.sha256(f"{FACTS}{code}".encode()).digest()


def _place(cache: Path, key: str) -> Path:
    return cache / key[:2] / f"{key}.npz"


def read_arrays(path: Path, *names: str) -> dict[str, np.ndarray] | None:
    """Return arrays of a file of the cache; None where it is missing, damaged or lacks one (it is then computed again)."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in names}
    except Exception:  # NumPy and zipfile have many ways of failing on a damaged file
        return None


def write_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write a file of the cache beside its place and rename it, so that another process sees all of it or nothing.

    Where the disk is full the file is left out: it is computed again next time.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix="ser-", suffix=".part")
        with os.fdopen(handle, "wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        os.replace(temporary, path)
    except OSError:
        if temporary:
            Path(temporary).unlink(missing_ok=True)


def usage(folder: Path) -> tuple[int, int]:
    """Return how many files a cache holds, and how many bytes; what else lies in its folder does not count."""
    sizes = []
    for path in _files(folder):
        with contextlib.suppress(OSError):  # removed or renamed meanwhile
            sizes.append(path.stat().st_size)
    return len(sizes), sum(sizes)


def clear(folder: Path, *, since_ns: int = 0) -> tuple[int, int]:
    """Remove what a cache holds, unfinished files of killed processes included; return how many files and bytes went.

    since_ns : only what was written then or later, as the time of files (st_mtime_ns). What else lies in the folder stays. Whoever
        writes meanwhile loses an entry, which is computed again.
    """
    n, freed = 0, 0
    files = _files(folder)
    for path in files:
        try:
            stat = path.stat()
            if stat.st_mtime_ns < since_ns:
                continue
            path.unlink()
        except OSError:
            continue
        n, freed = n + 1, freed + stat.st_size
    for parent in {path.parent for path in files}:
        with contextlib.suppress(OSError):  # not empty: somebody writes, or it is not ours alone
            parent.rmdir()
    return n, freed


def _files(folder: Path) -> list[Path]:
    return [
        path
        for path in folder.glob("*/*")
        if _OURS.fullmatch(path.relative_to(folder).as_posix()) and not path.is_symlink()
    ]
