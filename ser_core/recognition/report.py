"""A model's card as one page to read and to print: HTML that stands alone, with its figures inside, made from card.json.

Cards may be a stranger's: whatever comes from one is escaped, and what is not as it should be is left out. Compare, Train and
`python -m ser_core card` hand the page over; its figures are drawn by svg.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from ser_core import classifiers
from ser_core.audio import degradations
from ser_core.corpora import catalogue
from ser_core.dataset import protocols, splits
from ser_core.metrics import abstention
from ser_core.metrics.evaluation import Evaluation
from ser_core.recognition import svg
from ser_core.recognition.card import ModelCard

MAX_LABELS = 16
"""Labels of a confusion matrix that fit on a page."""

CHANCE, PEOPLE = "chance", "people"

STYLE, SCRIPT = (Path(__file__).with_suffix(ending).read_text(encoding="utf-8") for ending in (".css", ".js"))


def file_name(card: ModelCard) -> str:
    """Return a name for the page as a file."""
    return f"{card.slug}-card.html"


def html(card: ModelCard) -> str:
    """Return the page of a model, for A4: what it is, what it was measured on and how well it did, its limits, and how to use it."""
    spec = classifiers.CLASSIFIERS.get(card.classifier)
    kind = spec.title if spec else card.classifier
    made = f"{kind} · {card.n_parameters:,} parameters · made {card.created[:10]}"
    described = f'<p class="lead">{escape(card.description)}</p>' if card.description else ""
    labels = ", ".join(map(str, card.labels))
    body = "".join(
        [
            f"<header><p class=small>Result card of a speech emotion model</p><h1>{escape(card.title)}</h1>",
            f"<p class=lead>{escape(made)} · <code>{escape(card.slug)}</code></p>",
            f"<p class=lead>Given a few seconds of speech, it gives each of these labels a probability: {escape(labels)}.</p>",
            f"{described}</header>",
            _results(card),
            _data(card),
            _use(card),
            _made_of(card),
        ]
    )
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(card.title)}: result card</title><style>{STYLE}</style></head>"
        f'<body id="{escape(card.slug)}">{body}'
        f"<footer><small>All figures are from the card that is kept with the model ({escape(card.created)}). To print or to save as PDF: "
        f"Ctrl+P or ⌘P.</small></footer><script>{SCRIPT}</script></body></html>\n"
    )


def _results(card: ModelCard) -> str:
    figures = card.evaluation
    if figures is None:
        return "<h2>How often it is right</h2><p class=caution>It was not evaluated: nobody knows how often it is right.</p>"
    row = protocols.PROTOCOLS.get(figures.protocol)
    worth = row.worth if row else splits.PROTOCOLS.get(figures.protocol, "")
    held_out = f"held out: {row.held_out}" if row else "clips that were held out"
    low, high = figures.interval["uar"]
    facts = (
        (
            f"{100 * figures.uar:.1f} %",
            f"UAR, the mean recall over labels; 95 % interval {100 * low:.1f} to {100 * high:.1f} %",
        ),
        (f"{100 * figures.accuracy:.1f} %", _beside(figures)),
        (f"{100 * figures.chance:.1f} %", "is what guessing reaches"),
        (f"{figures.n_clips:,}", f"clips of {_speakers(figures.n_test_speakers)}, on {_title(figures.corpus)}"),
    )
    parts = [
        '<div class="figures">',
        *(f"<div><b>{value}</b><small>{escape(told)}</small></div>" for value, told in facts),
        "</div>",
        f"<p><b>Protocol “{escape(figures.protocol)}”</b>, {escape(held_out)}. {escape(worth)} "
        "Figures of different protocols are not to be compared.</p>",
        _by_corpus(card),
        _confusion(figures),
        _sureness(card, figures),
    ]
    return "".join(parts)


def _beside(figures: Evaluation) -> str:
    human = _human(figures)
    return "accuracy, the share of clips that is right" + (
        f"; people reach {100 * human:.1f} %" if human is not None else ""
    )


def _human(figures: Evaluation) -> float | None:
    if figures.human is not None:
        return figures.human
    return catalogue.CORPORA[figures.corpus].human_accuracy if figures.corpus in catalogue.CORPORA else None


def _by_corpus(card: ModelCard) -> str:
    measured = [(_title(name), each) for name, each in card.per_corpus.items()]
    if card.evaluation and card.evaluation.corpus not in card.per_corpus:
        measured.insert(0, (_title(card.evaluation.corpus), card.evaluation))
    measured += [(f"{_title(name)}, unheard", each) for name, each in card.unheard.items()]
    bars = []
    for name, each in measured:
        human = _human(each)
        bars.append(svg.Bar(name, each.uar, *each.interval["uar"], marks={CHANCE: each.chance}))
        people = {} if human is None else {PEOPLE: human}
        bars.append(svg.Bar("accuracy", each.accuracy, *each.interval["accuracy"], marks=people, pale=True))
    told = "; ".join(
        f"{name}: UAR {100 * each.uar:.0f} %, accuracy {100 * each.accuracy:.0f} %" for name, each in measured
    )
    dotted = (
        "; the dotted line is what people reach who only heard the clips"
        if any(PEOPLE in bar.marks for bar in bars)
        else ""
    )
    rows = [
        [
            name,
            each.protocol,
            _share(each.uar, each.interval["uar"]),
            _share(each.accuracy, each.interval["accuracy"]),
            f"{100 * each.macro_f1:.1f}",
            f"{100 * each.ece:.1f}",
            f"{100 * each.chance:.1f}",
            f"{each.n_clips:,}",
            str(each.n_test_speakers),
        ]
        for name, each in measured
    ]
    over = " or ".join(sorted({each.interval_over for _, each in measured}))
    unheard = (
        " Unheard: trained anew on the other corpora alone, with the labels that all of them have."
        if card.unheard
        else ""
    )
    head = ("Corpus", "Protocol", "UAR (95 %)", "Accuracy (95 %)", "F1", "ECE", "Chance", "Clips", "Speakers")
    return (
        "<h2>How often it is right</h2>"
        + _figure(
            "scores",
            svg.bars(bars, told=told),
            f"Dark: UAR; pale: accuracy; thin lines: 95 % intervals over {over}; the dashed line is guessing{dotted}.",
        )
        + f'<div class="scroll">{_table(head, rows)}</div><p class=small>In %, but for clips and speakers. F1: mean over labels. ECE: '
        f"how far its probabilities are from how often it is right, on average.{unheard}</p>{_under(card.evaluation)}"
    )


def _under(figures: Evaluation | None) -> str:
    """Return what is left of the accuracy under worse conditions, as a sentence; "" where that was not measured."""
    if figures is None or not figures.under:
        return ""
    told = ", ".join(
        f"{degradations.describe(name)} {100 * accuracy:.0f} %" for name, accuracy in figures.under.items()
    )
    return (
        f"<p>Under worse conditions: of the {figures.n_clips:,} clips of {escape(_title(figures.corpus))}, "
        f"{100 * figures.accuracy:.0f} % are right as recorded, and by the same trainings {escape(told)}.</p>"
    )


def _confusion(figures: Evaluation) -> str:
    counts = figures.confusion
    used = [n for n in range(len(figures.labels)) if sum(counts[n]) or sum(row[n] for row in counts)]
    shown = used[:MAX_LABELS]
    names = [figures.labels[n] for n in shown]
    table = [[counts[row][column] for column in shown] for row in shown]
    rows = [
        [
            label,
            *(f"{100 * each[name]:.0f}" for name in ("recall", "precision", "f1")),
            *_auc(figures, label),
            f"{int(each['n']):,}",
        ]
        for label, each in figures.per_label.items()
    ]
    head = ("Label", "Recall", "Precision", "F1", *(["AUC"] if figures.curves else []), "Clips")
    told = f"Confusion matrix: {100 * figures.accuracy:.0f} % of {figures.n_clips} clips right."
    where = f"{_title(figures.corpus)}: each row in % of the clips acted so{'' if len(shown) == len(used) else '; only the first labels'}"
    return (
        '<section><h2>What it takes for what</h2><div class="two">'
        + _figure("confusion", svg.matrix(names, table, told=told), f"{where}. On the diagonal it is right.")
        + f"<div>{_table(head, rows)}<p class=small>Recall: of the clips acted so, the share found, in %. Precision: of its answers, the "
        "share that is right. Labels that were not tested are left out.</p></div></div></section>"
    )


def _auc(figures: Evaluation, label: str) -> list[str]:
    if figures.curves is None:
        return []
    area = figures.curves.auc.get(label)
    return ["" if area is None else f"{area:.2f}"]


def _sureness(card: ModelCard, figures: Evaluation) -> str:
    curves = figures.curves
    parts = []
    if curves is not None:
        parts.append(
            _figure(
                "reliability",
                svg.curve(
                    [(sure, right) for _, sure, right in curves.reliability],
                    x="How sure, %",
                    y="How often right, %",
                    diagonal=True,
                    told=f"Reliability diagram; calibration error {100 * figures.ece:.1f} %",
                ),
                f"On the dashed line a probability means what it says. Calibration error (ECE): {100 * figures.ece:.1f} %.",
            )
        )
    if curves is not None and curves.aurc is not None:
        counts = figures.sure or {"answered": 0, "right": 0}
        n = counts["answered"]
        parts.append(
            _figure(
                "risk",
                svg.curve(
                    curves.risk,
                    x="Clips answered, the surest first, %",
                    y="Answers wrong, %",
                    told=f"Risk-coverage curve; area {curves.aurc:.3f}",
                    mark=(n / figures.n_clips, 1 - counts["right"] / n) if n else None,
                ),
                f"The less it answers, the less often it is wrong; area {curves.aurc:.3f}"
                + ("; the ring: its threshold." if n else "."),
            )
        )
    parts.append(f"<div>{_threshold(card, figures)}</div>")
    return f'<section><h2>How sure it is</h2><div class="{"three" if len(parts) == 3 else ""}">{"".join(parts)}</div></section>'


def _threshold(card: ModelCard, figures: Evaluation) -> str:
    if card.threshold is None:
        return "<p>It has no threshold below which it would say “not sure”: it answers always.</p>"
    cost = ""
    if figures.sure and figures.sure["answered"]:
        n = figures.sure["answered"]
        cost = (
            f" On {_title(figures.corpus)} it answers {100 * n / figures.n_clips:.0f} % of the clips, and "
            f"{100 * figures.sure['right'] / n:.0f} % of these answers are right (of all: {100 * figures.accuracy:.0f} %)."
        )
    return (
        f"<p>Below a probability of <b>{100 * card.threshold:.0f} %</b> it says “not sure”.{escape(cost)}</p>"
        f"<p class=small>{escape(abstention.ABSTENTION_RULE)}</p>"
    )


def _data(card: ModelCard) -> str:
    rows = [
        [
            str(each.get("title") or each.get("corpus") or ""),
            _count(each.get("n_clips")),
            _count(each.get("n_speakers")),
            str(each.get("licence") or "unknown"),
            str(each.get("citation") or ""),
        ]
        for each in card.corpora
        if isinstance(each, dict)
    ]
    head = ("Corpus", "Clips", "Speakers", "Licence", "Source")
    table = f'<div class="scroll">{_table(head, rows, words=True)}</div>' if rows else "<p>Its card does not say.</p>"
    parts = ["<h2>What it was trained on</h2>", table]
    told = []
    for part, words in (
        (splits.TRAIN, "trained on"),
        (splits.VALIDATION, "chose when to stop and the temperature"),
        (splits.TEST, "tested"),
    ):
        entry = card.split.get(part)
        speakers = entry.get("speakers") if isinstance(entry, dict) else None
        if isinstance(speakers, list) and speakers:
            told.append(f"{words}: {_speakers(len(speakers))}")
    if told:
        parts.append(f"<p class=small>Of the weights that are kept. {escape('; '.join(told).capitalize())}.</p>")
    parts.append(f"<p class=small>How it was measured. {escape(card.protocol)}</p>")
    return "".join(parts)


def _use(card: ModelCard) -> str:
    return (
        f"<section><h2>Limits and licence</h2><p class=caution>{escape(card.limits)}</p><p>{escape(card.licence)}</p></section>"
        "<section><h2>How to use it</h2>"
        f"<pre><code>python -m ser_core predict clip.wav --model {escape(card.slug)} --json</code></pre>"
        "<p>A probability is no certainty: read it beside the figures above, which hold for clips like the tested ones and no others.</p>"
        "</section>"
    )


def _made_of(card: ModelCard) -> str:
    training: dict[str, Any] = {
        name: card.training[name]
        for name in ("n_copies", "strength", "speaker_cap", "validation_share", "balance", "start_from", "seed")
        if name in card.training
    }
    rows = [
        ("Hears", f"{card.features.sample_rate:,} Hz, {card.features.n_mels} mel bands, {card.features.n_mfcc} MFCCs"),
        ("Hyperparameters", _pairs(card.hyperparameters)),
        ("Training", _pairs(training)),
        ("Temperature", f"{card.temperature:.3g}"),
        ("Made with", _pairs(card.versions)),
        ("Files (SHA-256)", _pairs(card.files)),
    ]
    body = "".join(f"<tr><th>{escape(name)}</th><td>{escape(told)}</td></tr>" for name, told in rows if told)
    return f'<section><h2>What it is made of</h2><table class="words facts">{body}</table></section>'


def _figure(name: str, drawing: str, caption: str) -> str:
    button = '<button type="button" title="Save this figure as PNG">PNG</button>'
    return f'<figure id="{name}">{drawing}<figcaption><span>{escape(caption)}</span>{button}</figcaption></figure>'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, words: bool = False) -> str:
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table{' class=words' if words else ''}><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _share(value: float, bounds: tuple[float, float]) -> str:
    return f"{100 * value:.1f} ({100 * bounds[0]:.1f} to {100 * bounds[1]:.1f})"


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items() if value not in ("", None))


def _count(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else "?"


def _speakers(n: int) -> str:
    return f"{n:,} speaker{'s' * (n != 1)}"


def _title(corpus: str) -> str:
    return catalogue.CORPORA[corpus].title if corpus in catalogue.CORPORA else corpus
