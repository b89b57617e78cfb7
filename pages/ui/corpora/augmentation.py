"""What augmentation does to a clip: hear it before and after, and see both."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from pages.ui import cached, clip_input, corpus_player, recognition, state
from pages.ui import player as clip_player
from pages.ui.charts import clip, groups
from ser_core.audio import augment, waveform
from ser_core.corpora import catalogue
from ser_core.recognition import analysis
from ser_core.system import workers

ROWS = ("waveform", "mel")
HOW = (
    "Training adds changed copies of the training clips, so that a model does not take a room, a microphone or one voice for an emotion. "
    "Clips that are tested are never changed."
)


def show_preview(clips: pd.DataFrame) -> None:
    """Draw the choice of a clip and of an effect, and the clip before and after it."""
    st.header("What augmentation does", anchor=False)
    st.markdown(HOW)
    row = _choose(clips)
    found = corpus_player.read(cached.corpus_clip(clips, row))
    if found is None:
        return
    given, before = found
    name = st.segmented_control(
        "Effect",
        list(augment.EFFECTS),
        format_func=lambda name: augment.EFFECTS[name].title,
        default="noise",
        required=True,
        key="corpora.preview.effect",
    )
    effect = augment.EFFECTS[name]
    with st.container(key="corpora_preview", horizontal=True, vertical_alignment="bottom", gap="medium"):
        strength = st.slider(
            "Strength", 0.0, 1.0, effect.strength, 0.05, key=f"corpora.preview.strength.{name}", width=360
        )
        draw = st.session_state.setdefault(state.PREVIEW_DRAW, 0)
        st.button(
            "Draw again",
            key="corpora.preview.again",
            icon=":material/casino:",
            on_click=_draw_again,
            help="What is left to chance, such as up or down, is drawn again.",
        )
    amount = f"about {effect.amount(strength):.3g} {effect.unit}" if strength else "nothing is changed"
    st.markdown(f"**{effect.title}** stands for {effect.imitates}: {amount}.")
    after_bytes, after = _augment(f"{given.digest} {name} {strength} {draw}", before, name, strength, draw)
    _compare(given, before, after_bytes, after)


def _choose(clips: pd.DataFrame) -> int:
    """Draw the choice of speaker, label and clip; return the row of the clip."""
    who, what, which = st.columns(3)
    speakers = sorted(set(clips[catalogue.SPEAKER]))
    speaker = who.selectbox(
        "Speaker",
        speakers,
        format_func=lambda code: groups.title(catalogue.SPEAKER, code),
        key="corpora.preview.speaker",
    )
    theirs = clips[clips[catalogue.SPEAKER] == speaker]
    label = what.selectbox(
        "Label",
        [label for label in catalogue.ALL_LABELS if label in set(theirs[catalogue.EMOTION])],
        key=f"corpora.preview.label.{speaker}",
    )
    rows = [
        int(row) for row in np.flatnonzero((clips[catalogue.SPEAKER] == speaker) & (clips[catalogue.EMOTION] == label))
    ]
    return which.selectbox(
        "Clip",
        rows,
        format_func=lambda row: cached.corpus_clip(clips, row).title,
        key=f"corpora.preview.clip.{speaker}.{label}",
    )


def _draw_again() -> None:
    st.session_state[state.PREVIEW_DRAW] += 1


@st.cache_resource(scope="session", max_entries=8, show_spinner="Changing the clip …")
def _augment(
    key: str, _before: analysis.Analysis, name: str, strength: float, draw: int
) -> tuple[bytes, analysis.Analysis]:
    """Return the changed clip as a WAV, and as it is heard and seen."""
    waveform_after = augment.EFFECTS[name].apply(_before.clip.waveform, strength, np.random.default_rng(draw))
    data = waveform.encode_wav(waveform_after)
    return data, workers.run(analysis.analyse, data, name="The changed clip")


def _compare(
    given: clip_input.ClipInput, before: analysis.Analysis, after_bytes: bytes, after: analysis.Analysis
) -> None:
    shared = clip.scale(before, after)
    data, mime = recognition.playable(given, before)
    sides = (("before", "Before", data, mime, before), ("after", "After", after_bytes, "audio/wav", after))
    for column, (place, title, sound, kind, clip_analysis) in zip(st.columns(2, gap="medium"), sides, strict=True):
        with column:
            st.markdown(
                f"**{title}** · {clip_analysis.quality.duration_s:.2f} s, {clip_analysis.quality.level_dbfs:.0f} dBFS"
            )
            clip_player.show(
                sound,
                kind,
                key=f"corpora.preview.player.{place}",
                label=f"{title}, the clip",
                duration_s=clip_analysis.clip.waveform.duration_s,
                analysis=clip_analysis,
                pictures=False,
            )
            st.plotly_chart(
                clip.pictures(clip_analysis, rows=ROWS, shared=shared),
                key=f"corpora.preview.picture.{place}",
                config=clip.CONFIG,
                alt=clip.describe(clip_analysis, ROWS),
            )
