"""Networks from a run's settings to a served model, and on from a trained one: in one process, which loads TensorFlow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ser_core.features import vectors
from ser_core.recognition import bundle, store
from ser_core.recognition.card import ModelCard
from ser_core.training import run_folder
from ser_core.training.config import FINE_TUNING, FeatureConfig, LabelMapping, RunConfig
from tests.support import corpora

ROOT = Path(__file__).resolve().parents[2]
SMALL = FeatureConfig(n_mels=16, n_mfcc=6, window_frames=32)
COLUMNS = len(vectors.frame_columns(SMALL))
QUICK = {"filters": (4, 4, 4, 4), "epochs": 2, "clips_per_epoch": 32, "batch_size": 16}

TRAIN = """
import json, sys
from pathlib import Path
import tensorflow
from ser_core.system import priority
from ser_core.training import run
from ser_core.training import run_folder
from ser_core.recognition import store
from ser_core.classifiers import _keras, contract
priority.limit_threads(priority.training_threads())
base = Path(sys.argv[1])
places = run.RunPaths(corpora=base / "corpora", models=base / "models", cache=base / "cache")
class Clock:
    now = 0.0
    monotonic = staticmethod(lambda: Clock.now)
run.time = Clock
fit = _keras.KerasClassifier.fit
uars = {}
def fit_and_measure(self, X, y, *, validation=None, **more):
    fit(self, X, y, validation=validation, **more)
    p = self.predict_proba(validation[0])
    uars[name] = contract.validation_figures(validation[1], p.argmax(axis=1), p.max(axis=1))["validation_uar"]
    return self
_keras.KerasClassifier.fit = fit_and_measure
for name, keep_at in json.loads(sys.argv[2]):
    folder = base / "runs" / name
    def stop(line):
        if keep_at and line.startswith(f"Epoch {keep_at} of"):
            run_folder.ask_stop(folder, keep=True)
    class Slow(run_folder.Reporter):
        def epoch(self, values):
            Clock.now += EPOCH_S
            super().epoch(values)
    status = run.run(Slow(folder, on_line=stop), places)
    print(name, status.stage, status.problem, flush=True)
    tensorflow.config.run_functions_eagerly(True)  # to build the graph of a further network takes longer than its few steps
