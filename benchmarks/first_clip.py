"""Time from a click on a sample to the answers and from these to the pictures, for a visitor's first clip and the next, in a real Chromium.

python benchmarks/first_clip.py [--runs N] [--reads SECONDS] [--json]: medians over visitors with an empty cache each, of a warm server:
"answers_s", from the click to the cards of the four models that answer first; "pictures_s", from then until the player's pictures and the
figure below are drawn; "second_answers_s" and "second_pictures_s", the same of the next clip. --reads: how long a visitor reads the empty
page first. "runs" has every visitor's figures, and "load" the machine's load average.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools.browser import system_browser
from tools.servers import serve

WATCH = """
() => { window.drawn = new Promise((resolve) => {
  const answers = () => Array.from(document.querySelectorAll(".ser-grid:not(.ser-lead) section"), each => each.textContent)
    .filter((_, place) => place < 4);
  const player = () => Array.from(document.querySelectorAll("*"), each => each.shadowRoot?.querySelector(".player"))
    .find(each => each)?.dataset.drawn ?? "";
  const figure = () => { const image = document.querySelector(".stPlotlyChart .main-svg image");
    return image ? image.getAttribute("href") ?? image.getAttribute("xlink:href") ?? "" : ""; };
  const before = { answers: answers().join(), player: player(), figure: figure() };
  const found = {};
  let start = 0;
  const look = () => {
    const now = performance.now();
    const said = answers();
    const filled = document.querySelectorAll(".ser-grid li.ser-top").length >= 4;
    if (!found.answers && filled && said.length === 4 && said.join() !== before.answers) found.answers = now;
    if (!found.player && player() && player() !== before.player) found.player = now;
    if (!found.figure && figure() && figure() !== before.figure) found.figure = now;
    if (found.answers && found.player && found.figure)
      resolve({ answers_s: (found.answers - start) / 1000, player_s: Math.max(found.player - found.answers, 0) / 1000,
        figure_s: Math.max(found.figure - found.answers, 0) / 1000 });
    else setTimeout(look, 5);
  };
  addEventListener("click", () => { start = performance.now(); look(); }, { capture: true, once: true });
}); }
"""


def watch(page: Page, button: str) -> dict[str, float]:
    """Return answers_s and pictures_s of the sample with this button, and what of the pictures came when."""
    page.evaluate(WATCH)
    page.get_by_role("button", name=button, exact=True).click()
    found: dict[str, float] = page.evaluate("window.drawn")
    found["pictures_s"] = max(found["player_s"], found["figure_s"])
    return found


def visit(browser: Browser, url: str, reads_s: float) -> dict[str, float]:
    """Return the figures of one visitor, whose browser has fetched nothing before."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(url)
    page.get_by_role("tab", name="Sample").click()
    page.get_by_role("button", name="Bright", exact=True).wait_for()
    page.wait_for_timeout(1000 * reads_s)
    first = watch(page, "Bright")
    page.wait_for_timeout(2000)
    second = watch(page, "Flat")
    context.close()
    return first | {f"second_{name}": value for name, value in second.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--reads", type=float, default=5.0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with serve() as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=system_browser(), args=["--no-sandbox", "--disable-gpu"])
        visit(browser, server.url, 0.0)  # warms the server
        runs = [visit(browser, server.url, options.reads) for _ in range(options.runs)]
        browser.close()
    figures: dict[str, Any] = {name: round(statistics.median(each[name] for each in runs), 3) for name in runs[0]}
    figures["runs"] = [{name: round(value, 3) for name, value in each.items()} for each in runs]
    figures["load"] = round(os.getloadavg()[0], 1)
    print(json.dumps(figures) if options.json else figures)


if __name__ == "__main__":
    main()
