"""Fetching and unpacking corpora, from a server on loopback: what is kept after a stop or a kill, and what is refused."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import pytest

from ser_core.cli import main
from ser_core.corpora import catalogue, download, install, scan
from ser_core.corpora.catalogue import Archive
from ser_core.errors import CorpusError, Stopped
from tests.support.archives import CLIPS, WHOLE, is_clean, is_whole, tar_of

ROOT = Path(__file__).resolve().parents[2]


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
    spec = dataclasses.replace(catalogue.CORPORA["savee"], download=(Archive(**(facts | changes)),))
    monkeypatch.setitem(catalogue.CORPORA, "savee", spec)


def stop_at(stage: str, share: float = 0.5):
    """Return on_progress and should_stop that stop in the middle of a stage."""
    seen: list[download.Progress] = []
    return seen.append, lambda: bool(seen) and seen[-1].stage == stage and seen[-1].done >= share * seen[-1].total


def part_of(root: Path) -> Path:
    return root / ".downloads" / "savee.zip.part"


def test_a_corpus_is_fetched_checked_unpacked_and_counted(server, tmp_path):
    seen: list[download.Progress] = []
    folder = download.download("savee", tmp_path, on_progress=seen.append)
    assert folder == tmp_path / "savee"
    assert is_whole(folder) and is_clean(tmp_path)
    assert len(scan.scan("savee", folder)) == 480
    assert scan.installed(tmp_path) == {"savee": folder}
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
    with pytest.raises(Stopped, match=r"Stopped; [\d.]+ [kM]B of 1\.5 MB are kept\. Start again"):
        download.download("savee", tmp_path, on_progress=on_progress, should_stop=should_stop)
    kept = part_of(tmp_path).stat().st_size
    assert 0 < kept < len(WHOLE)
    assert not (tmp_path / "savee").exists()
    assert is_whole(download.download("savee", tmp_path))
    assert server.asked == ["", f"bytes={kept}-"]
    assert is_clean(tmp_path)


def test_a_cancelled_unpack_leaves_no_folder_and_keeps_the_archive(server, tmp_path):
    on_progress, should_stop = stop_at("unpack")
    with pytest.raises(Stopped, match="Stopped while unpacking; nothing was installed"):
        download.download("savee", tmp_path, on_progress=on_progress, should_stop=should_stop)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".downloads"]
    assert is_whole(download.download("savee", tmp_path))
    assert len(server.asked) == 1


def run_until_killed(server: Server, root: Path, stage: str) -> None:
    """Fetch in another process that dies by SIGKILL in the middle of a stage."""
    code = f"""
import dataclasses, os, signal
from ser_core.cli import main
from ser_core.corpora import catalogue
from ser_core.corpora import download
from ser_core.corpora import library
archive = catalogue.Archive(url={server.url!r}, name="savee.zip", size={len(WHOLE)}, checksum="md5:{hashlib.md5(WHOLE).hexdigest()}")
catalogue.CORPORA["savee"] = dataclasses.replace(catalogue.CORPORA["savee"], download=(archive,))
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
    assert scan.installed(tmp_path) == {}
    assert is_whole(download.download("savee", tmp_path))
    assert server.asked == ["", f"bytes={kept}-"]
    assert is_clean(tmp_path)


def test_an_unpack_killed_in_the_middle_is_done_anew(server, tmp_path):
    run_until_killed(server, tmp_path, "unpack")
    assert (tmp_path / "savee.part").is_dir()
    assert scan.installed(tmp_path) == {}
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
        (503, r"refuses 'savee\.zip' \(status 503\)\. Try again later; 0 Bytes of"),
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
    # private in shutil: what disk_usage returns
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9 - 10**6, 10**6))
    with pytest.raises(
        CorpusError, match=r"SAVEE needs 6 MB on the disk that holds '.*', which has 1 MB left\. Make room"
    ):
        download.download("savee", tmp_path)
    assert server.asked == []


def test_a_disk_that_fills_up_keeps_what_is_there(server, monkeypatch, tmp_path):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    # private: a disk that is full while it is written to
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
        with pytest.raises(CorpusError, match="SAVEE is being downloaded already"):
            download.download("savee", tmp_path)

    assert is_whole(download.download("savee", tmp_path, on_progress=again))


