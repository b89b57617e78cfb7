"""How a map of clips is drawn and coloured: the choice on Explore and on Recognize, and what each way shows."""

from __future__ import annotations

import streamlit as st

from ser_core.corpora import catalogue
from ser_core.dataset import clip_map

METHODS = {clip_map.PCA: "PCA", clip_map.LDA: "Discriminant", clip_map.TSNE: "t-SNE"}
HOW = {
    clip_map.PCA: "PCA: the two directions in which the features of the clips differ most, {shares} of all difference.",
    clip_map.LDA: "Discriminant axes (LDA): the two directions that part the labels best. They were chosen on these very clips, so labels "
    "lie further apart here than those of new voices would.",
    clip_map.TSNE: "t-SNE: neighbours stay neighbours, but distances between clusters, and their sizes, mean nothing.",
}
BY = {catalogue.EMOTION: "Label", catalogue.SPEAKER: "Speaker", catalogue.CORPUS: "Corpus"}


def choose(key: str) -> tuple[str, str]:
    """Draw the choice and return the method, of METHODS, and the column that colours the clips, of BY."""
    method = st.segmented_control(
        "Map", list(METHODS), format_func=METHODS.get, default=clip_map.PCA, required=True, key=f"{key}.method"
    )
    by = st.segmented_control(
        "Colour", list(BY), format_func=BY.get, default=catalogue.EMOTION, required=True, key=f"{key}.by"
    )
    return method, by
