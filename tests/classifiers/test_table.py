"""Every row of the classifier table: learns, survives saving, and says what is wrong with a damaged file."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import balanced_accuracy_score
from sklearn.preprocessing import StandardScaler

from ser_core import classifiers
from ser_core.classifiers import CLASSIFIERS
from ser_core.errors import ConfigError, ModelError

LABELS = ("neutral", "calm", "happy", "sad")
QUICK = {"mlp": {"epochs": 15}, "boosting": {"epochs": 2}, "forest": {"n_trees": 20}}
VECTOR = [name for name, spec in CLASSIFIERS.items() if spec.input_kind != "frames"]
"""Those that take one row a clip."""

ITERATIVE = [name for name in VECTOR if CLASSIFIERS[name].iterative]


def clusters(n_each: int = 40, n_columns: int = 30, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return points around one centre a label, far enough apart for any classifier."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(len(LABELS), n_columns)) * 3
    y = np.repeat(np.arange(len(LABELS)), n_each)
    return (centres[y] + rng.normal(size=(len(y), n_columns))).astype(np.float32), y


@pytest.fixture(params=VECTOR)
def fitted(request):
    X, y = clusters()
    return classifiers.build(request.param, LABELS, QUICK.get(request.param, {})).fit(X, y)


def test_unseen_points_are_recognised(fitted):
    X, y = clusters(seed=1)
    probabilities = fitted.predict_proba(X)
    assert probabilities.shape == (len(y), len(LABELS))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-6)
    assert (probabilities.argmax(axis=1) == y).mean() > 0.95


def test_a_saved_classifier_gives_the_same_probabilities(fitted, tmp_path):
    names = fitted.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    loaded = classifiers.load(fitted.name, tmp_path, LABELS)
    X, _ = clusters(seed=2)
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))


def test_parameters_are_counted(fitted):
    n_columns, last = 30, fitted.pipeline_[-1]
    expected = {
        "mlp": lambda: (n_columns + 1) * 128 + 129 * len(LABELS),
        "knn": lambda: n_columns * 3 + 160 * 3,
        "svm": lambda: last.n_support_.sum() * (n_columns + 3) + 6,
        "logistic": lambda: (n_columns + 1) * len(LABELS),
        "lda": lambda: (n_columns + 1) * len(LABELS),
        "transfer": lambda: (n_columns + 1) * len(LABELS),
        "forest": lambda: sum(2 * (t.tree_.n_leaves - 1) + t.tree_.n_leaves * len(LABELS) for t in last.estimators_),
        # scikit-learn has no public way to the trees of a boosting.
        "boosting": lambda: sum(3 * each.get_n_leaf_nodes() - 2 for trees in last._predictors for each in trees),
    }
    assert fitted.n_parameters == expected[fitted.name]()


def test_the_same_seed_gives_the_same_classifier(fitted):
    X, y = clusters()
    again = classifiers.build(fitted.name, LABELS, fitted.hyperparameters).fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))


@pytest.mark.parametrize("name", VECTOR)
def test_a_label_without_training_data_gets_no_probability(name):
    X, y = clusters()
    X, y = X[y != 1], y[y != 1]
    probabilities = classifiers.build(name, LABELS, QUICK.get(name, {})).fit(X, y).predict_proba(X)
    assert probabilities.shape == (len(y), len(LABELS))
    assert (probabilities[:, 1] == 0).all()


@pytest.mark.parametrize("name", VECTOR)
def test_rows_of_no_weight_are_not_learned(name):
    X, y = clusters()
    wrong = np.concatenate([y, (y + 1) % len(LABELS)])
    weight = np.repeat([1.0, 1e-9], len(y))
    fitted = classifiers.build(name, LABELS, QUICK.get(name, {})).fit(
        np.concatenate([X, X + 0.1]), wrong, sample_weight=weight
    )
    assert (fitted.predict_proba(X).argmax(axis=1) == y).mean() > 0.95


@pytest.mark.parametrize("name", ["knn", "mlp", "transfer"])
def test_what_a_label_means_in_each_corpus_is_learned_for_itself(name, tmp_path):
    X, y = clusters()
    swapped = np.where(y == 0, 1, np.where(y == 1, 0, y))  # what one corpus calls neutral, another calls calm ...
    far = np.full((1, X.shape[1]), 20, np.float32)  # ... and it sounds so different that the two can be told apart
    domain = np.repeat([0, 1], len(y))
    both, truth = np.concatenate([X, X + far]), np.concatenate([y, swapped])
    seen = []
    fitted = classifiers.build(name, LABELS).fit(
        both, truth, domain=domain, validation=(both, truth), on_epoch=lambda *figures: seen.append(figures[2])
    )
    fitted.save(tmp_path)
    for classifier in (fitted, classifiers.load(name, tmp_path, LABELS)):
        probabilities = classifier.predict_proba(both)
        assert probabilities.shape == (len(truth), len(LABELS))
        np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-6)
        assert (probabilities.argmax(axis=1) == truth).mean() > 0.95
    assert all(figures["accuracy"] > 0.9 and figures["validation_uar"] > 0.9 for figures in seen[-1:])


@pytest.mark.parametrize("name", ["knn", "lda"])
def test_thinning_loses_no_label(name):
    X, y = clusters()
    fitted = classifiers.build(name, LABELS).fit(X, y, sample_weight=np.where(y == 0, 1e-9, 1.0))
    assert list(fitted.pipeline_.classes_) == [0, 1, 2, 3]


@pytest.mark.parametrize("name", ITERATIVE)
def test_each_epoch_is_reported_and_may_be_the_last(name):
    X, y = clusters()
    seen = []
    steps = {"learning_rate": 5e-3} if name == "mlp" else {}  # nine batches are all that it sees
    classifiers.build(name, LABELS, {"epochs": 20, **steps}).fit(
        X,
        y,
        validation=(X[::3], y[::3]),
        on_epoch=lambda *figures: seen.append(figures),
        should_stop=lambda: len(seen) == 3,
    )
    assert [epoch for epoch, _, _ in seen] == [1, 2, 3]
    assert set(seen[0][2]) == {"loss", "accuracy", "validation_loss", "validation_accuracy", "validation_uar"}
    assert seen[2][2]["accuracy"] > 0.9 and seen[2][2]["validation_uar"] > 0.9


@pytest.mark.parametrize("name", ITERATIVE)
def test_patience_ends_a_training_that_gets_no_better(name):
    X, y = clusters()
    epochs = []
    fitted = classifiers.build(name, LABELS, {"epochs": 30, "patience": 2}).fit(
        X, y, validation=(X, y), on_epoch=lambda epoch, *_: epochs.append(epoch)
    )
    assert 3 <= len(epochs) < 30
    assert (fitted.predict_proba(X).argmax(axis=1) == y).mean() > 0.95


def test_mlp_keeps_the_best_epoch_on_validation():
    X, y = clusters()
    recalls = []
    validation = (X + np.random.default_rng(5).normal(size=X.shape) * 6, y)
    fitted = classifiers.build("mlp", LABELS, {"epochs": 40, "alpha": 0.0, "learning_rate": 0.01}).fit(
        X, y, validation=validation, on_epoch=lambda epoch, epochs, figures: recalls.append(figures["validation_uar"])
    )
    guessed = fitted.predict_proba(validation[0]).argmax(axis=1)
    assert balanced_accuracy_score(y, guessed) == pytest.approx(max(recalls))
    assert recalls[-1] < max(recalls)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_damaged_file_is_named(name, tmp_path):
    (tmp_path / "model.skops").write_bytes(b"not a model")
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(ModelError, match=r"model\.(skops|onnx) cannot be read .* train it again|train the model again"):
        classifiers.load(name, tmp_path, LABELS)


@pytest.mark.parametrize("name", VECTOR)
def test_a_classifier_of_more_labels_is_refused(name, tmp_path):
    X, y = clusters()
    classifiers.build(name, LABELS, QUICK.get(name, {})).fit(X, y).save(tmp_path)
    with pytest.raises(ModelError, match="does not hold a classifier of 3 labels"):
        classifiers.load(name, tmp_path, LABELS[:3])


def test_without_what_trains_networks_a_sentence_says_how_to_get_it(monkeypatch):
    # Loads TensorFlow, so nothing but the classifiers that need it imports it.
    monkeypatch.setitem(sys.modules, "ser_core.classifiers._keras", None)
    with pytest.raises(ConfigError, match=r"Training a CNN needs .* pip install '\.\[train\]'"):
        classifiers.build("cnn", ("a", "b"))


def test_unknown_classifiers_and_hyperparameters_are_named():
    with pytest.raises(ConfigError, match=r"no classifier 'oracle'.*knn, mlp"):
        classifiers.build("oracle", LABELS)
    with pytest.raises(ConfigError, match="KNN has no hyperparameter depth"):
        classifiers.build("knn", LABELS, {"depth": 3})


@pytest.mark.parametrize(("name", "spec"), CLASSIFIERS.items(), ids=CLASSIFIERS)
def test_every_row_of_a_form_takes_its_default_and_its_grid(name, spec):
    assert classifiers.check(name, {}) == spec.defaults
    names = [setting.name for setting in spec.settings]
    assert len(set(names)) == len(names) and ("epochs" in names) == ("patience" in names) == spec.iterative
    for setting in spec.settings:
        assert setting.title and setting.help
        assert setting.check(setting.default, of=spec.title) == setting.default
        for value in setting.grid:
            assert classifiers.check(name, {setting.name: value})[setting.name] == value


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("epochs", 0, r"CNN: epochs must be a whole number from 1 to 500\. Got 0"),
        ("epochs", 2.5, "whole number"),
        ("epochs", True, "Got True"),
        ("dropout", 0.9, "a number from 0 to 0.8"),
        ("dropout", float("nan"), "Got nan"),
        ("filters", [8, 8, 8], "4 whole numbers from 4 to 512"),
        ("filters", "many", "4 whole numbers"),
        ("seed", -1, "seed must be a whole number"),
    ],
)
def test_a_value_out_of_range_is_named(name, value, sentence):
    with pytest.raises(ConfigError, match=sentence):
        classifiers.check("cnn", {name: value})


def test_a_choice_is_of_its_own_type():
    assert classifiers.check("lda", {"shrinkage": 0.5})["shrinkage"] == 0.5
    for wrong in ("most", 1, False):
        with pytest.raises(ConfigError, match=r"LDA: shrinkage must be one of 'auto', 0\.0"):
            classifiers.check("lda", {"shrinkage": wrong})


@pytest.mark.parametrize(
    ("name", "break_it"),
    [
        ("forest", lambda last: last.estimators_[0].tree_.children_left.__setitem__(0, 10**6)),
        ("forest", lambda last: last.estimators_[0].tree_.feature.__setitem__(0, 10**6)),
        # What a forged file would hold; scikit-learn shows it under no public name.
        ("boosting", lambda last: last._predictors[0][0].nodes["right"].__setitem__(0, 10**6)),
        ("boosting", lambda last: last._predictors[0][0].nodes["feature_idx"].__setitem__(0, 10**6)),
        # n_support_ gives a copy.
        ("svm", lambda last: last._n_support.__setitem__(0, 10**6)),
    ],
)
def test_a_file_that_would_read_foreign_memory_is_refused(name, break_it, tmp_path):
    X, y = clusters()
    fitted = classifiers.build(name, LABELS, QUICK.get(name, {})).fit(X, y)
    break_it(fitted.pipeline_[-1])
    fitted.save(tmp_path)
    with pytest.raises(ModelError, match="does not hold a classifier"):
        classifiers.load(name, tmp_path, LABELS)


def test_a_file_of_another_classifier_is_refused(tmp_path):
    X, y = clusters()
    classifiers.build("lda", LABELS).fit(X, y).save(tmp_path)
    with pytest.raises(ModelError, match="does not hold a classifier"):
        classifiers.load("mlp", tmp_path, LABELS)


SERVE = """
from ser_core.recognition import store
store.load("cnn")
"""


def test_serving_a_network_leaves_no_trace_of_the_machine_in_the_home_folder(tmp_path):
    told = ("CI", "GITHUB_ACTIONS", "TF_BUILD", "XDG_CACHE_HOME", "ORT_DISABLE_TELEMETRY")
    environment = {name: value for name, value in os.environ.items() if name not in told} | {"HOME": str(tmp_path)}
    subprocess.run(
        [sys.executable, "-c", SERVE], cwd=Path(__file__).resolve().parents[2], env=environment, check=True, timeout=120
    )
    assert not list(tmp_path.rglob("*"))


def test_boosting_cuts_its_features_into_steps_once_and_not_by_weight(monkeypatch):
    """With weights scikit-learn looks for each step by itself, in each column, at every call of fit."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.ensemble._hist_gradient_boosting import binning

    # private: how often columns are cut into bins is seen nowhere else
    given, find = [], binning._find_binning_thresholds

    def counted(column, max_bins, sample_weight=None):
        given.append(sample_weight)
        return find(column, max_bins, sample_weight)

    monkeypatch.setattr(binning, "_find_binning_thresholds", counted)
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [40, 30, 20])
    X = (rng.normal(size=(90, 6)) + y[:, np.newaxis]).astype(np.float32)
    built = classifiers.build("boosting", ("neutral", "happy", "sad"), {"epochs": 3})
    built.fit(X, y, sample_weight=rng.uniform(0.2, 3.0, 90), validation=(X[::3], y[::3]))
    assert len(given) == 6 and given == [None] * 6
    last = built.pipeline_[-1]
    assert type(last) is HistGradientBoostingClassifier and not hasattr(last, "_binned")
    assert (built.predict_proba(X).argmax(axis=1) == y).mean() > 0.7


