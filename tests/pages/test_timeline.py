"""Long clips on the Recognize page, driven without a browser, and the figure and files of a timeline."""

from __future__ import annotations

import csv
import dataclasses
import gc
import io
import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest
from streamlit.runtime.uploaded_file_manager import UploadedFile
from streamlit.testing.v1 import AppTest

from pages.ui import clip_input, downloads, state, timeline_downloads
from pages.ui.charts import palette
from pages.ui.charts import timeline as charts_timeline
from pages.ui.charts.timeline import FAINTEST, clock, colours, lanes, legend_of
from pages.ui.recognize import timeline as recognize_timeline
from pages.ui.recognize.timeline import HOP, SLIDER
from ser_core.audio import decoding, waveform
from ser_core.recognition import analysis, store, timeline
from ser_core.recognition.recognizer import Prediction
from ser_core.recognition.timeline import Segment
from ser_core.system.spool import Spool
from tests.support import models as support_models
from tests.support import pages
from tests.support.pages import text

ROOT = Path(__file__).resolve().parents[2]
RATE = 16_000
TITLES = support_models.TITLES


def memo(*names: str, pause_s: float = 4.0) -> bytes:
    """Sample voices with pauses after each, as a WAV."""
    parts = []
    for name in names:
        parts += [
            decoding.decode(ROOT / "pages" / "samples" / f"{name}.flac").waveform.samples,
            np.zeros(round(pause_s * RATE), np.float32),
        ]
    return waveform.encode_wav(waveform.Waveform(np.concatenate(parts), RATE))


LONG = memo("bright", "flat")


@pytest.fixture
def page(models: Path) -> AppTest:
    return pages.visit()


@pytest.fixture(scope="module")
def found(built: Path) -> timeline.Timeline:
    return timeline.analyse(LONG, timeline.window_predictor([store.load(slug, built) for slug in store.SHIPPED]))


def upload(page: AppTest, name: str = "memo.wav", data: bytes = LONG) -> str:
    page.get("file_uploader")[0].set_value((name, data, "application/octet-stream"))
    return wait(page)


def wait(page: AppTest) -> str:
    page.run()
    return text(pages.finish(page, state.TIMELINE))


def n_cards(page: AppTest) -> int:
    return sum(element.proto.body.count("<section>") for element in page.get("html"))


def test_more_than_eight_seconds_are_shown_over_time_and_as_a_mean(page: AppTest, found: timeline.Timeline) -> None:
    said = upload(page)
    assert "Predictions over time" in said and "Over the whole recording" in said and found.quality.summary in said
    assert f"over the {sum(each.speech for each in found.segments)} windows with speech" in said
    assert len(page.get("plotly_chart")) == 1 and n_cards(page) == len(TITLES)
    shown = page.session_state[state.TIMELINE].result
    for there, here in zip(
        timeline.overall(shown), timeline.overall(found), strict=True
    ):  # another process sums in another order
        assert there.probabilities == pytest.approx(here.probabilities, abs=1e-6)
    (table,) = page.dataframe
    assert list(table.value["From (s)"]) == [each.start_s for each in found.segments]


def test_all_together_leads_over_the_whole_and_at_a_moment(page: AppTest, models: Path) -> None:
    support_models.pool(models)
    upload(page)
    assert n_cards(page) == len(TITLES) + 1
    shown = page.session_state[state.TIMELINE].result
    assert [each.model for each in timeline.overall(shown)] == ["together", *store.SHIPPED]
    assert [each.model for each in shown.segments[0].predictions] == ["together", *store.SHIPPED]
    figure = json.loads(page.get("plotly_chart")[0].proto.spec)
    assert figure["layout"]["yaxis3"]["ticktext"][-1] == "All together"
    assert "All together" in list(page.dataframe[0].value)
    page.slider(SLIDER).set_value(8.0).run()
    assert n_cards(page) == 2 * (len(TITLES) + 1)


def test_eight_seconds_and_less_are_shown_as_before(page: AppTest) -> None:
    page.get("file_uploader")[0].set_value(("a.wav", memo("bright", pause_s=4.0), "audio/wav"))
    said = text(page.run())
    assert "Predictions over time" not in said and "What the models predict" in said


