"""Time from a sound in the microphone to its first showing in the Live page's trace, in a real Chromium with pulses for a voice.

python benchmarks/live.py [--seconds N] [--json]: "p95_ms" and "median_ms" over the pulses, "limit_ms" (the hop and 300 ms), "lost_ms" of
sound (how much shorter the kept sound is between first and last pulse), and "server_mb": its memory after 20 s, at most, at the end.
"""

import argparse
import io
import json
import re
import statistics
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ser_core.audio import decoding
from tools.browser import MICROPHONE_FLAGS, system_browser
from tools.servers import serve

RATE = 48_000
PERIOD_S, PULSE_S = 3.37, 0.4
"""No multiple of the hop: pulses fall anywhere between two answers."""

HEAR = """
window.pulses = []; window.shown = [];
const original = navigator.mediaDevices && navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
if (original) navigator.mediaDevices.getUserMedia = async (wanted) => {
  const stream = await original(wanted), context = new AudioContext(), analyser = context.createAnalyser();
  analyser.fftSize = 256;
  context.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(256);
  let quietSince = performance.now();
  setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    const loud = samples.some((value) => Math.abs(value) > 0.02), now = performance.now();
    if (loud && now - quietSince > 1000) window.top.pulses.push(performance.timeOrigin + now);
    if (loud) quietSince = now;
  }, 4);
  return stream;
};
if (window === window.top) {
  let last = -1, quiet = true;
  const look = () => {
    for (const bar of document.querySelectorAll('.ser-level i')) {
      const end = Number(bar.dataset.end);
      if (end <= last) continue;
      last = end;
      const loud = parseFloat(bar.style.height) > 25;
      if (loud && quiet) window.shown.push(performance.timeOrigin + performance.now());
      quiet = !loud;
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}
"""


def pulses(seconds: float) -> np.ndarray:
    """Return bursts of a voice-like sound, one each PERIOD_S, float32 at RATE."""
    t = np.arange(round(PULSE_S * RATE)) / RATE
    burst = sum(np.sin(2 * np.pi * k * (160 * t + 20 * t**2)) / k for k in range(1, 25)) * np.hanning(len(t)) ** 0.2
    sound = np.zeros(round(seconds * RATE), np.float32)
    for start_s in np.arange(2.0, seconds - 1, PERIOD_S):
        place = round(start_s * RATE)
        sound[place : place + len(burst)] = 0.3 * burst / np.abs(burst).max()
    return sound


def latencies_ms(heard: list[float], shown: list[float]) -> list[float]:
    """Return for each pulse heard how long it took until one was shown; a pulse that never was raises ValueError."""
    found = []
    for number, start in enumerate(heard):
        end = heard[number + 1] if number + 1 < len(heard) else float("inf")
        found.append(next((at - start for at in shown if start <= at < end), float("inf")))
    if found and found[-1] == float("inf"):
        found.pop()  # the last one may have come after the stop
    if not found or max(found) == float("inf"):
        raise ValueError(f"Of {len(heard)} pulses, {sum(each == float('inf') for each in found)} were never shown.")
    return found


def onsets(wav: bytes) -> np.ndarray:
    """Return when the pulses begin in a recording, in s."""
    samples, rate = soundfile.read(io.BytesIO(wav))
    loud = np.flatnonzero(np.abs(samples) > 0.02) / rate
    return loud[np.diff(loud, prepend=-9) > 1]


def listen(page: Page, url: str, seconds: float) -> tuple[list[float], list[float], bytes]:
    """Run a session and return when pulses were heard and shown (ms), and the sound that the page kept."""
    page.add_init_script(HEAR)
    page.goto(f"{url}/live")
    controls = page.frame_locator("iframe[title*=webrtc]")
    controls.get_by_role("button", name="Start listening").click()
    page.get_by_text("Predictions: the last").wait_for(timeout=60_000)
    page.wait_for_timeout(1000 * seconds)
    times = page.evaluate("[window.pulses, window.shown]")
    controls.get_by_role("button", name="Stop").click()
    page.get_by_role("heading", name="Your session").wait_for(timeout=60_000)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Sound (WAV)").click()
    return times[0], times[1], Path(waiting.value.path()).read_bytes()


def watch_memory(pid: int, found: list[int], ended: threading.Event) -> None:
    """Add the memory of a process in MB to `found`, each ten seconds from the twentieth on, where the system tells it."""
    status = Path(f"/proc/{pid}/status")
    wait_s = 20.0
    while not ended.wait(wait_s) and status.exists():
        wait_s = 10.0
        found.append(int(re.findall(r"VmRSS:\s+(\d+)", status.read_text())[0]) // 1024)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=90)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        mic = Path(folder) / "pulses.wav"
        soundfile.write(mic, pulses(options.seconds + 30), RATE, subtype="PCM_16")
        with serve() as server:
            browser = playwright.chromium.launch(
                executable_path=system_browser(),
                args=[*MICROPHONE_FLAGS, f"--use-file-for-fake-audio-capture={mic}%noloop"],
            )
            page = browser.new_context(permissions=["microphone"], viewport={"width": 1280, "height": 900}).new_page()
            memory: list[int] = []
            ended = threading.Event()
            watcher = threading.Thread(target=watch_memory, args=(server.process.pid, memory, ended))
            watcher.start()
            heard, shown, wav = listen(page, server.url, options.seconds)
            ended.set()
            watcher.join()
            browser.close()
    times = latencies_ms(heard, shown)
    found = onsets(wav)
    figures: dict[str, Any] = {
        "p95_ms": round(float(np.percentile(times, 95))),
        "median_ms": round(statistics.median(times)),
        "limit_ms": 800,
        "pulses": len(times),
        "lost_ms": round(1000 * ((len(found) - 1) * PERIOD_S - (found[-1] - found[0])), 1),
        "seconds": round(decoding.decode(wav).waveform.duration_s, 1),
        "server_mb": [memory[0], max(memory), memory[-1]] if memory else None,
    }
    print(json.dumps(figures) if options.json else figures)


if __name__ == "__main__":
    main()
