"""A process of its own reads what may end the process that reads it."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ser_core import bundles, classifiers, probe, store
from ser_core.errors import ModelError
from tests import tiny_models

LABELS = ("happy", "sad")


@pytest.fixture
def forest(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    classifier = classifiers.build("forest", LABELS, {"n_trees": 10})
    classifier.fit(rng.normal(size=(40, 5)), np.arange(40) % 2)
    classifier.save(tmp_path)
    return tmp_path


def change(folder: Path, into: np.ndarray | None) -> None:
    """Write the nodes of the trees as another array, or leave the half of the file."""
    file = folder / "model.skops"
    if into is None:
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        return
    with zipfile.ZipFile(file) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in contents.items():
            if name.endswith(".npy") and np.load(io.BytesIO(content)).dtype.names:
                target = io.BytesIO()
                np.save(target, into.astype(np.load(io.BytesIO(content)).dtype))
                content = target.getvalue()
            archive.writestr(name, content)


def test_a_forest_and_one_that_is_refused_are_survived(forest: Path) -> None:
    assert probe.survives("forest", forest, LABELS)
    change(forest, None)
    with pytest.raises(ModelError):
        classifiers.load("forest", forest, LABELS)
    assert probe.survives("forest", forest, LABELS)


def test_trees_without_a_length_end_the_process_that_reads_them_and_not_this_one(forest: Path) -> None:
    change(forest, np.zeros(()))
    assert not probe.survives("forest", forest, LABELS)


def test_a_process_that_does_not_end_counts_as_one_that_died(forest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "LIMIT_S", 0.01)
    assert not probe.survives("forest", forest, LABELS)


def test_what_ends_a_process_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = tiny_models.build(tmp_path)
    monkeypatch.setattr(probe, "UNCHECKED", {"mlp"})
    monkeypatch.setattr(probe, "survives", lambda *_: False)
    before = store.list_models(models)[0]
    with pytest.raises(ModelError, match="ends the program that reads it"):
        bundles.import_model(bundles.export_model("mlp", models), models)
    assert store.list_models(models)[0] == before
