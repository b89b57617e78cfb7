"""The Lesson page: for the class a way in, for the teacher what the start found and the end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from ser_core.corpora import recorded
from ser_core.serving import lesson
from tests.support import pages

ROOT = Path(__file__).resolve().parents[2]
URL = "https://192.168.7.9:8501"


def page() -> AppTest:
    return pages.visit("pages/lesson.py")


def texts(test: AppTest) -> str:
    return " ".join(str(each.value) for kind in (test.markdown, test.info, test.success, test.error) for each in kind)


def html(test: AppTest) -> str:
    return " ".join(each.proto.body for each in test.get("html"))


def links(test: AppTest) -> list[str]:
    return [each.proto.page for each in test.get("page_link")]


@pytest.fixture
def folder(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lesson that this process serves, with the admin word "owls at noon"."""
    monkeypatch.setenv("SER_RUNS", str(tmp_path / "runs"))
    folder = tmp_path / "class"
    lesson.write(
        folder,
        replace(
            lesson.begin(folder),
            url=URL,
            install_url="http://192.168.7.9:8502/",
            fingerprint="AA:BB",
            checks=(("Disk", False, "1.0 GB are free. <Make room>."),),
            told=["Removed: 1 model: Ours."],
        ),
    )
    monkeypatch.setenv(lesson.VARIABLE, str(folder))
    monkeypatch.setenv("SER_ADMIN_WORD", "owls at noon")
    return folder


def test_without_a_class_it_says_how_to_serve_one_and_the_menu_has_it_not(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(lesson.VARIABLE, raising=False)
    test = page()
    assert "make class" in test.info[0].value and not test.button
    assert "lesson" not in links(test)


def test_the_class_sees_the_way_in_and_only_the_teacher_the_rest(folder: Path, tmp_path: Path) -> None:
    test = page()
    assert not test.exception and "lesson" in links(test)
    assert URL in html(test) and "AA:BB" in html(test) and html(test).count('src="data:image/svg') == 2
    assert "Removed: 1 model: Ours" in texts(test).replace("\\", "")
    assert "Make room" not in html(test) and "lesson.end" not in [each.key for each in test.button]
    test.text_input(key="teacher.word").input("cats at noon").run()
    assert "not the admin word" in test.error[0].value and "lesson.end" not in [each.key for each in test.button]
    recorded.create(tmp_path / "corpora", "Class 9b")
    test.text_input(key="teacher.word").input("owls at noon").run()
    assert "&lt;Make room&gt;" in html(test) and "Class 9b" in texts(test)
    assert test.button(key="lesson.end").disabled and not lesson.end_asked(folder)
    test.checkbox(key="lesson.sure").check().run()
    test.button(key="lesson.end").click().run()
    assert lesson.end_asked(folder) and "The lesson is ending" in test.info[0].value and not test.button
