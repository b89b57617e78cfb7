"""Your clips, below the result on the Recognize page: the last clips of the visit, to hear again, to label, to use and to take home."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

import streamlit as st

from pages.ui import cached, clip_input, downloads, frame, own_corpus, player, runtime, shelf, state
from pages.ui.charts import palette
from pages.ui.recognize import answers as answers_shown
from ser_core.corpora import catalogue, library, recorded
from ser_core.errors import SerError
from ser_core.recognition import recognizer, together
from ser_core.recognition.recognizer import Prediction
from ser_core.system import untrusted_text

TITLE = "Your clips"

ABOUT = f"""
The last {shelf.MOST} clips that you recorded or uploaded, up to eight seconds each, and the last words of each Live session. They are in
this server's memory only, until you forget them or leave.
"""

EMPTY = "Nothing yet: record or upload a clip, or speak on the Live page."

NEW = ""
"""The choice among the corpora that makes another one."""

CHOICE = "recognize.clips.choice"
CORPUS, CORPUS_TITLE, SPEAKER = "recognize.clips.corpus", "recognize.clips.title", "recognize.clips.speaker"


def show_clips(keep: Callable[[], bool] | None = None) -> None:
    """Draw the clips of this visit. keep: keeps the answers so far to the newest one, and returns whether more are on their way."""
    waits = keep is not None and keep()
    st.fragment(_draw, run_every=answers_shown.ASK_S if waits else None)(keep if waits else None)


def _draw(keep: Callable[[], bool] | None) -> None:
    if keep is not None and not keep():
        runtime.stop_asking()
    found = shelf.clips()
    if not found:
        with st.expander(TITLE, key="recognize.clips.none", icon=":material/history:"):
            st.markdown(EMPTY)
        return
    st.header(TITLE, anchor=False)
    with st.container(key="recognize_clips"):
        st.markdown(ABOUT)
        _show_notes()
        _show_clip(_choose(found), cached.model_titles(cached.models()[0]))


def _choose(found: Sequence[shelf.Clip]) -> shelf.Clip:
    """Draw the choice of a clip and return it; the newest comes first, and is chosen where nobody chose."""
    by_key = {clip.key: clip for clip in found}
    numbers = {clip.key: len(found) - place for place, clip in enumerate(found)}
    # A key of the newest clip: with a new one, that is chosen again.
    key = st.selectbox(
        "Clip",
        by_key,
        format_func=lambda key: f"{numbers[key]} · {shelf.title(by_key[key])}",
        key=f"{CHOICE}.{shelf.short_key(found[0].key)}",
    )
    return by_key.get(key, found[0])


def _show_clip(clip: shelf.Clip, titles: dict[str, str]) -> None:
    """Draw a clip: the player, the answers, the label that was meant, and what can be done with it."""
    key = shelf.short_key(clip.key)
    player.show(
        clip.data,
        "audio/flac",
        key="recognize.clips.player",
        label=shelf.title(clip),
        duration_s=clip.duration_s,
        pictures=False,
    )
    st.html(answers(clip.predictions, titles | {together.NAME: together.TITLE}))
    if clip.adapted:
        st.markdown(f":small[The answers are {recognizer.adapted_to(clip.adapted)} of your voice.]")
    st.pills(
        "I meant …",
        catalogue.ALL_LABELS,
        default=clip.meant,
        key=f"recognize.clips.meant.{key}",
        on_change=_set_meant,
        args=(clip.key, f"recognize.clips.meant.{key}"),
        wrap=True,
    )
    with st.container(horizontal=True, key="recognize_clips_actions"):
        if st.button("Open", key=f"recognize.clips.open.{key}", icon=":material/graphic_eq:"):
            _open(clip.key)
            st.rerun()  # all of the page
        with st.popover("Add to a corpus …", key="recognize.clips.add", icon=":material/library_add:"):
            _offer_corpus(clip)
        st.download_button(
            "Download",
            clip.data,
            f"{downloads.safe_stem(clip.name)}.flac",
            "audio/flac",
            key=f"recognize.clips.download.{key}",
            icon=":material/download:",
            on_click="ignore",
        )
        st.button(
            "Remove",
            key=f"recognize.clips.remove.{key}",
            icon=":material/delete:",
            on_click=shelf.remove,
            args=(clip.key,),
        )


def answers(predictions: Sequence[Prediction], titles: dict[str, str]) -> str:
    """Return what each model said as one line of HTML: a colour, its title, its label and probability."""
    pieces = [
        f'<span><i style="background:{palette.emotion(each.label)}"></i>'
        f"{escape(untrusted_text.one_line(titles.get(each.model, each.model)))}: {escape(shelf.answer_text(each))}</span>"
        for each in predictions
    ]
    return f'<p class="ser-legend">{"".join(pieces) or "No model answered."}</p>'


def _set_meant(key: str, widget_key: str) -> None:
    shelf.set_meant(key, st.session_state[widget_key])


def _open(key: str) -> None:
    clip = shelf.find(key)
    if clip:
        stem = downloads.safe_stem(clip.name)
        clip_input.set_clip(f"{stem}.flac", clip.data, clip_input.SAMPLE, label=clip.meant, note="From your clips.")


def _offer_corpus(clip: shelf.Clip) -> None:
    """Draw the choice of a corpus of one's own, and the button that adds the clip to it with the label that was meant."""
    root = cached.corpora_root()
    there = recorded.listing(root)
    st.markdown(
        "Everyone who uses this server can hear, change and delete clips of a corpus, and train models on them."
    )
    options = [*there, NEW]
    last = st.session_state.get(state.OWN_CORPUS)
    name = st.selectbox(
        "Corpus of your own",
        options,
        index=options.index(last if last in options else NEW),
        format_func=lambda name: there.get(name, "Another one …" if there else "A new one …"),
        key=CORPUS,
    )
    if name == NEW:
        st.text_input("Corpus name", key=CORPUS_TITLE, max_chars=library.MAX_TITLE, placeholder="My recordings")
    own_corpus.ask_speaker(SPEAKER)
    st.button(
        f"Add as {clip.meant}" if clip.meant else "Add",
        key="recognize.clips.add.now",
        type="primary",
        icon=":material/add:",
        disabled=clip.meant is None,
        help=None if clip.meant else "Say what you meant first.",
        on_click=_add,
        args=(root, name, clip.key),
    )


def _add(root: Path, name: str, key: str) -> None:
    """Callback: add a clip to a corpus of one's own, which is made where there is none of that name yet."""
    clip, speaker = shelf.find(key), st.session_state.get(SPEAKER, "").strip()
    if clip is None or clip.meant is None:
        return
    runtime.announce()  # a callback comes before the page
    try:
        if not name:
            name = recorded.create(root, st.session_state.get(CORPUS_TITLE, ""))
            state.note_made(name)
            st.session_state[CORPUS] = name
        st.session_state[state.OWN_CORPUS] = name
        own_corpus.add(root, name, clip.data, label=clip.meant, speaker=speaker, source="The clip")
    except SerError as error:
        note = ("error", str(error))
    else:
        st.session_state[state.OWN_SPEAKER] = speaker
        title = recorded.listing(root).get(name, name)
        note = ("success", f"Added to {title} as {clip.meant}. The Corpora page has it under “Your own”.")
    cached.look_again()
    st.session_state[state.SHELF].note = note


def _show_notes() -> None:
    """Draw what became of the last click, once."""
    held = st.session_state[state.SHELF]
    note, held.note = held.note, None
    if note:
        frame.show_outcome(*note)
