"""Trained models on disk: the one place that knows the files under models/.

A model is a folder: card.json and the weights it names with their hashes. A folder is written under a temporary name and renamed;
until then its predecessor stays as .old-NAME, and is read from there. Nothing here runs code from a model file.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import itertools
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from ser_core import classifiers, paths
from ser_core.errors import ModelError
from ser_core.features import encoder, vectors
from ser_core.recognition import sandbox, together
from ser_core.recognition.card import (
    MAX_CARD_BYTES,
    MAX_DESCRIPTION,
    MAX_TITLE,
    ModelCard,
    is_description,
    is_title,
    slug_of,
)
from ser_core.recognition.recognizer import Recognizer
from ser_core.system import units, untrusted_json
from ser_core.system.files import write_atomically

CARD = "card.json"
FOUR = ("knn", "mlp", "cnn", "cnn_lstm")
"""The models that learned from recordings of emotions alone."""

SHIPPED = (*FOUR, "transfer")

TRANSFER = "SER_TRANSFER"
"""Environment variable: 0 leaves out the models with a pretrained encoder, on a machine that has no time for it."""

KERAS_FILE = "model.keras"
"""The weight file from which the training of a network can continue."""

STALE_S = 24 * 3600
_OLD, _PART = ".old-", ".part-"


def list_models(folder: Path | None = None) -> tuple[list[ModelCard], list[str]]:
    """Return the cards of a models folder, the shipped ones first, and a sentence for each folder that cannot be used.

    Weights are not opened. Where SER_TRANSFER is 0, models with a pretrained encoder are left out.
    """
    folder = folder or paths.models_folder()
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
    if not _with_pretrained():
        cards = [card for card in cards if not is_pretrained(card)]
    if problem := together.problem(folder):
        problems.append(problem)
    order = {slug: position for position, slug in enumerate(SHIPPED)}
    return sorted(cards, key=lambda card: (order.get(card.slug, len(order)), card.title.lower())), problems


def usual() -> tuple[str, ...]:
    """Return the shipped models that are asked unless others are named: without a pretrained one where SER_TRANSFER is 0."""
    return SHIPPED if _with_pretrained() else FOUR


def _with_pretrained() -> bool:
    return os.environ.get(TRANSFER, "").strip() != "0"


def is_pretrained(card: ModelCard) -> bool:
    """Return whether a model hears through the pretrained encoder."""
    return card.classifier in classifiers.CLASSIFIERS and bool(classifiers.CLASSIFIERS[card.classifier].pretrained)


class _Gone(ModelError):
    """There is no such model: another process may have deleted it since it was listed."""


def _read_again(slug: str, folder: Path) -> ModelCard:
    """Return a card; a failed read is retried once, since another process may have replaced the model just then."""
    try:
        return read_card(slug, folder)
    except _Gone:
        raise
    except ModelError:
        return read_card(slug, folder)


def read_card(slug: str, folder: Path | None = None) -> ModelCard:
    """Return the card of one model; raises ModelError."""
    folder = folder or paths.models_folder()
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
            raise ValueError(f"it has more than {units.size(MAX_CARD_BYTES, binary=True)}")
        card = _parsed(content.decode("utf-8"))
    except FileNotFoundError:
        if not path.parent.exists():
            raise _Gone(f"Model '{slug}' was just deleted. Choose another one.") from None
        raise ModelError(f"Model '{slug}' has no {CARD}. Restore {path.parent} or delete that folder.") from None
    except (OSError, ValueError) as error:
        raise ModelError(
            f"Model '{slug}': its card cannot be read ({error}). Restore {path.parent} or retrain it."
        ) from error
    except ModelError as error:
        raise ModelError(f"Model '{slug}': {error}") from error
    if card.slug != slug:
        raise ModelError(f"Model '{slug}': its card says it is '{card.slug}'. Rename the folder or restore it.")
    return card


@functools.lru_cache(maxsize=64)
def _parsed(text: str) -> ModelCard:
    """Return the card in a text, cached: pages list the models at each rerun, and a card's curves take a while to check."""
    return ModelCard.from_dict(untrusted_json.loads(text))


