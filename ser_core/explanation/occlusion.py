"""Where in time and frequency a model looks: cover a patch of what it sees, and watch the probability of a label fall.

For the networks, and for the models that hear through the pretrained encoder. A deletion curve beside the map tests it: whoever covers what
the map marks must lose more probability than whoever covers as much at random, else the map is decoration. service.py calls this.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ser_core.audio.waveform import Waveform
from ser_core.errors import ConfigError, ModelError
from ser_core.features import encoder, extraction, filterbanks, vectors
from ser_core.features.config import MEL, FeatureConfig
from ser_core.features.extraction import Features
from ser_core.metrics import calibration
from ser_core.recognition.recognizer import Recognizer

SPAN_S = 0.15
"""Length of a patch, as far as MOST_SPANS allow."""

LEAST_SPANS = 4
NETWORK_SPANS, NETWORK_BANDS = 16, 8
ENCODER_SPANS, ENCODER_BANDS = 8, 3
"""Most patches in time, and patches in frequency. A network answers to a variant within a millisecond, the encoder within 25: three
seconds of sound take 145, 145 and 25 variants, together half a second on two cores."""

SHARES = (0.05, 0.1, 0.2, 0.4)
"""How much of the patches the deletion curve covers at its steps."""

N_RANDOM = 10
"""Random orders in which patches are covered beside the order of the map."""

WITHIN = 2.37
"""Half of the 95 % prediction interval for one more random order, in their standard deviations: Student's t, N_RANDOM - 1 degrees of
freedom, times the root of 1 + 1 / N_RANDOM."""

KEPT_SHARE = 0.5
"""The kept part has the patches that hold this share of all that the probability falls by."""

AT_ONCE = {vectors.FRAMES: 256, vectors.EMBEDDING: 5}
"""Most items of one batch, by input kind: what memory and two threads ask for."""

N_THREADS = 2


@dataclass(frozen=True)
class Deletion:
    """The probability of a label while more and more is covered: in the order of the map, and in random orders of as many patches.

    shares: of the patches, from 0 on; by_map: probabilities in the map's order; by_chance: mean over N_RANDOM random orders, and low and
    high their range, all (n_steps,). area: how much lower by_map lies than by_chance, the mean over the steps; spread: the largest such
    distance, up or down, that one more random order would have (95 %).
    """

    shares: tuple[float, ...]
    by_map: tuple[float, ...]
    by_chance: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    area: float
    spread: float

    @property
    def better_than_chance(self) -> bool:
        """Whether the map marks what matters; where not, it is decoration."""
        return self.area > max(self.spread, 0.0)


@dataclass(frozen=True)
class Occlusion:
    """How much the probability of a label falls where a patch of a clip is covered.

    times_s: edges of the patches in the clip, (n_spans + 1,); bands_hz: edges, (n_bands + 1,). fall: (n_bands, n_spans), negative where the
    label gains; measures: (n_spans,), the same where a network's measures besides the mel bands are covered (pitch, loudness, voice
    quality), () for a model without. probability: of the label, with nothing covered.
    """

    label: str
    probability: float
    times_s: tuple[float, ...]
    bands_hz: tuple[float, ...]
    fall: tuple[tuple[float, ...], ...]
    measures: tuple[float, ...]
    deletion: Deletion

    @property
    def sentence(self) -> str:
        """What the deletion curve says of the map."""
        points, spread = (f"{100 * each:.0f} points" for each in (self.deletion.area, self.deletion.spread))
        if not self.deletion.better_than_chance:
            return (
                f"This map is no better than chance: covering what it marks lowers the probability of {self.label} by {points} more than "
                f"covering as much at random, and random orders differ by up to {spread}. Read nothing into it."
            )
        return (
            f"The map holds: covering what it marks lowers the probability of {self.label} by {points} more than covering as much at "
            f"random (random orders differ by up to {spread})."
        )

    @property
    def summary(self) -> str:
        """Where the label falls most, in words."""
        fall = np.asarray(self.fall)
        band, span = np.unravel_index(fall.argmax(), fall.shape)
        if fall[band, span] <= 0:
            return f"No patch of the sound, covered alone, makes {self.label} less probable."
        text = (
            f"What counts most for {self.label} lies at {self.times_s[span]:.1f} to {self.times_s[span + 1]:.1f} s, "
            f"between {self.bands_hz[band]:.0f} and {self.bands_hz[band + 1]:.0f} Hz: covered, its probability falls by "
            f"{100 * fall[band, span]:.0f} points."
        )
        if self.measures and max(self.measures) > fall[band, span]:
            text += " Pitch, loudness and voice quality, which it sees besides the picture, count more than any patch."
        return text


@dataclass(frozen=True)
class View:
    """What a model sees of a clip as a picture of patches that can be covered.

    picture: float32 (n_frames, n_columns); blank: (n_columns,), what a covered frame holds. rows: the columns of each row of patches, the
    frequency bands from low to high, and the other measures last where has_measures; edges: the frames between which spans lie. items:
    pictures (n, n_frames, n_columns) -> the model's items, (n * items_each, …).
    """

    picture: np.ndarray
    blank: np.ndarray
    rows: tuple[np.ndarray, ...]
    has_measures: bool
    edges: np.ndarray
    times_s: tuple[float, ...]
    bands_hz: tuple[float, ...]
    items: Callable[[np.ndarray], np.ndarray]

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of spans."""
        return len(self.rows), len(self.edges) - 1

    def cover(self, covered: np.ndarray) -> np.ndarray:
        """Return pictures (n, n_frames, n_columns) with patches covered, bool (n, n_rows, n_spans)."""
        row_of_column = np.zeros(self.picture.shape[1], int)
        for number, columns in enumerate(self.rows):
            row_of_column[columns] = number
        span_of_frame = np.repeat(np.arange(self.shape[1]), np.diff(self.edges))
        cells = covered.transpose(0, 2, 1)[:, span_of_frame][:, :, row_of_column]
        return np.where(cells, self.blank, self.picture)


