"""Break it, on the Recognize page: one's own clip under other conditions, and what flips the answers to it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from pages.ui import clip_input, recognition, state
from pages.ui.recognize import break_it
from ser_core.audio import decoding
from ser_core.audio.degradations import CONDITIONS
from ser_core.explanation import what_if
from ser_core.system import workers
from tests.support import models as tiny
from tests.support import pages

ROOT = Path(__file__).resolve().parents[2]
SPEECH = (ROOT / "pages" / "samples" / "bright.flac").read_bytes()


@pytest.fixture
def works(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of the works that workers are given from here on; each is done in this process."""
    given: list[str] = []

    def run(work: Callable[..., Any], *args: Any, **named: Any) -> Any:
        given.append(work.__name__)
        return work(*args, **named)

    monkeypatch.setattr(workers, "run", run)
    yield given


def upload(page: AppTest, data: bytes = SPEECH) -> AppTest:
    page.get("file_uploader")[0].set_value(("voice.flac", data, "application/octet-stream"))
    return page.run()


def opened(page: AppTest) -> AppTest:
    page.session_state[break_it.KEY] = True
    return page.run()


def cards(page: AppTest) -> list[str]:
    """The text of each card that compares the clip with itself as it is."""
    found = [unescape(each.proto.body) for each in page.get("html") if "ser-pair" in each.proto.body]
    return [re.sub(r"<[^>]+>", " ", card) for each in found for card in each.split("<section>")[1:]]


def rows(page: AppTest) -> list[list[str]]:
    """The cells of the table of what flips each answer, a list a row."""
    (table,) = [unescape(each.proto.body) for each in page.get("html") if "What flips each answer" in each.proto.body]
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in table.split("<tr>")[1:]]
    return [[re.sub(r"<[^>]+>", "", cell) for cell in row] for row in cells]


def test_nothing_is_computed_before_it_is_asked_for(models: Path, works: list[str]) -> None:
    page = upload(pages.visit())
    assert works == ["analyse"] and cards(page) == []
    opened(page)
    assert works == ["analyse", "hear"] and len(cards(page)) == len(tiny.TITLES)


def test_the_bars_are_those_of_the_core_beside_those_of_the_clip_as_it_is(models: Path, works: list[str]) -> None:
    tiny.pool(models)
    page = opened(upload(pages.visit()))
    page.pills("recognize.break_it.condition").set_value("babble").run()
    page.select_slider("recognize.break_it.level.babble").set_value("0").run()
    assert "five synthetic voices" in pages.text(page)
    clip = decoding.decode(SPEECH).waveform
    asked = [(slug, "here") for slug in tiny.TITLES]
    _, answers = what_if.hear(clip, "babble", 0, asked, models, ROOT / "pages" / "samples")
    shown = cards(page)
    assert "All together" in shown[0] and len(shown) == len(answers) + 1
    for card, answer in zip(shown[1:], answers, strict=True):
        for label, share in answer.probabilities.items():
            assert re.search(rf"{label}\s+\d+ → {100 * share:.0f} %", card), (label, share, card)
    n = len(works)
    page.select_slider("recognize.break_it.level.babble").set_value("as it is").run()
    assert len(works) == n, "the clip as it is has been heard"
    for card in cards(page):
        assert all(before == after for before, after in re.findall(r"(\d+) → (\d+) %", card))


def test_every_condition_and_level_can_be_chosen(models: Path, works: list[str]) -> None:
    page = opened(upload(pages.visit()))
    assert page.pills("recognize.break_it.condition").options == [row.title for row in CONDITIONS.values()]
    for name in ("telephone", "gain"):
        page.pills("recognize.break_it.condition").set_value(name).run()
        slider = page.select_slider(f"recognize.break_it.level.{name}")
        assert slider.options.count("as it is") == 1 and len(slider.options) == len(what_if.levels(name)) + 1
        assert CONDITIONS[name].unit in slider.label


