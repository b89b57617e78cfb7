"""Features of a clip in time and frequency: one short-time Fourier transform, and everything that follows from it.

Arrays keep time first: (n_frames, n_something). Training, the pages, the command line and the live stream all come
through `extract`. Definitions are librosa's, computed here in float32 with filterbanks that are made once, because librosa
rebuilds them at each call; `tests/test_features.py` holds them against librosa's own functions. Reading files is audio/decoding.py's work.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import scipy.fft
import scipy.ndimage

from ser_core.audio.waveform import Waveform, resample
from ser_core.features import filterbanks, pitch, spectral
from ser_core.features.config import FeatureConfig

if TYPE_CHECKING:
    import pandas as pd

REFERENCE_RMS = 0.1
"""Root mean square to which the loud frames of a clip are scaled: -20 dB re full scale."""

TOP_DB = 80.0
"""Dynamic range of the log-mel spectrogram below its loudest cell, in dB (librosa.power_to_db's default)."""

N_CHROMA = 12
N_CONTRAST_BANDS = 5
CONTRAST_FMIN = 200.0
CONTRAST_QUANTILE = 0.02
ROLLOFF_SHARE = 0.85
DELTA_WIDTH = 9
_AMIN = 1e-10


@dataclass(frozen=True)
class Features:
    """Everything measured on one clip, frame by frame; frame i is centred at times_s[i].

    The clip is freed of its mean and scaled by gain_db so that its loud frames have one level; log_mel (dB) and rms
    (linear) are in that scale: subtract gain_db for the recording's own level. trim is the range of frames (start, stop)
    that the models get: silence around the speech is left out. f0_hz and voice are NaN where a frame is unvoiced; the columns
    of spectral and voice are named in spectral.py.
    """

    config: FeatureConfig
    gain_db: float
    trim: tuple[int, int]
    times_s: np.ndarray
    log_mel: np.ndarray
    mfcc: np.ndarray
    mfcc_delta: np.ndarray
    mfcc_delta2: np.ndarray
    chroma: np.ndarray
    zcr: np.ndarray
    rms: np.ndarray
    centroid_hz: np.ndarray
    rolloff_hz: np.ndarray
    flatness: np.ndarray
    contrast: np.ndarray
    spectral: np.ndarray
    f0_hz: np.ndarray
    voicing: np.ndarray
    voice: np.ndarray


def extract(waveform: Waveform, config: FeatureConfig = FeatureConfig()) -> Features:
    """Return all features of a clip, from one STFT.

    Parameters
    ----------
    waveform
        Mono float32 samples; resampled first where its rate is not config.sample_rate.
    config
        The settings; n_frames = 1 + n_samples // hop_length.
    """
    if waveform.sample_rate != config.sample_rate:
        waveform = resample(waveform, config.sample_rate)
    samples, gain_db, trim, rms = condition(waveform.samples, config)
    power = _power_spectrogram(samples, config)
    magnitude = np.sqrt(power)
    log_power = np.log(np.maximum(power, _AMIN))
    mel_power = power @ _mel_basis(config).T
    log_mel = _power_to_db(mel_power)
    mfcc = log_mel @ _dct_basis(config).T
    f0_hz, voicing = pitch._fundamental(power, config)
    n_frames = len(power)
    bin_hz = config.sample_rate / config.n_fft
    voiced = np.isfinite(f0_hz)
    voice = np.full((n_frames, len(spectral.VOICE)), np.nan, np.float32)
    voice[voiced] = spectral.voice(log_power[voiced], f0_hz[voiced], bin_hz)
    return Features(
        config=config,
        gain_db=gain_db,
        trim=trim,
        times_s=np.arange(n_frames, dtype=np.float32) * (config.hop_length / config.sample_rate),
        log_mel=log_mel,
        mfcc=mfcc,
        mfcc_delta=_delta(mfcc, order=1),
        mfcc_delta2=_delta(mfcc, order=2),
        chroma=_chroma(power, config),
        zcr=_zero_crossing_rate(samples, config),
        rms=rms,
        centroid_hz=_centroid(magnitude, config),
        rolloff_hz=_rolloff(magnitude, config),
        flatness=_flatness(power, log_power),
        contrast=_contrast(magnitude, config),
        spectral=spectral.describe(power, log_power, mel_power, log_mel, voicing, bin_hz),
        f0_hz=f0_hz,
        voicing=voicing,
        voice=voice,
    )


def periodicity(waveform: Waveform, config: FeatureConfig = FeatureConfig()) -> np.ndarray:
    """Return pitch.periodicity of each frame of a clip, (n_frames,): the frames are those of `extract`."""
    if waveform.sample_rate != config.sample_rate:
        waveform = resample(waveform, config.sample_rate)
    samples = condition(waveform.samples, config)[0]
    return pitch.periodicity(_power_spectrogram(samples, config), config)


def condition(samples: np.ndarray, config: FeatureConfig) -> tuple[np.ndarray, float, tuple[int, int], np.ndarray]:
    """Return the samples as analysed (centred, at one level), the gain in dB, the (start, stop) frames to keep, and the rms.

    A frame is kept from the first to the last whose mean square lies within trim_top_db of the loudest one, as in
    librosa.effects.trim. The rms, float32 (n_frames,), is that of the samples returned. Digital silence is returned as
    it is, with gain 0 and nothing trimmed.
    """
    samples = samples - samples.mean(dtype=np.float64).astype(np.float32)
    mean_square = _mean_square(samples, config)
    loudest = float(mean_square.max())
    if loudest < 1e-12:
        return samples, 0.0, (0, len(mean_square)), np.sqrt(mean_square).astype(np.float32)
    kept = mean_square > loudest * 10 ** (-config.trim_top_db / 10)
    active = np.flatnonzero(kept)
    gain = REFERENCE_RMS / float(np.sqrt(mean_square[kept].mean()))
    trim = (int(active[0]), int(active[-1]) + 1)
    return (
        samples * np.float32(gain),
        20 * float(np.log10(gain)),
        trim,
        (np.sqrt(mean_square) * gain).astype(np.float32),
    )


def mel_frequencies(config: FeatureConfig) -> np.ndarray:
    """Return the centre of each mel band in Hz, shape (n_mels,)."""
    return filterbanks.mel_frequencies(config.n_mels + 2, fmin=config.fmin, fmax=config.fmax)[1:-1]


def to_frame(features: Features) -> pd.DataFrame:
    """Return a table with one row per frame: time_s, then every track of the clip under its name."""
    import pandas as pd  # a process that only measures can do without its 60 MB

    columns: dict[str, np.ndarray] = {"time_s": features.times_s}
    for name in ("log_mel", "mfcc", "mfcc_delta", "mfcc_delta2", "chroma", "contrast"):
        columns |= {f"{name}_{i:02d}": track for i, track in enumerate(getattr(features, name).T)}
    columns |= dict(zip(spectral.SPECTRAL, features.spectral.T, strict=True)) | dict(
        zip(spectral.VOICE, features.voice.T, strict=True)
    )
    for name in ("zcr", "rms", "centroid_hz", "rolloff_hz", "flatness", "f0_hz", "voicing"):
        columns[name] = getattr(features, name)
    return pd.DataFrame(columns)


def _frames(samples: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Return a view of the frames, float32 (n_frames, win_length), frame i centred at i * hop_length; zeros around the clip."""
    half = config.win_length // 2
    padded = np.pad(samples, (half, config.win_length))
    n_frames = 1 + len(samples) // config.hop_length
    return np.lib.stride_tricks.sliding_window_view(padded, config.win_length)[:: config.hop_length][:n_frames]


def _mean_square(samples: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Return the mean square of each frame, (n_frames,); librosa.feature.rms squared."""
    frames = _frames(samples, config)
    energy: np.ndarray = np.einsum("ij,ij->i", frames, frames) / config.win_length
    return energy


def _power_spectrogram(samples: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Return |STFT|^2, float32 (n_frames, 1 + n_fft / 2).

    librosa pads the window with zeros to n_fft on both sides; here the zeros follow the frame, which changes phases only.
    """
    spectrum = scipy.fft.rfft(_frames(samples, config) * filterbanks._window(config.win_length), n=config.n_fft, axis=1)
    power: np.ndarray = spectrum.real**2 + spectrum.imag**2
    return power


def _power_to_db(power: np.ndarray) -> np.ndarray:
    decibels = 10 * np.log10(np.maximum(power, _AMIN))
    audible: np.ndarray = np.maximum(decibels, decibels.max() - TOP_DB)
    return audible


def _delta(tracks: np.ndarray, *, order: int) -> np.ndarray:
    """Return librosa.feature.delta(width=9, order=order, mode='nearest') of (n_frames, n) tracks."""
    slopes: np.ndarray = scipy.ndimage.correlate1d(tracks, _delta_weights(order), axis=0, mode="nearest")
    return slopes


def _chroma(power: np.ndarray, config: FeatureConfig) -> np.ndarray:
    raw = power @ _chroma_basis(config).T
    loudest = raw.max(axis=1, keepdims=True)
    relative: np.ndarray = raw / np.where(loudest < np.finfo(np.float32).tiny, 1.0, loudest)
    return relative


def _zero_crossing_rate(samples: np.ndarray, config: FeatureConfig) -> np.ndarray:
    half = config.win_length // 2
    padded = np.pad(samples, (half, config.win_length - half), mode="edge")
    negative = padded < -_AMIN
    crossings = np.concatenate([[0], np.cumsum(negative[1:] != negative[:-1], dtype=np.int32)])
    starts = np.arange(1 + len(samples) // config.hop_length) * config.hop_length
    share: np.ndarray = ((crossings[starts + config.win_length - 1] - crossings[starts]) / config.win_length).astype(
        np.float32
    )
    return share


def _centroid(magnitude: np.ndarray, config: FeatureConfig) -> np.ndarray:
    total = magnitude.sum(axis=1)
    centre: np.ndarray = (magnitude @ filterbanks._bin_frequencies(config)) / np.where(
        total < np.finfo(np.float32).tiny, 1.0, total
    )
    return centre


def _rolloff(magnitude: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Return the frequency of the first bin up to which ROLLOFF_SHARE of the magnitude lies, (n_frames,).

    The sums of blocks of bins say in which block that is; only this block is summed bin by bin.
    """
    n_frames, n_bins = magnitude.shape
    width = math.isqrt(n_bins)
    padded = np.zeros((n_frames, -(-n_bins // width) * width), np.float32)
    padded[:, :n_bins] = magnitude
    blocks = padded.reshape(n_frames, -1, width)
    until = np.cumsum(blocks.sum(axis=2), axis=1)
    wanted = ROLLOFF_SHARE * until[:, -1:]
    block = np.minimum(np.count_nonzero(until < wanted, axis=1), until.shape[1] - 1)
    rows = np.arange(n_frames)
    within = (
        np.cumsum(blocks[rows, block], axis=1) + (until[rows, block] - blocks[rows, block].sum(axis=1))[:, np.newaxis]
    )
    below = block * width + np.count_nonzero(within < wanted, axis=1)
    frequency: np.ndarray = filterbanks._bin_frequencies(config)[np.minimum(below, n_bins - 1)]
    return frequency


def _flatness(power: np.ndarray, log_power: np.ndarray) -> np.ndarray:
    flatness: np.ndarray = np.exp(log_power.mean(axis=1)) / np.maximum(power.mean(axis=1), _AMIN)
    return flatness


def _contrast(magnitude: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Return librosa.feature.spectral_contrast(n_bands=5), (n_frames, 6): peak against valley of each octave, in dB."""
    peaks, valleys = [], []
    for start, stop, n_ends in _contrast_bands(config):
        band = magnitude[:, start:stop]
        if n_ends == 1:
            valleys.append(band.min(axis=1))
            peaks.append(band.max(axis=1))
        else:
            band = np.sort(band, axis=1)  # numpy's vectorised sort beats its partition at this size
            valleys.append(band[:, :n_ends].mean(axis=1))
            peaks.append(band[:, -n_ends:].mean(axis=1))
    contrast: np.ndarray = _power_to_db(np.stack(peaks, axis=1)) - _power_to_db(np.stack(valleys, axis=1))
    return contrast


@lru_cache(maxsize=8)
def _mel_basis(config: FeatureConfig) -> np.ndarray:
    return filterbanks.mel(config.sample_rate, config.n_fft, n_mels=config.n_mels, fmin=config.fmin, fmax=config.fmax)


@lru_cache(maxsize=8)
def _chroma_basis(config: FeatureConfig) -> np.ndarray:
    return filterbanks.chroma(config.sample_rate, config.n_fft, n_chroma=N_CHROMA)


@lru_cache(maxsize=8)
def _dct_basis(config: FeatureConfig) -> np.ndarray:
    matrix: np.ndarray = scipy.fft.dct(np.eye(config.n_mels), type=2, norm="ortho", axis=0)[: config.n_mfcc].astype(
        np.float32
    )
    return matrix


@lru_cache(maxsize=8)
def _delta_weights(order: int) -> np.ndarray:
    """Return the Savitzky-Golay weights of librosa.feature.delta: slope or curvature of a fitted polynomial of that order."""
    offsets = np.arange(DELTA_WIDTH) - DELTA_WIDTH // 2
    coefficients = np.linalg.pinv(np.vander(offsets, order + 1, increasing=True))
    weights: np.ndarray = (math.factorial(order) * coefficients[order]).astype(np.float32)
    return weights


@lru_cache(maxsize=8)
def _contrast_bands(config: FeatureConfig) -> tuple[tuple[int, int, int], ...]:
    """Return (first bin, stop bin, number of bins averaged at each end) of each octave band, as librosa chooses them."""
    frequencies = filterbanks._bin_frequencies(config)
    edges = [0.0, *(CONTRAST_FMIN * 2.0**k for k in range(N_CONTRAST_BANDS + 1))]
    bands = []
    for k in range(N_CONTRAST_BANDS + 1):
        inside = np.flatnonzero((frequencies >= edges[k]) & (frequencies <= edges[k + 1]))
        start = int(inside[0]) - (1 if k > 0 else 0)
        stop = len(frequencies) if k == N_CONTRAST_BANDS else int(inside[-1]) + 1
        n_ends = max(int(np.rint(CONTRAST_QUANTILE * (stop - start))), 1)
        bands.append((start, stop if k == N_CONTRAST_BANDS else stop - 1, n_ends))
    return tuple(bands)
