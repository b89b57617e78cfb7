"""Changes to a waveform that imitate other speakers, rooms and microphones; for the training part only.

Every function takes a Waveform and an rng, and returns a new Waveform at the same sample rate. `chain` draws a random
combination from a strength; which clips are augmented, and how often, is dataset.py's choice.
"""

from __future__ import annotations

import numpy as np
import scipy.signal
import soxr

from ser_core.audio import Waveform


def add_noise(waveform: Waveform, *, snr_db: float, rng: np.random.Generator) -> Waveform:
    """Return the clip with coloured noise (between white and pink) at a signal-to-noise ratio in dB."""
    n = len(waveform.samples)
    spectrum = np.fft.rfft(rng.standard_normal(n))
    slope = rng.uniform(0.0, 0.5)
    spectrum[1:] *= np.arange(1, len(spectrum)) ** -slope
    spectrum[0] = 0.0
    noise = np.fft.irfft(spectrum, n)
    power = float(np.mean(np.square(waveform.samples, dtype=np.float64)))
    scale = np.sqrt(power / 10 ** (snr_db / 10) / max(float(np.mean(noise**2)), 1e-20))
    return _like(waveform, waveform.samples + scale * noise)


def change_speed(waveform: Waveform, *, factor: float) -> Waveform:
    """Return the clip played `factor` times as fast, pitch and formants moving with it (Ko et al. 2015)."""
    return _like(waveform, soxr.resample(waveform.samples, waveform.sample_rate * factor, waveform.sample_rate, quality="MQ"))


def limit_band(waveform: Waveform, *, low_hz: float = 300.0, high_hz: float = 3400.0) -> Waveform:
    """Return the clip as a narrow channel passes it; the default is the telephone band of ITU-T G.712."""
    band = scipy.signal.butter(4, (low_hz, high_hz), btype="bandpass", fs=waveform.sample_rate, output="sos")
    return _like(waveform, scipy.signal.sosfilt(band, waveform.samples))


def add_reverb(waveform: Waveform, *, rt60_s: float, wet: float, rng: np.random.Generator) -> Waveform:
    """Return the clip in a synthetic room: exponentially decaying noise of reverberation time rt60_s, mixed in by wet (0..1)."""
    n = max(int(rt60_s * waveform.sample_rate), 1)
    tail = rng.standard_normal(n) * 10 ** (-3 * np.arange(n) / n)
    tail /= np.sqrt(np.sum(tail**2))
    wet_samples = scipy.signal.fftconvolve(waveform.samples, tail)[: len(waveform.samples)]
    return _like(waveform, (1 - wet) * waveform.samples + wet * wet_samples)


def tilt(waveform: Waveform, *, db_per_octave: float) -> Waveform:
    """Return the clip through a microphone whose response rises or falls by db_per_octave around 1 kHz."""
    spectrum = np.fft.rfft(waveform.samples)
    frequencies = np.fft.rfftfreq(len(waveform.samples), 1 / waveform.sample_rate)
    octaves = np.log2(np.maximum(frequencies, 50.0) / 1000.0)
    return _like(waveform, np.fft.irfft(spectrum * 10 ** (db_per_octave * octaves / 20), len(waveform.samples)))


def chain(waveform: Waveform, *, strength: float = 1.0, rng: np.random.Generator) -> Waveform:
    """Return a random combination: always another speed and microphone; often noise; sometimes a room or a telephone.

    strength scales how far each goes, from 0 (speed and microphone hardly change) to 1.
    """
    result = change_speed(waveform, factor=float(np.exp(rng.uniform(-0.12, 0.12) * strength)))
    result = tilt(result, db_per_octave=float(rng.uniform(-3, 3) * strength))
    if rng.random() < 0.3 * strength:
        result = add_reverb(result, rt60_s=float(rng.uniform(0.1, 0.5)), wet=float(rng.uniform(0.1, 0.4)), rng=rng)
    if rng.random() < 0.15 * strength:
        result = limit_band(result)
    if rng.random() < 0.6 * strength:
        result = add_noise(result, snr_db=float(rng.uniform(10, 35)), rng=rng)
    return result


def _like(waveform: Waveform, samples: np.ndarray) -> Waveform:
    return Waveform(samples.astype(np.float32), waveform.sample_rate)
