"""Work in threads that all visitors see: what each may read of how it ended, and that it outlives caches and old pages."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from pages.ui import runtime
from pages.ui import task as ui_task
from pages.ui.task import BUG, FOR_OTHERS, Task
from ser_core.errors import CorpusError
from tests.support import pages
from tests.support.waiting import until

ROOT = Path(__file__).resolve().parents[2]


def visitor(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    monkeypatch.setattr(runtime, "browser", lambda: secret)


def ended(task: Task) -> Task:
    until(lambda: not task.running)
    return task


def fail(task: Task) -> None:
    raise CorpusError("secret.zip of Ann's holds nothing.")


def test_why_a_task_failed_is_told_to_the_one_who_started_it(monkeypatch: pytest.MonkeyPatch) -> None:
    visitor(monkeypatch, "ann")
    task = ui_task.task("unpack", "x")
    task.start(fail)
    ended(task)
    assert task.problem_for("ann").startswith("secret.zip") and task.problem_for("bob") == FOR_OTHERS
    visitor(monkeypatch, "bob")
    task.start(lambda task: 1 / 0)
    ended(task)
    assert task.problem_for("bob") == BUG and task.problem_for("ann") == FOR_OTHERS
    task.start(lambda task: "done")
    assert ended(task).problem_for("ann") == ""


def test_another_visitor_sees_no_file_name_in_the_error_of_a_task(models: Path, tmp_path: Path) -> None:
    (tmp_path / "corpora").mkdir()

    def visit() -> AppTest:
        page = pages.visit("pages/corpora.py")
        page.selectbox("corpora.zip.corpus").set_value("")
        return page.run()

    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("/root/ann-secret.wav", b"x")
    mine, other = visit(), visit()
    next(each for each in mine.get("file_uploader") if each.label == "Zip").set_value(
        ("a.zip", file.getvalue(), "application/zip")
    )
    mine.run()
    mine.text_input("corpora.zip.title").set_value("Mine").run()
    mine.button("corpora.zip.install").click().run()
    ended(ui_task.task("unpack", str(tmp_path / "corpora" / ".own")))
    assert "ann-secret" in " ".join(each.value for each in mine.run().error).replace("\\", "")
    said = " ".join(each.value for each in other.run().error).replace("\\", "")
    assert said == FOR_OTHERS


def test_a_visitor_who_clears_all_caches_loses_no_task() -> None:
    task = ui_task.task("check", "x")
    st.cache_resource.clear()
    st.cache_data.clear()
    assert ui_task.task("check", "x") is task


def test_tasks_that_do_not_run_are_kept_up_to_a_number_and_running_ones_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ui_task, "KEPT", 3)
    running = ui_task.task("a", "running")
    running.running = True
    first, *_ = [ui_task.task("a", str(number)) for number in range(5)]
    assert list(ui_task.TASKS) == [("a", "running"), ("a", "2"), ("a", "3"), ("a", "4")]
    ui_task.task("a", "2")
    ui_task.task("a", "5")
    assert list(ui_task.TASKS) == [("a", "running"), ("a", "4"), ("a", "2"), ("a", "5")]
    assert ui_task.task("a", "running") is running and ui_task.task("a", "0") is not first


def test_a_task_that_a_page_held_for_long_is_started_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ui_task, "KEPT", 1)
    old = ui_task.task("a", "x")
    ui_task.task("a", "y")
    old.start(lambda task: "first")
    assert ui_task.task("a", "x") is old and ended(old).result == "first"
    ui_task.task("a", "y")
    new = ui_task.task("a", "x")
    assert new is not old
    old.start(lambda task: "second")
    assert ended(new).result == "second" and old.result == "first"
