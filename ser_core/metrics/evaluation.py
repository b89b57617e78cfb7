"""Figures on a result: how often a model is right on held-out clips, how sure one can be of that, and how calibrated it is.

Every figure carries the name of its protocol. Input is arrays; which clips were held out is dataset/splits.py's business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

import numpy as np

from ser_core.errors import ConfigError
from ser_core.metrics import curves
from ser_core.metrics.curves import Count, Curves, Point, Share
from ser_core.system import untrusted_json

FEW_CLIPS = 100
"""Below this many clips an interval is at least as wide as Wilson's: a bootstrap of 12 right answers knows nothing but right answers."""

MIN_SPEAKERS = 4
"""From this many test speakers on, intervals are drawn over speakers, whose clips are alike; below, over clips."""

N_BINS = curves.N_BINS
INTERVAL_SHARE = 0.95

OVERALL = "all corpora"
"""The name of the figures over several corpora, in place of a corpus's."""

SEEN = ("speaker", "sentence", "twin")
"""What of a test clip may have been in training: its speaker, its sentence, the very recording (or an augmented copy of it)."""

SURE = ("answered", "right")

_OPTIONAL = ("curves", "seen", "human", "sure", "under")
"""Figures that older cards lack."""


Unit = Literal["speakers", "clips"]


class LabelFigures(TypedDict):
    """Figures of one label, and how many clips have it."""

    precision: Share
    recall: Share
    f1: Share
    n: Count


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What one model reached on the held-out clips of one corpus; all shares and probabilities lie in 0..1.

    labels: what the model may answer, in order. n_clips and n_test_speakers: what it was tested on. chance: 1 / number of
    labels that occur in the test. uar: unweighted average recall. uar, macro_f1 and macro_precision are means over the
    labels that occur in the test, and per_label (label -> precision, recall, f1, n clips) lists these: a corpus without
    "calm" says nothing of it, though a wrong "calm" costs the recall of another label. confusion: counts (n_labels,
    n_labels), rows true and columns answered, both in the order of `labels`. ece: expected calibration error. interval:
    "uar" and "accuracy" -> (low, high) of 95 %, by bootstrap over interval_over ("speakers" or "clips"), of few clips Wilson's
    if wider. Not every evaluation has the rest. curves: ROC, reliability and how sure it was. seen: each of SEEN -> share of the test
    clips that had it in training. human: accuracy of people on the same clips, where it was published. sure: where the model has a
    threshold, "answered" and "right" -> of how many clips its top probability reached it, and how many of these answers were right.
    under: condition, with its level -> accuracy on the same clips under it.
    """

    protocol: str
    corpus: str
    labels: tuple[str, ...]
    n_clips: Count
    n_test_speakers: Count
    chance: Share
    accuracy: Share
    uar: Share
    macro_f1: Share
    macro_precision: Share
    ece: Share
    interval: Mapping[str, Point]
    interval_over: Unit
    per_label: Mapping[str, LabelFigures]
    confusion: tuple[tuple[Count, ...], ...]
    curves: Curves | None = None
    seen: Mapping[str, Share] | None = None
    human: Share | None = None
    sure: Mapping[str, Count] | None = None
    under: Mapping[str, Share] | None = None

    @property
    def favourite(self) -> tuple[str, float]:
        """The label that was answered most often, and its share of all answers."""
        answered = np.sum(self.confusion, axis=0)
        most = int(answered.argmax())
        return self.labels[most], float(answered[most] / max(self.n_clips, 1))

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON values, without those that it lacks; Evaluation.from_dict(that) equals self."""
        there = {
            name: value
            for name, value in untrusted_json.plain(self).items()
            if name not in _OPTIONAL or value is not None
        }
        return there | ({"curves": self.curves.to_dict()} if self.curves else {})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Evaluation:
        """Build an Evaluation from JSON values.

        Raises
        ------
        ConfigError : if an entry is missing, unknown, of another type or size, or a share lies outside 0..1.
        """
        try:
            if isinstance(values, Mapping) and values.get("curves") is not None:
                values = {**values, "curves": Curves.from_dict(values["curves"])}
            evaluation = untrusted_json.convert(values, cls)
        except ValueError as error:
            raise ConfigError(f"An evaluation cannot be used ({error}). Run the evaluation again.") from None
        _check_sizes(evaluation)
        return evaluation


