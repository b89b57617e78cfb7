"""Break it in a real Chromium: a level is moved by the keyboard, the changed clip is heard, and what flips the answers is found."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from ser_core.explanation import what_if
from tests.browser.conftest import CARDS, VOICE, Server, all_answered, serious, settled

DRAWN = re.compile(r".+\.wav")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_a_level_is_moved_the_clip_heard_and_what_flips_it_found(
    page: Page, server: Server, width: int, scheme: str, tmp_path: Path
) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(server.url)
    page.get_by_role("tab", name="Upload").click()
    page.locator("input[type=file]").set_input_files(VOICE)
    expect(page.locator(CARDS).first).to_be_visible(timeout=120_000)
    all_answered(page)
    part = page.locator(".st-key-recognize-break_it")
    expect(part.get_by_role("slider")).to_have_count(0)
    part.locator("summary").click()
    part.get_by_role("radio", name="Babble").or_(part.get_by_role("button", name="Babble")).first.click()
    slider = part.get_by_role("slider", name="Babble: ")
    expect(slider).to_have_attribute("aria-valuetext", "10", timeout=120_000)
    player = part.locator(".player")
    expect(player).to_have_attribute("data-drawn", DRAWN)
    before = player.get_attribute("data-drawn")
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuetext", "0")
    expect(player).not_to_have_attribute("data-drawn", before or "")
    expect(player).to_have_attribute("data-drawn", DRAWN)
    expect(part.locator(".ser-pair").first).to_be_visible()
    assert re.search(r"\d+ → \d+ %", part.locator(".ser-pair").first.inner_text())

    part.get_by_role("button", name="Find what flips it").click()
    expect(part.get_by_text("43 variants")).to_be_visible(timeout=120_000)
    settled(page)
    table = part.get_by_role("group", name="What flips each answer")
    for row in what_if.ROWS:
        expect(table.get_by_text(row.title, exact=True)).to_be_visible()
    expect(part.get_by_text(re.compile("(survives|stays with) ")).first).to_be_visible()
    with page.expect_download() as waiting:
        part.get_by_role("button", name="Every answer (CSV)").click()
    lines = Path(waiting.value.path()).read_text(encoding="utf-8-sig").splitlines()
    assert waiting.value.suggested_filename == "bright-what-if.csv" and lines[0].startswith("condition,level")
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert serious(page) == []
