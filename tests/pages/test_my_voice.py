"""My voice: a guided minute, what the models make of the takes, the switch on the other pages, and that it is nobody else's."""

from __future__ import annotations

import csv
import dataclasses
import gc
import io
import json
import weakref
from pathlib import Path

import numpy as np
import pytest
import soundfile
import streamlit as st
from streamlit.testing.v1 import AppTest

from pages.ui import downloads, recognition, runtime, shelf, state, timeline_downloads, visits, voice
from pages.ui.batch import run as batch_run
from pages.ui.batch import table
from pages.ui.live import view
from pages.ui.my_voice import figures, keep
from ser_core.audio import decoding
from ser_core.corpora import library, recorded
from ser_core.dataset import exploration
from ser_core.errors import SerError
from ser_core.explanation import profile
from ser_core.recognition import batch, live, personal, service, store, together
from ser_core.system import workers
from tests.pages.test_live import Microphone, microphone, speak
from tests.pages.test_shelf import give, wav
from tests.support import pages, ruled_corpus
from tests.support.models import TITLES, change, pool
from tests.support.utterances import RATE

__all__ = ["microphone"]

FOUR = ["neutral", "happy", "sad", "angry"]
MY_VOICE = "pages/my_voice.py"


def record(page: AppTest, data: bytes) -> AppTest:
    page.get("audio_input")[0].set_value(("recording.wav", data, "audio/wav")).run()
    return page


def act(page: AppTest, *seeds: int) -> AppTest:
    """Record one take a step, and keep each."""
    for seed in seeds:
        record(page, wav(seed)).button("my_voice.keep").click().run()
        assert not page.exception, page.exception[0].value
    return page


def held(page: AppTest) -> voice.Mine:
    found = page.session_state[state.VOICE]
    assert isinstance(found, voice.Mine)
    return found


@pytest.fixture
def page(models: Path) -> AppTest:
    pool(models)
    return pages.visit(MY_VOICE)


@pytest.fixture
def adapted(page: AppTest) -> AppTest:
    """The page after the first round of four."""
    page.segmented_control("my_voice.set").set_value(4).run()
    return act(page, 1, 2, 3, 4)


def test_a_round_leads_from_label_to_label_and_ends_adapted(page: AppTest) -> None:
    said = pages.text(page)
    assert "Act “neutral”" in said and "of **your own will**. Nobody is assessed" in said
    assert "forget" not in [each.key for each in page.button], "there is nothing to forget yet"
    page.segmented_control("my_voice.set").set_value(4).run()
    keys = ("my_voice.keep", "my_voice.again")
    assert [page.button(each).proto.disabled for each in keys] == [True, True]
    record(page, wav(1))
    assert "of speech" in pages.text(page) and not page.button("my_voice.keep").proto.disabled
    page.button("my_voice.again").click().run()
    assert "of speech" not in pages.text(page) and held(page).candidate is None
    act(page, 1, 2)
    assert "Act “sad”" in pages.text(page) and "There are 2 takes of 2 labels" in pages.text(page)
    assert held(page).voice is None
    page.get("file_uploader")[0].set_value(("sad.wav", wav(3), "audio/wav")).run()
    page.button("my_voice.keep").click().run()
    act(page, 4)
    found = held(page)
    assert [each.label for each in found.takes] == FOUR and found.voice is not None and found.voice.n_takes == 4
    assert len({each.sentence for each in found.takes}) == 4, "each label has a sentence of its own"
    said = pages.text(page)
    assert "takes that the models adapted to prove nothing" in said
    assert page.toggle(state.VOICE_ON).label == "My voice: adapted to 4 takes"


def test_silence_and_long_recordings_cannot_be_kept(page: AppTest, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "quiet.wav", np.zeros(RATE), RATE)
    record(page, (tmp_path / "quiet.wav").read_bytes())
    assert "The recording is silent" in pages.text(page) and page.button("my_voice.keep").proto.disabled
    soundfile.write(tmp_path / "long.wav", np.tile(decoding.decode(wav(1)).waveform.samples, 8), RATE)
    record(page, (tmp_path / "long.wav").read_bytes())
    assert "A take is one sentence: 8 seconds at the most" in pages.text(page)
    assert page.button("my_voice.keep").proto.disabled


