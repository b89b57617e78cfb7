"""The clips table, from empty files that are named by the corpora's own rules: no recording is needed."""

import itertools
from pathlib import Path

import pytest

from ser_core import corpora
from ser_core.errors import CorpusError

TESS_WORDS = [first + vowel + last for first in "bcdfghjlmn" for vowel in "aeio" for last in ("ck", "nd", "pe", "rt", "ss")]
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
    spec = corpora.CORPORA["emodb"]
    names = ["wav/" + "".join(parts) + "a" for parts in itertools.product(spec.speakers, spec.sentences, spec.labels)]
    yield from (names[37 * i % len(names)] for i in range(535))


def cremad_names():
    """82 names an actor, 7462 in all, of which the real corpus lacks 20."""
    for actor in range(1001, 1092):
        for sentence, emotion in itertools.product(corpora.CORPORA["cremad"].sentences, CREMAD_EMOTIONS):
            levels = ("LO", "MD", "HI") if sentence == "IEO" and emotion != "NEU" else ("XX",)
            yield from (f"AudioWAV/{actor}_{sentence}_{emotion}_{level}" for level in levels)


NAMES = {"ravdess": ravdess_names, "tess": tess_names, "savee": savee_names, "emodb": emodb_names,
         "cremad": lambda: itertools.islice(cremad_names(), 7442)}


def make(folder: Path, names, *, ending=".wav"):
    for name in names:
        path = folder / f"{name}{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


@pytest.mark.parametrize("name", corpora.CORPORA)
def test_every_corpus_is_read_whole(name, tmp_path):
    spec = corpora.CORPORA[name]
    clips = corpora.scan(name, make(tmp_path, NAMES[name]()))
    assert len(clips) == spec.n_clips
    assert tuple(clips.columns) == corpora.COLUMNS
    assert set(clips[corpora.CORPUS]) == {name}
    assert set(clips[corpora.EMOTION]) == set(spec.labels.values())
    assert set(clips[corpora.SPEAKER]) == {f"{name}:{speaker}" for speaker in spec.speakers}
    assert set(clips[corpora.SEX]) <= {"female", "male"}
    assert clips[corpora.NAME].is_unique
    assert all(Path(path).is_absolute() and Path(path).is_file() for path in clips[corpora.PATH])
    if spec.sentences:
        assert set(clips[corpora.SENTENCE]) == set(spec.sentences)


@pytest.mark.parametrize("name", corpora.CORPORA)
def test_every_row_states_its_facts(name):
    spec = corpora.CORPORA[name]
    assert set(spec.labels.values()) <= set(corpora.ALL_LABELS)
    assert set(spec.speakers.values()) <= {"female", "male"}
    assert spec.title and spec.languages and spec.licence and spec.citation and spec.place
    assert spec.page.startswith("http")
    assert spec.pattern.fullmatch(Path(spec.example).stem)


def test_sexes_are_counted_as_published():
    women = {name: list(spec.speakers.values()).count("female") for name, spec in corpora.CORPORA.items()}
    assert women == {"ravdess": 12, "tess": 2, "savee": 0, "emodb": 5, "cremad": 43}


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
        ("savee", "AudioData/jk/A01.WAV", "JK", "angry", "a01", "male", ""),
        ("emodb", "wav/03a01Fa.wav", "03", "happy", "a01", "male", ""),
        ("emodb", "16b10Lb.wav", "16", "boredom", "b10", "female", ""),
        ("emodb", "08A02WC.WAV", "08", "angry", "a02", "female", ""),
        ("emodb", "09a05Ea.wav", "09", "disgust", "a05", "female", ""),
        ("emodb", "10a07Ad.wav", "10", "fear", "a07", "male", ""),
        ("cremad", "AudioWAV/1001_DFA_ANG_XX.wav", "1001", "angry", "DFA", "male", ""),
        ("cremad", "1091_ieo_hap_hi.mp3", "1091", "happy", "IEO", "female", "high"),
        ("cremad", "1040_ITH_SAD_X.wav", "1040", "sad", "ITH", "male", ""),
    ],
)
def test_a_name_tells_its_facts(corpus, file, speaker, emotion, sentence, sex, intensity, tmp_path):
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    (clip,) = corpora.scan(corpus, tmp_path).to_dict("records")
    assert clip[corpora.SPEAKER] == f"{corpus}:{speaker}"
    assert clip[corpora.EMOTION] == emotion
    assert clip[corpora.SENTENCE] == sentence
    assert clip[corpora.SEX] == sex
    assert clip[corpora.INTENSITY] == intensity
    assert clip[corpora.PATH] == str(path)


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
    ],
)
def test_a_file_of_another_kind_is_passed_over(corpus, file, tmp_path):
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    with pytest.raises(CorpusError, match="has 0 clips named like"):
        corpora.scan(corpus, tmp_path)


