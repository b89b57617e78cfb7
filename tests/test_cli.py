"""The command line as a user meets it: JSON, sentences, exit status; and as a process: what it loads and survives."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ser_core import analysis, audio, cli, corpora, dataset, store
from ser_core.audio import Waveform
from tests import small_corpus, tiny_models

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "pages" / "samples"
SPEECH, OTHER, NO_SPEECH = (SAMPLES / name for name in ("bright.flac", "fast_loud.flac", "no_speech.flac"))
FACTS = {
    "duration_s",
    "level_dbfs",
    "peak_dbfs",
    "clipped",
    "silence",
    "speech_s",
    "snr_db",
    "bandwidth_hz",
    "steady",
    "summary",
    "advice",
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.build(tmp_path_factory.mktemp("built"))


@pytest.fixture
def models(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Tiny models in a folder that a test may damage, and that the command line reads."""
    folder = shutil.copytree(built, tmp_path / "models")
    monkeypatch.setattr(store, "MODELS", folder)
    return folder


@pytest.fixture
def run(models, capsys):
    """Return (exit status, stdout, lines of stderr) of one command."""

    def one(*arguments: object) -> tuple[int, str, list[str]]:
        capsys.readouterr()
        status = cli.main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return status, out, err.splitlines()

    return one


def process(*arguments: object, models: Path, text: bool = True, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "ser_core", *map(os.fspath, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=text,
        check=False,
        env={**os.environ, "SER_MODELS": str(models), **environment},
        encoding="utf-8" if text else None,
    )


def test_predict_gives_the_promised_json(run):
    status, out, err = run("predict", SPEECH, "--json")
    assert (status, err) == (0, [])
    (result,) = json.loads(out)
    assert list(result) == ["file", "duration_s", "quality", "speech", "predictions"]
    assert result["file"] == str(SPEECH) and result["speech"] is True
    assert result["duration_s"] == pytest.approx(analysis.analyse(SPEECH).clip.waveform.duration_s, abs=1e-3)
    assert set(result["quality"]) == FACTS
    assert [each["model"] for each in result["predictions"]] == list(store.SHIPPED)
    for each in result["predictions"]:
        assert list(each) == ["model", "label", "probabilities", "milliseconds", "sure"]
        assert tuple(each["probabilities"]) == corpora.LABELS
        assert all(0 <= p <= 1 for p in each["probabilities"].values())
        assert sum(each["probabilities"].values()) == pytest.approx(1.0, abs=1e-9)
        assert each["label"] == max(each["probabilities"], key=each["probabilities"].get)
        assert each["milliseconds"] > 0


def test_the_command_line_says_what_the_page_says(run, models):
    _, out, _ = run("predict", SPEECH, "--json")
    heard = analysis.analyse(SPEECH.read_bytes(), name="a visitor's name for it")
    on_page = analysis.recognize([store.load(slug, models) for slug in store.SHIPPED], heard)
    (result,) = json.loads(out)
    assert [each["probabilities"] for each in result["predictions"]] == [each.probabilities for each in on_page]
    assert result["quality"] == json.loads(json.dumps(heard.quality.to_dict()))


def test_predict_prints_a_line_a_model(run):
    status, out, err = run("predict", SPEECH, OTHER)
    lines = out.splitlines()
    assert (status, err, len(lines)) == (0, [], 10)
    assert lines[0].startswith(f"{SPEECH}: ") and "s of speech" in lines[0] and lines[5].startswith(f"{OTHER}: ")
    assert [line.split()[0] for line in lines[1:5]] == list(store.SHIPPED)
    assert all(line.count("%") == 3 for line in lines[1:5])


def test_without_speech_no_model_guesses(run):
    status, out, err = run("predict", NO_SPEECH, "--json")
    (result,) = json.loads(out)
    assert (status, err, result["speech"], result["predictions"]) == (0, [], False, [])
    assert result["quality"]["advice"]
    assert run("predict", NO_SPEECH)[1].splitlines() == [f"{NO_SPEECH}: No speech found ({result['duration_s']:.1f} s)"]


def test_an_unusable_file_is_one_line_and_the_others_are_answered(run, tmp_path):
    text, empty, gone = tmp_path / "text.wav", tmp_path / "empty.mp3", tmp_path / "gone.wav"
    text.write_text("hello")
    empty.touch()
    (tmp_path / "nothing").mkdir()
    status, out, err = run("predict", text, SPEECH, empty, gone, tmp_path / "nothing", "--json")
    assert status == 2
    assert len(err) == 4
    wrong = {
        text: "is text",
        empty: "is empty",
        gone: "does not exist",
        tmp_path / "nothing": "is a folder without a sound file",
    }
    for line, (path, what) in zip(err, wrong.items(), strict=True):
        assert line.startswith(str(path)) and what in line
    results = json.loads(out)
    assert [set(each) == {"file", "error"} for each in results] == [True, False, True, True, True]
    assert [each["error"] for each in results if "error" in each] == err
    assert len(results[1]["predictions"]) == 4


def test_only_unusable_files_print_nothing_but_their_lines(run, tmp_path):
    assert run("predict", tmp_path / "gone.wav")[:2] == (2, "")


def test_models_are_chosen_by_name_in_the_order_given(run):
    _, out, _ = run("predict", SPEECH, "--json", "--models", "cnn_lstm, knn,cnn_lstm,")
    assert [each["model"] for each in json.loads(out)[0]["predictions"]] == ["cnn_lstm", "knn"]


def test_an_unknown_model_is_named_with_those_there_are(run):
    status, out, err = run("predict", SPEECH, "--models", "tree", "--json")
    assert (status, out) == (2, "")
    (line,) = err
    assert line.startswith("There is no model 'tree' in") and "Choose from cnn, cnn_lstm, knn, mlp." in line


@pytest.mark.parametrize("slug", ["../models/knn", "/etc", ".."])
def test_a_model_is_not_sought_elsewhere(run, slug):
    status, out, (line,) = run("predict", SPEECH, "--models", slug)
    assert (status, out) == (2, "") and "is not a model's name" in line


def test_a_broken_model_is_one_line_and_the_others_answer(run, models):
    (models / "mlp" / "model.skops").write_bytes(b"broken")
    status, out, (line,) = run("predict", SPEECH, "--json")
    assert status == 2 and "Model 'mlp'" in line and "hash differs" in line
    assert [each["model"] for each in json.loads(out)[0]["predictions"]] == ["knn", "cnn", "cnn_lstm"]


def test_a_broken_model_that_is_not_asked_does_not_matter(run, models):
    (models / "mlp" / store.CARD).write_text("{")
    status, out, err = run("predict", SPEECH, "--models", "knn,cnn", "--json")
    assert (status, err) == (0, [])
    assert len(json.loads(out)[0]["predictions"]) == 2


def test_without_any_model_the_folder_is_named(run, models):
    shutil.rmtree(models)
    status, out, err = run("predict", SPEECH, "--json")
    assert (status, out, len(err)) == (2, "", 4)
    assert all(str(models) in line for line in err)


def test_models_lists_the_cards(run, models):
    status, out, err = run("models", "--json")
    assert (status, err) == (0, [])
    assert json.loads(out) == json.loads(json.dumps([card.to_dict() for card in store.list_models(models)[0]]))
    assert all(0 <= each["evaluation"]["uar"] <= 1 for each in json.loads(out))
    status, out, err = run("models")
    assert (status, err) == (0, [])
    first_words = [line.split()[0] for line in out.splitlines()]
    assert [word for word in first_words if word in store.SHIPPED] == list(store.SHIPPED)
    assert "12.5%" in out  # the tiny models' cards all say chance


def test_models_reports_a_broken_one(run, models):
    (models / "cnn" / store.CARD).unlink()
    status, out, (line,) = run("models", "--json")
    assert status == 2 and "Model 'cnn' has no card.json" in line
    assert [card["slug"] for card in json.loads(out)] == ["knn", "mlp", "cnn_lstm"]


@pytest.mark.parametrize("arguments", [(), ("predict",), ("paint",), ("predict", "a.wav", "--colour")])
def test_a_misspelt_command_is_explained(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(list(arguments))
    assert stopped.value.code == 2
    assert "usage: python -m ser_core" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--corpus", "ravdess"), "--corpus takes NAME=DIR"),
        (("--corpus", "ravdess=."), "There is no recipe for tree"),
    ],
)
def test_build_models_checks_what_it_is_given(run, arguments, sentence):
    status, _, (line,) = run("build-models", *arguments, "--models", "tree")
    assert status == 2 and sentence in line


