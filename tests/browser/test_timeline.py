"""A long clip in a real Chromium: a click on the timeline plays that moment, and the files say what the command line says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from ser_core.audio import decoding, waveform
from ser_core.recognition import store, timeline
from tests.browser.conftest import CARDS, VOICE, Server, as_on_a_phone, faults_on_a_phone

LEFT_PX, RIGHT_PX = 78, 12
"""Margins of the figure."""


@pytest.fixture(scope="module")
def memo() -> bytes:
    voice = decoding.decode(VOICE).waveform.samples
    pause = np.zeros(5 * waveform.SAMPLE_RATE, np.float32)
    return waveform.encode_wav(waveform.Waveform(np.concatenate([voice, pause, voice, pause]), waveform.SAMPLE_RATE))


def upload(page: Page, server: Server, data: bytes) -> None:
    page.goto(server.url)
    page.get_by_role("tab", name="Upload").click()
    page.locator("input[type=file]").set_input_files({"name": "memo.wav", "mimeType": "audio/wav", "buffer": data})
    expect(page.get_by_text("Over the whole recording")).to_be_visible()


def test_a_click_plays_the_moment_and_opens_it(page: Page, server: Server, models: Path, memo: bytes) -> None:
    upload(page, server, memo)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Everything (JSON)").click()
    (shown,) = json.loads(Path(waiting.value.path()).read_text(encoding="utf-8"))
    predict_window = timeline.window_predictor([store.load(slug, models) for slug in store.SHIPPED])
    expected = timeline.to_dict("memo.wav", timeline.analyse(memo, predict_window))
    for ours, theirs in zip(shown["segments"], expected["segments"], strict=True):
        assert (ours["start_s"], ours["end_s"], ours["speech"]) == (
            theirs["start_s"],
            theirs["end_s"],
            theirs["speech"],
        )
        for first, second in zip(ours["predictions"], theirs["predictions"], strict=True):
            assert first["probabilities"] == pytest.approx(second["probabilities"], abs=1e-4)
    figure = page.get_by_test_id("stPlotlyChart")
    expect(figure).to_have_count(1)  # while the page is drawn anew, the old one may still stand beside it
    figure.scroll_into_view_if_needed()
    page.wait_for_timeout(700)
    box = figure.bounding_box()
    seconds = shown["duration_s"]
    width = box["width"] - LEFT_PX - RIGHT_PX
    for at_s, y, told in ((1.6, 170, "0:00.0 to 0:03.0"), (10.6, 40, "0:09.0 to 0:12.0")):  # a lane, then the waveform
        page.mouse.move(box["x"] + LEFT_PX + width * at_s / seconds - 3, box["y"] + y)
        page.mouse.move(box["x"] + LEFT_PX + width * at_s / seconds, box["y"] + y)
        page.mouse.click(box["x"] + LEFT_PX + width * at_s / seconds, box["y"] + y)
        moment = page.locator(".st-key-timeline_moment")
        expect(moment.get_by_text(told)).to_be_visible()
        page.wait_for_function(
            "sound => sound.duration === 3 && sound.currentTime > 0",
            arg=moment.locator(".player audio").element_handle(),
        )
        figure.scroll_into_view_if_needed()
        page.wait_for_timeout(700)
        box = figure.bounding_box()
    expect(moment.locator(CARDS)).to_have_count(len(store.SHIPPED))
    page.get_by_role("button", name="Open this moment in Recognize").click()
    expect(page.get_by_text("memo 9 to 12 s.wav")).to_be_visible()
    expect(page.get_by_text("A moment of a longer recording.")).to_be_visible()


def test_a_phone_shows_the_timeline_within_its_width_in_either_theme(page: Page, server: Server, memo: bytes) -> None:
    as_on_a_phone(page)
    upload(page, server, memo)
    expect(page.get_by_test_id("stPlotlyChart")).to_be_visible()
    assert faults_on_a_phone(page) == []
