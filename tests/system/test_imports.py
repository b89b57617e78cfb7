"""Imports without a library: it is not found meanwhile and found again later, and what is loaded already stays."""

from __future__ import annotations

import sys

import pytest

from ser_core.system import imports


def test_a_library_is_not_found_meanwhile_and_is_found_again_later(monkeypatch):
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with imports.without("colorsys"), pytest.raises(ImportError):
        import colorsys
    import colorsys

    assert colorsys.rgb_to_hsv(0, 0, 0) == (0, 0, 0)


def test_it_is_found_again_after_an_error(monkeypatch):
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with pytest.raises(ValueError, match="went wrong"), imports.without("colorsys"):
        raise ValueError("went wrong")
    assert "colorsys" not in sys.modules


def test_what_is_loaded_already_stays():
    with imports.without("pytest"):
        import pytest as found
    assert found is pytest and sys.modules["pytest"] is pytest
