"""Recipes and models measured on small synthetic corpora: the figures, what was heard before, resuming, and the log."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ser_core import assessment, classifiers, corpora, dataset, evaluation, exposure, protocols, store, training
from ser_core.assessment import Desk, Recipe
from ser_core.errors import ConfigError, ModelError
from ser_core.features import FeatureConfig
from ser_core.training import TrainingConfig
from tests import tiny_corpora, tiny_models

SMALL = FeatureConfig(n_mels=16, n_mfcc=6)
QUICK = {"hidden": 16, "epochs": 12, "learning_rate": 3e-3}
MLP = Recipe(name="mlp", config=TrainingConfig(classifier="mlp", hyperparameters=QUICK, n_copies=0, features=SMALL))


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return tiny_corpora.build(tmp_path_factory.mktemp("corpora"))


@pytest.fixture(scope="module")
def clips(base) -> pd.DataFrame:
    return pd.concat([corpora.scan(name, base / name) for name in ("ravdess", "tess")], ignore_index=True)


@pytest.fixture
def desk(tmp_path, tmp_path_factory) -> Desk:
    models = tmp_path_factory.getbasetemp() / "assessed-models"
    if not models.exists():
        tiny_models.build(models)
    return Desk(cache=tmp_path_factory.getbasetemp() / "assessment-cache", results=tmp_path / "results", models=models)


def of(clips: pd.DataFrame, *names: str) -> pd.DataFrame:
    return clips[clips[corpora.CORPUS].isin(names)].reset_index(drop=True)


def readings(desk: Desk) -> list[dict]:
    return [json.loads(line) for line in (desk.results / assessment.READINGS).read_text().splitlines()]


@pytest.mark.parametrize("protocol", ["leaky", "random", "speaker"])
def test_every_clip_is_answered_once_by_a_training_without_it(clips, desk, protocol):
    outcome = assessment.held_out(MLP, of(clips, "ravdess"), protocol, desk)
    copies = 2 if protocol == "leaky" else 1
    assert len(outcome.y) == 64 * copies and outcome.clips[corpora.NAME].is_unique
    made = assessment.figures(outcome)["ravdess"]
    assert made.protocol == protocol and made.accuracy > 0.5 and made.curves and made.human is None
    assert made.seen["speaker"] == (0.0 if protocol == "speaker" else 1.0) and made.seen["sentence"] == 1.0
    assert (made.seen["twin"] > 0.5) == (protocol == "leaky")


def test_several_corpora_give_figures_over_all_and_by_corpus(clips, desk):
    told = assessment.to_dict(assessment.held_out(MLP, clips, "speaker", desk))
    assert (
        told["model"] == "mlp"
        and told["corpus"] == "all corpora"
        and told["n_clips"] == 88
        and told["n_test_speakers"] == 10
    )
    assert {name: each["n_clips"] for name, each in told["per_corpus"].items()} == {"ravdess": 64, "tess": 24}
    assert evaluation.Evaluation.from_dict(told["per_corpus"]["tess"]).n_test_speakers == 2


def test_across_corpora_only_shared_labels_count(clips, desk):
    outcome = assessment.held_out(MLP, clips, "cross-corpus", desk)
    assert outcome.labels == ("neutral", "happy", "sad")
    assert outcome.clips[corpora.CORPUS].value_counts().to_dict() == {"ravdess": 48, "tess": 24}
    assert not outcome.seen["speaker"].any() and not outcome.seen["twin"].any()


def test_a_twin_under_another_name_is_found(clips, base, tmp_path):
    rows = of(clips, "ravdess")
    same = Path(rows[corpora.PATH][0]).read_bytes()
    copy = tmp_path / "twin.wav"
    copy.write_bytes(same)
    rows.loc[5, corpora.PATH] = str(copy)
    train, test = np.arange(len(rows)) < 5, np.arange(len(rows)) >= 5
    assert exposure.seen(rows, exposure.digests(rows), train, test)["twin"].tolist() == [True] + [False] * (
        len(rows) - 6
    )


def test_finished_rounds_are_read_back_and_every_reading_is_logged(clips, desk, monkeypatch):
    rows = of(clips, "ravdess")
    first = assessment.held_out(MLP, rows, "speaker", desk)
    monkeypatch.setattr(training, "train_fold", lambda *_, **__: pytest.fail("trained again"))
    again = assessment.held_out(MLP, rows, "speaker", desk)
    np.testing.assert_array_equal(first.probabilities, again.probabilities)
    log = readings(desk)
    assert [each["read_back"] for each in log] == [False] * 6 + [True] * 6
    assert log[0]["round"] == "fold 1 of 6" and log[0]["model"] == "mlp" and sum(each["n_clips"] for each in log) == 128


@pytest.mark.parametrize("change", [{"hyperparameters": {**QUICK, "hidden": 8}}, {"seed": 3}, {"n_copies": 1}])
def test_other_settings_are_other_rounds(clips, desk, change):
    rows = of(clips, "ravdess")
    assessment.held_out(MLP, rows, "speaker", desk)
    assessment.held_out(replace(MLP, config=replace(MLP.config, **change)), rows, "speaker", desk)
    assert not any(each["read_back"] for each in readings(desk))


def test_a_damaged_round_is_trained_again(clips, desk):
    rows = of(clips, "ravdess")
    first = assessment.held_out(MLP, rows, "speaker", desk)
    for path, text in zip(
        sorted(desk.results.glob("mlp-*.json")), ("{", "[]", '{"clips": [900]}', '{"clips": [1e999]}'), strict=False
    ):
        path.write_text(text)
    np.testing.assert_array_equal(assessment.held_out(MLP, rows, "speaker", desk).probabilities, first.probabilities)
    assert sum(each["read_back"] for each in readings(desk)) == 2


def test_a_stopped_measurement_goes_on_where_it_was(clips, desk):
    rows = of(clips, "ravdess")
    fractions: list[float] = []
    stopping = replace(
        desk,
        on_progress=lambda fraction, text: fractions.append(fraction),
        should_stop=lambda: len(list(desk.results.glob("mlp-*.json"))) >= 2 if desk.results.exists() else False,
    )
    with pytest.raises(training.Stopped):
        assessment.held_out(MLP, rows, "speaker", stopping)
    assert fractions == sorted(fractions) and 0 < fractions[-1] < 1
    assessment.held_out(MLP, rows, "speaker", desk)
    assert sum(each["read_back"] for each in readings(desk)) == 2


def test_a_trained_model_says_what_it_has_heard(clips, desk):
    rows = of(clips, "ravdess")
    card = store.read_card("knn", desk.models)
    ravdess = ({"corpus": "ravdess"},)
    told = {
        "speakers": {"train": {"speakers": ["ravdess:01", "ravdess:02"]}, "validation": {"speakers": ["ravdess:03"]}},
        "clips": {
            "train": {"speakers": ["ravdess:01"], "clips": {"ravdess": [rows[corpora.NAME][0]]}},
            "validation": {"speakers": []},
        },
    }
    by_speaker = exposure.heard(replace(card, corpora=ravdess, split=told["speakers"]), rows)
    assert assessment.shares(by_speaker) == {"clip": 0.25, "speaker": 0.25, "chosen": 0.125, "untold": 0}
    assert "25% of these clips it was trained on" in assessment.warning(by_speaker)
    by_clip = exposure.heard(replace(card, corpora=ravdess, split=told["clips"]), rows)
    assert assessment.shares(by_clip) == {"clip": 1 / 64, "speaker": 0.125, "chosen": 0, "untold": 0}
    assert assessment.shares(exposure.heard(replace(card, corpora=ravdess), rows))["untold"] == 1
    assert (
        assessment.warning(exposure.heard(replace(card, corpora=ravdess, split=told["speakers"]), of(clips, "tess")))
        == ""
    )


def test_copies_of_a_known_corpus_under_another_name_are_recognised(clips, desk):
    rows = of(clips, "ravdess")
    mine = rows.assign(corpus="mine", speaker="mine:a", name="happy/" + rows[corpora.NAME])
    card = replace(
        store.read_card("knn", desk.models),
        corpora=({"corpus": "ravdess"},),
        split={"train": {"speakers": ["ravdess:01"]}},
    )
    assert assessment.shares(exposure.heard(card, mine))["clip"] == 0.125


def test_the_shipped_cards_tell_whom_they_heard(clips):
    for slug in store.SHIPPED:
        card = store.read_card(slug)
        found = exposure.heard(card, clips)
        assert (found.speaker | found.chosen).all() and not found.untold.any() and found.clip.any()


def test_trained_models_and_their_mean_are_scored(clips, desk):
    rows = of(clips, "tess")
    outcomes = [assessment.as_trained(store.read_card(slug, desk.models), rows, desk) for slug in ("knn", "mlp")]
    both = assessment.mean(outcomes)
    np.testing.assert_allclose(both.probabilities, (outcomes[0].probabilities + outcomes[1].probabilities) / 2)
    told = assessment.to_dict(both)
    assert (
        told["protocol"] == "as trained" and told["heard"]["clip"] == 0 and told["n_clips"] == 24 and "seen" not in told
    )
    with pytest.raises(ConfigError, match="same clips"):
        assessment.mean(
            [outcomes[0], assessment.as_trained(store.read_card("knn", desk.models), of(clips, "ravdess"), desk)]
        )


def test_a_recipe_is_what_the_card_says(desk):
    card = store.read_card("knn", desk.models)
    known = replace(
        card,
        hyperparameters={"hidden": 8, "seed": 4, "old": 1},
        training={"n_copies": 1, "seed": 4, "effects": {"gain": 1.0}},
    )
    recipe = assessment.recipe_of(known)
    assert recipe.config == TrainingConfig(classifier="mlp", hyperparameters={"hidden": 8}, n_copies=1, seed=4)
    assert recipe.effects == {"gain": 1.0}
    with pytest.raises(ModelError, match="went on from the weights of 'cnn'"):
        assessment.recipe_of(replace(card, training={"start_from": "cnn"}))
    for slug in store.SHIPPED:
        shipped = assessment.recipe_of(store.read_card(slug))
        assert (
            classifiers.check(shipped.config.classifier, shipped.config.hyperparameters)
            and shipped.config.labels == corpora.LABELS
        )


def test_a_model_that_went_on_from_another_has_heard_what_that_one_heard(clips, desk, tmp_path):
    rows = of(clips, "ravdess")
    card = replace(store.read_card("knn", desk.models), training={"start_from": "gone"})
    assert assessment.heard_by(card, rows, desk.models).untold.all()
    card = replace(card, training={"start_from": "cnn"}, split={"train": {"speakers": ["x"]}})
    assert not assessment.heard_by(card, rows, desk.models).any.any()


def test_rows_can_be_taken_apart_and_chosen(clips, desk):
    rows = of(clips, "tess")
    data = dataset.build(rows, n_copies=1, cache=desk.cache)
    split, table = dataset.apart(data, rows)
    assert (
        len(table) == 48
        and table[corpora.NAME].is_unique
        and (split.clip == np.arange(48)).all()
        and not split.copy.any()
    )
    assert table[corpora.NAME][1] == table[corpora.NAME][0] + "#1"
    wanted = np.arange(len(rows)) % 3 == 0
    part = dataset.select(data, wanted)
    np.testing.assert_array_equal(part.vectors, data.vectors[wanted[data.clip]])
    np.testing.assert_array_equal(part.clip, np.repeat(np.arange(wanted.sum()), 2))
    np.testing.assert_array_equal(part.windows, data.windows[wanted[data.clip[data.window_row]]])
    assert len(set(part.window_row)) == len(part.clip) == len(part.facts)


def test_every_protocol_has_a_row_that_says_what_it_is_worth():
    assert list(protocols.PROTOCOLS) == ["leaky", "random", "sentence", "speaker", "cross-corpus"]
    assert all(row.worth and row.held_out for row in protocols.PROTOCOLS.values())
