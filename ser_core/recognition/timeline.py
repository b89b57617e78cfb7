"""Where in a recording there is speech, and what the models predict for each moment: windows over long audio and over streams.

A window is a clip like any other: it goes through `analysis`, so a window that holds a whole clip gets the predictions of that
clip. Long files are read in blocks and never held as a whole. Drawing and saving are the pages' business.
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ser_core.audio import channels, decoding
from ser_core.audio.waveform import SAMPLE_RATE, Waveform
from ser_core.errors import ConfigError
from ser_core.features import quality
from ser_core.features.quality import Quality
from ser_core.recognition import analysis, recognizer
from ser_core.recognition.personal import Voice
from ser_core.recognition.recognizer import Prediction, Recognizer
from ser_core.system.spool import Spool

MAX_DURATION_S = 3600.0
"""Longest recording that is accepted."""

LONG_S = 8.0
"""From this length on, a clip is more than one utterance: one answer for all of it would hide changes."""

WINDOW_S = 3.0
HOP_S = 1.0
MIN_WINDOW_S, MAX_WINDOW_S = 1.0, 10.0
MIN_HOP_S = 0.25

_ENVELOPE_S = 0.02
_JOINED_S = 0.2
"""A pause shorter than this, such as the closure of a stop consonant, does not end a stretch of speech."""


WindowPredictor = Callable[[Waveform], tuple[analysis.Analysis, list[Prediction]]]
"""Predicts a window: returns its analysis, and one prediction per model where there is speech in it."""


@dataclass(frozen=True)
class Segment:
    """A window: from start_s to end_s, whether there is speech in it, and one prediction per model, or of all together, where there is."""

    start_s: float
    end_s: float
    speech: bool
    predictions: tuple[Prediction, ...]


@dataclass(frozen=True)
class Timeline:
    """A recording over time.

    Windows of window_s start every hop_s; the last one ends with the recording. quality: of the whole, from its pieces. activity:
    (start, end) in s of each stretch of speech. envelope: float32 (n, 2), lowest and highest sample of each 20 ms. The other
    facts are those of decoding.Clip.
    """

    container: str
    source_rate: int
    source_channels: int
    truncated: bool
    duration_s: float
    window_s: float
    hop_s: float
    quality: Quality
    segments: tuple[Segment, ...]
    activity: tuple[tuple[float, float], ...]
    envelope: np.ndarray
    channel: str = channels.MEAN
    choices: tuple[str, ...] = ()
    track: int = 1
    tracks: int = 1
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Window:
    """The result of a window: its segment, its quality, and which of its frames (at `frames_s`) are speech."""

    segment: Segment
    quality: Quality
    frames_s: np.ndarray
    speech: np.ndarray


def analyse(
    source: bytes | str | os.PathLike[str] | BinaryIO | Spool | decoding.Stream,
    predict_window: WindowPredictor,
    *,
    name: str = "the file",
    window_s: float = WINDOW_S,
    hop_s: float = HOP_S,
    channel: str | None = None,
    track: int | None = None,
    keep: Callable[[np.ndarray], None] | None = None,
    on_progress: Callable[[float, float], None] | None = None,
    check_stop: Callable[[], None] = lambda: None,
) -> Timeline:
    """Return what is in a recording of up to an hour, moment by moment.

    Parameters
    ----------
    source, name, channel, track
        As in `decoding.decode`, or what `decoding.stream` returned at waveform.SAMPLE_RATE.
    predict_window
        Predicts each window, one after another: see `window_predictor`.
    keep
        Receives the sound as the models do, piece by piece: float32 (n,) at waveform.SAMPLE_RATE.
    on_progress
        Called after each window with the seconds done and the total.
    check_stop
        Called as often, and while the file is first scanned; it may raise.

    Raises
    ------
    AudioError : where the bytes are not usable audio.
    ConfigError : where window or hop are out of range.
    """
    check_windows(window_s, hop_s)
    rate = SAMPLE_RATE
    if isinstance(source, decoding.Stream):
        stream = source
    else:
        stream = decoding.stream(
            source,
            sample_rate=rate,
            max_duration_s=MAX_DURATION_S,
            name=name,
            channel=channel,
            track=track,
            check_stop=check_stop,
        )
    envelope: list[np.ndarray] = []

    def blocks() -> Iterator[np.ndarray]:
        rest = np.zeros(0, np.float32)
        size = round(_ENVELOPE_S * rate)
        for block in stream.blocks():
            if keep:
                keep(block)
            rest = np.concatenate([rest, block])
            whole = rest[: len(rest) // size * size].reshape(-1, size)
            envelope.append(np.stack([whole.min(axis=1), whole.max(axis=1)], axis=1))
            rest = rest[whole.size :]
            yield block

    results = []
    for start, samples in windows(
        blocks(), window=round(window_s * rate), hop=round(hop_s * rate), slack=round(_ENVELOPE_S * rate)
    ):
        results.append(_window(Waveform(samples, rate), predict_window, start_s=start / rate))
        check_stop()
        if on_progress:
            on_progress(results[-1].segment.end_s, stream.duration_s)
    activity, speech_s = _activity(results, stream.duration_s)
    apart = [
        each for n, each in enumerate(results) if n % max(round(window_s / hop_s), 1) == 0 or n == len(results) - 1
    ]
    return Timeline(
        container=stream.container,
        source_rate=stream.source_rate,
        source_channels=stream.source_channels,
        truncated=stream.truncated,
        duration_s=stream.duration_s,
        window_s=window_s,
        hop_s=hop_s,
        quality=replace(
            quality.merge([each.quality for each in apart]),
            duration_s=round(stream.duration_s, 4),
            speech_s=round(speech_s, 4),
            heard_s=round(speech_s, 4),
        ),
        segments=tuple(each.segment for each in results),
        activity=activity,
        envelope=np.concatenate([np.zeros((0, 2), np.float32), *envelope]),
        channel=stream.channel,
        choices=stream.choices,
        track=stream.track,
        tracks=stream.tracks,
        remarks=stream.remarks,
    )


def check_windows(window_s: float, hop_s: float) -> None:
    """Raise ConfigError where window or hop are out of range."""
    if not MIN_WINDOW_S <= window_s <= MAX_WINDOW_S:
        raise ConfigError(f"A window must be {MIN_WINDOW_S:g} to {MAX_WINDOW_S:g} s long. Got {window_s:g}.")
    if not MIN_HOP_S <= hop_s <= window_s:
        raise ConfigError(
            f"Windows must start every {MIN_HOP_S:g} s to {window_s:g} s (the window's length). Got {hop_s:g}."
        )


def windows(blocks: Iterable[np.ndarray], *, window: int, hop: int, slack: int = 0) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (start, samples) of each window over sound that comes in blocks of any size, all in samples.

    Windows start every `hop`; where more than `slack` samples are left after the last one, another ends with the sound. Sound that
    is shorter than a window is one window.
    """
    held, first, start = np.zeros(0, np.float32), 0, 0
    for block in blocks:
        held = np.concatenate([held, block])
        while first + len(held) >= start + window:
            yield start, held[start - first : start - first + window]
            start += hop
        keep_from = max(start - hop, first)  # the last window may be needed again, moved to the end
        held, first = held[keep_from - first :], keep_from
    n = first + len(held)
    covered = start - hop + window if start else 0
    if n > covered + (slack if start else 0):
        last = max(n - window, 0)
        yield last, held[last - first :]