@pytest.mark.parametrize(("name", "nested"), [("ravdess", "audio_speech_actors_01-24"), ("tess", "TESS Toronto emotional speech set data")])
def test_a_nested_second_copy_counts_once(name, nested, tmp_path):
    names = list(NAMES[name]())
    make(tmp_path, names)
    make(tmp_path / nested, names)
    clips = corpora.scan(name, tmp_path)
    assert len(clips) == corpora.CORPORA[name].n_clips
    assert not clips[corpora.PATH].str.contains(nested, regex=False).any()


def test_of_a_wav_and_an_mp3_copy_the_wav_is_taken(tmp_path):
    make(tmp_path / "AudioMP3", ["1001_DFA_ANG_XX"], ending=".mp3")
    make(tmp_path / "AudioWAV", ["1001_DFA_ANG_XX"])
    assert [Path(path).name for path in corpora.scan("cremad", tmp_path)[corpora.PATH]] == ["1001_DFA_ANG_XX.wav"]


def test_savee_reads_the_same_flat_and_in_folders_of_speakers(tmp_path):
    names = list(savee_names())
    flat = corpora.scan("savee", make(tmp_path / "flat", names))
    foldered = corpora.scan("savee", make(tmp_path / "foldered", [name.replace("_", "/") for name in names]))
    assert len(foldered) == 480
    assert flat.drop(columns=corpora.PATH).equals(foldered.drop(columns=corpora.PATH))


def test_names_in_upper_case_read_the_same(tmp_path):
    lower = corpora.scan("emodb", make(tmp_path / "a", emodb_names()))
    upper = corpora.scan("emodb", make(tmp_path / "b", [name.upper() for name in emodb_names()], ending=".WAV"))
    columns = [corpora.SPEAKER, corpora.EMOTION, corpora.SENTENCE, corpora.SEX]
    assert sorted(map(tuple, lower[columns].to_numpy())) == sorted(map(tuple, upper[columns].to_numpy()))


def test_the_table_does_not_depend_on_the_order_of_the_disk(tmp_path):
    names = list(savee_names())
    first = corpora.scan("savee", make(tmp_path / "a", names))
    second = corpora.scan("savee", make(tmp_path / "b", reversed(names)))
    assert list(first[corpora.NAME]) == sorted(names, key=str.casefold) == list(second[corpora.NAME])


def test_a_part_of_a_corpus_is_no_error(tmp_path):
    assert len(corpora.scan("ravdess", make(tmp_path, itertools.islice(ravdess_names(), 60)))) == 60


@pytest.mark.parametrize(
    ("name", "words"),
    [("ravdess", "03-01-05-01-02-01-12.wav.*Actor_01 … Actor_24"), ("savee", "DC_a01.wav.*folders DC, JE, JK and KL")],
)
def test_a_folder_without_clips_says_what_was_expected(name, words, tmp_path):
    with pytest.raises(CorpusError, match=words):
        corpora.scan(name, tmp_path)


def test_a_missing_folder_says_so(tmp_path):
    with pytest.raises(CorpusError, match=r"does not exist\. Point to the folder"):
        corpora.scan("tess", tmp_path / "nowhere")


def test_an_unknown_corpus_lists_the_known_ones(tmp_path):
    with pytest.raises(CorpusError, match=r"'iemocap' is not known\. Choose one of ravdess, tess"):
        corpora.scan("iemocap", tmp_path)


def test_installed_lists_folders_with_a_clip(tmp_path):
    make(tmp_path / "ravdess", ["Actor_01/03-01-05-01-01-01-01"])
    make(tmp_path / "tess", ["readme"])
    assert corpora.installed(tmp_path) == {"ravdess": tmp_path / "ravdess"}
    assert corpora.installed(tmp_path / "nowhere") == {}
