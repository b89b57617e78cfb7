"""The three ways a clip comes in: recorder, uploader, samples. Whatever was used last becomes the clip of the session."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from pages.ui import cached, clip_input, frame, state, voice
from ser_core.audio import decoding, formats
from ser_core.errors import SerError
from ser_core.recognition import store
from ser_core.recognition.card import ModelCard

FORMATS = [ending.removeprefix(".") for ending in formats.ENDINGS]
"""File name endings that the uploader lets through; what a file is, its content says (decoding.decode)."""


def notice() -> None:
    """Draw why the last clip was not taken, once."""
    if message := st.session_state.pop(state.TOO_FAST, ""):
        st.warning(message, icon=":material/speed:")


def record() -> None:
    """Draw the recorder."""
    key = f"{clip_input.RECORD}.{clip_input.round_number()}"
    # 44.1 kHz: at 48 kHz the browser's gain control gets in, at 16 kHz its codec costs the upper band.
    st.audio_input(
        "Say one sentence, two to four seconds long",
        sample_rate=44_100,
        key=key,
        on_change=clip_input.receive,
        args=(key, clip_input.RECORDING),
    )


def upload() -> None:
    """Draw the uploader."""
    key = f"{clip_input.UPLOADED}.{clip_input.round_number()}"
    st.file_uploader(
        "An audio file, or a video with sound, up to an hour",
        type=FORMATS,
        key=key,
        on_change=clip_input.receive,
        args=(key, clip_input.UPLOAD),
    )


def channel(given: clip_input.ClipInput, used: str, choices: Sequence[str]) -> None:
    """Draw the choice of a channel, where those of a clip differ; used: the one that was used."""
    if choices:
        st.segmented_control(
            "Channel",
            choices,
            default=used,
            required=True,
            format_func=str.capitalize,
            key=clip_input.channel_key(given),
            on_change=clip_input.choose_channel,
        )


def track(given: clip_input.ClipInput, used: int, tracks: int) -> None:
    """Draw the choice of a sound track, where a clip has several; used: the one that was used."""
    if tracks > 1:
        st.segmented_control(
            "Sound track",
            range(1, max(min(tracks, decoding.MAX_TRACKS), used) + 1),
            default=used,
            required=True,
            key=clip_input.track_key(given),
            on_change=clip_input.choose_track,
        )


def sample() -> None:
    """Draw the buttons of the synthetic voices, and the clips of installed corpora."""
    st.markdown("**Synthetic voices**, made by a speech synthesiser, so no real feelings are involved.")
    with st.container(key="samples", horizontal=True, gap="small"):
        for row in cached.samples():
            st.button(
                frame.plain(_short(row["title"])),
                key=f"recognize.sample.{row['file']}",
                help=frame.plain(row["text"]),
                on_click=_give_sample,
                args=(row,),
            )
    corpora = cached.corpus_folders(cached.corpora_root())
    if corpora:
        _corpus_clip(corpora)
    else:
        st.markdown("Real, acted speech with its true labels is offered here too, once a corpus is installed.")


def _short(title: str) -> str:
    return title.removeprefix("Synthetic voice, ").capitalize()


def _give_sample(row: dict[str, Any]) -> None:
    data = (cached.SAMPLES / row["file"]).read_bytes()
    clip_input.set_clip(row["file"], data, clip_input.SAMPLE, note=f"Synthetic voice: “{row['text']}”")


def _corpus_clip(corpora: dict[str, Path]) -> None:
    st.markdown("**Acted speech** from the corpora installed here, with its true label.")
    corpus_box, speaker_box = st.columns(2)
    name = corpus_box.selectbox("Corpus", list(corpora), format_func=cached.corpus_title, key="recognize.corpus")
    try:
        speakers = cached.speakers(name, corpora[name])
    except SerError as error:
        st.error(frame.plain(str(error)), icon=":material/error:")
        return
    speaker = speaker_box.selectbox("Speaker", speakers, format_func=speakers.get, key=f"recognize.speaker.{name}")
    clips = cached.clips_of(name, corpora[name], speaker)
    clip = st.selectbox(
        "Clip",
        clips,
        index=None,
        format_func=lambda path: clips[path].title,
        placeholder="Choose a clip",
        key=f"recognize.clip.{name}.{speaker}",
    )
    st.button("Use this clip", key="recognize.use", disabled=clip is None, on_click=_give_clip, args=(clips.get(clip),))


def _give_clip(clip: cached.CorpusClip) -> None:
    clip_input.take(read(clip))


def read(clip: cached.CorpusClip) -> clip_input.ClipInput:
    """Return a clip of a corpus with its bytes and its true label; raises OSError where its file cannot be read."""
    return clip_input.new_clip(
        clip.path.name,
        clip.path.read_bytes(),
        clip_input.SAMPLE,
        label=clip.label,
        note="The models may have learned from this very clip: a right answer proves little.",
    )


def models(cards: list[ModelCard], *, note: str = "") -> list[ModelCard]:
    """Return the models to ask; where there are more than the shipped ones, draw the choice of them, and where there is one's own voice,
    its switch. note: said below that."""
    voice.switch(current_models(cards), note=note)
    by_slug = {card.slug: card for card in cards}
    if set(by_slug) <= set(store.SHIPPED):
        return cards
    chosen = st.pills(
        "Models",
        by_slug,
        selection_mode="multi",
        default=state.model_choice(store.SHIPPED, by_slug),
        format_func=lambda slug: frame.plain(by_slug[slug].title),
        key="recognize.models.choice",
        on_change=state.remember,
        args=(state.MODELS, "recognize.models.choice"),
    )
    return [card for card in cards if card.slug in (chosen or state.model_choice(store.SHIPPED, by_slug))]


def show_tried(cards: Sequence[ModelCard]) -> None:
    """Say which model was chosen to be tried, while no clip is there for it to answer."""
    slug = st.session_state.get(state.TRIED)
    title = next((card.title for card in cards if card.slug == slug), None)
    if title is not None:
        st.info(
            f"**{frame.plain(title)}** answers too. Record, upload or pick a clip; its card comes after those of the others.",
            icon=":material/model_training:",
        )


def current_models(cards: list[ModelCard]) -> list[ModelCard]:
    """Return the models to ask, as they were chosen last, without drawing the choice."""
    slugs = state.model_choice(store.SHIPPED, [card.slug for card in cards])
    return [card for card in cards if card.slug in slugs]
