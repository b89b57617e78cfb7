"""The leakage lab on small synthetic corpora: which switch lets what through, the ladder, the presets, and the shipped results."""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ser_core import background, cli, corpora, dataset, lab, training
from ser_core.assessment import Desk
from ser_core.errors import ConfigError
from ser_core.lab import Switches
from tests import tiny_corpora


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return tiny_corpora.build(tmp_path_factory.mktemp("corpora"))


@pytest.fixture(scope="module")
def clips(base) -> pd.DataFrame:
    return corpora.scan("tess", base / "tess")


@pytest.fixture
def desk(tmp_path, tmp_path_factory) -> Desk:
    return Desk(cache=tmp_path_factory.getbasetemp() / "lab-cache", results=tmp_path / "results")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Few epochs: what is learned does not matter here."""
    monkeypatch.setattr(lab, "CLASSIFIERS", {"knn": {"n_neighbors": 3}, "mlp": {"epochs": 2, "hidden": 8}})


@pytest.mark.parametrize(
    ("switches", "n_clips", "seen"),
    [
        (Switches(), 24, {"speaker": 0, "sentence": 1, "twin": 0}),
        (Switches(split="sentence"), 24, {"speaker": 1, "sentence": 0, "twin": 0}),
        (Switches(split="random"), 24, {"speaker": 1, "sentence": 1, "twin": 0}),
        (Switches(split="random", augment="after"), 24, {"speaker": 1, "sentence": 1, "twin": 0}),
        (Switches(augment="before"), 48, {"speaker": 0, "sentence": 1, "twin": 0}),
        (Switches(twins=True), 48, {"speaker": 0, "sentence": 1, "twin": 0}),
    ],
)
def test_a_clean_switch_lets_nothing_through(clips, desk, switches, n_clips, seen):
    found = lab.study(switches, clips, desk)
    assert (found.n_clips, dict(found.seen), found.protocol) == (n_clips, seen, switches.split)


@pytest.mark.parametrize("leak", [{"augment": "before"}, {"twins": True}])
def test_copies_before_a_random_split_fall_on_both_sides(clips, desk, leak):
    found = lab.study(Switches(split="random", **leak), clips, desk)
    assert found.n_clips == 48 and found.seen["twin"] > 0.5


def test_a_scaler_on_all_sees_the_test_clips(clips, desk):
    data = dataset.build(clips, with_windows=False, cache=desk.cache)
    digest = np.array(clips[corpora.NAME])
    _, _, scaled = lab._prepared(Switches(scaler="all"), clips, digest, data)
    _, _, left = lab._prepared(Switches(), clips, digest, data)
    assert np.abs(scaled.vectors.mean(axis=0)).max() < 1e-3 and left.vectors is data.vectors


@pytest.mark.parametrize(("part", "inside"), [("test", True), ("validation", False)])
def test_the_part_that_chooses_the_epoch_is_the_switch_s(clips, desk, monkeypatch, part, inside):
    asked = []
    train = training.train

    def spy(*arguments, **options):
        asked.append(options)
        return train(*arguments, **options)

    monkeypatch.setattr(training, "train", spy)
    lab.study(Switches(early_stopping=part), clips, desk)
    for options in asked:
        assert (options["validation_mask"] is not None) == inside
        assert options["train_mask"].all() == inside


def test_a_classifier_without_epochs_has_no_epoch_to_choose(clips, desk):
    assert Switches(classifier="knn", early_stopping="test").usual == Switches(classifier="knn")
    assert len(set(lab.combinations())) == 3 * 3 * 2 * 2 * 2 and {each.classifier for each in lab.combinations()} == {
        "mlp"
    }


def test_rounds_are_told_as_they_end_and_a_finished_study_is_read_back(clips, desk, monkeypatch):
    told = []
    first = lab.study(
        Switches(), clips, desk, on_round=lambda done, of, figures: told.append((done, of, figures.n_clips))
    )
    assert told == [(1, 2, 12), (2, 2, 24)]
    monkeypatch.setattr(training, "train", lambda *_, **__: pytest.fail("trained again"))
    assert lab.study(Switches(), clips, desk) == first


def test_a_study_can_be_stopped(clips, desk):
    said: list[str] = []
    stopping = replace(
        desk, on_progress=lambda _, text: said.append(text), should_stop=lambda: "Training 2 of 2" in said
    )
    with pytest.raises(training.Stopped):
        lab.study(Switches(), clips, stopping)
    assert not desk.results.exists()


def test_the_ladder_closes_one_leak_at_a_time():
    worst = Switches(split="random", augment="before", scaler="all", early_stopping="test", twins=True)
    steps = lab.ladder(worst)
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
    assert steps[-1][1] == Switches(augment="after")
    assert lab.ladder(Switches()) == [("As chosen", Switches())]


def test_a_preset_takes_the_corpora_that_are_here(base):
    tables = {name: corpora.scan(name, base / name) for name in ("ravdess", "tess")}
    for preset in lab.PRESETS.values():
        found = lab.preset_clips(preset, tables)
        assert found is not None and set(found[corpora.CORPUS]) == set(preset.corpora) & set(tables)
        assert len(lab.ladder(preset.switches)) > 1 and "%" in preset.claim
    assert lab.preset_clips(lab.PRESETS["two voices"], {"ravdess": tables["ravdess"]}) is None


def test_a_wrong_switch_is_refused():
    with pytest.raises(ConfigError, match="split must be one of random, sentence, speaker"):
        Switches(split="hope")


def test_the_shipped_results_have_every_study_and_fall_as_leaks_are_closed():
    shipped = lab.read_results()
    assert set(shipped) == set(lab.combinations())
    for row in shipped.values():
        low, high = row["interval"]["accuracy"]
        assert 0 <= low <= row["accuracy"] <= high <= 1 and row["chance"] == pytest.approx(1 / 8)
        assert (row["seen"]["speaker"] == 0) == (row["split"] == "speaker")
    worst = Switches(split="random", augment="before", scaler="all", early_stopping="test", twins=True)
    first, *_, last = (shipped[each]["accuracy"] for _, each in lab.ladder(worst))
    assert first - last > 0.2


def test_damaged_results_are_said(tmp_path):
    (tmp_path / "lab.json").write_text("{")
    with pytest.raises(ConfigError, match=r"The lab's results in 'lab\.json' cannot be read"):
        lab.read_results(tmp_path / "lab.json")


@pytest.fixture
def shell(base, tmp_path, tmp_path_factory, monkeypatch):
    monkeypatch.setattr(background, "settle", lambda: None)
    monkeypatch.setenv("SER_CORPORA", str(base))
    places = ["--results", str(tmp_path), "--cache", str(tmp_path_factory.getbasetemp() / "lab-cache")]
    return lambda *given: cli.main(["lab", *given, *places])


def test_a_shell_prints_the_ladder(shell, capsys):
    assert shell("--corpus", "tess", "--split", "random", "--twins", "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["step"] for row in rows] == ["As chosen", "Second copies out", "Speakers held out"]
    assert shell("--preset", "two voices") == 0
    said = capsys.readouterr()
    assert "96.90 % accuracy" in said.err and said.out.count("accuracy") == 3


def test_every_setting_can_be_written_to_a_file(shell, tmp_path, monkeypatch, capsys):
    few = [Switches(), Switches(split="random")]
    monkeypatch.setattr(lab, "combinations", lambda: few)
    assert shell("--corpus", "tess", "--every", str(tmp_path / "all.json")) == 0
    assert list(lab.read_results(tmp_path / "all.json")) == few
    assert lab.command(tmp_path / "none.json") == ""
    assert lab.command(tmp_path / "all.json") == "python -m ser_core lab --corpus tess=DIR --every all.json"


@pytest.mark.parametrize(
    ("given", "words"),
    [([], "Say on what"), (["--preset", "hope"], "no preset 'hope'"), (["--corpus", "tess", "--jobs", "0"], "--jobs")],
)
def test_what_cannot_be_had_is_said(shell, capsys, given, words):
    assert shell(*given) == 2
    assert words in capsys.readouterr().err
