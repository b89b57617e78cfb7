"""The path from bytes to predictions: every kind of source, settings of each model, and no guess without speech."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ser_core.audio import decoding, waveform
from ser_core.audio.waveform import Waveform
from ser_core.corpora import catalogue
from ser_core.errors import AudioError
from ser_core.features import config, extraction, vectors
from ser_core.recognition import analysis, store
from ser_core.recognition.recognizer import Recognizer
from tests.support.models import build

SAMPLES = Path(__file__).parents[2] / "pages" / "samples"
SPEECH, NO_SPEECH = SAMPLES / "bright.flac", SAMPLES / "no_speech.flac"


@pytest.fixture(scope="module")
def recognizers(tmp_path_factory: pytest.TempPathFactory) -> list[Recognizer]:
    models = build(tmp_path_factory.mktemp("models"))
    return [store.load(slug, models) for slug in store.SHIPPED]


@pytest.fixture(scope="module")
def heard() -> analysis.Analysis:
    return analysis.analyse(SPEECH)


def silence(seconds: float) -> bytes:
    return waveform.encode_wav(Waveform(np.zeros(int(seconds * 16_000), np.float32), 16_000))


def test_a_path_its_text_its_bytes_and_a_file_are_heard_alike(heard):
    data = SPEECH.read_bytes()
    for source in (str(SPEECH), data, io.BytesIO(data)):
        again = analysis.analyse(source)
        np.testing.assert_array_equal(again.clip.waveform.samples, heard.clip.waveform.samples)
        np.testing.assert_array_equal(again.features.log_mel, heard.features.log_mel)
        assert again.quality == heard.quality


def test_predictions_come_in_the_order_of_the_recognizers(recognizers, heard):
    assert [each.model for each in analysis.recognize(recognizers, heard)] == list(store.SHIPPED)
    assert [each.model for each in analysis.recognize(recognizers[::-1], heard)] == list(store.SHIPPED[::-1])
    assert analysis.recognize([], heard) == []


def test_what_models_of_one_kind_see_is_made_once(recognizers, heard, monkeypatch):
    alone = [
        each.answer(vectors.inputs(heard.clip.waveform, heard.features, each.input_kind)).probabilities
        for each in recognizers
    ]
    made = []
    summary = vectors.summary
    monkeypatch.setattr(vectors, "summary", lambda measured: made.append(measured) or summary(measured))
    together = [each.probabilities for each in analysis.recognize(recognizers, heard)]
    assert together == alone and sum(each.input_kind == "vector" for each in recognizers) > 1
    assert len(made) == 1


def test_without_speech_no_model_is_asked(recognizers):
    asked = [replace(recognizers[0], classifier=None)]  # would fail if it were
    assert analysis.recognize(asked, analysis.analyse(NO_SPEECH)) == []
    assert analysis.recognize(asked, analysis.analyse(silence(2))) == []


def test_a_model_hears_its_own_settings(recognizers, heard, monkeypatch):
    """The analysis's settings do not matter, and each other setting is measured once."""
    extracted = []
    original = extraction.extract
    monkeypatch.setattr(extraction, "extract", lambda *given: extracted.append(given[1]) or original(*given))
    as_usual = analysis.recognize(recognizers, heard)
    assert extracted == []
    fine = analysis.analyse(SPEECH, config=config.FeatureConfig(hop_length=160, n_mels=80))
    extracted.clear()
    again = analysis.recognize(recognizers, fine)
    assert extracted == [config.FeatureConfig()]
    assert [each.probabilities for each in again] == [each.probabilities for each in as_usual]


def test_ten_minutes_are_the_most():
    with pytest.raises(AudioError, match=r"memo\.wav is 10 min 5 s long"):
        analysis.analyse(silence(decoding.MAX_DURATION_S + 5), name="memo.wav")


def test_sentences_name_the_file():
    with pytest.raises(AudioError, match=r"my\.wav is empty"):
        analysis.analyse(b"", name="my.wav")


def test_the_result_of_a_file_is_json(recognizers, heard):
    result = analysis.to_dict("a.flac", heard, analysis.recognize(recognizers, heard))
    again = json.loads(json.dumps(result, allow_nan=False))
    assert again == result
    read = {"truncated", "channel", "track", "remarks"}
    assert set(again) == {"file", "duration_s", "quality", "speech", "predictions"} | read
    assert (again["file"], again["speech"]) == ("a.flac", True)
    for prediction in again["predictions"]:
        assert set(prediction) == {"model", "label", "probabilities", "milliseconds", "sure"}
        assert tuple(prediction["probabilities"]) == catalogue.LABELS
        assert sum(prediction["probabilities"].values()) == pytest.approx(1.0)
