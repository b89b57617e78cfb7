"""Trained models on disk: the one place that knows the files under models/.

A model is a folder: card.json and the weights it names with their hashes. A folder is written beside its place and renamed;
until that is done its predecessor stays as .old-NAME, and is read from there. Nothing here runs code from a model file.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import json
import math
import os
import re
import shutil
import tempfile
import time
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ser_core import classifiers, corpora, plain_json, runs, sandbox
from ser_core.errors import ConfigError, ModelError
from ser_core.evaluation import Evaluation
from ser_core.features import FeatureConfig
from ser_core.recognizer import Recognizer

FORMAT = 4
CARD = "card.json"
MODELS = Path(os.environ.get("SER_MODELS") or Path(__file__).resolve().parent.parent / "models")
SHIPPED = ("knn", "mlp", "cnn", "cnn_lstm")
KERAS_FILE = "model.keras"
"""The weight file from which a network can be trained on."""
MAX_TITLE, MAX_DESCRIPTION, MAX_SLUG = 80, 2000, 40
MAX_CARD_BYTES = 5 * 2**20
MAX_TEXT = 10_000
"""Letters of any text in a card; the longest of the shipped cards has 850."""

MAX_VALUES = 300_000
"""Numbers and texts in a card: it lists the clips that a model learned from, of which the largest collections have tens of thousands."""

MAX_NUMBER = 1e15
"""Of any number in a card, above or below 0: all whole numbers up to it are exact as floats, and it fits a page."""

MAX_PARAMETERS = 10**10
MIN_TEMPERATURE, MAX_TEMPERATURE = 1e-3, 1e3
"""Calibration finds one between 0.25 and 8."""

STALE_S = 24 * 3600
_OLD, _PART = ".old-", ".part-"
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
"""Names that Windows keeps for devices."""
_KINDS: dict[type, tuple[str, ...]] = {
    str: ("slug", "title", "description", "created", "classifier", "protocol", "licence", "limits"),
    dict: ("hyperparameters", "features", "training", "split", "per_corpus", "unheard", "versions", "files"),
    list: ("labels", "corpora", "architecture"),
    int: ("n_parameters",),
}
"""What each entry of card.json is; evaluation, temperature and threshold are checked where they are read."""


def _are_text(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(each, str) for each in values)


def is_title(text: str) -> bool:
    """Return whether a text may be a model's name: one line that can be seen, without what hides or turns around letters."""
    return bool(text.strip()) and len(text) <= MAX_TITLE and text.isprintable()


def is_description(text: str) -> bool:
    """Return whether a text may describe a model: as `is_title`, but it may be empty, longer, and of several lines."""
    return len(text) <= MAX_DESCRIPTION and text.replace("\n", "").isprintable()


def _is_seen(text: str) -> bool:
    """Return whether a text has no letter that is not seen: none that steers, is of no width or turns others around."""
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
    "n_parameters": _is_count,
    "labels": lambda labels: (
        _are_text(labels) and 0 < len(labels) == len(set(labels)) and set(labels) <= set(corpora.ALL_LABELS)
    ),
    "corpora": lambda rows: all(isinstance(row, dict) and isinstance(row.get("corpus"), str) for row in rows),
    "architecture": lambda rows: all(map(_is_layer, rows)),
    "split": lambda parts: all(
        isinstance(part, dict)
        and _are_text(part.get("speakers", []))
        and isinstance(part.get("clips", {}), dict)
        and all(map(_are_text, part.get("clips", {}).values()))
        for part in parts.values()
    ),
    "training": lambda settings: (
        isinstance(settings.get("start_from") or "", str)
        and all(_is_seen(each) for each in settings.values() if isinstance(each, str))
    ),
    "files": lambda files: bool(files) and _are_text(list(files.values())),
    "versions": lambda versions: _are_text(list(versions.values())),
}
"""What must hold inside of those entries that others read without asking again."""

_NAMES = ("split", "training")
"""Entries that name clips and speakers as somebody else did: no page shows those."""