def window_predictor(
    recognizers: Sequence[Recognizer], *, folder: Path | None = None, voice: Voice | None = None
) -> WindowPredictor:
    """Return what predicts a window with some recognizers, as `analysis.recognize` does."""
    return functools.partial(_recognized, recognizers, folder, voice)


def _recognized(
    recognizers: Sequence[Recognizer], folder: Path | None, voice: Voice | None, waveform: Waveform
) -> tuple[analysis.Analysis, list[Prediction]]:
    measured = analysis.measure_samples(waveform)
    return measured, analysis.recognize(recognizers, measured, folder=folder, voice=voice)


def _window(waveform: Waveform, predict_window: WindowPredictor, *, start_s: float) -> _Window:
    measured, predictions = predict_window(waveform)
    has_speech = measured.quality.has_speech
    segment = Segment(round(start_s, 4), round(start_s + waveform.duration_s, 4), has_speech, tuple(predictions))
    speech = quality.speech(measured.features, measured.quality)
    return _Window(segment, measured.quality, start_s + measured.features.times_s.astype(np.float64), speech)


def borders(segments: Sequence[Segment], duration_s: float) -> list[float]:
    """Return the borders of the windows' shares of time, (n_windows + 1,): halfway between the centres of neighbours.

    Windows overlap; cut like this, each moment belongs to the window whose centre is nearest.
    """
    centres = [(each.start_s + each.end_s) / 2 for each in segments]
    return [0.0, *((a + b) / 2 for a, b in itertools.pairwise(centres)), duration_s]


