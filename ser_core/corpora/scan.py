"""Facts about speech corpora, and the clips table of a folder that holds one.

A corpus is a row of CORPORA; `scan` reads them all. Recordings without a row are read from folders named after labels, or from a
table. Names of files are read here, and sound only where two names differ by their ending or capitals alone (twins.py). Who is in
which split is dataset/splits.py's business, downloading a corpus download.py's.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from ser_core.audio import formats
from ser_core.corpora import catalogue, speakers, tables, twins
from ser_core.errors import CorpusError
from ser_core.system import untrusted_csv, untrusted_text

MAX_TEXT = 300
"""Longest speaker, sentence or name from a table or a file's path, in characters; each is one line (untrusted_text)."""


SPEAKER_FIRST = r"(?P<speaker>[^/_-]+)[_-][^/]*$"
"""A speaker pattern of `inspect_folders`, for files whose names begin with the speaker: it finds anna in pleasant_surprise/anna_01.wav."""


def scan(name: str, folder: str | os.PathLike[str]) -> pd.DataFrame:
    """Return the clips table of a corpus: one row per clip, sorted by name; all columns are text.

    Parameters
    ----------
    name : a key of CORPORA.
    folder : where the corpus lies; sub-folders are read too. Files that are not named like a clip are skipped, and of
        clips that occur twice (archives with a nested second copy) the one nearest to `folder` is taken.

    Returns
    -------
    Table with the columns COLUMNS: path (absolute), corpus (its key), speaker (unique over all corpora: "ravdess:01"), emotion
    (one of ALL_LABELS), sentence (its code), sex ("female", "male" or ""), intensity ("normal", "strong", "low" … or ""), name (the
    base name without its ending; a clip that lies in a folder of its speaker as "DC/a01.wav" is called "DC_a01").

    Raises
    ------
    CorpusError : for an unknown corpus, a missing folder, or one without any clip. A part of a corpus is not an error.
    """
    spec = catalogue.known(name)
    if not Path(folder).is_dir():
        raise CorpusError(f"{spec.title} folder '{folder}' does not exist. Point to {spec.place}.")
    clips = _table(_rows(name, spec, Path(os.path.abspath(folder))))
    if clips.empty:
        raise CorpusError(
            f"{spec.title} folder '{folder}' has 0 clips named like '{spec.example}'. Point to {spec.place}."
        )
    return clips


def speaker_of(name: str, stem: str) -> str | None:
    """Return the speaker ("ravdess:01") of a clip with this base name in a known corpus; None if it has no such clips."""
    spec = catalogue.known(name)
    facts = _read_name(spec, stem)
    return f"{spec.speakers_of or name}:{facts[catalogue.SPEAKER]}" if facts else None


def label_of(text: str) -> str | None:
    """Return the canonical label that a word stands for ("Happiness" -> "happy"), or None if it is not in SYNONYMS."""
    return catalogue.SYNONYMS.get(re.sub(r"[\s_-]+", "_", text.strip()).casefold())


def is_sound(name: str) -> bool:
    """Return whether a file is named like a recording, and is neither hidden nor an extra file of macOS."""
    return name.lower().endswith(formats.ENDINGS) and not re.split(r"[/\\]", name)[-1].startswith(".")


def label_in_name(path: str) -> tuple[str, str] | None:
    """Return (corpus, label) of a file that is named like a clip of a known corpus; None where it is not, or corpora disagree.

    path : untrusted, with "/" or "\\". Only its last two parts count, and they need not exist.
    """
    *folders, file = re.split(r"[/\\]", path)
    stem = os.path.splitext(file)[0]
    found: dict[str, str] = {}
    for name, spec in catalogue.CORPORA.items():
        facts = _read_name(spec, stem)
        if facts is None and spec.speaker_folders and folders:
            facts = _read_name(spec, f"{folders[-1]}_{stem}")
        if facts:
            found[name] = facts[catalogue.EMOTION]
    return next(iter(found.items())) if len(set(found.values())) == 1 else None