def test_long_recordings_are_cut_where_asked_for(run, tmp_path):
    path = tmp_path / "memo.wav"
    speech = audio.decode(SPEECH).waveform.samples
    path.write_bytes(audio.encode_wav(Waveform(np.concatenate([np.zeros(601 * 16_000, np.float32), speech]), 16_000)))
    status, _, (line,) = run("predict", path)
    assert status == 2 and "10 min" in line
    status, out, err = run("predict", path, "--long", "--window", "3", "--hop", "3", "--json", "--models", "knn,mlp")
    (result,) = json.loads(out)
    assert (status, err, result["duration_s"], result["speech"]) == (0, [], round(601 + len(speech) / 16_000, 4), True)
    assert len(result["segments"]) == 202 and {each["speech"] for each in result["segments"][:199]} == {False}
    assert [each["model"] for each in result["segments"][-1]["predictions"]] == ["knn", "mlp"]
    assert [each["model"] for each in result["predictions"]] == ["knn", "mlp"]


def test_long_prints_a_line_a_window(run):
    status, out, _ = run("predict", SPEECH, NO_SPEECH, "--long", "--models", "knn")
    lines = out.splitlines()
    assert status == 0 and len(lines) == 6
    assert "0.0 to     3.0 s  knn" in lines[2] and lines[-1].endswith("no speech")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--window", "3"), "Add --long"),
        (("--long", "--window", "99"), "1 to 10 s"),
        (("--long", "--hop", "0"), "every 0.25 s"),
        (("--jobs", "-1"), "--jobs takes"),
    ],
)
def test_how_to_cut_and_to_share_is_checked(run, options, sentence):
    status, out, (line,) = run("predict", SPEECH, *options)
    assert (status, out) == (2, "") and sentence in line


