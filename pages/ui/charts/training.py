"""Figures of a training and of its result: pure functions from epochs, evaluations and trials to Plotly figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from pages.ui.charts import clip, palette
from ser_core.corpora import catalogue
from ser_core.metrics.evaluation import Evaluation

CONFIG: dict[str, Any] = {
    **clip.CONFIG,
    "toImageButtonOptions": {"format": "png", "filename": "training", "scale": 2},
}

LOSS = {"loss": ("training", "dot"), "validation_loss": ("validation", "solid")}
SCORES = {
    "accuracy": ("accuracy, training", "dot"),
    "validation_accuracy": ("accuracy, validation", "solid"),
    "validation_uar": ("UAR, validation", "dash"),
}
"""Column of the epochs -> name and dash of its line; a line is known by its dash as well as by its colour."""

COLOURS = {
    "loss": "#b98009",
    "validation_loss": palette.LINE,
    "accuracy": "#b98009",
    "validation_accuracy": palette.LINE,
    "validation_uar": "#a0459b",
}

HEIGHT_PX = 250
CELL_PX = 46


def curves(
    epochs: Sequence[Mapping[str, Any]], columns: Mapping[str, tuple[str, str]], *, shares: bool
) -> go.Figure | None:
    """Return lines over the epochs for the columns that have figures; None where none has. shares: the figures are 0..1, shown in %.

    Of a cross-validation, whose epochs carry a fold, the last fold that has any is drawn.
    """
    folds = [row.get("fold") for row in epochs]
    rows = [row for row in epochs if row.get("fold") == folds[-1]] if epochs else []
    traces = []
    for name, (title, dash) in columns.items():
        points = [(row["epoch"], row[name]) for row in rows if row.get(name) is not None]
        if points:
            x, y = zip(*points, strict=True)
            traces.append(
                go.Scatter(
                    x=x,
                    y=y,
                    name=title,
                    mode="lines+markers" if len(points) < 40 else "lines",
                    marker={"size": 5},
                    line={"width": 2, "dash": dash, "color": COLOURS[name]},
                    hovertemplate=f"{title}: %{{y:{'.1%' if shares else '.3f'}}}<extra></extra>",
                )
            )
    if not traces:
        return None
    last = max(int(row.get("epochs") or 0) for row in rows)
    return go.Figure(
        traces,
        {
            "height": HEIGHT_PX,
            "margin": {"l": 48, "r": 8, "t": 40, "b": 40},
            "hovermode": "x unified",
            "showlegend": True,
            "legend": {
                "orientation": "h",
                "x": 0,
                "xanchor": "left",
                "y": 1.02,
                "yanchor": "bottom",
                "itemclick": False,
                "itemdoubleclick": False,
            },
            "xaxis": {
                "title": {"text": "Epoch", "standoff": 4},
                "range": (0.5, max(last, len(rows), 2) + 0.5),
                "fixedrange": True,
                "zeroline": False,
                "showgrid": False,
                "tickformat": "d",
            },
            "yaxis": {
                "gridcolor": palette.GRID,
                "zeroline": False,
                "fixedrange": True,
                "nticks": 6,
                "rangemode": "tozero",
                **({"tickformat": ".0%", "range": (0, 1)} if shares else {"title": {"text": "Loss", "standoff": 4}}),
            },
        },
    )


def labels_shown(evaluation: Evaluation) -> list[str]:
    """Return the labels that were acted or answered, in the order of the matrix."""
    counts = np.array(evaluation.confusion)
    return [
        label
        for label, row, column in zip(evaluation.labels, counts, counts.T, strict=True)
        if row.any() or column.any()
    ]


def confusion(evaluation: Evaluation) -> go.Figure:
    """Return counts, and each row in %, of the labels that occur: rows are what was acted, columns what was answered."""
    names = labels_shown(evaluation)
    shown = [evaluation.labels.index(name) for name in names]
    counts = np.array(evaluation.confusion)[np.ix_(shown, shown)]
    totals = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    text = [
        [f"{n}<br>{100 * p:.0f} %" if n else "" for n, p in zip(*row, strict=True)]
        for row in zip(counts, share, strict=True)
    ]
    trace = go.Heatmap(
        z=share,
        x=names,
        y=names,
        text=text,
        colorscale=palette.HEAT,
        zmin=0,
        zmax=1,
        customdata=counts,
        xgap=1,
        ygap=1,
        showscale=False,
        hovertemplate="acted %{y}, answered %{x}: %{customdata} clips, %{z:.1%}<extra></extra>",
    )
    category = {"type": "category", "fixedrange": True, "showgrid": False}
    return go.Figure(
        trace,
        {
            "height": CELL_PX * len(names) + 110,
            "margin": {"l": 8, "r": 8, "t": 10, "b": 8},
            "annotations": clip.cells(share, text, names, size=11),
            "xaxis": {**category, "title": {"text": "answered", "standoff": 6}, "automargin": True},
            "yaxis": {
                **category,
                "title": {"text": "acted", "standoff": 6},
                "automargin": True,
                "autorange": "reversed",
            },
        },
    )


def describe_confusion(evaluation: Evaluation) -> str:
    """Return the most frequent mistake of a confusion matrix, in a sentence for a screen reader."""
    counts = np.array(evaluation.confusion)
    np.fill_diagonal(counts, 0)
    row, column = np.unravel_index(counts.argmax(), counts.shape)
    if not counts.max():
        return f"All {evaluation.n_clips:,} clips were answered right."
    return (
        f"{evaluation.n_clips:,} clips, {evaluation.accuracy:.0%} right; most often {evaluation.labels[row]} was taken for "
        f"{evaluation.labels[column]}, {counts.max()} times."
    )


def per_label(evaluation: Evaluation) -> go.Figure:
    """Return recall and precision of each label that was tested."""
    names = list(evaluation.per_label)
    traces = [
        go.Bar(
            y=names,
            x=[evaluation.per_label[name][figure] for name in names],
            orientation="h",
            name=figure,
            marker={
                "color": [palette.emotion(name) for name in names],
                "opacity": opacity,
                "pattern": {"shape": pattern, "fillmode": "overlay", "size": 5},
            },
            hovertemplate=f"%{{y}}: {figure} %{{x:.1%}}<extra></extra>",
        )
        for figure, opacity, pattern in (("recall", 1.0, ""), ("precision", 0.55, "/"))
    ]
    return go.Figure(
        traces,
        {
            "height": 40 * len(names) + 90,
            "margin": {"l": 8, "r": 28, "t": 40, "b": 40},
            "bargap": 0.3,
            "barmode": "group",
            "legend": {
                "orientation": "h",
                "x": 0,
                "xanchor": "left",
                "y": 1,
                "yanchor": "bottom",
                "itemclick": False,
                "itemdoubleclick": False,
            },
            "xaxis": {
                "tickformat": ".0%",
                "range": (0, 1),
                "gridcolor": palette.GRID,
                "zeroline": False,
                "fixedrange": True,
            },
            "yaxis": {"autorange": "reversed", "automargin": True, "fixedrange": True, "ticksuffix": "  "},
        },
    )


def label_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Return one row per label: what the figure of `per_label` shows, in %, with the number of clips."""
    order = {label: position for position, label in enumerate(catalogue.ALL_LABELS)}
    rows = sorted(evaluation.per_label.items(), key=lambda item: order.get(item[0], len(order)))
    return [
        {
            "label": label,
            "clips": int(row["n"]),
            **{name: round(100 * row[name], 1) for name in ("recall", "precision", "f1")},
        }
        for label, row in rows
    ]


