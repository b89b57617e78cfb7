"""Signals, corpora and runs that several tests share, the order of the tests, and which of them are measured."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import coverage
import numpy as np
import pytest

from ser_core.audio.waveform import SAMPLE_RATE
from ser_core.system import locks, priority, workers
from ser_core.training import jobs, supervisor
from tests.support import corpora, models
from tests.support.waiting import until

os.environ[priority.MOST] = "0"  # where several tests keep all cores busy, a process that steps back would get nothing

NOT_MEASURED = {"browser", "pages"}
"""Folders whose tests are about the pages: what they show of ser_core its own tests show, and a tracer slows Streamlit by half."""


def pytest_xdist_auto_num_workers() -> int:
    """Return a process more than there are cores: some are at tests that mostly wait (see below)."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Take a file of the browser's, which mostly waits, and another one, which mostly computes, in turn; those with slow tests first.

    Begun last, a long file would keep a single process busy alone.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    by_kind: dict[bool, dict[Path, None]] = {True: {}, False: {}}  # of the browser's or not -> its files
    for path in sorted(dict.fromkeys(item.path for item in items), key=lambda path: path not in slow):
        by_kind["browser" in path.parts][path] = None
    turns = {path: (turn, kind) for kind, files in by_kind.items() for turn, path in enumerate(files)}
    items.sort(key=lambda item: turns[item.path])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Where coverage is measured, leave it out for tests of pages, and for the processes that they start."""
    measuring = coverage.Coverage.current()
    if measuring is None or not NOT_MEASURED.intersection(item.path.parts):
        return (yield)
    measuring.stop()
    try:
        with children_not_measured():
            return (yield)
    finally:
        measuring.start()


@contextlib.contextmanager
def children_not_measured() -> Iterator[None]:
    """Inside this, coverage is not measured in the processes that are started."""
    held = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("COVERAGE_PROCESS")}
    try:
        yield
    finally:
        os.environ.update(held)


@pytest.fixture(scope="session", autouse=True)
def _workers_are_not_measured() -> Iterator[None]:
    """A worker is ended outright, and tells nothing of what it covered: it is spared the tracer."""
    started = workers._Worker._started  # nothing public starts a worker and no work
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers._Worker, "_started", children_not_measured()(started))
        yield


@pytest.fixture
def rng() -> np.random.Generator:
    """The same random numbers in every run."""
    return np.random.default_rng(20260101)


@pytest.fixture
def voice() -> Callable[..., np.ndarray]:
    """A maker of voice-like sound: harmonics of f0_hz that fall by 1/k, below 0.45 of the sample rate, peak 0.5."""

    def make(duration_s: float = 1.0, f0_hz: float = 150.0, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
        t = np.arange(round(duration_s * sample_rate)) / sample_rate
        sound = np.zeros(len(t))
        for k in range(1, int(min(0.45 * sample_rate, 5000) / f0_hz) + 1):
            sound += np.sin(2 * np.pi * k * f0_hz * t) / k
        return (0.5 * sound / np.abs(sound).max()).astype(np.float32)

    return make


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two small corpora and tiny models, for the tests of one file."""
    folder = tmp_path_factory.mktemp("base")
    corpora.build(folder / "corpora")
    models.build(folder / "models")
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A folder of runs; what still works at the end of a test is stopped."""
    folder = tmp_path / "runs"
    yield folder
    for job in jobs.jobs(folder):
        jobs.stop(job)
    until(lambda: not any(locks.is_taken(job.folder / supervisor.LOCK) for job in jobs.jobs(folder)))
