"""The table over protocols and corpora on small synthetic ones: measured in pieces, read back, and what is shipped; with its command."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ser_core.corpora import scan
from ser_core.dataset import protocols
from ser_core.errors import ConfigError
from ser_core.experiments import benchmark
from ser_core.experiments.benchmark import Cell
from ser_core.experiments.recipe import Recipe
from ser_core.recognition import store
from ser_core.training.fit import FitConfig
from ser_core.training.held_out import HeldOut
from tests.support import corpora, models

MLP = Recipe(name="mlp", config=FitConfig(classifier="mlp", hyperparameters={"hidden": 4, "epochs": 1}, n_copies=0))


@pytest.fixture(scope="module", autouse=True)
def alike(base):
    """One recipe under all shipped names: what one has trained, the others find."""
    for slug in store.SHIPPED:
        models.change(base / "models", slug, hyperparameters={"hidden": 4, "epochs": 1}, training={"n_copies": 0})


def cell(model: str, corpus: str = "tess", protocol: str = "speaker", **more: object) -> Cell:
    return Cell(model=model, corpus=corpus, protocol=protocol, **more)


def test_what_cannot_be_had_is_a_cell_that_says_why(tables, desk):
    unclear = {"tess": tables["tess"].assign(sentence="")}
    made, outcome = benchmark.measure(("mlp", "tess", "sentence"), MLP, unclear, desk)
    assert outcome is None and made.figures is None and "sentence of 24 of 24 clips is unknown" in made.problem
    with pytest.raises(ConfigError, match="needs others to train on"):
        benchmark.measure(("mlp", "tess", "cross-corpus"), MLP, {"tess": tables["tess"]}, desk)


def test_rounds_across_corpora_do_not_depend_on_who_was_named_first(tables, desk):
    place = ("mlp", "tess", "cross-corpus")
    first, _ = benchmark.measure(place, MLP, tables, desk)
    again, outcome = benchmark.measure(place, MLP, dict(reversed(tables.items())), desk, train=False)
    assert first == again and outcome.rounds == (1, 1)


def test_cremad_is_measured_by_its_five_folds_and_with_half_of_the_sentences_held_out(tmp_path, desk):
    for actor in range(1001, 1006):
        for code, label in (("NEU", "neutral"), ("ANG", "angry")):
            for take, sentence in enumerate(("IEO", "DFA")):
                name = f"{actor}_{sentence}_{code}_XX.wav"
                corpora.write(tmp_path / "cremad" / name, corpora.voice(actor % 100, label, take))
    clips = {"cremad": scan.scan("cremad", tmp_path / "cremad")}
    cells = [
        benchmark.measure(("mlp", "cremad", protocol), MLP, clips, desk)[0]
        for protocol in ("speaker", protocols.SPEAKER_AND_SENTENCE)
    ]
    assert [(each.done, each.rounds, each.figures.n_clips) for each in cells] == [(5, 5, 20), (10, 10, 20)]
    assert [each.figures.human for each in cells] == [0.416, 0.416]
    assert dict(cells[1].figures.seen) == {"speaker": 0, "sentence": 0, "twin": 0}
    assert "cremad=DIR" in benchmark.command(cells)


def test_quick_models_come_first_and_then_the_strictest_protocols():
    network = replace(MLP, config=replace(MLP.config, classifier="cnn", hyperparameters={}))
    made = benchmark.plan({"cnn": network, "mlp": MLP}, ["tess", "ravdess"], ["random", "speaker"])
    assert made[:3] == [("mlp", "ravdess", "speaker"), ("mlp", "tess", "speaker"), ("mlp", "ravdess", "random")]
    assert made[4] == ("cnn", "ravdess", "speaker") and len(made) == 8
    assert set(benchmark.ORDER) == set(protocols.PROTOCOLS)


def test_a_table_is_in_order_and_keeps_the_fuller_of_two_alike():
    half, whole = cell("knn", recipe="a", done=1, rounds=2), cell("knn", recipe="a", done=2, rounds=2)
    assert benchmark.merged([whole], [half]) == (whole,) == benchmark.merged([half], [whole])
    other = replace(half, recipe="b")
    assert benchmark.merged([whole], [other]) == (other,)
    mixed = [
        cell("mean"),
        cell("mine"),
        cell("cnn"),
        cell("knn", corpus="ravdess", protocol="cross-corpus"),
        cell("knn", corpus="ravdess"),
    ]
    assert [each.place for each in benchmark.merged((), mixed)] == [
        ("knn", "ravdess", "speaker"),
        ("knn", "ravdess", "cross-corpus"),
        ("cnn", "tess", "speaker"),
        ("mine", "tess", "speaker"),
        ("mean", "tess", "speaker"),
    ]


def test_all_together_is_measured_like_the_others_and_across_corpora_once_there_are_two(tables, desk):
    recipes = {slug: replace(MLP, name=slug) for slug in store.SHIPPED}
    kept: list[HeldOut] = []
    asked = ("speaker", "cross-corpus", "leaky")
    cells = list(benchmark.work(recipes, tables, list(tables), asked, desk, keep=kept.append))
    whole = {each.place[1:]: each for each in cells if each.model == "together"}
    assert set(whole) == {(corpus, protocol) for corpus in tables for protocol in asked}
    one = {each.place[1:]: each for each in cells if each.model == "knn"}
    assert all(each.figures.n_clips == one[place].figures.n_clips for place, each in whole.items())
    assert {each.recipe for each in whole.values()} == {
        benchmark.together_key({each.model: each.recipe for each in cells})
    }
    assert len(kept) == len(store.SHIPPED) * 4 and "leaky" not in {each.protocol for each in kept}
    assert benchmark.models_of(cells) == [*store.SHIPPED, "mean", "together"]


def test_damaged_results_are_said(tmp_path):
    (tmp_path / "table.json").write_text('{"cells": [3]}')
    with pytest.raises(ConfigError, match=r"The results in 'table\.json' cannot be read"):
        benchmark.read(tmp_path / "table.json")


def test_the_shipped_results_belong_to_the_shipped_models():
    current = benchmark.keys(map(store.read_card, store.SHIPPED))
    cells = benchmark.read()
    assert not any(benchmark.is_stale(each, current) for each in cells)
    for each in cells:
        assert bool(each.problem) != bool(each.figures) and each.model in benchmark.MODELS
        if each.figures:
            assert (
                each.figures.protocol == each.protocol
                and each.figures.corpus == each.corpus
                and 0 < each.done <= each.rounds
            )
            seen = each.figures.seen
            assert (seen["speaker"] == 0) == ("speaker" in each.protocol or each.protocol == "cross-corpus"), (
                "speakers are apart where they are held out"
            )
            assert (seen["sentence"] == 0) >= ("sentence" in each.protocol) and (seen["twin"] > 0.5) == (
                each.protocol == "leaky"
            )
            assert seen["twin"] == 0 or each.protocol in ("leaky", "random"), "no recording is on both sides"
