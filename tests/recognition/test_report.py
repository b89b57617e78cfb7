"""The page of a model: its figures are the card's, nothing of a stranger's card does anything, and it stands alone."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from ser_core.cli import main
from ser_core.corpora import catalogue
from ser_core.metrics import evaluation
from ser_core.recognition import report, store, svg
from ser_core.recognition.card import ModelCard
from tests.support.models import build

NASTY = "<script>alert(1)</script>\"'&<img src=x onerror=alert(2)>"


class Reader(HTMLParser):
    """Collects tags, what they point to, and the words."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("models"))


@pytest.fixture
def card(models: Path) -> ModelCard:
    rng = np.random.default_rng(0)
    y = np.arange(320) % 8
    scores = rng.normal(size=(320, 8)) + 1.5 * np.eye(8)[y]
    figures = evaluation.evaluate(
        y,
        np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True),
        labels=catalogue.LABELS,
        speakers=y % 5,
        protocol="speaker",
        corpus="ravdess",
        rng=rng,
        n_bootstrap=50,
        threshold=0.3,
    )
    used = {
        "corpus": "ravdess",
        "title": "RAVDESS",
        "n_clips": 1440,
        "n_speakers": 24,
        "licence": "CC BY-NC-SA",
        "citation": "?",
    }
    return replace(
        store.read_card("mlp", models),
        evaluation=figures,
        per_corpus={"ravdess": figures, "cremad": replace(figures, corpus="cremad")},
        threshold=0.31,
        corpora=(used,),
        split={"train": {"speakers": ["a", "b"]}},
        description="For tests.",
        training={"seed": 7},
    )


def test_the_page_says_what_the_card_says(card):
    reader = read(report.html(card))
    said = " ".join(" ".join(reader.words).split())
    figures = card.evaluation
    for value in (
        figures.uar,
        figures.accuracy,
        figures.chance,
        *figures.interval["uar"],
        *figures.interval["accuracy"],
        figures.macro_f1,
    ):
        assert f"{100 * value:.1f}" in said
    for words in (
        "For tests.",
        "Protocol “speaker”",
        "Below a probability of",
        "31 %",
        card.limits,
        card.licence,
        "1,440",
        "CC BY-NC-SA",
        "Training: 2 speakers",
        "--model mlp --json",
        card.files["model.skops"],
        "seed 7",
    ):
        assert words.lower() in said.lower(), words
    assert reader.tags.count("svg") == 4 and [value for name, value in reader.attributes if name == "id"] == [
        "mlp",
        "scores",
        "confusion",
        "reliability",
        "risk",
    ]
    for label, row in figures.per_label.items():
        assert f"{label} {100 * row['recall']:.0f} {100 * row['precision']:.0f}" in said
    assert "people who only heard the clips" in said and 'x="' in svg.bars(
        [svg.Bar("a", 0.5, 0.4, 0.6, {"people": 0.409})], label=""
    )


def test_corpora_that_were_left_out_and_worse_conditions_are_told(card):
    hard = replace(card.evaluation, under={"babble 10": 0.25, "telephone 3400": 0.5})
    unheard = replace(card.evaluation, protocol="cross-corpus", corpus="tess")
    said = " ".join(
        " ".join(read(report.html(replace(card, evaluation=hard, unheard={"tess": unheard}))).words).split()
    )
    assert "TESS, unseen corpus cross-corpus" in said and "retrained on the other corpora alone" in said
    assert "Babble (10 dB signal-to-noise ratio) 25 %, Telephone band (3400 Hz at most) 50 %" in said
    assert "Under worse conditions" not in " ".join(read(report.html(card)).words)


def test_a_figure_that_telling_sentences_flatter_says_so(card):
    assert "give the emotion away" not in report.html(card)
    savee = replace(card.evaluation, corpus="savee")
    said = report.html(replace(card, per_corpus=dict(card.per_corpus) | {"savee": savee}))
    assert said.count("The sentences of SAVEE give the emotion away") == 1


def test_the_page_needs_nothing_from_elsewhere(card):
    page = report.html(card)
    reader = read(page)
    assert not {"link", "img", "iframe", "object"} & set(reader.tags) and reader.tags.count("script") == 1
    assert not [
        value for name, value in reader.attributes if name in ("src", "href", "action") or name.startswith("on")
    ]
    assert set(re.findall(r"https?://[^\"' ]+", page)) <= {"http://www.w3.org/2000/svg"} and "@page { size: A4" in page


def test_a_strangers_card_does_nothing(card):
    figures = replace(
        card.evaluation,
        corpus=NASTY,
        protocol=NASTY,
        labels=(NASTY, *card.labels[1:]),
        under={NASTY: 0.5},
        per_label={NASTY: card.evaluation.per_label["neutral"]},
    )
    foreign = replace(
        card,
        slug=NASTY,
        title=NASTY,
        created=NASTY,
        classifier=NASTY,
        hyperparameters={NASTY: [NASTY]},
        labels=(NASTY,),
        training={"balance": NASTY, "start_from": {NASTY: 1}},
        protocol=NASTY,
        licence=NASTY,
        limits=NASTY,
        description=NASTY,
        versions={NASTY: NASTY},
        files={NASTY: NASTY},
        evaluation=figures,
        per_corpus={NASTY: figures},
        unheard={NASTY: figures},
        split={"train": {"speakers": NASTY}},
        corpora=(
            {"title": NASTY, "n_clips": NASTY, "n_speakers": None, "licence": [NASTY], "citation": {NASTY: 1}},
            "no dict",
        ),
    )
    reader = read(report.html(foreign))
    assert "img" not in reader.tags and reader.tags.count("script") == 1
    assert not [name for name, _ in reader.attributes if name.startswith("on")]
    assert " ".join(reader.words).count("alert(1)") > 15


@pytest.mark.parametrize(
    "change",
    [
        {"evaluation": None, "per_corpus": {}},
        {"threshold": None},
        {"corpora": (), "split": {}, "training": {}, "description": ""},
    ],
)
def test_what_a_card_lacks_is_said_or_left_out(card, change):
    said = " ".join(read(report.html(replace(card, **change))).words)
    assert ("nobody knows how often it is right" in said) == ("evaluation" in change)
    assert ("no abstention threshold" in said) == ("threshold" in change)
    assert ("Its card does not say." in said) == ("corpora" in change)


def test_figures_without_curves_have_two_drawings(card):
    old = replace(card.evaluation, curves=None, sure=None)
    reader = read(report.html(replace(card, evaluation=old, per_corpus={"ravdess": old})))
    assert reader.tags.count("svg") == 2


def test_the_command_writes_the_page(card, models, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SER_MODELS", str(models))
    monkeypatch.chdir(tmp_path)
    assert main.main(["card", "knn"]) == 0 and capsys.readouterr().out == "knn-card.html\n"
    assert (tmp_path / "knn-card.html").read_text(encoding="utf-8") == report.html(store.read_card("knn", models))
    assert main.main(["card", "knn", "--out", str(tmp_path / "nowhere" / "a.html")]) == 2
    assert "Choose another file with --out" in capsys.readouterr().err
    assert main.main(["card", "unknown"]) == 2 and "no model 'unknown'" in capsys.readouterr().err


def test_every_shipped_card_has_a_page():
    for slug in store.SHIPPED:
        card = store.read_card(slug, Path(__file__).resolve().parents[2] / "models")
        page = report.html(card)
        read(page)
        assert f"{100 * card.evaluation.uar:.1f} %" in page and json.dumps(page)
