"""Calibration: softmax with a temperature, and the temperature found again."""

from __future__ import annotations

import numpy as np
import pytest

from ser_core.metrics import calibration


@pytest.fixture
def distributions() -> np.ndarray:
    return np.random.default_rng(0).dirichlet(np.ones(6), size=200)


@pytest.mark.parametrize("temperature", [0.25, 0.7, 1.0, 2.0, 8.0])
def test_calibration_keeps_order_and_sums_to_one(distributions, temperature):
    calibrated = calibration.calibrate(distributions, temperature)
    assert calibrated.shape == distributions.shape
    np.testing.assert_allclose(calibrated.sum(axis=-1), 1.0, atol=1e-12)
    np.testing.assert_array_equal(calibrated.argmax(axis=-1), distributions.argmax(axis=-1))
    clear = (distributions > 2e-4).all(axis=1)
    np.testing.assert_array_equal(np.argsort(calibrated[clear]), np.argsort(distributions[clear]))


def test_a_temperature_of_one_changes_nothing(distributions):
    clear = distributions[(distributions > 1e-4).all(axis=1)]
    np.testing.assert_allclose(calibration.calibrate(clear, 1.0), clear, atol=1e-12)


def test_calibration_equals_dividing_logits(distributions):
    logits = np.random.default_rng(1).normal(size=(50, 4))
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    halved = np.exp(logits / 2) / np.exp(logits / 2).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(calibration.calibrate(softmax, 2.0), halved, atol=1e-12)


def test_low_temperatures_sharpen_and_high_ones_flatten():
    before = np.array([0.5, 0.3, 0.2])
    assert calibration.calibrate(before, 0.5)[0] > 0.5 > calibration.calibrate(before, 2.0)[0] > 1 / 3


def test_a_vote_of_nothing_stays_finite():
    calibrated = calibration.calibrate(np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]), 0.25)
    assert np.isfinite(calibrated).all()
    np.testing.assert_allclose(calibrated[1], 1 / 3)


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 1.7, 4.0])
def test_the_temperature_that_was_put_in_is_found(true_temperature):
    rng = np.random.default_rng(2)
    honest = rng.dirichlet(np.full(5, 2.0), size=20_000)
    y = (rng.random((len(honest), 1)) > honest.cumsum(axis=1)).sum(axis=1).clip(max=4)
    overconfident = honest**true_temperature / (honest**true_temperature).sum(axis=1, keepdims=True)
    assert calibration.fit_temperature(overconfident, y) == pytest.approx(true_temperature, rel=0.06)


def test_temperatures_stay_in_their_range():
    right = np.tile([0.6, 0.4], (50, 1))
    assert calibration.fit_temperature(right, np.zeros(50, int)) == pytest.approx(0.25, rel=0.01)
    assert calibration.fit_temperature(1 - right, np.zeros(50, int)) == pytest.approx(8.0, rel=0.01)
