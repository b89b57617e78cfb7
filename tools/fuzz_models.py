"""Changes models inside their bundles, with hashes that fit again: skops files, ONNX networks and cards as an attacker would write them."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError

from ser_core import store
from tools import fuzz_seeds, mutate

TYPES = (
    ("posix", "system"), ("os", "system"), ("builtins", "exec"), ("builtins", "eval"), ("subprocess", "Popen"),
    ("operator", "methodcaller"),
    ("operator", "attrgetter"), ("functools", "partial"), ("builtins", "getattr"), ("pickle", "loads"), ("joblib", "load"),
    ("sklearn.utils", "Bunch"), ("numpy", "load"), ("numpy", "fromfile"), ("numpy", "memmap"), ("importlib", "import_module"),
    ("sklearn.neighbors", "KNeighborsClassifier"), ("sklearn.pipeline", "Pipeline"), ("sklearn.preprocessing", "FunctionTransformer"),
    ("sklearn.preprocessing", "StandardScaler"), ("tempfile", "TemporaryDirectory"), ("pathlib", "Path"), ("builtins", "open"),
)  # fmt: skip
"""What a stranger's skops file may ask to be made, some of it of scikit-learn itself."""

LOADERS = ("ObjectNode", "FunctionNode", "MethodNode", "OperatorFuncNode", "PartialNode", "TypeNode", "ConstructorFromReduceNode",
           "ReduceNode",
           "TreeNode", "NdArrayNode", "JsonNode", "BytesNode", "DefaultDictNode", "SliceNode", "RandomStateNode", "SparseMatrixNode",
           "MaskedArrayNode", "DTypeNode", "CachedNode", "Nothing")  # fmt: skip

DTYPES = ("|O", "<f8", "<f4", "<i8", "|u1", "|S1000000", "<U100", "|V8", "<M8[s]", "<c16", "|b1", ">f8",
          [("a", "|O")], [("a", "<f8", (9, 9))])  # fmt: skip
SHAPES: tuple[Any, ...] = ((), (0,), (1,), (-1,), (2**31,), (2**62,), (10**7,), (0, 2**40), (1, 1, 1, 1), (3, 3), (2**20, 2**20), (True,),
                           (1.5,))  # fmt: skip

OPERATORS = ("Loop", "If", "Scan", "ConstantOfShape", "Range", "Tile", "Expand", "Pad", "Concat", "Reshape", "Gather", "LSTM", "Conv",
             "MatMul",
             "MaxPool", "Slice", "Split", "Transpose", "Cast", "Flatten", "GlobalMaxPool", "Softmax", "Einsum", "Resize")  # fmt: skip
NUMBERS = (0, 1, -1, 2, 7, 2**16, 2**24, 2**31 - 1, 2**31, 2**40, 2**62, -(2**63))


def mutate_model(data: bytes, others: Sequence[bytes], rng: np.random.Generator) -> bytes:
    """Return a bundle with one of its files changed, and a card that has the new hashes."""
    files = dict(fuzz_seeds.unpacked(data))
    weights = sorted({"model.onnx", "model.skops"} & set(files))
    choice = rng.random()
    if choice < 0.25:
        files[store.CARD] = mutate.mutate_json(files[store.CARD], [files[store.CARD]], rng)
    elif "model.onnx" in weights:
        files["model.onnx"] = mutate_network(files["model.onnx"], rng)
    else:
        files["model.skops"] = mutate.mutate_zip(files["model.skops"], [files["model.skops"]], rng, inner=mutate_part)
    return fuzz_seeds.fixed(files)


def mutate_part(content: bytes, rng: np.random.Generator) -> bytes:
    """Return a member of a skops file changed: its schema, or one of its arrays."""
    try:
        if content.startswith(b"\x93NUMPY"):
            return _array(content, rng)
        if content.startswith(b"{"):
            return _schema(content, rng)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):  # it was changed once before, and is damaged already
        pass
    return mutate.mutate_bytes(content, [content], rng)


def _schema(content: bytes, rng: np.random.Generator) -> bytes:
    if rng.random() < 0.4:
        return mutate.mutate_json(content, [content], rng)
    root = json.loads(content)
    nodes = list(_nodes(root))
    for _ in range(int(rng.integers(1, 3))):
        node = mutate.pick(rng, nodes)
        choice = rng.random()
        if choice < 0.4:
            node["__module__"], node["__class__"] = mutate.pick(rng, TYPES)
        elif choice < 0.6:
            node["__loader__"] = mutate.pick(rng, LOADERS)
        elif choice < 0.8:
            other = mutate.pick(rng, nodes)
            node.clear()
            node.update(json.loads(json.dumps(other)))
        elif "file" in node:
            node["file"] = mutate.pick(rng, ("../card.json", "schema.json", "/etc/passwd", mutate.pick(rng, nodes).get("file", "x")))
        else:
            node["content"] = {"func": "os.system", "args": [f"touch {mutate.CANARY}"]}
    return json.dumps(root).encode()


