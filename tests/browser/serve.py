"""Serves app.py as `streamlit run` does, and writes the names of all loaded modules to a file at each SIGUSR1.

Usage: python serve.py PORT FILE OUTSIDE; whatever the server asks of other machines is added to the file OUTSIDE, a line each.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from streamlit.web import cli

LOOPBACK = ("localhost", "127.0.0.1", "::1", "0.0.0.0", "::", "", None)


def hold_later_work(gate: Path) -> None:
    """Hold back what pretrained models are asked as long as there is the file `gate`; where its text is "full", leave it out."""
    from ser_core.recognition import service
    from ser_core.system import workers

    run, most = workers.run, workers.MOST_LATER

    def held(work: Callable[..., Any], *args: Any, **named: Any) -> Any:
        if work is service.predict_waveform:
            is_full = gate.exists() and gate.read_text(encoding="utf-8") == "full"
            workers.MOST_LATER = 0 if is_full else most
            while gate.exists() and not is_full:
                time.sleep(0.02)
        return run(work, *args, **named)

    workers.run = held


def main(port: str, file: str, outside: str) -> None:
    def notice(event: str, args: tuple[object, ...]) -> None:
        if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"):
            asked = args[1] if event in ("socket.connect", "socket.sendto") else args[0]
            host = asked[0] if isinstance(asked, tuple) else asked
            if host not in LOOPBACK and not str(host).startswith("/"):
                with open(outside, "a", encoding="utf-8") as out:
                    out.write(f"{event} {asked}\n")

    Path(outside).touch()
    sys.addaudithook(notice)

    def tell(*_: object) -> None:
        part = Path(file).with_suffix(".part")
        part.write_text("\n".join(sorted(sys.modules)), encoding="utf-8")
        part.replace(file)

    if "SER_TEST_LEFT_S" in os.environ:  # a test does not wait for a minute and a half
        sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
        from pages.ui import visits

        visits.LEFT_S, visits.LOOK_S = float(os.environ["SER_TEST_LEFT_S"]), 0.2
    if "SER_TEST_GATE" in os.environ:
        sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
        hold_later_work(Path(os.environ["SER_TEST_GATE"]))
    if hasattr(signal, "SIGUSR1"):
        signal.signal(signal.SIGUSR1, tell)
    sys.argv = ["streamlit", "run", "app.py", "--server.headless", "true", "--server.port", port]
    cli.main()


if __name__ == "__main__":
    main(*sys.argv[1:])
