"""What the headers of a file say, held against its bytes: recordings one after another, unfinished headers, junk, a missing end.

A file that is not as its headers say is put together anew, so that any decoder reads what is there. No sound is decoded here; the one
function to call is `read_layout`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from ser_core.audio import formats
from ser_core.audio.sources import Source

_HEAD = 1 << 16
_PROMISE = 0x7FFF_0000
"""A 32-bit length from here on is no promise: programs that write to a pipe put it there."""
_TOLERANCE = 64
"""Bytes by which lengths may be wrong: some programs count their own header too."""
_MOST_FRAMES, _MOST_CHUNKS, _MOST_PARTS = 500_000, 20_000, 100
"""Frames (an hour has 180,000), chunks and recordings that are looked at: a file of nothing but headers must not hold anybody up."""
_MOST_JUNK = 1 << 18
"""Bytes between frames that are searched for the next one."""
_MIN_UNREAD = 4096
"""Unexplained bytes behind the sound that are worth a sentence."""

NEVER_CLOSED = "Its header was never completed, as when a recorder is stopped the hard way: it was read to its end."


@dataclass(frozen=True)
class Part:
    """One recording in a file. by_ffmpeg: libsndfile would not read all of it."""

    source: Source
    by_ffmpeg: bool = False


@dataclass(frozen=True)
class Layout:
    """What a file holds: its recordings in their order, whether bytes are missing at its end (None: its bytes do not say), sentences.

    is_partly_read : whether there is more in it that is not read; a sentence says what.
    bits, valid_bits : of a sample, where the header of a WAV says; 0 where it does not. opus_hz: the rate at which libsndfile would
    decode an Opus file, though its header names no playback rate (RFC 7845, 5.1); 0 for others.
    """

    parts: tuple[Part, ...]
    is_cut: bool | None = None
    remarks: tuple[str, ...] = ()
    is_partly_read: bool = False
    bits: int = 0
    valid_bits: int = 0
    opus_hz: int = 0


def read_layout(source: Source) -> Layout:
    """Return what a file holds by its headers."""
    start, remark = _start(source)
    if start:
        source = source.join([slice(start, source.size)])
    head = source.part(0, 64)
    layout = next((read(source) for magic, read in _READERS if re.match(magic, head, re.DOTALL)), None)
    layout = layout or Layout((Part(source),))
    return replace(layout, remarks=(remark, *layout.remarks)) if remark else layout


_NOT_READ = "are named by no header, and were not read."


def _unread(n_bytes: int) -> str:
    size = f"{n_bytes / 2**20:.1f} MB" if n_bytes >= 2**20 else f"{max(n_bytes / 1024, 1):.0f} KB"
    return f"{size} behind its sound {_NOT_READ}"


CONTRADICTORY = "Its header contradicts itself: it may have been read at a wrong speed or length. Export it again."
"""Where fields of a header cannot all be true."""

SECOND = "A second recording follows the first one in the same file, and was not read. Split the file to use it."


# Where the sound begins


def _start(source: Source) -> tuple[int, str]:
    """Return where a file's own beginning lies behind tags and junk, and a sentence where there is junk."""
    head = source.part(0, _HEAD)
    start = _tags_end(source)
    behind = source.part(start, _HEAD) if start else head
    if _is_beginning(source, start, behind):
        # MP3 decoders read tags themselves; others do not.
        return (0 if _mpeg_frame(behind[:4]) else start), ""
    zeros = start + len(behind) - len(behind.lstrip(b"\0"))
    while zeros == start + len(behind) and behind:
        start, behind = zeros, source.part(zeros, _HEAD)
        zeros = start + len(behind) - len(behind.lstrip(b"\0"))
    window = source.part(zeros, _HEAD)
    for match in re.finditer(_STRONG, window, re.DOTALL):
        return _skipped(zeros + match.start())
    at = window.find(b"\xff")
    while at >= 0:
        for frame in (_mpeg_frame, _adts_frame):
            if frame(window[at : at + 8]) and _chain(source, zeros + at, frame, 4):
                return _skipped(zeros + at)
        at = window.find(b"\xff", at + 1)
    return 0, ""


def _skipped(n_bytes: int) -> tuple[int, str]:
    what = "1 byte that is no sound; it was" if n_bytes == 1 else f"{n_bytes:,} bytes that are no sound; they were"
    return n_bytes, f"It begins with {what} skipped."


