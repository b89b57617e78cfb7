"""Groups of measures: each column is of one group, a classifier that looks at one group is told so, and words for what is unusual."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from ser_core.corpora import catalogue
from ser_core.dataset.build import Dataset
from ser_core.dataset.cache import FACTS
from ser_core.errors import ConfigError, ModelError
from ser_core.explanation import measures
from ser_core.features import vectors
from ser_core.features.config import FeatureConfig
from ser_core.recognition.recognizer import Recognizer

CONFIG = FeatureConfig()
N_COLUMNS = len(vectors.summary_columns(CONFIG))


class Rule:
    """A classifier whose score is the mean of some columns, whose average training clip is all ones."""

    labels = ("angry", "sad")
    average = np.ones(N_COLUMNS), np.full(N_COLUMNS, 2.0)

    def __init__(self, columns: np.ndarray) -> None:
        self.columns = columns

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        first = 1 / (1 + np.exp(-X[:, self.columns].mean(axis=1)))
        return np.stack([first, 1 - first], axis=1)


def rule(group: str) -> Recognizer:
    return Recognizer("rule", CONFIG, Rule.labels, Rule(measures.columns(CONFIG)[group]), vectors.VECTOR)


@pytest.mark.parametrize("config", [CONFIG, FeatureConfig(n_mels=40, n_mfcc=13)], ids=["default", "other"])
def test_every_column_is_of_one_group(config):
    groups = measures.columns(config)
    numbers = np.concatenate(list(groups.values()))
    assert sorted(numbers) == list(range(len(vectors.summary_columns(config))))
    assert list(groups) == list(measures.GROUPS) and all(map(len, groups.values()))


@pytest.mark.parametrize(
    ("column", "group"),
    [
        ("f0_step_rel", measures.PITCH),
        ("f0_step_mean", measures.PITCH),
        ("f0_slope_abs", measures.PITCH),
        ("rms_db_delta_p90", measures.LOUDNESS),
        ("loudness_shape_1", measures.LOUDNESS),
        ("mfcc_03_mean", measures.TIMBRE),
        ("mel_pair_10_std", measures.TIMBRE),
        ("peak1_hz_p50", measures.TIMBRE),
        ("voiced_run_mean_s", measures.RHYTHM),
        ("h1_h2_mean", measures.VOICE_QUALITY),
        ("harmonic_db_p10", measures.VOICE_QUALITY),
    ],
)
def test_columns_are_where_people_look_for_them(column, group):
    assert vectors.summary_columns(CONFIG).index(column) in measures.columns(CONFIG)[group]


@pytest.mark.parametrize("group", list(measures.GROUPS))
def test_a_classifier_that_looks_at_one_group_is_explained_by_it_alone(group):
    found = measures.explain(rule(group), np.full((1, N_COLUMNS), 3.0, np.float32))
    assert found.label == "angry" and found.probability == pytest.approx(1 / (1 + np.exp(-3)), abs=1e-5)
    others = [fall for name, fall in found.fall.items() if name != group]
    assert np.abs(others).max() < 1e-9
    assert found.fall[group] == pytest.approx(1 / (1 + np.exp(-3)) - 1 / (1 + np.exp(-1)), abs=1e-5)
    assert found.sentence.startswith(group.capitalize()) and "73 % in place of 95 %" in found.sentence


def test_a_label_may_be_chosen_and_a_clip_that_is_average_has_no_reason():
    other = measures.explain(rule("pitch"), np.full((1, N_COLUMNS), 3.0, np.float32), label="sad")
    assert other.label == "sad" and other.fall["pitch"] < 0 and "No group" in other.sentence
    assert "No group" in measures.explain(rule("pitch"), np.ones((1, N_COLUMNS), np.float32)).sentence
    with pytest.raises(ConfigError, match="has no label 'joy'"):
        measures.explain(rule("pitch"), np.ones((1, N_COLUMNS), np.float32), label="joy")


def test_a_model_whose_average_is_not_known_is_told_plainly():
    items = np.ones((1, N_COLUMNS), np.float32)
    for stranger in (
        dataclasses.replace(rule("pitch"), classifier=None),
        dataclasses.replace(rule("pitch"), input_kind=vectors.FRAMES),
    ):
        with pytest.raises(ModelError, match="nobody knows"):
            measures.explain(stranger, items)


def test_what_is_unusual_for_a_label_is_said_in_words(monkeypatch):
    even = {each.column: np.linspace(0, 100, len(measures.QUANTILES)).tolist() for each in measures.NAMED}
    monkeypatch.setattr(measures, "_ranges", lambda: {"sad": even})  # private: the file has the figures of real clips
    summary = np.full(N_COLUMNS, 50.0)
    names = vectors.summary_columns(CONFIG)
    assert measures.unusual(summary, CONFIG, "sad") == ()
    summary[names.index("f0_std")], summary[names.index("duration_s")] = 94, 3
    summary[names.index("f0_p50")] = 1e6
    found = measures.unusual(summary, CONFIG, "sad")
    assert [each.words for each in found] == [
        "Pitch: higher than 99 % of sad clips",
        "Length: shorter than 97 % of sad clips",
        "Pitch range: wider than 94 % of sad clips",
    ]
    assert measures.unusual(summary, CONFIG, "angry") == ()
    assert measures.unusual(summary, FeatureConfig(n_mels=40), "sad") == ()


def test_ranges_are_percentiles_in_which_every_corpus_counts_the_same():
    names = vectors.summary_columns(CONFIG)
    X = np.zeros((300, N_COLUMNS), np.float32)
    X[:, names.index("f0_std")] = np.where(np.arange(300) < 290, 1.0, 5.0)  # ten clips of another corpus
    clips = pd.DataFrame({catalogue.EMOTION: "sad", catalogue.CORPUS: ["large"] * 290 + ["small"] * 10})
    data = Dataset(
        vectors=X,
        embeddings=np.zeros((300, 0), np.float32),
        windows=np.zeros((0, 1, 1), np.float16),
        window_row=np.zeros(0, int),
        clip=np.arange(300),
        copy=np.zeros(300, int),
        problems=(),
        facts=pd.DataFrame(np.zeros((300, len(FACTS))), columns=list(FACTS)),
    )
    found = measures.ranges(clips, data)
    assert found["corpora"] == ["large", "small"] and found["n_clips"] == 300 and set(found["percentiles"]) == {"sad"}
    spread = dict(zip(measures.QUANTILES, found["percentiles"]["sad"]["f0_std"], strict=True))
    assert spread[45] == 1.0 and spread[55] == 5.0


def test_the_shipped_ranges_fit_the_measures_and_rise():
    known = measures._ranges()  # private: the file as it is read
    assert set(known) == set(catalogue.LABELS)
    for of_label in known.values():
        assert set(of_label) == {each.column for each in measures.NAMED}
        for values in of_label.values():
            assert len(values) == len(measures.QUANTILES) and values == sorted(values)
    assert known["angry"]["f0_std"][10] > known["neutral"]["f0_std"][10]
    assert {each.column for each in measures.NAMED} <= set(vectors.summary_columns(CONFIG))
