"""What of a test was in training: speakers, sentences and recordings that both share, by split or by a trained model's card.

A recording is known by its sound (dataset/duplicates.py); one of a published corpus by its official base name and by its sound
(dataset/published.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ser_core.corpora import catalogue, scan, speakers
from ser_core.dataset import duplicates, protocols, published, splits
from ser_core.dataset.duplicates import Sounds
from ser_core.dataset.published import OFFICIAL
from ser_core.errors import ModelError
from ser_core.metrics.evaluation import SEEN
from ser_core.recognition import store
from ser_core.recognition.card import ModelCard


@dataclass(frozen=True)
class TrainingOverlap:
    """What of some clips was in a model's training; all bool (n_clips,).

    clip: it was trained on this very clip. speaker: it was trained on other or the same clips of this speaker. chosen: its epoch or
    temperature was chosen on this speaker or clip. untold: its card names the training corpus but not the speakers.
    """

    clip: np.ndarray
    speaker: np.ndarray
    chosen: np.ndarray
    untold: np.ndarray

    @property
    def any(self) -> np.ndarray:
        """Which clips inflate a figure."""
        known: np.ndarray = self.clip | self.speaker | self.chosen | self.untold
        return known


def digests(clips: pd.DataFrame, sounds: Sounds | None = None) -> np.ndarray:
    """Return a digest of each clip's bytes, str (n_clips,); the path in place of one that cannot be read.

    sounds : with it, clips that hold one recording have the digest of the first of them.
    """
    paths = sounds.keys(clips) if sounds else clips[catalogue.PATH]
    known = {path: _digest(path) for path in set(paths)}
    return np.array([known[path] for path in paths])


def seen(clips: pd.DataFrame, digest: np.ndarray, train: np.ndarray, test: np.ndarray) -> dict[str, np.ndarray]:
    """Return, for each clip of `test`, whether `train` has its speaker, its sentence, and the recording: each of evaluation.SEEN -> bool.

    A clip of an unknown speaker counts as seen as soon as its corpus is trained on. train, test: bool (n_clips,).
    """
    whole = clips[catalogue.SPEAKER].where(
        clips[catalogue.SPEAKER] != catalogue.UNKNOWN_SPEAKER, clips[catalogue.CORPUS] + ":?"
    )
    spoken = protocols.sentences(clips).to_numpy()
    found = {
        "speaker": _among(whole.to_numpy(), train, test),
        "sentence": _among(spoken, train, test) & (spoken[test] != ""),
        "twin": _among(digest, train, test),
    }
    return {name: found[name] for name in SEEN}


def heard(card: ModelCard, clips: pd.DataFrame, sounds: Sounds | None = None) -> TrainingOverlap:
    """Return what of some clips was in a model's training, according to its card: by name and, with `sounds`, by sound."""
    found = [_listed(card, _official(clips, [each["corpus"] for each in card.corpora]))]
    if not sounds:
        return together(found)
    others = ~clips[catalogue.CORPUS].isin(list(catalogue.CORPORA))
    if (
        others.any()
    ):  # a corpus of the user's may hold recordings of a known one: what its card lists may go by either name
        recognised = clips[list(OFFICIAL)].copy()
        recognised.update(published.recognise(clips[others], sounds))
        found.append(_listed(card, recognised))
    trained, chosen = (
        _sounds_like(card.split.get(part, {}), clips, sounds) for part in (splits.TRAIN, splits.VALIDATION)
    )
    nothing = np.zeros(len(clips), bool)
    return together([*found, TrainingOverlap(trained, nothing, chosen, nothing)])


def _listed(card: ModelCard, official: pd.DataFrame) -> TrainingOverlap:
    """Return what of some clips a card lists, by their corpus, name and speaker, a row each."""
    corpus, name, speaker = (official[column] for column in OFFICIAL)
    trained, chosen = (card.split.get(part, {}) for part in (splits.TRAIN, splits.VALIDATION))
    is_listed = bool(card.split)
    of_corpus = corpus.isin([each["corpus"] for each in card.corpora]).to_numpy()
    by_speaker = _is_listed(speaker, trained.get("speakers", ()))
    listed = {f"{corpus}/{name}" for corpus, names in trained.get("clips", {}).items() for name in names}
    by_clip = (corpus + "/" + name).isin(listed).to_numpy() if "clips" in trained else by_speaker & of_corpus
    listed = {f"{corpus}/{name}" for corpus, names in chosen.get("clips", {}).items() for name in names}
    by_choice = _is_listed(speaker, chosen.get("speakers", ())) | (corpus + "/" + name).isin(listed).to_numpy()
    return TrainingOverlap(by_clip, by_speaker, np.asarray(by_choice), of_corpus & (not is_listed))


