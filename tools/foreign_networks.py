"""Untrusted networks, for tests and fuzzing of what keeps them in: small, and as large as they like once they run."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import onnx
from onnx import TensorProto, helper

N_FRAMES, N_COLUMNS, N_LABELS = 160, 110, 8
FLOAT = TensorProto.FLOAT


def network(*nodes: onnx.NodeProto, initializers: Iterable[onnx.TensorProto] = ()) -> onnx.ModelProto:
    """Return a network of these nodes, from x, windows, to y, a number a label."""
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("x", FLOAT, [None, N_FRAMES, N_COLUMNS])],
        [helper.make_tensor_value_info("y", FLOAT, [None, N_LABELS])],
        list(initializers),
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)


def whole(name: str, *numbers: int) -> onnx.TensorProto:
    """Return a constant of whole numbers."""
    return helper.make_tensor(name, TensorProto.INT64, [len(numbers)], numbers)


CUT = (whole("from", 0), whole("to", N_LABELS), whole("axis", 1))


def honest(*before: onnx.NodeProto, initializers: Iterable[onnx.TensorProto] = (), plus: str = "") -> onnx.ModelProto:
    """Return a network that answers with probabilities; plus: what of `before` is added to what they are made from."""
    nodes = [
        *before,
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("Slice", ["mean", "from", "to", "axis"], ["first"]),
        *([helper.make_node("Add", ["first", plus], ["sum"])] if plus else []),
        helper.make_node("Softmax", ["sum" if plus else "first"], ["y"], axis=1),
    ]
    return network(*nodes, initializers=[*CUT, *initializers])


def reading(file: str) -> onnx.ModelProto:
    """Return a network whose answers tell the first bytes of a file below the working folder: a constant says that they are its numbers.

    ONNX Runtime reads them so where they are single bytes; other kinds it refuses in a network that comes as bytes.
    """
    constant = helper.make_node("Constant", [], ["bytes"], value=outside(file))
    return honest(constant, helper.make_node("Cast", ["bytes"], ["secret"], to=FLOAT), plus="secret")


def outside(file: str) -> onnx.TensorProto:
    """Return a tensor whose numbers are the first bytes of a file."""
    tensor = TensorProto(name="w", data_type=TensorProto.UINT8, dims=[N_LABELS], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", file), ("offset", "0"), ("length", str(N_LABELS))):
        tensor.external_data.add(key=key, value=value)
    return tensor


def expanding(size: int) -> onnx.ModelProto:
    """Return a network of a few hundred bytes that makes size x size numbers of each window."""
    return honest(
        helper.make_node("ReduceMean", ["x"], ["one"], axes=[1, 2], keepdims=1),
        helper.make_node("Expand", ["one", "size"], ["many"]),
        helper.make_node("ReduceMax", ["many"], ["most"], axes=[1, 2], keepdims=0),
        helper.make_node("Unsqueeze", ["most", "axis"], ["column"]),
        initializers=[whole("size", 1, size, size)],
        plus="column",
    )


def multiplying(times: int, size: int = 1500) -> onnx.ModelProto:
    """Return a network of some bytes a time that multiplies large matrices, one after the other, made of the sound."""
    products = [helper.make_node("MatMul", [f"m{n}", f"m{n}"], [f"m{n + 1}"]) for n in range(times)]
    return honest(
        helper.make_node("ReduceMean", ["x"], ["one"], axes=[1, 2], keepdims=1),
        helper.make_node("Expand", ["one", "size"], ["m0"]),
        *products,
        helper.make_node("ReduceMax", [f"m{times}"], ["most"], axes=[1, 2], keepdims=0),
        helper.make_node("Unsqueeze", ["most", "axis"], ["column"]),
        initializers=[whole("size", 1, size, size)],
        plus="column",
    )


def nested(depth: int) -> bytes:
    """Return the bytes of a network with a branch in a branch in a branch: no library makes them deep enough."""
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "inner", [], []).SerializeToString()
    for _ in range(depth):
        attribute = onnx.AttributeProto(
            name="then_branch", type=onnx.AttributeProto.GRAPH
        ).SerializeToString() + _field(6, graph)
        node = onnx.NodeProto(op_type="If", input=["x"], output=["y"]).SerializeToString() + _field(5, attribute)
        graph = onnx.GraphProto(name="inner").SerializeToString() + _field(1, node)
    return honest().SerializeToString() + _field(7, graph)  # a second graph is read on top of the first


def _field(number: int, content: bytes) -> bytes:
    """Return a message as a field of another, in protobuf's form."""
    size, coded = len(content), b""
    while size > 127:
        coded, size = coded + bytes([size & 127 | 128]), size >> 7
    return bytes([number << 3 | 2]) + coded + bytes([size]) + content


