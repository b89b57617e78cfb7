"""Folds and validation speakers, on clips tables of two clips a speaker."""

import numpy as np
import pandas as pd
import pytest

from ser_core.corpora import catalogue
from ser_core.dataset import splits
from ser_core.errors import ConfigError, CorpusError
from tests.support import corpora
from tests.support.parts import assert_no_shared_speaker


def table(*names, n_clips=2):
    rows = [
        {
            catalogue.CORPUS: name,
            catalogue.SPEAKER: f"{catalogue.CORPORA[name].speakers_of or name}:{speaker}",
            catalogue.SEX: sex,
            catalogue.NAME: f"{speaker}-{clip}",
        }
        for clip in range(n_clips)
        for name in names
        for speaker, sex in catalogue.CORPORA[name].speakers.items()
    ]
    return pd.DataFrame(rows)


def speakers_by_fold(clips, folds):
    return [set(clips.loc[folds == fold, catalogue.SPEAKER].str.split(":").str[1]) for fold in range(folds.max() + 1)]


@pytest.fixture
def everyone():
    return table(*splits.JOINT_FOLDS)


def test_ravdess_folds_are_the_published_ones():
    published = [(1, 11, 20, 21), (4, 10, 12, 14), (8, 9, 19, 23), (3, 5, 7, 24), (2, 15, 16, 18), (6, 13, 17, 22)]
    clips = table("ravdess")
    expected = [{f"{actor:02d}" for actor in fold} for fold in published]
    assert speakers_by_fold(clips, splits.speaker_folds(clips, "ravdess")) == expected
    assert speakers_by_fold(clips, splits.joint_folds(clips)) == expected


def test_tess_is_tested_both_ways():
    clips = table("tess")
    assert speakers_by_fold(clips, splits.speaker_folds(clips, "tess")) == [{"OAF"}, {"YAF"}]


@pytest.mark.parametrize("name", ["savee", "emodb"])
def test_small_corpora_leave_one_speaker_out(name):
    clips = table(name)
    assert [len(fold) for fold in speakers_by_fold(clips, splits.speaker_folds(clips, name))] == [1] * len(
        catalogue.CORPORA[name].speakers
    )


def test_cremad_folds_follow_the_actor_number():
    clips = table("cremad")
    numbers = clips[catalogue.SPEAKER].str.split(":").str[1].astype(int).to_numpy()
    assert np.array_equal(splits.speaker_folds(clips, "cremad"), numbers % 5)
    assert np.array_equal(splits.joint_folds(clips), numbers % 6)


@pytest.mark.parametrize("folds_of", [splits.SPEAKER_FOLDS, splits.JOINT_FOLDS])
@pytest.mark.parametrize("name", splits.JOINT_FOLDS)
def test_every_speaker_is_in_one_fold(name, folds_of):
    listed = [speaker for fold in folds_of[name] for speaker in fold]
    assert sorted(listed) == sorted(catalogue.CORPORA[name].speakers)


def test_joint_folds_hold_out_groups_of_emodb_and_single_speakers_of_savee(everyone):
    folds = splits.joint_folds(everyone)
    fold_of = dict(zip(everyone[catalogue.SPEAKER], folds, strict=True))
    assert [fold_of[f"savee:{speaker}"] for speaker in ("DC", "JE", "JK", "KL")] == [0, 1, 2, 3]
    assert [fold_of[f"emodb:{s}"] for s in ("03", "08", "09", "10", "11", "12", "13", "14", "15", "16")] == [
        0,
        0,
        1,
        1,
        2,
        2,
        3,
        3,
        4,
        5,
    ]
    assert (fold_of["tess:OAF"], fold_of["tess:YAF"]) == (0, 1)
    assert set(folds) == set(range(splits.N_JOINT_FOLDS))


