"""The player of a clip in a real Chromium: what it plays, shows, selects and repeats, and what of that reaches the server."""

from __future__ import annotations

import io
import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Locator, Page, expect

from pages.ui import player as ui_player
from ser_core.audio import decoding
from ser_core.recognition import store
from tests.browser.conftest import CARDS, VOICE, Server, all_answered, serious, settled
from tests.browser.test_recognize import upload

FOLDER = Path(ui_player.__file__).parent
DURATION_S = decoding.decode(VOICE.read_bytes()).waveform.duration_s


class Messages:
    """What the page sends to the server over its websocket."""

    def __init__(self, page: Page) -> None:
        self.sent: list[str | bytes] = []
        page.on("websocket", lambda socket: socket.on("framesent", lambda frame: self.sent.append(frame)))


@pytest.fixture
def messages(page: Page) -> Messages:
    return Messages(page)


@pytest.fixture
def clip(page: Page, server: Server, messages: Messages) -> Locator:
    """The player of a clip on Recognize, once all is drawn and answered."""
    page.goto(server.url)
    upload(page, "voice.flac", VOICE.read_bytes())
    player = page.locator(".st-key-recognize-player-now .player")
    expect(player).to_have_attribute("data-drawn", re.compile(r".+\.flac"))
    all_answered(page)
    settled(page)
    page.wait_for_timeout(700)  # fragments that have asked for the last time
    messages.sent.clear()
    return player


def now_s(player: Locator) -> float:
    return float(player.locator("audio").evaluate("sound => sound.currentTime"))


def at(player: Locator, time_s: float) -> tuple[float, float]:
    """Where a time is in the picture of the whole clip."""
    box = player.locator(".surface").bounding_box()
    assert box is not None
    return box["x"] + box["width"] * time_s / DURATION_S, box["y"] + 120


def select(page: Page, player: Locator, start_s: float, end_s: float) -> None:
    page.mouse.move(*at(player, start_s))
    page.mouse.down()
    page.mouse.move(*at(player, (start_s + end_s) / 2))
    page.mouse.move(*at(player, end_s))
    page.mouse.up()


def words(player: Locator) -> str:
    return player.locator(".words").inner_text()


def picture(player: Locator) -> str:
    """What the pictures look like, once they are drawn as they are asked for."""
    player.page.wait_for_timeout(400)
    return str(player.locator("canvas").evaluate("canvas => canvas.toDataURL()"))


def test_a_click_seeks_and_a_drag_selects_what_then_repeats(page: Page, clip: Locator, messages: Messages) -> None:
    page.mouse.click(*at(clip, 2.0))
    assert now_s(clip) == pytest.approx(2.0, abs=0.02)
    select(page, clip, 1.0, 1.6)
    assert words(clip) == "1.00 to 1.60 s, repeats" and now_s(clip) == pytest.approx(1.0, abs=0.02)
    clip.get_by_role("button", name="Play", exact=True).click()
    expect(clip.get_by_role("button", name="Pause")).to_be_visible()
    places = []
    for _ in range(12):
        page.wait_for_timeout(200)
        places.append(now_s(clip))
    assert min(places) >= 0.99 and max(places) < 1.9, places
    assert any(later < sooner for sooner, later in itertools.pairwise(places)), "it begins again"
    clip.get_by_role("button", name="Pause").click()
    page.mouse.click(*at(clip, 3.0))
    assert now_s(clip) == pytest.approx(3.0, abs=0.02) and "Drag to select" in words(clip)
    assert messages.sent == [], "nothing of this draws the page anew"