def load(slug: str, folder: Path | None = None) -> Recognizer:
    """Return the recognizer of one model, its files checked against the card; raises ModelError."""
    folder = folder or paths.models_folder()
    card = read_card(slug, folder)
    path = _folder(slug, folder)
    if card.classifier not in classifiers.CLASSIFIERS:
        raise ModelError(f"Model '{slug}' is a '{card.classifier}', which this version does not know. Update the app.")
    for name in card.files:
        _check_file(card, name, path)
    if is_pretrained(card) and card.versions.get(encoder.VERSION_NAME) != encoder.digest():
        raise ModelError(
            f"Model '{slug}' was trained on the outputs of another pretrained encoder than the one here. Train it again."
        )
    if card.imported:
        classifier: classifiers.Classifier = sandbox.ForeignClassifier(
            card.labels, functools.partial(_foreign, slug, folder)
        )
    else:
        classifier = classifiers.load(card.classifier, path, card.labels)
        _check_inputs(card, classifier)
    return Recognizer(
        slug=slug,
        config=card.features,
        labels=card.labels,
        classifier=classifier,
        input_kind=classifiers.CLASSIFIERS[card.classifier].input_kind,
        temperature=card.temperature,
        threshold=card.threshold,
        digest=together.digest(card),
    )


def _check_inputs(card: ModelCard, classifier: classifiers.Classifier) -> None:
    """Raise ModelError where a model was fitted on other measures of a clip than are taken now."""
    fitted = getattr(classifier, "n_inputs", None)
    if fitted and classifiers.CLASSIFIERS[card.classifier].input_kind == vectors.VECTOR:
        measured = len(vectors.summary_columns(card.features))
        if fitted != measured:
            raise ModelError(
                f"Model '{card.slug}' learned from {fitted:,} measures of a clip, and this version takes {measured:,}. Train it again."
            )


def _check_file(card: ModelCard, name: str, path: Path) -> None:
    """Raise ModelError where a file in a model's folder is not what the card says."""
    if Path(name).name != name:
        raise ModelError(f"Model '{card.slug}' names a file outside its folder ({name!r}). Delete it and get it again.")
    try:
        found = _sha256(path / name)
    except OSError as error:
        raise ModelError(
            f"Model '{card.slug}': {name} cannot be read ({error.strerror}). Restore {path} or retrain it."
        ) from error
    if found != card.files[name]:
        raise ModelError(
            f"Model '{card.slug}': {name} is not what its card describes (the hash differs). Restore {path} or retrain it."
        )


def _foreign(slug: str, folder: Path) -> sandbox.Model:
    """Return what is needed to run an untrusted model; raises ModelError."""
    card, path = read_card(slug, folder), _folder(slug, folder)
    name = classifiers.weight_file(card.classifier)
    if name not in card.files:
        raise ModelError(f"Model '{slug}' names no {name} in its card. Delete it and get it again.")
    _check_file(card, name, path)
    return sandbox.Model(card.classifier, card.labels, (path / name).read_bytes())


def save(
    card: Callable[[dict[str, str]], ModelCard], classifier: classifiers.TrainableClassifier, folder: Path | None = None
) -> ModelCard:
    """Write a trained classifier and its card, and return the card; an older model of that slug is replaced as a whole.

    card is called with {file name: sha256} once the weights are written.
    """
    folder = folder or paths.models_folder()
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
    """Write a trained classifier as a new model, under a name derived from its title, and return its card."""

    folder = folder or paths.models_folder()

    def fill(part: Path) -> ModelCard:
        names = classifier.save(part)
        return card({name: _sha256(part / name) for name in names})

    return add(fill, folder)


def add(fill: Callable[[Path], ModelCard], folder: Path | None = None) -> ModelCard:
    """Add a new model to a models folder and return its card, with its slug; no other model is replaced.

    fill(part) writes the weights into an empty folder and returns the card, whose own slug does not count. Processes may do this at
    the same time: each renames its folder to the first name that is free.
    """
    folder = folder or paths.models_folder()
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
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) and not (folder / slug).exists():
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


