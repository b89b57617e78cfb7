"""Where a listener would hear speech: Silero VAD, a small trained network, told from music, alarms, machines and animals.

Pitch alone does not tell a voice from a string. The network (Silero Team, MIT licence, version 6.2, github.com/snakers4/silero-vad)
lies in silero_vad/ with its licence; ONNX Runtime is loaded when it is first asked, in worker processes. quality.py decides by it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ser_core.audio.waveform import Waveform, resample

if TYPE_CHECKING:
    import onnxruntime

MODEL = Path(__file__).parent / "silero_vad" / "model.onnx"

FRAME_S = 0.032
"""What one probability is about: 512 samples at 16 kHz."""

_RATE, _FRAME, _CONTEXT = 16_000, 512, 64
_BLOCK, _GLIMPSE = 512, 16
"""Frames a call, 16 s, so that a long recording takes no more memory; and half a second, where the start may be enough."""


def probabilities(waveform: Waveform, *, enough: Callable[[np.ndarray], bool] | None = None) -> np.ndarray:
    """Return how likely each 32 ms of a sound are speech, float32 (n_frames,), n_frames = n_samples / 512 at 16 kHz, rounded up.

    enough : asked each half second with what there is so far; once it says so, no more is listened to, and no more returned.
    """
    samples = resample(waveform, _RATE).samples
    n_frames = -(-len(samples) // _FRAME)
    padded = np.zeros(_CONTEXT + n_frames * _FRAME, np.float32)  # each frame is preceded by the end of the one before
    padded[_CONTEXT : _CONTEXT + len(samples)] = samples
    frames = np.lib.stride_tricks.sliding_window_view(padded, _CONTEXT + _FRAME)[::_FRAME]
    hidden = cell = np.zeros((1, 1, 128), np.float32)
    found = [np.zeros(0, np.float32)]
    size = _GLIMPSE if enough else _BLOCK
    for start in range(0, n_frames, size):
        block = {"input": np.ascontiguousarray(frames[start : start + size]), "h": hidden, "c": cell}
        heard, hidden, cell = _network().run(["speech_probs", "hn", "cn"], block)
        found.append(heard.reshape(-1))
        if enough and enough(np.concatenate(found)):
            break
    return np.concatenate(found)


@functools.lru_cache(maxsize=1)
def _network() -> onnxruntime.InferenceSession:
    from ser_core.classifiers import _onnx

    return _onnx.session(MODEL.read_bytes())
