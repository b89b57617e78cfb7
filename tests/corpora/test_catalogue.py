"""The facts of each corpus: every row is whole and agrees with what was published."""

import re
from pathlib import Path

import pytest

from ser_core.corpora import catalogue, scan


@pytest.mark.parametrize("name", catalogue.CORPORA)
def test_every_row_states_its_facts(name):
    spec = catalogue.CORPORA[name]
    assert set(spec.labels.values()) <= set(catalogue.ALL_LABELS)
    assert set(spec.speakers.values()) <= {"female", "male"}
    assert spec.title and spec.languages and spec.citation and spec.place
    assert spec.page.startswith("http")
    assert spec.pattern.fullmatch(Path(spec.example).stem)
    assert not spec.ages or set(spec.ages) == set(spec.speakers)
    assert all(14 < age < 100 for age in spec.ages.values())
    assert not spec.speakers_of or set(spec.speakers) <= set(catalogue.CORPORA[spec.speakers_of].speakers)
    for archive in spec.download:
        assert archive.url.startswith("https://") and archive.name in archive.url
        assert archive.size > 0 and re.fullmatch(r"md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}", archive.checksum)


def test_only_a_publication_that_states_no_licence_has_none():
    assert [name for name, spec in catalogue.CORPORA.items() if not spec.licence] == ["emovo"]


def test_sexes_are_counted_as_published():
    women = {name: list(spec.speakers.values()).count("female") for name, spec in catalogue.CORPORA.items()}
    assert women == {
        "ravdess": 12,
        "tess": 2,
        "savee": 0,
        "emodb": 5,
        "cremad": 43,
        "ravdess_song": 11,
        "emovo": 3,
        "urdu": 11,
        "nemo": 4,
        "cafe": 6,
    }


def test_synonyms_name_canonical_labels_only():
    assert set(catalogue.SYNONYMS.values()) == set(catalogue.ALL_LABELS)
    assert all(scan.label_of(word) == label for word, label in catalogue.SYNONYMS.items())