@dataclass(frozen=True)
class Reading:
    """The clips of a corpus without published facts, and what had to be decided about them.

    clips: as from `scan`. stated: the speaker of each clip as it was spelt, untrusted. two_labels: path of a file, absolute -> the labels
    that its folders name, where those contradict; one that is not among the clips has none that counts.
    is_moved: the table's paths are of another folder or spelling than its files.
    """

    clips: pd.DataFrame
    stated: tuple[str, ...]
    two_labels: dict[str, tuple[str, ...]] = field(default_factory=dict)
    is_moved: bool = False


def read_folders(folder: str | os.PathLike[str], *, corpus: str, speaker_pattern: str = "") -> pd.DataFrame:
    """Return the clips table of `inspect_folders`."""
    return inspect_folders(folder, corpus=corpus, speaker_pattern=speaker_pattern).clips


def inspect_folders(folder: str | os.PathLike[str], *, corpus: str, speaker_pattern: str = "") -> Reading:
    """Return the clips of a folder with sub-folders named after labels, such as happy/ and Sadness/, at any depth.

    Parameters
    ----------
    folder : a clip's label is that of `folder_labels`; clips without one are skipped. Recordings whose paths differ by their ending or
        by capitals alone are two clips, unless their sound is the same.
    corpus : what the table calls this corpus; no key of CORPORA.
    speaker_pattern : regular expression with a group `speaker`, searched in a clip's path below `folder` ("happy/anna_01.wav").
        The folders of labels do not give the speaker, and a guess would let one voice into training and test. Without a pattern,
        and where it does not match, the speaker is UNKNOWN_SPEAKER.

    In the table, sentence, sex and intensity are ""; the name is the path below `folder` without its ending.

    Raises
    ------
    CorpusError : for a missing folder, one without labelled clips, a corpus name or a pattern that cannot be used.
    """
    _check_own_name(corpus)
    find_speaker = _speaker_finder(speaker_pattern)
    top = Path(os.path.abspath(folder))
    if not top.is_dir():
        raise CorpusError(
            f"Folder '{folder}' does not exist. Point to one with sub-folders named after labels: {', '.join(catalogue.ALL_LABELS)}."
        )
    files = sorted(sounds_below(top), key=lambda file: (file.casefold(), file))
    labels, two_labels = folder_labels(files)
    unclear = {file: found for file, found in two_labels.items() if file not in labels}
    files = [file for file in files if labels.get(file)]
    copies = twins.copies([str(top / file) for file in files])
    files = [file for file in files if str(top / file) not in copies]
    for file in files:
        _check_readable(str(top / file))
    if not files:
        raise CorpusError(
            f"Folder '{folder}' has 0 clips in sub-folders named after labels.{_contradiction(unclear)} Name the sub-folders "
            f"{', '.join(catalogue.ALL_LABELS)}, and put recordings into them."
        )
    stated = tuple(find_speaker(file) for file in files)
    rows = [
        _own_row(str(top / file), corpus, labels[file], speaker, name=_line(name))
        for file, speaker, name in zip(files, speakers.joined(stated, longest=MAX_TEXT), _names(files), strict=True)
    ]
    clips = pd.DataFrame(rows, columns=list(catalogue.COLUMNS))
    return Reading(clips, stated, {str(top / file): found for file, found in two_labels.items()})


def _contradiction(unclear: Mapping[str, Sequence[str]]) -> str:
    if not unclear:
        return ""
    example, labels = next(iter(unclear.items()))
    shown = untrusted_text.one_line(example)
    return f" The folders of {len(unclear)} name no label, or two: {shown} could be {' or '.join(labels)}."


