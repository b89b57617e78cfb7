"""The card of a model: it survives JSON, and every entry is checked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ser_core.recognition import card as cards
from ser_core.recognition import store
from ser_core.recognition.card import ModelCard

ROOT = Path(__file__).resolve().parents[2]


def test_a_card_survives_json(models):
    card = store.read_card("cnn", models)
    assert ModelCard.from_dict(json.loads(json.dumps(card.to_dict()))) == card


@pytest.mark.parametrize(
    ("text", "title", "description"),
    [
        ("My model", True, True),
        ("模型 é", True, True),
        ("", False, True),
        ("   ", False, True),
        ("two\nlines", False, True),
        ("tab\t", False, False),
        ("turned \u202e round", False, False),
        ("x" * cards.MAX_TITLE, True, True),
        ("x" * (cards.MAX_TITLE + 1), False, True),
        ("x" * (cards.MAX_DESCRIPTION + 1), False, False),
    ],
)
def test_a_title_is_one_line_that_can_be_seen_and_a_description_may_have_several(text, title, description):
    assert (cards.is_title(text), cards.is_description(text)) == (title, description)


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("My Model 2", "my-model-2"),
        ("Größe: 5 % – é", "grosse-5-e"),
        ("Ärger über Öl", "arger-uber-ol"),
        ("Don't panic, 1,000 &amp; more", "don-t-panic-1-000-amp-more"),
        ("smørrebrød Ελλάδα", "smrrebrd"),
        ("😀 angry ²", "angry-2"),
        ("二", "model"),
        ("情感 v2", "v2"),
        ("CON", "model-con"),
        ("ﬁne", "fine"),
        ("../etc", "etc"),
        ("--a--", "a"),
    ],
)
def test_a_folder_name_is_plain(title, slug):
    assert cards.slug_of(title) == slug


def test_a_folder_name_of_a_long_title_is_cut_and_ends_in_no_hyphen():
    slug = cards.slug_of("a " * 200)
    assert 0 < len(slug) <= cards.MAX_SLUG and not slug.endswith("-")


@pytest.mark.parametrize("slug", store.SHIPPED)
def test_a_shipped_card_is_written_as_it_was_read(slug, tmp_path):
    text = (ROOT / "models" / slug / store.CARD).read_bytes()
    card = ModelCard.from_dict(json.loads(text))
    assert card.to_dict() == json.loads(text)
    store._write_card(tmp_path, card)  # private: whoever changes a card goes through it, and here nothing may change
    assert (tmp_path / store.CARD).read_bytes() == text