def test_every_clip_is_tested_once_by_a_model_without_its_speaker(everyone):
    folds = splits.joint_folds(everyone)
    times_tested = np.zeros(len(everyone), int)
    for fold in range(splits.N_JOINT_FOLDS):
        test = folds == fold
        held = splits.validation_speakers(everyone[~test], rng=np.random.default_rng(fold))
        validation = ~test & everyone[catalogue.SPEAKER].isin(held).to_numpy()
        assert_no_shared_speaker(everyone, {"train": ~test & ~validation, "validation": validation, "test": test})
        assert validation.any() and not (validation & test).any()
        times_tested += test
    assert (times_tested == 1).all()


def test_clips_of_other_corpora_are_in_no_test_fold(everyone):
    folds = splits.speaker_folds(everyone, "savee")
    assert set(folds[(everyone[catalogue.CORPUS] == "savee").to_numpy()]) == {0, 1, 2, 3}
    assert (folds[(everyone[catalogue.CORPUS] != "savee").to_numpy()] == -1).all()


def test_folds_follow_the_rows_whatever_their_index(everyone):
    shuffled = everyone.sample(frac=1, random_state=1)
    fold_of = dict(zip(everyone[catalogue.SPEAKER], splits.joint_folds(everyone), strict=True))
    assert [fold_of[speaker] for speaker in shuffled[catalogue.SPEAKER]] == splits.joint_folds(shuffled).tolist()


def test_one_speaker_is_too_few():
    clips = table("tess")
    with pytest.raises(CorpusError, match="Corpus 'tess' has 1 speaker here, in 1 of its 2 folds"):
        splits.speaker_folds(clips[clips[catalogue.SPEAKER] == "tess:OAF"], "tess")


def test_a_corpus_without_folds_says_so():
    with pytest.raises(CorpusError, match="'mine' has no fixed speaker folds"):
        splits.speaker_folds(table("tess"), "mine")


@pytest.mark.parametrize("name", sorted(set(catalogue.CORPORA) - set(splits.SPEAKER_FOLDS)))
def test_no_folds_are_invented_for_a_corpus_without_published_ones(name):
    with pytest.raises(CorpusError, match=f"'{name}' has no fixed speaker folds"):
        splits.speaker_folds(table(name), name)


def test_songs_are_tested_with_their_singer_never_trained_on():
    clips = table("ravdess", "ravdess_song")
    for folds in (splits.speaker_folds(clips, "ravdess"), splits.joint_folds(clips)):
        assert (pd.Series(folds).groupby(clips[catalogue.SPEAKER]).nunique() == 1).all()
        assert folds.min() == 0


def test_clips_of_unknown_speakers_are_refused():
    clips = table("ravdess", "tess")
    clips.loc[[3, 5], catalogue.SPEAKER] = catalogue.UNKNOWN_SPEAKER
    for split in (
        lambda: splits.joint_folds(clips),
        lambda: splits.speaker_folds(clips, "ravdess"),
        lambda: splits.validation_speakers(clips, rng=np.random.default_rng(0)),
    ):
        with pytest.raises(CorpusError, match="The speaker of 2 of 52 clips is unknown"):
            split()


def test_a_speaker_without_a_fold_is_named():
    clips = table("tess").replace({catalogue.SPEAKER: {"tess:OAF": "tess:XAF"}})
    with pytest.raises(CorpusError, match="Speaker 'tess:XAF' is in no fixed fold"):
        splits.joint_folds(clips)


def test_validation_takes_a_share_of_each_corpus_of_three_or_more(everyone):
    held = splits.validation_speakers(everyone, fraction=0.15, rng=np.random.default_rng(0))
    counts = pd.Series(sorted(held)).str.split(":").str[0].value_counts().to_dict()
    assert counts == {"cremad": 14, "ravdess": 4, "emodb": 2, "savee": 1}


@pytest.mark.parametrize("seed", range(20))
def test_validation_is_balanced_by_sex(seed):
    clips = table("ravdess")
    held = splits.validation_speakers(clips, fraction=0.25, rng=np.random.default_rng(seed))
    sexes = clips.drop_duplicates(catalogue.SPEAKER).set_index(catalogue.SPEAKER)[catalogue.SEX]
    assert sexes[sorted(held)].value_counts().to_dict() == {"female": 3, "male": 3}


