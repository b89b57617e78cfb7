"""Get a corpus onto this machine: download its archives, or take a local one, and unpack it safely.

What can be downloaded, and the size and checksum it must have, are facts of catalogue.py. A corpus appears under its name only when
it is complete: archives grow as .part files and resume after a stop or a kill, and a folder is renamed into place as the last step.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, BinaryIO
from urllib.parse import urlsplit

import pooch
import requests

from ser_core.corpora import catalogue, library, scan
from ser_core.corpora.catalogue import Archive, CorpusSpec
from ser_core.errors import CorpusError, Stopped
from ser_core.system import locks, units, untrusted_csv, untrusted_text

CHUNK = 2**16
ATTEMPTS = 4
RETRY_WAIT_S = 1.0
TIMEOUT_S = 30.0

MAX_MEMBERS = 100_000
MAX_UNPACKED = 20 * 2**30
MAX_RATIO = 50
RATIO_FREE = 100 * 2**20
"""Limits of an archive: files, unpacked bytes, and the ratio of unpacked to packed bytes, which applies from RATIO_FREE bytes on."""

ARCHIVES = (".zip", ".rar", ".7z", ".tar", ".tgz", ".gz", ".bz2", ".xz")
"""Endings of archives, of which one within another is not unpacked."""

UNPACKED_TIMES = 3
"""Estimated disk space of an unpacked archive, as a multiple of its size, before it is downloaded."""


@dataclass(frozen=True)
class Progress:
    """Progress of a stage, "download" or "unpack". done and total: its bytes. left_s: seconds to go, None if not known yet."""

    stage: str
    done: int
    total: int
    left_s: float | None

    @property
    def text(self) -> str:
        """One line for people: "Downloading: 42 MB of 208.5 MB, 1 minute and 20 seconds left"."""
        verb = {"download": "Downloading", "unpack": "Unpacking"}[self.stage]
        left = "" if self.left_s is None else f", {units.duration(self.left_s)} left"
        return f"{verb}: {units.size(self.done)} of {units.size(self.total)}{left}"


@dataclass
class _Watch:
    """Reports the progress of one stage to the caller, and asks whether to stop."""

    on_progress: Callable[[Progress], None] | None
    should_stop: Callable[[], bool] | None
    stage: str = ""
    total: int = 0
    began_at: int = 0
    began_s: float = field(default_factory=time.monotonic)

    def begin(self, stage: str, done: int, total: int) -> None:
        self.stage, self.total, self.began_at, self.began_s = stage, total, done, time.monotonic()
        self.tell(done)

    def tell(self, done: int) -> None:
        if self.should_stop and self.should_stop():
            if self.stage == "unpack":
                raise Stopped(
                    "Stopped while unpacking; nothing was installed. Start again to unpack it from the beginning."
                )
            raise Stopped(f"Stopped; {units.size(done)} of {units.size(self.total)} are kept. Start again to resume.")
        if self.on_progress:
            passed, got = time.monotonic() - self.began_s, done - self.began_at
            left = (self.total - done) * passed / got if got > 0 and passed > 0.5 else None
            self.on_progress(Progress(self.stage, done, self.total, left))


def download(
    name: str,
    root: str | os.PathLike[str],
    *,
    on_progress: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Path:
    """Download a corpus from its official source into root/name and return that folder; if it is there and complete, do nothing.

    Parameters
    ----------
    name : a key of catalogue.CORPORA.
    root : folder of all corpora; created if missing.
    on_progress : called after every 64 KiB or clip, from this thread; a slow callback should skip most calls.
    should_stop : called as often; True ends with Stopped.

    A call after a stop or a kill resumes.

    Raises
    ------
    Stopped : if should_stop said so.
    CorpusError : for an unknown corpus or one that is not offered, no network, a missing or changed file, too little disk space, an
        existing folder, or an archive that is damaged or unsafe.
    """
    spec, root = catalogue.known(name), Path(root)
    target = root / name
    if not spec.download:
        raise CorpusError(
            f"{spec.title} is not downloaded by this program: its source asks for a form, or states no checksum. "
            f"Get it from {spec.page} and unpack it into '{target}'."
        )
    store = root / ".downloads"
    files = [store / archive.name for archive in spec.download]
    watch = _Watch(on_progress, should_stop)
    with _clear_errors(root), _alone(store, name, spec.title):
        if _clips_in(name, target) < spec.n_clips:
            _check_vacant(name, spec, target)
            _check_room(
                root,
                sum((UNPACKED_TIMES + 1) * archive.size for archive in spec.download) - sum(map(_kept, files)),
                spec.title,
            )
            for archive, file in zip(spec.download, files, strict=True):
                _fetch(archive, file, spec, watch)
            _install(name, spec, target, files, watch)
        for file in files:
            file.unlink(missing_ok=True)
    return target


def _inner(folder: Path) -> Path:
    """Return the folder that looks like a corpus: this one, or the only one in it, recursively; other files are passed over."""
    while library.kind_of(folder) != library.TABLE:
        inside = [path for path in folder.iterdir() if not path.name.startswith(".")]
        folders = [path for path in inside if path.is_dir()]
        if len(folders) != 1 or scan.label_of(folders[0].name) or any(scan.is_sound(path.name) for path in inside):
            break
        folder = folders[0]
    if not library.kind_of(folder):
        raise CorpusError(
            f"The zip holds neither a table ({' or '.join(library.TABLES)}) nor folders named after labels.{_packed_inside(folder)} "
            f"Put the recordings into folders called {', '.join(catalogue.ALL_LABELS)}, and pack those."
        )
    return folder


def _packed_inside(folder: Path) -> str:
    """Return a sentence on an archive within the archive, which is not unpacked; "" where there is none."""
    inside = next((path for path in sorted(folder.rglob("*")) if is_archive(path.name)), None)
    shown = untrusted_text.one_line(inside.name) if inside else ""
    return (
        f" It holds another archive, '{shown}', which is not unpacked: unpack that, and pack what is in it."
        if inside
        else ""
    )


def is_archive(name: str) -> bool:
    """Return whether a file is named like a zip or another archive."""
    return name.lower().endswith(ARCHIVES)


def _settle(name: str, title: str, folder: Path, speaker_pattern: str) -> None:
    """Check an unpacked corpus of the user, and save its title and, as a table, its clips where more is known than folders tell."""
    is_table = library.kind_of(folder) == library.TABLE
    if is_table:
        table = next(folder / file for file in library.TABLES if (folder / file).is_file())
        found = scan.inspect_table(table, corpus=name, inside=True)
    else:
        found = scan.inspect_folders(folder, corpus=name, speaker_pattern=speaker_pattern)
    if found.is_moved or (speaker_pattern and not is_table):
        # Its paths are those that were found now, so that no later reading finds others.
        rows = found.clips.assign(
            path=[Path(path).relative_to(folder.absolute()).as_posix() for path in found.clips[catalogue.PATH]],
            label=found.clips[catalogue.EMOTION],
            speaker=[untrusted_text.one_line(stated, scan.MAX_TEXT) for stated in found.stated],
        )
        columns = [column for column in catalogue.COLUMNS if column not in (catalogue.CORPUS, catalogue.EMOTION)]
        listed = untrusted_csv.encode(rows[[catalogue.PATH, "label", *columns[1:]]])
        (folder / library.TABLES[0]).write_text(listed, encoding="utf-8", newline="")
    (folder / library.TITLE).write_text(title, encoding="utf-8")


def _clips_in(name: str, folder: Path) -> int:
    try:
        return len(scan.scan(name, folder))
    except CorpusError:
        return 0


def _check_vacant(name: str, spec: CorpusSpec, target: Path) -> None:
    if target.is_dir() and any(target.iterdir()):
        raise CorpusError(
            f"'{target}' is there already, with {_clips_in(name, target)} of {spec.n_clips} clips of {spec.title}. "
            "Move or delete that folder, then try again; it was not changed."
        )


def _kept(file: Path) -> int:
    """Return how many bytes of an archive are already downloaded."""
    return next((path.stat().st_size for path in (file, _part(file)) if path.exists()), 0)


def _part(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def _check_room(folder: Path, needed: int, what: str) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise CorpusError(
            f"{what} needs {units.size(needed)} on the disk that holds '{folder}', which has {units.size(free)} left. "
            "Make room, or choose a folder on another disk."
        )


def _fetch(archive: Archive, file: Path, spec: CorpusSpec, watch: _Watch) -> None:
    """Download an archive to `file`, which appears only when it is complete and has the published checksum."""
    if file.exists():
        return
    part = _part(file)
    host = urlsplit(archive.url).hostname
    failures = 0
    while (before := _kept(file)) != archive.size:
        if before > archive.size:
            part.unlink()
            continue
        why = f"{host} sends nothing. Try again later"
        try:
            _request(archive, part, watch)
        except requests.HTTPError as error:
            status = error.response.status_code if error.response is not None else 0
            if status in (404, 410):
                raise CorpusError(
                    f"{host} no longer has '{archive.name}' ({status}). See {spec.page} for where it is now."
                ) from None
            if status == 416:
                part.unlink()
            why = f"{host} refuses '{archive.name}' (status {status}). Try again later"
        except requests.RequestException:
            why = f"{host} cannot be reached. Check the network connection and try again"
        failures = 0 if _kept(file) > before else failures + 1
        if failures == ATTEMPTS:
            raise CorpusError(f"{why}; {units.size(_kept(file))} of {units.size(archive.size)} are kept.") from None
        if failures:
            time.sleep(RETRY_WAIT_S)
    algorithm, _, expected = archive.checksum.partition(":")
    found = pooch.file_hash(str(part), alg=algorithm)
    if found != expected:
        part.unlink()
        raise CorpusError(
            f"'{archive.name}' from {host} is not the published file ({algorithm} {found}, expected {expected}) and was removed. "
            f"Try again; if it happens again, ask at {spec.page}."
        )
    os.replace(part, file)


def _request(archive: Archive, part: Path, watch: _Watch) -> None:
    """Request once what is missing of `part`, and append it as it arrives."""
    with part.open("ab") as out:
        start = out.tell()

        def on_response(response: requests.Response, *_: object, **__: object) -> None:
            # 206 brings the rest. A server that does not know ranges answers 200 and sends all of it.
            resumed = response.status_code == 206 and response.headers.get("Content-Range", "").startswith(
                f"bytes {start}-"
            )
            if response.ok and not response.is_redirect and start and not resumed:
                out.seek(0)
                out.truncate()
                watch.begin("download", 0, archive.size)

        class Bar:
            """The progress bar that pooch expects; it counts in chunks, the file in bytes."""

            total = 0

            def update(self, _: int) -> None:
                done = out.tell()
                if done > archive.size:
                    raise CorpusError(
                        f"'{archive.name}' is larger than the published {units.size(archive.size)}; the download ended. Try again later."
                    )
                watch.tell(done)

            def reset(self) -> None: ...

            def close(self) -> None: ...

        watch.begin("download", start, archive.size)
        fetch = pooch.HTTPDownloader(
            progressbar=Bar(),
            chunk_size=CHUNK,
            timeout=TIMEOUT_S,
            headers={"Accept-Encoding": "identity", **({"Range": f"bytes={start}-"} if start else {})},
            hooks={"response": on_response},
        )
        fetch(archive.url, out, None)
        os.fsync(out.fileno())


def _install(name: str, spec: CorpusSpec, target: Path, sources: Sequence[Path | BinaryIO], watch: _Watch) -> None:
    """Unpack archives next to `target`, check that they hold clips of the corpus, and rename the folder to `target`."""
    part = _part(target)
    _remove(part)  # left by a killed run
    try:
        part.mkdir()
        for source in sources:
            _unpack(source, part, spec.title, watch)
        if not _clips_in(name, part):
            raise CorpusError(
                f"The archive holds 0 clips named like '{spec.example}'.{_packed_inside(part)} "
                f"Give the archive of {spec.title} from {spec.page}."
            )
        if target.exists():
            target.rmdir()
        os.replace(part, target)
    finally:
        _remove(part)


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _unpack(source: Path | BinaryIO, into: Path, title: str, watch: _Watch) -> None:
    try:
        if zipfile.is_zipfile(source):
            with zipfile.ZipFile(source) as packed:
                _unpack_zip(packed, into, title, watch)
        else:
            with (
                Path(str(source)).open("rb") as raw,
                tarfile.open(fileobj=raw) as members,
            ):  # install_archive passes only zips
                _unpack_tar(members, raw, into, watch)
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        ValueError,
    ) as error:
        raise CorpusError(
            f"The archive is damaged, or packed in a way that cannot be read ({error}). Get it again."
        ) from None
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        twice = untrusted_text.file_name(str(error.filename))
        raise CorpusError(
            f"The archive holds '{twice}' twice, so it is not used. Get it from its official source."
        ) from None


def _unpack_zip(packed: zipfile.ZipFile, into: Path, title: str, watch: _Watch) -> None:
    members = packed.infolist()
    check_members(members)
    total = sum(member.file_size for member in members)
    _check_room(into, total, title)
    watch.begin("unpack", 0, total)
    done = 0
    for member in members:
        if not member.is_dir() and is_wanted(member.filename):
            with packed.open(member) as content:
                _write(content, _place(member.filename, into), partial(_tell_more, watch, done))
        done += member.file_size


def check_members(members: Sequence[zipfile.ZipInfo]) -> None:
    """Check the listing of an untrusted zip before any of it is unpacked.

    Raises
    ------
    CorpusError : for too many files, too many bytes or a bomb, a link or a device, a password, or a name that leaves the folder.
    """
    total, packed = sum(member.file_size for member in members), sum(member.compress_size for member in members)
    _check_limits(len(members), total, packed)
    for member in members:
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _unsafe(member.filename, "is a link or a device")
        if member.flag_bits & 1:
            raise CorpusError("The archive asks for a password. Unpack it yourself, and pack the clips without one.")
        _parts(member.filename)


def _unpack_tar(members: tarfile.TarFile, raw: BinaryIO, into: Path, watch: _Watch) -> None:
    """Check the members of a tar one by one, as it lists them. Only archives with a published checksum come here."""
    size = os.fstat(raw.fileno()).st_size
    watch.begin("unpack", 0, size)
    done = 0
    for n, member in enumerate(members, start=1):
        if not (member.isreg() or member.isdir()):
            raise _unsafe(member.name, "is a link or a device")
        _check_limits(n, done + member.size, size)
        path = _place(member.name, into)
        content = members.extractfile(member) if member.isreg() and is_wanted(member.name) else None
        if content:
            with content:
                _write(content, path, lambda _: watch.tell(raw.tell()))
        done += member.size


def _check_limits(n_members: int, total: int, packed: int) -> None:
    if n_members > MAX_MEMBERS:
        raise CorpusError(
            f"The archive holds {n_members:,} files, more than {MAX_MEMBERS:,}, so it is not unpacked. Pack the clips alone."
        )
    if total > MAX_UNPACKED:
        raise CorpusError(
            f"The archive would take {units.size(total)} when unpacked, more than {units.size(MAX_UNPACKED)}, so it is not unpacked."
        )
    if total > RATIO_FREE and total > MAX_RATIO * packed:
        raise CorpusError(
            f"The archive would grow from {units.size(packed)} to {units.size(total)}, more than {MAX_RATIO} times, as no recordings do, "
            "so it is not unpacked. Get it from its official source, or pack it again."
        )


def _place(name: str, into: Path) -> Path:
    """Return the target path of a member; refuse names that leave the folder."""
    return into.joinpath(*_parts(name))


def _parts(name: str) -> tuple[str, ...]:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts or parts[0] == "/" or ".." in parts or PureWindowsPath(name).drive or "\0" in name:
        raise _unsafe(name, "points outside the folder that it is unpacked into")
    return parts


def _unsafe(name: str, why: str) -> CorpusError:
    shown = untrusted_text.one_line(name)
    return CorpusError(
        f"The archive is not used: its file {shown!r} {why}. Get it from its official source, or pack it again."
    )


def is_wanted(name: str) -> bool:
    """Return False for the extra files that macOS adds to archives."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return "__MACOSX" not in parts and not parts[-1].startswith("._")


def _tell_more(watch: _Watch, done: int, more: int) -> None:
    watch.tell(done + more)


def _write(content: IO[bytes], path: Path, tell: Callable[[int], None]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as out:
        while chunk := content.read(CHUNK):
            out.write(chunk)
            tell(out.tell())


@contextmanager
def _clear_errors(root: Path) -> Iterator[None]:
    """Turn errors of the disk into sentences."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise CorpusError(
                f"The disk that holds '{root}' is full. Make room and try again; what was downloaded is kept."
            ) from None
        where = error.filename or root
        raise CorpusError(
            f"Cannot use '{where}' ({error.strerror or error}). Choose a folder that you may write to."
        ) from None


@contextmanager
def _alone(store: Path, name: str, title: str) -> Iterator[None]:
    """Keep a second process or visitor from downloading the same corpus."""
    try:
        with locks.alone(store / f"{name}.lock"):
            yield
    except locks.Busy:
        raise CorpusError(
            f"{title} is being downloaded already, in another window or command. Wait until that has ended."
        ) from None
