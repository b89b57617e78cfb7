"""A setting checks a value: bounds, kinds, choices and sizes, each with a sentence that says what was expected."""

from __future__ import annotations

import math

import pytest

from ser_core.errors import ConfigError
from ser_core.settings import CHOICE, MAGNITUDE, NUMBER, SIZES, WHOLE, Setting


def setting(kind: str, **values) -> Setting:
    return Setting(**{"name": "x", "title": "X", "kind": kind, "default": 1, "help": "", "low": 1, "high": 5} | values)


@pytest.mark.parametrize(
    ("kind", "value"),
    [(WHOLE, 1), (WHOLE, 5), (NUMBER, 1), (NUMBER, 4.5), (MAGNITUDE, 5.0)],
)
def test_both_bounds_and_what_lies_between_are_kept_as_they_are(kind, value):
    assert setting(kind).check(value, of="mlp") is value


@pytest.mark.parametrize(
    ("kind", "value", "sentence"),
    [
        (WHOLE, 0, "mlp: x must be a whole number from 1 to 5. Got 0."),
        (WHOLE, 6, "mlp: x must be a whole number from 1 to 5. Got 6."),
        (WHOLE, 2.0, "mlp: x must be a whole number from 1 to 5. Got 2.0."),
        (WHOLE, True, "mlp: x must be a whole number from 1 to 5. Got True."),
        (NUMBER, "2", "mlp: x must be a number from 1 to 5. Got '2'."),
        (NUMBER, math.nan, "mlp: x must be a number from 1 to 5. Got nan."),
        (NUMBER, None, "mlp: x must be a number from 1 to 5. Got None."),
        (MAGNITUDE, math.inf, "mlp: x must be a number from 1 to 5. Got inf."),
    ],
)
def test_anything_else_is_named_with_what_was_expected(kind, value, sentence):
    with pytest.raises(ConfigError) as caught:
        setting(kind).check(value, of="mlp")
    assert str(caught.value) == sentence


def test_a_choice_is_of_its_own_type():
    choice = setting(CHOICE, choices=("scale", 1, False))
    assert [choice.check(value, of="svm") for value in ("scale", 1, False)] == ["scale", 1, False]
    for value in (True, 1.0, 0, "auto"):
        with pytest.raises(ConfigError, match=r"svm: x must be one of 'scale', 1, False\. Got "):
            choice.check(value, of="svm")


def test_sizes_are_as_many_as_by_default_and_come_back_as_a_tuple():
    sizes = setting(SIZES, default=(2, 3))
    assert sizes.check([1, 5], of="cnn") == (1, 5)
    for value in ((1,), (1, 2, 3), (1, 6), (1, 2.0), 3, "12"):
        with pytest.raises(ConfigError, match="cnn: x must be 2 whole numbers from 1 to 5"):
            sizes.check(value, of="cnn")
