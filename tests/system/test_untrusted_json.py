import json
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from msgspec import Meta

from ser_core.system import untrusted_json


def test_what_is_written_is_read_again():
    values = {"a": [1, 2.5, None, True, "é😀"], "b": {"c": "\\ud800"}}
    assert untrusted_json.loads(json.dumps(values)) == values
    assert untrusted_json.loads(json.dumps(values).encode()) == values


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        (b"[" * 100_000, "nested too deeply"),
        ("[" * 60 + "]" * 60, "nested too deeply"),
        ("[1" + "0" * 400 + "]", "a number of 401 digits"),
        ('["\\ud800"]', "half a character"),
        ('{"\\uDCff": 1}', "half a character"),
        ('{"a": 1', "Expecting"),
        ("", "Expecting"),
    ],
)
def test_what_cannot_be_held_is_a_value_error(text, sentence):
    with pytest.raises(ValueError, match=sentence):
        untrusted_json.loads(text)


def test_two_halves_that_make_one_character_are_read():
    assert untrusted_json.loads('"\\ud83d\\ude00"') == "😀"


@dataclass(frozen=True, kw_only=True)
class Row:
    name: str
    share: Annotated[float, Meta(ge=0, le=1)]
    sizes: tuple[int, ...] = ()


def test_values_become_a_dataclass_and_values_again() -> None:
    row = untrusted_json.convert({"name": "a", "share": 1, "sizes": [1, 2]}, Row)
    assert row == Row(name="a", share=1.0, sizes=(1, 2)) and isinstance(row.share, float)
    assert untrusted_json.plain(row) == {"name": "a", "share": 1.0, "sizes": [1, 2]}
    assert untrusted_json.convert({"name": "a", "share": 0}, Row).sizes == ()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"share": 1.5}, r"share: expected float <= 1\.0, got 1\.5"),
        ({"share": float("nan")}, "share: expected float >= 0"),
        ({"share": True}, "share: expected float, got bool"),
        ({"share": "1"}, "share: expected float, got str"),
        ({"sizes": [1.5]}, r"sizes\[0\]: expected int, got float"),
        ({"more": 1}, "unknown entries: more"),
    ],
)
def test_what_does_not_fit_a_dataclass_is_named(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        untrusted_json.convert({"name": "a", "share": 0.5, "sizes": []} | change, Row)
    with pytest.raises(ValueError, match="missing or unknown entries: list"):
        untrusted_json.convert([1], Row)
