"""My voice: models that adapt to one speaker, from a few labelled takes of that speaker. No module state: a voice is a value.

Nothing is trained and no sound is kept: a take holds where the clip lies before a model's last step. `adapt` makes a voice of takes,
whoever shows predictions passes them through `Voice.lead`. training/personal.py chose the strengths and measures what they gain.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from msgspec import Meta

from ser_core.corpora import catalogue
from ser_core.errors import SerError
from ser_core.metrics import calibration
from ser_core.recognition import together
from ser_core.recognition.recognizer import Prediction, Recognizer
from ser_core.system import units, untrusted_json

MIN_TAKES, MIN_LABELS = 4, 3
MAX_TAKES = 200
FORMAT = 1
ENDING = ".voice.json"
MAX_BYTES = 2**20
MAX_MODELS = 32
MAX_NUMBERS = 256
"""Of what a model sees of a take; the shipped ones see 8 to 40."""

FLOOR = 1e-3
"""Probabilities below this count as this: of a model that is surely wrong, one take would decide all."""

_STEPS, _SMALLEST_STEP = 50, 1e-8
_RECORD = "Record one minute on the page 'My voice'."


class PersonalError(SerError):
    """There are too few takes to adapt to, or a saved voice is damaged or of other models."""


@dataclass(frozen=True)
class Strengths:
    """How far adaptation goes, as variances that are expected: the smaller, the more takes it needs.

    speaker: of a speaker as a whole from the speakers of the training, per axis of a discriminant, in which the clips of one label spread
    by 1; label: of each of the speaker's labels from there. bias: of what each label of a model without a discriminant gets, in the
    logarithm of probabilities.
    """

    speaker: float = 1.0
    label: float = 0.4
    bias: float = 1.0


STRENGTHS = Strengths()
"""What training/personal.py chooses by simulating newcomers with speakers that a model has not learned from."""


@dataclass(frozen=True, eq=False)
class Take:
    """A clip of somebody whose label is known.

    kept: slug -> what the model sees of it before its last step, float64 (n,): the position in its discriminant, or the logarithms of its
    probabilities where it has none.
    """

    label: str
    kept: Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Reference:
    """What adaptation needs of a model.

    means, classes, groups, exponent, share: of its discriminant, as classifiers/contract.py has them, classes being its labels; means is
    None for a model without one.
    """

    slug: str
    digest: str
    labels: tuple[str, ...]
    temperature: float = 1.0
    means: np.ndarray | None = None
    classes: np.ndarray | None = None
    groups: np.ndarray | None = None
    exponent: float = 1.0
    share: float = 1.0


@dataclass(frozen=True, eq=False)
class Adaptation:
    """What one model learned from the takes.

    labels: those of the model, in order. bias: (n_labels,), added to the logarithms of its probabilities. means: of the classes in its
    discriminant as this speaker has them, (n_classes, n_axes), None without a discriminant; classes: the label of each, int (n_classes,).
    """

    labels: tuple[str, ...]
    bias: np.ndarray
    temperature: float = 1.0
    means: np.ndarray | None = None
    classes: np.ndarray | None = None
    exponent: float = 1.0
    share: float = 1.0

    def answer(self, seen: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
        """Return the adapted probabilities, float64 (..., n_labels). seen, (..., n): as `Take.kept` has it; probabilities: calibrated."""
        logits = np.log(np.maximum(probabilities, np.finfo(float).tiny))
        if self.means is not None and self.classes is not None:
            squares = ((seen[..., np.newaxis, :] - self.means) ** 2).sum(axis=-1)
            of_labels = _softmax(-self.exponent * squares / 2) @ np.eye(len(self.labels))[self.classes]
            own = np.log(calibration.calibrate(of_labels, self.temperature))
            logits = self.share * own + (1 - self.share) * logits
        return _softmax(logits + self.bias)


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: np.ndarray = powers / powers.sum(axis=-1, keepdims=True)
    return shares


@dataclass(frozen=True, eq=False)
class Voice:
    """Some models as adapted to one speaker.

    takes: what they were adapted to. adaptations, digests: by the slug of each adapted model; a digest is together.digest. left_out: models
    of a saved voice that are not here as they were.
    """

    takes: tuple[Take, ...]
    adaptations: Mapping[str, Adaptation]
    digests: Mapping[str, str]
    left_out: tuple[str, ...] = ()

    @property
    def n_takes(self) -> int:
        """How many takes it was adapted to."""
        return len(self.takes)

    def answer(self, slug: str, seen: np.ndarray | Sequence[float], probabilities: np.ndarray) -> np.ndarray:
        """Return a model's adapted probabilities, (n_labels,), in its order of labels; as they are for a model that is not adapted.

        seen: `Prediction.seen`, which only a model with a discriminant has.
        """
        adaptation = self.adaptations.get(slug)
        given = np.asarray(probabilities, float)
        return given if adaptation is None else adaptation.answer(np.asarray(seen, float), given)

    def predict(self, prediction: Prediction) -> Prediction:
        """Return a model's prediction as adapted; unchanged where the model is not adapted."""
        adaptation = self.adaptations.get(prediction.model)
        if adaptation is None or set(adaptation.labels) != set(prediction.probabilities):
            return prediction
        given = np.array([prediction.probabilities[label] for label in adaptation.labels])
        shares = self.answer(prediction.model, prediction.seen, given)
        by_label = dict(zip(adaptation.labels, shares.tolist(), strict=True))
        return replace(
            prediction,
            label=adaptation.labels[int(shares.argmax())],
            probabilities={label: by_label[label] for label in prediction.probabilities},
            adapted=self.n_takes,
        )

    def lead(
        self, predictions: Iterable[Prediction], digests: Mapping[str, str], folder: Path | None
    ) -> list[Prediction]:
        """Return the models' predictions as adapted, after that of all together where they have one: together.lead with this voice.

        predictions: as the models gave them; one of all together among them is replaced. digests: slug -> together.digest: a model that was
        trained again since the takes is not adapted. folder: the models folder; None: without an answer of all together.
        """
        _, alone = together.apart(predictions)
        current = {slug for slug, digest in self.digests.items() if digests.get(slug) == digest}
        answers = [self.predict(each) if each.model in current else each for each in alone]
        return together.lead(answers, digests, folder) if folder else answers

    def to_bytes(self) -> bytes:
        """Return the voice as a file to keep, JSON: takes as numbers with their labels, and which models they are of. No sound is in it."""
        slugs = sorted(self.adaptations)
        values = {
            "format": FORMAT,
            "models": {slug: self.digests[slug] for slug in slugs},
            "takes": [
                {
                    "label": take.label,
                    "kept": {
                        slug: [round(float(each), 5) for each in take.kept[slug]] for slug in slugs if slug in take.kept
                    },
                }
                for take in self.takes
            ],
        }
        return json.dumps(values, indent=1, allow_nan=False).encode() + b"\n"

    @classmethod
    def from_bytes(cls, content: bytes, models: Iterable[Reference]) -> Voice:
        """Return the voice of a file, adapted again; its models that are not among `models`, or were trained again, are `left_out`.

        Raises PersonalError where the file is damaged, too large, of another format, or of none of these models.
        """
        takes, digests = _read(content)
        known = {each.slug: each for each in models if digests.get(each.slug) == each.digest}
        if not known:
            raise PersonalError(
                f"This voice was recorded for other models ({', '.join(sorted(digests))}) than those that are here now: they were trained "
                f"again since, or are not here. {_RECORD}"
            )
        kept = tuple(Take(take.label, {slug: take.kept[slug] for slug in known if slug in take.kept}) for take in takes)
        return replace(adapt(kept, known.values()), left_out=tuple(sorted(set(digests) - set(known))))


