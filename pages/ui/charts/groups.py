"""How many clips of which label, by corpus, speaker, sex or intensity: from clips tables to tables and figures."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from pages.ui import cached
from pages.ui.charts import clip, palette
from ser_core.corpora import catalogue

GROUPS = {
    catalogue.CORPUS: "Corpus",
    catalogue.SPEAKER: "Speaker",
    catalogue.SEX: "Sex",
    catalogue.INTENSITY: "Intensity",
}
"""Columns of the clips table that a distribution can be split by -> what people call them."""

UNKNOWN = "not stated"
MAX_GROUPS = 100
"""Rows of a figure, at most; its table has all."""

CONFIG: dict[str, Any] = {**clip.CONFIG, "toImageButtonOptions": {"format": "png", "filename": "labels", "scale": 2}}


def title(by: str, value: str) -> str:
    """Return how people call a value of a column: "ravdess" -> "RAVDESS", "ravdess:01" -> "RAVDESS 01", "" -> "not stated"."""
    if by not in (catalogue.CORPUS, catalogue.SPEAKER):
        return value or UNKNOWN
    name, _, code = value.partition(":")
    return f"{cached.corpus_title(name)} {code}".strip() if name else UNKNOWN


def counts(clips: pd.DataFrame, by: str) -> pd.DataFrame:
    """Return the number of clips: one row per value of column `by`, named for people, and one column per label, as in ALL_LABELS."""
    table = pd.crosstab(clips[by], clips[catalogue.EMOTION])
    labels = [label for label in catalogue.ALL_LABELS if label in table.columns]
    table = table.reindex(columns=[*labels, *sorted(set(table.columns) - set(labels))])
    if by == catalogue.CORPUS:
        known = [name for name in catalogue.CORPORA if name in table.index]
        table = table.reindex([*known, *sorted(set(table.index) - set(known))])
    table.index = pd.Index([title(by, value) for value in table.index], name=GROUPS[by])
    return table


def shares(table: pd.DataFrame) -> pd.DataFrame:
    """Return each row of counts as fractions of its sum."""
    return table.div(table.sum(axis=1), axis=0)


def readable(table: pd.DataFrame, *, as_shares: bool) -> pd.DataFrame:
    """Return counts, or shares in %, with the number of all clips of a row in the last column."""
    shown = (100 * shares(table)).round(1) if as_shares else table
    return shown.assign(**{"all clips": table.sum(axis=1)})


def labels(clips: pd.DataFrame) -> go.Figure:
    """Return one bar a label over all clips, with its count and share."""
    total = clips[catalogue.EMOTION].value_counts()
    order = [
        *(label for label in catalogue.ALL_LABELS if label in total),
        *sorted(set(total.index) - set(catalogue.ALL_LABELS)),
    ]
    total = total.reindex(order)
    texts = [f"{n:,} · {n / len(clips):.1%}" for n in total]
    trace = go.Bar(
        y=order,
        x=total.to_list(),
        orientation="h",
        marker={"color": [palette.emotion(label) for label in order]},
        text=texts,
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{text}<extra></extra>",
    )
    return go.Figure(
        trace,
        _layout(len(order))
        | {
            "xaxis": _amount("Clips") | {"range": (0, 1.32 * float(total.max()))},
            "showlegend": False,
        },
    )


def groups(table: pd.DataFrame, *, as_shares: bool) -> go.Figure:
    """Return one stacked bar a row of counts, in the colours of the labels; the first MAX_GROUPS rows."""
    table = table.head(MAX_GROUPS)
    fractions = shares(table)
    rows = [clip.literal(str(name)) for name in table.index]
    traces = [
        go.Bar(
            y=rows,
            x=(fractions if as_shares else table)[label].to_list(),
            orientation="h",
            name=label,
            marker={"color": palette.emotion(label)},
            customdata=[[n, share] for n, share in zip(table[label], fractions[label], strict=True)],
            hovertemplate="%{y}, " + label + ": %{customdata[0]:,} clips, %{customdata[1]:.1%}<extra></extra>",
        )
        for label in table.columns
    ]
    amount = _amount("Share of the clips") | {"tickformat": ".0%", "range": (0, 1)} if as_shares else _amount("Clips")
    layout = _layout(len(rows))
    return go.Figure(
        traces,
        layout
        | {
            "barmode": "stack",
            "xaxis": amount,
            "height": layout["height"] + 60,
            "margin": {**layout["margin"], "t": 70},
            "legend": {
                "orientation": "h",
                "x": 0,
                "xanchor": "left",
                "y": 1,
                "yanchor": "bottom",
                "traceorder": "normal",
                "itemclick": False,
                "itemdoubleclick": False,
            },
        },
    )


def describe(table: pd.DataFrame) -> str:
    """Return what the stacked bars show, in a sentence for a screen reader."""
    n, by, most = table.to_numpy().sum(), str(table.index.name).lower(), table.sum().idxmax()
    return f"{n:,} clips by {by} and label; the most are {most}. The table below has all figures."


def _layout(n_rows: int) -> dict[str, Any]:
    row_px = 30 if n_rows <= 12 else 20
    return {
        "height": n_rows * row_px + 80,
        "margin": {"l": 8, "r": 12, "t": 26, "b": 44},
        "bargap": 0.25,
        "yaxis": {
            **clip.NAMES_AXIS,
            "dtick": 1,
        },
    }


def _amount(text: str) -> dict[str, Any]:
    return {"title": {"text": text, "standoff": 6}, "gridcolor": palette.GRID, "zeroline": False, "fixedrange": True}


def listing(clips: pd.DataFrame) -> pd.DataFrame:
    """Return the clips as people read them, row by row in the same order: corpus, speaker, emotion, sex, intensity, sentence, name."""
    texts = {(name, code): text for name, spec in catalogue.CORPORA.items() for code, text in spec.sentences.items()}
    pairs = zip(clips[catalogue.CORPUS], clips[catalogue.SENTENCE], strict=True)
    return pd.DataFrame(
        {
            "Corpus": clips[catalogue.CORPUS].map(lambda name: title(catalogue.CORPUS, name)),
            "Speaker": clips[catalogue.SPEAKER].map(lambda code: code.partition(":")[2]),
            "Emotion": clips[catalogue.EMOTION],
            "Sex": clips[catalogue.SEX],
            "Intensity": clips[catalogue.INTENSITY],
            "Sentence": [texts.get(pair, pair[1]) for pair in pairs],
            "Name": clips[catalogue.NAME],
        }
    )


def select(clips: pd.DataFrame, *, labels: list[str], speakers: list[str]) -> pd.DataFrame:
    """Return the clips with one of the labels and one of the speakers; an empty list lets all through."""
    keep = pd.Series(True, index=clips.index)
    if labels:
        keep &= clips[catalogue.EMOTION].isin(labels)
    if speakers:
        keep &= clips[catalogue.SPEAKER].isin(speakers)
    return clips[keep].reset_index(drop=True)