def test_everything_works_by_keyboard(page: Page, clip: Locator, messages: Messages) -> None:
    surface = clip.get_by_role("slider", name="Position in Clip, voice.flac")
    surface.focus()
    for key, expected in (("End", DURATION_S), ("Home", 0.0), ("ArrowRight", 0.1), ("Shift+ArrowRight", 1.1)):
        page.keyboard.press(key)
        assert now_s(clip) == pytest.approx(expected, abs=0.03), key
    page.keyboard.press("[")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("]")
    assert words(clip) == "1.10 to 1.60 s, repeats"
    assert surface.get_attribute("aria-valuetext") == f"1.60 of {DURATION_S:.2f} seconds"
    page.keyboard.press("Space")
    expect(clip.get_by_role("button", name="Pause")).to_be_visible()
    page.keyboard.press("Space")
    expect(clip.get_by_role("button", name="Play", exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    assert "Drag to select" in words(clip)
    page.keyboard.press("+")
    expect(clip.get_by_role("slider", name="Part of the clip that is shown")).to_be_visible()
    page.keyboard.press("0")
    expect(clip.get_by_role("slider", name="Part of the clip that is shown")).to_be_hidden()
    assert messages.sent == []


def test_the_models_answer_for_the_selection_beside_the_whole(page: Page, clip: Locator, messages: Messages) -> None:
    expect(page.locator(CARDS)).to_have_count(len(store.SHIPPED))
    select(page, clip, 1.0, 2.5)
    clip.get_by_role("button", name="Ask about this selection").click()
    box = page.locator(".st-key-recognize_selection")
    expect(box.get_by_text("The selection, 1.00 to 2.50 s")).to_be_visible()
    expect(box.locator(CARDS)).to_have_count(len(store.SHIPPED))
    expect(box.get_by_text("Whole clip:").first).to_be_visible()
    expect(box.get_by_text("still listening")).to_have_count(0)
    assert messages.sent, "asking is what the server is told"
    assert words(clip) == "1.00 to 2.50 s, repeats", "the selection stays"
    page.get_by_role("link", name="Guide", exact=True).click()
    expect(page.get_by_role("heading", name="Guide")).to_be_visible()
    page.get_by_role("link", name="Recognize", exact=True).click()
    expect(page.locator(".st-key-recognize-player-now .words")).to_contain_text("1.00 to 2.50 s")
    box.get_by_role("button", name="Close").click()
    expect(box).to_have_count(0)


def test_a_part_too_short_to_be_answered_for_cannot_be_asked_about(page: Page, clip: Locator) -> None:
    select(page, clip, 1.0, 1.1)
    expect(clip.get_by_role("button", name="Ask about this selection")).to_be_disabled()
    assert "the models answer for 0.2 to 8 s" in words(clip)


def test_the_pictures_change_without_a_word_to_the_server(page: Page, clip: Locator, messages: Messages) -> None:
    clip.locator("summary").click()
    seen = {picture(clip)}
    for change in (
        lambda: clip.get_by_label("Frequency axis").select_option("linear"),
        lambda: clip.get_by_label("Window").fill("5"),
        lambda: clip.get_by_label("Range").fill("40"),
        lambda: clip.get_by_text("Pitch (f0): a line").click(),
        lambda: clip.get_by_text("Formants: dots").click(),
        lambda: clip.get_by_role("button", name="Zoom in").click(),
        lambda: clip.get_by_role("button", name="Zoom out").click(),
    ):
        change()
        seen.add(picture(clip))
    assert len(seen) == 7, "each setting shows, and zooming out returns to what was"
    page.mouse.move(*at(clip, 1.0))
    page.keyboard.down("Control")
    page.mouse.wheel(0, -100)
    page.keyboard.up("Control")
    assert picture(clip) not in seen
    assert messages.sent == []


def test_the_sound_is_fetched_once(page: Page, server: Server) -> None:
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url))
    page.goto(server.url)
    page.get_by_role("tab", name="Sample").click()
    page.get_by_role("button", name="Bright", exact=True).click()
    player = page.locator(".st-key-recognize-player-now .player")
    expect(player).to_have_attribute("data-state", "ready")
    all_answered(page)
    player.get_by_role("button", name="Play", exact=True).click()
    page.wait_for_timeout(500)
    assert now_s(player) > 0 and len([url for url in fetched if url.startswith(f"{server.url}/media/")]) == 1


def test_who_asks_for_less_motion_gets_a_play_head_that_moves_seldom(page: Page, server: Server) -> None:
    page.emulate_media(reduced_motion="reduce")
    page.goto(server.url)
    upload(page, "voice.flac", VOICE.read_bytes())
    player = page.locator(".st-key-recognize-player-now .player")
    expect(player).to_have_attribute("data-state", "ready")
    all_answered(page)
    head = player.locator(".head")
    head.evaluate(
        "head => { head.moves = 0; new MutationObserver(all => { head.moves += all.length; }).observe(head, {attributes: true}); }"
    )
    player.get_by_role("button", name="Play", exact=True).click()
    page.wait_for_timeout(1500)
    assert 1 <= head.evaluate("head => head.moves") < 40


def test_a_file_that_a_browser_cannot_fetch_gets_a_sentence(page: Page, server: Server) -> None:
    page.route("**/media/**", lambda route: route.abort())
    page.goto(server.url)
    upload(page, "voice.flac", VOICE.read_bytes())
    player = page.locator(".st-key-recognize-player-now .player")
    expect(player.get_by_text("The sound could not be fetched")).to_be_visible()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_player_is_accessible_and_fits(page: Page, server: Server, width: int, scheme: str, tmp_path: Path) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    page.goto(server.url)
    upload(page, "voice.flac", VOICE.read_bytes())
    player = page.locator(".st-key-recognize-player-now .player")
    expect(player).to_have_attribute("data-state", "ready")
    all_answered(page)
    settled(page)
    player.locator("summary").click()
    player.locator(".surface").focus()
    page.keyboard.press("]")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("]")
    for name in ("Play", "Zoom in", "Clear selection", "Ask about this selection"):
        box = player.get_by_role("button", name=name, exact=True).bounding_box()
        assert box is not None and (width > 640 or (box["height"] >= 44 and box["width"] >= 44)), name
        assert box["x"] >= 0 and box["x"] + box["width"] <= width, name
    assert page.evaluate("document.querySelector('.stMain').scrollWidth") <= width
    described = player.locator("canvas").get_attribute("aria-label")
    assert described == f"Waveform and spectrogram of Clip, voice.flac, {DURATION_S:.2f} seconds."
    assert serious(page) == []


