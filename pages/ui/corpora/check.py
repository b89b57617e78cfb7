"""What is wrong with a corpus, and what that does to a score: the doctor's report on the page, and what is left out because of it."""

from __future__ import annotations

import threading
from pathlib import Path

import pandas as pd
import streamlit as st

from pages.ui import cached, downloads, frame
from pages.ui import task as ui_task
from pages.ui.task import Task, show_problem, watch
from ser_core.corpora import doctor, library
from ser_core.errors import SerError
from ser_core.system import untrusted_text

HOW = "Every clip is read once and nothing is changed; a thousand clips take about ten seconds. The app stays usable meanwhile."

_ONE_AT_A_TIME = threading.Lock()
"""Two checks at once would take twice as long each, and leave the pages less to run on."""


def show_check(corpora: dict[str, Path]) -> None:
    """Draw the choice of a corpus, the button that checks it, and what was found."""
    name = st.selectbox("Corpus", list(corpora), format_func=cached.corpus_title, key="corpora.check.corpus", width=360)
    folder = corpora[name]
    task = ui_task.task("check", f"{folder} {cached.fingerprint(folder)}")
    st.markdown(HOW)
    _show_exclusions(name, folder)
    if task.running:
        watch(task, key=f"corpora.check.{name}")
        return
    title = frame.corpus(name)
    st.button(
        f"Check {title} again" if task.result else f"Check {title}",
        key=f"corpora.check.start.{name}",
        icon=":material/troubleshoot:",
        type="secondary" if task.result else "primary",
        on_click=_start,
        args=(task, name, folder),
    )
    show_problem(task)
    if task.result:
        report(name, folder, task.result)


def _start(task: Task, name: str, folder: Path) -> None:
    task.start(lambda task: _check(task, name, folder))


def _check(task: Task, name: str, folder: Path) -> doctor.Report:
    with task.turn(_ONE_AT_A_TIME, "another check has ended"):
        return doctor.check(name, folder, n_jobs=1, on_progress=lambda done, total: _tell(task, done, total))


def _tell(task: Task, done: int, total: int) -> None:
    task.check_stop()
    task.tell(done / total, f"Reading the clips: {done:,} of {total:,}")


def _show_exclusions(name: str, folder: Path) -> None:
    """Draw how many clips of a corpus are left out and why, and the button that uses all of them again."""
    reasons = cached.exclusions(name, folder)
    n = len({file for files in reasons.values() for file in files})
    if not n:
        return
    with st.container(border=True, key="corpora_left_out", horizontal=True, vertical_alignment="center"):
        why = ", ".join(f"{words(reason)} {len(files):,}" for reason, files in reasons.items() if files)
        st.markdown(
            f":material/do_not_disturb_on: **{_clips(n)} of {frame.plain(cached.corpus_title(name))} {_are(n)} excluded** "
            f"({frame.plain(why)}), for everyone on this server: neither training nor the other tabs use them.",
            width="stretch",
        )
        if st.button("Use all again", key=f"corpora.check.all.{name}", icon=":material/undo:"):
            _remember(name, folder, dict.fromkeys(reasons, ()))


def _choice(name: str, folder: Path, finding: doctor.Finding) -> None:
    """Draw whether the clips of a finding are left out, and the button that changes it."""
    files = cached.exclusions(name, folder).get(finding.kind, ())
    more = [file for file in finding.removable if file not in files]
    if not finding.removable:
        if finding.files:
            st.markdown(":material/block: Nothing reads these files, so there is nothing to exclude.")
        return
    with st.container(key=f"corpora_choice_{finding.kind}", horizontal=True, vertical_alignment="center"):
        if files:
            st.markdown(
                f":material/do_not_disturb_on: **{_clips(len(files))} {_are(len(files))} excluded**",
                width="content",
            )
            if st.button("Use again", key=f"corpora.check.use.{finding.kind}", icon=":material/undo:"):
                _remember(name, folder, {finding.kind: ()})
        if more:
            if st.button(
                exclusion(finding, len(more)),
                key=f"corpora.check.leave.{finding.kind}",
                icon=":material/do_not_disturb_on:",
            ):
                _remember(name, folder, {finding.kind: finding.removable})


def exclusion(finding: doctor.Finding, n: int) -> str:
    """Return what the button that excludes n clips of a finding says, such as 'Exclude one duplicate'."""
    noun = "duplicate" if len(finding.removable) < len(finding.files) else "clip"
    return f"Exclude {'one' if n == 1 else f'{n:,}'} {noun}{'s' * (n != 1)}"


def _remember(name: str, folder: Path, reasons: dict[str, tuple[str, ...]]) -> None:
    try:
        for reason, files in reasons.items():
            library.leave_out(folder.parent, name, files, reason=reason)
    except SerError as error:
        st.error(frame.plain(str(error)), icon=":material/error:")
        return
    st.rerun()


def _clips(n: int) -> str:
    return f"{n:,} clip{'s' * (n != 1)}"


def _are(n: int) -> str:
    return "is" if n == 1 else "are"


def report(name: str, folder: Path, result: doctor.Report) -> None:
    """Draw a report: what there is, and each finding with its effect, its files and the choice to leave them out."""
    n = len(result.findings)
    st.header(f"{n} finding{'s' * (n != 1)}" if n else "No problems found", anchor=False)
    who = f"{result.n_speakers} speaker{'s' * (result.n_speakers != 1)}" if result.n_speakers else "unknown speakers"
    labels = ", ".join(f"{label} {n:,}" for label, n in result.labels.items())
    st.markdown(
        f"{_clips(result.n_clips)} by {who} of {frame.plain(cached.corpus_title(name))}, as they are here: {frame.plain(labels)}."
    )
    for finding in result.findings:
        with st.container(border=True, key=f"corpora_finding_{finding.kind}"):
            st.markdown(f"**{frame.plain(heading(finding))}**")
            st.markdown(frame.plain(finding.message))
            st.markdown(f":material/insights: **What it does to a score.** {frame.plain(finding.effect)}")
            _choice(name, folder, finding)
            if finding.files:
                with st.expander(
                    f"{len(finding.files):,} file{'s' * (len(finding.files) != 1)}", key=f"corpora.files.{finding.kind}"
                ):
                    st.dataframe(
                        downloads.cells(pd.DataFrame({"File": finding.files})),
                        hide_index=True,
                        key=f"corpora.files.table.{finding.kind}",
                    )
    st.download_button(
        "Report (JSON)",
        lambda: as_json(result),
        f"{name}-check.json",
        "application/json",
        key="corpora.check.json",
        icon=":material/download:",
        on_click="ignore",
    )


def heading(finding: doctor.Finding) -> str:
    """Return the kind of a finding as words, and how often: "Near identical · 4"."""
    return f"{words(finding.kind)} · {finding.n:,}"


def words(kind: str) -> str:
    """Return the kind of a finding as words: "Near identical"."""
    return "Git LFS pointer" if kind == "git_lfs_pointer" else kind.replace("_", " ").capitalize()


def as_json(result: doctor.Report) -> str:
    """Return what `python -m ser_core corpora check --json` prints."""
    return untrusted_text.json_text(result.to_dict())
