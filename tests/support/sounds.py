"""Sounds made from formulas: a voice, a whisper, and what is no speech, such as instruments, alarms, machines, animals and noises."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.signal

from tests.support.signals import RATE

SECONDS = 4.0
N = int(SECONDS * RATE)
TIME = np.arange(N) / RATE


def _rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def _level(samples: np.ndarray, rms: float = 0.1) -> np.ndarray:
    scaled: np.ndarray = samples * rms / max(float(np.sqrt(np.mean(samples**2))), 1e-9)
    return np.clip(scaled, -0.99, 0.99)


def _sweep(frequency_hz: np.ndarray, overtones: tuple[float, ...] = (1.0,)) -> np.ndarray:
    """Return a sound of changing frequency, (n,), with overtones of these amplitudes."""
    phase = 2 * np.pi * np.cumsum(frequency_hz) / RATE
    return np.asarray(sum(a * np.sin((k + 1) * phase) for k, a in enumerate(overtones)))


def string(frequency_hz: float, seconds: float, *, seed: int = 0, damping: float = 0.996) -> np.ndarray:
    """Return a plucked string (Karplus and Strong 1983): noise that runs through a delay and is averaged on each turn."""
    n, period = int(seconds * RATE), max(int(RATE / frequency_hz), 2)
    excitation = np.zeros(n)
    excitation[:period] = _rng(seed).uniform(-1, 1, min(period, n))[:n]
    feedback = np.zeros(period + 2)
    feedback[0], feedback[period], feedback[period + 1] = 1.0, -damping / 2, -damping / 2
    plucked: np.ndarray = scipy.signal.lfilter([1.0], feedback, excitation)
    return plucked


def _sequence(events: list[tuple[float, np.ndarray]]) -> np.ndarray:
    """Return sounds, each from its second on."""
    mixed = np.zeros(N)
    for start_s, sound in events:
        at = int(start_s * RATE)
        stop = min(at + len(sound), N)
        mixed[at:stop] += sound[: stop - at]
    return mixed


def _note(
    frequency_hz: float, seconds: float, *, overtones: tuple[float, ...], attack_s: float, decay_s: float
) -> np.ndarray:
    time = np.arange(int(seconds * RATE)) / RATE
    wave = sum(a * np.sin(2 * np.pi * frequency_hz * (k + 1) * time) for k, a in enumerate(overtones))
    return np.asarray(
        wave * np.minimum(time / attack_s, 1) * np.exp(-time / decay_s) * np.minimum((seconds - time) / 0.02, 1)
    )


def _scale(root_hz: float, steps: tuple[int, ...]) -> list[float]:
    return [root_hz * 2 ** (step / 12) for step in steps]


_MAJOR = (0, 2, 4, 5, 7, 9, 11, 12)
_FLUTE = (1.0, 0.2, 0.05)
_PIANO = (1.0, 0.6, 0.35, 0.2, 0.12, 0.08)
_ORGAN = (1.0, 0.8, 0.6, 0.5, 0.4, 0.3, 0.3, 0.2)
_BRASS = (1.0, 0.9, 0.8, 0.7, 0.55, 0.4, 0.3, 0.25, 0.2, 0.15)


def _melody(
    overtones: tuple[float, ...], *, root_hz: float, every_s: float, attack_s: float, decay_s: float, seed: int
) -> np.ndarray:
    steps = _rng(seed).choice(_MAJOR, int(SECONDS / every_s))
    notes = [
        _note(frequency, every_s, overtones=overtones, attack_s=attack_s, decay_s=decay_s)
        for frequency in _scale(root_hz, tuple(int(step) for step in steps))
    ]
    return _sequence([(k * every_s, note) for k, note in enumerate(notes)])


def _plucked_melody(root_hz: float, every_s: float, seed: int) -> np.ndarray:
    steps = _rng(seed).choice(_MAJOR, int(SECONDS / every_s))
    tones = _scale(root_hz, tuple(int(step) for step in steps))
    return _sequence([(k * every_s, string(tone, 1.5, seed=seed + k)) for k, tone in enumerate(tones)])


def _chord(root_hz: float, steps: tuple[int, ...], overtones: tuple[float, ...]) -> np.ndarray:
    return np.asarray(sum(_sweep(np.full(N, each), overtones) for each in _scale(root_hz, steps)))


def _noise(seed: int, exponent: float = 0.0) -> np.ndarray:
    spectrum = np.fft.rfft(_rng(seed).standard_normal(N))
    spectrum[0] = 0
    spectrum[1:] *= np.arange(1, len(spectrum)) ** (-exponent / 2)
    return np.fft.irfft(spectrum, N)


def _band(seed: int, low_hz: float, high_hz: float) -> np.ndarray:
    sections = scipy.signal.butter(4, (low_hz, high_hz), "bandpass", fs=RATE, output="sos")
    return np.asarray(scipy.signal.sosfilt(sections, _rng(seed).standard_normal(N)))


def _bell(frequency_hz: float, seconds: float) -> np.ndarray:
    """Return a bell: partials that are no multiples of one another, the higher the shorter."""
    time = np.arange(int(seconds * RATE)) / RATE
    partials = ((0.5, 1.0), (1.0, 0.9), (1.19, 0.8), (1.5, 0.6), (2.0, 0.7), (2.51, 0.4), (3.01, 0.3), (4.1, 0.2))
    return np.asarray(
        sum(a * np.sin(2 * np.pi * frequency_hz * r * time) * np.exp(-time * r * 1.5) for r, a in partials)
    )


def _drum(frequency_hz: float, seed: int, *, snare: float) -> np.ndarray:
    time = np.arange(int(0.4 * RATE)) / RATE
    body = np.sin(2 * np.pi * frequency_hz * (time + 0.03 * (1 - np.exp(-time / 0.03))))
    return np.asarray(
        body * np.exp(-time / 0.08) + snare * _rng(seed).standard_normal(len(time)) * np.exp(-time / 0.05)
    )


def _drums(every_s: float, snare: float) -> np.ndarray:
    return _sequence(
        [(k * every_s, _drum(60 + 90 * (k % 2), k, snare=snare * (k % 2))) for k in range(int(SECONDS / every_s))]
    )


def _engine(rate_hz: float, seed: int) -> np.ndarray:
    """Return ignitions at a wandering rate, through the resonances of a pipe."""
    wander = rate_hz * (
        1 + 0.05 * np.sin(2 * np.pi * 0.5 * TIME) + 0.02 * np.cumsum(_rng(seed).standard_normal(N)) / np.sqrt(N)
    )
    fired = np.diff(np.floor(np.cumsum(wander) / RATE), prepend=0.0) * _rng(seed).uniform(0.7, 1.0, N)
    heard = sum(
        scipy.signal.lfilter([1.0], [1, -2 * 0.98 * np.cos(2 * np.pi * f / RATE), 0.98**2], fired)
        for f in (90, 240, 600)
    )
    return np.asarray(heard + 0.05 * np.std(heard) * _noise(seed) / np.std(_noise(seed)))


def _birds(seed: int, low_hz: float, high_hz: float, chirp_s: float) -> np.ndarray:
    rng = _rng(seed)
    events, at = [], 0.1
    while at < SECONDS - chirp_s:
        n = int(chirp_s * RATE)
        track = np.linspace(rng.uniform(low_hz, high_hz), rng.uniform(low_hz, high_hz), n) * (
            1 + 0.03 * np.sin(2 * np.pi * 30 * np.arange(n) / RATE)
        )
        events.append((at, _sweep(track) * np.hanning(n)))
        at += chirp_s + rng.uniform(0.02, 0.25)
    return _sequence(events)


def _clicks(every_s: float) -> np.ndarray:
    clicks = np.zeros(N)
    clicks[:: int(every_s * RATE)] = 1.0
    return scipy.signal.lfilter([1.0], [1, -1.2, 0.8], clicks)


def _crickets() -> np.ndarray:
    return np.sin(2 * np.pi * 4300 * TIME) * (np.sin(2 * np.pi * 30 * TIME) > 0) * (np.sin(2 * np.pi * 2.5 * TIME) > 0)


def _telephone() -> np.ndarray:
    return (np.sin(2 * np.pi * 440 * TIME) + np.sin(2 * np.pi * 480 * TIME)) * (TIME % 2 < 1.2)


def _dial() -> np.ndarray:
    low, high = (697, 770, 852, 941), (1209, 1336, 1477)
    keys = [(low[k % 4], high[k % 3]) for k in range(13)]
    time = np.arange(int(0.2 * RATE)) / RATE
    return _sequence(
        [(0.3 * k, np.sin(2 * np.pi * a * time) + np.sin(2 * np.pi * b * time)) for k, (a, b) in enumerate(keys)]
    )


def _rain(seed: int) -> np.ndarray:
    drops = (_rng(seed).random(N) < 0.002) * _rng(seed).standard_normal(N)
    return scipy.signal.lfilter([1.0], [1, -1.5, 0.9], drops) + 0.02 * _noise(seed)


def _footsteps(seed: int) -> np.ndarray:
    time = np.arange(int(0.15 * RATE)) / RATE
    sections = scipy.signal.butter(2, 400, fs=RATE, output="sos")
    return _sequence(
        [
            (
                0.55 * k + 0.1,
                scipy.signal.sosfilt(sections, _rng(seed + k).standard_normal(len(time))) * np.exp(-time / 0.03),
            )
            for k in range(7)
        ]
    )


def _applause(seed: int) -> np.ndarray:
    return _band(seed, 500, 5000) * (0.5 + 0.5 * (_rng(seed).random(N) < 0.01))


_VOWELS = np.array([(730, 1090, 2440), (270, 2290, 3010), (570, 840, 2410), (530, 1840, 2480), (300, 870, 2240)], float)
"""Formants of a, i, o, e and u in Hz."""


def voice(
    n_syllables: int = 8,
    *,
    f0_hz: tuple[float, float] = (180.0, 120.0),
    pause_s: float = 0.5,
    rms: float = 0.05,
) -> np.ndarray:
    """Return syllables of 0.25 s that swell and fade, vowels that pass into one another at a gliding pitch, between two pauses."""
    n = int(0.25 * RATE)
    f0 = np.linspace(*f0_hz, n * n_syllables)
    phase = 2 * np.pi * np.cumsum(f0) / RATE
    syllable = np.arange(n * n_syllables) / n - 0.5
    vowels = _VOWELS[np.arange(n_syllables) % len(_VOWELS)]
    formants = [np.interp(syllable, np.arange(n_syllables), vowels[:, k]) for k in range(3)]
    spoken = np.zeros(len(f0))
    for k in range(1, 60):
        gain = 0.01 + sum(
            peak / (1 + ((k * f0 - formant) / width) ** 2)
            for formant, peak, width in zip(formants, (1.0, 0.5, 0.25), (60.0, 90.0, 120.0), strict=True)
        )
        spoken += np.sin(k * phase) * gain * (k * f0 < 7500) / k**0.3
    spoken *= np.tile(0.1 + 0.9 * np.hanning(n) ** 0.7, n_syllables)
    return np.pad(spoken * rms / np.sqrt(np.mean(spoken**2)), int(pause_s * RATE))


def whisper(seed: int) -> np.ndarray:
    """Return whispered syllables: noise through formants that move, four of them a second, with pauses between."""
    rng = _rng(seed)
    events = []
    for k in range(int((SECONDS - 0.6) / 0.24)):
        n = int(0.2 * RATE)
        breath = rng.standard_normal(n)
        formants = _VOWELS[int(rng.integers(len(_VOWELS)))]
        spoken = np.zeros(n)
        for frequency, width in zip(formants, (120, 150, 200), strict=True):
            r = np.exp(-np.pi * width / RATE)
            spoken += scipy.signal.lfilter([1 - r], [1, -2 * r * np.cos(2 * np.pi * frequency / RATE), r * r], breath)
        events.append((0.3 + 0.24 * k, (spoken + 0.02 * np.diff(breath, prepend=0.0)) * np.hanning(n) ** 0.7))
    return _level(_sequence(events), 0.02) + 1e-5 * rng.standard_normal(N)


NOT_SPEECH: dict[str, Callable[[], np.ndarray]] = {
    "one plucked string, low": lambda: string(110, SECONDS, damping=0.999),
    "one plucked string, high": lambda: string(330, SECONDS, damping=0.999),
    "plucked strings, slow": lambda: _plucked_melody(196, 0.5, 1),
    "plucked strings, fast": lambda: _plucked_melody(147, 0.2, 2),
    "plucked bass": lambda: _plucked_melody(65, 0.33, 3),
    "strummed chords": lambda: _sequence(
        [
            (s + 0.02 * k, string(f, 1.2, seed=k))
            for s in (0, 1, 2, 3)
            for k, f in enumerate(_scale(110, (0, 7, 12, 16, 19)))
        ]
    ),
    "organ chord": lambda: _chord(220, (0, 4, 7), _ORGAN),
    "minor chord of sines": lambda: _chord(262, (0, 3, 7), (1.0,)),
    "brass chord": lambda: _chord(175, (0, 4, 7, 10), _BRASS),
    "chords in turn": lambda: _sequence(
        [
            (
                k * 1.0,
                sum(
                    _note(f, 1.0, overtones=_PIANO, attack_s=0.01, decay_s=0.6)
                    for f in _scale(196 * 2 ** (r / 12), (0, 4, 7))
                ),
            )
            for k, r in enumerate((0, 5, 7, 0))
        ]
    ),
    "chord that throbs": lambda: _chord(220, (0, 4, 7), _ORGAN) * (0.6 + 0.4 * np.sin(2 * np.pi * 5 * TIME)),
    "piano melody": lambda: _melody(_PIANO, root_hz=262, every_s=0.4, attack_s=0.005, decay_s=0.3, seed=4),
    "piano melody, fast": lambda: _melody(_PIANO, root_hz=196, every_s=0.15, attack_s=0.005, decay_s=0.2, seed=5),
    "flute melody": lambda: _melody(_FLUTE, root_hz=440, every_s=0.35, attack_s=0.05, decay_s=9, seed=6),
    "brass melody": lambda: _melody(_BRASS, root_hz=175, every_s=0.3, attack_s=0.04, decay_s=9, seed=7),
    "organ melody": lambda: _melody(_ORGAN, root_hz=131, every_s=0.25, attack_s=0.02, decay_s=9, seed=8),
    "violin with vibrato": lambda: _sweep(294 * (1 + 0.012 * np.sin(2 * np.pi * 5.5 * TIME)), _BRASS),
    "scale of sawtooths": lambda: _sequence(
        [
            (0.5 * k, scipy.signal.sawtooth(2 * np.pi * f * np.arange(RATE // 2) / RATE))
            for k, f in enumerate(_scale(131, _MAJOR))
        ]
    ),
    "music and drums": lambda: _level(_plucked_melody(196, 0.25, 9)) + 0.7 * _level(_drums(0.5, 0.5)),
    "siren, slow": lambda: _sweep(700 + 300 * np.sin(2 * np.pi * 0.5 * TIME), _ORGAN),
    "siren, yelp": lambda: _sweep(900 + 400 * scipy.signal.sawtooth(2 * np.pi * 3 * TIME), _FLUTE),
    "siren, two tones": lambda: _sweep(np.where(TIME % 1 < 0.5, 440, 585), _BRASS),
    "siren, low wail": lambda: _sweep(350 + 130 * np.sin(2 * np.pi * 0.4 * TIME), _BRASS),
    "air-raid siren": lambda: _sweep(np.clip(150 + 120 * TIME, 150, 450), _ORGAN),
    "alarm that beeps": lambda: np.sin(2 * np.pi * 1000 * TIME) * (TIME % 0.5 < 0.25),
    "car horn": lambda: (_sweep(np.full(N, 420.0), _BRASS) + _sweep(np.full(N, 500.0), _BRASS)) * (TIME % 1.3 < 0.9),
    "telephone": _telephone,
    "telephone keys": _dial,
    "church bell": lambda: _sequence([(0, _bell(220, 2)), (2, _bell(220, 2))]),
    "small bells": lambda: _sequence([(0.4 * k, _bell(f, 1.0)) for k, f in enumerate(_scale(660, _MAJOR))]),
    "drums": lambda: _drums(0.25, 0.6),
    "tom-toms": lambda: _sequence([(0.2 * k, _drum(90 + 25 * (k % 4), k, snare=0.02)) for k in range(19)]),
    "engine, idle": lambda: _engine(25, 10),
    "engine, fast": lambda: _engine(110, 11),
    "mains hum": lambda: _sweep(np.full(N, 100.0), _ORGAN) + 0.02 * _noise(12),
    "whistle": lambda: _sweep(1200 + 300 * np.sin(2 * np.pi * 0.7 * TIME) + 15 * np.sin(2 * np.pi * 6 * TIME)),
    "whistled tune": lambda: _melody((1.0, 0.02), root_hz=880, every_s=0.3, attack_s=0.04, decay_s=9, seed=13),
    "birdsong": lambda: _birds(14, 2500, 5500, 0.12),
    "owl": lambda: _sequence(
        [(0.2 + 0.9 * k, _sweep(380 - 40 * np.linspace(0, 1, 8000) ** 2, _FLUTE) * np.hanning(8000)) for k in range(4)]
    ),
    "crickets": _crickets,
    "clicks": lambda: _clicks(0.2),
    "clicks, fast": lambda: _clicks(0.008),
    "white noise": lambda: _noise(15),
    "pink noise": lambda: _noise(16, 1.0),
    "brown noise": lambda: _noise(17, 2.0),
    "noise in a band": lambda: _band(18, 300, 3000),
    "noise that throbs": lambda: _noise(19, 1.0) * (0.55 + 0.45 * np.sin(2 * np.pi * 4 * TIME)),
    "wind": lambda: _band(20, 80, 500) * (1 + 0.6 * np.sin(2 * np.pi * 0.6 * TIME)),
    "rain": lambda: _rain(21),
    "footsteps": lambda: _footsteps(22),
    "applause": lambda: _applause(23),
    "game tune of squares": lambda: _sequence(
        [
            (0.12 * k, scipy.signal.square(2 * np.pi * f * np.arange(int(0.11 * RATE)) / RATE))
            for k, f in enumerate(_scale(220, tuple(int(s) for s in _rng(24).choice(_MAJOR, 32))))
        ]
    ),
}
"""Name -> samples of 4 s before they are brought to one level: see `not_speech`."""


def not_speech(name: str) -> np.ndarray:
    """Return one of NOT_SPEECH at an ordinary level, float32 (n,)."""
    return _level(NOT_SPEECH[name]()).astype(np.float32)