_STRONG = (
    rb"RIFF....WAVEfmt |RF64....WAVE|fLaC[\x00\x80]\x00\x00\x22|OggS\x00[\x02\x06]|FORM....AIF[FC]|\x00\x00..ftyp|"
    rb"\x1a\x45\xdf\xa3[\x80-\xff].{0,48}\x42\x82|caff\x00\x01\x00\x00desc|#!AMR(-WB)?\n|\x30\x26\xb2\x75\x8e\x66\xcf\x11"
)


def _tags_end(source: Source) -> int:
    """Return where the ID3v2 tags at the start of a file end."""
    at = 0
    for _ in range(8):
        tag = source.part(at, 10)
        if tag[:3] != b"ID3" or len(tag) < 10:
            break
        at += 10 + _syncsafe(tag[6:10]) + (10 if tag[5] & 0x10 else 0)
    return at


def _syncsafe(data: bytes) -> int:
    return sum((byte & 0x7F) << shift for byte, shift in zip(data, (21, 14, 7, 0), strict=True))


def _is_beginning(source: Source, at: int, data: bytes) -> bool:
    """Whether a file of a known kind begins here; two frames must follow one another where a beginning says little."""
    if data[:1] == b"\xff":
        return _chain(source, at, _mpeg_frame, 2) or _chain(source, at, _adts_frame, 2)
    return any(
        re.match(magic, data[:512], re.DOTALL)
        for magic in (*formats.BEGINNINGS, *(row[0] for row in formats.FFMPEG[:-2]))
    )


# Frames of MP3, AAC and AMR


class _Frame(NamedTuple):
    """A frame: its bytes, and what all frames of a stream have in common."""

    size: int
    kind: tuple[int, ...]


_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_KBPS = {
    (3, 3): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (3, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (3, 1): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 3): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 1): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""ISO 11172-3 and 13818-3: (version, layer) as in the header (3: MPEG-1, 2: MPEG-2; 3: layer I, 1: layer III) -> kbit/s."""


def _mpeg_frame(head: bytes) -> _Frame | None:
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    bit_rate, rate = head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or not layer or bit_rate in (0, 15) or rate == 3:
        return None
    hz = _RATES[version][rate]
    bits = _KBPS[3 if version == 3 else 2, layer][bit_rate] * 1000
    padding = head[2] >> 1 & 1
    size = (
        (12 * bits // hz + padding) * 4
        if layer == 3
        else (72 if layer == 1 and version != 3 else 144) * bits // hz + padding
    )
    return _Frame(size, (version, layer, hz))


def _adts_frame(head: bytes) -> _Frame | None:
    if len(head) < 6 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0 or head[2] >> 2 & 15 > 12:
        return None
    size = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return _Frame(size, (head[2] >> 2 & 15,)) if size > 7 else None


def _amr_frame(sizes: tuple[int, ...]) -> Callable[[bytes], _Frame | None]:
    def frame(head: bytes) -> _Frame | None:
        mode = head[0] >> 3 & 15 if head and not head[0] & 0x83 else -1
        return _Frame(sizes[mode], ()) if 0 <= mode < len(sizes) else None

    return frame


_AMR_NB = _amr_frame((13, 14, 16, 18, 20, 21, 27, 32, 6, 1, 1, 1, 1, 1, 1, 1))
_AMR_WB = _amr_frame((18, 24, 33, 37, 41, 47, 51, 59, 61, 6, 1, 1, 1, 1, 1, 1))


def _chain(source: Source, at: int, frame: Callable[[bytes], _Frame | None], n: int) -> bool:
    """Whether n frames of one kind follow one another, or fewer that end with the file."""
    kind, begun = None, at
    for _ in range(n):
        found = frame(source.part(at, 8))
        if found is None or kind not in (None, found.kind):
            return False
        kind = found.kind
        at += found.size
        if at >= source.size:
            return begun == 0 or at == source.size
    return True


class _Stretch(NamedTuple):
    """Frames one after another: where they start and end, how many, how many the first one says that there are (None), and by what."""

    start: int
    stop: int
    n: int
    said: int | None
    tag: bytes


def _frames(source: Source, at: int, frame: Callable[[bytes], _Frame | None]) -> tuple[list[_Stretch], bool]:
    """Return the stretches of frames in a file, and whether it ends within a frame; a frame that counts those behind it starts one."""
    stretches: list[_Stretch] = []
    kind: tuple[int, ...] | None = None
    size, begun, n, said, tag, junk = source.size, at, 0, None, b"", 0

    def end(stop: int) -> None:
        if n:
            stretches.append(_Stretch(begun, stop, n, said, tag))

    with source.open() as file:
        for _ in range(_MOST_FRAMES):
            if at >= size:
                break
            file.seek(at)
            head = file.read(64)
            found = frame(head)
            if found is None or kind not in (None, found.kind):
                again, new = _resume(source, at, frame) if junk < _MOST_JUNK else (None, False)
                junk += again.at - at if again else 0
                if again is None:
                    end(at)
                    return stretches, False
                if new or again.kind != kind:
                    end(at)
                    begun, n, said, tag = again.at, 0, None, b""
                at, kind = again.at, again.kind
                continue
            if at + found.size > size:
                end(size)
                return stretches, n > 0
            counted = _counter(head, found)
            if counted:
                end(at)
                begun, n, (tag, said) = at, 0, counted
            kind = found.kind
            n += not counted
            at += found.size
    end(size)
    return stretches, False


class _Again(NamedTuple):
    at: int
    kind: tuple[int, ...]


def _resume(source: Source, at: int, frame: Callable[[bytes], _Frame | None]) -> tuple[_Again | None, bool]:
    """Return where frames go on behind what is none, and whether another file's tag lies between."""
    new = False
    while (data := source.part(at, _HEAD))[:3] in (b"ID3", b"TAG") or data[:8] == b"APETAGEX":
        new = new or data[:3] != b"APE"
        if data[:3] == b"TAG":
            at += 128
        elif data[:3] == b"ID3" and len(data) > 10:
            at += 10 + _syncsafe(data[6:10])
        else:
            at += 32 + int.from_bytes(data[12:16], "little")
    place = 0
    while place < len(data):
        if frame(data[place : place + 8]) and _chain(source, at + place, frame, 3):
            found = frame(source.part(at + place, 8))
            assert found is not None
            return _Again(at + place, found.kind), new
        place = data.find(b"\xff", place + 1)
        if place < 0:
            break
    return None, new


