"""Work that a page server hands to a worker process: analysing a short clip or a window of a long one, and predicting.

A server's interpreter runs one of its threads at a time: measured in it, the clips of thirty visitors would hold up all pages. And a clip
that ends what decodes it ends this process, which is started again, and no page. Models are loaded there alone.

Visitors take turns. Longer work, such as a whole recording of ten minutes, goes to a second process, which
runs at the lowest priority and exists only while it is needed.

Work goes to a process's standard input and answers come from its standard output, each as a pickle; it ends as soon as its input does, and
so with the server, even when busy.
"""

from __future__ import annotations

import atexit
import contextlib
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
from ser_core.system import priority

LIMIT_S = 120.0
"""Longer than this no work may take, nor a short one wait for its turn."""

REST_S = 60.0
"""After so long without work the process for long work ends, and its memory is free."""

MOST_OF_A_BROWSER = 8
"""Works of one browser that may wait at a time: it has one per tab, and one for a live session or a long recording."""

MOST_OF_AN_ADDRESS = 200
"""The same of all browsers at one address, which may be a proxy's with a hundred visitors behind it."""

TOO_MANY = (
    "{n} clips or moments from this {where} wait already, and no more may, so that everyone gets a turn. Try again in a moment, and close "
    "tabs of this app that you do not need."
)

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
    "from ser_core.system import workers; workers.serve({nice})"
)

P = ParamSpec("P")
T = TypeVar("T")

_IS_LONG: ContextVar[bool] = ContextVar("is_long", default=False)
_is_over = False


def run(work: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
    """Return work(*args, **named), a function of a module, done by a worker process; its SerErrors are raised here.

    Those whom work is for (WHO) take turns; what is for the same browser is done in the order in which it comes. What was at work when
    the process ended is begun once more.

    Raises
    ------
    SerError : where that process ended both times, or was ended because it did not answer within LIMIT_S; where too much work of this
        browser or address waits already.
    RuntimeError : for any other error of the work, with what it said there.
    """
    answer: T = (_LONG if _IS_LONG.get() else _SHORT).run(work, args, named)
    return answer


@contextlib.contextmanager
def long_work() -> Iterator[None]:
    """Inside this, `run` hands work to the process for what takes longer than a moment, and nobody's short work waits for it."""
    before = _IS_LONG.set(True)
    try:
        yield
    finally:
        _IS_LONG.reset(before)


class Line:
    """Who waits for something that one can have at a time: addresses take turns, and at each of them its browsers.

    Who has just had a turn comes last; the works of one browser keep their order.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_taken = False
        self._waiting: dict[str, dict[str, deque[threading.Event]]] = {}

    @contextlib.contextmanager
    def turn(self, wait_s: float | None = None) -> Iterator[None]:
        """Inside this, nobody else has a turn; it is WHO's.

        Raises
        ------
        SerError : where too many of that browser or address wait already, or the turn has not come after wait_s seconds.
        """
        who, mine = WHO.get(), threading.Event()
        self._join(who, mine)
        try:
            if not mine.wait(wait_s):
                raise SerError(WORKER_FAILED)
            yield
        finally:
            self._pass_on(who, mine)

    def _join(self, who: Who, mine: threading.Event) -> None:
        address, browser = who
        with self._lock:
            there = self._waiting.get(address, {})
            if len(there.get(browser, ())) >= MOST_OF_A_BROWSER:
                raise SerError(TOO_MANY.format(n=MOST_OF_A_BROWSER, where="browser"))
            if sum(map(len, there.values())) >= MOST_OF_AN_ADDRESS:
                raise SerError(TOO_MANY.format(n=MOST_OF_AN_ADDRESS, where="address"))
            self._waiting.setdefault(address, {}).setdefault(browser, deque()).append(mine)
            if not self._is_taken:
                self._call()

    def _pass_on(self, who: Who, mine: threading.Event) -> None:
        address, browser = who
        with self._lock:
            if not mine.is_set():  # waited in vain
                self._waiting[address][browser].remove(mine)
                self._tidy(who)
                return
            if there := self._waiting.pop(address, None):
                self._waiting[address] = there
                if works := there.pop(browser, None):
                    there[browser] = works
            self._is_taken = False
            if self._waiting:
                self._call()

    def _call(self) -> None:
        """Give the turn to the first of those that wait."""
        address, there = next(iter(self._waiting.items()))
        browser, works = next(iter(there.items()))
        self._is_taken = True
        works.popleft().set()
        self._tidy((address, browser))

    def _tidy(self, who: Who) -> None:
        """Keep nothing of who does not wait."""
        address, browser = who
        if not self._waiting[address][browser]:
            del self._waiting[address][browser]
        if not self._waiting[address]:
            del self._waiting[address]


class _EndedError(Exception):
    """The process ended before it had an answer."""


class _Worker:
    """A worker process and the queue before it: started when there is work.

    nice: by how much it steps back. may_rest: whether it ends once it had nothing to do for REST_S; then work waits for its turn as long
    as it takes.
    """

    def __init__(self, *, nice: int = 0, may_rest: bool = False) -> None:
        self._nice = nice
        self._may_rest = may_rest
        self._line = Line()
        self._process: subprocess.Popen[bytes] | None = None
        self._begun_s: float | None = None
        self._ended_s = 0.0

    def run(self, work: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Return what comes of a work, once it is its turn (see `run` of this module)."""
        with self._line.turn(None if self._may_rest else LIMIT_S):
            task = work, args, named
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

    def _done(self, task: tuple[Any, ...]) -> tuple[Any, Exception | None]:
        """Return what came of a task and what went wrong; whoever calls has the turn."""
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
            command = [sys.executable, "-c", _BEGIN.format(nice=self._nice)]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            assert self._process.stdin
            self._process.stdin.write(pickle.dumps(sys.path))
            threading.Thread(target=self._watch, args=(self._process,), daemon=True).start()
        return self._process

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        """End the process when it takes too long over a work, or has had none for long."""
        while process.poll() is None:
            time.sleep(0.5)
            begun_s = self._begun_s
            if begun_s is not None and time.monotonic() - begun_s >= LIMIT_S:
                process.kill()
            elif self._rests():
                with contextlib.suppress(SerError), self._line.turn(0):
                    if self._rests():
                        self.end()

    def _rests(self) -> bool:
        return self._may_rest and self._begun_s is None and time.monotonic() - self._ended_s >= REST_S

    def end(self) -> None:
        """End the process, even when busy; the caller has the turn, or the server ends."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):  # work that was not sent in full
                if pipe:
                    pipe.close()


_SHORT, _LONG = _Worker(), _Worker(nice=priority.LONG_WORK, may_rest=True)


@atexit.register
def _leave() -> None:
    global _is_over
    _is_over = True
    for each in (_SHORT, _LONG):
        each.end()


def serve(nice: int = 0) -> None:
    """Do the work that arrives, one after another, until the input ends: the main loop of a worker process."""
    if nice:
        priority.step_back(nice)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints must not come among the answers
    # scikit-learn loads pandas where it is installed: 60 MB that a prediction does not need.
    sys.modules["pandas"] = None  # type: ignore[assignment]
    import sklearn.base  # noqa: F401

    del sys.modules["pandas"]
    tasks: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(tasks,), daemon=True).start()
    with contextlib.suppress(BrokenPipeError):  # the server has ended
        while True:
            answers.write(_answer(*tasks.get()))
            answers.flush()


def _receive(tasks: queue.SimpleQueue[tuple[Any, ...]]) -> None:
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
