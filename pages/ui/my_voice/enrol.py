"""The guided minute: for each label a sentence to act, recorded, sent up or taken from one's clips; then kept, repeated or skipped.

Callbacks ask for the voice when they are called: Streamlit keeps what it is given for a widget after the widget has gone.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from pages.ui import clip_input, clip_view, downloads, frame, inputs, player, recognition, runtime, shelf, state, voice
from ser_core.corpora import recorded
from ser_core.errors import SerError
from ser_core.recognition import timeline
from ser_core.recognition.analysis import Analysis
from ser_core.recognition.card import ModelCard
from ser_core.recognition.recognizer import Prediction

OWN_SENTENCE = ""
"""The choice among the sentences that leaves open what is said."""

TOO_LONG = f"A take is one sentence: {timeline.LONG_S:g} seconds at the most. This one is longer: record it again, or send a part of it."

HOW_TEST = """
**The second round is the test.** Its takes are not adapted to: they show whether the adaptation helps on sentences that it does not know.
"""


def show_enrolment(mine: voice.Mine, cards: Sequence[ModelCard]) -> None:
    """Draw the choice of labels, how far the round is, and the take that comes next."""
    _show_note(mine)
    if not mine.takes and not mine.is_test:
        st.segmented_control(
            "Emotions to act",
            list(voice.LABEL_SETS),
            default=mine.n_labels,
            required=True,
            format_func=lambda n: f"{n} in {'a minute' if n == 8 else '45 s' if n == 6 else 'half a minute'}",
            key="my_voice.set",
            on_change=_choose_set,
        )
    if mine.is_test:
        st.markdown(HOW_TEST)
    missing = mine.missing
    done = len(mine.labels) - len(missing)
    title = "Second round" if mine.is_test else "First round"
    if not missing:
        st.progress(1.0, text=f"{title}: {_count(len(mine.round))}")
        _show_after(mine, cards)
    else:
        st.progress(done / len(mine.labels), text=f"{title}: {done + 1} of {len(mine.labels)}")
        _show_step(mine, missing[0], cards)
    _show_takes(mine, cards)


def _count(n: int) -> str:
    return f"{n} take{'s' * (n != 1)} kept"


def _choose_set() -> None:
    mine = voice.mine()
    mine.n_labels = st.session_state["my_voice.set"]
    mine.skipped = set()


def _show_step(mine: voice.Mine, label: str, cards: Sequence[ModelCard]) -> None:
    """Draw one step: what to say and how, the ways to give it, and, once it is given, whether it is good enough."""
    number = st.session_state.get(state.VOICE_ROUND, 0)
    st.header(f"Act “{label}”", anchor=False)
    place = mine.labels.index(label) + (len(recorded.SENTENCES) // 2 if mine.is_test else 0)
    sentence = st.selectbox(
        "Say, in any language",
        [*recorded.SENTENCES, OWN_SENTENCE],
        index=place % len(recorded.SENTENCES),
        format_func=lambda text: text or "A sentence of your own",
        key=f"my_voice.sentence.{number}.{label}",
    )
    inputs.notice()
    recording, uploading, taking = st.tabs(["Record", "Upload", "From your clips"], key="my_voice.way")
    with recording:
        key = f"my_voice.record.{number}"
        # 44.1 kHz: at 48 kHz the browser's gain control gets in, at 16 kHz its codec costs the upper band.
        st.audio_input(
            f"Two to four seconds, as if you felt {label}",
            sample_rate=44_100,
            key=key,
            on_change=_receive,
            args=(key, clip_input.RECORDING),
        )
    with uploading:
        key = f"my_voice.upload.{number}"
        st.file_uploader(
            "A recording of your voice",
            type=inputs.FORMATS,
            key=key,
            on_change=_receive,
            args=(key, clip_input.UPLOAD),
        )
    with taking:
        _offer_clips(label)
    analysis = _show_candidate(mine)
    with st.container(horizontal=True, key="my_voice_step"):
        st.button(
            "Keep",
            key="my_voice.keep",
            type="primary",
            icon=":material/check:",
            disabled=analysis is None or not analysis.quality.has_speech or not cards,
            on_click=_keep,
            args=(label, sentence, cards),
        )
        st.button(
            "Record again",
            key="my_voice.again",
            icon=":material/replay:",
            disabled=mine.candidate is None,
            on_click=_next,
        )
        st.button(f"Skip {label}", key="my_voice.skip", icon=":material/skip_next:", on_click=_skip, args=(label,))


def _receive(widget_key: str, source: str) -> None:
    """Callback: look at what the recorder or the uploader holds."""
    mine = voice.mine()
    file = st.session_state[widget_key]
    if not isinstance(file, UploadedFile):
        mine.candidate = None
    elif file.size > clip_input.LARGE:
        mine.note = ("error", TOO_LONG)
        _next()
    elif not clip_input.is_too_fast():
        mine.candidate = clip_input.new_clip(
            "recording.wav" if source == clip_input.RECORDING else file.name, file.getvalue(), source
        )


def _offer_clips(label: str) -> None:
    """Draw the choice among the clips of this visit; those that were meant so come first."""
    found = {clip.key: clip for clip in sorted(shelf.clips(), key=lambda clip: clip.meant != label)}
    if not found:
        st.markdown("None yet: what you record or upload on Recognize, or say on Live, can be taken here.")
        return
    key = st.selectbox(
        "Clip",
        found,
        format_func=lambda key: shelf.title(found[key]) + (f" · meant: {found[key].meant}" if found[key].meant else ""),
        key=f"my_voice.clip.{label}",
    )
    st.button(
        "Use this clip",
        key="my_voice.use",
        icon=":material/input:",
        disabled=key is None,
        on_click=_use,
        args=(key,),
    )


def _use(key: str) -> None:
    clip = shelf.find(key)
    if clip:
        voice.mine().candidate = clip_input.new_clip(clip.name, clip.data, clip_input.SAMPLE)


def _show_candidate(mine: voice.Mine) -> Analysis | None:
    """Draw the take that is looked at: whether it is good enough; return its analysis, None where there is none."""
    given = mine.candidate
    if given is None:
        return None
    try:
        analysis = recognition.analyse_short(given)
    except SerError as error:
        st.error(frame.plain(str(error)), icon=":material/error:")
        return None
    if analysis is None:
        st.error(TOO_LONG, icon=":material/error:")
        return None
    if given.source != clip_input.RECORDING:  # the recorder plays its own
        data, mime = recognition.playable(given, analysis)
        player.show(
            data,
            mime,
            key="my_voice.player",
            label="the take",
            duration_s=analysis.clip.waveform.duration_s,
            analysis=analysis,
        )
    sound = analysis.clip
    facts = clip_view.facts(sound.container, sound.source_rate, sound.source_channels, analysis.quality.duration_s)
    clip_view.show_quality(analysis.quality, facts, remarks=sound.remarks)
    return analysis


def _keep(label: str, sentence: str, cards: Sequence[ModelCard]) -> None:
    """Callback: keep the take that is looked at, and adapt to what there is now."""
    mine = voice.mine()
    given = mine.candidate
    if given is None:
        return
    if len(mine.takes) + len(mine.tests) >= voice.MOST_TAKES:
        mine.note = ("error", f"{voice.MOST_TAKES} takes are the most that a visit keeps. Remove some first.")
        return
    runtime.announce()  # a callback comes before the page
    try:
        # All models in one task: on the way here, some may have been left out.
        found = recognition.predict_short(given.data, given.name, cards)
        assert found is not None, "the page offers no long ones"
        analysis, answers = found
        said = [each for each in answers if isinstance(each, Prediction)]
        if not said:
            mine.note = ("error", next((str(each) for each in answers), "No model answered."))
            return
        traits = recognition.voice_traits(analysis)
    except SerError as error:
        mine.note = ("error", str(error))
        return
    said_so = sentence if given.source == clip_input.RECORDING else OWN_SENTENCE  # what other clips say is not known
    mine.round.append(voice.take_clip(label, said_so, analysis, said, cards, traits))
    voice.update(mine, cards)
    _next()


def _next() -> None:
    """Make room for another take."""
    empty_inputs()
    voice.mine().candidate = None


def empty_inputs() -> None:
    """Empty the recorder and the uploader, and have Streamlit let go of what they held."""
    number = st.session_state.get(state.VOICE_ROUND, 0)
    for way in ("record", "upload"):
        runtime.release_upload(st.session_state.get(f"my_voice.{way}.{number}"))
    st.session_state[state.VOICE_ROUND] = number + 1


def _skip(label: str) -> None:
    voice.mine().skipped.add(label)
    _next()


def _show_after(mine: voice.Mine, cards: Sequence[ModelCard]) -> None:
    """Draw what can be done once a round is through."""
    with st.container(horizontal=True, key="my_voice_after"):
        if mine.skipped:
            st.button(
                "Record the skipped ones",
                key="my_voice.unskip",
                icon=":material/replay:",
                on_click=_unskip,
            )
        if not mine.is_test:
            st.button(
                "Second round: the test",
                key="my_voice.test",
                type="primary",
                icon=":material/quiz:",
                disabled=not mine.takes and not mine.loaded,
                on_click=_begin_test,
            )
        elif mine.tests:
            st.button(
                "Adapt to these takes too",
                key="my_voice.join",
                icon=":material/merge:",
                help="More takes help a little more; then another second round is the test.",
                on_click=_join,
                args=(cards,),
            )
    if mine.is_test and not mine.tests:
        st.button("Back to the first round", key="my_voice.back", icon=":material/arrow_back:", on_click=_back)


def _unskip() -> None:
    voice.mine().skipped.clear()


def _begin_test() -> None:
    mine = voice.mine()
    mine.is_test, mine.skipped = True, set()
    _next()


def _back() -> None:
    mine = voice.mine()
    mine.is_test, mine.skipped = False, set()
    _next()


def _join(cards: Sequence[ModelCard]) -> None:
    mine = voice.mine()
    mine.takes, mine.tests = [*mine.takes, *mine.tests], []
    voice.update(mine, cards)
    _back()


def _show_takes(mine: voice.Mine, cards: Sequence[ModelCard]) -> None:
    """Draw the takes of both rounds, each to hear and to remove."""
    rounds = [(mine.takes, ""), (mine.tests, " (test)")]
    n = len(mine.takes) + len(mine.tests)
    if not n:
        return
    with st.expander("Your takes", key="my_voice.takes", icon=":material/graphic_eq:"):
        for takes, word in rounds:
            for place, take in enumerate(takes):
                with st.container(
                    horizontal=True, vertical_alignment="center", key=f"my_voice_take_{place}{word[2:3]}"
                ):
                    st.markdown(f"**{take.label}**{word}  \n:small[{frame.plain(take.quality.summary)}]")
                    with st.container(key=f"my_voice_play_{place}{word[2:3]}", width=260):
                        player.show(
                            take.data,
                            "audio/flac",
                            key=f"my_voice.player.{place}{word}",
                            label=f"take {place + 1}{word}, {take.label}",
                            duration_s=take.duration_s,
                            pictures=False,
                        )
                    st.download_button(
                        "Download",
                        downloads.unless_forgotten(weakref.ref(take), lambda take: take.data),
                        f"{downloads.safe_stem(take.label)}-{place + 1}.flac",
                        "audio/flac",
                        key=f"my_voice.download.{place}{word}",
                        icon=":material/download:",
                        on_click="ignore",
                    )
                    st.button(
                        "Remove",
                        key=f"my_voice.remove.{place}{word}",
                        icon=":material/delete:",
                        on_click=_remove,
                        args=(weakref.ref(take), cards),
                    )


def _remove(found: weakref.ref[voice.TakeClip], cards: Sequence[ModelCard]) -> None:
    """Callback: remove a take of either round; Streamlit keeps the arguments for the rest of the visit, so they hold no take."""
    mine, take = voice.mine(), found()
    if take is not None:
        mine.takes = [each for each in mine.takes if each is not take]
        mine.tests = [each for each in mine.tests if each is not take]
        voice.update(mine, cards)


def _show_note(mine: voice.Mine) -> None:
    """Draw what became of the last click, once."""
    note, mine.note = mine.note, None
    if note:
        frame.show_outcome(*note)
