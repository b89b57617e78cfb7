"""The folder of a run: what is written comes back, a reader never sees half of anything, and damage is no traceback."""

import json
import threading

import pytest

from ser_core.errors import ConfigError
from ser_core.training import run_folder
from ser_core.training.run_folder import Reporter, Status


@pytest.fixture
def run(tmp_path):
    return run_folder.create(tmp_path / "runs", {"corpora": ["tess"]})


def test_a_new_run_waits_with_its_settings(run):
    assert run_folder.read_config(run) == {"corpora": ["tess"]}
    status = run_folder.read_status(run)
    assert (status.stage, status.fraction, status.pid, status.ended) == ("queued", 0.0, None, False)
    assert (
        status.started.endswith("+00:00") and run_folder.read_epochs(run) == [] and run_folder.read_result(run) is None
    )


def test_runs_have_names_of_their_own(tmp_path):
    names = {run_folder.create(tmp_path, {}).name for _ in range(5)}
    assert len(names) == 5 and all(name[8] == "-" for name in names)


def test_a_run_that_cannot_be_written_is_explained(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"could not be written to .* set SER_RUNS"):
        run_folder.create(tmp_path / "file", {})


def test_a_folder_that_is_no_run_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"no config\.json in"):
        run_folder.read_config(tmp_path)
    (tmp_path / "config.json").write_text("{half")
    with pytest.raises(ConfigError, match="cannot be read"):
        run_folder.read_config(tmp_path)
    assert run_folder.read_status(tmp_path) is None and run_folder.read_log(tmp_path) == ""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        '{"stage": "dancing"}',
        "[" * 100_000,
        '{"stage": []}',
        '{"stage": "training", "text": 3}',
        '{"stage": "training", "left_s": "5"}',
        '{"stage": "training", "epoch": null}',
        '{"stage": "training", "fraction": "half"}',
    ],
)
def test_a_damaged_status_is_none(run, text):
    (run / run_folder.STATUS).write_text(text)
    assert run_folder.read_status(run) is None


def test_a_status_of_a_later_version_is_read(run):
    (run / run_folder.STATUS).write_text(json.dumps({"stage": "training", "fraction": 0.5, "mood": "fine"}))
    assert run_folder.read_status(run) == Status(stage="training", fraction=0.5)


def test_a_reporter_tells_stage_progress_and_end(run):
    reporter = Reporter(run, expected={"features": 2.0, "training": 8.0})
    reporter.stage("features", "Measuring 10 clips.")
    assert run_folder.read_status(run).left_s == pytest.approx(10.0, abs=0.2)
    reporter.progress(1.0, clips_per_s=12.34)
    status = run_folder.read_status(run)
    assert (status.stage, status.clips_per_s) == ("features", 12.3) and status.left_s == pytest.approx(8.0, abs=0.2)
    reporter.stage("training", "Training.")
    reporter.progress(1.0, "Epoch 3 of 3", epoch=3, epochs=3)
    status = run_folder.read_status(run)
    assert (status.text, status.epoch, status.epochs, status.left_s) == ("Epoch 3 of 3", 3, 3, 0.0)
    assert 0 < status.fraction <= 0.999 and status.pid
    reporter.end("done", "Saved.", model="mine")
    status = run_folder.read_status(run)
    assert (status.stage, status.fraction, status.model, status.ended) == ("done", 1.0, "mine", True)
    assert [line[9:] for line in run_folder.read_log(run).splitlines()] == [
        "Measuring 10 clips.",
        "Training.",
        "Saved.",
    ]


def test_the_bar_never_goes_back(run):
    reporter = Reporter(run, expected={"features": 1.0, "training": 1.0})
    reporter.stage("features", "a")
    reporter.progress(1.0)
    before = run_folder.read_status(run).fraction
    reporter.expect({"features": 1.0, "training": 1000.0})
    reporter.stage("training", "b")
    assert run_folder.read_status(run).fraction >= before


def test_lines_go_to_who_listens(run):
    heard = []
    Reporter(run, on_line=heard.append).line("Hello.")
    assert heard == ["Hello."]


def test_epochs_come_back_without_numbers_that_json_has_not(run):
    reporter = Reporter(run)
    reporter.epoch({"fold": None, "epoch": 1, "loss": float("nan")})
    reporter.epoch({"fold": 2, "epoch": 2, "loss": 0.5})
    with (run / run_folder.EPOCHS).open("a") as file:
        file.write('{"fold": 2, "ep')
    assert run_folder.read_epochs(run) == [
        {"fold": None, "epoch": 1, "loss": None},
        {"fold": 2, "epoch": 2, "loss": 0.5},
    ]


def test_a_wish_to_stop_is_heard(run):
    reporter = Reporter(run)
    assert reporter.stop_request() == ""
    run_folder.ask_stop(run, keep=True)
    assert reporter.stop_request() == "keep"
    run_folder.ask_stop(run, keep=False)
    assert reporter.stop_request() == "discard"
    (run / run_folder.STOP).write_text("perhaps")
    assert reporter.stop_request() == "discard"


def test_a_reader_never_sees_half_a_status(run):
    reporter = Reporter(run)
    seen, over = [], threading.Event()

    def read():
        while not over.is_set():
            seen.append(run_folder.read_status(run))

    thread = threading.Thread(target=read)
    thread.start()
    for _ in range(200):
        reporter.stage("training", "x" * 2000)
    over.set()
    thread.join()
    assert seen and None not in seen


def test_a_full_disk_still_has_room_for_the_reason(run, monkeypatch):
    """Room is kept in the folder, and given free before the last status is written."""
    # No reader of a run looks at this file.
    assert (run / run_folder._SPARE).stat().st_size >= 16 * 1024
    Reporter(run).end("failed", "", problem="The disk is full.")
    assert not (run / run_folder._SPARE).exists()
    assert run_folder.read_status(run).problem == "The disk is full."


def test_rates_are_remembered_and_damage_is_none(tmp_path):
    assert run_folder.read_rates(tmp_path) == {}
    run_folder.note_rate(tmp_path, "features", 50.0)
    run_folder.note_rate(tmp_path, "cnn", 200.123)
    assert run_folder.read_rates(tmp_path) == {"features": 50.0, "cnn": 200.12}
    (tmp_path / "rates.json").write_text('{"features": "fast"}')
    assert run_folder.read_rates(tmp_path) == {}
    run_folder.note_rate(tmp_path / "nowhere", "cnn", 1.0)