def explains(recognizer: Recognizer) -> bool:
    """Return whether a model sees a clip as a picture in time and frequency."""
    return recognizer.input_kind in (vectors.FRAMES, vectors.EMBEDDING)


def explain(
    recognizers: Sequence[Recognizer],
    waveform: Waveform,
    measured: Features,
    *,
    labels: Sequence[str | None] | None = None,
    rng: np.random.Generator | None = None,
) -> list[Occlusion]:
    """Return the map of each model, for the label that is named for it, or its answer; the same random orders for the same `rng`.

    measured: the features of the clip; they are extracted again for a model of other settings. Raises ModelError, and ConfigError for a
    label that a model does not have.
    """
    views = [view(each, waveform, measured) for each in recognizers]
    covers = [_each_patch(each) for each in views]
    found = _ask_all(recognizers, views, covers)
    chosen = [_position(*each) for each in zip(recognizers, found, labels or [None] * len(found), strict=True)]
    falls = [each[0, label] - each[1:, label] for each, label in zip(found, chosen, strict=True)]
    rng = rng or np.random.default_rng(0)
    plans = [_deletions(each, fall, rng) for each, fall in zip(views, falls, strict=True)]
    curves = _ask_all(recognizers, views, plans)
    return [
        _result(recognizer, seen, label, answers[0, label], fall, curve[:, label])
        for recognizer, seen, label, answers, fall, curve in zip(
            recognizers, views, chosen, found, falls, curves, strict=True
        )
    ]


def view(recognizer: Recognizer, waveform: Waveform, measured: Features) -> View:
    """Return what a model sees of a clip."""
    if recognizer.input_kind == vectors.EMBEDDING:
        return _encoder_view(waveform, recognizer.config)
    if recognizer.input_kind == vectors.FRAMES:
        if measured.config != recognizer.config:
            measured = extraction.extract(waveform, recognizer.config)
        return _network_view(measured)
    raise ModelError(f"Model '{recognizer.slug}' sees no picture of a clip, so no part of one can be covered.")


def _network_view(measured: Features) -> View:
    config = measured.config
    whole = vectors.frames(measured)
    blank = vectors.blank(whole, config)
    bands = np.array_split(np.arange(config.n_mels), NETWORK_BANDS)
    has_measures = config.network_input != MEL
    rows = [*bands, *([np.arange(config.n_mels, whole.shape[1])] if has_measures else [])]
    hop_s = config.hop_length / config.sample_rate
    edges, times_s = _spans(len(whole), hop_s, measured.trim[0] * hop_s - hop_s / 2, NETWORK_SPANS)
    hz = filterbanks.mel_frequencies(config.n_mels + 2, fmin=config.fmin, fmax=config.fmax)

    def items(pictures: np.ndarray) -> np.ndarray:
        return np.concatenate([vectors.cut(each, config, blank) for each in pictures])

    return View(whole, blank, tuple(rows), has_measures, edges, times_s, _band_edges(bands, hz), items)


