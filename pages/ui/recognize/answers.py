"""What the models say of a short clip on the Recognize page: the four at once, the pretrained one when there is time for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from pages.ui import cached, clip_input, downloads, prediction_cards, recognition, runtime, voice
from pages.ui.live import session
from ser_core.metrics import abstention
from ser_core.recognition.card import ModelCard
from ser_core.recognition.recognizer import Prediction

ASK_S = 0.3
"""How often the browser asks for an answer that is on its way."""


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


def show(
    now: recognition.Asked,
    before: recognition.Asked | None = None,
    *,
    keep: Callable[[Sequence[Prediction]], bool] = lambda found: False,
) -> None:
    """Draw what was answered about the clip, and about the one to compare it with; what is on its way comes by itself.

    keep: is told the answers about the clip whenever they are drawn, and returns whether the page shows them below, too: once all are
    there and differ from the first ones, it is drawn again.
    """
    drawn = now.predictions()
    waits = _waits(now, before)
    st.fragment(_draw, run_every=ASK_S if waits else None)(now, before, keep, drawn if waits else None)


def _waits(now: recognition.Asked, before: recognition.Asked | None) -> bool:
    return now.waits or (before is not None and before.waits)


def _draw(
    now: recognition.Asked,
    before: recognition.Asked | None,
    keep: Callable[[Sequence[Prediction]], bool],
    drawn: Sequence[Prediction] | None,
) -> None:
    """Draw the answers as they are. drawn: those about the clip when the page was drawn, None where nothing was on its way."""
    is_last = drawn is not None and not _waits(
        now, before
    )  # looked at first: what comes meanwhile is drawn the next time
    if is_last:
        runtime.stop_asking()
    said = now.predictions()
    if keep(said) and is_last and said != drawn:
        st.rerun()
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
