"""Labels kept, merged and left out."""

from __future__ import annotations

import pandas as pd
import pytest

from ser_core.corpora import catalogue
from ser_core.dataset import labels
from ser_core.dataset.labels import LabelMapping
from ser_core.errors import ConfigError, CorpusError


@pytest.fixture
def clips() -> pd.DataFrame:
    """One clip a label: RAVDESS has calm, EmoDB boredom."""
    rows = [("ravdess", label) for label in ("neutral", "calm", "happy", "surprise")] + [
        ("emodb", label) for label in ("boredom", "neutral", "happy")
    ]
    return pd.DataFrame(rows, columns=[catalogue.CORPUS, catalogue.EMOTION]).assign(path="clip.wav")


def test_calm_is_kept_merged_or_left_out(clips: pd.DataFrame) -> None:
    counts = {
        calm: labels.apply(clips, LabelMapping(calm=calm))[catalogue.EMOTION].value_counts() for calm in labels.CALM
    }
    assert counts["keep"]["calm"] == 1
    assert counts["keep"]["neutral"] == 2
    assert "calm" not in counts["neutral"]
    assert counts["neutral"]["neutral"] == 3
    assert "calm" not in counts["leave out"]
    assert counts["leave out"]["neutral"] == 2


@pytest.mark.parametrize("boredom", [True, False])
def test_boredom_is_in_only_where_asked_for(clips: pd.DataFrame, boredom: bool) -> None:
    assert ("boredom" in set(labels.apply(clips, LabelMapping(boredom=boredom))[catalogue.EMOTION])) is boredom


def test_labels_choose_after_merging(clips: pd.DataFrame) -> None:
    kept = labels.apply(clips, LabelMapping(calm="neutral", labels=("neutral",)))
    assert kept[catalogue.CORPUS].tolist() == ["ravdess", "ravdess", "emodb"]
    assert kept.index.tolist() == [0, 1, 2]


def test_the_table_given_is_not_changed(clips: pd.DataFrame) -> None:
    before = clips.copy()
    labels.apply(clips, LabelMapping(calm="neutral"))
    pd.testing.assert_frame_equal(clips, before)


def test_shared_labels_are_those_of_every_corpus(clips: pd.DataFrame) -> None:
    assert labels.present(clips) == ("neutral", "calm", "happy", "surprise", "boredom")
    assert labels.shared(clips) == ("neutral", "happy")


def test_a_mapping_survives_json(clips: pd.DataFrame) -> None:
    chosen = LabelMapping(calm="neutral", boredom=True, labels=("neutral", "boredom"))
    assert LabelMapping.from_dict(chosen.to_dict()) == chosen


@pytest.mark.parametrize(
    ("values", "sentence"),
    [({"calm": "sleepy"}, "must be one of 'keep'"), ({"labels": ("joy",)}, "no label 'joy'")],
)
def test_an_unknown_choice_is_refused(values: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        LabelMapping(**values)


def test_no_clip_left_is_said(clips: pd.DataFrame) -> None:
    with pytest.raises(CorpusError, match="None of the 7 clips"):
        labels.apply(clips, LabelMapping(labels=("fear",)))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"calm": "keep", "boredom": True}, "has the entries boredom, calm, labels"),
        ({"calm": "keep", "boredom": "no", "labels": []}, "boredom is true or false"),
        ({"calm": "keep", "boredom": True, "labels": "sad"}, "labels is a list"),
        ({"calm": ["keep"], "boredom": True, "labels": []}, "must be one of"),
    ],
)
def test_values_that_are_no_mapping_are_refused(values: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        LabelMapping.from_dict(values)
