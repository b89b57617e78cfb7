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


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models that each test gets a copy of; none changes them."""
    return build(tmp_path_factory.mktemp("models"))


@pytest.fixture
def models(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A models folder of this test's own, which the pages use; there are no corpora, and nothing is cached or warmed up."""
    folder = Path(shutil.copytree(built, tmp_path / "models"))
    monkeypatch.setenv("SER_MODELS", str(folder))
    monkeypatch.setattr(recognition, "_warm_up", lambda: None)
    monkeypatch.setattr(clip_input, "PACE", clip_input.Pace())
    monkeypatch.setattr(type(st.context), "ip_address", None)  # a mock of Streamlit's tests, and another one each time
    monkeypatch.setenv("SER_CORPORA", str(tmp_path / "corpora"))
    monkeypatch.setattr(visits, "_visits", visits.Visits())
    session.places.cache_clear()
    st.cache_data.clear()
    st.cache_resource.clear()
    recognition.warm_up.cache_clear()
    return folder
