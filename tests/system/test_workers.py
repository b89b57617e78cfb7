"""The workers of a server: what they do comes back, the end of one is no end of the server's, and none outlives the server."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from ser_core.audio import waveform
from ser_core.errors import AudioError, ConfigError, SerError
from ser_core.recognition import analysis
from ser_core.system import priority, workers
from tests.support.waiting import gone, until

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on two cores: what these tests say of turns holds for one worker, whatever machine they run on."""
    monkeypatch.setenv("SER_WORKERS", "1")


def end_once(mark: Path) -> str:
    """End the process that calls this, the first time."""
    if not mark.exists():
        mark.touch()
        os._exit(1)
    return "done"


def test_a_work_is_done_in_another_process_which_stays(voice):
    assert workers.run(os.getpid) == workers.run(os.getpid) != os.getpid()
    clip = waveform.encode_wav(waveform.Waveform(voice(), waveform.SAMPLE_RATE))
    there, here = workers.run(analysis.analyse, clip), analysis.analyse(clip)
    assert (there.features.log_mel == here.features.log_mel).all()
    assert there.quality == here.quality


def test_an_error_of_the_work_is_raised_here():
    with pytest.raises(AudioError, match=r"notes\.txt"):
        workers.run(analysis.analyse, b"these are no sounds", name="notes.txt")


def test_what_ends_the_process_is_told_in_a_sentence_and_the_next_work_is_done():
    before = workers.run(os.getpid)
    with pytest.raises(SerError, match="try another file"):
        workers.run(os._exit, 1)
    assert workers.run(os.getpid) != before


def test_a_work_whose_process_another_one_ended_is_done_after_all(tmp_path):
    assert workers.run(end_once, tmp_path / "mark") == "done"


def print_and_return(words: str) -> str:
    print(words, flush=True)
    os.write(1, words.encode())
    return words


def test_what_a_work_prints_does_not_come_among_the_answers():
    assert workers.run(print_and_return, "\x80\x04K\x01.") == "\x80\x04K\x01."


def test_any_other_error_of_the_work_comes_with_its_words():
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        workers.run(divmod, 1, 0)


def note(place: Path, name: str, seconds: float) -> None:
    time.sleep(seconds)
    with place.open("a") as file:
        file.write(name)


@contextlib.contextmanager
def working_for(address: str, browser: str):
    """Have the work that is begun in here be for somebody."""
    before = workers.WHO.set((address, browser))
    yield
    workers.WHO.reset(before)


def begin(who: workers.Who, work: Callable[[], object]) -> threading.Thread:
    """Begin a work for somebody in a thread, and return once it waits, works, or is done."""

    def done() -> None:
        with working_for(*who):
            work()

    n_before = workers._SHORT.line.n_waiting
    thread = threading.Thread(target=done, daemon=True)
    thread.start()
    until(lambda: workers._SHORT.line.n_waiting > n_before or not thread.is_alive() or workers._SHORT.n_busy)
    return thread


def wait_for(file: Path) -> None:
    while not file.exists():
        time.sleep(0.01)


@pytest.mark.parametrize(
    "attackers",
    [
        [("10.0.0.1", "one")] * 8,
        [("10.0.0.1", f"made up {number}") for number in range(20)],
        [("10.0.0.1", f"made up {number % 10}") for number in range(40)],
    ],
    ids=["tabs", "made-up browsers", "both"],
)
def test_a_visitor_waits_for_one_work_of_anothers_however_many_wait(attackers, tmp_path):
    place, gate = tmp_path / "order", tmp_path / "gate"
    workers.run(note, place, "", 0.0)
    threads = [begin(("10.0.0.1", "first"), lambda: workers.run(wait_for, gate))]
    until(lambda: workers._SHORT.n_busy)
    threads += [begin(who, lambda: workers.run(note, place, "a", 0.0)) for who in attackers]
    threads += [begin(("10.0.0.2", "anna"), lambda: workers.run(note, place, "V", 0.0)) for _ in range(3)]
    gate.touch()
    for each in threads:
        each.join(60)
    order = place.read_text()
    assert order.count("a") == len(attackers)
    assert order.startswith("VaVaVa"), "one of each in turn, and who has not had a turn first"


def test_browsers_at_one_address_take_turns(tmp_path):
    place, gate = tmp_path / "order", tmp_path / "gate"
    workers.run(note, place, "", 0.0)
    threads = [begin(("", "a"), lambda: workers.run(wait_for, gate))]
    until(lambda: workers._SHORT.n_busy)
    for name in "aaaabbc":
        threads.append(begin(("", name), lambda name=name: workers.run(note, place, name, 0.0)))
    gate.touch()
    for each in threads:
        each.join(60)
    assert place.read_text() == "bcabaaa"


