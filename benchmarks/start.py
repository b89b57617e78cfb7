"""Time from starting the server to the first predictions on the page, in a real Chromium.

python benchmarks/start.py [--runs N] [--json]: "median_s" over fresh servers of an installed, warmed environment; the browser
is already running, opens the page as soon as the server answers, and picks a sample.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools.browser import system_browser
from tools.servers import serve


def first_prediction_s(browser: Browser) -> float:
    """Return seconds from starting a server to all cards filled."""
    start = time.perf_counter()
    with serve() as server:
        page = browser.new_page()
        page.goto(server.url)
        page.get_by_role("tab", name="Sample").click()
        page.get_by_role("button", name="Bright", exact=True).click()
        page.locator(".ser-grid section:nth-of-type(4) li.ser-top").wait_for()
        elapsed = time.perf_counter() - start
        page.close()
    return elapsed


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
