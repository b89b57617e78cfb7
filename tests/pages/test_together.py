"""All together on Recognize: the card above the models' cards, and the page where there is none."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pages.ui import cached, downloads, prediction_cards, recognition
from pages.ui.recognition import Together
from ser_core.recognition import analysis, store, together
from ser_core.recognition.recognizer import Prediction
from tests.support import models as support_models
from tests.support import pages
from tests.support.pages import text

ROOT = Path(__file__).resolve().parents[2]
SPEECH = (ROOT / "pages" / "samples" / "bright.flac").read_bytes()
OTHER = (ROOT / "pages" / "samples" / "flat.flac").read_bytes()
SLUGS = tuple(support_models.TITLES)
ALONE, WITH_ALL = len(SLUGS), len(SLUGS) + 1
"""How many cards there are without all together, and with it."""


def upload(page: AppTest, data: bytes = SPEECH) -> AppTest:
    page.get("file_uploader")[0].set_value(("voice.flac", data, "application/octet-stream"))
    return page.run()


def shown(page: AppTest) -> str:
    return next(body for each in page.get("html") if "<section>" in (body := each.proto.body))


def expected(models: Path, data: bytes = SPEECH) -> Prediction:
    recognizers = [store.load(slug, models) for slug in SLUGS]
    return analysis.recognize(recognizers, analysis.analyse(data), folder=models)[0]


def test_one_card_leads_with_how_the_models_agree(models: Path) -> None:
    support_models.pool(models)
    page = upload(pages.visit())
    said = expected(models)
    html = shown(page)
    lead, rest = html.split("</section>", 1)
    assert html.count("<section>") == WITH_ALL and "ser-lead" in lead
    assert "All together" in lead and said.label in lead and f"{100 * said.probabilities[said.label]:.0f} %" in lead
    assert " models " in lead and "ser-verdict" in lead and "ser-verdict" not in rest
    assert "How it was measured" in lead and "invented" in lead and "unseen speakers" in lead and "(ECE)" in lead
    table = page.table[0].value
    assert list(table) == ["All together", *support_models.TITLES.values()]


def test_it_is_not_sure_below_its_own_threshold(models: Path) -> None:
    support_models.pool(models, threshold=0.999)
    page = upload(pages.visit())
    lead = shown(page).split("</section>")[0]
    assert "not sure" in lead and "its threshold is 100 %" in lead and "**Not sure**" in text(page)


def test_two_clips_are_compared_on_it(models: Path) -> None:
    support_models.pool(models)
    page = upload(pages.visit(), OTHER)
    page.button("recognize.keep").click().run()
    lead = shown(upload(page)).split("</section>")[0]
    assert f"Before: {expected(models, OTHER).label}" in lead and "ser-pair" in lead and "Now: " in lead


def test_without_its_file_the_page_is_as_before(models: Path) -> None:
    html = shown(upload(pages.visit()))
    assert (
        html.count("<section>") == ALONE
        and "All together" not in html
        and html.lstrip().startswith('<p class="ser-verdict"')
    )


@pytest.mark.parametrize("damage", ["{", '{"format": 1, "pools": [{}]}'])
def test_a_damaged_file_is_told_and_the_models_answer(models: Path, damage: str) -> None:
    support_models.pool(models)
    (models / together.FILE).write_text(damage)
    page = upload(pages.visit())
    assert shown(page).count("<section>") == ALONE
    assert "together.json cannot be used" in text(page)
    support_models.pool(models)
    page.run()
    assert shown(page).count("<section>") == WITH_ALL and "cannot be used" not in text(page)


def test_a_model_that_was_trained_again_is_not_in_it(models: Path) -> None:
    support_models.pool(models)
    card = store.read_card("cnn", models)
    store.replace_card(dataclasses.replace(card, temperature=2.0), models)
    page = upload(pages.visit())
    assert shown(page).count("<section>") == ALONE and "All together" not in shown(page)


def test_the_largest_pool_whose_models_answered_is_shown(models: Path) -> None:
    support_models.pool(models, SLUGS, SLUGS[:3])
    for file in (models / "cnn_lstm").iterdir():
        if file.name != store.CARD:
            file.unlink()
    html = shown(upload(pages.visit()))
    assert "One answer of these 3 models" in html and html.count("<section>") == WITH_ALL


def test_what_is_taken_home_has_it(models: Path) -> None:
    support_models.pool(models)
    page = upload(pages.visit())
    assert not page.exception
    cards = cached.models()[0]
    heard = analysis.analyse(SPEECH)
    alone = analysis.recognize([store.load(slug, models) for slug in SLUGS], heard)
    predictions = recognition.with_together(alone, cards)
    (result,) = json.loads(downloads.predictions_json("a.flac", heard, predictions))
    assert result["together"]["label"] == expected(models).label and len(result["predictions"]) == len(SLUGS)
    assert downloads.probabilities_csv(predictions).splitlines()[1].startswith("together,")


def test_its_words_cannot_write_html(models: Path) -> None:
    (pool,) = support_models.pool(models)
    pool = dataclasses.replace(pool, protocol="<script>alert(1)</script>", unheard=pool.per_corpus)
    html = prediction_cards.cards([], Together(pool, None, "<b>no</b>"))
    assert "<script>" not in html and "<b>no" not in html and "&lt;script&gt;" in html
    assert "On corpora that no model had learned from, " in html
