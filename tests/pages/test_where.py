"""Where am I? on Recognize: a clip on the map of installed clips, where these were measured, and nothing before it is asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from pages.ui import cached, state
from pages.ui.clip_input import UPLOAD, new_clip
from pages.ui.recognize import map as recognize_map
from ser_core import paths
from ser_core.audio import decoding, waveform
from ser_core.corpora import catalogue
from ser_core.dataset import clip_map, exploration
from tests.pages.test_explore import array
from tests.support import pages, ruled_corpus
from tests.support.pages import text

SPEECH = pages.APP.parent / "pages" / "samples" / "bright.flac"
VOICE = "03-01-03-01-01-01-09.wav"


@pytest.fixture
def root(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A corpora folder with one corpus that nobody has measured yet; one of its clips is a voice."""
    monkeypatch.setenv("SER_CACHE", str(tmp_path / "cache"))
    ruled_corpus.write_as_ravdess(tmp_path / "corpora" / "ravdess")
    (tmp_path / "corpora" / "ravdess" / VOICE).write_bytes(waveform.encode_wav(decoding.decode(SPEECH).waveform))
    return tmp_path / "corpora"


def measure(root: Path) -> exploration.Measured:
    clips = cached.clips_of_all({"ravdess": root / "ravdess"})
    return exploration.measure(clips, cache=paths.feature_cache(), n_jobs=1)


def asked(root: Path) -> AppTest:
    """Recognize, about the voice of the corpus, with the map switched on."""
    clip = new_clip("mine.wav", (root / "ravdess" / VOICE).read_bytes(), UPLOAD)
    page = pages.visit(**{state.CLIP: clip})
    assert recognize_map.TITLE in text(page)
    return page.toggle("recognize.map.on").set_value(True).run()


def drawn(page: AppTest) -> dict:
    """Return the map: the figure that has the star."""
    specs = [json.loads(each.proto.spec) for each in page.get("plotly_chart")]
    return next(spec for spec in specs if spec["data"][-1].get("name") == "This clip")


def test_where_nothing_is_measured_the_page_says_so_and_leads_to_corpora(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exploration, "measure", lambda *_, **__: pytest.fail("it is not measured here"))
    page = asked(root)
    assert "no corpus is installed and measured on this server" in text(page)
    assert [each.proto.label for each in page.get("page_link")].count("Corpora") == 2, "the menu's, and one here"


def test_a_clip_of_the_corpus_lies_on_its_own_point_and_its_neighbours_are_heard(root: Path) -> None:
    found = measure(root)
    page = asked(root)
    clips = cached.clips_of_all({"ravdess": root / "ravdess"})
    row = clips[catalogue.PATH].str.endswith(VOICE).to_numpy().argmax()
    said = text(page)
    assert "nearest clips:" in said and "two directions in which the features" in said
    figure = drawn(page)
    star = figure["data"][-1]
    assert star["name"] == "This clip" and star["customdata"] == [-1]
    at = {
        int(row): (x, y)
        for trace in figure["data"][:-1]
        for row, x, y in zip(*(array(trace[name]) for name in ("customdata", "x", "y")), strict=True)
    }
    assert (star["x"][0], star["y"][0]) == pytest.approx(at[row], abs=0.05)
    table = next(each for each in page.dataframe if each.key.startswith("recognize.map.nearest"))
    assert table.value["Clip"][0] == clips[catalogue.NAME][row], "the nearest clip is the clip itself"
    page.session_state[table.key] = {"selection": {"rows": [1], "columns": [], "cells": []}}
    page.run()
    assert table.value["Clip"][1] in text(page)
    page.segmented_control("recognize.map.method").set_value(clip_map.LDA).run()
    assert "two directions that part the labels best" in text(page)
    assert len(found.vectors) == len(clips)


def test_a_visit_that_has_asked_for_nothing_computes_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measure(root)
    monkeypatch.setattr(exploration, "recall", lambda *_, **__: pytest.fail("nobody asked"))
    data = (root / "ravdess" / VOICE).read_bytes()
    page = pages.visit(**{state.CLIP: new_clip("mine.wav", data, UPLOAD)})
    assert recognize_map.TITLE in text(page) and not page.toggle("recognize.map.on").value


def test_the_nearest_clips_are_counted_by_label_in_words() -> None:
    table = pd.DataFrame({catalogue.EMOTION: ["sad", "angry", "sad"]})
    assert recognize_map.nearest_text(table) == "Its 3 nearest clips: 2 sad, 1 angry."
