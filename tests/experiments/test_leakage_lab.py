"""The leakage lab on small synthetic corpora: which switch lets what through, the ladder, the presets, and the shipped results."""

from __future__ import annotations

import itertools
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from ser_core.corpora import catalogue, scan
from ser_core.dataset import build
from ser_core.errors import ConfigError, Stopped
from ser_core.experiments import leakage_lab
from ser_core.experiments.leakage_lab import LeakageSettings
from ser_core.experiments.workspace import Workspace
from ser_core.training import fit
from tests.support import corpora


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return corpora.build(tmp_path_factory.mktemp("corpora"))


@pytest.fixture(scope="module")
def clips(base) -> pd.DataFrame:
    return scan.scan("tess", base / "tess")


@pytest.fixture
def desk(tmp_path, tmp_path_factory) -> Workspace:
    return Workspace(cache=tmp_path_factory.getbasetemp() / "lab-cache", results=tmp_path / "results")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Few epochs: what is learned does not matter here."""
    monkeypatch.setattr(leakage_lab, "CLASSIFIERS", {"knn": {"n_neighbors": 3}, "mlp": {"epochs": 2, "hidden": 8}})


@pytest.mark.parametrize(
    ("switches", "n_clips", "seen"),
    [
        (LeakageSettings(), 24, {"speaker": 0, "sentence": 1, "twin": 0}),
        (LeakageSettings(split="sentence"), 24, {"speaker": 1, "sentence": 0, "twin": 0}),
        (LeakageSettings(split="random"), 24, {"speaker": 1, "sentence": 1, "twin": 0}),
        (LeakageSettings(split="random", augment="after"), 24, {"speaker": 1, "sentence": 1, "twin": 0}),
        (LeakageSettings(augment="before"), 48, {"speaker": 0, "sentence": 1, "twin": 0}),
        (LeakageSettings(twins=True), 48, {"speaker": 0, "sentence": 1, "twin": 0}),
    ],
)
def test_a_clean_switch_lets_nothing_through(clips, desk, switches, n_clips, seen):
    found = leakage_lab.study(switches, clips, desk)
    assert (found.n_clips, dict(found.seen), found.protocol) == (n_clips, seen, switches.split)


@pytest.mark.parametrize("leak", [{}, {"augment": "before"}, {"twins": True}])
def test_speakers_and_sentences_can_both_be_held_out(base, desk, leak):
    actors = scan.scan("ravdess", base / "ravdess")
    found = leakage_lab.study(LeakageSettings(split="speaker and sentence", **leak), actors, desk)
    assert found.n_clips == 64 * (1 + len(leak)) and set(found.seen.values()) == {0}


@pytest.mark.parametrize("leak", [{"augment": "before"}, {"twins": True}])
def test_copies_before_a_random_split_fall_on_both_sides(clips, desk, leak):
    found = leakage_lab.study(LeakageSettings(split="random", **leak), clips, desk)
    assert found.n_clips == 48 and found.seen["twin"] > 0.5


@pytest.fixture
def twice(clips, tmp_path) -> pd.DataFrame:
    """The corpus with some of its recordings once more, as FLAC under other names."""
    again = clips.iloc[::3].reset_index(drop=True)
    paths = [str(tmp_path / f"x{number}.flac") for number in range(len(again))]
    for path, copy in zip(again[catalogue.PATH], paths, strict=True):
        samples, rate = soundfile.read(path)
        soundfile.write(copy, samples, rate)
    again = again.assign(**{catalogue.PATH: paths, catalogue.NAME: [Path(path).stem for path in paths]})
    return pd.concat([clips, again], ignore_index=True)


@pytest.mark.parametrize("augment", ["none", "after"])
def test_second_copies_that_a_corpus_has_under_other_names_are_not_trained_on_where_they_are_tested(
    twice, desk, augment
):
    found = leakage_lab.study(LeakageSettings(split="random", augment=augment), twice, desk)
    assert found.n_clips == len(twice) and found.seen["twin"] == 0
    kept = leakage_lab.study(LeakageSettings(split="random", augment=augment, twins=True), twice, desk)
    assert kept.seen["twin"] > 0.5


def test_with_copies_made_before_the_split_second_copies_out_leaves_the_augmented_ones(twice, desk):
    both, one = (
        leakage_lab.study(LeakageSettings(split="random", augment="before", twins=twins), twice, desk).seen["twin"]
        for twins in (True, False)
    )
    assert 0 < one < both


def test_a_scaler_on_all_sees_the_test_clips(clips, desk):
    data = build.build(clips, kinds=["vector"], cache=desk.cache)
    digest = np.array(clips[catalogue.NAME])
    # private: the rows before they are split
    _, _, scaled = leakage_lab._prepared(LeakageSettings(scaler="all"), clips, digest, data)
    _, _, left = leakage_lab._prepared(LeakageSettings(), clips, digest, data)
    assert np.abs(scaled.vectors.mean(axis=0)).max() < 1e-3 and left.vectors is data.vectors


@pytest.mark.parametrize(("part", "inside"), [("test", True), ("validation", False)])
def test_the_part_that_chooses_the_epoch_is_the_switch_s(clips, desk, monkeypatch, part, inside):
    asked = []
    train = fit.train

    def spy(*arguments, **options):
        asked.append(options)
        return train(*arguments, **options)

    monkeypatch.setattr(fit, "train", spy)
    leakage_lab.study(LeakageSettings(early_stopping=part), clips, desk)
    for options in asked:
        assert (options["validation_mask"] is not None) == inside
        assert options["train_mask"].all() == inside


def test_a_classifier_without_epochs_has_no_epoch_to_choose(clips, desk):
    assert LeakageSettings(classifier="knn", early_stopping="test").usual == LeakageSettings(classifier="knn")
    assert len(set(leakage_lab.combinations())) == 3 * 3 * 2 * 2 * 2 and {
        each.classifier for each in leakage_lab.combinations()
    } == {"mlp"}


def test_rounds_are_told_as_they_end_and_a_finished_study_is_read_back(clips, desk, monkeypatch):
    told = []
    first = leakage_lab.study(
        LeakageSettings(), clips, desk, on_round=lambda done, of, figures: told.append((done, of, figures.n_clips))
    )
    assert told == [(1, 2, 12), (2, 2, 24)]
    monkeypatch.setattr(fit, "train", lambda *_, **__: pytest.fail("trained again"))
    assert leakage_lab.study(LeakageSettings(), clips, desk) == first


def test_a_study_can_be_stopped(clips, desk):
    said: list[str] = []
    stopping = replace(
        desk, on_progress=lambda _, text: said.append(text), should_stop=lambda: "Training 2 of 2" in said
    )
    with pytest.raises(Stopped):
        leakage_lab.study(LeakageSettings(), clips, stopping)
    assert not desk.results.exists()


def test_the_ladder_closes_one_leak_at_a_time():
    worst = LeakageSettings(split="random", augment="before", scaler="all", early_stopping="test", twins=True)
    steps = leakage_lab.ladder(worst)
    assert [title for title, _ in steps] == [
        "As chosen",
        "Second copies out",
        "Augmented after the split",
        "Scaler on the training part",
        "Epoch chosen on other clips",
        "Speakers held out",
    ]
    for (_, one), (_, other) in itertools.pairwise(steps):
        assert sum(a != b for a, b in zip(asdict(one).values(), asdict(other).values(), strict=True)) == 1
    assert steps[-1][1] == LeakageSettings(augment="after")
    assert leakage_lab.ladder(LeakageSettings()) == [("As chosen", LeakageSettings())]


def test_sentences_that_give_the_emotion_away_are_one_more_leak_to_close():
    both = LeakageSettings(split="speaker and sentence")
    titles = [title for title, _ in leakage_lab.ladder(LeakageSettings(split="random"), telling=True)]
    assert titles == ["As chosen", "Speakers held out", "Telling sentences held out"]
    assert leakage_lab.ladder(LeakageSettings(), telling=True)[-1] == ("Telling sentences held out", both)
    assert leakage_lab.ladder(LeakageSettings(split="sentence"), telling=True)[1:] == [("Speakers held out", both)]
    assert [len(leakage_lab.ladder(both, telling=telling)) for telling in (True, False)] == [1, 1]
    assert [leakage_lab.without_sentences(split) for split in leakage_lab.SPLITS] == [
        "sentence",
        "sentence",
        "speaker and sentence",
    ]


def test_a_preset_takes_the_corpora_that_are_here(base):
    tables = {name: scan.scan(name, base / name) for name in ("ravdess", "tess")}
    for preset in leakage_lab.PRESETS.values():
        found = leakage_lab.preset_clips(preset, tables)
        assert found is not None and set(found[catalogue.CORPUS]) == set(preset.corpora) & set(tables)
        assert len(leakage_lab.ladder(preset.settings)) > 1 and "%" in preset.claim
    assert leakage_lab.preset_clips(leakage_lab.PRESETS["two voices"], {"ravdess": tables["ravdess"]}) is None


def test_a_wrong_switch_is_refused():
    with pytest.raises(ConfigError, match="split must be one of random, sentence, speaker, speaker and sentence"):
        LeakageSettings(split="hope")


def test_the_shipped_results_have_every_study_and_fall_as_leaks_are_closed():
    shipped = leakage_lab.read_results()
    assert set(shipped) == set(leakage_lab.combinations())
    for row in shipped.values():
        low, high = row["interval"]["accuracy"]
        assert 0 <= low <= row["accuracy"] <= high <= 1 and row["chance"] == pytest.approx(1 / 8)
        assert (row["seen"]["speaker"] == 0) == (row["split"] == "speaker")
    worst = LeakageSettings(split="random", augment="before", scaler="all", early_stopping="test", twins=True)
    first, *_, last = (shipped[each]["accuracy"] for _, each in leakage_lab.ladder(worst))
    assert first - last > 0.2


def test_damaged_results_are_said(tmp_path):
    (tmp_path / "lab.json").write_text("{")
    with pytest.raises(ConfigError, match=r"The lab's results in 'lab\.json' cannot be read"):
        leakage_lab.read_results(tmp_path / "lab.json")
