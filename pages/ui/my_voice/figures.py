"""What the takes of a voice say of the models, as figures, sentences and HTML. No Streamlit."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
import pandas as pd

from pages.ui import voice
from pages.ui.charts import palette
from ser_core.corpora import catalogue
from ser_core.dataset import exploration
from ser_core.experiments.answers import MODEL, Answers
from ser_core.metrics import evaluation
from ser_core.recognition import store, together
from ser_core.recognition.recognizer import Prediction
from ser_core.system import untrusted_text

FEW = 30
"""Below this many answers to takes of a label, what they confuse is one speaker's minute, not a rule."""


def lead(columns: Sequence[str]) -> str:
    """Return the model that the page's sentence is about: all together, else the most accurate shipped one that is there."""
    return next((each for each in (together.NAME, *reversed(store.SHIPPED)) if each in columns), columns[0])


def by_model(predictions: Sequence[Prediction]) -> dict[str, str]:
    """Return the leading label of each model."""
    return {each.model: each.label for each in predictions}


def n_right(labels: Sequence[str], answers: Sequence[Mapping[str, str]], column: str) -> tuple[int, int]:
    """Return how many takes a model answers right, and how many it answers. answers: of each take, model -> label."""
    said = [(label, each[column]) for label, each in zip(labels, answers, strict=True) if column in each]
    return sum(label == answer for label, answer in said), len(said)


def right_of(right: int, n: int) -> str:
    """Return '5 of 8 (31 to 86 %)': with the interval of 95 %."""
    if not n:
        return "none answered"
    low, high = evaluation.wilson(right / n, n)
    return f"{right} of {n} ({100 * low:.0f} to {100 * high:.0f} %)"


def verdict(title: str, before: int, after: int, n: int) -> str:
    """Return in a sentence whether adaptation helped one model on the takes of the second round."""
    said = (
        f"{title} is right on {right_of(before, n)} of the takes without your voice, and on {right_of(after, n)} with it. "
        "In brackets: where the true share lies, 19 times of 20."
    )
    if after > before:
        return f"**The adaptation helped here.** {said} So few takes cannot tell a small gain from chance."
    if after == before:
        return f"**The adaptation did not help here.** {said} Record more takes, or switch it off."
    return f"**The adaptation made it worse here.** {said} Switch it off, or record the first round again."


def before_and_after(
    titles: Mapping[str, str],
    labels: Sequence[str],
    before: Sequence[Mapping[str, str]],
    after: Sequence[Mapping[str, str]],
) -> str:
    """Return how many test takes each model answers right without and with the voice, as an HTML table."""
    rows = "".join(
        f'<tr><th scope="row">{_text(title)}</th><td>{right_of(*n_right(labels, before, slug))}</td>'
        f"<td>{right_of(*n_right(labels, after, slug))}</td></tr>"
        for slug, title in titles.items()
    )
    return _table(
        "Right answers on the test takes",
        f'<tr><th scope="col">Model</th><th scope="col">Before</th><th scope="col">After</th></tr>{rows}',
    )


def answers_table(
    titles: Mapping[str, str],
    rows: Sequence[tuple[str, Mapping[str, str], Mapping[str, str] | None]],
) -> str:
    """Return what each model answers to each take, as an HTML table. rows: acted label, answers, and those with the voice or None."""
    head = "".join(f'<th scope="col">{_text(title)}</th>' for title in titles.values())
    body = "".join(
        f'<tr><th scope="row">{_text(label)}{"" if after is None else "<small>test</small>"}</th>'
        + "".join(f"<td>{_cell(label, before.get(slug), (after or {}).get(slug))}</td>" for slug in titles)
        + "</tr>"
        for label, before, after in rows
    )
    return _table("Takes and answers", f'<tr><th scope="col">Acted</th>{head}</tr>{body}')


def _cell(label: str, before: str | None, after: str | None) -> str:
    if before is None:
        return ""
    changed = f" → {_answer(label, after)}" if after is not None and after != before else ""
    return f"<span>{_answer(label, before)}{changed}</span>"


def _answer(label: str, answer: str) -> str:
    return f"{'✓' if answer == label else '✗'} {_text(answer)}"


