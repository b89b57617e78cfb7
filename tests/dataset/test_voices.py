"""Who speaks in the babble around a clip."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ser_core.audio import augment
from ser_core.corpora import catalogue
from ser_core.dataset import build, voices
from tests.support.signals import RATE, as_file, harmonics

SPEAKERS = ("ann", "bob", "cat", "dan")


def table(corpora: tuple[str, ...] = ("one",), n: int = 6) -> pd.DataFrame:
    rows = [
        {
            catalogue.PATH: f"/{corpus}/{speaker}/{number}.wav",
            catalogue.CORPUS: corpus,
            catalogue.SPEAKER: f"{corpus}/{speaker}",
        }
        for corpus in corpora
        for speaker in SPEAKERS
        for number in range(n)
    ]
    return pd.DataFrame(rows)


def numbers(clips: pd.DataFrame, around: list[tuple[str, ...]]) -> list[list[int]]:
    place = {path: row for row, path in enumerate(clips[catalogue.PATH])}
    return [[place[path] for path in paths] for paths in around]


def test_what_is_learned_from_has_other_clips_of_its_speaker_around():
    clips = table(("one", "two"), n=9)
    for row, others in enumerate(numbers(clips, voices.of_their_own(clips))):
        assert len(set(others)) == 5 and row not in others
        assert (clips[catalogue.SPEAKER][others] == clips[catalogue.SPEAKER][row]).all()


def test_clips_of_a_speaker_that_are_tested_apart_stay_apart():
    clips = table(n=12)
    tested_in = np.arange(len(clips)) % 3
    for row, others in enumerate(numbers(clips, voices.of_their_own(clips, tested_in))):
        assert len(others) == 3 and (tested_in[others] == tested_in[row]).all()


def test_the_voices_do_not_depend_on_the_order_or_on_other_speakers():
    clips = table(n=9)
    before = dict(zip(clips[catalogue.PATH], voices.of_their_own(clips), strict=True))
    mixed = clips[clips[catalogue.SPEAKER] != "one/bob"].sample(frac=1, random_state=0).reset_index(drop=True)
    whole = np.zeros(len(mixed), int)
    for again in (voices.of_their_own(mixed), voices.of_their_own(mixed, whole)):
        assert all(before[path] == paths for path, paths in zip(mixed[catalogue.PATH], again, strict=True))
    assert len({paths for path, paths in before.items() if "ann" in path}) > 3


def test_a_clip_alone_has_no_voices_around():
    assert voices.of_their_own(table().head(1)) == [()]


def test_babble_when_tested_is_of_other_speakers_each_as_often():
    clips = table(n=3)
    for row, others in enumerate(numbers(clips, voices.of_others(clips, clips, seed=1))):
        speakers = clips[catalogue.SPEAKER][others]
        assert len(set(others)) == 5 and clips[catalogue.SPEAKER][row] not in set(speakers)
        assert speakers.value_counts().max() == 2


@pytest.fixture(scope="module")
def one_clip(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, list[str]]:
    folder = tmp_path_factory.mktemp("voices")
    (folder / "clip.wav").write_bytes(as_file(harmonics(150.0, 1.0)))
    (folder / "other.wav").write_bytes(as_file(harmonics(400.0, 1.0)))
    return pd.DataFrame({catalogue.PATH: [str(folder / "clip.wav")]}), [str(folder / "other.wav")]


def test_copies_hear_the_voices_and_are_kept_by_their_names(one_clip, tmp_path: Path, monkeypatch):
    clips, others = one_clip
    heard = []

    def chain(waveform, *, voices=None, **settings):
        heard.append([each.samples.copy() for each in voices()] if voices else None)
        return waveform

    monkeypatch.setattr(augment, "chain", chain)
    build.build(clips, n_copies=1, cache=tmp_path)
    build.build(clips, n_copies=1, voices=[others], cache=tmp_path)
    build.build(clips, n_copies=1, voices=[others], cache=tmp_path)  # read back
    assert heard[0] is None and len(heard) == 2
    np.testing.assert_allclose(heard[1][0], harmonics(400.0, 1.0), atol=1e-3)
    assert len(heard[1][0]) == RATE


def test_voices_that_cannot_be_read_are_missing(one_clip, tmp_path: Path):
    clips, others = one_clip
    gone = [str(tmp_path / "gone.wav")]
    for copies in (gone, [*gone, *others]):
        assert not build.build(clips, n_copies=4, voices=[copies]).problems


def test_voices_of_one_name_are_not_taken_for_each_other(one_clip, tmp_path: Path):
    """A folder per label, each with its 1.wav: the copies differ, and a voice that changes is heard anew."""
    clips, _ = one_clip
    paths = []
    for name, hz in (("angry", 500.0), ("sad", 900.0)):
        (tmp_path / name).mkdir()
        paths.append(tmp_path / name / "1.wav")
        paths[-1].write_bytes(as_file(harmonics(hz, 1.0)))
    config = {"n_copies": 6, "kinds": ["vector"], "cache": tmp_path / "cache"}
    angry, sad = (build.build(clips, voices=[[str(path)]], **config) for path in paths)
    alone = build.build(clips, voices=[[str(paths[1])]], **{**config, "cache": None})
    assert not np.array_equal(angry.vectors, sad.vectors)
    np.testing.assert_array_equal(sad.vectors, alone.vectors)
    paths[1].write_bytes(as_file(harmonics(700.0, 1.0)))
    os.utime(paths[1], ns=(1, 1))
    assert not np.array_equal(build.build(clips, voices=[[str(paths[1])]], **config).vectors, sad.vectors)


def test_a_copy_whose_voices_cannot_be_read_now_is_not_kept(one_clip, tmp_path: Path):
    clips, others = one_clip
    away = tmp_path / "away.wav"
    config = {"n_copies": 6, "kinds": ["vector"], "cache": tmp_path / "cache"}
    without = build.build(clips, voices=[[str(away)]], **config)
    away.write_bytes(Path(others[0]).read_bytes())
    again = build.build(clips, voices=[[str(away)]], **config)
    assert not np.array_equal(without.vectors, again.vectors)
