"""Guide: what the words, pictures and figures mean, how often the models are wrong, and where the app must not be used."""

from __future__ import annotations

import streamlit as st

from pages.ui import cached, frame, glossary, prediction_cards
from pages.ui.guide import figures

models, problems = cached.models()
frame.page("Guide", lead="What the words, the pictures and the figures mean, and what they do not.", problems=problems)

MORE_PICTURES = """
**Chroma**: the strength of the twelve notes, whatever the octave; a held note makes a line. **Zero crossings**: how often the wave changes sign,
often in hissing sounds such as s, seldom in vowels. **Level (RMS)**: loudness in decibels below full scale. **Pitch (f0)**: how fast the
vocal folds swing, with gaps where they rest; lively speech covers a wide range.

The shaded parts of the pictures are the silence before and after the speech, which the models do not hear. All pictures share one time axis:
drag sideways to zoom, double-click to return. The camera above them saves a PNG.
"""

MORE_SCORES = """
**Probability**: how sure a model is that the clip was *acted* as this emotion, on recordings like those it learned from. Those of one
model add up to 100 %. They are calibrated on held-out speakers: of the clips that got 70 %, about 70 % were right there. On
a voice, a language or a microphone unlike the training's they promise less.

**Not sure**: each model has a threshold: where none of its probabilities reaches it, the model says “not sure”, and its leading guess is
shown muted. The threshold is the lowest at which at most one answer in four is wrong on speakers that the model had not learned from,
every speaker counting the same, but it never leaves more than half of their clips unanswered. So it answers less often, and its answers
are right more often: each card gives both shares. Compare shows this trade-off. Voices unlike those of the corpora get no such promise.

**Milliseconds and parameters**: the time that the model itself took, and the count of numbers it has learned.
"""

WRONG = """
Of a hundred clips by speakers that a model had never heard, so many got the wrong label. These are actors in studios, who meant to be
recognised; expect more mistakes on your own voice.
"""

LIMITS = """
- The models learned from **actors** who read a few fixed sentences in studios, in English and German. Everyday feelings are weaker,
  mixed, and often silent. Expect the models to be wrong on your own voice, often.
- They hear the *sound* of a voice: loudness, melody, speed, timbre. They do not understand words, and they know nothing about you.
- A new microphone, background noise, a telephone, another language, a child's or an old voice: each makes them worse.
- What an emotion sounds like differs between people and cultures. There is no way to read a feeling off a voice.
"""

USE = """
**Use it** to learn how machines listen to voices, to compare methods, to try recordings of your own or of people who agreed.

**Do not use it** to judge, select, grade, monitor or diagnose anyone.

In the European Union, **Article 5(1)(f) of the AI Act** (Regulation (EU) 2024/1689) forbids AI systems that infer the emotions of people at
work or in education, except for medical or safety reasons. Where emotion recognition is allowed, Article 50(3) asks that the people concerned
are told. So in a class or a workshop: use **acted sentences** and clips of the corpora, **assess nobody**, and **keep nothing**. This is how we
read the law; it is not legal advice.
"""

STORED = """
Everything stays on the machine that runs this server; nothing is sent anywhere, and nothing is used for training unless somebody starts that.

- **What you record, upload or speak live**: in the server's memory (files over 16 MB, and a copy of what is longer than eight seconds, in
  temporary files without a name, which nobody else can open; a worker process analyses it, and keeps nothing); you alone see it. *Forget my
  recordings*, at the top of the page, wipes it at once; it is also wiped a minute and a half after you leave, and after an hour without a click.
- **Clips that you add to a corpus of your own**: in `corpora/`; everyone who uses this server can hear them. *Corpora*, *Your own* deletes
  clips or the whole corpus.
- **Models that somebody trained or imported**: in `models/`; everyone can use them. *Train*, *Models* deletes them; the shipped ones stay.
- **Trainings**, with settings, curves and log: in `runs/`; everyone sees them. *Train*, *Runs* deletes them; their models stay.
- **Measurements of clips** that were in a corpus: in `cache/`, for whoever has the machine. `python -m ser_core corpora cache --clear`
  removes them.
- **Scores measured on corpora**: in `cache/evaluations/`; everyone sees them on *Compare*. Delete the folder.

In a class the teacher's *End of lesson* does all of this at once for what the lesson made. A model keeps traces of the voices it learned from (a KNN
keeps numbers of every clip), so delete the model too when a recording must go.
"""


def explain(terms: tuple[str, ...]) -> None:
    """Draw some terms, each with its figure beside it."""
    for name in terms:
        term = glossary.TERMS[name]
        words, figure = st.columns([4, 5], gap="large", vertical_alignment="center")
        with words:
            st.subheader(term.title, anchor=name)
            st.markdown(term.text)
        with figure:
            figures.show_figure(name, models)


st.markdown(
    " · ".join(f"[{term.title}](#{name})" for name, term in glossary.TERMS.items())
    + " · [How often they are wrong](#wrong) · [Limits](#limits) · [Responsible use](#use) · [What is stored](#stored)"
)
st.header("The pictures", anchor=False)
explain(glossary.SOUND)
st.markdown(MORE_PICTURES)
st.header("The models", anchor=False)
st.markdown(
    "Four models that learned from recordings of emotions alone, and one that was pretrained. Where they disagree, none of them knows."
)
explain(glossary.MODELS)
st.header("The figures", anchor=False)
explain(glossary.SCORES)
st.markdown(MORE_SCORES)
st.header("How often they are wrong", anchor="wrong")
st.markdown(WRONG)
st.html(prediction_cards.error_rate_table(models))
st.header("Limits", anchor="limits")
st.markdown(LIMITS)
st.header("Responsible use", anchor="use")
st.markdown(USE)
st.header("What is stored, and how to delete it", anchor="stored")
st.markdown(STORED)
