"""The process beside a server: what it does comes back, its end is no end of the server's, and it does not outlive the server."""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from ser_core import analysis, audio, beside, segments, store
from ser_core.errors import AudioError, SerError
from ser_core.recognizer import Prediction
from tests import tiny_models

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.build(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def heard():
    return analysis.analyse(next((ROOT / "pages" / "samples").glob("*.flac")))


def end_once(mark: Path) -> str:
    """End the process that calls this, the first time."""
    if not mark.exists():
        mark.touch()
        os._exit(1)
    return "done"


def test_a_work_is_done_in_another_process_which_stays(voice):
    assert beside.run(os.getpid) == beside.run(os.getpid) != os.getpid()
    clip = audio.encode_wav(audio.Waveform(voice(), audio.SAMPLE_RATE))
    there, here = beside.run(analysis.analyse, clip), analysis.analyse(clip)
    assert (there.features.log_mel == here.features.log_mel).all()
    assert there.quality == here.quality


def test_an_error_of_the_work_is_raised_here():
    with pytest.raises(AudioError, match=r"notes\.txt"):
        beside.run(analysis.analyse, b"these are no sounds", name="notes.txt")


def test_what_ends_the_process_is_told_in_a_sentence_and_the_next_work_is_done():
    before = beside.run(os.getpid)
    with pytest.raises(SerError, match="try another file"):
        beside.run(os._exit, 1)
    assert beside.run(os.getpid) != before


def test_a_work_whose_process_another_one_ended_is_done_after_all(tmp_path):
    assert beside.run(end_once, tmp_path / "mark") == "done"


def print_and_return(words: str) -> str:
    print(words, flush=True)
    os.write(1, words.encode())
    return words


def test_what_a_work_prints_does_not_come_among_the_answers():
    assert beside.run(print_and_return, "\x80\x04K\x01.") == "\x80\x04K\x01."


def test_any_other_error_of_the_work_comes_with_its_words():
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        beside.run(divmod, 1, 0)


def note(place: Path, name: str, seconds: float) -> None:
    time.sleep(seconds)
    with place.open("a") as file:
        file.write(name)


@contextlib.contextmanager
def working_for(address: str, browser: str):
    """Have the work that is begun in here be for somebody."""
    before = beside.WHO.set((address, browser))
    yield
    beside.WHO.reset(before)


def begin(who: beside.Who, work: Callable[[], object]) -> threading.Thread:
    """Begin a work for somebody in a thread, and return once it waits, works, or is done."""

    def done() -> None:
        with working_for(*who):
            work()

    n_before = n_waiting(beside._SHORT._line)
    thread = threading.Thread(target=done, daemon=True)
    thread.start()
    wait_until(
        lambda: n_waiting(beside._SHORT._line) > n_before or not thread.is_alive() or beside._SHORT._begun_s is not None
    )
    return thread


def n_waiting(line: beside.Line) -> int:
    return sum(len(works) for there in line._waiting.values() for works in there.values())


def wait_until(true: Callable[[], bool], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


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
    beside.run(note, place, "", 0.0)
    threads = [begin(("10.0.0.1", "first"), lambda: beside.run(wait_for, gate))]
    wait_until(lambda: beside._SHORT._begun_s is not None)
    threads += [begin(who, lambda: beside.run(note, place, "a", 0.0)) for who in attackers]
    threads += [begin(("10.0.0.2", "anna"), lambda: beside.run(note, place, "V", 0.0)) for _ in range(3)]
    gate.touch()
    for each in threads:
        each.join(60)
    order = place.read_text()
    assert order.count("a") == len(attackers)
    assert order.startswith("VaVaVa"), "one of each in turn, and who has not had a turn first"


def test_browsers_at_one_address_take_turns(tmp_path):
    place, gate = tmp_path / "order", tmp_path / "gate"
    beside.run(note, place, "", 0.0)
    threads = [begin(("", "a"), lambda: beside.run(wait_for, gate))]
    wait_until(lambda: beside._SHORT._begun_s is not None)
    for name in "aaaabbc":
        threads.append(begin(("", name), lambda name=name: beside.run(note, place, name, 0.0)))
    gate.touch()
    for each in threads:
        each.join(60)
    assert place.read_text() == "bcabaaa"


def test_no_more_may_wait_than_a_browser_and_an_address_have_room_for(tmp_path, monkeypatch):
    monkeypatch.setattr(beside, "MOST_OF_AN_ADDRESS", beside.MOST_OF_A_BROWSER + 2)
    gate = tmp_path / "gate"
    threads = [begin(("", "a"), lambda: beside.run(wait_for, gate))]
    wait_until(lambda: beside._SHORT._begun_s is not None)
    threads += [begin(("", "a"), lambda: beside.run(os.getpid)) for _ in range(beside.MOST_OF_A_BROWSER)]
    with working_for("", "a"), pytest.raises(SerError, match="8 clips or moments from this browser wait already"):
        beside.run(os.getpid)
    threads += [begin(("", f"made up {number}"), lambda: beside.run(os.getpid)) for number in range(2)]
    with (
        working_for("", "made up 3"),
        pytest.raises(SerError, match="10 clips or moments from this address wait already"),
    ):
        beside.run(os.getpid)
    threads.append(begin(("10.0.0.2", "a"), lambda: beside.run(os.getpid)))
    gate.touch()
    for each in threads:
        each.join(60)
    assert not beside._SHORT._line._waiting, "nothing is kept of who does not wait"


def test_who_waits_in_vain_leaves_the_line():
    line = beside.Line()
    with line.turn():
        with working_for("10.0.0.1", "a"), pytest.raises(SerError), line.turn(0.01):
            pass
        assert n_waiting(line) == 0
    with line.turn(0):
        pass


def test_short_work_waits_for_no_long_work(tmp_path):
    gate = tmp_path / "gate"

    def long() -> None:
        with beside.long_work():
            beside.run(wait_for, gate)

    threads = [threading.Thread(target=long) for _ in range(4)]
    for each in threads:
        each.start()
    assert beside.run(str.upper, "mine") == "MINE" and not gate.exists()
    gate.touch()
    for each in threads:
        each.join(60)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX terms")
def test_long_work_steps_back_and_its_process_ends_when_there_is_none(monkeypatch):
    with beside.long_work():
        helper = beside.run(os.getpid)
        assert helper == beside.run(os.getpid) != beside.run(os.getppid)
        assert beside.run(os.nice, 0) >= beside.NICENESS
    stays = beside.run(os.getpid)
    assert stays != helper
    monkeypatch.setattr(beside, "REST_S", 0.0)
    assert gone(helper)
    assert beside.run(os.getpid) == stays
    with beside.long_work():
        assert beside.run(str.upper, "again") == "AGAIN"


def test_who_comes_first_is_first(tmp_path):
    place = tmp_path / "order"
    beside.run(note, place, "", 0.0)
    threads = [threading.Thread(target=beside.run, args=(note, place, name, 0.2)) for name in "abcdef"]
    for each in threads:
        each.start()
        time.sleep(0.05)
    for each in threads:
        each.join()
    assert place.read_text() == "abcdef"


def big_and_gone(clip: bytes) -> int:
    raise AudioError("This is no sound.")


def held_mb() -> float:
    return psutil.Process().memory_info().rss / 2**20


def test_nothing_of_a_work_is_kept_there():
    before = beside.run(held_mb)
    for work in (len, big_and_gone):
        with contextlib.suppress(AudioError):
            beside.run(work, b"clip" * 2**25)
    assert beside.run(held_mb) < before + 16


def test_it_asks_models_without_pandas(heard, models):
    beside._SHORT.end()  # tests that ran before may have had it loaded there
    answers = beside.run(beside.ask, heard, [(slug, "first") for slug in ("mlp", "cnn_lstm")], models)
    assert all(isinstance(each, Prediction) for each in answers)
    assert beside.run(eval, "'sklearn' in __import__('sys').modules and 'pandas' not in __import__('sys').modules")


def test_a_window_is_judged_there_as_in_one_process(heard, models):
    window = audio.Waveform(heard.clip.waveform.samples[:32_000], heard.clip.waveform.sample_rate)
    there, said = beside.run(beside.judge, [("cnn", "first"), ("gone", "first")], models, window)
    here, expected = segments.judge_with([store.load("cnn", models)])(window)
    assert there.quality == here.quality
    assert [each.probabilities for each in said] == [each.probabilities for each in expected]
    quiet = audio.Waveform(np.zeros(32_000, np.float32), audio.SAMPLE_RATE)
    assert beside.run(beside.judge, [("cnn", "first")], models, quiet)[1] == []


def test_what_takes_too_long_is_ended(monkeypatch):
    before = beside.run(os.getpid)
    monkeypatch.setattr(beside, "LIMIT_S", 0.5)
    with pytest.raises(SerError, match="longer than two minutes"):
        beside.run(time.sleep, 600)
    monkeypatch.undo()
    assert beside.run(os.getpid) != before
    assert gone(before)


def test_an_answer_that_could_not_be_read_is_nobody_elses(monkeypatch):
    load = pickle.load

    def half_read(file):
        monkeypatch.setattr(pickle, "load", load)
        raise MemoryError

    beside.run(os.getpid)
    monkeypatch.setattr(pickle, "load", half_read)
    with pytest.raises(MemoryError):
        beside.run(str.upper, "words of the first visitor")
    assert beside.run(str.upper, "mine") == "MINE"


AT_WORK = "threading.Thread(target=beside.run, args=(time.sleep, 600), daemon=True).start(); time.sleep(1)"


@pytest.mark.parametrize("at_work", [False, True], ids=["idle", "at work"])
@pytest.mark.parametrize("killed", [False, True], ids=["exit", "kill"])
def test_it_ends_with_its_server(killed, at_work, tmp_path):
    script = "import os, threading, time; from ser_core import beside; helper = beside.run(os.getpid)\n"
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
    assert gone(helper)
    assert not [each for each in psutil.process_iter() if marked(each, str(tmp_path))], (
        "another was started in its place"
    )


def marked(process: psutil.Process, mark: str) -> bool:
    try:
        return process.environ().get("SER_MARK") == mark
    except psutil.Error:
        return False


def gone(pid: int) -> bool:
    """Whether a process ends within ten seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.1)
    return False


def test_models_answer_as_they_do_in_one_process_and_a_damaged_one_says_why(heard, models):
    cards = store.list_models(models)[0]
    asked = [(card.slug, "first") for card in cards]
    (models / cards[0].slug / next(iter(cards[0].files))).write_bytes(b"damaged")
    answers = beside.run(beside.ask, heard, asked, models)
    assert isinstance(answers[0], str) and cards[0].slug in answers[0]
    others = analysis.recognize([store.load(card.slug, models) for card in cards[1:]], heard)
    assert [each.probabilities for each in answers[1:]] == [each.probabilities for each in others]


def test_a_model_is_read_again_where_its_key_has_changed(heard, models, monkeypatch):
    read = []
    original = store.load
    monkeypatch.setattr(store, "load", lambda slug, folder: read.append(slug) or original(slug, folder))
    slug = store.list_models(models)[0][-1].slug
    for key in ("as it was", "as it was", "trained anew"):
        beside.ask(heard, [(slug, key)], models)
    assert read == [slug, slug]
