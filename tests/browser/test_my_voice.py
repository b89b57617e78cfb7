"""My voice in a real Chromium, on a phone: record with the microphone, send up, test, switch off, keep; and a clip of the shelf."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import soundfile
from playwright.sync_api import Page, expect

from ser_core.recognition import store
from tests.browser.conftest import VOICE, Server, serious, settled
from tests.support.utterances import RATE, utterance

LOADED_MS = 180_000
"""The first answer waits until a worker has loaded the models."""


@pytest.fixture
def phone(page: Page) -> Page:
    page.set_viewport_size({"width": 390, "height": 844})
    return page


def is_within(page: Page) -> bool:
    return bool(page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth <= innerWidth"))


def keep(page: Page, label: str) -> None:
    expect(page.get_by_role("heading", name=f"Act “{label}”")).to_be_visible()
    button = page.get_by_role("button", name="Keep", exact=True)
    expect(button).to_be_enabled(timeout=LOADED_MS)
    button.click()
    expect(page.get_by_role("heading", name=f"Act “{label}”")).to_have_count(0, timeout=LOADED_MS)
    settled(page)


def test_a_voice_is_enrolled_tested_switched_off_and_kept(phone: Page, server: Server, tmp_path: Path) -> None:
    phone.goto(f"{server.url}/my_voice")
    phone.get_by_role("radio", name="4 in half a minute").click()
    settled(phone)
    recorder = phone.get_by_test_id("stAudioInput")
    recorder.get_by_role("button", name="Record", exact=True).click()
    phone.wait_for_timeout(3000)
    recorder.get_by_role("button", name="Stop recording").click()
    keep(phone, "neutral")
    phone.get_by_role("tab", name="Upload").click()
    for test, labels in ((0, ("happy", "sad", "angry")), (1, ("neutral", "happy", "sad", "angry"))):
        if test:
            phone.get_by_role("button", name="Second round: the test").click()
        for number, label in enumerate(labels):
            place = tmp_path / f"{test}{number}.wav"
            soundfile.write(place, utterance(10 * test + number), RATE)
            expect(phone.get_by_role("heading", name=f"Act “{label}”")).to_be_visible()
            phone.locator("[class*='st-key-my_voice-upload'] input[type=file]").set_input_files(place)
            keep(phone, label)
    expect(phone.get_by_text("adapted to 4 takes")).to_be_visible()
    right = phone.get_by_role("region", name="Right answers on the test takes")
    assert [each.text_content() for each in right.get_by_role("columnheader").all()] == ["Model", "Before", "After"]
    expect(right.get_by_role("cell").filter(has_text=re.compile(r"^\d of 4 \(\d+ to \d+ %\)$"))).to_have_count(
        2 * (len(store.SHIPPED) + 1)  # of each model and of all together, before and after
    )
    expect(phone.get_by_text(re.compile("^The adaptation (helped|did not|made it worse)"))).to_be_visible()
    phone.get_by_text("Your takes", exact=True).click()
    assert is_within(phone)
    for scheme in ("light", "dark"):
        phone.emulate_media(color_scheme=scheme)
        settled(phone)
        assert serious(phone) == []
    with phone.expect_download() as waiting:
        phone.get_by_role("button", name="Save my voice").click()
    saved = json.loads(Path(waiting.value.path()).read_text(encoding="utf-8"))
    assert [each["label"] for each in saved["takes"]] == ["neutral", "happy", "sad", "angry"]

    phone.get_by_role("link", name="Recognize").click()
    phone.get_by_role("tab", name="Upload").click()
    phone.locator("[class*='st-key-recognize-upload'] input[type=file]").set_input_files(VOICE)
    switch = phone.get_by_role("switch", name="My voice: adapted to 4 takes")
    expect(switch).to_be_checked()
    bars = phone.locator(".ser-bars").first
    expect(bars).to_be_visible(timeout=LOADED_MS)
    adapted = bars.text_content() or ""
    switch.focus()
    phone.keyboard.press("Space")
    expect(switch).not_to_be_checked()
    expect(bars).not_to_have_text(adapted)
    settled(phone)
    expect(phone.get_by_role("heading", name="Your clips")).to_be_visible()
    assert is_within(phone) and serious(phone) == []
    phone.get_by_role("button", name="Forget my recordings").click()
    expect(switch).to_have_count(0)
    expect(phone.get_by_role("heading", name="Your clips")).to_have_count(0)
