"""Why the models answer as they do, below the answers on the Recognize page. Nothing of it is computed before it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import streamlit as st

from pages.ui import cached, clip_input, downloads, frame, inputs, player, recognition, runtime, state, voice
from pages.ui.charts import why as charts
from pages.ui.charts.clip import CONFIG
from ser_core import paths
from ser_core.corpora import catalogue
from ser_core.errors import SerError
from ser_core.explanation import profile, report, service
from ser_core.explanation.measures import Contributions
from ser_core.explanation.neighbours import Neighbour, Neighbours
from ser_core.explanation.occlusion import Occlusion
from ser_core.explanation.service import Explanation
from ser_core.recognition.analysis import Analysis
from ser_core.recognition.card import ModelCard
from ser_core.system import workers

ALL, VOICE, OWN_ANSWER = "*", "~", ""
"""The choices of all models, of the voice by itself, and of the label that each model answers."""

MOST = 24
"""Explanations that a visit keeps: those asked for last."""

ABOUT = """
Choose a model: networks are asked about the clip with one patch after another covered, the others about it with one group of measures made
average; *Voice* asks no model. An explanation is of the **model**, not of the person: it shows what the model went by, right or wrong.
"""

IMPORTED = "An imported model runs apart from the others, and is asked for answers alone: they are not explained here."
NO_ROOM = "Left out while many are waiting here. Ask again in a moment."
ADAPTED = "The models are explained as they are for everybody, not as adapted to your voice."


@st.fragment
def show(given: clip_input.ClipInput, cards: Sequence[ModelCard]) -> None:
    """Draw the choice of a model, and why the chosen one answers as it does."""
    titles = cached.model_titles(cards)
    choices = {ALL: "All", **{card.slug: frame.plain(titles[card.slug]) for card in cards}, VOICE: "Voice"}
    st.markdown(ABOUT)
    with st.container(horizontal=True, key="recognize_why", vertical_alignment="bottom"):
        chosen = st.pills(
            "Explain",
            list(choices),
            format_func=lambda slug: choices.get(slug, slug),
            key=f"recognize.why.model.{given.digest[:16]}",
        )
        labels = list(dict.fromkeys(label for card in cards for label in card.labels))
        label = st.selectbox(
            "Label",
            [OWN_ANSWER, *labels],
            format_func=lambda label: label or "what it answers",
            key="recognize.why.label",
            width=220,
        )
    if chosen not in choices:
        return
    if chosen in (ALL, VOICE):
        with st.container(border=True, key="recognize_why_voice"):
            st.subheader("This voice", anchor=False)
            _show_voice(given, labels)
    asked = [card for card in cards if chosen in (ALL, card.slug)]
    if not asked:
        return
    found = explanations(given, asked, label)
    if voice.current() is not None:
        st.markdown(f":small[{ADAPTED}]")
    try:
        for card in asked:
            with st.container(border=True, key=f"recognize_why_{card.slug}"):
                st.subheader(frame.plain(titles[card.slug]), anchor=False)
                _show(card, found[card.slug], given)
        if any(isinstance(each, Explanation) for each in found.values()):
            _offer_page(given, asked, found, titles)
    except SerError as error:  # the clip had to be measured again, and could not be
        st.error(frame.plain(str(error)), icon=":material/error:")


def explanations(given: clip_input.ClipInput, cards: Sequence[ModelCard], label: str) -> dict[str, Explanation | str]:
    """Return why models answer as they do about a clip, by slug: computed once, by a worker, when nobody's first answer waits."""
    held: dict[tuple[str, str, str], Explanation] = st.session_state.setdefault(state.WHY, {})
    keys = {card.slug: (given.digest, cached.model_keys([card]), label) for card in cards}
    own = [card for card in cards if not card.imported]
    missing = [card for card in own if keys[card.slug] not in held]
    found: dict[str, Explanation | str] = {card.slug: IMPORTED for card in cards if card.imported}
    if missing:
        found |= _ask(given, missing, label)
        for card in missing:
            each = found[card.slug]
            if isinstance(each, Explanation):
                held[keys[card.slug]] = each
    answers = {card.slug: found[card.slug] if card.slug in found else held[keys[card.slug]] for card in cards}
    while len(held) > MOST:  # after it was read: the oldest may be one that was asked for now
        held.pop(next(iter(held)))
    return answers


def _ask(given: clip_input.ClipInput, cards: Sequence[ModelCard], label: str) -> dict[str, Explanation | str]:
    runtime.announce()
    models = tuple((card.slug, cached.model_keys([card])) for card in cards)
    chosen = {card.slug: label for card in cards} if label else {}
    try:
        with st.spinner("Asking about variants of the clip …"), workers.later_work():
            sound = recognition.analyse(given).clip.waveform
            answers = workers.run(service.explain, sound, models, paths.models_folder(), labels=chosen)
    except workers.NoRoomError:
        answers = [NO_ROOM] * len(cards)
    except SerError as error:
        answers = [str(error)] * len(cards)
    return {card.slug: each for card, each in zip(cards, answers, strict=True)}


