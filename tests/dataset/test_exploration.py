"""What clips sound like together, on voices whose pitch, level and rate follow label and speaker by a known rule."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ser_core.audio import decoding
from ser_core.audio.waveform import Waveform, encode_wav
from ser_core.corpora import catalogue
from ser_core.dataset import build, exploration
from ser_core.dataset import cache as dataset_cache
from ser_core.dataset.cache import TABLES, usage
from ser_core.errors import Stopped
from ser_core.features import extraction, vectors
from ser_core.features.config import FeatureConfig
from tests.support import ruled_corpus


@pytest.fixture
def clips(tmp_path: Path) -> pd.DataFrame:
    return ruled_corpus.write(tmp_path / "own")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many clips each build.build from here on was asked for."""
    asked: list[int] = []
    original = build.build
    monkeypatch.setattr(build, "build", lambda clips, *a, **k: asked.append(len(clips)) or original(clips, *a, **k))
    return asked


def speakers(clips: pd.DataFrame) -> np.ndarray:
    return clips[catalogue.SPEAKER].to_numpy()


def test_a_row_a_clip_whatever_their_order(clips, cache):
    two = pd.concat([clips, clips.assign(**{catalogue.CORPUS: "other"})]).sample(frac=1, random_state=0)
    measured = exploration.measure(two, cache=cache)
    built = build.build(two.reset_index(drop=True))
    assert measured.vectors.dtype == np.float32 and measured.columns == vectors.summary_columns(FeatureConfig())
    np.testing.assert_allclose(measured.vectors, built.vectors, rtol=1e-4, atol=1e-4)
    pd.testing.assert_frame_equal(measured.facts, built.facts, rtol=1e-3)
    some = measured.take(np.array([5, 1]))
    np.testing.assert_array_equal(some.vectors, measured.vectors[[5, 1]])
    assert (
        some.facts["level_dbfs"].tolist() == measured.facts["level_dbfs"][[5, 1]].tolist() and some.key != measured.key
    )


def test_what_was_measured_is_recalled_without_a_build(clips, cache, builds):
    assert exploration.recall(clips, cache=cache) is None
    first = exploration.measure(clips, cache=cache)
    again = exploration.recall(clips, cache=cache)
    np.testing.assert_array_equal(first.vectors, again.vectors)
    pd.testing.assert_frame_equal(first.facts, again.facts)
    assert (first.key, first.problems) == (again.key, again.problems) and first.key == exploration.key(clips)
    exploration.measure(clips, cache=cache)
    assert builds == [len(clips)]


def test_only_the_corpus_that_is_new_is_measured(clips, cache, builds, tmp_path):
    other = ruled_corpus.write(tmp_path / "other", corpus="other", takes=1)
    exploration.measure(clips, cache=cache)
    seen: list[tuple[int, int]] = []
    exploration.measure(
        pd.concat([clips, other]), cache=cache, on_progress=lambda done, total: seen.append((done, total))
    )
    assert builds == [18, 9] and seen[0] == (18, 27) and seen[-1] == (27, 27)


@pytest.mark.parametrize("change", ["content", "time set back", "gone", "a clip less", "settings", "version"])
def test_a_change_is_never_answered_with_what_was(clips, cache, change, monkeypatch):
    exploration.measure(clips, cache=cache)
    path, config = Path(clips[catalogue.PATH][3]), FeatureConfig()
    times = path.stat()
    if change in ("content", "time set back"):
        path.write_bytes(Path(clips[catalogue.PATH][0]).read_bytes())
        assert path.stat().st_size == times.st_size
    if change == "time set back":
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    if change == "gone":
        path.unlink()
    if change == "a clip less":
        clips = clips.drop(index=3)
    if change == "settings":
        config = FeatureConfig(n_mels=80)
    if change == "version":
        monkeypatch.setattr(dataset_cache, "FEATURES_VERSION", 999)
    if change == "time set back" and os.name == "nt":
        pytest.skip("Windows keeps no time of the last change of any kind")
    assert exploration.recall(clips, cache=cache, config=config) is None
    again = exploration.measure(clips, cache=cache, config=config)
    if change == "gone":
        assert [reason for _, reason in again.problems] == ["cannot be read: No such file or directory"]
    else:
        built = build.build(clips.reset_index(drop=True), config)
        np.testing.assert_allclose(again.vectors, built.vectors, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"x" * len(data)]
)
def test_a_damaged_table_is_made_again(clips, cache, damage):
    first = exploration.measure(clips, cache=cache)
    (table,) = (cache / TABLES).iterdir()
    table.write_bytes(damage(table.read_bytes()))
    assert exploration.recall(clips, cache=cache) is None
    np.testing.assert_array_equal(exploration.measure(clips, cache=cache).vectors, first.vectors)
    assert exploration.recall(clips, cache=cache) is not None


def test_a_clip_that_cannot_be_read_has_no_figures_and_a_reason(clips, cache):
    broken = Path(clips[catalogue.PATH][2])
    broken.write_bytes(b"words")
    for measured in (exploration.measure(clips, cache=cache), exploration.recall(clips, cache=cache)):
        assert measured.readable.tolist() == [row != 2 for row in range(len(clips))]
        assert measured.facts.iloc[2].isna().all() and np.isnan(exploration.trend(measured, "f0")[2])
        ((path, reason),) = measured.problems
        assert path == str(broken) and "text" in reason


