"""The protocol of My voice, on invented speakers of whom it is known what their takes are worth."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ser_core.corpora import catalogue
from ser_core.errors import ConfigError, CorpusError
from ser_core.features.config import FeatureConfig
from ser_core.metrics import calibration
from ser_core.recognition.personal import Reference, Strengths
from ser_core.training import held_out, personal
from ser_core.training.fit import FitConfig
from ser_core.training.held_out import HeldOut
from ser_core.training.personal import Answers
from tests.support import ruled_corpus

LABELS = ("neutral", "happy", "sad", "angry")
MEANS = np.array([[0.0, 0, 0], [3, 0, 0], [0, 3, 0], [0, 0, 3]])
N_SENTENCES = 4


def table(*, n_sentences: int = N_SENTENCES, corpus: str = "ravdess", n_speakers: int = 8) -> pd.DataFrame:
    """Return a clips table in which every speaker says every sentence twice with every label."""
    rows = [
        {
            catalogue.PATH: f"{speaker}/{label}/{sentence}/{number}.wav",
            catalogue.CORPUS: corpus,
            catalogue.SPEAKER: f"{corpus}:{speaker}",
            catalogue.EMOTION: label,
            catalogue.SENTENCE: str(sentence),
            catalogue.SEX: "female" if speaker % 2 else "male",
            catalogue.INTENSITY: "",
            catalogue.NAME: f"{speaker}-{label}-{sentence}-{number}",
        }
        for speaker in range(n_speakers)
        for label in LABELS
        for sentence in range(n_sentences)
        for number in range(2)
    ]
    return pd.DataFrame(rows)[list(catalogue.COLUMNS)]


def shares(seen: np.ndarray, means: np.ndarray = MEANS) -> np.ndarray:
    logits = -((seen[:, np.newaxis] - means) ** 2).sum(axis=2) / 2
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return calibration.calibrate(powers / powers.sum(axis=1, keepdims=True), 1.0)


def answers(clips: pd.DataFrame, *, offset: float, discriminant: bool = True) -> Answers:
    """Return the answers of a model to speakers each of whom is shifted by an own offset of that size, in two folds."""
    rng = np.random.default_rng(1)
    number, _ = pd.factorize(clips[catalogue.SPEAKER])
    shift = rng.normal(size=(number.max() + 1, 3))
    shift *= offset / np.linalg.norm(shift, axis=1, keepdims=True)
    y = clips[catalogue.EMOTION].map(LABELS.index).to_numpy()
    seen = MEANS[y] + shift[number] + 0.5 * rng.normal(size=(len(clips), 3))
    folds = number // 2 % 2
    reference = Reference("mine", "", LABELS, 1.0, MEANS, np.arange(4), np.zeros(4, int))
    logs = np.log(np.maximum(shares(seen), 1e-3))
    return Answers(
        "mine",
        LABELS,
        clips,
        folds,
        shares(seen),
        dict.fromkeys((0, 1), reference if discriminant else Reference("mine", "", LABELS)),
        dict.fromkeys((0, 1), seen if discriminant else logs),
    )


@pytest.mark.parametrize("n_sentences", [2, 3, 5])
def test_takes_and_tested_clips_are_of_different_sentences_and_of_one_speaker(n_sentences):
    clips = table(n_sentences=n_sentences)
    drawn = personal.draws(clips)
    assert len(drawn) == 8 * personal.N_DRAWS
    for draw in drawn:
        takes, tested = clips.iloc[draw.takes], clips.iloc[draw.tested]
        assert set(takes[catalogue.SPEAKER]) == set(tested[catalogue.SPEAKER]) == {draw.speaker}
        assert not set(takes[catalogue.SENTENCE]) & set(tested[catalogue.SENTENCE])
        for level in (1, 2):
            assert sorted(takes[catalogue.EMOTION][draw.level == level]) == sorted(LABELS)
    if n_sentences == 2:
        given = [clips.iloc[draw.takes][catalogue.SENTENCE].iloc[0] for draw in drawn[: personal.N_DRAWS]]
        assert given == ["0", "1"] * (personal.N_DRAWS // 2)


def test_whoever_has_clips_of_one_sentence_or_of_two_labels_is_no_newcomer():
    assert personal.draws(table(n_sentences=1)) == []
    clips = table()
    assert personal.draws(clips[clips[catalogue.EMOTION].isin(LABELS[:2])].reset_index(drop=True)) == []
    with pytest.raises(CorpusError, match="Nobody here can be a newcomer"):
        personal.enrolled(answers(table(n_sentences=1), offset=1.0))
    with pytest.raises(CorpusError, match="Nobody here can be a newcomer"):
        personal.enrolled(answers(table(corpus="tess"), offset=1.0))


def test_the_control_is_another_speaker_of_the_corpus_of_the_same_sex_and_held_out_as_well():
    clips = pd.concat([table(), table(corpus="savee")], ignore_index=True)
    number, _ = pd.factorize(clips[catalogue.SPEAKER])
    folds = number // 4 % 2
    drawn = personal.draws(clips)
    for draw, other in zip(drawn, personal.others(clips, folds, drawn), strict=True):
        own, foreign = clips.iloc[draw.takes[0]], clips.iloc[other.takes[0]]
        assert own[catalogue.SPEAKER] != foreign[catalogue.SPEAKER]
        assert own[catalogue.CORPUS] == foreign[catalogue.CORPUS] and own[catalogue.SEX] == foreign[catalogue.SEX]
        assert folds[draw.takes[0]] == folds[other.takes[0]]


@pytest.mark.parametrize("discriminant", [True, False])
def test_ones_own_takes_help_shifted_speakers_and_anothers_do_not(discriminant):
    strengths, rows = personal.enrolled(answers(table(), offset=2.0, discriminant=discriminant), say=lambda text: None)
    none, one, two = rows
    assert [row.takes for row in rows] == [0, 1, 2] and [row.n_takes for row in rows] == [0, 4, 8]
    assert (none.n_speakers, none.n_clips) == (8, len(table())) and {row.n_clips for row in rows} == {none.n_clips}
    assert none.gain == none.control == 0 and none.gain_low == none.gain_high == 0
    assert one.accuracy == pytest.approx(none.accuracy + one.gain, abs=2e-5)
    assert one.gain > (0.1 if discriminant else 0.02) and two.gain > one.gain - 0.02
    assert one.control < 0.02 and one.control < one.gain
    assert one.gain_low <= one.gain <= one.gain_high and one.low <= one.accuracy <= one.high
    assert strengths in (*personal.GRID, *personal.BIASES)


def test_where_speakers_do_not_differ_takes_cost_next_to_nothing():
    strengths, rows = personal.enrolled(answers(table(), offset=0.0), say=lambda text: None)
    assert all(row.gain > -0.02 for row in rows)
    assert strengths.label < 0.8


def test_how_far_a_fold_adapts_is_chosen_without_its_speakers():
    clips = table()
    model = answers(clips, offset=2.0)
    drawn = personal.draws(clips)
    before = personal.choose(model, drawn)
    assert set(before) == {None, 0, 1}
    spoiled = model.probabilities.copy()
    spoiled[model.folds == 0] = 0.25
    seen = {fold: np.where(model.folds[:, np.newaxis] == 0, 100.0, each) for fold, each in model.seen.items()}
    after = personal.choose(Answers("mine", LABELS, clips, model.folds, spoiled, model.references, seen), drawn)
    assert after[0] == before[0]


def test_a_recipe_is_retrained_once_per_fold_and_finished_folds_are_read_back(tmp_path, monkeypatch):
    ruled_corpus.write_as_ravdess(tmp_path / "ravdess")
    labels = tuple(ruled_corpus.LABELS)
    clips = personal.read_clips({"ravdess": tmp_path / "ravdess"}, labels)
    config = FitConfig(
        classifier="lda", labels=labels, features=FeatureConfig(), n_copies=0, hyperparameters={"shrinkage": 0.9}
    )
    found = personal.answers("lda", clips, config, work=tmp_path / "work", say=lambda text: None)
    assert len(found.references) == 3 and all(each.means.shape == (3, 2) for each in found.references.values())
    assert found.probabilities.sum(axis=1) == pytest.approx(1)
    for fold, seen in found.seen.items():
        own = np.abs(shares(seen, found.references[fold].means) - found.probabilities)[found.folds == fold]
        assert own.max() < 0.02  # what is kept of a clip says what the model said
    monkeypatch.setattr(personal.fit, "train", lambda *_, **__: pytest.fail("trained again"))
    again = personal.answers("lda", clips, config, work=tmp_path / "work", say=lambda text: None)
    np.testing.assert_array_equal(again.probabilities, found.probabilities)
    next((tmp_path / "work").glob("*.npz")).write_bytes(b"damaged")
    with pytest.raises(pytest.fail.Exception, match="trained again"):
        personal.answers("lda", clips, config, work=tmp_path / "work", say=lambda text: None)


def test_models_without_a_discriminant_take_their_held_out_answers():
    clips = table(n_sentences=2)
    model = answers(clips, offset=1.0, discriminant=False)
    rows = clips[list(held_out.COLUMNS)].assign(**{held_out.FOLD: model.folds})
    joint = HeldOut(
        protocol="speaker",
        scope=held_out.ALL,
        labels=LABELS,
        clips=rows.sample(frac=1, random_state=0).reset_index(drop=True),
        probabilities={"mlp": model.probabilities[rows.sample(frac=1, random_state=0).index]},
    )
    found = personal.from_held_out("mlp", joint, clips.iloc[::-1].reset_index(drop=True))
    order = found.clips.sort_values(catalogue.NAME).index.to_numpy()
    expected = clips.sort_values(catalogue.NAME).index.to_numpy()
    np.testing.assert_allclose(found.probabilities[order], model.probabilities[expected])
    assert list(found.folds[order]) == list(model.folds[expected])
    assert personal.enrolled(found, say=lambda text: None)[1][1].n_speakers == 8
    for lacking in (None, joint):
        with pytest.raises(ConfigError, match="no held-out answers of 'cnn'"):
            personal.from_held_out("cnn", lacking, clips)
    with pytest.raises(ConfigError, match="no held-out answers to clips of savee"):
        personal.from_held_out("mlp", joint, table(corpus="savee"))


def held_out_answers(*models: Answers) -> HeldOut:
    """Return what some models, by their slugs, answered to the clips of the first."""
    first = models[0]
    rows = first.clips[list(held_out.COLUMNS)].assign(**{held_out.FOLD: first.folds})
    return HeldOut(
        protocol="speaker",
        scope=held_out.ALL,
        labels=LABELS,
        clips=rows,
        probabilities={each.slug: each.probabilities for each in models},
    )


def test_all_together_is_the_pool_of_models_that_adapt_each_by_itself():
    clips = table()
    one = replace(answers(clips, offset=2.0), slug="one")
    other = replace(answers(clips, offset=2.0, discriminant=False), slug="other")
    none, first, second = personal.enrolled_together([one, other], held_out_answers(one, other), say=lambda text: None)
    assert {each.model for each in (none, first, second)} == {"together"}
    assert (none.n_speakers, none.n_clips, none.gain) == (8, len(clips), 0)
    assert second.gain > 0.1 and first.gain > 0.1 and first.control < first.gain
    (alone, *_) = personal.enrolled(one, say=lambda text: None)[1]
    assert (alone.n_clips, alone.n_takes) == (none.n_clips, none.n_takes)


def test_a_pool_of_one_model_with_the_weight_one_gains_what_the_model_gains(monkeypatch):
    model = answers(table(), offset=2.0)
    joint = held_out_answers(model)
    monkeypatch.setattr(personal.training_together, "weights_of_folds", lambda *_: dict.fromkeys((0, 1), np.ones(1)))
    pooled = personal.enrolled_together([model], joint, say=lambda text: None)
    alone = personal.enrolled(model, say=lambda text: None)[1]
    assert [each.gain for each in pooled] == [each.gain for each in alone]


def test_no_weight_or_strength_of_a_fold_is_chosen_by_a_speaker_that_it_answers(monkeypatch):
    """Spoil all that is known of fold 0's speakers but what is tested: what the fold is answered with stays the same."""
    clips = table()
    models = [replace(answers(clips, offset=2.0), slug=slug) for slug in ("one", "other")]
    joint = held_out_answers(*models)
    own = joint.clips[held_out.FOLD].to_numpy() == 0
    spoiled = {
        slug: np.where(own[:, np.newaxis], np.roll(each, 1, axis=1), each) for slug, each in joint.probabilities.items()
    }
    weights = personal.training_together.weights_of_folds(["one", "other"], joint)
    again = personal.training_together.weights_of_folds(["one", "other"], replace(joint, probabilities=spoiled))
    np.testing.assert_array_equal(weights[0], again[0])
    assert not np.array_equal(weights[1], again[1])
    used = []
    monkeypatch.setattr(personal.pooling, "pool", lambda shares, given: used.append(given) or shares[0])
    personal.enrolled_together(models, joint, say=lambda text: None)
    assert {tuple(each) for each in used} == {tuple(each) for each in weights.values()}


