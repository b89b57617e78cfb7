"""What the models predict, as small pieces of HTML, and what they say together, as a sentence. Pure functions.

Streamlit has no bars with a fixed order, a word and a figure each that stay readable on a phone; a list does it, and screen readers read
it. prediction_cards.html.j2 holds the HTML, which escapes everything that comes from a card or a prediction: models can be untrusted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pages.ui.charts import palette
from pages.ui.recognition import Answer, Together
from ser_core.classifiers import CLASSIFIERS
from ser_core.corpora import catalogue
from ser_core.explanation import what_if
from ser_core.metrics import abstention
from ser_core.metrics.evaluation import Evaluation
from ser_core.recognition import store
from ser_core.recognition.card import ModelCard
from ser_core.recognition.recognizer import Prediction
from ser_core.recognition.together import TITLE, Pool
from ser_core.system import templates, untrusted_text

TESTED = {
    "speaker": "unseen speakers",
    "sentence": "unseen sentences of known speakers",
    "random": "other clips of known speakers",
    "speaker and sentence": "unseen speakers and sentences",
    "cross-corpus": "an unseen corpus",
}
"""Protocol -> what a figure was measured on."""


KINDS = {"knn": "knn", "mlp": "mlp", "cnn": "cnn", "cnn_lstm": "lstm", "transfer": "transfer"}
"""Classifier -> where the guide explains it."""

BEFORE_AND_NOW = ("Before", "Now")
"""What two clips are called whose answers stand side by side."""

AS_IT_IS = "As it is"
"""What a clip is called whose answer stands beside that of a changed one."""

_HTML: Any = templates.load(Path(__file__).with_suffix(".html.j2")).module
"""The macros of the template, one per function below."""


def cards(
    answers: Sequence[Answer],
    whole: Together | None,
    before: Sequence[Answer] = (),
    whole_before: Together | None = None,
    *,
    words: tuple[str, str] = BEFORE_AND_NOW,
) -> str:
    """Return what the models say: at a glance how far they agree, on the card of all together where there is one, and a card each.

    `before` and `whole_before` hold the same for the first clip, or nothing. words: what the two are called.
    """
    if whole is None:
        return verdict(answers, before, words=words) + grid(answers, before, words=words)
    first = whole_before.prediction if whole_before else None
    lines = _verdict(answers, before, words)
    card = {"title": TITLE, "anchor": "", "notes": _about(whole.pool), "first": words[0]}
    if whole.prediction:
        card |= _said(whole.prediction, first)
    else:
        card |= _unsaid(whole.problem, "waiting", whole.pool.labels, first)
    return str(_HTML.lead(card, lines, whole.pool.protocol, abstention.NOT_SURE)) + grid(answers, before, words=words)


def _about(pool: Pool) -> list[str]:
    """Return what all together is, and how it did on clips of speakers and of corpora that it had not learned from."""
    notes = [
        f"One answer of these {len(pool.weights)} models: the weighted product of their probabilities. The weights were learned from "
        "answers to speakers whom the models had not heard."
    ]
    main = next(iter(pool.per_corpus.values()), None)
    if main:
        notes += [_score(main), f"Its probabilities are off by {100 * main.ece:.0f} points on average (ECE)."]
        notes += [note for note in [when_sure(main)] if note]
    if pool.unheard:
        right = sorted(each.accuracy for each in pool.unheard.values())
        guessing = max(each.chance for each in pool.unheard.values())
        notes.append(
            f"On corpora that no model had learned from, {100 * right[0]:.0f} to {percent(right[-1])} of its answers were right; "
            f"protocol “cross-corpus”; random guessing: {100 * guessing:.3g} %."
        )
    return notes


def grid(answers: Sequence[Answer], before: Sequence[Answer] = (), *, words: tuple[str, str] = BEFORE_AND_NOW) -> str:
    """Return one card per answer: those of models from scratch side by side where they fit, else one below the other; the others below.

    `before` holds the answers for the first clip, of the same models, or nothing.
    """
    scratch, pretrained = [], []
    for i, answer in enumerate(answers):
        card = _card(answer, before[i].prediction if before else None) | {"first": words[0]}
        (pretrained if store.is_pretrained(answer.card) else scratch).append(card)
    return str(_HTML.grid(scratch, abstention.NOT_SURE)) + str(_HTML.broad(pretrained, abstention.NOT_SURE))


def moved(now: Sequence[Prediction], before: Sequence[Prediction], titles: Mapping[str, str]) -> str:
    """Return one card per prediction about a changed clip, with a thinner bar for what the same model said of the clip as it was."""
    first = {each.model: each for each in before}
    shown = [
        {"title": titles.get(each.model, each.model), "anchor": "", "notes": [], "first": AS_IT_IS}
        | _said(each, first.get(each.model))
        for each in now
    ]
    return str(_HTML.grid(shown, abstention.NOT_SURE))


def flip_table(flips: Mapping[str, Sequence[what_if.Flip]]) -> str:
    """Return what flips each model's answer (title -> flips), as an HTML table: one row for each way in which a clip can change."""
    marks = {title: {flip.row.title: flip.mark for flip in found} for title, found in flips.items()}
    tried = [row.title for row in what_if.ROWS if any(row.title in each for each in marks.values())]
    rows = [{"title": title, "cells": [each.get(title, "") for each in marks.values()]} for title in tried]
    return str(_HTML.wide("What flips each answer", "What happens to the clip", list(marks), rows))


