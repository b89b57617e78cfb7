"""Figures of models under conditions, and of corpora against each other: pure functions from tables and cells to Plotly figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from pages.ui.charts import clip, models, palette
from ser_core.audio.degradations import CLEAN, CONDITIONS
from ser_core.experiments.cross_corpus import Cell

CELL_PX = 62
NOTHING = "rgba(128, 128, 128, 0.28)"
"""A pair of corpora that cannot be measured."""


def axis_of(name: str) -> list[str]:
    """Return the places on a condition's axis: the clean clips, then the levels; or in their middle, where nothing changes."""
    row = CONDITIONS[name]
    levels = [CLEAN if level == row.middle else _level(level, signed=row.middle is not None) for level in row.levels]
    return levels if row.middle is not None else [CLEAN, *levels]


def _level(level: float, *, signed: bool) -> str:
    return f"{level:+g}" if signed else f"{level:g}"


def under(rows: pd.DataFrame, name: str, titles: Mapping[str, str], metric: str, *, chance: float) -> go.Figure:
    """Return one line per model over the levels of a condition, its clean figure dotted across; rows: of robustness.Robustness."""
    row = CONDITIONS[name]
    places = axis_of(name)
    traces, shapes = [], []
    for number, (slug, title) in enumerate(titles.items()):
        own = rows[(rows["model"] == slug) & rows["condition"].isin([CLEAN, name])]
        called = [
            CLEAN if each == CLEAN else _level(level, signed=row.middle is not None)
            for each, level in zip(own["condition"], own["level"], strict=True)
        ]
        own = own.assign(place=called).set_index("place").reindex([place for place in places if place in called])
        hover = f"%{{x}}: {metric} %{{y:.1%}}, %{{customdata[0]:.1f}} points lost"
        traces.append(
            models.curve(
                number,
                title,
                list(own.index),
                list(own[metric]),
                hover=hover,
                customdata=100 * own[["lost"]].to_numpy(),
            )
        )
        clean = float(own.loc[CLEAN, metric])
        shapes.append(_across(clean, palette.series(number)[0], "dot", 1))
    shapes.append(_across(chance, palette.CHANCE, "dash", 2))
    return go.Figure(
        traces,
        {
            "height": 400,
            "margin": {"l": 8, "r": 16, "t": 60, "b": 44},
            "legend": models.LEGEND,
            "showlegend": True,
            "shapes": shapes,
            "xaxis": {
                "type": "category",
                "categoryorder": "array",
                "categoryarray": places,
                "fixedrange": True,
                "showgrid": False,
                "title": {"text": f"{row.title}: {row.unit}", "standoff": 6},
            },
            "yaxis": {
                **models.SHARE,
                "range": (0, 1.04),
                "automargin": True,
                "title": {"text": {"uar": "UAR", "accuracy": "Accuracy"}[metric], "standoff": 6},
            },
            "annotations": [
                {
                    "text": f"chance {chance:.1%}",
                    "x": 1,
                    "xref": "paper",
                    "xanchor": "right",
                    "y": chance,
                    "yanchor": "bottom",
                    "showarrow": False,
                }
            ],
        },
    )


def _across(y: float, colour: str, dash: str, width: int) -> dict[str, Any]:
    return {
        "type": "line",
        "x0": 0,
        "x1": 1,
        "xref": "paper",
        "y0": y,
        "y1": y,
        "layer": "below",
        "line": {"color": colour, "width": width, "dash": dash},
    }


def heat(cells: Sequence[Cell], titles: Mapping[str, str]) -> go.Figure:
    """Return the UAR in % of every pair: trained on the row, tested on the column, new speakers of one corpus framed; grey: not measured.

    titles : corpus -> what people call it, in the order of the axes; pairs without a cell stay empty.
    """
    names = list(titles)
    titles = {name: clip.literal(title) for name, title in titles.items()}
    at = {(cell.train, cell.test): cell for cell in cells}
    grid = [[at.get((train, test)) for test in names] for train in names]
    values = [[cell.uar if cell and not cell.problem else None for cell in row] for row in grid]
    missing = [[1.0 if cell and cell.problem else None for cell in row] for row in grid]
    hover = [[_hover_text(cell, titles) if cell else "" for cell in row] for row in grid]
    shared: dict[str, Any] = {
        "x": list(titles.values()),
        "y": list(titles.values()),
        "customdata": hover,
        "xgap": 3,
        "ygap": 3,
        "showscale": False,
        "hovertemplate": "%{customdata}<extra></extra>",
        "zmin": 0,
        "zmax": 1,
    }
    traces = [
        go.Heatmap(z=missing, colorscale=[[0, NOTHING], [1, NOTHING]], hoverongaps=False, **shared),
        go.Heatmap(z=values, colorscale=palette.HEAT, hoverongaps=False, **shared),
    ]
    share = np.array([[value or 0.0 for value in row] for row in values])
    words = [["" if value is None else f"{100 * value:.0f}" for value in row] for row in values]
    axis = {"type": "category", "fixedrange": True, "showgrid": False, "automargin": True}
    return go.Figure(
        traces,
        {
            "annotations": clip.cells(share, words, list(titles.values()), size=18),
            "height": CELL_PX * len(names) + 110,
            "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
            "xaxis": {**axis, "title": {"text": "tested on", "standoff": 8}, "range": (-0.52, len(names) - 0.48)},
            "yaxis": {**axis, "title": {"text": "trained on", "standoff": 8}, "range": (len(names) - 0.48, -0.52)},
            "shapes": [
                {
                    "type": "rect",
                    "x0": n - 0.49,
                    "x1": n + 0.49,
                    "y0": n - 0.49,
                    "y1": n + 0.49,
                    "line": {"color": palette.ABOVE, "width": 3},
                }
                for n in range(len(names))
            ],
        },
    )


def _hover_text(cell: Cell, titles: Mapping[str, str]) -> str:
    pair = f"trained on {titles[cell.train]}, tested on {titles[cell.test]}"
    if cell.train == cell.test:
        pair = f"{titles[cell.test]}, other speakers of it"
    if cell.problem:
        return f"{pair}<br>not measured: {cell.problem}"
    return (
        f"{pair}<br>UAR {cell.uar:.1%} ({cell.low:.1%} to {cell.high:.1%}), chance {cell.chance:.1%}<br>"
        f"{cell.n_clips:,} clips of {cell.n_test_speakers} speakers, {len(cell.labels)} labels"
    )


def cell_table(cells: Sequence[Cell], titles: Mapping[str, str]) -> pd.DataFrame:
    """Return one row per cell with its figures in %, empty where it was not measured, and why; and which recordings occur twice, if any."""
    doubles = any(cell.doubles for cell in cells)
    return pd.DataFrame(
        [
            {
                "Trained on": titles[cell.train],
                "Tested on": titles[cell.test],
                **{
                    name: np.nan if cell.problem else 100 * value
                    for name, value in (
                        ("UAR", cell.uar),
                        ("UAR from", cell.low),
                        ("UAR to", cell.high),
                        ("Accuracy", cell.accuracy),
                        ("Chance", cell.chance),
                    )
                },
                "Labels": len(cell.labels),
                "Clips": cell.n_clips,
                "Speakers": cell.n_test_speakers,
                "Not measured": cell.problem,
                **({"More than once": cell.doubles} if doubles else {}),
            }
            for cell in cells
        ]
    )
