"""From a clips table to arrays: features of every clip, and of augmented copies of it, with a cache on disk.

Which clips are for training is splits.py's business: here every clip and every copy is computed once, and `Dataset.rows`
picks originals for testing, originals and copies for training.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ser_core import audio, augment, corpora, features
from ser_core.errors import AudioError
from ser_core.features import FeatureConfig

_READERS = (audio, augment, features)


@dataclass(frozen=True)
class Dataset:
    """Features of clips; a row is a clip as recorded (copy 0) or one of its augmented copies (1, 2, ...).

    vectors: float32 (n_rows, n_columns); windows: float16 (n_windows, window_frames, n_mels); window_row: the row of each
    window; clip: position in the clips table; copy: 0 for the recording. problems: (path, reason) of unreadable clips.
    """

    vectors: np.ndarray
    windows: np.ndarray
    window_row: np.ndarray
    clip: np.ndarray
    copy: np.ndarray
    problems: tuple[tuple[str, str], ...]

    def rows(self, wanted: np.ndarray, *, augmented: bool) -> np.ndarray:
        """Return the rows of the wanted clips, (n_clips,) bool; with their augmented copies only where asked for."""
        return np.flatnonzero(wanted[self.clip] & (augmented | (self.copy == 0)))


def build(
    clips: pd.DataFrame,
    config: FeatureConfig = FeatureConfig(),
    *,
    n_copies: int = 0,
    strength: float = 1.0,
    effects: Mapping[str, float] | None = None,
    seed: int = 0,
    cache: Path | None = None,
    n_jobs: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Return the features of all clips and of n_copies augmented copies of each (strength, effects: see augment.chain).

    A clip that cannot be read is left out and reported in `problems`. With a cache folder, what was computed for the same
    bytes, settings and code is read back. on_progress(done, total) is called as clips finish.
    """
    import joblib

    tasks = [(path, copy) for path in clips[corpora.PATH] for copy in range(n_copies + 1)]
    drawn = {"strength": strength, "seed": seed} if effects is None else {"effects": dict(effects), "seed": seed}
    features.mel_frequencies(config)  # loads librosa once, before any worker does
    run = joblib.Parallel(n_jobs=n_jobs, return_as="generator", batch_size=16)
    results = run(joblib.delayed(_measure)(path, copy, config, drawn, cache) for path, copy in tasks)
    measured: list[tuple[int, int, np.ndarray, np.ndarray]] = []
    problems: dict[str, str] = {}
    for done, ((path, copy), result) in enumerate(zip(tasks, results, strict=True), start=1):
        if isinstance(result, str):
            problems[path] = result
        else:
            measured.append(((done - 1) // (n_copies + 1), copy, *result))
        if on_progress and (done % 50 == 0 or done == len(tasks)):
            on_progress(done, len(tasks))
    return _assemble(measured, config, problems)


def _assemble(
    measured: Sequence[tuple[int, int, np.ndarray, np.ndarray]], config: FeatureConfig, problems: dict[str, str]
) -> Dataset:
    counts = [len(windows) for *_, windows in measured]
    empty = np.zeros((0, config.window_frames, config.n_mels), np.float16)
    return Dataset(
        vectors=np.array([vector for _, _, vector, _ in measured], np.float32).reshape(
            len(measured), len(features.summary_columns(config))
        ),
        windows=np.concatenate([empty, *(windows for *_, windows in measured)]),
        window_row=np.repeat(np.arange(len(measured)), counts),
        clip=np.array([clip for clip, *_ in measured], int),
        copy=np.array([copy for _, copy, *_ in measured], int),
        problems=tuple(problems.items()),
    )


def _measure(
    path: str, copy: int, config: FeatureConfig, drawn: Mapping[str, Any], cache: Path | None
) -> tuple[np.ndarray, np.ndarray] | str:
    """Return (vector, windows) of a clip or of an augmented copy, or the reason why it cannot be read."""
    try:
        data = Path(path).read_bytes()
        key = _key(data, copy, config, drawn)
        entry = cache / key[:2] / f"{key}.npz" if cache else None
        stored = _read_entry(entry) if entry else None
        if stored:
            return stored
        waveform = audio.decode(data, name=Path(path).name, sample_rate=config.sample_rate).waveform
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except AudioError as error:
        return str(error)
    if copy:
        rng = np.random.default_rng(int(key[:16], 16))
        waveform = augment.chain(waveform, strength=drawn.get("strength", 1.0), effects=drawn.get("effects"), rng=rng)
    measured = features.extract(waveform, config)
    vector, windows = features.summary(measured), features.windows(measured).astype(np.float16)
    if entry:
        _write_entry(entry, vector, windows)
    return vector, windows


def _key(data: bytes, copy: int, config: FeatureConfig, drawn: Mapping[str, Any]) -> str:
    """Return the name of a cache entry: the clip's bytes, every setting, and the code that computes the features."""
    settings = {"copy": copy, "config": config.to_dict()} | (dict(drawn) if copy else {})
    code = "".join(inspect.getsource(module) for module in _READERS)
    digest = hashlib.sha256(hashlib.sha256(data).digest())
    digest.update(json.dumps(settings, sort_keys=True).encode())
    digest.update(hashlib.sha256(code.encode()).digest())
    return digest.hexdigest()


def _read_entry(entry: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """Return what a cache entry holds; None where it is missing or damaged (it is then computed again)."""
    try:
        with np.load(entry, allow_pickle=False) as stored:
            return stored["vector"], stored["windows"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _write_entry(entry: Path, vector: np.ndarray, windows: np.ndarray) -> None:
    """Write an entry beside its place and rename it, so that another process sees all of it or nothing.

    Where the disk is full the entry is left out: it is computed again next time.
    """
    temporary = None
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=entry.parent, suffix=".part")
        with os.fdopen(handle, "wb") as file:
            np.savez(file, vector=vector, windows=windows)
        os.replace(temporary, entry)
    except OSError:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
