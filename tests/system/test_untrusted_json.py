import json

import pytest

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
