"""What takes of one's own voice are worth: a pure function from the rows of training/personal.py to a Plotly figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from pages.ui.charts import clip, models, palette
from ser_core.training.personal import TAKES, Row

BAR_PX = 17
ANOTHER = "of another speaker"


def gains(rows: Sequence[Row], titles: Mapping[str, str]) -> go.Figure:
    """Return what each number of own takes per label adds to the accuracy of each model, and as many of another speaker's at the most.

    rows: of one corpus. titles: slug -> title, in the order that the models are drawn in. A bar is in points, its line the 95 % interval.
    """
    most = max(TAKES)
    traces = []
    series = [(f"{k} take{'s' * (k > 1)} per emotion", k, False) for k in TAKES if k]
    for number, (name, k, is_control) in enumerate([*series, (f"{most} takes {ANOTHER}", most, True)]):
        by_model = {row.model: row for row in rows if row.takes == k}
        own = [by_model[slug] for slug in titles if slug in by_model]
        spread = [
            (row.control, row.control_low, row.control_high) if is_control else (row.gain, row.gain_low, row.gain_high)
            for row in own
        ]
        colour = palette.WRONG if is_control else palette.SERIES[(5, 0)[number % 2]]
        traces.append(
            go.Bar(
                name=name,
                y=[clip.literal(titles[row.model]) for row in own],
                x=[100 * value for value, _, _ in spread],
                orientation="h",
                marker={"color": colour, "opacity": 0.5},
                customdata=[[100 * low, 100 * high] for _, low, high in spread],
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": [100 * (high - value) for value, _, high in spread],
                    "arrayminus": [100 * (value - low) for value, low, _ in spread],
                    "thickness": 2,
                    "width": 4,
                    "color": colour,
                },
                hovertemplate=f"%{{y}}, {name}: %{{x:+.1f}} points (%{{customdata[0]:+.1f}} to %{{customdata[1]:+.1f}})<extra></extra>",
            )
        )
    return go.Figure(
        traces,
        {
            "height": (BAR_PX * len(traces) + 14) * len(titles) + 110,
            "margin": {"l": 8, "r": 16, "t": 62, "b": 44},
            "barmode": "group",
            "bargap": 0.25,
            "showlegend": True,
            "legend": {**models.LEGEND, "traceorder": "normal"},
            "xaxis": {
                "gridcolor": palette.GRID,
                "zeroline": True,
                "zerolinecolor": palette.CHANCE,
                "zerolinewidth": 2,
                "fixedrange": True,
                "tickformat": "+d",
                "title": {"text": "Points of accuracy", "standoff": 6},
            },
            "yaxis": clip.NAMES_AXIS,
        },
    )
