"""What others wrote, as one line of visible characters; sentences without the paths of this machine; JSON that hides nothing."""

from __future__ import annotations

import json
import os
import time

import pytest

from ser_core.system import untrusted_text

FORMATS = "".join(map(chr, [*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C]))
"""All that changes the direction of writing."""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain.wav", "plain.wav"),
        ("Grüße 日本 😀.wav", "Grüße 日本 😀.wav"),
        ("e\u0301.wav", "é.wav"),
        ("\u202egpj.exe", "�gpj.exe"),
        ("\x1b[31mred\x1b[0m", "�[31mred�[0m"),
        ("\x9b31m", "�31m"),
        ("a\0b", "a�b"),
        ("\udcff.wav", "�.wav"),
        ("An\u200bn\ufeff", "Ann"),
        (" two\n\tlines\u2028here\u00a0", "two lines here"),
        ("\u3164\u2800", ""),
        ("a  b", "a b"),
        ("", ""),
        (FORMATS, "�" * len(FORMATS)),
    ],
)
def test_a_name_is_one_line_of_characters_that_can_be_seen(text: str, shown: str) -> None:
    assert untrusted_text.one_line(text) == shown
    assert untrusted_text.one_line(shown) == shown and shown.isprintable()


def test_a_long_name_loses_its_middle_and_keeps_its_ending() -> None:
    shown = untrusted_text.one_line(f"{'a' * 5000}.wav")
    assert (
        len(shown) == untrusted_text.MAX_NAME and shown.startswith("aaa") and shown.endswith("a.wav") and "…" in shown
    )
    assert untrusted_text.one_line("é" * 90, 40) == f"{'é' * 26}…{'é' * 13}"
    begun = time.process_time()
    assert len(untrusted_text.one_line("a" + "\u0301\u0316" * 500_000)) <= untrusted_text.MAX_NAME
    assert time.process_time() - begun < 2


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("'/srv/My models/knn/card.json' cannot be read", "'card.json' cannot be read"),
        ("Restore /srv/models/knn or train again.", "Restore knn or train again."),
        (
            "There is no models folder at /srv/data/models. Restore it.",
            "There is no models folder at models. Restore it.",
        ),
        ('File "/usr/lib/python3.11/x.py", line 3, in f', 'File "x.py", line 3, in f'),
        ("[Errno 2] No such file: '/a b/c d/e f.wav'", "[Errno 2] No such file: 'e f.wav'"),
        ("error:/home/ann/y.wav: bad, /var/log/, (/var/log/x)", "error:y.wav: bad, log, (x)"),
        ("//home/ann/y file:///home/ann/z", "y z"),
        (r"C:\Users\Ann\x.wav: no", "x.wav: no"),
        (r"'C:\\Users\\Ann Lee\\x.wav'", "'x.wav'"),
        ("c:/Users/Ann/x", "x"),
        (r"\\server\share\deep\x.wav", "x.wav"),
    ],
)
def test_an_absolute_path_is_its_last_part(text: str, shown: str) -> None:
    assert untrusted_text.without_paths(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "See https://example.org/a/b and http://x/y.",
        "and/or, 1/8, audio/wav, 2026/01/02, km / h, N/A",
        "corpora/ravdess and ravdess/",
        ".streamlit/secrets.toml, ./a/b, ../a/b, ~/x/y",
        "'happy/anna_01.wav' and `clips.csv`",
        "/",
        "'/' or '\\'",
        "9:30/10",
        "a\\_b",
    ],
)
def test_what_is_no_absolute_path_stays(text: str) -> None:
    assert untrusted_text.without_paths(text) == text


def test_folders_of_this_program_with_blanks_in_their_names_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SER_CORPORA", os.sep + os.path.join("data", "My own", "corpora"))
    path = os.sep + os.path.join("data", "My own", "corpora", "x", "y.wav")
    assert untrusted_text.without_paths(f"Left out: {path}: bad") == "Left out: y.wav: bad"
    assert untrusted_text.without_paths(f"at https://x{path}") == f"at https://x{path}"


def test_a_log_keeps_its_lines_and_does_nothing_to_a_terminal() -> None:
    assert untrusted_text.lines("one\n\x1b[2Jtwo\rx\n") == "one\n�[2Jtwo x\n"


def test_json_gives_back_everything_and_hides_nothing() -> None:
    value = {"file": "\u202egpj.exe \x1b[31m \x9b \U000e0041 日本 é", "n": [1.5, None]}
    text = untrusted_text.json_text(value)
    assert json.loads(text) == value and "日本 é" in text
    assert all(line.isprintable() for line in text.split("\n"))


def test_a_path_is_shown_by_its_last_part() -> None:
    assert untrusted_text.file_name("/srv/x/\u202ea.wav") == untrusted_text.file_name("C:\\x\\\u202ea.wav") == "�a.wav"


def test_a_slug_is_plain_short_and_ends_in_no_hyphen() -> None:
    assert untrusted_text.slug("Größe & Co.", 40) == "grosse-co"
    assert untrusted_text.slug("a b c", 4) == "a-b"
    assert untrusted_text.slug("二 …", 40) == ""
