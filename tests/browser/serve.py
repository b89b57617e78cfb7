"""Serves app.py as `streamlit run` does, and writes the names of all loaded modules to a file at each SIGUSR1.

Usage: python serve.py PORT FILE
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from streamlit.web import cli


def main(port: str, file: str) -> None:
    def tell(*_: object) -> None:
        part = Path(file).with_suffix(".part")
        part.write_text("\n".join(sorted(sys.modules)), encoding="utf-8")
        part.replace(file)

    if hasattr(signal, "SIGUSR1"):
        signal.signal(signal.SIGUSR1, tell)
    sys.argv = ["streamlit", "run", "app.py", "--server.headless", "true", "--server.port", port]
    cli.main()


if __name__ == "__main__":
    main(*sys.argv[1:])
