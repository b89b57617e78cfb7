"""My voice: the takes of a visit's own voice, the models as adapted to them, and the switch that has pages show it.

It is held by the visit's session alone and forgotten with the rest; what adapts is ser_core/recognition/personal.py.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import streamlit as st

from pages.ui import clip_input, frame, recognition, runtime, state
from ser_core.audio import waveform
from ser_core.corpora import catalogue
from ser_core.errors import SerError
from ser_core.features.quality import Quality
from ser_core.recognition import personal, recognizer
from ser_core.recognition.analysis import Analysis
from ser_core.recognition.card import ModelCard
from ser_core.recognition.personal import Voice
from ser_core.recognition.recognizer import Prediction

LABEL_SETS = {
    8: catalogue.LABELS,
    6: ("neutral", "happy", "sad", "angry", "fear", "disgust"),
    4: ("neutral", "happy", "sad", "angry"),
}
"""How many emotions are acted: number -> labels. With more, the models learn more of the voice."""

MOST_TAKES = 48
"""Takes that a visit may hold, both rounds together: three of each label in each."""


@dataclass(frozen=True, eq=False)
class TakeClip:
    """A take: its label, the sentence ("" where it is one's own), its sound as FLAC, and what the models say of it without adaptation.

    predictions: of the models alone. digests: slug -> together.digest of each as it was then. traits: exploration.of_voice.
    """

    label: str
    sentence: str
    data: bytes
    duration_s: float
    quality: Quality
    predictions: tuple[Prediction, ...]
    digests: Mapping[str, str]
    traits: Mapping[str, float]

    @property
    def digest(self) -> str:
        """The SHA-256 of its sound."""
        return hashlib.sha256(self.data).hexdigest()


@dataclass
class Mine:
    """What a visit knows of its own voice.

    n_labels: the set that is acted (LABEL_SETS). takes: what the models adapt to; tests: the second round, which they do not. is_test:
    whether the second round is recorded now. skipped: labels left out of this round. candidate: the take that is looked at. loaded: takes
    of a saved voice, and loaded_digests of the models that saw them, as TakeClip.digests. voice: the models as adapted, None while there
    are too few takes; problem: why not. filed: corpora, each with the digest of a take that was added to it. note: what became of the last
    click, kind and sentence, until the page has said it.
    """

    n_labels: int = 8
    takes: list[TakeClip] = field(default_factory=list)
    tests: list[TakeClip] = field(default_factory=list)
    is_test: bool = False
    skipped: set[str] = field(default_factory=set)
    candidate: clip_input.ClipInput | None = None
    loaded: tuple[personal.Take, ...] = ()
    loaded_digests: Mapping[str, str] = field(default_factory=dict)
    voice: Voice | None = None
    problem: str = ""
    filed: set[tuple[str, str]] = field(default_factory=set)
    note: tuple[str, str] | None = None

    @property
    def round(self) -> list[TakeClip]:
        """The takes of the round that is recorded now."""
        return self.tests if self.is_test else self.takes

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of the set that is acted."""
        return LABEL_SETS[self.n_labels]

    @property
    def missing(self) -> list[str]:
        """The labels that this round still lacks, in their order."""
        there = {take.label for take in self.round} | self.skipped
        return [label for label in self.labels if label not in there]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to forget."""
        return not (self.takes or self.tests or self.candidate or self.loaded)

    @property
    def held_bytes(self) -> int:
        """Bytes of sound that it keeps."""
        given = self.candidate.data if self.candidate else b""
        return sum(len(each.data) for each in (*self.takes, *self.tests)) + (
            len(given) if isinstance(given, bytes) else 0
        )


def mine() -> Mine:
    """Return what this visit knows of its own voice, to look at and to change."""
    found: Mine = st.session_state.setdefault(state.VOICE, Mine())
    return found


def adapted() -> Voice | None:
    """Return the models as adapted in this visit, whether that is shown or not; None where they are not."""
    found: Mine | None = st.session_state.get(state.VOICE)
    return found.voice if found else None


def current() -> Voice | None:
    """Return the voice that answers are adapted to now; None where there is none, or it is switched off."""
    return adapted() if st.session_state.get(state.VOICE_ON, True) else None


def switch(cards: Sequence[ModelCard], *, disabled: bool = False, note: str = "") -> None:
    """Draw the switch between answers adapted to the voice and those as for everybody, where there is a voice.

    cards: the models that answer, of which those that are not adapted are named. note: said below it.
    """
    found = adapted()
    if found is None:
        return
    st.toggle(
        f"My voice: {words(found)}",
        value=True,
        key=state.VOICE_ON,
        persist_state="session",
        disabled=disabled,
        help="It holds for this visit only.",
    )
    said = ["The scores on the cards were measured without your voice.", exceptions(found, cards), note]
    st.markdown(f":small[{' '.join(filter(None, said))}]")


def exceptions(found: Voice, cards: Sequence[ModelCard]) -> str:
    """Return which of some models are not adapted to a voice, as a sentence, "" where all are."""
    digests = recognition.digests(cards)
    titles = [card.title for card in cards if found.digests.get(card.slug) != digests[card.slug]]
    return f"Not adapted to your voice: {frame.plain(', '.join(titles))}." if titles else ""


def words(found: Voice) -> str:
    """Return 'adapted to 8 takes'."""
    return recognizer.adapted_to(found.n_takes)


def take_clip(
    label: str,
    sentence: str,
    analysis: Analysis,
    predictions: Sequence[Prediction],
    cards: Sequence[ModelCard],
    traits: Mapping[str, float],
) -> TakeClip:
    """Return a clip as a take."""
    sound = analysis.clip.waveform
    return TakeClip(
        label,
        sentence,
        waveform.encode_pcm(waveform.to_pcm(sound.samples), sound.sample_rate, container="FLAC"),
        sound.duration_s,
        analysis.quality,
        tuple(predictions),
        recognition.digests(cards),
        traits,
    )


def update(held: Mine, cards: Sequence[ModelCard]) -> None:
    """Adapt the models to the takes as they are now; of each model, to those that it saw as it is now."""
    held.voice, held.problem = None, ""
    digests = recognition.digests(cards)
    known = [
        personal.take_of(each.label, [p for p in each.predictions if each.digests.get(p.model) == digests.get(p.model)])
        for each in held.takes
    ]
    loaded = [
        replace(
            each,
            kept={slug: seen for slug, seen in each.kept.items() if held.loaded_digests.get(slug) == digests.get(slug)},
        )
        for each in held.loaded
    ]
    if not known and not loaded:
        return
    runtime.announce()  # a callback comes before the page
    try:
        held.voice = personal.adapt([*loaded, *known], recognition.references(cards))
    except SerError as error:
        held.problem = str(error)


def code() -> str:
    """Return what a visitor who gives no name is called during a visit."""
    found: str = st.session_state.setdefault(state.OWN_ANONYMOUS, f"anonymous-{secrets.token_hex(2)}")
    return found
