"""What a visitor takes home: predictions, figure and features of a clip, and the clip itself. No Streamlit.

An offer builds its bytes when its button is clicked: a rerun of the page builds nothing.
"""

from __future__ import annotations

import io
import re
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, TypeVar

import pandas as pd
import plotly.io

from pages.ui.charts import clip
from ser_core.features import extraction
from ser_core.recognition import analysis, batch, recognizer
from ser_core.recognition.recognizer import Prediction
from ser_core.system import untrusted_csv, untrusted_text
from ser_core.system.spool import Spool

PARQUET = "application/vnd.apache.parquet"

T = TypeVar("T")


@dataclass(frozen=True)
class Offer:
    """One file to download: what its button says, its safe name, its type, and what makes it."""

    key: str
    title: str
    file_name: str
    mime: str
    build: Callable[[], str | bytes]


def offers(
    name: str,
    data: bytes | Spool,
    clip_analysis: analysis.Analysis,
    predictions: Callable[[], Sequence[Prediction]],
) -> list[Offer]:
    """Return what there is to download of a clip; `name` is its untrusted file name. predictions: they may be more by the click."""
    name, stem = untrusted_text.one_line(name), safe_stem(name)
    answers = [
        Offer(
            "json",
            "Predictions (JSON)",
            f"{stem}.json",
            "application/json",
            lambda: predictions_json(name, clip_analysis, predictions()),
        ),
        Offer("csv", "Probabilities (CSV)", f"{stem}.csv", "text/csv", lambda: probabilities_csv(predictions())),
    ]
    sound = [
        Offer("html", "Pictures (HTML)", f"{stem}.html", "text/html", lambda: pictures_html(name, clip_analysis)),
        Offer(
            "features_csv", "Features (CSV)", f"{stem}-features.csv", "text/csv", lambda: features_csv(clip_analysis)
        ),
        Offer(
            "parquet",
            "Features (Parquet)",
            f"{stem}-features.parquet",
            PARQUET,
            lambda: features_parquet(clip_analysis),
        ),
        Offer("clip", "This clip", f"{stem}{safe_suffix(name)}", "application/octet-stream", lambda: whole(data)),
    ]
    return (answers if predictions() else answers[:1]) + sound


def unless_forgotten(owner: weakref.ref[T], read: Callable[[T], bytes]) -> Callable[[], bytes]:
    """Return what reads bytes of something at a click but does not hold it: Streamlit keeps for a while what a button is given.

    It raises LookupError where the owner has been forgotten.
    """

    def build() -> bytes:
        there = owner()
        if there is None:
            raise LookupError("What was to be downloaded has been forgotten.")
        return read(there)

    return build


def whole(data: bytes | Spool) -> bytes:
    """Return the bytes of a clip."""
    return data.read() if isinstance(data, Spool) else data


def table(predictions: Sequence[Prediction], titles: Mapping[str, str]) -> pd.DataFrame:
    """Return one row a label and one column a model, called by its title (slug -> title); probabilities in words such as '63 %'."""
    labels = list(dict.fromkeys(label for each in predictions for label in each.probabilities))
    columns = {
        titles.get(each.model, each.model): [
            f"{100 * each.probabilities[label]:.1f} %" if label in each.probabilities else "" for label in labels
        ]
        for each in predictions
    }
    return pd.DataFrame(columns, index=pd.Index(labels, name="emotion"))


def cells(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table as st.dataframe may show it: text as one line, and no formula, because its toolbar saves the cells as they are."""
    names = [_cell(name) for name in table.columns]
    names = [
        f"{name} ({names[:place].count(name) + 1})" if name in names[:place] else name
        for place, name in enumerate(names)
    ]
    texts = table.columns.difference(table.select_dtypes(["number", "bool", "boolean"]).columns)
    columns = {
        name: table[name].map({value: _cell(value) for value in table[name].dropna().unique()}) for name in texts
    }
    shown = table.assign(**columns).set_axis(names, axis="columns")
    return shown.set_axis(shown.index.map(_cell).set_names([_cell(name) for name in table.index.names]), axis="index")


def _cell(value: Any) -> Any:
    return untrusted_csv.cell(untrusted_text.sentence(value)) if isinstance(value, str) else value


def predictions_json(name: str, clip_analysis: analysis.Analysis, predictions: Sequence[Prediction]) -> str:
    """Return what `python -m ser_core predict --json` prints for this file."""
    return untrusted_text.json_text([analysis.to_dict(name, clip_analysis, predictions)])


def probabilities_csv(predictions: Sequence[Prediction]) -> str:
    """Return one line a model: its label, whether it is sure of it, its probabilities as fractions, its milliseconds; and to how many
    takes of a voice it is adapted, where one is."""
    is_adapted = recognizer.n_takes(predictions) > 0
    rows = [
        {"model": p.model, "label": p.label, "sure": p.sure, **p.probabilities, "milliseconds": p.milliseconds}
        | ({batch.ADAPTED: p.adapted} if is_adapted else {})
        for p in predictions
    ]
    return untrusted_csv.encode(pd.DataFrame(rows))


def pictures_html(name: str, clip_analysis: analysis.Analysis) -> str:
    """Return a page with all pictures of the clip that works without a network."""
    figure = clip.pictures(clip_analysis, rows=tuple(clip.ROWS))
    figure.update_layout(
        template=plotly.io.templates["plotly_white"].to_plotly_json(),
        title={"text": safe_stem(name)},
        margin={"t": 80},
        height=figure.layout.height + 60,
    )
    return str(figure.to_html(include_plotlyjs=True, config=clip.CONFIG))


def features_csv(clip_analysis: analysis.Analysis) -> str:
    """Return one line a frame."""
    return untrusted_csv.encode(extraction.to_frame(clip_analysis.features), float_format="%.6g")


def features_parquet(clip_analysis: analysis.Analysis) -> bytes:
    """Return one row a frame."""
    buffer = io.BytesIO()
    extraction.to_frame(clip_analysis.features).to_parquet(buffer, index=False)
    return buffer.getvalue()


def safe_stem(name: str) -> str:
    """Return a file name without its ending, in letters, digits, dots, dashes and underscores, at most 60 of them."""
    return re.sub(r"[^\w.-]+", "_", PurePath(name).stem).strip("._-")[:60] or "clip"


def safe_suffix(name: str) -> str:
    """Return the ending of a file name where it looks like one, such as '.wav', else ''."""
    suffix = PurePath(name).suffix.lower()
    return suffix if re.fullmatch(r"\.[a-z0-9]{1,5}", suffix) else ""
