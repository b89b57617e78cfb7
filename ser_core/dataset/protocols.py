"""The protocols of an evaluation: which trainings it takes, what each may learn from and what it is tested on.

A protocol is a row of PROTOCOLS; `rounds` reads them all. The folds themselves are splits.py's business.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ser_core.corpora import catalogue
from ser_core.dataset import splits
from ser_core.dataset.labels import check_learnable, present
from ser_core.errors import ConfigError, CorpusError

N_FOLDS = 5
"""Default number of folds of a protocol: each trains on 80 % and tests 20 %."""

SPEAKER_AND_SENTENCE = "speaker and sentence"

N_GROUPS, N_GROUPS_THAT_TELL = 2, 3
"""Groups that SPEAKER_AND_SENTENCE parts the sentences of a corpus in; the second where they give the emotion away: a half of the few
that each emotion has would be too few to learn from, and SAVEE has three that are common to all."""

TELLING_SHARE = 0.25
"""Share of a corpus' clips with a sentence that gives the emotion away, from which on its figures are marked."""


@dataclass(frozen=True)
class Fold:
    """One training and its test. train, test: bool (n_clips,); labels: those that the two share, in order.

    left_out: how many clips are not trained on because their recording is tested under another name.
    """

    title: str
    train: np.ndarray
    test: np.ndarray
    labels: tuple[str, ...]
    left_out: int = 0


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """One row. held_out: what a tested clip does not share with training, in a few words; worth: what a figure measured so is worth.

    copies: recordings and their augmented copies are split as if each were a separate clip. shares_sentences: a tested sentence may have
    been trained on, from the same corpus. validation: one of splits.PROTOCOLS, by
    which training sets some clips aside. build: the rounds of a clips table and of its tested clips, bool (n_clips,).
    """

    held_out: str
    worth: str
    build: Callable[[pd.DataFrame, np.ndarray, np.random.Generator], list[Fold]]
    validation: str = splits.SPEAKER_PROTOCOL
    copies: bool = False
    shares_sentences: bool = False


def sentences(clips: pd.DataFrame) -> pd.Series:
    """Return what is spoken, str (n_clips,): the text where it is published, else corpus and code; "" where unknown."""
    texts = {
        f"{name}:{code}": text for name, spec in catalogue.CORPORA.items() for code, text in spec.sentences.items()
    }
    keys = clips[catalogue.CORPUS] + ":" + clips[catalogue.SENTENCE]
    return keys.map(lambda key: texts.get(key, key)).where(clips[catalogue.SENTENCE] != "", "")


def telling(clips: pd.DataFrame) -> tuple[str, ...]:
    """Return the corpora whose sentences give the emotion away.

    In TELLING_SHARE of their clips or more, the sentence is one that several speakers say and nobody with another label.
    """
    spoken, corpora = sentences(clips), clips[catalogue.CORPUS]
    by_sentence = clips.groupby(spoken)
    tells = (by_sentence[catalogue.EMOTION].transform("nunique") == 1) & (
        by_sentence[catalogue.SPEAKER].transform("nunique") > 1
    )
    share = (tells & (spoken != "")).groupby(corpora).mean()
    return tuple(name for name in dict.fromkeys(corpora) if share[name] >= TELLING_SHARE)


def tells(corpora: Sequence[str]) -> str:
    """Return what is to be said of corpora whose sentences give the emotion away."""
    titles = [catalogue.CORPORA[name].title if name in catalogue.CORPORA else name for name in corpora]
    return (
        f"The sentences of {' and '.join(titles)} give the emotion away: most are said with one emotion alone, by every speaker, so a "
        f"model can know the sentence instead of the voice. The protocol '{SPEAKER_AND_SENTENCE}' holds both out."
    )


def caveat(corpus: str, protocol: str) -> str:
    """Return what `tells` says where it belongs beside a figure of a published corpus; "" elsewhere."""
    spec, row = catalogue.CORPORA.get(corpus), PROTOCOLS.get(protocol)
    return tells([corpus]) if spec and spec.sentences_tell and row and row.shares_sentences else ""


