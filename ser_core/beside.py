"""Work that a server of pages hands to a process beside it: hearing a short clip, asking models.

A server's interpreter runs one of its threads at a time: measured in it, the clips of thirty visitors would hold up all pages. And a clip
that ends what decodes it ends this process, which is started again, and no page.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from joblib.externals.loky import ProcessPoolExecutor
from joblib.externals.loky.backend import get_context
from joblib.externals.loky.process_executor import BrokenProcessPool, ShutdownExecutorError

from ser_core import analysis, store
from ser_core.analysis import Analysis
from ser_core.errors import SerError
from ser_core.recognizer import Prediction, Recognizer

LIMIT_S = 120.0
"""Longer than this no work may take, those before it included; twice that where the process had to be started again."""

IDLE_S = 3600.0
"""After this without work the process ends; the next work starts it again."""

UNDONE = (
    "The process that looks at clips has ended while it was at this one, or took longer than two minutes. Try it once more; if that does "
    "not help, try another file."
)

P = ParamSpec("P")
T = TypeVar("T")

_executor: ProcessPoolExecutor | None = None
_lock = threading.Lock()
_alone = threading.Lock()


def run(work: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
    """Return work(*args, **named), a function of a module, done by the process beside; its errors are raised here.

    What was at work, or waiting, when the process ended is begun once more, one after the other: so a work that ends it again takes at most
    such with it as have just come.

    Raises
    ------
    SerError : where that process ended both times, or was ended because it did not answer within LIMIT_S.
    """
    try:
        return _done(work, args, named)
    except _EndedError:
        pass
    with _alone:
        try:
            return _done(work, args, named)
        except _EndedError as error:
            raise SerError(UNDONE) from error


class _EndedError(Exception):
    """The process ended before it had an answer."""


def _done(work: Callable[P, T], args: tuple[Any, ...], named: dict[str, Any]) -> T:
    executor = _started()
    try:
        future = executor.submit(_told, work, args, named)
        result, problem = future.result(timeout=LIMIT_S)
    except (BrokenProcessPool, ShutdownExecutorError) as error:
        _give_up(executor)
        raise _EndedError from error
    except TimeoutError:
        if future.done():  # one that the work itself met
            raise
        _give_up(executor)
        raise SerError(UNDONE) from None
    if problem:
        raise problem
    answer: T = result
    return answer


def _told(work: Callable[P, T], args: tuple[Any, ...], named: dict[str, Any]) -> tuple[T | None, SerError | None]:
    """Call the work in the process beside. An error that left it as such would stay there until the next, with what was worked on."""
    try:
        return work(*args, **named), None
    except SerError as error:
        return None, type(error)(*error.args)


def ask(heard: Analysis, models: Sequence[tuple[str, str]], folder: Path) -> list[Prediction | str]:
    """Return what some models of a models folder say of a clip, each a prediction or the sentence why it cannot, in their order.

    models: slug and key of each; a model is read again where its key has changed. What models of one kind and the same settings see of
    the clip is made once. Done in whichever process calls it.
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


@functools.lru_cache(maxsize=16)
def _load(slug: str, key: str, folder: Path) -> Recognizer:
    return store.load(slug, folder)


def _started() -> ProcessPoolExecutor:
    global _executor
    with _lock:
        if _executor is None:
            _executor = ProcessPoolExecutor(1, timeout=IDLE_S, context=get_context("loky"), initializer=_begin, initargs=(os.getpid(),))
        return _executor


def _give_up(executor: ProcessPoolExecutor) -> None:
    global _executor
    with _lock:
        is_first = _executor is executor
        if is_first:
            _executor = None
    if is_first:
        executor.shutdown(wait=False, kill_workers=True)


def _begin(server: int) -> None:
    """Called once in the process: leave an interrupt to the server, and end with it; on Windows, after IDLE_S where it was killed."""
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "fork"):  # elsewhere a process keeps the number of the one that started it
        threading.Thread(target=_follow, args=(server,), daemon=True).start()


def _follow(server: int) -> None:
    while os.getppid() == server:
        time.sleep(1)
    os._exit(0)