def test_a_moment_is_heard_told_and_opened(page: AppTest, found: timeline.Timeline, built: Path) -> None:
    upload(page)
    page.slider(SLIDER).set_value(8.0).run()
    assert "**0:08.0 to 0:11.0**" in text(page) and n_cards(page) == 2 * len(TITLES)
    figure = json.loads(page.get("plotly_chart")[0].proto.spec)
    assert [(shape["x0"], shape["x1"]) for shape in figure["layout"]["shapes"]] == [(8.0, 11.0)]
    page.button("timeline.open").click().run()
    said = text(page)
    assert "memo 8 to 11 s.wav" in said and "Predictions over time" not in said
    heard = analysis.analyse(page.session_state[state.CLIP].data)
    alone = analysis.recognize([store.load(slug, built) for slug in store.SHIPPED], heard)
    for ours, theirs in zip(alone, found.segments[8].predictions, strict=True):
        assert ours.probabilities == pytest.approx(theirs.probabilities, abs=1e-4)


def test_other_windows_are_listened_to_anew(page: AppTest) -> None:
    upload(page)
    first = page.session_state[state.TIMELINE]
    page.session_state[HOP] = 2.0
    wait(page)
    second = page.session_state[state.TIMELINE]
    assert second is not first and second.result.hop_s == 2.0
    assert len(second.result.segments) < len(first.result.segments)


def test_a_long_clip_without_speech_gets_no_guess(page: AppTest) -> None:
    said = upload(page, "quiet.wav", waveform.encode_wav(waveform.Waveform(np.zeros(9 * RATE, np.float32), RATE)))
    assert "there is no prediction" in said and n_cards(page) == 0


