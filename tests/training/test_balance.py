"""Balancing on small sets with known counts: what each method adds, and that nothing but the rare labels changes."""

import numpy as np
import pytest

from ser_core.training import balance

SHAPES = [(6,), (4, 3)]


def uneven(shape=(6,)):
    """30 items of label 0, 12 of label 2, 8 of label 3 and none of label 1, each label around a centre of its own."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 2, 3], [30, 12, 8])
    return (
        (rng.normal(size=(50, *shape)) + y.reshape(-1, *[1] * len(shape))).astype(np.float16),
        y,
        np.linspace(0.5, 1.5, 50),
    )


def apply(method, shape=(6,)):
    return balance.apply(*uneven(shape), method, n_labels=4, seed=3)


def test_none_changes_nothing():
    for before, after in zip(uneven(), apply("none"), strict=True):
        np.testing.assert_array_equal(after, before)


def test_class_weights_give_every_label_the_same_sum():
    _, y, _ = uneven()
    weights = balance.class_weights(y, 4)
    np.testing.assert_allclose(np.bincount(y, weights=weights[y])[[0, 2, 3]], 50 / 3)
    assert weights[1] == 0 and weights[y].mean() == pytest.approx(1)
    _, _, weight = apply("weights")
    np.testing.assert_allclose(weight, uneven()[2] * weights[y])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("method", ["upsample", "smote"])
def test_every_label_that_occurs_gets_as_many_as_the_largest(method, shape):
    X, y, weight = apply(method, shape)
    assert np.bincount(y).tolist() == [30, 0, 30, 30]
    assert X.shape == (90, *shape) and X.dtype == np.float16 and weight.shape == (90,)


@pytest.mark.parametrize("method", balance.METHODS)
def test_the_clips_themselves_stay(method):
    X, y, _ = apply(method)
    before, of_before, _ = uneven()
    np.testing.assert_array_equal(X[:50], before)
    np.testing.assert_array_equal(y[:50], of_before)


def test_upsampling_repeats_clips_with_their_weights():
    X, y, weight = apply("upsample")
    before, _, weights = uneven()
    for item, label, one in zip(X, y, weight, strict=True):
        (same,) = np.flatnonzero((before == item).all(axis=1))
        assert uneven()[1][same] == label and weights[same] == one


def test_smote_stays_between_clips_of_the_label():
    X, y, weight = apply("smote")
    before, of_before, weights = uneven()
    for label in (2, 3):
        made, own = X[50:][y[50:] == label], before[of_before == label]
        assert (made >= own.min(axis=0) - 0.01).all() and (made <= own.max(axis=0) + 0.01).all()
        np.testing.assert_allclose(weight[50:][y[50:] == label], weights[of_before == label].mean())


def test_adasyn_adds_to_the_rare_labels():
    _, y, _ = apply("adasyn")
    counts = np.bincount(y)
    assert counts[0] == 30 and counts[2] > 12 and counts[3] > 8


def test_adasyn_without_a_border_adds_nothing():
    X, y, weight = uneven()
    after, labels, _ = balance.apply(
        X + 100 * y[:, np.newaxis].astype(np.float16), y, weight, "adasyn", n_labels=4, seed=0
    )
    assert len(after) == len(labels) == 50


def test_two_clips_of_a_label_are_enough_to_interpolate():
    X, y, weight = uneven()
    kept = np.r_[0:32]
    X, y, _ = balance.apply(X[kept], y[kept], weight[kept], "smote", n_labels=4, seed=0)
    assert np.bincount(y).tolist() == [30, 0, 30]


@pytest.mark.parametrize("method", balance.METHODS)
def test_the_same_seed_gives_the_same_items(method):
    for first, second in zip(apply(method), apply(method), strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("method", balance.METHODS)
def test_what_is_balanced_already_stays_as_it_is(method):
    X, y, weight = uneven()
    kept = np.r_[0:8, 30:38, 42:50]
    after, labels, _ = balance.apply(X[kept], y[kept], weight[kept], method, n_labels=4, seed=0)
    np.testing.assert_array_equal(after, X[kept])
    np.testing.assert_array_equal(labels, y[kept])


# Nothing to interpolate


@pytest.mark.parametrize("method", ["smote", "adasyn"])
@pytest.mark.parametrize(
    "counts", [(12, 12), (12, 11), (12, 11, 12), (18, 18, 17), (8, 8, 2), (8, 8, 1), (5, 1), (1, 1), (3, 2)]
)
@pytest.mark.parametrize("apart", [0.0, 9.0])
def test_what_has_nothing_to_interpolate_stays_and_is_told(method, counts, apart):
    y = np.repeat(np.arange(len(counts)), counts)
    X = (np.random.default_rng(1).normal(size=(len(y), 5)) + apart * y[:, np.newaxis]).astype(np.float32)
    lacking = []
    items, labels, weight = balance.apply(
        X, y, np.ones(len(y)), method, n_labels=len(counts), seed=0, on_nothing=lacking.append
    )
    np.testing.assert_array_equal(items[: len(y)], X)
    after = np.bincount(labels, minlength=len(counts))
    assert len(items) == len(labels) == len(weight) and np.isfinite(items).all()
    rarer = {label for label, n in enumerate(counts) if n < max(counts)}
    unchanged = {label for label in rarer if after[label] == counts[label]}
    assert unchanged == set().union(*lacking)
    assert all(after[label] == n for label, n in enumerate(counts) if n == max(counts))


def test_a_label_of_one_clip_does_not_keep_the_others_from_being_balanced():
    X, y, weight = uneven()
    X, y, weight = np.concatenate([X, X[:1]]), np.append(y, 1), np.append(weight, 1.0)
    lacking = []
    _, labels, _ = balance.apply(X, y, weight, "smote", n_labels=4, seed=0, on_nothing=lacking.append)
    assert np.bincount(labels).tolist() == [30, 1, 30, 30] and lacking == [(1,)]
