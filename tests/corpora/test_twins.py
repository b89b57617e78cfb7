"""Files of one folder whose names are twins: two recordings, unless their sound is equal."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ser_core.corpora import twins

RATE = 16_000


def voice(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    time = np.arange(RATE) / RATE
    phase = 2 * np.pi * np.cumsum(rng.uniform(100, 200) + 20 * np.sin(rng.uniform(2, 5) * time)) / RATE
    tone = sum(np.sin(k * phase) / k for k in range(1, 9)) * np.sin(np.pi * rng.uniform(2, 4) * time) ** 2
    return (0.2 * tone + 0.002 * rng.standard_normal(RATE)).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "anna.wav", voice(0), RATE, subtype="PCM_16")
    return tmp_path


def copies(folder: Path) -> list[str]:
    return sorted(os.path.basename(path) for path in twins.copies([str(path) for path in folder.iterdir()]))


@pytest.mark.parametrize("name", ["anna.flac", "anna.aiff", "Anna.wav", "ANNA.WAV"])
def test_other_sound_under_a_twin_of_a_name_is_another_recording(name: str, folder: Path) -> None:
    soundfile.write(folder / name, voice(1), RATE, format="FLAC" if name.endswith("flac") else None)
    assert copies(folder) == []


@pytest.mark.parametrize(
    ("name", "subtype"), [("anna.flac", "PCM_16"), ("anna.aiff", "PCM_24"), ("Anna.wav", "PCM_24")]
)
def test_equal_samples_under_a_twin_of_a_name_are_a_copy(name: str, subtype: str, folder: Path) -> None:
    samples, rate = soundfile.read(folder / "anna.wav")
    soundfile.write(folder / name, samples, rate, subtype=subtype)
    assert len(copies(folder)) == 1 and copies(folder) != ["anna.wav"] * (name != "Anna.wav")


@pytest.mark.parametrize("ending", [".mp3", ".ogg"])
def test_a_lossy_copy_is_known_by_its_waveform(ending: str, folder: Path) -> None:
    soundfile.write(folder / f"anna{ending}", voice(0), RATE)
    assert copies(folder) == [f"anna{ending}"]
    soundfile.write(folder / f"anna{ending}", voice(1), RATE)
    assert copies(folder) == []


def test_files_that_are_no_sound_are_copies_where_their_bytes_are(tmp_path: Path) -> None:
    for name, content in {"a.wav": b"x", "a.mp3": b"x", "b.wav": b"x", "b.ogg": b"y"}.items():
        (tmp_path / name).write_bytes(content)
    assert copies(tmp_path) == ["a.mp3"]
