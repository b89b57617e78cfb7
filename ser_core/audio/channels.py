"""Which channel of a recording is used: the mean where all agree, else the channel, or the difference, in which speech is best.

Speech is what swells and fades in many bands at once and is voiced while it is loud; hum, noise and tones are not. Nothing is measured
where a file has one channel, or channels that agree.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import scipy.fft
import soxr

from ser_core.errors import AudioError

MEAN, DIFFERENCE = "mean", "difference"

_RATE = 8_000
_FRAME, _HOP = 512, 160
_STRETCH_FRAMES = 250
"""Speech is looked for in stretches of 5 s, and the best quarter of them counts: people pause."""
_BANDS_HZ = (50, 150, 300, 450, 650, 900, 1200, 1600, 2100, 2800, 3800)
_PITCH_HZ = (70, 400)
_FLOOR_DB = 60.0
_MAX_RANGE_DB = 40.0
_SPEECH = 6.0
"""Score from which on a channel counts as speech."""
_MARGIN = 2.0
"""By so much a channel must be better than the mean to be taken."""
_ALIKE = 0.5
"""Correlation of two channels' envelopes from which on they hold one scene."""
_COHERENT = 0.4
"""Coherence of two channels from which on they do; that of two voices is 0.1 to 0.2, of a voice near and far in a room 0.6."""
_SILENT = 1e-6
"""A channel with less than this share of the loudest one's power is silent."""


@dataclass(frozen=True)
class Choice:
    """Which channel is used. weights: float32 (channels,), of the sum that is used; remark: a sentence where it is not the mean, else "".

    differs: the channels do not hold the same, so that another choice gives another answer.
    """

    name: str
    weights: np.ndarray
    remark: str = ""
    differs: bool = False


def name_of(channel: int, channels: int) -> str:
    """Return what a channel, counted from 0, is called: left, right, or its number from 1 on."""
    return ("left", "right")[channel] if channels == 2 else str(channel + 1)


def names(channels: int) -> tuple[str, ...]:
    """Return what can be chosen in a file of so many channels."""
    return (*(name_of(each, channels) for each in range(channels)), MEAN, *((DIFFERENCE,) if channels == 2 else ()))


def is_name(text: str) -> bool:
    """Whether a text may name a channel, in one file or another."""
    return text in ("left", "right", MEAN, DIFFERENCE) or (text.isascii() and text.isdecimal() and 1 <= int(text) <= 8)


def chosen(channel: str, channels: int, *, skip: frozenset[int], name: str) -> Choice:
    """Return the choice that somebody made: one of `names`, or a number from 1 on; skip: channels that never count for the mean.

    Raises
    ------
    AudioError : where the file has no such channel.
    """
    if channel == MEAN or (channel in ("left", "1") and channels == 1):
        return Choice(MEAN, _mean(channels, skip), "", channels > 1)
    number = {"left": 0, "right": 1}.get(channel, int(channel) - 1 if channel.isdecimal() else -1)
    if channel == DIFFERENCE and channels == 2:
        remark = "The difference of its two channels was used, as chosen."
        return Choice(DIFFERENCE, np.array([0.5, -0.5], np.float32), remark, True)
    if 0 <= number < channels and (channel.isdecimal() or channels == 2):
        called = name_of(number, channels)
        return Choice(
            called, np.eye(channels, dtype=np.float32)[number], f"{_title(called)} was used, as chosen.", True
        )
    there = "one channel" if channels == 1 else f"{channels} channels"
    raise AudioError(f"{name} has {there}, and no channel '{channel}'. Choose {', '.join(names(channels))}.")


def without_a_look(products: np.ndarray | None, channels: int, *, skip: frozenset[int]) -> Choice | None:
    """Return the choice where the channels' products, summed, (channels, channels), decide it; None where speech has to be looked for."""
    mean = Choice(MEAN, _mean(channels, skip), _no_bass(skip, channels))
    if channels == 1 or products is None:
        return mean
    power = products.diagonal()
    sounding = [each for each in range(channels) if each not in skip and power[each] > _SILENT * power.max()]
    if not sounding:
        return mean
    if len(sounding) == 1:
        (only,) = sounding
        called = name_of(only, channels)
        return Choice(
            called,
            np.eye(channels, dtype=np.float32)[only],
            f"{_title(called)} was used: the others are silent."
            if channels > 2
            else f"{_title(called)} was used: the other one is silent.",
        )
    some = products[np.ix_(sounding, sounding)]
    level = np.sqrt(some.diagonal())
    alike = some / np.outer(level, level)
    if alike.min() > 0.95 and level.max() < 4 * level.min():
        return mean
    return None


