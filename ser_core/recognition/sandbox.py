"""An untrusted model in a separate process with an empty folder, none of the server's environment, and limits on its resources.

`try_out` checks a model before it is imported, `ForeignClassifier` wraps one wherever models predict. The process receives JSON and
bytes, and answers in JSON: even if it is compromised, nothing that it sends is executed.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ser_core import classifiers, paths
from ser_core.errors import ModelError
from ser_core.system import imports, priority, units, untrusted_json

MOST_MS = 250
"""Processor time for a clip of a few seconds. The shipped models take 2 ms, the slowest that can be trained here a few dozen."""

TRIES = 3
"""Number of timed runs, of which the fastest counts: the first initialises, and a busy machine slows some."""

MEMORY = 2**30
"""Bytes of data that the process may hold. It starts with 200 MB, and a weight file of 64 MB briefly takes several times its size."""

START_S = 60.0
"""Seconds to load the libraries, which takes one or two: only an overloaded machine needs more."""

TRIAL_S = 60.0
"""Seconds for the rest of a trial. The limit that matters is processor time; a busy machine needs longer."""

LOAD_S = 10.0
ASK_S = 2.0
"""Seconds within which a model must be loaded and must answer."""

WAIT_S = 10.0
"""Seconds to wait for others who use the same model."""

PAUSE_S = 30.0
"""Seconds for which a failed model is not tried again; the error is raised at once."""

IDLE_S = 300.0
"""Seconds after which an idle process is ended."""

MOST_AT_ONCE = 4
"""Most processes that are kept; the least recently used one is ended first."""

ITEMS = {"vector": 1024, "embedding": 1024, "frames": 64}
"""Most items per request, by input kind: for a network the windows of two minutes."""

MOST_PROCESSOR_S = 600
"""Requests of a process over its life; then it is replaced."""

ENDED = "The model's file is damaged in a way that ends the program that reads it. Export the model again."
TOO_SLOW = f"The model takes more than {MOST_MS} ms for a clip, or does not end at all. Train a smaller one."
TOO_LARGE = f"The model takes more than {units.size(MEMORY, binary=True)} of memory. Train a smaller one."
NO_ANSWER = f"This imported model did not answer within {ASK_S:g} s. It is tried again in half a minute."
BUSY = "Too many others use this imported model. Try again in a moment."
NO_START = "The process that runs imported models could not be started. Close other programs, or start the app again."
NO_PROBABILITIES = "The model's answers are not probabilities. Retrain it where it comes from."

_ROOT = str(paths.PROJECT)
_KEPT = ("SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""Environment variables that an interpreter may need."""

_ANSWER_BYTES, _HEADER_BYTES, _PROBLEM_LETTERS = 2**20, 10_000, 400
_TOO_LONG = -getattr(signal, "SIGXCPU", 0)

# Ctrl+C is for the server, which ends this process.
_BEGIN = (
    "import json, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); sys.path[:] = json.loads(sys.stdin.buffer.readline()); "
    "from ser_core.recognition import sandbox; sandbox.serve(sys.argv[1])"
)


@dataclass(frozen=True)
class Model:
    """What is needed to run a model: its classifier's name, its labels and the bytes of its weight file."""

    classifier: str
    labels: tuple[str, ...]
    content: bytes

    @property
    def kind(self) -> str:
        """Its input kind, which decides what libraries the process loads."""
        return classifiers.CLASSIFIERS[self.classifier].input_kind


class LostError(Exception):
    """The process has ended: by itself, or because of an invalid reply, or, where `late`, because it took too long."""

    def __init__(self, *, late: bool) -> None:
        super().__init__(late)
        self.late = late


