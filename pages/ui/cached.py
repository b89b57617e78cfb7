"""ser_core's functions behind Streamlit's caches, so that a rerun computes nothing twice. Nothing is decided here.

Clips are keyed by the digest of their bytes, models by what their card says of its weights: a model that is trained anew,
added or removed shows at the next rerun. Cached values are shared between visitors and never changed.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import hashlib
import json
import os
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from pages.ui import state
from ser_core import analysis, audio, beside, corpora, library, plans, protocol_table, recognizer, segments, store
from ser_core.errors import SerError
from ser_core.run_config import RunConfig
from ser_core.spool import Spool

SAMPLES = Path(__file__).resolve().parents[1] / "samples"


SHORT = 3 * 2**20
"""Bytes that a short clip has at most: eight seconds of 48 kHz stereo in 32 bits have as many."""

LISTENING = "Listening to the clip …"

_READING = beside.Line()
"""Long recordings are read through in the server, one at a time: two at once would hold up its pages."""

PLAYABLE = {"MP3": "audio/mpeg", "FLAC": "audio/flac", "MP4": "audio/mp4"}
"""Containers that Chrome, Firefox and Safari all play; a WAV of unknown origin may hold codecs that they do not."""

UNKNOWN_SPEAKER = "not stated"
"""What people read where nobody said who speaks."""


def hear(given: state.Given) -> analysis.Analysis:
    """Return a clip decoded, measured with the default settings and judged; raises a SerError where that cannot be."""
    return hear_short(given) or _hear_long(given.digest, given)


def hear_short(given: state.Given) -> analysis.Analysis | None:
    """Return what `hear` does of a short clip (see `is_short`); None of one that says, or shows, that it is longer."""
    state.announce()
    return _hear_short(given.digest, given)


@st.cache_resource(scope="session", max_entries=4, show_spinner=False)
def _hear_short(digest: str, _given: state.Given) -> analysis.Analysis | None:
    return analyse_short(_given.data, _given.name)


@st.cache_resource(scope="session", max_entries=4, show_spinner=LISTENING)
def _hear_long(digest: str, _given: state.Given) -> analysis.Analysis:
    return analyse_long(_given.data, _given.name)


def analyse(data: bytes | Spool, name: str) -> analysis.Analysis:
    """Return what `hear` does of a clip that no page keeps."""
    return analyse_short(data, name) or analyse_long(data, name)


def analyse_short(data: bytes | Spool, name: str) -> analysis.Analysis | None:
    """Return what `hear_short` does of a clip that no page keeps."""
    if is_short(data):
        with contextlib.suppress(audio.TooLongError):  # it says less than it holds
            return beside.run(analysis.analyse, data, name=name, max_duration_s=segments.LONG_S)
    return None


def analyse_long(data: bytes | Spool, name: str) -> analysis.Analysis:
    """Return what `analyse` does, where nobody's short clip waits for it: of a recording of up to ten minutes."""
    with beside.long_work():
        return beside.run(analysis.analyse, data.read() if isinstance(data, Spool) else data, name=name)


def stream(given: state.Given) -> audio.Stream:
    """Return a clip of up to an hour, ready to be read in pieces; raises a SerError where that cannot be."""
    state.announce()
    return _stream(given.digest, given)


@st.cache_resource(scope="session", max_entries=4, show_spinner=LISTENING)
def _stream(digest: str, _given: state.Given) -> audio.Stream:
    with _READING.turn():
        return audio.stream(_given.data, max_duration_s=segments.MAX_DURATION_S, name=_given.name)


def is_short(data: bytes | Spool) -> bool:
    """Whether a clip is one utterance (segments.LONG_S) by what it says of itself, or does not say, and has no more bytes than that may.

    It is measured whole in the process beside, where everybody's clips take turns; of one that is longer after all, no more is read there.
    """
    if isinstance(data, Spool) or len(data) > SHORT:
        return False
    try:
        duration_s = audio.declared_duration(data)
    except SerError:  # the process beside says why
        return True
    return duration_s is None or duration_s <= segments.LONG_S


@dataclass(frozen=True)
class Answer:
    """What one model says of a clip, or the sentence why it cannot."""

    card: store.ModelCard
    prediction: recognizer.Prediction | None
    problem: str = ""