class Listener:
    """Sound of several channels that is pushed block by block, float (n, channels); `choose` says what is best in it."""

    def __init__(self, rate: int, channels: int, *, skip: frozenset[int] = frozenset()) -> None:
        self._skip = skip
        self._channels = channels
        rows: list[tuple[str, np.ndarray]] = [(MEAN, _mean(channels, skip))]
        if channels == 2:
            rows.append((DIFFERENCE, np.array([0.5, -0.5], np.float32)))
        if channels > 1:
            eye = np.eye(channels, dtype=np.float32)
            rows += [(name_of(each, channels), eye[each]) for each in range(channels) if each not in skip]
        self._names = [name for name, _ in rows]
        self._weights = np.stack([weights for _, weights in rows])
        self._resample = soxr.ResampleStream(rate, _RATE, channels, dtype="float32", quality="LQ")
        self._rest = np.zeros((_FRAME, channels), np.float32)[:0]
        self._bands: list[np.ndarray] = []
        self._voicing: list[np.ndarray] = []
        self._cross = np.zeros((1, 1, 1), np.complex128)
        edges = np.searchsorted(np.fft.rfftfreq(_FRAME, 1 / _RATE), _BANDS_HZ)
        self._edges = list(itertools.pairwise(edges))
        self._window = np.hanning(_FRAME).astype(np.float32)[:, np.newaxis]

    def push(self, block: np.ndarray, *, last: bool = False) -> None:
        """Take some sound; `last`: there is no more."""
        samples = self._resample.resample_chunk(
            np.ascontiguousarray(block, dtype=np.float32).reshape(-1, self._channels), last=last
        )
        self._rest = np.concatenate([self._rest, samples.reshape(-1, self._channels)])
        n = (len(self._rest) - _FRAME) // _HOP + 1
        if n > 0:
            frames = np.lib.stride_tricks.sliding_window_view(self._rest, _FRAME, axis=0)[: n * _HOP : _HOP]
            for some in np.array_split(frames, -(-n // 256)):
                self._look(some.transpose(0, 2, 1))
            self._rest = self._rest[n * _HOP :]

    def _look(self, frames: np.ndarray) -> None:
        spectrum = scipy.fft.rfft(frames * self._window, axis=1)
        self._cross = self._cross + np.einsum("nbi,nbj->bij", spectrum, spectrum.conj())
        power = np.abs(spectrum @ self._weights.T.astype(spectrum.dtype)) ** 2
        self._bands.append(np.stack([power[:, low:high].sum(axis=1) for low, high in self._edges], axis=-1))
        inside = power.copy()
        inside[:, : self._edges[1][0]] = 0  # hum and rumble are periodic too
        lags = scipy.fft.irfft(inside, axis=1)
        first, stop = _RATE // _PITCH_HZ[1], _RATE // _PITCH_HZ[0]
        self._voicing.append(lags[:, first:stop].max(axis=1) / np.maximum(lags[:, 0], 1e-20))

    def scores(self) -> np.ndarray:
        """Return how much speech stands above the rest, in dB, (candidates,): the mean, the difference, then the channels."""
        self.push(np.zeros((0, self._channels), np.float32), last=True)
        if not self._bands:
            return np.zeros(len(self._names))
        self._levels = np.concatenate(self._bands)
        power = self._levels
        floor = power.max(axis=(0, 1), initial=1e-12).max() * 10 ** (-_FLOOR_DB / 10)
        level = 10 * np.log10(np.maximum(power, max(floor, 1e-12)))
        voicing = np.concatenate(self._voicing)
        n_stretches = max(round(len(level) / _STRETCH_FRAMES), 1)
        stretches = zip(np.array_split(level, n_stretches), np.array_split(voicing, n_stretches), strict=True)
        scores = np.sort([_score(*stretch) for stretch in stretches], axis=0)
        best: np.ndarray = scores[-max(n_stretches // 4, 1) :].mean(axis=0)
        return best

    def _alike(self) -> np.ndarray:
        """Return how far channels hold one scene, (channels, channels) without the bass: the lower of two measures from 0 to 1.

        They swell at the same moments, and one is the other, filtered (coherence): two people may speak the same words in chorus.
        """
        count = len(self._names) - self._channels + len(self._skip)
        kept = [each for each in range(self._channels) if each not in self._skip]
        with np.errstate(invalid="ignore", divide="ignore"):
            envelopes = np.corrcoef(np.sqrt(self._levels[:, count:].sum(axis=2)).T)
            cross = self._cross[self._edges[1][0] : self._edges[-1][1]][:, kept][:, :, kept]
            power = np.sqrt(np.real(np.diagonal(cross, axis1=1, axis2=2)))
            coherence = np.abs(cross).sum(axis=0) / (power[:, :, np.newaxis] * power[:, np.newaxis]).sum(axis=0)
        alike: np.ndarray = np.nan_to_num(np.minimum(np.atleast_2d(envelopes), coherence / _COHERENT * _ALIKE))
        return alike

    def choose(self, products: np.ndarray) -> Choice:
        """Return the best channel, and why where it is not the mean; products: of the channels, summed, (channels, channels)."""
        scores = self.scores()
        n = len(self._names) - self._channels + len(self._skip)
        envelopes = np.sqrt(self._levels[:, n:].sum(axis=2))
        alike = self._alike()
        best = n + int(np.argmax(scores[n:] > scores[n:].max() - _MARGIN))
        with_speech = [
            each for each in range(len(scores) - n) if scores[n + each] >= max(_SPEECH, scores[n:].max() / 2)
        ]
        apart = [each for each in with_speech if alike[best - n, each] < _ALIKE]
        if apart and scores[best] >= _SPEECH:
            remark = (
                f"Its channels hold different voices. {_title(self._names[best])} was used; "
                f"choose {self._names[n + apart[0]]} to analyse the other one."
            )
            return Choice(self._names[best], self._weights[best], remark, True)
        loud = envelopes.max(axis=0) > 0.01 * envelopes.max()
        foreign = ((alike[best - n] < _ALIKE) & loud).any()  # a sound without speech, which the mean would let in
        top = int(scores.argmax())
        if scores[top] > scores[best] + _MARGIN:
            best = top
        if scores[best] < _SPEECH or (not foreign and scores[best] <= scores[0] + _MARGIN):
            return self._loudest_of_cancelled(products)
        called = self._names[best]
        if called == MEAN:
            return self._loudest_of_cancelled(products)
        if called == DIFFERENCE:
            remark = "The difference of its two channels was used: the voice is in opposite phase in them."
        else:
            remark = f"{_title(called)} was used: speech is clearest in it."
        return Choice(called, self._weights[best], remark, True)

    def _loudest_of_cancelled(self, products: np.ndarray) -> Choice:
        """Return the mean; the loudest channel where the mean has less than 1 % of the channels' power."""
        power = products.diagonal()
        mean = self._weights[0].astype(np.float64)
        if mean @ products @ mean >= 0.01 * power.mean():
            return Choice(MEAN, self._weights[0], _no_bass(self._skip, self._channels), True)
        loudest = int(power.argmax())
        called = name_of(loudest, self._channels)
        remark = f"{_title(called)} was used: the channels cancel out."
        return Choice(called, np.eye(self._channels, dtype=np.float32)[loudest], remark, True)

    def speech_score(self) -> float:
        """Return the best score where it is that of speech, else 0."""
        best = float(self.scores().max())
        return best if best >= _SPEECH else 0.0


def _score(level: np.ndarray, voicing: np.ndarray) -> np.ndarray:
    """Return the scores of a stretch of some seconds, from levels in dB (n, candidates, bands) and voicing (n, candidates)."""
    high, low = np.percentile(level, (90, 15), axis=0)
    ranges = np.clip(high - low, 0, _MAX_RANGE_DB).mean(axis=1)
    total = level.max(axis=2)
    loud = total > total.max(axis=0) - 20
    voiced = ((voicing > 0.45) & loud).sum(axis=0) / np.maximum(loud.sum(axis=0), 1)
    scores: np.ndarray = np.clip(ranges - 4, 0, None) * np.clip(voiced / 0.3, 0, 1)
    return scores


def _mean(channels: int, skip: frozenset[int]) -> np.ndarray:
    if not skip or len(skip) >= channels:
        return np.full(channels, 1 / channels, np.float32)
    weights = np.full(channels, 1 / (channels - len(skip)), np.float32)
    weights[sorted(skip)] = 0
    return weights


def _title(channel: str) -> str:
    return f"Channel {channel}" if channel.isdecimal() else f"The {channel} channel"


def _no_bass(skip: frozenset[int], channels: int) -> str:
    return "Its bass channel (LFE) was left out of the mean." if skip and len(skip) < channels else ""
