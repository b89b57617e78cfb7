"""Figures of an explanation as SVG text, for print: the map over the mel spectrogram, the deletion curve, groups, neighbours.

Pure functions from what service.py gives to text that stands alone. Every name is escaped.
"""

from __future__ import annotations

import base64
import itertools
import struct
import zlib
from collections.abc import Sequence

import numpy as np

from ser_core.explanation.measures import Contributions
from ser_core.explanation.neighbours import Neighbours
from ser_core.explanation.occlusion import Deletion, Occlusion
from ser_core.features import extraction
from ser_core.features.extraction import Features
from ser_core.recognition import svg

HEAT = "#d4ff3f"
"""Over greys, what counts: a hue that no emotion has, and lighter than all greys, for whom hues look alike."""

DARKEST, LIGHTEST = 20, 150
"""Greys of the mel spectrogram, 0..255."""

RANGE_DB = 70.0
STRONGEST = 0.85
LEFT, WIDTH, HEIGHT = 46, 560, 190
TICKS_HZ = (250, 500, 1000, 2000, 4000, 8000)


def band_places(measured: Features, hz: Sequence[float]) -> np.ndarray:
    """Return where frequencies lie among the mel bands of a clip's features: 0 for the lower edge of the lowest, n_mels for the top."""
    centres = extraction.mel_frequencies(measured.config)
    middles = np.sqrt(centres[:-1] * centres[1:])
    edges = np.concatenate([[measured.config.fmin], middles, [measured.config.fmax]])
    places: np.ndarray = np.interp(hz, edges, np.arange(len(edges)))
    return places


def map_over_mel(found: Occlusion, measured: Features) -> str:
    """Return the mel spectrogram of a clip in greys, and over it how much each patch counts; below, the measures besides the bands."""
    duration_s = len(measured.times_s) * measured.config.hop_length / measured.config.sample_rate
    top, strip = 6, 16 if found.measures else 0
    n_mels = measured.config.n_mels
    picture = base64.b64encode(png(greys(measured))).decode()
    parts = [
        f'<image x="{LEFT}" y="{top}" width="{WIDTH}" height="{HEIGHT}" preserveAspectRatio="none" '
        f'href="data:image/png;base64,{picture}"/>'
    ]
    strongest = max(float(np.max(found.fall)), max(found.measures, default=0.0), 1e-9)
    places = top + HEIGHT * (1 - band_places(measured, found.bands_hz) / n_mels)
    xs = [LEFT + WIDTH * min(at_s / duration_s, 1.0) for at_s in found.times_s]
    for row, (low, high) in zip(found.fall, itertools.pairwise(places), strict=True):
        parts += _patches(row, xs, high, low - high, strongest)
    bottom = top + HEIGHT
    if strip:
        parts.append(
            f'<rect x="{LEFT}" y="{bottom + 5}" width="{WIDTH}" height="{strip}" fill="#{DARKEST:02x}{DARKEST:02x}{DARKEST:02x}"/>'
        )
        parts += _patches(found.measures, xs, bottom + 5, strip, strongest)
        parts.append(svg._text(LEFT + WIDTH + 4, bottom + 17, "pitch, loudness …", size=9, colour=svg.FAINT))
        bottom += 5 + strip
    for hz in TICKS_HZ:
        if measured.config.fmin < hz <= measured.config.fmax:
            y = top + HEIGHT * (1 - band_places(measured, [hz])[0] / n_mels)
            parts.append(svg._text(LEFT - 5, max(y + 4, top + 9), f"{hz}", anchor="end", size=10, colour=svg.FAINT))
    for at_s in np.arange(0, duration_s, 0.5):
        x = LEFT + WIDTH * float(at_s) / duration_s
        parts.append(svg._text(x, bottom + 14, f"{at_s:g} s", anchor="middle", size=10, colour=svg.FAINT))
    return svg._svg(LEFT + WIDTH + 90, bottom + 20, parts, found.summary)


def _patches(row: Sequence[float], xs: Sequence[float], y: float, height: float, strongest: float) -> list[str]:
    return [
        f'<rect x="{left:.1f}" y="{y:.1f}" width="{right - left:.1f}" height="{height:.1f}" fill="{HEAT}" '
        f'fill-opacity="{STRONGEST * fall / strongest:.2f}"/>'
        for fall, left, right in zip(row, xs[:-1], xs[1:], strict=True)
        if fall > 0.02 * strongest
    ]


def greys(measured: Features) -> np.ndarray:
    """Return the mel spectrogram as greys, uint8 (n_mels, n_frames), the highest band first."""
    level = np.clip((measured.log_mel - measured.log_mel.max()) / RANGE_DB + 1, 0, 1)
    shades: np.ndarray = np.round(DARKEST + (LIGHTEST - DARKEST) * level).astype(np.uint8)
    return shades.T[::-1]


