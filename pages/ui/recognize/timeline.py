"""A long clip on the Recognize page: what the models say over time, one moment to hear and to see, and the whole in one mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePath

import numpy as np
import streamlit as st

from pages.ui import (
    clip_input,
    clip_view,
    downloads,
    frame,
    inputs,
    player,
    prediction_cards,
    recognition,
    runtime,
    state,
    timeline_downloads,
    voice,
)
from pages.ui.charts import timeline as charts_timeline
from pages.ui.charts.timeline import CONFIG, clock, describe
from pages.ui.recognize import answers
from pages.ui.task import Task, show_problem, watch
from ser_core.audio import decoding, recording, waveform
from ser_core.recognition import timeline, together
from ser_core.recognition.card import ModelCard
from ser_core.recognition.personal import Voice
from ser_core.recognition.recognizer import Prediction
from ser_core.recognition.timeline import Segment, Timeline
from ser_core.system.spool import Spool

WINDOW, HOP, SLIDER, FIGURE = "timeline.window", "timeline.hop", "timeline.slider", "timeline.figure"
WINDOWS_S, HOPS_S = (2.0, 3.0, 5.0), (0.5, 1.0, 2.0)

LOSSLESS_S = decoding.MAX_DURATION_S
"""What is longer is played as MP3, at 20 MB an hour in place of 60 to 100. Its moments are not."""

HOW = """
Each column is a window of {window_s:g} seconds, around its middle: its colour is the emotion that the model finds most probable there, the
stronger the more probable; without speech it stays empty. **Click to hear a moment**, drag sideways to zoom, double-click to return.
"""


@dataclass
class Run:
    """The look at one clip with one choice of windows: what tells it from others, the thread, and what it found.

    tape: the sound as the models hear it; listened: the same to listen to as a whole.
    """

    key: tuple[object, ...]
    task: Task = field(default_factory=Task)
    result: Timeline | None = None
    tape: Spool | None = None
    listened: Spool | None = None
    moment_s: float | None = None


def is_long(given: clip_input.ClipInput, models: list[ModelCard]) -> bool:
    """Return whether a clip is shown over time; raises a SerError where it cannot be used. models: those asked about one that is not."""
    return recognition.analyse_short(given, models) is None and recognition.stream(given).duration_s > timeline.LONG_S


def _run(given: clip_input.ClipInput, models: list[ModelCard]) -> Run:
    """Return the look at a clip with the windows chosen; start it where it is a new one."""
    window_s, hop_s = st.session_state.get(WINDOW, timeline.WINDOW_S), st.session_state.get(HOP, timeline.HOP_S)
    heard_as = voice.current()
    key = (given.digest, window_s, hop_s, heard_as, *(f"{card.slug} {card.created}" for card in models))
    run: Run | None = st.session_state.get(state.TIMELINE)
    if run is None or run.key != key:
        if run:
            run.task.stop()
        run = st.session_state[state.TIMELINE] = Run(key)
        st.session_state.pop(SLIDER, None)
        _start(run, given, models, window_s, hop_s, heard_as)
        run.task.wait(1.5)
    return run


def _start(
    run: Run,
    given: clip_input.ClipInput,
    models: list[ModelCard],
    window_s: float,
    hop_s: float,
    heard_as: Voice | None,
) -> None:
    run.task.start(partial(_listen, run, given.name, recognition.stream(given), models, window_s, hop_s, heard_as))


def _listen(
    run: Run,
    name: str,
    stream: decoding.Stream,
    models: list[ModelCard],
    window_s: float,
    hop_s: float,
    heard_as: Voice | None,
    task: Task,
) -> None:
    def tell(done_s: float, total_s: float) -> None:
        task.tell(done_s / total_s, f"Listening: {clock(done_s)} of {clock(total_s)}")

    tape = recording.Tape(stream.sample_rate)
    listened = recording.Tape(stream.sample_rate, "MP3") if stream.duration_s > LOSSLESS_S else None

    def keep(samples: np.ndarray) -> None:
        for each in filter(None, (tape, listened)):
            each.push(samples)

    result = timeline.analyse(
        stream,
        recognition.predict_window(models, voice=heard_as),
        name=name,
        window_s=window_s,
        hop_s=hop_s,
        keep=keep,
        on_progress=tell,
        check_stop=task.check_stop,
    )
    run.tape = tape.close()
    run.listened = listened.close() if listened else run.tape
    run.result = result
    runtime.tidy()  # an hour leaves 30 MB of small pieces behind


def head(given: clip_input.ClipInput, models: list[ModelCard], *, key: str) -> player.Selection | None:
    """Draw the player of a long clip, how good the recording is, and the progress while it is listened to.

    key: of the player, of which the part that was asked about is returned.
    """
    run = _run(given, models)
    st.markdown(f"**Clip** · {frame.plain(given.name)}")
    if given.note:
        st.markdown(frame.plain(given.note))
    if run.task.running:
        watch(run.task, key="timeline")
        return None
    if run.result is None or run.listened is None:
        show_problem(run.task)
        st.button(
            "Start again",
            key="timeline.again",
            icon=":material/restart_alt:",
            on_click=st.session_state.pop,
            args=(state.TIMELINE, None),
        )
        return None
    # A large file is played as it was heard: its bytes would come back into memory.
    if isinstance(given.data, bytes) and run.result.container in recognition.PLAYABLE and run.result.tracks == 1:
        data, mime = given.data, recognition.PLAYABLE[run.result.container]
    else:
        data, mime = run.listened.read(), "audio/flac" if run.listened is run.tape else "audio/mpeg"
    selection = player.show(
        data,
        mime,
        key=key,
        label=f"Clip, {given.name}",
        duration_s=run.result.duration_s,
        channel=run.result.channel,
        envelope=run.result.envelope,
        can_ask=True,
    )
    clip_view.show_quality(
        run.result.quality,
        clip_view.facts(
            run.result.container, run.result.source_rate, run.result.source_channels, run.result.duration_s
        ),
        remarks=run.result.remarks,
    )
    inputs.track(given, run.result.track, run.result.tracks)
    inputs.channel(given, run.result.channel, run.result.choices)
    return selection


def show_timeline(
    given: clip_input.ClipInput, models: list[ModelCard], selection: player.Selection | None, *, key: str
) -> None:
    """Draw the clip over time, the moment chosen, the mean of all moments, and the files to take home.

    selection: the part that was asked about in the player with this key.
    """
    run = _run(given, models)
    result = run.result
    if result is None:
        return
    if selection and run.tape:
        part = answers.selected(selection, waveform.cut(run.tape, selection.start_s, selection.end_s))
        answers.show_selection(selection, part, partial(_whole, timeline.overall(result), models), models, key=key)
    st.header("Predictions over time", anchor=False)
    _over_time(given, run, result, models)
    means = timeline.overall(result)
    st.header("Over the whole recording", anchor=False)
    if not means:
        st.info("No speech was found in this clip, so there is no prediction.", icon=":material/hearing_disabled:")
    else:
        n = sum(each.speech for each in result.segments)
        st.markdown(
            f"The mean of each model's probabilities over the {n:,} windows with speech. Long recordings hold "
            "many moods: an average hides single moments."
        )
        st.html(prediction_cards.cards(*_whole(means, models)[:2]))
    st.header("Download", anchor=False)
    with st.container(key="downloads", horizontal=True):
        for offer in timeline_downloads.offers(given.name, given.data, result):
            st.download_button(
                offer.title,
                offer.build,
                offer.file_name,
                offer.mime,
                key=f"timeline.download.{offer.key}",
                icon=":material/download:",
                on_click="ignore",
            )


def _whole(
    means: list[Prediction], models: list[ModelCard]
) -> tuple[list[recognition.Answer], recognition.Together | None, bool]:
    """Return what the models say of the whole, each and together, and that no more will come."""
    found = _answers(means, models)
    return found, recognition.as_one(found, together.apart(means)[0]) if found else None, False


def _answers(predictions: list[Prediction], models: list[ModelCard]) -> list[recognition.Answer]:
    by_model = {each.model: each for each in predictions}
    return [recognition.Answer(card, by_model[card.slug]) for card in models if card.slug in by_model]


@st.fragment
def _over_time(given: clip_input.ClipInput, run: Run, result: Timeline, models: list[ModelCard]) -> None:
    with st.container(key="timeline_settings", horizontal=True, vertical_alignment="bottom"):
        st.segmented_control(
            "Window",
            WINDOWS_S,
            default=timeline.WINDOW_S,
            format_func=lambda s: f"{s:g} s",
            required=True,
            key=WINDOW,
            persist_state="session",
        )
        st.segmented_control(
            "Hop",
            HOPS_S,
            default=timeline.HOP_S,
            format_func=lambda s: f"{s:g} s",
            required=True,
            key=HOP,
            persist_state="session",
        )
    if run.key[1:3] != (st.session_state[WINDOW], st.session_state[HOP]):
        st.rerun()
    st.markdown(HOW.format(window_s=result.window_s))
    titles = recognition.titles(models)
    if legend := charts_timeline.legend(result):
        st.html(legend)
    chosen = None if run.moment_s is None else _nearest(result, run.moment_s)
    figure = charts_timeline.figure(result, titles, moment=chosen)
    # A key of the clip: what was clicked in another one is not a moment of this one.
    key = f"{FIGURE}.{given.digest[:16]}.{result.window_s:g}.{result.hop_s:g}"
    st.plotly_chart(
        figure,
        key=key,
        config=CONFIG,
        on_select=partial(_choose_window, key, run, result),
        selection_mode="points",
        alt=describe(result),
    )
    last_s = result.segments[-1].start_s
    if last_s > 0:
        st.slider(
            "Moment",
            0.0,
            last_s,
            step=min(result.hop_s, last_s),
            format="%.1f s",
            key=SLIDER,
            on_change=_slid,
            args=(run,),
            help="Where the window begins; the arrow keys move it.",
        )
    _moment(given, run, result, chosen, models)
    with st.expander("All windows as a table", key="timeline.table"):
        st.dataframe(downloads.cells(timeline_downloads.table(result, titles)), hide_index=True, key="timeline.rows")


def _nearest(result: Timeline, moment_s: float) -> Segment:
    """Return the window that begins nearest to a moment."""
    starts = np.array([each.start_s for each in result.segments])
    return result.segments[int(np.abs(starts - moment_s).argmin())]


def _slid(run: Run) -> None:
    run.moment_s = st.session_state[SLIDER]


def _choose_window(key: str, run: Run, result: Timeline) -> None:
    """Callback of the figure: a click on a column chooses its window."""
    points = st.session_state[key]["selection"]["points"]
    if points:
        run.moment_s = st.session_state[SLIDER] = result.segments[int(points[0]["point_index"])].start_s


def _moment(
    given: clip_input.ClipInput, run: Run, result: Timeline, chosen: Segment | None, models: list[ModelCard]
) -> None:
    """Draw one window: to hear, what the models say of it, and a way to see it as a clip of its own."""
    if chosen is None or run.tape is None:
        return
    clip = waveform.cut(run.tape, chosen.start_s, chosen.end_s)
    data = waveform.encode_wav(clip)
    with st.container(border=True, key="timeline_moment"):
        st.markdown(f"**{clock(chosen.start_s, tenths=True)} to {clock(chosen.end_s, tenths=True)}**")
        player.show(
            data,
            "audio/wav",
            key="timeline.player",
            label=f"the clip from {clock(chosen.start_s, tenths=True)} on",
            duration_s=clip.duration_s,
            autoplay=True,
        )
        if chosen.predictions:
            found = _answers(list(chosen.predictions), models)
            st.html(prediction_cards.cards(found, recognition.as_one(found)))
        else:
            st.markdown(":material/hearing_disabled: No speech here, so there is no prediction.")
        if st.button("Open this moment in Recognize", key="timeline.open", icon=":material/graphic_eq:"):
            name = f"{PurePath(given.name).stem} {chosen.start_s:g} to {chosen.end_s:g} s.wav"
            clip_input.set_clip(name, data, clip_input.SAMPLE, note="A moment of a longer recording.")
            st.rerun()
