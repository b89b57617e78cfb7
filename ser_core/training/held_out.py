"""The answers that models gave to clips which they had not learned from: of each clip, by model and protocol, kept in one file.

`make models` and `python -m ser_core table` write it, the former to RESULTS. Whoever wants to know how a clip was answered reads
it: together.py learns weights from it. It may be damaged or untrusted: everything is checked as it is read.
"""

from __future__ import annotations

import contextlib
import io
import json
import lzma
import re
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from msgspec import Meta

from ser_core.corpora import catalogue
from ser_core.dataset import protocols
from ser_core.errors import ConfigError
from ser_core.system import files, units, untrusted_json

RESULTS = Path(__file__).parents[1] / "experiments" / "results" / "held_out.npz"
FORMAT = 1

ALL, ALONE, OTHERS = "all corpora", "this corpus alone", "the other corpora"
SCOPES = (ALL, ALONE, OTHERS)
"""What each training learned from: what is not held out of all corpora, or of the tested one alone; or all corpora but the tested one."""

FOLD = "fold"
COLUMNS = (catalogue.CORPUS, catalogue.NAME, catalogue.EMOTION, catalogue.SPEAKER)

MAX_BYTES, MAX_UNPACKED = 2**26, 2**28
MAX_CLIPS, MAX_PARTS, MAX_MODELS = 500_000, 500, 64
MAX_HEADER = 1000
_LEVELS = 255

_DAMAGE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    RuntimeError,
    SyntaxError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    tokenize.TokenError,
)
"""What zipfile and NumPy raise for a damaged file."""

Text = Annotated[str, Meta(max_length=1000)]


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """The held-out answers of some models under one protocol.

    protocol: a row of protocols.PROTOCOLS. scope: one of SCOPES. corpus: the tested one, "" where several were tested in the same folds.
    condition: under which the clips were heard, a name of degradations.CONDITIONS and a level; "" as they were recorded.
    labels: what the columns mean. clips: one row a tested clip, with COLUMNS and FOLD, the training that left it out. probabilities: slug
    -> float (n_clips, n_labels), calibrated, rows sum to 1. keys: slug -> what tells the model, or its recipe, from others.
    """

    protocol: str
    scope: str
    corpus: str = ""
    condition: str = ""
    labels: tuple[str, ...]
    clips: pd.DataFrame
    probabilities: Mapping[str, np.ndarray]
    keys: Mapping[str, str] = field(default_factory=dict)

    @property
    def place(self) -> tuple[str, str, str, str]:
        """What tells it from others in a file."""
        return self.protocol, self.scope, self.corpus, self.condition

    @property
    def y(self) -> np.ndarray:
        """The positions of the true labels in `labels`, int (n_clips,)."""
        position = {label: number for number, label in enumerate(self.labels)}
        found: np.ndarray = self.clips[catalogue.EMOTION].map(position).to_numpy(int)
        return found


def of(
    clips: pd.DataFrame,
    folds: np.ndarray,
    probabilities: np.ndarray,
    slug: str,
    *,
    labels: Sequence[str],
    protocol: str,
    scope: str,
    corpus: str = "",
    condition: str = "",
    key: str = "",
) -> HeldOut:
    """Return one model's answers, (n_clips, n_labels), to the rows of a clips table; clips whose row is 0 are left out."""
    answered = probabilities.sum(axis=1) > 0
    rows = clips.loc[answered, list(COLUMNS)].assign(**{FOLD: folds[answered]}).reset_index(drop=True)
    return HeldOut(
        protocol=protocol,
        scope=scope,
        corpus=corpus,
        condition=condition,
        labels=tuple(labels),
        clips=rows,
        probabilities={slug: probabilities[answered]},
        keys={slug: key},
    )


def find(parts: Sequence[HeldOut], protocol: str, scope: str, corpus: str = "", condition: str = "") -> HeldOut | None:
    """Return the answers of one place; None where there are none."""
    return next((each for each in parts if each.place == (protocol, scope, corpus, condition)), None)


