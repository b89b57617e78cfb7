"""The facts saved with a model: what card.json holds, and its check."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any

from msgspec import Meta

from ser_core.corpora import catalogue
from ser_core.errors import ConfigError, ModelError
from ser_core.features.config import FeatureConfig
from ser_core.metrics.curves import Share
from ser_core.metrics.evaluation import Evaluation
from ser_core.system import untrusted_json, untrusted_text

FORMAT = 4
MAX_TITLE, MAX_DESCRIPTION, MAX_SLUG = 80, 2000, 40
MAX_CARD_BYTES = 5 * 2**20
MAX_TEXT = 10_000
"""Most characters of any text in a card; the longest of the shipped cards has 850."""

MAX_VALUES = 300_000
"""Most numbers and texts in a card: it lists the training clips, of which the largest collections have tens of thousands."""

MAX_NUMBER = 1e15
"""Largest absolute value of a number in a card: all whole numbers up to it are exact as floats, and it fits a page."""

MAX_PARAMETERS = 10**10
MIN_TEMPERATURE, MAX_TEMPERATURE = 1e-3, 1e3
"""Calibration finds one between 0.25 and 8."""
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
"""Names that Windows reserves for devices."""


def _are_text(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(each, str) for each in values)


def is_title(text: str) -> bool:
    """Return whether a text may be a model's name: one printable line, without characters that hide or reverse others."""
    return bool(text.strip()) and len(text) <= MAX_TITLE and text.isprintable()


def is_description(text: str) -> bool:
    """Return whether a text may describe a model: as `is_title`, but it may be empty, longer, and of several lines."""
    return len(text) <= MAX_DESCRIPTION and text.replace("\n", "").isprintable()


def _is_seen(text: str) -> bool:
    """Return whether a text is printable: no control, zero-width or direction-changing characters."""
    return all(letter.isprintable() or letter in "\n\t" or unicodedata.category(letter) == "Zs" for letter in text)


def _is_utc(text: str) -> bool:
    try:
        return text.isascii() and datetime.fromisoformat(text).utcoffset() == timedelta(0)
    except ValueError:
        return False


def _is_layer(row: Any) -> bool:
    return (
        isinstance(row, dict)
        and all(isinstance(row.get(name) or "", str) for name in ("name", "detail"))
        and isinstance(row.get("shape") or [], list)
        and all(size is None or _is_count(size) for size in row.get("shape") or [])
        and _is_count(row.get("parameters") or 0)
    )


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_PARAMETERS