def protocol_cells() -> tuple[protocol_table.Cell, ...]:
    """Return the table over protocols that comes with the project, read again only when the file has changed."""
    path = protocol_table.RESULTS
    return _protocol_cells(path, path.stat().st_mtime_ns if path.exists() else 0)


@st.cache_resource(max_entries=2, show_spinner=False)
def _protocol_cells(path: Path, changed_ns: int) -> tuple[protocol_table.Cell, ...]:
    return protocol_table.read(path)


def answers(given: state.Given, cards: list[store.ModelCard]) -> list[Answer]:
    """Return one answer a card, in the order of the cards; none where there is no speech."""
    heard = hear(given)
    if not cards or not heard.quality.has_speech:
        return []
    try:
        said = _asked(given.digest, _slugs_and_keys(cards), heard, cards)
        if silent := [
            card for card, answer in zip(cards, said, strict=True) if isinstance(answer, str)
        ]:  # mended meanwhile, perhaps
            again = dict(zip([card.slug for card in silent], _ask(heard, silent), strict=True))
            said = [again.get(card.slug, answer) for card, answer in zip(cards, said, strict=True)]
    except SerError as error:
        return [Answer(card, None, str(error)) for card in cards]
    return [
        Answer(card, None, each) if isinstance(each, str) else Answer(card, each)
        for card, each in zip(cards, said, strict=True)
    ]


@st.cache_data(scope="session", max_entries=16, show_spinner=False)
def _asked(
    digest: str, asked: tuple[tuple[str, str], ...], _heard: analysis.Analysis, _cards: Sequence[store.ModelCard]
) -> list[recognizer.Prediction | str]:
    return _ask(_heard, _cards)


def ask(heard: analysis.Analysis, cards: Sequence[store.ModelCard]) -> list[recognizer.Prediction | str]:
    """Return what models say of a clip that no page keeps, speech or not: of each a prediction, or the sentence why it has none."""
    return _ask(heard, cards)


def _ask(heard: analysis.Analysis, cards: Sequence[store.ModelCard]) -> list[recognizer.Prediction | str]:
    ours, foreign = _by_origin(cards)
    said = beside.run(beside.ask, heard, _slugs_and_keys(ours), store.MODELS) if ours else []
    said += beside.ask(heard, _slugs_and_keys(foreign), store.MODELS)
    answers = dict(zip([card.slug for card in (*ours, *foreign)], said, strict=True))
    return [answers[card.slug] for card in cards]


def judge(cards: Sequence[store.ModelCard]) -> segments.Judge:
    """Return what looks at the windows of a long sound, and asks these models about them."""
    return functools.partial(_judge, tuple(cards))


def _judge(
    cards: Sequence[store.ModelCard], waveform: audio.Waveform
) -> tuple[analysis.Analysis, list[recognizer.Prediction]]:
    ours, foreign = _by_origin(cards)
    measured, said = beside.run(beside.judge, _slugs_and_keys(ours), store.MODELS, waveform)
    if foreign and measured.quality.has_speech:
        more = beside.ask(measured, _slugs_and_keys(foreign), store.MODELS)
        said += [each for each in more if isinstance(each, recognizer.Prediction)]
    order = [card.slug for card in cards]
    return measured, sorted(said, key=lambda each: order.index(each.model))


def _by_origin(cards: Sequence[store.ModelCard]) -> tuple[list[store.ModelCard], list[store.ModelCard]]:
    """Return the models of this machine, and those from elsewhere: each of these answers from a process of its own (ser_core/sandbox.py).

    They are not asked through the process beside: whoever did not choose them must not wait for them.
    """
    return [card for card in cards if not card.imported], [card for card in cards if card.imported]


def predictions(answers: list[Answer]) -> list[recognizer.Prediction]:
    """Return the predictions among the answers."""
    return [answer.prediction for answer in answers if answer.prediction]


@functools.cache
def warm_up() -> threading.Thread:
    """Load in the background what the first clip will need, while its visitor still reads; once a server. Who cannot wait then, joins."""
    thread = threading.Thread(target=_warm_up, daemon=True)
    thread.start()
    return thread


def _warm_up() -> None:
    quiet = audio.Waveform(np.zeros(audio.SAMPLE_RATE, dtype=np.float32), audio.SAMPLE_RATE)
    with contextlib.suppress(SerError, OSError):  # the page tells at the first clip
        ask(analyse(audio.encode_wav(quiet), "silence"), _by_origin(models()[0])[0])
    # What is loaded now stays: later collections need not look at it, which takes them a tenth of the time.
    gc.collect()
    gc.freeze()