def rounds(
    clips: pd.DataFrame, protocol: str, *, tested: np.ndarray | None = None, sounds: np.ndarray | None = None
) -> list[Fold]:
    """Return the trainings of a protocol; together they test each clip of `tested`, bool (n_clips,), once. All are tested by default.

    sounds: a key of each clip's recording, str (n_clips,), as duplicates.Sounds gives it: but with "leaky", a recording that is tested is
    then not trained on under another name either.

    The draw is the same at each call, so that every model meets the same rounds. With "leaky" the table must have a row for each
    augmented copy as well (build.split_copies).

    Raises
    ------
    ConfigError : for an unknown protocol.
    CorpusError : if too few speakers, sentences or corpora are here to hold some out, or a round could learn one label only.
    """
    if protocol not in PROTOCOLS:
        raise ConfigError(f"There is no protocol '{protocol}'. Choose one of {', '.join(PROTOCOLS)}.")
    among = np.ones(len(clips), bool) if tested is None else tested
    if not among.any():
        raise CorpusError("There is no clip to test. Name a corpus with --corpus, or choose one.")
    made = PROTOCOLS[protocol].build(clips, among, np.random.default_rng(0))
    for each in made:
        check_learnable(clips.loc[each.train, catalogue.EMOTION].to_numpy())
    if sounds is None or PROTOCOLS[protocol].copies:
        return made
    return [_without_tested(clips, each, sounds) for each in made]


def _without_tested(clips: pd.DataFrame, fold: Fold, sounds: np.ndarray) -> Fold:
    """Return a round that trains on no recording that it tests."""
    known = fold.train & np.isin(sounds, sounds[fold.test])
    if not known.any():
        return fold
    train = fold.train & ~known
    if len(present(clips[train])) < 2:
        raise CorpusError(
            f"{known.sum()} of the {fold.train.sum()} clips that could be trained on are the recordings that are tested, under other "
            f"names ({fold.title}), so there is nothing to learn from. Add another corpus, or leave one of the copies out."
        )
    return replace(fold, train=train, left_out=int(known.sum()))


def _by_speaker(clips: pd.DataFrame, tested: np.ndarray, rng: np.random.Generator) -> list[Fold]:
    return _rounds(clips, tested, _speaker_folds(clips[tested], rng), clips[catalogue.SPEAKER])


def _speaker_folds(clips: pd.DataFrame, rng: np.random.Generator, *, most: int | None = None) -> np.ndarray:
    """Return the fold of each clip, int (n_clips,): the published ones of one corpus, unless they are more than `most`; else joint ones."""
    names = list(dict.fromkeys(clips[catalogue.CORPUS]))
    published = splits.SPEAKER_FOLDS.get(names[0]) if len(names) == 1 else None
    if published and (most is None or len(published) <= most):
        return splits.speaker_folds(clips, names[0])
    n_speakers = int(clips.groupby(catalogue.CORPUS)[catalogue.SPEAKER].nunique().max())
    return splits.cross_folds(clips, splits.SPEAKER_PROTOCOL, max(2, min(splits.N_JOINT_FOLDS, n_speakers)), rng=rng)


def _by_sentence(clips: pd.DataFrame, tested: np.ndarray, rng: np.random.Generator) -> list[Fold]:
    inside = clips[tested]
    most = int(inside.groupby(catalogue.CORPUS)[catalogue.SENTENCE].nunique().max())
    folds = splits.cross_folds(inside, "sentence", max(2, min(N_FOLDS, most)), rng=rng)
    return _rounds(clips, tested, folds, sentences(clips))


def _by_speaker_and_sentence(clips: pd.DataFrame, tested: np.ndarray, rng: np.random.Generator) -> list[Fold]:
    """Return one round per fold of speakers and group of sentences: it tests what those say of these, and trains on neither."""
    inside = clips[tested]
    folds = _speaker_folds(inside, rng, most=splits.N_JOINT_FOLDS)
    cells = folds * N_GROUPS_THAT_TELL + _sentence_groups(inside)
    made = _rounds(clips, tested, cells, clips[catalogue.SPEAKER], sentences(clips))
    for each in made:
        lost = [label for label in present(clips[each.test]) if label not in present(clips[each.train])]
        if lost:
            raise CorpusError(
                f"Without the speakers and the sentences that are tested, no clip of {lost[0]} is left to train on ({each.title}). "
                f"'{SPEAKER_AND_SENTENCE}' needs two speakers and two sentences of every label. Add clips, leave the label out, or "
                "choose the protocol 'speaker'."
            )
    return made


