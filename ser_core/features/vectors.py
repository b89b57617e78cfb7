"""The input of models: windows of frames for networks, one summary vector or one embedding for the others, and their columns."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ser_core.audio.waveform import Waveform
from ser_core.features import encoder, extraction, functionals, spectral
from ser_core.features.config import LEVELLED, MEL, FeatureConfig
from ser_core.features.extraction import Features

KINDS = VECTOR, FRAMES, EMBEDDING = "vector", "frames", "embedding"
"""What a classifier sees of a clip: `summary`, `windows`, or encoder.embedding."""


def frame_columns(config: FeatureConfig) -> tuple[str, ...]:
    """Return the names of the columns of `windows`: the mel bands, and FRAME_MEASURES where the settings say so."""
    bands = tuple(f"log_mel_{i:02d}" for i in range(config.n_mels))
    return bands if config.network_input == MEL else bands + FRAME_MEASURES


def windows(features: extraction.Features) -> np.ndarray:
    """Return the input of a network: float32 (n_windows, window_frames, n_columns), named by `frame_columns`.

    The trimmed log-mel is standardised by the clip's own mean and deviation, so that level and channel gain do not
    matter, or, LEVELLED, each band by its own mean and then all by one deviation; the other measures are as they are, within
    what half precision can hold, and 0 where they need a voice and there is none.
    A shorter clip is centred between frames of its own mean; a longer one is cut into windows that overlap by
    half at least and reach both ends.
    """
    whole = frames(features)
    return cut(whole, features.config, blank(whole, features.config))


def frames(features: extraction.Features) -> np.ndarray:
    """Return what `windows` cuts into windows: the trimmed frames of a clip, float32 (n_frames, n_columns)."""
    start, stop = features.trim
    mel = features.log_mel[start:stop]
    mel = mel - (mel.mean(axis=0) if features.config.network_input == LEVELLED else mel.mean())
    mel = mel / (mel.std() + 1e-3)
    if features.config.network_input == MEL:
        alone: np.ndarray = mel.astype(np.float32, copy=False)
        return alone
    measures = np.clip(_frame_measures(features)[start:stop], -_LARGEST, _LARGEST)
    return np.concatenate([mel, measures], axis=1).astype(np.float32, copy=False)


def blank(frames: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Return the frame that says nothing, float32 (n_columns,): 0 in the mel bands, elsewhere the mean of the clip's `frames`."""
    mean: np.ndarray = frames.mean(axis=0)
    mean[: config.n_mels] = 0.0
    return mean


def cut(frames: np.ndarray, config: FeatureConfig, blank: np.ndarray) -> np.ndarray:
    """Return frames of a clip as windows (n_windows, window_frames, n_columns); those of a shorter clip stand between blanks."""
    length = config.window_frames
    surplus = len(frames) - length
    if surplus <= 0:
        before = -surplus // 2
        window = np.tile(blank, (length, 1))
        window[before : before + len(frames)] = frames
        return window[np.newaxis]
    n_windows = 1 + int(np.ceil(surplus / (length / 2)))
    starts = np.linspace(0, surplus, n_windows).round().astype(int)
    return np.stack([frames[i : i + length] for i in starts])


def summary(features: extraction.Features) -> np.ndarray:
    """Return the summary vector of the trimmed clip: float32 (n_columns,), named by `summary_columns`.

    The statistics of functionals.py of every track over all frames, and of the voice's tracks (f0 in semitones re 100 Hz, its
    change, harmonics, formant peaks) over the voiced frames; then pauses, rhythm and the movement of pitch.
    """
    frame_s = features.config.hop_length / features.config.sample_rate
    tracks, voiced_tracks, voiced = _tracks(features)
    over_all = functionals.describe(tracks)
    over_voiced = functionals.describe(voiced_tracks)
    rhythm = functionals.rhythm(
        voiced, tracks[_track_names(features.config).index("loudness")], voiced_tracks[0], frame_s
    )
    return np.concatenate([over_all.ravel(), over_voiced.ravel(), rhythm])


@lru_cache(maxsize=16)
def summary_columns(config: FeatureConfig) -> tuple[str, ...]:
    """Return the names of `summary`'s columns, such as 'mfcc_03_mean', 'f0_p50' or 'voiced_share'."""
    names = [
        f"{name}_{statistic}"
        for name in (*_track_names(config), *_VOICED_TRACKS)
        for statistic in functionals.STATISTICS
    ]
    return (*names, *functionals.RHYTHM)


_DELTA_OF = ("rms_db", "loudness", "roll_50", "mel_centre", "voicing")
_SINGLE = ("zcr", "rms_db", "centroid_hz", "flatness_db", "voicing")
_VOICED_TRACKS = ("f0", "f0_change", "f0_step", "level_step", *spectral.VOICE)
_CONTRASTS = tuple(f"contrast_{i:02d}" for i in range(extraction.N_CONTRAST_BANDS + 1))

