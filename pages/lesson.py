"""Lesson: the address and the QR code for the class, what the start of the server found, and the end of the lesson."""

from __future__ import annotations

import streamlit as st

from pages.ui import frame, lesson_view, teacher
from ser_core import lesson
from ser_core.errors import SerError

frame.page("Lesson", lead="For the screen in front of the class: how to open this app on a phone.")

folder = lesson.folder()
try:
    here = lesson.read(folder) if folder else None
    if folder is None or here is None:
        st.info(lesson_view.HOW, icon=":material/school:")
        st.stop()
    if lesson.end_asked(folder):
        lesson_view.ending()
        st.stop()
    lesson_view.told(here)
    lesson_view.codes(here)
    st.header("For the teacher", anchor=False)
    teacher.show()
    if teacher.is_here():
        lesson_view.checks(here)
        lesson_view.end(folder, here)
except SerError as error:
    st.error(frame.plain(str(error)), icon=":material/error:")
