"""Recordings that occur more than once, by their sound: whatever the files are called, in whatever format they are.

Each clip is decoded once and remembered in the feature cache. A clip's print is a short description that survives lossy codecs, trimmed
silence and another level or rate; clips with like prints are one recording where their waveforms correlate too.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.fft import dctn

from ser_core.audio import decoding
from ser_core.corpora import catalogue
from ser_core.dataset.cache import TABLES, read_arrays, write_arrays
from ser_core.errors import AudioError, Stopped
from ser_core.features import filterbanks
from ser_core.system import pool

SAMPLE_RATE = 8000
"""Enough for what every codec keeps of a voice, telephones included."""

N_SIDE = 20
PRINT_BYTES = N_SIDE * N_SIDE // 8
"""A print: the signs of the lowest 20 by 20 coefficients of a cosine transform of the log-mel spectrogram, packed into bytes."""

SHIFTS = (0, -2, 2)
"""Frames by which a print is computed earlier and later too: codecs move what a print is centred on. The first is the print."""

CANDIDATE, LIKE, SAME_PRINT = 0.60, 0.75, 0.88
"""Agreement of prints, -1..1: from which a pair is compared with its shifts, from which its waveforms are compared, and from which two
clips count as one recording by their prints alone. No two of 12,697 acted clips that are different recordings reach 0.84."""

SAME_WAVE = 0.7
"""Correlation of two aligned waveforms from which they are one recording: codecs at 16 kbit/s leave 0.9, other takes reach 0.6."""

REMEMBERED = 60_000
"""Most clips, and pairs of clips, that are remembered: about 10 MB."""

_VERSION = b"sounds 1"
_N_FFT, _HOP, _N_MELS, _LOW_HZ, _HIGH_HZ = 256, 80, 20, 150.0, 3400.0
_HALF = 110
"""Frames of 10 ms on each side of the centre that a print covers."""
_RANGE_DB, _CENTRE_DB, _SILENT_DB = 30.0, 25.0, -60.0
_FEWEST_FRAMES = 15
_BLOCK = 1024


@dataclass(frozen=True)
class Sounds:
    """What is known of the sound of some clips, by path.

    same: path -> the first path with the same recording, of clips that share theirs. prints: path -> uint8 (len(SHIFTS), PRINT_BYTES), of
    clips that can be read and are not silent.
    """

    same: Mapping[str, str]
    prints: Mapping[str, np.ndarray]

    def keys(self, clips: pd.DataFrame) -> np.ndarray:
        """Return a key of each clip's recording, str (n_clips,): equal where the recording is."""
        return np.array([self.same.get(path, path) for path in clips[catalogue.PATH]], str)

    def texts(self, clips: pd.DataFrame) -> list[str]:
        """Return each clip's print as text, "" where it has none."""
        return [
            base64.b64encode(self.prints[path][0].tobytes()).decode() if path in self.prints else ""
            for path in clips[catalogue.PATH]
        ]


