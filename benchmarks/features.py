"""Time the features of a 3 s clip: ours from one STFT, against the same features by one librosa call each.

python benchmarks/features.py [--json]: medians in milliseconds, loading the WAV included on both sides ("ours_ms",
"librosa_ms", "ratio"), and ours without loading ("extract_ms"). One process, one thread.
"""

import os

os.environ |= dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")

import argparse
import io
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import librosa
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ser_core import audio, features  # noqa: E402

CONFIG = features.FeatureConfig()


def clip() -> bytes:
    """Return 3 s of a sample as a 16-bit WAV at 16 kHz."""
    waveform = audio.decode(sorted((ROOT / "pages" / "samples").glob("*.flac"))[0]).waveform
    samples = np.resize(waveform.samples, 3 * waveform.sample_rate)
    return audio.encode_wav(audio.Waveform(samples, waveform.sample_rate))


def ours(data: bytes) -> None:
    """Everything the four models need."""
    measured = features.extract(audio.decode(data).waveform, CONFIG)
    features.summary(measured)
    features.windows(measured)


def with_librosa(data: bytes) -> None:
    """The same frame features, as most projects compute them."""
    y, rate = librosa.load(io.BytesIO(data), sr=CONFIG.sample_rate)
    y, _ = librosa.effects.trim(y, top_db=CONFIG.trim_top_db, frame_length=CONFIG.win_length, hop_length=CONFIG.hop_length)
    stft = {"n_fft": CONFIG.n_fft, "hop_length": CONFIG.hop_length, "win_length": CONFIG.win_length}
    frames = {"frame_length": CONFIG.win_length, "hop_length": CONFIG.hop_length}
    mel = {"n_mels": CONFIG.n_mels, "fmin": CONFIG.fmin, "fmax": CONFIG.fmax}
    librosa.power_to_db(librosa.feature.melspectrogram(y=y, sr=rate, **mel, **stft))
    mfcc = librosa.feature.mfcc(y=y, sr=rate, n_mfcc=CONFIG.n_mfcc, **mel, **stft)
    librosa.feature.delta(mfcc)
    librosa.feature.delta(mfcc, order=2)
    librosa.feature.chroma_stft(y=y, sr=rate, **stft)
    librosa.feature.zero_crossing_rate(y, **frames)
    librosa.feature.rms(y=y, **frames)
    librosa.feature.spectral_centroid(y=y, sr=rate, **stft)
    librosa.feature.spectral_rolloff(y=y, sr=rate, **stft)
    librosa.feature.spectral_flatness(y=y, **stft)
    librosa.feature.spectral_contrast(y=y, sr=rate, n_bands=features.N_CONTRAST_BANDS, **stft)
    librosa.yin(y, fmin=features.F0_MIN, fmax=features.F0_MAX, sr=rate, frame_length=CONFIG.n_fft, hop_length=CONFIG.hop_length)


def median_ms(runs: dict[str, Callable[[], object]], *, n: int = 60) -> dict[str, float]:
    """Return the median of each run in milliseconds, the runs taken in turn after five rounds of warm-up."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(n + 5):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if turn >= 5:
                times[name].append((time.perf_counter() - start) * 1000)
    return {name: round(statistics.median(values), 3) for name, values in times.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    data = clip()
    waveform = audio.decode(data).waveform

    def extract_only() -> None:
        measured = features.extract(waveform, CONFIG)
        features.summary(measured)
        features.windows(measured)

    figures = median_ms({"ours_ms": lambda: ours(data), "librosa_ms": lambda: with_librosa(data), "extract_ms": extract_only})
    figures["ratio"] = round(figures["librosa_ms"] / figures["ours_ms"], 2)
    if options.json:
        print(json.dumps(figures))
    else:
        print(
            f"3 s clip: {figures['ours_ms']} ms (without loading {figures['extract_ms']} ms); "
            f"one librosa call each {figures['librosa_ms']} ms; {figures['ratio']} times faster"
        )


if __name__ == "__main__":
    main()
