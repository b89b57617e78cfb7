"""Work that a server of pages hands to a process beside it: hearing a short clip or a window of a long one, asking models.

A server's interpreter runs one of its threads at a time: measured in it, the clips of thirty visitors would hold up all pages. And a clip
that ends what decodes it ends this process, which is started again, and no page. Models are loaded there alone.

Work goes to its standard input and answers come from its standard output, each as a pickle; it ends as soon as its input does, and so with
the server, whatever it is at.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import pickle
import queue
import subprocess
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from ser_core import analysis, store
from ser_core.analysis import Analysis
from ser_core.audio import Waveform
from ser_core.errors import SerError
from ser_core.recognizer import Prediction, Recognizer

LIMIT_S = 120.0
"""Longer than this no work may take, nor wait for its turn."""

UNDONE = (
    "The process that looks at clips has ended while it was at this one, or took longer than two minutes. Try it once more; if that does "
    "not help, try another file."
)

# An interrupt is for the server, which ends this process.
_BEGIN = (
    "import pickle, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); sys.path[:] = pickle.load(sys.stdin.buffer); "
    "from ser_core import beside; beside.serve()"
)

P = ParamSpec("P")
T = TypeVar("T")

_process: subprocess.Popen[bytes] | None = None
_begun_s: float | None = None
_is_over = False
_lock = threading.Lock()
_waiting: deque[threading.Event] = deque()


def run(work: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
    """Return work(*args, **named), a function of a module, done by the process beside; its SerErrors are raised here.

    Work is done in the order in which it comes. What was at work when the process ended is begun once more.

    Raises
    ------
    SerError : where that process ended both times, or was ended because it did not answer within LIMIT_S.
    RuntimeError : for any other error of the work, with what it said there.
    """
    task = pickle.dumps((work, args, named), pickle.HIGHEST_PROTOCOL)
    with _turn():
        try:
            result, problem = _done(task)
        except _EndedError:
            try:
                result, problem = _done(task)
            except _EndedError as error:
                raise SerError(UNDONE) from error
    if problem:
        raise problem
    answer: T = result
    return answer


class _EndedError(Exception):
    """The process ended before it had an answer."""


@contextlib.contextmanager
def _turn() -> Iterator[None]:
    """Inside this, nobody else hands work over; whoever came first is first."""
    mine = threading.Event()
    with _lock:
        _waiting.append(mine)
        _waiting[0].set()
    try:
        if not mine.wait(LIMIT_S):
            raise SerError(UNDONE)
        yield
    finally:
        with _lock:
            _waiting.remove(mine)
            if _waiting:
                _waiting[0].set()


def _done(task: bytes) -> tuple[Any, Exception | None]:
    """Return what came of a task and what went wrong; whoever calls has the turn."""
    global _begun_s
    if _is_over:
        raise SerError(UNDONE)
    _begun_s = begun_s = time.monotonic()
    try:
        process = _started()
        assert process.stdin and process.stdout
        process.stdin.write(task)
        process.stdin.flush()
        answer: tuple[Any, Exception | None] = pickle.load(process.stdout)
        return answer
    except (OSError, EOFError, pickle.UnpicklingError) as error:
        _end()
        if _is_over or time.monotonic() - begun_s >= LIMIT_S:
            raise SerError(UNDONE) from error
        raise _EndedError from error
    except BaseException:  # such as too little memory for an answer: what is left of it must not be taken for the next
        _end()
        raise
    finally:
        _begun_s = None


def _started() -> subprocess.Popen[bytes]:
    global _process
    if _process is None:
        _process = subprocess.Popen([sys.executable, "-c", _BEGIN], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert _process.stdin
        _process.stdin.write(pickle.dumps(sys.path))
        threading.Thread(target=_watch, args=(_process,), daemon=True).start()
    return _process


def _watch(process: subprocess.Popen[bytes]) -> None:
    """End the process when it takes too long over a work."""
    while process.poll() is None:
        time.sleep(0.5)
        begun_s = _begun_s
        if begun_s is not None and time.monotonic() - begun_s >= LIMIT_S:
            process.kill()


@atexit.register
def _leave() -> None:
    global _is_over
    _is_over = True
    _end()


def _end() -> None:
    global _process
    process, _process = _process, None
    if process is None:
        return
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):  # work that was not sent in full
            if pipe:
                pipe.close()


def serve() -> None:
    """Do the work that comes in, one after another, until there will be no more: what the process beside does."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints must not come among the answers
    # scikit-learn loads pandas where that is: 60 MB that asking a model does not need.
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


def ask(heard: Analysis, models: Sequence[tuple[str, str]], folder: Path) -> list[Prediction | str]:
    """Return what some models of a models folder say of a clip, each a prediction or the sentence why it cannot, in their order.

    models: slug and key of each; a model is read again where its key has changed. What models of one kind and the same settings see of
    the clip is made once. Done in whichever process calls it; models from elsewhere answer from a process of their own (sandbox.py).
    """
    seen = analysis.inputs(heard)
    answers: list[Prediction | str] = []
    for slug, key in models:
        try:
            model = _load(slug, key, folder)
            answers.append(model.answer(seen(model.config, model.input_kind)))
        except SerError as error:
            answers.append(str(error))
    return answers


def judge(models: Sequence[tuple[str, str]], folder: Path, waveform: Waveform) -> tuple[Analysis, list[Prediction]]:
    """Return what is measured in a window, and where there is speech in it, what those of some models say that can (see `ask`)."""
    measured = analysis.measure_samples(waveform)
    answers = ask(measured, models, folder) if measured.quality.has_speech else []
    return measured, [each for each in answers if isinstance(each, Prediction)]


@functools.lru_cache(maxsize=16)
def _load(slug: str, key: str, folder: Path) -> Recognizer:
    return store.load(slug, folder)
