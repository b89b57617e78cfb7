"""The choice of what becomes of labels where several corpora are used together: Explore's export and training draw it alike."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from pages.ui import cached, downloads, state
from ser_core.corpora import catalogue
from ser_core.dataset import labels
from ser_core.dataset.labels import LabelMapping

CALM = {labels.KEEP: "A label of its own", labels.MERGE: "Neutral", labels.LEAVE_OUT: "Left out"}
"""What may become of calm -> words."""


def choose(clips: pd.DataFrame, *, key: str) -> LabelMapping:
    """Draw which labels the corpora of a clips table have, and the choice of what becomes of them; return that choice.

    key : where the widgets are, such as "train": each page needs its own. What was chosen last, on whatever page, is offered first.
    """
    last = {"calm": labels.KEEP, "boredom": False, "shared": False, **st.session_state.get(state.LABELS, {})}
    present = labels.present(clips)
    several = clips[catalogue.CORPUS].nunique() > 1
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom", key=f"{key}_labels"):
        calm = last["calm"]
        if "calm" in present:
            calm = st.segmented_control(
                "Calm becomes", list(CALM), format_func=CALM.get, default=calm, required=True, key=f"{key}.calm"
            )
        boredom = "boredom" in present and st.toggle("Boredom is in", value=last["boredom"], key=f"{key}.boredom")
        shared = several and st.toggle("Only labels that every corpus has", value=last["shared"], key=f"{key}.shared")
    # What a page does not ask about keeps its place for a page that does.
    st.session_state[state.LABELS] = {
        "calm": calm,
        "boredom": boredom if "boredom" in present else last["boredom"],
        "shared": shared if several else last["shared"],
    }
    chosen = LabelMapping(calm=calm, boredom=boredom)
    kept = labels.apply(clips, chosen)
    if shared:
        common = labels.shared(kept)
        if common:
            chosen = LabelMapping(calm=calm, boredom=boredom, labels=common)
            kept = labels.apply(clips, chosen)
        else:
            st.warning(
                "No label is in every one of these corpora, so all labels stay. Choose other corpora.",
                icon=":material/warning:",
            )
    left = labels.present(kept)
    gone = len(clips) - len(kept)
    out = f"; {gone:,} clip{'s are' if gone != 1 else ' is'} left out" if gone else ""
    st.markdown(f"**{len(left)} labels, {len(kept):,} clips**: {', '.join(left)}{out}.")
    with st.expander("Labels by corpus", key=f"{key}.table"):
        st.dataframe(downloads.cells(table(clips, chosen)), key=f"{key}.counts")
    return chosen


def table(clips: pd.DataFrame, chosen: LabelMapping) -> pd.DataFrame:
    """Return how many clips each corpus has of each label, one row per label: as recorded, and what the label becomes."""
    counts = pd.crosstab(clips[catalogue.EMOTION], clips[catalogue.CORPUS]).reindex(labels.present(clips))
    counts.columns = [cached.corpus_title(name) for name in counts.columns]
    counts.index.name = "Label"
    return counts.assign(becomes=[chosen.of(label) or "left out" for label in counts.index])