class Process:
    """A process for models of one input kind, one after another. One thread at a time may use it; once lost it cannot be reused."""

    def __init__(self, kind: str) -> None:
        """Start it; raises ModelError where that fails."""
        self._folder = tempfile.TemporaryDirectory(prefix="ser-sandbox-", ignore_cleanup_errors=True)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", _BEGIN, kind],
                cwd=self._folder.name,
                env=_environment(self._folder.name),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            _living.add(self)
            self._exchange(json.dumps([_ROOT, *filter(os.path.isabs, sys.path)]), b"", START_S)
        except (LostError, OSError):
            self._folder.cleanup()
            raise ModelError(NO_START) from None

    @property
    def id(self) -> int:
        """Its process id."""
        return self._process.pid

    def load(self, model: Model, *, limit_s: float = LOAD_S) -> None:
        """Load a model; raises ModelError where it cannot be loaded, LostError."""
        self._ask({"classifier": model.classifier, "labels": model.labels}, model.content, limit_s, limit_s)

    def predict(
        self, items: np.ndarray, *, limit_s: float = ASK_S, processor_s: float = ASK_S
    ) -> tuple[np.ndarray, float]:
        """Return the model's answers to items, float64 (n, n_labels) if it is sound, and the processor time that they took in seconds.

        limit_s, processor_s : it is ended after so much wall time, or processor time. Raises ModelError, LostError.
        """
        items = np.ascontiguousarray(items, dtype=np.float32)
        answer = self._ask({"shape": items.shape}, items.tobytes(), limit_s, processor_s)
        try:
            return np.array(answer["probabilities"], dtype=np.float64), float(answer["seconds"])
        except (KeyError, TypeError, ValueError, OverflowError):
            self.end()
            raise LostError(late=False) from None

    def _ask(self, values: Mapping[str, Any], content: bytes, limit_s: float, processor_s: float) -> dict[str, Any]:
        header = json.dumps({**values, "size": len(content), "processor_s": processor_s})
        answer = self._exchange(header, content, limit_s)
        if "problem" in answer:
            raise ModelError(
                "".join(letter if letter.isprintable() else " " for letter in str(answer["problem"])[:_PROBLEM_LETTERS])
            )
        return answer

    def _exchange(self, header: str, content: bytes, limit_s: float) -> dict[str, Any]:
        """Return the reply to a header and its payload."""
        assert self._process.stdin and self._process.stdout
        late = threading.Event()

        def end_late() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(limit_s, end_late)
        timer.daemon = True
        timer.start()
        answer = None
        try:
            self._process.stdin.write(header.encode() + b"\n")
            self._process.stdin.write(content)
            self._process.stdin.flush()
            line = self._process.stdout.readline(_ANSWER_BYTES)
            answer = untrusted_json.loads(line) if line.endswith(b"\n") else None
        except (OSError, ValueError):  # it has ended, or its reply is not JSON
            pass
        finally:
            timer.cancel()
        if not isinstance(answer, dict):
            self.end()
            raise LostError(late=late.is_set() or self._process.returncode == _TOO_LONG)
        return answer

    def end(self) -> None:
        """End it, even when busy."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):  # data that was not sent in full
                if pipe:
                    pipe.close()
        self._folder.cleanup()


_living: weakref.WeakSet[Process] = weakref.WeakSet()


@atexit.register
def _leave() -> None:
    for process in list(_living):
        process.end()


def try_out(model: Model, items: np.ndarray) -> None:
    """Load an untrusted model, and run it on the items of a clip.

    Raises
    ------
    ModelError : where it cannot be loaded, ends its process, takes more than MOST_MS or MEMORY, or answers with no probabilities.
    """
    process = Process(model.kind)
    deadline = time.monotonic() + TRIAL_S
    try:
        process.load(model, limit_s=LOAD_S)
        took_s = []
        for _ in range(TRIES):
            left_s = max(deadline - time.monotonic(), 0.0)
            answers, seconds = process.predict(items, limit_s=left_s, processor_s=1 + TRIES * MOST_MS / 1000)
            took_s.append(seconds)
    except LostError as error:
        raise ModelError(TOO_SLOW if error.late else ENDED) from None
    finally:
        process.end()
    if min(took_s) * 1000 > MOST_MS:
        raise ModelError(TOO_SLOW)
    _check(answers, len(items), len(model.labels))


def _check(answers: np.ndarray, n: int, n_labels: int) -> None:
    fits = answers.shape == (n, n_labels)
    if not (
        fits
        and np.isfinite(answers).all()
        and (answers >= -1e-6).all()
        and np.allclose(answers.sum(axis=1), 1, atol=1e-3)
    ):
        raise ModelError(NO_PROBABILITIES)


class ForeignClassifier:
    """An untrusted model behind the Classifier contract: it runs in a separate process, which starts with the first request.

    Safe to share between threads: they wait for each other, but not for other models.
    """

    def __init__(self, labels: tuple[str, ...], read: Callable[[], Model]) -> None:
        """read() returns the model whenever a process starts; it may raise ModelError."""
        self.labels = labels
        self._read = read
        self._turn = threading.Lock()
        self._process: Process | None = None
        self._asked_s = 0.0
        self._failed_s, self._problem = -math.inf, ""
        _foreign.add(self)

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return probabilities of items, float64 (n, n_labels).

        Raises
        ------
        ModelError : where the model cannot be loaded, or does not answer in time with probabilities; if the process was lost, for
            PAUSE_S after that.
        """
        self._refuse_failed()
        if not self._turn.acquire(timeout=WAIT_S):
            raise ModelError(BUSY)
        try:
            self._refuse_failed()  # another thread loaded it meanwhile
            self._asked_s = time.monotonic()
            n = ITEMS["vector" if X.ndim == 2 else "frames"]
            return np.concatenate([self._answers(X[start : start + n]) for start in range(0, len(X), n)])
        finally:
            self._turn.release()

    def _refuse_failed(self) -> None:
        if time.monotonic() - self._failed_s < PAUSE_S:
            raise ModelError(self._problem)

    def _failed(self, problem: str) -> ModelError:
        """Return the error to raise, and remember it for PAUSE_S."""
        self._failed_s, self._problem = time.monotonic(), problem
        return ModelError(problem)

    def _answers(self, items: np.ndarray) -> np.ndarray:
        """Return its answers to items; where an existing process ends, a new one is tried."""
        for was_there in (self._process is not None, False):
            try:
                answers, _ = self._started().predict(items)
                break
            except LostError as error:
                self._process = None
                if error.late or not was_there:
                    raise self._failed(NO_ANSWER if error.late else ENDED) from None
        _check(answers, len(items), len(self.labels))
        return answers

    def _started(self) -> Process:
        if self._process is None:
            model = self._read()
            _make_room()
            try:
                process = Process(model.kind)
            except ModelError as error:
                raise self._failed(str(error)) from None
            try:
                process.load(model)
            except ModelError as error:
                process.end()
                raise self._failed(str(error)) from None
            self._process = process
            threading.Thread(target=_end_idle, args=(weakref.ref(self),), daemon=True).start()
        return self._process

    def rest(self, *, asked_before_s: float) -> bool:
        """End the process, unless it is busy or was used later than that; return whether there is none now."""
        if not self._turn.acquire(blocking=False):
            return False
        try:
            if self._process and self._asked_s <= asked_before_s:
                self._process.end()
                self._process = None
            return self._process is None
        finally:
            self._turn.release()

    def __del__(self) -> None:
        if self._process:
            self._process.end()


