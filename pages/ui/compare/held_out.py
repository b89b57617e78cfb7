"""What the models' cards say of clips held out from them: one column per protocol and corpus, never one ranking over several."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import pandas as pd
import streamlit as st

from pages.ui import cached, cell_clips, downloads, frame, state
from pages.ui.charts import groups
from pages.ui.compare import enrolled, protocols
from pages.ui.compare import figures as compare_figures
from pages.ui.compare.figures import MISSING, PERCENT, show_held_out
from ser_core.corpora import catalogue
from ser_core.dataset.protocols import PROTOCOLS
from ser_core.metrics.evaluation import Evaluation
from ser_core.recognition import report
from ser_core.recognition.card import ModelCard

OF_CARDS, BY_PROTOCOL, ENROLLED = "cards", "protocol", "enrolled"
VIEWS = {OF_CARDS: "Models here", BY_PROTOCOL: "By protocol", ENROLLED: "My voice"}

Column = tuple[str, str]
"""Protocol and corpus."""


@st.fragment
def show_held_out_figures(cards: Sequence[ModelCard]) -> None:
    """Draw the table of all models and the figures of the column that is chosen; or what comes with the project."""
    view = st.segmented_control(
        "Which figures",
        list(VIEWS),
        format_func=VIEWS.get,
        default=OF_CARDS,
        required=True,
        key="compare.cards.view",
        label_visibility="collapsed",
    )
    if view == BY_PROTOCOL:
        protocols.show_protocols(cards)
        return
    if view == ENROLLED:
        enrolled.show_enrolled()
        return
    columns = measured(cards)
    if not columns:
        st.info(
            "No model here was tested on held-out clips. Score models on a corpus, in the next section.",
            icon=":material/info:",
        )
        return
    titles = cached.model_titles(cards)
    st.markdown(
        "Each figure is the UAR on clips that the model had not learned from. **Each column is a protocol and a corpus of its own: "
        "compare down a column, never across.** A click on a heading sorts."
    )
    st.dataframe(
        downloads.cells(table(cards, titles, columns)),
        hide_index=True,
        key="compare.cards.table",
        placeholder=MISSING,
        column_config=dict.fromkeys(map(title, columns), PERCENT),
    )
    compare_figures.show_caveats((name, protocol) for protocol, name in columns)
    chosen = st.selectbox(
        "Column",
        columns,
        format_func=title,
        key="compare.cards.column",
        width=360,
        index=_place(columns, st.session_state.get(state.COMPARE_COLUMN)),
        on_change=state.remember,
        args=(state.COMPARE_COLUMN, "compare.cards.column"),
    )
    show_held_out(chosen[0])
    shown = {titles[card.slug]: (card, figures) for card in cards if (figures := of(card, chosen))}
    compare_figures.show_figures(
        {name: figures for name, (_, figures) in shown.items()},
        key="compare.cards",
        behind={name: functools.partial(cell_clips.of_card, *each) for name, each in shown.items()},
    )
    _pages(cards, titles)


def _pages(cards: Sequence[ModelCard], titles: dict[str, str]) -> None:
    st.markdown(
        "**Result cards**: two pages per model to print or pass on, with all figures, what they mean, limits and licence."
    )
    with st.container(key="compare_result_cards", horizontal=True):
        for card in cards:
            st.download_button(
                frame.plain(titles[card.slug]),
                lambda card=card: report.html(card),
                report.file_name(card),
                "text/html",
                key=f"compare.cards.page.{card.slug}",
                icon=":material/description:",
                on_click="ignore",
            )


def measured(cards: Sequence[ModelCard]) -> list[Column]:
    """Return the protocols and corpora that some card has figures of, the strictest protocol first."""
    found = {(each.protocol, name) for card in cards for name, each in card.measured}
    strict, known = [*reversed(PROTOCOLS)], list(catalogue.CORPORA)
    return sorted(
        found,
        key=lambda column: tuple(
            (order.index(name) if name in order else len(order), name)
            for order, name in zip((_usual(strict), known), column, strict=True)
        ),
    )


def _usual(strict: list[str]) -> list[str]:
    return ["speaker", *(name for name in strict if name != "speaker")]


def of(card: ModelCard, column: Column) -> Evaluation | None:
    """Return a card's figures of a protocol and corpus, if it has any."""
    return next((each for name, each in card.measured if (each.protocol, name) == column), None)


def title(column: Column) -> str:
    """Return how people call a column: "speaker · RAVDESS"."""
    return f"{column[0]} · {groups.title(catalogue.CORPUS, column[1])}"


def table(cards: Sequence[ModelCard], titles: dict[str, str], columns: Sequence[Column]) -> pd.DataFrame:
    """Return one row per model: what it was trained on, and its UAR in %, empty where it was not measured so."""
    rows = []
    for card in cards:
        figures = {title(column): of(card, column) for column in columns}
        rows.append(
            {
                "Model": titles[card.slug],
                **{name: 100 * each.uar if each else None for name, each in figures.items()},
                "Trained on": ", ".join(
                    groups.title(catalogue.CORPUS, str(each.get("corpus"))) for each in card.corpora
                ),
                "Parameters": card.n_parameters,
            }
        )
    return pd.DataFrame(rows)


def _place(columns: Sequence[Column], last: Column | None) -> int:
    return columns.index(last) if last in columns else 0
