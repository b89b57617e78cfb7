"""Runs as processes: real ones, of scripts that behave well and badly."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from ser_core.errors import ConfigError
from ser_core.system import locks, priority
from ser_core.training import jobs, run_folder, supervisor
from tests.support.waiting import for_file, gone, until

SCRIPT = """
import os, signal, sys, time
from dataclasses import replace
from pathlib import Path
sys.path.insert(0, os.getcwd())
from ser_core.training import run_folder

folder = Path(sys.argv[1])
def tell(stage, **changes):
    run_folder.write_status(folder, replace(run_folder.read_status(folder), stage=stage, pid=os.getpid(), **changes))
"""
WORK = {
    "quick": "tell(run_folder.TRAINING)\ntime.sleep(0.2)\ntell(run_folder.DONE, model='mine')",
    "polite": "tell(run_folder.TRAINING)\nwhile not run_folder.stop_request(folder): time.sleep(0.05)\n"
    "tell(run_folder.SAVING)\ntime.sleep(2.5)\ntell(run_folder.DONE, model='mine')",
    "deaf": "signal.signal(signal.SIGTERM, signal.SIG_IGN)\ntell(run_folder.TRAINING)\nimport subprocess\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
    "(folder / 'part').write_text(str(child.pid))\nos.rename(folder / 'part', folder / 'child')\ntime.sleep(60)",
    "early": "tell(run_folder.FEATURES)\ntime.sleep(60)",
    "fault": "tell(run_folder.TRAINING)\nraise KeyError('x')",
    "told": "tell(run_folder.FAILED, problem='TESS has 2 speakers.')\nsys.exit(2)",
    "memory": "tell(run_folder.TRAINING)\nos.kill(os.getpid(), signal.SIGKILL)",
    "array": "tell(run_folder.TRAINING)\nraise MemoryError",
    "disk": "tell(run_folder.TRAINING)\nraise OSError(28, 'No space left on device')",
    "silent": "sys.exit(0)",
    "crash": "tell(run_folder.TRAINING)\nos.kill(os.getpid(), signal.SIGSEGV)",
    "facts": "import json\nfacts = [os.nice(0), sys.stdin.read(), os.getsid(0), os.environ['TF_NUM_INTRAOP_THREADS']]\n"
    "tell(run_folder.DONE, text=json.dumps(facts))",
}


@pytest.fixture
def start(root: Path, tmp_path: Path) -> Callable[..., jobs.Started]:
    """A function that starts one of WORK."""

    def begin(work: str, **options: str) -> jobs.Started:
        script = tmp_path / f"{work}.py"
        script.write_text(SCRIPT + WORK[work])
        return jobs.start(root, {"classifier": "knn"}, title=work, command=(sys.executable, str(script)), **options)

    return begin


def ended(root: Path, id: str) -> jobs.Job:
    until(lambda: jobs.find(root, id).ended)
    return jobs.find(root, id)


def reaches(root: Path, id: str, stage: str) -> jobs.Job:
    until(lambda: jobs.find(root, id).status.stage == stage)
    return jobs.find(root, id)


# --- a run's life


def test_a_run_works_on_its_config_and_is_found_by_its_id(root, start):
    started = start("quick")
    job = ended(root, started.id)
    assert (job.status.stage, job.status.model, job.title, job.position) == (run_folder.DONE, "mine", "quick", 0)
    assert json.loads((job.folder / run_folder.CONFIG).read_text()) == {"classifier": "knn"}
    assert job.created.endswith("+00:00")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX terms")
def test_a_run_is_niced_and_apart_from_who_started_it(root, start, monkeypatch):
    monkeypatch.delenv(priority.MOST, raising=False)
    nice, stdin, session, n_threads = json.loads(ended(root, start("facts").id).status.text)
    assert nice == 19 and stdin == "" and session != os.getsid(0)
    assert int(n_threads) == max(os.cpu_count() - 1, 1)


def test_an_unknown_id_is_refused_in_a_sentence(root, start):
    ended(root, start("quick").id)
    for id in ("", "..", "nothing", "../../etc/passwd", "x" * 500, "a\0b"):
        with pytest.raises(ConfigError, match="There is no run"):
            jobs.find(root, id)


def test_there_are_no_runs_where_there_is_no_folder(root):
    assert jobs.jobs(root) == []


# --- the line


def test_one_works_at_a_time_and_the_rest_wait_in_the_order_they_came(root, start):
    ids = [start("polite").id, *(start("quick").id for _ in range(3))]
    reaches(root, ids[0], run_folder.TRAINING)
    assert [job.position for job in jobs.jobs(root)] == [3, 2, 1, 0]
    jobs.stop(jobs.find(root, ids[2]))
    assert ended(root, ids[2]).status.stage == run_folder.STOPPED
    assert [jobs.find(root, id).position for id in ids] == [0, 1, 0, 2]
    jobs.stop(jobs.find(root, ids[0]))
    jobs_ended = [ended(root, id) for id in ids]
    assert [job.status.stage for job in jobs_ended] == [
        run_folder.STOPPED,
        run_folder.DONE,
        run_folder.STOPPED,
        run_folder.DONE,
    ]
    first, last = ((job.folder / run_folder.STATUS).stat().st_mtime for job in (jobs_ended[1], jobs_ended[3]))
    assert first < last


def test_the_line_goes_on_after_a_run_that_was_killed_with_its_supervisor(root, start):
    first, second = start("deaf"), start("quick")
    job = reaches(root, first.id, run_folder.TRAINING)
    for_file(job.folder / "child")
    os.killpg(job.status.pid, signal.SIGKILL)
    assert ended(root, second.id).status.stage == run_folder.DONE
    assert jobs.find(root, first.id).status.stage == run_folder.FAILED


def test_a_full_line_takes_no_more(root, start, monkeypatch):
    monkeypatch.setattr(jobs, "MAX_WAITING", 2)
    first = start("polite")
    reaches(root, first.id, run_folder.TRAINING)
    start("quick"), start("quick")
    with pytest.raises(ConfigError, match="2 runs wait already"):
        start("quick")
    assert jobs.stop_waiting(root) == 2
    until(lambda: not any(job.position for job in jobs.jobs(root)))
    assert jobs.find(root, first.id).status.stage == run_folder.TRAINING
    assert [job.status.stage for job in jobs.jobs(root)] == [
        run_folder.STOPPED,
        run_folder.STOPPED,
        run_folder.TRAINING,
    ]


@pytest.fixture
def nobody_works(monkeypatch):
    """Runs wait for ever."""
    # Nothing else keeps a supervisor from coming.
    monkeypatch.setattr(jobs, "_launch", lambda folder, command: None)


def test_of_one_browser_three_runs_may_wait(root, start, nobody_works):
    for _ in range(jobs.MAX_OF_A_BROWSER):
        start("quick", browser="anna", address="10.0.0.1")
    with pytest.raises(ConfigError, match=r"3 runs from this browser wait already.*Stop one of those"):
        start("quick", browser="anna", address="10.0.0.2")
    start("quick", browser="ben", address="10.0.0.1")


@pytest.mark.parametrize("address", ["10.0.0.1", ""], ids=["another machine", "this machine"])
def test_made_up_browsers_do_not_fill_the_line(root, start, nobody_works, address):
    for number in range(jobs.MAX_OF_AN_ADDRESS):
        start("quick", browser=f"made up {number}", address=address)
    for browser in ("one more", ""):
        with pytest.raises(ConfigError, match="6 runs from this address wait already"):
            start("quick", browser=browser, address=address)
    start("quick", browser="ben", address="10.0.0.2")
    start("quick")  # the command line
    assert len(jobs.jobs(root)) == jobs.MAX_OF_AN_ADDRESS + 2


def test_what_has_ended_makes_room(root, start, nobody_works, monkeypatch):
    for _ in range(jobs.MAX_OF_A_BROWSER):
        start("quick", browser="anna", address="")
    job = jobs.jobs(root)[0]
    run_folder.write_status(job.folder, jobs.replace(job.status, stage=run_folder.STOPPED))
    start("quick", browser="anna", address="")


def test_an_address_is_kept_as_nothing_that_can_be_tried(root, start, nobody_works):
    folders = [root / start("quick", address=address).id for address in ("10.0.0.1", "10.0.0.1", "10.0.0.2")]
    first, second, other = (json.loads((folder / jobs.JOB).read_text())["address"] for folder in folders)
    assert first == second != other
    kept = "".join(path.read_text(errors="replace") for path in root.rglob("*") if path.is_file())
    assert "10.0.0.1" not in kept and hashlib.sha256(b"10.0.0.1").hexdigest() not in kept
    if sys.platform != "win32":
        assert (root / jobs.KEY).stat().st_mode & 0o777 == 0o600
    assert "address" not in json.loads((root / start("quick").id / jobs.JOB).read_text())


def test_a_key_that_was_cut_short_is_made_anew(root, start, nobody_works):
    root.mkdir()
    (root / jobs.KEY).write_bytes(b"short")
    for _ in range(jobs.MAX_OF_AN_ADDRESS):
        start("quick", address="10.0.0.1")
    with pytest.raises(ConfigError, match="this address"):
        start("quick", address="10.0.0.1")
    assert len((root / jobs.KEY).read_bytes()) == 32


def test_limits_hold_where_others_start_runs_at_the_same_time(root, start, nobody_works, monkeypatch):
    root.mkdir()
    monkeypatch.setattr(
        jobs.locks, "take", lambda file, wait_s=0.0: None if Path(file).name == ".starting" else locks.take(file)
    )
    with pytest.raises(ConfigError, match="again in a moment"):
        start("quick", address="10.0.0.1")
    assert jobs.jobs(root) == []


# --- stopping


def test_a_run_that_does_not_listen_is_ended_within_two_seconds_with_all_it_started(root, start):
    job = reaches(root, start("deaf").id, run_folder.TRAINING)
    for_file(job.folder / "child")
    child = int((job.folder / "child").read_text())
    assert psutil.pid_exists(child)
    begun = time.monotonic()
    jobs.stop(job)
    assert jobs.find(root, job.id).stopping == run_folder.DISCARD
    assert ended(root, job.id).status.stage == run_folder.STOPPED
    assert time.monotonic() - begun < 2
    assert gone(job.status.pid) and gone(child)


def test_a_run_that_keeps_its_best_is_given_the_time_to_save_it(root, start):
    job = reaches(root, start("polite").id, run_folder.TRAINING)
    jobs.stop(job, keep=True)
    assert jobs.find(root, job.id).stopping == run_folder.KEEP
    assert ended(root, job.id).status.model == "mine"


def test_there_is_nothing_to_keep_before_the_first_epoch(root, start):
    job = reaches(root, start("early").id, run_folder.FEATURES)
    until(lambda: jobs.find(root, job.id).status.pid)
    begun = time.monotonic()
    jobs.stop(job, keep=True)
    assert ended(root, job.id).status.stage == run_folder.STOPPED
    assert time.monotonic() - begun < 2


# --- ends that nobody asked for


@pytest.mark.parametrize(
    ("work", "problem"),
    [
        ("fault", supervisor.FAULT),
        ("told", "TESS has 2 speakers."),
        ("memory", supervisor.OUT_OF_MEMORY),
        ("array", supervisor.OUT_OF_MEMORY),
        ("disk", supervisor.OUT_OF_SPACE),
        ("silent", supervisor.NO_WORD),
    ],
)
def test_a_failure_says_what_probably_happened(root, start, work, problem):
    status = ended(root, start(work).id).status
    assert (status.stage, status.problem, status.left_s) == (run_folder.FAILED, problem, None)


def test_a_crash_names_its_signal(root, start):
    assert "signal" in ended(root, start("crash").id).status.problem


def test_what_a_run_prints_is_kept_beside_its_log(root, start):
    job = ended(root, start("fault").id)
    assert "KeyError: 'x'" in jobs.printed(job)


@pytest.mark.skipif(sys.platform == "win32", reason="there the work does not hold its supervisor's lock")
def test_work_goes_on_without_its_supervisor_and_is_dead_without_both(root, start):
    job = reaches(root, start("early").id, run_folder.FEATURES)
    pid = wait_for_pid(root, job.id)
    parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(parent, signal.SIGKILL)
    time.sleep(0.2)
    assert not jobs.find(root, job.id).ended
    os.kill(pid, signal.SIGKILL)
    found = ended(root, job.id)
    assert (found.status.stage, found.status.problem) == (run_folder.FAILED, supervisor.NO_WORD)
    assert run_folder.read_status(job.folder).stage == run_folder.FAILED


def wait_for_pid(root: Path, id: str) -> int:
    until(lambda: jobs.find(root, id).status.pid)
    return jobs.find(root, id).status.pid


def test_a_number_that_another_process_got_does_not_make_a_dead_run_alive(root, start):
    job = ended(root, start("quick").id)
    until(lambda: not locks.is_taken(job.folder / supervisor.LOCK))
    run_folder.write_status(job.folder, jobs.replace(job.status, stage=run_folder.TRAINING, pid=os.getpid()))
    assert jobs.find(root, job.id).status.stage == run_folder.FAILED


def test_a_run_whose_supervisor_never_came_has_failed_after_a_minute(root, start, monkeypatch):
    monkeypatch.setattr(jobs, "_launch", lambda folder, command: None)
    id = start("quick").id
    assert jobs.find(root, id).position == 1
    monkeypatch.setattr(supervisor, "STARTING_S", -1)
    assert jobs.find(root, id).status.stage == run_folder.FAILED


def test_a_clock_that_is_set_back_leaves_the_line_in_order(root, start, monkeypatch):
    monkeypatch.setattr(jobs, "_launch", lambda folder, command: None)
    first = start("quick").id
    monkeypatch.setattr(time, "time_ns", lambda original=time.time_ns: original() - 3600 * 10**9)
    second = start("quick").id
    assert [jobs.find(root, id).position for id in (first, second)] == [1, 2]
    assert [job.id for job in jobs.jobs(root)] == [second, first], "the newest first"


@pytest.mark.parametrize("ahead_s", [-3600, 3600])
def test_a_clock_that_was_changed_lets_nobody_wait_for_a_run_that_never_came(root, start, monkeypatch, ahead_s):
    monkeypatch.setattr(jobs, "_launch", lambda folder, command: None)
    first, second = start("quick").id, start("quick").id
    os.utime(root / first / supervisor.QUEUED_AT, (time.time() + ahead_s, time.time() + ahead_s))
    assert jobs.find(root, first).status.stage == run_folder.FAILED
    assert jobs.find(root, second).position == 1


# --- who may stop, and clearing


def test_the_key_and_the_browser_may_stop_and_nobody_else(root, start):
    started = start("quick", browser="a-secret")
    job = jobs.find(root, started.id)
    assert jobs.may_stop(job, key=started.key) and jobs.may_stop(job, key=f" {started.key.lower().replace('-', ' ')} ")
    assert jobs.may_stop(job, browser="a-secret")
    for wrong in (
        {},
        {"key": ""},
        {"key": started.id},
        {"key": "a-secret"},
        {"browser": "another"},
        {"browser": started.key},
    ):
        assert not jobs.may_stop(job, **wrong)
    kept = "".join(path.read_text(errors="replace") for path in job.folder.iterdir() if path.is_file())
    assert started.key not in kept and "a-secret" not in kept


def test_a_run_of_no_browser_is_not_everybodys(root, start):
    assert not jobs.may_stop(jobs.find(root, start("quick").id), browser="")


def test_only_a_run_that_has_ended_is_cleared_away(root, start):
    job = reaches(root, start("polite").id, run_folder.TRAINING)
    with pytest.raises(ConfigError, match="has not ended"):
        jobs.clear(job)
    jobs.stop(job)
    jobs.clear(ended(root, job.id))
    assert not job.folder.exists() and jobs.jobs(root) == []


def test_no_room_for_the_files_is_said_in_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="could not be started"):
        jobs.start(tmp_path / "file", {}, title="x")
