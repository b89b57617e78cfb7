"""The figure of a long recording: its waveform, where somebody speaks, and a lane of colours a model. No Streamlit.

The lanes are one heat map, which stays light for an hour; the points that a click can hit are drawn without a colour.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go

from pages.ui.charts import clip, palette
from ser_core.corpora import catalogue
from ser_core.metrics import abstention
from ser_core.recognition import timeline
from ser_core.recognition.recognizer import Prediction
from ser_core.recognition.timeline import Segment, Timeline

CONFIG = clip.CONFIG | {"toImageButtonOptions": {"format": "png", "filename": "timeline", "scale": 2}}

WAVE_PX, SPEECH_PX, LANE_PX = 84, 16, 30
FAINTEST = 0.3
"""How much of its colour a label of probability 0 would have."""

STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600)
MAX_TICKS = 9


def clock(seconds: float, *, tenths: bool = False) -> str:
    """Return 83.42 as '1:23', or '1:23.4'."""
    whole = round(seconds * 10) if tenths else round(seconds) * 10
    minutes, rest = divmod(whole, 600)
    return f"{minutes}:{rest / 10:04.1f}" if tenths else f"{minutes}:{rest // 10:02d}"


def labels_of(predictions: Sequence[Sequence[Any]]) -> list[str]:
    """Return the labels that the models of some windows know, in the order of the corpora, then the models' own."""
    known = dict.fromkeys(label for window in predictions for each in window for label in each.probabilities)
    return [
        *(label for label in catalogue.ALL_LABELS if label in known),
        *(label for label in known if label not in catalogue.ALL_LABELS),
    ]


def legend(result: Timeline) -> str:
    """Return the emotions that any model says in a recording, each with its colour, as HTML."""
    return legend_of([each.predictions for each in result.segments])


def legend_of(predictions: Sequence[Sequence[Any]]) -> str:
    """Return the emotions that any model says in some windows, each with its colour, as HTML."""
    predicted_labels = {each.label for window in predictions for each in window}
    shown = [label for label in labels_of(predictions) if label in predicted_labels]
    rows = [f'<span><i style="background:{palette.emotion(label)}"></i>{escape(label)}</span>' for label in shown]
    return f'<p class="ser-legend">{"".join(rows)}</p>' if rows else ""


