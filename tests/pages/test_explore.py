"""The sections of Explore that listen to the clips, driven without a browser, on voices whose pitch and rate are known."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from pages.ui import cached, state
from pages.ui import clip_map as ui_clip_map
from pages.ui.charts import corpus, palette
from pages.ui.corpora import augmentation, export
from ser_core import paths
from ser_core.audio import augment
from ser_core.corpora import catalogue
from ser_core.dataset import build, cache, clip_map, exploration, labels
from ser_core.dataset.duplicates import Sounds
from ser_core.dataset.export import SPLIT_MEANS, split
from ser_core.errors import Stopped
from tests.support import pages, ruled_corpus
from tests.support.pages import text, wait_for

ROOT = Path(__file__).resolve().parents[2]
MEASURING = ("Recordings", "Voices", "Map", "Export")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """18 voices named as RAVDESS', alone in one corpora folder; in another beside a corpus of which nobody said who speaks."""
    folder = tmp_path_factory.mktemp("explore")
    ruled_corpus.write_as_ravdess(folder / "one" / "ravdess")
    ruled_corpus.write_as_ravdess(folder / "two" / "ravdess")
    ruled_corpus.write(folder / "two" / "own", takes=1)
    return folder


@pytest.fixture
def one(written: Path, new_server: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The corpora folder with one corpus, which is measured by the first test that asks."""
    monkeypatch.setenv("SER_CORPORA", str(written / "one"))
    monkeypatch.setenv("SER_CACHE", str(written / "cache"))
    return written / "one"


@pytest.fixture
def two(written: Path, new_server: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The corpora folder with two corpora."""
    monkeypatch.setenv("SER_CORPORA", str(written / "two"))
    monkeypatch.setenv("SER_CACHE", str(written / "cache"))
    return written / "two"


@pytest.fixture
def root(tmp_path: Path, new_server: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A corpora folder of this test's own with one corpus, and a feature cache that is empty."""
    monkeypatch.setenv("SER_CORPORA", str(tmp_path / "corpora"))
    monkeypatch.setenv("SER_CACHE", str(tmp_path / "cache"))
    ruled_corpus.write_as_ravdess(tmp_path / "corpora" / "ravdess")
    return tmp_path / "corpora"


def forget() -> None:
    """What a restart of the server forgets."""
    st.cache_data.clear()
    st.cache_resource.clear()


def visit(section: str) -> AppTest:
    return pages.visit("pages/corpora.py", **{"corpora.tab": "Explore", "corpora.explore.section": section})


def opened(section: str, sign: str) -> AppTest:
    """Open a section and wait for what it shows once the clips are measured."""
    page = visit(section)
    wait_for(page, lambda said: sign in said)
    return page


def progress(page: AppTest) -> tuple[int, str]:
    """Return the percentage and the text of the progress bar."""
    (bar,) = page.get("progress")
    return bar.proto.value, bar.proto.text.replace("\\", "")


def array(packed: dict) -> np.ndarray:
    """Return an array as Plotly packs it into JSON."""
    return np.frombuffer(base64.b64decode(packed["bdata"]), packed["dtype"])


def figure(page: AppTest) -> dict:
    (chart,) = page.get("plotly_chart")
    return json.loads(chart.proto.spec)


# --- measuring


def test_a_first_visit_measures_and_a_second_after_a_restart_reads(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    original = build.build
    monkeypatch.setattr(build, "build", lambda clips, *a, **k: asked.append(len(clips)) or original(clips, *a, **k))
    opened("Recordings", "A box holds")
    for section, sign in (("Voices", "The label explains"), ("Map", "nearest clips"), ("Export", "18 clips")):
        forget()
        assert sign in text(visit(section))
    assert asked == [18]


def test_measuring_shows_its_progress_and_other_sections_meanwhile(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    original = exploration.measure

    def slow(clips, *, on_progress, should_stop, **options):
        on_progress(9, 18)
        assert go_on.wait(60)
        return original(clips, **options)

    monkeypatch.setattr(exploration, "measure", slow)
    page = visit("Voices")
    assert progress(page) == (50, "Measuring the clips: 9 of 18") and not page.get("plotly_chart")
    page.segmented_control("corpora.explore.section").set_value("Labels").run()
    assert "**All 18 clips**" in text(page)
    go_on.set()
    page.segmented_control("corpora.explore.section").set_value("Voices").run()
    wait_for(page, lambda said: "The label explains" in said)


def test_measuring_can_be_cancelled_and_started_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(clips, *, should_stop, **_):
        while not should_stop():
            time.sleep(0.01)
        raise Stopped("Stopped. What has been measured so far is kept and need not be measured again.")

    with monkeypatch.context() as patch:
        patch.setattr(exploration, "measure", endless)
        page = visit("Map")
        page.button("corpora.measure.cancel").click().run()
        wait_for(page, lambda said: "need not be measured again" in said)
        assert not page.error and not page.get("plotly_chart")
        assert "need not be measured again" in text(page.run())  # it does not start by itself again
    page.button("corpora.measure.start").click().run()
    wait_for(page, lambda said: "nearest clips" in said)


def test_where_nothing_can_be_kept_on_disk_memory_does(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (build, exploration, clip_map):
        monkeypatch.setattr(module, "write_arrays", lambda *_, **__: None)
    page = opened("Voices", "The label explains")
    assert "The label explains" in text(page.run())
    assert cache.usage(paths.feature_cache()) == (0, 0)


def test_a_changed_clip_is_measured_again(root: Path) -> None:
    opened("Recordings", "A box holds")
    path = root / "ravdess" / "Actor_01" / "03-01-01-01-01-01-01.wav"
    path.write_bytes(b"words")
    cached.fingerprint.clear()
    page = opened("Recordings", "A box holds")
    assert page.expander[0].label == "1 clip could not be read"
    (unread,) = [each.value for each in page.dataframe if "Why" in each.value]
    assert list(unread["File"]) == [path.name] and str(root) not in unread.to_csv()


@pytest.mark.parametrize("section", [*MEASURING, "Labels", "Clips", "Augment"])
def test_every_widget_has_a_key(two: Path, section: str) -> None:
    signs = {
        "Recordings": "A box holds",
        "Voices": "The label explains",
        "Map": "nearest clips",
        "Export": "**27 clips.**",
    }
    page = opened(section, signs.get(section, ""))
    kinds = (
        "button",
        "selectbox",
        "download_button",
        "pills",
        "segmented_control",
        "multiselect",
        "toggle",
        "slider",
        "plotly_chart",
    )
    assert all(each.key if kind != "plotly_chart" else each.proto.id for kind in kinds for each in page.get(kind))
    assert not page.error


# --- recordings


def test_recordings_are_summed_up_by_corpus(two: Path) -> None:
    page = opened("Recordings", "A box holds")
    table = page.dataframe[0].value
    assert table.loc["RAVDESS", ["Clips", "Speakers", "Female", "Male", "Sentences"]].tolist() == [18, 3, 1, 2, 2]
    assert table.loc["own", "Clips"] == 9 and table.loc["own", ["Speakers", "Female", "Male", "Sentences"]].isna().all()
    assert table["Median length (s)"].tolist() == [1.5, 1.5] and table["Sample rate (kHz)"].tolist() == ["16", "16"]
    assert table["Minutes"].tolist() == [round(18 * 1.5 / 60, 1), round(9 * 1.5 / 60, 1)]
    page.segmented_control("corpora.facts.view").set_value("level_dbfs")
    page.segmented_control("corpora.facts.by").set_value(catalogue.EMOTION)
    page.run()
    boxes = {trace["name"]: trace for trace in figure(page)["data"]}
    assert list(boxes) == ["neutral", "sad", "angry"] and boxes["sad"]["marker"]["color"] == palette.emotion("sad")
    assert boxes["angry"]["median"][0] - boxes["neutral"]["median"][0] == pytest.approx(20 * np.log10(3), abs=1.5)


def test_what_is_odd_is_counted() -> None:
    facts = pd.DataFrame(
        {
            "clipped": [0, 0.1, 0.0],
            "level_dbfs": [-20, -20, -50.0],
            "snr_db": [40, np.nan, 5],
            "bandwidth_hz": [7600] * 3,
            "speech_s": [1, 1, 0.1],
        }
    )
    told = corpus.worth_a_look(facts)
    assert (
        [each.split(" ")[0] for each in told] == ["1"] * 4
        and told[0] == "1 cut off at full scale"
        and "quiet" in told[1]
    )
    assert corpus.worth_a_look(facts.head(1)) == []


# --- voices


def test_pitch_by_label_with_the_speaker_in_and_out(one: Path) -> None:
    page = opened("Voices", "The label explains")
    boxes = {trace["name"]: trace for trace in figure(page)["data"]}
    assert {name: trace["marker"]["color"] for name, trace in boxes.items()} == {
        name: palette.emotion(name) for name in ("neutral", "sad", "angry")
    }
    assert boxes["neutral"]["median"][0] == pytest.approx(180, rel=0.02)
    page.toggle("corpora.trends.apart").set_value(True).run()
    said = text(page)
    assert "With each speaker's own mean taken out, the label explains 100%" in said
    boxes = {trace["name"]: trace["median"][0] for trace in figure(page)["data"]}
    assert boxes["angry"] - boxes["neutral"] == pytest.approx(4, abs=0.2) and boxes["sad"] - boxes[
        "neutral"
    ] == pytest.approx(-2, abs=0.2)
    assert "semitones" in figure(page)["layout"]["xaxis"]["title"]["text"]


def test_one_picture_a_corpus(two: Path) -> None:
    page = opened("Voices", "The label explains")
    page.toggle("corpora.trends.split").set_value(True).run()
    drawn = figure(page)
    assert [note["text"] for note in drawn["layout"]["annotations"]] == ["<b>RAVDESS</b>", "<b>own</b>"]
    assert [(trace["name"], trace["yaxis"]) for trace in drawn["data"]] == [
        (name, axis) for axis in ("y", "y2") for name in ("neutral", "sad", "angry")
    ]
    first, second = drawn["layout"]["yaxis"]["domain"], drawn["layout"]["yaxis2"]["domain"]
    assert first[1] == 1 and first[0] > second[1] and second[0] == pytest.approx(0)


def test_every_feature_is_drawn_and_explained(one: Path) -> None:
    page = opened("Voices", "The label explains")
    for name, row in exploration.TRENDS.items():
        page.segmented_control("corpora.trends.feature").set_value(name).run()
        assert row.how in text(page) and figure(page)["layout"]["xaxis"]["title"]["text"] == f"{row.title} ({row.unit})"
        assert len(figure(page)["data"]) == 3


def test_mfccs_are_a_heat_map_of_distances(one: Path) -> None:
    page = opened("Voices", "The label explains")
    page.segmented_control("corpora.trends.feature").set_value("mfcc").run()
    (heat,) = figure(page)["data"]
    assert heat["y"] == ["neutral", "sad", "angry"] and len(heat["x"]) == 20 and "standard deviations" in text(page)


# --- map


def test_a_click_on_the_map_plays_that_clip_and_passes_it_on(one: Path) -> None:
    page = opened("Map", "nearest clips")
    assert "Click a point" in text(page)
    drawn = figure(page)
    assert [trace["name"] for trace in drawn["data"]] == ["neutral", "sad", "angry"]
    clips = cached.clips_of_all({"ravdess": one / "ravdess"})
    row = int(array(drawn["data"][2]["customdata"])[4])
    assert clips[catalogue.EMOTION][row] == "angry" and clips[catalogue.NAME][row] in drawn["data"][2]["text"][4]
    key = f"corpora.map.points {exploration.key(clips)[:12]} {clip_map.PCA} {catalogue.EMOTION} False"
    page.session_state[key] = {
        "selection": {"points": [{"customdata": row}], "point_indices": [4], "box": [], "lasso": []}
    }
    page.run()
    assert clips[catalogue.NAME][row] in text(page) and "Acted as **angry**" in text(page)
    (player,) = pages.players(page)
    assert player["autoplay"]
    page.button("corpora.explore.open").click().run()
    assert page.title[0].value == "Recognize" and page.session_state[state.CLIP].label == "angry"


def test_the_map_is_coloured_by_speaker_and_corpus_and_loses_the_speaker(two: Path) -> None:
    page = opened("Map", "nearest clips")
    page.segmented_control("corpora.map.by").set_value(catalogue.SPEAKER).run()
    assert [trace["name"] for trace in figure(page)["data"]] == ["not stated", "RAVDESS 01", "RAVDESS 02", "RAVDESS 03"]
    page.segmented_control("corpora.map.by").set_value(catalogue.CORPUS).run()
    traces = figure(page)["data"]
    assert [trace["name"] for trace in traces] == ["RAVDESS", "own"]
    assert (
        len({trace["marker"]["color"] for trace in traces}) == len({trace["marker"]["symbol"] for trace in traces}) == 2
    )
    before = [trace["x"] for trace in traces]
    page.toggle("corpora.map.apart").set_value(True).run()
    assert [trace["x"] for trace in figure(page)["data"]] != before


def test_tsne_is_drawn_in_the_background_and_kept(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    original = clip_map.draw

    def slow(*arguments, method, **options):
        assert method != clip_map.TSNE or go_on.wait(60)
        return original(*arguments, method=method, **{**options, "should_stop": None})

    monkeypatch.setattr(clip_map, "draw", slow)
    page = opened("Map", "nearest clips")
    page.segmented_control("corpora.map.method").set_value(clip_map.TSNE).run()
    assert "18 clips by t-SNE" in progress(page)[1] and not page.get("plotly_chart")
    go_on.set()
    wait_for(page, lambda said: ui_clip_map.HOW[clip_map.TSNE] in said)
    monkeypatch.setattr(clip_map, "draw", lambda *_, **__: pytest.fail("it was drawn before"))
    forget()
    page = visit("Map")
    page.segmented_control("corpora.map.method").set_value(clip_map.TSNE).run()
    assert ui_clip_map.HOW[clip_map.TSNE] in text(page)


def test_a_map_of_too_few_clips_is_a_sentence(root: Path) -> None:
    for path in list((root / "ravdess").rglob("*.wav"))[8:]:
        path.unlink()
    page = opened("Map", "A map needs 12 clips")
    assert len(page.error) == 1 and not page.get("plotly_chart")


def test_names_on_the_map_are_text(one: Path) -> None:
    clips = cached.clips_of_all({"ravdess": one / "ravdess"}).assign(**{catalogue.NAME: "<b>bold</b>"})
    none = np.zeros(0)
    drawn = clip_map.Map(
        np.arange(18), np.zeros((18, 2), np.float32), np.zeros((18, 2), int), (), none, none, none, none, none, none
    )
    assert "&lt;b&gt;bold" in corpus.scatter(drawn, clips, catalogue.EMOTION).data[0].text[0]


def test_many_speakers_share_colours_but_not_their_names() -> None:
    symbols = {(corpus.colour(catalogue.SPEAKER, "", n), corpus.SYMBOLS[(n + n // 6) % 6]) for n in range(36)}
    assert len(symbols) == 36


# --- augmentation


def test_every_effect_is_heard_and_seen_before_and_after(one: Path) -> None:
    page = visit("Augment")
    assert augmentation.HOW in text(page)
    for name, effect in augment.EFFECTS.items():
        page.segmented_control("corpora.preview.effect").set_value(name).run()
        assert f"**{effect.title}** stands for {effect.imitates}" in text(page) and effect.unit in text(page)
        before, after = (each["url"] for each in pages.players(page))
        assert before != after
        pictures = [json.loads(each.proto.spec) for each in page.get("plotly_chart")]
        mels = [next(trace for trace in each["data"] if trace["type"] == "heatmap") for each in pictures]
        assert mels[0]["zmax"] == mels[1]["zmax"] and mels[0]["zmin"] == mels[1]["zmin"]
        assert pictures[0]["layout"]["xaxis"]["range"] == pictures[1]["layout"]["xaxis"]["range"]
    page.slider(f"corpora.preview.strength.{name}").set_value(0.0).run()
    assert "nothing is changed" in text(page)


def test_what_is_left_to_chance_can_be_drawn_again(one: Path) -> None:
    page = visit("Augment")
    page.segmented_control("corpora.preview.effect").set_value("noise").run()
    first = pages.players(page)[1]["url"]
    page.button("corpora.preview.again").click().run()
    assert pages.players(page)[1]["url"] != first


def test_the_clip_of_the_preview_is_chosen_by_speaker_and_label(one: Path) -> None:
    page = visit("Augment")
    page.selectbox("corpora.preview.speaker").set_value("ravdess:03").run()
    page.selectbox("corpora.preview.label.ravdess:03").set_value("sad").run()
    assert [option.split(" · ")[-1] for option in page.selectbox("corpora.preview.clip.ravdess:03.sad").options] == [
        "03-01-04-01-01-01-03",
        "03-01-04-01-02-01-03",
    ]


# --- export


def test_the_export_is_what_was_chosen(two: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built: dict[str, bytes] = {}
    # The page builds a table only at the click, through this; a test cannot click a download button.
    original = export._build
    page = opened("Export", "**27 clips.**")
    assert SPLIT_MEANS in text(page) and "empty for 9 clips whose speaker is unknown" in text(page)
    monkeypatch.setattr(export, "_build", lambda *a: built.setdefault(a[3], original(*a)))
    page.multiselect("corpora.export.speakers").set_value(["ravdess:02"]).run()
    assert "**6 clips.**" in text(page) and "In a shell" not in text(page)
    assert [each.key for each in page.get("download_button")] == [
        "corpora.export.csv",
        "corpora.export.parquet",
    ] and not built


def test_a_built_table_has_the_mapped_labels_of_the_chosen_clips(root: Path, tmp_path: Path) -> None:
    clips = cached.clips_of_all({"ravdess": root / "ravdess"})
    measured = exploration.measure(clips, cache=tmp_path / "cache")
    parts, _ = split(clips, Sounds({}, {}))
    for kind, read in (("csv", pd.read_csv), ("parquet", pd.read_parquet)):
        rows = read(io.BytesIO(export._build(clips, measured, parts, kind)))
        assert (
            len(rows) == 18
            and list(rows["label"]) == list(clips[catalogue.EMOTION])
            and list(rows["split"]) == list(parts)
        )


@pytest.mark.parametrize(
    ("become", "options"),
    [
        (labels.LabelMapping(), ""),
        (labels.LabelMapping(calm=labels.LEAVE_OUT, boredom=True), " --calm leave-out --boredom"),
        (labels.LabelMapping(calm=labels.MERGE, labels=("sad", "angry")), " --calm neutral --labels sad,angry"),
    ],
)
def test_the_command_for_the_shell_makes_the_same_choice(become: labels.LabelMapping, options: str) -> None:
    clips = pd.DataFrame({catalogue.CORPUS: ["ravdess", "own", "ravdess"]})
    assert export.command(clips, become) == f"python -m ser_core corpora features ravdess own{options}"
