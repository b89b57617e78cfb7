"""The Train page, driven without a browser. The trainings it starts are scripts here; tests/browser/ starts real ones."""

from __future__ import annotations

import ast
import json
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from pages.ui import model_layers, settings_form, state
from pages.ui.charts import training
from pages.ui.train import result, runs, script, search
from ser_core import paths
from ser_core.audio import waveform
from ser_core.classifiers import CLASSIFIERS
from ser_core.corpora import catalogue, library
from ser_core.dataset import duplicates, splits
from ser_core.errors import ConfigError
from ser_core.experiments.outcome import AS_TRAINED
from ser_core.metrics import evaluation
from ser_core.recognition import bundle, store
from ser_core.recognition.card import ModelCard
from ser_core.serving import admin
from ser_core.settings import SIZES
from ser_core.system import files, locks
from ser_core.training import balance, jobs, run_folder, supervisor
from ser_core.training.config import PRESETS, RunConfig
from tests.support import pages
from tests.support.waiting import until

ROOT = Path(__file__).resolve().parents[2]
EMODB_NAMES = [
    f"{speaker}a0{sentence}{code}a"
    for speaker in ("03", "08", "09", "10", "11")
    for sentence in (1, 2)
    for code in "FTWNL"
]
NASTY = "<b>Mine</b> *x* [y](http://z)"

WORKER = """
import os, sys, time
sys.path.insert(0, os.getcwd())
from pathlib import Path
from ser_core.training import run_folder
teller = run_folder.Reporter(Path(sys.argv[1]), expected={"training": 5})
teller.stage(run_folder.TRAINING, "Training something")
for epoch in range(1, 400):
    teller.epoch({"fold": None, "epoch": epoch, "epochs": 400, "loss": 2 / epoch, "validation_loss": 2.2 / epoch, "validation_uar": 0.3})
    teller.progress(epoch / 400, clips_per_s=1234.0, epoch=epoch, epochs=400)
    if teller.stop_request():
        keeps = teller.stop_request() == run_folder.KEEP
        teller.end(run_folder.DONE if keeps else run_folder.STOPPED, "Ended", model="mine" if keeps else None)
        break
    time.sleep(0.05)
"""