def test_validation_is_the_same_for_the_same_seed_whatever_the_order(everyone):
    first = splits.validation_speakers(everyone, rng=np.random.default_rng(3))
    assert first == splits.validation_speakers(everyone.iloc[::-1], rng=np.random.default_rng(3))
    assert first != splits.validation_speakers(everyone, rng=np.random.default_rng(4))


def test_validation_share_of_zero_sets_nobody_aside(everyone):
    assert splits.validation_speakers(everyone, fraction=0, rng=np.random.default_rng(0)) == set()


@pytest.mark.parametrize("fraction", [-0.1, 0.6, float("nan")])
def test_validation_share_out_of_range(fraction, everyone):
    with pytest.raises(ConfigError, match=r"between 0 and 0\.5"):
        splits.validation_speakers(everyone, fraction=fraction, rng=np.random.default_rng(0))


def parts_of(clips, parts):
    """Corpus -> part -> number of its speakers."""
    counts = pd.DataFrame(
        {"corpus": clips[catalogue.CORPUS], "speaker": clips[catalogue.SPEAKER], "part": parts}
    ).drop_duplicates()
    return {corpus: group["part"].value_counts().to_dict() for corpus, group in counts.groupby("corpus")}


@pytest.mark.parametrize("seed", range(5))
def test_a_holdout_takes_a_share_of_the_speakers_of_each_corpus(everyone, seed):
    parts = splits.holdout(everyone, rng=np.random.default_rng(seed))
    assert_no_shared_speaker(everyone, {part: parts == part for part in splits.PARTS})
    assert parts_of(everyone, parts) == {
        "cremad": {"train": 62, "validation": 11, "test": 18},
        "emodb": {"train": 7, "validation": 1, "test": 2},
        "ravdess": {"train": 16, "validation": 3, "test": 5},
        "savee": {"train": 2, "validation": 1, "test": 1},
        "tess": {"train": 1, "test": 1},
    }


@pytest.mark.parametrize("seed", range(10))
def test_a_holdout_tests_both_sexes_in_turns(seed):
    clips = table("ravdess")
    tested = clips[splits.holdout(clips, test=0.25, rng=np.random.default_rng(seed)) == "test"].drop_duplicates(
        catalogue.SPEAKER
    )
    assert tested[catalogue.SEX].value_counts().to_dict() == {"female": 3, "male": 3}


def test_a_holdout_follows_the_seed_and_not_the_order_of_the_clips(everyone):
    first = splits.holdout(everyone, rng=np.random.default_rng(3))
    shuffled = everyone.sample(frac=1, random_state=1)
    again = pd.Series(splits.holdout(shuffled, rng=np.random.default_rng(3)), shuffled.index)
    assert again[everyone.index].tolist() == first.tolist()
    assert first.tolist() != splits.holdout(everyone, rng=np.random.default_rng(4)).tolist()


def test_a_holdout_keeps_a_singer_and_speaker_in_one_part():
    clips = table("ravdess", "ravdess_song")
    parts = splits.holdout(clips, rng=np.random.default_rng(0))
    assert pd.Series(parts).groupby(clips[catalogue.SPEAKER]).nunique().max() == 1


def one_clip_each(*speakers):
    return pd.DataFrame(
        [{catalogue.CORPUS: name.split(":")[0], catalogue.SPEAKER: name, catalogue.SEX: ""} for name in speakers]
    )


def test_corpora_of_one_speaker_are_drawn_from_together():
    clips = one_clip_each("ann:a", "ben:b", "cat:c")
    assert sorted(splits.holdout(clips, rng=np.random.default_rng(0))) == ["test", "train", "train"]
    with_tess = pd.concat([clips.head(1), table("tess", n_clips=1)])
    assert splits.holdout(with_tess, rng=np.random.default_rng(0))[0] == "train"


