"""`what-if` as a shell meets it: sentences, JSON, and a line where there is nothing to try."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ser_core.audio import decoding, waveform
from ser_core.audio.degradations import CONDITIONS
from ser_core.explanation import what_if
from tests.support import models as tiny
from tests.support.signals import RATE

SAMPLES = Path(__file__).resolve().parents[2] / "pages" / "samples"


def test_every_model_gets_its_sentence_and_json_has_every_answer(run, models, tmp_path):
    tiny.pool(models, ("mlp", "knn"))
    clip = tmp_path / "clip.wav"
    voice = decoding.decode((SAMPLES / "bright.flac").read_bytes()).waveform
    clip.write_bytes(waveform.encode_wav(waveform.Waveform(voice.samples[: 2 * RATE], RATE)))
    options = "what-if", clip, "--model", "mlp", "--model", "knn"
    status, out, _ = run(*options)
    assert status == 0 and [line.partition(":")[0] for line in out.splitlines()] == ["together", "mlp", "knn"]
    assert "survives" in out and "*" not in out
    status, out, _ = run(*options, "--json")
    found = json.loads(out)
    assert status == 0 and found["file"] == "clip.wav"
    assert len(found["variants"]) == sum(len(what_if.levels(name)) for name in CONDITIONS)
    assert {"condition", "level", "together", "predictions"} == set(found["variants"][0])
    for model in found["models"]:
        assert [flip["row"] for flip in model["flips"]] == [row.title for row in what_if.ROWS]
        for flip in model["flips"]:
            assert (flip["level"] is None) == (flip["becomes"] == "")


@pytest.mark.parametrize(("seconds", "said"), [(1, "There is no speech"), (9, "longer than 8 s")])
def test_silence_and_what_is_too_long_get_a_line(run, models, tmp_path, seconds, said):
    clip = tmp_path / "quiet.wav"
    clip.write_bytes(waveform.encode_wav(waveform.Waveform(np.zeros(seconds * RATE, np.float32), RATE)))
    status, out, lines = run("what-if", clip)
    assert (status, out) == (2, "") and "quiet.wav" in lines[-1], said
