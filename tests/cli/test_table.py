"""`table` as a shell meets it: measured in parts, read back, and the results that come with the project."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ser_core.cli import main
from ser_core.experiments import benchmark
from ser_core.recognition import store
from ser_core.system import priority
from ser_core.training import fit, held_out
from tests.support import corpora
from tests.support.models import build

PIECE = ("--corpus", "tess", "--train-corpus", "ravdess", "--protocol", "speaker", "--protocol", "cross-corpus")


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    corpora.build(folder / "corpora")
    build(folder / "models")
    for slug in store.SHIPPED:  # one recipe under four names: what one has trained, the others find
        change(folder / "models", slug, hyperparameters={"hidden": 4, "epochs": 1}, training={"n_copies": 0})
    return folder


def change(models: Path, slug: str, **values: object) -> None:
    path = models / slug / store.CARD
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.fixture
def shell(base, tmp_path, monkeypatch):
    monkeypatch.setattr(priority, "settle", lambda: None)
    monkeypatch.setenv("SER_CORPORA", str(base / "corpora"))
    places = [
        "--results",
        str(tmp_path / "results"),
        "--cache",
        str(base / "cache"),
        "--models-dir",
        str(base / "models"),
    ]
    return lambda *given: main.main(["table", *given, *places])


def test_a_table_is_measured_in_pieces_and_the_mean_follows_the_fourth(shell, tmp_path, monkeypatch, capsys):
    file = tmp_path / "all.json"
    first, *others = store.SHIPPED
    answers = tmp_path / "held_out.npz"
    assert shell(*PIECE, "--model", first, "--out", str(file), "--answers", str(answers)) == 0
    assert [each.place for each in benchmark.read(file)] == [
        (first, "tess", "speaker"),
        (first, "tess", "cross-corpus"),
    ]
    monkeypatch.setattr(fit, "train_fold", lambda *_, **__: pytest.fail("trained again"))
    models = [word for name in others for word in ("--model", name)]
    assert shell(*PIECE, *models, "--out", str(file), "--answers", str(answers), "--json") == 0
    cells = benchmark.read(file)
    names = [each.model for each in cells]
    assert names == [*(name for name in (*store.SHIPPED, "mean") for _ in range(2)), "together"], (
        "across needs another tested corpus"
    )
    assert {(each.done, each.rounds, each.trained_on) for each in cells} == {(2, 2, ("tess",)), (1, 1, ("ravdess",))}
    assert cells[0].figures.uar == cells[-3].figures.uar == cells[-1].figures.uar, "four alike say the same as one"
    parts = held_out.read(answers)
    assert [each.place for each in parts] == [
        ("cross-corpus", held_out.OTHERS, "tess"),
        ("speaker", held_out.ALONE, "tess"),
    ]
    assert all(list(each.probabilities) == list(store.SHIPPED) and len(each.clips) == 24 for each in parts)
    assert set(parts[1].clips[held_out.FOLD]) == {0, 1} and parts[1].keys["knn"] == cells[0].recipe
    capsys.readouterr()
    assert shell("--read", str(file), "--json", "--model", "mean") == 0
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


def test_stored_rounds_alone_are_a_part_that_replaces_no_fuller_cell(shell, tmp_path, capsys):
    file = tmp_path / "all.json"
    given = ("--corpus", "tess", "--model", "knn", "--protocol", "leaky")
    assert shell(*given, "--stored") == 0
    assert "None of this is measured" in capsys.readouterr().out
    assert shell(*given, "--out", str(file)) == 0
    whole = benchmark.read(file)
    capsys.readouterr()
    for path in list((tmp_path / "results").glob("mlp-leaky-*.json"))[:2]:
        path.unlink()
    assert shell(*given, "--stored", "--metric", "accuracy") == 0
    assert "3 of 5 rounds" in capsys.readouterr().out
    assert shell(*given, "--stored", "--out", str(file)) == 0
    assert benchmark.read(file) == whole and whole[0].whole


def test_cells_of_a_changed_recipe_are_marked_and_not_kept(shell, base, tmp_path, capsys):
    file = tmp_path / "all.json"
    given = ("--corpus", "tess", "--protocol", "speaker", "--out", str(file))
    assert shell(*given, "--model", "knn") == 0
    change(base / "models", "knn", training={"n_copies": 0, "seed": 7})
    try:
        assert shell("--read", str(file)) == 0
        assert "of an earlier recipe: the model has been retrained" in capsys.readouterr().out
        assert shell(*given, "--model", "mlp") == 0
        assert "knn, tess, speaker: of an earlier recipe, removed from all.json" in capsys.readouterr().err
    finally:
        change(base / "models", "knn", training={"n_copies": 0})
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
def test_what_cannot_be_had_is_a_line_and_status_two(shell, capsys, given, words):
    assert shell(*given) == 2
    said = capsys.readouterr()
    assert words in said.err and not said.out


def test_the_shipped_results_print_without_a_corpus(capsys):
    assert main.main(["table"]) == 0
    out = capsys.readouterr().out
    assert "savee, sentence: Which numbered sentences of SAVEE" in out and "earlier recipe" not in out
    assert out.count("not available") == len(benchmark.models_of(benchmark.read())), (
        "for SAVEE's sentences, whoever was measured"
    )
    assert [line.split()[0] for line in out.splitlines() if " knn " in line] == ["ravdess", "tess", "savee", "emodb"]


def test_the_stored_commands_name_options_that_there_are():
    for file in Path(benchmark.RESULTS).parent.glob("*.json"):
        command = json.loads(file.read_text(encoding="utf-8"))["command"].split()
        assert command[:3] == ["python", "-m", "ser_core"]
        assert main.parser().parse_args(command[3:]).out.name == file.name
    assert benchmark.command(benchmark.read()) == json.loads(benchmark.RESULTS.read_text(encoding="utf-8"))["command"]
