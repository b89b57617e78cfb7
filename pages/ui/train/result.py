"""What a run has made: the model's figures with what they are worth, beside those of the shipped model of its kind, and what to do next."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path

import pandas as pd
import streamlit as st

from pages.ui import cached, cell_clips, downloads, frame, glossary, model_layers, prediction_cards, state
from pages.ui.charts import training
from pages.ui.train import script, search
from ser_core import paths
from ser_core.classifiers import CLASSIFIERS
from ser_core.dataset import protocols, splits
from ser_core.errors import SerError
from ser_core.experiments.outcome import AS_TRAINED
from ser_core.metrics.evaluation import MIN_SPEAKERS, Evaluation
from ser_core.recognition import store
from ser_core.recognition.card import ModelCard
from ser_core.training import jobs, run_folder

SAME = "All were measured by the protocol “{protocol}”, but not on the same speakers and clips: small differences mean nothing."
BEFORE = "Before: the model that this one started from, on the very same clips."
TRAINED = (
    "**Not held-out figures, neither before nor after:** the model that this one started from had been trained on {whom} that were tested "
    "here, so both are too high."
)
FEW = (
    "**{clips} of {speakers} are too few to say how good this model is.** The interval shows how little is known. Test it on more clips, "
    "of {n} speakers or more, none of whom it has learned from."
)
FEW_CLIPS = 40
"""Below so many tested clips, the page says that a figure tells little."""
OTHER = "The protocols differ, so the two columns answer different questions. Do not rank them against each other."


def show_result(job: jobs.Job) -> None:
    """Draw the result of a run that has ended."""
    result = run_folder.read_result(job.folder) or {}
    if result.get("unreadable"):
        st.warning(unreadable(result["unreadable"]), icon=":material/hearing_disabled:")
    for note in result.get("notes", ()):
        st.info(frame.plain(note), icon=":material/info:")
    if job.status.model:
        try:
            card = store.read_card(job.status.model, paths.models_folder())
        except SerError as error:
            st.warning(frame.plain(f"{error} It may have been deleted since."), icon=":material/warning:")
            return
        _next(card)
        if result.get("trials"):
            search.show_trials(job, result["trials"])
        model(card)
    _script(job)


def unreadable(problems: Sequence[Sequence[str]]) -> str:
    """Return which clips could not be used, as Markdown: the first few by name."""
    examples = "; ".join(f"{Path(path).name}: {reason}" for path, reason in problems[:3])
    return frame.plain(f"{len(problems)} clips could not be read and were left out. {examples}")


def model(card: ModelCard) -> None:
    """Draw the figures of a model and what it is made of."""
    if card.evaluation is None:
        st.info("This model was not evaluated: how often it is right is unknown.", icon=":material/info:")
    else:
        st.header("How often it is right", anchor=False)
        others = cached.models()[0]
        _doubts(card, card.evaluation, others)
        st.html(comparison(columns(card, others)))
        _corpora(card)
    st.header("Architecture and settings", anchor=False)
    st.markdown(facts(card))
    if card.architecture:
        with st.expander(
            f"Its {len(card.architecture)} layers", key=f"train.layers.{card.slug}", icon=":material/layers:"
        ):
            st.html(model_layers.architecture(card.architecture))


def _doubts(card: ModelCard, figures: Evaluation, others: Sequence[ModelCard]) -> None:
    """Draw in red what makes a model's figures too high, and where they rest on too little."""
    origin = next((each for each in others if each.slug == card.training.get("start_from")), None)
    whom = base_overlap(card, origin)
    if whom:
        st.error(TRAINED.format(whom=frame.plain(whom)), icon=":material/hearing:")
    if figures.n_clips < FEW_CLIPS:
        n = figures.n_test_speakers
        words = {"clips": f"{figures.n_clips} clips", "speakers": f"{n} speaker{'s' * (n != 1)}"}
        st.warning(FEW.format(**words, n=MIN_SPEAKERS), icon=":material/straighten:")


def _next(card: ModelCard) -> None:
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


def columns(card: ModelCard, others: Sequence[ModelCard]) -> list[Column]:
    """Return a model's figures, those before it was trained further, if it was, and those of the shipped model of its kind."""
    found = [_column(card)]
    before = _before(card)
    if before:
        origin = next((each for each in others if each.slug == card.training.get("start_from")), None)
        protocol = AS_TRAINED if base_overlap(card, origin) else found[0].protocol
        found[0] = replace(found[0], protocol=protocol)
        title = f"{origin.title if origin else 'The model it started from'}, before"
        found.append(Column(title, protocol, before, BEFORE))
    shipped = next((each for each in others if each.slug in store.SHIPPED and each.classifier == card.classifier), None)
    if shipped and shipped.slug != card.slug:
        found.append(_column(shipped))
    return found


def _column(card: ModelCard) -> Column:
    overall = {card.evaluation.corpus: card.evaluation} if card.evaluation else {}
    protocol = card.evaluation.protocol if card.evaluation else "none"
    return Column(card.title, protocol, overall | dict(card.per_corpus), f"{card.title}: {card.protocol}")


