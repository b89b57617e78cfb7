"""A Dask cluster, where a scheduler is named: other machines measure clips and fit folds in place of this one's processes.

Dask is loaded only then. Its workers are processes of one thread each, started in a copy of this project; arrays reach them over the
network, clips by their paths. training/run.py connects; dataset/build.py and training/search.py hand out the work.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ser_core.errors import ConfigError, SerError

CONNECT_S = 4.0
"""How long the scheduler may take to answer, and as long again for the first worker to come."""

TOGETHER = 16
"""Small tasks that travel as one."""

START = "python -m dask worker {address} --nworkers 4 --nthreads 1"


class ClusterError(SerError):
    """The scheduler or all of its workers went away, or a task ended one worker after the other."""


def check_address(address: Any) -> None:
    """Raise ConfigError unless this is the address of a scheduler, such as tcp://192.168.1.20:8786."""
    if not isinstance(address, str) or not re.fullmatch(
        r"tcp://([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):[0-9]{1,5}", address
    ):
        raise ConfigError(
            f"The scheduler must be an address such as tcp://192.168.1.20:8786. Got {str(address)[:80]!r}."
        )


class Cluster:
    """The workers of a scheduler."""

    def __init__(self, client: Any, address: str) -> None:
        self._client = client
        self._address = address

    @property
    def n_workers(self) -> int:
        """How many processes work there at this moment."""
        return len(self._client.nthreads())

    def ask(self, function: Callable[..., str], *arguments: Any) -> None:
        """Call function(*arguments) in every worker; raises ConfigError with the first answer that is not ""."""
        try:
            answers = self._client.run(function, *arguments)
        except Exception as error:  # whatever a worker of another version answers
            raise ConfigError(
                f"The workers of {self._address} cannot run this program ({type(error).__name__}: {str(error)[:150]}). "
                "Start them in a copy of the project's folder, with its own .venv."
            ) from None
        for worker, answer in answers.items():
            if answer:
                raise ConfigError(f"The worker {worker} {answer}")

    def once_a_machine(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Call function(*arguments) in one worker per machine, for what two processes of a machine must not do at once."""
        firsts = {worker.rpartition(":")[0]: worker for worker in self._client.nthreads()}
        with self._cluster_errors():
            self._client.run(function, *arguments, workers=list(firsts.values()))

    def in_order(self, function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]]) -> Iterator[Any]:
        """Yield function(*task) of many small tasks, in their order."""
        batches = [tasks[start : start + TOGETHER] for start in range(0, len(tasks), TOGETHER)]
        with self._cluster_errors():
            futures = [self._client.submit(_each, function, batch, pure=False) for batch in batches]
            try:
                while futures:
                    yield from futures[0].result()
                    del futures[0]  # its results need not stay in the worker
            finally:
                self._drop(futures)

    def as_they_end(self, function: Callable[..., Any], shared: Any, tasks: Sequence[tuple[Any, ...]]) -> Iterator[Any]:
        """Yield function(shared, *task) of each task as it ends. Every worker gets a copy of `shared`, so that none is missed."""
        from distributed import as_completed

        with self._cluster_errors():
            held = self._client.scatter(shared, broadcast=True, hash=False)
            futures = [self._client.submit(function, held, *task, pure=False) for task in tasks]
            try:
                for future in as_completed(futures, loop=self._client.loop):
                    yield future.result()
            finally:
                self._drop(futures)

    def _drop(self, futures: list[Any]) -> None:
        if self._client.status == "running":
            self._client.cancel(futures)

    @contextlib.contextmanager
    def _cluster_errors(self) -> Iterator[None]:
        """Turn what Dask raises where workers or the scheduler are gone into a sentence."""
        import asyncio
        import concurrent.futures

        from distributed import KilledWorker
        from distributed.comm.core import CommClosedError

        try:
            yield
        except KilledWorker:
            raise ClusterError(
                f"The same work ended several workers of {self._address}, most likely for want of memory. Give each more memory, or "
                "choose fewer corpora or copies, and start again."
            ) from None
        except (
            asyncio.CancelledError,
            concurrent.futures.CancelledError,
            CommClosedError,
            TimeoutError,
            ValueError,
        ) as error:
            if isinstance(error, ValueError) and self._client.status == "running":
                raise
            raise ClusterError(
                f"The scheduler {self._address}, or all of its workers, went away. Start them again, and then this training; what was "
                "finished is kept."
            ) from None


@contextlib.contextmanager
def connected(address: str) -> Iterator[Cluster]:
    """Inside this, the workers of a scheduler are there.

    Raises
    ------
    ConfigError : if nobody answers there within some seconds, no worker comes, or a worker has several threads.
    """
    import dask
    from distributed import Client

    check_address(address)
    with dask.config.set({"distributed.comm.timeouts.connect": CONNECT_S}):
        try:
            try:
                client = Client(address, timeout=CONNECT_S, set_as_default=False)
            except AssertionError:  # Dask gives its event loop ten seconds to start, which a busy machine may miss once
                client = Client(address, timeout=CONNECT_S, set_as_default=False)
        except (
            OSError,
            ValueError,
            TypeError,
            MemoryError,
        ):  # the last: what an HTTP server says, taken for the length of a message
            raise ConfigError(
                f"No Dask scheduler answers at {address}. Start one there with 'python -m dask scheduler', check the address and the "
                "firewall, or train without it."
            ) from None
        with client:
            start = START.format(address=address)
            try:
                client.wait_for_workers(1, timeout=CONNECT_S)
            except TimeoutError:
                raise ConfigError(
                    f"The scheduler {address} has no worker. Start some in a copy of the project's folder: {start}"
                ) from None
            wide = [worker for worker, threads in client.nthreads().items() if threads > 1]
            if wide:
                raise ConfigError(
                    f"The worker {wide[0]} has several threads; trainings would share them. Start it with one: {start}"
                )
            yield Cluster(client, address)


def _each(function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]]) -> list[Any]:
    return [function(*task) for task in tasks]


@functools.cache
def program_digest() -> bytes:
    """Return a digest of this program's source: workers that have another cannot do its work."""
    package = Path(__file__).resolve().parents[1]
    text = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        text.update(path.relative_to(package).as_posix().encode() + path.read_bytes())
    return text.digest()
