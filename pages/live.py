"""Live: speak, and watch the models follow; then hear it again, pass it on or take it home."""

from __future__ import annotations

import streamlit as st

from pages.ui import cached, frame, inputs, prediction_cards, recognition, voice
from pages.ui.live import connection, session, view

models, problems = cached.models()
frame.page(
    "Live",
    lead="Speak, and watch the predictions change. The sound goes to this server only, and is deleted when you leave.",
    problems=problems,
    wrong=prediction_cards.error_rate_sentence(models),
)

if not models:
    st.info(
        "There is no trained model here. `make models` trains the shipped ones from the corpora.",
        icon=":material/info:",
    )
    st.stop()
if connection.is_insecure(st.context.url):
    connection.explain_https(st.context.url)
    view.offer_upload()
    st.stop()

loading = recognition.warm_up()
if loading.is_alive():  # what is said until they are there would get no answer
    with st.spinner("Loading the models …"):
        loading.join(30)
visitor = session.visitor(inputs.current_models(models))
if visitor.places.full_for(id(visitor)):
    st.warning(
        f"{visitor.places.n} visitors are live, and this server takes no more, so that everyone's answers stay quick. Try again in "
        "a minute, or:",
        icon=":material/group:",
    )
    view.offer_recorder()
    st.stop()

above = st.container()
is_on = connection.connect(visitor)
with above:
    models = inputs.current_models(models) if is_on else inputs.models(models, note=view.NEXT)
    if is_on:
        voice.switch(models, disabled=True)
    visitor.window_s, visitor.hop_s = view.settings(disabled=is_on)
if is_on:
    view.follow(visitor, models)
    view.offer_recorder()
    st.stop()
if visitor.problem:
    st.error(visitor.problem, icon=":material/wifi_off:")
view.offer_recorder()
if visitor.listener is not None:
    visitor.await_answers()
    view.show_session(visitor.listener, models)