def _encoder_view(waveform: Waveform, config: FeatureConfig) -> View:
    samples, start_s = encoder.heard(waveform, config)
    if len(samples) >= encoder.MOST_S * encoder.SAMPLE_RATE:
        raise ModelError(f"A clip of more than {encoder.MOST_S} s cannot be explained. Choose a part of it.")
    picture = encoder.log_mel(samples)
    bands = np.array_split(np.arange(encoder.N_MELS), ENCODER_BANDS)
    hop_s = encoder.HOP_LENGTH / encoder.SAMPLE_RATE
    edges, times_s = _spans(len(picture), hop_s, start_s, ENCODER_SPANS)
    hz = filterbanks.mel_frequencies(encoder.N_MELS + 2, fmin=0.0, fmax=encoder.SAMPLE_RATE / 2)
    return View(
        picture, picture.mean(axis=0), tuple(bands), False, edges, times_s, _band_edges(bands, hz), encoder.embeddings
    )


def _spans(n_frames: int, hop_s: float, start_s: float, most: int) -> tuple[np.ndarray, tuple[float, ...]]:
    """Return the frames and the times between which spans of about equal length lie."""
    n = min(max(round(n_frames * hop_s / SPAN_S), LEAST_SPANS), most, n_frames)
    edges = np.linspace(0, n_frames, n + 1).round().astype(int)
    return edges, tuple(round(max(start_s + float(edge) * hop_s, 0.0), 4) for edge in edges)


def _band_edges(bands: Sequence[np.ndarray], hz: np.ndarray) -> tuple[float, ...]:
    """Return the edges of groups of mel bands, half way between the centres of neighbours. hz: centres, and one before and after them."""
    middles = (hz[:-1] + hz[1:]) / 2
    return tuple(round(float(edge), 1) for edge in (*(middles[each[0]] for each in bands), middles[bands[-1][-1] + 1]))


def _each_patch(seen: View) -> np.ndarray:
    """Return what is covered in each variant, bool (1 + n_patches, n_rows, n_spans): first nothing, then each patch alone."""
    n = int(np.prod(seen.shape))
    return np.concatenate([np.zeros((1, n), bool), np.eye(n, dtype=bool)]).reshape(-1, *seen.shape)


