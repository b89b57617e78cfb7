"""The Live page without a browser: the sound is pushed by hand where WebRTC would bring it. Also: one path for every clip."""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
import zlib
from base64 import b64decode
from html import unescape
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from pages.ui import cached, clip_input, recognition, state
from pages.ui.charts.live import meter, png, trace
from pages.ui.live import connection, session, view
from ser_core.audio import decoding, waveform
from ser_core.audio.waveform import Waveform
from ser_core.cli import main
from ser_core.recognition import analysis, live, store
from ser_core.recognition.live import Level
from ser_core.recognition.recognizer import Prediction
from tests.support import pages
from tests.support.models import TITLES, pool
from tests.support.waiting import until

ROOT = Path(__file__).resolve().parents[2]
RATE = 16_000
VOICE = decoding.decode(ROOT / "pages" / "samples" / "bright.flac").waveform.samples


class Frame:
    """What PyAV hands over: 20 ms of interleaved 16-bit stereo at 48 kHz."""

    class layout:
        channels = ("left", "right")

    sample_rate = 48_000

    def __init__(self, samples: np.ndarray) -> None:
        self._samples = samples

    def to_ndarray(self) -> np.ndarray:
        return np.repeat(self._samples, 2)[np.newaxis]


def frames(samples: np.ndarray) -> list[Frame]:
    """A sound at 16 kHz as frames."""
    mic = waveform.to_pcm(waveform.resample(Waveform(samples, RATE), 48_000).samples)
    return [Frame(mic[start : start + 960]) for start in range(0, len(mic), 960)]


class Microphone:
    """Stands in for the connection: on or off as a test wants."""

    def __init__(self) -> None:
        self.on = False

    def connect(self, visitor: session.Visitor) -> bool:
        visitor.asked_s = (visitor.asked_s or time.monotonic()) if self.on else None
        if not self.on and visitor.is_on:
            visitor.end()
        return self.on


@pytest.fixture
def microphone(monkeypatch: pytest.MonkeyPatch) -> Microphone:
    stand_in = Microphone()
    monkeypatch.setattr(connection, "connect", stand_in.connect)
    return stand_in


@pytest.fixture
def page(models: Path, microphone: Microphone) -> AppTest:
    return pages.visit("pages/live.py")


def text(page: AppTest) -> str:
    assert not page.exception, page.exception[0].value
    spoken = [each.value for kind in (page.header, page.markdown, page.info, page.error, page.warning) for each in kind]
    pieces = [
        re.sub(r"<style>.*?</style>|<[^>]+>", " ", element.proto.body, flags=re.S) for element in page.get("html")
    ]
    return " ".join([*spoken, *map(unescape, pieces)])


def html(page: AppTest) -> str:
    return " ".join(element.proto.body for element in page.get("html"))


def speak(page: AppTest, samples: np.ndarray = VOICE) -> session.Visitor:
    visitor = page.session_state[state.LIVE]
    for frame in frames(samples):
        visitor.receive([frame])
        until(lambda: visitor.refused or not visitor.listener.n_waiting, pause_s=0.001)
    return visitor


def test_before_the_start_there_are_settings_and_a_way_to_the_recorder(page: AppTest) -> None:
    assert "Speak, and watch" in text(page)
    assert any(each.proto.label == "Record a clip instead" for each in page.get("page_link"))
    assert not page.toggle(view.SMOOTH).proto.disabled


def test_while_it_listens_the_answers_show(page: AppTest, microphone: Microphone) -> None:
    microphone.on = True
    assert "Waiting for the microphone" in text(page.run())
    visitor = speak(page)
    said = text(page.run())
    assert "**Input**" in said and "smoothed over 3 answers" in said and "Speech" in said
    shown = html(page)
    moments = visitor.listener.moments()
    for slug in store.SHIPPED:
        lane = re.search(rf'data-model="{slug}">(.*?)</div>', shown)[1]
        cells = re.findall(r'data-end="([\d.]+)" data-label="(\w+)"', lane)
        expected = live.smooth(moments, 3)
        assert cells == [
            (f"{each.end_s:g}", next(p.label for p in window if p.model == slug))
            for each, window in zip(moments, expected, strict=True)
            if window
        ]
    assert shown.count("<section>") == len(TITLES)
    page.toggle(view.SMOOTH).set_value(False).run()
    assert "smoothed" not in text(page)
    assert re.findall(r'data-label="(\w+)"', re.search(r'data-model="knn">(.*?)</div>', html(page))[1]) == [
        each.predictions[0].label for each in moments if each.predictions
    ]


