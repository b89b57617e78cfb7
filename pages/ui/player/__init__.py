"""The player of a clip, in place of `st.audio`: a play head over waveform and spectrogram, parts to select, to repeat and to ask about.

The browser computes the pictures from the samples that it plays (sound.js, player.js), so that no setting of theirs draws the page anew.
What it sends back, a part of the clip, is untrusted and checked here.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import plotly.colors
import streamlit as st

from pages.ui import clip_input, runtime, state
from pages.ui.charts import clip as charts_clip
from pages.ui.charts import palette
from ser_core.audio import channels, decoding
from ser_core.recognition import timeline
from ser_core.recognition.analysis import Analysis

MOST_DECODED_S = 120.0
"""A longer clip is not decoded in the browser, where an hour would take a gigabyte: its waveform is drawn from an envelope."""

MIN_S = 2 * decoding.MIN_DURATION_S
"""The shortest part that can be asked about."""

ENVELOPE_POINTS = 1000

PICTURES = "Waveform and spectrogram"

_FILES = Path(__file__).parent
_COMPONENT = st.components.v2.component(
    "ser_player",
    html='<div class="player"></div>',
    css=(_FILES / "player.css").read_text(encoding="utf-8"),
    js="".join((_FILES / name).read_text(encoding="utf-8") for name in ("sound.js", "player.js")),
)


@dataclass(frozen=True)
class Selection:
    """A part of a clip, in s from its beginning."""

    start_s: float
    end_s: float

    @property
    def words(self) -> str:
        """The part in words, '0.52 to 1.30 s'."""
        return f"{self.start_s:.2f} to {self.end_s:.2f} s"


def show(
    data: bytes,
    mime: str,
    *,
    key: str,
    label: str,
    duration_s: float | None,
    analysis: Analysis | None = None,
    channel: str = channels.MEAN,
    envelope: np.ndarray | None = None,
    pictures: bool = True,
    can_ask: bool = False,
    autoplay: bool = False,
) -> Selection | None:
    """Draw the player of a clip, and return the part of it that was asked about, None where there is none.

    Parameters
    ----------
    data, mime
        A sound file that browsers play, and its type.
    key
        Of this player on its page; it may show another clip at each run.
    label, duration_s
        What is played, in words for a screen reader, and how long it is; None where the browser is to find out.
    analysis
        What was measured of the clip, where the pictures are to show its pitch and the silence in it.
    channel
        The one that the models hear of several (channels.py), where there is no analysis.
    envelope
        The lowest and the highest sample of equal stretches, float (n, 2), of a clip longer than MOST_DECODED_S without an analysis.
    pictures
        Whether a spectrogram is drawn, with its settings; else the waveform alone.
    can_ask
        Whether models answer for a part of it.
    autoplay
        Whether it plays at once, because a click asked for it.
    """
    url = runtime.media_url(data, mime, f"player {key}")
    clip = url.rpartition("/")[2]  # a hash of its bytes
    held = asked(key, clip)
    length = "" if duration_s is None else f", {duration_s:.2f} seconds"
    _COMPONENT(
        key=key,
        data={
            "url": url,
            "mime": mime,
            "clip": clip,
            "label": label,
            "description": f"{PICTURES if pictures else 'Waveform'} of {label}{length}.",
            "duration_s": duration_s,
            "pictures": pictures,
            "can_ask": can_ask,
            "min_s": MIN_S,
            "max_s": timeline.LONG_S,
            "autoplay": autoplay,
            "selection": [held.start_s, held.end_s] if held else None,
            "colours": _colours(),
            "channel": analysis.clip.channel if analysis else channel,
        }
        | _drawn(duration_s, analysis, envelope),
        on_ask_change=partial(_receive, key, clip, duration_s or 0.0) if can_ask else _ignore,
    )
    return held if can_ask else None


def asked(key: str, clip: str) -> Selection | None:
    """Return the part of this clip that was asked about in a player, None where there is none."""
    of_clip, selection = st.session_state.get(state.SELECTIONS, {}).get(key, ("", None))
    return selection if of_clip == clip else None


def forget(key: str) -> None:
    """Forget the part that was asked about in a player."""
    st.session_state.get(state.SELECTIONS, {}).pop(key, None)


def selection_of(sent: object, clip: str, duration_s: float) -> Selection | None:
    """Return the part of a clip that a browser sent, None where it is no part of this clip that models can answer for.

    sent: whatever came: {"clip": …, "start_s": …, "end_s": …}. Times are kept within the clip, and to milliseconds.
    """
    if not isinstance(sent, dict) or sent.get("clip") != clip:
        return None
    times = [_seconds(sent.get(name), duration_s) for name in ("start_s", "end_s")]
    start_s, end_s = times
    if start_s is None or end_s is None or not MIN_S <= round(end_s - start_s, 3) <= timeline.LONG_S:
        return None
    return Selection(start_s, end_s)


def _seconds(value: object, duration_s: float) -> float | None:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or (isinstance(value, float) and math.isnan(value))
    ):
        return None
    return round(float(min(max(value, 0.0), duration_s)), 3)


def envelope_of(low: np.ndarray, high: np.ndarray) -> list[list[float]]:
    """Return the lowest of `low` and the highest of `high`, each (n,), in at most ENVELOPE_POINTS equal stretches, as pairs."""
    if not len(low):
        return [[0.0, 0.0]]
    edges = np.linspace(0, len(low), min(ENVELOPE_POINTS, len(low)) + 1).astype(int)[:-1]
    pairs = np.column_stack([np.minimum.reduceat(low, edges), np.maximum.reduceat(high, edges)])
    found: list[list[float]] = pairs.astype(float).round(3).tolist()
    return found


def _drawn(duration_s: float | None, analysis: Analysis | None, envelope: np.ndarray | None) -> dict[str, Any]:
    """Return what the pictures need besides the sound: of a long clip the waveform, of a short one what was measured."""
    if duration_s is None or duration_s <= MOST_DECODED_S:
        return _measured(analysis) if analysis else {}
    if analysis:
        samples = analysis.clip.waveform.samples
        return {"envelope": envelope_of(samples, samples)}
    pairs = np.zeros((0, 2)) if envelope is None else envelope
    return {"envelope": envelope_of(pairs[:, 0], pairs[:, 1])}


def _measured(analysis: Analysis) -> dict[str, Any]:
    """Return what the pictures show of an analysis: pitch in Hz or None, one value a hop, and the stretches that the models ignore."""
    measured = analysis.features
    return {
        "f0_hz": [round(hz) if math.isfinite(hz) else None for hz in measured.f0_hz.tolist()],
        "hop_s": measured.config.hop_length / measured.config.sample_rate,
        "unused": [[round(start_s, 3), round(stop_s, 3)] for start_s, stop_s in charts_clip.unused(analysis)],
    }


def _colours() -> dict[str, Any]:
    return {
        "line": palette.LINE,
        "unused": palette.NOT_USED,
        "formant": palette.ABOVE,
        "heat": [_channels(colour) for _, colour in plotly.colors.get_colorscale(palette.HEAT)],
    }


def _channels(colour: str) -> list[int]:
    """Return '#00224e' or 'rgb(0, 34, 78)' as [0, 34, 78]."""
    if colour.startswith("#"):
        return [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
    return [int(each) for each in re.findall(r"\d+", colour)]


def _receive(key: str, clip: str, duration_s: float) -> None:
    """Callback: note the part that is asked about, where it is one and not one too many for this minute."""
    selection = selection_of(st.session_state[key].get("ask"), clip, duration_s)
    if selection is not None and not clip_input.is_too_fast():
        st.session_state.setdefault(state.SELECTIONS, {})[key] = (clip, selection)


def _ignore() -> None:
    """Callback where nothing can be asked: whatever a browser sends is not looked at."""
