"""A corpus of one's own: sentences to say, a recorder and an uploader, what has been added, and ways to change or delete it.

Every widget's callback takes what is chosen at the click, changes the corpus in ser_core.own, and leaves a sentence that the next
run of the page shows.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from pages.ui import cached, downloads, frame, inputs, player, runtime, state
from pages.ui.charts import palette
from ser_core.corpora import catalogue, library
from ser_core.corpora import recorded as corpora_recorded
from ser_core.corpora.recorded import (
    MAX_CLIP_S,
    MAX_SPEAKER,
    SENTENCES,
    Clip,
    add,
    create,
    delete,
    delete_all,
    listing,
    pack,
    relabel,
)
from ser_core.errors import SerError
from ser_core.system import untrusted_text, workers

ABOUT = """
Say a sentence as if you felt what the label says, and it becomes a clip that can be checked, explored and trained on like any other corpus.
**It stays on this machine**; nothing is sent anywhere. **Everyone who uses this server** can see the names and hear, change and delete the
clips, and train models on them. Deleting removes the recordings; models that were trained on them stay, and figures computed from them
until the feature cache is cleared.
"""

NEW = ""
"""The choice among the corpora that makes another one."""

FREE = ""
"""The choice among the sentences that leaves open what is said."""

NAME, TITLE = "corpora.own.corpus", "corpora.own.title"
WHO, HIDDEN = "corpora.own.speaker", "corpora.own.anonymous"
LABEL, SENTENCE = "corpora.own.label", "corpora.own.sentence"
MAX_FILES = 100


def show_recorder(root: Path) -> None:
    """Draw the choice of a user-recorded corpus, and everything that can be done with it."""
    st.markdown(ABOUT)
    there = listing(root)
    name = _choose(root, there)
    _notes()
    if name == NEW:
        return
    clips = corpora_recorded.clips(root, name)
    saying, counting = st.columns([6, 4], gap="large")
    with saying:
        _add(root, name, clips)
    with counting:
        st.header(f"{len(clips):,} clip{'s' * (len(clips) != 1)}", anchor=False)
        st.html(counters(clips))
    if clips:
        _list(root, name, clips)
    _whole(root, name, there[name], clips)


def _choose(root: Path, there: dict[str, str]) -> str:
    """Draw the choice of a corpus, with a field for the name of another one; return NEW while there is none."""
    options = [*there, NEW]
    if st.session_state.get(NAME) not in options:
        last = st.session_state.get(state.OWN_CORPUS)
        st.session_state[NAME] = last if last in there else options[0]
    choice, naming = st.columns(2)
    name = choice.selectbox(
        "Corpus of your own",
        options,
        key=NAME,
        on_change=state.remember,
        args=(state.OWN_CORPUS, NAME),
        format_func=lambda name: there.get(name, "Another one …" if there else "A new one …"),
    )
    if name == NEW:
        with naming.container(horizontal=True, vertical_alignment="bottom", key="corpora_own_new"):
            st.text_input("Corpus name", key=TITLE, max_chars=library.MAX_TITLE, placeholder="Class 9b")
            st.button("Create corpus", key="corpora.own.create", icon=":material/add:", on_click=_create, args=(root,))
    return name


def _create(root: Path) -> None:
    with _Telling() as tell:
        name = create(root, st.session_state[TITLE])
        st.session_state[NAME] = name
        state.note_made(name)
        tell("success", "Corpus created. Record the first clip, or upload some.")


def _add(root: Path, name: str, clips: Sequence[Clip]) -> None:
    st.header("Add clips", anchor=False)
    who = _who()
    label = st.pills(
        "The label to act", catalogue.ALL_LABELS, default=catalogue.ALL_LABELS[0], key=LABEL, required=True, wrap=True
    )
    recording, uploading = st.tabs(["Record", "Upload"], key="corpora.own.way")
    number = st.session_state.get(state.OWN_ROUND, 0)
    with recording:
        done = sum(clip.label == label and clip.speaker == who for clip in clips)
        sentence = st.selectbox(
            f"Say, acting “{label}”",
            [*SENTENCES, FREE],
            index=done % len(SENTENCES),
            key=f"{SENTENCE}.{name}.{label}.{who}.{done}",
            format_func=lambda text: text or "A sentence of your own",
        )
        key = f"corpora.own.record.{number}"
        # 44.1 kHz: at 48 kHz the browser's gain control gets in, at 16 kHz its codec costs the upper band.
        heard = st.audio_input("Two to four seconds; listen to it before you add it", sample_rate=44_100, key=key)
        st.button(
            "Add this recording",
            key="corpora.own.add",
            type="primary",
            icon=":material/add:",
            disabled=heard is None,
            on_click=_take,
            args=(root, name, [key], sentence),
        )
    with uploading:
        key = f"corpora.own.upload.{number}"
        files = st.file_uploader(
            f"Audio files that all have this label and this speaker, up to {MAX_CLIP_S:.0f} s each",
            type=inputs.FORMATS,
            accept_multiple_files=True,
            key=key,
        )
        n = len(files)
        st.button(
            f"Add {n} files" if n > 1 else "Add this file",
            key="corpora.own.add_files",
            type="primary",
            icon=":material/add:",
            disabled=not files,
            on_click=_take,
            args=(root, name, [key], FREE),
        )


def _who() -> str:
    """Draw the field for the speaker's name and return it; a visitor without one gets a code that lasts for the visit."""
    if state.OWN_ANONYMOUS not in st.session_state:
        st.session_state[state.OWN_ANONYMOUS] = f"anonymous-{secrets.token_hex(2)}"
    code = st.session_state[state.OWN_ANONYMOUS]
    with st.container(horizontal=True, vertical_alignment="bottom", key="corpora_own_who"):
        hidden = st.session_state.get(HIDDEN, False)
        name = st.text_input(
            "Speaker",
            value=st.session_state.get(state.OWN_SPEAKER, ""),
            key=WHO,
            max_chars=MAX_SPEAKER,
            disabled=hidden,
            placeholder="A first name, or a code",
            on_change=state.remember,
            args=(state.OWN_SPEAKER, WHO),
        )
        hidden = st.toggle("Stay anonymous", key=HIDDEN)
    with st.container(key="corpora_own_code"):  # always there, so that the recorder below keeps its place
        if hidden:
            st.markdown(
                f":small[You are called **{code}** during this visit, so that your clips are never both trained on and tested on.]"
            )
    return code if hidden else name.strip()


