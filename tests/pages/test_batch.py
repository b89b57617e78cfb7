"""The Batch page, driven without a browser: it fills, stops, filters, scores, and gives away what the core computes."""

from __future__ import annotations

import io
import json
import re
import threading
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from pages.ui import recognition, state, task
from pages.ui.batch import table as batch_table
from pages.ui.batch.run import Run
from pages.ui.batch.table import AGREE, ALL, DIFFER, FAILED, SILENT, WRONG, as_json, as_parquet, frame_of, select
from ser_core.audio import waveform
from ser_core.corpora import uploads
from ser_core.recognition import analysis, batch, store
from tests.support import pages
from tests.support.models import TITLES, pool
from tests.support.pages import text

ROOT = Path(__file__).resolve().parents[2]
SPEECH = (ROOT / "pages" / "samples" / "bright.flac").read_bytes()
OTHER = (ROOT / "pages" / "samples" / "flat.flac").read_bytes()
SILENCE = waveform.encode_wav(waveform.Waveform(np.zeros(16_000, dtype=np.float32), 16_000))
FILES = {
    "03-01-05-01-02-01-12.flac": SPEECH,
    "broken.wav": b"RIFF",
    "happy/x.flac": OTHER,
    "quiet.wav": SILENCE,
    "notes.txt": b"hello",
}


@pytest.fixture
def page(models: Path) -> AppTest:
    return pages.visit("pages/batch.py")


