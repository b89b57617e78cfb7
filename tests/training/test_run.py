"""A run from its settings to a saved model, on small synthetic corpora: what is made, how it ends early, and that nothing broken stays.

The networks train in test_networks.py, in a process of their own: this one must not load TensorFlow.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ser_core import classifiers
from ser_core.audio.augment import EFFECTS
from ser_core.corpora import catalogue, library
from ser_core.dataset import build
from ser_core.experiments import answers
from ser_core.explanation import neighbours
from ser_core.features.config import FeatureConfig
from ser_core.metrics import abstention
from ser_core.metrics.evaluation import Evaluation
from ser_core.recognition import analysis, store
from ser_core.recognition.card import ModelCard
from ser_core.system import files
from ser_core.training import balance, fit, held_out, plan, run, run_folder
from ser_core.training.config import RunConfig
from ser_core.training.run import RunPaths
from ser_core.training.run_folder import Reporter
from tests.support import corpora
from tests.support.shell import SAMPLES

VECTOR = [name for name, spec in classifiers.CLASSIFIERS.items() if spec.input_kind != "frames"]
QUICK = {
    "mlp": {"epochs": 6},
    "boosting": {"epochs": 1, "max_leaves": 4},
    "forest": {"n_trees": 10},
    "knn": {"n_neighbors": 5},
}

SMALL = FeatureConfig(n_mels=16, n_mfcc=6)


@pytest.fixture
def places(base, tmp_path) -> RunPaths:
    (tmp_path / "models").mkdir()
    return RunPaths(corpora=base / "corpora", models=tmp_path / "models", cache=base / "cache")


def config(classifier="svm", **settings) -> RunConfig:
    quick = {"hyperparameters": QUICK.get(classifier, {}), "n_copies": 0, "corpora": ("ravdess",), "features": SMALL}
    return RunConfig(**(quick | {"classifier": classifier} | settings))


def start(config: RunConfig, places: RunPaths, *, stop_at: str = "", keep: bool = False, **listeners) -> Reporter:
    """Return the reporter of a new run. stop_at: a stage, or how a line of the log begins, at which the run is asked to stop."""
    folder = run_folder.create(places.models.parent / "runs", config.to_dict())

    def on_line(text: str) -> None:
        if stop_at and text.startswith(stop_at):
            run_folder.ask_stop(folder, keep=keep)

    def on_status(status: run_folder.Status) -> None:
        if status.stage == stop_at:
            run_folder.ask_stop(folder, keep=keep)

    return Reporter(folder, **({"on_line": on_line, "on_status": on_status} | listeners))


def finish(config: RunConfig, places: RunPaths) -> tuple[ModelCard, dict]:
    reporter = start(config, places)
    status = run.run(reporter, places)
    assert status.stage == "done", status.problem
    assert run_folder.read_status(reporter.folder) == replace(
        status, updated=run_folder.read_status(reporter.folder).updated
    )
    return store.read_card(status.model, places.models), run_folder.read_result(reporter.folder)


@pytest.mark.parametrize("classifier", VECTOR)
def test_each_classifier_becomes_a_model_that_answers(places, base, classifier):
    card, result = finish(config(classifier, name=f"My {classifier}"), places)
    assert (card.slug, card.title, card.classifier) == (f"my-{classifier}", f"My {classifier}", classifier)
    assert (
        card.evaluation.n_clips == 16 and card.evaluation.n_test_speakers == 2 and card.evaluation.protocol == "speaker"
    )
    assert card.evaluation.accuracy > 0.5
    heard = analysis.analyse(SAMPLES / "bright.flac", config=SMALL)
    (answer,) = analysis.recognize([store.load(card.slug, places.models)], heard)
    assert list(answer.probabilities) == list(corpora.PITCH)
    assert result["model"] == card.slug and Evaluation.from_dict(result["figures"]["ravdess"]) == card.evaluation


def test_a_knn_says_which_recordings_its_rows_are(places):
    card, _ = finish(config("knn", n_copies=1), places)
    found = neighbours.read(card, places.models)
    model = store.load(card.slug, places.models)
    assert found is not None and len(found.clip) == len(model.classifier.neighbourhood.points)
    assert neighbours.SYNTHETIC not in found.clip and set(found.copy) == {0, 1}
    assert set(found.speaker) <= set(card.split["train"]["speakers"]) and set(found.corpus) == {"ravdess"}


def test_the_first_comparison_by_sound_is_a_stage_with_progress_and_the_next_run_has_none(places, tmp_path):
    places = replace(places, cache=tmp_path / "cache")
    stages: list[dict[str, str]] = []
    for _ in range(2):
        said: dict[str, str] = {}
        reporter = start(
            config("knn"), places, on_status=lambda status, said=said: said.setdefault(status.stage, status.text)
        )
        assert run.run(reporter, places).stage == "done"
        stages.append(said | {"log": run_folder.read_log(reporter.folder)})
    first, second = stages
    assert next(iter(first)) == run_folder.COMPARING and "Comparing the clips by sound." in first["log"]
    assert run_folder.COMPARING not in second
    assert run_folder.read_rates(places.models.parent / "runs")["sounds"] > 0


def test_a_run_can_be_stopped_while_its_clips_are_compared(places, tmp_path):
    places = replace(places, cache=tmp_path / "cache")
    assert run.run(start(config("knn"), places, stop_at=run_folder.COMPARING), places).stage == "stopped"


def test_a_run_that_cannot_be_says_so_before_its_clips_are_compared(places, tmp_path, monkeypatch):
    places = replace(places, cache=tmp_path / "cache")
    monkeypatch.setattr(run.duplicates, "sounds", lambda *_, **__: pytest.fail("compared"))
    status = run.run(start(config("knn", folds=9), places), places)
    assert status.stage == "failed" and "needs 9" in status.problem


def test_the_card_says_all_that_the_figures_rest_on(places):
    settings = config(
        "mlp",
        corpora=("ravdess", "tess"),
        balance="weights",
        n_copies=1,
        effects={"gain": 1.0},
        description="For tests.",
    )
    card, result = finish(settings, places)
    assert RunConfig.from_dict(card.training["config"]) == settings and card.description == "For tests."
    assert set(result["figures"]) == {"all corpora", "ravdess", "tess"} and set(card.per_corpus) == {"ravdess", "tess"}
    assert card.evaluation.corpus == "all corpora" and card.evaluation.n_clips == 28
    assert card.hyperparameters["epochs"] == 6 and len(card.training["history"]) == 6
    assert {"loss", "accuracy", "validation_loss", "validation_uar"} <= set(card.training["history"][0])
    assert (
        card.corpora[1]["licence"] == catalogue.CORPORA["tess"].licence
        and catalogue.CORPORA["tess"].licence in card.licence
    )
    assert [row["name"] for row in card.architecture] == ["StandardScaler", "Dense", "Dense"]
    assert sum(row["parameters"] for row in card.architecture[1:]) == card.n_parameters
    assert card.protocol.startswith("speaker: 28 clips were held out") and card.versions["scikit-learn"]
    speakers = {part: set(card.split[part]["speakers"]) for part in ("train", "validation", "test")}
    assert not speakers["train"] & speakers["test"] and not speakers["train"] & speakers["validation"]
    assert sum(len(names) for part in card.split.values() for names in part["clips"].values()) == 88
    assert "03-01-05-01-01-01-01" in [name for part in card.split.values() for name in part["clips"].get("ravdess", [])]


def test_the_same_settings_give_the_same_model(places):
    first, second = (
        finish(config("mlp", balance="smote", n_copies=1, effects={"noise": 0.5}), places)[0] for _ in range(2)
    )
    assert (first.slug, second.slug) == ("mlp-on-ravdess", "mlp-on-ravdess-2")
    assert first.evaluation == second.evaluation and first.temperature == second.temperature
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(5, store.load(first.slug, places.models).classifier.pipeline_.n_features_in_)).astype(
        np.float32
    )
    one, two = (store.load(card.slug, places.models).classifier.predict_proba(vectors) for card in (first, second))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("method", balance.METHODS)
def test_each_way_to_balance_trains(places, method):
    card, _ = finish(config(corpora=("tess", "ravdess"), balance=method), places)
    assert card.training["balance"] == method and card.evaluation.accuracy > 0.3


def test_every_effect_can_be_trained_with(places):
    card, _ = finish(config(n_copies=1, effects=dict.fromkeys(EFFECTS, 0.3)), places)
    assert card.training["effects"] == dict.fromkeys(EFFECTS, 0.3)


@pytest.mark.parametrize("protocol", ["sentence", "random"])
def test_a_protocol_is_named_wherever_its_figure_is(places, protocol):
    card, result = finish(config(protocol=protocol), places)
    assert card.evaluation.protocol == result["figures"]["ravdess"]["protocol"] == protocol
    assert card.protocol.startswith(f"{protocol}: ") and "Higher" in card.protocol.replace("higher", "Higher")


def test_a_cross_validation_scores_every_clip_once(places):
    card, result = finish(config(folds=4), places)
    assert card.evaluation.n_clips == 64 and card.evaluation.n_test_speakers == 8 and "4 folds" in card.protocol
    assert set(card.split["test"]["speakers"]) == set() and result["trials"] == []
    assert 0 < card.threshold < 1 and 0 < card.evaluation.sure["answered"] <= 64
    assert card.evaluation.curves.aurc is not None and store.load(card.slug, places.models).threshold == card.threshold


@pytest.mark.parametrize(
    "settings", [{}, {"folds": 4}, {"corpora": ("ravdess", "tess")}], ids=["split", "folds", "two corpora"]
)
def test_a_run_keeps_the_answers_behind_each_of_its_matrices(places, settings):
    card, result = finish(config(**settings), places)
    (folder,) = (places.models.parent / "runs").glob("*-*")
    parts = held_out.read(folder / run_folder.ANSWERS)
    for values in result["figures"].values():
        figures = Evaluation.from_dict(values)
        found = answers.stored(parts, run_folder.MODEL, figures)
        assert found is not None and len(found.clips) == figures.n_clips
        counted = [[len(found.cell(acted, said)) for said in figures.labels] for acted in figures.labels]
        assert counted == [list(row) for row in figures.confusion]
    assert card.training["run"] == folder.name


def test_the_threshold_of_one_split_is_chosen_on_its_validation_speakers(places, monkeypatch):
    assert finish(config(), places)[0].threshold is None  # 8 clips are too few
    asked = []

    def choose(sure, right, speakers):
        asked.append(set(speakers))
        return 0.5

    monkeypatch.setattr(abstention, "choose", choose)
    card, result = finish(config(), places)
    assert asked == [set(card.split["validation"]["speakers"])] and card.threshold == 0.5
    assert result["figures"]["ravdess"]["sure"] == card.evaluation.sure and card.evaluation.sure["answered"] <= 16


def test_a_search_ends_in_a_model_with_the_best_settings(places):
    reporter = start(config("mlp", grid={"hidden": (4, 32), "alpha": (0.01,)}, folds=2), places)
    status = run.run(reporter, places)
    trials = run_folder.read_result(reporter.folder)["trials"]
    assert len(trials) == 2 and trials[0]["uar"] >= trials[1]["uar"] and len(trials[0]["folds"]) == 2
    card = store.read_card(status.model, places.models)
    assert {name: card.hyperparameters[name] for name in ("hidden", "alpha")} == trials[0]["hyperparameters"]
    assert card.training["trials"] == trials and card.evaluation.n_clips == 16
    epochs = run_folder.read_epochs(reporter.folder)
    assert {row["fold"] for row in epochs} == {0, 1, None} and [
        row["epoch"] for row in epochs if row["fold"] is None
    ] == [1, 2, 3, 4, 5, 6]


def test_a_search_that_was_stopped_goes_on_where_it_was(places, monkeypatch):
    settings = config(grid={"C": (0.1, 1.0, 10.0)}, folds=2)
    reporter = start(settings, places, stop_at="Fold 2, C 0.1")
    assert run.run(reporter, places).stage == "stopped" and store.list_models(places.models)[0] == []
    assert len(files.read_json_lines(reporter.folder / run_folder.SEARCH)) == 2
    (reporter.folder / run_folder.STOP).unlink()
    fitted = []
    monkeypatch.setattr(
        fit,
        "train_fold",
        lambda *given, original=fit.train_fold, **named: (fitted.append(given[4]), original(*given, **named))[1],
    )
    assert run.run(Reporter(reporter.folder), places).stage == "done"
    assert fitted == [0, 1, 0, 1]
    assert len(run_folder.read_result(reporter.folder)["trials"]) == 3


def test_a_search_in_two_processes_finds_the_same(places):
    settings = config(grid={"C": (0.1, 1.0)}, folds=2)
    _, one = finish(settings, places)
    _, two = finish(settings, replace(places, n_jobs=2))
    keys = ("hyperparameters", "uar", "accuracy", "folds")
    assert [{key: row[key] for key in keys} for row in one["trials"]] == [
        {key: row[key] for key in keys} for row in two["trials"]
    ]


@pytest.mark.parametrize("stage", ["features", "searching", "training", "evaluating", "saving"])
def test_a_stop_that_keeps_nothing_leaves_nothing(places, stage):
    settings = config("mlp", grid={"hidden": (4, 8)}, folds=2)
    reporter = start(settings, places, stop_at=stage)
    status = run.run(reporter, places)
    assert (status.stage, status.model, status.text) == ("stopped", None, run.STOPPED)
    assert list(places.models.iterdir()) == [] and run_folder.read_result(reporter.folder) is None


def test_a_stop_that_keeps_makes_a_model_of_the_best_epoch(places):
    reporter = start(config("mlp", hyperparameters={"epochs": 400}), places, stop_at="Epoch 5 of 400", keep=True)
    status = run.run(reporter, places)
    assert status.stage == "done" and "best epoch so far" in status.text
    card = store.read_card(status.model, places.models)
    assert len(card.training["history"]) == len(run_folder.read_epochs(reporter.folder)) == 5
    assert card.evaluation is not None and store.load(card.slug, places.models)


def test_a_stop_that_keeps_before_an_epoch_ended_has_nothing_to_keep(places):
    reporter = start(config("mlp"), places, stop_at="features", keep=True)
    assert run.run(reporter, places).text == run.NOTHING_TO_KEEP


FAULTS = {
    "memory": (MemoryError(), "ran out of memory"),
    "disk": (OSError(28, "No space left on device"), "The disk is full"),
    "file": (OSError(13, "Permission denied", "/x"), r"A file could not be used: Permission denied \(/x\)"),
    "bug": (KeyError("surprise"), "a fault in the program.*KeyError"),
    "interrupt": (KeyboardInterrupt(), ""),
}


@pytest.mark.parametrize(
    ("where", "fault", "sentence"),
    [("fit.train", *fault) for fault in FAULTS.values()]
    + [(where, *FAULTS[name]) for where in ("build.build", "store.save_new") for name in ("disk", "bug")],
)
def test_whatever_breaks_ends_in_a_sentence_and_leaves_nothing(places, monkeypatch, where, fault, sentence):
    def break_(*_, **__):
        raise fault

    module, _, name = where.partition(".")
    monkeypatch.setattr(getattr(run, module), name, break_)
    reporter = start(config(), places)
    status = run.run(reporter, places)
    assert status.stage == ("stopped" if isinstance(fault, KeyboardInterrupt) else "failed")
    assert re.search(sentence, status.problem) and "Traceback" not in status.problem
    assert list(places.models.iterdir()) == []


def test_a_bug_is_in_the_log(places, monkeypatch):
    monkeypatch.setattr(run.fit, "train", lambda *_, **__: {}["lost"])
    reporter = start(config(), places)
    run.run(reporter, places)
    assert "Traceback" in run_folder.read_log(reporter.folder) and "KeyError: 'lost'" in run_folder.read_log(
        reporter.folder
    )


def test_settings_that_cannot_work_fail_with_the_reason(places):
    status = run.run(start(config(corpora=("tess",), folds=5), places), places)
    assert status.stage == "failed" and "needs 5" in status.problem
    status = run.run(start(config(corpora=("savee",)), places), places)
    assert "'savee' is not installed" in status.problem


def test_damaged_settings_are_named(places):
    reporter = start(config(), places)
    (reporter.folder / run_folder.CONFIG).write_text('{"corpora": ["ravdess"], "classifier": "oracle"}')
    assert "no classifier 'oracle'" in run.run(reporter, places).problem


def test_unreadable_clips_are_left_out_and_counted(base, tmp_path, places):
    shutil.copytree(base / "corpora" / "ravdess", tmp_path / "corpora" / "ravdess")
    (tmp_path / "corpora" / "ravdess" / "03-01-01-01-01-02-01.wav").write_text("no sound")
    card, result = finish(config(), replace(places, corpora=tmp_path / "corpora"))
    assert card.training["unreadable"] == 1 and len(result["unreadable"]) == 1


@pytest.mark.parametrize("gone", [None, 1], ids=["all", "one"])
def test_a_corpus_that_vanishes_during_a_run_ends_it_and_a_clip_that_does_not(base, tmp_path, places, gone):
    copied = Path(shutil.copytree(base / "corpora" / "ravdess", tmp_path / "corpora" / "ravdess"))

    def vanish(status):
        if status.stage == "features":
            for path in sorted(copied.rglob("*.wav"))[:gone]:
                path.unlink()

    places = replace(places, corpora=tmp_path / "corpora", cache=tmp_path / "cache")
    status = run.run(start(config(), places, on_status=vanish), places)
    if gone is None:
        assert status.stage == "failed" and re.search(
            "64 of the 64 clips have gone since .*start again", status.problem
        )
        assert list(places.models.iterdir()) == []
    else:
        assert status.stage == "done" and store.read_card(status.model, places.models).training["unreadable"] == 1


def test_a_corpus_that_lies_elsewhere_is_read_there(base, places):
    card, _ = finish(
        config(), replace(places, corpora=base / "nowhere", folders={"ravdess": base / "corpora" / "ravdess"})
    )
    assert card.corpora[0]["n_clips"] == len(card.split["train"]["clips"]["ravdess"]) == 40
    assert sum(len(part["clips"].get("ravdess", ())) for part in card.split.values()) == 64


def test_the_test_part_is_looked_at_once(places, monkeypatch):
    """No fit, neither of the search nor of the model that is saved, gets a clip of the held-out speakers."""
    settings = config(grid={"C": (1.0, 10.0)}, folds=2, n_copies=1, effects={"gain": 0.5})
    prepared = plan.prepare(library.clips(places.corpora, ["ravdess"]), settings)
    tested = prepared.part == "test"
    seen = []
    monkeypatch.setattr(
        fit,
        "_items",  # what every fit and every prediction gets, and nothing else
        lambda data, rows, name, original=fit._items: (seen.append(data.clip[rows]), original(data, rows, name))[1],
    )
    finish(settings, places)
    assert [bool(tested[clips].any()) for clips in seen] == [False] * (len(seen) - 1) + [True]


def test_result_and_status_are_json(places):
    reporter = start(config(), places)
    run.run(reporter, places)
    for name in (run_folder.STATUS, run_folder.RESULT, run_folder.CONFIG):
        json.loads((reporter.folder / name).read_text())


def test_the_rate_of_features_is_that_of_measuring_not_of_reading_back(places, tmp_path):
    places = replace(places, cache=tmp_path / "cache")
    rates = []
    for _ in range(2):
        reporter = start(config(), places)
        run.run(reporter, places)
        rates.append(run_folder.read_rates(reporter.folder.parent))
    assert rates[0].keys() == {"sounds", "features", "svm"} and rates[1]["features"] == rates[0]["features"]


@pytest.mark.parametrize(("folds", "n_copied"), [(0, 40), (3, 64)])
def test_clips_that_no_fit_learns_from_are_not_augmented(places, tmp_path, folds, n_copied):
    settings = config(n_copies=2, effects={"gain": 0.7}, folds=folds)
    finish(settings, replace(places, cache=tmp_path / "own-cache"))
    assert len(list((tmp_path / "own-cache").glob("??/*.npz"))) == 64 + 2 * n_copied


@pytest.mark.parametrize("protocol", ["random", "sentence"])
@pytest.mark.parametrize("folds", [0, 2])
def test_no_copy_holds_the_sound_of_a_clip_that_is_tested_apart_from_it(places, monkeypatch, protocol, folds):
    around = []
    original = build.build
    monkeypatch.setattr(
        build,
        "build",
        lambda clips, *given, voices, **more: around.append((clips, voices)) or original(clips, *given, **more),
    )
    settings = config(n_copies=1, folds=folds, protocol=protocol)
    finish(settings, places)
    prepared = plan.prepare(around[0][0], settings)
    tested_in = prepared.folds if folds else prepared.learnable.astype(int)
    place = {path: row for row, path in enumerate(prepared.clips[catalogue.PATH])}
    pairs = [(row, place[path]) for row, paths in enumerate(around[0][1]) for path in paths]
    assert len(pairs) > 64 and all(tested_in[one] == tested_in[other] for one, other in pairs)


@pytest.mark.parametrize("epoch_s", [7.0, 25.0, 400.0])
def test_a_budget_of_time_ends_the_training_and_says_how_far_it_came(places, monkeypatch, epoch_s):
    """A clock that each epoch moves on: what the machine takes does not matter."""
    now, train = 0.0, fit.train

    def slow(*given, on_epoch, **more):
        def told(epoch, epochs, figures):
            nonlocal now
            now += epoch_s
            on_epoch(epoch, epochs, figures)

        return train(*given, on_epoch=told, **more)

    class Clock:
        monotonic = staticmethod(lambda: now)

    monkeypatch.setattr(fit, "train", slow)
    monkeypatch.setattr(run, "time", Clock)
    _, result = finish(config("mlp", hyperparameters={"epochs": 100}, budget_s=60), places)
    n = int(np.ceil(60 / epoch_s))
    (note,) = result["notes"]
    assert note == f"The 60 s of training were over after epoch {n} of 100; the best of them is kept."


def test_a_training_within_its_budget_has_nothing_to_say(places):
    _, result = finish(config("mlp", budget_s=100_000), places)
    assert result["notes"] == []


@pytest.mark.parametrize("method", ["smote", "adasyn"])
def test_a_balance_with_nothing_to_interpolate_trains_on(places, method):
    _, result = finish(config(balance=method), places)  # every label has as many clips
    assert result["model"]
