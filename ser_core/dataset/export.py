"""The features of a selection of clips as one table to download: CSV or Parquet, one row per clip, no path of this machine in it.

Columns: clip, corpus, label, speaker, sex, sentence, intensity, split; cache.FACTS; vectors.summary_columns, of which those that
are called like a fact start with trimmed_. Which clips, and under which labels, is the caller's choice.
"""

from __future__ import annotations

import io

import numpy as np
import pandas as pd

from ser_core.corpora import catalogue
from ser_core.dataset import exploration, splits
from ser_core.dataset.duplicates import Sounds
from ser_core.errors import ConfigError, CorpusError
from ser_core.system import untrusted_csv

FORMATS = ("csv", "parquet")

SPLIT = "split"
SPLIT_MEANS = (
    "The column split is speaker-independent (holdout, seed 0): of each corpus 20 % of the speakers, one at least, are test, 15 % of the "
    "others validation (of two or fewer none), the rest train. Nobody is heard in two parts, and no recording is in two under other "
    "names."
)
"""What the column says, for pages and terminals."""

_TEXTS = {
    "clip": catalogue.NAME,
    "corpus": catalogue.CORPUS,
    "label": catalogue.EMOTION,
    "speaker": catalogue.SPEAKER,
    "sex": catalogue.SEX,
    "sentence": catalogue.SENTENCE,
    "intensity": catalogue.INTENSITY,
}


def split(clips: pd.DataFrame, sounds: Sounds) -> tuple[np.ndarray, str]:
    """Return the part of each clip, str (n_clips,), and a sentence on what the parts are.

    sounds: what is known of the clips by sound: speakers who share a recording are in one part. A clip of an unknown speaker is in no
    part (""), and no clip is where there is one speaker only.
    """
    parts = np.full(len(clips), "", dtype=object)
    known = (clips[catalogue.SPEAKER] != catalogue.UNKNOWN_SPEAKER).to_numpy()
    inside = clips[known]
    if not known.any():
        return parts, "The column split is empty: of no clip is the speaker known."
    try:
        parts[known] = splits.holdout(inside, rng=np.random.default_rng(0), sounds=sounds.keys(inside))
    except CorpusError as error:
        return parts, f"The column split is empty. {error}"
    unknown = int((~known).sum())
    return parts, SPLIT_MEANS + (f" It is empty for {unknown:,} clips whose speaker is unknown." if unknown else "")


def table(clips: pd.DataFrame, measured: exploration.Measured, parts: np.ndarray) -> pd.DataFrame:
    """Return the table of the clips that could be read; clips, measured and parts go together row by row."""
    texts = {column: clips[source].to_numpy() for column, source in _TEXTS.items()}
    facts = measured.facts.reset_index(drop=True)
    names = [f"trimmed_{name}" if name in facts.columns else name for name in measured.columns]
    summary = pd.DataFrame(measured.vectors, columns=names)
    whole = pd.concat([pd.DataFrame(texts | {SPLIT: parts}, dtype=object), facts, summary], axis=1)
    return whole[measured.readable].reset_index(drop=True)


def encode(rows: pd.DataFrame, kind: str) -> bytes:
    """Return a table of `table` as the bytes of a CSV (UTF-8) or a Parquet file.

    In CSV a text that a spreadsheet would take for a formula gets an apostrophe in front. What was not measured is an empty cell.

    Raises
    ------
    ConfigError : for a kind that is none of FORMATS.
    """
    if kind not in FORMATS:
        raise ConfigError(f"The features can be had as {' or '.join(FORMATS)}. Got {kind!r}.")
    buffer = io.BytesIO()
    if kind == "parquet":
        rows.to_parquet(buffer, index=False)
        return buffer.getvalue()
    import pyarrow
    from pyarrow import csv

    # Arrow's writer takes a second where pandas' takes ten, and prints each float32 in as few digits as tell it from the next.
    csv.write_csv(pyarrow.Table.from_pandas(untrusted_csv.safe(rows), preserve_index=False), buffer)
    return buffer.getvalue()
