"""What the models made of a batch: the table while it fills and afterwards, one recording to hear, scores, and files to take home."""

from __future__ import annotations

import functools
import io
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import streamlit as st

from pages.ui import cell_clips, clip_input, clip_view, frame, glossary, prediction_cards, recognition
from pages.ui.batch.run import Run
from pages.ui.charts import models
from pages.ui.downloads import PARQUET, Offer, cells
from ser_core.corpora import catalogue, uploads
from ser_core.errors import SerError
from ser_core.experiments.answers import Answers
from ser_core.metrics import abstention
from ser_core.metrics.evaluation import Evaluation
from ser_core.recognition import batch
from ser_core.system import untrusted_csv, untrusted_text

ALL, AGREE, DIFFER, SILENT, FAILED, WRONG = (
    "All",
    "Models agree",
    "Models differ",
    "No speech",
    "Problems",
    "All models wrong",
)

FILE, TRUTH, AGREED, VOTES, LENGTH, SPEECH, PROBLEM = (
    "File",
    "Acted as",
    "Majority",
    "Votes",
    "Length",
    "Quality",
    "Problem",
)
UNSURE = f"{abstention.NOT_SURE}: "
"""Before the leading guess of a model that is not sure of it: it has no vote."""
HEIGHT = 420

CAVEAT = """
Scored against your labels; clips without speech do not count. A figure from few clips depends much on each of them; the interval is
over clips, and clips of one speaker are alike.
"""


def table(run: Run) -> pd.DataFrame:
    """Return one row a result: file, true label where any is told, label and probability (%) of each model, and what went wrong."""
    rows = []
    for result, truth in zip(run.results, run.truths, strict=False):
        answers = {each["model"]: each for each in batch.predictions(result)}
        label, votes = batch.majority(batch.voices(result.get("predictions", [])))
        row = {
            FILE: result["file"],
            TRUTH: truth or "",
            AGREED: label if answers else "",
            VOTES: votes if answers else None,
        }
        for slug, title in run.columns.items():
            answer = answers.get(slug)
            row[title] = f"{UNSURE if answer['sure'] is False else ''}{answer['label']}" if answer else ""
            row[f"{title} %"] = 100 * answer["probabilities"][answer["label"]] if answer else None
        quality = result.get("quality")
        row |= {
            LENGTH: result.get("duration_s"),
            SPEECH: quality["summary"] if quality else "",
            PROBLEM: result.get("error", ""),
        }
        rows.append(row)
    columns = [
        FILE,
        TRUTH,
        AGREED,
        VOTES,
        *(name for title in run.columns.values() for name in (title, f"{title} %")),
        LENGTH,
        SPEECH,
        PROBLEM,
    ]
    found = pd.DataFrame(rows, columns=columns)
    empty = [TRUTH] * (not any(run.truths)) + [PROBLEM] * (not found[PROBLEM].any())
    return found.drop(columns=empty)


def select(found: pd.DataFrame, titles: Sequence[str], *, which: str = ALL, labels: Sequence[str] = ()) -> pd.DataFrame:
    """Return the rows of a kind (ALL, AGREE …) in which most models say one of some labels; no labels means any.

    Where nobody is right, neither is the leading guess of a model that is not sure.
    """
    answered = found[VOTES].notna()
    problem = found[PROBLEM] != "" if PROBLEM in found else pd.Series(False, found.index)
    agree = found[VOTES] == len(titles)
    kinds = {
        ALL: answered | True,
        AGREE: answered & agree,
        DIFFER: answered & ~agree,
        SILENT: ~answered & ~problem,
        FAILED: problem,
    }
    if TRUTH in found:
        right = pd.concat([found[title].str.removeprefix(UNSURE) == found[TRUTH] for title in titles], axis=1).any(
            axis=1
        )
        kinds[WRONG] = answered & (found[TRUTH] != "") & ~right
    rows = kinds[which]
    return found[rows & found[AGREED].isin(labels)] if labels else found[rows]


def _columns(run: Run) -> dict[str, object]:
    """Return how the columns look."""
    percent = {
        f"{title} %": st.column_config.NumberColumn(
            "%", format="%.0f", width=52, help=f"Probability that {title} gives its label"
        )
        for title in run.columns.values()
    }
    return percent | {
        FILE: st.column_config.TextColumn(width="medium", pinned=True),
        VOTES: st.column_config.NumberColumn(
            format=f"%d of {len(run.titles)}", width=64, help="How many models agree with the majority"
        ),
        LENGTH: st.column_config.NumberColumn(format="%.1f s", width=72),
        PROBLEM: st.column_config.TextColumn(width="large"),
    }


