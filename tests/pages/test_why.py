"""Why? on the Recognize page: nothing is computed before it is asked for, and each kind of model is explained in its way."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pages.ui import state
from pages.ui.charts import why as charts
from pages.ui.recognize import why
from ser_core.explanation import measures, neighbours
from ser_core.explanation.occlusion import Deletion, Occlusion
from ser_core.explanation.service import Explanation
from ser_core.recognition import analysis, store
from tests.support import corpora, pages
from tests.support.models import change

ROOT = Path(__file__).resolve().parents[2]
SPEECH = (ROOT / "pages" / "samples" / "bright.flac").read_bytes()
CURVE = Deletion((0.0, 0.1, 0.4), (0.9, 0.5, 0.1), (0.9, 0.8, 0.6), (0.9, 0.7, 0.5), (0.9, 0.9, 0.7), 0.4, 0.1)
FALL = ((0.3, 0.0), (-0.2, 0.15))
MAP = Occlusion("sad", 0.9, (0.2, 1.0, 2.0), (50.0, 1000.0, 8000.0), FALL, (0.05, 0.1), CURVE)


@pytest.fixture(scope="module")
def heard():
    return analysis.analyse(SPEECH)


def upload(page: AppTest) -> AppTest:
    page.get("file_uploader")[0].set_value(("voice.flac", SPEECH, "audio/flac"))
    return page.run()


def ask(page: AppTest, slug: str) -> AppTest:
    (pills,) = [each for each in page.get("button_group") if each.key and each.key.startswith("recognize.why.model")]
    pills.set_value(slug)
    return page.run()


def test_nothing_is_computed_before_it_is_asked_for_and_then_once(models, monkeypatch):
    asked: list[str] = []
    explain = why._ask  # private: what hands work to a worker
    monkeypatch.setattr(
        why, "_ask", lambda given, cards, label: (asked.extend(c.slug for c in cards), explain(given, cards, label))[1]
    )
    page = upload(pages.visit())
    assert "Why?" in pages.text(page) and asked == []
    text = pages.text(ask(page, "mlp"))
    assert asked == ["mlp"] and "Explained:" in text and "group of measures" in text
    page.run()
    assert asked == ["mlp"]
    pages.text(ask(page, "*"))
    assert sorted(asked) == ["cnn", "cnn_lstm", "knn", "mlp", "transfer"]


def test_an_imported_model_is_told_plainly(models):
    training = json.loads((models / "cnn" / store.CARD).read_text())["training"]
    change(models, "cnn", training=training | {"imported": "2026-01-01T00:00:00+00:00"})
    page = upload(pages.visit())
    page.session_state["recognize.models"] = ["mlp", "cnn"]
    assert "An imported model runs apart" in pages.text(ask(page.run(), "cnn"))


def test_the_shipped_models_are_explained_with_maps_and_neighbours(models, monkeypatch, tmp_path):
    shutil.rmtree(models)
    shutil.copytree(ROOT / "models", models)
    page = upload(pages.visit())
    text = pages.text(ask(page, "cnn"))
    assert "The map holds" in text or "no better than chance" in text
    assert ("What counts" in text) == ("The rest" in text) == ("The map holds" in text)
    text = pages.text(ask(page, "knn"))
    assert "training clips that are most alike" in text and "nearest recordings" in text
    assert "None of their corpora is installed here" in text
    assert all(", speaker " in each for each in page.table[-1].value["Recording"])


def test_a_map_that_is_no_better_than_chance_is_a_warning(models, monkeypatch, heard):
    weak = dataclasses.replace(MAP, deletion=dataclasses.replace(CURVE, area=0.01))
    found = Explanation("cnn", "sad", 0.9, occlusion=weak)
    monkeypatch.setattr(why, "_ask", lambda given, cards, label: {card.slug: found for card in cards})
    page = ask(upload(pages.visit()), "cnn")
    assert any("no better than chance" in each.value for each in page.warning)


def test_a_neighbour_is_found_in_an_installed_corpus(tmp_path, new_server):
    corpora.build(tmp_path)
    there = neighbours.Neighbour("sad", 1.0, "ravdess", "03-01-04-01-01-01-01", "ravdess:01")
    clip = why.corpus_clip(there, tmp_path / "ravdess")
    assert clip is not None and clip.path.stem == there.name and clip.label == "sad"
    assert why.corpus_clip(dataclasses.replace(there, name="../../secret"), tmp_path / "ravdess") is None
    assert why.corpus_clip(there, tmp_path / "nowhere" / "ravdess") is None


def test_figures_are_sound_and_their_tables_have_the_same_numbers(heard):
    picture = charts.map_over_mel(MAP, heard).to_plotly_json()
    assert [each["type"] for each in picture["data"]] == ["heatmap"] * 3
    assert picture["data"][1]["zmax"] == pytest.approx(30)
    table = charts.map_table(MAP)
    assert table.iloc[0].tolist() == [-20.0, 15.0] and table.loc["Pitch, loudness, voice quality"].tolist() == [
        5.0,
        10.0,
    ]
    assert len(charts.map_over_mel(dataclasses.replace(MAP, measures=()), heard).data) == 2
    curve = charts.deletion(CURVE, "<b>sad</b>")
    assert "<b>" not in str(curve.layout.yaxis.title.text) and curve.data[3].y == (90.0, 50.0, 10.0)
    assert charts.deletion_table(CURVE).loc["10 %", "By the map"] == "50.0 %"
    shares = measures.Contributions("sad", 0.8, {"pitch": 0.3, "loudness": -0.1}, ())
    assert charts.groups(shares).data[0].x == (30.0, -10.0)
    assert charts.groups_table(shares)["Points"].tolist() == ["+30.0", "-10.0"]
    cloud = neighbours.Neighbours((), 2, {"sad": 1, "calm": 1}, ((3.0, 4.0, "sad"), (0.0, -2.0, "calm")), False)
    figure = charts.neighbourhood(cloud)
    assert [each.name for each in figure.data] == ["sad (1)", "calm (1)", "this clip"]
    assert figure.data[0].customdata == (5.0,) and "2 training clips" in charts.describe_neighbourhood(cloud)


def test_the_voice_is_placed_among_the_labels_without_asking_a_model(models, monkeypatch):
    monkeypatch.setattr(why, "_ask", lambda given, cards, label: pytest.fail("a model was asked"))
    page = ask(upload(pages.visit()), why.VOICE)
    text = pages.text(page)
    assert "most like the" in text and "middle half of the clips" in text
    rows = page.table[-1].value
    assert [each.split()[0] for each in rows.index] == ["Pitch", "Pitch", "Level", "Speaking", "Brightness", "Jitter"]
    assert rows.loc["Pitch", "This clip"].endswith(" Hz") and rows.loc["Pitch", "sad"].endswith(" %")


def test_a_voice_has_a_mark_a_label_where_it_is_known():
    shares = {"sad": {"f0": 0.25, "rate": float("nan")}, "angry": {"f0": 0.9, "rate": 0.5}}
    figure = charts.voice(shares)
    assert [list(each.x) for each in figure.data] == [[25.0], [90.0, 50.0]]
    assert len({each.marker.symbol for each in figure.data}) == 2
    table = charts.voice_table({"f0": 120.4, "rate": float("nan")}, shares)
    assert table.loc["Pitch"].tolist() == ["120 Hz", "25 %", "90 %"]
    assert table.loc["Speaking rate"].tolist() == ["not measured", "", "50 %"]


def test_what_a_visit_keeps_has_an_end(models, monkeypatch):
    found = Explanation("mlp", "sad", 0.9, parts=(b"12", b"345"))
    monkeypatch.setattr(why, "_ask", lambda given, cards, label: {card.slug: found for card in cards})
    monkeypatch.setattr(why, "MOST", 2)
    page = ask(upload(pages.visit()), "*")
    assert len(page.session_state[state.WHY]) == 2
    assert state.kept_bytes({state.WHY: page.session_state[state.WHY]}) == 10
    assert state.WHY in state.GIVEN
    for slug in ("mlp", "*"):  # some of what is asked for is the oldest that is kept
        assert not ask(page, slug).exception
