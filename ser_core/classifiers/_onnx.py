"""A trained network as an ONNX Runtime session: 0.1 s to load, 60 MB, one thread, and no TensorFlow in the server."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from ser_core.errors import ModelError

FILE = "model.onnx"

onnxruntime.disable_telemetry_events()  # on Windows; elsewhere ser_core/__init__.py has done so before the import

OPERATORS = frozenset(
    "Add Cast Concat Constant Conv Div Expand Flatten Gather Gemm GlobalAveragePool GlobalMaxPool Identity LSTM MatMul Max MaxPool Min Mul "
    "Pad ReduceMax ReduceMean ReduceProd ReduceSum Relu Reshape Shape Sigmoid Slice Softmax Split Squeeze Sub Tanh Transpose "
    "Unsqueeze".split()
)
"""What a stranger's network may be made of: layers of ours as they are exported. No loop, no function and no other file is among them."""


class OnnxClassifier:
    """An ONNX network behind the Classifier contract; safe to share between threads."""

    def __init__(self, session: onnxruntime.InferenceSession, labels: tuple[str, ...]) -> None:
        self.labels = labels
        self._session = session
        self._input = session.get_inputs()[0].name

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return probabilities, float64 (n, n_labels), of windows (n, frames, n_columns)."""
        probabilities: np.ndarray = self._session.run(None, {self._input: X.astype(np.float32, copy=False)})[0].astype(np.float64)
        return probabilities

    @classmethod
    def load(cls, folder: Path, labels: tuple[str, ...]) -> OnnxClassifier:
        """Open model.onnx of a folder; raises ModelError where it is damaged or has another number of labels."""
        path = folder / FILE
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.enable_cpu_mem_arena = False  # a long clip's windows would leave 200 MB behind, for half a millisecond less
        try:
            session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime has its own exception for each way a file can be wrong
            reason = str(error).splitlines()[0]
            raise ModelError(f"{path} cannot be read as a network: {reason}. Restore the folder or train it again.") from error
        outputs = session.get_outputs()
        if len(session.get_inputs()) != 1 or len(outputs) != 1 or list(outputs[0].shape[-1:]) != [len(labels)]:
            raise ModelError(f"{path} does not hold a classifier of {len(labels)} labels. Restore the folder or train it again.")
        return cls(session, labels)


def check_foreign(path: Path) -> None:
    """Raise ModelError where a network from a stranger is made of more than OPERATORS, reads other files, or is not as ONNX has it.

    ONNX Runtime trusts what is written in it: a weight of fewer numbers than it claims kept it busy for minutes, and a maximum of one
    number and a missing one, which ONNX's own check lets pass, ended the process.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model_from_string(path.read_bytes())
    except DecodeError:
        raise ModelError(f"{path.name} is no network in the ONNX format. Export the model again.") from None
    strange = sorted({str(node.op_type) for node in model.graph.node} - OPERATORS)
    nested = any(attribute.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)
                 for node in model.graph.node for attribute in node.attribute)  # fmt: skip
    if strange or nested or len(model.functions) or any(node.domain not in ("", "ai.onnx.ml") for node in model.graph.node):
        raise ModelError(f"{path.name} holds operations that none of our networks has ({', '.join(strange) or 'functions'}).")
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer):
        raise ModelError(f"{path.name} refers to other files, which a model may not.")
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError) as error:
        raise ModelError(f"{path.name} is no sound network ({str(error).splitlines()[0][:200]}). Export the model again.") from None
    versions = {each.domain: each.version for each in model.opset_import}
    for node in model.graph.node:
        known = onnx.defs.get_schema(node.op_type, versions[node.domain], node.domain).inputs
        needed = [known[min(place, len(known) - 1)].option != onnx.defs.OpSchema.FormalParameterOption.Optional
                  for place in range(len(node.input))]  # fmt: skip
        if any(must and not name for must, name in zip(needed, node.input, strict=True)):
            raise ModelError(f"{path.name} is no sound network (an input of {node.op_type} is missing). Export the model again.")