def _table(name: str, rows: str) -> str:
    # It may be wider than a phone: who has a keyboard alone scrolls it once it has the focus.
    return (
        f'<div class="ser-wide" role="region" tabindex="0" aria-label="{escape(name)}">'
        f'<table class="ser-table ser-compare ser-answers">{rows}</table></div>'
    )


def _text(text: str) -> str:
    return escape(untrusted_text.sentence(text))


def confusion(labels: Sequence[str], answers: Sequence[Mapping[str, str]]) -> tuple[list[str], list[list[int]]]:
    """Return the labels that were acted or answered, and how often each was answered (columns) where each was acted (rows)."""
    counts = Counter((label, said) for label, each in zip(labels, answers, strict=True) for said in each.values())
    names = [name for name in palette.EMOTIONS if any(name in pair for pair in counts)]
    return names, [[counts[acted, said] for said in names] for acted in names]


def answer_rows(
    takes: Sequence[voice.TakeClip], answers: Sequence[Mapping[str, str]], titles: Mapping[str, str]
) -> tuple[list[int], Answers]:
    """Return the answers that `confusion` counts, a row a take and model, and the place of each row's take. titles: of the models."""
    found = [
        (place, each)
        for place, (take, counted) in enumerate(zip(takes, answers, strict=True))
        for each in take.predictions
        if each.model in counted
    ]
    labels = tuple(name for name in palette.EMOTIONS if any(name in each.probabilities for _, each in found))
    clips = pd.DataFrame(
        {
            catalogue.NAME: [take_name(place) for place, _ in found],
            MODEL: [titles.get(each.model, each.model) for _, each in found],
            catalogue.EMOTION: [takes[place].label for place, _ in found],
        }
    )
    probabilities = np.array([[each.probabilities.get(label, 0.0) for label in labels] for _, each in found])
    answered = np.array([labels.index(each.label) for _, each in found])
    return [place for place, _ in found], Answers(clips, labels, answered, probabilities)


def take_name(place: int) -> str:
    """Return what a take is called, by its place among all takes."""
    return f"take {place + 1}"


def confused(labels: Sequence[str], answers: Sequence[Mapping[str, str]]) -> str:
    """Return which emotions the models confuse in these takes, as a sentence."""
    acted = Counter(dict.fromkeys(labels, 0))
    wrong: Counter[tuple[str, str]] = Counter()
    for label, each in zip(labels, answers, strict=True):
        acted[label] += len(each)
        wrong.update((label, said) for said in each.values() if said != label)
    if not wrong:
        return "No model confuses any emotions in these takes."
    worst = sorted(wrong.items(), key=lambda each: (-each[1] / acted[each[0][0]], -each[1]))[:2]
    parts = [f"**{label}** is taken for **{said}** in {n} of {acted[label]} answers" for (label, said), n in worst]
    return f"What the models confuse most in this voice: {', and '.join(parts)}."


def traits(takes: Sequence[voice.TakeClip]) -> dict[str, float]:
    """Return pitch, range, level and rate of a voice: the median over its takes; those that could be measured."""
    found = {}
    for name in exploration.VOICE:
        values = sorted(each.traits[name] for each in takes if math.isfinite(each.traits.get(name, math.nan)))
        if values:
            found[name] = (values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2
    return found


def traits_table(values: Mapping[str, float], standing: Mapping[str, Mapping[str, float]]) -> str:
    """Return pitch, range, level and rate, and where they stand among the clips of corpora (title -> figure -> share below), as HTML."""
    head = "".join(f'<th scope="col">{_text(title)}</th>' for title in standing)
    rows = "".join(
        f'<tr><th scope="row">{escape(exploration.TRENDS[name].title)}</th>'
        f"<td><span>{value:.{0 if exploration.TRENDS[name].log else 1}f} {escape(exploration.TRENDS[name].unit)}</span></td>"
        + "".join(f"<td>{_above(each.get(name, math.nan))}</td>" for each in standing.values())
        + "</tr>"
        for name, value in values.items()
    )
    return _table(
        "Your voice in figures", f'<tr><th scope="col">Figure</th><th scope="col">Yours</th>{head}</tr>{rows}'
    )


def _above(share: float) -> str:
    return f"above {100 * share:.0f} %" if math.isfinite(share) else ""
