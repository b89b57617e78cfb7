"""Recipes and models measured on small synthetic corpora: the figures, what was heard before, resuming, and the log."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from ser_core.corpora import catalogue
from ser_core.dataset import build, protocols
from ser_core.errors import ConfigError, CorpusError, Stopped
from ser_core.experiments import measure, workspace
from ser_core.experiments.outcome import figures, mean, to_dict
from ser_core.experiments.recipe import Recipe
from ser_core.experiments.workspace import Workspace
from ser_core.features.config import FeatureConfig
from ser_core.metrics import evaluation
from ser_core.recognition import store
from ser_core.training import contamination, fit
from ser_core.training.fit import FitConfig

SMALL = FeatureConfig(n_mels=16, n_mfcc=6)
QUICK = {"hidden": 16, "epochs": 12, "learning_rate": 3e-3}
MLP = Recipe(name="mlp", config=FitConfig(classifier="mlp", hyperparameters=QUICK, n_copies=0, features=SMALL))


def of(clips: pd.DataFrame, *names: str) -> pd.DataFrame:
    return clips[clips[catalogue.CORPUS].isin(names)].reset_index(drop=True)


def readings(desk: Workspace) -> list[dict]:
    return [json.loads(line) for line in (desk.results / workspace.READINGS).read_text().splitlines()]


@pytest.mark.parametrize("protocol", ["leaky", "random", "speaker"])
def test_every_clip_is_answered_once_by_a_training_without_it(clips, desk, protocol):
    outcome = measure.held_out(MLP, of(clips, "ravdess"), protocol, desk)
    copies = 2 if protocol == "leaky" else 1
    assert len(outcome.y) == 64 * copies and outcome.clips[catalogue.NAME].is_unique
    made = figures(outcome)["ravdess"]
    assert made.protocol == protocol and made.accuracy > 0.5 and made.curves and made.human is None
    assert made.seen["speaker"] == (0.0 if protocol == "speaker" else 1.0) and made.seen["sentence"] == 1.0
    assert (made.seen["twin"] > 0.5) == (protocol == "leaky")


def test_several_corpora_give_figures_over_all_and_by_corpus(clips, desk):
    told = to_dict(measure.held_out(MLP, clips, "speaker", desk))
    assert (
        told["model"] == "mlp"
        and told["corpus"] == "all corpora"
        and told["n_clips"] == 88
        and told["n_test_speakers"] == 10
    )
    assert {name: each["n_clips"] for name, each in told["per_corpus"].items()} == {"ravdess": 64, "tess": 24}
    assert evaluation.Evaluation.from_dict(told["per_corpus"]["tess"]).n_test_speakers == 2


def test_across_corpora_only_shared_labels_count(clips, desk):
    outcome = measure.held_out(MLP, clips, "cross-corpus", desk)
    assert outcome.labels == ("neutral", "happy", "sad")
    assert outcome.clips[catalogue.CORPUS].value_counts().to_dict() == {"ravdess": 48, "tess": 24}
    assert not outcome.seen["speaker"].any() and not outcome.seen["twin"].any()


def test_a_twin_under_another_name_is_found(clips, base, tmp_path):
    rows = of(clips, "ravdess")
    same = Path(rows[catalogue.PATH][0]).read_bytes()
    copy = tmp_path / "twin.wav"
    copy.write_bytes(same)
    rows.loc[5, catalogue.PATH] = str(copy)
    train, test = np.arange(len(rows)) < 5, np.arange(len(rows)) >= 5
    assert contamination.seen(rows, contamination.digests(rows), train, test)["twin"].tolist() == [True] + [False] * (
        len(rows) - 6
    )


def test_finished_rounds_are_read_back_and_every_reading_is_logged(clips, desk, monkeypatch):
    rows = of(clips, "ravdess")
    first = measure.held_out(MLP, rows, "speaker", desk)
    monkeypatch.setattr(fit, "train_fold", lambda *_, **__: pytest.fail("trained again"))
    again = measure.held_out(MLP, rows, "speaker", desk)
    np.testing.assert_array_equal(first.probabilities, again.probabilities)
    log = readings(desk)
    assert [each["read_back"] for each in log] == [False] * 6 + [True] * 6
    assert log[0]["round"] == "fold 1 of 6" and log[0]["model"] == "mlp" and sum(each["n_clips"] for each in log) == 128


@pytest.mark.parametrize("change", [{"hyperparameters": {**QUICK, "hidden": 8}}, {"seed": 3}, {"n_copies": 1}])
def test_other_settings_are_other_rounds(clips, desk, change):
    rows = of(clips, "ravdess")
    measure.held_out(MLP, rows, "speaker", desk)
    measure.held_out(replace(MLP, config=replace(MLP.config, **change)), rows, "speaker", desk)
    assert not any(each["read_back"] for each in readings(desk))


def test_a_damaged_round_is_trained_again(clips, desk):
    rows = of(clips, "ravdess")
    first = measure.held_out(MLP, rows, "speaker", desk)
    for path, text in zip(
        sorted(desk.results.glob("mlp-*.json")), ("{", "[]", '{"clips": [900]}', '{"clips": [1e999]}'), strict=False
    ):
        path.write_text(text)
    np.testing.assert_array_equal(measure.held_out(MLP, rows, "speaker", desk).probabilities, first.probabilities)
    assert sum(each["read_back"] for each in readings(desk)) == 2


def test_a_stopped_measurement_goes_on_where_it_was(clips, desk):
    rows = of(clips, "ravdess")
    fractions: list[float] = []
    stopping = replace(
        desk,
        on_progress=lambda fraction, text: fractions.append(fraction),
        should_stop=lambda: len(list(desk.results.glob("mlp-*.json"))) >= 2 if desk.results.exists() else False,
    )
    with pytest.raises(Stopped):
        measure.held_out(MLP, rows, "speaker", stopping)
    assert fractions == sorted(fractions) and 0 < fractions[-1] < 1
    measure.held_out(MLP, rows, "speaker", desk)
    assert sum(each["read_back"] for each in readings(desk)) == 2


def test_trained_models_and_their_mean_are_scored(clips, desk):
    rows = of(clips, "tess")
    outcomes = [measure.as_trained(store.read_card(slug, desk.models), rows, desk) for slug in ("knn", "mlp")]
    both = mean(outcomes)
    np.testing.assert_allclose(both.probabilities, (outcomes[0].probabilities + outcomes[1].probabilities) / 2)
    told = to_dict(both)
    assert (
        told["protocol"] == "as trained" and told["heard"]["clip"] == 0 and told["n_clips"] == 24 and "seen" not in told
    )
    with pytest.raises(ConfigError, match="same clips"):
        mean([outcomes[0], measure.as_trained(store.read_card("knn", desk.models), of(clips, "ravdess"), desk)])


def test_rows_can_be_taken_apart_and_chosen(clips, desk):
    rows = of(clips, "tess")
    data = build.build(rows, n_copies=1, cache=desk.cache)
    split, table = build.split_copies(data, rows)
    assert (
        len(table) == 48
        and table[catalogue.NAME].is_unique
        and (split.clip == np.arange(48)).all()
        and not split.copy.any()
    )
    assert table[catalogue.NAME][1] == table[catalogue.NAME][0] + "#1"
    wanted = np.arange(len(rows)) % 3 == 0
    part = build.subset(data, wanted)
    np.testing.assert_array_equal(part.vectors, data.vectors[wanted[data.clip]])
    np.testing.assert_array_equal(part.clip, np.repeat(np.arange(wanted.sum()), 2))
    np.testing.assert_array_equal(part.windows, data.windows[wanted[data.clip[data.window_row]]])
    assert len(set(part.window_row)) == len(part.clip) == len(part.facts)


def test_a_corpus_that_is_another_one_under_other_names_teaches_nothing_of_what_is_tested(clips, desk, tmp_path):
    rows = of(clips, "ravdess")
    copied = []
    for number, path in enumerate(rows[catalogue.PATH]):
        samples, rate = soundfile.read(path)
        copied.append(str(tmp_path / f"x{number}.flac"))
        soundfile.write(copied[-1], samples, rate)
    mine = rows.assign(
        **{
            catalogue.CORPUS: "mine",
            catalogue.PATH: copied,
            catalogue.NAME: [f"x{number}" for number in range(len(copied))],
            catalogue.SPEAKER: "mine:" + rows[catalogue.SPEAKER].str.partition(":")[2],
        }
    )
    both = pd.concat([rows, mine], ignore_index=True)
    outcome = measure.held_out(MLP, both, "speaker", desk, tested=(both[catalogue.CORPUS] == "ravdess").to_numpy())
    assert not outcome.seen["twin"].any()
    assert (
        "64 recordings occur more than once" in outcome.doubles
        and "not trained on under another name" in outcome.doubles
    )
    assert to_dict(outcome)["doubles"] == outcome.doubles
    leaky = measure.held_out(MLP, both, "leaky", desk, tested=(both[catalogue.CORPUS] == "ravdess").to_numpy())
    assert leaky.doubles.endswith("they fall on both sides.")
    with pytest.raises(CorpusError, match="are the recordings that are tested, under other names"):
        measure.held_out(MLP, both, "cross-corpus", desk)


def test_a_recording_under_two_names_is_in_no_babble(clips):
    """One of them is tested while the other may surround what is trained on."""
    table = of(clips, "ravdess")
    rounds = protocols.rounds(table, "speaker", tested=np.ones(len(table), bool))
    sounds = np.arange(len(table)).astype(str)
    sounds[1] = sounds[0]
    twins = set(table[catalogue.PATH][:2])
    around = measure._around  # what surrounds a clip is heard in no result
    assert any(twins & set(each) for each in around(table, rounds, None))
    assert not any(twins & set(each) for each in around(table, rounds, sounds))
