"""What the models answered, as small pieces of HTML, and what they say together, as a sentence. Pure functions.

Streamlit has no bars with a fixed order, a word and a figure each that stay readable on a phone; a list does it, and a
screen reader reads it as it stands. Everything that comes from a card or a prediction is escaped: models can be strangers'.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape

from pages.ui import palette
from pages.ui.cached import Answer
from ser_core import corpora
from ser_core.store import ModelCard

TESTED = {
    "speaker": "unseen speakers", "sentence": "unseen sentences of known speakers", "random": "other clips of known speakers",
    "cross-corpus": "an unseen corpus",
}  # fmt: skip
"""Protocol -> what a figure was measured on."""


def grid(answers: Sequence[Answer], before: Sequence[Answer] = ()) -> str:
    """Return one card an answer, side by side where they fit, else one below the other.

    `before` holds the answers of the clip put aside, of the same models, or nothing.
    """
    cards = [card(answer, before[i] if before else None) for i, answer in enumerate(answers)]
    return f'<div class="ser-grid">{"".join(cards)}</div>'


def card(answer: Answer, before: Answer | None = None) -> str:
    """Return what one model says, or why it cannot, with its own score beside it."""
    now, past = answer.prediction, before.prediction if before else None
    if now is None:
        parts = [_heading(answer.card.title, ""), f'<p class="ser-problem">{escape(answer.problem)}</p>']
    else:
        parts = [
            _heading(answer.card.title, f"{now.milliseconds:.1f} ms"),
            _label(now.label, now.probabilities[now.label], past.label if past else None),
            bars(now.probabilities, before=past.probabilities if past else None),
        ]
    parts.append(f'<p class="ser-small">{escape(score(answer.card))}<br>{answer.card.n_parameters:,} parameters</p>')
    return f"<section>{''.join(parts)}</section>"


def _heading(title: str, time: str) -> str:
    return f'<div class="ser-head"><b>{escape(title)}</b><span class="ser-small">{time}</span></div>'


def _label(label: str, probability: float, before: str | None) -> str:
    past = "" if before is None else f'<p class="ser-small">Before: {escape(before)}</p>'
    return (
        f'<div><div class="ser-label"><i style="background:{palette.emotion(label)}"></i><span>{escape(label)}</span>'
        f"<small>{percent(probability)}</small></div>{past}</div>"
    )


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
        rows.append(f'<li{chosen}><span>{escape(label)}</span><span class="ser-track">{fills}</span><span>{value}</span></li>')
    paired = " ser-pair" if before is not None else ""
    return f'<ul class="ser-bars{paired}">{"".join(rows)}</ul>'


def score(card: ModelCard) -> str:
    """Return the model's own figure and what it was measured on, such as 'UAR 49 % (45 to 53 %) on unseen speakers. RAVDESS, …'."""
    figures = card.evaluation
    if figures is None:
        return "Not evaluated: nobody knows how often it is right."
    low, high = figures.interval["uar"]
    tested = TESTED.get(figures.protocol, "clips that were held out")
    corpus = corpora.CORPORA[figures.corpus].title if figures.corpus in corpora.CORPORA else figures.corpus.capitalize()
    n = figures.n_test_speakers
    return (
        f"UAR {percent(figures.uar)} ({100 * low:.0f} to {percent(high)}) on {tested}. {corpus}, {n} speaker{'s' * (n != 1)}, "
        f"protocol “{figures.protocol}”; guessing gives {100 * figures.chance:.3g} %."
    )


def percent(fraction: float) -> str:
    """Return 0.634 as '63 %'."""
    return f"{100 * fraction:.0f} %"


def verdict(answers: Sequence[Answer], before: Sequence[Answer] = ()) -> str:
    """Return at a glance how far the models agree: a coloured square a model, and a sentence; also for the clip put aside."""
    lines = [("Before: ", before), ("Now: ", answers)] if before else [("", answers)]
    return "".join(f'<p class="ser-verdict">{_squares(_labels(each))}<span>{word}{escape(agreement(_labels(each)))}</span></p>'
                   for word, each in lines)


def _squares(labels: Sequence[str]) -> str:
    squares = "".join(f'<i style="background:{palette.emotion(label)}"></i>' for label in sorted(labels))
    return f'<span class="ser-squares" aria-hidden="true">{squares}</span>'


def _labels(answers: Sequence[Answer]) -> list[str]:
    return [answer.prediction.label for answer in answers if answer.prediction]


def agreement(labels: Sequence[str]) -> str:
    """Return what the models say together: '3 of 4 models say angry.'; '' where none says anything."""
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


def _list(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}"
