"""`models` as a shell meets it: cards, damage, and each change to a model."""

from __future__ import annotations

import json

import pytest

from ser_core.recognition import store


def test_models_lists_the_cards(run, models):
    status, out, err = run("models", "--json")
    assert (status, err) == (0, [])
    assert json.loads(out) == json.loads(json.dumps([card.to_dict() for card in store.list_models(models)[0]]))
    assert all(0 <= each["evaluation"]["uar"] <= 1 for each in json.loads(out))
    status, out, err = run("models")
    assert (status, err) == (0, [])
    first_words = [line.split()[0] for line in out.splitlines()]
    assert [word for word in first_words if word in store.SHIPPED] == list(store.SHIPPED)
    assert "12.5%" in out  # the tiny models' cards all say chance


def test_models_reports_a_broken_one(run, models):
    (models / "cnn" / store.CARD).unlink()
    status, out, (line,) = run("models", "--json")
    assert status == 2 and "Model 'cnn' has no card.json" in line
    assert [card["slug"] for card in json.loads(out)] == [slug for slug in store.SHIPPED if slug != "cnn"]


def test_a_model_is_shown_renamed_shared_and_deleted(run, models, tmp_path):
    file = tmp_path / "knn.ser.zip"
    status, out, err = run("models", "show", "knn")
    assert (status, err) == (0, []) and "knn" in out.splitlines()[0] and "Labels: " in out
    assert run("models", "export", "knn", "--out", file)[0] == 0 and file.stat().st_size > 0
    status, out, err = run("models", "import", file)
    assert (status, err) == (0, [])
    slug = out.split(":")[0]
    assert slug != "knn"
    assert run("models", "rename", slug, "Other") == (0, f"{slug}: Other\n", [])
    assert run("models", "describe", slug, "For a test.") == (0, f"{slug}: described\n", [])
    assert store.read_card(slug, models).description == "For a test."
    assert run("models", "delete", slug) == (0, f"{slug}: deleted\n", [])
    assert sorted(path.name for path in models.iterdir()) == sorted(store.SHIPPED)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("show", "gone"), "There is no model 'gone'"),
        (("delete", "knn"), "knn"),
        (("import", "gone.zip"), "gone.zip"),
        (("export", "knn", "--out", "nowhere/knn.zip"), "Choose another file with --out"),
    ],
)
def test_what_cannot_be_done_is_a_line(run, tmp_path, monkeypatch, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    status, out, (line,) = run("models", *arguments)
    assert (status, out) == (2, "") and sentence in line
