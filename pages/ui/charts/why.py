"""Figures of why a model answers as it does: the map over the mel spectrogram, the deletion curve, groups of measures, neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from pages.ui.charts import clip, palette
from ser_core.dataset import exploration
from ser_core.explanation import figures
from ser_core.explanation.measures import Contributions
from ser_core.explanation.neighbours import Neighbours
from ser_core.explanation.occlusion import Deletion, Occlusion
from ser_core.recognition.analysis import Analysis

GREYS = [[0, "#14181d"], [1, "#969ea6"]]
"""The sound under a map: dark enough that what counts is lighter, in both themes."""

COUNTS = [[0, "rgba(212, 255, 63, 0)"], [0.05, "rgba(212, 255, 63, 0.06)"], [1, "rgba(212, 255, 63, 0.88)"]]
"""figures.HEAT, from nothing to nearly opaque."""

MARGIN = {"l": 56, "r": 12, "t": 30, "b": 44}


def map_over_mel(found: Occlusion, analysis: Analysis) -> go.Figure:
    """Return the mel spectrogram in greys, over it how much each patch counts, and below it the measures besides the bands."""
    measured = analysis.features
    level, group = clip.thin(measured.log_mel)
    step = measured.config.hop_length / measured.config.sample_rate
    strongest = max(float(np.max(found.fall)), max(found.measures, default=0.0), 1e-6)
    counts: dict[str, Any] = {
        "type": "heatmap",
        "x": found.times_s,
        "colorscale": COUNTS,
        "zmin": 0,
        "zmax": 100 * strongest,
        "hovertemplate": "%{text}<extra></extra>",
    }
    traces = [
        {
            "type": "heatmap",
            "z": level.T.astype(np.float32),
            "x0": (group - 1) * step / 2,
            "dx": group * step,
            "y0": 0.5,
            "dy": 1,
            "zmax": float(level.max()),
            "zmin": float(level.max()) - figures.RANGE_DB,
            "colorscale": GREYS,
            "showscale": False,
            "hoverinfo": "skip",
        },
        counts
        | {
            "z": 100 * np.asarray(found.fall),
            "y": figures.band_places(measured, found.bands_hz),
            "text": _words(found),
            "colorbar": {
                "title": {"text": "points", "side": "top"},
                "thickness": 8,
                "outlinewidth": 0,
                "nticks": 4,
                "xpad": 4,
            },
        },
    ]
    share = 0.14 if found.measures else 0.0
    if found.measures:
        words = [
            [
                f"{_span(found, n)}, pitch, loudness, voice quality: {_fall(fall)}"
                for n, fall in enumerate(found.measures)
            ]
        ]
        strip = {"z": 100 * np.asarray([found.measures]), "y": [0, 1], "yaxis": "y2", "text": words, "showscale": False}
        traces.append(counts | strip)
    ticks = [hz for hz in clip.MEL_TICKS_HZ if measured.config.fmin < hz <= measured.config.fmax]
    axis = {"zeroline": False, "showgrid": False, "fixedrange": True}
    return go.Figure(
        {
            "data": traces,
            "layout": {
                "template": {"layout": {}},
                "height": 330,
                "margin": MARGIN | {"r": 8},
                "plot_bgcolor": "#14181d",
                "xaxis": {
                    "range": [0, analysis.clip.waveform.duration_s],
                    "ticksuffix": " s",
                    "title": {"text": "Time", "standoff": 6},
                    "anchor": "free",
                    "position": 0,
                    "fixedrange": True,
                    "showgrid": False,
                    "zeroline": False,
                },
                "yaxis": axis
                | {
                    "domain": [share + 0.03 if share else 0, 1],
                    "range": [0, measured.config.n_mels],
                    "tickmode": "array",
                    "tickvals": figures.band_places(measured, ticks),
                    "ticktext": [f"{hz // 1000}k" if hz >= 1000 else str(hz) for hz in ticks],
                    "title": {"text": "Frequency (Hz)", "standoff": 4},
                },
                "yaxis2": axis
                | {
                    "domain": [0, max(share - 0.03, 0.01)],
                    "range": [0, 1],
                    "showticklabels": False,
                    "ticks": "",
                    "visible": bool(share),
                },
            },
        }
    )


def _words(found: Occlusion) -> list[list[str]]:
    """Return what hovering says of each patch."""
    return [
        [
            f"{_span(found, n)}, {found.bands_hz[band]:.0f}–{found.bands_hz[band + 1]:.0f} Hz: {_fall(fall)}"
            for n, fall in enumerate(row)
        ]
        for band, row in enumerate(found.fall)
    ]


def _span(found: Occlusion, number: int) -> str:
    return f"{found.times_s[number]:.2f}–{found.times_s[number + 1]:.2f} s"


def _fall(fall: float) -> str:
    return f"{'falls' if fall >= 0 else 'rises'} by {abs(100 * fall):.1f} points"


def map_table(found: Occlusion) -> pd.DataFrame:
    """Return the map as a table, the highest band first: one column per span, in points."""
    names = [f"{low:.0f}–{high:.0f} Hz" for low, high in zip(found.bands_hz[:-1], found.bands_hz[1:], strict=True)]
    columns = [_span(found, number) for number in range(len(found.times_s) - 1)]
    table = pd.DataFrame(100 * np.asarray(found.fall), index=pd.Index(names, name="Covered"), columns=columns)[::-1]
    if found.measures:
        table.loc["Pitch, loudness, voice quality"] = 100 * np.asarray(found.measures)
    return table.round(1)


def deletion(found: Deletion, label: str) -> go.Figure:
    """Return the probability of a label while more is covered: in the order of the map, and at random with its range."""
    shares = [100 * each for each in found.shares]

    def line(values: Any, **more: Any) -> dict[str, Any]:
        return {"type": "scatter", "x": shares, "y": [100 * each for each in values], "mode": "lines"} | more

    hidden = {"showlegend": False, "hoverinfo": "skip", "line": {"width": 0}}
    return go.Figure(
        {
            "data": [
                line(found.high, **hidden),
                line(found.low, **hidden, fill="tonexty", fillcolor="rgba(128, 128, 128, 0.25)"),
                line(
                    found.by_chance,
                    name="at random",
                    line={"width": 2, "dash": "dash", "color": palette.CHANCE},
                    hovertemplate="at random: %{y:.0f} %<extra></extra>",
                ),
                line(
                    found.by_map,
                    name="by the map",
                    mode="lines+markers",
                    line={"width": 2.4, "color": palette.LINE},
                    hovertemplate="by the map: %{y:.0f} %<extra></extra>",
                ),
            ],
            "layout": {
                "template": {"layout": {}},
                "height": 330,
                "margin": MARGIN,
                "legend": {
                    "orientation": "h",
                    "x": 0,
                    "y": 1.02,
                    "yanchor": "bottom",
                    "itemclick": False,
                    "itemdoubleclick": False,
                },
                "xaxis": {
                    "title": {"text": "Covered, % of the patches", "standoff": 6},
                    "fixedrange": True,
                    "gridcolor": palette.GRID,
                },
                "yaxis": {
                    "title": {"text": f"Probability of {clip.literal(label)}, %", "standoff": 4},
                    "range": [0, 103],
                    "fixedrange": True,
                    "gridcolor": palette.GRID,
                    "zeroline": False,
                },
            },
        }
    )


def deletion_table(found: Deletion) -> pd.DataFrame:
    """Return the deletion curve as a table, in %."""
    columns = {
        "By the map": found.by_map,
        "At random": found.by_chance,
        "At random, lowest": found.low,
        "At random, highest": found.high,
    }
    index = pd.Index([f"{100 * share:.0f} %" for share in found.shares], name="Covered")
    return pd.DataFrame(
        {name: [f"{100 * each:.1f} %" for each in values] for name, values in columns.items()}, index=index
    )


def groups(found: Contributions) -> go.Figure:
    """Return one bar per group of measures: how much the probability falls where they are those of the average training clip."""
    falls = [100 * each for each in found.fall.values()]
    most = max(*map(abs, falls), 1.0)
    return go.Figure(
        {
            "data": [
                {
                    "type": "bar",
                    "orientation": "h",
                    "x": falls,
                    "y": [name.capitalize() for name in found.fall],
                    "marker": {"color": [palette.ABOVE if each >= 0 else palette.BELOW for each in falls]},
                    "text": [f"{round(each):+d}" for each in falls],
                    "textposition": "outside",
                    "cliponaxis": False,
                    "hovertemplate": "%{y}: %{x:+.1f} points<extra></extra>",
                }
            ],
            "layout": {
                "template": {"layout": {}},
                "height": 240,
                "margin": MARGIN | {"l": 100, "r": 30, "t": 8},
                "bargap": 0.35,
                "xaxis": {
                    "title": {"text": f"Points that it adds to {clip.literal(found.label)}", "standoff": 6},
                    "range": [-1.15 * most if min(falls) < 0 else 0, 1.15 * most],
                    "fixedrange": True,
                    "gridcolor": palette.GRID,
                    "zerolinecolor": palette.CHANCE,
                },
                "yaxis": {"autorange": "reversed", "fixedrange": True},
            },
        }
    )


def groups_table(found: Contributions) -> pd.DataFrame:
    """Return what each group adds, as a table."""
    index = pd.Index([name.capitalize() for name in found.fall], name="Measures")
    return pd.DataFrame({"Points": [f"{100 * each:+.1f}" for each in found.fall.values()]}, index=index)


def voice(shares: Mapping[str, Mapping[str, float]]) -> go.Figure:
    """Return one row per figure of a voice: for each label, which share of its clips lies below, 0 to 100 %.

    shares: as profile.percentiles returns them. The band in the middle is where half of the clips lie.
    """
    names = list(next(iter(shares.values()), {}))
    traces = []
    for number, (label, row) in enumerate(shares.items()):
        known = {name: 100 * row[name] for name in names if np.isfinite(row[name])}
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": label,
                "x": list(known.values()),
                "y": [exploration.TRENDS[name].title for name in known],
                "marker": {
                    "color": palette.emotion(label),
                    "size": 12,
                    "symbol": palette.SYMBOLS[number % len(palette.SYMBOLS)],
                    "line": {"width": 1, "color": palette.RING},
                },
                "hovertemplate": f"%{{y}}: above %{{x:.0f}} % of the {label} clips<extra></extra>",
            }
        )
    return go.Figure(
        {
            "data": traces,
            "layout": {
                "template": {"layout": {}},
                "height": 90 + 46 * len(names),
                "margin": MARGIN | {"l": 104, "t": 8, "b": 72},
                "legend": {
                    "itemclick": False,
                    "itemdoubleclick": False,
                    "orientation": "h",
                    "y": -0.28,
                    "yanchor": "top",
                },
                "shapes": [
                    {
                        "type": "rect",
                        "xref": "x",
                        "yref": "paper",
                        "x0": 25,
                        "x1": 75,
                        "y0": 0,
                        "y1": 1,
                        "layer": "below",
                        "line": {"width": 0},
                        "fillcolor": "rgba(128, 128, 128, 0.14)",
                    }
                ],
                "xaxis": {
                    "title": {"text": "Above … % of the clips of a label", "standoff": 6},
                    "range": [-3, 103],
                    "tickvals": [0, 25, 50, 75, 100],
                    "fixedrange": True,
                    "gridcolor": palette.GRID,
                    "zeroline": False,
                },
                "yaxis": {
                    "categoryorder": "array",
                    "categoryarray": [exploration.TRENDS[name].title for name in reversed(names)],
                    "fixedrange": True,
                    "gridcolor": palette.GRID,
                },
            },
        }
    )


def voice_table(values: Mapping[str, float], shares: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
    """Return the same as a table: each figure of the clip with its unit, and the share of each label's clips that lies below."""
    rows = {}
    for name, value in values.items():
        row = exploration.TRENDS[name]
        told = f"{value:.{0 if row.log else 1}f} {row.unit}" if np.isfinite(value) else "not measured"
        below = {label: f"{100 * of[name]:.0f} %" if np.isfinite(of[name]) else "" for label, of in shares.items()}
        rows[row.title] = {"This clip": told} | below
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("Above")