def _nodes(value: Any) -> list[dict[str, Any]]:
    """Return all objects in a JSON value."""
    found, waiting = [], [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            found.append(each)
        waiting += list(each.values()) if isinstance(each, dict) else each if isinstance(each, list) else []
    return found


def _array(content: bytes, rng: np.random.Generator) -> bytes:
    array = np.load(io.BytesIO(content), allow_pickle=False)
    choice = rng.random()
    if choice < 0.35 and array.size:
        changed = array.copy()
        flat = changed.reshape(-1)
        values = (np.nan, np.inf, 1e308, -1.0) if array.dtype.kind == "f" else NUMBERS
        with np.errstate(all="ignore"):
            if array.dtype.kind in "fiu":
                flat[rng.integers(len(flat), size=int(rng.integers(1, 9)))] = np.array(mutate.pick(rng, values)).astype(array.dtype)
            else:
                content = mutate.mutate_bytes(array.tobytes(), [b"\xff" * 64], rng)[: array.nbytes]
                changed = np.frombuffer(content.ljust(array.nbytes, b"\xff"), array.dtype).reshape(array.shape)
        return _npy(changed)
    if choice < 0.5 and array.ndim:
        return _npy(mutate.pick(rng, (array[:1], array[..., :1], np.concatenate([array, array]), array.T,
                                      array.ravel(), np.zeros(0), array.astype("f4") if array.dtype.kind in "fiu" else array)))  # fmt: skip
    kind = array.dtype.descr if array.dtype.names else array.dtype.str
    header = {"descr": kind, "fortran_order": bool(rng.integers(2)), "shape": array.shape}
    if rng.random() < 0.6:
        header["shape"] = mutate.pick(rng, SHAPES)
    else:
        header["descr"] = mutate.pick(rng, DTYPES)
    text = f"{header!r}\n".encode()
    body = mutate.PICKLE if rng.random() < 0.3 else array.tobytes()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + body


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def mutate_network(content: bytes, rng: np.random.Generator) -> bytes:
    """Return an ONNX network with other operations, wiring, attributes or weights; one in five is changed as bytes."""
    if rng.random() < 0.2:
        return mutate.mutate_bytes(content, [content], rng)
    try:
        model = onnx.load_model_from_string(content)
    except DecodeError:
        return mutate.mutate_bytes(content, [content], rng)
    for _ in range(int(rng.integers(1, 4))):
        _change(model, rng)
    return model.SerializeToString()


def _change(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    graph = model.graph
    node = mutate.pick(rng, graph.node)
    choice = rng.random()
    whole = [each for each in graph.initializer  # those whose shape an earlier change has left as it was
             if each.data_type == onnx.TensorProto.INT64 and 8 * math.prod(each.dims) == len(each.raw_data)]  # fmt: skip
    if choice < 0.25 and whole:
        tensor = mutate.pick(rng, whole)
        numbers = onnx.numpy_helper.to_array(tensor).copy().reshape(-1)
        if len(numbers):
            numbers[rng.integers(len(numbers))] = mutate.pick(rng, NUMBERS)
            tensor.CopyFrom(onnx.numpy_helper.from_array(numbers.reshape(tuple(tensor.dims)), tensor.name))
    elif choice < 0.45 and node.attribute:
        attribute = mutate.pick(rng, node.attribute)
        if attribute.type == onnx.AttributeProto.INTS and len(attribute.ints):
            attribute.ints[int(rng.integers(len(attribute.ints)))] = mutate.pick(rng, NUMBERS)
        elif attribute.type == onnx.AttributeProto.INT:
            attribute.i = mutate.pick(rng, NUMBERS)
        else:
            node.attribute.remove(attribute)
    elif choice < 0.6:
        node.op_type = mutate.pick(rng, OPERATORS)
    elif choice < 0.75 and node.input:
        source = mutate.pick(rng, graph.node)
        node.input[int(rng.integers(len(node.input)))] = mutate.pick(rng, (*source.output, *node.output, "", "nowhere"))
    elif choice < 0.8:
        graph.node.add().CopyFrom(node)
    elif choice < 0.85 and len(graph.node) > 1:
        graph.node.remove(node)
    elif choice < 0.93 and graph.initializer:
        tensor = mutate.pick(rng, graph.initializer)
        if tensor.dims:
            tensor.dims[int(rng.integers(len(tensor.dims)))] = mutate.pick(rng, NUMBERS)
    elif choice < 0.96 and graph.initializer:
        tensor = mutate.pick(rng, graph.initializer)
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=mutate.pick(rng, ("/etc/passwd", "../card.json", "model.keras")))
    else:
        model.opset_import[0].version = mutate.pick(rng, (0, 1, 7, 99, 2**31))
