"""Sounds with known answers: tones, harmonics, syllables and noise; and what is measured on them."""

from __future__ import annotations

import io

import numpy as np
import soundfile

from ser_core.audio.waveform import Waveform

RATE = 16_000


def tone(
    duration_s: float = 1.0, sample_rate: int = RATE, *, frequency_hz: float = 440.0, amplitude: float = 0.5
) -> np.ndarray:
    """Return a sine, float32 (n,)."""
    time = np.arange(round(duration_s * sample_rate)) / sample_rate
    return (amplitude * np.sin(2 * np.pi * frequency_hz * time)).astype(np.float32)


def harmonics(
    f0_hz: np.ndarray | float, duration_s: float = 1.0, *, n_harmonics: int = 12, sample_rate: int = RATE
) -> np.ndarray:
    """Return a voice-like sum of harmonics whose amplitudes fall with their number, float32 (n,); f0_hz may glide: (n,)."""
    n = round(duration_s * sample_rate)
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(f0_hz, n)) / sample_rate
    return (0.1 * sum(np.sin(k * phase) / k for k in range(1, n_harmonics + 1))).astype(np.float32)


def syllables(f0_hz: float, duration_s: float, *, rng: np.random.Generator) -> np.ndarray:
    """Return harmonics that swell eight times a second, in a little noise, float32 (n,)."""
    time = np.arange(int(duration_s * RATE)) / RATE
    phase = 2 * np.pi * f0_hz * time
    sound = sum(np.sin(k * phase) / k for k in range(1, 8)) * (0.2 + np.abs(np.sin(2 * np.pi * 4 * time)))
    return (0.1 * sound + 0.002 * rng.standard_normal(len(time))).astype(np.float32)


def noise(duration_s: float, *, rms: float, exponent: float = 0.0, seed: int = 0) -> np.ndarray:
    """Return noise whose power falls with frequency to the exponent, float64 (n,): 0 is white, 1 is pink, 2 is rumble."""
    n = int(duration_s * RATE)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(n))
    spectrum[0] = 0
    spectrum[1:] *= np.arange(1, len(spectrum)) ** (-exponent / 2)
    samples = np.fft.irfft(spectrum, n)
    return samples * rms / np.sqrt(np.mean(samples**2))


def power_db(samples: np.ndarray) -> float:
    """Return the mean power in dB of full scale."""
    return 10 * float(np.log10(np.mean(np.square(samples, dtype=np.float64))))


def level_and_frequency(waveform: Waveform) -> tuple[float, float]:
    """Return the root mean square of the middle half, and the frequency of its strongest spectral line, in Hz."""
    n = len(waveform.samples)
    middle = waveform.samples[n // 4 : 3 * n // 4].astype(np.float64)
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 8 * len(middle)))
    return float(np.sqrt(np.mean(middle**2))), float(spectrum.argmax() * waveform.sample_rate / (8 * len(middle)))


def as_file(samples: np.ndarray, sample_rate: int = RATE, kind: str = "WAV", subtype: str = "PCM_16") -> bytes:
    """Return the bytes of a file that libsndfile writes."""
    file = io.BytesIO()
    soundfile.write(file, samples, sample_rate, format=kind, subtype=subtype)
    return file.getvalue()