def sounds_below(top: str | os.PathLike[str]) -> Iterator[str]:
    """Yield the files below a folder that are named like recordings, as paths relative to it with "/"."""
    for parent, _, files in os.walk(top):
        for file in files:
            if is_sound(file):
                yield Path(os.path.relpath(os.path.join(parent, file), top)).as_posix()


def folder_labels(files: Iterable[str]) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """Return the labels that folders give to the files in them, and what folders contradict each other.

    A speaker may be called Joy, so where the folders of a path name several labels, that level counts at which the names of all the
    labelled files are labels, counted from the top or from the file. Where there is no such level, or several disagree, the file has no
    label.

    Parameters
    ----------
    files : paths of all files of one corpus or upload, with "/", relative to its folder.

    Returns
    -------
    file -> its label, for those that have one; file -> the labels that its folders name, where that needed a decision or found none.
    """
    levels_of = {file: [label_of(folder) for folder in file.split("/")[:-1]] for file in files}
    labels_of = {file: tuple(dict.fromkeys(filter(None, levels))) for file, levels in levels_of.items()}
    found = {file: labels[0] for file, labels in labels_of.items() if len(labels) == 1}
    unclear = {file: labels for file, labels in labels_of.items() if len(labels) > 1}
    if unclear:
        tops = {file.split("/")[0] for file, labels in labels_of.items() if labels}
        named = {file: levels for file, levels in levels_of.items() if levels and file.split("/")[0] in tops}
        deepest = min(map(len, named.values()))
        full = [at for at in range(-deepest, deepest) if all(levels[at] for levels in named.values())]
        for file in unclear:
            said = {label for at in full if (label := levels_of[file][at])}
            if len(said) == 1:
                found[file] = said.pop()
        if not full:
            # One label alone may be a speaker's name too: thrilled/Joy beside angry/Joy is not happy. The level with most labels is kept.
            share = {
                at: _share_of_labels(named, at) for file in unclear for at, label in enumerate(levels_of[file]) if label
            }
            best = [at for at in share if share[at] == max(share.values())]
            for file, label in list(found.items()):
                at = levels_of[file].index(label)
                if at in share and best != [at]:
                    unclear[file] = (found.pop(file),)
    return found, unclear


def _share_of_labels(named: Mapping[str, Sequence[str | None]], level: int) -> float:
    names = {file.split("/")[level]: levels[level] for file, levels in named.items() if len(levels) > level}
    return sum(map(bool, names.values())) / len(names)


def read_table(file: str | os.PathLike[str], *, corpus: str, inside: bool = False) -> pd.DataFrame:
    """Return the clips table of `inspect_table`."""
    return inspect_table(file, corpus=corpus, inside=inside).clips


