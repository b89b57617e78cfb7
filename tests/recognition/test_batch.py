"""Many files: which are meant, one result each whatever they are, the same on one process and on many, and rows for spreadsheets."""

from __future__ import annotations

import csv
import dataclasses
import io
import shutil
from pathlib import Path

import numpy as np
import pytest

from ser_core.recognition import analysis, batch, store, timeline
from tests.support.models import build

SAMPLES = Path(__file__).resolve().parents[2] / "pages" / "samples"
SPEECH, NO_SPEECH = SAMPLES / "bright.flac", SAMPLES / "no_speech.flac"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("models"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three clips at two depths, and what is none."""
    (tmp_path / "b").mkdir()
    (tmp_path / "empty").mkdir()
    for name in ("2.flac", "b/3.FLAC", "1.wav"):
        shutil.copy(SPEECH, tmp_path / name)
    for name in ("notes.txt", "._1.wav", ".hidden.wav"):
        (tmp_path / name).write_text("nothing")
    return tmp_path


def test_folders_and_patterns_mean_the_sounds_in_them(folder, monkeypatch):
    monkeypatch.chdir(folder)
    inside = ["1.wav", "2.flac", "b/3.FLAC"]
    assert batch.expand([str(folder)]) == [str(folder / name) for name in inside]
    assert batch.expand(["*.flac", "b"]) == ["2.flac", "b/3.FLAC"]
    assert batch.expand(["**/*.FLAC", "2.flac", "1.wav", "2.flac"]) == ["b/3.FLAC", "2.flac", "1.wav"]
    assert batch.expand(["b*"]) == ["b/3.FLAC"]
    assert batch.expand(["notes.txt"]) == ["notes.txt"]


def test_what_means_nothing_stays_to_be_explained(folder, models):
    gone, empty, pattern = str(folder / "gone.wav"), str(folder / "empty"), str(folder / "*.mp3")
    assert batch.expand([gone, empty, pattern]) == [gone, empty, pattern]
    errors = [each["error"] for each in batch.predict([gone, empty, pattern], ["knn"], folder=models)]
    assert [
        "does not exist" in errors[0],
        "folder without a sound file" in errors[1],
        "does not exist" in errors[2],
    ] == [True] * 3


def test_a_name_with_a_star_that_is_a_file_is_that_file(folder):
    odd = folder / "[1].wav"
    shutil.copy(SPEECH, odd)
    assert batch.expand([str(odd)]) == [str(odd)]


def test_each_file_gets_what_it_gets_alone_and_faults_end_nothing(folder, models):
    (folder / "broken.wav").write_bytes(b"RIFF broken")
    files = [str(folder / "broken.wav"), str(SPEECH), str(NO_SPEECH), str(folder)]
    results = list(batch.predict(files, store.SHIPPED, folder=models))
    assert [each["file"] for each in results] == files
    assert ["error" in each for each in results] == [True, False, False, True]
    heard = analysis.analyse(SPEECH)
    expected = analysis.recognize([store.load(slug, models) for slug in store.SHIPPED], heard)
    assert [each["probabilities"] for each in results[1]["predictions"]] == [each.probabilities for each in expected]
    assert results[2]["predictions"] == [] and results[2]["speech"] is False


@pytest.mark.slow
@pytest.mark.parametrize("long", [None, batch.Long()], ids=["clips", "long"])
def test_two_processes_say_what_one_says(models, monkeypatch, long):
    monkeypatch.setattr(batch, "MIN_PARALLEL", 2)
    files = [str(SPEECH), "nowhere.wav", str(SAMPLES / "flat.flac"), str(NO_SPEECH)]

    def without_times(results):
        for each in [*results, *(segment for result in results for segment in result.get("segments", []))]:
            for prediction in each.get("predictions", []):
                del prediction["milliseconds"]
        return results

    alone = without_times(list(batch.predict(files, ["knn", "cnn"], folder=models, long=long)))
    shared = without_times(list(batch.predict(files, ["knn", "cnn"], folder=models, long=long, n_jobs=2)))
    assert [each["file"] for each in shared] == files
    for ours, theirs in zip(alone, shared, strict=True):
        for first, second in zip(ours.get("predictions", []), theirs.get("predictions", []), strict=True):
            assert first["probabilities"] == pytest.approx(second["probabilities"], abs=1e-5)
        assert {**ours, "predictions": 0, "segments": 0} == {**theirs, "predictions": 0, "segments": 0}


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([], ("", 0)),
        (["sad"], ("sad", 1)),
        (["sad", "calm", "sad"], ("sad", 2)),
        (["sad", "calm"], ("", 1)),
        (["sad", "calm", "calm", "sad"], ("", 2)),
        (["sad", "calm", "fear", "sad"], ("sad", 2)),
    ],
)
def test_majority(labels, expected):
    assert batch.majority(labels) == expected


def test_rows_fill_the_columns(models):
    recognizers = [store.load(slug, models) for slug in ("knn", "cnn")]
    labels = {each.slug: each.labels for each in recognizers}
    whole = batch.predict_one(SPEECH, 'a, "b".flac', recognizers)
    windows = batch.predict_one(SPEECH, "long.flac", recognizers, long=batch.Long(window_s=2.0, hop_s=1.0))
    for result, long, n_rows in ((whole, False, 1), (windows, True, len(windows["segments"]))):
        columns = batch.columns(labels, long=long)
        table = list(csv.DictReader(io.StringIO(batch.csv_lines(batch.rows(result), columns, header=True))))
        assert len(table) == n_rows and list(table[0]) == columns
        assert table[0]["file"] == result["file"] and table[0]["speech"] == "True" and not table[0]["error"]
        first = (result["segments"][0] if long else result)["predictions"]
        assert [table[0][slug] for slug in labels] == [each["label"] for each in first]
        assert [table[0][f"{slug}_sure"] for slug in labels] == ["", ""]
        for each in first:
            for label, p in each["probabilities"].items():
                assert float(table[0][f"{each['model']}_{label}"]) == pytest.approx(p, abs=1e-6)
    assert n_rows > 2
    failed = batch.predict_one(b"", "c.wav", recognizers)
    (row,) = csv.DictReader(io.StringIO(batch.csv_lines(batch.rows(failed), columns, header=True)))
    assert row["file"] == "c.wav" and "is empty" in row["error"] and not row["knn"]


def test_a_model_that_is_not_sure_has_no_vote(models):
    knn, mlp, cnn = (dataclasses.replace(store.load("knn", models), slug=slug) for slug in ("knn", "mlp", "cnn"))
    mute = dataclasses.replace(mlp, threshold=1.0)
    (row,) = batch.rows(batch.predict_one(SPEECH, "a", [dataclasses.replace(knn, threshold=0.0), mute, cnn]))
    assert (row["knn_sure"], row["mlp_sure"]) == (True, False) and "cnn_sure" not in row
    assert row["knn"] == row["mlp"] == row["cnn"] == row["majority"] and row["votes"] == 2
    (row,) = batch.rows(batch.predict_one(SPEECH, "a", [mute]))
    assert (row["majority"], row["votes"]) == ("", 0) and row["mlp"] in mute.labels


def test_a_long_recording_is_cut_as_asked(models):
    result = batch.predict_one(SPEECH, "a", [], long=batch.Long(window_s=2.0, hop_s=0.5))
    assert (result["window_s"], result["hop_s"]) == (2.0, 0.5)
    assert [each["start_s"] for each in result["segments"]][:4] == [0.0, 0.5, 1.0, 1.5]
    assert timeline.WINDOW_S == batch.Long().window_s == 3.0


def result(file: str, **labels: str) -> dict:
    """What a batch knows of a file on which some models gave a label with probability 0.7."""

    def one(model: str, label: str) -> dict:
        return {
            "model": model,
            "label": label,
            "probabilities": {each: 0.7 if each == label else 0.3 for each in ("sad", "calm")},
        }

    return {"file": file, "predictions": [one(*each) for each in labels.items()]}


def test_scores_count_what_is_known_and_spoken():
    results = [
        result("a", knn="sad", mlp="sad"),
        result("b", knn="calm", mlp="sad"),
        result("c", knn="sad", mlp="calm"),
        result("d"),
        {"file": "e", "error": "broken"},
        result("f", knn="sad", mlp="sad"),
        result("g", knn="sad", mlp="sad"),
    ]
    truths = ["sad", "calm", "calm", "sad", "sad", None, "boredom"]
    found = batch.scores(
        results, truths, {"knn": ("sad", "calm"), "mlp": ("sad", "calm")}, rng=np.random.default_rng(0)
    )
    assert {slug: (each.n_clips, each.accuracy, each.uar) for slug, each in found.items()} == {
        "knn": (3, pytest.approx(2 / 3), 0.75),
        "mlp": (3, pytest.approx(2 / 3), 0.75),
    }
    assert found["knn"].interval_over == "clips" and found["knn"].chance == 0.5
    assert batch.scores(results, [None] * 7, {"knn": ("sad", "calm")}, rng=np.random.default_rng(0)) == {}
