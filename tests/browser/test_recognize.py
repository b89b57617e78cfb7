"""The Recognize page in a real Chromium: what it hears through microphone and files is what the core computes."""

from __future__ import annotations

import io
import json
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from playwright.sync_api import Page, expect

from ser_core.recognition import analysis, store
from tests.browser.conftest import CARDS, Server, all_answered


def encode(wav: bytes, container: str, codec: str) -> bytes:
    """Return a WAV in another container, by PyAV."""
    samples, rate = soundfile.read(io.BytesIO(wav), dtype="float32")
    buffer = io.BytesIO()
    with av.open(buffer, mode="w", format=container) as out:
        stream = out.add_stream(codec, rate=rate, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.reshape(1, -1)), format="flt", layout="stereo")
        frame.sample_rate = rate
        codec_context = stream.codec_context
        resampler = av.AudioResampler(codec_context.format, "stereo", rate, frame_size=codec_context.frame_size)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            out.mux(stream.encode(part))
        out.mux(stream.encode(None))
    return buffer.getvalue()


FILES = {
    "voice.wav": lambda wav: wav,
    "voice.mp3": lambda wav: encode(wav, "mp3", "libmp3lame"),
    "voice.m4a": lambda wav: encode(wav, "ipod", "aac"),
    "voice.webm": lambda wav: encode(wav, "webm", "libopus"),
}


def upload(page: Page, name: str, data: bytes) -> None:
    page.get_by_role("tab", name="Upload").click()
    page.locator("input[type=file]").set_input_files(
        {"name": name, "mimeType": "application/octet-stream", "buffer": data}
    )


def download(page: Page, button: str) -> bytes:
    with page.expect_download() as waiting:
        page.get_by_role("button", name=button).click()
    return Path(waiting.value.path()).read_bytes()


def expected(data: bytes, models: Path) -> dict[str, dict[str, float]]:
    """What the core predicts for these bytes: model -> label -> probability."""
    recognizers = [store.load(slug, models) for slug in store.SHIPPED]
    return {each.model: each.probabilities for each in analysis.recognize(recognizers, analysis.analyse(data))}


def shown_in_cards(page: Page) -> list[dict[str, int]]:
    """What the cards show: label -> percent."""
    all_answered(page)
    cards = page.locator(CARDS)
    expect(cards).to_have_count(len(store.SHIPPED))
    bars = [[row.inner_text().split("\n") for row in card.locator("li").all()] for card in cards.all()]
    return [{row[0]: int(row[-1].removesuffix("%")) for row in rows} for rows in bars]


def check_predictions(page: Page, data: bytes, models: Path) -> None:
    """The cards and the JSON of the page say what the core says of the same bytes."""
    core = expected(data, models)
    shown = shown_in_cards(page)
    (entry,) = json.loads(download(page, "Predictions (JSON)"))
    for prediction in entry["predictions"]:
        assert prediction["probabilities"] == pytest.approx(core[prediction["model"]], abs=1e-6)
    for card, probabilities in zip(shown, core.values(), strict=True):
        assert card == pytest.approx({label: 100 * p for label, p in probabilities.items()}, abs=0.51)


def player(page: Page) -> dict[str, Any]:
    """What the browser makes of the sound that the page offers."""
    expect(page.locator(".player").first).to_have_attribute("data-state", "ready")
    sound = page.locator(".player audio").first
    page.wait_for_function("sound => sound.readyState > 0 || sound.error", arg=sound.element_handle())
    return sound.evaluate("({duration, error}) => ({duration, error: error && error.message})")


def record(page: Page, seconds: float) -> None:
    recorder = page.get_by_test_id("stAudioInput")
    recorder.get_by_role("button", name="Record", exact=True).click()
    page.wait_for_timeout(1000 * seconds)
    recorder.get_by_role("button", name="Stop recording").click()


def test_a_recording_gets_the_predictions_of_the_core(page: Page, server: Server, models: Path) -> None:
    page.goto(server.url)
    record(page, 3.5)
    expect(page.get_by_text("of speech,")).to_be_visible()
    data = download(page, "This clip")
    samples, rate = soundfile.read(io.BytesIO(data))
    assert rate == 44_100 and len(samples) / rate > 2.5 and abs(samples).max() > 0.05
    check_predictions(page, data, models)
    assert player(page)["error"] is None


