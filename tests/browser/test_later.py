"""The pretrained model on Recognize in a real Chromium: the others do not wait for it, and it comes without a click."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from pages.ui.recognition import LEFT_OUT
from pages.ui.recognize.answers import ASK_S
from ser_core.recognition import store, together
from tests.browser.conftest import CARDS, Server, all_answered
from tests.browser.test_recognize import download, upload
from tests.support import models as support_models


@pytest.fixture(scope="module")
def held(
    start_server: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, Path]]:
    """A server that holds back the pretrained model while a file is there, and that file."""
    folder = tmp_path_factory.mktemp("held")
    models = support_models.pretrain(support_models.build(folder / "models"))
    support_models.pool(models, store.SHIPPED, store.FOUR)
    gate = folder / "gate"
    yield start_server(SER_MODELS=str(models), SER_TEST_GATE=str(gate)), gate
    gate.unlink(missing_ok=True)


@pytest.mark.parametrize("width", [1280, 390])
def test_the_four_are_there_while_the_fifth_is_held_back_and_it_comes_without_a_click(
    page: Page, held: tuple[Server, Path], stereo_wav: bytes, width: int
) -> None:
    server, gate = held
    gate.write_text("hold", encoding="utf-8")
    asked: list[str | bytes] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: asked.append(frame)))
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(server.url)
    upload(page, "voice.wav", stereo_wav)
    cards, lead = page.locator(CARDS), page.locator(".ser-lead")
    expect(page.get_by_text("still listening")).to_be_visible()
    expect(cards.locator("li.ser-top")).to_have_count(len(store.FOUR))
    expect(lead).to_contain_text("One answer of these 4 models")
    expect(page.get_by_test_id("stPlotlyChart").locator(".main-svg").first).to_be_visible()
    before = [box["height"] for box in boxes(page)]
    gate.unlink()
    all_answered(page)
    expect(cards.locator("li.ser-top")).to_have_count(len(store.SHIPPED))
    expect(lead).to_contain_text("One answer of these 5 models")
    after = [box["height"] for box in boxes(page)]
    first = 0 if width == 1280 else 1  # a sentence about five models may need a line more on a phone
    assert after[first:] == pytest.approx(before[first:], abs=1), "what is below stays where it is"
    expect(page.locator(".st-key-recognize_clips .ser-legend span")).to_have_count(len(store.SHIPPED) + 1)
    (entry,) = json.loads(download(page, "Predictions (JSON)"))
    assert [each["model"] for each in entry["predictions"]] == list(store.SHIPPED) and together.NAME in entry
    page.wait_for_timeout(500)
    asked.clear()
    page.wait_for_timeout(4000 * ASK_S)
    assert asked == [], "the browser asks no more"


def boxes(page: Page) -> list[dict[str, float]]:
    """Where the cards are, that of all together first."""
    return [card.bounding_box() for card in page.locator(".ser-grid section").all()]


def test_four_cards_stand_in_a_row_between_two_wide_ones(
    page: Page, held: tuple[Server, Path], stereo_wav: bytes
) -> None:
    server, _ = held
    page.goto(server.url)
    upload(page, "voice.wav", stereo_wav)
    all_answered(page)
    lead, *four, fifth = boxes(page)
    assert len({box["y"] for box in four}) == 1 and len(four) == len(store.FOUR)
    assert lead["y"] < four[0]["y"] < fifth["y"] and lead["width"] == fifth["width"] > 3.9 * four[0]["width"]


def test_a_full_line_leaves_the_fifth_out_until_it_is_asked_again(
    page: Page, held: tuple[Server, Path], stereo_wav: bytes
) -> None:
    server, gate = held
    gate.write_text("full", encoding="utf-8")
    page.goto(server.url)
    upload(page, "voice.wav", stereo_wav)
    expect(page.get_by_text(LEFT_OUT)).to_be_visible()
    expect(page.locator(CARDS).locator("li.ser-top")).to_have_count(len(store.FOUR))
    gate.unlink()
    page.get_by_role("button", name="Ask again").click()
    expect(page.locator(CARDS).locator("li.ser-top")).to_have_count(len(store.SHIPPED))
    expect(page.get_by_text(LEFT_OUT)).to_have_count(0)
    expect(page.get_by_role("button", name="Ask again")).to_have_count(0)
