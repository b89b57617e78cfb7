"""The log-linear pool on models whose reliability is known."""

from __future__ import annotations

import numpy as np
import pytest

from ser_core.metrics import calibration, evaluation, pooling

N_LABELS = 4


def answers(rng: np.random.Generator, y: np.ndarray, strength: float, *, sharpened: float = 1.0) -> np.ndarray:
    """Return calibrated probabilities (n_clips, n_labels) of a model that sees the label through noise, the better the stronger.

    With evidence N(strength * [k == y], strength), softmax(evidence) is the posterior; sharpened: by how much it is overconfident.
    """
    evidence = rng.normal(scale=np.sqrt(strength), size=(len(y), N_LABELS))
    evidence[np.arange(len(y)), y] += strength
    return calibration.calibrate(np.exp(evidence), 1 / sharpened)


def held_out(probabilities: list[np.ndarray], y: np.ndarray) -> pooling.Answers:
    return pooling.Answers(np.array(probabilities), y, np.ones(len(y)))


@pytest.fixture
def y(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(N_LABELS, size=6000)


def test_the_pool_of_one_model_with_weight_1_is_that_model():
    probabilities = np.array([[[0.7, 0.2, 0.1], [0.25, 0.5, 0.25]]])
    assert pooling.pool(probabilities, np.array([1.0])) == pytest.approx(probabilities[0])


def test_the_sum_of_the_weights_is_an_inverse_temperature():
    probabilities = np.array([[0.7, 0.2, 0.1]] * 2)
    assert pooling.pool(probabilities, np.array([0.5, 0.5])) == pytest.approx(probabilities[0])
    assert pooling.pool(probabilities, np.array([1.5, 0.5])) == pytest.approx(
        calibration.calibrate(probabilities[0], 1 / 2)
    )


def test_no_model_can_exclude_a_label_alone():
    pooled = pooling.pool(np.array([[0.0, 1.0], [0.999, 0.001]]), np.array([1.0, 2.0]))
    assert pooled[0] > 0.9


def test_independent_and_calibrated_models_get_weight_1(rng, y):
    """Then the product of the probabilities is the posterior of both."""
    weights = pooling.fit([held_out([answers(rng, y, 1.0), answers(rng, y, 1.0)], y)])
    assert weights == pytest.approx([1, 1], abs=0.1)


def test_the_better_model_has_more_weight_and_noise_none(rng, y):
    """Three that share their noise: who sees more of it is believed, who sees nothing is not."""
    evidence = rng.normal(size=(len(y), N_LABELS))
    evidence[np.arange(len(y)), y] += 2.0
    blurred = [
        calibration.calibrate(np.exp(evidence + rng.normal(scale=s, size=evidence.shape)), 1.0) for s in (0.3, 2)
    ]
    weights = pooling.fit([held_out([*blurred, answers(rng, y, 0.0)], y)])
    assert weights[0] > 3 * weights[1] > 0
    blind = pooling.fit([held_out([blurred[0], rng.dirichlet(np.ones(N_LABELS), len(y))], y)])
    assert blind[1] < 0.1


def test_a_fitted_pool_is_calibrated_though_its_models_are_not(rng, y):
    models = [answers(rng, y, 1.0, sharpened=3), answers(rng, y, 2.0, sharpened=3)]
    learn, test = np.arange(len(y)) < 3000, np.arange(len(y)) >= 3000

    def error(pooled: np.ndarray) -> float:
        return evaluation.ece(pooled.max(axis=1), pooled.argmax(axis=1) == y[test])

    weights = pooling.fit([held_out([each[learn] for each in models], y[learn])])
    assert error(pooling.pool(np.array([each[test] for each in models]), weights)) < 0.03
    assert error(np.mean([each[test] for each in models], axis=0)) > 0.05


def test_clips_count_by_their_weight(rng, y):
    """Where the first model is right for half of the clips and the second for the others, the half that counts decides."""
    good, bad = answers(rng, y, 2.0), rng.dirichlet(np.ones(N_LABELS), len(y))
    first = np.arange(len(y)) % 2 == 0
    models = np.array([np.where(first[:, np.newaxis], a, b) for a, b in ((good, bad), (bad, good))])
    one, other = (pooling.fit([pooling.Answers(models, y, mask * 1.0)]) for mask in (first, ~first))
    assert one[0] > 0.8 and one[1] < 0.2 and other[0] < 0.2 and other[1] > 0.8


def test_parts_with_other_labels_are_learned_from_together(rng, y):
    few = y % 2
    six = np.zeros((2, len(y), 2))
    six[0] = np.where(few[:, np.newaxis] == np.arange(2), 0.9, 0.1)
    six[1] = 0.5
    weights = pooling.fit([held_out([answers(rng, y, 1.0)] * 2, y), pooling.Answers(six, few, np.ones(len(y)))])
    assert weights[0] > weights[1]


def test_a_model_that_is_always_right_gets_no_endless_weight():
    y = np.arange(40) % 2
    sure = np.where(y[:, np.newaxis] == np.arange(2), 0.6, 0.4)
    assert pooling.fit([held_out([sure], y)])[0] == pooling.MAX_WEIGHT
