"""Serves app.py as `streamlit run` does, and writes the names of all loaded modules to a file at each SIGUSR1.

Usage: python serve.py PORT FILE
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from streamlit.web import cli


def main(port: str, file: str) -> None:
    def tell(*_: object) -> None:
        part = Path(file).with_suffix(".part")
        part.write_text("\n".join(sorted(sys.modules)), encoding="utf-8")
        part.replace(file)

    if "SER_TEST_LEFT_S" in os.environ:  # a test does not wait for a minute and a half
        sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
        from pages.ui import visit

        visit.LEFT_S, visit.LOOK_S = float(os.environ["SER_TEST_LEFT_S"]), 0.2
    if hasattr(signal, "SIGUSR1"):
        signal.signal(signal.SIGUSR1, tell)
    sys.argv = ["streamlit", "run", "app.py", "--server.headless", "true", "--server.port", port]
    cli.main()


if __name__ == "__main__":
    main(*sys.argv[1:])
