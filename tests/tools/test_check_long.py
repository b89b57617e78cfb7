"""The long checks' own logic: what is judged how, that one part that fails stops no other, and that each command is there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import load
from tools import check_long
from tools.check_long import Part

ROOT = Path(__file__).resolve().parents[2]


def printing(figures: object, *, code: int = 0, most: dict[str, float] | None = None, limit_s: float = 60.0) -> Part:
    script = ("-c", f"import sys; print('first'); print({json.dumps(figures)!r}); sys.exit({code})")
    return Part("A part", script, script, most or {}, {}, limit_s)


def test_figures_are_set_against_their_limits():
    part = Part("A part", (), (), {"p95_ms": 400, "wav.peak_mb": 600, "gone": 1}, {"inputs": 100_000}, 60)
    rows = check_long.judge("x", part, {"p95_ms": 400, "wav": {"peak_mb": 601}, "inputs": 99_999})
    assert [(row.figure, row.value, row.good) for row in rows] == [
        ("p95_ms", 400, True),
        ("wav.peak_mb", 601, False),
        ("gone", None, False),
        ("inputs", 99_999, False),
    ]
    lines = check_long.table(rows).splitlines()
    assert (
        "at most 400" in lines[0]
        and lines[0].endswith("good")
        and lines[1].endswith("NOT GOOD")
        and "at least 100,000" in lines[3]
    )


@pytest.fixture
def parts(monkeypatch, tmp_path):
    made = {
        "broken": printing("no figures", code=3),
        "slow": Part("Slow", ("-c", "import time; time.sleep(60)"), (), {}, {}, 0.5),
        "above": printing({"errors": 2}, most={"errors": 0}),
        "fine": printing({"errors": 0}, most={"errors": 0}),
    }
    monkeypatch.setattr(check_long, "PARTS", made)
    monkeypatch.setattr(check_long, "KEPT", tmp_path)
    return made


def test_a_part_that_fails_stops_no_other(parts, capsys):
    assert check_long.main([]) == 1
    said = capsys.readouterr().out
    assert "it ended with 3" in said and "it was not done after 0 s" in said and "Failed: broken, slow" in said
    assert said.count("NOT GOOD") == 1 and said.rsplit("fine", 1)[1].splitlines()[0].endswith("good")


def test_one_part_can_be_run_alone(parts, capsys):
    assert check_long.main(["--only", "fine"]) == 0
    assert "above" not in capsys.readouterr().out
    with pytest.raises(SystemExit):
        check_long.main(["--only", "nothing"])


def test_every_part_is_there_and_has_limits():
    for part in check_long.PARTS.values():
        place = part.command[1].replace(".", "/") + ".py" if part.command[0] == "-m" else part.command[0]
        assert (ROOT / place).is_file() and part.most and part.command[0] == part.short[0]


def test_growth_is_that_of_the_end_above_the_second_tenth():
    assert load.growth_pct([300] * 10 + [400] * 10 + [410] * 70 + [420] * 10) == 5.0
    assert load.growth_pct([400] * 19) is None
