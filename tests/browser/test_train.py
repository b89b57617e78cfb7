"""The Train page in a real Chromium, with real trainings on a small corpus of synthetic voices."""

from __future__ import annotations

import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from ser_core.recognition import store
from ser_core.system import locks
from ser_core.training import jobs, run_folder, supervisor
from tests.browser.conftest import CARDS, Server, serious
from tests.support import corpora, models
from tests.support.waiting import until

pytestmark = pytest.mark.slow


@dataclass
class Place:
    """A server over folders of its own."""

    start: Callable[[], Server]
    server: Server
    runs: Path
    models: Path

    def restart(self) -> None:
        """End the server, and start another one over the same folders."""
        self.server.process.send_signal(signal.SIGTERM)
        self.server.process.wait(20)
        self.server = self.start()


@pytest.fixture(scope="module")
def place(start_server: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A small corpus, tiny models and no runs; what still works at the end is stopped."""
    root = tmp_path_factory.mktemp("train")
    corpora.build(root / "corpora")
    shutil.rmtree(root / "corpora" / "tess")
    models.build(root / "models")
    folders = {"SER_CORPORA": "corpora", "SER_MODELS": "models", "SER_RUNS": "runs", "SER_CACHE": "cache"}

    def start() -> Server:
        return start_server(
            **{name: str(root / folder) for name, folder in folders.items()}, SER_ADMIN_WORD="white chalk"
        )

    yield Place(start, start(), root / "runs", root / "models")
    for job in jobs.jobs(root / "runs"):
        jobs.stop(job)
    until(lambda: not any(locks.is_taken(job.folder / supervisor.LOCK) for job in jobs.jobs(root / "runs")))


@pytest.fixture(autouse=True)
def empty_line(place: Place) -> Iterator[None]:
    """What a test leaves at work, such as one that failed, does not stand before the runs of the next."""
    yield
    for job in jobs.jobs(place.runs):
        jobs.stop(job)
    until(lambda: all(job.ended for job in jobs.jobs(place.runs)))


def begin(page: Page, server: Server, classifier: str, name: str, *, epochs: int = 0) -> str:
    """Start a training in the page and return the id of its run."""
    page.goto(f"{server.url}/train")
    page.get_by_role("combobox", name="Classifier").click()
    page.get_by_role("option", name=classifier, exact=True).click()
    page.get_by_label("Name of the model").fill(name)
    page.keyboard.press("Enter")
    if epochs:
        page.locator("summary", has_text="Training settings").click()
        page.get_by_role("spinbutton", name="Epochs").fill(str(epochs))
        page.keyboard.press("Enter")
    page.wait_for_timeout(700)
    page.get_by_role("button", name="Start training").click()
    page.wait_for_url("**/train?run=*")
    return page.url.partition("run=")[2]


def watch(place: Place, id: str, stage: str, patience_s: float = 150) -> jobs.Job:
    until(
        lambda: jobs.find(place.runs, id).status.stage == stage or jobs.find(place.runs, id).ended,
        patience_s=patience_s,
    )
    job = jobs.find(place.runs, id)
    assert job.status.stage == stage, job.status.problem + jobs.printed(job)
    return job


def test_a_model_is_trained_and_tried_on_a_voice(page: Page, place: Place) -> None:
    id = begin(page, place.server, "KNN", "My <i>neighbours</i>")
    expect(page.get_by_role("heading", name="My <i>neighbours</i>")).to_be_visible()
    watch(place, id, run_folder.DONE)
    expect(page.get_by_role("heading", name="How often it is right")).to_be_visible()
    expect(page.get_by_test_id("stPlotlyChart")).to_have_count(2)
    expect(page.get_by_role("heading", name="Architecture and settings")).to_be_visible()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Script that repeats this").click()
    assert '"classifier": "knn"' in Path(waiting.value.path()).read_text(encoding="utf-8")
    page.get_by_role("button", name="Try it on your voice").click()
    expect(page.get_by_role("heading", name="Recognize")).to_be_visible()
    page.get_by_role("tab", name="Sample").click()
    page.get_by_role("button", name="Bright", exact=True).click()
    expect(page.locator(CARDS)).to_have_count(len(store.SHIPPED) + 1)
    expect(page.locator(CARDS).last.get_by_text("My <i>neighbours</i>")).to_be_visible()
    loaded = place.server.modules()
    assert not {"tensorflow", "keras", "imblearn"} & loaded


def test_a_network_learns_through_refresh_page_change_and_a_new_server_and_stops(
    page: Page, place: Place, chromium: Browser
) -> None:
    id = begin(page, place.server, "CNN", "Long", epochs=500)
    key = page.locator(".st-key-train_key code").inner_text()
    watch(place, id, run_folder.TRAINING)
    until(lambda: jobs.find(place.runs, id).status.epoch, patience_s=150)  # its process loads TensorFlow
    expect(page.get_by_test_id("stPlotlyChart")).to_have_count(2)
    epoch = jobs.find(place.runs, id).status.epoch

    page.reload()
    expect(page.get_by_text(re.compile(r"epoch \d+ of 500"))).to_be_visible()
    expect(page.get_by_text(key)).to_have_count(0)
    page.get_by_role("link", name="Guide").click()
    expect(page.get_by_role("heading", name="Guide")).to_be_visible()

    place.restart()
    stranger = chromium.new_context().new_page()
    stranger.goto(f"{place.server.url}/train?run={id}")
    expect(stranger.get_by_text(re.compile(r"epoch \d+ of 500"))).to_be_visible(timeout=60_000)
    expect(stranger.get_by_role("button", name=re.compile("^Stop, keep"))).to_have_count(0)
    stranger.get_by_role("button", name="Stop with its key").click()
    stranger.get_by_label("Stop key").fill("AAAA-BBBB-CCCC")
    stranger.keyboard.press("Enter")
    expect(stranger.get_by_text("That is not the key of this run.")).to_be_visible()
    stranger.context.close()
    assert not jobs.find(place.runs, id).ended

    page.goto(f"{place.server.url}/train?run={id}")  # the browser that started it: its cookie is still the same
    until(lambda: jobs.find(place.runs, id).status.epoch > epoch)
    stop = page.get_by_role("button", name="Stop, keep the best so far")
    expect(stop).to_be_visible()
    stop.click()
    job = watch(place, id, run_folder.DONE, 60)
    expect(page.get_by_role("button", name="Try it on your voice")).to_be_visible()
    expect(page.get_by_test_id("stPlotlyChart")).to_have_count(4)
    assert {"model.keras", "model.onnx"} <= set(store.read_card(job.status.model, place.models).files)


def test_the_key_stops_a_run_from_anywhere_within_two_seconds_and_the_next_takes_its_turn(
    page: Page, place: Place, chromium: Browser
) -> None:
    first = begin(page, place.server, "CNN", "First", epochs=500)
    key = page.locator(".st-key-train_key code").inner_text()
    second = begin(page, place.server, "KNN", "Second")
    expect(page.get_by_text("next in the queue")).to_be_visible()
    page.close()  # nobody watches from here on but a stranger with the key
    watch(place, first, run_folder.TRAINING)
    other = chromium.new_context().new_page()
    other.goto(f"{place.server.url}/train?run={first}")
    other.get_by_role("button", name="Stop with its key").click()
    other.get_by_label("Stop key").fill(key)
    other.keyboard.press("Enter")
    button = other.get_by_role("button", name="Stop, keep nothing")
    expect(button).to_be_visible()
    button.click()
    clicked = time.monotonic()
    until(lambda: jobs.find(place.runs, first).ended)
    assert time.monotonic() - clicked < 2.5, "two seconds, and a little for the click to arrive"
    assert jobs.find(place.runs, first).status.stage == run_folder.STOPPED
    expect(other.get_by_text("Stopped", exact=True)).to_be_visible()
    other.context.close()
    assert watch(place, second, run_folder.DONE).status.model


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_form_runs_models_and_result_within_its_width(page: Page, place: Place, scheme: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme=scheme)
    page.goto(f"{place.server.url}/train")
    for tab, sign in (
        ("New model", "What this means"),
        ("Runs", "For the teacher"),
        ("Models", "Shipped with the app"),
    ):
        page.get_by_role("tab", name=tab).click()
        expect(page.get_by_text(sign).first).to_be_visible()
        assert page.evaluate("document.querySelector('.stMain').scrollWidth") <= 390
        assert serious(page) == []
    done = next(job for job in jobs.jobs(place.runs) if job.status.stage == run_folder.DONE)
    page.goto(f"{place.server.url}/train?run={done.id}")
    expect(page.get_by_role("heading", name="Architecture and settings")).to_be_visible()
    assert page.evaluate("document.querySelector('.stMain').scrollWidth") <= 390
    assert serious(page) == []
