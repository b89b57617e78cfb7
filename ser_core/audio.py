"""From bytes to a waveform: decoding by content, limits that a hostile file meets before its samples do, resampling.

soundfile (libsndfile) reads first, PyAV (FFmpeg) the rest. Samples are read in blocks, mixed to one channel and resampled as
they come, so memory follows the length of the result and not what a header promises. Nothing is written to disk.
"""

from __future__ import annotations

import codecs
import functools
import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
import soundfile
import soxr

from ser_core.errors import AudioError

SAMPLE_RATE = 16_000
MAX_DURATION_S = 600.0
MIN_DURATION_S = 0.1
MAX_BYTES = 200 * 2**20
MAX_CHANNELS = 8
MIN_RATE, MAX_RATE = 4_000, 384_000

_BLOCK = 1 << 16
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
_AV_ERRORS = (av.FFmpegError, OSError, ValueError, TypeError, LookupError, EOFError, RuntimeError, ArithmeticError, AssertionError)
_SNDFILE_ERRORS = (soundfile.SoundFileError, ValueError, TypeError, OverflowError)


@dataclass(frozen=True)
class Waveform:
    """One channel of sound: samples float32 (n,), finite, full scale at +-1; sample_rate in Hz."""

    samples: np.ndarray
    sample_rate: int

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate


@dataclass(frozen=True)
class Clip:
    """A decoded file: its waveform, and what the file was. truncated: it ends before its header says it does."""

    waveform: Waveform
    container: str
    source_rate: int
    source_channels: int
    truncated: bool = False


def decode(
    source: bytes | str | os.PathLike[str] | BinaryIO,
    *,
    sample_rate: int = SAMPLE_RATE,
    max_duration_s: float = MAX_DURATION_S,
    name: str = "The file",
) -> Clip:
    """Return the sound of a file as one channel at `sample_rate` Hz.

    Parameters
    ----------
    source
        The bytes, a path, or a file object opened for reading bytes. Its content decides what it is, not its name.
    name
        What error sentences call it.

    Raises
    ------
    AudioError
        With a sentence that says why the file is not usable and what to do.

    Notes
    -----
    Channels are averaged; where they cancel out (mean power under 1 % of theirs), the loudest one is taken. Float samples
    up to 8 times full scale are clipped to it; larger ones are an integer scale and are divided by their peak. A file that
    ends too early gives what is there, and says so in `truncated`. Thread-safe: nothing is shared and nothing is written.
    """
    _check_target(sample_rate)
    data = _read(source, name, max_duration_s)
    _refuse_other_kinds(data, name)
    try:
        header, mixed = _listen(data, name, max_duration_s, sample_rate)
        if mixed.power < 0.01 * mixed.channel_power.mean():
            header, mixed = _listen(data, name, max_duration_s, sample_rate, channel=int(mixed.channel_power.argmax()))
    except MemoryError:
        raise AudioError(f"{name} needs more memory than there is. Cut it into shorter pieces.") from None
    samples = mixed.samples
    duration_s = mixed.n_read / header.rate
    if not len(samples):
        raise AudioError(f"{name} has a header but no sound in it. It may be half-downloaded: get it again.")
    if duration_s < MIN_DURATION_S - 0.5 / header.rate:
        raise AudioError(f"{name} is {duration_s:.3f} s long; {MIN_DURATION_S} s is the least. Record a whole sentence.")
    if mixed.peak > _LARGEST_OVERSHOOT:
        samples = samples / np.float32(mixed.peak)
    fell_short = header.duration_s is not None and duration_s < 0.98 * header.duration_s - 0.1
    waveform = Waveform(np.clip(samples, -1.0, 1.0), sample_rate)
    return Clip(waveform, header.container, header.rate, header.channels, header.is_cut or fell_short)


def resample(waveform: Waveform, sample_rate: int) -> Waveform:
    """Return the waveform at another sample rate, with soxr's high quality.

    Raises AudioError where either rate is not within 4 to 384 kHz: 1 Hz to 16 kHz would take 16 000 times the memory.
    """
    _check_target(sample_rate)
    _check_target(waveform.sample_rate)
    if sample_rate == waveform.sample_rate:
        return waveform
    samples = soxr.resample(waveform.samples, waveform.sample_rate, sample_rate, quality="HQ")
    return Waveform(samples.astype(np.float32, copy=False), sample_rate)


def encode_wav(waveform: Waveform) -> bytes:
    """Return the waveform as a 16-bit PCM WAV file."""
    file = io.BytesIO()
    soundfile.write(file, np.clip(waveform.samples, -1.0, 1.0), waveform.sample_rate, format="WAV", subtype="PCM_16")
    return file.getvalue()


