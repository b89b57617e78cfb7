"""A network's layers as a list, for the pages that describe models."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any


def architecture(layers: Sequence[Any]) -> str:
    """Return a model's layers as an HTML picture: a block a layer, in order, with its output's shape and its parameters."""
    rows = [layer for layer in layers if isinstance(layer, dict)]
    counts = [n if isinstance(n := layer.get("parameters"), int) else 0 for layer in rows]
    most = max([*counts, 1])
    blocks = "".join(
        f"<li><span>{escape(str(layer.get('name', '')))}<small>{escape(str(layer.get('detail') or ''))}</small></span>"
        f"<span>{escape(_shape(layer.get('shape')))}</span>{_weight(n, most)}</li>"
        for layer, n in zip(rows, counts, strict=True)
    )
    head = "<li><b>Layer</b><b>Gives</b><b></b><b>Parameters</b></li>"
    return f'<ol class="ser-layers">{head}{blocks}</ol>'


def _weight(n: int, most: int) -> str:
    if not n:
        return "<span></span><span></span>"
    return f'<span class="ser-track"><i style="width:{100 * n / most:.1f}%"></i></span><span>{n:,}</span>'


def _shape(shape: Any) -> str:
    return (
        " × ".join("?" if size is None else str(size) for size in shape)
        if isinstance(shape, list | tuple)
        else str(shape or "")
    )
