"""What may degrade a clean recording: noise, other voices, rooms, phone lines, codecs, another pace or pitch.

CONDITIONS is the table; each row changes a waveform by a stated amount. Who is tested under them is experiments/robustness.py's business.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft

from ser_core.audio import augment, codecs
from ser_core.audio.augment import add_sound, babble
from ser_core.audio.waveform import Waveform, from_pcm, to_pcm
from ser_core.errors import ConfigError

VERSION = 1
"""Rises whenever what a condition makes of a sound changes; tests/audio/test_degradations.py holds what each makes of a fixed one."""

N_VOICES = 5
"""Voices that babble is mixed from."""

ROOM_WET = 0.5
"""Share of reverberation in the sound: a speaker some steps away from the microphone."""

WHITE, PINK = 0.0, 0.5
"""How a noise's amplitude falls with frequency, as a power of it: not at all, and by 3 dB an octave."""

Voices = Sequence[Waveform]
"""Clips of other speakers, at the rate of the clip."""


def noise(n: int, *, slope: float, rng: np.random.Generator) -> np.ndarray:
    """Return noise, float (n,), whose amplitude falls by frequency ** slope: WHITE or PINK."""
    whole = scipy.fft.next_fast_len(n, real=True)
    spectrum = scipy.fft.rfft(rng.standard_normal(whole))
    spectrum[1:] *= np.arange(1, len(spectrum)) ** -slope
    spectrum[0] = 0.0
    return np.asarray(scipy.fft.irfft(spectrum, whole)[:n])


def record_level(waveform: Waveform, *, gain_db: float) -> Waveform:
    """Return the clip as a 16-bit recorder keeps it at another gain: too loud is clipped, too soft loses its finest steps."""
    changed = augment.change_level(waveform, gain_db=gain_db)
    return Waveform(from_pcm(to_pcm(changed.samples)), changed.sample_rate)


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One row of CONDITIONS.

    imitates: what it stands for; unit: of the levels. levels: in the order of an axis, from the clean end, or through it where `middle` is
    the level at which nothing changes. change(waveform, level, rng, voices) makes the change; voices: clips of other speakers,
    empty unless others is true.
    """

    title: str
    imitates: str
    unit: str
    levels: tuple[float, ...]
    change: Callable[[Waveform, float, np.random.Generator, Voices], Waveform]
    middle: float | None = None
    others: bool = False


def _percent(percent: float) -> float:
    return 1 + percent / 100


CONDITIONS: dict[str, Condition] = {
    "white": Condition(
        title="White noise",
        imitates="hiss of a microphone or a line",
        unit="dB signal-to-noise ratio",
        levels=(30, 20, 10, 0),
        change=lambda waveform, snr_db, rng, _: add_sound(
            waveform, noise(len(waveform.samples), slope=WHITE, rng=rng), snr_db=snr_db
        ),
    ),
    "pink": Condition(
        title="Pink noise",
        imitates="a fan, traffic, wind",
        unit="dB signal-to-noise ratio",
        levels=(30, 20, 10, 0),
        change=lambda waveform, snr_db, rng, _: add_sound(
            waveform, noise(len(waveform.samples), slope=PINK, rng=rng), snr_db=snr_db
        ),
    ),
    "babble": Condition(
        title="Babble",
        imitates=f"{N_VOICES} others of the corpus who speak at once",
        unit="dB signal-to-noise ratio",
        levels=(30, 20, 10, 0),
        others=True,
        change=lambda waveform, snr_db, rng, voices: add_sound(
            waveform, babble(len(waveform.samples), voices, rng=rng), snr_db=snr_db
        ),
    ),
    "reverb": Condition(
        title="Room",
        imitates="a room with bare walls, some steps from the microphone",
        unit="s of reverberation",
        levels=(0.2, 0.5, 1, 2),
        change=lambda waveform, rt60_s, rng, _: augment.add_reverb(waveform, rt60_s=rt60_s, wet=ROOM_WET, rng=rng),
    ),
    "telephone": Condition(
        title="Telephone band",
        imitates="a line that passes 300 Hz to so many; 3400 is the telephone's",
        unit="Hz at most",
        levels=(7000, 3400, 2000),
        change=lambda waveform, high_hz, rng, _: augment.limit_band(
            waveform, high_hz=min(high_hz, 0.49 * waveform.sample_rate)
        ),
    ),
    "mp3": Condition(
        title="MP3",
        imitates="a voice message or an archive at few bits",
        unit="kbit/s",
        levels=(64, 32, 16, 8),
        change=lambda waveform, kbps, rng, _: codecs.round_trip(waveform, "mp3", kbps=kbps),
    ),
    "opus": Condition(
        title="Opus",
        imitates="a call or a meeting over the network",
        unit="kbit/s",
        levels=(64, 32, 16, 6),
        change=lambda waveform, kbps, rng, _: codecs.round_trip(waveform, "opus", kbps=kbps),
    ),
    "gain": Condition(
        title="Gain",
        imitates="a recorder set too low or too high",
        unit="dB",
        levels=(-40, -20, 0, 20, 40),
        middle=0,
        change=lambda waveform, gain_db, rng, _: record_level(waveform, gain_db=gain_db),
    ),
    "speed": Condition(
        title="Speed",
        imitates="played slower or faster, pitch and all",
        unit="% of speed",
        levels=(-30, -15, 0, 15, 30),
        middle=0,
        change=lambda waveform, percent, rng, _: augment.change_speed(waveform, factor=_percent(percent)),
    ),
    "stretch": Condition(
        title="Pace",
        imitates="slower or faster speech at the same pitch",
        unit="% of pace",
        levels=(-30, -15, 0, 15, 30),
        middle=0,
        change=lambda waveform, percent, rng, _: augment.stretch_time(waveform, factor=_percent(percent)),
    ),
    "pitch": Condition(
        title="Pitch",
        imitates="a lower or a higher voice at the same pace",
        unit="semitones",
        levels=(-6, -3, 0, 3, 6),
        middle=0,
        change=lambda waveform, semitones, rng, _: augment.shift_pitch(waveform, semitones=semitones),
    ),
}
"""The conditions by name: what is added to the voice, the room, the line, the codec, the recorder, and the voice itself."""


def check(names: Sequence[str]) -> None:
    """Raise ConfigError unless all are names of CONDITIONS."""
    unknown = [name for name in names if name not in CONDITIONS]
    if unknown:
        raise ConfigError(f"There is no condition '{unknown[0]}'. Choose from {', '.join(CONDITIONS)}.")


def describe(name_and_level: str) -> str:
    """Return 'Babble (10 dB signal-to-noise ratio)' for 'babble 10', as Evaluation.under names them; other names as they are."""
    name, _, level = name_and_level.partition(" ")
    row = CONDITIONS.get(name)
    return f"{row.title} ({level} {row.unit})" if row else name_and_level


def apply(name: str, level: float, waveform: Waveform, *, rng: np.random.Generator, voices: Voices = ()) -> Waveform:
    """Return the clip under a condition at a level; at the level where nothing changes, the clip itself."""
    condition = CONDITIONS[name]
    return waveform if level == condition.middle else condition.change(waveform, level, rng, voices)


CLEAN = "clean"
