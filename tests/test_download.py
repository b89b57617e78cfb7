"""Fetching and unpacking corpora, from a server on loopback: what is kept after a stop or a kill, and what is refused."""

from __future__ import annotations

import csv
import dataclasses
import errno
import hashlib
import http.server
import io
import json
import os
import random
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest

from ser_core import cli, corpora, download, library
from ser_core.corpora import Archive
from ser_core.errors import CorpusError

ROOT = Path(__file__).resolve().parents[1]
COUNTS = {"a": 15, "d": 15, "f": 15, "h": 15, "n": 30, "sa": 15, "su": 15}
NAMES = [f"{code}{i:02d}" for code, n in COUNTS.items() for i in range(1, n + 1)]
SPEAKERS = ("DC", "JE", "JK", "KL")
CLIPS = {
    f"AudioData/{speaker}/{name}.wav": random.Random(speaker + name).randbytes(3000)
    for speaker in SPEAKERS
    for name in NAMES
}


def zip_of(files, *, compression=zipfile.ZIP_STORED) -> bytes:
    """Return a zip. files: name or ZipInfo -> content."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return buffer.getvalue()


def tar_of(files) -> bytes:
    """Return a tar.gz. files: name or TarInfo -> content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as packed:
        for name, content in files.items():
            info = tarfile.TarInfo(name) if isinstance(name, str) else name
            info.size = len(content)
            packed.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


WHOLE = zip_of(CLIPS)


class Server(http.server.ThreadingHTTPServer):
    """Serves `content`. ranges: whether it knows Range; drop_at: bytes after which it hangs up; status: what it answers instead."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.ranges, self.drop_at, self.status, self.asked = WHOLE, True, 0, 0, []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/savee.zip"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range", "")
        self.server.asked.append(asked)
        start = int(asked.removeprefix("bytes=").partition("-")[0] or 0) if self.server.ranges else 0
        body = self.server.content[start:]
        if self.server.status:
            self.send_error(self.server.status)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        if start:
            self.send_header(
                "Content-Range", f"bytes {start}-{len(self.server.content) - 1}/{len(self.server.content)}"
            )
        self.end_headers()
        self.wfile.write(body[: self.server.drop_at] if self.server.drop_at else body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(download, "RETRY_WAIT_S", 0.0)
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        offer(monkeypatch, server)
        yield server
        server.shutdown()
        thread.join()


def offer(monkeypatch, server, **changes) -> None:
    """Let SAVEE be what the server has."""
    md5 = hashlib.md5(server.content).hexdigest()
    facts = {"url": server.url, "name": "savee.zip", "size": len(server.content), "checksum": f"md5:{md5}"}
    spec = dataclasses.replace(corpora.CORPORA["savee"], download=(Archive(**(facts | changes)),))
    monkeypatch.setitem(corpora.CORPORA, "savee", spec)


def stop_at(stage: str, share: float = 0.5):
    """Return on_progress and should_stop that stop in the middle of a stage."""
    seen: list[download.Progress] = []
    return seen.append, lambda: bool(seen) and seen[-1].stage == stage and seen[-1].done >= share * seen[-1].total


def part_of(root: Path) -> Path:
    return root / ".downloads" / "savee.zip.part"


def is_whole(folder: Path) -> bool:
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return found == CLIPS


def is_clean(root: Path) -> bool:
    """Return whether nothing but the folder, and the lock's empty file, is there."""
    return sorted(path.name for path in root.iterdir()) == [".downloads", "savee"] and os.listdir(
        root / ".downloads"
    ) == ["savee.lock"]


def test_a_corpus_is_fetched_checked_unpacked_and_counted(server, tmp_path):
    seen: list[download.Progress] = []
    folder = download.download("savee", tmp_path, on_progress=seen.append)
    assert folder == tmp_path / "savee"
    assert is_whole(folder) and is_clean(tmp_path)
    assert len(corpora.scan("savee", folder)) == 480
    assert corpora.installed(tmp_path) == {"savee": folder}
    for stage in ("download", "unpack"):
        done = [each.done for each in seen if each.stage == stage]
        assert (
            done == sorted(done)
            and done[0] == 0
            and done[-1] == next(each.total for each in seen if each.stage == stage)
        )


