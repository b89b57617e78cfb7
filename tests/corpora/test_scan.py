"""The clips table, from empty files that are named by the corpora's own rules: no recording is needed."""

import itertools
import os
import re
import sys
import unicodedata
from pathlib import Path

import pandas as pd
import pytest

from ser_core.corpora import catalogue, scan
from ser_core.errors import CorpusError

TESS_WORDS = [
    first + vowel + last for first in "bcdfghjlmn" for vowel in "aeio" for last in ("ck", "nd", "pe", "rt", "ss")
]
CREMAD_EMOTIONS = ("NEU", "HAP", "SAD", "ANG", "FEA", "DIS")


def ravdess_names():
    """The 1440 names: neutral has no strong intensity."""
    kinds = [(emotion, intensity) for emotion in range(1, 9) for intensity in (1, 2) if (emotion, intensity) != (1, 2)]
    for actor, (emotion, intensity), statement, take in itertools.product(range(1, 25), kinds, (1, 2), (1, 2)):
        yield f"Actor_{actor:02d}/03-01-{emotion:02d}-{intensity:02d}-{statement:02d}-{take:02d}-{actor:02d}"


def tess_names():
    """2800 names of 200 words; folders in the varying case of the original archive."""
    folders = {"OAF": "Pleasant_surprise", "YAF": "pleasant_surprised"}
    for speaker, word in itertools.product(folders, TESS_WORDS):
        for emotion in ("angry", "disgust", "fear", "happy", "neutral", "sad"):
            name = f"{speaker}_{word}_{emotion}".replace("OAF_back_neutral", "OA_back_neutral")
            yield f"{speaker}_{emotion.title() if speaker == 'OAF' else emotion}/{name}"
        yield f"{speaker}_{folders[speaker]}/{speaker}_{word}_ps"


def savee_names():
    """480 names: 15 sentences an emotion, 30 of neutral."""
    for speaker in ("DC", "JE", "JK", "KL"):
        for code, n in {"a": 15, "d": 15, "f": 15, "h": 15, "n": 30, "sa": 15, "su": 15}.items():
            yield from (f"{speaker}_{code}{number:02d}" for number in range(1, n + 1))


def emodb_names():
    """535 of the 700 possible first takes, spread over all of them; the real corpus has gaps and second takes."""
    spec = catalogue.CORPORA["emodb"]
    names = ["wav/" + "".join(parts) + "a" for parts in itertools.product(spec.speakers, spec.sentences, spec.labels)]
    yield from (names[37 * i % len(names)] for i in range(535))


def cremad_names():
    """82 names an actor, 7462 in all, of which the real corpus lacks 20."""
    for actor in range(1001, 1092):
        for sentence, emotion in itertools.product(catalogue.CORPORA["cremad"].sentences, CREMAD_EMOTIONS):
            levels = ("LO", "MD", "HI") if sentence == "IEO" and emotion != "NEU" else ("XX",)
            yield from (f"AudioWAV/{actor}_{sentence}_{emotion}_{level}" for level in levels)


def ravdess_song_names():
    """1012 names: six emotions, actor 18 does not sing."""
    kinds = [(emotion, intensity) for emotion in range(1, 7) for intensity in (1, 2) if (emotion, intensity) != (1, 2)]
    actors = [actor for actor in range(1, 25) if actor != 18]
    for actor, (emotion, intensity), statement, take in itertools.product(actors, kinds, (1, 2), (1, 2)):
        yield f"Actor_{actor:02d}/03-02-{emotion:02d}-{intensity:02d}-{statement:02d}-{take:02d}-{actor:02d}"


def emovo_names():
    """588 names: 6 actors, 7 emotions, 14 sentences."""
    spec = catalogue.CORPORA["emovo"]
    for emotion, speaker, sentence in itertools.product(spec.labels, spec.speakers, spec.sentences):
        yield f"{speaker}/{emotion}-{speaker}-{sentence}"


URDU_FILES = {
    "Angry": {"SM1": 22, "SM2": 28, "SM3": 2, "SM4": 48},
    "Happy": {
        "SF1": 12,
        "SF2": 2,
        "SF3": 2,
        "SF4": 4,
        "SF5": 4,
        "SF6": 14,
        "SF7": 6,
        "SF8": 2,
        "SM17": 2,
        "SM18": 2,
        "SM19": 2,
        "SM3": 2,
        "SM5": 8,
        "SM6": 10,
        "SM7": 28,
    },
    "Neutral": {"SF9": 4, "SM20": 10, "SM21": 4, "SM22": 2, "SM3": 8, "SM5": 72},
    "Sad": {"SF10": 2, "SF11": 4, "SM23": 6, "SM24": 38, "SM25": 40, "SM26": 2, "SM27": 4, "SM6": 4},
}


