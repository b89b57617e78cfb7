"""What there is to have: a card a corpus with its facts, whether it is here, what of it is left out, and ways to get it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import streamlit as st

from pages.ui import cached, frame
from pages.ui import task as ui_task
from pages.ui.task import Task, show_problem
from ser_core.corpora import catalogue, download, install, library, recorded, scan
from ser_core.corpora.catalogue import CorpusSpec
from ser_core.errors import SerError
from ser_core.system import units

WHERE = """
Already have a corpus? Put its folder into the corpora folder of the machine that runs the app (`corpora/`, or what `SER_CORPORA` names)
under the name on its card, such as `ravdess/`; it shows here within seconds. So does any other folder that has sub-folders named after
labels (`happy/`, `sad/` …), or a table `clips.csv` or `clips.parquet` with the columns path (or file), label (or emotion) and speaker.
"""

KINDS = {library.TABLE: "A table of clips", library.FOLDERS: "Folders named after labels"}
"""Kinds of corpora that have no row in CORPORA -> how their cards call them."""


RECORDED = "Recorded here; the tab Your own adds to it"

ZIP_CORPUS = "corpora.zip.corpus"
ZIP_TITLE = "corpora.zip.title"
ZIP_SPEAKERS = "corpora.zip.speakers"

OWN = ""
"""The choice among the corpora of a zip that is somebody's own."""

SPEAKERS = {"": "Unknown", scan.SPEAKER_FIRST: "The file names begin with the speaker: anna_01.wav"}
"""How folders named after labels tell who speaks: pattern of scan.read_folders -> words."""


@dataclass(frozen=True)
class Here:
    """What of a corpus is on this machine; 0 clips where there is nothing. labels: label -> clips in use. left_out: how many are not."""

    n_clips: int = 0
    n_speakers: int = 0
    has_folder: bool = False
    left_out: int = 0
    labels: dict[str, int] = field(default_factory=dict)
    problem: str = ""


def here(name: str, root: Path, corpora: dict[str, Path]) -> Here:
    """Return what of a corpus lies below the corpora folder."""
    if name not in corpora:
        return Here(has_folder=(root / name).is_dir())
    try:
        clips = cached.clips(name, corpora[name])
        left_out = {file for files in cached.exclusions(name, corpora[name]).values() for file in files}
    except SerError as error:
        return Here(has_folder=True, problem=str(error))
    counts = clips[catalogue.EMOTION].value_counts()
    return Here(
        len(clips),
        clips.loc[clips[catalogue.SPEAKER] != catalogue.UNKNOWN_SPEAKER, catalogue.SPEAKER].nunique(),
        has_folder=True,
        left_out=len(left_out),
        labels={label: int(counts[label]) for label in catalogue.ALL_LABELS if label in counts},
    )


def status(name: str, spec: CorpusSpec, there: Here) -> str:
    """Return a line of Markdown: whether a corpus is here, and how much of it."""
    if there.problem:
        return f":material/error: **Cannot be used**: {frame.plain(there.problem)}"
    if there.n_clips:
        whole = there.n_clips + there.left_out >= spec.n_clips and there.n_speakers >= len(spec.speakers)
        icon, word = (
            (":material/check_circle:", "Installed") if whole else (":material/incomplete_circle:", "Installed in part")
        )
        return (
            f"{icon} **{word}** in `{name}/`: {there.n_clips:,} of {spec.n_clips:,} clips, "
            f"{there.n_speakers} of {len(spec.speakers)} speakers{_exclusions(there)}"
        )
    if there.has_folder:
        return (
            f":material/help: **Not recognised**: the folder `{name}/` is there, but holds no clip named like `{spec.example}`. "
            f"It should be {frame.plain(spec.place)}."
        )
    return f":material/radio_button_unchecked: **Not installed**; its folder is `{name}/`"


