"""What lies in the corpora folder, and what of it is left out."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path

import pytest

from ser_core.corpora import catalogue, library
from ser_core.errors import CorpusError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A corpora folder with a known corpus, one in folders of labels, one in a table, and what is none."""
    for name in (
        "savee/DC_a01.wav",
        "savee/DC_h01.wav",
        "savee/JE/a01.wav",
        "moods/happy/one.wav",
        "moods/Sadness/two.wav",
        "mine/one.wav",
        "mine/two.wav",
        "notes/letter.txt",
        ".hidden/happy/one.wav",
        "loose.wav",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "mine" / "clips.csv").write_text(
        "path,label,speaker\none.wav,happy,ann\ntwo.wav,sad,bob\n", encoding="utf-8"
    )
    return tmp_path


def test_every_kind_of_corpus_is_found(root: Path) -> None:
    assert {name: each.kind for name, each in library.installed(root).items()} == {
        "savee": library.KNOWN,
        "mine": library.TABLE,
        "moods": library.FOLDERS,
    }
    assert library.installed(root / "nowhere") == {}


def test_folders_of_labels_may_lie_one_deeper(root: Path) -> None:
    (root / "moods").rename(root / "moved")
    (root / "parts").mkdir()
    (root / "moved").rename(root / "parts" / "train")
    assert library.installed(root)["parts"].kind == library.FOLDERS
    assert len(library.clips(root, ["parts"])) == 2


def test_folders_under_other_names_are_recognised(root: Path) -> None:
    for old, new in (("savee", "AudioData"), ("moods", "My moods")):
        (root / old).rename(root / new)
    (root / "link").symlink_to(root / "AudioData")
    first, second = library.unrecognised(root)
    assert (first.folder.name, first.known, first.kind) == ("AudioData", ("savee",), "")
    assert (second.folder.name, second.known, second.kind) == ("My moods", (), library.FOLDERS)
    assert library.rename_to_corpus(root, first, "savee") == root / "savee"
    assert library.rename_to_corpus(root, second) == root / "my-moods"
    assert {name: each.title for name, each in library.installed(root).items()} == {
        "savee": "SAVEE",
        "mine": "mine",
        "my-moods": "My moods",
    }
    assert library.unrecognised(root) == ()
    assert len(library.clips(root, ["savee"])) == 3


@pytest.mark.parametrize("name", ["tess", "", "../savee"])
def test_a_folder_is_adopted_as_what_it_is_only(root: Path, name: str) -> None:
    (root / "savee").rename(root / "AudioData")
    (found,) = library.unrecognised(root)
    with pytest.raises(CorpusError, match="has changed since it was listed"):
        library.rename_to_corpus(root, found, name)
    assert (root / "AudioData").is_dir()


def test_a_folder_is_not_adopted_in_place_of_another(root: Path) -> None:
    (root / "savee").rename(root / "AudioData")
    (found,) = library.unrecognised(root)
    (root / "savee").mkdir()
    with pytest.raises(CorpusError, match="has changed since it was listed"):
        library.rename_to_corpus(root, found, "savee")


def test_clips_of_several_corpora_are_one_table(root: Path) -> None:
    clips = library.clips(root, ["savee", "moods", "mine"])
    assert clips.groupby(catalogue.CORPUS).size().to_dict() == {"savee": 3, "moods": 2, "mine": 2}
    assert list(clips.columns) == list(catalogue.COLUMNS)
    assert set(clips.loc[clips[catalogue.CORPUS] == "mine", catalogue.SPEAKER]) == {"mine:ann", "mine:bob"}


def test_any_kind_of_corpus_is_read_by_its_folder(root: Path) -> None:
    assert {name: len(library.read(name, root / name)) for name in ("savee", "moods", "mine")} == {
        "savee": 3,
        "moods": 2,
        "mine": 2,
    }
    with pytest.raises(
        CorpusError,
        match=r"Corpus 'notes' is not known, and '.*notes' has neither a table \(clips.csv or clips.parquet\)",
    ):
        library.read("notes", root / "notes")


def test_a_corpus_without_a_row_is_called_what_its_title_says(root: Path) -> None:
    (root / "moods" / library.TITLE).write_text("  Class 9b,\u2028 spring\t term \n", encoding="utf-8")
    titles = {name: each.title for name, each in library.installed(root).items()}
    assert titles == {"savee": "SAVEE", "mine": "mine", "moods": "Class 9b, spring term"}