def _take(root: Path, name: str, keys: Sequence[str], sentence: str) -> None:
    """Callback: add what the recorder or the uploader holds, under the label and the speaker chosen at the click."""
    label = st.session_state[LABEL]
    who = st.session_state[state.OWN_ANONYMOUS] if st.session_state[HIDDEN] else st.session_state.get(WHO, "")
    held = [file for key in keys for file in _files(st.session_state[key])]
    added, again = 0, False
    for file in held[:MAX_FILES]:
        recorded = len(held) == 1 and "record" in keys[0]
        with _Telling() as tell:
            result = workers.run(  # it measures the sound, which the server does not
                add,
                root,
                name,
                file.getvalue(),
                label=label,
                speaker=who,
                sentence=sentence,
                source="The recording" if recorded else untrusted_text.one_line(file.name, 60),
            )
            added += 1
            for advice in result.advice:
                tell("warning", f"Added, but: {advice}")
        again = again or not tell.problem
    if added:
        _note("success", f"Added {added} clip{'s' * (added != 1)} as {label}.")
    if len(held) > MAX_FILES:
        _note("warning", f"The first {MAX_FILES} of {len(held)} files were looked at. Add the others afterwards.")
    if again:
        runtime.release_upload(held)
        st.session_state[state.OWN_ROUND] = st.session_state.get(state.OWN_ROUND, 0) + 1


def _files(held: Any) -> list[Any]:
    return [file for file in (held if isinstance(held, list) else [held]) if isinstance(file, UploadedFile)]


def counters(clips: Sequence[Clip]) -> str:
    """Return how many clips there are of each label, as HTML: a bar, the word and the number."""
    counts = Counter(clip.label for clip in clips)
    most = max(counts.values(), default=1)
    rows = [
        f'<li><span>{escape(label)}</span><span class="ser-track"><i style="width:{counts[label] / most:.1%};min-width:0;'
        f'background:{palette.emotion(label)}"></i></span><span>{counts[label]}</span></li>'
        for label in catalogue.ALL_LABELS
    ]
    speakers = Counter(clip.speaker for clip in clips)
    who = ", ".join(f"{speaker} {n}" for speaker, n in speakers.most_common(12)) + (" …" if len(speakers) > 12 else "")
    caption = f'<p class="ser-small">By {escape(who)}</p>' if clips else ""
    return f'<div class="ser-grid"><section><ul class="ser-bars">{"".join(rows)}</ul>{caption}</section></div>'


