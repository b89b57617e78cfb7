"""Makes the sample clips of the Recognize page again: `python -m tools.make_samples` (needs the program espeak-ng).

A speech synthesiser speaks them: no recording of a person is used, and no emotion is claimed. The settings are written
beside them in samples.json, which the page reads.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import scipy.linalg
import scipy.signal
import soundfile

FOLDER = Path(__file__).resolve().parents[1] / "pages" / "samples"
SAMPLE_RATE = 22_050
PAUSE_S = 0.25
NO_SPEECH = "no_speech"
LICENCE = "Synthetic, free to redistribute: the program espeak-ng is under GPL-3, which does not cover what it speaks."


@dataclass(frozen=True)
class Voice:
    """Settings of espeak-ng: a voice, base pitch 0..99, words a minute, pitch range in SSML's words; peak in dB re full scale.

    whispered: noise takes the place of the voice (`whisper`), since a variant of the program by that name has a voice still.
    """

    slug: str
    title: str
    text: str
    voice: str
    pitch: int
    words_per_minute: int
    pitch_range: str
    peak_dbfs: float
    whispered: bool = False


VOICES = (
    Voice(
        "bright",
        "Synthetic voice, bright",
        "Look, the sun is out, and the whole garden is in bloom!",
        voice="en-us+f4",
        pitch=65,
        words_per_minute=175,
        pitch_range="high",
        peak_dbfs=-6.0,
    ),
    Voice(
        "flat",
        "Synthetic voice, flat",
        "The next train to the harbour leaves from platform two.",
        voice="en-gb+m3",
        pitch=40,
        words_per_minute=160,
        pitch_range="x-low",
        peak_dbfs=-9.0,
    ),
    Voice(
        "slow_low",
        "Synthetic voice, slow and low",
        "It has been raining for nine days.",
        voice="en-gb+m7",
        pitch=12,
        words_per_minute=100,
        pitch_range="low",
        peak_dbfs=-14.0,
    ),
    Voice(
        "fast_loud",
        "Synthetic voice, fast and loud",
        "I told you twice to close that door, and now it is wide open again!",
        voice="en-us+m1",
        pitch=80,
        words_per_minute=235,
        pitch_range="x-high",
        peak_dbfs=-0.5,
    ),
    Voice(
        "whisper",
        "Synthetic voice, whispering",
        "Be quiet, there is somebody behind the curtain.",
        voice="en-gb+f2",
        pitch=50,
        words_per_minute=150,
        pitch_range="medium",
        peak_dbfs=-16.0,
        whispered=True,
    ),
)


def speak(voice: Voice) -> np.ndarray:
    """Return what espeak-ng says, float (n,) at SAMPLE_RATE, with a short pause before and after, at the level of `voice`."""
    ssml = f'<speak><prosody range="{voice.pitch_range}">{voice.text}</prosody></speak>'
    command = [
        "espeak-ng",
        "-m",
        "-v",
        voice.voice,
        "-p",
        str(voice.pitch),
        "-s",
        str(voice.words_per_minute),
        "--stdout",
        ssml,
    ]
    spoken = subprocess.run(command, check=True, capture_output=True).stdout
    samples, rate = soundfile.read(io.BytesIO(spoken))
    if rate != SAMPLE_RATE:
        raise RuntimeError(
            f"espeak-ng speaks at {rate} Hz, expected {SAMPLE_RATE} Hz. Choose one of its own voices, not an MBROLA voice."
        )
    heard = np.flatnonzero(np.abs(samples) > 1e-3)
    samples = samples[heard[0] : heard[-1] + 1]
    if voice.whispered:
        samples = whisper(samples, sample_rate=SAMPLE_RATE, rng=np.random.default_rng(0))
    return np.pad(samples / np.abs(samples).max() * 10 ** (voice.peak_dbfs / 20), round(PAUSE_S * SAMPLE_RATE))


def whisper(samples: np.ndarray, *, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Return what is spoken as a whisper, float (n,): in each 30 ms, noise as loud as the voice goes through the same vocal tract.

    Linear prediction (Atal and Hanauer 1971) gives the tract's resonances, and what is left over is the voice; consonants without one
    stay as they are, but for chance.
    """
    n, order = round(0.03 * sample_rate), 2 + sample_rate // 1000
    hop = n // 3
    window = np.hanning(n + 1)[:n]
    breath, whispered, overlap = rng.standard_normal(len(samples)), np.zeros(len(samples)), np.zeros(len(samples))
    for start in range(0, len(samples) - n + 1, hop):
        here = slice(start, start + n)
        piece = samples[here] * window
        correlation = np.correlate(piece, piece, "full")[n - 1 : n + order]
        correlation[0] = 1.0001 * correlation[0] + 1e-9
        tract = np.append(1.0, -scipy.linalg.solve_toeplitz(correlation[:-1], correlation[1:]))
        level = np.sqrt(np.sum(scipy.signal.lfilter(tract, [1.0], piece) ** 2) / np.sum(window**2))
        whispered[here] += level * window * scipy.signal.lfilter([1.0], tract, breath[here])
        overlap[here] += window
    return whispered / np.maximum(overlap, 0.1)


def background_noise(*, duration_s: float, level_dbfs: float, rng: np.random.Generator) -> np.ndarray:
    """Return the steady noise of a quiet room, float (n,): power falls with frequency as in pink noise."""
    n = round(duration_s * SAMPLE_RATE)
    spectrum = np.fft.rfft(rng.normal(size=n)) / np.sqrt(np.maximum(np.fft.rfftfreq(n, 1 / SAMPLE_RATE), 50.0))
    noise = np.fft.irfft(spectrum, n)
    levelled: np.ndarray = noise / np.sqrt(np.mean(noise**2)) * 10 ** (level_dbfs / 20)
    return levelled


def main() -> int:
    """Write the clips and samples.json."""
    if not shutil.which("espeak-ng"):
        print(
            "The program espeak-ng is missing. Install it (Debian: apt-get install espeak-ng) and call this again.",
            file=sys.stderr,
        )
        return 1
    FOLDER.mkdir(parents=True, exist_ok=True)
    rows = []
    for voice in VOICES:
        settings = {name: value for name, value in asdict(voice).items() if name not in ("slug", "title", "text")}
        rows.append(
            _write(
                voice.slug,
                speak(voice),
                title=voice.title,
                text=voice.text,
                made_with={"program": "espeak-ng", **settings},
            )
        )
    noise_settings = {"duration_s": 2.5, "level_dbfs": -58.0}
    noise = background_noise(**noise_settings, rng=np.random.default_rng(0))
    rows.append(
        _write(
            NO_SPEECH,
            noise,
            title="No speech, only background noise",
            text="(nobody speaks)",
            made_with={"program": "numpy, pink noise", **noise_settings},
        )
    )
    (FOLDER / "samples.json").write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return 0


def _write(slug: str, samples: np.ndarray, **facts: object) -> dict[str, object]:
    soundfile.write(FOLDER / f"{slug}.flac", samples, SAMPLE_RATE, subtype="PCM_16")
    return {"file": f"{slug}.flac", **facts, "synthetic": True, "licence": LICENCE}


if __name__ == "__main__":
    sys.exit(main())
