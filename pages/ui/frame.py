"""What every page begins with: its title in the browser's tab, the menu, the caution, and problems with models."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.ui import cached, state, visits
from ser_core.serving import lesson
from ser_core.system import untrusted_text

ROOT = Path(__file__).resolve().parents[2]

ICON = Path(__file__).with_name("icon.svg")
"""A file of our own: Streamlit fetches named icons for the browser's tab from the network."""

MENU = (
    ("app.py", "Recognize", ":material/graphic_eq:"),
    ("pages/live.py", "Live", ":material/mic:"),
    ("pages/my_voice.py", "My voice", ":material/record_voice_over:"),
    ("pages/batch.py", "Batch", ":material/table_rows:"),
    ("pages/corpora.py", "Corpora", ":material/library_music:"),
    ("pages/train.py", "Train", ":material/model_training:"),
    ("pages/compare.py", "Compare", ":material/leaderboard:"),
    ("pages/guide.py", "Guide", ":material/menu_book:"),
    ("pages/lesson.py", "Lesson", ":material/school:"),
)
"""Page, title, icon, in the order of the menu; a page that does not exist is not shown, nor is that of a lesson where there is none."""

CAUTION = "Trained on acted speech; it hears acting, not feelings. Do not assess people with it."

STYLE = f"<style>\n{Path(__file__).with_name('style.css').read_text(encoding='utf-8')}</style>"
"""The style sheet of all pages."""


def page(title: str, *, lead: str = "", problems: Sequence[str] = (), wrong: str = "") -> None:
    """Draw the top of a page: the first call of every page.

    Parameters
    ----------
    title, lead
        The heading, and one sentence below it.
    problems
        Sentences about models that cannot be used (store.list_models), shown as notices.
    wrong
        How often the models are wrong, a sentence for the pages that show what they say (prediction_cards.error_rate_sentence).
    """
    st.set_page_config(
        page_title=f"{title} · Speech emotion", page_icon=str(ICON), layout="wide", initial_sidebar_state="collapsed"
    )
    visits.here()
    st.html(STYLE)
    with st.container(key="menu", horizontal=True, gap="small"):
        for path, name, icon in MENU:
            if (ROOT / path).exists() and (name != "Lesson" or lesson.folder()):
                st.page_link(path, label=name, icon=icon)
    st.title(title, anchor=False)
    if lead:
        st.markdown(lead)
    with st.container(key="caution", horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f":material/info: {CAUTION} {wrong}", width="content")
        if title != "Guide":
            st.page_link(
                "pages/guide.py", label="What this means", icon=":material/arrow_forward:", icon_position="right"
            )
        if visits.holds():
            st.button(
                "Forget my recordings",
                key="forget",
                type="tertiary",
                icon=":material/delete_sweep:",
                on_click=_forget,
                help=(
                    "Deletes from this server what you recorded or uploaded in this visit, and its results. "
                    "Clips that you added to a corpus of your own stay."
                ),
            )
    if forgotten := st.session_state.pop(state.FORGOTTEN, ""):
        st.info(forgotten, icon=":material/delete_sweep:")
    for problem in problems:
        st.warning(plain(problem), icon=":material/warning:")


def _forget() -> None:
    visits.forget()
    st.toast("Forgotten. Nothing that you recorded or uploaded is kept.", icon=":material/delete_sweep:")


def tabs(titles: Sequence[str], *, key: str, state_key: str) -> Sequence[DeltaGenerator]:
    """Return tabs that open where they were left, also after a visit to another page; `state_key` is their key in state.py.

    The default stays what it was when the page was opened: it is part of what Streamlit knows the tabs by, so one that
    followed the clicks would make new tabs under a quick second click.
    """
    opened = f"{state_key}.opened"
    if key not in st.session_state:
        st.session_state[opened] = st.session_state.get(state_key)
    return st.tabs(
        titles, key=key, default=st.session_state.get(opened), on_change=state.remember, args=(state_key, key)
    )


def plain(text: str) -> str:
    """Return text as one line that Markdown shows as it is, without this machine's folders: names and errors carry what a visitor typed."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", untrusted_text.sentence(text))


def show_outcome(kind: str, sentence: str) -> None:
    """Draw what became of a click: kind is "success" or "error"."""
    draw, icon = (st.success, "check_circle") if kind == "success" else (st.error, "error")
    draw(plain(sentence), icon=f":material/{icon}:")


def corpus(name: str) -> str:
    """Return a corpus's title for pills and other labels that take Markdown: somebody typed it."""
    return plain(cached.corpus_title(name))
