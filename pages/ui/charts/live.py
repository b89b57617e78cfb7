"""The Live page's meter and pictures as HTML: what is heard now, and what was predicted. Pure functions, no Streamlit.

A figure of Plotly is rebuilt for each change, which flickers and costs; boxes of HTML change in place, many times a second.
"""

from __future__ import annotations

import base64
import functools
import struct
import zlib
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
import plotly.colors

from pages.ui.charts import clip, palette, timeline
from ser_core.features import extraction
from ser_core.recognition import analysis
from ser_core.recognition.live import Level, Moment
from ser_core.recognition.recognizer import Prediction

TRACE_S = 30.0
MAX_POINTS = 600
MAX_COLUMNS = 160
FLOOR_DBFS = -60.0
MEL_TICKS = {250: "250 Hz", 1000: "1k", 4000: "4k"}
N_COLOURS = 64


def waveform_trace(latest: analysis.Analysis) -> str:
    """Return waveform and mel spectrogram of the window heard last; its end, at the right, is now."""
    waveform, measured = latest.clip.waveform, latest.features
    _, values = clip.envelope(waveform.samples, waveform.sample_rate, max_points=MAX_POINTS)
    peak = max(float(np.abs(waveform.samples).max()), 0.05) * 1.05  # a silent room is a flat line
    points = " ".join(f"{n},{1 - value / peak:.3f}" for n, value in enumerate(values))
    wave = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {max(len(values) - 1, 1)} 2" preserveAspectRatio="none">'
        f'<polyline points="{points}" fill="none" stroke="{palette.LINE}" vector-effect="non-scaling-stroke"/></svg>'
    )
    levels, _ = clip.thin(measured.log_mel - np.float32(measured.gain_db), max_columns=MAX_COLUMNS)
    top = max(float(levels.max()), -30.0)
    colours = np.clip((levels - top) / clip.DYNAMIC_RANGE_DB + 1, 0, 1) * (N_COLOURS - 1)
    bands_hz = extraction.mel_frequencies(measured.config)
    places = np.interp(list(MEL_TICKS), bands_hz, np.arange(len(bands_hz)) / (len(bands_hz) - 1))
    named = zip(places, MEL_TICKS.values(), strict=True)
    ticks = "".join(f'<small style="bottom:{100 * place:.0f}%">{word}</small>' for place, word in named)
    return (
        '<div class="ser-trace" role="img" aria-label="Waveform and mel spectrogram of the current sound">'
        f'<span>Sound</span><img class="ser-wave" alt="" src="{_address("image/svg+xml", wave.encode())}">'
        f'<span class="ser-hz">{ticks}</span><img class="ser-mel" alt="" src="{png(colours.T[::-1].round().astype(np.uint8))}">'
        f"{_axis(waveform.duration_s)}</div>"
    )


def trace(
    moments: Sequence[Moment],
    predictions: Sequence[Sequence[Prediction]],
    titles: Mapping[str, str],
    *,
    hop_s: float,
    span_s: float = TRACE_S,
) -> str:
    """Return the level and one lane per model (slug -> title) over the last span_s seconds: one column per moment, the latest at the right.

    A column is coloured as on a timeline, and stays empty without speech and where a moment was left out.
    """
    now_s = moments[-1].end_s if moments else 0.0
    lefts = [100 * (1 - (now_s - each.end_s + hop_s) / span_s) for each in moments]
    width = 100 * hop_s / span_s
    bars = [
        _box(
            left,
            width,
            f"height:{100 * max(1 - each.level_dbfs / FLOOR_DBFS, 0):.0f}%;background:{palette.LINE}",
            end=each.end_s,
        )
        for left, each in zip(lefts, moments, strict=True)
    ]
    rows = [f'<span>Level</span><div class="ser-lane ser-level">{"".join(bars)}</div>']
    for slug, title in titles.items():
        cells = [
            _box(
                left,
                width,
                f"background:{palette.emotion(prediction.label)};opacity:{_strength(prediction):.2f}",
                end=each.end_s,
                label=prediction.label,
            )
            for left, each, window in zip(lefts, moments, predictions, strict=True)
            for prediction in window
            if prediction.model == slug
        ]
        rows.append(
            f'<span>{escape(title)}</span><div class="ser-lane" data-model="{escape(slug)}">{"".join(cells)}</div>'
        )
    latest = predictions[-1] if predictions else ()
    words = "; ".join(f"{titles[each.model]} says {timeline.word(each)}" for each in latest if each.model in titles)
    return (
        f'<div class="ser-trace" role="img" aria-label="Level and answers over the last {span_s:g} seconds. {escape(words)}">'
        f"{''.join(rows)}{_axis(span_s)}</div>"
    )


def _box(left: float, width: float, style: str, *, end: float, label: str = "") -> str:
    data_label = f' data-label="{escape(label)}"' if label else ""
    return f'<i data-end="{end:g}"{data_label} style="left:{left:.2f}%;width:{width:.2f}%;{style}"></i>'


def _strength(prediction: Prediction) -> float:
    if prediction.sure is False:
        return timeline.FAINTEST
    return timeline.FAINTEST + (1 - timeline.FAINTEST) * prediction.probabilities[prediction.label]


def _axis(span_s: float) -> str:
    ticks = "".join(f"<small>−{span_s * part:g} s</small>" for part in (1, 2 / 3, 1 / 3))
    return f'<span></span><div class="ser-axis">{ticks}<small>now</small></div>'


def meter(level: Level) -> str:
    """Return the level as a bar from -60 to 0 dBFS, with a word where the sound is cut off."""

    def share(dbfs: float) -> float:
        return 100 * min(max(1 - dbfs / FLOOR_DBFS, 0.0), 1.0)

    colour = palette.emotion("angry") if level.clipped else palette.LINE
    word = "Cut off: move away" if level.clipped else f"{max(level.rms_dbfs, FLOOR_DBFS):.0f} dBFS".replace("-", "−")
    return (
        '<div class="ser-meter" role="meter" aria-label="Level" aria-valuemin="-60" aria-valuemax="0" '
        f'aria-valuenow="{max(level.rms_dbfs, FLOOR_DBFS):.0f}">'
        f'<span><i style="width:{share(level.rms_dbfs):.0f}%;background:{colour}"></i>'
        f'<b style="left:{share(level.peak_dbfs):.0f}%"></b></span><small>{word}</small></div>'
    )


def png(pixels: np.ndarray) -> str:
    """Return colour numbers, uint8 (rows, columns) below N_COLOURS, as a PNG in a data address; the colours are palette.HEAT's."""
    height, width = pixels.shape
    lines = b"".join(b"\0" + row.tobytes() for row in np.ascontiguousarray(pixels))
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)  # 8 bits, colours from a table
    chunks = [(b"IHDR", header), (b"PLTE", _heat()), (b"IDAT", zlib.compress(lines, 1)), (b"IEND", b"")]
    packed = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return _address("image/png", b"\x89PNG\r\n\x1a\n" + packed)


def _address(mime: str, data: bytes) -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


@functools.cache
def _heat() -> bytes:
    colours = plotly.colors.sample_colorscale(palette.HEAT, N_COLOURS, colortype="tuple")
    return bytes(round(255 * part) for colour in colours for part in colour)
