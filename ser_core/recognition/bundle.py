"""A model as one file to share: a zip of its card and weights. An imported file is untrusted until every check has passed.

Nothing is written to the models folder before that, nothing under a name from the zip, and nothing replaces another model.
"""

from __future__ import annotations

import hashlib
import io
import re
import threading
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ser_core import classifiers, paths
from ser_core.audio import waveform
from ser_core.errors import ModelError
from ser_core.features import encoder, extraction, vectors
from ser_core.recognition import card as recognition_card
from ser_core.recognition import sandbox, store
from ser_core.recognition.card import ModelCard
from ser_core.system import units, untrusted_json

ENDING = ".ser.zip"
MAX_BYTES = 100 * 2**20
"""Of the zip, and of each file that is unpacked from it."""

MAX_LOADED_BYTES = 64 * 2**20
"""Of a weight file that is loaded: 18 times the largest of the shipped models. Loading briefly takes several times as much memory."""

MAX_PARAMETERS = 16 * 10**6
"""Of a model by its card: the numbers that such a file can hold, 45 times those of the largest shipped model."""

MAX_IMPORTED, MAX_IMPORTED_BYTES = 20, 500 * 2**20
"""Limits of the imported models in a models folder: their number, and their size on the disk."""

TRIAL_S = 5.0
"""Length of the clip that a model is tested with."""

MAX_CARD_BYTES = recognition_card.MAX_CARD_BYTES
MAX_SCHEMA_BYTES = 10 * 2**20
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    NotImplementedError,
    EOFError,
    OSError,
    ValueError,
    RuntimeError,
)
"""What reading a damaged zip raises."""

_EXTRA = re.compile(r"(^|/)(__MACOSX/|\._|\.DS_Store$|desktop\.ini$|Thumbs\.db$)", re.IGNORECASE)
"""What the Finder and the Explorer add to a zip of an unpacked model."""

WEIGHTS: dict[str, frozenset[str]] = {
    "vector": frozenset({"model.skops"}),
    "embedding": frozenset({"model.skops"}),
    "frames": frozenset({"model.onnx", store.KERAS_FILE}),
}
"""The weight files of a classifier, by its input kind."""


def export_model(slug: str, folder: Path | None = None) -> bytes:
    """Return a model as the bytes of a zip, its weights checked against the card; raises ModelError."""
    folder = folder or paths.models_folder()
    store.load(slug, folder)
    card = store.read_card(slug, folder)
    out = io.BytesIO()
    try:
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in (store.CARD, *card.files):
                archive.writestr(name, (folder / slug / name).read_bytes())
    except OSError as error:
        raise ModelError(f"Model '{slug}' cannot be read ({error.strerror}). Restore it or retrain it.") from error
    return out.getvalue()


def import_model(source: bytes | Path | BinaryIO, folder: Path | None = None) -> ModelCard:
    """Import a model from a zip into a models folder and return its card; its slug is derived from its title, and replaces no other.

    Raises
    ------
    ModelError : where anything about the zip, the card or the weights is not what `export_model` writes.
    """
    folder = folder or paths.models_folder()
    try:
        size = (
            len(source)
            if isinstance(source, bytes)
            else source.stat().st_size
            if isinstance(source, Path)
            else source.seek(0, 2)
        )
        if size > MAX_BYTES:
            raise ModelError(
                f"The file has {units.size(size, binary=True)}; a model has at most {units.size(MAX_BYTES, binary=True)}."
            )
        with zipfile.ZipFile(io.BytesIO(source) if isinstance(source, bytes) else source) as archive:
            files = _unpacked(archive)
    except _ZIP_ERRORS as error:
        raise ModelError(
            f"The file is not a model: it cannot be read as a zip ({error}). Choose a file that was exported here."
        ) from None
    card = _card(files.pop(store.CARD))
    _check_weights(card, files)

    def fill(part: Path) -> ModelCard:
        for name, content in files.items():
            (part / name).write_bytes(content)
        return replace(card, training=card.training | {"imported": datetime.now(UTC).isoformat(timespec="seconds")})

    with _one_at_a_time:
        _check_room(folder, sum(map(len, files.values())))
        _try_out(card, files[classifiers.weight_file(card.classifier)])
        return store.add(fill, folder)


_one_at_a_time = threading.Lock()
"""Held while a model is tested and installed: several tests at once would multiply the memory."""


_DELETE = "Delete one of them first: on the page Train, or with 'python -m ser_core models delete NAME'."


def _check_room(folder: Path, size: int) -> None:
    """Raise ModelError where the imported models in a models folder have reached their limits."""
    slugs = [card.slug for card in store.list_models(folder)[0] if card.imported] if folder.is_dir() else []
    there = sum(path.stat().st_size for slug in slugs for path in (folder / slug).glob("*"))
    if len(slugs) >= MAX_IMPORTED:
        raise ModelError(f"At most {MAX_IMPORTED} imported models are kept here, and there are {len(slugs)}. {_DELETE}")
    if there + size > MAX_IMPORTED_BYTES:
        raise ModelError(
            f"Imported models may take {units.size(MAX_IMPORTED_BYTES, binary=True)} here, and with this one they would take "
            f"{units.size(there + size, binary=True)}. {_DELETE}"
        )


