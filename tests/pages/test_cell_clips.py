"""From a cell of a matrix to its clips: chosen by name, listed, taken home, and heard where their sound is here."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from pages.ui import cached, cell_clips
from pages.ui.charts import cells, models
from ser_core import paths
from ser_core.corpora import catalogue
from ser_core.experiments import answers
from ser_core.metrics import evaluation
from ser_core.recognition import store
from ser_core.system import untrusted_csv
from ser_core.training import held_out, run_folder
from tests.support import corpora
from tests.support.pages import players, text

LABELS = catalogue.LABELS
NASTY = "=HYPERLINK(1)"


@pytest.fixture
def root(models: Path, tmp_path: Path) -> Path:
    return corpora.build(tmp_path / "corpora")


def clips(root: Path) -> pd.DataFrame:
    return cached.clips_of_all({"ravdess": root / "ravdess"})


def shares(n: int) -> np.ndarray:
    found = np.random.default_rng(0).dirichlet(np.full(len(LABELS), 0.3), n)
    return found / found.sum(axis=1, keepdims=True)


def page_of(behind: object, **held: str) -> AppTest:
    """A page with two matrices of the same labels, as Compare has them."""

    def draw(behind: object) -> None:
        from pages.ui import cell_clips
        from pages.ui.charts import models as charts

        names = ["neutral", "happy", "sad", "angry"]
        counts = [[1, 2, 0, 0], [0, 3, 0, 1], [0, 0, 2, 0], [0, 0, 0, 4]]
        cell_clips.show_matrices(
            {
                title: cell_clips.Matrix(
                    charts.matrix(names, counts, names, as_shares=False), names, "A matrix.", lambda: behind
                )
                for title in ("One", "Two")
            },
            key="here",
            config=charts.CONFIG,
        )

    page = AppTest.from_function(draw, args=(behind,), default_timeout=120)
    for key, value in held.items():
        page.session_state[f"here.cell.{key}"] = value
    return page.run()


def choose(page: AppTest, acted: str, answered: str, model: str = "One") -> AppTest:
    page.selectbox("here.cell.model").set_value(model)
    page.selectbox("here.cell.acted").set_value(acted)
    return page.selectbox("here.cell.answered").set_value(answered).run()


def tick(page: AppTest, row: int) -> AppTest:
    key = next(each.key for each in page.dataframe)
    page.session_state[key] = {"selection": {"rows": [row], "columns": [], "cells": []}}
    return page.run()


def test_nothing_is_looked_for_before_a_cell_is_chosen(root: Path) -> None:
    table = clips(root)
    found = answers.Answers(table, LABELS, shares(len(table)).argmax(axis=1), shares(len(table)))
    page = page_of(cell_clips.of_corpora(found))
    assert "The clips behind a cell" in text(page) and not page.dataframe
    assert len(page.get("plotly_chart")) == 2


def test_the_clips_of_a_cell_are_listed_the_surest_first_and_one_is_heard(root: Path) -> None:
    table = clips(root)
    own = shares(len(table))
    found = answers.Answers(table, LABELS, own.argmax(axis=1), own)
    page = choose(page_of(cell_clips.of_corpora(found, note="As it is.")), "happy", "sad", "Two")
    rows = found.cell("happy", "sad")
    assert len(rows) and f"Acted happy, answered sad: {len(rows)} clip" in text(page) and "As it is." in text(page)
    shown = page.dataframe[0].value
    assert shown["Clip"].tolist() == table[catalogue.NAME].iloc[rows].tolist()
    assert shown["Corpus"].eq("RAVDESS").all() and shown["Answered"].eq("sad").all()
    assert shown["Probability"].tolist() == pytest.approx((100 * own[rows, LABELS.index("sad")]).tolist())
    assert (shown["Probability"].diff().dropna() <= 0).all() and (
        shown["Its probability"] <= shown["Probability"]
    ).all()
    assert str(root) not in shown.to_csv()
    tick(page, 0)
    assert "Acted as **happy**" in text(page) and players(page)[0]["autoplay"]
    shapes = [len(json.loads(each.proto.spec)["layout"].get("shapes", ())) for each in page.get("plotly_chart")]
    assert shapes == [0, 2], "the cell is framed in the matrix of the model that was chosen"


def test_an_empty_cell_and_answers_that_are_not_stored_are_said(root: Path) -> None:
    table = clips(root)
    sure = np.tile(np.eye(len(LABELS))[0], (len(table), 1))
    page = page_of(cell_clips.of_corpora(answers.Answers(table, LABELS, sure.argmax(axis=1), sure)))
    assert "Acted happy, answered sad: 0 clips" in text(choose(page, "happy", "sad")) and not page.dataframe
    assert cell_clips.NOT_STORED in text(choose(page_of(None), "happy", "sad"))


def test_clips_whose_corpus_is_not_here_are_listed_and_not_played(root: Path) -> None:
    table = clips(root).assign(**{catalogue.CORPUS: "savee", catalogue.PATH: __file__})
    own = shares(len(table))
    page = choose(
        page_of(cell_clips.of_corpora(answers.Answers(table, LABELS, own.argmax(axis=1), own))), "happy", "sad"
    )
    assert "The sound of SAVEE is not on this server" in text(page)
    assert "The sound of this clip is not on this server" in text(tick(page, 0)) and not players(page)


def test_no_file_is_read_but_a_clip_of_an_installed_corpus(root: Path, tmp_path: Path) -> None:
    """The answers' own paths are not believed: they may come from a file."""
    table = clips(root).head(2).assign(**{catalogue.PATH: str(tmp_path / "secret"), catalogue.NAME: ["../secret", "x"]})
    (tmp_path / "secret").write_text("secret")
    found = cell_clips.of_corpora(answers.Answers(table, LABELS, np.zeros(2, int), shares(2)))
    assert found is not None and found.listen(0) is None and found.listen(1) is None


