"""Break it, below the answers on the Recognize page: the clip as it would be elsewhere, or spoken otherwise, and what the models then say.

Nothing is computed before it is asked for: one variant where somebody chooses it, all of them where somebody looks for what flips one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import pandas as pd
import streamlit as st

from pages.ui import cached, clip_input, downloads, frame, player, prediction_cards, recognition, runtime, state
from pages.ui.task import Task, show_problem, watch
from ser_core.audio.degradations import CONDITIONS
from ser_core.audio.waveform import Waveform, encode_wav
from ser_core.errors import SerError
from ser_core.explanation import what_if
from ser_core.recognition import store
from ser_core.recognition.analysis import Analysis
from ser_core.recognition.card import ModelCard
from ser_core.recognition.personal import Voice
from ser_core.recognition.recognizer import Prediction
from ser_core.system import untrusted_csv

KEY = "recognize.break_it"

ABOUT = """
The same words, recorded elsewhere or spoken otherwise: does the answer stay? **Choose what happens to the clip, and how much of it**, and
listen.
"""

LEGEND = """
:small[Each emotion has two bars: the thin one is what the model says of the clip as it is, the thick one of the clip as you hear it here.]
"""

ASK_PRETRAINED = "Ask the pretrained model, too"
PRETRAINED_HELP = """
It takes three times as long as all the others. Without it, All together is the answer of the others alone.
"""

FOUND = """
The mildest level that flips an answer, to another emotion or to “not sure”, of the {n} variants that were tried. An answer that stays is no
better for it: it may be wrong all the time.
"""

TRY_ALL, AGAIN = "Find what flips it", "Find it again"

AS_IT_IS = "as it is"


@dataclass
class Search:
    """The look for what flips the answers to a clip: what tells it from others, its thread, and the answers so far."""

    key: tuple[object, ...]
    clean: Sequence[Prediction]
    titles: dict[str, str]
    task: Task = field(default_factory=Task)
    heard: dict[what_if.Variant, list[Prediction]] = field(default_factory=dict)


def show(given: clip_input.ClipInput, analysis: Analysis, asked: recognition.Asked) -> None:
    """Draw the part, closed until somebody opens it."""
    with st.expander("Break it", key=KEY, icon=":material/tune:", on_change="rerun") as part:
        if part.open:
            _draw(given, analysis, asked)


@st.fragment
def _draw(given: clip_input.ClipInput, analysis: Analysis, asked: recognition.Asked) -> None:
    runtime.announce()
    st.markdown(ABOUT)
    condition, level = _choose()
    cards = _cards(asked)
    answers = [each.prediction for each in asked.answers() if each.card in cards and each.prediction]
    clean = recognition.with_together(answers, cards)
    if not clean:
        st.info("No model of this server has answered. Imported models are left out here.", icon=":material/info:")
        return
    titles = recognition.titles(cards) | cached.model_titles(cards)
    try:
        data, mime, now = _variant(given, analysis, condition, level, cards, asked.voice) or (
            *recognition.playable(given, analysis),
            clean,
        )
    except SerError as error:
        st.error(frame.plain(str(error)), icon=":material/error:")
        return
    player.show(
        data,
        mime,
        key=f"{KEY}.player",
        label=f"The clip with {CONDITIONS[condition].title}, {_word(condition, level)}",
        duration_s=None,
        pictures=False,
    )
    st.html(prediction_cards.moved(now, clean, titles))
    st.markdown(LEGEND)
    _draw_search(given, analysis.clip.waveform, cards, asked.voice, clean, titles)


def _choose() -> tuple[str, float | None]:
    """Draw the choice of what happens to the clip, and how much of it; None: nothing."""
    name = st.pills(
        "What happens to it",
        list(CONDITIONS),
        format_func=lambda name: CONDITIONS[name].title,
        default="white",
        required=True,
        key=f"{KEY}.condition",
        wrap=True,
    )
    row = CONDITIONS[name]
    levels = {_word(name, level): level for level in ((None,) if row.middle is None else ()) + row.levels}
    words = list(levels)
    word = st.select_slider(f"{row.title}: {row.unit}", words, words[-2], key=f"{KEY}.level.{name}")
    st.markdown(f":small[It imitates {what_if.SURROUNDED_BY if row.others else row.imitates}.]")
    level = levels[word]
    return name, None if level == row.middle else level


def _word(condition: str, level: float | None) -> str:
    """Return a level as the slider shows it."""
    middle = CONDITIONS[condition].middle
    if level is None or level == middle:
        return AS_IT_IS
    return f"{level:g}" if middle is None else f"{level:+g}"


def _cards(asked: recognition.Asked) -> list[ModelCard]:
    """Draw the choice whether the pretrained model is asked, where there are others, and return the models that are."""
    own = [each.card for each in asked.answers() if each.prediction and not each.card.imported]
    quick = [card for card in own if not store.is_pretrained(card)]
    if quick and len(quick) < len(own):
        return own if st.toggle(ASK_PRETRAINED, key=f"{KEY}.pretrained", help=PRETRAINED_HELP) else quick
    return own


def _variant(
    given: clip_input.ClipInput,
    analysis: Analysis,
    condition: str,
    level: float | None,
    cards: Sequence[ModelCard],
    voice: Voice | None,
) -> tuple[bytes, str, list[Prediction]] | None:
    """Return the clip under a condition as bytes to play, their type, and what the models say of it; None where nothing is changed."""
    if level is None:
        return None
    key = f"{given.digest} {condition} {level:g} {cached.model_keys(cards)}"
    data, found = _changed(key, analysis.clip.waveform, condition, level, cards)
    return data, "audio/wav", recognition.with_together(found, cards, voice)


@st.cache_resource(scope="session", max_entries=16, show_spinner="Changing the clip …")
def _changed(
    key: str, _waveform: Waveform, condition: str, level: float, _cards: Sequence[ModelCard]
) -> tuple[bytes, list[Prediction]]:
    changed, found = recognition.change(_waveform, condition, level, _cards)
    return encode_wav(changed), found


def _draw_search(
    given: clip_input.ClipInput,
    waveform: Waveform,
    cards: Sequence[ModelCard],
    voice: Voice | None,
    clean: Sequence[Prediction],
    titles: dict[str, str],
) -> None:
    """Draw the button that tries everything, how far that is, and what was found."""
    key = (given.digest, cached.model_keys(cards), voice)
    search: Search | None = st.session_state.get(state.BREAK_IT)
    if search and search.key != key:
        search.task.stop()
        search = st.session_state[state.BREAK_IT] = None
    if search and search.task.running:
        watch(search.task, key=f"{KEY}.search")
        return
    st.button(
        AGAIN if search else TRY_ALL,
        key=f"{KEY}.search.start",
        type="secondary" if search else "primary",
        icon=":material/troubleshoot:",
        on_click=_start,
        args=(Search(key, clean, titles), waveform, cards, voice),
    )
    if search:
        show_problem(search.task)
        if search.heard:
            _draw_found(given, search)


def _start(search: Search, waveform: Waveform, cards: Sequence[ModelCard], voice: Voice | None) -> None:
    """Callback: try every level of every condition."""
    runtime.announce()  # a callback comes before the page
    st.session_state[state.BREAK_IT] = search
    search.task.start(partial(_try_all, search, waveform, cards, voice))
    search.task.wait(2.5)


def _try_all(search: Search, waveform: Waveform, cards: Sequence[ModelCard], voice: Voice | None, task: Task) -> None:
    for place, (condition, row) in enumerate(CONDITIONS.items()):
        task.check_stop()
        task.tell(place / len(CONDITIONS), f"{row.title} …")
        for variant, found in recognition.ask_changed(waveform, condition, cards).items():
            search.heard[variant] = recognition.with_together(found, cards, voice)


def _draw_found(given: clip_input.ClipInput, search: Search) -> None:
    """Draw what flips each answer, in words and as a table, and the file with every answer."""
    flips = {each.model: what_if.find(each, _of(search, each.model)) for each in search.clean}
    st.markdown(
        "\n".join(
            f"- **{frame.plain(search.titles[each.model])}**: {what_if.sentence(each, flips[each.model])}"
            for each in search.clean
        )
    )
    st.markdown(FOUND.format(n=len(search.heard)))
    st.html(prediction_cards.flip_table({search.titles[model]: found for model, found in flips.items()}))
    st.download_button(
        "Every answer (CSV)",
        partial(_csv, search),
        f"{downloads.safe_stem(given.name)}-what-if.csv",
        "text/csv",
        key=f"{KEY}.csv",
        icon=":material/download:",
        on_click="ignore",
    )


def _of(search: Search, model: str) -> dict[what_if.Variant, Prediction]:
    """Return what one model said of each variant."""
    return {variant: each for variant, found in list(search.heard.items()) for each in found if each.model == model}


def _csv(search: Search) -> str:
    """Return one line per variant and model: what it says, whether that flips its answer, and its probabilities as fractions."""
    clean = {each.model: what_if.answer(each) for each in search.clean}
    rows = [("clean", "", each) for each in search.clean]
    rows += [(name, f"{level:g}", each) for (name, level), found in search.heard.items() for each in found]
    return untrusted_csv.encode(
        pd.DataFrame(
            [
                {
                    "condition": name,
                    "level": level,
                    "unit": CONDITIONS[name].unit if level else "",
                    "model": each.model,
                    "answer": what_if.answer(each),
                    "flips": what_if.answer(each) != clean.get(each.model),
                    **each.probabilities,
                }
                for name, level, each in rows
            ]
        )
    )
