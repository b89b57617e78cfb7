"""What listeners heard: the votes that the authors of a corpus collected for each clip, as its folder holds them.

CREMA-D has such a table. The votes are of people who heard the voice without the face; experiments/listeners.py sums them up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ser_core.corpora import catalogue
from ser_core.errors import CorpusError
from ser_core.system import untrusted_csv


@dataclass(frozen=True, kw_only=True)
class VoteTable:
    """Where the votes of a corpus lie and how they are read.

    place: below the corpus' folder. clips: the folder of the clips, in which that folder may have been given. name: the column of the
    clip's name. labels: column -> canonical label. heard: how the first cell of a row begins that counts the votes by voice alone.
    """

    place: str
    clips: str
    name: str
    labels: Mapping[str, str]
    heard: str


VOTES: dict[str, VoteTable] = {
    "cremad": VoteTable(
        place="processedResults/tabulatedVotes.csv",
        clips="AudioWAV",
        name="filename",
        labels={"a": "angry", "d": "disgust", "f": "fear", "h": "happy", "n": "neutral", "s": "sad"},
        # The first digit tells what was presented: 1 the voice, 2 the face, 3 both.
        heard="1",
    )
}
"""Corpora with votes of listeners; the keys of `labels` and `name` as untrusted_csv.read gives them, in lower case."""


def find(corpus: str, folder: Path) -> Path | None:
    """Return the table of votes in the folder of a corpus, or beside its clips; None where there is none."""
    spec = VOTES.get(corpus)
    roots = [folder, *([folder.parent] if spec and folder.name == spec.clips else [])]
    return next((root / spec.place for root in roots if (root / spec.place).is_file()), None) if spec else None


def read(corpus: str, folder: Path) -> pd.DataFrame:
    """Return the votes of each clip, int (n_clips, n_labels), with the clips' base names as index and labels as columns.

    Raises
    ------
    CorpusError : if the corpus has no votes, its folder does not hold them, or they cannot be read.
    """
    if corpus not in VOTES:
        raise CorpusError(f"No votes of listeners are published for '{corpus}'. Choose one of {', '.join(VOTES)}.")
    spec, path = VOTES[corpus], find(corpus, folder)
    if path is None:
        raise CorpusError(
            f"'{folder}' holds no votes of listeners: {spec.place} is missing. It is part of the repository of "
            f"{catalogue.CORPORA[corpus].title}; point to the folder of the whole repository."
        )
    try:
        rows = untrusted_csv.read(path.read_bytes())
        heard = rows[rows.iloc[:, 0].str.startswith(spec.heard)]
        counts = heard[list(spec.labels)].astype(int).rename(columns=spec.labels)
        votes = counts.set_axis(heard[spec.name], axis=0)
    except (OSError, ValueError, KeyError) as error:
        raise CorpusError(f"The votes in '{path}' cannot be read ({error}). Download the file again.") from None
    votes = votes[votes.index.map(lambda name: acted_label(corpus, name) is not None)]
    if votes.empty or (votes.to_numpy() < 0).any() or votes.index.has_duplicates:
        raise CorpusError(
            f"The votes in '{path}' are not one row per clip, with how many people heard each label. Download it again."
        )
    return votes.loc[votes.sum(axis=1) > 0, [label for label in catalogue.ALL_LABELS if label in votes]]


def acted_label(corpus: str, name: str) -> str | None:
    """Return the label that was acted in a clip, by its base name; None where it is no clip of the corpus."""
    spec = catalogue.CORPORA[corpus]
    match = spec.pattern.fullmatch(name)
    return spec.labels.get(match["emotion"].upper()) if match else None
