"""What a clip looks like in time and frequency: one short-time Fourier transform, and everything that follows from it.

Arrays keep time first: (n_frames, n_something). Training, the pages, the command line and the live stream all come
through `extract`. Definitions are librosa's, computed here in float32 with filterbanks that are made once, because librosa
rebuilds them at each call; `tests/test_features.py` holds them against librosa's own functions. Reading files is audio.py's work.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.fft
import scipy.ndimage

from ser_core import audio, filterbanks, functionals, spectral
from ser_core.errors import ConfigError
from ser_core.setting import CHOICE, NUMBER, WHOLE, Setting

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

F0_MIN = 60.0
F0_MAX = 500.0
"""Search range of the fundamental frequency in Hz: low male to high female and excited speech."""

VOICING_THRESHOLD = 0.5
"""Normalised autocorrelation from which a frame counts as voiced (Boersma 1993 takes 0.45 on clean speech)."""

OCTAVE_COST = 0.04
"""Taken from the autocorrelation per octave below F0_MAX, so that the shortest of several equal periods wins (Boersma 1993)."""

MOST_PER_SECOND = 500_000
"""Numbers of the spectrogram for a second of sound, frames by frequencies: twenty times the default's, and no more memory than there is."""

INPUTS = MEL_AND_VOICE, LEVELLED, MEL = "mel and voice", "levelled mel and voice", "mel"
"""What a network sees of each frame: the log-mel spectrogram alone, or FRAME_MEASURES as well; levelled, each band less its own mean over
the clip, as in cepstral mean normalisation (Atal 1974): what a microphone or a room does to the spectrum all the time is gone.
"""

SETTINGS = (
    Setting(
        name="sample_rate",
        title="Sample rate",
        kind=WHOLE,
        default=16_000,
        low=8000,
        high=48_000,
        step=1000,
        help="Hz. Half of it is the highest frequency that can be seen.",
    ),
    Setting(
        name="n_fft",
        title="FFT length",
        kind=WHOLE,
        default=1024,
        low=64,
        high=8192,
        step=64,
        help="Samples, filled up with zeros after the window: more give finer steps of frequency, not more detail.",
    ),
    Setting(
        name="win_length",
        title="Window",
        kind=WHOLE,
        default=640,
        low=32,
        high=8192,
        step=32,
        help="Samples seen at once. Longer shows pitch more sharply and quick changes less.",
    ),
    Setting(
        name="hop_length",
        title="Hop",
        kind=WHOLE,
        default=320,
        low=32,
        high=8192,
        step=32,
        help="Samples from one frame to the next.",
    ),
    Setting(
        name="n_mels",
        title="Mel bands",
        kind=WHOLE,
        default=64,
        low=8,
        high=256,
        step=8,
        help="Bands of the mel spectrogram: what the networks see.",
        early=True,
    ),
    Setting(
        name="n_mfcc",
        title="MFCCs",
        kind=WHOLE,
        default=20,
        low=1,
        high=256,
        early=True,
        help="Coefficients kept of the spectrum's shape: part of the summary that the other classifiers see.",
    ),
    Setting(name="fmin", title="Lowest frequency", kind=NUMBER, default=50.0, low=0, high=4000, step=10, help="Hz."),
    Setting(
        name="fmax",
        title="Highest frequency",
        kind=NUMBER,
        default=8000.0,
        low=500,
        high=24_000,
        step=100,
        help="Hz; at most half the sample rate. 4000 is about what a telephone passes.",
    ),
    Setting(
        name="trim_top_db",
        title="Trim",
        kind=NUMBER,
        default=35.0,
        low=5,
        high=120,
        step=5,
        help="dB. What is softer than the loudest frame by this is cut off at both ends.",
    ),
    Setting(
        name="window_frames",
        title="Frames of a network's window",
        kind=WHOLE,
        default=160,
        low=16,
        high=1000,
        step=8,
        early=True,
        help="How many frames a network sees at once; longer clips are cut into several windows.",
    ),
    Setting(
        name="network_input",
        title="What a network sees",
        kind=CHOICE,
        default=MEL_AND_VOICE,
        choices=INPUTS,
        early=True,
        help="The mel spectrogram alone, or pitch, loudness and voice quality of each moment as well. Levelled: each mel band less its "
        "own mean over the clip, which takes out the colour of microphone and room, and of the voice.",
    ),
)
"""The entries of a FeatureConfig as rows of a form; it takes no value outside of them."""


