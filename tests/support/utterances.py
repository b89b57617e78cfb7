"""Voice-like sounds for tests of what is one recording: no two seeds sound alike."""

from __future__ import annotations

import numpy as np

RATE = 16_000


def utterance(seed: int) -> np.ndarray:
    """Return about 1.6 s of a voice-like sound: syllables of other pitches, lengths, pauses and formants for each seed."""
    rng = np.random.default_rng(seed)
    pieces = [np.zeros(RATE // 5)]
    for _ in range(6):
        n = int(RATE * rng.uniform(0.1, 0.25))
        f0 = rng.uniform(90, 300) * np.linspace(1, rng.uniform(0.8, 1.25), n)
        phase = 2 * np.pi * np.cumsum(f0) / RATE
        formants, tone = rng.uniform(300, 3200, 3), np.zeros(n)
        for k in range(1, 20):
            gain = sum(np.exp(-(((k * f0.mean() - formant) / 250) ** 2)) for formant in formants) + 0.02
            tone += gain * np.sin(k * phase)
        pieces += [tone * np.hanning(n) * rng.uniform(0.3, 1), np.zeros(int(RATE * rng.uniform(0.02, 0.1)))]
    sound = np.concatenate([*pieces, np.zeros(RATE // 5)])
    return (0.4 * sound / np.abs(sound).max()).astype(np.float32)