@pytest.mark.parametrize("name", [name for name, spec in catalogue.CORPORA.items() if not spec.download])
def test_a_corpus_that_is_not_offered_names_its_page(name, tmp_path):
    with pytest.raises(CorpusError, match=f"Get it from {catalogue.CORPORA[name].page}".replace(".", r"\.")):
        download.download(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_corpus_lists_the_known_ones(tmp_path):
    with pytest.raises(CorpusError, match="'iemocap' is not known"):
        download.download("iemocap", tmp_path)


@pytest.mark.parametrize(
    ("limit", "value", "words"),
    [
        ("MAX_MEMBERS", 479, r"holds 480 files, more than 479"),
        ("MAX_UNPACKED", 10**6, r"would take 1(\.\d)? MB when unpacked, more than 1"),
    ],
)
def test_an_archive_beyond_the_limits_is_refused(limit, value, words, server, monkeypatch, tmp_path):
    monkeypatch.setattr(download, limit, value)
    with pytest.raises(CorpusError, match=words):
        install.install_archive("savee", WHOLE, tmp_path)
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


def test_progress_reads_like_a_sentence():
    assert (
        download.Progress("download", 42_000_000, 208_468_073, 80.4).text
        == "Downloading: 42 MB of 208.5 MB, 1 minute and 20 seconds left"
    )
    assert download.Progress("unpack", 0, 10_000_000, None).text == "Unpacking: 0 Bytes of 10 MB"


def test_the_time_left_follows_the_speed(monkeypatch):
    clock = iter([0.0, 0.0, 10.0])
    monkeypatch.setattr(download.time, "monotonic", lambda: next(clock))
    seen: list[download.Progress] = []
    # private: progress with a clock of our own
    watch = download._Watch(seen.append, None, began_s=0.0)
    watch.begin("download", 100, 400)
    watch.tell(200)
    assert [each.left_s for each in seen] == [None, 20.0]


def test_the_command_fetches_a_corpus(server, capsys, tmp_path):
    assert main.main(["corpora", "download", "savee", "--corpora-dir", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert out == f"{tmp_path / 'savee'}: 480 clips of SAVEE\n"
    assert " of 1.5 MB" in err and "Unpacking: " in err
    assert is_whole(tmp_path / "savee")


def test_the_command_fetches_into_the_folder_of_all_corpora(server, monkeypatch, tmp_path):
    monkeypatch.setenv("SER_CORPORA", str(tmp_path / "all"))
    assert main.main(["corpora", "download", "savee"]) == 0
    assert is_whole(tmp_path / "all" / "savee")


def test_a_command_that_fails_says_why_in_one_line(capsys, tmp_path):
    assert main.main(["corpora", "download", "tess", "--corpora-dir", str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert "TESS is not downloaded by this program" in err and catalogue.CORPORA["tess"].page in err


def test_the_list_names_every_corpus_and_where_it_is(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("SER_CORPORA", str(tmp_path))
    (tmp_path / "emodb").mkdir()
    (tmp_path / "emodb" / "03a01Fa.wav").touch()
    assert main.main(["corpora", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(catalogue.CORPORA) + 1
    for line, (name, spec) in zip(lines[1:], catalogue.CORPORA.items(), strict=True):
        assert line.startswith(name) and line.endswith(spec.page) and str(spec.n_clips) in line
        assert ("installed" in line) == (name == "emodb") and (" download " in line) == bool(spec.download)
    assert main.main(["corpora", "list", "--json"]) == 0
    facts = {each["name"]: each for each in json.loads(capsys.readouterr().out)}
    assert list(facts) == list(catalogue.CORPORA)
    assert facts["emodb"]["folder"] == str(tmp_path / "emodb") and facts["tess"]["folder"] is None
    assert facts["ravdess_song"]["labels"] == ["neutral", "calm", "happy", "sad", "angry", "fear"]
    assert facts["ravdess"]["download"][0]["size"] == 208_468_073