def _is_listed(speaker: pd.Series, listed: Sequence[str]) -> np.ndarray:
    """Return whether each speaker is one that a card lists, bool (n_clips,), in any spelling: the shown one may have changed."""
    keys = {speakers.identity(each) for each in listed} - {catalogue.UNKNOWN_SPEAKER}
    found: np.ndarray = speaker.map(speakers.identity).isin(keys).to_numpy()
    return found


def together(found: Sequence[TrainingOverlap]) -> TrainingOverlap:
    """Return the union of several overlaps with the same clips."""
    clip, speaker, chosen, untold = (
        np.any([getattr(each, name) for each in found], axis=0) for name in ("clip", "speaker", "chosen", "untold")
    )
    return TrainingOverlap(clip, speaker, chosen & ~clip & ~speaker, untold)


def _sounds_like(part: Mapping[str, Any], clips: pd.DataFrame, sounds: Sounds) -> np.ndarray:
    """Return which clips are, by their sound, among those that a part of a card lists, bool (n_clips,)."""
    prints = duplicates.read_prints([text for texts in part.get("sounds", {}).values() for text in texts])
    found: np.ndarray = duplicates.match(clips, sounds, prints) >= 0
    return found


def _official(clips: pd.DataFrame, known: list[str]) -> pd.DataFrame:
    """Return corpus, name and speaker; clips of a user's corpus that are named like those of a known one count as that one's."""
    rows = clips[list(OFFICIAL)].copy()
    is_user_corpus = ~rows[catalogue.CORPUS].isin(list(catalogue.CORPORA))
    for index, name in rows.loc[is_user_corpus, catalogue.NAME].items():
        stem = name.rsplit("/", 1)[-1]
        for corpus in known:
            speaker = scan.speaker_of(corpus, stem) if corpus in catalogue.CORPORA else None
            if speaker:
                rows.loc[index, list(OFFICIAL)] = [corpus, stem, speaker]
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


def shares(overlap: TrainingOverlap) -> dict[str, float]:
    """Return the share of the tested clips, 0..1, in each kind of overlap with training."""
    return {name: float(getattr(overlap, name).mean()) for name in ("clip", "speaker", "chosen", "untold")}


def warning(overlap: TrainingOverlap) -> str:
    """Return in words what of the tested clips was in training; "" where nothing was."""
    found = shares(overlap) | {"speaker": float((overlap.speaker & ~overlap.clip).mean())}
    parts = [f"{found[name]:.0%} of {text}" for name, text in _WARNINGS.items() if found[name] > 0]
    return f"NOT A HELD-OUT FIGURE: {'; '.join(parts)}." if parts else ""


_WARNINGS = {
    "clip": "these clips it was trained on",
    "speaker": "these clips are others by speakers it was trained on",
    "chosen": "these clips are by speakers or are clips that chose its epoch and temperature",
    "untold": "these clips are of a corpus it was trained on, and its card does not say which of them",
}


def heard_by(card: ModelCard, clips: pd.DataFrame, models: Path, sounds: Sounds | None = None) -> TrainingOverlap:
    """Return what was in the training of a model and of those that it was fine-tuned from; sounds: as `heard` has them."""
    found, seen_slugs = [heard(card, clips, sounds)], {card.slug}
    while base := card.training.get("start_from"):
        if base in seen_slugs:
            break
        seen_slugs.add(base)
        try:
            card = store.read_card(base, models)
        except ModelError:
            nothing, everything = np.zeros(len(clips), bool), np.ones(len(clips), bool)
            found.append(TrainingOverlap(nothing, nothing, nothing, everything))
            break
        found.append(heard(card, clips, sounds))
    return together(found)
