"""The threshold below which a model is not sure: cases whose answer is known, and figures that no clip has chosen for itself."""

from __future__ import annotations

import numpy as np
import pytest

from ser_core.metrics import abstention, curves


def a_test(right_of_ten: dict[float, int], *, times: int = 10) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return clips in groups of ten times `times` of one probability each, with how many of ten are right; ten speakers, alike."""
    sure = np.repeat(list(right_of_ten), 10 * times)
    right = np.concatenate([np.tile(np.arange(10) < n, times) for n in right_of_ten.values()])
    speakers = np.concatenate([np.repeat(np.arange(times), 10) for _ in right_of_ten])
    return sure, right, speakers


def test_the_lowest_threshold_with_at_most_a_quarter_wrong_is_chosen():
    sure, right, speakers = a_test({0.9: 10, 0.7: 7, 0.5: 6, 0.3: 2})
    assert abstention.choose(sure, right, speakers) == 0.5  # 7, 13 of 20, 23 of 30: 23 % wrong; with the last 37 %
    better = a_test({0.9: 10, 0.7: 8, 0.5: 6, 0.3: 6})
    assert abstention.choose(*better) == 0.3


def test_a_model_that_is_seldom_right_still_answers_half():
    sure, right, speakers = a_test({0.9: 4, 0.7: 4, 0.5: 3, 0.3: 2})
    assert abstention.choose(sure, right, speakers) == 0.7
    assert (
        abstention.choose(*a_test({0.9: 10, 0.7: 2, 0.5: 0, 0.3: 0})) == 0.7
    )  # a quarter would be right enough, and too few


def test_every_speaker_counts_the_same():
    sure, right, speakers = a_test({0.9: 10, 0.7: 7, 0.5: 6, 0.3: 2})
    of_one = speakers == 0
    times = np.where(of_one, 30, 1)
    crowd = [np.repeat(each, times) for each in (sure, right, speakers)]
    assert abstention.choose(*crowd) == abstention.choose(sure, right, speakers)
    wrong_crowd = np.repeat(
        right & ~of_one, times
    )  # one of ten speakers is never understood: 31 % wrong from .5 on, 24 % from .7 on
    assert abstention.choose(crowd[0], wrong_crowd, crowd[2]) == 0.7


def test_the_threshold_keeps_what_it_was_chosen_to_keep(rng):
    sure = rng.uniform(0.2, 1.0, 2000)
    right = rng.uniform(size=2000) < sure
    speakers = rng.integers(0, 20, 2000)
    threshold = abstention.choose(sure, right, speakers)
    weight = 1 / np.bincount(speakers)[speakers]
    kept = sure >= threshold
    assert (weight * kept * ~right).sum() / (weight * kept).sum() <= abstention.MAX_WRONG + 1e-3
    lower = sure >= threshold - 0.05
    assert (weight * lower * ~right).sum() / (weight * lower).sum() > abstention.MAX_WRONG


def test_few_clips_choose_nothing():
    sure, right, speakers = a_test({0.9: 10, 0.7: 7, 0.5: 6}, times=1)
    assert abstention.choose(sure, right, speakers) is None
    assert abstention.of_folds(np.full((45, 2), 0.5), np.zeros(45, int), np.arange(45), np.arange(45) % 5) == (
        None,
        None,
    )


def test_no_fold_chooses_its_own_threshold(rng):
    y = rng.integers(0, 3, 600)
    scores = rng.normal(size=(600, 3)) + 1.2 * np.eye(3)[y]
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    folds, speakers = np.arange(600) % 4, np.arange(600) % 12
    whole, apart = abstention.of_folds(probabilities, y, speakers, folds)
    changed = np.where(folds == 1, (probabilities.argmax(axis=1) + 1) % 3, y)  # now all of fold 1 is wrong
    other_whole, other = abstention.of_folds(probabilities, changed, speakers, folds)
    np.testing.assert_array_equal(other[folds == 1], apart[folds == 1])
    assert (other[folds != 1] != apart[folds != 1]).all() and other_whole != whole
    for fold in range(4):
        assert len(set(apart[folds == fold])) == 1


def test_a_threshold_is_rounded_so_that_its_own_clips_reach_it():
    sure = np.linspace(0.21234567, 0.98765432, 80)
    threshold = abstention.choose(sure, np.ones(80, bool), np.arange(80) % 4)
    assert threshold == 0.2123 and (sure >= threshold).all()
    assert [abstention.is_sure(p, 0.4) for p in (0.3999, 0.4, 1.0)] == [False, True, True]
    assert abstention.is_sure(0.1, None) is None


@pytest.mark.parametrize("seed", range(3))
def test_the_curve_equals_counting_clip_by_clip(seed):
    rng = np.random.default_rng(seed)
    sure, right = rng.permutation(np.round(rng.uniform(size=60), 1)), rng.uniform(size=60) < 0.6
    thresholds, answered, wrong = curves.risk_coverage(sure, right)
    for threshold, share, risk in zip(thresholds, answered, wrong, strict=True):
        kept = sure >= threshold
        assert (share, risk) == (pytest.approx(kept.mean()), pytest.approx((~right[kept]).mean()))
    assert answered[-1] == 1 and wrong[-1] == pytest.approx(1 - right.mean())
