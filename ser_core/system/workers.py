"""Work that a page server hands to worker processes: analysing a short clip or a window of a long one, and predicting.

A server's interpreter runs one of its threads at a time: measured in it, the clips of thirty visitors would hold up all pages. And a clip
that ends what decodes it ends a worker, which is started again, and no page. Models are loaded there alone.

Visitors take turns. There is one worker at first; another starts where work waits, up to priority.worker_count(). What may come a moment
later begins when nothing else waits, and is left out where too much does. Longer work, such as a whole recording of ten minutes, goes to
a worker of its own, which steps back and exists only while it is needed.

Work goes to a process's standard input and answers come from its standard output, each as a pickle; it ends as soon as its input does, and
so with the server, even when busy.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import pickle
import queue
import subprocess
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

from ser_core.errors import SerError
from ser_core.system import imports, priority

LIMIT_S = 120.0
"""Longer than this no work may take, nor a short one wait for its turn."""

LATER_S = 5.0
"""Longer than this no later work waits for its turn."""

MOST_LATER = 64
"""Works that may wait before a later one joins them: at 30 ms each, its turn comes within two seconds."""

REST_S = 60.0
"""After so long without work a worker that is not always needed ends, and its memory is free."""

MOST_OF_A_BROWSER = 8
"""Works of one browser that may wait at a time: it has one per tab, and one for a live session or a long recording."""

MOST_OF_AN_ADDRESS = 200
"""The same of all browsers at one address, which may be a proxy's with a hundred visitors behind it."""

TOO_MANY = (
    "{n} clips or moments from this {where} wait already, and no more may, so that everyone gets a turn. Try again in a moment, and close "
    "tabs of this app that you do not need."
)

NO_ROOM = "Much other work waits here just now and goes before this, so it was left out. Try again in a moment."

Who = tuple[str, str]
"""Whom work is for: an address and a browser there, as the pages know them. ("", "") is no particular visitor."""

WHO: ContextVar[Who] = ContextVar("who", default=("", ""))
"""Whom the work of this thread is for; set by whatever starts a thread for a visitor."""

WORKER_FAILED = (
    "The worker process ended while it analysed this clip, or took longer than two minutes. Try again; if that does not help, try "
    "another file."
)

# An interrupt is for the server, which ends this process.
_BEGIN = (
    "import pickle, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); sys.path[:] = pickle.load(sys.stdin.buffer); "
    "from ser_core.system import workers; workers.serve({niceness})"
)

Task = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]
"""A function of a module, and what it is called with."""

P = ParamSpec("P")
T = TypeVar("T")

_IS_LONG: ContextVar[bool] = ContextVar("is_long", default=False)
_IS_LATER: ContextVar[bool] = ContextVar("is_later", default=False)
_is_over = False


class NoRoomError(SerError):
    """Later work was left out, because too much other work waits."""


