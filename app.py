"""Recognize, the first page: record, upload or pick a clip; see the sound, and what each trained model makes of it.

`streamlit run app.py` finds in it what serves all pages, too.
"""

from __future__ import annotations

import streamlit as st

if __name__ == "__main__":  # as Streamlit draws the page
    from pages.ui import cached, cards, exports, frame, guide_terms, inputs, sound, state, timeline
    from ser_core import certainty
    from ser_core.errors import SerError
else:
    from pages.ui import server

    app = st.App(__file__, middleware=server.middleware())

HOW = """
1. **Record** a sentence, **upload** a file or pick a **sample**.
2. Hear it again, and read whether the recording is good enough.
3. See the sound, and what each model makes of it, beside the model's score on speakers it had never heard.

More than eight seconds, up to an hour, are shown moment by moment.
"""


def recognize() -> None:
    """Draw the page."""
    models, problems = cached.models()
    frame.page(
        "Recognize",
        lead="Give a few seconds of speech; see the sound, and what each trained model makes of it.",
        problems=problems,
        wrong=cards.caution(models),
    )
    cached.warm_up()

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

    given, kept = state.clip(), state.kept()
    with hearing:
        if kept is not None:
            try:
                sound.show(kept, cached.hear(kept), title="Before")
            except SerError as error:
                st.error(frame.plain(str(error)), icon=":material/error:")
                kept = None
            st.button("Drop the first clip", key="recognize.drop", icon=":material/close:", on_click=state.drop_kept)
        if given is None:
            st.markdown("Now give the clip to compare it with." if kept else HOW)
            st.stop()
        try:
            is_long = timeline.is_long(given)
            heard = None if is_long else cached.hear(given)
        except SerError as error:
            st.error(frame.plain(str(error)), icon=":material/error:")
            st.button("Clear", key="recognize.clear", icon=":material/delete:", on_click=state.clear)
            st.stop()
        if is_long:
            timeline.head(given, inputs.asked(models))
        else:
            sound.show(given, heard, title="Now" if kept else "Clip")
        with st.container(key="clip_actions", horizontal=True):
            st.button("Clear", key="recognize.clear", icon=":material/delete:", on_click=state.clear)
            if not is_long:
                st.button(
                    "Keep for comparison", key="recognize.keep", icon=":material/compare_arrows:", on_click=state.keep
                )

    if is_long:
        timeline.show(given, inputs.models(models))
        st.stop()

    st.header("What the models say", anchor=False)
    models = inputs.models(models)
    answers = cached.answers(given, models)
    before = cached.answers(kept, models) if kept else []
    predictions = cached.predictions(answers)
    if not heard.quality.has_speech:
        st.info("No speech was found in this clip, so no model guesses.", icon=":material/hearing_disabled:")
    elif not models:
        st.info(
            "There is no trained model to ask. `make models` trains the four from the corpora.", icon=":material/info:"
        )
    else:
        st.html(cards.verdict(answers, before) + cards.grid(answers, before))
        if cards.unsure([*answers, *before]):
            st.markdown(f":small[**Not sure**: {certainty.RULE}]")
        with st.expander("The probabilities as a table", key="recognize.table"):
            st.table(exports.table(predictions))

    st.header("What the sound looks like", anchor=False)
    st.markdown(
        f"{guide_terms.link('waveform')}, {guide_terms.link('mel')} (of an {guide_terms.link('stft', 'STFT')}) and "
        f"{guide_terms.link('mfcc')}, on one time axis."
    )
    sound.pictures(given, kept)

    st.header("Take it with you", anchor=False)
    with st.container(key="downloads", horizontal=True):
        for offer in exports.offers(given.name, given.data, heard, predictions):
            st.download_button(
                offer.title,
                offer.build,
                offer.file_name,
                offer.mime,
                key=f"recognize.download.{offer.key}",
                icon=":material/download:",
                on_click="ignore",
            )


if __name__ == "__main__":
    recognize()
