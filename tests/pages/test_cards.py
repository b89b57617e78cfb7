"""Cards of models that say what no card can say, and cards at the edge of what it can: no page breaks, and the other models are there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from pages.ui import frame
from ser_core.cli import main
from ser_core.corpora import catalogue
from ser_core.recognition import report, store
from ser_core.recognition.card import MAX_PARAMETERS, MAX_TEMPERATURE
from tests.support import pages
from tests.support.pages import everything

ROOT = Path(__file__).resolve().parents[2]
SPEECH = (ROOT / "pages" / "samples" / "bright.flac").read_bytes()
RIGHT_TO_LEFT = "\u202egnp.exe"

WRONG: dict[str, dict[str, Any]] = {
    "atoms": {"n_parameters": 10**39},
    "hot": {"temperature": 1e308},
    "whenever": {"created": "zzzz"},
    "turned": {"title": RIGHT_TO_LEFT},
    "steered": {"description": "a\x1b[2J"},
    "unknown": {"labels": ["<b>", "sad"]},
    "layered": {"architecture": [{"name": 5, "parameters": 10**39}]},
    "set": {"hyperparameters": {"hidden": float("inf")}},
    "trained": {"training": {"seed": 10**38}},
    "listed": {"corpora": [{"corpus": None}]},
    "licensed": {"licence": RIGHT_TO_LEFT},
    "numbered": {"slug": 7},
    "textual": {"n_parameters": "many"},
}

EDGE: dict[str, dict[str, Any]] = {
    "most": {
        "n_parameters": MAX_PARAMETERS,
        "architecture": [
            {
                "name": "x" * 5000,
                "shape": [MAX_PARAMETERS, None],
                "detail": None,
                "parameters": MAX_PARAMETERS,
            }
        ],
    },
    "bare": {
        "evaluation": None,
        "per_corpus": {},
        "unheard": {},
        "corpora": [],
        "architecture": [],
        "hyperparameters": {},
        "training": {},
    },
    "flat": {"temperature": MAX_TEMPERATURE, "threshold": 1, "labels": list(catalogue.LABELS)},
    "old": {"created": "0001-01-01T00:00:00+00:00", "title": "x" * 80, "description": "\n" * 2000},
    "odd": {
        "corpora": [{"corpus": "<b>", "n_clips": [], "n_speakers": {}, "title": 5, "citation": None, "licence": []}],
        "training": {
            "before": "text",
            "history": "text",
            "start_from": "odd",
            "seed": {"a": []},
            "unreadable": "x",
            "trials": 5,
        },
        "hyperparameters": {"hidden": [[{}]], "seed": None, "<b>": 1e15},
        "split": {"train": {}},
        "architecture": [{}, {"shape": [0]}],
        "classifier": "oracle",
    },
    "loud": {
        "licence": "!" * 10_000,
        "limits": "# _*" * 2500,
        "protocol": "[x](javascript:x)",
        "versions": {"numpy": "😀"},
    },
}


@pytest.fixture
def world(models: Path) -> Path:
    """The shipped models, and beside them one a card."""
    for slug, changes in (WRONG | EDGE).items():
        shutil.copytree(models / "mlp", models / slug)
        path = models / slug / store.CARD
        path.write_text(
            json.dumps(json.loads(path.read_text()) | {"slug": slug, "title": slug} | changes), encoding="utf-8"
        )
    return models


def start(script: str = "") -> AppTest:
    page = pages.visit()
    return page.switch_page(script).run() if script else page


def checked(page: AppTest) -> AppTest:
    """Return a page that is drawn, with a sentence for each card that cannot be used and no letter that steers."""
    assert not page.exception, page.exception[0].value
    told = " ".join(each.value for each in page.warning)
    assert all(frame.plain(f"Model '{slug}'") in told for slug in WRONG), told
    assert not any(letter in text for _, text in everything(page) for letter in "\u202e\x1b")
    return page


def test_those_that_cannot_be_have_a_sentence_and_the_others_are_listed(world: Path) -> None:
    cards, problems = store.list_models(world)
    assert {card.slug for card in cards} == {*store.SHIPPED, *EDGE} and len(problems) == len(WRONG)


def test_recognize(world: Path) -> None:
    page = checked(start())
    page.get("file_uploader")[0].set_value(("a.flac", SPEECH, "audio/flac"))
    checked(page.run())
    drawn = " ".join(element.proto.body for element in page.get("html"))
    assert drawn.count("<section>") >= len(store.SHIPPED)


@pytest.mark.parametrize("tab", ["Held-out figures", "Score on a corpus", "Robustness", "Cross-corpus", "Leakage Lab"])
def test_compare(world: Path, tab: str) -> None:
    page = start("pages/compare.py")
    page.session_state["compare.tab"] = tab
    checked(page.run())


@pytest.mark.parametrize("tab", ["New model", "Runs", "Models"])
def test_train(world: Path, tab: str) -> None:
    page = start("pages/train.py")
    page.session_state["train.tab"] = tab
    checked(page.run())


def test_the_figures_of_each(world: Path) -> None:
    page = start("pages/train.py")
    page.session_state["train.tab"] = "Models"
    for slug in EDGE:
        page.session_state[f"train.model.more.{slug}"] = True
    checked(page.run())


@pytest.mark.parametrize("script", ["pages/guide.py", "pages/batch.py", "pages/live.py", "pages/corpora.py"])
def test_the_other_pages(world: Path, script: str) -> None:
    page = start(script)
    assert not page.exception, page.exception[0].value
    assert not any(letter in text for _, text in everything(page) for letter in "\u202e\x1b")


@pytest.mark.parametrize("slug", EDGE)
def test_the_result_card_and_the_command_line(world: Path, slug: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "<b>&" not in report.html(store.read_card(slug, world))
    assert main.main(["models", "--models-dir", str(world), "show", slug]) == 0
    assert slug in capsys.readouterr().out