def merged(parts: Sequence[HeldOut], fresh: HeldOut) -> tuple[HeldOut, ...]:
    """Return answers with more of them: models are added where clips, folds and labels are the same, else the earlier answers go."""
    old = find(parts, *fresh.place)
    if old and old.labels == fresh.labels and _same(old.clips, fresh.clips):
        joined = {**old.probabilities, **fresh.probabilities}
        fresh = replace(old, probabilities=joined, keys={**old.keys, **fresh.keys})
    return tuple(sorted([*(each for each in parts if each.place != fresh.place), fresh], key=lambda each: each.place))


def _same(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    columns = [*COLUMNS, FOLD]
    return len(one) == len(other) and bool((one[columns].to_numpy(object) == other[columns].to_numpy(object)).all())


def add(path: Path, *fresh: HeldOut) -> None:
    """Add answers to a file, as `merged` does; one that cannot be read is begun anew."""
    parts: tuple[HeldOut, ...] = ()
    with contextlib.suppress(ConfigError):
        parts = read(path) if path.exists() else ()
    for each in fresh:
        parts = merged(parts, each)
    write(path, parts)


def write(path: Path, parts: Sequence[HeldOut]) -> None:
    """Write answers as `read` reads them, in a byte each; the rest as JSON.

    A byte is the root of the probability over that of the answer: small ones stay apart, and what was read is written as it was.
    """
    tables = [each.clips[list(COLUMNS)] for each in parts]
    clips = pd.concat([*tables, pd.DataFrame(columns=list(COLUMNS))]).drop_duplicates().reset_index(drop=True)
    number = {row: place for place, row in enumerate(clips.itertuples(index=False, name=None))}
    arrays: dict[str, np.ndarray] = {}
    rows = []
    for place, each in enumerate(parts):
        table = each.clips[list(COLUMNS)].itertuples(index=False, name=None)
        arrays[f"rows_{place}"] = np.array([number[row] for row in table], np.int32)
        arrays[f"folds_{place}"] = each.clips[FOLD].to_numpy(np.int16)
        for slug, probabilities in each.probabilities.items():
            highest = probabilities.max(axis=1, keepdims=True)
            levels = np.rint(_LEVELS * np.sqrt(probabilities / highest)).astype(np.uint8)
            # A label that is all but as probable stays behind: what was answered must come back.
            levels[(levels == _LEVELS) & (probabilities < highest)] -= 1
            arrays[f"answers_{place}_{slug}"] = levels
        rows.append(
            {
                "protocol": each.protocol,
                "scope": each.scope,
                "corpus": each.corpus,
                "condition": each.condition,
                "labels": list(each.labels),
                "keys": {slug: each.keys.get(slug, "") for slug in each.probabilities},
            }
        )
    facts = {"format": FORMAT, "clips": {name: clips[name].astype(str).to_list() for name in COLUMNS}, "parts": rows}
    arrays["facts"] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_atomically(path, lambda file: np.savez_compressed(file, **arrays))  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class _Part:
    """A row of the facts in a file."""

    protocol: str
    scope: str
    corpus: str
    labels: tuple[str, ...]
    keys: dict[str, Text]
    condition: str = ""


@dataclass(frozen=True, kw_only=True)
class _Facts:
    """What a file says of its arrays."""

    format: int
    clips: dict[str, list[Text]]
    parts: Annotated[tuple[_Part, ...], Meta(max_length=MAX_PARTS)]


def read(path: Path = RESULTS) -> tuple[HeldOut, ...]:
    """Return the answers in a file; raises ConfigError where it is missing or damaged. Nothing in it is run, and its sizes are limited."""
    try:
        content = files.read_limited(path, MAX_BYTES)
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _parts(archive)
    except _DAMAGE as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigError(
            f"The held-out answers in '{path.name}' cannot be read ({reason[:300]}). Restore the file, or run `make models` again."
        ) from None


def _parts(archive: zipfile.ZipFile) -> tuple[HeldOut, ...]:
    members = {each.filename: each for each in archive.infolist()}
    if sum(each.file_size for each in archive.infolist()) > MAX_UNPACKED:
        raise ValueError(f"it unpacks to more than {units.size(MAX_UNPACKED, binary=True)}")

    def array(name: str, kind: type[np.generic], shape: tuple[int | None, ...]) -> np.ndarray:
        return _array(archive, members[f"{name}.npy"], np.dtype(kind), shape)

    values = untrusted_json.loads(array("facts", np.uint8, (None,)).tobytes())
    facts = untrusted_json.convert(values, _Facts)
    for each in values["parts"]:
        untrusted_json.check_names(each, _Part, optional=("condition",))
    if facts.format != FORMAT:
        raise ValueError(f"it has format {facts.format}, and this version reads format {FORMAT}")
    clips = facts.clips
    n_clips = len(clips.get(catalogue.NAME, ()))
    if set(clips) != set(COLUMNS) or {len(each) for each in clips.values()} != {n_clips} or n_clips > MAX_CLIPS:
        raise ValueError(f"its clips must have {', '.join(COLUMNS)}, for each of at most {MAX_CLIPS:,}")
    if not set(clips[catalogue.EMOTION]) <= set(catalogue.ALL_LABELS):
        raise ValueError("its clips have labels that are no emotions")
    table = pd.DataFrame({name: clips[name] for name in COLUMNS}, dtype=object)
    found = []
    for place, each in enumerate(facts.parts):
        _check(each)
        rows = array(f"rows_{place}", np.int32, (None,))
        if rows.size and not 0 <= rows.min() <= rows.max() < n_clips:
            raise ValueError("an answer is of a clip that it does not list")
        answers = {}
        for slug in each.keys:
            levels = array(f"answers_{place}_{slug}", np.uint8, (len(rows), len(each.labels))).astype(float)
            shares = (levels / _LEVELS) ** 2
            if not (levels.max(axis=1) == _LEVELS).all():
                raise ValueError(f"the answers of '{slug}' are no probabilities")
            answers[slug] = shares / shares.sum(axis=1, keepdims=True)
        of_part = table.iloc[rows].reset_index(drop=True)
        if not set(of_part[catalogue.EMOTION]) <= set(each.labels):
            raise ValueError("a clip has a label that its models do not know")
        found.append(
            HeldOut(
                protocol=each.protocol,
                scope=each.scope,
                corpus=each.corpus,
                condition=each.condition,
                labels=each.labels,
                clips=of_part.assign(**{FOLD: array(f"folds_{place}", np.int16, (len(rows),)).astype(int)}),
                probabilities=answers,
                keys=each.keys,
            )
        )
    if len({each.place for each in found}) < len(found):
        raise ValueError("it has two parts of one protocol")
    return tuple(found)


def _check(part: _Part) -> None:
    """Raise ValueError where a part is of no protocol, scope, labels or models that there can be."""
    if part.protocol not in protocols.PROTOCOLS or part.scope not in SCOPES or len(part.corpus + part.condition) > 100:
        raise ValueError(f"it has answers of {part.protocol[:50]!r}, {part.scope[:50]!r}, {part.corpus[:50]!r}")
    if len(set(part.labels)) != len(part.labels) or not set(part.labels) <= set(catalogue.ALL_LABELS):
        raise ValueError("its labels are not different emotions")
    if len(part.keys) > MAX_MODELS or not all(
        re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", slug) for slug in part.keys
    ):
        raise ValueError(f"its answers must be of at most {MAX_MODELS} models, with names of models")


def _array(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, kind: np.dtype[Any], shape: tuple[int | None, ...]
) -> np.ndarray:
    """Return an array in NumPy's format of a kind and a shape (None: any length); what it says of itself is checked before it is made."""
    with archive.open(member) as file:
        content = io.BytesIO(file.read(member.file_size))
    if np.lib.format.read_magic(content) != (1, 0):
        raise ValueError(f"{member.filename[:100]} is in another format")
    there, fortran, found = np.lib.format.read_array_header_1_0(content, max_header_size=MAX_HEADER)
    data = content.read()
    fits = len(there) == len(shape) and all(want in (None, n) for n, want in zip(there, shape, strict=True))
    if not fits or fortran or found != kind or len(data) != int(np.prod(there, dtype=object)) * kind.itemsize:
        raise ValueError(f"{member.filename[:100]} does not have the size that it should have")
    return np.frombuffer(data, kind).reshape(there)