@pytest.mark.parametrize("n_each", [6, 40])
def test_a_discriminant_is_the_librarys_own_with_more_columns_than_clips_too(n_each):
    X, y = clusters(n_each=n_each, n_columns=60)
    new, _ = clusters(n_each=5, n_columns=60, seed=3)
    for shrinkage in ("auto", 0.0, 0.3):
        theirs = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage, priors=np.full(4, 1 / 4))
        scale = StandardScaler().fit(X)
        theirs.fit(scale.transform(X), y)
        ours = classifiers.build("lda", LABELS, {"shrinkage": shrinkage}).fit(X, y)
        assert type(ours.pipeline_[-1]) is LinearDiscriminantAnalysis
        np.testing.assert_allclose(
            ours.predict_proba(new), theirs.predict_proba(scale.transform(new)), rtol=1e-3, atol=1e-6
        )


def test_a_projection_has_the_librarys_own_axes():
    X, y = clusters(n_columns=60)
    ours = classifiers.build("knn", LABELS, {"shrinkage": 0.6}).fit(X, y).pipeline_
    theirs = LinearDiscriminantAnalysis(solver="eigen", shrinkage=0.6).fit(ours["scale"].transform(X), y)
    scaled = ours["scale"].transform(X)
    found, expected = ours["project"].transform(scaled), theirs.transform(scaled)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), rtol=1e-3, atol=1e-5)  # an axis may point either way
