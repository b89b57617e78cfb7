"""Figures against scikit-learn's, and against cases whose answer is known."""

import json
import time
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics

from ser_core.corpora import catalogue
from ser_core.errors import ConfigError
from ser_core.metrics import evaluation
from ser_core.metrics.evaluation import Evaluation

LABELS = catalogue.LABELS


def a_test(*, seed=0, n=600, n_speakers=12, skill=2.0, labels=LABELS, missing=()):
    """True labels, probabilities of a model of some skill, and speakers; labels at `missing` positions never occur."""
    rng = np.random.default_rng(seed)
    y = rng.choice([each for each in range(len(labels)) if each not in missing], n)
    scores = rng.normal(size=(n, len(labels)))
    scores[np.arange(n), y] += skill * rng.random(n)
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    speakers = np.array([f"ravdess:{each:02d}" for each in rng.integers(1, n_speakers + 1, n)])
    return y, probabilities, speakers


def measure(y, probabilities, speakers, *, labels=LABELS, seed=0, **options):
    return evaluation.evaluate(
        y,
        probabilities,
        labels=labels,
        speakers=speakers,
        protocol="speaker",
        corpus="ravdess",
        rng=np.random.default_rng(seed),
        **options,
    )


@pytest.mark.parametrize("missing", [(), (1,), (0, 3, 7)])
@pytest.mark.parametrize("seed", range(5))
def test_figures_equal_scikit_learn(seed, missing):
    y, probabilities, speakers = a_test(seed=seed, missing=missing, n=80)
    found = measure(y, probabilities, speakers)
    answer = probabilities.argmax(axis=1)
    present = sorted(set(y))
    options = {"labels": present, "average": "macro", "zero_division": 0}
    assert found.accuracy == pytest.approx(metrics.accuracy_score(y, answer))
    assert found.uar == pytest.approx(metrics.recall_score(y, answer, **options))
    assert found.macro_f1 == pytest.approx(metrics.f1_score(y, answer, **options))
    assert found.macro_precision == pytest.approx(metrics.precision_score(y, answer, **options))
    assert np.array_equal(found.confusion, metrics.confusion_matrix(y, answer, labels=range(len(LABELS))))
    assert found.n_clips == 80
    assert found.n_test_speakers == len(set(speakers))
    assert found.chance == pytest.approx(1 / len(present))
    assert list(found.per_label) == [LABELS[each] for each in present]
    for position in present:
        row = found.per_label[LABELS[position]]
        assert row["n"] == (y == position).sum()
        assert row["recall"] == pytest.approx((answer[y == position] == position).mean())
        assert row["precision"] == pytest.approx(
            metrics.precision_score(y == position, answer == position, zero_division=0)
        )


def test_uar_equals_balanced_accuracy_where_no_label_is_missing():
    y, probabilities, speakers = a_test(seed=9)
    assert measure(y, probabilities, speakers).uar == pytest.approx(
        metrics.balanced_accuracy_score(y, probabilities.argmax(axis=1))
    )


def test_a_perfect_model_has_one_everywhere():
    y, _, speakers = a_test()
    found = measure(y, np.eye(len(LABELS))[y], speakers)
    assert (found.accuracy, found.uar, found.macro_f1, found.macro_precision, found.ece) == (1, 1, 1, 1, 0)
    assert found.interval == {"uar": (1, 1), "accuracy": (1, 1)}


def test_one_constant_answer_has_the_uar_of_chance():
    y, _, speakers = a_test()
    probabilities = np.tile(np.eye(len(LABELS))[2], (len(y), 1))
    found = measure(y, probabilities, speakers)
    assert found.uar == pytest.approx(found.chance) == pytest.approx(1 / 8)
    assert found.accuracy == pytest.approx((y == 2).mean())


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("n_speakers", "over"), [(12, "speakers"), (4, "speakers"), (3, "clips"), (1, "clips")])
def test_the_interval_contains_the_figure(n_speakers, over, seed):
    found = measure(*a_test(seed=seed, n_speakers=n_speakers))
    assert found.interval_over == over
    for name in ("uar", "accuracy"):
        low, high = found.interval[name]
        assert 0 <= low < getattr(found, name) < high <= 1


