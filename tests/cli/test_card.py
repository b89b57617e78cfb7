"""`card` as a shell meets it: a page in a file."""

from __future__ import annotations

from ser_core.recognition import report, store


def test_a_card_goes_to_the_file_that_is_named_or_to_one_of_its_own(run, models, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("card", "knn") == (0, "knn-card.html\n", [])
    assert run("card", "knn", "--out", "page.html") == (0, "page.html\n", [])
    page = report.html(store.read_card("knn", models))
    assert [(tmp_path / name).read_text(encoding="utf-8") for name in ("knn-card.html", "page.html")] == [page, page]


def test_what_cannot_be_done_is_a_line(run, tmp_path):
    status, out, (line,) = run("card", "gone")
    assert (status, out) == (2, "") and "There is no model 'gone'" in line
    status, out, (line,) = run("card", "knn", "--out", tmp_path / "nowhere" / "a.html")
    assert (status, out) == (2, "") and "Choose another file with --out" in line