def run(work: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
    """Return work(*args, **named), a function of a module, done by a worker process; its SerErrors are raised here.

    Those whom work is for (WHO) take turns; what is for the same browser is begun in the order in which it comes. What was at work when
    a process ended is begun once more.

    Raises
    ------
    SerError : where that process ended both times, or was ended because it did not answer within LIMIT_S; where too much work of this
        browser or address waits already; where SER_WORKERS is no number of workers. A NoRoomError where later work was left out.
    RuntimeError : for any other error of the work, with what it said there.
    """
    answer: T = (_LONG if _IS_LONG.get() else _SHORT).run((work, args, named))
    return answer


def prepare(work: Callable[P, object], *args: P.args, **named: P.kwargs) -> None:
    """Do a work now, as `run` does, and first of all in each further worker: such as loading what all works need."""
    _SHORT.first_work = work, args, named
    run(work, *args, **named)


@contextlib.contextmanager
def long_work() -> Iterator[None]:
    """Inside this, `run` hands work to the worker for what takes longer than a moment, and nobody's short work waits for it."""
    before = _IS_LONG.set(True)
    try:
        yield
    finally:
        _IS_LONG.reset(before)


@contextlib.contextmanager
def later_work() -> Iterator[None]:
    """Inside this, `run` hands over work that begins when no other short work waits; it raises NoRoomError where too much does."""
    before = _IS_LATER.set(True)
    try:
        yield
    finally:
        _IS_LATER.reset(before)


class _Waiting:
    """Works that wait: addresses take turns, and at each of them its browsers. Whoever uses it holds a lock.

    Who has just had a turn comes last; the works of one browser keep their order.
    """

    def __init__(self) -> None:
        self._works: dict[str, dict[str, deque[threading.Event]]] = {}

    def __len__(self) -> int:
        return sum(len(works) for there in self._works.values() for works in there.values())

    def join(self, who: Who, mine: threading.Event) -> None:
        """Add a work of somebody; raises SerError where too many of theirs wait already."""
        address, browser = who
        there = self._works.get(address, {})
        if len(there.get(browser, ())) >= MOST_OF_A_BROWSER:
            raise SerError(TOO_MANY.format(n=MOST_OF_A_BROWSER, where="browser"))
        if sum(map(len, there.values())) >= MOST_OF_AN_ADDRESS:
            raise SerError(TOO_MANY.format(n=MOST_OF_AN_ADDRESS, where="address"))
        self._works.setdefault(address, {}).setdefault(browser, deque()).append(mine)

    def call_first(self) -> None:
        """Give a turn to the first."""
        address, there = next(iter(self._works.items()))
        browser, works = next(iter(there.items()))
        works.popleft().set()
        self.move_last((address, browser))

    def remove(self, who: Who, mine: threading.Event) -> None:
        """Take out a work that has waited in vain."""
        address, browser = who
        self._works[address][browser].remove(mine)

    def move_last(self, who: Who) -> None:
        """Put somebody behind the others that wait; nothing is kept of who does not."""
        address, browser = who
        there = self._works.pop(address, {})
        if works := there.pop(browser, None):
            there[browser] = works
        if there:
            self._works[address] = there


class Line:
    """Who waits for something that n can have at a time, and takes turns at it; what may come later goes behind all others."""

    def __init__(self, n: int = 1) -> None:
        self._lock = threading.Lock()
        self._n = n
        self._n_taken = 0
        self._first, self._later = _Waiting(), _Waiting()

    @contextlib.contextmanager
    def turn(
        self, wait_s: float | None = None, on_wait: Callable[[], None] | None = None, *, later: bool = False
    ) -> Iterator[None]:
        """Inside this, one less has a turn; it is WHO's. on_wait is called where it does not come at once. later: whether it may.

        Raises
        ------
        SerError : where too many of that browser or address wait already, or the turn has not come after wait_s seconds. A NoRoomError
            where what may come later finds MOST_LATER that wait, or the turn has not come after LATER_S.
        """
        who, mine, waiting = WHO.get(), threading.Event(), self._later if later else self._first
        with self._lock:
            if later and self._n_waiting >= MOST_LATER:
                raise NoRoomError(NO_ROOM)
            waiting.join(who, mine)
            self._call()
        try:
            if on_wait and not mine.is_set():
                on_wait()
            if not mine.wait(LATER_S if later else wait_s):
                raise NoRoomError(NO_ROOM) if later else SerError(WORKER_FAILED)
            yield
        finally:
            self._pass_on(who, mine, waiting)

    @property
    def n_waiting(self) -> int:
        """How many wait."""
        with self._lock:
            return self._n_waiting

    @property
    def _n_waiting(self) -> int:
        return len(self._first) + len(self._later)

    def widen(self, n: int) -> None:
        """Let n more have a turn at a time, or -n fewer from the next turns on."""
        with self._lock:
            self._n += n
            self._call()

    def _pass_on(self, who: Who, mine: threading.Event, waiting: _Waiting) -> None:
        with self._lock:
            if mine.is_set():
                self._n_taken -= 1
            else:  # waited in vain
                waiting.remove(who, mine)
            waiting.move_last(who)
            self._call()

    def _call(self) -> None:
        """Give the free turns to the first of those that wait."""
        while self._n_taken < self._n and (waiting := self._first or self._later):
            self._n_taken += 1
            waiting.call_first()


class _EndedError(Exception):
    """The process ended before it had an answer."""


class _Worker:
    """A worker process, started when there is work. Whoever uses it has a turn in the line of its pool.

    niceness: by how much it steps back. on_rest: called twice a second with a worker that has had nothing to do for REST_S.
    """

    def __init__(self, niceness: int, on_rest: Callable[[_Worker], None]) -> None:
        self._niceness = niceness
        self._on_rest = on_rest
        self._process: subprocess.Popen[bytes] | None = None
        self._begun_s: float | None = None
        self._ended_s = 0.0

    @property
    def is_busy(self) -> bool:
        """Whether it is at work."""
        return self._begun_s is not None

    @property
    def rests(self) -> bool:
        """Whether it has had nothing to do for REST_S."""
        return not self.is_busy and time.monotonic() - self._ended_s >= REST_S

    def run(self, task: Task) -> Any:
        """Return what comes of a work (see `run` of this module)."""
        try:
            result, problem = self._done(task)
        except _EndedError:
            try:
                result, problem = self._done(task)
            except _EndedError as error:
                raise SerError(WORKER_FAILED) from error
        if problem:
            raise problem
        return result

    def _done(self, task: Task) -> tuple[Any, Exception | None]:
        """Return what came of a task and what went wrong."""
        if _is_over:
            raise SerError(WORKER_FAILED)
        self._begun_s = begun_s = time.monotonic()
        try:
            process = self._started()
            assert process.stdin and process.stdout
            pickle.dump(
                task, process.stdin, pickle.HIGHEST_PROTOCOL
            )  # at once: a copy of a long recording would be large
            process.stdin.flush()
            answer: tuple[Any, Exception | None] = pickle.load(process.stdout)
            return answer
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            self.end()
            if _is_over or time.monotonic() - begun_s >= LIMIT_S:
                raise SerError(WORKER_FAILED) from error
            raise _EndedError from error
        except (
            BaseException
        ):  # such as too little memory for an answer: what is left of it, or of a task, must not go before the next
            self.end()
            raise
        finally:
            self._begun_s, self._ended_s = None, time.monotonic()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            command = [sys.executable, "-c", _BEGIN.format(niceness=self._niceness)]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            assert self._process.stdin
            self._process.stdin.write(pickle.dumps(sys.path))
            threading.Thread(target=self._watch, args=(self._process,), daemon=True).start()
        return self._process

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        """End the process when it takes too long over a work; tell where it has had none for long."""
        while process.poll() is None:
            time.sleep(0.5)
            begun_s = self._begun_s
            if begun_s is not None and time.monotonic() - begun_s >= LIMIT_S:
                process.kill()
            elif self.rests:
                self._on_rest(self)

    def end(self) -> None:
        """End the process, even when busy."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):  # work that was not sent in full
                if pipe:
                    pipe.close()


class _Pool:
    """Workers and the line before them: one at first, and where work waits another, up to `most`.

    niceness: of its workers. may_rest: whether the first one ends too when it rests; then work waits for its turn as long as it takes.
    first_work: what a further worker does before it takes part.
    """

    def __init__(self, most: Callable[[], int], *, niceness: int = 0, may_rest: bool = False) -> None:
        self.first_work: Task = (os.getpid, (), {})
        self.line = Line()
        self._most, self._niceness, self._may_rest = most, niceness, may_rest
        self._lock = threading.Lock()
        self._all = [_Worker(niceness, self._rest)]
        self._idle = set(self._all)
        self._is_growing = False

    @property
    def n_busy(self) -> int:
        """How many workers are at work."""
        return sum(each.is_busy for each in self._all)

    def run(self, task: Task) -> Any:
        """Return what comes of a work, once it is its turn (see `run` of this module)."""
        self._most()  # a number that cannot be used is told at the first work, and not when one first waits
        with self.line.turn(None if self._may_rest else LIMIT_S, self._grow, later=_IS_LATER.get()):
            with self._lock:  # the first ones have most of the work, so that the others may rest
                worker = next(each for each in self._all if each in self._idle)
                self._idle.remove(worker)
            try:
                return worker.run(task)
            finally:
                self._idle.add(worker)

    def _grow(self) -> None:
        """Have another worker started where there may be one, and none is being started."""
        with self._lock:
            if self._is_growing or len(self._all) >= self._most():
                return
            self._is_growing = True
        threading.Thread(target=self._start_workers, daemon=True).start()

    def _start_workers(self) -> None:
        """Start one worker after another while work waits. Nobody's work goes to one that is still loading its libraries."""
        while True:
            with self._lock:
                if not (self.line.n_waiting and len(self._all) < self._most()):
                    self._is_growing = False
                    return
            worker = _Worker(self._niceness, self._rest)
            try:
                worker.run(self.first_work)
            except Exception:  # the others go on without it; it is tried again when work next waits
                logging.getLogger(__name__).exception("A further worker could not be started")
                worker.end()
                with self._lock:
                    self._is_growing = False
                return
            with self._lock:
                self._all.append(worker)
                self._idle.add(worker)
            self.line.widen(1)

    def _rest(self, worker: _Worker) -> None:
        """End a worker that has nothing to do, where it is not always needed; one that is not the first goes for good."""
        is_first = worker is self._all[0]
        if is_first and not self._may_rest:
            return
        with contextlib.suppress(SerError), self.line.turn(0):
            with self._lock:
                if worker not in self._idle or not worker.rests:
                    return
                self._idle.remove(worker)
            worker.end()
            if is_first:
                self._idle.add(worker)
            else:
                with self._lock:
                    self._all.remove(worker)
                self.line.widen(-1)

    def end(self) -> None:
        """End all workers, even when busy: the server ends."""
        for each in self._all:
            each.end()


_SHORT = _Pool(priority.worker_count)
_LONG = _Pool(lambda: 1, niceness=priority.LONG_WORK, may_rest=True)


@atexit.register
def _leave() -> None:
    global _is_over
    _is_over = True
    for each in (_SHORT, _LONG):
        each.end()


def serve(niceness: int = 0) -> None:
    """Do the work that arrives, one after another, until the input ends: the main loop of a worker process."""
    if niceness:
        priority.step_back(niceness)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints must not come among the answers
    # scikit-learn loads both where they are installed: 60 MB that a prediction does not need.
    with imports.without("pandas", "rich"):
        import sklearn.pipeline  # noqa: F401
    tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(tasks,), daemon=True).start()
    with contextlib.suppress(BrokenPipeError):  # the server has ended
        while True:
            answers.write(_answer(*tasks.get()))
            answers.flush()


def _receive(tasks: queue.SimpleQueue[Task]) -> None:
    """Take what comes in; where that ends, end the process, which may be at a work that takes for ever."""
    try:
        while True:
            tasks.put(pickle.load(sys.stdin.buffer))
    except EOFError:
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def _answer(work: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any]) -> bytes:
    """Return what came of a work and its error, as a pickle. An error as it was raised would hold on to what was worked on."""
    try:
        return pickle.dumps((work(*args, **named), None), pickle.HIGHEST_PROTOCOL)
    except SerError as error:
        return pickle.dumps((None, type(error)(*error.args)))
    except Exception as error:  # the edge of the process
        return pickle.dumps((None, RuntimeError("".join(traceback.format_exception(error)))))
