"""Who speaks in the babble around a clip."""

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


def test_babble_is_of_others_who_are_tested_with_the_clip():
    clips = table(("one", "two"))
    groups = clips[catalogue.SPEAKER].str.endswith(("ann", "bob")).to_numpy().astype(int)
    around = voices.within(clips, groups)
    place = {path: row for row, path in enumerate(clips[catalogue.PATH])}
    for row, paths in enumerate(around):
        others = [place[path] for path in paths]
        assert len(set(others)) == 5 and row not in others
        assert (groups[others] == groups[row]).all()
        assert (clips[catalogue.CORPUS][others] == clips[catalogue.CORPUS][row]).all()
        assert (clips[catalogue.SPEAKER][others] != clips[catalogue.SPEAKER][row]).all()


def test_whoever_is_tested_alone_has_their_own_other_clips_around():
    clips = table()
    groups = pd.factorize(clips[catalogue.SPEAKER])[0]
    for row, paths in enumerate(voices.within(clips, groups)):
        assert len(paths) == 5 and clips[catalogue.PATH][row] not in paths
        assert all(f"/{clips[catalogue.SPEAKER][row].removeprefix('one/')}/" in path for path in paths)


def test_a_clip_alone_has_no_voices_around():
    assert voices.within(table().head(1), np.zeros(1, int)) == [()]


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