def urdu_names():
    """The 400 names of the release: a number of the speaker's file, and one that runs through the emotion after a 0."""
    for folder, speakers in URDU_FILES.items():
        files = [(speaker, n) for speaker, n_files in speakers.items() for n in range(1, n_files + 1)]
        yield from (
            f"{folder}/{speaker}_F{n}_{folder[0]}0{running}" for running, (speaker, n) in enumerate(files, start=1)
        )


def nemo_names():
    """4860 possible names, of which the real corpus has 4481: take them from all speakers."""
    spec = catalogue.CORPORA["nemo"]
    names = [
        f"samples/{'_'.join(parts)}" for parts in itertools.product(spec.speakers, spec.labels, map(str, range(1, 91)))
    ]
    yield from (names[37 * i % len(names)] for i in range(4481))


def cafe_names():
    """936 names: neutral has one intensity."""
    spec = catalogue.CORPORA["cafe"]
    kinds = [
        (emotion, intensity) for emotion in spec.labels for intensity in "12" if (emotion, intensity) != ("N", "2")
    ]
    for actor, (emotion, intensity), sentence in itertools.product(spec.speakers, kinds, spec.sentences):
        yield f"{emotion}/{actor}-{emotion}-{intensity}-{sentence}"


NAMES = {
    "ravdess": ravdess_names,
    "tess": tess_names,
    "savee": savee_names,
    "emodb": emodb_names,
    "cremad": lambda: itertools.islice(cremad_names(), 7442),
    "ravdess_song": ravdess_song_names,
    "emovo": emovo_names,
    "urdu": urdu_names,
    "nemo": nemo_names,
    "cafe": cafe_names,
}


def make(folder: Path, names, *, ending=".wav"):
    for name in names:
        path = folder / f"{name}{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


@pytest.mark.parametrize("name", catalogue.CORPORA)
def test_every_corpus_is_read_whole(name, tmp_path):
    spec = catalogue.CORPORA[name]
    clips = scan.scan(name, make(tmp_path, NAMES[name]()))
    assert len(clips) == spec.n_clips
    assert tuple(clips.columns) == catalogue.COLUMNS
    assert set(clips[catalogue.CORPUS]) == {name}
    assert set(clips[catalogue.EMOTION]) == set(spec.labels.values())
    assert set(clips[catalogue.SPEAKER]) == {f"{spec.speakers_of or name}:{speaker}" for speaker in spec.speakers}
    assert set(clips[catalogue.SEX]) <= {"female", "male"}
    assert clips[catalogue.NAME].is_unique
    assert all(Path(path).is_absolute() and Path(path).is_file() for path in clips[catalogue.PATH])
    if spec.sentences:
        assert set(clips[catalogue.SENTENCE]) == set(spec.sentences)


