"""From a figure to the clips: confusion matrices whose cells are clicked, or chosen by name, and the clips behind them, to hear.

Whoever has a matrix says where its clips come from; they are looked for once a cell is chosen.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from pages.ui import cached, clip_input, clip_view, downloads, frame, inputs, recognition
from pages.ui.charts import cells as charts_cells
from pages.ui.charts import groups
from ser_core import paths
from ser_core.corpora import catalogue
from ser_core.errors import SerError
from ser_core.experiments import answers
from ser_core.experiments.answers import ANSWERED, MODEL, NEXT, NEXT_PROBABILITY, PROBABILITY, Answers
from ser_core.metrics.evaluation import Evaluation
from ser_core.recognition.card import ModelCard
from ser_core.system import untrusted_csv
from ser_core.training import held_out, run_folder

HOW = "**The clips behind a cell**: click it in the matrix, or choose it here."

NOT_STORED = (
    "The answers behind these figures are not stored here, so it cannot be said which clips these were. Score the model on a corpus "
    "(Compare, *Score on a corpus*), and click there."
)

STORED = "Held-out answers are stored in steps: where they leave two labels equal, the counts of the matrix decide which one was answered."

NOT_HERE = "The sound of {names} is not on this server: its clips are listed, but cannot be played."

HEIGHT = 320

COLUMNS = {
    catalogue.CORPUS: "Corpus",
    catalogue.NAME: "Clip",
    catalogue.SPEAKER: "Speaker",
    MODEL: "Model",
}

Listen = Callable[[int], clip_input.ClipInput | None]
"""Returns the clip in a row of some answers, None where its sound is not here; may raise OSError or a SerError."""


@dataclass(frozen=True)
class Behind:
    """The clips behind a matrix, and how they are read. note: what is to be said of them."""

    answers: Answers
    listen: Listen
    note: str = ""


@dataclass(frozen=True)
class Matrix:
    """A confusion matrix to click. names: of its rows and columns, in their order; alt: it in a sentence; behind: its clips, or None."""

    figure: go.Figure
    names: Sequence[str]
    alt: str
    behind: Callable[[], Behind | None]


def show_matrices(
    matrices: Mapping[str, Matrix], *, key: str, config: dict[str, Any], titled: bool = True, unit: str = "clip"
) -> None:
    """Draw matrices (title -> matrix), two beside each other where there are more, and the clips behind the cell that is chosen.

    key: where the widgets are; titled: whether their titles stand above them; unit: what a cell counts.
    """
    for start in range(0, len(matrices), 2):
        row = dict(list(matrices.items())[start : start + 2])
        places = st.columns(2, gap="medium") if len(matrices) > 1 else [st.container()]
        for place, (title, each) in zip(places, row.items(), strict=False):
            with place:
                if titled:
                    st.markdown(f"**{frame.plain(title)}**")
                _draw(title, each, _cell(key, matrices, title), key, config)
        # Beside the matrix that they belong to: below all of them, they would be out of sight of who clicks.
        if _title(key, matrices) in row:
            _show_choice(matrices, key, unit)


def _draw(title: str, matrix: Matrix, cell: tuple[str, str] | None, key: str, config: dict[str, Any]) -> None:
    names = list(matrix.names)
    widget = f"{key}.matrix.{title}"
    st.plotly_chart(
        charts_cells.clickable(matrix.figure, chosen=(names.index(cell[0]), names.index(cell[1])) if cell else None),
        key=widget,
        config=config,
        on_select=functools.partial(_click, widget, key, title, tuple(names)),
        selection_mode="points",
        alt=matrix.alt,
    )


def _show_choice(matrices: Mapping[str, Matrix], key: str, unit: str) -> None:
    """Draw the choice of a cell by name, for a keyboard, a screen reader or a phone, and the clips of the one that is chosen."""
    of_model, of_acted, of_answered = _keys(key)
    title = next(iter(matrices))
    st.markdown(HOW)
    with st.container(key=f"{key}.cell".replace(".", "_"), horizontal=True, vertical_alignment="bottom"):
        if len(matrices) > 1:
            title = st.selectbox("Model", list(matrices), key=of_model, width=260)
        for label, each in (("Acted", of_acted), ("Answered", of_answered)):
            st.selectbox(label, list(matrices[title].names), index=None, placeholder="Choose", key=each, width=160)
    cell = _cell(key, matrices, title)
    if cell:
        _show_cell(matrices[title].behind, *cell, key=f"{key}.{title}", unit=unit)


def _keys(key: str) -> tuple[str, str, str]:
    return f"{key}.cell.model", f"{key}.cell.acted", f"{key}.cell.answered"


def _title(key: str, matrices: Mapping[str, Matrix]) -> str:
    """Return the title of the matrix that a cell is chosen of."""
    model = st.session_state.get(_keys(key)[0])
    return model if model in matrices else next(iter(matrices))


def _cell(key: str, matrices: Mapping[str, Matrix], title: str) -> tuple[str, str] | None:
    """Return the row and the column that are chosen in a matrix, None where none is."""
    _, acted, answered = (st.session_state.get(each) for each in _keys(key))
    names = matrices[title].names
    return (acted, answered) if title == _title(key, matrices) and acted in names and answered in names else None


def _click(widget: str, key: str, title: str, names: tuple[str, ...]) -> None:
    """Callback of a matrix: the cell that was clicked is the one that is chosen."""
    points = st.session_state[widget]["selection"]["points"]
    if points:
        row, column = divmod(int(points[0]["point_index"]), len(names))
        values = (title, names[row], names[column])
        for each, value in zip(_keys(key), values, strict=True):
            st.session_state[each] = value


def _show_cell(find: Callable[[], Behind | None], acted: str, answered: str, *, key: str, unit: str) -> None:
    """Draw the clips of a cell: how many, the list, a way to take it home, and the one that is ticked."""
    found = find()
    if found is None:
        st.info(NOT_STORED, icon=":material/info:")
        return
    rows = found.answers.cell(acted, answered)
    n = len(rows)
    what = f"**Acted {frame.plain(acted)}, answered {frame.plain(answered)}: {n:,} {unit}{'s' * (n != 1)}.**"
    if not n:
        st.markdown(what)
        return
    table = found.answers.table(rows)
    st.markdown(f"{what} Tick one to hear it.")
    _say_missing(table)
    event = st.dataframe(
        downloads.cells(_readable(table)),
        hide_index=True,
        height=min(HEIGHT, 38 + 35 * n),
        column_config=dict.fromkeys(
            ("Probability", "Its probability"), st.column_config.NumberColumn(format="%.0f %%")
        ),
        on_select="rerun",
        selection_mode="single-row",
        key=f"{key}.clips {acted} {answered} {n}",
    )
    if found.note:
        st.markdown(f":small[{found.note}]")
    st.download_button(
        "These clips (CSV)",
        lambda: untrusted_csv.encode(table, float_format="%.6g"),
        f"{downloads.safe_stem(f'acted-{acted}-answered-{answered}')}.csv",
        "text/csv",
        key=f"{key}.cell.csv",
        icon=":material/download:",
        on_click="ignore",
    )
    ticked = event["selection"]["rows"]
    if ticked and ticked[0] < n:
        _hear(functools.partial(found.listen, int(rows[ticked[0]])), key)


def _readable(table: pd.DataFrame) -> pd.DataFrame:
    """Return the list of a cell as it is read: who and what, the probability of the answer, and the label that came next."""
    called = (catalogue.CORPUS, catalogue.SPEAKER)
    columns = {
        title: [groups.title(name, value) for value in table[name]] if name in called else table[name]
        for name, title in COLUMNS.items()
        if name in table
    }
    return pd.DataFrame(
        {
            **columns,
            "Answered": table[ANSWERED],
            "Probability": 100 * table[PROBABILITY],
            "Next": table[NEXT],
            "Its probability": 100 * table[NEXT_PROBABILITY],
        }
    )


def _say_missing(table: pd.DataFrame) -> None:
    """Draw of which corpora the sound is not here."""
    if catalogue.CORPUS in table:
        here = cached.corpus_folders(cached.corpora_root())
        missing = [name for name in dict.fromkeys(table[catalogue.CORPUS]) if name not in here]
        if missing:
            st.markdown(f":material/volume_off: {NOT_HERE.format(names=', '.join(map(frame.corpus, missing)))}")


def _hear(read: Callable[[], clip_input.ClipInput | None], key: str) -> None:
    try:
        clip = read()
        analysis = recognition.analyse(clip) if clip else None
    except OSError:
        st.error("This clip cannot be read any more. Check the corpus again.", icon=":material/error:")
        return
    except SerError as error:
        st.error(frame.plain(str(error)), icon=":material/error:")
        return
    if clip is None or analysis is None:
        st.info("The sound of this clip is not on this server.", icon=":material/volume_off:")
        return
    with st.container(border=True, key="cell_clip"):
        clip_view.show_clip(clip, analysis, title="Clip", key=f"{key}.cell.player", autoplay=True)
        if st.button("Open in Recognize", key=f"{key}.cell.open", icon=":material/graphic_eq:"):
            clip_input.take(clip)
            st.switch_page("app.py")


def of_corpora(found: Answers | None, *, note: str = "") -> Behind | None:
    """Return answers to clips of corpora, to hear where these are installed: a clip is known by its corpus and name."""
    return None if found is None else Behind(found, functools.partial(_from_corpus, found), note)


def of_card(card: ModelCard, figures: Evaluation) -> Behind | None:
    """Return the clips behind some figures of a model: from the run that made it, or those that come with the project."""
    run = card.training.get("run")
    found = _of_run(run, figures) if isinstance(run, str) else None
    return of_corpora(found, note=STORED) if found else of_project(card.slug, figures)


def of_project(slug: str, figures: Evaluation) -> Behind | None:
    """Return the clips behind figures that come with the project."""
    return of_corpora(answers.stored(cached.held_out_answers(held_out.RESULTS), slug, figures), note=STORED)


def _of_run(run: str, figures: Evaluation) -> Answers | None:
    folder = run_folder.named(paths.runs_folder(), run)
    if folder is None:
        return None
    return answers.stored(cached.held_out_answers(folder / run_folder.ANSWERS), run_folder.MODEL, figures)


def _from_corpus(found: Answers, row: int) -> clip_input.ClipInput | None:
    """Return a clip of an installed corpus: no other file is read, whatever the answers say of its path."""
    corpus, name = (str(found.clips.iloc[row][column]) for column in (catalogue.CORPUS, catalogue.NAME))
    folder = cached.corpus_folders(cached.corpora_root()).get(corpus)
    if folder is None:
        return None
    clips = cached.clips(corpus, folder)
    places = (clips[catalogue.NAME] == name).to_numpy().nonzero()[0]
    return inputs.read(cached.corpus_clip(clips, int(places[0]))) if len(places) else None
