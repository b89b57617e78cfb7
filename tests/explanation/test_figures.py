"""Figures of explanations: patches lie where they belong, pictures are pictures, and names are escaped."""

from __future__ import annotations

import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from ser_core.audio.waveform import SAMPLE_RATE, Waveform
from ser_core.explanation import figures
from ser_core.explanation.measures import Contributions
from ser_core.explanation.neighbours import Neighbours
from ser_core.explanation.occlusion import Deletion, Occlusion
from ser_core.features import extraction

CURVE = Deletion((0.0, 0.1, 0.4), (0.9, 0.5, 0.1), (0.9, 0.8, 0.6), (0.9, 0.7, 0.5), (0.9, 0.9, 0.7), 0.4, 0.1)


@pytest.fixture(scope="module")
def measured():
    noise = np.random.default_rng(0).normal(0, 0.1, SAMPLE_RATE).astype(np.float32)
    return extraction.extract(Waveform(noise, SAMPLE_RATE))


def occlusion(fall, measures=()) -> Occlusion:
    return Occlusion("sad", 0.9, (0.0, 0.5, 1.0), (50.0, 1000.0, 8000.0), fall, measures, CURVE)


def test_places_of_bands_rise_from_the_lowest_to_the_top(measured):
    places = figures.band_places(measured, [50.0, 500.0, 1000.0, 8000.0])
    assert places[0] == 0 and places[-1] == measured.config.n_mels and (np.diff(places) > 0).all()


def test_the_map_draws_what_counts_over_the_sound_and_nothing_else(measured):
    drawing = figures.map_over_mel(occlusion(((0.3, 0.0), (-0.2, 0.15))), measured)
    ElementTree.fromstring(drawing)
    patches = re.findall(
        rf'<rect x="([\d.]+)" y="([\d.]+)" [^>]*fill="{figures.HEAT}" fill-opacity="([\d.]+)"', drawing
    )
    assert len(patches) == 2
    (low_x, low_y, low), (high_x, high_y, high) = patches
    assert float(low_x) == figures.LEFT < float(high_x) and float(low_y) > float(high_y)
    assert float(low) == pytest.approx(figures.STRONGEST) and float(high) == pytest.approx(
        figures.STRONGEST / 2, abs=0.01
    )
    with_strip = figures.map_over_mel(occlusion(((0.3, 0.0), (0.0, 0.0)), (0.0, 0.3)), measured)
    assert with_strip.count(f'fill="{figures.HEAT}"') == 2


def test_a_picture_is_a_png_of_the_right_size():
    from PIL import Image

    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(figures.png(pixels)))), pixels)


def test_all_drawings_are_sound_xml_and_say_what_they_show():
    groups = Contributions("sad", 0.8, {"pitch": 0.3, "loudness": -0.1}, ())
    cloud = Neighbours((), 2, {"sad": 1, "<b>": 1}, ((1.0, 0.0, "sad"), (0.0, -2.0, "<b>")), False)
    for drawing in (figures.deletion(CURVE, "<sad>"), figures.groups(groups), figures.neighbourhood(cloud)):
        root = ElementTree.fromstring(drawing)
        assert root.get("aria-label") and "<b>" not in drawing and "<sad>" not in drawing
    assert "+30 points" in figures.groups(groups) and "-10 points" in figures.groups(groups)
