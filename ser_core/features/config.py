"""The settings of feature extraction: one value that round-trips through JSON, and its rows for a form."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from ser_core.errors import ConfigError
from ser_core.settings import CHOICE, NUMBER, WHOLE, Setting

F0_MIN = 60.0

MOST_PER_SECOND = 500_000
"""Most cells of the spectrogram per second of sound (frames times frequencies): twenty times the default's, which bounds the memory."""

INPUTS = MEL_AND_VOICE, LEVELLED, MEL = "mel and voice", "levelled mel and voice", "mel"
"""Input of a network per frame: the log-mel spectrogram alone, or FRAME_MEASURES as well; levelled, each band minus its own mean over
the clip, as in cepstral mean normalisation (Atal 1974), which removes constant effects of microphone and room on the spectrum.
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
        help="Hz. The highest frequency in the features is half of it.",
    ),
    Setting(
        name="n_fft",
        title="FFT length",
        kind=WHOLE,
        default=1024,
        low=64,
        high=8192,
        step=64,
        help="Samples, zero-padded after the window: more give finer frequency steps, not more detail.",
    ),
    Setting(
        name="win_length",
        title="Window",
        kind=WHOLE,
        default=640,
        low=32,
        high=8192,
        step=32,
        help="Samples per frame. Longer windows resolve pitch better and quick changes worse.",
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
        help="Bands of the mel spectrogram, the input of the networks.",
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
        help="Mel-frequency cepstral coefficients, part of the summary for the other classifiers.",
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
        help="dB. Frames softer than the loudest one by this much are trimmed at both ends.",
    ),
    Setting(
        name="window_frames",
        title="Network window",
        kind=WHOLE,
        default=160,
        low=16,
        high=1000,
        step=8,
        early=True,
        help="Frames per network input; longer clips are cut into several windows.",
    ),
    Setting(
        name="network_input",
        title="Network input",
        kind=CHOICE,
        default=LEVELLED,
        choices=INPUTS,
        early=True,
        help="The mel spectrogram alone, or pitch, loudness and voice quality of each moment as well. Levelled: each mel band minus its "
        "own mean over the clip, which removes the colour of microphone, room and voice.",
    ),
)
"""The entries of a FeatureConfig as rows of a form, which also give the allowed values."""


@dataclass(frozen=True, kw_only=True)
class FeatureConfig:
    """Settings of the analysis; each trained model has its own, so its input never depends on the caller.

    sample_rate in Hz; n_fft, win_length and hop_length in samples; fmin and fmax in Hz; trim_top_db in dB below the
    loudest frame; window_frames is the length in frames of a network's input (160 frames of 20 ms = 3.2 s);
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
    network_input: str = LEVELLED

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

        Older settings lack network_input; they mean MEL.
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
