"""`train` and `models` as a shell meets them: flags, files and runs to settings, progress, results, exit status."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ser_core import paths
from ser_core.cli import main
from ser_core.recognition import store
from ser_core.recognition.card import ModelCard
from ser_core.system import priority
from ser_core.training import run_folder
from ser_core.training.config import LabelMapping, RunConfig
from tests.support.corpora import build, voice, write

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def corpora(tmp_path_factory) -> Path:
    return build(tmp_path_factory.mktemp("corpora"))


@pytest.fixture
def place(corpora, tmp_path, tmp_path_factory, monkeypatch) -> Path:
    """A folder for runs and models of this test; the process keeps its niceness."""
    monkeypatch.setattr(priority, "settle", lambda: None)
    monkeypatch.setenv("SER_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("SER_CORPORA", str(corpora))
    monkeypatch.setenv("SER_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(paths, "feature_cache", lambda: tmp_path_factory.getbasetemp() / "cli-cache")
    return tmp_path


def settings(place: Path) -> RunConfig:
    """Return the settings of the only run."""
    (folder,) = [path for path in (place / "runs").iterdir() if path.is_dir()]
    return RunConfig.from_dict(run_folder.read_config(folder))


def test_a_model_is_trained_and_its_figures_are_printed(place, capsys):
    arguments = [
        "train",
        "--corpus",
        "ravdess",
        "--classifier",
        "svm",
        "--copies",
        "0",
        "--name",
        "Shell",
        "--jobs",
        "1",
    ]
    assert main.main(arguments) == 0
    said = capsys.readouterr()
    assert (
        "ravdess: UAR" in said.out
        and "16 clips, 2 speakers, protocol speaker" in said.out
        and "shell: saved after" in said.out
    )
    assert (
        "train: 40 clips, 5 speakers; neutral 10" in said.err
        and "(an estimate;" in said.err
        and "Saved as 'shell'." in said.err
    )
    assert store.read_card("shell", place / "models").title == "Shell"


def test_every_flag_reaches_the_settings(place, capsys):
    assert (
        main.main(
            [
                "train",
                "--corpus",
                "tess",
                "--corpus",
                "ravdess",
                "--classifier",
                "mlp",
                "--preset",
                "good",
                "--set",
                "hidden=16",
                "--set",
                "alpha=0.1",
                "--epochs",
                "3",
                "--batch-size",
                "8",
                "--patience",
                "2",
                "--augment",
                "noise=0.2,gain",
                "--copies",
                "1",
                "--balance",
                "upsample",
                "--seed",
                "5",
                "--protocol",
                "random",
                "--test-share",
                "0.3",
                "--grid",
                "hidden=4,8",
                "--folds",
                "2",
                "--name",
                "N",
                "--description",
                "D",
                "--calm",
                "neutral",
                "--boredom",
                "--labels",
                "happy,sad",
                "--jobs",
                "1",
            ]
        )
        == 0
    )
    assert settings(place) == RunConfig(
        corpora=("tess", "ravdess"),
        classifier="mlp",
        name="N",
        description="D",
        n_copies=1,
        balance="upsample",
        seed=5,
        mapping=LabelMapping(calm="neutral", boredom=True, labels=("happy", "sad")),
        protocol="random",
        test_share=0.3,
        folds=2,
        hyperparameters={"hidden": 16, "alpha": 0.1, "epochs": 3, "batch_size": 8, "patience": 2},
        effects={"noise": 0.2, "gain": 0.5},
        grid={"hidden": (4, 8)},
    )
    assert "note: Any clip may be tested" in capsys.readouterr().err


def test_a_file_of_settings_is_a_run_and_json_is_its_result(place, capsys):
    given = RunConfig(corpora=("ravdess",), classifier="svm", n_copies=0, name="From a file")
    (place / "config.json").write_text(json.dumps(given.to_dict()))
    assert main.main(["train", "--config", str(place / "config.json"), "--json", "--jobs", "1"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert settings(place) == given
    assert said["status"]["stage"] == "done" and said["result"]["model"] == "from-a-file"
    assert said["result"]["figures"]["ravdess"]["n_clips"] == 16 and Path(said["run"]).is_dir()
    card = store.read_card("from-a-file", place / "models")
    (place / "again.json").write_text(json.dumps(card.training["config"]))
    assert main.main(["train", "--config", str(place / "again.json"), "--seed", "1", "--jobs", "1"]) == 0
    assert store.read_card("from-a-file-2", place / "models").training["config"] == given.to_dict() | {"seed": 1}


@pytest.mark.parametrize(
    "text", ['{"corpora": ["ravdess"], "mapping": "a"}', '{"corpora": ["ravdess"], "mapping": [1]}']
)
def test_a_file_whose_mapping_is_none_says_so(place, capsys, text):
    (place / "config.json").write_text(text)
    assert main.main(["train", "--config", str(place / "config.json")]) == 2
    assert "mapping of a run must be names with values" in capsys.readouterr().err


def test_a_run_that_waits_is_worked_on_and_one_that_was_stopped_goes_on(place, capsys):
    run = run_folder.create(place / "runs", RunConfig(corpora=("ravdess",), classifier="svm", n_copies=0).to_dict())
    run_folder.ask_stop(run, keep=False)
    assert main.main(["train", "--run", str(run), "--jobs", "1"]) == 3
    assert run_folder.read_status(run).stage == "stopped"
    assert main.main(["train", "--run", str(run), "--jobs", "1"]) == 0
    assert run_folder.read_status(run).model == "svm-on-ravdess"


def n_clips(card: ModelCard) -> int:
    """Return how many clips a model learned from, was tuned on or was tested on."""
    return sum(len(names) for part in card.split.values() for names in part["clips"].values())


def test_the_corpora_may_lie_elsewhere(place, corpora, monkeypatch, capsys):
    monkeypatch.setenv("SER_CORPORA", str(place / "nowhere"))
    given = ["--classifier", "svm", "--augment", "none", "--jobs", "1"]
    assert main.main(["train", "--corpus", f"ravdess={corpora / 'ravdess'}", *given]) == 0
    assert (
        main.main(
            ["train", "--corpus", "tess", "--corpora-dir", str(corpora), "--models-dir", str(place / "other"), *given]
        )
        == 0
    )
    assert n_clips(store.read_card("svm-on-tess", place / "other")) == 24


def test_a_folder_of_labels_is_a_corpus_wherever_it_lies(place, capsys):
    for speaker in range(1, 5):
        for label in ("happy", "sad"):
            for take in (1, 2):
                sound = voice(speaker, label, take)
                write(place / "clips" / label / f"{take}-{speaker}.wav", sound)
    given = ["--classifier", "svm", "--augment", "none", "--protocol", "random", "--jobs", "1", "--name", "Ours"]
    assert main.main(["train", "--corpus", f"ours={place / 'clips'}", *given]) == 0
    card = store.read_card("ours", place / "models")
    assert (
        [each["corpus"] for each in card.corpora] == ["ours"]
        and n_clips(card) == 16
        and card.labels
        == (
            "happy",
            "sad",
        )
    )
    assert "ours: UAR" in capsys.readouterr().out


def test_the_whole_command_in_a_shell_has_a_bar_for_the_eye_and_json_for_the_next_program(place, corpora):
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    command = [
        sys.executable,
        "-m",
        "ser_core",
        "train",
        "--corpus",
        f"ravdess={corpora / 'ravdess'}",
        "--corpus",
        f"tess={corpora / 'tess'}",
        "--classifier",
        "knn",
        "--protocol",
        "speaker",
        "--preset",
        "one-minute",
        "--augment",
        "noise=0.3",
        "--copies",
        "1",
        "--balance",
        "upsample",
        "--name",
        "From a shell",
        "--models-dir",
        str(place / "other"),
        "--json",
    ]
    environment = os.environ | {"SER_CACHE": str(place / "cache"), "SER_CORPORA": str(place / "nowhere")}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, text=True
    )
    os.close(theirs)
    seen = threading.Thread(target=lambda: told.extend(iter(lambda: _read_terminal(ours), b"")), daemon=True)
    told: list[bytes] = []
    seen.start()
    out, _ = process.communicate(timeout=120)
    seen.join(10)
    os.close(ours)
    shown = b"".join(told).decode(errors="replace")
    assert process.returncode == 0, shown
    assert re.search(r"\[#*\.+\] +\d+% ", shown) and "Saved as 'from-a-shell'." in shown
    result = json.loads(out)["result"]
    assert result["model"] == "from-a-shell" and set(result["figures"]) == {"all corpora", "ravdess", "tess"}
    config = store.read_card("from-a-shell", place / "other").training["config"]
    assert (config["balance"], config["effects"], config["n_copies"], config["protocol"]) == (
        "upsample",
        {"noise": 0.3},
        1,
        "speaker",
    )


def _read_terminal(handle: int) -> bytes:
    try:
        return os.read(handle, 4096)
    except OSError:  # how Linux says that the other side is closed
        return b""


def test_a_plan_trains_nothing(place, capsys):
    arguments = ["train", "--corpus", "ravdess", "--classifier", "knn", "--search", "--plan", "--json"]
    assert main.main([*arguments, "--cache", str(place / "cache")]) == 0
    said = capsys.readouterr()
    assert "Comparing the clips by sound: 64 of 64" in said.err
    plan = json.loads(said.out)
    assert (
        plan["n_fits"] == 31
        and plan["problems"] == []
        and [part["name"] for part in plan["parts"]] == ["train", "validation", "test"]
    )
    assert not (place / "runs").exists() and not (place / "models").exists()


PROBLEMS = {
    "nothing to train on": ([], "Say what to train on"),
    "not installed": (["--corpus", "savee"], "'savee' is not installed"),
    "a folder without labels": (["--corpus", f"ours={ROOT / 'models'}"], "nor sub-folders named after labels"),
    "a name that is none": (["--corpus", "our clips=/tmp"], "A corpus cannot be called 'our clips'"),
    "a name twice": (["--corpus", "ours=/tmp/a", "--corpus", "ours=/tmp/b"], "names 'ours' twice"),
    "no folder": (["--corpus", "ravdess="], "--corpus takes NAME or NAME=DIR"),
    "classifier": (["--corpus", "tess", "--classifier", "oracle"], "no classifier 'oracle'"),
    "preset": (["--corpus", "tess", "--preset", "quick"], "no preset 'quick'"),
    "value": (["--corpus", "tess", "--classifier", "mlp", "--set", "hidden=many"], "hidden must be a whole number"),
    "effect": (["--corpus", "tess", "--augment", "echo"], "no effect 'echo'"),
    "folds": (["--corpus", "tess", "--classifier", "knn", "--folds", "5"], "needs 5"),
    "no file": (["--config", "/nowhere.json"], "cannot be read as settings"),
    "no run": (["--run", "/nowhere"], "There is no config.json in"),
    "jobs": (["--corpus", "tess", "--jobs", "0"], "--jobs must be 1 or more"),
    "start": (["--corpus", "tess", "--start-from", "cnn"], "There is no model"),
    "scheduler": (["--corpus", "tess", "--scheduler", "localhost:8786"], "must be an address such as tcp://"),
}


@pytest.mark.parametrize(("arguments", "sentence"), PROBLEMS.values(), ids=PROBLEMS)
def test_what_cannot_work_is_a_line_and_status_2(place, capsys, arguments, sentence):
    assert main.main(["train", *arguments]) == 2
    said = capsys.readouterr()
    assert sentence in said.err and said.out == "" and "Traceback" not in said.err
    assert not (place / "models").exists() and not (place / "runs").exists()


def test_a_terminal_gets_a_bar_and_a_file_gets_lines(place, capsys, monkeypatch):
    arguments = ["train", "--corpus", "tess", "--classifier", "svm", "--copies", "0", "--jobs", "1"]
    assert main.main(arguments) == 0
    assert "\r" not in capsys.readouterr().err
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main.main(arguments) == 0
    said = capsys.readouterr().err
    assert "[" in said and "%" in said and "\r\x1b[K" in said and said.rstrip().endswith("'svm-on-tess-2'.")


def test_models_are_shown_renamed_exported_imported_and_deleted(place, capsys):
    assert main.main(["train", "--corpus", "tess", "--classifier", "svm", "--copies", "0", "--jobs", "1"]) == 0
    file = place / "svm.zip"
    for arguments in (
        ["rename", "svm-on-tess", "Other"],
        ["describe", "svm-on-tess", "For a test."],
        ["show", "svm-on-tess"],
        ["export", "svm-on-tess", "--out", str(file)],
        ["import", str(file)],
        ["delete", "svm-on-tess"],
    ):
        assert main.main(["models", *arguments]) == 0
    said = capsys.readouterr().out
    assert "Other (svm-on-tess), svm" in said and "For a test." in said and "SVC" in said
    assert [path.name for path in (place / "models").iterdir()] == ["other"]
    assert main.main(["models", "delete", "svm-on-tess"]) == 2
    assert main.main(["models", "import", str(place / "config.json")]) == 2
    assert main.main(["models", "export", "other", "--out", str(place / "no" / "file")]) == 2
    assert capsys.readouterr().err.count("\n") == 3


def test_a_process_of_its_own_trains_and_can_be_stopped(place, corpora):
    run = run_folder.create(
        place / "runs", RunConfig(corpora=("ravdess",), classifier="mlp", n_copies=0, name="Own").to_dict()
    )
    environment = os.environ | {"SER_MODELS": str(place / "models"), "SER_CACHE": str(place / "cache")}
    command = [sys.executable, "-m", "ser_core", "train", "--run", str(run)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "own: saved after" in done.stdout and "Saved as 'own'." in done.stderr
    assert run_folder.read_status(run).stage == "done" and (place / "models" / "own" / "model.skops").exists()


def test_a_scheduler_is_named_by_a_flag_and_never_by_a_file(place, capsys):
    given = RunConfig(corpora=("ravdess",), classifier="svm", n_copies=0, scheduler="tcp://203.0.113.1:8786").to_dict()
    (place / "config.json").write_text(json.dumps(given))
    assert main.main(["train", "--config", str(place / "config.json"), "--jobs", "1"]) == 0
    assert settings(place).scheduler == ""
    begun = time.monotonic()
    assert main.main(["train", "--corpus", "ravdess", "--classifier", "svm", "--scheduler", "tcp://127.0.0.1:1"]) == 2
    assert (
        "No Dask scheduler answers at tcp://127.0.0.1:1." in capsys.readouterr().err and time.monotonic() - begun < 20
    )
