"""A model's card as one page to read and to print: HTML that stands alone, with its figures inside, made from card.json.

report.html.j2 is its template, and svg.py draws its figures. Cards may be untrusted: the template escapes whatever comes from one. The
pages Compare and Train and `python -m ser_core card` offer it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from ser_core import classifiers
from ser_core.audio import degradations
from ser_core.corpora import catalogue
from ser_core.dataset import protocols, splits
from ser_core.metrics import abstention
from ser_core.metrics.curves import Curves
from ser_core.metrics.evaluation import Evaluation
from ser_core.recognition import svg
from ser_core.recognition.card import ModelCard
from ser_core.system import templates

MAX_LABELS = 16
"""Labels of a confusion matrix that fit on a page."""

CHANCE, PEOPLE = "chance", "people"

STYLE, SCRIPT = (Path(__file__).with_suffix(ending).read_text(encoding="utf-8") for ending in (".css", ".js"))
_PAGE = templates.load(Path(__file__).with_suffix(".html.j2"))


def file_name(card: ModelCard) -> str:
    """Return a name for the page as a file."""
    return f"{card.slug}-card.html"


def html(card: ModelCard) -> str:
    """Return the page of a model, for A4: what it is, what it was measured on and how well it did, its limits, and how to use it."""
    spec = classifiers.CLASSIFIERS.get(card.classifier)
    return _PAGE.render(
        card=card,
        kind=spec.title if spec else card.classifier,
        results=_results(card, card.evaluation) if card.evaluation else None,
        rule=abstention.ABSTENTION_RULE,
        corpora=[each for each in card.corpora if isinstance(each, dict)],
        count=_count,
        parts=_parts(card),
        facts=_facts(card),
        style=Markup(STYLE),
        script=Markup(SCRIPT),
    )


def _results(card: ModelCard, figures: Evaluation) -> dict[str, Any]:
    """Return the drawings and words about a model's held-out figures."""
    row = protocols.PROTOCOLS.get(figures.protocol)
    by_corpus = [(_title(name), each) for name, each in card.per_corpus.items()]
    if figures.corpus not in card.per_corpus:
        by_corpus.insert(0, (_title(figures.corpus), figures))
    by_corpus += [(f"{_title(name)}, unseen corpus", each) for name, each in card.unheard.items()]
    used = [
        n for n in range(len(figures.labels)) if sum(figures.confusion[n]) or sum(each[n] for each in figures.confusion)
    ]
    curves, answered = figures.curves, (figures.sure or {}).get("answered", 0)
    return {
        "corpus": _title(figures.corpus),
        "human": _human(figures),
        "held_out": f"held out: {row.held_out}" if row else "on held-out clips",
        "worth": row.worth if row else splits.PROTOCOLS.get(figures.protocol, ""),
        "measured": by_corpus,
        "caveats": list(
            dict.fromkeys(filter(None, (protocols.caveat(each.corpus, each.protocol) for _, each in by_corpus)))
        ),
        "scores": Markup(_scores(by_corpus)),
        "has_human": any(_human(each) is not None for _, each in by_corpus),
        "under": [(degradations.describe(name), accuracy) for name, accuracy in (figures.under or {}).items()],
        "confusion": Markup(_confusion(figures, used[:MAX_LABELS])),
        "is_cut": len(used) > MAX_LABELS,
        "answered": answered,
        "reliability": Markup(_reliability(figures, curves)) if curves else "",
        "risk": Markup(_risk(figures, curves, answered)) if curves and curves.aurc is not None else "",
    }


def _human(figures: Evaluation) -> float | None:
    return catalogue.human_accuracy(figures.corpus) if figures.human is None else figures.human


def _scores(by_corpus: Sequence[tuple[str, Evaluation]]) -> str:
    bars = []
    for name, each in by_corpus:
        human = _human(each)
        bars.append(svg.Bar(name, each.uar, *each.interval["uar"], marks={CHANCE: each.chance}))
        people = {} if human is None else {PEOPLE: human}
        bars.append(svg.Bar("accuracy", each.accuracy, *each.interval["accuracy"], marks=people, pale=True))
    text = "; ".join(
        f"{name}: UAR {100 * each.uar:.0f} %, accuracy {100 * each.accuracy:.0f} %" for name, each in by_corpus
    )
    return svg.bars(bars, label=text)


def _confusion(figures: Evaluation, shown: Sequence[int]) -> str:
    counts = [[figures.confusion[row][column] for column in shown] for row in shown]
    text = f"Confusion matrix: {100 * figures.accuracy:.0f} % of {figures.n_clips} clips right."
    return svg.matrix([figures.labels[n] for n in shown], counts, label=text)


def _reliability(figures: Evaluation, curves: Curves) -> str:
    return svg.curve(
        [(probability, right) for _, probability, right in curves.reliability],
        x="Probability, %",
        y="Accuracy, %",
        diagonal=True,
        label=f"Reliability diagram; calibration error {100 * figures.ece:.1f} %",
    )


def _risk(figures: Evaluation, curves: Curves, answered: int) -> str:
    right = (figures.sure or {}).get("right", 0)
    return svg.curve(
        curves.risk,
        x="Clips answered, the most probable first, %",
        y="Wrong answers, %",
        label=f"Risk-coverage curve; area {curves.aurc:.3f}",
        mark=(answered / figures.n_clips, 1 - right / answered) if answered else None,
    )


def _parts(card: ModelCard) -> list[tuple[str, int]]:
    """Return how many speakers each part of the split has, of those that the card lists."""
    parts = []
    for part, name in ((splits.TRAIN, "Training"), (splits.VALIDATION, "validation"), (splits.TEST, "test")):
        entry = card.split.get(part)
        speakers = entry.get("speakers") if isinstance(entry, dict) else None
        if isinstance(speakers, list) and speakers:
            parts.append((name, len(speakers)))
    return parts


def _facts(card: ModelCard) -> dict[str, str]:
    names = ("n_copies", "strength", "speaker_cap", "corpus_cap", "validation_share", "balance", "start_from", "seed")
    features = card.features
    return {
        "Features": f"{features.sample_rate:,} Hz, {features.n_mels} mel bands, {features.n_mfcc} MFCCs",
        "Hyperparameters": _pairs(card.hyperparameters),
        "Training": _pairs({name: card.training[name] for name in names if name in card.training}),
        "Temperature": f"{card.temperature:.3g}",
        "Versions": _pairs(card.versions),
        "Files (SHA-256)": _pairs(card.files),
    }


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items() if value not in ("", None))


def _count(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else "?"


def _title(corpus: str) -> str:
    return catalogue.CORPORA[corpus].title if corpus in catalogue.CORPORA else corpus
