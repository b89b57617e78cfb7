"""See oneself: what the models answer to the takes, before and after adaptation, what they confuse, and how the voice sounds in figures."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

import streamlit as st

from pages.ui import cached, cell_clips, clip_input, frame, recognition, voice
from pages.ui.charts import models as charts_models
from pages.ui.my_voice import figures
from ser_core import paths
from ser_core.dataset import exploration
from ser_core.errors import SerError
from ser_core.explanation import profile
from ser_core.recognition import together
from ser_core.recognition.card import ModelCard

NO_TEST = """
Whether it helps is not known yet: takes that the models adapted to prove nothing. Finish the first round; **a second round is the test**.
"""

NO_ANSWERS = "None of the models that are chosen now has answered these takes. Choose those that did on Recognize, or record anew."

NOT_MEASURED = """
Whether it helps was **not measured**: no adapted model that is chosen now has answered the test takes. Record them again with these models.
"""

NO_CORPUS = """
How that compares with other voices cannot be told here: figures of no corpus that the models learned from come with the project, and none
of these corpora is installed and measured on this server. Install one on the Corpora page, and open its tab Explore, section Voices, once.
"""


def show_results(mine: voice.Mine, cards: Sequence[ModelCard]) -> None:
    """Draw what is known of the voice, once there is a take."""
    takes = [*mine.takes, *mine.tests]
    if not takes and mine.voice is None:
        return
    st.header("Adaptation", anchor=False)
    if mine.problem:
        st.info(frame.plain(mine.problem), icon=":material/info:")
    voice.switch(cards)
    titles = recognition.titles(cards)
    before = [figures.by_model(recognition.with_together(each.predictions, cards)) for each in takes]
    after = [
        figures.by_model(recognition.with_together(each.predictions, cards, mine.voice)) if mine.voice else None
        for each in mine.tests
    ]
    _show_test(mine, titles, before[len(mine.takes) :], [each for each in after if each is not None])
    if not takes:
        return
    st.header("What the models answer to your takes", anchor=False)
    labels = [each.label for each in takes]
    alone = [{slug: said for slug, said in each.items() if slug in {card.slug for card in cards}} for each in before]
    if not any(alone):
        st.info(NO_ANSWERS, icon=":material/info:")
        _show_traits(takes, cards)
        return
    st.html(figures.answers_table(titles, list(zip(labels, before, [*[None] * len(mine.takes), *after], strict=True))))
    st.markdown(
        ":small[✓ right, ✗ wrong; leading guesses count. Of test takes, what changes with your voice comes after the arrow.]"
    )
    _show_confusion(takes, alone, titles)
    _show_traits(takes, cards)


def _show_test(
    mine: voice.Mine, titles: dict[str, str], before: list[dict[str, str]], after: list[dict[str, str]]
) -> None:
    """Draw how many takes of the second round are answered right, without and with the voice."""
    if mine.voice is None:
        return
    if not mine.tests:
        st.markdown(NO_TEST)
        return
    labels = [each.label for each in mine.tests]
    adapted = {together.NAME, *mine.voice.adaptations}
    measured = [slug for slug in titles if slug in adapted and figures.n_right(labels, before, slug)[1]]
    if measured:
        slug = figures.lead(measured)
        right, n = figures.n_right(labels, before, slug)
        st.markdown(figures.verdict(frame.plain(titles[slug]), right, figures.n_right(labels, after, slug)[0], n))
    else:
        st.markdown(NOT_MEASURED)
    st.html(figures.before_and_after(titles, labels, before, after))


@st.fragment
def _show_confusion(
    takes: Sequence[voice.TakeClip], answers: Sequence[dict[str, str]], titles: Mapping[str, str]
) -> None:
    """Draw what all models confuse, and the takes behind a cell. answers: of each take, model -> label."""
    st.header("What they confuse", anchor=False)
    labels = [each.label for each in takes]
    st.markdown(figures.confused(labels, answers))
    names, counts = figures.confusion(labels, answers)
    matrix = cell_clips.Matrix(
        charts_models.matrix(names, counts, names, as_shares=False, unit="answers"),
        names,
        f"Confusion matrix of all models' answers to your takes. {figures.confused(labels, answers)}",
        functools.partial(_behind, takes, answers, titles),
    )
    with st.container(key="my_voice_confusion", width=560):
        cell_clips.show_matrices(
            {"Takes": matrix}, key="my_voice.confusion", config=charts_models.CONFIG, titled=False, unit="answer"
        )


def _behind(
    takes: Sequence[voice.TakeClip], answers: Sequence[dict[str, str]], titles: Mapping[str, str]
) -> cell_clips.Behind:
    """Return the answers to the takes, a row a take and model."""
    rows, said = figures.answer_rows(takes, answers, titles)
    return cell_clips.Behind(said, lambda row: _clip(takes[rows[row]], rows[row]))


def _clip(take: voice.TakeClip, number: int) -> clip_input.ClipInput:
    name = f"{figures.take_name(number)}.flac"
    return clip_input.new_clip(name, take.data, clip_input.SAMPLE, label=take.label, note=frame.plain(take.sentence))


def _show_traits(takes: Sequence[voice.TakeClip], cards: Sequence[ModelCard]) -> None:
    st.header("What the models hear in your voice", anchor=False)
    values = figures.traits(takes)
    standing = _standing(values, cards)
    st.html(figures.traits_table(values, standing))
    if standing:
        st.markdown(
            ":small[The median of your takes, and the share of a corpus's clips that it lies above. The level depends on the microphone.]"
        )
    else:
        st.markdown(NO_CORPUS)


def _standing(values: dict[str, float], cards: Sequence[ModelCard]) -> dict[str, dict[str, float]]:
    """Return where figures stand among the corpora that the models learned from: title -> figure -> share of its clips below.

    As measured here, else as it comes with the project.
    """
    learned = {corpus["corpus"] for card in cards for corpus in card.corpora}
    folders, known = cached.corpus_folders(cached.corpora_root()), _shipped_profile()
    found = {}
    for name in dict.fromkeys([*known.corpora, *folders]):
        measured = _measured(name, folders[name]) if name in learned & set(folders) else None
        if measured is not None:
            found[cached.corpus_title(name)] = {
                each: exploration.share_below(measured, each, value) for each, value in values.items()
            }
        elif name in learned & set(known.corpora):
            found[cached.corpus_title(name)] = {
                each: known.share_below(each, value, corpora=(name,)) for each, value in values.items()
            }
    return found


def _shipped_profile() -> profile.Profile:
    """Return what comes with the project; nothing where its file cannot be read: the page does without."""
    try:
        return cached.profile()
    except SerError:
        return profile.Profile(command="", licence="")


def _measured(name: str, folder: Path) -> exploration.Measured | None:
    """Return what was measured on a corpus before; nothing is measured here."""
    try:
        return _recall(name, folder, cached.fingerprint(folder))
    except SerError:  # the Corpora page says what is wrong with it
        return None


@st.cache_resource(ttl=60, max_entries=16, show_spinner=False)
def _recall(name: str, folder: Path, fingerprint: str) -> exploration.Measured | None:
    return exploration.recall(cached.clips(name, folder), cache=paths.feature_cache())
