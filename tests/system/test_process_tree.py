"""Ending a process: whether it listens or not, and with all that it started, even where it has ended before these."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from ser_core.system import process_tree
from tests.support.waiting import gone

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there processes have no sessions")

SLEEPER = "import time; time.sleep(600)"
PARENT = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {SLEEPER!r}], start_new_session=%s)
print(child.pid, flush=True)
%s
"""
CALLER = """
import sys
from ser_core.system import process_tree
%s
process_tree.end_children()
"""


def start(code: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)


def test_a_process_that_does_not_listen_is_ended_and_one_that_has_ended_is_no_error():
    code = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); {SLEEPER}"
    with start(code) as process:
        assert process.stdout.readline() == b"up\n"
        for _ in range(2):
            process_tree.end(process)
            assert process.returncode == -signal.SIGKILL


def test_one_that_listens_ends_by_itself():
    code = (
        f"import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); print('up', flush=True); {SLEEPER}"
    )
    with start(code) as process:
        assert process.stdout.readline() == b"up\n"
        process_tree.end(process)
        assert process.returncode in (7, -signal.SIGKILL)  # a busy machine may not let it answer in time


@pytest.mark.parametrize(
    ("own_session", "rest"),
    [(False, SLEEPER), (True, SLEEPER), (False, "")],
    ids=["of the same session", "of a session of its own", "left behind"],
)
def test_what_it_started_ends_with_it(own_session, rest):
    with start(PARENT % (own_session, rest)) as process:
        child = int(process.stdout.readline())
        if not rest:
            process.wait(60)
        process_tree.end(process)
        assert gone(child)


def test_a_process_ends_those_that_it_started_and_goes_on():
    code = CALLER % (PARENT % (False, "")).strip() + "print('on', flush=True); child.wait()"
    with start(code) as process:
        child = int(process.stdout.readline())
        assert process.stdout.readline() == b"on\n"
        assert gone(child) and process.wait(60) == 0