def test_no_more_may_wait_than_a_browser_and_an_address_have_room_for(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "MOST_OF_AN_ADDRESS", workers.MOST_OF_A_BROWSER + 2)
    gate = tmp_path / "gate"
    threads = [begin(("", "a"), lambda: workers.run(wait_for, gate))]
    until(lambda: workers._SHORT.n_busy)
    threads += [begin(("", "a"), lambda: workers.run(os.getpid)) for _ in range(workers.MOST_OF_A_BROWSER)]
    with working_for("", "a"), pytest.raises(SerError, match="8 clips or moments from this browser wait already"):
        workers.run(os.getpid)
    threads += [begin(("", f"made up {number}"), lambda: workers.run(os.getpid)) for number in range(2)]
    with (
        working_for("", "made up 3"),
        pytest.raises(SerError, match="10 clips or moments from this address wait already"),
    ):
        workers.run(os.getpid)
    threads.append(begin(("10.0.0.2", "a"), lambda: workers.run(os.getpid)))
    gate.touch()
    for each in threads:
        each.join(60)
    # private: nobody else sees who waits
    assert not workers._SHORT.line._first._works, "nothing is kept of who does not wait"


def test_who_waits_in_vain_leaves_the_line():
    line = workers.Line()
    with line.turn():
        with working_for("10.0.0.1", "a"), pytest.raises(SerError), line.turn(0.01):
            pass
        assert line.n_waiting == 0
    with line.turn(0):
        pass


def queue_up(line: workers.Line, order: list[str], *works: tuple[str, str, bool]) -> list[threading.Thread]:
    """Have works wait in a line, one after another: (browser, what is noted at its turn, whether it may come later)."""

    def take(browser: str, name: str, later: bool) -> None:
        with working_for("", browser), line.turn(later=later):
            order.append(name)

    threads = []
    for work in works:
        n_before = line.n_waiting
        threads.append(threading.Thread(target=take, args=work, daemon=True))
        threads[-1].start()
        until(lambda n_before=n_before: line.n_waiting > n_before)
    return threads


def test_what_may_come_later_goes_behind_all_that_waits_and_takes_turns_there():
    line, order = workers.Line(), list[str]()
    with line.turn():
        threads = queue_up(
            line,
            order,
            ("a", "a later", True),
            ("a", "a later again", True),
            ("b", "b later", True),
            ("a", "a", False),
            ("b", "b", False),
            ("c", "c later", True),
            ("a", "a again", False),
        )
        assert order == []
    for each in threads:
        each.join(60)
    assert order == ["a", "b", "a again", "a later", "b later", "c later", "a later again"]
    with line.turn(later=True):  # where nobody waits, at once
        assert line.n_waiting == 0


def test_what_may_come_later_is_left_out_where_too_much_waits(monkeypatch):
    monkeypatch.setattr(workers, "MOST_LATER", 3)
    line, order = workers.Line(), list[str]()
    with line.turn():
        threads = queue_up(line, order, ("a", "1", False), ("b", "2", True), ("c", "3", False))
        with working_for("", "d"), pytest.raises(workers.NoRoomError, match="left out"), line.turn(later=True):
            pass
        threads += queue_up(line, order, ("d", "4", False))
    for each in threads:
        each.join(60)
    assert order == ["1", "3", "4", "2"]


def test_what_may_come_later_waits_no_longer_than_it_may(monkeypatch):
    monkeypatch.setattr(workers, "LATER_S", 0.01)
    line = workers.Line()
    with line.turn():
        with pytest.raises(workers.NoRoomError), line.turn(later=True):
            pass
        assert line.n_waiting == 0
    with line.turn(0):
        pass


def test_later_work_leaves_a_browser_room_for_the_rest():
    line, order = workers.Line(), list[str]()
    with line.turn():
        threads = queue_up(line, order, *[("a", "later", True)] * workers.MOST_OF_A_BROWSER)
        with working_for("", "a"), pytest.raises(SerError, match="from this browser"), line.turn(later=True):
            pass
        threads += queue_up(line, order, ("a", "first", False))
    for each in threads:
        each.join(60)
    assert order == ["first", *["later"] * workers.MOST_OF_A_BROWSER]


