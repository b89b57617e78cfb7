"""The bytes of a file, to be opened as often as it is read: in memory, on the disk, or put together from stretches of another."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from ser_core.system.spool import Spool

_LARGE = 16 * 2**20


class _Forgiving:
    """A file whose seek to before its start, which damaged headers ask for, stays put: soundfile prints a traceback for an error."""

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return int(super().seek(offset, whence))  # type: ignore[misc]
        except (OSError, ValueError, OverflowError):
            return int(self.tell())  # type: ignore[attr-defined]


class MemoryFile(_Forgiving, io.BytesIO):
    """Bytes in memory."""


class DiskFile(_Forgiving, io.BufferedReader):
    """A file on the disk."""


class Source:
    """The bytes of a file in memory. size: how many."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def open(self) -> BinaryIO:
        """Return a new file object at the start."""
        return MemoryFile(self._data)

    def part(self, start: int, size: int) -> bytes:
        """Return some bytes."""
        return self._data[max(start, 0) : max(start, 0) + size]

    def join(self, pieces: Sequence[bytes | slice]) -> Source:
        """Return a file of pieces: bytes, or stretches of this one as slice(start, stop); a large one is no copy."""
        if self.size > _LARGE:
            return _Pieces(self, pieces)
        return Source(
            b"".join(piece if isinstance(piece, bytes) else self._data[piece.start : piece.stop] for piece in pieces)
        )


class OnDisk(Source):
    """The bytes of a file, read from the disk as they are needed."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self.size = size

    def open(self) -> BinaryIO:
        return DiskFile(io.FileIO(self._path))

    def part(self, start: int, size: int) -> bytes:
        with self.open() as file:
            file.seek(max(start, 0))
            return file.read(size)

    def join(self, pieces: Sequence[bytes | slice]) -> Source:
        return _Pieces(self, pieces)


class Spooled(OnDisk):
    """The bytes of a spool, read as they are needed."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self.size = spool.size

    def open(self) -> BinaryIO:
        return DiskFile(self._spool.open())


class _Pieces(OnDisk):
    """Bytes and stretches of another source, one after another."""

    def __init__(self, source: Source, pieces: Sequence[bytes | slice]) -> None:
        self.source = source
        self.pieces: list[tuple[int, int, bytes | slice]] = []
        self.size = 0
        for piece in pieces:
            length = len(piece) if isinstance(piece, bytes) else max(min(piece.stop, source.size) - piece.start, 0)
            self.pieces.append((self.size, self.size + length, piece))
            self.size += length

    def open(self) -> BinaryIO:
        return DiskFile(_PiecesReader(self))


class _PiecesReader(io.RawIOBase):
    def __init__(self, pieces: _Pieces) -> None:
        self._pieces = pieces
        self._file = pieces.source.open()
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        for start, stop, piece in self._pieces.pieces:
            if start <= self._at < stop:
                n = min(len(buffer), stop - self._at)
                if isinstance(piece, bytes):
                    data = piece[self._at - start : self._at - start + n]
                else:
                    self._file.seek(piece.start + self._at - start)
                    data = self._file.read(n)
                buffer[: len(data)] = data
                self._at += len(data)
                return len(data)
        return 0

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        place = offset + (0, self._at, self._pieces.size)[whence]
        if place < 0:
            raise ValueError(f"A place in a file must be 0 or more. Got {place}.")
        self._at = place
        return place

    def close(self) -> None:
        self._file.close()
        super().close()