def trials(rows: Sequence[Mapping[str, Any]], *, hover: Sequence[str]) -> go.Figure:
    """Return a point a combination, the best first, with the spread over its folds. hover: what the hover says of each."""
    order = sorted(range(len(rows)), key=lambda position: -rows[position]["uar"])
    means = [rows[position]["uar"] for position in order]
    spread = [rows[position]["spread"] for position in order]
    trace = go.Scatter(
        x=list(range(1, len(order) + 1)),
        y=means,
        mode="markers",
        marker={"size": 9, "color": palette.LINE},
        error_y={"type": "data", "array": spread, "thickness": 1.2, "width": 3, "color": palette.UNKNOWN},
        customdata=[hover[position] for position in order],
        hovertemplate="%{customdata}<br>%{y:.1%}<extra></extra>",
    )
    return go.Figure(
        trace,
        {
            "height": HEIGHT_PX,
            "margin": {"l": 48, "r": 8, "t": 10, "b": 40},
            "showlegend": False,
            "xaxis": {
                "title": {"text": "Combination, the best first", "standoff": 4},
                "fixedrange": True,
                "zeroline": False,
                "showgrid": False,
                "tickformat": "d",
            },
            "yaxis": {
                "gridcolor": palette.GRID,
                "zeroline": False,
                "fixedrange": True,
                "tickformat": ".0%",
                "title": {"text": "UAR on the folds", "standoff": 4},
            },
        },
    )
