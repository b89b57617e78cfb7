"""Small figures as SVG text: bars with intervals, a matrix of counts, curves. For print: light ground, dark ink, no library.

Pure functions from numbers and names to text that stands alone as a file too. Every name is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

INK, FAINT, GRID, BLUE, PALE = "#1f2933", "#5d6975", "#d9dee3", "#2f6fae", "#9dc0e0"
"""Text, smaller text, grid lines; the main colour, and a lighter one."""

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
NAME_CHARACTERS = 24
"""Longer names are cut; the tables beside a figure have them whole."""


@dataclass(frozen=True)
class Bar:
    """One bar: value, and the bounds of its interval, all 0..1. marks: further lines on its row, name -> place. pale: drawn lighter."""

    name: str
    value: float
    low: float
    high: float
    marks: dict[str, float] = field(default_factory=dict)
    pale: bool = False


def bars(rows: Sequence[Bar], *, label: str) -> str:
    """Return horizontal bars from 0 to 100 % with their intervals; `label` is the text for screen readers."""
    left, width, row_px, top = 170, 420, 19, 4
    height = top + row_px * len(rows) + 24
    parts = [_grid(left, width, top, top + row_px * len(rows))]
    for number, row in enumerate(rows):
        y = top + row_px * number
        middle = y + row_px / 2
        low, high = left + width * row.low, left + width * row.high
        parts.append(_text(left - 8, middle + 4, _short(row.name), anchor="end", colour=FAINT if row.pale else INK))
        parts.append(
            f'<rect x="{left}" y="{y + 3}" width="{width * row.value:.1f}" height="{row_px - 6}" '
            f'fill="{PALE if row.pale else BLUE}"/>'
        )
        parts.append(
            f'<path d="M{low:.1f} {middle - 4}v8M{low:.1f} {middle}H{high:.1f}M{high:.1f} {middle - 4}v8" stroke="{INK}" '
            'stroke-width="1.4" fill="none"/>'
        )
        for word, place in row.marks.items():
            x = left + width * place
            parts.append(
                f'<path d="M{x:.1f} {y + 2}v{row_px - 4}" stroke="{INK}" stroke-width="1.4" '
                f'stroke-dasharray="{_DASHES.get(word, "1 2")}"/>'
            )
        parts.append(_text(left + width + 50, middle + 4, f"{100 * row.value:.1f} %", anchor="end"))
    return _svg(left + width + 56, height, parts, label)


_WHITE_FROM = 0.82
"""From this share on, white stands out more than ink on the shade."""

_DASHES = {"chance": "3 2", "people": "1 2"}


def matrix(names: Sequence[str], counts: Sequence[Sequence[int]], *, label: str) -> str:
    """Return a matrix of counts, each row shaded and written in % of its sum: rows are true labels, columns the predicted ones."""
    cell, left, top = 40, 96, 20
    n = len(names)
    side = cell * n
    parts = [
        _text(left, 12, "predicted →", size=10, colour=FAINT),
        _text(left - 8, 12, "true ↓", size=10, anchor="end", colour=FAINT),
    ]
    for row, (name, line) in enumerate(zip(names, counts, strict=True)):
        total = sum(line)
        parts.append(_text(left - 8, top + cell * row + cell / 2 + 4, _short(name), anchor="end"))
        for column, count in enumerate(line):
            share = count / total if total else 0.0
            x, y = left + cell * column, top + cell * row
            parts.append(f'<rect x="{x}" y="{y}" width="{cell - 1}" height="{cell - 1}" fill="{_shade(share)}"/>')
            if count:
                parts.append(
                    _text(
                        x + (cell - 1) / 2,
                        y + cell / 2 + 4,
                        f"{100 * share:.0f}",
                        anchor="middle",
                        size=11,
                        colour="#ffffff" if share > _WHITE_FROM else INK,
                        bold=row == column,
                    )
                )
    for column, name in enumerate(names):
        middle, below = left + cell * column + cell / 2, top + side + 12
        parts.append(_text(middle, below, _short(name), anchor="end", turn=f"rotate(-40 {middle:.0f} {below:.0f})"))
    return _svg(left + side + 8, top + side + 64, parts, label)


def curve(
    points: Sequence[tuple[float, float]],
    *,
    x: str,
    y: str,
    label: str,
    diagonal: bool = False,
    mark: tuple[float, float] | None = None,
) -> str:
    """Return a curve in the unit square with its axes' titles; diagonal: a dashed line from corner to corner; mark: a ring at a point."""
    left, top, side = 44, 8, 220
    place = [(left + side * a, top + side * (1 - b)) for a, b in points]
    parts = [_grid(left, side, top, top + side)]
    for share in (0, 0.25, 0.5, 0.75, 1):
        level = top + side * (1 - share)
        parts.append(f'<path d="M{left} {level:.1f}h{side}" stroke="{GRID}"/>')
        parts.append(_text(left - 6, level + 4, f"{100 * share:.0f}", anchor="end", size=10, colour=FAINT))
    if diagonal:
        parts.append(
            f'<path d="M{left} {top + side}L{left + side} {top}" stroke="{FAINT}" stroke-dasharray="4 3" fill="none"/>'
        )
    if place:
        parts.append(
            f'<path d="M{"L".join(f"{a:.1f} {b:.1f}" for a, b in place)}" stroke="{BLUE}" stroke-width="2" fill="none"/>'
        )
    if diagonal:
        parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2.6" fill="{BLUE}"/>' for a, b in place]
    if mark:
        a, b = left + side * mark[0], top + side * (1 - mark[1])
        parts.append(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="6" fill="#ffffff" stroke="{INK}" stroke-width="2"/>')
    parts.append(_text(left + side / 2, top + side + 32, x, anchor="middle", size=11))
    parts.append(_text(12, top + side / 2, y, anchor="middle", size=11, turn=f"rotate(-90 12 {top + side / 2:.0f})"))
    return _svg(left + side + 14, top + side + 40, parts, label)


def _grid(left: float, width: float, top: float, bottom: float) -> str:
    lines = []
    for share in (0, 0.25, 0.5, 0.75, 1):
        x = left + width * share
        lines.append(f'<path d="M{x:.1f} {top}V{bottom}" stroke="{GRID}"/>')
        lines.append(
            _text(
                x, bottom + 15, f"{100 * share:.0f}{' %' if share == 1 else ''}", anchor="middle", size=10, colour=FAINT
            )
        )
    return "".join(lines)


def _text(
    x: float,
    y: float,
    words: str,
    *,
    anchor: str = "start",
    size: float = 12,
    colour: str = INK,
    bold: bool = False,
    turn: str = "",
) -> str:
    weight = ' font-weight="600"' if bold else ""
    turned = f' transform="{turn}"' if turn else ""
    style = f'text-anchor="{anchor}" font-size="{size}" fill="{colour}"{weight}{turned}'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(words)}</text>'


def _shade(share: float) -> str:
    """Return white for 0, the full blue for 1, as '#rrggbb'."""
    full = [int(BLUE[i : i + 2], 16) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(246 + (each - 246) * share):02x}" for each in full)


def _short(name: str) -> str:
    return name if len(name) <= NAME_CHARACTERS else f"{name[: NAME_CHARACTERS - 1]}…"


def _svg(width: float, height: float, parts: Sequence[str], label: str) -> str:
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="{FONT}" role="img" aria-label="{escape(label)}">'
        f'<rect width="100%" height="100%" fill="#ffffff"/>{"".join(parts)}</svg>'
    )