def test_the_interval_over_clips_is_the_binomial_one():
    y, probabilities, _ = a_test(n=2000)
    found = measure(y, probabilities, np.full(2000, "tess:OAF"), n_bootstrap=4000)
    half = 1.96 * np.sqrt(found.accuracy * (1 - found.accuracy) / 2000)
    assert found.interval["accuracy"] == pytest.approx((found.accuracy - half, found.accuracy + half), abs=0.003)


def test_the_interval_over_speakers_is_wider_where_speakers_differ():
    y, probabilities, speakers = a_test(n=1200, skill=3.0)
    hard = np.isin(speakers, [f"ravdess:{each:02d}" for each in range(1, 7)])
    probabilities[hard] = probabilities[hard][:, ::-1]
    by_speaker = measure(y, probabilities, speakers).interval["accuracy"]
    by_clip = measure(y, probabilities, np.full(len(y), "one")).interval["accuracy"]
    assert np.diff(by_speaker) > 2 * np.diff(by_clip)


def test_the_interval_equals_a_plain_bootstrap():
    y, probabilities, speakers = a_test(n=300, n_speakers=8)
    answer, rng = probabilities.argmax(axis=1), np.random.default_rng(5)
    clips_of = {name: np.flatnonzero(speakers == name) for name in set(speakers)}
    uars = []
    for _ in range(1000):
        rows = np.concatenate([clips_of[name] for name in rng.choice(sorted(clips_of), len(clips_of))])
        uars.append(np.mean([(answer[rows][y[rows] == each] == each).mean() for each in np.unique(y[rows])]))
    found = measure(y, probabilities, speakers, n_bootstrap=4000).interval["uar"]
    assert found == pytest.approx(np.quantile(uars, [0.025, 0.975]), abs=0.01)


def test_the_same_seed_gives_the_same_interval():
    arrays = a_test()
    assert measure(*arrays) == measure(*arrays)
    assert measure(*arrays).interval != measure(*arrays, seed=1).interval


def test_a_thousand_samples_are_quick():
    y, probabilities, speakers = a_test(n=7442, n_speakers=91)
    start = time.perf_counter()
    measure(y, probabilities, speakers)
    assert time.perf_counter() - start < 1


def test_ece_is_small_for_a_calibrated_model_and_its_bias_for_another():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.2, 1, 50_000)
    correct = rng.random(50_000) < confidence
    assert evaluation.ece(confidence, correct) < 0.01
    assert evaluation.ece(np.minimum(confidence + 0.1, 1), correct) == pytest.approx(0.1, abs=0.02)


def test_ece_by_hand():
    assert evaluation.ece([0.2, 0.4, 0.8, 0.9], [0, 1, 1, 1], n_bins=2) == pytest.approx(
        (abs(0.5 - 0.3) + abs(1 - 0.85)) / 2
    )
    assert evaluation.ece([1.0] * 10, [True] * 7 + [False] * 3) == pytest.approx(0.3)


def test_ece_does_not_depend_on_the_order_of_equal_confidences():
    rng = np.random.default_rng(1)
    confidence, correct = rng.integers(3, 10, 500) / 9, rng.random(500) < 0.5
    shuffled = rng.permutation(500)
    assert evaluation.ece(confidence, correct) == pytest.approx(evaluation.ece(confidence[shuffled], correct[shuffled]))


def test_json_round_trip():
    found = measure(*a_test(missing=(1,)))
    assert Evaluation.from_dict(json.loads(json.dumps(found.to_dict()))) == found


@pytest.mark.parametrize("threshold", [0.4, np.linspace(0.2, 0.9, 600)], ids=["one", "a clip"])
def test_answers_at_a_threshold_are_counted(threshold):
    y, probabilities, speakers = a_test()
    found = measure(y, probabilities, speakers, threshold=threshold)
    reached = probabilities.max(axis=1) >= threshold
    assert found.sure == {"answered": reached.sum(), "right": (reached & (probabilities.argmax(axis=1) == y)).sum()}
    assert 0 < found.sure["right"] < found.sure["answered"] < found.n_clips
    assert Evaluation.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    assert measure(y, probabilities, speakers).sure is None