def searched(page: AppTest) -> AppTest:
    page.button("recognize.break_it.search.start").click().run()
    return pages.finish(page, state.BREAK_IT)


def test_what_flips_each_answer_is_said_in_words_and_in_a_table(models: Path, works: list[str]) -> None:
    tiny.pool(models, threshold=0.2)
    page = searched(opened(upload(pages.visit())))
    search = page.session_state[state.BREAK_IT]
    assert works.count("ask") == len(CONDITIONS) and len(search.heard) == sum(
        len(what_if.levels(name)) for name in CONDITIONS
    )
    said, table = pages.text(page), rows(page)
    assert "All together" in said and "43 variants" in said
    for clean in search.clean:
        flips = what_if.find(
            clean,
            {key: next(each for each in found if each.model == clean.model) for key, found in search.heard.items()},
        )
        assert what_if.sentence(clean, flips) in said
        place = table[0].index(search.titles[clean.model])
        assert [row[place] for row in table[1:]] == [flip.mark for flip in flips]
    assert [row[0] for row in table[1:]] == [row.title for row in what_if.ROWS]
    # What the button builds when it is clicked, which AppTest does not do.
    lines = break_it._csv(search).splitlines()
    assert len(lines) == 1 + (1 + 43) * len(search.clean) and lines[0].startswith(
        "condition,level,unit,model,answer,flips"
    )


def test_another_clip_forgets_what_flipped_the_last_one(models: Path, works: list[str]) -> None:
    page = searched(opened(upload(pages.visit())))
    page.session_state[state.CLIP] = clip_input.ClipInput(
        "b.flac", (ROOT / "pages" / "samples" / "flat.flac").read_bytes(), clip_input.SAMPLE, "b"
    )
    page.run()
    assert not page.session_state[state.BREAK_IT] and "variants that were tried" not in pages.text(page)


def test_the_pretrained_model_is_asked_where_somebody_wants_it(models: Path, works: list[str]) -> None:
    tiny.pretrain(models)
    page = opened(upload(pages.visit()))
    pages.wait_for(page, lambda _: any(each.key == f"{break_it.KEY}.pretrained" for each in page.toggle))
    assert len(cards(page)) == len(tiny.TITLES) - 1
    page.toggle("recognize.break_it.pretrained").set_value(True).run()
    assert len(cards(page)) == len(tiny.TITLES)


def test_where_too_much_waits_the_page_says_so_and_keeps_what_it_has(
    models: Path, works: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = opened(upload(pages.visit()))
    asked = recognition.ask_changed

    def ask_once(waveform: Any, condition: str, cards: Any) -> Any:
        if condition != "white":
            raise workers.NoRoomError(workers.NO_ROOM)
        return asked(waveform, condition, cards)

    monkeypatch.setattr(recognition, "ask_changed", ask_once)
    searched(page)
    assert workers.NO_ROOM in pages.text(page) and "4 variants" in pages.text(page)
    assert [row[0] for row in rows(page)[1:]] == ["White noise"]
    assert page.button("recognize.break_it.search.start").label == break_it.AGAIN


def test_forgetting_what_a_visitor_gave_ends_the_search(models: Path, works: list[str]) -> None:
    page = searched(opened(upload(pages.visit())))
    search, held = page.session_state[state.BREAK_IT], {state.BREAK_IT: page.session_state[state.BREAK_IT]}
    state.release_inputs(held)
    assert held == {} and search.task.stopping


def test_two_visitors_do_not_see_each_others_search(models: Path, works: list[str]) -> None:
    searched(opened(upload(pages.visit())))
    other = opened(upload(pages.visit()))
    assert state.BREAK_IT not in other.session_state or other.session_state[state.BREAK_IT] is None
    assert "variants that were tried" not in pages.text(other)


def test_clearing_the_clip_ends_the_search(models: Path, works: list[str]) -> None:
    page = searched(opened(upload(pages.visit())))
    page.button("recognize.clear").click().run()
    assert state.BREAK_IT not in page.session_state
