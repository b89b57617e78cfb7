"""Sums of listeners' votes: what counts as named, and the sums that come with the project."""

from __future__ import annotations

import pandas as pd
import pytest

from ser_core.corpora import catalogue
from ser_core.errors import ConfigError
from ser_core.experiments import listeners

LABELS = ["neutral", "happy", "sad", "angry", "fear", "disgust"]


def table(**votes: list[int]) -> pd.DataFrame:
    return pd.DataFrame.from_dict(votes, orient="index", columns=LABELS)


def test_a_clip_is_named_where_its_label_has_more_votes_than_any_other():
    rows = {f"1001_IEO_{code}_XX": [5, 0, 0, 0, 0, 0] for code in ("NEU", "SAD", "FEA", "DIS")}
    found = listeners.count(
        "cremad", table(**rows, **{"1001_IEO_HAP_XX": [3, 3, 0, 0, 0, 0], "1001_IEO_ANG_XX": [1, 0, 0, 4, 0, 0]})
    )
    assert dict(zip(found.labels, found.named, strict=True)) == {
        "neutral": 1,
        "happy": 0,
        "sad": 0,
        "angry": 1,
        "fear": 0,
        "disgust": 0,
    }
    assert found.n_clips == (1,) * 6 and found.heard[3] == (1, 0, 0, 4, 0, 0) and found.heard[1][:2] == (3, 3)
    assert found.accuracy == found.uar == pytest.approx(2 / 6)
    assert found.n_answers == 31 and found.single_accuracy == pytest.approx((5 + 3 + 4) / 31)


def test_sums_are_read_back_as_they_were_written(tmp_path):
    found = listeners.read_results()
    listeners.write_results(tmp_path / "listeners.json", found)
    assert listeners.read_results(tmp_path / "listeners.json") == found
    assert (tmp_path / "listeners.json").read_text() == listeners.RESULTS.read_text()


@pytest.mark.parametrize("text", ["{", '{"corpora": [3]}', '{"corpora": [{"corpus": "cremad"}]}'])
def test_damaged_sums_are_said(tmp_path, text):
    (tmp_path / "listeners.json").write_text(text)
    with pytest.raises(ConfigError, match=r"The listeners' answers in 'listeners\.json' cannot be read"):
        listeners.read_results(tmp_path / "listeners.json")


def test_the_human_line_is_what_the_shipped_sums_give():
    for name, found in listeners.read_results().items():
        spec = catalogue.CORPORA[name]
        assert round(found.accuracy, 3) == spec.human_accuracy
        assert set(found.labels) == set(spec.labels.values()) and sum(found.n_clips) <= spec.n_clips
    assert {name for name, spec in catalogue.CORPORA.items() if spec.human_accuracy} == set(listeners.read_results())