def test_all_together_leads_while_it_listens_and_afterwards(
    page: AppTest, microphone: Microphone, models: Path
) -> None:
    pool(models)
    microphone.on = True
    visitor = speak(page.run())
    page.run()
    moments = visitor.listener.moments()
    assert [each.model for each in moments[-1].predictions] == ["together", *store.SHIPPED]
    lane = re.search(r'data-model="together">(.*?)</div>', html(page))[1]
    said = [window[0].label for window in live.smooth(moments, 3) if window]
    assert re.findall(r'data-label="(\w+)"', lane) == said
    assert html(page).count("<section>") == len(TITLES) + 1 and "All together" in text(page)
    microphone.on = False
    page.run()
    figure = json.loads(page.get("plotly_chart")[0].proto.spec)
    assert figure["layout"]["yaxis3"]["ticktext"][-1] == "All together"


def test_silence_shows_no_answer_of_all_together_either(page: AppTest, microphone: Microphone, models: Path) -> None:
    pool(models)
    microphone.on = True
    speak(page.run(), np.zeros(4 * RATE, np.float32))
    assert text(page.run()).count("No speech in this window") == len(TITLES) + 1


def test_silence_shows_no_answer(page: AppTest, microphone: Microphone) -> None:
    microphone.on = True
    speak(page.run(), np.zeros(4 * RATE, np.float32))
    said = text(page.run())
    assert (
        "No speech" in said and said.count("No speech in this window") == len(TITLES) and "data-label" not in html(page)
    )


def test_stopping_keeps_what_was_heard(page: AppTest, microphone: Microphone) -> None:
    microphone.on = True
    visitor = speak(page.run())
    page.run()
    microphone.on = False
    said = text(page.run())
    assert "Your session" in said and visitor.listener.closed
    assert len(pages.players(page)) == 1 and len(page.get("plotly_chart")) == 1
    page.button("live.open").click().run()
    assert page.title[0].value == "Recognize"
    given = page.session_state[state.CLIP]
    assert given.data == visitor.listener.sound() and given.note == "Spoken live."
    page.switch_page("pages/live.py").run()
    assert "Your session" in text(page)
    page.button("live.forget").click().run()
    assert "Your session" not in text(page)


def test_a_second_start_is_a_new_session(page: AppTest, microphone: Microphone) -> None:
    microphone.on = True
    first = speak(page.run()).listener
    microphone.on = False
    page.run()
    microphone.on = True
    assert "Waiting for the microphone" in text(page.run())
    second = speak(page).listener
    assert second is not first and second.duration_s < first.duration_s + 0.1 and first.closed


def test_window_and_hop_are_those_chosen(page: AppTest, microphone: Microphone) -> None:
    page.session_state[view.WINDOW], page.session_state[view.HOP] = 2.0, 0.25
    page.run()
    microphone.on = True
    listener = speak(page.run()).listener
    assert (listener.window_s, listener.hop_s) == (2.0, 0.25)
    assert listener.moments()[-1].end_s - listener.moments()[-1].start_s == 2.0


def test_a_connection_without_sound_says_what_to_do(
    page: AppTest, microphone: Microphone, monkeypatch: pytest.MonkeyPatch
) -> None:
    microphone.on = True
    page.run()
    page.session_state[state.LIVE].asked_s -= connection.PATIENCE_S
    said = text(page.run())
    assert "No sound arrives" in said and "TURN" in said and "record a clip instead" in said