def _unpacked(archive: zipfile.ZipFile) -> dict[str, bytes]:
    """Return the files of a zip by name: those a model has, each read up to its limit regardless of its header."""
    allowed = {store.CARD}.union(*WEIGHTS.values())
    members = _members(archive)
    names = [name for name, _ in members]
    if len(set(names)) != len(names) or not set(names) <= allowed:
        strange = next((name for name in names if name not in allowed), "a file twice")
        raise ModelError(
            f"The file is not a model: it holds {strange[:80]!r}. A model holds {', '.join(sorted(allowed))} and nothing else."
        )
    if store.CARD not in names:
        raise ModelError(f"The file is not a model: it has no {store.CARD}. Choose a file that was exported here.")
    files = {}
    for name, info in members:
        limit = MAX_CARD_BYTES if name == store.CARD else MAX_BYTES
        with archive.open(info) as file:
            files[name] = file.read(limit + 1)
        if len(files[name]) > limit:
            raise ModelError(f"The file is not a model: {name} unpacks to more than {units.size(limit, binary=True)}.")
    return files


def _members(archive: zipfile.ZipFile) -> list[tuple[str, zipfile.ZipInfo]]:
    """Return name and entry of each file in a zip, without what file managers add, and without the one folder that all may lie in."""
    infos = [info for info in archive.infolist() if not info.is_dir() and not _EXTRA.search(info.filename)]
    folders = {info.filename.rpartition("/")[0] for info in infos}
    folder = folders.pop() if len(folders) == 1 else ""
    is_plain = folder and not set(folder.split("/")) & {"", ".", ".."}
    return [(info.filename.removeprefix(f"{folder}/") if is_plain else info.filename, info) for info in infos]


def _card(content: bytes) -> ModelCard:
    try:
        values = untrusted_json.loads(content.decode("utf-8"))
    except ValueError as error:
        raise ModelError(f"The model's card cannot be read: {error}. Export the model again.") from None
    try:
        card = ModelCard.from_dict(values)
    except ModelError as error:
        raise ModelError(f"The model cannot be imported: {error}") from None
    if card.classifier not in classifiers.CLASSIFIERS:
        raise ModelError(f"The model is a '{card.classifier[:40]}', which this version does not know. Update the app.")
    if card.n_parameters > MAX_PARAMETERS:
        raise ModelError(
            f"The model has {card.n_parameters:,} parameters, and {MAX_PARAMETERS:,} is the most. Train a smaller one."
        )
    return card


def _check_weights(card: ModelCard, files: Mapping[str, bytes]) -> None:
    expected = WEIGHTS[classifiers.CLASSIFIERS[card.classifier].input_kind]
    if set(files) != set(card.files) or set(files) != expected:
        raise ModelError(
            f"The model should hold {', '.join(sorted(expected))}, and holds {', '.join(sorted(files)) or 'nothing'}."
        )
    for name, content in files.items():
        if hashlib.sha256(content).hexdigest() != card.files[name]:
            raise ModelError(f"{name} is not what the model's card describes (the hash differs). Get the file again.")
        if name != store.KERAS_FILE and len(content) > MAX_LOADED_BYTES:
            raise ModelError(
                f"{name} has {units.size(len(content), binary=True)}; {units.size(MAX_LOADED_BYTES, binary=True)} is the most."
            )
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
        raise ModelError(f"{name} unpacks to {units.size(total, binary=True)} in {n} files, more than a model has.")


def _referred(archive: zipfile.ZipFile, sizes: Mapping[str, int]) -> int:
    """Return how many bytes of arrays the schema of a skops file requests: it may name one file many times."""
    if sizes["schema.json"] > MAX_SCHEMA_BYTES:
        raise ValueError("the schema is too large")
    total, waiting = 0, [untrusted_json.loads(archive.read("schema.json"))]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            file = each.get("file")
            total += sizes.get(file, 0) if isinstance(file, str) else 0
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each
    return total


def _try_out(card: ModelCard, content: bytes) -> None:
    """Run the model on a few seconds of faint noise, in a separate process; raises ModelError where that fails."""
    samples = (
        np.random.default_rng(0).normal(scale=0.05, size=round(TRIAL_S * card.features.sample_rate)).astype(np.float32)
    )
    noise = waveform.Waveform(samples, card.features.sample_rate)
    kind = classifiers.CLASSIFIERS[card.classifier].input_kind
    if (
        kind == vectors.EMBEDDING
    ):  # the encoder is not loaded in the process that imports; its outputs are of the order of 1
        items = np.resize(samples, (1, len(encoder.columns())))
    else:
        items = vectors.inputs(noise, extraction.extract(noise, card.features), kind)
    sandbox.try_out(sandbox.Model(card.classifier, card.labels, content), items)


def file_name(card: ModelCard) -> str:
    """Return a name for the exported file."""
    return f"{card.slug}{ENDING}"
