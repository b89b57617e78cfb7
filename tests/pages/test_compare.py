"""The Compare page, driven without a browser, on the tiny models and small corpora of synthetic voices; and its figures."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from pages.ui import cached, cell_clips, frame, runtime
from pages.ui.charts import palette
from pages.ui.charts.models import bars, certainty, confusion, describe_confusion, labels_of, ladder, risk
from pages.ui.charts.robustness import axis_of, cell_table, heat
from pages.ui.compare import disagreements, held_out, outcomes
from pages.ui.compare import recipes as compare_recipes
from pages.ui.compare.protocols import TITLES
from pages.ui.compare.protocols import table as protocols_table
from pages.ui.compare.robustness import loss_text
from ser_core import classifiers, paths
from ser_core.audio import degradations
from ser_core.corpora import catalogue
from ser_core.dataset import build, protocols
from ser_core.experiments import benchmark, cross_corpus, leakage_lab, robustness, runs, workspace
from ser_core.experiments.comparison import Difference
from ser_core.metrics import evaluation
from ser_core.recognition import store
from ser_core.system import locks
from ser_core.training import jobs, personal, run_folder, supervisor
from ser_core.training.personal import Row
from tests.support import corpora
from tests.support import models as support_models
from tests.support.waiting import until

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A feature cache that the tests here share."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def here(models: Path, measured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with models of this test's own, and no corpus yet."""
    monkeypatch.setattr(paths, "feature_cache", lambda: measured)
    monkeypatch.setenv("SER_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("SER_RUNS", str(tmp_path / "runs"))
    return tmp_path


@pytest.fixture
def at_once(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A measurement is done where it is started, in this process: test_runs.py and test_server_work.py start real ones."""

    def work(folder: Path, command: object) -> None:
        desk = workspace.Workspace(
            cache=paths.feature_cache(), results=paths.results_folder(), models=paths.models_folder()
        )
        runs.work(run_folder.Reporter(folder), desk, paths.corpora_folder())

    # private: the process is not started here
    monkeypatch.setattr(jobs, "_launch", work)


SLOW = """
import os, sys, time
sys.path.insert(0, os.getcwd())
from pathlib import Path
from ser_core.training import run_folder
reporter = run_folder.Reporter(Path(sys.argv[1]))
reporter.stage(run_folder.MEASURING, "Measuring something")
time.sleep(0.3)
reporter.progress(0.25, "A quarter is done")
while not reporter.stop_request():
    time.sleep(0.05)
reporter.end(run_folder.STOPPED, "Stopped.")
"""


@pytest.fixture
def slow(here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A measurement comes to a quarter, and waits for a stop there."""
    (here / "slow.py").write_text(SLOW)
    monkeypatch.setattr(runs, "COMMAND", (sys.executable, str(here / "slow.py")))
    yield
    for job in jobs.jobs(here / "runs"):
        jobs.stop(job)
    until(lambda: not any(locks.is_taken(job.folder / supervisor.LOCK) for job in jobs.jobs(here / "runs")))


def visit(section: str) -> AppTest:
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    page.switch_page("pages/compare.py")
    page.session_state["compare.tab"] = section
    return page.run()


def text(page: AppTest) -> str:
    assert not page.exception, page.exception[0].value
    kinds = (page.header, page.markdown, page.info, page.error, page.warning)
    said = [each.value for kind in kinds for each in kind] + [each.proto.body for each in page.get("html")]
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", " ".join(said))


def score(page: AppTest) -> AppTest:
    return page.button("compare.score.start").click().run()


def keys(page: AppTest) -> list[str]:
    return [each.key for each in page.button]


def change_card(here: Path, slug: str, /, **values: object) -> None:
    path = here / "models" / slug / store.CARD
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | values), encoding="utf-8")


def figures(
    *, seed: int = 0, n: int = 200, protocol: str = "speaker", corpus: str = "ravdess", threshold: float | None = None
) -> evaluation.Evaluation:
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 4
    scores = rng.normal(size=(n, 8)) + 2 * np.eye(8)[y]
    return evaluation.evaluate(
        y,
        np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True),
        labels=catalogue.LABELS,
        speakers=y % 2,
        protocol=protocol,
        corpus=corpus,
        rng=rng,
        n_bootstrap=20,
        human=0.409,
        threshold=threshold,
    )


# --- held-out figures


def test_a_page_without_models_says_so(here: Path) -> None:
    shutil.rmtree(here / "models")
    (here / "models").mkdir()
    assert "no trained model to compare" in text(visit("Held-out figures"))