def test_a_later_work_begins_once_no_other_waits(tmp_path):
    place, gate = tmp_path / "order", tmp_path / "gate"

    def later() -> None:
        with workers.later_work():
            workers.run(note, place, "L", 0.0)

    threads = [begin(("", "a"), lambda: workers.run(wait_for, gate))]
    until(lambda: workers._SHORT.n_busy)
    threads += [begin(("", "a"), later), begin(("", "b"), later)]
    threads += [begin(("", "c"), lambda: workers.run(note, place, "f", 0.0)) for _ in range(2)]
    gate.touch()
    for each in threads:
        each.join(60)
    assert place.read_text() == "ffLL"


def test_short_work_waits_for_no_long_work(tmp_path):
    gate = tmp_path / "gate"

    def long() -> None:
        with workers.long_work():
            workers.run(wait_for, gate)

    threads = [threading.Thread(target=long) for _ in range(4)]
    for each in threads:
        each.start()
    assert workers.run(str.upper, "mine") == "MINE" and not gate.exists()
    gate.touch()
    for each in threads:
        each.join(60)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX terms")
def test_long_work_steps_back_and_its_process_ends_when_there_is_none(monkeypatch):
    monkeypatch.delenv(priority.MOST, raising=False)
    with workers.long_work():
        os.kill(workers.run(os.getpid), signal.SIGKILL)  # what another test has left did not step back
        helper = workers.run(os.getpid)
        assert helper == workers.run(os.getpid) != workers.run(os.getppid)
        assert workers.run(os.nice, 0) >= priority.LONG_WORK
    stays = workers.run(os.getpid)
    assert stays != helper
    monkeypatch.setattr(workers, "REST_S", 0.0)
    assert gone(helper, patience_s=10)
    assert workers.run(os.getpid) == stays
    with workers.long_work():
        assert workers.run(str.upper, "again") == "AGAIN"


def test_who_comes_first_is_first(tmp_path):
    place = tmp_path / "order"
    workers.run(note, place, "", 0.0)
    threads = [threading.Thread(target=workers.run, args=(note, place, name, 0.2)) for name in "abcdef"]
    for each in threads:
        each.start()
        time.sleep(0.05)
    for each in threads:
        each.join()
    assert place.read_text() == "abcdef"


def meet(mine: Path, other: Path) -> int:
    """Return the process in which this ran at the same time as the same for the other file."""
    mine.touch()
    wait_for(other)
    return os.getpid()


def mark(mine: Path, other: Path) -> str:
    meet(mine, other)
    return os.environ.get("SER_MARK", "")


@pytest.fixture
# private: a pool of two, whatever the machine
def two_workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[workers._Pool]:
    """The pool of short work with room for a second worker, which goes when the test ends."""
    monkeypatch.setenv("SER_WORKERS", "2")
    # private: the pool itself
    yield workers._SHORT
    monkeypatch.setattr(workers, "REST_S", 0.0)
    until(lambda: len(workers._SHORT._all) == 1)


def at_once(
    works: list[Callable[[], object]], who: Callable[[int], workers.Who] = lambda n: ("", f"{n}")
) -> list[object]:
    """Return what comes of works that threads do at once, each for a browser of its own."""
    found: dict[int, object] = {}
    threads = [begin(who(n), lambda n=n, work=work: found.update({n: work()})) for n, work in enumerate(works)]
    for each in threads:
        each.join(100)
    return [found.get(n) for n in range(len(works))]


