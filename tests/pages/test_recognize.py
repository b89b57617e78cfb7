"""The Recognize page and the guide, driven without a browser."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
import streamlit as st
from streamlit.testing.v1 import AppTest

from pages.ui import cached, clip_input, downloads, frame, recognition, state
from pages.ui.prediction_cards import agreement, bars, when_sure
from ser_core.audio import decoding, waveform
from ser_core.errors import SerError
from ser_core.metrics import evaluation
from ser_core.recognition import analysis, service, store
from ser_core.recognition.recognizer import Prediction
from ser_core.system import workers
from tests.support import pages
from tests.support.models import TITLES
from tests.support.waiting import until

ROOT = Path(__file__).resolve().parents[2]
SPEECH = (ROOT / "pages" / "samples" / "bright.flac").read_bytes()
OTHER_SPEECH = (ROOT / "pages" / "samples" / "flat.flac").read_bytes()
SILENCE = waveform.encode_wav(waveform.Waveform(np.zeros(16_000, dtype=np.float32), 16_000))


@pytest.fixture
def page(models: Path) -> Iterator[AppTest]:
    yield pages.visit()


def upload(page: AppTest, name: str = "voice.flac", data: bytes = SPEECH) -> AppTest:
    page.get("file_uploader")[0].set_value((name, data, "application/octet-stream"))
    return page.run()


def text(page: AppTest) -> str:
    """Everything the page says, HTML without its tags."""
    assert not page.exception, page.exception[0].value
    spoken = [
        element.value for kind in (page.markdown, page.info, page.error, page.warning, page.caption) for element in kind
    ]
    pieces = [
        re.sub(r"<style>.*?</style>|<[^>]+>", " ", element.proto.body, flags=re.S) for element in page.get("html")
    ]
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", " ".join([*spoken, *map(unescape, pieces)]))


def n_cards(page: AppTest) -> int:
    return sum(element.proto.body.count("<section>") for element in page.get("html"))


def test_the_empty_page_offers_three_ways_in(page: AppTest) -> None:
    assert [tab.label for tab in page.tabs] == ["Record", "Upload", "Sample"]
    assert len(page.get("audio_input")) == 1 and len(page.get("file_uploader")) == 1
    assert "hears acting, not feelings" in text(page)
    assert n_cards(page) == 0


def test_a_model_to_be_tried_is_named_until_a_clip_is_there(page: AppTest) -> None:
    page.session_state[state.TRIED] = "cnn"
    assert "**CNN** answers too" in text(page.run())
    assert "answers too" not in text(upload(page))


def test_an_upload_shows_predictions_that_match_the_core(page: AppTest, models: Path) -> None:
    upload(page)
    expected = analysis.recognize([store.load(slug, models) for slug in store.SHIPPED], analysis.analyse(SPEECH))
    (table,) = page.table
    for prediction in expected:
        shown = table.value[TITLES[prediction.model]].map(lambda p: float(p.removesuffix(" %")) / 100).to_dict()
        assert list(shown) == list(prediction.probabilities)
        assert shown == pytest.approx(prediction.probabilities, abs=0.00051)
    assert n_cards(page) == len(TITLES)
    assert agreement([prediction.label for prediction in expected]) in text(page)


def test_the_page_says_what_was_recorded_and_how_good_a_model_is(page: AppTest) -> None:
    said = text(upload(page))
    assert "of speech" in said and "FLAC" in said and "mono" in said
    assert re.search(r"UAR +12 %", said) and "on unseen speakers. RAVDESS, 4 speakers" in said and "parameters" in said


def two_people(pause_s: float = 0.0) -> bytes:
    """A WAV with one voice on the left and another on the right, which both end with a pause."""
    sounds = [decoding.decode(data).waveform.samples[:32_000] for data in (SPEECH, OTHER_SPEECH)]
    n = min(map(len, sounds))
    sound = np.stack([each[:n] for each in sounds], axis=1)
    file = io.BytesIO()
    soundfile.write(file, np.pad(sound, ((0, round(pause_s * 16_000)), (0, 0))), 16_000, format="WAV")
    return file.getvalue()


@pytest.mark.parametrize("pause_s", [0.0, 8.0], ids=["a clip", "a long recording"])
def test_of_two_people_on_two_channels_either_can_be_chosen(page: AppTest, pause_s: float) -> None:
    upload(page, "two.wav", two_people(pause_s))
    settle(page)
    assert "Its channels hold different voices" in text(page)
    assert channel_choice(page).options == ["Left", "Right", "Mean", "Difference"]
    used = channel_choice(page).value
    shown = {}
    for channel in ("right" if used == "left" else "left", used, "mean"):
        channel_choice(page).set_value(channel).run()
        settle(page)
        assert page.session_state[state.CLIP].channel == channel
        assert channel == "mean" or f"The {channel} channel was used, as chosen." in text(page)
        shown[channel] = [unescape(element.proto.body) for element in page.get("html")]
    assert shown["left"] != shown["right"] != shown["mean"]


def settle(page: AppTest) -> None:
    """Run the page until a long recording has been listened to: only then may its channel be chosen."""
    until(lambda: any(each.label == "Channel" for each in page.run().segmented_control))


def channel_choice(page: AppTest, label: str = "Channel") -> Any:
    """The control that chooses a channel, or the one of this label."""
    (control,) = [each for each in page.segmented_control if each.label == label]
    return control


def two_tracks(pause_s: float = 0.0) -> bytes:
    """A film with one voice on its first sound track and others, one a channel, on its second, each with a pause at its end."""
    mono, other = (decoding.decode(data).waveform.samples[:32_000] for data in (SPEECH, OTHER_SPEECH))
    sounds = {"mono": mono[None], "stereo": np.stack([other, mono])}
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        streams = [container.add_stream("aac", rate=16_000, layout=layout) for layout in sounds]
        for stream, (layout, sound) in zip(streams, sounds.items(), strict=True):
            samples = np.ascontiguousarray(np.pad(sound, ((0, 0), (0, round(pause_s * 16_000)))))
            frame = av.AudioFrame.from_ndarray(samples, "fltp", layout)
            frame.sample_rate = 16_000
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return file.getvalue()


@pytest.mark.parametrize("pause_s", [0.0, 8.0], ids=["a clip", "a long recording"])
def test_of_two_sound_tracks_either_can_be_chosen_and_then_a_channel_of_it(page: AppTest, pause_s: float) -> None:
    upload(page, "film.mp4", two_tracks(pause_s))
    pages.wait_for(page, lambda said: "Sound track 1 of 2 was used; there is speech in track 2 too" in said)
    assert (channel_choice(page, "Sound track").options, channel_choice(page, "Sound track").value) == (["1", "2"], 1)
    assert not [each for each in page.segmented_control if each.label == "Channel"]
    channel_choice(page, "Sound track").set_value(2).run()
    pages.wait_for(page, lambda said: "Sound track 2 of 2 was used, as chosen." in said)
    other = "right" if channel_choice(page).value == "left" else "left"
    channel_choice(page).set_value(other).run()
    pages.wait_for(page, lambda said: f"The {other} channel was used, as chosen." in said)
    given = page.session_state[state.CLIP]
    assert (given.track, given.channel) == (2, other)
    channel_choice(page, "Sound track").set_value(1).run()
    pages.wait_for(page, lambda said: "Sound track 1 of 2 was used, as chosen." in said)
    given = page.session_state[state.CLIP]
    assert (given.track, given.channel) == (1, None)
    assert not [each for each in page.segmented_control if each.label == "Channel"]


def test_a_recording_whose_channels_agree_offers_no_choice(page: AppTest) -> None:
    upload(page)
    assert not [each for each in page.segmented_control if each.label == "Channel"]


def test_a_file_that_is_cut_off_says_so(page: AppTest) -> None:
    whole = waveform.encode_wav(decoding.decode(SPEECH).waveform)
    upload(page, "cut.wav", whole[: 2 * len(whole) // 3])
    assert decoding.TRUNCATED in text(page)


def test_a_sample_is_one_click_away(page: AppTest) -> None:
    page.button("recognize.sample.bright.flac").click().run()
    assert "Synthetic voice" in text(page) and n_cards(page) == len(TITLES)


def test_no_speech_no_guess(page: AppTest) -> None:
    said = text(upload(page, "quiet.wav", SILENCE))
    assert "there is no prediction" in said
    assert n_cards(page) == 0 and not page.table


def test_a_file_that_is_no_sound_gets_a_sentence(page: AppTest) -> None:
    upload(page, "notes.wav", b"these are words, not sound")
    assert "notes" in text(page) and len(page.error) == 1 and n_cards(page) == 0


def test_a_file_name_is_shown_as_it_is_and_does_nothing(page: AppTest) -> None:
    name = "<b>![x](http://x) $a$ :red[b] `c`.flac"
    upload(page, name)
    (line,) = [element.value for element in page.markdown if element.value.startswith("**Clip**")]
    assert line == f"**Clip** · {frame.plain(name)}"
    assert not re.search(r"(?<!\\)[<\[$`]", line.removeprefix("**Clip** · "))


def test_a_clip_survives_a_page_change(page: AppTest) -> None:
    upload(page)
    page.switch_page("pages/guide.py").run()
    assert page.title[0].value == "Guide" and "5(1)(f)" in text(page)
    page.switch_page("app.py").run()
    assert "voice.flac" in text(page) and n_cards(page) == len(TITLES)


def test_a_cleared_clip_does_not_return(page: AppTest) -> None:
    upload(page)
    page.button("recognize.clear").click().run()
    assert n_cards(page) == 0 and page.get("file_uploader")[0].value is None
    page.run()
    page.switch_page("pages/guide.py").run()
    page.switch_page("app.py").run()
    assert n_cards(page) == 0


def test_the_last_clip_given_counts(page: AppTest) -> None:
    upload(page)
    page.button("recognize.sample.flat.flac").click().run()
    assert "flat.flac" in text(page) and "voice.flac" not in text(page)
    page.run()
    assert "flat.flac" in text(page)


def test_two_clips_can_be_compared_and_the_first_dropped(page: AppTest) -> None:
    upload(page)
    page.button("recognize.keep").click().run()
    assert "compare" in text(page) and n_cards(page) == 0
    upload(page, "second.flac", OTHER_SPEECH)
    said = text(page)
    assert "voice.flac" in said and "second.flac" in said and "Before:" in said and "→" in said
    assert len(page.get("plotly_chart")) == 2 and n_cards(page) == len(TITLES)
    page.button("recognize.drop").click().run()
    assert "voice.flac" not in text(page) and len(page.get("plotly_chart")) == 1


def test_a_kept_clip_without_speech_leaves_the_cards_single(page: AppTest) -> None:
    upload(page, "quiet.wav", SILENCE)
    page.button("recognize.keep").click().run()
    upload(page)
    assert n_cards(page) == len(TITLES) and "→" not in text(page)


def test_a_damaged_model_says_so_and_the_others_answer(models: Path, page: AppTest) -> None:
    weights = next(path for path in (models / "cnn").iterdir() if path.name != "card.json")
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    said = text(upload(page))
    assert "hash differs" in said and n_cards(page) == len(TITLES)
    assert list(page.table[0].value.columns) == [title for slug, title in TITLES.items() if slug != "cnn"]


def test_a_damaged_card_is_a_notice(models: Path, page: AppTest) -> None:
    (models / "mlp" / "card.json").write_text("{")
    upload(page)
    assert len(page.warning) == 1 and "mlp" in page.warning[0].value
    assert n_cards(page) == len(TITLES) - 1


def test_a_model_that_is_added_shows_at_the_next_rerun(models: Path, page: AppTest) -> None:
    shutil.move(models / "mlp", models.parent / "mlp")
    upload(page)
    assert n_cards(page) == len(TITLES) - 1
    shutil.move(models.parent / "mlp", models / "mlp")
    page.run()
    assert n_cards(page) == len(TITLES)


def add_model(models: Path, slug: str) -> None:
    """As another server on the same folder does it."""
    shutil.copytree(models / "mlp", models.parent / slug)
    card = dataclasses.replace(store.read_card("mlp", models), slug=slug, title=slug.title())
    (models.parent / slug / store.CARD).write_text(json.dumps(card.to_dict()), encoding="utf-8")
    (models.parent / slug).rename(models / slug)


def test_a_model_that_another_server_deletes_while_it_is_asked_gets_a_sentence_and_the_others_answer(
    models: Path, page: AppTest
) -> None:
    add_model(models, "mine")
    add_model(models, "unasked")
    page.session_state[state.MODELS] = ["mine", "knn", "cnn"]
    assert n_cards(upload(page)) == 3 and "Mine" in text(page)
    seen = cached.models()[0]
    store.delete("mine", models)
    store.delete("unasked", models)  # after this server has listed it, and before it is loaded
    st.cache_resource.clear()
    said = dict(zip([each.slug for each in seen], recognition.predict(SPEECH, "a.flac", seen)[1], strict=True))
    assert said.pop("unasked").startswith("There is no model 'unasked'")
    assert sorted(said) == sorted([*store.SHIPPED, "mine"]) and all(
        isinstance(each, Prediction) for each in said.values()
    )
    upload(page, "other.flac", OTHER_SPEECH)
    assert n_cards(page) == len(TITLES) and "Mine" not in text(page) and not page.error
    add_model(models, "theirs")
    page.run()
    assert "Theirs" in str(page.get("button_group")[0].options) and not page.exception


def test_without_models_the_page_still_shows_the_sound(models: Path, page: AppTest) -> None:
    shutil.rmtree(models)
    upload(page)
    assert "no trained model" in text(page) and len(page.get("plotly_chart")) == 1


def test_more_rows_can_be_switched_on(page: AppTest) -> None:
    upload(page)
    assert rows(page) == [["MFCC"]]
    page.pills("recognize.rows").set_value(["chroma", "mel", "f0"])
    page.run()
    assert rows(page) == [["Mel spectrogram", "MFCC", "Chroma", "Pitch (f0)"]]


def test_two_clips_are_drawn_side_by_side_with_what_the_player_shows_of_one(page: AppTest) -> None:
    upload(page)
    page.button("recognize.keep").click().run()
    upload(page, "other.flac", OTHER_SPEECH)
    assert rows(page) == [["Waveform", "Mel spectrogram", "MFCC"]] * 2


def rows(page: AppTest) -> list[list[str]]:
    """What each figure of the page shows, from top to bottom."""
    figures = [json.loads(each.proto.spec) for each in page.get("plotly_chart")]
    return [[trace["name"] for trace in figure["data"]] for figure in figures]


def test_a_rerun_computes_nothing_again(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    upload(page)

    def forbidden(*args: object, **kwargs: object) -> None:
        raise AssertionError("computed twice")

    for name in ("analyse", "recognize"):
        monkeypatch.setattr(analysis, name, forbidden)
    monkeypatch.setattr(store, "load", forbidden)
    monkeypatch.setattr(workers, "run", forbidden)
    page.run()
    assert n_cards(page) == len(TITLES)


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, tuple[Any, ...], Any]]:
    """What went to a worker and what came back: the work, its arguments, its result."""
    found: list[tuple[Any, tuple[Any, ...], Any]] = []
    run = workers.run

    def noted(work: Callable[..., Any], *args: Any, **named: Any) -> Any:
        result = run(work, *args, **named)
        found.append((work, args, result))
        return result

    monkeypatch.setattr(workers, "run", noted)
    return found


def test_a_clip_goes_to_a_worker_once_and_its_analysis_never(page: AppTest, tasks: list[Any]) -> None:
    upload(page)
    assert n_cards(page) == len(TITLES)
    ((work, (data, models, _), (found, answers)),) = tasks
    assert work is service.analyse and data == SPEECH and len(models) == len(answers) == len(TITLES)
    assert found.quality.has_speech
    page.run()
    page.pills("recognize.rows").set_value(["chroma"])
    page.run()
    page.button("recognize.keep").click().run()
    upload(page, "other.flac", OTHER_SPEECH)
    assert [args[0] for _, args, _ in tasks] == [SPEECH, OTHER_SPEECH]


def test_a_model_that_is_chosen_later_is_asked_alone(models: Path, page: AppTest, tasks: list[Any]) -> None:
    add_model(models, "mine")
    page.session_state[state.MODELS] = ["knn", "cnn"]
    assert n_cards(upload(page)) == 2
    page.session_state[state.MODELS] = ["knn", "cnn", "mine"]
    page.session_state["recognize.models.choice"] = ["knn", "cnn", "mine"]
    assert n_cards(page.run()) == 3
    assert [[slug for slug, _ in args[1]] for _, args, _ in tasks] == [["knn", "cnn"], ["mine"]]
    assert not any(isinstance(each, analysis.Analysis) for _, args, _ in tasks for each in args)


def test_a_model_that_is_chosen_later_answers_for_the_track_and_the_channel_that_are_chosen(
    models: Path, page: AppTest, tasks: list[Any]
) -> None:
    add_model(models, "mine")
    page.session_state[state.MODELS] = ["knn"]
    upload(page, "film.mp4", two_tracks())
    channel_choice(page, "Sound track").set_value(2).run()
    page.run()
    channel_choice(page).set_value("right").run()
    page.session_state[state.MODELS] = ["knn", "mine"]
    page.session_state["recognize.models.choice"] = ["knn", "mine"]
    assert n_cards(page.run()) == 2
    found, _ = tasks[-1][2]
    assert [slug for slug, _ in tasks[-1][1][1]] == ["mine"]
    assert (found.clip.track, found.clip.channel) == (2, "right")


@pytest.mark.parametrize("with_models", [False, True], ids=["the clip", "a model"])
def test_where_a_worker_ends_each_time_the_page_says_so(
    page: AppTest, monkeypatch: pytest.MonkeyPatch, with_models: bool
) -> None:
    run = workers.run

    def ended(asked, *args, **named):
        if asked is service.analyse and (args[1] or not with_models):
            raise SerError(workers.WORKER_FAILED)
        return run(asked, *args, **named)

    monkeypatch.setattr(workers, "run", ended)
    upload(page)
    assert not page.exception and "Try again" in text(page)
    page.button("recognize.keep" if with_models else "recognize.clear").click().run()
    monkeypatch.setattr(workers, "run", run)
    upload(page)
    assert not page.exception and n_cards(page) == len(TITLES)


def test_a_clip_put_aside_that_cannot_be_heard_again_can_be_dropped(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(page)
    page.button("recognize.keep").click().run()

    def ended(*args: object, **named: object) -> None:
        raise SerError(workers.WORKER_FAILED)

    monkeypatch.setattr(workers, "run", ended)
    st.cache_resource.clear()
    page.run()
    assert not page.exception and "Try again" in text(page)
    page.button("recognize.drop").click().run()
    assert not page.exception and not page.error


def test_clips_of_an_installed_corpus_come_with_their_label(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor = tmp_path / "corpora" / "ravdess" / "Actor_07"
    actor.mkdir(parents=True)
    (actor / "03-01-05-02-01-01-07.flac").write_bytes(SPEECH)
    monkeypatch.setenv("SER_CORPORA", str(tmp_path / "corpora"))
    st.cache_data.clear()
    page = pages.visit()
    page.selectbox("recognize.clip.ravdess.ravdess:07").select_index(0).run()
    page.button("recognize.use").click().run()
    said = text(page)
    assert "Acted as **angry**" in said and "learned from this very clip" in said and n_cards(page) == len(TITLES)


def test_every_widget_has_a_key(page: AppTest) -> None:
    upload(page)
    for kind in ("button", "file_uploader", "audio_input", "selectbox", "download_button", "pills"):
        assert all(element.key for element in page.get(kind)), kind


def test_warming_up_has_every_model_loaded_by_a_worker_and_survives_a_damaged_one(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("SER_MODELS", str(models))
    next(path for path in (models / "cnn").iterdir() if path.name != "card.json").write_bytes(b"")
    loaded, handed = [], []
    load, run = store.load, workers.run
    monkeypatch.setattr(store, "load", lambda slug, folder: loaded.append(slug) or load(slug, folder))
    monkeypatch.setattr(
        workers, "run", lambda work, *args, **named: handed.append((work, args)) or run(work, *args, **named)
    )
    st.cache_resource.clear()
    # What the public warm_up runs in a thread that tells nothing of it.
    recognition._warm_up()
    assert loaded == [], "a model is loaded in the server too"
    assert [work for work, _ in handed] == [service.warm_up]
    assert [slug for slug, _ in handed[0][1][1]] == list(store.SHIPPED)


PREDICTIONS = [
    Prediction("knn", "sad", {"sad": 0.75, "calm": 0.25}, 1.5),
    Prediction("<mlp>", "calm", {"sad": 0.0, "calm": 1.0}, 0.5),
]


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ([], ""),
        (["sad"], "The one model here says sad."),
        (["sad", "sad"], "Both models say sad."),
        (["sad"] * 4, "All 4 models say sad."),
        (["sad", "calm", "sad", "sad"], "3 of 4 models say sad."),
        (["sad", "calm", "sad", "fear"], "2 of 4 models say sad."),
        (["sad", "calm", "sad", "calm"], "The models are split: 2 of 4 say sad, 2 say calm."),
        (["sad", "calm", "fear", "happy"], "The 4 models all differ: sad, calm, fear and happy."),
    ],
)
def test_agreement_in_one_sentence(labels: list[str], sentence: str) -> None:
    assert agreement(labels) == sentence


@pytest.mark.parametrize(
    ("labels", "n_unsure", "sentence"),
    [
        ([], 1, "The one model here is not sure."),
        ([], 2, "Neither of the 2 models is sure."),
        ([], 4, "None of the 4 models is sure."),
        (["sad"] * 3, 1, "3 of 4 models say sad; 1 is not sure."),
        (["sad", "calm"], 2, "1 of 4 models says sad, 1 says calm; 2 are not sure."),
        (["calm", "sad", "sad"], 1, "2 of 4 models say sad, 1 says calm; 1 is not sure."),
    ],
)
def test_agreement_where_some_are_not_sure(labels: list[str], n_unsure: int, sentence: str) -> None:
    assert agreement(labels, n_unsure) == sentence


def test_a_model_below_its_threshold_says_not_sure_and_shows_what_it_guessed(page: AppTest, models: Path) -> None:
    for slug, threshold in (("knn", 1.0), ("mlp", 0.0)):
        path = models / slug / store.CARD
        path.write_text(json.dumps(json.loads(path.read_text()) | {"threshold": threshold}))
    said = text(upload(page))
    (html,) = [each.proto.body for each in page.get("html") if "<section>" in each.proto.body]
    knn, mlp, *others = html.split("<section>")[1:]
    assert len(others) == len(TITLES) - 2
    assert "<span>not sure</span>" in knn and "Leading guess" in knn and knn.count("ser-track") == 8
    assert not any("not sure" in each for each in (mlp, *others))
    assert "; 1 is not sure." in said and "more than half of the clips unanswered" in said
    assert set(page.table[0].value.columns) == set(TITLES.values())


def test_what_a_threshold_costs_in_words() -> None:
    y = np.arange(40) % 2
    sure = np.where(np.arange(40) < 30, 0.8, 0.6)
    probabilities = np.where(np.eye(2)[(y + (np.arange(40) % 10 == 0)) % 2] > 0, sure[:, None], 1 - sure[:, None])
    measure = {
        "labels": ("sad", "calm"),
        "speakers": y,
        "protocol": "speaker",
        "corpus": "x",
        "rng": np.random.default_rng(0),
    }
    figures = evaluation.evaluate(y, probabilities, threshold=0.7, **measure)
    assert (
        when_sure(figures)
        == "It answers 75 % of these clips; 90 % of its answers are right; 90 % if it always answers."
    )
    assert (
        when_sure(evaluation.evaluate(y, probabilities, threshold=0.9, **measure)) == "It answers 0 % of these clips."
    )
    assert when_sure(evaluation.evaluate(y, probabilities, **measure)) == when_sure(None) == ""


def test_bars_keep_the_order_of_the_labels_and_escape_them() -> None:
    html = bars({"<i>": 0.1, "angry": 0.9})
    assert html.index("&lt;i&gt;") < html.index("angry") and "<i>" not in html
    assert "width:90.0%" in html


def test_the_json_is_what_the_command_line_prints() -> None:
    heard = analysis.analyse(SPEECH)
    (entry,) = json.loads(downloads.predictions_json("a.wav", heard, PREDICTIONS))
    read = ["truncated", "channel", "track", "remarks"]
    assert list(entry) == ["file", "duration_s", *read, "quality", "speech", "predictions"]
    assert entry["predictions"][0] == {
        "model": "knn",
        "label": "sad",
        "sure": None,
        "probabilities": {"sad": 0.75, "calm": 0.25},
        "milliseconds": 1.5,
    }


def test_the_csv_has_one_line_a_model() -> None:
    predictions = [dataclasses.replace(PREDICTIONS[0], threshold=0.8), PREDICTIONS[1]]
    assert downloads.probabilities_csv(predictions).splitlines() == [
        "model,label,sure,sad,calm,milliseconds",
        "knn,sad,False,0.75,0.25,1.5",
        "<mlp>,calm,,0.0,1.0,0.5",
    ]


def test_every_offer_builds_something() -> None:
    heard = analysis.analyse(SPEECH)
    built = {
        offer.key: offer.build() for offer in downloads.offers("../b/<a>.FLAC", SPEECH, heard, lambda: PREDICTIONS)
    }
    assert built["clip"] == SPEECH
    assert built["parquet"][:4] == b"PAR1" and built["features_csv"].startswith("time_s,")
    assert "plotly" in built["html"].lower() and 'src="https' not in built["html"]


@pytest.mark.parametrize(
    ("name", "stem", "suffix"),
    [
        ("../../x.wav", "x", ".wav"),
        ("a b/<c>.FLAC", "c", ".flac"),
        ("", "clip", ""),
        ("...", "clip", ""),
        ("x.<svg>", "x", ""),
        ("é–1.ogg", "é_1", ".ogg"),
    ],
)
def test_downloads_have_safe_names(name: str, stem: str, suffix: str) -> None:
    assert (downloads.safe_stem(name), downloads.safe_suffix(name)) == (stem, suffix)


def test_a_recording_is_played_as_it_came() -> None:
    data = waveform.encode_wav(waveform.Waveform(np.zeros(16_000, dtype=np.float32), 16_000))
    given = clip_input.ClipInput("recording.wav", data, clip_input.RECORDING, "x")
    assert recognition.playable(given, analysis.analyse(data)) == (data, "audio/wav")


def test_pages_hold_the_numeric_libraries_to_one_thread_before_these_load() -> None:
    names = "os.environ['OPENBLAS_NUM_THREADS'], os.environ['OMP_NUM_THREADS']"
    code = f"import os, sys, streamlit, pages.ui; print('numpy' in sys.modules, {names})"
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "1", "1"]


def test_cards_are_read_again_only_where_one_changed(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    monkeypatch.setattr(
        store, "list_models", lambda folder, list_models=store.list_models: read.append(folder) or list_models(folder)
    )
    before = [card.slug for card in cached.models()[0]]
    assert cached.models()[0] == cached.models()[0] and len(read) == 1
    (models / "cnn" / store.CARD).write_text("{}", encoding="utf-8")
    cards, problems = cached.models()
    assert (
        [card.slug for card in cards] == [slug for slug in before if slug != "cnn"]
        and len(problems) == 1
        and len(read) == 2
    )
    shutil.rmtree(models / "knn")
    assert "knn" not in [card.slug for card in cached.models()[0]] and len(read) == 3
    shutil.rmtree(models)
    assert cached.models()[0] == [] and "no models folder" in cached.models()[1][0]
