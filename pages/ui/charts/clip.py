"""Plotly figures of a clip: pure functions from arrays to figures, no Streamlit.

All rows of a figure share one time axis, so that zooming one zooms all. Text and ground take the colours of the page's
theme; the colours here (charts/palette.py) are readable on both. Long clips are thinned to what a screen can show.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import plotly.colors
import plotly.graph_objects as go

from pages.ui.charts import palette
from ser_core.features import extraction
from ser_core.recognition.analysis import Analysis

MAX_POINTS = 2000
"""Points of a waveform, at most."""

MAX_COLUMNS = 1200
"""Columns of a heat map or points of a curve, at most."""

DYNAMIC_RANGE_DB = 70.0
"""From the loudest cell of the mel spectrogram down to the darkest colour."""

MFCC_REACH_SD = 2.5
"""Deviations from a coefficient's own mean over the clip at which the colours of the MFCCs end."""

MEL_TICKS_HZ = (125, 250, 500, 1000, 2000, 4000, 8000)
PITCH_CLASSES = ("C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B")

TOP_PX, BOTTOM_PX, GAP_PX = 26, 44, 38

CONFIG: dict[str, Any] = {
    "displaylogo": False,
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
    "toImageButtonOptions": {"format": "png", "filename": "speech", "scale": 2},
}
"""Plotly's button bar: camera (PNG), zoom, pan, reset."""

NAMES_AXIS: dict[str, Any] = {
    "autorange": "reversed",
    "automargin": True,
    "fixedrange": True,
    "ticksuffix": "  ",
    "type": "category",
}
"""A vertical axis of names, the first at the top."""


@dataclass(frozen=True)
class Scale:
    """Ranges that two figures share, so that a louder or longer clip looks louder or longer.

    duration_s in seconds, amplitude as a fraction of full scale, top_db the loudest cell in dB.
    """

    duration_s: float
    amplitude: float
    top_db: float


def literal(text: str) -> str:
    """Return text that a figure shows as it is: names are what somebody typed, and Plotly takes links and bold type from them."""
    return escape(text, quote=False)


def scale(*clips: Analysis) -> Scale:
    """Return the ranges that hold all the clips given."""
    return Scale(
        duration_s=max(each.clip.waveform.duration_s for each in clips),
        amplitude=max(max(float(np.abs(each.clip.waveform.samples).max()), 0.01) for each in clips) * 1.05,
        top_db=max(float(each.features.log_mel.max()) - each.features.gain_db for each in clips),
    )