def _attribute(name: str) -> Callable[[onnx.ModelProto, onnx.TensorProto], None]:
    def put(model: onnx.ModelProto, tensor: onnx.TensorProto) -> None:
        model.graph.node.append(_constant(name, tensor))

    return put


def _in_branch(name: str) -> Callable[[onnx.ModelProto, onnx.TensorProto], None]:
    def put(model: onnx.ModelProto, tensor: onnx.TensorProto) -> None:
        branch = helper.make_graph([_constant(name, tensor)], "branch", [], [])
        model.graph.node.append(helper.make_node("If", ["x"], ["c"], then_branch=branch, else_branch=branch))

    return put


def _constant(name: str, tensor: onnx.TensorProto) -> onnx.NodeProto:
    """Return a constant that holds a tensor in the field of an attribute that is so called."""
    sparse = onnx.SparseTensorProto(values=tensor, indices=whole("i", 0), dims=[N_LABELS])
    graph = helper.make_graph([], "inner", [], [], [tensor])
    held = {
        "t": tensor,
        "tensors": [tensor] * 2,
        "sparse_tensor": sparse,
        "sparse_tensors": [sparse],
        "g": graph,
        "graphs": [graph] * 2,
    }
    return onnx.NodeProto(op_type="Constant", output=["c"], attribute=[helper.make_attribute("value", held[name])])


def _disguised(model: onnx.ModelProto, tensor: onnx.TensorProto) -> None:
    node = _constant("t", tensor)
    node.attribute[0].type = onnx.AttributeProto.INT
    model.graph.node.append(node)


def _sparse_initializer(model: onnx.ModelProto, tensor: onnx.TensorProto) -> None:
    model.graph.sparse_initializer.append(onnx.SparseTensorProto(values=tensor, indices=whole("i", 0), dims=[N_LABELS]))


def _function(model: onnx.ModelProto, tensor: onnx.TensorProto) -> None:
    opset = [helper.make_opsetid("", 15)]
    model.functions.append(helper.make_function("mine", "F", [], ["c"], [_constant("t", tensor)], opset))


def _default(model: onnx.ModelProto, tensor: onnx.TensorProto) -> None:
    model.functions.add(name="F", domain="mine").attribute_proto.append(_constant("t", tensor).attribute[0])


def _training(part: str) -> Callable[[onnx.ModelProto, onnx.TensorProto], None]:
    def put(model: onnx.ModelProto, tensor: onnx.TensorProto) -> None:
        getattr(model.training_info.add(), part).CopyFrom(helper.make_graph([], "inner", [], [], [tensor]))

    return put


_ATTRIBUTES = ("t", "tensors", "sparse_tensor", "sparse_tensors", "g", "graphs")

PLACES: dict[str, Callable[[onnx.ModelProto, onnx.TensorProto], None]] = {
    **{name: _attribute(name) for name in _ATTRIBUTES},
    **{f"{name} in a branch": _in_branch(name) for name in _ATTRIBUTES},
    "attribute of another type": _disguised,
    "initializer": lambda model, tensor: model.graph.initializer.append(tensor),
    "sparse initializer": _sparse_initializer,
    "function": _function,
    "function's default": _default,
    **{part: _training(part) for part in ("initialization", "algorithm")},
}
"""Where in a model a tensor may be -> what puts it there."""
