"""What workers are asked for: one explanation per model, or the sentence why there is none, and no more than what was asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from ser_core.corpora import catalogue
from ser_core.explanation import measures, occlusion, service
from ser_core.explanation.service import Explanation
from ser_core.recognition import analysis, store
from ser_core.system import workers

ROOT = Path(__file__).resolve().parents[2]
SPEECH = (ROOT / "pages" / "samples" / "bright.flac").read_bytes()


@pytest.fixture
def models() -> Path:
    """The shipped models: the tiny ones of other tests are no networks."""
    return ROOT / "models"


@pytest.fixture(scope="module")
def heard():
    return analysis.analyse(SPEECH)


def test_each_network_is_explained_by_its_own_answer_and_the_others_stay(heard, models):
    asked = [(slug, "first") for slug in ("cnn_lstm", "gone", "cnn")]
    lstm, gone, cnn = workers.run(service.explain, heard.clip.waveform, asked, models)
    assert isinstance(gone, str) and "There is no model 'gone'" in gone
    for found, slug in ((lstm, "cnn_lstm"), (cnn, "cnn")):
        model = store.load(slug, models)
        answer = model.answer(analysis.inputs(heard)(model.config, model.input_kind))
        assert isinstance(found, Explanation) and found.model == slug
        assert found.label == answer.label and found.occlusion is not None
        assert found.probability == pytest.approx(answer.probabilities[answer.label], abs=1e-5)


def test_a_label_is_chosen_for_a_model_and_one_it_lacks_is_told_for_it_alone(heard, models):
    asked = [("cnn", "first"), ("cnn_lstm", "first")]
    labels = store.load("cnn", models).labels
    chosen, own = service.explain(heard.clip.waveform, asked, models, labels={"cnn": labels[-1]})
    assert isinstance(chosen, Explanation) and chosen.label == labels[-1] and isinstance(own, Explanation)
    wrong, own = service.explain(heard.clip.waveform, asked, models, labels={"cnn": "boredom"})
    assert isinstance(wrong, str) and "has no label 'boredom'" in wrong and isinstance(own, Explanation)


def test_explaining_asks_nothing_of_models_that_were_not_asked_for(heard, models, monkeypatch):
    monkeypatch.setattr(occlusion, "explain", lambda *_: pytest.fail("asked"))
    assert service.explain(heard.clip.waveform, [], models) == []


def test_models_of_a_summary_are_explained_by_groups_of_measures_and_knn_by_its_neighbours_too(heard, models):
    mlp, knn = workers.run(service.explain, heard.clip.waveform, [("mlp", "first"), ("knn", "first")], models)
    assert isinstance(mlp, Explanation) and mlp.measures and mlp.neighbours is None and mlp.occlusion is None
    assert mlp.label == mlp.measures.label and set(mlp.measures.fall) == set(measures.GROUPS)
    assert isinstance(knn, Explanation) and knn.measures and knn.neighbours and knn.neighbours.named
    assert all(each.corpus in catalogue.CORPORA and each.name and each.speaker for each in knn.neighbours.nearest)


def test_a_worker_that_explains_loads_no_more_than_one_that_predicts(heard, models):
    workers._SHORT.end()  # private: tests that ran before may have had it loaded there
    workers.run(service.explain, heard.clip.waveform, [("knn", "first"), ("cnn", "first")], models)
    there = workers.run(eval, "set(__import__('sys').modules)")
    assert not {"pandas", "librosa", "streamlit", "plotly", "jinja2"} & there
