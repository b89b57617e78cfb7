"""What Explore shows of a corpus, in a real Chromium: measured once, seen, clicked, heard, changed and taken away."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Page, expect

from ser_core.corpora import catalogue, scan
from ser_core.dataset import cache
from tests.browser.conftest import Server, serious
from tests.support import ruled_corpus

N_CLIPS = 18
SECTIONS = {
    "Recordings": "A box holds the middle half",
    "Voices": "The label explains",
    "Map": "nearest clips",
    "Augment": "stands for",
    "Export": "No path of this machine",
    "Clips": "Tick one to hear it",
}


@pytest.fixture(scope="module")
def root(start_server: Callable[[], Server]) -> tuple[Server, Path]:
    """A server of its own, whose corpora folder holds 18 voices under RAVDESS' names."""
    server = start_server()
    folder = server.modules_file.parent
    ruled_corpus.write_as_ravdess(folder / "corpora" / "ravdess")
    return server, folder


def explore(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/corpora")
    page.get_by_role("tab", name="Explore").click()
    expect(page.get_by_text(f"All {N_CLIPS} clips")).to_be_visible()


def choose(page: Page, name: str) -> None:
    """Click a segment by its words."""
    page.get_by_test_id("stButtonGroup").get_by_text(name, exact=True).click()


def open_section(page: Page, name: str) -> None:
    choose(page, name)
    expect(page.get_by_text(SECTIONS[name]).first).to_be_visible()


def test_voices_are_measured_and_drawn_by_emotion(page: Page, root: tuple[Server, Path]) -> None:
    server, folder = root
    explore(page, server)
    open_section(page, "Voices")
    assert cache.usage(folder / "cache")[0] == N_CLIPS + 1
    figure = page.get_by_test_id("stPlotlyChart")
    expect(figure.get_by_text("Pitch (Hz)")).to_be_visible()
    for label in ruled_corpus.LABELS:
        expect(figure.get_by_text(label).first).to_be_visible()
    expect(figure.locator(".boxlayer .trace")).to_have_count(3)
    choose(page, "Speaking rate")
    expect(figure.get_by_text("Speaking rate (syllables per s)")).to_be_visible()
    page.get_by_text("Remove the speaker").click()
    expect(page.get_by_text("With each speaker's own mean taken out")).to_be_visible()


def test_a_click_on_the_map_is_heard_and_opened_in_recognize(page: Page, root: tuple[Server, Path]) -> None:
    server, _ = root
    explore(page, server)
    open_section(page, "Map")
    points = page.locator(".scatterlayer .point")
    expect(points).to_have_count(N_CLIPS)
    points.nth(7).scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    box = points.nth(7).bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    hover = page.locator(".hoverlayer .hovertext").first
    expect(hover).to_be_visible()
    label, _, name = hover.text_content().split(" · ")
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.get_by_text(f"Acted as {label}")).to_be_visible()
    expect(page.get_by_text(f"{name}.wav").first).to_be_visible()
    expect(page.locator(".player")).to_have_attribute("data-state", "ready")
    sound = page.locator(".player audio")
    page.wait_for_function("sound => sound.currentTime > 0 || sound.error", arg=sound.element_handle())
    assert sound.evaluate("sound => sound.error") is None
    page.get_by_role("button", name="Open in Recognize").click()
    expect(page.get_by_role("heading", name="Recognize")).to_be_visible()
    expect(page.get_by_text(f"Acted as {label}")).to_be_visible()
    page.get_by_role("link", name="Corpora").click()
    expect(page.get_by_role("heading", name="Map of the clips")).to_be_visible()


def test_an_effect_is_heard_and_seen_beside_the_clip(page: Page, root: tuple[Server, Path]) -> None:
    server, _ = root
    explore(page, server)
    open_section(page, "Augment")
    choose(page, "Telephone band")
    expect(page.get_by_text("Telephone band stands for a telephone")).to_be_visible()
    expect(page.get_by_text("Mel spectrogram")).to_have_count(2)
    expect(page.locator(".player[data-state=ready]")).to_have_count(2)


def test_the_features_are_downloaded(page: Page, root: tuple[Server, Path]) -> None:
    server, folder = root
    explore(page, server)
    open_section(page, "Export")
    for kind, read in (("CSV", pd.read_csv), ("Parquet", pd.read_parquet)):
        with page.expect_download() as waiting:
            page.get_by_role("button", name=f"Features ({kind})").click()
        assert waiting.value.suggested_filename == f"features.{kind.lower()}"
        data = Path(waiting.value.path()).read_bytes()
        rows = read(io.BytesIO(data))
        assert (
            len(rows) == N_CLIPS
            and set(rows["label"]) == set(ruled_corpus.LABELS)
            and set(rows["split"]) == {"train", "test"}
        )
        assert sorted(rows["clip"]) == sorted(scan.scan("ravdess", folder / "corpora" / "ravdess")[catalogue.NAME])
        assert str(folder).encode() not in data


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_every_section_within_its_width(page: Page, root: tuple[Server, Path], scheme: str) -> None:
    server, _ = root
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme=scheme)
    explore(page, server)
    for name in SECTIONS:
        open_section(page, name)
        assert page.evaluate("document.querySelector('.stMain').scrollWidth") <= 390, name
        assert serious(page) == []
        expect(page.get_by_text(re.compile("Traceback|Error"))).to_have_count(0)
