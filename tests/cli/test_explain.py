"""`explain` as a shell meets it: words, JSON, a page, the study, and a line for what cannot be done."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ser_core.audio import waveform
from ser_core.system import priority
from tests.support import corpora
from tests.support.models import change

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "pages" / "samples" / "bright.flac"


def test_each_model_is_explained_in_words(run):
    status, out, lines = run("explain", SAMPLE, "--model", "mlp")
    assert (status, lines) == (0, [])
    assert out.startswith("mlp: ") and "Points that each group adds: pitch " in out


def test_json_has_the_figures_and_a_page_is_written(run, tmp_path):
    target = tmp_path / "why.html"
    status, out, lines = run("explain", SAMPLE, "--model", "knn", "--model", "mlp", "--json", "--html", target)
    assert status == 0 and lines == [f"{target}: written"]
    found = json.loads(out)
    assert found["file"] == "bright.flac" and [each["model"] for each in found["models"]] == ["knn", "mlp"]
    first = found["models"][0]
    assert set(first["measures"]["fall"]) == {"pitch", "loudness", "timbre", "rhythm", "voice quality"}
    assert first["sentences"] and first["parts"] is None and first["better_than_chance"] is None
    assert "bright.flac" in target.read_text(encoding="utf-8")


def test_the_shipped_networks_have_maps(run, monkeypatch):
    monkeypatch.setenv("SER_MODELS", str(ROOT / "models"))
    status, out, _ = run("explain", SAMPLE, "--model", "cnn", "--label", "sad", "--json")
    (found,) = json.loads(out)["models"]
    assert status == 0 and found["label"] == "sad" and isinstance(found["better_than_chance"], bool)
    assert len(found["occlusion"]["fall"]) == 8 and found["occlusion"]["deletion"]["shares"][0] == 0


def test_what_cannot_be_explained_is_a_line(run, tmp_path, models):
    quiet = tmp_path / "quiet.wav"
    quiet.write_bytes(waveform.encode_wav(waveform.Waveform(np.zeros(16_000, np.float32), 16_000)))
    long = tmp_path / "long.wav"
    noise = np.random.default_rng(0).normal(0, 0.1, 16_000 * 9).astype(np.float32)
    long.write_bytes(waveform.encode_wav(waveform.Waveform(noise, 16_000)))
    change(models, "cnn", training={"imported": "2026-01-01T00:00:00+00:00"})
    for arguments, said in (
        ((), "Name a recording"),
        ((quiet,), "no speech"),
        ((long,), "the limit here is 8 s"),
        ((SAMPLE, "--model", "gone"), "no model 'gone'"),
        ((SAMPLE, "--label", "joy", "--model", "mlp"), "has no label 'joy'"),
        ((SAMPLE, "--model", "cnn"), "nobody knows"),
        ((SAMPLE, "--html", tmp_path / "nowhere" / "a.html"), "its folder does not exist"),
        (("--study",), "name one with --corpus"),
        (("--study", "--corpus", "ravdess", "--clips", "0"), "--clips must be 1 or more"),
        (("--study", "--corpus", "ravdess", "--model", "mlp"), "There is no map of mlp"),
    ):
        status, out, lines = run("explain", *arguments)
        assert status == 2 and out == "" and any(said in line for line in lines), (arguments, lines)


@pytest.mark.parametrize("form", ["--json", ""])
def test_the_study_says_how_much_faster_the_probability_falls(run, tmp_path, monkeypatch, form):
    monkeypatch.setattr(priority, "settle", lambda: None)
    monkeypatch.setenv("SER_MODELS", str(ROOT / "models"))
    corpora.build(tmp_path)
    given = [
        "--study",
        "--corpus",
        f"ravdess={tmp_path / 'ravdess'}",
        "--model",
        "cnn",
        "--clips",
        "3",
        *filter(None, [form]),
    ]
    status, out, _ = run("explain", *given)
    assert status == 0
    if form:
        (curve,) = json.loads(out)["models"]
        assert curve["model"] == "cnn" and 1 <= curve["n_clips"] <= 3 and curve["n_speakers"] <= 2
        assert curve["low"] <= curve["area"] <= curve["high"] and len(curve["by_map"]) == len(curve["shares"])
    else:
        assert "cnn: " in out and "better than chance on" in out
