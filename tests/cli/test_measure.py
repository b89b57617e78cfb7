"""The command measure: the run of a page done in a process, resumed after a stop, and refused where it is none."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from ser_core.corpora import library
from ser_core.experiments import runs
from ser_core.recognition import store
from ser_core.training import run_folder
from tests.support import corpora


@pytest.fixture(autouse=True)
def _signals():
    """The command listens to SIGTERM; a test that follows does not."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def folder(models: Path, tmp_path: Path) -> Path:
    """The run of a scoring of the KNN on TESS."""
    root = corpora.build(tmp_path / "corpora")
    state = {"tess": runs.corpus_state(library.fingerprint(root / "tess"), {})}
    config = runs.settings(runs.SCORE, models=[store.read_card("knn", models)], corpora=state)
    return run_folder.create(tmp_path / "runs", config)


def test_a_measurement_is_done_as_its_settings_say(folder: Path, tmp_path: Path, run) -> None:
    places = ("--corpora-dir", tmp_path / "corpora", "--cache", tmp_path / "cache", "--results", tmp_path / "results")
    status, out, err = run("measure", "--run", folder, *places)
    assert (status, out, err[-1]) == (0, "", "Measured.")
    assert len(runs.read(folder).outcomes[0].y) == 24 and list((tmp_path / "results").iterdir())


def test_a_stopped_one_resumes(folder: Path, tmp_path: Path, run) -> None:
    places = ("--corpora-dir", tmp_path / "corpora", "--cache", tmp_path / "cache", "--results", tmp_path / "results")
    run_folder.ask_stop(folder, keep=False)
    assert run("measure", "--run", folder, *places)[0] == 2
    assert run_folder.read_status(folder).stage == run_folder.STOPPED
    assert run("measure", "--run", folder, *places)[0] == 0


def test_a_folder_of_a_training_or_of_nothing_is_refused(tmp_path: Path, run) -> None:
    training = run_folder.create(tmp_path / "runs", {"classifier": "knn"})
    status, _, err = run("measure", "--run", training)
    assert status == 2 and "is no run of a measurement" in err[0] and "train --run" in err[0]
    status, _, err = run("measure", "--run", tmp_path)
    assert status == 2 and "no config.json in" in err[0]
