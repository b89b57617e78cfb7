"""From bytes to a waveform: decoding by content, limits that a hostile file meets before its samples do, resampling.

soundfile (libsndfile) reads first, PyAV (FFmpeg) the rest. Samples are read in blocks, mixed to one channel and resampled as
they come, so memory follows the length of the result and not what a header promises; `stream` hands out the blocks themselves,
so that an hour takes no more memory than a minute. Decoding writes nothing to disk; what is kept there while it is heard is
audio/recording.py's tape.
"""

from __future__ import annotations

import codecs
import functools
import io
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import av
import numpy as np
import soundfile

from ser_core.audio.waveform import MAX_RATE, MIN_RATE, SAMPLE_RATE, Resampler, Waveform, _check_target
from ser_core.errors import AudioError
from ser_core.system.spool import Spool

MAX_DURATION_S = 600.0
MIN_DURATION_S = 0.1
MAX_BYTES = 200 * 2**20
MAX_CHANNELS = 8

_BLOCK = 1 << 16
_HEAD = 1 << 16
_TAIL = 1 << 17
_GRACE_S = 0.5
"""What a limit on the length forgives: codecs pad, and "10 minutes" is seldom exact."""
_LARGEST_SAMPLE = 2.0**32
"""Beyond this a float sample is nonsense; up to it, it may be an integer scale kept in floats."""
_LARGEST_OVERSHOOT = 8.0
_KINDS = "WAV, FLAC, OGG, Opus, MP3, AIFF, M4A, AAC, WebM, WMA, AMR or 3GP"

# libsndfile's other formats have so weak a signature that random bytes pass for them.
_SNDFILE = {
    "WAV": "WAV",
    "WAVEX": "WAV",
    "RF64": "WAV",
    "W64": "W64",
    "AIFF": "AIFF",
    "AU": "AU",
    "CAF": "CAF",
    "FLAC": "FLAC",
    "OGG": "OGG",
    "MP3": "MP3",
    "NIST": "NIST",
    "VOC": "VOC",
}