def png(pixels: np.ndarray) -> bytes:
    """Return greys, uint8 (height, width), as a PNG file."""
    height, width = pixels.shape
    rows = np.concatenate(
        [np.zeros((height, 1), np.uint8), pixels], axis=1
    ).tobytes()  # each row begins with its filter: none
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows, 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def deletion(curve: Deletion, label: str) -> str:
    """Return the probability of a label while more is covered: by the map, and at random with its range."""
    left, top, side = 44, 8, 200

    def place(shares: Sequence[float], values: Sequence[float]) -> list[str]:
        most = max(curve.shares)
        return [
            f"{left + side * share / most:.1f} {top + side * (1 - value):.1f}"
            for share, value in zip(shares, values, strict=True)
        ]

    band = [*place(curve.shares, curve.high), *reversed(place(curve.shares, curve.low))]
    parts = [
        f'<path d="M{left} {top + side * (1 - share):.1f}h{side}" stroke="{svg.GRID}"/>'
        for share in (0, 0.25, 0.5, 0.75, 1)
    ]
    parts += [
        svg._text(left - 6, top + side * (1 - share) + 4, f"{100 * share:.0f}", anchor="end", size=10, colour=svg.FAINT)
        for share in (0, 0.5, 1)
    ]
    parts += [
        svg._text(
            left + side * share / max(curve.shares),
            top + side + 15,
            f"{100 * share:.0f}",
            anchor="middle",
            size=10,
            colour=svg.FAINT,
        )
        for share in curve.shares
        if share != curve.shares[1]
    ]
    parts.append(f'<path d="M{"L".join(band)}Z" fill="{svg.PALE}" fill-opacity=".45"/>')
    for values, stroke in (
        (curve.by_chance, f'stroke="{svg.FAINT}" stroke-width="2" stroke-dasharray="4 3"'),
        (curve.by_map, f'stroke="{svg.BLUE}" stroke-width="2.4"'),
    ):
        parts.append(f'<path d="M{"L".join(place(curve.shares, values))}" {stroke} fill="none"/>')
    parts.append(svg._text(left + side / 2, top + side + 30, "Covered, % of the patches", anchor="middle", size=11))
    parts.append(
        svg._text(
            12, top + side / 2, "Probability, %", anchor="middle", size=11, turn=f"rotate(-90 12 {top + side / 2:.0f})"
        )
    )
    text = f"Probability of {label} while more is covered: solid by the map, dashed at random"
    return svg._svg(left + side + 14, top + side + 38, parts, text)


def groups(found: Contributions) -> str:
    """Return bars of how much the probability falls without each group of measures, to the right, or rises, to the left."""
    middle, reach, row_px, top = 240, 180, 22, 4
    most = max(max(map(abs, found.fall.values())), 0.01)
    parts = []
    for number, (group, fall) in enumerate(found.fall.items()):
        y = top + row_px * number
        x = middle + reach * min(fall, 0) / most
        parts.append(svg._text(50, y + 15, group))
        parts.append(
            f'<rect x="{x:.1f}" y="{y + 4}" width="{reach * abs(fall) / most:.1f}" height="{row_px - 8}" '
            f'fill="{svg.BLUE if fall >= 0 else svg.PALE}"/>'
        )
        parts.append(svg._text(middle + reach + 8, y + 15, f"{round(100 * fall):+d} points"))
    parts.append(f'<path d="M{middle} {top}v{row_px * len(found.fall)}" stroke="{svg.FAINT}"/>')
    return svg._svg(middle + reach + 80, top + row_px * len(found.fall) + 4, parts, found.sentence)


def neighbourhood(found: Neighbours) -> str:
    """Return the training clips that vote around the clip, a letter each: the first of its label; the distance is the true one."""
    side, middle = 220, 110
    reach = max(max((np.hypot(x, y) for x, y, _ in found.cloud), default=1.0), 1e-9)
    parts = [
        f'<circle cx="{middle}" cy="{middle}" r="{100 * share:.0f}" fill="none" stroke="{svg.GRID}"/>'
        for share in (1 / 3, 2 / 3, 1)
    ]
    for x, y, label in found.cloud:
        parts.append(
            svg._text(
                middle + 100 * x / reach,
                middle - 100 * y / reach + 4,
                label[:2],
                anchor="middle",
                size=9,
                colour=svg.INK,
            )
        )
    parts.append(f'<path d="M{middle - 6} {middle}h12M{middle} {middle - 6}v12" stroke="{svg.BLUE}" stroke-width="3"/>')
    return svg._svg(side, side, parts, found.sentence)
