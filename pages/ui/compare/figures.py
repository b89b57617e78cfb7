"""Models side by side under one protocol on one corpus: bars, the table, and one section of detail at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import pandas as pd
import streamlit as st

from pages.ui import cached, cell_clips, downloads, frame, glossary, prediction_cards
from pages.ui.cell_clips import Behind
from pages.ui.charts import models
from pages.ui.charts.models import CONFIG, Figures
from ser_core.audio import degradations
from ser_core.corpora import catalogue
from ser_core.dataset import protocols
from ser_core.experiments import listeners
from ser_core.experiments.listeners import Listeners
from ser_core.metrics import abstention

UAR, ACCURACY = "uar", "accuracy"
METRICS = {UAR: "UAR", ACCURACY: "Accuracy"}
CONFUSION, LABELS, CALIBRATION, ROC = "Confusion", "Labels", "Calibration", "ROC"
COUNTS, SHARES = "Counts", "Rows in %"
LABEL_METRICS = {"recall": "Recall", "precision": "Precision", "f1": "F1"}
ALL = "all labels"

MISSING = "not measured"
"""What a table says in place of a figure that there is not."""
PERCENT = st.column_config.NumberColumn(format="%.1f %%")
COLUMNS = {
    **dict.fromkeys(("UAR", "UAR from", "UAR to", "Accuracy", "F1", "Precision", "ECE", "Chance", "Recall"), PERCENT),
    "AUC": st.column_config.NumberColumn(format="%.3f"),
}


def show_figures(figures: Figures, *, key: str, behind: Mapping[str, Callable[[], Behind | None]]) -> None:
    """Draw the figures of several models (title -> figures), all of one protocol and corpus. key: where the widgets are.

    Sections that need curves are offered where some of the figures have any. behind: what finds the clips behind the figures of a title.
    """
    metric = st.segmented_control(
        "Figure",
        list(METRICS),
        format_func=METRICS.get,
        default=UAR,
        required=True,
        key=f"{key}.metric",
        label_visibility="collapsed",
    )
    st.plotly_chart(models.bars(figures, metric), key=f"{key}.bars", config=CONFIG, alt=figures_text(figures, metric))
    over = {each.interval_over for each in figures.values()}
    st.markdown(
        f":small[{glossary.link('uar')}: the mean over the labels of what share was recognised. "
        f"The thin line is the 95 % interval, drawn over the {' or the '.join(sorted(over))} of the test. "
        "Where two intervals overlap widely, the order of the two models means little.]"
    )
    st.dataframe(
        downloads.cells(models.table(figures)),
        hide_index=True,
        column_config=COLUMNS,
        key=f"{key}.table",
        placeholder=MISSING,
    )
    show_caveats((each.corpus, each.protocol) for each in figures.values())
    _seen(figures)
    _under(figures)
    if len({(each.n_clips, each.n_test_speakers) for each in figures.values()}) > 1:
        st.warning(
            "These models were not tested on the same clips, so small differences are not significant. Score them on a corpus here to "
            "compare them clip by clip.",
            icon=":material/balance:",
        )
    sections = [CONFUSION, LABELS, *((CALIBRATION, ROC) if any(each.curves for each in figures.values()) else ())]
    section = st.segmented_control(
        "More", sections, default=CONFUSION, required=True, key=f"{key}.section", label_visibility="collapsed"
    )
    if section == CONFUSION:
        _confusion(figures, behind, key)
    else:
        {LABELS: _labels, CALIBRATION: _calibration, ROC: _roc}[section](figures, key)


def show_held_out(protocol: str) -> None:
    """Draw what a protocol holds out and what its figures are worth; nothing for models that were scored as they are."""
    row = protocols.PROTOCOLS.get(protocol)
    if row:
        st.markdown(f":material/shield: Held out: **{row.held_out}**. {row.worth}")


def show_caveats(places: Iterable[tuple[str, str]]) -> None:
    """Draw what is to be said beside figures of these corpora and protocols, each sentence once."""
    for text in dict.fromkeys(filter(None, (protocols.caveat(*place) for place in places))):
        st.markdown(f":material/menu_book: {frame.plain(text)}")


def _seen(figures: Figures) -> None:
    """Draw which share of the tested clips had their speaker, sentence or recording in training, where it was looked at."""
    told = {
        tuple(each.seen[kind] for kind in ("speaker", "sentence", "twin")) for each in figures.values() if each.seen
    }
    for speaker, sentence, twin in sorted(told):
        st.markdown(
            f"Of the tested clips **{speaker:.0%}** have their speaker in training, **{sentence:.0%}** their sentence, and "
            f"**{twin:.0%}** the very recording, or a copy of it."
        )


def _under(figures: Figures) -> None:
    """Draw the accuracy on the same clips under worse conditions, where it was measured."""
    names = list(dict.fromkeys(name for each in figures.values() for name in each.under or {}))
    if not names:
        return
    st.markdown("The same clips under worse conditions, tested with the same models (accuracy):")
    rows = [
        {
            "Model": title,
            "As recorded": 100 * each.accuracy,
            **{
                degradations.describe(name): 100 * each.under[name] if name in (each.under or {}) else None
                for name in names
            },
        }
        for title, each in figures.items()
    ]
    table = pd.DataFrame(rows)
    # The levels stand in the help of a heading: with them in it, a phone showed one column and a half.
    short = {
        name: st.column_config.NumberColumn(name.partition(" (")[0], help=name, format="%.1f %%")
        for name in table.columns[1:]
    }
    st.dataframe(downloads.cells(table), hide_index=True, column_config=short, placeholder=MISSING)


def figures_text(figures: Figures, metric: str) -> str:
    """Return a figure of each model, in a sentence for a screen reader."""
    return (
        "; ".join(f"{title}: {getattr(each, metric):.0%}" for title, each in figures.items())
        + ". The table has all figures."
    )


@st.fragment
def _confusion(figures: Figures, behind: Mapping[str, Callable[[], Behind | None]], key: str) -> None:
    unit = st.segmented_control(
        "Cells", [SHARES, COUNTS], default=SHARES, required=True, key=f"{key}.cells", label_visibility="collapsed"
    )
    st.markdown(f"{glossary.link('confusion')}: acted in rows, answered in columns.")
    names = models.labels_of(figures)
    matrices = {
        title: cell_clips.Matrix(
            models.confusion(each, names, as_shares=unit == SHARES),
            [name for name in names if name in each.labels],
            models.describe_confusion(title, each),
            behind[title],
        )
        for title, each in figures.items()
    }
    cell_clips.show_matrices(matrices, key=f"{key}.confusion", config=CONFIG)
    corpora = {each.corpus for each in figures.values()}
    people = cached.listeners().get(corpora.pop()) if len(corpora) == 1 else None
    if people:
        _people(people, names, key, as_shares=unit == SHARES)


def _people(people: Listeners, names: Sequence[str], key: str, *, as_shares: bool) -> None:
    """Draw what people heard in the same corpus, as one more matrix, and how well they do."""
    st.markdown(f"**People who only heard the clips**  \n{frame.plain(listeners.describe(people))}")
    with st.columns(2, gap="medium")[0]:
        st.plotly_chart(
            models.matrix(people.labels, people.heard, names, as_shares=as_shares, heard="heard", unit="answers"),
            key=f"{key}.confusion.people",
            config=CONFIG,
            alt=f"What people heard in the clips of each acted label. {listeners.describe(people)}",
        )


def _labels(figures: Figures, key: str) -> None:
    metric = st.segmented_control(
        "Of each label",
        list(LABEL_METRICS),
        format_func=LABEL_METRICS.get,
        default="recall",
        required=True,
        key=f"{key}.label_metric",
        label_visibility="collapsed",
    )
    st.plotly_chart(
        models.labels(figures, metric),
        key=f"{key}.labels",
        config=CONFIG,
        alt=f"{LABEL_METRICS[metric]} of each label and model. The table below has all figures.",
    )
    with st.expander("The same as a table", key=f"{key}.label_table"):
        st.dataframe(
            downloads.cells(models.label_table(figures)),
            hide_index=True,
            column_config=COLUMNS,
            key=f"{key}.label_rows",
            placeholder=MISSING,
        )


def _calibration(figures: Figures, key: str) -> None:
    drawn = {title: each for title, each in figures.items() if each.curves}
    if not _has_curves(figures, drawn):
        return
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown(
            "**Does a probability mean what it says?** A model that says 70 % should be right seven times in ten. Below the dashed "
            "line it is too sure of itself."
        )
        st.plotly_chart(
            models.reliability(drawn),
            key=f"{key}.reliability",
            config=CONFIG,
            alt="; ".join(f"{title}: calibration error {each.ece:.1%}" for title, each in drawn.items()),
        )
    with right:
        _risk(drawn, key)
    label = st.selectbox("Probability of its answer", [ALL, *_known(drawn)], key=f"{key}.sure_label", width=260)
    for start in range(0, len(drawn), 2):
        places = st.columns(2, gap="medium")
        for place, (title, each) in zip(places, list(drawn.items())[start : start + 2], strict=False):
            with place:
                st.markdown(f"**{frame.plain(title)}**")
                st.plotly_chart(
                    models.certainty(each, None if label == ALL else label),
                    key=f"{key}.sure.{title}",
                    config=CONFIG,
                    alt=f"Probability of the answer of {title}, when it was right and when it was wrong.",
                )


def _risk(drawn: Figures, key: str) -> None:
    st.markdown(
        "**What does it cost to answer less often?** A model that answers only when its probability is high is "
        "wrong less often. In the legend "
        "the area under the curve: less is better."
    )
    shown = {title: each for title, each in drawn.items() if each.curves and each.curves.aurc is not None}
    if not shown:
        st.info(
            "These figures are of an earlier version, without this curve. Score the models on a corpus here to see it.",
            icon=":material/info:",
        )
        return
    st.plotly_chart(
        models.risk(shown),
        key=f"{key}.risk",
        config=CONFIG,
        alt="; ".join(
            f"{title}: area {each.curves.aurc:.3f}. {prediction_cards.when_sure(each)}"
            for title, each in shown.items()
            if each.curves
        ),
    )
    told = [
        f"**{frame.plain(title)}**. {told}"
        for title, each in shown.items()
        if (told := prediction_cards.when_sure(each))
    ]
    if told:
        st.markdown(
            "The large marks are where each model begins to say “not sure”.  \n"
            + "  \n".join(told)
            + f"  \n:small[{abstention.ABSTENTION_RULE}]"
        )


def _roc(figures: Figures, key: str) -> None:
    drawn = {title: each for title, each in figures.items() if each.curves}
    if not _has_curves(figures, drawn):
        return
    label = st.selectbox("Label against all others", _known(drawn), key=f"{key}.roc_label", width=260)
    st.plotly_chart(
        models.roc(drawn, label),
        key=f"{key}.roc",
        config=CONFIG,
        alt="; ".join(
            f"{title}: area {each.curves.auc.get(label, float('nan')):.2f}"
            for title, each in drawn.items()
            if each.curves
        ),
    )


def _known(figures: Figures) -> list[str]:
    there = {label for each in figures.values() if each.curves for label in each.curves.auc}
    return [label for label in catalogue.ALL_LABELS if label in there] or sorted(there)


def _has_curves(figures: Figures, drawn: Figures) -> bool:
    missing = [title for title in figures if title not in drawn]
    if missing:
        st.info(
            f"The card of {frame.plain(', '.join(missing))} holds the figures without their curves. Score the models on a corpus "
            "here to see these.",
            icon=":material/info:",
        )
    return bool(drawn)
