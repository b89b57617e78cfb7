"""A server of the app in a process of its own, for as long as a benchmark needs it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Server:
    """Where it is, and its process."""

    url: str
    process: subprocess.Popen[bytes]


@contextmanager
def serve(**more: str) -> Iterator[Server]:
    """Start a server, with more environment variables where given, and stop it in the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)],
        cwd=ROOT,
        env=os.environ | more,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    server = Server(f"http://localhost:{port}", process)
    try:
        _wait(server)
        yield server
    finally:
        process.terminate()
        process.wait()


def _wait(server: Server) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            urllib.request.urlopen(f"{server.url}/_stcore/health", timeout=2).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"The server did not answer within {PATIENCE_S:.0f} s. Does `make run` work?")


def each_of(process: psutil.Process, fact: str) -> Iterator[Any]:
    """Yield a fact of a process, and of those that it started; one that has just ended has none."""
    for each in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            yield getattr(each, fact)()


def rss_mb(process: psutil.Process) -> int:
    """Return the memory of a process and of those that it started."""
    return round(sum(memory.rss for memory in each_of(process, "memory_info")) / 2**20)