def _show(card: ModelCard, found: Explanation | str, given: clip_input.ClipInput) -> None:
    if isinstance(found, str):
        st.info(frame.plain(found), icon=":material/info:")
        return
    st.markdown(f"Explained: **{frame.plain(found.label)}**, {100 * found.probability:.0f} %")
    key = f"recognize.why.{card.slug}"
    if found.occlusion:
        _show_map(found, found.occlusion, recognition.analyse(given), key)
    if found.measures:
        _show_measures(found.measures, key)
    if found.neighbours:
        _show_neighbours(found.neighbours, key)


def _show_map(found: Explanation, seen: Occlusion, analysis: Analysis, key: str) -> None:
    holds = seen.deletion.better_than_chance
    if holds:
        st.markdown(f"{frame.plain(seen.sentence)} {frame.plain(seen.summary)}")
    else:
        st.warning(frame.plain(seen.sentence), icon=":material/casino:")
    picture, curve = st.columns([7, 4], gap="medium")
    with picture:
        st.plotly_chart(charts.map_over_mel(seen, analysis), key=f"{key}.map", config=CONFIG, alt=seen.summary)
        st.markdown(
            ":small[The brighter a patch, the more the probability falls where it is covered with the average of its band"
            + (
                "; the strip below is pitch, loudness and voice quality of that moment, which the network sees as well.]"
                if seen.measures
                else ".]"
            )
        )
        with st.expander("The map as a table, in points", key=f"{key}.map.table"):
            st.dataframe(downloads.cells(charts.map_table(seen)), key=f"{key}.map.rows")
    with curve:
        st.plotly_chart(
            charts.deletion(seen.deletion, found.label), key=f"{key}.curve", config=CONFIG, alt=seen.sentence
        )
        st.markdown(
            ":small[The test of the map: covered in its order, the probability must fall faster than at random (grey: the range of ten "
            "random orders).]"
        )
        with st.expander("The curve as a table", key=f"{key}.curve.table"):
            st.table(downloads.cells(charts.deletion_table(seen.deletion)))
    if found.parts is None or not holds:
        return
    for column, title, sound in zip(st.columns(2), ("What counts", "The rest"), found.parts, strict=True):
        with column:
            st.markdown(f"**{title}**")
            player.show(
                sound,
                "audio/flac",
                key=f"{key}.part.{title}",
                label=f"{title}, a part of the clip",
                duration_s=analysis.clip.waveform.duration_s,
                pictures=False,
            )
    st.markdown(
        ":small[The patches that hold half of all that the probability falls by, cut out of the sound, and the rest: together they are the "
        "clip.]"
    )


def _show_measures(found: Contributions, key: str) -> None:
    st.markdown(frame.plain(found.sentence))
    bars, words = st.columns([6, 5], gap="medium")
    with bars:
        st.plotly_chart(charts.groups(found), key=f"{key}.groups", config=CONFIG, alt=found.sentence)
        with st.expander("The groups as a table", key=f"{key}.groups.table"):
            st.table(downloads.cells(charts.groups_table(found)))
    with words:
        if found.unusual:
            st.markdown(
                f"**Unusual for {frame.plain(found.label)}**, by the clips that the shipped models learned from:"
            )
            st.markdown("\n".join(f"- {frame.plain(each.words)}" for each in found.unusual))
        else:
            st.markdown(f"No measure of this clip is unusual for {frame.plain(found.label)}.")
        st.markdown(
            ":small[A bar is how much the probability would fall if this group of measures were that of the average training clip. "
            "Below 0 the group speaks against the label.]"
        )


def _show_neighbours(found: Neighbours, key: str) -> None:
    st.markdown(frame.plain(found.sentence))
    cloud, rows = st.columns([6, 5], gap="medium")
    with cloud:
        st.plotly_chart(
            charts.neighbourhood(found), key=f"{key}.cloud", config=CONFIG, alt=charts.describe_neighbourhood(found)
        )
        st.markdown(
            ":small[The training clips that vote. How far each is from the middle is true; the direction is where they spread most.]"
        )
    with rows:
        st.markdown(f"**The {len(found.nearest)} nearest recordings**")
        st.table(downloads.cells(neighbours_table(found)))
        if not found.named:
            st.markdown(":small[This model does not say which recordings it keeps.]")
            return
        _hear(found, key)