def facts(spec: CorpusSpec) -> str:
    """Return what a whole corpus has, as Markdown: clips, speakers, labels, licence, citation."""
    sexes = Counter(spec.speakers.values())
    who = ", ".join(f"{sexes[sex]} {sex}" for sex in ("female", "male") if sexes[sex])
    labels = set(spec.labels.values())
    return "  \n".join(
        [
            f"{spec.n_clips:,} clips, {len(spec.speakers)} speakers ({who})",
            ", ".join(label for label in catalogue.ALL_LABELS if label in labels),
            *_about_scores(spec),
            f"Licence: {frame.plain(spec.licence or 'not stated in its publication; ask at the official page')}",
            f":small[{frame.plain(spec.citation)}]",
        ]
    )


def _about_scores(spec: CorpusSpec) -> list[str]:
    """Return what is to be known about scores on a corpus: how well people do, and whether its sentences give the emotion away."""
    human, tells = (
        spec.human_accuracy,
        "Most sentences are said with one emotion alone: hold speaker and sentence out, or scores are too high",
    )
    return [
        *([f"Most people who only heard the clips name the acted label in {human:.1%} of them"] if human else []),
        *([tells] if spec.sentences_tell else []),
    ]


def _exclusions(there: Here) -> str:
    n = there.left_out
    return (
        f"  \n:material/do_not_disturb_on: **{n:,} clip{'s are' if n != 1 else ' is'} excluded**; the Check tab tells why"
        if n
        else ""
    )


def own_status(name: str, there: Here) -> str:
    """Return a line of Markdown about a corpus without published facts: what of it is here."""
    if there.problem:
        return f":material/error: **Cannot be used**: {frame.plain(there.problem)}"
    who = f"{there.n_speakers} speaker{'s' * (there.n_speakers != 1)}" if there.n_speakers else "speakers unknown"
    return f":material/check_circle: **Here** in `{name}/`: {there.n_clips:,} clip{'s' * (there.n_clips != 1)}, {who}{_exclusions(there)}"


def show_catalogue(root: Path, corpora: dict[str, Path]) -> None:
    """Draw a card for each corpus, two side by side where they fit: the installed ones first, then what can be had."""
    names = [*corpora, *(name for name in catalogue.CORPORA if name not in corpora)]
    rows = cached.rows(root)
    for pair in zip(names[::2], [*names[1::2], None], strict=False):
        for place, name in zip(st.columns(2), pair, strict=True):
            if name:
                with place.container(border=True, height="stretch", key=f"corpora_card_{name}"):
                    if name in catalogue.CORPORA:
                        _card(name, catalogue.CORPORA[name], root, corpora)
                    elif name in rows:
                        _own_card(rows[name], root, corpora)
    st.markdown(WHERE)
    _adopt(root)
    _unpack(root, [*(name for name in catalogue.CORPORA if name not in corpora), OWN])


def _own_card(row: library.Installed, root: Path, corpora: dict[str, Path]) -> None:
    there = here(row.name, root, corpora)
    st.header(frame.plain(row.title), anchor=False)
    st.markdown(own_status(row.name, there))
    kind = RECORDED if row.name in recorded.listing(root) else KINDS[row.kind]
    st.markdown("  \n".join([kind, ", ".join(f"{label} {n:,}" for label, n in there.labels.items())]))


def _card(name: str, spec: CorpusSpec, root: Path, corpora: dict[str, Path]) -> None:
    there = here(name, root, corpora)
    st.header(f"{frame.plain(spec.title)} :small[{frame.plain(', '.join(spec.languages))}]", anchor=False)
    st.markdown(status(name, spec, there))
    st.markdown(facts(spec))
    task = ui_task.task("download", str(root / name))
    with st.container(key=f"corpora_actions_{name}", horizontal=True):
        st.link_button("Official page", spec.page, key=f"corpora.page.{name}", icon=":material/open_in_new:")
        if spec.download and not there.n_clips and not task.running:
            st.button(
                f"Download {units.size(sum(archive.size for archive in spec.download))}",
                key=f"corpora.download.{name}",
                icon=":material/download:",
                on_click=_fetch,
                args=(task, name, root),
            )
    if task.running:
        ui_task.watch(task, key=f"corpora.download.{name}")
    if spec.commands and not there.n_clips:
        with st.expander("How to download it", key=f"corpora.commands.{name}", icon=":material/terminal:"):
            st.markdown("In a shell on the machine that runs the app, in the corpora folder:")
            st.code("\n".join(spec.commands), language="shell", wrap_lines=True)
    _after(task)