(base / "uars.json").write_text(json.dumps(uars))
"""
EPOCH_S = 7.0
"""What an epoch takes by the clock of these trainings, which nothing else moves on."""

CONFIGS = {
    "cnn": RunConfig(
        corpora=("ravdess",), classifier="cnn", name="Small", n_copies=0, features=SMALL, hyperparameters=QUICK
    ),
    "tuned": RunConfig(
        corpora=("tess",),
        classifier="cnn",
        name="Tuned",
        n_copies=1,
        features=SMALL,
        start_from="small",
        balance="upsample",
        hyperparameters={"epochs": 2, "clips_per_epoch": 16},
        mapping=LabelMapping(labels=("sad", "happy")),
    ),
    "stopped": RunConfig(
        corpora=("tess",),
        classifier="cnn",
        name="Stopped",
        n_copies=0,
        features=SMALL,
        hyperparameters={"filters": (4, 4, 4, 4), "epochs": 300, "clips_per_epoch": 10, "batch_size": 4},
    ),
    "budget_cnn": RunConfig(
        corpora=("ravdess",),
        classifier="cnn",
        name="Budget CNN",
        n_copies=0,
        features=SMALL,
        budget_s=60,
        hyperparameters=QUICK | {"epochs": 300, "patience": 0},
    ),
    "budget_cnn_lstm": RunConfig(
        corpora=("ravdess",),
        classifier="cnn_lstm",
        name="Budget CNN-LSTM",
        n_copies=0,
        features=SMALL,
        budget_s=60,
        hyperparameters=QUICK | {"filters": (4, 4, 4), "epochs": 300, "patience": 0, "units": 8},
    ),
}


ORDER = [("cnn", 0), ("tuned", 0), ("stopped", 5), ("budget_cnn", 0), ("budget_cnn_lstm", 0)]
"""Which of CONFIGS are trained one after another, each asked to stop after an epoch, or at 0 not."""


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """A folder in which all of them were trained."""
    folder = tmp_path_factory.mktemp("networks")
    corpora.build(folder / "corpora")
    (folder / "runs").mkdir()
    for name, _ in ORDER:
        run_folder.create(folder / "made", CONFIGS[name].to_dict()).rename(folder / "runs" / name)
    done = subprocess.run(
        [sys.executable, "-c", TRAIN.replace("EPOCH_S", str(EPOCH_S)), str(folder), json.dumps(ORDER)],
        cwd=ROOT,
        env=os.environ | {"SER_MODELS": str(folder / "models")},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.stdout.splitlines() == [f"{name} done " for name, _ in ORDER], done.stdout + done.stderr[-2000:]
    return folder


def card(base: Path, slug: str) -> ModelCard:
    return store.read_card(slug, base / "models")


@pytest.mark.slow
def test_a_network_is_saved_for_serving_and_for_further_training(base):
    made = card(base, "small")
    assert set(made.files) == {"model.onnx", "model.keras"} and made.hyperparameters["filters"] == [4, 4, 4, 4]
    windows = np.random.default_rng(0).normal(size=(3, 32, COLUMNS)).astype(np.float32)
    answers = store.load("small", base / "models").classifier.predict_proba(windows)
    np.testing.assert_allclose(answers.sum(axis=1), 1.0, atol=1e-5)


@pytest.mark.slow
def test_every_epoch_is_followed(base):
    epochs = run_folder.read_epochs(base / "runs" / "cnn")
    assert [row["epoch"] for row in epochs] == [1, 2]
    for row in epochs:
        assert set(row) == {
            "fold",
            "epoch",
            "epochs",
            "loss",
            "accuracy",
            "validation_loss",
            "validation_accuracy",
            "validation_uar",
        }


@pytest.mark.slow
def test_the_layers_are_in_the_card(base):
    rows = card(base, "small").architecture
    assert [row["name"] for row in rows[:4]] == ["InputLayer", "BatchNormalization", "Conv1D", "BatchNormalization"]
    assert rows[0]["shape"] == [32, COLUMNS] and rows[-1]["shape"] == [4]
    assert rows[2]["detail"] == "4 filters, 5 frames wide, stride 2"
    counted = sum(row["parameters"] for row in rows)
    statistics = sum(row["parameters"] // 2 for row in rows[2:] if row["name"] == "BatchNormalization")
    assert counted - card(base, "small").n_parameters == 2 * COLUMNS + statistics


@pytest.mark.slow
def test_a_network_goes_on_from_another_with_other_labels(base):
    tuned = card(base, "tuned")
    assert tuned.labels == ("happy", "sad") and tuned.training["start_from"] == "small"
    assert tuned.hyperparameters["filters"] == [4, 4, 4, 4] and tuned.hyperparameters["learning_rate"] == pytest.approx(
        FINE_TUNING["learning_rate"]
    )
    before = tuned.training["before"]["tess"]
    assert before["labels"] == ["happy", "sad"] and before["n_clips"] == tuned.evaluation.n_clips
    assert run_folder.read_result(base / "runs" / "tuned")["before"]["tess"] == before


@pytest.mark.slow
def test_a_network_that_was_stopped_keeps_its_best_epoch(base):
    stopped = card(base, "stopped")
    assert [row["epoch"] for row in stopped.training["history"]] == [1, 2, 3, 4, 5]
    assert "best epoch so far" in run_folder.read_status(base / "runs" / "stopped").text


@pytest.mark.slow
@pytest.mark.parametrize("name", ["budget_cnn", "budget_cnn_lstm"])
def test_a_budget_of_time_ends_a_network_with_its_best_epoch_and_says_how_far_it_came(base, name):
    result = run_folder.read_result(base / "runs" / name)
    n = int(np.ceil(60 / EPOCH_S))
    (note,) = result["notes"]
    assert note == f"The 60 s of training were over after epoch {n} of 300; the best of them is kept."
    history = card(base, result["model"]).training["history"]
    assert [row["epoch"] for row in history] == list(range(1, n + 1))
    saved = json.loads((base / "uars.json").read_text())[name]
    assert saved == pytest.approx(max(row["validation_uar"] for row in history))


@pytest.mark.slow
def test_a_network_travels_as_one_file(base, tmp_path):
    (tmp_path / "models").mkdir()
    made = bundle.import_model(bundle.export_model("small", base / "models"), tmp_path / "models")
    windows = np.random.default_rng(0).normal(size=(2, 32, COLUMNS)).astype(np.float32)
    one, two = (
        store.load("small", folder).classifier.predict_proba(windows)
        for folder in (base / "models", tmp_path / "models")
    )
    np.testing.assert_array_equal(one, two)
    assert made.training["imported"]
