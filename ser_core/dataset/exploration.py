"""What the clips of some corpora sound like: facts and features of each, and how they follow the label and the speaker.

`measure` goes through the feature cache once and keeps its tables there, a corpus in a file, so that a second look at thousands of
clips is one read. Which clips there are is corpora/library.py's business, what the labels become labels.py's; pictures are the pages'.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ser_core.audio import decoding
from ser_core.corpora import catalogue
from ser_core.dataset import build
from ser_core.dataset.cache import FACTS, TABLES, read_arrays, version, write_arrays
from ser_core.features import extraction, vectors
from ser_core.features.config import FeatureConfig
from ser_core.features.vectors import VECTOR, summary_columns


@dataclass(frozen=True)
class Measured:
    """What was measured on the clips of a table, row by row; a clip that cannot be read has NaN, and a reason in `problems`.

    facts: cache.FACTS; vectors: vectors.summary, float32 (n_clips, n_columns), its columns named in `columns`. key: changes with
    the clips' files, the settings and cache.FEATURES_VERSION.
    """

    facts: pd.DataFrame
    vectors: np.ndarray
    columns: tuple[str, ...]
    problems: tuple[tuple[str, str], ...]
    key: str

    def column(self, name: str) -> np.ndarray:
        """Return one column of the vectors, float (n_clips,)."""
        return self.vectors[:, self.columns.index(name)].astype(float)

    @property
    def readable(self) -> np.ndarray:
        """Which clips could be read, bool (n_clips,)."""
        is_whole: np.ndarray = np.isfinite(self.vectors).all(axis=1)
        return is_whole

    def take(self, rows: np.ndarray) -> Measured:
        """Return what was measured on some of the clips, int (n,)."""
        digest = hashlib.sha256(self.key.encode() + np.asarray(rows, np.int64).tobytes()).hexdigest()
        return Measured(
            self.facts.iloc[rows].reset_index(drop=True), self.vectors[rows], self.columns, self.problems, digest
        )


def key(clips: pd.DataFrame, *, config: FeatureConfig = FeatureConfig()) -> str:
    """Return what Measured.key will be: it changes with a file of the clips, their order, a setting or cache.FEATURES_VERSION."""
    return _whole_key(_table_keys(clips, config))


def recall(clips: pd.DataFrame, *, cache: Path, config: FeatureConfig = FeatureConfig()) -> Measured | None:
    """Return what was measured on these clips before; None where a corpus of them, as its files are now, never was."""
    keys = _table_keys(clips, config)
    parts = [_read_table(cache, key, len(part), config) for key, part in zip(keys, _by_corpus(clips), strict=True)]
    return _join(clips, [part for part in parts if part], keys, config) if all(parts) else None


def measure(
    clips: pd.DataFrame,
    *,
    cache: Path,
    config: FeatureConfig = FeatureConfig(),
    n_jobs: int = -1,
    niced: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Measured:
    """Return the facts and features of all clips, measuring what the cache lacks, and keep them for `recall` (see build.build).

    Raises
    ------
    Stopped : if should_stop returned True; what was measured until then is kept.
    """
    parts, before = [], 0
    keys = _table_keys(clips, config)  # first: a file that changes meanwhile is measured again next time
    for key, part in zip(keys, _by_corpus(clips), strict=True):
        stored = _read_table(cache, key, len(part), config)
        if stored is None:
            offset = before

            def tell(done: int, total: int, offset: int = offset) -> None:
                if on_progress:
                    on_progress(offset + done, len(clips))

            built = build.build(
                part,
                config,
                kinds=[VECTOR],
                cache=cache,
                n_jobs=n_jobs,
                niced=niced,
                on_progress=tell,
                should_stop=should_stop,
            )
            stored = _spread(built, len(part))
            write_arrays(_table_place(cache, key), **stored)
        parts.append(stored)
        before += len(part)
        if on_progress:
            on_progress(before, len(clips))
    return _join(clips, parts, keys, config)


def _by_corpus(clips: pd.DataFrame) -> list[pd.DataFrame]:
    return [part for _, part in clips.reset_index(drop=True).groupby(catalogue.CORPUS, sort=False)]


def _table_keys(clips: pd.DataFrame, config: FeatureConfig) -> list[str]:
    """Return of each corpus what changes as soon as a file of its clips, a setting or cache.FEATURES_VERSION does.

    A file is known by its path, size and times: reading thousands would take too long. The time of its last change of any kind is
    among them (on Windows it is not), so that setting the clock of a file back does not help.
    """
    keys = []
    for part in _by_corpus(clips):
        digest = hashlib.sha256(version() + json.dumps(config.to_dict(), sort_keys=True).encode())
        for path in part[catalogue.PATH]:
            try:
                facts = os.stat(path)
                digest.update(
                    f"{path}\0{facts.st_size} {facts.st_mtime_ns} {facts.st_ctime_ns}\0".encode(
                        errors="surrogateescape"
                    )
                )
            except OSError:
                digest.update(f"{path}\0gone\0".encode(errors="surrogateescape"))
        keys.append(digest.hexdigest())
    return keys


def _whole_key(keys: list[str]) -> str:
    return hashlib.sha256("".join(keys).encode()).hexdigest()


def _table_place(cache: Path, key: str) -> Path:
    return cache / TABLES / f"{key}.npz"


def _spread(built: build.Dataset, n_clips: int) -> dict[str, np.ndarray]:
    """Return one row per clip, NaN where it could not be read."""
    vectors = np.full((n_clips, built.vectors.shape[1]), np.nan, np.float32)
    facts = np.full((n_clips, len(FACTS)), np.nan)
    vectors[built.clip], facts[built.clip] = built.vectors, built.facts.to_numpy()
    return {"vectors": vectors, "facts": facts, "problems": np.array(built.problems, dtype=np.str_).reshape(-1, 2)}


def _read_table(cache: Path, key: str, n_clips: int, config: FeatureConfig) -> dict[str, np.ndarray] | None:
    stored = read_arrays(_table_place(cache, key), "vectors", "facts", "problems")
    n_columns = len(summary_columns(config))
    if not stored or stored["vectors"].shape != (n_clips, n_columns) or stored["facts"].shape != (n_clips, len(FACTS)):
        return None
    return stored


def _join(clips: pd.DataFrame, parts: list[dict[str, np.ndarray]], keys: list[str], config: FeatureConfig) -> Measured:
    order = np.argsort(np.concatenate([part.index.to_numpy() for part in _by_corpus(clips)]))
    facts = np.concatenate([part["facts"] for part in parts])[order]
    return Measured(
        facts=pd.DataFrame(facts, columns=list(FACTS)),
        vectors=np.concatenate([part["vectors"] for part in parts])[order],
        columns=summary_columns(config),
        problems=tuple((str(path), str(reason)) for part in parts for path, reason in part["problems"]),
        key=_whole_key(keys),
    )


@dataclass(frozen=True)
class Trend:
    """One figure of a clip that may follow its label. unit: of the figure; apart: of its distance from the speaker's own mean.

    how: what it is, in a sentence. of: Measured -> float (n_clips,), NaN where there is nothing to measure. log: distances are
    measured on a logarithmic scale, 12 steps an octave.
    """

    title: str
    unit: str
    how: str
    of: Callable[[Measured], np.ndarray]
    log: bool = False

    @property
    def apart(self) -> str:
        """The unit of a distance from the speaker's own mean."""
        return "semitones" if self.log else self.unit