@pytest.mark.parametrize(
    ("corpus", "file", "speaker", "emotion", "sentence", "sex", "intensity"),
    [
        ("ravdess", "Actor_12/03-01-05-02-01-02-12.wav", "12", "angry", "01", "female", "strong"),
        ("ravdess", "03-01-02-01-02-01-07.FLAC", "07", "calm", "02", "male", "normal"),
        ("tess", "OAF_Fear/OAF_back_fear.wav", "OAF", "fear", "back", "female", ""),
        ("tess", "yaf_pleasant_surprised/YAF_back_ps.wav", "YAF", "surprise", "back", "female", ""),
        ("tess", "YAF_Back_Pleasant_Surprise.ogg", "YAF", "surprise", "back", "female", ""),
        ("tess", "OAF_neutral/OA_bite_neutral.wav", "OAF", "neutral", "bite", "female", ""),
        ("savee", "DC_sa07.wav", "DC", "sad", "sa07", "male", ""),
        ("savee", "KL_su07.wav", "KL", "surprise", "su07", "male", ""),
        ("savee", "AudioData/jk/A01.WAV", "JK", "angry", "n01", "male", ""),
        ("savee", "AudioData/jk/A04.WAV", "JK", "angry", "a04", "male", ""),
        ("savee", "JK_n19.wav", "JK", "neutral", "a04", "male", ""),
        ("emodb", "wav/03a01Fa.wav", "03", "happy", "a01", "male", ""),
        ("emodb", "16b10Lb.wav", "16", "boredom", "b10", "female", ""),
        ("emodb", "08A02WC.WAV", "08", "angry", "a02", "female", ""),
        ("emodb", "09a05Ea.wav", "09", "disgust", "a05", "female", ""),
        ("emodb", "10a07Ad.wav", "10", "fear", "a07", "male", ""),
        ("cremad", "AudioWAV/1001_DFA_ANG_XX.wav", "1001", "angry", "DFA", "male", ""),
        ("cremad", "1091_ieo_hap_hi.mp3", "1091", "happy", "IEO", "female", "high"),
        ("cremad", "1040_ITH_SAD_X.wav", "1040", "sad", "ITH", "male", ""),
        ("emovo", "f2/gio-f2-b2.wav", "f2", "happy", "b2", "female", ""),
        ("emovo", "DIS-M3-D1.WAV", "m3", "disgust", "d1", "male", ""),
        ("urdu", "Angry/SM4_F48_A0100.wav", "SM4", "angry", "", "male", ""),
        ("urdu", "Happy/SF1_F1_H01.wav", "SF1", "happy", "", "female", ""),
        ("nemo", "samples/WR0_surprised_64.wav", "WR0", "surprise", "64", "male", ""),
        ("nemo", "samples/MK0_anger_8.wav", "MK0", "angry", "8", "female", ""),
        ("cafe", "Colère/Fort/02-C-2-6.wav", "02", "angry", "6", "female", "high"),
        ("cafe", "Neutre/11-N-1-1.aiff", "11", "neutral", "1", "male", "low"),
    ],
)
def test_a_name_tells_its_facts(corpus, file, speaker, emotion, sentence, sex, intensity, tmp_path):
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    (clip,) = scan.scan(corpus, tmp_path).to_dict("records")
    assert clip[catalogue.SPEAKER] == f"{corpus}:{speaker}"
    assert clip[catalogue.EMOTION] == emotion
    assert clip[catalogue.SENTENCE] == sentence
    assert clip[catalogue.SEX] == sex
    assert clip[catalogue.INTENSITY] == intensity
    assert clip[catalogue.PATH] == str(path)


@pytest.mark.parametrize(
    ("corpus", "file"),
    [
        ("ravdess", "Actor_01/03-02-01-01-01-01-01.wav"),
        ("ravdess", "01-01-05-01-01-01-01.mp4"),
        ("ravdess", "03-01-09-01-01-01-01.wav"),
        ("ravdess", "03-01-05-01-01-01-25.wav"),
        ("ravdess", "__MACOSX/._03-01-05-01-01-01-01.wav"),
        ("ravdess", "03-01-05-01-01-01-01.txt"),
        ("tess", "OAF_back_bored.wav"),
        ("savee", "DC_sx01.wav"),
        ("savee", "XX/a01.wav"),
        ("emodb", "04a01Fa.wav"),
        ("cremad", "1092_DFA_ANG_XX.wav"),
        ("ravdess_song", "Actor_01/03-01-01-01-01-01-01.wav"),
        ("ravdess_song", "03-02-07-01-01-01-01.wav"),
        ("ravdess_song", "03-02-01-01-01-01-18.wav"),
        ("emovo", "gio-f4-b1.wav"),
        ("urdu", "SM8_F1_A01.wav"),
        ("nemo", "XX0_anger_1.wav"),
        ("cafe", "13-C-1-1.wav"),
    ],
)
def test_a_file_of_another_kind_is_passed_over(corpus, file, tmp_path):
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    with pytest.raises(CorpusError, match="has 0 clips named like"):
        scan.scan(corpus, tmp_path)


@pytest.mark.parametrize(
    ("name", "nested"), [("ravdess", "audio_speech_actors_01-24"), ("tess", "TESS Toronto emotional speech set data")]
)
def test_a_nested_second_copy_counts_once(name, nested, tmp_path):
    names = list(NAMES[name]())
    make(tmp_path, names)
    make(tmp_path / nested, names)
    clips = scan.scan(name, tmp_path)
    assert len(clips) == catalogue.CORPORA[name].n_clips
    assert not clips[catalogue.PATH].str.contains(nested, regex=False).any()


