"""Finds the browser of the browser tests, and installs one where there is none: `python -m tools.browser`.

A system Chromium or Chrome comes first, then Debian's package (as root), then Playwright's own build.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
)

MICROPHONE_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)
"""Flags of a Chromium whose microphone is a file, and that asks nothing of other machines."""


def system_browser() -> str | None:
    """Return the path of an installed Chromium or Chrome that starts, or None: then Playwright's own build is used."""
    for candidate in (*map(shutil.which, NAMES), *PLACES):
        if candidate and Path(candidate).exists() and _starts(candidate):
            return candidate
    return None


def install() -> None:
    """Make sure that there is a browser; raises SystemExit with a sentence where none can be installed."""
    if system_browser():
        return
    if shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        print("Installing Debian's chromium for the browser tests ...", flush=True)
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        quiet: dict[str, Any] = {"env": environment, "stdout": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
        subprocess.run(["apt-get", "update"], check=False, **quiet)
        subprocess.run(["apt-get", "install", "--yes", "--no-install-recommends", "chromium"], check=False, **quiet)
        if system_browser():
            return
    print("Installing Playwright's Chromium for the browser tests ...", flush=True)
    if subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False).returncode:
        raise SystemExit(
            "No browser for the browser tests could be installed. Install Chromium or Chrome, then run make test again."
        )


def _starts(path: str) -> bool:
    if sys.platform == "win32":  # chrome.exe --version opens a window
        return True
    try:
        return subprocess.run([path, "--version"], capture_output=True, timeout=30, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


if __name__ == "__main__":
    install()
