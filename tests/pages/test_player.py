"""The player of a clip without a browser: what a browser is given, and what becomes of what it sends back."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit
from streamlit.testing.v1 import AppTest

from pages.ui import clip_input, player, state
from pages.ui.player import Selection, envelope_of, selection_of
from pages.ui.recognize import answers
from ser_core.audio import decoding
from ser_core.audio.waveform import Waveform, encode_wav
from ser_core.recognition import analysis, store, timeline
from tests.support import pages
from tests.support.models import TITLES

SPEECH = (Path(__file__).resolve().parents[2] / "pages" / "samples" / "bright.flac").read_bytes()
KEY = "recognize.player.now"


def sent(start_s: Any, end_s: Any, clip: Any = "a clip") -> dict[str, Any]:
    return {"clip": clip, "start_s": start_s, "end_s": end_s}


@pytest.fixture
def page(models: Path) -> AppTest:
    return pages.visit()


def upload(page: AppTest, data: bytes = SPEECH, name: str = "voice.flac") -> AppTest:
    page.get("file_uploader")[0].set_value((name, data, "application/octet-stream"))
    return page.run()


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (sent(0.5, 1.25), Selection(0.5, 1.25)),
        (sent(0, 3), Selection(0.0, 3.0)),
        (sent(-5.0, 1e9), Selection(0.0, 3.0)),
        (sent(-math.inf, math.inf), Selection(0.0, 3.0)),
        (sent(-(10**400), 10**400), Selection(0.0, 3.0)),
        (sent(1.00049, 2.0), Selection(1.0, 2.0)),
    ],
)
def test_a_part_is_kept_within_its_clip(what: object, expected: Selection) -> None:
    assert selection_of(what, "a clip", 3.0) == expected


@pytest.mark.parametrize(
    "what",
    [
        None,
        "0.5 to 1.5",
        [0.5, 1.5],
        7,
        {},
        {"start_s": 0.5, "end_s": 1.5},
        sent(0.5, 1.5, clip="another"),
        sent(0.5, 1.5, clip=["a clip"]),
        sent("0.5", "1.5"),
        sent(None, 1.5),
        sent(True, 2),
        sent(math.nan, 1.5),
        sent(0.5, math.nan),
        sent([0.5], {"a": 1}),
        sent(1.5, 0.5),
        sent(1.0, 1.0),
        sent(1.0, 1.0 + player.MIN_S / 2),
        sent(5.0, 9.0),
    ],
)
def test_what_is_no_part_of_the_clip_is_not_taken(what: object) -> None:
    assert selection_of(what, "a clip", 3.0) is None


def test_no_part_is_longer_than_what_the_models_answer_for_at_once() -> None:
    assert selection_of(sent(1.0, 1.0 + timeline.LONG_S), "a clip", 60.0)
    assert selection_of(sent(1.0, 1.1 + timeline.LONG_S), "a clip", 60.0) is None


def test_an_envelope_keeps_every_peak_in_few_points() -> None:
    samples = np.zeros(1_000_003, np.float32)
    samples[[5, 500_000, 1_000_002]] = 0.9, -0.8, 0.7
    pairs = envelope_of(samples, samples)
    assert len(pairs) == player.ENVELOPE_POINTS
    assert pairs[0] == [0, 0.9] and min(low for low, _ in pairs) == -0.8 and pairs[-1] == [0, 0.7]
    assert envelope_of(samples[:0], samples[:0]) == [[0.0, 0.0]]


def test_the_browser_gets_the_sound_once_and_what_was_measured_of_it(page: AppTest) -> None:
    shown = pages.players(upload(page))[0]
    heard = analysis.analyse(SPEECH)
    assert shown["url"].endswith(".flac") and shown["mime"] == "audio/flac" and shown["pictures"] and shown["can_ask"]
    assert shown["duration_s"] == pytest.approx(heard.clip.waveform.duration_s)
    assert shown["f0_hz"] == [None if math.isnan(hz) else round(hz) for hz in heard.features.f0_hz.tolist()]
    assert shown["hop_s"] == 0.02 and len(shown["unused"]) == 2 and "envelope" not in shown
    assert len(json.dumps(shown)) < 5_000, "no samples"
    assert [len(colour) for colour in shown["colours"]["heat"]] == [3] * len(shown["colours"]["heat"])


def test_of_a_clip_longer_than_two_minutes_the_browser_gets_the_waveform_and_decodes_nothing(page: AppTest) -> None:
    voice = decoding.decode(SPEECH).waveform
    samples = np.resize(voice.samples, int((player.MOST_DECODED_S + 1) * voice.sample_rate))
    upload(page, encode_wav(Waveform(samples, voice.sample_rate)), "long.wav")
    pages.finish(page, state.TIMELINE)
    shown = pages.players(page)[0]
    assert len(shown["envelope"]) == player.ENVELOPE_POINTS and "f0_hz" not in shown
    assert max(high for _, high in shown["envelope"]) == pytest.approx(samples.max(), abs=0.01)


def asked(page: AppTest, selection: Selection) -> AppTest:
    """A page whose player was asked about a part: AppTest has no way to send what a component sends."""
    clip = pages.players(page)[0]["clip"]
    page.session_state[state.SELECTIONS] = {KEY: (clip, selection)}
    return page.run()


def test_the_models_answer_for_a_part_beside_the_whole(page: AppTest, models: Path) -> None:
    upload(page)
    n = sum(element.proto.body.count("<section>") for element in page.get("html"))
    asked(page, Selection(1.0, 2.5))
    said = pages.text(page, "html")
    assert "The selection, 1.00 to 2.50 s" in said and "Whole clip: " in said and "Selection: " in said
    assert sum(element.proto.body.count("<section>") for element in page.get("html")) == 2 * n == 2 * len(TITLES)
    samples = decoding.decode(SPEECH).waveform.samples[16_000:40_000]
    core = analysis.recognize(
        [store.load(slug, models) for slug in store.SHIPPED],
        analysis.measure_samples(Waveform(np.rint(samples * 2**15).astype(np.float32) / 2**15, 16_000)),
    )
    part = next(each.proto.body for each in page.get("html") if "Whole clip" in each.proto.body)
    for prediction in core:
        assert f"→ {100 * max(prediction.probabilities.values()):.0f} %" in part
    assert pages.players(page)[0]["selection"] == [1.0, 2.5]
    page.button("recognize.selection.close").click().run()
    assert "The selection" not in pages.text(page)


def test_a_part_without_speech_gets_a_sentence_and_another_clip_has_no_part(page: AppTest) -> None:
    upload(page)
    asked(page, Selection(0.0, 0.2))
    assert "No speech was found in this selection" in pages.text(page)
    upload(page, (Path(__file__).resolve().parents[2] / "pages" / "samples" / "flat.flac").read_bytes(), "flat.flac")
    assert "The selection" not in pages.text(page) and pages.players(page)[0]["selection"] is None


def test_the_part_of_a_long_recording_is_cut_from_what_the_models_hear(page: AppTest) -> None:
    voice = decoding.decode(SPEECH).waveform
    samples = np.resize(voice.samples, 12 * voice.sample_rate)
    upload(page, encode_wav(Waveform(samples, voice.sample_rate)), "long.wav")
    pages.finish(page, state.TIMELINE)
    said = pages.text(asked(page, Selection(4.0, 6.5)), "html")
    assert "The selection, 4.00 to 6.50 s" in said and "Whole clip: " in said
    part = answers.selected(
        Selection(4.0, 6.5), answers.part_of(Waveform(samples, voice.sample_rate), Selection(4.0, 6.5))
    )
    assert decoding.decode(part.data).waveform.duration_s == pytest.approx(2.5)


def test_asking_counts_as_giving_a_clip(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    held: dict[str, Any] = {KEY: {"ask": sent(0.5, 1.5)}}
    monkeypatch.setattr(player.st, "session_state", held)
    monkeypatch.setattr(clip_input, "is_too_fast", lambda: True)
    player._receive(KEY, "a clip", 3.0)  # the callback of a component: AppTest sends nothing for one
    assert state.SELECTIONS not in held
    monkeypatch.setattr(clip_input, "is_too_fast", lambda: False)
    player._receive(KEY, "a clip", 3.0)
    assert held[state.SELECTIONS] == {KEY: ("a clip", Selection(0.5, 1.5))}
    held[KEY] = {"ask": sent(1.5, 0.5)}
    player._receive(KEY, "a clip", 3.0)
    assert held[state.SELECTIONS] == {KEY: ("a clip", Selection(0.5, 1.5))}, "what cannot be used changes nothing"


def test_names_reach_the_browser_as_text(page: AppTest) -> None:
    upload(page, SPEECH, "<img src=x onerror=alert(1)>.flac")
    shown = pages.players(page)[0]
    assert "<img" in shown["label"]
    source = (Path(player.__file__).parent / "player.js").read_text(encoding="utf-8")
    assert "innerHTML" not in source and "insertAdjacentHTML" not in source and "document.write" not in source


def test_the_library_of_figures_is_named_on_the_empty_page_alone(page: AppTest) -> None:
    (given,) = [json.loads(each.proto.json) for each in page.get("bidi_component")]
    assert (Path(streamlit.__file__).parent / "static" / "static" / "js" / given["module"]).is_file()
    upload(page)
    assert all("module" not in json.loads(each.proto.json) for each in page.get("bidi_component"))


def test_a_part_is_forgotten_with_its_clip_and_keeps_nothing_by_itself(page: AppTest) -> None:
    asked(upload(page), Selection(1.0, 2.5))
    page.button("forget").click().run()
    assert state.SELECTIONS not in page.session_state and not pages.players(page)
    page.session_state[state.SELECTIONS] = {}
    assert "forget" not in [button.key for button in page.run().button], "an empty note is nothing to forget"
