"""Bytes that are too many to hold in memory: in a file of the temporary folder that nobody else can open.

The file has no name there (on Windows: one that goes with it), so it is gone with the last reference to its Spool, and with the
process however that ends.
"""

from __future__ import annotations

import io
import tempfile
import threading
import weakref
from typing import IO


class Spool:
    """Some bytes on the disk, to be read from several places at once. size: how many."""

    def __init__(self, data: bytes | memoryview | IO[bytes]) -> None:
        """Hold bytes, or what is in a file that `tempfile.TemporaryFile` gave, which is the Spool's from then on."""
        self._file = (
            tempfile.TemporaryFile() if isinstance(data, bytes | memoryview) else data
        )  # closed with this object
        self._close = weakref.finalize(self, self._file.close)
        self._lock = threading.Lock()
        if isinstance(data, bytes | memoryview):
            self._file.write(data)
        self.size = self._file.seek(0, io.SEEK_END)

    def read(self) -> bytes:
        """Return all of them."""
        return self.part(0, self.size)

    def part(self, start: int, size: int) -> bytes:
        """Return at most `size` bytes from `start` on; none beyond the end."""
        with self._lock:
            self._file.seek(start)
            return self._file.read(size)

    def open(self) -> io.RawIOBase:
        """Return a reader of its own place, at the start."""
        return _Reader(self)


class _Reader(io.RawIOBase):
    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._spool.part(self._at, len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        place = offset + (0, self._at, self._spool.size)[whence]
        if place < 0:
            raise ValueError(f"A place in a file must be 0 or more. Got {place}.")
        self._at = place
        return place
