"""A zip that somebody has: unpacked where it can be trusted, and nothing left behind where it cannot."""

from __future__ import annotations

import csv
import io
import random
import shutil
import signal
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ser_core.corpora import catalogue, install, library, scan
from ser_core.errors import CorpusError
from tests.support.archives import CLIPS, WHOLE, is_clean, is_whole, tar_of, zip_of

ROOT = Path(__file__).resolve().parents[2]
MOODS = {"moods/Happy/anna_1.wav": b"one", "moods/sad/ben_1.wav": b"two", "moods/notes.txt": b"hello"}
TABLE = {
    "mine/clips.csv": b"path,label,speaker\na.wav,happy,ann\nb.wav,sad,bob\n",
    "mine/a.wav": b"one",
    "mine/b.wav": b"two",
}
LISTS = b"path,label,speaker\n%s,happy,ann\n"


@pytest.mark.parametrize("kind", ["bytes", "path", "file"])
def test_an_archive_that_somebody_has_is_installed(kind, tmp_path):
    path = tmp_path / "upload.zip"
    path.write_bytes(WHOLE)
    root = tmp_path / "corpora"
    with path.open("rb") as file:
        assert is_whole(install.install_archive("savee", {"bytes": WHOLE, "path": path, "file": file}[kind], root))
    assert is_clean(root)
    assert path.read_bytes() == WHOLE


def test_a_nested_second_copy_is_unpacked_and_counts_once(tmp_path):
    folder = install.install_archive(
        "savee", zip_of({**CLIPS, **{f"again/{name}": data for name, data in CLIPS.items()}}), tmp_path
    )
    assert len(list(folder.rglob("*.wav"))) == 960
    assert len(scan.scan("savee", folder)) == 480


def test_what_a_mac_adds_is_left_out(tmp_path):
    folder = install.install_archive(
        "savee", zip_of({**CLIPS, "__MACOSX/DC/._a01.wav": b"x", "AudioData/._DC_a01.wav": b"x"}), tmp_path
    )
    assert is_whole(folder)


def test_backslashes_in_an_archive_are_folders(tmp_path):
    assert is_whole(
        install.install_archive(
            "savee", zip_of({name.replace("/", "\\"): data for name, data in CLIPS.items()}), tmp_path
        )
    )


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def locked() -> bytes:
    """Return a zip whose first member says that it is encrypted."""
    content = bytearray(zip_of({"DC_a01.wav": b"x"}))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def broken() -> bytes:
    content = bytearray(zip_of({"DC_a01.wav": b"sound" * 100}))
    content[60] ^= 0xFF
    return bytes(content)


def shifted() -> bytes:
    """Return a zip that says that its list of files begins before the file does."""
    content = bytearray(zip_of({"DC_a01.wav": b"x"}))
    at = content.index(b"PK\x05\x06")
    content[at + 12 : at + 16] = (2**16).to_bytes(4, "little")
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (zip_of({**CLIPS, "../evil.wav": b"x"}), r"'\.\./evil\.wav' points outside the folder"),
        (zip_of({"a/../../evil.wav": b"x"}), "points outside the folder"),
        (zip_of({"..\\evil.wav": b"x"}), "points outside the folder"),
        (zip_of({"/tmp/evil.wav": b"x"}), "points outside the folder"),
        (zip_of({"C:/evil.wav": b"x"}), "points outside the folder"),
        (zip_of({**CLIPS, link("DC_link.wav"): b"/etc/passwd"}), "'DC_link.wav' is a link or a device"),
        (zip_of({**CLIPS, "AudioData/DC/a01.wav/x.wav": b"x"}), "twice"),
        (zip_of({"notes.txt": b"x"}), r"0 clips named like 'DC_a01\.wav'"),
        (locked(), "asks for a password"),
        (broken(), "is damaged"),
        (b"PK\x05\x06" + zip_of({"DC_a01.wav": b"x"})[20:], "complete zip archive|is damaged"),
        (shifted(), "is damaged"),
        (b"no zip", "is not a complete zip archive"),
        (WHOLE[: len(WHOLE) // 2], "is not a complete zip archive"),
        (tar_of(CLIPS), "is not a complete zip archive"),
    ],
)
def test_an_archive_that_cannot_be_trusted_leaves_nothing_behind(content, words, tmp_path):
    root = tmp_path / "corpora"
    with pytest.raises(CorpusError, match=words):
        install.install_archive("savee", content, root)
    assert [path.name for path in root.iterdir()] == [".downloads"]
    assert [path.name for path in tmp_path.iterdir()] == ["corpora"]