@st.fragment(run_every=0.5)
def fill(run: Run) -> None:
    """Draw progress, a button that stops, and the table so far; redraws the whole page when all is done."""
    if not run.task.running:
        st.rerun()
    fraction, text = run.task.progress
    st.progress(fraction, text=frame.plain("Stopping …" if run.task.stopping else text))
    st.button("Stop", key="batch.stop", icon=":material/stop:", disabled=run.task.stopping, on_click=run.task.stop)
    if run.results:
        st.dataframe(
            cells(table(run)), hide_index=True, height=HEIGHT, column_config=_columns(run), key="batch.filling"
        )


@st.fragment
def show_table(run: Run) -> None:
    """Draw the filters, the table, and the recording that is ticked in it."""
    found = table(run)
    titles = list(run.titles.values())
    kinds = [ALL, AGREE, DIFFER, SILENT, *([FAILED] if PROBLEM in found else []), *([WRONG] if TRUTH in found else [])]
    with st.container(key="batch_filters", horizontal=True, vertical_alignment="bottom"):
        which = st.segmented_control("Show", kinds, default=ALL, required=True, key="batch.which")
        said = [label for label in catalogue.ALL_LABELS if label in set(found[AGREED])]
        labels = st.multiselect("Majority", said, placeholder="Any emotion", key="batch.labels", width=260)
    shown = select(found, titles, which=which, labels=labels)
    st.markdown(f"{len(shown):,} of {len(found):,}. Tick one to hear it; click a heading to sort.")
    # A key of the filters: a tick must not move to another row when the rows change.
    event = st.dataframe(
        cells(shown),
        hide_index=True,
        height=HEIGHT,
        column_config=_columns(run),
        on_select="rerun",
        selection_mode="single-row",
        key=" ".join(["batch.table", which, *labels]),
    )
    rows = event["selection"]["rows"]
    if rows and rows[0] < len(shown):
        _play(run.uploads.recordings[int(shown.index[rows[0]])])


def _clip(recording: uploads.Recording) -> clip_input.ClipInput:
    return clip_input.new_clip(recording.name, recording.read(), clip_input.UPLOAD, label=recording.label)


def _play(recording: uploads.Recording) -> None:
    try:
        clip = _clip(recording)
        analysis = recognition.analyse(clip)
    except SerError as error:
        st.error(frame.plain(str(error)), icon=":material/error:")
        return
    with st.container(border=True, key="batch_clip"):
        clip_view.show_clip(clip, analysis, title="Recording", key="batch.player")
        if st.button("Open in Recognize", key="batch.open", type="primary", icon=":material/graphic_eq:"):
            clip_input.take(clip)
            st.switch_page("app.py")


def scores(run: Run) -> None:
    """Draw how often each model is right, where true labels are told."""
    figures = batch.scores(run.results, run.truths, run.labels, rng=np.random.default_rng(0))
    if not figures:
        return
    st.header("How often they are right", anchor=False)
    st.table(
        pd.DataFrame(
            [
                {
                    "Model": frame.plain(run.columns[slug]),
                    "Accuracy": prediction_cards.percent(each.accuracy),
                    "95 %": f"{100 * each.interval['accuracy'][0]:.0f} to {prediction_cards.percent(each.interval['accuracy'][1])}",
                    "UAR": prediction_cards.percent(each.uar),
                    "Guessing": f"{100 * each.chance:.3g} %",
                    "Clips": f"{each.n_clips:,}",
                }
                for slug, each in figures.items()
            ]
        ).set_index("Model")
    )
    _confusion(run, figures)
    known = sorted({each.corpus for each in run.uploads.recordings if each.corpus} & run.trained_on)
    if known:
        titles = " and ".join(catalogue.CORPORA[name].title for name in known)
        st.warning(
            f"These are named like clips of {titles}, and the models have learned from that very corpus: what they get right here "
            "proves little. Their cards on Recognize have figures on speakers that they had never heard.",
            icon=":material/warning:",
        )
    st.markdown(CAVEAT)


