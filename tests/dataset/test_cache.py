"""What is measured of fixed sounds is what it was under this FEATURES_VERSION, so that a kept measurement is never a stale one.

`python -m tests.dataset.test_cache` measures them again and writes golden.npz: do so when the number has risen.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ser_core.audio.waveform import SAMPLE_RATE, Waveform, encode_wav
from ser_core.corpora import catalogue
from ser_core.dataset import build, cache
from ser_core.features import config

GOLDEN = Path(__file__).with_name("golden.npz")
SETTINGS = {"plain": config.FeatureConfig(), "mel": config.FeatureConfig(network_input=config.MEL, n_mels=40)}


def sound() -> Waveform:
    """Return two seconds of harmonics that glide from 120 to 240 Hz in four syllables, with faint noise and a silent end."""
    t = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    phase = 2 * np.pi * np.cumsum(120 + 60 * t) / SAMPLE_RATE
    harmonics = sum(np.sin(k * phase) / k for k in range(1, 20))
    syllables = np.clip(np.sin(2 * np.pi * 2 * t), 0, None) * (t < 1.8)
    noise = np.random.default_rng(1).normal(scale=0.002, size=len(t))
    return Waveform((0.2 * harmonics * syllables + noise).astype(np.float32), SAMPLE_RATE)


def measured(folder: Path) -> dict[str, np.ndarray]:
    """Return what is measured of the sound, as it lies in a file and with one augmented copy, under each of the settings."""
    path = folder / "sound.wav"
    path.write_bytes(encode_wav(sound()))
    found = {}
    for name, settings in SETTINGS.items():
        data = build.build(pd.DataFrame({catalogue.PATH: [str(path)]}), settings, n_copies=1)
        found |= {
            f"{name} vector": data.vectors[0],
            f"{name} copy": data.vectors[1],
            f"{name} windows": data.windows.astype(float).mean(axis=(0, 1)),
        }
        found |= {
            f"{name} spread": data.windows.astype(float).std(axis=(0, 1)),
            f"{name} facts": data.facts.to_numpy(float)[0],
        }
    return found


def test_fixed_sounds_measure_as_they_did_under_this_version(tmp_path: Path) -> None:
    with np.load(GOLDEN, allow_pickle=False) as golden:
        kept = dict(golden)
    assert int(kept.pop("version")) == cache.FEATURES_VERSION, (
        "write golden.npz again: python -m tests.dataset.test_cache"
    )
    found = measured(tmp_path)
    assert set(found) == set(kept)
    for name, expected in kept.items():
        difference = np.abs(found[name] - expected) / (1e-3 + np.abs(expected))
        assert np.nanmax(difference) < 1e-2 and np.array_equal(np.isnan(found[name]), np.isnan(expected)), (
            f"{name} has changed: raise FEATURES_VERSION in ser_core/dataset/cache.py, then run python -m tests.dataset.test_cache"
        )


def test_the_version_is_a_part_of_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = cache.version()
    monkeypatch.setattr(cache, "FEATURES_VERSION", cache.FEATURES_VERSION + 1)
    assert cache.version() != before


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        np.savez_compressed(GOLDEN, version=cache.FEATURES_VERSION, **measured(Path(place)))
    sys.stdout.write(f"{GOLDEN} has {GOLDEN.stat().st_size:,} bytes.\n")
