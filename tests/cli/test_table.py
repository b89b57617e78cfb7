"""`table` as a shell meets it: measured in parts, read back, and the results that come with the project."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import pytest

from ser_core.cli import main
from ser_core.experiments import benchmark
from ser_core.recognition import store
from ser_core.training import fit, held_out
from tests.support import models

PIECE = ("--corpus", "tess", "--train-corpus", "ravdess", "--protocol", "speaker", "--protocol", "cross-corpus")


@pytest.fixture(scope="module", autouse=True)
def alike(base):
    """One recipe under all shipped names: what one has trained, the others find."""
    for slug in store.SHIPPED:
        models.change(base / "models", slug, hyperparameters={"hidden": 4, "epochs": 1}, training={"n_copies": 0})


@pytest.fixture
def table(measure):
    return functools.partial(measure, "table")


def test_a_table_is_measured_in_pieces_and_the_mean_follows_the_fourth(table, tmp_path, monkeypatch, capsys):
    file = tmp_path / "all.json"
    first, *others = store.SHIPPED
    answers = tmp_path / "held_out.npz"
    assert table(*PIECE, "--model", first, "--out", str(file), "--answers", str(answers)) == 0
    assert [each.place for each in benchmark.read(file)] == [
        (first, "tess", "speaker"),
        (first, "tess", "cross-corpus"),
    ]
    monkeypatch.setattr(fit, "train_fold", lambda *_, **__: pytest.fail("trained again"))
    models = [word for name in others for word in ("--model", name)]
    assert table(*PIECE, *models, "--out", str(file), "--answers", str(answers), "--json") == 0
    cells = benchmark.read(file)
    names = [each.model for each in cells]
    assert names == [*(name for name in (*store.SHIPPED, "mean") for _ in range(2)), "together"], (
        "across needs another tested corpus"
    )
    assert {(each.done, each.rounds, each.trained_on) for each in cells} == {(2, 2, ("tess",)), (1, 1, ("ravdess",))}
    assert cells[0].figures.uar == cells[-3].figures.uar == cells[-1].figures.uar, "models alike say the same as one"
    parts = held_out.read(answers)
    assert [each.place for each in parts] == [
        ("cross-corpus", held_out.OTHERS, "tess", ""),
        ("speaker", held_out.ALONE, "tess", ""),
    ]
    assert all(list(each.probabilities) == list(store.SHIPPED) and len(each.clips) == 24 for each in parts)
    assert set(parts[1].clips[held_out.FOLD]) == {0, 1} and parts[1].keys["knn"] == cells[0].recipe
    capsys.readouterr()
    assert table("--read", str(file), "--json", "--model", "mean") == 0
    said = json.loads(capsys.readouterr().out)
    assert "never across" in said["read"] and said["command"].startswith(
        "python -m ser_core table --corpus tess=DIR --out"
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


def test_stored_rounds_alone_are_a_part_that_replaces_no_fuller_cell(table, tmp_path, capsys):
    file = tmp_path / "all.json"
    given = ("--corpus", "tess", "--model", "knn", "--protocol", "leaky")
    assert table(*given, "--stored") == 0
    assert "None of this is measured" in capsys.readouterr().out
    assert table(*given, "--out", str(file)) == 0
    whole = benchmark.read(file)
    capsys.readouterr()
    for path in list((tmp_path / "results").glob("mlp-leaky-*.json"))[:2]:
        path.unlink()
    assert table(*given, "--stored", "--metric", "accuracy") == 0
    assert "3 of 5 rounds" in capsys.readouterr().out
    assert table(*given, "--stored", "--out", str(file)) == 0
    assert benchmark.read(file) == whole and whole[0].whole


def test_cells_of_a_changed_recipe_are_marked_and_not_kept(table, base, tmp_path, capsys):
    file = tmp_path / "all.json"
    given = ("--corpus", "tess", "--protocol", "speaker", "--out", str(file))
    assert table(*given, "--model", "knn") == 0
    models.change(base / "models", "knn", training={"n_copies": 0, "seed": 7})
    try:
        assert table("--read", str(file)) == 0
        assert "of an earlier recipe: the model has been retrained" in capsys.readouterr().out
        assert table(*given, "--model", "mlp") == 0
        assert "knn, tess, speaker: of an earlier recipe, removed from all.json" in capsys.readouterr().err
    finally:
        models.change(base / "models", "knn", training={"n_copies": 0})
    assert [each.model for each in benchmark.read(file)] == ["mlp"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--out", "x.json"], "Say what to measure"),
        (["--corpus", "tess", "--protocol", "hope"], "no protocol 'hope'"),
        (["--corpus", "tess", "--model", "gone"], "no model 'gone'"),
        (["--corpus", "tess", "--read", "x.json"], "--read prints stored results"),
        (["--corpus", "tess", "--out", "/nowhere/x.json"], "its folder does not exist"),
        (["--read", "gone.json"], "The results in 'gone.json' cannot be read"),
    ],
)
def test_what_cannot_be_had_is_a_line_and_status_two(table, capsys, given, words):
    assert table(*given) == 2
    said = capsys.readouterr()
    assert words in said.err and not said.out


def test_the_shipped_results_print_without_a_corpus(capsys):
    assert main.main(["table"]) == 0
    out = capsys.readouterr().out
    assert "The sentences of SAVEE give the emotion away" in out and "earlier recipe" not in out
    assert "held out: the speaker and the sentence" in out
    assert [line.split()[0] for line in out.splitlines() if " knn " in line][:4] == [
        "ravdess",
        "tess",
        "savee",
        "emodb",
    ]


def test_a_figure_that_telling_sentences_flatter_says_so(capsys):
    assert main.main(["table", "--json", "--protocol", "speaker"]) == 0
    for cell in json.loads(capsys.readouterr().out)["cells"]:
        assert ("give the emotion away" in cell["caveat"]) == (cell["corpus"] == "savee")


def test_the_stored_commands_name_options_that_there_are():
    for file in Path(benchmark.RESULTS).parent.glob("*.json"):
        command = json.loads(file.read_text(encoding="utf-8"))["command"].split()
        assert command[:3] == ["python", "-m", "ser_core"]
        assert main.parser().parse_args(command[3:]).out.name == file.name
    assert benchmark.command(benchmark.read()) == json.loads(benchmark.RESULTS.read_text(encoding="utf-8"))["command"]
