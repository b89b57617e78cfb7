"""The words that the pages use and the guide explains: what each means, for somebody in the first year; and links to where that is."""

from __future__ import annotations

from typing import NamedTuple


class Term(NamedTuple):
    """A word of the field, and two or three sentences about it."""

    title: str
    text: str


TERMS = {
    "waveform": Term(
        "Waveform",
        """
The air pressure at the microphone over time, 16,000 numbers a second; 1 is as loud as a file can hold. Flat tops mean that the
recording was too loud. It shows when somebody speaks and how loudly, but hardly how a voice sounds.""",
    ),
    "stft": Term(
        "STFT, the spectrogram",
        """
The short-time Fourier transform: the sound is cut into short pieces that overlap, and each is taken apart into the frequencies it is
made of. One column of the picture is one piece. Short pieces say well *when*, long ones *how high*: nothing says both.""",
    ),
    "mel": Term(
        "Mel spectrogram",
        """
The same picture as the ear would draw it: low frequencies far apart, high ones close together, and loudness in decibels. Stripes close
together are a low voice, stripes wide apart a high one; where they rise and fall, so does the melody. CNN and CNN-LSTM see this, and
measures of the voice at each moment.""",
    ),
    "mfcc": Term(
        "MFCC",
        """
Mel-frequency cepstral coefficients: the shape of each column of the mel spectrogram in twenty numbers, the first ones for its broad
shape. They change from vowel to vowel. Each is coloured by how far it is from its own mean over the clip, in standard deviations (SD);
the very first, only loudness, is not drawn.""",
    ),
    "knn": Term(
        "KNN",
        """
*k* nearest neighbours: measure the clip, look up the most similar clips among those with known labels, and let them vote. There is
little to learn but what “similar” means. The figure uses two measures; the model here starts from 1,564.""",
    ),
    "mlp": Term(
        "MLP",
        """
Multi-layer perceptron, the plainest neural network. Each unit adds up all its inputs, each times a weight, and passes the sum on if it
is large enough. Training moves the weights a little after each batch of clips, so that the right label gets more.""",
    ),
    "cnn": Term(
        "CNN",
        """
Convolutional neural network: patterns a tenth of a second long slide along the mel spectrogram and tell where each is found; the next layer
looks for patterns of those patterns, over a longer stretch. It cares little for when a thing is said.""",
    ),
    "lstm": Term(
        "LSTM",
        """
Long short-term memory: a network that reads moment after moment, and decides at each what to keep in mind and what to forget. In the
CNN-LSTM, a CNN looks at the picture and an LSTM, which reads it both ways, follows how it goes on.""",
    ),
    "transfer": Term(
        "Transfer learning",
        """
Begin with a network that has learned something else from much more sound: here the first layers of Whisper, which OpenAI trained to
write down English speech. What it has learned to notice in a voice is kept as it is; only a last, simple step (linear discriminant
analysis) learns which of it goes with which emotion. It has heard many more voices than the others, and it may hear the words too.""",
    ),
    "uar": Term(
        "UAR",
        """
Unweighted average recall. Of the clips of each emotion, which share did the model recognise? The mean over the emotions, so that a
frequent one counts no more than a rare one. A model that guesses gets 1 divided by the number of labels: 12.5 % with eight.""",
    ),
    "confusion": Term(
        "Confusion matrix",
        """
A row for each emotion that was acted, a column for each that the model answered. On the diagonal it was right; everywhere else the
table tells what it took for what. Mistakes are seldom spread evenly.""",
    ),
    "leakage": Term(
        "Leakage",
        """
When something of the test was there in training: the same speaker, a copy of the same recording, a sentence that is only ever said with
one emotion, or a choice made by looking at the test. The score then tells how well the model remembers, not how well it will do on you.
Many published scores above 90 % come from leakage.""",
    ),
}
"""Anchor on the Guide page -> what stands there; pages/ui/guide_figures.py draws the figures."""

SOUND, MODELS, SCORES = (
    ("waveform", "stft", "mel", "mfcc"),
    ("knn", "mlp", "cnn", "lstm", "transfer"),
    ("uar", "confusion", "leakage"),
)


def link(anchor: str, words: str = "") -> str:
    """Return a Markdown link to where a term is explained. It opens a tab of its own: the clip on this one stays."""
    return f"[{words or TERMS[anchor].title}](guide#{anchor})"
