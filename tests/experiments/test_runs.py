"""Measurements as runs: what each kind finds comes back as it was, whoever reads it; and how a run fails, stops and is found again."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ser_core.corpora import library
from ser_core.errors import ConfigError
from ser_core.experiments import cross_corpus, leakage_lab, measure, recipe, robustness, runs
from ser_core.experiments.leakage_lab import LeakageSettings
from ser_core.experiments.recipe import Recipe
from ser_core.experiments.workspace import Workspace
from ser_core.recognition import store
from ser_core.training import jobs, run_folder
from ser_core.training.fit import FitConfig
from tests.support.waiting import until

SMALL = {"epochs": 1, "hidden": 4}
QUICK = Recipe(name="mlp", config=FitConfig(classifier="mlp", n_copies=0, hyperparameters=SMALL))


def states(base: Path, *names: str) -> dict[str, str]:
    root = base / "corpora"
    return {name: runs.corpus_state(library.fingerprint(root / name), library.left_out(root, name)) for name in names}


def score_settings(base: Path, *slugs: str, corpus: str = "tess") -> dict[str, Any]:
    cards = [store.read_card(slug, base / "models") for slug in slugs or ("knn", "mlp")]
    return runs.settings(runs.SCORE, models=cards, corpora=states(base, corpus))


def done(root: Path, config: dict[str, Any], desk: Workspace, base: Path) -> run_folder.Reporter:
    """Do a measurement in this process."""
    reporter = run_folder.Reporter(run_folder.create(root, config))
    runs.work(reporter, desk, base / "corpora")
    return reporter


def test_scores_come_back_as_they_were(base, desk, root):
    reporter = done(root, score_settings(base), desk, base)
    assert reporter.status.stage == run_folder.DONE and reporter.status.fraction == 1.0
    found = runs.read(reporter.folder)
    assert [each.model for each in found.outcomes] == ["knn", "mlp"] and found.left_out == 0
    clips = library.clips(base / "corpora", ["tess"])
    for each in found.outcomes:
        own = measure.as_trained(store.read_card(each.model, desk.models), clips, desk)
        np.testing.assert_array_equal(each.probabilities, own.probabilities)
        assert each.clips.equals(own.clips) and (each.y == own.y).all() and each.labels == own.labels
        for kind in dataclasses.fields(own.heard):
            np.testing.assert_array_equal(getattr(each.heard, kind.name), getattr(own.heard, kind.name))
        assert (each.protocol, each.rounds, each.threshold, each.problems, each.seen) == (
            own.protocol,
            own.rounds,
            own.threshold,
            own.problems,
            None,
        )


def test_a_retrained_recipe_comes_back_with_what_of_the_test_was_in_training(base, desk, root):
    config = runs.settings(
        runs.RETRAIN,
        corpora=states(base, "tess"),
        recipes=[["Quick", recipe.to_dict(QUICK)]],
        tested="tess",
        protocol="sentence",
    )
    reporter = done(root, config, desk, base)
    assert reporter.status.stage == run_folder.DONE, reporter.status.problem
    (found,) = runs.read(reporter.folder).outcomes
    assert found.model == "Quick" and found.heard is None and found.rounds == (4, 4)
    assert found.seen["speaker"].all() and not found.seen["sentence"].any()


def test_a_recipe_comes_back_equal_from_json():
    cnn = Recipe(
        name="cnn", config=FitConfig(classifier="cnn", hyperparameters={"filters": (8, 8)}), effects={"gain": 1}
    )
    for each in (QUICK, cnn):
        assert recipe.from_dict(json.loads(json.dumps(recipe.to_dict(each)))) == each


def test_what_degraded_clips_cost_comes_back_as_it_was(base, desk, root):
    cards = [store.read_card("knn", desk.models)]
    config = runs.settings(
        runs.ROBUSTNESS, models=cards, corpora=states(base, "tess"), conditions=["telephone"], n_clips=6
    )
    found = runs.read(done(root, config, desk, base).folder)
    clips = library.clips(base / "corpora", ["tess"])
    own = robustness.measure(cards, clips, ["telephone"], desk, n_clips=6)
    assert found.rows.equals(own.rows) and found.rows["level"].isna().sum() == 1 and found.clips.equals(own.clips)
    assert found.problems == own.problems and list(found.heard) == ["knn"]


def test_cells_and_steps_come_back_as_they_were(base, desk, root, monkeypatch):
    monkeypatch.setattr(leakage_lab, "CLASSIFIERS", {"mlp": SMALL})
    config = runs.settings(runs.CROSS, corpora=states(base, "ravdess", "tess"), recipe=recipe.to_dict(QUICK))
    cells = runs.read(done(root, config, desk, base).folder)
    assert [(cell.train, cell.test) for cell in cells] == [
        ("ravdess", "ravdess"),
        ("ravdess", "tess"),
        ("tess", "ravdess"),
        ("tess", "tess"),
    ]
    assert all(isinstance(cell, cross_corpus.Cell) and cell.labels == ("neutral", "happy", "sad") for cell in cells)
    steps = leakage_lab.ladder(LeakageSettings(split="random"))
    found = runs.read(done(root, runs.lab_settings("", steps, states(base, "tess")), desk, base).folder)
    assert [step.title for step in found] == ["As chosen", "Speakers held out"]
    clips = library.clips(base / "corpora", ["tess"])
    assert found[0].row == json.loads(
        json.dumps(leakage_lab.to_row(steps[0][1], leakage_lab.study(steps[0][1], clips, desk)))
    )


def test_what_there_is_so_far_can_be_read_while_it_works(base, desk, root, monkeypatch):
    config, sizes = score_settings(base, "knn", "mlp", "cnn"), []
    real = measure.as_trained

    def look(card, clips, workspace):
        found = runs.read(next(root.iterdir()))
        sizes.append(len(found.outcomes) if found else 0)
        return real(card, clips, workspace)

    monkeypatch.setattr(measure, "as_trained", look)
    done(root, config, desk, base)
    assert sizes == [0, 1, 2]


def test_the_lab_tells_the_rounds_of_the_step_that_it_is_at(base, desk, root, monkeypatch):
    monkeypatch.setattr(leakage_lab, "CLASSIFIERS", {"mlp": SMALL})
    steps, sizes = leakage_lab.ladder(LeakageSettings(split="random")), []
    real = run_folder.write_result

    def look(folder, values):
        real(folder, values)
        sizes.append(len(runs.read(folder)))

    monkeypatch.setattr(run_folder, "write_result", look)
    done(root, runs.lab_settings("", steps, states(base, "tess")), desk, base)
    assert sizes == sorted(sizes) and set(sizes) == {1, 2} and len(sizes) > 4


@pytest.mark.parametrize("kind", list(runs.KINDS))
def test_a_stop_ends_every_kind_with_what_is_kept_of_it(kind, base, desk, root):
    steps = leakage_lab.ladder(LeakageSettings(split="random"))
    cards = [store.read_card("knn", desk.models)]
    both = states(base, "ravdess", "tess")
    config = {
        runs.SCORE: lambda: score_settings(base),
        runs.RETRAIN: lambda: runs.settings(
            kind, corpora=both, recipes=[["Quick", recipe.to_dict(QUICK)]], tested="tess", protocol="speaker"
        ),
        runs.ROBUSTNESS: lambda: runs.settings(kind, models=cards, corpora=both, conditions=["white"], n_clips=6),
        runs.CROSS: lambda: runs.settings(kind, corpora=both, recipe=recipe.to_dict(QUICK)),
        runs.LAB: lambda: runs.lab_settings("", steps, both),
    }[kind]()
    reporter = run_folder.Reporter(run_folder.create(root, config))
    run_folder.ask_stop(reporter.folder, keep=False)
    status = runs.work(reporter, desk, base / "corpora")
    assert (status.stage, status.text) == (run_folder.STOPPED, runs.KINDS[kind].stopped)


def test_a_model_or_a_corpus_that_has_changed_meanwhile_is_not_measured_for_the_old_one(base, desk, root):
    config = score_settings(base)
    for place, words in (("models", "The model 'KNN' has changed"), ("corpora", "The corpus 'tess' has changed")):
        name = "knn" if place == "models" else "tess"
        changed = {**config, place: {**config[place], name: "another"}}
        status = done(root, changed, desk, base).status
        assert status.stage == run_folder.FAILED and words in status.problem and "Start it again" in status.problem


def test_a_fault_of_the_program_is_a_sentence_and_a_traceback_in_the_log(base, desk, root, monkeypatch):
    monkeypatch.setattr(measure, "as_trained", lambda *_: 1 / 0)
    reporter = done(root, score_settings(base), desk, base)
    assert reporter.status.stage == run_folder.FAILED and "fault in the program" in reporter.status.problem
    assert "ZeroDivisionError" in run_folder.read_log(reporter.folder)


@pytest.mark.parametrize("damage", ["result", "outcome", "config", "half", "shape"])
def test_a_damaged_result_is_none(damage, base, desk, root):
    folder = done(root, score_settings(base, "knn"), desk, base).folder
    if damage == "shape":
        np.savez(folder / "outcome-0.npz", facts=np.frombuffer(b"{}", np.uint8), y=np.zeros(3))
    elif damage == "half":
        data = (folder / "outcome-0.npz").read_bytes()
        (folder / "outcome-0.npz").write_bytes(data[: len(data) // 2])
    else:
        name = {"result": run_folder.RESULT, "outcome": "outcome-0.npz", "config": run_folder.CONFIG}[damage]
        (folder / name).write_text('{"n_outcomes": "many", "measurement": []}')
    assert runs.read(folder) is None


@pytest.mark.parametrize("config", [{"classifier": "knn"}, {"measurement": ["score"]}, {"measurement": {}}])
def test_a_training_or_an_unknown_measurement_is_no_measurement(config, root):
    with pytest.raises(ConfigError, match="no run of a measurement"):
        runs.read_config(run_folder.create(root, config))


# --- as processes


@pytest.fixture
def waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A measurement waits for a stop in place of working."""
    script = (
        "import os, sys, time\nsys.path.insert(0, os.getcwd())\nfrom pathlib import Path\n"
        "from ser_core.training import run_folder\nfolder = Path(sys.argv[1])\n"
        "while not run_folder.stop_request(folder): time.sleep(0.05)\n"
        "run_folder.Reporter(folder).end(run_folder.DONE, 'Measured.')\n"
    )
    (tmp_path / "waits.py").write_text(script)
    monkeypatch.setattr(runs, "COMMAND", (sys.executable, str(tmp_path / "waits.py")))