@dataclass(frozen=True, kw_only=True)
class FeatureConfig:
    """Settings of the analysis; a trained model carries its own, so what it hears never depends on the caller.

    sample_rate in Hz; n_fft, win_length and hop_length in samples; fmin and fmax in Hz; trim_top_db in dB below the
    loudest frame; window_frames is the length in frames of what a network sees at once (160 frames of 20 ms = 3.2 s);
    network_input is one of INPUTS.
    """

    sample_rate: int = 16_000
    n_fft: int = 1024
    win_length: int = 640
    hop_length: int = 320
    n_mels: int = 64
    n_mfcc: int = 20
    fmin: float = 50.0
    fmax: float = 8000.0
    trim_top_db: float = 35.0
    window_frames: int = 160
    network_input: str = MEL_AND_VOICE

    def __post_init__(self) -> None:
        for setting in SETTINGS:
            setting.check(getattr(self, setting.name), of="FeatureConfig")
        if not 0 < self.hop_length <= self.win_length <= self.n_fft:
            raise ConfigError(
                f"FeatureConfig needs 0 < hop_length <= win_length <= n_fft. "
                f"Got {self.hop_length}, {self.win_length}, {self.n_fft}."
            )
        if not 0 <= self.fmin < self.fmax <= self.sample_rate / 2:
            raise ConfigError(
                f"FeatureConfig needs 0 <= fmin < fmax <= {self.sample_rate / 2:g} Hz (half the sample rate). "
                f"Got {self.fmin:g} and {self.fmax:g}."
            )
        longest = int(np.ceil(self.sample_rate / F0_MIN)) + 2
        if self.win_length < longest:
            raise ConfigError(
                f"FeatureConfig needs a window of one period of the lowest pitch, {F0_MIN:g} Hz: win_length of {longest} or more at "
                f"{self.sample_rate} Hz. Got {self.win_length}."
            )
        per_second = self.sample_rate / self.hop_length * (self.n_fft // 2 + 1)
        if per_second > MOST_PER_SECOND:
            raise ConfigError(
                f"FeatureConfig allows a spectrogram of {MOST_PER_SECOND:,} numbers a second; these settings make {per_second:,.0f}. "
                "Choose a longer hop_length or a shorter n_fft."
            )
        if not 0 < self.n_mfcc <= self.n_mels:
            raise ConfigError(f"FeatureConfig needs 0 < n_mfcc <= n_mels. Got {self.n_mfcc} and {self.n_mels}.")

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> FeatureConfig:
        """Build the settings from `to_dict`'s values; unknown or missing names raise ConfigError.

        Settings from before there was a choice of network_input have none: networks saw MEL.
        """
        values = {"network_input": MEL, **values}
        names = {field.name for field in fields(cls)}
        if set(values) != names:
            raise ConfigError(
                f"The feature settings should name {', '.join(sorted(names))}. "
                f"Unknown: {', '.join(sorted(set(values) - names)) or 'none'}; "
                f"missing: {', '.join(sorted(names - set(values))) or 'none'}."
            )
        return cls(**values)


@dataclass(frozen=True)
class Features:
    """Everything measured on one clip, frame by frame; frame i is centred at times_s[i].

    The clip is freed of its mean and scaled by gain_db so that its loud frames have one level; log_mel (dB) and rms
    (linear) are in that scale: subtract gain_db for the recording's own level. trim is the range of frames (start, stop)
    that the models hear: silence around the speech is left out. f0_hz and voice are NaN where a frame is unvoiced; the columns
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


def extract(waveform: audio.Waveform, config: FeatureConfig = FeatureConfig()) -> Features:
    """Return all features of a clip, from one STFT.

    Parameters
    ----------
    waveform
        Mono float32 samples; resampled first where its rate is not config.sample_rate.
    config
        The settings; n_frames = 1 + n_samples // hop_length.
    """
    if waveform.sample_rate != config.sample_rate:
        waveform = audio.resample(waveform, config.sample_rate)
    samples, gain_db, trim, rms = condition(waveform.samples, config)
    power = _power_spectrogram(samples, config)
    magnitude = np.sqrt(power)
    log_power = np.log(np.maximum(power, _AMIN))
    mel_power = power @ _mel_basis(config).T
    log_mel = _power_to_db(mel_power)
    mfcc = log_mel @ _dct_basis(config).T
    f0_hz, voicing = _fundamental(power, config)
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


def frame_columns(config: FeatureConfig) -> tuple[str, ...]:
    """Return the names of the columns of `windows`: the mel bands, and FRAME_MEASURES where the settings say so."""
    bands = tuple(f"log_mel_{i:02d}" for i in range(config.n_mels))
    return bands if config.network_input == MEL else bands + FRAME_MEASURES


def windows(features: Features) -> np.ndarray:
    """Return what a network sees: float32 (n_windows, window_frames, n_columns), named by `frame_columns`.

    The trimmed log-mel is standardised by the clip's own mean and deviation, so that level and channel gain do not
    matter, or, LEVELLED, each band by its own mean and then all by one deviation; the other measures are as they are, within
    what half precision can hold, and 0 where they need a voice and there is none.
    A shorter clip is centred between frames of its own mean; a longer one is cut into windows that overlap by
    half at least and reach both ends.
    """
    start, stop = features.trim
    frames = features.log_mel[start:stop]
    frames = frames - (frames.mean(axis=0) if features.config.network_input == LEVELLED else frames.mean())
    frames = frames / (frames.std() + 1e-3)
    if features.config.network_input != MEL:
        frames = np.concatenate([frames, np.clip(_frame_measures(features)[start:stop], -_LARGEST, _LARGEST)], axis=1)
    frames = frames.astype(np.float32, copy=False)
    length = features.config.window_frames
    surplus = len(frames) - length
    if surplus <= 0:
        before = -surplus // 2
        window = np.tile(frames.mean(axis=0), (length, 1))
        window[:, : features.config.n_mels] = 0.0
        window[before : before + len(frames)] = frames
        return window[np.newaxis]
    n_windows = 1 + int(np.ceil(surplus / (length / 2)))
    starts = np.linspace(0, surplus, n_windows).round().astype(int)
    return np.stack([frames[i : i + length] for i in starts])


def summary(features: Features) -> np.ndarray:
    """Return the summary vector of the trimmed clip: float32 (n_columns,), named by `summary_columns`.

    The statistics of functionals.py of every track over all frames, and of the voice's tracks (f0 in semitones re 100 Hz, its
    change, harmonics, formant peaks) over the voiced frames; then pauses, rhythm and the movement of pitch.
    """
    frame_s = features.config.hop_length / features.config.sample_rate
    tracks, voiced_tracks, voiced = _tracks(features)
    over_all = functionals.describe(tracks, frame_s)
    over_voiced = functionals.describe(voiced_tracks, frame_s)
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


def to_frame(features: Features) -> pd.DataFrame:
    """Return a table with one row a frame: time_s, then every track of the clip under its name."""
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


_DELTA_OF = ("rms_db", "loudness", "roll_50", "mel_centre", "voicing")
_SINGLE = ("zcr", "rms_db", "centroid_hz", "flatness_db", "voicing")
_VOICED_TRACKS = ("f0", "f0_change", "f0_step", "level_step", *spectral.VOICE)
_CONTRASTS = tuple(f"contrast_{i:02d}" for i in range(N_CONTRAST_BANDS + 1))

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
"""What a network may see of a frame besides the mel bands: spectral contrast, spectrum and loudness, whether it is voiced, f0 in semitones
re 100 Hz, above the clip's own median and since the frame before, and the measures of the voice; 0 for the latter where unvoiced.
"""

_LARGEST = 6e4
"""Somewhat below the largest number of half precision, 65504."""


@lru_cache(maxsize=16)
def _track_names(config: FeatureConfig) -> list[str]:
    numbered = [("mel_pair", config.n_mels // 2), ("mfcc", config.n_mfcc)]
    names = [f"{name}_{i:02d}" for name, n in numbered for i in range(n)]
    return [*names, *_CONTRASTS, *_SINGLE, *spectral.SPECTRAL, *(f"{name}_delta" for name in _DELTA_OF)]


def _tracks(features: Features) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return tracks (n_tracks, n_trimmed), the voice's tracks (n_voiced_tracks, n_voiced) and voiced (n_trimmed,) bool.

    Where no frame is voiced, the voice's tracks are one frame of zeros.
    """
    keep = slice(*features.trim)
    pairs = features.log_mel[:, : features.config.n_mels // 2 * 2]
    tracks = np.concatenate([(pairs[:, ::2] + pairs[:, 1::2]) / 2, features.mfcc, _spectral_measures(features)], axis=1)
    names = _track_names(features.config)
    deltas = _delta(tracks[:, [names.index(name) for name in _DELTA_OF]], order=1)
    tracks = np.ascontiguousarray(np.concatenate([tracks, deltas], axis=1)[keep].T)

    voiced, pitch, change = _pitch(features.f0_hz[keep])
    if not voiced.any():
        return tracks, np.zeros((len(_VOICED_TRACKS), 1), np.float32), voiced
    rms_db = tracks[names.index("rms_db")]
    level_step = np.abs(np.diff(rms_db, prepend=rms_db[:1]))
    voice = np.stack([pitch, change, np.abs(change), level_step, *features.voice[keep].T])
    return tracks, np.ascontiguousarray(voice[:, voiced], dtype=np.float32), voiced


def _spectral_measures(features: Features) -> np.ndarray:
    """Return spectral contrast, the _SINGLE measures and the SPECTRAL ones of each frame, (n_frames, n_measures)."""
    rms_db = 20 * np.log10(np.maximum(features.rms, 1e-4))
    single = [features.zcr, rms_db, features.centroid_hz, 10 * np.log10(features.flatness), features.voicing]
    return np.concatenate([features.contrast, np.stack(single, axis=1), features.spectral], axis=1)


def _frame_measures(features: Features) -> np.ndarray:
    """Return the FRAME_MEASURES of each frame, (n_frames, n_measures)."""
    voiced, pitch, change = _pitch(features.f0_hz)
    heard = voiced[slice(*features.trim)]
    median = np.median(pitch[slice(*features.trim)][heard]) if heard.any() else 0.0
    voice = np.where(voiced[:, np.newaxis], features.voice, 0.0)
    pitches = np.stack([voiced, pitch, np.where(voiced, pitch - median, 0.0), change], axis=1)
    return np.concatenate([_spectral_measures(features), pitches, voice], axis=1)


def _pitch(f0_hz: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which frames are voiced, f0 in semitones re 100 Hz, and its change since a voiced frame before; 0 where there is none."""
    voiced = np.isfinite(f0_hz)
    pitch = 12 * np.log2(np.where(voiced, f0_hz, 100.0) / 100.0)
    follows = voiced & np.concatenate([[False], voiced[:-1]])
    return voiced, pitch, np.where(follows, np.diff(pitch, prepend=pitch[:1]), 0.0)


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
    spectrum = scipy.fft.rfft(_frames(samples, config) * _window(config.win_length), n=config.n_fft, axis=1)
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
    centre: np.ndarray = (magnitude @ _bin_frequencies(config)) / np.where(
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
    frequency: np.ndarray = _bin_frequencies(config)[np.minimum(below, n_bins - 1)]
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


def _fundamental(power: np.ndarray, config: FeatureConfig) -> tuple[np.ndarray, np.ndarray]:
    """Return f0 in Hz (NaN where unvoiced) and voicing in [0, 1], both float32 (n_frames,).

    The autocorrelation of each frame comes from its power spectrum and is divided by that of the window (Boersma 1993,
    "Accurate short-term analysis of the fundamental frequency ..."). Its highest peak in the search range gives the
    period. A second pass searches near the speaker's own range, found in the first (De Looze and Hirst 2008), which
    removes most octave errors.
    """
    first_lag = int(config.sample_rate / F0_MAX)
    last_lag = int(np.ceil(config.sample_rate / F0_MIN)) + 1
    basis = _autocorrelation_basis(config, last_lag)
    correlation = power[:, : len(basis)] @ basis
    energy = correlation[:, :1]
    loud = energy[:, 0] > max(float(energy.max()) * 1e-5, 1e-9)
    correlation = correlation / np.where(energy > 0, energy, 1.0) / _window_autocorrelation(config)[: last_lag + 1]
    inner = correlation[:, first_lag:last_lag]
    is_peak = (inner >= correlation[:, first_lag - 1 : last_lag - 1]) & (
        inner > correlation[:, first_lag + 1 : last_lag + 1]
    )
    lags = np.arange(first_lag, last_lag)
    scores = np.where(is_peak, inner - _octave_cost(first_lag, last_lag), -1.0)

    best = scores.argmax(axis=1)
    strength = np.take_along_axis(inner, best[:, np.newaxis], axis=1)[:, 0]
    voiced = loud & (strength > VOICING_THRESHOLD) & (scores.max(axis=1) > 0)
    if voiced.sum() >= 5:
        low, high = np.percentile(lags[best[voiced]], (25, 75))
        in_range = (lags >= low / 1.9) & (lags <= high * 1.6)
        scores = np.where(in_range, scores, -1.0)
        best = scores.argmax(axis=1)
        strength = np.take_along_axis(inner, best[:, np.newaxis], axis=1)[:, 0]
        voiced = loud & (strength > VOICING_THRESHOLD) & (scores.max(axis=1) > 0)

    rows = np.arange(len(inner))
    lag = lags[best]
    left, middle, right = correlation[rows, lag - 1], correlation[rows, lag], correlation[rows, lag + 1]
    curvature = left - 2 * middle + right
    shift = np.where(np.abs(curvature) > 1e-9, 0.5 * (left - right) / np.where(curvature == 0, 1.0, curvature), 0.0)
    f0 = config.sample_rate / (lag + np.clip(shift, -0.5, 0.5))
    return (
        np.where(voiced, f0, np.nan).astype(np.float32),
        np.where(loud, np.clip(strength, 0.0, 1.0), 0.0).astype(np.float32),
    )


@lru_cache(maxsize=8)
def _window(win_length: int) -> np.ndarray:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(win_length) / win_length)).astype(np.float32)


@lru_cache(maxsize=8)
def _window_autocorrelation(config: FeatureConfig) -> np.ndarray:
    window = _window(config.win_length).astype(np.float64)
    correlation = np.correlate(window, window, mode="full")[config.win_length - 1 :]
    own: np.ndarray = np.maximum(correlation / correlation[0], 1e-3).astype(np.float32)
    return own


@lru_cache(maxsize=8)
def _autocorrelation_basis(config: FeatureConfig, last_lag: int) -> np.ndarray:
    """Return the cosines that turn a power spectrum into its autocorrelation, float32 (n_bins up to 2 kHz, last_lag + 1).

    Each bin is weighted by its frequency, and those below F0_MIN not at all: rumble (wind, ventilation) falls with the
    square of frequency or faster and would pass for periodicity. Above 2 kHz hiss would hide it, and one sample of error in
    the period weighs too much.
    """
    frequencies = _bin_frequencies(config)
    bins = np.flatnonzero(frequencies <= 2000)
    weights = np.where(frequencies[bins] >= F0_MIN, frequencies[bins] / 1000, 0)
    cosines = np.cos(2 * np.pi * np.outer(bins, np.arange(last_lag + 1)) / config.n_fft)
    return (weights[:, np.newaxis] * cosines * (2 / config.n_fft)).astype(np.float32)


@lru_cache(maxsize=8)
def _octave_cost(first_lag: int, last_lag: int) -> np.ndarray:
    return (OCTAVE_COST * np.log2(np.arange(first_lag, last_lag) / first_lag)).astype(np.float32)


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
def _bin_frequencies(config: FeatureConfig) -> np.ndarray:
    return (np.arange(1 + config.n_fft // 2) * (config.sample_rate / config.n_fft)).astype(np.float32)


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
    frequencies = _bin_frequencies(config)
    edges = [0.0, *(CONTRAST_FMIN * 2.0**k for k in range(N_CONTRAST_BANDS + 1))]
    bands = []
    for k in range(N_CONTRAST_BANDS + 1):
        inside = np.flatnonzero((frequencies >= edges[k]) & (frequencies <= edges[k + 1]))
        start = int(inside[0]) - (1 if k > 0 else 0)
        stop = len(frequencies) if k == N_CONTRAST_BANDS else int(inside[-1]) + 1
        n_ends = max(int(np.rint(CONTRAST_QUANTILE * (stop - start))), 1)
        bands.append((start, stop if k == N_CONTRAST_BANDS else stop - 1, n_ends))
    return tuple(bands)
