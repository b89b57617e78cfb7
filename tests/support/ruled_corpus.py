"""A small corpus of voices whose pitch, level, length and rate follow label and speaker by a known rule."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ser_core.audio import waveform
from ser_core.audio.waveform import Waveform
from ser_core.corpora import catalogue, scan

RATE = 16_000
SPEAKERS = {"low": ("male", 110.0), "mid": ("female", 180.0), "high": ("female", 220.0)}
"""Code -> sex and pitch in Hz of the neutral voice."""

LABELS = {"neutral": (0.0, 0.1, 4), "angry": (4.0, 0.3, 5), "sad": (-2.0, 0.05, 2)}
"""Label -> semitones above the speaker's neutral pitch, peak, syllables in a second."""


def voice(f0_hz: float, peak: float, n_syllables: int, *, seed: int = 0) -> Waveform:
    """Return one second of harmonics that swell n times, with a quarter of a second of silence on both sides, and a little noise."""
    time = np.arange(RATE) / RATE
    sound = sum(np.sin(2 * np.pi * k * f0_hz * time) / k for k in range(1, int(5000 / f0_hz)))
    sound = sound * (0.15 + 0.85 * np.sin(np.pi * n_syllables * time) ** 2)
    sound = np.pad(peak * sound / np.abs(sound).max(), RATE // 4)
    return Waveform((sound + 1e-4 * np.random.default_rng(seed).standard_normal(len(sound))).astype(np.float32), RATE)


def write(folder: Path, *, corpus: str = "own", takes: int = 2) -> pd.DataFrame:
    """Write the corpus as folders named after labels, and return its clips table."""
    for label, (semitones, peak, n_syllables) in LABELS.items():
        for code, (_, f0_hz) in SPEAKERS.items():
            for take in range(takes):
                path = folder / label / f"{code}_{take}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                sound = voice(f0_hz * 2 ** (semitones / 12), peak, n_syllables, seed=len(list(folder.rglob("*.wav"))))
                path.write_bytes(waveform.encode_wav(sound))
    clips = scan.read_folders(folder, corpus=corpus, speaker_pattern=r"(?P<speaker>low|mid|high)_\d")
    return clips.assign(
        **{catalogue.SEX: clips[catalogue.SPEAKER].str.partition(":")[2].map(lambda code: SPEAKERS[code][0])}
    )


def write_as_ravdess(folder: Path) -> None:
    """Write the same voices under RAVDESS' names: actors 01, 02 and 03, two sentences."""
    emotions = {"neutral": "01", "angry": "05", "sad": "04"}
    for label, (semitones, peak, n_syllables) in LABELS.items():
        for actor, (_, f0_hz) in enumerate(SPEAKERS.values(), start=1):
            for sentence in (1, 2):
                path = folder / f"Actor_{actor:02d}" / f"03-01-{emotions[label]}-01-{sentence:02d}-01-{actor:02d}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                sound = voice(f0_hz * 2 ** (semitones / 12), peak, n_syllables, seed=10 * actor + sentence)
                path.write_bytes(waveform.encode_wav(sound))
