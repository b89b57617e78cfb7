"""The table over protocols and corpora that comes with the project: a panel and one column per protocol, never one ranking over several."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import pandas as pd
import streamlit as st

from pages.ui import cached, cell_clips, downloads, frame
from pages.ui.charts import groups
from pages.ui.charts.models import CONFIG, Figures, bars
from pages.ui.compare import figures as compare_figures
from pages.ui.compare.figures import MISSING, PERCENT, figures_text, show_held_out
from ser_core import classifiers
from ser_core.corpora import catalogue
from ser_core.dataset import protocols
from ser_core.experiments import benchmark
from ser_core.experiments.benchmark import Cell
from ser_core.experiments.outcome import MEAN
from ser_core.recognition import together
from ser_core.recognition.card import ModelCard

MEAN_TITLE = "Mean of the four"
PANEL_PX = 340
"""Three beside each other on a laptop, one below the other on a phone."""


ALONE = (
    "Here each recipe was **retrained on {corpus} alone** (cross-corpus: on the other corpora). The models under *Models here* were "
    "trained on several corpora at once, so the same name and protocol have another figure there."
)


def show_protocols(cards: Sequence[ModelCard]) -> None:
    """Draw the table of one corpus: one panel per protocol, the columns beside each other, and one of them in detail."""
    cells = cached.protocol_cells()
    current = benchmark.keys(cards)
    words, _, rule = benchmark.WORDS.partition("compare down")
    st.markdown(f"{words}**compare down{rule}**")
    with st.container(key="compare_protocols_choice", horizontal=True):
        corpus = st.segmented_control(
            "Corpus",
            benchmark.usual(cell.corpus for cell in cells),
            default=cells[0].corpus,
            required=True,
            format_func=frame.corpus,
            key="compare.protocols.corpus",
            label_visibility="collapsed",
        )
        metric = st.segmented_control(
            "Figure",
            list(benchmark.METRICS),
            format_func=benchmark.METRICS.get,
            default="uar",
            required=True,
            key="compare.protocols.metric",
            label_visibility="collapsed",
        )
    own = [cell for cell in cells if cell.corpus == corpus]
    st.markdown(ALONE.format(corpus=frame.corpus(corpus)))
    with st.container(key="compare_protocols", horizontal=True, gap="small"):
        for protocol in protocols.PROTOCOLS:
            with st.container(border=True, width=PANEL_PX):
                _panel(protocol, [cell for cell in own if cell.protocol == protocol], metric)
    shown = downloads.cells(table(own, metric))
    st.dataframe(
        shown,
        hide_index=True,
        key="compare.protocols.table",
        placeholder=MISSING,
        column_config={
            name: st.column_config.NumberColumn(format="%.1f %%", help=f"Held out: {row.held_out}. {row.worth}")
            for name, row in protocols.PROTOCOLS.items()
        },
    )
    compare_figures.show_caveats((cell.corpus, cell.protocol) for cell in own if cell.figures)
    _notes(own, current)
    with st.expander("All figures as a table", key="compare.protocols.all"):
        st.dataframe(
            downloads.cells(every(own)),
            hide_index=True,
            key="compare.protocols.rows",
            placeholder=MISSING,
            column_config=COLUMNS,
        )
    _detail(own)
    st.markdown(
        f":small[Measured beforehand: `{benchmark.command(cells)}`. Quick recipes can be retrained on the corpora "
        "here, in the next section.]"
    )


def _panel(protocol: str, cells: Sequence[Cell], metric: str) -> None:
    row = protocols.PROTOCOLS[protocol]
    st.markdown(f"**{protocol}** · held out: {row.held_out}")
    figures = figures_of(cells)
    problems = {cell.problem for cell in cells if cell.problem}
    if figures:
        st.plotly_chart(
            bars(figures, metric, order=TITLES),
            key=f"compare.protocols.panel.{protocol}",
            config=CONFIG,
            alt=figures_text(figures, metric),
        )
    else:
        st.info(frame.plain(problems.pop()) if problems else "Not measured yet.", icon=":material/info:")
    st.markdown(f":small[{row.worth}]")


def title(model: str) -> str:
    """Return how people call a model of the table."""
    return TITLES[benchmark.MODELS.index(model)] if model in benchmark.MODELS else model


_WHOLE = {MEAN: MEAN_TITLE, benchmark.TOGETHER: together.TITLE}
TITLES = tuple(_WHOLE[name] if name in _WHOLE else classifiers.CLASSIFIERS[name].title for name in benchmark.MODELS)


def figures_of(cells: Sequence[Cell]) -> Figures:
    """Return the figures of cells of one corpus and protocol by the title of their model."""
    return {title(cell.model): cell.figures for cell in cells if cell.figures}


def table(cells: Sequence[Cell], metric: str) -> pd.DataFrame:
    """Return one row per model and one column per protocol with its figure in %, empty where it was not measured; cells of one corpus."""
    by_place = {(cell.model, cell.protocol): cell.figures for cell in cells}
    there = [cell.model for cell in cells]
    usual = [name for name in benchmark.MODELS if name != benchmark.TOGETHER or name in there]
    models = dict.fromkeys([*usual, *there])
    return pd.DataFrame(
        [
            {
                "Model": title(model),
                **{
                    name: 100 * getattr(figures, metric) if (figures := by_place.get((model, name))) else None
                    for name in protocols.PROTOCOLS
                },
            }
            for model in models
        ]
    ).astype(dict.fromkeys(protocols.PROTOCOLS, float))


COLUMNS = {
    **compare_figures.COLUMNS,
    **dict.fromkeys(
        ("Accuracy from", "Accuracy to", "Speaker in training", "Sentence in training", "Recording in training"),
        PERCENT,
    ),
}


def every(cells: Sequence[Cell]) -> pd.DataFrame:
    """Return one row per model and protocol that was measured, with all figures, what they were measured on and what was in training."""
    return pd.DataFrame(
        [
            {
                "Protocol": cell.protocol,
                "Model": title(cell.model),
                "UAR": 100 * each.uar,
                "UAR from": 100 * each.interval["uar"][0],
                "UAR to": 100 * each.interval["uar"][1],
                "Accuracy": 100 * each.accuracy,
                "Accuracy from": 100 * each.interval["accuracy"][0],
                "Accuracy to": 100 * each.interval["accuracy"][1],
                "F1": 100 * each.macro_f1,
                "ECE": 100 * each.ece,
                "Chance": 100 * each.chance,
                "Labels": len(each.per_label),
                "Clips": each.n_clips,
                "Speakers": each.n_test_speakers,
                "Folds": f"{cell.done} of {cell.rounds}",
                **{
                    f"{name} in training": 100 * each.seen[kind] if each.seen else None
                    for name, kind in (("Speaker", "speaker"), ("Sentence", "sentence"), ("Recording", "twin"))
                },
                "Trained on": ", ".join(groups.title(catalogue.CORPUS, name) for name in cell.trained_on),
            }
            for cell in cells
            if (each := cell.figures)
        ]
    )


def _notes(cells: Sequence[Cell], current: dict[str, str]) -> None:
    parts = [
        f"{title(cell.model)}, {cell.protocol}: {cell.done} of {cell.rounds} folds are measured."
        for cell in cells
        if cell.figures and not cell.whole
    ]
    parts += [
        f"{title(cell.model)}, {cell.protocol}: from an earlier recipe. The model has been retrained with other settings since."
        for cell in cells
        if benchmark.is_stale(cell, current)
    ]
    if parts:
        st.warning("  \n".join(map(frame.plain, parts)), icon=":material/history:")


def _detail(cells: Sequence[Cell]) -> None:
    there = [
        name for name in reversed(protocols.PROTOCOLS) if any(cell.figures for cell in cells if cell.protocol == name)
    ]
    if not there:
        return
    st.header("One column in detail", anchor=False)
    protocol = st.selectbox(
        "Protocol",
        there,
        index=there.index("speaker") if "speaker" in there else 0,
        key="compare.protocols.detail",
        width=260,
    )
    show_held_out(protocol)
    chosen = [cell for cell in cells if cell.protocol == protocol]
    on = dict.fromkeys(name for cell in chosen for name in cell.trained_on)
    st.markdown(
        f"Retrained on **{frame.plain(', '.join(groups.title(catalogue.CORPUS, name) for name in on))}** alone."
    )
    figures = figures_of(chosen)
    behind = {
        title(cell.model): functools.partial(cell_clips.of_project, cell.model, cell.figures)
        for cell in chosen
        if cell.figures
    }
    compare_figures.show_figures(figures, key=f"compare.protocols.{protocol}", behind=behind)
