"""Figures from signals with known answers: what is drawn, where, and that long clips stay small."""

from __future__ import annotations

import itertools
import json

import numpy as np
import plotly.colors
import plotly.graph_objects as go
import plotly.io
import pytest

from pages.ui.charts import palette
from pages.ui.charts.clip import (
    MAX_COLUMNS,
    MAX_POINTS,
    MEL_TICKS_HZ,
    ROWS,
    STANDARD_ROWS,
    cells,
    describe,
    envelope,
    ink,
    pictures,
    scale,
    thin,
    unused,
)
from ser_core.audio import decoding
from ser_core.audio.waveform import Waveform, encode_wav
from ser_core.corpora import catalogue
from ser_core.features import config, extraction, quality
from ser_core.recognition import analysis
from tests.support.signals import tone

RATE = 16_000


def heard(samples: np.ndarray) -> analysis.Analysis:
    waveform = Waveform(samples.astype(np.float32), RATE)
    measured = extraction.extract(waveform)
    clip = decoding.decode(encode_wav(waveform))
    return analysis.Analysis(clip, measured, quality.report(waveform, measured))


@pytest.fixture(scope="module")
def padded_tone() -> analysis.Analysis:
    """Half a second of silence, one second of 1 kHz, half a second of silence."""
    silence = np.zeros(RATE // 2)
    return heard(np.concatenate([silence, tone(frequency_hz=1000), silence]))


@pytest.fixture(scope="module")
def figure(padded_tone: analysis.Analysis) -> go.Figure:
    return pictures(padded_tone, rows=tuple(ROWS))


def test_plotly_finds_nothing_wrong_with_the_pictures(figure):
    """They are drawn without its check of every entry, which is made here; it changes nothing, but spells the colours out."""
    ours, checked = (
        json.loads(plotly.io.to_json(each, validate=False)) for each in (figure, go.Figure(figure.to_dict()))
    )
    assert ours["layout"].pop("template") == {"layout": {}}, "Plotly's own stays out: it would be most of a figure"
    checked["layout"].pop("template", None)
    for trace in (*ours["data"], *checked["data"]):
        trace.pop("colorscale", None)
    assert checked == ours


def test_all_rows_share_one_time_axis(figure: go.Figure) -> None:
    assert {trace.xaxis for trace in figure.data} == {"x"}
    assert [trace.yaxis for trace in figure.data] == ["y", *(f"y{n}" for n in range(2, len(ROWS) + 1))]
    assert figure.layout.xaxis.range == pytest.approx((0, 2.0), abs=1e-3)


def test_rows_lie_below_each_other_without_overlap(figure: go.Figure) -> None:
    domains = [figure.layout[f"yaxis{trace.yaxis[1:]}"].domain for trace in figure.data]
    assert all(above[0] > below[1] for above, below in itertools.pairwise(domains))


def test_every_row_has_an_axis_title_and_a_hover_with_its_unit(figure: go.Figure) -> None:
    assert all(figure.layout[f"yaxis{trace.yaxis[1:]}"].title.text for trace in figure.data)
    hovers = {name: trace.hovertemplate for name, trace in zip(ROWS, figure.data, strict=True)}
    assert "Hz" in hovers["mel"] and "dB" in hovers["mel"]
    assert "Hz" in hovers["f0"] and "dBFS" in hovers["rms"] and "full scale" in hovers["waveform"]
    assert figure.layout.xaxis.ticksuffix == " s"


def test_a_tone_is_brightest_at_its_frequency(figure: go.Figure) -> None:
    mel = figure.data[list(ROWS).index("mel")]
    column = mel.z[:, mel.z.shape[1] // 2]
    assert int(mel.customdata[int(column.argmax()), 0]) == pytest.approx(1000, rel=0.06)


def test_frequency_ticks_are_placed_between_the_bands_around_them(figure: go.Figure) -> None:
    axis = figure.layout.yaxis2
    assert list(axis.ticktext) == ["125", "250", "500", "1k", "2k", "4k", "8k"]
    bands = extraction.mel_frequencies(config.FeatureConfig())
    for hz, place in zip(MEL_TICKS_HZ[:-1], axis.tickvals[:-1], strict=True):
        assert bands[int(np.floor(place))] <= hz <= bands[int(np.ceil(place))]


def test_what_the_models_do_not_hear_is_shaded_in_every_row(padded_tone: analysis.Analysis, figure: go.Figure) -> None:
    (_, first), (last, end) = unused(padded_tone)
    assert first == pytest.approx(0.5, abs=0.06) and last == pytest.approx(1.5, abs=0.06) and end == pytest.approx(2.0)
    assert len(figure.layout.shapes) == 2 * len(ROWS)
    assert sum(note.text == "silence, ignored" for note in figure.layout.annotations) == 2


def test_a_clip_that_is_used_whole_has_no_shade() -> None:
    assert unused(heard(tone(frequency_hz=300))) == []


def test_the_level_row_speaks_of_the_recording_not_of_the_scaled_copy(padded_tone: analysis.Analysis) -> None:
    level = pictures(padded_tone, rows=("rms",)).data[0].y
    assert max(level) == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.3)


def test_an_envelope_keeps_every_peak() -> None:
    samples = np.zeros(100_000)
    samples[54_321], samples[12_345] = 1.0, -1.0
    times, values = envelope(samples, RATE)
    assert len(times) == len(values) <= MAX_POINTS
    assert values.max() == 1.0 and values.min() == -1.0
    assert times[int(values.argmax())] == pytest.approx(54_321 / RATE, abs=100_000 / RATE / 1000)


def test_a_short_waveform_is_drawn_sample_by_sample() -> None:
    times, values = envelope(np.arange(10.0), 10)
    assert list(values) == list(range(10)) and times[-1] == pytest.approx(0.9)


def test_thinning_averages_groups_and_leaves_gaps_out() -> None:
    values, group = thin(np.array([1.0, 3.0, np.nan, 5.0, np.nan]), max_columns=3)
    assert group == 2
    np.testing.assert_array_equal(values, [2.0, 5.0, np.nan])


def test_a_long_clip_makes_a_small_figure() -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 120 * RATE)
    figure = pictures(heard(samples), rows=STANDARD_ROWS)
    assert figure.data[1].z.shape[1] <= MAX_COLUMNS
    assert len(figure.to_json()) < 2_000_000


