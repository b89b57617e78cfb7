"""A long clip on the Recognize page: what the models say over time, one moment to hear and to see, and the whole in one mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePath

import numpy as np
import streamlit as st

from pages.ui import background, cached, cards, exports, frame, sound, state, timeline_charts, timeline_exports, visit
from ser_core import audio, segments
from ser_core.segments import Segment, Timeline
from ser_core.spool import Spool
from ser_core.store import ModelCard

WINDOW, HOP, SLIDER, FIGURE = "timeline.window", "timeline.hop", "timeline.slider", "timeline.figure"
WINDOWS_S, HOPS_S = (2.0, 3.0, 5.0), (0.5, 1.0, 2.0)

LOSSLESS_S = audio.MAX_DURATION_S
"""What is longer is played as MP3, at 20 MB an hour in place of 60 to 100. Its moments are not."""

HOW = """
Each column is a window of {window_s:g} seconds, around its middle: its colour is the emotion that the model finds most probable there, the
stronger the more probable; without speech it stays empty. **Click to hear a moment**, drag sideways to zoom, double-click to return.
"""


@dataclass
class Run:
    """The look at one clip with one choice of windows: what tells it from others, the thread, and what it found.

    tape: the sound as the models hear it; player: the same to listen to as a whole.
    """

    key: tuple[object, ...]
    task: background.Task = field(default_factory=background.Task)
    found: Timeline | None = None
    tape: Spool | None = None
    player: Spool | None = None
    moment_s: float | None = None


def is_long(given: state.Given) -> bool:
    """Return whether a clip is shown over time; raises a SerError where it cannot be used."""
    heard = cached.hear_short(given)
    return (heard.quality if heard else cached.stream(given)).duration_s > segments.LONG_S


def _run(given: state.Given, models: list[ModelCard]) -> Run:
    """Return the look at a clip with the windows chosen; start it where it is a new one."""
    window_s, hop_s = st.session_state.get(WINDOW, segments.WINDOW_S), st.session_state.get(HOP, segments.HOP_S)
    key = (given.digest, window_s, hop_s, *(f"{card.slug} {card.created}" for card in models))
    run: Run | None = st.session_state.get(state.TIMELINE)
    if run is None or run.key != key:
        if run:
            run.task.stop()
        run = st.session_state[state.TIMELINE] = Run(key)
        st.session_state.pop(SLIDER, None)
        _start(run, given, models, window_s, hop_s)
        run.task.wait(1.5)
    return run


def _start(run: Run, given: state.Given, models: list[ModelCard], window_s: float, hop_s: float) -> None:
    run.task.start(partial(_listen, run, given.name, cached.stream(given), models, window_s, hop_s))


def _listen(
    run: Run,
    name: str,
    stream: audio.Stream,
    models: list[ModelCard],
    window_s: float,
    hop_s: float,
    task: background.Task,
) -> None:
    def tell(done_s: float, total_s: float) -> None:
        task.tell(done_s / total_s, f"Listening: {timeline_charts.clock(done_s)} of {timeline_charts.clock(total_s)}")

    tape = audio.Tape(stream.sample_rate)
    player = audio.Tape(stream.sample_rate, "MP3") if stream.duration_s > LOSSLESS_S else None

    def keep(samples: np.ndarray) -> None:
        for each in filter(None, (tape, player)):
            each.push(samples)

    found = segments.analyse(
        stream,
        cached.judge(models),
        name=name,
        window_s=window_s,
        hop_s=hop_s,
        keep=keep,
        on_progress=tell,
        check_stop=task.check_stop,
    )
    run.tape = tape.close()
    run.player = player.close() if player else run.tape
    run.found = found
    visit.tidy()  # an hour leaves 30 MB of small pieces behind


def head(given: state.Given, models: list[ModelCard]) -> None:
    """Draw the player of a long clip, how good the recording is, and the progress while it is listened to."""
    run = _run(given, models)
    st.markdown(f"**Clip** · {frame.plain(given.name)}")
    if given.note:
        st.markdown(frame.plain(given.note))
    if run.task.running:
        background.watch(run.task, key="timeline")
        return
    if run.found is None or run.player is None:
        background.show_problem(run.task)
        st.button(
            "Start again",
            key="timeline.again",
            icon=":material/restart_alt:",
            on_click=st.session_state.pop,
            args=(state.TIMELINE, None),
        )
        return
    # A large file is played as it was heard: its bytes would come back into memory.
    if isinstance(given.data, bytes) and run.found.container in cached.PLAYABLE:
        data, mime = given.data, cached.PLAYABLE[run.found.container]
    else:
        data, mime = run.player.read(), "audio/flac" if run.player is run.tape else "audio/mpeg"
    st.audio(data, format=mime, alt=f"Clip: {run.found.duration_s:.0f} seconds of sound")
    sound.judge(
        run.found.quality,
        sound.facts(run.found.container, run.found.source_rate, run.found.source_channels, run.found.duration_s),
        truncated=run.found.truncated,
    )


def show(given: state.Given, models: list[ModelCard]) -> None:
    """Draw the clip over time, the moment chosen, the mean of all moments, and the files to take home."""
    run = _run(given, models)
    found = run.found
    if found is None:
        return
    st.header("What the models say, moment by moment", anchor=False)
    _over_time(given, run, found, models)
    means = segments.overall(found)
    st.header("Over the whole recording", anchor=False)
    if not means:
        st.info("No speech was found in this clip, so no model guesses.", icon=":material/hearing_disabled:")
    else:
        n = sum(each.speech for each in found.segments)
        st.markdown(
            f"The mean of each model's probabilities over the {n:,} windows with speech. Long recordings hold many moods: a mean "
            "says little of any moment."
        )
        answers = _answers(means, models)
        st.html(cards.verdict(answers) + cards.grid(answers))
    st.header("Take it with you", anchor=False)
    with st.container(key="downloads", horizontal=True):
        for offer in timeline_exports.offers(given.name, given.data, found):
            st.download_button(
                offer.title,
                offer.build,
                offer.file_name,
                offer.mime,
                key=f"timeline.download.{offer.key}",
                icon=":material/download:",
                on_click="ignore",
            )


def _answers(predictions: list[segments.Prediction], models: list[ModelCard]) -> list[cached.Answer]:
    by_slug = {card.slug: card for card in models}
    return [cached.Answer(by_slug[each.model], each) for each in predictions if each.model in by_slug]


@st.fragment
def _over_time(given: state.Given, run: Run, found: Timeline, models: list[ModelCard]) -> None:
    with st.container(key="timeline_settings", horizontal=True, vertical_alignment="bottom"):
        st.segmented_control(
            "Window",
            WINDOWS_S,
            default=segments.WINDOW_S,
            format_func=lambda s: f"{s:g} s",
            required=True,
            key=WINDOW,
            persist_state="session",
        )
        st.segmented_control(
            "A window every",
            HOPS_S,
            default=segments.HOP_S,
            format_func=lambda s: f"{s:g} s",
            required=True,
            key=HOP,
            persist_state="session",
        )
    if run.key[1:3] != (st.session_state[WINDOW], st.session_state[HOP]):
        st.rerun()
    st.markdown(HOW.format(window_s=found.window_s))
    titles = {card.slug: card.title for card in models}
    if legend := timeline_charts.legend(found):
        st.html(legend)
    chosen = None if run.moment_s is None else _nearest(found, run.moment_s)
    figure = timeline_charts.figure(found, titles, moment=chosen)
    # A key of the clip: what was clicked in another one is not a moment of this one.
    key = f"{FIGURE}.{given.digest[:16]}.{found.window_s:g}.{found.hop_s:g}"
    st.plotly_chart(
        figure,
        key=key,
        config=timeline_charts.CONFIG,
        on_select=partial(_clicked, key, run, found),
        selection_mode="points",
        alt=timeline_charts.describe(found),
    )
    last_s = found.segments[-1].start_s
    if last_s > 0:
        st.slider(
            "Moment",
            0.0,
            last_s,
            step=min(found.hop_s, last_s),
            format="%.1f s",
            key=SLIDER,
            on_change=_slid,
            args=(run,),
            help="Where the window begins; the arrow keys move it.",
        )
    _moment(given, run, found, chosen, models)
    with st.expander("All windows as a table", key="timeline.table"):
        st.dataframe(exports.cells(timeline_exports.table(found, titles)), hide_index=True, key="timeline.rows")


def _nearest(found: Timeline, moment_s: float) -> Segment:
    """Return the window that begins nearest to a moment."""
    starts = np.array([each.start_s for each in found.segments])
    return found.segments[int(np.abs(starts - moment_s).argmin())]


def _slid(run: Run) -> None:
    run.moment_s = st.session_state[SLIDER]


def _clicked(key: str, run: Run, found: Timeline) -> None:
    """Callback of the figure: a click on a column chooses its window."""
    points = st.session_state[key]["selection"]["points"]
    if points:
        run.moment_s = st.session_state[SLIDER] = found.segments[int(points[0]["point_index"])].start_s


def _moment(given: state.Given, run: Run, found: Timeline, chosen: Segment | None, models: list[ModelCard]) -> None:
    """Draw one window: to hear, what the models say of it, and a way to see it as a clip of its own."""
    if chosen is None or run.tape is None:
        return
    clip = audio.cut(run.tape, chosen.start_s, chosen.end_s)
    data = audio.encode_wav(clip)
    with st.container(border=True, key="timeline_moment"):
        st.markdown(
            f"**{timeline_charts.clock(chosen.start_s, tenths=True)} to {timeline_charts.clock(chosen.end_s, tenths=True)}**"
        )
        st.audio(data, format="audio/wav", autoplay=True, alt=f"{clip.duration_s:.1f} seconds of the clip")
        if chosen.predictions:
            answers = _answers(list(chosen.predictions), models)
            st.html(cards.verdict(answers) + cards.grid(answers))
        else:
            st.markdown(":material/hearing_disabled: No speech here, so no model guesses.")
        if st.button("Open this moment in Recognize", key="timeline.open", icon=":material/graphic_eq:"):
            name = f"{PurePath(given.name).stem} {chosen.start_s:g} to {chosen.end_s:g} s.wav"
            state.give(name, data, state.SAMPLE, note="A moment of a longer recording.")
            st.rerun()
