"""The admin word: which one counts, and how long a script would have to try."""

from __future__ import annotations

import hmac
import threading
from pathlib import Path

import pytest

from ser_core.errors import ConfigError
from ser_core.serving import admin, guard

WORD = "open sesame"


@pytest.fixture(autouse=True)
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the word may be set, besides the environment; nothing is there."""
    # Where Streamlit keeps secrets is fixed; a developer's own file there must not count.
    monkeypatch.setattr(admin, "_SECRETS", tmp_path / "secrets.toml")
    return tmp_path / "secrets.toml"


class Clock:
    """A clock that a test winds on."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_the_word_is_the_one_that_is_set_else_a_new_one(secrets: Path) -> None:
    assert admin.ensure({admin.VARIABLE: "given word"}) == ("given word", False)
    first, second = admin.ensure({}), admin.ensure({})
    assert first[1] and first != second and len(first[0]) > admin.SHORTEST
    secrets.write_text('SER_ADMIN_WORD = "kept word"\n', encoding="utf-8")
    assert admin.ensure({}) == ("kept word", False) and admin.word({}) == "kept word"
    secrets.write_text("SER_ADMIN_WORD = kept\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"^\.streamlit/secrets.toml cannot be read"):
        admin.ensure({})
    assert admin.word({}) == "" and "cannot be read" in admin.problem({})


@pytest.mark.parametrize("short", ["x", "1234567", "          ", "  chalk  "])
def test_a_word_that_is_too_short_counts_for_nothing(short: str, secrets: Path) -> None:
    with pytest.raises(ConfigError, match=r"8 is the least. Set a longer one, or none"):
        admin.ensure({admin.VARIABLE: short})
    assert admin.word({admin.VARIABLE: short}) == ""
    secrets.write_text(f'SER_ADMIN_WORD = "{short}"\n', encoding="utf-8")
    assert admin.word({}) == "" and "secrets.toml" in admin.problem({})
    assert admin.problem({admin.VARIABLE: WORD}) == ""


def test_the_comparison_sees_neither_letters_nor_length(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (
        admin.is_right(WORD, WORD)
        and not admin.is_right("", WORD)
        and not admin.is_right("", "")
        and not admin.is_right("ü", WORD)
    )
    compared = []
    monkeypatch.setattr(hmac, "compare_digest", lambda *pair: compared.append(pair))
    admin.is_right("x" * 200, WORD)
    assert [len(each) for each in compared[0]] == [32, 32]


def test_a_script_that_never_rests_tries_less_than_one_word_a_minute() -> None:
    """From many visits at once: nothing but the clock counts. A day of 78 tries a second would otherwise be seven million words."""
    clock = Clock()
    limiter = admin.Limiter(clock)
    n_tried, hours = 0, 3
    for _ in range(hours * 3600):
        for _ in range(5):
            n_tried += limiter.attempt("guess", WORD) == admin.WRONG
        clock.now_s += 1
    assert n_tried <= admin.FREE_TRIES + 6 + hours * 60


def test_two_tries_at_once_are_two_tries() -> None:
    limiter = admin.Limiter(Clock())
    answers: list[str] = []
    threads = [threading.Thread(target=lambda: answers.append(limiter.attempt("guess", WORD))) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers.count(admin.WRONG) == admin.FREE_TRIES


def test_the_wait_doubles_up_to_a_minute_says_how_long_and_ends_with_the_right_word() -> None:
    clock = Clock()
    limiter = admin.Limiter(clock)
    assert [limiter.attempt("guess", WORD) for _ in range(admin.FREE_TRIES)] == [admin.WRONG] * admin.FREE_TRIES
    for wait_s in (1, 2, 4, 8, 16, 32, 60, 60):
        clock.now_s += wait_s - 0.5
        assert "for 1 s" in limiter.attempt(WORD, WORD), "even the right word is not looked at"
        clock.now_s += 0.5
        assert limiter.attempt("guess", WORD) == admin.WRONG
        assert f"for {min(2 * wait_s, 60) if wait_s < 60 else 60} s" in limiter.attempt("guess", WORD)
    for _ in range(2000):  # no number grows without end
        clock.now_s += admin.LONGEST_WAIT_S
        assert limiter.attempt("guess", WORD) == admin.WRONG
    clock.now_s += admin.LONGEST_WAIT_S
    assert limiter.attempt(WORD, WORD) == ""
    assert [limiter.attempt("guess", WORD) for _ in range(admin.FREE_TRIES)] == [admin.WRONG] * admin.FREE_TRIES


def test_nobody_elsewhere_keeps_the_teacher_at_the_server_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(guard.VARIABLE, "192.168.7.9, laptop.local")
    here = admin.limiter(None)
    assert here is admin.limiter("127.0.0.1") is admin.limiter("::1") is admin.limiter("192.168.7.9")
    assert here is not admin.limiter("192.168.7.10") and admin.limiter("192.168.7.10") is admin.limiter(
        "10.0.0.3"
    ) is admin.limiter("?")
