"""Your clips: what a visit keeps of its last clips, what can be done with them, and that they go with the rest, and to nobody else."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from streamlit.testing.v1 import AppTest

from pages.ui import clip_input, shelf, state, visits
from pages.ui.recognize import clips
from ser_core.audio import decoding
from ser_core.corpora import recorded
from ser_core.recognition import live, timeline
from tests.pages.test_live import Microphone, microphone, speak
from tests.support import pages
from tests.support.utterances import RATE, utterance

__all__ = ["microphone"]


def wav(seed: int) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, utterance(seed), RATE, format="WAV", subtype="PCM_16")
    return file.getvalue()


def give(page: AppTest, name: str, seed: int) -> AppTest:
    page.get("file_uploader")[0].set_value((name, wav(seed), "audio/wav"))
    return page.run()


def held(page: AppTest) -> shelf.Shelf:
    found = page.session_state[state.SHELF]
    assert isinstance(found, shelf.Shelf)
    return found


def key(page: AppTest, what: str) -> str:
    """The whole key of a widget of the clip that is shown."""
    return next(
        each.key for each in [*page.button, *page.pills] if each.key and each.key.startswith(f"recognize.clips.{what}.")
    )


def is_folded(page: AppTest) -> bool:
    """Whether the section has nothing to show: it is an expander then, which is closed."""
    (folded,) = [not each.proto.expanded for each in page.expander if each.label == clips.TITLE] or [None]
    assert folded is not None or clips.TITLE in [each.value for each in page.header]
    return bool(folded)


@pytest.fixture
def page(models: Path) -> AppTest:
    return pages.visit()


def test_without_clips_the_section_is_folded(page: AppTest) -> None:
    assert is_folded(page) and state.SHELF not in page.session_state


def test_a_clip_stays_with_its_answers_when_another_comes(page: AppTest) -> None:
    give(page, "one.wav", 1)
    said = page.session_state[state.SHELF].clips[0].predictions
    give(page, "two.wav", 2)
    first, second = held(page).clips
    assert (first.name, second.name) == ("one.wav", "two.wav") and first.predictions == said and len(said) == 5
    assert not is_folded(page)
    heard = decoding.decode(first.data)
    assert heard.container == "FLAC" and np.abs(heard.waveform.samples - utterance(1)).max() < 2**-14
    choice = next(each for each in page.selectbox if each.label == "Clip")
    assert [each.split(" · ")[:2] for each in choice.options] == [["2", "two.wav"], ["1", "one.wav"]]


def test_the_same_clip_is_kept_once(page: AppTest) -> None:
    give(page, "one.wav", 1)
    page.run()
    page.button("recognize.clear").click().run()
    give(page, "again.wav", 1)
    assert [each.name for each in held(page).clips] == ["one.wav"]


def test_the_oldest_goes_and_what_is_kept_is_small(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "MOST", 2)
    for seed in range(3):
        give(page, f"{seed}.wav", seed)
    assert [each.name for each in held(page).clips] == ["1.wav", "2.wav"]
    assert 0 < held(page).held_bytes < 2 * len(wav(1))


def test_twelve_clips_of_the_longest_have_three_megabytes_at_the_most() -> None:
    kept = shelf.Shelf(
        [shelf.Clip(str(place), "a.wav", b"x" * 262_144, timeline.LONG_S) for place in range(shelf.MOST)]
    )
    assert kept.held_bytes < 3.2e6
    held_by_session = {state.SHELF: kept, state.BATCH: SimpleNamespace(held_bytes=500)}
    assert state.kept_bytes(held_by_session) == kept.held_bytes + 500, "it counts in what all visits may hold"


def test_samples_silence_and_long_recordings_are_not_kept(page: AppTest) -> None:
    page.button("recognize.sample.bright.flac").click().run()
    assert state.SHELF not in page.session_state
    file = io.BytesIO()
    soundfile.write(file, np.zeros(RATE), RATE, format="WAV")
    page.get("file_uploader")[0].set_value(("quiet.wav", file.getvalue(), "audio/wav"))
    page.run()
    assert state.SHELF not in page.session_state


def test_what_was_meant_stays_and_opens_with_the_clip(page: AppTest) -> None:
    give(page, "one.wav", 1)
    give(page, "two.wav", 2)
    page.pills(key(page, "meant")).set_value("angry").run()
    assert [each.meant for each in held(page).clips] == [None, "angry"]
    page.button(key(page, "open")).click().run()
    assert "Acted as **angry**" in pages.text(page)
    assert [each.name for each in held(page).clips] == ["one.wav", "two.wav"], "what is opened is no other clip"


def test_a_removed_clip_does_not_come_back_while_it_is_shown(page: AppTest) -> None:
    give(page, "one.wav", 1)
    page.button(key(page, "remove")).click().run()
    page.run()
    assert held(page).clips == [] and page.session_state[state.CLIP].name == "one.wav"


def test_a_clip_goes_to_a_corpus_of_ones_own(page: AppTest, tmp_path: Path) -> None:
    give(page, "one.wav", 1)
    assert page.button("recognize.clips.add.now").proto.disabled, "a label comes first"
    page.pills(key(page, "meant")).set_value("happy").run()
    page.button("recognize.clips.add.now").click().run()
    assert "The corpus has no name yet" in page.error[0].value
    page.text_input("recognize.clips.title").set_value("Mine").run()
    page.text_input("recognize.clips.speaker").set_value("Ann").run()
    page.button("recognize.clips.add.now").click().run()
    assert not page.exception and "Added to Mine as happy" in page.success[0].value
    (clip,) = recorded.clips(tmp_path / "corpora", "mine")
    assert (clip.label, clip.speaker) == ("happy", "Ann")


def test_a_clip_goes_to_nobody_elses_corpus_unless_it_is_chosen(page: AppTest, tmp_path: Path) -> None:
    recorded.create(tmp_path / "corpora", "Another's")
    give(page, "one.wav", 1)
    assert page.selectbox(clips.CORPUS).value == clips.NEW
    page.pills(key(page, "meant")).set_value("happy").run()
    page.text_input(clips.CORPUS_TITLE).set_value("Mine").run()
    page.button("recognize.clips.add.now").click().run()
    assert page.session_state[state.OWN_MADE] == {"mine"} and page.session_state[state.OWN_CORPUS] == "mine"
    assert page.selectbox(clips.CORPUS).value == "mine"


def test_a_live_session_leaves_its_last_words(models: Path, microphone: Microphone) -> None:
    page = pages.visit("pages/live.py")
    microphone.on = True
    speak(page.run())
    microphone.on = False
    page.run()
    page.run()
    (clip,) = held(page).clips
    assert clip.name == shelf.LIVE_NAME and 1 < clip.duration_s <= timeline.LONG_S and len(clip.predictions) == 5
    page.button("live.forget").click().run()
    assert held(page).clips == []


def test_last_words_end_at_a_long_pause_and_are_short() -> None:
    assert shelf.last_words(()) is None
    assert shelf.last_words(((0.0, 2.0), (4.0, 5.0), (5.5, 7.0))) == (4.0, 7.0)
    assert shelf.last_words(((0.0, 30.0),)) == (22.0, 30.0)
    assert shelf.last_words(((0.0, 4.0), (4.5, 9.0))) == (4.5, 9.0)


def test_a_click_on_forget_takes_the_clips_too(page: AppTest) -> None:
    give(page, "one.wav", 1)
    page.button("recognize.clear").click().run()
    assert len(held(page).clips) == 1, "the button is there though the page shows no clip"
    page.button("forget").click().run()
    assert state.SHELF not in page.session_state and is_folded(page)
    assert "one.wav" not in str(pages.everything(page))


def test_an_hour_and_the_end_of_a_visit_take_the_clips_too(page: AppTest) -> None:
    give(page, "one.wav", 1)
    # An hour later, without waiting for it.
    for each in visits.visits()._visits.values():
        each.due = visits.IDLE.format(minutes=60)
    page.run()
    assert state.SHELF not in page.session_state
    ended = {state.SHELF: shelf.Shelf([shelf.Clip("k", "a.wav", b"x", 1.0)])}
    state.release_inputs(ended)
    assert ended == {}


def test_nobody_else_sees_them(page: AppTest) -> None:
    give(page, "anna.wav", 1)
    ben = give(pages.visit(), "ben.wav", 1)
    assert [each.name for each in held(ben).clips] == ["ben.wav"] and "anna" not in str(pages.everything(ben))
    assert [each.name for each in held(page).clips] == ["anna.wav"]
    assert state.SHELF not in pages.visit().session_state


def test_nothing_of_them_lies_on_the_disk(page: AppTest) -> None:
    """The end of a lesson restarts the server, and with it goes what is in memory."""
    give(page, "one.wav", 1)
    assert all(type(each.data) is bytes for each in held(page).clips)


def test_a_session_without_speech_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    listener = live.Listener(timeline.window_predictor([]))
    shelf.put_session(listener, SimpleNamespace(activity=(), segments=()))
    assert clip_input.clip() is None and not shelf.clips()