_ALL_FIELDS = 15
"""Flags of a Xing tag with all of its fields: frames, bytes, places, quality."""


def _counter(head: bytes, frame: _Frame) -> tuple[bytes, int | None] | None:
    """Return the tag of an MP3's first frame that holds no sound, and how many frames it counts (None: it does not say)."""
    if len(frame.kind) != 3 or frame.kind[1] != 1:
        return None
    mono, first_version = head[3] >> 6 == 3, frame.kind[0] == 3
    at = (21 if mono else 36) if first_version else (13 if mono else 21)  # behind the side information
    if (tag := head[at : at + 4]) in (b"Xing", b"Info"):
        flags = int.from_bytes(head[at + 4 : at + 8], "big")
        said = int.from_bytes(head[at + 8 : at + 12], "big") if flags & 1 else None
        # What pads the sound stands behind the four fields: with other flags, libsndfile takes other numbers for it.
        return tag if flags == _ALL_FIELDS else b"", said
    return (b"VBRI", int.from_bytes(head[50:54], "big")) if head[36:40] == b"VBRI" else None


def _mpeg(source: Source) -> Layout | None:
    """Return the layout of an MP3: each frame that counts others begins a recording."""
    at = _tags_end(source)
    if not _chain(source, at, _mpeg_frame, 2):
        return None
    stretches, is_cut = _frames(source, at, _mpeg_frame)
    if not stretches:
        return None
    stretches = [each for each in stretches if each.n > 2] or stretches[:1]  # fewer are what another file left behind
    is_cut = is_cut or any(each.said is not None and each.said > 1.02 * each.n + 2 for each in stretches)
    miscounts = [each.tag in (b"", b"VBRI") or each.said is None or each.said < each.n - 2 for each in stretches]
    if len(stretches) == 1 and stretches[0].start == at:
        return Layout((Part(source, miscounts[0]),), is_cut)
    if len(stretches) > _MOST_PARTS:
        return Layout((Part(source, True),), is_cut)
    parts = [
        Part(source.join([slice(each.start, each.stop)]), by_ffmpeg)
        for each, by_ffmpeg in zip(stretches, miscounts, strict=True)
    ]
    return Layout(tuple(parts), is_cut)


def _adts(source: Source) -> Layout | None:
    return Layout((Part(source),), _frames(source, 0, _adts_frame)[1]) if _chain(source, 0, _adts_frame, 2) else None


