"""Servers as processes of their own: a free port, the command, and waiting until they answer."""

from __future__ import annotations

import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable

from tests.support import waiting


def free_port() -> int:
    """Return a port of the loopback address that nothing listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def streamlit(port: int, **settings: str) -> list[str]:
    """Return the command that serves app.py. settings: Streamlit's, with "_" in place of the dot."""
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    return command + [word for name, value in settings.items() for word in (f"--{name.replace('_', '.')}", value)]


def wait_until_served(process: subprocess.Popen[bytes], port: int, *, shown: Callable[[], str]) -> None:
    """Return once a server answers; fail with what it has shown where it ends before that, or never answers."""

    def answers() -> bool:
        assert process.poll() is None, shown()
        try:
            with urllib.request.urlopen(f"http://localhost:{port}/_stcore/health", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    waiting.until(answers, patience_s=90, pause_s=0.1, saying=shown)
