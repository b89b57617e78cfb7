"""ser_core's functions behind Streamlit's caches, so that a rerun computes nothing twice. Nothing is decided here.

Clips are keyed by the digest of their bytes, models by what their card says of its weights: a model that is retrained,
added or removed shows at the next rerun. Cached values are shared between visitors and never changed.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from ser_core import paths
from ser_core.corpora import catalogue, library
from ser_core.dataset import duplicates
from ser_core.dataset.duplicates import Sounds
from ser_core.errors import ConfigError
from ser_core.experiments import benchmark
from ser_core.experiments.listeners import Listeners
from ser_core.experiments.listeners import read_results as read_listeners
from ser_core.explanation import profile as voice_profile
from ser_core.recognition import store, together
from ser_core.recognition.card import ModelCard
from ser_core.training import held_out, personal
from ser_core.training import plan as training_plan
from ser_core.training.config import RunConfig
from ser_core.training.held_out import HeldOut
from ser_core.training.plan import Plan

SAMPLES = Path(__file__).resolve().parents[1] / "samples"

UNKNOWN_SPEAKER = "not stated"
"""What people read where nobody said who speaks."""


def protocol_cells() -> tuple[benchmark.Cell, ...]:
    """Return the table over protocols that comes with the project, read again only when the file has changed."""
    path = benchmark.RESULTS
    return _protocol_cells(path, path.stat().st_mtime_ns if path.exists() else 0)


def enrolled() -> personal.Table:
    """Return what takes of one's own voice are worth, as it comes with the project, read again only when the file has changed."""
    path = personal.RESULTS
    return _enrolled(path, path.stat().st_mtime_ns if path.exists() else 0)


@st.cache_resource(max_entries=2, show_spinner=False)
def _enrolled(path: Path, changed_ns: int) -> personal.Table:
    return personal.read(path)


def profile() -> voice_profile.Profile:
    """Return how the clips of the training corpora sound, as it comes with the project, read again only when the file has changed."""
    path = voice_profile.RESULTS
    return _profile(path, path.stat().st_mtime_ns if path.exists() else 0)


@st.cache_resource(max_entries=2, show_spinner=False)
def _profile(path: Path, changed_ns: int) -> voice_profile.Profile:
    return voice_profile.read(path)


@st.cache_resource(max_entries=1, show_spinner=False)
def listeners() -> dict[str, Listeners]:
    """Return what people heard, by corpus, as it comes with the project."""
    return read_listeners()


@st.cache_resource(max_entries=2, show_spinner=False)
def _protocol_cells(path: Path, changed_ns: int) -> tuple[benchmark.Cell, ...]:
    return benchmark.read(path)


def held_out_answers(path: Path) -> tuple[HeldOut, ...]:
    """Return the held-out answers in a file, read again only when it has changed; none where it is missing or damaged."""
    try:
        facts = path.stat()
    except OSError:
        return ()
    return _held_out_answers(path, facts.st_mtime_ns, facts.st_size)


@st.cache_resource(max_entries=8, show_spinner="Reading the answers …")
def _held_out_answers(path: Path, changed_ns: int, size: int) -> tuple[HeldOut, ...]:
    try:
        return held_out.read(path)
    except ConfigError:
        return ()


def _model_key(card: ModelCard) -> str:
    """Return what tells this model, as trained, from every other."""
    return f"{paths.models_folder()}/{card.slug} {card.created} {card.threshold} {sorted(card.files.items())}"


def models() -> tuple[list[ModelCard], list[str]]:
    """Return the cards of the models folder and what is wrong with the others; looked at in each rerun, read where a card changed."""
    cards, problems = _models(paths.models_folder(), _state_of_cards(paths.models_folder()))
    return list(cards), list(problems)


@st.cache_resource(max_entries=4, show_spinner=False)
def _models(folder: Path, state_of_cards: tuple[tuple[str, int, int], ...]) -> tuple[list[ModelCard], list[str]]:
    return store.list_models(folder)


