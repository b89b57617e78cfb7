"""What is wrong with a corpus, and what that does to a score: the doctor's report on the page."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pandas as pd
import streamlit as st

from pages.ui import background, cached, frame
from ser_core import doctor

HOW = "Every clip is read once and nothing is changed; a thousand clips take some ten seconds. The app stays usable meanwhile."

_ONE_AT_A_TIME = threading.Lock()
"""Two checks at once would take twice as long each, and leave the pages less to run on."""


def show(found: dict[str, Path]) -> None:
    """Draw the choice of a corpus, the button that checks it, and what was found."""
    name = st.selectbox("Corpus", list(found), format_func=cached.corpus_title, key="corpora.check.corpus", width=360)
    folder = found[name]
    task = background.task("check", f"{folder} {cached.fingerprint(folder)}")
    st.markdown(HOW)
    if task.running:
        background.watch(task, key=f"corpora.check.{name}")
        return
    title = cached.corpus_title(name)
    st.button(f"Check {title} again" if task.result else f"Check {title}", key=f"corpora.check.start.{name}",
              icon=":material/troubleshoot:", type="secondary" if task.result else "primary", on_click=_start, args=(task, name, folder))
    background.show_problem(task)
    if task.result:
        report(name, task.result)


def _start(task: background.Task, name: str, folder: Path) -> None:
    task.start(lambda task: _check(task, name, folder))


def _check(task: background.Task, name: str, folder: Path) -> doctor.Report:
    while not _ONE_AT_A_TIME.acquire(timeout=0.5):
        task.tell(0, "Waiting until another check has ended …")
        task.check_stop()
    try:
        return doctor.check(name, folder, n_jobs=1, on_progress=lambda done, total: _tell(task, done, total))
    finally:
        _ONE_AT_A_TIME.release()


def _tell(task: background.Task, done: int, total: int) -> None:
    task.check_stop()
    task.tell(done / total, f"Reading the clips: {done:,} of {total:,}")


def report(name: str, found: doctor.Report) -> None:
    """Draw a report: what there is, and each finding with its effect and its files."""
    n = len(found.findings)
    st.header(f"{n} finding{'s' * (n != 1)}" if n else "Nothing is wrong", anchor=False)
    st.markdown(f"{found.n_clips:,} clips by {found.n_speakers} speakers of {cached.corpus_title(name)}, "
                f"as they are here: {frame.plain(', '.join(f'{label} {n:,}' for label, n in found.labels.items()))}.")
    for finding in found.findings:
        with st.container(border=True, key=f"corpora_finding_{finding.kind}"):
            st.markdown(f"**{frame.plain(heading(finding))}**")
            st.markdown(frame.plain(finding.message))
            st.markdown(f":material/insights: **What it does to a score.** {frame.plain(finding.effect)}")
            if finding.files:
                with st.expander(f"{len(finding.files):,} file{'s' * (len(finding.files) != 1)}", key=f"corpora.files.{finding.kind}"):
                    st.dataframe(pd.DataFrame({"File": finding.files}), hide_index=True, key=f"corpora.files.table.{finding.kind}")
    st.download_button("Report (JSON)", lambda: as_json(found), f"{name}-check.json", "application/json", key="corpora.check.json",
                       icon=":material/download:", on_click="ignore")


def heading(finding: doctor.Finding) -> str:
    """Return the kind of a finding as words, and how often: "Near identical · 4"."""
    words = "Git LFS pointer" if finding.kind == "git_lfs_pointer" else finding.kind.replace("_", " ").capitalize()
    return f"{words} · {finding.n:,}"


def as_json(found: doctor.Report) -> str:
    """Return what `python -m ser_core corpora check --json` prints."""
    return json.dumps(found.to_dict(), indent=1, ensure_ascii=False)