def _amr(source: Source) -> Layout:
    starts = _find_all(source, rb"#!AMR(-WB)?\n")
    magic = re.match(rb"#!AMR(-WB)?\n", source.part(0, 9))
    is_cut = None
    if magic:
        wide = magic.group(1)
        last = starts[-1] + len(magic.group(0))
        is_cut = _frames(source, last, _AMR_WB if wide else _AMR_NB)[1]
    return Layout(_split(source, starts), is_cut)


# Chunks: WAV, AIFF, W64, CAF, AU


class _Chunk(NamedTuple):
    """A chunk: its name, where its content starts, how many bytes it says it has."""

    id: bytes
    start: int
    size: int


def _chunks(source: Source, at: int, order: str, *, width: int = 4) -> Iterator[_Chunk]:
    """Yield the chunks of a file whose ids are four letters; a pad byte behind an odd one may be missing."""
    for _ in range(_MOST_CHUNKS):
        head = source.part(at, 4 + width)
        if len(head) < 4 + width or not re.fullmatch(rb"[ -~]{4}", head[:4]):
            return
        chunk = _Chunk(head[:4], at + 4 + width, int.from_bytes(head[4:], order))  # type: ignore[arg-type]
        yield chunk
        at = chunk.start + chunk.size
        if width == 4 and chunk.size & 1 and not re.fullmatch(rb"[ -~]{4}", source.part(at, 4)):
            at += 1


def _tiles(source: Source, at: int, order: str, *, width: int = 4) -> bool:
    """Whether nothing but whole chunks lies from here to the end."""
    end = at
    for chunk in _chunks(source, at, order, width=width):
        end = chunk.start + chunk.size
    return end > at and source.size - 1 <= end <= source.size + 1


def _riff(source: Source) -> Layout:
    """Return the layout of a WAV: its data chunks hold the sound, and what else its header counts matters little."""
    order = "big" if source.part(0, 4) == b"RIFX" else "little"
    long, fmt = 0, b""
    data: list[slice] = []
    remarks: list[str] = []
    is_cut, rebuild, end = False, False, 12
    for chunk in _chunks(source, 12, order):
        if chunk.id in (b"RIFF", b"RF64", b"RIFX") and data:
            return _wav(source, order, data, fmt, is_cut, (*remarks, SECOND), rebuild)
        end = chunk.start + chunk.size
        if chunk.id == b"ds64":
            long = int.from_bytes(source.part(chunk.start + 8, 8), "little")
        elif chunk.id == b"fmt ":
            fmt = source.part(chunk.start, min(chunk.size, 4096) & ~1)
        elif chunk.id == b"data":
            size = long if chunk.size == 0xFFFF_FFFF and 0 < long < 2**62 else chunk.size
            rest = source.size - chunk.start
            if (size == 0 and rest > 8 and not _tiles(source, chunk.start, order)) or (
                size >= _PROMISE and size > rest
            ):
                data.append(slice(chunk.start, source.size))
                return _wav(source, order, data, fmt, False, (*remarks, NEVER_CLOSED), True)
            is_cut = is_cut or size > rest + _TOLERANCE
            data.append(slice(chunk.start, min(chunk.start + size, source.size)))
            rebuild = len([each for each in data if each.stop > each.start]) > 1
            if chunk.size != size:
                rebuild, end = True, chunk.start + size
                break
    if not data:  # libsndfile may find some behind a chunk whose size is wrong
        return Layout((Part(source),), None, (CONTRADICTORY,))
    behind = source.part(end, source.size - end) if source.size - end >= _MIN_UNREAD else b""
    if behind.strip(b"\0"):
        if re.search(rb"(RIFF|RF64)....WAVE", behind, re.DOTALL):
            return _wav(source, order, data, fmt, is_cut, (*remarks, SECOND), rebuild)
        remarks.append(_unread(len(behind)))
    return _wav(source, order, data, fmt, is_cut, tuple(remarks), rebuild)


