"""The result card of a clip: all models' answers and reasons on one page, and nothing of a file's name that a browser would run."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest

from ser_core.explanation import report, service
from ser_core.recognition import analysis, store

ROOT = Path(__file__).resolve().parents[2]
SPEECH = (ROOT / "pages" / "samples" / "flat.flac").read_bytes()
SLUGS = ("knn", "cnn")


@pytest.fixture(scope="module")
def heard():
    return analysis.analyse(SPEECH)


@pytest.fixture(scope="module")
def page(heard) -> str:
    models = [store.load(slug, ROOT / "models") for slug in SLUGS]
    found = service.explain(heard.clip.waveform, [(slug, "a page") for slug in SLUGS], ROOT / "models")
    explained = dict(zip(SLUGS, found, strict=True)) | {"other": "It cannot be <i>asked</i>."}
    titles = {"knn": "KNN", "cnn": "<script>CNN</script>"}
    return report.html("<img src=x onerror=alert(1)>.wav", heard, analysis.recognize(models, heard), explained, titles)


class Tags(HTMLParser):
    """The tags of a page, and the attributes that each has."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_names_are_text_and_nothing_is_fetched_or_run(page):
    tags = Tags()
    tags.feed(page)
    assert not {"img", "script", "i", "link", "iframe"} & {tag for tag, _ in tags.found}
    assert "&lt;img src=x" in page and "&lt;script&gt;CNN" in page and "It cannot be &lt;i&gt;asked" in page
    links = [value for _, each in tags.found for name, value in each.items() if name in ("src", "href")]
    assert links and all(value and value.startswith("data:image/png;base64,") for value in links)


def test_it_has_the_answers_the_reasons_and_the_caution(page):
    assert "What the models predict" in page and "Why, by KNN" in page
    assert "The map holds" in page or "no better than chance" in page
    assert "training clips that are most alike" in page and "A probability is not certainty" in page
    assert page.count("<svg") == 4
