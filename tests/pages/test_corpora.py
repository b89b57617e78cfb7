"""The Corpora page, driven without a browser, on small corpora that are named by the real ones' rules."""

from __future__ import annotations

import io
import itertools
import json
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from pages.ui import cached, state
from pages.ui.charts import groups, palette
from pages.ui.corpora.catalogue import SPEAKERS, Here, facts, status
from pages.ui.corpora.check import as_json
from pages.ui.task import BUG, STOPPED, Task
from ser_core.corpora import catalogue, doctor, download, library, recorded
from ser_core.errors import CorpusError, Stopped
from tests.support import pages, waiting
from tests.support.pages import text, wait_for
from tests.support.signals import as_file, harmonics

ROOT = Path(__file__).resolve().parents[2]


def ravdess_names(actors: int = 2) -> list[str]:
    """Sixteen names an actor: eight emotions, two sentences."""
    return [
        f"Actor_{actor:02d}/03-01-{emotion:02d}-01-{sentence:02d}-01-{actor:02d}"
        for actor, emotion, sentence in itertools.product(range(1, actors + 1), range(1, 9), (1, 2))
    ]


EMODB_NAMES = ["03a01Fa", "03a01Nc", "08a01Wa", "08a02La"]


def wav(f0_hz: float) -> bytes:
    return as_file(harmonics(f0_hz, 0.5))


def write(folder: Path, names: list[str]) -> Path:
    for number, name in enumerate(names):
        path = folder / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(wav(100 + 3 * number))
    return folder


