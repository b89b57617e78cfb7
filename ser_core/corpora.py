"""Facts about speech corpora, and the clips table of a folder that holds one.

A corpus is a row of CORPORA; `scan` reads them all. Only names of files are looked at here, never their sound. Who is in
which split is splits.py's business.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from ser_core.errors import CorpusError

LABELS = ("neutral", "calm", "happy", "sad", "angry", "fear", "disgust", "surprise")
ALL_LABELS = (*LABELS, "boredom")

PATH = "path"
CORPUS = "corpus"
SPEAKER = "speaker"
EMOTION = "emotion"
SENTENCE = "sentence"
SEX = "sex"
INTENSITY = "intensity"
NAME = "name"
COLUMNS = (PATH, CORPUS, SPEAKER, EMOTION, SENTENCE, SEX, INTENSITY, NAME)

AUDIO_ENDINGS = (
    ".wav", ".flac", ".aiff", ".aif", ".au", ".caf", ".w64", ".m4a", ".aac", ".mp4", ".ogg", ".opus", ".mp3", ".webm", ".wma",
    ".amr", ".3gp",
)
"""Endings of files that may be clips, the best copy first: some corpora hold each clip as WAV and as MP3."""


@dataclass(frozen=True, kw_only=True)
class CorpusSpec:
    """The published facts of one corpus.

    pattern: regular expression over a clip's whole base name without its ending, in any case, with the groups `speaker`,
    `emotion` and, where the name tells, `sentence` and `intensity`. labels: emotion code -> canonical label. speakers:
    speaker code -> "female" or "male". speaker_aliases: misspelt code -> code. intensities: code -> word; others are "".
    sentences: code -> text where the texts are published. speaker_folders: the clips may also lie in folders named after
    the speaker, without the speaker's code in their own names. n_clips: how many clips the whole corpus has. example and
    place: a clip's name and where clips lie, for error sentences.
    """

    title: str
    languages: tuple[str, ...]
    pattern: re.Pattern[str]
    labels: Mapping[str, str]
    speakers: Mapping[str, str]
    n_clips: int
    example: str
    place: str
    licence: str
    citation: str
    page: str
    sentences: Mapping[str, str] = field(default_factory=dict)
    intensities: Mapping[str, str] = field(default_factory=dict)
    speaker_aliases: Mapping[str, str] = field(default_factory=dict)
    speaker_folders: bool = False


# Sexes as in VideoDemographics.csv of the official release: 48 men, 43 women.
_CREMAD_WOMEN = frozenset(
    "1002 1003 1004 1006 1007 1008 1009 1010 1012 1013 1018 1020 1021 1024 1025 1028 1029 1030 1037 1043 1046 1047 1049 1052 1053 "
    "1054 1055 1056 1058 1060 1061 1063 1072 1073 1074 1075 1076 1078 1079 1082 1084 1089 1091".split()
)

CORPORA: dict[str, CorpusSpec] = {
    "ravdess": CorpusSpec(
        title="RAVDESS",
        languages=("English",),
        # Modality 03 is audio only, channel 01 is speech (02 is song); the sixth number is the repetition.
        pattern=re.compile(r"03-01-(?P<emotion>\d\d)-(?P<intensity>\d\d)-(?P<sentence>\d\d)-\d\d-(?P<speaker>\d\d)"),
        labels={
            "01": "neutral", "02": "calm", "03": "happy", "04": "sad", "05": "angry", "06": "fear", "07": "disgust", "08": "surprise",
        },
        speakers={f"{actor:02d}": "male" if actor % 2 else "female" for actor in range(1, 25)},
        sentences={"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"},
        intensities={"01": "normal", "02": "strong"},
        n_clips=1440,
        example="03-01-05-01-02-01-12.wav",
        place="the folder that contains Actor_01 … Actor_24",
        licence="CC BY-NC-SA 4.0",
        citation=(
            "Livingstone & Russo (2018). The Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS). "
            "PLoS ONE 13(5): e0196391. doi:10.1371/journal.pone.0196391"
        ),
        page="https://doi.org/10.5281/zenodo.1188976",
    ),
    "tess": CorpusSpec(
        title="TESS",
        languages=("English",),
        # The sentence is the last word of "Say the word …".
        pattern=re.compile(r"(?P<speaker>OAF?|YAF)_(?P<sentence>[a-z]+)_(?P<emotion>[a-z_]+)", re.IGNORECASE),
        labels={
            "neutral": "neutral", "happy": "happy", "sad": "sad", "angry": "angry", "fear": "fear", "disgust": "disgust",
            "ps": "surprise", "pleasant_surprise": "surprise", "pleasant_surprised": "surprise",
        },
        speakers={"OAF": "female", "YAF": "female"},
        # One file of the original release is called OA_bite_neutral.
        speaker_aliases={"OA": "OAF"},
        n_clips=2800,
        example="OAF_back_angry.wav",
        place="the folder that contains OAF_angry … YAF_sad",
        licence="CC BY-NC-ND 4.0",
        citation="Pichora-Fuller & Dupuis (2020). Toronto emotional speech set (TESS). Borealis. doi:10.5683/SP2/E8H2MF",
        page="https://doi.org/10.5683/SP2/E8H2MF",
    ),
    "savee": CorpusSpec(
        title="SAVEE",
        languages=("English",),
        # Which numbered sentences are common to all emotions the names do not tell: a sentence is emotion and number.
        pattern=re.compile(r"(?P<speaker>[a-z]{2})_(?P<sentence>(?P<emotion>[a-z]{1,2})\d\d)", re.IGNORECASE),
        labels={
            "n": "neutral", "h": "happy", "sa": "sad", "a": "angry", "f": "fear", "d": "disgust", "su": "surprise",
        },
        speakers={"DC": "male", "JE": "male", "JK": "male", "KL": "male"},
        speaker_folders=True,
        n_clips=480,
        example="DC_a01.wav",
        place="the folder that contains these clips, or the folders DC, JE, JK and KL",
        licence="research use, after registration",
        citation="Haq & Jackson (2010). Multimodal emotion recognition. In: Machine Audition, IGI Global, 398–423",
        page="http://kahlan.eps.surrey.ac.uk/savee/",
    ),
    "emodb": CorpusSpec(
        title="EmoDB",
        languages=("German",),
        # The last letter tells apart several takes.
        pattern=re.compile(r"(?P<speaker>\d\d)(?P<sentence>[ab]\d\d)(?P<emotion>[a-z])[a-z]?", re.IGNORECASE),
        # The letters are German: Wut, Langeweile, Ekel, Angst, Freude, Trauer.
        labels={"N": "neutral", "F": "happy", "T": "sad", "W": "angry", "A": "fear", "E": "disgust", "L": "boredom"},
        speakers={
            "03": "male", "08": "female", "09": "female", "10": "male", "11": "male",
            "12": "male", "13": "female", "14": "female", "15": "male", "16": "female",
        },
        sentences={
            "a01": "Der Lappen liegt auf dem Eisschrank.",
            "a02": "Das will sie am Mittwoch abgeben.",
            "a04": "Heute abend könnte ich es ihm sagen.",
            "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
            "a07": "In sieben Stunden wird es soweit sein.",
            "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
            "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
            "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
            "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
            "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
        },
        n_clips=535,
        example="03a01Fa.wav",
        place="the folder 'wav' of the corpus",
        licence="stated in its Zenodo record 17651657",
        citation="Burkhardt, Paeschke, Rolfes, Sendlmeier & Weiss (2005). A database of German emotional speech. Interspeech, 1517–1520",
        page="https://zenodo.org/records/17651657",
    ),
    "cremad": CorpusSpec(
        title="CREMA-D",
        languages=("English",),
        # One file of the release ends in a single X.
        pattern=re.compile(r"(?P<speaker>1\d{3})_(?P<sentence>[a-z]{3})_(?P<emotion>[a-z]{3})_(?P<intensity>LO|MD|HI|XX?)", re.IGNORECASE),
        labels={"NEU": "neutral", "HAP": "happy", "SAD": "sad", "ANG": "angry", "FEA": "fear", "DIS": "disgust"},
        speakers={str(actor): "female" if str(actor) in _CREMAD_WOMEN else "male" for actor in range(1001, 1092)},
        sentences={
            "IEO": "It's eleven o'clock.",
            "TIE": "That is exactly what happened.",
            "IOM": "I'm on my way to the meeting.",
            "IWW": "I wonder what this is about.",
            "TAI": "The airplane is almost full.",
            "MTI": "Maybe tomorrow it will be cold.",
            "IWL": "I would like a new alarm clock.",
            "ITH": "I think I have a doctor's appointment.",
            "DFA": "Don't forget a jacket.",
            "ITS": "I think I've seen this before.",
            "TSI": "The surface is slick.",
            "WSI": "We'll stop in a couple of minutes.",
        },
        intensities={"LO": "low", "MD": "medium", "HI": "high"},
        n_clips=7442,
        example="1001_DFA_ANG_XX.wav",
        place="the folder AudioWAV of the corpus",
        licence="ODbL 1.0",
        citation=(
            "Cao, Cooper, Keutmann, Gur, Nenkova & Verma (2014). CREMA-D: Crowd-sourced Emotional Multimodal Actors Dataset. "
            "IEEE Transactions on Affective Computing 5(4), 377–390. doi:10.1109/TAFFC.2014.2336244"
        ),
        page="https://github.com/CheyneyComputerScience/CREMA-D",
    ),
}


def scan(name: str, folder: str | os.PathLike[str]) -> pd.DataFrame:
    """Return the clips table of a corpus: one row a clip, sorted by name; all columns are text.

    Parameters
    ----------
    name : a key of CORPORA.
    folder : where the corpus lies; sub-folders are read too. Files that are not named like a clip are passed over, and of
        clips that lie there twice (archives with a nested second copy) the one nearest to `folder` is taken.

    Returns
    -------
    Table with the columns COLUMNS: path (absolute), corpus (its key), speaker (unique over all corpora: "ravdess:01"), emotion
    (one of ALL_LABELS), sentence (its code), sex ("female", "male" or ""), intensity ("normal", "strong", "low" … or ""), name (the
    base name without its ending; a clip that lies in a folder of its speaker as "DC/a01.wav" is called "DC_a01").

    Raises
    ------
    CorpusError : for an unknown corpus, a missing folder, or one without any clip. A part of a corpus is no error.
    """
    if name not in CORPORA:
        raise CorpusError(f"Corpus '{name}' is not known. Choose one of {', '.join(CORPORA)}.")
    spec = CORPORA[name]
    if not Path(folder).is_dir():
        raise CorpusError(f"{spec.title} folder '{folder}' does not exist. Point to {spec.place}.")
    copies: dict[str, list[tuple[tuple[int, int, str], dict[str, str]]]] = {}
    for row in _rows(name, spec, Path(os.path.abspath(folder))):
        path = Path(row[PATH])
        rank = (len(path.parts), AUDIO_ENDINGS.index(path.suffix.lower()), row[PATH])
        copies.setdefault(row[NAME].casefold(), []).append((rank, row))
    if not copies:
        raise CorpusError(f"{spec.title} folder '{folder}' has 0 clips named like '{spec.example}'. Point to {spec.place}.")
    rows = [min(copies[key], key=lambda copy: copy[0])[1] for key in sorted(copies)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def installed(root: str | os.PathLike[str]) -> dict[str, Path]:
    """Return the corpora that lie under `root` in a folder of their own (root/ravdess …) with at least one clip: key -> folder."""
    folders = {name: Path(root) / name for name in CORPORA}
    return {name: folder for name, folder in folders.items() if next(_rows(name, CORPORA[name], folder), None)}


def _rows(name: str, spec: CorpusSpec, folder: Path) -> Iterator[dict[str, str]]:
    """Yield a row of the clips table for each file below `folder` that is named like a clip, copies included."""
    for parent, _, files in os.walk(folder):
        for file in files:
            stem, ending = os.path.splitext(file)
            if ending.lower() not in AUDIO_ENDINGS:
                continue
            facts = _read_name(spec, stem)
            if facts is None and spec.speaker_folders:
                stem = f"{os.path.basename(parent)}_{stem}"
                facts = _read_name(spec, stem)
            if facts:
                speaker = facts[SPEAKER]
                yield {
                    **facts,
                    PATH: os.path.join(parent, file),
                    CORPUS: name,
                    SPEAKER: f"{name}:{speaker}",
                    SEX: spec.speakers[speaker],
                    NAME: stem,
                }


def _read_name(spec: CorpusSpec, stem: str) -> dict[str, str] | None:
    """Return what a base name tells (speaker code, emotion, sentence, intensity); None if it is no clip of this corpus."""
    match = spec.pattern.fullmatch(stem)
    if match is None:
        return None
    groups = match.groupdict(default="")
    code = _code(groups["speaker"], {**spec.speakers, **spec.speaker_aliases})
    speaker = spec.speaker_aliases.get(code, code)
    emotion = _code(groups["emotion"], spec.labels)
    if speaker not in spec.speakers or emotion not in spec.labels:
        return None
    intensity = _code(groups.get("intensity", ""), spec.intensities)
    return {
        SPEAKER: speaker,
        EMOTION: spec.labels[emotion],
        SENTENCE: _code(groups.get("sentence", ""), spec.sentences),
        INTENSITY: spec.intensities.get(intensity, ""),
    }


def _code(found: str, table: Mapping[str, str]) -> str:
    """Return a code as `table` spells it, whatever its case in the file's name; in lower case if the table lacks it."""
    return next((code for code in table if code.casefold() == found.casefold()), found.lower())
