"""A training process beside everything else: it steps back, and ends within two seconds of being told, whatever it is at."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ser_core import background, runs

ROOT = Path(__file__).resolve().parent.parent

STUCK = """
import os, pathlib, sys, time
from ser_core import background, pipeline, runs, store
folder, models, stage = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
reporter = runs.Reporter(folder)

def stuck(*_):
    (models / f".part-{os.getpid()}-x").mkdir(parents=True)
    reporter.stage(stage, "Busy.")
    while True:  # a library that nobody can interrupt
        time.sleep(0.01)

pipeline._work = stuck
with background.stopping(reporter, models):
    pipeline.run(reporter, None)
"""


@pytest.fixture
def run(tmp_path):
    return runs.create(tmp_path / "runs", {})


def begin(run: Path, stage: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", STUCK, str(run), str(run.parent / "models"), stage], cwd=ROOT)
    deadline = time.monotonic() + 60
    while (status := runs.read_status(run)) is None or status.stage != stage:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
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
    runs.ask_stop(run, keep=keep)
    assert end_s(process) < 2.0 + 1.0  # a second more for a busy machine
    status = runs.read_status(run)
    assert (status.stage, status.model) == ("stopped", None) and process.returncode == 0
    assert list((run.parent / "models").iterdir()) == []


def test_a_stop_that_keeps_waits_for_what_there_is_to_keep(run):
    process = begin(run, "training")
    runs.add_line(run / runs.EPOCHS, {"fold": None, "epoch": 1})
    runs.ask_stop(run, keep=True)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(2.5)
    runs.ask_stop(run, keep=False)
    assert end_s(process) < 3.0


def test_a_termination_is_a_stop(run):
    process = begin(run, "training")
    process.send_signal(signal.SIGTERM)
    process.wait(10)
    assert runs.read_status(run).stage == "stopped"


def test_a_kill_leaves_a_status_that_names_the_process(run):
    """SIGKILL cannot be answered: whoever reads the status finds that its process has gone."""
    process = begin(run, "training")
    process.kill()
    process.wait(10)
    status = runs.read_status(run)
    assert (status.stage, status.pid, status.ended) == ("training", process.pid, False)


def test_a_training_process_steps_back_and_leaves_a_core_free():
    code = """
import json, os
from ser_core import background
background.settle(); background.settle()
print(json.dumps([os.nice(0), *(os.environ[name] for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"))]))
"""
    environment = {name: value for name, value in os.environ.items() if not name.endswith("NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == [19, "1", "1", str(background.free_cores())]
    assert background.free_cores() == max(os.cpu_count() - 1, 1)


SETTLE = "import os; from ser_core import background; background.settle(); print(os.nice(0), open('/proc/self/autogroup').read())"


@pytest.mark.skipif(not background.AUTOGROUP.exists(), reason="this system does not share the processor among sessions")
@pytest.mark.parametrize(("own_session", "niceness"), [(True, 19), (False, 0)])
def test_a_session_of_its_own_steps_back_as_a_whole_and_one_that_others_share_does_not(own_session, niceness):
    starter = [sys.executable, "-c", SETTLE] if own_session else ["sh", "-c", f'{sys.executable} -c "{SETTLE}"; true']
    told = subprocess.run(
        starter, cwd=ROOT, start_new_session=True, capture_output=True, text=True, check=True
    ).stdout.split()
    assert told[0] == "19"
    assert told[-2:] == ["nice", str(niceness)]
