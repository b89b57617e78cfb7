"""A model as one file that people pass on: a zip of its card and weights. What comes in is a stranger's until every check has passed.

Nothing is written to the models folder before that, nothing under a name from the zip, and nothing replaces another model.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ser_core import audio, classifiers, corpora, features, plain_json, probe, recognizer, store
from ser_core.errors import ModelError

ENDING = ".ser.zip"
MAX_BYTES = 100 * 2**20
"""Of the zip, and of each file that is unpacked from it."""

MAX_LOADED_BYTES = 64 * 2**20
"""Of a weight file that the server loads: it takes some times that much for a moment."""

MAX_CARD_BYTES = 5 * 2**20
MAX_SCHEMA_BYTES = 10 * 2**20
_ZIP_ERRORS = (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, NotImplementedError, EOFError, OSError, ValueError, RuntimeError)
"""What reading a damaged zip raises."""

WEIGHTS: dict[str, frozenset[str]] = {"vector": frozenset({"model.skops"}), "frames": frozenset({"model.onnx", store.KERAS_FILE})}
"""The weight files of a classifier, by its input kind."""


def export_model(slug: str, folder: Path = store.MODELS) -> bytes:
    """Return a model as the bytes of a zip, its weights checked against the card; raises ModelError."""
    store.load(slug, folder)
    card = store.read_card(slug, folder)
    out = io.BytesIO()
    try:
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in (store.CARD, *card.files):
                archive.writestr(name, (folder / slug / name).read_bytes())
    except OSError as error:
        raise ModelError(f"Model '{slug}' cannot be read ({error.strerror}). Restore it or train it again.") from error
    return out.getvalue()


def import_model(source: bytes | Path | BinaryIO, folder: Path = store.MODELS) -> store.ModelCard:
    """Put a model from a zip into a models folder and return its card; its slug is made from its title, and replaces no other.

    Raises
    ------
    ModelError : where anything about the zip, the card or the weights is not what `export_model` makes.
    """
    try:
        size = len(source) if isinstance(source, bytes) else source.stat().st_size if isinstance(source, Path) else source.seek(0, 2)
        if size > MAX_BYTES:
            raise ModelError(f"The file has {size / 2**20:.0f} MB; a model has at most {MAX_BYTES / 2**20:.0f} MB.")
        with zipfile.ZipFile(io.BytesIO(source) if isinstance(source, bytes) else source) as archive:
            files = _unpacked(archive)
    except _ZIP_ERRORS as error:
        raise ModelError(f"The file is no model: it cannot be read as a zip ({error}). Choose a file that was exported here.") from None
    card = _card(files.pop(store.CARD))
    _check_weights(card, files)

    def fill(part: Path) -> store.ModelCard:
        while files:  # written and let go: trying a large model out takes memory enough
            name, content = files.popitem()
            (part / name).write_bytes(content)
            del content
        _try_out(card, part)
        return replace(card, training=card.training | {"imported": datetime.now(UTC).isoformat(timespec="seconds")})

    return store.add(fill, folder)


def _unpacked(archive: zipfile.ZipFile) -> dict[str, bytes]:
    """Return the files of a zip by name: those a model has, each read up to its limit whatever its header says."""
    allowed = {store.CARD}.union(*WEIGHTS.values())
    names = [info.filename for info in archive.infolist()]
    if len(set(names)) != len(names) or not set(names) <= allowed:
        strange = next((name for name in names if name not in allowed), "a file twice")
        raise ModelError(f"The file is no model: it holds {strange[:80]!r}. A model holds {', '.join(sorted(allowed))} and nothing else.")
    if store.CARD not in names:
        raise ModelError(f"The file is no model: it has no {store.CARD}. Choose a file that was exported here.")
    files = {}
    for name in names:
        limit = MAX_CARD_BYTES if name == store.CARD else MAX_BYTES
        with archive.open(name) as file:
            files[name] = file.read(limit + 1)
        if len(files[name]) > limit:
            raise ModelError(f"The file is no model: {name} unpacks to more than {limit / 2**20:.0f} MB.")
    return files


def _card(content: bytes) -> store.ModelCard:
    try:
        values = plain_json.loads(content.decode("utf-8"))
    except ValueError as error:
        raise ModelError(f"The model's card cannot be read: {error}. Export the model again.") from None
    try:
        card = store.ModelCard.from_dict(values)
    except ModelError as error:
        raise ModelError(f"The model cannot be imported: {error}") from None
    if card.classifier not in classifiers.CLASSIFIERS:
        raise ModelError(f"The model is a '{card.classifier[:40]}', which this version does not know. Update the app.")
    unknown = [label for label in card.labels if label not in corpora.ALL_LABELS]
    if unknown:
        raise ModelError(f"The model has the label {str(unknown[0])[:40]!r}. Labels here are {', '.join(corpora.ALL_LABELS)}.")
    if not card.title.strip() or len(card.title) > store.MAX_TITLE or not card.title.isprintable():
        raise ModelError(f"The model's name must have 1 to {store.MAX_TITLE} characters. Rename it and export it again.")
    if len(card.description) > store.MAX_DESCRIPTION:
        raise ModelError(f"The model's description has more than {store.MAX_DESCRIPTION} characters.")
    return card


def _check_weights(card: store.ModelCard, files: Mapping[str, bytes]) -> None:
    expected = WEIGHTS[classifiers.CLASSIFIERS[card.classifier].input_kind]
    if set(files) != set(card.files) or set(files) != expected:
        raise ModelError(f"The model should hold {', '.join(sorted(expected))}, and holds {', '.join(sorted(files)) or 'nothing'}.")
    for name, content in files.items():
        if hashlib.sha256(content).hexdigest() != card.files[name]:
            raise ModelError(f"{name} is not what the model's card describes (the hash differs). Get the file again.")
        if name != store.KERAS_FILE and len(content) > MAX_LOADED_BYTES:
            raise ModelError(f"{name} has {len(content) / 2**20:.0f} MB; {MAX_LOADED_BYTES / 2**20:.0f} MB is the most.")
        if name != "model.onnx":
            _check_inner(name, content)


def _check_inner(name: str, content: bytes) -> None:
    """Raise ModelError where a weight file, itself a zip, would unpack to too much. Its headers bound what is read of it."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            sizes = {info.filename: info.file_size for info in archive.infolist()}
            n, total = len(archive.infolist()), sum(info.file_size for info in archive.infolist())
            limit = MAX_LOADED_BYTES if name == "model.skops" else MAX_BYTES
            if name == "model.skops" and total <= limit:
                total = max(total, _referred(archive, sizes))
    except (*_ZIP_ERRORS, KeyError):
        raise ModelError(f"{name} is damaged. Export the model again.") from None
    if total > limit or n > 5000:
        raise ModelError(f"{name} unpacks to {total / 2**20:.0f} MB in {n} files, more than a model has.")


