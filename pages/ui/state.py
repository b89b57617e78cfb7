"""What a visitor's session holds: its keys as constants, and typed access to them.

Widgets forget their value when the page changes; what must outlive that is kept here under a key of our own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import streamlit as st

CLIP = "recognize.clip"
"""ClipInput | None: the clip last recorded, uploaded or picked."""

COMPARISON = "recognize.kept"
"""ClipInput | None: the clip put aside to compare with."""

SELECTIONS = "player.selections"
"""dict[str, (clip, player.Selection)]: by the key of a player, the part of its clip that was asked about."""

ROUND = "recognize.round"
"""int: part of the input widgets' keys; a new round gives empty widgets, which is the only way to empty them."""

CORPORA_TAB = "corpora.last_tab"
"""str: the tab of the Corpora page that was open last."""

LABELS = "corpora.labels"
"""dict: what becomes of labels where several corpora are used together, as it was chosen last: calm, boredom, shared."""

OWN_CORPUS = "corpora.own.name"
"""str: the user-recorded corpus that was open last."""

OWN_MADE = "corpora.own.made"
"""set of str: the user-recorded corpora that this visit created."""

OWN_SPEAKER = "corpora.own.who"
"""str: the speaker's name that was typed last."""

OWN_ANONYMOUS = "corpora.own.code"
"""str: what a visitor who gives no name is called, made up once a visit."""

OWN_ROUND = "corpora.own.round"
"""int: part of the recorder's and the uploader's keys on the tab Your own."""

OWN_NOTES = "corpora.own.notes"
"""list of (kind, sentence): what became of the clips added last; kind is "success", "warning" or "error"."""

PREVIEW_DRAW = "corpora.preview.draw"
"""int: the seed of what the augmentation preview leaves to chance."""

TRAIN_TAB = "train.last_tab"
"""str: the tab of the Train page that was open last."""

STOP_KEYS = "train.stop_keys"
"""dict[str, str]: run id -> its stop key, for the runs of this visit whose key still has to be shown."""

ADMIN_WORD = "teacher.given"
"""str: the admin word as this visit gave it."""

ADMIN_REFUSAL = "teacher.refusal"
"""str: why the word that was given last does not count, a sentence, or ""."""

BROWSER = "browser"
"""str: a secret that stands for this visit where the browser brings none."""

MODELS = "recognize.models"
"""list[str]: the models that Recognize asks, by their slugs, where somebody chose; without it, the shipped ones."""

TRIED = "recognize.tried"
"""str: the slug of the model that "Try" was clicked for last."""

BATCH = "batch.run"
"""run.Run | None: the recordings that the Batch page is about, and what is known of them."""

BATCH_ROUND = "batch.round"
"""int: as ROUND, for the Batch page's uploader."""

TIMELINE = "timeline.run"
"""timeline.Run | None: the long recording last looked at, moment by moment."""

BREAK_IT = "recognize.break_it.search"
"""break_it.Search: what was last looked for that makes an answer another, and what there is of it."""

LIVE = "live.visitor"
"""session.Visitor: who listens for this visitor, and what was heard last."""

WHY = "recognize.why.found"
"""dict: why models answered as they did about the last clips, by clip, model and label (recognize/why.py)."""

SHELF = "visit.shelf"
"""shelf.Shelf: the last clips of this visit and the answers to them."""

VOICE = "my_voice.mine"
"""voice.Mine: the takes of this visit's own voice, and the models as adapted to it."""

VOICE_ON = "my_voice.on"
"""bool: whether pages show answers as adapted to the voice, where there is one; a widget's key on each of them."""

VOICE_ROUND = "my_voice.round"
"""int: as ROUND, for the recorder and the uploaders of My voice."""

FORGOTTEN = "visit.forgotten"
"""str: why what was given was forgotten since the page was drawn last."""

TOO_FAST = "visit.too_fast"
"""str: why the clip given last was not taken, until the page has said so."""

COMPARE_TAB = "compare.last_tab"
"""str: the section of the Compare page that was open last."""

COMPARE_COLUMN = "compare.last_column"
"""(protocol, corpus): the column of held-out figures that was looked at last."""

COMPARE_SCORED = "compare.scored"
"""(slugs, corpora): what was last scored on a corpus here, to show it again."""

COMPARE_RETRAINED = "compare.retrained"
"""(recipes, corpus, protocol): what was last retrained on a corpus here."""

COMPARE_ROBUST = "compare.robust"
"""(slugs, corpora, conditions, clips): what was last heard under conditions."""

COMPARE_CROSS = "compare.cross"
"""(corpora, recipe): what was last measured across corpora."""


COMPARE_REFUSAL = "compare.refusal"
"""str: why the measurement that was to be started was not, until the page has said so."""


def remember(key: str, widget_key: str) -> None:
    """Callback: keep under a key of our own what a widget holds, for when its page is opened again."""
    st.session_state[key] = st.session_state[widget_key]


def note_made(name: str) -> None:
    """Note that this visit created a user-recorded corpus, and is about it now."""
    st.session_state[OWN_CORPUS] = name
    st.session_state[OWN_MADE] = {*st.session_state.get(OWN_MADE, ()), name}


def model_choice(shipped: Iterable[str], there: Iterable[str]) -> list[str]:
    """Return the slugs of the models that Recognize asks: those chosen, else the shipped ones; of either, those that are there."""
    known = list(there)
    chosen = [slug for slug in st.session_state.get(MODELS, ()) if slug in known]
    return chosen or [slug for slug in shipped if slug in known] or known


def pick(slug: str, shipped: Iterable[str]) -> None:
    """Have Recognize ask this model too, and say so."""
    st.session_state[TRIED] = slug
    st.session_state[MODELS] = list(dict.fromkeys([*st.session_state.get(MODELS, shipped), slug]))


GIVEN = (CLIP, COMPARISON, SHELF, WHY, VOICE, TIMELINE, BREAK_IT, BATCH, OWN_SPEAKER, OWN_NOTES)
"""What a visitor gave, and what was made of it; of a live session only what was heard."""


def kept_bytes(held: Any) -> int:
    """Return how many bytes of clips and parts of them, of the shelf, of takes and of a batch's files a session's state keeps in memory."""
    clips = [held[key] for key in (CLIP, COMPARISON) if key in held]
    others = [held[key] for key in (SHELF, VOICE, BATCH) if key in held]
    parts = [part for each in (held[WHY] if WHY in held else {}).values() for part in each.parts or ()]
    return (
        sum(len(clip.data) for clip in clips if clip is not None and isinstance(clip.data, bytes))
        + sum(each.held_bytes for each in others if each is not None)
        + sum(map(len, parts))
    )


def release_inputs(held: Any) -> None:
    """Take what a visitor gave out of a session's state, and stop what works on it."""
    for key in (*GIVEN, SELECTIONS):
        value = held[key] if key in held else None
        if key in held:
            del held[key]
        if hasattr(value, "task"):
            value.task.stop()
    live = held[LIVE] if LIVE in held else None
    if live:
        live.end()
        live.listener = live.drawn = None
        live.predict_window = live.light_window = None  # they hold a voice, perhaps; the Live page sets new ones
