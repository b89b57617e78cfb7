"""The pretrained model on Recognize: the others' answers do not wait for it, it comes by itself, and a full room leaves it out."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from pages.ui import cached, recognition
from pages.ui.live import session
from pages.ui.prediction_cards import agreement
from ser_core.corpora import catalogue
from ser_core.recognition import analysis, sandbox, service, store, together
from ser_core.recognition.recognizer import Prediction
from ser_core.system import workers
from tests.support import models as support_models
from tests.support import pages
from tests.support.waiting import until

ROOT = Path(__file__).resolve().parents[2]
SPEECH = (ROOT / "pages" / "samples" / "bright.flac").read_bytes()
OTHER = (ROOT / "pages" / "samples" / "flat.flac").read_bytes()
TITLE = support_models.TITLES["transfer"]
WAITS = "still listening"

Work = tuple[Any, tuple[Any, ...]]


@pytest.fixture
def models(models: Path) -> Path:
    """A models folder whose fifth model hears through the pretrained encoder."""
    return support_models.pretrain(models)


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> list[Work]:
    """What is handed to workers: the work and its arguments."""
    found: list[Work] = []
    run = workers.run

    def noted(work: Callable[..., Any], *args: Any, **named: Any) -> Any:
        found.append((work, args))
        return run(work, *args, **named)

    monkeypatch.setattr(workers, "run", noted)
    return found


@pytest.fixture
def gate(handed: list[Work], monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """What a pretrained model is asked waits for this event."""
    run, opened = workers.run, threading.Event()

    def held(work: Callable[..., Any], *args: Any, **named: Any) -> Any:
        if work is service.predict_waveform:
            assert opened.wait(60)
        return run(work, *args, **named)

    monkeypatch.setattr(workers, "run", held)
    yield opened
    opened.set()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[recognition.Asked]:
    """What was asked by the page; no browser's timer looks at it, which would be a run of the page, and ask again."""
    found: list[recognition.Asked] = []
    ask = recognition.ask

    def noted(*args: Any, **named: Any) -> recognition.Asked:
        found.append(ask(*args, **named))
        return found[-1]

    monkeypatch.setattr(recognition, "ask", noted)
    return found


def upload(page: AppTest, data: bytes = SPEECH) -> AppTest:
    page.get("file_uploader")[0].set_value(("voice.flac", data, "application/octet-stream"))
    return page.run()


def html(page: AppTest) -> str:
    """The cards."""
    assert not page.exception, page.exception[0].value
    return next(body for each in page.get("html") if "<section>" in (body := each.proto.body))


def arrived(page: AppTest) -> str:
    """The cards once nothing is awaited; a browser's timer runs the page so."""
    until(lambda: WAITS not in html(page) or WAITS not in html(page.run()))
    return html(page)


def expected(models: Path, data: bytes = SPEECH) -> list[Prediction]:
    recognizers = [store.load(slug, models) for slug in store.SHIPPED]
    return analysis.recognize(recognizers, analysis.analyse(data), folder=models)


def columns(page: AppTest) -> list[str]:
    return list(page.table[0].value)


def test_the_four_are_shown_while_the_fifth_is_held_back_and_it_comes(
    models: Path, handed: list[Work], gate: threading.Event
) -> None:
    page = upload(pages.visit())
    *four, fifth = expected(models)
    cards = html(page).split("<section>")[1:]
    assert len(cards) == len(store.SHIPPED) and not any(WAITS in each for each in cards[:-1])
    assert WAITS in cards[-1] and TITLE in cards[-1] and fifth.label in cards[-1], "its labels are there, without bars"
    assert agreement([each.label for each in four]) in html(page)
    assert TITLE not in columns(page) and len(columns(page)) == len(four)
    gate.set()
    *_, card = arrived(page).split("<section>")
    assert f"{100 * fifth.probabilities[fifth.label]:.0f} %" in card and columns(page)[-1] == TITLE
    assert [work for work, _ in handed] == [service.analyse, service.predict_waveform]


