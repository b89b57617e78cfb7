"""Figures as text: their geometry is the numbers', and they are well-formed XML whatever a name holds."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from ser_core.recognition import svg

SPACE = "{http://www.w3.org/2000/svg}"


def parsed(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)


def words(drawing: ElementTree.Element) -> list[str]:
    return [each.text or "" for each in drawing.iter(f"{SPACE}text")]


def test_a_bar_is_as_long_as_its_value():
    drawing = parsed(
        svg.bars(
            [svg.Bar("a", 0.5, 0.4, 0.6), svg.Bar("b <&>", 1.0, 1.0, 1.0, {"chance": 0.25}, pale=True)], label='"a" & b'
        )
    )
    widths = [float(each.get("width")) for each in list(drawing.iter(f"{SPACE}rect"))[1:]]
    assert widths[1] == 2 * widths[0] > 0
    assert drawing.get("aria-label") == '"a" & b' and {"a", "b <&>", "50.0 %", "100.0 %"} <= set(words(drawing))


def test_a_matrix_shows_each_row_in_percent():
    drawing = parsed(svg.matrix(["x", "y"], [[3, 1], [0, 0]], label="m"))
    assert words(drawing) == ["predicted →", "true ↓", "x", "75", "25", "y", "x", "y"]
    shades = [each.get("fill") for each in list(drawing.iter(f"{SPACE}rect"))[1:]]
    assert shades[2] == shades[3] == "#f6f6f6" and len({shades[0], shades[1], shades[2]}) == 3


@pytest.mark.parametrize("mark", [None, (0.5, 0.25)])
def test_a_curve_runs_through_its_points(mark):
    drawing = parsed(svg.curve([(0.0, 0.0), (1.0, 1.0)], x="x", y="y", label="c", mark=mark))
    (line,) = [each.get("d") for each in drawing.iter(f"{SPACE}path") if each.get("stroke-width") == "2"]
    assert line == "M44.0 228.0L264.0 8.0"
    rings = [(float(each.get("cx")), float(each.get("cy"))) for each in drawing.iter(f"{SPACE}circle")]
    assert rings == ([] if mark is None else [(154.0, 173.0)])


def test_no_points_and_long_names_do_no_harm():
    parsed(svg.curve([], x="x", y="y", label="c", diagonal=True))
    assert any(
        each.endswith("…") and len(each) == svg.NAME_CHARACTERS
        for each in words(parsed(svg.matrix(["n" * 90], [[1]], label="")))
    )