def test_a_stop_keeps_what_was_measured(clips, cache):
    asked = iter([False] * 24)
    with pytest.raises(Stopped):
        exploration.measure(clips, cache=cache, n_jobs=1, should_stop=lambda: next(asked, True))
    assert 0 < usage(cache)[0] < len(clips)


def test_pitch_level_and_rate_are_those_that_were_put_in(clips, cache):
    measured = exploration.measure(clips, cache=cache)
    table = clips.assign(**{name: exploration.trend(measured, name) for name in ("f0", "level", "rate")})
    for row in table.itertuples():
        semitones, _, n_syllables = ruled_corpus.LABELS[row.emotion]
        assert row.f0 == pytest.approx(
            ruled_corpus.SPEAKERS[row.speaker.split(":")[1]][1] * 2 ** (semitones / 12), rel=0.02
        )
        assert row.rate == pytest.approx(n_syllables, rel=0.15)
    loudness = table.groupby(catalogue.EMOTION)["level"].mean()
    assert loudness["angry"] - loudness["neutral"] == pytest.approx(20 * np.log10(3), abs=1.5)


def test_without_the_speaker_pitch_follows_the_label_alone(clips, cache):
    measured = exploration.measure(clips, cache=cache)
    labels = clips[catalogue.EMOTION].to_numpy()
    plain, apart = exploration.trend(measured, "f0"), exploration.trend(measured, "f0", speakers=speakers(clips))
    assert exploration.explained(plain, speakers(clips)) > 0.7 > 0.3 > exploration.explained(plain, labels)
    assert exploration.explained(apart, labels) > 0.99 and exploration.explained(apart, speakers(clips)) < 1e-9
    means = pd.Series(apart).groupby(labels).mean()
    # 4, 0 and -2 semitones around their mean of 2/3
    assert means.to_dict() == pytest.approx({"angry": 10 / 3, "neutral": -2 / 3, "sad": -8 / 3}, abs=0.15)


@pytest.mark.parametrize("name", exploration.TRENDS)
def test_every_trend_has_a_figure_for_every_voice_and_says_what_it_is(clips, cache, name):
    measured = exploration.measure(clips, cache=cache)
    row = exploration.TRENDS[name]
    assert np.isfinite(exploration.trend(measured, name)).all()
    assert np.nansum(exploration.trend(measured, name, speakers=speakers(clips))) == pytest.approx(0, abs=1e-3)
    assert row.title and row.unit and row.how.endswith(".") and row.apart == ("semitones" if row.log else row.unit)


def test_one_clip_is_measured_as_corpora_are_and_placed_among_them(clips, cache):
    measured = exploration.measure(clips, cache=cache)
    clip = decoding.decode(Path(clips[catalogue.PATH].iloc[3]))
    one = exploration.of_voice(clip, extraction.extract(clip.waveform))
    for name, value in one.items():
        assert value == pytest.approx(exploration.trend(measured, name)[3], rel=1e-3, nan_ok=True)
    pitch = exploration.trend(measured, "f0")
    assert exploration.share_below(measured, "f0", np.nanmax(pitch) + 1) == 1
    assert exploration.share_below(measured, "f0", np.nanmin(pitch) - 1) == 0
    assert exploration.share_below(measured, "f0", float(np.nanmedian(pitch))) == pytest.approx(0.5, abs=0.1)


def test_without_a_voice_there_is_no_pitch(tmp_path, cache):
    path = tmp_path / "silence.wav"
    path.write_bytes(encode_wav(Waveform(np.zeros(16_000, np.float32), 16_000)))
    measured = exploration.measure(pd.DataFrame({catalogue.PATH: [str(path)], catalogue.CORPUS: ["own"]}), cache=cache)
    assert all(np.isnan(exploration.trend(measured, name)[0]) for name in ("f0", "f0_range", "level"))


def test_the_share_explained_is_eta_squared():
    groups = np.array(["a", "a", "b", "b"])
    assert exploration.explained(np.array([1.0, 1, 3, 3]), groups) == 1
    assert exploration.explained(np.array([1.0, 3, 1, 3]), groups) == 0
    assert exploration.explained(np.array([0.0, 2, 2, 4]), groups) == pytest.approx(4 / 8)
    assert exploration.explained(np.array([1.0, np.nan, 3, 3]), groups) == 1
    assert np.isnan(exploration.explained(np.array([1.0]), np.array(["a"])))


def test_the_mfcc_profile_is_in_deviations_from_the_mean_of_all(clips, cache):
    measured = exploration.measure(clips, cache=cache)
    labels = clips[catalogue.EMOTION].to_numpy()
    profile = exploration.mfcc_profile(measured, labels)
    assert list(profile.index) == ["angry", "neutral", "sad"] and list(profile.columns) == list(
        range(FeatureConfig().n_mfcc)
    )
    values = measured.column("mfcc_03_mean")
    expected = (values[labels == "sad"].mean() - values.mean()) / values.std()
    assert profile.loc["sad", 3] == pytest.approx(expected, rel=1e-4)
    assert profile.mean().abs().max() < 1e-4  # as many clips of each label