def inspect_table(file: str | os.PathLike[str], *, corpus: str, inside: bool = False) -> Reading:
    """Return the clips that a CSV or Parquet file lists.

    Parameters
    ----------
    file : a table with the columns path (file, filename), label (emotion) and speaker; sentence, sex, intensity and name are taken if
        they are there. Labels may be any of SYNONYMS. A clip may leave its speaker empty. Paths are absolute, or relative to the
        nearest folder in which all are found: the table's own, one above, or one below; see tables.locate.
    corpus : what the table calls this corpus; no key of CORPORA.
    inside : take only files below the table's folder, for an untrusted table.

    Raises
    ------
    CorpusError : for a file that cannot be read, lacks a column, names an unknown label, lists a file that does not exist, one that may be
        any of several, or one twice.
    """
    _check_own_name(corpus)
    if inside and not _is_csv(Path(file)):
        raise CorpusError(
            f"Table '{Path(file).name}' is Parquet, which may grow to any size when it is read. Save it as CSV."
        )
    given = _read_any(Path(file))
    given.columns = [str(column).strip().casefold() for column in given.columns]
    given = given.loc[:, ~given.columns.duplicated()]
    wanted = {
        catalogue.PATH: tables.FILE_COLUMNS,
        catalogue.EMOTION: tables.LABEL_COLUMNS,
        catalogue.SPEAKER: ("speaker",),
    }
    meant = {column: tables.column(given.columns, words) for column, words in wanted.items()}
    missing = [column for column, there in meant.items() if there is None]
    if missing:
        raise CorpusError(
            f"Table '{file}' has no column {' and no column '.join(missing).replace(catalogue.EMOTION, 'label')}. "
            "It needs path, label and speaker; leave the speaker empty where it is unknown."
        )
    given = given.drop(columns=[column for column in meant if column in given.columns and meant[column] != column])
    given = given.rename(columns={there: column for column, there in meant.items()})
    if given.empty:
        raise CorpusError(f"Table '{file}' lists 0 clips. It needs one row per clip: path, label and speaker.")
    text = (
        given.reindex(columns=list(catalogue.COLUMNS))
        .astype(object)
        .where(lambda cells: cells.notna(), "")
        .map(lambda cell: str(cell).strip())
    )
    labels = text[catalogue.EMOTION].map(label_of)
    if labels.isna().any():
        unknown = [
            untrusted_text.one_line(word, 40) for word in sorted(set(text.loc[labels.isna(), catalogue.EMOTION]))[:6]
        ]
        raise CorpusError(
            f"Table '{file}' has labels that are not known: {', '.join(map(repr, unknown[:5]))}{' …' if unknown[5:] else ''}. "
            f"Use {', '.join(catalogue.ALL_LABELS)}, or leave those clips out."
        )
    if text[catalogue.PATH].str.contains("\0", regex=False).any():
        raise CorpusError(f"Table '{file}' lists a file whose name holds a null character. Write the table again.")
    top = Path(os.path.abspath(file)).parent
    paths, is_moved = _listed(file, top, list(text[catalogue.PATH]), inside=inside)
    if len(set(paths)) < len(paths):
        twice, _ = Counter(paths).most_common(1)[0]
        raise CorpusError(
            f"Table '{file}' lists '{twice}' more than once. Keep one row per clip; a copy could be trained on and tested."
        )
    names = _names([path.replace("\\", "/") for path in text[catalogue.PATH]])
    stated = [
        str(speaker) for speaker in given[catalogue.SPEAKER].astype(object).where(given[catalogue.SPEAKER].notna(), "")
    ]
    rows = [
        {
            **_own_row(path, corpus, label, speaker, name=_line(row[catalogue.NAME] or name)),
            **{column: _line(row[column]) for column in (catalogue.SENTENCE, catalogue.SEX, catalogue.INTENSITY)},
        }
        for path, label, speaker, name, row in zip(
            paths, labels, speakers.joined(stated, longest=MAX_TEXT), names, text.to_dict("records"), strict=True
        )
    ]
    clips = pd.DataFrame(rows, columns=list(catalogue.COLUMNS)).sort_values(catalogue.NAME, kind="stable")
    return Reading(clips.reset_index(drop=True), tuple(stated[at] for at in clips.index), is_moved=is_moved)


