"""One channel of samples with its rate: resampling, 16-bit PCM, WAV. What a file is, decoding.py knows."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import soundfile
import soxr

from ser_core.errors import AudioError
from ser_core.system.spool import Spool

SAMPLE_RATE = 16_000
MIN_RATE, MAX_RATE = 4_000, 384_000


@dataclass(frozen=True)
class Waveform:
    """One channel of sound: samples float32 (n,), finite, full scale at +-1; sample_rate in Hz."""

    samples: np.ndarray
    sample_rate: int

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate


def resample(waveform: Waveform, sample_rate: int) -> Waveform:
    """Return the waveform at another sample rate, with soxr's high quality.

    Raises AudioError where either rate is not within 4 to 384 kHz: 1 Hz to 16 kHz would take 16 000 times the memory.
    """
    _check_target(sample_rate)
    _check_target(waveform.sample_rate)
    if sample_rate == waveform.sample_rate:
        return waveform
    samples = soxr.resample(waveform.samples, waveform.sample_rate, sample_rate, quality="HQ")
    return Waveform(samples.astype(np.float32, copy=False), sample_rate)


class Resampler:
    """Sound that arrives in pieces, at another sample rate, with soxr's high quality; both rates in Hz."""

    def __init__(self, source_rate: int, sample_rate: int, *, channels: int = 1) -> None:
        _check_target(source_rate)
        _check_target(sample_rate)
        self._soxr = (
            None
            if source_rate == sample_rate
            else soxr.ResampleStream(source_rate, sample_rate, channels, dtype="float32", quality="HQ")
        )

    def push(self, samples: np.ndarray, *, last: bool = False) -> np.ndarray:
        """Return what is ready of the samples so far, float32 (n,) or (n, channels); `last` lets go of what is held back."""
        return self._soxr.resample_chunk(samples, last=last) if self._soxr else samples


def encode_wav(waveform: Waveform) -> bytes:
    """Return the waveform as a 16-bit PCM WAV file."""
    return encode_pcm(to_pcm(waveform.samples), waveform.sample_rate)


def to_pcm(samples: np.ndarray) -> np.ndarray:
    """Return float samples as int16 of the same shape; a float of a 16-bit file's comes back as it was in the file."""
    return np.clip(np.rint(samples * np.float32(2**15)), -(2**15), 2**15 - 1).astype(np.int16)


def from_pcm(samples: np.ndarray) -> np.ndarray:
    """Return int16 samples as float32 of the same shape, full scale at +-1: what decoding a 16-bit file gives."""
    return samples.astype(np.float32) / np.float32(2**15)


def encode_pcm(samples: np.ndarray, sample_rate: int, *, container: str = "WAV") -> bytes:
    """Return int16 samples (n,) as a 16-bit file, "WAV" or "FLAC", without changing any of them."""
    file = io.BytesIO()
    soundfile.write(file, samples, sample_rate, format=container, subtype="PCM_16")
    return file.getvalue()


def cut(data: bytes | Spool, start_s: float, end_s: float) -> Waveform:
    """Return a stretch of a WAV or FLAC file of one channel without reading the rest."""
    with soundfile.SoundFile(data.open() if isinstance(data, Spool) else io.BytesIO(data)) as file:
        start = min(max(round(start_s * file.samplerate), 0), file.frames)
        file.seek(start)
        return Waveform(file.read(max(round(end_s * file.samplerate) - start, 0), dtype="float32"), file.samplerate)


def _check_target(rate: int) -> None:
    if not MIN_RATE <= rate <= MAX_RATE:
        raise AudioError(f"A sample rate must lie between {MIN_RATE} and {MAX_RATE} Hz. Got {rate}.")