def test_csv_has_a_line_a_file_and_says_what_json_says(run, tmp_path):
    shutil.copy(SPEECH, tmp_path / "a.flac")
    (tmp_path / "b.wav").write_text("hello")
    status, out, (line,) = run("predict", tmp_path, "--csv")
    assert status == 2 and "is text" in line
    first, second = csv.DictReader(io.StringIO(out))
    (result, _) = json.loads(run("predict", tmp_path, "--json")[1])
    assert first["file"] == str(tmp_path / "a.flac") and second["error"] == line
    for each in result["predictions"]:
        assert first[each["model"]] == each["label"]
        assert float(first[f"{each['model']}_{each['label']}"]) == pytest.approx(
            max(each["probabilities"].values()), abs=1e-6
        )


@pytest.mark.skipif(sys.platform == "win32", reason="Windows refuses such names")
@pytest.mark.parametrize("options", [(), ("--csv",), ("--long",), ("--json",)])
def test_a_file_name_does_nothing_to_the_terminal_or_a_spreadsheet(run, tmp_path, monkeypatch, options):
    monkeypatch.chdir(tmp_path)
    names = ["\x1b[31mred\r.flac", '=HYPERLINK("x").flac', "\u202egpj.flac", "\x9b2J.wav"]
    for name in names[:3]:
        shutil.copy(SPEECH, tmp_path / name)
    status, out, err = run("predict", *names, f"{'a' * 5000}.wav", "--models", "knn", "--jobs", "1", *options)
    assert status == 2 and len(err) == 2
    assert all(line.isprintable() for line in [*out.split("\n"), *err])
    if options == ("--csv",):
        files = [row["file"] for row in csv.DictReader(io.StringIO(out))]
        assert files[:4] == ["�[31mred .flac", '\'=HYPERLINK("x").flac', "�gpj.flac", "�2J.wav"]
    if options == ("--json",):
        assert [each["file"] for each in json.loads(out)][:4] == names
    assert run("predict", "--csv", tmp_path / "out.csv", *names[:3], "--models", "knn")[0] == 0
    written = (tmp_path / "out.csv").read_text(encoding="utf-8")
    assert all(line.isprintable() for line in written.split("\n")) and "\n=" not in written