def test_two_workers_measure_two_clips_at_once(two_workers, tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    first, second = at_once([lambda: workers.run(meet, a, b), lambda: workers.run(meet, b, a)])
    assert first != second and None not in (first, second)


def test_one_browser_may_have_both_workers(two_workers, tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    assert None not in at_once(
        [lambda: workers.run(meet, a, b), lambda: workers.run(meet, b, a)], lambda n: ("", "one")
    )


def test_no_further_worker_starts_where_nothing_waits(two_workers):
    assert len({workers.run(os.getpid) for _ in range(20)}) == 1
    # private: how many workers there are
    assert len(two_workers._all) == 1


def test_a_further_worker_does_the_first_work_and_rests_when_there_is_none(two_workers, tmp_path, monkeypatch):
    monkeypatch.setattr(two_workers, "first_work", two_workers.first_work)
    workers.prepare(exec, "import os; os.environ['SER_MARK'] = 'ready'")
    a, b = tmp_path / "a", tmp_path / "b"
    pids = set(at_once([lambda: workers.run(meet, a, b), lambda: workers.run(meet, b, a)]))
    c, d = tmp_path / "c", tmp_path / "d"
    assert at_once([lambda: workers.run(mark, c, d), lambda: workers.run(mark, d, c)]) == ["ready", "ready"]
    stays = workers.run(os.getpid)
    monkeypatch.setattr(workers, "REST_S", 0.0)
    (further,) = pids - {stays}
    assert gone(further) and workers.run(os.getpid) == stays


def test_a_further_worker_that_does_not_start_leaves_the_first_at_work(two_workers, tmp_path, monkeypatch):
    monkeypatch.setattr(two_workers, "first_work", (os._exit, (1,), {}))
    gate = tmp_path / "gate"
    threads = [begin(("", "a"), lambda: workers.run(wait_for, gate)), begin(("", "b"), lambda: workers.run(os.getpid))]
    # private: whether one is being started
    until(lambda: two_workers._is_growing)
    until(lambda: not two_workers._is_growing)
    assert len(two_workers._all) == 1
    gate.touch()
    for each in threads:
        each.join(60)
    assert workers.run(str.upper, "mine") == "MINE"


def test_with_two_workers_a_visitor_waits_for_one_work_of_anothers(tmp_path):
    line = workers.Line(2)
    order: list[str] = []
    gates = [threading.Event() for _ in range(2)]

    def hold(name: str, gate: threading.Event | None = None) -> None:
        with line.turn():
            order.append(name)
            if gate:
                gate.wait(60)

    threads = []
    for who, name, gate in [
        ("one", "A", gates[0]),
        ("one", "A", gates[1]),
        *[("one", "a", None)] * 4,
        ("two", "v", None),
    ]:
        n_before = line.n_waiting + len(order)

        def come(who=who, name=name, gate=gate) -> None:
            with working_for(who, ""):
                hold(name, gate)

        threads.append(threading.Thread(target=come, daemon=True))
        threads[-1].start()
        until(lambda n_before=n_before: line.n_waiting + len(order) > n_before)
    gates[0].set()
    until(lambda: len(order) == 7)
    gates[1].set()
    for each in threads:
        each.join(60)
    assert order[:3] == ["A", "A", "v"]


@pytest.mark.parametrize("given", ["0", "-1", "two", "1.5", "1000"])
def test_a_number_of_workers_that_cannot_be_used_is_told_in_a_sentence(given, monkeypatch):
    monkeypatch.setenv("SER_WORKERS", given)
    with pytest.raises(ConfigError, match=f"SER_WORKERS must be a whole number .* Got '{given}'"):
        workers.run(os.getpid)


def big_and_gone(clip: bytes) -> int:
    raise AudioError("This is no sound.")


def held_mb() -> float:
    return psutil.Process().memory_info().rss / 2**20


def test_nothing_of_a_work_is_kept_there():
    before = workers.run(held_mb)
    for work in (len, big_and_gone):
        with contextlib.suppress(AudioError):
            workers.run(work, b"clip" * 2**25)
    assert workers.run(held_mb) < before + 16


def test_what_takes_too_long_is_ended(monkeypatch):
    before = workers.run(os.getpid)
    monkeypatch.setattr(workers, "LIMIT_S", 0.5)
    with pytest.raises(SerError, match="longer than two minutes"):
        workers.run(time.sleep, 600)
    monkeypatch.undo()
    assert workers.run(os.getpid) != before
    assert gone(before, patience_s=10)


def test_an_answer_that_could_not_be_read_is_nobody_elses(monkeypatch):
    load = pickle.load

    def half_read(file):
        monkeypatch.setattr(pickle, "load", load)
        raise MemoryError

    workers.run(os.getpid)
    monkeypatch.setattr(pickle, "load", half_read)
    with pytest.raises(MemoryError):
        workers.run(str.upper, "words of the first visitor")
    assert workers.run(str.upper, "mine") == "MINE"


AT_WORK = "threading.Thread(target=workers.run, args=(time.sleep, 600), daemon=True).start(); time.sleep(1)"


@pytest.mark.parametrize("at_work", [False, True], ids=["idle", "at work"])
@pytest.mark.parametrize("killed", [False, True], ids=["exit", "kill"])
def test_it_ends_with_its_server(killed, at_work, tmp_path):
    script = "import os, threading, time; from ser_core.system import workers; helper = workers.run(os.getpid)\n"
    script += AT_WORK * at_work + "\nprint(helper, flush=True); " + ("time.sleep(600)" if killed else "input()")
    server = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=os.environ | {"SER_MARK": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    helper = int(server.stdout.readline())
    if killed:
        server.kill()
    else:
        server.stdin.write("\n")
        server.stdin.flush()
    server.wait(30)
    assert gone(helper, patience_s=10)
    assert not [each for each in psutil.process_iter() if marked(each, str(tmp_path))], (
        "another was started in its place"
    )


def marked(process: psutil.Process, mark: str) -> bool:
    try:
        return process.environ().get("SER_MARK") == mark
    except psutil.Error:
        return False
