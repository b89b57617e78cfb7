"""The corpus doctor: what is missing, duplicated, damaged or misnamed in a corpus folder, and what that does to a score.

`check` reads every clip once and changes nothing; library.leave_out remembers which of the clips that it found are not to be used.
What a clip's name means is scan.py's business, how good one recording is features/quality.py's.
"""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ser_core.audio import decoding, formats
from ser_core.corpora import catalogue, library, scan
from ser_core.corpora.catalogue import CorpusSpec
from ser_core.errors import AudioError, ConfigError
from ser_core.features import extraction, quality

NEAR_IDENTICAL = 0.99
"""Correlation of two log-mel spectrograms from which two clips of one length count as one recording."""

SHORTEST_S, LONGEST_S = 0.4, 30.0
"""Outside this range no clip is one acted sentence or word, in any corpus."""

OUTLIER = 5.0
"""Robust z-score of the log duration, and LENGTH_RATIO the ratio to the median: both make a clip far too short or long."""
LENGTH_RATIO = 3.0
_FEWEST_FOR_OUTLIERS = 10
_NAMED = 4
_BLOCK = 512

EFFECTS: dict[str, str] = {
    "missing_clips": (
        "A figure from a part of a corpus cannot be compared with one from all of it, and labels that lack clips are learned worst."
    ),
    "missing_speakers": (
        "Fewer speakers make a model worse on new voices and its figures less certain; published splits cannot be followed."
    ),
    "unknown_speaker": (
        "They allow no score on new voices: the same person may be in training and test, which raises a score."
    ),
    "speaker_spellings": (
        "None here: they are read as one speaker. Read as several, one person is trained on and tested on, which raises a score."
    ),
    "two_labels": "A clip under the label of another folder teaches that and is scored by it: look whether the level that counts is right.",
    "label_conflict": "They are not read: a guess would be trained on and scored as if it were true.",
    "unread_ending": "They are not read, so a model learns nothing from them and is not tested on them.",
    "unknown_name": "None: files that are not named like a clip, or that have no label, are not read.",
    "unknown_code": "They are not read. A program that guesses their label or speaker learns and scores wrong labels.",
    "song": "They are not read. Singing is not speech: mixed in, it distorts a score for speech.",
    "git_lfs_pointer": "They hold no sound, so a model learns nothing from them and is not tested on them.",
    "nested_copy": (
        "None here: one copy is read. A program that reads all trains on copies of its test clips, which can lift a score to nearly 100 %."
    ),
    "undecodable": "They cannot be used, so a model learns nothing from them and is not tested on them.",
    "truncated": "What is left is used as a whole clip: its end is missing, which makes it harder to recognize.",
    "wrong_ending": "None here: the content decides how a file is read. Programs that trust the ending skip such files or fail on them.",
    "silent": "There is nothing to recognize: in training they teach a label for silence, in a test they are right by chance only.",
    "no_voice": "There may be nothing to recognize: in training they teach a label for noise, in a test they are right by chance only.",
    "too_short": "They hold a part of an utterance at most: they are harder to recognize.",
    "too_long": "Most of such a clip is not the utterance: its features are unlike all others, and it takes the most time.",
    "clipped": (
        "Mild: cut-off peaks add overtones, mostly to loud emotions such as anger, and a model may take them for the emotion itself."
    ),
    "identical": (
        "A random split that separates them looks better than it is. Where speakers are held out they stay together and count twice."
    ),
    "near_identical": (
        "A random split that separates them looks better than it is. Where speakers are held out they stay together and count twice."
    ),
    "speaker_alias": (
        "None here: both codes are read as one speaker. Read as two, one person is trained on and tested on, which raises a score."
    ),
    "shared_clips": "If they are one person, that person is trained on and tested on, which raises a speaker-independent score.",
}
"""Kinds of findings, in the order of a report -> what they do to a score."""


@dataclass(frozen=True)
class Counts:
    """How many clips each label (canonical name) and each speaker (the corpus' code) has in the whole corpus."""

    labels: Mapping[str, int]
    speakers: Mapping[str, int]


def _even(name: str, neutral: int, others: int, speaker: int) -> Counts:
    """Return the counts of a corpus in which every label but neutral, and every speaker, has as many clips as the next."""
    spec = catalogue.CORPORA[name]
    return Counts(
        {**dict.fromkeys(spec.labels.values(), others), "neutral": neutral}, dict.fromkeys(spec.speakers, speaker)
    )