def test_a_word_of_the_command_line_does_nothing_to_the_terminal(capsys):
    with pytest.raises(SystemExit):
        cli.main(["predict", "a.wav", "--\x1b[2J"])
    assert "\x1b" not in capsys.readouterr().err


def test_csv_is_written_where_asked_for_and_never_over_a_recording(run, tmp_path):
    clip, table = tmp_path / "a.flac", tmp_path / "out.csv"
    shutil.copy(SPEECH, clip)
    assert run("predict", clip, "--models", "knn", "--long", "--csv", table) == (0, "", [])
    rows = list(csv.DictReader(io.StringIO(table.read_text(encoding="utf-8"))))
    assert [row["start_s"] for row in rows] == ["0.0", "0.8165"] and rows[0]["knn"]
    status, out, (line,) = run("predict", "--csv", clip, SPEECH)
    assert (status, out) == (2, "") and "ends in .csv" in line and clip.read_bytes() == SPEECH.read_bytes()
    status, _, (line,) = run("predict", SPEECH, "--csv", tmp_path / "nowhere" / "out.csv")
    assert status == 2 and "cannot be written" in line


def test_a_process_answers_as_main_does(run, built):
    done = process("predict", SPEECH, "nowhere.wav", "--json", models=built)
    status, out, err = run("predict", SPEECH, "nowhere.wav", "--json")
    assert done.returncode == status == 2
    assert done.stderr.splitlines() == err
    ours, theirs = json.loads(out), json.loads(done.stdout)
    assert [each["label"] for each in theirs[0]["predictions"]] == [each["label"] for each in ours[0]["predictions"]]
    for first, second in zip(ours[0]["predictions"], theirs[0]["predictions"], strict=True):
        assert list(first["probabilities"].values()) == pytest.approx(list(second["probabilities"].values()), abs=1e-5)
    assert theirs[1] == ours[1]


def test_a_prediction_loads_no_training_library(built):
    code = (
        "import sys; from ser_core import cli; first = set(sys.modules); status = cli.main(sys.argv[1:]); "
        "heavy = {'tensorflow', 'keras', 'streamlit', 'torch'}; "
        "print(status, sorted(heavy & set(sys.modules)), sorted({'numpy', 'librosa', 'sklearn'} & first))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "predict", str(SPEECH)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "SER_MODELS": str(built)},
    )
    assert done.stdout.splitlines()[-1] == "0 [] []"


@pytest.mark.skipif(
    sys.platform != "linux", reason="other systems refuse names that are not text, or choose the encoding"
)
@pytest.mark.parametrize(("encoding", "options"), [("utf-8", []), ("ascii", []), ("ascii", ["--json"])])
def test_any_file_name_can_be_printed(built, tmp_path, encoding, options):
    folder = os.fsencode(tmp_path)
    paths = [
        os.path.join(folder, name)
        for name in ("Grüße 日本 😀.flac".encode(), b"not utf-8 \xff.flac", b"gone \xfe \xc3\xa9.wav")
    ]
    for path in paths[:2]:
        shutil.copy(os.fsencode(SPEECH), path)
    done = process("predict", *paths, "--models", "knn", *options, models=built, text=False, PYTHONIOENCODING=encoding)
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1 and b"gone" in done.stderr
    if options:
        assert [os.fsencode(each["file"]) for each in json.loads(done.stdout)] == paths


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGPIPE")
@pytest.mark.parametrize("options", [["--json"], []], ids=["more than the buffer", "less"])
def test_a_reader_that_leaves_early_is_no_error(built, options):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "ser_core", "models", *options],
        cwd=ROOT,
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
        env={**os.environ, "SER_MODELS": str(built)},
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """A small corpus 'own' among the installed ones, and a feature cache of this test's own."""
    monkeypatch.setenv("SER_CORPORA", str(tmp_path / "corpora"))
    monkeypatch.setenv("SER_CACHE", str(tmp_path / "cache"))
    return small_corpus.write(tmp_path / "corpora" / "own", takes=1)


