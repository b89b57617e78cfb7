"""The choice of what becomes of labels where several corpora are used together: Explore's export and training draw it alike."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from pages.ui import cached, exports, state
from ser_core import corpora, mapping
from ser_core.mapping import LabelMapping

CALM = {mapping.KEEP: "A label of its own", mapping.MERGE: "Neutral", mapping.LEAVE_OUT: "Left out"}
"""What may become of calm -> words."""


def choose(clips: pd.DataFrame, *, key: str) -> LabelMapping:
    """Draw which labels the corpora of a clips table have, and the choice of what becomes of them; return that choice.

    key : where the widgets are, such as "train": each page needs its own. What was chosen last, on whatever page, is offered first.
    """
    last = {"calm": mapping.KEEP, "boredom": False, "shared": False, **st.session_state.get(state.LABELS, {})}
    present = mapping.present(clips)
    several = clips[corpora.CORPUS].nunique() > 1
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
    kept = mapping.apply(clips, chosen)
    if shared:
        common = mapping.shared(kept)
        if common:
            chosen = LabelMapping(calm=calm, boredom=boredom, labels=common)
            kept = mapping.apply(clips, chosen)
        else:
            st.warning(
                "No label is in every one of these corpora, so all labels stay. Choose other corpora.",
                icon=":material/warning:",
            )
    left = mapping.present(kept)
    gone = len(clips) - len(kept)
    out = f"; {gone:,} clip{'s are' if gone != 1 else ' is'} left out" if gone else ""
    st.markdown(f"**{len(left)} labels, {len(kept):,} clips**: {', '.join(left)}{out}.")
    with st.expander("Labels by corpus", key=f"{key}.table"):
        st.dataframe(exports.cells(table(clips, chosen)), key=f"{key}.counts")
    return chosen


def table(clips: pd.DataFrame, chosen: LabelMapping) -> pd.DataFrame:
    """Return how many clips each corpus has of each label, a row a label: as recorded, and what the label becomes."""
    counts = pd.crosstab(clips[corpora.EMOTION], clips[corpora.CORPUS]).reindex(mapping.present(clips))
    counts.columns = [cached.corpus_title(name) for name in counts.columns]
    counts.index.name = "Label"
    return counts.assign(becomes=[chosen.of(label) or "left out" for label in counts.index])
