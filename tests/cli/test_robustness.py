"""`robustness` as a shell meets it: JSON, tables, and what it refuses."""

from __future__ import annotations

import functools
import json

import pytest


@pytest.fixture
def robustness(measure):
    return functools.partial(measure, "robustness")


def test_a_shell_gets_json_and_tables(robustness, capsys):
    given = ["--model", "knn", "--model", "mlp", "--corpus", "ravdess", "--clips", "4", "--condition", "telephone"]
    assert robustness(*given, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["n_clips"], said["n_speakers"], len(said["rows"])) == (4, 4, 2 + 2 * 3) and said["rows"][0][
        "level"
    ] is None
    assert robustness(*given) == 0
    said = capsys.readouterr().out
    assert "Telephone band, Hz at most" in said and said.count("most lost at") == 2 and "7000: " in said


@pytest.mark.parametrize(
    ("given", "words"),
    [(["--corpus", "tess"], "Say what to measure"), (["--corpus", "tess", "--model", "gone"], "no model 'gone'")],
)
def test_what_cannot_be_had_is_a_line_and_status_two(robustness, capsys, given, words):
    assert robustness(*given) == 2
    assert words in capsys.readouterr().err
