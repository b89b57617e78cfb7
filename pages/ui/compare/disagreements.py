"""Two models at a time: whether their difference means anything, and the clips on which they disagree, to hear."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from html import escape

import numpy as np
import pandas as pd
import streamlit as st

from pages.ui import cached, clip_view, downloads, frame, inputs, recognition
from ser_core.corpora import catalogue
from ser_core.errors import SerError
from ser_core.experiments import comparison
from ser_core.experiments.comparison import Difference
from ser_core.experiments.outcome import Outcome

WHICH = {"all": "All", "none": "No model right", "one": "One model right"}


def show_differences(outcomes: Sequence[Outcome]) -> None:
    """Draw the differences between all pairs, and the clips on which the models disagree."""
    st.header("Is the difference significant?", anchor=False)
    pairs = [
        _difference(
            f"{one.model} {other.model} {hash(one.probabilities.tobytes())} {hash(other.probabilities.tobytes())}",
            one,
            other,
        )
        for one, other in itertools.combinations(outcomes, 2)
    ]
    over = "speakers" if pairs[0].over == "speakers" else "clips, because there are too few speakers"
    st.markdown(
        f"Each pair is compared on the same {over}, drawn again and again. An interval that holds 0 says: with other voices, the "
        "order might have been the other way round."
    )
    trained = {each.model for each in outcomes if each.heard and each.heard.any.any()}
    st.html(f"<ul>{''.join(f'<li>{_html(each, trained)}</li>' for each in pairs)}</ul>")
    if len(pairs) > 2:
        st.markdown(
            f":small[With {len(pairs)} pairs, one may seem to differ by chance alone: 1 in 20 such intervals is wrong by chance.]"
        )
    st.header("Where they disagree", anchor=False)
    _disagreements(outcomes)


def difference_text(each: Difference, trained: Collection[str] = ()) -> str:
    """Return what a difference is worth, in words; figures in points of UAR.

    trained: the models that some of the clips were in the training of. No pair with one of them has a better model.
    """
    better, worse, sign = (each.one, each.other, 1) if each.value >= 0 else (each.other, each.one, -1)
    low, high = sorted((100 * sign * each.low, 100 * sign * each.high))
    figure = f"{100 * abs(each.value):.1f} points of UAR ({low:+.1f} to {high:+.1f})"
    known = [model for model in (better, worse) if model in trained]
    if known:
        which = f"{known[0]} was" if len(known) == 1 else "Both were"
        return f"{better} and {worse}: {figure} apart. {which} trained on some of these clips or speakers: no verdict."
    if each.means_nothing:
        return f"{better} and {worse}: {figure} apart. This difference is not significant."
    return f"{better} is better than {worse} by {figure}."


def _html(each: Difference, trained: Collection[str]) -> str:
    text = escape(difference_text(each, trained))
    return text if each.means_nothing or {each.one, each.other} & set(trained) else f"<b>{text}</b>"


@st.cache_data(max_entries=128, show_spinner=False)
def _difference(key: str, _one: Outcome, _other: Outcome) -> Difference:
    return comparison.difference(_one, _other, rng=np.random.default_rng(0))


def _disagreements(outcomes: Sequence[Outcome]) -> None:
    table = comparison.disagreements(outcomes)
    n = len(outcomes[0].y)
    if table.empty:
        st.markdown(f"They answer the same on all {n:,} clips.")
        return
    which = st.segmented_control(
        "Clips",
        list(WHICH),
        format_func=WHICH.get,
        default="all",
        required=True,
        key="compare.pairs.which",
        label_visibility="collapsed",
    )
    if which != "all":
        table = table[table["n_right"] == (0 if which == "none" else 1)].reset_index(drop=True)
    st.markdown(f"{len(table):,} of {n:,} clips. Tick one to hear it.")
    clips = outcomes[0].clips.iloc[table["place"]].reset_index(drop=True)
    shown = pd.DataFrame(
        {
            "Corpus": [cached.corpus_title(name) for name in clips[catalogue.CORPUS]],
            "Name": clips[catalogue.NAME],
            "Acted": table["truth"],
            **{each.model: table[each.model] for each in outcomes},
        }
    )
    event = st.dataframe(
        downloads.cells(shown),
        hide_index=True,
        height=300,
        on_select="rerun",
        selection_mode="single-row",
        key=f"compare.pairs.clips.{which}.{len(table)}",
    )
    rows = event["selection"]["rows"]
    if rows and rows[0] < len(clips):
        _play(cached.corpus_clip(clips, rows[0]))


def _play(corpus_clip: cached.CorpusClip) -> None:
    try:
        clip = inputs.read(corpus_clip)
        analysis = recognition.analyse(clip)
    except OSError:
        st.error(
            f"{frame.plain(corpus_clip.path.name)} cannot be read any more. Score the corpus again.",
            icon=":material/error:",
        )
        return
    except SerError as error:
        st.error(frame.plain(str(error)), icon=":material/error:")
        return
    with st.container(border=True, key="compare_clip"):
        clip_view.show_clip(clip, analysis, title="Clip", key="compare.player")
