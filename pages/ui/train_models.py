"""The models of this machine: try, rename, describe, pass on, take in, delete. The shipped ones only to try and to pass on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

import streamlit as st

from pages.ui import cards, frame, state, teacher, train_result, train_run
from ser_core import bundles, jobs, lesson, result_card, store
from ser_core.errors import ModelError, SerError


def show(root: Path, found: Sequence[store.ModelCard]) -> None:
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
    return not teacher.word() or teacher.is_here() or (job is not None and train_run.may_stop(job))


def _card(card: store.ModelCard, *, changeable: bool) -> None:
    with st.container(border=True, key=f"train_model_{card.slug}"):
        st.markdown(f"**{frame.plain(card.title)}** :small[{frame.plain(cards.score(card))}]")
        if card.description:
            st.markdown(frame.plain(card.description))
        with st.container(key=f"train_model_actions_{card.slug}", horizontal=True):
            if st.button("Try", key=f"train.model.try.{card.slug}", icon=":material/mic:"):
                state.pick(card.slug, store.SHIPPED)
                st.switch_page("app.py")
            st.download_button(
                "Export",
                lambda: bundles.export_model(card.slug, store.MODELS),
                bundles.file_name(card),
                "application/zip",
                key=f"train.model.export.{card.slug}",
                icon=":material/download:",
                on_click="ignore",
            )
            st.download_button(
                "Result card",
                lambda: result_card.html(card),
                result_card.file_name(card),
                "text/html",
                key=f"train.model.page.{card.slug}",
                icon=":material/description:",
                on_click="ignore",
            )
            if changeable:
                _change(card)
        with st.expander("Figures and settings", key=f"train.model.more.{card.slug}", on_change="rerun") as more:
            if more.open:
                train_result.model(card)


def _change(card: store.ModelCard) -> None:
    with st.popover("Rename", key=f"train.model.edit.{card.slug}", icon=":material/edit:"):
        title = st.text_input("Name", card.title, max_chars=store.MAX_TITLE, key=f"train.model.title.{card.slug}")
        text = st.text_area(
            "Description", card.description, max_chars=store.MAX_DESCRIPTION, key=f"train.model.text.{card.slug}"
        )
        if st.button("Save", key=f"train.model.save.{card.slug}", type="primary"):
            _try(lambda: store.rename(card.slug, title=title or "", description=text or "", folder=store.MODELS))
    with st.popover("Delete", key=f"train.model.remove.{card.slug}", icon=":material/delete:"):
        st.markdown(f"Delete **{frame.plain(card.title)}**? This cannot be undone; an export can be taken in again.")
        if st.button("Delete it", key=f"train.model.delete.{card.slug}", type="primary"):
            _try(lambda: store.delete(card.slug, store.MODELS))


def may_import() -> bool:
    """Return whether this visit may take in a model: in a class, the teacher's alone may."""
    return lesson.folder() is None or teacher.is_here()


def _import() -> None:
    if not may_import():
        st.markdown(
            ":material/school: In a class, the teacher takes in models that were exported (tab **Runs**, **For the teacher**)."
        )
        return
    with st.expander("Take in a model that was exported", key="train.import", icon=":material/upload:"):
        file = st.file_uploader("Exported model", type=["zip"], key=f"train.import.file.{state.round_number()}")
        if st.button("Take in", key="train.import.go", disabled=file is None) and file is not None:
            _try(lambda: take_in(file))


def take_in(file: BinaryIO) -> None:
    """Import a model, where this visit may; raises ModelError."""
    if not may_import():  # the teacher left, or the word was changed, since the button was drawn
        raise ModelError(
            "Only the teacher takes in models here. Give the admin word again (tab Runs, For the teacher)."
        )
    bundles.import_model(file, store.MODELS)


def _try(change: Callable[[], object]) -> None:
    """Make a change, and draw the page anew; where it cannot be made, say why."""
    try:
        change()
    except SerError as error:
        st.error(frame.plain(str(error)), icon=":material/error:")
        return
    st.rerun()
