"""`predict` as a user meets it: JSON, CSV, text, sentences, exit status; and as a process: what it loads and survives."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys

import av
import numpy as np
import pytest
import soundfile

from ser_core.audio import decoding, waveform
from ser_core.audio.waveform import Waveform
from ser_core.corpora import catalogue
from ser_core.recognition import analysis, batch, personal, store
from tests.support.models import pool
from tests.support.shell import NO_SPEECH, OTHER, ROOT, SPEECH, process

FACTS = {
    "duration_s",
    "level_dbfs",
    "peak_dbfs",
    "clipped",
    "silence",
    "speech_s",
    "heard_s",
    "whispered",
    "snr_db",
    "bandwidth_hz",
    "steady",
    "summary",
    "advice",
}


def test_predict_gives_the_promised_json(run):
    status, out, err = run("predict", SPEECH, "--json")
    assert (status, err) == (0, [])
    (result,) = json.loads(out)
    read = ["truncated", "channel", "track", "remarks"]
    assert list(result) == ["file", "duration_s", *read, "quality", "speech", "predictions"]
    assert [result[name] for name in read] == [False, "mean", 1, []]
    assert result["file"] == str(SPEECH) and result["speech"] is True
    assert result["duration_s"] == pytest.approx(analysis.analyse(SPEECH).clip.waveform.duration_s, abs=1e-3)
    assert set(result["quality"]) == FACTS
    assert [each["model"] for each in result["predictions"]] == list(store.SHIPPED)
    for each in result["predictions"]:
        assert list(each) == ["model", "label", "probabilities", "milliseconds", "sure"]
        assert tuple(each["probabilities"]) == catalogue.LABELS
        assert all(0 <= p <= 1 for p in each["probabilities"].values())
        assert sum(each["probabilities"].values()) == pytest.approx(1.0, abs=1e-9)
        assert each["label"] == max(each["probabilities"], key=each["probabilities"].get)
        assert each["milliseconds"] > 0


def test_all_together_comes_first_where_the_models_have_a_pool(run, models):
    pool(models, threshold=0.99)
    (result,) = json.loads(run("predict", SPEECH, "--json")[1])
    whole = result["together"]
    assert list(whole) == list(result["predictions"][0]) and whole["sure"] is False
    assert [each["model"] for each in result["predictions"]] == list(store.SHIPPED)
    lines = run("predict", SPEECH)[1].splitlines()
    assert lines[1].startswith(f"  together   not sure: {whole['label']} ") and len(lines) == 2 + len(store.SHIPPED)
    (row,) = csv.DictReader(io.StringIO(run("predict", SPEECH, "--csv")[1]))
    assert (row["together"], row["together_sure"]) == (whole["label"], "False")
    assert float(row["together_happy"]) == pytest.approx(whole["probabilities"]["happy"], abs=1e-6)
    assert int(row["votes"] or 0) <= len(store.SHIPPED)
    assert list(row).index("together") < list(row).index("knn")
    long = json.loads(run("predict", SPEECH, "--long", "--json")[1])[0]
    assert long["together"]["sure"] is False and "together" in long["segments"][0]
    assert "together not sure: " in run("predict", SPEECH, "--long")[1]


def test_without_all_of_its_models_a_pool_says_nothing(run, models):
    pool(models)
    (result,) = json.loads(run("predict", SPEECH, "--model", "knn", "--model", "mlp", "--json")[1])
    assert "together" not in result
    assert "together" not in run("predict", SPEECH, "--model", "knn", "--csv")[1]


def test_a_damaged_pool_is_told_and_the_models_answer(run, models):
    (models / "together.json").write_text("{")
    status, out, (line,) = run("predict", SPEECH, "--json")
    assert status == 2 and line.startswith("together.json cannot be used: ")
    (result,) = json.loads(out)
    assert len(result["predictions"]) == len(store.SHIPPED) and "together" not in result


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
    assert (status, err, len(lines)) == (0, [], 2 * (1 + len(store.SHIPPED)))
    assert (
        lines[0].startswith(f"{SPEECH}: ")
        and "s of speech" in lines[0]
        and lines[1 + len(store.SHIPPED)].startswith(f"{OTHER}: ")
    )
    assert [line.split()[0] for line in lines[1 : 1 + len(store.SHIPPED)]] == list(store.SHIPPED)
    assert all(line.count("%") == 3 for line in lines[1 : 1 + len(store.SHIPPED)])


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
    assert len(results[1]["predictions"]) == len(store.SHIPPED)


def test_only_unusable_files_print_nothing_but_their_lines(run, tmp_path):
    assert run("predict", tmp_path / "gone.wav")[:2] == (2, "")


def test_models_are_chosen_by_name_in_the_order_given(run):
    _, out, _ = run("predict", SPEECH, "--json", "--model", "cnn_lstm", "--model", "knn", "--model", "cnn_lstm")
    assert [each["model"] for each in json.loads(out)[0]["predictions"]] == ["cnn_lstm", "knn"]


def test_an_unknown_model_is_named_with_those_there_are(run):
    status, out, err = run("predict", SPEECH, "--model", "tree", "--json")
    assert (status, out) == (2, "")
    (line,) = err
    assert line.startswith("There is no model 'tree' in") and "Choose from cnn, cnn_lstm, knn, mlp, transfer." in line


@pytest.mark.parametrize("slug", ["../models/knn", "/etc", ".."])
def test_a_model_is_not_sought_elsewhere(run, slug):
    status, out, (line,) = run("predict", SPEECH, "--model", slug)
    assert (status, out) == (2, "") and "is not a model's name" in line


def test_a_broken_model_is_one_line_and_the_others_answer(run, models):
    (models / "mlp" / "model.skops").write_bytes(b"broken")
    status, out, (line,) = run("predict", SPEECH, "--json")
    assert status == 2 and "Model 'mlp'" in line and "hash differs" in line
    assert [each["model"] for each in json.loads(out)[0]["predictions"]] == [
        slug for slug in store.SHIPPED if slug != "mlp"
    ]


def test_a_broken_model_that_is_not_asked_does_not_matter(run, models):
    (models / "mlp" / store.CARD).write_text("{")
    status, out, err = run("predict", SPEECH, "--model", "knn", "--model", "cnn", "--json")
    assert (status, err) == (0, [])
    assert len(json.loads(out)[0]["predictions"]) == 2


def test_without_any_model_the_folder_is_named(run, models):
    shutil.rmtree(models)
    status, out, err = run("predict", SPEECH, "--json")
    assert (status, out, len(err)) == (2, "", len(store.SHIPPED))
    assert all(str(models) in line for line in err)


def test_long_recordings_are_cut_where_asked_for(run, tmp_path):
    path = tmp_path / "memo.wav"
    speech = decoding.decode(SPEECH).waveform.samples
    path.write_bytes(
        waveform.encode_wav(Waveform(np.concatenate([np.zeros(601 * 16_000, np.float32), speech]), 16_000))
    )
    status, _, (line,) = run("predict", path)
    assert status == 2 and "10 min" in line
    status, out, err = run(
        "predict", path, "--long", "--window", "3", "--hop", "3", "--json", "--model", "knn", "--model", "mlp"
    )
    (result,) = json.loads(out)
    assert (status, err, result["duration_s"], result["speech"]) == (0, [], round(601 + len(speech) / 16_000, 4), True)
    assert len(result["segments"]) == 202 and {each["speech"] for each in result["segments"][:199]} == {False}
    assert [each["model"] for each in result["segments"][-1]["predictions"]] == ["knn", "mlp"]
    assert [each["model"] for each in result["predictions"]] == ["knn", "mlp"]


def test_long_prints_a_line_a_window(run):
    status, out, _ = run("predict", SPEECH, NO_SPEECH, "--long", "--model", "knn")
    lines = out.splitlines()
    assert status == 0 and len(lines) == 6
    assert "0.0 to     3.0 s  knn" in lines[2] and lines[-1].endswith("no speech")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--window", "3"), "Add --long"),
        (("--long", "--window", "99"), "1 to 10 s"),
        (("--long", "--hop", "0"), "every 0.25 s"),
        (("--jobs", "-1"), "--jobs must be 1 or more"),
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
    status, out, err = run("predict", *names, f"{'a' * 5000}.wav", "--model", "knn", "--jobs", "1", *options)
    assert status == 2 and len(err) == 2
    assert all(line.isprintable() for line in [*out.split("\n"), *err])
    if options == ("--csv",):
        files = [row["file"] for row in csv.DictReader(io.StringIO(out))]
        assert files[:4] == ["�[31mred .flac", '\'=HYPERLINK("x").flac', "�gpj.flac", "�2J.wav"]
    if options == ("--json",):
        assert [each["file"] for each in json.loads(out)][:4] == names
    assert run("predict", "--csv", "--out", tmp_path / "out.csv", *names[:3], "--model", "knn")[0] == 0
    written = (tmp_path / "out.csv").read_text(encoding="utf-8")
    assert all(line.isprintable() for line in written.split("\n")) and "\n=" not in written


def test_results_are_written_where_asked_for_and_never_over_a_recording(run, tmp_path):
    clip, table = tmp_path / "a.flac", tmp_path / "out.csv"
    shutil.copy(SPEECH, clip)
    assert run("predict", clip, "--model", "knn", "--long", "--csv", "--out", table) == (0, "", [])
    rows = list(csv.DictReader(io.StringIO(table.read_text(encoding="utf-8"))))
    assert [row["start_s"] for row in rows] == ["0.0", "0.8165"] and rows[0]["knn"]
    status, out, (line,) = run("predict", "--csv", SPEECH, "--out", clip)
    assert (status, out) == (2, "") and "ends in .csv" in line and clip.read_bytes() == SPEECH.read_bytes()
    status, _, (line,) = run("predict", SPEECH, "--csv", "--out", tmp_path / "nowhere" / "out.csv")
    assert status == 2 and "cannot be written" in line


@pytest.mark.parametrize(("form", "ending"), [((), ".txt"), (("--json",), ".json"), (("--csv",), ".csv")])
def test_a_file_holds_what_would_be_printed_and_its_name_says_the_form(run, tmp_path, form, ending):
    target = tmp_path / f"out{ending}"
    _, printed, _ = run("predict", NO_SPEECH, "--model", "knn", *form)
    assert run("predict", NO_SPEECH, "--model", "knn", *form, "--out", target) == (0, "", [])
    assert target.read_text(encoding="utf-8").splitlines() == printed.splitlines()
    status, _, (line,) = run("predict", NO_SPEECH, "--model", "knn", *form, "--out", tmp_path / "out.xml")
    assert status == 2 and f"ends in {ending}" in line and not (tmp_path / "out.xml").exists()


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
        "import sys; from ser_core.cli import main; first = set(sys.modules); status = main.main(sys.argv[1:]); "
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
    done = process("predict", *paths, "--model", "knn", *options, models=built, text=False, PYTHONIOENCODING=encoding)
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1 and b"gone" in done.stderr
    if options:
        assert [os.fsencode(each["file"]) for each in json.loads(done.stdout)] == paths


def two_people(path):
    """A file with one voice on the left and another on the right."""
    sounds = [decoding.decode(file).waveform.samples[:32_000] for file in (SPEECH, OTHER)]
    n = min(map(len, sounds))
    soundfile.write(path, np.stack([sound[:n] for sound in sounds], axis=1), 16_000)
    return path


@pytest.mark.parametrize("long", [(), ("--long",)])
def test_two_people_on_two_channels_are_told_and_either_can_be_chosen(run, tmp_path, long):
    path = two_people(tmp_path / "two.wav")
    (result,) = json.loads(run("predict", path, "--json", "--model", "mlp", *long)[1])
    assert "different voices" in result["remarks"][0]
    found = {}
    for channel in ("left", "right", "2", "mean"):
        (each,) = json.loads(run("predict", path, "--json", "--model", "mlp", "--channel", channel, *long)[1])
        assert each["channel"] == {"2": "right"}.get(channel, channel)
        found[channel] = each["predictions"][0]["probabilities"]
    assert found["left"] != found["right"] == found["2"]
    assert result["predictions"][0]["probabilities"] == found[result["channel"]]
    assert "different voices" in run("predict", path, "--model", "mlp", *long)[1]


def test_a_channel_that_does_not_exist_is_a_sentence(run, tmp_path):
    path = two_people(tmp_path / "two.wav")
    status, _, err = run("predict", path, "--channel", "3")
    assert status == 1 or status == 2
    assert "has 2 channels, and no channel '3'" in err[-1]
    status, _, err = run("predict", path, "--channel", "middle")
    assert status == 2
    assert "--channel takes left, right, mean, difference, or a number from 1 to 8. Got 'middle'." in err[-1]


def two_tracks(path):
    """A film with a voice on each of two sound tracks."""
    with av.open(str(path), "w", format="mp4") as container:
        streams = [container.add_stream("aac", rate=16_000, layout="mono") for _ in range(2)]
        for stream, file in zip(streams, (SPEECH, OTHER), strict=True):
            frame = av.AudioFrame.from_ndarray(decoding.decode(file).waveform.samples[None, :32_000], "fltp", "mono")
            frame.sample_rate = 16_000
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("long", [(), ("--long",)])
def test_of_two_tracks_either_can_be_chosen(run, tmp_path, long):
    path = two_tracks(tmp_path / "two.mp4")
    command = ("predict", path, "--json", "--model", "mlp", *long)
    found = [json.loads(run(*command, *more)[1])[0] for more in ((), ("--track", "1"), ("--track", "2"))]
    assert [each["track"] for each in found] == [1, 1, 2]
    answers = [each["predictions"][0]["probabilities"] for each in found]
    assert answers[0] == answers[1] != answers[2]
    assert "there is speech in track 2 too" in found[0]["remarks"][0]
    assert found[2]["remarks"] == ["Sound track 2 of 2 was used, as chosen."]


def test_a_track_that_does_not_exist_is_a_sentence(run, tmp_path):
    path = two_tracks(tmp_path / "two.mp4")
    assert "has 2 sound tracks, and no track 3. Choose 1 to 2." in run("predict", path, "--track", "3")[2][-1]
    status, _, err = run("predict", path, "--track", "0")
    assert status == 2 and "--track takes a number from 1 on. Got 0." in err[-1]


def test_a_file_that_is_cut_off_says_so_in_json_and_in_text(run, tmp_path):
    whole = waveform.encode_wav(decoding.decode(SPEECH).waveform)
    path = tmp_path / "cut.wav"
    path.write_bytes(whole[: 2 * len(whole) // 3])
    (result,) = json.loads(run("predict", path, "--json", "--model", "mlp")[1])
    assert (result["truncated"], result["remarks"]) == (True, [decoding.TRUNCATED])
    assert decoding.TRUNCATED in run("predict", path, "--model", "mlp")[1]


def test_a_saved_voice_adapts_the_models_that_it_was_recorded_for(run, models, tmp_path):
    pool(models)
    before = json.loads(run("predict", SPEECH, "--json")[1])[0]
    heard = analysis.analyse(SPEECH)
    recognizers = [store.load(slug, models) for slug in ("mlp", "cnn")]
    answers = analysis.recognize(recognizers, heard)
    takes = [personal.take_of(label, answers) for label in ("sad", "sad", "calm", "fear")]
    voice = personal.adapt(takes, map(personal.reference, recognizers))
    file = tmp_path / f"me{personal.ENDING}"
    file.write_bytes(voice.to_bytes())
    status, out, err = run("predict", SPEECH, "--json", "--voice", file)
    assert (status, err[0]) == (0, "mlp, cnn: adapted to 4 takes")
    assert err[1].startswith("knn, cnn_lstm, transfer: not adapted; ") and len(err) == 2
    after = json.loads(out)[0]
    changed = {
        each["model"]
        for each, old in zip(after["predictions"], before["predictions"], strict=True)
        if each["probabilities"] != old["probabilities"]
    }
    assert changed == {"mlp", "cnn"} and after["together"]["probabilities"] != before["together"]["probabilities"]
    marked = {each["model"] for each in batch.predictions(after) if each.get("adapted_to_takes") == 4}
    assert marked == {*changed, "together"} and "adapted_to_takes" not in json.dumps(before)
    (row,) = csv.DictReader(run("predict", SPEECH, "--csv", "--voice", file)[1].splitlines())
    assert row["adapted_to_takes"] == "4"
    for each in after["predictions"]:
        if each["model"] in changed:
            there = next(old for old in before["predictions"] if old["model"] == each["model"])["probabilities"]
            assert each["probabilities"]["sad"] > there["sad"]
    long = json.loads(run("predict", SPEECH, "--long", "--json", "--voice", file)[1])[0]
    plain = json.loads(run("predict", SPEECH, "--long", "--json")[1])[0]
    assert long["segments"][0]["together"] != plain["segments"][0]["together"]


def test_a_voice_that_cannot_be_used_is_refused_before_anything_is_predicted(run, tmp_path):
    status, out, err = run("predict", SPEECH, "--voice", tmp_path / "gone.voice.json")
    assert (status, out) == (2, "") and "cannot be read: No such file" in err[0]
    (tmp_path / "bad.voice.json").write_bytes(b"PK\x03\x04")
    status, out, err = run("predict", SPEECH, "--voice", tmp_path / "bad.voice.json")
    assert (status, out) == (2, "") and "not a saved voice" in err[0]
    other = personal.Reference("mine", "ab12", catalogue.LABELS)
    takes = [personal.Take(label, {"mine": np.zeros(8)}) for label in catalogue.LABELS]
    (tmp_path / "other.voice.json").write_bytes(personal.adapt(takes, [other]).to_bytes())
    status, out, err = run("predict", SPEECH, "--voice", tmp_path / "other.voice.json")
    assert (status, out) == (2, "") and "recorded for other models (mine)" in err[0]