@pytest.fixture
def root(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Folders of this test's own for corpora (still empty), runs and models; a training is WORKER."""
    (tmp_path / "corpora").mkdir()
    (tmp_path / "runs").mkdir()
    monkeypatch.setenv("SER_RUNS", str(tmp_path / "runs"))
    monkeypatch.delenv(admin.VARIABLE, raising=False)
    (tmp_path / "worker.py").write_text(WORKER)
    monkeypatch.setattr(jobs, "COMMAND", (sys.executable, str(tmp_path / "worker.py")))
    yield tmp_path
    for job in jobs.jobs(tmp_path / "runs"):
        jobs.stop(job)
    until(lambda: not any(locks.is_taken(job.folder / supervisor.LOCK) for job in jobs.jobs(tmp_path / "runs")))


@pytest.fixture
def emodb(root: Path) -> Path:
    """Five speakers, five labels, two sentences of EmoDB, by their names: nothing listens to them."""
    (root / "corpora" / "emodb").mkdir()
    data = waveform.encode_wav(waveform.Waveform(np.zeros(800, np.float32), 16_000))
    for name in EMODB_NAMES:
        (root / "corpora" / "emodb" / f"{name}.wav").write_bytes(data)
    return root


def visit(tab: str = "", *, run: str = "") -> AppTest:
    page = pages.visit("pages/train.py", **({"train.tab": tab} if tab else {}))
    if run:
        page.query_params["run"] = run
    return page.run()


def text(page: AppTest) -> str:
    return pages.text(page, "caption", "html")


def keys(page: AppTest, kind: str = "button") -> list[str]:
    return [each.key for each in page.get(kind)]


def start(page: AppTest) -> AppTest:
    page.button(key="train.start").click().run()
    until(lambda: any(job.status.epoch or job.ended or job.position for job in jobs.jobs(paths.runs_folder())))
    return page.run()


# --- choosing


def test_without_a_corpus_the_page_leads_to_one(root):
    page = visit()
    assert "no corpus is installed" in text(page)
    assert any("corpora" in each.proto.page for each in page.get("page_link") if each.proto.label == "Get a corpus")
    assert "train.start" not in keys(page)


def test_what_stands_there_can_be_started_at_once(emodb):
    page = visit()
    said = text(page)
    assert "50</b><span>clips" not in said and "40</b><span>clips" in said and "5</b><span>speakers" in said
    assert "Left out: 10 boredom" in said and "**4 labels**: neutral, happy, sad, angry" in said
    assert not page.button(key="train.start").disabled
    assert page.radio(key="train.protocol").value == splits.SPEAKER_PROTOCOL


def test_the_plan_says_whether_the_clips_were_compared_by_sound(emodb, monkeypatch):
    monkeypatch.setenv("SER_CACHE", str(emodb / "cache"))
    assert "not been compared by sound yet" in text(visit())
    duplicates.sounds(library.clips(emodb / "corpora", ["emodb"]), cache=paths.feature_cache())
    assert "compared by sound" not in text(visit())


def test_no_corpus_chosen_is_said_and_cannot_be_started(emodb):
    page = visit()
    page.button_group(key="train.corpora").set_value([]).run()
    assert "No corpus is chosen" in text(page) and page.button(key="train.start").disabled


def test_a_choice_that_cannot_work_says_why(emodb):
    for name in EMODB_NAMES:
        if not name.startswith("03"):
            (emodb / "corpora" / "emodb" / f"{name}.wav").unlink()
    st.cache_data.clear()
    page = visit()
    assert page.button(key="train.start").disabled
    assert any("speaker" in each.value and "Add a corpus" in each.value for each in page.error)


def test_every_classifier_has_its_form(emodb):
    page = visit()
    for name, spec in CLASSIFIERS.items():
        page.selectbox(key="train.classifier").set_value(name).run()
        text(page)
        drawn = {each.key for kind in ("number_input", "selectbox", "select_slider") for each in page.get(kind)}
        for setting in spec.settings:
            key = f"train.{name}.one-minute.{setting.name}"
            assert (f"{key}.1" if setting.kind == SIZES else key) in drawn
        assert not page.button(key="train.start").disabled


def test_a_preset_brings_its_own_values_and_a_change_outlives_the_page(emodb):
    page = visit()
    page.selectbox(key="train.classifier").set_value("mlp").run()
    page.button_group(key="train.preset").set_value("good").run()
    assert page.number_input(key="train.mlp.good.epochs").value == PRESETS["good"].hyperparameters["mlp"]["epochs"]
    page.number_input(key="train.mlp.good.epochs").set_value(7).run()
    page.switch_page("pages/guide.py").run()
    page.switch_page("pages/train.py").run()
    assert page.selectbox(key="train.classifier").value == "mlp"
    assert page.number_input(key="train.mlp.good.epochs").value == 7


def config_of(page: AppTest) -> RunConfig:
    """Start what the page shows, and read what was started."""
    page.button(key="train.start").click().run()
    text(page)
    return RunConfig.from_dict(run_folder.read_config(jobs.jobs(paths.runs_folder())[0].folder))


def test_runs_without_a_name_are_called_by_what_they_learn_and_never_alike(emodb):
    page = visit()
    page.selectbox(key="train.classifier").set_value("knn").run()
    assert config_of(page).name == "KNN on EmoDB"
    page = visit()
    page.selectbox(key="train.classifier").set_value("knn").run()
    assert config_of(page).name == "KNN on EmoDB 2"
    assert {job.title for job in jobs.jobs(paths.runs_folder())} == {"KNN on EmoDB", "KNN on EmoDB 2"}


def test_every_choice_reaches_the_run(emodb):
    page = visit()
    page.selectbox(key="train.classifier").set_value("svm").run()
    page.text_input(key="train.name").set_value(NASTY)
    page.toggle(key="train.boredom").set_value(True).run()
    page.radio(key="train.balance").set_value(balance.UPSAMPLE)
    page.radio(key="train.protocol").set_value("random")
    page.number_input(key="train.seed").set_value(3)
    page.number_input(key="train.one-minute.n_copies").set_value(2).run()
    page.button_group(key="train.effects").set_value("Choose the effects").run()
    page.slider(key="train.effect.noise").set_value(0.25)
    page.slider(key="train.effect.gain").set_value(0.0)
    page.slider(key="train.test_share").set_value(30)
    page.selectbox(key="train.svm.one-minute.kernel").set_value("linear")
    page.number_input(key="train.features.n_mfcc").set_value(13).run()
    config = config_of(page)
    assert (config.classifier, config.name, config.balance, config.protocol, config.seed) == (
        "svm",
        NASTY,
        balance.UPSAMPLE,
        "random",
        3,
    )
    assert config.mapping.boredom and config.n_copies == 2 and config.test_share == 0.3
    assert config.effects["noise"] == 0.25 and "gain" not in config.effects
    assert config.hyperparameters["kernel"] == "linear" and config.features.n_mfcc == 13


def test_a_search_tries_what_is_written(emodb):
    page = visit()
    page.selectbox(key="train.classifier").set_value("knn").run()
    page.toggle(key="train.grid.knn.on").set_value(True).run()
    page.text_input(key="train.grid.knn.n_neighbors").set_value("3, 7,").run()
    config = config_of(page)
    assert config.grid["n_neighbors"] == (3, 7) and "n_neighbors" not in config.hyperparameters


def test_a_search_of_nonsense_says_what_is_expected(emodb):
    page = visit()
    page.selectbox(key="train.classifier").set_value("knn").run()
    page.toggle(key="train.grid.knn.on").set_value(True).run()
    page.text_input(key="train.grid.knn.n_neighbors").set_value("many").run()
    assert "whole numbers with commas" in text(page) and page.button(key="train.start").disabled


def test_magnitudes_go_up_and_down_by_their_factor():
    setting = next(each for each in CLASSIFIERS["svm"].settings if each.name == "C")
    offered = settings_form.magnitudes(setting, setting.default)
    assert setting.default in offered and offered == sorted(set(offered))
    assert setting.low <= offered[0] and offered[-1] <= setting.high
    assert all(setting.check(value, of="SVM") == value for value in offered)


def test_numbers_are_read_from_a_list():
    setting = next(each for each in CLASSIFIERS["mlp"].settings if each.name == "alpha")
    assert settings_form.numbers(setting, "0.1; 1e-3, 0.1") == (0.1, 0.001)
    with pytest.raises(ConfigError, match="numbers with commas"):
        settings_form.numbers(setting, "0,1 or so")


# --- a run


def test_a_started_run_is_watched_at_its_address_and_stopped(emodb):
    page = visit()
    page.text_input(key="train.name").set_value(NASTY).run()
    page = start(page)
    job = jobs.jobs(paths.runs_folder())[0]
    assert page.query_params["run"] in (job.id, [job.id])
    said = text(page)
    assert page.header[0].value.replace("\\", "") == NASTY and NASTY not in page.header[0].value
    key = re.search(r"[A-Z2-9]{4}(-[A-Z2-9]{4}){2}", said).group()
    assert jobs.may_stop(job, key=key)
    until(lambda: len(page.run().get("plotly_chart")) == 2)
    page.button(key="train.key.done").click().run()
    assert key not in text(page)
    begun = time.monotonic()
    page.button(key="train.stop").click().run()
    until(lambda: jobs.find(paths.runs_folder(), job.id).ended)
    assert time.monotonic() - begun < 2
    assert "**Stopped**" in text(page.run())


def test_another_visit_sees_the_run_and_may_stop_it_with_the_key_only(emodb):
    page = start(visit())
    job = jobs.jobs(paths.runs_folder())[0]
    key = page.session_state[state.STOP_KEYS][job.id]
    other = visit(run=job.id)
    said = text(other)
    assert "**Training**" in said or other.get("progress")
    assert key not in said and "train.stop" not in keys(other) and "train.stop.keep" not in keys(other)
    other.text_input(key="train.stop.key").set_value("WRON-GKEY-HERE").run()
    assert "not the key of this run" in text(other) and "train.stop" not in keys(other)
    other.text_input(key="train.stop.key").set_value(key.lower()).run()
    other.button(key="train.stop").click().run()
    until(lambda: jobs.find(paths.runs_folder(), job.id).ended)


def test_the_teacher_may_stop_a_run_and_clear_the_line(emodb, monkeypatch):
    page = start(visit())
    first = jobs.jobs(paths.runs_folder())[0]
    until(lambda: not jobs.find(paths.runs_folder(), first.id).position)  # it works: only who waits is cleared
    waiting = jobs.start(paths.runs_folder(), {"corpora": ["emodb"]}, title="Next")
    monkeypatch.setenv(admin.VARIABLE, "open sesame")
    other = visit("Runs")
    assert "train.clear_line" not in keys(other) and f"train.stop.{first.id}" not in keys(other)
    other.text_input(key="teacher.word").set_value("guess").run()
    assert "not the admin word" in text(other) and "train.clear_line" not in keys(other)
    other.text_input(key="teacher.word").set_value("open sesame").run()
    other.button(key="train.clear_line").click().run()
    until(lambda: jobs.find(paths.runs_folder(), waiting.id).ended)
    assert not jobs.find(paths.runs_folder(), first.id).ended
    other.run().button(key=f"train.stop.{first.id}").click().run()
    until(lambda: jobs.find(paths.runs_folder(), first.id).ended)
    assert page


def test_without_an_admin_word_nobody_is_the_teacher_and_the_page_says_how(emodb):
    assert admin.VARIABLE in text(visit("Runs"))


def test_a_word_that_is_too_short_counts_for_nothing_and_the_page_says_so(emodb, monkeypatch):
    monkeypatch.setenv(admin.VARIABLE, "chalk")
    page = visit("Runs")
    assert "8 is the least" in page.warning[0].value and "teacher.word" not in keys(page, "text_input")


def test_a_page_that_is_drawn_again_tries_no_word_and_three_wrong_ones_make_everybody_wait(emodb, monkeypatch):
    monkeypatch.setenv(admin.VARIABLE, "open sesame")
    now_s = [0.0]
    limiter = admin.Limiter(lambda: now_s[0])
    monkeypatch.setattr(admin, "limiter", lambda address: limiter)
    page, other = visit("Runs"), visit("Runs")
    page.text_input(key="teacher.word").set_value("guess").run()
    for _ in range(admin.FREE_TRIES):
        page.run()
    assert page.text_input(key="teacher.word").value == ""
    for _ in range(admin.FREE_TRIES - 1):
        page.text_input(key="teacher.word").set_value("guess").run()
        assert "not the admin word" in text(page)
    other.text_input(key="teacher.word").set_value("open sesame").run()
    assert "none is looked at for 1 s" in text(other) and "train.clear_line" not in keys(other)
    now_s[0] = 1.0
    other.text_input(key="teacher.word").set_value("open sesame").run()
    assert "You are the teacher in this visit" in text(other)


def test_only_the_teacher_names_a_scheduler_and_nobody_else_sees_or_uses_it(emodb, monkeypatch):
    monkeypatch.setenv(admin.VARIABLE, "open sesame")
    assert "train.scheduler" not in keys(visit(), "text_input")
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    page.session_state[state.ADMIN_WORD] = "open sesame"
    page.switch_page("pages/train.py").run()
    page.text_input(key="train.scheduler").set_value("192.168.1.20:8786").run()
    assert "must be an address such as" in text(page) and page.button(key="train.start").disabled
    page.text_input(key="train.scheduler").set_value("tcp://192.168.1.20:8786 ").run()
    page.button(key="train.start").click().run()
    (job,) = jobs.jobs(paths.runs_folder())
    config = run_folder.read_config(job.folder)
    assert config["scheduler"] == "tcp://192.168.1.20:8786"
    assert "192.168" not in script.script("x", config)
    assert search.settings(job, {"hyperparameters": {}, "uar": 0.5}).scheduler == ""


def test_an_unknown_run_is_said_to_be_gone(emodb):
    page = visit(run="<script>alert(1)</script>")
    assert "There is no run" in text(page) and "<script>" not in page.error[0].value
    page.button(key="train.back").click().run()
    assert not page.error and "run" not in page.query_params


def test_the_line_is_shown_with_its_positions(emodb):
    start(visit())
    jobs.start(paths.runs_folder(), {"corpora": ["emodb"]}, title="Second")
    jobs.start(paths.runs_folder(), {"corpora": ["emodb"]}, title="Third")
    page = visit("Runs")
    said = text(page)
    assert "next in the queue" in said and "1 before it in the queue" in said
    assert "2 runs come before" not in said and "3 runs come before it" in text(visit())


def test_runs_that_have_ended_are_opened_and_cleared(emodb):
    started = jobs.start(
        paths.runs_folder(), {"corpora": ["emodb"]}, title="Old", command=(sys.executable, "-c", "raise SystemExit(3)")
    )
    until(lambda: jobs.find(paths.runs_folder(), started.id).ended)
    page = visit("Runs")
    assert "**Failed**" in text(page) and "train.clear" not in keys(page)
    page.button(key=f"train.open.{started.id}").click().run()
    assert supervisor.FAULT in text(page)
    mine = visit("Runs")
    (paths.runs_folder() / started.id / jobs.JOB).write_text(
        json.dumps(
            {
                "title": "Old",
                "created": files.utc_now(),
                "key": "",
                # As jobs.start writes it; this browser's secret is known only now.
                "browser": jobs._hash(mine.session_state[state.BROWSER]),
            }
        )
    )
    mine.run().button(key="train.clear").click().run()
    assert jobs.jobs(paths.runs_folder()) == []


# --- results and models


def save(slug: str, title: str, **changes: Any) -> ModelCard:
    """Put a tiny model beside the others."""
    path = paths.models_folder() / slug
    path.mkdir()
    for file in (paths.models_folder() / "mlp").iterdir():
        (path / file.name).write_bytes(file.read_bytes())
    card = replace(store.read_card("mlp", paths.models_folder()), slug=slug, title=title, **changes)
    (path / store.CARD).write_text(json.dumps(card.to_dict()))
    return card


@pytest.fixture
def finished(emodb: Path) -> str:
    """A run that made the model 'mine'."""
    save(
        "mine",
        NASTY,
        corpora=({"corpus": "emodb", "n_clips": 40, "n_speakers": 5},),
        hyperparameters={"hidden": 8},
        architecture=[{"name": "<i>dense</i>", "shape": [8], "parameters": 100, "detail": "8 units"}],
    )
    started = jobs.start(paths.runs_folder(), {"corpora": ["emodb"], "classifier": "mlp"}, title=NASTY)
    until(lambda: jobs.find(paths.runs_folder(), started.id).status.epoch)
    jobs.stop(jobs.find(paths.runs_folder(), started.id), keep=True)
    until(lambda: jobs.find(paths.runs_folder(), started.id).ended)
    return started.id


def test_a_result_shows_figures_beside_the_shipped_model_and_leads_to_recognize(finished):
    page = visit(run=finished)
    said = text(page)
    assert "UAR" in said and "random guessing: 12.5 %" in said and "protocol “speaker”" in said
    assert "KNN<small>" in said, "the shipped model of the kind has a column of its own (all of these are perceptrons)"
    assert "EmoDB (40 clips, 5 speakers)" in said and "hidden 8" in said
    html = "".join(each.proto.body for each in page.get("html"))
    assert "&lt;i&gt;dense&lt;/i&gt;" in html and "<i>dense" not in html and "<b>Mine" not in html
    assert len(page.get("plotly_chart")) == 4 and "The test score by epoch is withheld on purpose" in said
    page.button(key="train.try").click().run()
    assert page.session_state[state.MODELS] == [*store.SHIPPED, "mine"] and page.session_state[state.TRIED] == "mine"


def test_recognize_asks_the_shipped_models_and_those_that_were_picked(emodb):
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    page.session_state[state.MODELS] = ["mine"]
    assert state.model_choice(store.SHIPPED, ["knn", "mine"])  # outside of a visit: the default
    assert page.run() and not page.exception


def test_figures_of_different_protocols_are_not_ranked(emodb):
    shipped = store.read_card("mlp", paths.models_folder())
    leaky = replace(shipped.evaluation, protocol="random")
    other = replace(shipped, slug="x", title="X", evaluation=leaky, per_corpus={"ravdess": leaky})
    drawn = result.comparison(result.columns(other, [shipped]))
    assert result.OTHER in drawn and "protocol “random”" in drawn and "protocol “speaker”" in drawn
    same = replace(other, evaluation=shipped.evaluation, per_corpus=shipped.per_corpus)
    assert result.OTHER not in result.comparison(result.columns(same, [shipped]))
    assert len(result.columns(shipped, [shipped])) == 1


def test_a_model_that_was_trained_further_stands_beside_what_it_was_before(emodb):
    card = store.read_card("mlp", paths.models_folder())
    further = replace(card, slug="x", training={"start_from": "cnn", "before": {"ravdess": card.evaluation.to_dict()}})
    assert [column.title for column in result.columns(further, [])] == [
        card.title,
        "The model it started from, before",
    ]
    origin = replace(card, slug="cnn", title="CNN", classifier="cnn", corpora=({"corpus": "ravdess"},))
    drawn = result.comparison(result.columns(replace(further, corpora=({"corpus": "ravdess"},)), [origin]))
    assert "CNN, before" in drawn and drawn.count(f"<small>protocol “{AS_TRAINED}”") == 2
    drawn = result.comparison(result.columns(replace(further, corpora=({"corpus": "emodb"},)), [origin]))
    assert AS_TRAINED not in drawn


def test_a_base_model_that_knew_the_tested_speakers_is_told_by_what_its_card_lists(emodb):
    card = store.read_card("mlp", paths.models_folder())
    further = replace(card, slug="x", training={"start_from": "cnn"}, corpora=({"corpus": "ravdess"},))
    origin = replace(card, slug="cnn", corpora=({"corpus": "ravdess"},), split={"train": {"speakers": ["a", "b"]}})
    assert result.base_overlap(card, None) == ""
    assert "its card would name" in result.base_overlap(further, None)
    assert (
        result.base_overlap(replace(further, split={"test": {"speakers": ["b", "c"]}}), origin) == "1 of the 2 speakers"
    )
    assert result.base_overlap(replace(further, split={"test": {"speakers": ["c"]}}), origin) == ""
    assert "RAVDESS, speakers included" in result.base_overlap(further, origin)
    assert len(result.columns(replace(card, training={"before": {"x": "y"}}), [])) == 1


def test_a_combination_of_a_search_becomes_a_model(emodb):
    config = RunConfig(corpora=("emodb",), classifier="cnn", grid={"dropout": (0.2, 0.4)}, name="Mine")
    started = jobs.start(paths.runs_folder(), config.to_dict(), title="Mine", command=(sys.executable, "-c", ""))
    until(lambda: jobs.find(paths.runs_folder(), started.id).ended)
    trial = {
        "hyperparameters": {"dropout": 0.4, "filters": [8, 8, 8, 8]},
        "uar": 0.5,
        "spread": 0.1,
        "accuracy": 0.4,
        "seconds": 3.0,
    }
    made = search.settings(jobs.find(paths.runs_folder(), started.id), trial)
    assert made.grid == {} and made.hyperparameters == {"dropout": 0.4, "filters": (8, 8, 8, 8)}
    assert made.name.startswith("Mine: dropout 0.4")
    assert search.table([trial]).to_dict("records") == [
        {
            "dropout": 0.4,
            "filters": "[8, 8, 8, 8]",
            "UAR (%)": 50.0,
            "± (SD of the folds)": 10.0,
            "accuracy (%)": 40.0,
            "seconds": 3.0,
        }
    ]
    worse = {**trial, "uar": 0.3}
    assert list(training.trials([worse, trial], hover=["a", "b"]).data[0].customdata) == ["b", "a"]


def test_clips_that_could_not_be_read_are_named_without_their_folder():
    said = result.unreadable([["/home/somebody/x/a.wav", "is silent"]])
    assert "a\\.wav" in said and "somebody" not in said


def test_the_script_holds_the_settings_and_nothing_that_a_name_could_add():
    config = RunConfig(
        corpora=("emodb",), classifier="knn", name="it's '''\"\"\" \\", hyperparameters={"n_neighbors": 3}
    ).to_dict()
    for title in ("Mine", 'x"""\nimport os\n"""', "'''", "\\"):
        tree = ast.parse(script.script(title, config))
        assert [type(node) for node in tree.body] == [ast.Expr, *[ast.Import] * 4, ast.ImportFrom, ast.Assign, ast.With]
        assert json.loads(ast.literal_eval(tree.body[6].value.args[0])) == json.loads(json.dumps(config))


def test_a_model_is_renamed_described_and_deleted(emodb):
    save("mine", "Mine")
    page = visit("Models")
    page.text_input(key="train.model.title.mine").set_value(NASTY)
    page.text_area(key="train.model.text.mine").set_value("What <b>it</b> is")
    page.button(key="train.model.save.mine").click().run()
    card = store.read_card("mine", paths.models_folder())
    assert (card.title, card.description) == (NASTY, "What <b>it</b> is")
    assert NASTY in text(page) and "What <b>it</b> is" in text(page)
    assert not any(NASTY in each.value for each in page.markdown)
    page.button(key="train.model.delete.mine").click().run()
    assert not (paths.models_folder() / "mine").exists()


def test_the_shipped_models_are_offered_without_a_way_to_delete_them(emodb):
    page = visit("Models")
    drawn = keys(page)
    for slug in store.SHIPPED:
        assert f"train.model.try.{slug}" in drawn and f"train.model.delete.{slug}" not in drawn


def test_a_model_belongs_to_who_trained_it_where_there_is_a_teacher(finished, monkeypatch):
    assert "train.model.delete.mine" in keys(visit("Models"))
    monkeypatch.setenv(admin.VARIABLE, "open sesame")
    assert "train.model.delete.mine" not in keys(visit("Models"))


def test_an_exported_model_is_taken_in(emodb):
    save("mine", "Mine")
    data = bundle.export_model("mine", paths.models_folder())
    store.delete("mine", paths.models_folder())
    page = visit("Models")
    page.file_uploader(key="train.import.file.0").set_value(("any name.zip", data, "application/zip")).run()
    page.button(key="train.import.go").click().run()
    assert "mine" in {card.slug for card in store.list_models(paths.models_folder())[0]} and "Mine" in text(page)


def test_a_file_that_is_no_model_is_refused_in_a_sentence(emodb):
    page = visit("Models")
    page.file_uploader(key="train.import.file.0").set_value(("x.zip", b"nonsense", "application/zip")).run()
    page.button(key="train.import.go").click().run()
    assert "not a model" in page.error[0].value


# --- pictures


def evaluated() -> evaluation.Evaluation:
    y = np.array([0, 0, 0, 1, 1, 2])
    answers = np.eye(4)[[0, 0, 1, 1, 1, 2]]
    return evaluation.evaluate(
        y,
        answers,
        labels=("neutral", "happy", "sad", "fear"),
        speakers=y,
        protocol="speaker",
        corpus="emodb",
        rng=np.random.default_rng(0),
        n_bootstrap=20,
    )


def test_a_confusion_matrix_shows_counts_and_rows_in_percent_of_the_labels_that_occur():
    figure = training.confusion(evaluated())
    assert list(figure.data[0].x) == ["neutral", "happy", "sad"]
    assert [list(row) for row in figure.data[0].text] == [
        ["2<br>67 %", "1<br>33 %", ""],
        ["", "2<br>100 %", ""],
        ["", "", "1<br>100 %"],
    ]
    assert "neutral was taken for happy, 1 times" in training.describe_confusion(evaluated())


def test_curves_are_drawn_of_what_was_measured_and_of_the_last_fold():
    pairs = [(fold, epoch) for fold in (0, 1) for epoch in (1, 2)]
    epochs = [
        {"fold": fold, "epoch": epoch, "epochs": 3, "loss": 1.0 + fold, "validation_loss": None}
        for fold, epoch in pairs
    ]
    figure = training.curves(epochs, training.LOSS, shares=False)
    assert [trace.name for trace in figure.data] == ["training"]
    assert list(figure.data[0].x) == [1, 2] and list(figure.data[0].y) == [2.0, 2.0]
    assert training.curves([], training.LOSS, shares=False) is None
    assert training.curves(epochs, training.SCORES, shares=True) is None


def test_labels_are_listed_in_their_order_with_their_figures():
    rows = training.label_rows(evaluated())
    assert [row["label"] for row in rows] == [
        label for label in catalogue.ALL_LABELS if label in ("neutral", "happy", "sad")
    ]
    assert rows[0] == {"label": "neutral", "clips": 3, "recall": 66.7, "precision": 100.0, "f1": 80.0}


def test_an_architecture_of_a_strangers_card_cannot_break_the_page():
    drawn = model_layers.architecture(["x", {"name": 3, "shape": [None, 4, "<"], "parameters": "many"}, {}])
    assert "? × 4 × &lt;" in drawn and drawn.count("<li>") == 3


def test_a_time_is_said_in_utc():
    assert runs.when("2026-11-24T08:15:00+00:00") == "24 Nov, 08:15 UTC"