def test_when_all_places_are_taken_the_recorder_is_offered(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    places = session.places()
    for who in range(places.n):
        assert places.take(who)
    said = text(page.run())
    assert f"{places.n} visitors are live" in said
    assert any(each.proto.label == "Record a clip instead" for each in page.get("page_link"))
    assert not page.toggle
    places.leave(0)
    assert "visitors are live" not in text(page.run())


def test_who_finds_no_place_is_not_heard(page: AppTest, microphone: Microphone) -> None:
    microphone.on = True
    page.run()
    places = session.places()
    for who in range(places.n):
        places.take(who)
    visitor = speak(page, VOICE[:RATE])
    assert visitor.listener is None and visitor.refused
    places.leave(0)
    speak(page, VOICE[:RATE])
    assert visitor.listener is not None and not visitor.refused


def test_while_many_are_live_the_pretrained_model_rests(
    page: AppTest, microphone: Microphone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "is_pretrained", lambda card: card.slug == "transfer")
    places = session.places()
    for who in range(places.n // 2):
        places.take(who)
    microphone.on = True
    page.run()
    visitor = speak(page, VOICE)
    assert visitor.is_light
    until(lambda: visitor.listener is not None and visitor.listener.moments(9))
    said = {each.model for moment in visitor.listener.moments(9) for each in moment.predictions}
    assert said == set(store.FOUR)
    assert view.LEFT_OUT in html(page.run())
    visitor.end()
    for who in range(places.n // 2):
        places.leave(who)
    visitor = speak(page, VOICE)
    assert not visitor.is_light
    until(lambda: any(each.predictions for each in visitor.listener.moments(9)))
    assert {each.model for each in visitor.listener.moments(9)[-1].predictions} == set(store.SHIPPED)


def test_a_new_session_is_followed_while_the_last_one_is_still_at_a_window() -> None:
    asked, go_on = [], threading.Event()

    def slow(waveform: Waveform) -> tuple[analysis.Analysis, list[Prediction]]:
        asked.append(waveform)
        assert go_on.wait(60)
        return analysis.measure_samples(waveform), []

    visitor = session.Visitor(session.Places(1), slow)
    for n in (1, 2):
        visitor.receive(frames(VOICE))
        until(lambda n=n: len(asked) == n)
        visitor.end()
    go_on.set()
    visitor.await_answers()


@pytest.mark.parametrize(
    ("n", "n_others", "crowded"), [(1, 0, False), (2, 0, False), (2, 1, True), (4, 1, False), (4, 2, True)]
)
def test_a_server_is_crowded_where_others_take_half_of_its_places(n: int, n_others: int, crowded: bool) -> None:
    places = session.Places(n)
    for who in range(1 + n_others):
        places.take(who)
    assert places.crowded_for(0) is crowded


def test_a_place_is_free_again_when_no_sound_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    places = session.Places(1)
    now_s = [100.0]
    monkeypatch.setattr(session.time, "monotonic", lambda: now_s[0])
    assert places.take(1) and places.take(1) and not places.take(2) and places.full_for(2) and not places.full_for(1)
    now_s[0] += session.FORGOTTEN_S
    assert not places.full_for(2) and places.take(2) and not places.take(1)


@pytest.mark.parametrize(("given", "n"), [("3", 3), ("many", None), ("", None)])
def test_the_number_of_places_can_be_set(given: str, n: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SER_LIVE_VISITORS", given)
    session.places.cache_clear()
    assert session.places().n == (n or 4 * session.os.cpu_count())
    st.cache_resource.clear()


@pytest.mark.parametrize(
    ("url", "insecure"),
    [
        ("http://localhost:8501/live", False),
        ("http://127.0.0.1:8501", False),
        ("http://[::1]:8501", False),
        ("https://192.168.1.20:8501", False),
        ("http://192.168.1.20:8501/live", True),
        ("http://lab.example.org", True),
        (None, False),
    ],
)
def test_plain_http_from_elsewhere_has_no_microphone(url: str | None, insecure: bool) -> None:
    assert connection.is_insecure(url) is insecure


def test_https_is_explained_with_what_to_type(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    original = connection.is_insecure
    monkeypatch.setattr(connection, "is_insecure", lambda url: original("http://192.168.1.20:8501/live"))
    monkeypatch.setattr(type(st.context), "url", "http://192.168.1.20:8501/live")
    said = text(page.run())
    assert "make class" in said and "https://192.168.1.20:8501" in said
    assert not page.toggle


def test_ice_servers_come_from_the_secrets_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert connection.ice_servers() == []
    turn = {"urls": ("turn:turn.example.org",), "username": "me", "credential": "x"}
    monkeypatch.setattr(st, "secrets", {"ice_servers": [turn]})
    assert connection.ice_servers() == [{"urls": ["turn:turn.example.org"], "username": "me", "credential": "x"}]


# --- the pictures


def test_the_picture_of_sound_is_a_png_of_the_right_size() -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    data = b64decode(png(pixels).removeprefix("data:image/png;base64,"))
    assert data[:8] == b"\x89PNG\r\n\x1a\n" and data[16:24] == b"\0\0\0\4\0\0\0\3"
    start = data.index(b"IDAT") + 4
    size = int.from_bytes(data[start - 8 : start - 4], "big")
    rows = zlib.decompress(data[start : start + size])
    assert [list(rows[n : n + 5]) for n in (0, 5, 10)] == [[0, 0, 1, 2, 3], [0, 4, 5, 6, 7], [0, 8, 9, 10, 11]]


def test_the_meter_says_when_the_sound_is_cut_off() -> None:
    normal = meter(Level(-20.0, -10.0, False))
    assert "−20 dBFS" in normal and 'aria-valuenow="-20"' in normal
    assert "Cut off" in meter(Level(-1.0, 0.0, True))
    assert "width:0%" in meter(Level(-100.0, -100.0, False)) and "−60 dBFS" in meter(Level(-100.0, -100.0, False))


def test_a_column_stands_where_its_moment_was_and_strangers_cannot_write_html() -> None:
    said = (Prediction("knn", "<b>", {"<b>": 1.0}, 1.0),)
    moments = [live.Moment(7.0, 10.0, None, said, True, -30.0), live.Moment(22.0, 25.0, None, (), False, -90.0)]
    drawn = trace(moments, [said, ()], {"knn": "<i>"}, hop_s=0.5)
    assert "left:48.33%;width:1.67%" in drawn and "&lt;b&gt;" in drawn and "&lt;i&gt;" in drawn and "<b>" not in drawn
    assert drawn.count("data-label") == 1 and drawn.count("data-end") == 3
    assert "height:50%" in drawn and "height:0%" in drawn


# --- one path


def test_recognize_live_batch_and_the_command_line_say_the_same(
    page: AppTest, microphone: Microphone, tmp_path: Path, capsys
) -> None:
    """A clip of 2.5 s that is its own window everywhere: given as the very file that the live session kept."""
    page.session_state[view.WINDOW], page.session_state[view.HOP] = 2.0, 0.5
    page.run()
    microphone.on = True
    listener = speak(page.run(), VOICE[: 3 * RATE]).listener
    last = listener.moments()[-1]
    assert last.speech
    kept = waveform.to_pcm(decoding.decode(listener.sound()).waveform.samples)[
        round(last.start_s * RATE) : round(last.end_s * RATE)
    ]
    data = waveform.encode_pcm(kept, RATE)
    answers = {"live": {each.model: each.probabilities for each in last.predictions}}

    path = tmp_path / "clip.wav"
    path.write_bytes(data)
    for name, options in (("command line", ()), ("long", ("--long",))):
        capsys.readouterr()
        assert main.main(["predict", str(path), "--json", *options]) == 0
        (result,) = json.loads(capsys.readouterr().out)
        answers[name] = {each["model"]: each["probabilities"] for each in result["predictions"]}

    answers["batch"] = {
        each.model: each.probabilities for each in recognition.predict(data, "clip.wav", cached.models()[0])[1]
    }

    page.session_state[state.CLIP] = clip_input.new_clip("clip.wav", data, clip_input.UPLOAD)
    page.switch_page("app.py").run()
    table = page.table[0].value
    shown = {slug: table[slug].map(lambda p: float(p.removesuffix(" %")) / 100).to_dict() for slug in table}
    for slug, expected in answers["command line"].items():
        assert shown[TITLES[slug]] == pytest.approx(expected, abs=0.00051), "the table on Recognize has a thousandth"
        for name, each in answers.items():
            assert each[slug] == pytest.approx(expected, abs=1e-4), name


def test_the_models_chosen_are_asked_here_too(page: AppTest, microphone: Microphone, models: Path) -> None:
    shutil.copytree(models / "knn", models / "mine")
    card = json.loads((models / "mine" / store.CARD).read_text(encoding="utf-8"))
    (models / "mine" / store.CARD).write_text(json.dumps({**card, "slug": "mine", "title": "Mine"}), encoding="utf-8")
    page.session_state[state.MODELS] = ["mine", "cnn"]
    page.run()
    microphone.on = True
    visitor = speak(page.run())
    assert {each.model for each in visitor.listener.moments()[-1].predictions} == {"mine", "cnn"}
    assert 'data-model="mine"' in html(page.run()) and 'data-model="knn"' not in html(page)


def test_the_microphone_is_offered_once_the_models_are_loaded(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, offered_when_loaded = [], []
    # What the public warm_up runs in its thread, slower.
    monkeypatch.setattr(recognition, "_warm_up", lambda: (time.sleep(0.5), loaded.append(True)))
    monkeypatch.setattr(connection, "connect", lambda visitor: bool(offered_when_loaded.append(bool(loaded))))
    recognition.warm_up.cache_clear()
    page.run()
    assert not page.exception and offered_when_loaded == [True]
