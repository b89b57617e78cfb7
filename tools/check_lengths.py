"""Holds the lengths of damaged recordings against FFmpeg's: `python -m tools.check_lengths --inputs 1000 --seed 0 [--json]`.

Of each container, so many copies are made whose headers are changed: a length field becomes zero, too small or too large, or any bytes
of the header change; the pages of an Ogg file get checksums that fit, so that what was changed is read. Each must be read to the length
that FFmpeg reads by itself, or carry a sentence: an error, a remark, or that it is cut off. Ends with 1 where one is shorter or longer
without a word; such inputs are kept under build/lengths/.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from ser_core.audio import decoding
from ser_core.errors import AudioError
from tools import fuzz_seeds, mutate

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "build" / "lengths"
TOLERANCE_S = 0.06
"""Codecs pad, and one decoder skips the padding that another one keeps."""
HEADER = 512
"""Bytes at the start in which headers lie; those of some files lie at their end too."""

OUTCOMES = ("same", "whole", "error", "remark", "different")
"""As long as FFmpeg's, or as before it was changed (FFmpeg gave up, or read less); refused or told; none of these."""


def mutate_lengths(data: bytes, rng: np.random.Generator) -> bytes:
    """Return a file with one to three numbers of its headers changed: to nothing, to half, to twice, to the most, or to anything."""
    for _ in range(int(rng.integers(1, 4))):
        size = int(mutate.pick(rng, (1, 2, 4, 4, 8)))
        order = mutate.pick(rng, ("little", "big"))
        reach = min(int(mutate.pick(rng, (48, 128, HEADER))), len(data) - size)
        at = int(rng.integers(reach)) if rng.random() < 0.85 else int(rng.integers(len(data) - reach, len(data) - size))
        now = int.from_bytes(data[at : at + size], order)
        new = int(
            mutate.pick(rng, (0, now // 2, now * 2, now - 1, now + 1, 2 ** (8 * size) - 1, int(rng.integers(2**31))))
        )
        data = data[:at] + (new % 2 ** (8 * size)).to_bytes(size, order) + data[at + size :]
    return data


def with_checksums(data: bytes) -> bytes:
    """Return an Ogg file whose pages have checksums that fit what is in them now: decoders leave out a page whose sum is wrong."""
    at = data.find(b"OggS")
    while at >= 0:
        lacing = data[at + 27 : at + 27 + data[at + 26]] if at + 27 < len(data) else b""
        stop = at + 27 + len(lacing) + sum(lacing)
        page = data[at : at + 22] + bytes(4) + data[at + 26 : stop]
        if len(page) == stop - at:
            data = data[: at + 22] + _ogg_checksum(page).to_bytes(4, "little") + data[at + 26 :]
        at = data.find(b"OggS", at + 4)
    return data


def _ogg_checksum(page: bytes) -> int:
    value = 0
    for byte in page:
        value = value << 8 & 0xFFFF_FFFF ^ _OGG_TABLE[value >> 24 ^ byte]
    return value


def _ogg_table() -> list[int]:
    table = []
    for value in range(256):
        value <<= 24
        for _ in range(8):
            value = value << 1 & 0xFFFF_FFFF ^ (0x04C1_1DB7 if value & 0x8000_0000 else 0)
        table.append(value)
    return table


_OGG_TABLE = _ogg_table()


def ffmpeg_duration(data: bytes, kind: str) -> float | None:
    """Return how many seconds of the first sound track FFmpeg decodes by itself, None where it cannot."""
    n, rate = 0, 0
    try:
        with av.open(io.BytesIO(data), "r", format=kind, metadata_errors="replace") as container:
            stream = container.streams.audio[0]
            packets = container.demux(stream)
            while n <= 700 * 48_000:
                packet = next(packets, None)
                if packet is None:
                    break
                try:
                    frames = packet.decode()
                except (av.FFmpegError, ValueError, EOFError):
                    continue
                for frame in frames:
                    n, rate = n + frame.samples, rate or frame.sample_rate
    except Exception:  # PyAV raises a mixed bag
        pass
    return n / rate if rate else None


def judge(
    data: bytes, kind: str, *, whole_s: float, whole_rate: int | None = None, tolerance_s: float = TOLERANCE_S
) -> str:
    """Return what becomes of a file: one of OUTCOMES; whole_s, whole_rate: its length and rate before it was changed."""
    try:
        clip = decoding.decode(data, name="clip")
    except AudioError:
        return "error"
    expected = ffmpeg_duration(data, kind)
    if expected is not None and abs(clip.waveform.duration_s - expected) <= tolerance_s + 0.01 * expected:
        return "same"
    # All samples count where FFmpeg gives up or reads less, whatever rate the header says.
    reads_more = expected is None or clip.waveform.duration_s > expected
    times = clip.source_rate / whole_rate if whole_rate and reads_more else 1.0
    if abs(clip.waveform.duration_s * times - whole_s) <= tolerance_s:
        return "whole"
    return "remark" if clip.truncated or clip.remarks else "different"


def seeds() -> Iterator[tuple[str, str, bytes]]:
    """Yield a title, FFmpeg's name of the format and the bytes of one file of each container and codec."""
    found = fuzz_seeds.sounds(Path())
    written = [row for row in fuzz_seeds.FFMPEG if row[1] in av.codecs_available]
    kinds = {"WAV": "wav", "WAVEX": "wav", "RF64": "wav", "NIST": "nistsphere", "ALAC_16": "caf"}
    for row, data in zip((*fuzz_seeds.SNDFILE, *written), found, strict=True):
        container, codec = row[0], row[1]
        kind = kinds.get(container, container.lower())
        yield (
            f"{container} {codec}",
            {"adts": "aac", "ipod": "mov", "mp4": "mov", "3gp": "mov", "webm": "matroska"}.get(kind, kind),
            data,
        )


def main() -> int:
    """Check and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=1000, metavar="N", help="copies of each file (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, metavar="S")
    parser.add_argument("--only", default="", metavar="TEXT", help="files whose title holds this text")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    av.logging.set_level(av.logging.PANIC)
    total, begun, figures = Counter[str](), time.perf_counter(), {}
    for title, kind, data in seeds():
        if options.only.lower() not in title.lower():
            continue
        rng = np.random.default_rng([options.seed, *title.encode()])
        counts = Counter[str]()
        # FFmpeg does not leave out what pads the last packet of some whole files.
        clip = decoding.decode(data)
        whole_s, whole_rate = clip.waveform.duration_s, clip.source_rate
        padding_s = abs(whole_s - (ffmpeg_duration(data, kind) or 0.0))
        for number in range(options.inputs):
            changed = mutate_lengths(data, rng)
            if kind == "ogg":
                changed = with_checksums(changed)
            outcome = judge(changed, kind, whole_s=whole_s, whole_rate=whole_rate, tolerance_s=TOLERANCE_S + padding_s)
            counts[outcome] += 1
            if outcome == "different":
                KEPT.mkdir(parents=True, exist_ok=True)
                (KEPT / f"{title.replace(' ', '-')}.{options.seed}.{number}").write_bytes(changed)
        total += counts
        figures[title] = {each: counts[each] for each in OUTCOMES}
        if not options.json:
            print(f"{title:24}", *(f"{counts[each]:6} {each}" for each in OUTCOMES), flush=True)
    summary = {
        "seed": options.seed,
        "seconds": round(time.perf_counter() - begun),
        **{each: total[each] for each in OUTCOMES},
    }
    print(json.dumps(summary | {"files": figures} if options.json else summary))
    return 1 if total["different"] else 0


if __name__ == "__main__":
    sys.exit(main())
