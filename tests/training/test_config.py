"""The settings of a run: they survive JSON, and every wrong value has its sentence."""

import json
from dataclasses import replace

import pytest

from ser_core import classifiers
from ser_core.dataset.labels import LabelMapping
from ser_core.errors import ConfigError
from ser_core.features.config import FeatureConfig
from ser_core.training.config import FINE_TUNING, PRESETS, RunConfig, with_preset

FULL = RunConfig(
    corpora=("ravdess", "savee"),
    classifier="cnn_lstm",
    name="Mine",
    description="Two\nlines",
    mapping=LabelMapping(calm="neutral"),
    features=FeatureConfig(n_mels=40),
    hyperparameters={"filters": (8, 16, 16), "epochs": 3},
    n_copies=2,
    effects={"noise": 0.5, "pitch": 1},
    balance="smote",
    protocol="sentence",
    test_share=0.3,
    validation_share=0.1,
    folds=4,
    grid={"units": (16, 32), "filters": [[8, 8, 8]]},
    speaker_cap=50,
    corpus_cap=900,
    start_from="cnn_lstm",
    seed=7,
)


@pytest.mark.parametrize("config", [FULL, RunConfig(corpora=("tess",))], ids=["full", "defaults"])
def test_the_settings_survive_json(config):
    assert RunConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_a_short_file_is_enough():
    assert RunConfig.from_dict({"corpora": ["savee"], "classifier": "knn"}) == RunConfig(
        corpora=("savee",), classifier="knn"
    )


def test_the_hyperparameters_are_complete_where_they_are_used():
    plain = replace(FULL, start_from="")
    assert plain.settings == classifiers.check("cnn_lstm", {"filters": (8, 16, 16), "epochs": 3, "seed": 7})


def test_a_network_that_starts_from_another_takes_small_steps():
    expected = {"filters": (8, 16, 16), **FINE_TUNING, "epochs": 3, "seed": 7}
    assert FULL.settings == classifiers.check("cnn_lstm", expected)


def test_a_grid_is_every_value_with_every_other():
    config = RunConfig(
        corpora=("tess",), classifier="knn", grid={"n_neighbors": [5, 9], "weights": ["uniform", "distance"]}
    )
    assert config.combinations == [
        {"n_neighbors": n, "weights": votes} for n in (5, 9) for votes in ("uniform", "distance")
    ]
    assert RunConfig(corpora=("tess",)).combinations == [{}]


WRONG = {
    "no corpus": ({"corpora": []}, "at least one corpus"),
    "corpora no list": ({"corpora": "ravdess"}, "must name its corpora"),
    "unknown setting": ({"copies": 2}, "no setting copies. It has .*n_copies"),
    "classifier": ({"classifier": "oracle"}, "no classifier 'oracle'"),
    "classifier no name": ({"classifier": ["cnn"]}, "classifier must be the name of a classifier"),
    "balance no name": ({"balance": {}}, "balance must be the name of a balance"),
    "protocol no name": ({"protocol": [1]}, "protocol must be the name of a protocol"),
    "hyperparameter": ({"hyperparameters": {"epochs": 0}}, "CNN: epochs must be a whole number from 1 to 500"),
    "hyperparameters no dict": ({"hyperparameters": [1]}, "names with values"),
    "effect": ({"effects": {"echo": 1}}, "no effect 'echo'"),
    "effects no dict": ({"effects": ["noise"]}, "names with strengths"),
    "balance": ({"balance": "magic"}, "balance must be one of none, weights"),
    "protocol": ({"protocol": "hope"}, "protocol must be one of speaker, sentence, random"),
    "copies": ({"n_copies": 11}, "n_copies must be a whole number from 0 to 10"),
    "copies in part": ({"n_copies": 1.5}, "n_copies must be a whole number"),
    "test share": ({"test_share": 0.9}, "test_share must be a number from 0.05 to 0.5"),
    "test share nan": ({"test_share": float("nan")}, "Got nan"),
    "one fold": ({"folds": 1}, "One fold is no cross-validation"),
    "seed": ({"seed": True}, "seed must be a whole number"),
    "name": ({"name": "x" * 81}, "name must be text of at most 80"),
    "name with control characters": ({"name": "a\x1b[31m"}, "name must be text"),
    "start": ({"start_from": 3}, "start_from must be the name of a model"),
    "mapping": ({"mapping": {"calm": "keep"}}, "label mapping has the entries"),
    "mapping no dict": ({"mapping": 3}, "mapping of a run must be names"),
    "mapping of numbers": ({"mapping": {"calm": "keep", "boredom": False, "labels": 3}}, "labels is a list"),
    "features of text": (
        {"features": {**FeatureConfig().to_dict(), "hop_length": "320"}},
        "hop_length must be a whole number",
    ),
    "features": (
        {"features": {**FeatureConfig().to_dict(), "n_fft": 10**9}},
        "n_fft must be a whole number from 64 to 8192",
    ),
    "grid no list": ({"grid": {"epochs": 3}}, "list of values for each"),
    "grid value": ({"grid": {"epochs": [1, 0]}}, "epochs must be"),
    "grid too large": (
        {"grid": {"epochs": list(range(1, 21)), "batch_size": list(range(4, 24))}},
        "400 combinations; 200 is the most",
    ),
}


@pytest.mark.parametrize(("values", "sentence"), WRONG.values(), ids=WRONG)
def test_a_wrong_value_is_named(values, sentence):
    with pytest.raises(ConfigError, match=sentence):
        RunConfig.from_dict({"corpora": ["tess"]} | values)


@pytest.mark.parametrize("values", [None, [], "ravdess", 3])
def test_settings_that_are_no_settings_are_refused(values):
    with pytest.raises(ConfigError, match="names with values"):
        RunConfig.from_dict(values)


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("classifier", classifiers.CLASSIFIERS)
def test_every_preset_suits_every_classifier(name, classifier):
    config = with_preset(RunConfig(corpora=("tess",), classifier=classifier, seed=5), name)
    assert config.seed == 5 and config.classifier == classifier
    assert config.n_copies == PRESETS[name].changes["n_copies"]


def test_a_preset_keeps_other_hyperparameters():
    config = with_preset(RunConfig(corpora=("tess",), classifier="mlp", hyperparameters={"hidden": 64}), "one-minute")
    assert config.hyperparameters == {"hidden": 64, "epochs": 20, "patience": 5}
    with pytest.raises(ConfigError, match=r"no preset 'quick'\. Choose one of one-minute, good, thorough"):
        with_preset(config, "quick")
