"""A weights folder → an ONNX file: clips uint8 (N, T, H, W, 3), any number → logits float32 (N, C).

tf2onnx reads the TensorFlow function; ``keras.Model.export`` goes the same way but would want float clips. 3D
convolutions stay 3D, in ONNX's order of axes.
"""

from __future__ import annotations

from pathlib import Path

import tf2onnx

from models.conversion.graph import read_graph
from models.weights.cards import ClipShape

OPSET = 18  # ONNX Runtime 1.14 and TensorRT 10 read it


def write(folder: Path, target: Path, clip_shape: ClipShape, _precision: str) -> None:
    """Raises CardError, ExportError, and what tf2onnx raises for an operation that it does not know."""
    graph = read_graph(folder, clip_shape, None)
    tf2onnx.convert.from_function(
        graph.function, input_signature=list(graph.signature), opset=OPSET, output_path=str(target)
    )