def by_corpus(
    y_true: np.ndarray,
    probabilities: np.ndarray,
    corpora: np.ndarray,
    *,
    labels: Sequence[str],
    speakers: np.ndarray,
    protocol: str,
    overall: bool = True,
    seen: Mapping[str, np.ndarray] | None = None,
    human: Mapping[str, float | None] | None = None,
    threshold: float | np.ndarray | None = None,
) -> dict[str, Evaluation]:
    """Return the figures of one model by corpus; where there are several, those over all clips come first, as OVERALL.

    corpora : str (n_clips,), the corpus of each clip. overall : whether those over all are wanted. human : corpus -> accuracy of people.
    The others are as in `evaluate`.
    """
    there = [str(name) for name in dict.fromkeys(corpora)]
    masks = {name: corpora == name for name in there}
    if overall and len(there) > 1:
        masks = {OVERALL: np.ones(len(corpora), bool), **masks}
    return {
        name: evaluate(
            y_true[mask],
            probabilities[mask],
            labels=labels,
            speakers=speakers[mask],
            protocol=protocol,
            corpus=name,
            rng=np.random.default_rng(0),
            seen={kind: each[mask] for kind, each in seen.items()} if seen else None,
            human=(human or {}).get(name),
            threshold=threshold[mask] if isinstance(threshold, np.ndarray) else threshold,
        )
        for name, mask in masks.items()
    }


def evaluate(
    y_true: np.ndarray,
    probabilities: np.ndarray,
    *,
    labels: Sequence[str],
    speakers: np.ndarray,
    protocol: str,
    corpus: str,
    rng: np.random.Generator,
    n_bootstrap: int = 1000,
    seen: Mapping[str, np.ndarray] | None = None,
    human: float | None = None,
    threshold: float | np.ndarray | None = None,
    with_curves: bool = True,
) -> Evaluation:
    """Return the figures of one model on held-out clips.

    Parameters
    ----------
    y_true : int (n_clips,), positions in `labels`.
    probabilities : float (n_clips, n_labels), rows sum to 1; the largest is the answer.
    labels : what the columns mean.
    speakers : (n_clips,), who speaks in each clip.
    protocol, corpus : names that go with the figures.
    rng : draws the bootstrap samples.
    seen : each of SEEN -> bool (n_clips,), whether training had it; None where unknown.
    human : what goes with the figures as the accuracy of people.
    threshold : from which top probability on the model is sure, one for all or (n_clips,), chosen on other clips than
        these; None: it has none.
    with_curves : whether the curves are computed, which take most of the time.

    Raises
    ------
    ConfigError : if there is no clip at all.
    ValueError : if the arrays do not fit together, or rows are no probabilities.
    """
    from sklearn import metrics  # what reads stored figures can do without its 50 MB

    y_true, probabilities, speakers = np.asarray(y_true), np.asarray(probabilities, float), np.asarray(speakers)
    _check_arrays(y_true, probabilities, speakers, len(labels))
    answer = probabilities.argmax(axis=1)
    reached = np.zeros(len(y_true), bool) if threshold is None else probabilities.max(axis=1) >= threshold
    present = np.unique(y_true)
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        y_true, answer, labels=present, zero_division=0
    )
    interval, interval_over = _interval(y_true, answer, speakers, len(labels), rng, n_bootstrap)
    return Evaluation(
        protocol=protocol,
        corpus=corpus,
        labels=tuple(labels),
        n_clips=len(y_true),
        n_test_speakers=len(np.unique(speakers)),
        chance=1 / len(present),
        accuracy=float(metrics.accuracy_score(y_true, answer)),
        uar=float(recall.mean()),
        macro_f1=float(f1.mean()),
        macro_precision=float(precision.mean()),
        ece=ece(probabilities.max(axis=1), answer == y_true),
        interval=interval,
        interval_over=interval_over,
        per_label={
            labels[position]: {"precision": float(p), "recall": float(r), "f1": float(f), "n": int(n)}
            for position, p, r, f, n in zip(present, precision, recall, f1, support, strict=True)
        },
        confusion=tuple(map(tuple, metrics.confusion_matrix(y_true, answer, labels=range(len(labels))).tolist())),
        curves=curves.curves(y_true, probabilities, labels) if with_curves else None,
        seen=None if seen is None else {name: float(np.mean(seen[name])) for name in SEEN},
        human=human,
        sure=None
        if threshold is None
        else {"answered": int(reached.sum()), "right": int((reached & (answer == y_true)).sum())},
    )


def ece(confidence: np.ndarray, correct: np.ndarray, n_bins: int = N_BINS) -> float:
    """Return the expected calibration error, 0..1: the mean distance between confidence and accuracy over the bins of curves.reliability.

    Parameters
    ----------
    confidence : float (n_clips,), 0..1, the probability of the answer.
    correct : bool (n_clips,), whether the answer was right.
    n_bins : how many bins; each holds the same number of clips, up to one.
    """
    bins = curves.reliability(confidence, correct, n_bins)
    return float(sum(n * abs(right - sure) for n, sure, right in bins) / sum(n for n, _, _ in bins))