_INSIDE: dict[str, Callable[[Any], bool]] = {
    "slug": lambda slug: bool(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", slug)),
    "title": is_title,
    "description": is_description,
    "created": _is_utc,
    "labels": lambda labels: (
        _are_text(labels) and 0 < len(labels) == len(set(labels)) and set(labels) <= set(catalogue.ALL_LABELS)
    ),
    "corpora": lambda rows: all(isinstance(row, dict) and isinstance(row.get("corpus"), str) for row in rows),
    "architecture": lambda rows: all(map(_is_layer, rows)),
    "split": lambda parts: all(
        isinstance(part, dict)
        and _are_text(part.get("speakers", []))
        and isinstance(part.get("clips", {}), dict)
        and all(map(_are_text, part.get("clips", {}).values()))
        and isinstance(part.get("sounds", {}), dict)
        and all(map(_are_text, part.get("sounds", {}).values()))
        for part in parts.values()
    ),
    "training": lambda settings: (
        isinstance(settings.get("start_from") or "", str)
        and all(_is_seen(each) for each in settings.values() if isinstance(each, str))
    ),
    "files": bool,
}
"""Checks of nested values that other modules read without checking again."""

_RESTORE = "Restore the folder or train it again."

_NAMES = ("split", "training")
"""Entries with untrusted names of clips and speakers: no page shows those."""

_ADDED: dict[int, dict[str, Any]] = {
    1: {"description": "", "split": {}, "architecture": [], "threshold": None, "unheard": {}},
    2: {"threshold": None, "unheard": {}},
    3: {"unheard": {}},
}
"""Earlier format -> the entries that it lacks, with the values that are read for them."""


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """The facts saved with a model; card.json holds the same names.

    evaluation: held-out figures on the main corpus; per_corpus: the same by corpus; unheard: by corpus, of
    the same recipe trained on the other corpora alone. corpora: one dict per training corpus
    (corpus, title, n_clips and n_speakers that were learned from, licence, citation). split: part (train, validation, test) ->
    {"speakers": [...], "clips": {corpus: [names]}, "sounds": {corpus: [a print of each clip, see duplicates.py]}};
    without "clips" all clips of those speakers in the corpora. architecture: one row per layer or step (name, shape,
    parameters, detail). threshold: the least top probability of an accepted answer (metrics/abstention.py), None where none was chosen.
    files: sha256 of each weight file. created is UTC, ISO 8601.
    """

    slug: str
    title: str
    created: str
    classifier: str
    hyperparameters: dict[str, Any]
    n_parameters: Annotated[int, Meta(ge=0, le=MAX_PARAMETERS)]
    labels: tuple[str, ...]
    features: FeatureConfig
    training: dict[str, Any]
    corpora: tuple[dict[str, Any], ...]
    protocol: str
    evaluation: Evaluation | None
    per_corpus: dict[str, Evaluation]
    unheard: dict[str, Evaluation] = field(default_factory=dict)
    temperature: Annotated[float, Meta(ge=MIN_TEMPERATURE, le=MAX_TEMPERATURE)]
    threshold: Share | None = None
    licence: str
    limits: str
    versions: dict[str, str]
    description: str = ""
    split: dict[str, Any] = field(default_factory=dict)
    architecture: tuple[dict[str, Any], ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT

    def to_dict(self) -> dict[str, Any]:
        """Return the card as JSON values."""
        return asdict(self) | {
            "labels": list(self.labels),
            "features": self.features.to_dict(),
            "corpora": list(self.corpora),
            "architecture": list(self.architecture),
            "evaluation": self.evaluation.to_dict() if self.evaluation else None,
            "per_corpus": {name: evaluation.to_dict() for name, evaluation in self.per_corpus.items()},
            "unheard": {name: evaluation.to_dict() for name, evaluation in self.unheard.items()},
        }

    @property
    def imported(self) -> bool:
        """Whether the model is untrusted: it was imported from a file, so it runs in a separate process (sandbox.py)."""
        return bool(self.training.get("imported"))

    @property
    def measured(self) -> list[tuple[str, Evaluation]]:
        """Corpus and figures, of all that the card has figures of."""
        return [*self.per_corpus.items(), *self.unheard.items()]

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelCard:
        """Build a card from JSON values; raises ModelError where something is missing, unknown or of a later format."""
        found = values.get("format") if isinstance(values, dict) else None
        if isinstance(found, bool) or found not in (*_ADDED, FORMAT):
            raise ModelError(
                f"its card has format {found!r}, and this version reads format {FORMAT}. Update the app or train it again."
            )
        if found in _ADDED:
            values = {**_ADDED[found], **values, "format": FORMAT}
        try:
            untrusted_json.check_names(values, cls)
        except ValueError as error:
            raise ModelError(f"its card has {error}. {_RESTORE}") from None
        for name, fits in _INSIDE.items():
            if not _holds(fits, values[name]):
                raise ModelError(f"its card has {repr(values[name])[:200]} as {name}. {_RESTORE}")
        values = values | {"training": _finite(values["training"])}
        for name, value in values.items():
            _check_values(name, value)
        try:
            evaluation = values["evaluation"]
            card = untrusted_json.convert(
                values
                | {
                    "features": FeatureConfig.from_dict(values["features"]),
                    "evaluation": Evaluation.from_dict(evaluation) if evaluation else None,
                    "per_corpus": {name: Evaluation.from_dict(each) for name, each in values["per_corpus"].items()},
                    "unheard": {name: Evaluation.from_dict(each) for name, each in values["unheard"].items()},
                },
                cls,
            )
            for _, each in [("", card.evaluation), *card.measured]:
                if each and (
                    not set(each.labels) <= set(catalogue.ALL_LABELS) or len(set(each.labels)) < len(each.labels)
                ):
                    raise ValueError("its figures are of other labels than there are")
            return card
        except (TypeError, ValueError, AttributeError, ConfigError) as error:
            raise ModelError(f"its card cannot be used: {str(error)[:400]}. {_RESTORE}") from error


def _holds(fits: Callable[[Any], bool], value: Any) -> bool:
    try:
        return fits(value)
    except (TypeError, AttributeError):  # it is of another kind
        return False


def _finite(value: Any) -> Any:
    """Return a value with None for each non-finite number in it: the loss of a training that diverged."""
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _check_values(name: str, value: Any) -> None:
    """Raise ModelError where an entry of a card is larger than the limits, or has unprintable characters."""
    waiting, n = [value], 0
    while waiting:
        each = waiting.pop()
        n += 1
        problem = ""
        if isinstance(each, dict):
            waiting += [*each, *each.values()]
        elif isinstance(each, list):
            waiting += each
        elif isinstance(each, int | float) and not (math.isfinite(each) and abs(each) <= MAX_NUMBER):
            problem = f"a number that is none, or is beyond {MAX_NUMBER:g}"
        elif isinstance(each, str) and len(each) > MAX_TEXT:
            problem = f"a text of {len(each):,} letters"
        elif isinstance(each, str) and name not in _NAMES and not (each.isprintable() or _is_seen(each)):
            problem = "letters that cannot be seen"
        if n + len(waiting) > MAX_VALUES:
            problem = f"more than {MAX_VALUES:,} values"
        if problem:
            raise ModelError(f"its card has {problem} in {name}. {_RESTORE}")


def slug_of(title: str) -> str:
    """Return a folder name derived from a title, none that Windows reserves."""
    slug = untrusted_text.slug(title, MAX_SLUG)
    return slug if slug and slug not in _RESERVED else f"model-{slug}".strip("-")
