"""The guide: every term with a figure of what is really here, rates from the cards, and links from where the words appear."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from pages.ui import glossary, prediction_cards
from pages.ui.guide.figures import FIGURES, stft
from ser_core.features import config
from ser_core.recognition import store
from tests.support import pages
from tests.support.models import TITLES

ROOT = Path(__file__).resolve().parents[2]


def page() -> AppTest:
    return pages.visit("pages/guide.py")


def text(test: AppTest) -> str:
    return " ".join(str(each.value) for each in test.markdown)


def html(test: AppTest) -> str:
    return " ".join(each.proto.body for each in test.get("html"))


def test_every_term_is_explained_with_a_figure_and_in_words(models: Path) -> None:
    test = page()
    assert not test.exception
    assert [each.proto.anchor for each in test.subheader] == list(glossary.TERMS)
    figures = {each.proto.id.split("guide.")[-1]: each.proto for each in test.get("plotly_chart")}
    assert {name.split("-")[0] for name in figures} == {*glossary.TERMS} - {"mlp", "cnn", "transfer"}
    assert all(each.alt for each in figures.values())
    assert set(FIGURES) == set(glossary.TERMS)
    said = text(test)
    assert "5(1)(f)" in said and "not legal advice" in said and "assess nobody" in said and "End of lesson" in said


def test_rates_and_figures_are_those_of_the_cards(models: Path) -> None:
    card = json.loads((models / "mlp" / "card.json").read_text(encoding="utf-8"))
    for figures in (card["evaluation"], card["per_corpus"]["ravdess"]):
        figures["accuracy"] = 0.433
    (models / "mlp" / "card.json").write_text(json.dumps(card), encoding="utf-8")
    found = {each.slug: each for each in store.list_models(models)[0]}
    assert "<span>57 %</span>" in prediction_cards.error_rate_table(list(found.values()))
    others = {round(100 * (1 - each.per_corpus["ravdess"].accuracy)) for slug, each in found.items() if slug != "mlp"}
    assert prediction_cards.error_rate_sentence(list(found.values())) == (
        f"On unseen speakers the models were wrong in 57–{max(others)} % of clips, depending on the corpus."
    )
    assert prediction_cards.error_rate_sentence(
        []
    ) == "" and "No shipped model is installed" in prediction_cards.error_rate_table([])
    shown = FIGURES["uar"](found)
    assert shown is not None
    recall = {label: row["recall"] for label, row in card["evaluation"]["per_label"].items()}
    assert dict(zip(shown.figure.data[0].x, shown.figure.data[0].y, strict=True)) == recall


def test_a_missing_model_costs_its_figure_only(models: Path) -> None:
    for slug in ("mlp", "cnn", "cnn_lstm"):
        (models / slug / "card.json").unlink()
    test = page()
    assert not test.exception and len(test.subheader) == len(glossary.TERMS)


def test_a_tone_is_one_line_in_the_stft() -> None:
    settings = config.FeatureConfig()
    tone = np.sin(2 * np.pi * 1000 * np.arange(settings.sample_rate) / settings.sample_rate)
    hz, level_db = stft(tone, settings)
    assert level_db.shape[1] == len(hz) == 1 + settings.n_fft // 2
    assert np.all(np.abs(hz[level_db.argmax(axis=1)] - 1000) <= hz[1])


@pytest.mark.parametrize("anchor", glossary.TERMS)
def test_links_lead_to_an_anchor_of_the_guide(anchor: str) -> None:
    assert glossary.link(anchor).endswith(f"](guide#{anchor})")


def test_recognize_and_live_say_how_often_the_models_are_wrong_and_link_the_words(models: Path) -> None:
    test = pages.visit()
    test.button("recognize.sample.flat.flac").click().run()
    assert "the models were wrong in" in text(test) and "(guide#mel)" in text(test)
    assert html(test).count('href="guide#uar"') == len(TITLES) and 'href="guide#mlp"' in html(test)
    test.switch_page("pages/live.py").run()
    assert "the models were wrong in" in text(test)
