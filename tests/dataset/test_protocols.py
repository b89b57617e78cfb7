"""Rounds of each protocol: who is in both parts and who must not be, on tables named as the corpora are."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from ser_core.corpora import catalogue
from ser_core.dataset import protocols, splits
from ser_core.errors import ConfigError, CorpusError
from tests.support import corpora


def table(
    *names: str, n_speakers: int = 24, sentences: tuple[str, ...] = ("01", "02"), labels: tuple[str, ...] = ()
) -> pd.DataFrame:
    rows = []
    for name in names:
        spec = catalogue.CORPORA[name]
        chosen = labels or tuple(dict.fromkeys(spec.labels.values()))
        for number, (speaker, label, sentence) in enumerate(
            itertools.product(list(spec.speakers)[:n_speakers], chosen, sentences)
        ):
            rows.append(
                {
                    "path": f"/{name}/{number}",
                    "corpus": name,
                    "speaker": f"{spec.speakers_of or name}:{speaker}",
                    "emotion": label,
                    "sentence": sentence,
                    "sex": spec.speakers[speaker],
                    "intensity": "",
                    "name": str(number),
                }
            )
    return pd.DataFrame(rows)


def shared(clips: pd.DataFrame, each: protocols.Fold, column: str) -> set[str]:
    return set(clips.loc[each.train, column]) & set(clips.loc[each.test, column])


@pytest.mark.parametrize("protocol", [name for name in protocols.PROTOCOLS if name != "cross-corpus"])
def test_every_clip_is_tested_once_and_never_trained_on_at_the_same_time(protocol):
    clips = table("ravdess")
    rounds = protocols.rounds(clips, protocol)
    assert np.sum([each.test for each in rounds], axis=0).tolist() == [1] * len(clips)
    assert not any((each.train & each.test).any() for each in rounds)
    assert all(each.labels == catalogue.LABELS for each in rounds)


def test_speakers_are_held_out_in_the_published_folds():
    clips = table("ravdess")
    rounds = protocols.rounds(clips, "speaker")
    assert len(rounds) == 6
    for each, fold in zip(rounds, splits.RAVDESS_FOLDS, strict=True):
        assert set(clips.loc[each.test, "speaker"]) == {f"ravdess:{actor}" for actor in fold}
        assert not shared(clips, each, "speaker") and shared(clips, each, "sentence")


def test_sentences_are_held_out_one_after_the_other():
    clips = table("ravdess")
    rounds = protocols.rounds(clips, "sentence")
    assert len(rounds) == 2
    assert not any(shared(clips, each, "sentence") for each in rounds) and all(
        shared(clips, each, "speaker") for each in rounds
    )


def test_random_rounds_test_a_fifth_of_each_label():
    clips = table("ravdess")
    rounds = protocols.rounds(clips, "random")
    assert len(rounds) == 5
    for each in rounds:
        assert np.ptp(clips.loc[each.test, "emotion"].value_counts()) <= 1 and abs(each.test.mean() - 0.2) < 0.02
        assert shared(clips, each, "speaker")
    again = protocols.rounds(clips, "random")
    assert all((one.test == other.test).all() for one, other in zip(rounds, again, strict=True))


def test_extra_corpora_are_trained_on_but_not_by_a_tested_speaker_or_sentence():
    clips = table("ravdess", "ravdess_song", "tess", labels=("neutral", "happy", "sad"))
    tested = (clips["corpus"] == "ravdess").to_numpy()
    for each in protocols.rounds(clips, "speaker", tested=tested):
        assert set(clips.loc[each.test, "corpus"]) == {"ravdess"} and not shared(clips, each, "speaker")
        assert set(clips.loc[each.train, "corpus"]) == {"ravdess", "ravdess_song", "tess"}
    for each in protocols.rounds(clips, "sentence", tested=tested):
        spoken = protocols.sentences(clips)
        assert not set(spoken[each.train]) & set(spoken[each.test])


def test_a_whole_corpus_is_held_out_with_the_shared_labels():
    clips = table("ravdess", "emodb", "ravdess_song")
    rounds = protocols.rounds(clips, "cross-corpus", tested=(clips["corpus"] != "ravdess_song").to_numpy())
    assert [set(clips.loc[each.test, "corpus"]) for each in rounds] == [{"ravdess"}, {"emodb"}]
    assert set(clips.loc[rounds[0].train, "corpus"]) == {"emodb"}  # the songs are by the tested actors
    assert rounds[1].labels == ("neutral", "happy", "sad", "angry", "fear", "disgust")
    assert set(clips.loc[rounds[1].test, "emotion"]) == set(rounds[1].labels)


def test_what_cannot_be_had_is_said():
    with pytest.raises(
        ConfigError, match=r"no protocol 'hope'\. Choose one of leaky, random, sentence, speaker, cross-corpus"
    ):
        protocols.rounds(table("ravdess"), "hope")
    with pytest.raises(CorpusError, match="sentences of SAVEE are one text, its publication does not tell"):
        protocols.rounds(table("savee"), "sentence")
    with pytest.raises(CorpusError, match="'ravdess' needs another corpus with other speakers"):
        protocols.rounds(table("ravdess"), "cross-corpus")
    with pytest.raises(CorpusError, match="no clip to test"):
        protocols.rounds(table("ravdess"), "speaker", tested=np.zeros(len(table("ravdess")), bool))
    with pytest.raises(CorpusError, match="shares 1 label"):
        other = table("tess", labels=("happy", "surprise"))
        both = pd.concat([other, table("emodb")], ignore_index=True)
        protocols.rounds(both, "cross-corpus", tested=(both["corpus"] == "tess").to_numpy())


def test_every_protocol_has_a_row_that_says_what_it_is_worth():
    assert list(protocols.PROTOCOLS) == ["leaky", "random", "sentence", "speaker", "cross-corpus"]
    assert all(row.worth and row.held_out for row in protocols.PROTOCOLS.values())


@pytest.mark.parametrize("protocol", ["random", "speaker"])
def test_a_recording_that_is_tested_is_not_trained_on_under_another_name(protocol):
    clips = table("ravdess")
    both = corpora.with_copies(clips)
    sounds = np.tile(np.arange(len(clips)).astype(str), 2)
    for each in protocols.rounds(both, protocol, sounds=sounds):
        assert not set(sounds[each.train]) & set(sounds[each.test]) and each.left_out > 0
    leaking = protocols.rounds(both, protocol)
    assert any(set(sounds[each.train]) & set(sounds[each.test]) for each in leaking)
    with pytest.raises(CorpusError, match="are the recordings that are tested, under other names"):
        protocols.rounds(both, "cross-corpus", sounds=sounds)


@pytest.mark.parametrize("protocol", protocols.PROTOCOLS)
def test_rounds_without_duplicates_are_the_same_with_sounds(protocol):
    clips = pd.concat([table("ravdess"), table("tess")], ignore_index=True)
    sounds = np.arange(len(clips)).astype(str)
    for one, other in zip(
        protocols.rounds(clips, protocol), protocols.rounds(clips, protocol, sounds=sounds), strict=True
    ):
        assert one.left_out == other.left_out == 0
        np.testing.assert_array_equal(one.train, other.train)
        np.testing.assert_array_equal(one.test, other.test)


@pytest.mark.parametrize("protocol", [name for name in protocols.PROTOCOLS if name != "cross-corpus"])
def test_a_round_that_could_learn_one_label_only_is_refused(protocol):
    clips = table("ravdess", labels=("happy",))
    with pytest.raises(CorpusError, match="clips of happy alone to learn from; a model needs two labels or more"):
        protocols.rounds(clips, protocol)


def test_a_label_that_one_speaker_alone_says_leaves_a_round_without_it():
    clips = table("ravdess", n_speakers=2, labels=("happy", "sad"))
    clips = clips[(clips["emotion"] == "happy") | (clips["speaker"] == clips["speaker"].iloc[0])].reset_index(drop=True)
    with pytest.raises(CorpusError, match="clips of happy alone"):
        protocols.rounds(clips, "speaker")
