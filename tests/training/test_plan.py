"""What is said before a training: parts that are what the run uses, time, doubts, and why a choice cannot work."""

import re

import numpy as np
import pandas as pd
import pytest

from ser_core import paths
from ser_core.corpora import catalogue
from ser_core.dataset import published, splits
from ser_core.dataset.duplicates import PRINT_BYTES, SHIFTS, Sounds
from ser_core.training import plan as training_plan
from ser_core.training import run_folder
from ser_core.training.config import FeatureConfig, LabelMapping, RunConfig, with_preset
from ser_core.training.plan import prepare
from tests.support.models import build
from tests.support.parts import assert_no_shared_speaker


def clips(*names, n_each=3, labels=catalogue.LABELS, speakers=None):
    """A clips table: so many clips of each label by each speaker of whole corpora."""
    rows = [
        {
            catalogue.PATH: f"{name}/{speaker}-{label}-{i}.wav",
            catalogue.CORPUS: name,
            catalogue.SPEAKER: f"{name}:{speaker}",
            catalogue.EMOTION: label,
            catalogue.SENTENCE: f"{i:02d}",
            catalogue.SEX: sex,
            catalogue.INTENSITY: "",
            catalogue.NAME: f"{speaker}{label}{i}",
        }
        for name in names
        for speaker, sex in list(catalogue.CORPORA[name].speakers.items())[:speakers]
        for label in labels
        for i in range(n_each)
    ]
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return build(tmp_path_factory.mktemp("models"))


def plan(table, models, **settings):
    return training_plan.plan(
        table, RunConfig(corpora=("ravdess",), **({"classifier": "knn"} | settings)), models=models
    )


def test_a_plan_counts_what_the_run_uses(models):
    table = clips("ravdess")
    made = plan(table, models, seed=3)
    prepared = prepare(table, RunConfig(corpora=("ravdess",), classifier="knn", seed=3))
    assert (
        made.problems == ()
        and made.labels == catalogue.LABELS
        and (made.n_clips, made.n_speakers, made.n_fits) == (576, 24, 1)
    )
    for part in made.parts:
        assert (
            part.n_clips == (prepared.part == part.name).sum() == sum(part.labels.values()) == part.corpora["ravdess"]
        )
    assert [part.n_speakers for part in made.parts] == [16, 3, 5]
    assert_no_shared_speaker(prepared.clips, {name: prepared.part == name for name in splits.PARTS})


def test_what_has_no_label_is_counted_apart(models):
    table = clips("emodb", labels=("neutral", "happy", "boredom"))
    made = plan(table, models)
    assert made.labels == ("neutral", "happy") and made.left_out == {"boredom": 30}


def test_a_cross_validation_tests_every_clip(models):
    made = plan(clips("ravdess"), models, folds=6)
    test = made.parts[2]
    assert (made.n_fits, test.name, test.n_clips, test.n_speakers) == (7, "test", 576, 24)
    prepared = prepare(clips("ravdess"), RunConfig(corpora=("ravdess",), folds=6))
    assert not (prepared.part == splits.TEST).any() and set(prepared.folds) == set(range(6))


def test_a_search_never_looks_at_the_held_out_part(models):
    config = RunConfig(corpora=("ravdess",), classifier="knn", grid={"n_neighbors": [5, 9]})
    prepared = prepare(clips("ravdess"), config)
    assert (prepared.folds[prepared.part == splits.TEST] == -1).all() and set(
        prepared.folds[prepared.part != splits.TEST]
    ) == {0, 1, 2}
    made = training_plan.plan(clips("ravdess"), config, models=models, sounds=Sounds({}, {}))
    assert made.n_fits == 7 and list(made.seconds) == ["features", "searching", "training", "evaluating", "saving"]


def test_the_time_follows_the_work_and_this_machine(models):
    table = clips("ravdess")
    one, many = (plan(table, models, classifier="mlp", n_copies=n, hyperparameters={"epochs": 40}) for n in (0, 3))
    n_learned = next(part.n_clips for part in many.parts if part.name == "train")  # nobody needs copies of the others
    assert many.seconds["features"] == pytest.approx(
        (1 + 3 * n_learned / many.n_clips) * one.seconds["features"], rel=0.01
    )
    assert many.total_s == sum(many.seconds.values())
    slow = training_plan.plan(
        table, RunConfig(corpora=("ravdess",), classifier="mlp"), rates={"features": 1.0}, models=models
    )
    assert slow.seconds["features"] == 576 + n_learned


