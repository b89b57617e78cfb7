"""Recordings of published corpora that are recognised by their sound, and the file of prints that comes with the project."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from ser_core.corpora import catalogue, scan
from ser_core.dataset import duplicates, published
from ser_core.errors import ConfigError
from ser_core.recognition import store
from tests.support.utterances import RATE, utterance


@pytest.fixture(scope="module")
def ravdess(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Six clips of three actors, named as RAVDESS has them."""
    folder = tmp_path_factory.mktemp("ravdess")
    for seed in range(6):
        soundfile.write(folder / f"03-01-03-01-01-0{1 + seed % 2}-0{1 + seed // 2}.wav", utterance(seed), RATE)
    return scan.scan("ravdess", folder)


def own(folder: Path, ravdess: pd.DataFrame) -> pd.DataFrame:
    """Return a corpus of a user's: the clips of RAVDESS as FLAC under other names, the last first, and three others."""
    sounds = [soundfile.read(path)[0] for path in reversed(ravdess[catalogue.PATH])] + [
        utterance(seed) for seed in (20, 21, 22)
    ]
    (folder / "happy").mkdir(parents=True)
    for number, samples in enumerate(sounds):
        soundfile.write(folder / "happy" / f"x{number}.flac", samples, RATE)
    return scan.read_folders(folder, corpus="mine").sort_values(catalogue.NAME).reset_index(drop=True)


def test_recordings_are_recognised_under_other_names_and_in_another_format(ravdess, tmp_path, monkeypatch):
    monkeypatch.setattr(published, "PRINTS", tmp_path / "prints.npz")
    assert published.write(published.PRINTS, {"ravdess": ravdess}, duplicates.sounds(ravdess)) == 6
    mine = own(tmp_path / "mine", ravdess)
    mine.index = mine.index + 10
    found = published.recognise(mine, duplicates.sounds(mine))
    assert found.index.tolist() == list(range(10, 16)), "the last three are of nobody"
    expected = ravdess[list(published.OFFICIAL)].iloc[::-1]
    assert found.to_numpy().tolist() == expected.to_numpy().tolist()


def test_a_file_of_prints_is_read_as_it_was_written_and_the_same_each_time(ravdess, tmp_path):
    sounds = duplicates.sounds(ravdess)
    for name in ("one", "other"):
        published.write(tmp_path / name, {"ravdess": ravdess}, sounds)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    stored = published.read(tmp_path / "one")
    assert stored.name.tolist() == sorted(ravdess[catalogue.NAME]) and set(stored.corpus) == {"ravdess"}
    by_name = ravdess.sort_values(catalogue.NAME)[catalogue.PATH]
    np.testing.assert_array_equal(stored.prints, [sounds.prints[path][0] for path in by_name])


def test_prints_of_a_users_own_corpus_are_not_written(ravdess, tmp_path):
    with pytest.raises(ConfigError, match="'mine' is none of ravdess"):
        published.write(tmp_path / "prints", {"mine": ravdess}, duplicates.sounds(ravdess))
    with pytest.raises(ConfigError, match="cannot be written"):
        published.write(tmp_path / "no" / "prints", {"ravdess": ravdess}, duplicates.sounds(ravdess))


@pytest.mark.parametrize("content", [b"", b"x" * 100, None])
def test_a_file_that_is_missing_or_damaged_is_a_sentence(tmp_path, content):
    if content is not None:
        (tmp_path / "prints.npz").write_bytes(content)
    with pytest.raises(ConfigError, match=r"'prints\.npz' cannot be read"):
        published.read(tmp_path / "prints.npz")


@pytest.mark.parametrize(
    "change",
    [
        {"name": np.array(["a"])},
        {"prints": np.zeros((2, 50))},
        {"prints": np.zeros((2, 3), np.uint8)},
        {"prints": np.zeros((3, 50), np.uint8)},
    ],
)
def test_a_file_whose_arrays_do_not_fit_is_a_sentence(tmp_path, change):
    arrays = {
        "corpus": np.array(["ravdess"] * 2),
        "name": np.array(["a", "b"]),
        "prints": np.zeros((2, duplicates.PRINT_BYTES), np.uint8),
    }
    np.savez(tmp_path / "prints.npz", **arrays | change)
    with pytest.raises(ConfigError, match="cannot be read"):
        published.read(tmp_path / "prints.npz")


def test_the_prints_that_come_with_the_project_are_of_all_that_the_shipped_models_were_trained_on():
    known = published.read()
    counts = {str(name): int(n) for name, n in zip(*np.unique(known.corpus, return_counts=True), strict=True)}
    trained_on = {each["corpus"] for slug in store.SHIPPED for each in store.read_card(slug).corpora}
    silent = {"cremad": 1}  # 1076_MTI_SAD_XX.wav holds digital silence, which has no print
    assert counts == {name: catalogue.CORPORA[name].n_clips - silent.get(name, 0) for name in trained_on}
    assert all(scan.speaker_of(corpus, name) for corpus, name in zip(known.corpus, known.name, strict=True))
    assert published.PRINTS.stat().st_size < 50 * sum(counts.values())