def test_figures_of_different_protocols_stand_in_columns_of_their_own(here: Path) -> None:
    figured = figures(protocol="random", seed=3)
    change_card(here, "cnn", per_corpus={"ravdess": figured.to_dict()})
    change_card(
        here, "mlp", per_corpus={"ravdess": figures(seed=4).to_dict(), "tess": figures(corpus="tess").to_dict()}
    )
    page = visit("Held-out figures")
    table = page.dataframe[0].value
    assert list(table.columns[-2:]) == ["Trained on", "Parameters"] and table.columns[0] == "Model"
    assert list(table.columns[1:-2]) == ["speaker · RAVDESS", "speaker · TESS", "random · RAVDESS"]
    rows = table.set_index("Model")
    assert np.isnan(rows.loc["CNN", "speaker · RAVDESS"]) and rows.loc["CNN", "random · RAVDESS"] == pytest.approx(
        100 * figured.uar
    )
    drawn = json.loads(page.get("plotly_chart")[0].proto.spec)
    assert [trace["y"][0] for trace in drawn["data"]] == [
        title for slug, title in support_models.TITLES.items() if slug != "cnn"
    ]
    assert [each.label for each in page.get("download_button")] == [
        frame.plain(title) for title in support_models.TITLES.values()
    ]
    assert "Held out: **the speaker**" in text(page) and "were not tested on the same clips" in text(page)
    page.selectbox("compare.cards.column").set_value(("random", "ravdess")).run()
    assert [trace["y"][0] for trace in json.loads(page.get("plotly_chart")[0].proto.spec)["data"]] == ["CNN"]
    assert "Held out: **the clip**" in text(page)


def test_held_out_figures_whose_answers_are_not_stored_say_so_at_a_cell(here: Path) -> None:
    change_card(here, "mlp", per_corpus={"ravdess": figures(seed=4).to_dict()})
    page = visit("Held-out figures")
    for key, value in (("model", "MLP"), ("acted", "happy"), ("answered", "sad")):
        page.selectbox(f"compare.cards.confusion.cell.{key}").set_value(value).run()
    assert cell_clips.NOT_STORED in text(page)


@pytest.mark.parametrize("section", ["Confusion", "Labels", "Calibration", "ROC"])
def test_every_section_is_drawn_for_cards_with_and_without_curves(here: Path, section: str) -> None:
    old = figures().to_dict()
    del old["curves"]
    change_card(here, "knn", per_corpus={"ravdess": old})
    page = visit("Held-out figures")
    page.session_state["compare.cards.section"] = section
    page.run()
    said = text(page)
    assert ("holds the figures without their curves" in said) == (section in ("Calibration", "ROC"))
    n = len(support_models.TITLES)
    assert len(page.get("plotly_chart")) == {"Confusion": n + 1, "Labels": 2, "Calibration": n + 2, "ROC": 2}[section]


# --- by protocol


def cell(model: str, protocol: str, **more: object) -> benchmark.Cell:
    values = {
        "recipe": "older",
        "trained_on": ("ravdess",),
        "done": 5,
        "rounds": 5,
        "figures": figures(protocol=protocol),
    } | more
    values["figures"] = values["figures"] and replace(values["figures"], curves=None)
    return benchmark.Cell(model=model, corpus="ravdess", protocol=protocol, **values)


