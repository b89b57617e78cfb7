"""Guide: what the pictures and the figures mean, what the app cannot do, and where it must not be used."""

from __future__ import annotations

import streamlit as st

from pages.ui import frame

frame.page("Guide", lead="What the pictures and the figures mean, and what they do not.")

PICTURES = """
- **Waveform.** Air pressure over time; 1 is as loud as a file can hold. Flat tops mean that the recording was too loud.
- **Mel spectrogram.** How strong each frequency is, over time; the frequency axis is spaced as the ear hears it. Stripes close
  together are a low voice, stripes wide apart a high one; where they rise and fall, so does the melody.
- **MFCC.** The shape of the spectrum in twenty numbers a moment. It changes from vowel to vowel. Each number
  is coloured by how far it is from its own mean, in standard deviations (SD); the first, only loudness, is not drawn.
- **Chroma.** The strength of the twelve notes, whatever the octave. A held note makes a line.
- **Zero crossings.** How often the wave changes sign: often in hissing sounds such as s, seldom in vowels.
- **Level (RMS).** Loudness in decibels below full scale: pauses, stress, and the background between words.
- **Pitch (f0).** How fast the vocal folds swing, with gaps where they rest. Lively speech covers a wide range.

The shaded parts are the silence before and after the speech. The models do not hear them. All pictures share one time axis:
drag sideways to zoom, double-click to return. The camera above the pictures saves them as PNG.
"""

FIGURES = """
**Probability.** How sure a model is that the clip was *acted* as this emotion, on recordings like those it learned from. The
probabilities of one model add up to 100 %. They are calibrated on speakers kept aside: of the clips that got 70 %, about 70 %
were right there. On a voice, a language or a microphone unlike the training's they promise less.

**UAR**, unweighted average recall. Of the clips of each emotion, how many did the model recognise? The average over the emotions. With
eight emotions, guessing gives 12.5 %. The figure on each card was measured on speakers that the model had never heard, because a model
that knows the speaker scores far higher and tells you nothing about your voice.

**Four models, one clip.** KNN compares your clip with the most similar clips it knows. MLP is a small neural network on the same
summary of the clip. CNN looks at the mel spectrogram as at a picture. CNN-LSTM also follows how it changes over time. Where
they disagree, none of them knows.

**Milliseconds and parameters.** The time that the model itself took, and the count of numbers it has learned.
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
work or in education, except for medical or safety reasons. Where emotion recognition is allowed, Article 50(3) asks that the people
concerned are told. A class or a workshop may study this app with sample clips and acted speech; it may not assess its members with it.

**Your recordings stay on the machine that runs the app.** They live in memory for your session and are not written to disk, not sent
anywhere, and not used for training. The exception is what you add to a corpus of your own on the Corpora page: it is kept until somebody
deletes it, and everyone who uses this server can hear it and train on it.
"""

st.header("The pictures", anchor=False)
st.markdown(PICTURES)
st.header("The figures", anchor=False)
st.markdown(FIGURES)
st.header("Limits", anchor=False)
st.markdown(LIMITS)
st.header("Responsible use", anchor=False)
st.markdown(USE)
