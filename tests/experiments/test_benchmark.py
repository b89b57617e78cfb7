"""The table over protocols and corpora on small synthetic ones: measured in pieces, read back, and what is shipped; with its command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from ser_core.corpora import scan
from ser_core.dataset import protocols
from ser_core.errors import ConfigError
from ser_core.experiments import benchmark
from ser_core.experiments.benchmark import Cell
from ser_core.experiments.recipe import Recipe
from ser_core.experiments.workspace import Workspace
from ser_core.recognition import store
from ser_core.training.fit import FitConfig
from ser_core.training.held_out import HeldOut
from tests.support import corpora
from tests.support.models import build

MLP = Recipe(name="mlp", config=FitConfig(classifier="mlp", hyperparameters={"hidden": 4, "epochs": 1}, n_copies=0))


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    corpora.build(folder / "corpora")
    build(folder / "models")
    for slug in store.SHIPPED:  # one recipe under four names: what one has trained, the others find
        change(folder / "models", slug, hyperparameters={"hidden": 4, "epochs": 1}, training={"n_copies": 0})
    return folder


@pytest.fixture
def tables(base) -> dict[str, pd.DataFrame]:
    return {name: scan.scan(name, base / "corpora" / name) for name in ("ravdess", "tess")}


@pytest.fixture
def desk(base, tmp_path) -> Workspace:
    return Workspace(cache=base / "cache", results=tmp_path / "results", models=base / "models")


def change(models: Path, slug: str, **values: object) -> None:
    path = models / slug / store.CARD
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def cell(model: str, corpus: str = "tess", protocol: str = "speaker", **more: object) -> Cell:
    return Cell(model=model, corpus=corpus, protocol=protocol, **more)


def test_what_cannot_be_had_is_a_cell_that_says_why(tables, desk):
    unclear = {"savee": tables["tess"].assign(corpus="savee")}
    made, outcome = benchmark.measure(("mlp", "savee", "sentence"), MLP, unclear, desk)
    assert outcome is None and made.figures is None and "its publication does not tell" in made.problem
    with pytest.raises(ConfigError, match="needs others to train on"):
        benchmark.measure(("mlp", "tess", "cross-corpus"), MLP, {"tess": tables["tess"]}, desk)


def test_rounds_across_corpora_do_not_depend_on_who_was_named_first(tables, desk):
    place = ("mlp", "tess", "cross-corpus")
    first, _ = benchmark.measure(place, MLP, tables, desk)
    again, outcome = benchmark.measure(place, MLP, dict(reversed(tables.items())), desk, train=False)
    assert first == again and outcome.rounds == (1, 1)


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
            assert (seen["speaker"] == 0) == (each.protocol in ("speaker", "cross-corpus")), (
                "speakers are apart where they are held out"
            )
            assert (seen["sentence"] == 0) >= (each.protocol == "sentence") and (seen["twin"] > 0.5) == (
                each.protocol == "leaky"
            )
            assert seen["twin"] == 0 or each.protocol in ("leaky", "random"), "no recording is on both sides"