def rename(
    slug: str, *, title: str | None = None, description: str | None = None, folder: Path | None = None
) -> ModelCard:
    """Give a model another title or description and return its card; its slug, by which others know it, stays. Raises ModelError."""
    folder = folder or paths.models_folder()
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
    """Write new figures into the card of a model whose weights stay, and return it; raises ModelError where the weights differ."""
    folder = folder or paths.models_folder()
    if read_card(card.slug, folder).files != card.files:
        raise ModelError(f"Model '{card.slug}' has other weights than these figures belong to. Rebuild it.")
    try:
        _write_card(_folder(card.slug, folder), card)
    except OSError as error:
        raise ModelError(
            f"The card of '{card.slug}' could not be written: {error.strerror}. Free some space and try again."
        ) from error
    return card


def delete(slug: str, folder: Path | None = None) -> None:
    """Delete a model that is not shipped, damaged or whole; raises ModelError."""
    folder = folder or paths.models_folder()
    path = _folder(slug, folder)
    _refuse_shipped(slug)
    if not path.exists():
        read_card(slug, folder)  # its error lists the models
    try:
        doomed = Path(tempfile.mkdtemp(dir=folder, prefix=_PART))
        os.replace(path, doomed / slug)  # in one step: no process loads half a model
    except OSError as error:
        raise ModelError(
            f"Model '{slug}' could not be deleted: {error.strerror}. Check who may write to {folder}."
        ) from error
    shutil.rmtree(doomed, ignore_errors=True)


def _free_slugs(title: str) -> Iterator[str]:
    """Yield names for a new model, the simplest first; never that of a shipped one."""
    slug = slug_of(title)
    if slug.replace("-", "_") not in (*SHIPPED, paths.ENCODERS, together.NAME):
        yield slug
    for number in itertools.count(2):
        yield f"{slug}-{number}"


def _refuse_shipped(slug: str) -> None:
    if slug in SHIPPED:
        raise ModelError(
            f"'{slug}' is one of the shipped models, which cannot be changed. Train or import another one."
        )


def _new_part(folder: Path) -> Path:
    """Return an empty hidden folder next to the models. Folders of killed processes are removed after a day."""
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob(f"{_PART}*"):
        with contextlib.suppress(FileNotFoundError):  # another process was faster
            if time.time() - stale.stat().st_mtime > STALE_S:
                shutil.rmtree(stale, ignore_errors=True)
    return Path(tempfile.mkdtemp(dir=folder, prefix=f"{_PART}{os.getpid()}-"))


def sweep(folder: Path | None = None) -> None:
    """Remove unfinished files of this process, which is about to end at once."""
    folder = folder or paths.models_folder()
    for part in folder.glob(f"{_PART}{os.getpid()}-*"):
        shutil.rmtree(part, ignore_errors=True)


def _write_card(part: Path, card: ModelCard) -> None:
    """Write the card into a model's folder atomically, and let others read the folder."""
    write_atomically(part / CARD, json.dumps(card.to_dict(), indent=1, ensure_ascii=False) + "\n")
    (part / CARD).chmod(0o644)
    part.chmod(0o755)


def _put_in_place(part: Path, slug: str, folder: Path) -> None:
    """Rename a finished folder to its slug. Its predecessor stays as .old-SLUG, where `_folder` finds it if this is interrupted."""
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
    return sorted(name for name in names if not name.startswith(".") and name != paths.ENCODERS)


def _folder(slug: str, folder: Path) -> Path:
    """Return the folder that holds a model; raises ModelError for a name that would lead outside the models folder."""
    if not slug or Path(slug).name != slug or slug.startswith(".") or slug in (together.NAME, paths.ENCODERS):
        raise ModelError(f"{slug!r} is not a model's name. Names are plain folder names such as 'cnn'.")
    path, old = folder / slug, folder / (_OLD + slug)
    return old if old.is_dir() and not path.exists() else path


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