def _list(root: Path, name: str, clips: Sequence[Clip]) -> None:
    st.header("What is in it", anchor=False)
    st.markdown("Tick a clip to hear it, give it another label or delete it. The newest come first.")
    newest = clips[::-1]
    # A key of the clips: a tick must not move to another clip when somebody adds or deletes one.
    digest = hashlib.sha256(" ".join(clip.id for clip in newest).encode()).hexdigest()[:12]
    event = st.dataframe(
        downloads.cells(
            pd.DataFrame(
                {
                    "Label": [clip.label for clip in newest],
                    "Speaker": [clip.speaker for clip in newest],
                    "Sentence": [clip.sentence for clip in newest],
                }
            )
        ),
        hide_index=True,
        height=min(300, 40 + 35 * len(newest)),
        on_select="rerun",
        selection_mode="single-row",
        key=f"corpora.own.clips.{name}.{digest}",
    )
    rows = event["selection"]["rows"]
    if rows and rows[0] < len(newest):
        _clip(root, name, newest[rows[0]])


def _clip(root: Path, name: str, clip: Clip) -> None:
    """Draw the player of a clip, and what can be done with it."""
    try:
        data = clip.path.read_bytes()
    except OSError:
        st.error("This clip is gone: somebody deleted it.", icon=":material/error:")
        return
    with st.container(border=True, key="corpora_own_clip"):
        st.markdown(
            f"**{clip.label}** by {frame.plain(clip.speaker)}"
            + (f": {frame.plain(clip.sentence)}" if clip.sentence else "")
        )
        player.show(
            data,
            "audio/wav",
            key="corpora.own.player",
            label=f"{clip.label} by {clip.speaker}",
            duration_s=None,
        )
        with st.container(horizontal=True, vertical_alignment="bottom", key="corpora_own_clip_change"):
            key = f"corpora.own.relabel.{clip.id}"
            st.selectbox(
                "Label",
                catalogue.ALL_LABELS,
                index=catalogue.ALL_LABELS.index(clip.label),
                key=key,
                width=180,
                on_change=_relabel,
                args=(root, name, clip.id, key),
            )
            st.button(
                "Delete this clip",
                key="corpora.own.delete",
                icon=":material/delete:",
                on_click=_delete,
                args=(root, name, clip.id),
            )


def _relabel(root: Path, name: str, id: str, key: str) -> None:
    label = st.session_state[key]
    with _Telling() as tell:
        relabel(root, name, id, label)
        tell("success", f"The clip is {label} now.")


def _delete(root: Path, name: str, id: str) -> None:
    with _Telling() as tell:
        delete(root, name, [id])
        tell("success", "The clip is deleted, and its recording with it.")


def _whole(root: Path, name: str, title: str, clips: Sequence[Clip]) -> None:
    """Draw what can be done with the corpus as a whole."""
    with st.container(key="corpora_own_whole", horizontal=True):
        if clips:
            st.download_button(
                "Download all (zip)",
                lambda: pack(root, name),
                f"{name}.zip",
                "application/zip",
                key="corpora.own.zip",
                icon=":material/download:",
                on_click="ignore",
            )
        with st.popover("Delete all …", key="corpora.own.sure", icon=":material/delete_forever:"):
            n = len(clips)
            amount = f"{n:,} recording{'s' * (n != 1)}"
            st.markdown(
                f"**{frame.plain(title)}** and its {amount} will be deleted for everyone. This cannot be undone."
            )
            st.button(
                f"Permanently delete {amount}",
                key="corpora.own.delete_all",
                type="primary",
                on_click=_delete_all,
                args=(root, name, title),
            )


def _delete_all(root: Path, name: str, title: str) -> None:
    with _Telling() as tell:
        delete_all(root, name)
        tell("success", f"{title} is deleted with all its recordings.")


class _Telling:
    """A block that changes a corpus: shows the new state afterwards, and turns a SerError into a sentence on the page."""

    problem = ""

    def __enter__(self) -> _Telling:
        return self

    def __call__(self, kind: str, sentence: str) -> None:
        _note(kind, sentence)

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        cached.look_again()
        if isinstance(error, SerError):
            self.problem = str(error)
            _note("error", self.problem)
            return True
        return False


def _note(kind: str, sentence: str) -> None:
    st.session_state.setdefault(state.OWN_NOTES, []).append((kind, sentence))


def _notes() -> None:
    """Draw what became of the last change, once. What follows keeps its place on the page, or its recorder would lose its recording."""
    shown: dict[str, tuple[Callable[..., Any], str]] = {
        "success": (st.success, ":material/check_circle:"),
        "warning": (st.warning, ":material/warning:"),
        "error": (st.error, ":material/error:"),
    }
    with st.container(key="corpora_own_notes"):
        for kind, sentence in st.session_state.pop(state.OWN_NOTES, []):
            draw, icon = shown[kind]
            draw(frame.plain(sentence), icon=icon)
