"""Filterbanks against librosa's, and against what their definitions say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ser_core.features import config, filterbanks

librosa = pytest.importorskip("librosa")

CONFIG = config.FeatureConfig()
SHAPES = [
    (CONFIG.sample_rate, CONFIG.n_fft, CONFIG.n_mels, CONFIG.fmin, CONFIG.fmax),
    (22_050, 2048, 128, 0.0, 11_025.0),
    (8_000, 512, 40, 50.0, 4_000.0),
    (16_000, 1024, 64, 1_500.0, 7_000.0),
]


@pytest.mark.parametrize(("rate", "n_fft", "n_mels", "fmin", "fmax"), SHAPES)
def test_mel_bands_are_librosas_to_the_last_bit(rate: int, n_fft: int, n_mels: int, fmin: float, fmax: float) -> None:
    ours = filterbanks.mel(rate, n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax)
    theirs = librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax)
    assert ours.dtype == np.float32 and np.array_equal(ours, theirs)
    centres = librosa.mel_frequencies(n_mels=n_mels, fmin=fmin, fmax=fmax)
    assert np.array_equal(filterbanks.mel_frequencies(n_mels, fmin=fmin, fmax=fmax), centres)


@pytest.mark.parametrize(("rate", "n_fft"), [(row[0], row[1]) for row in SHAPES])
def test_pitch_classes_are_librosas_to_the_last_bit(rate: int, n_fft: int) -> None:
    ours = filterbanks.chroma(rate, n_fft, n_chroma=12)
    assert ours.dtype == np.float32 and np.array_equal(
        ours, librosa.filters.chroma(sr=rate, n_fft=n_fft, n_chroma=12, tuning=0.0)
    )


def test_a_band_has_the_area_1() -> None:
    bands = filterbanks.mel(16_000, 65_536, n_mels=20, fmin=100.0, fmax=7_000.0)
    assert bands.sum(axis=1) * 16_000 / 65_536 == pytest.approx(np.ones(20), abs=1e-3)


@pytest.mark.parametrize(("hz", "number"), [(261.63, 0), (440.0, 9), (493.88, 11)])
def test_c_is_the_first_pitch_class_and_a_the_tenth(hz: float, number: int) -> None:
    assert filterbanks.chroma(16_000, 8_192, n_chroma=12)[:, round(hz * 8_192 / 16_000)].argmax() == number


def test_measuring_a_clip_loads_no_compiler() -> None:
    code = (
        "import sys; from ser_core.recognition import analysis; analysis.analyse('pages/samples/bright.flac'); "
        "print(sorted({'librosa', 'numba', 'llvmlite'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
