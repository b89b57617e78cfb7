"""One answer of all models: which pool applies, what it says, and what is refused in its file."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from ser_core.corpora import catalogue
from ser_core.errors import ModelError
from ser_core.metrics import pooling
from ser_core.recognition import analysis, store, timeline, together
from ser_core.recognition.recognizer import Prediction
from tests.support import models
from tests.support.shell import NO_SPEECH, SPEECH

SLUGS = tuple(models.TITLES)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.build(tmp_path_factory.mktemp("models"))


@pytest.fixture
def folder(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "models"))


def digests(folder: Path) -> dict[str, str]:
    return {card.slug: together.digest(card) for card in store.list_models(folder)[0]}


def says(slug: str, *probabilities: float) -> Prediction:
    shares = dict(zip(catalogue.LABELS, [*probabilities, *[0.0] * 8][:8], strict=True))
    return Prediction(slug, max(shares, key=lambda label: shares[label]), shares, 1.5)


def test_a_pool_is_what_was_written(folder):
    pools = models.pool(folder, SLUGS, SLUGS[:2], threshold=0.5)
    assert together.read(folder) == pools


def test_without_a_file_there_is_no_such_answer(folder):
    answers = [says(slug, 0.7, 0.3) for slug in SLUGS]
    assert together.read(folder) == () and together.problem(folder) == ""
    assert together.lead(answers, digests(folder), folder) == answers


def test_the_answer_is_the_weighted_product_with_a_threshold_of_its_own(folder):
    (pool,) = models.pool(folder, threshold=0.9)
    shares = [(0.6, 0.4), (0.3, 0.7), (0.2, 0.8), (0.6, 0.4), (0.4, 0.6)]
    answers = [says(slug, *each) for slug, each in zip(SLUGS, shares, strict=True)]
    whole, *alone = together.lead(answers, digests(folder), folder)
    assert alone == answers
    expected = pooling.pool(np.array([list(each.probabilities.values()) for each in answers]), np.full(len(SLUGS), 0.4))
    assert list(whole.probabilities.values()) == pytest.approx(expected)
    assert (whole.model, whole.label, whole.sure) == ("together", catalogue.LABELS[1], False)
    assert whole.milliseconds == sum(each.milliseconds for each in answers)
    assert together.apart([whole, *alone]) == (whole, answers) and together.apart(answers) == (None, answers)
    assert pool.threshold == whole.threshold == 0.9


def test_the_largest_pool_answers_of_which_all_models_did(folder):
    models.pool(folder, SLUGS[:2], SLUGS[:3], SLUGS)
    known = digests(folder)

    def sizes(slugs: tuple[str, ...]) -> float:
        whole, _ = together.apart(together.lead([says(slug, 0.7, 0.3) for slug in slugs], known, folder))
        return whole.milliseconds / 1.5 if whole else 0

    assert [sizes(SLUGS), sizes(("knn", "mlp", "cnn")), sizes(("knn", "mlp", "cnn_lstm"))] == [len(SLUGS), 3, 2]
    assert [sizes(("knn", "cnn", "cnn_lstm")), sizes(())] == [0, 0]


@pytest.mark.parametrize("change", [{"temperature": 1.5}, {"files": {"weights.npz": "0" * 64}}])
def test_weights_do_not_apply_to_a_model_that_was_made_again(folder, change):
    (pool,) = models.pool(folder)
    card = dataclasses.replace(store.read_card("cnn", folder), **change)
    known = digests(folder) | {"cnn": together.digest(card)}
    assert together.choose(folder, digests(folder)) == pool
    assert together.choose(folder, known) is None
    renamed = dataclasses.replace(store.read_card("cnn", folder), title="Another", threshold=0.3, evaluation=None)
    assert together.digest(renamed) == digests(folder)["cnn"]


def test_a_clip_and_a_long_recording_have_it(folder):
    models.pool(folder)
    recognizers = [store.load(slug, folder) for slug in SLUGS]
    clip = analysis.analyse(SPEECH)
    found = analysis.recognize(recognizers, clip, folder=folder)
    assert [each.model for each in found] == ["together", *SLUGS]
    assert [each.model for each in analysis.recognize(recognizers, clip)] == list(SLUGS)
    assert analysis.recognize(recognizers, analysis.analyse(NO_SPEECH), folder=folder) == []
    values = analysis.to_dict("a.wav", clip, found)
    assert values["together"]["label"] == found[0].label
    assert [each["model"] for each in values["predictions"]] == list(SLUGS)
    long = timeline.analyse(SPEECH, timeline.window_predictor(recognizers, folder=folder))
    assert [each.model for each in timeline.overall(long)] == ["together", *SLUGS]
    assert set(timeline.to_dict("a.wav", long)["segments"][0]) >= {"together", "predictions"}


def test_no_model_may_have_its_name(folder):
    assert (
        store.add(lambda part: dataclasses.replace(store.read_card("mlp", folder), title="Together"), folder).slug
        == "together-2"
    )
    shutil.copytree(folder / "mlp", folder / "together")
    with pytest.raises(ModelError, match="not a model's name"):
        store.read_card("together", folder)


def test_a_file_that_changes_is_read_again(folder):
    models.pool(folder)
    assert together.read(folder)
    (folder / together.FILE).unlink()
    assert together.read(folder) == ()


def damaged(folder: Path, change) -> str:
    """Write together.json with a change, and return the problem that the models folder has."""
    path = folder / together.FILE
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))
    os.utime(path, ns=(1, path.stat().st_size))
    assert together.choose(folder, digests(folder)) is None
    (problem,) = store.list_models(folder)[1]
    return problem


def in_pool(name: str, value: object):
    return lambda values: values["pools"][0].update({name: value})


BAD_WEIGHTS = [
    {"knn": -0.1, "mlp": 1},
    {"knn": 1e9, "mlp": 1},
    {"knn": "1", "mlp": 1},
    {"knn": True, "mlp": 1},
    {"knn": float("nan"), "mlp": 1},
    {"knn": float("inf"), "mlp": 1},
    {"knn": 0, "mlp": 0},
    {"knn": 1},
    {"knn": 1, "../mlp": 1},
    {},
    [1, 2],
]


@pytest.mark.parametrize(
    "change",
    [
        *(in_pool("weights", weights) for weights in BAD_WEIGHTS),
        in_pool("digests", {"knn": 1, "mlp": 2}),
        in_pool("labels", ["happy"]),
        in_pool("labels", ["happy", "happy"]),
        in_pool("labels", ["happy", "<b>"]),
        in_pool("labels", "happy"),
        in_pool("threshold", 1.5),
        in_pool("threshold", float("nan")),
        in_pool("protocol", "\u202eabc"),
        in_pool("protocol", "a" * 5000),
        in_pool("per_corpus", []),
        in_pool("per_corpus", {"ravdess": {}}),
        in_pool("unheard", {"ravdess": 3}),
        in_pool("more", 1),
        lambda values: values["pools"][0].pop("labels"),
        lambda values: values["pools"][0]["per_corpus"].update({"\u202e": values["pools"][0]["per_corpus"]["ravdess"]}),
        lambda values: values["pools"][0]["per_corpus"]["ravdess"].update(accuracy=7),
        lambda values: values.update(pools=values["pools"] * 9),
        lambda values: values.update(pools=3),
        lambda values: values.update(pools=[3]),
        lambda values: values.update(format=2),
        lambda values: values.update(format=True),
        lambda values: values.update(more=1),
        lambda values: values.pop("format"),
    ],
)
def test_a_damaged_pool_is_a_sentence_and_not_applied(folder, change):
    models.pool(folder, SLUGS[:2])
    problem = damaged(folder, change)
    assert problem.startswith("together.json ") and "make models" in problem


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"[1]", b"null", b" " * (together.MAX_BYTES + 1), b'"' + b"9" * 99 + b'"'],
)
def test_a_file_that_is_no_pool_is_a_sentence(folder, content):
    (folder / together.FILE).write_bytes(content)
    assert together.problem(folder).startswith("together.json cannot be used: ")
    with pytest.raises(ModelError, match="make models"):
        together.read(folder)


def test_a_folder_in_its_place_is_a_sentence(folder):
    (folder / together.FILE).mkdir()
    assert together.problem(folder).startswith("together.json cannot be used: ")


def test_labels_that_are_not_the_models_make_no_answer(folder):
    models.pool(folder)
    path = folder / together.FILE
    values = json.loads(path.read_text())
    values["pools"][0] |= {"labels": [*catalogue.LABELS, "boredom"]}
    path.write_text(json.dumps(values))
    answers = [says(slug, 0.7, 0.3) for slug in SLUGS]
    assert together.lead(answers, digests(folder), folder) == answers