def _activity(results: Sequence[_Window], duration_s: float) -> tuple[tuple[tuple[float, float], ...], float]:
    """Return the stretches of speech, (start, end) in s, and how many seconds of speech there are: each frame is counted in one window."""
    edges = borders([each.segment for each in results], duration_s)
    stretches: list[tuple[float, float]] = []
    speech_s = 0.0
    for each, low, high in zip(results, edges, edges[1:], strict=False):
        step = float(each.frames_s[1] - each.frames_s[0]) if len(each.frames_s) > 1 else 0.0
        is_inside = (each.frames_s >= low - 1e-9) & (each.frames_s < high - 1e-9)
        for time_s in each.frames_s[is_inside & each.speech]:
            start, end = max(float(time_s) - step / 2, 0.0), min(float(time_s) + step / 2, duration_s)
            speech_s += end - start
            if stretches and start - stretches[-1][1] < _JOINED_S:
                stretches[-1] = (stretches[-1][0], end)
            else:
                stretches.append((start, end))
    return tuple((round(start, 3), round(end, 3)) for start, end in stretches), speech_s


def average(predictions: Iterable[Sequence[Prediction]]) -> list[Prediction]:
    """Return one prediction per model for several windows: the mean of its probabilities over those in which it answered.

    milliseconds are those of all windows together. No window gives no prediction.
    """
    by_model: dict[str, list[Prediction]] = {}
    for each in itertools.chain.from_iterable(predictions):
        by_model.setdefault(each.model, []).append(each)
    means = []
    for model, same in by_model.items():
        probabilities = {
            label: sum(each.probabilities[label] for each in same) / len(same) for label in same[0].probabilities
        }
        label = max(probabilities, key=lambda label: probabilities[label])
        milliseconds = round(sum(each.milliseconds for each in same), 3)
        means.append(
            Prediction(model, label, probabilities, milliseconds, same[0].threshold, adapted=recognizer.n_takes(same))
        )
    return means


def overall(timeline: Timeline) -> list[Prediction]:
    """Return one prediction per model for the whole recording: the mean over the windows with speech."""
    return average([each.predictions for each in timeline.segments if each.speech])


@dataclass(frozen=True)
class LabelSpan:
    """A stretch in which a model predicts one label, from start_s to end_s, with the mean of its probabilities; "" and 0 without speech."""

    start_s: float
    end_s: float
    label: str
    probability: float


def label_spans(timeline: Timeline, model: str) -> list[LabelSpan]:
    """Return one model's labels over the whole recording, without gaps or overlaps: consecutive windows that agree are merged."""
    edges = borders(timeline.segments, timeline.duration_s)
    found = [next((each for each in segment.predictions if each.model == model), None) for segment in timeline.segments]
    same = itertools.groupby(range(len(found)), key=lambda n: each.label if (each := found[n]) else "")
    joined = []
    for label, numbers in same:
        inside = list(numbers)
        probabilities = [each.probabilities[label] for n in inside if (each := found[n])]
        joined.append(
            LabelSpan(
                edges[inside[0]], edges[inside[-1] + 1], label, float(np.mean(probabilities)) if probabilities else 0.0
            )
        )
    return joined


def to_dict(file: str, timeline: Timeline) -> dict[str, Any]:
    """Return the result of one file as JSON values: what `analysis.to_dict` has, and window_s, hop_s, segments and activity."""
    predictions = overall(timeline)
    return {
        "file": file,
        "duration_s": round(timeline.duration_s, 4),
        **analysis.reading(timeline),
        "quality": timeline.quality.to_dict(),
        "speech": any(each.speech for each in timeline.segments),
        **analysis.answers(predictions),
        "window_s": timeline.window_s,
        "hop_s": timeline.hop_s,
        "segments": [
            {
                "start_s": each.start_s,
                "end_s": each.end_s,
                "speech": each.speech,
                **analysis.answers(each.predictions),
            }
            for each in timeline.segments
        ],
        "activity": [list(stretch) for stretch in timeline.activity],
    }
