"""What of a test was in training: speakers, sentences and recordings that both share, by split or by a trained model's card.

A recording is known by its bytes within one folder, and by its official base name across copies in other formats.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ser_core import corpora, protocols, splits
from ser_core.evaluation import SEEN
from ser_core.store import ModelCard


@dataclass(frozen=True)
class Heard:
    """What a trained model knows of some clips; all bool (n_clips,).

    clip: it was trained on this very clip. speaker: it was trained on other or the same clips of this speaker. chosen: its epoch or
    temperature was chosen on this speaker or clip. untold: its card does not tell who was trained on, only that the corpus was.
    """

    clip: np.ndarray
    speaker: np.ndarray
    chosen: np.ndarray
    untold: np.ndarray

    @property
    def any(self) -> np.ndarray:
        """Which clips make a figure say less than it seems to."""
        known: np.ndarray = self.clip | self.speaker | self.chosen | self.untold
        return known


def digests(clips: pd.DataFrame) -> np.ndarray:
    """Return a digest of each clip's bytes, str (n_clips,); the path in place of one that cannot be read."""
    known = {path: _digest(path) for path in set(clips[corpora.PATH])}
    return np.array([known[path] for path in clips[corpora.PATH]])


def seen(clips: pd.DataFrame, digest: np.ndarray, train: np.ndarray, test: np.ndarray) -> dict[str, np.ndarray]:
    """Return, for each clip of `test`, whether `train` has its speaker, its sentence, and the recording: each of evaluation.SEEN -> bool.

    A clip of which nobody said who speaks counts as of a known speaker as soon as its corpus is trained on. train, test: bool (n_clips,).
    """
    whole = clips[corpora.SPEAKER].where(
        clips[corpora.SPEAKER] != corpora.UNKNOWN_SPEAKER, clips[corpora.CORPUS] + ":?"
    )
    spoken = protocols.sentences(clips).to_numpy()
    found = {
        "speaker": _among(whole.to_numpy(), train, test),
        "sentence": _among(spoken, train, test) & (spoken[test] != ""),
        "twin": _among(digest, train, test),
    }
    return {name: found[name] for name in SEEN}


def heard(card: ModelCard, clips: pd.DataFrame) -> Heard:
    """Return what a model was trained on among some clips, as its card tells it."""
    official = _official(clips, [each["corpus"] for each in card.corpora])
    corpus, name, speaker = (official[column] for column in _OFFICIAL)
    trained, chosen = (card.split.get(part, {}) for part in (splits.TRAIN, splits.VALIDATION))
    told = bool(card.split)
    of_corpus = corpus.isin([each["corpus"] for each in card.corpora]).to_numpy()
    by_speaker = speaker.isin(set(trained.get("speakers", ())) - {corpora.UNKNOWN_SPEAKER}).to_numpy()
    listed = {f"{corpus}/{name}" for corpus, names in trained.get("clips", {}).items() for name in names}
    by_clip = (corpus + "/" + name).isin(listed).to_numpy() if "clips" in trained else by_speaker & of_corpus
    listed = {f"{corpus}/{name}" for corpus, names in chosen.get("clips", {}).items() for name in names}
    by_choice = speaker.isin(set(chosen.get("speakers", ())) - {corpora.UNKNOWN_SPEAKER}).to_numpy() | (
        corpus + "/" + name
    ).isin(listed)
    return Heard(by_clip, by_speaker, np.asarray(by_choice) & ~by_clip & ~by_speaker, of_corpus & (not told))


def together(found: Sequence[Heard]) -> Heard:
    """Return what several models have heard between them, of the same clips."""
    clip, speaker, chosen, untold = (
        np.any([getattr(each, name) for each in found], axis=0) for name in ("clip", "speaker", "chosen", "untold")
    )
    return Heard(clip, speaker, chosen & ~clip & ~speaker, untold)


_OFFICIAL = (corpora.CORPUS, corpora.NAME, corpora.SPEAKER)


def _official(clips: pd.DataFrame, known: list[str]) -> pd.DataFrame:
    """Return corpus, name and speaker; clips of somebody's own corpus that bear the names of a known one count as that one's."""
    rows = clips[list(_OFFICIAL)].copy()
    own = ~rows[corpora.CORPUS].isin(list(corpora.CORPORA))
    for index, name in rows.loc[own, corpora.NAME].items():
        stem = name.rsplit("/", 1)[-1]
        for corpus in known:
            speaker = corpora.speaker_of(corpus, stem) if corpus in corpora.CORPORA else None
            if speaker:
                rows.loc[index, list(_OFFICIAL)] = [corpus, stem, speaker]
                break
    return rows


def _among(values: np.ndarray, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    is_known: np.ndarray = pd.Series(values[test]).isin(set(values[train])).to_numpy()
    return is_known


def _digest(path: str) -> str:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return path
