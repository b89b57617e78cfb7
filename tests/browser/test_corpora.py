"""The Corpora page in a real Chromium: install, check, explore, hear, and pass a clip on."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from ser_core.corpora import doctor
from ser_core.recognition import store
from tests.browser.conftest import CARDS, VOICE, Server, as_on_a_phone, faults_on_a_phone

LABELS = {"F": "happy", "T": "sad", "W": "angry", "N": "neutral"}
NAMES = [f"{speaker}a0{sentence}{code}a" for speaker in ("03", "08") for sentence in (1, 2) for code in LABELS]


@pytest.fixture(scope="module")
def root(start_server: Callable[[], Server]) -> tuple[Server, Path]:
    """A server of its own, and its corpora folder with a part of EmoDB: one synthetic voice under all names."""
    server = start_server()
    folder = server.modules_file.parent / "corpora"
    (folder / "emodb").mkdir(parents=True)
    for name in NAMES:
        (folder / "emodb" / f"{name}.flac").write_bytes(VOICE.read_bytes())
    return server, folder


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name).click()
    expect(page.get_by_role("tab", name=name)).to_have_attribute("aria-selected", "true")


def clip_table(page: Page) -> Locator:
    table = page.get_by_test_id("stDataFrame").last
    expect(table).to_be_visible()
    return table


def tick_first(page: Page) -> None:
    """Tick the first row: the table is a canvas, rows are 35 pixels high."""
    table = clip_table(page)
    table.scroll_into_view_if_needed()
    page.wait_for_timeout(700)
    box = table.bounding_box()
    page.mouse.click(box["x"] + 14, box["y"] + 35 + 18)


def test_a_server_without_corpora_says_what_can_be_had(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/corpora")
    expect(page.get_by_text("No corpus is installed yet")).to_be_visible()
    for title in ("RAVDESS", "TESS", "SAVEE", "EmoDB", "CREMA-D"):
        expect(page.get_by_role("heading", name=title).first).to_be_visible()
    expect(page.get_by_role("button", name="Download 208.5 MB")).to_be_enabled()


def test_a_check_shows_what_the_doctor_finds(page: Page, root: tuple[Server, Path]) -> None:
    server, folder = root
    page.goto(f"{server.url}/corpora")
    open_tab(page, "Check")
    page.get_by_role("button", name="Check EmoDB").click()
    expect(page.get_by_role("button", name="Check EmoDB again")).to_be_visible()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Report (JSON)").click()
    found = json.loads(Path(waiting.value.path()).read_text(encoding="utf-8"))
    assert found == doctor.check("emodb", folder / "emodb").to_dict()
    assert "identical" in {finding["kind"] for finding in found["findings"]}
    expect(page.get_by_text("What it does to a score.")).to_have_count(len(found["findings"]))
    page.reload()
    open_tab(page, "Check")
    expect(page.get_by_role("button", name="Check EmoDB again")).to_be_visible()


def test_a_clip_is_heard_and_opened_in_recognize(page: Page, root: tuple[Server, Path]) -> None:
    server, _ = root
    page.goto(f"{server.url}/corpora")
    open_tab(page, "Explore")
    expect(page.get_by_text(f"All {len(NAMES)} clips")).to_be_visible()
    expect(page.get_by_test_id("stPlotlyChart")).to_have_count(2)
    page.get_by_test_id("stButtonGroup").get_by_text("Clips", exact=True).first.click()
    expect(page.get_by_text("Tick one to hear it")).to_be_visible()
    tick_first(page)
    expect(page.locator(".player")).to_have_attribute("data-state", "ready")
    assert page.locator(".player audio").evaluate("sound => sound.error") is None
    page.get_by_role("button", name="Open in Recognize").click()
    expect(page.get_by_role("heading", name="Recognize")).to_be_visible()
    expect(page.get_by_text("Acted as happy")).to_be_visible()
    expect(page.locator(CARDS)).to_have_count(len(store.SHIPPED))
    page.get_by_role("link", name="Corpora").click()
    expect(page.get_by_role("tab", name="Explore")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_text("Tick one to hear it")).to_be_visible()
    open_tab(page, "Check")
    expect(page.get_by_text("Every clip is read once")).to_be_visible()


def test_a_zip_is_installed_and_shown(page: Page, root: tuple[Server, Path]) -> None:
    server, folder = root
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("Actor_07/03-01-05-01-02-01-07.flac", VOICE.read_bytes())
    page.goto(f"{server.url}/corpora")
    page.get_by_text("Install from a zip").click()
    expect(page.get_by_role("button", name="Install", exact=True)).to_be_disabled()
    page.locator("input[type=file]").set_input_files(
        {"name": "any name.zip", "mimeType": "application/zip", "buffer": packed.getvalue()}
    )
    page.get_by_role("button", name="Install", exact=True).click()
    expect(page.get_by_text("1 of 1,440 clips")).to_be_visible()
    assert (folder / "ravdess" / "Actor_07" / "03-01-05-01-02-01-07.flac").is_file()


def test_a_phone_shows_every_tab_within_its_width_in_either_theme(page: Page, root: tuple[Server, Path]) -> None:
    server, _ = root
    as_on_a_phone(page)
    page.goto(f"{server.url}/corpora")
    for tab, sign in (
        ("Corpora", "Install from a zip"),
        ("Check", "Every clip is read once"),
        ("Explore", "The same as a table"),
    ):
        open_tab(page, tab)
        expect(page.get_by_text(sign).first).to_be_visible()
        assert faults_on_a_phone(page) == []