def lanes(predictions: Sequence[Sequence[Any]], slugs: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    """Return what a heat map shows, float (n_models, n_windows), and the labels that it stands for.

    A cell is the number of the label plus its probability (up to .999), nothing where the model is not sure; NaN without speech.
    """
    labels = labels_of(predictions)
    values = np.full((len(slugs), len(predictions)), np.nan)
    for column, window in enumerate(predictions):
        for each in window:
            if each.model in slugs:
                strength = 0.0 if each.sure is False else min(each.probabilities[each.label], 0.999)
                values[slugs.index(each.model), column] = labels.index(each.label) + strength
    return values, labels


def colours(labels: Sequence[str]) -> list[tuple[float, str]]:
    """Return the colour scale of `lanes`: within each label from faint to full."""
    scale, n = [], len(labels)
    for number, label in enumerate(labels):
        red, green, blue = (int(palette.emotion(label)[i : i + 2], 16) for i in (1, 3, 5))
        scale += [
            (number / n, f"rgba({red},{green},{blue},{FAINTEST})"),
            ((number + 1) / n, f"rgba({red},{green},{blue},1)"),
        ]
    return scale or [(0.0, palette.UNKNOWN), (1.0, palette.UNKNOWN)]


def lane_trace(
    predictions: Sequence[Sequence[Any]], edges: Sequence[float], titles: Mapping[str, str], *, axis: str
) -> go.Heatmap:
    """Return the lanes of some models (slug -> title), the first on top; edges: (n_windows + 1,) times in s."""
    values, labels = lanes(predictions, list(titles))
    return go.Heatmap(
        z=values[::-1].astype(np.float32),
        x=np.asarray(edges),
        y=np.arange(len(titles)),
        yaxis=axis,
        zmin=0,
        zmax=max(len(labels), 1),
        colorscale=colours(labels),
        showscale=False,
        hoverinfo="skip",
        ygap=3,
    )


def lane_axis(titles: Mapping[str, str]) -> dict[str, Any]:
    """Return the vertical axis of `lane_trace`."""
    names = [clip.literal(title) for title in titles.values()]
    return {
        "tickmode": "array",
        "tickvals": list(range(len(names))),
        "ticktext": names[::-1],
        "zeroline": False,
        "showgrid": False,
        "fixedrange": True,
        "range": (-0.5, len(titles) - 0.5),
    }


def figure(result: Timeline, titles: Mapping[str, str], *, moment: Segment | None = None) -> go.Figure:
    """Return the figure of a recording for some models (slug -> title); the window chosen is framed."""
    edges = timeline.borders(result.segments, result.duration_s)
    lanes_px = LANE_PX * max(len(titles), 1)
    inner = WAVE_PX + SPEECH_PX + lanes_px + 20
    predictions = [each.predictions for each in result.segments]
    lane, speech = lanes_px / inner, (lanes_px + 10) / inner
    times, values = _wave(result)
    stretches = np.array(result.activity, dtype=float).reshape(-1, 2)
    spoken = np.column_stack([stretches, np.full(len(stretches), np.nan)]).ravel()
    centres = [(a + b) / 2 for a, b in itertools.pairwise(edges)]
    hidden = {
        "mode": "markers",
        "marker": {"opacity": 0, "size": 1},
        "selected": {"marker": {"opacity": 0}},
        "unselected": {"marker": {"opacity": 0}},
    }
    # Only these two, one for either part of the figure, answer to the mouse: a point is told by its number, which is its window's.
    traces = [
        go.Scatter(x=times, y=values, mode="lines", line={"width": 1, "color": palette.LINE}, hoverinfo="skip"),
        go.Scatter(
            x=spoken,
            y=np.where(np.isnan(spoken), np.nan, 0.0),
            mode="lines",
            line={"width": 7, "color": palette.LINE},
            yaxis="y2",
            hoverinfo="skip",
        ),
        lane_trace(predictions, edges, titles, axis="y3"),
        go.Scatter(x=centres, y=np.zeros(len(centres)), hoverinfo="none", **hidden),
        go.Scatter(
            x=centres,
            y=np.full(len(centres), (len(titles) - 1) / 2),
            yaxis="y3",
            **hidden,
            customdata=[_hover_text(each, titles) for each in result.segments],
            hovertemplate="%{customdata}<extra></extra>",
        ),
    ]
    step = next((step for step in STEPS_S if result.duration_s / step <= MAX_TICKS), STEPS_S[-1])
    ticks = np.arange(0, result.duration_s + 1e-6, step)
    peak = max(float(np.abs(result.envelope).max(initial=0)), 0.01) * 1.05
    shapes = (
        []
        if moment is None
        else [
            {
                "type": "rect",
                "xref": "x",
                "yref": "paper",
                "x0": moment.start_s,
                "x1": moment.end_s,
                "y0": 0,
                "y1": 1,
                "line": {"width": 2, "color": palette.LINE},
                "fillcolor": "rgba(61, 133, 198, 0.12)",
                "layer": "above",
            },
        ]
    )
    return go.Figure(
        data=traces,
        layout={
            "height": inner + 8 + clip.BOTTOM_PX,
            "margin": {"l": 78, "r": 12, "t": 8, "b": clip.BOTTOM_PX},
            "showlegend": False,
            "hovermode": "x",
            "hoverdistance": -1,
            "hoversubplots": "axis",
            "dragmode": "zoom",
            "shapes": shapes,
            "uirevision": "kept",
            "hoverlabel": {"align": "left"},
            "xaxis": {
                "range": (0, result.duration_s),
                "minallowed": 0,
                "maxallowed": result.duration_s,
                "anchor": "y3",
                "showgrid": False,
                "zeroline": False,
                "tickmode": "array",
                "tickvals": ticks,
                "ticktext": [clock(tick) for tick in ticks],
                "title": {"text": "Time (min:s)", "standoff": 6},
                "showspikes": True,
                "spikemode": "across",
                "spikesnap": "hovered data",
                "spikethickness": 1,
                "spikedash": "solid",
                "spikecolor": palette.LINE,
            },
            "yaxis": {
                "domain": (speech + (SPEECH_PX + 10) / inner, 1),
                "range": (-peak, peak),
                "fixedrange": True,
                "showticklabels": False,
                "zeroline": False,
                "showgrid": False,
                "title": {"text": ""},
            },
            "yaxis2": {
                "domain": (speech, speech + SPEECH_PX / inner),
                "range": (-1, 1),
                "fixedrange": True,
                "zeroline": False,
                "showgrid": False,
                "tickmode": "array",
                "tickvals": [0],
                "ticktext": ["Speech"],
            },
            "yaxis3": {"domain": (0, lane)} | lane_axis(titles),
        },
    )


def _wave(result: Timeline) -> tuple[np.ndarray, np.ndarray]:
    """Return times and values that draw the envelope in at most clip.MAX_POINTS points."""
    low, high = result.envelope.T
    group = max(-(-2 * len(low) // clip.MAX_POINTS), 1)
    starts = np.arange(0, len(low), group)
    times = starts * (result.duration_s / max(len(low), 1))
    pairs = (
        np.column_stack([np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts)])
        if len(low)
        else np.zeros((0, 2))
    )
    return np.repeat(times, 2).astype(np.float32), pairs.ravel().astype(np.float32)


def _hover_text(segment: Segment, titles: Mapping[str, str]) -> str:
    """Return what the hover says of a window."""
    when = f"{clock(segment.start_s, tenths=True)} to {clock(segment.end_s, tenths=True)}"
    if not segment.speech:
        return f"{when}<br>no speech"
    says = [
        f"{escape(titles[each.model])}: {escape(prediction_text(each))}"
        for each in segment.predictions
        if each.model in titles
    ]
    return "<br>".join([when, *says])


def prediction_text(prediction: Prediction) -> str:
    """Return what a model says of a window: 'sad 63 %', or 'not sure: sad 24 %'."""
    return f"{word(prediction)} {100 * prediction.probabilities[prediction.label]:.0f} %"


def word(prediction: Prediction) -> str:
    """Return the label that a model says, marked where it is not sure."""
    return f"{abstention.NOT_SURE}: {prediction.label}" if prediction.sure is False else prediction.label


def describe(result: Timeline) -> str:
    """Return what the figure shows, in one sentence for a screen reader."""
    n = sum(each.speech for each in result.segments)
    return (
        f"{result.duration_s:.0f} seconds with {result.quality.speech_s:.0f} seconds of speech, in {len(result.segments)} windows, "
        f"{n} of them with speech; the table below has what each model says in each."
    )
