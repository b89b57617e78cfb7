"""`build-models` as a shell meets it: what it refuses; its work: training/test_shipped.py."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--corpus", "ravdess"), "--corpus takes NAME=DIR"),
        (("--corpus", "ravdess=."), "There is no recipe for tree"),
    ],
)
def test_build_models_checks_what_it_is_given(run, arguments, sentence):
    status, _, (line,) = run("build-models", *arguments, "--model", "tree")
    assert status == 2 and sentence in line