def _card(answer: Answer, before: Prediction | None) -> dict[str, Any]:
    """Return what the card of an answer shows: the prediction, or why there is none, with the model's own score beside it."""
    card, now = answer.card, answer.prediction
    spec = CLASSIFIERS.get(card.classifier)
    notes = (
        spec.pretrained if spec else "",
        score(card),
        when_sure(card.evaluation),
        f"{card.n_parameters:,} parameters",
    )
    shown = {
        "title": card.title,
        "anchor": KINDS.get(card.classifier, ""),
        "notes": [note for note in notes if note],
    }
    if now is None:
        return shown | _unsaid(answer.problem, "still listening", card.labels if answer.may_follow else (), before)
    return shown | _said(now, before)


def _said(now: Prediction, before: Prediction | None) -> dict[str, Any]:
    """Return what a card shows of a prediction."""
    return {
        "problem": "",
        "awaits": "",
        "time": f"{now.milliseconds:.1f} ms",
        "is_unsure": now.sure is False and now.threshold is not None,
        "label": now.label,
        "colour": palette.emotion(now.label),
        "probability": percent(now.probabilities[now.label]),
        "threshold": "" if now.threshold is None else percent(now.threshold),
        "before": _word(before) if before else "",
        "rows": _rows(now.probabilities, before.probabilities if before else None),
    }


def _unsaid(problem: str, awaits: str, labels: Sequence[str], before: Prediction | None) -> dict[str, Any]:
    """Return what a card shows without a prediction: why there is none, or that it is awaited; with labels as high as with one."""
    first = before.probabilities if before else None
    return {
        "time": "",
        "problem": untrusted_text.sentence(problem),
        "awaits": awaits,
        "before": _word(before) if before and not problem else "",
        "rows": [row | {"is_top": False, "text": ""} for row in _rows(dict.fromkeys(labels, 0.0), first)]
        if labels
        else [],
    }


def _word(prediction: Prediction) -> str:
    return abstention.NOT_SURE if prediction.sure is False else prediction.label


def bars(probabilities: Mapping[str, float], *, before: Mapping[str, float] | None = None) -> str:
    """Return one bar per label, in the order given; with `before`, a thinner bar above shows the first clip."""
    return str(_HTML.bars(_rows(probabilities, before), before is not None))