def test_figures_under_conditions_are_kept():
    found = replace(measure(*a_test()), under={"babble 10": 0.25})
    assert Evaluation.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_the_favourite_is_what_is_answered_most():
    y, _, speakers = a_test()
    probabilities = np.eye(len(LABELS))[np.where(np.arange(len(y)) % 4 == 0, 5, 2)]
    assert measure(y, probabilities, speakers).favourite == (LABELS[2], pytest.approx(0.75))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"accuracy": 68.4}, r"accuracy: expected float <= 1\.0, got 68\.4"),
        ({"uar": None}, "uar: expected float, got null"),
        ({"ece": float("nan")}, r"ece: expected float >= 0\.0, got nan"),
        ({"n_clips": 599}, "must be 8 by 8 and count 599 clips"),
        ({"n_test_speakers": -1}, "n_test_speakers: expected int >= 0, got -1"),
        ({"labels": ["sad"]}, "must be 1 by 1"),
        ({"confusion": [[1.5]]}, r"confusion\[0\]\[0\]: expected int, got float"),
        ({"interval": {"uar": [0.1, 0.2]}}, "accuracy"),
        ({"interval": {"uar": [0.3, 0.2], "accuracy": [0, 1]}}, "runs from 0.3 to 0.2"),
        ({"interval_over": "words"}, "interval_over"),
        ({"per_label": {"bored": {"precision": 0, "recall": 0, "f1": 0, "n": 0}}}, "labels that it does not list"),
        ({"per_label": 3}, "cannot be used"),
        ({"sure": {"answered": 5, "right": 6}}, "answered and right must be at most 600"),
        ({"sure": {"answered": 5}}, "right"),
        ({"under": {"babble 10": 3}}, r"under\[\.\.\.\]: expected float <= 1\.0"),
        ({"extra": 1}, "unknown entries: extra"),
    ],
)
def test_a_damaged_evaluation_is_refused(change, words):
    with pytest.raises(ConfigError, match=words):
        Evaluation.from_dict(measure(*a_test()).to_dict() | change)


def test_something_else_is_refused():
    with pytest.raises(ConfigError, match="missing or unknown entries"):
        Evaluation.from_dict([1])


def test_no_clips_is_an_error_that_says_so():
    with pytest.raises(ConfigError, match="0 clips to evaluate"):
        measure(np.array([], int), np.zeros((0, 8)), np.array([]))


@pytest.mark.parametrize(
    ("y", "probabilities", "words"),
    [
        (np.array([0, 8]), np.full((2, 8), 1 / 8), "0..7"),
        (np.array([0.0, 1.0]), np.full((2, 8), 1 / 8), "integers"),
        (np.array([0, 1]), np.full((2, 7), 1 / 7), "Expected probabilities of shape"),
        (np.array([0, 1]), np.full((2, 8), 1.0), "sum to 1"),
        (np.array([0, 1]), np.full((2, 8), np.nan), "finite"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(y, probabilities, words):
    with pytest.raises(ValueError, match=words):
        measure(y, probabilities, np.array(["a", "b"]))


@pytest.mark.parametrize(
    ("share", "n", "low", "high"),
    [(1.0, 12, 0.7575, 1.0), (0.0, 10, 0.0, 0.2775), (0.5, 10, 0.2366, 0.7634), (0.81, 263, 0.7582, 0.8529)],
)
def test_wilsons_bounds_are_those_of_the_literature(share, n, low, high):
    assert evaluation.wilson(share, n) == pytest.approx((low, high), abs=6e-4)


def test_of_few_clips_all_right_little_is_known():
    y = np.array([0, 1] * 6)
    figures = measure(y, np.eye(len(LABELS))[y], np.array(["ravdess:01"] * 12))
    assert figures.uar == figures.accuracy == 1.0
    for name in ("uar", "accuracy"):
        assert figures.interval[name] == pytest.approx((0.7575, 1.0), abs=1e-3)


def test_many_clips_keep_the_interval_of_the_bootstrap():
    y = np.array([0, 1] * 60)
    assert measure(y, np.eye(len(LABELS))[y], np.array(["ravdess:01"] * 120)).interval["uar"] == (1.0, 1.0)
