"""A model as one file: it comes back as it was, and every way in which a stranger's file can be wrong has its sentence."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest
from onnx import TensorProto, helper

from ser_core import paths
from ser_core.errors import ModelError
from ser_core.features import config
from ser_core.features.vectors import summary_columns
from ser_core.recognition import bundle, sandbox, store
from tests.support.models import build
from tools import foreign_networks

N_COLUMNS = len(summary_columns(config.FeatureConfig()))


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    return build(tmp_path_factory.mktemp("models"))


@pytest.fixture
def target(tmp_path) -> Path:
    return tmp_path / "target"


def parts(models: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(bundle.export_model("mlp", models))) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(files: dict[str, bytes] | list[tuple[str, bytes]]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items() if isinstance(files, dict) else files:
            archive.writestr(name, content)
    return out.getvalue()


def with_card(files: dict[str, bytes], /, **values: object) -> dict[str, bytes]:
    return files | {store.CARD: json.dumps(json.loads(files[store.CARD]) | values).encode()}


def with_weights(files: dict[str, bytes], content: bytes) -> dict[str, bytes]:
    return with_card(files | {"model.skops": content}, files={"model.skops": hashlib.sha256(content).hexdigest()})


@pytest.fixture
def untried(monkeypatch) -> None:
    """What comes in is not tried out in a process of its own, which other tests wait for."""
    monkeypatch.setattr(sandbox, "try_out", lambda *_: None)


@pytest.mark.parametrize("as_what", ["path", "file"])
def test_a_model_is_read_from_a_file_too(models, target, tmp_path, untried, as_what):
    content = bundle.export_model("mlp", models)
    (tmp_path / "file").write_bytes(content)
    card = bundle.import_model({"path": tmp_path / "file", "file": io.BytesIO(content)}[as_what], target)
    before = store.read_card("mlp", models)
    assert card.slug == "mlp-2" and replace(card, slug="mlp", training=before.training) == before
    for name in before.files:
        assert (target / "mlp-2" / name).read_bytes() == (models / "mlp" / name).read_bytes()


def test_a_model_comes_back_as_it_was(models, target):
    card = bundle.import_model(bundle.export_model("mlp", models), target)
    before = store.read_card("mlp", models)
    assert card.slug == "mlp-2" and "imported" in card.training
    assert replace(card, slug="mlp", training=before.training) == before
    vectors = np.random.default_rng(0).normal(size=(4, N_COLUMNS)).astype(np.float32)
    one, two = (
        store.load(slug, folder).classifier.predict_proba(vectors)
        for slug, folder in (("mlp", models), ("mlp-2", target))
    )
    np.testing.assert_array_equal(one, two)
    assert bundle.file_name(card) == "mlp-2.ser.zip"


def test_a_bundle_that_a_file_manager_unpacked_and_packed_again_is_taken(models, target, untried):
    files = parts(models)
    extra = {
        ".DS_Store": b"x",
        "__MACOSX/._model.ser": b"x",
        "__MACOSX/model.ser/._card.json": b"x",
        "model.ser/.DS_Store": b"x",
    }
    inside = {f"model.ser/{name}": content for name, content in files.items()}
    assert bundle.import_model(packed({"model.ser/": b"", **inside, **extra}), target).slug == "mlp-2"
    assert bundle.import_model(packed(files | {"desktop.ini": b"x"}), target).slug == "mlp-3"
    assert bundle.import_model(packed({f"a/{name}": each for name, each in inside.items()}), target).slug == "mlp-4"


def test_a_second_import_stands_beside_the_first(models, target, untried):
    content = bundle.export_model("mlp", models)
    assert [bundle.import_model(content, target).slug for _ in range(2)] == ["mlp-2", "mlp-3"]


def test_a_damaged_model_is_not_passed_on(models, tmp_path):
    folder = build(tmp_path)
    (folder / "mlp" / "model.skops").write_bytes(b"")
    with pytest.raises(ModelError, match="the hash differs"):
        bundle.export_model("mlp", folder)


SCHEMA = json.dumps({"content": [{"file": "a.npy"}] * 110}).encode()


def undeflated(files: dict[str, bytes]) -> bytes:
    """Return a bundle with noise where the packed data of its first file begins."""
    content = bytearray(packed(files))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        start = archive.infolist()[0].header_offset + 30 + len(archive.infolist()[0].filename)
    content[start : start + 20] = b"\xff" * 20
    return bytes(content)


WRONG = {
    "no zip": (lambda files: b"RIFF....WAVE", "cannot be read as a zip"),
    "empty": (lambda files: b"", "cannot be read as a zip"),
    "half a zip": (lambda files: packed(files)[:-200], "cannot be read as a zip"),
    "no card": (lambda files: packed({"model.skops": b"x"}), r"it has no card\.json"),
    "a path": (lambda files: packed(files | {"../evil.py": b"x"}), r"it holds '\.\./evil\.py'"),
    "an absolute path": (lambda files: packed(files | {"/etc/passwd": b"x"}), r"it holds '/etc/passwd'"),
    "a folder above": (
        lambda files: packed({f"../{name}": content for name, content in files.items()}),
        r"it holds '\.\./",
    ),
    "two folders": (
        lambda files: packed({f"{number}/{name}": each for number, (name, each) in enumerate(files.items())}),
        "it holds '0/",
    ),
    "code": (lambda files: packed(files | {"model.pkl": b"x"}), r"it holds 'model\.pkl'"),
    "a file twice": (lambda files: packed([*files.items(), ("model.skops", b"x")]), "a file twice"),
    "no weights": (
        lambda files: packed({store.CARD: files[store.CARD]}),
        r"should hold model\.skops, and holds nothing",
    ),
    "other weights": (
        lambda files: packed(with_card(files, classifier="cnn")),
        r"should hold model\.keras, model\.onnx",
    ),
    "changed weights": (lambda files: packed(files | {"model.skops": b"x"}), "the hash differs"),
    "half a card": (lambda files: packed(files | {store.CARD: files[store.CARD][:100]}), "card cannot be read"),
    "a deep card": (lambda files: packed(files | {store.CARD: b"[" * 100_000}), "card cannot be read"),
    "a card of a later version": (lambda files: packed(with_card(files, format=9)), "format 9"),
    "an unknown classifier": (
        lambda files: packed(with_card(files, classifier="oracle")),
        "is a 'oracle', which this version",
    ),
    "a strange label": (lambda files: packed(with_card(files, labels=["<b>", *"abcdefg"])), "as labels"),
    "more parameters than ours": (
        lambda files: packed(with_card(files, n_parameters=bundle.MAX_PARAMETERS + 1)),
        "parameters, and 16,000,000 is the most",
    ),
    "no title": (lambda files: packed(with_card(files, title=" ")), "' ' as title"),
    "a title with control characters": (lambda files: packed(with_card(files, title="a\x1b")), r"'a\\x1b' as title"),
    "huge features": (
        lambda files: packed(with_card(files, features=config.FeatureConfig().to_dict() | {"n_fft": 10**9})),
        "n_fft must be",
    ),
    "other features": (
        lambda files: packed(with_card(files, features=config.FeatureConfig(n_mfcc=5).to_dict())),
        "The model cannot answer",
    ),
    "weights that are no zip": (lambda files: packed(with_weights(files, b"no zip")), r"model\.skops is damaged"),
    "a bomb inside": (
        lambda files: packed(with_weights(files, packed({"a": bytes(bundle.MAX_BYTES + 1)}))),
        "unpacks to 100 MB",
    ),
    "one array many times": (
        lambda files: packed(
            with_weights(files, packed({"schema.json": SCHEMA, "a.npy": bytes(bundle.MAX_LOADED_BYTES // 100)}))
        ),
        "unpacks to 70.4 MB in 2 files",
    ),
    "weights without a schema": (
        lambda files: packed(with_weights(files, packed({"a": b"x"}))),
        r"model\.skops is damaged",
    ),
    "weights under a name that is no text": (
        lambda files: packed(
            with_weights(files, packed({"é": b"x", "schema.json": b"{}"}).replace("é".encode(), b"\xed\x00"))
        ),
        r"model\.skops is damaged",
    ),
    "data that is no deflate": (lambda files: undeflated(files), "cannot be read as a zip"),
    "a foreign type": (
        lambda files: packed(
            with_weights(files, packed({"schema.json": b'{"__class__": "system", "__module__": "os"}'}))
        ),
        "cannot be read as a model",
    ),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(("make", "sentence"), WRONG.values(), ids=WRONG)
def test_a_wrong_file_is_refused_and_leaves_nothing(models, target, make, sentence):
    with pytest.raises(ModelError, match=sentence) as caught:
        bundle.import_model(make(parts(models)), target)
    assert str(target) not in str(caught.value)
    assert not target.exists() or list(target.iterdir()) == []


def test_a_card_that_unpacks_to_too_much_is_refused(models, target, monkeypatch):
    monkeypatch.setattr(bundle, "MAX_CARD_BYTES", 1000)
    with pytest.raises(ModelError, match=r"card\.json unpacks to more than"):
        bundle.import_model(packed(parts(models)), target)


def test_a_file_that_is_too_large_is_not_opened(models, target, monkeypatch):
    monkeypatch.setattr(bundle, "MAX_BYTES", 1000)
    with pytest.raises(ModelError, match="a model has at most 1000 Bytes"):
        bundle.import_model(packed(parts(models)), target)


def test_a_full_disk_is_named_and_leaves_nothing(models, target, monkeypatch):
    monkeypatch.setattr(Path, "write_bytes", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(ModelError, match="No space left on device"):
        bundle.import_model(bundle.export_model("mlp", models), target)
    assert list(target.iterdir()) == []


def network(*nodes: onnx.NodeProto, initializers: tuple[onnx.TensorProto, ...] = ()) -> bytes:
    return foreign_networks.network(*nodes, initializers=initializers).SerializeToString()


def outside() -> onnx.TensorProto:
    return foreign_networks.outside("/etc/passwd")


def claiming() -> onnx.TensorProto:
    return TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2**20], raw_data=bytes(4))


NETWORKS = {
    "no network": (b"\xff\xff\xff", "no network in the ONNX format|cannot be read as a network"),
    "a strange operation": (
        network(helper.make_node("Loop", ["x"], ["y"])),
        r"operations that none of our networks has \(Loop\)",
    ),
    "another domain": (
        network(helper.make_node("Relu", ["x"], ["y"], domain="evil")),
        "operations that none of our networks has",
    ),
    "another file": (
        network(helper.make_node("Relu", ["x"], ["y"]), initializers=(outside(),)),
        "refers to other files",
    ),
    "an operation that is no text": (
        network(helper.make_node("Relu", ["x"], ["y"])).replace(b"Relu", b"Re\xffu"),
        "none of our networks has",
    ),
    "a missing number": (network(helper.make_node("Max", ["x", ""], ["y"])), "an input of Max is missing"),
    "a weight that claims to be larger": (
        network(helper.make_node("Relu", ["x"], ["y"]), initializers=(claiming(),)),
        "no sound network",
    ),
    "another shape": (network(helper.make_node("Relu", ["x"], ["y"])), "does not hold a classifier of 8 labels"),
    "no probabilities": (
        network(
            helper.make_node("ReduceMean", ["x"], ["mean"], axes=[1], keepdims=0),
            helper.make_node("Slice", ["mean", "from", "to", "axis"], ["y"]),
            initializers=tuple(
                helper.make_tensor(name, TensorProto.INT64, [1], [n])
                for name, n in (("from", 0), ("to", 8), ("axis", 1))
            ),
        ),
        "answers are not probabilities",
    ),
}


@pytest.mark.parametrize(("content", "sentence"), NETWORKS.values(), ids=NETWORKS)
def test_a_network_of_a_stranger_is_looked_through(models, target, content, sentence):
    with pytest.raises(ModelError, match=sentence):
        bundle.import_model(with_network(parts(models), content), target)


def with_network(files: dict[str, bytes], content: bytes, /, **values: object) -> bytes:
    keras = packed({"model.weights.h5": b"x"})
    hashes = {"model.onnx": hashlib.sha256(content).hexdigest(), "model.keras": hashlib.sha256(keras).hexdigest()}
    card = with_card(files, classifier="cnn", files=hashes, **values)[store.CARD]
    return packed({store.CARD: card, "model.onnx": content, "model.keras": keras})


def test_a_network_that_would_read_a_file_of_the_server_is_not_taken_in(models, target, tmp_path, monkeypatch):
    (tmp_path / "secret").write_bytes(b"the admin word is nightingale!!!")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="refers to other files"):
        bundle.import_model(with_network(parts(models), foreign_networks.reading("secret").SerializeToString()), target)
    assert list(target.glob("*")) == []


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere memory is not limited")
def test_a_network_that_would_eat_the_machine_is_not_taken_in(models, target):
    content = foreign_networks.expanding(30_000).SerializeToString()
    assert len(content) < 700
    before = psutil.Process().memory_info().rss
    with pytest.raises(ModelError, match="more than 1 GB of memory"):
        bundle.import_model(with_network(parts(models), content), target)
    assert psutil.Process().memory_info().rss < before + 2**27


def test_a_model_from_elsewhere_is_asked_in_a_process_of_its_own(models, target):
    content = foreign_networks.honest().SerializeToString()
    lying = json.loads(parts(models)[store.CARD])["training"] | {"imported": ""}
    card = bundle.import_model(with_network(parts(models), content, training=lying), target)
    assert card.imported and not store.read_card("mlp", models).imported
    loaded = store.load(card.slug, target)
    assert isinstance(loaded.classifier, sandbox.ForeignClassifier)
    windows = np.random.default_rng(0).normal(size=(2, 160, foreign_networks.N_COLUMNS)).astype(np.float32)
    assert loaded.answer(windows).model == card.slug
    (target / card.slug / "model.onnx").write_bytes(foreign_networks.reading("secret").SerializeToString())
    loaded.classifier.rest(asked_before_s=np.inf)
    with pytest.raises(ModelError, match="the hash differs"):
        loaded.answer(windows)


def test_so_many_models_from_elsewhere_and_no_more(models, target, untried, monkeypatch):
    content = bundle.export_model("mlp", models)
    monkeypatch.setattr(bundle, "MAX_IMPORTED", 1)
    shutil.copytree(models, target)  # those of this machine do not count
    bundle.import_model(content, target)
    with pytest.raises(ModelError, match=r"At most 1 imported models .*, and there are 1\. Delete one of them"):
        bundle.import_model(content, target)
    size = sum(path.stat().st_size for path in (target / "mlp-2").iterdir())
    monkeypatch.setattr(bundle, "MAX_IMPORTED", 2)
    monkeypatch.setattr(bundle, "MAX_IMPORTED_BYTES", size + 1)
    with pytest.raises(ModelError, match=r"with this one they would take .* [KM]B\. Delete one of them"):
        bundle.import_model(content, target)
    store.delete("mlp-2", target)
    assert bundle.import_model(content, target).imported


def test_one_model_at_a_time_is_tried(models, target, monkeypatch):
    content, at_once = bundle.export_model("mlp", models), []

    def tried(*_: object) -> None:
        # Two imports at once would show it only sometimes.
        at_once.append(bundle._one_at_a_time.locked())

    monkeypatch.setattr(sandbox, "try_out", tried)
    bundle.import_model(content, target)
    assert at_once == [True] and not bundle._one_at_a_time.locked()


@pytest.mark.parametrize("slug", store.SHIPPED)
def test_the_shipped_models_pass_their_own_checks(target, slug):
    card = bundle.import_model(bundle.export_model(slug, paths.models_folder()), target)
    assert store.load(card.slug, target).labels == store.read_card(slug, paths.models_folder()).labels
