"""The Live page in a real Chromium whose microphone plays a voice: what it shows, keeps and gives away is what the core says."""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Browser, FrameLocator, Page, expect, sync_playwright

from benchmarks import live
from ser_core.audio import waveform
from ser_core.recognition import analysis, store
from tests.browser.conftest import CARDS, Server, as_on_a_phone, faults_on_a_phone
from tools.browser import MICROPHONE_FLAGS, system_browser

HOP_MS = 500


def start(page: Page, server: Server) -> FrameLocator:
    page.goto(f"{server.url}/live")
    controls = page.frame_locator("iframe[title*=webrtc]")
    controls.get_by_role("button", name="Start listening").click()
    return controls


def download(page: Page, name: str) -> bytes:
    with page.expect_download() as waiting:
        page.get_by_role("button", name=name).click()
    return Path(waiting.value.path()).read_bytes()


def test_a_voice_is_followed_kept_and_passed_on(page: Page, server: Server, models: Path) -> None:
    controls = start(page, server)
    lane = page.locator(".ser-lane[data-model=knn] i")
    expect(lane.nth(4)).to_be_attached()
    expect(page.locator(f".st-key-live_cards {CARDS}")).to_have_count(len(store.SHIPPED))
    page.wait_for_timeout(4000)
    controls.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("heading", name="Your session")).to_be_visible()
    (result,) = json.loads(download(page, "Everything (JSON)"))
    samples, rate = soundfile.read(io.BytesIO(download(page, "Sound (WAV)")), dtype="int16")
    assert rate == 16_000 and len(samples) / rate == pytest.approx(result["duration_s"], abs=0.01)
    recognizers = [store.load(slug, models) for slug in store.SHIPPED]
    same = total = 0
    for window in result["segments"]:
        clip = waveform.encode_pcm(samples[round(window["start_s"] * rate) : round(window["end_s"] * rate)], rate)
        expected = analysis.recognize(recognizers, analysis.analyse(clip))
        assert window["speech"] is bool(expected)
        total += bool(expected)
        same += bool(expected) and [each["label"] for each in window["predictions"]] == [
            each.label for each in expected
        ]
    assert total > 4 and same >= 0.9 * total
    page.get_by_role("button", name="Open in Recognize").click()
    expect(page.get_by_text("Spoken live.")).to_be_visible()
    expect(page.locator(CARDS).first).to_be_visible()


def test_a_microphone_that_is_refused_is_said_to_be(chromium: Browser, server: Server) -> None:
    context = chromium.new_context(permissions=[])
    page = context.new_page()
    page.add_init_script(
        "if (navigator.mediaDevices) navigator.mediaDevices.getUserMedia = () => "
        "Promise.reject(new DOMException('Permission denied', 'NotAllowedError'))"
    )
    controls = start(page, server)
    expect(controls.get_by_text("Permission denied")).to_be_visible()
    expect(page.get_by_role("link", name="Record a clip instead")).to_be_visible()
    context.close()


def test_a_phone_shows_the_session_within_its_width_in_either_theme(page: Page, server: Server) -> None:
    as_on_a_phone(page)
    controls = start(page, server)
    expect(page.locator(".ser-lane[data-model=knn]")).to_be_visible()
    assert faults_on_a_phone(page) == []
    controls.get_by_role("button", name="Stop").click()


def is_soon(heard: list[float], shown: list[float]) -> bool:
    """Whether four sounds or more were heard, and each was shown within twice the time that the benchmark allows."""
    try:
        times = live.latencies_ms(heard, shown)
    except ValueError:
        return False
    return len(times) >= 4 and bool(np.median(times) <= 2 * (HOP_MS + 300))


def test_a_sound_shows_soon_and_none_is_lost(server: Server, tmp_path: Path) -> None:
    """Five short sounds; the benchmark has the exact figures.

    A busy machine may take twice as long, and may miss a sound in one of two tries; a broken path takes seconds, and does so each time.
    """
    path = tmp_path / "pulses.wav"
    soundfile.write(path, live.pulses(60), live.RATE, subtype="PCM_16")

    def run() -> tuple[list[float], list[float], bytes]:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=system_browser(),
                args=[*MICROPHONE_FLAGS, f"--use-file-for-fake-audio-capture={path}%noloop"],
            )
            found = live.listen(browser.new_context(permissions=["microphone"]).new_page(), server.url, 17.0)
            browser.close()
            return found

    with ThreadPoolExecutor(1) as pool:  # this thread has a Playwright already
        tries = [pool.submit(run).result()]
        if not is_soon(*tries[0][:2]):
            tries.append(pool.submit(run).result())
    heard, shown, wav = tries[-1]
    assert is_soon(heard, shown), (heard, shown)
    gaps = np.diff(live.onsets(wav))
    np.testing.assert_allclose(gaps, live.PERIOD_S, atol=0.03)