EXPECTED: dict[str, Counts] = {
    "ravdess": _even("ravdess", neutral=96, others=192, speaker=60),
    "ravdess_song": _even("ravdess_song", neutral=92, others=184, speaker=44),
    "tess": _even("tess", neutral=400, others=400, speaker=1400),
    "savee": _even("savee", neutral=120, others=60, speaker=120),
    "emovo": _even("emovo", neutral=84, others=84, speaker=98),
    "cafe": _even("cafe", neutral=72, others=144, speaker=78),
    "emodb": Counts(
        {"neutral": 79, "happy": 71, "sad": 62, "angry": 127, "fear": 69, "disgust": 46, "boredom": 81},
        {"03": 49, "08": 58, "09": 43, "10": 38, "11": 55, "12": 35, "13": 61, "14": 69, "15": 56, "16": 71},
    ),
    # Its 91 actors have 82 clips each but for 20 that the release lacks, so clips per speaker are not checked.
    "cremad": Counts({"neutral": 1087, "happy": 1271, "sad": 1271, "angry": 1271, "fear": 1271, "disgust": 1271}, {}),
}
"""Clips by label and by speaker of the whole corpora, as published; a corpus without a row is checked by its total only."""

_SONG = {"ravdess": re.compile(r"\d\d-02(-\d\d){5}")}
"""Corpus -> names of its sung recordings, in folders of speech."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a corpus.

    kind: a key of EFFECTS; n: how many clips, files or speakers it concerns; files: their paths relative to the corpus' folder,
    with "/"; message: what was found and what to do; removable: those of the files that need not be used: the clips among them, for what
    is not read need not be left out; of identical clips the first stays where all have one label.
    """

    kind: str
    n: int
    files: tuple[str, ...]
    message: str
    removable: tuple[str, ...]

    @property
    def effect(self) -> str:
        """What it does to a score, one sentence."""
        return EFFECTS[self.kind]


