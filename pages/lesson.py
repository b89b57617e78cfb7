"""Lesson: the address and the QR code for the class, what the start of the server found, and the end of the lesson."""

from __future__ import annotations

import streamlit as st

from pages.ui import admin, frame
from pages.ui.lesson import view
from ser_core.errors import SerError
from ser_core.serving import lesson

frame.page("Lesson", lead="For the screen in front of the class: how to open this app on a phone.")

folder = lesson.folder()
try:
    here = lesson.read(folder) if folder else None
    if folder is None or here is None:
        st.info(view.HOW, icon=":material/school:")
        st.stop()
    if lesson.end_asked(folder):
        view.ending()
        st.stop()
    view.show_removed(here)
    view.codes(here)
    st.header("For the teacher", anchor=False)
    admin.show_admin_word()
    if admin.is_here():
        view.checks(here)
        view.end(folder, here)
except SerError as error:
    st.error(frame.plain(str(error)), icon=":material/error:")