def test_a_name_that_is_there_twice_is_refused(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate"):
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as packed:
            packed.writestr("DC_a01.wav", b"one")
            packed.writestr("DC_a01.wav", b"two")
    with pytest.raises(CorpusError, match="twice"):
        install.install_archive("savee", content.getvalue(), tmp_path)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    bomb = zip_of({f"DC_a{i:02d}.wav": bytes(30 * 2**20) for i in range(1, 6)}, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(CorpusError, match=r"would grow from [\d.]+ kB to 157\.3 MB, more than 50 times"):
        install.install_archive("savee", bomb, tmp_path)
    assert not (tmp_path / "savee.part").exists()


def test_silence_of_ordinary_size_is_no_bomb(tmp_path):
    content = zip_of({f"DC_a{i:02d}.wav": bytes(2**20) for i in range(1, 6)}, compression=zipfile.ZIP_DEFLATED)
    assert len(scan.scan("savee", install.install_archive("savee", content, tmp_path))) == 5


def test_an_upload_never_replaces_a_corpus(tmp_path):
    folder = install.install_archive("savee", WHOLE, tmp_path)
    with pytest.raises(CorpusError, match="is there already, with 480 of 480 clips"):
        install.install_archive("savee", zip_of({"DC_a01.wav": b"x"}), tmp_path)
    assert is_whole(folder)


def test_an_upload_that_needs_more_room_than_there_is(monkeypatch, tmp_path):
    # private in shutil: what disk_usage returns
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9 - 1000, 1000))
    with pytest.raises(CorpusError, match=r"SAVEE needs 1\.4 MB"):
        install.install_archive("savee", WHOLE, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".downloads"]


def test_a_root_that_is_a_file_says_so(tmp_path):
    (tmp_path / "corpora").write_text("x")
    with pytest.raises(CorpusError, match="Choose a folder that you may write to"):
        install.install_archive("savee", WHOLE, tmp_path / "corpora")


def test_a_zip_of_folders_named_after_labels_is_installed(tmp_path):
    folder = install.install_own("Class 9b", zip_of(MOODS), tmp_path)
    assert folder == tmp_path / "class-9b"
    installed = library.installed(tmp_path)["class-9b"]
    assert (installed.title, installed.kind) == ("Class 9b", library.FOLDERS)
    clips = library.clips(tmp_path, ["class-9b"])
    assert clips[catalogue.EMOTION].tolist() == ["happy", "sad"] and set(clips[catalogue.SPEAKER]) == {
        catalogue.UNKNOWN_SPEAKER
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == [".downloads", "class-9b"]


def test_the_speakers_of_folders_are_written_down_where_the_names_tell(tmp_path):
    install.install_own("Moods", zip_of(MOODS), tmp_path, speaker_pattern=r"(?P<speaker>[^/_-]+)[_-][^/]*$")
    assert library.installed(tmp_path)["moods"].kind == library.TABLE
    assert library.clips(tmp_path, ["moods"])[catalogue.SPEAKER].tolist() == ["moods:anna", "moods:ben"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows refuses such names")
def test_names_that_a_spreadsheet_would_compute_are_written_down_as_text_and_read_as_they_are(tmp_path):
    nasty = {
        "=moods/happy/=1+1_a.wav": b"one",
        "=moods/sad/x;-ben_1.wav": b"two",
        "=moods/sad/\u202egpj_\x1b.wav": b"three",
    }
    install.install_own("=1\0\u202eM", zip_of(nasty), tmp_path, speaker_pattern=r"(?P<speaker>[^/_]+)_[^/]*$")
    (installed,) = library.installed(tmp_path).values()
    assert installed.title == "=1��M"
    clips = library.clips(tmp_path, [installed.name])
    assert {name.partition(":")[2] for name in clips[catalogue.SPEAKER]} == {"=1+1", "x;-ben", "�gpj"}
    assert all(map(str.isprintable, clips[catalogue.NAME])) and all(
        Path(path).exists() for path in clips[catalogue.PATH]
    )
    rows = list(csv.reader(io.StringIO((installed.folder / "clips.csv").read_text(encoding="utf-8"))))
    assert {row[2] for row in rows[1:]} == {"'=1+1", "x;'-ben", "�gpj"}


def test_a_zip_with_a_table_is_installed_and_never_replaces_another(tmp_path):
    for name in ("mine", "mine-2"):
        assert install.install_own("Mine", zip_of(TABLE), tmp_path) == tmp_path / name
    assert library.clips(tmp_path, ["mine-2"])[catalogue.SPEAKER].tolist() == ["mine-2:ann", "mine-2:bob"]


@pytest.mark.parametrize(
    ("title", "content", "words"),
    [
        (" ", zip_of(MOODS), "has no name yet"),
        ("Mine", b"no zip", "is not a complete zip archive"),
        ("Mine", zip_of({"a/one.wav": b"x", "b/two.wav": b"x"}), "holds neither a table .* nor folders named after"),
        ("Mine", zip_of({"happy/readme.txt": b"x"}), "has 0 clips in sub-folders"),
        (
            "Mine",
            zip_of({**TABLE, "mine/clips.csv": LISTS % b"../../../secret.wav"}),
            "lists recordings outside its own folder",
        ),
        (
            "Mine",
            zip_of({**TABLE, "mine/clips.csv": LISTS % b"../../../nothing.wav"}),
            "lists recordings outside its own folder",
        ),
        (
            "Mine",
            zip_of({**TABLE, "mine/clips.csv": LISTS % b"/etc/hostname"}),
            "lists recordings outside its own folder",
        ),
        ("Mine", zip_of({**TABLE, "mine/clips.csv": LISTS % b"c.wav"}), "lists 1 file that does not exist"),
        ("Mine", zip_of({**TABLE, "mine/clips.csv": b"path,label\na.wav,happy\n"}), "has no column speaker"),
        ("Mine", zip_of({**TABLE, "../evil.wav": b"x"}), "points outside the folder"),
    ],
)
def test_a_zip_of_ones_own_that_cannot_be_used_leaves_nothing_behind(title, content, words, tmp_path):
    root = tmp_path / "corpora"
    (tmp_path / "secret.wav").write_bytes(b"x")
    with pytest.raises(CorpusError, match=words):
        install.install_own(title, content, root)
    assert not root.exists() or [path.name for path in root.iterdir()] == [".downloads"]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_an_upload_killed_while_it_is_unpacked_is_not_installed_and_can_be_tried_again(tmp_path):
    packed = zip_of(
        {
            f"moods/{label}/anna_{n}.wav": random.Random(n).randbytes(3000)
            for label in ("happy", "sad")
            for n in range(40)
        }
    )
    (tmp_path / "x.zip").write_bytes(packed)
    code = """
import os, signal, sys
from ser_core.corpora import install
def die(progress):
    if progress.done >= progress.total / 2:
        os.kill(os.getpid(), signal.SIGKILL)
install.install_own("Moods", sys.argv[1], sys.argv[2], on_progress=die)
"""
    root = tmp_path / "corpora"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "x.zip"), str(root)], cwd=ROOT, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert (root / "moods.part").is_dir() and library.installed(root) == {} and library.unrecognised(root) == ()
    install.install_own("Moods", packed, root)
    assert len(library.clips(root, ["moods"])) == 80 and not (root / "moods.part").exists()


