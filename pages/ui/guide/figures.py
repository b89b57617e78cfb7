"""The small figures of the guide: from the synthetic voices that come with the app, and from what the cards of the models say.

Each function gives a figure and a sentence that tells what it shows, for whoever cannot see it; None where its model is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from pages.ui import cached, model_layers, recognition
from pages.ui.charts import clip, models, palette
from ser_core.audio import waveform
from ser_core.errors import SerError
from ser_core.experiments import leakage_lab
from ser_core.features import config
from ser_core.recognition import analysis
from ser_core.recognition.card import ModelCard
from ser_core.system import workers

VOICE = "bright.flac"
"""The synthetic voice that the pictures show."""

AXIS = {"gridcolor": palette.GRID, "zeroline": False, "fixedrange": True, "automargin": True}
MARGIN = {"l": 8, "r": 16, "t": 26, "b": 8}
SMALL = {"margin": MARGIN, "showlegend": False, "height": 230}
ROOM_PX = 64
"""Above and below a figure, with one line of words."""

STEP_S = 0.4
"""From one question to the next, in the figure of the LSTM."""

N_LINES = 3


class TermFigure(NamedTuple):
    """What a term's figure is: a Plotly figure or HTML, and what it tells in words."""

    figure: go.Figure | str
    words: str


@st.cache_resource(max_entries=1, show_spinner="Drawing the figures …")
def voices() -> dict[str, analysis.Analysis]:
    """Return the synthetic voices in which somebody speaks: title -> what was measured of it, that of the pictures first."""
    rows = sorted(cached.samples(), key=lambda row: row["file"] != VOICE)
    analyses = {
        row["title"].removeprefix("Synthetic voice, "): workers.run(analysis.analyse, cached.SAMPLES / row["file"])
        for row in rows
    }
    return {title: each for title, each in analyses.items() if each.quality.has_speech}


def show_figure(term: str, cards: list[ModelCard]) -> None:
    """Draw the figure of a term, if there is one, with its words below."""
    if term not in FIGURES:
        return
    figure = _term_figure(term, cached.model_keys(cards), {card.slug: card for card in cards})
    if figure is None:
        return
    with st.container(key=f"guide_{term}"):
        if isinstance(figure.figure, str):
            st.html(figure.figure)
        else:
            # Its place is kept before it is drawn: whoever comes to a term by its link must not see it slide away.
            st.html(f"<style>.st-key-guide_{term} {{ min-height: {figure.figure.layout.height + ROOM_PX}px; }}</style>")
            st.plotly_chart(figure.figure, key=f"guide.{term}", config={"displayModeBar": False}, alt=figure.words)
        st.markdown(f":small[{figure.words}]")


@st.cache_data(max_entries=32, show_spinner=False)
def _term_figure(term: str, models_key: str, _cards: Mapping[str, ModelCard]) -> TermFigure | None:
    return FIGURES[term](_cards)


def _picture(row: str) -> Callable[[Mapping[str, ModelCard]], TermFigure]:
    def draw(_: Mapping[str, ModelCard]) -> TermFigure:
        title, clip_analysis = next(iter(voices().items()))
        figure = clip.pictures(clip_analysis, rows=(row,))
        return TermFigure(figure, f"The synthetic voice “{title}”. {clip.describe(clip_analysis, (row,))}")

    return draw


def _stft(_: Mapping[str, ModelCard]) -> TermFigure:
    clip_analysis = next(iter(voices().values()))
    settings = clip_analysis.features.config
    hz, level_db = stft(clip_analysis.clip.waveform.samples, settings)
    step_s = settings.hop_length / settings.sample_rate
    top = float(level_db.max())
    trace = go.Heatmap(
        z=level_db.T[::2],
        x0=0,
        dx=step_s,
        y=hz[::2],
        colorscale=palette.HEAT,
        showscale=False,
        zmin=top - clip.DYNAMIC_RANGE_DB,
        zmax=top,
        hovertemplate="%{y:.0f} Hz at %{x:.2f} s: %{z:.0f} dB<extra></extra>",
    )
    figure = go.Figure(
        trace,
        {
            **SMALL,
            "xaxis": {**AXIS, "title": {"text": "Time"}, "ticksuffix": " s"},
            "yaxis": {**AXIS, "title": {"text": "Frequency (Hz)"}},
        },
    )
    width_ms = 1000 * settings.win_length / settings.sample_rate
    return TermFigure(
        figure,
        f"The same voice: {len(level_db)} pieces of {width_ms:.0f} ms each, one every {1000 * step_s:.0f} ms, and "
        f"{len(hz)} frequencies in each.",
    )


