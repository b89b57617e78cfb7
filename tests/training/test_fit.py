"""One fit: which clips it learns from, what it answers, and when a stored fold is read back."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ser_core.dataset.build import Dataset
from ser_core.errors import CorpusError, Stopped
from ser_core.training import fit
from ser_core.training.fit import FitConfig
from tests.training.test_plan import clips

LABELS = ("neutral", "happy")
CONFIG = FitConfig(classifier="lda", labels=LABELS)


@pytest.fixture
def table() -> pd.DataFrame:
    """48 clips of 8 speakers of RAVDESS."""
    return clips("ravdess", n_each=3, labels=LABELS, speakers=8)


@pytest.fixture
def data(table) -> Dataset:
    """Points around a centre a label."""
    n = len(table)
    centre = 3 * fit.targets(table, LABELS)[:, np.newaxis]
    return Dataset(
        vectors=(np.random.default_rng(0).normal(size=(n, 4)) + centre).astype(np.float32),
        embeddings=np.zeros((n, 0), np.float32),
        windows=np.zeros((0, 16, 8), np.float16),
        window_row=np.zeros(0, int),
        clip=np.arange(n),
        copy=np.zeros(n, int),
        problems=(),
        facts=pd.DataFrame(),
    )


@pytest.fixture
def folds(table) -> np.ndarray:
    """Four folds of two speakers each, int (n_clips,)."""
    return pd.factorize(table["speaker"])[0] // 2


def test_clips_of_other_labels_are_left_out_and_the_rest_is_numbered_anew(table):
    table.loc[0, "emotion"] = "sad"
    kept = fit.usable(table, LABELS)
    assert len(kept) == len(table) - 1 and kept.index.tolist() == list(range(len(kept)))
    with pytest.raises(CorpusError, match="None of the 48 clips has one of the labels calm, fear"):
        fit.usable(table, ("calm", "fear"))


def test_targets_are_positions_in_the_labels(table):
    assert fit.targets(table, LABELS).tolist() == (table["emotion"] == "happy").astype(int).tolist()
    assert fit.targets(table, LABELS[::-1]).tolist() == (table["emotion"] == "neutral").astype(int).tolist()


def test_speakers_set_aside_are_told_and_are_among_those_allowed(table, data):
    allowed = table["speaker"].isin(table["speaker"].unique()[:5]).to_numpy()
    result = fit.train(table, data, CONFIG, train_mask=allowed)
    assert 0 < len(result.validation_speakers) < 5
    assert set(result.validation_speakers) <= set(table["speaker"][allowed])
    answers = fit.predict_rows(result.classifier, data, np.arange(len(table)), "lda")
    np.testing.assert_allclose(answers.sum(axis=1), 1.0, atol=1e-6)
    assert (answers.argmax(axis=1) == fit.targets(table, LABELS)).mean() > 0.9


@pytest.mark.filterwarnings("error:Only one sample")
@pytest.mark.parametrize("method", ["smote", "adasyn"])
def test_a_balance_that_has_nothing_to_do_is_told_and_the_training_goes_on(table, data, method):
    allowed = (table["emotion"] != "happy").to_numpy(copy=True)
    allowed[np.argmin(allowed)] = True  # one clip that is happy
    nobody = np.zeros(len(table), bool)
    result = fit.train(table, data, replace(CONFIG, balance=method), train_mask=allowed, validation_mask=nobody)
    (note,) = result.notes
    assert note.startswith(f"{method.upper()} made no clips of happy: there is nothing to interpolate.")


def test_one_label_cannot_be_learned(table, data):
    alone = (table["emotion"] == "happy").to_numpy()
    with pytest.raises(CorpusError, match="clips of happy alone to learn from; a model needs two labels"):
        fit.train(table, data, CONFIG, train_mask=alone)
    with pytest.raises(CorpusError, match="2 clips of 2 labels to learn from; a model needs more clips than labels"):
        fit.train(table, data, CONFIG, train_mask=np.isin(np.arange(48), [0, 3]), validation_mask=np.zeros(48, bool))


def test_a_fold_is_answered_by_a_training_without_it(table, data, folds):
    """Where the clips of one fold bear the other label, a model that has not heard them calls them by their place."""
    turned = table.assign(
        emotion=np.where(folds == 0, table["emotion"].map({"neutral": "happy", "happy": "neutral"}), table["emotion"])
    )
    told = fit.train_fold(turned, data, CONFIG, folds, 0)
    assert sorted(told["clips"]) == np.flatnonzero(folds == 0).tolist()
    right = np.argmax(told["probabilities"], axis=1) == fit.targets(turned, LABELS)[told["clips"]]
    assert right.mean() < 0.2


def test_every_clip_of_a_fold_is_answered_once_and_the_others_never(table, data, folds, tmp_path):
    folds = np.where(folds == 3, -1, folds)
    combined = fit.cross_validate(table, data, CONFIG, folds, folder=tmp_path)[fit.AS_RECORDED]
    np.testing.assert_allclose(combined.sum(axis=1), folds >= 0, atol=1e-5)


def test_finished_folds_are_read_back_and_a_damaged_one_is_trained_again(table, data, folds, tmp_path, monkeypatch):
    first = fit.cross_validate(table, data, CONFIG, folds, folder=tmp_path)[fit.AS_RECORDED]
    trained, train_fold = [], fit.train_fold
    monkeypatch.setattr(
        fit, "train_fold", lambda *given, **more: trained.append(given[4]) or train_fold(*given, **more)
    )
    again = fit.cross_validate(table, data, CONFIG, folds, folder=tmp_path)[fit.AS_RECORDED]
    np.testing.assert_array_equal(again, first)
    assert trained == []
    (damaged,) = tmp_path.glob("*-fold2.json")
    damaged.write_text(json.dumps({"clips": [0], "under": {}}))
    np.testing.assert_array_equal(fit.cross_validate(table, data, CONFIG, folds, folder=tmp_path)["as recorded"], first)
    assert trained == [2]


def test_a_stop_ends_a_fold_without_an_answer(table, data, folds):
    with pytest.raises(Stopped):
        fit.train_fold(table, data, CONFIG, folds, 0, should_stop=lambda: True)


def test_a_key_changes_with_settings_clips_and_folds_and_with_nothing_else(table, folds):
    key = fit.run_key(table, CONFIG, folds)
    assert fit.run_key(table.assign(path="/moved"), replace(CONFIG), folds.copy()) == key
    others = [
        fit.run_key(table, replace(CONFIG, seed=1), folds),
        fit.run_key(table, replace(CONFIG, classifier="svm"), folds),
        fit.run_key(table[::-1], CONFIG, folds),
        fit.run_key(table, CONFIG, folds[::-1]),
    ]
    assert len({key, *others}) == 5


def test_what_a_speaker_or_a_corpus_has_more_of_counts_less(monkeypatch):
    """Of 300 clips of one speaker 150 count; those and 150 of three others make 300 of a corpus, of which 100 count."""
    speakers = ["big/a"] * 300 + ["big/b"] * 50 + ["big/c"] * 50 + ["big/d"] * 50 + ["small/e"] * 40
    many = pd.DataFrame(
        {
            "path": [f"{number}.wav" for number in range(len(speakers))],
            "name": [f"{number}.wav" for number in range(len(speakers))],
            "corpus": [each.split("/")[0] for each in speakers],
            "speaker": speakers,
            "sex": "F",
            "sentence": "",
            "intensity": "",
            "emotion": ["happy" if number % 2 else "sad" for number in range(len(speakers))],
        }
    )
    n = len(many)
    data = Dataset(
        vectors=np.random.default_rng(0).normal(size=(n, 3)).astype(np.float32),
        embeddings=np.zeros((n, 0), np.float32),
        windows=np.zeros((0, 4, 2), np.float16),
        window_row=np.zeros(0, int),
        clip=np.arange(n),
        copy=np.zeros(n, int),
        problems=(),
        facts=pd.DataFrame(),
    )
    learned = {}
    built = fit.classifiers.build("lda", ("happy", "sad"), {})
    original = type(built).fit
    monkeypatch.setattr(
        type(built),
        "fit",
        lambda self, X, y, *, sample_weight, **rest: (
            learned.update(weight=sample_weight),
            original(self, X, y, sample_weight=sample_weight, **rest),
        )[1],
    )
    config = FitConfig(classifier="lda", labels=("happy", "sad"), validation_share=0.0, corpus_cap=100)
    fit.train(many, data, config)
    np.testing.assert_allclose(learned["weight"], [1 / 6] * 300 + [1 / 3] * 150 + [1.0] * 40)
    fit.train(many, data, replace(config, corpus_cap=10**6))
    np.testing.assert_allclose(learned["weight"], [1 / 2] * 300 + [1.0] * 190)
