"""What SECURITY.md promises in figures is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pages.ui import visits
from ser_core.serving import admin, certificates

ROOT = Path(__file__).resolve().parents[1]
TEXT = " ".join((ROOT / "SECURITY.md").read_text(encoding="utf-8").split())


@pytest.mark.parametrize(
    ("pattern", "figure"),
    [
        (r"at least (\d+) characters", admin.SHORTEST),
        (r"After (\d+) wrong tries", admin.FREE_TRIES),
        (r"up to (\d+) seconds, whoever asks", admin.LONGEST_WAIT_S),
        (r"wiped (\d+) seconds after its tab is gone", visits.LEFT_S),
        (r"after (\d+) minutes without a click", visits.IDLE_MINUTES),
    ],
)
def test_each_figure_is_the_codes(pattern: str, figure: float) -> None:
    (told,) = re.findall(pattern, TEXT)
    assert int(told) == figure


def test_an_authority_is_good_for_a_year_at_most() -> None:
    assert "good for a year at most" in TEXT
    assert certificates.AUTHORITY_DAYS + 1 <= 365


def test_every_file_and_command_that_it_names_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    commands = re.findall(r"`make (\w+)`", TEXT)
    assert commands and all(re.search(rf"^{command}:", makefile, re.MULTILINE) for command in commands)
    assert (ROOT / "requirements.lock").is_file() and "requirements.lock" in TEXT