def sounds(
    clips: pd.DataFrame,
    *,
    cache: Path | None = None,
    n_jobs: int = 1,
    niced: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Sounds:
    """Return what the clips of a table share by sound; what is not remembered in the cache folder is decoded, by n_jobs processes.

    A clip that cannot be read, or is silent, shares its recording with none.

    on_progress(done, total) counts what is decoded: the clips, then the pairs among them that may be one recording.

    Raises
    ------
    Stopped : if should_stop returned True; what was heard so far is remembered.
    """

    def check(done: int, total: int) -> None:
        if on_progress and (done % 50 == 0 or done == total):
            on_progress(done, total)
        if should_stop():
            memory.write(cache)
            raise Stopped("Stopped. What has been heard so far is remembered.")

    memory = _Memory.read(cache)
    paths = list(dict.fromkeys(clips[catalogue.PATH]))
    keys = dict(zip(paths, map(_file_key, paths), strict=True))
    new = [path for path in paths if keys[path] not in memory.clips]
    run = pool.in_processes(_listen, [(path,) for path in new], n_jobs if len(new) >= 64 else 1, niced=niced)
    for done, (path, heard) in enumerate(zip(new, run, strict=True), start=1):
        memory.clips[keys[path]] = heard
        check(done, len(new))
    pairs = _like(paths, keys, memory)
    unknown = [pair for pair in pairs if _pair_key(keys, pair) not in memory.pairs]
    run = pool.in_processes(_is_same, unknown, n_jobs if len(unknown) >= 64 else 1, niced=niced)
    for done, (pair, is_same) in enumerate(zip(unknown, run, strict=True), start=len(new) + 1):
        memory.pairs[_pair_key(keys, pair)] = is_same
        check(done, len(new) + len(unknown))
    if new or unknown:
        memory.write(cache)
    return _grouped(paths, keys, memory, pairs)


def remembered(clips: pd.DataFrame, *, cache: Path | None) -> Sounds | None:
    """Return what `sounds` would, without decoding anything; None where some of it is not remembered."""
    memory = _Memory.read(cache)
    paths = list(dict.fromkeys(clips[catalogue.PATH]))
    keys = dict(zip(paths, map(_file_key, paths), strict=True))
    if any(key not in memory.clips for key in keys.values()):
        return None
    pairs = _like(paths, keys, memory)
    known = all(_pair_key(keys, pair) in memory.pairs for pair in pairs)
    return _grouped(paths, keys, memory, pairs) if known else None


def last_written(cache: Path) -> int:
    """Return when what is remembered in a cache folder was last written, as the time of files (st_mtime_ns); 0: never."""
    try:
        return _Memory.place(cache).stat().st_mtime_ns
    except OSError:
        return 0


def progress_text(done: int, total: int) -> str:
    """Return in words how far `sounds` is: what its on_progress is told."""
    return f"Comparing the clips by sound: {done:,} of {total:,}"


def joined(units: pd.Series, sounds: np.ndarray | None) -> pd.Series:
    """Return units (speakers, say), with those that share a recording as one, under the name of the first.

    sounds : a key of each clip's recording, str (n_clips,); None: they share none.
    """
    if sounds is None:
        return units
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    unit, names = pd.factorize(units)
    sound, found = pd.factorize(sounds)
    n = len(names) + len(found)
    graph = coo_array((np.ones(len(unit), bool), (unit, len(names) + sound)), shape=(n, n))
    _, component = connected_components(graph, directed=False)
    first: dict[int, str] = {}
    for name, each in zip(names, component, strict=False):
        first.setdefault(int(each), name)
    return pd.Series([first[int(component[each])] for each in unit], units.index, dtype=object)


def several(sounds: np.ndarray | None, n_clips: int) -> np.ndarray:
    """Return which clips share their recording with another one, bool (n_clips,)."""
    if sounds is None:
        return np.zeros(n_clips, bool)
    shared: np.ndarray = pd.Series(sounds).duplicated(keep=False).to_numpy()
    return shared


def told(clips: pd.DataFrame, sounds: np.ndarray | None) -> str:
    """Return in a sentence how many recordings occur more than once, and where; "" where none does."""
    shared = several(sounds, len(clips))
    if not shared.any() or sounds is None:
        return ""
    inside = clips[shared].assign(sound=sounds[shared])
    n = inside["sound"].nunique()
    across = int((inside.groupby("sound")[catalogue.CORPUS].nunique() > 1).sum())
    differ = int((inside.groupby("sound")[catalogue.EMOTION].nunique() > 1).sum())
    where = f", {across} of them in more than one corpus" if across else ""
    clash = f" {differ} of them {'has' if differ == 1 else 'have'} different labels." if differ else ""
    return f"{n} recording{'s' * (n != 1)} occur{'s' * (n == 1)} more than once, as {len(inside)} clips{where}.{clash}"


def read_prints(texts: Sequence[str]) -> np.ndarray:
    """Return prints from texts, uint8 (n, PRINT_BYTES); what is no print is left out."""
    found = []
    for text in texts:
        try:
            data = base64.b64decode(text, validate=True)
        except ValueError:
            continue
        if len(data) == PRINT_BYTES:
            found.append(np.frombuffer(data, np.uint8))
    return np.stack(found) if found else np.zeros((0, PRINT_BYTES), np.uint8)


def match(clips: pd.DataFrame, sounds: Sounds, known: np.ndarray) -> np.ndarray:
    """Return for each clip the position among `known`, uint8 (n, PRINT_BYTES), of the recording that it is by its print; -1 for none."""
    found = np.full(len(clips), -1)
    rows = [row for row, path in enumerate(clips[catalogue.PATH]) if path in sounds.prints]
    if not rows or not len(known):
        return found
    signs = _signs(known)
    for start in range(0, len(rows), _BLOCK):
        some = rows[start : start + _BLOCK]
        prints = np.stack([sounds.prints[path] for path in clips[catalogue.PATH].iloc[some]])
        agreement = np.max([_signs(prints[:, shift]) @ signs.T for shift in range(len(SHIFTS))], axis=0)
        best = agreement.argmax(axis=1)
        found[some] = np.where(agreement[np.arange(len(some)), best] > SAME_PRINT, best, -1)
    return found


def prints_of(samples: np.ndarray) -> np.ndarray | None:
    """Return the prints of a waveform at SAMPLE_RATE, uint8 (len(SHIFTS), PRINT_BYTES); None of silence, or of less than 0.15 s of sound.

    A print looks at 2.2 s around the centre of what is within 25 dB of the loudest frame, and no deeper than 30 dB: what is added or
    cut off in silence, and the noise of a codec, does not reach it.
    """
    padded = np.pad(samples.astype(np.float32), _N_FFT)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _N_FFT)[::_HOP]
    power = np.abs(np.fft.rfft(frames * _window(), axis=1)).astype(np.float32) ** 2 @ _bank().T
    level = 10 * np.log10(power + 1e-12)
    loudness = 10 * np.log10(power.sum(axis=1) + 1e-12)
    weight = np.maximum(0, loudness - loudness.max() + _CENTRE_DB)
    if loudness.max() < _SILENT_DB or (weight > 0).sum() < _FEWEST_FRAMES:
        return None
    centre = float((weight * np.arange(len(weight))).sum() / weight.sum())
    audible = np.maximum(level - level.max() + _RANGE_DB, 0)
    made = []
    for shift in SHIFTS:
        at = centre + shift + np.arange(-_HALF, _HALF)
        left = np.floor(at).astype(int)
        share = (at - left)[:, np.newaxis]
        patch = _rows(audible, left) * (1 - share) + _rows(audible, left + 1) * share
        patch = (patch - patch.mean()) * np.hanning(2 * _HALF)[:, np.newaxis]
        made.append(np.packbits(dctn(patch, norm="ortho")[:N_SIDE, :N_SIDE].ravel() > 0))
    return np.stack(made)


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Return the largest correlation of two waveforms over all shifts, 0..1."""
    from scipy.signal import fftconvolve

    one, other = one - one.mean(), other - other.mean()
    scale = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(np.abs(fftconvolve(one, other[::-1])).max()) / scale if scale > 0 else 0.0


_Heard = tuple[int, np.ndarray | None]
"""A digest of the samples (0: none), and the prints."""


@dataclass(frozen=True)
class _Memory:
    """What was heard before: a file's key -> what it sounds like; two files' keys -> whether they are one recording."""

    clips: dict[int, _Heard]
    pairs: dict[tuple[int, int], bool]

    @staticmethod
    def place(cache: Path) -> Path:
        return cache / TABLES / f"{hashlib.sha256(_VERSION).hexdigest()}.npz"

    @classmethod
    def read(cls, cache: Path | None) -> _Memory:
        stored = (
            read_arrays(cls.place(cache), "keys", "digests", "has_print", "prints", "pairs", "is_same")
            if cache
            else None
        )
        try:
            if stored is None:
                return cls({}, {})
            prints = stored["prints"].reshape(-1, len(SHIFTS), PRINT_BYTES)
            clips = {
                int(key): (int(digest), each if has_print else None)
                for key, digest, has_print, each in zip(
                    stored["keys"], stored["digests"], stored["has_print"], prints, strict=True
                )
            }
            pairs = {
                (int(one), int(other)): bool(same)
                for (one, other), same in zip(stored["pairs"], stored["is_same"], strict=True)
            }
        except (ValueError, TypeError):
            return cls({}, {})
        return cls(clips, pairs)

    def write(self, cache: Path | None) -> None:
        """Write what is remembered, the newest of it where it is too much."""
        if cache is None:
            return
        clips, pairs = list(self.clips.items())[-REMEMBERED:], list(self.pairs.items())[-REMEMBERED:]
        nothing = np.zeros((len(SHIFTS), PRINT_BYTES), np.uint8)
        write_arrays(
            self.place(cache),
            keys=np.array([key for key, _ in clips], np.uint64),
            digests=np.array([digest for _, (digest, _) in clips], np.uint64),
            has_print=np.array([prints is not None for _, (_, prints) in clips], bool),
            prints=np.array([nothing if prints is None else prints for _, (_, prints) in clips], np.uint8),
            pairs=np.array([pair for pair, _ in pairs], np.uint64).reshape(-1, 2),
            is_same=np.array([same for _, same in pairs], bool),
        )


def _file_key(path: str) -> int:
    """Return a number that changes with a file's path, size or time."""
    try:
        facts = os.stat(path)
        text = f"{os.path.abspath(path)}\0{facts.st_size} {facts.st_mtime_ns}"
    except OSError:
        text = path
    return _number(text.encode(errors="surrogateescape"))


