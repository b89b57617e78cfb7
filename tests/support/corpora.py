"""Small corpora of synthetic voices for tests that train: names as RAVDESS and TESS have them; the pitch tells the label."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from ser_core.corpora import catalogue

RATE = 16_000
PITCH = {"neutral": 1.0, "happy": 1.6, "sad": 0.7, "angry": 2.2}
RAVDESS = {"neutral": "01", "happy": "03", "sad": "04", "angry": "05"}


def voice(speaker: int, label: str, repetition: int) -> np.ndarray:
    """Return a syllable-like voice whose pitch tells the label, from a speaker with a pitch of their own."""
    rng = np.random.default_rng(speaker * 100 + list(PITCH).index(label) * 10 + repetition)
    time = np.arange(int(0.6 * RATE)) / RATE
    vibrato = 0.004 * np.sin(
        2 * np.pi * rng.uniform(3, 7) * time + rng.uniform(0, 2 * np.pi)
    )  # no take is like another
    phase = 2 * np.pi * 110 * (1 + 0.01 * speaker) * PITCH[label] * (time + vibrato)
    tone = sum(np.sin(k * phase) / k for k in range(1, 8)) * (0.2 + np.abs(np.sin(2 * np.pi * 4 * time)))
    return (0.1 * tone + 0.002 * rng.standard_normal(len(time))).astype(np.float32)


def build(root: Path) -> Path:
    """Write two corpora below a folder and return it: ravdess (8 actors, 4 labels, 2 clips each), tess (2 speakers, 3 labels, 4 words)."""
    for actor in range(1, 9):
        for label, code in RAVDESS.items():
            for repetition in (1, 2):
                write(
                    root / "ravdess" / f"03-01-{code}-01-{repetition:02d}-01-{actor:02d}.wav",
                    voice(actor, label, repetition),
                )
    for number, speaker in ((20, "OAF"), (30, "YAF")):
        for label in ("neutral", "happy", "sad"):
            for repetition, word in enumerate(("back", "bar", "base", "bath")):
                write(root / "tess" / f"{speaker}_{word}_{label}.wav", voice(number, label, repetition))
    return root


def write(path: Path, samples: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, RATE)


def with_copies(clips: pd.DataFrame) -> pd.DataFrame:
    """Return clips, and behind them the same recordings under the names of another corpus, with speakers and sentences of its own."""
    copies = clips.assign(
        **{
            catalogue.CORPUS: "mine",
            catalogue.SPEAKER: "mine:" + clips[catalogue.SPEAKER].str.partition(":")[2],
            catalogue.SENTENCE: "x" + clips[catalogue.SENTENCE],
        }
    )
    return pd.concat([clips, copies], ignore_index=True)
