"""Sizes, durations and lengths: every unit once, and what lies between two of them."""

from __future__ import annotations

import pytest

from ser_core.system import units


@pytest.mark.parametrize(
    ("n_bytes", "words"),
    [(0, "0 Bytes"), (1, "1 Byte"), (1500, "1.5 kB"), (208_468_073, "208.5 MB"), (42e6, "42 MB"), (1.24e9, "1.2 GB")],
)
def test_a_size_has_the_unit_that_fits_it(n_bytes, words):
    assert units.size(n_bytes) == words


@pytest.mark.parametrize(
    ("n_bytes", "words"), [(64 * 2**20, "64 MB"), (2**30, "1 GB"), (2**20 + 2**19, "1.5 MB"), (512, "512 Bytes")]
)
def test_limits_are_said_in_the_steps_that_they_are_set_in(n_bytes, words):
    assert units.size(n_bytes, binary=True) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "1 second"),
        (0.5, "1 second"),
        (42.4, "42 seconds"),
        (80.4, "1 minute and 20 seconds"),
        (90, "2 minutes"),
        (150, "3 minutes"),
        (1500, "25 minutes"),
        (3599, "1 hour"),
        (5400, "1 hour and 30 minutes"),
        (26 * 3600, "1 day and 2 hours"),
    ],
)
def test_a_duration_is_as_precise_as_it_can_be_known(seconds, words):
    assert units.duration(seconds) == words


@pytest.mark.parametrize(("seconds", "words"), [(3.2, "3.2 s"), (59.94, "59.9 s"), (60, "1.0 min"), (750, "12.5 min")])
def test_the_length_of_a_clip_is_short_enough_for_a_caption(seconds, words):
    assert units.length(seconds) == words


def test_a_length_may_have_more_digits():
    assert units.length(3.2, digits=2) == "3.20 s"
