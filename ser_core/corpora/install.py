"""A corpus from a user's archive: checked, unpacked to a temporary folder and renamed."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from ser_core.corpora import catalogue, download, library
from ser_core.errors import CorpusError
from ser_core.system import untrusted_text


def install_archive(
    name: str,
    source: str | os.PathLike[str] | bytes | BinaryIO,
    root: str | os.PathLike[str],
    *,
    on_progress: Callable[[download.Progress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Path:
    """Unpack a user's zip of a corpus, such as an upload, into root/name and return that folder.

    Parameters
    ----------
    name : a key of catalogue.CORPORA.
    source : path, content or open file of an untrusted zip archive. It is not changed.
    root, on_progress, should_stop : as in `download`.

    Raises
    ------
    Stopped : if should_stop said so; nothing is left behind.
    CorpusError : for an unknown corpus, a source that is not a zip or is unsafe, one without a clip of this corpus, too little disk
        space, or an existing folder.
    """
    spec, root = catalogue.known(name), Path(root)
    target = root / name
    opened: Path | BinaryIO
    if isinstance(source, bytes):
        opened = io.BytesIO(source)
    else:
        opened = Path(source) if isinstance(source, str | os.PathLike) else source
    with download._clear_errors(root), download._alone(root / ".downloads", name, spec.title):
        download._check_vacant(name, spec, target)
        if not zipfile.is_zipfile(opened):
            raise CorpusError(
                f"The file is not a complete zip archive. Give the zip of {spec.title} as its source offers it."
            )
        download._install(name, spec, target, [opened], download._Watch(on_progress, should_stop))
    return target


def install_own(
    title: str,
    source: str | os.PathLike[str] | bytes | BinaryIO,
    root: str | os.PathLike[str],
    *,
    speaker_pattern: str = "",
    on_progress: Callable[[download.Progress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Path:
    """Unpack a zip of the user's recordings, described by a table or by folders named after labels, and return their folder.

    Parameters
    ----------
    title : the corpus' name for people; its folder's name is derived from it.
    source, root, on_progress, should_stop : as in `install_archive`.
    speaker_pattern : as in `scan.read_folders`. What it finds is written to a table next to the recordings.

    Raises
    ------
    Stopped : if should_stop said so; nothing is left behind.
    CorpusError : for a missing title, a source that is not a zip or is unsafe, one without labelled clips or with a table that lists
        files elsewhere, or too little disk space.
    """
    root, title = Path(root), untrusted_text.one_line(title, library.MAX_TITLE)
    if not title:
        raise CorpusError("The corpus has no name yet. Enter one.")
    opened: Path | BinaryIO
    if isinstance(source, bytes):
        opened = io.BytesIO(source)
    else:
        opened = Path(source) if isinstance(source, str | os.PathLike) else source
    with download._clear_errors(root), download._alone(root / ".downloads", "own", "Another zip"):
        if not zipfile.is_zipfile(opened):
            raise CorpusError("The file is not a complete zip archive. Pack the folder of recordings as a zip.")
        name = library.new_name(root, title)
        part = download._part(root / name)
        download._remove(part)  # left by a killed run
        try:
            part.mkdir()
            download._unpack(opened, part, title, download._Watch(on_progress, should_stop))
            top = download._inner(part)
            download._settle(name, title, top, speaker_pattern)
            os.replace(top, root / name)
        finally:
            download._remove(part)
    return root / name