def _interval(
    y_true: np.ndarray,
    answer: np.ndarray,
    speakers: np.ndarray,
    n_labels: int,
    rng: np.random.Generator,
    n_bootstrap: int,
) -> tuple[dict[str, tuple[float, float]], Unit]:
    """Return the bounds of UAR and accuracy, and what was resampled.

    UAR and accuracy depend on the confusion counts only, so a bootstrap sample is a weighted sum of the speakers' counts; a
    sample of clips is a multinomial draw of the counts themselves.
    """
    cell = y_true * n_labels + answer
    names, speaker = np.unique(speakers, return_inverse=True)
    if len(names) >= MIN_SPEAKERS:
        counts = np.bincount(speaker * n_labels**2 + cell, minlength=len(names) * n_labels**2).reshape(len(names), -1)
        draws = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=n_bootstrap) @ counts
        over: Unit = "speakers"
    else:
        draws = rng.multinomial(len(cell), np.bincount(cell, minlength=n_labels**2) / len(cell), size=n_bootstrap)
        over = "clips"
    tables = draws.reshape(n_bootstrap, n_labels, n_labels)
    right = np.diagonal(tables, axis1=1, axis2=2)
    n_true = tables.sum(axis=2)
    recall = np.divide(right, n_true, out=np.zeros(right.shape), where=n_true > 0)
    samples = {"uar": recall.sum(axis=1) / (n_true > 0).sum(axis=1), "accuracy": right.sum(axis=1) / n_true.sum(axis=1)}
    tail = (1 - INTERVAL_SHARE) / 2
    bounds = {name: np.quantile(values, [tail, 1 - tail]) for name, values in samples.items()}
    found = {name: (float(low), float(high)) for name, (low, high) in bounds.items()}
    if len(cell) >= FEW_CLIPS:
        return found, over
    per_label = np.bincount(y_true, minlength=n_labels)
    recalls = np.bincount(y_true[y_true == answer], minlength=n_labels)[per_label > 0] / per_label[per_label > 0]
    equivalent = {  # a mean of K recalls is as uncertain as one share of so many clips, were all recalls alike
        "uar": (float(recalls.mean()), (per_label > 0).sum() ** 2 / (1 / per_label[per_label > 0]).sum()),
        "accuracy": (float((y_true == answer).mean()), float(len(cell))),
    }
    for name, (low, high) in found.items():
        least, most = wilson(*equivalent[name])
        found[name] = min(low, least), max(high, most)
    return found, over


def wilson(share: float, n: float) -> tuple[float, float]:
    """Return the bounds of 95 % of a share, 0..1, that was counted among n (Wilson 1927): wide where n is small, also for none or all."""
    z = 1.959964
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return float(max(centre - half, 0.0)), float(min(centre + half, 1.0))


def _check_arrays(y_true: np.ndarray, probabilities: np.ndarray, speakers: np.ndarray, n_labels: int) -> None:
    n = len(y_true)
    if n == 0:
        raise ConfigError(
            "There are 0 clips to evaluate; at least 1 is needed. Choose a corpus that has clips with the model's labels."
        )
    if y_true.shape != (n,) or y_true.dtype.kind not in "iu" or y_true.min() < 0 or y_true.max() >= n_labels:
        raise ValueError(
            f"y_true must be integers (n_clips,) in 0..{n_labels - 1}. Got {y_true.dtype} of shape {y_true.shape}."
        )
    if probabilities.shape != (n, n_labels) or speakers.shape != (n,):
        raise ValueError(
            f"Expected probabilities of shape {(n, n_labels)} and speakers of shape {(n,)}. Got {probabilities.shape} and {speakers.shape}."
        )
    if not (
        np.isfinite(probabilities).all()
        and (probabilities >= 0).all()
        and np.allclose(probabilities.sum(axis=1), 1, atol=1e-3)
    ):
        raise ValueError("Each row of probabilities must be finite, not negative and sum to 1.")


def _check_sizes(evaluation: Evaluation) -> None:
    n, n_clips = len(evaluation.labels), evaluation.n_clips
    confusion = evaluation.confusion
    if len(confusion) != n or any(len(row) != n for row in confusion) or sum(map(sum, confusion)) != evaluation.n_clips:
        raise ConfigError(
            f"An evaluation's confusion matrix must be {n} by {n} and count {evaluation.n_clips} clips. Run the evaluation again."
        )
    if not set(evaluation.per_label) <= set(evaluation.labels):
        raise ConfigError("An evaluation has figures for labels that it does not list. Run the evaluation again.")
    for name, names in (("interval", ("uar", "accuracy")), ("seen", SEEN), ("sure", SURE)):
        found = getattr(evaluation, name)
        if found is not None and set(found) != set(names):
            raise ConfigError(f"An evaluation's {name} has the entries {', '.join(names)}. Got {', '.join(found)}.")
    if evaluation.sure and not evaluation.sure["right"] <= evaluation.sure["answered"] <= n_clips:
        raise ConfigError(
            f"An evaluation's clips answered and right must be at most {n_clips}. Got {dict(evaluation.sure)}."
        )
    for name, (low, high) in evaluation.interval.items():
        if low > high:
            raise ConfigError(
                f"An evaluation's interval of {name} runs from {low} to {high}. Run the evaluation again."
            )
