"""Trained models on disk: the one place that knows the files under models/.

A model is a folder: card.json and the weights it names with their hashes. A folder is written beside its place and renamed;
until that is done its predecessor stays as .old-NAME, and is read from there. Nothing here runs code from a model file.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from ser_core import classifiers
from ser_core.errors import ConfigError, ModelError
from ser_core.evaluation import Evaluation
from ser_core.features import FeatureConfig
from ser_core.recognizer import Recognizer

FORMAT = 1
CARD = "card.json"
MODELS = Path(os.environ.get("SER_MODELS") or Path(__file__).resolve().parent.parent / "models")
SHIPPED = ("knn", "mlp", "cnn", "cnn_lstm")
_OLD = ".old-"
_KINDS: dict[type, tuple[str, ...]] = {
    str: ("slug", "title", "created", "classifier", "protocol", "licence", "limits"),
    dict: ("hyperparameters", "features", "training", "per_corpus", "versions", "files"),
    list: ("labels", "corpora"),
    int: ("n_parameters",),
}
"""What each entry of card.json is; evaluation and temperature are checked where they are read."""


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """The facts saved with a model; card.json holds the same names.

    evaluation: held-out figures on the main corpus; per_corpus: the same by corpus. corpora: one dict a training corpus
    (corpus, title, n_clips, n_speakers, licence, citation). files: sha256 of each weight file. created is UTC, ISO 8601.
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
    temperature: float
    licence: str
    limits: str
    versions: dict[str, str]
    files: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT

    def to_dict(self) -> dict[str, Any]:
        """Return the card as JSON values."""
        return asdict(self) | {
            "labels": list(self.labels),
            "features": self.features.to_dict(),
            "corpora": list(self.corpora),
            "evaluation": self.evaluation.to_dict() if self.evaluation else None,
            "per_corpus": {name: evaluation.to_dict() for name, evaluation in self.per_corpus.items()},
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelCard:
        """Build a card from JSON values; raises ModelError where something is missing, unknown or of a later format."""
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            found = values.get("format") if isinstance(values, dict) else None
            raise ModelError(f"its card has format {found!r}, and this version reads format {FORMAT}. Update the app or train it again.")
        names = {each.name for each in fields(cls)}
        if set(values) != names:
            wrong = ", ".join(sorted(set(values) ^ names))
            raise ModelError(f"its card has missing or unknown entries ({wrong}). Restore the folder or train it again.")
        for kind, entries in _KINDS.items():
            for name in entries:
                if not isinstance(values[name], kind):
                    raise ModelError(f"its card has {values[name]!r} as {name}. Restore the folder or train it again.")
        if not 0 < len(values["labels"]) == len(set(map(str, values["labels"]))):
            raise ModelError(f"its card has {values['labels']!r} as labels. Restore the folder or train it again.")
        if not values["files"]:
            raise ModelError("its card names no weight file. Restore the folder or train it again.")
        try:
            temperature = float(values["temperature"])
            if not (math.isfinite(temperature) and temperature > 0):
                raise ValueError(f"temperature must be above 0, got {temperature}")
            evaluation = values["evaluation"]
            return cls(
                **values
                | {
                    "labels": tuple(values["labels"]),
                    "features": FeatureConfig.from_dict(values["features"]),
                    "corpora": tuple(values["corpora"]),
                    "evaluation": Evaluation.from_dict(evaluation) if evaluation else None,
                    "per_corpus": {name: Evaluation.from_dict(each) for name, each in values["per_corpus"].items()},
                    "temperature": temperature,
                }
            )
        except (TypeError, ValueError, KeyError, AttributeError, ConfigError) as error:
            raise ModelError(f"its card cannot be used: {error}. Restore the folder or train it again.") from error


def list_models(folder: Path = MODELS) -> tuple[list[ModelCard], list[str]]:
    """Return the cards of a models folder, the shipped four first, and a sentence for each folder that cannot be used.

    Weights are not opened.
    """
    cards, problems = [], []
    if not folder.is_dir():
        return [], [f"There is no models folder at {folder}. Restore it from the project, or set SER_MODELS to another folder."]
    for slug in _slugs(folder):
        try:
            cards.append(read_card(slug, folder))
        except ModelError as error:
            problems.append(str(error))
    order = {slug: position for position, slug in enumerate(SHIPPED)}
    return sorted(cards, key=lambda card: (order.get(card.slug, len(order)), card.title.lower())), problems


def read_card(slug: str, folder: Path = MODELS) -> ModelCard:
    """Return the card of one model; raises ModelError."""
    path = _folder(slug, folder) / CARD
    if not path.parent.exists():
        known = ", ".join(_slugs(folder)) if folder.is_dir() else ""
        raise ModelError(f"There is no model '{slug}' in {folder}. {f'Choose from {known}.' if known else 'Restore that folder.'}")
    try:
        card = ModelCard.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ModelError(f"Model '{slug}' has no {CARD}. Restore {path.parent} or delete that folder.") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"Model '{slug}': its card cannot be read ({error}). Restore {path.parent} or train it again.") from error
    except ModelError as error:
        raise ModelError(f"Model '{slug}': {error}") from error
    if card.slug != slug:
        raise ModelError(f"Model '{slug}': its card says it is '{card.slug}'. Rename the folder or restore it.")
    return card


def load(slug: str, folder: Path = MODELS) -> Recognizer:
    """Return the recognizer of one model, its files checked against the card; raises ModelError."""
    card = read_card(slug, folder)
    path = _folder(slug, folder)
    if card.classifier not in classifiers.CLASSIFIERS:
        raise ModelError(f"Model '{slug}' is a '{card.classifier}', which this version does not know. Update the app.")
    for name, expected in card.files.items():
        if Path(name).name != name:
            raise ModelError(f"Model '{slug}' names a file outside its folder ({name!r}). Delete it and get it again.")
        try:
            found = _sha256(path / name)
        except OSError as error:
            raise ModelError(f"Model '{slug}': {name} cannot be read ({error.strerror}). Restore {path} or train it again.") from error
        if found != expected:
            raise ModelError(f"Model '{slug}': {name} is not what its card describes (the hash differs). Restore {path} or train it again.")
    classifier = classifiers.load(card.classifier, path, card.labels)
    return Recognizer(
        slug=slug,
        config=card.features,
        labels=card.labels,
        classifier=classifier,
        input_kind=classifiers.CLASSIFIERS[card.classifier].input_kind,
        temperature=card.temperature,
    )


def save(card: Callable[[dict[str, str]], ModelCard], classifier: classifiers.TrainableClassifier, folder: Path = MODELS) -> ModelCard:
    """Write a trained classifier and its card, and return the card; an older model of that slug is replaced whole.

    card is called with {file name: sha256} once the weights are written.
    """
    part = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=folder, prefix=".part-"))
        names = classifier.save(part)
        written = card({name: _sha256(part / name) for name in names})
        text = json.dumps(written.to_dict(), indent=1, ensure_ascii=False)
        (part / CARD).write_text(text + "\n", encoding="utf-8")
        part.chmod(0o755)
        _put_in_place(part, written.slug, folder)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ModelError(f"The model could not be saved in {folder}: {reason}. Free some space and train again.") from error
    finally:
        if part:
            shutil.rmtree(part, ignore_errors=True)
    return written


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
