"""Where a measurement keeps things: results as a whole, and a line for every reading of a test part."""

from __future__ import annotations

import json
from datetime import datetime

from ser_core import paths
from ser_core.experiments import workspace
from ser_core.experiments.workspace import Workspace


def test_models_are_looked_for_where_the_environment_says_when_it_is_made(monkeypatch, tmp_path):
    monkeypatch.setenv("SER_MODELS", str(tmp_path))
    assert Workspace().models == tmp_path == paths.models_folder()
    assert not Workspace().should_stop() and Workspace().cache is None


def test_a_result_is_kept_as_json_in_a_folder_that_is_made_for_it(tmp_path):
    path = tmp_path / "new" / "result.json"
    for values in ({"uar": 0.5}, {"uar": 0.6}):
        workspace.keep_result(path, values)
        assert json.loads(path.read_text()) == values
    assert list(path.parent.iterdir()) == [path]


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