def _show_voice(given: clip_input.ClipInput, labels: Sequence[str]) -> None:
    """Draw where pitch, range, level, rate, brightness and jitter of the clip stand among the clips of each label."""
    try:
        known = cached.profile()
        values = _traits(given.digest, given)
    except SerError as error:
        st.info(frame.plain(str(error)), icon=":material/info:")
        return
    shares = {label: row for label, row in profile.percentiles(values, known).items() if label in labels}
    found = profile.closest(shares)
    if found is None:
        st.markdown("There is no pitch, rate or level in this clip to compare.")
        return
    label, far = found
    st.markdown(
        f"By these figures alone the clip sounds most like the **{label}** clips of the training corpora: on average it lies "
        f"{100 * far:.0f} points from their middle."
    )
    st.plotly_chart(
        charts.voice(shares),
        key="recognize.why.voice",
        config=CONFIG,
        alt=f"Six figures of the voice among the clips of each label; most like {label}. The table below has all of them.",
    )
    st.markdown(
        ":small[Every corpus counts the same. In the grey band lies the middle half of the clips. The level depends on the microphone, and "
        "pitch on who speaks, more than on the emotion.]"
    )
    with st.expander("The voice as a table", key="recognize.why.voice.table"):
        st.table(downloads.cells(charts.voice_table(values, shares)))


@st.cache_resource(scope="session", max_entries=4, show_spinner=False)
def _traits(digest: str, _given: clip_input.ClipInput) -> dict[str, float]:
    with workers.later_work():
        return recognition.voice_traits(recognition.analyse(_given), profile.MEASURES)


def neighbours_table(found: Neighbours) -> pd.DataFrame:
    """Return the nearest recordings as a table."""
    return pd.DataFrame(
        {
            "Label": [each.label for each in found.nearest],
            "Distance": [f"{each.distance:.2f}" for each in found.nearest],
            "Recording": list(map(_recording, found.nearest)),
        },
        index=pd.Index(range(1, len(found.nearest) + 1), name="No."),
    )


def _recording(each: Neighbour) -> str:
    """Return which recording a neighbour is: corpus, speaker, name."""
    if not each.name:
        return ""
    speaker = each.speaker.partition(":")[2] or cached.UNKNOWN_SPEAKER
    copy = ", changed copy" if each.copy else ""
    return f"{cached.corpus_title(each.corpus)}, speaker {speaker}: {each.name}{copy}"


def _hear(found: Neighbours, key: str) -> None:
    """Draw a player of one of the neighbours whose corpus is installed."""
    folders = cached.corpus_folders(cached.corpora_root())
    here = {number: each for number, each in enumerate(found.nearest, start=1) if each.corpus in folders}
    if not here:
        st.markdown(":small[None of their corpora is installed here, so they cannot be heard: see the Corpora page.]")
        return
    number = st.pills("Hear", list(here), key=f"{key}.hear", format_func=lambda number: f"No. {number}")
    if number not in here:
        return
    clip = corpus_clip(here[number], folders[here[number].corpus])
    if clip is None:
        st.markdown("This recording is not in the installed corpus any more.")
        return
    try:
        given = inputs.read(clip)
        sound, mime = recognition.playable(given, recognition.analyse(given))
    except OSError:
        st.error(f"{frame.plain(clip.path.name)} cannot be read any more.", icon=":material/error:")
    except SerError as error:
        st.error(frame.plain(str(error)), icon=":material/error:")
    else:
        player.show(
            sound,
            mime,
            key=f"{key}.player",
            label=f"Neighbour {number}: {clip.label}",
            duration_s=None,
            pictures=False,
            autoplay=True,
        )


def corpus_clip(each: Neighbour, folder: Path) -> cached.CorpusClip | None:
    """Return a neighbour as a clip of an installed corpus, None where it is not there."""
    try:
        table = cached.clips(each.corpus, folder)
    except SerError:
        return None
    rows = table.index[table[catalogue.NAME] == each.name]
    return cached.corpus_clip(table, table.index.get_loc(rows[0])) if len(rows) else None


def _offer_page(
    given: clip_input.ClipInput,
    cards: Sequence[ModelCard],
    found: dict[str, Explanation | str],
    titles: dict[str, str],
) -> None:
    """Draw the download of the clip's result card."""
    clip = recognition.analyse(given, cards)
    said = recognition.ask(
        given, list(cards), with_pretrained=False
    )  # what is there already, and at the click what came since

    def page() -> str:
        return report.html(given.name, clip, list(said.predictions()), found, recognition.titles(cards) | titles)

    st.download_button(
        "Result card of this clip (HTML)",
        page,
        f"{downloads.safe_stem(given.name)}-why.html",
        "text/html",
        key="recognize.why.page",
        icon=":material/download:",
        on_click="ignore",
    )
