"""A small SAVEE as a zip or a tar, and zips of files of any kind."""

from __future__ import annotations

import io
import os
import random
import tarfile
import zipfile
from pathlib import Path

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


WHOLE = zip_of(CLIPS)


def tar_of(files) -> bytes:
    """Return a tar.gz. files: name or TarInfo -> content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as packed:
        for name, content in files.items():
            info = tarfile.TarInfo(name) if isinstance(name, str) else name
            info.size = len(content)
            packed.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def is_whole(folder: Path) -> bool:
    """Return whether a folder holds these clips, and nothing else."""
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return found == CLIPS


def is_clean(root: Path) -> bool:
    """Return whether nothing but the folder, and the lock's empty file, is there."""
    return sorted(path.name for path in root.iterdir()) == [".downloads", "savee"] and os.listdir(
        root / ".downloads"
    ) == ["savee.lock"]