def test_each_protocol_has_a_panel_and_a_column_of_its_own(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [
        cell("knn", "random"),
        cell("mlp", "random", done=3),
        cell("mlp", "speaker", figures=figures(seed=2)),
        cell("knn", "sentence", figures=None, problem="Nobody knows the sentences."),
    ]
    benchmark.write(here / "table.json", cells)
    monkeypatch.setattr(benchmark, "RESULTS", here / "table.json")
    page = visit("Held-out figures")
    page.session_state["compare.cards.view"] = "protocol"
    said = text(page.run())
    assert (
        "**compare down a column, never across.**" in said
        and "Nobody knows the sentences." in said
        and "Not measured yet." in said
    )
    assert "MLP, random: 3 of 5 folds are measured." in said and "KNN, random: from an earlier recipe" in said
    drawn = [json.loads(each.proto.spec)["data"] for each in page.get("plotly_chart")]
    assert [[trace["y"][0] for trace in each] for each in drawn[:3]] == [["KNN", "MLP"], ["MLP"], ["MLP"]], (
        "two panels, and the detail"
    )
    assert drawn[0][1]["marker"]["color"] == drawn[1][0]["marker"]["color"] == palette.SERIES[1], (
        "a model keeps its colour"
    )
    rows = page.dataframe[0].value.set_index("Model")
    assert list(rows.columns) == list(protocols.PROTOCOLS)
    assert list(rows.index) == list(TITLES[:-1]) and TITLES[-1] == "All together", "only where it was measured"
    assert rows.loc["KNN", "random"] == pytest.approx(100 * cells[0].figures.uar) and np.isnan(
        rows.loc["KNN", "speaker"]
    )
    assert page.dataframe[0].proto.placeholder == "not measured"
    assert page.segmented_control("compare.protocols.speaker.section").options == ["Confusion", "Labels"], (
        "it comes without curves"
    )
    page.selectbox("compare.protocols.detail").set_value("random").run()
    assert "Held out: **the clip**" in text(page)


def test_the_table_that_comes_with_the_project_needs_no_corpus(here: Path) -> None:
    page = visit("Held-out figures")
    page.session_state["compare.cards.view"] = "protocol"
    said = text(page.run())
    cells = benchmark.read()
    assert benchmark.command(cells) in said and "One column in detail" in said
    known = [each for each in cells if each.corpus == "ravdess" and each.figures]
    assert page.dataframe[1].value["UAR"].tolist() == pytest.approx([100 * each.figures.uar for each in known])


def enrolled_row(model: str, takes: int, *, corpus: str = "savee", gain: float = 0.0, control: float = 0.0) -> Row:
    return Row(
        model=model,
        corpus=corpus,
        takes=takes,
        n_speakers=4,
        n_clips=480,
        n_takes=7.0 * takes,
        accuracy=0.7 + gain,
        low=0.6,
        high=0.9,
        uar=0.7,
        gain=gain,
        gain_low=gain - 0.02,
        gain_high=gain + 0.03,
        control=control,
        control_low=control - 0.01,
        control_high=control + 0.01,
    )


def test_what_takes_are_worth_is_drawn_with_the_control_and_said_in_a_sentence(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worth = {0: (0.0, 0.0), 1: (0.04, -0.02), 2: (0.06, -0.03)}
    rows = [
        enrolled_row(
            model, takes, corpus=corpus, gain=gain + 0.01 * (model == "together") * (takes > 0), control=control
        )
        for corpus in ("savee", "emodb")
        for model in ("knn", "together")
        for takes, (gain, control) in worth.items()
    ]
    place = here / "enrolled.json"
    personal.write(place, personal.Table(command="how", protocol="Who speaks.", strengths={}, rows=tuple(rows)))
    monkeypatch.setattr(personal, "RESULTS", place)
    page = visit("Held-out figures")
    page.session_state["compare.cards.view"] = "enrolled"
    said = text(page.run())
    assert not page.exception
    assert (
        "On SAVEE, All together is right on **70.0%** of the clips without takes; one take per emotion brings it to **75.0%** "
        "(+5.0 points; 95 %: +3.0 to +8.0), two takes per emotion bring it to **77.0%**" in said
    )
    assert (
        "change it by −3.0 points" in said and "actors in studios" in said and "Who speaks." in said and "`how`" in said
    )
    drawn = json.loads(page.get("plotly_chart")[0].proto.spec)["data"]
    assert [each["name"] for each in drawn] == [
        "1 take per emotion",
        "2 takes per emotion",
        "2 takes of another speaker",
    ]
    assert [each["y"] for each in drawn] == [["All together", "KNN"]] * 3
    assert drawn[2]["x"] == pytest.approx([-3, -3])
    table = page.dataframe[0].value
    assert table["Model"].tolist() == ["All together"] * 3 + ["KNN"] * 3
    assert table["Gain"][1:3].tolist() == pytest.approx([5, 7]) and np.isnan(table["Gain"][0])
    page.segmented_control("compare.enrolled.corpus").set_value("emodb").run()
    assert "On EmoDB" in text(page)


def test_what_takes_are_worth_comes_with_the_project_and_a_damaged_table_is_said(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = visit("Held-out figures")
    page.session_state["compare.cards.view"] = "enrolled"
    assert "On RAVDESS" in text(page.run())
    monkeypatch.setattr(personal, "RESULTS", here / "gone.json")
    assert "The results in 'gone.json' cannot be read" in text(page.run())


# --- trained anew here


def test_recipes_are_trained_anew_by_protocol(here: Path, at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "WORTH_WORKERS", 10_000)
    corpora.build(here / "corpora")
    for slug in ("knn", "mlp"):
        change_card(
            here, slug, hyperparameters={"hidden": 4, "epochs": 2 if slug == "knn" else 1}, training={"n_copies": 1}
        )
    page = visit("Score on a corpus")
    page.session_state["compare.score.how"] = "anew"
    page.run()
    page.selectbox("compare.retrain.corpus").set_value("tess").run()
    assert "Held out: **the speaker**" in text(page) and page.code[0].value.endswith(
        "--model cnn --corpus tess --protocol speaker"
    )
    page.button("compare.retrain.start").click().run()
    said = shows(page, "Who is recognised less well")
    assert "**0%** have their speaker in training, **100%** their sentence, and **0%** the very recording" in said
    assert page.dataframe[0].value[["Model", "Clips", "Speakers"]].to_numpy().tolist() == [
        ["KNN", 24, 2],
        ["MLP", 24, 2],
    ]
    assert page.segmented_control("compare.retrain.tess.section").options == [
        "Confusion",
        "Labels",
        "Calibration",
        "ROC",
    ]
    assert not page.error and "Is the difference significant?" in said
    page.segmented_control("compare.retrain.protocol").set_value("cross-corpus").run()
    assert page.code[0].value.endswith("--corpus tess --train-corpus ravdess --protocol cross-corpus")
    page.segmented_control("compare.retrain.protocol").set_value("speaker and sentence").run()
    assert page.code[0].value.endswith("--corpus tess --protocol 'speaker and sentence'")
    assert "Held out: **the speaker and the sentence**" in text(page)


# --- scoring here


def test_without_a_corpus_the_page_leads_to_one(here: Path) -> None:
    assert "No corpus is installed here" in text(visit("Score on a corpus"))


def test_models_are_scored_and_what_they_know_is_marked(here: Path, at_once: None) -> None:
    corpora.build(here / "corpora")
    change_card(
        here, "mlp", corpora=[{"corpus": "ravdess"}], split={"train": {"speakers": ["ravdess:01", "ravdess:02"]}}
    )
    page = score(visit("Score on a corpus"))
    said = text(page)
    assert [each.value for each in page.error] and "MLP" in page.error[0].value and len(page.error) == 1
    assert "25% of these clips it was trained on" in said and "Where they disagree" in said
    assert "KNN and MLP" in said or "KNN is better than MLP" in said or "MLP is better than KNN" in said
    assert page.dataframe[0].value["Clips"].tolist() == [64] * 4
    assert (here / "results" / workspace.READINGS).exists()
    page.toggle("compare.score.clean").set_value(True).run()
    assert not page.error and page.dataframe[0].value["Clips"].tolist() == [48] * 4
    page.toggle("compare.score.mean").set_value(True).run()
    assert page.dataframe[0].value["Model"].tolist()[-1] == outcomes.MEAN
    again = visit("Score on a corpus")
    assert again.dataframe, "another visitor finds the same result"


def test_a_cell_of_a_scored_matrix_leads_to_its_clips(here: Path, at_once: None) -> None:
    corpora.build(here / "corpora")
    page = score(visit("Score on a corpus"))
    model = page.selectbox("compare.score.ravdess.confusion.cell.model")
    assert model.options[0] == "KNN"
    page.selectbox("compare.score.ravdess.confusion.cell.acted").set_value("angry").run()
    listed = []
    for answered in page.selectbox("compare.score.ravdess.confusion.cell.answered").options:
        page.selectbox("compare.score.ravdess.confusion.cell.answered").set_value(answered).run()
        assert f"Acted angry, answered {answered}" in text(page)
        listed += [
            name
            for each in page.dataframe
            if " angry " in (each.key or "")
            for name in each.value.get("Clip", pd.Series(dtype=str))
        ]
    assert len(listed) == len(set(listed)) == 16 and all(name.split("-")[2] == "05" for name in listed)


def test_recordings_that_occur_more_than_once_are_said_beside_the_figures(here: Path, at_once: None) -> None:
    corpora.build(here / "corpora")
    one, other = sorted((here / "corpora" / "ravdess").rglob("*.wav"))[:2]
    other.write_bytes(one.read_bytes())
    said = text(score(visit("Score on a corpus")))
    assert "1 recording occurs more than once, as 2 clips." in said and "Each of these clips counts." in said


def test_clips_whose_label_a_model_lacks_are_left_out_and_said(here: Path, at_once: None) -> None:
    corpora.build(here / "corpora")
    labels = ["neutral", "calm", "happy", "sad", "boredom", "fear", "disgust", "surprise"]
    change_card(here, "knn", labels=labels, evaluation=None, per_corpus={})
    page = score(visit("Score on a corpus"))
    assert "16 clips are left out" in text(page) and page.dataframe[0].value["Clips"].tolist() == [48] * 4


def test_a_measurement_is_watched_by_everyone_and_stopped_by_who_started_it(
    here: Path, slow: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "browser", lambda: "ann")
    corpora.build(here / "corpora")
    page = score(visit("Score on a corpus"))
    (job,) = jobs.jobs(here / "runs")
    assert (job.kind, job.title) == (runs.SCORE, "Score KNN, MLP, CNN and CNN-LSTM on RAVDESS")
    until(lambda: jobs.find(here / "runs", job.id).status.fraction == 0.25, patience_s=120)
    (bar,) = page.run().get("progress")
    assert bar.proto.text == "A quarter is done" and "compare.score.start" not in keys(page)
    monkeypatch.setattr(runtime, "browser", lambda: "bob")
    other = visit("Score on a corpus")
    assert other.get("progress") and "compare.score.stop" not in keys(other)
    (link,) = [each for each in other.get("page_link") if "stop key" in each.proto.label]
    assert job.id in link.proto.query_string
    monkeypatch.setattr(runtime, "browser", lambda: "ann")
    page.run().button("compare.score.stop").click().run()
    until(lambda: jobs.find(here / "runs", job.id).ended, patience_s=120)
    assert "Stopped. Nothing was changed." in text(page.run()) and "compare.score.start" in keys(page)
    assert "Stopped. Nothing was changed." in text(other.run())


def test_a_failed_measurement_says_why_and_can_be_started_again(here: Path, at_once: None) -> None:
    corpora.build(here / "corpora")
    for slug in ("knn", "mlp", "cnn", "cnn_lstm"):
        change_card(here, slug, labels=[*reversed(catalogue.ALL_LABELS[-8:])][:4], evaluation=None, per_corpus={})
    change_card(here, "knn", labels=["boredom", "calm"], evaluation=None, per_corpus={})
    page = score(visit("Score on a corpus"))
    assert "No clip of these corpora has a label that all chosen models know" in text(page)
    assert page.error and "compare.score.start" in keys(page)


def test_a_full_line_is_said_on_the_page(here: Path, at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "MAX_WAITING", 0)
    corpora.build(here / "corpora")
    page = score(visit("Score on a corpus"))
    assert "0 runs wait already, and no more may" in text(page) and not jobs.jobs(here / "runs")
    assert "0 runs wait already" not in text(page.run())


def test_a_result_is_found_again_by_its_settings_alone(here: Path, at_once: None) -> None:
    corpora.build(here / "corpora")
    page = score(visit("Score on a corpus"))
    st.cache_data.clear()
    st.cache_resource.clear()
    assert visit("Score on a corpus").dataframe, "a new server shows it at once"
    page.button_group("compare.score.models").set_value(["knn"]).run()
    assert "compare.score.start" in keys(page) and not page.dataframe
    page.button_group("compare.score.models").set_value(["knn", "mlp", "cnn", "cnn_lstm"]).run()
    assert page.dataframe
    change_card(here, "knn", threshold=0.9)
    assert not visit("Score on a corpus").dataframe, "another model of that name was never scored"
    change_card(here, "knn", threshold=None)
    corpora.write(here / "corpora" / "ravdess" / "03-01-01-01-01-01-09.wav", corpora.voice(9, "neutral", 1))
    cached.fingerprint.clear()
    assert not visit("Score on a corpus").dataframe, "the corpus has another clip"


def test_train_lists_a_measurement_as_what_it_is_and_leads_to_compare(here: Path, at_once: None) -> None:
    corpora.build(here / "corpora")
    score(visit("Score on a corpus"))
    (job,) = jobs.jobs(here / "runs")
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    page.switch_page("pages/train.py")
    page.session_state["train.tab"] = "Runs"
    page.run()
    assert any("Score KNN" in each.label for each in page.button) and "**Done**" in text(page)
    page.session_state["train.tab"] = "Models"
    text(page.run())
    page.query_params["run"] = job.id
    said = text(page.run())
    assert "Measured." in said and "Learning curves" not in said and "train.try" not in keys(page)
    assert not page.get("download_button"), "no script repeats a measurement"
    (link,) = [each for each in page.get("page_link") if each.proto.label == "See it on Compare"]
    assert job.id in link.proto.query_string
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    page.switch_page("pages/compare.py")
    page.query_params["run"] = job.id
    said = text(page.run())
    assert page.header[0].value.replace("\\", "") == job.title and "Where they disagree" in said and page.dataframe
    page.query_params["run"] = "20260101-000000-00000000"
    assert "There is no run" in text(page.run())
    training = jobs.start(here / "runs", {}, title="A training", command=("true",))
    page.query_params["run"] = training.id
    text(page.run())
    assert any(each.proto.label == "This run is a training" for each in page.get("page_link"))


# --- robustness


def shows(page: AppTest, sign: str) -> str:
    said = text(page)
    assert sign in said
    return said


def test_without_a_corpus_there_is_nothing_to_make_worse(here: Path) -> None:
    assert "No corpus is installed here whose clips" in text(visit("Robustness"))


def test_curves_are_drawn_with_what_is_lost_and_what_a_model_knows(
    here: Path, at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "WORTH_WORKERS", 10_000)
    corpora.build(here / "corpora")
    change_card(here, "mlp", corpora=[{"corpus": "tess"}], split={"train": {"speakers": ["tess:OAF"]}})
    page = visit("Robustness")
    page.session_state["compare.robust.models"] = ["knn", "mlp"]
    page.session_state["compare.robust.corpora"] = ["tess"]
    page.session_state[f"compare.robust.conditions.{len(degradations.CONDITIONS)}"] = ["telephone"]
    page.run().button("compare.robust.start").click().run()
    said = shows(page, "All conditions, each at its worst")
    assert [each.value.count("MLP") for each in page.error] == [1] and robustness.FLATTERED in said
    assert "24 clips of 2 speakers (TESS)" in said
    curve = json.loads(page.get("plotly_chart")[0].proto.spec)
    assert [trace["name"] for trace in curve["data"]] == ["KNN", "MLP"] and curve["data"][0]["x"] == [
        "clean",
        "7000",
        "3400",
        "2000",
    ]
    rows = page.dataframe[0].value
    assert len(rows) == 2 * 4 and rows["Condition"].tolist()[:3] == ["Clean", "Clean", "Telephone band"]
    assert curve["data"][1]["y"][0] == pytest.approx(rows["UAR"][1] / 100)
    assert any(path.name.startswith("robust-knn-telephone") for path in (here / "results").iterdir())


@pytest.mark.parametrize(
    ("low", "words"),
    [
        (0.04, "A loses 21 points of UAR (4 to 30) at 0 dB signal-to-noise ratio: from 61% down to 40%."),
        (
            -0.04,
            "A loses nothing significant: at most 21 points of UAR (-4 to 30), at 0 dB signal-to-noise ratio.",
        ),
    ],
)
def test_a_loss_is_said_in_words(low: float, words: str) -> None:
    row = {"level": 0.0, "uar": 0.4, "lost": 0.21, "lost_low": low, "lost_high": 0.3}
    assert loss_text(row, "A", degradations.CONDITIONS["white"].unit) == words


def test_the_clean_clips_stand_where_nothing_changes() -> None:
    assert axis_of("pitch") == ["-6", "-3", "clean", "+3", "+6"]
    assert axis_of("white") == ["clean", "30", "20", "10", "0"]


# --- across corpora


def test_the_map_that_comes_with_the_project_needs_no_corpus(here: Path) -> None:
    page = visit("Cross-corpus")
    said = text(page)
    ready = cross_corpus.read_results()
    drawn = json.loads(page.get("plotly_chart")[0].proto.spec)["data"][1]
    assert drawn["x"] == drawn["y"] == ["RAVDESS", "TESS", "SAVEE", "EmoDB"]
    assert (
        drawn["z"][0][1] == pytest.approx(ready.models["knn"][1].uar)
        and "leaving the corpus costs" in said
        and ready.command in said
    )
    assert page.dataframe[0].value["UAR"].tolist() == pytest.approx([100 * cell.uar for cell in ready.models["knn"]])
    page.session_state["compare.cross.model"] = "mlp"
    page.run()
    drawn = json.loads(page.get("plotly_chart")[0].proto.spec)["data"][1]
    assert drawn["z"][0][1] == pytest.approx(ready.models["mlp"][1].uar)


def test_corpora_here_are_measured_cell_by_cell(here: Path, at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "WORTH_WORKERS", 10_000)
    corpora.build(here / "corpora")
    page = visit("Cross-corpus")
    page.selectbox("compare.cross.place").set_value("here").run()
    page.button("compare.cross.start").click().run()
    said = shows(page, "leaving the corpus costs")
    assert "on the 3 labels that all share (neutral, happy, sad): chance is 33.3%" in said
    assert page.dataframe[0].value["Clips"].tolist() == [48, 24, 48, 24]


def test_networks_are_not_trained_in_the_server(here: Path) -> None:
    cards = [
        replace(store.read_card(slug), classifier=classifier) for slug, classifier in (("knn", "knn"), ("cnn", "cnn"))
    ]
    offered = compare_recipes.offered([*cards, replace(cards[0], slug="mine", training={"start_from": "knn"})])
    kinds = {recipe.config.classifier for _, recipe in offered.values()}
    assert kinds == {name for name, row in classifiers.CLASSIFIERS.items() if row.input_kind != "frames"}
    assert len({title for title, _ in offered.values()}) == len(offered), "a choice is known by its title"
    assert "model knn" in offered and "model cnn" not in offered and "model mine" not in offered


def test_a_pair_without_shared_labels_is_grey_and_says_why() -> None:
    titles = {"a": "A", "b": "B"}
    cells = [
        cross_corpus.Cell(train="a", test="a", uar=0.5, labels=("sad",)),
        cross_corpus.Cell(train="a", test="b", problem="1 shared label"),
    ]
    grey, drawn = heat(cells, titles).data
    assert [list(row) for row in grey.z] == [[None, 1.0], [None, None]] and [list(row) for row in drawn.z] == [
        [0.5, None],
        [None, None],
    ]
    assert grey.customdata[0][1] == "trained on A, tested on B<br>not measured: 1 shared label"
    table = cell_table(cells, titles)
    assert np.isnan(table["UAR"][1]) and table["Not measured"].tolist() == ["", "1 shared label"]
    assert "More than once" not in table
    told = replace(cells[0], doubles="1 recording occurs more than once, as 2 clips.")
    assert cell_table([told, cells[1]], titles)["More than once"].tolist() == [told.doubles, ""]


# --- the lab


def test_the_lab_works_without_a_corpus_and_falls_with_each_leak_closed(here: Path) -> None:
    page = visit("Leakage Lab")
    drawn = json.loads(page.get("plotly_chart")[0].proto.spec)["data"][0]
    assert len(drawn["y"]) == 6 and drawn["y"][0].startswith("1. As chosen") and drawn["x"][0] - drawn["x"][-1] > 0.2
    assert "points of the score came from the leaks" in text(page)
    choices = {"split": "speaker", "augment": "none", "scaler": "train", "early_stopping": "validation", "twins": False}
    for name, value in choices.items():
        page.session_state[f"compare.lab.switch.{name}"] = value
    said = text(page.run())
    assert "Nothing leaks with this setting" in said
    honest = leakage_lab.read_results()[leakage_lab.LeakageSettings()]["accuracy"]
    assert json.loads(page.get("plotly_chart")[0].proto.spec)["data"][0]["x"] == [pytest.approx(honest)]


def test_a_preset_is_measured_on_the_corpora_here(here: Path, at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leakage_lab, "CLASSIFIERS", {"knn": {"n_neighbors": 3}, "mlp": {"epochs": 2, "hidden": 8}})
    corpora.build(here / "corpora")
    page = visit("Leakage Lab")
    page.selectbox("compare.lab.place").set_value("preset two voices").run()
    assert "96.90 % accuracy" in text(page)
    page.button("compare.lab.start").click().run()
    shows(page, "points of the score")
    assert page.dataframe[0].value["Step"].tolist() == ["As chosen", "Scaler on the training part", "Speakers held out"]
    assert page.dataframe[0].value["Clips tested"].tolist() == [24] * 3
    page.selectbox("compare.lab.place").set_value("preset copies").run()
    assert "without CREMA-D, not installed here" in text(page)


def test_sentences_that_give_the_emotion_away_are_a_switch_where_a_corpus_has_them(
    here: Path, at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leakage_lab, "CLASSIFIERS", {"knn": {}, "mlp": {"epochs": 1, "hidden": 4}})
    for number, speaker in enumerate(("DC", "JE")):
        for code, label in (("h", "happy"), ("sa", "sad")):
            for sentence in range(6, 12):
                name = f"{speaker}_{code}{sentence:02d}.wav"
                corpora.write(here / "corpora" / "savee" / name, corpora.voice(5 * number, label, sentence))
    corpora.build(here / "corpora")
    page = visit("Leakage Lab")
    page.selectbox("compare.lab.place").set_value("tess").run()
    assert "give the emotion away" not in text(page)
    page.selectbox("compare.lab.place").set_value("savee").run()
    assert "The sentences of SAVEE give the emotion away" in text(page)
    choices = {"split": "speaker", "augment": "none", "scaler": "train", "early_stopping": "validation", "twins": False}
    for name, value in choices.items():
        page.session_state[f"compare.lab.switch.{name}"] = value
    page.run()
    page.button("compare.lab.start").click().run()
    shows(page, "on speakers and sentences never heard")
    rows = page.dataframe[0].value
    assert rows["Step"].tolist() == ["As chosen", "Telling sentences held out"]
    assert rows["Sentence in training"].tolist() == [100, 0] and rows["Speaker in training"].tolist() == [0, 0]
    page.session_state["compare.lab.switch.sentences"] = False
    page.run()
    assert page.button("compare.lab.start").label == "Measure these 1 steps"


def test_a_bar_leaks_where_a_telling_sentence_was_in_training() -> None:
    row = {"accuracy": 0.5, "chance": 0.2, "interval": {"accuracy": [0.4, 0.6]}}
    steps = [(name, row | {"seen": {"speaker": 0, "twin": 0, "sentence": seen}}) for name, seen in (("a", 1), ("b", 0))]
    plain, telling = (ladder(steps, "accuracy", telling=each).data[0].marker.color for each in (False, True))
    assert plain[0] == plain[1] == telling[1] != telling[0]


def test_people_are_drawn_beside_the_models_where_listeners_voted(here: Path) -> None:
    measured = replace(
        figures(protocol="speaker", corpus="cremad"), human=None
    )  # as the cards of shipped models have it
    change_card(here, "knn", per_corpus={"cremad": measured.to_dict()})
    page = visit("Held-out figures")
    page.selectbox("compare.cards.column").set_value(("speaker", "cremad")).run()
    said = text(page)
    assert "People who only heard the clips" in said and "name the acted label in 41.6%" in said
    traces = [trace for each in page.get("plotly_chart") for trace in json.loads(each.proto.spec)["data"]]
    drawn = [each["hovertemplate"] for each in traces if "acted" in each.get("hovertemplate", "")]
    assert "heard %{x}" in drawn[-1] and "answered %{x}" in drawn[-2]
    page.segmented_control("compare.cards.metric").set_value("accuracy").run()
    bars_drawn = json.loads(page.get("plotly_chart")[0].proto.spec)["layout"]
    assert "people 41.6%" in [each["text"] for each in bars_drawn["annotations"]]
    page.selectbox("compare.cards.column").set_value(("speaker", "ravdess")).run()
    assert "People who only heard" not in text(page)


# --- pure parts


def test_models_of_one_title_are_told_apart(here: Path) -> None:
    card = store.read_card("knn", here / "models")
    assert cached.model_titles([card, replace(card, slug="other")]) == {"knn": "KNN (knn)", "other": "KNN (other)"}


def test_a_corpus_that_was_left_out_is_a_column_of_its_own() -> None:
    card = replace(
        store.read_card("knn"),
        per_corpus={"tess": figures(protocol="speaker", corpus="tess", n=40)},
        unheard={"tess": figures(protocol="cross-corpus", corpus="tess", n=24)},
    )
    assert held_out.measured([card]) == [("speaker", "tess"), ("cross-corpus", "tess")]
    assert held_out.of(card, ("cross-corpus", "tess")).n_clips == 24 and held_out.of(card, ("random", "tess")) is None


def test_columns_come_strictest_first() -> None:
    column = [
        ("random", "ravdess"),
        ("cross-corpus", "tess"),
        ("speaker", "tess"),
        ("speaker", "ravdess"),
        ("invented", "mine"),
    ]
    card = replace(store.read_card("knn"), per_corpus={}, unheard={})
    cards = [
        replace(card, per_corpus={corpus: figures(protocol=protocol, corpus=corpus, n=40)})
        for protocol, corpus in column
    ]
    assert held_out.measured(cards) == [column[3], column[2], column[1], column[0], column[4]]


def test_bars_show_intervals_chance_and_people() -> None:
    drawn = bars({"A": figures(), "B": figures(seed=1)}, "accuracy")
    first = figures()
    assert drawn.data[0].x[0] == first.accuracy
    assert drawn.data[0].error_x.array[0] == pytest.approx(max(first.interval["accuracy"][1] - first.accuracy, 0))
    assert [shape.x0 for shape in drawn.layout.shapes] == [first.chance, 0.409]
    assert len(bars({"A": first}, "uar").layout.shapes) == 1  # people's figure is an accuracy


def test_confusion_matrices_have_the_same_rows_and_both_units() -> None:
    both = {"A": figures(), "B": figures(seed=5, n=40)}
    names = labels_of(both)
    shown = [confusion(each, names, as_shares=True) for each in both.values()]
    assert list(shown[0].data[0].x) == list(shown[1].data[0].x) == names
    counts = confusion(both["A"], names, as_shares=False).data[0]
    assert counts.text[0][0] == str(both["A"].confusion[0][0]) and float(shown[0].data[0].z[0].sum()) == pytest.approx(
        1
    )
    assert "200 clips right" in describe_confusion("A", both["A"])


def test_certainty_counts_every_clip_once() -> None:
    each = figures()
    right, wrong = certainty(each, None).data
    assert sum(right.y) == round(each.accuracy * 200) and sum(right.y) + sum(wrong.y) == 200
    one = [sum(bar.y) for bar in certainty(each, "happy").data]
    assert one == [each.confusion[2][2], sum(row[2] for row in each.confusion) - each.confusion[2][2]]


def test_the_risk_is_drawn_with_a_mark_at_the_threshold() -> None:
    each = figures(threshold=0.5)
    old = replace(each, sure=None, curves=replace(each.curves, risk=(), aurc=None))
    drawn = risk({"A": each, "old": old, "B": figures(seed=5)})
    assert [trace.name for trace in drawn.data if trace.mode == "lines"] == [
        f"A: {each.curves.aurc:.3f}",
        drawn.data[1].name,
    ]
    (mark,) = [trace for trace in drawn.data if trace.mode == "markers"]
    assert (mark.x[0], mark.y[0]) == (each.sure["answered"] / 200, 1 - each.sure["right"] / each.sure["answered"])
    assert drawn.layout.yaxis.range[1] > max(max(trace.y) for trace in drawn.data)


@pytest.mark.parametrize(
    ("value", "low", "high", "words"),
    [
        (0.05, 0.01, 0.09, "A is better than B by 5.0 points of UAR (+1.0 to +9.0)."),
        (-0.05, -0.09, -0.01, "B is better than A by 5.0 points of UAR (+1.0 to +9.0)."),
        (0.05, -0.01, 0.09, "A and B: 5.0 points of UAR (-1.0 to +9.0) apart. This difference is not significant."),
    ],
)
def test_a_difference_is_said_in_words(value: float, low: float, high: float, words: str) -> None:
    found = Difference("A", "B", value, low, high, "speakers")
    assert disagreements.difference_text(found) == words
    assert "better" not in disagreements.difference_text(found, {"A"})
    assert disagreements.difference_text(found, {"A"}).endswith(
        "A was trained on some of these clips or speakers: no verdict."
    )
    assert "Both were trained on some" in disagreements.difference_text(found, {"A", "B"})


def test_models_have_different_colours_and_symbols() -> None:
    assert (
        len({palette.series(number) for number in range(len(palette.SERIES))})
        == len(palette.SERIES)
        == len(palette.SYMBOLS)
    )


def test_all_together_is_a_row_of_the_protocols_where_it_was_measured() -> None:
    rows = protocols_table([cell("knn", "speaker"), cell("together", "speaker")], "uar")
    assert rows["Model"].tolist()[-1] == "All together" and rows["speaker"].notna().sum() == 2
