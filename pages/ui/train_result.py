"""What a run has made: the model's figures with what they are worth, beside those of the shipped model of its kind, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from pages.ui import cached, cards, exports, frame, guide_terms, state, train_charts, train_script, train_search
from ser_core import jobs, runs, splits, store
from ser_core.classifiers import CLASSIFIERS
from ser_core.errors import SerError
from ser_core.evaluation import Evaluation

SAME = "All were measured by the protocol “{protocol}”, but not on the same speakers and clips: small differences mean nothing."
BEFORE = "Before: the model that this one started from, on the very same clips."
HEARD = (
    " That model had learned from {corpora} already, the speakers tested here included, so the figures before and after are both "
    "too high."
)
OTHER = "The protocols differ, so the two columns answer different questions. Do not rank them against each other."


def show(job: jobs.Job) -> None:
    """Draw the result of a run that has ended."""
    result = runs.read_result(job.folder) or {}
    if result.get("unreadable"):
        st.warning(unreadable(result["unreadable"]), icon=":material/hearing_disabled:")
    if job.status.model:
        try:
            card = store.read_card(job.status.model, store.MODELS)
        except SerError as error:
            st.warning(frame.plain(f"{error} It may have been deleted since."), icon=":material/warning:")
            return
        _next(card)
        if result.get("trials"):
            train_search.show(job, result["trials"])
        model(card)
    _script(job)


def unreadable(problems: Sequence[Sequence[str]]) -> str:
    """Return which clips could not be used, as Markdown: the first few by name."""
    told = "; ".join(f"{Path(path).name}: {reason}" for path, reason in problems[:3])
    return frame.plain(f"{len(problems)} clips could not be read and were left out. {told}")


def model(card: store.ModelCard) -> None:
    """Draw the figures of a model and what it is made of."""
    if card.evaluation is None:
        st.info("This model was not evaluated: nobody knows how often it is right.", icon=":material/info:")
    else:
        st.header("How often it is right", anchor=False)
        st.html(comparison(columns(card, cached.models()[0])))
        _corpora(card)
    st.header("What it is made of", anchor=False)
    st.markdown(facts(card))
    if card.architecture:
        with st.expander(
            f"Its {len(card.architecture)} layers", key=f"train.layers.{card.slug}", icon=":material/layers:"
        ):
            st.html(architecture(card.architecture))


def _next(card: store.ModelCard) -> None:
    with st.container(key="train_next", horizontal=True):
        if st.button("Try it on your voice", key="train.try", type="primary", icon=":material/mic:"):
            state.pick(card.slug, store.SHIPPED)
            st.switch_page("app.py")


@dataclass(frozen=True)
class Column:
    """Figures of one model by corpus, for a table: its title, the protocol they were measured by, and what to say of it."""

    title: str
    protocol: str
    figures: Mapping[str, Evaluation]
    note: str


def columns(card: store.ModelCard, others: Sequence[store.ModelCard]) -> list[Column]:
    """Return a model's figures, those before it was trained further, if it was, and those of the shipped model of its kind."""
    found = [_column(card)]
    before = _before(card)
    if before:
        origin = next((each for each in others if each.slug == card.training.get("start_from")), None)
        heard = sorted(_heard(card) & _heard(origin)) if origin else []
        note = BEFORE + (HEARD.format(corpora=", ".join(map(cached.corpus_title, heard))) if heard else "")
        found.append(
            Column(
                f"{origin.title if origin else 'The model it started from'}, before", found[0].protocol, before, note
            )
        )
    shipped = next((each for each in others if each.slug in store.SHIPPED and each.classifier == card.classifier), None)
    if shipped and shipped.slug != card.slug:
        found.append(_column(shipped))
    return found


def _column(card: store.ModelCard) -> Column:
    overall = {card.evaluation.corpus: card.evaluation} if card.evaluation else {}
    protocol = card.evaluation.protocol if card.evaluation else "none"
    return Column(card.title, protocol, overall | dict(card.per_corpus), f"{card.title}: {card.protocol}")


def _heard(card: store.ModelCard) -> set[str]:
    return {str(each.get("corpus")) for each in card.corpora if isinstance(each, dict)}


def _before(card: store.ModelCard) -> dict[str, Evaluation]:
    try:
        return {str(name): Evaluation.from_dict(values) for name, values in card.training.get("before", {}).items()}
    except (SerError, AttributeError):  # a stranger's card
        return {}


def comparison(shown: Sequence[Column]) -> str:
    """Return figures by corpus in a column a model, as an HTML table, and below it what they are worth side by side."""
    head = "".join(f"<th>{escape(each.title)}<small>protocol “{escape(each.protocol)}”</small></th>" for each in shown)
    names = dict.fromkeys(name for each in shown for name in each.figures)
    rows = "".join(
        f"<tr><th>{escape(cached.corpus_title(name))}</th>{''.join(f'<td>{_cell(each.figures.get(name))}</td>' for each in shown)}</tr>"
        for name in names
    )
    notes = [each.note for each in shown]
    if len(shown) > 1:
        protocols = {each.protocol for each in shown}
        notes.insert(0, SAME.format(protocol=shown[0].protocol) if len(protocols) == 1 else OTHER)
    told = "".join(f'<p class="ser-small">{escape(note)}</p>' for note in notes)
    return (
        f'<div class="ser-wide"><table class="ser-table ser-compare"><tr><th></th>{head}</tr>{rows}</table></div>{told}'
    )