_ADDED: dict[int, dict[str, Any]] = {
    1: {"description": "", "split": {}, "architecture": [], "threshold": None, "unheard": {}},
    2: {"threshold": None, "unheard": {}},
    3: {"unheard": {}},
}
"""Earlier format -> the entries that it had not, as they are read from its cards."""


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """The facts saved with a model; card.json holds the same names.

    evaluation: held-out figures on the main corpus; per_corpus: the same by corpus; unheard: by corpus, of
    the same recipe trained on the other corpora alone. corpora: one dict a training corpus
    (corpus, title, n_clips, n_speakers, licence, citation). split: part (train, validation, test) -> {"speakers": [...], "clips":
    {corpus: [names]}}; without "clips" all that those speakers say in the corpora. architecture: a row a layer or step (name, shape,
    parameters, detail). threshold: the top probability from which on the model is sure (certainty.RULE), None where none was chosen.
    files: sha256 of each weight file. created is UTC, ISO 8601.
    """

    slug: str
    title: str
    created: str
    classifier: str
    hyperparameters: dict[str, Any]
    n_parameters: int
    labels: tuple[str, ...]
    features: FeatureConfig
    training: dict[str, Any]
    corpora: tuple[dict[str, Any], ...]
    protocol: str
    evaluation: Evaluation | None
    per_corpus: dict[str, Evaluation]
    unheard: dict[str, Evaluation] = field(default_factory=dict)
    temperature: float
    threshold: float | None = None
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
        """Whether a stranger may have made it: it came as a file, so that it is asked in a process of its own (sandbox.py)."""
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
        names = {each.name for each in fields(cls)}
        if set(values) != names:
            wrong = ", ".join(sorted(set(values) ^ names))
            raise ModelError(
                f"its card has missing or unknown entries ({wrong}). Restore the folder or train it again."
            )
        for kind, entries in _KINDS.items():
            for name in entries:
                if not isinstance(values[name], kind):
                    raise ModelError(
                        f"its card has {repr(values[name])[:200]} as {name}. Restore the folder or train it again."
                    )
        for name, fits in _INSIDE.items():
            if not fits(values[name]):
                raise ModelError(
                    f"its card has {repr(values[name])[:200]} as {name}. Restore the folder or train it again."
                )
        values = values | {"training": _finite(values["training"])}
        for name, value in values.items():
            _check_values(name, value)
        try:
            temperature = values["temperature"]
            if isinstance(temperature, bool) or not MIN_TEMPERATURE <= float(temperature) <= MAX_TEMPERATURE:
                raise ValueError(
                    f"temperature must be from {MIN_TEMPERATURE:g} to {MAX_TEMPERATURE:g}, got {temperature}"
                )
            threshold = values["threshold"]
            if threshold is not None and (isinstance(threshold, bool) or not 0 <= float(threshold) <= 1):
                raise ValueError(f"threshold must be from 0 to 1, got {threshold}")
            evaluation = values["evaluation"]
            card = cls(
                **values
                | {
                    "labels": tuple(values["labels"]),
                    "features": FeatureConfig.from_dict(values["features"]),
                    "corpora": tuple(values["corpora"]),
                    "architecture": tuple(values["architecture"]),
                    "evaluation": Evaluation.from_dict(evaluation) if evaluation else None,
                    "per_corpus": {name: Evaluation.from_dict(each) for name, each in values["per_corpus"].items()},
                    "unheard": {name: Evaluation.from_dict(each) for name, each in values["unheard"].items()},
                    "temperature": float(temperature),
                    "threshold": None if threshold is None else float(threshold),
                }
            )
            figures = [
                *([card.evaluation] if card.evaluation else []),
                *card.per_corpus.values(),
                *card.unheard.values(),
            ]
            if any(
                not set(each.labels) <= set(corpora.ALL_LABELS) or len(set(each.labels)) < len(each.labels)
                for each in figures
            ):
                raise ValueError("its figures are of other labels than there are")
            return card
        except (TypeError, ValueError, KeyError, AttributeError, OverflowError, ConfigError) as error:
            raise ModelError(
                f"its card cannot be used: {str(error)[:400]}. Restore the folder or train it again."
            ) from error


def _finite(value: Any) -> Any:
    """Return a value with None for each number in it that is none: the loss of a training that went astray."""
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _check_values(name: str, value: Any) -> None:
    """Raise ModelError where an entry of a card is larger than any of ours, or shows what cannot be seen."""
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
            raise ModelError(f"its card has {problem} in {name}. Restore the folder or train it again.")