@dataclass(frozen=True)
class Report:
    """What was found in a folder (absolute): n_clips files named like clips, copies counted once; labels in the order of ALL_LABELS."""

    folder: str
    n_clips: int
    n_speakers: int
    labels: dict[str, int]
    findings: tuple[Finding, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        findings = [
            {"kind": each.kind, "n": each.n, "files": list(each.files), "message": each.message, "effect": each.effect}
            for each in self.findings
        ]
        return {"n_clips": self.n_clips, "n_speakers": self.n_speakers, "labels": self.labels, "findings": findings}


def check(
    name: str, folder: str | os.PathLike[str], *, n_jobs: int = 1, on_progress: Callable[[int, int], None] | None = None
) -> Report:
    """Return everything that is wrong with a corpus; nothing is changed.

    Parameters
    ----------
    name : a key of catalogue.CORPORA; with any other name, `folder` is read as a table or as folders of labels, for which there are no
        published facts on what is missing or misnamed.
    folder : where the corpus lies.
    n_jobs : processes that read the clips; -1 for one per core.
    on_progress : called as on_progress(done, total) while the clips are read.

    Raises
    ------
    CorpusError : for a missing folder, one without any clip, one that is neither a known corpus nor a table or folders of labels.
    ConfigError : where n_jobs is neither -1 nor 1 or more.
    """
    if n_jobs < 1 and n_jobs != -1:
        raise ConfigError(f"The number of processes must be 1 or more, or -1 for one per core. Got {n_jobs}.")
    spec = catalogue.CORPORA.get(name)
    own = None if spec else library.inspect(name, folder)
    clips = own.clips if own else library.read(name, folder)
    root = os.path.abspath(folder)
    files = [_relative(path, root) for path in clips[catalogue.PATH]]
    looks = _look_at_all(list(clips[catalogue.PATH]), n_jobs, on_progress)
    if own:
        by_name = [
            *_unknown_speakers(files, clips),
            *_spellings(own, files),
            *_two_labels(own, root),
            *_unlabelled(own, root),
        ]
    elif spec:
        by_name = [*_missing(name, spec, clips), *_other_files(name, spec, clips, root), *_aliases(spec, clips, files)]
    found = [
        *by_name,
        *_unread_endings(root),
        *_damaged(files, looks),
        *_unlike_the_rest(files, looks),
        *_clipped(files, looks, clips),
        *_doubled(files, looks, clips),
    ]
    counts = Counter(clips[catalogue.EMOTION])
    return Report(
        folder=root,
        n_clips=len(clips),
        n_speakers=clips.loc[clips[catalogue.SPEAKER] != catalogue.UNKNOWN_SPEAKER, catalogue.SPEAKER].nunique(),
        labels={label: counts[label] for label in catalogue.ALL_LABELS if counts[label]},
        findings=tuple(sorted(found, key=lambda finding: list(EFFECTS).index(finding.kind))),
    )


@dataclass(frozen=True)
class _ClipCheck:
    """What reading a clip's file once gives; the default values stand for a file without sound.

    bytes_hash and sound_hash: of the file, and of its decoded samples. log_mel: float16 (n_frames, n_mels).
    """

    problem: str = ""
    is_pointer: bool = False
    bytes_hash: bytes = b""
    sound_hash: bytes = b""
    container: str = ""
    truncated: bool = False
    n_samples: int = 0
    duration_s: float = 0.0
    quality: quality.Quality | None = None
    log_mel: np.ndarray | None = None


def _look_at_all(paths: Sequence[str], n_jobs: int, on_progress: Callable[[int, int], None] | None) -> list[_ClipCheck]:
    import joblib

    run = joblib.Parallel(n_jobs=n_jobs, return_as="generator", batch_size=16)
    looks = []
    for done, look in enumerate(run(joblib.delayed(_look_at)(path) for path in paths), start=1):
        looks.append(look)
        if on_progress and (done % 50 == 0 or done == len(paths)):
            on_progress(done, len(paths))
    return looks


def _look_at(path: str) -> _ClipCheck:
    file = Path(path)
    try:
        # decode refuses pipes and files of many GB without reading them
        source = file.read_bytes() if file.is_file() and file.stat().st_size <= decoding.MAX_BYTES else file
        if isinstance(source, bytes) and source.startswith(b"version https://git-lfs"):
            return _ClipCheck(is_pointer=True)
        clip = decoding.decode(source, name=file.name)
    except OSError as error:
        return _ClipCheck(problem=f"{file.name} cannot be read: {error.strerror}.")
    except AudioError as error:
        return _ClipCheck(problem=str(error))
    measured = extraction.extract(clip.waveform)
    return _ClipCheck(
        bytes_hash=hashlib.sha256(source).digest() if isinstance(source, bytes) else b"",
        sound_hash=hashlib.sha256(clip.waveform.samples.tobytes()).digest(),
        container=clip.container,
        truncated=clip.truncated,
        n_samples=len(clip.waveform.samples),
        duration_s=clip.waveform.duration_s,
        quality=quality.report(clip.waveform, measured),
        log_mel=measured.log_mel.astype(np.float16),
    )


def _missing(name: str, spec: CorpusSpec, clips: pd.DataFrame) -> Iterator[Finding]:
    expected = EXPECTED.get(name, Counts({}, {}))
    by_speaker = Counter(code.partition(":")[2] for code in clips[catalogue.SPEAKER])
    labels = _shortfall(expected.labels, Counter(clips[catalogue.EMOTION]))
    speakers = _shortfall(expected.speakers, by_speaker)
    lacking = max(spec.n_clips - len(clips), sum(labels.values()), sum(speakers.values()))
    if lacking > 0:
        message = f"{len(clips)} of the {spec.n_clips} clips of {spec.title} are here, so {lacking} {'lacks' if lacking == 1 else 'lack'}."
        for what, short, whole in (("label", labels, expected.labels), ("speaker", speakers, expected.speakers)):
            if short:
                named = [f"{each} {whole[each] - n} of {whole[each]}" for each, n in short.items()]
                message += f" By {what}: {', '.join(_some(named, 8))}."
        yield _finding(
            "missing_clips", lacking, (), f"{message} Get the rest from {spec.page}, or name the part that was used."
        )
    absent = [code for code in spec.speakers if not by_speaker[code]]
    if absent:
        there = f"{len(by_speaker)} of the {len(spec.speakers)} speakers of {spec.title} {'is' if len(by_speaker) == 1 else 'are'} here"
        missing = f"{_list(absent)} {'has' if len(absent) == 1 else 'have'} no clip"
        message = f"{there}; {missing}. Get the rest from {spec.page}, or name the part that was used."
        yield _finding("missing_speakers", len(absent), (), message)


def _shortfall(expected: Mapping[str, int], counts: Counter[str]) -> dict[str, int]:
    return {each: n - counts[each] for each, n in expected.items() if counts[each] < n}


def _other_files(name: str, spec: CorpusSpec, clips: pd.DataFrame, root: str) -> Iterator[Finding]:
    """Yield findings about the audio files that are not in the clips table."""
    taken = dict(zip(clips[catalogue.NAME].str.casefold(), clips[catalogue.PATH], strict=True))
    copies, differing, sung, miscoded, strange = [], 0, [], [], []
    for path in _audio_files(root):
        stem, parent = Path(path).stem, Path(path).parent.name
        names = [stem, f"{parent}_{stem}"] if spec.speaker_folders else [stem]
        duplicate = next((taken[each.casefold()] for each in names if each.casefold() in taken), None)
        if duplicate == path:
            continue
        if duplicate:
            copies.append(path)
            differing += Path(path).suffix.lower() == Path(duplicate).suffix.lower() and _size(path) != _size(duplicate)
        elif name in _SONG and _SONG[name].fullmatch(stem):
            sung.append(path)
        elif any(spec.pattern.fullmatch(each) for each in names):
            miscoded.append(path)
        else:
            strange.append(path)
    if copies:
        where = _list(sorted({_relative(os.path.dirname(path), root) for path in copies}))
        sizes = (
            f" {_count(differing, 'of them differs', 'of them differ')} in size from the copy that is read."
            if differing
            else ""
        )
        yield _finding(
            "nested_copy",
            len(copies),
            _all_relative(copies, root),
            f"{_count(len(copies), 'file repeats', 'files repeat')} a clip that lies nearer to the top or in a better format (in {where})."
            f"{sizes} Delete the second copy, or leave it: it is ignored.",
            removable=(),
        )
    if sung:
        yield _finding(
            "song",
            len(sung),
            _all_relative(sung, root),
            f"{_count(len(sung), 'file is', 'files are')} sung, not spoken: {_names(sung)}. "
            "Keep song in a separate folder, or leave it: it is ignored.",
            removable=(),
        )
    if miscoded:
        yield _finding(
            "unknown_code",
            len(miscoded),
            _all_relative(miscoded, root),
            f"{_count(len(miscoded), 'file is', 'files are')} named like a clip of {spec.title} but with a label or speaker code that it "
            f"does not have: {_names(miscoded)}. Its labels are {', '.join(spec.labels)}.{_half_codes(spec, miscoded)} "
            "Rename them, or leave them: they are not read.",
            removable=(),
        )
    if strange:
        yield _finding(
            "unknown_name",
            len(strange),
            _all_relative(strange, root),
            f"{_count(len(strange), 'audio file is', 'audio files are')} not named like a clip of {spec.title}, such as {spec.example}: "
            f"{_names(strange)}. Rename them if they belong to it, or leave them: they are ignored.",
            removable=(),
        )


def _half_codes(spec: CorpusSpec, paths: Sequence[str]) -> str:
    """Return a sentence on codes that are a prefix of several: SAVEE's s of sa (sad) and su (surprise)."""
    sentences = {}
    for path in paths:
        match = spec.pattern.fullmatch(Path(path).stem) or spec.pattern.fullmatch(
            f"{Path(path).parent.name}_{Path(path).stem}"
        )
        code = match["emotion"].lower() if match else ""
        meant = [f"{full} ({label})" for full, label in spec.labels.items() if code and full.lower().startswith(code)]
        if code not in {full.lower() for full in spec.labels} and len(meant) > 1:
            sentences[code] = f" '{code}' may stand for {' or '.join(meant)}, and it is unclear which."
    return "".join(sentences.values())


def _unknown_speakers(files: Sequence[str], clips: pd.DataFrame) -> Iterator[Finding]:
    nobody = [
        file
        for file, speaker in zip(files, clips[catalogue.SPEAKER], strict=True)
        if speaker == catalogue.UNKNOWN_SPEAKER
    ]
    if nobody:
        yield _finding(
            "unknown_speaker",
            len(nobody),
            nobody,
            f"The speaker of {_count(len(nobody), 'clip', 'clips')} is unknown: {_names(nobody)}. "
            "Put a table clips.csv with the columns path, label and speaker next to them, or leave them out.",
        )


def _spellings(own: scan.Reading, files: Sequence[str]) -> Iterator[Finding]:
    """Yield what spellings were joined to one speaker."""
    spelt: dict[str, Counter[str]] = {}
    for speaker, stated in zip(own.clips[catalogue.SPEAKER], own.stated, strict=True):
        if speaker != catalogue.UNKNOWN_SPEAKER:
            spelt.setdefault(speaker, Counter())[stated] += 1
    several = {speaker: found for speaker, found in spelt.items() if len(found) > 1}
    if several:
        who = "; ".join(
            _some(
                [
                    " = ".join(f"'{_visible(name)}' ({n})" for name, n in found.most_common(6))
                    for found in several.values()
                ],
                8,
            )
        )
        named = [file for file, speaker in zip(files, own.clips[catalogue.SPEAKER], strict=True) if speaker in several]
        yield _finding(
            "speaker_spellings",
            len(several),
            named,
            f"{_count(len(several), 'speaker is', 'speakers are')} spelt in several ways: {who}. They are read as "
            "one, under the most frequent spelling. Nothing needs to be done here; if they are several people, give them names that differ "
            "in more than case, blanks and leading zeros.",
        )


def _visible(name: str) -> str:
    """Return an untrusted name, cut, in which what tells its spellings apart can be seen: unseen letters and marks as their codes."""
    is_composed = unicodedata.is_normalized("NFC", name[: scan.MAX_TEXT])
    return "".join(
        letter
        if letter.isprintable() and (is_composed or not unicodedata.combining(letter))
        else f"\\u{ord(letter):04x}"
        for letter in name[:60]
    )


def _two_labels(own: scan.Reading, root: str) -> Iterator[Finding]:
    """Yield findings about files with folders that name different labels."""
    label_of = dict(zip(own.clips[catalogue.PATH], own.clips[catalogue.EMOTION], strict=True))
    decided = [path for path in own.two_labels if path in label_of]
    if decided:
        which = [
            f"{_relative(path, root)} is {label_of[path]}, not "
            f"{' or '.join(label for label in own.two_labels[path] if label != label_of[path])}"
            for path in decided
        ]
        yield _finding(
            "two_labels",
            len(decided),
            _all_relative(decided, root),
            f"The folders of {_count(len(decided), 'clip', 'clips')} name two labels. The level at which all names are labels decides: "
            f"{'; '.join(_some(which))}. If that is wrong, rename the other folders, or put a table clips.csv next to them.",
        )
    unclear = [path for path in own.two_labels if path not in label_of]
    if unclear:
        which = [f"{_relative(path, root)} ({' or '.join(own.two_labels[path])})" for path in unclear]
        yield _finding(
            "label_conflict",
            len(unclear),
            _all_relative(unclear, root),
            f"The folders of {_count(len(unclear), 'recording', 'recordings')} contradict each other on the label, and at no level are all "
            f"names labels: {'; '.join(_some(which))}. Rename the folders, or put a table clips.csv next to them.",
            removable=(),
        )


_COMPANIONS = frozenset(
    ".txt .md .rst .csv .tsv .json .jsonl .xml .html .htm .yaml .yml .toml .ini .log .parquet .xls .xlsx .ods .pdf .doc .docx .odt .rtf "
    ".png .jpg .jpeg .gif .svg .webp .tif .tiff .ico .db .url .lnk .bib .tex .py .r .m .mat .npy .npz .pkl .h5 .ipynb .sh .bat .exe .dll "
    ".textgrid .lab .labsilb .lablaut .silb .phn .wrd .trs .eaf .elan .praat .pitch .f0 .arff .srt .vtt .sha256 .md5 .part .lock".split()
)
"""Endings of what lies beside recordings and is none."""

_NO_ENDING = frozenset(
    [
        "license",
        "licence",
        "readme",
        "copying",
        "authors",
        "changelog",
        "makefile",
        "checksums",
        "sha256sums",
        "md5sums",
    ]
)


def _unread_endings(root: str) -> Iterator[Finding]:
    """Yield what files may be recordings but have endings that are not read, such as archives and formats without a decoder."""
    found: dict[str, list[str]] = {}
    for parent, folders, files in os.walk(root):
        folders[:] = sorted(each for each in folders if not each.startswith(".") and each != "__MACOSX")
        for file in sorted(files):
            ending = os.path.splitext(file)[1].lower()
            is_other = ending in formats.ENDINGS or ending in _COMPANIONS or file.casefold() in _NO_ENDING
            if not is_other and not file.startswith("."):
                found.setdefault(ending or "none", []).append(os.path.join(parent, file))
    if found:
        paths = [path for some in found.values() for path in some]
        endings = _list([f"{ending} {len(some)}" for ending, some in found.items()])
        yield _finding(
            "unread_ending",
            len(paths),
            _all_relative(paths, root),
            f"{_count(len(paths), 'file has an ending that is', 'files have endings that are')} not read ({endings}): {_names(paths)}. If "
            "they are recordings, save them as WAV or FLAC; unpack archives. Leave them if they are not.",
            removable=(),
        )


def _unlabelled(own: scan.Reading, root: str) -> Iterator[Finding]:
    """Yield findings about the audio files that are not in the clips table of an unpublished corpus."""
    taken = set(own.clips[catalogue.PATH])
    stems = {os.path.splitext(path)[0].casefold() for path in taken}
    others = [path for path in _audio_files(root) if path not in taken and path not in own.two_labels]
    copies = [path for path in others if os.path.splitext(path)[0].casefold() in stems]
    if copies:
        yield _finding(
            "nested_copy",
            len(copies),
            _all_relative(copies, root),
            f"{_count(len(copies), 'file repeats', 'files repeat')} a clip under another ending: {_names(copies)}. "
            "Delete the second copy, or leave it: it is ignored.",
            removable=(),
        )
    strange = [path for path in others if path not in copies]
    if strange:
        yield _finding(
            "unknown_name",
            len(strange),
            _all_relative(strange, root),
            f"{_count(len(strange), 'audio file has', 'audio files have')} no label, from a table or a folder: {_names(strange)}. "
            "Give them one if they belong to the corpus, or leave them: they are ignored.",
            removable=(),
        )


def _audio_files(root: str) -> Iterator[str]:
    """Yield the files with an audio ending below a folder, except hidden ones: macOS puts those into archives, without sound."""
    for parent, folders, files in os.walk(root):
        folders.sort()
        for file in sorted(files):
            if not file.startswith(".") and os.path.splitext(file)[1].lower() in formats.ENDINGS:
                yield os.path.join(parent, file)


def _aliases(spec: CorpusSpec, clips: pd.DataFrame, files: Sequence[str]) -> Iterator[Finding]:
    aliases = {alias.casefold(): (alias, code) for alias, code in spec.speaker_aliases.items()}
    found: dict[tuple[str, str], list[str]] = {}
    for name, file in zip(clips[catalogue.NAME], files, strict=True):
        match = spec.pattern.fullmatch(name)
        alias = aliases.get(match["speaker"].casefold()) if match else None
        if alias:
            found.setdefault(alias, []).append(file)
    if found:
        named = [file for group in found.values() for file in group]
        who = "; ".join(f"{alias} is {code} ({_names(group)})" for (alias, code), group in found.items())
        yield _finding(
            "speaker_alias",
            len(named),
            tuple(named),
            f"{_count(len(named), 'clip is', 'clips are')} named after a second code of a speaker: {who}. "
            f"{'It is' if len(named) == 1 else 'They are'} counted with the first; nothing needs to be done here.",
        )


def _damaged(files: Sequence[str], looks: Sequence[_ClipCheck]) -> Iterator[Finding]:
    """Yield findings about files that are not, or not completely, what their names say."""
    pointers = [file for file, look in zip(files, looks, strict=True) if look.is_pointer]
    if pointers:
        yield _finding(
            "git_lfs_pointer",
            len(pointers),
            pointers,
            f"{_count(len(pointers), 'file is a Git LFS pointer', 'files are Git LFS pointers')}, not recordings: {_names(pointers)}. "
            f"Run 'git lfs pull' in the folder to get the sound.",
        )
    broken = {file: look.problem for file, look in zip(files, looks, strict=True) if look.problem}
    if broken:
        reasons = " ".join(list(broken.values())[:2])
        yield _finding(
            "undecodable",
            len(broken),
            list(broken),
            f"{_count(len(broken), 'clip', 'clips')} cannot be read. {reasons}"
            f"{f' And {len(broken) - 2} more.' if len(broken) > 2 else ''} Get them again, or leave them out.",
        )
    cut = [file for file, look in zip(files, looks, strict=True) if look.truncated]
    if cut:
        yield _finding(
            "truncated",
            len(cut),
            cut,
            f"{_count(len(cut), 'clip ends', 'clips end')} before the length that the file states: {_names(cut)}. "
            "Get them again, or leave them out.",
        )
    wrong = {
        file: look.container
        for file, look in zip(files, looks, strict=True)
        if look.container and look.container not in formats.CONTAINERS.get(Path(file).suffix.lower(), {look.container})
    }
    if wrong:
        what = [f"{Path(file).name} is {container}" for file, container in wrong.items()]
        yield _finding(
            "wrong_ending",
            len(wrong),
            list(wrong),
            f"{_count(len(wrong), 'clip is', 'clips are')} not what the file's ending says: {'; '.join(_some(what))}. "
            f"Nothing needs to be done here; rename them for other programs.",
        )


def _unlike_the_rest(files: Sequence[str], looks: Sequence[_ClipCheck]) -> Iterator[Finding]:
    """Yield findings about clips that can be read but are not a good recording of one utterance."""
    heard = [(file, look.duration_s, look.quality) for file, look in zip(files, looks, strict=True) if look.quality]
    silent = [file for file, _, facts in heard if facts.level_dbfs < quality.MIN_LEVEL_DBFS]
    if silent:
        yield _finding(
            "silent",
            len(silent),
            silent,
            f"{_count(len(silent), 'clip is', 'clips are')} silent (below {quality.MIN_LEVEL_DBFS:.0f} dBFS): {_names(silent)}. "
            "Leave them out.",
        )
    mute = [file for file, _, facts in heard if facts.level_dbfs >= quality.MIN_LEVEL_DBFS and not facts.has_speech]
    if mute:
        yield _finding(
            "no_voice",
            len(mute),
            mute,
            f"In {_count(len(mute), 'clip', 'clips')} there is sound but no voice was found: {_names(mute)}. "
            "Listen to them, since noise may hide a voice, and leave out what is not speech.",
        )
    low, high, median = _usual_lengths(np.array([duration for _, duration, _ in heard]))
    for kind, lengths, bound in (
        ("too_short", {file: duration for file, duration, _ in heard if duration < low}, low),
        ("too_long", {file: duration for file, duration, _ in heard if duration > high}, high),
    ):
        if lengths:
            named = "; ".join(_some([f"{Path(file).name} {duration:.1f} s" for file, duration in lengths.items()]))
            yield _finding(
                kind,
                len(lengths),
                list(lengths),
                f"{_count(len(lengths), 'clip is', 'clips are')} {kind.removeprefix('too_')}er than {bound:.1f} s, where half of all clips "
                f"are below {median:.1f} s: {named}. Listen to them, and leave out what is not a single utterance.",
            )


def _clipped(files: Sequence[str], looks: Sequence[_ClipCheck], clips: pd.DataFrame) -> Iterator[Finding]:
    """Yield what is clipped at full scale; a corpus scaled to full peaks, as EmoDB is, reaches it without being clipped."""
    shares = np.array([look.quality.clipped if look.quality else 0.0 for look in looks])
    clipped = [int(at) for at in np.argsort(-shares, kind="stable") if shares[at] > quality.CLIPPED_SHARE]
    if clipped:
        named = [f"{Path(files[at]).name} {shares[at]:.1%}" for at in clipped]
        labels = [f"{label} {n}" for label, n in Counter(clips[catalogue.EMOTION].iloc[clipped]).most_common()]
        speakers = [
            f"{code.partition(':')[2]} {n}" for code, n in Counter(clips[catalogue.SPEAKER].iloc[clipped]).most_common()
        ]
        yield _finding(
            "clipped",
            len(clipped),
            [files[at] for at in clipped],
            f"In {_count(len(clipped), 'clip', 'clips')} more than {quality.CLIPPED_SHARE:.1%} of all samples reach full scale: "
            f"{'; '.join(_some(named))}. By label: {', '.join(labels)}; by speaker: {', '.join(_some(speakers, 8))}. "
            "Most can stay; leave out those that sound distorted.",
        )


def _usual_lengths(durations: np.ndarray) -> tuple[float, float, float]:
    """Return the shortest and the longest usual duration and the median, in s; the fixed bounds where there are few clips.

    The deviation is 1.4826 times the median absolute deviation of the log durations, which outliers do not move.
    """
    median = float(np.median(durations)) if len(durations) else 0.0
    if len(durations) < _FEWEST_FOR_OUTLIERS:
        return SHORTEST_S, LONGEST_S, median
    deviation = 1.4826 * float(np.median(np.abs(np.log(durations / median))))
    ratio = max(LENGTH_RATIO, float(np.exp(OUTLIER * deviation)))
    return max(SHORTEST_S, median / ratio), min(LONGEST_S, median * ratio), median


def _doubled(files: Sequence[str], looks: Sequence[_ClipCheck], clips: pd.DataFrame) -> Iterator[Finding]:
    """Yield findings about recordings that occur more than once under different names."""
    sounds: dict[bytes, list[int]] = {}
    for index, look in enumerate(looks):
        if look.sound_hash:
            sounds.setdefault(look.sound_hash, []).append(index)
    identical = [group for group in sounds.values() if len(group) > 1]
    if identical:
        in_bytes = all(len({looks[index].bytes_hash for index in group}) == 1 for group in identical)
        how = "are identical byte for byte" if in_bytes else "hold the same samples as another"
        yield _group_finding("identical", identical, how, files, clips)
    near = _near_identical([group[0] for group in sounds.values()], looks)
    if near:
        how = f"are nearly identical (equal length, log-mel correlation over {NEAR_IDENTICAL})"
        yield _group_finding("near_identical", near, how, files, clips)
    speakers = clips[catalogue.SPEAKER].str.partition(":")[2].to_numpy()
    across = [group for group in [*identical, *near] if len(set(speakers[group]) - {catalogue.UNKNOWN_SPEAKER}) > 1]
    if across:
        who = sorted({" and ".join(sorted(set(speakers[group]) - {catalogue.UNKNOWN_SPEAKER})) for group in across})
        named = [files[index] for group in across for index in group]
        yield _finding(
            "shared_clips",
            len(named),
            named,
            f"Speakers share recordings: {'; '.join(_some(who))} ({_count(len(named), 'clip', 'clips')}, {_names(named)}). They may be one "
            f"person under two codes: keep them on one side of every split, or leave the clips out.",
        )


def _group_finding(
    kind: str, groups: Sequence[Sequence[int]], how: str, files: Sequence[str], clips: pd.DataFrame
) -> Finding:
    labels = clips[catalogue.EMOTION].to_numpy()
    named = [files[index] for group in groups for index in group]
    contradictory = [group for group in groups if len(set(labels[group])) > 1]
    removable = [files[index] for group in groups for index in (group if group in contradictory else group[1:])]
    which = "; ".join(_some([" = ".join(Path(files[index]).name for index in group) for group in groups]))
    clash = f" {_count(len(contradictory), 'group has', 'groups have')} different labels." if contradictory else ""
    advice = "Leave out all but the first of each group" + (
        ", and all of a group with different labels." if clash else "."
    )
    message = f"{len(named)} clips {how}: {which}.{clash} {advice}"
    return Finding(kind, len(named), tuple(named), message, tuple(removable))


def _near_identical(candidates: Sequence[int], looks: Sequence[_ClipCheck]) -> list[list[int]]:
    """Return groups of clips with equal numbers of samples whose log-mel spectrograms correlate by more than NEAR_IDENTICAL."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    lengths: dict[int, list[int]] = {}
    spectra: dict[int, np.ndarray] = {}
    for index in candidates:
        look = looks[index]
        if look.log_mel is not None and look.quality and look.quality.level_dbfs >= quality.MIN_LEVEL_DBFS:
            lengths.setdefault(look.n_samples, []).append(index)
            spectra[index] = look.log_mel
    groups = []
    for members in lengths.values():
        if len(members) < 2:
            continue
        rows = np.stack([spectra[index] for index in members]).reshape(len(members), -1).astype(np.float32)
        rows -= rows.mean(axis=1, keepdims=True)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True) + 1e-9
        alike = [
            np.nonzero(rows[start : start + _BLOCK] @ rows.T > NEAR_IDENTICAL) for start in range(0, len(rows), _BLOCK)
        ]
        first = np.concatenate(
            [block + start for start, (block, _) in zip(range(0, len(rows), _BLOCK), alike, strict=True)]
        )
        second = np.concatenate([block for _, block in alike])
        graph = coo_array((np.ones(len(first), bool), (first, second)), shape=(len(rows), len(rows)))
        _, component = connected_components(graph, directed=False)
        for each in np.flatnonzero(np.bincount(component) > 1):
            groups.append([members[at] for at in np.flatnonzero(component == each)])
    return sorted(groups)


def _finding(
    kind: str, n: int, files: Sequence[str], message: str, *, removable: Sequence[str] | None = None
) -> Finding:
    return Finding(kind, n, tuple(files), message, tuple(files if removable is None else removable))


def _relative(path: str, root: str) -> str:
    return Path(os.path.relpath(path, root)).as_posix()


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:  # a broken link
        return -1


def _all_relative(paths: Sequence[str], root: str) -> list[str]:
    return [_relative(path, root) for path in paths]


def _count(n: int, one: str, many: str) -> str:
    return f"{n} {one if n == 1 else many}"


def _some(texts: Sequence[str], limit: int = _NAMED) -> list[str]:
    """Return the first few texts, and how many more there are."""
    return [*texts[:limit], *([f"and {len(texts) - limit} more"] if len(texts) > limit else [])]


def _list(texts: Sequence[str]) -> str:
    return ", ".join(_some(texts))


def _names(paths: Sequence[str]) -> str:
    return _list([Path(path).name for path in paths])
