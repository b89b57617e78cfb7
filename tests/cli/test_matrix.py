"""`matrix` as a shell meets it: printed, written, read back, and what it refuses."""

from __future__ import annotations

import functools
import json

import pytest

from ser_core.experiments import cross_corpus


@pytest.fixture
def matrix(measure):
    return functools.partial(measure, "matrix")


def test_a_shell_prints_writes_and_reads_back(matrix, tmp_path, capsys):
    given = ["--classifier", "mlp", "--set", "hidden=8", "--set", "epochs=2", "--corpus", "ravdess", "--corpus", "tess"]
    assert matrix(*given, "--out", str(tmp_path / "all.json"), "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert [each["model"] for each in said] == ["mlp"] and len(said[0]["cells"]) == 4
    ready = cross_corpus.read_results(tmp_path / "all.json")
    settings = "--set hidden=8 --set epochs=2 --classifier mlp"
    assert (
        ready.command == f"python -m ser_core matrix {settings} --corpus ravdess=DIR --corpus tess=DIR --out all.json"
    )
    assert [cross_corpus.to_dict(cell) for cell in ready.models["mlp"]] == said[0]["cells"] and ready.corpora == {
        "ravdess": 64,
        "tess": 24,
    }
    assert matrix(*given) == 0
    assert "on 3 labels (neutral, happy, sad), chance 33.3%" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--corpus", "tess"], "needs two corpora or more"),
        (["--corpus", "tess", "--corpus", "ravdess", "--model", "gone"], "no model 'gone'"),
        (["--corpus", "tess", "--corpus", "ravdess", "--out", "/nowhere/x.json"], "its folder does not exist"),
    ],
)
def test_what_cannot_be_had_is_a_line_and_status_two(matrix, capsys, given, words):
    assert matrix(*given) == 2
    assert words in capsys.readouterr().err