def list_models(folder: Path | None = None) -> tuple[list[ModelCard], list[str]]:
    """Return the cards of a models folder, the shipped four first, and a sentence for each folder that cannot be used.

    Weights are not opened.
    """
    folder = folder or MODELS
    cards, problems = [], []
    if not folder.is_dir():
        return [], [
            f"There is no models folder at {folder}. Restore it from the project, or set SER_MODELS to another folder."
        ]
    for slug in _slugs(folder):
        try:
            cards.append(_read_again(slug, folder))
        except _Gone:
            continue
        except ModelError as error:
            problems.append(str(error))
    order = {slug: position for position, slug in enumerate(SHIPPED)}
    return sorted(cards, key=lambda card: (order.get(card.slug, len(order)), card.title.lower())), problems


class _Gone(ModelError):
    """There is no such model: maybe another process has deleted it since it was listed."""


def _read_again(slug: str, folder: Path) -> ModelCard:
    """Return a card; what cannot be read is looked at twice, for another process may have put a model in its place just then."""
    try:
        return read_card(slug, folder)
    except _Gone:
        raise
    except ModelError:
        return read_card(slug, folder)


def read_card(slug: str, folder: Path | None = None) -> ModelCard:
    """Return the card of one model; raises ModelError."""
    folder = folder or MODELS
    path = _folder(slug, folder) / CARD
    if not path.parent.exists():
        known = ", ".join(_slugs(folder)) if folder.is_dir() else ""
        raise _Gone(
            f"There is no model '{slug}' in {folder}. {f'Choose from {known}.' if known else 'Restore that folder.'}"
        )
    try:
        with path.open("rb") as file:
            content = file.read(MAX_CARD_BYTES + 1)
        if len(content) > MAX_CARD_BYTES:
            raise ValueError(f"it has more than {MAX_CARD_BYTES / 2**20:.0f} MB")
        card = _parsed(content.decode("utf-8"))
    except FileNotFoundError:
        if not path.parent.exists():
            raise _Gone(f"Model '{slug}' was deleted just now. Choose another one.") from None
        raise ModelError(f"Model '{slug}' has no {CARD}. Restore {path.parent} or delete that folder.") from None
    except (OSError, ValueError) as error:
        raise ModelError(
            f"Model '{slug}': its card cannot be read ({error}). Restore {path.parent} or train it again."
        ) from error
    except ModelError as error:
        raise ModelError(f"Model '{slug}': {error}") from error
    if card.slug != slug:
        raise ModelError(f"Model '{slug}': its card says it is '{card.slug}'. Rename the folder or restore it.")
    return card


@functools.lru_cache(maxsize=64)
def _parsed(text: str) -> ModelCard:
    """Return the card that a text holds. Pages list the models at each rerun, and a card's curves take a while to check."""
    return ModelCard.from_dict(plain_json.loads(text))


def load(slug: str, folder: Path | None = None) -> Recognizer:
    """Return the recognizer of one model, its files checked against the card; raises ModelError."""
    folder = folder or MODELS
    card = read_card(slug, folder)
    path = _folder(slug, folder)
    if card.classifier not in classifiers.CLASSIFIERS:
        raise ModelError(f"Model '{slug}' is a '{card.classifier}', which this version does not know. Update the app.")
    for name in card.files:
        _check_file(card, name, path)
    if card.imported:
        classifier: classifiers.Classifier = sandbox.ForeignClassifier(
            card.labels, functools.partial(_foreign, slug, folder)
        )
    else:
        classifier = classifiers.load(card.classifier, path, card.labels)
    return Recognizer(
        slug=slug,
        config=card.features,
        labels=card.labels,
        classifier=classifier,
        input_kind=classifiers.CLASSIFIERS[card.classifier].input_kind,
        temperature=card.temperature,
        threshold=card.threshold,
    )


