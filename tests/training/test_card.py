"""What a training writes beside its weights: JSON that any reader takes, and the versions that it was made with."""

from __future__ import annotations

import json
import math
from importlib import metadata
from types import SimpleNamespace

import pandas as pd

from ser_core.training import card
from ser_core.training.fit import FitConfig, TrainingResult


def test_tuples_become_lists_and_what_is_no_number_becomes_nothing():
    values = {"a": (1, (2.5, "x")), 3: [math.nan, math.inf, -math.inf, None, True]}
    assert json.loads(card.to_json(values)) == {"a": [1, [2.5, "x"]], "3": [None, None, None, None, True]}


def test_letters_are_written_as_they_are():
    assert "größe 二" in card.to_json({"title": "größe 二"})


def test_versions_are_those_that_are_installed_and_networks_name_more():
    plain, networks = card.versions(networks=False), card.versions(networks=True)
    assert plain["numpy"] == metadata.version("numpy")
    assert plain.items() < networks.items()


def test_what_weights_and_settings_tell_is_in_every_card():
    fitted = FitConfig(classifier="knn", n_copies=3, seed=7)
    classifier = SimpleNamespace(hyperparameters={"n_neighbors": 5, "seed": 7}, n_parameters=12, architecture=list)
    result = TrainingResult(classifier, 1.5, ("03",), ({"loss": math.inf},), threshold=0.4)
    clips = pd.DataFrame({"corpus": ["ravdess", "mine", "mine"], "speaker": ["01", "a", "b"]})
    known = card.measured(
        fitted,
        result,
        clips,
        labels=("angry", "sad"),
        left_out={"calm": 2},
        n_unreadable=1,
        files={"model.skops": "0" * 64},
    )
    assert (known.hyperparameters["n_neighbors"], known.temperature, known.threshold) == (5, 1.5, 0.4)
    assert [(each["title"], each["n_clips"], each["n_speakers"]) for each in known.corpora] == [
        ("RAVDESS", 1, 1),
        ("mine", 2, 2),
    ]
    assert known.training["history"] == [{"loss": None}] and known.training["left_out"] == {"calm": 2}
    assert known.training["seed"] == 7 and known.training["n_copies"] == 3 and known.training["unreadable"] == 1
    assert "keras" not in known.versions
