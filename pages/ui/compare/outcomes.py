"""What models said of the same clips: their figures side by side, who is heard worse, and whether their differences mean anything."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import pandas as pd
import streamlit as st

from pages.ui import cell_clips, downloads, frame
from pages.ui.charts import models
from pages.ui.charts.groups import title
from pages.ui.compare import disagreements
from pages.ui.compare import figures as compare_figures
from pages.ui.compare.figures import MISSING, PERCENT
from ser_core.corpora import catalogue
from ser_core.experiments import answers, comparison
from ser_core.experiments import outcome as experiments_outcome
from ser_core.experiments.outcome import Outcome, part
from ser_core.metrics.evaluation import OVERALL, Evaluation

MEAN = "Mean of these"
BY = {
    catalogue.SPEAKER: "Speaker",
    catalogue.SEX: "Sex",
    comparison.AGE: "Age",
    catalogue.INTENSITY: "Intensity",
    catalogue.SENTENCE: "Sentence",
    catalogue.CORPUS: "Corpus",
    catalogue.EMOTION: "Label",
}
MAX_GROUPS = 60
"""Rows of a figure of slices, at most; its table has all."""


def show_outcomes(outcomes: Sequence[Outcome], *, key: str) -> None:
    """Draw all that can be said of outcomes on the same clips. key: where the widgets are."""
    for doubles in dict.fromkeys(each.doubles for each in outcomes if each.doubles):
        st.markdown(f":small[{frame.plain(doubles)}]")
    by_model = {each.model: _figures(each) for each in outcomes}
    names = list(next(iter(by_model.values())))
    name = names[0]
    if len(names) > 1:
        name = st.segmented_control(
            "On",
            names,
            format_func=lambda name: name if name == OVERALL else frame.corpus(name),
            default=name,
            required=True,
            key=f"{key}.on",
        )
    if name != OVERALL and len(names) > 1:
        outcomes = [part(each, (each.clips[catalogue.CORPUS] == name).to_numpy()) for each in outcomes]
    compare_figures.show_figures(
        {model: each[name] for model, each in by_model.items()},
        key=f"{key}.{name}",
        behind={each.model: functools.partial(_behind, each) for each in outcomes},
    )
    st.header("Who is recognised less well", anchor=False)
    _slices(outcomes, key)
    if len(outcomes) > 1:
        disagreements.show_differences(outcomes)


def _behind(outcome: Outcome) -> cell_clips.Behind | None:
    return cell_clips.of_corpora(answers.of_outcome(outcome))


def figures(outcomes: Sequence[Outcome]) -> dict[str, Evaluation]:
    """Return the figures of each model over all clips of its outcome."""
    return {each.model: next(iter(_figures(each).values())) for each in outcomes}


def with_mean(outcomes: Sequence[Outcome], *, key: str) -> list[Outcome]:
    """Draw whether the mean of the models is one more of them, where they answer with the same labels, and return them so."""
    same_labels = len({each.labels for each in outcomes}) == 1
    mean = len(outcomes) > 1 and same_labels and st.toggle("Add the mean of their probabilities", key=f"{key}.mean")
    return [*outcomes, experiments_outcome.mean(outcomes, MEAN)] if mean else list(outcomes)


def _figures(outcome: Outcome) -> dict[str, Evaluation]:
    return _computed(
        outcome.model,
        f"{outcome.protocol} {hash(outcome.probabilities.tobytes())} {hash(outcome.y.tobytes())}",
        outcome,
    )


@st.cache_data(max_entries=64, show_spinner=False)
def _computed(model: str, key: str, _outcome: Outcome) -> dict[str, Evaluation]:
    return experiments_outcome.figures(_outcome)


def _slices(outcomes: Sequence[Outcome], key: str) -> None:
    there = [by for by in BY if len(set(comparison.groups(outcomes[0].clips, by))) > 1]
    if not there:
        st.markdown("All of these clips are alike in what is known of them.")
        return
    by = st.segmented_control(
        "By", there, format_func=BY.get, default=there[0], required=True, key=f"{key}.by", label_visibility="collapsed"
    )
    tables = {each.model: comparison.slices(each, by).set_index("group") for each in outcomes}
    first = next(iter(tables.values()))
    groups = list(first.index if by == catalogue.EMOTION else sorted(first.index))
    shown = groups[:MAX_GROUPS]
    st.plotly_chart(
        models.dots(
            [_called(by, name) for name in shown],
            {model: table.loc[shown, "uar"].to_list() for model, table in tables.items()},
            axis="Recall" if by == catalogue.EMOTION else "UAR",
        ),
        key=f"{key}.slices.{by}",
        config=models.CONFIG,
        alt=f"UAR by {BY[by].lower()} and model. The table has all figures.",
    )
    with st.expander("The same as a table", key=f"{key}.slices_table"):
        rows = [
            {
                BY[by]: _called(by, name),
                "Clips": int(first.loc[name, "n_clips"]),
                **{model: 100 * table.loc[name, "uar"] for model, table in tables.items()},
            }
            for name in groups
        ]
        st.dataframe(
            downloads.cells(pd.DataFrame(rows)),
            hide_index=True,
            key=f"{key}.slice_rows.{by}",
            column_config=dict.fromkeys(tables, PERCENT),
            placeholder=MISSING,
        )


def _called(by: str, name: str) -> str:
    return title(by, name) if by in (catalogue.CORPUS, catalogue.SPEAKER) else name