def test_a_clip_that_a_model_did_not_answer_is_left_out_of_the_pool():
    model = answers(table(), offset=1.0)
    other = replace(model, slug="other").take(np.arange(1, len(model.clips)))
    joint = held_out_answers(model, replace(model, slug="other"))
    rows = personal.enrolled_together([model, other], joint, say=lambda text: None)
    assert rows[0].n_clips == len(model.clips) - 1


def test_a_pool_of_models_of_other_labels_or_folds_or_without_held_out_answers_is_refused():
    model = answers(table(), offset=1.0)
    joint = held_out_answers(model)
    with pytest.raises(ConfigError, match="no held-out answers of 'other'"):
        personal.enrolled_together([model, replace(model, slug="other")], joint)
    with pytest.raises(ConfigError, match="no held-out answers of 'mine'"):
        personal.enrolled_together([model], None)
    with pytest.raises(ConfigError, match="of 'mine' have other labels or folds"):
        personal.enrolled_together([replace(model, labels=(*LABELS, "fear"))], joint)
    with pytest.raises(ConfigError, match="of 'mine' have other labels or folds"):
        personal.enrolled_together([replace(model, folds=model.folds + 7)], joint)


def results() -> personal.Table:
    rows = personal.enrolled(answers(table(), offset=1.0), say=lambda text: None)[1]
    return personal.Table(
        command="python -m ser_core personal",
        protocol=personal.WORDS,
        strengths={"mine": Strengths()},
        rows=tuple(rows),
    )