FRAME_MEASURES = (
    *_CONTRASTS,
    *_SINGLE,
    *spectral.SPECTRAL,
    "voiced",
    "f0",
    "f0_above_median",
    "f0_change",
    *spectral.VOICE,
)
"""A network's measures per frame besides the mel bands: spectral contrast, spectrum and loudness, whether it is voiced, f0 in semitones
re 100 Hz, above the clip's own median and since the frame before, and the measures of the voice; 0 for the latter where unvoiced.
"""

_LARGEST = 6e4
"""Somewhat below the largest number of half precision, 65504."""


@lru_cache(maxsize=16)
def _track_names(config: FeatureConfig) -> list[str]:
    numbered = [("mel_pair", config.n_mels // 2), ("mfcc", config.n_mfcc)]
    names = [f"{name}_{i:02d}" for name, n in numbered for i in range(n)]
    return [*names, *_CONTRASTS, *_SINGLE, *spectral.SPECTRAL, *(f"{name}_delta" for name in _DELTA_OF)]


def _tracks(features: extraction.Features) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return tracks (n_tracks, n_trimmed), the voice's tracks (n_voiced_tracks, n_voiced) and voiced (n_trimmed,) bool.

    Where no frame is voiced, the voice's tracks are one frame of zeros.
    """
    keep = slice(*features.trim)
    pairs = features.log_mel[:, : features.config.n_mels // 2 * 2]
    tracks = np.concatenate([(pairs[:, ::2] + pairs[:, 1::2]) / 2, features.mfcc, _spectral_measures(features)], axis=1)
    names = _track_names(features.config)
    deltas = extraction._delta(tracks[:, [names.index(name) for name in _DELTA_OF]], order=1)
    tracks = np.ascontiguousarray(np.concatenate([tracks, deltas], axis=1)[keep].T)

    voiced, pitch, change = _pitch(features.f0_hz[keep])
    if not voiced.any():
        return tracks, np.zeros((len(_VOICED_TRACKS), 1), np.float32), voiced
    rms_db = tracks[names.index("rms_db")]
    level_step = np.abs(np.diff(rms_db, prepend=rms_db[:1]))
    voice = np.stack([pitch, change, np.abs(change), level_step, *features.voice[keep].T])
    return tracks, np.ascontiguousarray(voice[:, voiced], dtype=np.float32), voiced


def _spectral_measures(features: extraction.Features) -> np.ndarray:
    """Return spectral contrast, the _SINGLE measures and the SPECTRAL ones of each frame, (n_frames, n_measures)."""
    rms_db = 20 * np.log10(np.maximum(features.rms, 1e-4))
    single = [features.zcr, rms_db, features.centroid_hz, 10 * np.log10(features.flatness), features.voicing]
    return np.concatenate([features.contrast, np.stack(single, axis=1), features.spectral], axis=1)


def _frame_measures(features: extraction.Features) -> np.ndarray:
    """Return the FRAME_MEASURES of each frame, (n_frames, n_measures)."""
    voiced, pitch, change = _pitch(features.f0_hz)
    is_voiced = voiced[slice(*features.trim)]
    median = np.median(pitch[slice(*features.trim)][is_voiced]) if is_voiced.any() else 0.0
    voice = np.where(voiced[:, np.newaxis], features.voice, 0.0)
    pitches = np.stack([voiced, pitch, np.where(voiced, pitch - median, 0.0), change], axis=1)
    return np.concatenate([_spectral_measures(features), pitches, voice], axis=1)


def _pitch(f0_hz: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which frames are voiced, f0 in semitones re 100 Hz, and its change since a voiced frame before; 0 where there is none."""
    voiced = np.isfinite(f0_hz)
    pitch = 12 * np.log2(np.where(voiced, f0_hz, 100.0) / 100.0)
    follows = voiced & np.concatenate([[False], voiced[:-1]])
    return voiced, pitch, np.where(follows, np.diff(pitch, prepend=pitch[:1]), 0.0)


def inputs(waveform: Waveform, measured: Features, input_kind: str) -> np.ndarray:
    """Return the input of a classifier of this kind for a clip: its summary or its embedding as one row, or its windows.

    waveform: the clip; measured: what extraction.extract returned of it; input_kind: one of KINDS. Raises ModelError where the
    pretrained encoder's file is missing.
    """
    if input_kind == EMBEDDING:
        return encoder.embedding(waveform, measured.config)[np.newaxis]
    return summary(measured)[np.newaxis] if input_kind == VECTOR else windows(measured)
