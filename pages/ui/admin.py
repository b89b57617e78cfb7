"""Who the teacher is: whoever has given the admin word of this server in this visit. Without a word set, nobody is."""

from __future__ import annotations

import os

import streamlit as st

from pages.ui import frame, state
from ser_core.serving import admin

HOW = (
    f"No admin word is set, so nobody can stop what others have started. To be able to: start the app with the environment variable "
    f'`{admin.VARIABLE}` set, or write `{admin.VARIABLE} = "…"` into `.streamlit/secrets.toml`.'
)
_FIELD = "teacher.word"


def word() -> str:
    """Return the admin word, "" where none is set that counts."""
    return admin.word(os.environ)


def is_here() -> bool:
    """Return whether this visit gave the admin word, and it is still the one."""
    return admin.is_right(st.session_state.get(state.ADMIN_WORD, ""), word())


def show_admin_word() -> None:
    """Draw the field for the admin word, or how to set one."""
    if not word():
        problem = admin.problem(os.environ)
        if problem:
            st.warning(frame.plain(problem), icon=":material/warning:")
        st.markdown(HOW)
    elif is_here():
        st.markdown(":material/school: You are the teacher in this visit: you may stop every run and empty the queue.")
        st.button("Leave", key="teacher.leave", icon=":material/logout:", on_click=_leave)
    else:
        st.text_input("Admin word", type="password", key=_FIELD, max_chars=200, on_change=_try)
        refusal = st.session_state.get(state.ADMIN_REFUSAL)
        if refusal:
            st.error(refusal, icon=":material/block:")


def _try() -> None:
    """Try the word that was given, once: a page that is drawn again must not count as another try."""
    given = st.session_state.get(_FIELD) or ""
    st.session_state[_FIELD] = ""
    if given:
        refusal = admin.limiter(st.context.ip_address).attempt(given, word())
        st.session_state[state.ADMIN_REFUSAL] = refusal
        st.session_state[state.ADMIN_WORD] = "" if refusal else given


def _leave() -> None:
    st.session_state[state.ADMIN_WORD] = ""
