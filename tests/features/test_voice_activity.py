"""Silero VAD as it lies here: what it hears, frame by frame, at any sample rate and length."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from ser_core.audio.waveform import Waveform, resample
from ser_core.features import voice_activity
from tests.support import sounds
from tests.support.signals import RATE


def heard(samples: np.ndarray, rate: int = RATE) -> np.ndarray:
    return voice_activity.probabilities(Waveform(samples.astype(np.float32), rate))


def test_a_voice_is_heard_where_it_is() -> None:
    likely = heard(sounds.voice(8, pause_s=1.0))
    times = np.arange(len(likely)) * voice_activity.FRAME_S
    assert likely.dtype == np.float32 and ((likely >= 0) & (likely <= 1)).all()
    assert (likely[(times > 1.2) & (times < 2.8)] > 0.5).mean() > 0.9
    assert (likely[(times < 0.9) | (times > 3.3)] < 0.5).all()


@pytest.mark.parametrize("n", [1, 511, 512, 513, 1600])
def test_each_512_samples_have_a_probability(n: int) -> None:
    assert heard(np.zeros(n)).shape == (-(-n // 512),)


def test_a_long_recording_is_heard_as_a_short_one_is() -> None:
    samples = np.tile(sounds.voice(8, pause_s=0.25), 9)  # 22 s: more than one call of the network
    block = voice_activity._BLOCK
    try:
        voice_activity._BLOCK = 10**6
        at_once = heard(samples)
    finally:
        voice_activity._BLOCK = block
    np.testing.assert_allclose(heard(samples), at_once, atol=1e-5)


@pytest.mark.parametrize("rate", [8000, 22_050, 48_000])
def test_other_sample_rates_are_heard_too(rate: int) -> None:
    other = resample(Waveform(sounds.voice(8).astype(np.float32), RATE), rate)
    assert (heard(other.samples, rate) > 0.5).sum() * voice_activity.FRAME_S > 1.0


def test_the_licence_lies_beside_the_network() -> None:
    assert "Silero Team" in (voice_activity.MODEL.parent / "LICENSE").read_text()


def test_the_module_loads_no_runtime_until_it_is_asked() -> None:
    code = "import sys; from ser_core.features import quality; sys.exit('onnxruntime' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_no_more_is_listened_to_than_is_enough_and_what_is_heard_until_then_is_the_same() -> None:
    clip = Waveform(sounds.voice(8).astype(np.float32), RATE)
    whole = voice_activity.probabilities(clip)
    part = voice_activity.probabilities(clip, enough=lambda likely: len(likely) >= 32)
    assert len(part) == 32 < len(whole)
    np.testing.assert_allclose(part, whole[:32], atol=1e-5)
