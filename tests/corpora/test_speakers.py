"""One key for all spellings of a speaker, and none for what states no speaker."""

from __future__ import annotations

import unicodedata

import pytest

from ser_core.corpora import speakers


@pytest.mark.parametrize(
    "spellings",
    [
        [
            "Anna",
            "anna",
            "ANNA",
            " anna ",
            "anna\t",
            "an\u200bna",
            "anna\ufeff",
            "\u00adanna",
            "\u202aanna\u202c",
            "ａｎｎａ",
        ],
        ["Anna Maria", "Anna  Maria", "anna\u00a0maria", "AnnaMaria", "Anna\u3000Maria", "anna maria\u2009"],
        ["Zoë", unicodedata.normalize("NFD", "Zoë"), "ZOË", unicodedata.normalize("NFD", "ZOË")],
        ["1", "01", "001", "1.0", "1,0", "1.00", "1.", " 1 ", "１"],
        ["0", "00", "0.0"],
        ["s1", "S01", "s 01", "S 1"],
        ["Straße", "STRASSE", "strasse"],
    ],
)
def test_spellings_of_one_speaker_share_a_key(spellings: list[str]) -> None:
    assert len({speakers.key(each) for each in spellings}) == 1 and speakers.key(spellings[0])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1", "10"),
        ("1 2", "12"),
        ("1.5", "15"),
        ("1.1", "1.01"),
        ("anna", "anne"),
        ("a-1", "a1"),
        ("s1", "s10"),
        ("Zoe", "Zoë"),
    ],
)
def test_different_names_have_different_keys(one: str, other: str) -> None:
    assert speakers.key(one) != speakers.key(other)


@pytest.mark.parametrize(
    "word",
    [
        "",
        " ",
        "\u200b",
        "unknown",
        "Unknown ",
        "N/A",
        "n/a",
        "#N/A",
        "none",
        "None",
        "NaN",
        "<NA>",
        "null",
        "-",
        "--",
        "—",
        "?",
    ],
)
def test_a_word_that_states_nobody_has_no_key(word: str) -> None:
    assert speakers.key(word) == ""


@pytest.mark.parametrize("name", ["NA", "Nan Li", "Non", "0", "X"])
def test_a_name_that_looks_like_such_a_word_stays_a_name(name: str) -> None:
    assert speakers.key(name)


def test_a_speaker_is_shown_by_the_most_frequent_spelling_and_the_first_on_a_tie() -> None:
    names = ["anna", "Anna", "Anna\u200b", "-", "BEN", "Ben", "x" * 50]
    assert speakers.joined(names, longest=20)[:6] == ["Anna", "Anna", "Anna", "", "BEN", "BEN"]
    assert len(speakers.joined(names, longest=20)[6]) == 20
    assert speakers.joined([], longest=20) == []


def test_a_speaker_of_a_corpus_is_the_same_in_every_spelling_and_another_in_another_corpus() -> None:
    assert speakers.identity("mine:Anna") == speakers.identity("mine: anna") != speakers.identity("yours:anna")
    assert speakers.identity("") == ""