def test_clips_left_out_are_not_used_until_they_are_taken_back(root: Path) -> None:
    library.leave_out(root, "savee", ["JE/a01.wav", "DC_h01.wav"], reason="silent")
    library.leave_out(root, "savee", ["JE/a01.wav"])
    assert library.left_out(root, "savee") == {"by_hand": ("JE/a01.wav",), "silent": ("DC_h01.wav", "JE/a01.wav")}
    assert library.clips(root, ["savee"])[catalogue.NAME].tolist() == ["DC_a01"]
    library.leave_out(root, "savee", [], reason="silent")
    assert library.clips(root, ["savee"])[catalogue.NAME].tolist() == ["DC_a01", "DC_h01"]
    library.leave_out(root, "savee", [])
    assert library.left_out(root, "savee") == {}
    assert len(library.clips(root, ["savee"])) == 3


def test_a_corpus_of_which_all_is_left_out_says_so(root: Path) -> None:
    library.leave_out(root, "moods", ["happy/one.wav", "Sadness/two.wav"])
    with pytest.raises(CorpusError, match=r"All 2 clips of moods are left out\. Include some of them again"):
        library.clips(root, ["moods"])


@pytest.mark.parametrize("reason", ["", "../x", "no voice"])
def test_a_reason_is_a_word(root: Path, reason: str) -> None:
    with pytest.raises(CorpusError, match="A reason to leave clips out"):
        library.leave_out(root, "savee", ["JE/a01.wav"], reason=reason)


def test_a_folder_that_may_not_be_written_to_gets_a_sentence(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    with pytest.raises(
        CorpusError, match=r"could not be written .*Read-only file system.* must be one that the app may write to"
    ):
        library.leave_out(root, "savee", ["JE/a01.wav"])
    assert library.left_out(root, "savee") == {}


def test_a_damaged_list_stops_rather_than_use_what_was_left_out(root: Path) -> None:
    library.leave_out(root, "savee", ["DC_h01.wav"])
    (root / ".left-out" / "savee" / "by_hand.json").write_text('["DC_h', encoding="utf-8")
    with pytest.raises(CorpusError, match="Delete it and choose them again"):
        library.clips(root, ["savee"])


@pytest.mark.parametrize(
    ("names", "sentence"), [([], "No corpus was chosen"), (["tess"], "Corpus 'tess' is not installed")]
)
def test_a_corpus_that_is_not_there_is_named(root: Path, names: list[str], sentence: str) -> None:
    with pytest.raises(CorpusError, match=f"{sentence} .* Installed there: savee, mine, moods"):
        library.clips(root, names)


@pytest.mark.parametrize("place", ["train", "wav/train", "data/wav/train", "a/b/c/d"])
def test_folders_of_labels_may_lie_some_folders_deep(place: str, tmp_path: Path) -> None:
    for label in ("happy", "sad"):
        (tmp_path / "deep" / place / label).mkdir(parents=True)
        (tmp_path / "deep" / place / label / "1.wav").touch()
    assert library.installed(tmp_path)["deep"].kind == library.FOLDERS
    assert len(library.clips(tmp_path, ["deep"])) == 2


FOUR = {
    "Crema/1001_DFA_ANG_XX": "cremad",
    "Ravdess/audio_speech_actors_01-24/Actor_01/03-01-05-01-02-01-01": "ravdess",
    "Savee/DC_a01": "savee",
    "Tess/OAF_angry/OAF_back_angry": "tess",
}


def test_of_a_folder_that_holds_several_corpora_each_is_offered_by_itself(tmp_path: Path) -> None:
    for name in FOUR:
        (tmp_path / "All of them" / name).parent.mkdir(parents=True)
        (tmp_path / "All of them" / f"{name}.wav").touch()
    found = library.unrecognised(tmp_path)
    offered = {each.folder.relative_to(tmp_path / "All of them").as_posix(): each.known for each in found}
    assert offered == {name.partition("/")[0]: (known,) for name, known in FOUR.items()}
    for each in found:
        library.rename_to_corpus(tmp_path, each, each.known[0])
    assert set(library.installed(tmp_path)) == set(FOUR.values())
    assert {name: len(library.clips(tmp_path, [name])) for name in FOUR.values()} == dict.fromkeys(FOUR.values(), 1)


def test_corpora_that_lie_in_one_folder_are_offered_together(tmp_path: Path) -> None:
    (tmp_path / "Mixed" / "Actor_01").mkdir(parents=True)
    for name in ("03-01-05-01-02-01-01", "03-02-05-01-02-01-01"):
        (tmp_path / "Mixed" / "Actor_01" / f"{name}.wav").touch()
    (found,) = library.unrecognised(tmp_path)
    assert (found.folder.name, found.known) == ("Mixed", ("ravdess", "ravdess_song"))