# --- what is computed in the browser


def compute(page: Page, expression: str, samples: np.ndarray) -> Any:
    """What an expression of sound.js gives for these samples at 16 kHz."""
    page.goto("about:blank")
    return page.evaluate(
        """async ([source, samples, expression]) => {
            const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
            const sound = await import(url);
            return new Function("sound", "samples", "return " + expression)(sound, Float32Array.from(samples));
        }""",
        [(FOLDER / "sound.js").read_text(encoding="utf-8"), samples.tolist(), expression],
    )


TIMES = np.arange(16_000) / 16_000


@pytest.mark.parametrize("window_ms", [5, 25, 50])
def test_a_sine_peaks_at_its_level_in_its_bin_whatever_the_window(page: Page, window_ms: int) -> None:
    power = compute(
        page,
        f"sound.spectra(samples, [0.3, 0.5, 0.7], sound.hann({window_ms})).map(each => Array.from(each))",
        0.5 * np.sin(2 * np.pi * 1000 * TIMES),
    )
    for column in power:
        assert int(np.argmax(column)) * 16_000 / 1024 == 1000 and np.sqrt(max(column)) == pytest.approx(0.5, abs=1e-3)


def test_a_spectrum_is_that_of_numpy(page: Page) -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    found = compute(page, "sound.spectra(samples, [0.25, 0.6], sound.hann(25)).map(each => Array.from(each))", samples)
    window = np.array(compute(page, "Array.from(sound.hann(25))", samples))
    for time_s, column in zip((0.25, 0.6), found, strict=True):
        start = round(time_s * 16_000 - 200)
        expected = np.abs(np.fft.rfft(samples[start : start + 400] * window, 1024)[:512]) ** 2
        np.testing.assert_allclose(column, expected, rtol=1e-3, atol=1e-9)


@pytest.mark.parametrize("kind", ["mel", "linear"])
def test_a_frequency_axis_and_its_inverse_agree(page: Page, kind: str) -> None:
    back = "[100, 440, 3000].map(hz => axis.hz(axis.share(hz)))"
    expression = f"(axis => [axis.share(8000), axis.share(0), ...{back}])(sound.axis('{kind}'))"
    assert compute(page, expression, np.zeros(1)) == pytest.approx([1, 0, 100, 440, 3000])


def test_the_formants_of_a_vowel_are_found(page: Page) -> None:
    import scipy.signal

    pulses = np.zeros(16_000)
    pulses[::133] = 1
    expected = (700, 1200, 2600, 3600)
    for hz, width in zip(expected, (80, 90, 120, 150), strict=True):
        radius = np.exp(-np.pi * width / 16_000)
        pulses = scipy.signal.lfilter([1], [1, -2 * radius * np.cos(2 * np.pi * hz / 16_000), radius**2], pulses)
    for found in compute(page, "sound.formants(samples, [0.3, 0.5])", pulses / np.abs(pulses).max()):
        assert found == pytest.approx(expected, rel=0.08)
    assert compute(page, "sound.formants(samples, [0.5])", np.zeros(16_000)) == [[]]


def test_the_envelope_keeps_every_peak(page: Page) -> None:
    samples = np.zeros(16_000)
    samples[[10, 9_000, 15_999]] = 0.9, -0.8, 0.7
    pairs = compute(page, "sound.envelope(samples, 0, 1, 100)", samples)
    assert len(pairs) == 100 and pairs[0][1] == pytest.approx(0.9) and pairs[56][0] == pytest.approx(-0.8)
    assert pairs[-1][1] == pytest.approx(0.7)


def test_a_long_recording_is_played_without_being_decoded_here(page: Page, server: Server) -> None:
    samples, rate = soundfile.read(VOICE, dtype="float32")
    file = io.BytesIO()
    soundfile.write(file, np.resize(samples, int(125 * rate)), rate, format="FLAC", subtype="PCM_16")
    page.add_init_script("OfflineAudioContext = class { constructor() { throw new Error('decoded'); } };")
    page.goto(server.url)
    upload(page, "long.flac", file.getvalue())
    player = page.locator(".st-key-recognize-player-now .player")
    expect(player).to_have_attribute("data-state", "ready", timeout=120_000)
    expect(player).to_have_attribute("data-drawn", re.compile(r".+\.flac"))
    player.locator(".surface").focus()
    page.keyboard.press("End")
    expect(player.locator(".time")).to_contain_text("2:05.0 / 2:05.0 s")


# --- what draws the figures


def test_the_library_of_figures_is_fetched_while_nothing_is_asked_and_not_again(page: Page, server: Server) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(server.url)
    page.wait_for_function(
        "performance.getEntriesByType('resource').some(each => each.name.includes('PlotlyChart') && each.responseEnd > 0)"
    )
    upload(page, "voice.flac", VOICE.read_bytes())
    expect(page.get_by_test_id("stPlotlyChart").locator(".main-svg").first).to_be_visible()
    assert len([url for url in asked if "PlotlyChart" in url]) == 1
