"""Where a measurement keeps things: results as a whole, and a line for every reading of a test part."""

from __future__ import annotations

import json
from datetime import datetime

from ser_core import paths
from ser_core.dataset import cache
from ser_core.experiments import workspace
from ser_core.experiments.workspace import Workspace


def test_models_are_looked_for_where_the_environment_says_when_it_is_made(monkeypatch, tmp_path):
    monkeypatch.setenv("SER_MODELS", str(tmp_path))
    assert Workspace().models == tmp_path == paths.models_folder()
    assert not Workspace().should_stop() and Workspace().cache is None


def test_a_result_is_kept_as_json_in_a_folder_that_is_made_for_it(tmp_path):
    desk = Workspace(results=tmp_path / "new")
    for values in ({"uar": 0.5}, {"uar": 0.6}):
        workspace.keep(desk, "result", values)
        assert workspace.recall(desk, "result", dict) == values
    assert [path.name for path in desk.results.iterdir()] == ["result.json"]


def test_what_is_not_kept_damaged_or_of_something_else_is_measured_again(tmp_path):
    desk = Workspace(results=tmp_path)
    assert workspace.recall(desk, "result", dict) is None and workspace.recall(Workspace(), "result", dict) is None
    workspace.keep(Workspace(), "result", {})
    assert not list(tmp_path.iterdir())
    workspace.keep(desk, "result", {"uar": 0.5})
    assert workspace.recall(desk, "result", lambda values: values["accuracy"]) is None
    (tmp_path / "result.json").write_text("{half")
    assert workspace.recall(desk, "result", dict) is None


def test_a_key_changes_with_all_that_a_result_depends_on(monkeypatch):
    keys = {
        workspace.key({"a": (1, 2)}, ["x", "y"]),
        workspace.key({"a": (1, 3)}, ["x", "y"]),
        workspace.key({"a": (1, 2)}, ["x", "z"]),
        workspace.key({"a": (1, 2)}, ["x"], ["y"]),
    }
    assert len(keys) == 4 and workspace.key({"a": [1, 2]}, ["x", "y"]) in keys
    monkeypatch.setattr(cache, "FEATURES_VERSION", cache.FEATURES_VERSION + 1)
    assert workspace.key({"a": (1, 2)}, ["x", "y"]) not in keys


def test_every_reading_is_a_line_with_its_time(tmp_path):
    desk = Workspace(results=tmp_path / "results")
    for model in ("knn", "größe"):
        workspace.note_reading(desk, {"model": model})
    lines = [json.loads(line) for line in (desk.results / workspace.READINGS).read_text(encoding="utf-8").splitlines()]
    assert [line["model"] for line in lines] == ["knn", "größe"]
    assert all(datetime.fromisoformat(line["when"]).tzinfo for line in lines)


def test_without_a_place_for_results_nothing_is_noted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    workspace.note_reading(Workspace(), {"model": "knn"})
    assert not list(tmp_path.iterdir())
