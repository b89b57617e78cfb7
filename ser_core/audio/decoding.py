"""From bytes to a waveform: decoding by content, limits that a hostile file meets before its samples do, resampling.

soundfile (libsndfile) reads first, PyAV (FFmpeg) the rest; what a file holds by its headers, headers.py finds out, and which of its
channels is used, channels.py. Samples are read in blocks, mixed to one channel and resampled as they come, so memory follows the length
of the result and not what a header promises; `stream` hands out the blocks themselves, so that an hour takes no more memory than a
minute. Decoding writes nothing to disk; what is kept there while it is heard is audio/recording.py's tape.
"""

from __future__ import annotations

import codecs
import contextlib
import functools
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import av
import numpy as np
import soundfile

from ser_core.audio import channels, formats, headers
from ser_core.audio.sources import OnDisk, Source, Spooled
from ser_core.audio.waveform import MAX_RATE, MIN_RATE, SAMPLE_RATE, Resampler, Waveform, _check_target
from ser_core.errors import AudioError
from ser_core.system.spool import Spool

MAX_DURATION_S = 600.0
MIN_DURATION_S = 0.1
MAX_BYTES = 200 * 2**20
MAX_CHANNELS = 8

_BLOCK = 1 << 16
_HEAD = 1 << 16
TRUNCATED = "The file ends before it says it does: only what is there was used."

_GRACE_S = 0.5
"""What a limit on the length forgives: codecs pad, and "10 minutes" is seldom exact."""
_LARGEST_SAMPLE = 2.0**32
"""Beyond this a float sample is nonsense; up to it, it may be an integer scale kept in floats."""
_LARGEST_OVERSHOOT = 8.0
_KINDS = "WAV, FLAC, OGG, Opus, MP3, AIFF, M4A, AAC, WebM, WMA, AMR or 3GP"

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
    """A decoded file: its waveform, and what the file was. truncated: it ends before its header says it does, or is not read whole.

    channel : what of its channels is used: "mean", or one of channels.names. choices: what may be chosen, where the channels differ.
    track : the sound track that is used, from 1 on, of `tracks`. remarks: sentences on what is used, mended or left out.
    """

    waveform: Waveform
    container: str
    source_rate: int
    source_channels: int
    truncated: bool = False
    channel: str = channels.MEAN
    choices: tuple[str, ...] = ()
    track: int = 1
    tracks: int = 1
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stream:
    """A file to be read piece by piece: what it is, its length in seconds at `sample_rate` Hz, and what reads it.

    blocks() starts at the beginning at each call, and yields float32 (n,) with n > 0; all of them together are the samples that
    `decode` gives. The other facts are those of a Clip.
    """

    container: str
    source_rate: int
    source_channels: int
    sample_rate: int
    duration_s: float
    truncated: bool
    blocks: Callable[[], Iterator[np.ndarray]]
    channel: str = channels.MEAN
    choices: tuple[str, ...] = ()
    track: int = 1
    tracks: int = 1
    remarks: tuple[str, ...] = ()