def test_the_sound_is_decoded_and_measured_once(models: Path, handed: list[Work]) -> None:
    page = upload(pages.visit())
    arrived(page)
    (first, (data, asked, _)), (later, (waveform, more, _)) = handed
    assert (first, later) == (service.analyse, service.predict_waveform) and data == SPEECH
    assert [slug for slug, _ in asked] == list(store.FOUR) and [slug for slug, _ in more] == ["transfer"]
    assert (waveform.samples == analysis.analyse(SPEECH).clip.waveform.samples).all()
    page.run()
    page.button("recognize.keep").click().run()
    arrived(upload(page, OTHER))
    assert [work for work, _ in handed] == [service.analyse, service.predict_waveform] * 2


def test_until_it_has_answered_the_pool_of_the_others_leads(models: Path, gate: threading.Event) -> None:
    support_models.pool(models, store.SHIPPED, store.FOUR)
    page = upload(pages.visit())
    lead = html(page).split("</section>")[0]
    whole, *five = expected(models)
    assert "ser-lead" in lead and "One answer of these 4 models" in lead
    assert agreement([each.label for each in five[:4]]) in lead
    assert columns(page) == [together.TITLE, *list(support_models.TITLES.values())[:4]]
    gate.set()
    lead = arrived(page).split("</section>")[0]
    assert "One answer of these 5 models" in lead
    assert whole.model == together.NAME and f"{100 * whole.probabilities[whole.label]:.0f} %" in lead
    assert columns(page) == [together.TITLE, *support_models.TITLES.values()]


def test_where_the_others_have_no_pool_its_card_keeps_its_place(models: Path, gate: threading.Event) -> None:
    support_models.pool(models)
    page = upload(pages.visit())
    lead, *cards = html(page).split("</section>")[:-1]
    assert "waiting …" in lead and "One answer of these 5 models" in lead and "%" not in lead.split("ser-bars")[1]
    assert len(cards) == len(store.SHIPPED) and "ser-verdict" in lead and together.TITLE not in columns(page)
    gate.set()
    assert "waiting …" not in arrived(page) and columns(page)[0] == together.TITLE


