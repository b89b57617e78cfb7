"""A trained network as an ONNX Runtime session: 0.1 s to load, 60 MB, one thread, and no TensorFlow in the server."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime

from ser_core.errors import ModelError

if TYPE_CHECKING:
    import onnx

FILE = "model.onnx"

onnxruntime.disable_telemetry_events()  # on Windows; elsewhere ser_core/__init__.py has done so before the import

OPERATORS = frozenset(
    "Add Cast Concat Constant Conv Div Expand Flatten Gather Gemm GlobalAveragePool GlobalMaxPool Identity LSTM MatMul Max MaxPool Min Mul "
    "Pad ReduceMax ReduceMean ReduceProd ReduceSum Relu Reshape Shape Sigmoid Slice Softmax Split Squeeze Sub Tanh Transpose "
    "Unsqueeze".split()
)
"""Operators that an untrusted network may have: those of our layers as they are exported. No loops, functions or other files."""

_PARTS = frozenset(
    "ModelProto OperatorSetIdProto StringStringEntryProto GraphProto NodeProto AttributeProto TensorProto ValueInfoProto TypeProto Tensor "
    "TensorShapeProto Dimension".split()
)
"""The message types of ONNX that ours have: none for functions, sparse tensors, trainings, sequences or maps."""

_NUMBERS = frozenset({1, 6, 7, 9, 11})
"""What a tensor may hold, by ONNX's numbers: float, int32, int64, bool, double. No text."""

MAX_PARTS = 10_000
"""The shipped networks have 170 at most, and the deepest that can be trained here a few times that."""

MAX_NUMBERS = 2**24
"""Constant numbers of a network: 60 times what the largest shipped one has, and the 64 MB that a weight file may have."""

MAX_DIMENSION = 2**22
MAX_RANK = 8


class OnnxClassifier:
    """An ONNX network behind the Classifier contract; safe to share between threads."""

    def __init__(self, session: onnxruntime.InferenceSession, labels: tuple[str, ...]) -> None:
        self.labels = labels
        self._session = session
        self._input = session.get_inputs()[0].name

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return probabilities, float64 (n, n_labels), of windows (n, frames, n_columns)."""
        probabilities: np.ndarray = self._session.run(None, {self._input: X.astype(np.float32, copy=False)})[0].astype(
            np.float64
        )
        return probabilities

    @classmethod
    def load(cls, folder: Path, labels: tuple[str, ...]) -> OnnxClassifier:
        """Open model.onnx of a folder; raises ModelError where it is damaged or has another number of labels."""
        path = folder / FILE
        return cls.read(path.read_bytes(), labels, str(path))

    @classmethod
    def read(cls, content: bytes, labels: tuple[str, ...], name: str = FILE) -> OnnxClassifier:
        """Return the network that bytes hold; `name` is used in error sentences."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.enable_cpu_mem_arena = (
            False  # a long clip's windows would leave 200 MB behind, for half a millisecond less
        )
        try:
            session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime has its own exception for each way a file can be wrong
            reason = str(error).splitlines()[0]
            raise ModelError(
                f"{name} cannot be read as a network: {reason}. Restore the folder or train it again."
            ) from error
        outputs = session.get_outputs()
        if len(session.get_inputs()) != 1 or len(outputs) != 1 or list(outputs[0].shape[-1:]) != [len(labels)]:
            raise ModelError(
                f"{name} does not hold a classifier of {len(labels)} labels. Restore the folder or train it again."
            )
        return cls(session, labels)


def check_foreign(content: bytes) -> bytes:
    """Return an untrusted network in a form that is safe to load, without fields that ONNX does not know.

    Raises ModelError where it has other operators than OPERATORS, refers to other files, is far larger than ours, or is not valid ONNX.

    ONNX Runtime trusts the file: a constant that names a file was read from that file, a weight of fewer numbers than it
    claims kept it busy for minutes, and a maximum of one number and a missing one, which ONNX's own check lets pass, ended the process.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model_from_string(content)
    except (DecodeError, RecursionError):
        raise ModelError(f"{FILE} is no network in the ONNX format. Export the model again.") from None
    _check_parts(model)
    strange = sorted({str(node.op_type)[:40] for node in model.graph.node} - OPERATORS)
    if strange or any(node.domain not in ("", "ai.onnx.ml") for node in model.graph.node):
        raise ModelError(
            f"{FILE} holds operations that none of our networks has ({', '.join(strange[:5]) or 'of another domain'})."
        )
    try:
        onnx.checker.check_model(model)
        _check_inputs(model)
    except (onnx.checker.ValidationError, onnx.defs.SchemaError, ValueError, KeyError) as error:
        raise ModelError(
            f"{FILE} is no sound network ({str(error).splitlines()[0][:200]}). Export the model again."
        ) from None
    model.DiscardUnknownFields()  # another reader might know them
    sound: bytes = model.SerializeToString()
    return sound


def _check_parts(model: onnx.ModelProto) -> None:
    """Raise ModelError where any part of a model, at any depth, is of a kind that ours do not have, names a file, or is too large."""
    import onnx

    n_parts = n_numbers = n_graphs = 0
    waiting = [model]
    while waiting:
        part = waiting.pop()
        n_parts += 1
        kind = part.DESCRIPTOR.name
        n_graphs += kind == "GraphProto"
        if kind == "TensorProto":
            if part.data_location != onnx.TensorProto.DEFAULT or part.external_data:
                raise ModelError(f"{FILE} refers to other files, which a model may not. Export the model again.")
            if part.data_type not in _NUMBERS or part.string_data or part.HasField("segment"):
                raise ModelError(
                    f"{FILE} holds a constant of a kind that none of our networks has. Export the model again."
                )
            shape = list(part.dims)
            n_numbers += math.prod(shape) if _fits(shape) else MAX_NUMBERS + 1
        elif kind == "AttributeProto":
            n_numbers += len(part.ints) + len(part.floats) + len(part.strings)
        elif kind == "TensorShapeProto" and not _fits([dimension.dim_value for dimension in part.dim]):
            n_numbers = MAX_NUMBERS + 1
        if kind not in _PARTS or n_graphs > 1:
            raise ModelError(f"{FILE} holds parts that none of our networks has ({kind}). Export the model again.")
        for field, value in part.ListFields():
            if field.type == field.TYPE_MESSAGE:
                waiting += value if field.is_repeated else [value]
        if n_parts + len(waiting) > MAX_PARTS or n_numbers > MAX_NUMBERS:
            raise ModelError(
                f"{FILE} is larger than any network of ours: it may have {MAX_PARTS:,} parts and {MAX_NUMBERS:,} numbers."
            )


def _fits(shape: list[int]) -> bool:
    return len(shape) <= MAX_RANK and all(0 <= n <= MAX_DIMENSION for n in shape)


def _check_inputs(model: onnx.ModelProto) -> None:
    """Raise ValueError where an operation lacks an input that it needs."""
    import onnx

    versions = {each.domain: each.version for each in model.opset_import}
    for node in model.graph.node:
        known = onnx.defs.get_schema(node.op_type, versions[node.domain], node.domain).inputs
        needed = [
            known[min(place, len(known) - 1)].option != onnx.defs.OpSchema.FormalParameterOption.Optional
            for place in range(len(node.input))
        ]
        if any(must and not name for must, name in zip(needed, node.input, strict=True)):
            raise ValueError(f"an input of {node.op_type} is missing")
