"""What somebody typed is shown as it is, on every page: names of files, models, corpora and speakers, and what they describe."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import soundfile
from streamlit.testing.v1 import AppTest

from pages.ui import state
from ser_core import paths
from ser_core.audio import waveform
from ser_core.corpora import recorded
from ser_core.recognition import store
from ser_core.system import files
from ser_core.training import jobs, run_folder, supervisor
from tests.support.pages import everything, visit
from tests.support.waiting import until

ROOT = Path(__file__).resolve().parents[2]
NASTY = "<img src=x>[x](javascript:x):red[x]$L$"
MARKDOWN = ("src=x>", "[x](j", ":red[x]", "$L$")
"""What would be HTML, a link, a colour and a formula, were it not escaped."""

PLAIN = {
    "Selectbox.options",
    "Selectbox.raw_value",
    "MultiSelect.options",
    "TextInput.default",
    "TextArea.default",
    "Code.code_text",
    "PlotlyChart.alt",
    "BidiComponent.json",
}
"""Where Streamlit, and the player (test_player.py), take text for nothing but text."""


@pytest.fixture
def world(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A model, a corpus with two speakers, and a run, all with that name; returns the id of the run."""
    for variable in ("SER_RUNS", "SER_CACHE", "SER_RESULTS"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    shutil.copytree(models / "mlp", models / "mine")
    card = dataclasses.replace(store.read_card("mlp", models), slug="mine", title=NASTY, description=NASTY)
    (models / "mine" / store.CARD).write_text(json.dumps(card.to_dict()), encoding="utf-8")
    corpus = recorded.create(tmp_path / "corpora", NASTY)
    samples, rate = soundfile.read(ROOT / "pages" / "samples" / "bright.flac", dtype="float32")
    for number, speaker in enumerate((NASTY, f"{NASTY[:37]}$")):
        data = waveform.encode_wav(waveform.Waveform((1 - 0.1 * number) * samples, rate))
        recorded.add(tmp_path / "corpora", corpus, data, label="happy", speaker=speaker, sentence=NASTY)
    folder = run_folder.create(paths.runs_folder(), {"corpora": [corpus], "classifier": "mlp"})
    (folder / supervisor.QUEUED_AT).write_text("1", encoding="ascii")
    run_folder.Reporter(folder).end(run_folder.FAILED, NASTY, problem=NASTY)
    (folder / jobs.JOB).write_text(
        json.dumps({"title": NASTY, "created": files.utc_now(), "key": "", "browser": ""}), encoding="utf-8"
    )
    return folder.name


def check(page: AppTest) -> None:
    assert not page.exception, page.exception[0].value
    found = [(place, text) for place, text in everything(page) if not place.endswith(".id")]
    assert any("img src" in text for _, text in found), "the name is not on this page"
    for place, text in found:
        if place.startswith("PlotlyChart.") and place not in PLAIN:
            assert "<img" not in text and "\\u003cimg" not in text, f"{place}: {text[:3000]}"
        elif place == "Html.body":
            assert "<img" not in text, text
        elif place not in PLAIN:
            assert not [mark for mark in MARKDOWN if mark in text], f"{place}: {text}"


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("", {}),
        ("pages/batch.py", {}),
        ("pages/live.py", {}),
        ("pages/train.py", {"train.tab": "New model"}),
        ("pages/train.py", {"train.tab": "Runs"}),
        ("pages/train.py", {"train.tab": "Models"}),
        ("pages/corpora.py", {"corpora.tab": "Corpora"}),
        ("pages/corpora.py", {"corpora.tab": "Check"}),
        ("pages/corpora.py", {"corpora.tab": "Your own"}),
        (
            "pages/corpora.py",
            {"corpora.tab": "Explore", "corpora.explore.section": "Labels", "corpora.explore.by": "corpus"},
        ),
        (
            "pages/corpora.py",
            {"corpora.tab": "Explore", "corpora.explore.section": "Labels", "corpora.explore.by": "speaker"},
        ),
        ("pages/corpora.py", {"corpora.tab": "Explore", "corpora.explore.section": "Clips"}),
        ("pages/corpora.py", {"corpora.tab": "Explore", "corpora.explore.section": "Recordings"}),
        ("pages/corpora.py", {"corpora.tab": "Explore", "corpora.explore.section": "Voices"}),
        ("pages/corpora.py", {"corpora.tab": "Explore", "corpora.explore.section": "Map"}),
        ("pages/corpora.py", {"corpora.tab": "Explore", "corpora.explore.section": "Augment"}),
        ("pages/corpora.py", {"corpora.tab": "Explore", "corpora.explore.section": "Export"}),
        ("pages/compare.py", {"compare.tab": "Held-out figures"}),
        ("pages/compare.py", {"compare.tab": "Score on a corpus"}),
        ("pages/compare.py", {"compare.tab": "Robustness"}),
        ("pages/compare.py", {"compare.tab": "Leakage Lab"}),
    ],
    ids=lambda value: "-".join(value.values()) if isinstance(value, dict) else value,
)
def test_a_name_is_shown_and_does_nothing(world: str, path: str, kept: dict[str, str]) -> None:
    check(visit(path, **{state.MODELS: ["mine", "knn"]}, **kept))


def test_a_file_name_is_shown_and_does_nothing(world: str) -> None:
    page = visit(**{state.MODELS: ["mine", "knn"]})
    for data in ((ROOT / "pages" / "samples" / "bright.flac").read_bytes(), b"no sound"):
        page.get("file_uploader")[0].set_value((f"{NASTY}.wav", data, "audio/wav"))
        check(page.run())
    page = visit("pages/batch.py")
    page.get("file_uploader")[0].set_value([(f"{NASTY}.zip", b"no zip", "application/zip")])
    check(page.run())


def test_what_a_check_found_is_shown_and_does_nothing(world: str) -> None:
    page = visit("pages/corpora.py", **{"corpora.tab": "Check"})
    next(each for each in page.button if each.key.startswith("corpora.check.start.")).click().run()
    until(lambda: any(each.key.startswith("corpora.check.start.") for each in page.run().button))
    check(page)


def test_a_run_its_problem_and_one_that_is_not_there_are_shown_and_do_nothing(world: str) -> None:
    for run in (world, NASTY):
        page = visit("pages/train.py")
        page.query_params["run"] = run
        check(page.run())
