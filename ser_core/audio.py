"""From bytes to a waveform: decoding by content, limits that a hostile file meets before its samples do, resampling.

soundfile (libsndfile) reads first, PyAV (FFmpeg) the rest. Samples are read in blocks, mixed to one channel and resampled as
they come, so memory follows the length of the result and not what a header promises. Nothing is written to disk.
"""

from __future__ import annotations

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
_LARGEST_SAMPLE = 2.0**32
"""Beyond this a float sample is nonsense; up to it, it may be an integer scale kept in floats."""
_LARGEST_OVERSHOOT = 8.0
_FORMATS = "mov,matroska,webm,asf,amr,amrnb,amrwb,aac,mp3,ogg,flac,wav,caf,aiff,au,w64,avi,mpeg,mpegts,flv,ac3,ape,tta,wv"
_CONTAINERS = {"mov": "MP4", "matroska": "WebM", "asf": "WMA"}
_KINDS = "WAV, FLAC, OGG, Opus, MP3, AIFF, M4A, AAC, WebM, WMA, AMR or 3GP"
_MAGIC = {
    b"PK\x03\x04": "a zip archive",
    b"%PDF": "a PDF document",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
    b"\x1f\x8b": "a compressed archive",
}


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
    up to 8 times full scale are clipped to it; larger ones are an integer scale and are divided by their peak.
    """
    data = _read(source, name, max_duration_s)
    _refuse_other_kinds(data, name)
    read = _Reading(name, sample_rate, max_duration_s)
    try:
        try:
            file = soundfile.SoundFile(io.BytesIO(data))
        except (soundfile.SoundFileError, ValueError, TypeError, OverflowError):
            return _decode_av(data, read)
        with file:
            return _decode_soundfile(file, data, read)
    except MemoryError:
        raise AudioError(f"{name} needs more memory than there is. Cut it into shorter pieces.") from None


def resample(waveform: Waveform, sample_rate: int) -> Waveform:
    """Return the waveform at another sample rate (4 to 384 kHz), with soxr's high quality."""
    if not MIN_RATE <= sample_rate <= MAX_RATE:
        raise AudioError(f"A sample rate must lie between {MIN_RATE} and {MAX_RATE} Hz. Got {sample_rate}.")
    if sample_rate == waveform.sample_rate:
        return waveform
    samples = soxr.resample(waveform.samples, waveform.sample_rate, sample_rate, quality="HQ")
    return Waveform(samples.astype(np.float32, copy=False), sample_rate)


def encode_wav(waveform: Waveform) -> bytes:
    """Return the waveform as a 16-bit PCM WAV file."""
    file = io.BytesIO()
    soundfile.write(file, np.clip(waveform.samples, -1.0, 1.0), waveform.sample_rate, format="WAV", subtype="PCM_16")
    return file.getvalue()


