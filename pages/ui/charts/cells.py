"""Cells of a matrix to click: Plotly selects no cell of a heat map, so an unseen marker stands in the middle of each."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from pages.ui.charts import palette


def clickable(figure: go.Figure, *, chosen: tuple[int, int] | None = None) -> go.Figure:
    """Return a confusion matrix whose cells can be selected: the number of a point is row * n_columns + column.

    chosen : the row and column that are framed.
    """
    heat = figure.data[0]
    names, share, counts = list(heat.y), np.asarray(heat.z), np.asarray(heat.customdata)
    unseen = {"marker": {"opacity": 0}}
    figure.add_trace(
        go.Scatter(
            x=list(heat.x) * len(names),
            y=[name for name in names for _ in heat.x],
            mode="markers",
            marker={"symbol": "square", "size": 20, "opacity": 0},
            selected=unseen,
            unselected=unseen,
            showlegend=False,
            customdata=np.stack([counts.ravel(), share.ravel()], axis=1),
            hovertemplate=heat.hovertemplate.replace("%{customdata}", "%{customdata[0]}").replace(
                "%{z", "%{customdata[1]"
            ),
        )
    )
    figure.update_traces(hoverinfo="skip", hovertemplate=None, selector={"type": "heatmap"})
    # However wide a cell is drawn, the marker nearest to the pointer is its own.
    figure.update_layout(hovermode="closest", hoverdistance=-1)
    if chosen:
        row, column = chosen
        for colour, width in ((palette.RING, 6), (palette.WRONG, 3)):
            figure.add_shape(
                type="rect",
                x0=column - 0.5,
                x1=column + 0.5,
                y0=row - 0.5,
                y1=row + 0.5,
                line={"color": colour, "width": width},
            )
    return figure
