"""A real scheduler and two worker processes on this machine: the same figures as without, and a worker that is killed costs only time."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from threadpoolctl import threadpool_limits

from ser_core.errors import ConfigError
from ser_core.features.config import FeatureConfig
from ser_core.recognition import store
from ser_core.system import cluster, files
from ser_core.training import run, run_folder
from ser_core.training.config import RunConfig
from ser_core.training.run import RunPaths
from ser_core.training.run_folder import Reporter
from tests.conftest import children_not_measured
from tests.support import servers
from tests.support.corpora import build

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
SMALL = FeatureConfig(n_mels=16, n_mfcc=6)
SETTINGS: dict[str, Any] = {
    "corpora": ("ravdess",),
    "classifier": "mlp",
    "features": SMALL,
    "n_copies": 1,
    "effects": {"gain": 1.0},
}
SEARCH = SETTINGS | {"hyperparameters": {"epochs": 4}, "grid": {"hidden": (8, 16), "alpha": (0.01, 0.1)}}
QUIET = {"DASK_DISTRIBUTED__WORKER__MEMORY__TERMINATE": "False", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class Machines:
    """A scheduler and worker processes, each started as README says."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.processes = folder, []
        port = servers.free_port()
        self.address = f"tcp://127.0.0.1:{port}"
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")

    def worker(self, *, threads: int = 1) -> subprocess.Popen:
        """Start a worker process."""
        return self._start(
            "worker", self.address, "--nthreads", str(threads), "--no-nanny", "--no-dashboard", "--host", "127.0.0.1"
        )

    def _start(self, kind: str, *arguments: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "dask", kind, *arguments]
        if kind == "worker":
            command += ["--local-directory", str(self.folder)]
        with (self.folder / "log.txt").open("ab") as log, children_not_measured():  # they are killed, and tell nothing
            process = subprocess.Popen(command, cwd=ROOT, env=os.environ | QUIET, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def wait(self, n_workers: int) -> None:
        """Wait until so many workers are there."""
        from distributed import Client

        with Client(self.address, timeout=30, set_as_default=False) as client:
            client.wait_for_workers(n_workers, timeout=30)

    def end(self) -> None:
        for process in reversed(self.processes):
            process.kill()
            process.wait()


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As a run and a worker have it: with more threads the numeric libraries round sums otherwise."""
    with threadpool_limits(1):
        yield


@pytest.fixture
def machines(tmp_path) -> Iterator[Machines]:
    started = Machines(tmp_path)
    yield started
    started.end()


@pytest.fixture(scope="module")
def corpora(tmp_path_factory) -> Path:
    return build(tmp_path_factory.mktemp("corpora"))


@pytest.fixture
def places(corpora, tmp_path) -> RunPaths:
    (tmp_path / "models").mkdir()
    return RunPaths(corpora=corpora, models=tmp_path / "models", cache=tmp_path / "cache")


def train(config: RunConfig, places: RunPaths, **listeners) -> tuple[Reporter, run_folder.Status]:
    reporter = Reporter(run_folder.create(places.models.parent / "runs", config.to_dict()), **listeners)
    return reporter, run.run(reporter, places)


def figures(reporter: Reporter, places: RunPaths) -> tuple:
    """Return all that must not depend on where the work was done."""
    result = run_folder.read_result(reporter.folder)
    card = store.read_card(result["model"], places.models)
    trials = [{name: value for name, value in row.items() if name != "seconds"} for row in result["trials"]]
    return result["figures"], sorted(trials, key=str), card.temperature, card.hyperparameters, card.training["history"]


def test_a_search_on_two_workers_has_the_figures_of_one_without_and_a_killed_worker_costs_only_time(
    machines, places, tmp_path
):
    alone, status = train(RunConfig(**SEARCH), places)
    assert status.stage == "done", status.problem
    victim, _ = machines.worker(), machines.worker()
    machines.wait(2)
    killed: list[str] = []

    def kill(line: str) -> None:
        if line.startswith("Fold") and not killed:
            killed.append(line)
            victim.kill()

    elsewhere = RunPaths(corpora=places.corpora, models=tmp_path / "models", cache=tmp_path / "other-cache")
    config = RunConfig(**SEARCH, scheduler=machines.address)
    there, status = train(config, elsewhere, on_line=kill)
    assert status.stage == "done", status.problem
    log = run_folder.read_log(there.folder)
    assert f"on 2 workers of {machines.address}" in log and killed and victim.wait(5) == -signal.SIGKILL
    assert figures(there, elsewhere) == figures(alone, places)
    assert (
        len(list((tmp_path / "other-cache").glob("??/*.npz"))) == 112
    )  # 48 of 64 with a copy: what they measured is kept on this side
    card = store.read_card(status.model, elsewhere.models)
    assert "127.0.0.1" not in (elsewhere.models / card.slug / "card.json").read_text()


def test_measuring_goes_on_when_a_worker_is_killed_and_cross_validation_has_the_same_figures(
    machines, places, tmp_path, monkeypatch
):
    alone, _ = train(RunConfig(**SETTINGS, folds=3, hyperparameters={"epochs": 3}), places)
    victim, _ = machines.worker(), machines.worker()
    machines.wait(2)
    original = cluster.Cluster.in_order
    order: list[int] = []

    def watched(self, function, tasks):
        for number, result in enumerate(original(self, function, tasks)):
            if number == cluster.TOGETHER:  # the first batch has come, the others have not
                victim.kill()
            order.append(number)
            yield result

    monkeypatch.setattr(cluster.Cluster, "in_order", watched)
    elsewhere = RunPaths(
        corpora=places.corpora, models=tmp_path / "models", cache=tmp_path / "other-cache", scheduler=machines.address
    )
    there, status = train(RunConfig(**SETTINGS, folds=3, hyperparameters={"epochs": 3}), elsewhere)
    assert status.stage == "done", status.problem
    assert victim.wait(5) == -signal.SIGKILL and len(order) == 128
    assert figures(there, elsewhere) == figures(alone, places)


def test_when_the_scheduler_goes_away_the_run_ends_with_a_sentence(machines, places):
    machines.worker()
    machines.wait(1)

    def kill(line: str) -> None:
        if line.startswith("Fold"):
            machines.scheduler.kill()

    begun = time.monotonic()
    reporter, status = train(RunConfig(**SEARCH, scheduler=machines.address), places, on_line=kill)
    assert status.stage == "failed" and "went away" in status.problem and time.monotonic() - begun < 60
    assert files.read_json_lines(reporter.folder / run_folder.SEARCH) and not list(places.models.iterdir())


def test_a_scheduler_that_is_not_there_gets_a_sentence_within_seconds(places):
    address = f"tcp://127.0.0.1:{servers.free_port()}"
    begun = time.monotonic()
    _, status = train(RunConfig(**SETTINGS, scheduler=address), places)
    assert status.stage == "failed" and f"No Dask scheduler answers at {address}" in status.problem
    assert time.monotonic() - begun < 15


def test_something_else_at_the_address_gets_the_same_sentence():
    with socket.create_server(("127.0.0.1", 0)) as other:
        threading.Thread(target=lambda: _greet(other), daemon=True).start()
        begun = time.monotonic()
        with (
            pytest.raises(ConfigError, match="No Dask scheduler answers"),
            cluster.connected(f"tcp://127.0.0.1:{other.getsockname()[1]}"),
        ):
            pass
        assert time.monotonic() - begun < 15


def _greet(server: socket.socket) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def test_a_scheduler_without_workers_and_a_worker_with_threads_are_refused(machines, monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_S", 1.0)
    while True:  # until it listens
        with pytest.raises(ConfigError) as raised, cluster.connected(machines.address):
            pass
        if "No Dask" not in str(raised.value):
            break
    assert "has no worker" in str(raised.value)
    machines.worker(threads=2)
    machines.wait(1)
    with pytest.raises(ConfigError, match="--nthreads 1"), cluster.connected(machines.address):
        pass


def test_a_worker_that_cannot_read_the_corpora_or_has_other_code_is_refused(machines, places, tmp_path):
    machines.worker()
    machines.wait(1)
    with cluster.connected(machines.address) as workers:
        with pytest.raises(
            ConfigError, match=r"cannot read '/nowhere/a\.wav'\. Corpora and models must lie in a folder"
        ):
            # The question that a run asks each worker first.
            workers.ask(run._unfit, ["/nowhere/a.wav"], cluster.program_digest())
        with pytest.raises(ConfigError, match="has another version of this program"):
            workers.ask(run._unfit, [], b"other")
        workers.ask(run._unfit, [], cluster.program_digest())


@pytest.mark.parametrize(
    "address", ["127.0.0.1:8786", "tcp://127.0.0.1", "tls://a:1", "tcp://a b:1", "tcp://a:1/x", "tcp://:1", 8786]
)
def test_what_is_no_address_of_a_scheduler_is_refused(address):
    with pytest.raises(ConfigError, match="must be an address such as"):
        RunConfig(corpora=("ravdess",), scheduler=address)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:8786", "tcp://lab-1.example.org:8786", "tcp://[::1]:8786"])
def test_addresses_of_schedulers(address):
    assert RunConfig.from_dict(RunConfig(corpora=("ravdess",), scheduler=address).to_dict()).scheduler == address