def _fetch(task: Task, name: str, root: Path) -> None:
    def work(task: Task) -> Path:
        return download.download(name, root, on_progress=lambda at: _tell(task, at), should_stop=lambda: task.stopping)

    task.start(work)


def _tell(task: Task, at: download.Progress) -> None:
    task.tell(at.done / max(at.total, 1), at.text)


def _adopt(root: Path) -> None:
    """Draw the folders that hold a corpus under another name than its own, and buttons that rename them."""
    waiting = cached.unrecognised(root)
    if not waiting:
        return
    st.markdown("**Folders that hold a corpus under another name.** A click renames them; nothing is copied.")
    for number, each in enumerate(waiting):
        with st.container(key=f"corpora_adopt_{number}", horizontal=True, vertical_alignment="center"):
            st.markdown(f":material/folder: {frame.plain(each.folder.relative_to(root).as_posix())}", width="content")
            for name in each.known or ("",):
                words = f"This is {catalogue.CORPORA[name].title}" if name else f"Use it: {KINDS[each.kind].lower()}"
                if st.button(words, key=f"corpora.adopt.{number}.{name}"):
                    _rename(root, each, name)


def _rename(root: Path, folder: library.Found, name: str) -> None:
    try:
        library.rename_to_corpus(root, folder, name)
    except SerError as error:
        st.error(frame.plain(str(error)), icon=":material/error:")
        cached.look_again()
        return
    cached.look_again()
    st.rerun()


def _unpack(root: Path, names: list[str]) -> None:
    """Draw the uploader for a zip: of a known corpus as its source offers it, or of somebody's own recordings."""
    with st.expander("Install from a zip", key="corpora.zip", icon=":material/folder_zip:"):
        limit = st.get_option("server.maxUploadSize")
        name = st.selectbox(
            "What is in it",
            names,
            key=ZIP_CORPUS,
            format_func=lambda name: cached.corpus_title(name) if name else "Recordings of your own",
        )
        if name:
            st.markdown(f"The zip as its source offers it, up to {limit} MB; unpack a larger one into its folder.")
        else:
            st.markdown(
                f"Folders named after labels ({', '.join(catalogue.ALL_LABELS)}) with recordings in them, or a table `clips.csv` "
                f"with the columns path, label and speaker beside them; up to {limit} MB. Everyone who uses this server can "
                "see and hear what is installed."
            )
            st.text_input("Corpus name", max_chars=library.MAX_TITLE, key=ZIP_TITLE, placeholder="Class 9b")
            st.selectbox(
                "Speaker, where folders are named after labels",
                list(SPEAKERS),
                format_func=SPEAKERS.get,
                key=ZIP_SPEAKERS,
            )
        # Another key once a corpus is installed: its zip is let go of.
        file_key = f"corpora.zip.file.{len(cached.rows(root))}"
        file = st.file_uploader("Zip", type=["zip"], key=file_key)
        task = ui_task.task("unpack", str(root / (name or ".own")))
        if task.running:
            ui_task.watch(task, key=f"corpora.zip.{name or 'own'}")
        else:
            st.button(
                "Install",
                key="corpora.zip.install",
                icon=":material/unarchive:",
                disabled=file is None,
                on_click=_install,
                args=(file_key, root),
            )
        _after(task)


def _after(task: Task) -> None:
    """Draw why nothing was installed; if something was, maybe since this run of the page began, look again."""
    show_problem(task)
    if task.take():
        cached.look_again()
        st.rerun()


def _install(file_key: str, root: Path) -> None:
    # What is chosen now: the button may have been drawn before the choice was.
    name, file = st.session_state[ZIP_CORPUS], st.session_state[file_key]
    if file is None:
        return

    title, pattern = st.session_state.get(ZIP_TITLE, ""), st.session_state.get(ZIP_SPEAKERS, "")

    def work(task: Task) -> Path:
        watch = {"on_progress": lambda at: _tell(task, at), "should_stop": lambda: task.stopping}
        if name:
            return install.install_archive(name, file, root, **watch)
        return install.install_own(title, file, root, speaker_pattern=pattern, **watch)

    ui_task.task("unpack", str(root / (name or ".own"))).start(work)