def test_labels_can_be_skipped_and_takes_removed(page: AppTest) -> None:
    page.segmented_control("my_voice.set").set_value(4).run()
    page.button("my_voice.skip").click().run()
    assert "Act “happy”" in pages.text(page)
    act(page, 1, 2, 3)
    page.button("my_voice.unskip").click().run()
    assert "Act “neutral”" in pages.text(page)
    act(page, 4)
    assert held(page).voice is not None
    page.button("my_voice.remove.0").click().run()
    assert [each.label for each in held(page).takes] == ["sad", "angry", "neutral"] and held(page).voice is None
    assert "There are 3 takes of 3 labels" in pages.text(page)


def test_a_clip_of_the_shelf_becomes_a_take(models: Path) -> None:
    page = give(pages.visit(), "one.wav", 1)
    page.switch_page(MY_VOICE)
    page.run().button("my_voice.use").click().run()
    page.button("my_voice.keep").click().run()
    (take,) = held(page).takes
    assert take.label == "neutral" and take.data == page.session_state[state.SHELF].clips[0].data


def test_a_cell_of_the_matrix_leads_to_the_takes_behind_it(adapted: AppTest) -> None:
    take = held(adapted).takes[1]
    said = [each for each in take.predictions if each.model in TITLES]
    answered = said[0].label
    adapted.selectbox("my_voice.confusion.cell.acted").set_value("happy")
    adapted.selectbox("my_voice.confusion.cell.answered").set_value(answered).run()
    n = sum(each.label == answered for each in said)
    assert f"Acted happy, answered {answered}: {n} answer" in pages.text(adapted)
    table = next(each for each in adapted.dataframe if each.key.startswith("my_voice.confusion"))
    assert table.value["Clip"].eq("take 2").all() and set(table.value["Model"]) <= set(TITLES.values())
    adapted.session_state[table.key] = {"selection": {"rows": [0], "columns": [], "cells": []}}
    adapted.run()
    assert "take 2.flac" in pages.text(adapted) and "Acted as **happy**" in pages.text(adapted)


def test_the_second_round_is_scored_before_and_after_and_is_not_adapted_to(adapted: AppTest) -> None:
    adapted.button("my_voice.test").click().run()
    assert "The second round is the test" in pages.text(adapted)
    act(adapted, 5, 6, 7, 8)
    found = held(adapted)
    assert found.voice is not None and found.voice.n_takes == 4 and [each.label for each in found.tests] == FOUR
    assert not {each.sentence for each in found.takes} & {each.sentence for each in found.tests}, "other sentences"
    cards = store.list_models(recognition.paths.models_folder())[0]
    before, after = (
        sum(recognition.with_together(each.predictions, cards, how)[0].label == each.label for each in found.tests)
        for how in (None, found.voice)
    )
    said = pages.text(adapted)
    assert figures.verdict(together.TITLE, before, after, 4) in said
    html = " ".join(each.proto.body for each in adapted.get("html"))
    assert "Right answers on the test takes" in html and html.count('scope="row">All together') == 1
    adapted.button("my_voice.join").click().run()
    assert held(adapted).voice.n_takes == 8 and held(adapted).tests == []


def test_other_pages_show_adapted_answers_and_a_switch(adapted: AppTest, models: Path) -> None:
    found = held(adapted).voice
    cards = store.list_models(models)[0]
    adapted.switch_page("app.py")
    page = give(adapted.run(), "one.wav", 9)
    clip = page.session_state[state.CLIP]
    plain = recognition.predict(clip.data, clip.name, cards)[1]
    wanted = {each.model: each for each in recognition.with_together(plain, cards, found)}
    everybodys = {each.model: each for each in recognition.with_together(plain, cards)}
    assert any(abs(wanted[slug].probabilities["sad"] - everybodys[slug].probabilities["sad"]) > 0.01 for slug in wanted)

    def shown() -> dict[str, float]:
        table = page.table[0].value
        return {
            slug: float(table[title]["sad"].removesuffix(" %")) / 100
            for slug, title in {together.NAME: together.TITLE, **TITLES}.items()
        }

    assert page.toggle(state.VOICE_ON).label == "My voice: adapted to 4 takes"
    assert shown() == pytest.approx({slug: each.probabilities["sad"] for slug, each in wanted.items()}, abs=0.00051)
    page.toggle(state.VOICE_ON).set_value(False).run()
    assert shown() == pytest.approx({slug: each.probabilities["sad"] for slug, each in everybodys.items()}, abs=0.00051)

    page.switch_page("pages/batch.py")
    page.run().toggle(state.VOICE_ON).set_value(True).run()
    page.get("file_uploader")[0].set_value([("one.wav", wav(9), "audio/wav")]).run()
    page.button("batch.start").click().run()
    pages.finish(page, state.BATCH)
    run = page.session_state[state.BATCH]
    assert isinstance(run, batch_run.Run) and "The answers are adapted to 4 takes of your voice" in pages.text(page)
    assert run.results[0]["together"]["probabilities"] == pytest.approx(wanted["together"].probabilities)

    page.switch_page("pages/live.py")
    assert page.run().toggle(state.VOICE_ON).value
    window = page.session_state[state.LIVE].predict_window
    said = {each.model: each for each in window(decoding.decode(wav(9)).waveform)[1]}
    assert said["together"].probabilities == pytest.approx(wanted["together"].probabilities, abs=1e-6)


