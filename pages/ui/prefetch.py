"""The library that draws figures, fetched and read by the browser while a visitor still reads the empty page.

Streamlit's page asks for it with the first figure, when there are 4.7 MB to fetch and to read between the answers and their pictures. The
module that is imported here is the same that the page asks for later, by the same address, so that it is there at once.
"""

from __future__ import annotations

import functools
from pathlib import Path

import streamlit as st

_FIGURES = "PlotlyChart.*.js"
_COMPONENT = st.components.v2.component(
    "ser_prefetch", js=Path(__file__).with_suffix(".js").read_text(encoding="utf-8"), isolate_styles=False
)


def figures() -> None:
    """Have the browser fetch what draws figures, once it has nothing else to do; a browser that saves data does not."""
    if name := _figures():
        with st.container(key="prefetch"):
            _COMPONENT(key="prefetch.figures", data={"module": name})


@functools.cache
def _figures() -> str:
    """Return the name of the module that draws figures, "" where this Streamlit has none of that name."""
    found = sorted((Path(st.__file__).parent / "static" / "static" / "js").glob(_FIGURES))
    return found[0].name if len(found) == 1 else ""
