"""Weights of a pool and honest figures of it, on answers whose reliability is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ser_core.corpora import catalogue
from ser_core.errors import ConfigError
from ser_core.metrics import calibration
from ser_core.recognition import store
from ser_core.recognition import together as recognition_together
from ser_core.training import held_out, together
from ser_core.training.held_out import HeldOut
from tests.support import models

LABELS = catalogue.LABELS
CORPORA = ("ravdess", "savee", "tess")
N_SPEAKERS, N_EACH = 6, 40


@pytest.fixture
def clips() -> pd.DataFrame:
    rows = [
        (corpus, f"{corpus}:{speaker}", LABELS[k % len(LABELS)], f"{speaker}/{k}.wav", speaker)
        for corpus in CORPORA
        for speaker in range(N_SPEAKERS)
        for k in range(N_EACH)
    ]
    columns = [catalogue.CORPUS, catalogue.SPEAKER, catalogue.EMOTION, catalogue.NAME, held_out.FOLD]
    return pd.DataFrame(rows, columns=columns)


def evidence(rng: np.random.Generator, clips: pd.DataFrame, strength: float) -> np.ndarray:
    """Return calibrated answers that see the label through noise, the better the stronger; with 0 they are noise that sounds sure."""
    y = clips[catalogue.EMOTION].map(LABELS.index).to_numpy(int)
    if not strength:
        return rng.dirichlet(np.full(len(LABELS), 0.3), len(y))
    logits = rng.normal(scale=np.sqrt(strength), size=(len(y), len(LABELS)))
    logits[np.arange(len(y)), y] += strength
    return calibration.calibrate(np.exp(logits), 1.0)


def held(clips: pd.DataFrame, scope: str = held_out.ALL, **probabilities: np.ndarray) -> HeldOut:
    protocol = "cross-corpus" if scope == held_out.OTHERS else "speaker"
    keys = dict.fromkeys(probabilities, "k")
    return HeldOut(protocol=protocol, scope=scope, labels=LABELS, clips=clips, probabilities=probabilities, keys=keys)


def accuracy(answers: np.ndarray, part: HeldOut, rows: np.ndarray | slice = slice(None)) -> float:
    return float((answers.argmax(axis=1) == part.y)[rows].mean())


def test_the_better_model_has_more_weight(rng, clips):
    joint = held(clips, good=evidence(rng, clips, 4.0), poor=evidence(rng, clips, 0.0))
    good, poor = together.all_weights(("good", "poor"), joint, None)
    assert good > 0.8 and poor < 0.15


def test_the_pool_is_better_than_its_models_and_calibrated(rng, clips):
    joint = held(clips, one=evidence(rng, clips, 3.0), other=evidence(rng, clips, 3.0))
    digests = {"one": "1" * 16, "other": "2" * 16}
    made = together.pool(("one", "other"), digests, joint)
    answers = together.of_folds(("one", "other"), joint)
    assert accuracy(answers, joint) > 0.05 + max(accuracy(each, joint) for each in joint.probabilities.values())
    assert set(made.per_corpus) == set(CORPORA) and made.unheard == {}
    # By chance alone, 240 clips in 15 bins are off by some points.
    assert np.mean([each.ece for each in made.per_corpus.values()]) < 0.08
    assert all(each.sure["right"] / each.sure["answered"] >= each.accuracy for each in made.per_corpus.values())
    assert made.threshold is not None and made.digests == digests
    assert recognition_together.Pool.from_dict(made.to_dict()) == made


def test_who_knows_the_tested_speakers_gains_nothing(rng, clips):
    """A model that is perfect for the speakers of one fold and noise for the others: only their own answers would choose it."""
    tested = (clips[held_out.FOLD] == 0).to_numpy()
    y = clips[catalogue.EMOTION].map(LABELS.index).to_numpy(int)
    knows = np.where(tested[:, np.newaxis], np.eye(len(LABELS))[y], evidence(rng, clips, 0.0))
    joint = held(clips, fair=evidence(rng, clips, 2.0), knows=knows)
    honest = together.of_folds(("fair", "knows"), joint)
    fair = accuracy(joint.probabilities["fair"], joint, tested)
    own = together.weights(("fair", "knows"), [(joint, tested, 1.0)])
    assert own[1] > 1
    assert accuracy(honest, joint, tested) < fair + 0.1 < 0.8
    across = held(clips, held_out.OTHERS, **joint.probabilities)
    also = together.of_folds(("fair", "knows"), joint, across)  # nor by what it says to them as an unknown corpus
    assert accuracy(also, joint, tested) < fair + 0.1


def test_an_unknown_corpus_is_answered_by_weights_of_the_others(rng, clips):
    tested = (clips[catalogue.CORPUS] == "tess").to_numpy()
    y = clips[catalogue.EMOTION].map(LABELS.index).to_numpy(int)
    knows = np.where(tested[:, np.newaxis], np.eye(len(LABELS))[y], evidence(rng, clips, 0.0))
    part = held(clips, held_out.OTHERS, fair=evidence(rng, clips, 2.0), knows=knows)
    joint = held(clips, fair=evidence(rng, clips, 2.0), knows=knows)
    for known in (joint, None):
        answers = together.of_corpora(("fair", "knows"), known, part)
        assert accuracy(answers, part, tested) < accuracy(part.probabilities["fair"], part, tested) + 0.1 < 0.8


def test_every_speaker_counts_the_same(rng, clips):
    """A speaker with most of the clips, for whom the second model is right, weighs no more than each of the others."""
    many = pd.concat([clips, *[clips[clips[catalogue.SPEAKER] == "ravdess:0"]] * 30], ignore_index=True)
    one = (many[catalogue.SPEAKER] == "ravdess:0").to_numpy()[:, np.newaxis]
    good, noise = evidence(rng, many, 4.0), evidence(rng, many, 0.0)
    joint = held(many, first=np.where(one, noise, good), second=np.where(one, good, noise))
    first, second = together.all_weights(("first", "second"), joint, None)
    assert one.mean() > 0.6 and first > 2 * second


def test_a_single_fold_has_no_figures_but_weights(rng, clips):
    joint = held(clips.assign(**{held_out.FOLD: 0}), a=evidence(rng, clips, 2.0))
    made = together.pool(("a",), {"a": "0"}, joint)
    assert made.per_corpus == {} and made.threshold is None and made.weights["a"] > 0


def test_pools_are_made_of_models_that_are_as_they_answered(rng, clips, tmp_path):
    folder = models.build(tmp_path / "models")
    digests = {card.slug: recognition_together.digest(card) for card in store.list_models(folder)[0]}
    answers = tmp_path / "held_out.npz"
    for scope in (held_out.ALL, held_out.OTHERS):
        for slug in ("knn", "mlp", "cnn"):
            part = held(clips, scope, **{slug: evidence(rng, clips, 2.0)})
            held_out.add(answers, HeldOut(**{**vars(part), "keys": {slug: digests[slug]}}))
    said: list[str] = []
    groups = (("knn", "mlp", "cnn", "cnn_lstm"), ("knn", "mlp", "cnn"), ("knn", "mlp"))
    made = together.build(groups, answers, folder, say=said.append)
    assert [list(each.weights) for each in made] == [["knn", "mlp", "cnn"], ["knn", "mlp"]]
    assert recognition_together.read(folder) == made and set(made[0].unheard) == set(CORPORA)
    assert said[0] == "together: no pool of knn, mlp, cnn, cnn_lstm, because cnn_lstm must be built first"
    assert any(each.startswith("together of 3: without tess accuracy ") and "ECE" in each for each in said)
    stale = held(clips, knn=evidence(rng, clips, 2.0))
    held_out.add(answers, stale)
    assert together.build((("knn", "mlp"),), answers, folder, say=said.append) == ()
    with pytest.raises(ConfigError):
        together.build(groups, Path(tmp_path / "none.npz"), folder)


def test_models_that_are_always_wrong_make_no_pool(clips, tmp_path):
    folder = models.build(tmp_path / "models")
    digest = recognition_together.digest(store.read_card("knn", folder))
    y = clips[catalogue.EMOTION].map(LABELS.index).to_numpy(int)
    part = held(clips, knn=np.eye(len(LABELS))[(y + 1) % len(LABELS)] * 0.8 + 0.025)
    held_out.add(tmp_path / "held_out.npz", HeldOut(**{**vars(part), "keys": {"knn": digest}}))
    said: list[str] = []
    assert together.build((("knn",),), tmp_path / "held_out.npz", folder, say=said.append) == ()
    assert said == ["together: no pool of knn, because none of them is better than guessing"]
    assert recognition_together.read(folder) == ()


def test_the_pool_says_how_often_it_is_right_under_a_condition(rng, clips):
    """Of one corpus, heard with noise: by the weights that the other folds chose from the recordings."""
    slugs, digests = ("one", "other"), {"one": "1" * 16, "other": "2" * 16}
    joint = held(clips, one=evidence(rng, clips, 4.0), other=evidence(rng, clips, 0.0))
    some = clips[clips[catalogue.CORPUS] == "ravdess"].reset_index(drop=True)
    noisy = replace(held(some, one=evidence(rng, some, 1.0), other=evidence(rng, some, 0.0)), condition="babble 10")
    made = together.pool(slugs, digests, joint, under=[noisy])
    pooled = together.of_folds(slugs, joint, asked=noisy)
    assert made.per_corpus["ravdess"].under == {"babble 10": accuracy(pooled, noisy)}
    assert accuracy(pooled, noisy) == pytest.approx(accuracy(noisy.probabilities["one"], noisy), abs=0.05)
    assert made.per_corpus["savee"].under is None
    assert recognition_together.Pool.from_dict(made.to_dict()) == made