def _cell(figures: Evaluation | None) -> str:
    if figures is None:
        return "not tested"
    low, high = figures.interval["uar"]
    return (
        f"<b>UAR {cards.percent(figures.uar)}</b> <span>({100 * low:.0f} to {cards.percent(high)})</span><br>"
        f"accuracy {cards.percent(figures.accuracy)}; guessing {100 * figures.chance:.3g} %<br>"
        f"<small>{figures.n_clips:,} clips, {figures.n_test_speakers} speaker{'s' * (figures.n_test_speakers != 1)}</small>"
    )


def _corpora(card: store.ModelCard) -> None:
    by_name = _column(card).figures
    names = list(by_name)
    name = names[0]
    if len(names) > 1:
        name = st.segmented_control(
            "Corpus",
            names,
            format_func=frame.corpus,
            default=names[0],
            required=True,
            key=f"train.result.corpus.{card.slug}",
        )
    figures = by_name[name]
    st.markdown(worth(figures))
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown(f"**{guide_terms.link('confusion')}**: counts, and each row in %")
        st.plotly_chart(
            train_charts.confusion(figures),
            key=f"train.confusion.{card.slug}",
            config=train_charts.CONFIG,
            alt=train_charts.describe_confusion(figures),
        )
    with right:
        st.markdown("**By label**: recall, of what was acted; precision, of what was answered")
        st.plotly_chart(
            train_charts.per_label(figures),
            key=f"train.per_label.{card.slug}",
            config=train_charts.CONFIG,
            alt="Recall and precision by label; the table below has them.",
        )
    with st.expander("By label, as a table", key=f"train.labels.table.{card.slug}"):
        rows = exports.cells(pd.DataFrame(train_charts.label_rows(figures)))
        st.dataframe(rows, hide_index=True, key=f"train.labels.figures.{card.slug}")


def worth(figures: Evaluation) -> str:
    """Return what figures of this protocol are worth, as Markdown."""
    said = splits.PROTOCOLS.get(figures.protocol, "")
    return (
        f"Protocol **{frame.plain(figures.protocol)}**. {frame.plain(said)} {guide_terms.link('uar')}, with an interval of 95 % over "
        f"{frame.plain(figures.interval_over)}."
    )


def facts(card: store.ModelCard) -> str:
    """Return what a model is made of, as Markdown."""
    spec = CLASSIFIERS.get(card.classifier)
    title = spec.title if spec else card.classifier
    learned = ", ".join(
        f"{cached.corpus_title(str(each.get('corpus')))} ({each.get('n_clips')} clips, {each.get('n_speakers')} speakers)"
        for each in card.corpora
        if isinstance(each, dict)
    )
    settings = ", ".join(f"{name} {value}" for name, value in card.hyperparameters.items())
    return "  \n".join(
        filter(
            None,
            [
                f"**{frame.plain(title)}**, {card.n_parameters:,} parameters, "
                f"{len(card.labels)} labels: {frame.plain(', '.join(card.labels))}",
                f"Learned from {frame.plain(learned)}" if learned else "",
                f":small[{frame.plain(settings)}]" if settings else "",
            ],
        )
    )


def architecture(layers: Sequence[Any]) -> str:
    """Return a model's layers as an HTML picture: a block a layer, in order, with its output's shape and its parameters."""
    rows = [layer for layer in layers if isinstance(layer, dict)]
    counts = [n if isinstance(n := layer.get("parameters"), int) else 0 for layer in rows]
    most = max([*counts, 1])
    blocks = "".join(
        f"<li><span>{escape(str(layer.get('name', '')))}<small>{escape(str(layer.get('detail') or ''))}</small></span>"
        f"<span>{escape(_shape(layer.get('shape')))}</span>{_weight(n, most)}</li>"
        for layer, n in zip(rows, counts, strict=True)
    )
    head = "<li><b>Layer</b><b>Gives</b><b></b><b>Parameters</b></li>"
    return f'<ol class="ser-layers">{head}{blocks}</ol>'


def _weight(n: int, most: int) -> str:
    if not n:
        return "<span></span><span></span>"
    return f'<span class="ser-track"><i style="width:{100 * n / most:.1f}%"></i></span><span>{n:,}</span>'


def _shape(shape: Any) -> str:
    return (
        " × ".join("?" if size is None else str(size) for size in shape)
        if isinstance(shape, list | tuple)
        else str(shape or "")
    )


def _script(job: jobs.Job) -> None:
    try:
        config = runs.read_config(job.folder)
    except SerError:
        return
    st.download_button(
        "Script that repeats this",
        lambda: train_script.script(job.title, config),
        f"train-{exports.safe_stem(job.title)}.py",
        "text/x-python",
        key="train.script",
        icon=":material/code:",
        on_click="ignore",
    )
