"""`corpora` as a shell meets it: the list, a check, features as a table, and the cache; downloads: corpora/test_download.py."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from ser_core.corpora import catalogue
from ser_core.dataset import cache, published
from ser_core.experiments import listeners
from ser_core.system import units
from tests.support import ruled_corpus


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """A small corpus 'own' among the installed ones, and a feature cache of this test's own."""
    monkeypatch.setenv("SER_CORPORA", str(tmp_path / "corpora"))
    monkeypatch.setenv("SER_CACHE", str(tmp_path / "cache"))
    return ruled_corpus.write(tmp_path / "corpora" / "own", takes=1)


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
    for name, options in (("f.parquet", []), ("f.csv", []), ("table", ["--parquet"])):
        status, out, _ = run("corpora", "features", "own", "--out", tmp_path / name, *options)
        assert (status, out) == (0, "")
        rows = pd.read_csv(tmp_path / name) if name == "f.csv" else pd.read_parquet(tmp_path / name)
        assert sorted(rows["clip"]) == sorted(own[catalogue.NAME]) and str(tmp_path) not in rows.to_csv()


def test_features_of_a_corpus_that_lies_elsewhere_under_merged_labels(run, own, tmp_path):
    for number, (_, row) in enumerate(own.iterrows()):
        code = {"neutral": "01", "angry": "05", "sad": "02"}[row[catalogue.EMOTION]]  # 02 is calm
        target = tmp_path / "elsewhere" / f"03-01-{code}-01-01-01-{1 + number % 3:02d}.wav"
        target.parent.mkdir(exist_ok=True)
        shutil.copy(row[catalogue.PATH], target)
    given = ["corpora", "features", f"ravdess={tmp_path / 'elsewhere'}"]
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
    Path(own[catalogue.PATH][0]).write_bytes(b"words")
    status, out, err = run("corpora", "features", "own")
    assert status == 2 and len(pd.read_csv(io.StringIO(out))) == 8
    assert err[-1].startswith(f"Left out: {own[catalogue.PATH][0]}: ") and "text" in err[-1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["tess"], "'tess' is not installed"),
        (["own", "--labels", "glee"], "There is no label 'glee'"),
        (["own", "--labels", "disgust"], "None of the 9 clips has one of the labels"),
        (["own="], "takes NAME or NAME=DIR"),
        (["own", "own=x"], "names 'own' twice"),
        (["own=gone"], "gone' does not exist"),
        (["own", "--jobs", "0"], "--jobs must be"),
        (["own", "--out", "no such folder/f.csv"], "cannot be written"),
    ],
)
def test_features_that_cannot_be_had_are_a_sentence(run, own, arguments, sentence):
    status, out, err = run("corpora", "features", *arguments)
    assert (status, out) == (2, "") and sentence in err[-1]


def test_what_people_heard_is_printed_and_summed_up_again_from_a_folder(run, own, tmp_path):
    status, out, _ = run("corpora", "listeners")
    assert (
        status == 0
        and "name the acted label in 41.6%" in out
        and out.splitlines()[-1].split()[:2] == ["disgust", "1271"]
    )
    rows = [
        f'"1{n:05}",0,0,0,0,9,1,"1001_IEO_{code}_XX"'
        for n, code in enumerate(("ANG", "DIS", "FEA", "HAP", "NEU", "SAD"))
    ]
    folder = tmp_path / "CREMA-D" / "processedResults"
    folder.mkdir(parents=True)
    (folder / "tabulatedVotes.csv").write_text("\n".join(['"","A","D","F","H","N","S","fileName"', *rows]))
    file = tmp_path / "people.json"
    status, out, _ = run("corpora", "listeners", f"cremad={folder.parent}", "--out", str(file), "--json")
    (each,) = json.loads(out)
    assert status == 0 and each["named"] == [1, 0, 0, 0, 0, 0] and each["accuracy"] == pytest.approx(1 / 6)
    assert listeners.read_results(file)["cremad"].n_answers == 60


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["tess"], "No votes of listeners are published for 'tess'"),
        (["cremad"], "holds no votes of listeners"),
        (["--out", "x.json"], "Name a corpus whose votes"),
        (["cremad", "--out", "no such folder/x.json"], "cannot be written"),
    ],
)
def test_votes_that_cannot_be_had_are_a_sentence(run, own, arguments, sentence):
    status, out, err = run("corpora", "listeners", *arguments)
    assert (status, out) == (2, "") and sentence in err[-1]


def test_the_cache_is_shown_and_cleared(run, own, tmp_path):
    assert run("corpora", "cache")[1] == f"{tmp_path / 'cache'}: 0 entries, 0 Bytes\n"
    run("corpora", "features", "own", "--jobs", 1)
    n, size = cache.usage(tmp_path / "cache")
    assert n == 11  # nine clips, their table, and what they share by sound
    assert run("corpora", "cache")[1] == f"{tmp_path / 'cache'}: 11 entries, {units.size(size)}\n"
    assert run("corpora", "cache", "--clear") == (
        0,
        f"{tmp_path / 'cache'}: 11 entries, {units.size(size)} removed\n",
        [],
    )
    assert cache.usage(tmp_path / "cache") == (0, 0)


def test_the_list_and_a_check_need_no_corpus_of_the_catalogue(run, own, tmp_path):
    status, out, err = run("corpora", "list")
    assert (status, err) == (0, []) and out.splitlines()[-1].split()[:2] == ["own", "9"]
    status, out, err = run("corpora", "check", "own", "--jobs", 1)
    assert (status, err) == (0, ["Read 9 of 9 clips."]) and out.startswith("9 clips, ")
    assert run("corpora", "check", "own", "--jobs", 0)[0] == 2


def test_prints_of_published_corpora_are_computed_into_a_file(run, own, tmp_path):
    ruled_corpus.write_as_ravdess(tmp_path / "elsewhere")
    out = tmp_path / "prints.npz"
    status, said, err = run("corpora", "prints", f"ravdess={tmp_path / 'elsewhere'}", "--out", out, "--jobs", 1)
    assert status == 0 and said.startswith(f"{out}: 18 prints of ravdess") and "Decoded" in " ".join(err)
    assert len(published.read(out).name) == 18
    status, _, err = run("corpora", "prints", "own", "--out", out, "--jobs", 1)
    assert status == 2 and "'own' is none of ravdess" in err[-1]