def _sentence_groups(clips: pd.DataFrame) -> np.ndarray:
    """Return the group of each clip's sentence, int (n_clips,): dealt in turn among sentences that are said with the same labels.

    So each label is in each group, whether all sentences are said with it or few. Of SAVEE, a group has every third number.

    Raises
    ------
    CorpusError : if a sentence is unknown, or there is one alone.
    """
    spoken = sentences(clips)
    unknown = int((spoken == "").sum())
    if unknown:
        raise CorpusError(
            f"The sentence of {unknown} of {len(clips)} clips is unknown; '{SPEAKER_AND_SENTENCE}' needs it for every clip. "
            "Choose the protocol 'speaker', or other corpora."
        )
    n_groups = N_GROUPS_THAT_TELL if telling(clips) else N_GROUPS
    labels_of = clips.groupby(spoken)[catalogue.EMOTION].agg(frozenset)
    group_of, most = dict[str, int](), 0
    for _, own in spoken.groupby(clips[catalogue.CORPUS]):
        alike: dict[frozenset[str], list[str]] = {}
        for text in sorted(set(own)):
            alike.setdefault(labels_of[text], []).append(text)
        order = [text for texts in alike.values() for text in texts]
        group_of = {text: place % n_groups for place, text in enumerate(order)} | group_of
        most = max(most, len(order))
    if most < 2:
        raise CorpusError(
            f"All clips say one sentence; '{SPEAKER_AND_SENTENCE}' needs two or more. Add clips of another, or choose the protocol "
            "'speaker'."
        )
    groups: np.ndarray = spoken.map(group_of).to_numpy(int)
    return groups


def _at_random(clips: pd.DataFrame, tested: np.ndarray, rng: np.random.Generator) -> list[Fold]:
    return _rounds(clips, tested, splits.cross_folds(clips[tested], "random", N_FOLDS, rng=rng))


def _by_corpus(clips: pd.DataFrame, tested: np.ndarray, rng: np.random.Generator) -> list[Fold]:
    made = []
    for name in dict.fromkeys(clips.loc[tested, catalogue.CORPUS]):
        test = tested & (clips[catalogue.CORPUS] == name).to_numpy()
        train = (clips[catalogue.CORPUS] != name).to_numpy() & ~clips[catalogue.SPEAKER].isin(
            set(clips.loc[test, catalogue.SPEAKER])
        ).to_numpy()
        if not train.any():
            raise CorpusError(
                f"To be tested across corpora, '{name}' needs another corpus with other speakers to train on. Add one with --train-corpus."
            )
        there = set(present(clips[train])) & set(present(clips[test]))
        labels = tuple(label for label in catalogue.ALL_LABELS if label in there)
        if len(labels) < 2:
            raise CorpusError(
                f"'{name}' shares {len(labels)} labels with the other corpora; 2 are needed. Add another corpus."
            )
        known = clips[catalogue.EMOTION].isin(labels).to_numpy()
        made.append(Fold(f"{name} tested, the others trained on", train & known, test & known, labels))
    return made


def _rounds(clips: pd.DataFrame, tested: np.ndarray, folds: np.ndarray, *units: pd.Series) -> list[Fold]:
    """Return a round a fold of the tested clips; no clip with a unit (the speaker, say) of a tested one is trained on."""
    everywhere = np.full(len(clips), -1)
    everywhere[tested] = folds
    labels = present(clips)
    made: list[Fold] = []
    for fold in sorted(set(folds)):
        test = everywhere == fold
        shared = np.zeros(len(clips), bool)
        for unit in units:
            shared |= unit.isin(set(unit[test])).to_numpy()
        made.append(Fold(f"fold {len(made) + 1} of {len(set(folds))}", ~test & ~shared, test, labels))
    return made


PROTOCOLS: dict[str, Protocol] = {
    "leaky": Protocol(
        held_out="nothing",
        copies=True,
        shares_sentences=True,
        validation="random",
        build=_at_random,
        worth="Recordings are copied with changes first and split after: copies of one recording fall on both sides. It measures memory.",
    ),
    "random": Protocol(
        held_out="the clip",
        shares_sentences=True,
        validation="random",
        build=_at_random,
        worth=splits.PROTOCOLS["random"],
    ),
    "sentence": Protocol(
        held_out="the sentence",
        validation="sentence",
        build=_by_sentence,
        worth=splits.PROTOCOLS["sentence"],
    ),
    splits.SPEAKER_PROTOCOL: Protocol(
        held_out="the speaker",
        shares_sentences=True,
        build=_by_speaker,
        worth=splits.PROTOCOLS[splits.SPEAKER_PROTOCOL],
    ),
    SPEAKER_AND_SENTENCE: Protocol(
        held_out="the speaker and the sentence",
        build=_by_speaker_and_sentence,
        worth="Neither the speakers nor the sentences that are tested are ever trained on. What a figure for new voices has to be where "
        "sentences give the emotion away, as most of SAVEE's do.",
    ),
    "cross-corpus": Protocol(
        held_out="the whole corpus",
        build=_by_corpus,
        worth="Other actors, microphones and directions than in training, often another language: closest to what happens out of the lab.",
    ),
}
"""From the most to the least that training and test share. Figures of different protocols are never ranked against each other."""

ACROSS = "cross-corpus"
