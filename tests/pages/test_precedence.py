"""Predictions go before pictures."""

from __future__ import annotations

import threading

import pytest

from pages.ui.precedence import Precedence


def test_pictures_wait_until_nobody_is_owed_predictions() -> None:
    order, precedence, entered, leave = [], Precedence(), threading.Event(), threading.Event()

    def predict() -> None:
        with precedence.first():
            entered.set()
            leave.wait(60)
            order.append("predictions")

    def draw() -> None:
        assert precedence.wait(60)
        order.append("pictures")

    first = threading.Thread(target=predict)
    first.start()
    assert entered.wait(60)
    second = threading.Thread(target=draw)
    second.start()
    leave.set()
    first.join(60)
    second.join(60)
    assert order == ["predictions", "pictures"]


def test_patience_ends_and_a_run_that_fails_owes_nothing_any_more() -> None:
    precedence = Precedence()
    with precedence.first():
        assert not precedence.wait(0.01)
    with pytest.raises(ValueError), precedence.first():
        raise ValueError
    assert precedence.wait(0)