def test_the_list_that_is_taken_home_holds_no_formula_and_no_path(root: Path) -> None:
    table = clips(root).head(3).assign(**{catalogue.NAME: NASTY})
    own = shares(3)
    csv = untrusted_csv.encode(answers.Answers(table, LABELS, own.argmax(axis=1), own).table(np.arange(3)))
    assert f"\nravdess,'{NASTY}," in csv and str(root) not in csv
    assert csv.splitlines()[0].startswith(
        "corpus,name,speaker,acted,answered,probability,next,next_probability,p_neutral"
    )


def test_a_cell_of_labels_that_are_not_there_is_none(root: Path) -> None:
    assert cell_clips.NOT_STORED not in text(page_of(None, acted="boredom", answered="boredom"))
    assert cell_clips.NOT_STORED in text(page_of(None, acted="sad", answered="happy"))


def test_the_points_of_a_clickable_matrix_are_its_cells_row_by_row() -> None:
    names = ["neutral", "happy"]
    figure = cells.clickable(models.matrix(names, [[3, 1], [0, 2]], names, as_shares=True), chosen=(0, 1))
    heat, points = figure.data
    assert list(points.y) == ["neutral", "neutral", "happy", "happy"] and list(points.x) == names * 2
    assert points.customdata.tolist() == [[3, 0.75], [1, 0.25], [0, 0], [2, 1]]
    assert heat.hoverinfo == "skip" and "%{customdata[0]} clips, %{customdata[1]:.1%}" in points.hovertemplate
    assert points.marker.opacity == points.selected.marker.opacity == points.unselected.marker.opacity == 0
    assert {(each.x0, each.x1, each.y0, each.y1) for each in figure.layout.shapes} == {(0.5, 1.5, -0.5, 0.5)}


def test_the_answers_of_a_card_come_from_its_own_run_where_that_is_here(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SER_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(held_out, "RESULTS", tmp_path / "none.npz")
    table = clips(root)
    own = shares(len(table))
    figures = evaluation.evaluate(
        table[catalogue.EMOTION].map(LABELS.index).to_numpy(),
        own,
        labels=LABELS,
        speakers=table[catalogue.SPEAKER].to_numpy(),
        protocol="speaker",
        corpus="ravdess",
        rng=np.random.default_rng(0),
        n_bootstrap=10,
    )
    folder = run_folder.create(paths.runs_folder(), {})
    part = held_out.of(
        table, np.zeros(len(table)), own, run_folder.MODEL, labels=LABELS, protocol="speaker", scope=held_out.ALL
    )
    held_out.write(folder / run_folder.ANSWERS, [part])
    card = store.read_card("mlp", paths.models_folder())
    made = replace(card, training={**card.training, "run": folder.name})
    found = cell_clips.of_card(made, figures)
    assert found is not None and len(found.answers.clips) == len(table)
    heard = found.listen(0)
    assert heard is not None and heard.label == table[catalogue.EMOTION].iloc[0]
    for run in ("../../etc", "20260101-000000-00000000", 7, None):
        assert cell_clips.of_card(replace(card, training={**card.training, "run": run}), figures) is None
    (folder / run_folder.ANSWERS).write_bytes(b"PK damaged")
    assert cell_clips.of_card(made, figures) is None
