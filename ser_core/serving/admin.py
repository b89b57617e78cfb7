"""The admin word: where it is set, which one is in force, and how often anyone may try one.

Whoever enters it is the teacher. Knows nothing of pages; `Limiter` is the only way to try a word, and the whole server shares it.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import math
import os
import secrets
import threading
import time
import tomllib
from collections.abc import Callable, Mapping

from ser_core import paths
from ser_core.errors import ConfigError
from ser_core.serving import guard

VARIABLE = "SER_ADMIN_WORD"
SHORTEST = 8
"""Minimum length of an admin word, in characters."""

FREE_TRIES = 3
LONGEST_WAIT_S = 60
"""This many wrong words cost nothing; after that all tries are blocked for 1, 2, 4 … seconds, a minute at most."""

WRONG = "That is not the admin word."
_SECRETS = paths.PROJECT / ".streamlit" / "secrets.toml"
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


def check(environment: Mapping[str, str]) -> str:
    """Return the admin word that is set: the environment's, else that of secrets.toml, else "".

    Raises
    ------
    ConfigError : if it is shorter than SHORTEST, or secrets.toml is damaged.
    """
    word = environment.get(VARIABLE, "")
    where = "in the environment"
    if not word:
        where = "in .streamlit/secrets.toml"
        try:
            word = str(tomllib.loads(_SECRETS.read_text(encoding="utf-8")).get(VARIABLE, ""))
        except FileNotFoundError:
            return ""
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else error  # a page shows it, so no path of the server
            raise ConfigError(f".streamlit/secrets.toml cannot be read: {why}. Fix it, or delete it.") from None
    if word and len(word.strip()) < SHORTEST:
        raise ConfigError(
            f"The admin word in {VARIABLE}, {where}, has {len(word.strip())} characters, and {SHORTEST} is the least. "
            "Set a longer one, or none."
        )
    return word


def word(environment: Mapping[str, str]) -> str:
    """Return the admin word in force, "" where none is set or `problem` says why it is invalid."""
    try:
        return check(environment)
    except ConfigError:
        return ""


def problem(environment: Mapping[str, str]) -> str:
    """Return why the word that is set is invalid, as a sentence; "" where it is valid, or none is set."""
    try:
        check(environment)
    except ConfigError as error:
        return str(error)
    return ""


def ensure(environment: Mapping[str, str]) -> tuple[str, bool]:
    """Return the admin word, and whether it is new: the one that is set, else a generated one.

    Raises
    ------
    ConfigError : if the one that is set is invalid.
    """
    kept = check(environment)
    return (
        (kept, False)
        if kept
        else ("-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(2)), True)
    )


def is_right(given: str, expected: str) -> bool:
    """Return whether a word is the expected one, in constant time; False where none is expected."""
    digests = (hashlib.sha256(text.encode()).digest() for text in (given, expected))
    return hmac.compare_digest(*digests) and bool(expected)


class Limiter:
    """How often a word may be tried: after FREE_TRIES wrong ones, whoever gave them, tries are blocked for a time that doubles.

    A right word resets it. clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._wrong = 0
        self._open_s = -math.inf

    def attempt(self, given: str, expected: str) -> str:
        """Try a word; return "" where it is right, else a sentence: that it is wrong, or after how many seconds one may be tried."""
        with self._lock:  # two at once would count as one try
            wait_s = self._open_s - self._clock()
            if wait_s > 0:
                return (
                    f"Too many wrong words were tried, so none is looked at for {math.ceil(wait_s)} s: give it again then. On the "
                    "machine that serves the app, only what was tried there counts."
                )
            if is_right(given, expected):
                self._wrong = 0
                return ""
            self._wrong += 1
            if self._wrong >= FREE_TRIES:
                doublings = min(self._wrong - FREE_TRIES, 16)
                self._open_s = self._clock() + min(2**doublings, LONGEST_WAIT_S)
            return WRONG


_local, _remote = Limiter(), Limiter()


def limiter(address: str | None) -> Limiter:
    """Return the limiter for a visitor's address (None: of this machine).

    This machine has a separate one: a script elsewhere that keeps trying cannot lock out the teacher at the server's keyboard.
    """
    return _local if _is_local(address) else _remote


def _is_local(address: str | None) -> bool:
    if address is None or address in guard.named(os.environ):
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
