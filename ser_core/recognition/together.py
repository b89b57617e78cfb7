"""All together: one calibrated answer of several models, as one more Prediction.

models/together.json says which models belong to a pool, and with which weights; training/together.py writes it. A pool is of those very
models: it does not apply to one that was trained again. Whoever collects the models' predictions calls `lead`.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from msgspec import Meta

from ser_core.corpora import catalogue
from ser_core.errors import ConfigError, ModelError
from ser_core.metrics import pooling
from ser_core.metrics.curves import Share
from ser_core.metrics.evaluation import Evaluation
from ser_core.recognition import recognizer
from ser_core.recognition.card import ModelCard, is_description
from ser_core.recognition.recognizer import Prediction
from ser_core.system import files, untrusted_json

NAME = "together"
"""What the pool is called where a model has its slug; no model may have this one."""

TITLE = "All together"
FILE = "together.json"
FORMAT = 1
MAX_BYTES = 2**20
MAX_POOLS, MAX_MODELS = 8, 32
_RESTORE = "Restore the file, delete it, or run `make models` again."

Weight = Annotated[float, Meta(ge=0, le=pooling.MAX_WEIGHT)]


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Some models that answer together.

    weights: slug -> its weight in the log-linear pool (metrics/pooling.py). digests: slug -> `digest` of the model that the weight was
    learned for. labels: what each of them may answer, in order. threshold: the least top probability of an accepted answer, None
    where none was chosen. protocol: how the figures were measured, in words. per_corpus, unheard: held-out figures as a model's card has
    them.
    """

    weights: dict[str, Weight]
    digests: dict[str, str]
    labels: tuple[str, ...]
    threshold: Share | None = None
    protocol: str
    per_corpus: dict[str, Evaluation] = field(default_factory=dict)
    unheard: dict[str, Evaluation] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the pool as JSON values."""
        return asdict(self) | {
            "labels": list(self.labels),
            "per_corpus": {name: each.to_dict() for name, each in self.per_corpus.items()},
            "unheard": {name: each.to_dict() for name, each in self.unheard.items()},
        }

    @classmethod
    def from_dict(cls, values: Any) -> Pool:
        """Build a pool from JSON values; raises ValueError or ConfigError where one is missing, unknown or out of range."""
        untrusted_json.check_names(values, cls)
        measured = {
            name: {corpus: Evaluation.from_dict(each) for corpus, each in _object(values[name]).items()}
            for name in ("per_corpus", "unheard")
        }
        pool = untrusted_json.convert(values | measured, cls)
        slugs = list(pool.weights)
        if not 1 <= len(slugs) <= MAX_MODELS or set(slugs) != set(pool.digests):
            raise ValueError(f"its weights and digests must be of the same models, 1 to {MAX_MODELS}")
        if wrong := [slug for slug in slugs if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", slug)]:
            raise ValueError(f"{wrong[0][:100]!r} is not a model's name")
        if not sum(pool.weights.values()) > 0:
            raise ValueError("no weight is above 0")
        if len(set(pool.labels)) < max(len(pool.labels), 2) or not set(pool.labels) <= set(catalogue.ALL_LABELS):
            raise ValueError("its labels are not different emotions")
        if not is_description(pool.protocol) or not all(map(is_description, [*pool.per_corpus, *pool.unheard])):
            raise ValueError("its words are too long, or have letters that cannot be seen")
        for each in (*pool.per_corpus.values(), *pool.unheard.values()):
            if not set(each.labels) <= set(pool.labels) or not is_description(each.protocol):
                raise ValueError("its figures are of other labels")
        return pool


def _object(values: Any) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise ValueError(f"its figures must be an object, got {type(values).__name__}")
    return values


def digest(card: ModelCard) -> str:
    """Return a key of what decides a model's answers: it changes when the model is trained or calibrated again."""
    facts = [card.classifier, card.labels, card.features.to_dict(), card.temperature, sorted(card.files.items())]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def write(pools: Sequence[Pool], folder: Path) -> None:
    """Write the pools of a models folder as `read` reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    values = {"format": FORMAT, "pools": [each.to_dict() for each in pools]}
    files.write_atomically(folder / FILE, json.dumps(values, indent=1) + "\n")
    (folder / FILE).chmod(0o644)


def read(folder: Path) -> tuple[Pool, ...]:
    """Return the pools of a models folder, none where it has no such file; raises ModelError where it is damaged.

    The file is read again only when it has changed.
    """
    try:
        facts = os.stat(folder / FILE)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise ModelError(f"{FILE} cannot be read ({error.strerror}). {_RESTORE}") from error
    found = _read(folder / FILE, facts.st_mtime_ns, facts.st_size)
    if isinstance(found, str):
        raise ModelError(found)
    return found


@functools.lru_cache(maxsize=16)
def _read(path: Path, changed_ns: int, size: int) -> tuple[Pool, ...] | str:
    """Return the pools of a file, or the sentence on why it cannot be used."""
    try:
        content = files.read_limited(path, MAX_BYTES)
        values = untrusted_json.loads(content.decode("utf-8"))
        if not isinstance(values, dict) or set(values) != {"format", "pools"} or not isinstance(values["pools"], list):
            raise ValueError("its entries must be format and pools")
        if values["format"] != FORMAT or isinstance(values["format"], bool):
            return (
                f"{FILE} has format {str(values['format'])[:20]!r}, and this version reads format {FORMAT}. {_RESTORE}"
            )
        if len(values["pools"]) > MAX_POOLS:
            raise ValueError(f"it has more than {MAX_POOLS} pools")
        return tuple(map(Pool.from_dict, values["pools"]))
    except (OSError, ValueError, TypeError, ConfigError) as error:
        return f"{FILE} cannot be used: {str(error)[:400]}. {_RESTORE}"


def problem(folder: Path) -> str:
    """Return why the pools of a models folder cannot be used, "" where they can or there are none."""
    try:
        read(folder)
    except ModelError as error:
        return str(error)
    return ""


def choose(folder: Path, digests: Mapping[str, str]) -> Pool | None:
    """Return the pool of the most models of which all are here, as they were; None where there is none. digests: slug -> `digest`."""
    try:
        pools = read(folder)
    except ModelError:  # `problem` says it, where models are listed
        return None
    whole = [each for each in pools if each.digests.items() <= digests.items()]
    return max(whole, key=lambda each: len(each.weights), default=None)


def lead(predictions: Iterable[Prediction], digests: Mapping[str, str], folder: Path) -> list[Prediction]:
    """Return the models' predictions for a clip after that of all together, where a pool of this folder has all of its models among them.

    digests: slug -> `digest` of each model.
    """
    alone = list(predictions)
    by_model = {each.model: each for each in alone}
    pool = choose(folder, {slug: digests[slug] for slug in by_model if slug in digests})
    if pool is None or any(set(by_model[slug].probabilities) != set(pool.labels) for slug in pool.weights):
        return alone
    return [combine(pool, by_model), *alone]


def combine(pool: Pool, by_model: Mapping[str, Prediction]) -> Prediction:
    """Return the answer of a pool from its models' predictions; milliseconds is the sum of theirs."""
    members = [by_model[slug] for slug in pool.weights]
    answers = np.array([[each.probabilities[label] for label in pool.labels] for each in members])
    shares = pooling.pool(answers, np.array(list(pool.weights.values())))
    return Prediction(
        model=NAME,
        label=pool.labels[int(shares.argmax())],
        probabilities={label: float(share) for label, share in zip(pool.labels, shares, strict=True)},
        milliseconds=round(sum(each.milliseconds for each in members), 3),
        threshold=pool.threshold,
        adapted=recognizer.n_takes(members),
    )


def apart(predictions: Iterable[Prediction]) -> tuple[Prediction | None, list[Prediction]]:
    """Return the answer of all together, None where there is none, and those of the models."""
    found = list(predictions)
    return next((each for each in found if each.model == NAME), None), [each for each in found if each.model != NAME]