def test_stopping_says_so_and_offers_to_start_again(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    original = timeline.analyse

    def stopped(*given, check_stop, **options):
        page.session_state[state.TIMELINE].task.stop()
        return original(*given, check_stop=check_stop, **options)

    monkeypatch.setattr(timeline, "analyse", stopped)
    page.get("file_uploader")[0].set_value(("memo.wav", LONG, "audio/wav"))
    said = wait(page)
    assert "Stopped." in said and n_cards(page) == 0
    monkeypatch.setattr(timeline, "analyse", original)
    page.button("timeline.again").click()
    assert "Over the whole recording" in wait(page)


def test_more_than_an_hour_is_refused_in_a_sentence(page: AppTest) -> None:
    page.get("file_uploader")[0].set_value(
        ("hours.wav", waveform.encode_pcm(np.zeros(3602 * 4000, np.int16), 4000), "audio/wav")
    )
    page.run()
    assert len(page.error) == 1 and "the limit here is 60 min" in text(page)


# --- the figure


def test_lanes_hold_label_and_probability_and_are_empty_without_speech() -> None:
    sad, calm = (
        Prediction("knn", "sad", {"calm": 0.25, "sad": 0.75}, 1.0),
        Prediction("knn", "calm", {"calm": 1.0, "sad": 0.0}, 1.0),
    )
    windows = [[], [sad], [calm]]
    values, labels = lanes(windows, ["knn", "mlp"])
    assert labels == ["calm", "sad"]
    np.testing.assert_array_equal(values[0], [np.nan, 1.75, 0.999])
    assert np.isnan(values[1]).all()
    unsure = dataclasses.replace(sad, threshold=0.8)
    assert lanes([[unsure]], ["knn"])[0] == [[1.0]]
    assert (charts_timeline.prediction_text(sad), charts_timeline.prediction_text(unsure)) == (
        "sad 75 %",
        "not sure: sad 75 %",
    )


def test_each_label_runs_from_faint_to_its_own_colour() -> None:
    scale = colours(["calm", "sad", "odd"])
    assert [place for place, _ in scale] == [0, 1 / 3, 1 / 3, 2 / 3, 2 / 3, 1]
    for number, label in enumerate(["calm", "sad", "odd"]):
        red, green, blue = (int(palette.emotion(label)[i : i + 2], 16) for i in (1, 3, 5))
        assert scale[2 * number][1] == f"rgba({red},{green},{blue},{FAINTEST})"
        assert scale[2 * number + 1][1] == f"rgba({red},{green},{blue},1)"


def test_a_click_anywhere_means_the_window_of_its_column(found: timeline.Timeline) -> None:
    figure = charts_timeline.figure(found, TITLES)
    answering = [trace for trace in figure.data if trace.hoverinfo != "skip"]
    edges = timeline.borders(found.segments, found.duration_s)
    assert {trace.yaxis for trace in answering} == {None, "y3"}
    for trace in answering:
        assert len(trace.x) == len(found.segments)
        assert all(low < x < high for x, low, high in zip(trace.x, edges, edges[1:], strict=False))
    assert "no speech" in answering[1].customdata[4] and "KNN: " in answering[1].customdata[1]


def test_a_models_title_and_label_cannot_write_html(found: timeline.Timeline) -> None:
    odd = Segment(0.0, 3.0, True, (Prediction("knn", "<b>", {"<b>": 1.0}, 1.0),))
    figure = charts_timeline.figure(dataclasses.replace(found, segments=(odd,)), {"knn": "<i>"})
    assert "&lt;i&gt;: &lt;b&gt; 100 %" in figure.data[-1].customdata[0]
    assert "&lt;b&gt;" in legend_of([odd.predictions])


def test_an_hour_is_drawn_with_few_points(found: timeline.Timeline) -> None:
    envelope = np.column_stack([-np.ones(180_000), np.ones(180_000)]).astype(np.float32)
    figure = charts_timeline.figure(dataclasses.replace(found, envelope=envelope, duration_s=3600.0), TITLES)
    assert len(figure.data[0].x) <= 2000 and figure.data[0].y.max() == 1.0
    assert list(figure.layout.xaxis.ticktext)[:3] == ["0:00", "10:00", "20:00"]


@pytest.mark.parametrize(
    ("seconds", "whole", "tenths"),
    [(0, "0:00", "0:00.0"), (59.96, "1:00", "1:00.0"), (83.42, "1:23", "1:23.4"), (3600, "60:00", "60:00.0")],
)
def test_clock(seconds: float, whole: str, tenths: str) -> None:
    assert (clock(seconds), clock(seconds, tenths=True)) == (whole, tenths)


# --- the files


def test_csv_and_json_are_what_the_command_line_prints(found: timeline.Timeline) -> None:
    rows = list(csv.DictReader(io.StringIO(timeline_downloads.windows_csv("memo.wav", found))))
    assert [float(row["start_s"]) for row in rows] == [each.start_s for each in found.segments]
    assert [row["knn"] for row in rows] == [each.predictions[0].label if each.speech else "" for each in found.segments]
    (result,) = json.loads(timeline_downloads.as_json("memo.wav", found))
    assert result == json.loads(json.dumps(timeline.to_dict("memo.wav", found)))


def test_audacity_gets_start_end_and_text(found: timeline.Timeline) -> None:
    lines = [line.split("\t") for line in timeline_downloads.audacity(found).splitlines()]
    assert all(len(line) == 3 and 0 <= float(line[0]) < float(line[1]) <= found.duration_s + 1e-3 for line in lines)
    assert [float(line[0]) for line in lines] == sorted(float(line[0]) for line in lines)
    assert sum(line[2] == "speech" for line in lines) == len(found.activity)
    expected = [
        f"knn: {run.label} {100 * run.probability:.0f} %" for run in timeline.label_spans(found, "knn") if run.label
    ]
    assert [line[2] for line in lines if line[2].startswith("knn: ")] == expected


def test_praat_gets_tiers_without_gaps(found: timeline.Timeline) -> None:
    grid = timeline_downloads.textgrid(found)
    assert grid.startswith('File type = "ooTextFile"\nObject class = "TextGrid"\n')
    tiers = re.split(r"    item \[\d+\]:\n", grid)[1:]
    assert [re.search(r'name = "(.*)"', tier)[1] for tier in tiers] == ["speech", *store.SHIPPED]
    for tier in tiers:
        intervals = [
            tuple(map(float, pair)) for pair in re.findall(r"intervals \[\d+\]:\s+xmin = (\S+)\s+xmax = (\S+)", tier)
        ]
        assert int(re.search(r"intervals: size = (\d+)", tier)[1]) == len(intervals) > 1
        assert intervals[0][0] == 0 and intervals[-1][1] == pytest.approx(found.duration_s, abs=1e-3)
        assert all(first[1] == second[0] for first, second in itertools.pairwise(intervals))
    assert [text for text in re.findall(r'text = "(.*)"', tiers[1]) if text] == [
        r.label for r in timeline.label_spans(found, "knn") if r.label
    ]


def test_labels_and_tiers_say_which_models_are_adapted(found: timeline.Timeline) -> None:
    def adapted(said: Prediction) -> Prediction:
        return dataclasses.replace(said, adapted=4) if said.model == "knn" else said

    own = tuple(dataclasses.replace(each, predictions=tuple(map(adapted, each.predictions))) for each in found.segments)
    mine = dataclasses.replace(found, segments=own)
    names = [line.split("\t")[2].partition(": ")[0] for line in timeline_downloads.audacity(mine).splitlines()]
    assert "knn (adapted to 4 takes)" in names and "knn" not in names and "mlp" in names
    grid = timeline_downloads.textgrid(mine)
    assert re.findall(r'name = "(.*)"', grid)[:3] == ["speech", "knn (adapted to 4 takes)", "mlp"]
    assert "adapted" not in timeline_downloads.textgrid(found) + timeline_downloads.audacity(found)


def test_quotes_in_a_label_are_doubled_for_praat(found: timeline.Timeline) -> None:
    odd = tuple(
        dataclasses.replace(each, predictions=(Prediction("m", 'a "b"\nc', {'a "b"\nc': 1.0}, 1.0),))
        for each in found.segments
    )
    assert '"a ""b"" c"' in timeline_downloads.textgrid(dataclasses.replace(found, segments=odd))


# --- large files


@pytest.mark.parametrize("large", [LONG, memo("bright", pause_s=0.0)], ids=["long", "short"])
def test_a_large_file_leaves_the_memory_and_the_uploader(
    page: AppTest, monkeypatch: pytest.MonkeyPatch, large: bytes
) -> None:
    monkeypatch.setattr(clip_input, "LARGE", 100_000)
    page.get("file_uploader")[0].set_value(("memo.wav", large, "audio/wav"))
    said = wait(page) if large is LONG else text(page.run())
    given = page.session_state[state.CLIP]
    assert isinstance(given.data, Spool) and given.data.read() == large and "memo.wav" in said
    assert page.session_state[state.ROUND] == 1 and page.get("file_uploader")[0].value is None
    held = [
        each for each in gc.get_objects() if type(each) is UploadedFile and not each.closed and each.name == "memo.wav"
    ]
    assert not held, "Streamlit holds the bytes too"
    assert n_cards(page) == len(TITLES)
    page.run()
    assert page.session_state[state.CLIP] is given, "an empty uploader takes nothing back"
    assert downloads.whole(given.data) == large


@pytest.mark.parametrize(("lossless_s", "ending"), [(60.0, ".flac"), (10.0, ".mp3")])
def test_what_is_long_is_played_as_a_small_file_and_its_moments_stay_what_was_heard(
    page: AppTest, monkeypatch: pytest.MonkeyPatch, lossless_s: float, ending: str
) -> None:
    monkeypatch.setattr(recognize_timeline, "LOSSLESS_S", lossless_s)
    upload(page)
    (player,) = pages.players(page)
    assert player["url"].endswith(ending)
    run = page.session_state[state.TIMELINE]
    assert decoding.decode(run.listened).container == ending[1:].upper() and (run.listened is run.tape) == (
        ending == ".flac"
    )
    np.testing.assert_array_equal(decoding.decode(run.tape).waveform.samples, decoding.decode(LONG).waveform.samples)


def test_clearing_forgets_the_timeline_too(page: AppTest) -> None:
    upload(page)
    page.button("recognize.clear").click().run()
    assert state.TIMELINE not in page.session_state and page.session_state[state.CLIP] is None