def _pitch_hz(measured: Measured) -> np.ndarray:
    voiced = measured.column("voiced_share") > 0
    return np.where(voiced, 100.0 * 2 ** (measured.column("f0_p50") / 12), np.nan)


def _pitch_range(measured: Measured) -> np.ndarray:
    return np.where(measured.column("voiced_share") > 0, measured.column("f0_p90") - measured.column("f0_p10"), np.nan)


def _jitter(measured: Measured) -> np.ndarray:
    return np.where(measured.column("voiced_share") > 0, measured.column("f0_step_p50"), np.nan)


def _level(measured: Measured) -> np.ndarray:
    level = measured.facts["level_dbfs"].to_numpy(float)
    return np.where(level > -120, level, np.nan)


TRENDS: dict[str, Trend] = {
    "f0": Trend("Pitch", "Hz", "The median fundamental frequency (f0) of the voiced frames.", _pitch_hz, log=True),
    "f0_range": Trend(
        "Pitch range", "semitones", "From the 10th to the 90th percentile of f0 over the voiced frames.", _pitch_range
    ),
    "level": Trend(
        "Level",
        "dBFS",
        "The root mean square of the loud frames as recorded: the distance to the microphone and its gain "
        "are in it, so compare within a corpus.",
        _level,
    ),
    "dynamics": Trend(
        "Level changes",
        "dB",
        "The deviation of the level from frame to frame within a clip.",
        lambda measured: measured.column("rms_db_std"),
    ),
    "rate": Trend(
        "Speaking rate",
        "syllables per s",
        "Syllable nuclei per second from the first to the last sound: peaks of the level "
        "in voiced frames, 2 dB above the dips beside them (de Jong & Wempe 2009). Syllables that run together count as one.",
        lambda measured: measured.facts["syllables_per_s"].to_numpy(float),
    ),
    "length": Trend(
        "Length",
        "s",
        "From the first to the last sound, without the silence around it.",
        lambda measured: measured.column("duration_s"),
    ),
    "brightness": Trend(
        "Brightness",
        "Hz",
        "The mean spectral centroid: a tense voice has more energy at high frequencies.",
        lambda measured: measured.column("centroid_hz_mean"),
        log=True,
    ),
    "jitter": Trend(
        "Jitter",
        "semitones",
        "The median change of f0 from one voiced frame to the next, 20 ms later: how unsteady the pitch is. Jitter from period to period, "
        "which takes the periods one by one, is not measured.",
        _jitter,
    ),
    "voiced": Trend(
        "Voiced share",
        "of the frames",
        "How much of a clip has a pitch; whispering has none.",
        lambda measured: measured.column("voiced_share"),
    ),
}
"""What `trend` can follow, by name."""