def _number(data: bytes) -> int:
    return int.from_bytes(hashlib.sha256(data).digest()[:8], "big")


def _pair_key(keys: Mapping[str, int], pair: tuple[str, str]) -> tuple[int, int]:
    one, other = sorted(keys[path] for path in pair)
    return one, other


def _decoded(path: str, sample_rate: int) -> np.ndarray | None:
    try:
        return decoding.decode(
            Path(path).read_bytes(), name=Path(path).name, sample_rate=sample_rate
        ).waveform.samples.astype(np.float32)
    except (AudioError, OSError):
        return None


def _listen(path: str) -> _Heard:
    samples = _decoded(path, SAMPLE_RATE)
    if samples is None:
        return 0, None
    whole = np.round(samples * 2**15).astype(np.int32)
    return (_number(whole.tobytes()) if np.any(whole) else 0), prints_of(samples)


def _is_same(one: str, other: str) -> bool:
    """Return whether two files hold one recording by their waveforms."""
    first, second = _decoded(one, SAMPLE_RATE), _decoded(other, SAMPLE_RATE)
    return first is not None and second is not None and correlation(first, second) > SAME_WAVE


def _like(paths: Sequence[str], keys: Mapping[str, int], memory: _Memory) -> list[tuple[str, str]]:
    """Return pairs of clips that may be one recording by their prints, without those that are it sample by sample."""
    firsts: dict[int, str] = {}
    candidates = []
    for path in paths:
        digest, prints = memory.clips[keys[path]]
        if prints is not None and firsts.setdefault(digest, path) == path:
            candidates.append((path, prints))
    if len(candidates) < 2:
        return []
    signs = [_signs(np.stack([prints[shift] for _, prints in candidates])) for shift in range(len(SHIFTS))]
    found = []
    for start in range(0, len(candidates), _BLOCK):
        agreement = signs[0][start : start + _BLOCK] @ signs[0][start:].T
        for row, column in np.argwhere(agreement > CANDIDATE):
            if row < column:
                one, other = start + int(row), start + int(column)
                best = max(
                    float(signs[0][one] @ signs[shift][other]) if shift else float(agreement[row, column])
                    for shift in range(len(SHIFTS))
                )
                if best > LIKE:
                    found.append((candidates[one][0], candidates[other][0]))
    return found