def test_a_table_whose_paths_are_of_another_place_is_written_down_as_it_was_read(tmp_path):
    root = tmp_path / "corpora"
    (root / "other").mkdir(parents=True)
    (root / "other" / "a.wav").write_bytes(b"somebody else's")
    table = "sep=;\r\nfile;emotion;speaker\r\nother\\a.wav;Joy;Jörg\r\nother\\b.wav;sad;jörg\r\n".encode("utf-16")
    folder = install.install_own("Mine", zip_of({"x/clips.csv": table, "x/a.wav": b"one", "x/b.wav": b"two"}), root)
    clips = library.clips(root, ["mine"])
    assert sorted(clips[catalogue.PATH]) == [str(folder / "a.wav"), str(folder / "b.wav")]
    assert set(clips[catalogue.SPEAKER]) == {"mine:Jörg"} and clips[catalogue.EMOTION].tolist() == ["happy", "sad"]


def test_files_beside_the_one_folder_of_a_zip_are_no_hindrance(tmp_path):
    extra = {".DS_Store": b"x", "readme.txt": b"x", "mine/.DS_Store": b"x", "mine/happy/old.wav": b"three"}
    folder = install.install_own("Mine", zip_of({**TABLE, **extra}), tmp_path)
    assert library.installed(tmp_path)["mine"].kind == library.TABLE and (folder / "clips.csv").is_file()


def test_folders_of_labels_in_a_zip_may_lie_deep_and_contradict(tmp_path):
    names = ["data/wav/train/angry/Joy/1.wav", "data/wav/train/angry/Ben/2.wav", "data/wav/train/sad/Joy/3.wav"]
    install.install_own("Mine", zip_of(dict.fromkeys(names, b"x")), tmp_path)
    assert library.clips(tmp_path, ["mine"])[catalogue.EMOTION].tolist() == ["angry", "angry", "sad"]


def test_a_zip_within_a_zip_is_said(tmp_path):
    packed = zip_of({"outer/data.zip": zip_of(MOODS)})
    with pytest.raises(CorpusError, match=r"It holds another archive, 'data\.zip', which is not unpacked: unpack that"):
        install.install_own("Mine", packed, tmp_path)
    with pytest.raises(CorpusError, match=r"It holds another archive, 'data\.zip'"):
        install.install_archive("savee", packed, tmp_path)