def test_a_tar_is_unpacked_like_a_zip(server, monkeypatch, tmp_path):
    server.content = tar_of(CLIPS)
    offer(monkeypatch, server, checksum=f"sha256:{hashlib.sha256(server.content).hexdigest()}")
    assert is_whole(download.download("savee", tmp_path))
    assert is_clean(tmp_path)


def test_what_is_there_and_whole_is_not_fetched_again(server, tmp_path):
    download.download("savee", tmp_path)
    server.status = 500
    assert is_whole(download.download("savee", tmp_path))
    assert len(server.asked) == 1


@pytest.mark.parametrize("ranges", [True, False])
def test_a_cancelled_download_goes_on_or_starts_over(server, tmp_path, ranges):
    server.ranges = ranges
    on_progress, should_stop = stop_at("download")
    with pytest.raises(download.Cancelled, match=r"Stopped; [01]\.\d of 1\.5 MB are kept\. Start again"):
        download.download("savee", tmp_path, on_progress=on_progress, should_stop=should_stop)
    kept = part_of(tmp_path).stat().st_size
    assert 0 < kept < len(WHOLE)
    assert not (tmp_path / "savee").exists()
    assert is_whole(download.download("savee", tmp_path))
    assert server.asked == ["", f"bytes={kept}-"]
    assert is_clean(tmp_path)


def test_a_cancelled_unpack_leaves_no_folder_and_keeps_the_archive(server, tmp_path):
    on_progress, should_stop = stop_at("unpack")
    with pytest.raises(download.Cancelled, match="Stopped while unpacking; nothing was installed"):
        download.download("savee", tmp_path, on_progress=on_progress, should_stop=should_stop)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".downloads"]
    assert is_whole(download.download("savee", tmp_path))
    assert len(server.asked) == 1