def base_overlap(card: ModelCard, origin: ModelCard | None) -> str:
    """Return which of a fine-tuned model's tested speakers or corpora its base model was trained on, in words; "" where none was."""
    if origin is None:
        return "speakers whom its card would name, if it were still here," if card.training.get("start_from") else ""
    tested = set(card.split.get(splits.TEST, {}).get("speakers", ()))
    trained = {
        each for part in (splits.TRAIN, splits.VALIDATION) for each in origin.split.get(part, {}).get("speakers", ())
    }
    if tested and trained:
        n = len(tested & trained)
        return f"{n} of the {len(tested)} speakers" if n else ""
    shared = sorted(_training_corpora(card) & _training_corpora(origin))
    return f"{', '.join(map(cached.corpus_title, shared))}, speakers included," if shared else ""


def _training_corpora(card: ModelCard) -> set[str]:
    return {str(each.get("corpus")) for each in card.corpora if isinstance(each, dict)}


def _before(card: ModelCard) -> dict[str, Evaluation]:
    try:
        return {str(name): Evaluation.from_dict(values) for name, values in card.training.get("before", {}).items()}
    except (SerError, AttributeError):  # an untrusted card
        return {}


def comparison(shown: Sequence[Column]) -> str:
    """Return figures by corpus in one column per model, as an HTML table, and below it what they are worth side by side."""
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
    footnotes = "".join(f'<p class="ser-small">{escape(note)}</p>' for note in notes)
    return f'<div class="ser-wide"><table class="ser-table ser-compare"><tr><th></th>{head}</tr>{rows}</table></div>{footnotes}'


def _cell(figures: Evaluation | None) -> str:
    if figures is None:
        return "not tested"
    low, high = figures.interval["uar"]
    return (
        f"<b>UAR {prediction_cards.percent(figures.uar)}</b> <span>({100 * low:.0f} to {prediction_cards.percent(high)})</span><br>"
        f"accuracy {prediction_cards.percent(figures.accuracy)}; random guessing: {100 * figures.chance:.3g} %<br>"
        f"<small>{figures.n_clips:,} clips, {figures.n_test_speakers} speaker{'s' * (figures.n_test_speakers != 1)}</small>"
    )


def _corpora(card: ModelCard) -> None:
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
        st.markdown(f"**{glossary.link('confusion')}**: counts, and each row in %")
        _confusion(card, figures)
    with right:
        st.markdown("**By label**: recall, of what was acted; precision, of what was answered")
        st.plotly_chart(
            training.per_label(figures),
            key=f"train.per_label.{card.slug}",
            config=training.CONFIG,
            alt="Recall and precision by label; the table below has them.",
        )
    with st.expander("By label, as a table", key=f"train.labels.table.{card.slug}"):
        rows = pd.DataFrame(training.label_rows(figures))
        st.dataframe(downloads.cells(rows), hide_index=True, key=f"train.labels.figures.{card.slug}")


@st.fragment
def _confusion(card: ModelCard, figures: Evaluation) -> None:
    matrix = cell_clips.Matrix(
        training.confusion(figures),
        training.labels_shown(figures),
        training.describe_confusion(figures),
        functools.partial(cell_clips.of_card, card, figures),
    )
    key = f"train.confusion.{card.slug}.{figures.corpus}"
    cell_clips.show_matrices({card.title: matrix}, key=key, config=training.CONFIG, titled=False)


def worth(figures: Evaluation) -> str:
    """Return what figures of this protocol are worth, as Markdown."""
    meaning = " ".join(
        [splits.PROTOCOLS.get(figures.protocol, ""), protocols.caveat(figures.corpus, figures.protocol)]
    ).strip()
    return (
        f"Protocol **{frame.plain(figures.protocol)}**. {frame.plain(meaning)} {glossary.link('uar')}, with an interval of 95 % over "
        f"{frame.plain(figures.interval_over)}."
    )


def facts(card: ModelCard) -> str:
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
                f"Trained on {frame.plain(learned)}. {_others(card)}" if learned else "",
                f":small[{frame.plain(settings)}]" if settings else "",
            ],
        )
    )


def _others(card: ModelCard) -> str:
    """Return what became of the clips that a model did not learn from, as its card lists them."""
    n = {name: sum(map(len, card.split.get(name, {}).get("clips", {}).values())) for name in splits.PARTS}
    spec = CLASSIFIERS.get(card.classifier)
    purpose = "chose the epoch and set" if spec and spec.iterative else "set"
    parts = [
        f"{n[splits.VALIDATION]:,} more {purpose} its temperature and threshold" if n[splits.VALIDATION] else "",
        f"{n[splits.TEST]:,} were held out and tested" if n[splits.TEST] else "",
    ]
    told = "; ".join(filter(None, parts))
    return f"{told[0].upper()}{told[1:]}." if told else ""


def _script(job: jobs.Job) -> None:
    try:
        config = run_folder.read_config(job.folder)
    except SerError:
        return
    st.download_button(
        "Script that repeats this",
        lambda: script.script(job.title, config),
        f"train-{downloads.safe_stem(job.title)}.py",
        "text/x-python",
        key="train.script",
        icon=":material/code:",
        on_click="ignore",
    )
