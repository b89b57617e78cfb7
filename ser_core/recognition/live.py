"""Sound that arrives in real time: what is kept of it, its windows as they fill, and what the models predict for each.

A Listener is plain Python: one thread delivers sound, one predicts, others read at any time. Each window is handled as one of a file is
(timeline.WindowPredictor). Where the sound comes from and how it is drawn are the pages' business.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ser_core.audio.waveform import SAMPLE_RATE, Resampler, Waveform, encode_pcm, from_pcm, to_pcm
from ser_core.errors import SerError
from ser_core.features import quality
from ser_core.features.quality import Quality
from ser_core.recognition import analysis, timeline
from ser_core.recognition.recognizer import Prediction
from ser_core.recognition.timeline import Segment, Timeline, WindowPredictor

HOP_S = 0.5
KEEP_S = 600.0
"""Seconds of a session's sound that are kept: its last ten minutes, 19 MB."""

SHORTEST_S = 1.0
"""The first windows are as long as the sound so far; shorter ones than this are not informative."""

MAX_LATE = 3
"""Windows that may wait; more are skipped, so that the display stays current."""

SILENT_S = 60.0
"""A session without new sound for so long is no longer followed."""

METER_S = 0.3
CLIP_SHOWN_S = 2.0
_FULL_SCALE = round(0.985 * 2**15)


@dataclass(frozen=True)
class Moment:
    """A window of a stream: its time (seconds since the start), its quality, and one prediction per model where there is speech.

    speaking: whether there is speech in its last hop; level_dbfs: the root mean square of that hop, in dB re full scale.
    """

    start_s: float
    end_s: float
    quality: Quality
    predictions: tuple[Prediction, ...]
    speaking: bool
    level_dbfs: float

    @property
    def speech(self) -> bool:
        """Whether there is speech in the window."""
        return self.quality.has_speech


@dataclass(frozen=True)
class Level:
    """The current level: root mean square and peak of the last moments in dB re full scale, and whether it just clipped."""

    rms_dbfs: float
    peak_dbfs: float
    clipped: bool


