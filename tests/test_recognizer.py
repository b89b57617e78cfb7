"""Predictions and their calibration: order, sums, and a temperature that is known because it was put in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from ser_core import features, recognizer
from ser_core.audio import Waveform
from ser_core.errors import ModelError

LABELS = ("neutral", "happy", "sad")
CONFIG = features.FeatureConfig()


@dataclass(frozen=True)
class Fixed:
    """A classifier that answers with given rows and remembers what it saw."""

    rows: np.ndarray
    seen: list
    labels: tuple[str, ...] = LABELS

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        self.seen.append(X)
        return np.resize(self.rows, (len(X), len(self.labels)))


def measured(seconds: float) -> features.Features:
    time = np.arange(int(seconds * CONFIG.sample_rate)) / CONFIG.sample_rate
    return features.extract(Waveform((0.1 * np.sin(2 * np.pi * 200 * time)).astype(np.float32), CONFIG.sample_rate))


def answering(
    rows: list, *, input_kind: str, temperature: float = 1.0, threshold: float | None = None
) -> recognizer.Recognizer:
    return recognizer.Recognizer("fixed", CONFIG, LABELS, Fixed(np.array(rows), []), input_kind, temperature, threshold)


@pytest.fixture
def distributions() -> np.ndarray:
    return np.random.default_rng(0).dirichlet(np.ones(6), size=200)


@pytest.mark.parametrize("temperature", [0.25, 0.7, 1.0, 2.0, 8.0])
def test_calibration_keeps_order_and_sums_to_one(distributions, temperature):
    calibrated = recognizer.calibrate(distributions, temperature)
    assert calibrated.shape == distributions.shape
    np.testing.assert_allclose(calibrated.sum(axis=-1), 1.0, atol=1e-12)
    np.testing.assert_array_equal(calibrated.argmax(axis=-1), distributions.argmax(axis=-1))
    clear = (distributions > 2e-4).all(axis=1)
    np.testing.assert_array_equal(np.argsort(calibrated[clear]), np.argsort(distributions[clear]))


@pytest.mark.parametrize("row", [[np.nan, 0.5, 0.5], [np.inf, 0, 0]])
def test_an_answer_that_is_no_probability_is_told(row):
    with pytest.raises(ModelError, match="Model 'fixed' answers with something that is no probability"):
        answering([row], input_kind="vector").predict(measured(1.0))


def test_a_temperature_of_one_changes_nothing(distributions):
    clear = distributions[(distributions > 1e-4).all(axis=1)]
    np.testing.assert_allclose(recognizer.calibrate(clear, 1.0), clear, atol=1e-12)


def test_calibration_equals_dividing_logits(distributions):
    logits = np.random.default_rng(1).normal(size=(50, 4))
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    halved = np.exp(logits / 2) / np.exp(logits / 2).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(recognizer.calibrate(softmax, 2.0), halved, atol=1e-12)


def test_low_temperatures_sharpen_and_high_ones_flatten():
    before = np.array([0.5, 0.3, 0.2])
    assert recognizer.calibrate(before, 0.5)[0] > 0.5 > recognizer.calibrate(before, 2.0)[0] > 1 / 3


def test_a_vote_of_nothing_stays_finite():
    calibrated = recognizer.calibrate(np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]), 0.25)
    assert np.isfinite(calibrated).all()
    np.testing.assert_allclose(calibrated[1], 1 / 3)


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 1.7, 4.0])
def test_the_temperature_that_was_put_in_is_found(true_temperature):
    rng = np.random.default_rng(2)
    honest = rng.dirichlet(np.full(5, 2.0), size=20_000)
    y = (rng.random((len(honest), 1)) > honest.cumsum(axis=1)).sum(axis=1).clip(max=4)
    overconfident = honest**true_temperature / (honest**true_temperature).sum(axis=1, keepdims=True)
    assert recognizer.fit_temperature(overconfident, y) == pytest.approx(true_temperature, rel=0.06)


def test_temperatures_stay_in_their_range():
    right = np.tile([0.6, 0.4], (50, 1))
    assert recognizer.fit_temperature(right, np.zeros(50, int)) == pytest.approx(0.25, rel=0.01)
    assert recognizer.fit_temperature(1 - right, np.zeros(50, int)) == pytest.approx(8.0, rel=0.01)


def test_a_prediction_keeps_the_order_of_the_labels():
    prediction = answering([[0.2, 0.7, 0.1]], input_kind="vector").predict(measured(1.0))
    assert prediction.model == "fixed" and prediction.label == "happy"
    assert tuple(prediction.probabilities) == LABELS
    assert list(prediction.probabilities.values()) == pytest.approx([0.2, 0.7, 0.1])
    assert all(type(p) is float for p in prediction.probabilities.values())
    assert prediction.milliseconds >= 0


def test_a_temperature_is_applied_after_the_windows_are_averaged():
    rows = [[0.8, 0.1, 0.1], [0.2, 0.6, 0.2]]
    model = answering(rows, input_kind="frames", temperature=2.0)
    clip = measured(6.0)
    prediction = model.predict(clip)
    (seen,) = model.classifier.seen
    assert (
        seen.shape == (len(features.windows(clip)), CONFIG.window_frames, len(features.frame_columns(CONFIG)))
        and len(seen) > 1
    )
    mean = np.resize(np.array(rows), (len(seen), 3)).mean(axis=0)
    assert list(prediction.probabilities.values()) == pytest.approx(list(recognizer.calibrate(mean, 2.0)))
    assert sum(prediction.probabilities.values()) == pytest.approx(1.0)


@pytest.mark.parametrize(("threshold", "sure"), [(None, None), (0.69, True), (0.71, False)])
def test_a_model_is_sure_from_its_threshold_on(threshold, sure):
    prediction = answering([[0.2, 0.7, 0.1]], input_kind="vector", threshold=threshold).predict(measured(0.5))
    assert prediction.label == "happy" and prediction.sure is sure
    told = prediction.to_dict()
    assert list(told) == ["model", "label", "probabilities", "milliseconds", "sure"] and told["sure"] is sure


def test_a_classifier_of_vectors_gets_the_summary():
    model = answering([[1.0, 0.0, 0.0]], input_kind="vector")
    clip = measured(1.0)
    model.predict(clip)
    np.testing.assert_array_equal(model.classifier.seen[0], features.summary(clip)[np.newaxis])