def test_a_table_is_read_as_it_was_written_and_other_models_stay(tmp_path):
    found = results()
    personal.write(tmp_path / "enrolled.json", found)
    assert personal.read(tmp_path / "enrolled.json") == found
    other = personal.Table(command="again", protocol="p", strengths={"other": Strengths()}, rows=())
    both = personal.merged(found, other)
    assert set(both.strengths) == {"mine", "other"} and both.rows == found.rows and both.command == "again"
    assert personal.merged(both, found).rows == found.rows and personal.merged(None, found) == found
    pooled = replace(found, strengths={}, rows=tuple(replace(row, model="together") for row in found.rows))
    whole = personal.merged(found, pooled)
    assert len(whole.rows) == 2 * len(found.rows) and personal.merged(whole, pooled).rows == whole.rows


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"rows": 1}', json.dumps({"command": "", "protocol": "", "strengths": {}})]
)
def test_a_damaged_table_is_refused_in_a_sentence(tmp_path, content):
    (tmp_path / "enrolled.json").write_text(content)
    with pytest.raises(ConfigError, match=r"The results in 'enrolled\.json' cannot be read"):
        personal.read(tmp_path / "enrolled.json")
    with pytest.raises(ConfigError, match="cannot be read"):
        personal.read(tmp_path / "gone.json")


def test_the_results_that_come_with_the_project_are_better_with_takes_and_not_with_anothers():
    found = personal.read()
    assert found.command.startswith("python -m ser_core personal") and found.protocol == personal.WORDS
    assert {row.model for row in found.rows} == {*found.strengths, "together"}
    for row in found.rows:
        assert row.takes == 0 or row.gain >= 0 >= row.control_low, row
