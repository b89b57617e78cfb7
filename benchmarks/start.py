"""Time from starting the server to the first four predictions on the page, in a real Chromium.

python benchmarks/start.py [--runs N] [--json]: "median_s" over fresh servers of an installed, warmed environment; the browser
is already running, opens the page as soon as the server answers, and picks a sample.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools.browser import system_browser


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_healthy(port: int) -> None:
    """Return once the server answers."""
    for _ in range(600):
        try:
            urllib.request.urlopen(f"http://localhost:{port}/_stcore/health", timeout=2).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit("The server did not answer within 30 s.")


def first_prediction_s(browser: Browser) -> float:
    """Return seconds from starting a server to four filled cards."""
    port = free_port()
    environment = os.environ | dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
    start = time.perf_counter()
    server = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_healthy(port)
        page = browser.new_page()
        page.goto(f"http://localhost:{port}")
        page.get_by_role("tab", name="Sample").click()
        page.get_by_role("button", name="Bright", exact=True).click()
        page.locator(".ser-grid section:nth-of-type(4) li.ser-top").wait_for()
        elapsed = time.perf_counter() - start
        page.close()
        return elapsed
    finally:
        server.terminate()
        server.wait()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=system_browser(), args=["--no-sandbox", "--disable-gpu"])
        times = [first_prediction_s(browser) for _ in range(options.runs)]
        browser.close()
    figures = {"median_s": round(statistics.median(times), 2), "runs_s": [round(value, 2) for value in times]}
    print(json.dumps(figures) if options.json else figures)


if __name__ == "__main__":
    main()