def _check_file(card: ModelCard, name: str, path: Path) -> None:
    """Raise ModelError where a file in a model's folder is not what the card says."""
    if Path(name).name != name:
        raise ModelError(f"Model '{card.slug}' names a file outside its folder ({name!r}). Delete it and get it again.")
    try:
        found = _sha256(path / name)
    except OSError as error:
        raise ModelError(
            f"Model '{card.slug}': {name} cannot be read ({error.strerror}). Restore {path} or train it again."
        ) from error
    if found != card.files[name]:
        raise ModelError(
            f"Model '{card.slug}': {name} is not what its card describes (the hash differs). Restore {path} or train it again."
        )


def _foreign(slug: str, folder: Path) -> sandbox.Model:
    """Return what is needed of a stranger's model to ask it; raises ModelError."""
    card, path = read_card(slug, folder), _folder(slug, folder)
    name = classifiers.weight_file(card.classifier)
    if name not in card.files:
        raise ModelError(f"Model '{slug}' names no {name} in its card. Delete it and get it again.")
    _check_file(card, name, path)
    return sandbox.Model(card.classifier, card.labels, (path / name).read_bytes())


def save(
    card: Callable[[dict[str, str]], ModelCard], classifier: classifiers.TrainableClassifier, folder: Path | None = None
) -> ModelCard:
    """Write a trained classifier and its card, and return the card; an older model of that slug is replaced whole.

    card is called with {file name: sha256} once the weights are written.
    """
    folder = folder or MODELS
    part = None
    try:
        part = _new_part(folder)
        names = classifier.save(part)
        written = card({name: _sha256(part / name) for name in names})
        _write_card(part, written)
        _put_in_place(part, written.slug, folder)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ModelError(
            f"The model could not be saved in {folder}: {reason}. Free some space and train again."
        ) from error
    finally:
        if part:
            shutil.rmtree(part, ignore_errors=True)
    return written


def save_new(
    card: Callable[[dict[str, str]], ModelCard], classifier: classifiers.TrainableClassifier, folder: Path | None = None
) -> ModelCard:
    """Write a trained classifier beside the models there are, under a name made from its title, and return its card."""

    folder = folder or MODELS
    def fill(part: Path) -> ModelCard:
        names = classifier.save(part)
        return card({name: _sha256(part / name) for name in names})

    return add(fill, folder)


def add(fill: Callable[[Path], ModelCard], folder: Path | None = None) -> ModelCard:
    """Put a new model into a models folder and return its card, with the slug that it got; no other model is replaced.

    fill(part) writes the weights into an empty folder and returns the card, whose own slug does not count. Processes may do this at
    the same time: each renames its folder to the first name that is free.
    """
    folder = folder or MODELS
    part = None
    try:
        part = _new_part(folder)
        card = fill(part)
        for slug in _free_slugs(card.title):
            card = replace(card, slug=slug)
            if (folder / slug).exists() or (folder / (_OLD + slug)).exists():
                continue
            _write_card(part, card)
            try:
                os.rename(part, folder / slug)
                return card
            except OSError:
                if not (folder / slug).exists():
                    raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise ModelError(
            f"The model could not be saved in {folder}: {reason}. Free some space and try again."
        ) from error
    finally:
        if part:
            shutil.rmtree(part, ignore_errors=True)
    raise AssertionError("unreachable: there is always a free name")


def rename(slug: str, *, title: str | None = None, description: str | None = None, folder: Path | None = None) -> ModelCard:
    """Give a model another title or description and return its card; its slug, by which others know it, stays. Raises ModelError."""
    folder = folder or MODELS
    values = {}
    if title is not None:
        if not is_title(title):
            raise ModelError(f"A model's name has 1 to {MAX_TITLE} characters. Got {title[:MAX_TITLE]!r}.")
        values["title"] = title.strip()
    if description is not None:
        if not is_description(description):
            raise ModelError(f"A description has at most {MAX_DESCRIPTION} characters, and no control characters.")
        values["description"] = description.strip()
    _refuse_shipped(slug)
    card = replace(read_card(slug, folder), **values)  # type: ignore[arg-type]
    try:
        _write_card(_folder(slug, folder), card)
    except OSError as error:
        raise ModelError(
            f"The card of '{slug}' could not be written: {error.strerror}. Free some space and try again."
        ) from error
    return card


