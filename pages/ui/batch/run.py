"""A visitor's batch: the choice of recordings, and the thread of the server that asks the models about one after another."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from pages.ui import frame, inputs, recognition, runtime, state, voice
from pages.ui.task import Task, show_problem
from ser_core.corpora import uploads
from ser_core.errors import SerError
from ser_core.recognition import analysis, batch, together
from ser_core.recognition.card import ModelCard
from ser_core.recognition.personal import Voice
from ser_core.recognition.recognizer import Prediction
from ser_core.system import workers

HOW = f"""
Up to {uploads.MAX_FILES} recordings of up to ten minutes each. Nothing is kept on the disk, and a file that cannot be used is skipped.

If you know what was acted, the models are scored too: name the files as a known corpus does (`03-01-05-01-02-01-12.wav`), put them
into folders named after the emotions, or add a table (CSV) with the columns `file` and `label`.
"""

_LONG = workers.Line()
"""Batches take turns, one long recording at a time; such a one is in memory from its bytes to its answers. Short ones need no turn here."""


@dataclass
class Run:
    """A batch: its recordings, the models asked (slug -> title and labels), and the results so far, in the order of the recordings.

    labels has all together too, first, where the models have a pool. adapted: where the answers are adapted to a voice, that, and which
    models are not, else "". held_bytes: of the files that were sent up, from which the recordings are read.
    """

    uploads: uploads.Uploads
    titles: dict[str, str]
    labels: dict[str, tuple[str, ...]]
    trained_on: frozenset[str]
    adapted: str = ""
    held_bytes: int = 0
    results: list[batch.Result] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    task: Task = field(default_factory=Task)

    @property
    def columns(self) -> dict[str, str]:
        """What each answer is called, by the slug of its model: as titles, after all together, where there is that."""
        return {slug: self.titles.get(slug, together.TITLE) for slug in self.labels}

    @property
    def truths(self) -> list[str | None]:
        """The true labels of the recordings that have a result."""
        return [each.label for each in self.uploads.recordings[: len(self.results)]]


def current() -> Run | None:
    """Return the visitor's batch."""
    return st.session_state.get(state.BATCH)


def choose(models: list[ModelCard]) -> None:
    """Draw the uploader and the button that starts."""
    st.markdown(HOW)
    key = f"batch.files.{st.session_state.get(state.BATCH_ROUND, 0)}"
    files = st.file_uploader(
        "Recordings, or a zip of them", type=[*inputs.FORMATS, "zip", "csv"], accept_multiple_files=True, key=key
    )
    found = None
    if files:
        try:
            found = uploads.collect([(file.name, file) for file in files])
        except SerError as error:
            st.error(frame.plain(str(error)), icon=":material/error:")
    if found:
        for note in found.notes:
            st.markdown(f":material/info: {frame.plain(note)}")
    n = len(found.recordings) if found else 0
    st.button(
        f"Analyse {n:,} recording{'s' * (n != 1)}" if n else "Analyse",
        key="batch.start",
        type="primary",
        disabled=not n,
        icon=":material/play_arrow:",
        on_click=_start,
        args=(files, found, models),
    )


def _start(files: list[UploadedFile], found: uploads.Uploads, models: list[ModelCard]) -> None:
    heard_as = voice.current()
    run = Run(
        found,
        titles={card.slug: card.title for card in models},
        labels=recognition.labels(models),
        trained_on=frozenset(corpus["corpus"] for card in models for corpus in card.corpora),
        adapted=f"The answers are {voice.words(heard_as)} of your voice. {voice.exceptions(heard_as, models)}".strip()
        if heard_as
        else "",
        held_bytes=sum(file.size for file in files),
    )
    st.session_state[state.BATCH] = run
    st.session_state[state.BATCH_ROUND] = st.session_state.get(state.BATCH_ROUND, 0) + 1
    runtime.release_upload(files)  # the batch holds them now, as long as it is there
    runtime.announce()  # a callback comes before the page
    run.task.start(partial(_work, run, models, heard_as))


def _work(run: Run, models: list[ModelCard], heard_as: Voice | None, task: Task) -> None:
    n = len(run.uploads.recordings)
    for done, recording in enumerate(run.uploads.recordings):
        task.check_stop()
        task.tell(done / n, f"{done:,} of {n:,}: {recording.name}")
        try:
            run.results.append(_result(run, recording, models, heard_as))
        except SerError as error:
            run.results.append({"file": recording.name, "error": str(error)})


def _result(run: Run, recording: uploads.Recording, models: list[ModelCard], heard_as: Voice | None) -> batch.Result:
    """Return what the models predict for a recording; why one of them could not answer is noted once."""
    found = None
    if recording.size <= recognition.SHORT:
        found = recognition.predict_short(recording.read(), recording.name, models)
    if found is None:
        with _LONG.turn():
            found = recognition.predict_long(recording.read(), recording.name, models)
    clip, answers = found
    run.problems += [each for each in answers if isinstance(each, str) and each not in run.problems]
    said = [each for each in answers if isinstance(each, Prediction)]
    return analysis.to_dict(recording.name, clip, recognition.with_together(said, models, heard_as))


def head(run: Run) -> None:
    """Draw what the batch is, and the button that makes room for another."""
    n, done = len(run.uploads.recordings), len(run.results)
    failed = sum("error" in each for each in run.results)
    silent = sum(not each.get("speech", True) for each in run.results)
    with st.container(key="batch_head", horizontal=True, vertical_alignment="center"):
        if run.task.running:
            st.markdown(f"**{n:,} recordings**", width="stretch")
        else:
            parts = [f"**{done:,} of {n:,} recordings**" if done < n else f"**{n:,} recordings**"]
            parts += [f"{silent:,} without speech"] * bool(silent) + [f"{failed:,} that cannot be used"] * bool(failed)
            st.markdown(", ".join(parts), width="stretch")
        st.button("New batch", key="batch.clear", icon=":material/restart_alt:", on_click=_clear)
    if run.adapted:
        st.markdown(f":material/record_voice_over: {run.adapted}")
    for problem in run.problems:
        st.warning(frame.plain(problem), icon=":material/warning:")
    for note in run.uploads.notes:
        st.markdown(f":material/info: {frame.plain(note)}")
    if not run.task.running and run.task.stopping:
        st.info("Stopped. The results so far are below.", icon=":material/info:")
    elif run.task.problem:
        show_problem(run.task)


def _clear() -> None:
    run = st.session_state.pop(state.BATCH, None)
    if run:
        run.task.stop()
