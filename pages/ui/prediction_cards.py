"""What the models answered, as small pieces of HTML, and what they say together, as a sentence. Pure functions.

Streamlit has no bars with a fixed order, a word and a figure each that stay readable on a phone; a list does it, and a
screen reader reads it as it stands. Everything that comes from a card or a prediction is escaped: models can be strangers'.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape

from pages.ui import glossary
from pages.ui.charts import palette
from pages.ui.recognition import Answer
from ser_core.corpora import catalogue
from ser_core.metrics import abstention
from ser_core.metrics.evaluation import Evaluation
from ser_core.recognition.card import ModelCard
from ser_core.recognition.recognizer import Prediction
from ser_core.recognition.store import SHIPPED
from ser_core.system import untrusted_text

TESTED = {
    "speaker": "unseen speakers",
    "sentence": "unseen sentences of known speakers",
    "random": "other clips of known speakers",
    "cross-corpus": "an unseen corpus",
}
"""Protocol -> what a figure was measured on."""


KINDS = {"knn": "knn", "mlp": "mlp", "cnn": "cnn", "cnn_lstm": "lstm"}
"""Classifier -> where the guide explains it."""


def grid(answers: Sequence[Answer], before: Sequence[Answer] = ()) -> str:
    """Return one card an answer, side by side where they fit, else one below the other.

    `before` holds the answers of the clip put aside, of the same models, or nothing.
    """
    cards = [card(answer, before[i] if before else None) for i, answer in enumerate(answers)]
    return f'<div class="ser-grid">{"".join(cards)}</div>'


def card(answer: Answer, before: Answer | None = None) -> str:
    """Return what one model says, or why it cannot, with its own score beside it."""
    now, past = answer.prediction, before.prediction if before else None
    title = escape(answer.card.title)
    if answer.card.classifier in KINDS:
        title = glossary.link_html(KINDS[answer.card.classifier], title)
    if now is None:
        parts = [_heading(title, ""), f'<p class="ser-problem">{escape(untrusted_text.sentence(answer.problem))}</p>']
    else:
        parts = [
            _heading(title, f"{now.milliseconds:.1f} ms"),
            _label(now, past),
            bars(now.probabilities, before=past.probabilities if past else None),
        ]
    facts = filter(
        None, [score(answer.card), when_sure(answer.card.evaluation), f"{answer.card.n_parameters:,} parameters"]
    )
    parts.append(f'<p class="ser-small">{"<br>".join(map(_with_link, facts))}</p>')
    return f"<section>{''.join(parts)}</section>"


def _with_link(text: str) -> str:
    return escape(text).replace("UAR ", f"{glossary.link_html('uar', 'UAR')} ", 1)


def _heading(title: str, time: str) -> str:
    return f'<div class="ser-head"><b>{title}</b><span class="ser-small">{time}</span></div>'


def _label(now: Prediction, before: Prediction | None) -> str:
    probability = percent(now.probabilities[now.label])
    past = "" if before is None else f'<p class="ser-small">Before: {escape(_word(before))}</p>'
    if now.sure is False and now.threshold is not None:
        return (
            f'<div><div class="ser-label ser-unsure"><i></i><span>{abstention.NOT_SURE}</span></div>'
            f'<p class="ser-small">Leading guess: {escape(now.label)} {probability} (its threshold is {percent(now.threshold)})</p>'
            f"{past}</div>"
        )
    return (
        f'<div><div class="ser-label"><i style="background:{palette.emotion(now.label)}"></i><span>{escape(now.label)}</span>'
        f"<small>{probability}</small></div>{past}</div>"
    )


def _word(prediction: Prediction) -> str:
    return abstention.NOT_SURE if prediction.sure is False else prediction.label


def bars(probabilities: Mapping[str, float], *, before: Mapping[str, float] | None = None) -> str:
    """Return one bar a label, in the order given; with `before`, a thinner bar above shows the clip put aside."""
    top = max(probabilities, key=lambda label: probabilities[label])
    rows = []
    for label, probability in probabilities.items():
        fills = f'<i style="width:{probability:.1%};background:{palette.emotion(label)}"></i>'
        value = percent(probability)
        if before is not None:
            past = before.get(label, 0.0)
            fills = f'<i class="ser-before" style="width:{past:.1%};background:{palette.emotion(label)}"></i>{fills}'
            value = f"{100 * past:.0f} → {value}"
        chosen = ' class="ser-top"' if label == top else ""
        rows.append(
            f'<li{chosen}><span>{escape(label)}</span><span class="ser-track">{fills}</span><span>{value}</span></li>'
        )
    paired = " ser-pair" if before is not None else ""
    return f'<ul class="ser-bars{paired}">{"".join(rows)}</ul>'


def score(card: ModelCard) -> str:
    """Return the model's own figure and what it was measured on, such as 'UAR 49 % (45 to 53 %) on unseen speakers. RAVDESS, …'."""
    figures = card.evaluation
    if figures is None:
        return "Not evaluated: how often it is right is unknown."
    low, high = figures.interval["uar"]
    tested = TESTED.get(figures.protocol, "clips that were held out")
    corpus = _corpus(figures.corpus)
    n = figures.n_test_speakers
    return (
        f"UAR {percent(figures.uar)} ({100 * low:.0f} to {percent(high)}) on {tested}. {corpus}, {n} speaker{'s' * (n != 1)}, "
        f"protocol “{figures.protocol}”; random guessing: {100 * figures.chance:.3g} %."
    )