def packed(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return file.getvalue()


def give(page: AppTest, name: str, data: bytes) -> AppTest:
    page.get("file_uploader")[0].set_value([(name, data, "application/octet-stream")])
    return page.run()


def ask(page: AppTest, files: dict[str, bytes] = FILES) -> str:
    """Give a zip, start, and wait for the end."""
    give(page, "all.zip", packed(files))
    page.button("batch.start").click().run()
    return text(pages.finish(page, state.BATCH))


def test_the_empty_page_says_what_to_give(page: AppTest) -> None:
    assert "Up to 500 recordings" in text(page)
    assert page.button("batch.start").disabled


def test_a_batch_says_of_each_file_what_the_core_says(page: AppTest, models: Path) -> None:
    said = ask(page)
    assert (
        "**4 recordings**, 1 without speech, 1 that cannot be used" in said
        and "1 file that is neither sound nor table" in said
    )
    shown = page.dataframe[0].value
    assert list(shown["File"]) == ["03-01-05-01-02-01-12.flac", "broken.wav", "happy/x.flac", "quiet.wav"]
    assert list(shown["Acted as"]) == ["angry", "", "happy", ""]
    assert shown["Problem"][1] and not shown["Problem"][0] and shown["Quality"][3] == "No speech found"
    recognizers = [store.load(slug, models) for slug in store.SHIPPED]
    for row, data in ((0, SPEECH), (2, OTHER)):
        expected = analysis.recognize(recognizers, analysis.analyse(data))
        for each in expected:
            title = TITLES[each.model]
            assert shown[title][row] == each.label
            assert shown[f"{title} %"][row] == pytest.approx(100 * each.probabilities[each.label])
        assert shown["Majority"][row], shown["Votes"][row] == batch.majority([each.label for each in expected])


def test_all_together_has_a_column_and_a_score_but_no_vote(page: AppTest, models: Path) -> None:
    pool(models)
    ask(page.run())
    shown = page.dataframe[0].value
    recognizers = [store.load(slug, models) for slug in store.SHIPPED]
    for row, data in ((0, SPEECH), (2, OTHER)):
        whole, *alone = analysis.recognize(recognizers, analysis.analyse(data), folder=models)
        assert shown["All together"][row] == whole.label
        assert shown["All together %"][row] == pytest.approx(100 * whole.probabilities[whole.label], abs=1e-3)
        assert (shown["Majority"][row], shown["Votes"][row]) == batch.majority([each.label for each in alone])
    assert list(shown).index("All together") < list(shown).index("KNN")
    assert page.table[0].value.index[0] == "All together"
    run = page.session_state[state.BATCH]
    assert list(frame_of(run)["together"].fillna("")) == [*shown["All together"]]
    assert json.loads(as_json(run))[0]["together"]["label"] == shown["All together"][0]


def test_true_labels_give_scores_with_their_caveat(page: AppTest) -> None:
    said = ask(page)
    (table,) = page.table
    titles = [re.sub(r"\\(.)", r"\1", title) for title in table.value.index]
    assert titles == list(TITLES.values()) and set(table.value["Clips"]) == {"2"}
    assert "A figure from few clips" in said and "learned from that very corpus" not in said
    page.button("batch.clear").click().run()
    assert "How often" not in ask(page, {"a.flac": SPEECH}) and not page.table


def test_a_cell_of_the_matrix_leads_to_the_recordings_behind_it(page: AppTest) -> None:
    ask(page)
    run = page.session_state[state.BATCH]
    slug = next(iter(run.labels))
    places, said = batch_table.answers_of(run, slug)
    assert [run.truths[place] for place in places] == ["angry", "happy"]
    answered = run.labels[slug][said[1].argmax()]
    page.selectbox(f"batch.confusion.{slug}.cell.acted").set_value("happy")
    page.selectbox(f"batch.confusion.{slug}.cell.answered").set_value(answered).run()
    assert f"Acted happy, answered {answered}: 1 clip" in text(page)
    table = next(each for each in page.dataframe if each.key.startswith("batch.confusion"))
    assert table.value["Clip"].tolist() == ["happy/x.flac"]
    page.session_state[table.key] = {"selection": {"rows": [0], "columns": [], "cells": []}}
    page.run()
    assert "**Clip** · happy/x.flac" in text(page) and "Acted as **happy**" in text(page)
    other = pages.visit("pages/batch.py")
    assert "happy/x.flac" not in text(other) and not other.dataframe


def test_clips_of_a_corpus_that_was_trained_on_are_said_to_prove_little(models: Path) -> None:
    cards, _ = store.list_models(models)
    for card in cards:
        path = models / card.slug / store.CARD
        path.write_text(json.dumps({**card.to_dict(), "corpora": [{"corpus": "ravdess"}]}))
    page = pages.visit()
    page.switch_page("pages/batch.py")
    assert "named like clips of RAVDESS, and the models have learned from that very corpus" in ask(page.run())


def test_a_recording_is_heard_and_opened_in_recognize(page: AppTest) -> None:
    ask(page)
    key = next(each.key for each in page.dataframe)
    page.session_state[key] = {"selection": {"rows": [2], "columns": [], "cells": []}}
    page.run()
    assert "**Recording** · happy/x.flac" in text(page) and "Acted as **happy**" in text(page)
    page.button("batch.open").click().run()
    assert page.title[0].value == "Recognize" and page.session_state[state.CLIP].data == OTHER


def test_a_refused_zip_is_one_sentence_and_nothing_starts(page: AppTest) -> None:
    give(page, "all.zip", packed({"../evil.wav": SPEECH}))
    assert len(page.error) == 1 and "points outside the folder" in text(page) and page.button("batch.start").disabled


def test_a_batch_stays_when_the_page_is_left_and_goes_when_another_is_wanted(page: AppTest) -> None:
    ask(page)
    page.switch_page("pages/guide.py").run()
    page.switch_page("pages/batch.py").run()
    assert "**4 recordings**" in text(page)
    page.button("batch.clear").click().run()
    assert "Up to 500 recordings" in text(page) and page.button("batch.start").disabled


def test_stop_keeps_what_is_done(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    going, going_on = threading.Event(), threading.Event()
    original = recognition.predict_short

    def slowly(data, name, cards):
        if name == "happy/x.flac":
            going.set()
            going_on.wait(30)
        return original(data, name, cards)

    monkeypatch.setattr(recognition, "predict_short", slowly)
    give(page, "all.zip", packed(FILES))
    page.button("batch.start").click().run()
    assert going.wait(30)
    assert len(page.run().dataframe[0].value) == 2
    page.button("batch.stop").click().run()
    going_on.set()
    said = text(pages.finish(page, state.BATCH))
    assert "Stopped." in said and "**3 of 4 recordings**" in said and len(page.dataframe[0].value) == 3


# --- the table and the files, without a page


@pytest.fixture
def run() -> Run:
    names = ["a", "b", "c", "d", "e"]
    truths = ["sad", None, "sad", "calm", None]
    recordings = tuple(uploads.Recording(name, bytes, truth) for name, truth in zip(names, truths, strict=True))
    found = Run(
        uploads.Uploads(recordings, ()),
        {"knn": "KNN", "mlp": "MLP"},
        {"knn": ("sad", "calm"), "mlp": ("sad", "calm")},
        frozenset(),
        task=task.Task(),
    )

    def result(name: str, *labels: str) -> batch.Result:
        answers = [
            {
                "model": slug,
                "label": label,
                "sure": None,
                "milliseconds": 1.0,
                "probabilities": {each: 0.6 if each == label else 0.4 for each in ("sad", "calm")},
            }
            for slug, label in zip(("knn", "mlp"), labels, strict=False)
        ]
        return {
            "file": name,
            "duration_s": 2.0,
            "quality": {"summary": "fine"},
            "speech": bool(labels),
            "predictions": answers,
        }

    found.results += [result("a", "sad", "sad"), result("b", "sad", "calm"), result("c", "calm", "calm"), result("d")]
    found.results.append({"file": "e", "error": "no"})
    return found


@pytest.mark.parametrize(
    ("which", "labels", "rows"),
    [
        (ALL, [], "abcde"),
        (AGREE, [], "ac"),
        (DIFFER, [], "b"),
        (SILENT, [], "d"),
        (FAILED, [], "e"),
        (WRONG, [], "c"),
        (ALL, ["calm"], "c"),
        (AGREE, ["sad"], "a"),
    ],
)
def test_filters(run: Run, which: str, labels: list[str], rows: str) -> None:
    shown = select(batch_table.table(run), ["KNN", "MLP"], which=which, labels=labels)
    assert "".join(shown["File"]) == rows
    assert [run.results[n]["file"] for n in shown.index] == list(rows)


def test_a_model_that_is_not_sure_shows_its_guess_and_has_no_vote(run: Run) -> None:
    for name, sure in (("knn", True), ("mlp", False)):
        for each in (one for result in run.results[:3] for one in result["predictions"] if one["model"] == name):
            each["sure"] = sure
    table = batch_table.table(run)
    assert list(table["MLP"][:3]) == ["not sure: sad", "not sure: calm", "not sure: calm"]
    assert list(table["Majority"][:3]) == ["sad", "sad", "calm"] and list(table["Votes"][:3]) == [1, 1, 1]
    for which, rows in ((AGREE, ""), (DIFFER, "abc"), (WRONG, "c")):
        assert "".join(select(table, ["KNN", "MLP"], which=which)["File"]) == rows
    saved = pd.read_parquet(io.BytesIO(as_parquet(run)))
    assert (
        saved["mlp_sure"][:3].tolist() == [False] * 3
        and saved["knn_sure"][:3].tolist() == [True] * 3
        and saved["mlp_sure"].isna()[3]
    )


def test_columns_that_would_be_empty_are_left_out(run: Run) -> None:
    assert {"Acted as", "Problem"} <= set(batch_table.table(run))
    run.results.pop()
    run.uploads = uploads.Uploads(tuple(uploads.Recording(each["file"], bytes) for each in run.results), ())
    assert not {"Acted as", "Problem"} & set(batch_table.table(run))


def test_csv_json_and_parquet_hold_the_same_and_the_true_labels(run: Run) -> None:
    table = frame_of(run)
    assert list(table["label"]) == ["sad", "", "sad", "calm", ""] and list(table["file"]) == list("abcde")
    again = pd.read_parquet(io.BytesIO(as_parquet(run)))
    pd.testing.assert_frame_equal(again, table, check_dtype=False)
    listed = json.loads(as_json(run))
    assert [each.get("label") for each in listed] == ["sad", None, "sad", "calm", None] and listed[4] == {
        "file": "e",
        "error": "no",
    }
    assert table["knn_sad"].round(6).tolist()[:3] == [
        each["predictions"][0]["probabilities"]["sad"] for each in listed[:3]
    ]