_foreign: weakref.WeakSet[ForeignClassifier] = weakref.WeakSet()


def _make_room() -> None:
    """End the least recently used processes, to make room for one more."""
    there = sorted((each for each in list(_foreign) if each._process), key=lambda each: each._asked_s)
    for each in there[: max(len(there) - MOST_AT_ONCE + 1, 0)]:
        each.rest(asked_before_s=math.inf)


def _end_idle(classifier: weakref.ref[ForeignClassifier]) -> None:
    """Check periodically whether a model's process is still used, until it has ended."""
    while True:
        time.sleep(IDLE_S / 10)
        here = classifier()
        if here is None or here.rest(asked_before_s=time.monotonic() - IDLE_S):
            return
        del here


def _environment(folder: str) -> dict[str, str]:
    """Return the environment of the process: its empty folder, and a single thread."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return kept | dict.fromkeys(("HOME", "TMPDIR", "TEMP", "TMP"), folder) | priority.ONE_THREAD


def serve(kind: str) -> None:
    """Load and run the models that are sent, until the input ends: the main loop of the process, once it is confined."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # output of libraries must not mix with the replies
    _load_libraries(kind)
    _shut_in()
    model: classifiers.Classifier | None = None
    told: dict[str, Any] = {}
    while True:
        answers.write(json.dumps(told).encode() + b"\n")
        answers.flush()
        header = sys.stdin.buffer.readline(_HEADER_BYTES)
        if not header:
            return
        values = json.loads(header)
        content = sys.stdin.buffer.read(values["size"])
        _allow(values["processor_s"])
        model, told = answer(model, values, content)