def _wav(
    source: Source,
    order: str,
    data: list[slice],
    fmt: bytes,
    is_cut: bool,
    remarks: tuple[str, ...],
    rebuild: bool,
) -> Layout:
    bits = int.from_bytes(fmt[14:16], order)  # type: ignore[arg-type]
    tag = int.from_bytes(fmt[:2], order)  # type: ignore[arg-type]
    channels, block = (int.from_bytes(fmt[at : at + 2], order) for at in (2, 12))  # type: ignore[arg-type]
    hz, bytes_per_s = (int.from_bytes(fmt[at : at + 4], order) for at in (4, 8))  # type: ignore[arg-type]
    if tag in (1, 3, 0xFFFE) and (block != channels * -(-bits // 8) or bytes_per_s not in (0, hz * block)):
        remarks = (*remarks, CONTRADICTORY)
    valid_bits = int.from_bytes(fmt[18:20], order) if tag == 0xFFFE and len(fmt) >= 20 else 0  # type: ignore[arg-type]
    if rebuild and fmt:
        n = sum(each.stop - each.start for each in data)
        sound = [b"fmt ", _u32(len(fmt), order), fmt, b"data", _u32(n, order)]
        header = b"WAVE" + b"".join(sound)
        magic = b"RIFX" if order == "big" else b"RIFF"
        source = source.join([magic + _u32(len(header) + n, order) + header, *data])
    partly = any(each == SECOND or each.endswith(_NOT_READ) for each in remarks)
    # libsndfile leaves out a last block of ADPCM that is not whole.
    is_adpcm = tag in (2, 0x11) and block > 0
    by_ffmpeg = is_adpcm and sum(each.stop - each.start for each in data) % block > 0
    return Layout((Part(source, by_ffmpeg),), is_cut, remarks, partly, bits, valid_bits)


def _u32(n: int, order: str) -> bytes:
    return min(n, 2**32 - 1).to_bytes(4, order)  # type: ignore[arg-type]


def _aiff(source: Source) -> Layout | None:
    """Return the layout of an AIFF: its sound lies in the chunk SSND, and COMM counts its frames."""
    common: _Chunk | None = None
    for chunk in _chunks(source, 12, "big"):
        if chunk.id == b"COMM":
            common = chunk
        if chunk.id == b"SSND" and common:
            rest = source.size - chunk.start
            content = source.part(common.start, min(common.size, 40))
            frame = int.from_bytes(content[:2], "big") * -(-int.from_bytes(content[6:8], "big") // 8)
            plain = common.size < 22 or content[18:22] in (b"NONE", b"sowt", b"twos", b"in24", b"in32")
            counted = int.from_bytes(content[2:6], "big")
            unknown = chunk.size <= 8 or (chunk.size >= _PROMISE and chunk.size > rest)
            if (
                plain
                and frame
                and rest > 8 + frame
                and (unknown or not counted)
                and not _tiles(source, chunk.start + 8, "big")
            ):
                n = (rest - 8 if unknown else min(rest, chunk.size) - 8) // frame
                pieces: list[bytes | slice] = [
                    b"FORM" + _u32(source.size - 8, "big"),
                    slice(8, common.start + 2),
                    _u32(n, "big"),
                    slice(common.start + 6, chunk.start - 4),
                    _u32(n * frame + 8, "big"),
                    slice(chunk.start, chunk.start + 8 + n * frame),
                ]
                return Layout((Part(source.join(pieces)),), False, (NEVER_CLOSED,))
            if chunk.size > rest + _TOLERANCE and chunk.size < _PROMISE:
                return Layout((Part(source),), True)
            end = chunk.start + chunk.size
            behind = source.part(end, source.size - end) if source.size - end >= _MIN_UNREAD else b""
            if re.search(rb"FORM....AIF[FC]", behind, re.DOTALL):
                return Layout((Part(source),), False, (SECOND,), True)
            return Layout((Part(source),), False)
    return None


def _au(source: Source) -> Layout | None:
    head = source.part(0, 12)
    order = "big" if head[:4] == b".snd" else "little"
    start, size = (int.from_bytes(head[at : at + 4], order) for at in (4, 8))  # type: ignore[arg-type]
    rest = source.size - start
    if size == 0 and rest > 0:
        return Layout(
            (Part(source.join([slice(0, 8), _u32(rest, order), slice(12, source.size)])),), False, (NEVER_CLOSED,)
        )
    if not 24 <= start <= source.size:
        return Layout((Part(source),), None, (CONTRADICTORY,))
    if size >= _PROMISE:
        return Layout((Part(source),), False)
    layout = _with_end(source, start + size)
    behind = source.part(start + size, source.size)
    if not layout.remarks and len(behind) >= _MIN_UNREAD and behind.strip(b"\0"):
        return Layout((Part(source),), False, (_unread(len(behind)),), True)
    return layout


def _w64(source: Source) -> Layout | None:
    at = 40
    for _ in range(_MOST_CHUNKS):
        head = source.part(at, 24)
        if len(head) < 24:
            break
        size = int.from_bytes(head[16:], "little")
        if head[:4] == b"data":
            rest = source.size - at
            if size <= 24 < rest or size >= 2**62:
                pieces: list[bytes | slice] = [
                    slice(0, 16),
                    source.size.to_bytes(8, "little"),
                    slice(24, at + 16),
                    rest.to_bytes(8, "little"),
                ]
                return Layout((Part(source.join([*pieces, slice(at + 24, source.size)])),), False, (NEVER_CLOSED,))
            return _with_end(source, at + size)
        if size < 24:
            return None
        at += size + -size % 8
    return None


def _caf(source: Source) -> Layout | None:
    by_ffmpeg = False
    for chunk in _chunks(source, 8, "big", width=8):
        if chunk.id == b"desc":
            # For a damaged packet libsndfile gives the sound of another one.
            by_ffmpeg = source.part(chunk.start + 8, 4) == b"alac"
        if chunk.id == b"data":
            rest = source.size - chunk.start
            if chunk.size >= 2**63:
                return Layout((Part(source, by_ffmpeg),), False)
            if chunk.size == 0 and rest > 4 and not _tiles(source, chunk.start, "big", width=8):
                pieces: list[bytes | slice] = [
                    slice(0, chunk.start - 8),
                    rest.to_bytes(8, "big"),
                    slice(chunk.start, source.size),
                ]
                return Layout((Part(source.join(pieces), by_ffmpeg),), False, (NEVER_CLOSED,))
            if chunk.size > rest + _TOLERANCE:
                return Layout((Part(source, by_ffmpeg),), True)
            behind = rest - chunk.size
            is_partly = behind >= _MIN_UNREAD and not _tiles(source, source.size - behind, "big", width=8)
            return Layout((Part(source, by_ffmpeg),), False, (_unread(behind),) if is_partly else (), is_partly)
    return Layout((Part(source, True),)) if by_ffmpeg else None


_VOC_BITS = {0: 8, 4: 16, 6: 8, 7: 8}
"""Codec of a block 9 of a Creative Voice File -> bits of a sample: PCM, PCM, A-law, mu-law."""


def _voc(source: Source) -> Layout:
    """Return the layout of a Creative Voice File: blocks one after another, the last one empty; a block 9 names its bits twice."""
    at = int.from_bytes(source.part(20, 2), "little")
    for _ in range(_MOST_CHUNKS):
        block = source.part(at, 16)
        if block[:1] == b"\0" or at == source.size:
            return Layout((Part(source),), False)
        bits, codec = (block[8], int.from_bytes(block[10:12], "little")) if block[:1] == b"\x09" else (0, -1)
        if not re.match(rb"[\x01-\x09]...", block, re.DOTALL) or _VOC_BITS.get(codec, bits) != bits:
            break
        at += 4 + int.from_bytes(block[1:4], "little")
        if at > source.size:
            return Layout((Part(source),), True)
    return Layout((Part(source),), None, (CONTRADICTORY,))


def _with_end(source: Source, end: int) -> Layout:
    """Return the layout of a file whose sound ends where its header says; what begins like it behind that end is a second one."""
    if end > source.size + _TOLERANCE:
        return Layout((Part(source),), True)
    behind = source.part(end, source.size - end) if source.size - end >= _MIN_UNREAD else b""
    if behind[:16].lstrip(b"\0").startswith(source.part(0, 4)):
        return Layout((Part(source),), False, (SECOND,), True)
    return Layout((Part(source),), False)


# Files that can be read one after another: FLAC, Ogg, MP4, Matroska


def _find_all(source: Source, pattern: bytes) -> list[int]:
    """Return where a pattern of at most 64 bytes is found in a file, looked through by and by."""
    found: list[int] = []
    at, step = 0, 1 << 22
    while at < source.size and len(found) <= _MOST_PARTS:
        found += [
            at + match.start()
            for match in re.finditer(pattern, source.part(at, step + 64), re.DOTALL)
            if match.start() < step
        ]
        at += step
    return found


def _split(source: Source, starts: list[int], *, by_ffmpeg: bool = False) -> tuple[Part, ...]:
    """Return the recordings that start at these places, the whole file where there is one, or too many to be meant."""
    if not 2 <= len(starts) <= _MOST_PARTS:
        return (Part(source, by_ffmpeg),)
    stops = [*starts[1:], source.size]
    return tuple(Part(source.join([slice(start, stop)]), by_ffmpeg) for start, stop in zip(starts, stops, strict=True))


_FLAC_HZ = (0, 88_200, 176_400, 192_000, 8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000)
"""Rates of a frame by its code; 0 and further codes: as the header of the file says."""


def _flac(source: Source) -> Layout:
    starts = _find_all(source, rb"fLaC[\x00\x80]\x00\x00\x22")
    # libsndfile takes the rate, the channels and the length of the file's header, whatever its frames say.
    by_ffmpeg = not _is_as_its_first_frame(source) or (len(starts) == 1 and _goes_on(source))
    return Layout(_split(source, starts, by_ffmpeg=by_ffmpeg))


_FLAC_FRAME_BYTES = 1 << 17
"""Bytes at the end of a FLAC in which its last frame begins, unless it has eight channels of 24 bits."""


def _goes_on(source: Source) -> bool:
    """Whether a FLAC's last frame ends behind the length in its header."""
    info = source.part(8, 34)
    said = int.from_bytes(info[13:18], "big") & (1 << 36) - 1
    block = int.from_bytes(info[0:2], "big")
    end = source.part(source.size - _FLAC_FRAME_BYTES, _FLAC_FRAME_BYTES)
    frames = reversed(
        [_frame_end(end[match.start() : match.start() + 16], block) for match in _FLAC_SYNC.finditer(end)]
    )
    return said > 0 and next(filter(None, frames), 0) > said


_FLAC_SYNC = re.compile(rb"\xff[\xf8\xf9][\x10-\xff]")


def _frame_end(head: bytes, block: int) -> int:
    """Return up to which sample of the file a FLAC's frame goes, 0 where this is none; block: samples of frames that count frames."""
    head = head.ljust(16, b"\0")
    n = max(8 - (head[4] ^ 0xFF).bit_length(), 1)  # bytes of the number, as in UTF-8
    number = head[4] & 0xFF >> n if n > 1 else head[4]
    for byte in head[5 : 4 + n]:
        number = number << 6 | byte & 0x3F
    at, code, hz = 4 + n, head[2] >> 4, head[2] & 15
    size = 192 if code == 1 else 576 << code - 2 if code < 6 else 256 << code - 8 if code > 7 else 0
    if not size:
        size = int.from_bytes(head[at : at + code - 5], "big") + 1
        at += code - 5
    at += {12: 1, 13: 2, 14: 2}.get(hz, 0)
    if at >= 16 or _crc8(head[:at]) != head[at]:
        return 0
    return size + (number if head[1] & 1 else number * block)


def _crc8(data: bytes) -> int:
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value << 1 & 0xFF ^ (0x07 if value & 0x80 else 0)
    return value


def _is_as_its_first_frame(source: Source) -> bool:
    """Whether a FLAC's header has the rate and the channels of its first frame, or of neither is known."""
    at, last = 4, False
    for _ in range(_MOST_CHUNKS):
        block = source.part(at, 4)
        if last or len(block) < 4:
            break
        last = bool(block[0] & 0x80)
        at += 4 + int.from_bytes(block[1:], "big")
    frame, info = source.part(at, 4), source.part(8, 34)
    if len(frame) < 4 or len(info) < 34 or frame[0] != 0xFF or frame[1] & 0xFC != 0xF8:
        return True
    hz, channels = info[10] << 12 | info[11] << 4 | info[12] >> 4, (info[12] >> 1 & 7) + 1
    code, kind = frame[2] & 15, frame[3] >> 4
    said_hz = _FLAC_HZ[code] if code < len(_FLAC_HZ) else 0
    return said_hz in (0, hz) and (kind + 1 if kind < 8 else 2) == channels


def _ogg(source: Source) -> Layout:
    """Return the layout of an Ogg file: a page that begins a stream, behind one that does not, begins a recording."""
    starts: list[int] = []
    ended: list[bool] = []
    streams: list[int] = []
    at, begins, is_cut, opus_hz, n_stray = 0, False, False, 0, 0
    with source.open() as file:
        for _ in range(_MOST_FRAMES):
            if at >= source.size:
                break
            file.seek(at)
            head = file.read(27)
            if head[:4] != b"OggS" or len(head) < 27:
                nearby = source.part(at + 1, _HEAD).find(b"OggS")
                stray = source.part(at, nearby + 1 if nearby >= 0 else _HEAD)
                n_stray += 0 if re.match(rb"ID3|TAG|APETAGEX", stray) else len(stray.strip(b"\0"))
                if nearby < 0:
                    break
                at += 1 + nearby
                continue
            lacing = file.read(head[26])
            begins_now = bool(head[5] & 2)
            if begins_now and not begins:
                starts.append(at)
                ended.append(False)
                streams.append(0)
            if begins_now and streams:
                streams[-1] += 1
                first = file.read(19)
                if first[:8] == b"OpusHead":
                    opus_hz = int.from_bytes(first[12:16], "little")
            begins = begins_now
            size = 27 + head[26] + sum(lacing)
            is_cut = at + size > source.size
            if ended and head[5] & 4:
                ended[-1] = True
            at += size
    by_ffmpeg = any(n > 1 for n in streams) or (opus_hz not in (16_000, 24_000, 48_000) and opus_hz != 0)
    by_ffmpeg = by_ffmpeg or (opus_hz == 0 and b"OpusHead" in source.part(0, 200))
    remarks = (_STRAY.format(n_stray),) if n_stray > _TOLERANCE and starts else ()
    return Layout(_split(source, starts, by_ffmpeg=by_ffmpeg), is_cut or not all(ended), remarks, opus_hz=opus_hz)


_STRAY = "It is damaged: {:,} bytes in it belong to no page, and were not read."


def _mp4(source: Source) -> Layout:
    """Return the layout of an MP4: boxes one after another; a second set of ftyp, moov and mdat is a second recording."""
    at, starts, kinds = 0, [0], [set[bytes]()]
    is_cut: bool | None = False
    for _ in range(_MOST_CHUNKS):
        if at + 8 > source.size:
            break
        head = source.part(at, 16)
        size, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if not re.fullmatch(rb"[ -~\xa9]{4}", kind):
            is_cut = False if not source.part(at, _HEAD).strip(b"\0") else None
            break
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        elif size == 0:
            size = source.size - at
        if size < 8:
            is_cut = None
            break
        if kind == b"ftyp" and {b"moov", b"mdat"} <= kinds[-1] and not kinds[-1] & {b"moof"}:
            starts.append(at)
            kinds.append(set())
        kinds[-1].add(kind)
        if at + size > source.size:
            is_cut = True
        at += size
    complete = all({b"moov", b"mdat"} <= each for each in kinds)
    return Layout(_split(source, starts if complete else [0]), is_cut)


_EBML = rb"\x1a\x45\xdf\xa3[\x80-\xff].{0,48}?\x42\x82.(webm|matroska)"


def _matroska(source: Source) -> Layout:
    starts = _find_all(source, _EBML)
    starts = starts if starts[:1] == [0] else [0]
    head = source.part(starts[-1], 256)
    is_cut = None
    if (segment := head.find(b"\x18\x53\x80\x67")) >= 0 and len(head) > segment + 12:
        width = 9 - head[segment + 4].bit_length()
        size = int.from_bytes(head[segment + 4 : segment + 4 + width], "big") & (1 << 7 * width) - 1
        if 0 < width <= 8 and size != (1 << 7 * width) - 1:
            is_cut = True if starts[-1] + segment + 4 + width + size > source.size + _TOLERANCE else None
    return Layout(_split(source, starts), is_cut)


def _avi(source: Source) -> Layout:
    promised = int.from_bytes(source.part(4, 4), "little")
    return Layout((Part(source),), True if source.size + _TOLERANCE < promised < _PROMISE else None)


_READERS: tuple[tuple[bytes, Callable[[Source], Layout | None]], ...] = (
    (rb"(RIFF|RF64|RIFX|BW64)....WAVE", _riff),
    (rb"RIFF....AVI ", _avi),
    (rb"FORM....AIF", _aiff),
    (rb"\.snd|dns\.", _au),
    (rb"riff\x2e\x91\xcf\x11", _w64),
    (rb"caff", _caf),
    (rb"Creative Voice File", _voc),
    (rb"fLaC", _flac),
    (rb"OggS", _ogg),
    (rb"....(ftyp|moov|mdat|free|skip|wide)", _mp4),
    (rb"\x1a\x45\xdf\xa3", _matroska),
    (rb"#!AMR", _amr),
    (rb"\xff[\xf0\xf1\xf8\xf9]", _adts),
    (rb"ID3|\xff[\xe0-\xff]", _mpeg),
)
"""How a file begins, and what reads its lengths; the first that matches."""
