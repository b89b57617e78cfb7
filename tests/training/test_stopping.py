"""A training process beside everything else: it steps back, and ends within two seconds of being told, whatever it is at."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ser_core.system import files
from ser_core.training import run_folder
from tests.support.waiting import until

ROOT = Path(__file__).resolve().parents[2]

STUCK = """
import os, pathlib, sys, time
from ser_core.training import stopping
from ser_core.training import run
from ser_core.training import run_folder
from ser_core.recognition import store
folder, models, stage = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
reporter = run_folder.Reporter(folder)

def stuck(*_):
    (models / f".part-{os.getpid()}-x").mkdir(parents=True)
    reporter.stage(stage, "Busy.")
    while True:  # a library that nobody can interrupt
        time.sleep(0.01)

run._work = stuck
with stopping.stopping(reporter, models):
    run.run(reporter, None)
"""


@pytest.fixture
def run(tmp_path):
    return run_folder.create(tmp_path / "runs", {})


def begin(run: Path, stage: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", STUCK, str(run), str(run.parent / "models"), stage], cwd=ROOT)

    def is_busy() -> bool:
        assert process.poll() is None
        status = run_folder.read_status(run)
        return status is not None and status.stage == stage

    until(is_busy)
    return process


def end_s(process: subprocess.Popen[bytes]) -> float:
    begun = time.monotonic()
    process.wait(30)
    return time.monotonic() - begun


@pytest.mark.parametrize(
    ("stage", "keep"), [("features", True), ("searching", False), ("training", False), ("saving", False)]
)
def test_what_cannot_be_interrupted_ends_with_the_process(run, stage, keep):
    process = begin(run, stage)
    run_folder.ask_stop(run, keep=keep)
    assert end_s(process) < 2.0 + 1.0  # a second more for a busy machine
    status = run_folder.read_status(run)
    assert (status.stage, status.model) == ("stopped", None) and process.returncode == 0
    assert list((run.parent / "models").iterdir()) == []


def test_a_stop_that_keeps_waits_for_what_there_is_to_keep(run):
    process = begin(run, "training")
    files.append_json_line(run / run_folder.EPOCHS, {"fold": None, "epoch": 1})
    run_folder.ask_stop(run, keep=True)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(2.5)
    run_folder.ask_stop(run, keep=False)
    assert end_s(process) < 3.0


def test_a_termination_is_a_stop(run):
    process = begin(run, "training")
    process.send_signal(signal.SIGTERM)
    process.wait(10)
    assert run_folder.read_status(run).stage == "stopped"


def test_a_kill_leaves_a_status_that_names_the_process(run):
    """SIGKILL cannot be answered: whoever reads the status finds that its process has gone."""
    process = begin(run, "training")
    process.kill()
    process.wait(10)
    status = run_folder.read_status(run)
    assert (status.stage, status.pid, status.ended) == ("training", process.pid, False)
