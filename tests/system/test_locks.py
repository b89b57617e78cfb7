"""One at a time, whoever it is, and for no longer than its holder lives."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ser_core.system import locks

ROOT = Path(__file__).resolve().parents[2]
HOLD = "import sys, time; from ser_core.system import locks\nwith locks.alone(sys.argv[1]): print('held', flush=True); time.sleep(60)"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "new folder" / "a.lock"


@pytest.fixture
def holder(file: Path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(file)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_another_process_is_kept_out_until_the_holder_dies(file: Path, holder: subprocess.Popen) -> None:
    with pytest.raises(locks.Busy), locks.alone(file):
        pass
    with pytest.raises(locks.Busy), locks.alone(file, wait_s=0.1):
        pass
    holder.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    with locks.alone(file, wait_s=20):
        pass


def test_threads_take_turns(file: Path) -> None:
    inside, most = [], []

    def work() -> None:
        with locks.alone(file, wait_s=20):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.01)
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 8


def test_a_fault_inside_frees_it(file: Path) -> None:
    with pytest.raises(ZeroDivisionError), locks.alone(file):
        _ = 1 / 0
    with locks.alone(file):
        pass


def test_a_lock_that_was_taken_lasts_as_long_as_its_file_is_open(tmp_path):
    path = tmp_path / "lock"
    assert not locks.is_taken(path) and not path.exists()
    held = locks.take(path)
    assert locks.is_taken(path) and locks.take(path) is None
    with pytest.raises(locks.Busy), locks.alone(path):
        pass
    held.close()
    assert not locks.is_taken(path)
