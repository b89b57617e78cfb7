"""Why models answer as they do about a clip, as one page to print or to send: HTML that stands alone, with its figures inside.

clip.html.j2 is its template, which escapes whatever comes from a file's name or a card. `python -m ser_core explain --html` and the page
Recognize offer it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from ser_core.corpora import catalogue
from ser_core.explanation import figures
from ser_core.explanation.service import Explanation
from ser_core.recognition import report
from ser_core.recognition.analysis import Analysis
from ser_core.recognition.recognizer import Prediction
from ser_core.system import templates

_PAGE = templates.load(Path(__file__).with_name("clip.html.j2"))

CAUTION = (
    "A probability is not certainty. An explanation is of the model, not of the person: it says what the model went by, right or wrong. "
    "Acted speech is not everyday speech: do not assess people with it."
)


@dataclass(frozen=True)
class Part:
    """A model's part of the page: its title and explanation, or the sentence why there is none, and its drawings."""

    title: str
    found: Explanation | None
    problem: str = ""
    map: str = ""
    curve: str = ""
    groups: str = ""
    cloud: str = ""


def html(
    name: str,
    heard: Analysis,
    predictions: Sequence[Prediction],
    explanations: Mapping[str, Explanation | str],
    titles: Mapping[str, str],
) -> str:
    """Return the page of a clip. name: of its file; explanations: by slug, a sentence where there is none; titles: by slug."""
    corpora = {key: spec.title for key, spec in catalogue.CORPORA.items()}
    return _PAGE.render(
        name=name,
        quality=heard.quality,
        answers=[(titles.get(each.model, each.model), each) for each in predictions],
        parts=[_part(titles.get(slug, slug), each, heard) for slug, each in explanations.items()],
        corpora=corpora,
        caution=CAUTION,
        style=Markup(report.STYLE),
    )


def _part(title: str, found: Explanation | str, heard: Analysis) -> Part:
    if isinstance(found, str):
        return Part(title, None, found)
    return Part(
        title,
        found,
        map=Markup(figures.map_over_mel(found.occlusion, heard.features)) if found.occlusion else "",
        curve=Markup(figures.deletion(found.occlusion.deletion, found.label)) if found.occlusion else "",
        groups=Markup(figures.groups(found.measures)) if found.measures else "",
        cloud=Markup(figures.neighbourhood(found.neighbours)) if found.neighbours else "",
    )
