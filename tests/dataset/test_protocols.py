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


BOTH = protocols.SPEAKER_AND_SENTENCE


def savee() -> pd.DataFrame:
    """Return SAVEE's clips by their names: 15 numbers of each emotion, 30 of neutral."""
    names = [f"{speaker}_{code}{number:02d}" for speaker in ("DC", "JE", "JK", "KL") for code, number in numbers()]
    return pd.DataFrame([row for name in names for row in [scan_name(name)]])


def numbers() -> list[tuple[str, int]]:
    codes = catalogue.CORPORA["savee"].labels
    return [(code, number) for code in codes for number in range(1, 31 if code == "n" else 16)]


def scan_name(name: str) -> dict[str, str]:
    speaker, _, code = name.partition("_")
    same = catalogue.CORPORA["savee"].same_sentences
    return {
        "path": f"/savee/{name}",
        "corpus": "savee",
        "speaker": f"savee:{speaker}",
        "emotion": catalogue.CORPORA["savee"].labels[code[:-2]],
        "sentence": same.get(code, code),
        "sex": "male",
        "intensity": "",
        "name": name,
    }


def held_apart(clips: pd.DataFrame, rounds: list[protocols.Fold]) -> bool:
    spoken = protocols.sentences(clips)
    return not any(
        shared(clips, each, "speaker") or set(spoken[each.train]) & set(spoken[each.test]) for each in rounds
    )


def test_savee_s_sentences_are_held_out_by_groups_of_numbers_in_which_every_label_is():
    clips = savee()
    rounds = protocols.rounds(clips, BOTH)
    assert len(rounds) == 4 * 3 and held_apart(clips, rounds)
    assert np.sum([each.test for each in rounds], axis=0).tolist() == [1] * 480
    for each in rounds:
        assert {*clips.loc[each.train, "emotion"]} == {*clips.loc[each.test, "emotion"]} == {*each.labels}
        tested = clips.loc[each.test & (clips["emotion"] != "neutral").to_numpy(), "name"].str[-2:].astype(int)
        assert len(set(tested)) == 5 and len(set(tested % 3)) == 1
    neutral = clips[clips["name"].isin(["JK_n01", "JK_n16", "JK_n19", "JK_n28"])].set_index("name")["sentence"]
    assert neutral.to_dict() == {"JK_n01": "n01", "JK_n16": "n01", "JK_n19": "a04", "JK_n28": "sa05"}


@pytest.mark.parametrize(
    ("corpus", "sentences", "n_rounds"),
    [
        ("ravdess", ("01", "02"), 6 * 2),
        ("emodb", ("a01", "a02", "b01", "b02"), 6 * 2),
        ("tess", ("back", "bar", "base", "bath"), 2 * 2),
        ("cremad", ("IEO", "TIE", "IOM"), 5 * 2),
    ],
)
def test_speakers_and_half_of_the_sentences_are_held_out(corpus, sentences, n_rounds):
    clips = table(corpus, sentences=sentences)
    rounds = protocols.rounds(clips, BOTH)
    assert len(rounds) == n_rounds and held_apart(clips, rounds)
    assert all(each.train.any() and set(clips.loc[each.train, "emotion"]) == set(each.labels) for each in rounds)


def own(**columns: object) -> pd.DataFrame:
    """Return a corpus of one's own, of three speakers, two labels and two sentences, with some columns changed."""
    clips = table("tess", n_speakers=2, labels=("happy", "sad"))
    third = clips[clips["speaker"] == "tess:OAF"].assign(speaker="tess:me")
    clips = pd.concat([clips, third], ignore_index=True)
    return clips.assign(corpus="mine", speaker="mine:" + clips["speaker"].str[5:]).assign(**columns)