def test_of_a_wav_and_an_mp3_copy_the_wav_is_taken(tmp_path):
    make(tmp_path / "AudioMP3", ["1001_DFA_ANG_XX"], ending=".mp3")
    make(tmp_path / "AudioWAV", ["1001_DFA_ANG_XX"])
    assert [Path(path).name for path in scan.scan("cremad", tmp_path)[catalogue.PATH]] == ["1001_DFA_ANG_XX.wav"]


def test_savee_reads_the_same_flat_and_in_folders_of_speakers(tmp_path):
    names = list(savee_names())
    flat = scan.scan("savee", make(tmp_path / "flat", names))
    foldered = scan.scan("savee", make(tmp_path / "foldered", [name.replace("_", "/") for name in names]))
    assert len(foldered) == 480
    assert flat.drop(columns=catalogue.PATH).equals(foldered.drop(columns=catalogue.PATH))


def test_names_in_upper_case_read_the_same(tmp_path):
    lower = scan.scan("emodb", make(tmp_path / "a", emodb_names()))
    upper = scan.scan("emodb", make(tmp_path / "b", [name.upper() for name in emodb_names()], ending=".WAV"))
    columns = [catalogue.SPEAKER, catalogue.EMOTION, catalogue.SENTENCE, catalogue.SEX]
    assert sorted(map(tuple, lower[columns].to_numpy())) == sorted(map(tuple, upper[columns].to_numpy()))


def test_the_table_does_not_depend_on_the_order_of_the_disk(tmp_path):
    names = list(savee_names())
    first = scan.scan("savee", make(tmp_path / "a", names))
    second = scan.scan("savee", make(tmp_path / "b", reversed(names)))
    assert list(first[catalogue.NAME]) == sorted(names, key=str.casefold) == list(second[catalogue.NAME])


def test_a_part_of_a_corpus_is_no_error(tmp_path):
    assert len(scan.scan("ravdess", make(tmp_path, itertools.islice(ravdess_names(), 60)))) == 60


@pytest.mark.parametrize(
    ("name", "words"),
    [("ravdess", "03-01-05-01-02-01-12.wav.*Actor_01 … Actor_24"), ("savee", "DC_a01.wav.*folders DC, JE, JK and KL")],
)
def test_a_folder_without_clips_says_what_was_expected(name, words, tmp_path):
    with pytest.raises(CorpusError, match=words):
        scan.scan(name, tmp_path)


def test_a_missing_folder_says_so(tmp_path):
    with pytest.raises(CorpusError, match=r"does not exist\. Point to the folder"):
        scan.scan("tess", tmp_path / "nowhere")


def test_an_unknown_corpus_lists_the_known_ones(tmp_path):
    with pytest.raises(CorpusError, match=r"'iemocap' is not known\. Choose one of ravdess, tess"):
        scan.scan("iemocap", tmp_path)


def test_installed_lists_folders_with_a_clip(tmp_path):
    make(tmp_path / "ravdess", ["Actor_01/03-01-05-01-01-01-01"])
    make(tmp_path / "tess", ["readme"])
    assert scan.installed(tmp_path) == {"ravdess": tmp_path / "ravdess"}
    assert scan.installed(tmp_path / "nowhere") == {}


def test_who_sings_is_who_speaks(tmp_path):
    speech = scan.scan("ravdess", make(tmp_path / "speech", ["03-01-05-01-01-01-07"]))
    song = scan.scan("ravdess_song", make(tmp_path / "song", ["03-02-05-01-01-01-07"]))
    assert speech[catalogue.SPEAKER].item() == song[catalogue.SPEAKER].item() == "ravdess:07"
    assert song[catalogue.CORPUS].item() == "ravdess_song"


@pytest.mark.parametrize(
    ("word", "label"),
    [
        ("Happiness", "happy"),
        ("joy", "happy"),
        ("ANGER", "angry"),
        ("fearful", "fear"),
        ("Pleasant Surprise", "surprise"),
        ("pleasant-surprised", "surprise"),
        (" ps ", "surprise"),
        ("sad", "sad"),
        ("Boredom", "boredom"),
        ("wav", None),
        ("", None),
    ],
)
def test_words_for_labels_are_understood(word, label):
    assert scan.label_of(word) == label


