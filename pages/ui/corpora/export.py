"""The features of a selection of clips to take away, as CSV or Parquet."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
import streamlit as st

from pages.ui import downloads, frame, label_mapping, measured
from pages.ui.charts import groups
from ser_core.corpora import catalogue
from ser_core.dataset import cache, exploration, export
from ser_core.dataset.labels import KEEP, LabelMapping, apply

MIMES = {"csv": ("CSV", "text/csv"), "parquet": ("Parquet", downloads.PARQUET)}
ABOUT = (
    "One row per clip: its name, corpus, label, speaker, sex, sentence, intensity and split; {facts} facts of the recording; "
    "{columns} columns of its summary vector. It holds no path of this machine."
)
_ROW = "row"


def show_export(clips: pd.DataFrame) -> None:
    """Draw the choice of labels and speakers, what the table holds, and the buttons that make it."""
    st.header("Export", anchor=False)
    found = measured.of(clips)
    if found is None:
        return
    sounds = measured.sounds_of(clips)
    if sounds is None:
        return
    become = label_mapping.choose(clips, key="corpora.export")
    chosen = apply(clips.assign(**{_ROW: np.arange(len(clips))}), become)
    speakers = st.multiselect(
        "Speakers",
        sorted(set(chosen[catalogue.SPEAKER])),
        placeholder="All speakers",
        key="corpora.export.speakers",
        format_func=lambda code: groups.title(catalogue.SPEAKER, code),
    )
    chosen = groups.select(chosen, labels=[], speakers=speakers)
    rows = chosen[_ROW].to_numpy()
    # Drawn over all clips of these corpora: who is tested does not change with the labels and speakers that are chosen.
    parts, meaning = export.split(clips, sounds)
    parts = parts[rows]
    some = found.take(rows)
    n = int(some.readable.sum())
    st.markdown(f"**{n:,} clips.** {ABOUT.format(facts=len(cache.FACTS), columns=len(found.columns))}")
    counts = ", ".join(
        f"{part} {count:,}" for part, count in pd.Series(parts[some.readable]).value_counts().items() if part
    )
    st.markdown(frame.plain(f"{meaning}{f' Here: {counts}.' if counts else ''}"))
    shell = "" if speakers else f" In a shell: `{command(clips, become)}`"
    st.markdown(f":small[What the licence of a corpus allows holds for its features too.{shell}]")
    with st.container(key="corpora_export", horizontal=True):
        for kind, (title, mime) in MIMES.items():
            st.download_button(
                f"Features ({title})",
                functools.partial(_build, chosen, some, parts, kind),
                f"features.{kind}",
                mime,
                key=f"corpora.export.{kind}",
                icon=":material/download:",
                on_click="ignore",
                disabled=not n,
            )


def command(clips: pd.DataFrame, become: LabelMapping) -> str:
    """Return the command that makes the table of all these clips under a label mapping."""
    words = ["python -m ser_core corpora features", *dict.fromkeys(clips[catalogue.CORPUS])]
    if become.calm != KEEP:
        words.append(f"--calm {become.calm.replace(' ', '-')}")
    if become.boredom:
        words.append("--boredom")
    if become.labels:
        words.append(f"--labels {','.join(become.labels)}")
    return " ".join(words)


def _build(clips: pd.DataFrame, found: exploration.Measured, parts: np.ndarray, kind: str) -> bytes:
    return export.encode(export.table(clips, found, parts), kind)
