"""The training recordings that a clip is nearest to in the space of KNN, and the file beside such a model that says which they are.

`keep` writes that file when a model is trained; `nearest` finds a clip's neighbours. The file is bound to the weights by their hash.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from msgspec import Meta

from ser_core.classifiers.contract import Classifier, Neighbourhood
from ser_core.corpora import catalogue
from ser_core.errors import ModelError
from ser_core.recognition.card import ModelCard
from ser_core.recognition.recognizer import Recognizer
from ser_core.system import files, untrusted_json, untrusted_text

if TYPE_CHECKING:
    import pandas as pd

    from ser_core.dataset.build import Dataset

FILE = "recordings.json"
MAX_BYTES = 20 * 2**20
N_NEAREST = 8

SYNTHETIC = -1
"""Stands for a row without a recording: balancing has made it up between two others."""

_SAME = 1e-6
"""Distance below which a training clip is a row of the model: rounding errors of a projection."""

Names = list[Annotated[str, Meta(max_length=200)]]


@dataclass(frozen=True)
class Recordings:
    """Which recording each row of a KNN model is. corpus, name, speaker: of each recording; clip: the recording of each row, or SYNTHETIC;
    copy: 0 for the recording itself, else the number of its augmented copy. weights: the hash of the weight file.
    """

    weights: str
    corpus: Names
    name: Names
    speaker: Names
    clip: list[int]
    copy: list[int]

    @property
    def is_sound(self) -> bool:
        """Whether the lists fit each other."""
        n = len(self.name)
        return (
            len(self.corpus) == len(self.speaker) == n
            and len(self.clip) == len(self.copy)
            and all(SYNTHETIC <= each < n for each in self.clip)
            and all(0 <= each < 1000 for each in self.copy)
        )


@dataclass(frozen=True)
class Neighbour:
    """A training recording near a clip: its label, how far it is, and which it is, "" where the model does not say. copy: as Recordings."""

    label: str
    distance: float
    corpus: str = ""
    name: str = ""
    speaker: str = ""
    copy: int = 0


@dataclass(frozen=True)
class Neighbours:
    """Where a clip lies among the training recordings of a KNN model.

    nearest: the nearest recordings, one row each. votes: label -> how many of the n_voters rows that vote have it. cloud: of each of these
    rows, x, y and label around the clip at the origin; the distance from it is the true one. named: whether the model says which they are.
    """

    nearest: tuple[Neighbour, ...]
    n_voters: int
    votes: dict[str, int]
    cloud: tuple[tuple[float, float, str], ...]
    named: bool

    @property
    def sentence(self) -> str:
        """What the neighbours have in common, in words."""
        label = max(self.votes, key=lambda each: self.votes[each])
        same = sum(each.label == label for each in self.nearest)
        return (
            f"Of the {self.n_voters} training clips that are most alike, {self.votes[label]} are {label}; so are {same} of the "
            f"{len(self.nearest)} nearest recordings."
        )


def nearest(recognizer: Recognizer, items: np.ndarray, recordings: Recordings | None) -> Neighbours:
    """Return the neighbours of a clip. items: its summary, (1, n_columns); recordings: what `read` gave. Raises ModelError."""
    space: Neighbourhood | None = getattr(recognizer.classifier, "neighbourhood", None)
    if space is None:
        raise ModelError(f"Model '{recognizer.slug}' does not compare a clip with training clips.")
    if recordings and len(recordings.clip) != len(space.points):
        recordings = None
    place = space.project(items)[0]
    offsets = space.points - place
    distances = np.linalg.norm(offsets, axis=1)
    order = np.argsort(distances, kind="stable")
    voters = order[: space.n_voters]
    votes = {label: int((space.labels[voters] == number).sum()) for number, label in enumerate(recognizer.labels)}
    return Neighbours(
        nearest=tuple(
            _neighbour(row, recognizer.labels[space.labels[row]], float(distances[row]), recordings)
            for row in _each_recording_once(order, recordings)
        ),
        n_voters=len(voters),
        votes={label: n for label, n in votes.items() if n},
        cloud=_cloud(offsets[voters], [recognizer.labels[space.labels[row]] for row in voters]),
        named=recordings is not None,
    )


def _each_recording_once(order: np.ndarray, recordings: Recordings | None) -> list[int]:
    """Return the first rows that are of different recordings, N_NEAREST at most; where they are not known, or made up, each row counts."""
    found: list[int] = []
    known: set[int] = set()
    for row in map(int, order):
        clip = recordings.clip[row] if recordings else SYNTHETIC
        if clip == SYNTHETIC or clip not in known:
            found.append(row)
            known.add(clip)
        if len(found) == N_NEAREST:
            break
    return found


def _neighbour(row: int, label: str, distance: float, recordings: Recordings | None) -> Neighbour:
    distance = round(distance, 4)
    if recordings is None or recordings.clip[row] == SYNTHETIC:
        return Neighbour(label, distance)
    clip = recordings.clip[row]
    corpus, name, speaker = (
        untrusted_text.one_line(each[clip]) for each in (recordings.corpus, recordings.name, recordings.speaker)
    )
    return Neighbour(label, distance, corpus, name, speaker, recordings.copy[row])


def _cloud(offsets: np.ndarray, labels: Sequence[str]) -> tuple[tuple[float, float, str], ...]:
    """Return points in the plane in which offsets from the clip, (n, n_axes), spread most; each as far from the origin as it is."""
    centred = offsets - offsets.mean(axis=0)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:2]
    flat = offsets @ axes.T
    flat = np.pad(flat, ((0, 0), (0, 2 - flat.shape[1])))
    angle = np.arctan2(flat[:, 1], flat[:, 0])
    length = np.linalg.norm(offsets, axis=1)
    return tuple(
        (round(float(x), 4), round(float(y), 4), label)
        for x, y, label in zip(length * np.cos(angle), length * np.sin(angle), labels, strict=True)
    )


def keep(
    card: ModelCard, classifier: Classifier, clips: pd.DataFrame, data: Dataset, folder: Path
) -> Recordings | None:
    """Write beside a KNN model of a models folder which of the clips its rows are, and return that; do nothing for another model.

    clips, data: what it was trained on, or more. A full disk is no fault: the model then names no recordings.
    """
    space: Neighbourhood | None = getattr(classifier, "neighbourhood", None)
    if space is None:
        return None
    found = match(space, clips, data, weights=card.files["model.skops"])
    path = folder / card.slug / FILE
    try:
        files.write_atomically(
            path, json.dumps(untrusted_json.plain(found), ensure_ascii=False, separators=(",", ":")) + "\n"
        )
        path.chmod(0o644)
    except OSError:
        path.unlink(missing_ok=True)
    return found


def match(space: Neighbourhood, clips: pd.DataFrame, data: Dataset, *, weights: str) -> Recordings:
    """Return which rows of a Dataset the points of a space are: those that are projected to the same place."""
    from scipy.spatial import cKDTree  # training only

    places = space.project(data.vectors)
    distance, row = cKDTree(places).query(
        space.points, distance_upper_bound=_SAME * max(float(np.abs(places).max()), 1.0)
    )
    known = np.isfinite(distance)
    used, clip = np.unique(data.clip[row[known]], return_inverse=True)
    of_point = np.full(len(space.points), SYNTHETIC)
    of_point[known] = clip
    copy = np.zeros(len(space.points), int)
    copy[known] = data.copy[row[known]]
    table = clips.iloc[used]
    return Recordings(
        weights=weights,
        corpus=[str(each) for each in table[catalogue.CORPUS]],
        name=[str(each)[:200] for each in table[catalogue.NAME]],
        speaker=[str(each)[:200] for each in table[catalogue.SPEAKER]],
        clip=of_point.tolist(),
        copy=copy.tolist(),
    )


def read(card: ModelCard, folder: Path) -> Recordings | None:
    """Return which recordings the rows of a model are; None where it does not say, or the file is damaged or of other weights."""
    if card.imported:
        return None
    try:
        content = files.read_limited(folder / card.slug / FILE, MAX_BYTES)
        found = untrusted_json.convert(untrusted_json.loads(content), Recordings)
    except (OSError, ValueError):
        return None
    return found if found.is_sound and found.weights == card.files.get("model.skops") else None
