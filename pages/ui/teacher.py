"""Who the teacher is: whoever has given the admin word of this server in this visit. Without a word set, nobody is."""

from __future__ import annotations

import hmac
import os

import streamlit as st

from pages.ui import state

VARIABLE = "SER_ADMIN_WORD"
HOW = (f"No admin word is set, so nobody can stop what others have started. To be able to: start the app with the environment variable "
       f"`{VARIABLE}` set, or write `{VARIABLE} = \"…\"` into `.streamlit/secrets.toml`.")


def word() -> str:
    """Return the admin word: the environment's, else that of secrets.toml, else ''."""
    told = os.environ.get(VARIABLE, "")
    if told:
        return told
    try:
        return str(st.secrets.get(VARIABLE, ""))
    except FileNotFoundError:  # there is no secrets.toml
        return ""


def is_right(given: str) -> bool:
    """Return whether this is the admin word; never where none is set."""
    expected = word()
    return bool(expected) and hmac.compare_digest(given.encode(), expected.encode())


def is_here() -> bool:
    """Return whether this visit gave the admin word, and it is still the one."""
    return is_right(st.session_state.get(state.ADMIN_WORD, ""))


def show() -> None:
    """Draw the field for the admin word, or how to set one."""
    if not word():
        st.markdown(HOW)
    elif is_here():
        st.markdown(":material/school: You are the teacher in this visit: you may stop every run and clear the line.")
        st.button("Leave", key="teacher.leave", icon=":material/logout:", on_click=_leave)
    else:
        given = st.text_input("Admin word", type="password", key="teacher.word", max_chars=200)
        if given and is_right(given):
            st.session_state[state.ADMIN_WORD] = given
            st.rerun()
        if given:
            st.error("That is not the admin word.", icon=":material/block:")


def _leave() -> None:
    st.session_state[state.ADMIN_WORD] = ""
