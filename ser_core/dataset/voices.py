"""Which clips are mixed to babble around a clip: of other speakers when it is tested, of the same one when it is learned from.

Both are audio.augment.babble. A training must not hear whom it is tested on, so that copies for training have no other speaker in them.
"""

from __future__ import annotations

import zlib
from pathlib import Path

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


def of_their_own(clips: pd.DataFrame, tested_in: np.ndarray | None = None) -> list[tuple[str, ...]]:
    """Return the paths of up to degradations.N_VOICES other clips of the same speaker around each clip; empty where there are none.

    Whoever holds a speaker out holds out their voice, also as babble; played faster and slower it is a crowd's. tested_in : int
    (n_clips,), where a speaker is not held out as a whole: clips that are tested together stay together. What surrounds a clip depends on
    its file name and on these clips alone.
    """
    groups = [clips[catalogue.CORPUS].to_numpy(), clips[catalogue.SPEAKER].to_numpy()]
    groups += [] if tested_in is None else [tested_in]
    paths = clips[catalogue.PATH].to_numpy()
    made: list[tuple[str, ...]] = [()] * len(clips)
    for _, members in pd.Series(np.arange(len(clips))).groupby(groups):
        inside = members.to_numpy()
        inside = inside[np.argsort([Path(path).name for path in paths[inside]], kind="stable")]
        for position, clip in enumerate(inside):
            rng = np.random.default_rng(zlib.crc32(Path(paths[clip]).name.encode()))
            others = np.delete(inside, position)
            made[clip] = tuple(paths[rng.permutation(others)[: degradations.N_VOICES]])
    return made
