"""Every row of the classifier table: learns, survives saving, and says what is wrong with a damaged file."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from ser_core import classifiers
from ser_core.classifiers import CLASSIFIERS
from ser_core.errors import ConfigError, ModelError

LABELS = ("neutral", "calm", "happy", "sad")
VECTOR = [name for name, spec in CLASSIFIERS.items() if spec.input_kind == "vector"]


def clusters(n_each: int = 40, n_columns: int = 30, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return points around one centre a label, far enough apart for any classifier."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(len(LABELS), n_columns)) * 3
    y = np.repeat(np.arange(len(LABELS)), n_each)
    return (centres[y] + rng.normal(size=(len(y), n_columns))).astype(np.float32), y


@pytest.fixture(params=VECTOR)
def fitted(request):
    X, y = clusters()
    return classifiers.build(request.param, LABELS, {"epochs": 15} if request.param == "mlp" else {}).fit(X, y)


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
    n_columns = 30
    expected = {
        "mlp": (n_columns + 1) * 256 + 257 * len(LABELS),
        "knn": n_columns * 3 + 160 * 3,
    }
    assert fitted.n_parameters == expected[fitted.name]


def test_the_same_seed_gives_the_same_classifier(fitted):
    X, y = clusters()
    again = classifiers.build(fitted.name, LABELS, fitted.hyperparameters).fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))


@pytest.mark.parametrize("name", VECTOR)
def test_a_label_without_training_data_gets_no_probability(name):
    X, y = clusters()
    X, y = X[y != 1], y[y != 1]
    probabilities = classifiers.build(name, LABELS).fit(X, y).predict_proba(X)
    assert probabilities.shape == (len(y), len(LABELS))
    assert (probabilities[:, 1] == 0).all()


def test_rows_of_no_weight_are_not_learned_by_knn():
    X, y = clusters()
    wrong = np.concatenate([y, (y + 1) % len(LABELS)])
    weight = np.repeat([1.0, 0.0], len(y))
    fitted = classifiers.build("knn", LABELS).fit(np.concatenate([X, X]), wrong, sample_weight=weight)
    assert (fitted.predict_proba(X).argmax(axis=1) == y).mean() > 0.95


def test_mlp_reports_each_epoch_and_stops_when_asked():
    X, y = clusters()
    seen = []
    classifiers.build("mlp", LABELS, {"epochs": 20}).fit(
        X, y, validation=(X[::3], y[::3]), on_epoch=lambda *figures: seen.append(figures), should_stop=lambda: len(seen) == 3
    )
    assert [epoch for epoch, _, _ in seen] == [1, 2, 3]
    assert {"loss", "validation_uar"} <= set(seen[0][2])


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
    classifiers.build(name, LABELS).fit(X, y).save(tmp_path)
    with pytest.raises(ModelError, match="does not hold a classifier of 3 labels"):
        classifiers.load(name, tmp_path, LABELS[:3])


def test_unknown_classifiers_and_hyperparameters_are_named():
    with pytest.raises(ConfigError, match=r"no classifier 'svm'.*knn, mlp"):
        classifiers.build("svm", LABELS)
    with pytest.raises(ConfigError, match="KNN has no hyperparameter depth"):
        classifiers.build("knn", LABELS, {"depth": 3})