def error_rate_table(cards: Sequence[ModelCard]) -> str:
    """Return how often the shipped models are wrong on speakers they had never heard, in %, as an HTML table: one row per corpus."""
    shown = [card for card in cards if card.slug in SHIPPED]
    names = dict.fromkeys(name for card in shown for name, _ in _unseen(card))
    if not names:
        return '<p class="ser-small">No shipped model is installed here.</p>'
    head = "".join(f'<th scope="col">{escape(card.title)}</th>' for card in shown)
    rows = []
    for name in names:
        measured = [dict(_unseen(card)).get(name) for card in shown]
        known = next(each for each in measured if each)
        cells = "".join(
            f"<td><span>{percent(1 - each.accuracy) if each else 'not tested'}</span></td>" for each in measured
        )
        told = (
            f"{known.n_clips:,} clips, {known.n_test_speakers} speakers; random guessing: {percent(1 - known.chance)}"
        )
        rows.append(f'<tr><th scope="row">{escape(_corpus(name))}<small>{told}</small></th>{cells}</tr>')
    head = f'<tr><th scope="col">Corpus</th>{head}</tr>'
    return f'<div class="ser-wide"><table class="ser-table ser-compare">{head}{"".join(rows)}</table></div>'


def error_rate_sentence(cards: Sequence[ModelCard]) -> str:
    """Return how often the shipped models are wrong on unseen speakers, from the best to the worst corpus, as part of a sentence; or ''."""
    wrong = [1 - figures.accuracy for card in cards if card.slug in SHIPPED for _, figures in _unseen(card)]
    if not wrong:
        return ""
    share = f"{100 * min(wrong):.0f}–{percent(max(wrong))}"
    return f"On unseen speakers the models were wrong in {share} of clips, depending on the corpus."


def _unseen(card: ModelCard) -> list[tuple[str, Evaluation]]:
    return [(name, figures) for name, figures in card.per_corpus.items() if figures.protocol == "speaker"]


def _corpus(name: str) -> str:
    return catalogue.CORPORA[name].title if name in catalogue.CORPORA else name.capitalize()


def when_sure(figures: Evaluation | None) -> str:
    """Return what a threshold costs: 'It answers 74 % of these clips; 71 % of its answers are right; …'; '' without one."""
    if figures is None or figures.sure is None:
        return ""
    n = figures.sure["answered"]
    right = (
        f"; {percent(figures.sure['right'] / n)} of its answers are right; {percent(figures.accuracy)} if it always answers"
        if n
        else ""
    )
    return f"It answers {percent(n / max(figures.n_clips, 1))} of these clips{right}."


def percent(fraction: float) -> str:
    """Return 0.634 as '63 %'."""
    return f"{100 * fraction:.0f} %"


def verdict(answers: Sequence[Answer], before: Sequence[Answer] = ()) -> str:
    """Return at a glance how far the models agree: a coloured square a model, and a sentence; also for the clip put aside."""
    lines = [("Before: ", before), ("Now: ", answers)] if before else [("", answers)]
    return "".join(
        f'<p class="ser-verdict">{_squares(*_labels(each))}<span>{word}{escape(agreement(*_labels(each)))}</span></p>'
        for word, each in lines
    )


def _squares(labels: Sequence[str], n_unsure: int) -> str:
    squares = "".join(f'<i style="background:{palette.emotion(label)}"></i>' for label in sorted(labels))
    return f'<span class="ser-squares" aria-hidden="true">{squares}{"<i class=ser-unsure></i>" * n_unsure}</span>'


def _labels(answers: Sequence[Answer]) -> tuple[list[str], int]:
    """Return the labels of the models that are sure, and how many models are not."""
    predictions = [answer.prediction for answer in answers if answer.prediction]
    sure = [each.label for each in predictions if each.sure is not False]
    return sure, len(predictions) - len(sure)


def unsure(answers: Sequence[Answer]) -> bool:
    """Return whether some model is not sure."""
    return _labels(answers)[1] > 0


def agreement(labels: Sequence[str], n_unsure: int = 0) -> str:
    """Return what the models say together: '3 of 4 models say angry.'; '' where none says anything. n_unsure: how many are not sure."""
    if n_unsure:
        return _with_unsure(labels, n_unsure)
    if not labels:
        return ""
    counts = Counter(labels).most_common()
    first, votes = counts[0]
    n = len(labels)
    if n == 1:
        return f"The one model here says {first}."
    if votes == n:
        return f"{'Both' if n == 2 else f'All {n}'} models say {first}."
    if votes == 1:
        return f"The {n} models all differ: {_list(labels)}."
    rivals = [label for label, count in counts if count == votes]
    if len(rivals) > 1:
        return f"The models are split: {votes} of {n} say {f', {votes} say '.join(rivals)}."
    return f"{votes} of {n} models say {first}."


def _with_unsure(labels: Sequence[str], n_unsure: int) -> str:
    n = len(labels) + n_unsure
    if not labels:
        return (
            "The one model here is not sure."
            if n == 1
            else f"{'Neither of the 2' if n == 2 else f'None of the {n}'} models is sure."
        )
    (first, votes), *others = Counter(labels).most_common()
    parts = [
        f"{votes} of {n} models {_says(votes)} {first}",
        *(f"{count} {_says(count)} {label}" for label, count in others),
    ]
    return f"{', '.join(parts)}; {n_unsure} {'is' if n_unsure == 1 else 'are'} {abstention.NOT_SURE}."


def _says(n: int) -> str:
    return "says" if n == 1 else "say"


def _list(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}"