def envelope(samples: np.ndarray, sample_rate: int, *, max_points: int = MAX_POINTS) -> tuple[np.ndarray, np.ndarray]:
    """Return times in s and values, each (n_points,), that draw the waveform in at most max_points points.

    A long waveform is cut into stretches, and each gives its lowest and its highest sample: no peak is lost.
    """
    if len(samples) <= max_points:
        return np.arange(len(samples)) / sample_rate, samples
    edges = np.linspace(0, len(samples), max_points // 2 + 1).astype(int)[:-1]
    low, high = np.minimum.reduceat(samples, edges), np.maximum.reduceat(samples, edges)
    return np.repeat(edges / sample_rate, 2), np.column_stack([low, high]).ravel()


def thin(values: np.ndarray, *, max_columns: int = MAX_COLUMNS) -> tuple[np.ndarray, int]:
    """Return the frames averaged in groups, and the group's size: (n_frames, …) -> (at most max_columns, …).

    NaN (no pitch) is left out of an average, and stays where a whole group is NaN.
    """
    group = -(-len(values) // max_columns)
    if group == 1:
        return values, 1
    padding = np.full((-len(values) % group, *values.shape[1:]), np.nan, dtype=values.dtype)
    grouped = np.concatenate([values, padding]).reshape(-1, group, *values.shape[1:])
    known = ~np.isnan(grouped)
    total, count = np.where(known, grouped, 0).sum(axis=1), known.sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(values.dtype), group


def pictures(
    analysis: Analysis,
    *,
    rows: Sequence[str],
    shared: Scale | None = None,
) -> go.Figure:
    """Return one figure with a row for each name of `rows` (keys of ROWS) above one time axis in seconds.

    What the models do not hear (features.trim) is shaded in every row. `shared` gives ranges common to several figures.
    """
    ranges = shared or scale(analysis)
    heights = [ROWS[name].height_px for name in rows]
    inner = sum(heights) + GAP_PX * (len(rows) - 1)
    stretches = unused(analysis)
    traces, axes, notes, shades = [], {}, [], []
    top = inner
    for number, (name, height) in enumerate(zip(rows, heights, strict=True), start=1):
        row, axis = ROWS[name], "y" if number == 1 else f"y{number}"
        domain = [max(0.0, (top - height) / inner), top / inner]
        trace, axis_options = row.draw(analysis, ranges)
        is_heat = trace["type"] == "heatmap"
        if is_heat:
            trace["colorbar"] = {
                "title": {"text": row.unit, "side": "top"},
                "thickness": 8,
                "outlinewidth": 0,
                "nticks": 5,
                "x": 1.01,
                "xpad": 0,
                "y": sum(domain) / 2,
                "ypad": 0,
                "len": height / inner,
            }
        traces.append(trace | {"name": row.title, "xaxis": "x", "yaxis": axis})
        axes[f"yaxis{axis[1:]}"] = {
            "domain": domain,
            "anchor": "x",
            "zeroline": False,
            "showgrid": not is_heat,
            "gridcolor": palette.GRID,
            "fixedrange": True,
            "title": {"text": row.axis, "standoff": 4},
            **axis_options,
        }
        notes.append(
            {
                "text": f"<b>{row.title}</b>",
                "xref": "paper",
                "yref": "paper",
                "x": 0,
                "y": domain[1],
                "xanchor": "left",
                "yanchor": "bottom",
                "yshift": 2,
                "showarrow": False,
            }
        )
        shades += [
            {
                "type": "rect",
                "xref": "x",
                "yref": f"{axis} domain",
                "x0": start_s,
                "x1": stop_s,
                "y0": 0,
                "y1": 1,
                "line": {"width": 0},
                "fillcolor": palette.NOT_USED,
                "layer": "above",
            }
            for start_s, stop_s in stretches
        ]
        top -= height + GAP_PX
    notes += [
        {
            "text": "silence, ignored",
            "xref": "x",
            "yref": "y domain",
            "x": (start_s + stop_s) / 2,
            "y": 0.98,
            "yanchor": "top",
            "showarrow": False,
        }
        for start_s, stop_s in stretches
        if stop_s - start_s > 0.2 * ranges.duration_s
    ]
    # Plotly's check of every entry takes longer than all the rest; tests/pages/test_charts.py has it made.
    return go.Figure(
        _validate=False,
        data=traces,
        layout=axes
        | {
            "annotations": notes,
            "shapes": shades,
            "height": inner + TOP_PX + BOTTOM_PX,
            "margin": {"l": 62, "r": 56, "t": TOP_PX, "b": BOTTOM_PX},
            "showlegend": False,
            "hovermode": "x",
            "hoversubplots": "axis",
            "template": {
                "layout": {}
            },  # Streamlit's page fills in its own; the usual one would be most of what is copied and sent
            "xaxis": {
                "range": [0, ranges.duration_s],
                "minallowed": 0,
                "maxallowed": ranges.duration_s,
                "anchor": "free",
                "position": 0,
                "title": {"text": "Time", "standoff": 6},
                "ticksuffix": " s",
                "hoverformat": ".2f",
                "showgrid": False,
                "zeroline": False,
                "showspikes": True,
                "spikemode": "across",
                "spikesnap": "cursor",
                "spikethickness": 1,
                "spikedash": "solid",
                "spikecolor": palette.LINE,
            },
        },
    )


def cells(
    share: np.ndarray, words: Sequence[Sequence[str]], names: Sequence[str], *, size: int
) -> list[dict[str, Any]]:
    """Return the words in the cells of a heat map of shares, (n, n), as annotations in black or white, whichever reads better.

    Plotly's own choice, dark grey or white, falls to a contrast of 4:1 in the middle of the scale.
    """
    inks = [[ink(each) for each in row] for row in share]
    return [
        {"text": word, "x": column, "y": row, "showarrow": False, "font": {"size": size, "color": colour}}
        for row, line, colours in zip(names, words, inks, strict=True)
        for column, word, colour in zip(names, line, colours, strict=True)
        if word
    ]


def ink(share: float) -> str:
    """Return black or white, whichever has the higher contrast (WCAG 2) to the colour of a share on the scale of heat maps."""
    channels = plotly.colors.sample_colorscale(palette.HEAT, [float(share)], colortype="tuple")[0]
    red, green, blue = (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels)
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "#000000" if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else "#ffffff"


def unused(analysis: Analysis) -> list[tuple[float, float]]:
    """Return the stretches (start, stop), in s, before and after what the models hear; empty stretches are left out."""
    measured = analysis.features
    start, stop = measured.trim
    half = measured.config.hop_length / measured.config.sample_rate / 2
    first = float(measured.times_s[start]) - half
    last = float(measured.times_s[max(stop - 1, start)]) + half
    stretches = [(0.0, first), (last, analysis.clip.waveform.duration_s)]
    return [(a, b) for a, b in stretches if b - a > 2 * half]


def describe(analysis: Analysis, rows: Sequence[str]) -> str:
    """Return what a figure of `pictures` shows, in one sentence for a screen reader."""
    titles = ", ".join(ROWS[name].title for name in rows)
    duration_s = analysis.clip.waveform.duration_s
    used_s = duration_s - sum(stop - start for start, stop in unused(analysis))
    return f"{titles} over {duration_s:.2f} seconds, of which the models hear {used_s:.2f}."


@dataclass(frozen=True)
class Row:
    """One row of the pictures: its title, its vertical axis, the unit of its colours, its height, and what draws it."""

    title: str
    axis: str
    unit: str
    height_px: int
    draw: Callable[[Analysis, Scale], tuple[dict[str, Any], dict[str, Any]]]


def _waveform(analysis: Analysis, ranges: Scale) -> tuple[dict[str, Any], dict[str, Any]]:
    times, values = envelope(analysis.clip.waveform.samples, analysis.clip.waveform.sample_rate)
    trace = {
        "type": "scatter",
        "x": times.astype(np.float32),
        "y": values.astype(np.float32),
        "mode": "lines",
        "line": {"width": 1, "color": palette.LINE},
        "hovertemplate": "%{y:.3f} of full scale<extra></extra>",
    }
    return trace, {"range": [-ranges.amplitude, ranges.amplitude], "nticks": 5}


def _mel(analysis: Analysis, ranges: Scale) -> tuple[dict[str, Any], dict[str, Any]]:
    bands_hz = extraction.mel_frequencies(analysis.features.config)
    level_db = analysis.features.log_mel - np.float32(analysis.features.gain_db)
    trace = _heat(
        level_db,
        analysis.features,
        hover="%{customdata} Hz: %{z:.0f} dB",
        texts=np.round(bands_hz).astype(np.uint16),
        zmin=ranges.top_db - DYNAMIC_RANGE_DB,
        zmax=ranges.top_db,
    )
    ticks = [hz for hz in MEL_TICKS_HZ if bands_hz[0] / 1.5 <= hz <= analysis.features.config.fmax]
    # Mel bands are equally spaced in mel: the row's number is the mel scale, and only its ticks speak Hz.
    step = bands_hz[-1] - bands_hz[-2]
    places = np.minimum(
        np.interp(ticks, [*bands_hz, bands_hz[-1] + step], np.arange(len(bands_hz) + 1)), len(bands_hz) - 0.5
    )
    names = [f"{hz // 1000}k" if hz >= 1000 else str(hz) for hz in ticks]
    return trace, {
        "tickmode": "array",
        "tickvals": places,
        "ticktext": names,
        "tickfont": {"size": 10},
        "range": [-0.5, len(bands_hz) - 0.5],
    }


def _mfcc(analysis: Analysis, ranges: Scale) -> tuple[dict[str, Any], dict[str, Any]]:
    # Coefficient 0 is the level, and the first ones vary ten times as much as the last: on one scale those would be one colour.
    values = analysis.features.mfcc[:, 1:]
    start, stop = analysis.features.trim
    used = values[start:stop]
    relative = (values - used.mean(axis=0)) / np.maximum(used.std(axis=0), 1e-3)
    numbers = np.arange(1, analysis.features.mfcc.shape[1], dtype=np.uint16)
    trace = _heat(
        relative,
        analysis.features,
        hover="MFCC %{customdata}: %{z:+.1f} SD",
        texts=numbers,
        zmin=-MFCC_REACH_SD,
        zmax=MFCC_REACH_SD,
    )
    ticks = np.arange(0, len(numbers), 4)
    return trace, {
        "tickmode": "array",
        "tickvals": ticks,
        "ticktext": [str(n) for n in numbers[ticks]],
        "range": [-0.5, len(numbers) - 0.5],
    }


def _chroma(analysis: Analysis, ranges: Scale) -> tuple[dict[str, Any], dict[str, Any]]:
    trace = _heat(
        analysis.features.chroma,
        analysis.features,
        hover="%{customdata}: %{z:.2f}",
        texts=np.array(PITCH_CLASSES),
        zmin=0,
        zmax=1,
    )
    ticks = [0, 3, 6, 9]
    return trace, {
        "tickmode": "array",
        "tickvals": ticks,
        "ticktext": [PITCH_CLASSES[n] for n in ticks],
        "range": [-0.5, 11.5],
    }


def _zcr(analysis: Analysis, ranges: Scale) -> tuple[dict[str, Any], dict[str, Any]]:
    rate = analysis.features.zcr * analysis.features.config.sample_rate
    return _curve(rate, analysis.features, hover="%{y:.0f} crossings a second"), {"rangemode": "tozero"}


def _rms(analysis: Analysis, ranges: Scale) -> tuple[dict[str, Any], dict[str, Any]]:
    level_db = 20 * np.log10(np.maximum(analysis.features.rms, 1e-5)) - np.float32(analysis.features.gain_db)
    return _curve(np.maximum(level_db, -100), analysis.features, hover="%{y:.0f} dBFS"), {}


def _f0(analysis: Analysis, ranges: Scale) -> tuple[dict[str, Any], dict[str, Any]]:
    trace = _curve(analysis.features.f0_hz, analysis.features, hover="%{y:.0f} Hz")
    trace |= {"mode": "lines+markers", "marker": {"size": 3, "color": palette.LINE}, "connectgaps": False}
    return trace, {
        "type": "log",
        "range": [np.log10(60), np.log10(500)],
        "tickmode": "array",
        "tickvals": [75, 100, 150, 200, 300, 400],
    }


def _heat(
    values: np.ndarray, measured: extraction.Features, *, hover: str, texts: np.ndarray, zmin: float, zmax: float
) -> dict[str, Any]:
    """Return a heat map of (n_frames, n_rows) values; `texts`, (n_rows,), is what the hover says of a row."""
    columns, group = thin(values)
    step = measured.config.hop_length / measured.config.sample_rate
    return {
        "type": "heatmap",
        "z": columns.T.astype(np.float32),
        "x0": (group - 1) * step / 2,
        "dx": group * step,
        "zmin": zmin,
        "zmax": zmax,
        "customdata": np.repeat(texts[:, None], len(columns), axis=1),
        "colorscale": palette.HEAT,
        "hovertemplate": hover + "<extra></extra>",
    }


def _curve(values: np.ndarray, measured: extraction.Features, *, hover: str) -> dict[str, Any]:
    """Return a line through (n_frames,) values; NaN leaves a gap."""
    points, _ = thin(values)
    times, _ = thin(measured.times_s)
    return {
        "type": "scatter",
        "x": times,
        "y": points.astype(np.float32),
        "mode": "lines",
        "line": {"width": 1.6, "color": palette.LINE},
        "hovertemplate": hover + "<extra></extra>",
    }


ROWS = {
    "waveform": Row("Waveform", "Amplitude", "", 110, _waveform),
    "mel": Row("Mel spectrogram", "Frequency (Hz)", "dB", 260, _mel),
    "mfcc": Row("MFCC", "Coefficient", "SD", 140, _mfcc),
    "chroma": Row("Chroma", "Pitch class", "", 120, _chroma),
    "zcr": Row("Zero crossings", "per second", "", 90, _zcr),
    "rms": Row("Level (RMS)", "dBFS", "", 90, _rms),
    "f0": Row("Pitch (f0)", "Hz", "", 110, _f0),
}
"""The rows that `pictures` can draw."""

STANDARD_ROWS = ("waveform", "mel", "mfcc")
PLAYER_ROWS = ("waveform", "mel")
"""What the player of a clip draws in its own way (pages/ui/player)."""

MORE_ROWS = (*PLAYER_ROWS, "chroma", "zcr", "rms", "f0")
"""What is drawn of a single clip only where somebody chose it."""
