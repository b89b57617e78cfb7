"""Curves against scikit-learn's areas, the ECE, and cases whose answer is known."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn import metrics

from ser_core.metrics import curves, evaluation
from ser_core.metrics.curves import Curves

LABELS = ("neutral", "happy", "sad")


def a_model(seed: int, n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    scores = rng.normal(size=(n, 3)) + 1.5 * np.eye(3)[y]
    return y, np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)


@pytest.mark.parametrize("seed", range(4))
def test_areas_and_bins_equal_scikit_learn_and_the_ece(seed):
    y, probabilities = a_model(seed)
    found = curves.curves(y, probabilities, LABELS)
    for position, label in enumerate(LABELS):
        assert found.auc[label] == pytest.approx(
            metrics.roc_auc_score(y == position, probabilities[:, position]), abs=1e-6
        )
        x, rate = np.array(found.roc[label]).T
        assert (
            (x[0], rate[0], x[-1], rate[-1]) == (0, 0, 1, 1) and (np.diff(x) >= 0).all() and (np.diff(rate) >= 0).all()
        )
        assert len(x) <= curves.MAX_POINTS
    right = probabilities.argmax(axis=1) == y
    assert [n for n, _, _ in found.reliability] == [14] * 5 + [13] * 10
    distance = sum(n * abs(sure - share) for n, sure, share in found.reliability) / len(y)
    assert distance == pytest.approx(evaluation.ece(probabilities.max(axis=1), right), abs=1e-5)
    counts = np.array([found.top[label] for label in LABELS])
    assert counts[:, 0].sum() == right.sum() and counts[:, 1].sum() == (~right).sum()


def test_a_perfect_model_has_areas_of_one_and_nothing_wrong():
    y = np.array([0, 1, 2, 0])
    found = curves.curves(y, np.eye(3)[y], LABELS)
    assert set(found.auc.values()) == {1.0} and found.top["neutral"] == ((0,) * 9 + (2,), (0,) * 10)
    assert found.reliability == ((1, 1.0, 1.0),) * 4


def test_the_risk_of_a_model_whose_certainty_is_in_order():
    y, probabilities = np.zeros(4, int), np.array([[0.9, 0.1, 0.0], [0.8, 0.2, 0.0], [0.3, 0.7, 0.0], [0.4, 0.6, 0.0]])
    found = curves.curves(y, probabilities, LABELS)
    assert found.risk == ((0.25, 0.0), (0.5, 0.0), (0.75, 0.3333), (1.0, 0.5))
    assert found.aurc == pytest.approx((0 + 0 + 1 / 3 + 1 / 2) / 4, abs=1e-6)
    assert curves.curves(y, probabilities[::-1], LABELS) == found


def test_curves_of_an_older_card_have_no_risk():
    values = curves.curves(*a_model(1), LABELS).to_dict()
    del values["risk"], values["aurc"]
    found = Curves.from_dict(values)
    assert (found.risk, found.aurc) == ((), None) and found.to_dict() == values


def test_a_label_that_never_or_always_occurs_has_no_curve():
    y = np.array([0, 1, 0])
    assert set(curves.curves(y, np.full((3, 3), 1 / 3), LABELS).auc) == {"neutral", "happy"}
    assert curves.curves(np.zeros(3, int), np.full((3, 3), 1 / 3), LABELS).auc == {}


def test_json_round_trip():
    found = curves.curves(*a_model(1), LABELS)
    assert Curves.from_dict(json.loads(json.dumps(found.to_dict()))) == found


@pytest.mark.parametrize(
    "change",
    [
        {"auc": {"sad": 2}},
        {"roc": {"sad": [[0, -1]]}},
        {"reliability": [[1, 0.5]]},
        {"top": {"sad": [[1], [2]]}},
        {"more": 1},
        {"aurc": 2},
        {"risk": [[0.5]]},
    ],
)
def test_damaged_curves_are_refused(change):
    with pytest.raises(ValueError):
        Curves.from_dict(curves.curves(*a_model(1), LABELS).to_dict() | change)
