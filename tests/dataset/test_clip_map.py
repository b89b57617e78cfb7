"""Maps of clips: who lies beside whom, with the speaker left in and taken out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ser_core.dataset import cache, clip_map, exploration
from ser_core.errors import CorpusError, Stopped

LABELS = np.tile(["angry", "sad"], 60)
SPEAKERS = np.repeat(["a", "b", "c"], 40)


def measured(seed: int = 0, n: int = 120) -> exploration.Measured:
    """Vectors in which the speaker is three columns that weigh much, and the label two that weigh little."""
    rng = np.random.default_rng(seed)
    who = np.eye(3)[np.unique(SPEAKERS, return_inverse=True)[1]] * 40
    what = np.where(LABELS == "angry", 1.0, -1.0)[:, None] * np.array([[6.0, 3.0]])
    vectors = np.hstack([who, what, np.zeros((120, 1))]) + np.pad(rng.normal(size=(120, 5)), ((0, 0), (0, 1)))
    facts = pd.DataFrame(np.zeros((n, len(cache.FACTS))), columns=list(cache.FACTS))
    return exploration.Measured(facts, vectors[:n].astype(np.float32), tuple("abcdef"), (), f"key {seed} {n}")


@pytest.fixture(scope="module")
def by_tsne() -> tuple[clip_map.Map, clip_map.Map]:
    """The map with the speaker, and without."""
    return clip_map.draw(measured(), method=clip_map.TSNE), clip_map.draw(measured(), SPEAKERS, method=clip_map.TSNE)


@pytest.fixture
def by_pca() -> tuple[clip_map.Map, clip_map.Map]:
    return clip_map.draw(measured()), clip_map.draw(measured(), SPEAKERS)


@pytest.fixture
def by_lda() -> tuple[clip_map.Map, clip_map.Map]:
    return (
        clip_map.draw(measured(), method=clip_map.LDA, labels=SPEAKERS),
        clip_map.draw(measured(), SPEAKERS, method=clip_map.LDA, labels=LABELS),
    )


@pytest.mark.parametrize("maps", ["by_pca", "by_tsne", "by_lda"])
def test_a_clip_of_the_map_is_placed_on_its_own_point(maps, request):
    drawn, those = request.getfixturevalue(maps)[0], measured()
    for position in (0, 57, 119):
        found = clip_map.place(drawn, those.vectors[position])
        np.testing.assert_allclose(found.point, drawn.points[position], atol=1e-3)
        assert found.nearest[0] == position and len(found.nearest) == clip_map.N_NEIGHBOURS


def test_a_clip_between_others_is_placed_by_the_axes_and_by_its_neighbours(by_pca, by_tsne):
    """Half way between two clips, PCA places the mean of their points; t-SNE the mean of those of the nearest ten."""
    those = measured()
    between = (those.vectors[0] + those.vectors[1]) / 2
    np.testing.assert_allclose(clip_map.place(by_pca[0], between).point, by_pca[0].points[:2].mean(axis=0), atol=1e-3)
    found = clip_map.place(by_tsne[0], between)
    np.testing.assert_allclose(found.point, by_tsne[0].points[found.nearest].mean(axis=0), atol=1e-3)


def test_discriminant_axes_part_two_labels_along_the_line_between_their_means():
    """Of two clouds that are round, the discriminant axis is the line between their means, however wide another column is."""
    rng = np.random.default_rng(0)
    labels = np.repeat(["a", "b"], 300)
    vectors = rng.normal(size=(600, 3)) * [1, 1, 9] + np.where(labels == "a", -3, 3)[:, None] * [1, 1, 0]
    facts = pd.DataFrame(np.zeros((600, len(cache.FACTS))), columns=list(cache.FACTS))
    those = exploration.Measured(facts, vectors.astype(np.float32), tuple("abc"), (), "two")
    drawn = clip_map.draw(those, method=clip_map.LDA, labels=labels)
    way = drawn.axes.T @ drawn.plane[:, 0]  # in standardised columns
    assert abs(way[2]) < 0.05 * abs(way[0]) and way[0] == pytest.approx(way[1], rel=0.1)
    first, second = drawn.points.T
    assert abs(first[labels == "a"].mean() - first[labels == "b"].mean()) > 5 * first[labels == "a"].std()
    assert abs(second[labels == "a"].mean() - second[labels == "b"].mean()) < 0.2 * second.std()
    assert drawn.shares == ()


def test_discriminant_axes_need_two_labels():
    for labels in (None, np.repeat("sad", 120)):
        with pytest.raises(CorpusError, match="needs clips of two labels or more"):
            clip_map.draw(measured(), method=clip_map.LDA, labels=labels)


def test_a_map_by_discriminant_axes_is_kept_for_its_labels(tmp_path: Path):
    drawn = clip_map.draw(measured(), method=clip_map.LDA, labels=LABELS, cache=tmp_path)
    kept = clip_map.recall(measured(), None, method=clip_map.LDA, labels=LABELS, cache=tmp_path)
    assert kept is not None
    one, other = (clip_map.place(each, measured().vectors[3]) for each in (drawn, kept))
    np.testing.assert_array_equal(one.point, other.point)
    assert clip_map.recall(measured(), None, method=clip_map.LDA, labels=LABELS[::-1], cache=tmp_path) is None


def test_a_column_that_is_always_the_same_and_one_far_out_place_a_clip_within_reach(by_pca):
    odd = measured().vectors[0].copy()
    odd[:] = 1e6
    found = clip_map.place(by_pca[0], odd)
    assert np.isfinite(found.point).all() and np.abs(found.point).max() < 50


@pytest.mark.parametrize("maps", ["by_pca", "by_tsne"])
def test_clips_of_one_speaker_lie_together_until_the_speaker_is_taken_out(maps, request):
    plain, apart = request.getfixturevalue(maps)
    assert (
        plain.points.shape == (120, 2) and plain.points.dtype == np.float32 and plain.rows.tolist() == list(range(120))
    )
    assert plain.neighbours.shape == (120, clip_map.N_NEIGHBOURS)
    assert plain.alike(SPEAKERS) == 1 and apart.alike(SPEAKERS) < 0.5
    assert apart.alike(LABELS) > 0.95
    distance = np.linalg.norm(plain.points[:, None] - plain.points[None], axis=2)
    nearest = np.argsort(distance, axis=1)[:, 1:6]
    assert (SPEAKERS[nearest] == SPEAKERS[:, None]).mean() > 0.95


def test_the_axes_of_pca_say_how_much_they_show(by_pca, by_tsne):
    first, second = by_pca[0].shares
    assert 1 > first >= second > 0
    assert by_tsne[0].shares == ()


def test_a_map_is_kept_for_these_clips_this_method_and_these_speakers(tmp_path: Path):
    drawn = clip_map.draw(measured(), SPEAKERS, cache=tmp_path)
    kept = clip_map.recall(measured(), SPEAKERS, method=clip_map.PCA, cache=tmp_path)
    assert kept is not None and kept.shares == drawn.shares
    for name in ("rows", "points", "neighbours"):
        np.testing.assert_array_equal(getattr(kept, name), getattr(drawn, name))
    for other, speakers, method in (
        (measured(1), SPEAKERS, "pca"),
        (measured(), None, "pca"),
        (measured(), SPEAKERS, "tsne"),
        (measured(), SPEAKERS[::-1], "pca"),
    ):
        assert clip_map.recall(other, speakers, method=method, cache=tmp_path) is None
    assert cache.usage(tmp_path)[0] == 1


def test_clips_that_cannot_be_read_are_not_on_the_map():
    those = measured()
    those.vectors[[3, 70]] = np.nan
    drawn = clip_map.draw(those)
    assert drawn.rows.tolist() == [row for row in range(120) if row not in (3, 70)]
    assert drawn.alike(SPEAKERS) == 1


def test_a_map_of_too_many_clips_shows_some_of_them(monkeypatch):
    monkeypatch.setattr(clip_map, "MAX_CLIPS", 50)
    drawn = clip_map.draw(measured())
    assert len(drawn.rows) == 50 and (np.diff(drawn.rows) > 0).all() and drawn.neighbours.max() < 50


def test_a_map_of_few_clips_is_refused():
    with pytest.raises(CorpusError, match="A map needs 12 clips that can be read or more; there are 11"):
        clip_map.draw(measured(n=11))
    for method in (clip_map.PCA, clip_map.TSNE):
        assert np.isfinite(clip_map.draw(measured(n=12), method=method).points).all()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_clips_that_are_all_the_same_lie_on_one_point():
    those = measured()
    those.vectors[:] = those.vectors[0]
    drawn = clip_map.draw(those)
    assert np.abs(drawn.points).max() < 1e-6 and drawn.shares == (0, 0)
    parted = clip_map.draw(those, method=clip_map.LDA, labels=LABELS)
    assert np.abs(parted.points).max() < 1e-6


def test_a_map_by_tsne_is_the_same_each_time_from_a_process_too(by_tsne):
    again = clip_map.draw(measured(), method=clip_map.TSNE, should_stop=lambda: False)
    np.testing.assert_allclose(again.points, by_tsne[0].points, atol=1e-2)
    np.testing.assert_array_equal(clip_map.draw(measured()).points, clip_map.draw(measured()).points)


def test_a_map_by_tsne_can_be_stopped(monkeypatch):
    with pytest.raises(Stopped):
        clip_map.draw(measured(), method=clip_map.TSNE, should_stop=lambda: True)