def run_until_killed(server: Server, root: Path, stage: str) -> None:
    """Fetch in another process that dies by SIGKILL in the middle of a stage."""
    code = f"""
import dataclasses, os, signal
from ser_core import cli, corpora, download, library
archive = corpora.Archive(url={server.url!r}, name="savee.zip", size={len(WHOLE)}, checksum="md5:{hashlib.md5(WHOLE).hexdigest()}")
corpora.CORPORA["savee"] = dataclasses.replace(corpora.CORPORA["savee"], download=(archive,))
def die(progress):
    if progress.stage == {stage!r} and progress.done >= progress.total / 2:
        os.kill(os.getpid(), signal.SIGKILL)
download.download("savee", {str(root)!r}, on_progress=die)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


def test_a_download_killed_in_the_middle_is_resumed(server, tmp_path):
    run_until_killed(server, tmp_path, "download")
    kept = part_of(tmp_path).stat().st_size
    assert len(WHOLE) / 2 <= kept < len(WHOLE)
    assert corpora.installed(tmp_path) == {}
    assert is_whole(download.download("savee", tmp_path))
    assert server.asked == ["", f"bytes={kept}-"]
    assert is_clean(tmp_path)


def test_an_unpack_killed_in_the_middle_is_done_anew(server, tmp_path):
    run_until_killed(server, tmp_path, "unpack")
    assert (tmp_path / "savee.part").is_dir()
    assert corpora.installed(tmp_path) == {}
    assert is_whole(download.download("savee", tmp_path))
    assert len(server.asked) == 1
    assert is_clean(tmp_path)


def test_a_connection_that_breaks_is_taken_up_again(server, tmp_path):
    server.drop_at = len(WHOLE) // 3
    assert is_whole(download.download("savee", tmp_path))
    assert len(server.asked) >= 3
    assert all(asked.startswith("bytes=") for asked in server.asked[1:])


def test_a_wrong_checksum_removes_the_file(server, monkeypatch, tmp_path):
    offer(monkeypatch, server, checksum=f"md5:{'0' * 32}")
    with pytest.raises(
        CorpusError, match=r"is not the published file \(md5 [0-9a-f]{32}, expected 0+\) and was removed\. Try again"
    ):
        download.download("savee", tmp_path)
    assert os.listdir(tmp_path / ".downloads") == ["savee.lock"]
    assert not (tmp_path / "savee").exists()


def test_a_part_of_another_file_is_noticed_and_removed(server, tmp_path):
    part_of(tmp_path).parent.mkdir()
    part_of(tmp_path).write_bytes(b"x" * 1000)
    with pytest.raises(CorpusError, match="was removed"):
        download.download("savee", tmp_path)
    assert is_whole(download.download("savee", tmp_path))


def test_a_part_that_is_too_long_is_fetched_anew(server, tmp_path):
    part_of(tmp_path).parent.mkdir()
    part_of(tmp_path).write_bytes(WHOLE + b"x")
    assert is_whole(download.download("savee", tmp_path))


def test_a_file_larger_than_published_is_not_taken(server, monkeypatch, tmp_path):
    offer(monkeypatch, server, size=len(WHOLE) - 10)
    with pytest.raises(CorpusError, match="is larger than the published"):
        download.download("savee", tmp_path)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (404, r"no longer has 'savee\.zip' \(404\)\. See http"),
        (503, r"refuses 'savee\.zip' \(status 503\)\. Try again later; 0\.0 MB of"),
    ],
)
def test_a_server_that_refuses_is_named(server, tmp_path, status, words):
    server.status = status
    with pytest.raises(CorpusError, match=words):
        download.download("savee", tmp_path)
    assert len(server.asked) == (1 if status == 404 else download.ATTEMPTS)


def test_no_network_says_so(server, monkeypatch, tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        offer(monkeypatch, server, url=f"http://127.0.0.1:{closed.getsockname()[1]}/savee.zip")
        with pytest.raises(
            CorpusError, match=r"127\.0\.0\.1 cannot be reached\. Check the network connection and try again"
        ):
            download.download("savee", tmp_path)


def test_too_little_room_is_noticed_before_anything_is_fetched(server, monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9 - 10**6, 10**6))
    with pytest.raises(
        CorpusError, match=r"SAVEE needs 6\.\d MB on the disk that holds '.*', which has 1\.0 MB left\. Make room"
    ):
        download.download("savee", tmp_path)
    assert server.asked == []


def test_a_disk_that_fills_up_keeps_what_is_there(server, monkeypatch, tmp_path):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download, "_write", full)
    with pytest.raises(CorpusError, match=r"is full\. Make room and try again; what was downloaded is kept"):
        download.download("savee", tmp_path)
    assert sorted(os.listdir(tmp_path / ".downloads")) == ["savee.lock", "savee.zip"]
    assert not (tmp_path / "savee.part").exists()


def test_a_folder_in_the_way_is_left_alone(server, tmp_path):
    mine = tmp_path / "savee" / "DC_a01.wav"
    mine.parent.mkdir()
    mine.write_bytes(b"mine")
    with pytest.raises(
        CorpusError, match=r"is there already, with 1 of 480 clips of SAVEE\. Move or delete that folder"
    ):
        download.download("savee", tmp_path)
    assert mine.read_bytes() == b"mine"
    assert server.asked == []


def test_an_empty_folder_is_not_in_the_way(server, tmp_path):
    (tmp_path / "savee").mkdir()
    assert is_whole(download.download("savee", tmp_path))


def test_two_at_once_do_not_mix(server, tmp_path):
    def again(_: download.Progress) -> None:
        with pytest.raises(CorpusError, match="SAVEE is being fetched already"):
            download.download("savee", tmp_path)

    assert is_whole(download.download("savee", tmp_path, on_progress=again))


@pytest.mark.parametrize("name", [name for name, spec in corpora.CORPORA.items() if not spec.download])
def test_a_corpus_that_is_not_offered_names_its_page(name, tmp_path):
    with pytest.raises(CorpusError, match=f"Get it from {corpora.CORPORA[name].page}".replace(".", r"\.")):
        download.download(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_corpus_lists_the_known_ones(tmp_path):
    with pytest.raises(CorpusError, match="'iemocap' is not known"):
        download.download("iemocap", tmp_path)


@pytest.mark.parametrize("kind", ["bytes", "path", "file"])
def test_an_archive_that_somebody_has_is_installed(kind, tmp_path):
    path = tmp_path / "upload.zip"
    path.write_bytes(WHOLE)
    root = tmp_path / "corpora"
    with path.open("rb") as file:
        assert is_whole(download.install_archive("savee", {"bytes": WHOLE, "path": path, "file": file}[kind], root))
    assert is_clean(root)
    assert path.read_bytes() == WHOLE


def test_a_nested_second_copy_is_unpacked_and_counts_once(tmp_path):
    folder = download.install_archive(
        "savee", zip_of({**CLIPS, **{f"again/{name}": data for name, data in CLIPS.items()}}), tmp_path
    )
    assert len(list(folder.rglob("*.wav"))) == 960
    assert len(corpora.scan("savee", folder)) == 480


def test_what_a_mac_adds_is_left_out(tmp_path):
    folder = download.install_archive(
        "savee", zip_of({**CLIPS, "__MACOSX/DC/._a01.wav": b"x", "AudioData/._DC_a01.wav": b"x"}), tmp_path
    )
    assert is_whole(folder)


def test_backslashes_in_an_archive_are_folders(tmp_path):
    assert is_whole(
        download.install_archive(
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
        (zip_of({**CLIPS, "../evil.wav": b"x"}), r"'\.\./evil\.wav' leaves the folder"),
        (zip_of({"a/../../evil.wav": b"x"}), "leaves the folder"),
        (zip_of({"..\\evil.wav": b"x"}), "leaves the folder"),
        (zip_of({"/tmp/evil.wav": b"x"}), "leaves the folder"),
        (zip_of({"C:/evil.wav": b"x"}), "leaves the folder"),
        (zip_of({**CLIPS, link("DC_link.wav"): b"/etc/passwd"}), "'DC_link.wav' is a link or a device"),
        (zip_of({**CLIPS, "AudioData/DC/a01.wav/x.wav": b"x"}), "twice"),
        (zip_of({"notes.txt": b"x"}), r"0 clips named like 'DC_a01\.wav'"),
        (locked(), "asks for a password"),
        (broken(), "is damaged"),
        (b"PK\x05\x06" + zip_of({"DC_a01.wav": b"x"})[20:], "no zip archive|is damaged"),
        (shifted(), "is damaged"),
        (b"no zip", "is no zip archive"),
        (WHOLE[: len(WHOLE) // 2], "is no zip archive, or a part of one"),
        (tar_of(CLIPS), "is no zip archive"),
    ],
)
def test_an_archive_that_cannot_be_trusted_leaves_nothing_behind(content, words, tmp_path):
    root = tmp_path / "corpora"
    with pytest.raises(CorpusError, match=words):
        download.install_archive("savee", content, root)
    assert [path.name for path in root.iterdir()] == [".downloads"]
    assert [path.name for path in tmp_path.iterdir()] == ["corpora"]


def test_a_name_that_is_there_twice_is_refused(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate"):
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as packed:
            packed.writestr("DC_a01.wav", b"one")
            packed.writestr("DC_a01.wav", b"two")
    with pytest.raises(CorpusError, match="twice"):
        download.install_archive("savee", content.getvalue(), tmp_path)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    bomb = zip_of({f"DC_a{i:02d}.wav": bytes(30 * 2**20) for i in range(1, 6)}, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(CorpusError, match=r"would grow from 0\.2 MB to 157\.3 MB, more than 50 times"):
        download.install_archive("savee", bomb, tmp_path)
    assert not (tmp_path / "savee.part").exists()


def test_silence_of_ordinary_size_is_no_bomb(tmp_path):
    content = zip_of({f"DC_a{i:02d}.wav": bytes(2**20) for i in range(1, 6)}, compression=zipfile.ZIP_DEFLATED)
    assert len(corpora.scan("savee", download.install_archive("savee", content, tmp_path))) == 5


@pytest.mark.parametrize(
    ("limit", "value", "words"),
    [
        ("MAX_MEMBERS", 479, r"holds 480 files, more than 479"),
        ("MAX_UNPACKED", 10**6, r"would take 1\.\d MB when unpacked, more than 1"),
    ],
)
def test_an_archive_beyond_the_limits_is_refused(limit, value, words, server, monkeypatch, tmp_path):
    monkeypatch.setattr(download, limit, value)
    with pytest.raises(CorpusError, match=words):
        download.install_archive("savee", WHOLE, tmp_path)
    server.content = tar_of(CLIPS)
    offer(monkeypatch, server)
    with pytest.raises(CorpusError, match=words):
        download.download("savee", tmp_path)
    assert not (tmp_path / "savee").exists()


@pytest.mark.parametrize(
    ("name", "kind"), [("../evil.wav", tarfile.REGTYPE), ("link.wav", tarfile.SYMTYPE), ("hard.wav", tarfile.LNKTYPE)]
)
def test_a_tar_is_trusted_no_more_than_a_zip(name, kind, server, monkeypatch, tmp_path):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd"
    server.content = tar_of({**CLIPS, info: b""})
    offer(monkeypatch, server)
    with pytest.raises(CorpusError, match="The archive is not used"):
        download.download("savee", tmp_path / "corpora")
    assert not (tmp_path / "evil.wav").exists()
    assert [path.name for path in (tmp_path / "corpora").iterdir()] == [".downloads"]


def test_an_upload_never_replaces_a_corpus(tmp_path):
    folder = download.install_archive("savee", WHOLE, tmp_path)
    with pytest.raises(CorpusError, match="is there already, with 480 of 480 clips"):
        download.install_archive("savee", zip_of({"DC_a01.wav": b"x"}), tmp_path)
    assert is_whole(folder)


def test_an_upload_that_needs_more_room_than_there_is(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9 - 1000, 1000))
    with pytest.raises(CorpusError, match=r"SAVEE needs 1\.4 MB"):
        download.install_archive("savee", WHOLE, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".downloads"]


def test_a_root_that_is_a_file_says_so(tmp_path):
    (tmp_path / "corpora").write_text("x")
    with pytest.raises(CorpusError, match="Choose a folder that you may write to"):
        download.install_archive("savee", WHOLE, tmp_path / "corpora")


MOODS = {"moods/Happy/anna_1.wav": b"one", "moods/sad/ben_1.wav": b"two", "moods/notes.txt": b"hello"}
TABLE = {
    "mine/clips.csv": b"path,label,speaker\na.wav,happy,ann\nb.wav,sad,bob\n",
    "mine/a.wav": b"one",
    "mine/b.wav": b"two",
}

LISTS = b"path,label,speaker\n%s,happy,ann\n"


def test_a_zip_of_folders_named_after_labels_is_installed(tmp_path):
    folder = download.install_own("Class 9b", zip_of(MOODS), tmp_path)
    assert folder == tmp_path / "class-9b"
    installed = library.installed(tmp_path)["class-9b"]
    assert (installed.title, installed.kind) == ("Class 9b", library.FOLDERS)
    clips = library.clips(tmp_path, ["class-9b"])
    assert clips[corpora.EMOTION].tolist() == ["happy", "sad"] and set(clips[corpora.SPEAKER]) == {
        corpora.UNKNOWN_SPEAKER
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == [".downloads", "class-9b"]


def test_the_speakers_of_folders_are_written_down_where_the_names_tell(tmp_path):
    download.install_own("Moods", zip_of(MOODS), tmp_path, speaker_pattern=r"(?P<speaker>[^/_-]+)[_-][^/]*$")
    assert library.installed(tmp_path)["moods"].kind == library.TABLE
    assert library.clips(tmp_path, ["moods"])[corpora.SPEAKER].tolist() == ["moods:anna", "moods:ben"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows refuses such names")
def test_names_that_a_spreadsheet_would_compute_are_written_down_as_text_and_read_as_they_are(tmp_path):
    nasty = {
        "=moods/happy/=1+1_a.wav": b"one",
        "=moods/sad/x;-ben_1.wav": b"two",
        "=moods/sad/\u202egpj_\x1b.wav": b"three",
    }
    download.install_own("=1\0\u202eM", zip_of(nasty), tmp_path, speaker_pattern=r"(?P<speaker>[^/_]+)_[^/]*$")
    (installed,) = library.installed(tmp_path).values()
    assert installed.title == "=1��M"
    clips = library.clips(tmp_path, [installed.name])
    assert {name.partition(":")[2] for name in clips[corpora.SPEAKER]} == {"=1+1", "x;-ben", "�gpj"}
    assert all(map(str.isprintable, clips[corpora.NAME])) and all(Path(path).exists() for path in clips[corpora.PATH])
    rows = list(csv.reader(io.StringIO((installed.folder / "clips.csv").read_text(encoding="utf-8"))))
    assert {row[2] for row in rows[1:]} == {"'=1+1", "x;'-ben", "�gpj"}


def test_a_zip_with_a_table_is_installed_and_never_replaces_another(tmp_path):
    for name in ("mine", "mine-2"):
        assert download.install_own("Mine", zip_of(TABLE), tmp_path) == tmp_path / name
    assert library.clips(tmp_path, ["mine-2"])[corpora.SPEAKER].tolist() == ["mine-2:ann", "mine-2:bob"]


@pytest.mark.parametrize(
    ("title", "content", "words"),
    [
        (" ", zip_of(MOODS), "has no name yet"),
        ("Mine", b"no zip", "is no zip archive"),
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
        ("Mine", zip_of({**TABLE, "../evil.wav": b"x"}), "leaves the folder"),
    ],
)
def test_a_zip_of_ones_own_that_cannot_be_used_leaves_nothing_behind(title, content, words, tmp_path):
    root = tmp_path / "corpora"
    (tmp_path / "secret.wav").write_bytes(b"x")
    with pytest.raises(CorpusError, match=words):
        download.install_own(title, content, root)
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
from ser_core import download
def die(progress):
    if progress.done >= progress.total / 2:
        os.kill(os.getpid(), signal.SIGKILL)
download.install_own("Moods", sys.argv[1], sys.argv[2], on_progress=die)
"""
    root = tmp_path / "corpora"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "x.zip"), str(root)], cwd=ROOT, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert (root / "moods.part").is_dir() and library.installed(root) == {} and library.unrecognised(root) == ()
    download.install_own("Moods", packed, root)
    assert len(library.clips(root, ["moods"])) == 80 and not (root / "moods.part").exists()


