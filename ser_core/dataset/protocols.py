"""The protocols of an evaluation: which trainings it takes, what each may learn from and what it is tested on.

A protocol is a row of PROTOCOLS; `rounds` reads them all. The folds themselves are splits.py's business.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ser_core.corpora import catalogue
from ser_core.dataset import splits
from ser_core.dataset.labels import present
from ser_core.errors import ConfigError, CorpusError

N_FOLDS = 5
"""Default number of folds of a protocol: each trains on 80 % and tests 20 %."""

UNCLEAR_SENTENCES = ("savee",)
"""Corpora whose names of files do not tell which sentences are one text: a split by sentence could not be shown to be one."""


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

    copies: recordings and their augmented copies are split as if each were a separate clip. validation: one of splits.PROTOCOLS, by
    which training sets some clips aside. build: the rounds of a clips table and of its tested clips, bool (n_clips,).
    """

    held_out: str
    worth: str
    build: Callable[[pd.DataFrame, np.ndarray, np.random.Generator], list[Fold]]
    validation: str = splits.SPEAKER_PROTOCOL
    copies: bool = False


def sentences(clips: pd.DataFrame) -> pd.Series:
    """Return what is spoken, str (n_clips,): the text where it is published, else corpus and code; "" where unknown."""
    texts = {
        f"{name}:{code}": text for name, spec in catalogue.CORPORA.items() for code, text in spec.sentences.items()
    }
    keys = clips[catalogue.CORPUS] + ":" + clips[catalogue.SENTENCE]
    return keys.map(lambda key: texts.get(key, key)).where(clips[catalogue.SENTENCE] != "", "")


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
    CorpusError : if too few speakers, sentences or corpora are here to hold some out.
    """
    if protocol not in PROTOCOLS:
        raise ConfigError(f"There is no protocol '{protocol}'. Choose one of {', '.join(PROTOCOLS)}.")
    among = np.ones(len(clips), bool) if tested is None else tested
    if not among.any():
        raise CorpusError("There is no clip to test. Name a corpus with --corpus, or choose one.")
    made = PROTOCOLS[protocol].build(clips, among, np.random.default_rng(0))
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
    inside = clips[tested]
    names = list(dict.fromkeys(inside[catalogue.CORPUS]))
    if len(names) == 1 and names[0] in splits.SPEAKER_FOLDS:
        folds = splits.speaker_folds(inside, names[0])
    else:
        most = int(inside.groupby(catalogue.CORPUS)[catalogue.SPEAKER].nunique().max())
        folds = splits.cross_folds(inside, splits.SPEAKER_PROTOCOL, max(2, min(splits.N_JOINT_FOLDS, most)), rng=rng)
    return _rounds(clips, tested, folds, clips[catalogue.SPEAKER])


def _by_sentence(clips: pd.DataFrame, tested: np.ndarray, rng: np.random.Generator) -> list[Fold]:
    inside = clips[tested]
    unclear = [name for name in UNCLEAR_SENTENCES if name in set(inside[catalogue.CORPUS])]
    if unclear:
        title = catalogue.CORPORA[unclear[0]].title
        raise CorpusError(
            f"Which numbered sentences of {title} are one text, its publication does not tell; a split by sentence cannot be shown to be "
            "one. Choose another corpus, or the protocol 'speaker'."
        )
    most = int(inside.groupby(catalogue.CORPUS)[catalogue.SENTENCE].nunique().max())
    folds = splits.cross_folds(inside, "sentence", max(2, min(N_FOLDS, most)), rng=rng)
    return _rounds(clips, tested, folds, sentences(clips))


def _at_random(clips: pd.DataFrame, tested: np.ndarray, rng: np.random.Generator) -> list[Fold]:
    return _rounds(clips, tested, splits.cross_folds(clips[tested], "random", N_FOLDS, rng=rng), None)


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


def _rounds(clips: pd.DataFrame, tested: np.ndarray, folds: np.ndarray, unit: pd.Series | None) -> list[Fold]:
    """Return a round a fold of the tested clips; no clip with the unit (the speaker, say) of a tested one is trained on."""
    everywhere = np.full(len(clips), -1)
    everywhere[tested] = folds
    labels = present(clips)
    made: list[Fold] = []
    for fold in sorted(set(folds)):
        test = everywhere == fold
        shared = np.zeros(len(clips), bool) if unit is None else unit.isin(set(unit[test])).to_numpy()
        made.append(Fold(f"fold {len(made) + 1} of {len(set(folds))}", ~test & ~shared, test, labels))
    return made


PROTOCOLS: dict[str, Protocol] = {
    "leaky": Protocol(
        held_out="nothing",
        copies=True,
        validation="random",
        build=_at_random,
        worth="Recordings are copied with changes first and split after: copies of one recording fall on both sides. It measures memory.",
    ),
    "random": Protocol(
        held_out="the clip",
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
        build=_by_speaker,
        worth=splits.PROTOCOLS[splits.SPEAKER_PROTOCOL],
    ),
    "cross-corpus": Protocol(
        held_out="the whole corpus",
        build=_by_corpus,
        worth="Other actors, microphones and directions than in training, often another language: closest to what happens out of the lab.",
    ),
}
"""From the most to the least that training and test share. Figures of different protocols are never ranked against each other."""

ACROSS = "cross-corpus"
