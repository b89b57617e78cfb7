"""Recordings of one folder whose names differ by their ending or capitals alone: which of them are copies, told by their sound."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from ser_core.audio import decoding, formats, waveform
from ser_core.errors import AudioError

LOSSLESS = frozenset([".wav", ".wave", ".flac", ".aiff", ".aif", ".aifc", ".au", ".caf", ".w64"])
"""Endings of files that keep each sample: two of them hold one recording if their samples are equal."""

SAME = 0.9
"""Correlation of two waveforms, at the lag where it is largest, from which one of them is a lossy copy of the other."""

MAX_LENGTH_S = 0.25
"""By how much a lossy copy may be shorter or longer: codecs add up to two frames of silence."""


MAX_LOSSY_S = 60.0
"""Longest recording that is compared with a lossy copy, in seconds; a longer one is compared as it is."""


def copies(paths: Sequence[str]) -> set[str]:
    """Return which of some files (absolute paths) hold the recording of another under a twin of its name; the best file is none of them."""
    groups: dict[str, list[str]] = {}
    for path in paths:
        groups.setdefault(os.path.splitext(path)[0].casefold(), []).append(path)
    found: set[str] = set()
    for group in groups.values():
        for best, other in combinations(sorted(group, key=_rank), 2):
            if best not in found and other not in found and _is_same(best, other, (_state(best), _state(other))):
                found.add(other)
    return found


def _rank(path: str) -> tuple[int, str]:
    return formats.ENDINGS.index(_ending(path)), path


def _ending(path: str) -> str:
    return os.path.splitext(path)[1].lower()


def _state(path: str) -> tuple[int, int]:
    try:
        found = os.stat(path)
    except OSError:
        return -1, -1
    return found.st_size, found.st_mtime_ns


@functools.lru_cache(maxsize=20_000)
def _is_same(first: str, second: str, _: tuple[tuple[int, int], tuple[int, int]]) -> bool:
    """Return whether two files hold one recording; remembered while neither changes."""
    from scipy.signal import correlate

    if {_ending(first), _ending(second)} <= LOSSLESS:
        return _digest(first) == _digest(second)
    one, two = _samples(first, MAX_LOSSY_S), _samples(second, MAX_LOSSY_S)
    if one is None or two is None:
        return _digest(first) == _digest(second)
    if abs(len(one) - len(two)) > MAX_LENGTH_S * waveform.SAMPLE_RATE:
        return False
    scale = float(np.linalg.norm(one) * np.linalg.norm(two))
    return scale > 0 and float(correlate(one, two, method="fft").max()) > SAME * scale


def _samples(path: str, longest_s: float) -> np.ndarray | None:
    try:
        return decoding.decode(path, max_duration_s=longest_s, name=os.path.basename(path)).waveform.samples
    except AudioError:
        return None


def _digest(path: str) -> bytes:
    """Return a digest of a file's samples; of its bytes where it is no sound."""
    samples = _samples(path, decoding.MAX_DURATION_S)
    if samples is not None:
        return hashlib.sha256(samples.tobytes()).digest()
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return path.encode(errors="surrogateescape")