def decode(
    source: bytes | str | os.PathLike[str] | BinaryIO | Spool,
    *,
    sample_rate: int = SAMPLE_RATE,
    max_duration_s: float = MAX_DURATION_S,
    name: str = "The file",
    channel: str | None = None,
    track: int | None = None,
) -> Clip:
    """Return the sound of a file as one channel at `sample_rate` Hz.

    Parameters
    ----------
    source
        The bytes, a path, a file object opened for reading bytes, or a spool. Its content decides what it is, not its name.
    name
        What error sentences call it.
    channel
        Which channel is used: one of channels.names, or a number from 1 on; None: what channels.py finds best.
    track
        Which sound track is used, from 1 on; None: the first with speech.

    Raises
    ------
    AudioError
        With a sentence that says why the file is not usable and what to do; a TooLongError where it is longer than max_duration_s, of
        which no more than that is read.

    Notes
    -----
    Channels that agree are averaged; of others the one, or the difference, in which speech is best is taken. Of several sound tracks
    the first with speech is read; recordings one after another are read as one. Float samples up to 8 times full scale are clipped to
    it; larger ones are an integer scale and are divided by their peak. A file that ends too early gives what is there, and says so in
    `truncated`. Thread-safe: nothing is shared and nothing is written.
    """
    _check_target(sample_rate)
    file = Source(_read(source, name, max_duration_s))
    _refuse_other_kinds(file, name)
    try:
        recording = _recording(file, name, max_duration_s, sample_rate, track)
        found = _first_pass(recording, channel, sample_rate)
        samples = np.concatenate([np.zeros(0, np.float32), *found.blocks])
    except MemoryError:
        raise AudioError(f"{name} needs more memory than there is. Cut it into shorter pieces.") from None
    waveform = Waveform(_level(samples, found.tally), sample_rate)
    header, choice, recording = found.header, found.choice, found.recording
    return Clip(
        waveform,
        header.container,
        header.rate,
        header.channels,
        found.is_truncated,
        choice.name,
        channels.names(header.channels) if choice.differs else (),
        recording.track + 1,
        max(recording.tracks, 1),
        found.remarks,
    )