def test_a_full_line_leaves_it_out_and_it_can_be_asked_again(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    support_models.pool(models)
    monkeypatch.setattr(workers, "MOST_LATER", 0)
    page = upload(pages.visit())
    said = arrived(page)
    assert recognition.LEFT_OUT in said and f"It needs the answer of {TITLE}." in said
    assert len(said.split("<section>")[1:]) == len(store.SHIPPED) + 1 and not page.error
    assert recognition.LEFT_OUT in arrived(page.run()), "it is asked at each run, and the line is still full"
    monkeypatch.undo()
    monkeypatch.setenv("SER_MODELS", str(models))
    page.button("recognize.ask").click().run()
    said = arrived(page)
    assert recognition.LEFT_OUT not in said and "It needs" not in said
    assert not [each for each in page.button if each.key == "recognize.ask"]


def test_while_live_is_full_it_is_not_asked(models: Path, handed: list[Work]) -> None:
    places = session.places()
    for who in range(places.n):
        places.take(who)
    page = upload(pages.visit())
    assert recognition.LEFT_OUT in html(page) and [work for work, _ in handed] == [service.analyse]
    places.leave(0)
    assert recognition.LEFT_OUT not in arrived(page.run())


def test_what_it_has_said_stays_while_live_is_full(models: Path, handed: list[Work]) -> None:
    page = upload(pages.visit())
    arrived(page)
    places = session.places()
    for who in range(places.n):
        places.take(who)
    assert recognition.LEFT_OUT not in html(page.run()) and len(handed) == 2


def test_a_damaged_one_says_so_and_the_others_answer(models: Path) -> None:
    (weights,) = (path for path in (models / "transfer").iterdir() if path.name != store.CARD)
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    page = upload(pages.visit())
    assert "hash differs" in arrived(page).split("<section>")[-1] and len(columns(page)) == len(store.FOUR)


def test_where_its_worker_ends_each_time_its_card_says_so(
    models: Path, asked: list[recognition.Asked], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = workers.run

    def ended(work: Callable[..., Any], *args: Any, **named: Any) -> Any:
        if work is service.predict_waveform:
            work, args, named = os._exit, (1,), {}
        return run(work, *args, **named)

    monkeypatch.setattr(workers, "run", ended)
    upload(pages.visit())
    (about,) = asked
    until(lambda: not about.waits)
    *four, fifth = about.answers()
    assert "Try again" in fifth.problem and fifth.may_follow and all(each.prediction for each in four)


@pytest.mark.parametrize(("kept", "answers_it"), [(True, True), (True, False), (False, True)])
def test_the_last_answer_is_added_to_your_clips_without_drawing_the_page_anew(
    models: Path,
    gate: threading.Event,
    asked: list[recognition.Asked],
    monkeypatch: pytest.MonkeyPatch,
    kept: bool,
    answers_it: bool,
) -> None:
    look = recognition.Asked.waits.fget
    assert look

    def late(about: recognition.Asked) -> bool:
        found = look(about)
        gate.set()
        until(lambda: not look(about))
        return bool(found)

    monkeypatch.setattr(recognition.Asked, "waits", property(late))
    if not answers_it:
        monkeypatch.setattr(workers, "MOST_LATER", 0)
    page = pages.visit()
    if kept:
        upload(page)
    else:
        page.button("recognize.sample.bright.flac").click().run()
    assert not page.exception and len(asked) == 1
    below = [each.proto.body for each in page.get("html") if each.proto.body.startswith('<p class="ser-legend">')]
    assert len(below) == kept, "only what is on the shelf is shown below"
    assert all((TITLE in each) == answers_it for each in below)


def test_two_clips_are_compared_on_it(models: Path) -> None:
    page = upload(pages.visit(), OTHER)
    arrived(page)
    page.button("recognize.keep").click().run()
    upload(page)
    card = arrived(page).split("<section>")[-1]
    assert f"Before: {expected(models, OTHER)[-1].label}" in card or "Before: not sure" in card
    assert "ser-pair" in card


def test_what_is_taken_home_is_what_is_there_by_the_click(
    models: Path, asked: list[recognition.Asked], gate: threading.Event
) -> None:
    upload(pages.visit())
    (about,) = asked
    assert about.waits and [each.model for each in about.predictions()] == list(store.FOUR)
    gate.set()
    until(lambda: not about.waits)
    assert [each.model for each in about.predictions()] == list(store.SHIPPED)


def test_a_batch_asks_all_in_one_task(models: Path, handed: list[Work]) -> None:
    said = recognition.predict(SPEECH, "a.flac", cached.models()[0])[1]
    assert [each.model for each in said if isinstance(each, Prediction)] == list(store.SHIPPED)
    assert [work for work, _ in handed] == [service.analyse]


def test_of_an_imported_one_the_encoder_alone_waits_for_a_worker(
    models: Path, handed: list[Work], asked: list[recognition.Asked], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = np.full((1, len(catalogue.LABELS)), 1 / len(catalogue.LABELS))
    monkeypatch.setattr(sandbox.ForeignClassifier, "predict_proba", lambda *_: answer)  # its process has little time
    support_models.change(models, "transfer", training={"imported": "2026-01-01T00:00:00+00:00"})
    upload(pages.visit())
    (about,) = asked
    until(lambda: not about.waits)
    assert [each.model for each in about.predictions()] == list(store.SHIPPED)
    assert [work.__name__ for work, _ in handed] == ["analyse", "embedding"]


def test_without_the_pretrained_models_nothing_is_awaited(
    models: Path, handed: list[Work], monkeypatch: pytest.MonkeyPatch
) -> None:
    support_models.pool(models, store.SHIPPED, store.FOUR)
    monkeypatch.setenv(store.TRANSFER, "0")
    page = upload(pages.visit())
    assert TITLE not in html(page) and "One answer of these 4 models" in html(page)
    assert [work for work, _ in handed] == [service.analyse]
