"""The study of maps: on clips of new speakers alone, with the same result each time."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from ser_core.corpora import catalogue
from ser_core.errors import CorpusError
from ser_core.experiments import deletion
from ser_core.recognition import store

CLIPS = pd.DataFrame(
    {
        catalogue.SPEAKER: [f"ravdess:{number % 6:02d}" for number in range(60)],
        catalogue.PATH: [f"{n}.wav" for n in range(60)],
    }
)


def cards(base, **speakers):
    plain = store.read_card("cnn", base / "models")
    return [
        dataclasses.replace(plain, slug=slug, split={"train": {"speakers": known}}) for slug, known in speakers.items()
    ]


def test_clips_are_of_speakers_whom_no_model_has_heard(base):
    known = cards(base, one=["ravdess:00", "ravdess:01"], two=["ravdess:02", "tess:OAF"])
    drawn = deletion.held_out(known, CLIPS, n_clips=20, rng=np.random.default_rng(0))
    assert len(drawn) == 20 and set(drawn[catalogue.SPEAKER]) <= {"ravdess:03", "ravdess:04", "ravdess:05"}
    assert drawn.equals(deletion.held_out(known, CLIPS, n_clips=20, rng=np.random.default_rng(0)))
    assert len(deletion.held_out(known, CLIPS, n_clips=200, rng=np.random.default_rng(0))) == 30


def test_models_that_know_all_or_do_not_say_are_told(base):
    everyone = sorted(set(CLIPS[catalogue.SPEAKER]))
    with pytest.raises(CorpusError, match="learned from all 6 speakers"):
        deletion.held_out(cards(base, one=everyone), CLIPS, n_clips=5, rng=np.random.default_rng(0))
    with pytest.raises(CorpusError, match="does not say whom"):
        deletion.held_out(cards(base, one=[]), CLIPS, n_clips=5, rng=np.random.default_rng(0))


def test_clips_that_cannot_be_read_are_left_out_and_none_is_an_error(base):
    with pytest.raises(CorpusError, match="None of the clips can be read"):
        deletion.study(cards(base, cnn=["tess:OAF"]), CLIPS, base / "models", n_clips=3)
