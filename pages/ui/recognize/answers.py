"""What the models say of a short clip on the Recognize page: the four at once, the pretrained one when there is time for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from pages.ui import cached, clip_input, downloads, frame, player, prediction_cards, recognition, runtime, voice
from pages.ui.live import session
from ser_core.audio import waveform
from ser_core.audio.waveform import Waveform
from ser_core.errors import SerError
from ser_core.metrics import abstention
from ser_core.recognition.card import ModelCard

ASK_S = 1.0
"""How often the browser asks for an answer that is on its way."""

WORDS = ("Whole clip", "Selection")
"""What a clip and a part of it are called whose answers stand side by side."""


def ask(
    clip: clip_input.ClipInput, comparison: clip_input.ClipInput | None, models: list[ModelCard]
) -> list[recognition.Asked]:
    """Ask the models about the clip, and about the one to compare it with; without the pretrained ones while no place in Live is free."""
    room = not session.places().full
    return [
        recognition.ask(each, models, with_pretrained=room, voice=voice.current())
        for each in (clip, comparison)
        if each
    ]


def show(now: recognition.Asked, before: recognition.Asked | None = None) -> None:
    """Draw what was answered about the clip, and about the one to compare it with; what is on its way comes by itself."""
    waits = _waits(now, before)
    st.fragment(_draw, run_every=ASK_S if waits else None)(now, before, waits)


def _waits(now: recognition.Asked, before: recognition.Asked | None) -> bool:
    return now.waits or (before is not None and before.waits)


def _draw(now: recognition.Asked, before: recognition.Asked | None, waited: bool) -> None:
    """Draw the answers as they are. waited: whether some were on their way when the page was drawn."""
    if waited and not _waits(now, before):  # looked at first: what comes meanwhile is drawn the next time
        runtime.stop_asking()
    answers, first = now.answers(), before.answers() if before else []
    whole, first_whole = recognition.as_one(answers), recognition.as_one(first) if first else None
    st.html(prediction_cards.cards(answers, whole, first, first_whole))
    if any(each.may_follow and each.problem for each in answers):
        st.button("Ask again", key="recognize.ask", icon=":material/refresh:", on_click=st.rerun)
    if prediction_cards.unsure([*answers, *first], whole, first_whole):
        st.markdown(f":small[**Not sure**: {abstention.ABSTENTION_RULE}]")
    with st.expander("The probabilities as a table", key="recognize.table"):
        titles = recognition.titles(now.cards) | cached.model_titles(now.cards)
        st.table(downloads.cells(downloads.table(now.predictions(), titles)))


Whole = Callable[[], tuple[Sequence[recognition.Answer], recognition.Together | None, bool]]
"""What returns the answers for a whole clip, what they say together, and whether more of them are on their way."""


def whole(asked: recognition.Asked) -> tuple[Sequence[recognition.Answer], recognition.Together | None, bool]:
    """Return what was answered about a clip, as show_selection asks for it."""
    waits, found = asked.waits, asked.answers()
    return found, recognition.as_one(found) if found else None, waits


def show_selection(
    selection: player.Selection,
    part: clip_input.ClipInput,
    of_whole: Whole,
    models: list[ModelCard],
    *,
    key: str,
) -> None:
    """Draw what the models say of a part of a clip, beside what they say of the whole. part: it as a clip; key: of the player."""
    with st.container(border=True, key="recognize_selection"):
        with st.container(horizontal=True, vertical_alignment="center", key="recognize_selection_head"):
            st.markdown(f"**The selection, {selection.words}**")
            st.button(
                "Close", key="recognize.selection.close", icon=":material/close:", on_click=player.forget, args=(key,)
            )
        try:
            heard = recognition.analyse(part, models)
            (asked,) = ask(part, None, models)
        except SerError as error:
            st.error(frame.plain(str(error)), icon=":material/error:")
            return
        if not heard.quality.has_speech:
            st.info(
                "No speech was found in this selection, so there is no prediction. Select a longer part.",
                icon=":material/hearing_disabled:",
            )
            return
        waits = asked.waits or of_whole()[2]
        st.fragment(_draw_selection, run_every=ASK_S if waits else None)(asked, of_whole, waits)


def selected(selection: player.Selection, sound: Waveform) -> clip_input.ClipInput:
    """Return the sound of a part of a clip as a clip of its own."""
    data = waveform.encode_pcm(waveform.to_pcm(sound.samples), sound.sample_rate, container="FLAC")
    return clip_input.new_clip(f"{selection.words}.flac", data, clip_input.SAMPLE)


def part_of(sound: Waveform, selection: player.Selection) -> Waveform:
    """Return the samples of a part of a clip."""
    first, last = (round(each * sound.sample_rate) for each in (selection.start_s, selection.end_s))
    return Waveform(sound.samples[first:last], sound.sample_rate)


def _draw_selection(asked: recognition.Asked, of_whole: Whole, waited: bool) -> None:
    waits = asked.waits
    first, first_together, more = of_whole()
    if waited and not waits and not more:
        runtime.stop_asking()
    answers = asked.answers()
    # Of a long recording, some models may have no answer: then there is nothing to stand beside.
    beside = first if len(first) == len(answers) else ()
    st.html(
        prediction_cards.cards(
            answers, recognition.as_one(answers), beside, first_together if beside else None, words=WORDS
        )
    )
