"""What workers are asked of models: they answer there as they do in one process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ser_core.audio import decoding, waveform
from ser_core.features import extraction
from ser_core.recognition import analysis, service, store, timeline
from ser_core.recognition.recognizer import Prediction
from ser_core.system import workers
from tests.support.models import build, pretrain

ROOT = Path(__file__).resolve().parents[2]
SPEECH = (ROOT / "pages" / "samples" / "bright.flac").read_bytes()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def heard():
    return analysis.analyse(SPEECH)


def test_it_asks_models_without_what_a_prediction_does_not_need(heard, models):
    workers._SHORT.end()  # tests that ran before may have had it loaded there
    answers = workers.run(service.predict, heard, [(slug, "first") for slug in ("mlp", "cnn_lstm")], models)
    assert all(isinstance(each, Prediction) for each in answers)
    there = workers.run(eval, "set(__import__('sys').modules)")
    assert {"sklearn", "skops"} <= there and not {"pandas", "rich", "dask", "pytest"} & there


def test_a_clip_comes_back_from_one_task_with_its_analysis_and_answers(heard, models):
    asked = [(slug, "in one task") for slug in ("mlp", "knn")]
    there, answers = workers.run(service.analyse, SPEECH, asked, models, name="a.flac")
    assert there.quality.summary == heard.quality.summary
    assert np.allclose(there.features.log_mel, heard.features.log_mel, atol=1e-3)
    for answer, here in zip(answers, service.predict(heard, asked, models), strict=True):
        assert answer.probabilities == pytest.approx(here.probabilities, abs=1e-6)
    quiet = waveform.encode_wav(waveform.Waveform(np.zeros(32_000, np.float32), waveform.SAMPLE_RATE))
    assert service.analyse(quiet, asked, models, name="quiet.wav")[1] == []


def test_of_a_clip_that_is_too_long_nothing_is_measured(models, monkeypatch):
    monkeypatch.setattr(analysis, "measure", lambda *_: pytest.fail("measured"))
    for seconds in (1.1, 3.0):  # within what the decoder forgives, and beyond
        data = waveform.encode_wav(waveform.Waveform(np.zeros(round(seconds * 16_000), np.float32), 16_000))
        with pytest.raises(decoding.TooLongError):
            service.analyse(data, [], models, name="long.wav", max_duration_s=1.0)


def test_a_window_is_judged_there_as_in_one_process(heard, models):
    window = waveform.Waveform(heard.clip.waveform.samples[:32_000], heard.clip.waveform.sample_rate)
    there, said = workers.run(service.predict_window, [("cnn", "first"), ("gone", "first")], models, window)
    here, expected = timeline.window_predictor([store.load("cnn", models)])(window)
    assert there.quality == here.quality
    assert [each.probabilities for each in said] == [each.probabilities for each in expected]
    quiet = waveform.Waveform(np.zeros(32_000, np.float32), waveform.SAMPLE_RATE)
    assert workers.run(service.predict_window, [("cnn", "first")], models, quiet)[1] == []
    assert len(service.predict_window([("cnn", "first")], models, quiet, only_speech=False)[1]) == 1


def test_sound_that_was_decoded_before_gets_the_same_answers_and_no_features_it_does_not_need(
    heard, tmp_path, monkeypatch
):
    folder = pretrain(build(tmp_path))
    sound = heard.clip.waveform
    asked = [(slug, "later") for slug in ("transfer", "knn", "gone")]
    *answers, gone = service.predict_waveform(sound, asked, folder)
    expected = analysis.recognize([store.load(slug, folder) for slug in ("transfer", "knn")], heard)
    assert [each.probabilities for each in answers] == [each.probabilities for each in expected]
    assert "There is no model 'gone'" in gone
    monkeypatch.setattr(extraction, "extract", lambda *_: pytest.fail("features are measured"))
    (again,) = service.predict_waveform(sound, asked[:1], folder)
    assert again.probabilities == expected[0].probabilities


def test_models_answer_as_they_do_in_one_process_and_a_damaged_one_says_why(heard, models):
    cards = store.list_models(models)[0]
    asked = [(card.slug, "first") for card in cards]
    (models / cards[0].slug / next(iter(cards[0].files))).write_bytes(b"damaged")
    answers = workers.run(service.predict, heard, asked, models)
    assert isinstance(answers[0], str) and cards[0].slug in answers[0]
    others = analysis.recognize([store.load(card.slug, models) for card in cards[1:]], heard)
    assert [each.probabilities for each in answers[1:]] == [each.probabilities for each in others]


def test_a_model_is_read_again_where_its_key_has_changed(heard, models, monkeypatch):
    read = []
    original = store.load
    monkeypatch.setattr(store, "load", lambda slug, folder: read.append(slug) or original(slug, folder))
    slug = store.list_models(models)[0][-1].slug
    for key in ("as it was", "as it was", "trained anew"):
        service.predict(heard, [(slug, key)], models)
    assert read == [slug, slug]