# How a file begins, FFmpeg's name of the format, ours. The format is never left to FFmpeg's guess: its list holds playlists,
# which open other files, and formats that random bytes pass for.
_FFMPEG = (
    (rb"....ftyp3g", "mov", "3GP"),
    (rb"....ftypqt", "mov", "QuickTime"),
    (rb"....(ftyp|moov|mdat|free|skip|wide)", "mov", "MP4"),
    (rb"\x1a\x45\xdf\xa3.{0,64}webm", "matroska", "WebM"),
    (rb"\x1a\x45\xdf\xa3", "matroska", "Matroska"),
    (rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf", "WMA"),
    (rb"#!AMR", "amr", "AMR"),
    (rb"RIFF....AVI ", "avi", "AVI"),
    (rb"(RIFF|RF64)....WAVE", "wav", "WAV"),
    (rb"FORM....AIF", "aiff", "AIFF"),
    (rb"caff", "caf", "CAF"),
    (rb"OggS", "ogg", "OGG"),
    (rb"fLaC", "flac", "FLAC"),
    (rb"FLV\x01", "flv", "FLV"),
    (rb"wvpk", "wv", "WavPack"),
    (rb"TTA1", "tta", "TTA"),
    (rb"\x0b\x77", "ac3", "AC3"),
    (rb"\x47.{187}\x47", "mpegts", "MPEG-TS"),
    (rb"\xff[\xf0\xf1\xf8\xf9]", "aac", "AAC"),
    (rb"ID3|\xff[\xe0-\xff]", "mp3", "MP3"),
)
_UNTIMED = {"AMR", "AAC", "MP3", "AC3"}
"""Streams without a header: FFmpeg guesses their length from the bit rate, so that length promises nothing."""

_MAGIC = (
    (rb"PK\x03\x04", "a zip archive"),
    (rb"\x1f\x8b|7z\xbc\xaf|Rar!", "a compressed archive"),
    (rb"%PDF", "a PDF document"),
    (rb"\x89PNG|\xff\xd8\xff[\xc0-\xfe]|GIF8|RIFF....WEBP|....ftyp(heic|heix|mif1|avif)", "a picture"),
    (rb"MThd", "a MIDI file (notes, no sound)"),
    (rb"\x7fELF|MZ.\x00", "a program"),
)

# FFmpeg's errors, as PyAV raises them: its own, and many of Python's.
_AV_ERRORS = (
    av.FFmpegError,
    OSError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    RuntimeError,
    ArithmeticError,
    AssertionError,
)
_SNDFILE_ERRORS = (soundfile.SoundFileError, ValueError, TypeError, OverflowError)


class TooLongError(AudioError):
    """The file says, or shows, that it is longer than was asked for."""


@dataclass(frozen=True)
class Clip:
    """A decoded file: its waveform, and what the file was. truncated: it ends before its header says it does."""

    waveform: Waveform
    container: str
    source_rate: int
    source_channels: int
    truncated: bool = False


@dataclass(frozen=True)
class Stream:
    """A file to be read piece by piece: what it is, its length in seconds at `sample_rate` Hz, and what reads it.

    blocks() starts at the beginning at each call, and yields float32 (n,) with n > 0; all of them together are the samples that
    `decode` gives.
    """

    container: str
    source_rate: int
    source_channels: int
    sample_rate: int
    duration_s: float
    truncated: bool
    blocks: Callable[[], Iterator[np.ndarray]]


def decode(
    source: bytes | str | os.PathLike[str] | BinaryIO | Spool,
    *,
    sample_rate: int = SAMPLE_RATE,
    max_duration_s: float = MAX_DURATION_S,
    name: str = "The file",
) -> Clip:
    """Return the sound of a file as one channel at `sample_rate` Hz.

    Parameters
    ----------
    source
        The bytes, a path, a file object opened for reading bytes, or a spool. Its content decides what it is, not its name.
    name
        What error sentences call it.

    Raises
    ------
    AudioError
        With a sentence that says why the file is not usable and what to do; a TooLongError where it is longer than max_duration_s, of
        which no more than that is read.

    Notes
    -----
    Channels are averaged; where they cancel out (mean power under 1 % of theirs), the loudest one is taken. Float samples
    up to 8 times full scale are clipped to it; larger ones are an integer scale and are divided by their peak. A file that
    ends too early gives what is there, and says so in `truncated`. Thread-safe: nothing is shared and nothing is written.
    """
    _check_target(sample_rate)
    file = _Bytes(_read(source, name, max_duration_s))
    _refuse_other_kinds(file, name)
    tally = _Tally()
    try:
        header, blocks = _open(file, name, max_duration_s)
        counted = _counted(blocks, tally, header, name, max_duration_s)
        samples = np.concatenate([np.zeros(0, np.float32), *_mix(counted, header, sample_rate)])
        if (channel := tally.loudest_of_cancelled()) is not None:
            samples = np.concatenate(
                list(_mix(_open(file, name, max_duration_s)[1], header, sample_rate, channel=channel))
            )
    except MemoryError:
        raise AudioError(f"{name} needs more memory than there is. Cut it into shorter pieces.") from None
    _check_length(header, tally, name)
    waveform = Waveform(_level(samples, tally), sample_rate)
    return Clip(waveform, header.container, header.rate, header.channels, _is_truncated(header, tally))


def stream(
    source: bytes | str | os.PathLike[str] | BinaryIO | Spool,
    *,
    sample_rate: int = SAMPLE_RATE,
    max_duration_s: float = MAX_DURATION_S,
    name: str = "The file",
    check_stop: Callable[[], None] = lambda: None,
) -> Stream:
    """Return the sound of a file to be read in blocks, each at most some seconds long: the samples are those of `decode`.

    The file is read through once first, because its loudest sample and its channels decide how it is mixed. check_stop is
    called after each block of that, and may raise. A path or a spool is read from the disk as it is needed; what is behind a path must
    stay as it is meanwhile.

    Raises
    ------
    AudioError : as `decode` does.
    """
    _check_target(sample_rate)
    file = _held(source, name, max_duration_s)
    _refuse_other_kinds(file, name)
    tally = _Tally()
    header, blocks = _open(file, name, max_duration_s)
    for _ in _counted(blocks, tally, header, name, max_duration_s):
        check_stop()
    _check_length(header, tally, name)
    channel = tally.loudest_of_cancelled()

    def read() -> Iterator[np.ndarray]:
        for block in _mix(_open(file, name, max_duration_s)[1], header, sample_rate, channel=channel):
            if len(block):
                yield _level(block, tally)

    return Stream(
        header.container,
        header.rate,
        header.channels,
        sample_rate,
        tally.n_read / header.rate,
        _is_truncated(header, tally),
        read,
    )


def declared_duration(
    source: bytes | str | os.PathLike[str] | BinaryIO | Spool,
    *,
    max_duration_s: float = MAX_DURATION_S,
    name: str = "The file",
) -> float | None:
    """Return how long a file says it is, in seconds, None where it does not say; no sound is decoded for that, and it may not be true.

    Takes milliseconds. max_duration_s sets how many bytes it may have, as for `stream`; longer it may say to be.

    Raises
    ------
    AudioError : where it is not a recording, as `decode` says too.
    """
    file = _held(source, name, max_duration_s)
    _refuse_other_kinds(file, name)
    opened = _open_sndfile(file)
    duration_s = _sndfile_duration(opened) if opened else _open_container(file, name).duration_s
    return duration_s if duration_s is not None and 0 < duration_s < float("inf") else None


@dataclass(frozen=True)
class _Header:
    """What a file says of itself. duration_s: None where it does not say; is_cut: the file is shorter than it says."""

    container: str
    rate: int
    channels: int
    duration_s: float | None
    is_cut: bool = False


@dataclass
class _Tally:
    """What was seen of a source: samples read, largest magnitude, and the channels' products, summed (channels, channels)."""

    n_read: int = 0
    peak: float = 0.0
    products: np.ndarray | None = None

    def loudest_of_cancelled(self) -> int | None:
        """Return the loudest channel where the mean of all has less than 1 % of their power, else None."""
        if self.products is None:
            return None
        power = self.products.diagonal()
        return int(power.argmax()) if self.products.mean() < 0.01 * power.mean() else None


class _Forgiving:
    """A file whose seek to before its start, which damaged headers ask for, stays put: soundfile prints a traceback for an error."""

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return int(super().seek(offset, whence))  # type: ignore[misc]
        except (OSError, ValueError, OverflowError):
            return int(self.tell())  # type: ignore[attr-defined]


class _Source(_Forgiving, io.BytesIO):
    """Bytes in memory."""


class _DiskSource(_Forgiving, io.BufferedReader):
    """A file on the disk."""


class _Bytes:
    """The bytes of a file, to be opened as often as it is read: here in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def open(self) -> BinaryIO:
        """Return a new file object at the start."""
        return _Source(self._data)

    def part(self, start: int, size: int) -> bytes:
        """Return some bytes."""
        return self._data[max(start, 0) : max(start, 0) + size]


class _OnDisk(_Bytes):
    """The bytes of a file, read from the disk as they are needed."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self.size = size

    def open(self) -> BinaryIO:
        return _DiskSource(io.FileIO(self._path))

    def part(self, start: int, size: int) -> bytes:
        with self.open() as file:
            file.seek(max(start, 0))
            return file.read(size)


class _Spooled(_OnDisk):
    """The bytes of a spool, read as they are needed."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self.size = spool.size

    def open(self) -> BinaryIO:
        return _DiskSource(self._spool.open())


def _counted(
    blocks: Iterator[np.ndarray], tally: _Tally, header: _Header, name: str, max_duration_s: float
) -> Iterator[np.ndarray]:
    """Yield blocks as they are, float (n, channels), once they are checked and counted; raise AudioError where they are not sound."""
    for block in blocks:
        tally.n_read += len(block)
        if tally.n_read > (max_duration_s + _GRACE_S) * header.rate:
            raise _too_long(name, "goes on", max_duration_s)
        tally.peak = max(tally.peak, _peak(block, name))
        single = block.astype(np.float32, copy=False)
        products = (single.T @ single).astype(np.float64)
        tally.products = products if tally.products is None else tally.products + products
        yield block


def _mix(
    blocks: Iterator[np.ndarray], header: _Header, sample_rate: int, *, channel: int | None = None
) -> Iterator[np.ndarray]:
    """Yield blocks of one channel, float32 (n,), resampled as they come: the mean of all channels, or the one asked for."""
    weights = np.full(header.channels, 1 / header.channels, np.float32)
    if channel is not None:
        weights = np.eye(header.channels, dtype=np.float32)[channel]
    resampler = Resampler(header.rate, sample_rate)
    n_read = 0
    for block in blocks:
        n_read += len(block)
        block = block.astype(np.float32, copy=False)
        yield resampler.push(block @ weights if header.channels > 1 else block[:, 0])
    if n_read:
        yield resampler.push(np.zeros(0, np.float32), last=True)


def _check_length(header: _Header, tally: _Tally, name: str) -> None:
    duration_s = tally.n_read / header.rate
    if not tally.n_read:
        raise AudioError(f"{name} has a header but no sound in it. It may be half-downloaded: get it again.")
    if duration_s < MIN_DURATION_S - 0.5 / header.rate:
        raise AudioError(
            f"{name} is {duration_s:.3f} s long; {MIN_DURATION_S} s is the least. Record a whole sentence."
        )


def _level(samples: np.ndarray, tally: _Tally) -> np.ndarray:
    """Return samples within +-1: clipped, or divided by the peak where that is an integer scale's."""
    if tally.peak > _LARGEST_OVERSHOOT:
        samples = samples / np.float32(tally.peak)
    clipped: np.ndarray = np.clip(samples, -1.0, 1.0)
    return clipped


def _is_truncated(header: _Header, tally: _Tally) -> bool:
    return header.is_cut or (
        header.duration_s is not None and tally.n_read / header.rate < 0.98 * header.duration_s - 0.1
    )


def _peak(block: np.ndarray, name: str) -> float:
    """Return the largest magnitude in a block that is not empty; raises AudioError where it is not sound."""
    peak = float(np.maximum(block.max(), -block.min()))
    if not np.isfinite(peak):
        kind = "NaN (not a number)" if np.isnan(peak) else "infinite"
        raise AudioError(f"{name} holds samples that are {kind}: it is damaged. Export it again as 16-bit WAV.")
    if peak > _LARGEST_SAMPLE:
        raise AudioError(
            f"{name} holds samples of {peak:.1e} times full scale: it is damaged. Export it again as 16-bit WAV."
        )
    return peak


def _check(header: _Header, name: str, max_duration_s: float) -> None:
    """Refuse what the header says, before any sample is read."""
    if not MIN_RATE <= header.rate <= MAX_RATE:
        raise AudioError(
            f"{name} has a sample rate of {header.rate} Hz; {MIN_RATE} to {MAX_RATE} Hz can be used. Save it with 44100 Hz."
        )
    if not 1 <= header.channels <= MAX_CHANNELS:
        raise AudioError(
            f"{name} has {header.channels} channels; 1 to {MAX_CHANNELS} can be used. Save it as a mono or stereo file."
        )
    if header.duration_s is not None and header.duration_s > max_duration_s + _GRACE_S:
        raise _too_long(name, f"is {_clock(header.duration_s)} long", max_duration_s)


def _too_long(name: str, how: str, max_duration_s: float) -> TooLongError:
    return TooLongError(f"{name} {how}; the limit here is {_clock(max_duration_s)}. Cut it into shorter pieces.")


def _read(source: bytes | str | os.PathLike[str] | BinaryIO | Spool, name: str, max_duration_s: float) -> bytes:
    """Return all bytes of a source; raises AudioError where it has too many, or none."""
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        size = _size_on_disk(path, name, max_duration_s)
        with _clear_errors(name):
            return path.read_bytes() if size else b""
    if isinstance(source, Spool):
        _check_size(source.size, name, max_duration_s)
        return source.read()
    data = bytes(
        source if isinstance(source, bytes | bytearray | memoryview) else source.read(_most_bytes(max_duration_s) + 1)
    )
    _check_size(len(data), name, max_duration_s)
    return data


def _held(source: bytes | str | os.PathLike[str] | BinaryIO | Spool, name: str, max_duration_s: float) -> _Bytes:
    """Return what a source is read from piece by piece; raises AudioError where it has too many bytes, or none."""
    if isinstance(source, str | os.PathLike):
        return _OnDisk(Path(source), _size_on_disk(Path(source), name, max_duration_s))
    if isinstance(source, Spool):
        _check_size(source.size, name, max_duration_s)
        return _Spooled(source)
    return _Bytes(_read(source, name, max_duration_s))


def _size_on_disk(path: Path, name: str, max_duration_s: float) -> int:
    """Return how many bytes a file has; raises AudioError where it is none that can be read."""
    with _clear_errors(name):
        if path.is_dir():
            raise AudioError(f"{name} is a folder. Name the sound files in it, such as {path.name}/*.wav.")
        if path.exists() and not path.is_file():
            raise AudioError(f"{name} is not a regular file. Name a sound file.")
        with path.open("rb"):
            size = path.stat().st_size
    _check_size(size, name, max_duration_s)
    return size


@contextmanager
def _clear_errors(name: str) -> Iterator[None]:
    """Say in a sentence what the disk refuses."""
    try:
        yield
    except FileNotFoundError:
        raise AudioError(f"{name} does not exist. Check its name and folder.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise AudioError(f"{name} cannot be opened: {reason}. Check its name and its permissions.") from None


def _most_bytes(max_duration_s: float) -> int:
    """Return the largest size of a file; where more than 10 minutes are allowed, so are more bytes."""
    return int(MAX_BYTES * max(1.0, max_duration_s / MAX_DURATION_S))


def _check_size(size: int, name: str, max_duration_s: float) -> None:
    limit = _most_bytes(max_duration_s)
    if size > limit:
        raise AudioError(
            f"{name} has {size / 2**20:.0f} MB or more; the limit is {limit / 2**20:.0f} MB. Cut it or save it as FLAC."
        )
    if not size:
        raise AudioError(f"{name} is empty (0 bytes). Record or download it again.")


def _refuse_other_kinds(file: _Bytes, name: str) -> None:
    data = file.part(0, _HEAD)
    if data.startswith(b"version https://git-lfs"):
        raise AudioError(
            f"{name} is a Git LFS pointer, not the recording. Run 'git lfs pull' in its folder to get the sound."
        )
    for magic, kind in _MAGIC:
        if re.match(magic, data, re.DOTALL):
            raise AudioError(f"{name} is {kind}, not a recording. Choose a {_KINDS} file.")
    head = data[:2048]
    if not re.search(rb"[^\t\n\r\x0c\x1b\x20-\x7e\x80-\xff]", head) and _is_utf8(head):
        raise AudioError(f"{name} is text, not audio. Choose a {_KINDS} file.")


def _is_utf8(head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # forgives a character cut at the end of the head
    except UnicodeDecodeError:
        return False
    return True


def _open(data: _Bytes, name: str, max_duration_s: float) -> tuple[_Header, Iterator[np.ndarray]]:
    """Return a checked header and its blocks: float (n, channels), n > 0."""
    file = _open_sndfile(data)
    if file is None:
        return _open_av(data, name, max_duration_s)
    header = _Header(_SNDFILE[file.format], file.samplerate, file.channels, _sndfile_duration(file), _is_cut(data))
    _check(header, name, max_duration_s)
    return header, _sndfile_blocks(file)


def _open_sndfile(data: _Bytes) -> soundfile.SoundFile | None:
    """Return a file that libsndfile reads to its end; None of any other."""
    try:
        file = soundfile.SoundFile(data.open())
    except _SNDFILE_ERRORS:
        return None
    guesses_length = file.format == "MP3" and not _counts_its_frames(data)
    finds_no_end = file.format == "OGG" and not file.frames
    return None if file.format not in _SNDFILE or guesses_length or finds_no_end else file


def _sndfile_duration(file: soundfile.SoundFile) -> float | None:
    return file.frames / file.samplerate if 0 < file.frames < 2**60 and file.samplerate else None


def _counts_its_frames(file: _Bytes) -> bool:
    """True for an MP3 whose first frame holds the number of frames; libsndfile reads others to a length guessed from the bit rate."""
    data = file.part(0, 10)
    start = 10 + functools.reduce(lambda size, byte: size << 7 | byte, data[6:10]) if data[:3] == b"ID3" else 0
    return re.search(rb"Xing|Info|VBRI", file.part(start, 2048)) is not None


def _is_cut(file: _Bytes) -> bool:
    """True where the header promises more bytes than there are; a stream's unknown length (all ones, or 0) is no promise."""
    data = file.part(0, 24)
    if data[:4] == b"OggS":
        end = file.part(file.size - _TAIL, _TAIL)  # a page has 64 KiB at most
        last_page = end.rfind(b"OggS")
        return end[last_page + 5 : last_page + 6] < b"\x04"  # the flag "end of stream"
    if data[:4] == b"RIFF":
        promised = int.from_bytes(data[4:8], "little")
    elif data[:4] == b"FORM":
        promised = int.from_bytes(data[4:8], "big")
    elif data[:4] == b"riff":
        promised = int.from_bytes(data[16:24], "little")
    elif data[:4] == b".snd":
        promised = int.from_bytes(data[4:8], "big") + int.from_bytes(data[8:12], "big")
    else:
        return False
    return file.size + 64 < promised < 0x7FFF_0000  # some programs count their own header too


def _sndfile_blocks(file: soundfile.SoundFile) -> Iterator[np.ndarray]:
    dtype = "float64" if file.subtype == "DOUBLE" else "float32"
    while True:
        # NaN marks what a read that fails midway has not reached.
        block = np.full((_BLOCK, file.channels), np.nan, dtype)
        try:
            block = file.read(out=block)
            failed = False
        except _SNDFILE_ERRORS:
            block = block[: np.isnan(block).any(axis=1).argmax()]
            failed = True
        if len(block):
            yield block
        if failed or len(block) < _BLOCK:
            return


class _Container(NamedTuple):
    """A file that FFmpeg has opened: what we call it, its first sound, and how long it says it is."""

    title: str
    container: av.container.InputContainer
    stream: av.AudioStream
    duration_s: float | None


def _open_container(data: _Bytes, name: str) -> _Container:
    head = data.part(0, _HEAD)
    row = next((row for row in _FFMPEG if re.match(row[0], head, re.DOTALL)), None)
    if row is None:
        raise AudioError(f"{name} is not a recording that can be read. Choose a {_KINDS} file, or export it again.")
    _, kind, title = row
    try:
        options = {"codec_whitelist": _audio_codecs(), "protocol_whitelist": "none"}
        container = av.open(data.open(), "r", format=kind, options=options, metadata_errors="replace")
        streams, has_video = container.streams.audio, bool(container.streams.video)
    except _AV_ERRORS as error:
        raise AudioError(
            f"{name} begins like {title}, but the rest cannot be read: it is damaged or cut off. Get it again, or export it as WAV."
        ) from error
    if not streams:
        what = "a video without sound" if has_video else "a file without sound"
        raise AudioError(f"{name} is {what}. Choose a recording.")
    stream = streams[0]
    duration_s = None
    if title not in _UNTIMED:
        if stream.duration and stream.time_base:
            duration_s = float(stream.duration * stream.time_base)
        elif container.duration and not has_video:
            duration_s = container.duration / 1e6
    return _Container(title, container, stream, duration_s)


def _open_av(data: _Bytes, name: str, max_duration_s: float) -> tuple[_Header, Iterator[np.ndarray]]:
    title, container, stream, promised = _open_container(data, name)
    codec = stream.codec_context
    if codec is not None and codec.sample_rate and codec.layout.nb_channels:
        _check(_Header(title, codec.sample_rate, codec.layout.nb_channels, promised), name, max_duration_s)
    frames = _av_frames(container, stream)
    first = next(frames, None)
    if first is None:
        raise AudioError(f"{name} has a header but no sound in it. It may be half-downloaded: get it again.")
    header = _Header(title, first.sample_rate, first.layout.nb_channels, promised, _is_cut(data))
    _check(header, name, max_duration_s)
    return header, _av_blocks(first, frames, header, name)


@functools.cache
def _audio_codecs() -> str:
    """Names of FFmpeg's audio decoders; with this list, opening a file decodes no picture."""
    decoders = (decoder for decoder in map(_decoder, sorted(av.codecs_available)) if decoder is not None)
    return ",".join(decoder.name for decoder in decoders if decoder.type == "audio")


def _decoder(name: str) -> av.Codec | None:
    try:
        return av.Codec(name, "r")
    except ValueError:  # an encoder only
        return None


def _av_frames(container: av.container.InputContainer, stream: av.AudioStream) -> Iterator[av.AudioFrame]:
    """Yield the frames that can be decoded: damaged packets are left out, a damaged container ends the stream."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except _AV_ERRORS:
            return
        if packet is None:
            return
        try:
            frames = packet.decode()
        except _AV_ERRORS:
            continue
        yield from (frame for frame in frames if frame.samples)


def _av_blocks(
    first: av.AudioFrame, frames: Iterator[av.AudioFrame], header: _Header, name: str
) -> Iterator[np.ndarray]:
    parts, n = [_to_float(first, header.channels)], first.samples
    for frame in frames:
        if not 1 <= frame.layout.nb_channels <= MAX_CHANNELS:
            continue  # damage midway
        if frame.sample_rate != header.rate:
            raise AudioError(
                f"{name} changes its sample rate midway ({header.rate} Hz, then {frame.sample_rate} Hz). Export it as WAV."
            )
        parts.append(_to_float(frame, header.channels))
        n += frame.samples
        if n >= _BLOCK:
            yield np.concatenate(parts)
            parts, n = [], 0
    if parts:
        yield np.concatenate(parts)


_DTYPES: dict[str, type[np.number[Any]]] = {
    "u8": np.uint8,
    "s16": np.int16,
    "s32": np.int32,
    "s64": np.int64,
    "flt": np.float32,
    "dbl": np.float64,
}
"""FFmpeg's formats of samples; those of planes have a p behind."""


def _to_float(frame: av.AudioFrame, channels: int) -> np.ndarray:
    """Return a frame as float (n, channels), full scale at +-1; a stream that changes its channels midway keeps the first number."""
    # Not frame.to_ndarray: with 8 channels or more it reads planes that are not there, and the process dies.
    dtype, n = _DTYPES[frame.format.name.removesuffix("p")], frame.layout.nb_channels
    planes: Sequence[Any] = frame.planes  # PyAV's types do not say that they are buffers
    if frame.format.is_planar:
        samples = np.stack([np.frombuffer(plane, dtype, frame.samples) for plane in planes[:n]], axis=1)
    else:
        samples = np.frombuffer(planes[0], dtype, frame.samples * n).reshape(-1, n)
    if samples.dtype.kind == "u":
        samples = (samples - np.float32(128)) / np.float32(128)
    elif samples.dtype.kind == "i":
        samples = samples * np.float32(2.0 ** (1 - 8 * samples.dtype.itemsize))
    if samples.shape[1] != channels:
        samples = np.repeat(samples.mean(axis=1, keepdims=True), channels, axis=1)
    return samples


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes and rest else f"{minutes} min" if minutes else f"{rest} s"
