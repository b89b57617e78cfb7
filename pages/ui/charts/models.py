"""Figures of models side by side: pure functions from evaluations by title, and from tables, to Plotly figures.

Whoever draws them checks that all were measured under one protocol on one corpus.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from pages.ui.charts import clip, palette
from ser_core.corpora import catalogue
from ser_core.metrics.curves import N_STEPS
from ser_core.metrics.evaluation import Evaluation

Figures = Mapping[str, Evaluation]
"""Title of a model -> its figures."""

CONFIG: dict[str, Any] = {
    **clip.CONFIG,
    "toImageButtonOptions": {"format": "png", "filename": "comparison", "scale": 2},
}

ROW_PX, CELL_PX = 46, 40
LEGEND: dict[str, Any] = {
    "orientation": "h",
    "x": 0,
    "xanchor": "left",
    "y": 1,
    "yanchor": "bottom",
    "itemclick": False,
    "itemdoubleclick": False,
}
SHARE: dict[str, Any] = {"tickformat": ".0%", "gridcolor": palette.GRID, "zeroline": False, "fixedrange": True}


def bars(figures: Figures, metric: str, *, order: Sequence[str] = ()) -> go.Figure:
    """Return one bar per model with its 95 % interval, and lines for chance and, where it is known, for people.

    metric : "uar" or "accuracy". order : titles whose place tells the colour, so that a model keeps it where others are missing.
    """
    names = list(figures)
    values = [getattr(each, metric) for each in figures.values()]
    bounds = [each.interval[metric] for each in figures.values()]
    traces = []
    for number, (name, value, (low, high)) in enumerate(zip(names, values, bounds, strict=True)):
        colour = palette.series(order.index(name) if name in order else number)[0]
        traces.append(
            go.Bar(
                y=[clip.literal(name)],
                x=[value],
                orientation="h",
                marker={"color": colour, "opacity": 0.5},
                customdata=[[low, high]],
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": [max(high - value, 0)],
                    "arrayminus": [max(value - low, 0)],
                    "thickness": 3,
                    "width": 8,
                    "color": colour,
                },
                hovertemplate="%{y}: %{x:.1%} (%{customdata[0]:.1%} to %{customdata[1]:.1%})<extra></extra>",
            )
        )
    first = next(iter(figures.values()))
    lines = {"chance": first.chance}
    people = catalogue.human_accuracy(first.corpus) if first.human is None else first.human
    if metric == "accuracy" and people is not None:
        lines["people"] = people
    return go.Figure(
        traces,
        {
            "height": ROW_PX * len(names) + 84,
            "margin": {"l": 8, "r": 16, "t": 30, "b": 44},
            "bargap": 0.4,
            "showlegend": False,
            "xaxis": {
                **SHARE,
                "range": (0, 1),
                "title": {"text": {"uar": "UAR", "accuracy": "Accuracy"}[metric], "standoff": 6},
            },
            "yaxis": clip.NAMES_AXIS,
            "shapes": [
                {
                    "type": "line",
                    "x0": x,
                    "x1": x,
                    "y0": 0,
                    "y1": 1,
                    "yref": "paper",
                    "layer": "above",
                    "line": {"color": palette.CHANCE, "width": 2, "dash": "dash"},
                }
                for x in lines.values()
            ],
            "annotations": [
                {
                    "text": f"{name} {x:.1%}",
                    "x": x,
                    "y": 1,
                    "yref": "paper",
                    "yanchor": "bottom",
                    "xanchor": "left",
                    "xshift": -4,
                    "showarrow": False,
                }
                for name, x in lines.items()
            ],
        },
    )


def labels_of(figures: Figures) -> list[str]:
    """Return the labels that were acted or answered anywhere, so that matrices side by side have the same rows."""
    used = set()
    for each in figures.values():
        counts = np.array(each.confusion)
        used |= {
            label for label, row, column in zip(each.labels, counts, counts.T, strict=True) if row.any() or column.any()
        }
    return [*(label for label in catalogue.ALL_LABELS if label in used), *sorted(used - set(catalogue.ALL_LABELS))]


def ladder(steps: Sequence[tuple[str, Mapping[str, Any]]], metric: str, *, telling: bool = False) -> go.Figure:
    """Return one bar per step (title, leakage_lab.to_row's figures) from the leakiest down, with its interval and the line of chance.

    telling : sentences of these clips give the emotion away, so a bar leaks where a tested sentence was in training.
    """
    names = [f"{number + 1}. {title}<br><b>{row[metric]:.1%}</b>" for number, (title, row) in enumerate(steps)]
    values = [row[metric] for _, row in steps]
    bounds = [row["interval"][metric] for _, row in steps]
    leaks = ("speaker", "twin", "sentence") if telling else ("speaker", "twin")
    clean = [not any(row["seen"][name] for name in leaks) for _, row in steps]
    trace = go.Bar(
        y=names,
        x=values,
        orientation="h",
        marker={
            "color": [palette.RIGHT if each else palette.WRONG for each in clean],
            "opacity": 0.75,
            "pattern": {"shape": ["" if each else "/" for each in clean], "size": 5, "fillmode": "overlay"},
        },
        error_x={
            "type": "data",
            "symmetric": False,
            "thickness": 3,
            "width": 8,
            "color": palette.CHANCE,
            "array": [max(high - value, 0) for value, (_, high) in zip(values, bounds, strict=True)],
            "arrayminus": [max(value - low, 0) for value, (low, _) in zip(values, bounds, strict=True)],
        },
        hovertemplate="%{y}: %{x:.1%}<extra></extra>",
    )
    chance = steps[0][1]["chance"]
    return go.Figure(
        trace,
        {
            "height": ROW_PX * len(names) + 84,
            "margin": {"l": 8, "r": 16, "t": 30, "b": 44},
            "bargap": 0.35,
            "showlegend": False,
            "xaxis": {**SHARE, "range": (0, 1), "title": {"text": metric.capitalize(), "standoff": 6}},
            "yaxis": clip.NAMES_AXIS,
            "shapes": [
                {
                    "type": "line",
                    "x0": chance,
                    "x1": chance,
                    "y0": 0,
                    "y1": 1,
                    "yref": "paper",
                    "layer": "above",
                    "line": {"color": palette.CHANCE, "width": 2, "dash": "dash"},
                }
            ],
            "annotations": [
                {
                    "text": f"chance {chance:.1%}",
                    "x": chance,
                    "y": 1,
                    "yref": "paper",
                    "yanchor": "bottom",
                    "xanchor": "left",
                    "xshift": -4,
                    "showarrow": False,
                }
            ],
        },
    )


def confusion(evaluation: Evaluation, names: Sequence[str], *, as_shares: bool) -> go.Figure:
    """Return the confusion matrix of some labels: rows acted, columns answered; counts, or each row in %."""
    return matrix(evaluation.labels, evaluation.confusion, names, as_shares=as_shares)


def matrix(
    labels: Sequence[str],
    confusion: Sequence[Sequence[int]],
    names: Sequence[str],
    *,
    as_shares: bool,
    heard: str = "answered",
    unit: str = "clips",
) -> go.Figure:
    """Return the matrix of some labels out of all: rows acted, columns heard, in their words; counts of a unit, or each row in %."""
    known = {label: place for place, label in enumerate(labels)}
    names = [name for name in names if name in known]
    shown = [known[name] for name in names]
    names = [clip.literal(name) for name in names]
    counts = np.array(confusion)[np.ix_(shown, shown)]
    total = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, total, out=np.zeros(counts.shape), where=total > 0)
    text = np.where(counts > 0, np.char.mod("%.0f", 100 * share) if as_shares else counts.astype(str), "")
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
        hovertemplate=f"acted %{{y}}, {heard} %{{x}}: %{{customdata}} {unit}, %{{z:.1%}} of the row<extra></extra>",
    )
    axis = {"type": "category", "fixedrange": True, "showgrid": False, "automargin": True}
    return go.Figure(
        trace,
        {
            "height": CELL_PX * len(names) + 104,
            "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
            "annotations": clip.cells(share, text, names, size=12),
            "xaxis": {**axis, "title": {"text": heard, "standoff": 6}, "tickangle": -45},
            "yaxis": {**axis, "title": {"text": "acted", "standoff": 6}, "autorange": "reversed"},
        },
    )


def describe_confusion(title: str, evaluation: Evaluation) -> str:
    """Return the most frequent mistake, in a sentence for a screen reader."""
    counts = np.array(evaluation.confusion)
    np.fill_diagonal(counts, 0)
    row, column = np.unravel_index(counts.argmax(), counts.shape)
    return (
        f"{title}: {evaluation.accuracy:.0%} of {evaluation.n_clips:,} clips right; most often {evaluation.labels[row]} was taken for "
        f"{evaluation.labels[column]}, {counts.max()} times."
    )


def labels(figures: Figures, metric: str) -> go.Figure:
    """Return one dot per label and model. metric: "recall", "precision" or "f1"."""
    there = {label for each in figures.values() for label in each.per_label}
    names = [*(label for label in catalogue.ALL_LABELS if label in there), *sorted(there - set(catalogue.ALL_LABELS))]
    rows = {
        title: [each.per_label[label][metric] if label in each.per_label else None for label in names]
        for title, each in figures.items()
    }
    return dots(names, rows, axis={"recall": "Recall", "precision": "Precision", "f1": "F1"}[metric])


def dots(names: Sequence[str], rows: Mapping[str, Sequence[float | None]], *, axis: str) -> go.Figure:
    """Return one row per name with one dot a model. rows: title -> a share for each name, None where there is none."""
    traces = [
        go.Scatter(
            y=[clip.literal(name) for name in names],
            x=list(values),
            mode="markers",
            name=clip.literal(title),
            marker={"color": palette.series(number)[0], "symbol": palette.series(number)[1], "size": 11},
            hovertemplate=f"%{{y}}: {axis} %{{x:.1%}}<extra>{clip.literal(title)}</extra>",
        )
        for number, (title, values) in enumerate(rows.items())
    ]
    return go.Figure(
        traces,
        {
            "height": (34 if len(names) <= 12 else 22) * len(names) + 110,
            "margin": {"l": 8, "r": 16, "t": 50, "b": 44},
            "legend": LEGEND,
            "showlegend": True,
            "xaxis": {**SHARE, "range": (-0.02, 1.02), "title": {"text": axis, "standoff": 6}},
            "yaxis": {
                **clip.NAMES_AXIS,
                "dtick": 1,
                "gridcolor": palette.GRID,
            },
        },
    )


def reliability(figures: Figures) -> go.Figure:
    """Return how often each model was right, over how sure it was; on the diagonal a probability means what it says."""
    traces = [
        go.Scatter(
            x=[0, 1],
            y=[0, 1],
            mode="lines",
            name="perfect calibration",
            hoverinfo="skip",
            line={"color": palette.CHANCE, "dash": "dash", "width": 2},
        )
    ]
    for number, (title, each) in enumerate(figures.items()):
        if each.curves:
            n, sure, right = zip(*each.curves.reliability, strict=True)
            traces.append(
                curve(
                    number,
                    title,
                    sure,
                    right,
                    customdata=n,
                    hover="sure %{x:.0%}, right %{y:.0%} of %{customdata} clips",
                )
            )
    return _square(traces, x="Probability of the answer", y="Share that was right")


def risk(figures: Figures) -> go.Figure:
    """Return which share of the answers is wrong, over the share of the clips that is answered, the surest first.

    A large ring marks what a model's own threshold gives; the area of each curve stands in the legend.
    """
    traces, rings = [], []
    for number, (title, each) in enumerate(figures.items()):
        if each.curves is None or each.curves.aurc is None:
            continue
        x, y = zip(*each.curves.risk, strict=True)
        line = curve(
            number, f"{title}: {each.curves.aurc:.3f}", x, y, hover="answers %{x:.0%}, %{y:.0%} of these wrong"
        )
        traces.append(line.update(mode="lines"))
        if each.sure and each.sure["answered"]:
            answered, wrong = at_threshold(each)
            rings.append(
                go.Scatter(
                    x=[answered],
                    y=[wrong],
                    mode="markers",
                    showlegend=False,
                    hovertemplate=f"threshold: answers %{{x:.0%}}, %{{y:.0%}} of these wrong<extra>{clip.literal(title)}</extra>",
                    marker={
                        "symbol": palette.series(number)[1],
                        "size": 14,
                        "color": palette.series(number)[0],
                        "line": {"width": 2, "color": palette.RING},
                    },
                )
            )
    figure = _square(
        [*traces, *rings],
        x="Coverage: share of clips answered, most probable first",
        y="Risk: share of answers that are wrong",
    )
    highest = max((point for trace in traces for point in trace.y), default=0.5)
    return figure.update_yaxes(range=(0, min(1.02, 1.15 * highest + 0.02)))


def at_threshold(evaluation: Evaluation) -> tuple[float, float]:
    """Return which share of the clips a model's threshold answers, and which share of these answers is wrong."""
    counts = evaluation.sure or {"answered": 0, "right": 0}
    return counts["answered"] / evaluation.n_clips, 1 - counts["right"] / max(counts["answered"], 1)


def roc(figures: Figures, label: str) -> go.Figure:
    """Return the ROC curves of one label against all others; the area of each stands in the legend."""
    traces = [
        go.Scatter(
            x=[0, 1],
            y=[0, 1],
            mode="lines",
            name="random guessing: 0.50",
            hoverinfo="skip",
            line={"color": palette.CHANCE, "dash": "dash", "width": 2},
        )
    ]
    for number, (title, each) in enumerate(figures.items()):
        if each.curves and label in each.curves.roc:
            x, y = zip(*each.curves.roc[label], strict=True)
            traces.append(
                curve(
                    number, f"{title}: {each.curves.auc[label]:.2f}", x, y, hover="hits %{y:.0%}, false alarms %{x:.0%}"
                )
            )
    return _square(traces, x="False alarms: other labels taken for it", y="Hits: found of this label")


def certainty(evaluation: Evaluation, label: str | None) -> go.Figure:
    """Return how sure a model was when it was right and when it was wrong; of one answered label, or of all."""
    assert evaluation.curves is not None, "the caller asks only where there are curves"
    rows = [counts for name, counts in evaluation.curves.top.items() if label in (None, name)]
    right, wrong = (
        np.sum([np.array(each[place]) for each in rows], axis=0) if rows else np.zeros(N_STEPS, int) for place in (0, 1)
    )
    x = [(step + 0.5) / N_STEPS for step in range(N_STEPS)]
    traces = [
        go.Bar(
            x=x,
            y=counts,
            name=name,
            marker={"color": colour, "pattern": {"shape": shape, "size": 5, "fillmode": "overlay"}},
            hovertemplate=f"about %{{x:.0%}} sure: %{{y}} {name}<extra></extra>",
        )
        for name, counts, colour, shape in (("right", right, palette.RIGHT, ""), ("wrong", wrong, palette.WRONG, "/"))
    ]
    return go.Figure(
        traces,
        {
            "height": 260,
            "margin": {"l": 8, "r": 8, "t": 40, "b": 44},
            "barmode": "stack",
            "bargap": 0.08,
            "legend": LEGEND,
            "xaxis": {
                **SHARE,
                "range": (0, 1),
                "title": {"text": "Probability of the answer", "standoff": 6},
                "showgrid": False,
            },
            "yaxis": {
                "gridcolor": palette.GRID,
                "zeroline": False,
                "fixedrange": True,
                "automargin": True,
                "title": {"text": "Clips", "standoff": 6},
            },
        },
    )


def table(figures: Figures) -> pd.DataFrame:
    """Return one row per model with its figures in %, and on what they were measured."""
    rows = pd.DataFrame(
        [
            {
                "Model": title,
                "UAR": 100 * each.uar,
                "UAR from": 100 * each.interval["uar"][0],
                "UAR to": 100 * each.interval["uar"][1],
                "Accuracy": 100 * each.accuracy,
                "F1": 100 * each.macro_f1,
                "Precision": 100 * each.macro_precision,
                "ECE": 100 * each.ece,
                "AUC": float(np.mean(list(each.curves.auc.values()))) if each.curves and each.curves.auc else None,
                "Chance": 100 * each.chance,
                "Clips": each.n_clips,
                "Speakers": each.n_test_speakers,
                "Interval over": each.interval_over,
            }
            for title, each in figures.items()
        ]
    )
    return rows.dropna(axis="columns", how="all")


def label_table(figures: Figures) -> pd.DataFrame:
    """Return one row per model and label: recall, precision and F1 in %, the area under the ROC curve, and the clips."""
    return pd.DataFrame(
        [
            {
                "Model": title,
                "Label": label,
                "Clips": int(row["n"]),
                **{name.capitalize(): 100 * row[name] for name in ("recall", "precision", "f1")},
                "AUC": each.curves.auc.get(label) if each.curves else None,
            }
            for title, each in figures.items()
            for label, row in each.per_label.items()
        ]
    )


def curve(
    number: int, name: str, x: Sequence[float | str], y: Sequence[float], *, hover: str, **more: Any
) -> go.Scatter:
    """Return the line of the number-th model, in its colour and with its symbols; told: what hovering says."""
    colour, symbol = palette.series(number)
    name = clip.literal(name)
    return go.Scatter(
        x=x,
        y=y,
        mode="lines+markers",
        name=name,
        line={"color": colour, "width": 2},
        marker={"symbol": symbol, "size": 7},
        hovertemplate=f"{hover}<extra>{name}</extra>",
        **more,
    )


def _square(traces: list[go.Scatter], *, x: str, y: str) -> go.Figure:
    return go.Figure(
        traces,
        {
            "height": 420,
            "margin": {"l": 8, "r": 16, "t": 60, "b": 44},
            "legend": LEGEND,
            "showlegend": True,
            "xaxis": {**SHARE, "range": (0, 1.02), "title": {"text": x, "standoff": 6}},
            "yaxis": {**SHARE, "range": (0, 1.02), "title": {"text": y, "standoff": 6}, "automargin": True},
        },
    )


METRIC = "accuracy"