def test_a_long_recording_is_answered_as_adapted(adapted: AppTest, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.wav", np.tile(decoding.decode(wav(1)).waveform.samples, 8), RATE)
    adapted.switch_page("app.py")
    page = adapted.run()
    page.get("file_uploader")[0].set_value(("long.wav", (tmp_path / "long.wav").read_bytes(), "audio/wav")).run()
    shown = []
    for is_on in (True, False):
        page.toggle(state.VOICE_ON).set_value(is_on).run()
        pages.finish(page, state.TIMELINE)
        assert not page.exception
        shown.append(page.session_state[state.TIMELINE].result.segments[0].predictions[0].probabilities)
    assert shown[0] != pytest.approx(shown[1], abs=1e-3)


def test_what_is_taken_home_and_what_stays_says_that_it_is_adapted(adapted: AppTest, models: Path) -> None:
    found, cards = held(adapted).voice, store.list_models(models)[0]
    adapted.switch_page("app.py")
    page = give(adapted.run(), "one.wav", 9)
    assert "scores on the cards were measured without your voice" in pages.text(page)
    clip = page.session_state[state.CLIP]
    heard, plain = recognition.predict(clip.data, clip.name, cards)
    for how, n in ((found, 4), (None, None)):
        said = recognition.with_together(plain, cards, how)
        (result,) = json.loads(downloads.predictions_json("one.wav", heard, said))
        assert {each.get("adapted_to_takes") for each in batch.predictions(result)} == {n}
        columns = downloads.probabilities_csv(said).splitlines()[0].split(",")
        assert ("adapted_to_takes" in columns) == (n is not None)
    kept = "The answers are adapted to 4 takes of your voice"
    (on_shelf,) = page.session_state[state.SHELF].clips
    assert on_shelf.adapted == 4 and shelf.title(on_shelf).endswith("adapted to 4 takes") and kept in pages.text(page)
    give(page, "two.wav", 10).toggle(state.VOICE_ON).set_value(False).run()
    assert [each.adapted for each in page.session_state[state.SHELF].clips] == [4, 0] and kept not in pages.text(page)
    choice = next(each for each in page.selectbox if each.label == "Clip")
    assert ["adapted to 4 takes" in each for each in choice.options] == [False, True]
    choice.select_index(1).run()
    assert kept in pages.text(page), "it was answered before the switch went off"


def test_models_that_are_not_adapted_are_named(adapted: AppTest) -> None:
    found = held(adapted).voice
    others = {slug: each for slug, each in found.digests.items() if slug != "knn"}
    held(adapted).voice = dataclasses.replace(found, digests=others)
    words = f"Not adapted to your voice: {TITLES['knn']}."
    assert words in pages.text(adapted.run())
    adapted.switch_page("app.py")
    assert words in pages.text(give(adapted.run(), "one.wav", 9))
    adapted.switch_page("pages/batch.py")
    adapted.run().get("file_uploader")[0].set_value([("one.wav", wav(9), "audio/wav")]).run()
    adapted.button("batch.start").click().run()
    assert words in pages.text(pages.finish(adapted, state.BATCH))


def test_without_answers_to_the_test_takes_nothing_is_said_to_be_measured(adapted: AppTest) -> None:
    adapted.button("my_voice.test").click().run()
    act(adapted, 5, 6)
    mine = held(adapted)
    whole = mine.tests
    mine.tests = [dataclasses.replace(each, predictions=each.predictions[:1]) for each in whole]
    said = pages.text(adapted.run())
    assert "none answered of the takes" not in said and f"{TITLES[whole[0].predictions[0].model]} is right on" in said
    mine.tests = [dataclasses.replace(each, predictions=()) for each in whole]
    said = pages.text(adapted.run())
    assert "Whether it helps was **not measured**" in said and "did not help" not in said


def test_a_live_session_says_what_it_was_adapted_to_whatever_the_switch_says(
    adapted: AppTest, microphone: Microphone
) -> None:
    adapted.switch_page("pages/live.py")
    page = adapted.run()
    for was_on, words in ((True, "adapted to 4 takes of your voice"), (False, "as for everybody, not adapted")):
        page.toggle(state.VOICE_ON).set_value(was_on).run()
        microphone.on = True
        page.run()
        speak(page)
        microphone.on = False
        assert f"The answers are {words}" in pages.text(page.run()) and view.NEXT in pages.text(page)
        page.toggle(state.VOICE_ON).set_value(not was_on).run()
        assert f"The answers are {words}" in pages.text(page)


def test_windows_and_batches_say_that_they_are_adapted(adapted: AppTest, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.wav", np.tile(decoding.decode(wav(1)).waveform.samples, 8), RATE)
    adapted.switch_page("app.py")
    page = adapted.run()
    page.get("file_uploader")[0].set_value(("long.wav", (tmp_path / "long.wav").read_bytes(), "audio/wav")).run()
    pages.finish(page, state.TIMELINE)
    found = page.session_state[state.TIMELINE].result
    (result,) = json.loads(timeline_downloads.as_json("long.wav", found))
    assert {each["adapted_to_takes"] for each in batch.predictions(result)} == {4}
    rows = list(csv.DictReader(io.StringIO(timeline_downloads.windows_csv("long.wav", found))))
    assert [each["adapted_to_takes"] for each in rows] == ["4" if each["speech"] == "True" else "" for each in rows]
    page.switch_page("pages/batch.py")
    page.run()
    for is_on in (True, False):
        page.toggle(state.VOICE_ON).set_value(is_on).run()
        page.get("file_uploader")[0].set_value([("one.wav", wav(9), "audio/wav")]).run()
        page.button("batch.start").click().run()
        run = pages.finish(page, state.BATCH).session_state[state.BATCH]
        assert ("adapted_to_takes" in table.as_json(run)) == is_on
        assert ("adapted_to_takes" in table.frame_of(run)) == is_on
        if is_on:
            assert list(table.frame_of(run)["adapted_to_takes"]) == [4]
        page.button("batch.clear").click().run()


def test_a_saved_voice_comes_back_in_another_visit_and_wrong_files_get_a_sentence(adapted: AppTest) -> None:
    content = held(adapted).voice.to_bytes()
    assert b"RIFF" not in content and b"fLaC" not in content, "no sound is in it"
    other = pages.visit(MY_VOICE)

    def load(data: bytes) -> str:
        uploader = next(each for each in other.get("file_uploader") if "saved here" in each.label)
        uploader.set_value((keep.FILE_NAME, data, "application/json")).run()
        return pages.text(other, "success")

    for wrong in (b"", b"no json", b"[]", b"{}", content[:-40], json.dumps({"format": 99}).encode(), b"{" * 100_000):
        assert "voice" in load(wrong) and len(other.error) == 1 and held(other).voice is None
    assert "Your voice is here again: adapted to 4 takes." in load(content) and not other.error
    first, again = held(adapted).voice, held(other).voice
    probabilities = np.full(8, 1 / 8)
    for slug in TITLES:
        assert again.answer(slug, (), probabilities) == pytest.approx(first.answer(slug, (), probabilities), abs=1e-3)
    assert not held(other).takes, "there is no sound to hear"


def test_the_takes_become_a_corpus_of_ones_own_once(adapted: AppTest, tmp_path: Path) -> None:
    adapted.text_input(keep.SPEAKER).set_value("Ann").run()
    for _ in range(2):
        adapted.button("my_voice.corpus.add").click().run()
        assert not adapted.error
    found = recorded.clips(tmp_path / "corpora", "my-voice")
    assert [(each.label, each.speaker) for each in found] == [(label, "Ann") for label in FOUR]
    assert "Everyone who uses this server" in pages.text(adapted)
    assert any(each.proto.page == "train" for each in adapted.get("page_link"))


def test_it_is_forgotten_with_the_rest_and_reaches_nobody_else(adapted: AppTest) -> None:
    ben = pages.visit()
    assert voice.adapted() is None and state.VOICE not in ben.session_state
    assert state.VOICE_ON not in [each.key for each in give(ben, "ben.wav", 9).toggle]
    n_held = state.kept_bytes(adapted.session_state)
    assert n_held == sum(len(each.data) for each in held(adapted).takes) > 0
    adapted.button("forget").click().run()
    assert held(adapted).is_empty and held(adapted).voice is None and "Act “neutral”" in pages.text(adapted)
    assert state.VOICE_ON not in [each.key for each in adapted.toggle]
    act(adapted, 1)
    # An hour later, without waiting for it.
    for each in visits.visits()._visits.values():
        each.due = visits.IDLE.format(minutes=60)
    adapted.run()
    assert held(adapted).is_empty
    gone = {state.VOICE: held(adapted), state.SHELF: shelf.Shelf()}
    state.release_inputs(gone)
    assert gone == {}


@pytest.mark.parametrize(
    ("after", "words"), [(7, "The adaptation helped here"), (5, "did not help here"), (4, "made it worse here")]
)
def test_the_sentence_says_when_it_did_not_help(after: int, words: str) -> None:
    said = figures.verdict("KNN", 5, after, 8)
    assert words in said and "5 of 8 (31 to 86 %)" in said


def test_confusions_are_named_by_their_share() -> None:
    labels = ["sad", "angry"]
    answers = [{"a": "neutral", "b": "neutral", "c": "sad"}, {"a": "angry", "b": "happy"}]
    assert figures.confused(labels, answers) == (
        "What the models confuse most in this voice: **sad** is taken for **neutral** in 2 of 3 answers, and **angry** is taken for "
        "**happy** in 1 of 2 answers."
    )
    names, counts = figures.confusion(labels, answers)
    assert names == ["neutral", "happy", "sad", "angry"] and counts[2] == [2, 0, 1, 0] and counts[3] == [0, 1, 0, 1]
    assert "No model confuses" in figures.confused(["sad"], [{"a": "sad"}])


def test_figures_of_a_voice_stand_among_those_of_a_corpus() -> None:
    html = figures.traits_table({"f0": 182.4, "rate": 4.25}, {"RAVDESS": {"f0": 0.64, "rate": float("nan")}})
    assert "182 Hz" in html and "4.2 syllables per s" in html and "above 64 %" in html and "nan" not in html


def test_a_voice_is_placed_among_corpora_that_the_models_learned_from(
    adapted: AppTest, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the corpus by what comes with the project, and by the corpus itself once it is measured here."""
    monkeypatch.setenv("SER_CACHE", str(tmp_path / "cache"))
    assert "cannot be told here" in pages.text(adapted)
    change(models, "knn", corpora=[{"corpus": "ravdess"}])
    value = figures.traits(held(adapted).takes)["f0"]

    def column() -> str:
        assert "cannot be told here" not in pages.text(adapted.run())
        html = " ".join(each.proto.body for each in adapted.get("html"))
        assert "RAVDESS" in html and "SAVEE" not in html
        return html

    share = profile.read().share_below("f0", value, corpora=["ravdess"])
    assert f"above {100 * share:.0f} %" in column()
    ruled_corpus.write_as_ravdess(tmp_path / "corpora" / "ravdess")
    st.cache_data.clear()
    assert f"above {100 * share:.0f} %" in column(), "it is not measured yet"
    clips = library.clips(tmp_path / "corpora", ["ravdess"])
    measured = exploration.measure(clips, cache=tmp_path / "cache", n_jobs=1)
    st.cache_resource.clear()
    here = exploration.share_below(measured, "f0", value)
    assert f"above {100 * here:.0f} %" in column() and abs(here - share) > 0.02
    monkeypatch.setattr(profile, "RESULTS", tmp_path / "gone.json")
    change(models, "knn", corpora=[{"corpus": "savee"}])
    assert "cannot be told here" in pages.text(adapted.run())


def test_every_set_of_labels_is_enough_to_adapt() -> None:
    for n, labels in voice.LABEL_SETS.items():
        assert n == len(set(labels)) >= personal.MIN_TAKES


def test_forgetting_the_voice_lets_go_of_it_everywhere(
    adapted: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soundfile.write(tmp_path / "long.wav", np.tile(decoding.decode(wav(1)).waveform.samples, 8), RATE)
    page = adapted.switch_page("app.py").run()
    page.get("file_uploader")[0].set_value(("long.wav", (tmp_path / "long.wav").read_bytes(), "audio/wav")).run()
    pages.finish(page, state.TIMELINE)
    page.switch_page("pages/batch.py").run()
    page.get("file_uploader")[0].set_value([("one.wav", wav(9), "audio/wav")]).run()
    page.button("batch.start").click().run()
    pages.finish(page, state.BATCH)
    page.switch_page("pages/live.py").run()
    page.session_state[state.LIVE].listener = live.Listener(page.session_state[state.LIVE].predict_window)
    page.switch_page(MY_VOICE).run()
    page.button("my_voice.test").click().run()
    released, cleared = [], []
    monkeypatch.setattr(runtime, "release_upload", released.append)
    monkeypatch.setattr(visits, "clear_session_resource_cache", cleared.append)
    record(page, wav(5))
    page.button("my_voice.forget").click().run()
    assert held(page).is_empty and any(each is not None for each in released) and cleared
    assert state.TIMELINE not in page.session_state and page.session_state[state.LIVE].predict_window is None
    assert page.session_state[state.BATCH].results, "what the batch found stays"
    assert (
        page.session_state[state.LIVE].listener._predict_window is None  # Private: nothing public tells it
        and page.session_state[state.LIVE].listener.closed
    )
    page.switch_page("pages/batch.py").run()
    assert "The answers are adapted to 4 takes of your voice" in pages.text(page)


@pytest.mark.parametrize("button", ["my_voice.forget", "forget"])
def test_nothing_holds_a_forgotten_voice_or_its_takes(adapted: AppTest, tmp_path: Path, button: str) -> None:
    """Not even what Streamlit keeps of widgets that are gone, once the page has been drawn again."""
    adapted.button("my_voice.test").click().run()
    act(adapted, 5)
    record(adapted, wav(6))
    page = give(adapted.switch_page("app.py").run(), "one.wav", 9).switch_page(MY_VOICE).run()
    own = held(page)
    assert own.voice is not None and own.candidate is not None
    known = {"mine": weakref.ref(own), "voice": weakref.ref(own.voice), "candidate": weakref.ref(own.candidate)}
    known |= {f"take {n}": weakref.ref(take) for n, take in enumerate([*own.takes, *own.tests])}
    known |= {f"numbers {n}": weakref.ref(take) for n, take in enumerate(own.voice.takes)}
    del own
    page.button(button).click().run()
    gc.collect()
    assert [name for name, found in known.items() if found() is not None] == []


def test_what_was_forgotten_cannot_be_downloaded_any_more() -> None:
    owner = voice.Mine()
    build = downloads.unless_forgotten(weakref.ref(owner), lambda mine: b"numbers")
    assert build() == b"numbers"
    del owner
    with pytest.raises(LookupError, match="has been forgotten"):
        build()


def test_forgetting_all_lets_go_of_the_voice_that_live_would_hear_with(adapted: AppTest) -> None:
    page = adapted.switch_page("pages/live.py").run()
    visitor = page.session_state[state.LIVE]
    visitor.light_window = visitor.predict_window
    state.release_inputs(page.session_state)
    assert visitor.predict_window is None and visitor.light_window is None
    visitor.receive([object()])
    assert visitor.listener is None, "no session begins before the page is drawn"
    page.run()
    assert visitor.predict_window is not None


def test_a_voice_that_is_brought_empties_the_recorder(adapted: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    content = held(adapted).voice.to_bytes()
    adapted.button("my_voice.test").click().run()
    record(adapted, wav(5))
    released = []
    monkeypatch.setattr(runtime, "release_upload", released.append)
    uploader = next(each for each in adapted.get("file_uploader") if "saved here" in each.label)
    uploader.set_value((keep.FILE_NAME, content, "application/json")).run()
    assert {each.name for each in released if each} == {keep.FILE_NAME, "recording.wav"}
    assert held(adapted).candidate is None and held(adapted).loaded


def test_takes_that_were_removed_are_not_held_by_what_was_filed(adapted: AppTest) -> None:
    adapted.button("my_voice.corpus.add").click().run()
    take = weakref.ref(held(adapted).takes[0])
    adapted.button("my_voice.remove.0").click().run()
    gc.collect()
    assert take() is None and len(held(adapted).filed) == 4


def test_models_that_answered_no_take_get_a_sentence(page: AppTest, models: Path) -> None:
    page.session_state[state.MODELS] = ["knn"]
    page.run().segmented_control("my_voice.set").set_value(4).run()
    act(page, 1, 2, 3, 4)
    page.session_state[state.MODELS] = ["mlp"]
    assert "None of the models that are chosen now has answered these takes" in pages.text(page.run())
    assert "What the models hear in your voice" in pages.text(page)


@pytest.mark.parametrize("busy", [workers.NoRoomError("Many are waiting here."), SerError("No worker answers.")])
def test_a_take_is_kept_once_though_the_server_is_too_busy_to_adapt(
    adapted: AppTest, busy: SerError, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(cards: object) -> None:
        raise busy

    monkeypatch.setattr(recognition, "references", refuse)
    adapted.button("my_voice.remove.0").click().run()
    assert str(busy) in pages.text(adapted) and held(adapted).voice is None and len(held(adapted).takes) == 3
    record(adapted, wav(5)).button("my_voice.keep").click().run()
    assert str(busy) in pages.text(adapted)
    assert held(adapted).candidate is None and len(held(adapted).takes) == 4


def test_a_model_that_could_not_be_loaded_is_asked_for_again(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cards = store.list_models(models)[0][:2]
    # Private: nothing public says which key a model has.
    both = service.references(recognition._slugs_and_keys(cards), models)
    answers = [{cards[0].slug: both[cards[0].slug]}, both]
    monkeypatch.setattr(workers, "run", lambda *args: answers.pop(0))
    assert [len(recognition.references(cards)) for _ in range(3)] == [1, 2, 2]


def test_a_sentence_is_kept_only_of_a_recording(page: AppTest) -> None:
    record(page, wav(1)).button("my_voice.keep").click().run()
    page.get("file_uploader")[0].set_value(("other.wav", wav(2), "audio/wav")).run()
    page.button("my_voice.keep").click().run()
    assert [each.sentence for each in held(page).takes] == [recorded.SENTENCES[0], ""]


def test_a_voice_that_was_brought_is_not_mixed_with_models_trained_again(adapted: AppTest, models: Path) -> None:
    content = held(adapted).voice.to_bytes()
    other = pages.visit(MY_VOICE)
    uploader = next(each for each in other.get("file_uploader") if "saved here" in each.label)
    assert "takes the place of your takes" in uploader.label
    uploader.set_value((keep.FILE_NAME, content, "application/json")).run()
    change(models, "knn", temperature=1.5)
    st.cache_data.clear()
    st.cache_resource.clear()
    act(other.run(), 5)
    found = held(other).voice
    assert found.n_takes == 5 and set(found.adaptations) == set(TITLES) - {"knn"}


def test_a_take_that_is_in_the_corpus_already_does_not_keep_the_others_out(adapted: AppTest, tmp_path: Path) -> None:
    adapted.button("my_voice.corpus.add").click().run()
    found = recorded.clips(tmp_path / "corpora", "my-voice")
    recorded.delete(tmp_path / "corpora", "my-voice", [found[0].id, found[3].id])
    held(adapted).filed.clear()
    adapted.button("my_voice.corpus.add").click().run()
    said = pages.text(adapted)
    assert (
        "Added 2 takes to My voice. Not added: happy: This recording is already in the corpus, labelled happy" in said
    )
    assert "sad: This recording" in said
    assert sorted(each.label for each in recorded.clips(tmp_path / "corpora", "my-voice")) == sorted(FOUR)
    assert len(held(adapted).filed) == 2


def test_takes_do_not_go_to_another_visitors_corpus_of_the_same_title(adapted: AppTest, tmp_path: Path) -> None:
    root = tmp_path / "corpora"
    recorded.create(root, "my VOICE")
    adapted.button("my_voice.corpus.add").click().run()
    assert not adapted.error
    adapted.button("my_voice.test").click().run()
    assert recorded.listing(root) == {"my-voice": "my VOICE", "my-voice-2": "My voice 2"}
    assert recorded.clips(root, "my-voice") == () and len(recorded.clips(root, "my-voice-2")) == 4
    act(adapted, 5, 6).button("my_voice.corpus.add").click().run()
    assert len(recorded.clips(root, "my-voice-2")) == 6, "what was made first is joined later"
