"""Compiles librosa's numba functions once, so that no two processes do it at the same time: `python -m ser_core.warm_up`.

numba keeps what it compiles beside librosa's files; two processes that fill this cache at once can leave it corrupt, and every
later process then dies. The set-up calls this, in one process, before anything else runs.
"""

from __future__ import annotations

import numpy as np

SAMPLE_RATE = 16_000


def run() -> None:
    """Call the librosa functions that compile, on one second of noise. Takes half a minute the first time, then a few seconds."""
    import librosa

    samples = np.random.default_rng(0).normal(scale=0.1, size=SAMPLE_RATE).astype(np.float32)
    librosa.feature.melspectrogram(y=samples, sr=SAMPLE_RATE)
    librosa.feature.delta(librosa.feature.mfcc(y=samples, sr=SAMPLE_RATE))
    librosa.feature.chroma_stft(y=samples, sr=SAMPLE_RATE)
    librosa.feature.spectral_contrast(y=samples, sr=SAMPLE_RATE, fmin=100.0, n_bands=5)
    librosa.feature.zero_crossing_rate(samples)
    librosa.yin(samples, fmin=60, fmax=500, sr=SAMPLE_RATE)
    librosa.pyin(samples, fmin=60, fmax=500, sr=SAMPLE_RATE)
    librosa.effects.trim(samples)
    librosa.effects.time_stretch(samples, rate=1.1)
    librosa.effects.pitch_shift(samples, sr=SAMPLE_RATE, n_steps=1)


if __name__ == "__main__":
    run()
