"""What clips measure, as tables and Plotly figures: by corpus, label or speaker, and on a map. Pure functions, no Streamlit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from pages.ui.charts import clip, palette
from pages.ui.charts import groups as charts_groups
from ser_core.corpora import catalogue
from ser_core.dataset import clip_map, exploration
from ser_core.features import quality

CONFIG: dict[str, Any] = {**clip.CONFIG, "toImageButtonOptions": {"format": "png", "filename": "clips", "scale": 2}}
MAP_CONFIG: dict[str, Any] = {
    **CONFIG,
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
    "scrollZoom": False,
}

SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star")
"""Shapes of corpora and speakers on the map: colours alone would run out, and do not reach everyone."""

MAX_LEGEND = 14
BOXES = "A box holds the middle half of the clips, its whiskers nine tenths; the line in it is the median, the dashed one the mean."
PROFILE_REACH_SD = 1.5


@dataclass(frozen=True)
class View:
    """A fact of the clips that can be drawn: how people call it, its unit, and what it says."""

    title: str
    unit: str
    how: str


VIEWS = {
    "duration_s": View("Length", "s", "The whole file, with the silence at both ends."),
    "speech_s": View("Speech", "s", "How much of it is voiced, with what joins the voiced parts."),
    "level_dbfs": View(
        "Level", "dBFS", "The root mean square of the loud frames; 0 is the loudest that a file can hold."
    ),
    "snr_db": View(
        "Background",
        "dB below the speech",
        "How far the pauses lie below the speech; 60 dB at the most, "
        "where they are digital silence. Clips without a pause have none.",
    ),
    "silence": View("Silence", "of the clip", "The share of frames that are far below the loudest."),
    "bandwidth_hz": View(
        "Bandwidth",
        "Hz",
        "Up to where there is sound, within 55 dB of the strongest band. A telephone ends at 3.4 kHz.",
    ),
}
"""Columns of cache.FACTS that the page draws."""


def summary(clips: pd.DataFrame, facts: pd.DataFrame) -> pd.DataFrame:
    """Return what each corpus is made of, one row per corpus: clips, speakers, sexes, sentences, minutes, medians of what was measured."""
    both = pd.concat([clips.reset_index(drop=True), facts.reset_index(drop=True)], axis=1)
    rows = []
    for name, part in both.groupby(catalogue.CORPUS, sort=False):
        who = part[part[catalogue.SPEAKER] != catalogue.UNKNOWN_SPEAKER].drop_duplicates(catalogue.SPEAKER)
        rates = part["source_rate"].dropna().astype(int).value_counts()
        sentences = part.loc[part[catalogue.SENTENCE] != "", catalogue.SENTENCE].nunique()
        rows.append(
            {
                "Corpus": charts_groups.title(catalogue.CORPUS, str(name)),
                "Clips": len(part),
                "Speakers": len(who) or None,
                "Female": int((who[catalogue.SEX] == "female").sum()) if (who[catalogue.SEX] != "").any() else None,
                "Male": int((who[catalogue.SEX] == "male").sum()) if (who[catalogue.SEX] != "").any() else None,
                "Sentences": sentences or None,
                "Minutes": round(float(part["duration_s"].sum()) / 60, 1),
                "Median length (s)": round(float(part["duration_s"].median()), 2),
                "Sample rate (kHz)": ", ".join(f"{rate / 1000:g}" for rate in sorted(rates.index)),
                "Median level (dBFS)": round(float(part["level_dbfs"].median()), 1),
            }
        )
    whole = ("Speakers", "Female", "Male", "Sentences")
    return pd.DataFrame(rows).set_index("Corpus").astype(dict.fromkeys(whole, "Int64"))


def worth_a_look(facts: pd.DataFrame) -> list[str]:
    """Return what is odd about the clips and how many that are, such as '12 quiet (below -40 dBFS)'; empty where nothing is."""
    found = {
        "cut off at full scale": facts["clipped"] > quality.CLIPPED_SHARE,
        f"quiet (below {quality.QUIET_DBFS:g} dBFS)": facts["level_dbfs"] < quality.QUIET_DBFS,
        f"noisy (background less than {quality.NOISY_SNR_DB:g} dB below the speech)": facts["snr_db"]
        < quality.NOISY_SNR_DB,
        f"narrow (no sound above {quality.NARROW_HZ:,.0f} Hz)": facts["bandwidth_hz"] < quality.NARROW_HZ,
        f"with less than {quality.MIN_SPEECH_S:g} s of speech": facts["speech_s"] < quality.MIN_SPEECH_S,
    }
    return [f"{int(those.sum()):,} {what}" for what, those in found.items() if those.any()]


def in_order(values: Sequence[str], by: str) -> list[str]:
    """Return the different values of a column of the clips table, labels in their own order, corpora in that of the table."""
    if by == catalogue.EMOTION:
        there = set(values)
        return [
            *(label for label in catalogue.ALL_LABELS if label in there),
            *sorted(there - set(catalogue.ALL_LABELS)),
        ]
    return list(dict.fromkeys(values)) if by == catalogue.CORPUS else sorted(set(values))


def colour(by: str, value: str, number: int) -> str:
    """Return the colour of the number-th value of a column of the clips table."""
    return palette.emotion(value) if by == catalogue.EMOTION else palette.group(number)


def _box_colour(by: str, value: str, number: int, corpora_there: list[str]) -> str:
    """Return the colour of a box; a speaker, whose name stands beside it, has that of the corpus."""
    if by == catalogue.SPEAKER:
        name = value.partition(":")[0]
        number = corpora_there.index(name) if name in corpora_there else 0
    return colour(by, value, number)


def _heading(by: str, value: str) -> str:
    return clip.literal(charts_groups.title(by, value))


def boxes(values: np.ndarray, clips: pd.DataFrame, by: str, *, title: str, unit: str, apart: bool = False) -> go.Figure:
    """Return one box per value of column `by`, or, where they are to stand apart, one below the other for each corpus.

    See BOXES for what they show; a page draws that figure of 5,000 clips from a dozen numbers a box.
    """
    names = in_order(list(clips[by]), by)
    there = in_order(list(clips[catalogue.CORPUS]), catalogue.CORPUS)
    groups = there if apart else [""]
    columns = clips[[by, catalogue.CORPUS]].to_numpy()
    row_px = 34 if len(names) <= 12 else 22
    heights = (
        [len(set(columns[columns[:, 1] == group, 0])) * row_px for group in groups] if apart else [len(names) * row_px]
    )
    gap = 34
    inner = sum(heights) + gap * (len(groups) - 1)
    traces, layout, notes, top = [], {}, [], inner
    for place, (group, height) in enumerate(zip(groups, heights, strict=True), start=1):
        axis = "y" if place == 1 else f"y{place}"
        for number, name in enumerate(names):
            those = values[(columns[:, 0] == name) & ((columns[:, 1] == group) | (not apart)) & np.isfinite(values)]
            if len(those):
                low, q1, median, q3, high = np.percentile(those.astype(float), (5, 25, 50, 75, 95)).round(4)
                traces.append(
                    go.Box(
                        lowerfence=[low],
                        q1=[q1],
                        median=[median],
                        q3=[q3],
                        upperfence=[high],
                        mean=[round(float(those.mean()), 4)],
                        y=[_heading(by, name)],
                        name=_heading(by, name),
                        orientation="h",
                        boxmean=True,
                        xaxis="x",
                        yaxis=axis,
                        marker={"color": _box_colour(by, name, number, there)},
                        line={"width": 1.6},
                        hoverinfo="x",
                    )
                )
        layout[f"yaxis{axis[1:]}"] = {
            "domain": (max(0.0, (top - height) / inner), top / inner),
            **clip.NAMES_AXIS,
            "dtick": 1,
            "anchor": "x",
            "showgrid": False,
        }
        if apart:
            notes.append(
                {
                    "text": f"<b>{_heading(catalogue.CORPUS, group)}</b>",
                    "xref": "paper",
                    "yref": "paper",
                    "x": 0,
                    "y": top / inner,
                    "xanchor": "left",
                    "yanchor": "bottom",
                    "showarrow": False,
                }
            )
        top -= height + gap
    return go.Figure(
        traces,
        layout
        | {
            "height": inner + 88,
            "margin": {"l": 8, "r": 16, "t": 34, "b": 54},
            "showlegend": False,
            "boxgap": 0.35,
            "annotations": notes,
            "xaxis": {
                "title": {"text": f"{title} ({unit})", "standoff": 8},
                "showgrid": True,
                "gridcolor": palette.GRID,
                "zeroline": False,
                "fixedrange": True,
                "anchor": "free",
                "position": 0,
            },
        },
    )


def describe(values: np.ndarray, clips: pd.DataFrame, by: str, *, title: str, unit: str) -> str:
    """Return the medians that the boxes show, in a sentence for a screen reader."""
    medians = pd.Series(values).groupby(clips[by].to_numpy()).median()
    told = [
        f"{charts_groups.title(by, name)} {medians[name]:.3g}"
        for name in in_order(list(clips[by]), by)[:12]
        if name in medians
    ]
    return f"{title} by {by}, medians in {unit}: {', '.join(told)}."


def profile(table: pd.DataFrame) -> go.Figure:
    """Return exploration.mfcc_profile as a heat map, one row per label, one column per coefficient."""
    table = table.reindex(in_order(list(table.index), catalogue.EMOTION))
    trace = go.Heatmap(
        z=table.to_numpy().round(3),
        x=[str(column) for column in table.columns],
        y=list(table.index),
        zmid=0,
        zmin=-PROFILE_REACH_SD,
        zmax=PROFILE_REACH_SD,
        colorscale=[(0, palette.BELOW), (0.5, palette.MIDDLE), (1, palette.ABOVE)],
        xgap=1,
        ygap=1,
        hovertemplate="%{y}, MFCC %{x}: %{z:+.2f} SD<extra></extra>",
        colorbar={
            "title": {"text": "SD", "side": "top"},
            "thickness": 8,
            "outlinewidth": 0,
            "nticks": 5,
            "x": 1.01,
            "xpad": 0,
        },
    )
    return go.Figure(
        trace,
        {
            "height": 34 * len(table) + 90,
            "margin": {"l": 8, "r": 8, "t": 30, "b": 54},
            "xaxis": {
                "title": {"text": "MFCC (0 is the level)", "standoff": 8},
                "type": "category",
                "fixedrange": True,
                "showgrid": False,
            },
            "yaxis": {
                "autorange": "reversed",
                "automargin": True,
                "fixedrange": True,
                "ticksuffix": "  ",
                "showgrid": False,
            },
        },
    )


def scatter(drawn: clip_map.Map, clips: pd.DataFrame, by: str) -> go.Figure:
    """Return the map, a point a clip in the colour of its label, speaker or corpus; its custom data is its row in the clips table."""
    shown = clips.iloc[drawn.rows]
    names = in_order(list(shown[by]), by)
    values = shown[by].to_numpy()
    hover = [
        f"{emotion} · {charts_groups.title(catalogue.SPEAKER, speaker)} · {name}"
        for emotion, speaker, name in zip(
            shown[catalogue.EMOTION], shown[catalogue.SPEAKER], shown[catalogue.NAME], strict=True
        )
    ]
    hover = np.array([clip.literal(text) for text in hover], dtype=object)
    points = np.round(drawn.points, 3)
    traces = []
    for number, name in enumerate(names):
        mask = values == name
        symbol = (
            "circle" if by == catalogue.EMOTION else SYMBOLS[(number + number // len(palette.GROUPS)) % len(SYMBOLS)]
        )
        traces.append(
            go.Scatter(
                x=points[mask, 0],
                y=points[mask, 1],
                mode="markers",
                name=_heading(by, name),
                customdata=drawn.rows[mask],
                text=hover[mask],
                hovertemplate="%{text}<extra></extra>",
                marker={"size": 6, "opacity": 0.75, "color": colour(by, name, number), "symbol": symbol},
                unselected={"marker": {"opacity": 0.35}},
                selected={"marker": {"size": 14, "opacity": 1}},
            )
        )
    axis = {"showticklabels": False, "zeroline": False, "showgrid": True, "gridcolor": palette.GRID}
    return go.Figure(
        traces,
        {
            "height": 640,
            "margin": {"l": 8, "r": 8, "t": 34, "b": 8},
            "showlegend": len(names) <= MAX_LEGEND,
            "hovermode": "closest",
            "dragmode": "pan",
            "xaxis": axis,
            "yaxis": axis,
            "legend": {
                "orientation": "h",
                "x": 0,
                "xanchor": "left",
                "y": -0.01,
                "yanchor": "top",
                "itemsizing": "constant",
            },
        },
    )


def with_star(figure: go.Figure, point: np.ndarray, *, title: str) -> go.Figure:
    """Return a map with one more clip on it, that is of no corpus: a star, whose custom data is -1."""
    whole = {"marker": {"opacity": 1}}
    if not figure.layout.showlegend:
        figure.update_traces(showlegend=False)
    figure.add_trace(
        go.Scatter(
            x=[float(point[0])],
            y=[float(point[1])],
            mode="markers",
            name=title,
            customdata=[-1],
            hovertemplate=f"{title}<extra></extra>",
            marker={"symbol": "star", "size": 22, "color": palette.STAR, "line": {"width": 2, "color": palette.RING}},
            selected=whole,
            unselected=whole,
        )
    )
    return figure.update_layout(showlegend=True)


def likeness(drawn: clip_map.Map, clips: pd.DataFrame) -> str:
    """Return a sentence on whose clips a clip's nearest ones are, beside what chance would give."""
    shares = []
    for by, word in ((catalogue.EMOTION, "label"), (catalogue.SPEAKER, "speaker")):
        groups = clips[by].to_numpy()
        by_chance = float((pd.Series(groups[drawn.rows]).value_counts(normalize=True) ** 2).sum())
        shares.append(f"{drawn.alike(groups):.0%} have its {word} (by chance {by_chance:.0%})")
    return f"Of a clip's {drawn.neighbours.shape[1]} nearest clips {' and '.join(shares)}."


def shares(values: np.ndarray, clips: pd.DataFrame, *, title: str, apart_from_speaker: bool) -> str:
    """Return a sentence on how much of the variance of a figure the label explains, and how much the speaker does."""
    label = exploration.explained(values, clips[catalogue.EMOTION].to_numpy())
    speaker = exploration.explained(values, clips[catalogue.SPEAKER].to_numpy())
    if np.isnan(label):
        return f"There is nothing to compare: {title.lower()} is the same everywhere, or was not measured."
    if apart_from_speaker:
        return f"With each speaker's own mean taken out, the label explains {label:.0%} of the variance of {title.lower()}."
    return f"The label explains {label:.0%} of the variance of {title.lower()}, the speaker {speaker:.0%}."