class _Reading:
    """The state of one decoding: takes blocks of (n, channels), and holds their mix at the wanted rate."""

    def __init__(self, name: str, sample_rate: int, max_duration_s: float) -> None:
        self.name = name
        self.sample_rate = sample_rate
        self.max_duration_s = max_duration_s
        self.rate = self.channels = self.n_read = 0
        self.peak = 0.0
        self._chosen: int | None = None
        self._parts: list[np.ndarray] = []
        self._resampler: soxr.ResampleStream | None = None

    def start(self, rate: int, channels: int, duration_s: float | None) -> None:
        """Check what the header says, before any sample is read."""
        if not MIN_RATE <= rate <= MAX_RATE:
            raise AudioError(
                f"{self.name} has a sample rate of {rate} Hz; {MIN_RATE} to {MAX_RATE} Hz can be used. Save it with 44100 Hz."
            )
        if not 1 <= channels <= MAX_CHANNELS:
            raise AudioError(
                f"{self.name} has {channels} channels; 1 to {MAX_CHANNELS} can be used. Save it as a mono or stereo file."
            )
        if duration_s is not None and duration_s > self.max_duration_s + 0.5:
            raise self._too_long(f"is {_clock(duration_s)} long")
        self.rate, self.channels = rate, channels
        if rate != self.sample_rate:
            self._resampler = soxr.ResampleStream(rate, self.sample_rate, 1, dtype="float32", quality="HQ")

    def add(self, block: np.ndarray) -> None:
        """Take a block of samples, float (n, channels)."""
        if not len(block):
            return
        self.n_read += len(block)
        if self.n_read > (self.max_duration_s + 0.5) * self.rate:
            raise self._too_long("goes on")
        peak = float(np.abs(block).max())
        if not np.isfinite(peak):
            kind = "NaN (not a number)" if np.isnan(block).any() else "infinite"
            raise AudioError(f"{self.name} holds samples that are {kind}: it is damaged. Export it again as 16-bit WAV.")
        if peak > _LARGEST_SAMPLE:
            raise AudioError(
                f"{self.name} holds samples of {peak:.1e} times full scale: it is damaged. Export it again as 16-bit WAV."
            )
        self.peak = max(self.peak, peak)
        mono = self._mix(block)
        self._parts.append(self._resampler.resample_chunk(mono) if self._resampler else mono)

    def finish(self, container: str, *, truncated: bool) -> Clip:
        """Return the clip; raises AudioError where too little was in it."""
        if self._resampler and self.n_read:
            self._parts.append(self._resampler.resample_chunk(np.zeros(0, np.float32), last=True))
        samples = np.concatenate(self._parts) if self._parts else np.zeros(0, np.float32)
        if not len(samples):
            raise AudioError(f"{self.name} has a header but no sound in it. It may be half-downloaded: get it again.")
        if len(samples) < MIN_DURATION_S * self.sample_rate - 1:
            seconds = len(samples) / self.sample_rate
            raise AudioError(f"{self.name} is {seconds:.3f} s long; {MIN_DURATION_S} s is the least. Record a whole sentence.")
        if self.peak > _LARGEST_OVERSHOOT:
            samples = samples / np.float32(self.peak)
        return Clip(Waveform(np.clip(samples, -1.0, 1.0), self.sample_rate), container, self.rate, self.channels, truncated)

    def _mix(self, block: np.ndarray) -> np.ndarray:
        if block.shape[1] == 1:
            return block[:, 0].astype(np.float32)
        mean = block.mean(axis=1)
        if self._chosen is None:
            power = np.mean(np.square(block, dtype=np.float64), axis=0)
            if power.max() > 1e-10:
                cancels = np.mean(np.square(mean, dtype=np.float64)) < 0.01 * power.mean()
                self._chosen = int(power.argmax()) if cancels else -1
        mixed = mean if self._chosen in (None, -1) else block[:, self._chosen]
        return mixed.astype(np.float32)

    def _too_long(self, how: str) -> AudioError:
        return AudioError(f"{self.name} {how}; the limit here is {_clock(self.max_duration_s)}. Cut it into shorter pieces.")


def _read(source: bytes | str | os.PathLike[str] | BinaryIO, name: str, max_duration_s: float) -> bytes:
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
        data = source if isinstance(source, bytes) else bytes(source.read(limit + 1))
        size = len(data)
    if size > limit:
        raise AudioError(f"{name} has {size / 2**20:.0f} MB or more; the limit is {limit / 2**20:.0f} MB. Cut it or save it as FLAC.")
    if not data:
        raise AudioError(f"{name} is empty (0 bytes). Record or download it again.")
    return data


def _refuse_other_kinds(data: bytes, name: str) -> None:
    if data.startswith(b"version https://git-lfs"):
        raise AudioError(f"{name} is a Git LFS pointer, not the recording. Run 'git lfs pull' in its folder to get the sound.")
    for magic, kind in _MAGIC.items():
        if data.startswith(magic):
            raise AudioError(f"{name} is {kind}, not a recording. Choose a {_KINDS} file.")
    head = data[:2048]
    if not re.search(rb"[^\t\n\r\x0c\x1b\x20-\x7e\x80-\xff]", head) and _is_utf8(head):
        raise AudioError(f"{name} is text, not a recording. Choose a {_KINDS} file.")