@dataclass(frozen=True)
class _Header:
    """What a file says of itself. duration_s: None where it does not say; is_cut: the file is shorter than it says."""

    container: str
    rate: int
    channels: int
    duration_s: float | None
    is_cut: bool = False


@dataclass(frozen=True)
class _Mixed:
    """One channel, float32 (n,), at the wanted rate; and of the source: samples read, peak, power of each channel, of the mix."""

    samples: np.ndarray
    n_read: int
    peak: float
    channel_power: np.ndarray
    power: float


def _check_target(rate: int) -> None:
    if not MIN_RATE <= rate <= MAX_RATE:
        raise AudioError(f"A sample rate must lie between {MIN_RATE} and {MAX_RATE} Hz. Got {rate}.")


class _Source(io.BytesIO):
    """Bytes to read; a seek to before their start, which damaged headers ask for, stays put: soundfile prints a traceback for an error."""

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return super().seek(offset, whence)
        except (ValueError, OverflowError):
            return self.tell()


def _listen(
    data: bytes, name: str, max_duration_s: float, sample_rate: int, *, channel: int | None = None
) -> tuple[_Header, _Mixed]:
    """Read all blocks; mix them to their mean, or take the one channel asked for; resample as they come."""
    header, blocks = _open(data, name, max_duration_s)
    weights = np.full(header.channels, 1 / header.channels, np.float32)
    if channel is not None:
        weights = np.eye(header.channels, dtype=np.float32)[channel]
    resampler = None
    if header.rate != sample_rate:
        resampler = soxr.ResampleStream(header.rate, sample_rate, 1, dtype="float32", quality="HQ")
    parts = [np.zeros(0, np.float32)]
    n_read, peak, products = 0, 0.0, np.zeros((header.channels, header.channels))
    for block in blocks:
        n_read += len(block)
        if n_read > (max_duration_s + _GRACE_S) * header.rate:
            raise _too_long(name, "goes on", max_duration_s)
        peak = max(peak, _peak(block, name))
        block = block.astype(np.float32, copy=False)
        products += block.T @ block
        mono = block @ weights if header.channels > 1 else block[:, 0]
        parts.append(resampler.resample_chunk(mono) if resampler else mono)
    if resampler and n_read:
        parts.append(resampler.resample_chunk(np.zeros(0, np.float32), last=True))
    return header, _Mixed(np.concatenate(parts), n_read, peak, products.diagonal(), float(weights @ products @ weights))


def _peak(block: np.ndarray, name: str) -> float:
    """Return the largest magnitude in a block that is not empty; raises AudioError where it is no sound."""
    peak = float(np.maximum(block.max(), -block.min()))
    if not np.isfinite(peak):
        kind = "NaN (not a number)" if np.isnan(peak) else "infinite"
        raise AudioError(f"{name} holds samples that are {kind}: it is damaged. Export it again as 16-bit WAV.")
    if peak > _LARGEST_SAMPLE:
        raise AudioError(f"{name} holds samples of {peak:.1e} times full scale: it is damaged. Export it again as 16-bit WAV.")
    return peak


def _check(header: _Header, name: str, max_duration_s: float) -> None:
    """Refuse what the header says, before any sample is read."""
    if not MIN_RATE <= header.rate <= MAX_RATE:
        raise AudioError(f"{name} has a sample rate of {header.rate} Hz; {MIN_RATE} to {MAX_RATE} Hz can be used. Save it with 44100 Hz.")
    if not 1 <= header.channels <= MAX_CHANNELS:
        raise AudioError(f"{name} has {header.channels} channels; 1 to {MAX_CHANNELS} can be used. Save it as a mono or stereo file.")
    if header.duration_s is not None and header.duration_s > max_duration_s + _GRACE_S:
        raise _too_long(name, f"is {_clock(header.duration_s)} long", max_duration_s)


def _too_long(name: str, how: str, max_duration_s: float) -> AudioError:
    return AudioError(f"{name} {how}; the limit here is {_clock(max_duration_s)}. Cut it into shorter pieces.")