def test_a_holdout_of_one_speaker_is_refused():
    with pytest.raises(CorpusError, match="There is 1 speaker here; a speaker-independent split needs 2"):
        splits.holdout(one_clip_each("ann:a", "ann:a"), rng=np.random.default_rng(0))
    with pytest.raises(CorpusError, match="The speaker of 1 of 2 clips is unknown"):
        splits.holdout(one_clip_each("ann:a", catalogue.UNKNOWN_SPEAKER), rng=np.random.default_rng(0))


@pytest.mark.parametrize("shares", [{"test": 0.6}, {"test": -0.1}, {"validation": 0.7}])
def test_shares_of_a_holdout_out_of_range(everyone, shares):
    with pytest.raises(ConfigError, match=r"between 0 and 0\.5"):
        splits.holdout(everyone, **shares, rng=np.random.default_rng(0))


def test_without_a_test_share_a_holdout_tests_nobody(everyone):
    assert set(splits.holdout(everyone, test=0, rng=np.random.default_rng(0))) == {"train", "validation"}


def spoken(*names, n_clips=4, n_sentences=12):
    """Clips of whole corpora with sentences and four labels."""
    clips = table(*names, n_clips=n_clips)
    clips[catalogue.SENTENCE] = [f"{(i * 7) % n_sentences:02d}" for i in range(len(clips))]
    clips[catalogue.EMOTION] = [catalogue.LABELS[i // 2 % 4] for i in range(len(clips))]
    return clips


def shares(parts):
    return {part: float((parts == part).mean()) for part in splits.PARTS}


def test_parts_by_speaker_are_a_holdout(everyone):
    for seed in range(3):
        expected = splits.holdout(everyone, rng=np.random.default_rng(seed))
        assert splits.parts(everyone, rng=np.random.default_rng(seed)).tolist() == expected.tolist()


def test_with_one_training_speaker_validation_is_cut_by_sentence():
    clips = spoken("tess", n_clips=40, n_sentences=20)
    parts = splits.parts(clips, rng=np.random.default_rng(0))
    speakers = {part: set(clips.loc[parts == part, catalogue.SPEAKER]) for part in splits.PARTS}
    assert speakers["train"] == speakers["validation"] != speakers["test"]
    sentences = {part: set(clips.loc[parts == part, catalogue.SENTENCE]) for part in ("train", "validation")}
    assert sentences["validation"] and not sentences["train"] & sentences["validation"]


def test_with_one_training_speaker_and_few_sentences_validation_is_cut_by_clip():
    clips = spoken("tess", n_clips=40, n_sentences=2)
    parts = splits.parts(clips, rng=np.random.default_rng(0))
    assert clips[parts == "validation"][catalogue.EMOTION].nunique() == 4
    assert shares(parts) == pytest.approx({"train": 0.425, "validation": 0.075, "test": 0.5}, abs=0.03)


def test_parts_by_sentence_share_no_sentence():
    clips = spoken("ravdess", "emodb")
    parts = splits.parts(clips, "sentence", rng=np.random.default_rng(0))
    keys = clips[catalogue.CORPUS] + clips[catalogue.SENTENCE]
    sentences = {part: set(keys[parts == part]) for part in splits.PARTS}
    assert (
        all(sentences.values())
        and not sentences["train"] & sentences["test"]
        and not sentences["train"] & sentences["validation"]
    )
    assert set(clips.loc[parts == "train", catalogue.SPEAKER]) & set(clips.loc[parts == "test", catalogue.SPEAKER])


def test_parts_at_random_have_every_label_in_its_share():
    clips = spoken("ravdess", n_clips=40)
    parts = splits.parts(clips, "random", test=0.2, validation=0.25, rng=np.random.default_rng(0))
    assert shares(parts) == pytest.approx({"train": 0.6, "validation": 0.2, "test": 0.2}, abs=0.01)
    tested = clips[parts == "test"][catalogue.EMOTION].value_counts()
    assert tested.max() - tested.min() <= 1


@pytest.mark.parametrize("protocol", ["sentence", "random"])
def test_no_validation_share_spares_nobody(protocol):
    assert set(splits.parts(spoken("savee"), protocol, validation=0, rng=np.random.default_rng(0))) == {"train", "test"}


def test_a_split_by_sentence_needs_every_sentence():
    clips = spoken("savee")
    clips.loc[0, catalogue.SENTENCE] = ""
    with pytest.raises(CorpusError, match="The sentence of 1 of 16 clips is unknown"):
        splits.parts(clips, "sentence", rng=np.random.default_rng(0))
    with pytest.raises(ConfigError, match=r"no protocol 'hope'\. Choose one of speaker, sentence, random"):
        splits.parts(clips, "hope", rng=np.random.default_rng(0))
    with pytest.raises(ConfigError, match=r"test share must lie between 0 and 0\.5"):
        splits.parts(clips, "random", test=0.7, rng=np.random.default_rng(0))


@pytest.mark.parametrize("protocol", splits.PROTOCOLS)
@pytest.mark.parametrize("n_folds", [2, 4])
def test_cross_folds_test_every_clip_once_and_part_no_unit(protocol, n_folds):
    clips = spoken("ravdess", "tess", n_clips=8)
    folds = splits.cross_folds(clips, protocol, n_folds, rng=np.random.default_rng(0))
    assert set(folds) == set(range(n_folds))
    unit = {"speaker": clips[catalogue.SPEAKER], "sentence": clips[catalogue.CORPUS] + clips[catalogue.SENTENCE]}.get(
        protocol
    )
    if unit is not None:
        assert pd.Series(folds).groupby(unit.to_numpy()).nunique().max() == 1
    counts = np.bincount(folds[(clips[catalogue.CORPUS] == "ravdess").to_numpy()])
    assert counts.max() - counts.min() <= 16


def test_six_folds_by_speaker_are_the_published_ones():
    clips = table("ravdess", "emodb")
    np.testing.assert_array_equal(
        splits.cross_folds(clips, "speaker", 6, rng=np.random.default_rng(0)), splits.joint_folds(clips)
    )


def test_more_folds_than_speakers_are_refused():
    with pytest.raises(
        CorpusError,
        match=r"Corpus 'tess' has 2 speakers; a split by speaker into 5 folds needs 5\. .* or choose 2 folds",
    ):
        splits.cross_folds(spoken("tess"), "speaker", 5, rng=np.random.default_rng(0))
    with pytest.raises(ConfigError, match=r"needs 2 folds or more\. Got 1"):
        splits.cross_folds(spoken("tess"), "speaker", 1, rng=np.random.default_rng(0))


def test_too_few_clips_for_a_test_part_are_refused_and_for_validation_are_not():
    one = spoken("savee", n_clips=1).head(1)
    with pytest.raises(CorpusError, match="There are 1 clips here, too few to hold some out"):
        splits.parts(one, "random", rng=np.random.default_rng(0))
    assert set(splits.parts(one, "random", test=0.0, rng=np.random.default_rng(0))) == {"train"}


@pytest.mark.parametrize("protocol", ["speaker", "sentence", "random"])
def test_copies_under_other_names_are_in_one_part_and_one_fold(protocol):
    clips = spoken("ravdess")
    both = corpora.with_copies(clips)
    sounds = np.tile(np.arange(len(clips)).astype(str), 2)
    part = splits.parts(both, protocol, rng=np.random.default_rng(0), sounds=sounds)
    assert set(part) == set(splits.PARTS) and (part[: len(clips)] == part[len(clips) :]).all()
    folds = splits.cross_folds(both, protocol, 2, rng=np.random.default_rng(0), sounds=sounds)
    assert (folds[: len(clips)] == folds[len(clips) :]).all() and set(folds) == {0, 1}


@pytest.mark.parametrize("protocol", ["speaker", "sentence", "random"])
def test_a_split_without_duplicates_is_the_same_with_sounds(protocol):
    clips = spoken("ravdess")
    sounds = np.arange(len(clips)).astype(str)
    assert (
        splits.parts(clips, protocol, rng=np.random.default_rng(1)).tolist()
        == splits.parts(clips, protocol, rng=np.random.default_rng(1), sounds=sounds).tolist()
    )
