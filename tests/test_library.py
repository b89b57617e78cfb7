"""What lies in the corpora folder, and what of it is left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from ser_core import corpora, library
from ser_core.errors import CorpusError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A corpora folder with a known corpus, one in folders of labels, one in a table, and what is none."""
    for name in (
        "savee/DC_a01.wav", "savee/DC_h01.wav", "savee/JE/a01.wav", "moods/happy/one.wav", "moods/Sadness/two.wav", "mine/one.wav",
        "mine/two.wav", "notes/letter.txt", ".hidden/happy/one.wav", "loose.wav",
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "mine" / "clips.csv").write_text("path,label,speaker\none.wav,happy,ann\ntwo.wav,sad,bob\n", encoding="utf-8")
    return tmp_path


def test_every_kind_of_corpus_is_found(root: Path) -> None:
    assert {name: each.kind for name, each in library.installed(root).items()} == {
        "savee": library.KNOWN, "mine": library.TABLE, "moods": library.FOLDERS,
    }  # fmt: skip
    assert library.installed(root / "nowhere") == {}


def test_clips_of_several_corpora_are_one_table(root: Path) -> None:
    clips = library.clips(root, ["savee", "moods", "mine"])
    assert clips.groupby(corpora.CORPUS).size().to_dict() == {"savee": 3, "moods": 2, "mine": 2}
    assert list(clips.columns) == list(corpora.COLUMNS)
    assert set(clips.loc[clips[corpora.CORPUS] == "mine", corpora.SPEAKER]) == {"mine:ann", "mine:bob"}


def test_clips_left_out_are_not_used_until_they_are_taken_back(root: Path) -> None:
    library.leave_out(root, "savee", ["JE/a01.wav", "DC_h01.wav"])
    assert library.left_out(root, "savee") == ("DC_h01.wav", "JE/a01.wav")
    assert library.clips(root, ["savee"])[corpora.NAME].tolist() == ["DC_a01"]
    library.leave_out(root, "savee", [])
    assert library.left_out(root, "savee") == ()
    assert len(library.clips(root, ["savee"])) == 3


def test_a_damaged_list_stops_rather_than_use_what_was_left_out(root: Path) -> None:
    library.leave_out(root, "savee", ["DC_h01.wav"])
    (root / ".left-out" / "savee.json").write_text('["DC_h', encoding="utf-8")
    with pytest.raises(CorpusError, match="Delete it and choose them again"):
        library.clips(root, ["savee"])


@pytest.mark.parametrize(("names", "sentence"), [([], "No corpus was chosen"), (["tess"], "Corpus 'tess' is not installed")])
def test_a_corpus_that_is_not_there_is_named(root: Path, names: list[str], sentence: str) -> None:
    with pytest.raises(CorpusError, match=f"{sentence} .* Installed there: savee, mine, moods"):
        library.clips(root, names)
