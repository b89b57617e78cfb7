"""The facts of each corpus, one row per corpus: file names, codes, labels, speakers, licences, citations; and the clips table's columns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

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

UNKNOWN_SPEAKER = ""
"""Speaker of a clip whose speaker is unknown. No speaker-independent split is possible with such clips."""

SYNONYMS: dict[str, str] = {
    **{label: label for label in ALL_LABELS},
    "neutrality": "neutral",
    "calmness": "calm",
    "happiness": "happy",
    "joy": "happy",
    "joyful": "happy",
    "sadness": "sad",
    "anger": "angry",
    "fearful": "fear",
    "afraid": "fear",
    "scared": "fear",
    "disgusted": "disgust",
    "surprised": "surprise",
    "pleasant_surprise": "surprise",
    "pleasant_surprised": "surprise",
    "ps": "surprise",
    "bored": "boredom",
    "neu": "neutral",
    "hap": "happy",
    "ang": "angry",
    "fea": "fear",
    "dis": "disgust",
    "sur": "surprise",
    "bor": "boredom",
}
"""What people call the labels, in lower case with underscores -> canonical label."""


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A file of a corpus at its official source. size (bytes) and checksum ("md5:…" or "sha256:…") are the ones that source states."""

    url: str
    name: str
    size: int
    checksum: str


