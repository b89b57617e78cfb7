"""Trained models under conditions, on tiny models and small corpora of synthetic voices: which clips, what is kept, what is said."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ser_core.corpora import catalogue, scan
from ser_core.dataset import degraded
from ser_core.errors import ConfigError, CorpusError, Stopped
from ser_core.experiments import measure, outcome, robustness, workspace
from ser_core.experiments.workspace import Workspace
from ser_core.recognition import store
from ser_core.recognition.card import ModelCard
from ser_core.training import contamination

NAMES = ["white", "babble"]


@pytest.fixture(scope="module")
def clips(base) -> pd.DataFrame:
    return scan.scan("ravdess", base / "corpora" / "ravdess")


def cards(desk: Workspace, *slugs: str) -> list[ModelCard]:
    return [store.read_card(slug, desk.models) for slug in slugs]


@pytest.mark.parametrize(("n", "of_label", "of_speaker"), [(8, 2, 1), (16, 4, 2), (500, 16, 8)])
def test_labels_and_speakers_take_turns(clips, n, of_label, of_speaker):
    chosen = robustness.choose(clips, n, rng=np.random.default_rng(0))
    assert set(chosen[catalogue.EMOTION].value_counts()) == {of_label} and set(
        chosen[catalogue.SPEAKER].value_counts()
    ) == {of_speaker}
    assert chosen[catalogue.PATH].is_unique and list(chosen.index) == list(range(len(chosen)))


def test_the_same_seed_draws_the_same_clips(clips):
    first, again, other = (robustness.choose(clips, 10, rng=np.random.default_rng(seed)) for seed in (0, 0, 1))
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)


def test_every_level_is_a_row_and_a_loss_is_against_the_clean_clips(clips, desk):
    parts = []
    found = robustness.measure(cards(desk, "knn", "cnn"), clips, NAMES, desk, n_clips=8, on_part=parts.append)
    rows = found.rows.set_index(["model", "condition"])
    assert list(found.rows.columns) == list(robustness.COLUMNS)
    assert list(rows.loc[("cnn", "white"), "level"]) == [30, 20, 10, 0] and rows.loc[("cnn", "clean"), "lost"] == 0
    clean = float(rows.loc[("knn", "clean"), "uar"])
    under = rows.loc[("knn", "babble")]
    assert (
        under["lost"].to_numpy() == pytest.approx(clean - under["uar"].to_numpy())
        and (found.rows["n_clips"] == 8).all()
    )
    assert [len(part.rows) for part in parts] == [2, 10, 18]
    worst = robustness.worst(found.rows).set_index(["model", "condition"])["lost"]
    assert len(worst) == 4 and worst["knn", "babble"] == under["lost"].max()


def test_clean_clips_are_answered_as_the_score_tab_answers_them(clips, desk, tmp_path):
    """One feature path: the clean row equals the outcome of a model scored as it is."""
    card = cards(desk, "mlp")[0]
    found = robustness.measure([card], clips, [], desk, n_clips=64)
    scored = outcome.figures(measure.as_trained(card, clips, replace(desk, cache=tmp_path / "cache")))["ravdess"]
    row = found.rows.iloc[0]
    assert (row["n_clips"], row["accuracy"], row["uar"]) == (64, scored.accuracy, pytest.approx(scored.uar))


def test_a_finished_condition_is_read_back_and_a_stopped_one_goes_on(clips, desk, monkeypatch):
    heard: list[str] = []
    # private: how often a clip is decoded
    original = degraded._hear
    monkeypatch.setattr(
        degraded, "_hear", lambda task, *, config: heard.append(task.condition) or original(task, config=config)
    )
    stopping = replace(desk, should_stop=lambda: heard[-1:] == ["babble"])
    with pytest.raises(Stopped, match="need not be measured again"):
        robustness.measure(cards(desk, "knn"), clips, NAMES, stopping, n_clips=4)
    assert heard == ["clean"] * 4 + ["white"] * 4 + ["babble"]
    heard.clear()
    first = robustness.measure(cards(desk, "knn"), clips, NAMES, desk, n_clips=4)
    assert heard == ["babble"] * 4
    again = robustness.measure(cards(desk, "knn"), clips, NAMES, desk, n_clips=4)
    assert heard == ["babble"] * 4
    pd.testing.assert_frame_equal(first.rows, again.rows)
    robustness.measure(cards(desk, "knn"), clips, ["white"], desk, n_clips=5)
    assert len(heard) == 4 + 2 * 5, "other clips are another measurement"
    lines = (desk.results / workspace.READINGS).read_text().splitlines()
    assert json.loads(lines[0])["conditions"] == ["clean", *NAMES]


def test_several_models_hear_a_clip_once(clips, desk, monkeypatch):
    heard = []
    original = degraded._hear
    monkeypatch.setattr(
        degraded, "_hear", lambda task, *, config: heard.append(task.path) or original(task, config=config)
    )
    robustness.measure(cards(desk, "knn", "mlp", "cnn"), clips, [], desk, n_clips=4)
    assert len(heard) == len(set(heard)) == 4


def test_babble_needs_a_second_speaker(clips, desk):
    one = clips[clips[catalogue.SPEAKER] == clips[catalogue.SPEAKER].iloc[0]]
    assert "babble" not in robustness.possible(one) and "babble" in robustness.possible(clips)
    with pytest.raises(CorpusError, match="leave babble out"):
        robustness.measure(cards(desk, "knn"), one, ["babble"], desk, n_clips=4)


def test_a_model_that_knows_the_speakers_is_marked(clips, desk):
    card = replace(
        cards(desk, "knn")[0], split={"train": {"speakers": ["ravdess:01"]}}, corpora=({"corpus": "ravdess"},)
    )
    found = robustness.measure([card], clips, [], desk, n_clips=8)
    assert found.heard["knn"].clip.sum() == 1 and "NOT A HELD-OUT FIGURE" in contamination.warning(found.heard["knn"])


def test_a_clip_that_cannot_be_read_is_left_out_and_said(clips, desk, tmp_path):
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"no sound")
    some = clips.head(6).copy()
    some.loc[some.index[0], catalogue.PATH] = str(broken)
    found = robustness.measure(cards(desk, "knn"), some, ["white"], desk, n_clips=6)
    assert (found.rows["n_clips"] == 5).all() and [path for path, _ in found.problems] == [str(broken)]


@pytest.mark.parametrize(
    ("names", "n", "words"),
    [(["rain"], 8, "no condition 'rain'"), ([], 0, "takes 1 to 2000 clips. Got 0"), ([], 9999, "Got 9999")],
)
def test_what_cannot_be_measured_is_said(clips, desk, names, n, words):
    with pytest.raises(ConfigError, match=words):
        robustness.measure(cards(desk, "knn"), clips, names, desk, n_clips=n)