def test_progress_reads_like_a_sentence():
    assert (
        download.Progress("download", 42_000_000, 208_468_073, 80.4).text
        == "Downloading: 42 of 208 MB, 1 min 20 s left"
    )
    assert download.Progress("unpack", 0, 10_000_000, None).text == "Unpacking: 0 of 10 MB"


def test_the_time_left_follows_the_speed(monkeypatch):
    clock = iter([0.0, 0.0, 10.0])
    monkeypatch.setattr(download.time, "monotonic", lambda: next(clock))
    seen: list[download.Progress] = []
    watch = download._Watch(seen.append, None, began_s=0.0)
    watch.begin("download", 100, 400)
    watch.tell(200)
    assert [each.left_s for each in seen] == [None, 20.0]


def test_the_command_fetches_a_corpus(server, capsys, tmp_path):
    assert cli.main(["corpora", "download", "savee", "--to", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert out == f"{tmp_path / 'savee'}: 480 clips of SAVEE\n"
    assert "Downloading: 1 of 1 MB" in err and "Unpacking: 1 of 1 MB" in err
    assert is_whole(tmp_path / "savee")


def test_the_command_fetches_into_the_folder_of_all_corpora(server, monkeypatch, tmp_path):
    monkeypatch.setenv("SER_CORPORA", str(tmp_path / "all"))
    assert cli.main(["corpora", "download", "savee"]) == 0
    assert is_whole(tmp_path / "all" / "savee")


def test_a_command_that_fails_says_why_in_one_line(capsys, tmp_path):
    assert cli.main(["corpora", "download", "tess", "--to", str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert "TESS is not fetched by this program" in err and corpora.CORPORA["tess"].page in err


def test_the_list_names_every_corpus_and_where_it_is(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("SER_CORPORA", str(tmp_path))
    (tmp_path / "emodb").mkdir()
    (tmp_path / "emodb" / "03a01Fa.wav").touch()
    assert cli.main(["corpora", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(corpora.CORPORA) + 1
    for line, (name, spec) in zip(lines[1:], corpora.CORPORA.items(), strict=True):
        assert line.startswith(name) and line.endswith(spec.page) and str(spec.n_clips) in line
        assert ("installed" in line) == (name == "emodb") and (" download " in line) == bool(spec.download)
    assert cli.main(["corpora", "list", "--json"]) == 0
    facts = {each["name"]: each for each in json.loads(capsys.readouterr().out)}
    assert list(facts) == list(corpora.CORPORA)
    assert facts["emodb"]["folder"] == str(tmp_path / "emodb") and facts["tess"]["folder"] is None
    assert facts["ravdess_song"]["labels"] == ["neutral", "calm", "happy", "sad", "angry", "fear"]
    assert facts["ravdess"]["download"][0]["size"] == 208_468_073
