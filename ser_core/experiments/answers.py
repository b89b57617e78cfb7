"""The clips behind a confusion matrix: what one model answered to each of them, and which ones a cell holds.

They come from a measurement (outcome.py), or from stored held-out answers (held_out.py) where these give the very matrix that was
published; pages have others of their own, from a batch or from takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ser_core.corpora import catalogue
from ser_core.experiments.outcome import Outcome
from ser_core.metrics.evaluation import OVERALL, Evaluation
from ser_core.training.held_out import HeldOut

ANSWERED, PROBABILITY, NEXT, NEXT_PROBABILITY = "answered", "probability", "next", "next_probability"
"""Columns of `Answers.table`, after those of the clips: the answer, and the most probable of the other labels."""

MODEL = "model"
"""The column of a clips table that says whose answer a row is, where it holds several models'."""

KNOWN = (catalogue.CORPUS, catalogue.NAME, catalogue.SPEAKER, MODEL)
"""Columns of a clips table that say which clip a row is, as far as it has them; its path on this machine is not among them."""

MAX_TIES = 1000
"""Clips of one label whose answer a stored file leaves open, at most: placing them takes the cube of their number."""


@dataclass(frozen=True)
class Answers:
    """What was answered to some clips, one answer a row.

    clips: the acted label (catalogue.EMOTION), and what there is of KNOWN. labels: what the columns of the probabilities mean.
    answered: positions in `labels`, int (n,). probabilities: float (n, n_labels), 0 for a label that the model does not know.
    """

    clips: pd.DataFrame
    labels: tuple[str, ...]
    answered: np.ndarray
    probabilities: np.ndarray

    def cell(self, acted: str, answered: str) -> np.ndarray:
        """Return the rows of one cell of the matrix, int (n,), the most probable answer first."""
        if answered not in self.labels:
            return np.zeros(0, int)
        place = self.labels.index(answered)
        inside = (self.clips[catalogue.EMOTION] == acted).to_numpy() & (self.answered == place)
        rows = np.flatnonzero(inside)
        return rows[np.argsort(-self.probabilities[rows, place], kind="stable")]

    def table(self, rows: np.ndarray) -> pd.DataFrame:
        """Return some rows in words: which clip, the acted label, the answer and its probability, the next label and that of it.

        The probabilities of all labels follow, as columns `p_label`; fractions 0..1.
        """
        own, answered = self.probabilities[rows], self.answered[rows]
        here = np.arange(len(rows))
        others = own.copy()
        others[here, answered] = -1
        following = others.argmax(axis=1)
        names = np.array(self.labels, dtype=object)
        columns = [name for name in KNOWN if name in self.clips]
        return (
            self.clips.iloc[rows][columns]
            .reset_index(drop=True)
            .assign(
                **{
                    "acted": self.clips[catalogue.EMOTION].to_numpy()[rows],
                    ANSWERED: names[answered],
                    PROBABILITY: own[here, answered],
                    NEXT: names[following],
                    NEXT_PROBABILITY: own[here, following],
                    **{f"p_{label}": own[:, place] for place, label in enumerate(self.labels)},
                }
            )
        )


def of_outcome(outcome: Outcome) -> Answers:
    """Return the answers of a measurement."""
    acted = np.array(outcome.labels, dtype=object)[outcome.y]
    clips = outcome.clips.assign(**{catalogue.EMOTION: acted})
    return Answers(clips, outcome.labels, outcome.answer, outcome.probabilities)


def stored(parts: Sequence[HeldOut], slug: str, figures: Evaluation) -> Answers | None:
    """Return the stored answers of a model that give the confusion matrix of these figures; None where there are none."""
    for part in parts:
        fits = part.protocol == figures.protocol and not part.condition and part.labels == tuple(figures.labels)
        if not fits or slug not in part.probabilities:
            continue
        inside = np.ones(len(part.clips), bool)
        if figures.corpus != OVERALL:
            inside = (part.clips[catalogue.CORPUS] == figures.corpus).to_numpy()
        probabilities = part.probabilities[slug][inside]
        answered = _placed(part.y[inside], probabilities, np.array(figures.confusion))
        if answered is not None:
            return Answers(part.clips[inside].reset_index(drop=True), part.labels, answered, probabilities)
    return None


def _placed(y: np.ndarray, probabilities: np.ndarray, confusion: np.ndarray) -> np.ndarray | None:
    """Return the answers, int (n,), which are leading ones and give a confusion matrix; None where no choice among equals does.

    Where a file's steps leave two labels equally probable, the matrix says how many clips went to each.
    """
    from scipy import optimize  # few pages ask: what serves them starts without

    leads = probabilities == probabilities.max(axis=1, keepdims=True) if len(y) else np.zeros(probabilities.shape, bool)
    answered: np.ndarray = leads.argmax(axis=1)
    tied = leads.sum(axis=1) > 1
    counts = np.zeros(confusion.shape, int)
    np.add.at(counts, (y[~tied], answered[~tied]), 1)
    left = confusion - counts
    if (left < 0).any() or not np.array_equal(left.sum(axis=1), np.bincount(y[tied], minlength=len(left))):
        return None
    for label in np.unique(y[tied]):
        rows = np.flatnonzero(tied & (y == label))
        places = np.repeat(np.arange(len(left)), left[label])
        if len(rows) > MAX_TIES:
            return None
        refused = ~leads[np.ix_(rows, places)]
        chosen, slots = optimize.linear_sum_assignment(refused)
        if refused[chosen, slots].any():
            return None
        answered[rows[chosen]] = places[slots]
    return answered
