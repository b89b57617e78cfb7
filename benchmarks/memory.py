"""Memory of a server while a visitor gives Recognize an hour of speech, listens to all of it, and leaves.

python benchmarks/memory.py [--minutes N] [--formats wav,ogg] [--json]: for each format, a fresh server: the most resident memory while it
starts ("start_mb") and in each phase ("upload_mb", "listening_mb", "playing_mb"), with its child processes; "peak_mb" over all;
"children_mb" of the children alone; and "seconds" from upload to timeline. The hour is the synthetic voices, one after another with some
noise, at 16 kHz.
"""

import argparse
import asyncio
import io
import json
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import soundfile

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ser_core.audio import decoding, waveform
from tools.servers import each_of, serve
from tools.visitor import Visitor

RATE = waveform.SAMPLE_RATE
FORMATS = {
    "wav": ("WAV", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "flac": ("FLAC", "PCM_16"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}


def speech(minutes: float, ending: str) -> bytes:
    """Return so much speech as a file, written in pieces: libsndfile's Vorbis overflows its stack at an hour in one."""
    voices = [decoding.decode(file).waveform.samples for file in sorted((ROOT / "pages" / "samples").glob("*.flac"))]
    round_of_voices = np.concatenate([part for voice in voices for part in (voice, np.zeros(RATE // 2, np.float32))])
    rng = np.random.default_rng(0)
    file = io.BytesIO()
    container, codec = FORMATS[ending]
    left = round(minutes * 60 * RATE)
    with soundfile.SoundFile(file, "w", RATE, 1, format=container, subtype=codec) as out:
        while left > 0:
            piece = round_of_voices[:left]
            out.write(piece + 1e-3 * rng.standard_normal(len(piece)).astype(np.float32))
            left -= len(piece)
    return file.getvalue()


class Watch:
    """The memory of a process and its children, looked at 50 times a second: most_mb by phase."""

    def __init__(self, pid: int) -> None:
        self.phase = "start"
        self.most_mb: dict[str, float] = {}
        self.most_children_mb = 0.0
        self._process = psutil.Process(pid)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._ended.wait(0.02):
            each_mb = [memory.rss / 2**20 for memory in each_of(self._process, "memory_info")]
            self.most_children_mb = max(self.most_children_mb, sum(each_mb[1:]))
            self.most_mb[self.phase] = max(self.most_mb.get(self.phase, 0.0), sum(each_mb))

    def stop(self) -> None:
        """Look no more."""
        self._ended.set()
        self._thread.join()


async def visit(url: str, watch: Watch, name: str, data: bytes) -> float:
    """Give a server a long recording as a visitor does, and return seconds until its timeline is there."""
    async with Visitor(url) as visitor:
        await asyncio.sleep(5)  # the server loads its models meanwhile
        watch.phase = "upload"
        began = time.perf_counter()
        await visitor.upload(name, data, key="recognize.upload")
        watch.phase = "listening"
        await visitor.follow()
        seconds = time.perf_counter() - began
        if not list(visitor.all("plotly_chart")):
            sys.exit(f"There is no timeline: {visitor.problems()} {visitor.text()[:500]}")
        watch.phase = "playing"
        await asyncio.to_thread(visitor.fetch, visitor.sounds()[0])
        await visitor.rerun()
    return seconds


def measure(minutes: float, ending: str) -> dict[str, float]:
    """Return the figures of one format on a server of its own."""
    data = speech(minutes, ending)
    with serve() as server:
        watch = Watch(server.process.pid)
        seconds = asyncio.run(visit(server.url, watch, f"hour.{ending}", data))
        watch.stop()
    figures = {f"{phase}_mb": round(most) for phase, most in watch.most_mb.items()}
    return {
        "file_mb": round(len(data) / 2**20),
        **figures,
        "peak_mb": round(max(watch.most_mb.values())),
        "children_mb": round(watch.most_children_mb),
        "seconds": round(seconds, 1),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--formats", default="wav,ogg")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = {ending: measure(options.minutes, ending) for ending in options.formats.split(",")}
    print(json.dumps(figures) if options.json else figures)


if __name__ == "__main__":
    main()