class Listener:
    """One session of listening.

    Windows of window_s end every hop_s. The source of sound calls `take`, which never blocks, and another thread runs `follow`, which
    predicts the windows as they fill. Everything may be called from any thread at any time.
    """

    def __init__(
        self,
        predict_window: WindowPredictor,
        *,
        window_s: float = timeline.WINDOW_S,
        hop_s: float = HOP_S,
        keep_s: float = KEEP_S,
    ) -> None:
        timeline.check_windows(window_s, hop_s)
        self.window_s, self.hop_s = window_s, hop_s
        self.n_skipped = 0
        self.closed = False
        self._predict_window: WindowPredictor | None = predict_window
        self._rate = SAMPLE_RATE
        self._ring = np.zeros(round(keep_s * self._rate), np.int16)
        self._n = 0  # samples since the start, kept or not
        self._next_end = max(round(hop_s * self._rate), 1)
        self._moments: deque[Moment] = deque(maxlen=round(keep_s / hop_s))
        self._latest: analysis.Analysis | None = None
        self._is_logged = False
        self._clipped_at = -(10**9)
        self._resampler: Resampler | None = None
        self._source_rate = 0
        self._lock = threading.RLock()
        self._arriving, self._predicting = threading.Lock(), threading.Lock()
        self._arrived = threading.Event()

    def take(self, samples: np.ndarray, sample_rate: int) -> None:
        """Add sound, int16 (n,) or (n, channels). Ignored once the session is closed."""
        if not len(samples):
            return
        with self._arriving:
            if not self.closed:
                self._take(samples, sample_rate)
        self._arrived.set()

    def predict(self) -> None:
        """Predict the windows that are full; only the last MAX_LATE of them."""
        with self._predicting:
            self._predict_full_windows()

    def follow(self) -> None:
        """Predict windows as they fill, until the session is closed or no sound has come for SILENT_S."""
        while not self.closed and self._arrived.wait(SILENT_S):
            self._arrived.clear()
            self.predict()
        self.predict()

    def forget_predictor(self) -> None:
        """Let go of what predicts: windows that are not predicted yet are left out; what was heard stays."""
        self._predict_window = None

    @property
    def n_waiting(self) -> int:
        """How many full windows are not finished yet, with the one that is being processed."""
        return max((self._n - self._next_end) // round(self.hop_s * self._rate) + 1, 0)

    def _take(self, samples: np.ndarray, sample_rate: int) -> None:
        if self._resampler is None or sample_rate != self._source_rate:
            self._resampler, self._source_rate = Resampler(sample_rate, self._rate), sample_rate
        mono = from_pcm(samples) if samples.ndim == 1 else from_pcm(samples).mean(axis=1)
        fresh = to_pcm(self._resampler.push(mono))
        with self._lock:
            if int(np.abs(samples.astype(np.int32)).max()) >= _FULL_SCALE:
                self._clipped_at = self._n + len(fresh)
            self._store(fresh)

    def _store(self, fresh: np.ndarray) -> None:
        fresh_kept = fresh[-len(self._ring) :]
        places = (self._n + len(fresh) - len(fresh_kept) + np.arange(len(fresh_kept))) % len(self._ring)
        self._ring[places] = fresh_kept
        self._n += len(fresh)

    def _predict_full_windows(self) -> None:
        hop, window = round(self.hop_s * self._rate), round(self.window_s * self._rate)
        while n_due := self.n_waiting:
            if n_due > MAX_LATE:
                self.n_skipped += n_due - MAX_LATE
                self._next_end += (n_due - MAX_LATE) * hop
            try:
                self._predict_at(max(self._next_end - window, 0), self._next_end, hop)
            finally:
                self._next_end += hop

    def _predict_at(self, start: int, end: int, hop: int) -> None:
        if end - start < round(min(SHORTEST_S, self.window_s) * self._rate):
            return
        predict_window = self._predict_window
        if predict_window is None or start < self._n - len(self._ring):  # more came at once than is kept
            self.n_skipped += 1
            return
        waveform = Waveform(from_pcm(self.samples(start, end)), self._rate)
        try:
            measured, predictions = predict_window(waveform)
        except (SerError, RuntimeError):  # the next one may succeed, and the sound is kept
            self.n_skipped += 1
            if not self._is_logged:
                logging.getLogger(__name__).exception("A window of a live session was left out")
            self._is_logged = True
            return
        last = measured.features.times_s >= (end - hop - start) / self._rate
        moment = Moment(
            start / self._rate,
            end / self._rate,
            measured.quality,
            tuple(predictions),
            speaking=bool(quality.speech(measured.features, measured.quality)[last].any()),
            level_dbfs=_decibels(waveform.samples[-hop:]),
        )
        with self._lock:
            self._moments.append(moment)
            self._latest = measured

    def close(self) -> None:
        """End the session: what the resampler still holds is kept, and no more sound is taken."""
        with self._arriving:
            if not self.closed and self._resampler is not None:
                rest = to_pcm(self._resampler.push(np.zeros(0, np.float32), last=True))
                with self._lock:
                    self._store(rest)
            self.closed = True
        self._arrived.set()

    @property
    def n_moments(self) -> int:
        """How many hops are finished; it changes with each moment, also when old ones are dropped."""
        with self._lock:
            return round(self._moments[-1].end_s / self.hop_s) if self._moments else 0

    @property
    def duration_s(self) -> float:
        """How long it has listened."""
        return self._n / self._rate

    @property
    def kept_from_s(self) -> float:
        """Start of the kept sound, in seconds since the start of the session."""
        return max(self._n - len(self._ring), 0) / self._rate

    def moments(self, last_s: float | None = None) -> list[Moment]:
        """Return the moments of the last seconds, or all that are kept, oldest first."""
        with self._lock:
            found = list(self._moments)
        return found if last_s is None else [each for each in found if each.end_s > self.duration_s - last_s]

    @property
    def latest(self) -> analysis.Analysis | None:
        """The analysis of the latest window."""
        return self._latest

    def samples(self, start: int, end: int) -> np.ndarray:
        """Return kept sound, int16 (end - start,), by its place since the start; raises ValueError where it is not kept."""
        with self._lock:
            if not self._n - len(self._ring) <= start <= end <= self._n:
                raise ValueError(
                    f"Samples {start} to {end} are not kept; {max(self._n - len(self._ring), 0)} to {self._n} are."
                )
            return self._ring[np.arange(start, end) % len(self._ring)]

    def level(self) -> Level:
        """Return the current level."""
        with self._lock:
            n = self._n
            recent = from_pcm(self.samples(max(n - round(METER_S * self._rate), n - len(self._ring), 0), n))
        if not len(recent):
            return Level(-100.0, -100.0, False)
        clipped = n - self._clipped_at < CLIP_SHOWN_S * self._rate
        return Level(_decibels(recent), 20 * float(np.log10(max(np.abs(recent).max(), 1e-5))), clipped)

    def sound(self) -> bytes:
        """Return all kept sound as a WAV of 16 bits: exactly the samples that the models were given."""
        return encode_pcm(self._kept(), self._rate)

    def _kept(self) -> np.ndarray:
        with self._lock:
            return self.samples(max(self._n - len(self._ring), 0), self._n)

    def timeline(self) -> Timeline | None:
        """Return the kept sound as a timeline, times from where it begins; None where no window was full."""
        with self._lock:
            from_s, kept = self.kept_from_s, from_pcm(self._kept())
            found = [each for each in self.moments() if each.start_s >= from_s - 1e-9]
        if not found:
            return None
        duration_s = len(kept) / self._rate
        apart = [each for k, each in enumerate(found) if k % max(round(self.window_s / self.hop_s), 1) == 0]
        speaking = [(each.end_s - self.hop_s - from_s, each.end_s - from_s) for each in found if each.speaking]
        step = round(0.02 * self._rate)
        pieces = kept[: len(kept) // step * step].reshape(-1, step)
        return Timeline(
            container="Microphone",
            source_rate=self._source_rate,
            source_channels=1,
            truncated=False,
            duration_s=duration_s,
            window_s=self.window_s,
            hop_s=self.hop_s,
            quality=replace(quality.merge([each.quality for each in apart]), duration_s=round(duration_s, 4)),
            segments=tuple(
                Segment(round(each.start_s - from_s, 4), round(each.end_s - from_s, 4), each.speech, each.predictions)
                for each in found
            ),
            activity=_joined(speaking),
            envelope=np.stack([pieces.min(axis=1), pieces.max(axis=1)], axis=1),
        )


def _decibels(samples: np.ndarray) -> float:
    """Return the root mean square in dB re full scale, -100 at the least."""
    return 20 * float(np.log10(max(float(np.sqrt(np.mean(samples.astype(np.float64) ** 2))), 1e-5)))


def _joined(stretches: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Return stretches, in their order, with adjacent ones merged."""
    joined: list[tuple[float, float]] = []
    for start, end in stretches:
        if joined and start - joined[-1][1] < 1e-6:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((max(start, 0.0), end))
    return tuple((round(start, 3), round(end, 3)) for start, end in joined)


def smooth(moments: Sequence[Moment], n: int) -> list[tuple[Prediction, ...]]:
    """Return the predictions of each moment as the mean of its last n moments with speech, within n hops; without speech none."""
    return [
        tuple(timeline.average([each.predictions for each in moments[max(k - n + 1, 0) : k + 1] if each.predictions]))
        if moment.predictions
        else ()
        for k, moment in enumerate(moments)
    ]