def answer(
    model: classifiers.Classifier | None, values: Mapping[str, Any], content: bytes
) -> tuple[classifiers.Classifier | None, dict[str, Any]]:
    """Return the loaded model after a request, and the reply."""
    try:
        if "classifier" in values:
            return classifiers.load_foreign(values["classifier"], content, tuple(values["labels"])), {}
        if model is None:
            raise ModelError("The model could not be loaded.")
        begun_s = time.process_time()
        probabilities = model.predict_proba(np.frombuffer(content, np.float32).reshape(values["shape"]))
        took_s = time.process_time() - begun_s
        if probabilities.shape != (values["shape"][0], len(model.labels)):
            raise ModelError(NO_PROBABILITIES)
        return model, {"probabilities": probabilities.tolist(), "seconds": took_s}
    except ModelError as error:
        return model, {"problem": str(error)}
    except Exception as error:  # untrusted weights may raise any error of NumPy, scikit-learn and ONNX Runtime
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        if isinstance(error, MemoryError) or "bad_alloc" in reason:
            return model, {"problem": TOO_LARGE}
        return model, {"problem": f"The model cannot answer: {reason}. Retrain it where it comes from."}


def _load_libraries(kind: str) -> None:
    """Load what models of this kind need, by running one where loading is lazy: later no file can be opened."""
    if kind == "frames":
        import onnx.checker  # noqa: F401

        from ser_core.classifiers import _onnx  # noqa: F401
    else:
        # scikit-learn loads pandas where it is installed: 60 MB that a prediction does not need.
        with imports.without("pandas"):
            import skops.io

            from ser_core.classifiers import _sklearn
        small = _sklearn.SklearnClassifier("lda", ("happy", "sad"), {"shrinkage": 0.5})
        small.fit(np.eye(6, dtype=np.float32), np.arange(6) % 2)
        again = _sklearn.SklearnClassifier.read(small.name, skops.io.dumps(small.pipeline_), small.labels)
        again.predict_proba(np.eye(6, dtype=np.float32))


def _shut_in() -> None:
    """Confine this process: no memory beyond MEMORY, no files, sockets or child processes."""
    try:
        import resource
    except ImportError:  # on Windows only the time is limited
        return
    for limit, most in (
        ("DATA", MEMORY),
        ("CPU", MOST_PROCESSOR_S),
        ("FSIZE", 0),
        ("CORE", 0),
        ("NOFILE", 0),
        ("NPROC", 0),
    ):
        with contextlib.suppress(ValueError, OSError):  # the system's limit is lower, or it has no such limit
            resource.setrlimit(getattr(resource, f"RLIMIT_{limit}"), (most, most))


def _allow(processor_s: float) -> None:
    """End this process after so much more processor time, which also ends it when its server is gone."""
    try:
        import resource
    except ImportError:
        return
    used_s = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(
            resource.RLIMIT_CPU, (min(math.ceil(used_s + processor_s), MOST_PROCESSOR_S), MOST_PROCESSOR_S)
        )