def test_folders_named_after_labels_are_read(tmp_path):
    make(tmp_path, ["Happy/anna_1", "sadness/ben_1", "train/ANGRY/anna_2", "Angry/take2/ben_3", "notes/anna_4", "._x"])
    make(tmp_path, ["Happy/readme", "Happy/._anna_1"], ending=".txt")
    clips = scan.read_folders(tmp_path, corpus="mine")
    assert dict(zip(clips[catalogue.NAME], clips[catalogue.EMOTION], strict=True)) == {
        "Angry/take2/ben_3": "angry",
        "Happy/anna_1": "happy",
        "sadness/ben_1": "sad",
        "train/ANGRY/anna_2": "angry",
    }
    assert tuple(clips.columns) == catalogue.COLUMNS
    assert set(clips[catalogue.CORPUS]) == {"mine"}
    assert set(clips[catalogue.SPEAKER]) == {catalogue.UNKNOWN_SPEAKER}
    assert all(Path(path).is_file() for path in clips[catalogue.PATH])


def test_a_pattern_tells_who_speaks_where_it_matches(tmp_path):
    make(tmp_path, ["happy/anna_1", "sad/ben_1", "sad/someone"])
    clips = scan.read_folders(tmp_path, corpus="mine", speaker_pattern=r"/(?P<speaker>[a-z]+)_")
    assert list(clips[catalogue.SPEAKER]) == ["mine:anna", "mine:ben", catalogue.UNKNOWN_SPEAKER]


@pytest.mark.parametrize(
    ("corpus", "pattern", "words"),
    [
        ("ravdess", "", "cannot be called 'ravdess'"),
        ("../x", "", "Use letters, digits"),
        ("mine", "(", "is not a regular expression"),
        ("mine", "([a-z]+)_", "no group named speaker"),
        ("mine", "", "0 clips in sub-folders named after labels. Name the sub-folders neutral, calm"),
    ],
)
def test_folders_that_cannot_be_read_say_why(corpus, pattern, words, tmp_path):
    make(tmp_path, ["wav/a"])
    with pytest.raises(CorpusError, match=re.escape(words)):
        scan.read_folders(tmp_path, corpus=corpus, speaker_pattern=pattern)


def test_a_missing_folder_of_labels_says_so(tmp_path):
    with pytest.raises(CorpusError, match="does not exist"):
        scan.read_folders(tmp_path / "nowhere", corpus="mine")


def table_of(folder: Path, kind: str, rows):
    make(folder, ["b/two", "a/one"])
    if kind == "parquet":
        pd.DataFrame(rows).to_parquet(folder / "clips.parquet")
        return folder / "clips.parquet"
    pd.DataFrame(rows).to_csv(folder / "clips.csv", index=False, sep=";" if kind == "semicolons" else ",")
    return folder / "clips.csv"


@pytest.mark.parametrize("kind", ["csv", "semicolons", "parquet"])
def test_a_table_of_clips_is_read(kind, tmp_path):
    rows = [
        {"Path": "b/two.wav", "Label": "Joy", "Speaker": "007", "sex": "female"},
        {"Path": str(tmp_path / "a" / "one.wav"), "Label": "ps", "Speaker": None, "sex": None},
    ]
    clips = scan.read_table(table_of(tmp_path, kind, rows), corpus="mine").set_index(catalogue.EMOTION)
    assert set(clips.reset_index().columns) == set(catalogue.COLUMNS)
    assert clips.loc["happy", catalogue.SPEAKER] == "mine:007"
    assert clips.loc["happy", catalogue.SEX] == "female"
    assert clips.loc["happy", catalogue.NAME] == "b/two"
    assert clips.loc["happy", catalogue.PATH] == str(tmp_path / "b" / "two.wav")
    assert clips.loc["surprise", catalogue.SPEAKER] == catalogue.UNKNOWN_SPEAKER
    assert clips.loc["surprise", catalogue.SEX] == ""


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"path": "a/one.wav", "label": "sad"}], "has no column speaker. It needs path, label and speaker"),
        (
            [{"path": "a/one.wav", "label": "envy", "speaker": "1"}],
            "labels that are not known: 'envy'. Use neutral, calm",
        ),
        ([{"path": "a/three.wav", "label": "sad", "speaker": "1"}], "lists 1 file that does not exist"),
        ([{"path": "", "label": "sad", "speaker": "1"}], "lists 1 file that does not exist"),
        (
            [{"path": path, "label": "sad", "speaker": "1"} for path in ("a/one.wav", "a/../a/one.wav")],
            "more than once",
        ),
        ([{"path": "a/one\0.wav", "label": "sad", "speaker": "1"}], "holds a null character"),
    ],
)
def test_a_table_that_cannot_be_used_says_why(rows, words, tmp_path):
    with pytest.raises(CorpusError, match=re.escape(words)):
        scan.read_table(table_of(tmp_path, "csv", rows), corpus="mine")