def test_features_of_a_selection_are_a_table_on_the_standard_output(run, own):
    status, out, err = run("corpora", "features", "own", "--labels", "angry,sad", "--jobs", 1)
    rows = pd.read_csv(io.StringIO(out))
    assert status == 0 and list(rows.columns[:8]) == [
        "clip",
        "corpus",
        "label",
        "speaker",
        "sex",
        "sentence",
        "intensity",
        "split",
    ]
    assert rows["label"].value_counts().to_dict() == {"angry": 3, "sad": 3} and len(rows.columns) > 600
    assert "Measured 6 of 6 clips." in err and err[-1].startswith("6 clips, ")


def test_features_go_to_a_file_whose_ending_says_how(run, own, tmp_path):
    for name, options in (("f.parquet", []), ("f.csv", []), ("table", ["--format", "parquet"])):
        status, out, _ = run("corpora", "features", "own", "--out", tmp_path / name, *options)
        assert (status, out) == (0, "")
        rows = pd.read_csv(tmp_path / name) if name == "f.csv" else pd.read_parquet(tmp_path / name)
        assert sorted(rows["clip"]) == sorted(own[corpora.NAME]) and str(tmp_path) not in rows.to_csv()


def test_features_of_a_corpus_that_lies_elsewhere_under_merged_labels(run, own, tmp_path):
    for number, (_, row) in enumerate(own.iterrows()):
        code = {"neutral": "01", "angry": "05", "sad": "02"}[row[corpora.EMOTION]]  # 02 is calm
        target = tmp_path / "elsewhere" / f"03-01-{code}-01-01-01-{1 + number % 3:02d}.wav"
        target.parent.mkdir(exist_ok=True)
        shutil.copy(row[corpora.PATH], target)
    given = ["corpora", "features", "ravdess", "--dir", f"ravdess={tmp_path / 'elsewhere'}"]
    for calm, labels in (
        ("keep", {"neutral", "angry", "calm"}),
        ("neutral", {"neutral", "angry"}),
        ("leave-out", {"neutral", "angry"}),
    ):
        status, out, _ = run(*given, "--calm", calm)
        rows = pd.read_csv(io.StringIO(out))
        assert status == 0 and set(rows["label"]) == labels
        assert rows["label"].value_counts()["neutral"] == (6 if calm == "neutral" else 3)
        assert set(rows["split"]) == {"train", "test"}


def test_a_clip_without_features_is_named_and_the_others_are_exported(run, own):
    Path(own[corpora.PATH][0]).write_bytes(b"words")
    status, out, err = run("corpora", "features", "own")
    assert status == 2 and len(pd.read_csv(io.StringIO(out))) == 8
    assert err[-1].startswith(f"Left out: {own[corpora.PATH][0]}: ") and "text" in err[-1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["tess"], "'tess' is not installed"),
        (["own", "--labels", "glee"], "There is no label 'glee'"),
        (["own", "--labels", "disgust"], "None of the 9 clips has one of the labels"),
        (["own", "--dir", "tess"], "--dir takes NAME=DIR"),
        (["own", "--dir", "tess=x"], "--dir names 'tess', which is none of the corpora"),
        (["own", "--dir", "own=gone"], "gone' does not exist"),
        (["own", "--jobs", "0"], "--jobs must be"),
        (["own", "--out", "no such folder/f.csv"], "cannot be written"),
    ],
)
def test_features_that_cannot_be_had_are_a_sentence(run, own, arguments, sentence):
    status, out, err = run("corpora", "features", *arguments)
    assert (status, out) == (2, "") and sentence in err[-1]


def test_the_cache_is_shown_and_cleared(run, own, tmp_path):
    assert run("corpora", "cache")[1] == f"{tmp_path / 'cache'}: 0 entries, 0.0 MB\n"
    run("corpora", "features", "own", "--jobs", 1)
    n, size = dataset.usage(tmp_path / "cache")
    assert n == 10  # nine clips, and their table
    assert run("corpora", "cache")[1] == f"{tmp_path / 'cache'}: 10 entries, {size / 1e6:.1f} MB\n"
    assert run("corpora", "cache", "--clear") == (
        0,
        f"{tmp_path / 'cache'}: 10 entries, {size / 1e6:.1f} MB removed\n",
        [],
    )
    assert dataset.usage(tmp_path / "cache") == (0, 0)