def stream(
    source: bytes | str | os.PathLike[str] | BinaryIO | Spool,
    *,
    sample_rate: int = SAMPLE_RATE,
    max_duration_s: float = MAX_DURATION_S,
    name: str = "The file",
    channel: str | None = None,
    track: int | None = None,
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
    found = _first_pass(_recording(file, name, max_duration_s, sample_rate, track), channel, None, check_stop)
    header, tally, choice, recording = found.header, found.tally, found.choice, found.recording

    def read() -> Iterator[np.ndarray]:
        for block in _mix(_open(recording)[1], header, sample_rate, weights=choice.weights):
            if len(block):
                yield _level(block, tally)

    return Stream(
        header.container,
        header.rate,
        header.channels,
        sample_rate,
        tally.n_read / header.rate,
        found.is_truncated,
        read,
        choice.name,
        channels.names(header.channels) if choice.differs else (),
        recording.track + 1,
        max(recording.tracks, 1),
        found.remarks,
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
    durations = [_declared(part, name) for part in headers.read_layout(file).parts]
    duration_s = sum(each for each in durations if each is not None)
    return duration_s if None not in durations and 0 < duration_s < float("inf") else None


def _declared(part: headers.Part, name: str) -> float | None:
    opened = None if part.by_ffmpeg else _open_sndfile(part.source)
    return _sndfile_duration(opened) if opened else _open_container(part.source, name).duration_s


@dataclass(frozen=True)
class _Header:
    """What a file says of itself. duration_s: None where it does not say; bass: its channels that never count for the mean.

    spare_bits: how many bits of a sample may be unused at its upper end, of `bits`.
    """

    container: str
    rate: int
    channels: int
    duration_s: float | None
    bass: frozenset[int] = frozenset()
    bits: int = 0
    spare_bits: int = 0


@dataclass
class _Recording:
    """A file to be read: what is in it, which of its sound tracks, and what went wrong when it was read last.

    chosen_track : the one that was asked for, None where the first with speech is to be found.
    """

    layout: headers.Layout
    name: str
    max_duration_s: float
    by_ffmpeg: bool = False
    chosen_track: int | None = None
    track: int = 0
    tracks: int = 0
    track_remark: str = ""
    failed: bool = False
    unread: int = 0


@dataclass
class _Tally:
    """What was seen of a source: samples read, largest magnitude, and the channels' products, summed (channels, channels).

    lower_bits: whether the lowest bits, which a sample that fills the upper ones leaves at 0, are in use.
    """

    n_read: int = 0
    peak: float = 0.0
    products: np.ndarray | None = None
    lower_bits: bool = False
    gain: float = 1.0


@dataclass
class _Found:
    """A file read once: blocks float32 (n,) of the channel that is used, where they were asked for."""

    recording: _Recording
    header: _Header
    tally: _Tally
    choice: channels.Choice
    blocks: list[np.ndarray] = field(default_factory=list)

    @property
    def is_truncated(self) -> bool:
        """Whether sound is missing that the file says it has, or not all of it is read."""
        return self._ends_early or self.recording.layout.is_partly_read or self.recording.unread > 0

    @property
    def _ends_early(self) -> bool:
        layout, duration_s = self.recording.layout, self.header.duration_s
        if layout.is_cut:
            return True
        if duration_s is None or len(layout.parts) > 1:
            return False
        # Where no byte is missing, the length in the header is what is wrong, unless it is far off; a FLAC counts its samples.
        share, slack_s = (0.98, 0.1) if layout.is_cut is None else (0.75, 0.5)
        if self.header.container == "FLAC":
            share, slack_s = 1.0, 0.01
        return self.tally.n_read / self.header.rate < share * duration_s - slack_s

    @property
    def remarks(self) -> tuple[str, ...]:
        """Sentences on what is used, mended or left out."""
        recording, n = self.recording, len(self.recording.layout.parts) - self.recording.unread
        joined = f"It holds {n} recordings one after another: they were read as one." if n > 1 else ""
        unread = f"Of its {n + recording.unread} recordings {n} could be read." if recording.unread else ""
        cut = TRUNCATED if self._ends_early else ""
        raised = ""
        if self.tally.gain > 1:
            used = self.header.bits - self.header.spare_bits
            raised = (
                f"Its samples fill the lower {used} of {self.header.bits} bits only: they were raised to full scale."
            )
        sentences = (cut, *recording.layout.remarks, joined, unread, recording.track_remark, self.choice.remark, raised)
        return tuple(each for each in sentences if each)


def _recording(file: Source, name: str, max_duration_s: float, sample_rate: int, track: int | None) -> _Recording:
    layout = headers.read_layout(file)
    by_ffmpeg = 0 < layout.opus_hz < sample_rate
    return _Recording(layout, name, max_duration_s, by_ffmpeg=by_ffmpeg, chosen_track=track)


def _first_pass(
    recording: _Recording,
    channel: str | None,
    sample_rate: int | None,
    check_stop: Callable[[], None] = lambda: None,
) -> _Found:
    """Read a file through, with another decoder where the first one fails midway, and return it with the channel that is used."""
    found = _read_through(recording, channel, sample_rate, check_stop)
    if found.recording.failed and not recording.by_ffmpeg:
        with contextlib.suppress(AudioError):
            again = replace(recording, by_ffmpeg=True, failed=False, unread=0)
            other = _read_through(again, channel, sample_rate, check_stop)
            found = other if other.tally.n_read > found.tally.n_read else found
    header, tally = found.header, found.tally
    _check_length(header, tally, recording.name)
    if header.spare_bits and tally.lower_bits and 0 < tally.peak <= 2.0**-header.spare_bits:
        tally.gain = 2.0**header.spare_bits
    if channel is None:
        before = found.choice
        choice = channels.without_a_look(tally.products, header.channels, skip=header.bass)
        if choice is None:
            assert tally.products is not None
            choice = _best_channel(found.recording, header, tally.products, check_stop)
        found.choice = choice
        if sample_rate is not None and not np.array_equal(before.weights, found.choice.weights):
            blocks = _open(found.recording)[1]
            found.blocks = list(_mix(blocks, header, sample_rate, weights=found.choice.weights))
    return found


def _read_through(
    recording: _Recording, channel: str | None, sample_rate: int | None, check_stop: Callable[[], None]
) -> _Found:
    tally = _Tally()
    header, blocks = _open(recording)
    choice = channels.chosen(channel or channels.MEAN, header.channels, skip=header.bass, name=recording.name)
    counted = _counted(blocks, tally, header, recording.name, recording.max_duration_s)
    found = _Found(recording, header, tally, choice)
    if sample_rate is None:
        for _ in counted:
            check_stop()
    else:
        found.blocks = list(_mix(counted, header, sample_rate, weights=choice.weights))
    return found


def _best_channel(
    recording: _Recording, header: _Header, products: np.ndarray, check_stop: Callable[[], None]
) -> channels.Choice:
    listener = channels.Listener(header.rate, header.channels, skip=header.bass)
    for block in _open(recording)[1]:
        check_stop()
        listener.push(block)
    return listener.choose(products)


def _counted(
    blocks: Iterator[np.ndarray], tally: _Tally, header: _Header, name: str, max_duration_s: float
) -> Iterator[np.ndarray]:
    """Yield blocks as they are, float (n, channels), once they are checked and counted; raise AudioError where they are not sound."""
    for block in blocks:
        tally.n_read += len(block)
        if tally.n_read > (max_duration_s + _GRACE_S) * header.rate:
            raise _too_long(name, "goes on", max_duration_s)
        tally.peak = max(tally.peak, _peak(block, name))
        if header.spare_bits and not tally.lower_bits and tally.peak <= 2.0**-header.spare_bits:
            whole = block.astype(np.float64) * 2.0 ** (header.bits - 1)
            tally.lower_bits = bool((whole % 2.0**header.spare_bits).any())
        single = block.astype(np.float32, copy=False)
        products = (single.T @ single).astype(np.float64)
        tally.products = products if tally.products is None else tally.products + products
        yield block


def _mix(
    blocks: Iterator[np.ndarray], header: _Header, sample_rate: int, *, weights: np.ndarray
) -> Iterator[np.ndarray]:
    """Yield blocks of one channel, float32 (n,), resampled as they come: the sum of the channels by their weights (channels,)."""
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
    """Return samples within +-1: clipped, or divided by the peak where that is an integer scale's, or raised where bits are unused."""
    if tally.gain > 1:
        samples = samples * np.float32(tally.gain)
    if tally.peak > _LARGEST_OVERSHOOT:
        samples = samples / np.float32(tally.peak)
    clipped: np.ndarray = np.clip(samples, -1.0, 1.0)
    return clipped


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


def _held(source: bytes | str | os.PathLike[str] | BinaryIO | Spool, name: str, max_duration_s: float) -> Source:
    """Return what a source is read from piece by piece; raises AudioError where it has too many bytes, or none."""
    if isinstance(source, str | os.PathLike):
        return OnDisk(Path(source), _size_on_disk(Path(source), name, max_duration_s))
    if isinstance(source, Spool):
        _check_size(source.size, name, max_duration_s)
        return Spooled(source)
    return Source(_read(source, name, max_duration_s))


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


def _refuse_other_kinds(file: Source, name: str) -> None:
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


def _open(recording: _Recording) -> tuple[_Header, Iterator[np.ndarray]]:
    """Return the checked header of a file's first recording, and the blocks of all of them: float (n, channels), n > 0."""
    recording.unread = 0
    parts = recording.layout.parts
    header, blocks = _open_part(parts[0], recording)
    return header, _all_blocks(header, blocks, recording) if len(parts) > 1 else blocks


def _all_blocks(header: _Header, blocks: Iterator[np.ndarray], recording: _Recording) -> Iterator[np.ndarray]:
    """Yield the blocks of recordings one after another, at the rate and with the channels of the first."""
    yield from blocks
    for part in recording.layout.parts[1:]:
        try:
            other, more = _open_part(part, recording)
        except TooLongError:
            raise
        except AudioError:
            recording.unread += 1
            continue
        resampler = Resampler(other.rate, header.rate, channels=header.channels)
        for block in more:
            yield from _filled(resampler.push(_with_channels(block, header.channels)))
        yield from _filled(resampler.push(np.zeros((0, header.channels), np.float32), last=True))


def _filled(block: np.ndarray) -> tuple[np.ndarray, ...]:
    return (block,) if len(block) else ()


def _with_channels(block: np.ndarray, n_channels: int) -> np.ndarray:
    """Return a block float32 (n, channels) with another number of channels, all of them the mean of its own, or as it is."""
    block = block.astype(np.float32, copy=False)
    if block.shape[1] == n_channels:
        return block
    return np.repeat(block.mean(axis=1, keepdims=True), n_channels, axis=1)


def _open_part(part: headers.Part, recording: _Recording) -> tuple[_Header, Iterator[np.ndarray]]:
    name, max_duration_s = recording.name, recording.max_duration_s
    file = None if part.by_ffmpeg or recording.by_ffmpeg else _open_sndfile(part.source)
    # FFmpeg says which channels are which.
    if file is None or (2 < file.channels <= MAX_CHANNELS and _row(part.source) is not None):
        return _open_av(part.source, recording)
    _check_track(1, recording)
    bits = {"PCM_16": 16, "PCM_24": 24, "PCM_32": 32}.get(file.subtype, 0)
    layout = recording.layout
    spare_bits = bits - layout.valid_bits if 0 < layout.valid_bits < bits == layout.bits else 8 * (bits == 32)
    bass = frozenset({3}) if file.channels in (6, 7, 8) else frozenset[int]()
    header = _Header(
        formats.SNDFILE[file.format],
        file.samplerate,
        file.channels,
        _sndfile_duration(file),
        bass,
        bits,
        spare_bits,
    )
    _check(header, name, max_duration_s)
    return header, _sndfile_blocks(file, recording)


def _open_sndfile(data: Source) -> soundfile.SoundFile | None:
    """Return a file that libsndfile reads to its end; None of any other."""
    try:
        file = soundfile.SoundFile(data.open())
    except _SNDFILE_ERRORS:
        return None
    guesses_length = file.format == "MP3" and not _counts_its_frames(data)
    finds_no_end = file.format == "OGG" and not file.frames
    return None if file.format not in formats.SNDFILE or guesses_length or finds_no_end else file


def _sndfile_duration(file: soundfile.SoundFile) -> float | None:
    return file.frames / file.samplerate if 0 < file.frames < 2**60 and file.samplerate else None


def _counts_its_frames(file: Source) -> bool:
    """True for an MP3 whose first frame holds the number of frames; libsndfile reads others to a length guessed from the bit rate."""
    data = file.part(0, 10)
    start = 10 + functools.reduce(lambda size, byte: size << 7 | byte, data[6:10]) if data[:3] == b"ID3" else 0
    return re.search(rb"Xing|Info|VBRI", file.part(start, 2048)) is not None


def _sndfile_blocks(file: soundfile.SoundFile, recording: _Recording) -> Iterator[np.ndarray]:
    """Yield what libsndfile reads; where it fails midway, note that."""
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
        recording.failed = recording.failed or failed
        if len(block):
            yield block
        if failed or len(block) < _BLOCK:
            return


class _Container(NamedTuple):
    """A file that FFmpeg has opened: what we call it, one of its sound tracks, how long that says it is, and how many there are."""

    title: str
    container: av.container.InputContainer
    stream: av.AudioStream
    duration_s: float | None
    tracks: int


def _row(data: Source) -> tuple[bytes, str, str] | None:
    """Return what FFmpeg and we call a file that begins like this one, None where FFmpeg is not to read it."""
    head = data.part(0, _HEAD)
    return next((row for row in formats.FFMPEG if re.match(row[0], head, re.DOTALL)), None)


def _open_container(data: Source, name: str, track: int = 0) -> _Container:
    row = _row(data)
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
    stream = streams[min(track, len(streams) - 1)]
    duration_s = None
    if title not in _UNTIMED:
        if stream.duration and stream.time_base:
            duration_s = float(stream.duration * stream.time_base)
        elif container.duration and not has_video:
            duration_s = container.duration / 1e6
    return _Container(title, container, stream, duration_s, len(streams))


def _open_av(data: Source, recording: _Recording) -> tuple[_Header, Iterator[np.ndarray]]:
    opened = _open_container(data, recording.name, recording.track)
    if not recording.tracks:
        _check_track(opened.tracks, recording)
        recording.tracks = opened.tracks
        if opened.tracks > 1:
            recording.track, recording.track_remark = _chosen_track(recording) or _best_track(data, recording)
            opened = _open_container(data, recording.name, recording.track)
    return _open_track(opened, recording)


def _check_track(n_tracks: int, recording: _Recording) -> None:
    """Raise AudioError where a sound track was asked for that is not there."""
    track = recording.chosen_track
    if track is not None and not recording.tracks and not 1 <= track <= n_tracks:
        what = f"{n_tracks} sound tracks" if n_tracks > 1 else "one sound track"
        raise AudioError(
            f"{recording.name} has {what}, and no track {track}. Choose 1{f' to {n_tracks}' * (n_tracks > 1)}."
        )


def _chosen_track(recording: _Recording) -> tuple[int, str] | None:
    track = recording.chosen_track
    return (track - 1, f"Sound track {track} of {recording.tracks} was used, as chosen.") if track is not None else None


def _open_track(opened: _Container, recording: _Recording) -> tuple[_Header, Iterator[np.ndarray]]:
    title, container, stream, promised, _ = opened
    name, max_duration_s = recording.name, recording.max_duration_s
    codec = stream.codec_context
    if codec is not None and codec.sample_rate and codec.layout.nb_channels:
        _check(_Header(title, codec.sample_rate, codec.layout.nb_channels, promised), name, max_duration_s)
    frames = _av_frames(container, stream)
    first = next(frames, None)
    if first is None:
        raise AudioError(f"{name} has a header but no sound in it. It may be half-downloaded: get it again.")
    header = _Header(title, first.sample_rate, first.layout.nb_channels, promised, _bass(first.layout))
    _check(header, name, max_duration_s)
    return header, _av_blocks(first, frames, header, name)


def _bass(layout: av.AudioLayout) -> frozenset[int]:
    """Return which channels carry bass effects only (LFE); where a file of 6 to 8 channels does not say, the fourth."""
    if layout.nb_channels < 3:
        return frozenset()
    try:
        found = frozenset(n for n, each in enumerate(layout.channels) if each.name in ("LFE", "LFE2"))
        known = any(each.name in ("FL", "FC") for each in layout.channels)
    except _AV_ERRORS:
        found, known = frozenset[int](), False
    return found if known or layout.nb_channels not in (6, 7, 8) else frozenset({3})


MAX_TRACKS = 8
"""Sound tracks in which speech is looked for."""


def _best_track(data: Source, recording: _Recording) -> tuple[int, str]:
    """Return the first sound track with speech, counted from 0, and a sentence on it and the others."""
    scores: list[float] = []
    for track in range(min(recording.tracks, MAX_TRACKS)):
        try:
            header, blocks = _open_track(_open_container(data, recording.name, track), recording)
            listener = channels.Listener(header.rate, header.channels, skip=header.bass)
            n_read, peak = 0, 0.0
            for block in blocks:
                n_read += len(block)
                if n_read > (recording.max_duration_s + _GRACE_S) * header.rate:
                    break
                peak = max(peak, float(np.abs(block).max()))
                if np.isfinite(peak):
                    listener.push(block)
            scores.append(listener.speech_score() if peak < _LARGEST_SAMPLE else 0.0)
            scores[-1] = scores[-1] or (1e-6 if 1e-4 < peak < _LARGEST_SAMPLE else 0.0)
        except AudioError:
            scores.append(-1.0)
    spoken = [track for track, score in enumerate(scores) if score > 1e-3]
    best = spoken[0] if spoken else scores.index(max(scores))
    which = f"Sound track {best + 1} of {recording.tracks} was used"
    if not spoken:
        return best, f"{which}: no speech was found in any."
    if len(spoken) > 1:
        others = " and ".join(str(each + 1) for each in spoken[1:])
        return best, f"{which}; there is speech in track {others} too, which was not read."
    return best, f"{which}: there is no speech in the other{'s' if recording.tracks > 2 else ''}."


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


def _to_float(frame: av.AudioFrame, n_channels: int) -> np.ndarray:
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
    if samples.shape[1] != n_channels:
        samples = np.repeat(samples.mean(axis=1, keepdims=True), n_channels, axis=1)
    return samples


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes and rest else f"{minutes} min" if minutes else f"{rest} s"
