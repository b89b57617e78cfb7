"""KNN's neighbours: those that lie nearest in its space, told by name where the model says which recordings it keeps."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ser_core import classifiers
from ser_core.corpora import catalogue
from ser_core.dataset.build import Dataset
from ser_core.dataset.cache import FACTS
from ser_core.errors import ModelError
from ser_core.explanation import neighbours
from ser_core.explanation.neighbours import SYNTHETIC, Recordings
from ser_core.features.config import FeatureConfig
from ser_core.recognition import store
from ser_core.recognition.recognizer import Recognizer
from tests.support.models import build

LABELS = ("angry", "happy", "sad")
N_CLIPS, N_COPIES = 30, 2


@pytest.fixture(scope="module")
def clips() -> pd.DataFrame:
    labels = [LABELS[number % 3] for number in range(N_CLIPS)]
    names = [f"clip {number}" for number in range(N_CLIPS)]
    speakers = [f"own:{number % 5}" for number in range(N_CLIPS)]
    table = {catalogue.CORPUS: "own", catalogue.NAME: names, catalogue.SPEAKER: speakers, catalogue.EMOTION: labels}
    return pd.DataFrame(table)


@pytest.fixture(scope="module")
def data(clips: pd.DataFrame) -> Dataset:
    """Each clip and its copies a short way from the place of its label."""
    rng = np.random.default_rng(0)
    clip = np.repeat(np.arange(N_CLIPS), 1 + N_COPIES)
    centres = 4 * np.eye(3, 6)[clip % 3] + rng.normal(size=(N_CLIPS, 6))[clip]
    n = len(clip)
    return Dataset(
        vectors=(centres + 0.1 * rng.normal(size=(n, 6))).astype(np.float32),
        embeddings=np.zeros((n, 0), np.float32),
        windows=np.zeros((0, 1, 1), np.float16),
        window_row=np.zeros(0, int),
        clip=clip,
        copy=np.tile(np.arange(1 + N_COPIES), N_CLIPS),
        problems=(),
        facts=pd.DataFrame(np.zeros((n, len(FACTS))), columns=list(FACTS)),
    )


@pytest.fixture(scope="module")
def knn(data: Dataset) -> Recognizer:
    """KNN that has learned from all clips but the last three, whose places it was not told."""
    rows = data.clip < N_CLIPS - 3
    classifier = classifiers.build("knn", LABELS, {"n_neighbors": 5, "shrinkage": 0.1})
    classifier.fit(data.vectors[rows], data.clip[rows] % 3)
    return Recognizer("knn", FeatureConfig(), LABELS, classifier, "vector")


@pytest.fixture(scope="module")
def recordings(knn: Recognizer, clips: pd.DataFrame, data: Dataset) -> Recordings:
    return neighbours.match(knn.classifier.neighbourhood, clips, data, weights="w")


def test_the_rows_of_a_model_are_found_among_all_clips(recordings, data):
    rows = data.clip < N_CLIPS - 3
    assert recordings.is_sound and len(recordings.name) == N_CLIPS - 3
    assert [int(recordings.name[each].split()[1]) for each in recordings.clip] == data.clip[rows].tolist()
    assert recordings.copy == data.copy[rows].tolist()


def test_a_row_between_two_clips_is_of_no_recording(knn, clips, data):
    space = knn.classifier.neighbourhood
    made_up = dataclasses.replace(
        space, points=np.concatenate([space.points, space.points[:2].mean(axis=0)[np.newaxis]])
    )
    assert neighbours.match(made_up, clips, data, weights="w").clip[-1] == SYNTHETIC


def test_a_training_clip_is_its_own_nearest_neighbour_and_each_recording_comes_once(knn, recordings, data):
    row = int(np.flatnonzero((data.clip == 4) & (data.copy == 1))[0])
    found = neighbours.nearest(knn, data.vectors[row][np.newaxis], recordings)
    first = found.nearest[0]
    assert (first.name, first.speaker, first.corpus, first.copy, first.label) == ("clip 4", "own:4", "own", 1, "happy")
    assert first.distance == pytest.approx(0, abs=1e-4)
    assert len(found.nearest) == neighbours.N_NEAREST == len({each.name for each in found.nearest})
    distances = [each.distance for each in found.nearest]
    assert distances == sorted(distances) and found.named


def test_the_nearest_are_those_of_the_space_and_the_votes_those_of_the_classifier(knn, recordings, data):
    items = data.vectors[data.clip == N_CLIPS - 1][:1]
    found = neighbours.nearest(knn, items, recordings)
    distances, rows = knn.classifier.pipeline_[-1].kneighbors(knn.classifier.pipeline_[:-1].transform(items))
    assert found.n_voters == 5 == sum(found.votes.values()) == len(found.cloud)
    labels = [LABELS[number] for number in knn.classifier.neighbourhood.labels[rows[0]]]
    assert [label for _, _, label in found.cloud] == labels
    np.testing.assert_allclose([np.hypot(x, y) for x, y, _ in found.cloud], distances[0], atol=1e-3)
    assert "Of the 5 training clips" in found.sentence and max(found.votes, key=found.votes.get) in found.sentence


def test_without_a_list_the_neighbours_have_labels_and_distances_alone(knn, recordings, data):
    items = data.vectors[:1]
    short = dataclasses.replace(recordings, clip=recordings.clip[:-1], copy=recordings.copy[:-1])
    for none in (None, short):
        found = neighbours.nearest(knn, items, none)
        assert not found.named and not any(each.name or each.corpus or each.speaker for each in found.nearest)
        assert len(found.nearest) == neighbours.N_NEAREST
    with pytest.raises(ModelError, match="does not compare"):
        neighbours.nearest(dataclasses.replace(knn, classifier=None), items, recordings)


@pytest.fixture
def saved(knn: Recognizer, clips: pd.DataFrame, data: Dataset, tmp_path: Path):
    """The card of the model in a models folder of its own, with its list."""
    build(tmp_path)
    card = store.read_card("knn", tmp_path)
    assert neighbours.keep(card, knn.classifier, clips, data, tmp_path)
    return card


def test_the_list_comes_back_and_belongs_to_these_weights_alone(saved, tmp_path, knn, clips, data):
    found = neighbours.read(saved, tmp_path)
    assert found is not None and found.is_sound and found.name[found.clip[0]] == "clip 0"
    assert neighbours.read(dataclasses.replace(saved, files={"model.skops": "0" * 64}), tmp_path) is None
    assert neighbours.read(dataclasses.replace(saved, training={"imported": "2026"}), tmp_path) is None
    assert neighbours.read(store.read_card("mlp", tmp_path), tmp_path) is None
    mlp = classifiers.build("mlp", LABELS, {"hidden": 4, "epochs": 1}).fit(data.vectors, data.clip % 3)
    assert neighbours.keep(saved, mlp, clips, data, tmp_path) is None


@pytest.mark.parametrize(
    "change",
    [
        {"clip": [99_999]},
        {"clip": "many"},
        {"copy": [-1]},
        {"name": [1]},
        {"speaker": []},
        {"name": ["x" * 201]},
        {"more": 1},
    ],
    ids=str,
)
def test_a_damaged_list_is_none(saved, tmp_path, change):
    path = tmp_path / "knn" / neighbours.FILE
    values = json.loads(path.read_text())
    path.write_text(json.dumps(values | change))
    assert neighbours.read(saved, tmp_path) is None
    path.write_text("[" * 100_000)
    assert neighbours.read(saved, tmp_path) is None
    path.write_text(" " * (neighbours.MAX_BYTES + 1))
    assert neighbours.read(saved, tmp_path) is None


def test_names_are_fit_to_show(knn, recordings, data):
    odd = dataclasses.replace(recordings, name=["a\nb\u202e"] * len(recordings.name))
    found = neighbours.nearest(knn, data.vectors[:1], odd)
    assert all(each.name.isprintable() for each in found.nearest)
