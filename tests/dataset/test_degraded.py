"""Features under worse conditions: of the same clips, with other speakers as babble."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ser_core.audio import decoding
from ser_core.corpora import catalogue, scan
from ser_core.dataset import build, degraded
from ser_core.errors import CorpusError
from ser_core.features.config import FeatureConfig
from tests.support import corpora

CONFIG = FeatureConfig()


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> pd.DataFrame:
    return scan.scan("ravdess", corpora.build(tmp_path_factory.mktemp("corpora")) / "ravdess")


def chosen(clips: pd.DataFrame, n: int) -> np.ndarray:
    """Return which clips are wanted, bool (n_clips,): n of them, of as many speakers as there are."""
    return np.isin(np.arange(len(clips)), np.linspace(0, len(clips) - 1, n).astype(int))


def test_rows_belong_to_the_wanted_clips_and_differ_from_the_clean_ones(clips):
    wanted = chosen(clips, 3)
    made = degraded.features_under("white", 10.0, clips, wanted, CONFIG)
    assert made.clip.tolist() == np.flatnonzero(wanted).tolist() and not made.copy.any() and made.facts.empty
    assert set(made.window_row.tolist()) == {0, 1, 2} and made.windows.dtype == np.float16
    clean = build.build(clips[wanted].reset_index(drop=True), CONFIG)
    assert made.vectors.shape == clean.vectors.shape and (made.vectors != clean.vectors).any(axis=1).all()


def test_more_noise_is_further_from_the_clean_clip(clips):
    wanted = chosen(clips, 2)
    clean = build.build(clips[wanted].reset_index(drop=True), CONFIG).windows.astype(float)
    distance = [
        np.abs(degraded.features_under("white", level, clips, wanted, CONFIG).windows.astype(float) - clean).mean()
        for level in (20.0, 0.0)
    ]
    assert 0 < distance[0] < distance[1]


def test_a_clip_that_cannot_be_read_is_left_out(clips, tmp_path):
    damaged = tmp_path / "damaged.wav"
    damaged.write_bytes(b"no sound")
    wanted = chosen(clips, 3)
    paths = clips[catalogue.PATH].where(np.arange(len(clips)) != np.flatnonzero(wanted)[1], str(damaged))
    made = degraded.features_under("white", 10.0, clips.assign(path=paths), wanted, CONFIG)
    assert made.clip.tolist() == np.flatnonzero(wanted)[[0, 2]].tolist()


def test_babble_is_of_other_speakers(clips, monkeypatch):
    speaker_of = dict(zip(clips[catalogue.PATH], clips[catalogue.SPEAKER], strict=True))
    decoded: list[str] = []
    original = decoding.decode
    monkeypatch.setattr(decoding, "decode", lambda path, **options: decoded.append(path) or original(path, **options))
    degraded.features_under("babble", 10.0, clips, chosen(clips, 8), CONFIG)
    clip_and_voices = np.reshape([speaker_of[path] for path in decoded], (8, 6))
    for speaker, *voices in clip_and_voices.tolist():
        assert len(set(voices)) == 5 and speaker not in voices


def test_babble_needs_a_second_speaker(clips):
    one = clips[clips[catalogue.SPEAKER] == clips[catalogue.SPEAKER].iloc[0]].reset_index(drop=True)
    with pytest.raises(CorpusError, match="leave babble out"):
        degraded.features_under("babble", 10.0, one, np.ones(len(one), bool), CONFIG)