def reference(model: Recognizer) -> Reference:
    """Return what adaptation needs of a model: small enough to be handed from a worker process to a page."""
    space, facts = model.discriminant, (model.slug, model.digest, model.labels, model.temperature)
    if space is None:
        return Reference(*facts)
    return Reference(*facts, space.means, space.labels, space.groups, space.exponent, space.share)


def take_of(label: str, predictions: Iterable[Prediction]) -> Take:
    """Return a take from what the models predict for a clip whose label is known; nothing else of the clip is in it."""
    kept = {}
    for each in predictions:
        if each.model != together.NAME:
            kept[each.model] = np.array(each.seen) if each.seen else logarithms(list(each.probabilities.values()))
    return Take(label, kept)


def logarithms(probabilities: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return what is kept of a model that has no discriminant: the logarithms of its probabilities, none below that of FLOOR."""
    logs: np.ndarray = np.log(np.maximum(np.asarray(probabilities, float), FLOOR))
    return logs


def adapt(takes: Sequence[Take], models: Iterable[Reference]) -> Voice:
    """Return some models as adapted to the speaker of some takes. A model adapts to the takes that it saw and whose label it knows.

    Raises
    ------
    PersonalError : if there are fewer than MIN_TAKES takes or MIN_LABELS labels, more than MAX_TAKES takes, or no model knows so many of
        the labels.
    """
    if len(takes) > MAX_TAKES:
        raise PersonalError(f"There are {len(takes)} takes; a voice has at most {MAX_TAKES}. Leave some out.")
    _check(takes)
    known = {each.slug: each for each in models}
    adaptations = {}
    for slug, each in known.items():
        own = [take for take in takes if slug in take.kept and take.label in each.labels]
        if len(own) >= MIN_TAKES and len({take.label for take in own}) >= MIN_LABELS:
            y = np.array([each.labels.index(take.label) for take in own])
            adaptations[slug] = adaptation(each, np.stack([_seen(take, each) for take in own]), y)
    if len(adaptations) > MAX_MODELS:
        raise PersonalError(f"A voice is of at most {MAX_MODELS} models. Choose fewer than these {len(adaptations)}.")
    if not adaptations:
        raise PersonalError(
            f"None of the models knows {MIN_TAKES} of these takes and {MIN_LABELS} of their labels. Record takes of labels that they know, "
            "or choose other models."
        )
    return Voice(tuple(takes), adaptations, {slug: known[slug].digest for slug in adaptations})


def _check(takes: Sequence[Take]) -> None:
    labels = {take.label for take in takes}
    if len(takes) < MIN_TAKES or len(labels) < MIN_LABELS:
        raise PersonalError(
            f"To adapt to a voice, {MIN_TAKES} takes of {MIN_LABELS} labels or more are needed. There "
            f"{'is 1 take' if len(takes) == 1 else f'are {len(takes)} takes'} of {len(labels)} label{'s' * (len(labels) != 1)}. "
            "Record another emotion."
        )


def _seen(take: Take, model: Reference) -> np.ndarray:
    """Return what a model sees of a take; raises PersonalError where it has another size than the model's."""
    seen = np.asarray(take.kept[model.slug], float)
    n = len(model.labels) if model.means is None else model.means.shape[1]
    if seen.shape != (n,) or not np.isfinite(seen).all():
        raise PersonalError(f"A take does not fit the model '{model.slug}'. {_RECORD}")
    return seen


def adaptation(model: Reference, seen: np.ndarray, y: np.ndarray, strengths: Strengths = STRENGTHS) -> Adaptation:
    """Return what a model learns from takes: seen (n_takes, n), as `Take.kept` has it; y int (n_takes,), positions of their labels."""
    if model.means is None or model.classes is None or model.groups is None:
        return Adaptation(model.labels, biases(seen, y, variance=strengths.bias))
    means = model.means.astype(float)
    for group in np.unique(model.groups):
        inside = np.flatnonzero(model.groups == group)
        place = np.full(len(model.labels), -1)
        place[model.classes[inside]] = np.arange(len(inside))
        known = place[y] >= 0
        means[inside] = speaker_means(means[inside], seen[known], place[y[known]], strengths)
    return Adaptation(
        model.labels,
        np.zeros(len(model.labels)),
        model.temperature,
        means,
        model.classes,
        model.exponent,
        model.share,
    )


def speaker_means(means: np.ndarray, seen: np.ndarray, y: np.ndarray, strengths: Strengths = STRENGTHS) -> np.ndarray:
    """Return the means of the labels of one speaker, (n_labels, n_axes), from those of all, and the speaker's takes.

    The speaker's means are those of all, shifted together by an offset of variance strengths.speaker, and each by one of variance
    strengths.label; takes spread around them with a variance of 1. Returned is what to expect given the takes: the more there are, the
    closer to their own means.

    Notes
    -----
    A mixed model with two random effects, whose best linear unbiased predictor this is for equal numbers of takes; see Robinson (1991),
    "That BLUP is a good thing: the estimation of random effects", Statistical Science 6(1).
    """
    if not len(y):
        return means
    labels, counts = np.unique(y, return_counts=True)
    apart = np.stack([seen[y == each].mean(axis=0) for each in labels]) - means[labels]
    noise = strengths.label + 1 / counts
    precision = (1 / noise).sum()
    offset = (apart / noise[:, np.newaxis]).sum(axis=0) / (precision + 1 / strengths.speaker)
    found: np.ndarray = means + offset
    found[labels] += (strengths.label / noise)[:, np.newaxis] * (apart - offset)
    return found


def biases(logs: np.ndarray, y: np.ndarray, *, variance: float) -> np.ndarray:
    """Return a bias per label, (n_labels,), for log probabilities of takes (n_takes, n_labels): the most likely ones, each of a prior
    `variance` around 0. Labels of several takes count as much as those of one.
    """
    n_labels = logs.shape[1]
    counts = np.bincount(y, minlength=n_labels)
    weight = len(y) / (counts > 0).sum() / counts[y]
    found = np.zeros(n_labels)

    def loss(bias: np.ndarray) -> float:
        of_truth = np.log(_softmax(logs + bias)[np.arange(len(y)), y])
        return float(bias @ bias / variance / 2 - weight @ of_truth)

    for _ in range(_STEPS):  # Newton's method for a convex loss, in steps that lower it
        shares = _softmax(logs + found)
        slope = weight @ (np.eye(n_labels)[y] - shares) - found / variance
        curvature = np.diag(weight @ shares) - (shares * weight[:, np.newaxis]).T @ shares + np.eye(n_labels) / variance
        step = np.linalg.solve(curvature, slope)
        while loss(found + step) > loss(found) and np.abs(step).max() >= _SMALLEST_STEP:
            step = step / 2
        found = found + step
        if np.abs(step).max() < _SMALLEST_STEP:
            break
    return found


Number = Annotated[float, Meta(ge=-1e6, le=1e6)]


@dataclass(frozen=True, kw_only=True)
class _Take:
    """A take in a file."""

    label: str
    kept: dict[str, Annotated[tuple[Number, ...], Meta(min_length=1, max_length=MAX_NUMBERS)]]


@dataclass(frozen=True, kw_only=True)
class _File:
    """What a file holds."""

    format: int
    models: Annotated[dict[str, str], Meta(min_length=1, max_length=MAX_MODELS)]
    takes: Annotated[tuple[_Take, ...], Meta(max_length=MAX_TAKES)]


def _read(content: bytes) -> tuple[list[Take], dict[str, str]]:
    """Return the takes of a file, and the digests of their models by slug; raises PersonalError where it is no such file."""
    if len(content) > MAX_BYTES:
        raise PersonalError(
            f"The file has {units.size(len(content), binary=True)}; a saved voice has at most {units.size(MAX_BYTES, binary=True)}. "
            "Choose a file that was saved on the page 'My voice'."
        )
    try:
        values = untrusted_json.loads(content.decode("utf-8"))
        _check_format(values)
        found = untrusted_json.convert(values, _File)
        for each in values["takes"]:
            untrusted_json.check_names(each, _Take)
        for slug, digest in found.models.items():
            if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", slug) or not re.fullmatch(
                r"[0-9a-f]{0,64}", digest
            ):
                raise ValueError("its models are no names and digests of models")
        for one in found.takes:
            if one.label not in catalogue.ALL_LABELS:
                raise ValueError(f"it has a take of {one.label[:40]!r}, which is no emotion")
            if not set(one.kept) <= set(found.models):
                raise ValueError("it has a take of a model that it does not name")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise PersonalError(
            f"The file is not a saved voice ({str(error)[:300]}). Choose a file that was saved on the page 'My voice'."
        ) from None
    takes = [Take(one.label, {slug: np.array(each, float) for slug, each in one.kept.items()}) for one in found.takes]
    return takes, found.models


def _check_format(values: Any) -> None:
    """Raise PersonalError for another format than this version reads, ValueError where there is none."""
    untrusted_json.check_names(values, _File)
    if isinstance(values["format"], bool) or values["format"] != FORMAT:
        raise PersonalError(
            f"The saved voice has format {str(values['format'])[:20]!r}, and this version reads format {FORMAT}. {_RECORD}"
        )
