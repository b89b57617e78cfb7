"""Changes to a waveform that imitate other speakers, rooms and microphones; for the training part only.

Every function takes a Waveform and returns a new one at the same sample rate. EFFECTS is the table to choose from; `chain` draws
a random combination. Which clips are augmented, and how often, is dataset/build.py's choice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import soxr

from ser_core.audio.waveform import Waveform
from ser_core.errors import ConfigError

STFT_SIZE = 1024
"""Samples of a frame of the phase vocoder: 64 ms at 16 kHz, short enough for syllables to stay apart."""

DRAWN_SHARE = 0.5
"""Chance that a chosen effect is part of one copy; at least one always is."""

COMPILED = frozenset({"stretch", "pitch"})
"""Effects that librosa makes with functions that numba compiles at their first call."""

N_CHATTER = 5
"""Voices that `add_chatter` mixes."""


def add_sound(waveform: Waveform, sound: np.ndarray, *, snr_db: float) -> Waveform:
    """Return the clip with another sound, float (n_samples,), that lies snr_db below it in mean power; both silent: the clip as it is."""
    power, added = (float(np.mean(np.square(each, dtype=np.float64))) for each in (waveform.samples, sound))
    return _like(waveform, waveform.samples + np.sqrt(power / 10 ** (snr_db / 10) / max(added, 1e-20)) * sound)


def babble(n: int, voices: Sequence[Waveform], *, rng: np.random.Generator) -> np.ndarray:
    """Return voices that speak at once, float (n,), equally loud and each with its own start.

    Raises
    ------
    ConfigError : if there is no voice.
    """
    if not voices:
        raise ConfigError(
            "Babble is mixed from clips of other speakers, and there are none here. Add a corpus, or leave babble out."
        )
    total = np.zeros(n)
    for voice in voices:
        level = float(np.sqrt(np.mean(np.square(voice.samples, dtype=np.float64))))
        total += np.resize(np.roll(voice.samples, int(rng.integers(len(voice.samples)))), n) / max(level, 1e-10)
    return total


def add_noise(waveform: Waveform, *, snr_db: float, rng: np.random.Generator) -> Waveform:
    """Return the clip with coloured noise (between white and pink) at a signal-to-noise ratio in dB."""
    n = len(waveform.samples)
    spectrum = np.fft.rfft(rng.standard_normal(n))
    slope = rng.uniform(0.0, 0.5)
    spectrum[1:] *= np.arange(1, len(spectrum)) ** -slope
    spectrum[0] = 0.0
    return add_sound(waveform, np.fft.irfft(spectrum, n), snr_db=snr_db)


def add_chatter(waveform: Waveform, *, snr_db: float, rng: np.random.Generator) -> Waveform:
    """Return the clip with others who speak at once: N_CHATTER pieces of itself, each from another moment on, at another speed, some of
    them backwards. They have the spectrum and the rhythm of speech, and no other clip is needed."""
    n = len(waveform.samples)
    total = np.zeros(n)
    for _ in range(N_CHATTER):
        voice = change_speed(waveform, factor=float(np.exp(rng.uniform(-0.25, 0.25)))).samples
        voice = voice[:: int(_either_way(rng))]
        total += np.resize(np.roll(voice, int(rng.integers(len(voice)))), n)
    return add_sound(waveform, total, snr_db=snr_db)


def change_speed(waveform: Waveform, *, factor: float) -> Waveform:
    """Return the clip played `factor` times as fast, pitch and formants moving with it (Ko et al. 2015)."""
    return _like(
        waveform, soxr.resample(waveform.samples, waveform.sample_rate * factor, waveform.sample_rate, quality="MQ")
    )


def stretch_time(waveform: Waveform, *, factor: float) -> Waveform:
    """Return the clip spoken `factor` times as fast at the same pitch, by a phase vocoder (Flanagan & Golden 1966)."""
    import librosa  # training and previews only: the server starts without it

    stretched = librosa.effects.time_stretch(_padded(waveform.samples), rate=factor, n_fft=STFT_SIZE)
    return _like(waveform, stretched[: max(round(len(waveform.samples) / factor), 1)])


def shift_pitch(waveform: Waveform, *, semitones: float) -> Waveform:
    """Return the clip with its pitch, and the formants with it, moved by semitones; it lasts as long as before."""
    import librosa

    shifted = librosa.effects.pitch_shift(
        _padded(waveform.samples), sr=waveform.sample_rate, n_steps=semitones, n_fft=STFT_SIZE, res_type="soxr_mq"
    )
    return _like(waveform, shifted[: len(waveform.samples)])


def change_level(waveform: Waveform, *, gain_db: float) -> Waveform:
    """Return the clip louder or softer by gain_db; what then passes full scale is clipped, as a recorder does."""
    return _like(waveform, np.clip(waveform.samples * 10 ** (gain_db / 20), -1.0, 1.0))


def limit_band(waveform: Waveform, *, low_hz: float = 300.0, high_hz: float = 3400.0) -> Waveform:
    """Return the clip as a narrow channel passes it; the default is the telephone band of ITU-T G.712."""
    import scipy.signal

    band = scipy.signal.butter(4, (low_hz, high_hz), btype="bandpass", fs=waveform.sample_rate, output="sos")
    return _like(waveform, scipy.signal.sosfilt(band, waveform.samples))


def add_reverb(waveform: Waveform, *, rt60_s: float, wet: float, rng: np.random.Generator) -> Waveform:
    """Return the clip in a synthetic room: exponentially decaying noise of reverberation time rt60_s, mixed in by wet (0..1)."""
    import scipy.signal

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


@dataclass(frozen=True, kw_only=True)
class Effect:
    """One row of EFFECTS. imitates: what the change stands for; unit: of the amount.

    least, most: the amount at strength 0 and at strength 1, straight in between. change(waveform, amount, rng) makes the change;
    where it can go two ways (faster or slower), the rng chooses.
    """

    title: str
    imitates: str
    unit: str
    least: float
    most: float
    change: Callable[[Waveform, float, np.random.Generator], Waveform]
    strength: float = 0.5

    def amount(self, strength: float) -> float:
        """Return how far a strength of 0..1 goes, in `unit`."""
        return self.least + (self.most - self.least) * strength

    def apply(self, waveform: Waveform, strength: float, rng: np.random.Generator) -> Waveform:
        """Return the changed clip; strength 0 changes nothing."""
        if strength == 0:
            return _like(waveform, waveform.samples.copy())
        return self.change(waveform, self.amount(strength), rng)


def _factor(percent: float, rng: np.random.Generator) -> float:
    return float((1 + percent / 100) ** _either_way(rng))


def _either_way(rng: np.random.Generator) -> float:
    return 1.0 if rng.random() < 0.5 else -1.0


EFFECTS: dict[str, Effect] = {
    "stretch": Effect(
        title="Time stretch",
        imitates="a faster or a slower speaker, at the same pitch",
        unit="% faster or slower",
        least=0,
        most=25,
        change=lambda waveform, percent, rng: stretch_time(waveform, factor=_factor(percent, rng)),
    ),
    "pitch": Effect(
        title="Pitch shift",
        imitates="a higher or a lower voice",
        unit="semitones up or down",
        least=0,
        most=4,
        change=lambda waveform, semitones, rng: shift_pitch(waveform, semitones=semitones * _either_way(rng)),
    ),
    "speed": Effect(
        title="Speed",
        imitates="another speaker: pace and voice change together",
        unit="% faster or slower",
        least=0,
        most=25,
        change=lambda waveform, percent, rng: change_speed(waveform, factor=_factor(percent, rng)),
    ),
    "reverb": Effect(
        title="Room",
        imitates="a room with bare walls",
        unit="s of reverberation",
        least=0.05,
        most=0.8,
        change=lambda waveform, rt60_s, rng: add_reverb(waveform, rt60_s=rt60_s, wet=0.3, rng=rng),
    ),
    "tilt": Effect(
        title="Microphone",
        imitates="a dull or a shrill microphone",
        unit="dB per octave",
        least=0,
        most=6,
        change=lambda waveform, db, rng: tilt(waveform, db_per_octave=db * _either_way(rng)),
    ),
    "telephone": Effect(
        title="Telephone band",
        imitates="a telephone, with everything above cut off",
        unit="Hz at most",
        least=8000,
        most=3400,
        change=lambda waveform, high_hz, rng: limit_band(waveform, high_hz=min(high_hz, 0.49 * waveform.sample_rate)),
    ),
    "noise": Effect(
        title="Noise",
        imitates="a fan, a street, a full classroom",
        unit="dB signal-to-noise ratio",
        least=40,
        most=5,
        change=lambda waveform, snr_db, rng: add_noise(waveform, snr_db=snr_db, rng=rng),
    ),
    "chatter": Effect(
        title="Chatter",
        imitates="others who speak at once",
        unit="dB signal-to-noise ratio",
        least=40,
        most=5,
        change=lambda waveform, snr_db, rng: add_chatter(waveform, snr_db=snr_db, rng=rng),
    ),
    "gain": Effect(
        title="Gain",
        imitates="closer to the microphone, or further away",
        unit="dB louder or softer",
        least=0,
        most=12,
        change=lambda waveform, db, rng: change_level(waveform, gain_db=db * _either_way(rng)),
    ),
}
"""The effects by name, in the order in which they are applied: the voice, the room, the microphone and the line."""


def check_effects(effects: Mapping[str, float]) -> None:
    """Raise ConfigError unless `effects` maps names of EFFECTS to strengths of 0..1."""
    for name, strength in effects.items():
        if name not in EFFECTS:
            raise ConfigError(f"There is no effect '{name}'. Choose from {', '.join(EFFECTS)}.")
        if isinstance(strength, bool) or not isinstance(strength, int | float) or not 0 <= strength <= 1:
            raise ConfigError(f"The strength of '{name}' must be a number from 0 to 1. Got {strength!r}.")


def chain(
    waveform: Waveform,
    *,
    strength: float = 1.0,
    effects: Mapping[str, float] | None = None,
    voices: Callable[[], Sequence[Waveform]] | None = None,
    rng: np.random.Generator,
) -> Waveform:
    """Return a random combination of changes.

    effects : name of EFFECTS -> its largest strength; each is drawn by chance, at least one of them always, and goes a random
        part of its way. None for the mix that the shipped models learned from: always another speed and microphone; often
        noise or other voices; sometimes a room or a telephone, where `strength` scales how far each goes, from 0 to 1.
    voices : called for the clips that babble is mixed from, at other speeds, where the mix draws it; None: chatter of the clip itself
        in place of it.
    """
    if effects is None:
        return _shipped_mix(waveform, strength, voices, rng)
    chosen = [name for name in EFFECTS if effects.get(name, 0) > 0]
    drawn = [name for name in chosen if rng.random() < DRAWN_SHARE]
    for name in drawn or ([chosen[int(rng.integers(len(chosen)))]] if chosen else []):
        waveform = EFFECTS[name].apply(waveform, float(rng.uniform(0, effects[name])), rng)
    return waveform


def _shipped_mix(
    waveform: Waveform,
    strength: float,
    voices: Callable[[], Sequence[Waveform]] | None,
    rng: np.random.Generator,
) -> Waveform:
    result = change_speed(waveform, factor=float(np.exp(rng.uniform(-0.12, 0.12) * strength)))
    result = tilt(result, db_per_octave=float(rng.uniform(-3, 3) * strength))
    if rng.random() < 0.3 * strength:
        result = add_reverb(result, rt60_s=float(rng.uniform(0.1, 0.8)), wet=float(rng.uniform(0.1, 0.5)), rng=rng)
    around = rng.random()
    if around < 0.3 * strength:
        result = add_noise(result, snr_db=float(rng.uniform(10, 35)), rng=rng)
    elif around < 0.55 * strength and (others := voices() if voices else ()):
        snr_db = float(rng.uniform(5, 20))
        others = [change_speed(each, factor=float(np.exp(rng.uniform(-0.25, 0.25)))) for each in others]
        result = add_sound(result, babble(len(result.samples), others, rng=rng), snr_db=snr_db)
    elif around < 0.5 * strength:
        result = add_chatter(result, snr_db=float(rng.uniform(5, 25)), rng=rng)
    if rng.random() < 0.15 * strength:
        result = limit_band(result)
    return result


def _padded(samples: np.ndarray) -> np.ndarray:
    """Return at least one frame of samples: silence is added to what is shorter."""
    return np.pad(samples, (0, max(STFT_SIZE - len(samples), 0)))


def _like(waveform: Waveform, samples: np.ndarray) -> Waveform:
    return Waveform(samples.astype(np.float32), waveform.sample_rate)