def _listed(table: str | os.PathLike[str], top: Path, given: Sequence[str], *, inside: bool) -> tuple[list[str], bool]:
    """Return the files that the rows of a table mean, as absolute paths, and whether they are other paths from the table's folder."""

    def is_there(row: str, folder: Path) -> bool:
        path = os.path.abspath(folder / row)
        return bool(row) and os.path.isfile(path) and (not inside or _is_below(path, top))

    for folder in (top,) if inside else (top, *top.parents):
        if all(is_there(row, folder) for row in given):
            return [os.path.abspath(folder / row) for row in given], folder != top
    paths = [os.path.abspath(top / row) for row in given]
    absent = [at for at, row in enumerate(given) if not is_there(row, top)]
    files = sorted(sounds_below(top))
    for at, found in zip(absent, tables.locate([given[at] for at in absent], files), strict=True):
        if len(found) > 1:
            row = untrusted_text.one_line(given[at])
            which = " or ".join(f"'{untrusted_text.one_line(files[each])}'" for each in found[:2])
            raise CorpusError(
                f"Table '{table}' lists '{row}', which may be {which}. Give its path from the folder of the table."
            )
        if found:
            paths[at] = str(top / files[found[0]])
    if inside and not all(_is_below(path, top) for path in paths):
        raise CorpusError(
            f"Table '{Path(table).name}' lists recordings outside its own folder. Give paths relative to the table."
        )
    lost = [path for path, row in zip(paths, given, strict=True) if not row or not os.path.isfile(path)]
    if lost:
        raise CorpusError(
            f"Table '{table}' lists {len(lost)} file{'s' * (len(lost) != 1)} that {'do' if lost[1:] else 'does'} not exist, "
            f"such as '{lost[0]}'. Paths are absolute, or relative to the table's folder '{top}'."
        )
    return paths, True


def _is_below(path: str, top: Path) -> bool:
    return Path(path).resolve().is_relative_to(top.resolve())


def _names(files: Sequence[str]) -> list[str]:
    """Return the names of the clips of a corpus: their paths without endings, but of those that would be alike, with."""
    bare = [os.path.splitext(file)[0] for file in files]
    n = Counter(bare)
    return [file if n[name] > 1 else name for file, name in zip(files, bare, strict=True)]


def installed(root: str | os.PathLike[str]) -> dict[str, Path]:
    """Return the corpora that lie under `root` in a separate folder (root/ravdess …) with at least one clip: key -> folder."""
    folders = {name: Path(root) / name for name in catalogue.CORPORA}
    return {
        name: folder for name, folder in folders.items() if next(_rows(name, catalogue.CORPORA[name], folder), None)
    }


def looks_like(folder: str | os.PathLike[str]) -> tuple[str, ...]:
    """Return the corpora of CORPORA of which a folder holds at least one clip, in their order."""
    return tuple(name for name, spec in catalogue.CORPORA.items() if next(_rows(name, spec, Path(folder)), None))


def _check_readable(path: str) -> None:
    """Raise CorpusError for a path whose bytes are not text: no table, and no export of one, could hold it."""
    if not path.isprintable() and any("\udc80" <= letter <= "\udcff" for letter in path):
        readable = path.encode(errors="surrogateescape").decode(errors="replace")
        raise CorpusError(
            f"The name of '{readable}' holds characters that cannot be read (it is not UTF-8). Rename it and try again."
        )


def _table(rows: Iterable[dict[str, str]]) -> pd.DataFrame:
    """Return rows as a table sorted by name; of rows of one name, the one nearest to the top and with the best ending."""
    copies: dict[str, list[tuple[tuple[int, int, str], dict[str, str]]]] = {}
    for row in rows:
        _check_readable(row[catalogue.PATH])
        path = Path(row[catalogue.PATH])
        rank = (len(path.parts), formats.ENDINGS.index(path.suffix.lower()), row[catalogue.PATH])
        copies.setdefault(row[catalogue.NAME].casefold(), []).append((rank, row))
    best = [min(copies[key], key=lambda copy: copy[0])[1] for key in sorted(copies)]
    return pd.DataFrame(best, columns=list(catalogue.COLUMNS))


def _own_row(path: str, corpus: str, label: str, speaker: str, *, name: str) -> dict[str, str]:
    return {
        catalogue.PATH: path,
        catalogue.CORPUS: corpus,
        catalogue.SPEAKER: f"{corpus}:{speaker}" if speaker else catalogue.UNKNOWN_SPEAKER,
        catalogue.EMOTION: label,
        catalogue.SENTENCE: "",
        catalogue.SEX: "",
        catalogue.INTENSITY: "",
        catalogue.NAME: name,
    }


def _line(text: str) -> str:
    return untrusted_text.one_line(text, MAX_TEXT)


