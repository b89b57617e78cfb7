"""Compiles what librosa leaves to numba, so that no two processes do it at the same time: `python -m ser_core.audio.warm_up`.

numba keeps what it compiles beside librosa's files; two processes that fill this cache at once can leave it corrupt, and every
later process then dies. The set-up calls this, in one process, before anything else runs; dataset/build.py before its workers start.
"""

from __future__ import annotations

import numpy as np

from ser_core.audio import augment
from ser_core.audio.waveform import SAMPLE_RATE, Waveform


def run() -> None:
    """Apply each effect of augment.COMPILED to half a second of noise; what is compiled already takes a moment."""
    rng = np.random.default_rng(0)
    noise = Waveform(rng.normal(scale=0.1, size=SAMPLE_RATE // 2).astype(np.float32), SAMPLE_RATE)
    for name in sorted(augment.COMPILED):
        augment.EFFECTS[name].apply(noise, 1.0, rng)


if __name__ == "__main__":
    run()
