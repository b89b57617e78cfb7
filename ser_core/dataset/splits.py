"""Who is in training, validation and test: folds of speakers, fixed so that figures compare with published ones.

Input is the clips table of scan.scan, of one corpus or several. Nothing here looks at labels or sound.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ser_core.corpora import catalogue
from ser_core.dataset import duplicates
from ser_core.errors import ConfigError, CorpusError

Folds = tuple[tuple[str, ...], ...]
"""One tuple of speaker codes a fold: the speakers that are tested together."""

N_JOINT_FOLDS = 6

TRAIN, VALIDATION, TEST = "train", "validation", "test"
PARTS = (TRAIN, VALIDATION, TEST)
"""What `holdout` calls the three parts."""

SPEAKER_PROTOCOL = "speaker"
PROTOCOLS: dict[str, str] = {
    SPEAKER_PROTOCOL: "Speakers who are tested are never trained on. What a figure for new voices has to be.",
    "sentence": "Sentences that are tested are never trained on, but their speakers are. Higher figures than for new voices.",
    "random": "Any clip may be tested: its speaker, and often its sentence, were trained on. Much higher figures than for new voices.",
}
"""Ways to hold clips out, by name, with the meaning of a figure measured so. PROTOCOLS[0] is the default."""


def _by_remainder(corpus: str, n_folds: int) -> Folds:
    speakers = catalogue.CORPORA[corpus].speakers
    return tuple(tuple(speaker for speaker in speakers if int(speaker) % n_folds == fold) for fold in range(n_folds))


def _one_each(corpus: str) -> Folds:
    return tuple((speaker,) for speaker in catalogue.CORPORA[corpus].speakers)


RAVDESS_FOLDS: Folds = (
    ("01", "11", "20", "21"),
    ("04", "10", "12", "14"),
    ("08", "09", "19", "23"),
    ("03", "05", "07", "24"),
    ("02", "15", "16", "18"),
    ("06", "13", "17", "22"),
)
"""Actors of the six folds of the EmoBox benchmark (Ma et al., Interspeech 2024)."""

SPEAKER_FOLDS: dict[str, Folds] = {
    "ravdess": RAVDESS_FOLDS,
    "tess": _one_each("tess"),
    "savee": _one_each("savee"),
    "emodb": _one_each("emodb"),
    "cremad": _by_remainder("cremad", 5),
}
"""Folds of the `speaker` protocol, by corpus."""

JOINT_FOLDS: dict[str, Folds] = {
    "ravdess": RAVDESS_FOLDS,
    "tess": _one_each("tess"),
    "savee": _one_each("savee"),
    "emodb": (("03", "08"), ("09", "10"), ("11", "12"), ("13", "14"), ("15",), ("16",)),
    "cremad": _by_remainder("cremad", N_JOINT_FOLDS),
}
"""Folds of six trainings over all corpora at once; a corpus of fewer speakers is tested in the first ones only."""


def speaker_folds(clips: pd.DataFrame, corpus: str) -> np.ndarray:
    """Return the fold in which each clip of `corpus` is tested, int (n_clips,); -1 for clips of other corpora.

    The folds are SPEAKER_FOLDS. Clips with -1 may be trained on in every fold. What the speakers of `corpus` say or sing in another
    corpus (RAVDESS's songs) is tested with them.

    Raises
    ------
    CorpusError : if the corpus has no fixed folds, too few of its speakers are in the table to hold some out, or a clip's speaker is
        unknown.
    """
    if corpus not in SPEAKER_FOLDS:
        raise CorpusError(f"Corpus '{corpus}' has no fixed speaker folds. Choose one of {', '.join(SPEAKER_FOLDS)}.")
    _check_speakers(clips)
    of_corpus = (clips[catalogue.SPEAKER].str.partition(":")[0] == corpus).to_numpy()
    folds = np.full(len(clips), -1)
    folds[of_corpus] = _look_up(clips[of_corpus], SPEAKER_FOLDS)
    if len(set(folds[of_corpus])) < 2:
        n = clips.loc[of_corpus, catalogue.SPEAKER].nunique()
        raise CorpusError(
            f"Corpus '{corpus}' has {n} speaker{'s' * (n != 1)} here, in {len(set(folds[of_corpus]))} of its "
            f"{len(SPEAKER_FOLDS[corpus])} folds; a speaker-independent split needs speakers of 2 folds or more. "
            "Install the whole corpus."
        )
    return folds


def joint_folds(clips: pd.DataFrame) -> np.ndarray:
    """Return the fold in which each clip is tested, int (n_clips,), 0..5, over all corpora at once.

    Six trainings test every clip once, each by a model that was not trained on its speaker. RAVDESS has its published folds.

    Raises
    ------
    CorpusError : for a speaker or a corpus that JOINT_FOLDS does not list.
    """
    return _look_up(clips, JOINT_FOLDS)


def validation_speakers(clips: pd.DataFrame, *, fraction: float = 0.15, rng: np.random.Generator) -> set[str]:
    """Return speakers to be set aside from the training speakers, for choosing the epoch and the temperature.

    Parameters
    ----------
    clips : the clips of all training speakers.
    fraction : share of the speakers of each corpus, 0..0.5. At least one is drawn from a corpus of three or more, so 0 is the
        only way to draw none; a corpus of one or two keeps all for training. Sexes take turns.
    rng : the draw depends on it and on the set of speakers, not on the order of the clips.

    Raises
    ------
    ConfigError : if `fraction` is out of range.
    CorpusError : if a clip's speaker is unknown.
    """
    _check_speakers(clips)
    if not 0 <= fraction <= 0.5:
        raise ConfigError(f"The validation share must lie between 0 and 0.5. Got {fraction}; choose about 0.15.")
    speakers = _speakers(clips)
    drawn: set[str] = set()
    for _, group in speakers.groupby(catalogue.CORPUS):
        if fraction > 0 and len(group) >= 3:
            drawn.update(_in_turns(group, rng)[: max(1, round(fraction * len(group)))])
    return drawn


def holdout(
    clips: pd.DataFrame,
    *,
    test: float = 0.2,
    validation: float = 0.15,
    rng: np.random.Generator,
    sounds: np.ndarray | None = None,
) -> np.ndarray:
    """Return the part of each clip, str (n_clips,), one of PARTS: a speaker-independent split of any corpora, by whole speakers.

    Parameters
    ----------
    clips : clips table; a speaker of several corpora (RAVDESS's actors in its songs) is one speaker in one part.
    test : share of the speakers of each corpus that is tested, 0..0.5. At least one is drawn from a corpus of two or more; corpora of one
        speaker are drawn from together. Sexes take turns.
    validation : share of the speakers that are left, drawn as `validation_speakers` does. So TESS (2 speakers) has one for training, one
        for testing and none for validation.
    rng : the draw depends on it and on the set of speakers, not on the order of the clips.
    sounds : a key of each clip's recording, str (n_clips,): speakers who share a recording are in one part.

    Raises
    ------
    ConfigError : if a share is out of range.
    CorpusError : if there are too few speakers to test one that is not trained on, or a clip's speaker is unknown.
    """
    _check_speakers(clips)
    clips = clips.assign(**{catalogue.SPEAKER: duplicates.joined(clips[catalogue.SPEAKER], sounds)})
    if not 0 <= test <= 0.5:
        raise ConfigError(f"The test share must lie between 0 and 0.5. Got {test}; choose about 0.2.")
    speakers = _speakers(clips)
    alone = ~speakers.duplicated(catalogue.CORPUS, keep=False)
    tested: set[str] = set()
    for _, group in speakers.groupby(speakers[catalogue.CORPUS].mask(alone, "")):
        if test > 0 and len(group) >= 2:
            tested.update(_in_turns(group, rng)[: max(1, round(test * len(group)))])
    if test > 0 and not tested:
        raise CorpusError(
            f"There {'is 1 speaker' if len(speakers) == 1 else f'are {len(speakers)} speakers'} here; a speaker-independent split needs 2 "
            "or more. Add a corpus, or recordings of another speaker."
        )
    is_tested = clips[catalogue.SPEAKER].isin(tested).to_numpy()
    held = validation_speakers(clips[~is_tested], fraction=validation, rng=rng)
    return np.where(is_tested, TEST, np.where(clips[catalogue.SPEAKER].isin(held), VALIDATION, TRAIN))


def parts(
    clips: pd.DataFrame,
    protocol: str = SPEAKER_PROTOCOL,
    *,
    test: float = 0.2,
    validation: float = 0.15,
    rng: np.random.Generator,
    sounds: np.ndarray | None = None,
) -> np.ndarray:
    """Return the part of each clip, str (n_clips,), one of PARTS, by any of PROTOCOLS; `holdout` says what the shares are.

    sounds : a key of each clip's recording, str (n_clips,): clips with one key are in one part, and so are their speakers or sentences.

    Where no speaker can be spared for validation (TESS has one to train on), a share of the sentences that are trained on is, and
    where those are too few as well, a share of the clips of each label.

    Raises
    ------
    ConfigError : for an unknown protocol, or a share out of range.
    CorpusError : if there are too few speakers or sentences to hold some out, or a clip's speaker or sentence is unknown.
    """
    if protocol == SPEAKER_PROTOCOL:
        part = holdout(clips, test=test, validation=validation, rng=rng, sounds=sounds)
        missing = validation > 0 and not (part == VALIDATION).any()
        return _spare_for_validation(clips, part, validation, rng, sounds) if missing else part
    _check_share("test", test)
    _check_share("validation", validation)
    units = duplicates.joined(_units(clips, protocol), sounds)
    tested = _draw(clips, units, test, rng, by_label=protocol == "random")
    if test > 0 and not tested.any():
        raise CorpusError(f"There are {len(clips)} clips here, too few to hold some out. Add another corpus.")
    part = np.where(tested, TEST, TRAIN).astype("<U10")
    return _spare_for_validation(clips, part, validation, rng, sounds) if validation > 0 else part


def cross_folds(
    clips: pd.DataFrame, protocol: str, n_folds: int, *, rng: np.random.Generator, sounds: np.ndarray | None = None
) -> np.ndarray:
    """Return the fold in which each clip is tested, int (n_clips,), 0..n_folds-1, by any of PROTOCOLS; sounds: as `parts` has them.

    Six folds by speaker are JOINT_FOLDS where these list every speaker, so that figures compare with published ones.

    Raises
    ------
    ConfigError : for an unknown protocol, or fewer than 2 folds.
    CorpusError : if there are fewer speakers or sentences than folds.
    """
    if n_folds < 2:
        raise ConfigError(f"A cross-validation needs 2 folds or more. Got {n_folds}.")
    units = duplicates.joined(_units(clips, protocol), sounds)
    if protocol == SPEAKER_PROTOCOL:
        clips = clips.assign(**{catalogue.SPEAKER: units})
    if protocol == SPEAKER_PROTOCOL and n_folds == N_JOINT_FOLDS:
        try:
            return joint_folds(clips)
        except CorpusError:
            pass  # speakers without fixed folds: drawn below
    folds = np.full(len(clips), -1)
    groups = (
        clips[catalogue.EMOTION] if protocol == "random" else clips.groupby(units)[catalogue.CORPUS].transform("min")
    )
    most, place = 0, dict[str, int]()
    for group in sorted(set(groups)):
        inside = (groups == group).to_numpy()
        names = sorted(set(units[inside]))
        order = (
            _in_turns(_speakers(clips[inside]), rng) if protocol == SPEAKER_PROTOCOL else list(rng.permutation(names))
        )
        place = {name: position % n_folds for position, name in enumerate(order)} | place
        folds[inside] = [place[name] for name in units[inside]]
        most = max(most, len(names))
    if most < n_folds:
        called = (
            f"Corpus '{clips[catalogue.CORPUS].iloc[0]}' has"
            if clips[catalogue.CORPUS].nunique() == 1
            else "The largest corpus here has"
        )
        kind = {SPEAKER_PROTOCOL: "speaker", "sentence": "sentence"}.get(protocol, "clip")
        raise CorpusError(
            f"{called} {most} {kind}{'s' * (most != 1)}; a split by {kind} into {n_folds} folds needs {n_folds}. "
            f"Add another corpus{f' or choose {most} folds' if most > 1 else ''}."
        )
    return folds


def _spare_for_validation(
    clips: pd.DataFrame, part: np.ndarray, share: float, rng: np.random.Generator, sounds: np.ndarray | None
) -> np.ndarray:
    """Return the parts with a share of the training sentences, or of the training clips, set aside for validation."""
    train = clips[part == TRAIN]
    sentences = train[catalogue.CORPUS] + ":" + train[catalogue.SENTENCE]
    known = (train[catalogue.SENTENCE] != "").all() and sentences.nunique() >= 10
    units = sentences if known else pd.Series(train.index.astype(str), train.index)
    units = duplicates.joined(units, None if sounds is None else sounds[part == TRAIN])
    drawn = _draw(train, units, share, rng, by_label=not known)
    part = part.astype("<U10")
    part[np.flatnonzero(part == TRAIN)[drawn]] = VALIDATION
    return part


def _units(clips: pd.DataFrame, protocol: str) -> pd.Series:
    """Return what may not be parted, str (n_clips,): the speaker, the sentence or the clip itself."""
    if protocol == SPEAKER_PROTOCOL:
        _check_speakers(clips)
        return clips[catalogue.SPEAKER]
    if protocol == "random":
        return pd.Series(np.arange(len(clips)).astype(str), clips.index)
    if protocol != "sentence":
        raise ConfigError(f"There is no protocol '{protocol}'. Choose one of {', '.join(PROTOCOLS)}.")
    unknown = int((clips[catalogue.SENTENCE] == "").sum())
    if unknown:
        raise CorpusError(
            f"The sentence of {unknown} of {len(clips)} clips is unknown; a split by sentence needs it for every clip. "
            "Choose the protocol 'speaker', or other corpora."
        )
    return clips[catalogue.CORPUS] + ":" + clips[catalogue.SENTENCE]


def _draw(
    clips: pd.DataFrame, units: pd.Series, share: float, rng: np.random.Generator, *, by_label: bool
) -> np.ndarray:
    """Return which clips are drawn, bool (n_clips,): a share of the units of each corpus, and of each label where that is asked.

    Of a single unit none is.
    """
    strata = clips[catalogue.CORPUS] + (":" + clips[catalogue.EMOTION] if by_label else "")
    drawn: set[str] = set()
    for _, group in units.groupby(strata):
        names = sorted(set(group))
        if share > 0 and len(names) >= 2:
            drawn.update(rng.permutation(names)[: min(max(1, round(share * len(names))), len(names) - 1)])
    is_drawn: np.ndarray = units.isin(drawn).to_numpy()
    return is_drawn


def _check_share(name: str, share: float) -> None:
    if not 0 <= share <= 0.5:
        raise ConfigError(
            f"The {name} share must lie between 0 and 0.5. Got {share}; choose about {0.2 if name == 'test' else 0.15}."
        )


def _speakers(clips: pd.DataFrame) -> pd.DataFrame:
    """Return one row per speaker, sorted: corpus (the first of several), speaker and sex."""
    rows = clips[[catalogue.CORPUS, catalogue.SPEAKER, catalogue.SEX]].sort_values(
        [catalogue.SPEAKER, catalogue.CORPUS]
    )
    return rows.drop_duplicates(catalogue.SPEAKER)


def _in_turns(speakers: pd.DataFrame, rng: np.random.Generator) -> list[str]:
    """Return all speakers in random order, but with the sexes taking turns as long as both last."""
    shuffled = speakers.iloc[rng.permutation(len(speakers))]
    turn = shuffled.groupby(catalogue.SEX).cumcount()
    names: list[str] = shuffled.iloc[np.argsort(turn.to_numpy(), kind="stable")][catalogue.SPEAKER].tolist()
    return names


def _check_speakers(clips: pd.DataFrame) -> None:
    unknown = int((clips[catalogue.SPEAKER] == catalogue.UNKNOWN_SPEAKER).sum())
    if unknown:
        raise CorpusError(
            f"The speaker of {unknown} of {len(clips)} clips is unknown; a speaker-independent split needs the speaker of every clip. "
            "Name the speakers, or leave those clips out."
        )


def _look_up(clips: pd.DataFrame, table: Mapping[str, Folds]) -> np.ndarray:
    _check_speakers(clips)
    fold_of = {
        f"{corpus}:{speaker}": fold
        for corpus, folds in table.items()
        for fold, speakers in enumerate(folds)
        for speaker in speakers
    }
    folds = clips[catalogue.SPEAKER].map(fold_of)
    if folds.isna().any():
        unknown = sorted(clips.loc[folds.isna(), catalogue.SPEAKER].unique())
        raise CorpusError(
            f"Speaker '{unknown[0]}'{f' (and {len(unknown) - 1} more)' if unknown[1:] else ''} is in no fixed fold. "
            f"Leave such clips out; fixed folds exist for {', '.join(table)}."
        )
    fold_numbers: np.ndarray = folds.to_numpy(int)
    return fold_numbers
