"""`evaluate` as a shell meets it: recipes and trained models, JSON and tables, warnings, and what cannot be had."""

from __future__ import annotations

import functools
import json

import pytest

from tests.support import corpora

QUICK = ("--classifier", "mlp", "--set", "hidden=4", "--set", "epochs=2")


@pytest.fixture
def evaluate(measure):
    return functools.partial(measure, "evaluate")


def test_a_recipe_is_one_json_object(evaluate, base, capsys):
    folder = base / "corpora" / "ravdess"
    given = [*QUICK, "--corpus", f"ravdess={folder}", "--train-corpus", "tess", "--protocol", "speaker"]
    assert evaluate(*given, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    wanted = "protocol corpus n_clips n_test_speakers accuracy uar macro_f1 ece interval per_label confusion"
    assert set(wanted.split()) <= set(said) and (said["model"], said["corpus"], said["n_clips"]) == (
        "mlp",
        "ravdess",
        64,
    )
    assert said["seen"] == {"speaker": 0, "sentence": 1, "twin": 0}


def test_several_models_are_a_list_and_the_mean_is_one_of_them(evaluate, capsys):
    assert evaluate("--model", "knn", "--model", "mean", "--corpus", "tess", "--json") == 0
    one, mean = json.loads(capsys.readouterr().out)
    assert (one["model"], mean["model"], mean["protocol"]) == ("knn", "mean", "as trained") and mean["heard"][
        "clip"
    ] == 0


def test_protocols_stand_apart_and_what_cannot_be_had_does_not_stop_the_others(evaluate, capsys):
    asked = ["random", "sentence", "cross-corpus"]
    given = [*QUICK, "--corpus", "tess", "--separately"]
    assert evaluate(*given, *[word for name in asked for word in ("--protocol", name)]) == 2
    said = capsys.readouterr()
    first, second = said.out.split("protocol sentence")
    assert "protocol random" in first and "100% / 100% / 0%" in first and "100% / 0% / 0%" in second
    assert "tess, cross-corpus: To be tested across corpora, 'tess' needs another corpus" in said.err


def test_sentences_that_give_the_emotion_away_are_told_until_they_are_held_out(evaluate, tmp_path, capsys):
    for number, speaker in enumerate(("DC", "JE")):
        for code, label in (("h", "happy"), ("sa", "sad")):
            for sentence in range(6, 12):
                sound = corpora.voice(5 * number, label, sentence)
                corpora.write(tmp_path / "savee" / f"{speaker}_{code}{sentence:02d}.wav", sound)
    given = [*QUICK, "--corpus", f"savee={tmp_path / 'savee'}", "--protocol", "speaker"]
    assert evaluate(*given, "--protocol", "speaker and sentence") == 0
    first, second = capsys.readouterr().out.split("protocol speaker and sentence")
    assert "0% / 100% / 0%" in first and "The sentences of SAVEE give the emotion away" in first
    assert "0% / 0% / 0%" in second and "give the emotion away: most" not in second


def test_a_model_that_knows_the_clips_is_marked(evaluate, base, capsys):
    path = base / "models" / "mlp" / "card.json"
    card = json.loads(path.read_text())
    path.write_text(
        json.dumps(card | {"corpora": [{"corpus": "tess"}], "split": {"train": {"speakers": ["tess:OAF"]}}})
    )
    try:
        assert evaluate("--model", "mlp", "--corpus", "tess") == 0
    finally:
        path.write_text(json.dumps(card))
    assert "NOT A HELD-OUT FIGURE: 50% of these clips it was trained on." in capsys.readouterr().out


def test_recordings_of_ones_own_are_read_from_folders(evaluate, base, tmp_path, capsys):
    mine = tmp_path / "mine"
    for label in ("happy", "sad"):
        corpora.write(mine / label / "a.wav", corpora.voice(1, label, 1))
    assert evaluate("--model", "knn", "--corpus", f"mine={mine}", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["corpus"] == "mine" and said["n_clips"] == 2


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--corpus", "tess"], "Say what to measure"),
        (["--corpus", "tess", "--classifier", "lda"], "Add --protocol speaker"),
        (["--corpus", "tess", "--classifier", "lda", "--protocol", "hope"], "no protocol 'hope'"),
        (["--corpus", "savee", "--model", "knn"], "'savee' is not installed"),
        (["--corpus", "tess=", "--model", "knn"], "takes NAME or NAME=DIR"),
        (["--corpus", "tess", "--model", "gone"], "There is no model 'gone'"),
        (
            ["--corpus", "tess", "--classifier", "lda", "--copies", "99", "--protocol", "speaker"],
            "--copies must be 0 to 10",
        ),
        (["--corpus", "tess", "--classifier", "lda", "--protocol", "cross-corpus"], "needs another corpus"),
        (["--corpus", "tess", "--model", "knn", "--jobs", "0"], "--jobs must be 1"),
    ],
)
def test_what_cannot_be_had_is_a_line_and_status_two(evaluate, capsys, given, words):
    assert evaluate(*given) == 2
    said = capsys.readouterr()
    assert words in said.err and not said.out