@pytest.mark.parametrize(
    ("name", "content"), [("x.csv", b""), ("x.csv", b"\x00\x81\x00\x01\x02"), ("x.parquet", b"no parquet")]
)
def test_a_file_that_is_no_table_says_so(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CorpusError, match="cannot be read"):
        scan.read_table(tmp_path / name, corpus="mine")


def test_columns_that_differ_in_case_alone_count_once(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"x")
    pd.DataFrame({"path": ["a.wav"], "Path ": ["b.wav"], "label": ["sad"], "speaker": ["1"]}).to_parquet(
        tmp_path / "x.parquet"
    )
    clips = scan.read_table(tmp_path / "x.parquet", corpus="mine")
    assert [Path(path).name for path in clips[catalogue.PATH]] == ["a.wav"]


def test_parquet_whose_text_is_no_text_says_so(tmp_path):
    pd.DataFrame({"path": ["bee.wav"], "label": ["sad"], "speaker": ["1"]}).to_parquet(
        tmp_path / "x.parquet", compression=None
    )
    content = (tmp_path / "x.parquet").read_bytes()
    (tmp_path / "x.parquet").write_bytes(content.replace(b"bee.wav", b"b\xff\xfe.wav"))
    with pytest.raises(CorpusError, match="cannot be read"):
        scan.read_table(tmp_path / "x.parquet", corpus="mine")


def test_a_strangers_table_may_not_be_parquet(tmp_path):
    pd.DataFrame({"path": ["a.wav"], "label": ["sad"], "speaker": ["1"]}).to_parquet(tmp_path / "x.parquet")
    with pytest.raises(CorpusError, match=r"'x\.parquet' is Parquet, which may grow to any size"):
        scan.read_table(tmp_path / "x.parquet", corpus="mine", inside=True)


def test_a_missing_table_says_so(tmp_path):
    with pytest.raises(CorpusError, match="does not exist"):
        scan.read_table(tmp_path / "x.csv", corpus="mine")