def test_a_recording_survives_a_page_change_and_stays_cleared(page: Page, server: Server) -> None:
    page.goto(server.url)
    record(page, 2.5)
    cards = page.locator(CARDS)
    expect(cards).to_have_count(len(store.SHIPPED))
    page.get_by_role("link", name="Guide").click()
    expect(page.get_by_role("heading", name="Guide")).to_be_visible()
    page.get_by_role("link", name="Recognize").click()
    expect(cards).to_have_count(len(store.SHIPPED))
    page.get_by_role("button", name="Clear").click()
    expect(cards).to_have_count(0)
    page.get_by_role("link", name="Guide").click()
    expect(page.get_by_role("heading", name="Guide")).to_be_visible()
    page.get_by_role("link", name="Recognize").click()
    expect(page.get_by_test_id("stAudioInput")).to_be_visible()
    expect(cards).to_have_count(0)


@pytest.mark.parametrize("name", FILES)
def test_an_upload_gets_the_predictions_of_the_core(
    page: Page, server: Server, models: Path, stereo_wav: bytes, name: str
) -> None:
    data = FILES[name](stereo_wav)
    page.goto(server.url)
    upload(page, name, data)
    expect(page.get_by_text("48 kHz, stereo")).to_be_visible()
    check_predictions(page, data, models)
    heard = player(page)
    assert heard["error"] is None and heard["duration"] == pytest.approx(
        analysis.analyse(data).quality.duration_s, abs=0.15
    )


def test_the_pictures_are_hovered_together_and_save_as_png(page: Page, server: Server, stereo_wav: bytes) -> None:
    page.goto(server.url)
    upload(page, "voice.wav", stereo_wav)
    figure = page.get_by_test_id("stPlotlyChart")
    for row in ("Waveform", "Mel spectrogram"):
        page.get_by_role("button", name=row, exact=True).click()
        expect(figure.get_by_text(row)).to_be_visible()
    figure.scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    box = figure.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 280)
    for unit in ("of full scale", "dB", " s"):
        expect(figure.locator(".hoverlayer")).to_contain_text(unit)
    with page.expect_download() as waiting:
        figure.get_by_role("button", name="Download plot as a PNG").click()
    assert Path(waiting.value.path()).read_bytes()[:4] == b"\x89PNG"
    assert b"plotly" in download(page, "Pictures (HTML)").lower()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_everything_within_its_width(page: Page, server: Server, stereo_wav: bytes, scheme: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme=scheme)
    page.goto(server.url)
    upload(page, "voice.wav", stereo_wav)
    all_answered(page)
    cards = page.locator(CARDS)
    expect(cards).to_have_count(len(store.SHIPPED))
    boxes = [card.bounding_box() for card in cards.all()]
    assert len({box["x"] for box in boxes}) == 1, "the cards stand in one column"
    assert page.evaluate("document.querySelector('.stMain').scrollWidth") <= 390


def test_a_deep_link_on_a_fresh_server_shows_its_page(page: Page, start_server: Callable[[], Server]) -> None:
    page.goto(f"{start_server().url}/guide")
    expect(page.get_by_role("heading", name="Guide")).to_be_visible()
    expect(page.get_by_text(re.compile("page not found", re.IGNORECASE))).to_have_count(0)
    page.get_by_role("link", name="Recognize").click()
    expect(page.get_by_test_id("stAudioInput")).to_be_visible()


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="asks the server by a signal that this system lacks")
def test_the_server_never_loads_tensorflow_or_keras(page: Page, server: Server, stereo_wav: bytes) -> None:
    page.goto(f"{server.url}/guide")
    expect(page.get_by_role("heading", name="Guide")).to_be_visible()
    page.goto(server.url)
    upload(page, "voice.wav", stereo_wav)
    shown_in_cards(page)
    loaded = server.modules()
    assert "ser_core.recognition.recognizer" in loaded
    assert {name.split(".")[0] for name in loaded} & {"tensorflow", "keras", "tf_keras", "tf2onnx"} == set()
