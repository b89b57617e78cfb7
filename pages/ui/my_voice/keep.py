"""Keep or forget: the voice as a file to take home and to bring again, and the takes as a corpus of one's own to train on."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Sequence
from pathlib import Path

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from pages.ui import cached, downloads, own_corpus, recognition, runtime, state, visits, voice
from pages.ui.my_voice import enrol
from ser_core.corpora import library, recorded
from ser_core.errors import SerError
from ser_core.recognition import personal
from ser_core.recognition.card import ModelCard
from ser_core.system import untrusted_text

KEEP = """
All of it is gone when you leave. **Save my voice** downloads one file with numbers and labels, no sound; bring it to your next visit.
"""

TRAIN = """
Your takes become a corpus of your own, under “Your own” on the Corpora page. **Everyone who uses this server** can hear, change and delete
its clips, and train models on them.
"""

FILE_NAME = f"my{personal.ENDING}"
CORPUS_TITLE, SPEAKER = "my_voice.corpus.title", "my_voice.corpus.speaker"


def show_keep(mine: voice.Mine, cards: Sequence[ModelCard]) -> None:
    """Draw the ways to keep the voice, to bring one that was saved, and to train on the takes."""
    st.header("Keep or forget", anchor=False)
    st.markdown(KEEP)
    with st.container(horizontal=True, key="my_voice_keep"):
        if mine.voice:
            st.download_button(
                "Save my voice",
                downloads.unless_forgotten(weakref.ref(mine.voice), personal.Voice.to_bytes),
                FILE_NAME,
                "application/json",
                key="my_voice.save",
                icon=":material/download:",
                on_click="ignore",
            )
        if not mine.is_empty:
            st.button("Forget my voice", key="my_voice.forget", icon=":material/delete_sweep:", on_click=forget)
    number = st.session_state.get(state.VOICE_ROUND, 0)
    key = f"my_voice.load.{number}"
    st.file_uploader(
        "A voice that was saved here before: it takes the place of your takes",
        type=["json"],
        max_upload_size=1,
        key=key,
        on_change=_load,
        args=(key, cards),
    )
    if mine.takes or mine.tests:
        with st.expander("Train a model of my own", key="my_voice.train", icon=":material/model_training:"):
            _offer_training(mine)


def forget() -> None:
    """Callback: forget the voice alone, wherever it is held; what adapts to it now is stopped."""
    enrol.empty_inputs()
    visits.clear_caches()
    st.session_state.pop(state.VOICE, None)
    live, timeline, batch = (st.session_state.get(key) for key in (state.LIVE, state.TIMELINE, state.BATCH))
    if live:
        live.forget_voice()
    if timeline and any(isinstance(each, personal.Voice) for each in timeline.key):
        timeline.task.stop()
        del st.session_state[state.TIMELINE]
    search = st.session_state.get(state.BREAK_IT)
    if search and any(isinstance(each, personal.Voice) for each in search.key):
        search.task.stop()
        del st.session_state[state.BREAK_IT]
    if batch and batch.adapted:
        batch.task.stop()  # its results stay


def _load(key: str, cards: Sequence[ModelCard]) -> None:
    """Callback: take the voice of a file in place of the takes that there are."""
    mine, file = voice.mine(), st.session_state[key]
    if not isinstance(file, UploadedFile):
        return
    content = file.getvalue()
    runtime.release_upload(file)
    enrol.empty_inputs()
    runtime.announce()  # a callback comes before the page
    try:
        models = recognition.references(cards)
        found = personal.Voice.from_bytes(content, models)
    except SerError as error:
        mine.note = ("error", str(error))
        return
    visits.clear_caches()  # the takes that are gone, decoded
    mine.takes, mine.tests, mine.candidate = [], [], None
    mine.loaded, mine.loaded_digests = found.takes, {each.slug: each.digest for each in models}
    mine.voice, mine.problem = found, ""
    left = (
        f" Not adapted, because they are not here as they were: {', '.join(found.left_out)}." if found.left_out else ""
    )
    mine.note = ("success", f"Your voice is here again: {voice.words(found)}.{left}")


def _offer_training(mine: voice.Mine) -> None:
    st.markdown(TRAIN)
    st.text_input("Corpus name", key=CORPUS_TITLE, max_chars=library.MAX_TITLE, placeholder="My voice")
    own_corpus.ask_speaker(SPEAKER)
    n = len(mine.takes) + len(mine.tests)
    st.button(
        f"Add {n} take{'s' * (n != 1)} to the corpus",
        key="my_voice.corpus.add",
        type="primary",
        icon=":material/library_add:",
        on_click=_add,
    )
    st.page_link("pages/train.py", label="Go to Train", icon=":material/arrow_forward:")


def _add() -> None:
    """Callback: add all takes to a corpus of one's own, which is made where this visit has none of that name."""
    mine, root = voice.mine(), cached.corpora_root()
    title = untrusted_text.one_line(st.session_state.get(CORPUS_TITLE, ""), library.MAX_TITLE) or "My voice"
    speaker = st.session_state.get(SPEAKER, "").strip()
    runtime.announce()  # a callback comes before the page
    try:
        name = _own_corpus(root, title)
    except SerError as error:
        mine.note = ("error", str(error))
        return
    added, problems = 0, dict[str, list[str]]()
    for take in (each for each in (*mine.takes, *mine.tests) if (name, each.digest) not in mine.filed):
        try:
            own_corpus.add(
                root,
                name,
                take.data,
                label=take.label,
                speaker=speaker,
                sentence=take.sentence,
                source="The take",
            )
        except SerError as error:
            problems.setdefault(str(error), []).append(take.label)
        else:
            mine.filed.add((name, take.digest))
            added += 1
    st.session_state[state.OWN_CORPUS], st.session_state[state.OWN_SPEAKER] = name, speaker
    said = f"Added {added} take{'s' * (added != 1)} to {recorded.listing(root).get(name, name)}."
    if problems:
        why = " ".join(f"{', '.join(labels)}: {problem}" for problem, labels in problems.items())
        mine.note = ("error", f"{said} Not added: {why}")
    else:
        mine.note = ("success", f"{said} Train on them on the Train page.")
    cached.look_again()


def _own_corpus(root: Path, title: str) -> str:
    """Return the corpus of this visit with a title; create it where there is none, with a number where the title is another visit's."""
    there = {each.casefold(): name for name, each in recorded.listing(root).items()}
    made = st.session_state.get(state.OWN_MADE, set())
    numbered = (f"{title[: library.MAX_TITLE - 4]} {n}" for n in itertools.count(2))
    free = next(each for each in itertools.chain([title], numbered) if there.get(each.casefold()) in {None, *made})
    name = there.get(free.casefold())
    if name is None:
        name = recorded.create(root, free)
        state.note_made(name)
    return name