def test_a_table_without_rows_says_so(tmp_path):
    (tmp_path / "x.csv").write_text("path,label,speaker\n")
    with pytest.raises(CorpusError, match="lists 0 clips"):
        scan.read_table(tmp_path / "x.csv", corpus="mine")


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="these systems let no such name be")
def test_a_name_that_is_no_text_is_told(tmp_path):
    (tmp_path / "happy").mkdir()
    with open(os.path.join(os.fsencode(tmp_path), b"happy", b"caf\xe9.wav"), "wb"):
        pass
    with pytest.raises(CorpusError, match=r"not UTF-8.*Rename it"):
        scan.read_folders(tmp_path, corpus="moods")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("03-01-05-01-02-01-12.wav", ("ravdess", "angry")),
        ("a\\b/03a01Fa.FLAC", ("emodb", "happy")),
        ("OAF_back_ps.wav", ("tess", "surprise")),
        ("x/DC_sa01.wav", ("savee", "sad")),
        ("DC\\sa01.wav", ("savee", "sad")),
        ("1001_DFA_FEA_XX.wav", ("cremad", "fear")),
        ("angry.wav", None),
        ("03-01-99-01-02-01-12.wav", None),
        ("", None),
    ],
)
def test_a_name_alone_tells_corpus_and_label(path, expected):
    assert scan.label_in_name(path) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.wav", True),
        ("x/y.FLAC", True),
        ("a.txt", False),
        (".a.wav", False),
        ("x\\._a.wav", False),
        ("wav", False),
    ],
)
def test_a_recording_is_known_by_its_ending(name, expected):
    assert scan.is_sound(name) is expected


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            ["angry/Joy/1", "angry/Anna/1", "sad/Joy/1"],
            {"angry/Joy/1": "angry", "angry/Anna/1": "angry", "sad/Joy/1": "sad"},
        ),
        (["Joy/angry/1", "Anna/sad/1"], {"Joy/angry/1": "angry", "Anna/sad/1": "sad"}),
        (["train/angry/Joy/1", "test/sad/Ben/2"], {"train/angry/Joy/1": "angry", "test/sad/Ben/2": "sad"}),
        (["train/Joy/angry/1", "test/Ben/sad/2"], {"train/Joy/angry/1": "angry", "test/Ben/sad/2": "sad"}),
        (["angry/Ang/x/1", "sad/1"], {"angry/Ang/x/1": "angry", "sad/1": "sad"}),
        (
            ["angry/Joy/1", "angry/Ben/1", "x/sad/Ben/1"],
            {"angry/Joy/1": "angry", "angry/Ben/1": "angry", "x/sad/Ben/1": "sad"},
        ),
        (["angry/Joy/1", "sad/Ben/1", "notes/x/1"], {"angry/Joy/1": "angry", "sad/Ben/1": "sad"}),
        (["joy/happy/1", "sad/x/2"], {"joy/happy/1": "happy", "sad/x/2": "sad"}),
        # Nobody can tell: both levels hold labels alone, or neither does.
        (["angry/Joy/1", "sad/Ang/1"], {}),
        (["angry/Joy/1", "sad/1"], {"sad/1": "sad"}),
        (["angry/Joy/1", "x/sad/Ben/1"], {"x/sad/Ben/1": "sad"}),
        (["angry/Joy/1", "thrilled/Joy/3", "thrilled/Ben/3"], {}),
        (["angry/Joy/1", "sad/Ben/2", "thrilled/Joy/3", "thrilled/Ben/3"], {"sad/Ben/2": "sad"}),
    ],
)
def test_where_two_folders_read_as_labels_the_level_that_holds_labels_alone_decides(files, expected, tmp_path):
    assert scan.folder_labels(f"{file}.wav" for file in files)[0] == {
        f"{key}.wav": label for key, label in expected.items()
    }
    make(tmp_path, files)
    if not expected:
        with pytest.raises(CorpusError, match="could be"):
            scan.read_folders(tmp_path, corpus="mine")
        return
    reading = scan.inspect_folders(tmp_path, corpus="mine")
    assert dict(zip(reading.clips[catalogue.NAME], reading.clips[catalogue.EMOTION], strict=True)) == expected


def test_what_folders_decided_and_what_they_could_not_is_told(tmp_path):
    make(tmp_path, ["angry/Joy/1", "angry/Ben/2", "sad/Ben/1", "neutral/Ang/1"])
    reading = scan.inspect_folders(tmp_path, corpus="mine")
    assert reading.two_labels == {
        str(tmp_path / "angry" / "Joy" / "1.wav"): ("angry", "happy"),
        str(tmp_path / "neutral" / "Ang" / "1.wav"): ("neutral", "angry"),
    }


def test_the_speaker_pattern_that_is_suggested_finds_the_speaker(tmp_path):
    make(tmp_path, ["pleasant_surprise/anna_01", "sad/Ben-2", "sad/someone"])
    with pytest.raises(CorpusError) as told:
        scan.read_folders(tmp_path, corpus="mine", speaker_pattern="x")
    pattern = str(told.value).partition("Write it like '")[2].removesuffix("'.")
    clips = scan.read_folders(tmp_path, corpus="mine", speaker_pattern=pattern)
    assert list(clips[catalogue.SPEAKER]) == ["mine:anna", "mine:Ben", catalogue.UNKNOWN_SPEAKER]


def test_files_whose_names_differ_by_ending_or_capitals_are_clips_of_their_own(tmp_path):
    for name, content in {
        "A.wav": b"1",
        "a.wav": b"2",
        "anna.wav": b"3",
        "anna.flac": b"4",
        "b.wav": b"5",
        "b.mp3": b"5",
    }.items():
        (tmp_path / "happy").mkdir(exist_ok=True)
        (tmp_path / "happy" / name).write_bytes(content)
    clips = scan.read_folders(tmp_path, corpus="mine")
    assert list(clips[catalogue.NAME]) == ["happy/A", "happy/a", "happy/anna.flac", "happy/anna.wav", "happy/b"]
    assert clips[catalogue.PATH].iloc[-1].endswith("b.wav")


def speakers_of(folder: Path, spellings) -> tuple[list[str], scan.Reading]:
    make(folder, [str(number) for number in range(len(spellings))])
    rows = [{"path": f"{number}.wav", "label": "sad", "speaker": name} for number, name in enumerate(spellings)]
    pd.DataFrame(rows).to_csv(folder / "clips.csv", index=False)
    reading = scan.inspect_table(folder / "clips.csv", corpus="mine")
    return list(reading.clips[catalogue.SPEAKER]), reading


