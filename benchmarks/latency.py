"""Time one clip from bytes to predictions: warm, one process, one thread.

python benchmarks/latency.py [--clip FILE] [--json]: "median_ms" and "p95_ms" of decode, features, quality report and the four models;
"all_ms" and "all_p95_ms" of the same with the pretrained encoder's model as a fifth; "models_ms" has the median of each classifier alone.
The default clip is a sample, made 3.5 s long, as 48 kHz stereo WAV.
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
import time
from typing import Any

import numpy as np
import soundfile

from ser_core.audio import decoding
from ser_core.audio.waveform import resample
from ser_core.recognition import analysis, store


def default_clip() -> bytes:
    """Return 3.5 s of a sample as 48 kHz stereo WAV, what a browser's upload often is."""
    waveform = resample(decoding.decode(sorted((ROOT / "pages" / "samples").glob("*.flac"))[0]).waveform, 48_000)
    samples = np.resize(waveform.samples, int(3.5 * 48_000))
    file = io.BytesIO()
    soundfile.write(file, np.stack([samples, samples], axis=1), 48_000, format="WAV", subtype="PCM_16")
    return file.getvalue()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clip", type=Path)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    data = options.clip.read_bytes() if options.clip else default_clip()
    recognizers = {slug: store.load(slug) for slug in store.SHIPPED}
    models: dict[str, list[float]] = {slug: [] for slug in store.SHIPPED}
    figures: dict[str, Any] = {}
    for name, slugs in (("median_ms", store.FOUR), ("all_ms", store.SHIPPED)):
        times = []
        for turn in range(options.runs + 10):
            start = time.perf_counter()
            predictions = analysis.recognize([recognizers[slug] for slug in slugs], analysis.analyse(data))
            if turn >= 10:
                times.append((time.perf_counter() - start) * 1000)
                for prediction in predictions:
                    if prediction.model in models:  # and not of all together
                        models[prediction.model].append(prediction.milliseconds)
        figures[name] = round(statistics.median(times), 2)
        figures["p95_ms" if name == "median_ms" else "all_p95_ms"] = round(float(np.percentile(times, 95)), 2)
    if not all(models.values()):
        sys.exit("The clip holds no speech, so no model answered. Choose another with --clip.")
    figures["models_ms"] = {slug: round(statistics.median(values), 2) for slug, values in models.items()}
    print(json.dumps(figures) if options.json else figures)


if __name__ == "__main__":
    main()
