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

from ser_core.recognition import store
from tools import foreign_networks, fuzz_seeds, mutate

TYPES = (
    ("posix", "system"),
    ("os", "system"),
    ("builtins", "exec"),
    ("builtins", "eval"),
    ("subprocess", "Popen"),
    ("operator", "methodcaller"),
    ("operator", "attrgetter"),
    ("functools", "partial"),
    ("builtins", "getattr"),
    ("pickle", "loads"),
    ("joblib", "load"),
    ("sklearn.utils", "Bunch"),
    ("numpy", "load"),
    ("numpy", "fromfile"),
    ("numpy", "memmap"),
    ("importlib", "import_module"),
    ("sklearn.neighbors", "KNeighborsClassifier"),
    ("sklearn.pipeline", "Pipeline"),
    ("sklearn.preprocessing", "FunctionTransformer"),
    ("sklearn.preprocessing", "StandardScaler"),
    ("tempfile", "TemporaryDirectory"),
    ("pathlib", "Path"),
    ("builtins", "open"),
)
"""What an untrusted skops file may ask to be made, some of it of scikit-learn itself."""

LOADERS = (
    "ObjectNode",
    "FunctionNode",
    "MethodNode",
    "OperatorFuncNode",
    "PartialNode",
    "TypeNode",
    "ConstructorFromReduceNode",
    "ReduceNode",
    "TreeNode",
    "NdArrayNode",
    "JsonNode",
    "BytesNode",
    "DefaultDictNode",
    "SliceNode",
    "RandomStateNode",
    "SparseMatrixNode",
    "MaskedArrayNode",
    "DTypeNode",
    "CachedNode",
    "Nothing",
)

DTYPES = (
    "|O",
    "<f8",
    "<f4",
    "<i8",
    "|u1",
    "|S1000000",
    "<U100",
    "|V8",
    "<M8[s]",
    "<c16",
    "|b1",
    ">f8",
    [("a", "|O")],
    [("a", "<f8", (9, 9))],
)
SHAPES: tuple[Any, ...] = (
    (),
    (0,),
    (1,),
    (-1,),
    (2**31,),
    (2**62,),
    (10**7,),
    (0, 2**40),
    (1, 1, 1, 1),
    (3, 3),
    (2**20, 2**20),
    (True,),
    (1.5,),
)

OPERATORS = (
    "Loop",
    "If",
    "Scan",
    "ConstantOfShape",
    "Range",
    "Tile",
    "Expand",
    "Pad",
    "Concat",
    "Reshape",
    "Gather",
    "LSTM",
    "Conv",
    "MatMul",
    "MaxPool",
    "Slice",
    "Split",
    "Transpose",
    "Cast",
    "Flatten",
    "GlobalMaxPool",
    "Softmax",
    "Einsum",
    "Resize",
)
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
    except (
        ValueError,
        TypeError,
        SyntaxError,
        MemoryError,
        RecursionError,
    ):  # it was changed once before, and is damaged already
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
            node["file"] = mutate.pick(
                rng, ("../card.json", "schema.json", "/etc/passwd", mutate.pick(rng, nodes).get("file", "x"))
            )
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
                flat[rng.integers(len(flat), size=int(rng.integers(1, 9)))] = np.array(mutate.pick(rng, values)).astype(
                    array.dtype
                )
            else:
                content = mutate.mutate_bytes(array.tobytes(), [b"\xff" * 64], rng)[: array.nbytes]
                changed = np.frombuffer(content.ljust(array.nbytes, b"\xff"), array.dtype).reshape(array.shape)
        return _npy(changed)
    if choice < 0.5 and array.ndim:
        return _npy(
            mutate.pick(
                rng,
                (
                    array[:1],
                    array[..., :1],
                    np.concatenate([array, array]),
                    array.T,
                    array.ravel(),
                    np.zeros(0),
                    array.astype("f4") if array.dtype.kind in "fiu" else array,
                ),
            )
        )
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
    if not model.graph.node:
        return mutate.mutate_bytes(content, [content], rng)
    for _ in range(int(rng.integers(1, 4))):
        _change(model, rng)
    return model.SerializeToString()


