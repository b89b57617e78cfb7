"""Two corpora that act a label in opposite ways: their own clips are answered as they mean it, others by what they share."""

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from ser_core import classifiers
from ser_core.classifiers import gated
from ser_core.errors import ModelError

LABELS = ("neutral", "happy", "sad")
OPPOSITE, SHARED, WHERE = 0, 1, 2
"""Columns: how a label sounds, the other way round in the second corpus; how it sounds in both, faintly; which corpus it is."""


def corpora(n_each: int = 100, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return clips of the labels 0 and 2 in two corpora of as many, their labels and corpora; every column has a spread of 1."""
    y, corpus = np.tile(np.repeat([0, 2], n_each), 2), np.repeat([0, 1], 2 * n_each)
    side, way = np.where(y == 2, 1, -1), np.where(corpus == 1, -1, 1)
    means = np.stack([3 * side * way, 0.5 * side, 10 * way, 0 * side], axis=1)
    return (means + np.random.default_rng(seed).normal(size=means.shape)).astype(np.float32), y, corpus


def at(opposite: float, shared: float, where: float) -> np.ndarray:
    return np.array([[opposite, shared, where, 0]], np.float32)


@pytest.fixture
def fitted():
    X, y, corpus = corpora()
    others, truth, _ = corpora(seed=1)
    return classifiers.build("transfer", LABELS).fit(X, y, domain=corpus, validation=(others, truth))


@pytest.mark.parametrize(
    ("clip", "expected"),
    [
        (at(3, -0.5, 10), 2),  # in the first corpus the strong cue says sad, the faint one neutral
        (at(3, 0.5, -10), 0),  # the second means the opposite by the strong one
        (at(3, 0.5, 60), 2),  # far from both, only the shared cue counts ...
        (at(3, -0.5, 60), 0),
        (at(-3, 0.5, -60), 2),
        (at(3, -0.5, -60), 0),
    ],
)
def test_a_clip_like_a_corpus_is_answered_as_that_corpus_and_a_far_one_by_what_all_share(fitted, clip, expected):
    assert fitted.predict_proba(clip)[0].argmax() == expected


def test_far_away_the_answer_is_the_shared_one_and_between_a_mixture(fitted):
    last, scale = fitted.pipeline_[-1], fitted.pipeline_["scale"]
    shared = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.4, priors=[0.5, 0.5])
    X, y, _ = corpora()
    shared.fit(scale.transform(X), y)
    far = at(3, -0.5, 80)
    logit = last.exponent_ * shared.decision_function(scale.transform(far))
    assert fitted.predict_proba(far)[0, 2] == pytest.approx(1 / (1 + np.exp(-logit[0])), rel=1e-3)
    steps = [fitted.predict_proba(at(3, -0.5, where))[0, 2] for where in np.linspace(10, 30, 60)]
    assert steps[0] > 0.9 and steps[-1] < 0.5 and (np.diff(steps) <= 1e-6).all()


def test_a_label_that_a_corpus_lacks_is_not_answered_there():
    X, y, corpus = corpora()
    kept = (corpus == 0) | (y == 2)
    others, truth, _ = corpora(seed=1)
    fitted = classifiers.build("transfer", LABELS).fit(
        X[kept], y[kept], domain=corpus[kept], validation=(others, truth)
    )
    assert fitted.predict_proba(at(-3, -0.5, -10))[0, 0] < 0.1
    assert fitted.predict_proba(X)[:, 1].max() == 0  # a label of no corpus


def test_corpora_may_have_any_numbers(fitted):
    X, y, corpus = corpora()
    others, truth, _ = corpora(seed=1)
    again = classifiers.build("transfer", LABELS).fit(X, y, domain=3 + 4 * corpus, validation=(others, truth))
    np.testing.assert_array_equal(again.predict_proba(others), fitted.predict_proba(others))


def test_one_corpus_has_the_plain_discriminant():
    X, y, _ = corpora()
    plain = classifiers.build("transfer", LABELS).fit(X, y)
    one = classifiers.build("transfer", LABELS).fit(X, y, domain=np.zeros(len(y), int), validation=(X, y))
    assert type(one.pipeline_[-1]) is LinearDiscriminantAnalysis
    np.testing.assert_array_equal(one.predict_proba(X), plain.predict_proba(X))


def test_other_speakers_say_how_far_a_corpus_reaches_and_how_sure_its_answer_is():
    X, y, corpus = corpora()
    near, truth, _ = corpora(seed=1)
    wide = near.copy()
    wide[:, :2] *= 3
    last = [
        classifiers.build("transfer", LABELS).fit(X, y, domain=corpus, validation=(items, labels)).pipeline_[-1]
        for items, labels in ((near, truth), (wide, truth), (near, np.random.default_rng(2).permutation(truth)))
    ]
    assert last[1].limit_ > 2 * last[0].limit_
    assert (last[2].exponents_ < last[0].exponents_ / 3).all() and last[2].exponent_ < last[0].exponent_
    without = classifiers.build("transfer", LABELS).fit(X, y, domain=corpus).pipeline_[-1]
    assert without.limit_ == gated.LIMIT and set(without.exponents_) == {gated.EXPONENT}


def test_a_corpus_goes_half_of_the_way_to_its_own_exponent_and_one_of_few_clips_none_of_it():
    X, y, corpus = corpora()
    others, truth, which = corpora(seed=1)
    few = (which == 0) | (np.arange(len(which)) % 20 == 0)
    assert gated.ENOUGH > (few & (which == 1)).sum() > 0
    wrong = np.where(few & (which == 1), 2 - truth, truth)  # these few alone would ask for the least exponent
    found = [
        classifiers.build("transfer", LABELS)
        .fit(X, y, domain=corpus, validation=(others[mask], wrong[mask]))
        .pipeline_[-1]
        .exponents_
        for mask in (few, which == 0)
    ]
    common, own = found[0][1], found[1][0]
    assert 0.02 < common < own / 2 and found[1][1] == pytest.approx(own)
    assert found[0][0] == pytest.approx(np.sqrt(common * own), abs=1e-3)


def test_the_larger_corpus_does_not_decide_alone():
    X, y, corpus = corpora(n_each=400)
    few = (corpus == 0) | (np.arange(len(y)) % 16 == 0)
    fitted = classifiers.build("transfer", LABELS).fit(X[few], y[few], domain=corpus[few])
    # Of what the corpora mean by the strong cue a quarter is left, and not fifteen seventeenths.
    cue = fitted.pipeline_["scale"].scale_[OPPOSITE] ** -1 * fitted.pipeline_[-1].coef_[:, OPPOSITE]
    alone = classifiers.build("transfer", LABELS).fit(X[corpus == 0], y[corpus == 0]).pipeline_
    assert 0 < cue[1] - cue[0] < 0.75 * (alone[-1].coef_[0, OPPOSITE] / alone["scale"].scale_[OPPOSITE])


def test_a_saved_one_gives_the_same_probabilities(fitted, tmp_path):
    assert fitted.save(tmp_path) == ["model.skops"]
    loaded = classifiers.load("transfer", tmp_path, LABELS)
    X = np.concatenate([corpora(seed=2)[0], at(3, 0.5, 60)])
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))
    assert sum(row["parameters"] for row in loaded.architecture()[2:]) == loaded.n_parameters == 2 * 5 + 4 * 3 + 4 * 3


@pytest.mark.parametrize(
    "damage",
    [
        lambda last: last.labels_.__setitem__(0, 7),
        lambda last: last.classes_.__setitem__(1, 3),
        lambda last: last.corpora_.__setitem__(0, -1),
        lambda last: last.corpora_.__setitem__(0, 9),
        lambda last: last.centres_.__setitem__((0, 0), np.nan),
        lambda last: setattr(last, "corpora_", last.corpora_.astype(float)),
        lambda last: setattr(last, "centres_", last.centres_[:, :1]),
        lambda last: setattr(last, "axes_", last.axes_[:2]),
        lambda last: setattr(last, "coef_", last.coef_.astype(complex)),
        lambda last: setattr(last, "exponents_", "0.2"),
        lambda last: setattr(last, "limit_", 0.0),
        lambda last: setattr(last, "limit_", float("inf")),
        lambda last: setattr(last, "more_", 1.0),
        lambda last: delattr(last, "axes_"),
        lambda last: setattr(last, "centres_", None),
    ],
)
def test_a_file_whose_arrays_do_not_fit_is_refused(damage, fitted, tmp_path):
    damage(fitted.pipeline_[-1])
    fitted.save(tmp_path)
    with pytest.raises(ModelError, match="does not hold a classifier"):
        classifiers.load("transfer", tmp_path, LABELS)


def test_another_classifier_may_not_hold_it(fitted, tmp_path):
    fitted.save(tmp_path)
    with pytest.raises(ModelError, match="cannot be read as a model"):
        classifiers.load("lda", tmp_path, LABELS)