def stft(samples: np.ndarray, settings: config.FeatureConfig) -> tuple[np.ndarray, np.ndarray]:
    """Return frequencies in Hz, (n_bins,), and levels in dB, float32 (n_frames, n_bins), of pieces of a sound under a Hann window."""
    pieces = np.lib.stride_tricks.sliding_window_view(samples, settings.win_length)[:: settings.hop_length]
    power = np.abs(np.fft.rfft(pieces * np.hanning(settings.win_length), n=settings.n_fft, axis=1)) ** 2
    hz = np.fft.rfftfreq(settings.n_fft, 1 / settings.sample_rate)
    return hz, (10 * np.log10(np.maximum(power, 1e-10))).astype(np.float32)


def _knn(_: Mapping[str, ModelCard]) -> TermFigure:
    measured = {
        title: (float(np.nanmedian(each.features.f0_hz)), each.quality.level_dbfs) for title, each in voices().items()
    }
    titles, points = list(measured), np.array(list(measured.values()))
    apart = np.linalg.norm((points - points[0]) / points.std(axis=0), axis=1)
    nearest = [int(place) for place in np.argsort(apart)[1:3]]
    lines = [
        go.Scatter(
            x=points[[0, place], 0],
            y=points[[0, place], 1],
            mode="lines",
            line={"color": palette.LINE, "dash": "dot"},
            hoverinfo="skip",
        )
        for place in nearest
    ]
    dots = go.Scatter(
        x=points[:, 0],
        y=points[:, 1],
        mode="markers+text",
        text=titles,
        textposition="top center",
        marker={"size": [16] + [10] * (len(titles) - 1), "color": [palette.ABOVE] + [palette.LINE] * (len(titles) - 1)},
        hovertemplate="%{text}: %{x:.0f} Hz, %{y:.0f} dBFS<extra></extra>",
    )
    room = (points.max(axis=0) - points.min(axis=0)) * 0.25
    figure = go.Figure(
        [*lines, dots],
        {
            **SMALL,
            "xaxis": {
                **AXIS,
                "title": {"text": "Pitch (Hz)"},
                "range": (points[:, 0].min() - room[0], points[:, 0].max() + room[0]),
            },
            "yaxis": {
                **AXIS,
                "title": {"text": "Level (dBFS)"},
                "range": (points[:, 1].min() - room[1], points[:, 1].max() + room[1]),
            },
        },
    )
    return TermFigure(
        figure,
        f"The synthetic voices by two measures. Nearest to “{titles[0]}”: “{titles[nearest[0]]}”, then "
        f"“{titles[nearest[1]]}”.",
    )


def _layers(slug: str) -> Callable[[Mapping[str, ModelCard]], TermFigure | None]:
    def draw(cards: Mapping[str, ModelCard]) -> TermFigure | None:
        card = cards.get(slug)
        if card is None or not card.architecture:
            return None
        learned = [
            row for row in card.architecture if row.get("parameters") and row.get("name") != "BatchNormalization"
        ]
        return TermFigure(
            model_layers.architecture(learned),
            f"The layers of the {card.title} here that learn: {len(learned)} of "
            f"{len(card.architecture)}, with {card.n_parameters:,} numbers in all.",
        )

    return draw


