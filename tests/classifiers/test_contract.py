"""The figures of an epoch, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ser_core.classifiers import contract


def test_the_figures_of_an_epoch_by_hand():
    told = contract.validation_figures(
        np.array([0, 0, 0, 1]), np.array([0, 0, 1, 0]), np.array([1.0, 0.5, 0.25, 0.125])
    )
    assert told["validation_accuracy"] == 0.5
    assert told["validation_uar"] == pytest.approx((2 / 3 + 0) / 2)
    assert told["validation_loss"] == pytest.approx(np.log(2) * (0 + 1 + 2 + 3) / 4)


def test_a_label_that_does_not_occur_counts_nothing_and_a_probability_of_0_stays_finite():
    told = contract.validation_figures(np.array([2, 2]), np.array([2, 2]), np.array([0.0, 1.0]))
    assert told["validation_uar"] == 1.0 and np.isfinite(told["validation_loss"])