def _read(source: bytes | str | os.PathLike[str] | BinaryIO, name: str, max_duration_s: float) -> bytes:
    """Return all bytes of a source; where more than 10 minutes are allowed, so are more bytes."""
    limit = int(MAX_BYTES * max(1.0, max_duration_s / MAX_DURATION_S))
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        try:
            if path.is_dir():
                raise AudioError(f"{name} is a folder. Name the sound files in it, such as {path.name}/*.wav.")
            if path.exists() and not path.is_file():
                raise AudioError(f"{name} is not a regular file. Name a sound file.")
            size = path.stat().st_size
            data = path.read_bytes() if size <= limit else b""
        except FileNotFoundError:
            raise AudioError(f"{name} does not exist. Check its name and folder.") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise AudioError(f"{name} cannot be opened: {reason}. Check its name and its permissions.") from None
    else:
        data = bytes(source if isinstance(source, bytes | bytearray | memoryview) else source.read(limit + 1))
        size = len(data)
    if size > limit:
        raise AudioError(f"{name} has {size / 2**20:.0f} MB or more; the limit is {limit / 2**20:.0f} MB. Cut it or save it as FLAC.")
    if not data:
        raise AudioError(f"{name} is empty (0 bytes). Record or download it again.")
    return data


def _refuse_other_kinds(data: bytes, name: str) -> None:
    if data.startswith(b"version https://git-lfs"):
        raise AudioError(f"{name} is a Git LFS pointer, not the recording. Run 'git lfs pull' in its folder to get the sound.")
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


def _open(data: bytes, name: str, max_duration_s: float) -> tuple[_Header, Iterator[np.ndarray]]:
    """Return a checked header and its blocks: float (n, channels), n > 0."""
    try:
        file = soundfile.SoundFile(_Source(data))
    except _SNDFILE_ERRORS:
        return _open_av(data, name, max_duration_s)
    guesses_length = file.format == "MP3" and not _counts_its_frames(data)
    finds_no_end = file.format == "OGG" and not file.frames
    if file.format not in _SNDFILE or guesses_length or finds_no_end:
        return _open_av(data, name, max_duration_s)
    duration_s = file.frames / file.samplerate if 0 < file.frames < 2**60 and file.samplerate else None
    header = _Header(_SNDFILE[file.format], file.samplerate, file.channels, duration_s, _is_cut(data))
    _check(header, name, max_duration_s)
    return header, _sndfile_blocks(file)


def _counts_its_frames(data: bytes) -> bool:
    """True for an MP3 whose first frame holds the number of frames; libsndfile reads others to a length guessed from the bit rate."""
    start = 10 + functools.reduce(lambda size, byte: size << 7 | byte, data[6:10]) if data[:3] == b"ID3" else 0
    return re.search(rb"Xing|Info|VBRI", data[start : start + 2048]) is not None


def _is_cut(data: bytes) -> bool:
    """True where the header promises more bytes than there are; a stream's unknown length (all ones, or 0) is no promise."""
    if data[:4] == b"OggS":
        last_page = data.rfind(b"OggS")
        return data[last_page + 5 : last_page + 6] < b"\x04"  # the flag "end of stream"
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
    return len(data) + 64 < promised < 0x7FFF_0000  # some programs count their own header too


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


def _open_av(data: bytes, name: str, max_duration_s: float) -> tuple[_Header, Iterator[np.ndarray]]:
    row = next((row for row in _FFMPEG if re.match(row[0], data, re.DOTALL)), None)
    if row is None:
        raise AudioError(f"{name} is not a recording that can be read. Choose a {_KINDS} file, or export it again.")
    _, kind, title = row
    try:
        options = {"codec_whitelist": _audio_codecs(), "protocol_whitelist": "none"}
        container = av.open(io.BytesIO(data), "r", format=kind, options=options, metadata_errors="replace")
        streams, has_video = container.streams.audio, bool(container.streams.video)
    except _AV_ERRORS as error:
        raise AudioError(
            f"{name} begins like {title}, but the rest cannot be read: it is damaged or cut off. Get it again, or export it as WAV."
        ) from error
    if not streams:
        what = "a video without sound" if has_video else "a file without sound"
        raise AudioError(f"{name} is {what}. Choose a recording.")
    stream = streams[0]
    promised = None
    if title not in _UNTIMED:
        if stream.duration and stream.time_base:
            promised = float(stream.duration * stream.time_base)
        elif container.duration and not has_video:
            promised = container.duration / 1e6
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


def _av_blocks(first: av.AudioFrame, frames: Iterator[av.AudioFrame], header: _Header, name: str) -> Iterator[np.ndarray]:
    parts, n = [_to_float(first, header.channels)], first.samples
    for frame in frames:
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


def _to_float(frame: av.AudioFrame, channels: int) -> np.ndarray:
    """Return a frame as float (n, channels), full scale at +-1; a stream that changes its channels midway keeps the first number."""
    samples = frame.to_ndarray()
    samples = samples.T if frame.format.is_planar else samples.reshape(-1, frame.layout.nb_channels)
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
