"""A running server and a real Chromium with a voice in its microphone, for the browser tests."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from ser_core import paths
from ser_core.recognition import store
from tests.support import servers, waiting
from tests.support.models import build
from tools.browser import MICROPHONE_FLAGS, system_browser

ROOT = Path(__file__).resolve().parents[2]
VOICE = ROOT / "pages" / "samples" / "bright.flac"

PHONE = 390
"""Pixels that a phone is wide."""

CARDS = ".ser-grid:not(.ser-lead) section"
"""The cards of the models, without that of all together."""


expect.set_options(timeout=90_000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@dataclass(frozen=True)
class Server:
    """A server of app.py in a process of its own."""

    url: str
    process: subprocess.Popen[bytes]
    modules_file: Path
    outside_file: Path

    def outside(self) -> list[str]:
        """Return what the server has asked of other machines: connections and look-ups of names, a line each."""
        return self.outside_file.read_text(encoding="utf-8").splitlines()

    def modules(self) -> set[str]:
        """Return the names of all modules that the server has loaded."""
        self.modules_file.unlink(missing_ok=True)
        self.process.send_signal(signal.SIGUSR1)
        waiting.for_file(self.modules_file)
        return set(self.modules_file.read_text(encoding="utf-8").split())


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped models; where they are not all there, tiny ones in their place."""
    cards, _ = store.list_models(paths.models_folder())
    if {card.slug for card in cards} >= set(store.SHIPPED):
        return paths.models_folder()
    return build(tmp_path_factory.mktemp("models"))


@contextlib.contextmanager
def servers_for(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Give a function that starts a fresh server, with more environment variables where given; all are stopped at the end."""
    started = []

    def start(**more: str) -> Server:
        port = servers.free_port()
        folder = tmp_path_factory.mktemp("server")
        places = {"SER_CORPORA": "corpora", "SER_RUNS": "runs", "SER_CACHE": "cache", "SER_RESULTS": "results"}
        own = {"SER_MODELS": str(models)} | {name: str(folder / place) for name, place in places.items()}
        environment = os.environ | own | more
        with (folder / "log.txt").open("wb") as log:
            process = subprocess.Popen(
                [
                    sys.executable,
                    str(Path(__file__).with_name("serve.py")),
                    str(port),
                    str(folder / "modules.txt"),
                    str(folder / "outside.txt"),
                ],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        started.append(process)
        servers.wait_until_served(process, port, shown=lambda: (folder / "log.txt").read_text(errors="replace"))
        return Server(f"http://localhost:{port}", process, folder / "modules.txt", folder / "outside.txt")

    try:
        yield start
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(timeout=60)


@pytest.fixture(scope="module")
def start_server(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """A function that starts a fresh server; all are stopped at the end of the file: one that nobody asks still costs time."""
    with servers_for(models, tmp_path_factory) as start:
        yield start


@pytest.fixture(scope="session")
def server(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server of all files that need none of their own."""
    with servers_for(models, tmp_path_factory) as start:
        yield start()


@pytest.fixture(scope="session")
def voice_wav(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic voice as the file that Chromium plays into its microphone: 48 kHz mono PCM16, after half a second of silence."""
    samples, rate = soundfile.read(VOICE, dtype="float32")
    samples = np.concatenate(
        [np.zeros(24_000, dtype=np.float32), soxr.resample(samples, rate, 48_000), np.zeros(96_000, dtype=np.float32)]
    )
    path = tmp_path_factory.mktemp("voice") / "voice.wav"
    soundfile.write(path, samples, 48_000, subtype="PCM_16")
    return path


@pytest.fixture(scope="session")
def chromium(voice_wav: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=system_browser(),
            args=[*MICROPHONE_FLAGS, f"--use-file-for-fake-audio-capture={voice_wav}%noloop"],
        )
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A blank page in a context of its own, wide, with the microphone allowed."""
    context = chromium.new_context(permissions=["microphone"], viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(60_000)
    yield page
    context.close()


def all_answered(page: Page) -> None:
    """Wait until each model has answered: the pretrained one comes a moment after the others."""
    expect(page.locator(CARDS).first).to_be_visible()
    expect(page.get_by_text("still listening")).to_have_count(0)


STILL = "* { transition: none !important; animation: none !important; } [data-stale=true] { opacity: 1 !important; }"
"""Colours on their way from one theme to the other, or of what is being drawn anew, are not those of the page."""


def settled(page: Page) -> None:
    """Wait until the page is drawn."""
    expect(page.locator("[data-testid=stApp][data-test-script-state=notRunning]")).to_be_visible(timeout=60_000)


def serious(page: Page) -> list[str]:
    """What axe finds serious or critical in what is drawn of the page, an element each."""
    page.add_style_tag(content=STILL)
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{rule['id']}: {node['html'][:200]} {node['failureSummary']}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


def ground(theme: str) -> str:
    """Return the background of a theme as the browser tells it."""
    colours = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))["theme"][theme]
    red, green, blue = (int(colours["backgroundColor"][place : place + 2], 16) for place in (1, 3, 5))
    return f"rgb({red}, {green}, {blue})"


def wear(page: Page, theme: str) -> None:
    """Have the page drawn in the light or the dark theme."""
    page.emulate_media(color_scheme=theme)
    page.wait_for_function(
        f"getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor === '{ground(theme)}'"
    )


def as_on_a_phone(page: Page) -> None:
    """Have pages shown as wide as a phone is, from the beginning in the dark theme."""
    page.set_viewport_size({"width": PHONE, "height": 844})
    page.emulate_media(color_scheme="dark")


def faults_on_a_phone(page: Page) -> list[str]:
    """Return what is wider than a phone, and what `serious` finds, in either theme; in the dark one the page stays."""
    found = []
    for theme in ("light", "dark"):
        wear(page, theme)
        width = page.evaluate("document.querySelector('.stMain').scrollWidth")
        found += [f"{theme}: {width} pixels wide"] if width > PHONE else []
        found += [f"{theme}: {each}" for each in serious(page)]
    return found


@pytest.fixture(scope="session")
def stereo_wav() -> bytes:
    """The voice as 48 kHz stereo WAV, the right channel half as loud."""
    samples, rate = soundfile.read(VOICE, dtype="float32")
    voice = soxr.resample(samples, rate, 48_000)
    buffer = io.BytesIO()
    soundfile.write(buffer, np.column_stack([voice, voice / 2]), 48_000, format="WAV", subtype="PCM_16")
    return buffer.getvalue()
