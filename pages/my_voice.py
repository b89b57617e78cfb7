"""My voice: act each emotion once, see what the models hear in your voice, and have them adapt to it for this visit."""

from __future__ import annotations

import streamlit as st

from pages.ui import cached, frame, inputs, prediction_cards, recognition, voice
from pages.ui.my_voice import enrol, keep, results

LAW = """
:material/gavel: For **your own voice**, of **your own will**. Nobody is assessed: it shows how the models answer, not how you are.
"""

models, problems = cached.models()
frame.page(
    "My voice",
    lead="Act each emotion once, about a minute in all: the models adapt to your voice, in this visit only.",
    problems=problems,
    wrong=prediction_cards.error_rate_sentence(models),
)
st.markdown(LAW)
if not models:
    st.info(
        "There is no trained model here. `make models` trains the shipped ones from the corpora.",
        icon=":material/info:",
    )
    st.stop()

recognition.warm_up()
mine, chosen = voice.mine(), inputs.current_models(models)
enrol.show_enrolment(mine, chosen)
results.show_results(mine, chosen)
keep.show_keep(mine, chosen)