VOICE = ("f0", "f0_range", "level", "rate")
"""Figures of TRENDS that tell voices apart, whatever is said."""


def of_voice(clip: decoding.Clip, features: extraction.Features, names: Sequence[str] = VOICE) -> dict[str, float]:
    """Return figures of TRENDS of one clip, as they are measured on corpora: name -> value, NaN where there is nothing to measure."""
    row = build.facts(clip, clip.waveform, features)
    one = Measured(
        pd.DataFrame([row], columns=list(FACTS)),
        vectors.summary(features)[np.newaxis],
        summary_columns(features.config),
        (),
        "",
    )
    return {name: float(TRENDS[name].of(one)[0]) for name in names}


def share_below(measured: Measured, name: str, value: float) -> float:
    """Return the share of clips, 0..1, whose figure of TRENDS is below a value; ties count half. NaN where no clip has the figure."""
    known = TRENDS[name].of(measured)
    known = known[np.isfinite(known)]
    return float(((known < value) + (known == value) / 2).mean()) if len(known) else float("nan")


def trend(measured: Measured, name: str, *, speakers: np.ndarray | None = None) -> np.ndarray:
    """Return a figure of TRENDS for each clip, float (n_clips,); with speakers, its distance from the mean of the clip's speaker."""
    row = TRENDS[name]
    values = row.of(measured)
    if speakers is None:
        return values
    return without_speaker(12 * np.log2(np.where(values > 0, values, np.nan)) if row.log else values, speakers)


def without_speaker(values: np.ndarray, speakers: np.ndarray) -> np.ndarray:
    """Return values, (n_clips,) or (n_clips, n), minus the mean over all clips of the same speaker; NaN counts for nothing."""
    table = pd.DataFrame(values)
    centred: np.ndarray = (
        (table - table.groupby(speakers).transform("mean")).to_numpy().reshape(values.shape).astype(values.dtype)
    )
    return centred


def explained(values: np.ndarray, groups: np.ndarray) -> float:
    """Return the share of the variance of values, (n_clips,), that lies between groups: eta squared, 0..1; NaN for fewer than 2 clips."""
    known = pd.Series(values).dropna()
    total = float(((known - known.mean()) ** 2).sum())
    if len(known) < 2 or total == 0:
        return float("nan")
    means = known.groupby(np.asarray(groups)[known.index]).transform("mean")
    return float(((means - known.mean()) ** 2).sum()) / total


def mfcc_profile(measured: Measured, labels: np.ndarray, *, speakers: np.ndarray | None = None) -> pd.DataFrame:
    """Return the mean MFCCs of each label as distances from the mean of all clips, in standard deviations: one row per label."""
    names = [
        name for name in measured.columns if name.startswith("mfcc_") and name.endswith("_mean") and "delta" not in name
    ]
    values = np.stack([measured.column(name) for name in names], axis=1)
    if speakers is not None:
        values = without_speaker(values, speakers)
    table = pd.DataFrame(values, columns=[int(name.split("_")[1]) for name in names])
    return ((table - table.mean()) / table.std(ddof=0).replace(0, np.nan)).groupby(labels).mean()
