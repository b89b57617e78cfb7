"""Time the features of a 3 s clip: ours from one STFT, against the same features by one librosa call each.

python benchmarks/features.py [--json]: medians in milliseconds, loading the WAV included on both sides: "frames_ms" and "librosa_ms"
are the features frame by frame, and "ratio" is the one against the other; "ours_ms" is everything that the four models need, the
statistics of the summary included, which librosa has no call for, and "extract_ms" is that without loading. One thread.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ser_core.system import priority

priority.limit_threads()

import argparse
import io
import json
import statistics
import subprocess
import time
from collections.abc import Callable

import librosa
import numpy as np

from ser_core.audio import decoding
from ser_core.audio.waveform import Waveform, encode_wav
from ser_core.features import config, extraction, pitch, vectors

CONFIG = config.FeatureConfig()


def clip() -> bytes:
    """Return 3 s of a sample as a 16-bit WAV at 16 kHz."""
    waveform = decoding.decode(sorted((ROOT / "pages" / "samples").glob("*.flac"))[0]).waveform
    samples = np.resize(waveform.samples, 3 * waveform.sample_rate)
    return encode_wav(Waveform(samples, waveform.sample_rate))


def ours(data: bytes) -> None:
    """Everything the four models need."""
    measured = extraction.extract(decoding.decode(data).waveform, CONFIG)
    vectors.summary(measured)
    vectors.windows(measured)


def frames(data: bytes) -> None:
    """The features frame by frame: those that `with_librosa` computes, and more."""
    extraction.extract(decoding.decode(data).waveform, CONFIG)


def with_librosa(data: bytes) -> None:
    """The same frame features, as most projects compute them."""
    y, rate = librosa.load(io.BytesIO(data), sr=CONFIG.sample_rate)
    y, _ = librosa.effects.trim(
        y, top_db=CONFIG.trim_top_db, frame_length=CONFIG.win_length, hop_length=CONFIG.hop_length
    )
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
    librosa.feature.spectral_contrast(y=y, sr=rate, n_bands=extraction.N_CONTRAST_BANDS, **stft)
    librosa.yin(
        y, fmin=config.F0_MIN, fmax=pitch.F0_MAX, sr=rate, frame_length=CONFIG.n_fft, hop_length=CONFIG.hop_length
    )


def extract_only(data: bytes) -> Callable[[bytes], None]:
    """Return what `ours` does once the clip is loaded."""
    waveform = decoding.decode(data).waveform

    def run(_: bytes) -> None:
        measured = extraction.extract(waveform, CONFIG)
        vectors.summary(measured)
        vectors.windows(measured)

    return run


def median_ms(side: str, *, n: int = 100) -> float:
    """Return the median time of one side in milliseconds, after ten runs that do not count."""
    data = clip()
    run = {"ours": ours, "frames": frames, "librosa": with_librosa, "extract": extract_only(data)}[side]
    times = []
    for _ in range(n + 10):
        start = time.perf_counter()
        run(data)
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times[10:])


def main() -> None:
    """Measure each side in processes of its own, in turn, and print the medians.

    Together in one process, what one side leaves in the allocator costs the other a third of its time.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--side", choices=("ours", "frames", "librosa", "extract"), help="measure this one alone and print its median"
    )
    options = parser.parse_args()
    if options.side:
        print(median_ms(options.side))
        return
    times: dict[str, list[float]] = {"ours": [], "frames": [], "librosa": [], "extract": []}
    for _ in range(3):
        for side, values in times.items():
            done = subprocess.run(
                [sys.executable, __file__, "--side", side], capture_output=True, text=True, check=True
            )
            values.append(float(done.stdout))
    figures = {f"{side}_ms": round(statistics.median(values), 3) for side, values in times.items()}
    figures["ratio"] = round(figures["librosa_ms"] / figures["frames_ms"], 2)
    if options.json:
        print(json.dumps(figures))
    else:
        print(
            f"3 s clip: {figures['ours_ms']} ms (without loading {figures['extract_ms']} ms); frame by frame {figures['frames_ms']} ms, "
            f"with one librosa call each {figures['librosa_ms']} ms: {figures['ratio']} times faster"
        )


if __name__ == "__main__":
    main()