def test_hours_are_said_aloud(models):
    config = with_preset(RunConfig(corpora=("ravdess",), classifier="cnn"), "thorough")
    (warning,) = [
        each
        for each in training_plan.plan(clips("ravdess"), config, rates={"cnn": 2.0}, models=models).warnings
        if "hours" in each
    ]
    assert "fewer folds" in warning


@pytest.mark.parametrize(
    ("table", "settings", "sentence"),
    [
        (
            clips("tess"),
            {"folds": 5},
            r"'tess' has 2 speakers; .* 5 folds needs 5.* or choose 2 folds.*protocol 'random'",
        ),
        (clips("tess", speakers=1), {}, r"There is 1 speaker here.*Or choose the protocol 'random'"),
        (clips("tess", labels=("sad",)), {}, "All clips are sad; a model needs two labels"),
        (clips("savee", labels=("boredom",)), {}, "None of the 12 clips has one of the labels chosen"),
        (clips("tess", n_each=1), {}, "fewer than 2 clips of"),
        (clips("savee"), {"start_from": "cnn"}, "A KNN cannot start from another model. Choose one of CNN, CNN-LSTM"),
        (
            clips("savee"),
            {"classifier": "cnn", "start_from": "cnn"},
            "Model 'cnn' is a MLP, and a CNN can only start from a CNN",
        ),
        (clips("savee"), {"classifier": "cnn", "start_from": "lost"}, "There is no model 'lost'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_choice_that_cannot_work_is_explained(models, table, settings, sentence):
    made = plan(table, models, **settings)
    assert any(re.search(sentence, problem) for problem in made.problems), made.problems


@pytest.mark.parametrize(
    ("table", "settings", "sentence"),
    [
        (clips("tess"), {}, "TESS has 2 speakers: its figure will say little"),
        (clips("tess", n_each=12), {}, "No speaker can be spared for validation"),
        (
            clips("ravdess"),
            {"balance": "smote", "classifier": "cnn"},
            "SMOTE draws items between two clips.*anybody could say",
        ),
        (clips("ravdess"), {"balance": "adasyn"}, "ADASYN draws items between the summaries"),
        (clips("ravdess"), {"protocol": "random"}, "Much higher figures than for new voices"),
        (clips("ravdess"), {"effects": {"noise": 0}}, "No effect is chosen"),
        (
            pd.concat([clips("ravdess"), clips("savee", labels=catalogue.LABELS[2:])], ignore_index=True),
            {},
            r"One corpus alone has .*calm \(RAVDESS\)",
        ),
        (
            pd.concat(
                [clips("ravdess", labels=("sad",), n_each=8), clips("ravdess", labels=("angry",), n_each=2)],
                ignore_index=True,
            ),
            {},
            "4 times as many training clips of sad as of angry",
        ),
        (
            clips("savee"),
            {"validation_share": 0.0, "classifier": "mlp"},
            "Without a validation part the last epoch is kept",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_doubtful_choice_is_named(models, table, settings, sentence):
    made = plan(table, models, **settings)
    assert any(re.search(sentence, warning) for warning in made.warnings), made.warnings


def test_a_sound_choice_raises_no_doubt(models):
    assert plan(clips("ravdess", n_each=4), models).warnings == ()


def test_starting_from_a_model_that_knows_the_speakers_is_named():
    table = clips("ravdess", labels=("happy", "sad", "boredom"))
    config = RunConfig(corpora=("ravdess",), classifier="cnn", start_from="cnn", mapping=LabelMapping(boredom=True))
    made = training_plan.plan(table, config, models=paths.models_folder())
    assert made.problems == ()
    (said,) = [
        warning for warning in made.warnings if "were in the training of 'cnn', or their speakers were" in warning
    ]
    test = made.parts[2]
    assert said.startswith(f"{test.n_clips} of the {test.n_clips} clips that are tested here")
    assert any(
        "with what was learned of happy, sad; boredom is learned from nothing" in warning for warning in made.warnings
    )


def test_other_features_than_those_of_the_start_are_refused():
    config = RunConfig(corpora=("ravdess",), classifier="cnn", start_from="cnn", features=FeatureConfig(n_mels=40))
    assert (
        "trained on other features"
        in training_plan.plan(clips("ravdess"), config, models=paths.models_folder()).problems[0]
    )


def test_the_parts_follow_the_seed():
    first, same, other = (
        prepare(clips("ravdess"), RunConfig(corpora=("ravdess",), seed=seed)).part for seed in (1, 1, 2)
    )
    assert np.array_equal(first, same) and not np.array_equal(first, other)


def doubled(same_speakers: bool = True) -> tuple[pd.DataFrame, Sounds]:
    """Return RAVDESS with a copy of it under other names, whose clips are by as many speakers or by one, and what is known by sound."""
    table = clips("ravdess")
    copy = table.assign(corpus="mine", path="copy/" + table["path"], name="x" + table["name"])
    copy["speaker"] = "mine:" + table["speaker"].str.partition(":")[2] if same_speakers else "mine:me"
    same = {f"copy/{path}": path for path in table["path"]} | {path: path for path in table["path"]}
    return pd.concat([table, copy], ignore_index=True), Sounds(same, {})


@pytest.mark.parametrize("settings", [{}, {"folds": 3}, {"grid": {"n_neighbors": (3, 5)}, "classifier": "knn"}])
def test_copies_under_other_names_are_told_and_stay_on_one_side(settings):
    table, sounds = doubled()
    config = RunConfig(corpora=("ravdess", "mine"), **settings)
    prepared = prepare(table, config, sounds)
    half = len(table) // 2
    assert (prepared.part[:half] == prepared.part[half:]).all() and prepared.n_doubles == 0
    if prepared.folds is not None:
        assert (prepared.folds[:half] == prepared.folds[half:]).all()
    said = training_plan.plan(table, config, sounds=sounds).warnings[0]
    assert (
        f"{half:} recordings occur more than once, as {2 * half} clips, {half} of them in more than one corpus" in said
    )
    assert "one side of every split" in said


def test_copies_that_cannot_be_kept_apart_are_left_out():
    table, sounds = doubled(same_speakers=False)
    config = RunConfig(corpora=("ravdess", "mine"))
    prepared = prepare(table, config, sounds)
    half = len(table) // 2
    assert prepared.n_doubles == half and set(prepared.clips["corpus"]) == {"ravdess"}
    assert f"{half} are left out" in training_plan.plan(table, config, sounds=sounds).warnings[0]


def test_what_was_never_compared_by_sound_is_so_and_its_time_counts(models):
    table = clips("ravdess", n_each=4)
    made = plan(table, models)
    assert not made.compared and next(iter(made.seconds)) == run_folder.COMPARING
    assert made.seconds[run_folder.COMPARING] == round(len(table) / training_plan.RATES["sounds"], 1)
    known = training_plan.plan(table, RunConfig(corpora=("ravdess",), classifier="knn"), sounds=Sounds({}, {}))
    assert known.compared and run_folder.COMPARING not in known.seconds


def test_starting_from_a_model_that_knows_the_recordings_under_other_names_is_named(tmp_path, monkeypatch):
    official = clips("ravdess")
    codes = dict(zip(catalogue.LABELS, range(1, 9), strict=True))
    official[catalogue.NAME] = [
        f"03-01-{codes[row.emotion]:02d}-01-01-{int(row.sentence) + 1:02d}-{row.speaker[-2:]}"
        for row in official.itertuples()
    ]
    rng = np.random.default_rng(0)
    prints = {
        path: np.repeat(rng.integers(0, 256, (1, PRINT_BYTES), np.uint8), len(SHIFTS), axis=0)
        for path in official[catalogue.PATH]
    }
    sounds = Sounds({}, prints)
    monkeypatch.setattr(published, "PRINTS", tmp_path / "prints.npz")
    published.write(published.PRINTS, {"ravdess": official}, sounds)
    mine = official.assign(corpus="mine", speaker="mine:" + official["speaker"].str[-2:], name=official["path"])
    config = RunConfig(corpora=("mine",), classifier="cnn", start_from="cnn")

    def said(sounds: Sounds) -> list[str]:
        made = training_plan.plan(mine, config, models=paths.models_folder(), sounds=sounds)
        return [warning for warning in made.warnings if "in the training of 'cnn'" in warning]

    assert said(Sounds({}, {})) == [], "by their names they are others"
    assert len(said(sounds)) == 1 and "Use clips that it was not trained on" in said(sounds)[0]


def test_a_start_that_knows_nobody_who_is_tested_raises_no_doubt(models):
    table = clips("cafe", labels=catalogue.LABELS[:2], speakers=20)
    config = RunConfig(corpora=("cafe",), classifier="cnn", start_from="cnn")
    made = training_plan.plan(table, config, models=paths.models_folder(), sounds=Sounds({}, {}))
    assert not [warning for warning in made.warnings if "in the training of" in warning]