@pytest.fixture
def root(tmp_path: Path, new_server: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A corpora folder of this test's own, still empty."""
    folder = tmp_path / "corpora"
    folder.mkdir()
    monkeypatch.setenv("SER_CORPORA", str(folder))
    monkeypatch.setenv("SER_CACHE", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def both(root: Path) -> Path:
    """A part of RAVDESS and of EmoDB."""
    write(root / "ravdess", ravdess_names())
    write(root / "emodb", EMODB_NAMES)
    return root


def visit(tab: str = "Corpora", section: str = "Labels") -> AppTest:
    return pages.visit("pages/corpora.py", **{"corpora.tab": tab, "corpora.explore.section": section})


def button(page: AppTest, key: str) -> list:
    return [each for each in page.button if each.key == key]


def keys(page: AppTest, kind: str) -> list[str]:
    return [each.key for each in page.get(kind)]


# --- what there is to have


def test_without_a_corpus_the_page_lists_what_can_be_had(root: Path) -> None:
    page = visit()
    said = text(page)
    assert "No corpus is installed yet" in said
    for spec in catalogue.CORPORA.values():
        assert (
            spec.title in said
            and spec.citation in said
            and f"{spec.n_clips:,} clips, {len(spec.speakers)} speakers" in said
        )
        assert (spec.licence or "not stated in its publication") in said
    assert said.count("**Not installed**") == len(catalogue.CORPORA)
    assert keys(page, "link_button") and "corpora/" in said


def test_without_a_corpus_the_other_tabs_say_what_to_do(root: Path) -> None:
    for tab in ("Check", "Explore"):
        assert (
            "No corpus is installed yet. Download one on the tab Corpora, or record one on the tab Your own."
            in text(visit(tab))
        )


def test_a_corpus_that_is_a_repository_shows_the_commands_that_fetch_it(root: Path) -> None:
    shown = {each.value for each in visit().code}
    assert shown == {"\n".join(spec.commands) for spec in catalogue.CORPORA.values() if spec.commands}
    assert any("lfs pull" in each for each in shown)


def test_a_corpus_is_offered_as_a_download_only_where_its_row_has_one(root: Path) -> None:
    page = visit()
    offered = {
        each.key.removeprefix("corpora.download.")
        for each in page.button
        if (each.key or "").startswith("corpora.download.")
    }
    assert offered == {name for name, spec in catalogue.CORPORA.items() if spec.download} != set()


def test_an_installed_part_is_told_from_the_whole(both: Path) -> None:
    said = text(visit())
    assert "**Installed in part** in `ravdess/`: 32 of 1,440 clips, 2 of 24 speakers" in said
    assert str(both) not in said
    whole = Here(535, 10, has_folder=True)
    assert "**Installed** in" in status("emodb", catalogue.CORPORA["emodb"], whole)


def test_a_folder_without_a_clip_of_its_corpus_says_what_belongs_there(root: Path) -> None:
    write(root / "savee", ["holiday"])
    said = text(visit())
    assert "**Not recognised**: the folder `savee/` is there" in said and "`DC_a01.wav`" in said


def test_a_new_folder_shows_soon(root: Path) -> None:
    page = visit()
    write(root / "emodb", EMODB_NAMES)
    cached.corpus_folders.clear()
    assert "4 of 535 clips" in text(page.run())


@pytest.fixture
def unknown(root: Path) -> Path:
    """A part of EmoDB, a folder of labels with a title, and a table."""
    write(root / "emodb", EMODB_NAMES)
    write(root / "moods", ["happy/one", "Sadness/two"])
    (root / "moods" / "title.txt").write_text("My [moods]", encoding="utf-8")
    write(root / "mine", ["one", "two"])
    (root / "mine" / "clips.csv").write_text(
        "path,label,speaker\none.wav,happy,ann\ntwo.wav,sad,bob\n", encoding="utf-8"
    )
    return root


def test_corpora_without_published_facts_have_cards_too(unknown: Path) -> None:
    said = text(visit())
    assert (
        "My [moods]" in said and "**Here** in `moods/`: 2 clips, speakers unknown" in said and "happy 1, sad 1" in said
    )
    assert "**Here** in `mine/`: 2 clips, 2 speakers" in said and "4 of 535 clips" in said


def test_they_are_checked_and_explored_and_offered_as_samples(unknown: Path) -> None:
    page = visit("Check")
    page.selectbox("corpora.check.corpus").set_value("moods").run()
    page.button("corpora.check.start.moods").click().run()
    assert "The speaker of 2 clips is unknown" in wait_for(page, lambda said: "finding" in said)
    page = visit("Explore")
    assert "**All 8 clips**" in text(page)
    assert "moods" in page.pills("corpora.explore.corpora").value
    page = pages.visit()
    page.selectbox("recognize.corpus").set_value("moods").run()
    assert page.selectbox("recognize.corpus").options == ["EmoDB", "mine", "My [moods]"]
    clips = page.selectbox("recognize.clip.moods.")
    assert clips.options == ["happy · happy/one", "sad · Sadness/two"]


def test_a_corpus_that_cannot_be_read_spoils_nothing_else(unknown: Path) -> None:
    (unknown / "mine" / "clips.csv").write_text("path,label,speaker\nthree.wav,happy,ann\n", encoding="utf-8")
    said = text(visit())
    assert "**Cannot be used**: Table" in said and "4 of 535 clips" in said
    page = pages.visit()
    page.selectbox("recognize.corpus").set_value("mine").run()
    assert not page.exception and "lists 1 file that does not exist" in page.error[0].value.replace("\\", "")


def test_clips_left_out_are_counted_on_the_card_and_used_nowhere_else(both: Path) -> None:
    library.leave_out(both, "emodb", ["03a01Fa.wav"], reason="silent")
    assert "3 of 535 clips, 2 of 10 speakers" in (said := text(visit())) and "**1 clip is excluded**" in said
    page = visit("Explore")
    assert "**All 35 clips**" in text(page)


# --- getting one


def test_a_download_shows_its_progress_and_then_the_corpus(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()

    def fetch(name: str, into: Path, *, on_progress: Callable, should_stop: Callable) -> Path:
        on_progress(download.Progress("download", 50_000_000, 200_000_000, 30.0))
        assert go_on.wait(60)
        return write(Path(into) / name, ravdess_names())

    monkeypatch.setattr(download, "download", fetch)
    page = visit()
    page.button("corpora.download.ravdess").click().run()
    waiting.until(lambda: any("50 MB of 200 MB" in each.proto.text for each in page.run().get("progress")))
    assert page.get("progress")[0].proto.value == 25 and not button(page, "corpora.download.ravdess")
    go_on.set()
    assert "32 of 1,440 clips" in wait_for(page, lambda said: "Installed" in said)
    assert not page.get("progress")


def test_a_download_can_be_cancelled_and_offered_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(name: str, into: Path, *, on_progress: Callable, should_stop: Callable) -> Path:
        while not should_stop():
            time.sleep(0.01)
        raise Stopped("Stopped; 50 of 200 MB are kept.")

    monkeypatch.setattr(download, "download", fetch)
    page = visit()
    page.button("corpora.download.ravdess").click().run()
    page.button("corpora.download.ravdess.cancel").click().run()
    wait_for(page, lambda said: "50 of 200 MB are kept" in said)
    assert not page.error and button(page, "corpora.download.ravdess")


def test_a_download_that_fails_says_why(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(name: str, into: Path, **_: object) -> Path:
        raise CorpusError("zenodo.org cannot be reached. Check the [network] connection.")

    monkeypatch.setattr(download, "download", fetch)
    page = visit()
    page.button("corpora.download.ravdess").click().run()
    wait_for(page, lambda said: "cannot be reached. Check the [network]" in said)
    assert len(page.error) == 1 and button(page, "corpora.download.ravdess")


def test_a_zip_installs_a_corpus(root: Path, tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in EMODB_NAMES:
            archive.writestr(f"wav/{name}.wav", wav(120))
    page = visit()
    page.selectbox("corpora.zip.corpus").set_value("emodb").run()
    assert page.button("corpora.zip.install").disabled
    page.get("file_uploader")[0].set_value(("any name.zip", packed.getvalue(), "application/zip")).run()
    page.button("corpora.zip.install").click().run()
    wait_for(page, lambda said: "4 of 535 clips" in said)
    assert sorted(path.name for path in (root / "emodb" / "wav").iterdir()) == sorted(
        f"{name}.wav" for name in EMODB_NAMES
    )


def test_a_zip_that_is_none_gets_a_sentence(root: Path) -> None:
    page = visit()
    page.selectbox("corpora.zip.corpus").set_value("emodb").run()
    page.get("file_uploader")[0].set_value(("x.zip", b"these are words", "application/zip")).run()
    page.button("corpora.zip.install").click().run()
    wait_for(page, lambda said: "not a complete zip archive" in said)
    assert not (root / "emodb").exists()


def pick_zip(page: AppTest, content: bytes) -> AppTest:
    page.get("file_uploader")[0].set_value(("any name.zip", content, "application/zip")).run()
    return page.button("corpora.zip.install").click().run()


def test_a_zip_of_label_folders_becomes_a_corpus_of_its_own(root: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number, name in enumerate(("Happy/anna_1", "Happy/ben_1", "sad/anna_2")):
            archive.writestr(f"moods/{name}.wav", wav(120 + number))
    page = visit()
    page.selectbox("corpora.zip.corpus").set_value("").run()
    page.selectbox("corpora.zip.speakers").set_value(next(filter(None, SPEAKERS)))
    page.text_input("corpora.zip.title").set_value("Our [moods]")
    pick_zip(page, packed.getvalue())
    said = wait_for(page, lambda said: "**Here** in `our-moods/`" in said)
    assert "Our [moods]" in said and "3 clips, 2 speakers" in said and "happy 2, sad 1" in said


def test_a_zip_of_ones_own_without_a_name_is_asked_for_one(root: Path) -> None:
    page = visit()
    page.selectbox("corpora.zip.corpus").set_value("").run()
    pick_zip(page, b"PK")
    wait_for(page, lambda said: "The corpus has no name yet" in said)
    assert list(root.iterdir()) == []


def test_a_folder_under_another_name_is_given_its_own(root: Path) -> None:
    write(root / "AudioData [1]", ["DC_a01", "DC_h01"])
    write(root / "My moods", ["happy/one"])
    page = visit()
    assert "AudioData [1]" in text(page)
    page.button("corpora.adopt.0.savee").click().run()
    assert "2 of 480 clips" in text(page) and (root / "savee" / "DC_a01.wav").is_file()
    page.button("corpora.adopt.0.").click().run()
    assert "**Here** in `my-moods/`: 1 clip" in text(page)
    assert not [each for each in page.button if (each.key or "").startswith("corpora.adopt")]


def test_of_a_folder_that_holds_several_corpora_each_is_offered_by_itself(root: Path) -> None:
    write(root / "all-of-them", ["Savee/DC_a01", "Berlin/wav/03a01Fa", "Tess/OAF_angry/OAF_back_angry"])
    page = visit()
    assert all(f"all-of-them/{name}" in text(page) for name in ("Savee", "Berlin", "Tess"))
    for name in ("emodb", "savee", "tess"):
        page.button("corpora.adopt.0." + name).click().run()
        assert (root / name).is_dir() and not page.exception
    assert not [each for each in page.button if (each.key or "").startswith("corpora.adopt")]


# --- checking


def test_a_check_lists_its_findings_and_offers_them_as_json(both: Path) -> None:
    (both / "emodb" / "08a01Wb.wav").write_bytes((both / "emodb" / "08a01Wa.wav").read_bytes())
    (both / "emodb" / "03a02Fa.wav").write_bytes(b"")
    page = visit("Check")
    page.selectbox("corpora.check.corpus").set_value("emodb").run()
    page.button("corpora.check.start.emodb").click().run()
    said = wait_for(page, lambda said: "findings" in said)
    report = doctor.check("emodb", both / "emodb")
    assert {"identical", "undecodable", "missing_clips"} <= {finding.kind for finding in report.findings}
    for finding in report.findings:
        assert finding.message in said and finding.effect in said
    assert ["08a01Wa.wav", "08a01Wb.wav"] in [list(each.value["File"]) for each in page.dataframe]
    assert json.loads(as_json(report)) == report.to_dict()
    assert "corpora.check.json" in keys(page, "download_button")


def test_a_result_is_kept_until_the_folder_changes(both: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = visit("Check")
    page.selectbox("corpora.check.corpus").set_value("emodb").run()
    page.button("corpora.check.start.emodb").click().run()
    wait_for(page, lambda said: "finding" in said)
    other = visit("Check")
    assert "finding" in text(other.selectbox("corpora.check.corpus").set_value("emodb").run())
    (both / "emodb" / "08b01Wa.wav").write_bytes(wav(300))
    cached.fingerprint.clear()
    assert "finding" not in text(page.run())


@pytest.fixture
def checked(both: Path) -> AppTest:
    """The page after a check of a part of EmoDB with two identical clips and a file that is no clip."""
    (both / "emodb" / "08a01Wb.wav").write_bytes((both / "emodb" / "08a01Wa.wav").read_bytes())
    write(both / "emodb", ["holiday"])
    page = visit("Check")
    page.selectbox("corpora.check.corpus").set_value("emodb").run()
    page.button("corpora.check.start.emodb").click().run()
    wait_for(page, lambda said: "finding" in said)
    return page


def test_the_clips_of_a_finding_are_left_out_and_used_again(both: Path, checked: AppTest) -> None:
    assert checked.button("corpora.check.leave.identical").label == "Exclude one duplicate"
    assert not button(checked, "corpora.check.leave.missing_clips") and not button(
        checked, "corpora.check.leave.unknown_name"
    )
    assert "Nothing reads these files" in text(checked)
    said = text(checked.button("corpora.check.leave.identical").click().run())
    assert said.count("**1 clip is excluded**") == 1 and "**1 clip of EmoDB is excluded** (Identical 1)" in said
    assert library.left_out(both, "emodb") == {"identical": ("08a01Wb.wav",)}
    other = text(visit("Check").selectbox("corpora.check.corpus").set_value("emodb").run())
    assert "**1 clip of EmoDB is excluded**" in other
    said = text(checked.button("corpora.check.use.identical").click().run())
    assert "excluded**" not in said and button(checked, "corpora.check.leave.identical")
    assert library.left_out(both, "emodb") == {}


def test_all_that_is_left_out_is_used_again_with_one_click(both: Path, checked: AppTest) -> None:
    library.leave_out(both, "emodb", ["03a01Fa.wav"], reason="silent")
    library.leave_out(both, "emodb", ["03a01Fa.wav", "03a01Nc.wav"], reason="too_long")
    assert "**2 clips of EmoDB are excluded** (Silent 1, Too long 2)" in text(checked.run())
    assert "excluded**" not in text(checked.button("corpora.check.all.emodb").click().run())
    assert library.left_out(both, "emodb") == {}


def test_what_cannot_be_remembered_gets_a_sentence(
    both: Path, checked: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    checked.button("corpora.check.leave.identical").click().run()
    assert not checked.exception and "Read-only file system" in checked.error[0].value.replace("\\", "")


def test_a_check_can_be_cancelled(both: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(name: str, folder: Path, *, n_jobs: int, on_progress: Callable) -> None:
        while True:
            on_progress(10, 40)
            time.sleep(0.01)

    monkeypatch.setattr(doctor, "check", check)
    page = visit("Check")
    page.button("corpora.check.start.ravdess").click().run()
    assert page.get("progress")[0].proto.value == 25
    page.button("corpora.check.ravdess.cancel").click().run()
    wait_for(page, lambda said: STOPPED in said)
    assert button(page, "corpora.check.start.ravdess")


def test_a_fault_in_a_check_is_a_sentence(both: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "check", lambda *_, **__: 1 / 0)
    page = visit("Check")
    page.button("corpora.check.start.ravdess").click().run()
    wait_for(page, lambda said: BUG in said)
    assert "ZeroDivisionError" not in text(page)


def test_a_task_that_runs_is_not_started_twice() -> None:
    go_on, started = threading.Event(), []

    def work(task: Task) -> str:
        started.append(task)
        assert go_on.wait(30)
        return "done"

    task = Task()
    task.start(work)
    task.start(work)
    go_on.set()
    waiting.until(lambda: not task.running)
    assert task.result == "done" and len(started) == 1


# --- exploring


def test_labels_are_counted_over_all_corpora(both: Path) -> None:
    page = visit("Explore")
    assert "**All 36 clips** by 4 speakers" in text(page)
    overall, split = (json.loads(each.proto.spec) for each in page.get("plotly_chart"))
    (bars,) = overall["data"]
    assert dict(zip(bars["y"], bars["text"], strict=True))["angry"] == "5 · 13.9%"
    assert {trace["name"]: trace["marker"]["color"] for trace in split["data"]} == palette.EMOTIONS
    page.pills("corpora.explore.corpora").set_value(["emodb"])
    assert "**All 4 clips** by 2 speakers" in text(page.run())
    page.pills("corpora.explore.corpora").set_value([])
    assert "Choose a corpus" in text(page.run()) and not page.dataframe


@pytest.mark.parametrize(
    ("by", "rows"),
    [
        (catalogue.CORPUS, ["RAVDESS", "EmoDB"]),
        (catalogue.SPEAKER, ["EmoDB 03", "EmoDB 08", "RAVDESS 01", "RAVDESS 02"]),
        (catalogue.SEX, ["female", "male"]),
        (catalogue.INTENSITY, ["not stated", "normal"]),
    ],
)
def test_a_distribution_is_split_with_its_table_behind_it(both: Path, by: str, rows: list[str]) -> None:
    page = visit("Explore")
    page.segmented_control("corpora.explore.by").set_value(by)
    page.run()
    (table,) = [each.value for each in page.dataframe if "all clips" in each.value]
    assert list(table.index) == rows and table["all clips"].sum() == 36
    page.segmented_control("corpora.explore.unit").set_value("Shares")
    page.run()
    (table,) = [each.value for each in page.dataframe if "all clips" in each.value]
    assert table.drop(columns="all clips").sum(axis=1).to_list() == pytest.approx([100] * len(rows), abs=0.5)


def clip_table(page: AppTest):
    return next(each for each in page.dataframe if (each.key or "").startswith("corpora.explore.clips"))


def test_clips_are_filtered_heard_and_sent_to_recognize(both: Path) -> None:
    page = visit("Explore", "Clips")
    assert len(clip_table(page).value) == 36
    page.multiselect("corpora.explore.label").set_value(["angry"])
    page.multiselect("corpora.explore.speaker").set_value(["ravdess:02"])
    page.run()
    shown = clip_table(page)
    assert list(shown.value["Name"]) == ["03-01-05-01-01-01-02", "03-01-05-01-02-01-02"]
    assert list(shown.value["Sentence"]) == ["Kids are talking by the door", "Dogs are sitting by the door"]
    page.session_state[shown.key] = {"selection": {"rows": [1], "columns": [], "cells": []}}
    page.run()
    assert (
        "03-01-05-01-02-01-02.wav" in text(page)
        and "Acted as **angry**" in text(page)
        and len(pages.players(page)) == 1
    )
    page.button("corpora.explore.open").click().run()
    assert page.title[0].value == "Recognize" and "Acted as **angry**" in text(page)
    assert page.session_state[state.CLIP].data == (both / "ravdess/Actor_02/03-01-05-01-02-01-02.wav").read_bytes()


def test_a_clip_that_is_no_sound_gets_a_sentence(both: Path) -> None:
    (both / "emodb" / "03a01Fa.wav").write_bytes(b"words")
    page = visit("Explore", "Clips")
    page.pills("corpora.explore.corpora").set_value(["emodb"])
    page.run()
    page.session_state[clip_table(page).key] = {"selection": {"rows": [0], "columns": [], "cells": []}}
    page.run()
    assert not page.exception and len(page.error) == 1 and not pages.players(page)


def test_every_widget_has_a_key(both: Path) -> None:
    kinds = (
        "button",
        "link_button",
        "file_uploader",
        "selectbox",
        "download_button",
        "pills",
        "segmented_control",
        "multiselect",
        "text_input",
        "toggle",
        "audio_input",
    )
    recorded.create(both, "Class 9b")
    for tab in ("Corpora", "Check", "Explore", "Your own"):
        page = visit(tab)
        assert all(each.key for kind in kinds for each in page.get(kind)), tab


def clips(*rows: tuple[str, str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=[catalogue.CORPUS, catalogue.SPEAKER, catalogue.EMOTION])


def test_counts_keep_the_order_of_corpora_and_labels_and_take_strange_ones() -> None:
    rows = clips(("emodb", "emodb:03", "odd"), ("emodb", "emodb:03", "boredom"), ("ravdess", "ravdess:01", "neutral"))
    table = groups.counts(rows, catalogue.CORPUS)
    assert list(table.index) == ["RAVDESS", "EmoDB"] and list(table.columns) == ["neutral", "boredom", "odd"]
    assert table.to_numpy().tolist() == [[1, 0, 0], [0, 1, 1]]
    assert groups.shares(table).to_numpy().tolist() == [[1, 0, 0], [0, 0.5, 0.5]]


def test_a_figure_of_many_speakers_ends_somewhere() -> None:
    table = groups.counts(clips(*((("cremad", f"cremad:{n}", "sad")) for n in range(150))), catalogue.SPEAKER)
    figure = groups.groups(table, as_shares=False)
    assert len(table) == 150 and len(figure.data[0].y) == groups.MAX_GROUPS


def test_the_facts_of_a_corpus_tell_how_well_people_do_and_what_makes_scores_too_high() -> None:
    of_people = {
        name for name, spec in catalogue.CORPORA.items() if "Most people who only heard the clips" in facts(spec)
    }
    telling = {name for name, spec in catalogue.CORPORA.items() if "said with one emotion alone" in facts(spec)}
    assert of_people == {"cremad"} and telling == {"savee"} and "41.6%" in facts(catalogue.CORPORA["cremad"])


def test_a_fingerprint_changes_with_names_sizes_and_times(tmp_path: Path) -> None:
    fingerprint = cached.fingerprint.__wrapped__
    file = tmp_path / "a" / "x.wav"
    file.parent.mkdir()
    file.write_bytes(b"1")
    seen = {fingerprint(tmp_path)}
    assert fingerprint(tmp_path) in seen
    for change in (
        lambda: file.write_bytes(b"22"),
        lambda: file.rename(file.with_name("y.wav")),
        lambda: (tmp_path / "z").touch(),
    ):
        change()
        assert fingerprint(tmp_path) not in seen
        seen.add(fingerprint(tmp_path))
