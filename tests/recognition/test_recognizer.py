"""Predictions and their calibration: order, sums, and a temperature that is known because it was put in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from ser_core.audio.waveform import Waveform
from ser_core.errors import ModelError
from ser_core.features import config, extraction, vectors
from ser_core.metrics import calibration
from ser_core.recognition import recognizer

LABELS = ("neutral", "happy", "sad")
CONFIG = config.FeatureConfig()


@dataclass(frozen=True)
class Fixed:
    """A classifier that answers with given rows and remembers what it saw."""

    rows: np.ndarray
    seen: list
    labels: tuple[str, ...] = LABELS

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        self.seen.append(X)
        return np.resize(self.rows, (len(X), len(self.labels)))


def tone(seconds: float) -> Waveform:
    time = np.arange(int(seconds * CONFIG.sample_rate)) / CONFIG.sample_rate
    return Waveform((0.1 * np.sin(2 * np.pi * 200 * time)).astype(np.float32), CONFIG.sample_rate)


def answering(
    rows: list, *, input_kind: str, temperature: float = 1.0, threshold: float | None = None
) -> recognizer.Recognizer:
    return recognizer.Recognizer("fixed", CONFIG, LABELS, Fixed(np.array(rows), []), input_kind, temperature, threshold)


def asked(model: recognizer.Recognizer, clip: Waveform) -> recognizer.Prediction:
    return model.answer(vectors.inputs(clip, extraction.extract(clip), model.input_kind))


@pytest.fixture
def distributions() -> np.ndarray:
    return np.random.default_rng(0).dirichlet(np.ones(6), size=200)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("row", [[np.nan, 0.5, 0.5], [np.inf, 0, 0]])
def test_an_answer_that_is_no_probability_is_told(row):
    with pytest.raises(ModelError, match="Model 'fixed' answers with values that are not probabilities"):
        asked(answering([row], input_kind="vector"), tone(1.0))


def test_a_prediction_keeps_the_order_of_the_labels():
    prediction = asked(answering([[0.2, 0.7, 0.1]], input_kind="vector"), tone(1.0))
    assert prediction.model == "fixed" and prediction.label == "happy"
    assert tuple(prediction.probabilities) == LABELS
    assert list(prediction.probabilities.values()) == pytest.approx([0.2, 0.7, 0.1])
    assert all(type(p) is float for p in prediction.probabilities.values())
    assert prediction.milliseconds >= 0


def test_a_temperature_is_applied_after_the_windows_are_averaged():
    rows = [[0.8, 0.1, 0.1], [0.2, 0.6, 0.2]]
    model = answering(rows, input_kind="frames", temperature=2.0)
    clip = tone(6.0)
    prediction = asked(model, clip)
    (seen,) = model.classifier.seen
    assert (
        seen.shape
        == (len(vectors.windows(extraction.extract(clip))), CONFIG.window_frames, len(vectors.frame_columns(CONFIG)))
        and len(seen) > 1
    )
    mean = np.resize(np.array(rows), (len(seen), 3)).mean(axis=0)
    assert list(prediction.probabilities.values()) == pytest.approx(list(calibration.calibrate(mean, 2.0)))
    assert sum(prediction.probabilities.values()) == pytest.approx(1.0)


@pytest.mark.parametrize(("threshold", "sure"), [(None, None), (0.69, True), (0.71, False)])
def test_a_model_is_sure_from_its_threshold_on(threshold, sure):
    prediction = asked(answering([[0.2, 0.7, 0.1]], input_kind="vector", threshold=threshold), tone(0.5))
    assert prediction.label == "happy" and prediction.sure is sure
    told = prediction.to_dict()
    assert list(told) == ["model", "label", "probabilities", "milliseconds", "sure"] and told["sure"] is sure


def test_a_classifier_of_vectors_gets_the_summary():
    model = answering([[1.0, 0.0, 0.0]], input_kind="vector")
    clip = tone(1.0)
    asked(model, clip)
    np.testing.assert_array_equal(model.classifier.seen[0], vectors.summary(extraction.extract(clip))[np.newaxis])
