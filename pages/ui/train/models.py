"""The models of this machine: try, rename, describe, pass on, take in, delete. The shipped ones only to try and to pass on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

import streamlit as st

from pages.ui import admin, clip_input, frame, prediction_cards, state
from pages.ui.train import result, run
from ser_core import paths
from ser_core.errors import ModelError, SerError
from ser_core.recognition import bundle, report, store
from ser_core.recognition.card import MAX_DESCRIPTION, MAX_TITLE, ModelCard
from ser_core.serving import lesson
from ser_core.training import jobs


def show_models(root: Path, found: Sequence[ModelCard]) -> None:
    """Draw the models, those of this machine first."""
    own = [card for card in found if card.slug not in store.SHIPPED]
    made = {job.status.model: job for job in jobs.jobs(root) if job.status.model}
    if not own:
        st.info("No model has been trained here yet. Those that come with the app are below.", icon=":material/info:")
    for card in own:
        _card(card, changeable=may_change(made.get(card.slug)))
    _import()
    st.header("Shipped with the app", anchor=False)
    for card in found:
        if card.slug in store.SHIPPED:
            _card(card, changeable=False)


def may_change(job: jobs.Job | None) -> bool:
    """Return whether this visit may rename and delete a model, from the run that made it, if that is still here.

    On a machine without a teacher whoever reaches the page is at home.
    """
    return not admin.word() or admin.is_here() or (job is not None and run.may_stop(job))


def _card(card: ModelCard, *, changeable: bool) -> None:
    with st.container(border=True, key=f"train_model_{card.slug}"):
        st.markdown(f"**{frame.plain(card.title)}** :small[{frame.plain(prediction_cards.score(card))}]")
        if card.description:
            st.markdown(frame.plain(card.description))
        with st.container(key=f"train_model_actions_{card.slug}", horizontal=True):
            if st.button("Try", key=f"train.model.try.{card.slug}", icon=":material/mic:"):
                state.pick(card.slug, store.SHIPPED)
                st.switch_page("app.py")
            st.download_button(
                "Export",
                lambda: bundle.export_model(card.slug, paths.models_folder()),
                bundle.file_name(card),
                "application/zip",
                key=f"train.model.export.{card.slug}",
                icon=":material/download:",
                on_click="ignore",
            )
            st.download_button(
                "Result card",
                lambda: report.html(card),
                report.file_name(card),
                "text/html",
                key=f"train.model.page.{card.slug}",
                icon=":material/description:",
                on_click="ignore",
            )
            if changeable:
                _change(card)
        with st.expander("Figures and settings", key=f"train.model.more.{card.slug}", on_change="rerun") as more:
            if more.open:
                result.model(card)


def _change(card: ModelCard) -> None:
    with st.popover("Rename", key=f"train.model.edit.{card.slug}", icon=":material/edit:"):
        title = st.text_input("Name", card.title, max_chars=MAX_TITLE, key=f"train.model.title.{card.slug}")
        text = st.text_area(
            "Description", card.description, max_chars=MAX_DESCRIPTION, key=f"train.model.text.{card.slug}"
        )
        if st.button("Save", key=f"train.model.save.{card.slug}", type="primary"):
            _try(
                lambda: store.rename(card.slug, title=title or "", description=text or "", folder=paths.models_folder())
            )
    with st.popover("Delete", key=f"train.model.remove.{card.slug}", icon=":material/delete:"):
        st.markdown(f"Delete **{frame.plain(card.title)}**? This cannot be undone; an export can be imported again.")
        if st.button("Delete it", key=f"train.model.delete.{card.slug}", type="primary"):
            _try(lambda: store.delete(card.slug, paths.models_folder()))


def may_import() -> bool:
    """Return whether this visit may take in a model: in a class, the teacher's alone may."""
    return lesson.folder() is None or admin.is_here()


def _import() -> None:
    if not may_import():
        st.markdown(":material/school: In a class, the teacher imports models (tab **Runs**, **For the teacher**).")
        return
    with st.expander("Import a model", key="train.import", icon=":material/upload:"):
        file = st.file_uploader("Exported model", type=["zip"], key=f"train.import.file.{clip_input.round_number()}")
        if st.button("Import", key="train.import.go", disabled=file is None) and file is not None:
            _try(lambda: take_in(file))


def take_in(file: BinaryIO) -> None:
    """Import a model, where this visit may; raises ModelError."""
    if not may_import():  # the teacher left, or the word was changed, since the button was drawn
        raise ModelError("Only the teacher imports models here. Give the admin word again (tab Runs, For the teacher).")
    bundle.import_model(file, paths.models_folder())


def _try(change: Callable[[], object]) -> None:
    """Make a change, and redraw the page; where it cannot be made, say why."""
    try:
        change()
    except SerError as error:
        st.error(frame.plain(str(error)), icon=":material/error:")
        return
    st.rerun()
