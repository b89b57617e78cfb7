"""My voice: what adapting to a few takes mends and what it leaves alone, and what a saved voice must not do."""

from __future__ import annotations

import json
import pickle
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ser_core import classifiers
from ser_core.audio import waveform
from ser_core.features import vectors
from ser_core.features.config import FeatureConfig
from ser_core.recognition import personal, service, store, together
from ser_core.recognition.personal import PersonalError, Reference, Take, Voice
from ser_core.recognition.recognizer import Prediction, Recognizer
from ser_core.system import workers
from tests.support import models

ROOT = Path(__file__).resolve().parents[2]
LABELS = ("neutral", "happy", "sad", "angry")
N_COLUMNS = 12
CENTRES = np.random.default_rng(5).normal(size=(len(LABELS), N_COLUMNS)) * 1.5


def clips(n_each: int, seed: int, *, shift: np.ndarray | float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Return clips of a speaker whose whole space is shifted, and their labels."""
    y = np.repeat(np.arange(len(LABELS)), n_each)
    noise = np.random.default_rng(seed).normal(size=(len(y), N_COLUMNS))
    return (CENTRES[y] + noise + shift).astype(np.float32), y


SHIFT = (CENTRES[1] - CENTRES[0]) * 0.9
"""Of somebody whose neutral voice is nearly what is happy of others."""


def recognizer(name: str, *, slug: str = "mine", digest: str = "ab12") -> Recognizer:
    """Return a model of that classifier; "gated": of two corpora, the second of which lies elsewhere."""
    X, y = clips(80, seed=0)
    if name == "gated":
        other, also = clips(80, seed=9, shift=6.0)
        X, y, domain = np.concatenate([X, other]), np.concatenate([y, also]), np.repeat([0, 1], len(y))
        fitted = classifiers.build("transfer", LABELS).fit(X, y, domain=domain, sample_weight=np.ones(len(y)))
        return Recognizer(slug, FeatureConfig(), LABELS, fitted, "embedding", digest=digest)
    fitted = classifiers.build(name, LABELS).fit(X, y)
    kind = classifiers.CLASSIFIERS[name].input_kind
    return Recognizer(slug, FeatureConfig(), LABELS, fitted, kind, digest=digest)


@pytest.fixture(scope="module", params=["lda", "gated", "knn"])
def model(request: pytest.FixtureRequest) -> Recognizer:
    return recognizer(request.param)


def takes_of(model: Recognizer, X: np.ndarray, y: np.ndarray) -> list[Take]:
    return [personal.take_of(LABELS[label], [model.answer(x[np.newaxis])]) for x, label in zip(X, y, strict=True)]


def accuracy(model: Recognizer, X: np.ndarray, y: np.ndarray, voice: Voice | None = None) -> float:
    answers = [model.answer(x[np.newaxis]) for x in X]
    answers = [voice.predict(each) for each in answers] if voice else answers
    return float(np.mean([each.label == LABELS[label] for each, label in zip(answers, y, strict=True)]))


def test_a_speaker_whose_whole_space_is_shifted_is_mended_by_one_take_a_label(model):
    tested, y = clips(50, seed=2, shift=SHIFT)
    voice = personal.adapt(takes_of(model, *clips(2, seed=1, shift=SHIFT)), [personal.reference(model)])
    before, after = accuracy(model, tested, y), accuracy(model, tested, y, voice)
    assert voice.n_takes == 8 and list(voice.adaptations) == ["mine"]
    assert after > before + (0.02 if model.discriminant is None else 0.1)
    assert model.discriminant is None or after > 0.85


def test_the_takes_of_another_speaker_mend_nothing(model):
    tested, y = clips(50, seed=2, shift=SHIFT)
    voice = personal.adapt(takes_of(model, *clips(2, seed=1, shift=-SHIFT)), [personal.reference(model)])
    assert accuracy(model, tested, y, voice) <= accuracy(model, tested, y)


def test_takes_as_the_training_had_them_change_next_to_nothing(model):
    tested, y = clips(50, seed=2)
    voice = personal.adapt(takes_of(model, *clips(2, seed=1)), [personal.reference(model)])
    assert accuracy(model, tested, y, voice) > accuracy(model, tested, y) - 0.05


def test_adapted_probabilities_are_probabilities_of_the_same_labels(model):
    voice = personal.adapt(takes_of(model, *clips(1, seed=1, shift=SHIFT)), [personal.reference(model)])
    answer = model.answer(clips(1, seed=3)[0][:1])
    adapted = voice.predict(answer)
    assert list(adapted.probabilities) == list(answer.probabilities)
    assert sum(adapted.probabilities.values()) == pytest.approx(1)
    assert adapted.label == max(adapted.probabilities, key=lambda label: adapted.probabilities[label])
    assert voice.answer("mine", answer.seen, np.array(list(answer.probabilities.values()))) == pytest.approx(
        list(adapted.probabilities.values())
    )
    assert voice.predict(replace(answer, model="another")) == replace(answer, model="another")


def test_a_position_and_the_means_give_the_probabilities_of_a_discriminant():
    model = recognizer("lda")
    space = model.discriminant
    assert space is not None and space.means.shape == (4, 3)
    X, _ = clips(5, seed=4)
    logits = -((space.project(X)[:, np.newaxis] - space.means) ** 2).sum(axis=2) / 2
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(shares / shares.sum(axis=1, keepdims=True), model.classifier.predict_proba(X), atol=1e-4)


def test_clips_of_a_class_spread_by_one_in_all_directions_of_a_discriminant():
    for name in ("lda", "gated"):
        space = recognizer(name).discriminant
        X, y = clips(500, seed=6)
        own = [np.flatnonzero((space.labels == label) & (space.groups == 0))[0] for label in range(len(LABELS))]
        apart = space.project(X) - space.means[own][y]
        assert np.cov(apart.T) == pytest.approx(np.eye(space.means.shape[1]), abs=0.35), name


def test_more_takes_move_the_means_further_towards_the_speakers_own():
    means, y = np.zeros((3, 2)), np.repeat([0, 1], 4)
    own = np.where(y[:, np.newaxis] == 0, [1.0, 0.0], [1.0, 2.0])
    few = personal.speaker_means(means, own[::4], y[::4])
    many = personal.speaker_means(means, own, y)
    certain = personal.speaker_means(means, own, y, personal.Strengths(speaker=1e9, label=1e9))
    there = np.array([[1.0, 0.0], [1.0, 2.0]])
    assert np.abs(many[:2] - there).sum() < np.abs(few[:2] - there).sum() < np.abs(means[:2] - there).sum()
    assert certain[:2] == pytest.approx(there, abs=1e-6)
    assert many[2, 0] > 0.3  # a label without a take moves with the others
    assert personal.speaker_means(means, own[:0], y[:0]) is means


def test_biases_are_those_with_the_least_penalised_loss():
    rng = np.random.default_rng(0)
    logs = np.log(rng.dirichlet(np.ones(4), size=9))
    y = np.array([0, 0, 0, 0, 1, 1, 2, 2, 3])

    def loss(bias: np.ndarray) -> float:
        logits = logs + bias
        of_take = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(9), y]
        return float(9 / 4 * sum(of_take[y == each].mean() for each in range(4)) + (bias**2).sum() / 2)

    found = personal.biases(logs, y, variance=1.0)
    assert all(loss(found) <= loss(found + rng.normal(size=4) * 0.01) for _ in range(50))
    assert np.abs(personal.biases(logs, y, variance=1e-9)).max() < 1e-6


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([], "There are 0 takes of 0 labels"),
        (["happy"], "There is 1 take of 1 label"),
        (["happy", "sad", "angry"], "3 takes of 3 labels"),
        (["happy", "sad"] * 5, "10 takes of 2 labels"),
    ],
)
def test_too_few_takes_are_refused_with_what_is_needed(labels, words):
    takes = [Take(label, {"mine": np.zeros(4)}) for label in labels]
    with pytest.raises(PersonalError, match="4 takes of 3 labels or more are needed") as caught:
        personal.adapt(takes, [Reference("mine", "ab", LABELS)])
    assert words in str(caught.value)


def test_a_model_adapts_to_what_it_knows_and_without_such_a_model_there_is_no_voice():
    takes = [Take(label, {"mine": np.zeros(4)}) for label in (*LABELS, "disgust")]
    knows = Reference("mine", "ab", LABELS)
    foreign = Reference("another", "cd", ("neutral", "disgust"))
    assert list(personal.adapt(takes, [knows, foreign]).adaptations) == ["mine"]
    with pytest.raises(PersonalError, match="None of the models"):
        personal.adapt(takes, [foreign])
    with pytest.raises(PersonalError, match="at most 200"):
        personal.adapt(takes * 50, [knows])
    with pytest.raises(PersonalError, match="does not fit the model 'mine'"):
        personal.adapt(takes, [replace(knows, means=np.zeros((4, 3)), classes=np.arange(4), groups=np.zeros(4, int))])


def test_labels_that_a_model_has_not_learned_stay_as_they_are():
    X, y = clips(40, seed=0)
    inside = y != 3
    fitted = classifiers.build("lda", LABELS).fit(X[inside], y[inside])
    model = Recognizer("mine", FeatureConfig(), LABELS, fitted, "vector")
    assert list(model.discriminant.labels) == [0, 1, 2]
    voice = personal.adapt(takes_of(model, *clips(2, seed=1, shift=SHIFT)), [personal.reference(model)])
    adapted = voice.predict(model.answer(X[:1]))
    assert adapted.probabilities["angry"] < 1e-3 and sum(adapted.probabilities.values()) == pytest.approx(1)


def test_a_voice_is_made_within_a_second(model):
    takes = takes_of(model, *clips(50, seed=1))
    start = time.process_time()
    personal.adapt(takes, [replace(personal.reference(model), slug="mine")])
    assert time.process_time() - start < 1


def test_one_visitors_voice_does_not_reach_another():
    model = recognizer("lda")
    there = personal.reference(model)
    mine = personal.adapt(takes_of(model, *clips(2, seed=1, shift=SHIFT)), [there])
    answer = model.answer(clips(1, seed=3, shift=SHIFT)[0][:1])
    before = mine.predict(answer)
    other = personal.adapt(takes_of(model, *clips(2, seed=1, shift=-SHIFT)), [there])
    assert other.predict(answer) != before and mine.predict(answer) == before
    assert model.answer(clips(1, seed=3, shift=SHIFT)[0][:1]).probabilities == answer.probabilities
    state = {name for name, value in vars(personal).items() if isinstance(value, list | dict | set)}
    assert {name for name in state if not name.startswith("__")} == set(), (
        "a module that keeps nothing passes nothing on"
    )


def test_together_adapts_each_model_that_is_as_it_was_and_pools_what_they_say(tmp_path):
    folder = models.build(tmp_path / "models")
    slugs = tuple(models.TITLES)
    models.pool(folder, slugs)
    digests = {card.slug: together.digest(card) for card in store.list_models(folder)[0]}
    labels = store.read_card("knn", folder).labels
    rng = np.random.default_rng(0)

    def answers() -> list[Prediction]:
        return [
            Prediction(slug, labels[0], dict(zip(labels, rng.dirichlet(np.ones(8)), strict=True)), 1.0)
            for slug in slugs
        ]

    takes = [personal.take_of(label, answers()) for label in labels]
    voice = personal.adapt(takes, [Reference(slug, digests[slug], labels) for slug in slugs])
    given = together.lead(answers(), digests, folder)
    whole, alone = together.apart(voice.lead(given, digests, folder))
    assert alone == [voice.predict(each) for each in given[1:]] and alone != given[1:]
    assert whole == together.lead(alone, digests, folder)[0] != given[0]
    changed = voice.lead(given, digests | {"mlp": "ffff"}, folder)
    assert [each for each in changed if each.model == "mlp"] == [each for each in given if each.model == "mlp"]
    assert together.apart(changed)[0] is None  # the pool is of that very model as well


def test_a_saved_voice_is_the_same_voice_and_holds_no_sound(model):
    there = personal.reference(model)
    voice = personal.adapt(takes_of(model, *clips(2, seed=1, shift=SHIFT)), [there])
    saved = voice.to_bytes()
    again = Voice.from_bytes(saved, [there, Reference("another", "cd", LABELS)])
    answer = model.answer(clips(1, seed=3)[0][:1])
    assert list(again.predict(answer).probabilities.values()) == pytest.approx(
        list(voice.predict(answer).probabilities.values()), abs=1e-3
    )
    assert again.n_takes == 8 and again.left_out == () and again.to_bytes() == saved
    numbers = [each for take in json.loads(saved)["takes"] for kept in take["kept"].values() for each in kept]
    assert len(numbers) == 8 * (len(LABELS) if model.discriminant is None else model.discriminant.means.shape[1])
    assert list(pickle.loads(pickle.dumps(again)).adaptations) == ["mine"]  # a worker may be given one


def test_a_saved_voice_of_another_model_is_refused_and_of_several_those_that_are_here_count():
    model = recognizer("lda")
    there = personal.reference(model)
    both = [there, replace(there, slug="other", digest="cd34")]
    takes = [Take(each.label, each.kept | {"other": each.kept["mine"]}) for each in takes_of(model, *clips(2, seed=1))]
    saved = personal.adapt(takes, both).to_bytes()
    with pytest.raises(PersonalError, match=r"recorded for other models \(mine, other\) than those"):
        Voice.from_bytes(saved, [replace(each, digest="ee") for each in both])
    with pytest.raises(PersonalError, match="recorded for other models"):
        Voice.from_bytes(saved, [])
    one = Voice.from_bytes(saved, both[:1])
    assert list(one.adaptations) == ["mine"] and one.left_out == ("other",)


def changed(**values: object) -> bytes:
    take = {"label": "happy", "kept": {"mine": [0.0, 1.0, 2.0, 3.0]}}
    return json.dumps({"format": 1, "models": {"mine": "ab12"}, "takes": [take] * 5} | values).encode()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a saved voice"),
        (b"\x80\x04pickle", "not a saved voice"),
        (b"\xff\xfe{}", "not a saved voice"),
        (b"[" * 100_000, "not a saved voice"),
        (b"null", "not a saved voice"),
        (b"{}", "not a saved voice"),
        (changed()[:-40], "not a saved voice"),
        (b" " * (personal.MAX_BYTES + 1), "at most 1 MB"),
        (changed(format=2), "reads format 1"),
        (changed(format=True), "reads format 1"),
        (changed(more=1), "missing or unknown entries: more"),
        (changed(models={}), "not a saved voice"),
        (changed(models={"../mine": "ab"}), "no names and digests"),
        (changed(models={"mine": "<b>"}), "no names and digests"),
        (changed(models={f"m{n}": "ab" for n in range(40)}), "not a saved voice"),
        (changed(models={"other": "ab"}), "of a model that it does not name"),
        (changed(takes={}), "not a saved voice"),
        (changed(takes=[1]), "not a saved voice"),
        (changed(takes=[{"label": "happy"}]), "not a saved voice"),
        (changed(takes=[{"label": "happy", "kept": {"mine": []}}]), "not a saved voice"),
        (changed(takes=[{"label": "happy", "kept": {"mine": [1e300]}}]), "not a saved voice"),
        (changed(takes=[{"label": "happy", "kept": {"mine": [float("nan")]}}]), "not a saved voice"),
        (changed(takes=[{"label": "happy", "kept": {"mine": ["1"]}}]), "not a saved voice"),
        (changed(takes=[{"label": "<script>", "kept": {"mine": [1.0]}}]), "which is no emotion"),
        (changed(takes=[{"label": "happy", "kept": {"mine": [1.0]}}] * 300), "not a saved voice"),
        (changed(), "5 takes of 1 label"),
    ],
)
def test_a_damaged_hostile_or_huge_file_is_refused_in_a_sentence(content, words):
    with pytest.raises(PersonalError, match=words) as caught:
        Voice.from_bytes(content, [Reference("mine", "ab12", LABELS)])
    assert len(str(caught.value)) < 600


def test_a_saved_take_that_does_not_fit_its_model_is_refused():
    takes = [{"label": label, "kept": {"mine": [0.0, 1.0]}} for label in LABELS]
    with pytest.raises(PersonalError, match="does not fit the model 'mine'"):
        Voice.from_bytes(changed(takes=takes), [Reference("mine", "ab12", LABELS)])


def test_a_take_is_enrolled_in_a_worker_by_the_path_of_every_clip(tmp_path):
    folder = models.build(tmp_path / "models")
    n_columns = len(vectors.summary_columns(FeatureConfig()))
    rng = np.random.default_rng(0)
    y = np.arange(160) % 8
    card = store.read_card("knn", folder)
    fitted = classifiers.build("lda", card.labels).fit((rng.normal(size=(160, n_columns)) * 50).astype(np.float32), y)
    store.save(lambda files: replace(card, classifier="lda", files=files), fitted, folder)
    asked = [("knn", "lda"), ("cnn", "first")]
    data = (ROOT / "pages" / "samples" / "bright.flac").read_bytes()
    take = workers.run(service.enrol, data, "happy", asked, folder, name="bright.flac")
    there = workers.run(service.references, [*asked, ("gone", "")], folder)
    assert take.label == "happy" and set(take.kept) == set(there) == {"knn", "cnn"}
    assert take.kept["knn"].shape == (7,) == there["knn"].means.shape[1:]
    assert take.kept["cnn"].shape == (8,) and there["cnn"].means is None
    _, answers = service.analyse(data, asked, folder, name="bright.flac")
    assert take.kept["knn"] == pytest.approx(answers[0].seen, abs=1e-6)
    quiet = waveform.encode_wav(waveform.Waveform(np.zeros(32_000, np.float32), waveform.SAMPLE_RATE))
    with pytest.raises(PersonalError, match=r"no speech in quiet\.wav"):
        service.enrol(quiet, "happy", asked, folder, name="quiet.wav")
    with pytest.raises(PersonalError, match="There is no model 'gone'"):
        service.enrol(data, "happy", [("gone", "")], folder, name="bright.flac")


@pytest.mark.parametrize("sure", [0.5, 0.95, 0.99, 0.999])
def test_biases_mend_a_model_that_says_one_label_to_all(sure):
    """Steps that are too long would never end: the slope of what is minimised is 0 at what is returned."""
    given = np.full((14, 8), (1 - sure) / 7)
    given[:, 7] = sure
    y, logs = np.repeat(np.arange(7), 2), personal.logarithms(given)
    found = personal.biases(logs, y, variance=1.0)
    powers = np.exp(logs + found)
    shares = powers / powers.sum(axis=1, keepdims=True)
    slope = (np.eye(8)[y] - shares).sum(axis=0) - found
    np.testing.assert_allclose(slope, 0, atol=1e-5)
    assert found[7] < found[:7].min()


def test_a_voice_is_of_no_more_models_than_can_be_read_again():
    logs = personal.logarithms(np.full(3, 1 / 3))
    many = [Reference(f"m{number}", "0" * 16, ("happy", "sad", "angry")) for number in range(personal.MAX_MODELS + 1)]
    takes = [Take(label, {each.slug: logs for each in many}) for label in ("happy", "sad", "angry", "sad")]
    with pytest.raises(PersonalError, match="at most 32 models"):
        personal.adapt(takes, many)
    assert Voice.from_bytes(personal.adapt(takes, many[:-1]).to_bytes(), many).n_takes == 4
