"""What the Live page shows: while it listens, some times a second; and what was heard, once it is stopped."""

from __future__ import annotations

import time
from dataclasses import dataclass

import streamlit as st

from pages.ui import (
    clip_input,
    downloads,
    player,
    prediction_cards,
    recognition,
    shelf,
    state,
    timeline_downloads,
    visits,
    voice,
)
from pages.ui.charts import live as charts_live
from pages.ui.charts import timeline
from pages.ui.charts.live import TRACE_S, meter, trace
from pages.ui.live import connection, session
from ser_core.recognition import live, recognizer, store, together
from ser_core.recognition.card import ModelCard
from ser_core.recognition.live import Listener, Moment
from ser_core.recognition.recognizer import Prediction
from ser_core.system import units

LEFT_OUT = "Left out while many are live here: it takes longest. Press Stop and start again later."

NEXT = "Switching holds for the next session."

DRAW_S = 0.1
"""How often the browser asks for news."""

SMOOTHED = 3

WINDOWS_S, HOPS_S = (2.0, 3.0, 5.0), (0.25, 0.5, 1.0)
WINDOW, HOP, SMOOTH = "live.window", "live.hop", "live.smooth"


def settings(*, disabled: bool) -> tuple[float, float]:
    """Draw the choice of window and hop, and return both in s; they hold from one start to the next."""
    with st.container(key="live_settings", horizontal=True, vertical_alignment="bottom"):
        window_s = st.segmented_control(
            "Analyse the last",
            WINDOWS_S,
            default=3.0,
            format_func=lambda s: f"{s:g} s",
            required=True,
            key=WINDOW,
            persist_state="session",
            disabled=disabled,
        )
        hop_s = st.segmented_control(
            "Update every",
            HOPS_S,
            default=live.HOP_S,
            format_func=lambda s: f"{s:g} s",
            required=True,
            key=HOP,
            persist_state="session",
            disabled=disabled,
        )
        st.toggle(
            f"Smooth over {SMOOTHED} answers",
            value=True,
            key=SMOOTH,
            persist_state="session",
            help="Shows the mean of the last answers: steadier, but slower to react. Saved files have the unsmoothed answers.",
        )
    return window_s, hop_s


def offer_recorder() -> None:
    """Draw the way to the recorder, which needs no connection."""
    st.page_link("app.py", label="Record a clip instead", icon=":material/mic:")


def offer_upload() -> None:
    """Draw the way to the uploader, which needs no microphone either."""
    st.page_link("app.py", label="Upload a recording instead", icon=":material/upload:")


@st.fragment(run_every=DRAW_S)
def follow(visitor: session.Visitor, models: list[ModelCard]) -> None:
    """Draw what is heard now. What has not changed since the last look is not sent again."""
    visits.here()
    listener = visitor.listener
    if visitor.refused:
        st.warning(
            "All places are taken since you came. Press Stop, and try again in a minute.", icon=":material/group:"
        )
    elif listener is None or listener.closed:
        _wait(visitor)
    else:
        _status(listener)
        drawn = _drawn(visitor, listener, models)
        if drawn:
            hearing, tracing = st.columns([5, 6], gap="large")
            with hearing:
                st.markdown(f"**Input**: the last {listener.window_s:g} s")
                st.html(drawn.heard)
            with tracing:
                st.markdown(f"**Predictions**: the last {TRACE_S:.0f} s" + _smoothing())
                st.html(drawn.trace)
            with st.container(key="live_cards"):
                st.html(drawn.cards)


def _wait(visitor: session.Visitor) -> None:
    if time.monotonic() - (visitor.asked_s or time.monotonic()) < connection.PATIENCE_S:
        st.markdown(":material/mic: Waiting for the microphone …")
    else:
        st.error(connection.FAILED.format(seconds=connection.PATIENCE_S), icon=":material/wifi_off:")


@dataclass(frozen=True)
class Drawn:
    """The pictures of one moment as HTML, and what tells it from others."""

    key: tuple[object, ...]
    heard: str
    trace: str
    cards: str