def _change(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    graph = model.graph
    node = mutate.pick(rng, graph.node)
    choice = rng.random()
    whole = [
        each
        for each in graph.initializer  # those whose shape and place an earlier change has left as they were
        if each.data_type == onnx.TensorProto.INT64
        and not each.data_location
        and not each.int64_data
        and min(each.dims, default=0) >= 0
        and 8 * math.prod(each.dims) == len(each.raw_data) > 0
    ]
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


def mutate_graph(data: bytes, others: Sequence[bytes], rng: np.random.Generator) -> bytes:
    """Return a network that reads, grows or runs on in one more way, or is only changed; some are changed once more."""
    ways = (
        _with_file,
        _with_file,
        _with_shape,
        _with_shape,
        _with_loop,
        _deep,
        _with_function,
        _long,
        mutate_network,
        mutate_network,
    )
    changed = mutate.pick(rng, ways)(data, rng)
    return mutate_network(changed, rng) if rng.random() < 0.3 else changed


def _with_file(data: bytes, rng: np.random.Generator) -> bytes:
    """Put a tensor that names a file somewhere."""
    model = onnx.load_model_from_string(data)
    tensor = foreign_networks.outside(mutate.pick(rng, ("x.wav", "/etc/passwd", "../x.wav", "", "a" * 5000)))
    if rng.random() < 0.3:
        tensor.data_location = mutate.pick(rng, (0, 1))
    if rng.random() < 0.2:
        del tensor.external_data[:]
    foreign_networks.PLACES[mutate.pick(rng, list(foreign_networks.PLACES))](model, tensor)
    return model.SerializeToString()


def _with_shape(data: bytes, rng: np.random.Generator) -> bytes:
    """Make something claim to be larger than it is, or become so."""
    model = onnx.load_model_from_string(data)
    graph, large = model.graph, [mutate.pick(rng, NUMBERS) for _ in range(int(rng.integers(1, 10)))]
    choice = rng.random()
    if choice < 0.3:
        graph.initializer.add(
            name="large", data_type=int(rng.integers(0, 24)), dims=large, raw_data=bytes(int(rng.integers(0, 99)))
        )
    elif choice < 0.5:
        graph.value_info.append(onnx.helper.make_tensor_value_info("large", 1, large))
    elif choice < 0.6:
        mutate.pick(rng, (*graph.input, *graph.output)).type.tensor_type.shape.dim.add(dim_value=large[0])
    else:
        node = mutate.pick(rng, graph.node)
        size = foreign_networks.whole("large", *(abs(n) % 5000 if rng.random() < 0.8 else n for n in large[:4]))
        graph.initializer.append(size)
        operator = mutate.pick(rng, ("Expand", "Reshape", "ConstantOfShape", "Tile", "Pad"))
        grown = onnx.helper.make_node(
            operator, ["large"] if operator == "ConstantOfShape" else [node.output[0], "large"], ["grown"]
        )
        graph.node.insert(list(graph.node).index(node) + 1, grown)
        for each in list(graph.node)[list(graph.node).index(grown) + 1 :]:
            for place, name in enumerate(each.input):
                if name == node.output[0] and rng.random() < 0.7:
                    each.input[place] = "grown"
    return model.SerializeToString()


def _with_loop(data: bytes, rng: np.random.Generator) -> bytes:
    """Put what a network does into the body of a loop or a branch, once or several times around."""
    model = onnx.load_model_from_string(data)
    for _ in range(int(rng.integers(1, 6))):
        body = onnx.GraphProto()
        body.CopyFrom(model.graph)
        del body.initializer[:]
        name, operator = mutate.pick(
            rng, (("body", "Loop"), ("body", "Scan"), ("then_branch", "If"), ("body", "Relu"), ("", "Identity"))
        )
        output = [each.name for each in model.graph.output]
        del model.graph.node[:]
        model.graph.node.append(onnx.helper.make_node(operator, ["x"], output, **{name or "value": body}))
    return model.SerializeToString()


def _deep(data: bytes, rng: np.random.Generator) -> bytes:
    return foreign_networks.nested(int(mutate.pick(rng, (1, 2, 10, 24, 25, 30, 100, 1000, 3000))))


def _with_function(data: bytes, rng: np.random.Generator) -> bytes:
    """Have an operation stand for a function, maybe one that calls itself, under a name that there is already."""
    model = onnx.load_model_from_string(data)
    node = mutate.pick(rng, model.graph.node)
    domain = mutate.pick(rng, ("", "mine", "ai.onnx.ml"))
    inner = onnx.helper.make_node(mutate.pick(rng, (node.op_type, "Relu", "F")), ["a"], ["b"], domain=domain)
    model.functions.append(
        onnx.helper.make_function(domain, node.op_type, ["a"], ["b"], [inner], list(model.opset_import))
    )
    if rng.random() < 0.5:
        node.domain = domain
    return model.SerializeToString()


def _long(data: bytes, rng: np.random.Generator) -> bytes:
    """Return a network that is small and takes long, or much."""
    size = int(mutate.pick(rng, (1, 100, 300, 1000, 3000, 30_000, 2**31)))
    if rng.random() < 0.5:
        return foreign_networks.expanding(size).SerializeToString()
    return foreign_networks.multiplying(int(mutate.pick(rng, (1, 10, 100, 12_000))), size).SerializeToString()
