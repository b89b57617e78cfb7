"""The features of degraded clips: noise, rooms, phone lines, codecs."""

from __future__ import annotations

import functools
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ser_core.audio import decoding, degradations
from ser_core.corpora import catalogue
from ser_core.dataset import voices as others_around
from ser_core.dataset.build import Dataset
from ser_core.errors import AudioError
from ser_core.features import extraction, vectors
from ser_core.features.config import FeatureConfig
from ser_core.system import pool


@dataclass(frozen=True)
class _Task:
    """One clip under one condition, as a process takes it. kinds: the input kinds that are wanted; seed: of what is left to chance."""

    path: str
    voices: tuple[str, ...]
    condition: str
    levels: tuple[float, ...]
    kinds: tuple[str, ...]
    seed: int


def features_under(
    condition: str,
    level: float,
    clips: pd.DataFrame,
    wanted: np.ndarray,
    config: FeatureConfig,
    *,
    kinds: Collection[str] = (vectors.VECTOR, vectors.FRAMES),
    n_jobs: int = 1,
) -> Dataset:
    """Return the features of some clips, bool (n_clips,), under a condition at a level; babble is of other speakers among the wanted ones.

    kinds: of vectors.KINDS, the inputs that are measured; the others are empty. Clips that cannot be read are left out, and no facts are
    measured.
    """
    chosen = clips[wanted]
    around = (
        others_around.of_others(chosen, chosen, seed=0)
        if degradations.CONDITIONS[condition].others
        else [()] * len(chosen)
    )
    tasks = [
        _Task(path, others, condition, (level,), tuple(kinds), seed)
        for seed, (path, others) in enumerate(zip(chosen[catalogue.PATH], around, strict=True))
    ]
    heard = list(
        pool.in_processes(functools.partial(_hear, config=config), [(task,) for task in tasks], n_jobs, niced=False)
    )
    entries = [
        (clip, each[0]) for clip, each in zip(np.flatnonzero(wanted), heard, strict=True) if not isinstance(each, str)
    ]
    nothing = {
        vectors.VECTOR: np.zeros((1, 0), np.float32),
        vectors.FRAMES: np.zeros((0, config.window_frames, len(vectors.frame_columns(config))), np.float32),
        vectors.EMBEDDING: np.zeros((1, 0), np.float32),
    }
    inputs = {kind: [each.get(kind, nothing[kind]) for _, each in entries] for kind in vectors.KINDS}
    return Dataset(
        vectors=np.concatenate(inputs[vectors.VECTOR]),
        embeddings=np.concatenate(inputs[vectors.EMBEDDING]),
        windows=np.concatenate(inputs[vectors.FRAMES]).astype(np.float16),
        window_row=np.repeat(np.arange(len(entries)), [len(each) for each in inputs[vectors.FRAMES]]),
        clip=np.array([clip for clip, _ in entries], int),
        copy=np.zeros(len(entries), int),
        problems=(),
        facts=pd.DataFrame(),
    )


def _hear(task: _Task, *, config: FeatureConfig) -> list[dict[str, np.ndarray]] | str:
    """Return the input of a model of each kind for a clip at each level, or why the clip cannot be used; runs in a worker process."""
    try:
        clip = decoding.decode(task.path, sample_rate=config.sample_rate, name=Path(task.path).name).waveform
        voices = [
            decoding.decode(path, sample_rate=config.sample_rate, name=Path(path).name).waveform for path in task.voices
        ]
        seen = []
        for level in task.levels:
            changed = clip
            if task.condition != degradations.CLEAN:
                changed = degradations.apply(
                    task.condition, level, clip, rng=np.random.default_rng(task.seed), voices=voices
                )
            measured = extraction.extract(changed, config)
            seen.append({kind: vectors.inputs(changed, measured, kind) for kind in task.kinds})
        return seen
    except AudioError as error:
        return str(error)