def _state_of_cards(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Return name, time and size of each model's card and of what they say together; 0 where there is none. A card has 20 KB."""
    found = []
    for entry in os.scandir(folder) if folder.is_dir() else ():
        try:
            facts = os.stat(entry.path if entry.name == together.FILE else os.path.join(entry.path, store.CARD))
        except OSError:
            found.append((entry.name, 0, 0))
        else:
            found.append((entry.name, facts.st_mtime_ns, facts.st_size))
    return tuple(sorted(found))


def model_titles(cards: Sequence[ModelCard]) -> dict[str, str]:
    """Return what to call each model, by slug: its title, with the slug where two have the same."""
    counts = Counter(card.title for card in cards)
    return {card.slug: card.title if counts[card.title] == 1 else f"{card.title} ({card.slug})" for card in cards}


def model_keys(cards: Sequence[ModelCard]) -> str:
    """Return what tells these models, as trained, from any others."""
    return " ".join(_model_key(card) for card in cards)


def corpora_root() -> Path:
    """Return the folder that holds the installed corpora: SER_CORPORA, else corpora/ where the server was started."""
    return paths.corpora_folder()


@st.cache_data(ttl=10, show_spinner=False)
def rows(root: Path) -> dict[str, library.Installed]:
    """Return the corpora found under root, with their titles and kinds."""
    return library.installed(root)


@st.cache_data(ttl=10, show_spinner=False)
def corpus_folders(root: Path) -> dict[str, Path]:
    """Return the corpora found under root: name -> folder."""
    return {name: row.folder for name, row in library.installed(root).items()}


@st.cache_data(ttl=10, show_spinner=False)
def unrecognised(root: Path) -> tuple[library.Found, ...]:
    """Return the folders under root that hold a corpus under another name than its own."""
    return library.unrecognised(root)


def look_again() -> None:
    """Forget which corpora there were, and the state of their files: something was installed, written or removed."""
    rows.clear()
    corpus_folders.clear()
    unrecognised.clear()
    fingerprint.clear()


def corpus_title(name: str) -> str:
    """Return a corpus's title, such as 'RAVDESS'. A corpus without a row in CORPORA has the title that somebody typed."""
    row = rows(corpora_root()).get(name)
    return row.title if row else catalogue.CORPORA[name].title if name in catalogue.CORPORA else name


@st.cache_data(ttl=5, max_entries=32, show_spinner=False)
def fingerprint(folder: Path) -> str:
    """Return a digest of the names, sizes and times of a folder's files: it changes as soon as one of them does."""
    return library.fingerprint(folder)


def clips(name: str, folder: Path) -> pd.DataFrame:
    """Return the clips table of an installed corpus without what was left out, read again only when one of them has changed.

    Raises CorpusError where the corpus cannot be read, or all of it was left out.
    """
    return _clips(name, folder, fingerprint(folder), tuple(sorted(exclusions(name, folder).items())))


def clips_of_all(folders: dict[str, Path]) -> pd.DataFrame:
    """Return the clips tables of some corpora (name -> folder) as one."""
    return pd.concat([clips(name, folder) for name, folder in folders.items()], ignore_index=True)


@st.cache_data(max_entries=16, show_spinner="Reading the corpus …")
def _clips(
    name: str, folder: Path, fingerprint: str, left_out: tuple[tuple[str, tuple[str, ...]], ...]
) -> pd.DataFrame:
    return library.clips(folder.parent, [name])


def exclusions(name: str, folder: Path) -> dict[str, tuple[str, ...]]:
    """Return the clips of an installed corpus that are not to be used: reason -> paths below its folder."""
    return library.left_out(folder.parent, name)


def plan(folders: dict[str, Path], config: RunConfig, rates: dict[str, float]) -> Plan:
    """Return what a training with these settings on these corpora (name -> folder) will be."""
    start = (
        next((_model_key(card) for card in models()[0] if card.slug == config.start_from), "")
        if config.start_from
        else ""
    )
    state_of_clips = tuple(
        f"{folder} {fingerprint(folder)} {exclusions(name, folder)}" for name, folder in folders.items()
    )
    compared = duplicates.last_written(paths.feature_cache())
    return _plan(state_of_clips, compared, json.dumps(config.to_dict()), start, folders, config, rates)


@st.cache_data(max_entries=64, ttl=60, show_spinner=False)
def _plan(
    state_of_clips: tuple[str, ...],
    compared: int,
    settings: str,
    start: str,
    _folders: dict[str, Path],
    _config: RunConfig,
    _rates: dict[str, float],
) -> Plan:
    clips = clips_of_all(_folders)
    sounds = _sounds(state_of_clips, compared, _folders)
    return training_plan.plan(clips, _config, rates=_rates, models=paths.models_folder(), sounds=sounds)


@st.cache_data(max_entries=8, show_spinner=False)
def _sounds(state_of_clips: tuple[str, ...], compared: int, _folders: dict[str, Path]) -> Sounds | None:
    """Return what these clips share by sound, None where they were never compared: the run does that, this process decodes no corpus."""
    return duplicates.remembered(clips_of_all(_folders), cache=paths.feature_cache())


def speakers(name: str, folder: Path) -> dict[str, str]:
    """Return the speakers of a corpus: identifier -> code and sex, such as '01 (male)'."""
    table = clips(name, folder).drop_duplicates(catalogue.SPEAKER).sort_values(catalogue.SPEAKER)
    codes = table[catalogue.SPEAKER].str.partition(":")[2].replace("", UNKNOWN_SPEAKER)
    sexes = table[catalogue.SEX].map(lambda sex: f" ({sex})" if sex else "")
    return dict(zip(table[catalogue.SPEAKER], codes + sexes, strict=True))


@dataclass(frozen=True)
class CorpusClip:
    """A clip of an installed corpus: where it lies, its true label, and how a list names it."""

    path: Path
    label: str
    title: str


def clips_of(name: str, folder: Path, speaker: str) -> dict[str, CorpusClip]:
    """Return the clips of a speaker by path, ordered by label."""
    table = clips(name, folder)
    rows = (
        table[table[catalogue.SPEAKER] == speaker].sort_values([catalogue.EMOTION, catalogue.NAME]).to_dict("records")
    )
    return {
        row[catalogue.PATH]: CorpusClip(Path(row[catalogue.PATH]), row[catalogue.EMOTION], _clip_title(name, row))
        for row in rows
    }


def corpus_clip(clips: pd.DataFrame, number: int) -> CorpusClip:
    """Return the clip in a row of a clips table."""
    row = clips.iloc[number].to_dict()
    return CorpusClip(Path(row[catalogue.PATH]), row[catalogue.EMOTION], _clip_title(row[catalogue.CORPUS], row))


def _clip_title(name: str, row: dict[str, str]) -> str:
    known = catalogue.CORPORA.get(name)
    text = known.sentences.get(row[catalogue.SENTENCE], "") if known else row[catalogue.SENTENCE]
    return " · ".join(
        part for part in (row[catalogue.EMOTION], row[catalogue.INTENSITY], text, row[catalogue.NAME]) if part
    )


@st.cache_data(ttl=60, show_spinner=False)
def samples() -> list[dict[str, Any]]:
    """Return the rows of samples.json: file, title, text and what else is known of each synthetic voice."""
    index = SAMPLES / "samples.json"
    return json.loads(index.read_text(encoding="utf-8")) if index.exists() else []
