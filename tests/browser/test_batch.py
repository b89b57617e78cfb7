"""The Batch page in a real Chromium: a zip goes in, the table fills, and what comes out is what the command line says."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from ser_core.recognition import batch, store
from tests.browser.conftest import CARDS, VOICE, Server, as_on_a_phone, faults_on_a_phone

SAMPLES = sorted(VOICE.parent.glob("*.flac"))


@pytest.fixture(scope="module")
def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        for sample in SAMPLES:
            packed.write(sample, f"sad/{sample.name}")
        packed.writestr("broken.wav", b"RIFF")
    return file.getvalue()


def give(page: Page, server: Server, data: bytes) -> None:
    page.goto(f"{server.url}/batch")
    page.locator("input[type=file]").set_input_files({"name": "all.zip", "mimeType": "application/zip", "buffer": data})
    page.get_by_role("button", name=f"Analyse {len(SAMPLES) + 1} recordings").click()
    expect(page.get_by_text("1 that cannot be used")).to_be_visible()


def test_a_zip_becomes_a_table_to_take_home_and_to_hear(
    page: Page, server: Server, models: Path, zipped: bytes
) -> None:
    give(page, server, zipped)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Everything (JSON)").click()
    found = {
        Path(each["file"]).name: each for each in json.loads(Path(waiting.value.path()).read_text(encoding="utf-8"))
    }
    for expected in batch.predict([str(sample) for sample in SAMPLES], store.SHIPPED, folder=models):
        shown = found[Path(expected["file"]).name]
        assert shown["label"] == "sad" and shown["quality"] == json.loads(json.dumps(expected["quality"]))
        for ours, theirs in zip(shown["predictions"], expected["predictions"], strict=True):
            assert ours["probabilities"] == pytest.approx(theirs["probabilities"], abs=1e-4)
    expect(page.get_by_text("How often they are right")).to_be_visible()
    table = page.get_by_test_id("stDataFrame").first
    table.scroll_into_view_if_needed()
    page.wait_for_timeout(700)
    box = table.bounding_box()
    page.mouse.click(box["x"] + 14, box["y"] + 35 + 35 + 18)  # the second row; the table is a canvas
    expect(page.locator(".player")).to_have_attribute("data-state", "ready")
    page.get_by_role("button", name="Open in Recognize").click()
    expect(page.locator(CARDS)).to_have_count(len(store.SHIPPED))


def test_a_phone_shows_the_batch_within_its_width_in_either_theme(page: Page, server: Server, zipped: bytes) -> None:
    as_on_a_phone(page)
    give(page, server, zipped)
    expect(page.get_by_text("How often they are right")).to_be_visible()
    assert faults_on_a_phone(page) == []
