"""Sound written piece by piece as FLAC or MP3, into a file without a name, while it arrives."""

from __future__ import annotations

import tempfile
from typing import IO

import numpy as np
import soundfile

from ser_core.audio.waveform import to_pcm
from ser_core.errors import AudioError
from ser_core.system.spool import Spool


class Tape:
    """Sound that is kept on the disk, as a Spool is: a file that grows as pieces come, and from which any stretch can be taken.

    container: FLAC, which keeps 16 bits of each sample, or MP3, which is three to five times smaller and for listening alone.
    """

    def __init__(self, sample_rate: int, container: str = "FLAC") -> None:
        self.sample_rate = sample_rate
        self._file = _Sink(tempfile.TemporaryFile(buffering=0))
        self._writer = soundfile.SoundFile(self._file, "w", sample_rate, 1, format=container)

    def push(self, samples: np.ndarray) -> None:
        """Add float32 samples (n,); raises AudioError where the disk is full."""
        self._writer.write(to_pcm(samples))
        self._file.check()

    def close(self) -> Spool:
        """Return the whole file; nothing can be added after that. Raises AudioError where the disk is full."""
        self._writer.close()
        self._file.check()
        return Spool(self._file.file)


class _Sink:
    """The file that soundfile writes to: soundfile ignores errors of a write, so they are kept until asked for."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.seek, self.tell, self.read = file.seek, file.tell, file.read
        self._lost = False

    def write(self, data: bytes) -> int:
        try:
            self._lost |= self.file.write(data) < len(data)
        except OSError:
            self._lost = True
        return len(data)

    def check(self) -> None:
        """Raise AudioError where something could not be written."""
        if self._lost:
            raise AudioError(
                "The disk is full, so this recording cannot be kept while it is looked at. Make room, and give it again."
            )