def test_two_who_ask_for_the_same_get_one_run(base, root, waiting):
    config = score_settings(base)
    first = runs.start(root, config, title="Score", browser="ann")
    second = runs.start(root, json.loads(json.dumps(config)), title="Score", browser="bob")
    assert first.id == second.id and first.key and not second.key
    (job,) = runs.find(root, config)
    assert job.kind == runs.SCORE and jobs.may_stop(job, browser="ann") and not jobs.may_stop(job, browser="bob")
    assert runs.find(root, score_settings(base, "knn")) == []


def test_the_newest_results_are_kept_and_every_training(base, root, waiting, monkeypatch):
    monkeypatch.setattr(runs, "KEPT", 2)
    training = jobs.start(root, {}, title="A training", command=runs.COMMAND)
    ids = []
    for slug in ("knn", "mlp", "cnn", "cnn_lstm"):
        ids.append(runs.start(root, score_settings(base, slug), title="Score").id)
        for job in jobs.jobs(root):
            jobs.stop(job)
        until(lambda: all(job.ended for job in jobs.jobs(root)))
    assert [job.id for job in jobs.jobs(root)] == [*reversed(ids[1:]), training.id], "cleared at the next start"
    jobs.clear_old(root, keep=0)
    assert [job.id for job in jobs.jobs(root)] == [training.id]


def test_a_measurement_is_done_by_a_process_of_its_own(base, root, monkeypatch, tmp_path):
    for name, folder in (("MODELS", base / "models"), ("CORPORA", base / "corpora"), ("CACHE", base / "cache")):
        monkeypatch.setenv(f"SER_{name}", str(folder))
    monkeypatch.setenv("SER_RESULTS", str(tmp_path / "results"))
    config = score_settings(base, "knn")
    started = runs.start(root, config, title="Score KNN on TESS")
    until(lambda: jobs.find(root, started.id).ended, patience_s=280)
    (job,) = runs.find(root, config)
    assert job.status.stage == run_folder.DONE, job.status.problem + jobs.printed(job)
    assert len(runs.read(job.folder).outcomes[0].y) == 24