def test_a_corpus_of_one_s_own_is_held_out_in_the_same_way_and_extra_corpora_are_trained_on():
    clips = own()
    assert len(protocols.rounds(clips, BOTH)) == 3 * 2 and held_apart(clips, protocols.rounds(clips, BOTH))
    both = pd.concat([clips, table("ravdess", labels=("happy", "sad"))], ignore_index=True)
    tested = (both["corpus"] == "mine").to_numpy()
    for each in protocols.rounds(both, BOTH, tested=tested):
        assert set(both.loc[each.test, "corpus"]) == {"mine"} and "ravdess" in set(both.loc[each.train, "corpus"])
    rounds = protocols.rounds(both, BOTH)
    assert held_apart(both, rounds) and np.sum([each.test for each in rounds], axis=0).tolist() == [1] * len(both)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"sentence": "one"}, "All clips say one sentence; 'speaker and sentence' needs two or more"),
        ({"sentence": ""}, "The sentence of 12 of 12 clips is unknown; 'speaker and sentence' needs it"),
        ({"speaker": ""}, "The speaker of 12 of 12 clips is unknown"),
        ({"speaker": "mine:me"}, "has 1 speaker"),
    ],
    ids=["one sentence", "no sentences", "no speakers", "one speaker"],
)
def test_a_corpus_without_speakers_or_sentences_to_hold_out_is_refused(columns, words):
    with pytest.raises(CorpusError, match=words):
        protocols.rounds(own(**columns), BOTH)


def test_a_label_of_one_sentence_alone_cannot_be_held_out_with_it():
    clips = own()
    clips["sentence"] = clips["sentence"].where(clips["emotion"] == "happy", "sad 01")
    with pytest.raises(
        CorpusError, match=r"no clip of sad is left to train on .* needs two speakers and two sentences"
    ):
        protocols.rounds(clips, BOTH)


def test_sentences_that_give_the_emotion_away_are_found_whoever_s_corpus_it_is():
    every = pd.concat([savee(), table("ravdess"), table("emodb")], ignore_index=True)
    assert protocols.telling(every) == ("savee",) and protocols.telling(own()) == ()
    apart = own(sentence="01")
    apart["sentence"] = apart["emotion"] + (np.arange(len(apart)) % 2).astype(str)
    assert protocols.telling(apart) == ("mine",)
    alone = own(sentence=[f"sentence {number}" for number in range(12)])
    assert protocols.telling(alone) == (), "said once, a sentence tells nothing of another clip"
    assert protocols.telling(own(sentence="")) == ()


def test_a_figure_that_telling_sentences_flatter_is_marked_and_no_other():
    marked = [name for name in protocols.PROTOCOLS if protocols.caveat("savee", name)]
    assert marked == ["leaky", "random", "speaker"]
    assert "SAVEE give the emotion away" in protocols.caveat("savee", "speaker")
    assert not any(protocols.caveat(name, "speaker") for name in ("ravdess", "emodb", "mine"))
    assert protocols.caveat("savee", "as trained") == ""


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
        ConfigError,
        match=r"no protocol 'hope'\. Choose one of leaky, random, sentence, speaker, speaker and sentence, cross-corpus",
    ):
        protocols.rounds(table("ravdess"), "hope")
    with pytest.raises(CorpusError, match="'ravdess' needs another corpus with other speakers"):
        protocols.rounds(table("ravdess"), "cross-corpus")
    with pytest.raises(CorpusError, match="no clip to test"):
        protocols.rounds(table("ravdess"), "speaker", tested=np.zeros(len(table("ravdess")), bool))
    with pytest.raises(CorpusError, match="shares 1 label"):
        other = table("tess", labels=("happy", "surprise"))
        both = pd.concat([other, table("emodb")], ignore_index=True)
        protocols.rounds(both, "cross-corpus", tested=(both["corpus"] == "tess").to_numpy())


def test_every_protocol_has_a_row_that_says_what_it_is_worth():
    assert list(protocols.PROTOCOLS) == [
        "leaky",
        "random",
        "sentence",
        "speaker",
        "speaker and sentence",
        "cross-corpus",
    ]
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