def _grouped(
    paths: Sequence[str], keys: Mapping[str, int], memory: _Memory, pairs: Sequence[tuple[str, str]]
) -> Sounds:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    place = {path: number for number, path in enumerate(paths)}
    firsts: dict[int, str] = {}
    edges = [(path, firsts.setdefault(digest, path)) for path in paths if (digest := memory.clips[keys[path]][0])]
    edges += [pair for pair in pairs if memory.pairs[_pair_key(keys, pair)]]
    ends = np.array([(place[one], place[other]) for one, other in edges], int).reshape(-1, 2)
    graph = coo_array((np.ones(len(ends), bool), (ends[:, 0], ends[:, 1])), shape=(len(paths), len(paths)))
    _, component = connected_components(graph, directed=False)
    first: dict[int, str] = {}
    same = {path: first.setdefault(int(each), path) for path, each in zip(paths, component, strict=True)}
    sizes = np.bincount(component, minlength=1)
    heard = {path: memory.clips[keys[path]][1] for path in paths}
    return Sounds(
        {path: first_path for path, first_path in same.items() if sizes[component[place[path]]] > 1},
        {path: prints for path, prints in heard.items() if prints is not None},
    )


def _signs(prints: np.ndarray) -> np.ndarray:
    """Return prints, uint8 (n, PRINT_BYTES), as float32 (n, bits) whose inner products are their agreement."""
    bits = np.unpackbits(prints, axis=1).astype(np.float32) * 2 - 1
    return bits / np.float32(np.sqrt(bits.shape[1]))


def _rows(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return rows of a spectrogram; silence beyond its ends."""
    inside = (at >= 0) & (at < len(values))
    rows: np.ndarray = values[np.clip(at, 0, len(values) - 1)] * inside[:, np.newaxis]
    return rows


@lru_cache
def _bank() -> np.ndarray:
    return filterbanks.mel(SAMPLE_RATE, _N_FFT, n_mels=_N_MELS, fmin=_LOW_HZ, fmax=_HIGH_HZ)


@lru_cache
def _window() -> np.ndarray:
    window: np.ndarray = np.hanning(_N_FFT + 1)[:-1].astype(np.float32)
    return window
