"""Eight people record at once: real Chromium contexts with a voice in the microphone, each with predictions and pictures at the end.

python benchmarks/recorders.py [--contexts N] [--rounds N] [--seconds S] [--json]: all press Record on Recognize together and stop together
after S seconds, N rounds long. "p50_ms" and "p95_ms" from the stop to the predictions, "drawn_p95_ms" until the pictures are there,
too; "errors" and the first of them, "recordings", and "server_mb", the memory of the server and of its processes at the end.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import soundfile
import soxr
from playwright.async_api import Browser, Error, Page, async_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ser_core.recognition import store
from tools.browser import MICROPHONE_FLAGS, system_browser
from tools.servers import rss_mb, serve

RATE = 48_000
N_CARDS = len(store.usual())
PATIENCE_MS = 90_000


def write_voice(path: Path) -> None:
    """Write what the microphones hear: a synthetic voice again and again, 48 kHz."""
    samples, rate = soundfile.read(ROOT / "pages" / "samples" / "bright.flac", dtype="float32")
    soundfile.write(path, np.tile(soxr.resample(samples, rate, RATE), 20), RATE, subtype="PCM_16")


class Person:
    """One context with its page, and what became of its recordings: times in ms and sentences."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.predicted: list[float] = []
        self.drawn: list[float] = []
        self.errors: list[str] = []

    async def record(self, seconds: float) -> None:
        """Record for so long, and wait for the predictions and the pictures; what was recorded is cleared after that."""
        page = self.page
        try:
            recorder = page.get_by_test_id("stAudioInput")
            await recorder.get_by_role("button", name="Record", exact=True).click()
            await asyncio.sleep(seconds)
            await recorder.get_by_role("button", name="Stop recording").click()
            begun = time.perf_counter()
            await page.wait_for_function(
                f"document.querySelectorAll('.ser-grid:not(.ser-lead) section').length === {N_CARDS}"
            )
            self.predicted.append(1000 * (time.perf_counter() - begun))
            await page.locator(".js-plotly-plot").first.wait_for()
            self.drawn.append(1000 * (time.perf_counter() - begun))
            if problems := await page.locator(
                "[data-testid=stException], [data-testid=stAlertContentError]"
            ).all_inner_texts():
                self.errors.append("; ".join(problems)[:300])
            await page.get_by_role("button", name="Clear", exact=True).click()
            await page.wait_for_function("document.querySelectorAll('.ser-grid section').length === 0")
        except Error as error:
            self.errors.append(f"{str(error).splitlines()[0]} {(await page.locator('body').inner_text())[:200]!r}")


async def come(browser: Browser, url: str) -> Person:
    """Open the page in a context of its own, with the microphone allowed."""
    context = await browser.new_context(permissions=["microphone"], viewport={"width": 1280, "height": 900})
    page = await context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    await page.goto(url)
    await page.get_by_test_id("stAudioInput").get_by_role("button", name="Record", exact=True).wait_for()
    return Person(page)


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Have all of them record at once, and return the figures."""
    with tempfile.TemporaryDirectory() as folder, serve(**own_places(Path(folder))) as server:
        voice = Path(folder) / "voice.wav"
        write_voice(voice)
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=system_browser(), args=[*MICROPHONE_FLAGS, f"--use-file-for-fake-audio-capture={voice}"]
            )
            people = [await come(browser, server.url) for _ in range(options.contexts)]
            for _ in range(options.rounds):
                await asyncio.gather(*(person.record(options.seconds) for person in people))
            memory_mb = rss_mb(psutil.Process(server.process.pid))
            await browser.close()
    predicted = [each for person in people for each in person.predicted]
    drawn = [each for person in people for each in person.drawn]
    errors = [each for person in people for each in person.errors]
    return {
        "p50_ms": percentile(predicted, 50),
        "p95_ms": percentile(predicted, 95),
        "drawn_p95_ms": percentile(drawn, 95),
        "errors": len(errors),
        "first_error": errors[0] if errors else "",
        "recordings": len(drawn),
        "contexts": options.contexts,
        "server_mb": memory_mb,
    }


def own_places(folder: Path) -> dict[str, str]:
    """Return where the server keeps what it makes."""
    return {f"SER_{name}": str(folder / name.lower()) for name in ("CORPORA", "RUNS", "CACHE", "RESULTS")}


def percentile(found: list[float], share: float) -> int | None:
    """Return a percentile; None of nothing."""
    return round(float(np.percentile(found, share))) if found else None


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contexts", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = asyncio.run(measure(options))
    print(json.dumps(figures) if options.json else json.dumps(figures, indent=1))
    sys.exit(1 if figures["errors"] else 0)


if __name__ == "__main__":
    main()