def is_own_name(corpus: str) -> bool:
    """Return whether recordings without a row may have this name: letters, digits, - and _, and no key of CORPORA."""
    return corpus not in catalogue.CORPORA and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", corpus) is not None


def _check_own_name(corpus: str) -> None:
    if not is_own_name(corpus):
        raise CorpusError(
            f"User-recorded corpora cannot be called '{corpus}'. "
            f"Use letters, digits, - and _, and none of {', '.join(catalogue.CORPORA)}."
        )


def _speaker_finder(pattern: str) -> Callable[[str], str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise CorpusError(f"The speaker pattern '{pattern}' is not a regular expression: {error}.") from None
    if pattern and "speaker" not in compiled.groupindex:
        raise CorpusError(
            f"The speaker pattern '{pattern}' has no group named speaker. Write it like '{SPEAKER_FIRST}'."
        )

    def find(path: str) -> str:
        match = compiled.search(path) if pattern else None
        return (match["speaker"] or "") if match else ""

    return find


def _is_csv(file: Path) -> bool:
    return file.suffix.lower() not in (".parquet", ".pq")


def _read_any(file: Path) -> pd.DataFrame:
    try:
        if not _is_csv(file):
            return _read_parquet(file)
        with file.open("rb") as opened:
            return untrusted_csv.read(opened.read(untrusted_csv.MAX_BYTES + 1))
    except FileNotFoundError:
        raise CorpusError(
            f"Table '{file}' does not exist. Point to a CSV or Parquet file with path, label and speaker."
        ) from None
    except (OSError, ValueError) as error:
        raise CorpusError(
            f"Table '{file}' cannot be read ({error}). It must be CSV or Parquet, with path, label and speaker."
        ) from None


def _read_parquet(file: Path) -> pd.DataFrame:
    """Return a table as Python objects, so that invalid text is found here; every failure is an OSError or a ValueError."""
    try:
        return pd.read_parquet(file).astype(object)
    except (OSError, ValueError):
        raise
    except Exception as error:  # most of Arrow's errors are ValueErrors, but not all
        raise ValueError(str(error)) from error


def _rows(name: str, spec: catalogue.CorpusSpec, folder: Path) -> Iterator[dict[str, str]]:
    """Yield one row of the clips table for each file below `folder` that is named like a clip, copies included."""
    for parent, _, files in os.walk(folder):
        for file in files:
            stem, ending = os.path.splitext(file)
            if ending.lower() not in formats.ENDINGS:
                continue
            facts = _read_name(spec, stem)
            if facts is None and spec.speaker_folders:
                stem = f"{os.path.basename(parent)}_{stem}"
                facts = _read_name(spec, stem)
            if facts:
                speaker = facts[catalogue.SPEAKER]
                yield {
                    **facts,
                    catalogue.PATH: os.path.join(parent, file),
                    catalogue.CORPUS: name,
                    catalogue.SPEAKER: f"{spec.speakers_of or name}:{speaker}",
                    catalogue.SEX: spec.speakers[speaker],
                    catalogue.NAME: stem,
                }


def _read_name(spec: catalogue.CorpusSpec, stem: str) -> dict[str, str] | None:
    """Return the facts in a base name (speaker code, emotion, sentence, intensity); None if it is not a clip of this corpus."""
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
    sentence = _code(groups.get("sentence", ""), spec.sentences)
    return {
        catalogue.SPEAKER: speaker,
        catalogue.EMOTION: spec.labels[emotion],
        catalogue.SENTENCE: spec.same_sentences.get(sentence, sentence),
        catalogue.INTENSITY: spec.intensities.get(intensity, ""),
    }


def _code(found: str, table: Mapping[str, str]) -> str:
    """Return a code as `table` spells it, ignoring its case in the file's name; in lower case if the table lacks it."""
    return next((code for code in table if code.casefold() == found.casefold()), found.lower())
