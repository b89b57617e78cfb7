"""Folders: each variable names another place, read when asked, and relative to the project."""

from __future__ import annotations

from pathlib import Path

import pytest

from ser_core import paths

FOLDERS = {
    "SER_MODELS": (paths.models_folder, "models"),
    "SER_CORPORA": (paths.corpora_folder, "corpora"),
    "SER_RUNS": (paths.runs_folder, "runs"),
    "SER_CACHE": (paths.feature_cache, "cache/features"),
    "SER_RESULTS": (paths.results_folder, "cache/evaluations"),
    "SER_CLASS": (paths.class_folder, "class"),
}


def test_the_project_is_the_folder_of_the_app():
    assert (paths.PROJECT / "app.py").is_file() and (paths.PROJECT / "ser_core" / "paths.py").is_file()


@pytest.mark.parametrize("variable", FOLDERS)
def test_a_folder_lies_in_the_project_unless_its_variable_says_otherwise(variable, monkeypatch, tmp_path):
    folder, default = FOLDERS[variable]
    monkeypatch.delenv(variable, raising=False)
    assert folder() == paths.PROJECT / default
    monkeypatch.setenv(variable, str(tmp_path))
    assert folder() == tmp_path
    monkeypatch.setenv(variable, "")
    assert folder() == paths.PROJECT / default, "an empty variable names nothing"


@pytest.mark.parametrize("variable", FOLDERS)
def test_a_relative_place_is_below_the_project_whatever_the_current_folder_is(variable, monkeypatch, tmp_path):
    monkeypatch.setenv(variable, "elsewhere/here")
    monkeypatch.chdir(tmp_path)
    assert FOLDERS[variable][0]() == paths.PROJECT / "elsewhere" / "here"


@pytest.mark.parametrize("variable", FOLDERS)
def test_a_variable_moves_its_own_folder_alone(variable, monkeypatch):
    for name in FOLDERS:
        monkeypatch.delenv(name, raising=False)
    before = {name: folder() for name, (folder, _) in FOLDERS.items()}
    monkeypatch.setenv(variable, "/elsewhere")
    assert {name for name, (folder, _) in FOLDERS.items() if folder() != before[name]} == {variable}
    assert FOLDERS[variable][0]() == Path("/elsewhere")
