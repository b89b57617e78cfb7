"""The pretrained encoder: OpenAI's Whisper tiny.en (Radford et al., 2022), what its first layers make of a clip, and statistics of that.

It was trained to recognise English speech, and learns nothing here. tools/encoder.py builds its file; ONNX Runtime runs it, in workers
alone. tests/features/test_encoder.py holds it against the same network in plain NumPy.
"""

from __future__ import annotations

import hashlib
import json
import threading
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ser_core import paths
from ser_core.audio.waveform import Waveform, resample
from ser_core.errors import ModelError
from ser_core.features import extraction, filterbanks
from ser_core.features.config import FeatureConfig

if TYPE_CHECKING:
    import onnxruntime

FILE = "whisper_tiny_en.onnx"
"""The network, in paths.encoders_folder(); what it is and where it comes from says the file of the same name that ends in .json."""

VERSION_NAME = "whisper_tiny_en"
"""What the encoder is called among the versions in a model's card."""

VERSION = 1
"""Rises whenever an embedding of the same sound changes: stored ones of another number are not found again."""

SAMPLE_RATE = 16_000
LAYERS = (1, 2, 3)
"""The layers whose outputs are used, of the encoder's four."""

WIDTH = 384
STATISTICS = ("mean", "deviation")
N_FFT, HOP_LENGTH, N_MELS = 400, 160, 80
MOST_S = 30
"""The longest stretch that it sees at once, in seconds: it was trained on stretches of this length."""

_DYNAMIC_RANGE, _AMIN = 8.0, 1e-10


@lru_cache(maxsize=1)
def columns() -> tuple[str, ...]:
    """Return the names of `embedding`'s columns, such as 'layer_1_mean_000'."""
    return tuple(f"layer_{layer}_{name}_{i:03d}" for layer in LAYERS for name in STATISTICS for i in range(WIDTH))


def embedding(waveform: Waveform, config: FeatureConfig) -> np.ndarray:
    """Return mean and standard deviation over time of each layer's outputs: float32 (n_columns,), named by `columns`.

    The clip is centred, trimmed and scaled as the settings say, as for all models; MOST_S seconds and more are seen in equal stretches.
    Raises ModelError where the encoder's file is missing or is not the one that belongs here.
    """
    samples, _ = heard(waveform, config)
    n_parts = len(samples) // (MOST_S * SAMPLE_RATE) + 1  # of MOST_S exactly there would be a frame too many
    n_steps, total, squares = 0, np.zeros((len(LAYERS), WIDTH)), np.zeros((len(LAYERS), WIDTH))
    for part in np.array_split(samples, n_parts):
        layers = outputs(log_mel(part)).astype(np.float64)
        n_steps += layers.shape[1]
        total += layers.sum(axis=1)
        squares += np.square(layers).sum(axis=1)
    return _statistics(n_steps, total, squares)


def embeddings(spectrograms: np.ndarray) -> np.ndarray:
    """Return `embedding` of log-mel spectrograms of one length (n, n_frames, N_MELS), float32 (n, n_columns), from one batch."""
    layers = _layers(spectrograms).astype(np.float64)
    return _statistics(layers.shape[2], layers.sum(axis=2).swapaxes(0, 1), np.square(layers).sum(axis=2).swapaxes(0, 1))


def _statistics(n_steps: int, total: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Return mean and deviation of n_steps outputs from their sums (…, n_layers, WIDTH), float32 (…, n_columns)."""
    mean = total / n_steps
    deviation = np.sqrt(np.maximum(squares / n_steps - mean**2, 0.0))
    stacked = np.stack([mean, deviation], axis=-2).astype(np.float32)
    return stacked.reshape(*stacked.shape[:-3], -1)


def heard(waveform: Waveform, config: FeatureConfig) -> tuple[np.ndarray, float]:
    """Return what of a clip is seen, float32 (n,) at SAMPLE_RATE, and where in the clip it begins, in seconds.

    It is centred, scaled and trimmed as for all models (extraction.condition).
    """
    if waveform.sample_rate != config.sample_rate:
        waveform = resample(waveform, config.sample_rate)
    samples, _, (start, stop), _ = extraction.condition(waveform.samples, config)
    first = max((start - 1) * config.hop_length, 0)
    samples = samples[first : stop * config.hop_length]
    if config.sample_rate != SAMPLE_RATE:
        samples = resample(Waveform(samples, config.sample_rate), SAMPLE_RATE).samples
    return samples, first / config.sample_rate


def log_mel(samples: np.ndarray) -> np.ndarray:
    """Return what the encoder sees of up to MOST_S seconds at SAMPLE_RATE, float32 (n_frames, N_MELS): Whisper's log-mel spectrogram.

    Power of a Hann window's STFT in mel bands from 0 to 8000 Hz, log10, at most eight below the largest, (x + 4) / 4.
    """
    padded = np.pad(samples, N_FFT // 2, mode="reflect" if len(samples) > N_FFT // 2 else "constant")
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP_LENGTH]
    power = np.square(np.abs(np.fft.rfft(frames * _window(), axis=1))).astype(np.float32)
    logged = np.log10(np.maximum(power @ _mel_basis().T, _AMIN))
    scaled: np.ndarray = (np.maximum(logged, logged.max() - _DYNAMIC_RANGE) + 4) / 4
    return scaled


def outputs(spectrogram: np.ndarray) -> np.ndarray:
    """Return the outputs of LAYERS for a log-mel spectrogram, float32 (n_layers, n_steps, WIDTH); a step is 20 ms."""
    one: np.ndarray = _layers(spectrogram[np.newaxis])[:, 0]
    return one


def _layers(spectrograms: np.ndarray) -> np.ndarray:
    """Return the outputs of LAYERS for spectrograms (n, n_frames, N_MELS), float32 (n_layers, n, n_steps, WIDTH)."""
    mel = np.ascontiguousarray(spectrograms.swapaxes(1, 2), np.float32)
    return np.stack(_session().run(None, {"mel": mel}))


_OPENING = threading.Lock()


def _session() -> onnxruntime.InferenceSession:
    with _OPENING:
        return _open()


@lru_cache(maxsize=1)
def _open() -> onnxruntime.InferenceSession:
    import onnxruntime

    content = _content()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # it would keep the memory of the longest clip
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has a class of errors of its own for each cause
        raise _damaged(paths.encoders_folder() / FILE) from error


@lru_cache(maxsize=1)
def digest() -> str:
    """Return the SHA-256 of the encoder's file as its card tells it; raises ModelError where that is missing or damaged."""
    path = (paths.encoders_folder() / FILE).with_suffix(".json")
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["sha256"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path) from error


def check() -> None:
    """Raise ModelError where the encoder's file or its card is missing or damaged. The network is not loaded."""
    _content()


def _content() -> bytes:
    """Return the encoder's file, whole; raises ModelError."""
    path = paths.encoders_folder() / FILE
    expected = digest()
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _damaged(path) from error
    if hashlib.sha256(content).hexdigest() != expected:
        raise _damaged(path)
    return content


def _damaged(path: Path) -> ModelError:
    return ModelError(
        f"The pretrained encoder in {path} is missing or damaged. Restore the file from the project, or build it again: make encoder."
    )


@lru_cache(maxsize=1)
def _window() -> np.ndarray:
    return np.hanning(N_FFT + 1)[:-1].astype(np.float32)


@lru_cache(maxsize=1)
def _mel_basis() -> np.ndarray:
    return filterbanks.mel(SAMPLE_RATE, N_FFT, n_mels=N_MELS, fmin=0.0, fmax=SAMPLE_RATE / 2)