def neighbourhood(found: Neighbours) -> go.Figure:
    """Return the training clips that vote around the clip, by label; the distance from the middle is the true one."""
    labels = sorted(found.votes, key=lambda label: -found.votes[label])
    traces: list[dict[str, Any]] = []
    for number, label in enumerate(labels):
        points = [(x, y) for x, y, of_label in found.cloud if of_label == label]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": f"{label} ({found.votes[label]})",
                "x": [x for x, _ in points],
                "y": [y for _, y in points],
                "customdata": [float(np.hypot(x, y)) for x, y in points],
                "marker": {
                    "color": palette.emotion(label),
                    "size": 9,
                    "symbol": palette.SYMBOLS[number % len(palette.SYMBOLS)],
                },
                "hovertemplate": f"{label}: distance %{{customdata:.2f}}<extra></extra>",
            }
        )
    here = {"type": "scatter", "mode": "markers", "x": [0], "y": [0], "name": "this clip", "hoverinfo": "name"}
    traces.append(
        here
        | {"marker": {"symbol": "star", "size": 16, "color": palette.LINE, "line": {"width": 1, "color": palette.RING}}}
    )
    axis = {"fixedrange": True, "gridcolor": palette.GRID, "zerolinecolor": palette.GRID, "title": {"text": "distance"}}
    return go.Figure(
        {
            "data": traces,
            "layout": {
                "template": {"layout": {}},
                "height": 380,
                "margin": MARGIN,
                "legend": {
                    "itemclick": False,
                    "itemdoubleclick": False,
                    "orientation": "h",
                    "y": 1.02,
                    "yanchor": "bottom",
                },
                "xaxis": axis,
                "yaxis": axis | {"scaleanchor": "x"},
            },
        }
    )


def describe_neighbourhood(found: Neighbours) -> str:
    """Return what that figure shows, in a sentence for a screen reader."""
    return f"{found.n_voters} training clips around this one, as far away as they differ. {found.sentence} The table below has the nearest."