def _referred(archive: zipfile.ZipFile, sizes: Mapping[str, int]) -> int:
    """Return how many bytes of arrays the schema of a skops file asks for: it may name one file many times."""
    if sizes["schema.json"] > MAX_SCHEMA_BYTES:
        raise ValueError("the schema is too large")
    total, waiting = 0, [plain_json.loads(archive.read("schema.json"))]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            file = each.get("file")
            total += sizes.get(file, 0) if isinstance(file, str) else 0
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each
    return total


def _try_out(card: store.ModelCard, part: Path) -> None:
    """Load the model from a folder of its own and let it hear a second of faint noise; raises ModelError where that fails."""
    if (part / "model.onnx").exists():
        classifiers.check_foreign(part)
    if card.classifier in probe.UNCHECKED and not probe.survives(card.classifier, part, card.labels):
        raise ModelError("The model's file is damaged in a way that ends the program that reads it. Export the model again.")
    try:
        classifier = classifiers.load(card.classifier, part, card.labels)
    except ModelError as error:
        raise ModelError(str(error).replace(f"{part}/", "")) from None
    samples = np.random.default_rng(0).normal(scale=0.05, size=card.features.sample_rate).astype(np.float32)
    try:
        heard = features.extract(audio.Waveform(samples, card.features.sample_rate), card.features)
        answers = classifier.predict_proba(recognizer.inputs(heard, classifiers.CLASSIFIERS[card.classifier].input_kind))
        fits = answers.ndim == 2 and answers.shape[1] == len(card.labels)
        sound = fits and bool(np.isfinite(answers).all() and (answers >= -1e-6).all() and np.allclose(answers.sum(axis=1), 1, atol=1e-3))
    except Exception as error:  # a stranger's weights may fail in any way that NumPy, scikit-learn and ONNX Runtime know
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise ModelError(f"The model cannot answer: {reason}. Train it again where it comes from.") from None
    if not sound:
        raise ModelError("The model's answers are no probabilities. Train it again where it comes from.")


def file_name(card: store.ModelCard) -> str:
    """Return a name for the exported file."""
    return f"{card.slug}{ENDING}"
