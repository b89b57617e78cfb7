"""A process that works for long: it steps back and leaves a core free."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ser_core.errors import ConfigError
from ser_core.system import priority

ROOT = Path(__file__).resolve().parents[2]
SETTLE = """
import os
from ser_core.system import priority
priority.settle()
print(os.nice(0), priority.AUTOGROUP.exists() and priority.AUTOGROUP.read_text())
"""


@pytest.fixture(autouse=True)
def as_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is set: the other tests have processes that do not step back."""
    monkeypatch.delenv(priority.MOST, raising=False)


def test_a_training_process_steps_back_and_leaves_a_core_free():
    code = """
import json, os
from ser_core.system import priority
priority.settle(); priority.settle()
print(json.dumps([os.nice(0), *(os.environ[name] for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"))]))
"""
    environment = {name: value for name, value in os.environ.items() if not name.endswith("NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == [19, "1", "1", str(priority.free_cores())]
    assert priority.free_cores() == max(os.cpu_count() - 1, 1)


@pytest.mark.parametrize(("cores", "n"), [(8, "7"), (1, "1"), (None, "1")])
def test_a_training_leaves_a_core_to_the_pages_and_one_among_others_takes_one(cores, n, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    told = priority.training_threads()
    assert told["TF_NUM_INTRAOP_THREADS"] == told["LOKY_MAX_CPU_COUNT"] == n
    assert told["OMP_NUM_THREADS"] == told["OPENBLAS_NUM_THREADS"] == "1"
    assert set(priority.shared_threads().values()) == {"1"}


def test_what_is_set_already_stays(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    priority.limit_threads()
    assert (os.environ["OMP_NUM_THREADS"], os.environ["OPENBLAS_NUM_THREADS"]) == ("3", "1")


def test_one_place_says_the_niceness_and_the_threads():
    words = ("os.nice(", "NUM_THREADS", "_NUM_INTRAOP_", "killpg", "taskkill")
    rooms = ("ser_core", "pages", "tools", "benchmarks")
    files = [ROOT / "app.py", *(file for room in rooms for file in (ROOT / room).rglob("*.py"))]
    found = {path.name for path in files if any(word in path.read_text(encoding="utf-8") for word in words)}
    assert found == {"priority.py"}


@pytest.mark.parametrize(("given", "n"), [("", 3), (" ", 3), ("1", 1), (" 12 ", 12)])
def test_there_are_as_many_workers_as_cores_less_one_or_as_are_set(given, n, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setenv(priority.WORKERS, given)
    assert priority.worker_count() == n
    monkeypatch.delenv(priority.WORKERS)
    assert priority.worker_count() == 3


@pytest.mark.skipif(not priority.AUTOGROUP.exists(), reason="this system does not share the processor among sessions")
@pytest.mark.parametrize(("own_session", "niceness"), [(True, 19), (False, 0)])
def test_a_session_of_its_own_steps_back_as_a_whole_and_one_that_others_share_does_not(own_session, niceness):
    starter = [sys.executable, "-c", SETTLE] if own_session else ["sh", "-c", f'{sys.executable} -c "{SETTLE}"; true']
    told = subprocess.run(
        starter, cwd=ROOT, start_new_session=True, capture_output=True, text=True, check=True
    ).stdout.split()
    assert told[0] == "19"
    assert told[-2:] == ["nice", str(niceness)]


@pytest.mark.parametrize(("given", "niceness"), [("", 19), (" 19 ", 19), ("7", 7), ("0", 0)])
def test_a_process_steps_back_as_far_as_is_allowed(given, niceness, monkeypatch):
    monkeypatch.setenv(priority.MOST, given)
    told = subprocess.run(
        [sys.executable, "-c", SETTLE], cwd=ROOT, start_new_session=True, capture_output=True, text=True, check=True
    ).stdout.split()
    assert int(told[0]) == max(niceness, os.nice(0))
    if priority.AUTOGROUP.exists():
        assert told[-2:] == ["nice", str(niceness)]


@pytest.mark.parametrize("given", ["20", "-1", "1.5", "low", "007"])
def test_what_is_no_niceness_is_told(given, monkeypatch):
    monkeypatch.setenv(priority.MOST, given)
    with pytest.raises(
        ConfigError, match=f"SER_NICE must be a whole number from 0 to 19. Got '{given}'. Correct it, or unset it"
    ):
        priority.step_back(priority.LONG_WORK)