def _drawn(visitor: session.Visitor, listener: Listener, models: list[ModelCard]) -> Drawn | None:
    """Return the pictures of the latest moment, drawn once; None before the first."""
    key = (id(listener), listener.n_moments, _smoothing(), *(card.slug for card in models))
    latest, moments = listener.latest, listener.moments(TRACE_S + 1)
    if latest is None or not moments:
        return None
    if visitor.drawn is None or visitor.drawn.key != key:
        said = smoothed_predictions(moments)
        titles = recognition.titles(models)
        answers = _answers(said[-1], models, is_light=visitor.is_light)
        whole = recognition.as_one(answers, together.apart(said[-1])[0])
        visitor.drawn = Drawn(
            key,
            charts_live.waveform_trace(latest),
            trace(moments, said, titles, hop_s=listener.hop_s) + timeline.legend_of(said),
            prediction_cards.cards(answers, whole) if whole else prediction_cards.grid(answers),
        )
    return visitor.drawn


def smoothed_predictions(moments: list[Moment]) -> list[tuple[Prediction, ...]]:
    """Return what is shown of some moments: their predictions, smoothed where that is switched on."""
    return (
        live.smooth(moments, SMOOTHED) if st.session_state.get(SMOOTH, True) else [each.predictions for each in moments]
    )


def _smoothing() -> str:
    return f", smoothed over {SMOOTHED} answers" if st.session_state.get(SMOOTH, True) else ""


def _status(listener: Listener) -> None:
    moments = listener.moments(2 * listener.hop_s)
    word = "Speech" if moments and moments[-1].speaking else "No speech"
    late = f" · {listener.n_skipped} answers skipped: the server is busy" if listener.n_skipped else ""
    st.html(
        f'<div class="ser-live"><span><b>{word}</b> · {timeline.clock(listener.duration_s)}{late}</span>'
        f"{meter(listener.level())}</div>"
    )


def _answers(
    predictions: tuple[Prediction, ...], models: list[ModelCard], *, is_light: bool
) -> list[recognition.Answer]:
    found = {each.model: each for each in predictions}
    return [
        recognition.Answer(
            card,
            found.get(card.slug),
            LEFT_OUT if is_light and store.is_pretrained(card) else "No speech in this window.",
        )
        for card in models
    ]


def show_session(listener: Listener, models: list[ModelCard]) -> None:
    """Draw what a session has heard: to play, to pass on, and to take home."""
    found = listener.timeline()
    if found is None:
        st.info("That was too short for a prediction. Start again and speak for some seconds.", icon=":material/info:")
        return
    shelf.put_session(listener, found)
    st.header("Your session", anchor=False)
    if listener.kept_from_s:
        st.markdown(f"The last {units.duration(live.KEEP_S)} are kept.")
    if n := recognizer.n_takes(said for each in found.segments for said in each.predictions):
        st.markdown(f":material/record_voice_over: The answers are {recognizer.adapted_to(n)} of your voice.")
    elif voice.adapted():
        st.markdown(":material/record_voice_over: The answers are as for everybody, not adapted to your voice.")
    data = listener.sound()
    player.show(
        data,
        "audio/wav",
        key="live.player",
        label="your session",
        duration_s=found.duration_s,
        envelope=found.envelope,
    )
    st.plotly_chart(
        timeline.figure(found, recognition.titles(models)),
        key="live.timeline",
        config=timeline.CONFIG,
        alt=timeline.describe(found),
    )
    if legend := timeline.legend(found):
        st.html(legend)
    st.markdown(f"Each column is a window of {found.window_s:g} s, around its middle, as each model predicted then.")
    offers = [
        *(each for each in timeline_downloads.offers("live.wav", data, found) if each.key in ("csv", "json")),
        downloads.Offer("wav", "Sound (WAV)", "live.wav", "audio/wav", lambda: data),
    ]
    with st.container(key="live_downloads", horizontal=True):
        if st.button("Open in Recognize", key="live.open", type="primary", icon=":material/graphic_eq:"):
            clip_input.set_clip("live.wav", data, clip_input.SAMPLE, note="Spoken live.")
            st.switch_page("app.py")
        for offer in offers:
            st.download_button(
                offer.title,
                offer.build,
                offer.file_name,
                offer.mime,
                key=f"live.download.{offer.key}",
                icon=":material/download:",
                on_click="ignore",
            )
        st.button(
            "Forget it",
            key="live.forget",
            icon=":material/delete:",
            on_click=_forget,
            args=(shelf.session_key(listener),),
        )


def _forget(key: str) -> None:
    st.session_state.pop(state.LIVE, None)
    shelf.remove(key)
