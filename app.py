"""Recognize, the first page: record, upload or pick a clip; see the sound and what each model predicts.

`streamlit run app.py` finds in it what serves all pages, too.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import streamlit as st

if __name__ == "__main__":  # as Streamlit draws the page
    from pages.ui import (
        cached,
        clip_input,
        clip_view,
        downloads,
        frame,
        glossary,
        inputs,
        prediction_cards,
        prefetch,
        recognition,
        shelf,
    )
    from pages.ui.recognize import answers, break_it, clips, map, timeline, why
    from ser_core.errors import SerError
else:
    from pages.ui import server

    app = st.App(__file__, middleware=server.middleware())

PLAYER = "recognize.player.now"

HOW = """
1. **Record** a sentence, **upload** a file or pick a **sample**.
2. Play it back and check its quality.
3. See the sound and what each model predicts, beside the model's score on unseen speakers.

Clips over 8 seconds (up to an hour) get a timeline.
"""


def recognize() -> Callable[[], bool] | None:
    """Draw the page; return what keeps the clip's answers so far, and tells whether more are on their way, or None."""
    models, problems = cached.models()
    frame.page(
        "Recognize",
        lead="Give a few seconds of speech; see the sound and what each model predicts.",
        problems=problems,
        wrong=prediction_cards.error_rate_sentence(models),
    )
    recognition.warm_up()

    giving, hearing = st.columns([5, 6], gap="large")
    with giving:
        inputs.notice()
        by_recorder, by_upload, by_sample = st.tabs(["Record", "Upload", "Sample"], key="recognize.inputs")
        with by_recorder:
            inputs.record()
        with by_upload:
            inputs.upload()
        with by_sample:
            inputs.sample()

    clip, comparison = clip_input.clip(), clip_input.comparison_clip()
    chosen = inputs.current_models(models)
    with hearing:
        if comparison is not None:
            try:
                clip_view.show_clip(
                    comparison, recognition.analyse(comparison, chosen), title="Before", key="recognize.player.before"
                )
            except SerError as error:
                st.error(frame.plain(str(error)), icon=":material/error:")
                comparison = None
            st.button(
                "Remove the first clip",
                key="recognize.drop",
                icon=":material/close:",
                on_click=clip_input.drop_comparison,
            )
        if clip is None:
            inputs.show_tried(models)
            st.markdown("Now add a second clip to compare." if comparison else HOW)
            prefetch.figures()
            return None
        try:
            is_long = timeline.is_long(clip, chosen)
            analysis = None if is_long else recognition.analyse(clip, chosen)
        except SerError as error:
            st.error(frame.plain(str(error)), icon=":material/error:")
            st.button("Clear", key="recognize.clear", icon=":material/delete:", on_click=clip_input.clear)
            return None
        if is_long:
            selection = timeline.head(clip, chosen, key=PLAYER)
        else:
            selection = clip_view.show_clip(
                clip, analysis, title="Now" if comparison else "Clip", key=PLAYER, can_ask=analysis.quality.has_speech
            )
            inputs.track(clip, analysis.clip.track, analysis.clip.tracks)
            inputs.channel(clip, analysis.clip.channel, analysis.clip.choices)
        with st.container(key="clip_actions", horizontal=True):
            st.button("Clear", key="recognize.clear", icon=":material/delete:", on_click=clip_input.clear)
            if not is_long:
                st.button(
                    "Keep for comparison",
                    key="recognize.keep",
                    icon=":material/compare_arrows:",
                    on_click=clip_input.keep,
                )

    if is_long:
        timeline.show_timeline(clip, inputs.models(models), selection, key=PLAYER)
        return None

    st.header("What the models predict", anchor=False)
    models = inputs.models(models)
    asked = answers.ask(clip, comparison, models)
    if not analysis.quality.has_speech:
        st.info("No speech was found in this clip, so there is no prediction.", icon=":material/hearing_disabled:")
    elif not models:
        st.info(
            "There is no trained model here. `make models` trains the shipped ones from the corpora.",
            icon=":material/info:",
        )
    else:
        if selection:
            part = answers.selected(selection, answers.part_of(analysis.clip.waveform, selection))
            answers.show_selection(selection, part, functools.partial(answers.whole, asked[0]), models, key=PLAYER)
        answers.show(*asked)
        st.header("Why?", anchor=False)
        why.show(clip, models)
        break_it.show(clip, analysis, asked[0])
    map.show_map(clip, analysis)

    st.header("What the sound looks like", anchor=False)
    st.markdown(
        f"{glossary.link('waveform')} and spectrogram (an {glossary.link('stft', 'STFT')}) stand in the player above; here are the "
        f"{glossary.link('mfcc')}, and on one time axis whatever else you choose, such as the {glossary.link('mel')}."
        if comparison is None
        else f"{glossary.link('waveform')}, {glossary.link('mel')} (of an {glossary.link('stft', 'STFT')}) and "
        f"{glossary.link('mfcc')}, on one time axis."
    )
    clip_view.pictures(clip, comparison)

    st.header("Download", anchor=False)
    with st.container(key="downloads", horizontal=True):
        for offer in downloads.offers(clip.name, clip.data, analysis, asked[0].predictions):
            st.download_button(
                offer.title,
                offer.build,
                offer.file_name,
                offer.mime,
                key=f"recognize.download.{offer.key}",
                icon=":material/download:",
                on_click="ignore",
            )

    def keep() -> bool:
        waits = asked[0].waits  # looked at first: what comes meanwhile is kept the next time
        shelf.put(clip, analysis, asked[0].predictions())
        return waits

    return keep


if __name__ == "__main__":
    clips.show_clips(recognize())
