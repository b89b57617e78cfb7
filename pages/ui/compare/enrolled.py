"""What takes of one's own voice are worth, as it comes with the project: newcomers who give none, one and two takes per label."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from pages.ui import cached, downloads, frame
from pages.ui.charts import enrolled as charts_enrolled
from pages.ui.charts.models import CONFIG
from pages.ui.compare import figures as compare_figures
from pages.ui.compare.figures import MISSING, PERCENT
from ser_core import classifiers
from ser_core.dataset import splits
from ser_core.errors import SerError
from ser_core.recognition import store, together
from ser_core.training.personal import Row

POINTS = st.column_config.NumberColumn(format="%+.1f")
COLUMNS = {
    **dict.fromkeys(("Accuracy", "Accuracy from", "Accuracy to", "UAR"), PERCENT),
    **dict.fromkeys(("Gain", "Gain from", "Gain to", "Another's", "Another's from", "Another's to"), POINTS),
    "Takes in all": st.column_config.NumberColumn(format="%.1f"),
}

CAVEAT = (
    "**These are actors in studios.** Takes and tested clips come from one microphone, and everyone acts on request: at home, with another "
    "microphone or in another mood, expect less. On the page My voice, a second round of takes tests it on yours."
)


def show_enrolled() -> None:
    """Draw what takes are worth on one corpus: a sentence, the gains of all models, and all figures as a table."""
    try:
        table = cached.enrolled()
    except SerError as error:  # here: the page's own edge is outside of the fragment
        st.error(frame.plain(str(error)), icon=":material/error:")
        return
    corpora = list(dict.fromkeys(row.corpus for row in table.rows))
    st.markdown(
        "What it is worth that the models adapt to a speaker who acts each emotion once or twice (page My voice), measured on speakers "
        "that no model had learned from."
    )
    corpus = st.segmented_control(
        "Corpus",
        corpora,
        default=corpora[0],
        required=True,
        format_func=frame.corpus,
        key="compare.enrolled.corpus",
        label_visibility="collapsed",
    )
    rows = [row for row in table.rows if row.corpus == corpus]
    titles = order(rows)
    lead = [row for row in rows if row.model == next(iter(titles))]
    text = f"On {frame.corpus(corpus)}, {sentence(titles[lead[0].model], lead)}"
    st.markdown(text)
    st.plotly_chart(
        charts_enrolled.gains(rows, titles),
        key="compare.enrolled.gains",
        config=CONFIG,
        alt=f"{text} The table below has all figures.",
    )
    st.markdown(
        ":small[The thin line is the 95 % interval over speakers; where it holds 0, the gain may be chance. Another speaker's takes are "
        "the control: they must not help.]"
    )
    st.markdown(f":material/warning: {CAVEAT}")
    compare_figures.show_caveats([(corpus, splits.SPEAKER_PROTOCOL)])
    with st.expander("All figures as a table", key="compare.enrolled.all"):
        st.dataframe(
            downloads.cells(every(rows, titles)),
            hide_index=True,
            column_config=COLUMNS,
            key="compare.enrolled.rows",
            placeholder=MISSING,
        )
    st.markdown(f":small[{frame.plain(table.protocol)} Measured beforehand: `{table.command}`]")


def order(rows: Sequence[Row]) -> dict[str, str]:
    """Return what to call the models of some rows, by slug: all together first, then the shipped ones, the best of them first."""
    there = dict.fromkeys(row.model for row in rows)
    usual = [slug for slug in (together.NAME, *reversed(store.SHIPPED)) if slug in there]
    return {slug: title(slug) for slug in dict.fromkeys([*usual, *there])}


def title(model: str) -> str:
    """Return how people call a model of the table."""
    if model == together.NAME:
        return together.TITLE
    return classifiers.CLASSIFIERS[model].title if model in classifiers.CLASSIFIERS else model


def sentence(name: str, rows: Sequence[Row]) -> str:
    """Return what own takes do to the accuracy of one model, and as many of another speaker's. rows: of that model on one corpus."""
    by_takes = {row.takes: row for row in rows}
    none = by_takes.pop(0)
    parts = [
        f"{_NUMBERS.get(k, str(k))} per emotion {'bring' if k > 1 else 'brings'} it to **{row.accuracy:.1%}** "
        f"({_points(row.gain)} points; 95 %: {_points(row.gain_low)} to {_points(row.gain_high)})"
        for k, row in sorted(by_takes.items())
    ]
    most = by_takes[max(by_takes)]
    return (
        f"{frame.plain(name)} is right on **{none.accuracy:.1%}** of the clips without takes; {', '.join(parts)}. As many takes of another "
        f"speaker change it by {_points(most.control)} points."
    )


_NUMBERS = {1: "one take", 2: "two takes"}


def _points(share: float) -> str:
    return f"{100 * share:+.1f}".replace("-", "−")


def every(rows: Sequence[Row], titles: dict[str, str]) -> pd.DataFrame:
    """Return one row per model and number of takes, with all figures in % or points."""
    found = [
        {
            "Model": titles[row.model],
            "Takes per label": row.takes,
            "Takes in all": row.n_takes,
            "Accuracy": 100 * row.accuracy,
            "Accuracy from": 100 * row.low,
            "Accuracy to": 100 * row.high,
            "UAR": 100 * row.uar,
            "Gain": 100 * row.gain if row.takes else None,
            "Gain from": 100 * row.gain_low if row.takes else None,
            "Gain to": 100 * row.gain_high if row.takes else None,
            "Another's": 100 * row.control if row.takes else None,
            "Another's from": 100 * row.control_low if row.takes else None,
            "Another's to": 100 * row.control_high if row.takes else None,
            "Speakers": row.n_speakers,
            "Clips": row.n_clips,
        }
        for slug in titles
        for row in rows
        if row.model == slug
    ]
    return pd.DataFrame(found)