def test_two_clips_on_one_scale_share_their_ranges() -> None:
    loud, short = heard(tone(2.0)), heard(0.1 * tone(0.5))
    shared = scale(loud, short)
    figures = [pictures(each, rows=STANDARD_ROWS, shared=shared) for each in (loud, short)]
    assert figures[0].layout.xaxis.range == figures[1].layout.xaxis.range
    assert figures[0].layout.yaxis.range == figures[1].layout.yaxis.range
    assert figures[0].data[1].zmax == figures[1].data[1].zmax


def test_silence_can_be_drawn() -> None:
    assert len(pictures(heard(np.zeros(RATE)), rows=tuple(ROWS)).data) == len(ROWS)


def test_the_description_names_the_rows_and_the_time_used(padded_tone: analysis.Analysis) -> None:
    assert describe(padded_tone, STANDARD_ROWS).startswith("Waveform, Mel spectrogram, MFCC over 2.00 seconds")


def luminance(colour: str) -> float:
    channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one: str, other: str) -> float:
    """WCAG 2.2 contrast ratio."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


COLOURS = [
    *palette.EMOTIONS.values(),
    *palette.GROUPS,
    *palette.SERIES,
    palette.RIGHT,
    palette.WRONG,
    palette.UNKNOWN,
    palette.LINE,
]


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("ground", ["#ffffff", "#11151b"])
def test_colours_stand_out_on_both_grounds(colour: str, ground: str) -> None:
    assert contrast(colour, ground) >= 3.0


def test_every_label_has_a_colour_of_its_own() -> None:
    assert set(palette.EMOTIONS) == set(catalogue.ALL_LABELS)
    assert len(set(palette.EMOTIONS.values())) == len(catalogue.ALL_LABELS)


@pytest.mark.parametrize("share", np.linspace(0, 1, 41))
def test_words_in_a_heat_map_are_readable_on_every_colour(share: float) -> None:
    (ground,) = plotly.colors.sample_colorscale(palette.HEAT, [share], colortype="tuple")
    assert contrast(ink(share), "#" + "".join(f"{round(255 * each):02x}" for each in ground)) >= 4.5


def test_cells_of_a_heat_map_have_their_words_in_their_place() -> None:
    notes = cells(np.array([[0.0, 1.0], [0.5, 0.0]]), [["", "9"], ["4", "0"]], ["happy", "sad"], size=11)
    assert [(note["text"], note["y"], note["x"], note["font"]["color"]) for note in notes] == [
        ("9", "happy", "sad", "#000000"),
        ("4", "sad", "happy", ink(0.5)),
        ("0", "sad", "sad", "#ffffff"),
    ]
