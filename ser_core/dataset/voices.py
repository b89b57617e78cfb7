"""Which clips are mixed to babble around a clip: of other speakers when it is tested, never of held-out ones when it is learned from."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ser_core.audio import degradations
from ser_core.corpora import catalogue
from ser_core.errors import CorpusError


def of_others(chosen: pd.DataFrame, clips: pd.DataFrame, *, seed: int) -> list[tuple[str, ...]]:
    """Return the paths of degradations.N_VOICES clips around each chosen clip: of other speakers, as many of them as there are.

    Raises
    ------
    CorpusError : if there is no other speaker.
    """
    rng = np.random.default_rng([seed, 1])
    made = []
    for speaker in chosen[catalogue.SPEAKER]:
        others = clips[clips[catalogue.SPEAKER] != speaker]
        if others.empty:
            raise CorpusError(
                "Babble is mixed from clips of other speakers, and there are none here. Add a corpus, or leave babble out."
            )
        shuffled = others.iloc[rng.permutation(len(others))]
        turn = shuffled.groupby(catalogue.SPEAKER).cumcount().to_numpy()
        made.append(tuple(shuffled[catalogue.PATH].iloc[np.argsort(turn, kind="stable")[: degradations.N_VOICES]]))
    return made


def within(clips: pd.DataFrame, groups: np.ndarray, *, seed: int = 0) -> list[tuple[str, ...]]:
    """Return the paths of up to degradations.N_VOICES clips around each clip, of its own group and corpus.

    groups : int (n_clips,). What is tested together is one group: whatever is trained on without it is trained on without its voices,
    too, also as babble. They are of other speakers where the group has any, else other clips of the same one; empty where there are none.
    """
    rng = np.random.default_rng([seed, 2])
    speakers, paths = pd.factorize(clips[catalogue.SPEAKER])[0], clips[catalogue.PATH].to_numpy()
    made: list[tuple[str, ...]] = [()] * len(clips)
    for _, members in pd.Series(np.arange(len(clips))).groupby([clips[catalogue.CORPUS].to_numpy(), groups]):
        inside = members.to_numpy()
        for clip in inside:
            others = inside[speakers[inside] != speakers[clip]]
            if not len(others):
                others = inside[inside != clip]
            drawn = rng.choice(others, min(degradations.N_VOICES, len(others)), replace=False)
            made[clip] = tuple(paths[drawn])
    return made