def _deletions(seen: View, fall: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return what is covered, bool (len(SHARES) * (1 + N_RANDOM), n_rows, n_spans): the map's order first, then the random ones.

    A random order covers at each step as many patches of the sound, and as many of the other measures, as the map's order does.
    """
    n_rows, n_spans = seen.shape
    is_sound = np.ones(n_rows * n_spans, bool)
    if seen.has_measures:
        is_sound[-n_spans:] = False
    order = np.argsort(-fall, kind="stable")
    counts = [max(round(share * len(order)), 1) for share in SHARES]
    masks = []
    for number in range(1 + N_RANDOM):
        sound, other = np.flatnonzero(is_sound), np.flatnonzero(~is_sound)
        sound, other = rng.permutation(sound), rng.permutation(other)
        for count in counts:
            mask = np.zeros(len(order), bool)
            first = order[:count]
            n_sound = int(is_sound[first].sum())
            mask[first if number == 0 else np.concatenate([sound[:n_sound], other[: count - n_sound]])] = True
            masks.append(mask)
    return np.array(masks).reshape(-1, n_rows, n_spans)


def _ask_all(
    recognizers: Sequence[Recognizer], views: Sequence[View], covers: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """Return each model's calibrated probabilities of its variants, (n_variants, n_labels); the models share N_THREADS."""
    jobs = [
        (number, part)
        for number, (recognizer, cover) in enumerate(zip(recognizers, covers, strict=True))
        for part in np.array_split(cover, -(-len(cover) // AT_ONCE[recognizer.input_kind]))
    ]
    with ThreadPoolExecutor(N_THREADS) as threads:
        parts = list(threads.map(lambda job: _ask(recognizers[job[0]], views[job[0]], job[1]), jobs))
    return [
        np.concatenate([part for (owner, _), part in zip(jobs, parts, strict=True) if owner == number])
        for number in range(len(recognizers))
    ]


def _ask(recognizer: Recognizer, seen: View, covered: np.ndarray) -> np.ndarray:
    """Return calibrated probabilities (n, n_labels) of variants of a clip; of windows that are alike, one is asked about."""
    items = seen.items(seen.cover(covered))
    flat = items.reshape(len(items), -1)
    plain = seen.items(seen.picture[np.newaxis])
    n_each = len(plain)
    same = (flat == np.tile(plain.reshape(n_each, -1), (len(covered), 1))).all(axis=1)
    asked = recognizer.classifier.predict_proba(np.concatenate([plain, items[~same]]))
    answers = np.tile(asked[:n_each], (len(covered), 1))
    answers[~same] = asked[n_each:]
    mean = answers.reshape(len(covered), n_each, -1).mean(axis=1)
    if not np.isfinite(mean).all():
        raise ModelError(
            f"Model '{recognizer.slug}' answers with values that are not probabilities. Choose another, or retrain it."
        )
    return calibration.calibrate(mean, recognizer.temperature)


def _position(recognizer: Recognizer, answers: np.ndarray, label: str | None) -> int:
    if label is None:
        return int(answers[0].argmax())
    if label not in recognizer.labels:
        raise ConfigError(
            f"Model '{recognizer.slug}' has no label {label!r}. Choose from {', '.join(recognizer.labels)}."
        )
    return recognizer.labels.index(label)


def _result(
    recognizer: Recognizer, seen: View, label: int, probability: float, fall: np.ndarray, curve: np.ndarray
) -> Occlusion:
    curve = np.concatenate([np.full((1 + N_RANDOM, 1), probability), curve.reshape(1 + N_RANDOM, -1)], axis=1)
    by_map, others = curve[0], curve[1:]
    areas = others[:, 1:].mean(axis=1)
    deletion = Deletion(
        shares=(0.0, *SHARES),
        by_map=_plain(by_map),
        by_chance=_plain(others.mean(axis=0)),
        low=_plain(others.min(axis=0)),
        high=_plain(others.max(axis=0)),
        area=round(float(areas.mean() - by_map[1:].mean()), 6),
        spread=round(float(WITHIN * areas.std(ddof=1)), 6),
    )
    of_rows = fall.reshape(seen.shape)
    n_bands = len(seen.bands_hz) - 1
    return Occlusion(
        label=recognizer.labels[label],
        probability=round(float(probability), 6),
        times_s=seen.times_s,
        bands_hz=seen.bands_hz,
        fall=tuple(map(_plain, of_rows[:n_bands])),
        measures=_plain(of_rows[-1]) if seen.has_measures else (),
        deletion=deletion,
    )


def _plain(values: np.ndarray) -> tuple[float, ...]:
    return tuple(round(float(each), 6) for each in values)


def kept(found: Occlusion) -> np.ndarray:
    """Return the patches that count, bool (n_bands, n_spans): the fewest that hold KEPT_SHARE of all falls; none where nothing falls."""
    fall = np.maximum(np.asarray(found.fall), 0.0)
    order = np.argsort(-fall, axis=None, kind="stable")
    until = np.cumsum(fall.ravel()[order])
    if not until[-1] > 0:
        return np.zeros(fall.shape, bool)
    mask = np.zeros(fall.size, bool)
    mask[order[: 1 + int(np.searchsorted(until, KEPT_SHARE * until[-1]))]] = True
    return mask.reshape(fall.shape)


def split(waveform: Waveform, found: Occlusion) -> tuple[Waveform, Waveform]:
    """Return the part of a clip that counts, and the rest of it: an STFT mask of the patches of `kept`. Together they are the clip."""
    n_fft, hop = 512, 128
    rate, samples = waveform.sample_rate, waveform.samples
    window = np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)).astype(np.float32)
    padded = np.pad(samples, (n_fft, n_fft + hop))
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop]
    spectrum = np.fft.rfft(frames * window, axis=1)
    middles_s = (np.arange(len(frames)) * hop - n_fft / 2) / rate
    bins_hz = np.fft.rfftfreq(n_fft, 1 / rate)
    spans = np.searchsorted(found.times_s, middles_s, side="right") - 1
    bands = np.searchsorted(found.bands_hz, bins_hz, side="right") - 1
    mask = kept(found)
    inside_s = (spans >= 0) & (spans < mask.shape[1])
    inside_hz = (bands >= 0) & (bands < mask.shape[0])
    of_cells = mask[np.clip(bands, 0, mask.shape[0] - 1)][:, np.clip(spans, 0, mask.shape[1] - 1)].T
    part = np.fft.irfft(spectrum * (of_cells & inside_s[:, np.newaxis] & inside_hz), n=n_fft, axis=1) * window
    total = np.zeros(len(padded))
    for place, frame in enumerate(part):
        total[place * hop : place * hop + n_fft] += frame
    # The squares of windows that lie a quarter of their length apart add up to two.
    chosen = (total[n_fft : n_fft + len(samples)] / 2).astype(np.float32)
    return Waveform(chosen, rate), Waveform(samples - chosen, rate)