def _is_utf8(head: bytes) -> bool:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4  # a character cut at the end of the head
    return True


def _decode_soundfile(file: soundfile.SoundFile, data: bytes, read: _Reading) -> Clip:
    frames = file.frames
    read.start(file.samplerate, file.channels, frames / max(file.samplerate, 1) if 0 <= frames < 2**60 else None)
    dtype = "float64" if file.subtype == "DOUBLE" else "float32"
    damaged = False
    while True:
        try:
            block = file.read(_BLOCK, dtype=dtype, always_2d=True)
        except soundfile.SoundFileError:
            damaged = True
            break
        read.add(block)
        if len(block) < _BLOCK:
            break
    shorter = file.format not in ("MP3", "OGG") and 0 < read.n_read < frames < 2**60
    return read.finish(file.format, truncated=damaged or shorter or _riff_is_cut(data))


def _riff_is_cut(data: bytes) -> bool:
    """True where a RIFF header promises more bytes than there are; a stream's unknown length (all ones or 0) is no promise."""
    declared = int.from_bytes(data[4:8], "little")
    return data[:4] == b"RIFF" and declared < 0xFFFFFF00 and declared + 8 > len(data) + 1


def _decode_av(data: bytes, read: _Reading) -> Clip:
    try:
        options = {"format_whitelist": _FORMATS, "protocol_whitelist": ""}
        with av.open(io.BytesIO(data), mode="r", options=options, metadata_errors="replace") as container:
            return _decode_container(container, read)
    except (AudioError, MemoryError):
        raise
    except Exception as error:  # FFmpeg's errors come as OSError, ValueError, IndexError, EOFError, PermissionError and others
        raise AudioError(f"{read.name} is not a recording that can be read. Choose a {_KINDS} file, or export it again.") from error


def _decode_container(container: av.container.InputContainer, read: _Reading) -> Clip:
    if not container.streams.audio:
        kind = "a video without sound" if container.streams.video else "a file without sound"
        raise AudioError(f"{read.name} is {kind}. Choose a recording.")
    stream = container.streams.audio[0]
    codec = stream.codec_context
    duration_s = container.duration / 1e6 if container.duration else None
    first = container.format.name.split(",")[0]
    truncated = False
    if codec.sample_rate and codec.layout.nb_channels:
        read.start(codec.sample_rate, codec.layout.nb_channels, duration_s)
    resampler = av.AudioResampler(format="flt")
    try:
        for block in _blocks(container, stream, resampler, read, duration_s):
            read.add(block)
    except AudioError:
        raise
    except Exception:  # the same mixed bag; what was decoded until then is kept
        truncated = True
    if not read.rate:
        raise AudioError(f"{read.name} has a header but no sound in it. It may be half-downloaded: get it again.")
    return read.finish(_CONTAINERS.get(first, first.upper()), truncated=truncated)


def _blocks(
    container: av.container.InputContainer,
    stream: av.AudioStream,
    resampler: av.AudioResampler,
    read: _Reading,
    duration_s: float | None,
) -> Iterator[np.ndarray]:
    """Yield float32 blocks (n, channels); a stream that changes its rate or channels midway is brought back to the first."""
    for frame in container.decode(stream):
        if not read.rate:
            read.start(frame.sample_rate, frame.layout.nb_channels, duration_s)
        for part in resampler.resample(frame):
            yield part.to_ndarray().reshape(-1, part.layout.nb_channels)
    for part in resampler.resample(None):
        yield part.to_ndarray().reshape(-1, part.layout.nb_channels)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes and rest else f"{minutes} min" if minutes else f"{rest} s"