def _model_key(card: store.ModelCard) -> str:
    """Return what tells this model, as trained, from every other."""
    return f"{store.MODELS}/{card.slug} {card.created} {card.threshold} {sorted(card.files.items())}"


def _slugs_and_keys(cards: Sequence[store.ModelCard]) -> tuple[tuple[str, str], ...]:
    return tuple((card.slug, _model_key(card)) for card in cards)


def models() -> tuple[list[store.ModelCard], list[str]]:
    """Return the cards of the models folder and what is wrong with the others; looked at in each rerun, read where a card changed."""
    cards, problems = _models(store.MODELS, _state_of_cards(store.MODELS))
    return list(cards), list(problems)


@st.cache_resource(max_entries=4, show_spinner=False)
def _models(folder: Path, state_of_cards: tuple[tuple[str, int, int], ...]) -> tuple[list[store.ModelCard], list[str]]:
    return store.list_models(folder)


def _state_of_cards(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Return name, time and size of each model's card, 0 where there is none: a class trains many, and a card has 20 KB."""
    found = []
    for entry in os.scandir(folder) if folder.is_dir() else ():
        try:
            facts = os.stat(os.path.join(entry.path, store.CARD))
        except OSError:
            found.append((entry.name, 0, 0))
        else:
            found.append((entry.name, facts.st_mtime_ns, facts.st_size))
    return tuple(sorted(found))


def model_titles(cards: Sequence[store.ModelCard]) -> dict[str, str]:
    """Return what to call each model, by slug: its title, with the slug where two have the same."""
    counts = Counter(card.title for card in cards)
    return {card.slug: card.title if counts[card.title] == 1 else f"{card.title} ({card.slug})" for card in cards}


def model_keys(cards: Sequence[store.ModelCard]) -> str:
    """Return what tells these models, as trained, from any others."""
    return " ".join(_model_key(card) for card in cards)


def playable(given: state.Given, heard: analysis.Analysis) -> tuple[bytes, str]:
    """Return bytes that every browser plays, and their type: the original where it is such a file, else what the models hear."""
    if isinstance(given.data, bytes) and given.source == state.RECORDING:
        return given.data, "audio/wav"
    if isinstance(given.data, bytes) and heard.clip.container in PLAYABLE:
        return given.data, PLAYABLE[heard.clip.container]
    return _wav(given.digest, heard), "audio/wav"


@st.cache_data(scope="session", max_entries=4, show_spinner=False)
def _wav(digest: str, _heard: analysis.Analysis) -> bytes:
    return audio.encode_wav(_heard.clip.waveform)


def corpora_root() -> Path:
    """Return the folder that holds the installed corpora: SER_CORPORA, else corpora/ where the server was started."""
    return library.root()


@st.cache_data(ttl=10, show_spinner=False)
def rows(root: Path) -> dict[str, library.Installed]:
    """Return the corpora found under root, with their titles and kinds."""
    return library.installed(root)


@st.cache_data(ttl=10, show_spinner=False)
def installed(root: Path) -> dict[str, Path]:
    """Return the corpora found under root: name -> folder."""
    return {name: row.folder for name, row in library.installed(root).items()}


@st.cache_data(ttl=10, show_spinner=False)
def unrecognised(root: Path) -> tuple[library.Found, ...]:
    """Return the folders under root that hold a corpus under another name than its own."""
    return library.unrecognised(root)


def look_again() -> None:
    """Forget which corpora there were, and the state of their files: something was installed, written or removed."""
    rows.clear()
    installed.clear()
    unrecognised.clear()
    fingerprint.clear()


def corpus_title(name: str) -> str:
    """Return a corpus's title, such as 'RAVDESS'. A corpus without a row in CORPORA has the title that somebody typed."""
    row = rows(corpora_root()).get(name)
    return row.title if row else corpora.CORPORA[name].title if name in corpora.CORPORA else name


@st.cache_data(ttl=5, max_entries=32, show_spinner=False)
def fingerprint(folder: Path) -> str:
    """Return a digest of the names, sizes and times of a folder's files: it changes as soon as one of them does."""
    digest = hashlib.sha256()
    for parent, folders, files in os.walk(folder):
        folders.sort()
        for file in sorted(files):
            path = os.path.join(parent, file)
            with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                facts = os.lstat(path)
                digest.update(f"{path}\0{facts.st_size} {facts.st_mtime_ns}\0".encode(errors="surrogateescape"))
    return digest.hexdigest()


def clips(name: str, folder: Path) -> pd.DataFrame:
    """Return the clips table of an installed corpus without what was left out, read again only when one of them has changed.

    Raises CorpusError where the corpus cannot be read, or all of it was left out.
    """
    return _clips(name, folder, fingerprint(folder), tuple(sorted(left_out(name, folder).items())))


def clips_of_all(folders: dict[str, Path]) -> pd.DataFrame:
    """Return the clips tables of some corpora (name -> folder) as one."""
    return pd.concat([clips(name, folder) for name, folder in folders.items()], ignore_index=True)


@st.cache_data(max_entries=16, show_spinner="Reading the corpus …")
def _clips(
    name: str, folder: Path, fingerprint: str, left_out: tuple[tuple[str, tuple[str, ...]], ...]
) -> pd.DataFrame:
    return library.clips(folder.parent, [name])


def left_out(name: str, folder: Path) -> dict[str, tuple[str, ...]]:
    """Return the clips of an installed corpus that are not to be used: reason -> paths below its folder."""
    return library.left_out(folder.parent, name)


def plan(folders: dict[str, Path], config: RunConfig, rates: dict[str, float]) -> plans.Plan:
    """Return what a training with these settings on these corpora (name -> folder) will be."""
    start = (
        next((_model_key(card) for card in models()[0] if card.slug == config.start_from), "")
        if config.start_from
        else ""
    )
    state_of_clips = tuple(f"{fingerprint(folder)} {left_out(name, folder)}" for name, folder in folders.items())
    return _plan(state_of_clips, json.dumps(config.to_dict()), start, folders, config, rates)


@st.cache_data(max_entries=64, ttl=60, show_spinner=False)
def _plan(
    state_of_clips: tuple[str, ...],
    settings: str,
    start: str,
    _folders: dict[str, Path],
    _config: RunConfig,
    _rates: dict[str, float],
) -> plans.Plan:
    return plans.plan(clips_of_all(_folders), _config, rates=_rates, models=store.MODELS)


def speakers(name: str, folder: Path) -> dict[str, str]:
    """Return the speakers of a corpus: identifier -> code and sex, such as '01 (male)'."""
    table = clips(name, folder).drop_duplicates(corpora.SPEAKER).sort_values(corpora.SPEAKER)
    codes = table[corpora.SPEAKER].str.partition(":")[2].replace("", UNKNOWN_SPEAKER)
    sexes = table[corpora.SEX].map(lambda sex: f" ({sex})" if sex else "")
    return dict(zip(table[corpora.SPEAKER], codes + sexes, strict=True))


@dataclass(frozen=True)
class CorpusClip:
    """A clip of an installed corpus: where it lies, its true label, and how a list names it."""

    path: Path
    label: str
    title: str


def clips_of(name: str, folder: Path, speaker: str) -> dict[str, CorpusClip]:
    """Return the clips of a speaker by path, ordered by label."""
    table = clips(name, folder)
    rows = table[table[corpora.SPEAKER] == speaker].sort_values([corpora.EMOTION, corpora.NAME]).to_dict("records")
    return {
        row[corpora.PATH]: CorpusClip(Path(row[corpora.PATH]), row[corpora.EMOTION], _clip_title(name, row))
        for row in rows
    }


def corpus_clip(clips: pd.DataFrame, number: int) -> CorpusClip:
    """Return the clip in a row of a clips table."""
    row = clips.iloc[number].to_dict()
    return CorpusClip(Path(row[corpora.PATH]), row[corpora.EMOTION], _clip_title(row[corpora.CORPUS], row))


def _clip_title(name: str, row: dict[str, str]) -> str:
    known = corpora.CORPORA.get(name)
    text = known.sentences.get(row[corpora.SENTENCE], "") if known else row[corpora.SENTENCE]
    return " · ".join(part for part in (row[corpora.EMOTION], row[corpora.INTENSITY], text, row[corpora.NAME]) if part)


@st.cache_data(ttl=60, show_spinner=False)
def samples() -> list[dict[str, Any]]:
    """Return the rows of samples.json: file, title, text and what else is known of each synthetic voice."""
    index = SAMPLES / "samples.json"
    return json.loads(index.read_text(encoding="utf-8")) if index.exists() else []