@dataclass(frozen=True, kw_only=True)
class CorpusSpec:
    """The published facts of one corpus.

    pattern: regular expression over a clip's whole base name without its ending, in any case, with the groups `speaker`,
    `emotion` and, where the name tells, `sentence` and `intensity`. labels: emotion code -> canonical label. speakers:
    speaker code -> "female" or "male". speaker_aliases: misspelt code -> code. intensities: code -> word; others are "".
    sentences: code -> text where the texts are published. same_sentences: code -> the code under which the same sentence stands
    elsewhere. sentences_tell: most sentences are said with one emotion alone, so that whoever knows them needs no voice.
    speaker_folders: the clips may also lie in folders named after the speaker, without the speaker's code in their own names.
    speakers_of: the corpus whose speakers these are, if not this one: they are one person under one name, so no split separates them.
    ages: speaker code -> years, where published. n_clips: how many clips the whole corpus has. example and place: a clip's name and
    where clips lie, for error sentences. licence: "" where its publication does not state it. page: the official page. download: what
    can be downloaded there without a form; empty where the source states no size and checksum, or asks for a form. commands: what
    downloads it in a shell instead, run in the corpora folder, where its source is a repository. human_accuracy: the share
    of clips in which most people who only heard them name the label that was acted, 0..1, where their votes are published.
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
    same_sentences: Mapping[str, str] = field(default_factory=dict)
    sentences_tell: bool = False
    intensities: Mapping[str, str] = field(default_factory=dict)
    speaker_aliases: Mapping[str, str] = field(default_factory=dict)
    speaker_folders: bool = False
    speakers_of: str = ""
    ages: Mapping[str, int] = field(default_factory=dict)
    download: tuple[Archive, ...] = ()
    commands: tuple[str, ...] = ()
    human_accuracy: float | None = None


# Sexes as in VideoDemographics.csv of the official release: 48 men, 43 women.
_CREMAD_WOMEN = frozenset(
    "1002 1003 1004 1006 1007 1008 1009 1010 1012 1013 1018 1020 1021 1024 1025 1028 1029 1030 1037 1043 1046 1047 1049 1052 1053 "
    "1054 1055 1056 1058 1060 1061 1063 1072 1073 1074 1075 1076 1078 1079 1082 1084 1089 1091".split()
)

# Ages as in the same table, from actor 1001 on.
_CREMAD_AGES = (
    "51 21 21 42 29 58 38 46 24 27 32 23 22 24 32 61 42 25 29 61 30 22 22 59 48 33 44 57 33 42 31 30 31 74 48 49 45 21 51 42 42 37 25 40 "
    "22 22 22 38 25 62 56 33 35 36 57 52 25 36 21 28 51 56 33 53 38 25 66 34 27 25 41 33 24 31 40 25 20 21 21 21 30 20 45 46 34 33 62 23 "
    "24 50 29"
)

_RAVDESS_ACTORS = {f"{actor:02d}": "male" if actor % 2 else "female" for actor in range(1, 25)}
_RAVDESS_SENTENCES = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}
_RAVDESS_CITATION = (
    "Livingstone & Russo (2018). The Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS). "
    "PLoS ONE 13(5): e0196391. doi:10.1371/journal.pone.0196391"
)

# Of the 15 sentences of an emotion, 3 are common to all, 2 are its own, and 10 differ from emotion to emotion (Haq & Jackson 2010); neutral
# has the common ones twice and the 12 that are an emotion's own as well. Which numbers these are, the clips tell: aligned in time, those
# of one speaker are as close as two takes of one sentence for the pairs below, and for no other.
_SAVEE_SAME = {
    f"{code}{number:02d}": f"n{number:02d}" for code in ("a", "d", "f", "h", "sa", "su") for number in (1, 2, 3)
}
_SAVEE_SAME |= {"n16": "n01", "n17": "n02", "n18": "n03"}
_SAVEE_SAME |= {
    f"n{first + place}": f"{code}{4 + place:02d}"
    for first, code in ((19, "a"), (21, "d"), (23, "f"), (25, "su"), (27, "sa"), (29, "h"))
    for place in (0, 1)
}

CORPORA: dict[str, CorpusSpec] = {
    "ravdess": CorpusSpec(
        title="RAVDESS",
        languages=("English",),
        # Modality 03 is audio only, channel 01 is speech (02 is song); the sixth number is the repetition.
        pattern=re.compile(r"03-01-(?P<emotion>\d\d)-(?P<intensity>\d\d)-(?P<sentence>\d\d)-\d\d-(?P<speaker>\d\d)"),
        labels={
            "01": "neutral",
            "02": "calm",
            "03": "happy",
            "04": "sad",
            "05": "angry",
            "06": "fear",
            "07": "disgust",
            "08": "surprise",
        },
        speakers=_RAVDESS_ACTORS,
        sentences=_RAVDESS_SENTENCES,
        intensities={"01": "normal", "02": "strong"},
        n_clips=1440,
        example="03-01-05-01-02-01-12.wav",
        place="the folder that contains Actor_01 … Actor_24",
        licence="CC BY-NC-SA 4.0",
        citation=_RAVDESS_CITATION,
        page="https://doi.org/10.5281/zenodo.1188976",
        download=(
            Archive(
                url="https://zenodo.org/records/1188976/files/Audio_Speech_Actors_01-24.zip?download=1",
                name="Audio_Speech_Actors_01-24.zip",
                size=208_468_073,
                checksum="md5:bc696df654c87fed845eb13823edef8a",
            ),
        ),
    ),
    "tess": CorpusSpec(
        title="TESS",
        languages=("English",),
        # The sentence is the last word of "Say the word …".
        pattern=re.compile(r"(?P<speaker>OAF?|YAF)_(?P<sentence>[a-z]+)_(?P<emotion>[a-z_]+)", re.IGNORECASE),
        labels={
            "neutral": "neutral",
            "happy": "happy",
            "sad": "sad",
            "angry": "angry",
            "fear": "fear",
            "disgust": "disgust",
            "ps": "surprise",
            "pleasant_surprise": "surprise",
            "pleasant_surprised": "surprise",
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
        # A sentence is emotion and number.
        pattern=re.compile(r"(?P<speaker>[a-z]{2})_(?P<sentence>(?P<emotion>[a-z]{1,2})\d\d)", re.IGNORECASE),
        labels={
            "n": "neutral",
            "h": "happy",
            "sa": "sad",
            "a": "angry",
            "f": "fear",
            "d": "disgust",
            "su": "surprise",
        },
        speakers={"DC": "male", "JE": "male", "JK": "male", "KL": "male"},
        same_sentences=_SAVEE_SAME,
        sentences_tell=True,
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
        # The last letter distinguishes several takes.
        pattern=re.compile(r"(?P<speaker>\d\d)(?P<sentence>[ab]\d\d)(?P<emotion>[a-z])[a-z]?", re.IGNORECASE),
        # The letters are German: Wut, Langeweile, Ekel, Angst, Freude, Trauer.
        labels={"N": "neutral", "F": "happy", "T": "sad", "W": "angry", "A": "fear", "E": "disgust", "L": "boredom"},
        speakers={
            "03": "male",
            "08": "female",
            "09": "female",
            "10": "male",
            "11": "male",
            "12": "male",
            "13": "female",
            "14": "female",
            "15": "male",
            "16": "female",
        },
        ages={"03": 31, "08": 34, "09": 21, "10": 32, "11": 26, "12": 30, "13": 32, "14": 35, "15": 25, "16": 31},
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
        pattern=re.compile(
            r"(?P<speaker>1\d{3})_(?P<sentence>[a-z]{3})_(?P<emotion>[a-z]{3})_(?P<intensity>LO|MD|HI|XX?)",
            re.IGNORECASE,
        ),
        labels={"NEU": "neutral", "HAP": "happy", "SAD": "sad", "ANG": "angry", "FEA": "fear", "DIS": "disgust"},
        speakers={str(actor): "female" if str(actor) in _CREMAD_WOMEN else "male" for actor in range(1001, 1092)},
        ages={str(actor): int(age) for actor, age in enumerate(_CREMAD_AGES.split(), start=1001)},
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
        # The mirror is run by the corpus' authors. Without the second command the clips are pointers of Git LFS.
        commands=(
            "git clone https://gitlab.com/cs-cooper-lab/crema-d-mirror.git cremad",
            'git -C cremad lfs pull --include "AudioWAV/*"',
        ),
        # Plurality of the published votes by voice alone; `python -m ser_core corpora listeners` prints their sums. A single one of the
        # 2,443 raters is right in 40.9 % (Cao et al. 2014).
        human_accuracy=0.416,
    ),
    "ravdess_song": CorpusSpec(
        title="RAVDESS song",
        languages=("English",),
        # Channel 02 is song. Nobody sings disgust or surprise, and actor 18 does not sing.
        pattern=re.compile(r"03-02-(?P<emotion>\d\d)-(?P<intensity>\d\d)-(?P<sentence>\d\d)-\d\d-(?P<speaker>\d\d)"),
        labels={"01": "neutral", "02": "calm", "03": "happy", "04": "sad", "05": "angry", "06": "fear"},
        speakers={actor: sex for actor, sex in _RAVDESS_ACTORS.items() if actor != "18"},
        speakers_of="ravdess",
        sentences=_RAVDESS_SENTENCES,
        intensities={"01": "normal", "02": "strong"},
        n_clips=1012,
        example="03-02-05-01-02-01-12.wav",
        place="the folder that contains Actor_01 … Actor_24 of the songs",
        licence="CC BY-NC-SA 4.0",
        citation=_RAVDESS_CITATION,
        page="https://doi.org/10.5281/zenodo.1188976",
        download=(
            Archive(
                url="https://zenodo.org/records/1188976/files/Audio_Song_Actors_01-24.zip?download=1",
                name="Audio_Song_Actors_01-24.zip",
                size=225_505_317,
                checksum="md5:5411230427d67a21e18aa4d466e6d1b9",
            ),
        ),
    ),
    "emovo": CorpusSpec(
        title="EMOVO",
        languages=("Italian",),
        pattern=re.compile(r"(?P<emotion>[a-z]{3})-(?P<speaker>[fm]\d)-(?P<sentence>[bdln]\d)", re.IGNORECASE),
        # disgusto, gioia, neutro, paura, rabbia, sorpresa, tristezza
        labels={
            "dis": "disgust",
            "gio": "happy",
            "neu": "neutral",
            "pau": "fear",
            "rab": "angry",
            "sor": "surprise",
            "tri": "sad",
        },
        speakers={"f1": "female", "f2": "female", "f3": "female", "m1": "male", "m2": "male", "m3": "male"},
        # Short, long, nonsense and question.
        sentences={
            "b1": "Gli operai si alzano presto.",
            "b2": "I vigili sono muniti di pistola.",
            "b3": "La cascata fa molto rumore.",
            "l1": "L'autunno prossimo Tony partirà per la Spagna: nella prima metà di ottobre.",
            "l2": "Ora prendo la felpa di là ed esco per fare una passeggiata.",
            "l3": "Un attimo dopo s'è incamminato … ed è inciampato.",
            "l4": "Vorrei il numero telefonico del Signor Piatti.",
            "n1": "La casa forte vuole col pane.",
            "n2": "La forza trova il passo e l'aglio rosso.",
            "n3": "Il gatto sta scorrendo nella pera.",
            "n4": "Insalata pastasciutta coscia d'agnello limoncello.",
            "n5": "Uno quarantatré dieci mille cinquantasette venti.",
            "d1": "Sabato sera cosa farà?",
            "d2": "Porti con te quella cosa?",
        },
        n_clips=588,
        example="gio-f1-b1.wav",
        place="the folder that contains f1 … m3",
        licence="",
        citation="Costantini, Iaderola, Paoloni & Todisco (2014). EMOVO Corpus: an Italian Emotional Speech Database. LREC",
        page="http://www.lrec-conf.org/proceedings/lrec2014/summaries/591.html",
    ),
    "urdu": CorpusSpec(
        title="URDU",
        languages=("Urdu",),
        # Speaker, number of the file of this speaker and emotion, number of the file of this emotion. Spontaneous: no two say the same.
        pattern=re.compile(r"(?P<speaker>S[MF]\d{1,2})_F\d{1,2}_(?P<emotion>[ahns])\d{2,4}", re.IGNORECASE),
        labels={"A": "angry", "H": "happy", "N": "neutral", "S": "sad"},
        # The readme counts 38 speakers, 27 of them men; the files name 29, of whom 18 are men.
        speakers={
            **{f"SF{number}": "female" for number in range(1, 12)},
            **{f"SM{number}": "male" for number in (*range(1, 8), *range(17, 28))},
        },
        n_clips=400,
        example="SM1_F1_A01.wav",
        place="the folder that contains Angry, Happy, Neutral and Sad",
        licence="research use only",
        citation="Latif, Qayyum, Usman & Qadir (2018). Cross Lingual Speech Emotion Recognition: Urdu vs. Western Languages. FIT, 88–93",
        page="https://github.com/siddiquelatif/URDU-Dataset",
        commands=("git clone https://github.com/siddiquelatif/URDU-Dataset.git urdu",),
    ),
    "nemo": CorpusSpec(
        title="nEMO",
        languages=("Polish",),
        pattern=re.compile(r"(?P<speaker>[a-z]{2}\d)_(?P<emotion>[a-z]+)_(?P<sentence>\d{1,2})", re.IGNORECASE),
        labels={
            "neutral": "neutral",
            "happiness": "happy",
            "sadness": "sad",
            "anger": "angry",
            "fear": "fear",
            "surprised": "surprise",
        },
        speakers={
            "EB0": "female",
            "IC0": "female",
            "KD0": "female",
            "MK0": "female",
            "KS0": "male",
            "MP0": "male",
            "SM0": "male",
            "TP0": "male",
            "WR0": "male",
        },
        ages={"EB0": 27, "IC0": 28, "KD0": 28, "MK0": 23, "KS0": 23, "MP0": 24, "SM0": 24, "TP0": 26, "WR0": 23},
        n_clips=4481,
        example="EB0_anger_1.wav",
        place="the folder 'samples' of the corpus",
        licence="CC BY-NC-SA 4.0",
        citation="Christop (2024). nEMO: Dataset of Emotional Speech in Polish. arXiv:2404.06292",
        page="https://github.com/amu-cai/nEMO",
        commands=("git clone https://github.com/amu-cai/nEMO.git nemo",),
    ),
    "cafe": CorpusSpec(
        title="CaFE",
        languages=("French",),
        pattern=re.compile(r"(?P<speaker>\d\d)-(?P<emotion>[a-z])-(?P<intensity>\d)-(?P<sentence>\d)", re.IGNORECASE),
        # The letters are French: colère, dégoût, joie, neutre, peur, surprise, tristesse.
        labels={"C": "angry", "D": "disgust", "J": "happy", "N": "neutral", "P": "fear", "S": "surprise", "T": "sad"},
        speakers={f"{actor:02d}": "male" if actor % 2 else "female" for actor in range(1, 13)},
        ages={
            "01": 46,
            "02": 64,
            "03": 18,
            "04": 50,
            "05": 22,
            "06": 34,
            "07": 15,
            "08": 25,
            "09": 42,
            "10": 20,
            "11": 35,
            "12": 37,
        },
        sentences={
            "1": "Un cheval fou dans mon jardin",
            "2": "Deux ânes aigris au pelage brun",
            "3": "Trois cygnes aveugles au bord du lac",
            "4": "Quatre vieilles truies éléphantesques",
            "5": "Cinq pumas fiers et passionnés",
            "6": "Six ours aimants domestiqués",
        },
        intensities={"1": "low", "2": "high"},
        n_clips=936,
        example="01-C-1-1.wav",
        place="the folder that contains Colère … Tristesse",
        licence="CC BY-NC-SA 4.0",
        citation="Gournay, Lahaie & Lefebvre (2018). A Canadian French emotional speech dataset. ACM Multimedia Systems, 399–402",
        page="https://zenodo.org/records/1478765",
    ),
}


def known(name: str) -> CorpusSpec:
    """Return the facts of a corpus.

    Raises
    ------
    CorpusError : if no row of CORPORA has that name.
    """
    if name not in CORPORA:
        raise CorpusError(f"Corpus '{name}' is not known. Choose one of {', '.join(CORPORA)}.")
    return CORPORA[name]


def human_accuracy(name: str) -> float | None:
    """Return how often people name the acted label of a corpus' clips by voice alone, 0..1; None where nobody published it."""
    return CORPORA[name].human_accuracy if name in CORPORA else None


def facts(name: str) -> dict[str, Any]:
    """Return the facts of a corpus as plain data, for JSON: name, title, labels, n_clips, n_speakers, licence, page, download …"""
    spec = known(name)
    return {
        "name": name,
        "title": spec.title,
        "languages": list(spec.languages),
        "labels": [label for label in ALL_LABELS if label in spec.labels.values()],
        "n_clips": spec.n_clips,
        "n_speakers": len(spec.speakers),
        "licence": spec.licence,
        "citation": spec.citation,
        "page": spec.page,
        "download": [asdict(archive) for archive in spec.download],
        "commands": list(spec.commands),
    }