def _rows(probabilities: Mapping[str, float], before: Mapping[str, float] | None) -> list[dict[str, Any]]:
    top = max(probabilities, key=lambda label: probabilities[label])
    first = before or {}
    return [
        {
            "label": label,
            "is_top": label == top,
            "colour": palette.emotion(label),
            "width": f"{probability:.1%}",
            "before": f"{first.get(label, 0.0):.1%}",
            "text": ("" if before is None else f"{100 * first.get(label, 0.0):.0f} → ") + percent(probability),
        }
        for label, probability in probabilities.items()
    ]


def score(card: ModelCard) -> str:
    """Return the model's own figure and what it was measured on, such as 'UAR 49 % (45 to 53 %) on unseen speakers. RAVDESS, …'."""
    if card.evaluation is None:
        return "Not evaluated: how often it is right is unknown."
    return _score(card.evaluation)


def _score(figures: Evaluation) -> str:
    low, high = figures.interval["uar"]
    tested = TESTED.get(figures.protocol, "clips that were held out")
    corpus = _corpus(figures.corpus)
    n = figures.n_test_speakers
    return (
        f"UAR {percent(figures.uar)} ({100 * low:.0f} to {percent(high)}) on {tested}. {corpus}, {n} speaker{'s' * (n != 1)}, "
        f"protocol “{figures.protocol}”; random guessing: {100 * figures.chance:.3g} %."
    )


def error_rate_table(cards: Sequence[ModelCard]) -> str:
    """Return how often the shipped models are wrong on unseen speakers, in %, as an HTML table: one row per corpus."""
    shown = [card for card in cards if card.slug in store.SHIPPED]
    by_corpus = [dict(_unseen(card)) for card in shown]
    rows = []
    for name in dict.fromkeys(name for measured in by_corpus for name in measured):
        known = next(measured[name] for measured in by_corpus if name in measured)
        rows.append(
            {
                "corpus": _corpus(name),
                "text": f"{known.n_clips:,} clips, {known.n_test_speakers} speakers; random guessing: {percent(1 - known.chance)}",
                "cells": [
                    percent(1 - measured[name].accuracy) if name in measured else "not tested" for measured in by_corpus
                ],
            }
        )
    return str(_HTML.error_rates([card.title for card in shown], rows))


def error_rate_sentence(cards: Sequence[ModelCard]) -> str:
    """Return how often the shipped models are wrong on unseen speakers, from the best to the worst corpus, as part of a sentence; or ''."""
    wrong = [1 - figures.accuracy for card in cards if card.slug in store.SHIPPED for _, figures in _unseen(card)]
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


def verdict(
    answers: Sequence[Answer], before: Sequence[Answer] = (), *, words: tuple[str, str] = BEFORE_AND_NOW
) -> str:
    """Return at a glance how far the models agree: a coloured square per model, and a sentence; also for the first clip."""
    return str(_HTML.verdict(_verdict(answers, before, words)))


def _verdict(answers: Sequence[Answer], before: Sequence[Answer], words: tuple[str, str]) -> list[dict[str, Any]]:
    first, second = words
    lines = [(f"{first}: ", before), (f"{second}: ", answers)] if before else [("", answers)]
    shown = []
    for word, each in lines:
        labels, n_unsure = _labels(each)
        colours = [palette.emotion(label) for label in sorted(labels)]
        shown.append({"colours": colours, "n_unsure": n_unsure, "text": word + agreement(labels, n_unsure)})
    return shown


def _labels(answers: Sequence[Answer]) -> tuple[list[str], int]:
    """Return the labels of the models that are sure, and how many models are not."""
    predictions = [answer.prediction for answer in answers if answer.prediction]
    sure = [each.label for each in predictions if each.sure is not False]
    return sure, len(predictions) - len(sure)


def unsure(answers: Sequence[Answer], *wholes: Together | None) -> bool:
    """Return whether some model is not sure, or all together."""
    return _labels(answers)[1] > 0 or any(
        each is not None and each.prediction is not None and each.prediction.sure is False for each in wholes
    )


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