def _lstm(cards: Mapping[str, ModelCard]) -> TermFigure | None:
    card = cards.get("cnn_lstm")
    if card is None:
        return None
    title, clip_analysis = next(iter(voices().items()))
    sound = clip_analysis.clip.waveform
    ends_s = np.arange(2 * STEP_S, sound.duration_s + STEP_S, STEP_S).clip(max=sound.duration_s)
    clips = [
        waveform.Waveform(sound.samples[: round(end_s * sound.sample_rate)], sound.sample_rate) for end_s in ends_s
    ]
    try:
        predict = recognition.predict_window([card], only_speech=False)
        found = [predict(each)[1] for each in clips]
    except SerError:
        return None
    answers = [each.probabilities for predictions in found for each in predictions]
    if len(answers) < len(clips):
        return None
    likely = sorted(answers[-1], key=lambda label: -max(each[label] for each in answers))[:N_LINES]
    lines = [
        go.Scatter(
            x=ends_s,
            y=[each[label] for each in answers],
            mode="lines+markers",
            name=label,
            line={"color": palette.emotion(label)},
            marker={"symbol": palette.SYMBOLS[number], "size": 8},
            hovertemplate=label + " %{y:.0%} after %{x:.1f} s<extra></extra>",
        )
        for number, label in enumerate(likely)
    ]
    figure = go.Figure(
        lines,
        {
            **SMALL,
            "showlegend": True,
            "legend": models.LEGEND,
            "xaxis": {**AXIS, "title": {"text": "Heard so far"}, "ticksuffix": " s"},
            "yaxis": {**AXIS, "tickformat": ".0%", "range": (-0.03, 1.03)},
        },
    )
    last = ", ".join(f"{label} {answers[-1][label]:.0%}" for label in likely)
    return TermFigure(
        figure, f"What the {card.title} here says of the voice “{title}” as it hears more of it; at the end {last}."
    )


def _uar(cards: Mapping[str, ModelCard]) -> TermFigure | None:
    card = cards.get("mlp")
    if card is None or card.evaluation is None:
        return None
    measured = card.evaluation
    recall = {label: row["recall"] for label, row in measured.per_label.items()}
    bars = go.Bar(
        x=list(recall),
        y=list(recall.values()),
        marker={"color": [palette.emotion(label) for label in recall]},
        hovertemplate="%{x}: %{y:.0%}<extra></extra>",
    )
    marks = {f"UAR {measured.uar:.0%}": measured.uar, f"random guessing: {measured.chance:.1%}": measured.chance}
    figure = go.Figure(
        bars,
        {
            **SMALL,
            "margin": {**MARGIN, "r": 96},
            "xaxis": {**AXIS, "tickangle": -45},
            "yaxis": {**AXIS, "tickformat": ".0%", "range": (0, 1)},
            "shapes": [
                {
                    "type": "line",
                    "xref": "paper",
                    "x0": 0,
                    "x1": 1,
                    "y0": y,
                    "y1": y,
                    "line": {"color": palette.CHANCE, "dash": "dash"},
                }
                for y in marks.values()
            ],
            "annotations": [
                {
                    "text": text,
                    "xref": "paper",
                    "x": 1.01,
                    "xanchor": "left",
                    "y": y,
                    "yanchor": "middle",
                    "showarrow": False,
                }
                for text, y in marks.items()
            ],
        },
    )
    shares = ", ".join(f"{label} {share:.0%}" for label, share in recall.items())
    return TermFigure(
        figure,
        f"Of the clips of each emotion, the share that the {card.title} here recognised in "
        f"{cached.corpus_title(measured.corpus)}, on speakers it had never heard: {shares}. Their mean is the UAR.",
    )


def _confusion(cards: Mapping[str, ModelCard]) -> TermFigure | None:
    card = cards.get("mlp")
    if card is None or card.evaluation is None:
        return None
    names = models.labels_of({card.title: card.evaluation})
    figure = models.confusion(card.evaluation, names, as_shares=True)
    return TermFigure(figure, f"Each row in %. {models.describe_confusion(card.title, card.evaluation)}")


def _leakage(_: Mapping[str, ModelCard]) -> TermFigure:
    known = leakage_lab.read_results()
    (_, leaky), *_, (_, clean) = leakage_lab.ladder(leakage_lab.EVERY_LEAK)
    steps = [("With every leak", known[leaky]), ("With none", known[clean])]
    first, last = (row[models.METRIC] for _, row in steps)
    return TermFigure(
        models.ladder(steps, models.METRIC),
        f"One small model on RAVDESS: {first:.0%} of answers right where "
        f"training and test share speakers and copies, {last:.0%} where they do not. The Compare page has the steps between.",
    )


FIGURES: dict[str, Callable[[Mapping[str, ModelCard]], TermFigure | None]] = {
    "waveform": _picture("waveform"),
    "stft": _stft,
    "mel": _picture("mel"),
    "mfcc": _picture("mfcc"),
    "knn": _knn,
    "mlp": _layers("mlp"),
    "cnn": _layers("cnn"),
    "lstm": _lstm,
    "transfer": _layers("transfer"),
    "uar": _uar,
    "confusion": _confusion,
    "leakage": _leakage,
}
"""Anchor of a term -> what draws its figure."""
