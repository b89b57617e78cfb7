"""The Compare page in a real Chromium: held-out figures, models scored, the red mark, a disputed clip, conditions, corpora, the lab."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from ser_core.recognition import store
from tests.browser.conftest import Server, as_on_a_phone, faults_on_a_phone, serious
from tests.support import corpora

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server_with_corpora(start_server: Callable[[], Server]) -> Server:
    """A server of its own with two small corpora of synthetic voices."""
    server = start_server()
    corpora.build(server.modules_file.parent / "corpora")
    return server


def open_section(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name).click()
    expect(page.get_by_role("tab", name=name)).to_have_attribute("aria-selected", "true")


def test_held_out_figures_are_shown_by_protocol(page: Page, server_with_corpora: Server, tmp_path: Path) -> None:
    page.goto(f"{server_with_corpora.url}/compare")
    expect(page.get_by_text("compare down a column, never across")).to_be_visible()
    expect(page.get_by_test_id("stPlotlyChart").first).to_be_visible()
    for section, n in (("Labels", 2), ("ROC", None), ("Confusion", 1 + len(store.SHIPPED))):
        page.get_by_role("radio", name=section).or_(page.get_by_role("button", name=section, exact=True)).first.click()
        if n:
            expect(page.get_by_test_id("stPlotlyChart")).to_have_count(n)
    expect(
        page.locator(".stApp[data-test-script-state=notRunning]")
    ).to_be_visible()  # the buttons are not drawn anew under the click
    with page.expect_download(timeout=60_000) as waiting:
        page.get_by_test_id("stDownloadButton").filter(has_text="MLP").get_by_role("button").click()
    assert waiting.value.suggested_filename == "mlp-card.html"
    waiting.value.save_as(tmp_path / "card.html")
    page.get_by_role("radio", name="By protocol").or_(page.get_by_role("button", name="By protocol")).first.click()
    expect(page.get_by_text("held out: the whole corpus")).to_be_visible()
    expect(page.get_by_role("heading", name="One column in detail")).to_be_visible()
    assert serious(page) == []
    page.goto((tmp_path / "card.html").as_uri())
    expect(page.get_by_role("heading", name="MLP", level=1)).to_be_visible()
    with page.expect_download(timeout=60_000) as picture:
        page.locator("#confusion button").click()
    assert picture.value.path().read_bytes()[:4] == b"\x89PNG"


def test_models_are_scored_and_a_disputed_clip_is_heard(page: Page, server_with_corpora: Server) -> None:
    page.goto(f"{server_with_corpora.url}/compare")
    open_section(page, "Score on a corpus")
    page.get_by_role("button", name="Score on 64 clips").click()
    expect(page.get_by_role("heading", name="Where they disagree")).to_be_visible(timeout=240_000)
    expect(page.get_by_text("Tick one to hear it")).to_be_visible()
    table = page.get_by_test_id("stDataFrame").last
    table.scroll_into_view_if_needed()
    page.wait_for_timeout(700)
    box = table.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 14, box["y"] + 35 + 18)
    expect(page.locator(".player")).to_have_attribute("data-state", "ready")
    page.reload()
    open_section(page, "Score on a corpus")
    expect(page.get_by_role("heading", name="Who is recognised less well")).to_be_visible()
    page.goto(f"{server_with_corpora.url}/train")
    page.get_by_role("tab", name="Runs").click()
    page.get_by_role("button", name="Score KNN, MLP, CNN and CNN-LSTM on RAVDESS").click()
    page.get_by_role("link", name="See it on Compare").click()
    expect(page.get_by_role("heading", name="Where they disagree")).to_be_visible()
    assert not server_with_corpora.modules() & {"tensorflow", "keras"}


def test_the_lab_falls_as_leaks_are_closed_and_measures_a_preset_live(page: Page, server_with_corpora: Server) -> None:
    page.goto(f"{server_with_corpora.url}/compare")
    open_section(page, "Leakage Lab")
    expect(page.get_by_text("points of the score came from the leaks")).to_be_visible()
    page.get_by_role("radio", name="Whole speakers").or_(
        page.get_by_role("button", name="Whole speakers")
    ).first.click()
    expect(page.get_by_test_id("stPlotlyChart").get_by_text("5. Epoch chosen on other clips").last).to_be_visible()
    page.get_by_role("combobox").first.click()
    page.get_by_role("option", name="Two voices, random split").click()
    page.get_by_role("button", name="Measure these 3 steps").click()
    expect(page.get_by_text("points of the score came from the leaks")).to_be_visible(timeout=240_000)
    assert not server_with_corpora.modules() & {"tensorflow", "keras"}


def test_conditions_can_be_stopped_and_corpora_are_measured_against_each_other(
    page: Page, server_with_corpora: Server
) -> None:
    page.goto(f"{server_with_corpora.url}/compare")
    open_section(page, "Robustness")
    page.get_by_role("button", name="Measure on 64 clips").click()
    page.get_by_role("button", name="Stop", exact=True).click(timeout=60_000)
    expect(page.get_by_text("Stopped. Finished conditions are kept")).to_be_visible(timeout=240_000)
    open_section(page, "Cross-corpus")
    expect(page.get_by_text("leaving the corpus costs")).to_be_visible()
    page.get_by_role("combobox").first.click()
    page.get_by_role("option", name="Corpora here").click()
    page.get_by_role("combobox").nth(1).click()
    page.get_by_role("option", name="MLP").click()
    page.get_by_role("button", name="Measure these 4 cells").click()
    expect(page.get_by_text("on the 3 labels that all share")).to_be_visible(timeout=240_000)
    expect(page.get_by_text("The same as a table")).to_be_visible(timeout=240_000)
    assert not server_with_corpora.modules() & {"tensorflow", "keras"}


def test_a_phone_shows_every_section_within_its_width_in_either_theme(page: Page, server_with_corpora: Server) -> None:
    as_on_a_phone(page)
    page.goto(f"{server_with_corpora.url}/compare")
    signs = {
        "Held-out figures": "compare down a column",
        "Score on a corpus": "Corpora",
        "Robustness": "Conditions",
        "Cross-corpus": "leaving the corpus costs",
        "Leakage Lab": "points of the score",
    }
    for section, sign in signs.items():
        open_section(page, section)
        expect(page.get_by_text(sign).last).to_be_visible()
        assert faults_on_a_phone(page) == []