@st.fragment
def _confusion(run: Run, figures: Mapping[str, Evaluation]) -> None:
    """Draw the confusion matrix of one model, and the recordings behind its cells."""
    slug = next(iter(figures))
    if len(figures) > 1:
        slug = st.segmented_control(
            "Model",
            list(figures),
            default=slug,
            required=True,
            format_func=lambda slug: frame.plain(run.columns[slug]),
            key="batch.confusion.model",
        )
    figure = figures[slug]
    names = models.labels_of({slug: figure})
    st.markdown(f"{glossary.link('confusion')}: acted in rows, answered in columns; counts.")
    matrix = cell_clips.Matrix(
        models.confusion(figure, names, as_shares=False),
        names,
        models.describe_confusion(run.columns[slug], figure),
        functools.partial(_behind, run, slug),
    )
    with st.container(key="batch_confusion", width=720):
        cell_clips.show_matrices(
            {run.columns[slug]: matrix}, key=f"batch.confusion.{slug}", config=models.CONFIG, titled=False
        )


def _behind(run: Run, slug: str) -> cell_clips.Behind:
    """Return what a model answered to the recordings whose label is told, and known to it."""
    labels = run.labels[slug]
    places, rows = answers_of(run, slug)
    clips = pd.DataFrame(
        {
            catalogue.NAME: [run.results[place]["file"] for place in places],
            catalogue.EMOTION: [run.truths[place] for place in places],
        }
    )
    found = Answers(clips, labels, rows.argmax(axis=1), rows)
    return cell_clips.Behind(found, lambda row: _clip(run.uploads.recordings[places[row]]))


def answers_of(run: Run, slug: str) -> tuple[list[int], np.ndarray]:
    """Return which recordings of a batch a model is scored on, and its probabilities, (n, n_labels), as batch.scores takes them."""
    labels = run.labels[slug]
    found = [
        (place, [said["probabilities"][label] for label in labels])
        for place, (result, truth) in enumerate(zip(run.results, run.truths, strict=True))
        for said in batch.predictions(result)
        if said["model"] == slug and truth in labels
    ]
    return [place for place, _ in found], np.array([row for _, row in found])


def offers(run: Run) -> list[Offer]:
    """Return what there is to download of a batch."""
    return [
        Offer("csv", "Table (CSV)", "batch.csv", "text/csv", lambda: untrusted_csv.encode(frame_of(run))),
        Offer("json", "Everything (JSON)", "batch.json", "application/json", lambda: as_json(run)),
        Offer("parquet", "Table (Parquet)", "batch.parquet", PARQUET, lambda: as_parquet(run)),
    ]


def downloads(run: Run) -> None:
    """Draw the buttons that save the table."""
    st.header("Download", anchor=False)
    with st.container(key="batch_downloads", horizontal=True):
        for offer in offers(run):
            st.download_button(
                offer.title,
                offer.build,
                offer.file_name,
                offer.mime,
                key=f"batch.download.{offer.key}",
                icon=":material/download:",
                on_click="ignore",
            )


def frame_of(run: Run) -> pd.DataFrame:
    """Return the rows that `python -m ser_core predict --csv` prints for these files, with the true labels where they are told."""
    rows = [row for result in run.results for row in batch.rows(result)]
    is_adapted = any(batch.ADAPTED in row for row in rows)
    found = pd.DataFrame(rows, columns=batch.columns(run.labels, adapted=is_adapted))
    kinds = {"speech": "boolean", "votes": "Int64"} | ({batch.ADAPTED: "Int64"} if is_adapted else {})
    found = found.astype(kinds | {f"{slug}_sure": "boolean" for slug in run.labels})
    if any(run.truths):
        found.insert(1, "label", [truth or "" for truth in run.truths])
    return found


def as_json(run: Run) -> str:
    """Return what `python -m ser_core predict --json` prints for these files, with the true labels where they are told."""
    results = [
        {**result, "label": truth} if truth else result for result, truth in zip(run.results, run.truths, strict=True)
    ]
    return untrusted_text.json_text(results)


def as_parquet(run: Run) -> bytes:
    """Return the rows of the CSV as Parquet."""
    buffer = io.BytesIO()
    frame_of(run).to_parquet(buffer, index=False)
    return buffer.getvalue()
