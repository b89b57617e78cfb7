"""What the tests of pages start from: a models folder of each test's own, empty caches, no corpora."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import streamlit as st

from pages.ui import clip_input, recognition, task, visits
from pages.ui.live import session
from tests.support.models import build


@pytest.fixture(autouse=True)
def _no_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task, "TASKS", {})


@pytest.fixture(autouse=True)
def _nobody_looks_after_visits(monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread asks the mock that is the server here, and prints what it raises, while a page is compiled beside it.

    Python's compiler and its tracebacks share a counter that two threads may confuse ("AST constructor recursion depth mismatch").
    """
    # Every page starts the thread, and nothing public keeps it from that.
    monkeypatch.setattr(visits, "_look_after", lambda found: None)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models that each test gets a copy of; none changes them."""
    return build(tmp_path_factory.mktemp("models"))


@pytest.fixture
def new_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a server is like that has just started: nothing is cached, nobody has come, and it loads no models ahead."""
    # The public warm_up starts this in a thread, where the shipped models would be loaded beside every test.
    monkeypatch.setattr(recognition, "_warm_up", lambda: None)
    # The one list of visits of a server; tests share a process.
    monkeypatch.setattr(visits, "_visits", visits.Visits())
    monkeypatch.setattr(clip_input, "PACE", clip_input.Pace())
    monkeypatch.setattr(type(st.context), "ip_address", None)  # a mock of Streamlit's tests, and another one each time
    session.places.cache_clear()
    st.cache_data.clear()
    st.cache_resource.clear()
    recognition.warm_up.cache_clear()


@pytest.fixture
def models(built: Path, tmp_path: Path, new_server: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A models folder of this test's own, which the pages of a new server use; there are no corpora."""
    folder = Path(shutil.copytree(built, tmp_path / "models"))
    monkeypatch.setenv("SER_MODELS", str(folder))
    monkeypatch.setenv("SER_CORPORA", str(tmp_path / "corpora"))
    return folder
