"""The table over protocols and corpora on small synthetic ones: measured in pieces, read back, and what is shipped; with its command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from ser_core import assessment, background, cli, corpora, protocol_table, protocols, store, training
from ser_core.assessment import Desk, Recipe
from ser_core.errors import ConfigError
from ser_core.protocol_table import Cell
from ser_core.training import TrainingConfig
from tests import tiny_corpora, tiny_models

MLP = Recipe(
    name="mlp", config=TrainingConfig(classifier="mlp", hyperparameters={"hidden": 4, "epochs": 1}, n_copies=0)
)


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    tiny_corpora.build(folder / "corpora")
    tiny_models.build(folder / "models")
    for slug in store.SHIPPED:  # one recipe under four names: what one has trained, the others find
        change(folder / "models", slug, hyperparameters={"hidden": 4, "epochs": 1}, training={"n_copies": 0})
    return folder


@pytest.fixture
def shell(base, tmp_path, monkeypatch):
    monkeypatch.setattr(background, "settle", lambda: None)
    monkeypatch.setenv("SER_CORPORA", str(base / "corpora"))
    places = [
        "--results",
        str(tmp_path / "results"),
        "--cache",
        str(base / "cache"),
        "--models-dir",
        str(base / "models"),
    ]
    return lambda *given: cli.main(["table", *given, *places])


@pytest.fixture
def tables(base) -> dict[str, pd.DataFrame]:
    return {name: corpora.scan(name, base / "corpora" / name) for name in ("ravdess", "tess")}


@pytest.fixture
def desk(base, tmp_path) -> Desk:
    return Desk(cache=base / "cache", results=tmp_path / "results", models=base / "models")


def change(models: Path, slug: str, **values: object) -> None:
    path = models / slug / store.CARD
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def cell(model: str, corpus: str = "tess", protocol: str = "speaker", **more: object) -> Cell:
    return Cell(model=model, corpus=corpus, protocol=protocol, **more)


PIECE = ("--corpus", "tess", "--train-corpus", "ravdess", "--protocol", "speaker", "--protocol", "cross-corpus")


def test_a_table_is_measured_in_pieces_and_the_mean_follows_the_fourth(shell, tmp_path, monkeypatch, capsys):
    file = tmp_path / "all.json"
    first, *others = store.SHIPPED
    assert shell(*PIECE, "--model", first, "--write", str(file)) == 0
    assert [each.place for each in protocol_table.read(file)] == [
        (first, "tess", "speaker"),
        (first, "tess", "cross-corpus"),
    ]
    monkeypatch.setattr(training, "train_fold", lambda *_, **__: pytest.fail("trained again"))
    models = [word for name in others for word in ("--model", name)]
    assert shell(*PIECE, *models, "--write", str(file), "--json") == 0
    cells = protocol_table.read(file)
    assert [each.model for each in cells] == [name for name in (*store.SHIPPED, "mean") for _ in range(2)]
    assert {(each.done, each.rounds, each.trained_on) for each in cells} == {(2, 2, ("tess",)), (1, 1, ("ravdess",))}
    assert cells[0].figures.uar == cells[-2].figures.uar, "the mean of four alike is that one"
    capsys.readouterr()
    assert shell("--read", str(file), "--json", "--model", "mean") == 0
    said = json.loads(capsys.readouterr().out)
    assert "never across" in said["read"] and said["command"].startswith(
        "python -m ser_core table --corpus tess=DIR --write"
    )
    one, across = said["cells"]
    assert (one["held_out"], one["n_clips"], one["n_labels"], one["seen"]["speaker"], one["stale"]) == (
        "the speaker",
        24,
        3,
        0,
        False,
    )
    assert across["held_out"] == "the whole corpus" and {
        "ece",
        "macro_f1",
        "n_test_speakers",
        "chance",
        "interval",
    } <= set(across)


def test_stored_rounds_alone_are_a_part_that_replaces_no_fuller_cell(shell, tmp_path, capsys):
    file = tmp_path / "all.json"
    given = ("--corpus", "tess", "--model", "knn", "--protocol", "leaky")
    assert shell(*given, "--stored") == 0
    assert "Nothing of this is measured" in capsys.readouterr().out
    assert shell(*given, "--write", str(file)) == 0
    whole = protocol_table.read(file)
    capsys.readouterr()
    for path in list((tmp_path / "results").glob("mlp-leaky-*.json"))[:2]:
        path.unlink()
    assert shell(*given, "--stored", "--metric", "accuracy") == 0
    assert "3 of 5 rounds" in capsys.readouterr().out
    assert shell(*given, "--stored", "--write", str(file)) == 0
    assert protocol_table.read(file) == whole and whole[0].whole


def test_cells_of_a_changed_recipe_are_marked_and_not_kept(shell, base, tmp_path, capsys):
    file = tmp_path / "all.json"
    given = ("--corpus", "tess", "--protocol", "speaker", "--write", str(file))
    assert shell(*given, "--model", "knn") == 0
    change(base / "models", "knn", training={"n_copies": 0, "seed": 7})
    try:
        assert shell("--read", str(file)) == 0
        assert "of an earlier recipe: the model has been made anew" in capsys.readouterr().out
        assert shell(*given, "--model", "mlp") == 0
        assert "knn, tess, speaker: of an earlier recipe, taken out of all.json" in capsys.readouterr().err
    finally:
        change(base / "models", "knn", training={"n_copies": 0})
    assert [each.model for each in protocol_table.read(file)] == ["mlp"]


def test_what_cannot_be_had_is_a_cell_that_says_why(tables, desk):
    unclear = {"savee": tables["tess"].assign(corpus="savee")}
    made, outcome = protocol_table.measure(("mlp", "savee", "sentence"), MLP, unclear, desk)
    assert outcome is None and made.figures is None and "its publication does not tell" in made.problem
    with pytest.raises(ConfigError, match="needs others to train on"):
        protocol_table.measure(("mlp", "tess", "cross-corpus"), MLP, {"tess": tables["tess"]}, desk)


def test_rounds_across_corpora_do_not_depend_on_who_was_named_first(tables, desk):
    place = ("mlp", "tess", "cross-corpus")
    first, _ = protocol_table.measure(place, MLP, tables, desk)
    again, outcome = protocol_table.measure(place, MLP, dict(reversed(tables.items())), desk, train=False)
    assert first == again and outcome.rounds == (1, 1)


def test_quick_models_come_first_and_then_the_strictest_protocols():
    network = replace(MLP, config=replace(MLP.config, classifier="cnn", hyperparameters={}))
    made = protocol_table.plan({"cnn": network, "mlp": MLP}, ["tess", "ravdess"], ["random", "speaker"])
    assert made[:3] == [("mlp", "ravdess", "speaker"), ("mlp", "tess", "speaker"), ("mlp", "ravdess", "random")]
    assert made[4] == ("cnn", "ravdess", "speaker") and len(made) == 8
    assert set(protocol_table.ORDER) == set(protocols.PROTOCOLS)


def test_other_settings_are_another_recipe_and_another_name_is_not():
    key = assessment.recipe_key(MLP)
    assert assessment.recipe_key(replace(MLP, name="other")) == key
    changed = [replace(MLP, effects={"gain": 1.0}), replace(MLP, config=replace(MLP.config, seed=1))]
    assert len({key, *map(assessment.recipe_key, changed)}) == 3


def test_a_table_is_in_order_and_keeps_the_fuller_of_two_alike():
    half, whole = cell("knn", recipe="a", done=1, rounds=2), cell("knn", recipe="a", done=2, rounds=2)
    assert protocol_table.merged([whole], [half]) == (whole,) == protocol_table.merged([half], [whole])
    other = replace(half, recipe="b")
    assert protocol_table.merged([whole], [other]) == (other,)
    mixed = [
        cell("mean"),
        cell("mine"),
        cell("cnn"),
        cell("knn", corpus="ravdess", protocol="cross-corpus"),
        cell("knn", corpus="ravdess"),
    ]
    assert [each.place for each in protocol_table.merged((), mixed)] == [
        ("knn", "ravdess", "speaker"),
        ("knn", "ravdess", "cross-corpus"),
        ("cnn", "tess", "speaker"),
        ("mine", "tess", "speaker"),
        ("mean", "tess", "speaker"),
    ]


def test_damaged_results_are_said(tmp_path):
    (tmp_path / "table.json").write_text('{"cells": [3]}')
    with pytest.raises(ConfigError, match=r"The results in 'table\.json' cannot be read"):
        protocol_table.read(tmp_path / "table.json")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--write", "x.json"], "Say what to measure"),
        (["--corpus", "tess", "--protocol", "hope"], "no protocol 'hope'"),
        (["--corpus", "tess", "--model", "gone"], "no model 'gone'"),
        (["--corpus", "tess", "--read", "x.json"], "--read prints results"),
        (["--corpus", "tess", "--write", "/nowhere/x.json"], "its folder is not there"),
        (["--read", "gone.json"], "The results in 'gone.json' cannot be read"),
    ],
)
def test_what_cannot_be_had_is_a_line_and_status_two(shell, capsys, given, words):
    assert shell(*given) == 2
    said = capsys.readouterr()
    assert words in said.err and not said.out


def test_the_shipped_results_print_without_a_corpus_and_belong_to_the_shipped_models(capsys):
    current = protocol_table.keys(map(store.read_card, store.SHIPPED))
    cells = protocol_table.read()
    assert not any(protocol_table.is_stale(each, current) for each in cells)
    for each in cells:
        assert bool(each.problem) != bool(each.figures) and each.model in protocol_table.MODELS
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
    assert cli.main(["table"]) == 0
    said = capsys.readouterr().out
    assert (
        "never across" in said
        and "savee, sentence: Which numbered sentences of SAVEE" in said
        and "earlier recipe" not in said
    )
    assert said.count("not to be had") == len(protocol_table.MODELS), "for SAVEE's sentences, whoever was measured"
    assert [line.split()[0] for line in said.splitlines() if " knn " in line] == ["ravdess", "tess", "savee", "emodb"]