@pytest.mark.parametrize(
    ("spellings", "shown"),
    [
        (["anna", "Anna", "Anna", "ben"], ["Anna", "Anna", "Anna", "ben"]),
        (["1", "01", "2.0", "2"], ["1", "1", "2.0", "2.0"]),
        (["an\u200bna", "anna"], ["anna", "anna"]),
        (["unknown", "n/a", "-", "cleo"], ["", "", "", "cleo"]),
    ],
)
def test_a_speaker_of_a_table_is_one_however_it_is_spelt(spellings, shown, tmp_path):
    found, reading = speakers_of(tmp_path, spellings)
    assert found == [f"mine:{name}" if name else "" for name in shown]
    assert list(reading.stated) == spellings


def test_a_speaker_of_a_pattern_is_one_however_it_is_spelt(tmp_path):
    make(tmp_path, ["sad/Anna_1", "sad/anna_2", "happy/anna_3", "happy/01_1", "happy/1_2", "happy/unknown_3"])
    clips = scan.read_folders(tmp_path, corpus="mine", speaker_pattern=scan.SPEAKER_FIRST)
    assert sorted(clips[catalogue.SPEAKER]) == ["", "mine:01", "mine:01", "mine:anna", "mine:anna", "mine:anna"]


SAVED = "path{d}label{d}speaker\r\nwä/one.wav{d}angry{d}Jörg\r\nwä/two.wav{d}sad{d}y\r\n"


@pytest.mark.parametrize(
    "content",
    [
        SAVED.format(d=";").encode("cp1252"),
        SAVED.format(d="\t").encode("utf-16"),
        ("sep=;\r\n" + SAVED.format(d=";")).encode("utf-8-sig"),
        SAVED.format(d=",").replace("/", "\\").encode(),
        unicodedata.normalize("NFD", SAVED.format(d=",")).encode(),
        SAVED.format(d=",").replace("path", "File Name").replace("label", "Emotion").encode(),
        SAVED.format(d=",").replace("wä/", "old place/wä/").encode(),
        SAVED.format(d=",").replace("wä/", "C:\\data\\wä\\").encode(),
        SAVED.format(d=",").replace("wä/", "").encode(),
        SAVED.format(d=",").replace("wä/one.wav", "WÄ/ONE.WAV").encode(),
    ],
)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("inside", [False, True])
def test_a_table_is_read_as_spreadsheets_and_other_machines_write_it(content, form, inside, tmp_path):
    place = unicodedata.normalize(form, "wä")
    make(tmp_path, [f"{place}/one", f"{place}/two"])
    (tmp_path / "clips.csv").write_bytes(content)
    clips = scan.read_table(tmp_path / "clips.csv", corpus="mine", inside=inside)
    assert sorted(clips[catalogue.EMOTION]) == ["angry", "sad"]
    assert sorted(clips[catalogue.SPEAKER]) == ["mine:Jörg", "mine:y"]
    assert sorted(clips[catalogue.PATH]) == [str(tmp_path / place / "one.wav"), str(tmp_path / place / "two.wav")]


def test_paths_from_a_folder_above_are_found_and_never_by_a_strangers_table(tmp_path):
    make(tmp_path / "other", ["a"])
    make(tmp_path / "mine", ["b"])
    (tmp_path / "mine" / "clips.csv").write_text("path,label,speaker\nother/a.wav,sad,1\n")
    assert list(scan.read_table(tmp_path / "mine" / "clips.csv", corpus="mine")[catalogue.PATH]) == [
        str(tmp_path / "other" / "a.wav")
    ]
    with pytest.raises(CorpusError, match="does not exist"):
        scan.read_table(tmp_path / "mine" / "clips.csv", corpus="mine", inside=True)


def test_a_row_that_may_mean_several_files_says_so(tmp_path):
    make(tmp_path, ["anna/1", "ben/1"])
    (tmp_path / "clips.csv").write_text("path,label,speaker\n1.wav,sad,1\n")
    with pytest.raises(
        CorpusError, match=r"lists '1\.wav', which may be 'anna/1\.wav' or 'ben/1\.wav'\. Give its path"
    ):
        scan.read_table(tmp_path / "clips.csv", corpus="mine")