def replace_card(card: ModelCard, folder: Path | None = None) -> ModelCard:
    """Write new figures into the card of a model whose weights stay, and return it; raises ModelError where the weights are others."""
    folder = folder or MODELS
    if read_card(card.slug, folder).files != card.files:
        raise ModelError(f"Model '{card.slug}' has other weights than these figures belong to. Make it again.")
    try:
        _write_card(_folder(card.slug, folder), card)
    except OSError as error:
        raise ModelError(
            f"The card of '{card.slug}' could not be written: {error.strerror}. Free some space and try again."
        ) from error
    return card


def delete(slug: str, folder: Path | None = None) -> None:
    """Delete a model that is not shipped, damaged or whole; raises ModelError."""
    folder = folder or MODELS
    path = _folder(slug, folder)
    _refuse_shipped(slug)
    if not path.exists():
        read_card(slug, folder)  # says which models there are
    try:
        doomed = Path(tempfile.mkdtemp(dir=folder, prefix=_PART))
        os.replace(path, doomed / slug)  # in one step: nobody loads half a model
    except OSError as error:
        raise ModelError(
            f"Model '{slug}' could not be deleted: {error.strerror}. Check who may write to {folder}."
        ) from error
    shutil.rmtree(doomed, ignore_errors=True)


def slug_of(title: str) -> str:
    """Return a folder name made from a title: plain lower-case letters, digits and hyphens."""
    plain = unicodedata.normalize("NFKD", title.replace("ß", "ss")).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:MAX_SLUG].strip("-")
    return slug if slug and slug not in _RESERVED else f"model-{slug}".strip("-")


def _free_slugs(title: str) -> Iterator[str]:
    """Yield names for a new model, the plainest first; never that of a shipped one."""
    slug = slug_of(title)
    if slug.replace("-", "_") not in SHIPPED:
        yield slug
    for number in itertools.count(2):
        yield f"{slug}-{number}"


def _refuse_shipped(slug: str) -> None:
    if slug in SHIPPED:
        raise ModelError(
            f"'{slug}' is one of the shipped models, which stay as they are. Train or import one of your own."
        )


def _new_part(folder: Path) -> Path:
    """Return an empty hidden folder beside the models. What a killed process left there a day ago is removed."""
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob(f"{_PART}*"):
        with contextlib.suppress(FileNotFoundError):  # another process was faster
            if time.time() - stale.stat().st_mtime > STALE_S:
                shutil.rmtree(stale, ignore_errors=True)
    return Path(tempfile.mkdtemp(dir=folder, prefix=f"{_PART}{os.getpid()}-"))


def sweep(folder: Path | None = None) -> None:
    """Remove what this process has begun to write and will not finish: it is about to end at once."""
    folder = folder or MODELS
    for part in folder.glob(f"{_PART}{os.getpid()}-*"):
        shutil.rmtree(part, ignore_errors=True)


def _write_card(part: Path, card: ModelCard) -> None:
    """Write the card into a model's folder, as a whole, and let others read the folder."""
    runs.replace_text(part / CARD, json.dumps(card.to_dict(), indent=1, ensure_ascii=False) + "\n")
    (part / CARD).chmod(0o644)
    part.chmod(0o755)


def _put_in_place(part: Path, slug: str, folder: Path) -> None:
    """Rename a finished folder to its slug. Its predecessor waits as .old-SLUG, where `_folder` finds it if this is cut short."""
    _folder(slug, folder)
    target, old = folder / slug, folder / (_OLD + slug)
    if target.exists():
        if old.exists():
            shutil.rmtree(old)
        os.replace(target, old)
    os.replace(part, target)
    shutil.rmtree(old, ignore_errors=True)


def _slugs(folder: Path) -> list[str]:
    """Return the names of the models in a folder, sorted."""
    names = {path.name.removeprefix(_OLD) for path in folder.iterdir() if path.is_dir()}
    return sorted(name for name in names if not name.startswith("."))


def _folder(slug: str, folder: Path) -> Path:
    """Return the folder that holds a model; raises ModelError for a name that would lead elsewhere."""
    if not slug or Path(slug).name != slug or slug.startswith("."):
        raise ModelError(f"{slug!r} is not a model's name. Names are plain folder names such as 'cnn'.")
    path, old = folder / slug, folder / (_OLD + slug)
    return old if old.is_dir() and not path.exists() else path


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
