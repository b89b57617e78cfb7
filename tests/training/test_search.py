"""The table of a search, and what a finished fit is worth to a later run: nothing, unless settings and clips are the same."""

import numpy as np
import pytest

from ser_core.dataset.build import Dataset
from ser_core.errors import Stopped
from ser_core.training import fit as training_fit
from ser_core.training import search
from ser_core.training.fit import FitConfig, targets, train_fold
from tests.training.test_plan import clips

LABELS = ("neutral", "happy")


def work(seed=0, **settings):
    """40 clips of 8 speakers of RAVDESS as points around a centre a label, in 4 folds of 2 speakers each."""
    table = clips("ravdess", n_each=3, labels=LABELS, speakers=8)
    rng = np.random.default_rng(seed)
    y = targets(table, LABELS)
    n = len(table)
    data = Dataset(
        vectors=(rng.normal(size=(n, 4)) + 3 * y[:, np.newaxis]).astype(np.float32),
        embeddings=np.zeros((n, 0), np.float32),
        windows=np.zeros((0, 16, 8), np.float16),
        window_row=np.zeros(0, int),
        clip=np.arange(n),
        copy=np.zeros(n, int),
        problems=(),
        facts=None,
    )
    speakers = table["speaker"].astype("category").cat.codes.to_numpy()
    config = FitConfig(classifier="svm", labels=LABELS, **settings)
    return search.Work(table, data, config, speakers // 2, np.ones(n, bool))


def test_a_row_a_combination_with_mean_and_spread(tmp_path):
    rows = search.run(work(), [{"C": 1.0}, {"C": 1e-5}], file=tmp_path / "search.jsonl")
    assert [(row["combination"], row["fold"]) for row in rows] == [(n, fold) for n in (0, 1) for fold in range(4)]
    first, second = search.table(rows)
    assert first["hyperparameters"] == {"C": 1.0} and first["uar"] >= second["uar"]
    uar = [row["uar"] for row in rows[:4]]
    assert (
        first["uar"] == pytest.approx(np.mean(uar))
        and first["spread"] == pytest.approx(np.std(uar))
        and first["folds"] == uar
    )
    assert first["uar"] > 0.9 and first["seconds"] >= 0


def test_probabilities_cover_every_clip(tmp_path):
    rows = search.run(work(), [{}], file=tmp_path / "search.jsonl", keep_probabilities=True)
    combined = search.probabilities(rows, 48, 2)
    np.testing.assert_allclose(combined.sum(axis=1), 1.0, atol=1e-4)


def test_clips_that_take_no_part_are_neither_learned_nor_tested(tmp_path):
    given = work()
    given.among[given.folds == 3] = False
    rows = search.run(given, [{}], file=tmp_path / "search.jsonl", keep_probabilities=True)
    assert {row["fold"] for row in rows} == {0, 1, 2}
    assert not set(np.concatenate([row["clips"] for row in rows])) & set(np.flatnonzero(given.folds == 3))


def test_finished_fits_are_read_back_and_others_are_not(tmp_path, monkeypatch):
    file = tmp_path / "search.jsonl"
    before = search.run(work(), [{"C": 1.0}], file=file)
    fitted = []
    monkeypatch.setattr(
        training_fit,
        "train_fold",
        lambda *given, original=train_fold, **named: (
            fitted.append(given[2].hyperparameters),
            original(*given, **named),
        )[1],
    )
    assert search.run(work(), [{"C": 1.0}], file=file) == before and fitted == []
    with file.open("a") as lines:
        lines.write("half a li")
    search.run(work(), [{"C": 2.0}], file=file)
    search.run(work(balance="weights"), [{"C": 1.0}], file=file)
    assert fitted == [{"C": 2.0}] * 4 + [{"C": 1.0}] * 4


def test_a_stop_keeps_what_was_finished(tmp_path):
    file = tmp_path / "search.jsonl"
    done = []
    with pytest.raises(Stopped):
        search.run(
            work(), [{"C": 1.0}], file=file, on_fit=lambda *fit: done.append(fit), should_stop=lambda: len(done) == 2
        )
    assert len(file.read_text().splitlines()) == 2
